//! The trade side's own resources between protobuf and the domain. Fields are mapped nowhere else.

use crate::domain::{Cancellation, Cancelling, Closing, Customer, Line, Lines, NewOrder, Order, OrderEdit};
use crm_api::{
    convert::{money, time},
    fields::{self, Fields},
    remarks,
    search::Found,
};
use crm_closeout::{
    access::Owned,
    codes::Code,
    episode::Outcome,
    ids::{CustomerId, OpportunityId, OrderId},
    money::{Currency, Money},
    reason::{self, Given},
    records::TimelineEntry,
    refusal::etag,
    wording,
};
use crm_proto::{common::Historical, order as pb};
use prost_types::FieldMask;
use std::fmt::Display;

const MOST_LINES: usize = 200;
const MOST_UNITS: i64 = 1_000_000_000;

/// An order to be made.
pub(crate) fn new_order(
    fields: &mut Fields,
    caller: Owned<'_>,
    order: &pb::Order,
    historical: Option<&Historical>,
) -> NewOrder {
    if historical.is_some_and(|historical| historical.create_time.is_none()) {
        fields.refuse("historical.create_time", &wording::REQUIRED_WITH_HISTORICAL, &[]);
    }
    let created_at = historical.and_then(|h| fields.past("historical.create_time", h.create_time.as_ref()));
    let (currency, lines) = lines(fields, &order.lines);
    let owner = fields.principal("order.owner", &order.owner, caller.owner);
    NewOrder {
        number: fields.line("order.number", &order.number, 0..=fields::NUMBER),
        customer_id: fields.name("order.customer", &order.customer, CustomerId::parse, CustomerId),
        opportunity_id: fields.optional_name("order.opportunity", &order.opportunity, OpportunityId::parse),
        team: fields.team("order.team", &order.team, &owner, caller),
        owner,
        currency,
        lines,
        created_at,
    }
}

fn lines(fields: &mut Fields, lines: &[pb::OrderLine]) -> (Currency, Lines) {
    if lines.is_empty() || lines.len() > MOST_LINES {
        fields.refuse("order.lines", &wording::COUNT, &[("least", &1), ("most", &MOST_LINES), ("count", &lines.len())]);
    }
    let mut currency = None;
    let mut taken = Vec::with_capacity(lines.len().min(MOST_LINES));
    for (index, line) in lines.iter().take(MOST_LINES).enumerate() {
        let field = |name: &str| format!("order.lines[{index}].{name}");
        if !(1..=MOST_UNITS).contains(&line.quantity) {
            fields.refuse(field("quantity"), &wording::RANGE, &[("least", &1), ("most", &MOST_UNITS)]);
        }
        if line.unit_price.is_none() {
            fields.refuse(field("unit_price"), &wording::REQUIRED, &[]);
        }
        let price = fields.money(&field("unit_price"), line.unit_price.as_ref());
        if let Some(price) = price {
            let first = *currency.get_or_insert(price.currency);
            if price.currency != first {
                fields.refuse(field("unit_price"), &wording::MIXED_CURRENCY, &[("currency", &first)]);
            }
        }
        taken.push(Line {
            product: fields.line(&field("product"), &line.product, 1..=fields::LABEL),
            quantity: line.quantity,
            fulfilled: 0,
            cancelled: 0,
            unit_minor: price.map_or(0, |price| price.minor),
        });
    }
    let lines = Lines(taken);
    if !lines.fits() {
        fields.refuse("order.lines", &wording::TOTAL_TOO_LARGE, &[]);
    }
    (currency.unwrap_or(Currency::NONE), lines)
}

/// What to change of an order.
pub(crate) fn order_edit(fields: &mut Fields, order: &pb::Order, mask: Option<&FieldMask>) -> OrderEdit {
    let writable = [
        ("number", !order.number.is_empty()),
        ("owner", !order.owner.is_empty()),
        ("team", !order.team.is_empty()),
        ("lines", !order.lines.is_empty()),
    ];
    let output_only = [
        "name",
        "state",
        "total",
        "paid",
        "refund_reference",
        "close_out",
        "create_time",
        "close_time",
        "historical",
        "cancellations",
        "update_time",
        "etag",
    ];
    let chosen = fields.mask(mask, &writable, &output_only);
    let mut line = |field: &'static str, text: &str, least: usize, most: usize| {
        chosen.contains(field).then(|| fields.line(&format!("order.{field}"), text, least..=most))
    };
    OrderEdit {
        number: line("number", &order.number, 1, fields::NUMBER),
        team: line("team", &order.team, 0, fields::LABEL),
        owner: chosen.contains("owner").then(|| fields.changed_principal("order.owner", &order.owner)),
        lines: chosen.contains("lines").then(|| lines(fields, &order.lines)),
    }
}

/// What was fulfilled.
pub(crate) fn fulfilment(fields: &mut Fields, lines: &[pb::LineFulfilment]) -> Vec<(usize, i64)> {
    counts(fields, lines.iter().map(|line| (line.line, line.quantity)).collect())
}

/// What is cancelled of an order, and why.
pub(crate) fn cancelling(fields: &mut Fields, request: &pb::CancelOrderLinesRequest) -> Cancelling {
    let verification = request.verification.as_ref();
    Cancelling {
        id: fields.name("name", &request.name, OrderId::parse, OrderId),
        etag: request.etag.clone(),
        lines: counts(fields, request.lines.iter().map(|line| (line.line, line.quantity)).collect()),
        reason: request.reason.clone(),
        detail: fields.words("detail", &request.detail),
        refund_reference: fields.line("refund_reference", &request.refund_reference, 0..=fields::LABEL),
        verification: remarks::read(fields, &[], verification, None, None).verification,
    }
}

/// How many of which lines.
fn counts(fields: &mut Fields, lines: Vec<(i32, i64)>) -> Vec<(usize, i64)> {
    if lines.is_empty() || lines.len() > MOST_LINES {
        fields.refuse("lines", &wording::COUNT, &[("least", &1), ("most", &MOST_LINES), ("count", &lines.len())]);
    }
    let mut done = Vec::with_capacity(lines.len().min(MOST_LINES));
    for (index, (line, quantity)) in lines.into_iter().take(MOST_LINES).enumerate() {
        if !(1..=MOST_UNITS).contains(&quantity) {
            let values: [(&str, &dyn Display); 2] = [("least", &1), ("most", &MOST_UNITS)];
            fields.refuse(format!("lines[{index}].quantity"), &wording::RANGE, &values);
        }
        match usize::try_from(line) {
            Ok(line) => done.push((line, quantity)),
            Err(_) => fields.refuse(format!("lines[{index}].line"), &wording::NEGATIVE, &[]),
        }
    }
    done
}

/// A payment.
pub(crate) fn payment(fields: &mut Fields, amount: Option<&crm_proto::Money>) -> Money {
    let read = fields.money("amount", amount);
    if amount.is_none() || read.is_some_and(|amount| amount.minor == 0) {
        fields.refuse("amount", &wording::REQUIRED_ABOVE_ZERO, &[]);
    }
    read.unwrap_or(Money::NONE)
}

/// A close-out.
pub(crate) fn close_out(fields: &mut Fields, request: &pb::CloseOutOrderRequest) -> Closing {
    let outcome = fields.code::<Outcome>("outcome", request.outcome);
    if outcome == Some(Outcome::Lost) {
        fields.refuse("outcome", &wording::NOT_AN_OUTCOME, &[]);
    }
    let by_default = outcome == Some(Outcome::Processed) && request.reason.is_empty();
    let historical = request.historical.as_ref();
    if historical.is_some_and(|historical| historical.close_time.is_none()) {
        fields.refuse("historical.close_time", &wording::REQUIRED_WITH_HISTORICAL, &[]);
    }
    Closing {
        id: fields.name("name", &request.name, OrderId::parse, OrderId),
        etag: request.etag.clone(),
        outcome: outcome.unwrap_or(Outcome::Cancelled),
        reason: if by_default { reason::name(reason::PROCESSED) } else { request.reason.clone() },
        detail: fields.words("detail", &request.detail),
        refund_reference: fields.line("refund_reference", &request.refund_reference, 0..=fields::LABEL),
        won_policy: fields.optional_code("won_opportunity_policy", request.won_opportunity_policy),
        closed_at: historical.and_then(|h| fields.past("historical.close_time", h.close_time.as_ref())),
        remarks: remarks::read(
            fields,
            &request.secondary_reasons,
            request.verification.as_ref(),
            request.reassessment.as_ref(),
            request.follow_up.as_ref(),
        ),
    }
}

/// What a close-out gives as its reason, however the rest of the request reads.
pub(crate) fn given<'a>(request: &pb::CloseOutOrderRequest, closing: &'a Closing) -> Given<'a> {
    Given { historical: request.historical.is_some(), ..closing.given() }
}

/// An item of a bulk call as the request of a single one, with its index.
pub(crate) fn single(item: pb::bulk_close_out_orders_request::Item) -> (i64, pb::CloseOutOrderRequest) {
    let request = pb::CloseOutOrderRequest {
        name: item.name,
        outcome: item.outcome,
        reason: item.reason,
        detail: item.detail,
        refund_reference: item.refund_reference,
        won_opportunity_policy: item.won_opportunity_policy,
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

/// An order as the API shows it.
pub(crate) fn order(order: &Order) -> pb::Order {
    let amount = |minor: i64| Some(money(Money { minor, currency: order.currency }));
    let line = |line: &Line| pb::OrderLine {
        product: line.product.clone(),
        quantity: line.quantity,
        fulfilled: line.fulfilled,
        cancelled: line.cancelled,
        unit_price: amount(line.unit_minor),
    };
    pb::Order {
        name: order.order_id.to_string(),
        number: order.number.clone(),
        customer: order.customer_id.to_string(),
        opportunity: order.opportunity_id.map_or_else(String::new, |id| id.to_string()),
        owner: order.owner.clone(),
        team: order.team.clone(),
        state: order.state.code().into(),
        lines: order.lines.0.iter().map(line).collect(),
        total: Some(money(order.total())),
        paid: amount(order.paid_minor),
        refund_reference: order.refund_reference.clone(),
        close_out: order.close_out_id.map_or_else(String::new, |id| id.to_string()),
        create_time: Some(time(order.created_at)),
        close_time: order.closed_at.map(time),
        historical: order.historical,
        update_time: Some(time(order.updated_at)),
        etag: etag(order.version),
        cancellations: order.cancellations.0.iter().map(cancellation).collect(),
    }
}

fn cancellation(one: &Cancellation) -> pb::PartCancellation {
    let line = |(line, quantity): &(usize, i64)| pb::CancelledLine {
        line: i32::try_from(*line).unwrap_or(i32::MAX),
        quantity: *quantity,
    };
    pb::PartCancellation {
        cancel_time: Some(time(one.at)),
        actor: one.actor.clone(),
        reason: reason::name(&one.reason_code),
        reason_version: one.reason_version,
        detail: one.detail.clone(),
        refund_reference: one.refund_reference.clone(),
        lines: one.lines.iter().map(line).collect(),
    }
}

/// An order that was found as the API shows it.
pub(crate) fn order_result(row: &Order, found: Found) -> pb::OrderResult {
    pb::OrderResult {
        order: Some(order(row)),
        r#match: found.reason,
        customer_display_name: found.customer_display_name,
    }
}

/// A customer as the API shows it.
pub(crate) fn customer(customer: &Customer) -> pb::Customer {
    let amounts = customer.amounts.0.iter().map(|(currency, [draft, live, processed, cancelled])| {
        let amount = |minor: i64| Some(money(Money { minor, currency: *currency }));
        pb::TradeAmounts {
            draft: amount(*draft),
            live: amount(*live),
            processed: amount(*processed),
            cancelled: amount(*cancelled),
        }
    });
    pb::Customer {
        name: customer.customer_id.to_string(),
        display_name: customer.display_name.clone(),
        draft_count: customer.draft_count,
        live_count: customer.live_count,
        processed_count: customer.processed_count,
        cancelled_count: customer.cancelled_count,
        deals_lost: customer.deals_lost,
        amounts: amounts.collect(),
        last_close_out_time: customer.last_close_out_at.map(time),
        create_time: Some(time(customer.created_at)),
        update_time: Some(time(customer.updated_at)),
        etag: etag(customer.version),
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
