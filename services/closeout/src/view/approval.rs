//! Four eyes: why a close-out needs another person, until when it waits, what that person decided.

use crate::format::time;
use crm_proto::common::{ApprovalCause, CloseOut, CloseOutState};

/// A row for each thing there is to say about its approval.
pub(super) fn rows(close_out: &CloseOut) -> Vec<(&'static str, String)> {
    let Some(approval) = &close_out.approval else { return Vec::new() };
    let waits = close_out.state() == CloseOutState::PendingApproval;
    let counts = matches!(close_out.state(), CloseOutState::Effective | CloseOutState::Reversed);
    let until = if waits { time(approval.expire_time.as_ref()) } else { String::new() };
    let decided = match approval.decider.as_str() {
        "" => String::new(),
        decider => {
            format!("{} by {decider} {}", time(approval.decide_time.as_ref()), approval.note).trim_end().to_owned()
        }
    };
    vec![
        ("second person", approval_causes(close_out)),
        ("to be decided until", until),
        ("asked for", if counts { time(approval.request_time.as_ref()) } else { String::new() }),
        ("decided", decided),
        ("refund", approval.refund_reference.clone()),
    ]
}

/// Why a close-out needs another person.
pub(crate) fn approval_causes(close_out: &CloseOut) -> String {
    close_out.approval.as_ref().map_or_else(String::new, |approval| causes(approval.causes()))
}

/// `above the tenant's limit, won`.
pub(crate) fn causes(causes: impl Iterator<Item = ApprovalCause>) -> String {
    causes.map(cause).collect::<Vec<_>>().join(", ")
}

fn cause(cause: ApprovalCause) -> &'static str {
    match cause {
        ApprovalCause::Unspecified => "for a reason that this version does not know",
        ApprovalCause::OverAmount => "above the tenant's limit",
        ApprovalCause::Won => "won",
        ApprovalCause::Paid => "paid for, no refund named",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::common::Approval;

    #[test]
    fn one_that_waits_says_until_when_and_one_that_was_decided_says_by_whom() {
        let told = |close_out: &CloseOut| {
            let said = rows(close_out).into_iter().filter(|(_, value)| !value.is_empty());
            said.map(|(field, value)| format!("{field}: {value}")).collect::<Vec<_>>()
        };
        assert!(told(&CloseOut::default()).is_empty());
        let approval = Approval { causes: vec![ApprovalCause::Won.into()], ..Approval::default() };
        let state = CloseOutState::PendingApproval.into();
        let waits = CloseOut { state, approval: Some(approval.clone()), ..CloseOut::default() };
        assert_eq!(told(&waits), ["second person: won", "to be decided until: -"]);
        let approval = Approval { decider: "eve".into(), note: "no".into(), ..approval };
        let state = CloseOutState::Rejected.into();
        let rejected = CloseOut { state, approval: Some(approval), ..CloseOut::default() };
        assert_eq!(told(&rejected), ["second person: won", "decided: - by eve no"]);
    }
}
