//! How many records of each kind a whole tenant has in each state: as the lists of all of it show, and by what was made.

use crate::{ask::Ground, compare::PAGE, model::Model, model::Record, model::Side, view::Shown};
use crm_proto::{opportunity as sales, order as trade};
use std::collections::BTreeMap;

/// Kinds and states, with how many there are.
pub(crate) type Totals = BTreeMap<String, usize>;

fn count(totals: &mut Totals, what: &str, shown: &Shown) {
    let state = match shown {
        Shown::Customer { lifecycle, .. } => lifecycle.clone(),
        Shown::Trade { .. } => "there".to_owned(),
        Shown::Opportunity { state, .. } => format!("{state:?}"),
        Shown::Order { state, .. } => format!("{state:?}"),
        Shown::Task { state, .. } => format!("{state:?}"),
        Shown::CloseOut { state, .. } => format!("{state:?}"),
    };
    *totals.entry(format!("{what} {state}")).or_default() += 1;
}

impl Model {
    /// Counts what was made.
    pub(crate) fn count(&self, totals: &mut Totals) {
        for place in 0..self.customers.len() {
            count(totals, "customers", &self.shown(Record::Customer(place)));
            count(totals, "trade records", &self.trade_record(place));
        }
        (0..self.opportunities.len())
            .for_each(|place| count(totals, "opportunities", &self.shown(Record::Opportunity(place))));
        (0..self.orders.len()).for_each(|place| count(totals, "orders", &self.shown(Record::Order(place))));
        for (place, task) in self.tasks.iter().enumerate() {
            let what = if task.side == Side::Sales { "selling tasks" } else { "order tasks" };
            count(totals, what, &self.shown(Record::Task(place)));
        }
        for (place, close_out) in self.close_outs.iter().enumerate() {
            let of_order = matches!(close_out.subject, Record::Order(_));
            let what = if of_order { "close-outs of orders" } else { "close-outs of opportunities" };
            count(totals, what, &self.shown(Record::CloseOut(place)));
        }
    }
}

/// Goes through a whole list, page by page.
macro_rules! pages {
    ($totals:ident, $what:literal: $client:expr, $method:ident, $request:expr, $field:ident) => {
        let mut page_token = String::new();
        loop {
            let request = $request(page_token);
            let reply = $client.clone().$method(request).await.map_err(|status| status.to_string())?.into_inner();
            reply.$field.iter().for_each(|record| count(&mut $totals, $what, &record.into()));
            page_token = reply.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    };
}

impl Ground<'_> {
    /// Counts everything that the tenant has.
    pub(crate) async fn totals(&self) -> Result<Totals, String> {
        let (mut totals, it, page_size) = (Totals::new(), self.reader(), PAGE);
        let request = |page_token| sales::ListCustomersRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "customers": it.customers, list_customers, request, customers);
        let request = |page_token| trade::ListCustomersRequest { page_size, page_token };
        pages!(totals, "trade records": it.trade_records, list_customers, request, customers);
        let request = |page_token| sales::ListOpportunitiesRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "opportunities": it.opportunities, list_opportunities, request, opportunities);
        let request = |page_token| trade::ListOrdersRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "orders": it.orders, list_orders, request, orders);
        let request = |page_token| sales::ListTasksRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "selling tasks": it.selling_tasks, list_tasks, request, tasks);
        let request = |page_token| trade::ListTasksRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "order tasks": it.order_tasks, list_tasks, request, tasks);
        let request = |page_token| sales::ListCloseOutsRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "close-outs of opportunities": it.sales_close_outs, list_close_outs, request, close_outs);
        let request = |page_token| trade::ListCloseOutsRequest { page_size, page_token, ..Default::default() };
        pages!(totals, "close-outs of orders": it.trade_close_outs, list_close_outs, request, close_outs);
        Ok(totals)
    }
}
