//! Both sides say the same of every record, and nothing is on its way any more.

use super::{Found, named};
use crate::picture::{Episode, Key, Picture, Side, Subject, rate_lane, settings_lane};
use crm_closeout::{
    codes::{Record, RecordKind},
    episode::{CloseOutState, Delivery, Propagation},
    fact::MirrorState,
    ids::TenantId,
    reason::Entry,
    records::Lane,
};

/// I21: not converged: a mirror that differs from the record it mirrors (state, epoch, owner, customer, opportunity, close-out id
/// and its time, outcome, class and cause; a customer's name; reasons, settings and exchange rates as a whole), a message left in an outbox, a close-out or a reversal whose delivery is
/// not settled. A lane in which a message is parked waits for an operator; what it tells is not compared.
pub(super) fn mirrors_agree(picture: &Picture, found: &mut Found) {
    for (side, other) in picture.sides() {
        for (key, subject) in side.subjects.iter().filter(|(key, _)| !side.is_stuck(key)) {
            mirror(side, other, key, subject, found);
        }
        for (key, messages) in side.outbox.iter().filter(|(key, _)| !side.is_stuck(key)) {
            let numbers: Vec<_> = messages.iter().map(|message| message.number).collect();
            found.expect(false, || format!("{}: {} still has to send {numbers:?}", side.name, named(key)));
        }
        let arrives = |tenant: TenantId, close_out: &Episode| !side.is_stuck(&(tenant, close_out.subject));
        for ((_, id), close_out) in side.close_outs.iter().filter(|((tenant, _), c)| arrives(*tenant, c)) {
            settled(close_out, found, || format!("{}: {id}", side.name));
        }
    }
    reasons(picture, found);
    settings(picture, found);
    rates(picture, found);
    for ((tenant, id), customer) in &picture.opportunity.customers {
        if picture.opportunity.is_stuck(&(*tenant, Record::new(RecordKind::Customer, id.0))) {
            continue;
        }
        let copy = picture.order.customers.get(&(*tenant, *id)).map(|copy| &copy.display_name);
        found.expect(copy == Some(&customer.display_name), || {
            format!("{id} is called {:?}, on the order side {copy:?}", customer.display_name)
        });
        let lane = picture.order.lanes.get(&(*tenant, Record::new(RecordKind::Customer, id.0)));
        found.expect(lane.is_some_and(|lane| lane.state == Some(MirrorState::Live)), || {
            format!("the order side has not heard of {id}")
        });
    }
    for key in picture.order.customers.keys() {
        let known = picture.opportunity.customers.contains_key(key);
        found.expect(known, || format!("the order side has {}, the opportunity side has not", key.1));
    }
}

fn reasons(picture: &Picture, found: &mut Found) {
    let (owner, copies) = (&picture.opportunity, &picture.order.reasons);
    let arrives = |own: &Entry| {
        !own.listed.lane.is_some_and(|id| owner.is_stuck(&(own.tenant_id, Record::new(RecordKind::Reason, id))))
    };
    for (key, own) in owner.reasons.iter().filter(|(_, own)| arrives(own)) {
        let copy = copies.get(key).map(|copy| &copy.listed);
        found.expect(copy == Some(&own.listed), || {
            format!("reason {} is {:?}, on the order side {copy:?}", key.1, own.listed)
        });
    }
    for key in copies.keys() {
        let known = owner.reasons.contains_key(key);
        found.expect(known, || format!("the order side has reason {}, the opportunity side has not", key.1));
    }
}

fn settings(picture: &Picture, found: &mut Found) {
    let (owner, copies) = (&picture.opportunity, &picture.order.settings);
    for (tenant, own) in &owner.settings {
        if owner.is_stuck(&(*tenant, settings_lane(*tenant))) {
            continue;
        }
        let copy = copies.get(tenant).map(|copy| &copy.told);
        found.expect(copy == Some(&own.told), || {
            format!("settings of {tenant} are {:?}, on the order side {copy:?}", own.told)
        });
    }
    for tenant in copies.keys() {
        let known = owner.settings.contains_key(tenant);
        found.expect(known, || format!("the order side has settings of {tenant}, the opportunity side has not"));
    }
}

fn rates(picture: &Picture, found: &mut Found) {
    let (owner, copies) = (&picture.opportunity, &picture.order.rates);
    for (key, own) in owner.rates.iter().filter(|(key, _)| !owner.is_stuck(&(key.0, rate_lane(key.1)))) {
        let copy = copies.get(key).map(|copy| &copy.told);
        found.expect(copy == Some(&own.told), || format!("a rate is {:?}, on the order side {copy:?}", own.told));
    }
    for key in copies.keys() {
        let known = owner.rates.contains_key(key);
        found.expect(known, || format!("the order side has rate {}, the opportunity side has not", key.1));
    }
}

fn mirror(side: &Side, other: &Side, key: &Key, subject: &Subject, found: &mut Found) {
    let Some(lane) = other.lanes.get(key) else {
        return found.expect(false, || format!("{}: nothing is known of {}", other.name, named(key)));
    };
    let close_out = subject.close_out.and_then(|id| side.close_outs.get(&(key.0, id)));
    // What was closed before these were kept, or is told by an earlier version, has none.
    let told = close_out.filter(|_| lane.reason_code.is_some());
    let expected = Lane {
        last_number: lane.last_number, // compared by another invariant
        customer_id: subject.customer,
        parent_id: subject.parent,
        state: Some(subject.state),
        epoch: subject.epoch,
        owner: subject.owner.clone(),
        close_out_id: subject.close_out,
        closed_at: subject.closed_at,
        outcome: close_out.map(|close_out| close_out.outcome),
        reason_code: told.map(|close_out| close_out.reason.clone()),
        class: close_out.and_then(|close_out| close_out.class),
        lost: told.filter(|_| lane.lost.is_some()).map(|close_out| close_out.amount),
        loss_at: close_out.and_then(Episode::loss_at),
        success_at: close_out.and_then(Episode::success_at),
        cause: close_out.and_then(|close_out| close_out.cause),
        ..Lane::unknown(key.0, key.1)
    };
    found.expect(*lane == expected, || {
        let differ: Vec<_> = fields(lane).into_iter().zip(fields(&expected)).filter(|(is, said)| is != said).collect();
        let differ: Vec<_> = differ.iter().map(|(is, said)| format!("{} is {}, not {}", is.0, is.1, said.1)).collect();
        format!("{}: its mirror of {} differs: {}", other.name, named(key), differ.join("; "))
    });
}

fn fields(lane: &Lane) -> [(&'static str, String); 14] {
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    [
        ("customer", text(&lane.customer_id)),
        ("parent", text(&lane.parent_id)),
        ("state", text(&lane.state)),
        ("epoch", text(&lane.epoch)),
        ("owner", text(&lane.owner)),
        ("close-out", text(&lane.close_out_id)),
        ("closed_at", text(&lane.closed_at)),
        ("outcome", text(&lane.outcome)),
        ("reason", text(&lane.reason_code)),
        ("class", text(&lane.class)),
        ("amount", text(&lane.lost)),
        ("loss_at", text(&lane.loss_at)),
        ("success_at", text(&lane.success_at)),
        ("cause", text(&lane.cause)),
    ]
}

fn settled(close_out: &Episode, found: &mut Found, name: impl Fn() -> String) {
    let is = |delivery: &Delivery| matches!(delivery.propagation, Propagation::Settled | Propagation::NotNeeded);
    let word = |delivery: &Delivery| delivery.propagation.word();
    found.expect(is(&close_out.delivery), || format!("{} is {}", name(), word(&close_out.delivery)));
    let reversed = close_out.state == CloseOutState::Reversed;
    let reversal = close_out.reversal_delivery.as_ref();
    found.expect(reversed == reversal.is_some() && reversal.is_none_or(is), || {
        format!("the reversal of {} is {}", name(), reversal.map_or("missing", word))
    });
}
