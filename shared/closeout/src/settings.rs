//! What a tenant has decided about close-outs. One that has decided nothing has no row, and the defaults.

use crate::{
    access::OwnRoles,
    approval::ApprovalPolicy,
    cascade::Change,
    fact::WonPolicy,
    ids::TenantId,
    money::Currency,
    time::Time,
    working_set::{Cause, Common, Keyed, Rows},
};
use uuid::Uuid;

/// Collection part of the names of the settings' lanes; the settings themselves are just called that.
pub const COLLECTION: &str = "settings";

/// When a close-out needs a verification of the customer's status, where its reason does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationPolicy {
    /// Always; but never with dates of the past.
    pub required: bool,
    /// How many days old it may be.
    pub fresh_days: i32,
}

/// What a tenant has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// About verifying the customer's status.
    pub verification: VerificationPolicy,
    /// What becomes of a won opportunity when its last order is cancelled as a whole.
    pub won_policy: WonPolicy,
    /// About another person's approval.
    pub approval: ApprovalPolicy,
    /// Roles beside those that every tenant has.
    pub roles: OwnRoles,
    /// What close-outs are worth in this currency is kept with them; none: nothing is converted.
    pub currency: Option<Currency>,
}

impl Settings {
    /// What holds where a tenant has decided nothing.
    pub const DEFAULT: Self = Self {
        verification: VerificationPolicy { required: false, fresh_days: 30 },
        won_policy: WonPolicy::Ask,
        approval: ApprovalPolicy::DEFAULT,
        roles: OwnRoles::new(),
        currency: None,
    };

    /// Those of a tenant among these rows.
    pub fn of(tenant: TenantId, rows: &Rows<Entry>) -> &Self {
        static DEFAULT: Settings = Settings::DEFAULT;
        rows.get(&tenant).map_or(&DEFAULT, |entry| &entry.told.settings)
    }
}

/// The settings as both services know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What was decided.
    pub settings: Settings,
    /// Raised by one at each change; the etag. 0: these are the defaults.
    pub revision: i64,
}

impl Told {
    /// What holds where a tenant has decided nothing.
    pub const DEFAULT: Self = Self { settings: Settings::DEFAULT, revision: 0 };
}

/// A tenant's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub tenant_id: TenantId,
    /// What was decided.
    pub told: Told,
    /// How many messages about it were sent; 0: it is a copy.
    pub sent: i64,
    /// When it last changed.
    pub updated_at: Time,
}

impl Keyed for Entry {
    type Key = TenantId;

    fn key(&self) -> Self::Key {
        self.tenant_id
    }
}

/// Id of the lane of a tenant's settings.
pub const fn lane(tenant: TenantId) -> Uuid {
    tenant.0
}

impl Common {
    /// Puts what a tenant has decided in the place of what it had.
    pub fn put_settings(&mut self, cause: &Cause, told: Told, sent: i64) {
        let (tenant_id, now) = (cause.tenant_id, self.now);
        let from = self.settings.get(&tenant_id).map_or(0, |entry| entry.told.revision);
        let change = Change { from, to: told.revision, state_before: "", state_after: "", close_out: None };
        self.audit(cause, COLLECTION, change);
        match self.settings.edit(&tenant_id) {
            Some(entry) => (entry.told, entry.sent, entry.updated_at) = (told, sent, now),
            None => self.settings.insert(Entry { tenant_id, told, sent, updated_at: now }),
        }
    }
}
