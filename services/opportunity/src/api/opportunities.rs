//! OpportunityService.

use super::{
    bulk::Bulk,
    pipelines::{find_stage, judge_stage},
};
use crate::{
    convert,
    domain::{Closing, Command, Hold, Opportunity, State},
    service::Opportunities as Service,
    store::lists,
};
use crm_api::{
    bulk::{self, Answers},
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page,
    plan::{AsPlanned, PlanHash},
    reasons,
    search::{
        Search,
        criteria::{Criteria, Given},
    },
    search_page,
};
use crm_closeout::{
    ids::{CustomerId, OpportunityId},
    reason::ReasonScope,
    time::Time,
    wording,
};
use crm_outbox::search::Source;
use crm_proto::opportunity::{self as pb, opportunity_service_server::OpportunityService};
use crm_runtime::auth::Caller;
use tonic::{Request, Response, Status, Streaming};

/// The methods about opportunities.
#[derive(Debug)]
pub(crate) struct Opportunities(pub(crate) Front<Service>);

impl Opportunities {
    /// What is asked to be closed out, and why.
    async fn closing(
        &self,
        caller: &Caller,
        mut fields: Fields,
        request: &pb::CloseOutOpportunityRequest,
    ) -> Result<Closing, Status> {
        let closing = convert::close_out(&mut fields, request);
        let given = convert::given(request, &closing);
        reasons::complain(&self.0.db, caller.tenant, &mut fields, ReasonScope::Opportunity, &given).await?;
        fields.done()?;
        Ok(closing)
    }
}

#[tonic::async_trait]
impl OpportunityService for Opportunities {
    async fn create_opportunity(
        &self,
        request: Request<pb::CreateOpportunityRequest>,
    ) -> Result<Response<pb::CreateOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.opportunity.is_none() {
            fields.refuse("opportunity", &wording::REQUIRED, &[]);
        }
        let opportunity = request.opportunity.unwrap_or_default();
        let historical = request.historical.as_ref();
        let new = convert::new_opportunity(&mut fields, caller.owned(), &opportunity, historical);
        judge_stage(&self.0, caller.tenant, &mut fields, "opportunity.stage", new.stage.as_ref()).await?;
        fields.done()?;
        let command = Command::CreateOpportunity(new);
        let outcome = self.0.call(caller, deadline, "CreateOpportunity", meta, command).await?;
        Ok(Response::new(pb::CreateOpportunityResponse {
            opportunity: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn get_opportunity(
        &self,
        request: Request<pb::GetOpportunityRequest>,
    ) -> Result<Response<pb::GetOpportunityResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        fields.done()?;
        let row = failure::found(self.0.db.get::<Opportunity>(&(caller.tenant, id)).await, id)?;
        let opportunity = convert::opportunity(&row);
        Ok(Response::new(pb::GetOpportunityResponse { opportunity: Some(opportunity) }))
    }

    async fn list_opportunities(
        &self,
        request: Request<pb::ListOpportunitiesRequest>,
    ) -> Result<Response<pb::ListOpportunitiesResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let stage = (!request.stage.is_empty()).then(|| convert::stage(&mut fields, "stage", &request.stage)).flatten();
        find_stage(&self.0, caller.tenant, &mut fields, stage.as_ref()).await?;
        let filter = lists::OpportunityFilter {
            customer: fields.optional_name("customer", &request.customer, CustomerId::parse),
            state: fields.optional_code("state", request.state),
            stage,
            owner: fields.principal("owner", &request.owner, ""),
            created_before: fields.time("created_before", request.created_before.as_ref()),
            active_before: fields.time("active_before", request.active_before.as_ref()),
        };
        fields.done()?;
        let rows = lists::opportunities(&self.0.db, caller.tenant, &filter, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (opportunities, next_page_token) = page.reply(&rows, |row| row.opportunity_id.0, convert::opportunity);
        Ok(Response::new(pb::ListOpportunitiesResponse { opportunities, next_page_token }))
    }

    async fn search_opportunities(
        &self,
        request: Request<pb::SearchOpportunitiesRequest>,
    ) -> Result<Response<pb::SearchOpportunitiesResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = search_page!(&mut fields, request);
        let criteria = Criteria::read(
            &mut fields,
            &Given {
                query: &request.query,
                customer: &request.customer,
                owner: ("owner", &request.owner),
                reason: "",
                from: ("created_from", request.created_from.as_ref()),
                until: ("created_until", request.created_until.as_ref()),
                amounts: [request.amount_from.as_ref(), request.amount_until.as_ref()],
            },
        );
        let states: Vec<State> = fields.codes("states", &request.states);
        fields.done()?;
        let search = Search {
            db: &self.0.db,
            tenant: caller.tenant,
            source: Source::Subjects,
            criteria: &criteria,
            page: &page,
        };
        let keep = |row: &Opportunity| states.is_empty() || states.contains(&row.state);
        let (results, next_page_token) =
            search.run(|tenant, id| (tenant, OpportunityId(id)), keep, convert::opportunity_result).await?;
        Ok(Response::new(pb::SearchOpportunitiesResponse { results, next_page_token }))
    }

    async fn update_opportunity(
        &self,
        request: Request<pb::UpdateOpportunityRequest>,
    ) -> Result<Response<pb::UpdateOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.opportunity.is_none() {
            fields.refuse("opportunity", &wording::REQUIRED, &[]);
        }
        let opportunity = request.opportunity.unwrap_or_default();
        let id = fields.name("opportunity.name", &opportunity.name, OpportunityId::parse, OpportunityId);
        let edit = convert::opportunity_edit(&mut fields, &opportunity, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::UpdateOpportunity { id, etag: opportunity.etag, edit };
        let outcome = self.0.call(caller, deadline, "UpdateOpportunity", meta, command).await?;
        Ok(Response::new(pb::UpdateOpportunityResponse { opportunity: Some(outcome.resource) }))
    }

    async fn move_opportunity_stage(
        &self,
        request: Request<pb::MoveOpportunityStageRequest>,
    ) -> Result<Response<pb::MoveOpportunityStageResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        let stage = convert::stage(&mut fields, "stage", &request.stage);
        judge_stage(&self.0, caller.tenant, &mut fields, "stage", stage.as_ref()).await?;
        fields.done()?;
        let command = Command::MoveStage { id, etag: request.etag, stage: stage.unwrap_or_default() };
        let outcome = self.0.call(caller, deadline, "MoveOpportunityStage", meta, command).await?;
        Ok(Response::new(pb::MoveOpportunityStageResponse { opportunity: Some(outcome.resource) }))
    }

    async fn snooze_opportunity(
        &self,
        request: Request<pb::SnoozeOpportunityRequest>,
    ) -> Result<Response<pb::SnoozeOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        if request.resume_time.is_none() {
            fields.refuse("resume_time", &wording::REQUIRED, &[]);
        }
        let until = fields.time("resume_time", request.resume_time.as_ref()).unwrap_or(Time(0));
        let note = fields.explanation("note", &request.note);
        fields.done()?;
        let command = Command::Snooze(Hold { id, etag: request.etag, until, note });
        let outcome = self.0.call(caller, deadline, "SnoozeOpportunity", meta, command).await?;
        Ok(Response::new(pb::SnoozeOpportunityResponse { opportunity: Some(outcome.resource) }))
    }

    async fn resume_opportunity(
        &self,
        request: Request<pb::ResumeOpportunityRequest>,
    ) -> Result<Response<pb::ResumeOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        fields.done()?;
        let command = Command::Resume { id, etag: request.etag };
        let outcome = self.0.call(caller, deadline, "ResumeOpportunity", meta, command).await?;
        Ok(Response::new(pb::ResumeOpportunityResponse { opportunity: Some(outcome.resource) }))
    }

    async fn win_opportunity(
        &self,
        request: Request<pb::WinOpportunityRequest>,
    ) -> Result<Response<pb::WinOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        let amount = fields.money("amount", request.amount.as_ref());
        let won_at = convert::close_time(&mut fields, request.historical.as_ref());
        fields.done()?;
        let command = Command::Win { id, etag: request.etag, amount, won_at };
        let outcome = self.0.call(caller, deadline, "WinOpportunity", meta, command).await?;
        Ok(Response::new(pb::WinOpportunityResponse {
            opportunity: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn close_out_opportunity(
        &self,
        request: Request<pb::CloseOutOpportunityRequest>,
    ) -> Result<Response<pb::CloseOutOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        let plan = PlanHash::read(&mut fields, &request.plan_hash);
        let closing = self.closing(&caller, fields, &request).await?;
        let outcome = match plan {
            None => self.0.call(caller, deadline, "CloseOutOpportunity", meta, Command::CloseOut(closing)).await?,
            Some(plan) => {
                let (preview, close_out) = (Command::Preview(closing.clone()), Command::CloseOut(closing));
                let asked = AsPlanned { subject: request.name, plan, preview, close_out };
                // Apart, so that the many calls without a plan are not as large as this one.
                Box::pin(self.0.close_out_as_planned(caller, deadline, "CloseOutOpportunity", meta, asked)).await?
            }
        };
        Ok(Response::new(pb::CloseOutOpportunityResponse {
            opportunity: Some(outcome.resource),
            close_out: outcome.close_out,
        }))
    }

    async fn preview_close_out(
        &self,
        request: Request<pb::PreviewCloseOutRequest>,
    ) -> Result<Response<pb::PreviewCloseOutResponse>, Status> {
        let Opened { caller, deadline, request } = open(request)?;
        let mut fields = Fields::new();
        if request.close_out.is_none() {
            fields.refuse("close_out", &wording::REQUIRED, &[]);
        }
        let request = request.close_out.unwrap_or_default();
        let closing = self.closing(&caller, fields, &request).await?;
        let plan = self.0.preview(caller, deadline, request.name, Command::Preview(closing)).await?;
        Ok(Response::new(pb::PreviewCloseOutResponse { plan: Some(plan) }))
    }

    type BulkCloseOutOpportunitiesStream = Answers<Bulk>;

    async fn bulk_close_out_opportunities(
        &self,
        request: Request<Streaming<pb::BulkCloseOutOpportunitiesRequest>>,
    ) -> Result<Response<Answers<Bulk>>, Status> {
        bulk::answer::<Bulk>(&self.0, request)
    }

    async fn reopen_opportunity(
        &self,
        request: Request<pb::ReopenOpportunityRequest>,
    ) -> Result<Response<pb::ReopenOpportunityResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        let id = fields.name("name", &request.name, OpportunityId::parse, OpportunityId);
        let note = fields.words("note", &request.note);
        fields.done()?;
        let command = Command::Reopen { id, etag: request.etag, note };
        let outcome = self.0.call(caller, deadline, "ReopenOpportunity", meta, command).await?;
        Ok(Response::new(pb::ReopenOpportunityResponse {
            opportunity: Some(outcome.resource),
            close_out: outcome.close_out,
            propagation: outcome.propagation.into(),
        }))
    }
}
