//! `closeout snooze` and `closeout resume`: a planned pause of an opportunity, and its end.

use super::records::of_opportunity;
use super::{Kind, only};
use crate::api::Api;
use crate::failure::Ending;
use crate::format::parse_moment;
use crate::request_id;
use crate::screen::Screen;
use clap::Args;
use crm_proto::opportunity::{ResumeOpportunityRequest, SnoozeOpportunityRequest};
use prost_types::Timestamp;

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
    let name = only(Kind::Opportunity, "opportunities", &args.name)?;
    let request = SnoozeOpportunityRequest {
        name,
        resume_time: Some(args.until),
        note: args.note.clone(),
        request_id: request_id::new(),
        ..SnoozeOpportunityRequest::default()
    };
    of_opportunity(api.snooze_opportunity(request).await?.opportunity, screen)
}

/// Takes an opportunity up again.
pub(super) async fn resume(args: &ResumeArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let name = only(Kind::Opportunity, "opportunities", &args.name)?;
    let request =
        ResumeOpportunityRequest { name, request_id: request_id::new(), ..ResumeOpportunityRequest::default() };
    of_opportunity(api.resume_opportunity(request).await?.opportunity, screen)
}
