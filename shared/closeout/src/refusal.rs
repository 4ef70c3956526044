//! Why a command was not carried out. A refusal changes nothing; its [`Wording`] says what the rule is and what the caller can
//! do, with the values that belong to it.

use crate::wording::{self, Value, Wording};

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, such as `opportunity.title`.
    pub field: String,
    /// The rule and the way out.
    pub wording: &'static Wording,
    /// Values in the wording.
    pub values: Vec<Value>,
}

impl Violation {
    /// A violation.
    pub fn new(field: impl Into<String>, wording: &'static Wording) -> Self {
        Self { field: field.into(), wording, values: Vec::new() }
    }

    /// With a value of the wording.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// The stable word: `REQUIRED`, `INVALID_NAME`, `TOO_LONG` ...
    pub fn reason(&self) -> &'static str {
        self.wording.reason
    }
}

/// A rule said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule and the way out.
    pub wording: &'static Wording,
    /// Resource name of the record it is about; empty if fields are wrong, or the caller.
    pub subject: String,
    /// Values in the wording, `subject` among them, by stable names, for a program.
    pub values: Vec<Value>,
    /// Fields that are wrong, each of them named.
    pub violations: Vec<Violation>,
}

impl Refusal {
    /// A refusal about a record.
    pub fn new(wording: &'static Wording, subject: impl ToString) -> Self {
        let subject = subject.to_string();
        Self { wording, values: vec![("subject", subject.clone())], subject, violations: Vec::new() }
    }

    /// With a value of the wording.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// The stable word.
    pub fn reason(&self) -> &'static str {
        self.wording.reason
    }

    /// Fields are wrong.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self { wording: &wording::INVALID_FIELDS, subject: String::new(), values: Vec::new(), violations }
    }

    /// The caller may not do such a thing, with whatever record.
    pub fn denied(wording: &'static Wording) -> Self {
        Self { wording, subject: String::new(), values: Vec::new(), violations: Vec::new() }
    }

    /// There is no such record in the tenant.
    pub fn not_found(name: impl ToString) -> Self {
        Self::new(&wording::NOT_FOUND, name)
    }

    /// A subject whose close-out waits for approval is not changed.
    pub fn close_pending(subject: impl ToString, close_out: impl ToString) -> Self {
        Self::new(&wording::CLOSE_PENDING, subject).with("close_out", close_out)
    }

    /// A subject that is closed out is not changed.
    pub fn subject_closed(subject: impl ToString, close_out: impl ToString) -> Self {
        Self::new(&wording::SUBJECT_CLOSED, subject).with("close_out", close_out)
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::invalid(vec![violation])
    }
}

/// The etag of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Refuses when the caller names another version than the current one.
pub fn check_etag(given: &str, version: i64, subject: impl ToString) -> Result<(), Refusal> {
    if given.is_empty() || given == etag(version) {
        return Ok(());
    }
    Err(Refusal::new(&wording::VERSION_MISMATCH, subject).with("etag", etag(version)))
}
