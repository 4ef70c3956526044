//! Four eyes by hand: the limit, what is said of a close-out that waits, and what a second person does about it.

use crate::{grounds::imported, program::Up};
use serde_json::{Value, json};

const BOSS: [&str; 2] = ["--principal", "ms.li"];
const ANN: [&str; 2] = ["--principal", "ann"];

fn state(up: &Up, name: &str) -> Value {
    up.run(&["show", name, "--json"]).ended_with(0).json()["opportunity"]["state"].clone()
}

/// Ann asks for it; the name of the close-out that waits.
fn asked(up: &Up, name: &str) -> String {
    let ask = ["close-out", name, "--reason", "NO_INTENT_NOW", "--yes", "--json"];
    let asked = up.run(&[&ask, &ANN[..]].concat()).ended_with(0).json()["close_outs"][0].clone();
    assert_eq!(asked["state"], "CLOSE_OUT_STATE_PENDING_APPROVAL");
    asked["name"].as_str().unwrap().to_owned()
}

#[test]
fn above_the_limit_a_second_person_decides() {
    let (up, [name, _]) = imported();
    let set =
        ["settings", "set", "--approval-over", "4000 USD", "--approval-over", "20000.5 cny", "--approval-days", "3"];
    up.run(&set).ended_with(0);
    let shown = up.run(&["settings"]).ended_with(0).stdout;
    assert!(shown.contains("above 20,000.50 CNY, 4,000.00 USD") && shown.contains("expires after 3 days"), "{shown}");
    let preview = up.run(&["preview", &name, "--reason", "NO_INTENT_NOW"]).ended_with(0).stdout;
    assert!(preview.contains("another person has to approve it: above the tenant's limit"), "{preview}");
    assert!(up.run(&["approvals"]).ended_with(0).stdout.contains("Nothing waits for approval."));

    let close_out = asked(&up, &name);
    assert_eq!(state(&up, &name), "STATE_CLOSE_PENDING");
    let listed = up.run(&["approvals"]).ended_with(0).stdout;
    for word in [close_out.as_str(), "NO_INTENT_NOW", "above the tenant's", "ann"] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let shown = up.run(&["show", &close_out]).ended_with(0).stdout;
    assert!(shown.contains("PENDING_APPROVAL") && shown.contains("task closed"), "{shown}");
    let own = up.run(&[&["approvals", "approve", &close_out], &ANN[..]].concat()).ended_with(4);
    assert!(own.stderr.contains("SELF_APPROVAL") && own.stderr.contains("withdraw"), "{}", own.stderr);

    let approve = ["approvals", "approve", &close_out, "--note", "go ahead"];
    let done = up.run(&[&approve, &BOSS[..]].concat()).ended_with(0).stdout;
    for word in ["EFFECTIVE", "by ms.li go ahead", "lifecycle"] {
        assert!(done.contains(word), "{word}: {done}");
    }
    assert_eq!(state(&up, &name), "STATE_CLOSED_OUT");
    assert_eq!(up.run(&["approvals", "--json"]).ended_with(0).json(), json!({ "close_outs": [] }));
    let late = up.run(&[&approve, &BOSS[..]].concat()).ended_with(4);
    assert!(late.stderr.contains("NOT_PENDING"), "{}", late.stderr);
    up.run(&["settings", "set", "--approval-over", "none"]).ended_with(0);
    assert!(!up.run(&["settings"]).ended_with(0).stdout.contains("above"));
}

#[test]
fn what_is_rejected_or_withdrawn_stays_as_it_was() {
    let (up, [name, _]) = imported();
    up.run(&["settings", "set", "--approval-over", "0 USD"]).ended_with(0);
    let first = asked(&up, &name);
    up.run(&[&["approvals", "reject", &first], &BOSS[..]].concat()).ended_with(2); // without a word
    let reject = ["approvals", "reject", &first, "--note", "call them once more"];
    let told = up.run(&[&reject, &BOSS[..]].concat()).ended_with(0).stdout;
    assert!(told.contains("is rejected") && told.contains("is as it was"), "{told}");
    assert_eq!(state(&up, &name), "STATE_OPEN");
    let second = asked(&up, &name);
    let denied = up.run(&[&["approvals", "withdraw", &second], &BOSS[..]].concat()).ended_with(4);
    assert!(denied.stderr.contains("NOT_REQUESTER"), "{}", denied.stderr);
    let withdrawn = up.run(&[&["approvals", "withdraw", &second, "--json"], &ANN[..]].concat()).ended_with(0).json();
    assert_eq!(withdrawn["close_out"]["state"], "CLOSE_OUT_STATE_WITHDRAWN");
    assert_eq!(state(&up, &name), "STATE_OPEN");
    let found = up.run(&["search", "--what", "close-outs", "--state", "rejected", "--json"]).ended_with(0).json();
    assert_eq!(found["close_outs"]["opportunity"][0]["close_out"]["name"], json!(first));
    up.run(&["approvals", "approve", &name]).ended_with(2);
}
