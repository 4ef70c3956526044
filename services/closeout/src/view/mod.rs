//! What people see of the records: a customer on both sides, tasks, receipts, one opportunity or order.

mod customer;
mod events;
mod receipts;
mod record;
mod stages;
mod tasks;

pub(crate) use customer::{Customer, lifecycle, show_change, show_customer};
pub(crate) use events::Events;
pub(crate) use receipts::{outcome, show_close_out, show_receipts};
pub(crate) use record::{opportunity_line, opportunity_state, order_line, order_state, show_opportunity, show_order};
pub(crate) use stages::Stages;
pub(crate) use tasks::{Tasks, show_task_changes, show_tasks};

use crate::screen::{Paint, Screen};
use comfy_table::Cell;
use crm_proto::common::Side;

/// What people call a side.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Opportunity => "sales",
        Side::Order => "orders",
        Side::Unspecified => "-",
    }
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
