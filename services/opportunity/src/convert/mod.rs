//! The sales side's own resources between protobuf and the domain. Fields are mapped nowhere else.

mod competitors;
mod groups;
mod pipelines;
mod rates;
mod reasons;
mod settings;
mod stale;
mod win_back;

use crate::domain::{
    Closing, Customer, CustomerEdit, NewCustomer, NewOpportunity, Opportunity, OpportunityEdit, Since,
};
use crm_api::{
    convert::{money, time},
    fields::{self, Fields},
    remarks,
    search::Found,
};
use crm_closeout::{
    access::Owned,
    codes::Code,
    ids::{CompetitorId, CustomerId, OpportunityId, WinBackPlanId},
    money::Money,
    reason::Given,
    records::TimelineEntry,
    refusal::etag,
    time::Time,
    wording,
};
use crm_proto::{common::Historical, opportunity as pb};
use prost_types::FieldMask;

pub(crate) use competitors::{competitor, competitor_edit, competitor_id, competitor_name, merger};
pub(crate) use groups::{customer_closing, given_for_customer, group, single_of};
pub(crate) use pipelines::{new_pipeline, pipeline, pipeline_edit, pipeline_id, pipeline_ids, pipeline_in_use, stage};
pub(crate) use rates::{new_rate, rate, rate_id};
pub(crate) use reasons::{merged_reasons, new_reason, reason_edit};
pub(crate) use settings::settings_edit;
pub(crate) use stale::{stale, stale_policy, stale_policy_edit};
pub(crate) use win_back::{new_contact, win_back_edit, win_back_plan};

/// A customer to be made.
pub(crate) fn new_customer(fields: &mut Fields, caller: &str, customer: &pb::Customer) -> NewCustomer {
    NewCustomer {
        display_name: fields.line("customer.display_name", &customer.display_name, 1..=fields::TITLE),
        tier: fields.line("customer.tier", &customer.tier, 0..=fields::LABEL),
        owner: fields.principal("customer.owner", &customer.owner, caller),
        do_not_contact: customer.do_not_contact,
    }
}

/// What to change of a customer.
pub(crate) fn customer_edit(fields: &mut Fields, customer: &pb::Customer, mask: Option<&FieldMask>) -> CustomerEdit {
    let writable = [
        ("display_name", !customer.display_name.is_empty()),
        ("tier", !customer.tier.is_empty()),
        ("owner", !customer.owner.is_empty()),
        ("do_not_contact", customer.do_not_contact),
    ];
    let output_only = [
        "name",
        "lifecycle",
        "open_count",
        "won_count",
        "lost_count",
        "live_order_count",
        "amounts",
        "last_loss_time",
        "win_back_time",
        "last_contact_time",
        "closing",
        "create_time",
        "update_time",
        "etag",
    ];
    let chosen = fields.mask(mask, &writable, &output_only);
    let mut line = |field: &'static str, text: &str, least: usize, most: usize| {
        chosen.contains(field).then(|| fields.line(&format!("customer.{field}"), text, least..=most))
    };
    CustomerEdit {
        display_name: line("display_name", &customer.display_name, 1, fields::TITLE),
        tier: line("tier", &customer.tier, 0, fields::LABEL),
        owner: chosen.contains("owner").then(|| fields.changed_principal("customer.owner", &customer.owner)),
        do_not_contact: chosen.contains("do_not_contact").then_some(customer.do_not_contact),
    }
}

/// An opportunity to be made.
pub(crate) fn new_opportunity(
    fields: &mut Fields,
    caller: Owned<'_>,
    opportunity: &pb::Opportunity,
    historical: Option<&Historical>,
) -> NewOpportunity {
    let owner = fields.principal("opportunity.owner", &opportunity.owner, caller.owner);
    let named = !opportunity.stage.is_empty();
    let stage = named.then(|| stage(fields, "opportunity.stage", &opportunity.stage)).flatten();
    NewOpportunity {
        number: fields.line("opportunity.number", &opportunity.number, 0..=fields::NUMBER),
        customer_id: fields.optional_name("opportunity.customer", &opportunity.customer, CustomerId::parse),
        title: fields.line("opportunity.title", &opportunity.title, 1..=fields::TITLE),
        team: fields.team("opportunity.team", &opportunity.team, &owner, caller),
        owner,
        stage,
        amount: fields.money("opportunity.amount", opportunity.amount.as_ref()).unwrap_or(Money::NONE),
        expected_close_at: fields.time("opportunity.expected_close_time", opportunity.expected_close_time.as_ref()),
        source: fields.line("opportunity.source", &opportunity.source, 0..=fields::LABEL),
        recovered_from: fields.optional_name(
            "opportunity.recovered_from",
            &opportunity.recovered_from,
            WinBackPlanId::parse,
        ),
        historical: historical.and_then(|historical| since(fields, historical)),
    }
}

fn since(fields: &mut Fields, historical: &Historical) -> Option<Since> {
    let mut past = |field: &str, time| fields.past(&format!("historical.{field}"), time);
    let created = past("create_time", historical.create_time.as_ref());
    let entered = past("stage_entered_time", historical.stage_entered_time.as_ref());
    let activity = past("activity_time", historical.activity_time.as_ref());
    if historical.create_time.is_none() {
        fields.refuse("historical.create_time", &wording::REQUIRED_WITH_HISTORICAL, &[]);
    }
    let created_at = created?;
    let stage_entered_at = entered.unwrap_or(created_at);
    let activity_at = activity.unwrap_or(stage_entered_at);
    if stage_entered_at < created_at {
        fields.refuse("historical.stage_entered_time", &wording::BEFORE_CREATION, &[]);
    }
    if activity_at < created_at {
        fields.refuse("historical.activity_time", &wording::BEFORE_CREATION, &[]);
    }
    Some(Since { created_at, stage_entered_at, activity_at })
}

/// When something was won or closed out, if in the past.
pub(crate) fn close_time(fields: &mut Fields, historical: Option<&Historical>) -> Option<Time> {
    let historical = historical?;
    if historical.close_time.is_none() {
        fields.refuse("historical.close_time", &wording::REQUIRED_WITH_HISTORICAL, &[]);
    }
    fields.past("historical.close_time", historical.close_time.as_ref())
}

/// What to change of an opportunity.
pub(crate) fn opportunity_edit(
    fields: &mut Fields,
    opportunity: &pb::Opportunity,
    mask: Option<&FieldMask>,
) -> OpportunityEdit {
    let writable = [
        ("number", !opportunity.number.is_empty()),
        ("customer", !opportunity.customer.is_empty()),
        ("title", !opportunity.title.is_empty()),
        ("owner", !opportunity.owner.is_empty()),
        ("team", !opportunity.team.is_empty()),
        ("amount", opportunity.amount.is_some()),
        ("expected_close_time", opportunity.expected_close_time.is_some()),
        ("source", !opportunity.source.is_empty()),
    ];
    let output_only = [
        "name",
        "stage",
        "state",
        "create_time",
        "stage_entered_time",
        "activity_time",
        "close_time",
        "close_out",
        "historical",
        "resume_time",
        "hold_note",
        "recovered_from",
        "update_time",
        "etag",
    ];
    let chosen = fields.mask(mask, &writable, &output_only);
    let has = |field: &str| chosen.contains(field);
    let mut line = |field: &'static str, text: &str, least: usize, most: usize| {
        chosen.contains(field).then(|| fields.line(&format!("opportunity.{field}"), text, least..=most))
    };
    OpportunityEdit {
        number: line("number", &opportunity.number, 1, fields::NUMBER),
        title: line("title", &opportunity.title, 1, fields::TITLE),
        team: line("team", &opportunity.team, 0, fields::LABEL),
        source: line("source", &opportunity.source, 0, fields::LABEL),
        owner: has("owner").then(|| fields.changed_principal("opportunity.owner", &opportunity.owner)),
        customer_id: if has("customer") {
            fields.optional_name("opportunity.customer", &opportunity.customer, CustomerId::parse)
        } else {
            None
        },
        amount: has("amount")
            .then(|| fields.money("opportunity.amount", opportunity.amount.as_ref()).unwrap_or(Money::NONE)),
        expected_close_at: has("expected_close_time")
            .then(|| fields.time("opportunity.expected_close_time", opportunity.expected_close_time.as_ref())),
    }
}

/// A close-out.
pub(crate) fn close_out(fields: &mut Fields, request: &pb::CloseOutOpportunityRequest) -> Closing {
    Closing {
        id: fields.name("name", &request.name, OpportunityId::parse, OpportunityId),
        etag: request.etag.clone(),
        reason: request.reason.clone(),
        detail: fields.words("detail", &request.detail),
        competitor: fields.optional_name("competitor", &request.competitor, CompetitorId::parse),
        closed_at: close_time(fields, request.historical.as_ref()),
        remarks: remarks::read(
            fields,
            &request.secondary_reasons,
            request.verification.as_ref(),
            request.reassessment.as_ref(),
            request.follow_up.as_ref(),
        ),
        group_id: None,
    }
}

/// What a close-out gives as its reason, however the rest of the request reads.
pub(crate) fn given<'a>(request: &pb::CloseOutOpportunityRequest, closing: &'a Closing) -> Given<'a> {
    let (competitor, historical) = (!request.competitor.is_empty(), request.historical.is_some());
    Given { competitor, historical, ..closing.given() }
}

/// An item of a bulk call as the request of a single one, with its index.
pub(crate) fn single(item: pb::bulk_close_out_opportunities_request::Item) -> (i64, pb::CloseOutOpportunityRequest) {
    let request = pb::CloseOutOpportunityRequest {
        name: item.name,
        reason: item.reason,
        detail: item.detail,
        competitor: item.competitor,
        etag: item.etag,
        historical: item.historical,
        secondary_reasons: item.secondary_reasons,
        verification: item.verification,
        reassessment: item.reassessment,
        follow_up: item.follow_up,
        ..Default::default()
    };
    (item.index, request)
}

/// An opportunity that was found as the API shows it.
pub(crate) fn opportunity_result(row: &Opportunity, found: Found) -> pb::OpportunityResult {
    pb::OpportunityResult {
        opportunity: Some(opportunity(row)),
        r#match: found.reason,
        customer_display_name: found.customer_display_name,
    }
}

/// A customer as the API shows it.
pub(crate) fn customer(customer: &Customer) -> pb::Customer {
    let amounts = customer.amounts.0.iter().map(|(currency, [open, won, lost])| {
        let amount = |minor: i64| Some(money(Money { minor, currency: *currency }));
        pb::RelationshipAmounts { open: amount(*open), won: amount(*won), lost: amount(*lost) }
    });
    pb::Customer {
        name: customer.customer_id.to_string(),
        display_name: customer.display_name.clone(),
        tier: customer.tier.clone(),
        owner: customer.owner.clone(),
        do_not_contact: customer.do_not_contact,
        lifecycle: customer.lifecycle.code().into(),
        open_count: customer.open_count,
        won_count: customer.won_count,
        lost_count: customer.lost_count,
        live_order_count: customer.live_order_count,
        amounts: amounts.collect(),
        last_loss_time: customer.last_loss_at.map(time),
        create_time: Some(time(customer.created_at)),
        update_time: Some(time(customer.updated_at)),
        etag: etag(customer.version),
        closing: customer.closing.map_or_else(String::new, |group| group.to_string()),
        win_back_time: customer.win_back_at.map(time),
        last_contact_time: customer.contacted_at.map(time),
    }
}

/// An opportunity as the API shows it.
pub(crate) fn opportunity(opportunity: &Opportunity) -> pb::Opportunity {
    pb::Opportunity {
        name: opportunity.opportunity_id.to_string(),
        number: opportunity.number.clone(),
        customer: opportunity.customer_id.map_or_else(String::new, |id| id.to_string()),
        title: opportunity.title.clone(),
        owner: opportunity.owner.clone(),
        team: opportunity.team.clone(),
        stage: opportunity.stage.to_string(),
        state: opportunity.state.code().into(),
        amount: Some(money(opportunity.amount)),
        expected_close_time: opportunity.expected_close_at.map(time),
        source: opportunity.source.clone(),
        create_time: Some(time(opportunity.created_at)),
        stage_entered_time: Some(time(opportunity.stage_entered_at)),
        activity_time: Some(time(opportunity.activity_at)),
        close_time: opportunity.closed_at.or(opportunity.won_at).map(time),
        close_out: opportunity.close_out_id.map_or_else(String::new, |id| id.to_string()),
        historical: opportunity.historical,
        update_time: Some(time(opportunity.updated_at)),
        etag: etag(opportunity.version),
        resume_time: opportunity.resume_at.map(time),
        hold_note: opportunity.hold_note.clone(),
        recovered_from: opportunity.recovered_from.map_or_else(String::new, |plan| plan.to_string()),
    }
}

/// An entry of a customer's timeline as the API shows it.
pub(crate) fn event(entry: &TimelineEntry) -> pb::CustomerEvent {
    pb::CustomerEvent {
        customer: entry.customer_id.to_string(),
        event_time: Some(time(entry.happened_at)),
        kind: entry.kind.clone(),
        resource: entry.record.to_string(),
        close_out: entry.close_out_id.map_or_else(String::new, |id| id.to_string()),
        actor: entry.actor.clone(),
        text: entry.text.clone(),
    }
}
