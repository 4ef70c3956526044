//! What customers' records say, counted again from the records it comes from.

use super::Found;
use crate::picture::{Amounts, Customer, Key, Picture, Relationship, Side};
use crm_closeout::{
    codes::RecordKind,
    fact::MirrorState,
    ids::{CustomerId, TenantId},
    time::Time,
};
use std::collections::BTreeMap;

/// What a recount of one customer gives.
#[derive(Default)]
struct Counted {
    subjects: [i64; 4],
    amounts: Amounts,
    /// Live orders or lost opportunities, by the mirrors.
    mirrored: i64,
    engaged: bool,
    loss_at: Option<Time>,
    success_at: Option<Time>,
}

/// I13: a customer's counters and amounts differing from a recount: on the opportunity side from its opportunities and the mirrors
/// of its orders, with lifecycle and last loss; on the order side from its orders and the mirrors of its opportunities. Also a subject
/// that lists by state show in another state than its own.
pub(super) fn counters_are_exact(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        for text in &side.misplaced {
            found.expect(false, || format!("{}: {text}", side.name));
        }
        let mut counted = count(side);
        for (key, customer) in &side.customers {
            compare(side, key.1, customer, &counted.remove(key).unwrap_or_default(), found);
        }
        for (_, id) in counted.keys() {
            found.expect(false, || format!("{}: {id} has records and is not there", side.name));
        }
    }
}

fn count(side: &Side) -> BTreeMap<(TenantId, CustomerId), Counted> {
    let mut all: BTreeMap<(TenantId, CustomerId), Counted> = BTreeMap::new();
    for (key, subject) in &side.subjects {
        let Some(customer) = subject.customer else { continue };
        let counted = all.entry((key.0, customer)).or_default();
        if let Some(count) = counted.subjects.get_mut(subject.counter) {
            *count += 1;
        }
        for (sum, currency, minor) in &subject.amounts {
            let sums = counted.amounts.entry(*currency).or_insert_with(|| vec![0; 4]);
            if let Some(value) = sums.get_mut(*sum) {
                *value += minor;
            }
        }
        counted.engaged = true;
        counted.loss_at = counted.loss_at.max(loss_at(side, key));
        counted.success_at = counted.success_at.max(subject.won_at);
    }
    for (key, lane) in &side.lanes {
        let (Some(customer), Some(state)) = (lane.customer_id, lane.state) else { continue };
        if key.1.kind == RecordKind::Customer {
            continue;
        }
        let counted = all.entry((key.0, customer)).or_default();
        let counts = if key.1.kind == RecordKind::Order { MirrorState::Live } else { MirrorState::Closed };
        counted.mirrored += i64::from(state == counts);
        counted.engaged = true;
        counted.loss_at = counted.loss_at.max(lane.loss_at);
        counted.success_at = counted.success_at.max(lane.success_at);
    }
    all
}

fn loss_at(side: &Side, key: &Key) -> Option<Time> {
    let id = side.subjects.get(key)?.close_out?;
    side.close_outs.get(&(key.0, id))?.loss_at()
}

fn compare(side: &Side, id: CustomerId, customer: &Customer, counted: &Counted, found: &mut Found) {
    let last = customer.counters.len() - 1;
    for (index, (name, value)) in customer.counters.iter().enumerate() {
        let again = if index == last { counted.mirrored } else { counted.subjects[index] };
        found.expect(*value == again, || format!("{}: {name} of {id} is {value}, counted {again}", side.name));
    }
    let kept = customer.amounts.iter().map(|(currency, sums)| (currency.to_string(), sums.clone()));
    let again = counted.amounts.iter().filter(|(_, sums)| sums.iter().any(|sum| *sum != 0));
    // One sum for each counter of subjects: three on the opportunity side, four on the order side.
    let again =
        again.map(|(currency, sums)| (currency.to_string(), sums.iter().copied().take(last).collect::<Vec<_>>()));
    let (kept, again): (Vec<_>, Vec<_>) = (kept.collect(), again.collect());
    found.expect(kept == again, || format!("{}: the amounts of {id} are {kept:?}, counted {again:?}", side.name));
    if let Some(relationship) = &customer.relationship {
        let (loss, again) = (relationship.last_loss_at, counted.loss_at);
        found.expect(loss == again, || format!("{}: the last loss of {id} is {loss:?}, counted {again:?}", side.name));
        let (is, again) = (relationship.engaged, counted.engaged);
        found.expect(is == again, || format!("{}: engaged of {id} is {is}, counted {again}", side.name));
        let (is, again) = (relationship.lifecycle, lifecycle(relationship, counted));
        found.expect(is == again, || format!("{}: the lifecycle of {id} is {is}, counted {again}", side.name));
    }
}

/// Written again from `domain.md`, not taken from the service.
fn lifecycle(relationship: &Relationship, counted: &Counted) -> &'static str {
    if relationship.blocked {
        "BLOCKED"
    } else if counted.subjects[0] > 0 || counted.mirrored > 0 {
        "ACTIVE"
    } else if relationship.plans.running > 0 {
        "WIN_BACK"
    } else if counted.loss_at > counted.success_at {
        "LOST"
    } else if counted.engaged {
        "DORMANT"
    } else {
        "PROSPECT"
    }
}
