//! `closeout win-back`: plans to win customers back, what people do with them, and whom a campaign may reach.

mod args;
mod audience;

use super::list::pages;
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{count, counted, cut, label, last_part, money_or_none, or_dash, time, two_lines};
use crate::screen::{Paint, Screen};
use crate::{json, request_id};
use anyhow::Context;
use args::{CameOfIt, ContactArgs, GiveUpArgs, ListArgs, RecoverArgs, SetArgs, SetFields, ShowArgs};
use clap::{Args, Subcommand};
use crm_proto::opportunity::win_back_contact::{Method, Result as Answer};
use crm_proto::opportunity::win_back_plan::State;
use crm_proto::opportunity::{
    CreateOpportunityRequest, GetWinBackPlanRequest, GiveUpWinBackPlanRequest, ListWinBackPlansRequest, Opportunity,
    RecordWinBackContactRequest, UpdateWinBackPlanRequest, WinBackPlan,
};
use prost_types::{FieldMask, Timestamp};
use serde_json::json;
use std::time::SystemTime;

/// Full name of a plan in the protos.
const PLAN: &str = "crm.opportunity.v1.WinBackPlan";

/// What follows the help of `win-back`.
pub(crate) const EXAMPLES: &str = "\
A close-out whose reason says after how many days it is worth trying (closeout reasons) makes a plan, for each loss one. It is made by
either service's close-outs and kept by the opportunity service; its id is that of the close-out. With the first contact
it is RUNNING, and the customer WIN_BACK where nothing of it is open. Whom nobody may contact has no plan and is in no audience.

Examples:
  closeout win-back                                            what is due by now, of everybody
  closeout win-back list --owner wang.lei --until 2027-03-31
  closeout win-back list --state recovered
  closeout win-back show winBackPlans/ID
  closeout win-back set winBackPlans/ID --owner li.na --due 2027-02-01 --offer '10 % on cameras'
  closeout win-back contact winBackPlans/ID --by call --result later --again 2027-04-01 --note 'budget comes in April'
  closeout win-back contact winBackPlans/ID --by message --result do-not-contact
  closeout win-back give-up winBackPlans/ID --note 'moved abroad'
  closeout win-back recover winBackPlans/ID --title 'Cameras, second try'
  closeout win-back audience --reason BUDGET_FROZEN --reason PRICE_TOO_HIGH --not-contacted-since 2026-10-01
  closeout win-back audience --amount-from '10000 CNY' --csv > audience.csv";

/// Flags of `win-back`.
#[derive(Debug, Args)]
pub(crate) struct WinBackArgs {
    /// What to do [default: list what is due by now].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with plans.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists plans, what is due first.
    List(ListArgs),
    /// Shows a plan with its contacts.
    Show(ShowArgs),
    /// Changes who is to do it, when, and with which offer; what is not named stays.
    Set(SetArgs),
    /// Records that the customer was contacted, and what came of it.
    Contact(ContactArgs),
    /// Gives a plan up.
    GiveUp(GiveUpArgs),
    /// Makes an opportunity of it: the customer is back.
    Recover(RecoverArgs),
    /// Exports lost customers that a campaign may reach, with what they were lost on.
    Audience(Box<audience::AudienceArgs>),
}

/// Does what the command line says.
pub(super) async fn run(args: &WinBackArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match args.action.as_ref() {
        None => {
            let until = Some(Timestamp::from(SystemTime::now()));
            list(&ListArgs { until, limit: 50, ..ListArgs::default() }, api, screen).await
        }
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Show(args)) => {
            let request = GetWinBackPlanRequest { name: args.plan.clone() };
            one("", api.get_win_back_plan(request).await?.win_back_plan, screen)
        }
        Some(Action::Set(args)) => set(args, api, screen).await,
        Some(Action::Contact(args)) => contact(args, api, screen).await,
        Some(Action::GiveUp(args)) => {
            let request = GiveUpWinBackPlanRequest {
                name: args.plan.clone(),
                note: args.note.clone(),
                request_id: request_id::new(),
                ..GiveUpWinBackPlanRequest::default()
            };
            one("It is given up.", api.give_up_win_back_plan(request).await?.win_back_plan, screen)
        }
        Some(Action::Recover(args)) => recover(args, api, screen).await,
        Some(Action::Audience(args)) => audience::run(args, api, screen).await,
    }
}

async fn list(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let page = async |page_size, page_token| {
        let request = ListWinBackPlansRequest {
            page_size,
            page_token,
            state: args.state.map_or(0, |stands| State::from(stands).into()),
            owner: args.owner.clone().unwrap_or_default(),
            customer: args.customer.clone().unwrap_or_default(),
            due_before: args.until,
        };
        let reply = api.list_win_back_plans(request).await?;
        Ok((reply.win_back_plans, reply.next_page_token))
    };
    let plans = pages(args.limit, page).await?;
    if screen.json() {
        screen.emit(&json!({ "win_back_plans": json::list(PLAN, &plans)? }))?;
    }
    let now = Timestamp::from(SystemTime::now()).seconds;
    let mut table = screen.new_table_keeping(&["due", "customer, plan", "lost, for", "owner, state"], &[0, 1, 2]);
    for plan in &plans {
        let open = matches!(plan.state(), State::Planned | State::Running);
        let due = open && plan.due_time.is_some_and(|due| due.seconds <= now);
        table.add_row([
            screen.cell(if due { Paint::Strong } else { Paint::Dim }, time(plan.due_time.as_ref())),
            two_lines(&cut(or_dash(&plan.customer_display_name), 50), &plan.name).into(),
            two_lines(&money_or_none(plan.amount.as_ref()), last_part(&plan.reason)).into(),
            two_lines(&plan.owner, &state(plan)).into(),
        ]);
    }
    screen.table(&table)?;
    screen.line(&format!("{}.", counted(plans.len() as u64, "plan", "plans")))?;
    Ok(Ending::Done)
}

async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let SetFields { owner, due, offer } = &args.fields;
    let named = [("owner", owner.is_some()), ("due_time", due.is_some()), ("offer", offer.is_some())];
    let paths = named.iter().filter(|(_, is_named)| *is_named).map(|(field, _)| (*field).to_owned()).collect();
    let request = UpdateWinBackPlanRequest {
        win_back_plan: Some(WinBackPlan {
            name: args.plan.clone(),
            owner: owner.clone().unwrap_or_default(),
            due_time: *due,
            offer: offer.clone().unwrap_or_default(),
            ..WinBackPlan::default()
        }),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id::new(),
        ..UpdateWinBackPlanRequest::default()
    };
    one("It is changed.", api.update_win_back_plan(request).await?.win_back_plan, screen)
}

async fn contact(args: &ContactArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if args.result == CameOfIt::Later && args.again.is_none() {
        return Err(
            Usage("`--result later` needs --again: when the customer is to be contacted again".to_owned()).into()
        );
    }
    let request = RecordWinBackContactRequest {
        name: args.plan.clone(),
        method: Method::from(args.by).into(),
        result: Answer::from(args.result).into(),
        contact: args.with.clone(),
        contact_time: args.at,
        note: args.note.clone(),
        next_due_time: args.again,
        request_id: request_id::new(),
        ..RecordWinBackContactRequest::default()
    };
    one("The contact is recorded.", api.record_win_back_contact(request).await?.win_back_plan, screen)
}

async fn recover(args: &RecoverArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = GetWinBackPlanRequest { name: args.plan.clone() };
    let plan = there(api.get_win_back_plan(request).await?.win_back_plan)?;
    let opportunity = Opportunity {
        customer: plan.customer,
        title: args.title.clone(),
        owner: args.owner.clone(),
        amount: args.amount.clone(),
        recovered_from: plan.name,
        ..Opportunity::default()
    };
    let request = CreateOpportunityRequest {
        opportunity: Some(opportunity),
        request_id: request_id::new(),
        ..CreateOpportunityRequest::default()
    };
    let made = api.create_opportunity(request).await?.opportunity.context("a reply without its opportunity")?;
    if screen.json() {
        screen.emit(&json!({ "opportunity": json::message("crm.opportunity.v1.Opportunity", &made)? }))?;
    }
    screen.line(&format!("{} is open, recovered from {}.", made.name, made.recovered_from))?;
    Ok(Ending::Done)
}

fn there(plan: Option<WinBackPlan>) -> anyhow::Result<WinBackPlan> {
    plan.context("a reply without its plan")
}

fn state(plan: &WinBackPlan) -> String {
    label(plan.state().as_str_name(), "STATE_")
}

/// Shows a plan, and what was done with it.
fn one(done: &str, plan: Option<WinBackPlan>, screen: &Screen) -> anyhow::Result<Ending> {
    let plan = there(plan)?;
    if screen.json() {
        screen.emit(&json!({ "win_back_plan": json::message(PLAN, &plan)? }))?;
    }
    if !done.is_empty() {
        screen.line(done)?;
    }
    screen.heading(&format!("{}  {}", state(&plan), plan.name))?;
    let ended = plan.end_time.as_ref().map(|at| format!("{} by {} {}", time(Some(at)), plan.ender, plan.end_note));
    let rows = [
        ("customer", format!("{} {}", plan.customer, plan.customer_display_name)),
        ("lost", format!("{} at {}", plan.subject, time(plan.close_time.as_ref()))),
        ("for", last_part(&plan.reason).to_owned()),
        ("worth", money_or_none(plan.amount.as_ref())),
        ("owner", plan.owner.clone()),
        ("due", time(plan.due_time.as_ref())),
        ("offer", plan.offer.clone()),
        ("contacts", count(plan.contact_count.unsigned_abs())),
        ("recovered by", plan.recovered_by.clone()),
        ("ended", ended.unwrap_or_default()),
    ];
    let mut table = screen.new_table_keeping(&["", ""], &[0]);
    for (field, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([screen.cell(Paint::Dim, field), value.trim_end().into()]);
    }
    screen.table(&table)?;
    if !plan.contacts.is_empty() {
        let mut table = screen.new_table_keeping(&["contacted", "by", "with", "result", "note"], &[0]);
        for contact in &plan.contacts {
            table.add_row([
                two_lines(&time(contact.contact_time.as_ref()), &contact.actor),
                label(contact.method().as_str_name(), "METHOD_"),
                or_dash(&contact.contact).to_owned(),
                label(contact.result().as_str_name(), "RESULT_"),
                contact.note.clone(),
            ]);
        }
        screen.table(&table)?;
    }
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use crm_proto::Money;

    fn parse(args: &[&str]) -> Result<WinBackArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "win-back"], args].concat())?;
        let Command::WinBack(args) = cli.command else { panic!("not about winning back") };
        Ok(args)
    }

    #[test]
    fn amounts_have_a_currency_and_a_change_changes_something() {
        assert!(parse(&[]).unwrap().action.is_none());
        assert!(parse(&["set", "winBackPlans/1"]).is_err());
        assert!(parse(&["set", "winBackPlans/1", "--offer", ""]).is_ok());
        assert!(parse(&["contact", "winBackPlans/1", "--by", "call"]).is_err());
        assert!(parse(&["audience", "--amount-from", "10"]).is_err());
        let args = parse(&["audience", "--reason", "a", "--reason", "b", "--amount-from", "10.5 cny"]).unwrap();
        let Some(Action::Audience(args)) = args.action else { panic!("no audience") };
        assert_eq!(args.reasons, ["a", "b"]);
        assert_eq!(args.amount_from, Some(Money { currency_code: "CNY".into(), units: 10, nanos: 500_000_000 }));
    }
}
