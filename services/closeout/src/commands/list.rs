//! `closeout list`: opportunities, orders, tasks, customers or close-outs, with simple filters.

use super::closing::reason_name;
use super::customers;
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{cut, last_part, money_or_none, or_dash, time, two_lines};
use crate::json;
use crate::screen::Screen;
use crate::view::{self, Tasks};
use clap::{Args, ValueEnum};
use comfy_table::Table;
use crm_proto::common::{CloseOut, Side, TaskState};
use crm_proto::opportunity::{self as sales, customer::Lifecycle};
use crm_proto::order as trade;
use serde_json::{Value, json};
use tonic::Status;

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// What to list.
    what: Listed,
    /// Only of this customer (opportunities, orders, close-outs, customer-close-outs).
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only in this state: open, on-hold, close-pending, won, closed-out / draft, confirmed, in-fulfilment, close-pending,
    /// processed, cancelled / open,
    /// in-progress, done, cancelled (tasks) / prospect, active, win-back, lost, dormant, blocked (customers).
    #[arg(long)]
    state: Option<String>,
    /// Only in this stage: `engaging` of the pipeline `default`, `PIPELINE/STAGE` or `pipelines/ID/stages/ID` (opportunities).
    #[arg(long)]
    stage: Option<String>,
    /// Only of this owner, or of this assignee (tasks) or actor (close-outs).
    #[arg(long, value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// Only of this opportunity (orders).
    #[arg(long, value_name = "NAME")]
    opportunity: Option<String>,
    /// Only of this opportunity, order or customer (tasks, close-outs).
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
    /// Only with this reason (close-outs).
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only of this close-out of a whole customer (close-outs).
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// At most this many of each service; 0: all.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Listed {
    /// Opportunities.
    Opportunities,
    /// Orders.
    Orders,
    /// Tasks of both services.
    Tasks,
    /// Customers.
    Customers,
    /// Close-outs of both services.
    CloseOuts,
    /// Close-outs of whole customers.
    CustomerCloseOuts,
}

/// Lists what the command line asks for.
pub(super) async fn run(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let listed = match args.what {
        Listed::Opportunities => opportunities(args, api, screen).await?,
        Listed::Orders => orders(args, api, screen).await?,
        Listed::Tasks => {
            let filter = TaskFilter {
                parent: args.parent.as_deref().unwrap_or_default(),
                assignee: args.owner.as_deref().unwrap_or_default(),
                states: args.state.as_deref().map(task_state).transpose()?.into_iter().collect(),
                limit: args.limit,
            };
            tasks(&filter, api, screen).await?
        }
        Listed::Customers => customers(args, api, screen).await?,
        Listed::CloseOuts => close_outs(args, api, screen).await?,
        Listed::CustomerCloseOuts => groups(args, api, screen).await?,
    };
    if screen.json() {
        screen.emit(&listed)?;
    }
    Ok(Ending::Done)
}

/// Reads page after page until there are `limit` (0: all).
pub(super) async fn pages<T>(
    limit: usize,
    page: impl AsyncFn(i32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Status> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let wanted = if limit == 0 { 1_000 } else { (limit - all.len()).min(1_000) };
        let (items, next) = page(i32::try_from(wanted).unwrap_or(1_000), token).await?;
        all.extend(items);
        if next.is_empty() || (limit > 0 && all.len() >= limit) {
            return Ok(all);
        }
        token = next;
    }
}

/// The number of an enum value by the word that a person uses for it: `closed-out` is `STATE_CLOSED_OUT`.
fn parse_state<E: Into<i32>>(args: &ListArgs, prefix: &str, by_name: fn(&str) -> Option<E>) -> Result<i32, Usage> {
    let Some(word) = &args.state else { return Ok(0) };
    by_name(&state_name(word, prefix)).map(Into::into).ok_or_else(|| unknown_state(word))
}

/// The state of a task by its word: `in-progress`.
pub(super) fn task_state(word: &str) -> Result<TaskState, Usage> {
    TaskState::from_str_name(&state_name(word, "TASK_STATE_")).ok_or_else(|| unknown_state(word))
}

fn state_name(word: &str, prefix: &str) -> String {
    format!("{prefix}{}", word.to_uppercase().replace('-', "_"))
}

fn unknown_state(word: &str) -> Usage {
    Usage(format!("--state {word}: see closeout list --help"))
}

/// The resource name of a stage, from that, from `PIPELINE/STAGE` or from its id in the default pipeline; empty: any.
pub(in crate::commands) fn stage_name(stage: &str) -> String {
    match stage.split('/').collect::<Vec<_>>().as_slice() {
        [""] => String::new(),
        [stage] => format!("pipelines/default/stages/{stage}"),
        [pipeline, stage] => format!("pipelines/{pipeline}/stages/{stage}"),
        _ => stage.to_owned(),
    }
}

/// Shows what was found, or says that there is nothing.
fn show(table: &Table, screen: &Screen) -> anyhow::Result<()> {
    if table.is_empty() { screen.note("None found.") } else { screen.table(table) }
}

fn text(option: &Option<String>) -> String {
    option.clone().unwrap_or_default()
}

async fn opportunities(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let base = sales::ListOpportunitiesRequest {
        customer: text(&args.customer),
        state: parse_state(args, "STATE_", sales::opportunity::State::from_str_name)?,
        stage: stage_name(args.stage.as_deref().unwrap_or_default()),
        owner: text(&args.owner),
        ..Default::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let request = sales::ListOpportunitiesRequest { page_size, page_token, ..base.clone() };
        let reply = api.list_opportunities(request).await?;
        Ok((reply.opportunities, reply.next_page_token))
    })
    .await?;
    let stages = view::Stages::read(api, screen).await?;
    let headings = ["opportunity", "state, stage", "amount", "owner, created"];
    let mut table = screen.new_table_keeping(&headings, &[0, 1, 2]);
    for one in &found {
        let called = format!("{} ({})", cut(&one.title, 38), one.number);
        table.add_row([
            two_lines(&called, &one.name),
            two_lines(&view::opportunity_state(one), &stages.called(&one.stage)),
            money_or_none(one.amount.as_ref()),
            two_lines(or_dash(&one.owner), &time(one.create_time.as_ref())),
        ]);
    }
    show(&table, screen)?;
    Ok(json!({ "opportunities": json::list("crm.opportunity.v1.Opportunity", &found)? }))
}

async fn orders(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let base = trade::ListOrdersRequest {
        customer: text(&args.customer),
        opportunity: text(&args.opportunity),
        state: parse_state(args, "STATE_", trade::order::State::from_str_name)?,
        owner: text(&args.owner),
        ..Default::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let request = trade::ListOrdersRequest { page_size, page_token, ..base.clone() };
        let reply = api.list_orders(request).await?;
        Ok((reply.orders, reply.next_page_token))
    })
    .await?;
    let headings = ["order", "state", "total, paid", "owner, created"];
    let mut table = screen.new_table_keeping(&headings, &[0, 1, 2]);
    for one in &found {
        table.add_row([
            two_lines(&one.number, &one.name),
            view::order_state(one),
            two_lines(&money_or_none(one.total.as_ref()), &money_or_none(one.paid.as_ref())),
            two_lines(or_dash(&one.owner), &time(one.create_time.as_ref())),
        ]);
    }
    show(&table, screen)?;
    Ok(json!({ "orders": json::list("crm.order.v1.Order", &found)? }))
}

/// Which tasks.
#[derive(Debug, Default)]
pub(super) struct TaskFilter<'a> {
    /// Of this record; empty: of all.
    pub(super) parent: &'a str,
    /// Of this assignee; empty: of all.
    pub(super) assignee: &'a str,
    /// In one of these states; none: in any.
    pub(super) states: Vec<TaskState>,
    /// At most this many of each service and state; 0: all.
    pub(super) limit: usize,
}

/// Shows the tasks of both services that the filter lets through; answers them for programs.
pub(super) async fn tasks(filter: &TaskFilter<'_>, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let TaskFilter { parent, assignee, states, limit } = filter;
    let states = if states.is_empty() { &[TaskState::Unspecified][..] } else { states };
    let mut all = Vec::new();
    for state in states {
        let state = i32::from(*state);
        let tasks = pages(*limit, async |page_size, page_token| {
            let (parent, assignee) = ((*parent).to_owned(), (*assignee).to_owned());
            let request = sales::ListTasksRequest { page_size, page_token, parent, state, assignee };
            let reply = api.list_selling_tasks(request).await?;
            Ok((reply.tasks, reply.next_page_token))
        });
        all.extend(tasks.await?.into_iter().map(|task| (Side::Opportunity, task)));
        let tasks = pages(*limit, async |page_size, page_token| {
            let (parent, assignee) = ((*parent).to_owned(), (*assignee).to_owned());
            let request = trade::ListTasksRequest { page_size, page_token, parent, state, assignee };
            let reply = api.list_order_tasks(request).await?;
            Ok((reply.tasks, reply.next_page_token))
        });
        all.extend(tasks.await?.into_iter().map(|task| (Side::Order, task)));
    }
    all.sort_by_key(|(side, _)| *side as i32);
    let tasks = Tasks { all };
    view::show_tasks(&tasks, screen)?;
    Ok(json!({ "tasks": tasks.json()? }))
}

async fn customers(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let lifecycle = parse_state(args, "LIFECYCLE_", Lifecycle::from_str_name)?;
    let found = pages(args.limit, async |page_size, page_token| {
        let request = sales::ListCustomersRequest { page_size, page_token, lifecycle, owner: text(&args.owner) };
        let reply = api.list_relationships(request).await?;
        Ok((reply.customers, reply.next_page_token))
    })
    .await?;
    let headings = ["customer", "tier", "lifecycle", "open", "won", "lost", "live orders"];
    let mut table = screen.new_table_keeping(&headings, &[0, 2]);
    for one in &found {
        let called = cut(&one.display_name, 46);
        table.add_row([
            two_lines(&called, &one.name),
            or_dash(&one.tier).to_owned(),
            view::lifecycle(one),
            one.open_count.to_string(),
            one.won_count.to_string(),
            one.lost_count.to_string(),
            one.live_order_count.to_string(),
        ]);
    }
    show(&table, screen)?;
    Ok(json!({ "customers": json::list("crm.opportunity.v1.Customer", &found)? }))
}

async fn close_outs(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let reason = args.reason.as_deref().map(reason_name).unwrap_or_default();
    let (subject, customer, actor) = (text(&args.parent), text(&args.customer), text(&args.owner));
    let group = text(&args.group);
    let sales = sales::ListCloseOutsRequest { subject, customer, reason, actor, group, ..Default::default() };
    let trade = trade::ListCloseOutsRequest {
        subject: sales.subject.clone(),
        customer: sales.customer.clone(),
        group: sales.group.clone(),
        reason: sales.reason.clone(),
        actor: sales.actor.clone(),
        ..Default::default()
    };
    // A filter by subject names its service by itself; the other one would not know such a name.
    let wants = |collection: &str| args.parent.as_ref().is_none_or(|parent| parent.starts_with(collection));
    let mut opportunity: Vec<CloseOut> = Vec::new();
    if wants("opportunities/") {
        opportunity = pages(args.limit, async |page_size, page_token| {
            let request = sales::ListCloseOutsRequest { page_size, page_token, ..sales.clone() };
            let reply = api.list_sales_close_outs(request).await?;
            Ok((reply.close_outs, reply.next_page_token))
        })
        .await?;
    }
    let mut order: Vec<CloseOut> = Vec::new();
    if wants("orders/") {
        order = pages(args.limit, async |page_size, page_token| {
            let request = trade::ListCloseOutsRequest { page_size, page_token, ..trade.clone() };
            let reply = api.list_trade_close_outs(request).await?;
            Ok((reply.close_outs, reply.next_page_token))
        })
        .await?;
    }
    let mut table = screen.new_table_keeping(&["close-out, of", "outcome, reason", "when, by"], &[0]);
    for one in opportunity.iter().chain(&order) {
        table.add_row([
            two_lines(&one.name, &one.subject),
            two_lines(&view::outcome(one), last_part(&one.reason)),
            two_lines(&time(one.close_time.as_ref()), &one.actor),
        ]);
    }
    show(&table, screen)?;
    let list = |all: &[CloseOut]| json::list("crm.common.v1.CloseOut", all);
    Ok(json!({ "close_outs": { "opportunity": list(&opportunity)?, "order": list(&order)? } }))
}

async fn groups(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Value> {
    let customer = args.customer.clone().unwrap_or_default();
    let groups = pages(args.limit, async |page_size, page_token| {
        let request = sales::ListCustomerCloseOutsRequest { page_size, page_token, customer: customer.clone() };
        let reply = api.list_customer_close_outs(request).await?;
        Ok((reply.customer_close_outs, reply.next_page_token))
    })
    .await?;
    let mut table = screen.new_table_keeping(&["close-out, of", "state, reason", "closed, left", "when, by"], &[0]);
    for one in &groups {
        let left = format!("{} left open", one.left.len());
        table.add_row([
            two_lines(&one.name, &one.customer),
            two_lines(&customers::state(one), last_part(&one.reason)),
            two_lines(&format!("{} of {}", one.effective_count, one.opportunity_count), &left),
            two_lines(&time(one.create_time.as_ref()), &one.actor),
        ]);
    }
    show(&table, screen)?;
    Ok(json!({ "customer_close_outs": json::list("crm.opportunity.v1.CustomerCloseOut", &groups)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn state(word: &str) -> Result<i32, Usage> {
        let cli = Cli::try_parse_from(["closeout", "list", "opportunities", "--state", word]).unwrap();
        let Command::List(args) = cli.command else { panic!("not a list") };
        parse_state(&args, "STATE_", sales::opportunity::State::from_str_name)
    }

    #[test]
    fn states_are_named_in_words() {
        assert_eq!(state("closed-out").unwrap(), sales::opportunity::State::ClosedOut as i32);
        assert!(state("gone").is_err());
    }

    #[test]
    fn a_stage_goes_by_its_id_its_pipeline_or_its_name() {
        assert_eq!(stage_name("engaging"), "pipelines/default/stages/engaging");
        assert_eq!(stage_name("partners/demo"), "pipelines/partners/stages/demo");
        assert_eq!(stage_name("pipelines/partners/stages/demo"), "pipelines/partners/stages/demo");
        assert_eq!(stage_name(""), "");
    }

    #[tokio::test]
    async fn pages_are_read_up_to_the_limit() {
        let page = async |size: i32, token: String| {
            let first: i32 = token.parse().unwrap_or(0);
            Ok(((first..first + size).collect::<Vec<i32>>(), (first + size).to_string()))
        };
        assert_eq!(pages(1_500, page).await.unwrap().len(), 1_500);
    }
}
