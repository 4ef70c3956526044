//! The service's tables, bound to the domain's types.

use crate::domain::{
    AskersReach, Competitor, Contact, Contacts, Customer, Group, GroupState, Left, Lefts, Lifecycle, Opportunity,
    Pipeline, PlanEnd, PlanState, Reopening, State, WinBackPlan,
    pipeline::{Labels, Stage, Stages},
    stale::{Calendar, Flag, Level, PolicyRow, Rule, StalePolicy},
};
use crm_closeout::{
    access::Scope,
    codes::{Code, Record},
    ids::{CloseOutId, CompetitorId, CustomerId, GroupId, OpportunityId, TenantId, WinBackPlanId},
    money::{Money, Sums},
    pipeline::StageName,
    remarks::Remarks,
    time::Time,
};
use crm_outbox::{
    cell::{Cells, Column, JsonText, Part},
    db::{Error, Row},
    part_code, part_json, table,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

part_code!(GroupState, Level, Lifecycle, PlanState, State);
part_json!(AskersReach, Contacts, Lefts, Reopening, Stages, StalePolicy);

table!(Customer = "customer", key |key| [tenant_id: TenantId = key.0, customer_id: CustomerId = key.1], indexed ["owner", "lifecycle"], {
    tenant_id: TenantId, customer_id: CustomerId, display_name: String, tier: String, owner: String,
    do_not_contact: bool, lifecycle: Lifecycle, engaged: bool, open_count: i64, won_count: i64, lost_count: i64,
    live_order_count: i64, amounts: Sums<3>, last_loss_at: Option<Time>, created_at: Time, updated_at: Time,
    version: i64, sent: i64, closing: Option<GroupId>, plan_count: i64, running_count: i64,
    win_back_at: Option<Time>, contacted_at: Option<Time>,
});

table!(Opportunity = "opportunity", key |key| [tenant_id: TenantId = key.0, opportunity_id: OpportunityId = key.1], indexed [
    "number", "customer_id", "owner", "pipeline", "stage", "won_at"
], {
    tenant_id: TenantId, opportunity_id: OpportunityId, number: String, customer_id: Option<CustomerId>, title: String,
    owner: String, team: String, stage: StageName, state: State, amount: Money, expected_close_at: Option<Time>,
    source: String, created_at: Time, stage_entered_at: Time, activity_at: Time, won_at: Option<Time>,
    taken_back_by: Option<CloseOutId>, won_before: Option<Time>, close_out_id: Option<CloseOutId>, closed_at: Option<Time>, loss_at: Option<Time>, historical: bool,
    updated_at: Time, version: i64, epoch: i64, sent: i64, declined: i64, resume_at: Option<Time>, hold_note: String, flag: Option<Flag>,
    recovered_from: Option<WinBackPlanId>,
});

table!(WinBackPlan = "win_back_plan", key |key| [tenant_id: TenantId = key.0, plan_id: WinBackPlanId = key.1], indexed [
    "customer_id", "state", "owner", "due_at"
], {
    tenant_id: TenantId, plan_id: WinBackPlanId, subject: Record, customer_id: CustomerId, reason_code: String,
    amount: Option<Money>, lost_at: Time, state: PlanState, owner: String, due_at: Time, dated: bool, offer: String, contacts: Contacts,
    contact_count: i64, recovered_by: Option<OpportunityId>, end: Option<PlanEnd>, created_at: Time, updated_at: Time,
    version: i64,
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

impl Part for PlanEnd {
    fn columns(_: &str) -> Vec<Column> {
        let text = [String::columns("ender"), String::columns("end_note")].concat();
        [Time::columns("ended_at"), text, bool::columns("by_correction")].concat()
    }

    fn write(value: Option<&Self>, cells: &mut Cells) {
        Part::write(value.map(|end| &end.at), cells);
        Part::write(value.map(|end| &end.actor), cells);
        Part::write(value.map(|end| &end.note), cells);
        Part::write(value.map(|end| &end.by_correction), cells);
    }

    fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
        let (ended_at, actor, note) = (Time::read(row, at)?, String::read(row, at)?, String::read(row, at)?);
        let by_correction = bool::read(row, at)?.unwrap_or_default();
        Ok(ended_at.zip(actor.zip(note)).map(|(at, (actor, note))| Self { at, actor, note, by_correction }))
    }
}

impl JsonText for Contacts {
    fn to_json(&self) -> Value {
        let contact = |contact: &Contact| {
            json!({
                "at": contact.at.0, "method": contact.method.code(), "person": contact.person,
                "result": contact.result.code(), "note": contact.note, "actor": contact.actor,
            })
        };
        self.0.iter().map(contact).collect()
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |contact: &Value, key: &str| contact[key].as_str().map(str::to_owned);
        let code = |contact: &Value, key: &str| i32::try_from(contact[key].as_i64()?).ok();
        let contact = |contact: &Value| {
            Some(Contact {
                at: Time(contact["at"].as_i64()?),
                method: Code::from_code(code(contact, "method")?).ok()?,
                person: text(contact, "person")?,
                result: Code::from_code(code(contact, "result")?).ok()?,
                note: text(contact, "note")?,
                actor: text(contact, "actor")?,
            })
        };
        value.as_array()?.iter().map(contact).collect::<Option<_>>().map(Self)
    }
}

impl JsonText for AskersReach {
    fn to_json(&self) -> Value {
        json!({ "scope": self.scope.word(), "teams": self.teams })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let scope = *Scope::ALL.iter().find(|scope| value["scope"] == scope.word())?;
        let teams = value["teams"].as_array()?.iter().map(|team| team.as_str().map(str::to_owned));
        Some(Self { scope, teams: teams.collect::<Option<_>>()? })
    }
}

impl JsonText for Lefts {
    fn to_json(&self) -> Value {
        let left = |left: &Left| json!([left.opportunity_id.0.to_string(), left.reason, left.en, left.zh]);
        self.0.iter().map(left).collect()
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |left: &Value, at: usize| left.get(at)?.as_str().map(str::to_owned);
        let left = |left: &Value| {
            let opportunity_id = OpportunityId(Uuid::try_parse(left.get(0)?.as_str()?).ok()?);
            Some(Left { opportunity_id, reason: text(left, 1)?, en: text(left, 2)?, zh: text(left, 3)? })
        };
        value.as_array()?.iter().map(left).collect::<Option<_>>().map(Self)
    }
}

impl JsonText for Reopening {
    fn to_json(&self) -> Value {
        json!({
            "at": self.at.0, "actor": self.actor, "note": self.note, "lefts": self.lefts.to_json(),
            "finished_at": self.finished_at.map(|at| at.0),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            at: Time(value["at"].as_i64()?),
            actor: value["actor"].as_str()?.to_owned(),
            note: value["note"].as_str()?.to_owned(),
            lefts: Lefts::from_json(&value["lefts"])?,
            finished_at: value["finished_at"].as_i64().map(Time),
        })
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
