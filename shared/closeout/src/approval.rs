//! Four eyes: which close-outs another person has to approve, what such a one waits with, and who may decide about it. Until then
//! nothing of it is done: its subject is CLOSE_PENDING, which counts as the state it was in.

use crate::{
    access::{Owned, Right},
    codes,
    episode::{CloseOut, CloseOutState, Delivery, Effect, Propagation, Snapshot},
    fact::WonPolicy,
    ids::{CloseOutId, TenantId},
    job::Job,
    money::{Currency, Money},
    plan::{Planned, differences},
    refusal::Refusal,
    time::Time,
    wording,
    working_set::{Cause, Common, Keyed as _},
};
use std::collections::BTreeMap;

codes! {
    /// Why a close-out needs another person's approval.
    pub enum ApprovalCause {
        /// Its subject is worth more than one person may close out alone.
        OverAmount = 1 "OVER_AMOUNT",
        /// The opportunity is won.
        Won = 2 "WON",
        /// The order was paid for, and no refund is named.
        Paid = 3 "PAID",
    }
}

/// From which amount on close-outs need another person's approval, and how long they wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// Of subjects that are worth more than so many minor units, by currency; in any other currency no amount does.
    pub over: BTreeMap<Currency, i64>,
    /// After so many days nobody has decided, and it is as if it had not been asked for.
    pub expire_days: i32,
}

impl ApprovalPolicy {
    /// What holds where a tenant has decided nothing.
    pub const DEFAULT: Self = Self { over: BTreeMap::new(), expire_days: 14 };

    /// Whether a subject is worth more than one person may close out alone.
    pub fn is_over(&self, amount: Money) -> bool {
        self.over.get(&amount.currency).is_some_and(|most| amount.minor > *most)
    }

    /// What a close-out that is asked for now waits with.
    pub fn approval(&self, causes: Vec<ApprovalCause>, now: Time) -> Approval {
        Approval {
            causes,
            asked_at: now,
            expires_at: now.plus_days(self.expire_days.into()),
            planned: Vec::new(),
            peer: None,
            won_policy: None,
            refund_reference: String::new(),
            paid_minor: 0,
            ruling: None,
        }
    }
}

/// Why a close-out waits for another person, with what, and what that person has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Why it needs one; never empty.
    pub causes: Vec<ApprovalCause>,
    /// When it was asked for.
    pub asked_at: Time,
    /// Until when it can be decided.
    pub expires_at: Time,
    /// What the close-out would have done here when it was asked for, in the words of a plan.
    pub planned: Vec<Effect>,
    /// The same of the other side, if the caller has confirmed a plan: then what is done otherwise once it is approved is told.
    pub peer: Option<Planned>,
    /// Of an order: what becomes of its won opportunity.
    pub won_policy: Option<WonPolicy>,
    /// Of an order: reference of the refund; empty: none.
    pub refund_reference: String,
    /// Of an order: what had been paid for it, in minor units.
    pub paid_minor: i64,
    /// What was decided; the state of the close-out says which way.
    pub ruling: Option<Ruled>,
}

/// Who decided about a close-out that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// Why, in the person's words.
    pub note: String,
}

/// What becomes of a close-out that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another person agrees: it is carried out.
    Approve,
    /// Another person does not.
    Reject,
    /// Who asked for it does not want it any more.
    Withdraw,
    /// Nobody has decided in time.
    Expire,
}

impl Verdict {
    /// The method that says so.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Approve => "ApproveCloseOut",
            Self::Reject => "RejectCloseOut",
            Self::Withdraw => "WithdrawCloseOut",
            Self::Expire => "ExpireCloseOut",
        }
    }

    /// Refuses unless who is behind the cause may say so about a record; what is theirs, or time's, to say needs no right.
    pub fn may_be_said(self, cause: &Cause, record: impl ToString, owned: Owned<'_>) -> Result<(), Refusal> {
        match self {
            Self::Approve | Self::Reject => cause.may(Right::Approve, record, owned),
            Self::Withdraw | Self::Expire => Ok(()),
        }
    }

    /// Where a close-out stands after it.
    pub const fn state(self) -> CloseOutState {
        match self {
            Self::Approve => CloseOutState::Effective,
            Self::Reject => CloseOutState::Rejected,
            Self::Withdraw => CloseOutState::Withdrawn,
            Self::Expire => CloseOutState::Expired,
        }
    }

    /// What happened, in the timeline of a customer.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Approve => "close_out.approved",
            Self::Reject => "close_out.rejected",
            Self::Withdraw => "close_out.withdrawn",
            Self::Expire => "close_out.expired",
        }
    }
}

/// A decision about a close-out that waits.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// Which.
    pub id: CloseOutId,
    /// Only this version of its subject.
    pub etag: String,
    /// Which way.
    pub verdict: Verdict,
    /// Why, in the person's words.
    pub note: String,
}

impl Ruling {
    /// Nobody has decided in time.
    pub const fn expiry(id: CloseOutId) -> Self {
        Self { id, etag: String::new(), verdict: Verdict::Expire, note: String::new() }
    }
}

impl CloseOut {
    /// From when on it counts if it is approved now: the date that was given, or now.
    pub const fn counts_from(&self, now: Time) -> Time {
        if self.historical { self.closed_at } else { now }
    }

    /// As it is carried out now that it is approved: its subject is what it was, and its date the one that was given, or now.
    #[must_use]
    pub fn approved(self, now: Time, snapshot: impl FnOnce(Time) -> Snapshot) -> Self {
        let closed_at = self.counts_from(now);
        let Snapshot { state, state_word, .. } = self.snapshot;
        let snapshot = Snapshot { state, state_word, ..snapshot(closed_at) };
        Self { snapshot, closed_at, delivery: Delivery::PENDING, ..self }
    }

    /// The subject is CLOSE_PENDING because of it.
    pub fn is_awaiting(&self) -> bool {
        self.state == CloseOutState::PendingApproval
    }
}

impl Common {
    /// Keeps and tells a close-out that waits for another person, with what it would do: nothing is done, nothing is on its way, and it does not
    /// wait for ever.
    pub fn await_approval(&mut self, cause: &Cause, mut close_out: CloseOut, planned: Vec<Effect>) {
        close_out.state = CloseOutState::PendingApproval;
        close_out.delivery.propagation = Propagation::NotNeeded;
        if let Some(approval) = &mut close_out.approval {
            approval.planned = planned;
            self.jobs.push(Job::expiry(close_out.tenant_id, close_out.close_out_id, approval.expires_at));
        }
        if let Some(customer) = close_out.customer_id {
            let (id, text) =
                (close_out.close_out_id, format!("{}@{}", close_out.reason_code, close_out.reason_version));
            self.tell(cause, customer, "close_out.requested", close_out.subject, Some(id), text);
        }
        self.close_outs.put(close_out);
    }

    /// What a close-out that was just done has done here, in the words of a plan.
    pub fn planned_by(&self, tenant: TenantId, id: CloseOutId) -> Vec<Effect> {
        let close_out = self.close_outs.get(&(tenant, id));
        close_out.map_or_else(Vec::new, |it| self.planned(tenant, &it.effects, it.closed_at))
    }

    /// The close-out that is decided about, if this caller may decide that way.
    pub fn awaiting(&self, cause: &Cause, ruling: &Ruling) -> Result<CloseOut, Refusal> {
        let id = ruling.id;
        let close_out = self.close_out(cause.tenant_id, id)?;
        let Some(approval) = close_out.approval.as_ref().filter(|_| close_out.is_awaiting()) else {
            return Err(Refusal::new(&wording::NOT_PENDING, id).with("state", close_out.state.word()));
        };
        let own = close_out.actor == cause.actor;
        let refusal = |wording| Refusal::new(wording, id).with("actor", &close_out.actor);
        match ruling.verdict {
            Verdict::Approve | Verdict::Reject if own => Err(refusal(&wording::SELF_APPROVAL)),
            Verdict::Withdraw if !own => Err(refusal(&wording::NOT_REQUESTER)),
            Verdict::Approve if self.now >= approval.expires_at => {
                Err(refusal(&wording::APPROVAL_EXPIRED).with("expired", approval.expires_at))
            }
            Verdict::Approve | Verdict::Reject | Verdict::Withdraw | Verdict::Expire => Ok(close_out),
        }
    }

    /// Tells what a close-out has done here otherwise than it was planned, if its caller had confirmed a plan; answers it as it is then.
    pub fn compare_with_plan(&mut self, tenant: TenantId, id: CloseOutId) -> Result<CloseOut, Refusal> {
        let close_out = self.close_out(tenant, id)?;
        let bound = close_out.approval.as_ref().filter(|approval| approval.peer.is_some());
        let differs =
            bound.map_or_else(Vec::new, |approval| differences(&approval.planned, &self.planned_by(tenant, id)));
        if !differs.is_empty()
            && let Some(row) = self.close_outs.edit(&(tenant, id))
        {
            row.effects.splice(0..0, differs);
        }
        self.close_out(tenant, id)
    }

    /// Notes and tells what was decided about a close-out that waited, which then waits no longer; answers it as it is then.
    pub fn rule(&mut self, cause: &Cause, ruling: &Ruling) -> Result<CloseOut, Refusal> {
        let at = self.now;
        let row = self.close_outs.edit(&(cause.tenant_id, ruling.id)).ok_or_else(|| Refusal::not_found(ruling.id))?;
        row.state = ruling.verdict.state();
        if let Some(approval) = &mut row.approval {
            approval.ruling = Some(Ruled { at, actor: cause.actor.clone(), note: ruling.note.clone() });
        }
        let row = row.clone();
        if let Some(approval) = &row.approval {
            self.jobs_over.push(Job::expiry(row.tenant_id, ruling.id, approval.expires_at).key());
        }
        if let Some(customer) = row.customer_id {
            let (kind, note) = (ruling.verdict.told(), ruling.note.clone());
            self.tell(cause, customer, kind, row.subject, Some(ruling.id), note);
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_over_only_in_a_currency_with_a_limit_and_above_it() {
        let (yuan, dollar) = (Currency::parse("CNY").unwrap(), Currency::parse("USD").unwrap());
        let policy = ApprovalPolicy { over: [(yuan, 100)].into(), ..ApprovalPolicy::DEFAULT };
        let over = |minor, currency| policy.is_over(Money { minor, currency });
        assert_eq!([over(100, yuan), over(101, yuan), over(1_000, dollar)], [false, true, false]);
        assert!(!ApprovalPolicy::DEFAULT.is_over(Money { minor: i64::MAX, currency: yuan }));
    }

    #[test]
    fn what_is_asked_for_waits_as_long_as_the_tenant_says() {
        let policy = ApprovalPolicy { expire_days: 2, ..ApprovalPolicy::DEFAULT };
        let approval = policy.approval(vec![ApprovalCause::Won], Time(5));
        assert_eq!((approval.asked_at, approval.expires_at), (Time(5), Time(5).plus_days(2)));
    }
}
