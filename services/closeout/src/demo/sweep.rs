//! The demo's sweep: every opportunity that has been engaging for too long is closed out, many calls in flight.

use super::{STALE_DAYS, Story};
use crate::format::{count, counted, seconds, to_timestamp};
use crate::screen::Paint;
use crate::settle;
use anyhow::Context;
use crm_proto::common::{CloseOut, Side, Wait};
use crm_proto::opportunity::opportunity::State;
use crm_proto::opportunity::{CloseOutOpportunityRequest, ListOpportunitiesRequest, Opportunity};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const REASON: &str = "STALE_AUTO";

/// What the sweep closed out.
#[derive(Debug)]
pub(super) struct Sweep {
    closed: Vec<(String, CloseOut)>,
    elapsed: Duration,
}

/// Closes out all that is stale, and shows how fast.
pub(super) async fn run(story: &Story<'_>) -> anyhow::Result<Sweep> {
    let screen = story.screen;
    screen.heading("5  The stale ones are swept")?;
    let stale = list(story).await?;
    let newest = story.data.newest;
    screen.text(&format!(
        "{} still engaging after more than {STALE_DAYS} days on {newest}. Closed out as {REASON}, {} in flight.",
        counted(stale.len() as u64, "opportunity is", "opportunities are"),
        counted(story.in_flight as u64, "call", "calls"),
    ))?;
    let bar = screen.progress(stale.len() as u64, "close-outs");
    let started = Instant::now();
    let closed: Vec<(String, CloseOut)> = stream::iter(&stale)
        .map(|opportunity| async {
            let closed = Box::pin(close(story, opportunity)).await;
            bar.inc(1);
            closed
        })
        .buffer_unordered(story.in_flight)
        .try_collect()
        .await?;
    let sweep = Sweep { closed, elapsed: started.elapsed() };
    bar.finish_and_clear();
    let text = format!(
        "{} closed out and settled on both sides in {:.2} s: {:.0} per second.",
        count(sweep.closed.len() as u64),
        sweep.elapsed.as_secs_f64(),
        sweep.rate()
    );
    screen.line(&screen.paint(Paint::Good, &text))?;
    Ok(sweep)
}

/// Every opportunity that was stale on the newest day of the data.
async fn list(story: &Story<'_>) -> anyhow::Result<Vec<Opportunity>> {
    let limit = story.data.newest - time::Duration::days(STALE_DAYS);
    let mut stale = Vec::new();
    let mut request = ListOpportunitiesRequest {
        page_size: 1_000,
        state: State::Open.into(),
        stage: "pipelines/default/stages/engaging".to_owned(),
        created_before: Some(to_timestamp(limit)),
        ..ListOpportunitiesRequest::default()
    };
    loop {
        let reply = story.api.list_opportunities(request.clone()).await?;
        stale.extend(reply.opportunities);
        if reply.next_page_token.is_empty() {
            return Ok(stale);
        }
        request.page_token = reply.next_page_token;
    }
}

async fn close(story: &Story<'_>, opportunity: &Opportunity) -> anyhow::Result<(String, CloseOut)> {
    let name = opportunity.name.clone();
    let request = CloseOutOpportunityRequest {
        name: name.clone(),
        reason: format!("closeOutReasons/{REASON}"),
        request_id: story.request_id(&name, "sweep"),
        wait: Wait::Peer.into(),
        max_wait: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        ..CloseOutOpportunityRequest::default()
    };
    let doing = || format!("closing out {name}");
    let reply = story.api.close_out_opportunity(request).await.with_context(doing)?;
    let close_out = reply.close_out.context("a reply without its close-out").with_context(doing)?;
    let close_out = settle::own(story.api, Side::Opportunity, close_out).await.with_context(doing)?;
    Ok((name, close_out))
}

impl Sweep {
    fn rate(&self) -> f64 {
        self.closed.len() as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "closed": self.closed.len(),
            "seconds": seconds(self.elapsed),
            "per_second": (self.rate() * 10.0).round() / 10.0,
        })
    }
}
