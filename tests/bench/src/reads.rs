//! Reads beside the cheapest call there is: an opportunity by name, a page of a list, a search by name; and a call of the health
//! service, which touches no database.

use crate::{
    deals::{Deals, opportunity},
    latency::Latencies,
    load::{self, identified},
    measure::{Bench, Cpu, Database},
    pair::Pair,
    server::Server,
};
use crm_proto::opportunity::{
    GetOpportunityRequest, ListOpportunitiesRequest, SearchOpportunitiesRequest, opportunity::State,
    opportunity_service_client::OpportunityServiceClient,
};
use std::time::Duration;
use tonic::{Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Readers at once.
const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 2;
const PAGE: i32 = 50;

/// How one kind of call went.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// What was called.
    pub(crate) what: &'static str,
    /// Answers a second.
    pub(crate) per_s: f64,
    /// Of each call.
    pub(crate) latencies: Latencies,
    /// Processor time of each.
    pub(crate) cpu: Cpu,
    /// Statements of each.
    pub(crate) statements: f64,
}

/// Measures each kind for a time.
pub(crate) async fn run(bench: &Bench<'_>, server: &Server, time: Duration) -> anyhow::Result<Vec<Read>> {
    server.fresh_copy().await?;
    let pair = Pair::on_postgres(bench.programs, &server.copy(), bench.folder).await?;
    let channels = pair.sales(CONNECTIONS).await?;
    let deals = bench.deals;
    let (mut reads, mut before) = (Vec::new(), bench.moment(Database::Postgres(server), &pair).await?);
    let mut note = async |what, run: load::Run| {
        let after = bench.moment(Database::Postgres(server), &pair).await?;
        let (cpu, statements) = (after.cpu(&before, run.count), after.statements(&before, run.count));
        let per_s = run.count as f64 / run.time.as_secs_f64();
        reads.push(Read { what, per_s, latencies: run.latencies, cpu, statements });
        before = after;
        anyhow::Ok(())
    };
    note("empty call", load::reading(&channels, IN_FLIGHT, time, |channel, _| health(channel)).await?).await?;
    note("get", load::reading(&channels, IN_FLIGHT, time, |channel, call| get(deals, channel, call)).await?).await?;
    note("list", load::reading(&channels, IN_FLIGHT, time, |channel, call| list(deals, channel, call)).await?).await?;
    note("search", load::reading(&channels, IN_FLIGHT, time, |channel, call| search(deals, channel, call)).await?)
        .await?;
    drop(channels); // else the services would wait for them
    pair.end()?;
    Ok(reads)
}

async fn health(channel: Channel) -> Result<(), Status> {
    let request = HealthCheckRequest { service: "liveness".into() };
    HealthClient::new(channel).check(request).await.map(drop)
}

async fn get(deals: &Deals, channel: Channel, call: u64) -> Result<(), Status> {
    let n = deals.turn(call);
    let request = GetOpportunityRequest { name: opportunity(n).to_string() };
    OpportunityServiceClient::new(channel)
        .get_opportunity(identified(request, &deals.tenant(n).to_string()))
        .await
        .map(drop)
}

/// The first page of an owner's opportunities, or of those that are open.
async fn list(deals: &Deals, channel: Channel, call: u64) -> Result<(), Status> {
    let n = deals.turn(call);
    let mut request = ListOpportunitiesRequest { page_size: PAGE, ..Default::default() };
    if call.is_multiple_of(2) {
        request.owner = format!("rep{}", n % 200);
    } else {
        request.state = State::Open.into();
    }
    OpportunityServiceClient::new(channel)
        .list_opportunities(identified(request, &deals.tenant(n).to_string()))
        .await
        .map(drop)
}

async fn search(deals: &Deals, channel: Channel, call: u64) -> Result<(), Status> {
    let n = deals.turn(call);
    let query = format!("hik {}", n % deals.customers());
    let request = SearchOpportunitiesRequest { query, page_size: PAGE, ..Default::default() };
    OpportunityServiceClient::new(channel)
        .search_opportunities(identified(request, &deals.tenant(n).to_string()))
        .await
        .map(drop)
}
