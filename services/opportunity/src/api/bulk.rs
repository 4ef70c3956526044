//! What a bulk close-out of opportunities takes from the single one.

use crate::{
    convert,
    domain::{Closing, Command},
    service::Opportunities,
};
use crm_api::{bulk, fields::Fields};
use crm_closeout::reason::{Given, ReasonScope};
use crm_proto::{common::BulkResult, opportunity as pb};
use prost::{DecodeError, Message};

/// BulkCloseOutOpportunities.
#[derive(Debug)]
pub(crate) struct Bulk;

impl bulk::Bulk for Bulk {
    type Domain = Opportunities;
    type Request = pb::BulkCloseOutOpportunitiesRequest;
    type Response = pb::BulkCloseOutOpportunitiesResponse;
    type Single = pb::CloseOutOpportunityRequest;
    type Closing = Closing;
    const METHOD: &'static str = "BulkCloseOutOpportunities";

    fn part(request: Self::Request) -> bulk::Part<Self::Single> {
        bulk::Part {
            request_id: request.request_id,
            validate_only: request.validate_only,
            wait: request.wait,
            max_wait: request.max_wait,
            items: request.items.into_iter().map(convert::single).collect(),
        }
    }

    fn closing(fields: &mut Fields, single: &Self::Single) -> Closing {
        convert::close_out(fields, single)
    }

    fn given<'a>(single: &'a Self::Single, closing: &'a Closing) -> (ReasonScope, Given<'a>) {
        (ReasonScope::Opportunity, convert::given(single, closing))
    }

    fn command(closing: Closing) -> Command {
        Command::CloseOut(closing)
    }

    fn etag(reply: &[u8]) -> Result<String, DecodeError> {
        pb::Opportunity::decode(reply).map(|opportunity| opportunity.etag)
    }

    fn response(results: Vec<BulkResult>) -> Self::Response {
        pb::BulkCloseOutOpportunitiesResponse { results }
    }
}
