//! `closeout reasons`: the reasons for close-outs and what each requires.

use crate::api::Api;
use crate::args::{ReasonsArgs, Scope};
use crate::failure::Ending;
use crate::format::{label, last_part};
use crate::json;
use crate::screen::{Paint, Screen};
use crm_proto::common::{CloseOutReason, ReasonScope};
use crm_proto::opportunity::ListCloseOutReasonsRequest;
use serde_json::json;

/// Lists the reasons of a scope.
pub(super) async fn run(args: &ReasonsArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let scope = match args.scope {
        None => ReasonScope::Unspecified,
        Some(Scope::Opportunity) => ReasonScope::Opportunity,
        Some(Scope::Order) => ReasonScope::Order,
        Some(Scope::OrderProcessed) => ReasonScope::OrderProcessed,
    };
    let request = ListCloseOutReasonsRequest { scope: scope.into(), locale: args.locale.clone() };
    let reasons = api.list_reasons(request).await?.reasons;
    if screen.json() {
        screen.emit(&json!({ "reasons": json::list("crm.common.v1.CloseOutReason", &reasons)? }))?;
    }
    let mut table =
        screen.new_table_keeping(&["code", "reason", "for", "class", "requires", "win back"], &[0, 2, 3, 5]);
    for reason in &reasons {
        let days = if reason.win_back_days > 0 { format!("{} days", reason.win_back_days) } else { "-".to_owned() };
        table.add_row([
            screen.cell(if reason.active { Paint::Strong } else { Paint::Dim }, last_part(&reason.name)),
            reason.label.as_str().into(),
            scope_name(reason.scope()).into(),
            label(reason.outcome_class().as_str_name(), "OUTCOME_CLASS_").into(),
            requires(reason).into(),
            days.into(),
        ]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
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
