//! Reads by key that wait at the same time, and the connections that reads have, on both databases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a check that can not go on has failed")]

#[path = "../../../tests/support/fresh.rs"]
mod fresh;

use crm_closeout::{
    codes::{Record, RecordKind},
    ids::{TaskId, TenantId},
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::Keyed,
};
use crm_outbox::{
    db::{Db, Error},
    sql::{Args, Sql},
    table,
};
use futures::{
    FutureExt,
    future::{join_all, select},
};
use std::pin::pin;
use tokio::task::unconstrained;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER: TenantId = TenantId(Uuid::from_u128(2));

fresh::on_both!(&[];
    many_at_once_each_hear_their_own_row,
    rows_of_many_keys_come_in_the_order_of_the_keys,
    what_was_committed_before_a_get_is_seen_by_it,
    who_goes_away_hurts_nobody,
    a_row_that_can_not_be_read_fails_only_who_asked_for_it,
    an_error_reaches_all,
    more_reads_than_connections_wait,
    what_finds_no_place_to_wait_is_refused,
    a_closed_database_refuses_reads,
);

fn task(n: u128) -> Task {
    Task {
        tenant_id: TENANT,
        task_id: TaskId(Uuid::from_u128(n)),
        root: Record::new(RecordKind::Order, Uuid::from_u128(5)),
        kind: TaskKind::Deliver,
        title: format!("task {n}"),
        assignee: "ann".into(),
        due_at: None,
        state: TaskState::Open,
        prior_state: None,
        closed_by: None,
        created_at: Time(1),
        updated_at: Time(1),
        version: 1,
    }
}

fn theirs(n: u128) -> Task {
    Task { tenant_id: OTHER, title: format!("theirs {n}"), ..task(n) }
}

type Key = (TenantId, TaskId);

fn key(n: u128) -> Key {
    task(n).key()
}

async fn insert(db: &Db, tasks: impl IntoIterator<Item = Task>) {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let mut tx = db.begin().await.unwrap();
    table::insert(&mut tx, &tasks).await.unwrap();
    tx.commit().await.unwrap();
}

async fn execute(db: &Db, statement: &str) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain(statement), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn got(db: &Db, keys: impl IntoIterator<Item = Key>) -> Vec<Result<Option<Task>, Error>> {
    let gets = keys.into_iter().map(|key| async move { db.get::<Task>(&key).await });
    // All ask before this task gives way.
    unconstrained(join_all(gets)).await
}

async fn many_at_once_each_hear_their_own_row(db: &Db) {
    insert(db, (1..=400).flat_map(|n| [task(n), theirs(n)])).await;
    // Each twice, with the same ids in another tenant, and one of three is not there.
    let asked: Vec<_> = (1..=600).flat_map(|n| [task(n), theirs(n), task(n)]).take(1_000).collect();
    let answers = got(db, asked.iter().map(Keyed::key)).await;
    for (asked, answer) in asked.into_iter().zip(answers) {
        let is_there = asked.task_id.0.as_u128() <= 400;
        assert_eq!(answer.unwrap(), is_there.then_some(asked));
    }
}

async fn rows_of_many_keys_come_in_the_order_of_the_keys(db: &Db) {
    insert(db, (1..=300).map(task)).await;
    let backwards = async { db.by_key::<Task>((1..=400).rev().map(key).collect()).await.unwrap() };
    let one = async { db.by_key::<Task>(vec![key(7), key(7)]).await.unwrap() };
    let none = async { db.by_key::<Task>(Vec::new()).await.unwrap() };
    let (backwards, one, none) = futures::join!(backwards, one, none);
    assert_eq!(backwards, (1..=300).rev().map(task).collect::<Vec<_>>());
    assert_eq!((one, none), (vec![task(7), task(7)], Vec::new()));
}

async fn what_was_committed_before_a_get_is_seen_by_it(db: &Db) {
    insert(db, [task(1)]).await;
    let others = async {
        loop {
            got(db, (1..=20).map(key)).await;
        }
    };
    let writes = async {
        for version in 2..=50 {
            let changed = Task { version, ..task(1) };
            let mut tx = db.begin().await.unwrap();
            table::update(&mut tx, [&changed]).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(db.get::<Task>(&key(1)).await.unwrap(), Some(changed));
        }
    };
    select(pin!(others), pin!(writes)).await;
}

async fn who_goes_away_hurts_nobody(db: &Db) {
    insert(db, (1..=50).map(task)).await;
    let count = Sql::plain("SELECT count(*) FROM task");
    for n in 1..=50 {
        // Each has asked, and is gone, hardly ever with an answer.
        drop(db.get::<Task>(&key(n)).now_or_never());
        drop(db.read(&count, Args::none()).now_or_never());
        assert_eq!(db.get::<Task>(&key(51 - n)).await.unwrap(), Some(task(51 - n)));
    }
    assert!(got(db, (1..=50).map(key)).await.into_iter().all(|answer| matches!(answer, Ok(Some(_)))));
}

async fn a_row_that_can_not_be_read_fails_only_who_asked_for_it(db: &Db) {
    insert(db, (1..=3).map(task)).await;
    execute(db, "UPDATE task SET kind = 99 WHERE title = 'task 2'").await;
    let answers = got(db, (1..=4).map(key)).await;
    assert!(matches!(&answers[..], [Ok(Some(_)), Err(Error::Corrupt(_)), Ok(Some(_)), Ok(None)]), "{answers:?}");
}

async fn an_error_reaches_all(db: &Db) {
    execute(db, "ALTER TABLE task RENAME TO elsewhere").await;
    let answers = got(db, (1..=9).map(key)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Corrupt(_)))), "{answers:?}");
    execute(db, "ALTER TABLE elsewhere RENAME TO task").await;
    assert_eq!(db.get::<Task>(&key(1)).await.unwrap(), None);
}

async fn reads(db: &Db, count: usize) -> Vec<Result<i64, Error>> {
    let one = Sql::plain("SELECT CAST(1 AS BIGINT)");
    let read = async |_| db.read(&one, Args::none()).await?.first().expect("a row").get(0);
    unconstrained(join_all((0..count).map(read))).await
}

async fn more_reads_than_connections_wait(db: &Db) {
    let answers = reads(db, 500).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(1))), "{answers:?}");
}

async fn what_finds_no_place_to_wait_is_refused(db: &Db) {
    let answers = reads(db, 20_000).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(done.len() >= 1_000, "{} were done", done.len());
    assert!(
        !refused.is_empty() && refused.iter().all(|answer| matches!(answer, Err(Error::Overloaded))),
        "{refused:?}"
    );
    assert!(matches!(reads(db, 1).await[..], [Ok(1)]));
}

async fn a_closed_database_refuses_reads(db: &Db) {
    assert_eq!(db.get::<Task>(&key(1)).await.unwrap(), None);
    db.close().await;
    let answers = got(db, (1..=3).map(key)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unavailable(_)))), "{answers:?}");
    assert!(matches!(reads(db, 1).await[..], [Err(Error::Unavailable(_))]));
}

/// With one thread all have asked before the first query begins.
#[tokio::test]
async fn those_that_wait_together_are_one_query() {
    let fresh = fresh::sqlite(&[]).await;
    insert(&fresh.db, (1..=200).map(task)).await;
    let before = fresh.db.statement_count();
    assert!(got(&fresh.db, (1..=200).chain(1..=50).map(key)).await.into_iter().all(|answer| answer.unwrap().is_some()));
    assert_eq!(fresh.db.statement_count() - before, 1);
}

/// As above, so none is taken before all have asked.
#[tokio::test]
async fn a_get_that_finds_no_place_to_wait_is_refused() {
    let fresh = fresh::sqlite(&[]).await;
    let answers = got(&fresh.db, (1..=1_100).map(key)).await;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Overloaded))).count();
    let done = answers.iter().filter(|answer| matches!(answer, Ok(None))).count();
    assert_eq!((done, refused), (1_024, 76));
}
