//! `closeout reasons list` and `show`: the reasons for close-outs, what each requires, and what it was before.

use super::{ListArgs, OWN, REASON, ShowArgs, class_name, resource_name};
use crate::api::Api;
use crate::failure::Ending;
use crate::format::{counted, last_part, or_dash};
use crate::json;
use crate::screen::{Paint, Screen};
use crm_proto::common::{CloseOutReason, ReasonScope, VerificationRule};
use crm_proto::opportunity::{GetCloseOutReasonRequest, ListCloseOutReasonsRequest};
use serde_json::json;

/// How many of the latest versions are shown.
const VERSIONS: i64 = 50;

/// Lists the reasons of a scope.
pub(super) async fn run(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let scope = args.scope.map_or(ReasonScope::Unspecified, ReasonScope::from);
    let (locale, show_inactive) = (args.locale.clone(), args.all);
    let request = ListCloseOutReasonsRequest { scope: scope.into(), locale, show_inactive };
    let reasons = api.list_reasons(request).await?.reasons;
    if screen.json() {
        screen.emit(&json!({ "reasons": json::list(REASON, &reasons)? }))?;
    }
    table(&reasons, screen)?;
    Ok(Ending::Done)
}

/// Shows one with its versions, newest first.
pub(super) async fn show(args: &ShowArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let read = async |version| {
        let request = GetCloseOutReasonRequest { name: resource_name(&args.code), version, ..Default::default() };
        anyhow::Ok(api.get_reason(request).await?.reason.unwrap_or_default())
    };
    let reason = read(args.version.unwrap_or_default()).await?;
    let mut versions = Vec::new();
    if args.version.is_none() {
        for version in (1.max(reason.version - VERSIONS + 1)..=reason.version).rev() {
            versions.push(read(version).await?);
        }
    }
    if screen.json() {
        let versions = json::list(REASON, &versions)?;
        screen.emit(&json!({ "reason": json::message(REASON, &reason)?, "versions": versions }))?;
    }
    if args.version.is_some() {
        versions.push(reason.clone());
    }
    let code = screen.paint(Paint::Strong, last_part(&reason.name));
    let state = unused(&reason).unwrap_or_else(|| "in use".to_owned());
    screen.line(&format!("{code}, for {}, {state}", scope_name(reason.scope())))?;
    editions(&versions, screen)?;
    Ok(Ending::Done)
}

/// Versions of a reason as a table; with labels in other languages only where there are any.
fn editions(versions: &[CloseOutReason], screen: &Screen) -> anyhow::Result<()> {
    let others: Vec<_> = versions.iter().map(other_labels).collect();
    let has_others = others.iter().any(|labels| !labels.is_empty());
    let mut headings = vec!["version", "zh", "en", "class", "category", "requires", "win back"];
    headings.extend(has_others.then_some("other labels"));
    let mut table = screen.new_table_keeping(&headings, &[0, 3, 4, 6]);
    for (version, others) in versions.iter().zip(others) {
        let label = |language: &str| version.labels.get(language).map_or("", String::as_str).to_owned();
        let mut row = vec![
            screen.cell(Paint::Strong, version.version),
            label("zh").into(),
            label("en").into(),
            class_name(version.outcome_class()).into(),
            version.category.as_str().into(),
            or_dash(&asks_for(version).join(", ")).into(),
            win_back(version).into(),
        ];
        row.extend(has_others.then(|| others.into()));
        table.add_row(row);
    }
    screen.table(&table)
}

/// The reasons as a table.
pub(super) fn table(reasons: &[CloseOutReason], screen: &Screen) -> anyhow::Result<()> {
    let mut table =
        screen.new_table_keeping(&["code", "reason", "for", "class", "requires", "win back"], &[0, 2, 3, 5]);
    for reason in reasons {
        table.add_row([
            screen.cell(if reason.active { Paint::Strong } else { Paint::Dim }, last_part(&reason.name)),
            reason.label.as_str().into(),
            scope_name(reason.scope()).into(),
            class_name(reason.outcome_class()).into(),
            requires(reason).into(),
            win_back(reason).into(),
        ]);
    }
    screen.table(&table)
}

fn win_back(reason: &CloseOutReason) -> String {
    if reason.win_back_days > 0 { format!("{} days", reason.win_back_days) } else { "-".to_owned() }
}

fn scope_name(scope: ReasonScope) -> &'static str {
    match scope {
        ReasonScope::Unspecified => "-",
        ReasonScope::Opportunity => "opportunity",
        ReasonScope::Order => "order",
        ReasonScope::OrderProcessed => "order done",
    }
}

/// What a close-out with it must have, and what keeps it from being used.
fn requires(reason: &CloseOutReason) -> String {
    let mut all = asks_for(reason);
    all.extend(unused(reason));
    or_dash(&all.join(", ")).to_owned()
}

fn asks_for(reason: &CloseOutReason) -> Vec<String> {
    let mut all = Vec::new();
    match reason.min_detail_length {
        0 => {}
        1 => all.push("a detail".to_owned()),
        length => all.push(format!("a detail of {length} characters")),
    }
    if reason.needs_competitor {
        all.push("a competitor".to_owned());
    }
    all.extend(verification(reason));
    if reason.historical_only {
        all.push("dates of the past".to_owned());
    }
    all
}

/// What it says about a verification itself.
fn verification(reason: &CloseOutReason) -> Option<String> {
    let days = reason.verification_days;
    let age = if days > 0 {
        format!(" at most {} old", counted(days.unsigned_abs().into(), "day", "days"))
    } else {
        String::new()
    };
    match reason.verification() {
        VerificationRule::Required => Some(format!("a verification{age}")),
        VerificationRule::NotRequired => Some("no verification".to_owned()),
        VerificationRule::Unspecified if age.is_empty() => None,
        VerificationRule::Unspecified => Some(format!("if the settings say so, a verification{age}")),
    }
}

/// Why no new close-out may name it.
fn unused(reason: &CloseOutReason) -> Option<String> {
    if reason.active {
        None
    } else if reason.merged_into.is_empty() {
        Some("not in use".to_owned())
    } else {
        Some(format!("merged into {}", last_part(&reason.merged_into)))
    }
}

/// `fr: Pas de fonds`, a line for each language.
fn other_labels(reason: &CloseOutReason) -> String {
    let others = reason.labels.iter().filter(|(language, _)| !OWN.contains(&language.as_str()));
    others.map(|(language, label)| format!("{language}: {label}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reason_requires_reads_as_words() {
        let mut reason = CloseOutReason { active: true, min_detail_length: 1, ..CloseOutReason::default() };
        assert_eq!(requires(&reason), "a detail");
        (reason.min_detail_length, reason.needs_competitor) = (20, true);
        assert_eq!(requires(&reason), "a detail of 20 characters, a competitor");
        assert_eq!(requires(&CloseOutReason { active: true, ..CloseOutReason::default() }), "-");
    }

    #[test]
    fn what_a_reason_says_about_a_verification_reads_as_words() {
        let told = |rule: VerificationRule, verification_days| {
            let verification = rule.into();
            requires(&CloseOutReason { active: true, verification, verification_days, ..CloseOutReason::default() })
        };
        assert_eq!(told(VerificationRule::Required, 0), "a verification");
        assert_eq!(told(VerificationRule::Required, 7), "a verification at most 7 days old");
        assert_eq!(told(VerificationRule::NotRequired, 7), "no verification");
        assert_eq!(told(VerificationRule::Unspecified, 0), "-");
        assert_eq!(told(VerificationRule::Unspecified, 1), "if the settings say so, a verification at most 1 day old");
    }

    #[test]
    fn a_merged_reason_says_into_which() {
        let mut reason = CloseOutReason::default();
        assert_eq!(requires(&reason), "not in use");
        reason.merged_into = "closeOutReasons/OTHER".into();
        assert_eq!(requires(&reason), "merged into OTHER");
    }
}
