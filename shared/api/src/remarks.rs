//! What a close-out says beside its reason, and what was corrected, between protobuf and the kernel.

use crate::{
    convert::time,
    fields::{self, Fields},
};
use crm_closeout::{
    amend::Amendment,
    codes::Code,
    reason,
    remarks::{self, FollowUp, Reassessment, Remarks, Verification, VerificationMethod},
    wording,
};
use crm_proto::common;
use std::ops::RangeInclusive;

const RATINGS: RangeInclusive<i32> = 1..=5;

/// Reads what a caller says beside the reason.
pub fn read(
    fields: &mut Fields,
    secondary: &[String],
    verification: Option<&common::CustomerVerification>,
    reassessment: Option<&common::Reassessment>,
    follow_up: Option<&common::FollowUp>,
) -> Remarks<String> {
    Remarks {
        secondary: secondary.to_vec(),
        verification: verification.map(|verification| read_verification(fields, verification)),
        reassessment: reassessment.map(|rated| Reassessment {
            rating: fields.number("reassessment.rating", rated.rating, RATINGS),
            note: fields.words("reassessment.note", &rated.note),
        }),
        follow_up: follow_up.map(|follow_up| FollowUp {
            title: fields.line("follow_up.title", &follow_up.title, 1..=fields::TITLE),
            assignee: fields.principal("follow_up.assignee", &follow_up.assignee, ""),
            due_at: fields.time("follow_up.due_time", follow_up.due_time.as_ref()),
            task_id: None,
        }),
    }
}

fn read_verification(fields: &mut Fields, given: &common::CustomerVerification) -> Verification {
    if given.verify_time.is_none() {
        fields.refuse("verification.verify_time", &wording::REQUIRED, &[]);
    }
    let method = fields.code::<VerificationMethod>("verification.method", given.method);
    let verified_at = fields.past("verification.verify_time", given.verify_time.as_ref());
    let mut finding = |name: &str, code| fields.optional_code(&format!("verification.{name}"), code);
    let [needs, budget, competition, intent] = [
        finding("needs", given.needs),
        finding("budget", given.budget),
        finding("competition", given.competition),
        finding("intent", given.intent),
    ];
    let contact = fields.line("verification.contact", &given.contact, 1..=fields::TITLE);
    let note = fields.words("verification.note", &given.note);
    let (method, verified_at) = (method.unwrap_or(VerificationMethod::Call), verified_at.unwrap_or_else(fields::now));
    Verification { method, contact, verified_at, needs, budget, competition, intent, note }
}

/// A correction.
pub(crate) fn amendment(amendment: &Amendment) -> common::Amendment {
    let before = &amendment.before;
    common::Amendment {
        amend_time: Some(time(amendment.at)),
        actor: amendment.actor.clone(),
        note: amendment.note.clone(),
        reason: reason::name(&before.reason_code),
        reason_version: before.reason_version,
        outcome_class: before.class.map_or(0, |class| class.code().into()),
        detail: before.detail.clone(),
        competitor: before.competitor_id.map_or_else(String::new, |id| id.to_string()),
        secondary_reasons: before.secondary.iter().map(cited).collect(),
    }
}

fn cited(cited: &remarks::Cited) -> common::ReasonVersion {
    common::ReasonVersion { reason: reason::name(&cited.code), version: cited.version }
}

/// Fills in what a close-out says beside its reason.
pub(crate) fn show(remarks: &Remarks, close_out: &mut common::CloseOut) {
    close_out.secondary_reasons = remarks.secondary.iter().map(cited).collect();
    close_out.verification = remarks.verification.as_ref().map(verification);
    close_out.reassessment = remarks
        .reassessment
        .as_ref()
        .map(|rated| common::Reassessment { rating: rated.rating, note: rated.note.clone() });
    close_out.follow_up = remarks.follow_up.as_ref().map(|follow_up| common::FollowUp {
        title: follow_up.title.clone(),
        assignee: follow_up.assignee.clone(),
        due_time: follow_up.due_at.map(time),
        task: follow_up.task_id.map_or_else(String::new, |id| id.to_string()),
    });
}

fn verification(found: &Verification) -> common::CustomerVerification {
    let finding = |finding: Option<remarks::Finding>| finding.map_or(0, |finding| finding.code().into());
    common::CustomerVerification {
        method: found.method.code().into(),
        contact: found.contact.clone(),
        verify_time: Some(time(found.verified_at)),
        needs: finding(found.needs),
        budget: finding(found.budget),
        competition: finding(found.competition),
        intent: finding(found.intent),
        note: found.note.clone(),
    }
}
