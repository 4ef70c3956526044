//! Exchange rates by hand: the tenant's currency, rates set, listed and deleted, what a close-out kept, and the sum in a report.

use crate::grounds::imported;
use serde_json::json;

#[test]
fn rates_are_set_listed_and_deleted_and_close_outs_keep_theirs() {
    let (up, [first, second]) = imported();
    let early = up.run(&["rates", "set", "USD", "7.1", "--from", "2026-01-01"]).ended_with(4).stderr;
    assert!(early.contains("while the tenant has no currency"), "{early}");
    let close = ["close-out", &first, "--reason", "UNRESPONSIVE", "--yes"];
    up.run(&close).ended_with(0);

    let settings = up.run(&["settings", "set", "--currency", "cny"]).ended_with(0).stdout;
    assert!(settings.contains("CNY") && settings.contains("SETTLED, the order service has it."), "{settings}");
    let set = up.run(&["rates", "set", "usd", "7.10", "--from", "2017-01-01", "--json"]).ended_with(0).json();
    let rate = &set["exchange_rate"];
    assert_eq!((&rate["rate"], &rate["to_currency"]), (&json!("7.1"), &json!("CNY")));
    assert_eq!(set["propagation"], "PROPAGATION_SETTLED");
    let set = up.run(&["rates", "set", "USD", "6.9", "--from", "2016-01-01T00:00:00+08:00"]).ended_with(0).stdout;
    assert!(set.contains("6.9 CNY") && set.contains("2015-12-31 16:00:00"), "{set}");
    up.run(&["rates", "set", "JPY", "0.0481"]).ended_with(0);
    let listed = up.run(&["rates", "--json"]).ended_with(0).json();
    let worth: Vec<_> = listed["exchange_rates"].as_array().unwrap().iter().map(|one| one["rate"].clone()).collect();
    assert_eq!(worth, [json!("0.0481"), json!("6.9"), json!("7.1")]);
    let listed = up.run(&["rates", "list", "--currency", "USD"]).ended_with(0).stdout;
    assert!(listed.contains("7.1 CNY") && !listed.contains("JPY"), "{listed}");

    let close = ["close-out", &second, "--reason", "UNRESPONSIVE", "--yes", "--json"];
    let closed = up.run(&close).ended_with(0).json();
    let name = closed["close_outs"][0]["name"].as_str().unwrap();
    let shown = up.run(&["show", name]).ended_with(0).stdout;
    assert!(shown.contains("CNY at 7.1, the rate when it was closed out"), "{shown}");
    let shown = up.run(&["show", name, "--json"]).ended_with(0).json();
    let snapshot = &shown["close_out"]["snapshot"];
    assert_eq!(
        (&snapshot["exchange_rate"], &snapshot["tenant_amount"]["currency_code"]),
        (&json!("7.1"), &json!("CNY"))
    );
    let report = up.run(&["report", "--by", "owner"]).ended_with(0).stdout;
    for told in ["in CNY", "without 1", "1 close-out kept no rate to CNY"] {
        assert!(report.contains(told), "{told}: {report}");
    }

    let deleted = up.run(&["rates", "delete", "USD", "--from", "2017-01-01"]).ended_with(0).stdout;
    assert!(deleted.contains("The rate is deleted: SETTLED"), "{deleted}");
    let again = up.run(&["rates", "delete", "USD", "--from", "2017-01-01"]).ended_with(2).stderr;
    assert!(again.contains("has no rate in CNY from 2017-01-01 on"), "{again}");
    let kept = up.run(&["show", name]).ended_with(0).stdout;
    assert!(kept.contains("CNY at 7.1,"), "{kept}");
    up.run(&["rates", "set", "dollars", "1"]).ended_with(2);
    let wrong = up.run(&["rates", "set", "USD", "7,1"]).ended_with(4).stderr;
    assert!(wrong.contains("exchange_rate.rate: must be a decimal number"), "{wrong}");
    assert!(up.run(&["settings", "set", "--currency", "none"]).ended_with(0).stdout.contains("nothing is converted"));
}
