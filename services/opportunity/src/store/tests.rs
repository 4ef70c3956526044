//! The store of the sales side on both databases, through whole batches: what is loaded, decided and saved together.

#[path = "../../../../tests/support/fresh.rs"]
pub(super) mod fresh;

use crate::{
    domain::{
        Closing, Command, CompetitorCommand, Customer, NewCustomer, NewOpportunity, Opportunity, ReasonCommand,
        ReasonEdit, State,
    },
    service::Opportunities,
};
use crm_closeout::{
    access::Access,
    cascade::{NewTask, Resend, TaskCommand},
    codes::{Record, RecordKind},
    episode::{CloseOut, CloseOutState, Outcome, OutcomeClass},
    fact::{Applied, ClosedFact, Event, Fact, MirrorState, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId, TenantId},
    money::{Currency, Money},
    pipeline::StageName,
    reason::{self, BUILT_IN, Catalogue, Edition, Entry, Reason},
    records::Lane,
    remarks::Remarks,
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::Cause,
};
use crm_outbox::{
    batch::{self, Call, Done, Item, Verdict},
    db::Db,
    reasons,
    select::{Order, Select},
    tables::OutboxRow,
    wire::{self, Incoming, Received, Reject},
};
use crm_proto::{common::CloseOutReason, opportunity as pb};
use prost::Message;
use uuid::Uuid;

pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub(super) const OTHER: TenantId = TenantId(Uuid::from_u128(2));

fresh::on_both!(crate::MIGRATIONS;
    what_is_made_is_read_back,
    statements_do_not_depend_on_the_size_of_a_batch,
    two_hundred_and_fifty_six_close_outs_of_one_customer_are_one_batch,
    close_reopen_and_close_of_one_subject_in_one_batch,
    fifty_copies_of_a_request_have_one_effect,
    a_request_id_with_another_body_is_refused,
    another_tenant_finds_nothing,
    a_refusal_does_not_fail_its_neighbours,
    validate_only_changes_nothing,
    messages_are_applied_once_and_in_order,
    the_lifecycle_counts_what_the_batch_did_not_load,
    a_reason_is_kept_in_all_its_versions,
    a_close_out_is_decided_by_the_reasons_of_its_tenant,
    only_a_refusal_reads_the_whole_catalogue,
    a_reason_is_sent_again_as_a_whole,
);

pub(super) fn call(tenant: TenantId, request: u128, method: &'static str, command: Command) -> Item<Command> {
    let request_id = Uuid::from_u128(request);
    let cause = Cause {
        tenant_id: tenant,
        actor: "ann".into(),
        access: Access::EVERYTHING,
        method,
        request_id: Some(request_id),
        message_id: None,
    };
    let fingerprint = format!("{command:?}").into_bytes();
    let trace_parent = String::new();
    Item::Call(Call { cause, request_id, fingerprint, validate_only: false, trace_parent, confirmed: None, command })
}

pub(super) async fn run(db: &Db, items: &[Item<Command>]) -> Vec<Verdict> {
    batch::run::<Opportunities, _>(db, &[], items, std::future::ready(())).await.unwrap().0.verdicts
}

pub(super) fn done(verdict: Verdict) -> Done {
    let Verdict::Done(done) = verdict else { panic!("{verdict:?}") };
    *done
}

pub(super) fn refused(verdict: Verdict) -> &'static str {
    let Verdict::Refused(refusal) = verdict else { panic!("{verdict:?}") };
    refusal.reason()
}

pub(super) async fn customer(db: &Db) -> CustomerId {
    let new =
        NewCustomer { display_name: "海康".into(), tier: "A".into(), owner: "ann".into(), do_not_contact: false };
    let item = call(TENANT, Uuid::now_v7().as_u128(), "CreateCustomer", Command::CreateCustomer(new));
    let reply = done(run(db, &[item]).await.remove(0)).reply;
    CustomerId::parse(&pb::Customer::decode(&*reply).unwrap().name).unwrap()
}

/// Opportunities of a customer, each with a task.
pub(super) async fn opportunities(db: &Db, customer: CustomerId, count: usize) -> Vec<OpportunityId> {
    let new = NewOpportunity {
        number: String::new(),
        customer_id: Some(customer),
        title: "Servers".into(),
        owner: "ann".into(),
        team: String::new(),
        stage: Some(StageName::new("default", "engaging")),
        amount: Money { minor: 500, currency: Currency::parse("USD").unwrap() },
        expected_close_at: None,
        source: String::new(),
        recovered_from: None,
        historical: None,
    };
    let create =
        || call(TENANT, Uuid::now_v7().as_u128(), "CreateOpportunity", Command::CreateOpportunity(new.clone()));
    let items: Vec<_> = (0..count).map(|_| create()).collect();
    let replies = run(db, &items).await.into_iter().map(|verdict| done(verdict).reply);
    let ids: Vec<_> =
        replies.map(|reply| OpportunityId::parse(&pb::Opportunity::decode(&*reply).unwrap().name).unwrap()).collect();
    let tasks: Vec<_> = ids.iter().map(|id| add_task(Record::new(RecordKind::Opportunity, id.0))).collect();
    run(db, &tasks).await;
    ids
}

fn add_task(root: Record) -> Item<Command> {
    let new = NewTask { root, kind: TaskKind::Demo, title: "Show".into(), assignee: "ann".into(), due_at: None };
    call(TENANT, Uuid::now_v7().as_u128(), "CreateTask", Command::Task(TaskCommand::Create(new)))
}

pub(super) fn close(id: OpportunityId, request: u128) -> Item<Command> {
    let closing = Closing {
        id,
        etag: String::new(),
        reason: reason::name("UNRESPONSIVE"),
        detail: String::new(),
        competitor: None,
        closed_at: None,
        remarks: Remarks::default(),
        group_id: None,
    };
    call(TENANT, request, "CloseOutOpportunity", Command::CloseOut(closing))
}

pub(super) fn reopen(id: OpportunityId, request: u128) -> Item<Command> {
    let command = Command::Reopen { id, etag: String::new(), note: String::new() };
    call(TENANT, request, "ReopenOpportunity", command)
}

async fn the_customer(db: &Db, id: CustomerId) -> Customer {
    db.get::<Customer>(&(TENANT, id)).await.unwrap().unwrap()
}

pub(super) async fn the_opportunity(db: &Db, id: OpportunityId) -> Opportunity {
    db.get::<Opportunity>(&(TENANT, id)).await.unwrap().unwrap()
}

async fn numbers(db: &Db, id: OpportunityId) -> Vec<i64> {
    let rows = Select::<OutboxRow>::of(TENANT).equal("record_id", Some(&id.0));
    let rows = rows.page(db, "message_id", Order::Oldest, None, 1_000).await.unwrap();
    let mut numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    numbers.sort_unstable();
    numbers
}

async fn what_is_made_is_read_back(db: &Db) {
    let customer = customer(db).await;
    let id = opportunities(db, customer, 1).await[0];
    let row = the_opportunity(db, id).await;
    assert_eq!(
        (row.customer_id, row.state, row.stage, row.amount.minor),
        (Some(customer), State::Open, StageName::new("default", "engaging"), 500)
    );
    let customer = the_customer(db, customer).await;
    assert_eq!(
        (&*customer.display_name, customer.open_count, customer.amounts.text(0)),
        ("海康", 1, "5.00 USD".into())
    );
    let command = Command::Competitor(CompetitorCommand::Create { display_name: "Globex".into() });
    let verdicts =
        run(db, &[call(TENANT, 1, "CreateCompetitor", command.clone()), call(TENANT, 2, "CreateCompetitor", command)])
            .await;
    let [first, second] = <[Verdict; 2]>::try_from(verdicts).unwrap();
    done(first);
    assert_eq!(refused(second), "NAME_TAKEN");
}

async fn statements_do_not_depend_on_the_size_of_a_batch(db: &Db) {
    let mut counts = Vec::new();
    for size in [1_usize, 16, 256] {
        let mut ids = Vec::new();
        for _ in 0..size.min(4) {
            let customer = customer(db).await;
            ids.extend(opportunities(db, customer, size.div_ceil(4)).await);
        }
        let items: Vec<_> = ids.iter().take(size).map(|id| close(*id, id.0.as_u128())).collect();
        let before = db.statement_count();
        run(db, &items).await.into_iter().for_each(|verdict| drop(done(verdict)));
        counts.push(db.statement_count() - before);
    }
    println!("statements in a batch of 1, 16 and 256 close-outs: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

async fn two_hundred_and_fifty_six_close_outs_of_one_customer_are_one_batch(db: &Db) {
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 256).await;
    let items: Vec<_> = ids.iter().map(|id| close(*id, id.0.as_u128())).collect();
    let outbox = batch::run::<Opportunities, _>(db, &[], &items, std::future::ready(())).await.unwrap().0.outbox;
    assert_eq!(outbox.len(), 256);
    let customer = the_customer(db, customer).await;
    assert_eq!((customer.open_count, customer.lost_count, customer.lifecycle.word()), (0, 256, "LOST"));
    assert_eq!((customer.amounts.text(0), customer.amounts.text(2)), ("0".into(), "1280.00 USD".into()));
    let open = Select::<Task>::of(TENANT).equal("state", Some(&TaskState::Open));
    assert!(open.page(db, "task_id", Order::Oldest, None, 1).await.unwrap().is_empty());
}

async fn close_reopen_and_close_of_one_subject_in_one_batch(db: &Db) {
    let customer = customer(db).await;
    let id = opportunities(db, customer, 1).await[0];
    let verdicts = run(db, &[close(id, 1), reopen(id, 2), close(id, 3)]).await;
    let closed: Vec<_> = verdicts.into_iter().map(|verdict| done(verdict).close_out_id.unwrap()).collect();
    assert_eq!(closed[0], closed[1]);
    let row = the_opportunity(db, id).await;
    assert_eq!((row.state, row.epoch, row.close_out_id), (State::ClosedOut, 2, Some(closed[2])));
    assert_eq!(numbers(db, id).await, [1, 2, 3, 4]);
    let first = db.get::<CloseOut>(&(TENANT, closed[0])).await.unwrap().unwrap();
    let second = db.get::<CloseOut>(&(TENANT, closed[2])).await.unwrap().unwrap();
    assert_eq!((first.episode, first.state), (1, CloseOutState::Reversed));
    assert_eq!((second.episode, second.state), (2, CloseOutState::Effective));
    let tasks = Select::<Task>::of(TENANT).page(db, "task_id", Order::Oldest, None, 10).await.unwrap();
    assert_eq!((tasks[0].state, tasks[0].closed_by), (TaskState::Cancelled, Some(closed[2])));
    let customer = the_customer(db, customer).await;
    assert_eq!((customer.open_count, customer.lost_count), (0, 1));
}

async fn fifty_copies_of_a_request_have_one_effect(db: &Db) {
    let customer = customer(db).await;
    let id = opportunities(db, customer, 1).await[0];
    let copies: Vec<_> = (0..50).map(|_| close(id, 7)).collect();
    let answers: Vec<_> = run(db, &copies).await.into_iter().map(done).collect();
    assert_eq!(answers.iter().filter(|done| done.repeated).count(), 49);
    assert!(answers.iter().all(|done| done.reply == answers[0].reply && done.message == answers[0].message));
    let later = done(run(db, &[close(id, 7)]).await.remove(0));
    assert!(later.repeated && later.reply == answers[0].reply);
    assert_eq!((the_opportunity(db, id).await.epoch, numbers(db, id).await.len()), (1, 2));
}

async fn a_request_id_with_another_body_is_refused(db: &Db) {
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 2).await;
    let verdicts = run(db, &[close(ids[0], 7), close(ids[1], 7)]).await;
    assert!(matches!(verdicts[1], Verdict::KeyReused), "{verdicts:?}");
    assert_eq!(the_opportunity(db, ids[1]).await.state, State::Open);
}

async fn another_tenant_finds_nothing(db: &Db) {
    let customer = customer(db).await;
    let id = opportunities(db, customer, 1).await[0];
    let Item::Call(mut theirs) = close(id, 9) else { panic!() };
    theirs.cause.tenant_id = OTHER;
    assert_eq!(refused(run(db, &[Item::Call(theirs)]).await.remove(0)), "NOT_FOUND");
    assert_eq!(db.get::<Opportunity>(&(OTHER, id)).await.unwrap(), None);
    assert_eq!(the_opportunity(db, id).await.state, State::Open);
}

async fn a_refusal_does_not_fail_its_neighbours(db: &Db) {
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 2).await;
    let nobody = OpportunityId(Uuid::from_u128(404));
    let mut verdicts = run(db, &[close(ids[0], 1), close(nobody, 2), close(ids[0], 3), close(ids[1], 4)]).await;
    done(verdicts.pop().unwrap());
    assert_eq!(refused(verdicts.pop().unwrap()), "ALREADY_CLOSED");
    assert_eq!(refused(verdicts.pop().unwrap()), "NOT_FOUND");
    assert_eq!(the_customer(db, customer).await.lost_count, 2);
}

async fn validate_only_changes_nothing(db: &Db) {
    let customer = customer(db).await;
    let id = opportunities(db, customer, 1).await[0];
    let Item::Call(mut asked) = close(id, 5) else { panic!() };
    asked.validate_only = true;
    let answer = done(run(db, &[Item::Call(asked)]).await.remove(0));
    assert!(answer.close_out.is_some() && answer.message.is_none());
    assert_eq!((the_opportunity(db, id).await.state, numbers(db, id).await), (State::Open, vec![1]));
    assert!(!done(run(db, &[close(id, 5)]).await.remove(0)).repeated);
}

fn order_fact(event: Event, customer: CustomerId, parent: Option<OpportunityId>) -> Fact {
    let closed = ClosedFact {
        close_out_id: CloseOutId(Uuid::from_u128(60)),
        cause: None,
        hop: 0,
        group_id: None,
        outcome: Outcome::Cancelled,
        reason_code: "ORD_OUT_OF_STOCK".into(),
        reason_version: 1,
        class: Some(OutcomeClass::NoDecision),
        detail: String::new(),
        closed_at: Time(i64::from(i32::MAX) * 1_000_000),
        historical: false,
        won_policy: Some(WonPolicy::Ask),
        amount: None,
        win_back_at: None,
        planned: None,
    };
    Fact {
        event,
        customer_id: Some(customer),
        customer_name: String::new(),
        parent: parent.map(|id| id.0),
        state: if event == Event::Closed { MirrorState::Closed } else { MirrorState::Live },
        epoch: 1,
        owner: "bob".into(),
        actor: "bob".into(),
        at: Time(1),
        reason: None,
        settings: None,
        rate: None,
        close_out: (event == Event::Closed).then_some(closed),
    }
}

fn message(order: u128, number: i64, fact: Fact) -> Item<Command> {
    Item::Message(Incoming {
        tenant_id: TENANT,
        record: Record::new(RecordKind::Order, Uuid::from_u128(order)),
        number,
        message_id: Uuid::from_u128(order * 1_000 + number as u128),
        hash: wire::hash(&wire::encode(&fact)),
        trace_parent: String::new(),
        rehearsal: false,
        fact: Some(fact),
    })
}

fn received(verdict: Verdict) -> Received {
    let Verdict::Message(received) = verdict else { panic!("{verdict:?}") };
    received
}

async fn messages_are_applied_once_and_in_order(db: &Db) {
    let customer = customer(db).await;
    let task = add_task(Record::new(RecordKind::Order, Uuid::from_u128(50)));
    let confirmed = || message(50, 1, order_fact(Event::Confirmed, customer, None));
    let closed = || message(50, 2, order_fact(Event::Closed, customer, None));
    let early = run(db, &[closed()]).await.remove(0);
    assert_eq!(received(early), Received::Gap(1));
    run(db, &[confirmed()]).await;
    assert_eq!(the_customer(db, customer).await.live_order_count, 1);
    done(run(db, &[task]).await.remove(0));
    let mut verdicts = run(db, &[confirmed(), closed(), closed()]).await;
    let (third, second, first) = (verdicts.pop().unwrap(), verdicts.pop().unwrap(), verdicts.pop().unwrap());
    assert!(matches!(received(first), Received::Duplicate(_)));
    let Received::Applied(Applied { outcome, effects }) = received(second) else { panic!() };
    assert_eq!((outcome, effects[0].kind.word()), (PeerOutcome::Applied, "TASK_CANCELLED"));
    assert_eq!(received(third), Received::Duplicate(Applied { outcome, effects }));
    let reused = message(50, 2, order_fact(Event::Confirmed, customer, None));
    assert!(matches!(received(run(db, &[reused]).await.remove(0)), Received::Rejected(Reject::SequenceReused(_))));
    let lane = Record::new(RecordKind::Order, Uuid::from_u128(50));
    let lane = db.get::<Lane>(&(TENANT, lane)).await.unwrap().unwrap();
    assert_eq!((lane.last_number, lane.state), (2, Some(MirrorState::Closed)));
    let customer = the_customer(db, customer).await;
    assert_eq!((customer.live_order_count, customer.lifecycle.word()), (0, "LOST"));
}

async fn the_lifecycle_counts_what_the_batch_did_not_load(db: &Db) {
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 2).await;
    let win = Command::Win { id: ids[0], etag: String::new(), amount: None, won_at: None };
    run(db, &[call(TENANT, 1, "WinOpportunity", win)]).await;
    run(db, &[close(ids[1], 2)]).await;
    let after = the_customer(db, customer).await;
    assert_eq!((after.won_count, after.lost_count, after.lifecycle.word()), (1, 1, "LOST"));
    assert!(after.last_loss_at.is_some());
    run(db, &[reopen(ids[1], 3)]).await;
    let win = Command::Win { id: ids[1], etag: String::new(), amount: None, won_at: None };
    run(db, &[call(TENANT, 4, "WinOpportunity", win)]).await;
    let after = the_customer(db, customer).await;
    assert_eq!((after.won_count, after.lifecycle.word(), after.last_loss_at), (2, "DORMANT", None));
    let closed = message(51, 1, order_fact(Event::Closed, customer, None));
    run(db, &[closed]).await;
    assert_eq!(the_customer(db, customer).await.lifecycle.word(), "LOST");
}

fn reason_call(tenant: TenantId, command: ReasonCommand) -> Item<Command> {
    call(tenant, Uuid::now_v7().as_u128(), "Reason", Command::Reason(command))
}

fn own(code: &str) -> ReasonCommand {
    ReasonCommand::Create(Reason { code: code.to_owned().into(), min_detail: 0, ..BUILT_IN[0].reason.clone() })
}

fn renamed(code: &str, en: &str) -> ReasonCommand {
    let edit = ReasonEdit { en: Some(en.into()), ..ReasonEdit::default() };
    ReasonCommand::Update { code: code.into(), etag: String::new(), edit }
}

fn closed_for(id: OpportunityId, code: &str) -> Item<Command> {
    let Item::Call(mut call) = close(id, Uuid::now_v7().as_u128()) else { panic!() };
    let Command::CloseOut(closing) = &mut call.command else { panic!() };
    closing.reason = reason::name(code);
    Item::Call(call)
}

async fn a_reason_is_kept_in_all_its_versions(db: &Db) {
    let set = |active| ReasonCommand::SetActive { code: "OWN".into(), etag: String::new(), active };
    let items = [own("OWN"), renamed("OWN", "Second"), set(false), renamed("OTHER", "Something else")];
    let items: Vec<_> = items.into_iter().map(|command| reason_call(TENANT, command)).collect();
    let replies: Vec<_> = run(db, &items).await.into_iter().map(done).collect();
    let shown = CloseOutReason::decode(&*replies[2].reply).unwrap();
    assert_eq!((shown.version, shown.active, &*shown.etag, shown.position), (2, false, "\"3\"", 24));
    let kept = db.get::<Entry>(&(TENANT, "OWN".into())).await.unwrap().unwrap();
    assert_eq!((kept.listed.reason.version, kept.listed.active, kept.listed.revision, kept.sent), (2, false, 3, 3));
    let edition = async |code: &str, version| {
        let edition = db.get::<Edition>(&(TENANT, code.into(), version)).await.unwrap();
        edition.map(|edition| edition.reason.en.into_owned())
    };
    assert_eq!(edition("OWN", 1).await.as_deref(), Some("Price too high"));
    assert_eq!(edition("OWN", 2).await.as_deref(), Some("Second"));
    assert_eq!((edition("OTHER", 1).await, edition("OTHER", 2).await.as_deref()), (None, Some("Something else")));
    assert_eq!(refused(run(db, &[reason_call(TENANT, own("OWN"))]).await.remove(0)), "CODE_TAKEN");
    let theirs = reasons::all(db, OTHER).await.unwrap();
    assert!(Catalogue::of(OTHER, &theirs).get("OWN").is_none());
    done(run(db, &[reason_call(OTHER, own("OWN"))]).await.remove(0));
}

async fn a_close_out_is_decided_by_the_reasons_of_its_tenant(db: &Db) {
    let customer = customer(db).await;
    let ids = opportunities(db, customer, 4).await;
    let deactivate = ReasonCommand::SetActive { code: "OWN".into(), etag: String::new(), active: false };
    // All in one batch: each is decided on what those before it have made of the reason.
    let mut verdicts = run(
        db,
        &[
            reason_call(TENANT, own("OWN")),
            closed_for(ids[0], "OWN"),
            reason_call(TENANT, renamed("OWN", "Second")),
            closed_for(ids[1], "OWN"),
            reason_call(TENANT, deactivate),
            closed_for(ids[2], "OWN"),
        ],
    )
    .await;
    let Verdict::Refused(refusal) = verdicts.pop().unwrap() else { panic!() };
    assert_eq!(refusal.violations.iter().map(|v| v.reason()).collect::<Vec<_>>(), ["REASON_INACTIVE"]);
    assert!(refusal.violations[0].values.iter().any(|(name, list)| *name == "reasons" && list.contains("OTHER")));
    let mut versions = Vec::new();
    for verdict in [verdicts.remove(3), verdicts.remove(1)] {
        let id = done(verdict).close_out_id.unwrap();
        versions.push(db.get::<CloseOut>(&(TENANT, id)).await.unwrap().unwrap().reason_version);
    }
    assert_eq!(versions, [2, 1]);
    assert_eq!(refused(run(db, &[closed_for(ids[3], "OWN")]).await.remove(0)), "INVALID_FIELDS");
}

async fn only_a_refusal_reads_the_whole_catalogue(db: &Db) {
    let customer = customer(db).await;
    // One more than are closed out: who closes out the last one also looks for the newest loss and success.
    let ids = opportunities(db, customer, 5).await;
    run(db, &[reason_call(TENANT, own("OWN"))]).await;
    let statements = async |items: &[Item<Command>]| {
        let before = db.statement_count();
        run(db, items).await;
        db.statement_count() - before
    };
    let built_in = statements(&[closed_for(ids[0], "UNRESPONSIVE")]).await;
    let both = [closed_for(ids[1], "OWN"), closed_for(ids[2], "LONG_CYCLE")];
    assert_eq!(statements(&both).await, built_in);
    let with_one_refused = [closed_for(ids[3], "OWN"), closed_for(ids[3], "NO_SUCH"), closed_for(ids[3], "ORD_AGED")];
    assert_eq!(statements(&with_one_refused).await, built_in + 1);
}

async fn a_reason_is_sent_again_as_a_whole(db: &Db) {
    run(db, &[reason_call(TENANT, own("OWN")), reason_call(TENANT, renamed("OWN", "Second"))]).await;
    let entry = db.get::<Entry>(&(TENANT, "OWN".into())).await.unwrap().unwrap();
    let record = Record::new(RecordKind::Reason, entry.listed.lane.unwrap());
    let resend = |record| {
        let resend = Resend { record, justification: "restored from a backup".into(), peer_number: 7 };
        call(TENANT, Uuid::now_v7().as_u128(), "ResendLane", Command::Resend(resend))
    };
    let outbox =
        batch::run::<Opportunities, _>(db, &[], &[resend(record)], std::future::ready(())).await.unwrap().0.outbox;
    let told = wire::decode(&wire::envelope(&outbox[0])).unwrap();
    let fact = told.fact.unwrap();
    assert_eq!((told.number, fact.event, fact.reason), (8, Event::Snapshot, Some(Box::new(entry.listed))));
    let nobody = Record::new(RecordKind::Reason, Uuid::from_u128(404));
    assert_eq!(refused(run(db, &[resend(nobody)]).await.remove(0)), "NOT_FOUND");
}
