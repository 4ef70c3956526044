//! The working set of one batch: rows that were loaded, changed in memory one command after the other, and saved once in
//! their final state. A command that is refused is rolled back in memory, so it never leaves half a change.

use crate::{
    access::Access,
    codes::Record,
    episode::CloseOut,
    exchange::{self, Rates},
    fact::Outgoing,
    ids::TenantId,
    job::Job,
    reason::{self, Edition},
    records::{AuditEntry, Lane, Received, TimelineEntry},
    settings,
    task::Task,
    time::Time,
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};
use uuid::Uuid;

/// A row that knows its key.
pub trait Keyed: Clone {
    /// Tenant first, then what names the row.
    type Key: Ord + Clone;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// The record it belongs to, where a batch looks for all rows of one: see [`Rows::of`].
    fn belongs_to(&self) -> Option<Owner> {
        None
    }
}

/// A record that rows belong to: its tenant and id.
pub type Owner = (TenantId, Uuid);

#[derive(Clone, Debug)]
struct Slot<R> {
    /// Shared with what it was before, so that a change copies it once.
    row: Arc<R>,
    fresh: bool,
    /// As it was loaded, once it has changed.
    before: Option<Arc<R>>,
}

impl<R> Slot<R> {
    fn loaded(row: R) -> Self {
        Self { row: Arc::new(row), fresh: false, before: None }
    }
}

/// Rows of one table by key.
#[derive(Debug)]
pub struct Rows<R: Keyed> {
    slots: BTreeMap<R::Key, Slot<R>>,
    /// Keys of the rows that belong to a record, or did: what is found here is looked at again.
    owned: BTreeMap<Owner, BTreeSet<R::Key>>,
    journal: Vec<(R::Key, Option<Slot<R>>)>,
}

impl<R: Keyed> Default for Rows<R> {
    fn default() -> Self {
        Self { slots: BTreeMap::new(), owned: BTreeMap::new(), journal: Vec::new() }
    }
}

impl<R: Keyed> Rows<R> {
    /// Rows as they were loaded.
    pub fn loaded(rows: impl IntoIterator<Item = R>) -> Self {
        let mut loaded = Self::default();
        rows.into_iter().for_each(|row| loaded.add_loaded(row));
        loaded
    }

    /// Adds a loaded row, unless one with its key is there.
    pub fn add_loaded(&mut self, row: R) {
        let key = row.key();
        if let Entry::Vacant(place) = self.slots.entry(key.clone()) {
            note(&mut self.owned, &row, key);
            place.insert(Slot::loaded(row));
        }
    }

    /// The rows that belong to a record, by key.
    pub fn of(&self, owner: Owner) -> impl Iterator<Item = &R> {
        let keys = self.owned.get(&owner).into_iter().flatten();
        keys.filter_map(|key| self.get(key)).filter(move |row| row.belongs_to() == Some(owner))
    }

    /// The row with this key may belong to another record than before.
    pub fn has_moved(&mut self, key: &R::Key) {
        if let Some(slot) = self.slots.get(key) {
            note(&mut self.owned, &*slot.row, key.clone());
        }
    }

    /// The row with this key.
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.slots.get(key).map(|slot| &*slot.row)
    }

    /// The row with this key, to be changed.
    pub fn edit(&mut self, key: &R::Key) -> Option<&mut R> {
        let slot = self.slots.get_mut(key)?;
        self.journal.push((key.clone(), Some(slot.clone())));
        if !slot.fresh && slot.before.is_none() {
            slot.before = Some(slot.row.clone());
        }
        Some(Arc::make_mut(&mut slot.row))
    }

    /// A new row.
    pub fn insert(&mut self, row: R) {
        let key = row.key();
        note(&mut self.owned, &row, key.clone());
        let before = self.slots.insert(key.clone(), Slot { row: Arc::new(row), fresh: true, before: None });
        self.journal.push((key, before));
    }

    /// A row in the place of the one with its key, or a new one.
    pub fn put(&mut self, row: R) {
        match self.edit(&row.key()) {
            Some(place) => *place = row,
            None => self.insert(row),
        }
    }

    /// Every row, by key.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.slots.values().map(|slot| &*slot.row)
    }

    /// New rows, by key.
    pub fn inserted(&self) -> Vec<&R> {
        self.slots.values().filter(|slot| slot.fresh).map(|slot| &*slot.row).collect()
    }

    /// Loaded rows that have changed, by key.
    pub fn updated(&self) -> Vec<&R> {
        self.slots.values().filter(|slot| slot.before.is_some()).map(|slot| &*slot.row).collect()
    }

    /// New rows and loaded ones that have changed, by key: each as it was loaded, if it was, and as it is now.
    pub fn changes(&self) -> impl Iterator<Item = (Option<&R>, &R)> {
        let touched = self.slots.values().filter(|slot| slot.fresh || slot.before.is_some());
        touched.map(|slot| (slot.before.as_deref(), &*slot.row))
    }

    /// Forgets how to go back beyond this point.
    pub fn begin(&mut self) {
        self.journal.clear();
    }

    /// Goes back to the last [`Rows::begin`].
    pub fn rollback(&mut self) {
        while let Some((key, before)) = self.journal.pop() {
            match before {
                Some(slot) => self.slots.insert(key, slot),
                None => self.slots.remove(&key),
            };
        }
    }
}

fn note<R: Keyed>(owned: &mut BTreeMap<Owner, BTreeSet<R::Key>>, row: &R, key: R::Key) {
    if let Some(owner) = row.belongs_to() {
        owned.entry(owner).or_default().insert(key);
    }
}

/// Entries that are only added.
#[derive(Debug)]
pub struct Log<T> {
    entries: Vec<T>,
    mark: usize,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), mark: 0 }
    }
}

impl<T> Log<T> {
    /// Adds one.
    pub fn push(&mut self, entry: T) {
        self.entries.push(entry);
    }

    /// All of them, in order.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Those since the last [`Log::begin`].
    pub fn recent(&self) -> &[T] {
        self.entries.get(self.mark..).unwrap_or_default()
    }

    /// Those since the last [`Log::begin`], to be changed.
    pub fn edit_recent(&mut self) -> &mut [T] {
        self.entries.get_mut(self.mark..).unwrap_or_default()
    }

    /// Forgets how to go back beyond this point.
    pub fn begin(&mut self) {
        self.mark = self.entries.len();
    }

    /// Goes back to the last [`Log::begin`].
    pub fn rollback(&mut self) {
        self.entries.truncate(self.mark);
    }
}

/// Where new ids come from.
pub type Ids = Box<dyn FnMut() -> Uuid + Send + Sync>;

/// Who is behind the command or message that is being decided.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Whose data it may touch.
    pub tenant_id: TenantId,
    /// The principal.
    pub actor: String,
    /// What it may do.
    pub access: Access,
    /// The method, or `Apply` for a message.
    pub method: &'static str,
    /// Id of the call; none for a message.
    pub request_id: Option<Uuid>,
    /// Id of the message; none for a call.
    pub message_id: Option<Uuid>,
}

/// The part of a working set that both services have.
pub struct Common {
    /// Time of the batch.
    pub now: Time,
    /// Where new ids come from.
    ids: Ids,
    /// Mirrors of the other side.
    pub lanes: Rows<Lane>,
    /// Messages that were applied.
    pub received: Rows<Received>,
    /// Tasks.
    pub tasks: Rows<Task>,
    /// How many open tasks a record had when the batch began, where a command makes one.
    pub open_tasks: BTreeMap<(TenantId, Record), i64>,
    /// Close-outs.
    pub close_outs: Rows<CloseOut>,
    /// Reasons of the tenants' own, as far as they are needed.
    pub reasons: Rows<reason::Entry>,
    /// What the tenants have decided, as far as it is needed.
    pub settings: Rows<settings::Entry>,
    /// Exchange rates that are changed.
    pub rates: Rows<exchange::Entry>,
    /// What close-outs need to know of currencies.
    pub exchange: Rates,
    /// New versions of reasons.
    pub editions: Log<Edition>,
    /// Messages to send.
    pub outgoing: Log<(TenantId, Outgoing)>,
    /// Duties for later.
    pub jobs: Log<Job>,
    /// Duties that there is nothing left to do for.
    pub jobs_over: Log<<Job as Keyed>::Key>,
    /// Entries of customers' timelines.
    pub timeline: Log<TimelineEntry>,
    /// Entries of the audit trail.
    pub audit: Log<AuditEntry>,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Common {
    /// An empty working set.
    pub fn new(now: Time, ids: Ids) -> Self {
        Self {
            now,
            ids,
            lanes: Rows::default(),
            received: Rows::default(),
            tasks: Rows::default(),
            open_tasks: BTreeMap::new(),
            close_outs: Rows::default(),
            reasons: Rows::default(),
            settings: Rows::default(),
            rates: Rows::default(),
            exchange: Rates::default(),
            editions: Log::default(),
            outgoing: Log::default(),
            jobs: Log::default(),
            jobs_over: Log::default(),
            timeline: Log::default(),
            audit: Log::default(),
        }
    }

    /// A new id.
    pub fn new_id(&mut self) -> Uuid {
        (self.ids)()
    }

    /// A command begins: what is decided from here on can be rolled back.
    pub fn begin(&mut self) {
        self.lanes.begin();
        self.received.begin();
        self.tasks.begin();
        self.close_outs.begin();
        self.reasons.begin();
        self.settings.begin();
        self.rates.begin();
        self.editions.begin();
        self.outgoing.begin();
        self.jobs.begin();
        self.jobs_over.begin();
        self.timeline.begin();
        self.audit.begin();
    }

    /// The command was refused: everything is as it was when it began.
    pub fn rollback(&mut self) {
        self.lanes.rollback();
        self.received.rollback();
        self.tasks.rollback();
        self.close_outs.rollback();
        self.reasons.rollback();
        self.settings.rollback();
        self.rates.rollback();
        self.editions.rollback();
        self.outgoing.rollback();
        self.jobs.rollback();
        self.jobs_over.rollback();
        self.timeline.rollback();
        self.audit.rollback();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{TaskState, tests::task};

    #[test]
    fn a_rolled_back_command_leaves_no_trace() {
        let mut rows = Rows::loaded([task(TaskState::Open)]);
        let key = task(TaskState::Open).key();
        rows.edit(&key).unwrap().title = "kept".into();
        rows.begin();
        rows.edit(&key).unwrap().title = "first".into();
        rows.edit(&key).unwrap().title = "second".into();
        let mut new = task(TaskState::Open);
        new.task_id.0 = Uuid::from_u128(77);
        rows.insert(new);
        rows.rollback();
        assert_eq!(rows.get(&key).unwrap().title, "kept");
        assert!(rows.inserted().is_empty());
        assert_eq!(rows.updated().len(), 1);
    }

    #[test]
    fn rows_are_found_by_the_record_they_belong_to_until_they_belong_to_another() {
        let mut rows = Rows::loaded([task(TaskState::Open)]);
        let (key, before) = (task(TaskState::Open).key(), task(TaskState::Open).belongs_to().unwrap());
        let after = (before.0, Uuid::from_u128(99));
        let count = |rows: &Rows<Task>| (rows.of(before).count(), rows.of(after).count());
        assert_eq!(count(&rows), (1, 0));
        rows.begin();
        rows.edit(&key).unwrap().root.id = after.1;
        rows.has_moved(&key);
        assert_eq!(count(&rows), (0, 1));
        rows.rollback();
        assert_eq!(count(&rows), (1, 0));
    }

    #[test]
    fn a_new_row_that_is_changed_again_stays_new() {
        let mut rows = Rows::default();
        rows.insert(task(TaskState::Open));
        rows.edit(&task(TaskState::Open).key()).unwrap().title = "later".into();
        assert_eq!((rows.inserted().len(), rows.updated().len()), (1, 0));
    }
}
