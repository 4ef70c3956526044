//! What one statement tells better than a walk through rows: requests that were carried out twice or forgotten, and what the
//! database itself says of its sessions.

use crm_outbox::{
    db::{Db, Error, Row, Tx},
    job::ANSWERS_KEPT,
    sql::{Args, Sql},
    table::Table,
};
use uuid::Uuid;

const DOUBLED: &str = "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
    WHERE a.request_id IS NOT NULL GROUP BY a.tenant_id, a.actor, a.method, a.request_id, a.resource \
    HAVING count(*) > 1 LIMIT 100";
const MADE_TWICE: &str = "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
    WHERE a.request_id IS NOT NULL AND a.version_before = 0 GROUP BY a.tenant_id, a.actor, a.method, a.request_id \
    HAVING count(*) > 1 AND count(DISTINCT a.resource) > 1 LIMIT 100";
/// Requests with two effects of one kind.
pub(crate) async fn done_twice(tx: &mut Tx) -> Result<Vec<String>, Error> {
    let mut all = texts(tx, DOUBLED).await?;
    all.extend(texts(tx, MADE_TWICE).await?);
    Ok(all)
}

/// Requests with an effect and without a row that keeps their answer, of the time for which answers are kept.
pub(crate) async fn unanswered(tx: &mut Tx) -> Result<Vec<String>, Error> {
    let query = format!(
        "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
         WHERE a.request_id IS NOT NULL AND a.audited_at > {{now}} - {ANSWERS_KEPT} AND NOT EXISTS ( \
         SELECT 1 FROM idempotency AS i WHERE i.tenant_id = a.tenant_id AND i.principal = a.actor \
         AND i.method = a.method AND i.request_id = a.request_id) \
         GROUP BY a.tenant_id, a.actor, a.method, a.request_id LIMIT 100"
    );
    texts(tx, &query).await
}

/// Subjects that lists by state would miss, and how many they would look at in vain: the table of states is not what the subjects say.
pub(crate) async fn misplaced<R: Table>(tx: &mut Tx) -> Result<Vec<String>, Error> {
    let (name, key) = (R::statements().name, &R::statements().key);
    let id = key.last().map_or("", |column| column.name.as_str());
    let missed = format!(
        "SELECT t.{id} FROM {name} AS t WHERE NOT EXISTS (SELECT 1 FROM subject_in_state AS s \
         WHERE s.tenant_id = t.tenant_id AND s.state = t.state AND s.subject_id = t.{id}) LIMIT 100"
    );
    let text = |row: &Row| Ok(format!("no list by state shows {name} {}", row.get::<Uuid>(0)?));
    let missed =
        tx.rows(&Sql::plain(&missed), Args::none()).await?.iter().map(text).collect::<Result<Vec<_>, Error>>()?;
    let counts = format!("SELECT (SELECT count(*) FROM subject_in_state), (SELECT count(*) FROM {name})");
    let rows = tx.rows(&Sql::plain(&counts), Args::none()).await?;
    let surplus = rows.first().map_or(Ok(0), |row| Ok::<i64, Error>(row.get::<i64>(0)? - row.get::<i64>(1)?))?;
    let surplus = (surplus > 0).then(|| format!("{surplus} row(s) say of {name} what is not so"));
    Ok(missed.into_iter().chain(surplus).collect())
}

/// Duties that have been due for over a minute and are not done.
pub(crate) async fn unfinished(tx: &mut Tx) -> Result<Vec<String>, Error> {
    const UNFINISHED: &str = "SELECT j.job_key, j.steps FROM job AS j WHERE j.done_at IS NULL \
        AND j.due_at < {now} - 60000000 LIMIT 100";
    let rows = tx.rows(&Sql::plain(UNFINISHED), Args::none()).await?;
    let text = |row: &Row| {
        let (key, steps): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(format!("duty {key} is not done after {steps} step(s)"))
    };
    rows.iter().map(text).collect()
}

/// What keeps others from working although nothing is being done; always nothing on the embedded database.
pub(crate) async fn sessions(db: &Db) -> Result<Vec<String>, Error> {
    const IDLE: &str = "SELECT 'session ' || a.pid || ' is idle in a transaction: ' || left(a.query, 200) \
        FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.state LIKE 'idle in transaction%' \
        AND a.state_change < clock_timestamp() - interval '1 second'";
    const WAITING: &str = "SELECT 'session ' || l.pid || ' waits for a lock: ' || left(a.query, 200) \
        FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE NOT l.granted \
        AND a.datname = current_database() AND l.waitstart < clock_timestamp() - interval '1 second'";
    if db.is_embedded() {
        return Ok(Vec::new());
    }
    let mut rows = db.read(&Sql::plain(IDLE), Args::none()).await?;
    rows.extend(db.read(&Sql::plain(WAITING), Args::none()).await?);
    rows.iter().map(|row| row.get(0)).collect()
}

async fn texts(tx: &mut Tx, query: &str) -> Result<Vec<String>, Error> {
    let rows = tx.rows(&Sql::plain(query), Args::none()).await?;
    let text = |row: &Row| {
        let (method, id, actor): (String, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (resource, count): (String, i64) = (row.get(3)?, row.get(4)?);
        Ok(format!("{method} {id} of {actor}: {count} audit row(s), such as one of {resource}"))
    };
    rows.iter().map(text).collect()
}
