//! The cancellation of a part of an order, by line and quantity: the order goes on with the rest. It needs a reason like a close-out, and
//! is no way around one: what would leave nothing, or is worth more than one person may cancel, is closed out.

use super::{Order, State};
use crate::domain::{Lines, World, order_record};
use crm_closeout::{
    ids::OrderId,
    money::Money,
    reason::{Given, ReasonScope},
    refusal::Refusal,
    remarks::Verification,
    settings::Settings,
    time::Time,
    wording,
    working_set::Cause,
};
use std::collections::BTreeMap;

/// Most times that a part of an order can be cancelled.
const MOST_CANCELLATIONS: usize = 100;

/// Most lines that a customer's timeline tells of one.
const TOLD: usize = 5;

/// A part of an order that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// Code of the reason.
    pub reason_code: String,
    /// Its version.
    pub reason_version: i64,
    /// The person's words.
    pub detail: String,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// Which lines, and how many of each.
    pub lines: Vec<(usize, i64)>,
}

/// All of an order, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancellations(pub Vec<Cancellation>);

/// What a caller says to cancel a part of an order.
#[derive(Clone, Debug)]
pub struct Cancelling {
    /// Which.
    pub id: OrderId,
    /// Only this version.
    pub etag: String,
    /// Which lines, and how many of each.
    pub lines: Vec<(usize, i64)>,
    /// Resource name of the reason.
    pub reason: String,
    /// The person's words.
    pub detail: String,
    /// Reference of the refund; empty: none.
    pub refund_reference: String,
    /// How the customer's status was verified.
    pub verification: Option<Verification>,
}

impl Cancelling {
    /// What it gives as its reason.
    pub fn given(&self) -> Given<'_> {
        Given {
            reason: &self.reason,
            detail: &self.detail,
            competitor: false,
            historical: false,
            secondary: &[],
            verification: self.verification.as_ref(),
        }
    }
}

impl World {
    /// Cancels a part of a live order.
    pub fn cancel_lines(&mut self, cause: &Cause, cancelling: &Cancelling) -> Result<Order, Refusal> {
        let (tenant, record) = (cause.tenant_id, order_record(cancelling.id));
        let (reason, _) = self.common.check_reason(tenant, ReasonScope::Order, &cancelling.given(), record)?;
        let before =
            self.order_if(cause, cancelling.id, &cancelling.etag, |order| order.check_cancellable_by(cause))?;
        before.check_not_closed()?;
        if before.state == State::Draft {
            return Err(before.wrong_state(&wording::CHANGE_THE_LINES));
        }
        let lines = before.lines.having(&cancelling.lines, |line| &mut line.cancelled)?;
        let mut parts: BTreeMap<usize, i64> = BTreeMap::new();
        cancelling.lines.iter().for_each(|(line, count)| *parts.entry(*line).or_default() += count);
        let parts: Vec<_> = parts.into_iter().collect();
        self.check_part(&before, &lines, cancelling)?;
        if before.cancellations.0.len() >= MOST_CANCELLATIONS {
            return Err(Refusal::new(&wording::TOO_MANY_CANCELLATIONS, record).with("limit", MOST_CANCELLATIONS));
        }
        let cancellation = Cancellation {
            at: self.common.now,
            actor: cause.actor.clone(),
            reason_code: reason.code.into_owned(),
            reason_version: reason.version,
            detail: cancelling.detail.clone(),
            refund_reference: cancelling.refund_reference.clone(),
            lines: parts,
        };
        let told =
            cancellation.lines.iter().take(TOLD).filter_map(|(index, count)| {
                before.lines.0.get(*index).map(|line| format!("{count} x {}", line.product))
            });
        let mut told = told.collect::<Vec<_>>().join(", ");
        if let Some(more) = cancellation.lines.len().checked_sub(TOLD).filter(|more| *more > 0) {
            told.push_str(&format!(" and {more} more"));
        }
        let text = format!("{}@{}: {told}", cancellation.reason_code, cancellation.reason_version);
        let after = self.change_order(cause, &before, None, |order| {
            order.lines = lines;
            order.cancellations.0.push(cancellation);
        })?;
        self.recount(cause, &before, &after, None);
        self.common.tell(cause, after.customer_id, "order.part_cancelled", record, None, text);
        Ok(after)
    }

    /// Whether what is left is still an order, and what is cancelled a part that one person may cancel.
    fn check_part(&self, before: &Order, lines: &Lines, cancelling: &Cancelling) -> Result<(), Refusal> {
        let id = before.order_id;
        if !lines.any_fulfilled() && lines.unfinished().is_empty() {
            return Err(Refusal::new(&wording::NOTHING_LEFT, id));
        }
        let (cancelled, left) = (lines.cancelled(before.currency), lines.total(before.currency));
        // All that was ever cancelled of it: several small parts are no way around the limit.
        if Settings::of(before.tenant_id, &self.common.settings).approval.is_over(cancelled) {
            return Err(Refusal::new(&wording::NEEDS_APPROVAL, id).with("cancelled", cancelled));
        }
        if before.paid_minor > left.minor && cancelling.refund_reference.is_empty() {
            let paid = Money { minor: before.paid_minor, currency: before.currency };
            return Err(Refusal::new(&wording::OVERPAID, id).with("paid", paid).with("left", left));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{CUSTOMER, TENANT, cause, closing, confirmed, draft, usd, world};
    use crm_closeout::{
        approval::ApprovalPolicy, episode::Outcome, reason, refusal::Violation, settings::Told, working_set::Keyed as _,
    };

    fn part(order: &Order, lines: &[(usize, i64)]) -> Cancelling {
        Cancelling {
            id: order.order_id,
            etag: String::new(),
            lines: lines.to_vec(),
            reason: reason::name("ORD_OUT_OF_STOCK"),
            detail: String::new(),
            refund_reference: String::new(),
            verification: None,
        }
    }

    #[test]
    fn a_part_is_cancelled_and_the_order_goes_on_with_the_rest() {
        let mut world = world();
        let order = confirmed(&mut world);
        let sent = world.common.outgoing.entries().len();
        let after = world.cancel_lines(&cause(), &part(&order, &[(0, 4)])).unwrap();
        assert_eq!((after.state, after.lines.0[0].cancelled, after.total().minor), (State::Confirmed, 4, 600));
        let noted = &after.cancellations.0[0];
        assert_eq!(
            (noted.reason_code.as_str(), &*noted.actor, &*noted.lines),
            ("ORD_OUT_OF_STOCK", "bob", &[(0, 4)][..])
        );
        let customer = world.customers.get(&(TENANT, CUSTOMER)).unwrap();
        assert_eq!(customer.amounts.0[&usd()], [0, 600, 0, 400]);
        assert_eq!(world.common.outgoing.entries().len(), sent, "it is as live as before");
        // What is left can be fulfilled and is then processed; its reversal leaves the cancelled part as it is.
        world.fulfil(&cause(), order.order_id, "", &[(0, 6)]).unwrap();
        world.close_out(&cause(), &closing(order.order_id, Outcome::Processed)).unwrap();
        let (back, _) = world.reopen(&cause(), order.order_id, "", "").unwrap();
        assert_eq!((back.lines.0[0].cancelled, back.cancellations), (4, after.cancellations));
    }

    #[test]
    fn what_would_leave_nothing_or_is_worth_too_much_is_closed_out_instead() {
        let mut world = world();
        let order = confirmed(&mut world);
        let refused =
            |world: &mut World, cancelling: &Cancelling| world.cancel_lines(&cause(), cancelling).unwrap_err();
        assert_eq!(refused(&mut world, &part(&order, &[(0, 10)])).reason(), "NOTHING_LEFT");
        let wrong = refused(&mut world, &part(&order, &[(0, 6), (0, 6), (7, 1)]));
        assert_eq!(wrong.violations.iter().map(Violation::reason).collect::<Vec<_>>(), ["TOO_MANY", "UNKNOWN_LINE"]);
        let mut silent = part(&order, &[(0, 1)]);
        silent.reason = reason::name("ORD_CUSTOMER_CANCEL");
        assert_eq!(refused(&mut world, &silent).violations[0].reason(), "DETAIL_TOO_SHORT");
        let new = draft(&mut world);
        assert_eq!(refused(&mut world, &part(&new, &[(0, 1)])).reason(), "WRONG_STATE");

        let approval = ApprovalPolicy { over: [(usd(), 500)].into(), ..ApprovalPolicy::DEFAULT };
        let settings = Settings { approval, ..Settings::DEFAULT };
        world.common.put_settings(&cause(), Told { settings, revision: 1 }, 0);
        world.cancel_lines(&cause(), &part(&order, &[(0, 3)])).unwrap();
        assert_eq!(refused(&mut world, &part(&order, &[(0, 3)])).reason(), "NEEDS_APPROVAL");
        world.cancel_lines(&cause(), &part(&order, &[(0, 1), (0, 1)])).unwrap();
        let noted = &world.orders.get(&order.key()).unwrap().cancellations.0[1];
        assert_eq!(noted.lines, [(0, 2)], "each line once");
        // Nor does it bring the rest below the limit.
        let rest = world.orders.get(&order.key()).unwrap().clone();
        assert!(world.asked(&rest, &closing(order.order_id, Outcome::Cancelled)).1.is_some());
    }

    #[test]
    fn what_was_paid_for_more_than_is_left_needs_a_refund() {
        let mut world = world();
        let order = confirmed(&mut world);
        world.pay(&cause(), order.order_id, "", Money { minor: 700, currency: usd() }).unwrap();
        world.cancel_lines(&cause(), &part(&order, &[(0, 3)])).unwrap();
        let mut more = part(&order, &[(0, 1)]);
        assert_eq!(world.cancel_lines(&cause(), &more).unwrap_err().reason(), "REFUND_REFERENCE_REQUIRED");
        more.refund_reference = "R-9".into();
        let after = world.cancel_lines(&cause(), &more).unwrap();
        assert_eq!((after.cancellations.0[1].refund_reference.as_str(), after.refund_reference.as_str()), ("R-9", ""));
    }
}
