//! `closeout timeline`: what happened to a customer on both services, as one story.

use super::{Kind, kind_of};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::screen::Screen;
use crate::view::Events;
use clap::Args;
use crm_proto::opportunity::GetCustomerRequest;
use serde_json::json;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
What both services tell of the same close-out is one event, with the time at which it happened.

Examples:
  closeout timeline customers/ID
  closeout timeline customers/ID --limit 0 --json | jq '.events[] | select(.close_out == \"closeOuts/ID\")'";

/// Flags of `timeline`.
#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// `customers/ID`.
    customer: String,
    /// At most this many, the newest; 0: all.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Shows the newest events.
pub(super) async fn run(args: &TimelineArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if kind_of(&args.customer)? != Kind::Customer {
        return Err(Usage(format!("`{}`: only customers/ID have a timeline", args.customer)).into());
    }
    let request = GetCustomerRequest { name: args.customer.clone() };
    let customer = api.get_relationship(request).await?.customer.unwrap_or_default();
    screen.heading(&format!("{}  {}", customer.display_name, customer.name))?;
    let events = Events::read(api, &args.customer, args.limit).await?;
    events.show(screen)?;
    if screen.json() {
        screen.emit(&json!({ "events": events.json() }))?;
    }
    Ok(Ending::Done)
}
