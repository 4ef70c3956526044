//! One opportunity or order: a line about it, or everything.

use super::Stages;
use crate::format::{label, last_part, money_or_none, or_dash, stage_id, time};
use crate::screen::{Paint, Screen};
use comfy_table::Cell;
use crm_proto::{
    opportunity::{Opportunity, opportunity::State},
    order::{CancelledLine, Order},
};

/// `GTX Pro for Isdom (Z063OYW0): OPEN, engaging, 4,821.00 USD, owner moses.frase`.
pub(crate) fn opportunity_line(opportunity: &Opportunity) -> String {
    format!(
        "{} ({}): {}, {}, {}, owner {}",
        opportunity.title,
        opportunity.number,
        opportunity_state(opportunity),
        stage_id(&opportunity.stage),
        money_or_none(opportunity.amount.as_ref()),
        or_dash(&opportunity.owner)
    )
}

/// `SO-Z063OYW0: CONFIRMED, GTX Pro x 1, 4,514.00 USD, owner moses.frase`.
pub(crate) fn order_line(order: &Order) -> String {
    let lines: Vec<String> = order.lines.iter().map(|line| format!("{} x {}", line.product, line.quantity)).collect();
    format!(
        "{}: {}, {}, {}, owner {}",
        order.number,
        order_state(order),
        lines.join(" + "),
        money_or_none(order.total.as_ref()),
        or_dash(&order.owner)
    )
}

/// How an opportunity's state reads.
pub(crate) fn opportunity_state(opportunity: &Opportunity) -> String {
    label(opportunity.state().as_str_name(), "STATE_")
}

/// How an order's state reads.
pub(crate) fn order_state(order: &Order) -> String {
    label(order.state().as_str_name(), "STATE_")
}

/// Shows an opportunity.
pub(crate) fn show_opportunity(opportunity: &Opportunity, stages: &Stages, screen: &Screen) -> anyhow::Result<()> {
    screen.heading(&format!("{}  {}", opportunity.title, opportunity.name))?;
    let held = opportunity.state() == State::OnHold;
    let rows = [
        ("number", opportunity.number.clone()),
        ("state", opportunity_state(opportunity)),
        ("stage", format!("{}  ({})", stages.called(&opportunity.stage), opportunity.stage)),
        ("customer", opportunity.customer.clone()),
        ("owner", opportunity.owner.clone()),
        ("team", opportunity.team.clone()),
        ("amount", money_or_none(opportunity.amount.as_ref())),
        ("source", opportunity.source.clone()),
        ("created", time(opportunity.create_time.as_ref())),
        ("in stage since", time(opportunity.stage_entered_time.as_ref())),
        ("last activity", time(opportunity.activity_time.as_ref())),
        ("expected close", time(opportunity.expected_close_time.as_ref())),
        ("closed", time(opportunity.close_time.as_ref())),
        ("on hold until", if held { time(opportunity.resume_time.as_ref()) } else { String::new() }),
        ("on hold because", if held { opportunity.hold_note.clone() } else { String::new() }),
        ("close-out", opportunity.close_out.clone()),
        ("historical", if opportunity.historical { "yes" } else { "" }.to_owned()),
    ];
    show_rows(&rows, screen)
}

/// Shows an order with its lines.
pub(crate) fn show_order(order: &Order, screen: &Screen) -> anyhow::Result<()> {
    screen.heading(&format!("order {}  {}", order.number, order.name))?;
    let rows = [
        ("state", order_state(order)),
        ("customer", order.customer.clone()),
        ("opportunity", order.opportunity.clone()),
        ("owner", order.owner.clone()),
        ("team", order.team.clone()),
        ("total", money_or_none(order.total.as_ref())),
        ("paid", money_or_none(order.paid.as_ref())),
        ("refund reference", order.refund_reference.clone()),
        ("created", time(order.create_time.as_ref())),
        ("closed", time(order.close_time.as_ref())),
        ("close-out", order.close_out.clone()),
        ("historical", if order.historical { "yes" } else { "" }.to_owned()),
    ];
    show_rows(&rows, screen)?;
    let mut table = screen.new_table(&["product", "quantity", "fulfilled", "cancelled", "unit price"]);
    for line in &order.lines {
        table.add_row([
            line.product.clone(),
            line.quantity.to_string(),
            line.fulfilled.to_string(),
            line.cancelled.to_string(),
            money_or_none(line.unit_price.as_ref()),
        ]);
    }
    screen.table(&table)?;
    for one in &order.cancellations {
        let product = |index: i32| usize::try_from(index).ok().and_then(|index| order.lines.get(index));
        let part = |line: &CancelledLine| {
            format!("{} x {}", line.quantity, product(line.line).map_or("?", |line| line.product.as_str()))
        };
        let parts: Vec<_> = one.lines.iter().map(part).collect();
        let refund =
            if one.refund_reference.is_empty() { String::new() } else { format!(", refund {}", one.refund_reference) };
        let (when, reason) = (time(one.cancel_time.as_ref()), last_part(&one.reason));
        let text = format!("cancelled {when} by {}: {}, {reason} {}{refund}", one.actor, parts.join(", "), one.detail);
        screen.note(text.trim_end())?;
    }
    Ok(())
}

/// Shows what is known of a record, a field a line.
pub(crate) fn show_rows(rows: &[(&str, String)], screen: &Screen) -> anyhow::Result<()> {
    let mut table = screen.new_table(&["field", "value"]);
    for (field, value) in rows.iter().filter(|(_, value)| !value.is_empty() && value != "-") {
        table.add_row([screen.cell(Paint::Dim, field), Cell::new(value)]);
    }
    screen.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::to_money;

    #[test]
    fn an_opportunity_fits_on_a_line() {
        let opportunity = Opportunity {
            number: "Z06".into(),
            title: "GTX Pro for Isdom".into(),
            stage: "pipelines/default/stages/engaging".into(),
            state: State::Open.into(),
            amount: Some(to_money(482_100, "USD")),
            ..Opportunity::default()
        };
        assert_eq!(opportunity_line(&opportunity), "GTX Pro for Isdom (Z06): OPEN, engaging, 4,821.00 USD, owner -");
    }
}
