//! The last two records of a customer are closed out at once, one on each service: whichever message comes first, the relationship ends
//! as the newest loss and success say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    common::Outcome,
    opportunity as sales,
    opportunity::{UpdateCustomerRequest, customer::Lifecycle},
    order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::{StreamExt, stream};
use prost_types::{FieldMask, Timestamp};

stories!(the_last_two_are_closed_out_at_once_on_both_sides);

const PAIRS: usize = 1_000;
const AT_ONCE: usize = 32;

/// A customer with one open opportunity and one order on which all is delivered.
struct Deal {
    customer: String,
    opportunity: String,
    order: String,
    /// The order is processed instead of cancelled: the customer was served.
    served: bool,
    /// Nobody may contact the customer any more.
    blocked: bool,
}

async fn deal(client: &Client, nth: usize) -> Deal {
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    let order = client.order(&customer, "").await;
    client.confirm_order(trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() }).await.unwrap();
    let (served, blocked) = (nth % 3 == 1, nth % 50 == 7);
    if served {
        let lines = vec![trade::LineFulfilment { line: 0, quantity: 3 }];
        let fulfilled = trade::RecordFulfilmentRequest { name: order.clone(), lines, ..Default::default() };
        client.record_fulfilment(fulfilled).await.unwrap();
    }
    Deal { customer, opportunity, order, served, blocked }
}

/// Closes both at once; when each counts as closed.
async fn close(client: &Client, deal: &Deal) -> (Timestamp, Timestamp) {
    let outcome = if deal.served { Outcome::Processed } else { Outcome::Cancelled };
    let reason = if deal.served { String::new() } else { cancelling(&deal.order).reason };
    let of_order = trade::CloseOutOrderRequest { outcome: outcome.into(), reason, ..cancelling(&deal.order) };
    let lost = client.close_out_opportunity(closing(&deal.opportunity));
    let block = async {
        if deal.blocked {
            let customer = sales::Customer { name: deal.customer.clone(), do_not_contact: true, ..Default::default() };
            let update_mask = Some(FieldMask { paths: vec!["do_not_contact".into()] });
            let request = UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() };
            client.update_customer(request).await.unwrap();
        }
    };
    let (lost, ended, ()) = tokio::join!(lost, client.close_out_order(of_order), block);
    let lost = lost.unwrap().close_out.unwrap().close_time.unwrap();
    (lost, ended.unwrap().close_out.unwrap().close_time.unwrap())
}

async fn the_last_two_are_closed_out_at_once_on_both_sides(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let deals: Vec<_> = stream::iter(0..PAIRS).map(|nth| deal(&client, nth)).buffered(AT_ONCE).collect().await;
    pair.quiet().await;
    let closed: Vec<_> = stream::iter(&deals).map(|deal| close(&client, deal)).buffered(AT_ONCE).collect().await;
    pair.quiet().await;
    let mut found = [0; 3];
    for (deal, (lost, ended)) in deals.iter().zip(closed) {
        let customer = client.relationship(&deal.customer).await;
        let later = (lost.seconds, lost.nanos) > (ended.seconds, ended.nanos);
        let (place, expected) = match (deal.blocked, deal.served) {
            (true, _) => (0, Lifecycle::Blocked),
            (false, true) if !later => (1, Lifecycle::Dormant),
            (false, _) => (2, Lifecycle::Lost),
        };
        assert_eq!(customer.lifecycle(), expected, "{}: lost {lost}, order ended {ended}", deal.customer);
        assert_eq!((customer.open_count, customer.live_order_count), (0, 0));
        found[place] += 1;
    }
    println!("{PAIRS} pairs: {} blocked, {} dormant, {} lost", found[0], found[1], found[2]);
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    pair.end().await;
}
