//! The store of the trade side on both databases, through whole batches: what is loaded, decided and saved together.

#[path = "../../../../tests/support/fresh.rs"]
mod fresh;

use crate::{
    domain::{Closing, Command, Customer, Line, Lines, NewOrder, Order, State},
    service::Orders,
};
use crm_closeout::{
    access::Access,
    cascade::{NewTask, Resend, TaskCommand},
    codes::{Record, RecordKind},
    episode::{CloseOut, Outcome, OutcomeClass, Propagation},
    fact::{Applied, ClosedFact, Event, Fact, MirrorState, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId, OrderId, TenantId},
    money::Currency,
    reason::{self, BUILT_IN, Edition, Entry, Listed, Reason},
    remarks::Remarks,
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::Cause,
};
use crm_outbox::{
    batch::{self, Call, Done, Item, Verdict},
    db::Db,
    select::{Order as Direction, Select},
    tables::OutboxRow,
    wire::{self, Incoming, Received, Reject},
};
use crm_proto::order as pb;
use prost::Message;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER: TenantId = TenantId(Uuid::from_u128(2));
const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(3));

fresh::on_both!(crate::MIGRATIONS;
    what_is_made_is_read_back,
    statements_for_close_outs_do_not_depend_on_their_number,
    statements_for_messages_do_not_depend_on_their_number,
    a_closed_opportunity_closes_what_hangs_on_it_and_gives_it_back,
    two_hundred_and_fifty_six_lost_deals_of_one_customer_are_one_batch,
    a_fact_comes_before_its_customer_is_known,
    another_tenant_s_message_touches_nothing,
    a_message_and_a_command_meet_in_one_batch,
    the_owner_of_a_live_order_is_asked_and_no_longer_asked,
    the_whole_state_makes_up_for_what_was_not_heard,
    a_withdrawn_message_counts_and_does_nothing,
    an_order_is_told_as_a_whole_in_place_of_what_has_not_arrived,
    the_copy_of_a_reason_decides_here,
);

fn call(method: &'static str, command: Command) -> Item<Command> {
    let request_id = Uuid::now_v7();
    let cause = Cause {
        tenant_id: TENANT,
        actor: "bob".into(),
        access: Access::EVERYTHING,
        method,
        request_id: Some(request_id),
        message_id: None,
    };
    let fingerprint = format!("{command:?}").into_bytes();
    let trace_parent = String::new();
    Item::Call(Call { cause, request_id, fingerprint, validate_only: false, trace_parent, confirmed: None, command })
}

async fn run(db: &Db, items: &[Item<Command>]) -> Vec<Verdict> {
    batch::run::<Orders, _>(db, &[], items, std::future::ready(())).await.unwrap().0.verdicts
}

fn done(verdict: Verdict) -> Done {
    let Verdict::Done(done) = verdict else { panic!("{verdict:?}") };
    *done
}

fn applied(verdict: Verdict) -> Applied {
    let Verdict::Message(Received::Applied(applied)) = verdict else { panic!("{verdict:?}") };
    applied
}

fn opportunity(n: u128) -> Record {
    Record::new(RecordKind::Opportunity, Uuid::from_u128(n))
}

fn fact(event: Event, close_out: u128) -> Fact {
    let closes = matches!(event, Event::Closed | Event::Reopened);
    Fact {
        event,
        customer_id: Some(CUSTOMER),
        customer_name: "海康".into(),
        parent: None,
        state: if event == Event::Closed { MirrorState::Closed } else { MirrorState::Live },
        epoch: 1,
        owner: "ann".into(),
        actor: "ann".into(),
        at: Time(1),
        reason: None,
        settings: None,
        rate: None,
        close_out: closes.then(|| ClosedFact {
            close_out_id: CloseOutId(Uuid::from_u128(close_out)),
            cause: None,
            hop: 0,
            group_id: None,
            outcome: Outcome::Lost,
            reason_code: "UNRESPONSIVE".into(),
            reason_version: 1,
            class: Some(OutcomeClass::NoDecision),
            detail: String::new(),
            closed_at: Time(1),
            historical: false,
            won_policy: None,
            amount: None,
            win_back_at: None,
            planned: None,
        }),
    }
}

fn incoming(item: Item<Command>) -> Incoming {
    let Item::Message(message) = item else { panic!("{item:?}") };
    message
}

fn message(record: Record, number: i64, fact: Fact) -> Item<Command> {
    Item::Message(Incoming {
        tenant_id: TENANT,
        record,
        number,
        message_id: Uuid::from_u128(record.id.as_u128() * 1_000 + number as u128),
        hash: wire::hash(&wire::encode(&fact)),
        trace_parent: String::new(),
        rehearsal: false,
        fact: Some(fact),
    })
}

/// The customer and these opportunities are known here, each with an order task and a draft order with a task.
async fn known(db: &Db, opportunities: std::ops::Range<u128>) {
    let customer = Record::new(RecordKind::Customer, CUSTOMER.0);
    run(db, &[message(customer, 1, fact(Event::Opened, 0))]).await;
    let opened: Vec<_> = opportunities.clone().map(|n| message(opportunity(n), 1, fact(Event::Opened, 0))).collect();
    run(db, &opened).await;
    let drafts: Vec<_> = opportunities.clone().map(|n| call("CreateOrder", create(Some(n)))).collect();
    let roots = run(db, &drafts).await.into_iter().map(|verdict| Record::new(RecordKind::Order, order_id(verdict).0));
    let tasks: Vec<_> = roots.chain(opportunities.map(opportunity)).map(add_task).collect();
    for tasks in tasks.chunks(256) {
        run(db, tasks).await.into_iter().for_each(|verdict| drop(done(verdict)));
    }
}

fn create(opportunity: Option<u128>) -> Command {
    let line = Line { product: "GTX".into(), quantity: 2, fulfilled: 0, cancelled: 0, unit_minor: 100 };
    Command::CreateOrder(NewOrder {
        number: String::new(),
        customer_id: CUSTOMER,
        opportunity_id: opportunity.map(|n| OpportunityId(Uuid::from_u128(n))),
        owner: "bob".into(),
        team: String::new(),
        currency: Currency::parse("CNY").unwrap(),
        lines: Lines(vec![line]),
        created_at: None,
    })
}

fn order_id(verdict: Verdict) -> OrderId {
    OrderId::parse(&pb::Order::decode(&*done(verdict).reply).unwrap().name).unwrap()
}

fn add_task(root: Record) -> Item<Command> {
    let new = NewTask { root, kind: TaskKind::Procure, title: "Buy".into(), assignee: "bob".into(), due_at: None };
    call("CreateTask", Command::Task(TaskCommand::Create(new)))
}

fn cancel(id: OrderId) -> Item<Command> {
    let closing = Closing {
        id,
        etag: String::new(),
        outcome: Outcome::Cancelled,
        reason: reason::name("ORD_OUT_OF_STOCK"),
        detail: String::new(),
        refund_reference: String::new(),
        won_policy: Some(WonPolicy::Ask),
        closed_at: None,
        remarks: Remarks::default(),
    };
    call("CloseOutOrder", Command::CloseOut(closing))
}

async fn customer(db: &Db) -> Customer {
    db.get::<Customer>(&(TENANT, CUSTOMER)).await.unwrap().unwrap()
}

async fn orders_in(db: &Db, state: State) -> usize {
    let orders = Select::<Order>::of(TENANT).equal("state", Some(&state));
    orders.page(db, "order_id", Direction::Oldest, None, 1_000).await.unwrap().len()
}

async fn tasks_in(db: &Db, state: TaskState) -> usize {
    let tasks = Select::<Task>::of(TENANT).equal("state", Some(&state));
    tasks.page(db, "task_id", Direction::Oldest, None, 1_000).await.unwrap().len()
}

async fn what_is_made_is_read_back(db: &Db) {
    known(db, 10..11).await;
    let orders = Select::<Order>::of(TENANT).page(db, "order_id", Direction::Oldest, None, 10).await.unwrap();
    assert_eq!((orders.len(), orders[0].lines.0[0].quantity, orders[0].total().minor), (1, 2, 200));
    let customer = customer(db).await;
    assert_eq!(
        (&*customer.display_name, customer.draft_count, customer.amounts.text(0)),
        ("海康", 1, "2.00 CNY".into())
    );
}

async fn statements_for_close_outs_do_not_depend_on_their_number(db: &Db) {
    let mut counts = Vec::new();
    known(db, 10..11).await;
    for size in [1, 16, 256] {
        let drafts: Vec<_> = (0..size).map(|_| call("CreateOrder", create(None))).collect();
        let ids: Vec<_> = run(db, &drafts).await.into_iter().map(order_id).collect();
        let tasks: Vec<_> = ids.iter().map(|id| add_task(Record::new(RecordKind::Order, id.0))).collect();
        run(db, &tasks).await;
        let items: Vec<_> = ids.into_iter().map(cancel).collect();
        let before = db.statement_count();
        run(db, &items).await.into_iter().for_each(|verdict| drop(done(verdict)));
        counts.push(db.statement_count() - before);
    }
    println!("statements in a batch of 1, 16 and 256 cancelled orders: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

async fn statements_for_messages_do_not_depend_on_their_number(db: &Db) {
    let mut counts = Vec::new();
    let mut from = 10;
    for size in [1, 16, 256] {
        known(db, from..from + size).await;
        let closed = |n| message(opportunity(n), 2, fact(Event::Closed, n + 10_000));
        let items: Vec<_> = (from..from + size).map(closed).collect();
        let before = db.statement_count();
        run(db, &items).await.into_iter().for_each(|verdict| drop(applied(verdict)));
        counts.push(db.statement_count() - before);
        from += size;
    }
    println!("statements in a batch of 1, 16 and 256 messages of closed opportunities: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

async fn a_closed_opportunity_closes_what_hangs_on_it_and_gives_it_back(db: &Db) {
    known(db, 10..11).await;
    let before = customer(db).await;
    let closed = applied(run(db, &[message(opportunity(10), 2, fact(Event::Closed, 60))]).await.remove(0));
    assert_eq!(closed.outcome, PeerOutcome::Applied);
    assert_eq!((orders_in(db, State::Cancelled).await, tasks_in(db, TaskState::Cancelled).await), (1, 2));
    assert_eq!((customer(db).await.deals_lost, customer(db).await.cancelled_count), (1, 1));
    let caused = Select::<CloseOut>::of(TENANT).equal("cause", Some(&CloseOutId(Uuid::from_u128(60))));
    let caused = caused.page(db, "close_out_id", Direction::Oldest, None, 10).await.unwrap();
    assert_eq!((caused.len(), caused[0].hop, &*caused[0].actor), (1, 1, "ann"));
    applied(run(db, &[message(opportunity(10), 3, fact(Event::Reopened, 60))]).await.remove(0));
    assert_eq!((orders_in(db, State::Draft).await, tasks_in(db, TaskState::Open).await), (1, 2));
    let after = customer(db).await;
    assert_eq!((after.deals_lost, after.draft_count, after.amounts), (0, 1, before.amounts));
    let sent = Select::<OutboxRow>::of(TENANT).page(db, "message_id", Direction::Oldest, None, 10).await.unwrap();
    assert_eq!(sent.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3]);
}

async fn two_hundred_and_fifty_six_lost_deals_of_one_customer_are_one_batch(db: &Db) {
    known(db, 1_000..1_256).await;
    let items: Vec<_> = (1_000..1_256).map(|n| message(opportunity(n), 2, fact(Event::Closed, n + 10_000))).collect();
    run(db, &items).await.into_iter().for_each(|verdict| drop(applied(verdict)));
    let customer = customer(db).await;
    assert_eq!((customer.deals_lost, customer.draft_count, customer.cancelled_count), (256, 0, 256));
    assert_eq!((customer.amounts.text(0), customer.amounts.text(3)), ("0".into(), "512.00 CNY".into()));
    assert_eq!(tasks_in(db, TaskState::Open).await, 0);
}

async fn a_fact_comes_before_its_customer_is_known(db: &Db) {
    run(db, &[message(opportunity(10), 1, fact(Event::Opened, 0))]).await;
    assert_eq!(customer(db).await.display_name, "");
    let named = Record::new(RecordKind::Customer, CUSTOMER.0);
    run(db, &[message(named, 1, fact(Event::Opened, 0))]).await;
    assert_eq!(customer(db).await.display_name, "海康");
}

async fn another_tenant_s_message_touches_nothing(db: &Db) {
    known(db, 10..11).await;
    let mut opened = message(opportunity(10), 1, fact(Event::Opened, 0));
    let mut closed = message(opportunity(10), 2, fact(Event::Closed, 60));
    for item in [&mut opened, &mut closed] {
        if let Item::Message(message) = item {
            message.tenant_id = OTHER;
        }
    }
    run(db, &[opened, closed]).await.into_iter().for_each(|verdict| drop(applied(verdict)));
    assert_eq!((orders_in(db, State::Draft).await, tasks_in(db, TaskState::Open).await), (1, 2));
    assert_eq!(customer(db).await.deals_lost, 0);
}

async fn a_message_and_a_command_meet_in_one_batch(db: &Db) {
    known(db, 10..11).await;
    let order = Select::<Order>::of(TENANT).page(db, "order_id", Direction::Oldest, None, 1).await.unwrap()[0].order_id;
    let confirm = call("ConfirmOrder", Command::Confirm { id: order, etag: String::new() });
    let closed = message(opportunity(10), 2, fact(Event::Closed, 60));
    let mut verdicts = run(db, &[confirm, closed]).await;
    assert_eq!(applied(verdicts.pop().unwrap()).outcome, PeerOutcome::NeedsReview);
    done(verdicts.pop().unwrap());
    assert_eq!(orders_in(db, State::Confirmed).await, 1);
}

async fn the_owner_of_a_live_order_is_asked_and_no_longer_asked(db: &Db) {
    known(db, 10..11).await;
    let order = Select::<Order>::of(TENANT).page(db, "order_id", Direction::Oldest, None, 1).await.unwrap()[0].order_id;
    run(db, &[call("ConfirmOrder", Command::Confirm { id: order, etag: String::new() })]).await;
    let closed = applied(run(db, &[message(opportunity(10), 2, fact(Event::Closed, 60))]).await.remove(0));
    assert_eq!(closed.outcome, PeerOutcome::NeedsReview);
    let reviews = async |state| {
        let tasks = Select::<Task>::of(TENANT).equal("kind", Some(&TaskKind::Review)).equal("state", Some(&state));
        tasks.page(db, "task_id", Direction::Oldest, None, 10).await.unwrap().len()
    };
    assert_eq!(reviews(TaskState::Open).await, 1);
    applied(run(db, &[message(opportunity(10), 3, fact(Event::Reopened, 60))]).await.remove(0));
    assert_eq!((reviews(TaskState::Open).await, reviews(TaskState::Cancelled).await), (0, 1));
    assert_eq!(orders_in(db, State::Confirmed).await, 1);
}

async fn the_whole_state_makes_up_for_what_was_not_heard(db: &Db) {
    known(db, 10..11).await;
    let told = |number, state, close_out: Option<u128>| {
        let event = if close_out.is_some() { Event::Closed } else { Event::Opened };
        let fact = Fact { event: Event::Snapshot, state, ..fact(event, close_out.unwrap_or_default()) };
        message(opportunity(10), number, fact)
    };
    // Numbers 2 to 4 never came: the close-out in force is applied, as is each change of it.
    for (number, state, close_out, tasks) in [
        (5, MirrorState::Closed, Some(60), 0),
        (6, MirrorState::Closed, Some(61), 0),
        (7, MirrorState::Live, None, 2),
        (8, MirrorState::Closed, Some(62), 0),
    ] {
        applied(run(db, &[told(number, state, close_out)]).await.remove(0));
        assert_eq!(tasks_in(db, TaskState::Open).await, tasks);
        assert_eq!(customer(db).await.deals_lost, i64::from(close_out.is_some()));
    }
    let copy = run(db, &[told(8, MirrorState::Closed, Some(62))]).await.remove(0);
    assert!(matches!(copy, Verdict::Message(Received::Duplicate(applied)) if !applied.effects.is_empty()));
    let again = told(9, MirrorState::Closed, Some(62));
    assert_eq!(applied(run(db, &[again]).await.remove(0)).effects, [], "nothing is missing any more");
    let late = |number| {
        Item::Message(Incoming {
            message_id: Uuid::from_u128(999),
            ..incoming(message(opportunity(10), number, fact(Event::Closed, 60)))
        })
    };
    let mut late = run(db, &[late(3), late(8), told(4, MirrorState::Live, None)]).await;
    assert!(
        matches!(late.pop(), Some(Verdict::Message(Received::Rejected(Reject::SequenceReused(_))))),
        "an older state"
    );
    assert!(matches!(late.pop(), Some(Verdict::Message(Received::Rejected(Reject::SequenceReused(_))))));
    let superseded = Applied { outcome: PeerOutcome::NoopAlreadyClosed, effects: Vec::new() };
    assert!(matches!(late.pop(), Some(Verdict::Message(Received::Duplicate(applied))) if applied == superseded));
}

async fn a_withdrawn_message_counts_and_does_nothing(db: &Db) {
    known(db, 10..11).await;
    let withdrawn = |number| {
        Item::Message(Incoming { fact: None, ..incoming(message(opportunity(10), number, fact(Event::Closed, 60))) })
    };
    assert_eq!(applied(run(db, &[withdrawn(2)]).await.remove(0)).outcome, PeerOutcome::NeedsReview);
    assert_eq!((orders_in(db, State::Draft).await, tasks_in(db, TaskState::Open).await), (1, 2));
    applied(run(db, &[message(opportunity(10), 3, fact(Event::Closed, 60))]).await.remove(0));
    assert_eq!(tasks_in(db, TaskState::Open).await, 0);
    let arrived = run(db, &[withdrawn(3)]).await.remove(0);
    assert!(matches!(arrived, Verdict::Message(Received::Duplicate(_))), "it had arrived before it was withdrawn");
}

async fn an_order_is_told_as_a_whole_in_place_of_what_has_not_arrived(db: &Db) {
    known(db, 10..11).await;
    let order = Select::<Order>::of(TENANT).page(db, "order_id", Direction::Oldest, None, 1).await.unwrap()[0].order_id;
    run(db, &[cancel(order)]).await;
    run(db, &[call("ReopenOrder", Command::Reopen { id: order, etag: String::new(), note: String::new() })]).await;
    run(db, &[cancel(order)]).await;
    let resend =
        Resend { record: crate::domain::order_record(order), justification: "restored".into(), peer_number: 9 };
    done(run(db, &[call("ResendLane", Command::Resend(resend))]).await.remove(0));
    let sent = Select::<OutboxRow>::of(TENANT).page(db, "message_id", Direction::Oldest, None, 10).await.unwrap();
    let [row] = &sent[..] else { panic!("only the whole state is left: {sent:?}") };
    assert_eq!((row.number, wire::event_word(&row.payload)), (10, Some("SNAPSHOT")));
    let close_outs =
        Select::<CloseOut>::of(TENANT).page(db, "close_out_id", Direction::Oldest, None, 10).await.unwrap();
    let [first, second] = &close_outs[..] else { panic!("{close_outs:?}") };
    assert_eq!(first.delivery.outcome, Some(PeerOutcome::NoopAlreadyClosed));
    assert_eq!(first.reversal_delivery.as_ref().unwrap().propagation, Propagation::Settled);
    assert_eq!((row.close_out_id, second.delivery.propagation), (Some(second.close_out_id), Propagation::Pending));
}

fn told(version: i64, active: bool, event: Event) -> Fact {
    let reason = Reason { code: "ORD_OWN".into(), version, ..BUILT_IN[24].reason.clone() };
    let listed =
        Listed { reason, active, position: 7, revision: version, lane: Some(Uuid::from_u128(70)), merged_into: None };
    Fact { event, customer_id: None, close_out: None, reason: Some(Box::new(listed)), ..fact(Event::Opened, 0) }
}

async fn the_copy_of_a_reason_decides_here(db: &Db) {
    let lane = Record::new(RecordKind::Reason, Uuid::from_u128(70));
    known(db, 1..4).await;
    let mut orders = Vec::new();
    for verdict in run(db, &[1, 2, 3].map(|n| call("CreateOrder", create(Some(n))))).await {
        orders.push(order_id(verdict));
    }
    let close = |id: OrderId| {
        let Item::Call(mut call) = cancel(id) else { panic!() };
        let Command::CloseOut(closing) = &mut call.command else { panic!() };
        closing.reason = reason::name("ORD_OWN");
        Item::Call(call)
    };
    let refused = |verdict: Verdict| {
        let Verdict::Refused(refusal) = verdict else { panic!("{verdict:?}") };
        refusal.violations[0].reason()
    };
    assert_eq!(refused(run(db, &[close(orders[0])]).await.remove(0)), "UNKNOWN_REASON");
    // In one batch: the messages come before the calls that name the reason.
    let items = [message(lane, 1, told(1, true, Event::Opened)), message(lane, 2, told(2, true, Event::Changed))];
    run(db, &items).await.into_iter().for_each(|verdict| drop(applied(verdict)));
    let closed = done(run(db, &[close(orders[0])]).await.remove(0)).close_out_id.unwrap();
    let closed = db.get::<CloseOut>(&(TENANT, closed)).await.unwrap().unwrap();
    assert_eq!((&*closed.reason_code, closed.reason_version), ("ORD_OWN", 2));
    let away = message(lane, 5, told(2, false, Event::Snapshot));
    assert_eq!(refused(run(db, &[away, close(orders[1])]).await.remove(1)), "REASON_INACTIVE");
    let copy = db.get::<Entry>(&(TENANT, "ORD_OWN".into())).await.unwrap().unwrap();
    assert_eq!(Some(Box::new(copy.listed)), told(2, false, Event::Snapshot).reason);
    for version in [1, 2] {
        assert!(db.get::<Edition>(&(TENANT, "ORD_OWN".into(), version)).await.unwrap().is_some());
    }
    assert_eq!(db.get::<Entry>(&(OTHER, "ORD_OWN".into())).await.unwrap(), None);
}
