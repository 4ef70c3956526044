//! CompetitorService: whom close-outs may name.

use crate::{convert, domain::Command, service::Opportunities as Service, store::lists};
use crm_api::{
    failure,
    fields::{self, Fields},
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
        let display_name = fields.line("competitor.display_name", &competitor.display_name, 1..=fields::TITLE);
        fields.done()?;
        let command = Command::CreateCompetitor { display_name };
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
        let rows = lists::competitors(&self.0.db, caller.tenant, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (competitors, next_page_token) = page.reply(&rows, |row| row.competitor_id.0, convert::competitor);
        Ok(Response::new(pb::ListCompetitorsResponse { competitors, next_page_token }))
    }
}
