//! Four eyes: what needs another person's approval waits and has done nothing on either side; approved, it does everything, once,
//! whatever crashes; rejected, withdrawn or out of time, everything is as it was.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{
    Money,
    common::{
        ApprovalCause, ApprovalPolicy, CloseOut, CloseOutPlan, CloseOutState, EffectKind, FollowUp, Outcome,
        PeerOutcome, Propagation, ReportDimension, Settings, Side, TaskKind, TaskState, Wait, WonOpportunityPolicy,
    },
    opportunity as sales,
    opportunity::opportunity::State,
    order as trade,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};
use crm_tests::{
    bulk::{closing_each, opportunities_call},
    client::{Client, cancelling, closing, cny},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use prost_types::{FieldMask, Timestamp};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    over_the_amount_another_person_approves_and_both_sides_follow,
    a_paid_order_waits_and_takes_its_won_opportunity_along,
    what_comes_to_nothing_leaves_both_sides_as_they_were,
    nobody_decides_and_it_expires,
    a_won_opportunity_that_waits_is_asked_about_when_its_order_goes,
    what_has_changed_until_it_is_approved_is_told,
    a_win_does_not_come_back_under_a_close_out_that_waits,
    of_several_decisions_at_once_one_counts,
    an_approval_is_done_once_whatever_is_killed,
    in_bulk_what_needs_approval_waits,
);

/// Another person than [`Pair::client`].
fn boss(pair: &Pair) -> Client {
    pair.client_of(pair.tenant, "eve")
}

/// What is worth more than these needs a second person.
async fn limit(client: &Client, amounts: Vec<Money>) {
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings { approval: Some(ApprovalPolicy { amounts, expire_days: 3 }), ..Settings::default() }),
        update_mask: Some(FieldMask { paths: vec!["approval".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    assert_eq!(client.update_settings(request).await.unwrap().propagation(), Propagation::Settled);
}

fn why(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

async fn plan(client: &Client, request: sales::CloseOutOpportunityRequest) -> CloseOutPlan {
    let request = sales::PreviewCloseOutRequest { close_out: Some(request) };
    client.opportunities.clone().preview_close_out(request).await.unwrap().into_inner().plan.unwrap()
}

async fn close(client: &Client, opportunity: &str) -> CloseOut {
    client.close_out_opportunity(closing(opportunity)).await.unwrap().close_out.unwrap()
}

async fn approve(client: &Client, close_out: &CloseOut) -> Result<CloseOut, Status> {
    let name = close_out.name.clone();
    Ok(if close_out.subject.starts_with("orders/") {
        let request = trade::ApproveCloseOutRequest { name, note: "yes".into(), ..Default::default() };
        client.approve_trade_close_out(request).await?.close_out.unwrap()
    } else {
        let request = sales::ApproveCloseOutRequest { name, note: "yes".into(), ..Default::default() };
        client.approve_sales_close_out(request).await?.close_out.unwrap()
    })
}

async fn reject(client: &Client, close_out: &CloseOut) -> Result<CloseOut, Status> {
    let (name, note) = (close_out.name.clone(), "call them once more".to_owned());
    Ok(if close_out.subject.starts_with("orders/") {
        let request = trade::RejectCloseOutRequest { name, note, ..Default::default() };
        client.reject_trade_close_out(request).await?.close_out.unwrap()
    } else {
        let request = sales::RejectCloseOutRequest { name, note, ..Default::default() };
        client.reject_sales_close_out(request).await?.close_out.unwrap()
    })
}

async fn withdraw(client: &Client, close_out: &CloseOut) -> Result<CloseOut, Status> {
    let name = close_out.name.clone();
    Ok(if close_out.subject.starts_with("orders/") {
        let request = trade::WithdrawCloseOutRequest { name, ..Default::default() };
        client.withdraw_trade_close_out(request).await?.close_out.unwrap()
    } else {
        let request = sales::WithdrawCloseOutRequest { name, ..Default::default() };
        client.withdraw_sales_close_out(request).await?.close_out.unwrap()
    })
}

/// Names of the close-outs that wait, on both sides.
async fn waiting(client: &Client) -> [Vec<String>; 2] {
    let (mut of_sales, mut of_trade) = (client.sales_close_outs.clone(), client.trade_close_outs.clone());
    let of_sales = of_sales.list_pending_close_outs(sales::ListPendingCloseOutsRequest::default()).await.unwrap();
    let of_trade = of_trade.list_pending_close_outs(trade::ListPendingCloseOutsRequest::default()).await.unwrap();
    let (of_sales, of_trade) = (of_sales.into_inner(), of_trade.into_inner());
    [of_sales.close_outs, of_trade.close_outs].map(|all| all.into_iter().map(|one| one.name).collect())
}

/// A confirmed order, and one that was paid for.
async fn confirmed(client: &Client, customer: &str, opportunity: &str, paid: i64) -> String {
    let name = client.order(customer, opportunity).await;
    let request = trade::ConfirmOrderRequest { name: name.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.confirm_order(request).await.unwrap();
    if paid > 0 {
        let request = trade::RecordPaymentRequest { name: name.clone(), amount: cny(paid), ..Default::default() };
        client.record_payment(request).await.unwrap();
    }
    name
}

async fn win(client: &Client, opportunity: &str) {
    let name = opportunity.to_owned();
    let request = sales::WinOpportunityRequest { name, wait: Wait::Peer.into(), ..Default::default() };
    client.win_opportunity(request).await.unwrap();
}

async fn counted(client: &Client) -> (i64, i64) {
    let request = sales::ReportCloseOutsRequest {
        dimension: ReportDimension::Reason.into(),
        closed_from: Some(Timestamp {
            seconds: std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 - 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let total = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner().total.unwrap();
    (total.count, total.reversed_count)
}

async fn over_the_amount_another_person_approves_and_both_sides_follow(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    limit(&client, vec![cny(99).unwrap()]).await;
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let draft = client.order(&customer, &opportunity).await;
    let call = client.selling_task(&opportunity, TaskKind::FollowUp).await;
    let buy = client.order_task(&opportunity, TaskKind::Procure).await;
    pair.quiet().await;
    let (record, trade_record) = (client.relationship(&customer).await, client.trade_record(&customer).await);

    // The plan says that it will wait, and what it will do; it is bound to both.
    let later = Some(FollowUp { title: "Ask again".into(), ..Default::default() });
    let request = || sales::CloseOutOpportunityRequest { follow_up: later.clone(), ..closing(&opportunity) };
    let planned = plan(&client, request()).await;
    assert_eq!(planned.approval_causes().collect::<Vec<_>>(), [ApprovalCause::OverAmount]);
    let closes = |plan: &CloseOutPlan| plan.effects.iter().any(|e| e.kind() == EffectKind::SubjectClosed);
    assert!(closes(&planned));
    limit(&client, vec![cny(100).unwrap()]).await;
    let alone = plan(&client, request()).await;
    assert_eq!((alone.approval_causes.len(), alone.plan_hash == planned.plan_hash), (0, false));
    limit(&client, vec![cny(99).unwrap()]).await;
    let request = sales::CloseOutOpportunityRequest { plan_hash: planned.plan_hash.clone(), ..request() };
    let reply = client.close_out_opportunity(request.clone()).await.unwrap();
    let asked = reply.close_out.unwrap();
    assert_eq!(reply.opportunity.as_ref().unwrap().state(), State::ClosePending);
    assert_eq!((asked.state(), asked.propagation()), (CloseOutState::PendingApproval, Propagation::NotNeeded));
    assert_eq!((asked.effects.len(), asked.actor.as_str()), (0, "ann"));
    let approval = asked.approval.clone().unwrap();
    assert_eq!((approval.planned_effects, approval.decider.as_str()), (planned.effects, ""));
    let days = approval.expire_time.unwrap().seconds - approval.request_time.unwrap().seconds;
    assert_eq!(days, 3 * 86_400);
    // A copy of the call is answered with what became of the first one.
    assert_eq!(client.close_out_opportunity(request).await.unwrap().close_out.unwrap(), asked);

    // Nothing has happened on either side.
    pair.quiet().await;
    assert_eq!((client.relationship(&customer).await, client.trade_record(&customer).await), (record, trade_record));
    assert_eq!(client.get_order(&draft).await.state(), OrderState::Draft);
    assert_eq!(client.selling_tasks_of(&opportunity).await[0].state(), TaskState::Open);
    assert_eq!(client.order_tasks_of(&opportunity).await[0].state(), TaskState::Open);
    assert_eq!(waiting(&client).await, [vec![asked.name.clone()], Vec::new()]);
    assert_eq!(counted(&client).await, (0, 0));
    let again = client.close_out_opportunity(closing(&opportunity)).await.unwrap_err();
    assert_eq!((again.code(), why(&again)), (Code::FailedPrecondition, "CLOSE_PENDING".to_owned()));
    assert_eq!(plan(&client, closing(&opportunity)).await.obstacles[0].reason, "CLOSE_PENDING");

    let own = approve(&client, &asked).await.unwrap_err();
    assert_eq!((own.code(), why(&own)), (Code::PermissionDenied, "SELF_APPROVAL".to_owned()));
    let done = approve(&boss, &asked).await.unwrap();
    assert_eq!((done.state(), done.propagation()), (CloseOutState::Effective, Propagation::Settled));
    assert_eq!((done.peer_outcome(), done.actor.as_str()), (PeerOutcome::Applied, "ann"));
    let decided = done.approval.unwrap();
    assert_eq!((decided.decider.as_str(), decided.note.as_str()), ("eve", "yes"));
    assert!(done.effects.iter().all(|effect| effect.kind() != EffectKind::Differs), "{:?}", done.effects);
    let cancelled = |task: &str| done.effects.iter().any(|e| e.resource == task && e.after == "CANCELLED");
    assert!(cancelled(&call) && cancelled(&buy), "{:?}", done.effects);
    pair.quiet().await;
    let order = client.get_order(&draft).await;
    assert_eq!(order.state(), OrderState::Cancelled);
    assert_eq!(client.trade_close_out(&order.close_out).await.actor, "ann");
    assert_eq!((waiting(&client).await, counted(&client).await), ([Vec::new(), Vec::new()], (1, 0)));
    let request = sales::ListCustomerEventsRequest { customer, ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    let told = |kind: &str| events.iter().find(|event| event.kind == kind).map(|event| event.actor.clone()).unwrap();
    assert_eq!(told("close_out.requested"), "ann");
    assert_eq!((told("close_out.approved"), told("opportunity.closed_out")), ("eve".to_owned(), "ann".to_owned()));
    pair.end().await;
}

async fn a_paid_order_waits_and_takes_its_won_opportunity_along(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = confirmed(&client, &customer, &opportunity, 10).await;
    win(&client, &opportunity).await;
    pair.quiet().await;
    let request = trade::CloseOutOrderRequest { won_opportunity_policy: Policy::Lose.into(), ..cancelling(&order) };
    let asked = client.close_out_order(request).await.unwrap().close_out.unwrap();
    let approval = asked.approval.as_ref().unwrap();
    assert_eq!(approval.causes().collect::<Vec<_>>(), [ApprovalCause::Paid]);
    assert_eq!(approval.won_opportunity_policy(), WonOpportunityPolicy::Lose);
    assert_eq!(client.get_order(&order).await.state(), OrderState::ClosePending);
    // Until it is decided it is a live order.
    assert_eq!(client.relationship(&customer).await.live_order_count, 1);
    let close = client.close_out_opportunity(closing(&opportunity)).await.unwrap_err();
    assert_eq!(why(&close), "LIVE_ORDER");
    assert_eq!(waiting(&client).await, [Vec::new(), vec![asked.name.clone()]]);

    let done = approve(&boss, &asked).await.unwrap();
    assert_eq!((done.outcome(), done.propagation()), (Outcome::Cancelled, Propagation::Settled));
    pair.quiet().await;
    assert_eq!(client.get_order(&order).await.state(), OrderState::Cancelled);
    let lost = client.get_opportunity(&opportunity).await;
    assert_eq!(lost.state(), State::ClosedOut);
    let caused = client.sales_close_out(&lost.close_out).await;
    assert_eq!((caused.cause.as_str(), caused.actor.as_str(), caused.approval), (done.name.as_str(), "ann", None));
    let reopen = trade::ReopenOrderRequest { name: order.clone(), wait: Wait::Peer.into(), ..Default::default() };
    client.reopen_order(reopen).await.unwrap();
    pair.quiet().await;
    assert_eq!(client.get_order(&order).await.state(), OrderState::Confirmed);
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Won);
    // With the refund named nobody has to be asked.
    let refunded = trade::CloseOutOrderRequest { refund_reference: "R-7".into(), ..cancelling(&order) };
    assert_eq!(client.close_out_order(refunded).await.unwrap().close_out.unwrap().state(), CloseOutState::Effective);
    pair.end().await;
}

async fn what_comes_to_nothing_leaves_both_sides_as_they_were(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    win(&client, &opportunity).await;
    let order = confirmed(&client, &customer, "", 10).await;
    let task = client.selling_task(&opportunity, TaskKind::FollowUp).await;
    pair.quiet().await;
    let won = client.get_opportunity(&opportunity).await;
    let records = (client.relationship(&customer).await, client.trade_record(&customer).await);
    for round in 1..=2 {
        let lost = close(&client, &opportunity).await;
        let cancelled = client.close_out_order(cancelling(&order)).await.unwrap().close_out.unwrap();
        assert_eq!((lost.episode, cancelled.episode), (2 * round - 1, 2 * round - 1));
        let denied = withdraw(&boss, &lost).await.unwrap_err();
        assert_eq!((denied.code(), why(&denied)), (Code::PermissionDenied, "NOT_REQUESTER".to_owned()));
        let stated = [&lost, &cancelled].map(|one| one.name.clone());
        for close_out in [&lost, &cancelled] {
            let rejected = reject(&boss, close_out).await.unwrap();
            assert_eq!((rejected.state(), rejected.effects.len()), (CloseOutState::Rejected, 0));
            assert_eq!(rejected.approval.unwrap().note, "call them once more");
            assert_eq!(why(&approve(&boss, close_out).await.unwrap_err()), "NOT_PENDING");
        }
        let lost = close(&client, &opportunity).await;
        let cancelled = client.close_out_order(cancelling(&order)).await.unwrap().close_out.unwrap();
        assert!(!stated.contains(&lost.name) && !stated.contains(&cancelled.name));
        for close_out in [&lost, &cancelled] {
            assert_eq!(withdraw(&client, close_out).await.unwrap().state(), CloseOutState::Withdrawn);
        }
    }
    pair.quiet().await;
    let after = client.get_opportunity(&opportunity).await;
    assert_eq!((after.state(), after.close_time, after.close_out.as_str()), (State::Won, won.close_time, ""));
    assert_eq!(client.get_order(&order).await.state(), OrderState::Confirmed);
    assert_eq!((client.relationship(&customer).await, client.trade_record(&customer).await), records);
    let tasks = client.selling_tasks_of(&opportunity).await;
    assert_eq!((tasks[0].name.as_str(), tasks[0].state()), (task.as_str(), TaskState::Open));
    assert_eq!(waiting(&client).await, [Vec::<String>::new(), Vec::new()]);
    let request = sales::RejectCloseOutRequest { name: format!("closeOuts/{}", Uuid::now_v7()), ..Default::default() };
    let unsaid = boss.sales_close_outs.clone().reject_close_out(request).await.unwrap_err();
    let fields = unsaid.get_details_bad_request().unwrap().field_violations;
    assert_eq!((fields.len(), fields[0].field.as_str()), (1, "note"));
    pair.end().await;
}

/// Makes the duties for close-outs that wait due now.
async fn hurry(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain("UPDATE job SET due_at = 1 WHERE kind = 2"), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn jobs(db: &Db) -> i64 {
    let rows = db.read(&Sql::plain("SELECT count(*) FROM job WHERE kind = 2"), Args::none()).await.unwrap();
    rows[0].get(0).unwrap()
}

async fn nobody_decides_and_it_expires(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    win(&client, &opportunity).await;
    let order = confirmed(&client, &customer, "", 10).await;
    let lost = close(&client, &opportunity).await;
    let cancelled = client.close_out_order(cancelling(&order)).await.unwrap().close_out.unwrap();
    // One that is decided before its time has no duty any more.
    let decided = client.opportunity(&customer).await;
    win(&client, &decided).await;
    let rejected = close(&client, &decided).await;
    reject(&boss, &rejected).await.unwrap();
    let (sales, trade) = pair.databases().await;
    assert_eq!((jobs(&sales).await, jobs(&trade).await), (1, 1));
    hurry(&sales).await;
    hurry(&trade).await;
    until("the duties are done", QUIET, || async { (jobs(&sales).await + jobs(&trade).await == 0).then_some(()) })
        .await;
    let lost = client.sales_close_out(&lost.name).await;
    assert_eq!((lost.state(), lost.approval.unwrap().decider.as_str()), (CloseOutState::Expired, "system"));
    assert_eq!(client.trade_close_out(&cancelled.name).await.state(), CloseOutState::Expired);
    assert_eq!(client.sales_close_out(&rejected.name).await.state(), CloseOutState::Rejected);
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Won);
    assert_eq!(client.get_order(&order).await.state(), OrderState::Confirmed);
    sales.close().await;
    trade.close().await;
    pair.end().await;
}

async fn a_won_opportunity_that_waits_is_asked_about_when_its_order_goes(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    win(&client, &opportunity).await;
    let asked = close(&client, &opportunity).await;
    let order = confirmed(&client, &customer, &opportunity, 0).await;
    pair.quiet().await;
    assert_eq!(why(&approve(&boss, &asked).await.unwrap_err()), "LIVE_ORDER");
    let request = trade::CloseOutOrderRequest { won_opportunity_policy: Policy::Lose.into(), ..cancelling(&order) };
    let cancelled = client.close_out_order(request).await.unwrap().close_out.unwrap();
    assert_eq!(cancelled.propagation(), Propagation::Settled);
    let reviews = client.selling_tasks_of(&opportunity).await;
    assert_eq!((reviews.len(), reviews[0].kind(), reviews[0].state()), (1, TaskKind::Review, TaskState::Open));
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::ClosePending);
    let done = approve(&boss, &asked).await.unwrap();
    assert_eq!((done.propagation(), done.snapshot.unwrap().state.as_str()), (Propagation::Settled, "WON"));
    assert_eq!(client.selling_tasks_of(&opportunity).await[0].state(), TaskState::Cancelled);
    pair.end().await;
}

async fn what_has_changed_until_it_is_approved_is_told(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    win(&client, &opportunity).await;
    pair.quiet().await;
    let planned = plan(&client, closing(&opportunity)).await;
    let request = sales::CloseOutOpportunityRequest { plan_hash: planned.plan_hash, ..closing(&opportunity) };
    let asked = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    let (call, buy) = (
        client.selling_task(&opportunity, TaskKind::FollowUp).await,
        client.order_task(&opportunity, TaskKind::Procure).await,
    );
    let done = approve(&boss, &asked).await.unwrap();
    assert_eq!(done.peer_outcome(), PeerOutcome::NeedsReview);
    let differs = done.effects.iter().filter(|effect| effect.kind() == EffectKind::Differs);
    let differs: Vec<_> = differs.map(|effect| (effect.side(), effect.resource.as_str())).collect();
    assert_eq!(differs, [(Side::Opportunity, call.as_str()), (Side::Order, buy.as_str())]);
    pair.end().await;
}

async fn a_win_does_not_come_back_under_a_close_out_that_waits(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = confirmed(&client, &customer, &opportunity, 0).await;
    win(&client, &opportunity).await;
    let request = trade::CloseOutOrderRequest { won_opportunity_policy: Policy::Reopen.into(), ..cancelling(&order) };
    client.close_out_order(request).await.unwrap();
    pair.quiet().await;
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::Open);
    limit(&client, vec![cny(1).unwrap()]).await;
    let asked = close(&client, &opportunity).await;
    let reopen = trade::ReopenOrderRequest { name: order.clone(), wait: Wait::Peer.into(), ..Default::default() };
    let reversal = client.reopen_order(reopen).await.unwrap().close_out.unwrap().reversal.unwrap();
    assert_eq!(reversal.peer_outcome(), PeerOutcome::SkippedModified);
    assert_eq!(client.get_opportunity(&opportunity).await.state(), State::ClosePending);
    assert_eq!(why(&approve(&boss, &asked).await.unwrap_err()), "LIVE_ORDER");
    withdraw(&client, &asked).await.unwrap();
    let open = client.get_opportunity(&opportunity).await;
    assert_eq!((open.state(), open.close_time), (State::Open, None));
    pair.end().await;
}

async fn of_several_decisions_at_once_one_counts(kind: Kind) {
    const ROUNDS: usize = 20;
    let pair = Pair::started(kind).await;
    let (client, boss, third) = (pair.client(), boss(&pair), pair.client_of(pair.tenant, "joe"));
    let customer = client.customer().await;
    let mut approved = 0;
    for _ in 0..ROUNDS {
        let opportunity = client.opportunity(&customer).await;
        win(&client, &opportunity).await;
        let asked = close(&client, &opportunity).await;
        let all = tokio::join!(approve(&boss, &asked), reject(&third, &asked), withdraw(&client, &asked));
        let all = [all.0, all.1, all.2];
        let late = all.iter().filter_map(|one| one.as_ref().err()).map(why).collect::<Vec<_>>();
        assert_eq!(late, ["NOT_PENDING", "NOT_PENDING"]);
        let counts = all.into_iter().find_map(Result::ok).unwrap().state();
        let stands = client.get_opportunity(&opportunity).await.state();
        assert_eq!(client.sales_close_out(&asked.name).await.state(), counts);
        assert_eq!(stands == State::ClosedOut, counts == CloseOutState::Effective);
        approved += usize::from(counts == CloseOutState::Effective);
    }
    println!("{ROUNDS} rounds, {approved} of them approved");
    pair.end().await;
}

async fn an_approval_is_done_once_whatever_is_killed(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    for step in ["origin-before-commit", "origin-after-commit", "origin-after-peer-answered"] {
        let client = pair.client();
        let customer = client.customer().await;
        let opportunity = client.opportunity(&customer).await;
        let draft = client.order(&customer, &opportunity).await;
        win(&client, &opportunity).await;
        pair.quiet().await;
        let asked = close(&client, &opportunity).await;
        pair.opportunity.kill();
        pair.opportunity.start(&[("CLOSEOUT_FAILPOINT", step)]).await;
        let request_id = Uuid::now_v7().to_string();
        let request = sales::ApproveCloseOutRequest { name: asked.name.clone(), request_id, ..Default::default() };
        let first = tokio::spawn({
            let (boss, request) = (boss(&pair), request.clone());
            async move { boss.approve_sales_close_out(request).await }
        });
        pair.opportunity.says(&format!("failpoint reached: {step}")).await;
        pair.opportunity.kill();
        drop(first.await.unwrap());
        pair.opportunity.start(&[]).await;
        let boss = boss(&pair);
        let again = until("the repeated call settles", QUIET, || async {
            let reply = boss.approve_sales_close_out(request.clone()).await.ok()?;
            (reply.propagation() == Propagation::Settled).then_some(reply)
        })
        .await;
        let done = again.close_out.unwrap();
        assert_eq!((done.state(), done.peer_outcome()), (CloseOutState::Effective, PeerOutcome::Applied));
        pair.quiet().await;
        let client = pair.client();
        assert_eq!(client.get_order(&draft).await.state(), OrderState::Cancelled);
        assert_eq!(client.trade_record(&customer).await.deals_lost, 1);
    }
    pair.end().await;
}

async fn in_bulk_what_needs_approval_waits(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, boss) = (pair.client(), boss(&pair));
    let customer = client.customer().await;
    let (open, won) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    win(&client, &won).await;
    let whole = sales::BulkCloseOutOpportunitiesRequest { wait: Wait::Peer.into(), ..opportunities_call() };
    let answers = client.bulk_opportunities(&whole, &closing_each(&[open, won.clone()]), 2).await;
    let done: Vec<_> = answers.done().map(|(_, done)| (done.state(), done.propagation())).collect();
    let waits = (CloseOutState::PendingApproval, Propagation::NotNeeded);
    assert_eq!(done, [(CloseOutState::Effective, Propagation::Settled), waits]);
    let [asked, _] = waiting(&client).await;
    assert_eq!(asked.len(), 1);
    let done = approve(&boss, &client.sales_close_out(&asked[0]).await).await.unwrap();
    assert_eq!((done.subject.as_str(), done.state()), (won.as_str(), CloseOutState::Effective));
    pair.end().await;
}
