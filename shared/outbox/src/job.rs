//! Timed duties: rows that are made once, however many processes ask for them, and worked on by whichever finds them due.
//!
//! Retention (answers by request id and the log of changes are kept for seven days) is done here step by step: a step and the progress it makes are one
//! transaction under the lock of the job's row. What a rule decides is done by a command, like a caller's: the job is claimed for a
//! minute, its command has a request id of its own, so that it is done once however often it is tried, and then the job is gone.

use crate::{
    db::{Db, Error, Row, Tx},
    sql::{Args, Sql},
    table,
    table::{Statements, Table},
    watch,
};
use crm_closeout::{
    codes::Code as _,
    ids::TenantId,
    job::{Job, JobKind},
    time::Time,
    working_set::Keyed,
};
use futures::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

crate::part_code!(JobKind);

table!(Job = "job", key |key| [tenant_id: TenantId = key.0, kind: JobKind = key.1, job_key: String = key.2], {
    tenant_id: TenantId, kind: JobKind, job_key: String, due_at: Time, progress: String, steps: i64, done_at: Option<Time>,
});

const DAY: i64 = 24 * 3_600 * 1_000_000;
/// How long answers by request id are kept, in microseconds: a copy of a request that comes later is a new one.
pub const ANSWERS_KEPT: i64 = 7 * DAY;
/// How long it is kept what changed, in microseconds: who watches and goes on later than that has missed something.
pub const CHANGES_KEPT: i64 = 7 * DAY;
/// Rows that one step looks at.
pub const STEP: i64 = 2_000;
/// How long the process that claimed a job has it alone, in microseconds.
const CLAIM: i64 = 60 * 1_000_000;
/// Commands of one process at once.
const AT_ONCE: i64 = 32;
const LOOK: Duration = Duration::from_secs(3_600);
const POLL: Duration = Duration::from_secs(1);
/// Callers come first.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// What a look for duties came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is due.
    Idle,
    /// A step was done.
    Done,
    /// These are to be done by commands, and for a minute nobody else takes them up.
    Claimed(Vec<Job>),
}

/// How far a duty of commands was carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// There is nothing left to do for it.
    Over,
    /// It is taken up again after so long, from here.
    Again {
        /// How far it is; empty: at its beginning.
        progress: String,
        /// How long.
        after: Duration,
    },
}

/// Works on duties until `stop`: puts in those of the day, then does what is due, a step at a time. `command` does what a rule
/// decides. Run it in a task of its own; any number of processes may.
pub async fn work<F>(db: Db, command: impl Fn(Job) -> F, stop: CancellationToken)
where
    F: Future<Output = Carried>,
{
    let (mut hour, mut step_due) = (interval(LOOK), interval(POLL));
    step_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = hour.tick() => put_todays(&db).await,
            _ = step_due.tick() => match look(&db, &command).await {
                Ok(true) => {
                    step_due.reset_after(BETWEEN_STEPS);
                    Ok(())
                }
                other => other.map(drop),
            },
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a duty can not be done now; it is tried again soon");
        }
    }
}

async fn look<F: Future<Output = Carried>>(db: &Db, command: &impl Fn(Job) -> F) -> Result<bool, Error> {
    match step(db).await? {
        Step::Idle => Ok(false),
        Step::Done => Ok(true),
        Step::Claimed(jobs) => {
            let began = Instant::now();
            let carried = join_all(jobs.into_iter().map(async |job| (command(job.clone()).await, job))).await;
            // They were claimed by the clock of the database until then.
            let now = |job: &Job| job.due_at.0 - CLAIM + began.elapsed().as_micros() as i64;
            let (mut over, mut again) = (Vec::new(), Vec::new());
            for (carried, mut job) in carried {
                match carried {
                    Carried::Over => over.push(job.key()),
                    Carried::Again { progress, after } => {
                        job.due_at = Time(now(&job) + after.as_micros() as i64);
                        job.progress = progress;
                        again.push(job);
                    }
                }
            }
            let mut tx = db.begin().await?;
            forget(&mut tx, &over).await?;
            if !again.is_empty() {
                table::update(&mut tx, &again).await?;
            }
            tx.commit().await?;
            Ok(true)
        }
    }
}

/// Removes jobs that there is nothing left to do for.
pub(crate) async fn forget(tx: &mut Tx, keys: &[<Job as Keyed>::Key]) -> Result<(), Error> {
    static FORGET: LazyLock<Sql> = LazyLock::new(|| {
        let Statements { name, key, .. } = Job::statements();
        Sql::delete(name, &["tenant_id", "kind", "job_key"], key)
    });
    if keys.is_empty() {
        return Ok(());
    }
    let Statements { name, key, .. } = Job::statements();
    tx.change(name, &FORGET, Args::rows(key, keys.iter().map(Job::key_cells).collect()), None).await
}

/// Puts in the duties of today in every tenant. It jumps from tenant to tenant by the key of what they keep.
async fn put_todays(db: &Db) -> Result<(), Error> {
    static TENANTS: LazyLock<[Sql; 2]> = LazyLock::new(|| ["idempotency", "watch_log"].map(tenants_of));
    let mut jobs = BTreeMap::new();
    for tenants in &*TENANTS {
        for row in &db.read(tenants, Args::none()).await? {
            let job = Job::retention(row.get(0)?, row.get(1)?);
            jobs.insert(job.key(), job);
        }
    }
    let jobs: Vec<_> = jobs.into_values().collect();
    if jobs.is_empty() { Ok(()) } else { put(db, &jobs).await }
}

fn tenants_of(table: &str) -> Sql {
    Sql::plain(&format!(
        "WITH RECURSIVE tenant (tenant_id) AS ( \
         SELECT (SELECT i.tenant_id FROM {table} AS i ORDER BY i.tenant_id LIMIT 1) UNION ALL \
         SELECT (SELECT i.tenant_id FROM {table} AS i WHERE i.tenant_id > tenant.tenant_id \
         ORDER BY i.tenant_id LIMIT 1) FROM tenant WHERE tenant.tenant_id IS NOT NULL) \
         SELECT tenant_id, {{now}} FROM tenant WHERE tenant_id IS NOT NULL"
    ))
}

/// Puts in jobs that are not there yet.
pub async fn put(db: &Db, jobs: &[Job]) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    table::insert_missing(&mut tx, jobs).await?;
    tx.commit().await
}

/// Claims the commands that are due, or, if there are none, does one step of what is kept only for a time; in both cases only what no
/// other process works on.
pub async fn step(db: &Db) -> Result<Step, Error> {
    // A kind that this version does not know waits for one that does.
    static DUE: LazyLock<String> = LazyLock::new(|| {
        let known: Vec<_> = JobKind::ALL.iter().map(|kind| kind.code().to_string()).collect();
        format!("t.done_at IS NULL AND t.due_at <= {{now}} AND t.kind IN ({})", known.join(", "))
    });
    static NEXT: LazyLock<[Sql; 2]> = LazyLock::new(|| {
        let (list, due, retention) = (&Job::statements().list, &*DUE, JobKind::Retention.code());
        ["<>", "="].map(|is| {
            let which = format!("{due} AND t.kind {is} {retention} ORDER BY t.due_at LIMIT {{1}} {{skip}}");
            Sql::plain(&format!("SELECT {list}, {{now}} FROM job AS t WHERE {which}"))
        })
    });
    static ANY: LazyLock<Sql> =
        LazyLock::new(|| Sql::plain(&format!("SELECT 1 FROM job AS t WHERE {} LIMIT 1", &*DUE)));
    // Most of the time there is nothing to do, and nothing is to be locked to find that out.
    if db.read(&ANY, Args::none()).await?.is_empty() {
        return Ok(Step::Idle);
    }
    let mut tx = db.begin().await?;
    let [commands, retention] = &*NEXT;
    let now = |row: &Row| row.get::<Time>(Job::statements().columns.len());
    let rows = tx.rows(commands, Args::none().with(&AT_ONCE)).await?;
    let mut jobs = rows.iter().map(Job::read).collect::<Result<Vec<_>, Error>>()?;
    if let Some(row) = rows.first() {
        let until = Time(now(row)?.0 + CLAIM);
        jobs.iter_mut().for_each(|job| (job.steps, job.due_at) = (job.steps + 1, until));
        table::update(&mut tx, &jobs).await?;
        tx.commit().await?;
        return Ok(Step::Claimed(jobs));
    }
    let rows = tx.rows(retention, Args::none().with(&1_i64)).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Ok(Step::Idle);
    };
    let (mut job, now) = (Job::read(row)?, now(row)?);
    job.steps += 1;
    match retain(&mut tx, &job, now).await? {
        Some(progress) => job.progress = progress,
        None => job.done_at = Some(now),
    }
    table::update(&mut tx, [&job]).await?;
    tx.commit().await?;
    Ok(Step::Done)
}

static WALK: LazyLock<Sql> = LazyLock::new(|| {
    Sql::plain(
        "SELECT t.principal, t.method, t.request_id FROM idempotency AS t WHERE t.tenant_id = {1} \
         AND (t.principal, t.method, t.request_id) > ({2}, {3}, {4}) ORDER BY t.principal, t.method, t.request_id LIMIT {5}",
    )
});

static FORGET_ANSWERS: LazyLock<Sql> = LazyLock::new(|| {
    Sql::plain(
        "DELETE FROM idempotency WHERE tenant_id = {1} AND (principal, method, request_id) > ({2}, {3}, {4}) \
         AND (principal, method, request_id) <= ({5}, {6}, {7}) AND answered_at < {8}",
    )
});

/// Where a walk through the answers stands: at this principal, method and request id.
type Place = (String, String, Uuid);

/// A retention that is through with the answers.
const CHANGES: &str = "changes";

/// Forgets what is old: first among the answers, then of the log of changes. None: nothing is left to do.
async fn retain(tx: &mut Tx, job: &Job, now: Time) -> Result<Option<String>, Error> {
    if job.progress != CHANGES
        && let Some(progress) = forget_answers(tx, job, now).await?
    {
        return Ok(Some(progress));
    }
    let more = watch::forget(tx, job.tenant_id, Time(now.0 - CHANGES_KEPT), STEP).await?;
    Ok(more.then(|| CHANGES.to_owned()))
}

/// Forgets the old ones among the next answers by key, which needs no index of their age. None: these were the last.
async fn forget_answers(tx: &mut Tx, job: &Job, now: Time) -> Result<Option<String>, Error> {
    let from = place(&job.progress)?;
    let at = |args: Args, (principal, method, id): &Place| args.with(principal).with(method).with(id);
    let args = at(Args::none().with(&job.tenant_id), &from);
    let next = tx.rows(&WALK, args.clone().with(&STEP)).await?;
    let Some(last) = next.last() else { return Ok(None) };
    let last: Place = (last.get(0)?, last.get(1)?, last.get(2)?);
    let old = Time(now.0 - ANSWERS_KEPT);
    tx.execute(&FORGET_ANSWERS, at(args, &last).with(&old)).await?;
    let (principal, method, id) = &last;
    let progress = json!([principal, method, id.to_string()]).to_string();
    Ok((next.len() as i64 == STEP).then_some(progress))
}

fn place(progress: &str) -> Result<Place, Error> {
    if progress.is_empty() {
        return Ok((String::new(), String::new(), Uuid::nil()));
    }
    let (principal, method, id): (String, String, String) =
        serde_json::from_str(progress).map_err(|error| Error::Corrupt(format!("job.progress: {error}")))?;
    let id = Uuid::try_parse(&id).map_err(|error| Error::Corrupt(format!("job.progress: {error}")))?;
    Ok((principal, method, id))
}
