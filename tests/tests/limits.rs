//! What may hang on one record is limited, also when it is asked for all at once: a close-out is always one commit on each side.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{Task, TaskKind, TaskState},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{closing, cny},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::future::join_all;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const TASKS: usize = 200;
const DRAFTS: usize = 50;
const TOO_MANY: usize = 10;

stories!(no_more_than_a_close_out_can_close);

/// So many were made; the rest was refused with the limit and the way out.
fn made<T>(answers: &[Result<T, Status>], limit: usize) {
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!((answers.len() - refused.len(), refused.len()), (limit, TOO_MANY));
    for status in refused {
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), &*info.reason), (Code::ResourceExhausted, "TOO_MANY_OPEN"), "{status}");
        assert_eq!(info.metadata["limit"], limit.to_string());
    }
}

async fn no_more_than_a_close_out_can_close(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let selling = (0..TASKS + TOO_MANY).map(|n| {
        let title = format!("Call {n}");
        let task = Task { parent: opportunity.clone(), kind: TaskKind::FollowUp.into(), title, ..Default::default() };
        client.create_selling_task(sales::CreateTaskRequest { task: Some(task), ..Default::default() })
    });
    made(&join_all(selling).await, TASKS);
    let drafts = (0..DRAFTS + TOO_MANY).map(|_| {
        let (product, unit_price) = ("Camera".into(), cny(1));
        let line = trade::OrderLine { product, quantity: 1, unit_price, ..Default::default() };
        let (customer, opportunity) = (customer.clone(), opportunity.clone());
        let order = trade::Order { customer, opportunity, lines: vec![line], ..Default::default() };
        client.create_order(trade::CreateOrderRequest { order: Some(order), ..Default::default() })
    });
    let drafts = join_all(drafts).await;
    made(&drafts, DRAFTS);
    let order = drafts.into_iter().find_map(Result::ok).unwrap().order.unwrap().name;
    let deliveries = (0..TASKS + TOO_MANY).map(|_| {
        let title = "Deliver".into();
        let task = Task { parent: order.clone(), kind: TaskKind::Deliver.into(), title, ..Default::default() };
        client.create_order_task(trade::CreateTaskRequest { task: Some(task), ..Default::default() })
    });
    made(&join_all(deliveries).await, TASKS);
    pair.quiet().await;
    // Everything is closed in one commit on each side.
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    let record = client.trade_record(&customer).await;
    assert_eq!((record.draft_count, record.cancelled_count), (0, DRAFTS as i64));
    let open = |tasks: &[Task]| tasks.iter().filter(|task| task.state() == TaskState::Open).count();
    let (sold, delivered) = (client.selling_tasks_of(&opportunity).await, client.order_tasks_of(&order).await);
    assert_eq!((open(&sold), open(&delivered)), (0, 0));
    pair.end().await;
}
