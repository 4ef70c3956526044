//! Zombies: what nobody works on any more is found by the tenant's policy, with the reason; warned of, proposed and closed out, each
//! once, by a call or by itself once a day; a planned pause, a task that is due later and a live order keep it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{
    common::{ApprovalPolicy, Historical, Settings, Task, TaskKind, TaskState, Wait},
    opportunity as sales,
    opportunity::{
        StaleCalendar, StaleLevel, StaleOpportunity, StalePlaceRule, StalePolicy, StaleResult, StaleRule,
        opportunity::State, stale_result::Action,
    },
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, cny, reopening},
    fleet::{Databases, Fleet},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use futures::future::join_all;
use prost_types::{FieldMask, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    a_stale_one_is_found_with_its_reason_and_each_level_is_done_once,
    what_is_planned_paused_or_live_is_left_alone,
    a_policy_that_makes_no_sense_is_told_field_by_field,
    a_sweep_goes_no_further_than_its_caller_and_its_tenants_limits,
    by_itself_it_is_done_once_a_day,
);

/// So many days ago by UTC, at the beginning of the day.
fn ago(days: i64) -> Timestamp {
    let now = Timestamp::from(SystemTime::now()).seconds;
    Timestamp { seconds: (now / 86_400 - days) * 86_400 + 1, nanos: 0 }
}

/// An opportunity without activity for so many days, in a stage of the pipeline `default`.
async fn idle(client: &Client, customer: &str, days: i64, stage: &str) -> String {
    let opportunity = sales::Opportunity {
        title: "Cameras".into(),
        customer: customer.to_owned(),
        amount: cny(100),
        stage: format!("pipelines/default/stages/{stage}"),
        ..Default::default()
    };
    let at = Some(ago(days));
    let historical = Historical { create_time: at, stage_entered_time: at, activity_time: at, ..Default::default() };
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical: Some(historical),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    client.create_opportunity(request).await.unwrap().opportunity.unwrap().name
}

fn rule(warn_days: i32, propose_days: i32, close_days: i32) -> Option<StaleRule> {
    Some(StaleRule { warn_days, propose_days, close_days })
}

/// Warned of after 30 days, proposed after 45, closed out after 90; in negotiation 7, 14 and never.
fn usual() -> StalePolicy {
    let place = "pipelines/default/stages/negotiation".to_owned();
    StalePolicy {
        rule: rule(30, 45, 90),
        rules: vec![StalePlaceRule { place, rule: rule(7, 14, 0) }],
        ..StalePolicy::default()
    }
}

async fn decide(client: &Client, policy: StalePolicy) -> Result<StalePolicy, Status> {
    let request = sales::UpdateStalePolicyRequest { stale_policy: Some(policy), ..Default::default() };
    client.update_stale_policy(request).await.map(|reply| reply.stale_policy.unwrap())
}

async fn listed(client: &Client, level: StaleLevel) -> BTreeMap<String, StaleOpportunity> {
    let (mut all, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = sales::ListStaleOpportunitiesRequest {
            page_size: 2,
            page_token,
            level: level.into(),
            ..Default::default()
        };
        let reply = client.stale.clone().list_stale_opportunities(request).await.unwrap().into_inner();
        for one in reply.stale_opportunities {
            assert!(all.insert(one.opportunity.clone().unwrap().name, one).is_none(), "twice");
        }
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

fn sweeping(level: StaleLevel, validate_only: bool) -> sales::SweepStaleOpportunitiesRequest {
    let request_id = Uuid::now_v7().to_string();
    sales::SweepStaleOpportunitiesRequest { level: level.into(), request_id, validate_only, ..Default::default() }
}

async fn sweep(client: &Client, request: sales::SweepStaleOpportunitiesRequest) -> BTreeMap<String, StaleResult> {
    let mut all = BTreeMap::new();
    for one in client.sweep_stale(request).await.unwrap() {
        let name = one.stale.clone().unwrap().opportunity.unwrap().name;
        assert!(all.insert(name, one).is_none(), "twice");
    }
    all
}

/// What was done about each of these.
fn actions(results: &BTreeMap<String, StaleResult>, names: &[&String]) -> Vec<Option<Action>> {
    names.iter().map(|name| results.get(*name).map(StaleResult::action)).collect()
}

async fn reviews(client: &Client, opportunity: &str) -> Vec<Task> {
    let tasks = client.selling_tasks_of(opportunity).await;
    tasks.into_iter().filter(|task| task.kind() == TaskKind::Review).collect()
}

async fn stale_events(client: &Client, customer: &str) -> usize {
    let request = sales::ListCustomerEventsRequest { customer: customer.to_owned(), ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    events.iter().filter(|event| event.kind == "opportunity.stale").count()
}

async fn a_stale_one_is_found_with_its_reason_and_each_level_is_done_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let fresh = idle(&client, &customer, 29, "engaging").await;
    let warn = idle(&client, &customer, 35, "engaging").await;
    let propose = idle(&client, &customer, 50, "prospecting").await;
    let close = idle(&client, &customer, 100, "engaging").await;
    let talks = idle(&client, &customer, 100, "negotiation").await;
    assert!(listed(&client, StaleLevel::Unspecified).await.is_empty(), "nothing is decided");
    let kept = decide(&client, usual()).await.unwrap();
    assert_eq!((kept.rule, kept.rules.len(), kept.daily), (rule(30, 45, 90), 1, false));

    let found = listed(&client, StaleLevel::Unspecified).await;
    let told = |name: &String| found.get(name).map(|one| (one.level(), one.idle_days, one.limit_days));
    assert_eq!(told(&fresh), None);
    assert_eq!(told(&warn), Some((StaleLevel::Warn, 35, 30)));
    assert_eq!(told(&propose), Some((StaleLevel::Propose, 50, 45)));
    assert_eq!(told(&close), Some((StaleLevel::CloseOut, 100, 90)));
    assert_eq!(told(&talks), Some((StaleLevel::Propose, 100, 14)));
    assert_eq!((found[&talks].rule.as_str(), found[&close].rule.as_str()), (kept.rules[0].place.as_str(), ""));
    assert!(listed(&client, StaleLevel::CloseOut).await.keys().eq([&close]));

    // A dry run says the same and does nothing.
    let all = [&warn, &propose, &close, &talks];
    let dry = sweep(&client, sweeping(StaleLevel::Unspecified, true)).await;
    let expected = [Action::Warned, Action::Proposed, Action::ClosedOut, Action::Proposed].map(Some);
    assert_eq!((actions(&dry, &all), dry[&close].close_out.as_str()), (expected.to_vec(), ""));
    assert_eq!(client.get_opportunity(&close).await.state(), State::Open);
    // Done up to a level, then all of it.
    let warned = sweep(&client, sweeping(StaleLevel::Warn, false)).await;
    assert_eq!(actions(&warned, &all), [Some(Action::Warned); 4]);
    assert_eq!(stale_events(&client, &customer).await, 4);
    let done = sweep(&client, sweeping(StaleLevel::Unspecified, false)).await;
    assert_eq!(actions(&done, &all), [Action::None, Action::Proposed, Action::ClosedOut, Action::Proposed].map(Some));
    let review = reviews(&client, &propose).await;
    assert_eq!((review.len(), review[0].assignee.as_str()), (1, "ann"));
    assert!(review[0].title.contains("50 days") && review[0].title.contains("45"), "{}", review[0].title);
    let closed = client.sales_close_out(&done[&close].close_out).await;
    assert_eq!((closed.reason.as_str(), closed.actor.as_str()), ("closeOutReasons/STALE_AUTO", "ann"));
    assert_eq!(closed.detail, "No activity for 100 days, the limit is 90");
    // Once more: nothing. What was done is told in the list.
    let again = sweep(&client, sweeping(StaleLevel::Unspecified, false)).await;
    assert_eq!(actions(&again, &all), [Some(Action::None), Some(Action::None), None, Some(Action::None)]);
    assert_eq!((reviews(&client, &propose).await.len(), stale_events(&client, &customer).await), (1, 6));
    assert_eq!(listed(&client, StaleLevel::Unspecified).await[&propose].done(), StaleLevel::Propose);
    // Worked on, it is not stale; reopened neither.
    let edit = sales::Opportunity { name: propose.clone(), title: "Other cameras".into(), ..Default::default() };
    let request = sales::UpdateOpportunityRequest { opportunity: Some(edit), ..Default::default() };
    client.update_opportunity(request).await.unwrap();
    client.reopen_opportunity(reopening(&close)).await.unwrap();
    let left = listed(&client, StaleLevel::Unspecified).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), {
        let mut names = [&warn, &talks];
        names.sort();
        names
    });
    pair.end().await;
}

async fn what_is_planned_paused_or_live_is_left_alone(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let [planned, overdue, worked_on, paused, live, drafted] = {
        let mut names = Vec::new();
        for _ in 0..6 {
            names.push(idle(&client, &customer, 200, "engaging").await);
        }
        <[String; 6]>::try_from(names).unwrap()
    };
    let due = |parent: &str, due_time: SystemTime| Task {
        parent: parent.to_owned(),
        kind: TaskKind::FollowUp.into(),
        title: "Call".into(),
        due_time: Some(due_time.into()),
        ..Default::default()
    };
    let later = SystemTime::now() + Duration::from_secs(86_400);
    for (parent, at) in [(&planned, later), (&overdue, SystemTime::now() - Duration::from_secs(86_400))] {
        let request = sales::CreateTaskRequest { task: Some(due(parent, at)), ..Default::default() };
        client.create_selling_task(request).await.unwrap();
    }
    let task = client.selling_task(&worked_on, TaskKind::Demo).await;
    client.start_selling_task(sales::StartTaskRequest { name: task, ..Default::default() }).await.unwrap();
    let entered = idle(&client, &customer, 200, "engaging").await;
    client.selling_task(&entered, TaskKind::Demo).await;
    let pause = sales::SnoozeOpportunityRequest {
        name: paused.clone(),
        resume_time: Some(later.into()),
        note: "their budget round".into(),
        ..Default::default()
    };
    client.snooze_opportunity(pause).await.unwrap();
    let order = client.order(&customer, &live).await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    let draft = client.order(&customer, &drafted).await;
    pair.quiet().await;
    decide(&client, usual()).await.unwrap();
    let found = listed(&client, StaleLevel::Unspecified).await;
    // A task that was entered with an opportunity of the past, and that nobody has touched, is no activity.
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&live, &drafted, &entered, &overdue]));
    assert_eq!(found[&drafted].order, draft);
    assert_eq!((found[&live].level(), found[&live].order.as_str()), (StaleLevel::CloseOut, order.as_str()));
    let done = sweep(&client, sweeping(StaleLevel::Unspecified, false)).await;
    assert_eq!(
        actions(&done, &[&live, &entered, &overdue]),
        [Action::LeftForOrder, Action::ClosedOut, Action::ClosedOut].map(Some)
    );
    for name in [&planned, &worked_on, &live, &drafted] {
        assert_eq!(client.get_opportunity(name).await.state(), State::Open);
    }
    assert_eq!(client.get_opportunity(&paused).await.state(), State::OnHold);
    // The order that is over was activity: it is stale again after as many days as after any other.
    client.close_out_order(cancelling(&draft)).await.unwrap();
    pair.quiet().await;
    assert!(!listed(&client, StaleLevel::Unspecified).await.contains_key(&drafted));
    assert!(client.selling_tasks_of(&worked_on).await.iter().all(|task| task.state() == TaskState::InProgress));
    assert!(client.selling_tasks_of(&overdue).await.iter().all(|task| task.state() == TaskState::Cancelled));
    pair.end().await;
}

async fn a_policy_that_makes_no_sense_is_told_field_by_field(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let place = |place: &str, days| StalePlaceRule { place: place.to_owned(), rule: days };
    let calendar = StaleCalendar {
        holidays: vec!["2026-10-01".into(), "1.10.2026".into()],
        utc_offset_minutes: 900,
        ..StaleCalendar::default()
    };
    let wrong = StalePolicy {
        rule: rule(30, 30, -1),
        rules: vec![place("engaging", rule(1, 2, 3)), place("pipelines/a", None), place("pipelines/a", None)],
        calendar: Some(calendar),
        ..StalePolicy::default()
    };
    let status = decide(&client, wrong).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let told: Vec<_> = fields.iter().map(|field| (field.field.as_str(), field.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("stale_policy.rule.close_days", "OUT_OF_RANGE"),
            ("stale_policy.rule", "OUT_OF_RANGE"),
            ("stale_policy.rules[0].place", "INVALID_NAME"),
            ("stale_policy.rules[2].place", "REPEATED"),
            ("stale_policy.calendar.holidays[1]", "INVALID_TIME"),
            ("stale_policy.calendar.utc_offset_minutes", "OUT_OF_RANGE"),
            ("stale_policy.rules[1].place", "UNKNOWN_PIPELINE"),
            ("stale_policy.rules[2].place", "UNKNOWN_PIPELINE"),
        ]
    );
    // What is not named stays; what has changed meanwhile is not written over.
    let first = decide(&client, usual()).await.unwrap();
    let calendar = StaleCalendar {
        business_days_only: true,
        holidays: vec!["2026-10-01".into()],
        workdays: vec!["2026-10-10".into()],
        utc_offset_minutes: 480,
    };
    let edit = StalePolicy { calendar: Some(calendar.clone()), etag: first.etag.clone(), ..StalePolicy::default() };
    let second = decide(&client, edit.clone()).await.unwrap();
    assert_eq!((second.rule, second.rules, second.calendar), (first.rule, first.rules, Some(calendar)));
    let late = decide(&client, edit).await.unwrap_err();
    assert_eq!(late.get_details_error_info().unwrap().reason, "VERSION_MISMATCH");
    let none = sales::UpdateStalePolicyRequest {
        stale_policy: Some(StalePolicy::default()),
        update_mask: Some(FieldMask { paths: vec!["rule".into(), "rules".into()] }),
        ..Default::default()
    };
    let cleared = client.update_stale_policy(none).await.unwrap().stale_policy.unwrap();
    assert_eq!((cleared.rule, cleared.rules.len()), (rule(0, 0, 0), 0));
    pair.end().await;
}

async fn a_sweep_goes_no_further_than_its_caller_and_its_tenants_limits(kind: Kind) {
    let pair = Pair::started(kind).await;
    let admin = pair.client();
    let importing = |principal: &str, team: &str| pair.client_in(principal, &["service"], &[team]);
    let boss = pair.client_in("nora", &["manager"], &["north"]);
    let customer = admin.customer().await;
    let ours = idle(&importing("bob", "north"), &customer, 100, "engaging").await;
    let theirs = idle(&importing("carl", "south"), &customer, 100, "engaging").await;
    decide(&admin, usual()).await.unwrap();
    let seller = pair.client_in("bob", &["sales"], &["north"]);
    let refused = seller.sweep_stale(sweeping(StaleLevel::Warn, false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(listed(&seller, StaleLevel::Unspecified).await.len(), 2, "everybody sees what is stale");
    let approval = ApprovalPolicy { amounts: cny(50).into_iter().collect(), expire_days: 3 };
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings { approval: Some(approval), ..Settings::default() }),
        ..Default::default()
    };
    admin.update_settings(request).await.unwrap();
    let done = sweep(&boss, sweeping(StaleLevel::Unspecified, false)).await;
    assert_eq!(actions(&done, &[&ours, &theirs]), [Action::ApprovalAsked, Action::Refused].map(Some));
    assert_eq!(admin.get_opportunity(&ours).await.state(), State::ClosePending);
    // Rejected, it is not asked for again, by whatever sweep.
    let reject = sales::RejectCloseOutRequest {
        name: done[&ours].close_out.clone(),
        note: "they will call".into(),
        ..Default::default()
    };
    admin.reject_sales_close_out(reject).await.unwrap();
    let again = sweep(&boss, sweeping(StaleLevel::Unspecified, false)).await;
    assert_eq!(actions(&again, &[&ours]), [Some(Action::None)]);
    let error = done[&theirs].error.as_ref().unwrap();
    assert_eq!((error.code, error.message.contains("owned by carl")), (Code::PermissionDenied as i32, true));
    // Only of an owner.
    let of_carl = sales::SweepStaleOpportunitiesRequest { owner: "carl".into(), ..sweeping(StaleLevel::Warn, false) };
    let done = sweep(&admin, of_carl).await;
    assert_eq!((done.len(), done[&theirs].action()), (1, Action::Warned));
    pair.end().await;
}

/// Makes the sweeps due now.
async fn hurry(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain("UPDATE job SET due_at = 1 WHERE kind = 4"), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn days(db: &Db) -> Vec<String> {
    let rows = db.read(&Sql::plain("SELECT job_key FROM job WHERE kind = 4"), Args::none()).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

/// The day comes, and is over when there is only another one.
async fn a_day_passes(db: &Db) {
    let today = days(db).await;
    assert_eq!(today.len(), 1);
    hurry(db).await;
    until("the day is over", QUIET, || async {
        let left = days(db).await;
        (left.len() == 1 && left != today).then_some(())
    })
    .await;
}

async fn by_itself_it_is_done_once_a_day(kind: Kind) {
    let replicas = if kind == Kind::Sqlite { 1 } else { 3 };
    let fleet = Fleet::started(kind, replicas, Databases::Direct).await;
    let (client, db) = (fleet.client(0), fleet.place.databases().await);
    let customer = client.customer().await;
    // More than are looked at together.
    let made = |nth: usize| idle(&client, &customer, if nth.is_multiple_of(2) { 100 } else { 50 }, "engaging");
    let mut names = Vec::new();
    for nth in (0..520).step_by(40) {
        names.extend(join_all((nth..nth + 40).map(made)).await);
    }
    decide(&client, StalePolicy { daily: true, ..usual() }).await.unwrap();
    a_day_passes(&db.0).await;
    a_day_passes(&db.0).await;
    for (nth, name) in names.iter().enumerate() {
        let state = client.get_opportunity(name).await.state();
        let expected = if nth.is_multiple_of(2) { State::ClosedOut } else { State::Open };
        assert_eq!(state, expected, "{nth}");
        if nth.is_multiple_of(50) || nth % 50 == 1 {
            let tasks = usize::from(expected == State::Open);
            assert_eq!(reviews(&client, name).await.len(), tasks, "{nth}");
        }
    }
    let closed = sales::ListCloseOutsRequest { actor: "system".into(), page_size: 1_000, ..Default::default() };
    let closed = client.sales_close_outs.clone().list_close_outs(closed).await.unwrap().into_inner().close_outs;
    assert_eq!(closed.len(), 260);
    // Not by itself any more: the day that is planned does nothing, and none follows it.
    let off = sales::UpdateStalePolicyRequest {
        stale_policy: Some(StalePolicy::default()),
        update_mask: Some(FieldMask { paths: vec!["daily".into()] }),
        ..Default::default()
    };
    client.update_stale_policy(off).await.unwrap();
    let late = idle(&client, &customer, 100, "engaging").await;
    hurry(&db.0).await;
    until("no day is left", QUIET, || async {
        let rows = db.0.read(&Sql::plain("SELECT 1 FROM job WHERE kind = 4"), Args::none()).await.unwrap();
        rows.is_empty().then_some(())
    })
    .await;
    assert_eq!(client.get_opportunity(&late).await.state(), State::Open);
    db.0.close().await;
    db.1.close().await;
    fleet.end().await;
}
