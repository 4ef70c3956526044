//! What a close-out says beside its reason, as it is stored: JSON, which reports read, too ([`crate::report`]).

use crate::{
    cell::JsonText,
    tables::{int, text},
};
use crm_closeout::{
    codes::Code,
    ids::TaskId,
    remarks::{Cited, Finding, FollowUp, Reassessment, Remarks, Verification},
    time::Time,
};
use serde_json::{Value, json};
use uuid::Uuid;

impl JsonText for Remarks {
    fn to_json(&self) -> Value {
        let mut said = serde_json::Map::new();
        if !self.secondary.is_empty() {
            let cited = self.secondary.iter().map(|cited| json!({ "code": cited.code, "version": cited.version }));
            said.insert("secondary".into(), cited.collect());
        }
        said.extend(self.verification.as_ref().map(|it| ("verification".into(), it.to_json())));
        let rated = self.reassessment.as_ref().map(|it| json!({ "rating": it.rating, "note": it.note }));
        said.extend(rated.map(|it| ("reassessment".into(), it)));
        said.extend(self.follow_up.as_ref().map(|it| ("follow_up".into(), it.to_json())));
        Value::Object(said)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let cited = |value: &Value| Some(Cited { code: text(value, "code")?, version: int(value, "version")? });
        let rated = |value: &Value| {
            Some(Reassessment { rating: int(value, "rating")?.try_into().ok()?, note: text(value, "note")? })
        };
        Some(Self {
            secondary: match value.get("secondary") {
                Some(all) => all.as_array()?.iter().map(cited).collect::<Option<_>>()?,
                None => Vec::new(),
            },
            verification: optional(value, "verification", Verification::from_json)?,
            reassessment: optional(value, "reassessment", rated)?,
            follow_up: optional(value, "follow_up", FollowUp::from_json)?,
        })
    }
}

/// What stands under a key, if anything does; none: it can not be read.
fn optional<T>(value: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match value.get(key).filter(|value| !value.is_null()) {
        Some(value) => read(value).map(Some),
        None => Some(None),
    }
}

fn code<C: Code>(value: &Value, key: &str) -> Option<Option<C>> {
    optional(value, key, |value| C::from_code(value.as_i64()?.try_into().ok()?).ok())
}

impl JsonText for Verification {
    fn to_json(&self) -> Value {
        let finding = |finding: Option<Finding>| finding.map(Code::code);
        json!({
            "method": self.method.code(), "contact": self.contact, "at": self.verified_at.0, "needs": finding(self.needs),
            "budget": finding(self.budget), "competition": finding(self.competition), "intent": finding(self.intent),
            "note": self.note,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            method: code(value, "method")??,
            contact: text(value, "contact")?,
            verified_at: Time(int(value, "at")?),
            needs: code(value, "needs")?,
            budget: code(value, "budget")?,
            competition: code(value, "competition")?,
            intent: code(value, "intent")?,
            note: text(value, "note")?,
        })
    }
}

impl JsonText for FollowUp {
    fn to_json(&self) -> Value {
        json!({
            "title": self.title, "assignee": self.assignee, "due": self.due_at.map(|at| at.0),
            "task": self.task_id.map(|id| id.0.to_string()),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            title: text(value, "title")?,
            assignee: text(value, "assignee")?,
            due_at: optional(value, "due", Value::as_i64)?.map(Time),
            task_id: optional(value, "task", |id| Uuid::try_parse(id.as_str()?).ok())?.map(TaskId),
        })
    }
}
