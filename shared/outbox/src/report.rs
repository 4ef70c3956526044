//! Reports: close-outs of a tenant in some time, counted by the database. One statement, which goes through the index of the time.

use crate::{
    db::{Db, Error},
    sql::{Args, Sql},
};
use crm_closeout::{
    episode::Outcome,
    ids::TenantId,
    report::{Counted, Dimension},
    time::Time,
};
use std::ops::Range;

/// Counts what was closed out with this outcome within this time.
pub async fn count(
    db: &Db,
    tenant: TenantId,
    dimension: Dimension,
    outcome: Outcome,
    closed: Range<Time>,
) -> Result<Vec<Counted>, Error> {
    let args = Args::none().with(&tenant).with(&closed.start).with(&closed.end).with(&outcome);
    let rows = db.read(&statement(dimension), args).await?;
    let counted = rows.iter().map(|row| {
        Ok(Counted {
            value: row.get(0)?,
            state: row.get(1)?,
            currency: row.get(2)?,
            count: row.get(3)?,
            verified: row.get(4)?,
            minor: row.get(5)?,
        })
    });
    counted.collect()
}

fn statement(dimension: Dimension) -> Sql {
    let text = |of_snapshot: fn(&str) -> String, verified: &str, competitor: &str| {
        let value = match dimension {
            Dimension::Reason | Dimension::Category => "t.reason_code".to_owned(),
            Dimension::OutcomeClass => "coalesce(CAST(t.class AS TEXT), '')".to_owned(),
            Dimension::Owner => of_snapshot("owner"),
            Dimension::Team => of_snapshot("team"),
            Dimension::Competitor => competitor.to_owned(),
        };
        format!(
            "SELECT {value} AS value, t.state, t.amount_currency, count(*), count({verified}), \
             CAST(sum(t.amount_minor) AS BIGINT) FROM close_out AS t WHERE t.tenant_id = {{1}} AND t.closed_at >= {{2}} \
             AND t.closed_at < {{3}} AND t.outcome = {{4}} AND t.state IN (1, 2) GROUP BY 1, t.state, t.amount_currency"
        )
    };
    let competitor = "coalesce(CAST(t.competitor_id AS TEXT), '')";
    let postgres =
        text(|key| format!("t.snapshot::jsonb ->> '{key}'"), "t.remarks::jsonb -> 'verification'", competitor);
    let sqlite = text(|key| format!("t.snapshot ->> '{key}'"), "t.remarks -> 'verification'", "hex(t.competitor_id)");
    Sql::each(&postgres, &sqlite, &[])
}
