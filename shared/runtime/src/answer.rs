//! Statuses with google.rpc details. In go a code, a stable reason and a text for people; out comes a `tonic::Status` that
//! carries an ErrorInfo of [`DOMAIN`] and where it fits BadRequest, PreconditionFailure or RetryInfo.
//! Everything is kept small, since a status travels in HTTP/2 headers and many clients take no more than 8 KiB of them.

use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

/// Domain of every ErrorInfo; a reason is unique within it and never changes its meaning.
pub const DOMAIN: &str = "closeout.crm";

const MESSAGE_BYTES: usize = 1024;
const VIOLATION_BYTES: usize = 256;
const VIOLATIONS_BYTES: usize = 2048;

/// A refusal with its reason; whatever the message says that a program may need stands in `metadata`, too.
pub fn refusal(code: Code, reason: &'static str, message: impl Into<String>, metadata: &[(&str, String)]) -> Status {
    status(code, message.into(), details(reason, metadata))
}

/// INVALID_ARGUMENT / `INVALID_FIELDS` from (field, reason, description): all violations at once.
/// If there are very many, the first are listed and the metadata `violations` has the number of all.
pub fn invalid(violations: impl IntoIterator<Item = (String, &'static str, String)>) -> Status {
    let all: Vec<_> = violations.into_iter().collect();
    let mut kept = Vec::new();
    let mut bytes = 0;
    for (field, reason, description) in &all {
        let mut violation = FieldViolation::new(clip(field, VIOLATION_BYTES), clip(description, VIOLATION_BYTES));
        violation.reason = (*reason).to_owned();
        bytes += violation.field.len() + violation.description.len() + reason.len();
        if bytes > VIOLATIONS_BYTES && !kept.is_empty() {
            break;
        }
        kept.push(violation);
    }
    let mut message = kept
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    if kept.len() < all.len() {
        message = format!("{} fields are invalid, the first are: {message}", all.len());
    }
    let mut details = details("INVALID_FIELDS", &[("violations", all.len().to_string())]);
    details.set_bad_request(kept);
    status(Code::InvalidArgument, message, details)
}

/// FAILED_PRECONDITION: a rule or a state said no; violations are (type, subject, description).
pub fn precondition(
    reason: &'static str,
    message: impl Into<String>,
    metadata: &[(&str, String)],
    violations: impl IntoIterator<Item = (&'static str, String, String)>,
) -> Status {
    let violations: Vec<_> = violations
        .into_iter()
        .map(|(kind, subject, description)| {
            PreconditionViolation::new(kind, clip(&subject, VIOLATION_BYTES), clip(&description, VIOLATION_BYTES))
        })
        .collect();
    let mut details = details(reason, metadata);
    if !violations.is_empty() {
        details.set_precondition_failure(violations);
    }
    status(Code::FailedPrecondition, message.into(), details)
}

/// A refusal that passes by itself: the same request may be sent again after `delay`.
pub fn retry_later(code: Code, reason: &'static str, message: impl Into<String>, delay: Duration) -> Status {
    let mut details = details(reason, &[]);
    details.set_retry_info(Some(delay));
    status(code, message.into(), details)
}

fn details(reason: &'static str, metadata: &[(&str, String)]) -> ErrorDetails {
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), clip(value, VIOLATION_BYTES))).collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

fn status(code: Code, message: String, details: ErrorDetails) -> Status {
    Status::with_error_details(code, clip(&message, MESSAGE_BYTES), details)
}

/// At most `bytes` of the text, cut between characters; three dots show the cut.
fn clip(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(bytes.saturating_sub(3))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_reason_domain_and_metadata() {
        let status = refusal(Code::Aborted, "VERSION_MISMATCH", "changed meanwhile", &[("etag", "7".into())]);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("VERSION_MISMATCH", DOMAIN));
        assert_eq!(info.metadata["etag"], "7");
        assert_eq!((status.code(), status.message()), (Code::Aborted, "changed meanwhile"));
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let status = invalid([
            ("name".into(), "INVALID_NAME", "must be `orders/` and a UUID".into()),
            ("reason".into(), "REQUIRED", "must be given".into()),
        ]);
        assert_eq!(status.message(), "name: must be `orders/` and a UUID; reason: must be given");
        assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_FIELDS");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 2);
        assert_eq!((violations[1].field.as_str(), violations[1].reason.as_str()), ("reason", "REQUIRED"));
    }

    #[test]
    fn a_status_fits_in_headers_however_much_is_wrong() {
        let status = invalid((0..500).map(|n| (format!("items[{n}].note"), "TOO_LONG", "太长".repeat(1000))));
        let size: usize = status.clone().into_http::<()>().headers().values().map(|value| value.len()).sum();
        assert!(size < 8 * 1024, "{size}");
        assert!(status.message().starts_with("500 fields are invalid"), "{}", status.message());
        assert_eq!(status.get_details_error_info().unwrap().metadata["violations"], "500");
    }

    #[test]
    fn a_precondition_names_what_stands_in_the_way() {
        let violations = [("STATE", "orders/1".to_owned(), "is processed".to_owned())];
        let status = precondition("SUBJECT_CLOSED", "the order is closed", &[], violations);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.get_details_precondition_failure().unwrap().violations[0].subject, "orders/1");
    }

    #[test]
    fn a_passing_refusal_says_when_to_come_back() {
        let status = retry_later(Code::ResourceExhausted, "OVERLOADED", "busy", Duration::from_secs(1));
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
        assert_eq!(status.get_details_error_info().unwrap().reason, "OVERLOADED");
    }
}
