//! Four eyes on the sales side, one test for each rule, on rows in memory.

use super::State;
use crate::domain::{
    Opportunity, SettingsEdit, World, opportunity_record,
    tests::{TENANT, cause, closing, opened, order_lane, selling_task, the_customer, world},
};
use crm_closeout::{
    approval::{ApprovalCause, Ruling, Verdict},
    episode::{CloseOut, CloseOutState, EffectKind, Propagation},
    fact::{Event, MirrorState},
    ids::CloseOutId,
    job::Job,
    money::Currency,
    refusal::Refusal,
    task::TaskState,
    time::Time,
    working_set::{Cause, Keyed},
};

fn boss() -> Cause {
    Cause { actor: "eve".into(), ..cause() }
}

/// In this tenant what is worth more than 10 dollars needs a second person.
fn strict() -> World {
    let mut world = world();
    let over = Some([(Currency::parse("USD").unwrap(), 1_000)].into());
    let edit = SettingsEdit { approval_over: over, approval_expire_days: Some(2), ..SettingsEdit::default() };
    world.update_settings(&cause(), "", &edit).unwrap();
    world
}

fn asked(world: &mut World, opportunity: &Opportunity) -> CloseOut {
    world.begin();
    let (after, id) = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap();
    assert_eq!((after.state, after.close_out_id), (State::ClosePending, Some(id)));
    world.common.close_out(TENANT, id).unwrap()
}

fn ruling(world: &mut World, cause: &Cause, id: CloseOutId, verdict: Verdict) -> Result<CloseOut, Refusal> {
    world.begin();
    let ruled = world.rule(cause, &Ruling { id, etag: String::new(), verdict, note: "so be it".into() });
    if ruled.is_err() {
        world.rollback();
    }
    ruled
}

fn current(world: &World, opportunity: &Opportunity) -> Opportunity {
    world.opportunities.get(&opportunity.key()).unwrap().clone()
}

#[test]
fn what_waits_for_approval_has_done_nothing_and_says_what_it_would_do() {
    let mut world = strict();
    let opportunity = opened(&mut world);
    let task = selling_task(&mut world, opportunity_record(opportunity.opportunity_id));
    let (record, messages) = (the_customer(&world), world.common.outgoing.entries().len());
    let close_out = asked(&mut world, &opportunity);
    assert_eq!((close_out.state, close_out.episode), (CloseOutState::PendingApproval, 1));
    assert_eq!((close_out.delivery.propagation, close_out.effects.len()), (Propagation::NotNeeded, 0));
    let approval = close_out.approval.unwrap();
    assert_eq!((&*approval.causes, approval.ruling), (&[ApprovalCause::OverAmount][..], None));
    let cancels = approval
        .planned
        .iter()
        .any(|effect| effect.kind == EffectKind::TaskCancelled && effect.resource == task.task_id.to_string());
    assert!(cancels, "{:?}", approval.planned);
    assert_eq!(world.common.tasks.get(&task.key()).unwrap().state, TaskState::Open);
    assert_eq!((the_customer(&world), world.common.outgoing.entries().len()), (record, messages));
    let due = world.common.now.plus_days(2);
    assert_eq!(world.common.jobs.entries(), [Job::expiry(TENANT, close_out.close_out_id, due)]);
    // Nobody changes it meanwhile, or closes it out once more; what is to be done for it still is.
    let id = opportunity.opportunity_id;
    assert_eq!(world.win(&cause(), id, "", None, None).unwrap_err().reason(), "CLOSE_PENDING");
    assert_eq!(world.close_out(&cause(), &closing(id)).unwrap_err().reason(), "CLOSE_PENDING");
    assert_eq!(world.reopen(&cause(), id, "", "").unwrap_err().reason(), "CLOSE_PENDING");
    selling_task(&mut world, opportunity_record(id));
}

#[test]
fn another_person_approves_and_only_then_it_is_closed_out() {
    let mut world = strict();
    let opportunity = opened(&mut world);
    let task = selling_task(&mut world, opportunity_record(opportunity.opportunity_id));
    let id = asked(&mut world, &opportunity).close_out_id;
    assert_eq!(ruling(&mut world, &cause(), id, Verdict::Approve).unwrap_err().reason(), "SELF_APPROVAL");
    assert_eq!(ruling(&mut world, &cause(), id, Verdict::Reject).unwrap_err().reason(), "SELF_APPROVAL");
    world.common.now = Time(world.common.now.0 + 7);
    let ruled = ruling(&mut world, &boss(), id, Verdict::Approve).unwrap();
    assert_eq!((ruled.state, &*ruled.actor, ruled.closed_at), (CloseOutState::Effective, "ann", world.common.now));
    assert_eq!((ruled.delivery.propagation, &*ruled.snapshot.state_word), (Propagation::Pending, "OPEN"));
    assert_eq!(ruled.approval.unwrap().ruling.unwrap().actor, "eve");
    let closed = current(&world, &opportunity);
    assert_eq!((closed.state, closed.epoch, closed.closed_at), (State::ClosedOut, 1, Some(world.common.now)));
    assert_eq!(world.common.tasks.get(&task.key()).unwrap().state, TaskState::Cancelled);
    assert_eq!((the_customer(&world).open_count, the_customer(&world).lost_count), (0, 1));
    let (_, sent) = world.common.outgoing.entries().last().unwrap();
    assert_eq!((sent.fact.event, &*sent.fact.actor), (Event::Closed, "ann"));
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Approve).unwrap_err().reason(), "NOT_PENDING");
    let (back, _) = world.reopen(&cause(), opportunity.opportunity_id, "", "").unwrap();
    assert_eq!((back.state, back.stage), (State::Open, opportunity.stage));
}

#[test]
fn a_won_one_needs_approval_whatever_it_is_worth_and_stays_won_without_it() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.win(&cause(), opportunity.opportunity_id, "", None, None).unwrap();
    let won = current(&world, &opportunity);
    let close_out = asked(&mut world, &opportunity);
    assert_eq!(close_out.approval.unwrap().causes, [ApprovalCause::Won]);
    assert_eq!((the_customer(&world).won_count, the_customer(&world).open_count), (1, 0));
    let rejected = ruling(&mut world, &boss(), close_out.close_out_id, Verdict::Reject).unwrap();
    assert_eq!(rejected.state, CloseOutState::Rejected);
    let still = current(&world, &opportunity);
    assert_eq!((still.state, still.won_at, still.close_out_id, still.epoch), (State::Won, won.won_at, None, 0));
    // The next one is another episode, and its reversal brings the win back.
    let next = asked(&mut world, &opportunity);
    assert_eq!(next.episode, 2);
    ruling(&mut world, &boss(), next.close_out_id, Verdict::Approve).unwrap();
    assert_eq!((current(&world, &opportunity).won_at, the_customer(&world).won_count), (None, 0));
    let (back, _) = world.reopen(&cause(), opportunity.opportunity_id, "", "").unwrap();
    assert_eq!((back.state, back.won_at, the_customer(&world).won_count), (State::Won, won.won_at, 1));
}

#[test]
fn who_asked_withdraws_and_time_alone_lets_it_expire() {
    let mut world = strict();
    let opportunity = opened(&mut world);
    let id = asked(&mut world, &opportunity).close_out_id;
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Withdraw).unwrap_err().reason(), "NOT_REQUESTER");
    assert_eq!(ruling(&mut world, &cause(), id, Verdict::Withdraw).unwrap().state, CloseOutState::Withdrawn);
    assert_eq!(current(&world, &opportunity).state, State::Open);

    let id = asked(&mut world, &opportunity).close_out_id;
    world.common.now = world.common.now.plus_days(2);
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Approve).unwrap_err().reason(), "APPROVAL_EXPIRED");
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Expire).unwrap().state, CloseOutState::Expired);
    let open = current(&world, &opportunity);
    assert_eq!((open.state, open.declined, open.epoch), (State::Open, 2, 0));
}

#[test]
fn an_order_that_became_live_meanwhile_keeps_it_open() {
    let mut world = strict();
    let opportunity = opened(&mut world);
    let id = asked(&mut world, &opportunity).close_out_id;
    order_lane(&mut world, opportunity.opportunity_id, MirrorState::Live);
    assert_eq!(ruling(&mut world, &boss(), id, Verdict::Approve).unwrap_err().reason(), "LIVE_ORDER");
    assert_eq!(current(&world, &opportunity).state, State::ClosePending);
    assert!(world.common.close_out(TENANT, id).unwrap().is_awaiting());
}

#[test]
fn what_is_not_worth_so_much_or_entered_late_needs_nobody() {
    let mut world = strict();
    let opportunity = opened(&mut world);
    world.opportunities.edit(&opportunity.key()).unwrap().amount.minor = 1_000;
    assert_eq!(world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap().0.state, State::ClosedOut);
    let past = opened(&mut world);
    let mut historical = closing(past.opportunity_id);
    historical.closed_at = Some(world.common.now);
    let before = world.opportunities.get(&past.key()).unwrap().clone();
    assert!(world.approval(&before, &historical).is_some(), "a date of the past alone gets nobody past the limit");
    world.opportunities.edit(&past.key()).unwrap().historical = true;
    assert_eq!(world.close_out(&cause(), &historical).unwrap().0.state, State::ClosedOut);
}
