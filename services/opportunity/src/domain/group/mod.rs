//! The close-out of a whole customer: a group of those of its open opportunities. It is asked for in one commit; `closing` does the rest
//! of it an opportunity at a time, each by the same rules as one that is closed out alone, and `reopening` takes it back.

mod closing;
mod reopening;

use super::{Closing, Opportunity, State, World, customer};
use crm_closeout::{
    access::{Access, Right, Rights, Scope},
    cascade::Change,
    codes,
    episode::CloseOut,
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, OpportunityId, TenantId},
    job::Job,
    reason::{self, Given},
    refusal::Refusal,
    remarks::Remarks,
    time::Time,
    wording::{self, Language},
    working_set::{Cause, Keyed},
};

codes! {
    /// How far a group is.
    pub enum GroupState {
        /// Its opportunities are being closed out.
        Closing = 1 "CLOSING",
        /// Each of them is closed out, waits for approval, or is left open.
        Closed = 2 "CLOSED",
        /// Its close-outs are being taken back.
        Reopening = 3 "REOPENING",
        /// Each of them was taken back, or is left.
        Reopened = 4 "REOPENED",
    }
}

/// After how long what could not be done is looked at again, in seconds.
const AGAIN: i64 = 60;
/// Most opportunities of a customer that may be open when it is closed out.
pub const MOST_OPEN: usize = 1_000;

/// An opportunity that a rule left as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub opportunity_id: OpportunityId,
    /// The stable word of the rule.
    pub reason: String,
    /// The rule and the way out, in English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

/// What was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lefts(pub Vec<Left>);

impl Lefts {
    fn note(&mut self, id: OpportunityId, refusal: &Refusal) {
        let text = |language| {
            let own = refusal.wording.text(language, &refusal.values);
            let fields = refusal.violations.iter().map(|one| {
                let rule = one.wording.text(language, &one.values);
                format!("{}: {rule}", one.field)
            });
            if refusal.violations.is_empty() { own } else { fields.collect::<Vec<_>>().join("; ") }
        };
        let reason = refusal.violations.first().map_or(refusal.reason(), |first| first.reason()).to_owned();
        let (en, zh) = (text(Language::English), text(Language::Chinese));
        self.0.push(Left { opportunity_id: id, reason, en, zh });
    }

    /// This one was left.
    pub fn has(&self, id: OpportunityId) -> bool {
        self.0.iter().any(|left| left.opportunity_id == id)
    }
}

/// How far the right to close out reached of who asked for a group, when that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskersReach {
    /// Whose records.
    pub scope: Scope,
    /// The teams of who asked.
    pub teams: Vec<String>,
}

impl AskersReach {
    fn of(cause: &Cause) -> Self {
        let scope = cause.access.rights.scope(Right::CloseOut).unwrap_or(Scope::Own);
        Self { scope, teams: cause.access.teams.clone() }
    }
}

/// How a group was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopening {
    /// When that was asked for.
    pub at: Time,
    /// Who asked for it.
    pub actor: String,
    /// The person's words.
    pub note: String,
    /// What was left closed out.
    pub lefts: Lefts,
    /// When it was done.
    pub finished_at: Option<Time>,
}

/// The close-out of a whole customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub group_id: GroupId,
    /// The customer.
    pub customer_id: CustomerId,
    /// How far it is.
    pub state: GroupState,
    /// Code of the reason.
    pub reason_code: String,
    /// Its version when it was asked for.
    pub reason_version: i64,
    /// The person's words.
    pub detail: String,
    /// The competitor named.
    pub competitor_id: Option<CompetitorId>,
    /// What it says beside its reason.
    pub remarks: Remarks,
    /// Who asked for it.
    pub actor: String,
    /// How far the right to do so reached then.
    pub reach: AskersReach,
    /// Opportunities that were open then.
    pub found: i64,
    /// What was left open.
    pub lefts: Lefts,
    /// When it was asked for.
    pub created_at: Time,
    /// When it was closed.
    pub finished_at: Option<Time>,
    /// How it was taken back.
    pub reopening: Option<Reopening>,
    /// Raised by one at each change of the state and each time that it is looked at again, with the duty that does what is then to be
    /// done; not by what is left.
    pub version: i64,
}

impl Keyed for Group {
    type Key = (TenantId, GroupId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.group_id)
    }
}

/// What a caller says to close a customer out.
#[derive(Clone, Debug)]
pub struct CustomerClosing {
    /// Which.
    pub customer_id: CustomerId,
    /// Resource name of the reason.
    pub reason: String,
    /// The person's words.
    pub detail: String,
    /// The competitor.
    pub competitor: Option<CompetitorId>,
    /// What it says beside its reason.
    pub remarks: Remarks<String>,
}

impl CustomerClosing {
    /// What it gives as its reason.
    pub fn given(&self) -> Given<'_> {
        Given {
            reason: &self.reason,
            detail: &self.detail,
            competitor: self.competitor.is_some(),
            historical: false,
            secondary: &self.remarks.secondary,
            verification: self.remarks.verification.as_ref(),
        }
    }
}

impl Group {
    /// What who asked for it may do with each opportunity: one that was handed over meanwhile may be out of reach.
    pub fn access(&self) -> Access {
        let AskersReach { scope, teams } = &self.reach;
        Access { rights: Rights::NONE.with(&[Right::CloseOut], *scope), teams: teams.clone() }
    }

    /// The close-out of one of its opportunities.
    pub fn closing(&self, id: OpportunityId) -> Closing {
        let secondary = self.remarks.secondary.iter().map(|cited| reason::name(&cited.code)).collect();
        Closing {
            id,
            etag: String::new(),
            reason: reason::name(&self.reason_code),
            detail: self.detail.clone(),
            competitor: self.competitor_id,
            closed_at: None,
            remarks: self.remarks.clone().citing(secondary),
            group_id: Some(self.group_id),
        }
    }
}

/// What can be asked for about a whole customer, and what is then to be done.
#[derive(Clone, Debug)]
pub enum GroupCommand {
    /// Closes a customer out.
    CloseOut {
        /// Which, and why.
        closing: CustomerClosing,
        /// Only if these opportunities are open, by the hash of them; empty: whichever are.
        plan: Vec<u8>,
    },
    /// Closes one of its opportunities out.
    Close(Closing),
    /// Ends the group, if nothing is left to be done.
    Finish {
        /// Which.
        id: GroupId,
        /// Its customer.
        customer_id: CustomerId,
    },
    /// Takes a group back.
    Reopen {
        /// Which.
        id: GroupId,
        /// Its customer.
        customer_id: CustomerId,
        /// Only this version.
        etag: String,
        /// The person's words.
        note: String,
    },
    /// Takes one of its close-outs back.
    Reverse {
        /// The group.
        id: GroupId,
        /// Which.
        close_out_id: CloseOutId,
    },
    /// Ends the taking back.
    FinishReopening {
        /// Which.
        id: GroupId,
        /// Its customer.
        customer_id: CustomerId,
    },
}

impl World {
    /// The opportunities of a customer that are open or on hold, by id, of those the batch has.
    pub fn open_of(&self, tenant: TenantId, customer: CustomerId) -> impl Iterator<Item = &Opportunity> {
        let own = self.opportunities.iter().filter(move |o| o.tenant_id == tenant && o.customer_id == Some(customer));
        own.filter(|o| matches!(o.state, State::Open | State::OnHold))
    }

    /// Notes down that an opportunity of a group stays open, as its close-out was declined.
    pub(super) fn note_declined(&mut self, close_out: &CloseOut, id: OpportunityId) {
        let key = close_out.group_id.map(|group| (close_out.tenant_id, group));
        let group = key.and_then(|key| self.groups.edit(&key));
        let counts = |group: &&mut Group| matches!(group.state, GroupState::Closing | GroupState::Closed);
        if let Some(group) = group.filter(counts).filter(|group| !group.lefts.has(id)) {
            let refusal = Refusal::new(&wording::DECLINED, id);
            let state = close_out.state.word();
            group.lefts.note(id, &refusal.with("close_out", close_out.close_out_id).with("state", state));
        }
    }

    /// Refuses while a customer is being closed out, or reopened.
    pub(super) fn check_not_closing(&self, tenant: TenantId, customer: Option<CustomerId>) -> Result<(), Refusal> {
        let Some(id) = customer else { return Ok(()) };
        match self.customers.get(&(tenant, id)).and_then(|customer| customer.closing) {
            Some(group) => Err(Refusal::new(&wording::CUSTOMER_CLOSING, id).with("group", group)),
            None => Ok(()),
        }
    }

    fn group(&self, tenant: TenantId, id: GroupId) -> Result<Group, Refusal> {
        self.groups.get(&(tenant, id)).cloned().ok_or_else(|| Refusal::not_found(id))
    }

    fn change_group(&mut self, cause: &Cause, before: &Group, change: impl FnOnce(&mut Group)) -> Group {
        let mut after = before.clone();
        after.version += 1;
        change(&mut after);
        self.audit_group(cause, Some(before), &after);
        self.groups.put(after.clone());
        after
    }

    /// Something is left to be done: the group is looked at again after a while.
    fn look_again(&mut self, cause: &Cause, group: &Group) {
        let again = self.change_group(cause, group, |_| {});
        let at = self.common.now.plus_seconds(AGAIN);
        self.common.jobs.push(Job::group(again.tenant_id, again.group_id, again.version, at));
    }

    fn audit_group(&mut self, cause: &Cause, before: Option<&Group>, after: &Group) {
        let change = Change {
            from: before.map_or(0, |before| before.version),
            to: after.version,
            state_before: before.map_or("", |before| before.state.word()),
            state_after: after.state.word(),
            close_out: None,
        };
        self.common.audit(cause, after.group_id, change);
    }

    fn tell_of_group(&mut self, cause: &Cause, group: &Group, kind: &str, text: String) {
        let id = group.customer_id;
        self.common.tell(cause, id, kind, customer::record(id), None, text);
    }
}

#[cfg(test)]
mod tests;
