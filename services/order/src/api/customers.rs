//! CustomerService: the trade record, to be read.

use crate::{convert, domain::Customer, service::Orders as Service, store::lists};
use crm_api::{
    close_outs, failure,
    fields::Fields,
    front::Front,
    meta::{Opened, open},
    page,
};
use crm_closeout::ids::CustomerId;
use crm_proto::order::{self as pb, customer_service_server::CustomerService};
use tonic::{Request, Response, Status};

/// The methods about customers.
#[derive(Debug)]
pub(crate) struct Customers(pub(crate) Front<Service>);

#[tonic::async_trait]
impl CustomerService for Customers {
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
        fields.done()?;
        let rows = lists::customers(&self.0.db, caller.tenant, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (customers, next_page_token) = page.reply(&rows, |row| row.customer_id.0, convert::customer);
        Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
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
