//! What a close-out says beside its reason: further reasons, how it was verified, how the relationship is rated, what follows.

use crate::format::{label, last_part, time};
use crm_proto::common::{Amendment, CloseOut, CustomerVerification, Finding, FollowUp, Reassessment};

/// A row for each thing that is said.
pub(super) fn rows(close_out: &CloseOut) -> Vec<(&'static str, String)> {
    let further = close_out.secondary_reasons.iter().map(|cited| reason(&cited.reason, cited.version));
    let further = further.collect::<Vec<_>>().join(", ");
    vec![
        ("further reasons", further),
        ("verification", close_out.verification.as_ref().map_or_else(String::new, verification)),
        ("rating", close_out.reassessment.as_ref().map_or_else(String::new, rating)),
        ("follow-up", close_out.follow_up.as_ref().map_or_else(String::new, follow_up)),
        ("amended", close_out.amendments.iter().map(amendment).collect::<Vec<_>>().join("\n")),
    ]
}

/// `2026-11-27 by ann, it was POOR_FIT (version 1): entered by mistake`.
fn amendment(amendment: &Amendment) -> String {
    let (when, was) = (time(amendment.amend_time.as_ref()), reason(&amendment.reason, amendment.reason_version));
    with_note(format!("{when} by {}, it was {was}", amendment.actor), ": ", &amendment.note)
}

/// `POOR_FIT (version 1)`.
pub(super) fn reason(name: &str, version: i64) -> String {
    format!("{} (version {version})", last_part(name))
}

/// `call, Ms Li, 2026-11-27: needs yes, budget no; they asked twice`.
fn verification(verification: &CustomerVerification) -> String {
    let how = label(verification.method().as_str_name(), "VERIFICATION_METHOD_").to_lowercase();
    let mut text = format!("{how}, {}, {}", verification.contact, time(verification.verify_time.as_ref()));
    let findings = [
        ("needs", verification.needs()),
        ("budget", verification.budget()),
        ("competition", verification.competition()),
        ("intent", verification.intent()),
    ];
    let findings: Vec<_> =
        findings.into_iter().filter_map(|(what, found)| Some(format!("{what} {}", answer(found)?))).collect();
    if !findings.is_empty() {
        text.push_str(&format!(": {}", findings.join(", ")));
    }
    with_note(text, "; ", &verification.note)
}

/// As the person said it on the command line; none where it stays open.
fn answer(found: Finding) -> Option<&'static str> {
    match found {
        Finding::Unspecified => None,
        Finding::Confirmed => Some("yes"),
        Finding::RuledOut => Some("no"),
    }
}

fn rating(rated: &Reassessment) -> String {
    with_note(format!("{} of 5", rated.rating), ": ", &rated.note)
}

fn follow_up(follow_up: &FollowUp) -> String {
    let mut parts = vec![follow_up.title.clone()];
    if !follow_up.assignee.is_empty() {
        parts.push(format!("by {}", follow_up.assignee));
    }
    if follow_up.due_time.is_some() {
        parts.push(format!("due {}", time(follow_up.due_time.as_ref())));
    }
    if !follow_up.task.is_empty() {
        parts.push(follow_up.task.clone());
    }
    parts.join(", ")
}

fn with_note(text: String, between: &str, note: &str) -> String {
    if note.is_empty() { text } else { format!("{text}{between}{note}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::to_timestamp;
    use crm_proto::common::{ReasonVersion, VerificationMethod};
    use time::macros::date;

    #[test]
    fn a_verification_reads_as_one_line_with_what_was_found() {
        let mut found = CustomerVerification {
            method: VerificationMethod::Call.into(),
            contact: "Ms Li".into(),
            verify_time: Some(to_timestamp(date!(2026 - 11 - 27))),
            ..CustomerVerification::default()
        };
        assert_eq!(verification(&found), "call, Ms Li, 2026-11-27");
        (found.needs, found.budget) = (Finding::Confirmed.into(), Finding::RuledOut.into());
        found.note = "they asked twice".into();
        assert_eq!(verification(&found), "call, Ms Li, 2026-11-27: needs yes, budget no; they asked twice");
    }

    #[test]
    fn what_follows_names_the_task_and_whose_it_is() {
        let close_out = CloseOut {
            secondary_reasons: vec![ReasonVersion { reason: "closeOutReasons/POOR_FIT".into(), version: 2 }],
            reassessment: Some(Reassessment { rating: 4, note: String::new() }),
            follow_up: Some(FollowUp {
                title: "Ask again".into(),
                assignee: "bo".into(),
                due_time: Some(to_timestamp(date!(2027 - 03 - 01))),
                task: "tasks/1".into(),
            }),
            amendments: vec![Amendment {
                actor: "ann".into(),
                reason: "closeOutReasons/OTHER".into(),
                reason_version: 1,
                note: "by mistake".into(),
                ..Amendment::default()
            }],
            ..CloseOut::default()
        };
        let told = rows(&close_out).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        let follow_up = "Ask again, by bo, due 2027-03-01, tasks/1";
        let amended = "- by ann, it was OTHER (version 1): by mistake";
        assert_eq!(told, ["POOR_FIT (version 2)", "", "4 of 5", follow_up, amended]);
    }
}
