//! What both services show of what a tenant has decided.

use crate::{convert, failure};
use crm_closeout::{
    codes::{Record, RecordKind},
    ids::TenantId,
    refusal,
    settings::{self, Entry, Told},
    time::Time,
};
use crm_outbox::{db::Db, settings as table, wire};
use crm_proto::common;
use tonic::Status;

/// Reads the settings of a tenant.
pub async fn get(db: &Db, tenant: TenantId) -> Result<common::Settings, Status> {
    let entry = table::read(db, tenant).await.map_err(|e| failure::database(&e))?;
    Ok(entry.map_or_else(|| show(tenant, &Told::DEFAULT, None), |entry| shown(&entry)))
}

/// A tenant's row as the API shows it.
pub fn shown(entry: &Entry) -> common::Settings {
    show(entry.tenant_id, &entry.told, Some(entry.updated_at))
}

fn show(tenant: TenantId, told: &Told, updated_at: Option<Time>) -> common::Settings {
    let lane = updated_at.map(|_| Record::new(RecordKind::Settings, settings::lane(tenant)).to_string());
    common::Settings {
        name: settings::COLLECTION.to_owned(),
        update_time: updated_at.map(convert::time),
        etag: refusal::etag(told.revision),
        lane: lane.unwrap_or_default(),
        ..wire::settings(&told.settings)
    }
}
