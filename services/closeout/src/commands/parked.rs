//! `closeout parked` and `closeout resend`: messages between the services that do not arrive, and what an operator does about
//! them.

use super::{Kind, kind_of};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{label, or_dash, time};
use crate::screen::{Paint, Screen};
use crate::{json, request_id};
use clap::{Args, Subcommand};
use crm_proto::common::{ParkedMessage, Propagation};
use crm_proto::{opportunity as sales, order as trade};
use serde_json::json;
use tonic::Status;

const MESSAGE: &str = "crm.common.v1.ParkedMessage";
const PAGE: i32 = 1_000;

/// Flags of `parked`.
#[derive(Debug, Args)]
pub(crate) struct ParkedArgs {
    /// What to do about them.
    #[command(subcommand)]
    action: ParkedAction,
}

/// What to do about parked messages.
#[derive(Debug, Subcommand)]
enum ParkedAction {
    /// Lists the parked messages of both services, oldest first.
    List,
    /// Has one sent again, once its cause is mended. Those behind it follow.
    Retry {
        /// `RECORD/messages/NUMBER`, as `parked list` shows it.
        name: String,
    },
    /// Gives one up: the other service counts it and does nothing. Those behind it follow.
    Skip {
        /// `RECORD/messages/NUMBER`, as `parked list` shows it.
        name: String,
        /// Why, 10 to 2,000 characters; kept in the audit trail.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
}

/// Flags of `resend`.
#[derive(Debug, Args)]
pub(crate) struct ResendArgs {
    /// `customers/ID`, `opportunities/ID`, `orders/ID`, or the `lane` of a reason, `closeOutReasons/ID`, or of the settings,
    /// `settings/ID`.
    record: String,
    /// Why, 10 to 2,000 characters; kept in the audit trail.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// The number that the other service has, where it is ahead because this one was restored from a backup; the fault of
    /// the parked message names it.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    peer_number: i64,
}

/// Lists parked messages, or does something about one.
pub(super) async fn run(args: &ParkedArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        ParkedAction::List => list(api, screen).await,
        ParkedAction::Retry { name } => {
            let message = retry(api, name).await?;
            told(&message, "is sent again; list the parked ones in a moment to see whether it stays away", screen)
        }
        ParkedAction::Skip { name, because } => {
            let message = skip(api, name, because).await?;
            let (record, name) = (&message.record, &message.name);
            let next = format!("what it would have done on the other service stays undone: closeout resend {record}");
            screen.note(&format!("{name} is given up; {next}"))?;
            told(&message, "is given up", screen)
        }
    }
}

/// Sends the whole state of a record to the other service.
pub(super) async fn resend(args: &ResendArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (record, number, propagation) = if of_orders(&args.record)? {
        let request = trade::ResendLaneRequest {
            record: args.record.clone(),
            justification: args.because.clone(),
            peer_number: args.peer_number,
            request_id: request_id::new(),
            ..Default::default()
        };
        let reply = api.resend_trade_lane(request).await?;
        (reply.record.clone(), reply.number, reply.propagation())
    } else {
        let request = sales::ResendLaneRequest {
            record: args.record.clone(),
            justification: args.because.clone(),
            peer_number: args.peer_number,
            request_id: request_id::new(),
            ..Default::default()
        };
        let reply = api.resend_sales_lane(request).await?;
        (reply.record.clone(), reply.number, reply.propagation())
    };
    if screen.json() {
        let propagation = propagation.as_str_name();
        screen.emit(&json!({ "record": record, "number": number, "propagation": propagation }))?;
    }
    let word = label(propagation.as_str_name(), "PROPAGATION_");
    let meaning = match propagation {
        Propagation::Settled => "the other service has it",
        Propagation::Pending => "it arrives without your doing",
        Propagation::Parked => "it can not be delivered: closeout parked list",
        Propagation::NotNeeded | Propagation::Unspecified => "nothing was to be sent",
    };
    screen.line(&format!("{record} was sent as a whole, as message {number}: {word}, {meaning}"))?;
    Ok(Ending::Done)
}

async fn list(api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = sales::ListParkedMessagesRequest { page_size: PAGE, page_token };
        let reply = api.list_sales_parked(request).await?;
        all.extend(reply.parked_messages);
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = trade::ListParkedMessagesRequest { page_size: PAGE, page_token };
        let reply = api.list_trade_parked(request).await?;
        all.extend(reply.parked_messages);
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if screen.json() {
        screen.emit(&json!({ "parked": json::list(MESSAGE, &all)? }))?;
    }
    if all.is_empty() {
        screen.line("No message is parked.")?;
        return Ok(Ending::Done);
    }
    let mut table = screen.new_table_keeping(&["message", "tells", "since", "tries", "fault"], &[0, 1, 2, 3]);
    for message in &all {
        table.add_row([
            screen.cell(Paint::Strong, &message.name),
            or_dash(&message.event).into(),
            time(message.create_time.as_ref()).into(),
            (message.attempts + 1).to_string().into(),
            message.fault.as_str().into(),
        ]);
    }
    screen.table(&table)?;
    screen.note("what next: mend the fault, then closeout parked retry MESSAGE; or closeout parked skip MESSAGE")?;
    Ok(Ending::Done)
}

async fn retry(api: &Api, name: &str) -> anyhow::Result<ParkedMessage> {
    let (name, request_id) = (name.to_owned(), request_id::new());
    let message: Result<_, Status> = if of_orders(&name)? {
        let request = trade::RetryParkedMessageRequest { name, request_id };
        api.retry_trade_parked(request).await.map(|reply| reply.parked_message)
    } else {
        let request = sales::RetryParkedMessageRequest { name, request_id };
        api.retry_sales_parked(request).await.map(|reply| reply.parked_message)
    };
    Ok(message?.unwrap_or_default())
}

async fn skip(api: &Api, name: &str, because: &str) -> anyhow::Result<ParkedMessage> {
    let (name, justification, request_id) = (name.to_owned(), because.to_owned(), request_id::new());
    let message: Result<_, Status> = if of_orders(&name)? {
        let request = trade::SkipParkedMessageRequest { name, justification, request_id };
        api.skip_trade_parked(request).await.map(|reply| reply.parked_message)
    } else {
        let request = sales::SkipParkedMessageRequest { name, justification, request_id };
        api.skip_sales_parked(request).await.map(|reply| reply.parked_message)
    };
    Ok(message?.unwrap_or_default())
}

fn told(message: &ParkedMessage, done: &str, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        screen.emit(&json!({ "message": json::message(MESSAGE, message)? }))?;
    }
    screen.line(&format!("{} {done}.", message.name))?;
    Ok(Ending::Done)
}

/// Whether a record, or the record of a message, is one that the order service sends.
fn of_orders(name: &str) -> Result<bool, Usage> {
    if ["closeOutReasons/", "settings/"].iter().any(|collection| name.starts_with(collection)) {
        return Ok(false);
    }
    match kind_of(name)? {
        Kind::Order => Ok(true),
        Kind::Opportunity | Kind::Customer => Ok(false),
        Kind::Task | Kind::CloseOut | Kind::Group => Err(Usage(format!(
            "`{name}`: only customers/ID, opportunities/ID, orders/ID, closeOutReasons/ID and settings/ID have messages to the \
             other service"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_belongs_to_the_service_of_its_record() {
        assert!(of_orders("orders/1/messages/3").unwrap());
        assert!(!of_orders("customers/1/messages/1").unwrap());
        assert!(!of_orders("closeOutReasons/1/messages/1").unwrap());
        assert!(!of_orders("settings/1").unwrap());
        assert!(of_orders("tasks/1").is_err());
    }
}
