//! A whole customer by hand: `closeout close-out customers/ID` and `preview` of it, `closeout reopen customerCloseOuts/ID` and `show` of it.
//! Shows first what it would do to each open opportunity, asks, and follows the group until each is done.

use super::closing::Closing;
use super::{competitors, preview};
use crate::api::Api;
use crate::args::{CloseOutArgs, ClosingArgs, ReopenArgs};
use crate::failure::{Ending, Usage};
use crate::format::{count, counted, label, last_part, or_dash, time, two_lines};
use crate::screen::{Paint, Screen};
use crate::view;
use crate::{json, request_id};
use anyhow::Context;
use crm_proto::common::CloseOutPlan;
use crm_proto::opportunity::customer_close_out::State;
use crm_proto::opportunity::{
    CloseOutCustomerRequest, CustomerCloseOut, GetCustomerCloseOutRequest, LeftOpportunity,
    PreviewCloseOutCustomerRequest, ReopenCustomerRequest,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const GROUP: &str = "crm.opportunity.v1.CustomerCloseOut";
/// Plans that are asked for in one call.
const PLANS: i32 = 100;
/// Plans that are shown before the question; all with `--json`.
const SHOWN: usize = 20;
/// How long to follow a group.
const LONGEST: Duration = Duration::from_secs(600);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What is asked for, and a competitor that is still to be made.
struct Asked {
    request: CloseOutCustomerRequest,
    unknown_competitor: Option<String>,
}

/// What it would do.
struct Plans {
    all: Vec<CloseOutPlan>,
    hash: String,
}

async fn read(args: &ClosingArgs, api: &Api) -> anyhow::Result<Asked> {
    let Closing::Opportunity { request, unknown_competitor } = Closing::of_opportunity(args, api).await? else {
        return Err(Usage("a customer is closed out like an opportunity".to_owned()).into());
    };
    if request.reassessment.is_some() || request.follow_up.is_some() {
        return Err(Usage("--rating and --follow-up are for one opportunity or order".to_owned()).into());
    }
    let request = CloseOutCustomerRequest {
        name: request.name,
        reason: request.reason,
        detail: request.detail,
        competitor: request.competitor,
        secondary_reasons: request.secondary_reasons,
        verification: request.verification,
        request_id: request_id::new(),
        ..CloseOutCustomerRequest::default()
    };
    Ok(Asked { request, unknown_competitor })
}

async fn plans(asked: &Asked, api: &Api, screen: &Screen) -> anyhow::Result<Plans> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    let asking = screen.spinner("looked at");
    loop {
        let close_out = Some(asked.request.clone());
        let request = PreviewCloseOutCustomerRequest { close_out, page_size: PLANS, page_token };
        let reply = api.preview_close_out_customer(request).await?;
        all.extend(reply.plans.into_iter().map(|plan| without(plan, asked.unknown_competitor.is_some())));
        asking.set_position(all.len() as u64);
        if reply.next_page_token.is_empty() {
            asking.finish_and_clear();
            return Ok(Plans { all, hash: reply.plan_hash });
        }
        page_token = reply.next_page_token;
    }
}

/// That the competitor is still to be made is no obstacle.
fn without(mut plan: CloseOutPlan, competitor: bool) -> CloseOutPlan {
    plan.obstacles.retain(|obstacle| !(competitor && obstacle.field == "competitor"));
    plan
}

/// Shows what closing a customer out would do.
pub(super) async fn preview(args: &ClosingArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let asked = read(args, api).await?;
    let plans = plans(&asked, api, screen).await?;
    show_plans(&args.name, &plans, api, screen).await?;
    if screen.json() {
        let all = json::list("crm.common.v1.CloseOutPlan", &plans.all)?;
        screen.emit(&json!({ "plans": all, "plan_hash": plans.hash }))?;
    }
    let refused = plans.all.iter().any(|plan| !plan.obstacles.is_empty());
    Ok(if refused { Ending::SomeRefused } else { Ending::Done })
}

async fn show_plans(name: &str, plans: &Plans, api: &Api, screen: &Screen) -> anyhow::Result<()> {
    let (blocked, free): (Vec<_>, Vec<_>) = plans.all.iter().partition(|plan| !plan.obstacles.is_empty());
    let count = |of: &[&CloseOutPlan]| counted(of.len() as u64, "opportunity", "opportunities");
    screen.heading(&format!("closing out {name}"))?;
    screen.line(&format!("{} would be closed out, {} left open.", count(&free), blocked.len()))?;
    for plan in free.iter().take(SHOWN) {
        preview::show(plan, api, screen).await?;
    }
    if free.len() > SHOWN {
        screen.note(&format!("... and {} more; --json lists all of them", free.len() - SHOWN))?;
    }
    for plan in blocked {
        preview::show(plan, api, screen).await?;
    }
    screen.line(&format!("Just these, as they are now: --plan {}", plans.hash))
}

/// Closes a customer out.
pub(super) async fn close_out(args: &CloseOutArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut asked = read(&args.closing, api).await?;
    asked.request.plan_hash = match &args.plan {
        Some(hash) => hash.clone(),
        None if args.yes => String::new(),
        None if !screen.can_ask() => {
            return Err(Usage("nobody can be asked here: give --yes, or --plan HASH of a preview".to_owned()).into());
        }
        None => {
            let plans = plans(&asked, api, screen).await?;
            show_plans(&args.closing.name, &plans, api, screen).await?;
            if !screen.ask("The sales data and the customer's record are affected. Close all of it out?")? {
                return Ok(Ending::Done);
            }
            plans.hash
        }
    };
    if let Some(name) = &asked.unknown_competitor {
        asked.request.competitor = competitors::or_made(name, api).await?;
    }
    let group = match api.close_out_customer(asked.request).await {
        Ok(reply) => reply.customer_close_out.context("a reply without its group")?,
        Err(refused) => return Err(competitors::explained(refused, api).await),
    };
    ended(followed(group, api, screen).await?, screen)
}

/// Takes a group back.
pub(super) async fn reopen(args: &ReopenArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = ReopenCustomerRequest {
        name: args.name.clone(),
        note: args.note.clone(),
        request_id: request_id::new(),
        ..ReopenCustomerRequest::default()
    };
    let group = api.reopen_customer(request).await?.customer_close_out.context("a reply without its group")?;
    ended(followed(group, api, screen).await?, screen)
}

fn ended(group: CustomerCloseOut, screen: &Screen) -> anyhow::Result<Ending> {
    show_group(&group, screen)?;
    if screen.json() {
        screen.emit(&json!({ "customer_close_out": json::message(GROUP, &group)? }))?;
    }
    let left = group.reopening.as_ref().map_or(&group.left, |reopening| &reopening.left);
    Ok(if left.is_empty() { Ending::Done } else { Ending::SomeRefused })
}

async fn get(name: &str, api: &Api) -> anyhow::Result<CustomerCloseOut> {
    let request = GetCustomerCloseOutRequest { name: name.to_owned() };
    api.get_customer_close_out(request).await?.customer_close_out.context("a reply without its group")
}

/// Looks until it is done: it goes on by itself, whoever looks.
async fn followed(mut group: CustomerCloseOut, api: &Api, screen: &Screen) -> anyhow::Result<CustomerCloseOut> {
    let (began, name) = (Instant::now(), group.name.clone());
    let done = screen.progress(u64::try_from(group.opportunity_count).unwrap_or_default(), "done");
    while matches!(group.state(), State::Closing | State::Reopening) {
        if began.elapsed() > LONGEST {
            anyhow::bail!("{name} is not done yet and goes on by itself: closeout show {name}");
        }
        tokio::time::sleep(PAUSE).await;
        group = get(&name, api).await?;
        let closed = group.effective_count + group.pending_approval_count;
        let back = group.reversed_count;
        let so_far = if group.reopening.is_some() { back } else { closed };
        done.set_position(u64::try_from(so_far).unwrap_or_default());
    }
    done.finish_and_clear();
    Ok(group)
}

/// Shows a group.
pub(super) async fn show(name: &str, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let group = get(name, api).await?;
    show_group(&group, screen)?;
    Ok(json!({ "customer_close_out": json::message(GROUP, &group)? }))
}

fn show_group(group: &CustomerCloseOut, screen: &Screen) -> anyhow::Result<()> {
    screen.heading(&format!("close-out of {}  {}", group.customer, group.name))?;
    let number = |of: i32| count(u64::try_from(of).unwrap_or_default());
    let mut rows = vec![
        ("state", state(group)),
        ("reason", format!("{}@{}", last_part(&group.reason), group.reason_version)),
        ("detail", group.detail.clone()),
        ("asked by", format!("{}, {}", group.actor, time(group.create_time.as_ref()))),
        ("were open", number(group.opportunity_count)),
        ("closed out", number(group.effective_count)),
        ("wait for approval", number(group.pending_approval_count)),
        ("taken back", number(group.reversed_count)),
    ];
    if let Some(reopening) = &group.reopening {
        rows.push(("reopened by", format!("{}, {}", reopening.actor, time(reopening.reopen_time.as_ref()))));
        rows.push(("because", reopening.note.clone()));
    }
    view::show_rows(&rows, screen)?;
    lefts("left open", &group.left, screen)?;
    let back = group.reopening.as_ref().map(|reopening| reopening.left.as_slice()).unwrap_or_default();
    lefts("left closed out", back, screen)?;
    screen.note(&format!("what next: closeout list close-outs --group {}", group.name))
}

fn lefts(heading: &str, lefts: &[LeftOpportunity], screen: &Screen) -> anyhow::Result<()> {
    if lefts.is_empty() {
        return Ok(());
    }
    let mut table = screen.new_table_keeping(&[heading, "what is in the way"], &[0]);
    for left in lefts {
        let why = two_lines(&left.reason, or_dash(&left.description));
        table.add_row([left.opportunity.as_str().into(), screen.cell(Paint::Changed, why)]);
    }
    screen.table(&table)
}

/// How the state of a group reads.
pub(super) fn state(group: &CustomerCloseOut) -> String {
    label(group.state().as_str_name(), "STATE_")
}
