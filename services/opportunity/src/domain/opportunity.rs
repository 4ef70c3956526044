//! Opportunities: made, moved, won, closed out, reopened. Every guard of `close_out` and `reopen` stands here.

use super::{
    World,
    customer::{LOST, OPEN, WON},
    opportunity_record,
};
use crm_closeout::{
    cascade::Change,
    codes,
    codes::{Code, Record, Side},
    episode::{CloseOut, CloseOutState, Delivery, Outcome, Snapshot},
    fact::{Event, Fact, MirrorState},
    ids::{CloseOutId, CompetitorId, CustomerId, OpportunityId, TenantId},
    money::Money,
    reason::Reason,
    refusal::{Refusal, RefusalKind, Violation, check_etag},
    time::Time,
    working_set::{Cause, Keyed},
};

codes! {
    /// Where an opportunity stands.
    pub enum State {
        /// Being worked on.
        Open = 1 "OPEN",
        /// Won.
        Won = 4 "WON",
        /// Closed out: it will not be won.
        ClosedOut = 5 "CLOSED_OUT",
    }
}

/// What a salesperson pursues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opportunity {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub opportunity_id: OpportunityId,
    /// The caller's own number.
    pub number: String,
    /// The customer, if there is one yet.
    pub customer_id: Option<CustomerId>,
    /// What it is about.
    pub title: String,
    /// Who owns it.
    pub owner: String,
    /// Which team.
    pub team: String,
    /// Id of its stage.
    pub stage: String,
    /// Where it stands.
    pub state: State,
    /// What it is worth.
    pub amount: Money,
    /// When it is expected to close.
    pub expected_close_at: Option<Time>,
    /// Where it came from.
    pub source: String,
    /// When it was created.
    pub created_at: Time,
    /// When it entered its stage.
    pub stage_entered_at: Time,
    /// When somebody last worked on it.
    pub activity_at: Time,
    /// When it was won; none unless WON.
    pub won_at: Option<Time>,
    /// The close-out in force; none unless CLOSED_OUT.
    pub close_out_id: Option<CloseOutId>,
    /// When that closed it.
    pub closed_at: Option<Time>,
    /// When the customer was lost with it; none if it does not count as a loss.
    pub loss_at: Option<Time>,
    /// It was entered with dates of the past.
    pub historical: bool,
    /// When the record last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
    /// How many times it has been closed out.
    pub epoch: i64,
    /// Number of the last message in its lane.
    pub sent: i64,
}

impl Keyed for Opportunity {
    type Key = (TenantId, OpportunityId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.opportunity_id)
    }
}

/// Real dates of an opportunity that began in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Created.
    pub created_at: Time,
    /// Entered its stage.
    pub stage_entered_at: Time,
    /// Last worked on.
    pub activity_at: Time,
}

/// An opportunity to be made.
#[derive(Clone, Debug)]
pub struct NewOpportunity {
    /// The caller's own number; empty: derived from the id.
    pub number: String,
    /// The customer.
    pub customer_id: Option<CustomerId>,
    /// What it is about.
    pub title: String,
    /// Who owns it.
    pub owner: String,
    /// Which team.
    pub team: String,
    /// Id of its stage.
    pub stage: &'static str,
    /// What it is worth.
    pub amount: Money,
    /// When it is expected to close.
    pub expected_close_at: Option<Time>,
    /// Where it came from.
    pub source: String,
    /// Dates of the past.
    pub historical: Option<Since>,
}

/// What to change of an opportunity.
#[derive(Clone, Debug, Default)]
pub struct OpportunityEdit {
    /// New number.
    pub number: Option<String>,
    /// The customer, where there was none.
    pub customer_id: Option<CustomerId>,
    /// New title.
    pub title: Option<String>,
    /// New owner.
    pub owner: Option<String>,
    /// New team.
    pub team: Option<String>,
    /// New amount.
    pub amount: Option<Money>,
    /// New expected close, or none.
    pub expected_close_at: Option<Option<Time>>,
    /// New source.
    pub source: Option<String>,
}

/// What a caller says to close an opportunity out.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Which.
    pub id: OpportunityId,
    /// Only this version.
    pub etag: String,
    /// Why; what it requires has been checked.
    pub reason: &'static Reason,
    /// The person's words.
    pub detail: String,
    /// The competitor.
    pub competitor: Option<CompetitorId>,
    /// When, if in the past.
    pub closed_at: Option<Time>,
}

impl Opportunity {
    fn mirror_state(&self) -> MirrorState {
        match self.state {
            State::Open => MirrorState::Live,
            State::Won => MirrorState::Won,
            State::ClosedOut => MirrorState::Closed,
        }
    }

    fn fact(&self, cause: &Cause, event: Event, now: Time, close_out: Option<&CloseOut>) -> Fact {
        Fact {
            event,
            customer_id: self.customer_id,
            customer_name: String::new(),
            parent: None,
            state: self.mirror_state(),
            epoch: self.epoch,
            owner: self.owner.clone(),
            actor: cause.actor.clone(),
            at: now,
            close_out: close_out.map(|close_out| close_out.fact(None)),
        }
    }

    fn check_open(&self) -> Result<(), Refusal> {
        match (self.state, self.close_out_id) {
            (State::Open, _) => Ok(()),
            (State::ClosedOut, Some(close_out)) => Err(Refusal::subject_closed(self.opportunity_id, close_out)),
            (State::Won | State::ClosedOut, _) => {
                let message = format!("{} is {}; reopen it first", self.opportunity_id, self.state.word());
                let refusal = Refusal::precondition("SUBJECT_CLOSED", self.opportunity_id, message);
                Err(refusal.with("state", self.state.word()))
            }
        }
    }

    fn snapshot(&self, at: Time) -> Snapshot {
        Snapshot {
            state: self.state.code(),
            state_word: self.state.word().to_owned(),
            stage: self.stage.clone(),
            days_in_stage: at.days_since(self.stage_entered_at),
            days_open: at.days_since(self.created_at),
            amount: self.amount,
            owner: self.owner.clone(),
            team: self.team.clone(),
            won_at: self.won_at,
            cancelled: Vec::new(),
        }
    }
}

impl World {
    /// Makes an opportunity.
    pub fn create_opportunity(&mut self, cause: &Cause, new: &NewOpportunity) -> Result<Opportunity, Refusal> {
        let tenant = cause.tenant_id;
        if let Some(customer) = new.customer_id {
            self.customers.get(&(tenant, customer)).ok_or_else(|| Refusal::not_found(customer))?;
        }
        self.check_number(tenant, &new.number)?;
        let now = self.common.now;
        let id = OpportunityId(self.common.new_id());
        let since = new.historical.unwrap_or(Since { created_at: now, stage_entered_at: now, activity_at: now });
        let number = if new.number.is_empty() { id.0.simple().to_string() } else { new.number.clone() };
        let opportunity = Opportunity {
            tenant_id: tenant,
            opportunity_id: id,
            number,
            customer_id: new.customer_id,
            title: new.title.clone(),
            owner: new.owner.clone(),
            team: new.team.clone(),
            stage: new.stage.to_owned(),
            state: State::Open,
            amount: new.amount,
            expected_close_at: new.expected_close_at,
            source: new.source.clone(),
            created_at: since.created_at,
            stage_entered_at: since.stage_entered_at,
            activity_at: since.activity_at,
            won_at: None,
            close_out_id: None,
            closed_at: None,
            loss_at: None,
            historical: new.historical.is_some(),
            updated_at: now,
            version: 1,
            epoch: 0,
            sent: 1,
        };
        let fact = opportunity.fact(cause, Event::Opened, now, None);
        self.common.send(cause, opportunity_record(id), 1, fact, None);
        self.audit_opportunity(cause, None, &opportunity, None);
        self.opportunities.insert(opportunity.clone());
        if let Some(customer) = opportunity.customer_id {
            self.touch(cause, customer, None, |customer| {
                customer.engaged = true;
                customer.open_count += 1;
                customer.amounts.add(OPEN, new.amount);
            });
        }
        Ok(opportunity)
    }

    /// Changes business fields of an open opportunity.
    pub fn update_opportunity(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        edit: &OpportunityEdit,
    ) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, id, etag)?;
        before.check_open()?;
        let customer_id = before.customer_id.or(edit.customer_id);
        if edit.customer_id.is_some_and(|given| Some(given) != customer_id) {
            let text = "the customer is set once; close this opportunity out as DUPLICATE and make another";
            return Err(Refusal::invalid(vec![Violation::new("opportunity.customer", "IMMUTABLE", text)]));
        }
        if let Some(customer) = customer_id {
            self.customers.get(&(cause.tenant_id, customer)).ok_or_else(|| Refusal::not_found(customer))?;
        }
        if let Some(number) = edit.number.as_ref().filter(|number| **number != before.number) {
            self.check_number(cause.tenant_id, number)?;
        }
        let edit = edit.clone();
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.number = edit.number.unwrap_or_else(|| opportunity.number.clone());
            opportunity.customer_id = customer_id;
            opportunity.title = edit.title.unwrap_or_else(|| opportunity.title.clone());
            opportunity.owner = edit.owner.unwrap_or_else(|| opportunity.owner.clone());
            opportunity.team = edit.team.unwrap_or_else(|| opportunity.team.clone());
            opportunity.amount = edit.amount.unwrap_or(opportunity.amount);
            opportunity.expected_close_at = edit.expected_close_at.unwrap_or(opportunity.expected_close_at);
            opportunity.source = edit.source.unwrap_or_else(|| opportunity.source.clone());
            opportunity.activity_at = opportunity.updated_at;
        })?;
        if let Some(customer) = customer_id {
            self.touch(cause, customer, None, |customer| {
                if before.customer_id.is_some() {
                    customer.amounts.subtract(OPEN, before.amount);
                } else {
                    customer.engaged = true;
                    customer.open_count += 1;
                }
                customer.amounts.add(OPEN, after.amount);
            });
        }
        if before.owner == after.owner && before.customer_id == after.customer_id {
            return Ok(after);
        }
        self.report(cause, &after, Event::Changed, None)
    }

    /// Moves an open opportunity to another stage.
    pub fn move_stage(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        stage: &'static str,
    ) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, id, etag)?;
        before.check_open()?;
        let now = self.common.now;
        self.change_opportunity(cause, &before, None, |opportunity| {
            if opportunity.stage != stage {
                opportunity.stage = stage.to_owned();
                opportunity.stage_entered_at = now;
            }
            opportunity.activity_at = now;
        })
    }

    /// Marks an open opportunity as won.
    pub fn win(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        amount: Option<Money>,
        won_at: Option<Time>,
    ) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, id, etag)?;
        before.check_open()?;
        let at = self.when(&before, won_at)?;
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.state = State::Won;
            opportunity.amount = amount.unwrap_or(opportunity.amount);
            opportunity.won_at = Some(at);
            opportunity.historical |= won_at.is_some();
        })?;
        let after = self.report(cause, &after, Event::Won, None)?;
        if let Some(customer) = after.customer_id {
            self.touch(cause, customer, None, |customer| {
                customer.open_count -= 1;
                customer.won_count += 1;
                customer.amounts.subtract(OPEN, before.amount);
                customer.amounts.add(WON, after.amount);
            });
            let record = opportunity_record(id);
            self.common.tell(cause, customer, "opportunity.won", record, None, after.amount.to_string());
        }
        Ok(after)
    }

    /// Closes an opportunity out as LOST.
    pub fn close_out(&mut self, cause: &Cause, closing: &Closing) -> Result<(Opportunity, CloseOutId), Refusal> {
        let before = self.opportunity(cause, closing.id, &closing.etag)?;
        self.check_closable(cause.tenant_id, &before)?;
        self.check_competitor(cause.tenant_id, closing.competitor)?;
        let closed_at = self.when(&before, closing.closed_at)?;
        let close_out = CloseOut {
            tenant_id: cause.tenant_id,
            close_out_id: CloseOutId(self.common.new_id()),
            subject: opportunity_record(closing.id),
            customer_id: before.customer_id,
            episode: before.epoch + 1,
            outcome: Outcome::Lost,
            reason_code: closing.reason.code.to_owned(),
            reason_version: closing.reason.version,
            class: closing.reason.class,
            detail: closing.detail.clone(),
            competitor_id: closing.competitor,
            snapshot: before.snapshot(closed_at),
            actor: cause.actor.clone(),
            closed_at,
            historical: closing.closed_at.is_some(),
            state: CloseOutState::Effective,
            cause: None,
            hop: 0,
            request_id: cause.request_id,
            effects: Vec::new(),
            delivery: Delivery::PENDING,
            reversal: None,
            reversal_delivery: None,
        };
        self.carry_out(cause, &before, close_out)
    }

    fn carry_out(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        mut close_out: CloseOut,
    ) -> Result<(Opportunity, CloseOutId), Refusal> {
        let (id, record) = (close_out.close_out_id, close_out.subject);
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = State::ClosedOut;
            opportunity.close_out_id = Some(id);
            opportunity.closed_at = Some(close_out.closed_at);
            opportunity.loss_at = close_out.loss_at();
            opportunity.epoch += 1;
        })?;
        let after = self.report(cause, &after, Event::Closed, Some(&close_out))?;
        close_out.effects = self.common.cancel_tasks(cause, Side::Opportunity, record, id, &[]);
        if let Some(customer) = after.customer_id {
            let changes = self.touch(cause, customer, Some(id), |customer| {
                customer.open_count -= 1;
                customer.lost_count += 1;
                customer.amounts.subtract(OPEN, before.amount);
                customer.amounts.add(LOST, after.amount);
            });
            close_out.effects.extend(changes);
            let text = format!("{}@{}", close_out.reason_code, close_out.reason_version);
            self.common.tell(cause, customer, "opportunity.closed_out", record, Some(id), text);
        }
        self.common.close_outs.insert(close_out);
        Ok((after, id))
    }

    /// Takes a close-out back, or a win.
    pub fn reopen(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        note: &str,
    ) -> Result<(Opportunity, Option<CloseOutId>), Refusal> {
        let before = self.opportunity(cause, id, etag)?;
        match (before.state, before.close_out_id) {
            (State::ClosedOut, Some(close_out)) => {
                self.reverse(cause, &before, close_out, note).map(|after| (after, Some(close_out)))
            }
            (State::Won, _) => self.take_win_back(cause, &before).map(|after| (after, None)),
            (State::Open | State::ClosedOut, _) => {
                let message = format!("{id} is {}; only a closed-out or won one can be reopened", before.state.word());
                Err(Refusal::precondition("NOT_CLOSED", id, message).with("state", before.state.word()))
            }
        }
    }

    fn reverse(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        id: CloseOutId,
        note: &str,
    ) -> Result<Opportunity, Refusal> {
        let close_out = self.common.close_outs.get(&(cause.tenant_id, id)).cloned();
        let close_out = close_out.ok_or_else(|| Refusal::not_found(id))?;
        let state = State::from_code(close_out.snapshot.state.into()).unwrap_or(State::Open);
        let now = self.common.now;
        let snapshot = close_out.snapshot.clone();
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = state;
            opportunity.stage = snapshot.stage;
            opportunity.won_at = snapshot.won_at;
            opportunity.close_out_id = None;
            opportunity.closed_at = None;
            opportunity.loss_at = None;
            opportunity.activity_at = now;
        })?;
        let after = self.report(cause, &after, Event::Reopened, Some(&close_out))?;
        let record = opportunity_record(before.opportunity_id);
        let mut effects = self.common.restore_tasks(cause, Side::Opportunity, record, id);
        if let Some(customer) = after.customer_id {
            effects.extend(self.touch(cause, customer, Some(id), |customer| {
                customer.lost_count -= 1;
                customer.amounts.subtract(LOST, before.amount);
                if state == State::Won {
                    customer.won_count += 1;
                    customer.amounts.add(WON, after.amount);
                } else {
                    customer.open_count += 1;
                    customer.amounts.add(OPEN, after.amount);
                }
            }));
            let text = note.to_owned();
            self.common.tell(cause, customer, "opportunity.reopened", record, Some(id), text);
        }
        self.common.reverse(cause, id, note, effects);
        Ok(after)
    }

    fn take_win_back(&mut self, cause: &Cause, before: &Opportunity) -> Result<Opportunity, Refusal> {
        self.check_no_live_order(cause.tenant_id, before.opportunity_id)?;
        let now = self.common.now;
        let after = self.change_opportunity(cause, before, None, |opportunity| {
            opportunity.state = State::Open;
            opportunity.won_at = None;
            opportunity.activity_at = now;
        })?;
        let after = self.report(cause, &after, Event::Reopened, None)?;
        if let Some(customer) = after.customer_id {
            self.touch(cause, customer, None, |customer| {
                customer.won_count -= 1;
                customer.open_count += 1;
                customer.amounts.subtract(WON, before.amount);
                customer.amounts.add(OPEN, after.amount);
            });
            let record = opportunity_record(before.opportunity_id);
            self.common.tell(cause, customer, "opportunity.reopened", record, None, String::new());
        }
        Ok(after)
    }

    fn opportunity(&self, cause: &Cause, id: OpportunityId, etag: &str) -> Result<Opportunity, Refusal> {
        let row = self.opportunities.get(&(cause.tenant_id, id)).ok_or_else(|| Refusal::not_found(id))?;
        check_etag(etag, row.version, id)?;
        Ok(row.clone())
    }

    fn change_opportunity(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        close_out: Option<CloseOutId>,
        change: impl FnOnce(&mut Opportunity),
    ) -> Result<Opportunity, Refusal> {
        let now = self.common.now;
        let row = self.opportunities.edit(&before.key()).ok_or_else(|| Refusal::not_found(before.opportunity_id))?;
        row.updated_at = now;
        row.version += 1;
        change(row);
        let after = row.clone();
        self.audit_opportunity(cause, Some(before), &after, close_out);
        Ok(after)
    }

    fn audit_opportunity(
        &mut self,
        cause: &Cause,
        before: Option<&Opportunity>,
        after: &Opportunity,
        close_out: Option<CloseOutId>,
    ) {
        let change = Change {
            from: before.map_or(0, |before| before.version),
            to: after.version,
            state_before: before.map_or("", |before| before.state.word()),
            state_after: after.state.word(),
            close_out,
        };
        self.common.audit(cause, after.opportunity_id, change);
    }

    /// Tells the order service what has become of the opportunity.
    fn report(
        &mut self,
        cause: &Cause,
        after: &Opportunity,
        event: Event,
        close_out: Option<&CloseOut>,
    ) -> Result<Opportunity, Refusal> {
        let now = self.common.now;
        let row = self.opportunities.edit(&after.key()).ok_or_else(|| Refusal::not_found(after.opportunity_id))?;
        row.sent += 1;
        let after = row.clone();
        let delivery = close_out.map(|close_out| (close_out.close_out_id, event == Event::Reopened));
        let fact = after.fact(cause, event, now, close_out);
        self.common.send(cause, opportunity_record(after.opportunity_id), after.sent, fact, delivery);
        Ok(after)
    }

    fn check_closable(&self, tenant: TenantId, opportunity: &Opportunity) -> Result<(), Refusal> {
        let id = opportunity.opportunity_id;
        match (opportunity.state, opportunity.close_out_id) {
            (State::Open, _) => self.check_no_live_order(tenant, id),
            (State::ClosedOut, Some(close_out)) => {
                let message = format!("{id} is closed out already, by {close_out}");
                Err(Refusal::precondition("ALREADY_CLOSED", id, message).with("close_out", close_out))
            }
            (State::Won | State::ClosedOut, _) => {
                let message = format!("{id} is won; reopen it before you close it out");
                Err(Refusal::precondition("WRONG_STATE", id, message).with("state", opportunity.state.word()))
            }
        }
    }

    fn check_no_live_order(&self, tenant: TenantId, id: OpportunityId) -> Result<(), Refusal> {
        let live = self.common.live_orders(tenant, opportunity_record(id));
        let Some(first) = live.first() else { return Ok(()) };
        let names: Vec<_> = live.iter().map(Record::to_string).collect();
        let message = format!("{id} has {} live order(s), such as {first}; close them out first", live.len());
        Err(Refusal::precondition("LIVE_ORDER", id, message).with("orders", names.join(",")))
    }

    fn check_competitor(&self, tenant: TenantId, competitor: Option<CompetitorId>) -> Result<(), Refusal> {
        let Some(id) = competitor else { return Ok(()) };
        let row = self.competitors.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
        if row.active {
            return Ok(());
        }
        let message = format!("{id} ({}) is not active any more; name another competitor", row.display_name);
        Err(Refusal::precondition("COMPETITOR_INACTIVE", id, message))
    }

    fn check_number(&self, tenant: TenantId, number: &str) -> Result<(), Refusal> {
        let mut own = self.opportunities.iter();
        let taken = self.numbers.contains(&(tenant, number.to_owned()))
            || own.any(|o| o.tenant_id == tenant && o.number == number);
        if number.is_empty() || !taken {
            return Ok(());
        }
        let message = format!("number {number} is taken by another opportunity; give it another one");
        Err(Refusal::new(RefusalKind::Exists, "NUMBER_TAKEN", number, message))
    }

    fn when(&self, opportunity: &Opportunity, given: Option<Time>) -> Result<Time, Refusal> {
        let at = given.unwrap_or(self.common.now);
        if given.is_none() || at >= opportunity.created_at {
            return Ok(at);
        }
        let text = "must not be before the opportunity's create_time";
        Err(Refusal::invalid(vec![Violation::new("historical.close_time", "OUT_OF_RANGE", text)]))
    }
}
