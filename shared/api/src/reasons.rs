//! What both services do about reasons for close-outs: they list and read them, and tell a caller whose request is refused anyway
//! what is wrong with its reason, too.

use crate::{convert, failure, fields::Fields};
use crm_closeout::{
    ids::TenantId,
    reason::{self, BUILT_IN, Catalogue, Edition, Entry, Given, Listed, ReasonScope},
    refusal::Violation,
    settings::{Settings, VerificationPolicy},
    wording,
    working_set::Rows,
};
use crm_outbox::{
    db::{Db, Error},
    reasons, settings,
};
use crm_proto::common;
use tonic::Status;

/// A version that must not be negative; 0: the current one.
pub fn version(fields: &mut Fields, version: i64) -> i64 {
    if version < 0 {
        fields.refuse("version", &wording::NEGATIVE, &[]);
    }
    version
}

/// Lists the reasons of a tenant, scope by scope, in order.
pub async fn list(
    db: &Db,
    tenant: TenantId,
    scope: Option<ReasonScope>,
    show_inactive: bool,
    locale: &str,
) -> Result<Vec<common::CloseOutReason>, Status> {
    let own = own(db, tenant).await?;
    let all = Catalogue::of(tenant, &own).all();
    let wanted =
        |listed: &&&Listed| (show_inactive || listed.active) && scope.is_none_or(|scope| listed.reason.scope == scope);
    Ok(all.iter().filter(wanted).map(|listed| convert::reason(listed, locale)).collect())
}

/// Reads one; `version` 0: its current version.
pub async fn get(
    db: &Db,
    tenant: TenantId,
    code: &str,
    version: i64,
    locale: &str,
) -> Result<common::CloseOutReason, Status> {
    let found = find(db, tenant, code, version).await;
    failure::found(found, reason::name(code)).map(|listed| convert::reason(&listed, locale))
}

async fn find(db: &Db, tenant: TenantId, code: &str, version: i64) -> Result<Option<Listed>, Error> {
    let built_in = BUILT_IN.iter().find(|listed| listed.reason.code == code).cloned();
    let own = db.get::<Entry>(&(tenant, code.to_owned())).await?.map(|entry| entry.listed);
    let Some(current) = own.or_else(|| built_in.clone()) else { return Ok(None) };
    if [0, current.reason.version].contains(&version) {
        return Ok(Some(current));
    }
    let edition = db.get::<Edition>(&(tenant, code.to_owned(), version)).await?.map(|edition| edition.reason);
    let edition = edition.or_else(|| built_in.map(|listed| listed.reason).filter(|first| first.version == version));
    Ok(edition.map(|reason| Listed { reason, ..current }))
}

/// Adds what is wrong with the reason of a close-out whose request has wrong fields already, so that its caller hears of
/// everything at once. A good request is checked when it is decided, by the catalogue of that moment.
pub async fn complain(
    db: &Db,
    tenant: TenantId,
    fields: &mut Fields,
    scope: ReasonScope,
    given: &Given<'_>,
) -> Result<(), Status> {
    if fields.are_refused() {
        fields.extend(Box::pin(Rules::of(db, tenant)).await?.violations(scope, given));
    }
    Ok(())
}

/// What a tenant asks of a close-out.
pub(crate) struct Rules {
    tenant: TenantId,
    own: Rows<Entry>,
    policy: VerificationPolicy,
}

impl Rules {
    /// Those of a tenant as they stand.
    pub(crate) async fn of(db: &Db, tenant: TenantId) -> Result<Self, Status> {
        let own = own(db, tenant).await?;
        let decided = settings::read(db, tenant).await.map_err(|e| failure::database(&e))?;
        let settings = decided.map_or(Settings::DEFAULT, |entry| entry.told.settings);
        Ok(Self { tenant, own, policy: settings.verification })
    }

    /// What is wrong with the reason of a close-out and what it requires.
    pub(crate) fn violations(&self, scope: ReasonScope, given: &Given<'_>) -> Vec<Violation> {
        Catalogue::of(self.tenant, &self.own).judge(scope, given, self.policy).err().unwrap_or_default()
    }
}

/// The reasons of a tenant's own.
pub(crate) async fn own(db: &Db, tenant: TenantId) -> Result<Rows<Entry>, Status> {
    reasons::all(db, tenant).await.map_err(|e| failure::database(&e))
}
