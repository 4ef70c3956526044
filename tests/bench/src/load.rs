//! Callers that close opportunities out: a number of them one call after the other (closed loop), or a number of calls a second
//! whatever becomes of them (open loop, so that a call that had to wait for others counts its waiting). Every answer must say that
//! the other side has committed its part.

use crate::{
    deals::{self, Deals},
    latency::Latencies,
};
use anyhow::{bail, ensure};
use crm_proto::{
    common::{Propagation, bulk_result::Outcome},
    opportunity::{
        BulkCloseOutOpportunitiesRequest, CloseOutOpportunityRequest, bulk_close_out_opportunities_request::Item,
        opportunity_service_client::OpportunityServiceClient,
    },
};
use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use std::{
    cell::{Cell, RefCell},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tonic::{Request, Status, transport::Channel};
use uuid::Uuid;

/// The principal of every call.
pub(crate) const PRINCIPAL: &str = "bench";
const REASON: &str = "closeOutReasons/NO_INTENT_NOW";

/// What callers have seen.
#[derive(Debug)]
pub(crate) struct Run {
    /// Close-outs that were answered.
    pub(crate) count: u64,
    /// From the first call to the last answer.
    pub(crate) time: Duration,
    /// Of each call.
    pub(crate) latencies: Latencies,
}

/// One after the other.
#[derive(Debug)]
pub(crate) struct Turns<'a> {
    deals: &'a Deals,
    next: Cell<u64>,
    until: Cell<u64>,
}

impl<'a> Turns<'a> {
    /// From the first one.
    pub(crate) fn new(deals: &'a Deals) -> Self {
        Self { deals, next: Cell::new(0), until: Cell::new(deals.opportunities) }
    }

    /// At most so many more.
    pub(crate) fn at_most(&self, count: u64) {
        self.until.set((self.next.get() + count).min(self.deals.opportunities));
    }

    /// How many were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.next.get()
    }

    /// The next one.
    pub(crate) fn take(&self) -> Option<u64> {
        let turn = self.next.get();
        (turn < self.until.get()).then(|| {
            self.next.set(turn + 1);
            self.deals.turn(turn)
        })
    }

    /// The request that closes an opportunity out.
    fn request(&self, n: u64) -> Request<CloseOutOpportunityRequest> {
        let request = CloseOutOpportunityRequest {
            name: deals::opportunity(n).to_string(),
            reason: REASON.into(),
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        identified(request, &self.deals.tenant(n).to_string())
    }
}

/// A request of this program's principal in a tenant.
pub(crate) fn identified<T>(message: T, tenant: &str) -> Request<T> {
    let mut request = Request::new(message);
    // All of it is plain ASCII.
    for (key, value) in [("x-tenant-id", tenant), ("x-principal", PRINCIPAL), ("x-roles", "service")] {
        if let Ok(value) = value.parse() {
            request.metadata_mut().insert(key, value);
        }
    }
    request
}

async fn close_out(channel: Channel, request: Request<CloseOutOpportunityRequest>) -> anyhow::Result<()> {
    let reply = OpportunityServiceClient::new(channel).close_out_opportunity(request).await?.into_inner();
    let propagation = reply.close_out.map(|close_out| close_out.propagation());
    ensure!(propagation == Some(Propagation::Settled), "a close-out was answered with {propagation:?}");
    Ok(())
}

/// So many callers that close out, for a time or until nothing is left.
pub(crate) async fn closed(
    channels: &[Channel],
    turns: &Turns<'_>,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<Run> {
    callers(channels, in_flight, time, || turns.take(), |channel, n| close_out(channel, turns.request(n))).await
}

/// So many callers that read, for a time; each call has its number.
pub(crate) async fn reading<R>(
    channels: &[Channel],
    in_flight: usize,
    time: Duration,
    read: impl Fn(Channel, u64) -> R,
) -> anyhow::Result<Run>
where
    R: Future<Output = Result<(), Status>>,
{
    let calls = Cell::new(0);
    let next = || {
        calls.set(calls.get() + 1);
        Some(calls.get())
    };
    callers(channels, in_flight, time, next, |channel, call| {
        let answer = read(channel, call);
        async { Ok(answer.await?) }
    })
    .await
}

/// So many callers, each with its next call when it has the answer to the last one, for a time or until there is nothing left to
/// call for.
async fn callers<R>(
    channels: &[Channel],
    in_flight: usize,
    time: Duration,
    next: impl Fn() -> Option<u64>,
    call: impl Fn(Channel, u64) -> R,
) -> anyhow::Result<Run>
where
    R: Future<Output = anyhow::Result<()>>,
{
    let (began, latencies) = (Instant::now(), RefCell::new(Latencies::default()));
    let over = began + time;
    let caller = |channel: &Channel| {
        let (channel, latencies, next, call) = (channel.clone(), &latencies, &next, &call);
        async move {
            while Instant::now() < over
                && let Some(n) = next()
            {
                let sent = Instant::now();
                call(channel.clone(), n).await?;
                latencies.borrow_mut().add(sent.elapsed());
            }
            anyhow::Ok(())
        }
    };
    let mut callers: FuturesUnordered<_> = channels.iter().cycle().take(in_flight).map(caller).collect();
    while let Some(ended) = callers.next().await {
        ended?;
    }
    drop(callers);
    let latencies = latencies.into_inner();
    Ok(Run { count: latencies.count() as u64, time: began.elapsed(), latencies })
}

/// So many calls a second for a time, each counted from the moment at which it was due.
pub(crate) async fn open(channels: &[Channel], turns: &Turns<'_>, per_s: f64, time: Duration) -> anyhow::Result<Run> {
    let (began, mut latencies, mut calls) = (Instant::now(), Latencies::default(), JoinSet::new());
    let mut failed: Option<anyhow::Error> = None;
    let mut note = |ended: Result<anyhow::Result<Duration>, tokio::task::JoinError>| match ended {
        Ok(Ok(time)) => latencies.add(time),
        Ok(Err(error)) => failed = Some(error),
        Err(error) => failed = Some(error.into()),
    };
    for call in 0..(per_s * time.as_secs_f64()) as u64 {
        let due = began + Duration::from_secs_f64(call as f64 / per_s);
        sleep_until(due).await;
        let Some(n) = turns.take() else { break };
        let (channel, request) = (channels[call as usize % channels.len()].clone(), turns.request(n));
        calls.spawn(async move { close_out(channel, request).await.map(|()| due.elapsed()) });
        while let Some(ended) = calls.try_join_next() {
            note(ended);
        }
    }
    while let Some(ended) = calls.join_next().await {
        note(ended);
    }
    match failed {
        Some(error) => bail!(error.context("a call of the open loop failed; the rate may be too high")),
        None => Ok(Run { count: latencies.count() as u64, time: began.elapsed(), latencies }),
    }
}

/// Items of one message of a bulk call.
const ITEMS: usize = 1_000;

/// All that are left, in one bulk call; each is counted from when it was handed to the connection, which takes no more than the
/// service has room for.
pub(crate) async fn bulk(channels: &[Channel], turns: &Turns<'_>) -> anyhow::Result<Run> {
    let [channel, ..] = channels else { bail!("a bulk call needs a connection") };
    let first = turns.taken();
    let items: Vec<_> = std::iter::from_fn(|| turns.take()).collect();
    let (tenant, count) = (turns.deals.tenant(0).to_string(), items.len());
    let sent: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let request_id = Uuid::now_v7().to_string();
    let (noted, mut index) = (sent.clone(), 0);
    let requests = stream::iter(items.chunks(ITEMS).map(<[u64]>::to_vec).collect::<Vec<_>>()).map(move |some| {
        let now = Instant::now();
        noted.lock().unwrap_or_else(PoisonError::into_inner).extend(some.iter().map(|_| now));
        let items = some.iter().map(|n| {
            index += 1;
            Item {
                index: index - 1,
                name: deals::opportunity(*n).to_string(),
                reason: REASON.into(),
                ..Default::default()
            }
        });
        BulkCloseOutOpportunitiesRequest {
            request_id: request_id.clone(),
            items: items.collect(),
            ..Default::default()
        }
    });
    let (began, mut latencies) = (Instant::now(), Latencies::default());
    let call = identified(requests, &tenant);
    let mut answers =
        OpportunityServiceClient::new(channel.clone()).bulk_close_out_opportunities(call).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        for result in answer.results {
            ensure!(
                matches!(result.outcome, Some(Outcome::Done(_))),
                "an item of the bulk call was refused: {result:?}"
            );
            let at = sent.get(result.index as usize);
            latencies.add(at.map_or_else(|| began.elapsed(), Instant::elapsed));
        }
    }
    ensure!(latencies.count() == count, "{} of {count} items from the {first}th on were answered", latencies.count());
    Ok(Run { count: count as u64, time: began.elapsed(), latencies })
}
