//! `closeout sweep`: every open opportunity on which nobody has worked for too long is judged first, changing nothing; then
//! shown, then, after a yes, closed out, each in one bulk call. What somebody works on meanwhile is left alone.

use super::closing::reason_name;
use super::list::pages;
use crate::api::Api;
use crate::bulk;
use crate::failure::{self, Ending, Usage};
use crate::format::{counted, cut, money_or_none, or_dash, parse_day, seconds, time, to_timestamp, two_lines};
use crate::request_id;
use crate::retry::PATIENT;
use crate::screen::{Paint, Screen};
use crate::view::Stages;
use clap::Args;
use crm_proto::common::{BulkDone, CloseOutState, Propagation, Wait};
use crm_proto::opportunity::bulk_close_out_opportunities_request::Item;
use crm_proto::opportunity::opportunity::State;
use crm_proto::opportunity::{BulkCloseOutOpportunitiesRequest, ListOpportunitiesRequest, Opportunity};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use tonic::Status;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
It shows what it would close out and asks; where nobody can be asked it stops there, unless --yes is given. What the rules
would refuse (a live order) is shown with its reason and left alone, and so is what somebody works on meanwhile. The same
sweep again finds nothing more to do.

Examples:
  closeout sweep --idle-days 120 --dry-run
  closeout sweep --idle-days 90 --stage prospecting --owner \"Anna Snelling\"
  closeout sweep --idle-days 180 --reason UNRESPONSIVE --yes --json | jq .closed";

/// Flags of `sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Days since anybody worked on it.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    idle_days: u32,
    /// Only what was created before this day, such as 2026-01-31.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    created_before: Option<::time::Date>,
    /// Only in this stage: `engaging` of the pipeline `default`, `PIPELINE/STAGE` or `pipelines/ID/stages/ID`.
    #[arg(long)]
    stage: Option<String>,
    /// Only of this owner.
    #[arg(long, value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// Only of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Code of the reason; `closeout reasons` lists them.
    #[arg(long, value_name = "CODE", default_value = "STALE_AUTO")]
    reason: String,
    /// What happened, in your words.
    #[arg(long, default_value = "")]
    detail: String,
    /// At most this many; 0: all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Only show what would be closed out.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// So many are shown before the question; all with `--json`.
const SHOWN: usize = 20;

/// An opportunity and what became of it, or would.
type Judged<'a> = (&'a Opportunity, Result<BulkDone, Status>);

/// Shows, asks, closes out.
pub(super) async fn run(args: &SweepArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let idle = find(args, api).await?;
    let api = &api.clone().with(PATIENT);
    let judged = call_all(args, api, &idle, true, "judged", screen).await;
    let (would, refused) = sorted(&judged);
    show(args, &would, &Stages::read(api, screen).await?, screen)?;
    show_refused(&refused, "would be refused", screen)?;
    let asks = !args.dry_run && !args.yes && screen.can_ask();
    let go = args.yes || (asks && !would.is_empty() && screen.ask(&question(&would))?);
    if !go {
        if screen.json() {
            let items = |all: &Done<'_>| all.iter().map(|(opportunity, _)| item(opportunity)).collect::<Vec<_>>();
            let (would_wait, would): (Done<'_>, Done<'_>) = would.into_iter().partition(waits);
            let (would, would_wait) = (items(&would), items(&would_wait));
            screen.emit(&json!({
                "dry_run": true, "would_close": would, "would_wait": would_wait, "refused": refusals(&refused),
            }))?;
        } else if !asks && !would.is_empty() {
            screen.note("Nothing was changed. The same with --yes closes them out.")?;
        }
        return Ok(Ending::Done);
    }
    let would: Vec<_> = would.into_iter().map(|(opportunity, _)| opportunity.clone()).collect();
    let started = Instant::now();
    let done = call_all(args, api, &would, false, "close-outs", screen).await;
    report(&done, &refused, started.elapsed(), screen)
}

async fn find(args: &SweepArgs, api: &Api) -> anyhow::Result<Vec<Opportunity>> {
    let now = SystemTime::now();
    let limit = now.checked_sub(Duration::from_secs(u64::from(args.idle_days) * 86_400));
    let limit = limit.ok_or_else(|| Usage(format!("--idle-days {}: too many", args.idle_days)))?;
    let stage = args.stage.clone().unwrap_or_default();
    let base = ListOpportunitiesRequest {
        state: State::Open.into(),
        stage: super::list::stage_name(&stage),
        owner: args.owner.clone().unwrap_or_default(),
        customer: args.customer.clone().unwrap_or_default(),
        created_before: args.created_before.map(to_timestamp),
        active_before: Some(limit.into()),
        ..ListOpportunitiesRequest::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let reply = api.list_opportunities(ListOpportunitiesRequest { page_size, page_token, ..base.clone() }).await?;
        Ok((reply.opportunities, reply.next_page_token))
    });
    Ok(found.await?)
}

/// One bulk call for all. The etag makes sure that it closes out what was shown.
async fn call_all<'a>(
    args: &SweepArgs,
    api: &Api,
    all: &'a [Opportunity],
    validate_only: bool,
    what: &str,
    screen: &Screen,
) -> Vec<Judged<'a>> {
    let bar = screen.progress(all.len() as u64, what);
    let items = all.iter().zip(0..).map(|(opportunity, index)| Item {
        index,
        name: opportunity.name.clone(),
        reason: reason_name(&args.reason),
        detail: args.detail.clone(),
        etag: opportunity.etag.clone(),
        ..Item::default()
    });
    let whole = BulkCloseOutOpportunitiesRequest {
        request_id: request_id::new(),
        validate_only,
        wait: Wait::Peer.into(),
        ..BulkCloseOutOpportunitiesRequest::default()
    };
    let answers = bulk::close_out(api, whole, items.collect(), || bar.inc(1)).await;
    let mut judged: Vec<Judged<'a>> = all.iter().zip(answers).collect();
    judged.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    bar.finish_and_clear();
    judged
}

/// Nothing of it is done before another person has approved it.
fn waits((_, done): &(&Opportunity, &BulkDone)) -> bool {
    done.state() == CloseOutState::PendingApproval
}

type Done<'a> = Vec<(&'a Opportunity, &'a BulkDone)>;
type Refused<'a> = Vec<(&'a Opportunity, &'a Status)>;

fn sorted<'a>(judged: &'a [Judged<'a>]) -> (Done<'a>, Refused<'a>) {
    let done = judged.iter().filter_map(|(opportunity, answer)| Some((*opportunity, answer.as_ref().ok()?)));
    let refused = judged.iter().filter_map(|(opportunity, answer)| Some((*opportunity, answer.as_ref().err()?)));
    (done.collect(), refused.collect())
}

fn show(args: &SweepArgs, would: &Done<'_>, stages: &Stages, screen: &Screen) -> anyhow::Result<()> {
    let count = counted(would.len() as u64, "open opportunity", "open opportunities");
    let days = counted(args.idle_days.into(), "day", "days");
    screen
        .text(&format!("{count} without activity for {days}, to be closed out as {}.", args.reason.to_uppercase()))?;
    if would.is_empty() {
        return Ok(());
    }
    let headings = ["opportunity", "stage", "amount", "owner, last activity"];
    let mut table = screen.new_table_keeping(&headings, &[0, 2]);
    for (one, _) in would.iter().take(SHOWN) {
        table.add_row([
            two_lines(&format!("{} ({})", cut(&one.title, 38), one.number), &one.name),
            stages.called(&one.stage),
            money_or_none(one.amount.as_ref()),
            two_lines(or_dash(&one.owner), &time(one.activity_time.as_ref())),
        ]);
    }
    screen.table(&table)?;
    match would.len().checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => screen.note(&format!("... and {more} more; --json lists all of them")),
    }
}

fn question(would: &Done<'_>) -> String {
    let waiting = would.iter().filter(|done| waits(done)).count();
    let but =
        if waiting == 0 { String::new() } else { format!(" (of {waiting} another person has to approve it first)") };
    let these = if would.len() == 1 { "it".to_owned() } else { format!("these {}", would.len()) };
    format!("Their tasks and draft orders are cancelled and the customers' records change. Close {these} out{but}?")
}

/// How many were refused for which reason, each with one example.
fn show_refused(refused: &Refused<'_>, how: &str, screen: &Screen) -> anyhow::Result<()> {
    let mut by_reason: BTreeMap<String, Refused<'_>> = BTreeMap::new();
    for (opportunity, status) in refused {
        by_reason.entry(reason(status)).or_default().push((opportunity, status));
    }
    for (reason, all) in by_reason {
        let Some((opportunity, status)) = all.first() else { continue };
        let text = format!("{} {how}, {reason}: {}", all.len(), failure::one_line(status));
        screen.line(&screen.paint(Paint::Changed, &text))?;
        screen.note(&format!("such as {}", opportunity.name))?;
    }
    Ok(())
}

fn reason(status: &Status) -> String {
    failure::reason(status).unwrap_or_else(|| format!("{:?}", status.code()))
}

fn report(done: &[Judged<'_>], before: &Refused<'_>, elapsed: Duration, screen: &Screen) -> anyhow::Result<Ending> {
    let (done, mut refused) = sorted(done);
    let (waiting, closed): (Done<'_>, Done<'_>) = done.into_iter().partition(waits);
    let settled = |done: &BulkDone| matches!(done.propagation(), Propagation::Settled | Propagation::NotNeeded);
    let on_both = closed.iter().filter(|(_, done)| settled(done)).count();
    let rate = closed.len() as f64 / elapsed.as_secs_f64().max(0.001);
    let count = counted(closed.len() as u64, "close-out", "close-outs");
    let text =
        format!("{count} in {:.1} s ({rate:.0} a second), {on_both} settled on both sides.", elapsed.as_secs_f64());
    screen.line(&screen.paint(Paint::Good, &text))?;
    if on_both < closed.len() {
        screen
            .note("The others reach the order service without your doing; closeout parked list shows what can not.")?;
    }
    if !waiting.is_empty() {
        let text =
            format!("{} more wait for another person, and are not closed out yet: closeout approvals", waiting.len());
        screen.line(&screen.paint(Paint::Changed, &text))?;
    }
    show_refused(&refused, "were left alone", screen)?;
    let all_closed = refused.is_empty() && before.is_empty();
    if screen.json() {
        refused.extend(before);
        let listed = |all: &Done<'_>| -> Vec<Value> {
            let one = |(opportunity, done): &(&Opportunity, &BulkDone)| json!({ "name": opportunity.name, "close_out": done.close_out });
            all.iter().map(one).collect()
        };
        let (refused, seconds) = (refusals(&refused), seconds(elapsed));
        let (closed, waiting) = (listed(&closed), listed(&waiting));
        screen.emit(&json!({
            "closed": closed, "waiting": waiting, "settled": on_both, "refused": refused, "seconds": seconds,
        }))?;
    }
    Ok(if all_closed { Ending::Done } else { Ending::SomeRefused })
}

fn item(opportunity: &Opportunity) -> Value {
    let activity_time = opportunity.activity_time.as_ref().map(ToString::to_string);
    json!({ "name": opportunity.name, "number": opportunity.number, "owner": opportunity.owner, "activity_time": activity_time })
}

fn refusals(refused: &Refused<'_>) -> Vec<Value> {
    let refusal = |(opportunity, status): &(&Opportunity, &Status)| json!({ "name": opportunity.name, "reason": reason(status), "message": failure::one_line(status) });
    refused.iter().map(refusal).collect()
}
