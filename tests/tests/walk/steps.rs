//! The steps of a walk. A step names what it is about by a place among what there is, so that it means something whatever came before;
//! [`Step::call`] says what that is.

use crate::{
    commands::{Call, Change, Etag, STAGES, Twist, Verdict, Who},
    model::{CloseOut, Line, Model, Opportunity, Record, Side},
};
use crm_proto::{
    common::{CloseOutState, Outcome, TaskKind, TaskState},
    opportunity::opportunity::State,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};
use proptest::{
    prelude::{Strategy, any},
    sample::{Index, select},
};

/// What kind of call a step makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    CreateCustomer,
    CreateOpportunity,
    CreateOrder,
    CreateTask,
    Confirm,
    Fulfil,
    Win,
    CloseOpportunity,
    CloseOrder,
    ReopenOpportunity,
    ReopenOrder,
    Rule,
    ChangeTask,
    Pay,
    CancelLine,
    Amend,
    OwnOpportunity,
    OwnOrder,
    UpdateCustomer,
    Move,
    Snooze,
    Resume,
    Missing,
}

/// How often, of a hundred and some.
const VERBS: [(usize, Verb); 23] = [
    (2, Verb::CreateCustomer),
    (8, Verb::CreateOpportunity),
    (12, Verb::CreateOrder),
    (12, Verb::CreateTask),
    (10, Verb::Confirm),
    (9, Verb::Fulfil),
    (9, Verb::Win),
    (9, Verb::CloseOpportunity),
    (14, Verb::CloseOrder),
    (8, Verb::ReopenOpportunity),
    (8, Verb::ReopenOrder),
    (8, Verb::Rule),
    (6, Verb::ChangeTask),
    (3, Verb::Pay),
    (3, Verb::CancelLine),
    (4, Verb::Amend),
    (2, Verb::OwnOpportunity),
    (2, Verb::OwnOrder),
    (3, Verb::UpdateCustomer),
    (3, Verb::Move),
    (3, Verb::Snooze),
    (2, Verb::Resume),
    (1, Verb::Missing),
];
const PEOPLE: [(usize, Who); 5] = [(12, Who::Ann), (6, Who::Sam), (3, Who::Meg), (2, Who::Bob), (1, Who::Ivy)];
const ETAGS: [(usize, Etag); 3] = [(12, Etag::Any), (3, Etag::Current), (1, Etag::Old)];
const TWISTS: [(usize, Twist); 4] = [(20, Twist::None), (1, Twist::Dry), (2, Twist::Again), (1, Twist::Reused)];

const LOST: [&str; 8] =
    ["WALK_LOST", "WALK_LOST", "WALK_LOST", "WALK_TIDIED", "WALK_TIDIED", "WALK_TOLD", "WALK_TOLD", "WALK_VOID"];
const CANCELLED: [&str; 9] = [
    "WALK_VOID",
    "WALK_VOID",
    "WALK_VOID",
    "WALK_ERROR",
    "WALK_ERROR",
    "WALK_VOID_TOLD",
    "WALK_VOID_TOLD",
    "WALK_NONE",
    "",
];
const PROCESSED: [&str; 4] = ["", "", "ORD_PROCESSED", "WALK_VOID"];
const WORKED_ON: &[State] = &[State::Open, State::OnHold];
const AGREED: &[OrderState] = &[OrderState::Confirmed, OrderState::InFulfilment];
const STANDING: &[OrderState] = &[OrderState::Draft, OrderState::Confirmed, OrderState::InFulfilment];
const LINES: [usize; 12] = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2];
const COUNTS: [i64; 4] = [2, 1, 2, 3];
const DETAILS: [&str; 3] = ["", "so they said", "so it was"];
const POLICIES: [Policy; 6] =
    [Policy::Unspecified, Policy::Keep, Policy::Reopen, Policy::Reopen, Policy::Lose, Policy::Lose];
const KINDS: [TaskKind; 11] = [
    TaskKind::FollowUp,
    TaskKind::Deliver,
    TaskKind::Demo,
    TaskKind::Collect,
    TaskKind::Quote,
    TaskKind::Procure,
    TaskKind::WinBack,
    TaskKind::Invoice,
    TaskKind::Review,
    TaskKind::Deliver,
    TaskKind::FollowUp,
];
const VERDICTS: [Verdict; 5] =
    [Verdict::Approve, Verdict::Approve, Verdict::Approve, Verdict::Reject, Verdict::Withdraw];

/// How many of the newest records of a kind calls are about: few, so that much happens to each.
const NEWEST: usize = 6;

/// One step: a call, with all that has to be chosen for it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) who: Who,
    pub(crate) etag: Etag,
    pub(crate) twist: Twist,
    verb: Verb,
    first: Index,
    second: Index,
    third: Index,
    luck: Index,
}

/// One of these, the ones of more weight more often.
fn weighted<T: Copy + std::fmt::Debug + 'static, const N: usize>(
    choices: &'static [(usize, T); N],
) -> impl Strategy<Value = T> {
    let all: Vec<T> = choices.iter().flat_map(|(weight, choice)| std::iter::repeat_n(*choice, *weight)).collect();
    select(all)
}

/// A random step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let manner = (weighted(&PEOPLE), weighted(&ETAGS), weighted(&TWISTS));
    let choices = (any::<Index>(), any::<Index>(), any::<Index>(), any::<Index>());
    (manner, weighted(&VERBS), choices).prop_map(|((who, etag, twist), verb, (first, second, third, luck))| Step {
        who,
        etag,
        twist,
        verb,
        first,
        second,
        third,
        luck,
    })
}

/// A place among the newest of so many.
fn newest(index: Index, count: usize) -> Option<usize> {
    (count > 0).then(|| count - 1 - index.index(count.min(NEWEST)))
}

impl Step {
    /// What it comes to where this is all there is. Where there is nothing that it could be about, something is made.
    pub(crate) fn call(&self, model: &Model) -> Call {
        let nobody = || Call::CreateCustomer { blocked: false };
        self.meant(model).or_else(|| self.new_order(model)).unwrap_or_else(nobody)
    }

    /// One of the newest of these; mostly, where there is such a one, one that fits.
    fn one<T>(&self, all: &[T], fits: impl Fn(&T) -> bool) -> Option<usize> {
        let fitting: Vec<_> = (0..all.len()).filter(|place| fits(&all[*place])).collect();
        let careless = self.luck.index(7) == 6;
        newest(self.first, fitting.len())
            .filter(|_| !careless)
            .map(|place| fitting[place])
            .or_else(|| newest(self.first, all.len()))
    }

    fn meant(&self, model: &Model) -> Option<Call> {
        let opportunity = |states: &[State]| self.one(&model.opportunities, |it| states.contains(&it.state));
        let order = |states: &[OrderState]| self.one(&model.orders, |it| states.contains(&it.state));
        let customer = || newest(self.first, model.customers.len());
        let somebody = *self.third.get(&Who::ALL);
        let owner = (self.second.index(4) == 0).then_some(somebody);
        let detail = *self.third.get(&DETAILS);
        let (line, count) = (*self.second.get(&LINES), *self.third.get(&COUNTS));
        Some(match self.verb {
            Verb::CreateCustomer => Call::CreateCustomer { blocked: self.first.index(8) == 7 },
            Verb::UpdateCustomer => Call::UpdateCustomer { customer: customer()?, blocked: self.second.index(3) == 2 },
            Verb::CreateOpportunity => {
                let amount = 10 * (1 + self.third.index(9) as i64);
                Call::CreateOpportunity { customer: customer()?, owner, amount, titled: self.second.index(16) != 15 }
            }
            Verb::OwnOpportunity => Call::OwnOpportunity { opportunity: opportunity(WORKED_ON)?, owner: somebody },
            Verb::Move => {
                let stage = STAGES.get(self.second.index(STAGES.len() + 1)).copied();
                Call::Move {
                    opportunity: opportunity(WORKED_ON)?,
                    stage: stage.unwrap_or("pipelines/default/stages/nowhere"),
                }
            }
            Verb::Win => {
                let amount = (self.second.index(3) == 2).then(|| 7 + self.third.index(90) as i64);
                Call::Win { opportunity: opportunity(WORKED_ON)?, amount }
            }
            Verb::Snooze => Call::Snooze { opportunity: opportunity(WORKED_ON)? },
            Verb::Resume => Call::Resume { opportunity: opportunity(&[State::OnHold])? },
            Verb::CloseOpportunity => Call::CloseOpportunity {
                opportunity: opportunity(&[State::Open, State::OnHold, State::Won])?,
                reason: LOST[self.second.index(LOST.len())],
                detail,
            },
            Verb::ReopenOpportunity => {
                Call::ReopenOpportunity { opportunity: opportunity(&[State::ClosedOut, State::Won])? }
            }
            Verb::CreateOrder => self.new_order(model)?,
            Verb::OwnOrder => Call::OwnOrder { order: order(STANDING)?, owner: somebody },
            Verb::Confirm => Call::Confirm { order: order(&[OrderState::Draft])? },
            Verb::Fulfil => self.fulfil(model, order(AGREED)?, (line, count)),
            Verb::Pay => Call::Pay { order: order(AGREED)?, amount: 10 * count },
            Verb::CancelLine => {
                let (reason, refund) = (*self.second.get(&CANCELLED), self.third.index(7) == 6);
                Call::CancelLine { order: order(AGREED)?, line, count, reason, detail, refund }
            }
            Verb::CloseOrder => self.close_order(model, order(STANDING)?, detail),
            Verb::ReopenOrder => Call::ReopenOrder { order: order(&[OrderState::Processed, OrderState::Cancelled])? },
            Verb::CreateTask => self.new_task(model)?,
            Verb::ChangeTask => {
                let change = *self.second.get(&[Change::Start, Change::Complete, Change::Cancel]);
                Call::ChangeTask {
                    task: self
                        .one(&model.tasks, |task| matches!(task.state, TaskState::Open | TaskState::InProgress))?,
                    change,
                }
            }
            Verb::Rule => self.rule(model)?,
            Verb::Amend => self.amend(model, detail)?,
            Verb::Missing => {
                Call::Missing { record: *self.first.get(&[Record::Opportunity(0), Record::Order(0), Record::Task(0)]) }
            }
        })
    }

    /// An order, mostly of an opportunity of its customer.
    fn new_order(&self, model: &Model) -> Option<Call> {
        let opportunity = newest(self.first, model.opportunities.len()).filter(|_| self.second.index(6) != 5);
        let own = opportunity.map(|opportunity| model.opportunities[opportunity].customer);
        let any = newest(self.third, model.customers.len())?;
        if model.opportunities.is_empty() {
            return Some(Call::CreateOpportunity { customer: any, owner: None, amount: 10, titled: true });
        }
        let customer = own.filter(|_| self.third.index(12) != 11).unwrap_or(any);
        let owner = (self.third.index(5) == 4).then(|| *self.second.get(&Who::ALL));
        let lines = (0..=self.third.index(2)).map(|line| (2 + line as i64, 10 * (1 + line as i64))).collect();
        Some(Call::CreateOrder { customer, opportunity, owner, lines })
    }

    /// Mostly what is left of a line.
    fn fulfil(&self, model: &Model, order: usize, (line, count): (usize, i64)) -> Call {
        let mut lines = model.orders[order].lines.iter().map(Line::left).enumerate();
        let left = lines.find(|(_, left)| *left > 0).filter(|_| self.luck.index(3) != 2);
        let (line, count) = left.unwrap_or((line, count));
        Call::Fulfil { order, line, count }
    }

    /// What is fulfilled is mostly done; else it is mostly cancelled.
    fn close_order(&self, model: &Model, order: usize, detail: &'static str) -> Call {
        let done = !model.orders[order].any_left();
        let outcome = if done != (self.luck.index(6) == 5) { Outcome::Processed } else { Outcome::Cancelled };
        let reasons = if outcome == Outcome::Processed { &PROCESSED[..] } else { &CANCELLED[..] };
        let reason = reasons[self.third.index(reasons.len())];
        let (refund, policy) = (self.third.index(10) == 9, POLICIES[self.second.index(4096) % POLICIES.len()]);
        Call::CloseOrder { order, outcome, reason, detail, refund, policy }
    }

    fn new_task(&self, model: &Model) -> Option<Call> {
        let kind = *self.second.get(&KINDS);
        let trades = [TaskKind::Deliver, TaskKind::Procure, TaskKind::Collect, TaskKind::Invoice].contains(&kind);
        let (misplaced, review) = (self.third.index(24) == 23, kind == TaskKind::Review && self.third.index(2) == 1);
        let side = if (trades || review) != misplaced { Side::Trade } else { Side::Sales };
        let parents = [
            newest(self.first, model.opportunities.len()).map(Record::Opportunity),
            newest(self.first, model.orders.len()).map(Record::Order),
            newest(self.first, model.customers.len()).map(Record::Customer),
        ];
        let parents: Vec<_> = parents.into_iter().flatten().collect();
        let parent = *parents.get(self.luck.index(5) % parents.len().max(1))?;
        Some(Call::CreateTask { side, parent, kind })
    }

    /// A decision about a close-out that waits; where there is none, one that has to wait is asked for.
    fn rule(&self, model: &Model) -> Option<Call> {
        let won = |it: &Opportunity| it.state == State::Won;
        let waits = |it: &CloseOut| it.state == CloseOutState::PendingApproval;
        if !model.close_outs.iter().any(waits) && model.opportunities.iter().any(won) {
            let opportunity = self.one(&model.opportunities, won)?;
            return Some(Call::CloseOpportunity { opportunity, reason: LOST[0], detail: "" });
        }
        Some(Call::Rule { close_out: self.one(&model.close_outs, waits)?, verdict: *self.third.get(&VERDICTS) })
    }

    /// A correction. One that changes nothing is none: it leaves no trace to be found by the checker.
    fn amend(&self, model: &Model, detail: &'static str) -> Option<Call> {
        let close_out = self.one(&model.close_outs, |it| it.state == CloseOutState::Effective)?;
        let reasons = match model.close_outs[close_out].outcome {
            Outcome::Lost | Outcome::Unspecified => &LOST[..],
            Outcome::Cancelled => &CANCELLED[..8],
            Outcome::Processed => &PROCESSED[2..],
        };
        let reason = (self.luck.index(3) != 2).then(|| *self.second.get(reasons));
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        let says_so = model.says_so(close_out, reason, detail);
        (!says_so).then_some(Call::Amend { close_out, reason, detail })
    }
}
