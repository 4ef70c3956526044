//! The audit trails of one side: what was done to each record, step by step, and for which request.

use crate::history::Told;
use crm_closeout::{
    codes::{Record, RecordKind, Side},
    ids::{CloseOutId, TaskId, TenantId},
    records::AuditEntry,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};
use uuid::Uuid;

/// What has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Thing {
    Record(Record),
    Task(TaskId),
}

impl Thing {
    /// An opportunity or an order.
    pub(crate) fn is_subject(self) -> bool {
        matches!(self, Self::Record(record) if matches!(record.kind, RecordKind::Opportunity | RecordKind::Order))
    }

    pub(crate) const fn id(self) -> Uuid {
        match self {
            Self::Record(record) => record.id,
            Self::Task(task) => task.0,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let record = Record::parse(name).filter(|record| record.kind.has_tasks());
        record.map(Self::Record).or_else(|| TaskId::parse(name).ok().map(Self::Task))
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(record) => record.fmt(f),
            Self::Task(task) => task.fmt(f),
        }
    }
}

/// One step of a thing.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Version before; 0: it was made.
    pub(crate) before: i64,
    pub(crate) after: i64,
    /// State before, in a word.
    pub(crate) from: Arc<str>,
    pub(crate) to: Arc<str>,
    /// It was an edit by a person.
    pub(crate) edit: bool,
    /// The message behind it.
    pub(crate) message: Option<Uuid>,
    pub(crate) close_out: Option<CloseOutId>,
}

/// What one request did to one resource.
pub(crate) struct Effect {
    pub(crate) actor: String,
    pub(crate) method: String,
    pub(crate) resource: String,
    pub(crate) version: i64,
}

/// A person has changed a record, or corrected its close-out; a correction is passed on to what the close-out had caused.
fn is_edit(row: &AuditEntry) -> bool {
    let stays = row.state_before == row.state_after && row.close_out_id.is_some();
    row.method.starts_with("Update") || (stays && ["AmendCloseOut", "Apply"].contains(&&*row.method))
}

/// Time alone has asked for it.
fn is_duty(row: &AuditEntry) -> bool {
    const DUTIES: [&str; 3] = ["ExpireCloseOut", "ResumeOpportunity", "SweepStaleOpportunities"];
    row.actor == "system" && DUTIES.contains(&&*row.method)
}

/// The trails of one side.
#[derive(Default)]
pub(crate) struct Trails {
    /// By thing, in the order of the versions.
    pub(crate) steps: BTreeMap<(TenantId, Thing), Vec<Step>>,
    /// Effects of the requests that clients made, by tenant and request id.
    pub(crate) effects: HashMap<(TenantId, Uuid), Vec<Effect>>,
    /// Requests with an effect that no client made.
    pub(crate) unasked: Vec<String>,
    /// Effects that neither a request nor a message had.
    pub(crate) uncaused: Vec<String>,
    /// Messages that had an effect.
    pub(crate) causes: BTreeSet<(TenantId, Uuid)>,
    /// Numbers with which the whole state of a record was sent; those before one may never have been.
    pub(crate) resent: BTreeMap<(TenantId, Record), BTreeSet<i64>>,
    /// Rows of requests.
    pub(crate) asked: u64,
    words: HashSet<Arc<str>>,
}

/// Methods that go on by themselves on behalf of who had called them, and what each step of that is called, which nobody calls.
const GOING_ON: [(&str, &str); 2] =
    [("CloseOutCustomer", "CloseOutOfCustomer"), ("ReopenCustomer", "ReopenOfCustomer")];

/// The requests that clients made of one side.
pub(crate) struct Asked<'a> {
    /// By tenant and request id.
    by_id: HashMap<(TenantId, Uuid), Vec<(&'a str, &'a str)>>,
    /// Whose steps there may be, of the methods that go on by themselves.
    going_on: HashSet<(TenantId, &'a str, &'a str)>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(side: Side, told: &'a Told) -> Self {
        let (mut by_id, mut going_on): (HashMap<_, Vec<_>>, _) = (HashMap::new(), HashSet::new());
        for request in told.attempts.iter().map(|attempt| &attempt.request).filter(|request| request.side == side) {
            let steps = GOING_ON.iter().find(|(method, _)| *method == request.method);
            going_on.extend(steps.map(|(_, step)| (request.tenant, &*request.principal, *step)));
            let names = by_id.entry((request.tenant, request.id)).or_default();
            if !names.contains(&(&*request.principal, request.method)) {
                names.push((&*request.principal, request.method));
            }
        }
        Self { by_id, going_on }
    }

    fn has(&self, row: &AuditEntry, id: Uuid) -> bool {
        self.by_id.get(&(row.tenant_id, id)).is_some_and(|names| names.contains(&(&row.actor, &row.method)))
            || self.going_on.contains(&(row.tenant_id, &row.actor, &row.method))
    }
}

impl Trails {
    /// Takes in one row.
    pub(crate) fn add(&mut self, row: AuditEntry, asked: &Asked<'_>) {
        self.causes.extend(row.message_id.map(|id| (row.tenant_id, id)));
        if let Some(thing) = Thing::parse(&row.resource) {
            let step = Step {
                before: row.version_before,
                after: row.version_after,
                from: self.word(&row.state_before),
                to: self.word(&row.state_after),
                edit: is_edit(&row),
                message: row.message_id,
                close_out: row.close_out_id,
            };
            self.steps.entry((row.tenant_id, thing)).or_default().push(step);
        }
        if row.method == "ResendLane" {
            self.resent(&row);
        }
        let Some(id) = row.request_id else {
            if row.message_id.is_none() {
                self.uncaused.push(format!("{} of {} on {}", row.method, row.actor, row.resource));
            }
            return;
        };
        self.asked += 1;
        if asked.has(&row, id) || is_duty(&row) {
            let AuditEntry { actor, method, resource, version_after: version, .. } = row;
            self.effects.entry((row.tenant_id, id)).or_default().push(Effect { actor, method, resource, version });
        } else {
            self.unasked.push(format!("{} {id} of {} on {}", row.method, row.actor, row.resource));
        }
    }

    /// Puts each trail into the order of the versions.
    pub(crate) fn sort(&mut self) {
        self.steps.values_mut().for_each(|steps| steps.sort_by_key(|step| (step.after, step.before)));
    }

    fn resent(&mut self, row: &AuditEntry) {
        let name = row.resource.split_once("/messages/").and_then(|(record, _)| Record::parse(record));
        if let Some(record) = name {
            self.resent.entry((row.tenant_id, record)).or_default().insert(row.version_after);
        }
    }

    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        self.words.insert(new.clone());
        new
    }
}
