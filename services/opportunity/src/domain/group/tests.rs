//! The rules about closing out a whole customer, one test for each, on rows in memory.

use super::*;
use crate::domain::{
    NewOpportunity, OpportunityEdit,
    tests::{TENANT, cause, customer, opened, order_lane, the_customer, world},
};
use crm_closeout::{
    access::{Access, Right, Rights, Scope},
    approval::{ApprovalPolicy, Ruling, Verdict},
    episode::CloseOutState,
    fact::MirrorState,
    job::JobKind,
    money::Money,
    settings::{Settings, Told},
};
use uuid::Uuid;

fn asked() -> CustomerClosing {
    CustomerClosing {
        customer_id: customer().customer_id,
        reason: reason::name("UNRESPONSIVE"),
        detail: "no answer since May".into(),
        competitor: None,
        remarks: Remarks::default(),
    }
}

/// Does what the duty of a group does, and ends it.
fn carried_out(world: &mut World, group: &Group) -> Group {
    let open: Vec<_> = world.open_of(TENANT, group.customer_id).map(|one| one.opportunity_id).collect();
    for id in open {
        world.begin();
        world.close_of_group(&cause(), &group.closing(id)).unwrap();
    }
    world.begin();
    world.finish_group(&cause(), group.group_id).unwrap();
    world.groups.get(&group.key()).unwrap().clone()
}

#[test]
fn every_open_opportunity_is_closed_out_for_one_reason_and_the_customer_is_lost() {
    let mut world = world();
    let (first, second) = (opened(&mut world), opened(&mut world));
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    assert_eq!((group.state, group.found, &*group.reason_code), (GroupState::Closing, 2, "UNRESPONSIVE"));
    assert_eq!(the_customer(&world).closing, Some(group.group_id));
    let jobs = world.common.jobs.entries();
    let job = jobs.iter().find(|job| job.kind == JobKind::Group).unwrap();
    assert_eq!(job.grouped(), Some((group.group_id, 1)));
    let group = carried_out(&mut world, &group);
    assert_eq!(
        (group.state, group.lefts, group.finished_at),
        (GroupState::Closed, Lefts::default(), Some(world.common.now))
    );
    for id in [first.opportunity_id, second.opportunity_id] {
        let row = world.opportunities.get(&(TENANT, id)).unwrap();
        let close_out = world.common.close_outs.get(&(TENANT, row.close_out_id.unwrap())).unwrap();
        assert_eq!((row.state, close_out.group_id), (State::ClosedOut, Some(group.group_id)));
        assert_eq!((&*close_out.detail, close_out.cause), ("no answer since May", None));
    }
    let customer = the_customer(&world);
    assert_eq!((customer.closing, customer.open_count, customer.lost_count), (None, 0, 2));
}

#[test]
fn what_a_rule_is_against_is_left_open_and_told() {
    let mut world = world();
    let (kept, gone) = (opened(&mut world), opened(&mut world));
    order_lane(&mut world, kept.opportunity_id, MirrorState::Live);
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    let group = carried_out(&mut world, &group);
    let [left] = group.lefts.0.as_slice() else { panic!("{:?}", group.lefts) };
    assert_eq!(
        (left.opportunity_id, &*left.reason, group.state),
        (kept.opportunity_id, "LIVE_ORDER", GroupState::Closed)
    );
    assert!(left.en.contains("live order") && !left.zh.is_empty(), "{left:?}");
    let state = |id| world.opportunities.get(&(TENANT, id)).unwrap().state;
    assert_eq!((state(kept.opportunity_id), state(gone.opportunity_id)), (State::Open, State::ClosedOut));
}

#[test]
fn until_it_is_closed_nothing_new_begins_with_the_customer() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    assert_eq!(world.close_out_customer(&cause(), &asked()).unwrap_err().reason(), "CUSTOMER_CLOSING");
    let new = NewOpportunity {
        number: "another".into(),
        customer_id: Some(group.customer_id),
        title: "More".into(),
        owner: "ann".into(),
        team: String::new(),
        stage: None,
        amount: Money::NONE,
        expected_close_at: None,
        source: String::new(),
        recovered_from: None,
        historical: None,
    };
    assert_eq!(world.create_opportunity(&cause(), &new).unwrap_err().reason(), "CUSTOMER_CLOSING");
    world.close_of_group(&cause(), &group.closing(opportunity.opportunity_id)).unwrap();
    let reopened = world.reopen(&cause(), opportunity.opportunity_id, "", "");
    assert_eq!(reopened.unwrap_err().reason(), "CUSTOMER_CLOSING");
    let early = world.reopen_customer(&cause(), group.group_id, "", "");
    assert_eq!(early.unwrap_err().reason(), "CUSTOMER_CLOSING");
    world.finish_group(&cause(), group.group_id).unwrap();
    assert!(world.create_opportunity(&cause(), &new).is_ok());
}

#[test]
fn one_that_came_in_between_is_looked_at_again() {
    let mut world = world();
    opened(&mut world);
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    world.finish_group(&cause(), group.group_id).unwrap();
    let again = world.groups.get(&group.key()).unwrap();
    assert_eq!((again.state, again.version), (GroupState::Closing, 2));
    let due: Vec<_> = world.common.jobs.entries().iter().filter(|job| job.kind == JobKind::Group).collect();
    assert_eq!(due.len(), 2);
    assert!(due[1].due_at > due[0].due_at && due[1].job_key != due[0].job_key);
}

#[test]
fn it_takes_the_right_over_each_and_something_to_close_out() {
    let mut world = world();
    assert_eq!(world.close_out_customer(&cause(), &asked()).unwrap_err().reason(), "NOTHING_OPEN");
    opened(&mut world);
    let own = Access { rights: Rights::NONE.with(&[Right::CloseOut], Scope::Own), teams: Vec::new() };
    let other = Cause { actor: "bob".into(), access: own, ..cause() };
    assert_eq!(world.close_out_customer(&other, &asked()).unwrap_err().reason(), "OUT_OF_REACH");
    let none = CustomerClosing { reason: reason::name("NO_SUCH"), ..asked() };
    assert_eq!(world.close_out_customer(&cause(), &none).unwrap_err().violations[0].field, "reason");
}

#[test]
fn taking_it_back_reverses_what_is_still_in_force() {
    let mut world = world();
    let (first, second) = (opened(&mut world), opened(&mut world));
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    let group = carried_out(&mut world, &group);
    world.begin();
    world.reopen(&cause(), first.opportunity_id, "", "they called").unwrap();
    let by = |world: &World, id| world.opportunities.get(&(TENANT, id)).unwrap().close_out_id;
    let (gone, left) = (by(&world, first.opportunity_id), by(&world, second.opportunity_id).unwrap());
    assert_eq!(gone, None);
    let reopening = world.reopen_customer(&cause(), group.group_id, "", "all of it").unwrap();
    assert_eq!(reopening.state, GroupState::Reopening);
    let again = world.reopen_customer(&cause(), group.group_id, "", "");
    assert_eq!(again.unwrap_err().reason(), "NOT_CLOSED");
    world.reverse_of_group(&cause(), group.group_id, left).unwrap();
    world.finish_reopening(&cause(), group.group_id).unwrap();
    let done = world.groups.get(&group.key()).unwrap();
    let reopening = done.reopening.as_ref().unwrap();
    assert_eq!((done.state, &*reopening.note, reopening.lefts.0.len()), (GroupState::Reopened, "all of it", 0));
    let row = world.opportunities.get(&second.key()).unwrap();
    assert_eq!((row.state, the_customer(&world).open_count), (State::Open, 2));
    let reversal = world.common.close_outs.get(&(TENANT, left)).unwrap().reversal.as_ref().unwrap();
    assert_eq!(reversal.note, "all of it");
}

#[test]
fn one_that_waits_for_approval_is_withdrawn_or_rejected_with_it() {
    for (actor, state) in [("ann", CloseOutState::Withdrawn), ("eve", CloseOutState::Rejected)] {
        let mut world = world();
        let opportunity = opened(&mut world);
        let approval = ApprovalPolicy { over: [(opportunity.amount.currency, 1)].into(), ..ApprovalPolicy::DEFAULT };
        let settings = Settings { approval, ..Settings::DEFAULT };
        world.common.put_settings(&cause(), Told { settings, revision: 1 }, 0);
        let group = world.close_out_customer(&cause(), &asked()).unwrap();
        let group = carried_out(&mut world, &group);
        let pending = world.opportunities.get(&opportunity.key()).unwrap().clone();
        assert_eq!((pending.state, group.lefts.0.len()), (State::ClosePending, 0));
        let other = Cause { actor: actor.into(), ..cause() };
        world.reopen_customer(&other, group.group_id, "", "not yet").unwrap();
        let by = pending.close_out_id.unwrap();
        world.reverse_of_group(&other, group.group_id, by).unwrap();
        assert_eq!(world.common.close_outs.get(&(TENANT, by)).unwrap().state, state);
        assert_eq!(world.opportunities.get(&opportunity.key()).unwrap().state, State::Open);
    }
}

#[test]
fn one_that_is_handed_over_meanwhile_is_out_of_reach() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let own = Access { rights: Rights::NONE.with(&[Right::CloseOut], Scope::Own), teams: Vec::new() };
    let group = world.close_out_customer(&Cause { access: own.clone(), ..cause() }, &asked()).unwrap();
    assert_eq!(group.access(), own);
    let edit = OpportunityEdit { owner: Some("bob".into()), ..OpportunityEdit::default() };
    world.update_opportunity(&cause(), opportunity.opportunity_id, "", &edit).unwrap();
    world.begin();
    let step = Cause { access: group.access(), ..cause() };
    world.close_of_group(&step, &group.closing(opportunity.opportunity_id)).unwrap();
    let left = &world.groups.get(&group.key()).unwrap().lefts.0[0];
    assert_eq!((left.opportunity_id, &*left.reason), (opportunity.opportunity_id, "OUT_OF_REACH"));
}

#[test]
fn one_whose_close_out_is_declined_stays_open_and_is_not_asked_for_again() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let approval = ApprovalPolicy { over: [(opportunity.amount.currency, 1)].into(), ..ApprovalPolicy::DEFAULT };
    let settings = Settings { approval, ..Settings::DEFAULT };
    world.common.put_settings(&cause(), Told { settings, revision: 1 }, 0);
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    world.begin();
    let (_, close_out) = world.close_of_group(&cause(), &group.closing(opportunity.opportunity_id)).unwrap();
    let (id, note) = (close_out.unwrap(), "not this one".to_owned());
    let reject = Ruling { id, etag: String::new(), verdict: Verdict::Reject, note };
    world.rule(&Cause { actor: "eve".into(), ..cause() }, &reject).unwrap();
    world.finish_group(&cause(), group.group_id).unwrap();
    let group = world.groups.get(&group.key()).unwrap();
    assert_eq!((group.state, &*group.lefts.0[0].reason), (GroupState::Closed, "DECLINED"));
    assert!(group.lefts.0[0].en.contains("REJECTED"), "{}", group.lefts.0[0].en);
}

#[test]
fn one_group_of_a_customer_is_under_way_at_a_time_in_whichever_direction() {
    let mut world = world();
    let (first, second) = (opened(&mut world), opened(&mut world));
    let group = world.close_out_customer(&cause(), &asked()).unwrap();
    let group = carried_out(&mut world, &group);
    world.reopen_customer(&cause(), group.group_id, "", "").unwrap();
    assert_eq!(world.close_out_customer(&cause(), &asked()).unwrap_err().reason(), "CUSTOMER_CLOSING");
    let by = |world: &World, one: &Opportunity| world.opportunities.get(&one.key()).unwrap().close_out_id.unwrap();
    let (one, other) = (by(&world, &first), by(&world, &second));
    world.reverse_of_group(&cause(), group.group_id, one).unwrap();
    // It does not end before the other one is taken back, too.
    world.finish_reopening(&cause(), group.group_id).unwrap();
    assert_eq!(world.groups.get(&group.key()).unwrap().state, GroupState::Reopening);
    world.reverse_of_group(&cause(), group.group_id, other).unwrap();
    world.finish_reopening(&cause(), group.group_id).unwrap();
    assert_eq!((the_customer(&world).closing, the_customer(&world).open_count), (None, 2));
    let second = world.close_out_customer(&cause(), &asked()).unwrap();
    assert_eq!(world.reopen_customer(&cause(), group.group_id, "", "").unwrap_err().reason(), "NOT_CLOSED");
    assert_eq!(second.state, GroupState::Closing);
}

#[test]
fn an_opportunity_finds_no_customer_that_is_being_closed_out() {
    let mut world = world();
    opened(&mut world);
    let mut stray = opened(&mut world);
    (stray.opportunity_id, stray.customer_id, stray.number) = (OpportunityId(Uuid::from_u128(99)), None, "x".into());
    world.opportunities.insert(stray.clone());
    world.close_out_customer(&cause(), &asked()).unwrap();
    let edit = OpportunityEdit { customer_id: Some(customer().customer_id), ..OpportunityEdit::default() };
    let refused = world.update_opportunity(&cause(), stray.opportunity_id, "", &edit).unwrap_err();
    assert_eq!(refused.reason(), "CUSTOMER_CLOSING");
}
