//! The close-out of an opportunity and its reversal. Every guard of `close_out` and `reopen` stands here.

use super::{Closing, Opportunity, State};
use crate::domain::{World, opportunity_record, win_back::Loss};
use crm_closeout::{
    access::Right,
    approval::Approval,
    codes::{Code, Record, Side},
    episode::{CloseOut, CloseOutState, Delivery, Effect, EffectKind, Outcome, OutcomeClass},
    fact::Event,
    ids::{CloseOutId, CompetitorId, GroupId, OpportunityId, TenantId},
    plan::{Objections, Preview},
    reason::{Reason, ReasonScope},
    refusal::Refusal,
    remarks::{Cited, Remarks},
    time::Time,
    wording,
    working_set::Cause,
};

/// Why and by whose cause an opportunity is closed out, whoever asks for it.
pub(in crate::domain) struct Grounds {
    pub(in crate::domain) reason_code: String,
    pub(in crate::domain) reason_version: i64,
    pub(in crate::domain) class: Option<OutcomeClass>,
    pub(in crate::domain) win_back_days: i32,
    pub(in crate::domain) detail: String,
    pub(in crate::domain) competitor: Option<CompetitorId>,
    pub(in crate::domain) closed_at: Time,
    pub(in crate::domain) historical: bool,
    pub(in crate::domain) cause: Option<CloseOutId>,
    pub(in crate::domain) hop: i32,
    pub(in crate::domain) group_id: Option<GroupId>,
    pub(in crate::domain) remarks: Remarks,
    pub(in crate::domain) approval: Option<Approval>,
}

/// An opportunity and what a close-out of it comes to, as far as both are known.
struct Judged {
    before: Option<Opportunity>,
    reason: Option<Reason>,
    cited: Vec<Cited>,
    closed_at: Time,
    against: Objections,
}

impl Closing {
    fn grounds(&self, reason: Reason, cited: Vec<Cited>, closed_at: Time, approval: Option<Approval>) -> Grounds {
        Grounds {
            reason_code: reason.code.into_owned(),
            reason_version: reason.version,
            class: reason.class,
            win_back_days: reason.win_back_days,
            detail: self.detail.clone(),
            competitor: self.competitor,
            closed_at,
            historical: self.closed_at.is_some(),
            cause: None,
            hop: 0,
            group_id: self.group_id,
            remarks: self.remarks.clone().citing(cited),
            approval,
        }
    }
}

impl World {
    /// Closes an opportunity out as LOST, or asks for the approval that this needs.
    pub fn close_out(&mut self, cause: &Cause, closing: &Closing) -> Result<(Opportunity, CloseOutId), Refusal> {
        let Judged { before, reason, cited, closed_at, against } = self.judge(cause, closing);
        against.decide()?;
        let (Some(before), Some(reason)) = (before, reason) else { return Err(Refusal::not_found(closing.id)) };
        let approval = self.approval(&before, closing);
        let grounds = closing.grounds(reason, cited, closed_at, approval);
        if grounds.approval.is_none() {
            self.carry_out(cause, &before, grounds)
        } else {
            self.ask(cause, &before, grounds)
        }
    }

    /// Does what closing an opportunity out does, as far as that can be told, and says what would refuse it. Nothing of it may be kept.
    pub fn preview(
        &mut self,
        cause: &Cause,
        closing: &Closing,
    ) -> Result<(Opportunity, Option<CloseOutId>, Preview), Refusal> {
        let Judged { before, reason, cited, closed_at, against } = self.judge(cause, closing);
        let Some(before) = before else {
            return Err(against.decide().err().unwrap_or_else(|| Refusal::not_found(closing.id)));
        };
        let approval = self.approval(&before, closing);
        let mut preview = against.preview(reason.as_ref(), Outcome::Lost, closed_at, closing.closed_at.is_some());
        preview.win_back_at = preview.win_back_at.filter(|_| self.may_win_back(cause.tenant_id, before.customer_id));
        let goes_on = matches!(before.state, State::Open | State::OnHold | State::Won);
        let Some(reason) = reason.filter(|_| goes_on) else { return Ok((before, None, preview)) };
        let grounds = closing.grounds(reason, cited, closed_at, approval);
        let (after, close_out) = self.carry_out(cause, &before, grounds)?;
        Ok((after, Some(close_out), preview))
    }

    /// Every guard of a close-out.
    fn judge(&self, cause: &Cause, closing: &Closing) -> Judged {
        let (tenant, given, now) = (cause.tenant_id, closing.given(), self.common.now);
        let mut against = Objections::default();
        let record = opportunity_record(closing.id);
        let scope = ReasonScope::Opportunity;
        let (reason, cited) = self.common.heed_reason(&mut against, tenant, scope, &given, record);
        let before = against.heed(self.opportunity(cause, Right::CloseOut, closing.id, &closing.etag));
        let mut closed_at = closing.closed_at.unwrap_or(now);
        if closing.closed_at.is_some() {
            against.heed(cause.may_import());
        }
        if let Some(before) = &before {
            against.heed(self.check_closable(tenant, before, before.is_entered_late(closing)));
            closed_at = against.heed(self.when(before, closing.closed_at)).unwrap_or(closed_at);
        }
        against.heed(self.check_competitor(tenant, closing.competitor));
        Judged { before, reason, cited, closed_at, against }
    }

    /// Closes the opportunity out, on a caller's or another close-out's grounds.
    pub(in crate::domain) fn carry_out(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        grounds: Grounds,
    ) -> Result<(Opportunity, CloseOutId), Refusal> {
        let close_out = self.record(cause, before, grounds);
        let id = close_out.close_out_id;
        self.enforce(cause, before, close_out).map(|after| (after, id))
    }

    /// The record of a close-out that is to be done.
    pub(super) fn record(&mut self, cause: &Cause, before: &Opportunity, grounds: Grounds) -> CloseOut {
        CloseOut {
            tenant_id: cause.tenant_id,
            close_out_id: CloseOutId(self.common.new_id()),
            subject: opportunity_record(before.opportunity_id),
            customer_id: before.customer_id,
            episode: before.epoch + before.declined + 1,
            outcome: Outcome::Lost,
            reason_code: grounds.reason_code,
            reason_version: grounds.reason_version,
            class: grounds.class,
            win_back_days: grounds.win_back_days,
            detail: grounds.detail,
            competitor_id: grounds.competitor,
            remarks: grounds.remarks.assigned_to(&before.owner),
            snapshot: before.snapshot(grounds.closed_at, &self.common.exchange),
            actor: cause.actor.clone(),
            closed_at: grounds.closed_at,
            historical: grounds.historical,
            state: CloseOutState::Effective,
            cause: grounds.cause,
            hop: grounds.hop,
            group_id: grounds.group_id,
            request_id: cause.request_id,
            effects: Vec::new(),
            delivery: Delivery::PENDING,
            reversal: None,
            reversal_delivery: None,
            amendments: Vec::new(),
            approval: grounds.approval,
        }
    }

    /// Does what a close-out does.
    pub(super) fn enforce(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        mut close_out: CloseOut,
    ) -> Result<Opportunity, Refusal> {
        let (id, record) = (close_out.close_out_id, close_out.subject);
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = State::ClosedOut;
            opportunity.won_at = None;
            opportunity.won_before = None;
            opportunity.close_out_id = Some(id);
            opportunity.closed_at = Some(close_out.closed_at);
            opportunity.loss_at = close_out.loss_at();
            opportunity.epoch += 1;
        })?;
        let after = self.report(cause, &after, Event::Closed, Some(&close_out))?;
        close_out.effects = self.common.cancel_tasks(cause, Side::Opportunity, record, id, &[]);
        self.common.remark(cause, Side::Opportunity, &mut close_out);
        if let Some(loss) = Loss::of_opportunity(&close_out, &after) {
            self.plan_win_back(cause, &loss);
        }
        if let Some(customer) = after.customer_id {
            let changes = self.touch(cause, customer, Some(id), |customer| {
                customer.remove(before);
                customer.add(&after);
            });
            close_out.effects.extend(changes);
            let text = format!("{}@{}", close_out.reason_code, close_out.reason_version);
            let tenant = cause.tenant_id;
            self.common.tell_of(&close_out.actor, tenant, customer, "opportunity.closed_out", (record, Some(id)), text);
        }
        self.common.close_outs.put(close_out);
        Ok(after)
    }

    /// Takes a close-out back, or a win.
    pub fn reopen(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        note: &str,
    ) -> Result<(Opportunity, Option<CloseOutId>), Refusal> {
        let before = self.opportunity_if(cause, id, etag, |row| match (row.state, row.closed_by()) {
            (_, Some(by)) => self.common.may_take_back(cause, Right::ReopenOpportunities, by, row.owned()),
            (State::Won, None) => cause.may(Right::ReopenOpportunities, id, row.owned()),
            (State::Open | State::OnHold | State::ClosePending | State::ClosedOut, None) => Ok(()),
        })?;
        self.check_not_closing(cause.tenant_id, before.customer_id)?;
        match (before.state, before.close_out_id) {
            (State::ClosedOut, Some(close_out)) => {
                self.reverse(cause, &before, close_out, note).map(|(after, _)| (after, Some(close_out)))
            }
            (State::Won, _) => {
                self.check_no_live_order(cause.tenant_id, id)?;
                self.take_back_win(cause, &before, None).map(|(after, _)| (after, None))
            }
            (State::ClosePending, Some(close_out)) => Err(Refusal::close_pending(id, close_out)),
            (State::Open | State::OnHold | State::ClosedOut | State::ClosePending, _) => {
                Err(Refusal::new(&wording::NOT_CLOSED_OR_WON, id).with("state", before.state.word()))
            }
        }
    }

    /// Reverses a close-out, for a caller or because the close-out that caused it was reversed.
    pub(in crate::domain) fn reverse(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        id: CloseOutId,
        note: &str,
    ) -> Result<(Opportunity, Vec<Effect>), Refusal> {
        let close_out = self.common.close_out(cause.tenant_id, id)?;
        let state = State::from_code(close_out.snapshot.state.into()).unwrap_or(State::Open);
        let now = self.common.now;
        let snapshot = close_out.snapshot.clone();
        let after = self.change_opportunity(cause, before, Some(id), |opportunity| {
            opportunity.state = state;
            opportunity.stage = snapshot.stage.unwrap_or_else(|| before.stage.clone());
            opportunity.won_at = snapshot.won_at;
            opportunity.close_out_id = None;
            opportunity.closed_at = None;
            opportunity.loss_at = None;
            opportunity.activity_at = now;
        })?;
        let after = self.report(cause, &after, Event::Reopened, Some(&close_out))?;
        self.hold_on(&after);
        let record = opportunity_record(before.opportunity_id);
        let mut effects = self.common.restore_tasks(cause, Side::Opportunity, record, id);
        effects.extend(self.common.withdraw_follow_up(cause, Side::Opportunity, &close_out));
        self.cancel_win_back(cause, id);
        if let Some(customer) = after.customer_id {
            effects.extend(self.touch(cause, customer, Some(id), |customer| {
                customer.remove(before);
                customer.add(&after);
            }));
            let text = note.to_owned();
            self.common.tell(cause, customer, "opportunity.reopened", record, Some(id), text);
        }
        self.common.reverse(cause, id, note, effects.clone());
        Ok((after, effects))
    }

    /// Takes a win back, for a caller or because of the close-out `by` of its last order.
    pub(in crate::domain) fn take_back_win(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        by: Option<CloseOutId>,
    ) -> Result<(Opportunity, Vec<Effect>), Refusal> {
        let now = self.common.now;
        self.move_win(cause, before, by, Event::Reopened, "opportunity.reopened", |opportunity| {
            opportunity.state = State::Open;
            opportunity.taken_back_by = by;
            opportunity.won_before = before.won_at.filter(|_| by.is_some());
            opportunity.won_at = None;
            opportunity.activity_at = now;
        })
    }

    /// Gives a win back that the close-out `by` had taken, now that it is reversed.
    pub(in crate::domain) fn give_back_win(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        by: CloseOutId,
    ) -> Result<(Opportunity, Vec<Effect>), Refusal> {
        self.move_win(cause, before, Some(by), Event::Won, "opportunity.won", |opportunity| {
            opportunity.state = State::Won;
            opportunity.won_at = before.won_before;
            opportunity.taken_back_by = None;
            opportunity.won_before = None;
        })
    }

    fn move_win(
        &mut self,
        cause: &Cause,
        before: &Opportunity,
        by: Option<CloseOutId>,
        event: Event,
        kind: &str,
        change: impl FnOnce(&mut Opportunity),
    ) -> Result<(Opportunity, Vec<Effect>), Refusal> {
        let after = self.change_opportunity(cause, before, by, change)?;
        let after = self.report(cause, &after, event, None)?;
        let (from, to) = (before.state.word(), after.state.word());
        let mut effects =
            vec![Effect::new(Side::Opportunity, EffectKind::SubjectReopened, before.opportunity_id, from, to)];
        if let Some(customer) = after.customer_id {
            effects.extend(self.touch(cause, customer, by, |customer| {
                customer.remove(before);
                customer.add(&after);
            }));
            let record = opportunity_record(before.opportunity_id);
            self.common.tell(cause, customer, kind, record, by, String::new());
        }
        Ok((after, effects))
    }

    fn check_closable(&self, tenant: TenantId, opportunity: &Opportunity, late: bool) -> Result<(), Refusal> {
        let id = opportunity.opportunity_id;
        match (opportunity.state, opportunity.close_out_id) {
            (State::Open | State::OnHold, _) => self.check_no_live_order(tenant, id),
            (State::Won, _) if !late => self.check_no_live_order(tenant, id),
            (State::ClosePending, Some(close_out)) => Err(Refusal::close_pending(id, close_out)),
            (State::ClosedOut, Some(close_out)) => {
                Err(Refusal::new(&wording::ALREADY_CLOSED, id).with("close_out", close_out))
            }
            (State::Won | State::ClosedOut | State::ClosePending, _) => {
                Err(Refusal::new(&wording::WON_FIRST, id).with("state", opportunity.state.word()))
            }
        }
    }

    pub(super) fn check_no_live_order(&self, tenant: TenantId, id: OpportunityId) -> Result<(), Refusal> {
        let live = self.common.live_orders(tenant, opportunity_record(id));
        let Some(first) = live.first() else { return Ok(()) };
        let names: Vec<_> = live.iter().map(Record::to_string).collect();
        let refusal = Refusal::new(&wording::LIVE_ORDER, id).with("count", live.len()).with("first", first);
        Err(refusal.with("orders", names.join(",")))
    }

    pub(in crate::domain) fn check_competitor(
        &self,
        tenant: TenantId,
        competitor: Option<CompetitorId>,
    ) -> Result<(), Refusal> {
        let Some(id) = competitor else { return Ok(()) };
        self.competitors.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?.check_named()
    }
}
