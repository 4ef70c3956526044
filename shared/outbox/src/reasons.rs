//! The reasons of the tenants' own: their two tables, what a batch loads of them, and what the API reads. Which of them may be
//! used for what is decided in [`crm_closeout::reason`].

use crate::{
    cell::{Cells, Column, JsonText, Kind, Part},
    cells,
    db::{Db, Error, Row, Tx},
    part_code, part_json,
    sql::{Args, Sql, columns},
    table,
    table::Table,
};
use crm_closeout::{
    episode::OutcomeClass,
    ids::TenantId,
    reason::{Catalogue, Edition, Entry, Given, Listed, Reason, ReasonScope, VerificationRule},
    settings,
    time::Time,
    working_set::{Common, Rows},
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

part_code!(ReasonScope, VerificationRule);
part_json!(BTreeMap<String, String>);

impl JsonText for BTreeMap<String, String> {
    fn to_json(&self) -> Value {
        Value::Object(self.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect())
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |(key, text): (&String, &Value)| Some((key.clone(), text.as_str()?.to_owned()));
        value.as_object()?.iter().map(text).collect()
    }
}

/// Implements [`Part`] for a type that fills the columns of its fields, whatever it is called itself.
macro_rules! part_of_fields {
    ($type:ty, $first:ident: $first_type:ty, { $($field:ident: $field_type:ty = $column:literal),+ $(,)? }) => {
        impl Part for $type {
            fn columns(_: &str) -> Vec<Column> {
                let mut columns = <$first_type as Part>::columns(stringify!($first));
                $(columns.extend(<$field_type as Part>::columns($column));)+
                columns
            }

            fn write(value: Option<&Self>, cells: &mut Cells) {
                Part::write(value.map(|value| &value.$first), cells);
                $(Part::write(value.map(|value| &value.$field), cells);)+
            }

            fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
                let $first = <$first_type as Part>::read(row, at)?;
                $(let $field = <$field_type as Part>::read(row, at)?
                    .ok_or_else(|| Error::Corrupt(concat!($column, " of a reason is NULL").into()))?;)+
                Ok($first.map(|$first| Self { $first, $($field),+ }))
            }
        }
    };
}

part_of_fields!(Reason, code: Cow<'static, str>, {
    version: i64 = "version", scope: ReasonScope = "scope", zh: Cow<'static, str> = "zh",
    en: Cow<'static, str> = "en", category: Cow<'static, str> = "category",
    class: Option<OutcomeClass> = "class", min_detail: i64 = "min_detail", needs_competitor: bool = "needs_competitor",
    win_back_days: i32 = "win_back_days", historical_only: bool = "historical_only",
    labels: BTreeMap<String, String> = "labels", verification: Option<VerificationRule> = "verification",
    verification_days: i32 = "verification_days",
});
part_of_fields!(Listed, reason: Reason, {
    active: bool = "active", position: i64 = "position", revision: i64 = "revision", lane: Option<Uuid> = "lane",
    merged_into: Option<String> = "merged_into",
});

table!(Entry = "reason", key |key| [tenant_id: TenantId = key.0, code: String = key.1], {
    tenant_id: TenantId, listed: Listed, sent: i64, created_at: Time, updated_at: Time,
});

table!(
    Edition = "reason_version",
    key |key| [tenant_id: TenantId = key.0, code: String = key.1, version: i64 = key.2],
    { tenant_id: TenantId, reason: Reason, actor: String, made_at: Time }
);

static TENANTS: LazyLock<Vec<Column>> = LazyLock::new(|| columns([("tenant_id", Kind::Uuid)]));

const OF_TENANT: &str = "t.tenant_id = r.tenant_id";

/// Every row of these tenants; there are at most some hundred in each.
static WHOLE: LazyLock<Sql> =
    LazyLock::new(|| Sql::look_up(&Entry::statements().list, "reason", OF_TENANT, "", &TENANTS));

/// Locks and loads the whole catalogues of these tenants, which are to be changed.
pub async fn lock(tx: &mut Tx, tenants: &BTreeSet<TenantId>) -> Result<Rows<Entry>, Error> {
    static LOCK: LazyLock<Sql> = LazyLock::new(|| {
        Sql::lock(&Entry::statements().list, "reason", &format!("{OF_TENANT} ORDER BY t.code"), &TENANTS)
    });
    rows_of(tx, &LOCK, tenants).await
}

async fn rows_of(tx: &mut Tx, sql: &Sql, tenants: &BTreeSet<TenantId>) -> Result<Rows<Entry>, Error> {
    let keys = tenants.iter().map(|tenant| cells![*tenant]).collect();
    let rows = tx.look_up(sql, &TENANTS, keys).await?;
    Ok(Rows::loaded(rows.iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?))
}

/// A reason of a tenant, and what that tenant has decided.
static DECIDED: LazyLock<Sql> = LazyLock::new(|| {
    let reason = &Entry::statements().list;
    let settings = settings::Entry::statements().list.replace("t.", "s.");
    let (of_reason, of_settings) = ("t.tenant_id = r.tenant_id AND t.code = r.code", "s.tenant_id = r.tenant_id");
    Sql::each(
        &format!(
            "SELECT {reason}, {settings} FROM {{rows}} \
             LEFT JOIN LATERAL (SELECT t.* FROM reason AS t WHERE {of_reason} OFFSET 0) AS t ON true \
             LEFT JOIN LATERAL (SELECT s.* FROM settings AS s WHERE {of_settings} OFFSET 0) AS s ON true"
        ),
        &format!(
            "SELECT {reason}, {settings} FROM {{rows}} LEFT JOIN reason AS t ON {of_reason} \
             LEFT JOIN settings AS s ON {of_settings}"
        ),
        &Entry::statements().key,
    )
});

/// What a close-out gives as its reason.
pub type Asked<'a> = (TenantId, ReasonScope, Given<'a>);

/// Adds the rows of the reasons that close-outs `asked` for or facts `told` of, and in the same statement what their tenants have
/// decided; then what the other ones of these tenants have `decided`. What is `locked` is known. Where a reason can not be used, all rows of its tenant, as the
/// refusal lists those that can.
pub async fn load(
    tx: &mut Tx,
    common: &mut Common,
    (mut decided, locked): (BTreeSet<TenantId>, &BTreeSet<TenantId>),
    told: BTreeSet<(TenantId, String)>,
    asked: &[Asked<'_>],
) -> Result<(), Error> {
    let codes = |asked: &Asked<'_>| {
        let (tenant, given) = (asked.0, asked.2);
        let names = std::iter::once(given.reason).chain(given.secondary.iter().map(String::as_str));
        names.filter_map(crm_closeout::reason::code_of).map(|code| (tenant, code.to_owned())).collect::<Vec<_>>()
    };
    let mut keys = told;
    keys.extend(asked.iter().flat_map(codes));
    let known: BTreeSet<_> = keys.iter().map(|(tenant, _)| *tenant).chain(locked.iter().copied()).collect();
    decided.retain(|tenant| !known.contains(tenant));
    let keys = keys.iter().map(Entry::key_cells).collect();
    let of_settings = Entry::statements().columns.len();
    for row in tx.look_up(&DECIDED, &Entry::statements().key, keys).await? {
        if row.get::<Option<TenantId>>(0)?.is_some() {
            common.reasons.add_loaded(Entry::read(&row)?);
        }
        if row.get::<Option<TenantId>>(of_settings)?.is_some_and(|tenant| !locked.contains(&tenant)) {
            common.settings.add_loaded(settings::Entry::read_at(&row, of_settings)?);
        }
    }
    crate::settings::load(tx, &mut common.settings, &decided).await?;
    let own = &mut common.reasons;
    let refused = |asked: &&Asked<'_>| Catalogue::of(asked.0, own).check(asked.1, &asked.2).is_err();
    let refused: BTreeSet<_> = asked.iter().filter(refused).map(|asked| asked.0).collect();
    let rows = rows_of(tx, &WHOLE, &refused).await?;
    rows.iter().for_each(|entry| own.add_loaded(entry.clone()));
    Ok(())
}

/// Reads all rows of a tenant.
pub async fn all(db: &Db, tenant: TenantId) -> Result<Rows<Entry>, Error> {
    Ok(Rows::loaded(db.read_table(&WHOLE, Args::rows(&TENANTS, vec![cells![tenant]])).await?))
}
