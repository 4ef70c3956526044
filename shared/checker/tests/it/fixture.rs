//! A small good pair of SQLite databases, made by both services in this process: close-outs both ways, reopened ones, a cascade,
//! tasks on both sides.

use clap::Parser;
use crm_checker::{History, OkAnswer, quiet};
use crm_closeout::ids::TenantId;
use crm_outbox::db::Db;
use crm_proto::{
    Money,
    common::{Outcome, Task, TaskKind, Wait},
    opportunity as sales,
    opportunity::{
        customer_service_client::CustomerServiceClient, opportunity_service_client::OpportunityServiceClient,
        task_service_client::TaskServiceClient as SellingTasks,
    },
    order as trade,
    order::{order_service_client::OrderServiceClient, task_service_client::TaskServiceClient as OrderTasks},
};
use crm_runtime::channel::{Identity, PublicChannel, connect_as};
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// The pair, and what its client saw.
pub(crate) struct Good {
    folder: TempDir,
    pub(crate) history: History,
}

/// Made once; nobody changes it.
pub(crate) async fn good() -> &'static Good {
    static GOOD: OnceCell<Good> = OnceCell::const_new();
    GOOD.get_or_init(make).await
}

/// A copy of the pair that may be broken.
pub(crate) struct Copy {
    pub(crate) opportunity: Db,
    pub(crate) order: Db,
    _folder: TempDir,
}

pub(crate) async fn copy() -> Copy {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(good().await.folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let (opportunity, order) = open(folder.path()).await;
    Copy { opportunity, order, _folder: folder }
}

async fn open(folder: &Path) -> (Db, Db) {
    let open = async |file| Db::open(&url(folder, file)).await.unwrap();
    (open("opportunity.db").await, open("order.db").await)
}

fn url(folder: &Path, file: &str) -> String {
    format!("sqlite://{}", folder.join(file).display())
}

async fn make() -> Good {
    let folder = tempfile::tempdir().unwrap();
    let arguments = |file| {
        let url = url(folder.path(), file);
        ["x", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--database-url", &url].map(str::to_owned)
    };
    let opportunity = crm_opportunity::Config::parse_from(arguments("opportunity.db"));
    let opportunity = crm_opportunity::App::bind(opportunity).await.unwrap();
    let order = crm_order::App::bind(crm_order::Config::parse_from(arguments("order.db"))).await.unwrap();
    let (sales, trade) = (opportunity.public_addr(), order.public_addr());
    let (sales_peer, trade_peer) = (opportunity.peer_addr(), order.peer_addr());
    let stop = CancellationToken::new();
    let stops = [stop.clone(), stop.clone()];
    let [first, second] = stops;
    let opportunity = tokio::spawn(async move { opportunity.serve(&[format!("http://{trade_peer}")], first).await });
    let order = tokio::spawn(async move { order.serve(&[format!("http://{sales_peer}")], second).await });
    let history = Box::pin(story(&format!("http://{sales}"), &format!("http://{trade}"))).await;
    let (sales, trade) = open(folder.path()).await;
    quiet(&sales, &trade, Duration::from_secs(20)).await.unwrap();
    stop.cancel();
    opportunity.await.unwrap().unwrap();
    order.await.unwrap().unwrap();
    sales.close().await;
    trade.close().await;
    Good { folder, history }
}

struct Client {
    opportunities: OpportunityServiceClient<PublicChannel>,
    orders: OrderServiceClient<PublicChannel>,
    selling: SellingTasks<PublicChannel>,
    tasks: OrderTasks<PublicChannel>,
    customer: String,
    history: History,
}

async fn story(sales: &str, trade: &str) -> History {
    let channel = |url| connect_as(url, Identity::new(TENANT, "ann").unwrap()).unwrap();
    let customer = sales::Customer { display_name: "海康".into(), ..sales::Customer::default() };
    let request = sales::CreateCustomerRequest { customer: Some(customer), ..Default::default() };
    let created = CustomerServiceClient::new(channel(sales)).create_customer(request).await.unwrap().into_inner();
    let mut client = Client {
        opportunities: OpportunityServiceClient::new(channel(sales)),
        orders: OrderServiceClient::new(channel(trade)),
        selling: SellingTasks::new(channel(sales)),
        tasks: OrderTasks::new(channel(trade)),
        customer: created.customer.unwrap().name,
        history: History::default(),
    };
    let closed = client.opportunity().await;
    client.order(&closed).await;
    client.close_out(&closed).await;
    let reopened = client.opportunity().await;
    client.order(&reopened).await;
    client.close_out(&reopened).await;
    client.reopen(&reopened).await;
    let won = client.opportunity().await;
    let order = client.order(&won).await;
    let request = trade::ConfirmOrderRequest { name: order.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.orders.confirm_order(request).await.unwrap();
    client
        .opportunities
        .win_opportunity(sales::WinOpportunityRequest { name: won, ..Default::default() })
        .await
        .unwrap();
    let request = trade::CloseOutOrderRequest {
        name: order,
        outcome: Outcome::Cancelled.into(),
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        ..Default::default()
    };
    client.orders.close_out_order(request).await.unwrap();
    client.opportunity().await;
    client.history
}

impl Client {
    /// An opportunity with a task on either side, known to both services.
    async fn opportunity(&mut self) -> String {
        let opportunity = sales::Opportunity {
            title: "Cameras".into(),
            customer: self.customer.clone(),
            amount: Some(Money { currency_code: "CNY".into(), units: 100, nanos: 0 }),
            ..Default::default()
        };
        let request = sales::CreateOpportunityRequest {
            opportunity: Some(opportunity),
            wait: Wait::Peer.into(),
            ..Default::default()
        };
        let reply = self.opportunities.create_opportunity(request).await.unwrap().into_inner();
        let name = reply.opportunity.unwrap().name;
        let task = Some(task(&name, TaskKind::Demo));
        self.selling.create_task(sales::CreateTaskRequest { task, ..Default::default() }).await.unwrap();
        let task = Some(task_of(&name));
        self.tasks.create_task(trade::CreateTaskRequest { task, ..Default::default() }).await.unwrap();
        name
    }

    /// A draft order with a task.
    async fn order(&mut self, opportunity: &str) -> String {
        let unit_price = Some(Money { currency_code: "CNY".into(), units: 10, nanos: 0 });
        let line = trade::OrderLine { product: "Camera".into(), quantity: 3, unit_price, ..Default::default() };
        let order = trade::Order {
            customer: self.customer.clone(),
            opportunity: opportunity.into(),
            lines: vec![line],
            ..Default::default()
        };
        let request = trade::CreateOrderRequest { order: Some(order), wait: Wait::Peer.into(), ..Default::default() };
        let name = self.orders.create_order(request).await.unwrap().into_inner().order.unwrap().name;
        let task = Some(task_of(&name));
        self.tasks.create_task(trade::CreateTaskRequest { task, ..Default::default() }).await.unwrap();
        name
    }

    async fn close_out(&mut self, opportunity: &str) {
        let request_id = Uuid::now_v7();
        let request = sales::CloseOutOpportunityRequest {
            name: opportunity.into(),
            reason: "closeOutReasons/NO_INTENT_NOW".into(),
            request_id: request_id.to_string(),
            ..Default::default()
        };
        let reply = self.opportunities.close_out_opportunity(request).await.unwrap().into_inner();
        self.saw("CloseOutOpportunity", request_id, &reply.opportunity.unwrap());
    }

    async fn reopen(&mut self, opportunity: &str) {
        let request_id = Uuid::now_v7();
        let request = sales::ReopenOpportunityRequest {
            name: opportunity.into(),
            request_id: request_id.to_string(),
            ..Default::default()
        };
        let reply = self.opportunities.reopen_opportunity(request).await.unwrap().into_inner();
        self.saw("ReopenOpportunity", request_id, &reply.opportunity.unwrap());
    }

    fn saw(&mut self, method: &str, request_id: Uuid, opportunity: &sales::Opportunity) {
        self.history.answers.push(OkAnswer {
            tenant: TENANT,
            principal: "ann".into(),
            method: method.into(),
            request_id,
            resource: opportunity.name.clone(),
            etag: opportunity.etag.clone(),
        });
    }
}

fn task_of(parent: &str) -> Task {
    task(parent, TaskKind::Procure)
}

fn task(parent: &str, kind: TaskKind) -> Task {
    Task { parent: parent.into(), kind: kind.into(), title: "Do it".into(), ..Default::default() }
}
