//! A planned pause: on hold an opportunity counts as open and is left alone; it goes on by a person's word or on its day; closed out on
//! hold and reopened it is on hold again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{
    common::{CloseOutState, Propagation, TaskKind},
    opportunity as sales,
    opportunity::{Opportunity, customer::Lifecycle, opportunity::State},
    order as trade,
};
use crm_tests::{
    client::{Client, closing, reopening},
    pair::{Pair, QUIET},
    place::Kind,
    stories, until,
};
use prost_types::Timestamp;
use std::time::{Duration, SystemTime};
use tonic::{Code, Status};
use tonic_types::StatusExt;

stories!(
    on_hold_it_counts_as_open_and_goes_on_by_a_word,
    its_day_comes_by_itself_once,
    closed_out_on_hold_it_comes_back_on_hold,
);

fn days(days: u64) -> Timestamp {
    (SystemTime::now() + Duration::from_secs(days * 86_400)).into()
}

async fn snooze(client: &Client, name: &str, until: Timestamp) -> Result<Opportunity, Status> {
    let request = sales::SnoozeOpportunityRequest {
        name: name.to_owned(),
        resume_time: Some(until),
        note: "their budget round".into(),
        ..Default::default()
    };
    client.snooze_opportunity(request).await.map(|reply| reply.opportunity.unwrap())
}

async fn resume(client: &Client, name: &str) -> Result<Opportunity, Status> {
    let request = sales::ResumeOpportunityRequest { name: name.to_owned(), ..Default::default() };
    client.resume_opportunity(request).await.map(|reply| reply.opportunity.unwrap())
}

fn why(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

async fn on_hold_it_counts_as_open_and_goes_on_by_a_word(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let task = client.selling_task(&opportunity, TaskKind::Demo).await;
    let record = client.relationship(&customer).await;
    let until = days(30);
    let held = snooze(&client, &opportunity, until).await.unwrap();
    assert_eq!((held.state(), held.hold_note.as_str()), (State::OnHold, "their budget round"));
    assert_eq!(held.resume_time.unwrap().seconds, until.seconds);
    assert_eq!((client.relationship(&customer).await, record.lifecycle()), (record, Lifecycle::Active));
    let won = sales::WinOpportunityRequest { name: opportunity.clone(), ..Default::default() };
    let refused = client.win_opportunity(won).await.unwrap_err();
    assert_eq!((refused.code(), why(&refused)), (Code::FailedPrecondition, "ON_HOLD".to_owned()));
    // What is done for it still is: its title, tasks, an order.
    let edit = Opportunity { name: opportunity.clone(), title: "Cameras, later".into(), ..Default::default() };
    let request = sales::UpdateOpportunityRequest { opportunity: Some(edit), ..Default::default() };
    assert_eq!(client.update_opportunity(request).await.unwrap().opportunity.unwrap().state(), State::OnHold);
    client.order(&customer, &opportunity).await;
    let request = sales::ListOpportunitiesRequest { state: State::OnHold.into(), ..Default::default() };
    let listed = client.opportunities.clone().list_opportunities(request).await.unwrap().into_inner().opportunities;
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, opportunity.as_str()));
    let again = snooze(&client, &opportunity, days(200)).await.unwrap_err();
    let fields = again.get_details_bad_request().unwrap().field_violations;
    assert_eq!((fields[0].field.as_str(), fields[0].reason.as_str()), ("resume_time", "OUT_OF_RANGE"));

    let open = resume(&client, &opportunity).await.unwrap();
    assert_eq!((open.state(), open.resume_time, open.hold_note.as_str()), (State::Open, None, ""));
    assert_eq!(why(&resume(&client, &opportunity).await.unwrap_err()), "NOT_ON_HOLD");
    assert_eq!(client.selling_tasks_of(&opportunity).await[0].name, task);
    pair.end().await;
}

/// Makes the ends of pauses due now.
async fn hurry(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain("UPDATE job SET due_at = 1 WHERE kind = 3"), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn its_day_comes_by_itself_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let (held, moved, closed) =
        (client.opportunity(&customer).await, client.opportunity(&customer).await, client.opportunity(&customer).await);
    for name in [&held, &moved, &closed] {
        snooze(&client, name, days(1)).await.unwrap();
    }
    // The same day once more is another duty.
    let day = days(1);
    snooze(&client, &held, day).await.unwrap();
    snooze(&client, &held, day).await.unwrap();
    // Another day leaves the first one's duty nothing to do; so does a close-out.
    let open = resume(&client, &moved).await.unwrap();
    client.close_out_opportunity(closing(&closed)).await.unwrap();
    pair.quiet().await;
    let (sales, trade) = pair.databases().await;
    hurry(&sales).await;
    until("the duties are done", QUIET, || async {
        let rows = sales.read(&Sql::plain("SELECT count(*) FROM job WHERE kind = 3"), Args::none()).await.unwrap();
        (rows[0].get::<i64>(0).unwrap() == 0).then_some(())
    })
    .await;
    let after = client.get_opportunity(&held).await;
    assert_eq!((after.state(), after.resume_time), (State::Open, None));
    assert_eq!(client.get_opportunity(&moved).await, open);
    assert_eq!(client.get_opportunity(&closed).await.state(), State::ClosedOut);
    let request = sales::ListCustomerEventsRequest { customer, ..Default::default() };
    let events = client.customers.clone().list_customer_events(request).await.unwrap().into_inner().events;
    let by_time = events.iter().filter(|event| event.actor == "system").map(|event| event.kind.as_str());
    assert_eq!(by_time.collect::<Vec<_>>(), ["opportunity.resumed"]);
    sales.close().await;
    trade.close().await;
    pair.end().await;
}

async fn closed_out_on_hold_it_comes_back_on_hold(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let draft = client.order(&customer, &opportunity).await;
    let held = snooze(&client, &opportunity, days(9)).await.unwrap();
    let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
    assert_eq!((closed.propagation(), closed.snapshot.unwrap().state.as_str()), (Propagation::Settled, "ON_HOLD"));
    pair.quiet().await;
    assert_eq!(client.relationship(&customer).await.lifecycle(), Lifecycle::Lost);
    let back = client.reopen_opportunity(reopening(&opportunity)).await.unwrap().opportunity.unwrap();
    assert_eq!((back.state(), back.resume_time), (State::OnHold, held.resume_time));
    pair.quiet().await;
    assert_eq!(client.get_order(&draft).await.state(), trade::order::State::Draft);
    let close_out = client.sales_close_out(&closed.name).await;
    assert_eq!(close_out.state(), CloseOutState::Reversed);
    pair.end().await;
}
