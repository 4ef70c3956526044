//! `closeout snooze` and `closeout resume`: a planned pause of an opportunity, and its end.

use super::{Kind, kind_of};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{parse_moment, time};
use crate::screen::Screen;
use crate::{json, request_id, view};
use anyhow::Context;
use clap::Args;
use crm_proto::opportunity::{Opportunity, ResumeOpportunityRequest, SnoozeOpportunityRequest};
use prost_types::Timestamp;
use serde_json::json;

/// What follows the help of `snooze`.
pub(crate) const EXAMPLES: &str = "\
On hold it still counts as open, and no sweep takes it. On its day it is open again by itself.

Examples:
  closeout snooze opportunities/ID --until 2027-03-01 --note \"their budget round\"
  closeout resume opportunities/ID";

/// Flags of `snooze`.
#[derive(Debug, Args)]
pub(crate) struct SnoozeArgs {
    /// `opportunities/ID`, open or on hold already.
    name: String,
    /// Until when, at most 180 days from now: a day (UTC) or a time.
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    until: Timestamp,
    /// Why, in your words.
    #[arg(long, value_name = "TEXT")]
    note: String,
}

/// Flags of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// `opportunities/ID`, on hold.
    name: String,
}

/// Puts an opportunity on hold.
pub(super) async fn snooze(args: &SnoozeArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let name = of_opportunity(&args.name)?;
    let request = SnoozeOpportunityRequest {
        name,
        resume_time: Some(args.until),
        note: args.note.clone(),
        request_id: request_id::new(),
        ..SnoozeOpportunityRequest::default()
    };
    told(api.snooze_opportunity(request).await?.opportunity, screen)
}

/// Takes an opportunity up again.
pub(super) async fn resume(args: &ResumeArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let name = of_opportunity(&args.name)?;
    let request =
        ResumeOpportunityRequest { name, request_id: request_id::new(), ..ResumeOpportunityRequest::default() };
    told(api.resume_opportunity(request).await?.opportunity, screen)
}

fn of_opportunity(name: &str) -> Result<String, Usage> {
    match kind_of(name)? {
        Kind::Opportunity => Ok(name.to_owned()),
        Kind::Customer | Kind::Order | Kind::Task | Kind::CloseOut | Kind::Group => {
            Err(Usage(format!("`{name}`: only opportunities/ID can be put on hold")))
        }
    }
}

fn told(opportunity: Option<Opportunity>, screen: &Screen) -> anyhow::Result<Ending> {
    let opportunity = opportunity.context("a reply without its opportunity")?;
    if screen.json() {
        screen.emit(&json!({ "opportunity": json::message("crm.opportunity.v1.Opportunity", &opportunity)? }))?;
    }
    let until = opportunity.resume_time.as_ref().map_or_else(String::new, |at| format!(" until {}", time(Some(at))));
    screen.line(&format!("{}{until}", view::opportunity_line(&opportunity)))?;
    Ok(Ending::Done)
}
