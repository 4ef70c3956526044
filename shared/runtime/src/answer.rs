//! Statuses with google.rpc details. In goes a wording with its values; out comes a `tonic::Status` that carries an ErrorInfo of
//! [`DOMAIN`], where it fits BadRequest, PreconditionFailure or RetryInfo, and a LocalizedMessage if the caller asks for a language.
//! Everything is kept small, since a status travels in HTTP/2 headers and many clients take no more than 8 KiB of them.

use crate::language;
use crm_closeout::{
    refusal::Violation,
    wording::{self, Class, Language, Value, Wording},
};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, LocalizedMessage, PreconditionViolation, StatusExt};

/// Domain of every ErrorInfo; a reason is unique within it and never changes its meaning.
pub const DOMAIN: &str = "closeout.crm";

const MESSAGE_BYTES: usize = 1024;
/// Of the message in the language of the caller; each wrong field has one of its own.
const LOCALIZED_BYTES: usize = 512;
const VIOLATION_BYTES: usize = 256;
const VIOLATIONS_BYTES: usize = 2048;

/// What a wording says to the caller, with its values; they also stand in the metadata, for programs.
pub fn refusal(wording: &Wording, values: &[Value]) -> Status {
    let mut details = details(wording, values);
    if let Some(subject) = values.iter().find(|(name, _)| *name == "subject")
        && wording.class == Class::Precondition
        && wording.retry == 0
    {
        let text = wording.text(Language::English, values);
        details.set_precondition_failure(vec![PreconditionViolation::new(
            wording.reason,
            clip(&subject.1, VIOLATION_BYTES),
            clip(&text, VIOLATION_BYTES),
        )]);
    }
    told(details, wording.text(Language::English, values), |language| wording.text(language, values), wording.class)
}

/// One of two texts, in the language of the call.
pub fn either<'a>(english: &'a str, chinese: &'a str) -> &'a str {
    match language::current() {
        Some(Language::Chinese) => chinese,
        Some(Language::English) | None => english,
    }
}

/// What a wording says, in the language of the caller.
pub fn text(wording: &Wording, values: &[Value]) -> String {
    wording.text(language::current().unwrap_or(Language::English), values)
}

/// INVALID_ARGUMENT / `INVALID_FIELDS`: all violations at once. If there are very many, the first are listed and the metadata
/// `violations` has the number of all.
pub fn invalid(violations: &[Violation]) -> Status {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for violation in violations {
        let listed = field_violation(violation);
        bytes += listed.field.len() + listed.description.len() + listed.reason.len();
        bytes += listed.localized_message.as_ref().map_or(0, |message| message.message.len());
        if bytes > VIOLATIONS_BYTES && !kept.is_empty() {
            break;
        }
        kept.push(listed);
    }
    let text = |language: Language| {
        let listed = violations.iter().take(kept.len());
        let all: Vec<_> = listed.map(|v| format!("{}: {}", v.field, v.wording.text(language, &v.values))).collect();
        match (kept.len() < violations.len(), language) {
            (false, Language::English) => all.join("; "),
            (false, Language::Chinese) => all.join("；"),
            (true, Language::English) => {
                format!("{} fields are invalid, the first are: {}", violations.len(), all.join("; "))
            }
            (true, Language::Chinese) => format!("共有 {} 个字段无效，前几个为：{}", violations.len(), all.join("；")),
        }
    };
    let wording = &wording::INVALID_FIELDS;
    let mut details = details(wording, &[("violations", violations.len().to_string())]);
    details.set_bad_request(kept.clone());
    told(details, text(Language::English), text, wording.class)
}

fn field_violation(violation: &Violation) -> FieldViolation {
    let text = |language| clip(&violation.wording.text(language, &violation.values), VIOLATION_BYTES);
    let mut listed = FieldViolation::new(clip(&violation.field, VIOLATION_BYTES), text(Language::English));
    listed.reason = violation.reason().to_owned();
    listed.localized_message = spoken().map(|language| LocalizedMessage::new(language.tag(), text(language)));
    listed
}

/// The caller's language, if it is not the one of every message.
fn spoken() -> Option<Language> {
    language::current().filter(|language| *language != Language::English)
}

fn details(wording: &Wording, values: &[Value]) -> ErrorDetails {
    let metadata: HashMap<_, _> =
        values.iter().map(|(key, value)| ((*key).to_owned(), clip(value, VIOLATION_BYTES))).collect();
    let mut details = ErrorDetails::with_error_info(wording.reason, DOMAIN, metadata);
    if wording.retry > 0 {
        details.set_retry_info(Some(Duration::from_millis(wording.retry)));
    }
    details
}

fn told(mut details: ErrorDetails, message: String, text: impl Fn(Language) -> String, class: Class) -> Status {
    if let Some(language) = language::current() {
        details.set_localized_message(language.tag(), clip(&text(language), LOCALIZED_BYTES));
    }
    Status::with_error_details(code(class), clip(&message, MESSAGE_BYTES), details)
}

fn code(class: Class) -> Code {
    match class {
        Class::Argument | Class::Field => Code::InvalidArgument,
        Class::Caller => Code::Unauthenticated,
        Class::Denied => Code::PermissionDenied,
        Class::NotFound => Code::NotFound,
        Class::Exists => Code::AlreadyExists,
        Class::Precondition => Code::FailedPrecondition,
        Class::Aborted => Code::Aborted,
        Class::Exhausted => Code::ResourceExhausted,
        Class::Unavailable => Code::Unavailable,
        Class::Deadline => Code::DeadlineExceeded,
        Class::Unknown => Code::Unimplemented,
        Class::Internal => Code::Internal,
    }
}

/// At most `bytes` of the text, cut between characters; three dots show the cut.
fn clip(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(bytes.saturating_sub(3))])
}

/// The name of a code as the gRPC documentation and the conventions of OpenTelemetry write it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&'static str, &str)]) -> Vec<Value> {
        values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn a_refusal_carries_reason_domain_and_metadata() {
        let status = refusal(&wording::VERSION_MISMATCH, &values(&[("subject", "orders/1"), ("etag", "7")]));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("VERSION_MISMATCH", DOMAIN));
        assert_eq!(info.metadata["etag"], "7");
        assert_eq!(status.code(), Code::Aborted);
        assert!(status.message().starts_with("orders/1 has changed since it was read"), "{}", status.message());
        assert!(status.get_details_localized_message().is_none(), "nobody asked for a language");
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let status = invalid(&[
            Violation::new("name", &wording::INVALID_NAME).with("collection", "orders"),
            Violation::new("reason", &wording::REQUIRED),
        ]);
        assert!(status.message().starts_with("name: must be `orders/` and a"), "{}", status.message());
        assert!(status.message().ends_with("; reason: must be given"), "{}", status.message());
        assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_FIELDS");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 2);
        assert_eq!((violations[1].field.as_str(), violations[1].reason.as_str()), ("reason", "REQUIRED"));
    }

    #[tokio::test]
    async fn a_status_fits_in_headers_however_much_is_wrong_and_in_whatever_language() {
        for language in [None, Some(Language::English), Some(Language::Chinese)] {
            let long = "太长".repeat(1_000);
            let all: Vec<_> = (0..500)
                .map(|n| Violation::new(format!("items[{n}].note"), &wording::UNKNOWN_STAGE).with("stages", &long))
                .collect();
            let status = language::answer_in(language, async { invalid(&all) }).await;
            let size: usize = status.clone().into_http::<()>().headers().values().map(|value| value.len()).sum();
            assert!(size < 8 * 1024, "{size}");
            assert!(status.message().starts_with("500 fields are invalid"), "{}", status.message());
            assert_eq!(status.get_details_error_info().unwrap().metadata["violations"], "500");
        }
    }

    #[tokio::test]
    async fn a_caller_is_told_in_its_own_language() {
        let asked = Some(Language::Chinese);
        let status =
            language::answer_in(asked, async { invalid(&[Violation::new("reason", &wording::REQUIRED)]) }).await;
        let told = status.get_details_localized_message().unwrap();
        assert_eq!((told.locale.as_str(), told.message.as_str()), ("zh", "reason: 必须填写"));
        let field = &status.get_details_bad_request().unwrap().field_violations[0];
        assert_eq!(field.localized_message.as_ref().unwrap().message, "必须填写");
        assert_eq!((field.description.as_str(), status.message()), ("must be given", "reason: must be given"));
        let english = language::answer_in(Some(Language::English), async { refusal(&wording::OVERLOADED, &[]) }).await;
        assert_eq!(english.get_details_localized_message().unwrap().message, english.message());
    }

    #[test]
    fn a_precondition_names_what_stands_in_the_way() {
        let status =
            refusal(&wording::SUBJECT_CLOSED, &values(&[("subject", "orders/1"), ("close_out", "closeOuts/2")]));
        assert_eq!(status.code(), Code::FailedPrecondition);
        let violation = &status.get_details_precondition_failure().unwrap().violations[0];
        assert_eq!((violation.r#type.as_str(), violation.subject.as_str()), ("SUBJECT_CLOSED", "orders/1"));
    }

    #[test]
    fn a_passing_refusal_says_when_to_come_back() {
        let status = refusal(&wording::PROCESS_FULL, &[]);
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
        assert_eq!(status.get_details_error_info().unwrap().reason, "OVERLOADED");
    }
}
