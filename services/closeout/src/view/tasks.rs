//! Tasks of both services: as they stand, or before and after a close-out.

use super::{change_cells, side_name};
use crate::api::Api;
use crate::format::{cut, label, or_dash, short_name, time, two_lines, with_short_names};
use crate::json;
use crate::screen::{Paint, Screen};
use crm_proto::common::{Effect, Side, Task, TaskState};
use crm_proto::{opportunity as sales, order as trade};
use serde_json::{Value, json};
use tonic::Status;

/// Tasks of some records, on both services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    /// Each with its side, oldest first.
    pub(crate) all: Vec<(Side, Task)>,
}

impl Tasks {
    /// Reads the tasks of every record of `parents`, on both services.
    pub(crate) async fn read(api: &Api, parents: &[&str]) -> Result<Self, Status> {
        let mut all = Vec::new();
        for parent in parents {
            let (parent, page_size) = ((*parent).to_owned(), 1_000);
            let request = sales::ListTasksRequest { parent: parent.clone(), page_size, ..Default::default() };
            let selling = api.list_selling_tasks(request).await?.tasks;
            let request = trade::ListTasksRequest { parent, page_size, ..Default::default() };
            let order = api.list_order_tasks(request).await?.tasks;
            all.extend(selling.into_iter().map(|task| (Side::Opportunity, task)));
            all.extend(order.into_iter().map(|task| (Side::Order, task)));
        }
        all.sort_by_key(|(side, _)| *side as i32);
        Ok(Self { all })
    }

    /// Reads the tasks that receipts name.
    pub(crate) async fn of(api: &Api, effects: &[Effect]) -> Result<Self, Status> {
        let named = |effect: &&Effect| effect.resource.starts_with("tasks/");
        let read = effects.iter().filter(named).map(|effect| async move {
            let name = effect.resource.clone();
            let task = if effect.side() == Side::Order {
                api.get_order_task(trade::GetTaskRequest { name }).await?.task
            } else {
                api.get_selling_task(sales::GetTaskRequest { name }).await?.task
            };
            Ok::<_, Status>(task.map(|task| (effect.side(), task)))
        });
        let read = futures::future::try_join_all(read).await?;
        Ok(Self { all: read.into_iter().flatten().collect() })
    }

    /// As the API names their fields, by side.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        let of = |wanted: Side| -> Vec<Task> {
            self.all.iter().filter(|(side, _)| *side == wanted).map(|(_, task)| task.clone()).collect()
        };
        let list = |side| json::list("crm.common.v1.Task", &of(side));
        Ok(json!({ "opportunity": list(Side::Opportunity)?, "order": list(Side::Order)? }))
    }
}

/// How a task's state reads.
pub(crate) fn state(task: &Task) -> String {
    label(task.state().as_str_name(), "TASK_STATE_")
}

/// True if somebody still has to do it.
pub(crate) fn is_open(task: &Task) -> bool {
    matches!(task.state(), TaskState::Open | TaskState::InProgress)
}

/// Shows tasks as they stand.
pub(crate) fn show_tasks(tasks: &Tasks, screen: &Screen) -> anyhow::Result<()> {
    if tasks.all.is_empty() {
        return screen.note("No tasks on either side.");
    }
    let mut table = screen.new_table_keeping(&["side", "task", "kind", "assignee, due", "state"], &[0, 1, 2, 4]);
    for (side, task) in &tasks.all {
        let title = cut(&with_short_names(&task.title), 42);
        table.add_row([
            side_name(*side).into(),
            two_lines(&title, &task.name).into(),
            kind(task).into(),
            two_lines(or_dash(&task.assignee), &time(task.due_time.as_ref())).into(),
            screen.cell(if is_open(task) { Paint::Strong } else { Paint::Dim }, state(task)),
        ]);
    }
    screen.table(&table)
}

/// Shows what became of tasks. Those that are new have no state before.
pub(crate) fn show_task_changes(before: &Tasks, after: &Tasks, screen: &Screen) -> anyhow::Result<()> {
    let mut table = screen.new_table_keeping(&["side", "task", "kind", "of", "before", "after"], &[0, 2, 3, 4, 5]);
    for (side, task) in &after.all {
        let old = before.all.iter().find(|(_, other)| other.name == task.name).map(|(_, other)| state(other));
        let [old, new] = change_cells(old.unwrap_or_else(|| "-".to_owned()), state(task), screen);
        table.add_row([
            screen.cell(Paint::Dim, side_name(*side)),
            with_short_names(&task.title).into(),
            kind(task).into(),
            short_name(&task.parent).into(),
            old,
            new,
        ]);
    }
    screen.table(&table)
}

fn kind(task: &Task) -> String {
    label(task.kind().as_str_name(), "TASK_KIND_")
}
