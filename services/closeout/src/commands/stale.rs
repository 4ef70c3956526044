//! `closeout stale`: what is stale and why, what a tenant has decided about it, and having that acted upon now.

use super::list::{pages, stage_name};
use crate::api::Api;
use crate::failure::{self, Ending, Usage};
use crate::format::{counted, cut, money_or_none, or_dash, time, two_lines};
use crate::screen::{Paint, Screen};
use crate::view::Stages;
use crate::{json, request_id};
use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use crm_proto::opportunity::stale_result::Action as Done;
use crm_proto::opportunity::{
    self as sales, StaleCalendar, StaleLevel, StaleOpportunity, StalePlaceRule, StalePolicy, StaleResult, StaleRule,
};
use prost_types::FieldMask;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Full names in the protos.
const POLICY: &str = "crm.opportunity.v1.StalePolicy";
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
    Set(Box<SetArgs>),
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

/// Flags of `stale set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct SetArgs {
    /// After so many days without activity it is marked; 0: never.
    #[arg(long, value_name = "DAYS")]
    warn: Option<i32>,
    /// After so many its owner gets a task; 0: never.
    #[arg(long, value_name = "DAYS")]
    propose: Option<i32>,
    /// After so many it is closed out; 0: never.
    #[arg(long, value_name = "DAYS")]
    close: Option<i32>,
    /// These days are those of a pipeline or a stage, such as `default` or `default/engaging` [default: of all others].
    #[arg(long = "in", value_name = "PLACE")]
    place: Option<String>,
    /// A pipeline or a stage has no days of its own any more; may be given several times.
    #[arg(long, value_name = "PLACE")]
    forget: Vec<String>,
    /// Saturdays, Sundays and holidays do not count.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    business_days: Option<bool>,
    /// A day that does not count, such as 2026-10-01; may be given several times, and takes the place of all before. `none`: none.
    #[arg(long, value_name = "DAY")]
    holiday: Vec<String>,
    /// A Saturday or Sunday that does count; as --holiday.
    #[arg(long, value_name = "DAY")]
    workday: Vec<String>,
    /// How far the clock of the tenant is ahead of UTC, such as +08:00.
    #[arg(long, value_name = "OFFSET", value_parser = offset, allow_hyphen_values = true)]
    utc_offset: Option<i32>,
    /// It is acted upon by itself, once a day.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    daily: Option<bool>,
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

/// Minutes of an offset such as `+08:00`.
fn offset(text: &str) -> Result<i32, String> {
    let read = || {
        let (sign, rest) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
            (Some(rest), _) => (-1, rest),
            (None, Some(rest)) => (1, rest),
            (None, None) => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2);
        Some(sign * (number(hours)? * 60 + number(minutes)?))
    };
    read().ok_or_else(|| "an offset from UTC, such as +08:00".to_owned())
}

/// Resource name of a pipeline or a stage: `default`, `default/engaging`, or such a name.
fn place_name(text: &str) -> String {
    match text.split_once('/') {
        Some(("pipelines", _)) => text.to_owned(),
        Some(_) => stage_name(text),
        None => format!("pipelines/{text}"),
    }
}

/// Does what the command line says.
pub(super) async fn run(args: &StaleArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None => list(&ListArgs { limit: 50, ..ListArgs::default() }, api, screen).await,
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Policy) => show(&policy(api).await?, screen),
        Some(Action::Set(args)) => set(args, api, screen).await,
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
    if !one.live_order.is_empty() {
        two_lines(due, &format!("but for {}", one.live_order))
    } else if one.done >= one.level {
        two_lines(due, "done")
    } else {
        due.to_owned()
    }
}

async fn policy(api: &Api) -> anyhow::Result<StalePolicy> {
    let reply = api.get_stale_policy(sales::GetStalePolicyRequest {}).await?;
    reply.stale_policy.context("a reply without its policy")
}

async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut policy = policy(api).await?;
    let paths = changed(args, &mut policy)?;
    let request = sales::UpdateStalePolicyRequest {
        stale_policy: Some(policy),
        update_mask: Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() }),
        request_id: request_id::new(),
        ..Default::default()
    };
    let reply = api.update_stale_policy(request).await?;
    screen.line("The policy is kept.")?;
    show(&reply.stale_policy.context("a reply without its policy")?, screen)
}

/// Puts into a policy what the flags say; which fields that changes.
fn changed(args: &SetArgs, policy: &mut StalePolicy) -> Result<Vec<&'static str>, Usage> {
    let days = [args.warn, args.propose, args.close];
    let mut paths = Vec::new();
    for place in &args.forget {
        let (name, before) = (place_name(place), policy.rules.len());
        policy.rules.retain(|rule| rule.place != name);
        if policy.rules.len() == before {
            return Err(Usage(format!(
                "--forget {place}: it has no days of its own; closeout stale policy shows them"
            )));
        }
    }
    let into = |rule: &mut StaleRule| {
        rule.warn_days = args.warn.unwrap_or(rule.warn_days);
        rule.propose_days = args.propose.unwrap_or(rule.propose_days);
        rule.close_days = args.close.unwrap_or(rule.close_days);
    };
    match (&args.place, days.iter().any(Option::is_some)) {
        (Some(_), false) => return Err(Usage("--in: give --warn, --propose or --close with it".to_owned())),
        (Some(place), true) => {
            let name = place_name(place);
            let mut rule = policy.rule.unwrap_or_default();
            if let Some(own) = policy.rules.iter().find(|rule| rule.place == name) {
                rule = own.rule.unwrap_or_default();
            }
            into(&mut rule);
            policy.rules.retain(|rule| rule.place != name);
            policy.rules.push(StalePlaceRule { place: name, rule: Some(rule) });
        }
        (None, true) => {
            into(policy.rule.get_or_insert_default());
            paths.push("rule");
        }
        (None, false) => {}
    }
    if args.place.is_some() || !args.forget.is_empty() {
        paths.push("rules");
    }
    let calendar = policy.calendar.get_or_insert_default();
    if calendar_changed(args, calendar)? {
        paths.push("calendar");
    }
    if let Some(daily) = args.daily {
        policy.daily = daily;
        paths.push("daily");
    }
    Ok(paths)
}

fn calendar_changed(args: &SetArgs, calendar: &mut StaleCalendar) -> Result<bool, Usage> {
    let days = |flag: &str, given: &[String]| match given {
        [none] if none == "none" => Ok(Vec::new()),
        all if all.iter().any(|day| day == "none") => Err(Usage(format!("{flag}: either days or `none`"))),
        all => Ok(all.to_vec()),
    };
    calendar.business_days_only = args.business_days.unwrap_or(calendar.business_days_only);
    calendar.utc_offset_minutes = args.utc_offset.unwrap_or(calendar.utc_offset_minutes);
    if !args.holiday.is_empty() {
        calendar.holidays = days("--holiday", &args.holiday)?;
    }
    if !args.workday.is_empty() {
        calendar.workdays = days("--workday", &args.workday)?;
    }
    let named = args.business_days.is_some() || args.utc_offset.is_some();
    Ok(named || !args.holiday.is_empty() || !args.workday.is_empty())
}

fn show(policy: &StalePolicy, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        screen.emit(&json!({ "stale_policy": json::message(POLICY, policy)? }))?;
    }
    let never = |days: i32| if days == 0 { "never".to_owned() } else { days.to_string() };
    let mut table = screen.new_table(&["where", "warn", "propose", "close out"]);
    let all = StalePlaceRule { place: String::new(), rule: policy.rule };
    for StalePlaceRule { place, rule } in policy.rules.iter().chain([&all]) {
        let StaleRule { warn_days, propose_days, close_days } = rule.unwrap_or_default();
        let place = if place.is_empty() { "everywhere else" } else { place };
        table.add_row([place.to_owned(), never(warn_days), never(propose_days), never(close_days)]);
    }
    screen.table(&table)?;
    let calendar = policy.calendar.clone().unwrap_or_default();
    let (sign, offset) = (if calendar.utc_offset_minutes < 0 { '-' } else { '+' }, calendar.utc_offset_minutes.abs());
    let counted_days = if calendar.business_days_only { "business days" } else { "all days" };
    let listed = |what: &str, days: &[String]| {
        if days.is_empty() { String::new() } else { format!("; {what}: {}", days.join(", ")) }
    };
    let (holidays, workdays) = (listed("holidays", &calendar.holidays), listed("worked", &calendar.workdays));
    screen.text(&format!(
        "Days: {counted_days}, from midnight at UTC{sign}{:02}:{:02}{holidays}{workdays}.",
        offset / 60,
        offset % 60
    ))?;
    let changed = policy.update_time.as_ref().map_or_else(|| "never".to_owned(), |at| time(Some(at)));
    let daily = if policy.daily { "once a day, by itself" } else { "only when somebody asks for it" };
    screen.text(&format!("Acted upon {daily}. Last changed: {changed}."))?;
    Ok(Ending::Done)
}

/// So many are shown before the question; all with `--json`.
const SHOWN: usize = 20;

async fn sweep(args: &SweepArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let would = call(args, api, true, screen).await?;
    let acts = |one: &&StaleResult| !matches!(one.action(), Done::None | Done::LeftLive | Done::Refused);
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
        Done::LeftLive => "left alone for a live order",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn set_args(flags: &[&str]) -> Box<SetArgs> {
        let cli = Cli::try_parse_from([&["closeout", "stale", "set"], flags].concat()).unwrap();
        let Command::Stale(StaleArgs { action: Some(Action::Set(args)) }) = cli.command else { panic!("sets nothing") };
        args
    }

    #[test]
    fn what_is_not_named_stays_and_a_place_begins_with_the_days_of_all() {
        let rule = |warn_days, propose_days, close_days| StaleRule { warn_days, propose_days, close_days };
        let mut policy = StalePolicy { rule: Some(rule(30, 45, 90)), ..StalePolicy::default() };
        assert_eq!(changed(&set_args(&["--close", "60"]), &mut policy).unwrap(), ["rule"]);
        assert_eq!(policy.rule, Some(rule(30, 45, 60)));
        let place = set_args(&["--in", "default/engaging", "--warn", "7", "--daily"]);
        assert_eq!(changed(&place, &mut policy).unwrap(), ["rules", "daily"]);
        let own = StalePlaceRule { place: "pipelines/default/stages/engaging".into(), rule: Some(rule(7, 45, 60)) };
        assert_eq!((policy.rules.as_slice(), policy.daily), (&[own][..], true));
        let forget = set_args(&["--forget", "default/engaging"]);
        assert_eq!(changed(&forget, &mut policy).unwrap(), ["rules"]);
        assert!(changed(&forget, &mut policy).is_err() && changed(&set_args(&["--in", "x"]), &mut policy).is_err());
        let days = set_args(&["--holiday", "2026-10-01", "--business-days", "--utc-offset", "+08:00"]);
        assert_eq!(changed(&days, &mut policy).unwrap(), ["calendar"]);
        let calendar = policy.calendar.unwrap();
        assert_eq!((calendar.holidays.as_slice(), calendar.utc_offset_minutes), (&["2026-10-01".to_owned()][..], 480));
    }

    #[test]
    fn an_offset_is_hours_and_minutes_with_a_sign() {
        assert_eq!((offset("+08:00"), offset("-03:30")), (Ok(480), Ok(-210)));
        assert!(["08:00", "+8", "+8:0", "", "+aa:bb"].iter().all(|text| offset(text).is_err()));
    }
}
