//! What a fact about an order means on the sales side: selling tasks tied to it, the relationship, the won opportunity.

use super::{World, opportunity::State, opportunity_record};
use crm_closeout::{
    cascade::NewTask,
    codes::{Record, Side},
    episode::{Effect, EffectKind, Outcome},
    fact::{Applied, ClosedFact, Event, Fact, MirrorState, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId},
    records::Lane,
    task::{TaskKind, TaskState},
    working_set::Cause,
};

pub(super) fn apply(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
    let order = before.record;
    let mut effects = match (fact.event, &fact.close_out) {
        (Event::Closed, Some(closed)) => close(world, cause, order, fact, closed),
        (Event::Reopened, Some(closed)) => reopen(world, cause, order, fact.customer_id, closed.close_out_id),
        (Event::Snapshot, _) => catch_up(world, cause, before, fact),
        (Event::Amended, Some(closed)) => amend(world, cause, order, fact.customer_id, closed),
        (
            Event::Opened
            | Event::Confirmed
            | Event::Won
            | Event::Changed
            | Event::Closed
            | Event::Reopened
            | Event::Amended,
            _,
        ) => Vec::new(),
    };
    effects.extend(relationship(world, cause, before, fact));
    Applied { outcome: PeerOutcome::Applied, effects }
}

fn close(world: &mut World, cause: &Cause, order: Record, fact: &Fact, closed: &ClosedFact) -> Vec<Effect> {
    let mut effects = world.common.cancel_tasks(cause, Side::Opportunity, order, closed.close_out_id, &[]);
    if let Some(customer) = fact.customer_id {
        let kind = if closed.outcome == Outcome::Processed { "order.processed" } else { "order.cancelled" };
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, kind, order, Some(closed.close_out_id), text);
    }
    if let Some(review) = review(world, cause, order, fact, closed) {
        let task = world.common.add_task(cause, &review);
        let created = TaskState::Open.word();
        effects.push(Effect::new(Side::Opportunity, EffectKind::TaskCreated, task.task_id, "", created));
    }
    effects
}

/// The whole state was told: what is missing here is done. A close-out that is no longer in force is reversed, one that had not
/// been heard of is applied.
fn catch_up(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Vec<Effect> {
    let known = before.close_out_id.filter(|_| before.is_closed());
    let told = fact.close_out.as_ref().filter(|closed| known != Some(closed.close_out_id));
    let over = known.filter(|known| fact.close_out.as_ref().is_none_or(|closed| closed.close_out_id != *known));
    let mut effects = Vec::new();
    if let Some(over) = over {
        effects.extend(reopen(world, cause, before.record, before.customer_id, over));
    }
    if let Some(closed) = told {
        effects.extend(close(world, cause, before.record, fact, closed));
    }
    effects
}

/// What is mirrored of it follows by itself.
fn amend(
    world: &mut World,
    cause: &Cause,
    order: Record,
    customer: Option<CustomerId>,
    closed: &ClosedFact,
) -> Vec<Effect> {
    if let Some(customer) = customer {
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, "order.amended", order, Some(closed.close_out_id), text);
    }
    Vec::new()
}

fn reopen(
    world: &mut World,
    cause: &Cause,
    order: Record,
    customer: Option<CustomerId>,
    reversed: CloseOutId,
) -> Vec<Effect> {
    let mut effects = world.common.restore_tasks(cause, Side::Opportunity, order, reversed);
    if let Some(customer) = customer {
        world.common.tell(cause, customer, "order.reopened", order, Some(reversed), String::new());
    }
    effects.extend(world.common.withdraw_reviews(cause, Side::Opportunity, &review_title(order)));
    effects
}

/// The task that asks the owner of a won opportunity what is to become of it, now that its last order is gone.
fn review(world: &World, cause: &Cause, order: Record, fact: &Fact, closed: &ClosedFact) -> Option<NewTask> {
    let whole = closed.outcome == Outcome::Cancelled && fact.state == MirrorState::Closed;
    if !whole || closed.won_policy != Some(WonPolicy::Ask) {
        return None;
    }
    let id = OpportunityId(fact.parent?);
    let opportunity = world.opportunities.get(&(cause.tenant_id, id)).filter(|o| o.state == State::Won)?;
    let root = opportunity_record(id);
    let mut others = world.common.children(cause.tenant_id, root).filter(|lane| lane.record != order);
    let stands = others.any(|lane| matches!(lane.state, Some(MirrorState::Live | MirrorState::Processed)));
    (!stands).then(|| NewTask {
        root,
        kind: TaskKind::Review,
        title: review_title(order),
        assignee: opportunity.owner.clone(),
        due_at: None,
    })
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
