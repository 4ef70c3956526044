//! What happened to a customer's record, on both services.

use super::side_name;
use crate::api::Api;
use crate::format::{short_name, time};
use crate::json;
use crate::screen::Screen;
use crm_proto::common::Side;
use crm_proto::{opportunity as sales, order as trade};
use serde_json::{Value, json};
use tonic::Status;

/// How many of each service are read.
const NEWEST: i32 = 10;

/// The newest events of both records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    relationship: Vec<sales::CustomerEvent>,
    trade: Vec<trade::CustomerEvent>,
}

impl Events {
    /// Reads them.
    pub(crate) async fn read(api: &Api, customer: &str) -> Result<Self, Status> {
        let (customer, page_size) = (customer.to_owned(), NEWEST);
        let request = sales::ListCustomerEventsRequest { customer: customer.clone(), page_size, ..Default::default() };
        let relationship = api.list_relationship_events(request).await?.events;
        let request = trade::ListCustomerEventsRequest { customer, page_size, ..Default::default() };
        let trade = api.list_trade_events(request).await?.events;
        Ok(Self { relationship, trade })
    }

    /// As the API names their fields, by side.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        let relationship = json::list("crm.opportunity.v1.CustomerEvent", &self.relationship)?;
        let trade = json::list("crm.order.v1.CustomerEvent", &self.trade)?;
        Ok(json!({ "opportunity": relationship, "order": trade }))
    }

    /// Shows them, newest first on each side.
    pub(crate) fn show(&self, screen: &Screen) -> anyhow::Result<()> {
        let mut table = screen.new_table_keeping(&["side", "when", "what", "record", "by", ""], &[0, 1, 2, 3]);
        for event in &self.relationship {
            let (side, when) = (side_name(Side::Opportunity), time(event.event_time.as_ref()));
            let record = short_name(&event.resource);
            table.add_row([side, &when, &event.kind, &record, &event.actor, &event.text]);
        }
        for event in &self.trade {
            let (side, when) = (side_name(Side::Order), time(event.event_time.as_ref()));
            let record = short_name(&event.resource);
            table.add_row([side, &when, &event.kind, &record, &event.actor, &event.text]);
        }
        screen.table(&table)
    }
}
