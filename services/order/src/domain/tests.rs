//! The rules of the trade side, one test for each, on rows in memory.

use super::*;
use crm_closeout::{
    access::Access,
    episode::{EffectKind, Outcome, OutcomeClass},
    fact::{ClosedFact, Event, MirrorState, PeerOutcome, WonPolicy},
    ids::CloseOutId,
    money::Currency,
    reason,
    remarks::Remarks,
    task::{TaskKind, TaskState},
    time::Time,
    working_set::Keyed,
};
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub(crate) const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(2));
const OPPORTUNITY: OpportunityId = OpportunityId(Uuid::from_u128(3));
const CLOSE_OUT: CloseOutId = CloseOutId(Uuid::from_u128(4));

pub(crate) fn cause() -> Cause {
    Cause {
        tenant_id: TENANT,
        actor: "bob".into(),
        access: Access::EVERYTHING,
        method: "Test",
        request_id: None,
        message_id: None,
    }
}

fn lane_record() -> Record {
    Record::new(RecordKind::Opportunity, OPPORTUNITY.0)
}

pub(crate) fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}

pub(crate) fn world() -> World {
    let mut next = 100;
    let ids = move || {
        next += 1;
        Uuid::from_u128(next)
    };
    let mut common = Common::new(Time(1_000_000), Box::new(ids));
    let mut lane = Lane::unknown(TENANT, lane_record());
    (lane.state, lane.customer_id) = (Some(MirrorState::Live), Some(CUSTOMER));
    common.lanes.add_loaded(lane);
    World {
        common,
        orders: Rows::default(),
        customers: Rows::loaded([Customer::stub(TENANT, CUSTOMER, Time(0))]),
        drafts: BTreeMap::new(),
        numbers: BTreeSet::new(),
    }
}

pub(crate) fn draft(world: &mut World) -> Order {
    let line = Line { product: "GTX Pro".into(), quantity: 10, fulfilled: 0, cancelled: 0, unit_minor: 100 };
    let new = NewOrder {
        number: String::new(),
        customer_id: CUSTOMER,
        opportunity_id: Some(OPPORTUNITY),
        owner: "bob".into(),
        team: String::new(),
        currency: usd(),
        lines: Lines(vec![line]),
        created_at: None,
    };
    world.create_order(&cause(), &new).unwrap()
}

pub(crate) fn confirmed(world: &mut World) -> Order {
    let order = draft(world);
    world.confirm(&cause(), order.order_id, "").unwrap()
}

pub(crate) fn closing(id: OrderId, outcome: Outcome) -> Closing {
    let code = if outcome == Outcome::Processed { "ORD_PROCESSED" } else { "ORD_OUT_OF_STOCK" };
    Closing {
        id,
        etag: String::new(),
        outcome,
        reason: reason::name(code),
        detail: String::new(),
        refund_reference: String::new(),
        won_policy: Some(WonPolicy::Ask),
        closed_at: None,
        remarks: Remarks::default(),
    }
}

fn task(world: &mut World, root: Record, kind: TaskKind) -> Task {
    let new = NewTask { root, kind, title: "Do it".into(), assignee: "bob".into(), due_at: None };
    world.create_task(&cause(), &new).unwrap()
}

fn state_of(world: &World, task: &Task) -> TaskState {
    world.common.tasks.get(&task.key()).unwrap().state
}

fn customer(world: &World) -> Customer {
    world.customers.get(&(TENANT, CUSTOMER)).unwrap().clone()
}

fn lost(event: Event) -> Fact {
    Fact {
        event,
        customer_id: Some(CUSTOMER),
        customer_name: String::new(),
        parent: None,
        state: if event == Event::Closed { MirrorState::Closed } else { MirrorState::Live },
        epoch: 1,
        owner: "ann".into(),
        actor: "ann".into(),
        at: Time(2_000_000),
        reason: None,
        settings: None,
        rate: None,
        close_out: Some(ClosedFact {
            close_out_id: CLOSE_OUT,
            cause: None,
            hop: 0,
            group_id: None,
            outcome: Outcome::Lost,
            reason_code: "UNRESPONSIVE".into(),
            reason_version: 1,
            class: Some(OutcomeClass::NoDecision),
            detail: String::new(),
            closed_at: Time(2_000_000),
            historical: false,
            won_policy: None,
            amount: None,
            win_back_at: None,
            planned: None,
        }),
    }
}

fn hear(world: &mut World, fact: &Fact) -> Applied {
    let before = world.common.lanes.get(&(TENANT, lane_record())).unwrap().clone();
    world.common.lanes.edit(&(TENANT, lane_record())).unwrap().reflect(fact);
    world.apply(&cause(), &before, fact)
}

#[test]
fn a_lost_opportunity_cancels_its_order_tasks_and_draft_orders() {
    let mut world = world();
    let order = draft(&mut world);
    let own = task(&mut world, order_record(order.order_id), TaskKind::Procure);
    let tied = task(&mut world, lane_record(), TaskKind::Deliver);
    let applied = hear(&mut world, &lost(Event::Closed));
    assert_eq!(applied.outcome, PeerOutcome::Applied);
    assert_eq!([state_of(&world, &own), state_of(&world, &tied)], [TaskState::Cancelled; 2]);
    let after = world.orders.get(&order.key()).unwrap();
    assert_eq!(after.state, State::Cancelled);
    let caused = world.common.close_outs.get(&(TENANT, after.close_out_id.unwrap())).unwrap();
    assert_eq!((caused.cause, caused.hop, &*caused.reason_code), (Some(CLOSE_OUT), 1, "UNRESPONSIVE"));
    let customer = customer(&world);
    assert_eq!((customer.draft_count, customer.cancelled_count, customer.deals_lost), (0, 1, 1));
}

#[test]
fn an_order_that_became_live_stays_and_its_owner_is_asked() {
    let mut world = world();
    let order = confirmed(&mut world);
    let applied = hear(&mut world, &lost(Event::Closed));
    assert_eq!(applied.outcome, PeerOutcome::NeedsReview);
    assert_eq!(world.orders.get(&order.key()).unwrap().state, State::Confirmed);
    let review: Vec<_> = world.common.tasks.iter().filter(|task| task.kind == TaskKind::Review).collect();
    assert_eq!((review.len(), review[0].root), (1, order_record(order.order_id)));
}

#[test]
fn reopening_the_opportunity_brings_back_what_its_close_out_cancelled() {
    let mut world = world();
    let order = draft(&mut world);
    let own = task(&mut world, order_record(order.order_id), TaskKind::Procure);
    let before = customer(&world);
    hear(&mut world, &lost(Event::Closed));
    let applied = hear(&mut world, &lost(Event::Reopened));
    assert_eq!(applied.outcome, PeerOutcome::Applied);
    assert!(applied.effects.iter().any(|effect| effect.kind == EffectKind::SubjectReopened));
    let after = world.orders.get(&order.key()).unwrap();
    assert_eq!((after.state, &after.lines, after.close_out_id), (State::Draft, &order.lines, None));
    assert_eq!(state_of(&world, &own), TaskState::Open);
    let customer = customer(&world);
    assert_eq!((customer.draft_count, customer.deals_lost, customer.amounts), (1, 0, before.amounts));
}

#[test]
fn nothing_is_confirmed_or_made_under_a_closed_opportunity() {
    let mut world = world();
    let order = draft(&mut world);
    world.common.lanes.edit(&(TENANT, lane_record())).unwrap().reflect(&lost(Event::Closed));
    assert_eq!(world.confirm(&cause(), order.order_id, "").unwrap_err().reason(), "PARENT_CLOSED");
    let new = NewTask {
        root: lane_record(),
        kind: TaskKind::Deliver,
        title: "Late".into(),
        assignee: "bob".into(),
        due_at: None,
    };
    assert_eq!(world.create_task(&cause(), &new).unwrap_err().reason(), "SUBJECT_CLOSED");
}

#[test]
fn a_processed_order_keeps_its_money_tasks_until_it_is_paid() {
    let mut world = world();
    let order = confirmed(&mut world);
    let root = order_record(order.order_id);
    let (deliver, collect) = (task(&mut world, root, TaskKind::Deliver), task(&mut world, root, TaskKind::Collect));
    let early = world.close_out(&cause(), &closing(order.order_id, Outcome::Processed)).unwrap_err();
    assert_eq!(early.reason(), "NOT_FULFILLED");
    world.fulfil(&cause(), order.order_id, "", &[(0, 10)]).unwrap();
    let (after, _) = world.close_out(&cause(), &closing(order.order_id, Outcome::Processed)).unwrap();
    assert_eq!(after.state, State::Processed);
    assert_eq!([state_of(&world, &deliver), state_of(&world, &collect)], [TaskState::Cancelled, TaskState::Open]);
}

#[test]
fn cancelling_a_part_fulfilled_order_ends_it_as_processed() {
    let mut world = world();
    let order = confirmed(&mut world);
    world.fulfil(&cause(), order.order_id, "", &[(0, 4)]).unwrap();
    let (after, id) = world.close_out(&cause(), &closing(order.order_id, Outcome::Cancelled)).unwrap();
    assert_eq!((after.state, after.lines.0[0].cancelled, after.total().minor), (State::Processed, 6, 400));
    assert_eq!(world.common.close_outs.get(&(TENANT, id)).unwrap().outcome, Outcome::Cancelled);
    let (back, _) = world.reopen(&cause(), order.order_id, "", "").unwrap();
    assert_eq!((back.state, back.lines.0[0].cancelled), (State::InFulfilment, 0));
}

#[test]
fn a_paid_order_is_cancelled_with_a_refund_and_then_stays_cancelled() {
    let mut world = world();
    let order = confirmed(&mut world);
    world.pay(&cause(), order.order_id, "", Money { minor: 500, currency: usd() }).unwrap();
    let mut cancel = closing(order.order_id, Outcome::Cancelled);
    // What is entered late nobody can approve any more.
    cancel.closed_at = Some(world.common.now);
    world.orders.edit(&order.key()).unwrap().historical = true;
    assert_eq!(world.close_out(&cause(), &cancel).unwrap_err().reason(), "REFUND_REFERENCE_REQUIRED");
    cancel.closed_at = None;
    cancel.refund_reference = "R-1".into();
    world.close_out(&cause(), &cancel).unwrap();
    assert_eq!(world.reopen(&cause(), order.order_id, "", "").unwrap_err().reason(), "REFUNDED");
}

#[test]
fn more_than_fits_is_not_fulfilled() {
    let mut world = world();
    let order = confirmed(&mut world);
    let refusal = world.fulfil(&cause(), order.order_id, "", &[(0, 11), (5, 1)]).unwrap_err();
    assert_eq!(refusal.violations.iter().map(|v| v.reason()).collect::<Vec<_>>(), ["TOO_MANY", "UNKNOWN_LINE"]);
}

#[test]
fn the_fifty_first_draft_order_is_refused() {
    let mut world = world();
    world.drafts.insert((TENANT, OPPORTUNITY), 49);
    draft(&mut world);
    let line = Line { product: "x".into(), quantity: 1, fulfilled: 0, cancelled: 0, unit_minor: 1 };
    let new = NewOrder {
        number: String::new(),
        customer_id: CUSTOMER,
        opportunity_id: Some(OPPORTUNITY),
        owner: "bob".into(),
        team: String::new(),
        currency: usd(),
        lines: Lines(vec![line]),
        created_at: None,
    };
    assert_eq!(world.create_order(&cause(), &new).unwrap_err().reason(), "TOO_MANY_OPEN");
}
