//! What both services do to the shared part of a working set: tasks made, changed, cancelled and restored, audit and timeline
//! entries, messages. One place, so that a close-out means the same on both sides.

use crate::{
    codes::{Record, RecordKind, Side},
    episode::{CloseOut, CloseOutState, Delivery, Effect, EffectKind, Propagation, Reversal},
    fact::{Event, Fact, MirrorState, Outgoing},
    ids::{CloseOutId, CustomerId, TaskId, TenantId},
    plan::Objections,
    reason::{Catalogue, Edition, Entry, Given, Listed, Reason, ReasonScope, code_of},
    records::{AuditEntry, Lane, TimelineEntry},
    refusal::{Refusal, check_etag},
    remarks::Cited,
    settings::Settings,
    task::{MAX_OPEN, Task, TaskChange, TaskKind, TaskState},
    time::Time,
    wording,
    working_set::{Cause, Common},
};

/// A task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// What it is for.
    pub root: Record,
    /// What kind of work.
    pub kind: TaskKind,
    /// What to do.
    pub title: String,
    /// Who shall do it.
    pub assignee: String,
    /// Until when.
    pub due_at: Option<Time>,
}

/// What a caller can ask for about tasks; the same on both services.
#[derive(Clone, Debug)]
pub enum TaskCommand {
    /// Make one.
    Create(NewTask),
    /// Change one.
    Change {
        /// Which.
        id: TaskId,
        /// Only this version.
        etag: String,
        /// How.
        change: TaskChange,
    },
}

/// The whole state of a record is to be sent again.
#[derive(Clone, Debug)]
pub struct Resend {
    /// Which record.
    pub record: Record,
    /// Why.
    pub justification: String,
    /// The number that the other side has, where it is ahead.
    pub peer_number: i64,
}

/// A change of a record, for the audit trail.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Version before; 0: it was made.
    pub from: i64,
    /// Version after.
    pub to: i64,
    /// State before, in a word.
    pub state_before: &'a str,
    /// State after.
    pub state_after: &'a str,
    /// The close-out behind it.
    pub close_out: Option<CloseOutId>,
}

impl Common {
    /// Makes a task. `closed_by`: the close-out in force of its root, if that is closed.
    pub fn create_task(
        &mut self,
        cause: &Cause,
        new: &NewTask,
        closed_by: Option<CloseOutId>,
    ) -> Result<Task, Refusal> {
        if let Some(close_out) = closed_by.filter(|_| new.kind != TaskKind::WinBack) {
            return Err(Refusal::subject_closed(new.root, close_out));
        }
        if self.open_count(cause.tenant_id, new.root) >= MAX_OPEN {
            return Err(Refusal::new(&wording::TOO_MANY_TASKS, new.root).with("limit", MAX_OPEN));
        }
        Ok(self.add_task(cause, new))
    }

    /// Makes a task that a rule asks for, whatever the limits.
    pub fn add_task(&mut self, cause: &Cause, new: &NewTask) -> Task {
        let task = Task {
            tenant_id: cause.tenant_id,
            task_id: TaskId(self.new_id()),
            root: new.root,
            kind: new.kind,
            title: new.title.clone(),
            assignee: new.assignee.clone(),
            due_at: new.due_at,
            state: TaskState::Open,
            prior_state: None,
            closed_by: None,
            created_at: self.now,
            updated_at: self.now,
            version: 1,
        };
        self.tasks.insert(task.clone());
        let change = Change { from: 0, to: 1, state_before: "", state_after: task.state.word(), close_out: None };
        self.audit(cause, task.task_id, change);
        task
    }

    fn open_count(&self, tenant: TenantId, root: Record) -> i64 {
        let made = self.tasks.inserted();
        let made = made.iter().filter(|task| task.tenant_id == tenant && task.root == root && task.state.is_open());
        self.open_tasks.get(&(tenant, root)).copied().unwrap_or_default() + made.count() as i64
    }

    /// A person changes a task.
    pub fn change_task(
        &mut self,
        cause: &Cause,
        task_id: TaskId,
        etag: &str,
        change: &TaskChange,
    ) -> Result<Task, Refusal> {
        let now = self.now;
        let task = self.tasks.edit(&(cause.tenant_id, task_id)).ok_or_else(|| Refusal::not_found(task_id))?;
        check_etag(etag, task.version, task_id)?;
        let before = task.state;
        task.change(change.clone(), now)?;
        let task = task.clone();
        let change = Change {
            from: task.version - 1,
            to: task.version,
            state_before: before.word(),
            state_after: task.state.word(),
            close_out: None,
        };
        self.audit(cause, task_id, change);
        Ok(task)
    }

    /// A close-out cancels the open tasks of a record, those of `kept` kinds aside.
    pub fn cancel_tasks(
        &mut self,
        cause: &Cause,
        side: Side,
        root: Record,
        close_out: CloseOutId,
        kept: &[TaskKind],
    ) -> Vec<Effect> {
        let of_root = self.tasks.of((cause.tenant_id, root.id));
        let open = of_root.filter(|task| task.state.is_open() && !kept.contains(&task.kind));
        let open: Vec<_> = open.map(|task| task.task_id).collect();
        let mut effects = Vec::with_capacity(open.len());
        for task_id in open {
            let now = self.now;
            let Some(task) = self.tasks.edit(&(cause.tenant_id, task_id)) else { continue };
            let (before, version) = (task.state, task.version);
            task.cancel_by(close_out, now);
            let change = Change {
                from: version,
                to: version + 1,
                state_before: before.word(),
                state_after: TaskState::Cancelled.word(),
                close_out: Some(close_out),
            };
            self.audit(cause, task_id, change);
            let kind = EffectKind::TaskCancelled;
            effects.push(Effect::new(side, kind, task_id, before.word(), TaskState::Cancelled.word()));
        }
        effects
    }

    /// The reversal of a close-out restores the tasks of a record which that close-out cancelled and nobody has touched.
    pub fn restore_tasks(&mut self, cause: &Cause, side: Side, root: Record, close_out: CloseOutId) -> Vec<Effect> {
        let of_root = self.tasks.of((cause.tenant_id, root.id));
        let cancelled = of_root.filter(|task| task.closed_by == Some(close_out));
        let cancelled: Vec<_> = cancelled.map(|task| task.task_id).collect();
        let mut effects = Vec::with_capacity(cancelled.len());
        for task_id in cancelled {
            let now = self.now;
            let Some(task) = self.tasks.edit(&(cause.tenant_id, task_id)) else { continue };
            if !task.restore(close_out, now) {
                continue;
            }
            let (state, version) = (task.state, task.version);
            let change = Change {
                from: version - 1,
                to: version,
                state_before: TaskState::Cancelled.word(),
                state_after: state.word(),
                close_out: Some(close_out),
            };
            self.audit(cause, task_id, change);
            let kind = EffectKind::TaskRestored;
            effects.push(Effect::new(side, kind, task_id, TaskState::Cancelled.word(), state.word()));
        }
        effects
    }

    /// Takes back the tasks that a close-out made under this title for a person to decide something; what somebody has dealt
    /// with stays.
    pub fn withdraw_reviews(&mut self, cause: &Cause, side: Side, title: &str) -> Vec<Effect> {
        let asked = |task: &&Task| {
            let review = task.kind == TaskKind::Review && task.state.is_open();
            task.tenant_id == cause.tenant_id && review && task.title == title
        };
        let asked: Vec<_> = self.tasks.iter().filter(asked).map(|task| (task.task_id, task.state)).collect();
        let mut effects = Vec::with_capacity(asked.len());
        for (task_id, before) in asked {
            if let Ok(task) = self.change_task(cause, task_id, "", &TaskChange::Cancel) {
                let kind = EffectKind::TaskCancelled;
                effects.push(Effect::new(side, kind, task_id, before.word(), task.state.word()));
            }
        }
        effects
    }

    /// Sends the whole state of a record, which `fact` tells, as the `number`-th message of its lane, in place of all that has not
    /// arrived.
    pub fn send_snapshot(
        &mut self,
        cause: &Cause,
        resend: &Resend,
        number: i64,
        mut fact: Fact,
        close_out: Option<CloseOut>,
    ) {
        fact.event = Event::Snapshot;
        fact.close_out = close_out.as_ref().map(|close_out| close_out.fact(Event::Snapshot, None));
        // Receipts that have come already are kept.
        let delivery = close_out.filter(|close_out| close_out.delivery.propagation != Propagation::Settled);
        let delivery = delivery.map(|close_out| (close_out.close_out_id, false));
        self.send(cause, resend.record, number, fact, delivery);
        let close_out = delivery.map(|(id, _)| id);
        let change = Change { from: number, to: number, state_before: "", state_after: "SNAPSHOT", close_out };
        self.audit_with_note(cause, format!("{}/messages/{number}", resend.record), change, &resend.justification);
    }

    /// Adds an entry to the audit trail.
    pub fn audit(&mut self, cause: &Cause, resource: impl ToString, change: Change<'_>) {
        self.audit_with_note(cause, resource, change, "");
    }

    /// Adds an entry to the audit trail, with the reason that an operator gave.
    pub fn audit_with_note(&mut self, cause: &Cause, resource: impl ToString, change: Change<'_>, note: &str) {
        let entry = AuditEntry {
            tenant_id: cause.tenant_id,
            audit_id: self.new_id(),
            audited_at: self.now,
            actor: cause.actor.clone(),
            method: cause.method.to_owned(),
            request_id: cause.request_id,
            message_id: cause.message_id,
            resource: resource.to_string(),
            version_before: change.from,
            version_after: change.to,
            state_before: change.state_before.to_owned(),
            state_after: change.state_after.to_owned(),
            close_out_id: change.close_out,
            note: note.to_owned(),
        };
        self.audit.push(entry);
    }

    /// Adds an entry to a customer's timeline.
    pub fn tell(
        &mut self,
        cause: &Cause,
        customer_id: CustomerId,
        kind: &str,
        record: Record,
        close_out_id: Option<CloseOutId>,
        text: String,
    ) {
        self.tell_of(&cause.actor, cause.tenant_id, customer_id, kind, (record, close_out_id), text);
    }

    /// The same of somebody else than who is behind the command: of the close itself who asked for it, whoever approved it.
    pub fn tell_of(
        &mut self,
        actor: &str,
        tenant_id: TenantId,
        customer_id: CustomerId,
        kind: &str,
        (record, close_out_id): (Record, Option<CloseOutId>),
        text: String,
    ) {
        let entry = TimelineEntry {
            tenant_id,
            customer_id,
            timeline_id: self.new_id(),
            happened_at: self.now,
            kind: kind.to_owned(),
            record,
            close_out_id,
            actor: actor.to_owned(),
            text,
        };
        self.timeline.push(entry);
    }

    /// Sends a fact: the `number`-th message of the record's lane.
    pub fn send(
        &mut self,
        cause: &Cause,
        lane: Record,
        number: i64,
        fact: Fact,
        close_out: Option<(CloseOutId, bool)>,
    ) {
        let outgoing = Outgoing { lane, number, message_id: self.new_id(), fact, close_out };
        self.outgoing.push((cause.tenant_id, outgoing));
    }

    /// The other side's records under a parent, as far as they are loaded.
    pub fn children(&self, tenant: TenantId, parent: Record) -> impl Iterator<Item = &Lane> {
        self.lanes.of((tenant, parent.id))
    }

    /// Live orders of an opportunity on the other side.
    pub fn live_orders(&self, tenant: TenantId, opportunity: Record) -> Vec<Record> {
        let orders = self.children(tenant, opportunity).filter(|lane| lane.record.kind == RecordKind::Order);
        orders.filter(|lane| lane.state == Some(MirrorState::Live)).map(|lane| lane.record).collect()
    }

    /// The mirror of a record of the other side, for a decision that needs it: refused for now while nothing is known.
    pub fn mirror(&self, tenant: TenantId, record: Record) -> Result<&Lane, Refusal> {
        let lane = self.lanes.get(&(tenant, record)).filter(|lane| lane.state.is_some());
        lane.ok_or_else(|| Refusal::new(&wording::PARENT_UNKNOWN, record))
    }

    /// The reason of a close-out that a caller asks for, and the further ones, if everything they require is there.
    pub fn check_reason(
        &self,
        tenant: TenantId,
        scope: ReasonScope,
        given: &Given<'_>,
        subject: Record,
    ) -> Result<(Reason, Vec<Cited>), Refusal> {
        let (catalogue, policy) =
            (Catalogue::of(tenant, &self.reasons), Settings::of(tenant, &self.settings).verification);
        let reason = catalogue.judge(scope, given, policy).map_err(Refusal::invalid)?;
        reason.check_fresh(policy, given, subject, self.now)?;
        Ok((reason.clone(), catalogue.cited(given.secondary)))
    }

    /// As [`Common::check_reason`]; where that refuses, it is heeded, and the reason is the one that is named, if there is such a one.
    pub fn heed_reason(
        &self,
        against: &mut Objections,
        tenant: TenantId,
        scope: ReasonScope,
        given: &Given<'_>,
        subject: Record,
    ) -> (Option<Reason>, Vec<Cited>) {
        let Some((reason, cited)) = against.heed(self.check_reason(tenant, scope, given, subject)) else {
            let named = code_of(given.reason).and_then(|code| Catalogue::of(tenant, &self.reasons).get(code));
            return (named.map(|listed| listed.reason.clone()), Vec::new());
        };
        (Some(reason), cited)
    }

    /// Puts a reason into a tenant's catalogue as it is now, and keeps its version if that is new.
    pub fn put_reason(&mut self, cause: &Cause, listed: Listed, sent: i64) {
        let (tenant_id, now) = (cause.tenant_id, self.now);
        let key = (tenant_id, listed.reason.code.to_string());
        let catalogue = Catalogue::of(tenant_id, &self.reasons);
        let before = catalogue.get(&key.1).map(|before| (before.reason.version, before.revision, before.state()));
        let (version, from, state_before) = before.unwrap_or((0, 0, ""));
        if version != listed.reason.version {
            let (reason, actor) = (listed.reason.clone(), cause.actor.clone());
            self.editions.push(Edition { tenant_id, reason, actor, made_at: now });
        }
        let state_after = listed.state();
        let change = Change { from, to: listed.revision, state_before, state_after, close_out: None };
        self.audit(cause, listed.reason.name(), change);
        match self.reasons.edit(&key) {
            Some(entry) => (entry.listed, entry.sent, entry.updated_at) = (listed, sent, now),
            None => self.reasons.insert(Entry { tenant_id, listed, sent, created_at: now, updated_at: now }),
        }
    }

    /// What a close-out that another one caused did, as effects of that one.
    pub fn caused(&self, tenant: TenantId, side: Side, close_out: CloseOutId, (from, to): (&str, &str)) -> Vec<Effect> {
        let mut effects = vec![Effect::new(side, EffectKind::SubjectClosed, close_out, from, to)];
        let row = self.close_outs.get(&(tenant, close_out));
        effects.extend(row.into_iter().flat_map(|close_out| close_out.effects.clone()));
        effects
    }

    /// A close-out that is loaded.
    pub fn close_out(&self, tenant: TenantId, id: CloseOutId) -> Result<CloseOut, Refusal> {
        self.close_outs.get(&(tenant, id)).cloned().ok_or_else(|| Refusal::not_found(id))
    }

    /// Marks a close-out as reversed and adds what the reversal did here.
    pub fn reverse(&mut self, cause: &Cause, close_out_id: CloseOutId, note: &str, effects: Vec<Effect>) {
        let at = self.now;
        let Some(close_out) = self.close_outs.edit(&(cause.tenant_id, close_out_id)) else { return };
        close_out.state = CloseOutState::Reversed;
        close_out.reversal = Some(Reversal { at, actor: cause.actor.clone(), note: note.to_owned(), effects });
        close_out.reversal_delivery = Some(Delivery::PENDING);
    }
}
