//! The log of changes on both databases: what a commit writes into it, how far it can be read while others are under way, in which order,
//! and what is kept of it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a check that can not go on has failed")]

#[path = "../../../tests/support/fresh.rs"]
mod fresh;

use crm_closeout::{
    access::Access,
    codes::{Record, RecordKind, Side},
    episode::{CloseOut, CloseOutState, Delivery, Effect, EffectKind, Outcome, Snapshot},
    fact::{Applied, Fact, PeerOutcome},
    ids::{CloseOutId, TaskId, TenantId},
    job::Job,
    money::Money,
    records::Lane,
    refusal::Refusal,
    remarks::Remarks,
    task::{Task, TaskKind, TaskState},
    time::Time,
    working_set::{Cause, Common, Keyed, Rows},
};
use crm_outbox::{
    batch::{self, Call, Decided, Domain, Item},
    db::{Db, Error, Tx},
    job::{self, CHANGES_KEPT, Step},
    settle::{Fault, Later, Settled, Settlement},
    sql::{Args, Sql},
    table,
    watch::{self, Commit, Entry, Head, Mark, Of},
};
use std::{future::ready, sync::Arc, time::Duration};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER: TenantId = TenantId(Uuid::from_u128(2));

fresh::on_both!(&[];
    a_commit_is_one_row_for_each_tenant_and_names_each_record_once,
    a_record_says_which_commit_changed_it_last,
    close_outs_of_a_subject_stand_in_the_order_of_their_episodes,
    an_answer_of_the_peer_is_a_change_and_the_same_again_is_none,
    who_begins_now_hears_only_of_what_comes,
    a_look_goes_from_one_place_to_another_and_no_further,
    what_is_old_is_forgotten_but_for_the_last_commit,
);

#[derive(Clone, Debug)]
enum Command {
    /// Makes these tasks, or changes them where they are.
    Tasks(Vec<u128>),
    /// Locks the first, waits, and then the second, and changes both.
    OneAfterTheOther { ids: [u128; 2], waits: Arc<Notify> },
    /// Makes close-outs of a subject: their ids, in the order of the episodes.
    CloseOuts(Vec<u128>),
}

impl Command {
    fn tasks(&self) -> &[u128] {
        match self {
            Self::Tasks(ids) => ids,
            Self::OneAfterTheOther { ids, .. } => ids,
            Self::CloseOuts(_) => &[],
        }
    }
}

#[derive(Debug)]
struct Notes;

impl Domain for Notes {
    type Command = Command;
    type World = Common;

    fn mirrors(_: RecordKind) -> bool {
        true
    }

    async fn load(tx: &mut Tx, mut common: Common, items: &[Item<Command>]) -> Result<Common, Error> {
        for item in items {
            let Item::Call(call) = item else { continue };
            let keys: Vec<_> =
                call.command.tasks().iter().map(|id| (call.cause.tenant_id, TaskId(id_of(*id)))).collect();
            if let Command::OneAfterTheOther { waits, .. } = &call.command {
                let first: Rows<Task> = table::lock(tx, &keys[..1]).await?;
                assert!(first.get(&keys[0]).is_some());
                waits.notified().await;
            }
            for task in table::lock::<Task>(tx, &keys).await?.iter() {
                common.tasks.add_loaded(task.clone());
            }
        }
        Ok(common)
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
        for id in command.tasks() {
            let new = task(cause.tenant_id, *id);
            match world.tasks.edit(&new.key()) {
                Some(task) => task.version += 1,
                None => world.tasks.insert(new),
            }
        }
        if let Command::CloseOuts(ids) = command {
            for (episode, id) in (1..).zip(ids) {
                world.close_outs.insert(close_out(*id, episode));
            }
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

fn id_of(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn applied() -> Applied {
    let effect = Effect::new(Side::Order, EffectKind::TaskCancelled, "tasks/1", "OPEN", "CANCELLED");
    Applied { outcome: PeerOutcome::Applied, effects: vec![effect] }
}

fn task(tenant_id: TenantId, n: u128) -> Task {
    Task {
        tenant_id,
        task_id: TaskId(id_of(n)),
        root: Record::new(RecordKind::Order, id_of(5)),
        kind: TaskKind::Deliver,
        title: "Deliver".into(),
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

fn close_out(n: u128, episode: i64) -> CloseOut {
    CloseOut {
        tenant_id: TENANT,
        close_out_id: CloseOutId(id_of(n)),
        subject: Record::new(RecordKind::Order, id_of(5)),
        customer_id: None,
        episode,
        outcome: Outcome::Cancelled,
        reason_code: "OTHER".into(),
        reason_version: 1,
        class: None,
        win_back_days: 0,
        detail: String::new(),
        competitor_id: None,
        remarks: Remarks::default(),
        snapshot: Snapshot {
            state: 2,
            state_word: "CONFIRMED".into(),
            stage: None,
            days_in_stage: 0,
            days_open: 0,
            amount: Money::NONE,
            exchange: None,
            owner: "ann".into(),
            team: String::new(),
            won_at: None,
            cancelled: Vec::new(),
        },
        actor: "ann".into(),
        closed_at: Time(8),
        historical: false,
        state: CloseOutState::Effective,
        cause: None,
        hop: 0,
        group_id: None,
        request_id: None,
        effects: Vec::new(),
        delivery: Delivery::PENDING,
        reversal: None,
        reversal_delivery: None,
        amendments: Vec::new(),
        approval: None,
    }
}

fn settlement(close_out: u128, settled: Settled) -> Settlement {
    let key = (TENANT, Record::new(RecordKind::Order, id_of(5)), 1);
    Settlement {
        key,
        message_id: id_of(9),
        close_out: Some((CloseOutId(id_of(close_out)), false)),
        settled,
        awaited: false,
    }
}

fn call(tenant_id: TenantId, command: Command) -> Item<Command> {
    let request_id = Uuid::now_v7();
    let cause = Cause {
        tenant_id,
        actor: "ann".into(),
        access: Access::EVERYTHING,
        method: "Note",
        request_id: Some(request_id),
        message_id: None,
    };
    Item::Call(Call {
        cause,
        request_id,
        fingerprint: vec![1],
        validate_only: false,
        trace_parent: String::new(),
        confirmed: None,
        command,
    })
}

/// Runs a batch that commits when `turn` has come.
async fn run_at(db: &Db, items: &[Item<Command>], turn: impl Future<Output = ()> + Send) {
    batch::run::<Notes, _>(db, &[], items, turn).await.unwrap();
}

async fn tasks(db: &Db, ids: impl IntoIterator<Item = u128>) {
    run_at(db, &[call(TENANT, Command::Tasks(ids.into_iter().collect()))], ready(())).await;
}

async fn settle(db: &Db, settled: Settled) {
    batch::run::<Notes, _>(db, &[settlement(1, settled)], &[], ready(())).await.unwrap();
}

/// A look when nothing that is committed is held back: other databases of the server have transactions, too.
async fn head_of(db: &Db, tenant: TenantId) -> Head {
    let newest = Sql::plain("SELECT coalesce(max(place), 0) FROM watch_log WHERE tenant_id = {1}");
    let newest = db.read(&newest, Args::none().with(&tenant)).await.unwrap()[0].get::<i64>(0).unwrap();
    let shown = async || watch::head(db, tenant).await.unwrap();
    until("all is shown", async || shown().await.ended >= newest).await;
    shown().await
}

async fn head(db: &Db) -> Head {
    head_of(db, TENANT).await
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !holds().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), held).await.expect(what);
}

const BEGINNING: Mark = Mark { place: 0, written_at: Time(0), tx: 0 };

/// Everything that the log of a tenant shows now.
async fn log(db: &Db, tenant: TenantId) -> Vec<Commit> {
    let last = head_of(db, tenant).await.last;
    watch::page(db, tenant, BEGINNING, last, 100).await.unwrap()
}

async fn entries(db: &Db) -> Vec<Vec<Entry>> {
    log(db, TENANT).await.into_iter().map(|commit| commit.entries).collect()
}

fn of_task(n: u128) -> Entry {
    (Of::Task, id_of(n))
}

fn of_close_out(n: u128) -> Entry {
    (Of::CloseOut, id_of(n))
}

async fn a_commit_is_one_row_for_each_tenant_and_names_each_record_once(db: &Db) {
    let own = |ids: &[u128]| call(TENANT, Command::Tasks(ids.to_vec()));
    run_at(db, &[own(&[3, 1]), call(OTHER, Command::Tasks(vec![7])), own(&[1, 2])], ready(())).await;
    run_at(db, &[own(&[2])], ready(())).await;
    assert_eq!(entries(db).await, [vec![of_task(1), of_task(2), of_task(3)], vec![of_task(2)]]);
    let other = log(db, OTHER).await;
    assert_eq!(other.iter().map(|commit| &commit.entries[..]).collect::<Vec<_>>(), [&[of_task(7)][..]]);
    assert_eq!(other[0].mark.tx, log(db, TENANT).await[0].mark.tx, "it is one transaction");
    assert!(watch::has(db, OTHER, other[0].mark).await.unwrap());
    let later = Mark { tx: other[0].mark.tx + 1, ..other[0].mark };
    assert!(!watch::has(db, OTHER, later).await.unwrap());
}

async fn a_record_says_which_commit_changed_it_last(db: &Db) {
    tasks(db, [1, 2]).await;
    tasks(db, [2]).await;
    let marks: Vec<_> = log(db, TENANT).await.iter().map(|commit| commit.mark.tx).collect();
    let ids = [id_of(1), id_of(2), id_of(3)];
    let mut read = watch::records::<Task>(db, TENANT, &ids).await.unwrap();
    read.sort_by_key(|(task, _)| task.key());
    let told: Vec<_> = read.iter().map(|(task, changed_in)| (task.version, *changed_in)).collect();
    assert_eq!(told, [(1, marks[0]), (2, marks[1])]);
    assert!(watch::records::<Task>(db, OTHER, &ids).await.unwrap().is_empty());
}

async fn close_outs_of_a_subject_stand_in_the_order_of_their_episodes(db: &Db) {
    // Whatever their ids are: these may come from processes whose clocks differ.
    run_at(db, &[call(TENANT, Command::CloseOuts(vec![8, 3, 6]))], ready(())).await;
    assert_eq!(entries(db).await, [[8, 3, 6].map(of_close_out)]);
}

async fn an_answer_of_the_peer_is_a_change_and_the_same_again_is_none(db: &Db) {
    run_at(db, &[call(TENANT, Command::CloseOuts(vec![1]))], ready(())).await;
    settle(db, Settled::Later(Later { after: Duration::ZERO, fault: Fault::Lost, text: String::new() })).await;
    assert_eq!(entries(db).await.len(), 1, "nothing of the close-out has changed");
    settle(db, Settled::Acked(applied())).await;
    settle(db, Settled::Acked(applied())).await;
    let commits = log(db, TENANT).await;
    let changed_in = watch::records::<CloseOut>(db, TENANT, &[id_of(1)]).await.unwrap()[0].1;
    let of_it: Vec<_> = commits.iter().filter(|commit| commit.mark.tx == changed_in).collect();
    assert_eq!(of_it, [&commits[1]], "the second answer said nothing new");
    // With a batch, too: the answer is one of the things that it changes.
    let items = [call(TENANT, Command::Tasks(vec![4]))];
    batch::run::<Notes, _>(db, &[settlement(1, Settled::Released)], &items, ready(())).await.unwrap();
    assert_eq!(entries(db).await.last().unwrap(), &[of_task(4), of_close_out(1)]);
}

async fn who_begins_now_hears_only_of_what_comes(db: &Db) {
    let empty = head(db).await;
    assert_eq!((empty.last.tx, empty.last.place), (0, empty.ended), "there is no commit yet");
    tasks(db, [1]).await;
    let one = head(db).await;
    assert!(empty.last < one.last && one.last.place <= one.ended);
    let since = async |from: Mark| watch::page(db, TENANT, from, head(db).await.last, 100).await.unwrap().len();
    assert_eq!((since(empty.last).await, since(one.last).await), (1, 1));
    tasks(db, [1]).await;
    assert_eq!((since(empty.last).await, since(one.last).await), (2, 2));
}

async fn a_look_goes_from_one_place_to_another_and_no_further(db: &Db) {
    for n in 0..10 {
        tasks(db, [n]).await;
    }
    let commits = log(db, TENANT).await;
    let mark = |n: usize| commits[n].mark;
    assert!(commits.is_sorted_by(|one, next| one.mark < next.mark));
    assert_eq!(watch::page(db, TENANT, mark(2), mark(6), 3).await.unwrap(), commits[2..5]);
    assert_eq!(watch::page(db, TENANT, mark(5), mark(6), 3).await.unwrap(), commits[5..7]);
    assert_eq!(watch::page(db, TENANT, mark(6), mark(6), 3).await.unwrap(), commits[6..7]);
    let behind = Mark { tx: mark(6).tx + 1, ..mark(6) };
    assert_eq!(watch::page(db, TENANT, behind, mark(6), 3).await.unwrap(), []);
    assert_eq!(watch::page(db, OTHER, BEGINNING, mark(6), 3).await.unwrap(), []);
}

async fn what_is_old_is_forgotten_but_for_the_last_commit(db: &Db) {
    for n in 0..5 {
        tasks(db, [n]).await;
    }
    run_at(db, &[call(OTHER, Command::Tasks(vec![7]))], ready(())).await;
    let (marks, now) = (log(db, TENANT).await, head(db).await.now);
    let old = |until: Mark, tenant: TenantId| {
        let age = Sql::plain("UPDATE watch_log SET written_at = {3} WHERE tenant_id = {1} AND tx <= {2}");
        let at = Time(now.0 - CHANGES_KEPT - 1_000_000);
        async move {
            let mut tx = db.begin().await.unwrap();
            tx.execute(&age, Args::none().with(&tenant).with(&until.tx).with(&at)).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    let retained = async |tenant, day: i64| {
        job::put(db, &[Job::retention(tenant, Time(now.0 - day * 24 * 3_600 * 1_000_000))]).await.unwrap();
        assert_eq!(job::step(db).await.unwrap(), Step::Done);
        assert_eq!(job::step(db).await.unwrap(), Step::Idle);
    };
    old(marks[2].mark, TENANT).await;
    retained(TENANT, 0).await;
    let left = [2, 3, 4].map(|n| vec![of_task(n)]);
    assert_eq!(entries(db).await, left, "by the last old one it is known how far some have come");
    let last = Mark { tx: i64::MAX, ..marks[4].mark };
    old(last, TENANT).await;
    old(last, OTHER).await;
    retained(TENANT, 1).await;
    assert_eq!(entries(db).await, [vec![of_task(4)]], "by the last one it is known where others have come");
    // As in a copy of the data of a server that had come further.
    let mut tx = db.begin().await.unwrap();
    let copied = Sql::plain("UPDATE watch_log SET place = place + 1000000 WHERE tenant_id = {1}");
    tx.execute(&copied, Args::none().with(&OTHER)).await.unwrap();
    tx.commit().await.unwrap();
    retained(OTHER, 2).await;
    let left = Sql::plain("SELECT count(*) FROM watch_log WHERE tenant_id = {1}");
    let left = async |tenant| db.read(&left, Args::none().with(&tenant)).await.unwrap()[0].get::<i64>(0).unwrap();
    assert_eq!((left(OTHER).await, left(TENANT).await), (0, 1));
}

/// Whether a session of this database has a transaction of which this holds.
async fn a_session(db: &Db, holds: &str) -> bool {
    let text = format!("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND {holds} LIMIT 1");
    !db.read(&Sql::plain(&text), Args::none()).await.unwrap().is_empty()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs DATABASE_URL"]
async fn what_commits_late_is_waited_for() {
    let fresh = fresh::postgres(&[]).await;
    let db = &fresh.db;
    tasks(db, [1]).await;
    let before = head(db).await.last;
    let (commit, turn) = oneshot::channel::<()>();
    let (reached, at_commit) = oneshot::channel();
    let late = tokio::spawn({
        let db = db.clone();
        async move {
            run_at(&db, &[call(TENANT, Command::Tasks(vec![2]))], async {
                reached.send(()).unwrap();
                turn.await.unwrap();
            })
            .await;
        }
    });
    at_commit.await.unwrap();
    tasks(db, [3]).await;
    assert_eq!(watch::head(db, TENANT).await.unwrap().last, before, "what began before it is not committed yet");
    commit.send(()).unwrap();
    late.await.unwrap();
    assert_eq!(entries(db).await, [[of_task(1)], [of_task(2)], [of_task(3)]]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs DATABASE_URL"]
async fn what_was_decided_after_waiting_for_another_comes_after_it() {
    let fresh = fresh::postgres(&[]).await;
    let (db, waits) = (&fresh.db, Arc::new(Notify::new()));
    tasks(db, [1, 2]).await;
    let spawned = |item: Item<Command>, turn: oneshot::Receiver<()>| {
        let (db, (reached, at_commit)) = (db.clone(), oneshot::channel());
        let turn = async move {
            // Nobody may ask whether it is there.
            let _ = reached.send(());
            turn.await.unwrap();
        };
        (tokio::spawn(async move { run_at(&db, &[item], turn).await }), at_commit)
    };
    // The first to have a number has locked 1 ...
    let (commit_first, turn) = oneshot::channel();
    let first = Command::OneAfterTheOther { ids: [1, 2], waits: waits.clone() };
    let (first, _) = spawned(call(TENANT, first), turn);
    until("it has a number", async || a_session(db, "backend_xid IS NOT NULL").await).await;
    // ... when the second takes 2, for which the first then waits.
    let (commit_second, turn) = oneshot::channel();
    let (second, at_commit) = spawned(call(TENANT, Command::Tasks(vec![2])), turn);
    at_commit.await.unwrap();
    waits.notify_one();
    until("it waits for the lock", async || a_session(db, "wait_event_type = 'Lock'").await).await;
    commit_second.send(()).unwrap();
    second.await.unwrap();
    commit_first.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(entries(db).await[1..], [vec![of_task(2)], vec![of_task(1), of_task(2)]]);
    let [.., second, first] = &log(db, TENANT).await[..] else { unreachable!() };
    assert!(first.mark.tx < second.mark.tx, "it had its number before: {first:?}, {second:?}");
}
