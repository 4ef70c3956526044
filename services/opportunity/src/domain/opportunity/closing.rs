//! The close-out of an opportunity and its reversal. Every guard of `close_out` and `reopen` stands here.

use super::{Closing, Opportunity, State};
use crate::domain::{
    World,
    customer::{LOST, OPEN, WON},
    opportunity_record,
};
use crm_closeout::{
    codes::{Code, Record, Side},
    episode::{CloseOut, CloseOutState, Delivery, Outcome},
    fact::Event,
    ids::{CloseOutId, CompetitorId, OpportunityId, TenantId},
    plan::{Objections, Preview},
    reason::{Reason, ReasonScope},
    refusal::Refusal,
    remarks::Cited,
    time::Time,
    wording,
    working_set::Cause,
};

/// An opportunity and what a close-out of it comes to, as far as both are known.
struct Judged {
    before: Option<Opportunity>,
    reason: Option<Reason>,
    cited: Vec<Cited>,
    closed_at: Time,
    against: Objections,
}

impl World {
    /// Closes an opportunity out as LOST.
    pub fn close_out(&mut self, cause: &Cause, closing: &Closing) -> Result<(Opportunity, CloseOutId), Refusal> {
        let Judged { before, reason, cited, closed_at, against } = self.judge(cause, closing);
        against.decide()?;
        let (Some(before), Some(reason)) = (before, reason) else { return Err(Refusal::not_found(closing.id)) };
        let close_out = self.episode(cause, closing, &before, reason, cited, closed_at);
        self.carry_out(cause, &before, close_out)
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
        let preview = against.preview(reason.as_ref(), closed_at, closing.closed_at.is_some());
        let Some(reason) = reason.filter(|_| before.state == State::Open) else { return Ok((before, None, preview)) };
        let close_out = self.episode(cause, closing, &before, reason, cited, closed_at);
        let (after, close_out) = self.carry_out(cause, &before, close_out)?;
        Ok((after, Some(close_out), preview))
    }

    /// Every guard of a close-out.
    fn judge(&self, cause: &Cause, closing: &Closing) -> Judged {
        let (tenant, given, now) = (cause.tenant_id, closing.given(), self.common.now);
        let mut against = Objections::default();
        let record = opportunity_record(closing.id);
        let checked = against.heed(self.common.check_reason(tenant, ReasonScope::Opportunity, &given, record));
        let before = against.heed(self.opportunity(cause, closing.id, &closing.etag));
        let mut closed_at = closing.closed_at.unwrap_or(now);
        if let Some(before) = &before {
            against.heed(self.check_closable(tenant, before));
            closed_at = against.heed(self.when(before, closing.closed_at)).unwrap_or(closed_at);
        }
        against.heed(self.check_competitor(tenant, closing.competitor));
        let (reason, cited) = checked.map_or_else(
            || (self.common.named_reason(tenant, &given), Vec::new()),
            |(reason, cited)| (Some(reason), cited),
        );
        Judged { before, reason, cited, closed_at, against }
    }

    fn episode(
        &mut self,
        cause: &Cause,
        closing: &Closing,
        before: &Opportunity,
        reason: Reason,
        cited: Vec<Cited>,
        closed_at: Time,
    ) -> CloseOut {
        CloseOut {
            tenant_id: cause.tenant_id,
            close_out_id: CloseOutId(self.common.new_id()),
            subject: opportunity_record(closing.id),
            customer_id: before.customer_id,
            episode: before.epoch + 1,
            outcome: Outcome::Lost,
            reason_code: reason.code.into_owned(),
            reason_version: reason.version,
            class: reason.class,
            detail: closing.detail.clone(),
            competitor_id: closing.competitor,
            remarks: closing.remarks.clone().citing(cited),
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
            amendments: Vec::new(),
        }
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
        self.common.remark(cause, Side::Opportunity, &mut close_out);
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
                Err(Refusal::new(&wording::NOT_CLOSED_OR_WON, id).with("state", before.state.word()))
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
            opportunity.stage = snapshot.stage.unwrap_or_else(|| before.stage.clone());
            opportunity.won_at = snapshot.won_at;
            opportunity.close_out_id = None;
            opportunity.closed_at = None;
            opportunity.loss_at = None;
            opportunity.activity_at = now;
        })?;
        let after = self.report(cause, &after, Event::Reopened, Some(&close_out))?;
        let record = opportunity_record(before.opportunity_id);
        let mut effects = self.common.restore_tasks(cause, Side::Opportunity, record, id);
        effects.extend(self.common.withdraw_follow_up(cause, Side::Opportunity, &close_out));
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

    fn check_closable(&self, tenant: TenantId, opportunity: &Opportunity) -> Result<(), Refusal> {
        let id = opportunity.opportunity_id;
        match (opportunity.state, opportunity.close_out_id) {
            (State::Open, _) => self.check_no_live_order(tenant, id),
            (State::ClosedOut, Some(close_out)) => {
                Err(Refusal::new(&wording::ALREADY_CLOSED, id).with("close_out", close_out))
            }
            (State::Won | State::ClosedOut, _) => {
                Err(Refusal::new(&wording::WON_FIRST, id).with("state", opportunity.state.word()))
            }
        }
    }

    fn check_no_live_order(&self, tenant: TenantId, id: OpportunityId) -> Result<(), Refusal> {
        let live = self.common.live_orders(tenant, opportunity_record(id));
        let Some(first) = live.first() else { return Ok(()) };
        let names: Vec<_> = live.iter().map(Record::to_string).collect();
        let refusal = Refusal::new(&wording::LIVE_ORDER, id).with("count", live.len()).with("first", first);
        Err(refusal.with("orders", names.join(",")))
    }

    pub(super) fn check_competitor(&self, tenant: TenantId, competitor: Option<CompetitorId>) -> Result<(), Refusal> {
        let Some(id) = competitor else { return Ok(()) };
        self.competitors.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?.check_named()
    }
}
