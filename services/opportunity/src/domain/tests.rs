//! The rules of the sales side, one test for each, on rows in memory.

use super::*;
use crm_closeout::{
    access::Access,
    codes::Side,
    episode::{CloseOutState, EffectKind, Outcome, OutcomeClass},
    fact::{ClosedFact, Event, MirrorState, WonPolicy},
    ids::CloseOutId,
    money::{Currency, Money, Sums},
    reason,
    records::Lane,
    remarks::Remarks,
    task::{TaskKind, TaskState},
    working_set::Keyed,
};
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(1));

pub(crate) fn customer() -> Customer {
    Customer {
        tenant_id: TENANT,
        customer_id: CustomerId(Uuid::from_u128(2)),
        display_name: "Acme".into(),
        tier: String::new(),
        owner: "ann".into(),
        do_not_contact: false,
        lifecycle: Lifecycle::Prospect,
        engaged: false,
        open_count: 0,
        won_count: 0,
        lost_count: 0,
        live_order_count: 0,
        amounts: Sums::default(),
        last_loss_at: None,
        plan_count: 0,
        running_count: 0,
        win_back_at: None,
        contacted_at: None,
        closing: None,
        created_at: Time(0),
        updated_at: Time(0),
        version: 1,
        sent: 1,
    }
}

pub(crate) fn cause() -> Cause {
    Cause {
        tenant_id: TENANT,
        actor: "ann".into(),
        access: Access::EVERYTHING,
        method: "Test",
        request_id: None,
        message_id: None,
    }
}

fn usd(minor: i64) -> Money {
    Money { minor, currency: Currency::parse("USD").unwrap() }
}

pub(crate) fn world() -> World {
    let mut next = 100;
    let ids = move || {
        next += 1;
        Uuid::from_u128(next)
    };
    World {
        common: Common::new(Time(1_000_000), Box::new(ids)),
        opportunities: Rows::default(),
        customers: Rows::loaded([customer()]),
        groups: Rows::default(),
        plans: Rows::default(),
        competitors: Rows::default(),
        pipelines: Rows::loaded([Pipeline::built_in(TENANT)]),
        policies: Rows::default(),
        touched: BTreeSet::new(),
        standing: BTreeMap::new(),
        tallies: BTreeMap::new(),
        numbers: BTreeSet::new(),
        names: BTreeSet::new(),
    }
}

pub(crate) fn opened(world: &mut World) -> Opportunity {
    let new = NewOpportunity {
        number: String::new(),
        customer_id: Some(customer().customer_id),
        title: "Twenty servers".into(),
        owner: "ann".into(),
        team: "north".into(),
        stage: Some(StageName::new("default", "engaging")),
        amount: usd(5_000),
        expected_close_at: None,
        source: String::new(),
        recovered_from: None,
        historical: None,
    };
    world.create_opportunity(&cause(), &new).unwrap()
}

fn proposal() -> StageName {
    StageName::new("default", "proposal")
}

pub(crate) fn closing(id: OpportunityId) -> Closing {
    Closing {
        id,
        etag: String::new(),
        reason: reason::name("UNRESPONSIVE"),
        detail: String::new(),
        competitor: None,
        closed_at: None,
        remarks: Remarks::default(),
        group_id: None,
    }
}

pub(crate) fn selling_task(world: &mut World, root: Record) -> Task {
    let new = NewTask { root, kind: TaskKind::Demo, title: "Show".into(), assignee: "ann".into(), due_at: None };
    world.create_task(&cause(), &new).unwrap()
}

pub(crate) fn the_customer(world: &World) -> Customer {
    world.customers.get(&customer().key()).unwrap().clone()
}

pub(crate) fn order_lane(world: &mut World, parent: OpportunityId, state: MirrorState) -> Record {
    let record = Record::new(RecordKind::Order, Uuid::from_u128(50));
    let mut lane = Lane::unknown(TENANT, record);
    lane.state = Some(state);
    lane.parent_id = Some(parent.0);
    world.common.lanes.add_loaded(lane);
    record
}

#[test]
fn closing_out_cancels_the_tasks_and_tells_the_order_service() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let task = selling_task(&mut world, opportunity_record(opportunity.opportunity_id));
    let (closed, id) = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap();
    assert_eq!((closed.state, closed.close_out_id, closed.epoch), (State::ClosedOut, Some(id), 1));
    assert_eq!(world.common.tasks.get(&task.key()).unwrap().state, TaskState::Cancelled);
    let messages: Vec<_> = world.common.outgoing.entries().iter().map(|(_, m)| (m.number, m.fact.event)).collect();
    assert_eq!(messages, [(1, Event::Opened), (2, Event::Closed)]);
    let customer = the_customer(&world);
    assert_eq!((customer.open_count, customer.lost_count, customer.lifecycle), (0, 1, Lifecycle::Lost));
    let effects = &world.common.close_outs.get(&(TENANT, id)).unwrap().effects;
    assert!(effects.iter().any(|e| e.kind == EffectKind::TaskCancelled && e.resource == task.task_id.to_string()));
    assert!(effects.iter().any(|e| e.field == "lifecycle" && (&*e.before, &*e.after) == ("ACTIVE", "LOST")));
    assert!(effects.iter().all(|e| e.side == Side::Opportunity));
}

#[test]
fn a_closed_opportunity_stays_closed() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let (_, id) = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap();
    let again = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap_err();
    assert_eq!((again.reason(), &again.values[1..]), ("ALREADY_CLOSED", &[("close_out", id.to_string())][..]));
    let moved = world.move_stage(&cause(), opportunity.opportunity_id, "", &proposal()).unwrap_err();
    assert_eq!(moved.reason(), "SUBJECT_CLOSED");
}

#[test]
fn a_live_order_keeps_its_opportunity_open() {
    let mut world = world();
    let opportunity = opened(&mut world);
    order_lane(&mut world, opportunity.opportunity_id, MirrorState::Live);
    let refusal = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap_err();
    assert_eq!(refusal.reason(), "LIVE_ORDER");
}

#[test]
fn a_draft_order_does_not() {
    let mut world = world();
    let opportunity = opened(&mut world);
    order_lane(&mut world, opportunity.opportunity_id, MirrorState::Draft);
    assert!(world.close_out(&cause(), &closing(opportunity.opportunity_id)).is_ok());
}

#[test]
fn reopening_restores_what_the_close_out_changed() {
    let mut world = world();
    let opportunity = opened(&mut world);
    let root = opportunity_record(opportunity.opportunity_id);
    let (kept, done) = (selling_task(&mut world, root), selling_task(&mut world, root));
    world.common.change_task(&cause(), done.task_id, "", &crm_closeout::task::TaskChange::Complete).unwrap();
    let before = the_customer(&world);
    let (_, id) = world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap();
    let (open, reversed) = world.reopen(&cause(), opportunity.opportunity_id, "", "they called").unwrap();
    assert_eq!(
        (open.state, &*open.stage.stage, open.close_out_id, reversed),
        (State::Open, "engaging", None, Some(id))
    );
    assert_eq!(world.common.tasks.get(&kept.key()).unwrap().state, TaskState::Open);
    assert_eq!(world.common.tasks.get(&done.key()).unwrap().state, TaskState::Done);
    let after = the_customer(&world);
    assert_eq!((after.open_count, after.lost_count, &after.amounts), (before.open_count, 0, &before.amounts));
    assert_eq!(after.lifecycle, before.lifecycle);
    assert_eq!(world.common.close_outs.get(&(TENANT, id)).unwrap().state, CloseOutState::Reversed);
}

#[test]
fn an_old_etag_changes_nothing() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.move_stage(&cause(), opportunity.opportunity_id, "\"1\"", &proposal()).unwrap();
    let mut stale = closing(opportunity.opportunity_id);
    stale.etag = "\"1\"".into();
    assert_eq!(world.close_out(&cause(), &stale).unwrap_err().reason(), "VERSION_MISMATCH");
}

fn cancelled(opportunity: OpportunityId) -> Fact {
    Fact {
        event: Event::Closed,
        customer_id: Some(customer().customer_id),
        customer_name: String::new(),
        parent: Some(opportunity.0),
        state: MirrorState::Closed,
        epoch: 1,
        owner: "bob".into(),
        actor: "bob".into(),
        at: Time(2_000_000),
        reason: None,
        settings: None,
        rate: None,
        close_out: Some(ClosedFact {
            close_out_id: CloseOutId(Uuid::from_u128(60)),
            cause: None,
            hop: 0,
            group_id: None,
            outcome: Outcome::Cancelled,
            reason_code: "ORD_CUSTOMER_CANCEL".into(),
            reason_version: 1,
            class: Some(OutcomeClass::CustomerCancelled),
            detail: "called off".into(),
            closed_at: Time(2_000_000),
            historical: false,
            won_policy: Some(WonPolicy::Ask),
            amount: Some(usd(500)),
            win_back_at: None,
            planned: None,
        }),
    }
}

#[test]
fn the_owner_of_a_won_opportunity_is_asked_when_its_last_order_is_cancelled() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.win(&cause(), opportunity.opportunity_id, "", None, None).unwrap();
    let order = order_lane(&mut world, opportunity.opportunity_id, MirrorState::Live);
    let tied = selling_task(&mut world, order);
    let before = world.common.lanes.get(&(TENANT, order)).unwrap().clone();
    let fact = cancelled(opportunity.opportunity_id);
    world.common.lanes.edit(&(TENANT, order)).unwrap().reflect(&fact);
    let applied = world.apply(&cause(), &before, &fact);
    assert_eq!(world.common.tasks.get(&tied.key()).unwrap().state, TaskState::Cancelled);
    let review: Vec<_> = world.common.tasks.iter().filter(|task| task.kind == TaskKind::Review).collect();
    assert_eq!((review.len(), &*review[0].assignee), (1, "ann"));
    assert!(applied.effects.iter().any(|e| e.kind == EffectKind::TaskCreated));
}

#[test]
fn nobody_is_asked_while_another_order_stands() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.win(&cause(), opportunity.opportunity_id, "", None, None).unwrap();
    let order = order_lane(&mut world, opportunity.opportunity_id, MirrorState::Live);
    let mut other = Lane::unknown(TENANT, Record::new(RecordKind::Order, Uuid::from_u128(51)));
    (other.state, other.parent_id) = (Some(MirrorState::Processed), Some(opportunity.opportunity_id.0));
    world.common.lanes.add_loaded(other);
    let before = world.common.lanes.get(&(TENANT, order)).unwrap().clone();
    world.apply(&cause(), &before, &cancelled(opportunity.opportunity_id));
    assert!(!world.common.tasks.iter().any(|task| task.kind == TaskKind::Review));
}
