//! The way of opportunities to won and of orders to fulfilled.

use super::{
    Judged, Line, Model, Opportunity, Order, OrderState, Outcome, Record, Refused, State,
    acting::{Caller, Right},
    reasons, wrong,
};
use crate::commands::{STAGES, Who};

/// Team of a new record: where its maker owns it the maker's.
fn team_of(by: Caller, owner: Who) -> &'static str {
    if owner == by.who { by.who.team() } else { "" }
}

impl Opportunity {
    fn check_in_work(&self) -> Result<(), Refused> {
        match self.state {
            State::Open | State::OnHold | State::Unspecified => Ok(()),
            State::ClosePending => Err("CLOSE_PENDING".into()),
            State::Won | State::ClosedOut => Err("SUBJECT_CLOSED".into()),
        }
    }

    fn check_open(&self) -> Result<(), Refused> {
        self.check_in_work()?;
        if self.state == State::OnHold { Err("ON_HOLD".into()) } else { Ok(()) }
    }
}

impl Order {
    fn check_not_closed(&self) -> Result<(), Refused> {
        match self.state {
            OrderState::Processed | OrderState::Cancelled => Err("SUBJECT_CLOSED".into()),
            OrderState::ClosePending => Err("CLOSE_PENDING".into()),
            OrderState::Draft | OrderState::Confirmed | OrderState::InFulfilment | OrderState::Unspecified => Ok(()),
        }
    }

    fn check_agreed(&self) -> Result<(), Refused> {
        self.check_not_closed()?;
        if self.state == OrderState::Draft { Err("WRONG_STATE".into()) } else { Ok(()) }
    }

    /// The right that it takes to cancel it, or a part of it.
    pub(super) fn cancelled_by(&self) -> Right {
        if self.any_fulfilled() { Right::CancelFulfilling } else { Right::CancelOrders }
    }

    pub(super) fn any_fulfilled(&self) -> bool {
        self.lines.iter().any(|line| line.fulfilled > 0)
    }

    pub(crate) fn any_left(&self) -> bool {
        self.lines.iter().any(|line| line.left() > 0)
    }

    /// So many more of a line: no more than are left of it.
    fn check_line(&self, line: usize, count: i64) -> Result<(), Refused> {
        match self.lines.get(line) {
            None => Err(wrong("lines[0] UNKNOWN_LINE")),
            Some(line) if count > line.left() => Err(wrong("lines[0] TOO_MANY")),
            Some(_) => Ok(()),
        }
    }
}

impl Line {
    pub(crate) const fn left(&self) -> i64 {
        self.quantity - self.fulfilled - self.cancelled
    }
}

impl Model {
    pub(super) fn create_opportunity(
        &mut self,
        by: Caller,
        customer: usize,
        owner: Option<Who>,
        amount: i64,
        titled: bool,
    ) -> Judged {
        by.enters(&[Right::EditOpportunities])?;
        if !titled {
            return Err(wrong("opportunity.title REQUIRED"));
        }
        let owner = owner.unwrap_or(by.who);
        let team = team_of(by, owner);
        by.may(Right::EditOpportunities, owner, team)?;
        self.opportunities.push(Opportunity {
            customer,
            owner,
            team,
            stage: STAGES[0],
            state: State::Open,
            amount,
            version: 1,
            held: false,
            won_at: None,
            taken_back_by: None,
            won_before: None,
            close_out: None,
        });
        Ok(Record::Opportunity(self.opportunities.len() - 1))
    }

    /// An opportunity that may be worked on, in the version that is meant.
    fn worked_on(&mut self, by: Caller, opportunity: usize) -> Result<&mut Opportunity, Refused> {
        by.enters(&[Right::EditOpportunities])?;
        let it = &mut self.opportunities[opportunity];
        by.may(Right::EditOpportunities, it.owner, it.team)?;
        by.means()?;
        Ok(it)
    }

    pub(super) fn own_opportunity(&mut self, by: Caller, opportunity: usize, owner: Who) -> Judged {
        let it = self.worked_on(by, opportunity)?;
        it.check_in_work()?;
        it.owner = owner;
        it.version += 1;
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn move_stage(&mut self, by: Caller, opportunity: usize, stage: &'static str) -> Judged {
        by.enters(&[Right::EditOpportunities])?;
        if !STAGES.contains(&stage) {
            return Err(wrong("stage UNKNOWN_STAGE"));
        }
        let it = self.worked_on(by, opportunity)?;
        it.check_open()?;
        it.stage = stage;
        it.version += 1;
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn win(&mut self, by: Caller, opportunity: usize, amount: Option<i64>) -> Judged {
        let now = self.now;
        let it = self.worked_on(by, opportunity)?;
        it.check_open()?;
        it.state = State::Won;
        it.amount = amount.unwrap_or(it.amount);
        it.version += 1;
        (it.won_at, it.won_before) = (Some(now), None);
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn snooze(&mut self, by: Caller, opportunity: usize) -> Judged {
        let it = self.worked_on(by, opportunity)?;
        it.check_in_work()?;
        (it.state, it.held, it.won_before) = (State::OnHold, true, None);
        it.version += 1;
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn resume(&mut self, by: Caller, opportunity: usize) -> Judged {
        let it = self.worked_on(by, opportunity)?;
        if it.state != State::OnHold {
            return Err("NOT_ON_HOLD".into());
        }
        (it.state, it.held) = (State::Open, false);
        it.version += 1;
        Ok(Record::Opportunity(opportunity))
    }

    pub(super) fn create_order(
        &mut self,
        by: Caller,
        customer: usize,
        opportunity: Option<usize>,
        owner: Option<Who>,
        lines: &[(i64, i64)],
    ) -> Judged {
        by.enters(&[Right::EditOrders])?;
        let owner = owner.unwrap_or(by.who);
        let team = team_of(by, owner);
        by.may(Right::EditOrders, owner, team)?;
        if let Some(opportunity) = opportunity.map(|opportunity| &self.opportunities[opportunity]) {
            if opportunity.is_closed() {
                return Err("PARENT_CLOSED".into());
            }
            if opportunity.customer != customer {
                return Err(wrong("order.customer OTHER_CUSTOMER"));
            }
        }
        let line = |&(quantity, price): &(i64, i64)| Line { quantity, price, fulfilled: 0, cancelled: 0 };
        self.orders.push(Order {
            customer,
            opportunity,
            owner,
            team,
            state: OrderState::Draft,
            lines: lines.iter().map(line).collect(),
            paid: 0,
            refunded: false,
            version: 1,
            close_out: None,
        });
        Ok(Record::Order(self.orders.len() - 1))
    }

    /// An order that may be changed, in the version that is meant.
    fn ordered(&mut self, by: Caller, order: usize) -> Result<&mut Order, Refused> {
        by.enters(&[Right::EditOrders])?;
        let it = &mut self.orders[order];
        by.may(Right::EditOrders, it.owner, it.team)?;
        by.means()?;
        Ok(it)
    }

    pub(super) fn own_order(&mut self, by: Caller, order: usize, owner: Who) -> Judged {
        let it = self.ordered(by, order)?;
        it.check_not_closed()?;
        it.owner = owner;
        it.version += 1;
        Ok(Record::Order(order))
    }

    pub(super) fn confirm(&mut self, by: Caller, order: usize) -> Judged {
        let parent = self.orders[order].opportunity;
        let orphaned = parent.is_some_and(|parent| self.opportunities[parent].is_closed());
        let it = self.ordered(by, order)?;
        it.check_not_closed()?;
        if it.state != OrderState::Draft {
            return Err("WRONG_STATE".into());
        }
        if orphaned {
            return Err("PARENT_CLOSED".into());
        }
        it.state = OrderState::Confirmed;
        it.version += 1;
        Ok(Record::Order(order))
    }

    pub(super) fn fulfil(&mut self, by: Caller, order: usize, line: usize, count: i64) -> Judged {
        let it = self.ordered(by, order)?;
        it.check_agreed()?;
        it.check_line(line, count)?;
        it.lines[line].fulfilled += count;
        it.state = OrderState::InFulfilment;
        it.version += 1;
        Ok(Record::Order(order))
    }

    pub(super) fn pay(&mut self, by: Caller, order: usize, amount: i64) -> Judged {
        let it = self.ordered(by, order)?;
        match it.state {
            OrderState::Draft => return Err("WRONG_STATE".into()),
            OrderState::Cancelled => return Err("SUBJECT_CLOSED".into()),
            OrderState::Confirmed
            | OrderState::InFulfilment
            | OrderState::ClosePending
            | OrderState::Processed
            | OrderState::Unspecified => {}
        }
        it.paid += amount;
        it.version += 1;
        Ok(Record::Order(order))
    }

    pub(super) fn cancel_line(
        &mut self,
        by: Caller,
        order: usize,
        (line, count): (usize, i64),
        (reason, detail): (&'static str, &'static str),
        refund: bool,
    ) -> Judged {
        by.enters(&[Right::CancelOrders, Right::CancelFulfilling])?;
        reasons::check(reasons::scope_of(Outcome::Cancelled), reason, detail)?;
        let it = &self.orders[order];
        by.may(it.cancelled_by(), it.owner, it.team)?;
        by.means()?;
        it.check_agreed()?;
        it.check_line(line, count)?;
        let mut after = it.clone();
        after.lines[line].cancelled += count;
        if !after.any_fulfilled() && !after.any_left() {
            return Err("NOTHING_LEFT".into());
        }
        if after.paid > after.total() && !refund {
            return Err("REFUND_REFERENCE_REQUIRED".into());
        }
        after.version += 1;
        self.orders[order] = after;
        Ok(Record::Order(order))
    }
}
