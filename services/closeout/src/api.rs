//! Both services as one client: every call of the public API that this program makes, with retries.

use crate::identity::{Endless, Identity};
use crate::retry::{self, Patience};
use anyhow::Context;
use crm_checker::{Asked, History, Request};
use crm_closeout::{codes::Side, ids::TenantId};
use crm_proto::opportunity::{
    self as sales, close_out_reason_service_client::CloseOutReasonServiceClient,
    close_out_service_client::CloseOutServiceClient as SalesCloseOutClient,
    competitor_service_client::CompetitorServiceClient,
    customer_close_out_service_client::CustomerCloseOutServiceClient,
    customer_service_client::CustomerServiceClient as RelationshipClient,
    exchange_rate_service_client::ExchangeRateServiceClient,
    operator_service_client::OperatorServiceClient as SalesOperatorClient,
    opportunity_service_client::OpportunityServiceClient, pipeline_service_client::PipelineServiceClient,
    settings_service_client::SettingsServiceClient as SalesSettingsClient, stale_service_client::StaleServiceClient,
    task_service_client::TaskServiceClient as SellingTaskClient, win_back_service_client::WinBackServiceClient,
};
use crm_proto::order::{
    self as trade, close_out_service_client::CloseOutServiceClient as TradeCloseOutClient,
    customer_service_client::CustomerServiceClient as TradeRecordClient,
    operator_service_client::OperatorServiceClient as TradeOperatorClient, order_service_client::OrderServiceClient,
    settings_service_client::SettingsServiceClient as TradeSettingsClient,
    task_service_client::TaskServiceClient as OrderTaskClient,
};
use futures::Stream;
use prost::Message;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use uuid::Uuid;

type Link = InterceptedService<Channel, Identity>;

/// Both services, called as one tenant and principal.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    identity: Identity,
    patience: Patience,
    /// Takes what mutations are asked and answered, where somebody wants to know.
    history: Option<History>,
    opportunities: OpportunityServiceClient<Link>,
    relationships: RelationshipClient<Link>,
    selling_tasks: SellingTaskClient<Link>,
    sales_close_outs: SalesCloseOutClient<Link>,
    reasons: CloseOutReasonServiceClient<Link>,
    competitors: CompetitorServiceClient<Link>,
    pipelines: PipelineServiceClient<Link>,
    sales_settings: SalesSettingsClient<Link>,
    rates: ExchangeRateServiceClient<Link>,
    stale: StaleServiceClient<Link>,
    groups: CustomerCloseOutServiceClient<Link>,
    win_backs: WinBackServiceClient<Link>,
    orders: OrderServiceClient<Link>,
    trade_records: TradeRecordClient<Link>,
    order_tasks: OrderTaskClient<Link>,
    trade_close_outs: TradeCloseOutClient<Link>,
    trade_settings: TradeSettingsClient<Link>,
    sales_operator: SalesOperatorClient<Link>,
    trade_operator: TradeOperatorClient<Link>,
}

impl Api {
    /// Prepares both connections; they are made when the first call needs them.
    pub(crate) fn new(sales: &str, trade: &str, identity: Identity, patience: Patience) -> anyhow::Result<Self> {
        let sales = InterceptedService::new(channel("--opportunity-url", sales)?, identity.clone());
        let trade = InterceptedService::new(channel("--order-url", trade)?, identity.clone());
        Ok(Self {
            identity,
            patience,
            history: None,
            opportunities: OpportunityServiceClient::new(sales.clone()),
            relationships: RelationshipClient::new(sales.clone()),
            selling_tasks: SellingTaskClient::new(sales.clone()),
            sales_close_outs: SalesCloseOutClient::new(sales.clone()),
            reasons: CloseOutReasonServiceClient::new(sales.clone()),
            competitors: CompetitorServiceClient::new(sales.clone()),
            pipelines: PipelineServiceClient::new(sales.clone()),
            sales_settings: SalesSettingsClient::new(sales.clone()),
            rates: ExchangeRateServiceClient::new(sales.clone()),
            stale: StaleServiceClient::new(sales.clone()),
            groups: CustomerCloseOutServiceClient::new(sales.clone()),
            win_backs: WinBackServiceClient::new(sales.clone()),
            sales_operator: SalesOperatorClient::new(sales),
            orders: OrderServiceClient::new(trade.clone()),
            trade_records: TradeRecordClient::new(trade.clone()),
            order_tasks: OrderTaskClient::new(trade.clone()),
            trade_close_outs: TradeCloseOutClient::new(trade.clone()),
            trade_settings: TradeSettingsClient::new(trade.clone()),
            trade_operator: TradeOperatorClient::new(trade),
        })
    }

    /// The same, noting each attempt of a mutation and its answer.
    pub(crate) fn recorded_in(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// The same with more or less patience.
    pub(crate) fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// How long it keeps trying.
    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Opens a bulk call, once: what is sent again when it breaks off is not known here.
    pub(crate) async fn bulk_close_out_opportunities(
        &self,
        messages: impl Stream<Item = sales::BulkCloseOutOpportunitiesRequest> + Send + 'static,
    ) -> Result<Streaming<sales::BulkCloseOutOpportunitiesResponse>, Status> {
        let answers = self.opportunities.clone().bulk_close_out_opportunities(messages).await?;
        Ok(answers.into_inner())
    }

    /// Has what is stale acted upon; its answers come in parts.
    pub(crate) async fn sweep_stale_opportunities(
        &self,
        request: sales::SweepStaleOpportunitiesRequest,
    ) -> Result<Streaming<sales::SweepStaleOpportunitiesResponse>, Status> {
        Ok(self.stale.clone().sweep_stale_opportunities(request).await?.into_inner())
    }

    /// Exports lost customers; they come in parts.
    pub(crate) async fn export_audience(
        &self,
        request: sales::ExportAudienceRequest,
    ) -> Result<Streaming<sales::ExportAudienceResponse>, Status> {
        Ok(self.win_backs.clone().export_audience(request).await?.into_inner())
    }

    /// Watches close-outs of the opportunity service, once: where to go on when it breaks off is not known here.
    pub(crate) async fn watch_sales_close_outs(
        &self,
        request: sales::WatchCloseOutsRequest,
    ) -> Result<Streaming<sales::WatchCloseOutsResponse>, Status> {
        Ok(self.sales_close_outs.clone().watch_close_outs(endless(request)).await?.into_inner())
    }

    /// Watches close-outs of the order service in the same way.
    pub(crate) async fn watch_trade_close_outs(
        &self,
        request: trade::WatchCloseOutsRequest,
    ) -> Result<Streaming<trade::WatchCloseOutsResponse>, Status> {
        Ok(self.trade_close_outs.clone().watch_close_outs(endless(request)).await?.into_inner())
    }

    /// Watches selling tasks in the same way.
    pub(crate) async fn watch_selling_tasks(
        &self,
        request: sales::WatchTasksRequest,
    ) -> Result<Streaming<sales::WatchTasksResponse>, Status> {
        Ok(self.selling_tasks.clone().watch_tasks(endless(request)).await?.into_inner())
    }

    /// Watches order tasks in the same way.
    pub(crate) async fn watch_order_tasks(
        &self,
        request: trade::WatchTasksRequest,
    ) -> Result<Streaming<trade::WatchTasksResponse>, Status> {
        Ok(self.order_tasks.clone().watch_tasks(endless(request)).await?.into_inner())
    }

    /// Waits until both services answer.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let sales = self.list_competitors(sales::ListCompetitorsRequest { page_size: 1, ..Default::default() });
        let trade = self.list_orders(trade::ListOrdersRequest { page_size: 1, ..Default::default() });
        sales.await.context("reaching the opportunity service")?;
        trade.await.context("reaching the order service")?;
        Ok(())
    }

    /// The tenant that all calls are for.
    pub(crate) fn tenant(&self) -> Uuid {
        self.identity.tenant()
    }

    /// Who makes all calls.
    pub(crate) fn principal(&self) -> &str {
        self.identity.principal()
    }

    /// Notes an attempt, where somebody wants to know. One without an id of its own cannot be found again.
    fn asks(&self, side: Side, method: &'static str, request_id: &str, body: &[u8]) -> Option<Asked> {
        let (tenant, principal) = (TenantId(self.identity.tenant()), self.identity.principal().into());
        let request = Request { side, tenant, principal, method, id: request_id.parse().ok()? };
        self.history.as_ref().map(|history| history.asks(request, body))
    }
}

/// Writes one method per call: `name(request) -> reply`, sent by `client.method`, again while waiting helps.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $reply:ty = $client:ident.$method:ident;)*) => {
        impl Api {$(
            $(#[$doc])*
            pub(crate) async fn $name(&self, request: $request) -> Result<$reply, Status> {
                let send = |request| {
                    let mut client = self.$client.clone();
                    async move { client.$method(request).await }
                };
                Box::pin(retry::call(self.patience, request, send)).await
            }
        )*}
    };
}

/// The same for mutations: each attempt is noted, with the record that its answer is about.
macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $reply:ty
        = $side:ident.$client:ident.$method:ident, $call:literal, $record:ident;)*) => {
        impl Api {$(
            $(#[$doc])*
            pub(crate) async fn $name(&self, request: $request) -> Result<$reply, Status> {
                let send = |request: $request| {
                    let body = (!request.validate_only).then(|| request.encode_to_vec());
                    let asked = body.and_then(|body| self.asks(Side::$side, $call, &request.request_id, &body));
                    let mut client = self.$client.clone();
                    async move {
                        let answer = client.$method(request).await;
                        match (asked, &answer) {
                            (Some(asked), Ok(reply)) => {
                                let record = reply.get_ref().$record.clone().unwrap_or_default();
                                asked.done(&record.name, &record.etag, &record.encode_to_vec());
                            }
                            (Some(asked), Err(status)) => asked.refused(status),
                            (None, _) => {}
                        }
                        answer
                    }
                };
                Box::pin(retry::call(self.patience, request, send)).await
            }
        )*}
    };
}

calls! {
    /// Reads an opportunity.
    get_opportunity(sales::GetOpportunityRequest) -> sales::GetOpportunityResponse = opportunities.get_opportunity;
    /// Lists opportunities.
    list_opportunities(sales::ListOpportunitiesRequest) -> sales::ListOpportunitiesResponse
        = opportunities.list_opportunities;
    /// Finds opportunities.
    search_opportunities(sales::SearchOpportunitiesRequest) -> sales::SearchOpportunitiesResponse
        = opportunities.search_opportunities;
    /// Finds orders.
    search_orders(trade::SearchOrdersRequest) -> trade::SearchOrdersResponse = orders.search_orders;
    /// Finds close-outs of the opportunity service.
    search_sales_close_outs(sales::SearchCloseOutsRequest) -> sales::SearchCloseOutsResponse
        = sales_close_outs.search_close_outs;
    /// Finds close-outs of the order service.
    search_trade_close_outs(trade::SearchCloseOutsRequest) -> trade::SearchCloseOutsResponse
        = trade_close_outs.search_close_outs;
    /// Reads the relationship with a customer.
    get_relationship(sales::GetCustomerRequest) -> sales::GetCustomerResponse = relationships.get_customer;
    /// Lists customers.
    list_relationships(sales::ListCustomersRequest) -> sales::ListCustomersResponse = relationships.list_customers;
    /// Lists what happened to a relationship.
    list_relationship_events(sales::ListCustomerEventsRequest) -> sales::ListCustomerEventsResponse
        = relationships.list_customer_events;
    /// Reads a selling task.
    get_selling_task(sales::GetTaskRequest) -> sales::GetTaskResponse = selling_tasks.get_task;
    /// Lists selling tasks.
    list_selling_tasks(sales::ListTasksRequest) -> sales::ListTasksResponse = selling_tasks.list_tasks;
    /// Reads a close-out of the opportunity service.
    get_sales_close_out(sales::GetCloseOutRequest) -> sales::GetCloseOutResponse = sales_close_outs.get_close_out;
    /// Lists close-outs of the opportunity service.
    list_sales_close_outs(sales::ListCloseOutsRequest) -> sales::ListCloseOutsResponse
        = sales_close_outs.list_close_outs;
    /// Lists reasons.
    list_reasons(sales::ListCloseOutReasonsRequest) -> sales::ListCloseOutReasonsResponse
        = reasons.list_close_out_reasons;
    /// Reads a reason.
    get_reason(sales::GetCloseOutReasonRequest) -> sales::GetCloseOutReasonResponse = reasons.get_close_out_reason;
    /// Makes a reason.
    create_reason(sales::CreateCloseOutReasonRequest) -> sales::CreateCloseOutReasonResponse
        = reasons.create_close_out_reason;
    /// Changes a reason.
    update_reason(sales::UpdateCloseOutReasonRequest) -> sales::UpdateCloseOutReasonResponse
        = reasons.update_close_out_reason;
    /// Takes a reason out of use.
    deactivate_reason(sales::DeactivateCloseOutReasonRequest) -> sales::DeactivateCloseOutReasonResponse
        = reasons.deactivate_close_out_reason;
    /// Takes a reason back into use.
    activate_reason(sales::ActivateCloseOutReasonRequest) -> sales::ActivateCloseOutReasonResponse
        = reasons.activate_close_out_reason;
    /// Puts reasons into an order.
    reorder_reasons(sales::ReorderCloseOutReasonsRequest) -> sales::ReorderCloseOutReasonsResponse
        = reasons.reorder_close_out_reasons;
    /// Puts a reason in the place of others.
    merge_reasons(sales::MergeCloseOutReasonsRequest) -> sales::MergeCloseOutReasonsResponse
        = reasons.merge_close_out_reasons;
    /// Reads what a tenant has decided.
    get_sales_settings(sales::GetSettingsRequest) -> sales::GetSettingsResponse = sales_settings.get_settings;
    /// Reads what the order service knows of that.
    get_trade_settings(trade::GetSettingsRequest) -> trade::GetSettingsResponse = trade_settings.get_settings;
    /// Changes what a tenant has decided.
    update_settings(sales::UpdateSettingsRequest) -> sales::UpdateSettingsResponse = sales_settings.update_settings;
    /// Lists exchange rates.
    list_exchange_rates(sales::ListExchangeRatesRequest) -> sales::ListExchangeRatesResponse = rates.list_exchange_rates;
    /// Sets one.
    set_exchange_rate(sales::SetExchangeRateRequest) -> sales::SetExchangeRateResponse = rates.set_exchange_rate;
    /// Deletes one.
    delete_exchange_rate(sales::DeleteExchangeRateRequest) -> sales::DeleteExchangeRateResponse
        = rates.delete_exchange_rate;
    /// Reads a win-back plan.
    get_win_back_plan(sales::GetWinBackPlanRequest) -> sales::GetWinBackPlanResponse = win_backs.get_win_back_plan;
    /// Lists them.
    list_win_back_plans(sales::ListWinBackPlansRequest) -> sales::ListWinBackPlansResponse = win_backs.list_win_back_plans;
    /// Changes one.
    update_win_back_plan(sales::UpdateWinBackPlanRequest) -> sales::UpdateWinBackPlanResponse
        = win_backs.update_win_back_plan;
    /// Records a contact.
    record_win_back_contact(sales::RecordWinBackContactRequest) -> sales::RecordWinBackContactResponse
        = win_backs.record_win_back_contact;
    /// Gives one up.
    give_up_win_back_plan(sales::GiveUpWinBackPlanRequest) -> sales::GiveUpWinBackPlanResponse
        = win_backs.give_up_win_back_plan;
    /// Reads what is decided about stale opportunities.
    get_stale_policy(sales::GetStalePolicyRequest) -> sales::GetStalePolicyResponse = stale.get_stale_policy;
    /// Changes it.
    update_stale_policy(sales::UpdateStalePolicyRequest) -> sales::UpdateStalePolicyResponse = stale.update_stale_policy;
    /// Lists what is stale.
    list_stale_opportunities(sales::ListStaleOpportunitiesRequest) -> sales::ListStaleOpportunitiesResponse
        = stale.list_stale_opportunities;
    /// Lists pipelines.
    list_pipelines(sales::ListPipelinesRequest) -> sales::ListPipelinesResponse = pipelines.list_pipelines;
    /// Reads a pipeline.
    get_pipeline(sales::GetPipelineRequest) -> sales::GetPipelineResponse = pipelines.get_pipeline;
    /// Makes a pipeline.
    create_pipeline(sales::CreatePipelineRequest) -> sales::CreatePipelineResponse = pipelines.create_pipeline;
    /// Changes a pipeline.
    update_pipeline(sales::UpdatePipelineRequest) -> sales::UpdatePipelineResponse = pipelines.update_pipeline;
    /// Takes a pipeline out of use.
    deactivate_pipeline(sales::DeactivatePipelineRequest) -> sales::DeactivatePipelineResponse
        = pipelines.deactivate_pipeline;
    /// Takes a pipeline into use again.
    activate_pipeline(sales::ActivatePipelineRequest) -> sales::ActivatePipelineResponse = pipelines.activate_pipeline;
    /// Puts the pipelines in another order.
    reorder_pipelines(sales::ReorderPipelinesRequest) -> sales::ReorderPipelinesResponse = pipelines.reorder_pipelines;
    /// Puts an opportunity on hold.
    snooze_opportunity(sales::SnoozeOpportunityRequest) -> sales::SnoozeOpportunityResponse
        = opportunities.snooze_opportunity;
    /// Takes an opportunity up again.
    resume_opportunity(sales::ResumeOpportunityRequest) -> sales::ResumeOpportunityResponse
        = opportunities.resume_opportunity;
    /// What an opportunity's close-out would do.
    preview_opportunity(sales::PreviewCloseOutRequest) -> sales::PreviewCloseOutResponse
        = opportunities.preview_close_out;
    /// Cancels a part of an order.
    cancel_order_lines(trade::CancelOrderLinesRequest) -> trade::CancelOrderLinesResponse = orders.cancel_order_lines;
    /// What an order's close-out would do.
    preview_order(trade::PreviewCloseOutRequest) -> trade::PreviewCloseOutResponse
        = orders.preview_close_out;
    /// Corrects a close-out of the opportunity service.
    amend_sales_close_out(sales::AmendCloseOutRequest) -> sales::AmendCloseOutResponse
        = sales_close_outs.amend_close_out;
    /// Lists close-outs of the opportunity service that wait for approval.
    list_sales_pending(sales::ListPendingCloseOutsRequest) -> sales::ListPendingCloseOutsResponse
        = sales_close_outs.list_pending_close_outs;
    /// Lists close-outs of the order service that wait for approval.
    list_trade_pending(trade::ListPendingCloseOutsRequest) -> trade::ListPendingCloseOutsResponse
        = trade_close_outs.list_pending_close_outs;
    /// Approves a close-out of the opportunity service.
    approve_sales_close_out(sales::ApproveCloseOutRequest) -> sales::ApproveCloseOutResponse
        = sales_close_outs.approve_close_out;
    /// Approves a close-out of the order service.
    approve_trade_close_out(trade::ApproveCloseOutRequest) -> trade::ApproveCloseOutResponse
        = trade_close_outs.approve_close_out;
    /// Does not approve a close-out of the opportunity service.
    reject_sales_close_out(sales::RejectCloseOutRequest) -> sales::RejectCloseOutResponse
        = sales_close_outs.reject_close_out;
    /// Does not approve a close-out of the order service.
    reject_trade_close_out(trade::RejectCloseOutRequest) -> trade::RejectCloseOutResponse
        = trade_close_outs.reject_close_out;
    /// Takes a close-out of the opportunity service back that waits.
    withdraw_sales_close_out(sales::WithdrawCloseOutRequest) -> sales::WithdrawCloseOutResponse
        = sales_close_outs.withdraw_close_out;
    /// Takes a close-out of the order service back that waits.
    withdraw_trade_close_out(trade::WithdrawCloseOutRequest) -> trade::WithdrawCloseOutResponse
        = trade_close_outs.withdraw_close_out;
    /// Corrects a close-out of the order service.
    amend_trade_close_out(trade::AmendCloseOutRequest) -> trade::AmendCloseOutResponse
        = trade_close_outs.amend_close_out;
    /// Makes a competitor.
    create_competitor(sales::CreateCompetitorRequest) -> sales::CreateCompetitorResponse
        = competitors.create_competitor;
    /// Lists competitors.
    list_competitors(sales::ListCompetitorsRequest) -> sales::ListCompetitorsResponse = competitors.list_competitors;
    /// Reads a competitor.
    get_competitor(sales::GetCompetitorRequest) -> sales::GetCompetitorResponse = competitors.get_competitor;
    /// Renames a competitor.
    update_competitor(sales::UpdateCompetitorRequest) -> sales::UpdateCompetitorResponse
        = competitors.update_competitor;
    /// Takes a competitor out of use.
    deactivate_competitor(sales::DeactivateCompetitorRequest) -> sales::DeactivateCompetitorResponse
        = competitors.deactivate_competitor;
    /// Takes a competitor into use again.
    activate_competitor(sales::ActivateCompetitorRequest) -> sales::ActivateCompetitorResponse
        = competitors.activate_competitor;
    /// Merges competitors into another one.
    merge_competitors(sales::MergeCompetitorsRequest) -> sales::MergeCompetitorsResponse
        = competitors.merge_competitors;
    /// Says what closing a customer out would do.
    preview_close_out_customer(sales::PreviewCloseOutCustomerRequest) -> sales::PreviewCloseOutCustomerResponse
        = groups.preview_close_out_customer;
    /// Closes a customer out.
    close_out_customer(sales::CloseOutCustomerRequest) -> sales::CloseOutCustomerResponse = groups.close_out_customer;
    /// Takes the close-out of a customer back.
    reopen_customer(sales::ReopenCustomerRequest) -> sales::ReopenCustomerResponse = groups.reopen_customer;
    /// Reads the close-out of a customer.
    get_customer_close_out(sales::GetCustomerCloseOutRequest) -> sales::GetCustomerCloseOutResponse
        = groups.get_customer_close_out;
    /// Lists close-outs of customers.
    list_customer_close_outs(sales::ListCustomerCloseOutsRequest) -> sales::ListCustomerCloseOutsResponse
        = groups.list_customer_close_outs;
    /// Reads an order.
    get_order(trade::GetOrderRequest) -> trade::GetOrderResponse = orders.get_order;
    /// Lists orders.
    list_orders(trade::ListOrdersRequest) -> trade::ListOrdersResponse = orders.list_orders;
    /// Reads the trade record of a customer.
    get_trade_record(trade::GetCustomerRequest) -> trade::GetCustomerResponse = trade_records.get_customer;
    /// Lists what happened to a trade record.
    list_trade_events(trade::ListCustomerEventsRequest) -> trade::ListCustomerEventsResponse
        = trade_records.list_customer_events;
    /// Reads an order task.
    get_order_task(trade::GetTaskRequest) -> trade::GetTaskResponse = order_tasks.get_task;
    /// Lists order tasks.
    list_order_tasks(trade::ListTasksRequest) -> trade::ListTasksResponse = order_tasks.list_tasks;
    /// Reads a close-out of the order service.
    get_trade_close_out(trade::GetCloseOutRequest) -> trade::GetCloseOutResponse = trade_close_outs.get_close_out;
    /// Lists close-outs of the order service.
    list_trade_close_outs(trade::ListCloseOutsRequest) -> trade::ListCloseOutsResponse
        = trade_close_outs.list_close_outs;
    /// Counts close-outs of the opportunity service.
    report_sales_close_outs(sales::ReportCloseOutsRequest) -> sales::ReportCloseOutsResponse
        = sales_close_outs.report_close_outs;
    /// Counts close-outs of the order service.
    report_trade_close_outs(trade::ReportCloseOutsRequest) -> trade::ReportCloseOutsResponse
        = trade_close_outs.report_close_outs;
    /// Lists parked messages of the opportunity service.
    list_sales_parked(sales::ListParkedMessagesRequest) -> sales::ListParkedMessagesResponse
        = sales_operator.list_parked_messages;
    /// Lists parked messages of the order service.
    list_trade_parked(trade::ListParkedMessagesRequest) -> trade::ListParkedMessagesResponse
        = trade_operator.list_parked_messages;
    /// Has a parked message of the opportunity service sent again.
    retry_sales_parked(sales::RetryParkedMessageRequest) -> sales::RetryParkedMessageResponse
        = sales_operator.retry_parked_message;
    /// Has a parked message of the order service sent again.
    retry_trade_parked(trade::RetryParkedMessageRequest) -> trade::RetryParkedMessageResponse
        = trade_operator.retry_parked_message;
    /// Gives up a parked message of the opportunity service.
    skip_sales_parked(sales::SkipParkedMessageRequest) -> sales::SkipParkedMessageResponse
        = sales_operator.skip_parked_message;
    /// Gives up a parked message of the order service.
    skip_trade_parked(trade::SkipParkedMessageRequest) -> trade::SkipParkedMessageResponse
        = trade_operator.skip_parked_message;
    /// Sends the whole state of a customer, an opportunity, a reason or the settings.
    resend_sales_lane(sales::ResendLaneRequest) -> sales::ResendLaneResponse = sales_operator.resend_lane;
    /// Sends the whole state of an order.
    resend_trade_lane(trade::ResendLaneRequest) -> trade::ResendLaneResponse = trade_operator.resend_lane;
}

mutations! {
    /// Makes an opportunity.
    create_opportunity(sales::CreateOpportunityRequest) -> sales::CreateOpportunityResponse
        = Opportunity.opportunities.create_opportunity, "CreateOpportunity", opportunity;
    /// Changes an opportunity.
    update_opportunity(sales::UpdateOpportunityRequest) -> sales::UpdateOpportunityResponse
        = Opportunity.opportunities.update_opportunity, "UpdateOpportunity", opportunity;
    /// Moves an opportunity to another stage.
    move_opportunity_stage(sales::MoveOpportunityStageRequest) -> sales::MoveOpportunityStageResponse
        = Opportunity.opportunities.move_opportunity_stage, "MoveOpportunityStage", opportunity;
    /// Marks an opportunity as won.
    win_opportunity(sales::WinOpportunityRequest) -> sales::WinOpportunityResponse
        = Opportunity.opportunities.win_opportunity, "WinOpportunity", opportunity;
    /// Closes out an opportunity.
    close_out_opportunity(sales::CloseOutOpportunityRequest) -> sales::CloseOutOpportunityResponse
        = Opportunity.opportunities.close_out_opportunity, "CloseOutOpportunity", opportunity;
    /// Reopens an opportunity.
    reopen_opportunity(sales::ReopenOpportunityRequest) -> sales::ReopenOpportunityResponse
        = Opportunity.opportunities.reopen_opportunity, "ReopenOpportunity", opportunity;
    /// Makes a customer.
    create_customer(sales::CreateCustomerRequest) -> sales::CreateCustomerResponse
        = Opportunity.relationships.create_customer, "CreateCustomer", customer;
    /// Changes a customer.
    update_customer(sales::UpdateCustomerRequest) -> sales::UpdateCustomerResponse
        = Opportunity.relationships.update_customer, "UpdateCustomer", customer;
    /// Makes a selling task.
    create_selling_task(sales::CreateTaskRequest) -> sales::CreateTaskResponse
        = Opportunity.selling_tasks.create_task, "CreateTask", task;
    /// Changes a selling task.
    update_selling_task(sales::UpdateTaskRequest) -> sales::UpdateTaskResponse
        = Opportunity.selling_tasks.update_task, "UpdateTask", task;
    /// Begins a selling task.
    start_selling_task(sales::StartTaskRequest) -> sales::StartTaskResponse
        = Opportunity.selling_tasks.start_task, "StartTask", task;
    /// Completes a selling task.
    complete_selling_task(sales::CompleteTaskRequest) -> sales::CompleteTaskResponse
        = Opportunity.selling_tasks.complete_task, "CompleteTask", task;
    /// Cancels a selling task.
    cancel_selling_task(sales::CancelTaskRequest) -> sales::CancelTaskResponse
        = Opportunity.selling_tasks.cancel_task, "CancelTask", task;
    /// Makes an order.
    create_order(trade::CreateOrderRequest) -> trade::CreateOrderResponse = Order.orders.create_order, "CreateOrder", order;
    /// Confirms an order.
    confirm_order(trade::ConfirmOrderRequest) -> trade::ConfirmOrderResponse
        = Order.orders.confirm_order, "ConfirmOrder", order;
    /// Changes an order.
    update_order(trade::UpdateOrderRequest) -> trade::UpdateOrderResponse = Order.orders.update_order, "UpdateOrder", order;
    /// Records what was fulfilled of an order.
    record_fulfilment(trade::RecordFulfilmentRequest) -> trade::RecordFulfilmentResponse
        = Order.orders.record_fulfilment, "RecordFulfilment", order;
    /// Records what was paid for an order.
    record_payment(trade::RecordPaymentRequest) -> trade::RecordPaymentResponse
        = Order.orders.record_payment, "RecordPayment", order;
    /// Closes out an order.
    close_out_order(trade::CloseOutOrderRequest) -> trade::CloseOutOrderResponse
        = Order.orders.close_out_order, "CloseOutOrder", order;
    /// Reopens an order.
    reopen_order(trade::ReopenOrderRequest) -> trade::ReopenOrderResponse = Order.orders.reopen_order, "ReopenOrder", order;
    /// Makes an order task.
    create_order_task(trade::CreateTaskRequest) -> trade::CreateTaskResponse
        = Order.order_tasks.create_task, "CreateTask", task;
    /// Changes an order task.
    update_order_task(trade::UpdateTaskRequest) -> trade::UpdateTaskResponse
        = Order.order_tasks.update_task, "UpdateTask", task;
    /// Begins an order task.
    start_order_task(trade::StartTaskRequest) -> trade::StartTaskResponse
        = Order.order_tasks.start_task, "StartTask", task;
    /// Completes an order task.
    complete_order_task(trade::CompleteTaskRequest) -> trade::CompleteTaskResponse
        = Order.order_tasks.complete_task, "CompleteTask", task;
    /// Cancels an order task.
    cancel_order_task(trade::CancelTaskRequest) -> trade::CancelTaskResponse
        = Order.order_tasks.cancel_task, "CancelTask", task;
}

/// A call that goes on until somebody ends it.
fn endless<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Endless);
    request
}

fn channel(flag: &str, url: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).with_context(|| format!("{flag} {url}"))?;
    // A long call must not wait for ever on a connection that has died unnoticed.
    let endpoint =
        endpoint.http2_keep_alive_interval(Duration::from_secs(30)).keep_alive_timeout(Duration::from_secs(10));
    Ok(endpoint.connect_timeout(Duration::from_secs(3)).tcp_nodelay(true).connect_lazy())
}
