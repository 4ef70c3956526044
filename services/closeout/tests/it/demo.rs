//! `closeout demo`: what it prints for programs and for people, with made data and with the real data set.

use crate::program::{Ran, run};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A number that is there.
#[track_caller]
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// Minor units of the amount `name` in the currency of a customer's record.
#[track_caller]
fn amount(record: &Value, currency: &str, name: &str) -> i64 {
    let text = record["amounts"][currency][name].as_str().unwrap_or("0.00");
    text.replace('.', "").parse().unwrap()
}

/// By how much the counters `names` differ.
#[track_caller]
fn changes<const N: usize>(before: &Value, after: &Value, names: [&str; N]) -> [i64; N] {
    names.map(|name| number(&after[name]) - number(&before[name]))
}

#[track_caller]
fn check_invariants(demo: &Value) {
    let invariants = &demo["invariants"];
    assert_eq!(invariants["violated"], 0, "{invariants}");
    assert!(number(&invariants["checked"]) > 1_000, "{invariants}");
}

/// What the close-out of an opportunity with a draft order must change, whatever the data.
#[track_caller]
fn check_close_out(close_out: &Value, currency: &str) {
    assert_eq!((&close_out["opportunity_tasks_closed"], &close_out["order_tasks_closed"]), (&json!(2), &json!(2)));
    assert!(close_out["settled_ms"].as_f64().unwrap() > 0.0);
    let sides = |side: &str| (&close_out["customer_before"][side], &close_out["customer_after"][side]);

    let (before, after) = sides("opportunity");
    let counters = ["open_count", "lost_count", "won_count", "live_order_count"];
    assert_eq!(changes(before, after, counters), [-1, 1, 0, 0]);
    let moved = amount(before, currency, "open") - amount(after, currency, "open");
    assert!(moved > 0);
    assert_eq!(amount(after, currency, "lost") - amount(before, currency, "lost"), moved);
    assert_ne!(after["last_loss_time"], before["last_loss_time"]);

    let (before, after) = sides("order");
    let counters = ["draft_count", "cancelled_count", "deals_lost", "live_count", "processed_count"];
    assert_eq!(changes(before, after, counters), [-1, 1, 1, 0, 0]);
    assert_eq!(amount(before, currency, "draft") - amount(after, currency, "draft"), moved);
    assert_eq!(amount(after, currency, "cancelled") - amount(before, currency, "cancelled"), moved);
    assert_eq!(after["last_close_out_time"], sides("opportunity").1["last_loss_time"]);
}

/// What the cancellation of a confirmed order must change.
#[track_caller]
fn check_order_close_out(close_out: &Value, currency: &str) {
    assert_eq!((&close_out["opportunity_tasks_closed"], &close_out["order_tasks_closed"]), (&json!(1), &json!(2)));
    let sides = |side: &str| (&close_out["customer_before"][side], &close_out["customer_after"][side]);
    let (before, after) = sides("order");
    assert_eq!(changes(before, after, ["live_count", "cancelled_count", "deals_lost"]), [-1, 1, 0]);
    let moved = amount(before, currency, "live") - amount(after, currency, "live");
    assert!(moved > 0);
    assert_eq!(amount(after, currency, "cancelled") - amount(before, currency, "cancelled"), moved);
    let (before, after) = sides("opportunity");
    assert_eq!(changes(before, after, ["live_order_count", "won_count", "lost_count"]), [-1, 0, 0]);
    assert_ne!(after["last_loss_time"], before["last_loss_time"]);
}

/// A reopening brings back what the close-out took; when the record last changed stays.
#[track_caller]
fn check_reopening(demo: &Value) {
    let (before, after) = (&demo["close_out"]["customer_before"], &demo["reopen"]["customer_after"]);
    assert_eq!(after["opportunity"], before["opportunity"]);
    assert_eq!(after["order"]["amounts"], before["order"]["amounts"]);
    let counters = ["draft_count", "cancelled_count", "deals_lost", "live_count"];
    assert_eq!(changes(&before["order"], &after["order"], counters), [0; 4]);
    let restored = ["opportunity_tasks_restored", "order_tasks_restored"].map(|side| number(&demo["reopen"][side]));
    assert_eq!(restored, [2, 2]);
}

/// All of it, for programs.
#[track_caller]
pub(crate) fn check_made_data(ran: Ran) {
    let demo = ran.ended_with(0).json();
    let import = &demo["import"];
    let count = |name: &str| number(&import[name]);
    assert_eq!([count("customers"), count("opportunities"), count("refused"), count("mended")], [40, 400, 0, 0]);
    let by_stage = ["won", "lost", "engaging", "prospecting"].map(count);
    assert_eq!(by_stage, [177, 103, 88, 32]);
    assert_eq!((count("orders"), count("tasks"), count("won_amount")), (177, 2 * (88 + 32), 6_847_633));
    check_close_out(&demo["close_out"], "CNY");
    check_order_close_out(&demo["order_close_out"], "CNY");
    assert_eq!(demo["sweep"]["closed"], 50);
    assert!(demo["sweep"]["per_second"].as_f64().unwrap() > 0.0 && demo["sweep"]["seconds"].is_number());
    check_reopening(&demo);
    check_invariants(&demo);
}

#[test]
fn made_data_goes_in_and_is_closed_out_on_both_sides() {
    check_made_data(run(&["demo", "--json"]));
}

#[test]
fn a_person_reads_what_changed_on_both_sides() {
    let ran = run(&["demo"]).ended_with(0);
    for told in ["1  Data in", "6  Invariants", "Settled on both sides after", "Receipts", "before", " 0 violated"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "no colours where there is no terminal");
    let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(120), "{widest:?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_real_data_set_comes_out_exactly() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/crm-sales-opportunities");
    let folder = std::env::var_os("CLOSEOUT_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !folder.join("sales_pipeline.csv").exists() {
        eprintln!("skipped: no data in {} (CLOSEOUT_DATA names another folder)", folder.display());
        return;
    }
    let demo = run(&["demo", "--data", folder.to_str().unwrap(), "--json"]).ended_with(0).json();
    let import = &demo["import"];
    let count = |name: &str| number(&import[name]);
    assert_eq!([count("customers"), count("opportunities"), count("without_customer")], [85, 8_800, 1_425]);
    assert_eq!(["won", "lost", "engaging", "prospecting"].map(count), [4_238, 2_473, 1_589, 500]);
    assert_eq!([count("won_amount"), count("orders"), count("tasks")], [10_005_534, 4_238, 2 * (1_589 + 500)]);
    assert_eq!([count("refused"), count("mended")], [0, 12 + 1 + 1_480]);
    assert_eq!(demo["sweep"]["closed"], 1_376);
    check_close_out(&demo["close_out"], "USD");
    check_order_close_out(&demo["order_close_out"], "USD");
    check_reopening(&demo);
    check_invariants(&demo);
}
