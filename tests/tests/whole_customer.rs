//! A customer is closed out as a whole: each open opportunity of it by the rules of its own, with what that causes on the other side, as
//! one group that is shown as one, survives a kill, and is taken back as one. What a rule speaks against is left open and told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::sql::{Args, Sql};
use crm_proto::{
    common::{self, CloseOut, CloseOutState, ReportDimension, TaskKind, TaskState},
    opportunity as sales,
    opportunity::{CustomerCloseOut, customer::Lifecycle, customer_close_out::State as Group, opportunity::State},
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use futures::future::join_all;
use prost_types::Timestamp;
use std::time::SystemTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    every_open_opportunity_goes_with_its_drafts_and_tasks_as_one_group,
    what_a_rule_is_against_is_left_open_and_told,
    what_was_confirmed_is_what_is_closed_out,
    taken_back_it_is_as_before_but_for_what_has_moved_since,
    it_goes_on_after_a_kill_and_does_nothing_twice,
    who_may_not_close_one_of_them_closes_none,
);

/// Opportunities of a customer that has very many.
const MANY: i32 = 520;

fn closing_customer(customer: &str) -> sales::CloseOutCustomerRequest {
    sales::CloseOutCustomerRequest {
        name: customer.to_owned(),
        reason: "closeOutReasons/CUSTOMER_CLOSED".into(),
        detail: "taken over in June".into(),
        ..Default::default()
    }
}

async fn close(client: &Client, customer: &str) -> CustomerCloseOut {
    client.close_out_customer(closing_customer(customer)).await.unwrap().customer_close_out.unwrap()
}

async fn take_back(client: &Client, group: &CustomerCloseOut) -> Result<CustomerCloseOut, Status> {
    let request = sales::ReopenCustomerRequest {
        name: group.name.clone(),
        note: "it was another company".into(),
        ..Default::default()
    };
    client.reopen_customer(request).await.map(|reply| reply.customer_close_out.unwrap())
}

/// Waits until the group is in this state.
async fn done(client: &Client, group: &CustomerCloseOut, state: Group) -> CustomerCloseOut {
    until(state.as_str_name(), QUIET, || async {
        let group = client.look_at_group(&group.name).await.ok()?;
        (group.state() == state).then_some(group)
    })
    .await
}

async fn of_group(client: &Client, group: &str) -> (Vec<CloseOut>, Vec<CloseOut>) {
    let sales = sales::ListCloseOutsRequest { group: group.to_owned(), ..Default::default() };
    let sales = client.sales_close_outs.clone().list_close_outs(sales).await.unwrap().into_inner().close_outs;
    let trade = trade::ListCloseOutsRequest { group: group.to_owned(), ..Default::default() };
    let trade = client.trade_close_outs.clone().list_close_outs(trade).await.unwrap().into_inner().close_outs;
    (sales, trade)
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

async fn every_open_opportunity_goes_with_its_drafts_and_tasks_as_one_group(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let (customer, other) = (client.customer().await, client.customer().await);
    let opportunities = join_all((0..4).map(|_| client.opportunity(&customer))).await;
    let (draft, kept) = (client.order(&customer, &opportunities[0]).await, client.opportunity(&other).await);
    client.selling_task(&opportunities[1], TaskKind::Demo).await;
    client.order_task(&draft, TaskKind::Deliver).await;
    let before = client.close_out_opportunity(closing(&opportunities[3])).await.unwrap().close_out.unwrap();

    let group = close(&client, &customer).await;
    assert_eq!((group.state(), group.opportunity_count, &*group.actor), (Group::Closing, 3, "ann"));
    let group = done(&client, &group, Group::Closed).await;
    assert_eq!((group.effective_count, group.left.len(), group.reversed_count), (3, 0, 0));
    pair.quiet().await;
    for name in &opportunities {
        assert_eq!(client.get_opportunity(name).await.state(), State::ClosedOut);
    }
    assert_eq!(client.get_order(&draft).await.state(), trade::order::State::Cancelled);
    assert_eq!(client.order_tasks_of(&draft).await[0].state(), TaskState::Cancelled);
    assert_eq!(client.selling_tasks_of(&opportunities[1]).await[0].state(), TaskState::Cancelled);
    assert_eq!(client.get_opportunity(&kept).await.state(), State::Open, "of another customer");
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.open_count, relationship.lost_count, &*relationship.closing), (0, 4, ""));
    assert_eq!((relationship.lifecycle(), client.trade_record(&customer).await.deals_lost), (Lifecycle::Lost, 4));

    let (own, caused) = of_group(&client, &group.name).await;
    assert_eq!((own.len(), caused.len(), &*caused[0].group), (3, 1, &*group.name));
    assert!(
        own.iter().all(|one| one.detail == "taken over in June" && one.cause.is_empty() && one.group == group.name)
    );
    assert!(client.sales_close_out(&before.name).await.group.is_empty());
    assert!(own.iter().any(|one| one.name == caused[0].cause));
    let (rows, total) = by_group(&client).await;
    let counts: Vec<_> = rows.iter().map(|row| (row.value.as_str(), row.label.as_str(), row.count)).collect();
    assert_eq!((counts, total), (vec![(group.name.as_str(), "海康 Hik", 3), ("", "", 1)], 4));
    let request = sales::ListCustomerCloseOutsRequest { customer: customer.clone(), ..Default::default() };
    let listed = client.groups.clone().list_customer_close_outs(request).await.unwrap().into_inner();
    assert_eq!(listed.customer_close_outs, [group]);
    pair.end().await;
}

async fn by_group(client: &Client) -> (Vec<common::ReportRow>, i64) {
    let now = Timestamp::from(SystemTime::now());
    let request = sales::ReportCloseOutsRequest {
        dimension: ReportDimension::Group.into(),
        closed_from: Some(Timestamp { seconds: now.seconds - 3_600, nanos: 0 }),
        ..Default::default()
    };
    let reply = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
    (reply.rows, reply.total.unwrap().count)
}

async fn what_a_rule_is_against_is_left_open_and_told(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (gone, kept) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    let order = client.order(&customer, &kept).await;
    let confirm = trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() };
    client.confirm_order(confirm).await.unwrap();
    pair.quiet().await;

    let group = close(&client, &customer).await;
    let group = done(&client, &group, Group::Closed).await;
    assert_eq!((group.opportunity_count, group.effective_count, group.left.len()), (2, 1, 1));
    let left = &group.left[0];
    assert_eq!((&*left.opportunity, &*left.reason), (&*kept, "LIVE_ORDER"));
    assert!(left.description.contains("订单"), "in the language of the call: {}", left.description);
    assert_eq!(client.get_opportunity(&gone).await.state(), State::ClosedOut);
    assert_eq!(client.get_opportunity(&kept).await.state(), State::Open);

    client.close_out_order(cancelling(&order)).await.unwrap();
    pair.quiet().await;
    let second = close(&client, &customer).await;
    let second = done(&client, &second, Group::Closed).await;
    assert_eq!((second.opportunity_count, second.effective_count, second.left.len()), (1, 1, 0));
    let nothing = client.close_out_customer(closing_customer(&customer)).await.unwrap_err();
    assert_eq!((nothing.code(), reason(&nothing).as_str()), (Code::FailedPrecondition, "NOTHING_OPEN"));
    let request =
        sales::CloseOutCustomerRequest { reason: "closeOutReasons/OTHER".into(), ..closing_customer(&customer) };
    let short = client.close_out_customer(sales::CloseOutCustomerRequest { detail: "?".into(), ..request }).await;
    let short = short.unwrap_err();
    assert_eq!(short.get_details_bad_request().unwrap().field_violations[0].field, "detail");
    pair.end().await;
}

async fn what_was_confirmed_is_what_is_closed_out(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let first = client.opportunity(&customer).await;
    client.selling_task(&first, TaskKind::Demo).await;
    let blocked = client.opportunity(&customer).await;
    let order = client.order(&customer, &blocked).await;
    let confirm = trade::ConfirmOrderRequest { name: order, ..Default::default() };
    client.confirm_order(confirm).await.unwrap();
    pair.quiet().await;
    let preview = |page_size, page_token: String| {
        let close_out = Some(closing_customer(&customer));
        let request = sales::PreviewCloseOutCustomerRequest { close_out, page_size, page_token };
        let mut groups = client.groups.clone();
        async move { groups.preview_close_out_customer(request).await.unwrap().into_inner() }
    };
    let page = preview(1, String::new()).await;
    assert_eq!((page.plans.len(), page.opportunity_count, &*page.plans[0].subject), (1, 2, &*first));
    assert!(page.plans[0].effects.iter().any(|effect| effect.kind() == common::EffectKind::TaskCancelled));
    let rest = preview(1, page.next_page_token.clone()).await;
    assert_eq!((&*rest.next_page_token, &rest.plan_hash), ("", &page.plan_hash));
    assert_eq!(rest.plans[0].obstacles[0].reason, "LIVE_ORDER");
    let audited = pair.audit_rows().await;
    let request = |plan_hash: &str, validate_only| sales::CloseOutCustomerRequest {
        plan_hash: plan_hash.to_owned(),
        validate_only,
        ..closing_customer(&customer)
    };
    client.close_out_customer(request(&page.plan_hash, true)).await.unwrap();
    assert_eq!(pair.audit_rows().await, audited, "a preview and a judgement change nothing");

    client.opportunity(&customer).await;
    let changed = client.close_out_customer(request(&page.plan_hash, false)).await.unwrap_err();
    assert_eq!((changed.code(), reason(&changed).as_str()), (Code::Aborted, "PLAN_CHANGED"));
    let garbage = client.close_out_customer(request("abc", false)).await.unwrap_err();
    assert_eq!(garbage.get_details_bad_request().unwrap().field_violations[0].field, "plan_hash");
    let now = preview(0, String::new()).await;
    assert_eq!(now.plans.len(), 3);
    let group = client.close_out_customer(request(&now.plan_hash, false)).await.unwrap().customer_close_out.unwrap();
    let group = done(&client, &group, Group::Closed).await;
    assert_eq!((group.effective_count, group.left.len()), (2, 1));
    pair.end().await;
}

async fn taken_back_it_is_as_before_but_for_what_has_moved_since(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunities = join_all((0..3).map(|_| client.opportunity(&customer))).await;
    let draft = client.order(&customer, &opportunities[1]).await;
    let task = client.selling_task(&opportunities[1], TaskKind::Demo).await;
    let group = close(&client, &customer).await;
    let group = done(&client, &group, Group::Closed).await;
    pair.quiet().await;
    // Reopened and closed out again by itself: that is another close-out, which is none of the group's.
    client.reopen_opportunity(reopening(&opportunities[0])).await.unwrap();
    let own = client.close_out_opportunity(closing(&opportunities[0])).await.unwrap().close_out.unwrap();
    take_back(&client, &group).await.unwrap();
    let reopened = done(&client, &group, Group::Reopened).await;
    assert_eq!((reopened.effective_count, reopened.reversed_count), (0, 3));
    let reopening = reopened.reopening.unwrap();
    assert_eq!((reopening.left.len(), &*reopening.note), (0, "it was another company"));
    assert_eq!(client.sales_close_out(&own.name).await.state(), CloseOutState::Effective);
    pair.quiet().await;
    for name in &opportunities[1..] {
        assert_eq!(client.get_opportunity(name).await.state(), State::Open);
    }
    assert_eq!(client.get_order(&draft).await.state(), trade::order::State::Draft);
    let tasks = client.selling_tasks_of(&opportunities[1]).await;
    assert_eq!((&*tasks[0].name, tasks[0].state()), (&*task, TaskState::Open));
    let again = take_back(&client, &group).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::FailedPrecondition, "NOT_CLOSED"));
    pair.end().await;
}

async fn it_goes_on_after_a_kill_and_does_nothing_twice(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    // More than are looked at together.
    let opportunities = join_all((0..MANY).map(|_| client.opportunity(&customer))).await;
    join_all(opportunities.iter().take(20).map(|name| client.selling_task(name, TaskKind::Demo))).await;
    let group = close(&client, &customer).await;
    // Killed as soon as it is asked for, and once more on the way.
    pair.opportunity.kill();
    pair.opportunity.start(&[]).await;
    release(&pair).await;
    let client = pair.client();
    until("some of them", QUIET, || async {
        let group = client.look_at_group(&group.name).await.ok()?;
        (group.effective_count > 0).then_some(())
    })
    .await;
    pair.opportunity.kill();
    pair.order.kill();
    pair.order.start(&[]).await;
    pair.opportunity.start(&[]).await;
    release(&pair).await;
    let client = pair.client();
    let group = done(&client, &group, Group::Closed).await;
    assert_eq!((group.effective_count, group.reversed_count, group.left.len()), (MANY, 0, 0));
    pair.quiet().await;
    let relationship = client.relationship(&customer).await;
    assert_eq!((relationship.open_count, relationship.lost_count), (0, MANY.into()));
    assert_eq!(client.trade_record(&customer).await.deals_lost, i64::from(MANY));
    pair.end().await;
}

/// What a killed process had claimed is taken up when its claim is over, within a minute: here it is over at once.
async fn release(pair: &Pair) {
    let (opportunity, order) = pair.databases().await;
    let mut tx = opportunity.begin().await.unwrap();
    tx.execute(&Sql::plain("UPDATE job SET due_at = 1 WHERE kind = 5"), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
    opportunity.close().await;
    order.close().await;
}

async fn who_may_not_close_one_of_them_closes_none(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, bob) = (pair.client(), pair.client_in("bob", &["sales"], &[]));
    let customer = client.customer().await;
    let (own, others) = (bob.opportunity(&customer).await, client.opportunity(&customer).await);
    let denied = bob.close_out_customer(closing_customer(&customer)).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "OUT_OF_REACH"));
    client.close_out_opportunity(closing(&others)).await.unwrap();
    let group = close(&bob, &customer).await;
    let group = done(&bob, &group, Group::Closed).await;
    assert_eq!(client.get_opportunity(&own).await.state(), State::ClosedOut);
    // Another one's without the right to reopen; but whoever asked for it may take it back for some minutes.
    let eve = pair.client_in("eve", &["sales"], &[]);
    let denied = take_back(&eve, &group).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "RIGHT_MISSING"));
    take_back(&bob, &group).await.unwrap();
    done(&bob, &group, Group::Reopened).await;
    assert_eq!(client.get_opportunity(&own).await.state(), State::Open);
    assert_eq!(client.get_opportunity(&others).await.state(), State::ClosedOut);
    pair.end().await;
}
