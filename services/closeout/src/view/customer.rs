//! A customer's record on both services, alone or before and after something.

use super::{change_cells, side_name};
use crate::api::Api;
use crate::format::{amount, count, decimal, label, or_dash, time};
use crate::json;
use crate::screen::{Paint, Screen};
use anyhow::Context;
use crm_proto::common::Side;
use crm_proto::{Money, opportunity as sales, order as trade};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};
use tonic::Code;

/// What decides how a customer is treated.
const LIFECYCLE: &str = "lifecycle";

/// A customer as both services see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Customer {
    /// The relationship, on the opportunity service.
    pub(crate) relationship: sales::Customer,
    /// The trade record, on the order service; none while that has not heard of it.
    pub(crate) trade: Option<trade::Customer>,
}

impl Customer {
    /// Reads both sides.
    pub(crate) async fn read(api: &Api, name: &str) -> anyhow::Result<Self> {
        let request = sales::GetCustomerRequest { name: name.to_owned() };
        let relationship = api.get_relationship(request).await?.customer.context("a reply without its customer")?;
        let trade = match api.get_trade_record(trade::GetCustomerRequest { name: name.to_owned() }).await {
            Ok(reply) => reply.customer,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status.into()),
        };
        Ok(Self { relationship, trade })
    }

    /// Both sides as the API names their fields.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        let trade = self.trade.as_ref().map(|trade| json::message("crm.order.v1.Customer", trade)).transpose()?;
        let relationship = json::message("crm.opportunity.v1.Customer", &self.relationship)?;
        Ok(json!({ "opportunity": relationship, "order": trade }))
    }

    /// Both sides in few words: counters, amounts by currency, lifecycle, newest dates.
    pub(crate) fn brief(&self) -> Value {
        let record = &self.relationship;
        let amounts = record.amounts.iter().map(|of| [("open", &of.open), ("won", &of.won), ("lost", &of.lost)]);
        let relationship = json!({
            "lifecycle": lifecycle(record), "open_count": record.open_count, "won_count": record.won_count,
            "lost_count": record.lost_count, "live_order_count": record.live_order_count,
            "amounts": amounts_json(amounts), "last_loss_time": time_json(record.last_loss_time.as_ref()),
        });
        let trade = self.trade.as_ref().map(|record| {
            let amounts = record.amounts.iter().map(|of| {
                [("draft", &of.draft), ("live", &of.live), ("processed", &of.processed), ("cancelled", &of.cancelled)]
            });
            json!({
                "draft_count": record.draft_count, "live_count": record.live_count,
                "processed_count": record.processed_count, "cancelled_count": record.cancelled_count,
                "deals_lost": record.deals_lost, "amounts": amounts_json(amounts),
                "last_close_out_time": time_json(record.last_close_out_time.as_ref()),
            })
        });
        json!({ "name": record.name, "display_name": record.display_name, "opportunity": relationship, "order": trade })
    }

    /// What stands on both sides: side, field, value.
    fn fields(&self) -> Vec<(Side, String, String)> {
        let mut fields = relationship_fields(&self.relationship);
        fields.extend(self.trade.iter().flat_map(trade_fields));
        fields
    }
}

/// `{"USD": {"open": "4821.00"}}`.
fn amounts_json<'a, const N: usize>(all: impl Iterator<Item = [(&'static str, &'a Option<Money>); N]>) -> Value {
    let mut currencies = Map::new();
    for (name, money) in all.flatten() {
        let Some(money) = money else { continue };
        let amounts = currencies.entry(money.currency_code.clone()).or_insert_with(|| json!({}));
        amounts[name] = json!(decimal(money));
    }
    Value::Object(currencies)
}

fn time_json(timestamp: Option<&Timestamp>) -> Value {
    timestamp.map_or(Value::Null, |timestamp| json!(timestamp.to_string()))
}

/// How a lifecycle reads.
pub(crate) fn lifecycle(record: &sales::Customer) -> String {
    label(record.lifecycle().as_str_name(), "LIFECYCLE_")
}

fn relationship_fields(record: &sales::Customer) -> Vec<(Side, String, String)> {
    let field = |name: &str, value: String| (Side::Opportunity, name.to_owned(), value);
    let number = |name: &str, value: i64| field(name, count(value.unsigned_abs()));
    let mut fields = vec![
        field(LIFECYCLE, lifecycle(record)),
        number("open opportunities", record.open_count),
        number("won", record.won_count),
        number("lost", record.lost_count),
        number("live orders", record.live_order_count),
    ];
    for amounts in &record.amounts {
        let parts = [("open amount", &amounts.open), ("won amount", &amounts.won), ("lost amount", &amounts.lost)];
        fields.extend(amount_fields(Side::Opportunity, parts));
    }
    fields.push(field("last loss", time(record.last_loss_time.as_ref())));
    let planned = [("win back", &record.win_back_time), ("last contact", &record.last_contact_time)];
    let planned = planned.into_iter().filter(|(_, at)| at.is_some());
    fields.extend(planned.map(|(name, at)| field(name, time(at.as_ref()))));
    fields
}

fn trade_fields(record: &trade::Customer) -> Vec<(Side, String, String)> {
    let field = |name: &str, value: String| (Side::Order, name.to_owned(), value);
    let number = |name: &str, value: i64| field(name, count(value.unsigned_abs()));
    let mut fields = vec![
        number("draft orders", record.draft_count),
        number("live orders", record.live_count),
        number("processed", record.processed_count),
        number("cancelled", record.cancelled_count),
        number("deals lost", record.deals_lost),
    ];
    for amounts in &record.amounts {
        let draft_and_live = [("draft amount", &amounts.draft), ("live amount", &amounts.live)];
        fields.extend(amount_fields(Side::Order, draft_and_live));
        let ended = [("processed amount", &amounts.processed), ("cancelled amount", &amounts.cancelled)];
        fields.extend(amount_fields(Side::Order, ended));
    }
    fields.push(field("last close-out", time(record.last_close_out_time.as_ref())));
    fields
}

/// One field for each amount, the currency as part of its name: that is what tells two apart.
fn amount_fields<const N: usize>(side: Side, parts: [(&str, &Option<Money>); N]) -> Vec<(Side, String, String)> {
    parts
        .into_iter()
        .filter_map(|(name, money)| money.as_ref().map(|money| (name, money)))
        .map(|(name, money)| (side, format!("{name} {}", money.currency_code), amount(money)))
        .collect()
}

/// Shows a customer as it stands.
pub(crate) fn show_customer(customer: &Customer, screen: &Screen) -> anyhow::Result<()> {
    let record = &customer.relationship;
    screen.heading(&format!("{}  {}", record.display_name, record.name))?;
    screen.note(&format!(
        "tier {}, owner {}{}",
        or_dash(&record.tier),
        or_dash(&record.owner),
        if record.do_not_contact { ", do not contact" } else { "" }
    ))?;
    let mut table = screen.new_table(&["side", "field", "value"]);
    for (side, field, value) in customer.fields() {
        table.add_row([side_name(side).to_owned(), field, value]);
    }
    screen.table(&table)
}

/// Shows what changed of a customer on both sides; the lifecycle in any case, and in a line what else stayed as it was.
pub(crate) fn show_change(before: &Customer, after: &Customer, screen: &Screen) -> anyhow::Result<()> {
    let headings = ["side", "customer's record", "before", "after"];
    let mut table = screen.new_table_keeping(&headings, &[0, 1, 2, 3]);
    let mut unchanged = Vec::new();
    for (side, field, old, new) in compare(&before.fields(), &after.fields()) {
        if old == new && field != LIFECYCLE {
            let is_none = matches!(new.split(' ').next(), None | Some("-" | "0" | "0.00"));
            if !is_none {
                unchanged.push(format!("{field} {new} ({})", side_name(side)));
            }
            continue;
        }
        let [old, new] = change_cells(old, new, screen);
        table.add_row([screen.cell(Paint::Dim, side_name(side)), field.into(), old, new]);
    }
    screen.table(&table)?;
    if unchanged.is_empty() { Ok(()) } else { screen.note(&format!("As before: {}.", unchanged.join(", "))) }
}

type Change = (Side, String, String, String);

/// Every field of either record with both values; a dash where one has none.
fn compare(before: &[(Side, String, String)], after: &[(Side, String, String)]) -> Vec<Change> {
    let value = |record: &[(Side, String, String)], side: Side, field: &str| {
        let found = record.iter().find(|(other, name, _)| *other == side && name == field);
        found.map_or_else(|| "-".to_owned(), |(_, _, value)| value.clone())
    };
    let gone =
        before.iter().filter(|(side, field, _)| !after.iter().any(|other| other.0 == *side && other.1 == *field));
    let mut all: Vec<Change> = after
        .iter()
        .chain(gone)
        .map(|(side, field, _)| (*side, field.clone(), value(before, *side, field), value(after, *side, field)))
        .collect();
    all.sort_by_key(|(side, ..)| *side as i32); // stable: the fields keep their order
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::to_money;

    #[test]
    fn both_sides_are_compared_field_by_field() {
        let before = Customer {
            relationship: sales::Customer { open_count: 1, lost_count: 0, ..sales::Customer::default() },
            trade: Some(trade::Customer { draft_count: 1, ..trade::Customer::default() }),
        };
        let mut after = before.clone();
        (after.relationship.open_count, after.relationship.lost_count) = (0, 1);
        after.relationship.amounts =
            vec![sales::RelationshipAmounts { lost: Some(to_money(482_100, "USD")), ..Default::default() }];
        after.trade = Some(trade::Customer { cancelled_count: 1, ..trade::Customer::default() });
        let changed: Vec<Change> =
            compare(&before.fields(), &after.fields()).into_iter().filter(|(_, _, old, new)| old != new).collect();
        let told: Vec<String> = changed.iter().map(|(_, field, old, new)| format!("{field}: {old} -> {new}")).collect();
        assert_eq!(
            told,
            [
                "open opportunities: 1 -> 0",
                "lost: 0 -> 1",
                "lost amount USD: - -> 4,821.00",
                "draft orders: 1 -> 0",
                "cancelled: 0 -> 1"
            ]
        );
    }
}
