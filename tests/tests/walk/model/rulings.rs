//! What another person decides about a close-out that waits, and corrections of close-outs in force.

use super::{
    Before, CloseOut, CloseOutState, Judged, Model, Record,
    acting::{Caller, Right},
    reasons,
};
use crate::commands::{Verdict, Who};

impl Model {
    pub(super) fn rule(&mut self, by: Caller, close_out: usize, verdict: Verdict) -> Judged {
        by.enters(&[if verdict == Verdict::Withdraw { Right::CloseOut } else { Right::Approve }])?;
        let it = &self.close_outs[close_out];
        let Some(asked) = it.asked.clone().filter(|_| it.state == CloseOutState::PendingApproval) else {
            return Err("NOT_PENDING".into());
        };
        match (verdict, it.actor == by.who) {
            (Verdict::Approve | Verdict::Reject, true) => return Err("SELF_APPROVAL".into()),
            (Verdict::Withdraw, false) => return Err("NOT_REQUESTER".into()),
            (Verdict::Approve | Verdict::Reject, false) | (Verdict::Withdraw, true) => {}
        }
        let subject = it.subject;
        if verdict != Verdict::Withdraw {
            let (owner, team) = self.owned(subject);
            by.may(Right::Approve, owner, team)?;
        }
        by.means()?;
        match (verdict, subject) {
            (Verdict::Approve, Record::Opportunity(opportunity)) => self.check_no_live_order(opportunity)?,
            (Verdict::Approve, Record::Order(order)) if self.orders[order].paid > asked.paid => {
                return Err("PAID_SINCE".into());
            }
            _ => {}
        }
        self.close_outs[close_out].state = match verdict {
            Verdict::Approve => CloseOutState::Effective,
            Verdict::Reject => CloseOutState::Rejected,
            Verdict::Withdraw => CloseOutState::Withdrawn,
        };
        if verdict == Verdict::Approve {
            self.close_outs[close_out].closed_at = self.now;
            match subject {
                Record::Order(order) => self.end_order(order, close_out, asked.refunded, asked.policy),
                Record::Opportunity(opportunity) => self.end_opportunity(opportunity, close_out),
                Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => {}
            }
        } else {
            self.decline(close_out);
        }
        Ok(Record::CloseOut(close_out))
    }

    /// The subject is again what it was before its close-out was asked for.
    fn decline(&mut self, close_out: usize) {
        let CloseOut { subject, before, .. } = &self.close_outs[close_out];
        match (*subject, before) {
            (Record::Opportunity(opportunity), Before::Opportunity { state, .. }) => {
                let it = &mut self.opportunities[opportunity];
                (it.state, it.close_out) = (*state, None);
                it.version += 1;
            }
            (Record::Order(order), Before::Order { state, .. }) => {
                let it = &mut self.orders[order];
                (it.state, it.close_out) = (*state, None);
                it.version += 1;
            }
            _ => {}
        }
    }

    fn owned(&self, subject: Record) -> (Who, &'static str) {
        match subject {
            Record::Order(order) => (self.orders[order].owner, self.orders[order].team),
            Record::Opportunity(opportunity) => {
                (self.opportunities[opportunity].owner, self.opportunities[opportunity].team)
            }
            Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => panic!("{subject:?} is nobody's"),
        }
    }

    pub(super) fn amend(
        &mut self,
        by: Caller,
        close_out: usize,
        reason: Option<&'static str>,
        detail: Option<&'static str>,
    ) -> Judged {
        by.enters(&[Right::Amend])?;
        let it = &self.close_outs[close_out];
        if it.state != CloseOutState::Effective {
            return Err("NOT_IN_FORCE".into());
        }
        if it.cause.is_some() {
            return Err("CAUSED".into());
        }
        let (owner, team) = self.owned(it.subject);
        by.may(Right::Amend, owner, team)?;
        by.means()?;
        let detail = detail.unwrap_or(it.detail);
        let reason = reasons::check(reasons::scope_of(it.outcome), reason.unwrap_or(it.reason), detail)?;
        self.restate(close_out, reason, detail);
        Ok(Record::CloseOut(close_out))
    }

    /// It says something else, and so does everything that it has caused.
    fn restate(&mut self, close_out: usize, reason: reasons::Reason, detail: &'static str) {
        let it = &mut self.close_outs[close_out];
        (it.reason, it.class, it.detail) = (reason.code, reason.class, detail);
        it.amended += 1;
        match it.subject {
            Record::Opportunity(opportunity) => self.opportunities[opportunity].version += 1,
            Record::Order(order) => self.orders[order].version += 1,
            Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => {}
        }
        for caused in self.in_force_by(close_out) {
            self.restate(caused, reason, detail);
        }
    }

    /// The close-out of a subject with this number.
    pub(crate) fn episode(&self, subject: Record, episode: i64) -> Option<usize> {
        self.close_outs.iter().position(|it| it.subject == subject && it.episode as i64 == episode)
    }

    /// A correction that says what is said already: nothing is done for it.
    pub(crate) fn says_so(&self, close_out: usize, reason: Option<&str>, detail: Option<&str>) -> bool {
        let it = &self.close_outs[close_out];
        reason.is_none_or(|reason| reason == it.reason) && detail.is_none_or(|detail| detail == it.detail)
    }
}
