//! WinBackService.

use crate::{
    audience::{self, Audience},
    convert,
    domain::{Command, WinBackCommand, WinBackWork},
    service::Opportunities as Service,
    store::win_back as store,
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page::{self, Tag},
};
use crm_closeout::{
    ids::{CustomerId, WinBackPlanId},
    reason::Catalogue,
    time::Time,
    wording,
};
use crm_outbox::reasons;
use crm_proto::opportunity::{self as pb, win_back_service_server::WinBackService};
use crm_runtime::answer;
use futures::stream::BoxStream;
use std::mem;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The methods about winning customers back.
#[derive(Debug)]
pub(crate) struct WinBacks(pub(crate) Front<Service>);

/// A place in a list as it stands in a token.
fn place_bytes((due_at, id): store::Place) -> Vec<u8> {
    [due_at.0.to_be_bytes().as_slice(), id.as_bytes()].concat()
}

fn read_place(bytes: &[u8]) -> Option<store::Place> {
    let (due_at, id) = bytes.split_first_chunk::<8>()?;
    Some((Time(i64::from_be_bytes(*due_at)), Uuid::from_slice(id).ok()?))
}

#[tonic::async_trait]
impl WinBackService for WinBacks {
    async fn get_win_back_plan(
        &self,
        request: Request<pb::GetWinBackPlanRequest>,
    ) -> Result<Response<pb::GetWinBackPlanResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = fields.name("name", &request.name, WinBackPlanId::parse, WinBackPlanId);
        fields.done()?;
        let (plan, customer) = failure::found(store::get(&self.0.db, caller.tenant, id).await, id)?;
        Ok(Response::new(pb::GetWinBackPlanResponse { win_back_plan: Some(convert::win_back_plan(&plan, &customer)) }))
    }

    async fn list_win_back_plans(
        &self,
        request: Request<pb::ListWinBackPlansRequest>,
    ) -> Result<Response<pb::ListWinBackPlansResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let (size, token) = (mem::take(&mut request.page_size), mem::take(&mut request.page_token));
        let tag = Tag::of(&request);
        let size = page::size(&mut fields, size);
        let after = tag.read(&mut fields, &token, read_place);
        let filter = store::Filter {
            state: fields.optional_code("state", request.state),
            owner: fields.principal("owner", &request.owner, ""),
            customer: fields.optional_name("customer", &request.customer, CustomerId::parse),
            due_before: fields.time("due_before", request.due_before.as_ref()),
        };
        fields.done()?;
        let rows = store::list(&self.0.db, caller.tenant, &filter, after, size + 1).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let place = |(plan, _): &store::Named| place_bytes((plan.due_at, plan.plan_id.0));
        let (win_back_plans, next_page_token) =
            tag.reply(size, &rows, place, |(plan, customer)| convert::win_back_plan(plan, customer));
        Ok(Response::new(pb::ListWinBackPlansResponse { win_back_plans, next_page_token }))
    }

    async fn update_win_back_plan(
        &self,
        request: Request<pb::UpdateWinBackPlanRequest>,
    ) -> Result<Response<pb::UpdateWinBackPlanResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.win_back_plan.is_none() {
            fields.refuse("win_back_plan", &wording::REQUIRED, &[]);
        }
        let plan = request.win_back_plan.unwrap_or_default();
        let id = fields.name("win_back_plan.name", &plan.name, WinBackPlanId::parse, WinBackPlanId);
        let edit = convert::win_back_edit(&mut fields, &plan, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::WinBack(WinBackCommand { id, etag: plan.etag, work: WinBackWork::Update(edit) });
        let outcome = self.0.call(caller, deadline, "UpdateWinBackPlan", meta, command).await?;
        Ok(Response::new(pb::UpdateWinBackPlanResponse { win_back_plan: Some(outcome.resource) }))
    }

    async fn record_win_back_contact(
        &self,
        request: Request<pb::RecordWinBackContactRequest>,
    ) -> Result<Response<pb::RecordWinBackContactResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, WinBackPlanId::parse, WinBackPlanId);
        let contact = convert::new_contact(&mut fields, &request);
        fields.done()?;
        let command = Command::WinBack(WinBackCommand { id, etag: request.etag, work: WinBackWork::Contact(contact) });
        let outcome = self.0.call(caller, deadline, "RecordWinBackContact", meta, command).await?;
        Ok(Response::new(pb::RecordWinBackContactResponse { win_back_plan: Some(outcome.resource) }))
    }

    async fn give_up_win_back_plan(
        &self,
        request: Request<pb::GiveUpWinBackPlanRequest>,
    ) -> Result<Response<pb::GiveUpWinBackPlanResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, WinBackPlanId::parse, WinBackPlanId);
        let note = fields.words("note", &request.note);
        fields.done()?;
        let command = Command::WinBack(WinBackCommand { id, etag: request.etag, work: WinBackWork::GiveUp(note) });
        let outcome = self.0.call(caller, deadline, "GiveUpWinBackPlan", meta, command).await?;
        Ok(Response::new(pb::GiveUpWinBackPlanResponse { win_back_plan: Some(outcome.resource) }))
    }

    type ExportAudienceStream = BoxStream<'static, Result<pb::ExportAudienceResponse, Status>>;

    async fn export_audience(
        &self,
        request: Request<pb::ExportAudienceRequest>,
    ) -> Result<Response<Self::ExportAudienceStream>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let criteria = audience::Criteria::read(&mut fields, &request);
        let catalogue = reasons::all(&self.0.db, caller.tenant).await.map_err(|e| failure::database(&e))?;
        let catalogue = Catalogue::of(caller.tenant, &catalogue);
        let criteria = criteria.of_reasons(&mut fields, &request.reasons, &catalogue);
        fields.done()?;
        let place = self.0.bulk.clone().try_acquire_owned();
        let place = place.map_err(|_| answer::refusal(&wording::PROCESS_FULL, &[]))?;
        let audience = Audience { db: self.0.db.clone(), tenant: caller.tenant, criteria, _place: place };
        Ok(Response::new(audience.run()))
    }
}
