//! The service's tables, bound to the domain's types.

use crate::domain::{
    Competitor, Customer, Lifecycle, Opportunity, Pipeline, State,
    pipeline::{Labels, Stage, Stages},
    stale::{Calendar, Flag, Level, PolicyRow, Rule, StalePolicy},
};
use crm_closeout::{
    ids::{CloseOutId, CompetitorId, CustomerId, OpportunityId, TenantId},
    money::{Money, Sums},
    pipeline::StageName,
    time::Time,
};
use crm_outbox::{
    cell::{Cells, Column, JsonText, Part},
    db::{Error, Row},
    part_code, part_json, table,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

part_code!(Level, Lifecycle, State);
part_json!(Stages, StalePolicy);

table!(Customer = "customer", key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1], indexed ["owner", "lifecycle"], {
    tenant_id: TenantId, customer_id: CustomerId, display_name: String, tier: String, owner: String,
    do_not_contact: bool, lifecycle: Lifecycle, engaged: bool, open_count: i64, won_count: i64, lost_count: i64,
    live_order_count: i64, amounts: Sums<3>, last_loss_at: Option<Time>, created_at: Time, updated_at: Time,
    version: i64, sent: i64,
});

table!(Opportunity = "opportunity", key |key| [tenant_id: TenantId = key.0, opportunity_id: OpportunityId = key.1], indexed [
    "number", "customer_id", "owner", "pipeline", "stage", "won_at"
], {
    tenant_id: TenantId, opportunity_id: OpportunityId, number: String, customer_id: Option<CustomerId>, title: String,
    owner: String, team: String, stage: StageName, state: State, amount: Money, expected_close_at: Option<Time>,
    source: String, created_at: Time, stage_entered_at: Time, activity_at: Time, won_at: Option<Time>,
    taken_back_by: Option<CloseOutId>, won_before: Option<Time>, close_out_id: Option<CloseOutId>, closed_at: Option<Time>, loss_at: Option<Time>, historical: bool,
    updated_at: Time, version: i64, epoch: i64, sent: i64, declined: i64, resume_at: Option<Time>, hold_note: String, flag: Option<Flag>,
});

table!(Competitor = "competitor", key |key| [tenant_id: TenantId = key.0, competitor_id: CompetitorId = key.1], indexed [
    "display_name", "active", "merged_into"
], {
    tenant_id: TenantId, competitor_id: CompetitorId, display_name: String, active: bool, created_at: Time, version: i64,
    updated_at: Time, merged_into: Option<CompetitorId>,
});

table!(Pipeline = "pipeline", key |key| [tenant_id: TenantId = key.0, pipeline_id: String = key.1], {
    tenant_id: TenantId, pipeline_id: String, labels: Labels, stages: Stages, active: bool, place: i64, version: i64,
});

table!(Group = "customer_close_out", key |key| [tenant_id: TenantId = key.0, group_id: GroupId = key.1], {
    tenant_id: TenantId, group_id: GroupId, customer_id: CustomerId, state: GroupState, reason_code: String,
    reason_version: i64, detail: String, competitor_id: Option<CompetitorId>, remarks: Remarks, actor: String, reach: AskersReach, found: i64,
    lefts: Lefts, created_at: Time, finished_at: Option<Time>, reopening: Option<Reopening>, version: i64,
});

table!(PolicyRow = "stale_policy", key |key| [tenant_id: TenantId = *key], {
    tenant_id: TenantId, policy: StalePolicy, revision: i64, updated_at: Time,
});

impl Part for Flag {
    fn columns(_: &str) -> Vec<Column> {
        [Level::columns("stale_level"), Time::columns("stale_since")].concat()
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|flag| &flag.level), cells);
        Part::write(value.map(|flag| &flag.since), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        Ok(Level::read(row, at)?.zip(Time::read(row, at)?).map(|(level, since)| Self { level, since }))
    }
}

impl JsonText for StalePolicy {
    fn to_json(&self) -> Value {
        let rule = |rule: &Rule| [rule.warn_days, rule.propose_days, rule.close_days];
        let rules: BTreeMap<_, _> = self.rules.iter().map(|(name, of)| (name, rule(of))).collect();
        let Calendar { business_days_only, holidays, workdays, utc_offset } = &self.calendar;
        json!({
            "rule": rule(&self.rule), "rules": rules, "business_days_only": business_days_only, "holidays": holidays,
            "workdays": workdays, "utc_offset": utc_offset, "daily": self.daily,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let rule = |value: &Value| {
            let days = |at: usize| value.get(at)?.as_i64()?.try_into().ok();
            Some(Rule { warn_days: days(0)?, propose_days: days(1)?, close_days: days(2)? })
        };
        let days = |key: &str| value[key].as_array()?.iter().map(Value::as_i64).collect::<Option<_>>();
        let rules = value["rules"].as_object()?.iter();
        Some(Self {
            rule: rule(&value["rule"])?,
            rules: rules.map(|(name, of)| Some((name.clone(), rule(of)?))).collect::<Option<_>>()?,
            calendar: Calendar {
                business_days_only: value["business_days_only"].as_bool()?,
                holidays: days("holidays")?,
                workdays: days("workdays")?,
                utc_offset: value["utc_offset"].as_i64()?.try_into().ok()?,
            },
            daily: value["daily"].as_bool()?,
        })
    }
}

/// A column for each language.
impl Part for Labels {
    fn columns(_: &str) -> Vec<Column> {
        [String::columns("en"), String::columns("zh")].concat()
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|labels| &labels.en), cells);
        Part::write(value.map(|labels| &labels.zh), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        Ok(String::read(row, at)?.zip(String::read(row, at)?).map(|(en, zh)| Self { en, zh }))
    }
}

impl JsonText for Stages {
    fn to_json(&self) -> Value {
        let stage = |stage: &Stage| {
            json!({
                "id": stage.id, "en": stage.labels.en, "zh": stage.labels.zh, "win_percent": stage.win_percent,
                "active": stage.active,
            })
        };
        self.0.iter().map(stage).collect()
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |stage: &Value, key: &str| stage[key].as_str().map(str::to_owned);
        let stage = |stage: &Value| {
            Some(Stage {
                id: text(stage, "id")?,
                labels: Labels { en: text(stage, "en")?, zh: text(stage, "zh")? },
                win_percent: stage["win_percent"].as_i64()?.try_into().ok()?,
                active: stage["active"].as_bool()?,
            })
        };
        value.as_array()?.iter().map(stage).collect::<Option<_>>().map(Self)
    }
}
