//! Close-outs of whole customers between protobuf and the domain.

use crate::{
    domain::{CustomerClosing, Group, Left, Lefts, Reopening},
    store::groups::Counts,
};
use crm_api::{convert::time, fields::Fields, remarks};
use crm_closeout::{
    codes::Code,
    episode::CloseOutState,
    ids::{CompetitorId, CustomerId},
    reason::{self, Given},
    refusal::etag,
};
use crm_proto::opportunity as pb;
use crm_runtime::answer;

/// A customer to be closed out.
pub(crate) fn customer_closing(fields: &mut Fields, request: &pb::CloseOutCustomerRequest) -> CustomerClosing {
    let (secondary, verification) = (&request.secondary_reasons, request.verification.as_ref());
    CustomerClosing {
        customer_id: fields.name("name", &request.name, CustomerId::parse, CustomerId),
        reason: request.reason.clone(),
        detail: fields.words("detail", &request.detail),
        competitor: fields.optional_name("competitor", &request.competitor, CompetitorId::parse),
        remarks: remarks::read(fields, secondary, verification, None, None),
    }
}

/// What it gives as its reason, however the rest of the request reads.
pub(crate) fn given_for_customer<'a>(request: &pb::CloseOutCustomerRequest, closing: &'a CustomerClosing) -> Given<'a> {
    Given { competitor: !request.competitor.is_empty(), ..closing.given() }
}

/// The same for one opportunity of the customer.
pub(crate) fn single_of(request: &pb::CloseOutCustomerRequest, name: String) -> pb::CloseOutOpportunityRequest {
    pb::CloseOutOpportunityRequest {
        name,
        reason: request.reason.clone(),
        detail: request.detail.clone(),
        competitor: request.competitor.clone(),
        secondary_reasons: request.secondary_reasons.clone(),
        verification: request.verification.clone(),
        ..Default::default()
    }
}

/// A group as the API shows it.
pub(crate) fn group(group: &Group, counts: &Counts) -> pb::CustomerCloseOut {
    let count = |state| counts.get(&state).copied().and_then(|count| count.try_into().ok()).unwrap_or_default();
    pb::CustomerCloseOut {
        name: group.group_id.to_string(),
        customer: group.customer_id.to_string(),
        state: group.state.code().into(),
        reason: reason::name(&group.reason_code),
        reason_version: group.reason_version,
        detail: group.detail.clone(),
        competitor: group.competitor_id.map_or_else(String::new, |id| id.to_string()),
        actor: group.actor.clone(),
        create_time: Some(time(group.created_at)),
        finish_time: group.finished_at.map(time),
        opportunity_count: group.found.try_into().unwrap_or(i32::MAX),
        effective_count: count(CloseOutState::Effective),
        pending_approval_count: count(CloseOutState::PendingApproval),
        reversed_count: count(CloseOutState::Reversed),
        left: lefts(&group.lefts),
        reopening: group.reopening.as_ref().map(reopening),
        etag: etag(group.version),
    }
}

fn reopening(reopening: &Reopening) -> pb::CustomerReopening {
    pb::CustomerReopening {
        reopen_time: Some(time(reopening.at)),
        actor: reopening.actor.clone(),
        note: reopening.note.clone(),
        finish_time: reopening.finished_at.map(time),
        left: lefts(&reopening.lefts),
    }
}

fn lefts(lefts: &Lefts) -> Vec<pb::LeftOpportunity> {
    let left = |left: &Left| pb::LeftOpportunity {
        opportunity: left.opportunity_id.to_string(),
        reason: left.reason.clone(),
        description: answer::either(&left.en, &left.zh).to_owned(),
    };
    lefts.0.iter().map(left).collect()
}
