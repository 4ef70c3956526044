//! Bulk close-outs: a stream of items in, a stream of what became of each out. An item is a command like that of a single call, with
//! a request id made of the call's and its index, and takes the same way through the writer; nothing is atomic over items.
//!
//! Nothing is kept in store for a caller: a call has at most [`HANDED_IN`] items in the writer and [`UNANSWERED`] without an answer, and is not
//! read any further until there is room; HTTP/2 then holds the sender back. Nobody works for a call but the task that writes its
//! answers, so that one whose answers are not read is not read either. A caller that goes away takes nothing back: what was handed
//! in is committed, and its answer kept.

mod item;
mod part;
mod stream;

use crate::{fields::Fields, front::Front, meta};
use crm_closeout::{
    reason::{Given, ReasonScope},
    wording,
};
use crm_outbox::batch::Domain;
use crm_proto::common::BulkResult;
use crm_runtime::{EndsItself, Terms, answer};
use futures::stream::BoxStream;
use prost::DecodeError;
use tonic::{Request, Response, Status, Streaming};

pub use part::Part;

/// Bulk calls that a process takes on at once; more are refused.
pub(crate) const CALLS: usize = 64;
/// Most items in one message.
pub const ITEMS: usize = 1_000;
/// Most items of one call that wait for their commit.
pub const HANDED_IN: usize = 512;
/// Most items of one call that wait for their answer.
pub const UNANSWERED: usize = 4_096;
/// Most answers in one message: as many errors as large as errors get are below what a client takes, 4 MiB.
const ANSWERS: usize = 256;

/// What a service brings to its bulk call: how its messages are read and how its subject is closed out.
pub trait Bulk: std::fmt::Debug + Send + 'static {
    /// The service.
    type Domain: Domain;
    /// A message of the caller.
    type Request: Send + 'static;
    /// A message with answers.
    type Response: Send + 'static;
    /// The request of the single call, which an item is a part of.
    type Single: prost::Message + 'static;
    /// What a single call makes of it.
    type Closing: Send;
    /// The method, as the audit trail calls it.
    const METHOD: &'static str;

    /// Takes a message apart.
    fn part(request: Self::Request) -> Part<Self::Single>;
    /// Reads the fields, as the single call does.
    fn closing(fields: &mut Fields, single: &Self::Single) -> Self::Closing;
    /// What is given as the reason.
    fn given<'a>(single: &'a Self::Single, closing: &'a Self::Closing) -> (ReasonScope, Given<'a>);
    /// The command.
    fn command(closing: Self::Closing) -> <Self::Domain as Domain>::Command;
    /// The etag in the reply to a single call, which is an encoded subject.
    fn etag(reply: &[u8]) -> Result<String, DecodeError>;
    /// A message with these answers.
    fn response(results: Vec<BulkResult>) -> Self::Response;
}

/// The answers of a bulk call.
pub type Answers<B> = BoxStream<'static, Result<<B as Bulk>::Response, Status>>;

/// Begins to answer a bulk call.
pub fn answer<B: Bulk>(
    front: &Front<B::Domain>,
    request: Request<Streaming<B::Request>>,
) -> Result<Response<Answers<B>>, Status> {
    let (_, mut extensions, messages) = request.into_parts();
    let caller = meta::caller(&mut extensions)?;
    let terms = extensions.remove::<Terms>().ok_or_else(|| answer::refusal(&wording::INTERNAL, &[]))?;
    let place = front.bulk.clone().try_acquire_owned().map_err(|_| answer::refusal(&wording::PROCESS_FULL, &[]))?;
    let mut response = Response::new(stream::answers::<B>(front.clone(), caller, terms, messages, place));
    response.extensions_mut().insert(EndsItself);
    Ok(response)
}
