//! The shared tables on both databases: one list of checks, each run on SQLite and on PostgreSQL. What a check says is the
//! contract of the function it names.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a check that can not go on has failed")]

#[path = "../../../tests/support/fresh.rs"]
mod fresh;

use crm_closeout::{
    access::ROLES,
    amend::{Amendment, Stated},
    approval::{Approval, ApprovalCause, ApprovalPolicy, Ruled},
    codes::{Record, RecordKind, Side},
    episode::{
        CloseOut, CloseOutState, Delivery, Effect, EffectKind, Outcome, OutcomeClass, Propagation, Reversal, Snapshot,
    },
    exchange::{self, Exchange, Key, Rate},
    fact::{Applied, MirrorState, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, TaskId, TenantId},
    job::Job,
    money::{Currency, Money},
    pipeline::StageName,
    plan::Planned,
    records::{Answered, AuditEntry, Lane, Received, TimelineEntry},
    remarks::{Cited, Finding, FollowUp, Reassessment, Remarks, Verification, VerificationMethod},
    settings::{self, Settings, Told, VerificationPolicy},
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::{Common, Keyed, Rows},
};
use crm_outbox::{
    db::{Db, Error, Tx},
    exchange as exchange_table,
    job::{self, Carried, Step},
    select::{Order, Select},
    settle::{self, Fault, Later, Settled, Settlement},
    sql::{Args, Sql},
    table::{self, Table},
    tables::OutboxRow,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER: TenantId = TenantId(Uuid::from_u128(2));

fresh::on_both!(&[];
    every_row_reads_back_as_it_was_written,
    the_rate_of_a_time_is_the_newest_up_to_it_that_was_not_deleted,
    an_update_overwrites_what_is_there_and_nothing_else,
    what_an_index_names_is_saved_with_the_rest,
    an_update_of_a_missing_row_is_corrupt,
    what_is_written_together_is_there_at_the_next_look,
    of_what_is_written_together_a_missing_row_is_noticed,
    what_is_rolled_back_was_never_written,
    a_row_that_is_there_is_not_inserted_again,
    a_second_row_with_a_key_is_refused_by_name,
    equal_ids_of_two_tenants_are_two_rows,
    a_close_and_its_reversal_are_settled_in_one_batch,
    a_parked_message_stays_and_stops_its_lane,
    another_message_with_the_same_number_stays,
    what_is_to_be_sent_later_is_counted_and_claimed_when_its_time_comes,
    what_waits_for_its_turn_is_put_off_and_comes_when_it_is_there,
    the_backlog_is_counted,
    a_duty_is_put_in_once_and_each_of_its_steps_is_done_once,
    old_answers_are_forgotten_and_young_ones_kept,
    a_duty_for_a_command_is_claimed_by_one_and_gone_once_it_is_done,
    a_claim_takes_what_is_due_and_leases_it,
    released_messages_are_due_at_once,
    pages_neither_miss_nor_repeat,
    rows_number_two_hundred_and_fifty_six_in_one_statement,
);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn record(n: u128) -> Record {
    Record::new(RecordKind::Order, id(n))
}

fn effect() -> Effect {
    let mut effect =
        Effect::new(Side::Order, EffectKind::RecordChanged, "customers/1", "a \"quoted\"\n", "客户\u{1f600}");
    effect.field = "display_name".into();
    effect
}

fn task(n: u128) -> Task {
    Task {
        tenant_id: TENANT,
        task_id: TaskId(id(n)),
        root: record(5),
        kind: TaskKind::Deliver,
        title: "Deliver it, it's 'urgent' \\ \"now\"".into(),
        assignee: "ann".into(),
        due_at: None,
        state: TaskState::Open,
        prior_state: Some(TaskState::InProgress),
        closed_by: None,
        created_at: Time(i64::MAX),
        updated_at: Time(-5),
        version: 1,
    }
}

fn close_out(n: u128) -> CloseOut {
    CloseOut {
        tenant_id: TENANT,
        close_out_id: CloseOutId(id(n)),
        subject: record(n),
        customer_id: Some(CustomerId(id(9))),
        episode: 1,
        outcome: Outcome::Cancelled,
        reason_code: "OTHER".into(),
        reason_version: 1,
        class: Some(OutcomeClass::NoDecision),
        win_back_days: 60,
        detail: "竞争对手\n二行".into(),
        competitor_id: None,
        snapshot: Snapshot {
            state: 2,
            state_word: "CONFIRMED".into(),
            stage: Some(StageName::new("key-accounts", "demo")),
            days_in_stage: 3,
            days_open: 4,
            amount: Money::NONE,
            exchange: Some(Exchange { rate: Rate::parse("7.123456789012").unwrap(), amount: Money::NONE }),
            owner: "ann".into(),
            team: String::new(),
            won_at: Some(Time(7)),
            cancelled: vec![0, 3],
        },
        actor: "bob".into(),
        closed_at: Time(8),
        historical: true,
        state: CloseOutState::Reversed,
        cause: None,
        hop: 2,
        group_id: Some(GroupId(id(9))),
        request_id: Some(id(3)),
        effects: vec![effect()],
        delivery: Delivery::PENDING,
        reversal: Some(Reversal { at: Time(9), actor: "eve".into(), note: "back".into(), effects: vec![effect()] }),
        reversal_delivery: Some(Delivery::PENDING),
        approval: Some(Approval {
            causes: vec![ApprovalCause::OverAmount, ApprovalCause::Paid],
            asked_at: Time(10),
            expires_at: Time(11),
            planned: vec![effect()],
            peer: Some(Planned { effects: vec![effect()], hash: id(13).into_bytes().to_vec() }),
            won_policy: Some(WonPolicy::Keep),
            refund_reference: "R \"1\"".into(),
            paid_minor: 14,
            ruling: Some(Ruled { at: Time(12), actor: "eve".into(), note: "好".into() }),
        }),
        remarks: Remarks {
            secondary: vec![Cited { code: "LONG_CYCLE".into(), version: 2 }],
            verification: Some(Verification {
                method: VerificationMethod::Meeting,
                contact: "王 \"W\"".into(),
                verified_at: Time(6),
                needs: None,
                budget: Some(Finding::RuledOut),
                competition: Some(Finding::Confirmed),
                intent: None,
                note: "two\nlines".into(),
            }),
            reassessment: Some(Reassessment { rating: 2, note: String::new() }),
            follow_up: Some(FollowUp {
                title: "Call again".into(),
                assignee: "ann".into(),
                due_at: Some(Time(11)),
                task_id: Some(TaskId(id(12))),
            }),
        },
        amendments: vec![Amendment {
            at: Time(13),
            actor: "ann".into(),
            note: "it was \"wrong\"".into(),
            before: Stated {
                reason_code: "DUPLICATE".into(),
                reason_version: 1,
                class: Some(OutcomeClass::Administrative),
                win_back_days: 9,
                detail: "x".into(),
                competitor_id: Some(CompetitorId(id(14))),
                secondary: vec![Cited { code: "LONG_CYCLE".into(), version: 1 }],
            },
        }],
    }
}

fn lane(n: u128) -> Lane {
    let mut lane = Lane::unknown(TENANT, record(n));
    lane.state = Some(MirrorState::Processed);
    lane.outcome = Some(Outcome::Processed);
    lane.success_at = Some(Time(4));
    lane.reason_code = Some("ORD_FULFILLED".into());
    lane.lost = Some(Money { minor: 125, currency: Currency::NONE });
    lane
}

fn message(lane: u128, number: i64) -> OutboxRow {
    OutboxRow {
        tenant_id: TENANT,
        record: record(lane),
        number,
        message_id: id(lane * 1_000 + number as u128),
        payload: vec![0, 1, 255],
        close_out_id: None,
        reversal: false,
        created_at: Time(1),
        lease_until: Time(0),
        attempts: 0,
        parked: false,
        fault: String::new(),
        losses: 0,
        refusals: 0,
        waits_for: 0,
        gap_at: 0,
        gap_since: Time(0),
        trace_parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    }
}

async fn insert<R: Table>(db: &Db, rows: &[R]) {
    let mut tx = db.begin().await.unwrap();
    table::insert(&mut tx, rows).await.unwrap();
    tx.commit().await.unwrap();
}

async fn reads_back<R: Table + PartialEq + std::fmt::Debug>(db: &Db, row: R) {
    insert(db, std::slice::from_ref(&row)).await;
    assert_eq!(db.get::<R>(&row.key()).await.unwrap(), Some(row.clone()));
    let mut tx = db.begin().await.unwrap();
    let locked: Rows<R> = table::lock(&mut tx, &[row.key()]).await.unwrap();
    assert_eq!(locked.get(&row.key()), Some(&row));
    tx.rollback().await.unwrap();
}

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

/// A rate into yuan.
fn rate_from(currency: &str, at: i64, rate: Option<Rate>) -> exchange::Entry {
    let [to, currency] = ["CNY", currency].map(|code| Currency::parse(code).unwrap());
    let told = exchange::Told { key: Key { to, currency, effective_at: Time(at) }, rate, revision: 1 };
    exchange::Entry { tenant_id: TENANT, told, sent: 0, updated_at: Time(5) }
}

async fn the_rate_of_a_time_is_the_newest_up_to_it_that_was_not_deleted(db: &Db) {
    let rate = |text| Rate::parse(text);
    let rows = [
        rate_from("USD", -10, rate("6")),
        rate_from("USD", 10, rate("7")),
        rate_from("USD", 20, None),
        rate_from("USD", 30, rate("9")),
        rate_from("USC", 15, rate("2")),
        rate_from("USE", i64::MIN, rate("3")),
        exchange::Entry { tenant_id: OTHER, ..rate_from("USD", 15, rate("4")) },
    ];
    insert(db, &rows).await;
    let settings = Settings { currency: Currency::parse("CNY"), ..Settings::DEFAULT };
    let told = Told { settings, revision: 1 };
    let entry = settings::Entry { tenant_id: TENANT, told, sent: 1, updated_at: Time(1) };
    let mut common = Common::new(Time(0), Box::new(Uuid::now_v7));
    common.settings = Rows::loaded([entry]);
    let of = |code, at| (TENANT, currency(code), Time(at));
    let asked = [of("USD", -11), of("USD", -10), of("USD", 9), of("USD", 10), of("USD", 29), of("USD", i64::MAX)];
    let others = [of("USE", i64::MIN), of("EUR", 10), of("CNY", 10), (OTHER, currency("USD"), Time(15))];
    let mut tx = db.begin().await.unwrap();
    exchange_table::find(&mut tx, &mut common, &asked.into_iter().chain(others).collect()).await.unwrap();
    let found = |asked: &exchange::Asked| common.exchange.found.get(asked).copied();
    let text = |rate: Option<Rate>| rate.map_or_else(String::new, |rate| rate.to_string());
    assert_eq!(asked.each_ref().map(|asked| text(found(asked))), ["", "6", "6", "7", "7", "9"]);
    assert_eq!(
        others.each_ref().map(|asked| text(found(asked))),
        ["3", "", "", ""],
        "of the tenant's currency none is needed"
    );
    let statements = db.statement_count();
    let own = [of("CNY", 1), (TENANT, Currency::NONE, Time(1)), (OTHER, currency("USD"), Time(1))].into();
    exchange_table::find(&mut tx, &mut common, &own).await.unwrap();
    assert_eq!(db.statement_count(), statements, "where no rate is needed, none is asked for");
    tx.rollback().await.unwrap();
    let listed = async |of: Option<&str>, after: Option<Uuid>, size| {
        let rows = exchange_table::list(db, TENANT, of.map(currency), after, size).await.unwrap();
        rows.iter().map(|row| row.told.rate.unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None, 9).await, ["2", "6", "7", "9", "3"]);
    assert_eq!(listed(Some("USD"), Some(rows[0].told.key.id()), 1).await, ["7", "9"]);
}

async fn every_row_reads_back_as_it_was_written(db: &Db) {
    reads_back(db, task(1)).await;
    reads_back(db, close_out(1)).await;
    reads_back(db, CloseOut { remarks: Remarks::default(), amendments: Vec::new(), approval: None, ..close_out(2) })
        .await;
    let settings = Settings {
        verification: VerificationPolicy { required: true, fresh_days: 7 },
        won_policy: WonPolicy::Lose,
        approval: ApprovalPolicy { over: [(Currency::NONE, 5)].into(), expire_days: 3 },
        roles: [("night-shift".to_owned(), ROLES[0].rights.grants().collect())].into(),
        currency: Currency::parse("CNY"),
    };
    let told = Told { settings, revision: 3 };
    reads_back(db, settings::Entry { tenant_id: TENANT, told, sent: 2, updated_at: Time(5) }).await;
    for (at, rate) in [(i64::MIN, Rate::parse("0.000000000001")), (-1, None), (i64::MAX, Some(Rate::ONE))] {
        reads_back(db, rate_from("USD", at, rate)).await;
    }
    reads_back(db, lane(1)).await;
    reads_back(db, message(1, 1)).await;
    let (tenant_id, record, close_out_id) = (TENANT, record(1), Some(CloseOutId(id(4))));
    let received = Received {
        tenant_id,
        record,
        number: 1,
        message_id: id(2),
        hash: vec![7; 32],
        outcome: PeerOutcome::NeedsReview,
        effects: vec![effect(), effect()],
        received_at: Time(1),
    };
    reads_back(db, received).await;
    let answered = Answered {
        tenant_id,
        principal: "ann".into(),
        method: "CloseOutOrder".into(),
        request_id: id(3),
        fingerprint: vec![0; 32],
        reply: Vec::new(),
        close_out_id,
        lane: Some(record),
        number: Some(1),
        answered_at: Time(1),
    };
    reads_back(db, answered).await;
    let entry = TimelineEntry {
        tenant_id,
        customer_id: CustomerId(id(1)),
        timeline_id: id(2),
        happened_at: Time(1),
        kind: "order.cancelled".into(),
        record,
        close_out_id,
        actor: "ann".into(),
        text: String::new(),
    };
    reads_back(db, entry).await;
    let audit = AuditEntry {
        tenant_id,
        audit_id: id(1),
        audited_at: Time(1),
        actor: "ann".into(),
        method: "Apply".into(),
        request_id: None,
        message_id: Some(id(2)),
        resource: record.to_string(),
        version_before: 0,
        version_after: 1,
        state_before: String::new(),
        state_after: "DRAFT".into(),
        close_out_id: None,
        note: "on request".into(),
    };
    reads_back(db, audit).await;
}

async fn an_update_overwrites_what_is_there_and_nothing_else(db: &Db) {
    insert(db, &[task(1), task(2)]).await;
    let mut changed = task(1);
    (changed.state, changed.closed_by, changed.version) = (TaskState::Cancelled, Some(CloseOutId(id(8))), 2);
    let mut tx = db.begin().await.unwrap();
    table::update(&mut tx, [&changed]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.get::<Task>(&changed.key()).await.unwrap(), Some(changed));
    assert_eq!(db.get::<Task>(&task(2).key()).await.unwrap(), Some(task(2)));
}

async fn what_an_index_names_is_saved_with_the_rest(db: &Db) {
    let all: Vec<_> = (1..=90).map(task).collect();
    insert(db, &all).await;
    let mut rows = Rows::loaded(all);
    for n in 1..=90 {
        let task = rows.edit(&task(n).key()).unwrap();
        task.state = TaskState::Cancelled;
        if n % 30 == 0 {
            task.assignee = "bob".into();
        }
    }
    let mut tx = db.begin().await.unwrap();
    table::save(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    for saved in rows.iter() {
        assert_eq!(db.get::<Task>(&saved.key()).await.unwrap().as_ref(), Some(saved));
    }
    let of_bob = Select::<Task>::of(TENANT).text("assignee", "bob").page(db, "task_id", Order::Oldest, None, 10);
    assert_eq!(of_bob.await.unwrap().len(), 3);
}

async fn an_update_of_a_missing_row_is_corrupt(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    let error = written(&mut tx, async |tx| table::update(tx, [&task(1)]).await).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    tx.rollback().await.unwrap();
}

/// What is written together is written, however the database takes it.
async fn written(tx: &mut Tx, write: impl AsyncFnOnce(&mut Tx) -> Result<(), Error>) -> Result<(), Error> {
    write(tx).await?;
    tx.flush().await
}

async fn what_is_written_together_is_there_at_the_next_look(db: &Db) {
    insert(db, &[task(1), task(2)]).await;
    let changed = |n, version| Task { version, ..task(n) };
    let mut tx = db.begin().await.unwrap();
    table::update(&mut tx, [&changed(1, 2)]).await.unwrap();
    table::insert(&mut tx, [&task(3)]).await.unwrap();
    table::insert(&mut tx, [&lane(1)]).await.unwrap();
    // A row that was changed a moment ago is changed again, and another one.
    table::update(&mut tx, [&changed(1, 3), &changed(2, 2)]).await.unwrap();
    let keys = [1, 2, 3].map(|n| task(n).key());
    let read: Rows<Task> = table::load(&mut tx, &keys).await.unwrap();
    assert_eq!(read.iter().map(|task| task.version).collect::<Vec<_>>(), [3, 2, task(3).version]);
    table::update(&mut tx, [&changed(3, 9)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.get::<Task>(&keys[2]).await.unwrap(), Some(changed(3, 9)));
    assert_eq!(db.get::<Lane>(&lane(1).key()).await.unwrap(), Some(lane(1)));
}

async fn of_what_is_written_together_a_missing_row_is_noticed(db: &Db) {
    insert(db, &[task(1)]).await;
    let mut tx = db.begin().await.unwrap();
    let error = written(&mut tx, async |tx| {
        table::insert(tx, [&lane(1)]).await?;
        table::update(tx, [&task(1), &task(2)]).await?;
        table::insert(tx, [&close_out(1)]).await
    });
    let error = error.await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt(text) if text.starts_with("1 of 2 loaded rows of task")), "{error}");
    tx.rollback().await.unwrap();
}

async fn what_is_rolled_back_was_never_written(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    table::insert(&mut tx, [&task(1)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(db.get::<Task>(&task(1).key()).await.unwrap(), None);
}

async fn a_row_that_is_there_is_not_inserted_again(db: &Db) {
    insert(db, &[lane(1)]).await;
    let mut tx = db.begin().await.unwrap();
    let (blank, new) = (Lane::unknown(TENANT, record(1)), Lane::unknown(TENANT, record(2)));
    table::insert_missing(&mut tx, [&blank, &new]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.get::<Lane>(&lane(1).key()).await.unwrap(), Some(lane(1)));
    assert_eq!(db.get::<Lane>(&new.key()).await.unwrap(), Some(new));
}

async fn a_second_row_with_a_key_is_refused_by_name(db: &Db) {
    insert(db, &[close_out(1)]).await;
    let mut second = close_out(2);
    second.subject = record(1);
    let mut tx = db.begin().await.unwrap();
    let error = written(&mut tx, async |tx| table::insert(tx, [&second]).await).await.unwrap_err();
    tx.rollback().await.unwrap();
    let Error::Data { constraint, .. } = error else { panic!("{error}") };
    let columns = "close_out.tenant_id, close_out.subject_kind, close_out.subject_id, close_out.episode";
    assert_eq!(constraint, if db.is_embedded() { columns } else { "close_out_episode" });
}

async fn equal_ids_of_two_tenants_are_two_rows(db: &Db) {
    let mut theirs = task(1);
    (theirs.tenant_id, theirs.title) = (OTHER, "theirs".into());
    insert(db, &[task(1), theirs.clone()]).await;
    assert_eq!(db.get::<Task>(&task(1).key()).await.unwrap(), Some(task(1)));
    assert_eq!(db.get::<Task>(&theirs.key()).await.unwrap(), Some(theirs));
    let page = Select::<Task>::of(OTHER).page(db, "task_id", Order::Oldest, None, 10).await.unwrap();
    assert_eq!(page.len(), 1);
}

async fn settle(db: &Db, settlements: &[Settlement]) {
    let mut tx = db.begin().await.unwrap();
    settle::write(&mut tx, settlements).await.unwrap();
    tx.commit().await.unwrap();
}

fn acked(number: i64, reversal: bool, outcome: PeerOutcome) -> Settlement {
    Settlement {
        key: (TENANT, record(1), number),
        message_id: message(1, number).message_id,
        close_out: Some((CloseOutId(id(1)), reversal)),
        settled: Settled::Acked(Applied { outcome, effects: vec![effect()] }),
        awaited: false,
    }
}

async fn a_close_and_its_reversal_are_settled_in_one_batch(db: &Db) {
    insert(db, &[close_out(1)]).await;
    insert(db, &[message(1, 1), message(1, 2), message(1, 3)]).await;
    settle(db, &[acked(1, false, PeerOutcome::NeedsReview), acked(2, true, PeerOutcome::Applied)]).await;
    let settled = db.get::<CloseOut>(&close_out(1).key()).await.unwrap().unwrap();
    let delivery =
        |outcome| Delivery { propagation: Propagation::Settled, outcome: Some(outcome), effects: vec![effect()] };
    assert_eq!(settled.delivery, delivery(PeerOutcome::NeedsReview));
    assert_eq!(settled.reversal_delivery, Some(delivery(PeerOutcome::Applied)));
    for (number, expected) in [(1, Propagation::Settled), (2, Propagation::Settled), (3, Propagation::Pending)] {
        assert_eq!(settle::propagation(db, (TENANT, record(1), number)).await.unwrap(), expected);
    }
}

async fn claimed(db: &Db, limit: i64) -> Vec<(Uuid, i64)> {
    let mut tx = db.begin().await.unwrap();
    let rows = settle::claim(&mut tx, limit).await.unwrap();
    tx.commit().await.unwrap();
    rows.rows.iter().map(|row| (row.record.id, row.number)).collect()
}

async fn a_parked_message_stays_and_stops_its_lane(db: &Db) {
    insert(db, &[close_out(1)]).await;
    insert(db, &[message(1, 1), message(1, 2), message(2, 1)]).await;
    let parked =
        Settlement { settled: Settled::Parked("no such kind".into()), ..acked(1, false, PeerOutcome::Applied) };
    settle(db, &[parked]).await;
    let row = db.get::<OutboxRow>(&message(1, 1).key()).await.unwrap().unwrap();
    assert_eq!((row.parked, &*row.fault), (true, "no such kind"));
    let close_out = db.get::<CloseOut>(&close_out(1).key()).await.unwrap().unwrap();
    assert_eq!(close_out.delivery.propagation, Propagation::Parked);
    assert_eq!(settle::propagation(db, message(1, 1).key()).await.unwrap(), Propagation::Parked);
    assert_eq!(claimed(db, 10).await, [(id(2), 1)]);
    assert!(!due(db).await, "what is behind a parked message is put off");
}

async fn due(db: &Db) -> bool {
    settle::next_due(db, Duration::ZERO).await.unwrap().is_some()
}

async fn another_message_with_the_same_number_stays(db: &Db) {
    insert(db, &[message(1, 1)]).await;
    let other = Settlement { message_id: id(99), close_out: None, ..acked(1, false, PeerOutcome::Applied) };
    settle(db, std::slice::from_ref(&other)).await;
    settle(db, &[Settlement { settled: Settled::Parked("no".into()), ..other.clone() }]).await;
    settle(db, &[later(other, Fault::Lost, 0)]).await;
    assert_eq!(db.get::<OutboxRow>(&message(1, 1).key()).await.unwrap(), Some(message(1, 1)));
}

fn later(settlement: Settlement, fault: Fault, seconds: u64) -> Settlement {
    let later = Later { after: Duration::from_secs(seconds), fault, text: "why".into() };
    Settlement { settled: Settled::Later(later), ..settlement }
}

async fn what_is_to_be_sent_later_is_counted_and_claimed_when_its_time_comes(db: &Db) {
    insert(db, &[message(1, 1), message(1, 2), message(1, 3)]).await;
    let settlement = |number| Settlement { close_out: None, ..acked(number, false, PeerOutcome::Applied) };
    let row = async |number| db.get::<OutboxRow>(&message(1, number).key()).await.unwrap().unwrap();
    settle(db, &[later(settlement(1), Fault::Lost, 0), later(settlement(2), Fault::Gap(1), 0)]).await;
    settle(db, &[later(settlement(1), Fault::Lost, 0), later(settlement(3), Fault::Refused, 600)]).await;
    assert_eq!((row(1).await.losses, row(3).await.refusals, &*row(3).await.fault), (2, 1, "why"));
    let since = row(2).await.gap_since;
    settle(db, &[later(settlement(1), Fault::Unknown, 0), later(settlement(2), Fault::Gap(1), 0)]).await;
    assert_eq!(row(1).await.losses, 0, "losses count in a row");
    assert_eq!((row(2).await.gap_at, row(2).await.gap_since), (1, since), "since this number was first wanted");
    settle(db, &[later(settlement(2), Fault::Gap(2), 0)]).await;
    assert_eq!((row(2).await.waits_for, row(2).await.gap_at), (2, 2));
    let since = row(2).await.gap_since;
    assert_eq!(claimed(db, 10).await, [(id(1), 1), (id(1), 2)]);
    assert_eq!(
        (row(2).await.waits_for, row(2).await.gap_since),
        (0, since),
        "a claim does not forget how long it waits"
    );
    assert!(settle::any_before(db, message(1, 2).key()).await.unwrap());
    assert!(!settle::any_before(db, message(1, 1).key()).await.unwrap());
}

async fn the_backlog_is_counted(db: &Db) {
    assert_eq!(settle::backlog(db).await.unwrap().waiting, 0);
    insert(db, &[message(1, 1), message(2, 1), OutboxRow { parked: true, ..message(3, 1) }]).await;
    let backlog = settle::backlog(db).await.unwrap();
    assert_eq!((backlog.waiting, backlog.parked), (3, 1));
    assert!(backlog.oldest > Duration::from_secs(1_600_000_000), "it was written in 1970");
}

async fn what_waits_for_its_turn_is_put_off_and_comes_when_it_is_there(db: &Db) {
    let leased = |lane, number| OutboxRow { lease_until: Time(i64::MAX), attempts: 1, ..message(lane, number) };
    // Lane 1: the first is held elsewhere. Lane 2: all are due. Lane 3: the second waits for the first in the table.
    insert(db, &[leased(1, 1), message(1, 2), message(1, 3), message(2, 1), message(2, 2), message(3, 1)]).await;
    insert(db, &[OutboxRow { waits_for: 1, ..leased(3, 2) }, leased(3, 3)]).await;
    assert_eq!(claimed(db, 10).await, [(id(2), 1), (id(2), 2), (id(3), 1), (id(3), 2)]);
    assert!(!due(db).await, "what is behind the one held elsewhere is put off");
    let first = Settlement { close_out: None, awaited: true, ..acked(1, false, PeerOutcome::Applied) };
    settle(db, std::slice::from_ref(&first)).await;
    assert_eq!(claimed(db, 10).await, [(id(1), 2), (id(1), 3)]);
    let key = message(3, 1).key();
    settle(db, &[Settlement { key, message_id: message(3, 1).message_id, ..first }]).await;
    assert!(!due(db).await, "what a process holds is not given to another");
}

async fn a_claim_takes_what_is_due_and_leases_it(db: &Db) {
    let mut leased = message(3, 1);
    leased.lease_until = Time(i64::MAX);
    insert(db, &[message(2, 2), message(2, 1), message(1, 1), leased]).await;
    assert!(due(db).await);
    assert_eq!(claimed(db, 10).await, [(id(1), 1), (id(2), 1), (id(2), 2)]);
    assert!(!due(db).await);
    assert!(claimed(db, 10).await.is_empty());
    let row = db.get::<OutboxRow>(&message(1, 1).key()).await.unwrap().unwrap();
    assert_eq!(row.attempts, 1);
    let soon = settle::next_due(db, Duration::from_secs(15)).await.unwrap().unwrap();
    assert!(soon > Duration::from_secs(10), "when the lease ends: {soon:?}");
    assert!(row.lease_until > Time(1_600_000_000_000_000), "the lease is in the database's own time");
}

fn answer(n: u128, answered_at: Time) -> Answered {
    Answered {
        tenant_id: if n.is_multiple_of(2) { TENANT } else { OTHER },
        principal: format!("ann {}", n % 3),
        method: "CreateOrder".into(),
        request_id: id(n),
        fingerprint: vec![1],
        reply: vec![2],
        close_out_id: None,
        lane: None,
        number: None,
        answered_at,
    }
}

async fn count(db: &Db, table: &str) -> i64 {
    db.read(&Sql::plain(&format!("SELECT count(*) FROM {table}")), Args::none()).await.unwrap()[0].get(0).unwrap()
}

async fn now(db: &Db) -> Time {
    db.read(&Sql::plain("SELECT {now}"), Args::none()).await.unwrap()[0].get(0).unwrap()
}

async fn a_duty_is_put_in_once_and_each_of_its_steps_is_done_once(db: &Db) {
    let rows = 5 * job::STEP as u128;
    let today = now(db).await;
    insert(db, &(0..rows).map(|n| answer(n, today)).collect::<Vec<_>>()).await;
    // Several processes at once, on PostgreSQL at the same moment.
    let stop = CancellationToken::new();
    let works: Vec<_> =
        (0..3).map(|_| tokio::spawn(job::work(db.clone(), async |_| Carried::Over, stop.clone()))).collect();
    let done = async || {
        let steps = Sql::plain("SELECT min(steps), max(steps), count(done_at), count(*) FROM job");
        let rows = db.read(&steps, Args::none()).await.unwrap();
        std::array::from_fn::<i64, 4, _>(|column| rows[0].get(column).unwrap_or_default())
    };
    let waiting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while done().await[2..] != [2, 2] {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("both are done");
    stop.cancel();
    for work in works {
        work.await.unwrap();
    }
    // Two and a half steps of answers in each of two tenants: three steps, the last of them over the rest.
    assert_eq!(done().await, [3, 3, 2, 2]);
    assert_eq!(count(db, "idempotency").await, rows as i64, "they are young");
    assert_eq!(job::step(db).await.unwrap(), Step::Idle, "nothing is left to do today");
}

async fn old_answers_are_forgotten_and_young_ones_kept(db: &Db) {
    let today = now(db).await;
    let old = Time(today.0 - job::ANSWERS_KEPT - 60_000_000);
    let kept = Time(today.0 - job::ANSWERS_KEPT + 60_000_000);
    insert(db, &(0..40).map(|n| answer(n, if n < 20 { old } else { kept })).collect::<Vec<_>>()).await;
    job::put(db, &[Job::retention(TENANT, today)]).await.unwrap();
    job::put(db, &[Job::retention(TENANT, today)]).await.unwrap();
    assert_eq!(job::step(db).await.unwrap(), Step::Done);
    assert_eq!(job::step(db).await.unwrap(), Step::Idle);
    assert_eq!((count(db, "idempotency").await, count(db, "job").await), (30, 1), "the other tenant's stay");
    assert!(db.get::<Answered>(&answer(20, kept).key()).await.unwrap().is_some());
    assert!(db.get::<Answered>(&answer(18, old).key()).await.unwrap().is_none());
}

async fn a_duty_for_a_command_is_claimed_by_one_and_gone_once_it_is_done(db: &Db) {
    let today = now(db).await;
    let (due, later) = (Time(today.0 - 5), Time(today.0 + 60_000_000));
    let jobs = [(1, due), (2, later)].map(|(n, at)| Job::expiry(TENANT, CloseOutId(id(n)), at));
    job::put(db, &jobs).await.unwrap();
    let Step::Claimed(claimed) = job::step(db).await.unwrap() else { panic!("it is due") };
    assert_eq!(claimed.iter().map(|job| (&job.job_key, job.steps)).collect::<Vec<_>>(), [(&jobs[0].job_key, 1)]);
    assert_eq!(job::step(db).await.unwrap(), Step::Idle, "the other one is not due, and this one is claimed");
    // Whoever had claimed it is gone; the next one does it in two stretches, the second from where the first had come.
    let (stop, stretches) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let command = {
        let stretches = stretches.clone();
        move |job: Job| {
            stretches.fetch_add(1, Ordering::SeqCst);
            let half = Carried::Again { progress: "half".into(), after: Duration::ZERO };
            std::future::ready(if job.progress == "half" { Carried::Over } else { half })
        }
    };
    release(db).await;
    let work = tokio::spawn(job::work(db.clone(), command, stop.clone()));
    let gone = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while count(db, "job").await > 1 {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it is done");
    stop.cancel();
    work.await.unwrap();
    assert_eq!(stretches.load(Ordering::SeqCst), 2);
}

/// The claims are over.
async fn release(db: &Db) {
    let over = Sql::plain("UPDATE job SET due_at = 1 WHERE steps > 0");
    let mut tx = db.begin().await.unwrap();
    tx.execute(&over, Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn released_messages_are_due_at_once(db: &Db) {
    let mut leased = message(1, 1);
    leased.lease_until = Time(i64::MAX);
    insert(db, &[leased]).await;
    assert!(!due(db).await);
    let mut tx = db.begin().await.unwrap();
    settle::release(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claimed(db, 1).await, [(id(1), 1)]);
}

async fn pages_neither_miss_nor_repeat(db: &Db) {
    let tasks: Vec<_> = (1..=25).map(task).collect();
    insert(db, &tasks).await;
    for order in [Order::Oldest, Order::Newest] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let rows = Select::<Task>::of(TENANT)
                .equal("root_kind", Some(&RecordKind::Order))
                .equal("root_id", Some(&id(5)))
                .text("assignee", "ann")
                .page(db, "task_id", order, after, 10)
                .await
                .unwrap();
            seen.extend(rows.iter().take(10).map(|row| row.task_id.0.as_u128()));
            after = rows.get(9).map(|row| row.task_id.0);
            if rows.len() <= 10 {
                break;
            }
        }
        let mut expected: Vec<_> = (1..=25).collect();
        if order == Order::Newest {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

async fn rows_number_two_hundred_and_fifty_six_in_one_statement(db: &Db) {
    let tasks: Vec<_> = (1..=256).map(task).collect();
    let before = db.statement_count();
    insert(db, &tasks).await;
    assert_eq!(db.statement_count() - before, 1);
    let count = db.read(&Sql::plain("SELECT count(*) FROM task"), Args::none()).await.unwrap();
    assert_eq!(count[0].get::<i64>(0).unwrap(), 256);
}
