//! Sends a data set through the public API: customers first, then every opportunity with what became of it, many at the
//! same time. Every call has an id derived from its row, so that a second import, or one after a break, makes nothing
//! twice.

mod deal;
mod report;

use crate::api::Api;
use crate::data::{CustomerRow, DataSet, DealRow, Refusal, Stage};
use crate::failure;
use crate::request_id;
use crate::screen::Screen;
use anyhow::Context;
use crm_proto::common::Wait;
use crm_proto::opportunity::{CreateCustomerRequest, Customer, ListCustomersRequest};
use futures::stream::{self, StreamExt};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tonic::Status;

pub(crate) use report::{json, show};

/// How long one call waits for the other service before it answers PENDING.
const MAX_WAIT: prost_types::Duration = prost_types::Duration { seconds: 10, nanos: 0 };

/// What an import made.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// How many of each.
    pub(crate) counts: Counts,
    /// Rows that a service refused.
    pub(crate) refused: Vec<Refusal>,
    /// Resource name of each opportunity by its number.
    pub(crate) opportunities: HashMap<String, String>,
    /// Resource name of each order by the number of its opportunity.
    pub(crate) orders: HashMap<String, String>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// How many of each an import made, as the services answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Customers.
    pub(crate) customers: u64,
    /// Opportunities in all.
    pub(crate) opportunities: u64,
    /// Opportunities without a customer.
    pub(crate) without_customer: u64,
    /// Opportunities that were won.
    pub(crate) won: u64,
    /// Opportunities closed out as lost.
    pub(crate) lost: u64,
    /// Open opportunities in stage engaging.
    pub(crate) engaging: u64,
    /// Open opportunities in stage prospecting.
    pub(crate) prospecting: u64,
    /// What the won ones are worth, in minor units.
    pub(crate) won_amount: i64,
    /// Opportunities that took the list price as their amount.
    pub(crate) estimated: u64,
    /// Confirmed orders.
    pub(crate) orders: u64,
    /// Selling tasks.
    pub(crate) tasks: u64,
}

/// Why a row did not get through.
#[derive(Debug)]
enum Stop {
    /// A service refused it by a rule: the row is reported and the rest goes on.
    Refused(String),
    /// A service failed: the import ends.
    Failed(anyhow::Error),
}

impl Stop {
    /// Sorts a failed call; `doing` says what it was for.
    fn from_status(doing: &str, status: Status) -> Self {
        if failure::is_refusal(status.code()) {
            Self::Refused(format!("{doing}: {}", failure::one_line(&status)))
        } else {
            Self::Failed(anyhow::Error::from(status).context(doing.to_owned()))
        }
    }
}

/// Imports `data`, `in_flight` rows at the same time.
pub(crate) async fn run(api: &Api, data: &DataSet, in_flight: usize, screen: &Screen) -> anyhow::Result<Imported> {
    let started = Instant::now();
    let mut imported = Imported::default();
    let customers = import_customers(api, data, in_flight, screen, &mut imported).await?;
    let run = Run { api, data, customers: &customers };
    let run = &run;
    let bar = screen.progress(data.deals.len() as u64, "opportunities");
    let mut deals = stream::iter(&data.deals)
        .map(|row| Box::pin(async move { (row, deal::import(run, row).await) }))
        .buffer_unordered(in_flight);
    while let Some((row, result)) = deals.next().await {
        bar.inc(1);
        match result {
            Ok(made) => imported.count(row, made),
            Err(Stop::Refused(reason)) => imported.refuse("sales_pipeline.csv", row.line, reason),
            Err(Stop::Failed(error)) => {
                return Err(error.context(format!("sales_pipeline.csv line {}, {}", row.line, row.number)));
            }
        }
    }
    bar.finish_and_clear();
    imported.refused.sort_by_key(|refusal| (refusal.file, refusal.line));
    imported.elapsed = started.elapsed();
    Ok(imported)
}

/// What every row of an import needs.
struct Run<'a> {
    api: &'a Api,
    data: &'a DataSet,
    customers: &'a HashMap<String, String>,
}

impl Run<'_> {
    fn request_id(&self, row: &DealRow, step: &str) -> String {
        request_id::derived(self.api.tenant(), &self.data.source, &row.number, step)
    }
}

impl Imported {
    /// Every refused row: those of the files and those that a service refused.
    pub(crate) fn all_refused<'a>(&'a self, data: &'a DataSet) -> impl Iterator<Item = &'a Refusal> {
        data.refused.iter().chain(&self.refused)
    }

    fn count(&mut self, row: &DealRow, made: deal::Made) {
        let counts = &mut self.counts;
        counts.opportunities += 1;
        counts.without_customer += u64::from(row.customer.is_none());
        counts.estimated += u64::from(row.estimated);
        counts.won_amount += made.won_amount;
        counts.tasks += made.tasks;
        match row.stage {
            Stage::Won => counts.won += 1,
            Stage::Lost => counts.lost += 1,
            Stage::Engaging => counts.engaging += 1,
            Stage::Prospecting => counts.prospecting += 1,
        }
        if let Some(order) = made.order {
            counts.orders += 1;
            self.orders.insert(row.number.clone(), order);
        }
        self.opportunities.insert(row.number.clone(), made.opportunity);
    }

    fn refuse(&mut self, file: &'static str, line: u64, reason: String) {
        self.refused.push(Refusal { file, line, column: None, reason });
    }
}

/// Makes the customers and answers their resource names.
async fn import_customers(
    api: &Api,
    data: &DataSet,
    in_flight: usize,
    screen: &Screen,
    imported: &mut Imported,
) -> anyhow::Result<HashMap<String, String>> {
    let bar = screen.progress(data.customers.len() as u64, "customers");
    let mut names = HashMap::new();
    let mut customers = stream::iter(&data.customers)
        .map(|row| async move { (row, import_customer(api, &data.source, row).await) })
        .buffer_unordered(in_flight);
    while let Some((row, result)) = customers.next().await {
        bar.inc(1);
        match result {
            Ok(name) => {
                names.insert(row.name.clone(), name);
            }
            Err(Stop::Refused(reason)) => imported.refuse("accounts.csv", row.line, reason),
            Err(Stop::Failed(error)) => {
                return Err(error.context(format!("accounts.csv line {}, {}", row.line, row.name)));
            }
        }
    }
    bar.finish_and_clear();
    imported.counts.customers = names.len() as u64;
    Ok(names)
}

async fn import_customer(api: &Api, source: &str, row: &CustomerRow) -> Result<String, Stop> {
    let request = CreateCustomerRequest {
        customer: Some(Customer {
            display_name: row.name.clone(),
            tier: row.tier.to_owned(),
            owner: row.owner.clone(),
            ..Customer::default()
        }),
        request_id: request_id::derived(api.tenant(), source, &row.name, "customer"),
        wait: Wait::Peer.into(),
        max_wait: Some(MAX_WAIT),
        ..CreateCustomerRequest::default()
    };
    let customer = match api.create_customer(request).await {
        Ok(reply) => reply.customer.map(|customer| customer.name),
        // An earlier import made it, with what the data said then: it stays as it is.
        Err(status) if was_made_before(&status) => find_customer(api, &row.name).await.map_err(Stop::Failed)?,
        Err(status) => return Err(Stop::from_status("making the customer", status)),
    };
    customer.context("a reply without a customer").map_err(Stop::Failed)
}

/// True if the call was made before, with other content.
fn was_made_before(status: &Status) -> bool {
    failure::reason(status).as_deref() == Some("IDEMPOTENCY_KEY_REUSED")
}

async fn find_customer(api: &Api, called: &str) -> anyhow::Result<Option<String>> {
    let mut request = ListCustomersRequest { page_size: 1_000, ..ListCustomersRequest::default() };
    loop {
        let reply = api.list_relationships(request.clone()).await?;
        let found = reply.customers.into_iter().find(|customer| customer.display_name == called);
        if found.is_some() || reply.next_page_token.is_empty() {
            return Ok(found.map(|customer| customer.name));
        }
        request.page_token = reply.next_page_token;
    }
}
