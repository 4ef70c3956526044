//! Changing what a tenant has decided about stale opportunities, and having it acted upon once a day.

use super::{Calendar, Day, PolicyRow, Rule, StalePolicy};
use crate::domain::World;
use crm_closeout::{
    cascade::Change,
    job::Job,
    refusal::{Refusal, check_etag},
    time::Time,
    working_set::Cause,
};
use std::collections::BTreeMap;

/// Resource name of the policy.
pub const NAME: &str = "stalePolicy";

/// What to change of the policy; none: leave it.
#[derive(Clone, Debug, Default)]
pub struct StalePolicyEdit {
    /// The rule where nothing else is said.
    pub rule: Option<Rule>,
    /// The rules of pipelines and stages, all of them.
    pub rules: Option<BTreeMap<String, Rule>>,
    /// Which days count.
    pub calendar: Option<Calendar>,
    /// Whether it is acted upon by itself.
    pub daily: Option<bool>,
}

impl StalePolicyEdit {
    fn apply(&self, before: &StalePolicy) -> StalePolicy {
        StalePolicy {
            rule: self.rule.unwrap_or(before.rule),
            rules: self.rules.as_ref().unwrap_or(&before.rules).clone(),
            calendar: self.calendar.as_ref().unwrap_or(&before.calendar).clone(),
            daily: self.daily.unwrap_or(before.daily),
        }
    }
}

impl PolicyRow {
    /// Of a tenant that has decided nothing.
    pub fn none(tenant_id: crm_closeout::ids::TenantId) -> Self {
        Self { tenant_id, policy: StalePolicy::default(), revision: 0, updated_at: Time(0) }
    }
}

impl World {
    /// Changes what the tenant has decided. What is so already changes nothing.
    pub fn update_stale_policy(
        &mut self,
        cause: &Cause,
        etag: &str,
        edit: &StalePolicyEdit,
    ) -> Result<PolicyRow, Refusal> {
        let tenant = cause.tenant_id;
        let before = self.policies.get(&tenant).cloned().unwrap_or_else(|| PolicyRow::none(tenant));
        check_etag(etag, before.revision, NAME)?;
        let policy = edit.apply(&before.policy);
        if policy == before.policy && before.revision > 0 {
            self.schedule_sweep(cause, before.policy.calendar.day(self.common.now));
            return Ok(before);
        }
        let (revision, updated_at) = (before.revision + 1, self.common.now);
        let after = PolicyRow { tenant_id: tenant, policy, revision, updated_at };
        let change = Change { from: before.revision, to: revision, state_before: "", state_after: "", close_out: None };
        self.common.audit(cause, NAME, change);
        let today = after.policy.calendar.day(self.common.now);
        self.policies.put(after.clone());
        self.schedule_sweep(cause, today);
        Ok(after)
    }

    /// Has the policy acted upon on the tenant's next day, if it is to be: one after `day` in any case, whatever the clocks say.
    pub fn schedule_sweep(&mut self, cause: &Cause, day: Day) {
        let Some(row) = self.policies.get(&cause.tenant_id).filter(|row| row.policy.daily) else { return };
        let calendar = &row.policy.calendar;
        let tomorrow = calendar.day(self.common.now).max(day) + 1;
        let job = Job::sweep(cause.tenant_id, tomorrow, calendar.begin(tomorrow));
        self.common.jobs.push(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{TENANT, cause, world};
    use crm_closeout::job::JobKind;

    #[test]
    fn a_change_counts_once_and_one_that_is_acted_upon_daily_has_its_next_day() {
        let mut world = world();
        let rule = Rule { close_days: 90, ..Rule::default() };
        let edit = StalePolicyEdit { rule: Some(rule), ..StalePolicyEdit::default() };
        let first = world.update_stale_policy(&cause(), "\"0\"", &edit).unwrap();
        assert_eq!((first.revision, first.policy.rule, first.policy.daily), (1, rule, false));
        assert_eq!(world.update_stale_policy(&cause(), "\"1\"", &edit).unwrap(), first);
        assert_eq!(world.update_stale_policy(&cause(), "\"0\"", &edit).unwrap_err().reason(), "VERSION_MISMATCH");
        assert!(world.common.jobs.entries().is_empty());

        let calendar = Calendar { utc_offset: 480, ..Calendar::default() };
        let edit =
            StalePolicyEdit { daily: Some(true), calendar: Some(calendar.clone()), ..StalePolicyEdit::default() };
        let second = world.update_stale_policy(&cause(), "", &edit).unwrap();
        assert_eq!((second.revision, second.policy.rule), (2, rule));
        let jobs = world.common.jobs.entries();
        assert_eq!((jobs.len(), jobs[0].tenant_id, jobs[0].kind), (1, TENANT, JobKind::Sweep));
        assert_eq!(calendar.day(jobs[0].due_at), calendar.day(world.common.now) + 1);
        assert_eq!(world.common.audit.entries().len(), 2);
        // The day that is over by one clock has not begun by another: the next one is another one all the same.
        let tomorrow = calendar.day(world.common.now) + 1;
        world.schedule_sweep(&cause(), tomorrow);
        assert_eq!(world.common.jobs.entries()[1].day(), Some(tomorrow + 1));
    }
}
