//! Winning customers back: a loss makes a plan in its own commit where its reason proposes it, on whichever service it happened; people work
//! on it, and what was lost is linked with what came of it; who must not be contacted is not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    Money,
    common::{self, ApprovalPolicy, CloseOutReason, Historical, Settings},
    opportunity as sales,
    opportunity::{
        AudienceMember, Customer, WinBackContact, WinBackPlan,
        customer::Lifecycle,
        customer_close_out::State as Group,
        win_back_contact::{Method, Result as Answer},
        win_back_plan::State,
    },
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use prost_types::{FieldMask, Timestamp};
use std::time::SystemTime;
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    a_loss_makes_a_plan_on_whichever_service_it_happens,
    what_is_not_worth_it_makes_none,
    contacts_are_recorded_and_the_customer_is_in_win_back,
    a_later_success_counts_whatever_is_done_with_the_plan,
    a_whole_customer_is_planned_and_taken_back_as_one,
    who_must_not_be_contacted_is_left_alone,
    what_comes_back_is_linked_with_what_was_lost,
    a_reopening_cancels_the_plan_and_a_correction_follows_it,
    what_is_due_is_listed_page_by_page,
    an_audience_has_who_is_lost_for_these_reasons_and_may_be_contacted,
    an_audience_of_several_parts_has_everybody_once,
);

const DAY: i64 = 86_400;

fn in_days(days: i64) -> Timestamp {
    let now = Timestamp::from(SystemTime::now());
    Timestamp { seconds: now.seconds + days * DAY, nanos: 0 }
}

/// Names the plan of a close-out.
fn plan_of(close_out: &str) -> String {
    close_out.replace("closeOuts/", "winBackPlans/")
}

async fn plan(client: &Client, name: &str) -> Result<WinBackPlan, Status> {
    let request = sales::GetWinBackPlanRequest { name: name.to_owned() };
    client.win_backs.clone().get_win_back_plan(request).await.map(|reply| reply.into_inner().win_back_plan.unwrap())
}

async fn customer(client: &Client, name: &str) -> Customer {
    let request = sales::GetCustomerRequest { name: name.to_owned() };
    client.customers.clone().get_customer(request).await.unwrap().into_inner().customer.unwrap()
}

/// A plan of an opportunity of this customer that was just lost for this reason.
async fn lost_for(client: &Client, customer: &str, reason: &str) -> WinBackPlan {
    let opportunity = client.opportunity(customer).await;
    let request =
        sales::CloseOutOpportunityRequest { reason: format!("closeOutReasons/{reason}"), ..closing(&opportunity) };
    let closed = client.close_out_opportunity(request).await.unwrap().close_out.unwrap();
    plan(client, &plan_of(&closed.name)).await.unwrap()
}

async fn lost(client: &Client, customer: &str) -> WinBackPlan {
    lost_for(client, customer, "NO_INTENT_NOW").await
}

fn contacting(plan: &WinBackPlan, result: Answer) -> sales::RecordWinBackContactRequest {
    sales::RecordWinBackContactRequest {
        name: plan.name.clone(),
        method: Method::Call.into(),
        result: result.into(),
        contact: "王经理, purchasing".into(),
        note: "asked about spring".into(),
        next_due_time: (result == Answer::Later).then(|| in_days(30)),
        ..Default::default()
    }
}

async fn contact(client: &Client, plan: &WinBackPlan, result: Answer) -> Result<WinBackPlan, Status> {
    client.record_win_back_contact(contacting(plan, result)).await.map(|reply| reply.win_back_plan.unwrap())
}

async fn listed(client: &Client, request: sales::ListWinBackPlansRequest) -> Vec<WinBackPlan> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = sales::ListWinBackPlansRequest { page_token, ..request.clone() };
        let reply = client.win_backs.clone().list_win_back_plans(request).await.unwrap().into_inner();
        all.extend(reply.win_back_plans);
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn audience(client: &Client, request: sales::ExportAudienceRequest) -> Result<Vec<AudienceMember>, Status> {
    let stream = client.win_backs.clone().export_audience(request).await?.into_inner();
    let parts: Vec<_> = stream.try_collect().await?;
    Ok(parts.into_iter().flat_map(|part| part.members).collect())
}

fn reason_of(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

/// Field and reason of each violation.
fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().unwrap().field_violations;
    details.into_iter().map(|violation| (violation.field, violation.reason)).collect()
}

async fn a_loss_makes_a_plan_on_whichever_service_it_happens(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let opportunity = client.opportunity(&name).await;
    let preview = sales::PreviewCloseOutRequest { close_out: Some(closing(&opportunity)) };
    let preview = client.opportunities.clone().preview_close_out(preview).await.unwrap().into_inner().plan.unwrap();
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    let (close_time, due) = (closed.close_time.unwrap(), closed.win_back_time.unwrap());
    assert_eq!(due.seconds - close_time.seconds, 60 * DAY, "as many days as the reason says");
    assert!(due.seconds - preview.win_back_time.unwrap().seconds < 60, "as the preview had said");
    let made = plan(&client, &plan_of(&closed.name)).await.unwrap();
    assert_eq!(
        (made.state(), &*made.close_out, &*made.subject, &*made.customer, &*made.reason, &*made.owner),
        (State::Planned, &*closed.name, &*opportunity, &*name, "closeOutReasons/NO_INTENT_NOW", "ann")
    );
    assert_eq!((made.due_time, made.close_time), (Some(due), Some(close_time)));
    assert_eq!(made.amount, closed.snapshot.unwrap().amount);
    assert_eq!(made.customer_display_name, customer(&client, &name).await.display_name);
    assert_eq!(customer(&client, &name).await.win_back_time, Some(due));

    // Of an order the opportunity service hears, and it keeps that plan, too.
    let order = client.order(&name, "").await;
    let request =
        trade::CloseOutOrderRequest { reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(), ..cancelling(&order) };
    let cancelled = client.close_out_order(request).await.unwrap().close_out.unwrap();
    pair.quiet().await;
    let of_order = plan(&client, &plan_of(&cancelled.name)).await.unwrap();
    assert_eq!((of_order.state(), &*of_order.subject, &*of_order.customer), (State::Planned, &*order, &*name));
    assert_eq!((of_order.due_time, &of_order.amount), (cancelled.win_back_time, &cancelled.snapshot.unwrap().amount));
    assert_eq!(customer(&client, &name).await.win_back_time, of_order.due_time, "that one is due first");
    let of_customer = sales::ListWinBackPlansRequest { customer: name.clone(), ..Default::default() };
    let names: Vec<_> = listed(&client, of_customer).await.into_iter().map(|plan| plan.name).collect();
    assert_eq!(names, [of_order.name, made.name]);
    let missing = plan(&client, &format!("winBackPlans/{}", uuid::Uuid::now_v7())).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    pair.end().await;
}

async fn what_is_not_worth_it_makes_none(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let none = |close_out: Option<common::CloseOut>| {
        let (client, close_out) = (client.clone(), close_out.unwrap());
        async move {
            assert_eq!(close_out.win_back_time, None, "{close_out:?}");
            assert_eq!(plan(&client, &plan_of(&close_out.name)).await.unwrap_err().code(), Code::NotFound);
        }
    };
    // Of a class that is no loss, whatever its reason proposes.
    for code in ["POOR_FIT", "DUPLICATE"] {
        let reason = CloseOutReason { name: format!("closeOutReasons/{code}"), win_back_days: 5, ..Default::default() };
        let update_mask = Some(FieldMask { paths: vec!["win_back_days".into()] });
        let request = sales::UpdateCloseOutReasonRequest { reason: Some(reason), update_mask, ..Default::default() };
        client.update_reason(request).await.unwrap();
        let opportunity = client.opportunity(&name).await;
        let request = sales::CloseOutOpportunityRequest {
            reason: format!("closeOutReasons/{code}"),
            detail: "it was entered twice".into(),
            ..closing(&opportunity)
        };
        none(client.close_out_opportunity(request).await.unwrap().close_out).await;
    }
    // Entered with a date of the past.
    let opportunity = sales::Opportunity { title: "Cameras".into(), customer: name.clone(), ..Default::default() };
    let past = |days: i64| Some(in_days(-days));
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical: Some(Historical { create_time: past(90), ..Default::default() }),
        ..Default::default()
    };
    let old = client.create_opportunity(request).await.unwrap().opportunity.unwrap();
    let historical = Some(Historical { close_time: past(60), ..Default::default() });
    let request = sales::CloseOutOpportunityRequest { historical, ..closing(&old.name) };
    none(client.close_out_opportunity(request).await.unwrap().close_out).await;
    // What is caused by a close-out is not lost a second time: one plan, of the close-out that a person asked for.
    let opportunity = client.opportunity(&name).await;
    client.order(&name, &opportunity).await;
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    pair.quiet().await;
    let of_customer = sales::ListWinBackPlansRequest { customer: name.clone(), ..Default::default() };
    let plans = listed(&client, of_customer.clone()).await;
    assert_eq!(plans.iter().map(|plan| &plan.name).collect::<Vec<_>>(), [&plan_of(&closed.name)]);
    // What waits for approval is not lost yet.
    let settings = Settings {
        approval: Some(ApprovalPolicy { amounts: vec![cny(1).unwrap()], ..Default::default() }),
        ..Default::default()
    };
    let update_mask = Some(FieldMask { paths: vec!["approval.amounts".into()] });
    let request = sales::UpdateSettingsRequest { settings: Some(settings), update_mask, ..Default::default() };
    client.update_settings(request).await.unwrap();
    let opportunity = client.opportunity(&name).await;
    let asked = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!(asked.state(), common::CloseOutState::PendingApproval);
    assert_eq!(plan(&client, &plan_of(&asked.name)).await.unwrap_err().code(), Code::NotFound);
    let approving = sales::ApproveCloseOutRequest { name: asked.name.clone(), ..Default::default() };
    let bob = pair.client_of(pair.tenant, "bob");
    let approved = bob.approve_sales_close_out(approving).await.unwrap().close_out.unwrap();
    let made = plan(&client, &plan_of(&asked.name)).await.unwrap();
    assert_eq!((made.state(), made.due_time), (State::Planned, approved.win_back_time));
    pair.end().await;
}

async fn contacts_are_recorded_and_the_customer_is_in_win_back(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let made = lost(&client, &name).await;
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Lost);
    let edit = sales::UpdateWinBackPlanRequest {
        win_back_plan: Some(WinBackPlan {
            name: made.name.clone(),
            owner: "bob".into(),
            offer: "10 % on cameras".into(),
            due_time: Some(in_days(10)),
            etag: made.etag.clone(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let edited = client.update_win_back_plan(edit.clone()).await.unwrap().win_back_plan.unwrap();
    assert_eq!((&*edited.owner, &*edited.offer), ("bob", "10 % on cameras"));
    assert_eq!(customer(&client, &name).await.win_back_time, edited.due_time);
    assert_eq!(client.update_win_back_plan(edit).await.unwrap_err().code(), Code::Aborted, "an old etag");

    let later = contact(&client, &edited, Answer::Later).await.unwrap();
    assert_eq!((later.state(), later.contact_count), (State::Running, 1));
    assert!((in_days(30).seconds - later.due_time.unwrap().seconds) < 60);
    let record = customer(&client, &name).await;
    assert_eq!((record.lifecycle(), record.win_back_time), (Lifecycle::WinBack, later.due_time));
    assert_eq!(record.last_contact_time, later.contacts[0].contact_time);
    let WinBackContact { method, contact: whom, result, note, actor, .. } = later.contacts[0].clone();
    assert_eq!((method, result), (Method::Call.into(), Answer::Later.into()));
    assert_eq!((&*whom, &*note, &*actor), ("王经理, purchasing", "asked about spring", "ann"));

    // A copy of the call is no second contact.
    let request = sales::RecordWinBackContactRequest {
        request_id: uuid::Uuid::now_v7().to_string(),
        contact_time: Some(in_days(-1)),
        ..contacting(&later, Answer::NoAnswer)
    };
    let once = client.record_win_back_contact(request.clone()).await.unwrap().win_back_plan.unwrap();
    assert_eq!(client.record_win_back_contact(request).await.unwrap().win_back_plan.unwrap(), once);
    assert_eq!((once.contact_count, once.due_time), (2, later.due_time), "it stays due when it was");
    assert_eq!(customer(&client, &name).await.last_contact_time, record.last_contact_time, "that was an earlier one");
    // The last 20 are shown, all are counted.
    for _ in 0..20 {
        contact(&client, &once, Answer::Interested).await.unwrap();
    }
    let many = plan(&client, &made.name).await.unwrap();
    assert_eq!((many.contact_count, many.contacts.len()), (22, 20));

    // While something is open the customer is active, and in win-back again when that is over.
    let opportunity = client.opportunity(&name).await;
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Active);
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::WinBack);
    let declined = contact(&client, &many, Answer::Declined).await.unwrap();
    assert_eq!(
        (declined.state(), &*declined.ender, &*declined.end_note),
        (State::GivenUp, "ann", "asked about spring")
    );
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Lost, "no other plan of it runs");
    let over = contact(&client, &many, Answer::NoAnswer).await.unwrap_err();
    assert_eq!(reason_of(&over), (Code::FailedPrecondition, "WIN_BACK_ENDED".into()));
    let giving_up = sales::GiveUpWinBackPlanRequest { name: made.name.clone(), ..Default::default() };
    assert_eq!(reason_of(&client.give_up_win_back_plan(giving_up).await.unwrap_err()).1, "WIN_BACK_ENDED");
    let second = sales::ListWinBackPlansRequest { customer: name.clone(), ..Default::default() };
    let second = listed(&client, second).await;
    let giving_up = sales::GiveUpWinBackPlanRequest {
        name: second[0].name.clone(),
        note: "moved abroad".into(),
        ..Default::default()
    };
    let given_up = client.give_up_win_back_plan(giving_up).await.unwrap().win_back_plan.unwrap();
    assert_eq!((given_up.state(), &*given_up.end_note), (State::GivenUp, "moved abroad"));
    let record = customer(&client, &name).await;
    assert_eq!((record.win_back_time, record.lifecycle()), (None, Lifecycle::Lost));
    // What makes no sense is told field by field.
    let wrong = sales::RecordWinBackContactRequest {
        name: "winBackPlans/x".into(),
        contact_time: Some(in_days(1)),
        result: Answer::Declined.into(),
        next_due_time: Some(in_days(1)),
        ..Default::default()
    };
    let wrong = client.record_win_back_contact(wrong).await.unwrap_err();
    let fields: Vec<_> = violations(&wrong).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["name", "method", "next_due_time", "contact_time"]);
    let wrong = sales::RecordWinBackContactRequest { next_due_time: None, ..contacting(&made, Answer::Later) };
    let wrong = violations(&client.record_win_back_contact(wrong).await.unwrap_err());
    assert_eq!(wrong, [("next_due_time".to_owned(), "REQUIRED".to_owned())]);
    let events = sales::ListCustomerEventsRequest { customer: name, page_size: 100, ..Default::default() };
    let events = client.customers.clone().list_customer_events(events).await.unwrap().into_inner().events;
    let told = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((told("win_back.contacted"), told("win_back.given_up")), (23, 1));
    pair.end().await;
}

async fn a_later_success_counts_whatever_is_done_with_the_plan(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let made = lost(&client, &name).await;
    let won = sales::WinOpportunityRequest { name: client.opportunity(&name).await, ..Default::default() };
    client.win_opportunity(won).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Dormant);
    let offer = WinBackPlan { name: made.name.clone(), offer: "10 %".into(), ..Default::default() };
    let request = sales::UpdateWinBackPlanRequest { win_back_plan: Some(offer), ..Default::default() };
    client.update_win_back_plan(request).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Dormant);
    // Only asked what it would come to.
    let asked = sales::RecordWinBackContactRequest { validate_only: true, ..contacting(&made, Answer::Interested) };
    let shown = client.record_win_back_contact(asked).await.unwrap().win_back_plan.unwrap();
    assert_eq!((shown.state(), customer(&client, &name).await.lifecycle()), (State::Running, Lifecycle::Dormant));
    contact(&client, &made, Answer::Interested).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::WinBack);
    contact(&client, &made, Answer::Declined).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::Dormant);
    pair.end().await;
}

async fn a_whole_customer_is_planned_and_taken_back_as_one(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    join_all((0..3).map(|_| client.opportunity(&name))).await;
    let request = sales::CloseOutCustomerRequest {
        name: name.clone(),
        reason: "closeOutReasons/BUDGET_FROZEN".into(),
        ..Default::default()
    };
    let group = client.close_out_customer(request).await.unwrap().customer_close_out.unwrap();
    let done = async |state: Group| {
        until(state.as_str_name(), QUIET, || async {
            let group = client.look_at_group(&group.name).await.ok()?;
            (group.state() == state).then_some(())
        })
        .await;
    };
    done(Group::Closed).await;
    let of_customer = sales::ListWinBackPlansRequest { customer: name.clone(), ..Default::default() };
    let plans = listed(&client, of_customer.clone()).await;
    assert_eq!(plans.len(), 3);
    contact(&client, &plans[1], Answer::NoAnswer).await.unwrap();
    assert_eq!(customer(&client, &name).await.lifecycle(), Lifecycle::WinBack);
    client
        .reopen_customer(sales::ReopenCustomerRequest { name: group.name.clone(), ..Default::default() })
        .await
        .unwrap();
    done(Group::Reopened).await;
    assert_eq!(listed(&client, of_customer).await, []);
    let record = customer(&client, &name).await;
    assert_eq!((record.lifecycle(), record.win_back_time), (Lifecycle::Active, None));
    pair.end().await;
}

async fn who_must_not_be_contacted_is_left_alone(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let [one, other] = [lost(&client, &name).await, lost(&client, &name).await];
    contact(&client, &other, Answer::NoAnswer).await.unwrap();
    // The customer says so: every plan of it ends.
    let refused = contact(&client, &one, Answer::DoNotContact).await.unwrap();
    assert_eq!((refused.state(), refused.contact_count), (State::Cancelled, 1));
    assert_eq!(plan(&client, &other.name).await.unwrap().state(), State::Cancelled);
    let record = customer(&client, &name).await;
    assert_eq!((record.do_not_contact, record.lifecycle()), (true, Lifecycle::Blocked));
    assert_eq!(record.win_back_time, None);
    // What is lost now is not planned, nor shown as if it would be.
    let opportunity = client.opportunity(&name).await;
    let preview = sales::PreviewCloseOutRequest { close_out: Some(closing(&opportunity)) };
    let preview = client.opportunities.clone().preview_close_out(preview).await.unwrap().into_inner().plan.unwrap();
    assert_eq!(preview.win_back_time, None);
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!(plan(&client, &plan_of(&closed.name)).await.unwrap_err().code(), Code::NotFound);
    // Once it may be contacted again, what is lost then is.
    let allow = |do_not_contact: bool| {
        let customer = Customer { name: name.clone(), do_not_contact, ..Default::default() };
        let update_mask = Some(FieldMask { paths: vec!["do_not_contact".into()] });
        sales::UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() }
    };
    client.update_customer(allow(false)).await.unwrap();
    let amending = sales::AmendCloseOutRequest {
        name: other.close_out.clone(),
        reason: "closeOutReasons/UNRESPONSIVE".into(),
        note: "they never answered".into(),
        ..Default::default()
    };
    client.amend_sales_close_out(amending).await.unwrap();
    assert_eq!(plan(&client, &other.name).await.unwrap().state(), State::Cancelled, "it does not come back by itself");
    let third = lost(&client, &name).await;
    client.update_customer(allow(true)).await.unwrap();
    assert_eq!(plan(&client, &third.name).await.unwrap().state(), State::Cancelled);
    pair.end().await;
}

fn again(customer: &str, plan: &str) -> sales::CreateOpportunityRequest {
    let opportunity = sales::Opportunity {
        title: "Cameras again".into(),
        customer: customer.to_owned(),
        recovered_from: plan.to_owned(),
        ..Default::default()
    };
    sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() }
}

async fn what_comes_back_is_linked_with_what_was_lost(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let made = lost(&client, &name).await;
    contact(&client, &made, Answer::Interested).await.unwrap();
    let elsewhere = client.customer().await;
    let wrong = client.create_opportunity(again(&elsewhere, &made.name)).await.unwrap_err();
    assert_eq!(violations(&wrong), [("opportunity.recovered_from".to_owned(), "OTHER_CUSTOMER".to_owned())]);
    let missing = format!("winBackPlans/{}", uuid::Uuid::now_v7());
    assert_eq!(client.create_opportunity(again(&name, &missing)).await.unwrap_err().code(), Code::NotFound);
    let back = client.create_opportunity(again(&name, &made.name)).await.unwrap().opportunity.unwrap();
    assert_eq!(back.recovered_from, made.name);
    let recovered = plan(&client, &made.name).await.unwrap();
    assert_eq!(
        (recovered.state(), &*recovered.recovered_by, &*recovered.ender),
        (State::Recovered, &*back.name, "ann")
    );
    let record = customer(&client, &name).await;
    assert_eq!((record.lifecycle(), record.win_back_time), (Lifecycle::Active, None));
    // Once only, whoever asks at the same moment.
    let next = lost(&client, &name).await;
    let both = join_all((0..2).map(|_| client.create_opportunity(again(&name, &next.name)))).await;
    let refused: Vec<_> = both.iter().filter_map(|one| one.as_ref().err()).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(reason_of(refused[0]), (Code::FailedPrecondition, "WIN_BACK_ENDED".into()));
    // One that was given up may come back late.
    let late = lost(&client, &name).await;
    let giving_up = sales::GiveUpWinBackPlanRequest { name: late.name.clone(), ..Default::default() };
    client.give_up_win_back_plan(giving_up).await.unwrap();
    client.create_opportunity(again(&name, &late.name)).await.unwrap();
    assert_eq!(plan(&client, &late.name).await.unwrap().state(), State::Recovered);
    // Lost again it is planned again, by itself; what was recovered stays so, also where what it came of is reopened.
    let twice = client.close_out_opportunity(closing(&back.name)).await.unwrap().close_out.unwrap();
    assert_eq!(plan(&client, &plan_of(&twice.name)).await.unwrap().state(), State::Planned);
    client.reopen_opportunity(reopening(&made.subject)).await.unwrap();
    assert_eq!(plan(&client, &made.name).await.unwrap().state(), State::Recovered);
    pair.end().await;
}

async fn a_reopening_cancels_the_plan_and_a_correction_follows_it(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let name = client.customer().await;
    let made = lost(&client, &name).await;
    let amending = |reason: &str| sales::AmendCloseOutRequest {
        name: made.close_out.clone(),
        reason: format!("closeOutReasons/{reason}"),
        detail: "they had ordered it twice".into(),
        note: "they told us".into(),
        ..Default::default()
    };
    let due_days = |plan: &WinBackPlan| (plan.due_time.unwrap().seconds - plan.close_time.unwrap().seconds) / DAY;
    // Another reason, another day; one that is no loss, no plan; and back.
    client.amend_sales_close_out(amending("BUDGET_FROZEN")).await.unwrap();
    let corrected = plan(&client, &made.name).await.unwrap();
    assert_eq!((&*corrected.reason, due_days(&corrected)), ("closeOutReasons/BUDGET_FROZEN", 180));
    assert_eq!(customer(&client, &name).await.win_back_time, corrected.due_time);
    client.amend_sales_close_out(amending("UNRESPONSIVE")).await.unwrap();
    assert_eq!(due_days(&plan(&client, &made.name).await.unwrap()), 45, "each correction counts");
    client.amend_sales_close_out(amending("DUPLICATE")).await.unwrap();
    let cancelled = plan(&client, &made.name).await.unwrap();
    assert_eq!((cancelled.state(), &*cancelled.reason), (State::Cancelled, "closeOutReasons/DUPLICATE"));
    assert_eq!(customer(&client, &name).await.win_back_time, None);
    client.amend_sales_close_out(amending("NO_INTENT_NOW")).await.unwrap();
    let again = plan(&client, &made.name).await.unwrap();
    assert_eq!((again.state(), due_days(&again), again.end_time), (State::Planned, 60, None));
    // Where a person has said when, that stays.
    let later = contact(&client, &again, Answer::Later).await.unwrap();
    client.amend_sales_close_out(amending("BUDGET_FROZEN")).await.unwrap();
    assert_eq!(plan(&client, &made.name).await.unwrap().due_time, later.due_time);
    client.reopen_opportunity(reopening(&made.subject)).await.unwrap();
    assert_eq!(plan(&client, &made.name).await.unwrap().state(), State::Cancelled);
    assert_eq!(
        reason_of(&client.create_opportunity(self::again(&name, &made.name)).await.unwrap_err()).1,
        "WIN_BACK_ENDED"
    );
    // The same of an order, on the other service.
    let order = client.order(&name, "").await;
    let request =
        trade::CloseOutOrderRequest { reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(), ..cancelling(&order) };
    let cancelled = client.close_out_order(request).await.unwrap().close_out.unwrap();
    pair.quiet().await;
    let of_order = plan(&client, &plan_of(&cancelled.name)).await.unwrap();
    let amending = trade::AmendCloseOutRequest {
        name: cancelled.name.clone(),
        reason: "closeOutReasons/ORD_ENTRY_ERROR".into(),
        detail: "typed twice".into(),
        note: "they told us".into(),
        ..Default::default()
    };
    client.amend_trade_close_out(amending).await.unwrap();
    pair.quiet().await;
    assert_eq!(plan(&client, &of_order.name).await.unwrap().state(), State::Cancelled);
    let amending = trade::AmendCloseOutRequest {
        name: cancelled.name.clone(),
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        note: "it was not".into(),
        ..Default::default()
    };
    client.amend_trade_close_out(amending).await.unwrap();
    pair.quiet().await;
    assert_eq!(plan(&client, &of_order.name).await.unwrap().state(), State::Planned);
    let reopening = trade::ReopenOrderRequest { name: order, ..Default::default() };
    client.reopen_order(reopening).await.unwrap();
    pair.quiet().await;
    assert_eq!(plan(&client, &of_order.name).await.unwrap().state(), State::Cancelled);
    assert_eq!(customer(&client, &name).await.win_back_time, None);
    pair.end().await;
}

async fn what_is_due_is_listed_page_by_page(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, bob) = (pair.client(), pair.client_of(pair.tenant, "bob"));
    let names = join_all((0..3).map(|_| client.customer())).await;
    let mut plans = Vec::new();
    for (n, (who, reason)) in [
        (&client, "NO_INTENT_NOW"),
        (&bob, "UNRESPONSIVE"),
        (&client, "BUDGET_FROZEN"),
        (&bob, "LONG_CYCLE"),
        (&client, "UNRESPONSIVE"),
    ]
    .into_iter()
    .enumerate()
    {
        plans.push(lost_for(who, &names[n % 3], reason).await);
    }
    let by_due = |which: &[usize]| which.iter().map(|n| plans[*n].name.clone()).collect::<Vec<_>>();
    let ask = async |request: sales::ListWinBackPlansRequest| {
        let request = sales::ListWinBackPlansRequest { page_size: 1, ..request };
        listed(&client, request).await.into_iter().map(|plan| plan.name).collect::<Vec<_>>()
    };
    type Ask = sales::ListWinBackPlansRequest;
    assert_eq!(ask(Ask::default()).await, by_due(&[1, 4, 0, 3, 2]));
    assert_eq!(ask(Ask { owner: "bob".into(), ..Ask::default() }).await, by_due(&[1, 3]));
    assert_eq!(ask(Ask { due_before: Some(in_days(61)), ..Ask::default() }).await, by_due(&[1, 4, 0]));
    assert_eq!(ask(Ask { customer: names[0].clone(), ..Ask::default() }).await, by_due(&[0, 3]));
    assert_eq!(ask(Ask { customer: names[0].clone(), owner: "bob".into(), ..Ask::default() }).await, by_due(&[3]));
    contact(&client, &plans[0], Answer::NoAnswer).await.unwrap();
    contact(&client, &plans[3], Answer::Declined).await.unwrap();
    assert_eq!(ask(Ask { state: State::Running.into(), ..Ask::default() }).await, by_due(&[0]));
    assert_eq!(ask(Ask { state: State::Planned.into(), ..Ask::default() }).await, by_due(&[1, 4, 2]));
    assert_eq!(ask(Ask { state: State::GivenUp.into(), ..Ask::default() }).await, by_due(&[3]));
    assert_eq!(ask(Ask { state: State::GivenUp.into(), owner: "ann".into(), ..Ask::default() }).await, by_due(&[]));
    assert_eq!(
        ask(Ask { state: State::GivenUp.into(), customer: names[0].clone(), ..Ask::default() }).await,
        by_due(&[3])
    );
    assert_eq!(ask(Ask::default()).await, by_due(&[1, 4, 0, 2]));
    // A token belongs to its request.
    let first = Ask { page_size: 1, ..Ask::default() };
    let token = client.win_backs.clone().list_win_back_plans(first).await.unwrap().into_inner().next_page_token;
    let other = Ask { page_token: token, owner: "bob".into(), ..Ask::default() };
    let refused = client.win_backs.clone().list_win_back_plans(other).await.unwrap_err();
    assert_eq!(violations(&refused), [("page_token".to_owned(), "INVALID_PAGE_TOKEN".to_owned())]);
    pair.end().await;
}

async fn an_audience_has_who_is_lost_for_these_reasons_and_may_be_contacted(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let [budget, both, won_over, blocked] = [(); 4].map(|()| client.customer());
    let (budget, both, won_over, blocked) = (budget.await, both.await, won_over.await, blocked.await);
    // What is cancelled with it on the other side is the same loss.
    let opportunity = client.opportunity(&budget).await;
    client.order(&budget, &opportunity).await;
    let reason = "closeOutReasons/BUDGET_FROZEN".to_owned();
    client.close_out_opportunity(sales::CloseOutOpportunityRequest { reason, ..closing(&opportunity) }).await.unwrap();
    let silent = lost_for(&client, &both, "UNRESPONSIVE").await;
    let order = client.order(&both, "").await;
    let request =
        trade::CloseOutOrderRequest { reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(), ..cancelling(&order) };
    let worth = client.close_out_order(request).await.unwrap().close_out.unwrap().snapshot.unwrap().amount;
    // Not among them: who came back, who may not be contacted, and what was taken back.
    lost_for(&client, &won_over, "BUDGET_FROZEN").await;
    client.opportunity(&won_over).await;
    let last = lost_for(&client, &blocked, "BUDGET_FROZEN").await;
    contact(&client, &last, Answer::DoNotContact).await.unwrap();
    let undone = lost_for(&client, &both, "BUDGET_FROZEN").await;
    client.reopen_opportunity(reopening(&undone.subject)).await.unwrap();
    client
        .close_out_opportunity(sales::CloseOutOpportunityRequest {
            reason: "closeOutReasons/LONG_CYCLE".into(),
            ..closing(&undone.subject)
        })
        .await
        .unwrap();
    pair.quiet().await;

    type Ask = sales::ExportAudienceRequest;
    let who = async |request: Ask| {
        let mut names: Vec<_> = audience(&client, request).await.unwrap().into_iter().map(|one| one.customer).collect();
        names.sort();
        names
    };
    let only = |name: &String| vec![name.clone()];
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let of = |codes: &[&str]| Ask {
        reasons: codes.iter().map(|code| format!("closeOutReasons/{code}")).collect(),
        ..Ask::default()
    };
    assert_eq!(who(Ask::default()).await, sorted(vec![budget.clone(), both.clone()]));
    assert_eq!(who(of(&["BUDGET_FROZEN"])).await, only(&budget));
    assert_eq!(audience(&client, of(&["BUDGET_FROZEN"])).await.unwrap()[0].loss_count, 1);
    assert_eq!(who(of(&["UNRESPONSIVE"])).await, only(&both));
    assert_eq!(who(of(&["ORD_OUT_OF_STOCK"])).await, only(&both), "an order's cancellation is a loss, too");
    assert_eq!(who(of(&["PRICE_TOO_HIGH"])).await, Vec::<String>::new());
    let all = audience(&client, of(&["UNRESPONSIVE", "ORD_OUT_OF_STOCK"])).await.unwrap();
    let of_both = customer(&client, &both).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].loss_count, &*all[0].display_name, all[0].lifecycle()),
        (2, &*of_both.display_name, Lifecycle::Lost)
    );
    assert_eq!(all[0].reasons, ["closeOutReasons/ORD_OUT_OF_STOCK", "closeOutReasons/UNRESPONSIVE"]);
    let units = |amount: &Option<Money>| amount.as_ref().unwrap().units;
    assert_eq!(all[0].amounts.iter().map(|one| one.units).collect::<Vec<_>>(), [units(&silent.amount) + units(&worth)]);
    assert_eq!(all[0].win_back_time, of_both.win_back_time);
    // Each filter about a loss has to be passed by the same one.
    let dear = Some(Money { units: units(&silent.amount) + 1, ..silent.amount.clone().unwrap() });
    assert_eq!(who(Ask { amount_from: dear, ..of(&["UNRESPONSIVE"]) }).await, Vec::<String>::new());
    assert_eq!(who(Ask { amount_until: silent.amount.clone(), ..of(&["UNRESPONSIVE"]) }).await, only(&both));
    assert_eq!(who(Ask { closed_until: Some(in_days(-1)), ..Ask::default() }).await, Vec::<String>::new());
    assert_eq!(who(Ask { owner: "bob".into(), ..Ask::default() }).await, Vec::<String>::new());
    // Whom somebody has just called is left alone for a while, and is in win-back.
    contact(&client, &silent, Answer::NoAnswer).await.unwrap();
    assert_eq!(who(Ask { not_contacted_since: Some(in_days(-30)), ..Ask::default() }).await, only(&budget));
    assert_eq!(who(Ask { not_contacted_since: Some(in_days(1)), ..Ask::default() }).await.len(), 2);
    assert_eq!(audience(&client, of(&["UNRESPONSIVE"])).await.unwrap()[0].lifecycle(), Lifecycle::WinBack);
    // Reasons that were merged count where they went.
    let merging = sales::MergeCloseOutReasonsRequest {
        sources: vec!["closeOutReasons/BUDGET_FROZEN".into()],
        target: "closeOutReasons/BUDGET_INSUFFICIENT".into(),
        ..Default::default()
    };
    client.merge_reasons(merging).await.unwrap();
    assert_eq!(who(of(&["BUDGET_INSUFFICIENT"])).await, [budget]);
    let wrong = audience(&client, Ask { tier: "x\n".into(), ..of(&["NEVER"]) }).await.unwrap_err();
    let fields: Vec<_> = violations(&wrong).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["tier", "reasons[0]"]);
    pair.end().await;
}

async fn an_audience_of_several_parts_has_everybody_once(kind: Kind) {
    /// More than twice what is looked at for one part.
    const MANY: usize = 410;
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let lost = stream::iter(0..MANY).map(|nth| {
        let client = client.clone();
        async move {
            let name = client.customer().await;
            let made = lost_for(&client, &name, "UNRESPONSIVE").await;
            if nth % 3 == 0 {
                contact(&client, &made, Answer::Later).await.unwrap();
            }
            name
        }
    });
    let mut names: Vec<_> = lost.buffer_unordered(32).collect().await;
    names.sort();
    let all = audience(&client, sales::ExportAudienceRequest::default()).await.unwrap();
    assert_eq!(all.iter().map(|one| one.customer.clone()).collect::<Vec<_>>(), names);
    let again = all.iter().filter(|one| one.lifecycle() == Lifecycle::WinBack).count();
    assert_eq!((again, all.iter().map(|one| one.loss_count).max()), (MANY.div_ceil(3), Some(1)));
    pair.end().await;
}
