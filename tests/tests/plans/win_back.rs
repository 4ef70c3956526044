//! Everything that is done about winning customers back.

use crate::lists::pages;
use crm_proto::{
    opportunity as sales,
    opportunity::{
        WinBackPlan,
        win_back_contact::{Method, Result as Answer},
        win_back_plan::State,
    },
    order as trade,
};
use crm_tests::client::{Client, cancelling, closing, reopening};
use futures::{TryStreamExt, future::join_all};
use prost_types::{FieldMask, Timestamp};

/// Loses some, works on the plans, has one back, takes one back, lists them in each way, and exports an audience.
pub(crate) async fn manage(client: &Client, quiet: impl AsyncFn()) {
    let customer = client.customer().await;
    let plans = join_all((0..24).map(async |_| {
        let opportunity = client.opportunity(&customer).await;
        let closed = client.close_out_opportunity(closing(&opportunity)).await.unwrap().close_out.unwrap();
        (closed.name.replace("closeOuts/", "winBackPlans/"), opportunity)
    }))
    .await;
    let order = client.order(&customer, "").await;
    client.close_out_order(cancelling(&order)).await.unwrap();
    quiet().await;
    client.reopen_order(trade::ReopenOrderRequest { name: order, ..Default::default() }).await.unwrap();
    let name = |at: usize| plans[at].0.clone();
    client.win_backs.clone().get_win_back_plan(sales::GetWinBackPlanRequest { name: name(0) }).await.unwrap();
    let offer = WinBackPlan { name: name(0), offer: "10 %".into(), ..Default::default() };
    let request = sales::UpdateWinBackPlanRequest { win_back_plan: Some(offer), ..Default::default() };
    client.update_win_back_plan(request).await.unwrap();
    contact(client, name(0), Answer::NoAnswer).await;
    let giving_up = sales::GiveUpWinBackPlanRequest { name: name(1), ..Default::default() };
    client.give_up_win_back_plan(giving_up).await.unwrap();
    let opportunity = sales::Opportunity {
        title: "again".into(),
        customer: customer.clone(),
        recovered_from: name(2),
        ..Default::default()
    };
    let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    let back = client.create_opportunity(request).await.unwrap().opportunity.unwrap().name;
    client.close_out_opportunity(closing(&back)).await.unwrap();
    client.reopen_opportunity(reopening(&plans[3].1)).await.unwrap();
    client.close_out_opportunity(closing(&plans[3].1)).await.unwrap();
    quiet().await;
    lists(client, &customer).await;
    contact(client, name(4), Answer::DoNotContact).await;
    let allowed = sales::Customer { name: customer, ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["do_not_contact".into()] });
    let request = sales::UpdateCustomerRequest { customer: Some(allowed), update_mask, ..Default::default() };
    client.update_customer(request).await.unwrap();
    quiet().await;
}

async fn lists(client: &Client, customer: &str) {
    type Ask = sales::ListWinBackPlansRequest;
    let due_before = Some(Timestamp { seconds: 4_000_000_000, nanos: 0 });
    for request in [
        Ask::default(),
        Ask { due_before, ..Ask::default() },
        Ask { owner: "rep7".into(), ..Ask::default() },
        Ask { owner: "rep7".into(), due_before, state: State::Planned.into(), ..Ask::default() },
        Ask { customer: customer.to_owned(), ..Ask::default() },
        Ask { state: State::Running.into(), ..Ask::default() },
        Ask { state: State::Recovered.into(), ..Ask::default() },
        Ask { state: State::GivenUp.into(), owner: "rep7".into(), ..Ask::default() },
        Ask { state: State::GivenUp.into(), customer: customer.to_owned(), ..Ask::default() },
    ] {
        pages!(client.win_backs, list_win_back_plans, request);
    }
    let request =
        sales::ExportAudienceRequest { reasons: vec!["closeOutReasons/NO_INTENT_NOW".into()], ..Default::default() };
    let stream = client.win_backs.clone().export_audience(request).await.unwrap().into_inner();
    let parts: Vec<_> = stream.try_collect().await.unwrap();
    assert!(parts.iter().flat_map(|part| &part.members).any(|member| member.customer == customer));
}

async fn contact(client: &Client, name: String, result: Answer) {
    let request = sales::RecordWinBackContactRequest {
        name,
        method: Method::Call.into(),
        result: result.into(),
        ..Default::default()
    };
    client.record_win_back_contact(request).await.unwrap();
}
