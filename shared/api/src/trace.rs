//! The spans between a call and what it does on the other side: handing in until it is committed, delivering a message, applying
//! it. Each says to the next which trace it is in: the command and the message carry it, through the outbox, as a text.

use crm_closeout::codes::{Code as _, RecordKind};
use crm_outbox::batch::Call;
use crm_proto::peer::{ApplyRequest, ApplyResponse, Envelope, MessageOutcome};
use crm_runtime::trace::{self, TARGET, TRACE_PARENT};
use std::future::Future;
use tonic::{Request, Status};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

/// Hands in a call, within a span that lasts until it is committed or refused.
pub(crate) async fn commit<C, F: Future>(mut call: Call<C>, hand_in: impl FnOnce(Call<C>) -> F) -> F::Output {
    let handed_in = async move {
        call.trace_parent = trace::here();
        hand_in(call).await
    };
    handed_in.instrument(tracing::trace_span!(target: TARGET, "commit")).await
}

/// A message that is delivered or applied.
pub(crate) struct Passage {
    /// Its span; it ends with the passage.
    pub(crate) span: Span,
    message_id: Uuid,
}

/// The call that delivers messages, and the passage of each, with a span if the message is part of a trace. The call itself is
/// part of that of the first one.
pub(crate) fn deliver(mut messages: ApplyRequest) -> (Request<ApplyRequest>, Vec<Passage>) {
    let passages = messages.envelopes.iter_mut().map(|envelope| {
        if envelope.trace_parent.is_empty() {
            return Passage::of(envelope, Span::none());
        }
        let span = tracing::trace_span!(
            target: TARGET,
            "deliver",
            otel.name = %format_args!("deliver {}", kind(envelope)),
            otel.kind = "producer",
            otel.status_code = Empty,
            message.id = %id(envelope),
            message.number = envelope.number,
            message.outcome = Empty,
            "error.type" = Empty,
        );
        Passage::of(envelope, span)
    });
    let passages = passages.collect();
    let first = messages.envelopes.iter().map(|envelope| &envelope.trace_parent).find(|given| !given.is_empty());
    let first = first.and_then(|first| first.parse().ok());
    let mut request = Request::new(messages);
    if let Some(first) = first {
        request.metadata_mut().insert(TRACE_PARENT, first);
    }
    (request, passages)
}

/// Notes what the call brought.
pub(crate) fn delivered(passages: &[Passage], answer: &Result<ApplyResponse, Status>) {
    match answer {
        Ok(answer) => {
            passages.iter().zip(&answer.outcomes).for_each(|(passage, outcome)| passage.ended("delivered", outcome));
        }
        Err(status) => passages.iter().for_each(|passage| trace::failed(&passage.span, status.code())),
    }
}

/// The passage of a message that came in; in the message is then what is to be said to whoever is caused by it.
pub(crate) fn apply(envelope: &mut Envelope) -> Passage {
    let span = tracing::trace_span!(
        target: TARGET,
        "apply",
        otel.name = %format_args!("apply {}", kind(envelope)),
        otel.kind = "consumer",
        otel.status_code = Empty,
        message.id = %id(envelope),
        message.number = envelope.number,
        message.outcome = Empty,
    );
    Passage::of(envelope, span)
}

impl Passage {
    fn of(envelope: &mut Envelope, span: Span) -> Self {
        envelope.trace_parent = trace::join(&span, &envelope.trace_parent);
        Self { span, message_id: id(envelope) }
    }

    /// Notes what became of the message, on the span and in the log.
    pub(crate) fn ended(&self, how: &str, outcome: &MessageOutcome) {
        let (message_id, word) = (self.message_id, outcome.kind().as_str_name());
        let word = word.strip_prefix("MESSAGE_OUTCOME_KIND_").unwrap_or(word);
        self.span.record("message.outcome", word);
        if word.starts_with("REJECTED") {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span.in_scope(|| tracing::debug!(message.id = %message_id, message.outcome = word, "message {how}"));
    }
}

fn kind(envelope: &Envelope) -> String {
    RecordKind::from_code(envelope.kind).map_or_else(|_| "message".into(), |kind| kind.word().to_lowercase())
}

fn id(envelope: &Envelope) -> Uuid {
    Uuid::from_slice(&envelope.message_id).unwrap_or_default()
}
