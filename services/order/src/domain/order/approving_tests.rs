//! Four eyes on the trade side, one test for each rule, on rows in memory.

use super::State;
use crate::domain::{
    Order, World,
    tests::{TENANT, cause, closing, confirmed, draft, usd, world},
};
use crm_closeout::{
    approval::{ApprovalCause, ApprovalPolicy, Ruling, Verdict},
    episode::{CloseOut, CloseOutState, Outcome},
    fact::{MirrorState, WonPolicy},
    ids::CloseOutId,
    money::Money,
    refusal::Refusal,
    settings::{Settings, Told},
    working_set::{Cause, Keyed},
};

fn boss() -> Cause {
    Cause { actor: "eve".into(), ..cause() }
}

/// In this tenant what is worth more than 5 dollars needs a second person.
fn strict() -> World {
    let mut world = world();
    let approval = ApprovalPolicy { over: [(usd(), 500)].into(), ..ApprovalPolicy::DEFAULT };
    let settings = Settings { approval, won_policy: WonPolicy::Lose, ..Settings::DEFAULT };
    world.common.put_settings(&cause(), Told { settings, revision: 1 }, 0);
    world
}

fn paid(world: &mut World) -> Order {
    let order = confirmed(world);
    world.pay(&cause(), order.order_id, "", Money { minor: 300, currency: usd() }).unwrap()
}

fn asked(world: &mut World, order: &Order) -> CloseOut {
    world.begin();
    let (after, id) = world.close_out(&cause(), &closing(order.order_id, Outcome::Cancelled)).unwrap();
    assert_eq!((after.state, after.close_out_id), (State::ClosePending, Some(id)));
    world.common.close_out(TENANT, id).unwrap()
}

fn ruling(world: &mut World, cause: &Cause, id: CloseOutId, verdict: Verdict) -> Result<CloseOut, Refusal> {
    world.begin();
    let ruled = world.rule(cause, &Ruling { id, etag: String::new(), verdict, note: String::new() });
    if ruled.is_err() {
        world.rollback();
    }
    ruled
}

#[test]
fn what_was_paid_without_a_refund_waits_and_is_cancelled_once_approved() {
    let mut world = world();
    let order = paid(&mut world);
    let sent = world.common.outgoing.entries().len();
    let close_out = asked(&mut world, &order);
    assert_eq!(close_out.approval.unwrap().causes, [ApprovalCause::Paid]);
    assert_eq!(world.common.outgoing.entries().len(), sent);
    assert_eq!(world.fulfil(&cause(), order.order_id, "", &[(0, 1)]).unwrap_err().reason(), "CLOSE_PENDING");
    assert_eq!(world.reopen(&cause(), order.order_id, "", "").unwrap_err().reason(), "CLOSE_PENDING");
    let ruled = ruling(&mut world, &boss(), close_out.close_out_id, Verdict::Approve).unwrap();
    assert_eq!((ruled.state, &*ruled.snapshot.state_word), (CloseOutState::Effective, "CONFIRMED"));
    let closed = world.orders.get(&order.key()).unwrap();
    assert_eq!((closed.state, closed.paid_minor, closed.lines.0[0].cancelled), (State::Cancelled, 300, 10));
    let (_, message) = world.common.outgoing.entries().last().unwrap();
    assert_eq!((message.fact.state, &*message.fact.actor), (MirrorState::Closed, "bob"));
    let (back, _) = world.reopen(&cause(), order.order_id, "", "").unwrap();
    assert_eq!((back.state, back.lines), (State::Confirmed, order.lines));
}

#[test]
fn over_the_amount_it_waits_with_all_that_was_said() {
    let mut world = strict();
    let order = paid(&mut world);
    let mut cancel = closing(order.order_id, Outcome::Cancelled);
    (cancel.refund_reference, cancel.won_policy) = ("R-1".into(), None);
    world.begin();
    let (_, id) = world.close_out(&cause(), &cancel).unwrap();
    let approval = world.common.close_out(TENANT, id).unwrap().approval.unwrap();
    assert_eq!((&*approval.causes, &*approval.refund_reference), (&[ApprovalCause::OverAmount][..], "R-1"));
    ruling(&mut world, &boss(), id, Verdict::Approve).unwrap();
    assert_eq!(world.orders.get(&order.key()).unwrap().refund_reference, "R-1");
    let (_, message) = world.common.outgoing.entries().last().unwrap();
    assert_eq!(message.fact.close_out.as_ref().unwrap().won_policy, Some(WonPolicy::Lose));
}

#[test]
fn what_was_paid_for_since_is_not_cancelled_by_who_was_not_told() {
    let mut world = strict();
    let order = confirmed(&mut world);
    let id = asked(&mut world, &order).close_out_id;
    world.pay(&cause(), order.order_id, "", Money { minor: 300, currency: usd() }).unwrap();
    // Money that comes meanwhile is taken, and told.
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Approve).unwrap_err().reason(), "PAID_SINCE");
    ruling(&mut world, &boss(), id, Verdict::Reject).unwrap();
    let again = asked(&mut world, &order);
    assert_eq!(again.approval.unwrap().causes, [ApprovalCause::OverAmount, ApprovalCause::Paid]);
    ruling(&mut world, &boss(), again.close_out_id, Verdict::Approve).unwrap();
}

#[test]
fn what_came_to_nothing_leaves_the_order_as_it_was() {
    let mut world = strict();
    let order = confirmed(&mut world);
    let part = world.fulfil(&cause(), order.order_id, "", &[(0, 4)]).unwrap();
    for (verdict, by, state) in [
        (Verdict::Reject, boss(), CloseOutState::Rejected),
        (Verdict::Withdraw, cause(), CloseOutState::Withdrawn),
        (Verdict::Expire, cause(), CloseOutState::Expired),
    ] {
        let id = asked(&mut world, &order).close_out_id;
        assert_eq!(ruling(&mut world, &by, id, verdict).unwrap().state, state);
        let after = world.orders.get(&order.key()).unwrap();
        assert_eq!((after.state, &after.lines, after.close_out_id), (State::InFulfilment, &part.lines, None));
    }
    assert_eq!(world.orders.get(&order.key()).unwrap().declined, 3);
}

#[test]
fn a_draft_and_an_order_that_is_done_need_nobody() {
    let mut world = strict();
    let new = draft(&mut world);
    let cancelled = world.close_out(&cause(), &closing(new.order_id, Outcome::Cancelled)).unwrap().0;
    assert_eq!(cancelled.state, State::Cancelled);
    let order = confirmed(&mut world);
    world.fulfil(&cause(), order.order_id, "", &[(0, 10)]).unwrap();
    let done = world.close_out(&cause(), &closing(order.order_id, Outcome::Processed)).unwrap().0;
    assert_eq!(done.state, State::Processed);
}
