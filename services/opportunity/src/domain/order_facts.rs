//! What a fact about an order means on the sales side: selling tasks tied to it, the relationship, the won opportunity.

use super::{Opportunity, State, World, opportunity::Grounds, opportunity_record, win_back::Loss};
use crm_closeout::{
    cascade::NewTask,
    codes::{Record, Side},
    episode::{CloseOutState, Effect, EffectKind, Outcome},
    fact::{Applied, ClosedFact, Event, Fact, MirrorState, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId},
    records::Lane,
    remarks::Remarks,
    task::{TaskKind, TaskState},
    working_set::Cause,
};
use uuid::Uuid;

pub(super) fn apply(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
    let order = before.record;
    let mut applied = match (fact.event, &fact.close_out) {
        (Event::Closed, Some(closed)) => close(world, cause, before, fact, closed),
        (Event::Reopened, Some(closed)) => {
            reopen(world, cause, order, (fact.customer_id, fact.parent), closed.close_out_id)
        }
        (Event::Snapshot, _) => catch_up(world, cause, before, fact),
        (Event::Amended, Some(closed)) => amend(world, cause, order, fact, closed),
        (
            Event::Opened
            | Event::Confirmed
            | Event::Won
            | Event::Changed
            | Event::Closed
            | Event::Reopened
            | Event::Amended,
            _,
        ) => done(Vec::new()),
    };
    applied.effects.extend(relationship(world, cause, before, fact));
    applied
}

const fn done(effects: Vec<Effect>) -> Applied {
    Applied { outcome: PeerOutcome::Applied, effects }
}

fn close(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact, closed: &ClosedFact) -> Applied {
    let order = before.record;
    let mut effects = world.common.cancel_tasks(cause, Side::Opportunity, order, closed.close_out_id, &[]);
    if let Some(customer) = fact.customer_id {
        let kind = if closed.outcome == Outcome::Processed { "order.processed" } else { "order.cancelled" };
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, kind, order, Some(closed.close_out_id), text);
    }
    if let Some(opportunity) = bereft(world, cause, before, fact, closed) {
        effects.extend(follow_policy(world, cause, order, &opportunity, closed));
    }
    plan_win_back(world, cause, order, fact, closed);
    done(effects)
}

/// The whole state was told: what is missing here is done. A close-out that is no longer in force is reversed, one that had not
/// been heard of is applied.
fn catch_up(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
    let known = before.close_out_id.filter(|_| before.is_closed());
    let told = fact.close_out.as_ref().filter(|closed| known != Some(closed.close_out_id));
    let over = known.filter(|known| fact.close_out.as_ref().is_none_or(|closed| closed.close_out_id != *known));
    if let Some(closed) = fact.close_out.as_ref().filter(|closed| known == Some(closed.close_out_id)) {
        world.amend_caused(cause, closed); // it may have been corrected since
        plan_win_back(world, cause, before.record, fact, closed);
    }
    let mut applied = done(Vec::new());
    let of = (before.customer_id, before.parent_id);
    let reversed = over.map(|over| reopen(world, cause, before.record, of, over));
    // The whole state does not tell what was to become of the won opportunity: a person is asked.
    let told = told.map(|closed| ClosedFact { won_policy: Some(WonPolicy::Ask), ..closed.clone() });
    for one in reversed.into_iter().chain(told.map(|closed| close(world, cause, before, fact, &closed))) {
        applied.effects.extend(one.effects);
        if one.outcome != PeerOutcome::Applied {
            applied.outcome = one.outcome;
        }
    }
    applied
}

/// What is mirrored of it follows by itself; the close-out that it caused here is corrected with it.
fn amend(world: &mut World, cause: &Cause, order: Record, fact: &Fact, closed: &ClosedFact) -> Applied {
    world.amend_caused(cause, closed);
    plan_win_back(world, cause, order, fact, closed);
    if let Some(customer) = fact.customer_id {
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, "order.amended", order, Some(closed.close_out_id), text);
    }
    done(Vec::new())
}

fn reopen(
    world: &mut World,
    cause: &Cause,
    order: Record,
    (customer, opportunity): (Option<CustomerId>, Option<Uuid>),
    reversed: CloseOutId,
) -> Applied {
    let mut applied = done(world.common.restore_tasks(cause, Side::Opportunity, order, reversed));
    if let Some(customer) = customer {
        world.common.tell(cause, customer, "order.reopened", order, Some(reversed), String::new());
    }
    world.cancel_win_back(cause, reversed);
    applied.effects.extend(world.common.withdraw_reviews(cause, Side::Opportunity, &review_title(order)));
    for undone in undo_policy(world, cause, opportunity, reversed) {
        match undone {
            Ok(effects) => applied.effects.extend(effects),
            Err(left) => {
                applied.effects.push(left);
                applied.outcome = PeerOutcome::SkippedModified;
            }
        }
    }
    applied
}

/// What is planned to win the customer back is what the close-out of the order says. `relationship` touches the customer's record.
fn plan_win_back(world: &mut World, cause: &Cause, order: Record, fact: &Fact, closed: &ClosedFact) {
    // Who does not tell what it was worth does not tell of plans, either.
    if let Some(customer) = fact.customer_id.filter(|_| closed.amount.is_some()) {
        world.plan_win_back(cause, &Loss::of_order(order, customer, closed, &fact.owner));
    }
}

/// The won opportunity of an order that was cancelled as a whole, if no other order stands for it. A draft never stood for it.
fn bereft(world: &World, cause: &Cause, before: &Lane, fact: &Fact, closed: &ClosedFact) -> Option<Opportunity> {
    let draft = before.state == Some(MirrorState::Draft);
    if draft || closed.outcome != Outcome::Cancelled || fact.state != MirrorState::Closed {
        return None;
    }
    let order = before.record;
    let id = OpportunityId(fact.parent?);
    let opportunity = world.opportunities.get(&(cause.tenant_id, id)).filter(|o| o.counts_as() == State::Won)?;
    let mut others = world.common.children(cause.tenant_id, opportunity_record(id)).filter(|lane| lane.record != order);
    let stands = others.any(|lane| matches!(lane.state, Some(MirrorState::Live | MirrorState::Processed)));
    (!stands).then(|| opportunity.clone())
}

/// What becomes of a won opportunity now that its last order is gone.
fn follow_policy(
    world: &mut World,
    cause: &Cause,
    order: Record,
    opportunity: &Opportunity,
    closed: &ClosedFact,
) -> Vec<Effect> {
    let followed = match closed.won_policy {
        Some(WonPolicy::Keep) | None => return Vec::new(),
        // Its own close-out waits for approval: whoever decides about that sees the task.
        Some(_) if opportunity.state == State::ClosePending => return vec![ask(world, cause, order, opportunity)],
        Some(WonPolicy::Ask) => return vec![ask(world, cause, order, opportunity)],
        Some(WonPolicy::Reopen) => {
            let taken = world.take_back_win(cause, opportunity, Some(closed.close_out_id));
            taken.map(|(_, effects)| effects)
        }
        Some(WonPolicy::Lose) => world.carry_out(cause, opportunity, grounds(closed)).map(|(after, close_out)| {
            let states = (opportunity.state.word(), after.state.word());
            world.common.caused(cause.tenant_id, Side::Opportunity, close_out, states)
        }),
    };
    followed.unwrap_or_else(|refusal| vec![left(opportunity, refusal.reason())])
}

/// A person is to decide.
fn ask(world: &mut World, cause: &Cause, order: Record, opportunity: &Opportunity) -> Effect {
    let review = NewTask {
        root: opportunity_record(opportunity.opportunity_id),
        kind: TaskKind::Review,
        title: review_title(order),
        assignee: opportunity.owner.clone(),
        due_at: None,
    };
    let task = world.common.add_task(cause, &review);
    Effect::new(Side::Opportunity, EffectKind::TaskCreated, task.task_id, "", TaskState::Open.word())
}

fn grounds(closed: &ClosedFact) -> Grounds {
    Grounds {
        reason_code: closed.reason_code.clone(),
        reason_version: closed.reason_version,
        class: closed.class,
        win_back_days: 0,
        detail: closed.detail.clone(),
        competitor: None,
        closed_at: closed.closed_at,
        historical: closed.historical,
        cause: Some(closed.close_out_id),
        hop: closed.hop + 1,
        group_id: closed.group_id,
        remarks: Remarks::default(),
        approval: None,
    }
}

/// Takes back what this close-out of an order had made of its won opportunity; what has moved since is left, and told.
fn undo_policy(
    world: &mut World,
    cause: &Cause,
    opportunity: Option<Uuid>,
    reversed: CloseOutId,
) -> Vec<Result<Vec<Effect>, Effect>> {
    let caused = world.common.close_outs.of((cause.tenant_id, reversed.0));
    let caused: Vec<_> = caused.filter(|one| one.state == CloseOutState::Effective).cloned().collect();
    let lost = caused.into_iter().filter_map(|one| {
        let before = world.opportunities.get(&(cause.tenant_id, OpportunityId(one.subject.id))).cloned()?;
        if before.close_out_id != Some(one.close_out_id) {
            return Some(Err(left(&before, before.state.word())));
        }
        let undone = world.reverse(cause, &before, one.close_out_id, "its order was reopened");
        Some(undone.map_err(|refusal| left(&before, refusal.reason())).map(|(after, own)| {
            let (kind, from, to) = (EffectKind::SubjectReopened, before.state.word(), after.state.word());
            [vec![Effect::new(Side::Opportunity, kind, one.close_out_id, from, to)], own].concat()
        }))
    });
    let mut undone: Vec<_> = lost.collect();
    let taken = opportunity.and_then(|id| world.opportunities.get(&(cause.tenant_id, OpportunityId(id))).cloned());
    if let Some(before) = taken.filter(|before| before.taken_back_by == Some(reversed)) {
        undone.push(if before.state == State::Open && before.won_before.is_some() {
            let given = world.give_back_win(cause, &before, reversed).map(|(_, effects)| effects);
            given.map_err(|refusal| left(&before, refusal.reason()))
        } else {
            Err(left(&before, before.state.word()))
        });
    }
    undone
}

fn left(opportunity: &Opportunity, why: &str) -> Effect {
    let (id, state) = (opportunity.opportunity_id, opportunity.state.word());
    Effect::new(Side::Opportunity, EffectKind::LeftModified, id, state, why)
}

fn review_title(order: Record) -> String {
    format!("{order} was cancelled: reopen this opportunity or close it out")
}

fn relationship(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Vec<Effect> {
    let Some(id) = fact.customer_id else { return Vec::new() };
    let live = |state: Option<MirrorState>| i64::from(state == Some(MirrorState::Live));
    let change = live(Some(fact.state)) - live(before.state);
    let closes = matches!(fact.event, Event::Closed | Event::Reopened | Event::Amended | Event::Snapshot);
    let engaged = world.customers.get(&(cause.tenant_id, id)).is_none_or(|customer| customer.engaged);
    if change == 0 && !closes && engaged {
        return Vec::new();
    }
    let close_out = fact.close_out.as_ref().map(|closed| closed.close_out_id);
    world.touch(cause, id, close_out, |customer| {
        customer.live_order_count += change;
        customer.engaged = true;
    })
}
