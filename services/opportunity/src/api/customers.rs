//! CustomerService.

use crate::{
    convert,
    domain::{Command, Customer},
    service::Opportunities as Service,
    store::lists,
};
use crm_api::{
    close_outs, failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page,
};
use crm_closeout::{ids::CustomerId, wording};
use crm_proto::opportunity::{self as pb, customer_service_server::CustomerService};
use tonic::{Request, Response, Status};

/// The methods about customers.
#[derive(Debug)]
pub(crate) struct Customers(pub(crate) Front<Service>);

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::CreateCustomerResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        if request.customer.is_none() {
            fields.refuse("customer", &wording::REQUIRED, &[]);
        }
        let customer = request.customer.unwrap_or_default();
        let new = convert::new_customer(&mut fields, &caller.principal, &customer);
        fields.done()?;
        let outcome = self.0.call(caller, deadline, "CreateCustomer", meta, Command::CreateCustomer(new)).await?;
        Ok(Response::new(pb::CreateCustomerResponse {
            customer: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = fields.name("name", &request.name, CustomerId::parse, CustomerId);
        fields.done()?;
        let row = failure::found(self.0.db.get::<Customer>(&(caller.tenant, id)).await, id)?;
        let customer = convert::customer(&row);
        Ok(Response::new(pb::GetCustomerResponse { customer: Some(customer) }))
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let lifecycle = fields.optional_code("lifecycle", request.lifecycle);
        let owner = fields.principal("owner", &request.owner, "");
        fields.done()?;
        let rows = lists::customers(&self.0.db, caller.tenant, lifecycle, &owner, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (customers, next_page_token) = page.reply(&rows, |row| row.customer_id.0, convert::customer);
        Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
    }

    async fn update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Result<Response<pb::UpdateCustomerResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        if request.customer.is_none() {
            fields.refuse("customer", &wording::REQUIRED, &[]);
        }
        let customer = request.customer.unwrap_or_default();
        let id = fields.name("customer.name", &customer.name, CustomerId::parse, CustomerId);
        let edit = convert::customer_edit(&mut fields, &customer, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::UpdateCustomer { id, etag: customer.etag, edit };
        let outcome = self.0.call(caller, deadline, "UpdateCustomer", meta, command).await?;
        Ok(Response::new(pb::UpdateCustomerResponse {
            customer: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn list_customer_events(
        &self,
        request: Request<pb::ListCustomerEventsRequest>,
    ) -> Result<Response<pb::ListCustomerEventsResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let id = fields.name("customer", &request.customer, CustomerId::parse, CustomerId);
        fields.done()?;
        let rows = close_outs::timeline(&self.0.db, caller.tenant, id, &page).await?;
        let (events, next_page_token) = page.reply(&rows, |row| row.timeline_id, convert::event);
        Ok(Response::new(pb::ListCustomerEventsResponse { events, next_page_token }))
    }
}
