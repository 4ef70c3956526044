//! TaskService, written once: both services have the same methods on packages of their own. [`crate::task_service`] makes
//! the implementation for one of them.

use crate::{
    failure,
    fields::{self, Fields},
    page::Page,
};
use crm_closeout::{
    cascade::{NewTask, TaskCommand},
    codes::Record,
    ids::{TaskId, TenantId},
    refusal::Refusal,
    task::{Task, TaskChange, TaskKind, TaskState},
    wording,
};
use crm_outbox::{
    db::Db,
    select::{Order, Select},
};
use crm_proto::common;
use prost_types::FieldMask;
use tonic::Status;

/// Reads a task to be made. `kinds` are those of this service.
pub fn create(
    fields: &mut Fields,
    caller: &str,
    task: Option<&common::Task>,
    kinds: &[TaskKind],
) -> Option<TaskCommand> {
    let Some(task) = task else {
        fields.refuse("task", &wording::REQUIRED, &[]);
        return None;
    };
    let root = fields.record("task.parent", &task.parent);
    let kind = fields.code::<TaskKind>("task.kind", task.kind);
    if kind.is_some_and(|kind| !kinds.contains(&kind)) {
        let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
        fields.refuse("task.kind", &wording::KIND_OF_OTHER_SIDE, &[("kinds", &words.join(", "))]);
    }
    let title = fields.line("task.title", &task.title, 1..=fields::TITLE);
    let assignee = fields.principal("task.assignee", &task.assignee, caller);
    let due_at = fields.time("task.due_time", task.due_time.as_ref());
    Some(TaskCommand::Create(NewTask { root: root?, kind: kind?, title, assignee, due_at }))
}

/// Reads what to change of a task.
pub fn update(fields: &mut Fields, task: Option<&common::Task>, mask: Option<&FieldMask>) -> Option<TaskCommand> {
    let Some(task) = task else {
        fields.refuse("task", &wording::REQUIRED, &[]);
        return None;
    };
    let writable = [
        ("title", !task.title.is_empty()),
        ("assignee", !task.assignee.is_empty()),
        ("due_time", task.due_time.is_some()),
    ];
    let output_only = ["name", "parent", "kind", "state", "closed_by", "create_time", "update_time", "etag"];
    let chosen = fields.mask(mask, &writable, &output_only);
    let title = chosen.contains("title").then(|| fields.line("task.title", &task.title, 1..=fields::TITLE));
    let assignee = chosen.contains("assignee").then(|| fields.changed_principal("task.assignee", &task.assignee));
    let due_at = chosen.contains("due_time").then(|| fields.time("task.due_time", task.due_time.as_ref()));
    let change = TaskChange::Edit { title, assignee, due_at };
    Some(change_of(fields, "task.name", &task.name, &task.etag, change))
}

/// A change of the task with this name.
pub fn change_of(fields: &mut Fields, field: &str, name: &str, etag: &str, change: TaskChange) -> TaskCommand {
    TaskCommand::Change { id: fields.name(field, name, TaskId::parse, TaskId), etag: etag.to_owned(), change }
}

/// Reads one task.
pub async fn get(db: &Db, tenant: TenantId, id: TaskId) -> Result<common::Task, Status> {
    failure::found(db.get::<Task>(&(tenant, id)).await, id).map(|task| crate::convert::task(&task))
}

/// Which tasks to list.
#[derive(Debug)]
pub struct Filter {
    /// Of this record.
    pub root: Option<Record>,
    /// In this state.
    pub state: Option<TaskState>,
    /// Of this assignee; empty: of all.
    pub assignee: String,
}

/// Which tasks to watch.
#[derive(Debug)]
pub struct WatchFilter {
    /// Of this record.
    pub root: Option<Record>,
    /// Of this assignee; empty: of all.
    pub assignee: String,
    /// In one of these states; none: in any.
    pub states: Vec<TaskState>,
}

impl WatchFilter {
    /// Whether a task passes.
    pub fn passes(&self, task: &Task) -> bool {
        self.root.is_none_or(|root| task.root == root)
            && (self.assignee.is_empty() || task.assignee == self.assignee)
            && (self.states.is_empty() || self.states.contains(&task.state))
    }
}

/// Lists tasks, oldest first.
pub async fn list(
    db: &Db,
    tenant: TenantId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<common::Task>, String), Status> {
    let select = Select::<Task>::of(tenant)
        .equal("root", filter.root.as_ref())
        .text("assignee", &filter.assignee)
        .equal("state", filter.state.as_ref());
    let rows = select.page(db, "task_id", Order::Oldest, page.after, page.size).await;
    let rows = rows.map_err(|e| failure::database(&e))?;
    Ok(page.reply(&rows, |task| task.task_id.0, crate::convert::task))
}

/// Implements a service's TaskService: `pb` is its package, `front` its [`crate::front::Front`], `kinds` its kinds of task.
#[macro_export]
macro_rules! task_service {
    ($pb:ident, $domain:ty, $kinds:expr) => {
        /// The methods about tasks.
        #[derive(Debug)]
        pub(crate) struct Tasks(pub(crate) $crate::front::Front<$domain>);

        #[tonic::async_trait]
        impl $pb::task_service_server::TaskService for Tasks {
            async fn create_task(
                &self,
                request: tonic::Request<$pb::CreateTaskRequest>,
            ) -> Result<tonic::Response<$pb::CreateTaskResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, deadline, mut request } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta!(&mut fields, request);
                let command = $crate::tasks::create(&mut fields, &caller.principal, request.task.as_ref(), $kinds);
                let task = $crate::tasks::run(&self.0, caller, deadline, "CreateTask", fields, meta, command).await?;
                Ok(tonic::Response::new($pb::CreateTaskResponse { task: Some(task) }))
            }

            async fn get_task(
                &self,
                request: tonic::Request<$pb::GetTaskRequest>,
            ) -> Result<tonic::Response<$pb::GetTaskResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let id = fields.name(
                    "name",
                    &request.name,
                    crm_closeout::ids::TaskId::parse,
                    crm_closeout::ids::TaskId,
                );
                fields.done()?;
                let task = $crate::tasks::get(&self.0.db, caller.tenant, id).await?;
                Ok(tonic::Response::new($pb::GetTaskResponse { task: Some(task) }))
            }

            async fn list_tasks(
                &self,
                request: tonic::Request<$pb::ListTasksRequest>,
            ) -> Result<tonic::Response<$pb::ListTasksResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let page = $crate::page!(&mut fields, request);
                let root = (!request.parent.is_empty()).then(|| fields.record("parent", &request.parent)).flatten();
                let state = fields.optional_code("state", request.state);
                let assignee = fields.principal("assignee", &request.assignee, "");
                fields.done()?;
                let filter = $crate::tasks::Filter { root, state, assignee };
                let (tasks, next_page_token) =
                    $crate::tasks::list(&self.0.db, caller.tenant, &filter, &page).await?;
                Ok(tonic::Response::new($pb::ListTasksResponse { tasks, next_page_token }))
            }

            type WatchTasksStream = $crate::watch::Messages<$pb::WatchTasksResponse>;

            async fn watch_tasks(
                &self,
                request: tonic::Request<$pb::WatchTasksRequest>,
            ) -> Result<tonic::Response<Self::WatchTasksStream>, tonic::Status> {
                let (caller, terms, mut request) = $crate::watch::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let method = [$pb::task_service_server::SERVICE_NAME, "WatchTasks"];
                let watcher = $crate::watcher!(&mut fields, (caller, terms), request, method);
                let filter = $crate::tasks::WatchFilter {
                    root: (!request.parent.is_empty()).then(|| fields.record("parent", &request.parent)).flatten(),
                    assignee: fields.principal("assignee", &request.assignee, ""),
                    states: fields.codes("states", &request.states),
                };
                fields.done()?;
                let sends = $crate::watch::Sends {
                    keep: Box::new(move |task| filter.passes(task)),
                    message: |task: Option<&_>, resume_token| $pb::WatchTasksResponse {
                        task: task.map($crate::convert::task),
                        resume_token,
                    },
                };
                watcher.answer(&self.0, sends).await
            }

            async fn update_task(
                &self,
                request: tonic::Request<$pb::UpdateTaskRequest>,
            ) -> Result<tonic::Response<$pb::UpdateTaskResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, deadline, mut request } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta!(&mut fields, request);
                let command =
                    $crate::tasks::update(&mut fields, request.task.as_ref(), request.update_mask.as_ref());
                let task = $crate::tasks::run(&self.0, caller, deadline, "UpdateTask", fields, meta, command).await?;
                Ok(tonic::Response::new($pb::UpdateTaskResponse { task: Some(task) }))
            }

            $crate::task_service!(@change $pb, start_task, StartTaskRequest, StartTaskResponse, "StartTask", Start);
            $crate::task_service!(@change $pb, complete_task, CompleteTaskRequest, CompleteTaskResponse, "CompleteTask", Complete);
            $crate::task_service!(@change $pb, cancel_task, CancelTaskRequest, CancelTaskResponse, "CancelTask", Cancel);
        }
    };
    (@change $pb:ident, $method:ident, $request:ident, $response:ident, $name:literal, $change:ident) => {
        // What `tonic::async_trait` makes of an `async fn`, written out: an attribute does not see into a macro.
        fn $method<'life0, 'async_trait>(
            &'life0 self,
            request: tonic::Request<$pb::$request>,
        ) -> std::pin::Pin<
            Box<
                dyn std::future::Future<Output = Result<tonic::Response<$pb::$response>, tonic::Status>>
                    + Send
                    + 'async_trait,
            >,
        >
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async move {
                let $crate::meta::Opened { caller, deadline, mut request } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta!(&mut fields, request);
                let change = crm_closeout::task::TaskChange::$change;
                let command = $crate::tasks::change_of(&mut fields, "name", &request.name, &request.etag, change);
                let task = $crate::tasks::run(&self.0, caller, deadline, $name, fields, meta, Some(command)).await?;
                Ok(tonic::Response::new($pb::$response { task: Some(task) }))
            })
        }
    };
}

/// Carries out a command about a task.
pub async fn run<D>(
    front: &crate::front::Front<D>,
    caller: crm_runtime::auth::Caller,
    deadline: Option<tokio::time::Instant>,
    method: &'static str,
    fields: Fields,
    meta: crate::meta::Meta,
    command: Option<TaskCommand>,
) -> Result<common::Task, Status>
where
    D: crm_outbox::batch::Domain,
    D::Command: From<TaskCommand>,
{
    fields.done()?;
    let command = command.ok_or_else(|| failure::refusal(Refusal::invalid(Vec::new())))?;
    let outcome = front.call::<common::Task>(caller, deadline, method, meta, command.into()).await?;
    Ok(outcome.resource)
}
