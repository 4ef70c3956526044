//! What a close-out says beside its reason, and what was corrected, as it is stored: JSON, which reports read, too
//! ([`crate::report`]); NULL where there is nothing.

use crate::{
    cell::{Cells, Column, JsonText, Part},
    db::{Error, Row},
    tables::{int, text},
};
use crm_closeout::{
    amend::{Amendment, Stated},
    codes::Code,
    ids::{CompetitorId, TaskId},
    remarks::{Cited, Finding, FollowUp, Reassessment, Remarks, Verification},
    time::Time,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Implements [`Part`] for a type that is kept as JSON text, or NULL where it is empty.
macro_rules! part_json_or_null {
    ($($type:ty),+) => {
        $(impl Part for $type {
            fn columns(name: &str) -> Vec<Column> {
                String::columns(name)
            }

            fn write(value: Option<&Self>, cells: &mut Cells) {
                let said = value.filter(|value| !value.is_empty());
                Part::write(said.map(|value| value.to_json().to_string()).as_ref(), cells);
            }

            fn read(row: &Row, at: &mut usize) -> Result<Option<Self>, Error> {
                let Some(text) = String::read(row, at)? else { return Ok(Some(Self::default())) };
                let read = serde_json::from_str(&text).ok().and_then(|value| Self::from_json(&value));
                read.map(Some).ok_or_else(|| Error::Corrupt(format!("not a {}: {text}", stringify!($type))))
            }
        })+
    };
}

part_json_or_null!(Remarks, Vec<Amendment>);

fn cited(all: &[Cited]) -> Value {
    all.iter().map(|cited| json!({ "code": cited.code, "version": cited.version })).collect()
}

fn read_cited(value: &Value) -> Option<Vec<Cited>> {
    let cited = |value: &Value| Some(Cited { code: text(value, "code")?, version: int(value, "version")? });
    value.as_array()?.iter().map(cited).collect()
}

impl JsonText for Amendment {
    fn to_json(&self) -> Value {
        let Stated { reason_code, reason_version, class, win_back_days, detail, competitor_id, secondary } =
            &self.before;
        json!({
            "at": self.at.0, "actor": self.actor, "note": self.note, "reason": reason_code, "version": reason_version,
            "class": class.map(Code::code), "win_back_days": win_back_days, "detail": detail, "competitor": competitor_id.map(|id| id.0.to_string()),
            "secondary": cited(secondary),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let before = Stated {
            reason_code: text(value, "reason")?,
            reason_version: int(value, "version")?,
            class: code(value, "class")?,
            win_back_days: optional(value, "win_back_days", |days| days.as_i64()?.try_into().ok())?.unwrap_or(0),
            detail: text(value, "detail")?,
            competitor_id: optional(value, "competitor", |id| Uuid::try_parse(id.as_str()?).ok())?.map(CompetitorId),
            secondary: read_cited(value.get("secondary")?)?,
        };
        Some(Self { at: Time(int(value, "at")?), actor: text(value, "actor")?, note: text(value, "note")?, before })
    }
}

impl JsonText for Remarks {
    fn to_json(&self) -> Value {
        let mut said = serde_json::Map::new();
        if !self.secondary.is_empty() {
            said.insert("secondary".into(), cited(&self.secondary));
        }
        said.extend(self.verification.as_ref().map(|it| ("verification".into(), it.to_json())));
        let rated = self.reassessment.as_ref().map(|it| json!({ "rating": it.rating, "note": it.note }));
        said.extend(rated.map(|it| ("reassessment".into(), it)));
        said.extend(self.follow_up.as_ref().map(|it| ("follow_up".into(), it.to_json())));
        Value::Object(said)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let rated = |value: &Value| {
            Some(Reassessment { rating: int(value, "rating")?.try_into().ok()?, note: text(value, "note")? })
        };
        Some(Self {
            secondary: match value.get("secondary") {
                Some(all) => read_cited(all)?,
                None => Vec::new(),
            },
            verification: optional(value, "verification", Verification::from_json)?,
            reassessment: optional(value, "reassessment", rated)?,
            follow_up: optional(value, "follow_up", FollowUp::from_json)?,
        })
    }
}

/// What stands under a key, if anything does; none: it can not be read.
pub(crate) fn optional<T>(value: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
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
