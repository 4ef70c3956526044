//! A client of both services that notes what it was answered.

use crm_checker::{History, OkAnswer};
use crm_closeout::ids::TenantId;
use crm_proto::{
    Money, common,
    common::{Task, TaskKind, Wait},
    opportunity as sales, order as trade,
};
use crm_runtime::channel::{Identity, PublicChannel, connect_as};
use sales::{
    close_out_service_client::CloseOutServiceClient as SalesCloseOuts,
    competitor_service_client::CompetitorServiceClient, customer_service_client::CustomerServiceClient,
    opportunity_service_client::OpportunityServiceClient, task_service_client::TaskServiceClient as SellingTasks,
};
use std::sync::{Arc, Mutex};
use tonic::Status;
use trade::{
    close_out_service_client::CloseOutServiceClient as TradeCloseOuts,
    customer_service_client::CustomerServiceClient as TradeRecords, order_service_client::OrderServiceClient,
    task_service_client::TaskServiceClient as OrderTasks,
};
use uuid::Uuid;

/// A client; a clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// Customers of the opportunity service.
    pub customers: CustomerServiceClient<PublicChannel>,
    /// Opportunities.
    pub opportunities: OpportunityServiceClient<PublicChannel>,
    /// Competitors.
    pub competitors: CompetitorServiceClient<PublicChannel>,
    /// Selling tasks.
    pub selling_tasks: SellingTasks<PublicChannel>,
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
    tenant: TenantId,
    principal: String,
    history: Arc<Mutex<History>>,
}

/// Mutations: each gets a request id if it has none, and an OK answer is noted.
macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $client:ident.$method:ident($request:ty) -> $reply:ty, $word:literal, $field:ident;)+) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $name(&self, mut request: $request) -> Result<$reply, Status> {
                if request.request_id.is_empty() {
                    request.request_id = Uuid::now_v7().to_string();
                }
                let (id, noted) = (request.request_id.clone(), !request.validate_only);
                let reply = self.$client.clone().$method(request).await?.into_inner();
                if let Some(resource) = reply.$field.as_ref().filter(|_| noted) {
                    self.note($word, &id, &resource.name, &resource.etag);
                }
                Ok(reply)
            })+
        }
    };
}

mutations! {
    /// CreateCustomer.
    create_customer = customers.create_customer(sales::CreateCustomerRequest) -> sales::CreateCustomerResponse, "CreateCustomer", customer;
    /// UpdateCustomer.
    update_customer = customers.update_customer(sales::UpdateCustomerRequest) -> sales::UpdateCustomerResponse, "UpdateCustomer", customer;
    /// CreateOpportunity.
    create_opportunity = opportunities.create_opportunity(sales::CreateOpportunityRequest) -> sales::CreateOpportunityResponse, "CreateOpportunity", opportunity;
    /// UpdateOpportunity.
    update_opportunity = opportunities.update_opportunity(sales::UpdateOpportunityRequest) -> sales::UpdateOpportunityResponse, "UpdateOpportunity", opportunity;
    /// WinOpportunity.
    win_opportunity = opportunities.win_opportunity(sales::WinOpportunityRequest) -> sales::WinOpportunityResponse, "WinOpportunity", opportunity;
    /// CloseOutOpportunity.
    close_out_opportunity = opportunities.close_out_opportunity(sales::CloseOutOpportunityRequest) -> sales::CloseOutOpportunityResponse, "CloseOutOpportunity", opportunity;
    /// ReopenOpportunity.
    reopen_opportunity = opportunities.reopen_opportunity(sales::ReopenOpportunityRequest) -> sales::ReopenOpportunityResponse, "ReopenOpportunity", opportunity;
    /// CreateTask of the opportunity service.
    create_selling_task = selling_tasks.create_task(sales::CreateTaskRequest) -> sales::CreateTaskResponse, "CreateTask", task;
    /// CreateOrder.
    create_order = orders.create_order(trade::CreateOrderRequest) -> trade::CreateOrderResponse, "CreateOrder", order;
    /// ConfirmOrder.
    confirm_order = orders.confirm_order(trade::ConfirmOrderRequest) -> trade::ConfirmOrderResponse, "ConfirmOrder", order;
    /// RecordFulfilment.
    record_fulfilment = orders.record_fulfilment(trade::RecordFulfilmentRequest) -> trade::RecordFulfilmentResponse, "RecordFulfilment", order;
    /// RecordPayment.
    record_payment = orders.record_payment(trade::RecordPaymentRequest) -> trade::RecordPaymentResponse, "RecordPayment", order;
    /// CloseOutOrder.
    close_out_order = orders.close_out_order(trade::CloseOutOrderRequest) -> trade::CloseOutOrderResponse, "CloseOutOrder", order;
    /// ReopenOrder.
    reopen_order = orders.reopen_order(trade::ReopenOrderRequest) -> trade::ReopenOrderResponse, "ReopenOrder", order;
    /// CreateTask of the order service.
    create_order_task = order_tasks.create_task(trade::CreateTaskRequest) -> trade::CreateTaskResponse, "CreateTask", task;
}

impl Client {
    /// A client of these services.
    pub fn new(sales: &str, trade: &str, tenant: TenantId, principal: &str, history: Arc<Mutex<History>>) -> Self {
        let channel = |url| connect_as(url, Identity::new(tenant, principal).unwrap()).unwrap();
        let (sales, trade) = (channel(sales), channel(trade));
        Self {
            customers: CustomerServiceClient::new(sales.clone()),
            opportunities: OpportunityServiceClient::new(sales.clone()),
            competitors: CompetitorServiceClient::new(sales.clone()),
            selling_tasks: SellingTasks::new(sales.clone()),
            sales_close_outs: SalesCloseOuts::new(sales),
            trade_records: TradeRecords::new(trade.clone()),
            orders: OrderServiceClient::new(trade.clone()),
            order_tasks: OrderTasks::new(trade.clone()),
            trade_close_outs: TradeCloseOuts::new(trade),
            tenant,
            principal: principal.to_owned(),
            history,
        }
    }

    fn note(&self, method: &str, request_id: &str, resource: &str, etag: &str) {
        let answer = OkAnswer {
            tenant: self.tenant,
            principal: self.principal.clone(),
            method: method.to_owned(),
            request_id: request_id.parse().unwrap(),
            resource: resource.to_owned(),
            etag: etag.to_owned(),
        };
        self.history.lock().unwrap().answers.push(answer);
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

    /// Reads an opportunity.
    pub async fn get_opportunity(&self, name: &str) -> sales::Opportunity {
        let request = sales::GetOpportunityRequest { name: name.to_owned() };
        self.opportunities.clone().get_opportunity(request).await.unwrap().into_inner().opportunity.unwrap()
    }

    /// Reads an order.
    pub async fn get_order(&self, name: &str) -> trade::Order {
        let request = trade::GetOrderRequest { name: name.to_owned() };
        self.orders.clone().get_order(request).await.unwrap().into_inner().order.unwrap()
    }

    /// Reads a customer as sales sees it.
    pub async fn relationship(&self, name: &str) -> sales::Customer {
        let request = sales::GetCustomerRequest { name: name.to_owned() };
        self.customers.clone().get_customer(request).await.unwrap().into_inner().customer.unwrap()
    }

    /// Reads a customer's trade record.
    pub async fn trade_record(&self, name: &str) -> trade::Customer {
        let request = trade::GetCustomerRequest { name: name.to_owned() };
        self.trade_records.clone().get_customer(request).await.unwrap().into_inner().customer.unwrap()
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
