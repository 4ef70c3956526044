//! Plans to win customers back between protobuf and the domain.

use crate::domain::{Contact, ContactMethod, ContactResult, NewContact, WinBackEdit, WinBackPlan};
use crm_api::{
    convert::{money, time},
    fields::{self, Fields},
};
use crm_closeout::{codes::Code, ids::CloseOutId, reason, refusal::etag, wording};
use crm_proto::opportunity as pb;
use prost_types::FieldMask;

/// What to change of a plan.
pub(crate) fn win_back_edit(fields: &mut Fields, plan: &pb::WinBackPlan, mask: Option<&FieldMask>) -> WinBackEdit {
    let writable =
        [("owner", !plan.owner.is_empty()), ("due_time", plan.due_time.is_some()), ("offer", !plan.offer.is_empty())];
    let output_only = [
        "name",
        "close_out",
        "subject",
        "customer",
        "customer_display_name",
        "reason",
        "amount",
        "close_time",
        "state",
        "contacts",
        "contact_count",
        "recovered_by",
        "end_time",
        "ender",
        "end_note",
        "create_time",
        "update_time",
        "etag",
    ];
    let chosen = fields.mask(mask, &writable, &output_only);
    if chosen.contains("due_time") && plan.due_time.is_none() {
        fields.refuse("win_back_plan.due_time", &wording::REQUIRED, &[]);
    }
    WinBackEdit {
        owner: chosen.contains("owner").then(|| fields.changed_principal("win_back_plan.owner", &plan.owner)),
        due_at: fields.time("win_back_plan.due_time", plan.due_time.as_ref()).filter(|_| chosen.contains("due_time")),
        offer: chosen.contains("offer").then(|| fields.words("win_back_plan.offer", &plan.offer)),
    }
}

/// A contact to be recorded.
pub(crate) fn new_contact(fields: &mut Fields, request: &pb::RecordWinBackContactRequest) -> NewContact {
    let method = fields.code("method", request.method).unwrap_or(ContactMethod::Call);
    let result = fields.code("result", request.result).unwrap_or(ContactResult::NoAnswer);
    let next_at = fields.time("next_due_time", request.next_due_time.as_ref());
    match result {
        ContactResult::Later if request.next_due_time.is_none() => {
            fields.refuse("next_due_time", &wording::REQUIRED, &[])
        }
        ContactResult::Declined | ContactResult::DoNotContact if request.next_due_time.is_some() => {
            fields.refuse("next_due_time", &wording::ENDS_PLAN, &[("result", &result.word())]);
        }
        ContactResult::NoAnswer
        | ContactResult::Later
        | ContactResult::Interested
        | ContactResult::Declined
        | ContactResult::DoNotContact => {}
    }
    NewContact {
        at: fields.past("contact_time", request.contact_time.as_ref()),
        method,
        person: fields.line("contact", &request.contact, 0..=fields::TITLE),
        result,
        note: fields.words("note", &request.note),
        next_at,
    }
}

/// A plan as the API shows it, with what its customer is called.
pub(crate) fn win_back_plan(plan: &WinBackPlan, customer: &str) -> pb::WinBackPlan {
    let end = plan.end.as_ref();
    pb::WinBackPlan {
        name: plan.plan_id.to_string(),
        close_out: CloseOutId(plan.plan_id.0).to_string(),
        subject: plan.subject.to_string(),
        customer: plan.customer_id.to_string(),
        customer_display_name: customer.to_owned(),
        reason: reason::name(&plan.reason_code),
        amount: plan.amount.map(money),
        close_time: Some(time(plan.lost_at)),
        state: plan.state.code().into(),
        owner: plan.owner.clone(),
        due_time: Some(time(plan.due_at)),
        offer: plan.offer.clone(),
        contacts: plan.contacts.0.iter().map(contact).collect(),
        contact_count: plan.contact_count,
        recovered_by: plan.recovered_by.map_or_else(String::new, |id| id.to_string()),
        end_time: end.map(|end| time(end.at)),
        ender: end.map_or_else(String::new, |end| end.actor.clone()),
        end_note: end.map_or_else(String::new, |end| end.note.clone()),
        create_time: Some(time(plan.created_at)),
        update_time: Some(time(plan.updated_at)),
        etag: etag(plan.version),
    }
}

fn contact(contact: &Contact) -> pb::WinBackContact {
    pb::WinBackContact {
        contact_time: Some(time(contact.at)),
        method: contact.method.code().into(),
        contact: contact.person.clone(),
        result: contact.result.code().into(),
        note: contact.note.clone(),
        actor: contact.actor.clone(),
    }
}
