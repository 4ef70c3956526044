//! Timed duties: rows that are made once, however many processes ask for them, and worked on step by step. A step and the progress
//! it makes are one transaction under the lock of the job's row, so no step is done twice and none is lost.
//!
//! The one duty so far is retention: answers by request id are kept for seven days.

use crate::{
    db::{Db, Error, Row, Tx},
    sql::{Args, Sql},
    table,
    table::Table,
};
use crm_closeout::{codes, ids::TenantId, time::Time, working_set::Keyed};
use serde_json::json;
use std::{sync::LazyLock, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

codes! {
    /// Kind of a duty.
    pub enum JobKind {
        /// What is kept only for a time is removed, once a day in each tenant in which something happens.
        Retention = 1 "RETENTION",
    }
}

crate::part_code!(JobKind);

/// A duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose.
    pub tenant_id: TenantId,
    /// What.
    pub kind: JobKind,
    /// What makes it one of its kind, such as the day.
    pub job_key: String,
    /// From when on it is to be done.
    pub due_at: Time,
    /// How far it is, in the words of its kind; empty: not begun.
    pub progress: String,
    /// How many steps it took so far.
    pub steps: i64,
    /// When it was done.
    pub done_at: Option<Time>,
}

impl Keyed for Job {
    type Key = (TenantId, JobKind, String);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.kind, self.job_key.clone())
    }
}

table!(Job = "job", key |key| [tenant_id: TenantId = key.0, kind: JobKind = key.1, job_key: String = key.2], {
    tenant_id: TenantId, kind: JobKind, job_key: String, due_at: Time, progress: String, steps: i64, done_at: Option<Time>,
});

const DAY: i64 = 24 * 3_600 * 1_000_000;
/// How long answers by request id are kept, in microseconds: a copy of a request that comes later is a new one.
pub const ANSWERS_KEPT: i64 = 7 * DAY;
/// Rows that one step looks at.
pub const STEP: i64 = 2_000;
const LOOK: Duration = Duration::from_secs(3_600);
const POLL: Duration = Duration::from_secs(1);
/// Callers come first.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

impl Job {
    /// Retention in a tenant on the day of this moment, by UTC.
    pub fn retention(tenant_id: TenantId, now: Time) -> Self {
        let (kind, job_key) = (JobKind::Retention, format!("day-{}", now.0.div_euclid(DAY)));
        Self { tenant_id, kind, job_key, due_at: now, progress: String::new(), steps: 0, done_at: None }
    }
}

/// Works on duties until `stop`: puts in those of the day, then does what is due, a step at a time. Run it in a task of its own;
/// any number of processes may.
pub async fn work(db: Db, stop: CancellationToken) {
    let (mut hour, mut step_due) = (interval(LOOK), interval(POLL));
    step_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = hour.tick() => put_todays(&db).await,
            _ = step_due.tick() => match step(&db).await {
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

/// Puts in the duties of today in every tenant. It jumps from tenant to tenant by the key of what they keep.
async fn put_todays(db: &Db) -> Result<(), Error> {
    static TENANTS: LazyLock<Sql> = LazyLock::new(|| {
        Sql::plain(
            "WITH RECURSIVE tenant (tenant_id) AS ( \
             SELECT (SELECT i.tenant_id FROM idempotency AS i ORDER BY i.tenant_id LIMIT 1) UNION ALL \
             SELECT (SELECT i.tenant_id FROM idempotency AS i WHERE i.tenant_id > tenant.tenant_id \
             ORDER BY i.tenant_id LIMIT 1) FROM tenant WHERE tenant.tenant_id IS NOT NULL) \
             SELECT tenant_id, {now} FROM tenant WHERE tenant_id IS NOT NULL",
        )
    });
    let rows = db.read(&TENANTS, Args::none()).await?;
    let job = |row: &Row| Ok(Job::retention(row.get(0)?, row.get(1)?));
    let jobs = rows.iter().map(job).collect::<Result<Vec<_>, Error>>()?;
    if jobs.is_empty() { Ok(()) } else { put(db, &jobs).await }
}

/// Puts in jobs that are not there yet.
pub async fn put(db: &Db, jobs: &[Job]) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    table::insert_missing(&mut tx, jobs).await?;
    tx.commit().await
}

/// Does one step of the job that has been due longest, if there is one that no other process works on. Whether there was.
pub async fn step(db: &Db) -> Result<bool, Error> {
    static DUE: LazyLock<Sql> = LazyLock::new(|| {
        let list = &Job::statements().list;
        let due = "t.done_at IS NULL AND t.due_at <= {now} ORDER BY t.due_at LIMIT 1 {skip}";
        Sql::plain(&format!("SELECT {list}, {{now}} FROM job AS t WHERE {due}"))
    });
    static ANY: LazyLock<Sql> =
        LazyLock::new(|| Sql::plain("SELECT 1 FROM job AS t WHERE t.done_at IS NULL AND t.due_at <= {now} LIMIT 1"));
    // Most of the time there is nothing to do, and nothing is to be locked to find that out.
    if db.read(&ANY, Args::none()).await?.is_empty() {
        return Ok(false);
    }
    let mut tx = db.begin().await?;
    let rows = tx.rows(&DUE, Args::none()).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Ok(false);
    };
    let (mut job, now) = (Job::read(row)?, row.get::<Time>(Job::statements().columns.len())?);
    let progress = match job.kind {
        JobKind::Retention => retain(&mut tx, &job, now).await?,
    };
    job.steps += 1;
    match progress {
        Some(progress) => job.progress = progress,
        None => job.done_at = Some(now),
    }
    table::update(&mut tx, [&job]).await?;
    tx.commit().await?;
    Ok(true)
}

static WALK: LazyLock<Sql> = LazyLock::new(|| {
    Sql::plain(
        "SELECT t.principal, t.method, t.request_id FROM idempotency AS t WHERE t.tenant_id = {1} \
         AND (t.principal, t.method, t.request_id) > ({2}, {3}, {4}) ORDER BY t.principal, t.method, t.request_id LIMIT {5}",
    )
});

static FORGET: LazyLock<Sql> = LazyLock::new(|| {
    Sql::plain(
        "DELETE FROM idempotency WHERE tenant_id = {1} AND (principal, method, request_id) > ({2}, {3}, {4}) \
         AND (principal, method, request_id) <= ({5}, {6}, {7}) AND answered_at < {8}",
    )
});

/// Where a walk through the answers stands: at this principal, method and request id.
type Place = (String, String, Uuid);

/// Forgets the old ones among the next answers by key, which needs no index of their age. None: these were the last.
async fn retain(tx: &mut Tx, job: &Job, now: Time) -> Result<Option<String>, Error> {
    let from = place(&job.progress)?;
    let at = |args: Args, (principal, method, id): &Place| args.with(principal).with(method).with(id);
    let args = at(Args::none().with(&job.tenant_id), &from);
    let next = tx.rows(&WALK, args.clone().with(&STEP)).await?;
    let Some(last) = next.last() else { return Ok(None) };
    let last: Place = (last.get(0)?, last.get(1)?, last.get(2)?);
    let old = Time(now.0 - ANSWERS_KEPT);
    tx.execute(&FORGET, at(args, &last).with(&old)).await?;
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
