//! Why a command was not carried out. A refusal changes nothing; its reason is a stable word of the API, its message says
//! what the rule is and what the caller can do.

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, such as `opportunity.title`.
    pub field: String,
    /// Stable word: `REQUIRED`, `INVALID_NAME`, `TOO_LONG` ...
    pub reason: &'static str,
    /// The rule and the way out, for a person.
    pub description: String,
}

impl Violation {
    /// A violation.
    pub fn new(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }
}

/// Class of a refusal; each has one status of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Fields are wrong, each of them named.
    Invalid(Vec<Violation>),
    /// There is no such record in the tenant.
    NotFound,
    /// A unique value is taken.
    Exists,
    /// The state does not allow it.
    Precondition,
    /// It will be possible soon, without the caller's doing; try again after so many milliseconds.
    NotYet(u64),
    /// The record has changed since the caller read it.
    Changed,
    /// A limit is reached.
    Exhausted,
}

/// A rule said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its class.
    pub kind: RefusalKind,
    /// Stable word.
    pub reason: &'static str,
    /// The rule and the way out, for a person.
    pub message: String,
    /// Resource name of the record it is about; empty for `Invalid`.
    pub subject: String,
    /// Values in the message, by stable keys, for a program.
    pub metadata: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal about a record.
    pub fn new(kind: RefusalKind, reason: &'static str, subject: impl ToString, message: impl Into<String>) -> Self {
        Self { kind, reason, message: message.into(), subject: subject.to_string(), metadata: Vec::new() }
    }

    /// With a value for programs.
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// Fields are wrong.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self::new(RefusalKind::Invalid(violations), "INVALID_FIELDS", "", "the request has invalid fields")
    }

    /// There is no such record in the tenant.
    pub fn not_found(name: impl ToString) -> Self {
        let name = name.to_string();
        let message = format!("{name} does not exist; check the name and the tenant");
        Self::new(RefusalKind::NotFound, "NOT_FOUND", name, message)
    }

    /// The state does not allow it.
    pub fn precondition(reason: &'static str, subject: impl ToString, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Precondition, reason, subject, message)
    }

    /// A subject that is closed out is not changed.
    pub fn subject_closed(subject: impl ToString, close_out: impl ToString) -> Self {
        let (subject, close_out) = (subject.to_string(), close_out.to_string());
        let message = format!("{subject} is closed out by {close_out}; reopen it to change it");
        Self::precondition("SUBJECT_CLOSED", subject, message).with("close_out", close_out)
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
    let message = format!("{} has changed since it was read; read it again and repeat the call", subject.to_string());
    Err(Refusal::new(RefusalKind::Changed, "VERSION_MISMATCH", subject, message).with("etag", etag(version)))
}
