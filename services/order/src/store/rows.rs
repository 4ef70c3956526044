//! The service's tables, bound to the domain's types.

use crate::domain::{Cancellation, Cancellations, Customer, Line, Lines, Order, State};
use crm_closeout::{
    ids::{CloseOutId, CustomerId, OpportunityId, OrderId, TenantId},
    money::{Currency, Sums},
    time::Time,
};
use crm_outbox::{cell::JsonText, part_code, part_json, table};
use serde_json::{Value, json};

part_code!(State);
part_json!(Lines, Cancellations);

impl JsonText for Cancellations {
    fn to_json(&self) -> Value {
        let one = |one: &Cancellation| {
            let lines: Vec<_> = one.lines.iter().map(|(line, count)| json!([line, count])).collect();
            json!({
                "at": one.at.0, "actor": one.actor, "reason": one.reason_code, "version": one.reason_version,
                "detail": one.detail, "refund": one.refund_reference, "lines": lines,
            })
        };
        self.0.iter().map(one).collect()
    }

    fn from_json(value: &Value) -> Option<Self> {
        let line = |value: &Value| Some((usize::try_from(value[0].as_u64()?).ok()?, value[1].as_i64()?));
        let one = |value: &Value| {
            let text = |key: &str| value[key].as_str().map(str::to_owned);
            Some(Cancellation {
                at: Time(value["at"].as_i64()?),
                actor: text("actor")?,
                reason_code: text("reason")?,
                reason_version: value["version"].as_i64()?,
                detail: text("detail")?,
                refund_reference: text("refund")?,
                lines: value["lines"].as_array()?.iter().map(line).collect::<Option<_>>()?,
            })
        };
        value.as_array()?.iter().map(one).collect::<Option<_>>().map(Self)
    }
}

impl JsonText for Lines {
    fn to_json(&self) -> Value {
        let line = |line: &Line| {
            json!({
                "product": line.product, "quantity": line.quantity, "fulfilled": line.fulfilled,
                "cancelled": line.cancelled, "unit_minor": line.unit_minor,
            })
        };
        Value::Array(self.0.iter().map(line).collect())
    }

    fn from_json(value: &Value) -> Option<Self> {
        let line = |line: &Value| {
            let int = |key: &str| line.get(key)?.as_i64();
            Some(Line {
                product: line.get("product")?.as_str()?.to_owned(),
                quantity: int("quantity")?,
                fulfilled: int("fulfilled")?,
                cancelled: int("cancelled")?,
                unit_minor: int("unit_minor")?,
            })
        };
        value.as_array()?.iter().map(line).collect::<Option<_>>().map(Self)
    }
}

table!(Customer = "customer", key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1], {
    tenant_id: TenantId, customer_id: CustomerId, display_name: String, draft_count: i64, live_count: i64,
    processed_count: i64, cancelled_count: i64, deals_lost: i64, amounts: Sums<4>, last_close_out_at: Option<Time>,
    created_at: Time, updated_at: Time, version: i64,
});

table!(Order = "sales_order", key |key| [tenant_id: TenantId = key.0, order_id: OrderId = key.1], indexed [
    "number", "customer_id", "opportunity_id", "owner"
], {
    tenant_id: TenantId, order_id: OrderId, number: String, customer_id: CustomerId,
    opportunity_id: Option<OpportunityId>, owner: String, team: String, state: State, currency: Currency, lines: Lines,
    paid_minor: i64, refund_reference: String, close_out_id: Option<CloseOutId>, closed_at: Option<Time>,
    created_at: Time, historical: bool, updated_at: Time, version: i64, epoch: i64, sent: i64, declined: i64, cancellations: Cancellations,
});
