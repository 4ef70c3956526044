//! Customers, opportunities and orders by hand: what makes and changes them, up to where a close-out begins.

mod changing;
mod making;
mod steps;

pub(crate) use changing::SetArgs;
pub(super) use changing::set;
pub(crate) use making::NewArgs;
pub(super) use making::new;
pub(crate) use steps::{ConfirmArgs, FulfilArgs, MoveArgs, PayArgs, WinArgs};
pub(super) use steps::{confirm, fulfil, pay, to_stage, win};

use crate::failure::Ending;
use crate::format::{parse_money, time};
use crate::screen::Screen;
use crate::{json, view};
use anyhow::Context;
use crm_proto::opportunity::{Customer, Opportunity};
use crm_proto::order::{Order, OrderLine};
use serde_json::json;

/// What follows the help of `new`.
pub(crate) const NEW_EXAMPLES: &str = "\
Examples:
  closeout new customer 'Harbour Freight' --tier A
  closeout new opportunity 'Cameras for the yard' --customer customers/ID --amount '12000 CNY' --stage engaging
  closeout new order --customer customers/ID --opportunity opportunities/ID --line 'Camera=2@1500 CNY' --line 'Cable=10@12.50 CNY'";

/// What follows the help of `set`.
pub(crate) const SET_EXAMPLES: &str = "\
Examples:
  closeout set customers/ID --do-not-contact true
  closeout set opportunities/ID --amount '9000 CNY' --owner li.na --expected 2027-03-31
  closeout set orders/ID --line 'Camera=3@1500 CNY'               all lines anew, while it is a draft";

/// What follows the help of what brings an opportunity on.
pub(crate) const OPPORTUNITY_EXAMPLES: &str = "\
Examples:
  closeout move opportunities/ID engaging
  closeout win opportunities/ID --amount '11000 CNY'";

/// What follows the help of what brings an order on.
pub(crate) const ORDER_EXAMPLES: &str = "\
Lines are counted from 0, in the order of `closeout show`.

Examples:
  closeout confirm orders/ID
  closeout fulfil orders/ID --line 0=2 --line 1=10
  closeout pay orders/ID '3000 CNY'
  closeout close-out orders/ID --outcome processed             it is done";

/// A line of an order as people write it: `Camera=2@1500 CNY`.
fn order_line(text: &str) -> Result<OrderLine, String> {
    let read = || {
        let (product, rest) = text.rsplit_once('=')?;
        let (quantity, price) = rest.split_once('@')?;
        let (quantity, unit_price) = (quantity.trim().parse().ok()?, parse_money(price).ok()?);
        Some(OrderLine {
            product: product.trim().to_owned(),
            quantity,
            unit_price: Some(unit_price),
            ..OrderLine::default()
        })
    };
    read().ok_or_else(|| "what, how many and the price of one, such as 'Camera=2@1500 CNY'".to_owned())
}

fn of_customer(customer: Option<Customer>, screen: &Screen) -> anyhow::Result<Ending> {
    let customer = customer.context("a reply without its customer")?;
    if screen.json() {
        screen.emit(&json!({ "customer": json::message("crm.opportunity.v1.Customer", &customer)? }))?;
    }
    let Customer { name, display_name, owner, .. } = &customer;
    screen.line(&format!("{name}: {display_name}, {}, owner {owner}", view::lifecycle(&customer)))?;
    Ok(Ending::Done)
}

/// Shows an opportunity as a call has left it.
pub(super) fn of_opportunity(opportunity: Option<Opportunity>, screen: &Screen) -> anyhow::Result<Ending> {
    let opportunity = opportunity.context("a reply without its opportunity")?;
    if screen.json() {
        screen.emit(&json!({ "opportunity": json::message("crm.opportunity.v1.Opportunity", &opportunity)? }))?;
    }
    let until = opportunity.resume_time.as_ref().map_or_else(String::new, |at| format!(" until {}", time(Some(at))));
    screen.line(&format!("{}: {}{until}", opportunity.name, view::opportunity_line(&opportunity)))?;
    Ok(Ending::Done)
}

fn of_order(order: Option<Order>, screen: &Screen) -> anyhow::Result<Ending> {
    let order = order.context("a reply without its order")?;
    if screen.json() {
        screen.emit(&json!({ "order": json::message("crm.order.v1.Order", &order)? }))?;
    }
    screen.line(&format!("{}: {}", order.name, view::order_line(&order)))?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_product_a_quantity_and_a_price() {
        let line = order_line("Camera, 4=K=2@99.50 cny").unwrap();
        let price = line.unit_price.unwrap();
        assert_eq!((&*line.product, line.quantity, price.units, &*price.currency_code), ("Camera, 4=K", 2, 99, "CNY"));
        for wrong in ["Camera", "Camera=2", "Camera=two@1 CNY", "Camera=2@1"] {
            assert!(order_line(wrong).is_err(), "{wrong}");
        }
    }
}
