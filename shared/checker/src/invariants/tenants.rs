//! Tenants are worlds of their own.

use super::Found;
use crate::picture::Picture;
use crm_closeout::ids::TenantId;
use std::collections::HashMap;
use uuid::Uuid;

/// I14, at any instant: a row that joins two tenants, or an id that is in two of them; an answer that names another tenant's id.
/// Ids are unique, so whose an id is follows from the row that it is the key of.
pub(super) fn keep_apart(picture: &Picture, found: &mut Found) {
    let mut owners: HashMap<Uuid, TenantId> = HashMap::new();
    for (side, _) in picture.sides() {
        let things = side.versions.keys().map(|(tenant, thing)| (*tenant, thing.id()));
        for (tenant, id) in things.chain(side.close_outs.keys().map(|(tenant, id)| (*tenant, id.0))) {
            let owner = *owners.entry(id).or_insert(tenant);
            found.expect(owner == tenant, || format!("{}: {id} is of tenant {owner} and of {tenant}", side.name));
        }
    }
    let is_foreign = |tenant: TenantId, id: Uuid| owners.get(&id).is_some_and(|owner| *owner != tenant);
    for (side, _) in picture.sides() {
        for (tenant, id, what) in &side.names {
            found.expect(!is_foreign(*tenant, *id), || {
                format!("{}: {what} of tenant {tenant} names {id} of another tenant", side.name)
            });
        }
        for (tenant, thing) in side.trails.steps.keys() {
            found.expect(!is_foreign(*tenant, thing.id()), || {
                format!("{}: the audit trail of tenant {tenant} names {thing} of another tenant", side.name)
            });
        }
    }
    let done = picture.told.done().map(|done| (done.attempt.request.tenant, done.resource));
    for (tenant, resource) in done.chain(picture.told.seen.iter().map(|seen| (seen.tenant, &*seen.resource))) {
        let id = resource.rsplit('/').next().and_then(|id| id.parse().ok());
        found.expect(!id.is_some_and(|id| is_foreign(tenant, id)), || {
            format!("tenant {tenant} was shown {resource} of another tenant")
        });
    }
}
