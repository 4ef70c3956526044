//! Makes competitors, renames them, takes them out of use and back into it, merges them.

use super::{MergeArgs, explained, find};
use crate::api::Api;
use crate::request_id;
use anyhow::Context;
use crm_proto::opportunity::{
    ActivateCompetitorRequest, Competitor, CreateCompetitorRequest, DeactivateCompetitorRequest,
    MergeCompetitorsRequest, MergeCompetitorsResponse, UpdateCompetitorRequest,
};
use prost_types::FieldMask;

/// Makes one.
pub(super) async fn create(called: &str, api: &Api) -> anyhow::Result<Competitor> {
    let request = CreateCompetitorRequest {
        competitor: Some(Competitor { display_name: called.to_owned(), ..Competitor::default() }),
        request_id: request_id::new(),
        validate_only: false,
    };
    there(api.create_competitor(request).await?.competitor)
}

/// Gives one another name, if it still has the one by which it was found.
pub(super) async fn rename(meant: &str, called: &str, api: &Api) -> anyhow::Result<Competitor> {
    let competitor = Competitor { display_name: called.to_owned(), ..find::one(meant, api).await? };
    let request = UpdateCompetitorRequest {
        competitor: Some(competitor),
        update_mask: Some(FieldMask { paths: vec!["display_name".to_owned()] }),
        request_id: request_id::new(),
        validate_only: false,
    };
    there(api.update_competitor(request).await?.competitor)
}

/// Takes one out of use.
pub(super) async fn deactivate(meant: &str, api: &Api) -> anyhow::Result<Competitor> {
    let (name, request_id) = (find::name(meant, api).await?, request_id::new());
    let request = DeactivateCompetitorRequest { name, request_id, ..DeactivateCompetitorRequest::default() };
    there(api.deactivate_competitor(request).await?.competitor)
}

/// Takes one into use again.
pub(super) async fn activate(meant: &str, api: &Api) -> anyhow::Result<Competitor> {
    let (name, request_id) = (find::name(meant, api).await?, request_id::new());
    let request = ActivateCompetitorRequest { name, request_id, ..ActivateCompetitorRequest::default() };
    match api.activate_competitor(request).await {
        Ok(reply) => there(reply.competitor),
        Err(refused) => Err(explained(refused, api).await),
    }
}

/// Merges some into another one.
pub(super) async fn merge(args: &MergeArgs, api: &Api) -> anyhow::Result<MergeCompetitorsResponse> {
    let meant: Vec<_> = args.sources.iter().chain([&args.into]).map(String::as_str).collect();
    let mut sources = find::names(&meant, api).await?;
    let target = sources.pop().unwrap_or_default();
    let request = MergeCompetitorsRequest { sources, target, request_id: request_id::new(), validate_only: false };
    match api.merge_competitors(request).await {
        Ok(reply) => Ok(reply),
        Err(refused) => Err(explained(refused, api).await),
    }
}

fn there(competitor: Option<Competitor>) -> anyhow::Result<Competitor> {
    competitor.context("a reply without its competitor")
}
