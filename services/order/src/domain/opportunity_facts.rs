//! What a fact about an opportunity, a customer or a reason means on the trade side: order tasks, draft orders, the trade record,
//! the copies of the reasons, of the settings and of the exchange rates.

use super::{
    Order, State, World,
    order::{Grounds, Terms},
    order_record,
};
use crm_closeout::{
    cascade::NewTask,
    codes::{RecordKind, Side},
    episode::{CloseOutState, Effect, EffectKind, Outcome},
    fact::{Applied, ClosedFact, Event, Fact, PeerOutcome, WonPolicy},
    ids::{CloseOutId, CustomerId, OpportunityId},
    records::Lane,
    refusal::Refusal,
    remarks::Remarks,
    task::{TaskKind, TaskState},
    working_set::Cause,
};

pub(super) fn apply(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
    match before.record.kind {
        RecordKind::Customer => name_customer(world, cause, fact),
        RecordKind::Reason => copy_reason(world, cause, fact),
        RecordKind::Settings => copy_settings(world, cause, fact),
        RecordKind::ExchangeRate => copy_rate(world, cause, fact),
        RecordKind::Opportunity | RecordKind::Order => return apply_to_orders(world, cause, before, fact),
    }
    Applied { outcome: PeerOutcome::Applied, effects: Vec::new() }
}

fn apply_to_orders(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
    let opportunity = OpportunityId(before.record.id);
    match (fact.event, &fact.close_out) {
        (Event::Closed, Some(closed)) => close(world, cause, opportunity, fact, closed),
        // One whose close was never heard of, as an operator gave that message up, leaves nothing to reverse.
        (Event::Reopened, Some(closed)) if before.close_out_id != Some(closed.close_out_id) => {
            Applied { outcome: PeerOutcome::NoopAlreadyClosed, effects: Vec::new() }
        }
        (Event::Reopened, Some(closed)) => reopen(world, cause, opportunity, fact.customer_id, closed.close_out_id),
        (Event::Snapshot, _) => catch_up(world, cause, opportunity, before, fact),
        (Event::Amended, Some(closed)) => amend(world, cause, opportunity, fact.customer_id, closed),
        (
            Event::Opened
            | Event::Confirmed
            | Event::Won
            | Event::Changed
            | Event::Closed
            | Event::Reopened
            | Event::Amended,
            _,
        ) => Applied { outcome: PeerOutcome::Applied, effects: Vec::new() },
    }
}

/// The whole state was told: what is missing here is done. A close-out that is no longer in force is reversed, one that had not
/// been heard of is applied.
fn catch_up(world: &mut World, cause: &Cause, id: OpportunityId, before: &Lane, fact: &Fact) -> Applied {
    let known = before.close_out_id.filter(|_| before.is_closed());
    let told = fact.close_out.as_ref().filter(|closed| known != Some(closed.close_out_id));
    let over = known.filter(|known| fact.close_out.as_ref().is_none_or(|closed| closed.close_out_id != *known));
    if let Some(closed) = fact.close_out.as_ref().filter(|closed| known == Some(closed.close_out_id)) {
        world.amend_caused(cause, closed); // it may have been corrected since
    }
    let mut applied = Applied { outcome: PeerOutcome::Applied, effects: Vec::new() };
    let reversed = over.map(|over| reopen(world, cause, id, before.customer_id, over));
    for done in reversed.into_iter().chain(told.map(|closed| close(world, cause, id, fact, closed))) {
        applied.effects.extend(done.effects);
        if done.outcome != PeerOutcome::Applied {
            applied.outcome = done.outcome;
        }
    }
    applied
}

fn name_customer(world: &mut World, cause: &Cause, fact: &Fact) {
    if let Some(id) = fact.customer_id {
        world.touch(cause, id, None, |customer| customer.display_name.clone_from(&fact.customer_name));
    }
}

/// The copy is what was told last; its versions stay.
fn copy_reason(world: &mut World, cause: &Cause, fact: &Fact) {
    if let Some(told) = fact.reason.clone() {
        world.common.put_reason(cause, *told, 0);
    }
}

fn copy_settings(world: &mut World, cause: &Cause, fact: &Fact) {
    if let Some(told) = fact.settings.clone() {
        world.common.put_settings(cause, *told, 0);
    }
}

fn copy_rate(world: &mut World, cause: &Cause, fact: &Fact) {
    if let Some(told) = fact.rate.as_deref() {
        world.common.put_rate(cause, *told, 0);
    }
}

fn close(world: &mut World, cause: &Cause, id: OpportunityId, fact: &Fact, closed: &ClosedFact) -> Applied {
    let root = crm_closeout::codes::Record::new(RecordKind::Opportunity, id.0);
    let mut effects = world.common.cancel_tasks(cause, Side::Order, root, closed.close_out_id, &[]);
    let mut outcome = PeerOutcome::Applied;
    for order in orders_of(world, cause, id) {
        match order.state {
            State::Draft => match world.carry_out(cause, &order, grounds(closed)) {
                Ok((after, close_out)) => {
                    let states = (order.state.word(), after.state.word());
                    effects.extend(world.common.caused(cause.tenant_id, Side::Order, close_out, states));
                }
                Err(refusal) => effects.push(left(&order, EffectKind::LeftModified, &refusal)),
            },
            State::Confirmed | State::InFulfilment | State::ClosePending => {
                effects.extend(keep_live(world, cause, &order, id));
                outcome = PeerOutcome::NeedsReview;
            }
            State::Processed | State::Cancelled => {}
        }
    }
    if let Some(customer) = fact.customer_id {
        effects.extend(world.touch(cause, customer, Some(closed.close_out_id), |customer| {
            customer.deals_lost += 1;
            customer.last_close_out_at = customer.last_close_out_at.max(Some(closed.closed_at));
        }));
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, "opportunity.closed_out", root, Some(closed.close_out_id), text);
    }
    Applied { outcome, effects }
}

/// What is mirrored of it follows by itself; the close-outs that it caused here are corrected with it.
fn amend(
    world: &mut World,
    cause: &Cause,
    id: OpportunityId,
    customer: Option<CustomerId>,
    closed: &ClosedFact,
) -> Applied {
    world.amend_caused(cause, closed);
    if let Some(customer) = customer {
        let root = crm_closeout::codes::Record::new(RecordKind::Opportunity, id.0);
        let text = format!("{}@{}", closed.reason_code, closed.reason_version);
        world.common.tell(cause, customer, "opportunity.amended", root, Some(closed.close_out_id), text);
    }
    Applied { outcome: PeerOutcome::Applied, effects: Vec::new() }
}

fn grounds(closed: &ClosedFact) -> Grounds {
    Grounds {
        outcome: Outcome::Cancelled,
        reason_code: closed.reason_code.clone(),
        reason_version: closed.reason_version,
        class: closed.class,
        win_back_days: 0,
        detail: closed.detail.clone(),
        closed_at: closed.closed_at,
        historical: closed.historical,
        cause: Some(closed.close_out_id),
        hop: closed.hop + 1,
        group_id: closed.group_id,
        terms: Terms { won_policy: WonPolicy::Keep, refund_reference: String::new() },
        remarks: Remarks::default(),
        approval: None,
    }
}

/// The order became live while the close was on its way: it stays, and its owner is asked to look.
fn keep_live(world: &mut World, cause: &Cause, order: &Order, opportunity: OpportunityId) -> [Effect; 2] {
    let task = world.common.add_task(
        cause,
        &NewTask {
            root: order_record(order.order_id),
            kind: TaskKind::Review,
            title: review_title(opportunity),
            assignee: order.owner.clone(),
            due_at: None,
        },
    );
    [
        Effect::new(Side::Order, EffectKind::LeftLive, order.order_id, order.state.word(), order.state.word()),
        Effect::new(Side::Order, EffectKind::TaskCreated, task.task_id, "", TaskState::Open.word()),
    ]
}

fn review_title(opportunity: OpportunityId) -> String {
    format!(
        "{opportunity} was closed out while this order was confirmed: close the order out or reopen the opportunity"
    )
}

fn left(order: &Order, kind: EffectKind, refusal: &Refusal) -> Effect {
    Effect::new(Side::Order, kind, order.order_id, order.state.word(), refusal.reason())
}

fn reopen(
    world: &mut World,
    cause: &Cause,
    id: OpportunityId,
    customer: Option<CustomerId>,
    reversed: CloseOutId,
) -> Applied {
    let root = crm_closeout::codes::Record::new(RecordKind::Opportunity, id.0);
    let mut effects = world.common.restore_tasks(cause, Side::Order, root, reversed);
    let mut outcome = PeerOutcome::Applied;
    for (order, close_out) in caused_closes(world, cause, reversed) {
        let restored = match world.orders.get(&order).cloned() {
            Some(order) if order.close_out_id == Some(close_out) => {
                let restored = world.reverse(cause, &order, close_out, "its opportunity was reopened");
                restored
                    .map(|(after, own)| (order.state.word(), after.state.word(), own))
                    .map_err(|refusal| left(&order, EffectKind::LeftModified, &refusal))
            }
            Some(order) => Err(Effect::new(
                Side::Order,
                EffectKind::LeftModified,
                order.order_id,
                State::Cancelled.word(),
                order.state.word(),
            )),
            None => continue,
        };
        match restored {
            Ok((from, to, own)) => {
                effects.push(Effect::new(Side::Order, EffectKind::SubjectReopened, close_out, from, to));
                effects.extend(own);
            }
            Err(effect) => {
                effects.push(effect);
                outcome = PeerOutcome::SkippedModified;
            }
        }
    }
    effects.extend(world.common.withdraw_reviews(cause, Side::Order, &review_title(id)));
    if let Some(customer) = customer {
        effects.extend(world.touch(cause, customer, Some(reversed), |customer| customer.deals_lost -= 1));
        world.common.tell(cause, customer, "opportunity.reopened", root, Some(reversed), String::new());
    }
    Applied { outcome, effects }
}

fn orders_of(world: &World, cause: &Cause, id: OpportunityId) -> Vec<Order> {
    world.orders.of((cause.tenant_id, id.0)).cloned().collect()
}

/// Orders that a close-out had cancelled here, with the close-outs it caused.
fn caused_closes(
    world: &World,
    cause: &Cause,
    id: CloseOutId,
) -> Vec<((crm_closeout::ids::TenantId, crm_closeout::ids::OrderId), CloseOutId)> {
    let caused = world.common.close_outs.of((cause.tenant_id, id.0));
    caused
        .filter(|close_out| close_out.state == CloseOutState::Effective)
        .map(|close_out| {
            ((close_out.tenant_id, crm_closeout::ids::OrderId(close_out.subject.id)), close_out.close_out_id)
        })
        .collect()
}
