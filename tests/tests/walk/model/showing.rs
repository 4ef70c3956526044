//! The model in the form in which it is compared.

use super::{Before, Model, OrderState, Record, State};
use crate::view::{Shown, etag};
use crm_proto::common::CloseOutState;

impl Model {
    /// What an answer has to show of this record.
    pub(crate) fn shown(&self, record: Record) -> Shown {
        match record {
            Record::Customer(customer) => self.customer(customer),
            Record::Opportunity(opportunity) => self.opportunity(opportunity),
            Record::Order(order) => self.order(order),
            Record::Task(task) => self.task(task),
            Record::CloseOut(close_out) => self.close_out(close_out),
        }
    }

    fn customer(&self, customer: usize) -> Shown {
        let it = self.relationship(customer);
        Shown::Customer {
            lifecycle: self.lifecycle(customer).to_owned(),
            blocked: self.customers[customer].blocked,
            open: it.open,
            won: it.won,
            lost: it.lost,
            live_orders: it.live_orders,
        }
    }

    /// The trade record of a customer.
    pub(crate) fn trade_record(&self, customer: usize) -> Shown {
        let it = self.trade(customer);
        let (draft, live, processed, cancelled) = (it.draft, it.live, it.processed, it.cancelled);
        Shown::Trade { draft, live, processed, cancelled, deals_lost: it.deals_lost }
    }

    fn opportunity(&self, opportunity: usize) -> Shown {
        let it = &self.opportunities[opportunity];
        Shown::Opportunity {
            state: it.state,
            stage: it.stage.to_owned(),
            owner: it.owner.name().to_owned(),
            team: it.team.to_owned(),
            amount: it.amount,
            etag: etag(it.version),
            held: it.held,
            over: it.is_closed() || it.counts_as_won(),
            close_out: matches!(it.state, State::ClosedOut | State::ClosePending),
        }
    }

    fn order(&self, order: usize) -> Shown {
        let it = &self.orders[order];
        Shown::Order {
            state: it.state,
            owner: it.owner.name().to_owned(),
            team: it.team.to_owned(),
            lines: it.lines.iter().map(|line| [line.quantity, line.price, line.fulfilled, line.cancelled]).collect(),
            paid: it.paid,
            refunded: it.refunded,
            etag: etag(it.version),
            over: it.is_closed(),
            close_out: it.is_closed() || it.state == OrderState::ClosePending,
        }
    }

    fn task(&self, task: usize) -> Shown {
        let it = &self.tasks[task];
        Shown::Task {
            kind: it.kind,
            state: it.state,
            assignee: it.assignee.name().to_owned(),
            etag: etag(it.version),
            closed: it.closed_by.is_some(),
        }
    }

    fn close_out(&self, close_out: usize) -> Shown {
        let it = &self.close_outs[close_out];
        let before = match &it.before {
            Before::Opportunity { state, .. } => state.as_str_name(),
            Before::Order { state, .. } => state.as_str_name(),
        };
        Shown::CloseOut {
            reason: it.reason.to_owned(),
            class: it.class,
            outcome: it.outcome,
            detail: it.detail.to_owned(),
            actor: it.actor.name().to_owned(),
            state: it.state,
            caused: it.cause.is_some(),
            hop: it.hop,
            before: before.to_owned(),
            amended: it.amended,
            reversed: it.state == CloseOutState::Reversed,
            asked: it.asked.is_some(),
        }
    }
}
