//! Closing out and reopening is the identity on what nobody has touched, and never overwrites what somebody has done in between:
//! random deals, random things done while they are closed. A run prints its seed; `IDENTITY_SEED` runs it again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::{Outcome, TaskKind, TaskState, Wait},
    opportunity as sales,
    opportunity::opportunity::State,
    order as trade,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    long,
    pair::Pair,
    place::Kind,
    stories,
};
use fastrand::Rng;
use prost_types::FieldMask;
use std::collections::BTreeMap;

stories!(what_was_closed_out_and_reopened_is_as_it_was);

fn rounds() -> usize {
    if long() { 500 } else { 25 }
}

/// A customer with one deal: an opportunity, its orders, and tasks for all of them.
struct Deal {
    customer: String,
    opportunity: String,
    orders: Vec<String>,
}

impl Deal {
    fn records(&self) -> Vec<&str> {
        [&self.opportunity].into_iter().chain(&self.orders).map(String::as_str).collect()
    }
}

async fn deal(client: &Client, random: &mut Rng) -> Deal {
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let mut orders = Vec::new();
    for _ in 0..random.usize(..3) {
        orders.push(client.order(&customer, &opportunity).await);
    }
    let deal = Deal { customer, opportunity, orders };
    for record in deal.records() {
        for _ in 0..random.usize(..4) {
            let kind = *random.choice(&[TaskKind::FollowUp, TaskKind::Quote]).unwrap();
            let name = client.selling_task(record, kind).await;
            if random.bool() {
                let start = sales::StartTaskRequest { name, ..Default::default() };
                client.start_selling_task(start).await.unwrap();
            }
        }
        for _ in 0..random.usize(..3) {
            let name = client.order_task(record, TaskKind::Procure).await;
            if random.bool() {
                let cancel = trade::CancelTaskRequest { name, ..Default::default() };
                client.cancel_order_task(cancel).await.unwrap();
            }
        }
    }
    deal
}

/// What a reopening has to bring back.
#[derive(Debug, PartialEq)]
struct Picture {
    opportunity: (State, String, Option<crm_proto::Money>, String, Option<prost_types::Timestamp>),
    orders: Vec<(OrderState, Vec<trade::OrderLine>, String, Option<crm_proto::Money>)>,
    tasks: BTreeMap<String, (TaskState, String, String)>,
    sums: (Vec<sales::RelationshipAmounts>, Vec<trade::TradeAmounts>, i64),
}

async fn picture(client: &Client, deal: &Deal) -> Picture {
    let it = client.get_opportunity(&deal.opportunity).await;
    let opportunity = (it.state(), it.stage, it.amount, it.close_out, it.close_time);
    let mut orders = Vec::new();
    for name in &deal.orders {
        let order = client.get_order(name).await;
        orders.push((order.state(), order.lines, order.close_out, order.paid));
    }
    let mut tasks = BTreeMap::new();
    for record in deal.records() {
        let both = [client.selling_tasks_of(record).await, client.order_tasks_of(record).await].concat();
        tasks.extend(both.into_iter().map(|task| (task.name.clone(), (task.state(), task.title, task.assignee))));
    }
    let (relationship, record) = (client.relationship(&deal.customer).await, client.trade_record(&deal.customer).await);
    Picture { opportunity, orders, tasks, sums: (relationship.amounts, record.amounts, record.deals_lost) }
}

/// Decides from which end the deal is closed out: where from its last order, that is made the last one and answered.
async fn last_order(client: &Client, deal: &Deal, random: &mut Rng) -> Option<String> {
    if let (Some(order), true) = (deal.orders.first(), random.bool()) {
        // The last order of a won opportunity takes everything with it.
        let win = sales::WinOpportunityRequest {
            name: deal.opportunity.clone(),
            wait: Wait::Peer.into(),
            ..Default::default()
        };
        client.win_opportunity(win).await.unwrap();
        let confirm = trade::ConfirmOrderRequest { name: order.clone(), wait: Wait::Peer.into(), ..Default::default() };
        client.confirm_order(confirm).await.unwrap();
        return Some(order.clone());
    }
    None
}

/// Something that a person does to the customer while the deal is closed; what it must still be afterwards.
async fn meddle(client: &Client, deal: &Deal, random: &mut Rng) -> Option<String> {
    match random.u8(..3) {
        0 => None,
        1 => {
            let name = format!("海康 {}", random.u32(..));
            let customer =
                sales::Customer { name: deal.customer.clone(), display_name: name.clone(), ..Default::default() };
            let update_mask = Some(FieldMask { paths: vec!["display_name".into()] });
            let request = sales::UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() };
            client.update_customer(request).await.unwrap();
            Some(name)
        }
        _ => {
            // What is to be done later may be entered on what is closed, and is nobody's but that person's.
            client.selling_task(&deal.opportunity, TaskKind::WinBack).await;
            None
        }
    }
}

async fn what_was_closed_out_and_reopened_is_as_it_was(kind: Kind) {
    let seed =
        std::env::var("IDENTITY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("IDENTITY_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let mut ways = [0; 2];
    for _ in 0..rounds() {
        let deal = deal(&client, &mut random).await;
        let by_order = last_order(&client, &deal, &mut random).await;
        pair.quiet().await;
        let before = picture(&client, &deal).await;
        match &by_order {
            Some(order) => {
                let lose = Policy::Lose.into();
                let request = trade::CloseOutOrderRequest { won_opportunity_policy: lose, ..cancelling(order) };
                let closed = client.close_out_order(request).await.unwrap().close_out.unwrap();
                assert_eq!(closed.outcome(), Outcome::Cancelled);
            }
            None => drop(client.close_out_opportunity(closing(&deal.opportunity)).await.unwrap()),
        }
        pair.quiet().await;
        let closed = picture(&client, &deal).await;
        assert_eq!(closed.opportunity.0, State::ClosedOut);
        let open = |(_, (state, ..)): &(&String, &(TaskState, String, String))| {
            matches!(state, TaskState::Open | TaskState::InProgress)
        };
        assert_eq!(closed.tasks.iter().filter(open).count(), 0, "{closed:?}");

        let renamed = meddle(&client, &deal, &mut random).await;
        match &by_order {
            Some(order) => {
                let request = trade::ReopenOrderRequest { name: order.clone(), ..Default::default() };
                client.reopen_order(request).await.unwrap();
            }
            None => drop(client.reopen_opportunity(reopening(&deal.opportunity)).await.unwrap()),
        }
        pair.quiet().await;
        let mut after = picture(&client, &deal).await;
        after.tasks.retain(|name, _| before.tasks.contains_key(name));
        assert_eq!(after, before);
        let named = client.relationship(&deal.customer).await.display_name;
        assert_eq!(named, renamed.unwrap_or_else(|| "海康 Hik".to_owned()));
        ways[usize::from(by_order.is_some())] += 1;
    }
    println!("{} from the opportunity, {} from its last order", ways[0], ways[1]);
    assert!(ways.iter().all(|count| *count > 0), "{ways:?}");
    pair.end().await;
}
