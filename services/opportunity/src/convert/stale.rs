//! Stale opportunities and what is decided about them between protobuf and the domain.

use super::opportunity;
use crate::{
    domain::stale::{Calendar, Day, Level, NAME, OFFSETS, PolicyRow, Rule, StalePolicyEdit},
    sweep::Found,
};
use crm_api::{convert::time, fields::Fields};
use crm_closeout::{
    codes::Code,
    pipeline::{self, StageName},
    refusal::etag,
    time::{day_text, parse_day},
    wording,
};
use crm_proto::opportunity as pb;
use prost_types::FieldMask;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

const DAYS: RangeInclusive<i32> = 0..=3_650;
const MOST_RULES: usize = 200;
const MOST_DAYS: usize = 1_000;

/// What to change of the policy.
pub(crate) fn stale_policy_edit(
    fields: &mut Fields,
    policy: &pb::StalePolicy,
    mask: Option<&FieldMask>,
) -> StalePolicyEdit {
    let writable = [
        ("rule", policy.rule.is_some()),
        ("rules", !policy.rules.is_empty()),
        ("calendar", policy.calendar.is_some()),
        ("daily", policy.daily),
    ];
    let chosen = fields.mask(mask, &writable, &["name", "update_time", "etag"]);
    StalePolicyEdit {
        rule: chosen.contains("rule").then(|| rule(fields, "stale_policy.rule", &policy.rule.unwrap_or_default())),
        rules: chosen.contains("rules").then(|| rules(fields, &policy.rules)),
        calendar: chosen.contains("calendar").then(|| calendar(fields, &policy.calendar.clone().unwrap_or_default())),
        daily: chosen.contains("daily").then_some(policy.daily),
    }
}

fn rule(fields: &mut Fields, field: &str, rule: &pb::StaleRule) -> Rule {
    let mut days = |name: &str, days| fields.number(&format!("{field}.{name}"), days, DAYS);
    let rule = Rule {
        warn_days: days("warn_days", rule.warn_days),
        propose_days: days("propose_days", rule.propose_days),
        close_days: days("close_days", rule.close_days),
    };
    if !rule.is_in_order() {
        fields.refuse(field, &wording::DAYS_IN_ORDER, &[]);
    }
    rule
}

fn rules(fields: &mut Fields, given: &[pb::StalePlaceRule]) -> BTreeMap<String, Rule> {
    const FIELD: &str = "stale_policy.rules";
    if given.len() > MOST_RULES {
        fields.refuse(FIELD, &wording::TOO_MANY_RULES, &[("most", &MOST_RULES), ("count", &given.len())]);
    }
    let mut rules = BTreeMap::new();
    for (nth, one) in given.iter().take(MOST_RULES).enumerate() {
        let (field, place) = (format!("{FIELD}[{nth}].place"), &one.place);
        if pipeline::parse(place).is_none() && StageName::parse(place).is_none() {
            fields.refuse(&field, &wording::PIPELINE_OR_STAGE, &[]);
        }
        let rule = rule(fields, &format!("{FIELD}[{nth}].rule"), &one.rule.unwrap_or_default());
        if rules.insert(place.clone(), rule).is_some() {
            fields.refuse(&field, &wording::REPEATED, &[("value", place)]);
        }
    }
    rules
}

fn calendar(fields: &mut Fields, calendar: &pb::StaleCalendar) -> Calendar {
    let field = |name: &str| format!("stale_policy.calendar.{name}");
    Calendar {
        business_days_only: calendar.business_days_only,
        holidays: days(fields, &field("holidays"), &calendar.holidays),
        workdays: days(fields, &field("workdays"), &calendar.workdays),
        utc_offset: fields.number(&field("utc_offset_minutes"), calendar.utc_offset_minutes, OFFSETS),
    }
}

fn days(fields: &mut Fields, field: &str, given: &[String]) -> BTreeSet<Day> {
    if given.len() > MOST_DAYS {
        fields.refuse(field, &wording::TOO_MANY_DAYS, &[("most", &MOST_DAYS), ("count", &given.len())]);
    }
    let mut days = BTreeSet::new();
    for (nth, text) in given.iter().take(MOST_DAYS).enumerate() {
        match parse_day(text) {
            Some(day) => drop(days.insert(day)),
            None => fields.refuse(format!("{field}[{nth}]"), &wording::NO_DATE, &[]),
        }
    }
    days
}

/// The policy as the API shows it.
pub(crate) fn stale_policy(row: &PolicyRow) -> pb::StalePolicy {
    let PolicyRow { policy, revision, updated_at, .. } = row;
    let rule = |rule: &Rule| pb::StaleRule {
        warn_days: rule.warn_days,
        propose_days: rule.propose_days,
        close_days: rule.close_days,
    };
    let place = |(place, of): (&String, &Rule)| pb::StalePlaceRule { place: place.clone(), rule: Some(rule(of)) };
    let texts = |days: &BTreeSet<Day>| days.iter().map(|day| day_text(*day)).collect();
    let calendar = pb::StaleCalendar {
        business_days_only: policy.calendar.business_days_only,
        holidays: texts(&policy.calendar.holidays),
        workdays: texts(&policy.calendar.workdays),
        utc_offset_minutes: policy.calendar.utc_offset,
    };
    pb::StalePolicy {
        name: NAME.to_owned(),
        rule: Some(rule(&policy.rule)),
        rules: policy.rules.iter().map(place).collect(),
        calendar: Some(calendar),
        daily: policy.daily,
        update_time: (*revision > 0).then(|| time(*updated_at)),
        etag: etag(*revision),
    }
}

/// A stale opportunity as the API shows it.
pub(crate) fn stale(found: &Found) -> pb::StaleOpportunity {
    let finding = &found.finding;
    pb::StaleOpportunity {
        opportunity: Some(opportunity(&found.opportunity)),
        level: level(Some(finding.level)),
        idle_days: finding.idle_days,
        limit_days: finding.limit_days,
        rule: finding.rule.clone(),
        since_time: Some(time(finding.since)),
        done: level(found.opportunity.flagged(finding)),
        order: found.order.map_or_else(String::new, |order| order.to_string()),
    }
}

fn level(level: Option<Level>) -> i32 {
    level.map_or(0, |level| level.code().into())
}
