//! CompetitorService: whom close-outs may name.

use crate::{
    convert,
    domain::{Command, Competitor, CompetitorCommand},
    service::Opportunities as Service,
    store::lists,
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page,
};
use crm_closeout::wording;
use crm_proto::opportunity::{self as pb, competitor_service_server::CompetitorService};
use tonic::{Request, Response, Status};

/// The methods about competitors.
#[derive(Debug)]
pub(crate) struct Competitors(pub(crate) Front<Service>);

#[tonic::async_trait]
impl CompetitorService for Competitors {
    async fn create_competitor(
        &self,
        request: Request<pb::CreateCompetitorRequest>,
    ) -> Result<Response<pb::CreateCompetitorResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.competitor.is_none() {
            fields.refuse("competitor", &wording::REQUIRED, &[]);
        }
        let competitor = request.competitor.unwrap_or_default();
        let display_name = convert::competitor_name(&mut fields, &competitor);
        fields.done()?;
        let command = Command::Competitor(CompetitorCommand::Create { display_name });
        let outcome = self.0.call(caller, deadline, "CreateCompetitor", meta, command).await?;
        Ok(Response::new(pb::CreateCompetitorResponse { competitor: Some(outcome.resource) }))
    }

    async fn list_competitors(
        &self,
        request: Request<pb::ListCompetitorsRequest>,
    ) -> Result<Response<pb::ListCompetitorsResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        fields.done()?;
        let rows = lists::competitors(&self.0.db, caller.tenant, request.active_only, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (competitors, next_page_token) = page.reply(&rows, |row| row.competitor_id.0, convert::competitor);
        Ok(Response::new(pb::ListCompetitorsResponse { competitors, next_page_token }))
    }

    async fn get_competitor(
        &self,
        request: Request<pb::GetCompetitorRequest>,
    ) -> Result<Response<pb::GetCompetitorResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = convert::competitor_id(&mut fields, "name", &request.name);
        fields.done()?;
        let row = failure::found(self.0.db.get::<Competitor>(&(caller.tenant, id)).await, id)?;
        Ok(Response::new(pb::GetCompetitorResponse { competitor: Some(convert::competitor(&row)) }))
    }

    async fn update_competitor(
        &self,
        request: Request<pb::UpdateCompetitorRequest>,
    ) -> Result<Response<pb::UpdateCompetitorResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.competitor.is_none() {
            fields.refuse("competitor", &wording::REQUIRED, &[]);
        }
        let competitor = request.competitor.unwrap_or_default();
        let id = convert::competitor_id(&mut fields, "competitor.name", &competitor.name);
        let display_name = convert::competitor_edit(&mut fields, &competitor, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::Competitor(CompetitorCommand::Update { id, etag: competitor.etag, display_name });
        let outcome = self.0.call(caller, deadline, "UpdateCompetitor", meta, command).await?;
        Ok(Response::new(pb::UpdateCompetitorResponse { competitor: Some(outcome.resource) }))
    }

    async fn deactivate_competitor(
        &self,
        request: Request<pb::DeactivateCompetitorRequest>,
    ) -> Result<Response<pb::DeactivateCompetitorResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = convert::competitor_id(&mut fields, "name", &request.name);
        fields.done()?;
        let command = Command::Competitor(CompetitorCommand::SetActive { id, etag: request.etag, active: false });
        let outcome = self.0.call(caller, deadline, "DeactivateCompetitor", meta, command).await?;
        Ok(Response::new(pb::DeactivateCompetitorResponse { competitor: Some(outcome.resource) }))
    }

    async fn activate_competitor(
        &self,
        request: Request<pb::ActivateCompetitorRequest>,
    ) -> Result<Response<pb::ActivateCompetitorResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = convert::competitor_id(&mut fields, "name", &request.name);
        fields.done()?;
        let command = Command::Competitor(CompetitorCommand::SetActive { id, etag: request.etag, active: true });
        let outcome = self.0.call(caller, deadline, "ActivateCompetitor", meta, command).await?;
        Ok(Response::new(pb::ActivateCompetitorResponse { competitor: Some(outcome.resource) }))
    }

    async fn merge_competitors(
        &self,
        request: Request<pb::MergeCompetitorsRequest>,
    ) -> Result<Response<pb::MergeCompetitorsResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let (sources, target) = convert::merger(&mut fields, &request);
        fields.done()?;
        let command = Command::Competitor(CompetitorCommand::Merge { sources, target });
        let outcome = self.0.call(caller, deadline, "MergeCompetitors", meta, command).await?;
        Ok(Response::new(outcome.resource))
    }
}
