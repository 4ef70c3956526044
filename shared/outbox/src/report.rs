//! Reports: close-outs of a tenant in some time, counted by the database. One statement, which goes through the index of the time.

use crate::{
    cell::{Column, Kind},
    cells,
    db::{Db, Error},
    sql::{Args, Sql, columns},
};
use crm_closeout::{
    access::Reach,
    episode::Outcome,
    ids::{GroupId, TenantId},
    money::Currency,
    report::{Counted, Dimension},
    time::Time,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::LazyLock,
};

/// The teams of a list, each as a row.
const POSTGRES: &str = "jsonb_array_elements_text({7}::jsonb)";
const SQLITE: &str = "json_each({7})";

/// Counts what was closed out with this outcome within this time, of whom the reach says, as owner and team were at the close; and
/// adds up what it was worth in this currency, as it is or by the rate it keeps.
pub async fn count(
    db: &Db,
    tenant: TenantId,
    dimension: Dimension,
    outcome: Outcome,
    closed: Range<Time>,
    reach: &Reach,
    currency: Option<Currency>,
) -> Result<Vec<Counted>, Error> {
    let currency = currency.map_or_else(String::new, |currency| currency.to_string());
    let mut args = Args::none().with(&tenant).with(&closed.start).with(&closed.end).with(&outcome).with(&currency);
    if let Reach::Of { owner, teams } = reach {
        args = args.with(owner).with(&json!(teams).to_string());
    }
    let rows = db.read(&statement(dimension, reach), args).await?;
    let counted = rows.iter().map(|row| {
        Ok(Counted {
            value: row.get(0)?,
            state: row.get(1)?,
            currency: row.get(2)?,
            count: row.get(3)?,
            verified: row.get(4)?,
            minor: row.get(5)?,
            converted: row.get(6)?,
            tenant_minor: row.get(7)?,
        })
    });
    counted.collect()
}

/// What the customers of these groups are called, as far as their close-outs are here.
pub async fn customers(
    db: &Db,
    tenant: TenantId,
    groups: &BTreeSet<GroupId>,
) -> Result<BTreeMap<GroupId, String>, Error> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| columns([("tenant_id", Kind::Uuid), ("group_id", Kind::Uuid)]));
    static CUSTOMERS: LazyLock<Sql> = LazyLock::new(|| {
        let customer = "SELECT t.customer_id FROM close_out AS t WHERE t.tenant_id = r.tenant_id AND t.group_id = r.group_id \
                        AND t.group_id IS NOT NULL LIMIT 1";
        let on = format!("c.tenant_id = r.tenant_id AND c.customer_id = ({customer})");
        Sql::new(
            &format!("SELECT r.group_id, c.display_name FROM {{rows}} CROSS JOIN customer AS c WHERE {on}"),
            &COLUMNS,
        )
    });
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sets = groups.iter().map(|group| cells![tenant, *group]).collect();
    let rows = db.read(&CUSTOMERS, Args::rows(&COLUMNS, sets)).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

fn statement(dimension: Dimension, reach: &Reach) -> Sql {
    let text = |of_snapshot: fn(&str) -> String, verified: &str, id: fn(&str) -> String, teams: &str| {
        let within = match reach {
            Reach::Everybody => String::new(),
            Reach::Of { .. } => {
                let (owner, team) = (of_snapshot("owner"), of_snapshot("team"));
                format!(" AND ({owner} = {{6}} OR ({team} <> '' AND {team} IN (SELECT value FROM {teams})))")
            }
        };
        let value = match dimension {
            Dimension::Reason | Dimension::Category => "t.reason_code".to_owned(),
            Dimension::OutcomeClass => "coalesce(CAST(t.class AS TEXT), '')".to_owned(),
            Dimension::Owner => of_snapshot("owner"),
            Dimension::Team => of_snapshot("team"),
            Dimension::Competitor => id("t.competitor_id"),
            Dimension::Group => id("t.group_id"),
        };
        let (kept, minor) = (of_snapshot("tenant_currency"), of_snapshot("tenant_minor"));
        let worth = |own: &str, kept_minor: &str| {
            // Where the tenant has none, no snapshot is taken apart for it.
            format!(
                "CASE WHEN {{5}} = '' THEN NULL WHEN t.amount_currency = {{5}} THEN {own} WHEN {kept} = {{5}} THEN {kept_minor} END"
            )
        };
        let (count, sum) = (worth("1", "1"), worth("t.amount_minor", &format!("CAST({minor} AS BIGINT)")));
        format!(
            "SELECT {value} AS value, t.state, t.amount_currency, count(*), count({verified}), \
             CAST(sum(t.amount_minor) AS BIGINT), count({count}), \
             CAST(coalesce(sum({sum}), 0) AS BIGINT) FROM close_out AS t WHERE t.tenant_id = {{1}} AND t.closed_at >= {{2}} \
             AND t.closed_at < {{3}} AND t.outcome = {{4}} AND t.state IN (1, 2){within} GROUP BY 1, t.state, t.amount_currency"
        )
    };
    let postgres = text(
        |key| format!("t.snapshot::jsonb ->> '{key}'"),
        "t.remarks::jsonb -> 'verification'",
        |id| format!("coalesce(CAST({id} AS TEXT), '')"),
        POSTGRES,
    );
    let sqlite =
        text(|key| format!("t.snapshot ->> '{key}'"), "t.remarks -> 'verification'", |id| format!("hex({id})"), SQLITE);
    Sql::each(&postgres, &sqlite, &[])
}
