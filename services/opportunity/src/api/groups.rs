//! CustomerCloseOutService.

use crate::{
    convert,
    domain::{Command, Customer, CustomerClosing, Group, GroupCommand, MOST_OPEN, Opportunity},
    service::Opportunities as Service,
    store::groups as store,
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page,
    plan::{part, part_text},
    reasons,
};
use crm_closeout::{
    ids::{CustomerId, GroupId},
    reason::ReasonScope,
    refusal::Refusal,
    wording,
};
use crm_outbox::db::Error;
use crm_proto::opportunity::{self as pb, customer_close_out_service_server::CustomerCloseOutService};
use crm_runtime::auth::Caller;
use futures::{StreamExt, TryStreamExt, stream};
use std::slice;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// Plans of a page, by default and at most.
const PLANS: (i32, i32) = (20, 100);
/// Plans that are asked for at once.
const AT_ONCE: usize = 8;

/// The methods about close-outs of whole customers.
#[derive(Debug)]
pub(crate) struct Groups(pub(crate) Front<Service>);

fn database(error: Error) -> Status {
    failure::database(&error)
}

impl Groups {
    /// What is asked to be closed out, and why.
    async fn closing(
        &self,
        caller: &Caller,
        mut fields: Fields,
        request: &pb::CloseOutCustomerRequest,
    ) -> Result<CustomerClosing, Status> {
        let closing = convert::customer_closing(&mut fields, request);
        let given = convert::given_for_customer(request, &closing);
        reasons::complain(&self.0.db, caller.tenant, &mut fields, ReasonScope::Opportunity, &given).await?;
        fields.done()?;
        Ok(closing)
    }

    /// Groups as they stand.
    async fn shown(&self, caller: &Caller, groups: &[Group]) -> Result<Vec<pb::CustomerCloseOut>, Status> {
        let counts = store::counts(&self.0.db, caller.tenant, groups).await.map_err(database)?;
        let none = store::Counts::new();
        Ok(groups.iter().map(|group| convert::group(group, counts.get(&group.group_id).unwrap_or(&none))).collect())
    }

    /// What closing these out would do.
    async fn plans(
        &self,
        caller: &Caller,
        deadline: Option<Instant>,
        request: &pb::CloseOutCustomerRequest,
        open: &[Opportunity],
    ) -> Result<Vec<crm_proto::common::CloseOutPlan>, Status> {
        let plan = async |one: &Opportunity| {
            let name = one.opportunity_id.to_string();
            let mut fields = Fields::new();
            let closing = convert::close_out(&mut fields, &convert::single_of(request, name.clone()));
            fields.done()?;
            Box::pin(self.0.preview(caller.clone(), deadline, name, Command::Preview(closing))).await
        };
        stream::iter(open.iter().map(plan)).buffered(AT_ONCE).try_collect().await
    }
}

/// Refuses what no plan of an opportunity would tell.
fn check(customer: &Customer) -> Result<(), Status> {
    let id = customer.customer_id;
    let refusal = match (customer.closing, customer.open_count) {
        (Some(group), _) => Refusal::new(&wording::CUSTOMER_CLOSING, id).with("group", group),
        (None, 0) => Refusal::new(&wording::NOTHING_OPEN, id),
        (None, open) if open > MOST_OPEN as i64 => {
            Refusal::new(&wording::TOO_MANY_TO_CLOSE, id).with("limit", MOST_OPEN)
        }
        (None, _) => return Ok(()),
    };
    Err(failure::refusal(refusal))
}

#[tonic::async_trait]
impl CustomerCloseOutService for Groups {
    async fn close_out_customer(
        &self,
        request: Request<pb::CloseOutCustomerRequest>,
    ) -> Result<Response<pb::CloseOutCustomerResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let plan = if request.plan_hash.is_empty() { Some(Vec::new()) } else { part(&request.plan_hash) };
        if plan.is_none() {
            fields.refuse("plan_hash", &wording::INVALID_GROUP_HASH, &[]);
        }
        let closing = self.closing(&caller, fields, &request).await?;
        let command = Command::Group(GroupCommand::CloseOut { closing, plan: plan.unwrap_or_default() });
        let outcome = self.0.call(caller, deadline, "CloseOutCustomer", meta, command).await?;
        Ok(Response::new(pb::CloseOutCustomerResponse { customer_close_out: Some(outcome.resource) }))
    }

    async fn preview_close_out_customer(
        &self,
        request: Request<pb::PreviewCloseOutCustomerRequest>,
    ) -> Result<Response<pb::PreviewCloseOutCustomerResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        request.page_size = match request.page_size {
            0 => PLANS.0,
            size => size.min(PLANS.1),
        };
        let page = page!(&mut fields, request);
        if request.close_out.is_none() {
            fields.refuse("close_out", &wording::REQUIRED, &[]);
        }
        let request = request.close_out.unwrap_or_default();
        let id = fields.name("close_out.name", &request.name, CustomerId::parse, CustomerId);
        fields.done()?;
        let (db, tenant) = (&self.0.db, caller.tenant);
        let customer = failure::found(db.get::<Customer>(&(tenant, id)).await, id)?;
        check(&customer)?;
        let all = store::open(db, tenant, id, None, MOST_OPEN).await.map_err(database)?;
        let rest: Vec<_> =
            all.iter().filter(|one| page.after.is_none_or(|after| one.opportunity_id.0 > after)).cloned().collect();
        let (shown, more) = rest.split_at(rest.len().min(page.size));
        let next = shown.last().filter(|_| !more.is_empty()).map(|last| last.opportunity_id.0);
        let plans = self.plans(&caller, deadline, &request, shown).await?;
        let plans: Vec<_> = shown.iter().map(|one| one.opportunity_id.0).zip(plans).collect();
        let (plans, next_page_token) = match page.reply(&plans, |(id, _)| *id, |(_, plan)| plan.clone()) {
            (plans, token) if token.is_empty() => (plans, page.token(next)),
            fewer => fewer,
        };
        let opportunity_count = all.len().try_into().unwrap_or(i32::MAX);
        let plan_hash = part_text(&store::plan(all.iter()));
        Ok(Response::new(pb::PreviewCloseOutCustomerResponse { plans, next_page_token, opportunity_count, plan_hash }))
    }

    async fn get_customer_close_out(
        &self,
        request: Request<pb::GetCustomerCloseOutRequest>,
    ) -> Result<Response<pb::GetCustomerCloseOutResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = fields.name("name", &request.name, GroupId::parse, GroupId);
        fields.done()?;
        let group = failure::found(self.0.db.get::<Group>(&(caller.tenant, id)).await, id)?;
        let customer_close_out = self.shown(&caller, slice::from_ref(&group)).await?.pop();
        Ok(Response::new(pb::GetCustomerCloseOutResponse { customer_close_out }))
    }

    async fn list_customer_close_outs(
        &self,
        request: Request<pb::ListCustomerCloseOutsRequest>,
    ) -> Result<Response<pb::ListCustomerCloseOutsResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let customer = fields.optional_name("customer", &request.customer, CustomerId::parse);
        fields.done()?;
        let groups = store::list(&self.0.db, caller.tenant, customer, &page).await.map_err(database)?;
        let shown: Vec<_> = groups.iter().zip(self.shown(&caller, &groups).await?).collect();
        let (customer_close_outs, next_page_token) =
            page.reply(&shown, |(group, _)| group.group_id.0, |(_, shown)| shown.clone());
        Ok(Response::new(pb::ListCustomerCloseOutsResponse { customer_close_outs, next_page_token }))
    }

    async fn reopen_customer(
        &self,
        request: Request<pb::ReopenCustomerRequest>,
    ) -> Result<Response<pb::ReopenCustomerResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, GroupId::parse, GroupId);
        let note = fields.words("note", &request.note);
        fields.done()?;
        let group = failure::found(self.0.db.get::<Group>(&(caller.tenant, id)).await, id)?;
        let (customer_id, etag) = (group.customer_id, request.etag);
        let command = Command::Group(GroupCommand::Reopen { id, customer_id, etag, note });
        let outcome = self.0.call(caller, deadline, "ReopenCustomer", meta, command).await?;
        Ok(Response::new(pb::ReopenCustomerResponse { customer_close_out: Some(outcome.resource) }))
    }
}
