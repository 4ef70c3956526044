//! Opportunities: what they are, and how a change of one is recorded and reported. `working` is the way to won, `holding` a pause on it,
//! `staling` what is done where nobody goes that way, `closing` the close-out and its reversal with every guard of them, `approving` its
//! waiting for another person, `amending` its correction.

mod amending;
mod approving;
#[cfg(test)]
mod approving_tests;
mod closing;
mod holding;
mod staling;
mod working;

pub(super) use closing::Grounds;
pub use holding::Hold;
pub use staling::Staling;

use super::{World, opportunity_record, stale::Flag};
use crm_closeout::{
    access::{Owned, Right},
    cascade::{Change, Resend},
    codes,
    codes::Code,
    episode::{CloseOut, Snapshot},
    exchange::Rates,
    fact::{Event, Fact, MirrorState},
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, OpportunityId, TenantId, WinBackPlanId},
    money::Money,
    pipeline::StageName,
    reason::Given,
    refusal::{Refusal, Violation, check_etag},
    remarks::Remarks,
    seeded_bug,
    time::Time,
    wording,
    working_set::{Cause, Keyed},
};

codes! {
    /// Where an opportunity stands.
    pub enum State {
        /// Being worked on.
        Open = 1 "OPEN",
        /// Put on hold until a day. It counts as open.
        OnHold = 2 "ON_HOLD",
        /// Its close-out waits for another person's approval. Until that it counts as what it was: open, or won.
        ClosePending = 3 "CLOSE_PENDING",
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
    /// Its stage.
    pub stage: StageName,
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
    /// When it was won; none unless it counts as WON.
    pub won_at: Option<Time>,
    /// Until when it is on hold, or was when it was closed out.
    pub resume_at: Option<Time>,
    /// Why, in the person's words; empty: it is not.
    pub hold_note: String,
    /// What was done about its being stale; none since somebody worked on it.
    pub flag: Option<Flag>,
    /// The close-out of its last order that took its win back.
    pub taken_back_by: Option<CloseOutId>,
    /// When it had been won before that; none if something else has moved it since.
    pub won_before: Option<Time>,
    /// The close-out in force, or the one that waits for approval; none unless CLOSED_OUT or CLOSE_PENDING.
    pub close_out_id: Option<CloseOutId>,
    /// When that closed it.
    pub closed_at: Option<Time>,
    /// When the customer was lost with it; none if it does not count as a loss.
    pub loss_at: Option<Time>,
    /// The plan to win the customer back of which it came.
    pub recovered_from: Option<WinBackPlanId>,
    /// It was entered with dates of the past.
    pub historical: bool,
    /// When the record last changed.
    pub updated_at: Time,
    /// Raised by one at each change.
    pub version: i64,
    /// How many times it has been closed out.
    pub epoch: i64,
    /// How many close-outs were asked for and came to nothing.
    pub declined: i64,
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
    /// Its stage; none: the first one.
    pub stage: Option<StageName>,
    /// What it is worth.
    pub amount: Money,
    /// When it is expected to close.
    pub expected_close_at: Option<Time>,
    /// Where it came from.
    pub source: String,
    /// The plan to win the customer back of which it comes.
    pub recovered_from: Option<WinBackPlanId>,
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
    /// Resource name of the reason.
    pub reason: String,
    /// The person's words.
    pub detail: String,
    /// The competitor.
    pub competitor: Option<CompetitorId>,
    /// When, if in the past.
    pub closed_at: Option<Time>,
    /// What it says beside its reason.
    pub remarks: Remarks<String>,
    /// The close-out of the whole customer that asks for it.
    pub group_id: Option<GroupId>,
}

impl Closing {
    /// What it gives as its reason.
    pub fn given(&self) -> Given<'_> {
        Given {
            reason: &self.reason,
            detail: &self.detail,
            competitor: self.competitor.is_some(),
            historical: self.closed_at.is_some(),
            secondary: &self.remarks.secondary,
            verification: self.remarks.verification.as_ref(),
        }
    }
}

impl Opportunity {
    /// The state that it counts as: until its close-out is approved the one that it was in.
    pub const fn counts_as(&self) -> State {
        match (self.state, self.won_at) {
            (State::ClosePending, Some(_)) => State::Won,
            (State::ClosePending, None) => State::Open,
            (state, _) => state,
        }
    }

    /// It is entered with dates of the past, and was closed out before it was entered here.
    pub(super) fn is_entered_late(&self, closing: &Closing) -> bool {
        let entered = Time::of_id(self.opportunity_id.0);
        self.historical && closing.closed_at.is_some_and(|at| entered.is_none_or(|entered| at < entered))
    }

    /// Whose it is.
    pub(super) fn owned(&self) -> Owned<'_> {
        Owned { owner: &self.owner, team: &self.team }
    }

    /// The close-out in force.
    pub fn closed_by(&self) -> Option<CloseOutId> {
        self.close_out_id.filter(|_| self.state == State::ClosedOut)
    }

    fn mirror_state(&self) -> MirrorState {
        match self.counts_as() {
            State::Open | State::OnHold | State::ClosePending => MirrorState::Live,
            State::Won => MirrorState::Won,
            State::ClosedOut => MirrorState::Closed,
        }
    }

    pub(super) fn fact(&self, cause: &Cause, event: Event, now: Time, close_out: Option<&CloseOut>) -> Fact {
        Fact {
            event,
            customer_id: self.customer_id,
            customer_name: String::new(),
            parent: None,
            state: self.mirror_state(),
            epoch: self.epoch,
            owner: self.owner.clone(),
            actor: close_out.map_or(&cause.actor, |close_out| close_out.acted(event, cause)).clone(),
            at: now,
            close_out: close_out.map(|close_out| close_out.fact(event, None)),
            reason: None,
            settings: None,
            rate: None,
        }
    }

    /// Open, and not on hold.
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        self.check_in_work()?;
        match self.resume_at.filter(|_| self.state == State::OnHold) {
            Some(until) => Err(Refusal::new(&wording::ON_HOLD, self.opportunity_id).with("until", until)),
            None => Ok(()),
        }
    }

    /// Open, on hold or not.
    pub(super) fn check_in_work(&self) -> Result<(), Refusal> {
        match (self.state, self.close_out_id) {
            (State::Open | State::OnHold, _) => Ok(()),
            (State::ClosedOut, Some(close_out)) => Err(Refusal::subject_closed(self.opportunity_id, close_out)),
            (State::ClosePending, Some(close_out)) => Err(Refusal::close_pending(self.opportunity_id, close_out)),
            (State::Won | State::ClosedOut | State::ClosePending, _) => {
                Err(Refusal::new(&wording::SUBJECT_ENDED, self.opportunity_id).with("state", self.state.word()))
            }
        }
    }

    pub(super) fn snapshot(&self, at: Time, rates: &Rates) -> Snapshot {
        Snapshot {
            state: self.state.code(),
            state_word: self.state.word().to_owned(),
            stage: Some(self.stage.clone()),
            days_in_stage: at.days_since(self.stage_entered_at),
            days_open: at.days_since(self.created_at),
            amount: self.amount,
            exchange: rates.exchange(self.tenant_id, self.amount, at),
            owner: self.owner.clone(),
            team: self.team.clone(),
            won_at: self.won_at,
            cancelled: Vec::new(),
        }
    }
}

impl World {
    /// An opportunity that who is behind the command may do this with.
    pub(super) fn opportunity(
        &self,
        cause: &Cause,
        right: Right,
        id: OpportunityId,
        etag: &str,
    ) -> Result<Opportunity, Refusal> {
        self.opportunity_if(cause, id, etag, |row| cause.may(right, id, row.owned()))
    }

    /// An opportunity that is permitted, in the version that is meant.
    pub(super) fn opportunity_if(
        &self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        permitted: impl FnOnce(&Opportunity) -> Result<(), Refusal>,
    ) -> Result<Opportunity, Refusal> {
        let row = self.opportunities.get(&(cause.tenant_id, id)).ok_or_else(|| Refusal::not_found(id))?;
        permitted(row)?;
        check_etag(etag, row.version, id)?;
        Ok(row.clone())
    }

    pub(super) fn change_opportunity(
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
        if row.activity_at != before.activity_at {
            row.flag = None;
        }
        let after = row.clone();
        self.audit_opportunity(cause, Some(before), &after, close_out);
        Ok(after)
    }

    pub(super) fn audit_opportunity(
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
    pub(super) fn report(
        &mut self,
        cause: &Cause,
        after: &Opportunity,
        event: Event,
        close_out: Option<&CloseOut>,
    ) -> Result<Opportunity, Refusal> {
        let now = self.common.now;
        let row = self.opportunities.edit(&after.key()).ok_or_else(|| Refusal::not_found(after.opportunity_id))?;
        row.sent += i64::from(!seeded_bug!("number-outside-lock", 5));
        let after = row.clone();
        // Receipts of a correction are nobody's: those of the close stay.
        let delivery = close_out.filter(|_| event != Event::Amended);
        let delivery = delivery.map(|close_out| (close_out.close_out_id, event == Event::Reopened));
        let fact = after.fact(cause, event, now, close_out);
        self.common.send(cause, opportunity_record(after.opportunity_id), after.sent, fact, delivery);
        Ok(after)
    }

    /// Sends the whole state of an opportunity again; answers the number with which it is sent.
    pub fn resend_opportunity(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let (key, now) = ((cause.tenant_id, OpportunityId(resend.record.id)), self.common.now);
        let row = self.opportunities.edit(&key).ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let row = row.clone();
        let in_force = row.closed_by().and_then(|id| self.common.close_outs.get(&(cause.tenant_id, id)).cloned());
        self.common.send_snapshot(cause, resend, row.sent, row.fact(cause, Event::Snapshot, now, None), in_force);
        Ok(row.sent)
    }

    pub(super) fn when(&self, opportunity: &Opportunity, given: Option<Time>) -> Result<Time, Refusal> {
        let at = given.unwrap_or(self.common.now);
        if given.is_none() || at >= opportunity.created_at {
            return Ok(at);
        }
        Err(Violation::new("historical.close_time", &wording::BEFORE_CREATION).into())
    }
}
