//! Bulk calls of the [`Client`]: each item is noted like a call of its own, and a call that breaks off is opened again with what has
//! no answer, until everything has one.

use crate::{client::Client, until};
use crm_checker::Asked;
use crm_closeout::codes::Side;
use crm_outbox::wire;
use crm_proto::{
    common::{BulkDone, BulkResult, bulk_result::Outcome},
    opportunity as sales, order as trade,
};
use futures::{Stream, stream};
use prost::Message;
use sales::bulk_close_out_opportunities_request::Item as Opportunity;
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    time::Duration,
};
use tokio::sync::Mutex;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use trade::bulk_close_out_orders_request::Item as Order;
use uuid::{Builder, Uuid};

/// So long a call may be broken off again and again.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the items of a call were answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// The first answer of each index that stands.
    pub first: BTreeMap<i64, Result<BulkDone, Status>>,
    /// Answers to an index that had one.
    pub repeats: u64,
    /// Times that the call was opened.
    pub opened: u64,
}

impl Answers {
    /// Takes in an answer; one that says to come again does not stand, any other one has to be like the first.
    fn take(&mut self, index: i64, answer: Result<BulkDone, Status>) {
        if answer.as_ref().is_err_and(|status| status.get_details_retry_info().is_some()) {
            return;
        }
        if let Some(first) = self.first.get(&index) {
            self.repeats += 1;
            assert_eq!(outline(first), outline(&answer), "index {index} was answered in two ways");
        } else {
            self.first.insert(index, answer);
        }
    }

    /// What is done, by index.
    pub fn done(&self) -> impl Iterator<Item = (i64, &BulkDone)> {
        self.first.iter().filter_map(|(index, answer)| Some((*index, answer.as_ref().ok()?)))
    }

    /// Why an item was not done.
    pub fn refusal(&self, index: i64) -> &Status {
        self.first[&index].as_ref().unwrap_err()
    }
}

/// What must not differ between two answers: everything but how far the news has come.
fn outline(answer: &Result<BulkDone, Status>) -> Result<(&str, &str), (Code, &str)> {
    match answer {
        Ok(done) => Ok((&done.close_out, &done.etag)),
        Err(status) => Err((status.code(), status.message())),
    }
}

/// The answer in a result.
pub fn told(result: BulkResult) -> Result<BulkDone, Status> {
    match result.outcome.unwrap() {
        Outcome::Done(done) => Ok(done),
        Outcome::Error(error) => {
            Err(Status::with_details(Code::from(error.code), error.message.clone(), error.encode_to_vec().into()))
        }
    }
}

/// The request id of an item, as the API promises it.
fn item_id(call: &str, index: i64) -> Uuid {
    let call: Uuid = call.parse().unwrap();
    let hash = wire::hash(&[&call.as_bytes()[..], &index.to_be_bytes()].concat());
    Builder::from_custom_bytes(hash[..16].try_into().unwrap()).into_uuid()
}

fn note(asked: Option<(Asked, String)>, answer: &Result<BulkDone, Status>) {
    match (asked, answer) {
        (Some((asked, name)), Ok(done)) => asked.done(&name, &done.etag, done.close_out.as_bytes()),
        (Some((asked, _)), Err(status)) => asked.refused(status),
        (None, _) => {}
    }
}

macro_rules! bulk_calls {
    ($($(#[$doc:meta])* $once:ident, $whole:ident = $side:ident.$client:ident.$method:ident($package:ident::$request:ident, $item:ident),
        $word:literal;)+) => {
        impl Client {
            $($(#[$doc])*
            ///
            /// Opens the call once and sends these items, so many in a message.
            pub async fn $once(
                &self,
                whole: &$package::$request,
                items: &[$item],
                in_message: usize,
                answers: &mut Answers,
            ) -> Result<(), Status> {
                let ask = |item: &$item| {
                    let (id, body) = (item_id(&whole.request_id, item.index), item.encode_to_vec());
                    let asked = self.asks(Side::$side, $word, &id.to_string(), &body).unwrap();
                    (item.index, (asked, item.name.clone()))
                };
                let mut asked: HashMap<_, _> =
                    if whole.validate_only { HashMap::new() } else { items.iter().map(ask).collect() };
                let messages = items.chunks(in_message).map(|items| {
                    $package::$request { items: items.to_vec(), ..whole.clone() }
                });
                let messages: Vec<_> = messages.collect();
                answers.opened += 1;
                let mut replies = self.$client.clone().$method(stream::iter(messages)).await?.into_inner();
                while let Some(message) = replies.message().await? {
                    for result in message.results {
                        let (index, answer) = (result.index, told(result));
                        note(asked.remove(&index), &answer);
                        answers.take(index, answer);
                    }
                }
                Ok(())
            }

            $(#[$doc])*
            ///
            /// Goes on until every item has an answer.
            pub async fn $whole(&self, whole: &$package::$request, items: &[$item], in_message: usize) -> Answers {
                let answers = Mutex::new(Answers::default());
                insist(&answers, items.len(), async || {
                    let mut answers = answers.lock().await;
                    let open: Vec<_> =
                        items.iter().filter(|item| !answers.first.contains_key(&item.index)).cloned().collect();
                    self.$once(whole, &open, in_message, &mut answers).await
                })
                .await;
                answers.into_inner()
            })+
        }
    };
}

bulk_calls! {
    /// BulkCloseOutOpportunities.
    bulk_opportunities_once, bulk_opportunities
        = Opportunity.opportunities.bulk_close_out_opportunities(sales::BulkCloseOutOpportunitiesRequest, Opportunity),
        "BulkCloseOutOpportunities";
    /// BulkCloseOutOrders.
    bulk_orders_once, bulk_orders
        = Order.orders.bulk_close_out_orders(trade::BulkCloseOutOrdersRequest, Order), "BulkCloseOutOrders";
}

async fn insist<F: Future<Output = Result<(), Status>>>(answers: &Mutex<Answers>, all: usize, once: impl Fn() -> F) {
    let once = &once;
    until("every index is answered", PATIENCE, || async move {
        match once().await {
            Ok(()) => {}
            Err(status) if is_broken(&status) => println!("broken off: {:?}", status.code()),
            Err(status) => panic!("{status}"),
        }
        (answers.lock().await.first.len() == all).then_some(())
    })
    .await;
}

/// The connection broke, or the service says to come again.
fn is_broken(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
        || std::error::Error::source(status).is_some()
}

/// A whole call that waits for nothing but the commit.
pub fn opportunities_call() -> sales::BulkCloseOutOpportunitiesRequest {
    sales::BulkCloseOutOpportunitiesRequest { request_id: Uuid::now_v7().to_string(), ..Default::default() }
}

/// The same for orders.
pub fn orders_call() -> trade::BulkCloseOutOrdersRequest {
    trade::BulkCloseOutOrdersRequest { request_id: Uuid::now_v7().to_string(), ..Default::default() }
}

/// Closes these opportunities out, the usual way; the index of each is its place.
pub fn closing_each(names: &[String]) -> Vec<Opportunity> {
    let item = |(name, index): (&String, i64)| Opportunity {
        index,
        name: name.clone(),
        reason: "closeOutReasons/NO_INTENT_NOW".into(),
        ..Default::default()
    };
    names.iter().zip(0..).map(item).collect()
}

/// Cancels these orders, the usual way.
pub fn cancelling_each(names: &[String]) -> Vec<Order> {
    let item = |(name, index): (&String, i64)| Order {
        index,
        name: name.clone(),
        outcome: crm_proto::common::Outcome::Cancelled.into(),
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        ..Default::default()
    };
    names.iter().zip(0..).map(item).collect()
}

/// Messages without an end, each noted when it is taken; every item names an opportunity that is not there.
pub fn endless(
    whole: sales::BulkCloseOutOpportunitiesRequest,
    in_message: usize,
    taken: impl Fn() + Send,
) -> impl Stream<Item = sales::BulkCloseOutOpportunitiesRequest> + Send {
    stream::iter((0..).step_by(in_message).map(move |first| {
        taken();
        let names: Vec<_> = (0..in_message).map(|_| format!("opportunities/{}", Uuid::now_v7())).collect();
        let items = closing_each(&names).into_iter().map(|item| Opportunity { index: item.index + first, ..item });
        sales::BulkCloseOutOpportunitiesRequest { items: items.collect(), ..whole.clone() }
    }))
}
