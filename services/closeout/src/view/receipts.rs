//! A close-out and its receipts: one line for everything it did, on either side.

use super::{Tasks, approval, remarks, side_name};
use crate::format::{
    counted, label, money, money_or_none, receipt_value, short_name, stage_id, time, with_short_names,
};
use crate::screen::{Paint, Screen};
use crm_proto::common::{CloseOut, CloseOutState, Effect, EffectKind, Side};

/// Shows receipts. `tasks` lends titles to the tasks it knows.
pub(crate) fn show_receipts(effects: &[Effect], tasks: &Tasks, screen: &Screen) -> anyhow::Result<()> {
    if effects.is_empty() {
        return screen.note("Nothing else was changed.");
    }
    let mut table = screen.new_table_keeping(&["#", "side", "what", "to", "before", "after"], &[0, 1, 2]);
    for (index, effect) in effects.iter().enumerate() {
        let paint = if is_left(effect.kind()) { Paint::Bad } else { Paint::Good };
        table.add_row([
            screen.cell(Paint::Dim, index + 1),
            screen.cell(Paint::Dim, side_name(effect.side())),
            screen.cell(paint, what(effect.kind())),
            target(effect, tasks).into(),
            screen.cell(Paint::Dim, receipt_value(&effect.before)),
            receipt_value(&effect.after).into(),
        ]);
    }
    screen.table(&table)
}

/// In the words of a plan the moment of the close has a name, as it is not there yet.
pub(crate) fn readable(effect: Effect) -> Effect {
    let after = if effect.after == "close_time" { "when closed out".to_owned() } else { effect.after };
    Effect { after, ..effect }
}

/// Shows a close-out.
pub(crate) fn show_close_out(close_out: &CloseOut, side: Side, screen: &Screen) -> anyhow::Result<()> {
    screen.heading(&format!("close-out {}", close_out.name))?;
    let mut table = screen.new_table(&["field", "value"]);
    for (field, value) in rows(close_out, side).into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([screen.cell(Paint::Dim, field), value.into()]);
    }
    screen.table(&table)
}

const KEPT: &str = "the rate when it was closed out";

fn rows(close_out: &CloseOut, side: Side) -> Vec<(&'static str, String)> {
    let counts = counts(close_out);
    let mut rows = vec![
        ("made by", side_name(side).to_owned()),
        ("of", close_out.subject.clone()),
        ("customer", close_out.customer.clone()),
        ("outcome", outcome(close_out)),
        ("reason", remarks::reason(&close_out.reason, close_out.reason_version)),
        ("detail", close_out.detail.clone()),
        ("competitor", close_out.competitor.clone()),
        ("actor", close_out.actor.clone()),
        (if counts { "closed" } else { "asked for" }, time(close_out.close_time.as_ref())),
        ("state", label(close_out.state().as_str_name(), "CLOSE_OUT_STATE_")),
        ("propagation", label(close_out.propagation().as_str_name(), "PROPAGATION_")),
        ("other service", label(close_out.peer_outcome().as_str_name(), "PEER_OUTCOME_")),
        ("caused by", close_out.cause.clone()),
        ("with the customer", close_out.group.clone()),
        ("win back", close_out.win_back_time.as_ref().map_or_else(String::new, |at| time(Some(at)))),
    ];
    rows.extend(remarks::rows(close_out));
    if let Some(snapshot) = &close_out.snapshot {
        let amount = money_or_none(snapshot.amount.as_ref());
        let days = format!("{} open", counted(snapshot.days_open.unsigned_abs(), "day", "days"));
        let state = format!("{} {}", snapshot.state, stage_id(&snapshot.stage));
        rows.push(("before it", format!("{}, {amount}, {days}, owner {}", state.trim_end(), snapshot.owner)));
        if let Some(kept) = &snapshot.tenant_amount {
            rows.push(("worth", format!("{} at {}, {KEPT}", money(kept), snapshot.exchange_rate)));
        }
    }
    rows.extend(approval::rows(close_out));
    if let Some(reversal) = &close_out.reversal {
        let propagation = label(reversal.propagation().as_str_name(), "PROPAGATION_");
        let when = time(reversal.reopen_time.as_ref());
        rows.push(("reopened", format!("{when} by {} ({propagation}) {}", reversal.actor, reversal.note)));
    }
    rows
}

/// It was carried out, whether it was reversed since or not.
fn counts(close_out: &CloseOut) -> bool {
    matches!(close_out.state(), CloseOutState::Effective | CloseOutState::Reversed | CloseOutState::Unspecified)
}

/// `LOST (NO_DECISION)`; of one that was not carried out its state as well: `LOST (NO_DECISION), REJECTED`.
pub(crate) fn outcome(close_out: &CloseOut) -> String {
    let mut text = label(close_out.outcome().as_str_name(), "OUTCOME_");
    let class = label(close_out.outcome_class().as_str_name(), "OUTCOME_CLASS_");
    if class != "-" {
        text.push_str(&format!(" ({class})"));
    }
    if !counts(close_out) {
        text.push_str(&format!(", {}", label(close_out.state().as_str_name(), "CLOSE_OUT_STATE_")));
    }
    text
}

fn target(effect: &Effect, tasks: &Tasks) -> String {
    let title = tasks.all.iter().find(|(_, task)| task.name == effect.resource).map(|(_, task)| task.title.as_str());
    let target = title.map_or_else(|| short_name(&effect.resource), with_short_names);
    // A close-out is about one customer, so that its id tells nothing.
    let target = if target.starts_with("customers/") { "customer".to_owned() } else { target };
    if effect.field.is_empty() { target } else { format!("{target}: {}", effect.field.replace('_', " ")) }
}

fn is_left(kind: EffectKind) -> bool {
    matches!(kind, EffectKind::LeftModified | EffectKind::LeftLive | EffectKind::Differs)
}

fn what(kind: EffectKind) -> &'static str {
    match kind {
        EffectKind::Unspecified => "-",
        EffectKind::TaskCancelled => "task closed",
        EffectKind::TaskRestored => "task restored",
        EffectKind::TaskCreated => "task made",
        EffectKind::SubjectClosed => "closed out",
        EffectKind::SubjectReopened => "reopened",
        EffectKind::RecordChanged => "record changed",
        EffectKind::LeftModified => "left: changed since",
        EffectKind::LeftLive => "left: live by now",
        EffectKind::More => "and more",
        EffectKind::Differs => "otherwise than planned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::common::{Outcome, OutcomeClass, Task};

    #[test]
    fn a_receipt_names_the_task_by_its_title() {
        let task = Task { name: "tasks/1".into(), title: "Quote GTX Pro".into(), ..Task::default() };
        let tasks = Tasks { all: vec![(Side::Opportunity, task)] };
        let effect = Effect { resource: "tasks/1".into(), ..Effect::default() };
        assert_eq!(target(&effect, &tasks), "Quote GTX Pro");
        let effect = Effect { resource: "customers/9".into(), field: "open_count".into(), ..Effect::default() };
        assert_eq!(target(&effect, &tasks), "customer: open count");
    }

    #[test]
    fn an_outcome_shows_its_class_if_it_has_one() {
        let mut close_out = CloseOut { outcome: Outcome::Lost.into(), ..CloseOut::default() };
        assert_eq!(outcome(&close_out), "LOST");
        close_out.outcome_class = OutcomeClass::NoDecision.into();
        assert_eq!(outcome(&close_out), "LOST (NO_DECISION)");
        close_out.state = CloseOutState::Rejected.into();
        assert_eq!(outcome(&close_out), "LOST (NO_DECISION), REJECTED");
    }
}
