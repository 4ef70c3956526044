//! What is compared of a record: what the model says of it and what a service shows of it, in one form. No ids and no times; of what
//! another record is named only whether one is.

use crm_proto::{
    Money,
    common::{self, CloseOutState, Outcome, OutcomeClass, TaskKind, TaskState},
    opportunity::{self as sales, opportunity::State},
    order::{self as trade, order::State as OrderState},
};

/// How many, and what they are worth.
pub(crate) type Sum = (i64, i64);

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Customer {
        lifecycle: String,
        blocked: bool,
        open: Sum,
        won: Sum,
        lost: Sum,
        live_orders: i64,
    },
    Trade {
        draft: Sum,
        live: Sum,
        processed: Sum,
        cancelled: Sum,
        deals_lost: i64,
    },
    Opportunity {
        state: State,
        stage: String,
        owner: String,
        team: String,
        amount: i64,
        etag: String,
        held: bool,
        over: bool,
        close_out: bool,
    },
    Order {
        state: OrderState,
        owner: String,
        team: String,
        /// Quantity, price, fulfilled, cancelled.
        lines: Vec<[i64; 4]>,
        paid: i64,
        refunded: bool,
        etag: String,
        over: bool,
        close_out: bool,
    },
    Task {
        kind: TaskKind,
        state: TaskState,
        assignee: String,
        etag: String,
        closed: bool,
    },
    CloseOut {
        reason: String,
        class: OutcomeClass,
        outcome: Outcome,
        detail: String,
        actor: String,
        state: CloseOutState,
        caused: bool,
        hop: i32,
        before: String,
        amended: usize,
        reversed: bool,
        asked: bool,
    },
}

/// The etag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

fn units(money: Option<&Money>) -> i64 {
    money.map_or(0, |money| money.units)
}

impl From<&sales::Customer> for Shown {
    fn from(it: &sales::Customer) -> Self {
        // All is in one currency.
        let amounts = it.amounts.first().cloned().unwrap_or_default();
        Self::Customer {
            lifecycle: it.lifecycle().as_str_name().trim_start_matches("LIFECYCLE_").to_owned(),
            blocked: it.do_not_contact,
            open: (it.open_count, units(amounts.open.as_ref())),
            won: (it.won_count, units(amounts.won.as_ref())),
            lost: (it.lost_count, units(amounts.lost.as_ref())),
            live_orders: it.live_order_count,
        }
    }
}

impl From<&trade::Customer> for Shown {
    fn from(it: &trade::Customer) -> Self {
        let amounts = it.amounts.first().cloned().unwrap_or_default();
        Self::Trade {
            draft: (it.draft_count, units(amounts.draft.as_ref())),
            live: (it.live_count, units(amounts.live.as_ref())),
            processed: (it.processed_count, units(amounts.processed.as_ref())),
            cancelled: (it.cancelled_count, units(amounts.cancelled.as_ref())),
            deals_lost: it.deals_lost,
        }
    }
}

impl From<&sales::Opportunity> for Shown {
    fn from(it: &sales::Opportunity) -> Self {
        Self::Opportunity {
            state: it.state(),
            stage: it.stage.clone(),
            owner: it.owner.clone(),
            team: it.team.clone(),
            amount: units(it.amount.as_ref()),
            etag: it.etag.clone(),
            held: it.resume_time.is_some(),
            over: it.close_time.is_some(),
            close_out: !it.close_out.is_empty(),
        }
    }
}

impl From<&trade::Order> for Shown {
    fn from(it: &trade::Order) -> Self {
        let line =
            |line: &trade::OrderLine| [line.quantity, units(line.unit_price.as_ref()), line.fulfilled, line.cancelled];
        Self::Order {
            state: it.state(),
            owner: it.owner.clone(),
            team: it.team.clone(),
            lines: it.lines.iter().map(line).collect(),
            paid: units(it.paid.as_ref()),
            refunded: !it.refund_reference.is_empty(),
            etag: it.etag.clone(),
            over: it.close_time.is_some(),
            close_out: !it.close_out.is_empty(),
        }
    }
}

impl From<&common::Task> for Shown {
    fn from(it: &common::Task) -> Self {
        Self::Task {
            kind: it.kind(),
            state: it.state(),
            assignee: it.assignee.clone(),
            etag: it.etag.clone(),
            closed: !it.closed_by.is_empty(),
        }
    }
}

impl From<&common::CloseOut> for Shown {
    fn from(it: &common::CloseOut) -> Self {
        Self::CloseOut {
            reason: it.reason.trim_start_matches("closeOutReasons/").to_owned(),
            class: it.outcome_class(),
            outcome: it.outcome(),
            detail: it.detail.clone(),
            actor: it.actor.clone(),
            state: it.state(),
            caused: !it.cause.is_empty(),
            hop: it.hop,
            before: it.snapshot.as_ref().map(|snapshot| format!("STATE_{}", snapshot.state)).unwrap_or_default(),
            amended: it.amendments.len(),
            reversed: it.reversal.is_some(),
            asked: it.approval.is_some(),
        }
    }
}
