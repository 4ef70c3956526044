//! A tenant's catalogue of reasons: the built-in ones, overlaid by rows of its own. A row is made when the tenant changes a
//! built-in reason or makes one, so a tenant that changes nothing has none.

use super::{BUILT_IN, Reason, ReasonScope, name};
use crate::{
    ids::TenantId,
    time::Time,
    working_set::{Keyed, Rows},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most reasons of one scope in a tenant.
pub const MOST: usize = 200;

/// A reason as it stands in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its current version.
    pub reason: Reason,
    /// New close-outs may use it.
    pub active: bool,
    /// Place in its scope.
    pub position: i64,
    /// Raised by one at each change, of whatever kind; its etag.
    pub revision: i64,
    /// Id of its lane of messages; none: a built-in reason of which nothing was sent.
    pub lane: Option<Uuid>,
    /// Code of the reason that took its place.
    pub merged_into: Option<String>,
}

impl Listed {
    /// ACTIVE or INACTIVE.
    pub fn state(&self) -> &'static str {
        match (&self.merged_into, self.active) {
            (Some(_), _) => "MERGED",
            (None, true) => "ACTIVE",
            (None, false) => "INACTIVE",
        }
    }
}

/// A tenant's own row for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub tenant_id: TenantId,
    /// The reason as it is now.
    pub listed: Listed,
    /// How many messages about it were sent; 0: it is a copy.
    pub sent: i64,
    /// When the row was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl Keyed for Entry {
    type Key = (TenantId, String);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.listed.reason.code.to_string())
    }
}

/// One version of a tenant's own reason, kept for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Whose.
    pub tenant_id: TenantId,
    /// The reason in this version.
    pub reason: Reason,
    /// Who made it.
    pub actor: String,
    /// When.
    pub made_at: Time,
}

impl Keyed for Edition {
    type Key = (TenantId, String, i64);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.reason.code.to_string(), self.reason.version)
    }
}

/// The reasons of one tenant, as far as its own rows are at hand.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue<'a> {
    tenant: TenantId,
    own: &'a Rows<Entry>,
}

impl<'a> Catalogue<'a> {
    /// The built-in reasons, overlaid by this tenant's rows among these.
    pub const fn of(tenant: TenantId, own: &'a Rows<Entry>) -> Self {
        Self { tenant, own }
    }

    /// The reason with this code.
    pub fn get(&self, code: &str) -> Option<&'a Listed> {
        let own = self.own.get(&(self.tenant, code.to_owned())).map(|entry| &entry.listed);
        own.or_else(|| BUILT_IN.iter().find(|listed| listed.reason.code == code))
    }

    /// Every reason, scope by scope, in order.
    pub fn all(&self) -> Vec<&'a Listed> {
        let mut all: BTreeMap<&str, &Listed> = BUILT_IN.iter().map(|listed| (&*listed.reason.code, listed)).collect();
        let own = self.own.iter().filter(|entry| entry.tenant_id == self.tenant);
        all.extend(own.map(|entry| (&*entry.listed.reason.code, &entry.listed)));
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_by_key(|listed| (listed.reason.scope, listed.position));
        all
    }

    /// Those of a scope, in order.
    pub fn of_scope(&self, scope: ReasonScope) -> Vec<&'a Listed> {
        self.all().into_iter().filter(|listed| listed.reason.scope == scope).collect()
    }

    /// The names of those that an ordinary close-out may use, for a refusal.
    pub(super) fn usable(&self, scope: ReasonScope) -> String {
        let usable = |listed: &&Listed| listed.active && !listed.reason.historical_only;
        let usable = self.of_scope(scope).into_iter().filter(usable);
        let codes: Vec<_> = usable.map(|listed| &*listed.reason.code).collect();
        name(&format!("{{{}}}", codes.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn entry(code: &str, tenant_id: TenantId, position: i64) -> Entry {
        let reason = Reason { code: code.to_owned().into(), en: "Changed".into(), ..BUILT_IN[0].reason.clone() };
        let listed =
            Listed { reason, active: true, position, revision: 2, lane: Some(Uuid::from_u128(7)), merged_into: None };
        Entry { tenant_id, listed, sent: 1, created_at: Time(0), updated_at: Time(0) }
    }

    #[test]
    fn codes_are_unique_and_can_be_written() {
        let none = Rows::default();
        assert_eq!(Catalogue::of(TENANT, &none).all().len(), BUILT_IN.len());
        assert!(BUILT_IN.iter().all(|listed| super::super::is_code(&listed.reason.code)));
        assert!(BUILT_IN.iter().all(|listed| listed.reason.violations("reason").is_empty()));
    }

    #[test]
    fn a_tenant_s_rows_lie_over_the_built_in_reasons_and_nobody_else_s() {
        let own = Rows::loaded([entry("PRICE_TOO_HIGH", TENANT, 9), entry("OWN", TenantId(Uuid::from_u128(2)), 1)]);
        let catalogue = Catalogue::of(TENANT, &own);
        assert_eq!(catalogue.get("PRICE_TOO_HIGH").unwrap().reason.en, "Changed");
        assert!(catalogue.get("OWN").is_none());
        assert_eq!(catalogue.all().len(), BUILT_IN.len());
        assert_eq!(catalogue.all()[0].reason.code, "COMPETITOR_PRICE");
    }
}
