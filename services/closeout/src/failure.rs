//! How a command ends: its exit code, and a failure told to a person or, with `--json`, to a program.

use crate::screen::{Paint, Screen};
use crm_runtime::answer::code_name;
use prost::Message as _;
use serde_json::{Value, json};
use std::{fmt, io, process::ExitCode};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was done.
    Done,
    /// Done, but some of it was refused: rows of the data, opportunities of a sweep.
    SomeRefused,
}

impl Ending {
    /// The exit code that the help text promises.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::SomeRefused => ExitCode::from(3),
        }
    }
}

/// The command line asks for something that makes no sense.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A failure as it is shown.
#[derive(Debug, PartialEq)]
struct Told {
    code: String,
    reason: String,
    message: String,
    violations: Vec<(String, String)>,
    next: Option<&'static str>,
    exit: u8,
}

/// Shows why the command failed and says with which code to exit.
pub(crate) fn show(error: &anyhow::Error, screen: &Screen) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::from(1); // nobody reads any more, so there is nobody to tell
    }
    let told = tell(error);
    let shown = if screen.json() { screen.emit(&told.json()) } else { told.print(screen) };
    // If even this cannot be written, the exit code is all that is left to say.
    ExitCode::from(if shown.is_ok() { told.exit } else { 1 })
}

fn tell(error: &anyhow::Error) -> Told {
    if let Some(status) = error.downcast_ref::<Status>() {
        return tell_status(error, status);
    }
    let usage = error.downcast_ref::<Usage>().is_some();
    Told {
        code: if usage { "USAGE" } else { "FAILED" }.to_owned(),
        reason: String::new(),
        message: every_cause(error),
        violations: Vec::new(),
        next: next_step_here(error),
        exit: if usage { 2 } else { 1 },
    }
}

fn tell_status(error: &anyhow::Error, status: &Status) -> Told {
    let reason = reason(status).unwrap_or_default();
    // The status prints with its details; the context before it is what the person was doing.
    let doing: Vec<String> =
        error.chain().take_while(|cause| !cause.is::<Status>()).map(|cause| cause.to_string()).collect();
    let message: Vec<String> = doing.into_iter().chain([words(status)]).collect();
    Told {
        code: code_name(status.code()).to_owned(),
        next: next_step(status, &reason),
        reason,
        message: message.join(": "),
        violations: violations(status),
        exit: if is_refusal(status.code()) { 4 } else { 1 },
    }
}

impl Told {
    fn json(&self) -> Value {
        let violations: Vec<Value> = self
            .violations
            .iter()
            .map(|(field, description)| json!({ "field": field, "description": description }))
            .collect();
        json!({ "error": {
            "code": self.code, "reason": self.reason, "message": self.message, "violations": violations,
            "next": self.next,
        }})
    }

    /// True if the message holds what every violation says, so that one of the two is enough.
    fn is_repeated(&self) -> bool {
        self.violations.iter().all(|(_, description)| self.message.contains(description.as_str()))
    }

    fn print(&self, screen: &Screen) -> anyhow::Result<()> {
        let (message, listed): (&str, &[_]) = match self.violations.as_slice() {
            [_] if self.is_repeated() => (&self.message, &[]),
            [_, _, ..] if self.is_repeated() => ("the service does not accept it:", &self.violations),
            all => (&self.message, all),
        };
        screen.complain(&format!("{} {message}", screen.paint_error(Paint::Bad, "error:")))?;
        for (field, description) in listed {
            screen.complain(&format!("  - {field}: {description}"))?;
        }
        if !self.reason.is_empty() {
            let code = if self.reason == self.code { String::new() } else { format!(" ({})", self.code) };
            screen.complain(&format!("  {}{code}", self.reason))?;
        }
        if let Some(next) = &self.next {
            screen.complain(&format!("  {} {next}", screen.paint_error(Paint::Strong, "what next:")))?;
        }
        Ok(())
    }
}

/// What was told of one thing among many, as a call of its own would have been answered.
pub(crate) fn of_message(error: &crm_proto::Status) -> Status {
    Status::with_details(Code::from(error.code), error.message.clone(), error.encode_to_vec().into())
}

/// The stable reason that a service gave.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason).filter(|reason| !reason.is_empty())
}

/// One line with everything that a status says: for reports of single rows.
pub(crate) fn one_line(status: &Status) -> String {
    let mut text = words(status);
    if let Some(reason) = reason(status) {
        text.push_str(&format!(" ({reason})"));
    }
    for (field, description) in violations(status) {
        text.push_str(&format!("; {field}: {description}"));
    }
    text
}

/// True if the service refused by a rule, so that asking again changes nothing.
pub(crate) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
    )
}

/// Every cause, from the outside in, each once: some tell their own cause, too.
fn every_cause(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// What a status says, in the person's language if the service knows it; else every cause of it, from the outside in: a bare
/// "transport error" helps nobody.
fn words(status: &Status) -> String {
    if let Some(told) = status.get_details_localized_message() {
        return told.message;
    }
    let mut text = if status.message().is_empty() { status.code().description() } else { status.message() }.to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(&format!(": {more}"));
        }
        cause = error.source();
    }
    text
}

fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_error_details();
    let fields = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    let rules = details.precondition_failure().into_iter().flat_map(|failure| &failure.violations);
    fields
        .map(|violation| {
            let told = violation.localized_message.as_ref().map_or(&violation.description, |told| &told.message);
            (violation.field.clone(), told.clone())
        })
        .chain(rules.map(|rule| {
            // A rule is told in one language only; what it says is the message, which is told in both.
            let told = if rule.description == status.message() { words(status) } else { rule.description.clone() };
            (format!("{} {}", rule.r#type, rule.subject), told)
        }))
        .collect()
}

fn next_step_here(error: &anyhow::Error) -> Option<&'static str> {
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    let taken = error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_taken));
    let other = "stop that one, or take other ports: --opportunity-url http://127.0.0.1:PORT --order-url ...";
    taken.then_some(other)
}

fn next_step(status: &Status, reason: &str) -> Option<&'static str> {
    let code = status.code();
    let by_reason = match reason {
        "LIVE_ORDER" => "close out its live orders first: closeout list orders --opportunity NAME",
        "PLAN_CHANGED" => {
            "look at it as it is now, closeout preview with the same flags, and close out with that --plan"
        }
        "PLAN_UNVERIFIABLE" => "wait a moment; or close out without having seen it: --yes, and no --plan",
        "PARENT_CLOSED" => "reopen the record it belongs to first: closeout reopen NAME",
        "PARENT_UNKNOWN" => "wait a moment: the other service has not heard of it yet",
        "SUBJECT_CLOSED" | "ALREADY_CLOSED" => "it is closed already: closeout show NAME; closeout reopen NAME",
        "CLOSE_PENDING" => "see what waits and why: closeout approvals",
        "NOTHING_LEFT" | "NEEDS_APPROVAL" => "close the order out instead: closeout close-out NAME --reason CODE",
        "PAID_SINCE" => "reject it, closeout approvals reject NAME --note TEXT, and have the order closed out again",
        "ON_HOLD" => "take it up again first: closeout resume NAME",
        "NOT_PENDING" => "closeout show NAME tells what was decided; closeout approvals lists what waits",
        "APPROVAL_EXPIRED" => "close it out again, and have that approved",
        "SELF_APPROVAL" => {
            "another person approves it with --principal NAME; you can withdraw it: closeout approvals withdraw"
        }
        "NOT_REQUESTER" => "reject it instead: closeout approvals reject NAME --note TEXT",
        "REFUND_REFERENCE_REQUIRED" => "the order was paid: give --refund-reference",
        "IDEMPOTENCY_KEY_REUSED" => "this row was imported before with other content; change the record instead",
        "CODE_TAKEN" => "change that one instead: closeout reasons update CODE",
        "COMPETITOR_INACTIVE" => "name one that is in use: closeout competitors; or closeout competitors activate NAME",
        "COMPETITOR_MERGED" => "closeout competitors --all shows what was merged into what",
        "LAST_REASON" => "activate or make another one first: closeout reasons list --all",
        "MERGED" => "closeout reasons list --all shows what was merged into what",
        "STALE_VERIFICATION" => {
            "verify it again and say so: --verified call --contact TEXT; closeout settings has the rule"
        }
        "RESUME_TOKEN_EXPIRED" => "watch without --resume-token, and look at what there is by now: closeout list",
        "TOO_MANY_OPEN" => "close or cancel some of what is open under it first",
        _ => "",
    };
    if !by_reason.is_empty() {
        return Some(by_reason);
    }
    // A status with a source was made on this side, as there was no answer.
    if code == Code::Unavailable || std::error::Error::source(status).is_some() {
        return Some("are both services running? closeout up, or give --opportunity-url and --order-url");
    }
    if code == Code::NotFound && status.message().contains("competitor") {
        return Some("closeout competitors --all lists them (tenant right?)");
    }
    if code == Code::NotFound {
        return Some("look it up: closeout list opportunities|orders|tasks|customers|close-outs (tenant right?)");
    }
    if code == Code::Aborted {
        return Some("it changed in the meantime: look at it and try again");
    }
    let of_reason = |(field, _): &(String, String)| matches!(field.as_str(), "reason" | "detail" | "competitor");
    if code == Code::InvalidArgument && violations(status).iter().any(of_reason) {
        return Some("closeout reasons shows what each reason requires; give --detail, --competitor");
    }
    let of_verification = |(field, _): &(String, String)| field == "verification";
    if code == Code::InvalidArgument && violations(status).iter().any(of_verification) {
        return Some(
            "say how you know: --verified call|meeting|message|document --contact TEXT; closeout settings has the rule",
        );
    }
    if code == Code::InvalidArgument && violations(status).iter().any(|(field, _)| field == "stage") {
        return Some("closeout pipelines --all shows every stage");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use tonic_types::ErrorDetails;

    fn refusal() -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info("LIVE_ORDER", "closeout.crm", std::collections::HashMap::new());
        details.add_precondition_failure_violation("LIVE_ORDER", "orders/1", "is CONFIRMED");
        Status::with_error_details(Code::FailedPrecondition, "the opportunity has a live order", details)
    }

    #[test]
    fn a_refusal_tells_reason_violations_and_what_to_do() {
        let error = Err::<(), _>(refusal()).context("closing out opportunities/1").unwrap_err();
        let told = tell(&error);
        assert_eq!(told.message, "closing out opportunities/1: the opportunity has a live order");
        assert_eq!((told.code.as_str(), told.reason.as_str(), told.exit), ("FAILED_PRECONDITION", "LIVE_ORDER", 4));
        assert_eq!(told.violations, [("LIVE_ORDER orders/1".to_owned(), "is CONFIRMED".to_owned())]);
        assert!(told.next.is_some());
    }

    #[test]
    fn every_field_violation_is_listed_in_json() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("detail", "is required");
        details.add_bad_request_violation("competitor", "is required");
        let status = Status::with_error_details(Code::InvalidArgument, "two fields are missing", details);
        let json = tell(&anyhow::Error::from(status)).json();
        assert_eq!(json["error"]["message"], "two fields are missing");
        assert_eq!(json["error"]["violations"][1]["field"], "competitor");
    }

    #[test]
    fn a_wrong_command_line_and_a_lost_service_have_their_own_codes() {
        assert_eq!(tell(&anyhow::Error::from(Usage("no".into()))).exit, 2);
        let lost = tell(&anyhow::Error::from(Status::unavailable("refused")));
        assert_eq!(lost.exit, 1);
        assert!(lost.next.is_some_and(|next| next.contains("closeout up")));
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_twice() {
        let error = anyhow::anyhow!("no such file").context("a.csv: no such file").context("reading");
        assert_eq!(tell(&error).message, "reading: a.csv: no such file");
    }

    #[test]
    fn one_line_holds_all_of_it() {
        assert_eq!(
            one_line(&refusal()),
            "the opportunity has a live order (LIVE_ORDER); LIVE_ORDER orders/1: is CONFIRMED"
        );
    }
}
