//! The history of each thing, step by step. Which steps there may be is written again from `domain.md`, not taken from the
//! services.

use super::Found;
use crate::{
    picture::{Picture, Side},
    trail::{Step, Thing},
};
use crm_closeout::{codes::RecordKind, ids::TenantId};

/// Steps of an opportunity from one state to another. To where a close-out is taken back is told by the step that closed it.
const OPPORTUNITY: &[(&str, &str)] = &[
    ("", "OPEN"),
    ("OPEN", "OPEN"),
    ("OPEN", "ON_HOLD"),
    ("OPEN", "WON"),
    ("OPEN", "CLOSE_PENDING"),
    ("OPEN", "CLOSED_OUT"),
    ("ON_HOLD", "ON_HOLD"),
    ("ON_HOLD", "OPEN"),
    ("ON_HOLD", "CLOSE_PENDING"),
    ("ON_HOLD", "CLOSED_OUT"),
    ("WON", "OPEN"),
    ("WON", "CLOSE_PENDING"),
    ("WON", "CLOSED_OUT"),
    ("CLOSE_PENDING", "CLOSED_OUT"),
    ("CLOSE_PENDING", "OPEN"),
    ("CLOSE_PENDING", "ON_HOLD"),
    ("CLOSE_PENDING", "WON"),
    ("CLOSED_OUT", "CLOSED_OUT"),
];

/// Steps of an order. A processed one may still be paid for, and one whose close-out waits for approval; the close-out of one may be
/// corrected.
const ORDER: &[(&str, &str)] = &[
    ("", "DRAFT"),
    ("DRAFT", "DRAFT"),
    ("DRAFT", "CONFIRMED"),
    ("DRAFT", "CANCELLED"),
    ("CONFIRMED", "CONFIRMED"),
    ("CONFIRMED", "IN_FULFILMENT"),
    ("CONFIRMED", "CLOSE_PENDING"),
    ("CONFIRMED", "PROCESSED"),
    ("CONFIRMED", "CANCELLED"),
    ("IN_FULFILMENT", "IN_FULFILMENT"),
    ("IN_FULFILMENT", "CLOSE_PENDING"),
    ("IN_FULFILMENT", "PROCESSED"),
    ("IN_FULFILMENT", "CANCELLED"),
    ("CLOSE_PENDING", "CLOSE_PENDING"),
    ("CLOSE_PENDING", "PROCESSED"),
    ("CLOSE_PENDING", "CANCELLED"),
    ("CLOSE_PENDING", "CONFIRMED"),
    ("CLOSE_PENDING", "IN_FULFILMENT"),
    ("PROCESSED", "PROCESSED"),
    ("CANCELLED", "CANCELLED"),
];

/// Steps of a task. Only the reversal of a close-out brings a cancelled one back.
const TASK: &[(&str, &str)] = &[
    ("", "OPEN"),
    ("OPEN", "OPEN"),
    ("OPEN", "IN_PROGRESS"),
    ("OPEN", "DONE"),
    ("OPEN", "CANCELLED"),
    ("IN_PROGRESS", "IN_PROGRESS"),
    ("IN_PROGRESS", "DONE"),
    ("IN_PROGRESS", "CANCELLED"),
];

pub(super) const CLOSED: &[&str] = &["CLOSED_OUT", "PROCESSED", "CANCELLED"];

/// I12, at any instant: a history of a record or a task with a version step other than 1, a change of state that `domain.md` does
/// not allow, or a close-out epoch going back; or one that does not end where the record stands.
pub(super) fn follow_the_rules(picture: &Picture, found: &mut Found) {
    for (side, _) in picture.sides() {
        for ((tenant, thing), steps) in &side.trails.steps {
            let wrong = versions(side, *thing, steps)
                .or_else(|| states(*thing, steps))
                .or_else(|| epochs(side, *tenant, *thing, steps))
                .or_else(|| end(side, *tenant, *thing, steps));
            found.checked += steps.len() as u64;
            found.expect(wrong.is_none(), || {
                format!("{}: {thing} of tenant {tenant}: {}", side.name, wrong.unwrap_or_default())
            });
        }
        for ((tenant, thing), (version, _)) in &side.versions {
            let known = side.trails.steps.contains_key(&(*tenant, *thing)) || *version == made_at(side, *thing);
            found.expect(known, || format!("{}: {thing} of tenant {tenant} has no history", side.name));
        }
    }
}

/// The version before the first step. A customer that was put in before it was heard of has its first version without one.
fn made_at(side: &Side, thing: Thing) -> i64 {
    let customer = matches!(thing, Thing::Record(record) if record.kind == RecordKind::Customer);
    i64::from(customer && side.has_stubs)
}

fn versions(side: &Side, thing: Thing, steps: &[Step]) -> Option<String> {
    let mut last = made_at(side, thing);
    for step in steps {
        if (step.before, step.after) != (last, last + 1) {
            return Some(format!("from version {last} it went from {} to {}", step.before, step.after));
        }
        last = step.after;
    }
    None
}

fn states(thing: Thing, steps: &[Step]) -> Option<String> {
    let table = match thing {
        Thing::Task(_) => TASK,
        Thing::Record(record) => match record.kind {
            RecordKind::Opportunity => OPPORTUNITY,
            RecordKind::Order => ORDER,
            // Decided from the counters, which are counted again; in use or not, whichever it was before.
            RecordKind::Customer | RecordKind::Reason | RecordKind::Settings | RecordKind::ExchangeRate => return None,
        },
    };
    let (mut last, mut closed_from, mut waits_from) = ("", "", "");
    for step in steps {
        let (from, to) = (&*step.from, &*step.to);
        let closes = !CLOSED.contains(&from) && CLOSED.contains(&to);
        let takes_back = CLOSED.contains(&from) && to == closed_from && step.close_out.is_some();
        // What came to nothing leaves it as it was.
        let strays = from == "CLOSE_PENDING" && !closes && to != from && to != waits_from;
        if from != last || strays || !(table.contains(&(from, to)) || takes_back) {
            return Some(format!("at version {}, {last:?}, it went from {from:?} to {to:?}", step.after));
        }
        last = to;
        waits_from = if to == "CLOSE_PENDING" && from != to { from } else { waits_from };
        closed_from = match (closes, from) {
            (true, "CLOSE_PENDING") => waits_from,
            (true, _) => from,
            (false, _) => closed_from,
        };
    }
    None
}

fn epochs(side: &Side, tenant: TenantId, thing: Thing, steps: &[Step]) -> Option<String> {
    let mut last = 0;
    for step in steps.iter().filter(|step| thing.is_subject() && CLOSED.contains(&&*step.to) && step.from != step.to) {
        let close_out = step.close_out.and_then(|id| side.close_outs.get(&(tenant, id)));
        let number = close_out.map_or(0, |close_out| close_out.number);
        if number <= last {
            return Some(format!("at version {} it was closed out by episode {number} after {last}", step.after));
        }
        last = number;
    }
    None
}

fn end(side: &Side, tenant: TenantId, thing: Thing, steps: &[Step]) -> Option<String> {
    let last = steps.last()?;
    let Some((version, state)) = side.versions.get(&(tenant, thing)) else {
        return Some("it has a history and is not there".to_owned());
    };
    let ends = *version == last.after && (state.is_empty() || **state == *last.to);
    (!ends).then(|| format!("its history ends with {} {}; it is {version} {state}", last.after, last.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_closeout::{codes::Record, ids::CloseOutId};
    use uuid::Uuid;

    /// What is wrong with these states of a record one after the other.
    fn wrong(kind: RecordKind, states_in_order: &[&str]) -> Option<String> {
        let step = |(place, pair): (usize, &[&str])| Step {
            before: place as i64,
            after: place as i64 + 1,
            from: pair[0].into(),
            to: pair[1].into(),
            edit: true,
            message: None,
            close_out: Some(CloseOutId(Uuid::nil())),
        };
        let steps: Vec<_> = states_in_order.windows(2).enumerate().map(step).collect();
        states(Thing::Record(Record::new(kind, Uuid::nil())), &steps)
    }

    #[test]
    fn an_order_may_be_paid_for_while_its_close_out_waits_and_is_then_what_it_was() {
        let waits = ["", "DRAFT", "CONFIRMED", "CLOSE_PENDING", "CLOSE_PENDING"];
        for (next, right) in [("CONFIRMED", true), ("CANCELLED", true), ("IN_FULFILMENT", false)] {
            let states = [&waits[..], &[next]].concat();
            assert_eq!(wrong(RecordKind::Order, &states).is_none(), right, "{states:?}");
        }
        // And taken back, it is what it was before it waited.
        let states = [&waits[..], &["CANCELLED", "CONFIRMED"]].concat();
        assert_eq!(wrong(RecordKind::Order, &states), None);
        let opportunity = ["", "OPEN", "CLOSE_PENDING", "CLOSE_PENDING"];
        assert!(wrong(RecordKind::Opportunity, &opportunity).is_some(), "nothing is done with it meanwhile");
    }
}
