//! Calls of the order service about orders.

use super::{Asking, Done, LONGEST, PEER, only, reason};
use crate::{commands::Call, model::Record};
use crm_proto::order as trade;
use crm_tests::client::cny;
use tonic::Status;

/// A refund's reference, or none.
fn refund_reference(given: bool) -> String {
    if given { "R-1".to_owned() } else { String::new() }
}

impl Asking<'_> {
    /// About an order.
    pub(super) async fn of_trade(&self) -> Result<Done, Status> {
        let (client, manner) = (self.client, self.manner);
        let name = |order| self.names.of(Record::Order(order)).to_owned();
        let (request_id, etag, validate_only) = (manner.id(), manner.etag.clone(), manner.dry);
        let (wait, max_wait) = (PEER, LONGEST);
        match *self.call {
            Call::CreateOrder { customer, opportunity, owner, ref lines } => {
                let line = |&(quantity, price): &(i64, i64)| {
                    let (product, unit_price) = ("Camera".to_owned(), cny(price));
                    trade::OrderLine { product, quantity, unit_price, ..Default::default() }
                };
                let order = Some(trade::Order {
                    customer: self.names.of(Record::Customer(customer)).to_owned(),
                    opportunity: opportunity.map_or("", |it| self.names.of(Record::Opportunity(it))).to_owned(),
                    owner: owner.map(|owner| owner.name().to_owned()).unwrap_or_default(),
                    lines: lines.iter().map(line).collect(),
                    ..Default::default()
                });
                let request =
                    trade::CreateOrderRequest { order, request_id, validate_only, wait, max_wait, historical: None };
                let reply = client.create_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::OwnOrder { order, owner } => {
                let (name, owner, update_mask) = (name(order), owner.name().to_owned(), only("owner"));
                let order = Some(trade::Order { name, owner, etag, ..Default::default() });
                let request = trade::UpdateOrderRequest { order, update_mask, request_id, validate_only };
                let reply = client.update_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::Confirm { order } => {
                let name = name(order);
                let request = trade::ConfirmOrderRequest { name, etag, request_id, validate_only, wait, max_wait };
                let reply = client.confirm_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::Fulfil { order, line, count } => {
                let lines = vec![trade::LineFulfilment { line: line as i32, quantity: count }];
                let name = name(order);
                let request = trade::RecordFulfilmentRequest { name, lines, etag, request_id, validate_only };
                let reply = client.record_fulfilment(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::Pay { order, amount } => {
                let (name, amount) = (name(order), cny(amount));
                let request = trade::RecordPaymentRequest { name, amount, etag, request_id, validate_only };
                let reply = client.record_payment(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::CancelLine { order, line, count, reason: code, detail, refund } => {
                let request = trade::CancelOrderLinesRequest {
                    name: name(order),
                    lines: vec![trade::CancelledLine { line: line as i32, quantity: count }],
                    reason: reason(code),
                    detail: detail.to_owned(),
                    refund_reference: refund_reference(refund),
                    verification: None,
                    etag,
                    request_id,
                    validate_only,
                };
                let reply = client.cancel_order_lines(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::CloseOrder { order, outcome, reason: code, detail, refund, policy } => {
                let request = trade::CloseOutOrderRequest {
                    name: name(order),
                    outcome: outcome.into(),
                    reason: reason(code),
                    detail: detail.to_owned(),
                    refund_reference: refund_reference(refund),
                    won_opportunity_policy: policy.into(),
                    etag,
                    request_id,
                    validate_only,
                    max_wait,
                    ..Default::default()
                };
                let reply = client.close_out_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::ReopenOrder { order } => {
                let (name, note) = (name(order), manner.words.to_owned());
                let request = trade::ReopenOrderRequest { name, note, etag, request_id, validate_only, wait, max_wait };
                let reply = client.reopen_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            Call::Missing { .. } => {
                let name = format!("orders/{}", manner.id);
                let request = trade::ConfirmOrderRequest { name, request_id, validate_only, ..Default::default() };
                let reply = client.confirm_order(request).await?;
                Done::of(&reply, reply.order.as_ref())
            }
            _ => Err(Status::internal(format!("not asked of the order service: {:?}", self.call))),
        }
    }
}
