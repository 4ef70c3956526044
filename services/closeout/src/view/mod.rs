//! What people see of the records: a customer on both sides, tasks, receipts, one opportunity or order.

mod approval;
mod customer;
mod events;
mod receipts;
mod record;
mod remarks;
mod stages;
mod tasks;

pub(crate) use approval::{approval_causes, causes};
pub(crate) use customer::{Customer, lifecycle, show_change, show_customer};
pub(crate) use events::Events;
pub(crate) use receipts::{outcome, readable, show_close_out, show_receipts};
pub(crate) use record::{
    opportunity_line, opportunity_state, order_line, order_state, show_opportunity, show_order, show_rows,
};
pub(crate) use stages::Stages;
pub(crate) use tasks::{Tasks, show_task_changes, show_tasks};

use crate::format::label;
use crate::screen::{Paint, Screen};
use comfy_table::Cell;
use crm_proto::common::{Propagation, Side};

/// What people call a side.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Opportunity => "sales",
        Side::Order => "orders",
        Side::Unspecified => "-",
    }
}

/// How far the news of a change has come: `SETTLED, the order service has it`.
pub(crate) fn how_far(propagation: Propagation, to: &str) -> String {
    let meaning = match propagation {
        Propagation::Settled => format!("the {to} has it"),
        Propagation::Pending => format!("it arrives at the {to} without your doing"),
        Propagation::Parked => "it can not be delivered: closeout parked list".to_owned(),
        Propagation::NotNeeded | Propagation::Unspecified => "it was so already".to_owned(),
    };
    format!("{}, {meaning}", label(propagation.as_str_name(), "PROPAGATION_"))
}

/// The two cells of a value that may have changed; a change is marked, so that it shows without colour, too.
fn change_cells(before: String, after: String, screen: &Screen) -> [Cell; 2] {
    let after = if before == after {
        screen.cell(Paint::Dim, after)
    } else {
        screen.cell(Paint::Changed, format!("→ {after}"))
    };
    [screen.cell(Paint::Dim, before), after]
}
