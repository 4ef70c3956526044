//! `closeout watch`: shows close-outs or tasks as they change, on one service or both, until Ctrl-C.
//!
//! Where a stream breaks off it is opened again after what was shown last, so nothing is missed while a service is away for a moment.

use super::closing::reason_name;
use super::up::asked_to_stop;
use crate::api::Api;
use crate::failure::{self, Ending, Usage};
use crate::format::{label, last_part, money_or_none, or_dash, time};
use crate::screen::{Paint, Screen};
use crate::{json, view};
use clap::{Args, ValueEnum};
use crm_proto::common::{CloseOut, CloseOutState, Propagation, Side, Task, TaskState};
use crm_proto::{opportunity as sales, order as trade};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Instant;
use tonic::Status;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
Each line is a record as it was after a change; what changed several times at once may be shown once. With --json each line
is one object with a `resume_token`; a line without a record only has a newer token. --side and --resume-token go on after
that line, within seven days, with the same filters.

Examples:
  closeout watch                                       close-outs of both services, from now on
  closeout watch close-outs --side sales --state pending-approval
  closeout watch tasks --owner wang.lei --state open
  closeout watch --close-out closeOuts/ID --side sales --limit 1
  closeout watch --json --side orders --resume-token TOKEN";

/// Flags of `watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// What to watch.
    #[arg(default_value = "close-outs")]
    what: What,
    /// Only on this service [default: both].
    #[arg(long)]
    side: Option<Where>,
    /// Only of this customer (close-outs).
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only of this opportunity, order or customer (of a customer: tasks).
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
    /// Only with this reason (close-outs).
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only by this principal (close-outs).
    #[arg(long, value_name = "PRINCIPAL")]
    actor: Option<String>,
    /// Only of records that this principal owned, or of this assignee (tasks).
    #[arg(long, value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// Only in this state, or one of several: effective, reversed, pending-approval, rejected, expired, withdrawn / open,
    /// in-progress, done, cancelled (tasks).
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only this close-out.
    #[arg(long, value_name = "NAME")]
    close_out: Option<String>,
    /// Only those of this close-out of a whole customer.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Go on after the line that has this token.
    #[arg(long, value_name = "TOKEN", requires = "side")]
    resume_token: Option<String>,
    /// End after so many changes; 0: go on.
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Close-outs.
    CloseOuts,
    /// Tasks.
    Tasks,
}

/// On which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The opportunity service.
    Sales,
    /// The order service.
    Orders,
}

/// A record as it was after a change.
#[derive(Debug)]
enum Record {
    CloseOut(Box<CloseOut>),
    Task(Box<Task>),
}

/// A message of a stream.
#[derive(Debug)]
struct Change {
    side: Side,
    record: Option<Record>,
    token: String,
}

/// What is asked of both services.
#[derive(Debug)]
enum Asked {
    CloseOuts(sales::WatchCloseOutsRequest),
    Tasks(sales::WatchTasksRequest),
}

impl WatchArgs {
    fn asked(&self) -> Result<Asked, Usage> {
        let text = |option: &Option<String>| option.clone().unwrap_or_default();
        let of_close_outs = [&self.customer, &self.reason, &self.actor, &self.close_out, &self.group];
        if self.what == What::Tasks && of_close_outs.iter().any(|given| given.is_some()) {
            return Err(Usage("--customer, --reason, --actor, --close-out and --group are of close-outs".to_owned()));
        }
        Ok(match self.what {
            What::CloseOuts => Asked::CloseOuts(sales::WatchCloseOutsRequest {
                subject: text(&self.parent),
                customer: text(&self.customer),
                reason: self.reason.as_deref().map(reason_name).unwrap_or_default(),
                actor: text(&self.actor),
                owner: text(&self.owner),
                states: states(&self.state, "CLOSE_OUT_STATE_", CloseOutState::from_str_name)?,
                close_out: text(&self.close_out),
                group: text(&self.group),
                ..Default::default()
            }),
            What::Tasks => Asked::Tasks(sales::WatchTasksRequest {
                parent: text(&self.parent),
                assignee: text(&self.owner),
                states: states(&self.state, "TASK_STATE_", TaskState::from_str_name)?,
                ..Default::default()
            }),
        })
    }

    /// Close-outs of a subject are with the service that has it.
    fn sides(&self) -> Vec<Side> {
        let of_parent = |collection: &str| self.parent.as_ref().is_some_and(|parent| parent.starts_with(collection));
        match self.side {
            Some(Where::Sales) => vec![Side::Opportunity],
            Some(Where::Orders) => vec![Side::Order],
            None if self.what == What::CloseOuts && of_parent("opportunities/") => vec![Side::Opportunity],
            None if self.what == What::CloseOuts && of_parent("orders/") => vec![Side::Order],
            None => vec![Side::Opportunity, Side::Order],
        }
    }
}

/// The numbers of enum values by the words that a person uses for them.
fn states<E: Into<i32>>(words: &[String], prefix: &str, by_name: fn(&str) -> Option<E>) -> Result<Vec<i32>, Usage> {
    let name = |word: &str| format!("{prefix}{}", word.to_uppercase().replace('-', "_"));
    let unknown = |word: &str| Usage(format!("--state {word}: see closeout watch --help"));
    words.iter().map(|word| by_name(&name(word)).map(Into::into).ok_or_else(|| unknown(word))).collect()
}

/// Shows what changes.
pub(super) async fn run(args: &WatchArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let asked = args.asked()?;
    let from = args.resume_token.clone().unwrap_or_default();
    let streams = args.sides().into_iter().map(|side| follow(api, &asked, side, from.clone()).boxed());
    let mut changes = pin!(stream::select_all(streams));
    let mut stop = pin!(asked_to_stop());
    let mut last = Vec::new();
    let mut shown = 0;
    screen.note(if from.is_empty() { "From now on; Ctrl-C ends it." } else { "From there on; Ctrl-C ends it." })?;
    let mut failed = None;
    loop {
        let change = tokio::select! {
            change = changes.try_next() => change.unwrap_or_else(|status| {
                failed = Some(status);
                None
            }),
            stopped = &mut stop => {
                stopped?;
                None
            }
        };
        let Some(change) = change else { break };
        show(&change, screen)?;
        shown += usize::from(change.record.is_some());
        last.retain(|(side, _)| *side != change.side);
        last.push((change.side, change.token));
        if args.limit > 0 && shown >= args.limit {
            break;
        }
    }
    for (side, token) in &last {
        screen.note(&format!("To go on here: --side {} --resume-token {token}", view::side_name(*side)))?;
    }
    failed.map_or(Ok(Ending::Done), |status| Err(status.into()))
}

/// The changes on one service, for as long as opening the stream again helps.
fn follow<'a>(
    api: &'a Api,
    asked: &'a Asked,
    side: Side,
    from: String,
) -> impl Stream<Item = Result<Change, Status>> + Send + 'a {
    let open = None::<BoxStream<'static, Result<Change, Status>>>;
    stream::try_unfold((open, from), move |(mut open, from)| async move {
        let (mut attempt, mut began) = (0, Instant::now());
        loop {
            let next = match &mut open {
                Some(stream) => stream.try_next().await,
                None => match begin(api, asked, side, from.clone()).await {
                    Ok(stream) => {
                        open = Some(stream);
                        continue;
                    }
                    Err(status) => Err(status),
                },
            };
            let status = match next {
                Ok(Some(change)) => {
                    let token = change.token.clone();
                    return Ok(Some((change, (open, token))));
                }
                Ok(None) => Status::unavailable("the stream ended"),
                Err(status) => status,
            };
            if open.take().is_some() {
                (attempt, began) = (0, Instant::now());
            }
            attempt += 1;
            let slow = failure::reason(&status).as_deref() == Some("WATCH_TOO_SLOW");
            match api.patience().pause(&status, attempt, began) {
                Some(pause) => tokio::time::sleep(pause).await,
                None if slow => {}
                None => return Err(status),
            }
        }
    })
}

type Opened = Result<BoxStream<'static, Result<Change, Status>>, Status>;

/// Opens a stream after this token.
async fn begin(api: &Api, asked: &Asked, side: Side, resume_token: String) -> Opened {
    let record = |close_out: Option<CloseOut>| close_out.map(|one| Record::CloseOut(Box::new(one)));
    let task = |task: Option<Task>| task.map(|one| Record::Task(Box::new(one)));
    Ok(match (asked, side) {
        (Asked::CloseOuts(asked), Side::Order) => {
            let request = trade_close_outs(asked, resume_token);
            let stream = api.watch_trade_close_outs(request).await?;
            stream.map_ok(move |m| Change { side, record: record(m.close_out), token: m.resume_token }).boxed()
        }
        (Asked::CloseOuts(asked), Side::Opportunity | Side::Unspecified) => {
            let request = sales::WatchCloseOutsRequest { resume_token, ..asked.clone() };
            let stream = api.watch_sales_close_outs(request).await?;
            stream.map_ok(move |m| Change { side, record: record(m.close_out), token: m.resume_token }).boxed()
        }
        (Asked::Tasks(asked), Side::Order) => {
            let sales::WatchTasksRequest { parent, assignee, states, .. } = asked.clone();
            let request = trade::WatchTasksRequest { resume_token, parent, assignee, states };
            let stream = api.watch_order_tasks(request).await?;
            stream.map_ok(move |m| Change { side, record: task(m.task), token: m.resume_token }).boxed()
        }
        (Asked::Tasks(asked), Side::Opportunity | Side::Unspecified) => {
            let request = sales::WatchTasksRequest { resume_token, ..asked.clone() };
            let stream = api.watch_selling_tasks(request).await?;
            stream.map_ok(move |m| Change { side, record: task(m.task), token: m.resume_token }).boxed()
        }
    })
}

fn trade_close_outs(asked: &sales::WatchCloseOutsRequest, resume_token: String) -> trade::WatchCloseOutsRequest {
    let asked = asked.clone();
    trade::WatchCloseOutsRequest {
        resume_token,
        subject: asked.subject,
        customer: asked.customer,
        reason: asked.reason,
        actor: asked.actor,
        cause: asked.cause,
        owner: asked.owner,
        states: asked.states,
        close_out: asked.close_out,
        group: asked.group,
    }
}

fn show(change: &Change, screen: &Screen) -> anyhow::Result<()> {
    if screen.json() {
        return screen.emit_line(&as_json(change)?);
    }
    let Some(record) = &change.record else { return Ok(()) };
    let (name, of, state, more) = match record {
        Record::CloseOut(one) => {
            let more = [
                time(one.close_time.as_ref()),
                last_part(&one.reason).to_owned(),
                money_or_none(one.snapshot.as_ref().and_then(|snapshot| snapshot.amount.as_ref())),
                format!("by {}", one.actor),
            ];
            (&one.name, &one.subject, close_out_state(one), more.join(", "))
        }
        Record::Task(one) => {
            let more = format!("{}, {}, due {}", one.title, or_dash(&one.assignee), time(one.due_time.as_ref()));
            (&one.name, &one.parent, label(one.state().as_str_name(), "TASK_STATE_"), more)
        }
    };
    let side = screen.paint(Paint::Dim, view::side_name(change.side));
    screen.line(&format!("{side}  {name}  {}", screen.paint(Paint::Strong, &state)))?;
    screen.line(&screen.paint(Paint::Dim, &format!("    of {of}: {more}")))
}

/// How it stands, and how far the news of that has come.
fn close_out_state(one: &CloseOut) -> String {
    let reversal = one.reversal.as_ref().map(crm_proto::common::Reversal::propagation);
    let propagation = reversal.unwrap_or(one.propagation());
    let state = label(one.state().as_str_name(), "CLOSE_OUT_STATE_");
    match propagation {
        Propagation::Unspecified | Propagation::NotNeeded => state,
        Propagation::Pending | Propagation::Settled | Propagation::Parked => {
            format!("{state}, {}", label(propagation.as_str_name(), "PROPAGATION_"))
        }
    }
}

fn as_json(change: &Change) -> anyhow::Result<Value> {
    let mut line = json!({ "side": view::side_name(change.side), "resume_token": change.token });
    match &change.record {
        Some(Record::CloseOut(one)) => line["close_out"] = json::message("crm.common.v1.CloseOut", &**one)?,
        Some(Record::Task(one)) => line["task"] = json::message("crm.common.v1.Task", &**one)?,
        None => {}
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(flags: &[&str]) -> WatchArgs {
        let cli = Cli::try_parse_from([&["closeout", "watch"], flags].concat()).unwrap();
        let Command::Watch(args) = cli.command else { panic!("not a watch") };
        args
    }

    #[test]
    fn a_subject_says_where_its_close_outs_are() {
        let sides = |flags: &[&str]| args(flags).sides();
        assert_eq!(sides(&[]), [Side::Opportunity, Side::Order]);
        assert_eq!(sides(&["--parent", "orders/1"]), [Side::Order]);
        assert_eq!(sides(&["tasks", "--parent", "orders/1"]), [Side::Opportunity, Side::Order]);
        assert_eq!(sides(&["--side", "sales"]), [Side::Opportunity]);
    }

    #[test]
    fn states_are_named_in_words_and_filters_are_of_what_is_watched() {
        let Ok(Asked::CloseOuts(asked)) = args(&["--state", "pending-approval,reversed"]).asked() else { panic!() };
        assert_eq!(asked.states, [CloseOutState::PendingApproval as i32, CloseOutState::Reversed as i32]);
        assert!(args(&["--state", "open"]).asked().is_err());
        assert!(args(&["tasks", "--state", "open"]).asked().is_ok());
        assert!(args(&["tasks", "--reason", "OTHER"]).asked().is_err());
        assert!(Cli::try_parse_from(["closeout", "watch", "--resume-token", "x"]).is_err(), "of which side?");
    }
}
