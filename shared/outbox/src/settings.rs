//! What the tenants have decided: the table, what a batch loads of it, and what the API reads.

use crate::{
    cell::{Cells, Column, JsonText, Part},
    db::{Db, Error, Row, Tx},
    part_json, table,
    tables::int,
};
use crm_closeout::{
    access::OwnRoles,
    approval::ApprovalPolicy,
    fact::WonPolicy,
    ids::TenantId,
    money::Currency,
    settings::{Entry, Settings, Told, VerificationPolicy},
    time::Time,
    working_set::Rows,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

part_json!(Settings);

impl JsonText for Settings {
    fn to_json(&self) -> Value {
        let VerificationPolicy { required, fresh_days } = self.verification;
        let verification = json!({ "required": required, "fresh_days": fresh_days });
        let ApprovalPolicy { over, expire_days } = &self.approval;
        let over: BTreeMap<_, _> = over.iter().map(|(currency, minor)| (currency.to_string(), *minor)).collect();
        let approval = json!({ "over": over, "expire_days": expire_days });
        let won_policy = self.won_policy.word();
        let currency = self.currency.map(|currency| currency.to_string());
        json!({
            "verification": verification, "won_policy": won_policy, "approval": approval, "roles": self.roles, "currency": currency,
        })
    }

    /// What is not there was decided by nobody when it was written.
    fn from_json(value: &Value) -> Option<Self> {
        let verification = match value.get("verification") {
            Some(value) => VerificationPolicy {
                required: value["required"].as_bool()?,
                fresh_days: int(value, "fresh_days")?.try_into().ok()?,
            },
            None => Self::DEFAULT.verification,
        };
        let won_policy = match value.get("won_policy") {
            Some(word) => *WonPolicy::ALL.iter().find(|policy| word == policy.word())?,
            None => Self::DEFAULT.won_policy,
        };
        let approval = match value.get("approval") {
            Some(value) => approval(value)?,
            None => ApprovalPolicy::DEFAULT,
        };
        let roles = match value.get("roles") {
            Some(value) => value.as_object()?.iter().map(role).collect::<Option<_>>()?,
            None => OwnRoles::new(),
        };
        let currency = match value.get("currency").and_then(Value::as_str) {
            Some(code) => Some(Currency::parse(code)?),
            None => None,
        };
        Some(Self { verification, won_policy, approval, roles, currency })
    }
}

fn role((name, grants): (&String, &Value)) -> Option<(String, Vec<String>)> {
    let grants = grants.as_array()?.iter().map(|grant| grant.as_str().map(str::to_owned));
    Some((name.clone(), grants.collect::<Option<_>>()?))
}

fn approval(value: &Value) -> Option<ApprovalPolicy> {
    let limit = |(currency, minor): (&String, &Value)| Some((Currency::parse(currency)?, minor.as_i64()?));
    let over = value["over"].as_object()?.iter().map(limit).collect::<Option<_>>()?;
    Some(ApprovalPolicy { over, expire_days: int(value, "expire_days")?.try_into().ok()? })
}

impl Part for Told {
    fn columns(_: &str) -> Vec<Column> {
        [Settings::columns("decided"), i64::columns("revision")].concat()
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|told| &told.settings), cells);
        Part::write(value.map(|told| &told.revision), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let (settings, revision) = (Settings::read(row, at)?, i64::read(row, at)?);
        Ok(settings.zip(revision).map(|(settings, revision)| Self { settings, revision }))
    }
}

table!(Entry = "settings", key |key| [tenant_id: TenantId = *key], {
    tenant_id: TenantId, told: Told, sent: i64, updated_at: Time,
});

/// Locks and loads what these tenants have decided, which is to be changed.
pub async fn lock(tx: &mut Tx, changed: &BTreeSet<TenantId>) -> Result<Rows<Entry>, Error> {
    table::lock(tx, &changed.iter().copied().collect::<Vec<_>>()).await
}

/// Adds what these tenants have decided, where it is not known yet.
pub(crate) async fn load(tx: &mut Tx, rows: &mut Rows<Entry>, read: &BTreeSet<TenantId>) -> Result<(), Error> {
    let unknown: Vec<_> = read.iter().copied().filter(|tenant| rows.get(tenant).is_none()).collect();
    table::load::<Entry>(tx, &unknown).await?.iter().for_each(|entry| rows.add_loaded(entry.clone()));
    Ok(())
}

/// Reads what a tenant has decided.
pub async fn read(db: &Db, tenant: TenantId) -> Result<Option<Entry>, Error> {
    db.get::<Entry>(&tenant).await
}
