//! Waits until nothing is on its way between the services.

use crate::Error;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A message can cause one on the other side, at most so often in a row: an outbox that was seen empty may fill once more for
/// each.
const ROUNDS: u32 = 3;

/// Waits until both outboxes are empty, at most `timeout`. Callers must have gone quiet before. A parked message, and what stands
/// behind it in its lane, is not waited for: nothing happens to it until an operator comes.
pub async fn quiet(opportunity: &Db, order: &Db, timeout: Duration) -> Result<(), Error> {
    let until = Instant::now() + timeout;
    let (mut pause, mut empty) = (FIRST_PAUSE, 0);
    loop {
        let waiting = (count(opportunity).await?, count(order).await?);
        if waiting == (0, 0) {
            empty += 1;
            if empty > ROUNDS {
                return Ok(());
            }
            continue;
        }
        empty = 0;
        if Instant::now() >= until {
            return Err(Error::NotQuiet { opportunity: waiting.0, order: waiting.1 });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const ON_THEIR_WAY: &str = "SELECT count(*) FROM outbox AS o WHERE NOT o.parked AND NOT EXISTS ( \
    SELECT 1 FROM outbox AS p WHERE p.tenant_id = o.tenant_id AND p.record_kind = o.record_kind \
    AND p.record_id = o.record_id AND p.number < o.number AND p.parked)";

async fn count(db: &Db) -> Result<i64, Error> {
    let rows = db.read(&Sql::plain(ON_THEIR_WAY), Args::none()).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.get(0))?)
}
