//! Streams of changes: begun now, and gone on after a token, with something that has changed since.

use crate::work::Known;
use crm_proto::{common::TaskKind, opportunity as sales, order as trade};
use crm_tests::client::Client;

/// A stream of one service, from its first message to the first record, twice.
macro_rules! watched {
    ($client:expr, $method:ident, $pb:ident :: $request:ident, $record:ident, $change:expr) => {{
        let mut client = $client.clone();
        let mut begun = client.$method($pb::$request::default()).await.unwrap().into_inner();
        let resume_token = begun.message().await.unwrap().unwrap().resume_token;
        $change.await;
        while begun.message().await.unwrap().unwrap().$record.is_none() {}
        let request = $pb::$request { resume_token, ..Default::default() };
        let mut again = client.$method(request).await.unwrap().into_inner();
        while again.message().await.unwrap().unwrap().$record.is_none() {}
    }};
}

/// Each stream of both services.
pub(crate) async fn watch(client: &Client, known: &Known) {
    let customer = &known.customer;
    let selling = async || drop(client.selling_task(customer, TaskKind::Demo).await);
    let ordering = async || drop(client.order_task(customer, TaskKind::Invoice).await);
    watched!(client.selling_tasks, watch_tasks, sales::WatchTasksRequest, task, selling());
    watched!(client.order_tasks, watch_tasks, trade::WatchTasksRequest, task, ordering());
    let of_sale = async || {
        let opportunity = client.opportunity(customer).await;
        client.close_out_opportunity(crm_tests::client::closing(&opportunity)).await.unwrap();
    };
    watched!(client.sales_close_outs, watch_close_outs, sales::WatchCloseOutsRequest, close_out, of_sale());
    let of_order = async || {
        let order = client.order(customer, "").await;
        client.close_out_order(crm_tests::client::cancelling(&order)).await.unwrap();
    };
    watched!(client.trade_close_outs, watch_close_outs, trade::WatchCloseOutsRequest, close_out, of_order());
}
