//! OrderService.

use super::bulk::Bulk;
use crate::{
    convert,
    domain::{Closing, Command, Order, State},
    service::Orders as Service,
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
    ids::{CustomerId, OpportunityId, OrderId},
    reason::ReasonScope,
    wording,
};
use crm_outbox::search::Source;
use crm_proto::order::{self as pb, order_service_server::OrderService};
use crm_runtime::auth::Caller;
use tonic::{Request, Response, Status, Streaming};

/// The methods about orders.
#[derive(Debug)]
pub(crate) struct Orders(pub(crate) Front<Service>);

impl Orders {
    /// What is asked to be closed out, and why.
    async fn closing(
        &self,
        caller: &Caller,
        mut fields: Fields,
        request: &pb::CloseOutOrderRequest,
    ) -> Result<Closing, Status> {
        let closing = convert::close_out(&mut fields, request);
        let given = convert::given(request, &closing);
        reasons::complain(&self.0.db, caller.tenant, &mut fields, closing.scope(), &given).await?;
        fields.done()?;
        Ok(closing)
    }
}

#[tonic::async_trait]
impl OrderService for Orders {
    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.order.is_none() {
            fields.refuse("order", &wording::REQUIRED, &[]);
        }
        let order = request.order.unwrap_or_default();
        let new = convert::new_order(&mut fields, caller.owned(), &order, request.historical.as_ref());
        fields.done()?;
        let outcome = self.0.call(caller, deadline, "CreateOrder", meta, Command::CreateOrder(new)).await?;
        Ok(Response::new(pb::CreateOrderResponse {
            order: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Result<Response<pb::GetOrderResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = fields.name("name", &request.name, OrderId::parse, OrderId);
        fields.done()?;
        let row = failure::found(self.0.db.get::<Order>(&(caller.tenant, id)).await, id)?;
        let order = convert::order(&row);
        Ok(Response::new(pb::GetOrderResponse { order: Some(order) }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let filter = lists::OrderFilter {
            customer: fields.optional_name("customer", &request.customer, CustomerId::parse),
            opportunity: fields.optional_name("opportunity", &request.opportunity, OpportunityId::parse),
            state: fields.optional_code("state", request.state),
            owner: fields.principal("owner", &request.owner, ""),
        };
        fields.done()?;
        let rows = lists::orders(&self.0.db, caller.tenant, &filter, &page).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (orders, next_page_token) = page.reply(&rows, |row| row.order_id.0, convert::order);
        Ok(Response::new(pb::ListOrdersResponse { orders, next_page_token }))
    }

    async fn search_orders(
        &self,
        request: Request<pb::SearchOrdersRequest>,
    ) -> Result<Response<pb::SearchOrdersResponse>, Status> {
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
        let keep = |row: &Order| states.is_empty() || states.contains(&row.state);
        let (results, next_page_token) =
            search.run(|tenant, id| (tenant, OrderId(id)), keep, convert::order_result).await?;
        Ok(Response::new(pb::SearchOrdersResponse { results, next_page_token }))
    }

    async fn update_order(
        &self,
        request: Request<pb::UpdateOrderRequest>,
    ) -> Result<Response<pb::UpdateOrderResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.order.is_none() {
            fields.refuse("order", &wording::REQUIRED, &[]);
        }
        let order = request.order.unwrap_or_default();
        let id = fields.name("order.name", &order.name, OrderId::parse, OrderId);
        let edit = convert::order_edit(&mut fields, &order, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::UpdateOrder { id, etag: order.etag, edit };
        let outcome = self.0.call(caller, deadline, "UpdateOrder", meta, command).await?;
        Ok(Response::new(pb::UpdateOrderResponse { order: Some(outcome.resource) }))
    }

    async fn confirm_order(
        &self,
        request: Request<pb::ConfirmOrderRequest>,
    ) -> Result<Response<pb::ConfirmOrderResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        let id = fields.name("name", &request.name, OrderId::parse, OrderId);
        fields.done()?;
        let command = Command::Confirm { id, etag: request.etag };
        let outcome = self.0.call(caller, deadline, "ConfirmOrder", meta, command).await?;
        Ok(Response::new(pb::ConfirmOrderResponse {
            order: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn record_fulfilment(
        &self,
        request: Request<pb::RecordFulfilmentRequest>,
    ) -> Result<Response<pb::RecordFulfilmentResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, OrderId::parse, OrderId);
        let lines = convert::fulfilment(&mut fields, &request.lines);
        fields.done()?;
        let command = Command::Fulfil { id, etag: request.etag, lines };
        let outcome = self.0.call(caller, deadline, "RecordFulfilment", meta, command).await?;
        Ok(Response::new(pb::RecordFulfilmentResponse { order: Some(outcome.resource) }))
    }

    async fn cancel_order_lines(
        &self,
        request: Request<pb::CancelOrderLinesRequest>,
    ) -> Result<Response<pb::CancelOrderLinesResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let cancelling = convert::cancelling(&mut fields, &request);
        reasons::complain(&self.0.db, caller.tenant, &mut fields, ReasonScope::Order, &cancelling.given()).await?;
        fields.done()?;
        let command = Command::CancelLines(cancelling);
        let outcome = self.0.call(caller, deadline, "CancelOrderLines", meta, command).await?;
        Ok(Response::new(pb::CancelOrderLinesResponse { order: Some(outcome.resource) }))
    }

    async fn record_payment(
        &self,
        request: Request<pb::RecordPaymentRequest>,
    ) -> Result<Response<pb::RecordPaymentResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = fields.name("name", &request.name, OrderId::parse, OrderId);
        let amount = convert::payment(&mut fields, request.amount.as_ref());
        fields.done()?;
        let command = Command::Pay { id, etag: request.etag, amount };
        let outcome = self.0.call(caller, deadline, "RecordPayment", meta, command).await?;
        Ok(Response::new(pb::RecordPaymentResponse { order: Some(outcome.resource) }))
    }

    async fn close_out_order(
        &self,
        request: Request<pb::CloseOutOrderRequest>,
    ) -> Result<Response<pb::CloseOutOrderResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        let plan = PlanHash::read(&mut fields, &request.plan_hash);
        let closing = self.closing(&caller, fields, &request).await?;
        let outcome = match plan {
            None => self.0.call(caller, deadline, "CloseOutOrder", meta, Command::CloseOut(closing)).await?,
            Some(plan) => {
                let (preview, close_out) = (Command::Preview(closing.clone()), Command::CloseOut(closing));
                let asked = AsPlanned { subject: request.name, plan, preview, close_out };
                // Apart, so that the many calls without a plan are not as large as this one.
                Box::pin(self.0.close_out_as_planned(caller, deadline, "CloseOutOrder", meta, asked)).await?
            }
        };
        Ok(Response::new(pb::CloseOutOrderResponse { order: Some(outcome.resource), close_out: outcome.close_out }))
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

    type BulkCloseOutOrdersStream = Answers<Bulk>;

    async fn bulk_close_out_orders(
        &self,
        request: Request<Streaming<pb::BulkCloseOutOrdersRequest>>,
    ) -> Result<Response<Answers<Bulk>>, Status> {
        bulk::answer::<Bulk>(&self.0, request)
    }

    async fn reopen_order(
        &self,
        request: Request<pb::ReopenOrderRequest>,
    ) -> Result<Response<pb::ReopenOrderResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, Peer);
        let id = fields.name("name", &request.name, OrderId::parse, OrderId);
        let note = fields.words("note", &request.note);
        fields.done()?;
        let command = Command::Reopen { id, etag: request.etag, note };
        let outcome = self.0.call(caller, deadline, "ReopenOrder", meta, command).await?;
        Ok(Response::new(pb::ReopenOrderResponse { order: Some(outcome.resource), close_out: outcome.close_out }))
    }
}
