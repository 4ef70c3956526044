//! A client of both services that notes what it asks for, before it is sent, and what it is answered.

use crm_checker::{Asked, History, Request};
use crm_closeout::{codes::Side, ids::TenantId, wording::Language};
use crm_outbox::wire;
use crm_proto::{
    Money, common,
    common::{Task, TaskKind, Wait},
    opportunity as sales, order as trade,
};
use crm_runtime::channel::{Identity, PublicChannel, connect_as};
use prost::Message;
use sales::{
    StaleResult, close_out_reason_service_client::CloseOutReasonServiceClient,
    close_out_service_client::CloseOutServiceClient as SalesCloseOuts,
    competitor_service_client::CompetitorServiceClient,
    customer_close_out_service_client::CustomerCloseOutServiceClient, customer_service_client::CustomerServiceClient,
    exchange_rate_service_client::ExchangeRateServiceClient,
    operator_service_client::OperatorServiceClient as SalesOperator,
    opportunity_service_client::OpportunityServiceClient, pipeline_service_client::PipelineServiceClient,
    settings_service_client::SettingsServiceClient, stale_service_client::StaleServiceClient,
    task_service_client::TaskServiceClient as SellingTasks, win_back_service_client::WinBackServiceClient,
};
use std::sync::Arc;
use tonic::{Response, Status};
use trade::{
    close_out_reason_service_client::CloseOutReasonServiceClient as CopiedReasons,
    close_out_service_client::CloseOutServiceClient as TradeCloseOuts,
    customer_service_client::CustomerServiceClient as TradeRecords,
    operator_service_client::OperatorServiceClient as TradeOperator, order_service_client::OrderServiceClient,
    settings_service_client::SettingsServiceClient as CopiedSettings,
    task_service_client::TaskServiceClient as OrderTasks,
};
use uuid::{Builder, Uuid};

/// A client; a clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// Customers of the opportunity service.
    pub customers: CustomerServiceClient<PublicChannel>,
    /// Opportunities.
    pub opportunities: OpportunityServiceClient<PublicChannel>,
    /// Reasons for close-outs.
    pub reasons: CloseOutReasonServiceClient<PublicChannel>,
    /// The order service's copy of them.
    pub copied_reasons: CopiedReasons<PublicChannel>,
    /// What the tenant has decided.
    pub settings: SettingsServiceClient<PublicChannel>,
    /// The order service's copy of it.
    pub copied_settings: CopiedSettings<PublicChannel>,
    /// Exchange rates.
    pub rates: ExchangeRateServiceClient<PublicChannel>,
    /// Stale opportunities.
    pub stale: StaleServiceClient<PublicChannel>,
    /// Competitors.
    pub competitors: CompetitorServiceClient<PublicChannel>,
    /// Pipelines.
    pub pipelines: PipelineServiceClient<PublicChannel>,
    /// Selling tasks.
    pub selling_tasks: SellingTasks<PublicChannel>,
    /// Close-outs of whole customers.
    pub groups: CustomerCloseOutServiceClient<PublicChannel>,
    /// Plans to win customers back.
    pub win_backs: WinBackServiceClient<PublicChannel>,
    /// Close-outs of opportunities.
    pub sales_close_outs: SalesCloseOuts<PublicChannel>,
    /// Customers of the order service.
    pub trade_records: TradeRecords<PublicChannel>,
    /// Orders.
    pub orders: OrderServiceClient<PublicChannel>,
    /// Order tasks.
    pub order_tasks: OrderTasks<PublicChannel>,
    /// Close-outs of orders.
    pub trade_close_outs: TradeCloseOuts<PublicChannel>,
    /// What operators of the opportunity service do.
    pub sales_operator: SalesOperator<PublicChannel>,
    /// What operators of the order service do.
    pub trade_operator: TradeOperator<PublicChannel>,
    tenant: TenantId,
    principal: Arc<str>,
    history: History,
}

/// What may differ between two answers to one request: how far the news has come, and what has become of the close-out since.
trait Progress {
    /// Takes it out.
    fn clear_progress(&mut self);
}

impl Progress for i32 {
    fn clear_progress(&mut self) {
        *self = 0;
    }
}

impl Progress for Option<common::CloseOut> {
    fn clear_progress(&mut self) {
        if let Some(close_out) = self {
            (close_out.state, close_out.propagation, close_out.peer_outcome) = (0, 0, 0);
            (close_out.effects, close_out.reversal) = (Vec::new(), None);
            if close_out.approval.take().is_some() {
                // It counts from when it was approved.
                (close_out.close_time, close_out.snapshot) = (None, None);
            }
        }
    }
}

/// Mutations: each gets a request id if it has none, and is noted with its answer. In brackets: what is left out of the answer.
macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $side:ident.$client:ident.$method:ident($request:ty) -> $reply:ty,
        $word:literal, $field:ident $([$($progress:ident),+])?;)+) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $name(&self, mut request: $request) -> Result<$reply, Status> {
                if request.request_id.is_empty() {
                    request.request_id = Uuid::now_v7().to_string();
                }
                let body = (!request.validate_only).then(|| request.encode_to_vec());
                let asked = body.and_then(|body| self.asks(Side::$side, $word, &request.request_id, &body));
                let answer = self.$client.clone().$method(request).await.map(Response::into_inner);
                match (asked, &answer) {
                    (Some(asked), Ok(reply)) => {
                        let mut reply = reply.clone();
                        let resource = reply.$field.take().unwrap_or_default();
                        $($(reply.$progress.clear_progress();)+)?
                        let content = [resource.encode_to_vec(), reply.encode_to_vec()].concat();
                        asked.done(&resource.name, &resource.etag, &content);
                    }
                    (Some(asked), Err(status)) => asked.refused(status),
                    (None, _) => {}
                }
                answer
            })+
        }
    };
}

mutations! {
    /// CreateCustomer.
    create_customer = Opportunity.customers.create_customer(sales::CreateCustomerRequest) -> sales::CreateCustomerResponse,
        "CreateCustomer", customer [propagation];
    /// UpdateCustomer.
    update_customer = Opportunity.customers.update_customer(sales::UpdateCustomerRequest) -> sales::UpdateCustomerResponse,
        "UpdateCustomer", customer [propagation];
    /// CreateCloseOutReason.
    create_reason = Opportunity.reasons.create_close_out_reason(sales::CreateCloseOutReasonRequest) -> sales::CreateCloseOutReasonResponse,
        "CreateCloseOutReason", reason [propagation];
    /// UpdateCloseOutReason.
    update_reason = Opportunity.reasons.update_close_out_reason(sales::UpdateCloseOutReasonRequest) -> sales::UpdateCloseOutReasonResponse,
        "UpdateCloseOutReason", reason [propagation];
    /// DeactivateCloseOutReason.
    deactivate_reason = Opportunity.reasons.deactivate_close_out_reason(sales::DeactivateCloseOutReasonRequest) -> sales::DeactivateCloseOutReasonResponse,
        "DeactivateCloseOutReason", reason [propagation];
    /// ActivateCloseOutReason.
    activate_reason = Opportunity.reasons.activate_close_out_reason(sales::ActivateCloseOutReasonRequest) -> sales::ActivateCloseOutReasonResponse,
        "ActivateCloseOutReason", reason [propagation];
    /// UpdateSettings.
    update_settings = Opportunity.settings.update_settings(sales::UpdateSettingsRequest) -> sales::UpdateSettingsResponse,
        "UpdateSettings", settings [propagation];
    /// SetExchangeRate.
    set_exchange_rate = Opportunity.rates.set_exchange_rate(sales::SetExchangeRateRequest) -> sales::SetExchangeRateResponse,
        "SetExchangeRate", exchange_rate [propagation];
    /// DeleteExchangeRate.
    delete_exchange_rate = Opportunity.rates.delete_exchange_rate(sales::DeleteExchangeRateRequest) -> sales::DeleteExchangeRateResponse,
        "DeleteExchangeRate", exchange_rate [propagation];
    /// CreateOpportunity.
    create_opportunity = Opportunity.opportunities.create_opportunity(sales::CreateOpportunityRequest) -> sales::CreateOpportunityResponse,
        "CreateOpportunity", opportunity [propagation];
    /// UpdateOpportunity.
    update_opportunity = Opportunity.opportunities.update_opportunity(sales::UpdateOpportunityRequest) -> sales::UpdateOpportunityResponse,
        "UpdateOpportunity", opportunity;
    /// MoveOpportunityStage.
    move_opportunity_stage = Opportunity.opportunities.move_opportunity_stage(sales::MoveOpportunityStageRequest) -> sales::MoveOpportunityStageResponse,
        "MoveOpportunityStage", opportunity;
    /// CreatePipeline.
    create_pipeline = Opportunity.pipelines.create_pipeline(sales::CreatePipelineRequest) -> sales::CreatePipelineResponse,
        "CreatePipeline", pipeline;
    /// UpdatePipeline.
    update_pipeline = Opportunity.pipelines.update_pipeline(sales::UpdatePipelineRequest) -> sales::UpdatePipelineResponse,
        "UpdatePipeline", pipeline;
    /// DeactivatePipeline.
    deactivate_pipeline = Opportunity.pipelines.deactivate_pipeline(sales::DeactivatePipelineRequest) -> sales::DeactivatePipelineResponse,
        "DeactivatePipeline", pipeline;
    /// ActivatePipeline.
    activate_pipeline = Opportunity.pipelines.activate_pipeline(sales::ActivatePipelineRequest) -> sales::ActivatePipelineResponse,
        "ActivatePipeline", pipeline;
    /// CreateCompetitor.
    create_competitor = Opportunity.competitors.create_competitor(sales::CreateCompetitorRequest) -> sales::CreateCompetitorResponse,
        "CreateCompetitor", competitor;
    /// UpdateCompetitor.
    update_competitor = Opportunity.competitors.update_competitor(sales::UpdateCompetitorRequest) -> sales::UpdateCompetitorResponse,
        "UpdateCompetitor", competitor;
    /// DeactivateCompetitor.
    deactivate_competitor = Opportunity.competitors.deactivate_competitor(sales::DeactivateCompetitorRequest) -> sales::DeactivateCompetitorResponse,
        "DeactivateCompetitor", competitor;
    /// ActivateCompetitor.
    activate_competitor = Opportunity.competitors.activate_competitor(sales::ActivateCompetitorRequest) -> sales::ActivateCompetitorResponse,
        "ActivateCompetitor", competitor;
    /// UpdateStalePolicy.
    update_stale_policy = Opportunity.stale.update_stale_policy(sales::UpdateStalePolicyRequest) -> sales::UpdateStalePolicyResponse,
        "UpdateStalePolicy", stale_policy;
    /// SnoozeOpportunity.
    snooze_opportunity = Opportunity.opportunities.snooze_opportunity(sales::SnoozeOpportunityRequest) -> sales::SnoozeOpportunityResponse,
        "SnoozeOpportunity", opportunity;
    /// ResumeOpportunity.
    resume_opportunity = Opportunity.opportunities.resume_opportunity(sales::ResumeOpportunityRequest) -> sales::ResumeOpportunityResponse,
        "ResumeOpportunity", opportunity;
    /// WinOpportunity.
    win_opportunity = Opportunity.opportunities.win_opportunity(sales::WinOpportunityRequest) -> sales::WinOpportunityResponse,
        "WinOpportunity", opportunity [propagation];
    /// CloseOutOpportunity.
    close_out_opportunity = Opportunity.opportunities.close_out_opportunity(sales::CloseOutOpportunityRequest) -> sales::CloseOutOpportunityResponse,
        "CloseOutOpportunity", opportunity [close_out];
    /// ReopenOpportunity.
    reopen_opportunity = Opportunity.opportunities.reopen_opportunity(sales::ReopenOpportunityRequest) -> sales::ReopenOpportunityResponse,
        "ReopenOpportunity", opportunity [close_out, propagation];
    /// CloseOutCustomer.
    close_out_customer = Opportunity.groups.close_out_customer(sales::CloseOutCustomerRequest) -> sales::CloseOutCustomerResponse,
        "CloseOutCustomer", customer_close_out;
    /// ReopenCustomer.
    reopen_customer = Opportunity.groups.reopen_customer(sales::ReopenCustomerRequest) -> sales::ReopenCustomerResponse,
        "ReopenCustomer", customer_close_out;
    /// UpdateWinBackPlan.
    update_win_back_plan = Opportunity.win_backs.update_win_back_plan(sales::UpdateWinBackPlanRequest) -> sales::UpdateWinBackPlanResponse,
        "UpdateWinBackPlan", win_back_plan;
    /// RecordWinBackContact.
    record_win_back_contact = Opportunity.win_backs.record_win_back_contact(sales::RecordWinBackContactRequest) -> sales::RecordWinBackContactResponse,
        "RecordWinBackContact", win_back_plan;
    /// GiveUpWinBackPlan.
    give_up_win_back_plan = Opportunity.win_backs.give_up_win_back_plan(sales::GiveUpWinBackPlanRequest) -> sales::GiveUpWinBackPlanResponse,
        "GiveUpWinBackPlan", win_back_plan;
    /// CreateTask of the opportunity service.
    create_selling_task = Opportunity.selling_tasks.create_task(sales::CreateTaskRequest) -> sales::CreateTaskResponse,
        "CreateTask", task;
    /// StartTask of the opportunity service.
    start_selling_task = Opportunity.selling_tasks.start_task(sales::StartTaskRequest) -> sales::StartTaskResponse,
        "StartTask", task;
    /// CompleteTask of the opportunity service.
    complete_selling_task = Opportunity.selling_tasks.complete_task(sales::CompleteTaskRequest) -> sales::CompleteTaskResponse,
        "CompleteTask", task;
    /// CancelTask of the opportunity service.
    cancel_selling_task = Opportunity.selling_tasks.cancel_task(sales::CancelTaskRequest) -> sales::CancelTaskResponse,
        "CancelTask", task;
    /// CreateOrder.
    create_order = Order.orders.create_order(trade::CreateOrderRequest) -> trade::CreateOrderResponse,
        "CreateOrder", order [propagation];
    /// UpdateOrder.
    update_order = Order.orders.update_order(trade::UpdateOrderRequest) -> trade::UpdateOrderResponse,
        "UpdateOrder", order;
    /// ConfirmOrder.
    confirm_order = Order.orders.confirm_order(trade::ConfirmOrderRequest) -> trade::ConfirmOrderResponse,
        "ConfirmOrder", order [propagation];
    /// RecordFulfilment.
    record_fulfilment = Order.orders.record_fulfilment(trade::RecordFulfilmentRequest) -> trade::RecordFulfilmentResponse,
        "RecordFulfilment", order;
    /// CancelOrderLines.
    cancel_order_lines = Order.orders.cancel_order_lines(trade::CancelOrderLinesRequest) -> trade::CancelOrderLinesResponse,
        "CancelOrderLines", order;
    /// RecordPayment.
    record_payment = Order.orders.record_payment(trade::RecordPaymentRequest) -> trade::RecordPaymentResponse,
        "RecordPayment", order;
    /// CloseOutOrder.
    close_out_order = Order.orders.close_out_order(trade::CloseOutOrderRequest) -> trade::CloseOutOrderResponse,
        "CloseOutOrder", order [close_out];
    /// ReopenOrder.
    reopen_order = Order.orders.reopen_order(trade::ReopenOrderRequest) -> trade::ReopenOrderResponse,
        "ReopenOrder", order [close_out];
    /// CreateTask of the order service.
    create_order_task = Order.order_tasks.create_task(trade::CreateTaskRequest) -> trade::CreateTaskResponse,
        "CreateTask", task;
    /// StartTask of the order service.
    start_order_task = Order.order_tasks.start_task(trade::StartTaskRequest) -> trade::StartTaskResponse,
        "StartTask", task;
    /// CompleteTask of the order service.
    complete_order_task = Order.order_tasks.complete_task(trade::CompleteTaskRequest) -> trade::CompleteTaskResponse,
        "CompleteTask", task;
    /// CancelTask of the order service.
    cancel_order_task = Order.order_tasks.cancel_task(trade::CancelTaskRequest) -> trade::CancelTaskResponse,
        "CancelTask", task;
}

/// What operators do, noted in the same way. The last part: the resource that an answer is about.
macro_rules! interventions {
    ($($(#[$doc:meta])* $name:ident = $side:ident.$client:ident.$method:ident($request:ty) -> $reply:ty,
        $word:literal, $resource:expr;)+) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $name(&self, mut request: $request) -> Result<$reply, Status> {
                if request.request_id.is_empty() {
                    request.request_id = Uuid::now_v7().to_string();
                }
                let asked = self.asks(Side::$side, $word, &request.request_id, &request.encode_to_vec());
                let answer = self.$client.clone().$method(request).await.map(Response::into_inner);
                let resource: fn(&$reply) -> String = $resource;
                match (asked, &answer) {
                    (Some(asked), Ok(reply)) => asked.done(&resource(reply), "", resource(reply).as_bytes()),
                    (Some(asked), Err(status)) => asked.refused(status),
                    (None, _) => {}
                }
                answer
            })+
        }
    };
}

fn message(parked: Option<&common::ParkedMessage>) -> String {
    parked.map(|message| message.name.clone()).unwrap_or_default()
}

interventions! {
    /// ReorderCloseOutReasons; the first one has to move.
    reorder_reasons = Opportunity.reasons.reorder_close_out_reasons(sales::ReorderCloseOutReasonsRequest) -> sales::ReorderCloseOutReasonsResponse,
        "ReorderCloseOutReasons", |reply| reply.reasons[0].name.clone();
    /// MergeCloseOutReasons; the first one has to change.
    merge_reasons = Opportunity.reasons.merge_close_out_reasons(sales::MergeCloseOutReasonsRequest) -> sales::MergeCloseOutReasonsResponse,
        "MergeCloseOutReasons", |reply| reply.reasons[0].name.clone();
    /// AmendCloseOut of the opportunity service; about the opportunity.
    amend_sales_close_out = Opportunity.sales_close_outs.amend_close_out(sales::AmendCloseOutRequest) -> sales::AmendCloseOutResponse,
        "AmendCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// AmendCloseOut of the order service; about the order.
    amend_trade_close_out = Order.trade_close_outs.amend_close_out(trade::AmendCloseOutRequest) -> trade::AmendCloseOutResponse,
        "AmendCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// ApproveCloseOut of the opportunity service; about the opportunity.
    approve_sales_close_out = Opportunity.sales_close_outs.approve_close_out(sales::ApproveCloseOutRequest) -> sales::ApproveCloseOutResponse,
        "ApproveCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// RejectCloseOut of the opportunity service; about the opportunity.
    reject_sales_close_out = Opportunity.sales_close_outs.reject_close_out(sales::RejectCloseOutRequest) -> sales::RejectCloseOutResponse,
        "RejectCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// WithdrawCloseOut of the opportunity service; about the opportunity.
    withdraw_sales_close_out = Opportunity.sales_close_outs.withdraw_close_out(sales::WithdrawCloseOutRequest) -> sales::WithdrawCloseOutResponse,
        "WithdrawCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// ApproveCloseOut of the order service; about the order.
    approve_trade_close_out = Order.trade_close_outs.approve_close_out(trade::ApproveCloseOutRequest) -> trade::ApproveCloseOutResponse,
        "ApproveCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// RejectCloseOut of the order service; about the order.
    reject_trade_close_out = Order.trade_close_outs.reject_close_out(trade::RejectCloseOutRequest) -> trade::RejectCloseOutResponse,
        "RejectCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// WithdrawCloseOut of the order service; about the order.
    withdraw_trade_close_out = Order.trade_close_outs.withdraw_close_out(trade::WithdrawCloseOutRequest) -> trade::WithdrawCloseOutResponse,
        "WithdrawCloseOut", |reply| reply.close_out.clone().unwrap().subject;
    /// RetryParkedMessage of the opportunity service.
    retry_sales_message = Opportunity.sales_operator.retry_parked_message(sales::RetryParkedMessageRequest) -> sales::RetryParkedMessageResponse,
        "RetryParkedMessage", |reply| message(reply.parked_message.as_ref());
    /// SkipParkedMessage of the opportunity service.
    skip_sales_message = Opportunity.sales_operator.skip_parked_message(sales::SkipParkedMessageRequest) -> sales::SkipParkedMessageResponse,
        "SkipParkedMessage", |reply| message(reply.parked_message.as_ref());
    /// ResendLane of the opportunity service.
    resend_sales_lane = Opportunity.sales_operator.resend_lane(sales::ResendLaneRequest) -> sales::ResendLaneResponse,
        "ResendLane", |reply| format!("{}/messages/{}", reply.record, reply.number);
    /// ReorderPipelines; about the one that comes first.
    reorder_pipelines = Opportunity.pipelines.reorder_pipelines(sales::ReorderPipelinesRequest) -> sales::ReorderPipelinesResponse,
        "ReorderPipelines", |reply| reply.pipelines[0].name.clone();
    /// MergeCompetitors; about the first source, which has to change.
    merge_competitors = Opportunity.competitors.merge_competitors(sales::MergeCompetitorsRequest) -> sales::MergeCompetitorsResponse,
        "MergeCompetitors", |reply| reply.sources[0].name.clone();
    /// RetryParkedMessage of the order service.
    retry_trade_message = Order.trade_operator.retry_parked_message(trade::RetryParkedMessageRequest) -> trade::RetryParkedMessageResponse,
        "RetryParkedMessage", |reply| message(reply.parked_message.as_ref());
    /// SkipParkedMessage of the order service.
    skip_trade_message = Order.trade_operator.skip_parked_message(trade::SkipParkedMessageRequest) -> trade::SkipParkedMessageResponse,
        "SkipParkedMessage", |reply| message(reply.parked_message.as_ref());
    /// ResendLane of the order service.
    resend_trade_lane = Order.trade_operator.resend_lane(trade::ResendLaneRequest) -> trade::ResendLaneResponse,
        "ResendLane", |reply| format!("{}/messages/{}", reply.record, reply.number);
}

impl Client {
    /// A client of these services that may do everything.
    pub fn new(sales: &str, trade: &str, tenant: TenantId, principal: &str, history: History) -> Self {
        Self::with(sales, trade, tenant, (principal, &["admin"], &[]), history)
    }

    /// A client that has these roles and is in these teams.
    pub fn with(
        sales: &str,
        trade: &str,
        tenant: TenantId,
        (principal, roles, teams): (&str, &[&str], &[&str]),
        history: History,
    ) -> Self {
        // Whatever is refused is told in Chinese, too; who asks for nothing is in the tests of `crm-runtime`.
        let identity = || Identity::new(tenant, principal).unwrap().with(roles, teams).speaking(Language::Chinese);
        let channel = |url| connect_as(url, identity()).unwrap();
        let (sales, trade) = (channel(sales), channel(trade));
        Self {
            customers: CustomerServiceClient::new(sales.clone()),
            opportunities: OpportunityServiceClient::new(sales.clone()),
            reasons: CloseOutReasonServiceClient::new(sales.clone()),
            settings: SettingsServiceClient::new(sales.clone()),
            rates: ExchangeRateServiceClient::new(sales.clone()),
            copied_settings: CopiedSettings::new(trade.clone()),
            stale: StaleServiceClient::new(sales.clone()),
            groups: CustomerCloseOutServiceClient::new(sales.clone()),
            win_backs: WinBackServiceClient::new(sales.clone()),
            competitors: CompetitorServiceClient::new(sales.clone()),
            pipelines: PipelineServiceClient::new(sales.clone()),
            selling_tasks: SellingTasks::new(sales.clone()),
            sales_close_outs: SalesCloseOuts::new(sales.clone()),
            sales_operator: SalesOperator::new(sales),
            trade_records: TradeRecords::new(trade.clone()),
            orders: OrderServiceClient::new(trade.clone()),
            copied_reasons: CopiedReasons::new(trade.clone()),
            order_tasks: OrderTasks::new(trade.clone()),
            trade_close_outs: TradeCloseOuts::new(trade.clone()),
            trade_operator: TradeOperator::new(trade),
            tenant,
            principal: principal.into(),
            history,
        }
    }

    /// SweepStaleOpportunities, whole. What it changes it names only in its answer, each with an id of its own.
    pub async fn sweep_stale(
        &self,
        request: sales::SweepStaleOpportunitiesRequest,
    ) -> Result<Vec<StaleResult>, Status> {
        let (call, judged) = (Uuid::parse_str(&request.request_id).unwrap(), request.validate_only);
        let mut parts = self.stale.clone().sweep_stale_opportunities(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(part) = parts.message().await? {
            for one in &part.results {
                let stale = one.stale.as_ref().unwrap();
                let (name, level) = (&stale.opportunity.as_ref().unwrap().name, stale.level().as_str_name());
                let level = level.strip_prefix("STALE_LEVEL_").unwrap();
                let since = stale.since_time.unwrap();
                let micros = since.seconds * 1_000_000 + i64::from(since.nanos) / 1_000;
                let digest = wire::hash(&[call.as_bytes(), format!("{name}@{level}@{micros}").as_bytes()].concat());
                let id = Builder::from_custom_bytes(digest[..16].try_into().unwrap()).into_uuid();
                if !judged {
                    // Whether it did anything is told by the audit trail.
                    drop(self.asks(Side::Opportunity, "SweepStaleOpportunities", &id.to_string(), &[]));
                }
            }
            all.extend(part.results);
        }
        Ok(all)
    }

    /// None: the id is none, so nothing can be done for it.
    pub(crate) fn asks(&self, side: Side, method: &'static str, request_id: &str, body: &[u8]) -> Option<Asked> {
        let id = request_id.parse().ok()?;
        let request = Request { side, tenant: self.tenant, principal: self.principal.clone(), method, id };
        Some(self.history.asks(request, body))
    }

    /// Makes a customer, known to both services.
    pub async fn customer(&self) -> String {
        let customer = sales::Customer { display_name: "海康 Hik".into(), ..Default::default() };
        let request = sales::CreateCustomerRequest { customer: Some(customer), ..Default::default() };
        self.create_customer(request).await.unwrap().customer.unwrap().name
    }

    /// Makes an opportunity over 100 CNY, and waits for the order service if it is up.
    pub async fn opportunity(&self, customer: &str) -> String {
        let opportunity = sales::Opportunity {
            title: "Cameras".into(),
            customer: customer.to_owned(),
            amount: cny(100),
            ..Default::default()
        };
        let wait = Wait::Peer.into();
        let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), wait, ..Default::default() };
        self.create_opportunity(request).await.unwrap().opportunity.unwrap().name
    }

    /// Makes a draft order of 3 for 10 CNY each; an empty opportunity: none.
    pub async fn order(&self, customer: &str, opportunity: &str) -> String {
        let line =
            trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price: cny(10), ..Default::default() };
        let order = trade::Order {
            customer: customer.to_owned(),
            opportunity: opportunity.to_owned(),
            lines: vec![line],
            ..Default::default()
        };
        let request = trade::CreateOrderRequest { order: Some(order), wait: Wait::Peer.into(), ..Default::default() };
        self.create_order(request).await.unwrap().order.unwrap().name
    }

    /// Makes a task of the opportunity service.
    pub async fn selling_task(&self, parent: &str, kind: TaskKind) -> String {
        let request = sales::CreateTaskRequest { task: Some(task(parent, kind)), ..Default::default() };
        self.create_selling_task(request).await.unwrap().task.unwrap().name
    }

    /// Makes a task of the order service.
    pub async fn order_task(&self, parent: &str, kind: TaskKind) -> String {
        let request = trade::CreateTaskRequest { task: Some(task(parent, kind)), ..Default::default() };
        self.create_order_task(request).await.unwrap().task.unwrap().name
    }

    /// Reads a close-out of an opportunity.
    pub async fn sales_close_out(&self, name: &str) -> common::CloseOut {
        let request = sales::GetCloseOutRequest { name: name.to_owned() };
        self.sales_close_outs.clone().get_close_out(request).await.unwrap().into_inner().close_out.unwrap()
    }

    /// Reads a close-out of an order.
    pub async fn trade_close_out(&self, name: &str) -> common::CloseOut {
        let request = trade::GetCloseOutRequest { name: name.to_owned() };
        self.trade_close_outs.clone().get_close_out(request).await.unwrap().into_inner().close_out.unwrap()
    }

    /// Tasks of the opportunity service for a record.
    pub async fn selling_tasks_of(&self, parent: &str) -> Vec<Task> {
        let request = sales::ListTasksRequest { parent: parent.to_owned(), ..Default::default() };
        self.selling_tasks.clone().list_tasks(request).await.unwrap().into_inner().tasks
    }

    /// Tasks of the order service for a record.
    pub async fn order_tasks_of(&self, parent: &str) -> Vec<Task> {
        let request = trade::ListTasksRequest { parent: parent.to_owned(), ..Default::default() };
        self.order_tasks.clone().list_tasks(request).await.unwrap().into_inner().tasks
    }
}

/// Reads: each is noted with what it showed; `get` panics where there is nothing to show, `look` tells why.
macro_rules! reads {
    ($($(#[$doc:meta])* $get:ident, $look:ident = $side:ident.$client:ident.$method:ident($package:ident::$request:ident) -> $field:ident: $record:ty;)+) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $get(&self, name: &str) -> $record {
                self.$look(name).await.unwrap()
            }

            $(#[$doc])*
            pub async fn $look(&self, name: &str) -> Result<$record, Status> {
                let reading = self.history.reads(Side::$side, self.tenant);
                let request = $package::$request { name: name.to_owned() };
                let reply = self.$client.clone().$method(request).await?;
                let record = reply.into_inner().$field.unwrap();
                reading.saw(&record.name, &record.etag);
                Ok(record)
            })+
        }
    };
}

reads! {
    /// Reads an opportunity.
    get_opportunity, look_at_opportunity = Opportunity.opportunities.get_opportunity(sales::GetOpportunityRequest) -> opportunity: sales::Opportunity;
    /// Reads a competitor.
    get_competitor, look_at_competitor = Opportunity.competitors.get_competitor(sales::GetCompetitorRequest) -> competitor: sales::Competitor;
    /// Reads an order.
    get_order, look_at_order = Order.orders.get_order(trade::GetOrderRequest) -> order: trade::Order;
    /// Reads the close-out of a customer.
    get_group, look_at_group = Opportunity.groups.get_customer_close_out(sales::GetCustomerCloseOutRequest) -> customer_close_out: sales::CustomerCloseOut;
    /// Reads a customer as sales sees it.
    relationship, look_at_relationship = Opportunity.customers.get_customer(sales::GetCustomerRequest) -> customer: sales::Customer;
    /// Reads a customer's trade record.
    trade_record, look_at_trade_record = Order.trade_records.get_customer(trade::GetCustomerRequest) -> customer: trade::Customer;
}

fn task(parent: &str, kind: TaskKind) -> Task {
    Task { parent: parent.to_owned(), kind: kind.into(), title: "Do it".into(), ..Default::default() }
}

/// So many yuan.
pub fn cny(units: i64) -> Option<Money> {
    Some(Money { currency_code: "CNY".into(), units, nanos: 0 })
}

/// Closes an opportunity out, the usual way.
pub fn closing(opportunity: &str) -> sales::CloseOutOpportunityRequest {
    sales::CloseOutOpportunityRequest {
        name: opportunity.to_owned(),
        reason: "closeOutReasons/NO_INTENT_NOW".into(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

/// Cancels an order, the usual way.
pub fn cancelling(order: &str) -> trade::CloseOutOrderRequest {
    trade::CloseOutOrderRequest {
        name: order.to_owned(),
        outcome: common::Outcome::Cancelled.into(),
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

/// Reopens an opportunity.
pub fn reopening(opportunity: &str) -> sales::ReopenOpportunityRequest {
    sales::ReopenOpportunityRequest {
        name: opportunity.to_owned(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}
