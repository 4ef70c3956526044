//! Close-outs, what they bring about on both sides, and their reversal.

use super::{
    Asked, Before, CloseOut, CloseOutState, Judged, Model, OrderState, Outcome, OutcomeClass, Policy, Record, Refused,
    Side, State, TaskKind, acting::Caller, acting::Right, reasons, records::is_live,
};
use crate::commands::Who;

/// Why something is closed out, and by whom.
struct Grounds {
    reason: &'static str,
    class: OutcomeClass,
    outcome: Outcome,
    detail: &'static str,
    actor: Who,
    cause: Option<usize>,
    closed_at: u64,
}

impl Model {
    pub(super) fn close_opportunity(
        &mut self,
        by: Caller,
        opportunity: usize,
        reason: &'static str,
        detail: &'static str,
    ) -> Judged {
        by.enters(&[Right::CloseOut])?;
        let reason = reasons::check(reasons::scope_of(Outcome::Lost), reason, detail)?;
        let it = &self.opportunities[opportunity];
        by.may(Right::CloseOut, it.owner, it.team)?;
        by.means()?;
        let state = it.state;
        match state {
            State::ClosedOut => return Err("ALREADY_CLOSED".into()),
            State::ClosePending => return Err("CLOSE_PENDING".into()),
            State::Open | State::OnHold | State::Won | State::Unspecified => self.check_no_live_order(opportunity)?,
        }
        let (class, outcome, closed_at) = (reason.class, Outcome::Lost, self.now);
        let grounds = Grounds { reason: reason.code, class, outcome, detail, actor: by.who, cause: None, closed_at };
        let close_out = self.record(Record::Opportunity(opportunity), grounds);
        if state == State::Won {
            let asked = Asked { paid: 0, refunded: false, policy: Policy::Keep };
            self.wait(close_out, asked);
            let it = &mut self.opportunities[opportunity];
            (it.state, it.close_out) = (State::ClosePending, Some(close_out));
            it.version += 1;
        } else {
            self.end_opportunity(opportunity, close_out);
        }
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn check_no_live_order(&self, opportunity: usize) -> Result<(), Refused> {
        let mut of_it = self.orders.iter().filter(|order| order.opportunity == Some(opportunity));
        if of_it.any(|order| is_live(order.state)) { Err("LIVE_ORDER".into()) } else { Ok(()) }
    }

    fn record(&mut self, subject: Record, grounds: Grounds) -> usize {
        let Grounds { reason, class, outcome, detail, actor, cause, closed_at } = grounds;
        self.close_outs.push(CloseOut {
            subject,
            episode: self.close_outs.iter().filter(|close_out| close_out.subject == subject).count() + 1,
            reason,
            class,
            outcome,
            detail,
            actor,
            state: CloseOutState::Effective,
            cause,
            hop: cause.map_or(0, |cause| self.close_outs[cause].hop + 1),
            before: self.before(subject),
            closed_at,
            amended: 0,
            asked: None,
        });
        self.close_outs.len() - 1
    }

    fn before(&self, subject: Record) -> Before {
        match subject {
            Record::Order(order) => {
                let it = &self.orders[order];
                Before::Order { state: it.state, cancelled: it.lines.iter().map(|line| line.cancelled).collect() }
            }
            Record::Opportunity(opportunity) => {
                let it = &self.opportunities[opportunity];
                Before::Opportunity { state: it.state, stage: it.stage, won_at: it.won_at }
            }
            Record::Customer(_) | Record::Task(_) | Record::CloseOut(_) => panic!("{subject:?} is not closed out"),
        }
    }

    fn wait(&mut self, close_out: usize, asked: Asked) {
        let it = &mut self.close_outs[close_out];
        (it.state, it.asked) = (CloseOutState::PendingApproval, Some(asked));
    }

    /// A close-out for the same reason, which another one brings about.
    fn caused(&mut self, subject: Record, outcome: Outcome, cause: usize) -> usize {
        let CloseOut { reason, class, detail, actor, closed_at, .. } = self.close_outs[cause];
        self.record(subject, Grounds { reason, class, outcome, detail, actor, cause: Some(cause), closed_at })
    }

    /// It is closed out: its tasks on both sides, and its draft orders, go with it.
    pub(super) fn end_opportunity(&mut self, opportunity: usize, close_out: usize) {
        let it = &mut self.opportunities[opportunity];
        (it.state, it.close_out, it.won_at, it.won_before) = (State::ClosedOut, Some(close_out), None, None);
        it.version += 1;
        for side in [Side::Sales, Side::Trade] {
            self.cancel_tasks(side, Record::Opportunity(opportunity), close_out, false);
        }
        for order in 0..self.orders.len() {
            let it = &self.orders[order];
            if it.opportunity == Some(opportunity) && it.state == OrderState::Draft {
                let caused = self.caused(Record::Order(order), Outcome::Cancelled, close_out);
                self.end_order(order, caused, false, Policy::Keep);
            }
        }
    }

    pub(super) fn close_order(
        &mut self,
        by: Caller,
        order: usize,
        outcome: Outcome,
        (reason, detail): (&'static str, &'static str),
        (refunded, policy): (bool, Policy),
    ) -> Judged {
        by.enters(&[Right::CloseOut])?;
        let reason = reasons::check(reasons::scope_of(outcome), reason, detail)?;
        let it = &self.orders[order];
        by.may(Right::CloseOut, it.owner, it.team)?;
        by.means()?;
        if outcome == Outcome::Cancelled {
            by.may(it.cancelled_by(), it.owner, it.team)?;
            self.check_policy(by, order, policy)?;
        }
        let (cancels, kept) = (outcome == Outcome::Cancelled, it.paid > 0 && !refunded);
        match it.state {
            OrderState::Processed | OrderState::Cancelled => return Err("ALREADY_CLOSED".into()),
            OrderState::ClosePending => return Err("CLOSE_PENDING".into()),
            OrderState::Draft if !cancels => return Err("WRONG_STATE".into()),
            _ if !cancels && it.any_left() => return Err("NOT_FULFILLED".into()),
            _ if cancels && it.any_fulfilled() && !it.any_left() => return Err("NOTHING_TO_CANCEL".into()),
            _ => {}
        }
        let waits = cancels && it.state != OrderState::Draft && kept;
        let asked = Asked { paid: it.paid, refunded, policy };
        let (class, closed_at) = (reason.class, self.now);
        let grounds = Grounds { reason: reason.code, class, outcome, detail, actor: by.who, cause: None, closed_at };
        let close_out = self.record(Record::Order(order), grounds);
        if waits {
            self.wait(close_out, asked);
            let it = &mut self.orders[order];
            (it.state, it.close_out) = (OrderState::ClosePending, Some(close_out));
            it.version += 1;
        } else {
            self.end_order(order, close_out, refunded, policy);
        }
        Ok(Record::Order(order))
    }

    /// Whoever decides what becomes of a won opportunity has to be someone who may do that with it. Its team is taken to be the order's
    /// where both have one owner.
    fn check_policy(&self, by: Caller, order: usize, policy: Policy) -> Result<(), Refused> {
        let right = match policy {
            Policy::Reopen => Right::ReopenOpportunities,
            Policy::Lose => Right::CloseOut,
            Policy::Keep | Policy::Ask | Policy::Unspecified => return Ok(()),
        };
        let it = &self.orders[order];
        let Some(opportunity) = it.opportunity else { return Ok(()) };
        let owner = self.opportunities[opportunity].owner;
        by.may(right, owner, if owner == it.owner { it.team } else { "" })
    }

    /// It is closed out: its tasks on both sides go with it, and where it was the last one of a won opportunity, what was decided is done.
    pub(super) fn end_order(&mut self, order: usize, close_out: usize, refunded: bool, policy: Policy) {
        let cancels = self.close_outs[close_out].outcome == Outcome::Cancelled;
        let it = &mut self.orders[order];
        let draft = it.state == OrderState::Draft;
        it.state = if cancels && !it.any_fulfilled() { OrderState::Cancelled } else { OrderState::Processed };
        if cancels {
            it.lines.iter_mut().for_each(|line| line.cancelled += line.left());
        }
        (it.refunded, it.close_out) = (refunded, Some(close_out));
        it.version += 1;
        let (whole, parent) = (it.state == OrderState::Cancelled, it.opportunity);
        let unpaid = !whole && it.paid < it.total();
        self.cancel_tasks(Side::Trade, Record::Order(order), close_out, unpaid);
        self.cancel_tasks(Side::Sales, Record::Order(order), close_out, false);
        let Some(parent) = parent.filter(|_| whole && !draft) else { return };
        let mut of_it = self.orders.iter().filter(|order| order.opportunity == Some(parent));
        let stands = of_it.any(|order| is_live(order.state) || order.state == OrderState::Processed);
        let won = &self.opportunities[parent];
        if stands || !won.counts_as_won() {
            return;
        }
        let owner = won.owner;
        match policy {
            Policy::Keep => {}
            Policy::Reopen if won.state == State::Won => self.take_win_back(parent, Some(close_out)),
            Policy::Lose if won.state == State::Won => {
                let caused = self.caused(Record::Opportunity(parent), Outcome::Lost, close_out);
                self.end_opportunity(parent, caused);
            }
            Policy::Ask | Policy::Unspecified | Policy::Reopen | Policy::Lose => {
                self.add_task(Side::Sales, Record::Opportunity(parent), TaskKind::Review, owner, Some(order));
            }
        }
    }

    fn take_win_back(&mut self, opportunity: usize, by: Option<usize>) {
        let it = &mut self.opportunities[opportunity];
        it.state = State::Open;
        (it.taken_back_by, it.won_before) = (by, it.won_at.filter(|_| by.is_some()));
        it.won_at = None;
        it.version += 1;
    }

    /// Whoever asked for a close-out may take it back at once; others need the right.
    fn check_taker(&self, by: Caller, right: Right, close_out: usize, owner: Who, team: &str) -> Result<(), Refused> {
        let it = &self.close_outs[close_out];
        if it.actor == by.who && it.cause.is_none() { Ok(()) } else { by.may(right, owner, team) }
    }

    pub(super) fn reopen_opportunity(&mut self, by: Caller, opportunity: usize) -> Judged {
        let right = Right::ReopenOpportunities;
        by.enters(&[right, Right::CloseOut])?;
        let it = &self.opportunities[opportunity];
        match (it.state, it.close_out) {
            (State::ClosedOut, Some(close_out)) => self.check_taker(by, right, close_out, it.owner, it.team)?,
            (State::Won, _) => by.may(right, it.owner, it.team)?,
            _ => {}
        }
        by.means()?;
        match (it.state, it.close_out) {
            (State::ClosedOut, Some(close_out)) => self.reverse_opportunity(opportunity, close_out),
            (State::Won, _) => {
                self.check_no_live_order(opportunity)?;
                self.take_win_back(opportunity, None);
            }
            (State::ClosePending, _) => return Err("CLOSE_PENDING".into()),
            _ => return Err("NOT_CLOSED".into()),
        }
        Ok(Record::Opportunity(opportunity))
    }

    fn reverse_opportunity(&mut self, opportunity: usize, close_out: usize) {
        if let Before::Opportunity { state, stage, won_at } = self.close_outs[close_out].before {
            let it = &mut self.opportunities[opportunity];
            (it.state, it.stage, it.won_at, it.close_out) = (state, stage, won_at, None);
            it.version += 1;
        }
        self.close_outs[close_out].state = CloseOutState::Reversed;
        for side in [Side::Sales, Side::Trade] {
            self.restore_tasks(side, Record::Opportunity(opportunity), close_out);
        }
        for caused in self.in_force_by(close_out) {
            if let Record::Order(order) = self.close_outs[caused].subject {
                self.reverse_order(order, caused);
            }
        }
    }

    /// Close-outs in force that this one has caused.
    pub(super) fn in_force_by(&self, cause: usize) -> Vec<usize> {
        let all = self.close_outs.iter().enumerate();
        let caused = all.filter(|(_, it)| it.cause == Some(cause) && it.state == CloseOutState::Effective);
        caused.map(|(id, _)| id).collect()
    }

    pub(super) fn reopen_order(&mut self, by: Caller, order: usize) -> Judged {
        by.enters(&[Right::ReopenOrders, Right::CloseOut])?;
        let it = &self.orders[order];
        let closed = it.close_out.filter(|_| it.is_closed());
        if let Some(close_out) = closed {
            self.check_taker(by, Right::ReopenOrders, close_out, it.owner, it.team)?;
        }
        by.means()?;
        if it.state == OrderState::ClosePending {
            return Err("CLOSE_PENDING".into());
        }
        let Some(close_out) = closed else { return Err("NOT_CLOSED".into()) };
        if it.refunded {
            return Err("REFUNDED".into());
        }
        let parent = it.opportunity.map(|parent| &self.opportunities[parent]).filter(|parent| parent.is_closed());
        if parent.is_some_and(|parent| parent.close_out.and_then(|id| self.close_outs[id].cause) != Some(close_out)) {
            return Err("PARENT_CLOSED".into());
        }
        self.reverse_order(order, close_out);
        Ok(Record::Order(order))
    }

    fn reverse_order(&mut self, order: usize, close_out: usize) {
        let it = &mut self.orders[order];
        if let Before::Order { state, cancelled } = &self.close_outs[close_out].before {
            it.lines.iter_mut().zip(cancelled).for_each(|(line, cancelled)| line.cancelled = *cancelled);
            (it.state, it.close_out) = (*state, None);
            it.version += 1;
        }
        let parent = it.opportunity;
        self.close_outs[close_out].state = CloseOutState::Reversed;
        self.restore_tasks(Side::Trade, Record::Order(order), close_out);
        self.restore_tasks(Side::Sales, Record::Order(order), close_out);
        self.withdraw_reviews(order);
        for caused in self.in_force_by(close_out) {
            if let Record::Opportunity(opportunity) = self.close_outs[caused].subject {
                self.reverse_opportunity(opportunity, caused);
            }
        }
        let Some(it) = parent.map(|parent| &mut self.opportunities[parent]) else { return };
        if it.taken_back_by == Some(close_out) && it.state == State::Open && it.won_before.is_some() {
            (it.state, it.won_at) = (State::Won, it.won_before);
            (it.taken_back_by, it.won_before) = (None, None);
            it.version += 1;
        }
    }
}
