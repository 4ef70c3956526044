//! Asks one pair of services for what a step is about, and tells what was answered: what is compared with the model, and all of it in
//! words, to be compared with the other pair.

mod both;
mod sales;
mod trade;

use crate::{
    commands::{Call, Change, Who},
    model::{Model, Record, Side},
    names::{Names, Ordinals},
    view::Shown,
};
use crm_closeout::ids::TenantId;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{common, common::Wait, opportunity as of_sales, order as of_trade};
use crm_tests::{client::Client, pair::Pair};
use prost_types::{Duration as Span, FieldMask, Timestamp};
use std::{
    fmt::Debug,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// So long a call waits for the other service, and a step until nothing is on its way: much longer than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);
/// A message can cause one on the other side, at most so often in a row.
const ROUNDS: usize = 3;
/// So often a call is made again whose connection breaks.
const TRIES: usize = 3;

/// What is the same in every request of a step.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) id: Uuid,
    pub(crate) etag: String,
    pub(crate) dry: bool,
    /// What stands where a person writes something.
    pub(crate) words: &'static str,
    /// A day to come.
    pub(crate) later: Timestamp,
}

impl Manner {
    fn id(&self) -> String {
        self.id.to_string()
    }
}

const PEER: i32 = Wait::Peer as i32;
const LONGEST: Option<Span> = Some(Span { seconds: PATIENCE.as_secs() as i64, nanos: 0 });

/// The client itself says so: nobody has answered.
fn is_cut_off(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// A call that somebody makes.
struct Asking<'a> {
    names: &'a Names,
    model: &'a Model,
    client: &'a Client,
    call: &'a Call,
    manner: &'a Manner,
}

fn only(field: &str) -> Option<FieldMask> {
    Some(FieldMask { paths: vec![field.to_owned()] })
}

/// Resource name of a reason; without a code none.
fn reason(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!("closeOutReasons/{code}") }
}

/// What a service has done.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) name: String,
    pub(crate) shown: Shown,
    /// The whole reply.
    pub(crate) text: String,
}

/// Why a service has not done it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declined {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) fields: Vec<String>,
}

impl From<Status> for Declined {
    fn from(status: Status) -> Self {
        let reason = status.get_details_error_info().map_or_else(|| status.message().to_owned(), |info| info.reason);
        let wrong = status.get_details_bad_request().map(|wrong| wrong.field_violations).unwrap_or_default();
        let fields = wrong.into_iter().map(|wrong| format!("{} {}", wrong.field, wrong.reason)).collect();
        Self { code: status.code(), reason, fields }
    }
}

/// Something with a name of its own.
trait Named {
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($record:ty),+) => {
        $(impl Named for $record {
            fn name(&self) -> &str {
                &self.name
            }
        })+
    };
}

named!(of_sales::Customer, of_sales::Opportunity, of_trade::Order, common::Task, common::CloseOut);

impl Done {
    /// What a reply says that shows a record.
    fn of<T: Named>(reply: &impl Debug, record: Option<&T>) -> Result<Self, Status>
    where
        for<'a> Shown: From<&'a T>,
    {
        let record = record.ok_or_else(|| Status::internal("an answer without a record"))?;
        Ok(Self { name: record.name().to_owned(), shown: record.into(), text: format!("{reply:?}") })
    }
}

/// A pair of services, with the people of one lane and what they have made there.
pub(crate) struct Ground<'a> {
    pub(crate) label: &'static str,
    tenant: TenantId,
    clients: Vec<Client>,
    databases: &'a (Db, Db),
    /// Calls that were made again as their connection broke.
    pub(crate) cut_off: AtomicUsize,
    pub(crate) names: Names,
    pub(crate) ordinals: Ordinals,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(label: &'static str, pair: &Pair, databases: &'a (Db, Db), tenant: TenantId) -> Self {
        let client = |who: &Who| {
            let (sales, trade) = (pair.opportunity.url(), pair.order.url());
            let (role, team) = (who.role(), who.team());
            let teams: &[&str] = if team.is_empty() { &[] } else { &[team] };
            Client::with(&sales, &trade, tenant, (who.name(), &[role], teams), pair.history.clone())
        };
        let clients = Who::ALL.iter().map(client).collect();
        let (cut_off, names, ordinals) = (AtomicUsize::new(0), Names::default(), Ordinals::default());
        Self { label, tenant, clients, databases, cut_off, names, ordinals }
    }

    /// Somebody who may do and see everything.
    pub(crate) fn reader(&self) -> &Client {
        &self.clients[0]
    }

    /// The same people with nothing made yet.
    pub(crate) fn begin(&mut self) {
        (self.names, self.ordinals) = (Names::default(), Ordinals::default());
    }

    /// Makes a call as somebody; where the connection breaks, so that nobody knows what has become of it, the same once more.
    pub(crate) async fn ask(&self, model: &Model, who: Who, call: &Call, manner: &Manner) -> Result<Done, Declined> {
        for _ in 0..TRIES {
            match self.once(model, who, call, manner).await {
                Err(status) if is_cut_off(&status) => {
                    println!("{}: {call:?} was cut off: {status:?}", self.label);
                    self.cut_off.fetch_add(1, Ordering::Relaxed);
                }
                answer => return answer.map_err(Declined::from),
            }
        }
        self.once(model, who, call, manner).await.map_err(Declined::from)
    }

    async fn once(&self, model: &Model, who: Who, call: &Call, manner: &Manner) -> Result<Done, Status> {
        let asking = Asking { names: &self.names, client: &self.clients[who as usize], model, call, manner };
        match *call {
            Call::CreateOrder { .. }
            | Call::OwnOrder { .. }
            | Call::Confirm { .. }
            | Call::Fulfil { .. }
            | Call::Pay { .. }
            | Call::CancelLine { .. }
            | Call::CloseOrder { .. }
            | Call::ReopenOrder { .. }
            | Call::Missing { record: Record::Order(_) } => Box::pin(asking.of_trade()).await,
            Call::CreateTask { side, parent, kind } => Box::pin(asking.create_task(side, parent, kind)).await,
            Call::ChangeTask { task, change } => {
                let name = self.names.of(Record::Task(task)).to_owned();
                Box::pin(asking.change_task(model.tasks[task].side, name, change)).await
            }
            Call::Missing { record: Record::Task(_) } => {
                let name = format!("tasks/{}", manner.id);
                Box::pin(asking.change_task(Side::Sales, name, Change::Start)).await
            }
            Call::Rule { close_out, verdict } => Box::pin(asking.rule(close_out, verdict)).await,
            Call::Amend { close_out, reason, detail } => Box::pin(asking.amend(close_out, reason, detail)).await,
            Call::CreateCustomer { .. }
            | Call::UpdateCustomer { .. }
            | Call::CreateOpportunity { .. }
            | Call::OwnOpportunity { .. }
            | Call::Move { .. }
            | Call::Win { .. }
            | Call::Snooze { .. }
            | Call::Resume { .. }
            | Call::CloseOpportunity { .. }
            | Call::ReopenOpportunity { .. }
            | Call::Missing { .. } => Box::pin(asking.of_sales()).await,
        }
    }

    /// Waits until nothing is on its way that has to do with what this lane has made.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        let (until, mut empty) = (Instant::now() + PATIENCE, 0);
        while empty <= ROUNDS {
            let mut waiting = false;
            for db in [&self.databases.0, &self.databases.1] {
                waiting |= self.waits(db).await?;
            }
            empty = if waiting { 0 } else { empty + 1 };
            if waiting && Instant::now() > until {
                return Err(format!("{}: messages are on their way for {PATIENCE:?}", self.label));
            }
            if waiting {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn waits(&self, db: &Db) -> Result<bool, String> {
        let statement = Sql::plain("SELECT record_id FROM outbox WHERE tenant_id = $1");
        let rows = db.read(&statement, Args::none().with(&self.tenant)).await.map_err(|error| error.to_string())?;
        let ids = rows.iter().map(|row| row.get::<Uuid>(0).map_err(|error| error.to_string()));
        for id in ids {
            if self.names.made(id?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the name of what a call is about, where a service has made that by itself.
    pub(crate) async fn look_up(&mut self, model: &Model, call: &Call) -> Result<(), String> {
        match *call {
            Call::ChangeTask { task, .. } if self.names.tasks[task].is_empty() => {
                let (side, parent) = (model.tasks[task].side, model.tasks[task].parent);
                let found = self.tasks_of(side, parent).await?;
                let places = model.tasks_of(side, parent);
                if found.len() != places.len() {
                    return Err(format!("{}: {} tasks of {parent:?} at {side:?}", self.label, found.len()));
                }
                for (place, task) in places.into_iter().zip(found) {
                    self.names.tasks[place] = task.name;
                }
                Ok(())
            }
            Call::Rule { close_out, .. } | Call::Amend { close_out, .. }
                if self.names.close_outs[close_out].is_empty() =>
            {
                let subject = model.close_outs[close_out].subject;
                for found in self.close_outs_of(subject).await? {
                    let place = model.episode(subject, found.episode);
                    let place = place.ok_or_else(|| format!("{}: unexpected {found:?}", self.label))?;
                    self.names.close_outs[place] = found.name;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The tasks of a record on one side, oldest first.
    pub(crate) async fn tasks_of(&self, side: Side, parent: Record) -> Result<Vec<common::Task>, String> {
        let (client, parent) = (self.reader(), self.names.of(parent).to_owned());
        let tasks = match side {
            Side::Sales => {
                let request = of_sales::ListTasksRequest { parent, page_size: 1000, ..Default::default() };
                client.selling_tasks.clone().list_tasks(request).await.map(|reply| reply.into_inner().tasks)
            }
            Side::Trade => {
                let request = of_trade::ListTasksRequest { parent, page_size: 1000, ..Default::default() };
                client.order_tasks.clone().list_tasks(request).await.map(|reply| reply.into_inner().tasks)
            }
        };
        tasks.map_err(|status| status.to_string())
    }

    async fn close_outs_of(&self, subject: Record) -> Result<Vec<common::CloseOut>, String> {
        let (client, name) = (self.reader(), self.names.of(subject).to_owned());
        let found = if let Record::Order(_) = subject {
            let request = of_trade::ListCloseOutsRequest { subject: name, page_size: 1000, ..Default::default() };
            client.trade_close_outs.clone().list_close_outs(request).await.map(|reply| reply.into_inner().close_outs)
        } else {
            let request = of_sales::ListCloseOutsRequest { subject: name, page_size: 1000, ..Default::default() };
            client.sales_close_outs.clone().list_close_outs(request).await.map(|reply| reply.into_inner().close_outs)
        };
        found.map_err(|status| status.to_string())
    }
}
