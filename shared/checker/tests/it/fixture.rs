//! A small good pair of SQLite databases, made by both services in this process: close-outs both ways, reopened ones, a cascade,
//! tasks on both sides.

use clap::Parser;
use crm_checker::{History, quiet};
use crm_closeout::ids::TenantId;
use crm_outbox::db::Db;
use crm_proto::{
    common::{CloseOutReason, Settings, TaskKind, VerificationPolicy, Wait},
    opportunity as sales, order as trade,
};
use crm_tests::client::{Client, cancelling, closing, reopening};
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

async fn story(sales: &str, trade: &str) -> History {
    let history = History::whole();
    let client = Client::new(sales, trade, TENANT, "ann", history.clone());
    let customer = client.customer().await;
    let edit = sales::UpdateCustomerRequest {
        customer: Some(sales::Customer { name: customer.clone(), tier: "A".into(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["tier".into()] }),
        ..Default::default()
    };
    client.update_customer(edit).await.unwrap();
    client.update_reason(relabelled()).await.unwrap();
    client.update_settings(decided()).await.unwrap();
    client.set_exchange_rate(dollars()).await.unwrap();
    let closed = opportunity(&client, &customer).await;
    order(&client, &customer, &closed).await;
    client.close_out_opportunity(closing(&closed)).await.unwrap();
    let reopened = opportunity(&client, &customer).await;
    order(&client, &customer, &reopened).await;
    client.close_out_opportunity(closing(&reopened)).await.unwrap();
    client.reopen_opportunity(reopening(&reopened)).await.unwrap();
    client.get_opportunity(&reopened).await;
    let won = opportunity(&client, &customer).await;
    let order = order(&client, &customer, &won).await;
    let wait = Wait::Peer.into();
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), wait, ..Default::default() }).await.unwrap();
    client.win_opportunity(sales::WinOpportunityRequest { name: won, ..Default::default() }).await.unwrap();
    client.close_out_order(cancelling(&order)).await.unwrap();
    opportunity(&client, &customer).await;
    history
}

/// A change of a built-in reason.
fn relabelled() -> sales::UpdateCloseOutReasonRequest {
    let reason = CloseOutReason { name: "closeOutReasons/OTHER".into(), category: "MORE".into(), ..Default::default() };
    let wait = Wait::Peer.into();
    sales::UpdateCloseOutReasonRequest { reason: Some(reason), wait, ..Default::default() }
}

/// A change of what the tenant has decided.
fn decided() -> sales::UpdateSettingsRequest {
    let verification = Some(VerificationPolicy { required: false, fresh_days: 7 });
    let settings = Some(Settings { verification, ..Default::default() });
    sales::UpdateSettingsRequest { settings, wait: Wait::Peer.into(), ..Default::default() }
}

/// What a dollar is worth.
fn dollars() -> sales::SetExchangeRateRequest {
    let exchange_rate = sales::ExchangeRate {
        currency: "USD".into(),
        to_currency: "CNY".into(),
        effective_time: Some(prost_types::Timestamp::default()),
        rate: "7.1".into(),
        ..Default::default()
    };
    let wait = Wait::Peer.into();
    sales::SetExchangeRateRequest { exchange_rate: Some(exchange_rate), wait, ..Default::default() }
}

/// An opportunity with a task on either side, known to both services.
async fn opportunity(client: &Client, customer: &str) -> String {
    let name = client.opportunity(customer).await;
    client.selling_task(&name, TaskKind::Demo).await;
    client.order_task(&name, TaskKind::Procure).await;
    name
}

/// A draft order with a task.
async fn order(client: &Client, customer: &str, opportunity: &str) -> String {
    let name = client.order(customer, opportunity).await;
    client.order_task(&name, TaskKind::Procure).await;
    name
}
