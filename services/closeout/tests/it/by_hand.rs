//! What a person does by hand against `closeout up`: look, close out, reopen; and what happens when a rule says no.

use crate::program::{Up, path, sound_folder};
use serde_json::{Value, json};

/// The only engaging opportunity with a customer.
fn engaging(up: &Up) -> Value {
    let list = up.run(&["list", "opportunities", "--state", "open", "--stage", "engaging", "--json"]).ended_with(0);
    let list = list.json();
    let all = list["opportunities"].as_array().unwrap();
    all.iter().find(|one| one["customer"] != "").unwrap().clone()
}

#[test]
fn an_opportunity_is_closed_out_and_reopened() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let opportunity = engaging(&up);
    let (name, customer) = (opportunity["name"].as_str().unwrap(), opportunity["customer"].as_str().unwrap());
    let close = ["close-out", name, "--reason", "BUDGET_FROZEN", "--json"];

    let asks = up.run(&close).ended_with(2).json();
    assert_eq!(
        (&asks["error"]["code"], &asks["error"]["message"]),
        (&json!("USAGE"), &json!("nobody can be asked here: give --yes, or --plan HASH of a preview"))
    );
    let closed = up.run(&[&close[..], &["--yes"]].concat()).ended_with(0).json();
    let close_out = &closed["close_outs"][0];
    assert_eq!((&close_out["subject"], &close_out["propagation"]), (&json!(name), &json!("PROPAGATION_SETTLED")));
    let again = up.run(&[&close[..], &["--yes"]].concat()).ended_with(4).json();
    assert_eq!(again["error"]["reason"], "ALREADY_CLOSED");
    let shown = up.run(&["show", customer, "--json"]).ended_with(0).json();
    assert_eq!(shown["customer"]["opportunity"]["lifecycle"], "LIFECYCLE_LOST");
    let shown = up.run(&["show", close_out["name"].as_str().unwrap()]).ended_with(0).stdout;
    assert!(shown.contains("BUDGET_FROZEN") && shown.contains("task closed"), "{shown}");

    let reopened = up.run(&["reopen", name, "--note", "the budget is back", "--json"]).ended_with(0).json();
    assert_eq!(reopened["record"]["state"], "STATE_OPEN");
    let shown = up.run(&["show", name, "--json"]).ended_with(0).json();
    let tasks = shown["tasks"]["opportunity"].as_array().unwrap();
    assert!(tasks.len() == 2 && tasks.iter().all(|task| task["state"] == "TASK_STATE_OPEN"), "{shown}");
    #[cfg(unix)]
    assert_eq!(up.interrupt(), Some(0));
}

#[test]
fn an_operator_looks_for_parked_messages_and_has_a_record_sent_again() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let name = engaging(&up)["name"].as_str().unwrap().to_owned();
    let listed = up.run(&["parked", "list", "--json"]).ended_with(0).json();
    assert_eq!(listed["parked"], json!([]));
    assert!(up.run(&["parked", "list"]).ended_with(0).stdout.contains("No message is parked."));
    let message = format!("{name}/messages/1");
    let refused = up.run(&["parked", "retry", &message, "--json"]).ended_with(4).json();
    assert_eq!(refused["error"]["reason"], "NOT_FOUND");
    let short = up.run(&["parked", "skip", &message, "--because", "why not"]).ended_with(4);
    assert!(short.stderr.contains("justification"), "{short:?}");
    up.run(&["parked", "retry", "tasks/1"]).ended_with(2);
    let resent = up.run(&["resend", &name, "--because", "to see that it works", "--json"]).ended_with(0).json();
    assert_eq!((&resent["record"], &resent["propagation"]), (&json!(name), &json!("PROPAGATION_SETTLED")));
    let elsewhere = ["resend", "orders/01900000-0000-7000-8000-000000000009", "--because", "to see that it works"];
    assert!(up.run(&elsewhere).ended_with(4).stderr.contains("does not exist"));
}

#[test]
fn what_is_missing_is_told_in_full_and_makes_nothing() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let name = engaging(&up)["name"].as_str().unwrap().to_owned();
    let before = up.run(&["show", &name, "--json"]).ended_with(0).stdout;
    let ran = up.run(&["close-out", &name, "--reason", "COMPETITOR_PRICE", "--yes"]).ended_with(4);
    for told in ["detail", "competitor", "what next: closeout reasons"] {
        assert!(ran.stderr.contains(told), "{ran:?}");
    }
    let chinese =
        up.run_in("zh_CN.UTF-8", &["close-out", &name, "--reason", "COMPETITOR_PRICE", "--yes"]).ended_with(4);
    assert!(chinese.stderr.contains("COMPETITOR_PRICE 需要说明") && !chinese.stderr.contains("must be"), "{chinese:?}");
    assert_eq!(up.run(&["show", &name, "--json"]).ended_with(0).stdout, before);
    up.run(&["show", "orders/01900000-0000-7000-8000-000000000009"]).ended_with(4);
    up.run(&["show", "W1"]).ended_with(2);
    up.run(&["close-out", "customers/01900000-0000-7000-8000-000000000009"]).ended_with(2);
    up.run(&["list", "orders", "--state", "gone"]).ended_with(2);
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let args = ["up", "--folder", path(&folder), "--opportunity-url", &url, "--order-url", "http://127.0.0.1:0"];
    let ran = crate::program::run(&args).ended_with(1);
    assert!(ran.stderr.contains("take other ports"), "{ran:?}");
}
