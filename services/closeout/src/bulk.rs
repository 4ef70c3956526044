//! A bulk call that goes on where it broke off: every index without an answer is sent again, under the same request_id, as often as
//! it gets on and for a bounded time when it does not. In flow items by index; out comes one answer for each.

use crate::api::Api;
use crate::{failure, retry};
use crm_proto::common::{BulkDone, BulkResult, bulk_result::Outcome};
use crm_proto::opportunity::BulkCloseOutOpportunitiesRequest as Message;
use crm_proto::opportunity::bulk_close_out_opportunities_request::Item;
use futures::stream;
use prost::Message as _;
use std::sync::Arc;
use std::time::Instant;
use tonic::Status;

/// Items in one message, and about how many bytes; a service takes 1,000, and 256 KiB.
const ITEMS: usize = 500;
const BYTES: usize = 128 * 1_024;

/// What an item was answered; none: nothing for good.
type Answered = Option<Result<BulkDone, Status>>;

/// Closes out all items; each one's index is its place. `whole`: what is true of the whole call. The answers are in the order of
/// the items; `tick` is called at each.
pub(crate) async fn close_out(
    api: &Api,
    whole: Message,
    items: Vec<Item>,
    tick: impl Fn(),
) -> Vec<Result<BulkDone, Status>> {
    let items: Arc<[Item]> = items.into();
    let mut answers: Vec<Answered> = vec![None; items.len()];
    let (mut left, mut attempt, mut started) = (items.len(), 1, Instant::now());
    while left > 0 {
        let before = left;
        let ended = once(api, &whole, &items, &mut answers, &tick).await;
        left = answers.iter().filter(|answer| answer.is_none()).count();
        if left < before {
            (attempt, started) = (1, Instant::now());
        }
        let status = match ended {
            Err(status) => status,
            Ok(()) if left == 0 => break,
            Ok(()) => Status::unavailable("the call ended before every item had an answer"),
        };
        match api.patience().pause(&status, attempt, started) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(status.clone()))).collect(),
        }
        attempt += 1;
    }
    let missing = || Err(Status::unknown("no answer"));
    answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
}

/// Opens the call once and sends all that has no answer yet.
async fn once(
    api: &Api,
    whole: &Message,
    items: &Arc<[Item]>,
    answers: &mut [Answered],
    tick: impl Fn(),
) -> Result<(), Status> {
    let open: Vec<usize> = answers.iter().zip(0..).filter(|(answer, _)| answer.is_none()).map(|(_, at)| at).collect();
    let mut passed = None;
    let mut stream = api.bulk_close_out_opportunities(messages(whole.clone(), items.clone(), open)).await?;
    while let Some(message) = stream.message().await? {
        for result in message.results {
            let place = usize::try_from(result.index).ok().and_then(|index| answers.get_mut(index));
            let Some(place) = place.filter(|place| place.is_none()) else { continue };
            match told(&result) {
                Err(status) if retry::is_passing(&status) => passed = Some(status),
                answer => {
                    *place = Some(answer);
                    tick();
                }
            }
        }
    }
    // What was put off is worth another call, after as long a pause as it asks for.
    passed.map_or(Ok(()), Err)
}

/// The messages of one call, made when they can be sent.
fn messages(whole: Message, items: Arc<[Item]>, open: Vec<usize>) -> impl stream::Stream<Item = Message> + Send {
    let mut open = open.into_iter();
    stream::iter(std::iter::from_fn(move || {
        let (mut message, mut bytes) = (whole.clone(), 0);
        while message.items.len() < ITEMS
            && bytes < BYTES
            && let Some(item) = open.next().and_then(|at| items.get(at))
        {
            bytes += item.encoded_len();
            message.items.push(item.clone());
        }
        (!message.items.is_empty()).then_some(message)
    }))
}

fn told(result: &BulkResult) -> Result<BulkDone, Status> {
    match &result.outcome {
        Some(Outcome::Done(done)) => Ok(done.clone()),
        Some(Outcome::Error(error)) => Err(failure::of_message(error)),
        None => Err(Status::internal("an answer of a kind that this version does not know")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tonic::Code;

    #[tokio::test]
    async fn a_message_holds_so_many_items_and_so_many_bytes() {
        let item = |index, bytes| Item { index, detail: "x".repeat(bytes), ..Item::default() };
        let of = async |bytes: usize, count: i64| {
            let items: Arc<[Item]> = (0..count).map(|index| item(index, bytes)).collect();
            let open = (0..items.len()).collect();
            let all: Vec<_> = messages(Message::default(), items, open).collect().await;
            all.iter().map(|message| message.items.len()).collect::<Vec<_>>()
        };
        assert_eq!(of(0, 1_001).await, [500, 500, 1]);
        assert_eq!(of(2_000, 100).await, [66, 34]);
        assert!(of(0, 0).await.is_empty());
    }

    #[test]
    fn an_error_of_an_item_reads_like_that_of_a_single_call() {
        let whole = crm_proto::Status { code: 9, message: "no".into(), details: Vec::new() };
        let status = told(&BulkResult { index: 1, outcome: Some(Outcome::Error(whole)) }).unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "no"));
    }
}
