//! Writer and relay together on both databases, with the smallest service there can be and a peer that the check plays itself.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a check that can not go on has failed")]

#[path = "../../../tests/support/fresh.rs"]
mod fresh;

use crm_closeout::{
    access::Access,
    codes::{Record, RecordKind},
    fact::{Applied, Event, Fact, MirrorState, PeerOutcome},
    ids::TenantId,
    records::{AuditEntry, Lane},
    refusal::Refusal,
    time::Time,
    working_set::{Cause, Common},
};
use crm_outbox::{
    batch::{self, Call, Decided, Domain, Item},
    db::{Db, Error, Tx},
    operator::Release,
    relay::{self, PeerState, Peers},
    seats::CALLS_OF_TENANT,
    sql::{Args, Sql},
    table,
    tables::OutboxRow,
    wire::{self, Received, Reject},
    writer::{self, Answer, BATCH, CALLS_WAITING, Failure, Writer},
};
use crm_proto::peer::{ApplyRequest, ApplyResponse, Envelope};
use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));

fresh::on_both!(&[];
    the_culprit_of_a_batch_fails_alone,
    one_call_at_two_processes_is_done_once,
    a_caller_hears_what_the_peer_made_of_it,
    a_lane_is_in_one_call_at_a_time_and_in_order,
    a_lost_reply_is_asked_for_again,
    a_gap_is_sent_again_until_its_turn_comes,
    a_refused_message_parks_its_lane_and_no_other,
    what_another_process_left_is_delivered,
    a_message_keeps_the_trace_of_its_call_whoever_delivers_it,
    nobody_waits_for_a_peer_that_is_down,
    a_peer_that_is_back_is_noticed_although_nothing_is_sent,
    what_is_held_is_sent_before_the_end,
    another_process_of_the_peer_takes_over_from_one_that_is_down,
    a_message_that_breaks_the_peer_is_found_and_parked,
    a_fault_of_the_peer_puts_the_message_off,
    a_lane_goes_on_when_its_predecessor_comes_from_elsewhere,
    a_parked_message_is_sent_again_when_an_operator_says_so,
    a_message_that_is_given_up_leaves_a_tombstone_and_its_lane_goes_on,
    only_a_parked_message_can_be_released,
    a_full_input_refuses_at_once_and_leaves_room_for_others,
    callers_without_end_do_not_hold_up_the_peer_s_messages,
);

/// Sends a fact, or writes an audit entry under a given id.
#[derive(Clone, Debug)]
enum Command {
    Tell { record: u128, number: i64 },
    Audit(u128),
}

#[derive(Debug)]
struct Notes;

impl Domain for Notes {
    type Command = Command;
    type World = Common;

    fn mirrors(_: RecordKind) -> bool {
        true
    }

    fn load(_: &mut Tx, common: Common, _: &[Item<Command>]) -> impl Future<Output = Result<Common, Error>> + Send {
        ready(Ok(common))
    }

    fn common(world: &mut Common) -> &mut Common {
        world
    }

    fn begin(world: &mut Common) {
        world.begin();
    }

    fn rollback(world: &mut Common) {
        world.rollback();
    }

    fn decide(world: &mut Common, cause: &Cause, command: &Command) -> Result<Decided, Refusal> {
        match command {
            Command::Tell { record, number } => world.send(cause, lane(*record), *number, fact(), None),
            Command::Audit(id) => world.audit.push(entry(cause, *id)),
        }
        Ok(Decided::default())
    }

    fn apply(_: &mut Common, _: &Cause, _: &Lane, _: &Fact) -> Applied {
        applied()
    }

    fn save(_: &mut Tx, _: &Common) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }
}

fn lane(n: u128) -> Record {
    Record::new(RecordKind::Order, Uuid::from_u128(n))
}

fn fact() -> Fact {
    Fact {
        event: Event::Changed,
        customer_id: None,
        customer_name: String::new(),
        parent: None,
        state: MirrorState::Live,
        epoch: 0,
        owner: "ann".into(),
        actor: "ann".into(),
        at: Time(1),
        reason: None,
        settings: None,
        rate: None,
        close_out: None,
    }
}

fn entry(cause: &Cause, id: u128) -> AuditEntry {
    AuditEntry {
        tenant_id: cause.tenant_id,
        audit_id: Uuid::from_u128(id),
        audited_at: Time(1),
        actor: cause.actor.clone(),
        method: cause.method.into(),
        request_id: cause.request_id,
        message_id: None,
        resource: "x".into(),
        version_before: 0,
        version_after: 1,
        state_before: String::new(),
        state_after: String::new(),
        close_out_id: None,
        note: String::new(),
    }
}

fn applied() -> Applied {
    Applied { outcome: PeerOutcome::Applied, effects: Vec::new() }
}

fn item(command: Command) -> Call<Command> {
    let request_id = Uuid::now_v7();
    let cause = Cause {
        tenant_id: TENANT,
        actor: "ann".into(),
        access: Access::EVERYTHING,
        method: "Note",
        request_id: Some(request_id),
        message_id: None,
    };
    Call {
        cause,
        request_id,
        fingerprint: vec![1],
        validate_only: false,
        trace_parent: String::new(),
        confirmed: None,
        command,
    }
}

/// What the check's peer does with a call.
type Peer = Arc<dyn Fn(Vec<Envelope>) -> Result<Vec<Received>, Status> + Send + Sync>;

/// The connection broke before there was an answer.
fn broken() -> Status {
    Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)))
}

struct Running {
    writer: Writer<Notes>,
    peer: PeerState,
    stop: CancellationToken,
    relay: JoinHandle<()>,
    desk: JoinHandle<()>,
}

impl Running {
    fn start(db: &Db, peer: Peer) -> Self {
        Self::with_peers(db, vec![peer])
    }

    fn with_peers(db: &Db, peers: Vec<Peer>) -> Self {
        let (committed, handover) = mpsc::channel(relay::HANDOVER);
        let (writer, courier, desk) = writer::writer::<Notes>(db.clone(), committed);
        let (state, stop) = (PeerState::default(), CancellationToken::new());
        let addresses = (0..peers.len()).map(|n| format!("peer {n}")).collect();
        let deliver = move |peer: usize, request: ApplyRequest| {
            let answer = peers[peer](request.envelopes);
            ready(answer.map(|all| ApplyResponse { outcomes: all.into_iter().map(wire::outcome).collect() }))
        };
        let peers = Peers { addresses, deliver };
        let relay = relay::relay(db.clone(), courier, handover, peers, state.clone(), stop.clone());
        Self { writer, peer: state, stop, relay: tokio::spawn(relay), desk: tokio::spawn(desk.work()) }
    }

    async fn tell(&self, record: u128, number: i64) -> Answer {
        self.writer.call(item(Command::Tell { record, number }), true).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.relay.await.unwrap();
        drop(self.writer);
        self.desk.await.unwrap();
    }
}

/// A peer that keeps lanes as the contract says, and records what it was sent.
#[derive(Default)]
struct Lanes {
    last: HashMap<Vec<u8>, i64>,
    sent: Vec<(u128, i64)>,
    calls: u32,
}

impl Lanes {
    fn take(&mut self, envelopes: &[Envelope]) -> Vec<Received> {
        self.calls += 1;
        envelopes.iter().map(|envelope| self.one(envelope)).collect()
    }

    fn one(&mut self, envelope: &Envelope) -> Received {
        self.sent.push((Uuid::from_slice(&envelope.id).unwrap().as_u128(), envelope.number));
        let last = self.last.entry(envelope.id.clone()).or_default();
        match envelope.number - *last {
            ..=0 => Received::Duplicate(applied()),
            1 => {
                *last = envelope.number;
                Received::Applied(applied())
            }
            _ => Received::Gap(*last + 1),
        }
    }
}

fn orderly() -> (Peer, Arc<Mutex<Lanes>>) {
    let lanes = Arc::new(Mutex::new(Lanes::default()));
    let peer = lanes.clone();
    (Arc::new(move |envelopes| Ok(peer.lock().unwrap().take(&envelopes))), lanes)
}

/// Waits until something is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !holds().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn outbox(db: &Db) -> i64 {
    db.read(&Sql::plain("SELECT count(*) FROM outbox"), Args::none()).await.unwrap()[0].get(0).unwrap()
}

async fn the_culprit_of_a_batch_fails_alone(db: &Db) {
    let (peer, _) = orderly();
    let running = Running::start(db, peer);
    // The same id twice: whichever comes second is refused by the database, wherever it stands in its batch.
    let ids = [1, 2, 3, 2, 4, 5];
    let calls = ids.map(|id| running.writer.call(item(Command::Audit(id)), false));
    let results = futures::future::join_all(calls).await;
    let failed = results
        .iter()
        .filter(|result| matches!(result, Err(Failure::Database(e)) if matches!(**e, Error::Data { .. })));
    assert_eq!((failed.count(), results.iter().filter(|result| result.is_ok()).count()), (1, 5));
    let written = db.read(&Sql::plain("SELECT count(*) FROM audit"), Args::none()).await.unwrap();
    assert_eq!(written[0].get::<i64>(0).unwrap(), 5);
    running.end().await;
}

async fn one_call_at_two_processes_is_done_once(db: &Db) {
    let (first, second) = (Running::start(db, orderly().0), Running::start(db, orderly().0));
    for id in 0..40 {
        let (call, request_id) = (|| item(Command::Audit(id)), Uuid::now_v7());
        let copy = || Call { request_id, ..call() };
        let (one, other) = tokio::join!(first.writer.call(copy(), false), second.writer.call(copy(), false));
        let repeated = [one.unwrap().done.repeated, other.unwrap().done.repeated];
        assert_eq!(repeated.iter().filter(|repeated| **repeated).count(), 1, "call {id}");
    }
    first.end().await;
    second.end().await;
    let written = db.read(&Sql::plain("SELECT count(*) FROM audit"), Args::none()).await.unwrap();
    assert_eq!(written[0].get::<i64>(0).unwrap(), 40);
}

async fn a_caller_hears_what_the_peer_made_of_it(db: &Db) {
    let (peer, _) = orderly();
    let running = Running::start(db, peer);
    let answer = running.tell(7, 1).await;
    assert_eq!(answer.done.message, Some((TENANT, lane(7), 1)));
    assert_eq!(answer.delivery.unwrap().await.unwrap(), applied());
    until("the outbox is empty", async || outbox(db).await == 0).await;
    running.end().await;
}

async fn a_lane_is_in_one_call_at_a_time_and_in_order(db: &Db) {
    let (peer, lanes) = orderly();
    let running = Running::start(db, peer);
    let tells = (0..40).map(|n| running.tell(n % 4, (n / 4) as i64 + 1));
    futures::future::join_all(tells).await;
    until("the outbox is empty", async || outbox(db).await == 0).await;
    running.end().await;
    let lanes = lanes.lock().unwrap();
    for record in 0..4 {
        let numbers: Vec<_> =
            lanes.sent.iter().filter(|(lane, _)| *lane == record).map(|(_, number)| *number).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>(), "nothing was too early or came twice");
    }
}

async fn a_lost_reply_is_asked_for_again(db: &Db) {
    let lanes = Arc::new(Mutex::new(Lanes::default()));
    let peer = lanes.clone();
    let running = Running::start(
        db,
        Arc::new(move |envelopes| {
            let mut lanes = peer.lock().unwrap();
            let outcomes = lanes.take(&envelopes);
            if lanes.calls == 1 { Err(Status::unavailable("the reply was lost")) } else { Ok(outcomes) }
        }),
    );
    let answer = running.tell(7, 1).await;
    assert_eq!(answer.delivery.unwrap().await.unwrap(), applied());
    running.end().await;
    assert_eq!(lanes.lock().unwrap().sent, [(7, 1), (7, 1)]);
    assert_eq!(outbox(db).await, 0);
}

async fn a_gap_is_sent_again_until_its_turn_comes(db: &Db) {
    let (peer, lanes) = orderly();
    let running = Running::start(db, peer);
    let second = running.tell(7, 2).await;
    until("the peer said GAP", async || !lanes.lock().unwrap().sent.is_empty()).await;
    let first = running.tell(7, 1).await;
    assert_eq!(first.delivery.unwrap().await.unwrap(), applied());
    assert_eq!(second.delivery.unwrap().await.unwrap(), applied());
    running.end().await;
}

async fn a_refused_message_parks_its_lane_and_no_other(db: &Db) {
    let (peer, lanes) = orderly();
    let running = Running::start(
        db,
        Arc::new(move |envelopes| {
            let outcomes = peer(envelopes.clone())?;
            let bad = Uuid::from_u128(7).as_bytes().to_vec();
            let refuse = |(envelope, outcome): (&Envelope, Received)| {
                if envelope.id == bad { Received::Rejected(Reject::Malformed("no".into())) } else { outcome }
            };
            Ok(envelopes.iter().zip(outcomes).map(refuse).collect())
        }),
    );
    let bad = running.tell(7, 1).await;
    assert!(bad.delivery.unwrap().await.is_err(), "nobody is told that it arrived");
    let good = running.tell(8, 1).await;
    assert_eq!(good.delivery.unwrap().await.unwrap(), applied());
    let key = (TENANT, lane(7), 1);
    until("it is parked", async || db.get::<OutboxRow>(&key).await.unwrap().is_some_and(|row| row.parked)).await;
    running.end().await;
    assert_eq!(lanes.lock().unwrap().sent.iter().filter(|(lane, _)| *lane == 7).count(), 1);
}

/// A peer that does not take the first message about one record until it is told to.
fn picky(lane: u128) -> (Peer, Arc<Mutex<Lanes>>, Arc<AtomicBool>) {
    let (peer, lanes) = orderly();
    let mended = Arc::new(AtomicBool::new(false));
    let (takes, id) = (mended.clone(), Uuid::from_u128(lane).as_bytes().to_vec());
    let picky: Peer = Arc::new(move |envelopes| {
        let bad = |envelope: &Envelope| {
            let tombstone = wire::event_word(&envelope.payload) == Some("SKIPPED");
            envelope.id == id && envelope.number == 1 && !tombstone && !takes.load(Ordering::Relaxed)
        };
        if !envelopes.iter().any(bad) {
            return peer(envelopes);
        }
        Ok(envelopes.iter().map(|_| Received::Rejected(Reject::Malformed("no".into()))).collect())
    });
    (picky, lanes, mended)
}

fn release(number: i64, method: &'static str, withdraw: Option<&str>) -> Call<Release> {
    let Call { cause, request_id, fingerprint, validate_only, trace_parent, .. } = item(Command::Audit(0));
    let command = Release { record: lane(7), number, withdraw: withdraw.map(str::to_owned) };
    Call {
        cause: Cause { method, ..cause },
        request_id,
        fingerprint,
        validate_only,
        trace_parent,
        confirmed: None,
        command,
    }
}

async fn parked(db: &Db, number: i64) {
    let key = (TENANT, lane(7), number);
    until("it is parked", async || db.get::<OutboxRow>(&key).await.unwrap().is_some_and(|row| row.parked)).await;
}

async fn a_parked_message_is_sent_again_when_an_operator_says_so(db: &Db) {
    let (peer, lanes, mended) = picky(7);
    let running = Running::start(db, peer);
    running.tell(7, 1).await;
    parked(db, 1).await;
    running.tell(7, 2).await;
    mended.store(true, Ordering::Relaxed);
    let retry = release(1, "RetryParkedMessage", None);
    let (copy, again) = (retry.request_id, running.writer.release(retry).await.unwrap());
    assert!(!again.done.repeated);
    until("both have arrived", async || outbox(db).await == 0).await;
    let repeated = Call { request_id: copy, ..release(1, "RetryParkedMessage", None) };
    let repeated = running.writer.release(repeated).await.unwrap().done;
    assert!(repeated.repeated && repeated.reply == again.done.reply, "a copy of the call gets the same answer");
    running.end().await;
    assert_eq!(lanes.lock().unwrap().last.values().copied().collect::<Vec<_>>(), [2]);
}

async fn a_message_that_is_given_up_leaves_a_tombstone_and_its_lane_goes_on(db: &Db) {
    let (peer, lanes, mended) = picky(7);
    let running = Running::start(db, peer);
    running.tell(7, 1).await;
    parked(db, 1).await;
    running.writer.release(release(1, "SkipParkedMessage", Some("a test made it"))).await.unwrap();
    until("the tombstone has arrived", async || outbox(db).await == 0).await;
    mended.store(true, Ordering::Relaxed);
    let next = running.tell(7, 2).await;
    assert_eq!(next.delivery.unwrap().await.unwrap(), applied());
    running.end().await;
    assert_eq!(lanes.lock().unwrap().last.values().copied().collect::<Vec<_>>(), [2]);
    let audit = db.read(&Sql::plain("SELECT method, state_after, note FROM audit"), Args::none()).await.unwrap();
    let [row] = &audit[..] else { panic!("one row: {audit:?}") };
    let words: [String; 3] = std::array::from_fn(|column| row.get(column).unwrap());
    assert_eq!(words, ["SkipParkedMessage", "SKIPPED", "a test made it"]);
}

async fn only_a_parked_message_can_be_released(db: &Db) {
    let running = Running::start(db, Arc::new(|_| Err(broken())));
    running.tell(7, 1).await;
    let refused = async |number| match running.writer.release(release(number, "RetryParkedMessage", None)).await {
        Err(Failure::Refused(refusal)) => refusal.reason(),
        other => panic!("{other:?}"),
    };
    assert_eq!((refused(1).await, refused(2).await), ("NOT_PARKED", "NOT_FOUND"));
    running.end().await;
}

/// Whether a call was refused as soon as it was handed in; else it waits, to be finished later.
async fn handed_in<F: Future<Output = Result<Answer, Failure>>>(call: Pin<&mut F>) -> bool {
    matches!(futures::future::poll_immediate(call).await, Some(Err(Failure::Overloaded)))
}

async fn a_full_input_refuses_at_once_and_leaves_room_for_others(db: &Db) {
    let (committed, handover) = mpsc::channel(relay::HANDOVER);
    let (writer, courier, desk) = writer::writer::<Notes>(db.clone(), committed);
    let calls = |tenant: u128| {
        let writer = writer.clone();
        let call = move |id: u128| {
            let mut call = item(Command::Audit(tenant * 10_000 + id));
            call.cause.tenant_id = TenantId(Uuid::from_u128(tenant));
            let writer = writer.clone();
            Box::pin(async move { writer.call(call, false).await })
        };
        (0..CALLS_WAITING as u128).map(call).collect::<Vec<_>>()
    };
    let (mut first, mut second) = (calls(1), calls(2));
    let mut refused = [0, 0];
    for (tenant, calls) in [&mut first, &mut second].into_iter().enumerate() {
        for call in calls.iter_mut() {
            refused[tenant] += usize::from(handed_in(call.as_mut()).await);
        }
    }
    let room = CALLS_WAITING - CALLS_OF_TENANT;
    assert_eq!(refused, [CALLS_WAITING - CALLS_OF_TENANT, CALLS_WAITING - room]);
    // What was taken in is done as soon as somebody works.
    let desk = tokio::spawn(desk.work());
    first.truncate(CALLS_OF_TENANT);
    second.truncate(room);
    let done = futures::future::join_all(first.into_iter().chain(second)).await;
    assert!(done.iter().all(Result::is_ok));
    drop((writer, courier, handover));
    desk.await.unwrap();
}

async fn callers_without_end_do_not_hold_up_the_peer_s_messages(db: &Db) {
    let (committed, handover) = mpsc::channel(relay::HANDOVER);
    let (writer, courier, desk) = writer::writer::<Notes>(db.clone(), committed);
    let mut calls: Vec<_> =
        (0..CALLS_OF_TENANT as u128).map(|id| Box::pin(writer.call(item(Command::Audit(id)), false))).collect();
    for call in &mut calls {
        assert!(!handed_in(call.as_mut()).await);
    }
    let message = wire::decode(&Envelope {
        tenant_id: TENANT.0.as_bytes().to_vec(),
        kind: 2,
        id: Uuid::from_u128(5).as_bytes().to_vec(),
        number: 1,
        message_id: Uuid::from_u128(6).as_bytes().to_vec(),
        payload: wire::encode(&fact()),
        ..Default::default()
    });
    let received = writer.message(message.unwrap()).await.unwrap();
    let desk = tokio::spawn(desk.work());
    // The lane is not loaded by the smallest service there can be; that it is answered is what counts.
    assert!(matches!(received.await.unwrap(), Received::Rejected(Reject::Internal(_))));
    let mut waiting = 0;
    for call in &mut calls {
        waiting += usize::from(futures::future::poll_immediate(call.as_mut()).await.is_none());
    }
    assert!(waiting >= CALLS_OF_TENANT - BATCH, "it was in the first batch: {waiting} calls still wait");
    drop(calls);
    drop((writer, courier, handover));
    desk.await.unwrap();
}

/// A process has committed this, and its leases are over.
async fn left(db: &Db, items: &[Item<Command>]) {
    let mut left = batch::run::<Notes, _>(db, &[], items, ready(())).await.unwrap().0.outbox;
    left.iter_mut().for_each(|row| row.lease_until = Time(0));
    let mut tx = db.begin().await.unwrap();
    table::update(&mut tx, &left).await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_another_process_left_is_delivered(db: &Db) {
    let tell = |record, number| Item::Call(item(Command::Tell { record, number }));
    left(db, &[tell(7, 1), tell(7, 2), tell(8, 1)]).await;
    let (peer, lanes) = orderly();
    let running = Running::start(db, peer);
    until("the outbox is empty", async || outbox(db).await == 0).await;
    running.end().await;
    assert_eq!(lanes.lock().unwrap().sent, [(7, 1), (7, 2), (8, 1)]);
}

async fn a_message_keeps_the_trace_of_its_call_whoever_delivers_it(db: &Db) {
    let call = |trace: &str, command| Item::Call(Call { trace_parent: trace.into(), ..item(command) });
    let tell = |trace, record| call(trace, Command::Tell { record, number: 1 });
    left(db, &[tell("one", 7), call("two", Command::Audit(1)), tell("", 8), tell("three", 9)]).await;
    let (orderly, seen) = (orderly().0, Arc::new(Mutex::new(Vec::new())));
    let noted = seen.clone();
    let running = Running::start(
        db,
        Arc::new(move |envelopes| {
            noted.lock().unwrap().extend(envelopes.iter().map(|envelope| envelope.trace_parent.clone()));
            orderly(envelopes)
        }),
    );
    until("the outbox is empty", async || outbox(db).await == 0).await;
    running.end().await;
    assert_eq!(*seen.lock().unwrap(), ["one", "", "three"]);
}

async fn nobody_waits_for_a_peer_that_is_down(db: &Db) {
    let running = Running::start(db, Arc::new(|_| Err(Status::unavailable("no route"))));
    let answer = running.tell(7, 1).await;
    assert!(answer.delivery.unwrap().await.is_err(), "whoever waited is let go");
    assert!(running.peer.is_down());
    let later = running.tell(8, 1).await;
    assert!(later.delivery.unwrap().await.is_err());
    running.end().await;
    assert_eq!(outbox(db).await, 2);
}

async fn a_peer_that_is_back_is_noticed_although_nothing_is_sent(db: &Db) {
    let (peer, lanes) = orderly();
    let back = Arc::new(AtomicBool::new(false));
    let answers = back.clone();
    let running = Running::start(
        db,
        Arc::new(
            move |envelopes| {
                if answers.load(Ordering::Relaxed) { peer(envelopes) } else { Err(Status::unavailable("no")) }
            },
        ),
    );
    running.tell(7, 1).await;
    until("the peer counts as down", async || running.peer.is_down()).await;
    back.store(true, Ordering::Relaxed);
    until("the peer counts as up", async || !running.peer.is_down()).await;
    until("the outbox is empty", async || outbox(db).await == 0).await;
    running.end().await;
    assert_eq!(lanes.lock().unwrap().sent, [(7, 1)]);
}

async fn what_is_held_is_sent_before_the_end(db: &Db) {
    let (peer, lanes) = orderly();
    let running = Running::start(db, peer);
    for n in 0..20 {
        running.tell(n, 1).await;
    }
    running.end().await;
    assert_eq!(lanes.lock().unwrap().last.len(), 20);
    assert_eq!(outbox(db).await, 0);
}

async fn another_process_of_the_peer_takes_over_from_one_that_is_down(db: &Db) {
    let (peer, lanes) = orderly();
    let down = Arc::new(Mutex::new(0));
    let asked = down.clone();
    let dead: Peer = Arc::new(move |_| {
        *asked.lock().unwrap() += 1;
        Err(broken())
    });
    let running = Running::with_peers(db, vec![dead, peer]);
    for n in 0..20 {
        let answer = running.tell(n, 1).await;
        assert_eq!(answer.delivery.unwrap().await.unwrap(), applied());
    }
    assert!(!running.peer.is_down(), "one of two works");
    running.end().await;
    assert_eq!(lanes.lock().unwrap().last.len(), 20);
    let asked = *down.lock().unwrap();
    assert!((1..20).contains(&asked), "the dead one is only asked now and then: {asked}");
}

async fn a_message_that_breaks_the_peer_is_found_and_parked(db: &Db) {
    let (peer, lanes) = orderly();
    let poisoned = Arc::new(Mutex::new(Vec::new()));
    let calls = poisoned.clone();
    let poison = Uuid::from_u128(7).as_bytes().to_vec();
    let running = Running::start(
        db,
        Arc::new(move |envelopes| {
            if envelopes.iter().any(|envelope| envelope.id == poison) {
                calls.lock().unwrap().push(envelopes.len());
                return Err(broken());
            }
            peer(envelopes)
        }),
    );
    let tells = (0..40).map(|n| running.tell(n, 1));
    futures::future::join_all(tells).await;
    until("only the poison is left, parked", async || {
        let row = db.get::<OutboxRow>(&(TENANT, lane(7), 1)).await.unwrap();
        outbox(db).await == 1 && row.is_some_and(|row| row.parked)
    })
    .await;
    running.end().await;
    let calls = poisoned.lock().unwrap();
    assert!(calls.len() <= 7, "found within seven calls: {calls:?}");
    assert!(calls.iter().rev().take(4).all(|messages| *messages == 1), "at last alone: {calls:?}");
    assert_eq!(lanes.lock().unwrap().last.len(), 39);
}

async fn a_fault_of_the_peer_puts_the_message_off(db: &Db) {
    let (peer, lanes) = orderly();
    let faults = Mutex::new(2);
    let running = Running::start(
        db,
        Arc::new(move |envelopes| {
            let mut faults = faults.lock().unwrap();
            if *faults > 0 && !envelopes.is_empty() {
                *faults -= 1;
                return Ok(envelopes.iter().map(|_| Received::Rejected(Reject::Internal("bug".into()))).collect());
            }
            peer(envelopes)
        }),
    );
    running.tell(7, 1).await;
    let key = (TENANT, lane(7), 1);
    until("it is put off twice", async || {
        db.get::<OutboxRow>(&key).await.unwrap().is_some_and(|row| row.refusals == 2)
    })
    .await;
    assert_eq!(db.get::<OutboxRow>(&key).await.unwrap().unwrap().fault, "bug");
    until("it arrives", async || outbox(db).await == 0).await;
    running.end().await;
    assert_eq!(lanes.lock().unwrap().sent, [(7, 1)]);
}

async fn a_lane_goes_on_when_its_predecessor_comes_from_elsewhere(db: &Db) {
    let (peer, lanes) = orderly();
    let running = Running::start(db, peer);
    let second = running.tell(7, 2).await;
    until("the peer said GAP", async || lanes.lock().unwrap().sent.len() > 1).await;
    lanes.lock().unwrap().one(&Envelope {
        number: 1,
        id: Uuid::from_u128(7).as_bytes().to_vec(),
        ..Default::default()
    });
    assert_eq!(second.delivery.unwrap().await.unwrap(), applied());
    running.end().await;
    assert_eq!(outbox(db).await, 0);
}
