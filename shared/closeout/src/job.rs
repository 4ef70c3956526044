//! Timed duties: what is to be done at some moment, whoever runs then. Made with what asks for them, in the same commit.

use crate::{
    codes,
    ids::{CloseOutId, GroupId, OpportunityId, TenantId},
    time::Time,
    working_set::Keyed,
};

codes! {
    /// Kind of a duty.
    pub enum JobKind {
        /// What is kept only for a time is removed, once a day in each tenant in which something happens.
        Retention = 1 "RETENTION",
        /// A close-out that waits for approval waits no longer.
        Expiry = 2 "EXPIRY",
        /// An opportunity that is on hold is taken up again.
        Resumption = 3 "RESUMPTION",
        /// What a tenant has decided about stale opportunities is acted upon, on a day.
        Sweep = 4 "SWEEP",
        /// A customer is closed out as a whole, or that is taken back.
        Group = 5 "GROUP",
    }
}

/// A duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose.
    pub tenant_id: TenantId,
    /// What.
    pub kind: JobKind,
    /// What makes it one of its kind: the day, or the name of the record.
    pub job_key: String,
    /// From when on it is to be done.
    pub due_at: Time,
    /// How far it is, in the words of its kind; empty: not begun.
    pub progress: String,
    /// How many steps it took so far.
    pub steps: i64,
    /// When it was done.
    pub done_at: Option<Time>,
}

impl Keyed for Job {
    type Key = (TenantId, JobKind, String);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.kind, self.job_key.clone())
    }
}

const DAY: i64 = 24 * 3_600 * 1_000_000;

impl Job {
    /// Retention in a tenant on the day of this moment, by UTC.
    pub fn retention(tenant_id: TenantId, now: Time) -> Self {
        Self::new(tenant_id, JobKind::Retention, format!("day-{}", now.0.div_euclid(DAY)), now)
    }

    /// The end of a close-out's waiting for approval.
    pub fn expiry(tenant_id: TenantId, close_out: CloseOutId, at: Time) -> Self {
        Self::new(tenant_id, JobKind::Expiry, close_out.to_string(), at)
    }

    /// The end of an opportunity's pause. Each time that a day is chosen, told by the opportunity's version, is a duty of its own: it does
    /// something only if that day still holds.
    pub fn resumption(tenant_id: TenantId, opportunity: OpportunityId, version: i64, at: Time) -> Self {
        Self::new(tenant_id, JobKind::Resumption, format!("{opportunity}@{}@{version}", at.0), at)
    }

    /// The opportunity whose pause ends with this duty, and the day that was chosen.
    pub fn paused(&self) -> Option<(OpportunityId, Time)> {
        let mut parts = self.job_key.split('@');
        let (name, until) = (parts.next()?, parts.next()?);
        Some((OpportunityId::parse(name).ok()?, Time(until.parse().ok()?)))
    }

    /// What is to be done about stale opportunities on a day, told by its number since 1970-01-01.
    pub fn sweep(tenant_id: TenantId, day: i64, at: Time) -> Self {
        Self::new(tenant_id, JobKind::Sweep, format!("day-{day}"), at)
    }

    /// The work that a group waits for in this version of it.
    pub fn group(tenant_id: TenantId, group: GroupId, version: i64, at: Time) -> Self {
        Self::new(tenant_id, JobKind::Group, format!("{group}@{version}"), at)
    }

    /// The group whose work this is, and the version of it that waits for that.
    pub fn grouped(&self) -> Option<(GroupId, i64)> {
        let (name, version) = self.job_key.split_once('@')?;
        Some((GroupId::parse(name).ok()?, version.parse().ok()?))
    }

    /// The day of a duty that is one of a day.
    pub fn day(&self) -> Option<i64> {
        self.job_key.strip_prefix("day-")?.parse().ok()
    }

    fn new(tenant_id: TenantId, kind: JobKind, job_key: String, due_at: Time) -> Self {
        Self { tenant_id, kind, job_key, due_at, progress: String::new(), steps: 0, done_at: None }
    }
}
