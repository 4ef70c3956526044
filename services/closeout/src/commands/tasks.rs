//! `closeout tasks`: lists the tasks of both services, makes one, and changes them by hand.

use super::found;
use super::list::{self, TaskFilter};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{parse_day, to_timestamp};
use crate::screen::Screen;
use crate::view::{self, Tasks};
use crate::{json, request_id};
use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use crm_proto::common::{Side, Task, TaskKind, TaskState};
use crm_proto::{opportunity as sales, order as trade};
use prost_types::FieldMask;
use serde_json::json;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  closeout tasks                                     what you have to do, on both services
  closeout tasks list --parent opportunities/ID --state open
  closeout tasks add opportunities/ID --kind follow-up --title \"Call back\" --due 2026-12-01
  closeout tasks complete tasks/ID tasks/ID";

/// Flags of `tasks`.
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// What to do [default: list what --principal has to do].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with tasks.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the tasks of both services, oldest first.
    List(ListArgs),
    /// Makes a task for an opportunity, an order or a customer.
    Add(AddArgs),
    /// Changes title, assignee or due day.
    Edit(EditArgs),
    /// Marks tasks as begun.
    Start(NamesArgs),
    /// Marks tasks as done.
    Complete(NamesArgs),
    /// Cancels tasks by hand: no reopening brings them back.
    Cancel(NamesArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this opportunity, order or customer.
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
    /// Only of this assignee.
    #[arg(long, value_name = "PRINCIPAL")]
    assignee: Option<String>,
    /// Only in this state: open, in-progress, done, cancelled.
    #[arg(long)]
    state: Option<String>,
    /// At most this many of each service; 0: all.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl ListArgs {
    fn filter(&self) -> Result<TaskFilter<'_>, Usage> {
        Ok(TaskFilter {
            parent: self.parent.as_deref().unwrap_or_default(),
            assignee: self.assignee.as_deref().unwrap_or_default(),
            states: self.state.as_deref().map(list::task_state).transpose()?.into_iter().collect(),
            limit: self.limit,
        })
    }
}

#[derive(Debug, Args)]
struct AddArgs {
    /// `opportunities/ID`, `orders/ID` or `customers/ID`.
    parent: String,
    /// What kind of work it is; it also says which service keeps it.
    #[arg(long)]
    kind: Kind,
    /// What to do, 1 to 200 characters.
    #[arg(long)]
    title: String,
    /// When it should be done by, such as 2026-12-01.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    due: Option<time::Date>,
    /// Who shall do it [default: --principal].
    #[arg(long, value_name = "PRINCIPAL")]
    assignee: Option<String>,
}

#[derive(Debug, Args)]
struct EditArgs {
    /// `tasks/ID`.
    name: String,
    /// New title.
    #[arg(long)]
    title: Option<String>,
    /// New assignee.
    #[arg(long, value_name = "PRINCIPAL")]
    assignee: Option<String>,
    /// New due day.
    #[arg(long, value_name = "DAY", value_parser = parse_day, conflicts_with = "no_due")]
    due: Option<time::Date>,
    /// No due day any more.
    #[arg(long)]
    no_due: bool,
}

#[derive(Debug, Args)]
struct NamesArgs {
    /// `tasks/ID`, one or several.
    #[arg(required = true)]
    names: Vec<String>,
}

/// Kinds of work: the first four belong to the opportunity service, the others to the order service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Selling: get back to the customer.
    FollowUp,
    /// Selling: show the product.
    Demo,
    /// Selling: make an offer.
    Quote,
    /// Selling: try again after a loss.
    WinBack,
    /// Selling: decide something about a record.
    Review,
    /// Order: deliver the goods.
    Deliver,
    /// Order: buy what is to be delivered.
    Procure,
    /// Order: collect the payment.
    Collect,
    /// Order: send the invoice.
    Invoice,
}

impl Kind {
    fn of_api(self) -> (Side, TaskKind) {
        match self {
            Self::FollowUp => (Side::Opportunity, TaskKind::FollowUp),
            Self::Demo => (Side::Opportunity, TaskKind::Demo),
            Self::Quote => (Side::Opportunity, TaskKind::Quote),
            Self::WinBack => (Side::Opportunity, TaskKind::WinBack),
            Self::Review => (Side::Opportunity, TaskKind::Review),
            Self::Deliver => (Side::Order, TaskKind::Deliver),
            Self::Procure => (Side::Order, TaskKind::Procure),
            Self::Collect => (Side::Order, TaskKind::Collect),
            Self::Invoice => (Side::Order, TaskKind::Invoice),
        }
    }
}

/// What is done to a task by hand.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Complete,
    Cancel,
}

/// Lists, makes or changes tasks.
pub(super) async fn run(args: &TasksArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None => {
            let states = vec![TaskState::Open, TaskState::InProgress];
            show_list(&TaskFilter { assignee: api.principal(), states, limit: 50, parent: "" }, api, screen).await
        }
        Some(Action::List(args)) => show_list(&args.filter()?, api, screen).await,
        Some(Action::Add(args)) => changed(vec![add(args, api).await?], screen),
        Some(Action::Edit(args)) => changed(vec![edit(args, api).await?], screen),
        Some(Action::Start(args)) => each(args, Step::Start, api, screen).await,
        Some(Action::Complete(args)) => each(args, Step::Complete, api, screen).await,
        Some(Action::Cancel(args)) => each(args, Step::Cancel, api, screen).await,
    }
}

async fn show_list(filter: &TaskFilter<'_>, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let listed = list::tasks(filter, api, screen).await?;
    if screen.json() {
        screen.emit(&listed)?;
    }
    Ok(Ending::Done)
}

async fn add(args: &AddArgs, api: &Api) -> anyhow::Result<(Side, Task)> {
    let (side, kind) = args.kind.of_api();
    let task = Some(Task {
        parent: args.parent.clone(),
        kind: kind.into(),
        title: args.title.clone(),
        assignee: args.assignee.clone().unwrap_or_default(),
        due_time: args.due.map(to_timestamp),
        ..Task::default()
    });
    let request_id = request_id::new();
    let made = if side == Side::Order {
        api.create_order_task(trade::CreateTaskRequest { task, request_id, ..Default::default() }).await?.task
    } else {
        api.create_selling_task(sales::CreateTaskRequest { task, request_id, ..Default::default() }).await?.task
    };
    Ok((side, made.context(NO_TASK)?))
}

const NO_TASK: &str = "a reply without its task";

async fn edit(args: &EditArgs, api: &Api) -> anyhow::Result<(Side, Task)> {
    let fields = [
        ("title", args.title.is_some()),
        ("assignee", args.assignee.is_some()),
        ("due_time", args.due.is_some() || args.no_due),
    ];
    let paths: Vec<_> = fields.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    if paths.is_empty() {
        return Err(Usage("nothing to change: give --title, --assignee, --due or --no-due".to_owned()).into());
    }
    let (side, known) = read(api, &args.name).await?;
    let task = Some(Task {
        name: known.name,
        title: args.title.clone().unwrap_or_default(),
        assignee: args.assignee.clone().unwrap_or_default(),
        due_time: args.due.map(to_timestamp),
        etag: known.etag,
        ..Task::default()
    });
    let (update_mask, request_id) = (Some(FieldMask { paths }), request_id::new());
    let changed = if side == Side::Order {
        let request = trade::UpdateTaskRequest { task, update_mask, request_id, ..Default::default() };
        api.update_order_task(request).await?.task
    } else {
        let request = sales::UpdateTaskRequest { task, update_mask, request_id, ..Default::default() };
        api.update_selling_task(request).await?.task
    };
    Ok((side, changed.context(NO_TASK)?))
}

/// Carries out a step for each task; stops at the first that is refused, after showing what was done.
async fn each(args: &NamesArgs, step: Step, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut done = Vec::new();
    for name in &args.names {
        match take_step(step, name, api).await {
            Ok(task) => done.push(task),
            Err(error) if done.is_empty() || screen.json() => return Err(error.context(name.clone())),
            Err(error) => {
                changed(done, screen)?;
                return Err(error.context(name.clone()));
            }
        }
    }
    changed(done, screen)
}

async fn take_step(step: Step, name: &str, api: &Api) -> anyhow::Result<(Side, Task)> {
    let (side, Task { name, etag, .. }) = read(api, name).await?;
    let (request_id, validate_only) = (request_id::new(), false);
    let task = match (side, step) {
        (Side::Order, Step::Start) => {
            api.start_order_task(trade::StartTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
        (Side::Order, Step::Complete) => {
            api.complete_order_task(trade::CompleteTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
        (Side::Order, Step::Cancel) => {
            api.cancel_order_task(trade::CancelTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
        (_, Step::Start) => {
            api.start_selling_task(sales::StartTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
        (_, Step::Complete) => {
            api.complete_selling_task(sales::CompleteTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
        (_, Step::Cancel) => {
            api.cancel_selling_task(sales::CancelTaskRequest { name, etag, request_id, validate_only }).await?.task
        }
    };
    Ok((side, task.context(NO_TASK)?))
}

/// Reads a task from the service that keeps it.
pub(super) async fn read(api: &Api, name: &str) -> anyhow::Result<(Side, Task)> {
    let request = sales::GetTaskRequest { name: name.to_owned() };
    if let Some(task) = found(api.get_selling_task(request).await.map(|reply| reply.task))? {
        return Ok((Side::Opportunity, task));
    }
    let reply = api.get_order_task(trade::GetTaskRequest { name: name.to_owned() }).await?;
    Ok((Side::Order, reply.task.context(NO_TASK)?))
}

fn changed(all: Vec<(Side, Task)>, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        let tasks: Vec<Task> = all.iter().map(|(_, task)| task.clone()).collect();
        screen.emit(&json!({ "tasks": json::list("crm.common.v1.Task", &tasks)? }))?;
    }
    view::show_tasks(&Tasks { all }, screen)?;
    Ok(Ending::Done)
}
