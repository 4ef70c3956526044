//! `closeout stale`: what is stale and why, what a tenant has decided about it, and having that acted upon now.

mod policy;

use super::list::{pages, stage_name};
use crate::api::Api;
use crate::failure::{self, Ending};
use crate::format::{counted, cut, money_or_none, or_dash, time, two_lines};
use crate::screen::{Paint, Screen};
use crate::view::Stages;
use crate::{json, request_id};
use clap::{Args, Subcommand, ValueEnum};
use crm_proto::opportunity::stale_result::Action as Done;
use crm_proto::opportunity::{self as sales, StaleLevel, StaleOpportunity, StaleResult};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Full names in the protos.
const STALE: &str = "crm.opportunity.v1.StaleOpportunity";
const RESULT: &str = "crm.opportunity.v1.StaleResult";

/// What follows the help of `stale`.
pub(crate) const EXAMPLES: &str = "\
Days without activity are counted from the day after the last one. Work on a task is activity; what has a task that is due
later, or is on hold, is not stale. As long as nothing is decided, nothing is stale.

Examples:
  closeout stale                                              what is stale, and why
  closeout stale set --warn 30 --propose 45 --close 90
  closeout stale set --in default/negotiation --warn 7 --propose 14 --close 0
  closeout stale set --business-days --utc-offset +08:00 --holiday 2027-02-08 --holiday 2027-02-09 --workday 2027-02-14
  closeout stale set --daily                                  by itself, once a day
  closeout stale policy
  closeout stale sweep --dry-run
  closeout stale sweep --level propose --owner wang.lei --yes";

/// Flags of `stale`.
#[derive(Debug, Args)]
pub(crate) struct StaleArgs {
    /// What to do [default: list what is stale].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do about stale opportunities.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what is stale, and why.
    List(ListArgs),
    /// Shows what is decided.
    Policy,
    /// Decides; what is not named stays.
    Set(Box<policy::SetArgs>),
    /// Does what is due about what is stale now: shows it, asks, and tells what became of each.
    Sweep(SweepArgs),
}

/// Which of them.
#[derive(Clone, Debug, Default, Args)]
struct WhichArgs {
    /// Only of this owner.
    #[arg(long, value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// Only in this stage: `engaging` of the pipeline `default`, `PIPELINE/STAGE` or `pipelines/ID/stages/ID`.
    #[arg(long)]
    stage: Option<String>,
}

/// Flags of `stale list`.
#[derive(Clone, Debug, Default, Args)]
struct ListArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Only for which at least this is due.
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// At most this many; 0: all.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Flags of `stale sweep`.
#[derive(Debug, Args)]
struct SweepArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Do at most this.
    #[arg(long, value_name = "LEVEL", default_value = "close-out")]
    level: Level,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// What is done about a stale opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// It is marked.
    Warn,
    /// Its owner gets a task.
    Propose,
    /// It is closed out.
    CloseOut,
}

impl Level {
    fn of_api(self) -> i32 {
        match self {
            Self::Warn => StaleLevel::Warn,
            Self::Propose => StaleLevel::Propose,
            Self::CloseOut => StaleLevel::CloseOut,
        }
        .into()
    }
}

/// Does what the command line says.
pub(super) async fn run(args: &StaleArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None => list(&ListArgs { limit: 50, ..ListArgs::default() }, api, screen).await,
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Policy) => policy::show(&policy::read(api).await?, screen),
        Some(Action::Set(args)) => policy::set(args, api, screen).await,
        Some(Action::Sweep(args)) => sweep(args, api, screen).await,
    }
}

async fn list(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let base = sales::ListStaleOpportunitiesRequest {
        level: args.level.map_or(0, Level::of_api),
        owner: args.which.owner.clone().unwrap_or_default(),
        stage: stage_name(args.which.stage.as_deref().unwrap_or_default()),
        ..Default::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let request = sales::ListStaleOpportunitiesRequest { page_size, page_token, ..base.clone() };
        let reply = api.list_stale_opportunities(request).await?;
        Ok((reply.stale_opportunities, reply.next_page_token))
    })
    .await?;
    if screen.json() {
        let all = found.iter().map(|one| json::message(STALE, one)).collect::<anyhow::Result<Vec<_>>>()?;
        screen.emit(&json!({ "stale_opportunities": all }))?;
        return Ok(Ending::Done);
    }
    if found.is_empty() {
        screen.line("Nothing is stale.")?;
        screen.note("closeout stale policy shows after how many days something is.")?;
        return Ok(Ending::Done);
    }
    let stages = Stages::read(api, screen).await?;
    let mut table = screen.new_table_keeping(&["opportunity", "stage, owner", "amount", "idle", "due"], &[0, 2]);
    for one in &found {
        let [title, place, amount] = known(one, &stages);
        table.add_row([title, place, amount, idle(one), due(one)]);
    }
    screen.table(&table)?;
    if args.limit > 0 && found.len() == args.limit {
        screen.note("There may be more: --limit 0 lists all.")?;
    }
    Ok(Ending::Done)
}

/// Which it is, where it stands, what it is worth.
fn known(one: &StaleOpportunity, stages: &Stages) -> [String; 3] {
    let opportunity = one.opportunity.clone().unwrap_or_default();
    [
        two_lines(&format!("{} ({})", cut(&opportunity.title, 38), opportunity.number), &opportunity.name),
        two_lines(&stages.called(&opportunity.stage), or_dash(&opportunity.owner)),
        money_or_none(opportunity.amount.as_ref()),
    ]
}

/// `95 of 90 days` and since when.
fn idle(one: &StaleOpportunity) -> String {
    two_lines(&format!("{} of {} days", one.idle_days, one.limit_days), &time(one.since_time.as_ref()))
}

/// What is due, and what is in its way or done.
fn due(one: &StaleOpportunity) -> String {
    let due = match one.level() {
        StaleLevel::Unspecified | StaleLevel::Warn => "warn",
        StaleLevel::Propose => "propose",
        StaleLevel::CloseOut => "close out",
    };
    if !one.order.is_empty() {
        two_lines(due, &format!("but for {}", one.order))
    } else if one.done >= one.level {
        two_lines(due, "done")
    } else {
        due.to_owned()
    }
}

/// So many are shown before the question; all with `--json`.
const SHOWN: usize = 20;

async fn sweep(args: &SweepArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let would = call(args, api, true, screen).await?;
    let acts = |one: &&StaleResult| !matches!(one.action(), Done::None | Done::LeftForOrder | Done::Refused);
    let acting: Vec<_> = would.iter().filter(acts).collect();
    if !screen.json() {
        told(&would, "would be", screen)?;
        let stages = Stages::read(api, screen).await?;
        let mut table = screen.new_table_keeping(&["opportunity", "stage, owner", "amount", "idle", "what"], &[0, 2]);
        for one in acting.iter().take(SHOWN) {
            let stale = one.stale.clone().unwrap_or_default();
            let [title, place, amount] = known(&stale, &stages);
            table.add_row([title, place, amount, idle(&stale), word(one.action()).to_owned()]);
        }
        if !acting.is_empty() {
            screen.table(&table)?;
        }
        if acting.len() > SHOWN {
            screen.note(&format!("... and {} more; --json lists all of them", acting.len() - SHOWN))?;
        }
    }
    let count = counted(acting.len() as u64, "opportunity", "opportunities");
    let asks = !args.dry_run && !args.yes && screen.can_ask() && !acting.is_empty();
    if !(args.yes || asks && screen.ask(&format!("Do that about {count}?"))?) {
        if screen.json() {
            screen.emit(&json!({ "dry_run": true, "results": results(&would)? }))?;
        } else if !asks && !acting.is_empty() {
            screen.note("Nothing was changed. The same with --yes does it.")?;
        }
        return Ok(Ending::Done);
    }
    let done = call(args, api, false, screen).await?;
    told(&done, "were", screen)?;
    if screen.json() {
        screen.emit(&json!({ "dry_run": false, "results": results(&done)? }))?;
    }
    let refused = done.iter().any(|one| one.action() == Done::Refused);
    Ok(if refused { Ending::SomeRefused } else { Ending::Done })
}

async fn call(args: &SweepArgs, api: &Api, validate_only: bool, screen: &Screen) -> anyhow::Result<Vec<StaleResult>> {
    let request = sales::SweepStaleOpportunitiesRequest {
        level: args.level.of_api(),
        owner: args.which.owner.clone().unwrap_or_default(),
        stage: stage_name(args.which.stage.as_deref().unwrap_or_default()),
        request_id: request_id::new(),
        validate_only,
    };
    let looked = screen.spinner(if validate_only { "judged" } else { "looked at" });
    let mut parts = api.sweep_stale_opportunities(request).await?;
    let mut all = Vec::new();
    while let Some(part) = parts.message().await? {
        looked.set_position(part.looked_at.unsigned_abs());
        all.extend(part.results);
    }
    looked.finish_and_clear();
    Ok(all)
}

fn results(all: &[StaleResult]) -> anyhow::Result<Vec<Value>> {
    all.iter().map(|one| json::message(RESULT, one)).collect()
}

const fn word(action: Done) -> &'static str {
    match action {
        Done::Unspecified | Done::None => "done before",
        Done::Warned => "warned of",
        Done::Proposed => "proposed",
        Done::ClosedOut => "closed out",
        Done::ApprovalAsked => "asked to be approved",
        Done::LeftForOrder => "left alone for an order",
        Done::Refused => "refused",
    }
}

/// How many of what; of those that were refused each reason with one example.
fn told(all: &[StaleResult], how: &str, screen: &Screen) -> anyhow::Result<()> {
    let (mut counts, mut refused) = (BTreeMap::<i32, u64>::new(), BTreeMap::<String, (u64, String)>::new());
    for one in all {
        *counts.entry(one.action).or_default() += 1;
        if let Some(error) = &one.error {
            let status = failure::of_message(error);
            let name = one.stale.iter().filter_map(|stale| stale.opportunity.as_ref()).map(|it| it.name.as_str());
            let example = format!("{}: {}", name.collect::<String>(), failure::one_line(&status));
            let reason = failure::reason(&status).unwrap_or_else(|| format!("{:?}", status.code()));
            refused.entry(reason).or_insert((0, example)).0 += 1;
        }
    }
    if counts.is_empty() {
        return screen.line("Nothing is stale.");
    }
    let counts = counts
        .iter()
        .filter_map(|(action, count)| Some(format!("{count} {how} {}", word(Done::try_from(*action).ok()?))));
    screen.text(&format!("{}.", counts.collect::<Vec<_>>().join(", ")))?;
    for (reason, (count, example)) in refused {
        screen.line(&screen.paint(Paint::Changed, &format!("{count} {reason}, such as {example}")))?;
    }
    Ok(())
}
