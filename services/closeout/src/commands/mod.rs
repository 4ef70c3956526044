//! One module for each thing a person does by hand; `run` finds the one that the command line names.

pub(crate) mod amend;
pub(crate) mod approvals;
pub(crate) mod cancel_lines;
mod close_out;
mod closing;
pub(crate) mod competitors;
pub(crate) mod completion;
mod customers;
mod errors;
pub(crate) mod hold;
pub(crate) mod list;
pub(crate) mod parked;
pub(crate) mod pipelines;
pub(crate) mod preview;
pub(crate) mod rates;
pub(crate) mod reasons;
pub(crate) mod records;
pub(crate) mod remarks;
mod reopen;
pub(crate) mod report;
pub(crate) mod roles;
pub(crate) mod search;
pub(crate) mod settings;
mod show;
pub(crate) mod stale;
pub(crate) mod sweep;
pub(crate) mod tasks;
pub(crate) mod timeline;
mod up;
pub(crate) mod watch;
pub(crate) mod win_back;

use crate::api::Api;
use crate::args::{Cli, Command, Global, ImportArgs};
use crate::failure::{Ending, Usage};
use crate::identity::Identity;
use crate::retry::{BRIEF, PATIENT, Patience};
use crate::screen::Screen;
use crate::{data, demo, import};
use serde_json::json;
use tonic::{Code, Status};

/// Does what the command line says.
pub(crate) async fn run(cli: &Cli, screen: &Screen) -> anyhow::Result<Ending> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(args) => Box::pin(demo::run(args, global, screen)).await,
        Command::Up(args) => Box::pin(up::run(args, global, screen)).await,
        Command::Import(args) => Box::pin(import(args, global, screen)).await,
        Command::New(args) => Box::pin(records::new(args, &connect(global, BRIEF)?, screen)).await,
        Command::Set(args) => Box::pin(records::set(args, &connect(global, BRIEF)?, screen)).await,
        Command::Move(args) => Box::pin(records::to_stage(args, &connect(global, BRIEF)?, screen)).await,
        Command::Win(args) => Box::pin(records::win(args, &connect(global, BRIEF)?, screen)).await,
        Command::Confirm(args) => Box::pin(records::confirm(args, &connect(global, BRIEF)?, screen)).await,
        Command::Fulfil(args) => Box::pin(records::fulfil(args, &connect(global, BRIEF)?, screen)).await,
        Command::Pay(args) => Box::pin(records::pay(args, &connect(global, BRIEF)?, screen)).await,
        Command::CloseOut(args) => Box::pin(close_out::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Preview(args) => Box::pin(preview::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::CancelLines(args) => Box::pin(cancel_lines::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Reopen(args) => Box::pin(reopen::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Snooze(args) => Box::pin(hold::snooze(args, &connect(global, BRIEF)?, screen)).await,
        Command::Resume(args) => Box::pin(hold::resume(args, &connect(global, BRIEF)?, screen)).await,
        Command::Show(args) => Box::pin(show::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::List(args) => Box::pin(list::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Search(args) => Box::pin(search::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Parked(args) => Box::pin(parked::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Resend(args) => Box::pin(parked::resend(args, &connect(global, BRIEF)?, screen)).await,
        Command::Errors(args) => errors::run(args, screen),
        Command::Timeline(args) => Box::pin(timeline::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Tasks(args) => Box::pin(tasks::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Stale(args) => Box::pin(stale::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Sweep(args) => Box::pin(sweep::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Pipelines(args) => Box::pin(pipelines::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Amend(args) => Box::pin(amend::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Approvals(args) => Box::pin(approvals::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Rates(args) => Box::pin(rates::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Report(args) => Box::pin(report::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Roles(args) => Box::pin(roles::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Settings(args) => Box::pin(settings::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Competitors(args) => Box::pin(competitors::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::WinBack(args) => Box::pin(win_back::run(args, &connect(global, BRIEF)?, screen)).await,
        Command::Watch(args) => Box::pin(watch::run(args, &connect(global, PATIENT)?, screen)).await,
        Command::Completion(args) => completion::run(args),
        Command::Reasons(args) => Box::pin(reasons::run(args, &connect(global, BRIEF)?, screen)).await,
    }
}

fn connect(global: &Global, patience: Patience) -> anyhow::Result<Api> {
    Api::new(&global.opportunity_url, &global.order_url, Identity::new(global, None)?, patience)
}

async fn import(args: &ImportArgs, global: &Global, screen: &Screen) -> anyhow::Result<Ending> {
    let data = data::read(&args.data)?;
    let api = connect(global, BRIEF)?;
    api.ready().await?; // a service that does not run at all is told at once; one that is busy is waited for
    let api = api.with(PATIENT);
    let imported = import::run(&api, &data, args.in_flight, screen).await?;
    import::show(&data, &imported, screen)?;
    if screen.json() {
        screen.emit(&json!({ "import": import::json(&data, &imported) }))?;
    }
    let refused = imported.all_refused(&data).next().is_some();
    Ok(if refused { Ending::SomeRefused } else { Ending::Done })
}

/// What a read found; none where the service does not know the name.
fn found<T>(read: Result<Option<T>, Status>) -> Result<Option<T>, Status> {
    match read {
        Err(status) if status.code() == Code::NotFound => Ok(None),
        other => other,
    }
}

/// What a resource name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Customer,
    Opportunity,
    Order,
    Task,
    CloseOut,
    Group,
}

/// Tells from a resource name what it stands for.
fn kind_of(name: &str) -> Result<Kind, Usage> {
    match name.split_once('/') {
        Some(("customers", _)) => Ok(Kind::Customer),
        Some(("opportunities", _)) => Ok(Kind::Opportunity),
        Some(("orders", _)) => Ok(Kind::Order),
        Some(("tasks", _)) => Ok(Kind::Task),
        Some(("closeOuts", _)) => Ok(Kind::CloseOut),
        Some(("customerCloseOuts", _)) => Ok(Kind::Group),
        Some(_) | None => Err(Usage(format!(
            "`{name}` is no resource name: customers/ID, opportunities/ID, orders/ID, tasks/ID, closeOuts/ID or customerCloseOuts/ID"
        ))),
    }
}

/// A name of this kind.
fn only(kind: Kind, collection: &str, name: &str) -> Result<String, Usage> {
    if kind_of(name)? == kind { Ok(name.to_owned()) } else { Err(Usage(format!("`{name}`: only {collection}/ID"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_kind() {
        assert_eq!(only(Kind::Order, "orders", "orders/1").unwrap(), "orders/1");
        assert!(only(Kind::Order, "orders", "customers/1").unwrap_err().0.contains("only orders/ID"));
    }

    #[test]
    fn a_name_tells_what_it_stands_for() {
        assert_eq!(kind_of("orders/1").unwrap(), Kind::Order);
        assert_eq!(kind_of("closeOuts/1").unwrap(), Kind::CloseOut);
        assert!(kind_of("1C1I7A6R").is_err());
    }
}
