//! Bulk close-outs of both services: every size, broken off wherever it may be and resumed, with items that are wrong between good
//! ones, and with a reader who does not read. Each item is done once, and its answer stays the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_proto::{
    common::{self, Propagation, TaskKind, Wait},
    opportunity as sales, order as trade,
};
use crm_tests::{
    bulk::{Answers, cancelling_each, closing_each, endless, opportunities_call, orders_call, told},
    client::{Client, cancelling, closing},
    long,
    pair::Pair,
    place::Kind,
    process::program,
    proxy::link::{Link, Way},
    stories, until,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use sales::bulk_close_out_opportunities_request::Item as Opportunity;
use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use trade::bulk_close_out_orders_request::Item as Order;
use uuid::Uuid;

const SIZES: [usize; 6] = [1, 2, 255, 256, 257, 1_000];
const BROKEN_OFF: usize = 5_000;
const AT_ONCE: usize = 128;
const SOON: Duration = Duration::from_secs(30);

stories!(
    every_size,
    broken_off_and_resumed,
    undisturbed,
    a_sweep_goes_on_where_it_breaks_off,
    wrong_items_between_good_ones,
    a_call_that_is_wrong_as_a_whole,
    the_other_service_is_waited_for,
    who_does_not_read_is_not_read,
    a_process_that_is_ended_answers_what_it_has_begun,
    single_calls_find_room_beside_bulk_calls,
    only_the_caller_sets_a_deadline,
);

async fn opportunities(client: &Client, customer: &str, count: usize) -> Vec<String> {
    stream::iter(0..count).map(|_| client.opportunity(customer)).buffer_unordered(AT_ONCE).collect().await
}

async fn orders(client: &Client, customer: &str, count: usize) -> Vec<String> {
    stream::iter(0..count).map(|_| client.order(customer, "")).buffer_unordered(AT_ONCE).collect().await
}

/// Everything is done, each as a close-out of its own.
fn all_done(answers: &Answers, count: usize) {
    let close_outs: BTreeSet<_> = answers.done().map(|(_, done)| done.close_out.as_str()).collect();
    assert_eq!((answers.first.len(), close_outs.len()), (count, count), "{:?}", answers.first.values().next());
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

async fn every_size(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let total: usize = SIZES.iter().sum();
    let (sold, ordered) = (opportunities(&client, &customer, total).await, orders(&client, &customer, total).await);
    for (opportunity, order) in sold.iter().zip(&ordered).step_by(50) {
        client.selling_task(opportunity, TaskKind::FollowUp).await;
        client.order_task(order, TaskKind::Deliver).await;
    }
    let (mut sold, mut ordered) = (&sold[..], &ordered[..]);
    for size in SIZES {
        let (some, rest) = sold.split_at(size);
        sold = rest;
        let (call, items) = (opportunities_call(), closing_each(some));
        let mut answers = Answers::default();
        client.bulk_opportunities_once(&call, &items, 250, &mut answers).await.unwrap();
        all_done(&answers, size);
        // Everything again, in other messages: the answers are those of before, which is checked as they come in.
        client.bulk_opportunities_once(&call, &items, 1_000, &mut answers).await.unwrap();
        assert_eq!(answers.repeats, size as u64);

        let (some, rest) = ordered.split_at(size);
        ordered = rest;
        let (call, items) = (orders_call(), cancelling_each(some));
        let mut answers = Answers::default();
        client.bulk_orders_once(&call, &items, 1_000, &mut answers).await.unwrap();
        all_done(&answers, size);
        client.bulk_orders_once(&call, &items, 250, &mut answers).await.unwrap();
        assert_eq!(answers.repeats, size as u64);
    }
    pair.quiet().await;
    let lost = client.relationship(&customer).await.lost_count;
    let record = client.trade_record(&customer).await;
    assert_eq!((lost, record.cancelled_count, record.deals_lost), (total as i64, total as i64, total as i64));
    pair.end().await;
}

/// Cuts the caller's connection and kills either service, at random points, until it is told to stop.
async fn trouble(pair: &mut Pair, link: &Link, done: &AtomicBool) -> [u64; 3] {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut times = [0; 3];
    while !done.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(rng.u64(50..900))).await;
        let which = rng.usize(..3);
        times[which] += 1;
        match which {
            0 => {
                link.set(Way::Cut);
                tokio::time::sleep(Duration::from_millis(rng.u64(1..100))).await;
                link.set(Way::Open);
            }
            1 => {
                pair.opportunity.kill();
                pair.opportunity.start(&[]).await;
            }
            _ => {
                pair.order.kill();
                pair.order.start(&[]).await;
            }
        }
    }
    times
}

async fn broken_off_and_resumed(kind: Kind) {
    let sizes = match (long(), kind) {
        (true, Kind::Postgres) => vec![BROKEN_OFF, 100_000, 1_000_000],
        (true, Kind::Sqlite) | (false, _) => vec![BROKEN_OFF],
    };
    for size in sizes {
        broken_off(kind, size).await;
    }
}

async fn broken_off(kind: Kind, size: usize) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let names = opportunities(&client, &customer, size).await;
    let link = Link::to_peer(pair.opportunity.ports()[0], Arc::default()).await;
    let url = format!("http://127.0.0.1:{}", link.port);
    let client = Client::new(&url, &pair.order.url(), pair.tenant, "ann", pair.history.clone());
    let done = Arc::new(AtomicBool::new(false));
    let (call, items, began) = (opportunities_call(), closing_each(&names), Instant::now());
    let calling = tokio::spawn({
        let done = done.clone();
        async move {
            let answers = client.bulk_opportunities(&call, &items, 100).await;
            done.store(true, Ordering::Relaxed);
            answers
        }
    });
    let [cut, killed, peer_killed] = trouble(&mut pair, &link, &done).await;
    let answers = calling.await.unwrap();
    println!(
        "{size} items in {:.1?}: opened {} times; connection cut {cut} times, opportunity service killed {killed} times, order service {peer_killed} times",
        began.elapsed(),
        answers.opened,
    );
    all_done(&answers, size);
    pair.quiet().await;
    let client = pair.client();
    assert_eq!(client.relationship(&customer).await.lost_count, size as i64);
    assert_eq!(client.trade_record(&customer).await.deals_lost, size as i64);
    pair.end().await;
}

/// How fast it is when nothing happens; with `CLOSEOUT_TESTS_LONG` enough of it to tell.
async fn undisturbed(kind: Kind) {
    let size = if long() { 100_000 } else { 2_000 };
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let mut customers = Vec::new();
    for _ in 0..100 {
        customers.push(client.customer().await);
    }
    let made = stream::iter(0..size).map(|nth| client.opportunity(&customers[nth % customers.len()]));
    let names: Vec<String> = made.buffer_unordered(AT_ONCE).collect().await;
    pair.quiet().await;
    let (call, items, mut answers, began) =
        (opportunities_call(), closing_each(&names), Answers::default(), Instant::now());
    client.bulk_opportunities_once(&call, &items, 1_000, &mut answers).await.unwrap();
    let committed = began.elapsed();
    all_done(&answers, size);
    pair.quiet().await;
    let rate = |took: Duration| size as f64 / took.as_secs_f64();
    println!(
        "{kind:?}: {size} items, {:.0} a second committed, {:.0} a second applied on both sides",
        rate(committed),
        rate(began.elapsed())
    );
    pair.end().await;
}

/// The command line as a person runs it, on a connection that is cut while its opportunities' service is killed.
async fn a_sweep_goes_on_where_it_breaks_off(kind: Kind) {
    const STALE: usize = 2_000;
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let created = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 };
    let make = |_| {
        let opportunity =
            sales::Opportunity { title: "Old".into(), customer: customer.clone(), ..sales::Opportunity::default() };
        let historical = Some(common::Historical { create_time: Some(created), ..common::Historical::default() });
        client.create_opportunity(sales::CreateOpportunityRequest {
            opportunity: Some(opportunity),
            historical,
            ..sales::CreateOpportunityRequest::default()
        })
    };
    let made: Vec<_> = stream::iter(0..STALE).map(make).buffer_unordered(AT_ONCE).collect().await;
    assert!(made.iter().all(Result::is_ok));
    let link = Link::to_peer(pair.opportunity.ports()[0], Arc::default()).await;
    let sweep = sweep(&pair, link.port);
    let done = Arc::new(AtomicBool::new(false));
    let running = tokio::task::spawn_blocking({
        let done = done.clone();
        move || {
            let output = sweep.wait_with_output().unwrap();
            done.store(true, Ordering::Relaxed);
            output
        }
    });
    let times = trouble(&mut pair, &link, &done).await;
    let output = running.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let closed: BTreeSet<_> =
        told["closed"].as_array().unwrap().iter().map(|one| one["close_out"].to_string()).collect();
    println!("a sweep of {STALE} with trouble {times:?}: {} settled, {} s", told["settled"], told["seconds"]);
    assert_eq!((closed.len(), told["refused"].as_array().unwrap().len()), (STALE, 0));
    pair.quiet().await;
    assert_eq!(pair.client().relationship(&customer).await.lost_count, STALE as i64);
    assert_eq!(pair.client().trade_record(&customer).await.deals_lost, STALE as i64);
    remove(pair).await;
}

fn sweep(pair: &Pair, port: u16) -> Child {
    let mut command = Command::new(program("closeout"));
    command.args(["sweep", "--idle-days", "30", "--yes", "--json", "--tenant", &pair.tenant.to_string()]);
    command.args(["--opportunity-url", &format!("http://127.0.0.1:{port}"), "--order-url", &pair.order.url()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

async fn wrong_items_between_good_ones(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (sold, ordered) = (opportunities(&client, &customer, 7).await, orders(&client, &customer, 6).await);
    client.close_out_opportunity(closing(&sold[1])).await.unwrap();
    client.close_out_order(cancelling(&ordered[1])).await.unwrap();

    let mut items = closing_each(&sold);
    items[2].reason = String::new();
    items[3].etag = "\"7\"".into();
    items[4].name = format!("opportunities/{}", Uuid::nil());
    (items[5].name, items[5].reason, items[5].index) = ("opportunities/x".into(), "closeOutReasons/NO".into(), -5);
    let mut answers = Answers::default();
    client.bulk_opportunities_once(&opportunities_call(), &items, 3, &mut answers).await.unwrap();
    assert_eq!(answers.done().map(|(index, _)| index).collect::<Vec<_>>(), [0, 6]);
    let told = |index| reason(answers.refusal(index));
    assert_eq!([1, 2, 3, 4].map(told), ["ALREADY_CLOSED", "INVALID_FIELDS", "VERSION_MISMATCH", "NOT_FOUND"]);
    let fields = answers.refusal(-5).get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields.iter().map(|field| field.field.as_str()).collect::<Vec<_>>(), ["index", "name", "reason"]);
    assert_eq!(answers.refusal(1).get_details_localized_message().unwrap().locale, "zh");
    // A single call says the same.
    let single = sales::CloseOutOpportunityRequest { reason: String::new(), ..closing(&sold[2]) };
    let single = client.close_out_opportunity(single).await.unwrap_err();
    assert_eq!((single.code(), single.message()), (Code::InvalidArgument, answers.refusal(2).message()));

    let mut items = cancelling_each(&ordered);
    (items[2].outcome, items[2].detail) = (0, "\0".into());
    items[3].etag = "\"7\"".into();
    items[4].name = format!("orders/{}", Uuid::nil());
    let mut answers = Answers::default();
    client.bulk_orders_once(&orders_call(), &items, 1_000, &mut answers).await.unwrap();
    assert_eq!(answers.done().map(|(index, _)| index).collect::<Vec<_>>(), [0, 5]);
    let told = |index| reason(answers.refusal(index));
    assert_eq!([1, 2, 3, 4].map(told), ["ALREADY_CLOSED", "INVALID_FIELDS", "VERSION_MISMATCH", "NOT_FOUND"]);
    pair.end().await;
}

async fn a_call_that_is_wrong_as_a_whole(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let names = opportunities(&client, &customer, 2).await;
    let (call, items) = (opportunities_call(), closing_each(&names));
    let refused = async |messages: Vec<sales::BulkCloseOutOpportunitiesRequest>| {
        let (results, status) = open(&client, stream::iter(messages).boxed()).await;
        let fields = status.get_details_bad_request().unwrap().field_violations;
        (results, fields.into_iter().map(|field| field.field).collect::<Vec<_>>())
    };
    let part =
        |items: &[Opportunity]| sales::BulkCloseOutOpportunitiesRequest { items: items.to_vec(), ..call.clone() };
    let nameless = sales::BulkCloseOutOpportunitiesRequest { request_id: String::new(), ..part(&items) };
    assert_eq!(refused(vec![nameless]).await, (0, vec!["request_id".to_owned()]));
    assert_eq!(refused(vec![part(&vec![items[0].clone(); 1_001])]).await, (0, vec!["items".to_owned()]));
    // What was good before is done and answered.
    let other = sales::BulkCloseOutOpportunitiesRequest { validate_only: true, ..part(&items[1..]) };
    assert_eq!(refused(vec![part(&items[..1]), other]).await, (1, vec!["validate_only".to_owned()]));
    assert!(client.get_opportunity(&names[1]).await.close_out.is_empty());

    // Judged only: nothing is changed, and no answer is kept.
    let judged = sales::BulkCloseOutOpportunitiesRequest { validate_only: true, ..opportunities_call() };
    let mut answers = Answers::default();
    client.bulk_opportunities_once(&judged, &items[1..], 1, &mut answers).await.unwrap();
    let done = answers.done().next().unwrap().1;
    assert_eq!((done.close_out.as_str(), done.propagation()), ("", Propagation::NotNeeded));
    assert!(client.get_opportunity(&names[1]).await.close_out.is_empty());
    // Another item under the index of one that was done.
    let item = Opportunity { index: 0, ..items[1].clone() };
    let mut answers = Answers::default();
    client.bulk_opportunities_once(&call, &[item], 1, &mut answers).await.unwrap();
    assert_eq!(reason(answers.refusal(0)), "IDEMPOTENCY_KEY_REUSED");
    remove(pair).await;
}

/// The end where not every call was noted.
async fn remove(pair: Pair) {
    let Pair { opportunity, order, place, .. } = pair;
    drop((opportunity, order));
    place.remove().await;
}

/// A call whose items are not noted: how many were done, and how it ended.
async fn open(
    client: &Client,
    messages: BoxStream<'static, sales::BulkCloseOutOpportunitiesRequest>,
) -> (usize, Status) {
    let mut replies = client.opportunities.clone().bulk_close_out_opportunities(messages).await.unwrap().into_inner();
    let mut done = 0;
    loop {
        match replies.message().await {
            Ok(Some(message)) => done += message.results.into_iter().filter(|one| told(one.clone()).is_ok()).count(),
            Ok(None) => return (done, Status::ok("")),
            Err(status) => return (done, status),
        }
    }
}

async fn the_other_service_is_waited_for(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (sold, ordered) = (opportunities(&client, &customer, 300).await, orders(&client, &customer, 300).await);
    let waits = Wait::Peer.into();
    let max_wait = Some(prost_types::Duration { seconds: 20, nanos: 0 });
    let settled = |answers: &Answers| answers.done().all(|(_, done)| done.propagation() == Propagation::Settled);
    let call = sales::BulkCloseOutOpportunitiesRequest { wait: waits, max_wait, ..opportunities_call() };
    for _ in 0..2 {
        let answers = client.bulk_opportunities(&call, &closing_each(&sold), 100).await;
        all_done(&answers, 300);
        assert!(settled(&answers));
    }
    let call = trade::BulkCloseOutOrdersRequest { wait: waits, max_wait, ..orders_call() };
    let answers = client.bulk_orders(&call, &cancelling_each(&ordered[..200]), 100).await;
    all_done(&answers, 200);
    assert!(settled(&answers));
    // With nobody there, an item is answered as far as it is known.
    pair.opportunity.kill();
    let call = trade::BulkCloseOutOrdersRequest { wait: waits, ..orders_call() };
    let answers = client.bulk_orders(&call, &cancelling_each(&ordered[200..]), 100).await;
    all_done(&answers, 100);
    assert!(answers.done().all(|(_, done)| done.propagation() == Propagation::Pending));
    pair.opportunity.start(&[]).await;
    pair.end().await;
}

async fn who_does_not_read_is_not_read(kind: Kind) {
    const ALL: u64 = 500;
    const IN_MESSAGE: usize = 100;
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let taken = Arc::new(AtomicU64::new(0));
    let note = taken.clone();
    let messages = endless(opportunities_call(), IN_MESSAGE, move || {
        note.fetch_add(1, Ordering::Relaxed);
    });
    let messages = messages.take(ALL as usize);
    let mut replies = client.opportunities.clone().bulk_close_out_opportunities(messages).await.unwrap().into_inner();
    // The sender is held back once nothing has been taken for a while.
    let still = until("the sender is held back", SOON, || async {
        let before = taken.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        (before > 0 && taken.load(Ordering::Relaxed) == before).then_some(before)
    })
    .await;
    let items = still * IN_MESSAGE as u64;
    println!("{items} items of {} were taken from a sender who reads nothing", ALL * IN_MESSAGE as u64);
    // Unanswered ones, one message more, and what fits into the buffers of both directions.
    assert!(items <= 12_000, "{items}");
    // Meanwhile others are served.
    client.customer().await;
    let mut answered = 0;
    while let Some(message) = replies.message().await.unwrap() {
        answered += message.results.len() as u64;
    }
    assert_eq!((answered, taken.load(Ordering::Relaxed)), (ALL * IN_MESSAGE as u64, ALL));
    pair.end().await;
}

async fn a_process_that_is_ended_answers_what_it_has_begun(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let names = opportunities(&client, &customer, 1_500).await;
    let (call, items) = (opportunities_call(), closing_each(&names));
    // The first thousand are sent, and then the call stays open.
    let (sender, receiver) = mpsc::channel::<Vec<Opportunity>>(1);
    let whole = call.clone();
    let messages = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) })
        .map(move |items| sales::BulkCloseOutOpportunitiesRequest { items, ..whole.clone() });
    let mut replies = client.opportunities.clone().bulk_close_out_opportunities(messages).await.unwrap().into_inner();
    sender.send(items[..1_000].to_vec()).await.unwrap();
    let first = replies.message().await.unwrap().unwrap();
    let rest = tokio::spawn(async move {
        let mut results = first.results;
        loop {
            match replies.message().await {
                Ok(Some(message)) => results.extend(message.results),
                Ok(None) => return (results, Status::ok("")),
                Err(status) => return (results, status),
            }
        }
    });
    let (ended, took) = pair.opportunity.terminated().await;
    assert!(ended.success() && took < Duration::from_secs(10), "{ended} after {took:?}");
    let (results, status) = rest.await.unwrap();
    println!("{} answers, then {status}", results.len());
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, "SHUTTING_DOWN".into()));
    assert!(status.message().contains("send every index"), "{status}");
    pair.opportunity.start(&[]).await;
    let client = pair.client();
    let answers = client.bulk_opportunities(&call, &items, 100).await;
    all_done(&answers, 1_500);
    for result in results {
        let (index, done) = (result.index, told(result).unwrap());
        assert_eq!(answers.first[&index].as_ref().unwrap().close_out, done.close_out);
    }
    pair.end().await;
}

async fn single_calls_find_room_beside_bulk_calls(kind: Kind) {
    let pair = Pair::started(kind).await;
    let done = Arc::new(AtomicBool::new(false));
    let bulk: Vec<_> = (0..4)
        .map(|_| {
            let (client, done) = (pair.client(), done.clone());
            tokio::spawn(async move {
                let messages = endless(opportunities_call(), 500, || {});
                let mut replies =
                    client.opportunities.clone().bulk_close_out_opportunities(messages).await.unwrap().into_inner();
                let mut answered = 0;
                while !done.load(Ordering::Relaxed) {
                    answered += replies.message().await.unwrap().unwrap().results.len();
                }
                answered
            })
        })
        .collect();
    let other = pair.client_of(TenantId(Uuid::now_v7()), "bob");
    let mut slowest = Duration::ZERO;
    for client in [pair.client(), other] {
        for _ in 0..20 {
            let began = Instant::now();
            client.customer().await;
            slowest = slowest.max(began.elapsed());
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for call in bulk {
        answered += call.await.unwrap();
    }
    println!("{answered} items of four bulk calls beside 40 single ones, of which none took longer than {slowest:?}");
    assert!(answered > 0 && slowest < Duration::from_secs(2), "{slowest:?}");
    pair.end().await;
}

async fn only_the_caller_sets_a_deadline(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let mut request = Request::new(stream::pending::<sales::BulkCloseOutOpportunitiesRequest>());
    request.set_timeout(Duration::from_millis(300));
    let replies = client.opportunities.clone().bulk_close_out_opportunities(request).await;
    let status = replies.unwrap().into_inner().message().await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    if long() {
        // Longer than a single call may take.
        let customer = client.customer().await;
        let items = cancelling_each(&orders(&client, &customer, 2).await);
        let part = |items: &[Order]| trade::BulkCloseOutOrdersRequest { items: items.to_vec(), ..orders_call() };
        let second = part(&items[1..]);
        let messages = stream::iter([part(&items[..1])]).chain(stream::once(async move {
            tokio::time::sleep(Duration::from_secs(12)).await;
            trade::BulkCloseOutOrdersRequest { request_id: String::new(), ..second }
        }));
        let mut replies = client.orders.clone().bulk_close_out_orders(messages).await.unwrap().into_inner();
        let mut answered: Vec<common::BulkResult> = Vec::new();
        while let Some(message) = replies.message().await.unwrap() {
            answered.extend(message.results);
        }
        assert_eq!(answered.into_iter().filter(|one| told(one.clone()).is_ok()).count(), 2);
    }
    remove(pair).await;
}
