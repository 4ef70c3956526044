//! What every mutation carries beside its subject: request id, validate_only, and how long to wait for the other service.

use crate::fields::Fields;
use crm_closeout::wording;
use crm_outbox::{plan::Confirmed, wire};
use crm_proto::common::Wait;
use crm_runtime::{Deadline, answer, auth::Caller};
use prost_types::Duration as WireDuration;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Extensions, Request, Status, metadata::MetadataMap};
use uuid::{Builder, Uuid};

/// How long a call waits for the other service unless it says otherwise.
pub const MAX_WAIT: Duration = Duration::from_secs(2);
/// What is left of a call's deadline for the answer itself.
pub(crate) const TO_ANSWER: Duration = Duration::from_millis(100);

/// Who calls, until when, and the request.
#[derive(Debug)]
pub struct Opened<M> {
    /// Who.
    pub caller: Caller,
    /// Until when there must be an answer.
    pub deadline: Option<Instant>,
    /// The request.
    pub request: M,
}

/// Takes a request apart. No call without a caller whom the gate has let in.
pub fn open<M>(request: Request<M>) -> Result<Opened<M>, Status> {
    let (_, mut extensions, request): (MetadataMap, Extensions, M) = request.into_parts();
    let caller = caller(&mut extensions)?;
    let deadline = extensions.get::<Deadline>().map(|deadline| deadline.0);
    Ok(Opened { caller, deadline, request })
}

/// The caller that the gate has let in.
pub(crate) fn caller(extensions: &mut Extensions) -> Result<Caller, Status> {
    extensions.remove::<Caller>().ok_or_else(|| {
        tracing::error!("a method was called that says nothing of rights; nobody may");
        answer::refusal(&wording::INTERNAL, &[])
    })
}

/// The request id of what is a part of something else: made of what names it, so that a copy has the same.
pub(crate) fn derived_id(names: &[&[u8]]) -> Uuid {
    let mut id = [0; 16];
    wire::hash(&names.concat()).iter().zip(&mut id).for_each(|(from, to)| *to = *from);
    Builder::from_custom_bytes(id).into_uuid()
}

/// What a mutation carries beside its subject.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Id of the call.
    pub request_id: Uuid,
    /// SHA-256 of the request without what may differ between copies of it.
    pub fingerprint: Vec<u8>,
    /// Judge and answer, but change nothing.
    pub validate_only: bool,
    /// Wait for the other service at most this long; none: do not wait.
    pub wait: Option<Duration>,
    /// The plan that the caller has confirmed.
    pub(crate) confirmed: Option<Box<Confirmed>>,
}

impl Meta {
    /// Of a method that sends nothing to the other service.
    pub fn new(fields: &mut Fields, request_id: &str, validate_only: bool, rest: &impl prost::Message) -> Self {
        let given = Uuid::try_parse(request_id);
        if !request_id.is_empty() && given.is_err() {
            fields.refuse("request_id", &wording::INVALID_UUID, &[]);
        }
        Self {
            request_id: given.unwrap_or_else(|_| Uuid::now_v7()),
            fingerprint: wire::hash(&rest.encode_to_vec()),
            validate_only,
            wait: None,
            confirmed: None,
        }
    }

    /// Of a question that is answered anew each time.
    pub(crate) fn of_preview() -> Self {
        Self { request_id: Uuid::now_v7(), fingerprint: Vec::new(), validate_only: true, wait: None, confirmed: None }
    }

    /// Of a part of a call, told by its key: a copy of the call has the same parts.
    pub fn of_part(call: Uuid, key: &str, validate_only: bool) -> Self {
        let fingerprint = wire::hash(key.as_bytes());
        let request_id = derived_id(&[call.as_bytes(), key.as_bytes()]);
        Self { request_id, fingerprint, validate_only, wait: None, confirmed: None }
    }

    /// Whether and how long to wait for the other service.
    pub fn waiting(mut self, fields: &mut Fields, wait: i32, max: Option<WireDuration>, default: Wait) -> Self {
        let max = match max.map(Duration::try_from) {
            None => MAX_WAIT,
            Some(Ok(max)) => max,
            Some(Err(_)) => {
                fields.refuse("max_wait", &wording::NEGATIVE_DURATION, &[]);
                MAX_WAIT
            }
        };
        let wait = match Wait::try_from(wait) {
            Ok(Wait::Unspecified) => default,
            Ok(wait) => wait,
            Err(_) => {
                fields.refuse("wait", &wording::UNKNOWN_ENUM, &[("value", &wait), ("type", &"Wait")]);
                default
            }
        };
        self.wait = (wait == Wait::Peer).then_some(max);
        self
    }

    /// The moment until which to wait.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>) -> Option<Instant> {
        let until = Instant::now().checked_add(self.wait?)?;
        Some(deadline.map_or(until, |deadline| until.min(deadline.checked_sub(TO_ANSWER).unwrap_or(deadline))))
    }
}

/// Takes the fields of a mutation that are not part of what it asks for out of the request, and what is left as its
/// fingerprint. With a default for `wait`: also how long to wait.
#[macro_export]
macro_rules! meta {
    ($fields:expr, $request:expr) => {{
        let (id, validate_only) =
            (std::mem::take(&mut $request.request_id), std::mem::take(&mut $request.validate_only));
        $crate::meta::Meta::new($fields, &id, validate_only, &$request)
    }};
    ($fields:expr, $request:expr, $default:ident) => {{
        let (wait, max) = (std::mem::take(&mut $request.wait), $request.max_wait.take());
        $crate::meta!($fields, $request).waiting($fields, wait, max, crm_proto::common::Wait::$default)
    }};
}
