//! `closeout reasons list` and `show`: the reasons for close-outs, what each requires, and what it was before.

use super::{ListArgs, REASON, ShowArgs, class_name, resource_name};
use crate::api::Api;
use crate::failure::Ending;
use crate::format::last_part;
use crate::json;
use crate::screen::{Paint, Screen};
use crm_proto::common::{CloseOutReason, ReasonScope};
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
    let state = if reason.active { "in use" } else { "not in use" };
    let code = screen.paint(Paint::Strong, last_part(&reason.name));
    screen.line(&format!("{code}, for {}, {state}", scope_name(reason.scope())))?;
    let headings = ["version", "zh", "en", "class", "category", "requires", "win back"];
    let mut table = screen.new_table_keeping(&headings, &[0, 3, 4, 6]);
    for version in &versions {
        let label = |language: &str| version.labels.get(language).map_or("", String::as_str).to_owned();
        table.add_row([
            screen.cell(Paint::Strong, version.version),
            label("zh").into(),
            label("en").into(),
            class_name(version.outcome_class()).into(),
            version.category.as_str().into(),
            requires(&CloseOutReason { active: true, ..version.clone() }).into(),
            win_back(version).into(),
        ]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
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

fn requires(reason: &CloseOutReason) -> String {
    let mut all = Vec::new();
    match reason.min_detail_length {
        0 => {}
        1 => all.push("a detail".to_owned()),
        length => all.push(format!("a detail of {length} characters")),
    }
    if reason.needs_competitor {
        all.push("a competitor".to_owned());
    }
    if reason.historical_only {
        all.push("dates of the past".to_owned());
    }
    if !reason.active {
        all.push("not in use".to_owned());
    }
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
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
}
