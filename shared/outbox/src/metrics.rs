//! What the relay and the operators' calls count. The instruments belong to the meter provider that the program has set; without
//! one, counting does nothing.

use crate::{db::Db, settle::Backlog};
use crm_proto::peer::MessageOutcome;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use std::sync::LazyLock;
use tonic::Code;

struct Instruments {
    deliveries: Counter<u64>,
    failures: Counter<u64>,
    claims: Counter<u64>,
    interventions: Counter<u64>,
    peer_down: Gauge<u64>,
    waiting: Gauge<u64>,
    parked: Gauge<u64>,
    oldest: Gauge<f64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = global::meter("closeout");
    let counter = |name, text| meter.u64_counter(name).with_description(text).build();
    let gauge = |name, text| meter.u64_gauge(name).with_description(text).build();
    Instruments {
        deliveries: counter("closeout.relay.messages", "Messages that the other service answered, by outcome"),
        failures: counter("closeout.relay.failed_calls", "Calls to the other service that failed, by code"),
        claims: counter("closeout.relay.claimed", "Messages claimed from the outbox table after their lease"),
        interventions: counter("closeout.operator.interventions", "What operators did about messages, by action"),
        peer_down: gauge("closeout.peer.down", "1 while an address of the other service counts as down"),
        waiting: gauge("closeout.outbox.waiting", "Messages in the outbox, parked ones included"),
        parked: gauge("closeout.outbox.parked", "Messages that an operator has to look at; counting ends at 100,000"),
        oldest: meter
            .f64_gauge("closeout.outbox.oldest")
            .with_unit("s")
            .with_description("Age of the message that has waited longest for its turn")
            .build(),
    }
});

pub(crate) fn delivered(outcome: &MessageOutcome) {
    let word = outcome.kind().as_str_name().trim_start_matches("MESSAGE_OUTCOME_KIND_");
    INSTRUMENTS.deliveries.add(1, &[KeyValue::new("outcome", word)]);
}

pub(crate) fn call_failed(code: Code) {
    INSTRUMENTS.failures.add(1, &[KeyValue::new("code", format!("{code:?}"))]);
}

pub(crate) fn claimed(messages: usize) {
    INSTRUMENTS.claims.add(messages as u64, &[]);
}

pub(crate) fn peer(addresses: &[String], down: &[bool]) {
    for (address, down) in addresses.iter().zip(down) {
        INSTRUMENTS.peer_down.record(u64::from(*down), &[KeyValue::new("address", address.clone())]);
    }
}

pub(crate) fn intervened(method: &'static str) {
    INSTRUMENTS.interventions.add(1, &[KeyValue::new("action", method)]);
}

/// Shows how many statements were run on this database, those of the transactions themselves not counted.
pub fn statements(db: Db) {
    global::meter("closeout")
        .u64_observable_counter("closeout.database.statements")
        .with_description("Statements that were run on the database")
        .with_callback(move |observer| observer.observe(db.statement_count(), &[]))
        .build();
}

/// Takes note of how much waits in the outbox.
pub fn backlog(backlog: Backlog) {
    INSTRUMENTS.waiting.record(backlog.waiting, &[]);
    INSTRUMENTS.parked.record(backlog.parked, &[]);
    INSTRUMENTS.oldest.record(backlog.oldest.as_secs_f64(), &[]);
}
