//! What a tenant has decided about stale opportunities: shown, and changed by flags.

use crate::api::Api;
use crate::commands::list::stage_name;
use crate::failure::{Ending, Usage};
use crate::format::time;
use crate::screen::Screen;
use crate::{json, request_id};
use anyhow::Context;
use clap::Args;
use crm_proto::opportunity::{self as sales, StaleCalendar, StalePlaceRule, StalePolicy, StaleRule};
use prost_types::FieldMask;
use serde_json::json;

/// Full name of the policy in the protos.
const POLICY: &str = "crm.opportunity.v1.StalePolicy";

/// Flags of `stale set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct SetArgs {
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

pub(super) async fn read(api: &Api) -> anyhow::Result<StalePolicy> {
    let reply = api.get_stale_policy(sales::GetStalePolicyRequest {}).await?;
    reply.stale_policy.context("a reply without its policy")
}

pub(super) async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut policy = read(api).await?;
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

pub(super) fn show(policy: &StalePolicy, screen: &Screen) -> anyhow::Result<Ending> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::commands::stale::{Action, StaleArgs};
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
