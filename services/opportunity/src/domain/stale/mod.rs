//! When an open opportunity is stale: what a tenant has decided, and what that says of one. Changing the policy, and what is done about
//! one that is stale, is in `managing` and in the opportunity's own `staling`.

mod calendar;
mod managing;

pub use calendar::{Calendar, Day, OFFSETS};
pub use managing::{NAME, StalePolicyEdit};

use crm_closeout::{
    codes,
    ids::TenantId,
    pipeline::{self, StageName},
    time::Time,
    working_set::Keyed,
};
use std::collections::BTreeMap;

codes! {
    /// What is to be done about a stale opportunity; each includes that nothing less is.
    pub enum Level {
        /// It is flagged, and the timeline of its customer says so.
        Warn = 1 "WARN",
        /// Its owner gets a task: go on with it, or close it out.
        Propose = 2 "PROPOSE",
        /// It is closed out.
        CloseOut = 3 "CLOSE_OUT",
    }
}

/// After how many days without activity what is done; 0: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// It is flagged, and the timeline of its customer says so.
    pub warn_days: i32,
    /// Its owner gets a task.
    pub propose_days: i32,
    /// It is closed out.
    pub close_days: i32,
}

impl Rule {
    fn days(&self, level: Level) -> i64 {
        i64::from(match level {
            Level::Warn => self.warn_days,
            Level::Propose => self.propose_days,
            Level::CloseOut => self.close_days,
        })
    }

    /// The most that is due after so many days, and after how many it was.
    fn due(&self, idle: i64, most: Level) -> Option<(Level, i64)> {
        let levels = Level::ALL.iter().copied().filter(|level| *level <= most).rev();
        levels.map(|level| (level, self.days(level))).find(|(_, days)| *days > 0 && idle >= *days)
    }

    /// The fewest days after which anything is due.
    fn least(&self) -> Option<i64> {
        Level::ALL.iter().map(|level| self.days(*level)).filter(|days| *days > 0).min()
    }

    /// Its days are in order: each that is set is more than those before it.
    pub fn is_in_order(&self) -> bool {
        let set: Vec<_> = Level::ALL.iter().map(|level| self.days(*level)).filter(|days| *days > 0).collect();
        set.is_sorted_by(|less, more| less < more)
    }
}

/// What a tenant has decided about stale opportunities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StalePolicy {
    /// Where nothing else is said.
    pub rule: Rule,
    /// Of a pipeline or a stage, by its resource name.
    pub rules: BTreeMap<String, Rule>,
    /// Which days count.
    pub calendar: Calendar,
    /// It is acted upon by itself, once a day.
    pub daily: bool,
}

impl StalePolicy {
    /// The rule of a stage and where it stands: the stage, its pipeline, or empty for all others.
    pub fn rule_of(&self, stage: &StageName) -> (String, Rule) {
        let own = [stage.to_string(), pipeline::name(&stage.pipeline)];
        let found = own.into_iter().find_map(|name| self.rules.get(&name).map(|rule| (name.clone(), *rule)));
        found.unwrap_or((String::new(), self.rule))
    }

    /// What last happened before this may be stale by some rule; none: nothing ever is.
    pub fn before(&self, now: Time) -> Option<Time> {
        let least = self.rules.values().chain([&self.rule]).filter_map(Rule::least).min()?;
        // Days that do not count make it later, never earlier.
        Some(self.calendar.begin(self.calendar.day(now) - least + 1))
    }
}

/// A tenant's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Whose.
    pub tenant_id: TenantId,
    /// What was decided.
    pub policy: StalePolicy,
    /// Raised by one at each change; the etag.
    pub revision: i64,
    /// When it last changed.
    pub updated_at: Time,
}

impl Keyed for PolicyRow {
    type Key = TenantId;

    fn key(&self) -> Self::Key {
        self.tenant_id
    }
}

/// What was done about a stale opportunity, and for which activity: after a later one it begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// What was done.
    pub level: Level,
    /// The activity since which it was stale.
    pub since: Time,
}

/// What is known of an opportunity's activity beside its own record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// When one of its tasks last changed.
    pub task_at: Option<Time>,
    /// A task is open and due later.
    pub planned: bool,
    /// When one of its orders was last closed out.
    pub order_at: Option<Time>,
}

/// An opportunity is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is due.
    pub level: Level,
    /// Days without activity, as the tenant counts them.
    pub idle_days: i64,
    /// After how many of them it is due.
    pub limit_days: i64,
    /// Where the rule stands: the stage, its pipeline, or empty for all others.
    pub rule: String,
    /// The last activity.
    pub since: Time,
}

impl StalePolicy {
    /// Whether an open opportunity is stale, for at most so much to be done.
    pub fn find(&self, stage: &StageName, activity_at: Time, work: Work, now: Time, most: Level) -> Option<Finding> {
        if work.planned {
            return None;
        }
        let since = activity_at.max(work.task_at.unwrap_or(activity_at)).max(work.order_at.unwrap_or(activity_at));
        let idle_days = self.calendar.days(since, now);
        let (rule, days) = self.rule_of(stage);
        let (level, limit_days) = days.due(idle_days, most)?;
        Some(Finding { level, idle_days, limit_days, rule, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(warn_days: i32, propose_days: i32, close_days: i32) -> Rule {
        Rule { warn_days, propose_days, close_days }
    }

    fn policy() -> StalePolicy {
        let rules = [("pipelines/key", rule(0, 60, 0)), ("pipelines/key/stages/closing", rule(7, 14, 30))];
        StalePolicy {
            rule: rule(30, 45, 90),
            rules: rules.map(|(name, rule)| (name.to_owned(), rule)).into(),
            ..StalePolicy::default()
        }
    }

    fn find(stage: (&str, &str), idle: i64, work: Work, most: Level) -> Option<Finding> {
        let now = Time(0).plus_days(1_000);
        policy().find(&StageName::new(stage.0, stage.1), now.plus_days(-idle), work, now, most)
    }

    #[test]
    fn the_rule_of_a_stage_goes_before_its_pipelines_and_that_before_the_one_for_all() {
        let found = |stage, idle| find(stage, idle, Work::default(), Level::CloseOut).map(|it| (it.level, it.rule));
        let other = ("default", "engaging");
        assert_eq!(found(other, 29), None);
        assert_eq!(found(other, 30), Some((Level::Warn, String::new())));
        assert_eq!(found(other, 89), Some((Level::Propose, String::new())));
        assert_eq!(found(other, 90), Some((Level::CloseOut, String::new())));
        assert_eq!(found(("key", "engaging"), 59), None);
        assert_eq!(found(("key", "engaging"), 600), Some((Level::Propose, "pipelines/key".into())));
        assert_eq!(found(("key", "closing"), 30), Some((Level::CloseOut, "pipelines/key/stages/closing".into())));
        let most = find(other, 600, Work::default(), Level::Warn).unwrap();
        assert_eq!((most.level, most.idle_days, most.limit_days), (Level::Warn, 600, 30));
    }

    #[test]
    fn a_task_that_moved_counts_and_one_that_is_planned_leaves_it_alone() {
        let now = Time(0).plus_days(1_000);
        let moved = Work { task_at: Some(now.plus_days(-40)), ..Work::default() };
        let found = find(("default", "engaging"), 600, moved, Level::CloseOut).unwrap();
        assert_eq!((found.level, found.idle_days, found.since), (Level::Warn, 40, now.plus_days(-40)));
        let over = Work { order_at: Some(now.plus_days(-35)), ..moved };
        assert_eq!(find(("default", "engaging"), 600, over, Level::CloseOut).unwrap().idle_days, 35);
        let planned = Work { planned: true, ..moved };
        assert_eq!(find(("default", "engaging"), 600, planned, Level::CloseOut), None);
    }

    #[test]
    fn whatever_is_stale_last_moved_before_the_day_that_is_searched() {
        let now = Time(0).plus_days(1_000).plus_seconds(3_600);
        assert_eq!(StalePolicy::default().before(now), None);
        let mut policy = policy();
        policy.calendar = Calendar { business_days_only: true, utc_offset: 480, ..Calendar::default() };
        let before = policy.before(now).unwrap();
        let stage = StageName::new("key", "closing");
        let at = |since| policy.find(&stage, since, Work::default(), now, Level::CloseOut);
        assert!((0..100_i64).all(|hours| at(Time(before.0 + hours * 3_600_000_000)).is_none()));
        assert!(at(before.plus_days(-3)).is_some());
    }

    #[test]
    fn days_rise_from_level_to_level() {
        assert!(rule(1, 2, 3).is_in_order() && rule(0, 5, 0).is_in_order() && rule(7, 0, 9).is_in_order());
        assert!(!rule(3, 3, 0).is_in_order() && !rule(9, 0, 7).is_in_order());
    }
}
