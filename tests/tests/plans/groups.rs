//! Everything that is done about a whole customer.

use crate::lists::pages;
use crm_proto::{
    common::ReportDimension, opportunity as sales, opportunity::customer_close_out::State, order as trade,
};
use crm_tests::{client::Client, pair::QUIET, until};
use prost_types::Timestamp;
use std::time::{Duration, SystemTime};

/// Looks at it, closes it out, looks at the group and what belongs to it, takes it back.
pub(crate) async fn close_out(client: &Client, quiet: impl AsyncFn()) {
    let customer = client.customer().await;
    for _ in 0..2 {
        let opportunity = client.opportunity(&customer).await;
        client.order(&customer, &opportunity).await;
    }
    let asked = sales::CloseOutCustomerRequest {
        name: customer.clone(),
        reason: "closeOutReasons/CUSTOMER_CLOSED".into(),
        ..Default::default()
    };
    let close_out = Some(asked.clone());
    let request = sales::PreviewCloseOutCustomerRequest { close_out, ..Default::default() };
    client.groups.clone().preview_close_out_customer(request).await.unwrap();
    let group = client.close_out_customer(asked).await.unwrap().customer_close_out.unwrap().name;
    done(client, &group, State::Closed).await;
    quiet().await;
    pages!(client.groups, list_customer_close_outs, sales::ListCustomerCloseOutsRequest::default());
    pages!(
        client.groups,
        list_customer_close_outs,
        sales::ListCustomerCloseOutsRequest { customer, ..Default::default() }
    );
    let request = sales::ListCloseOutsRequest { group: group.clone(), ..Default::default() };
    pages!(client.sales_close_outs, list_close_outs, request);
    let request = trade::ListCloseOutsRequest { group: group.clone(), ..Default::default() };
    pages!(client.trade_close_outs, list_close_outs, request);
    let request = sales::ReportCloseOutsRequest {
        dimension: ReportDimension::Group.into(),
        closed_from: Some(Timestamp::from(SystemTime::now() - Duration::from_secs(60))),
        ..Default::default()
    };
    client.sales_close_outs.clone().report_close_outs(request).await.unwrap();
    client.reopen_customer(sales::ReopenCustomerRequest { name: group.clone(), ..Default::default() }).await.unwrap();
    done(client, &group, State::Reopened).await;
    quiet().await;
}

async fn done(client: &Client, group: &str, state: State) {
    until(state.as_str_name(), QUIET, || async {
        let group = client.look_at_group(group).await.ok()?;
        (group.state() == state).then_some(())
    })
    .await;
}
