//! Customers, opportunities and orders by hand, from nothing up to what a close-out is about.

use crate::program::Up;
use serde_json::{Value, json};

/// Makes or changes one thing; answers with it.
fn made(up: &Up, of: &str, args: &[&str]) -> Value {
    up.run(&[args, &["--json"]].concat()).ended_with(0).json()[of].clone()
}

fn name(record: &Value) -> String {
    record["name"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_sold_is_entered_and_brought_on_by_hand() {
    let up = Up::start();
    let customer = name(&made(&up, "customer", &["new", "customer", "Harbour Freight", "--tier", "A"]));
    let new = ["new", "opportunity", "Cameras for the yard", "--customer", &customer, "--amount", "12000 CNY"];
    let opportunity = made(&up, "opportunity", &[&new[..], &["--number", "HF-1", "--source", "fair"]].concat());
    let told = ["number", "source", "state"].map(|field| opportunity[field].as_str().unwrap());
    assert_eq!(told, ["HF-1", "fair", "STATE_OPEN"]);
    let opportunity = name(&opportunity);
    let moved = made(&up, "opportunity", &["move", &opportunity, "engaging"]);
    assert_eq!(moved["stage"], "pipelines/default/stages/engaging");
    let set = ["set", &opportunity, "--amount", "9000.50 CNY", "--expected", "2027-03-31", "--owner", "li.na"];
    let changed = made(&up, "opportunity", &set);
    assert_eq!((&changed["amount"]["units"], &changed["owner"]), (&json!(9000), &json!("li.na")));
    assert_eq!((&changed["title"], &changed["source"]), (&json!("Cameras for the yard"), &json!("fair")));

    let new = ["new", "order", "--customer", &customer, "--opportunity", &opportunity];
    let lines = ["--line", "Camera=2@1500 CNY", "--line", "Cable=10@12.50 CNY"];
    let order = name(&made(&up, "order", &[&new[..], &lines].concat()));
    let fewer = made(&up, "order", &["set", &order, "--line", "Camera=3@1500 CNY"]);
    assert_eq!((fewer["lines"].as_array().unwrap().len(), &fewer["total"]["units"]), (1, &json!(4500)));
    let won = made(&up, "opportunity", &["win", &opportunity, "--amount", "4500 CNY"]);
    assert_eq!((&won["state"], &won["amount"]["units"]), (&json!("STATE_WON"), &json!(4500)));
    assert_eq!(made(&up, "order", &["confirm", &order])["state"], "STATE_CONFIRMED");
    let too_many = up.run(&["fulfil", &order, "--line", "0=4"]).ended_with(4).stderr;
    assert!(too_many.contains("lines[0]: only 3"), "{too_many}");
    let shown = up.run(&["fulfil", &order, "--line", "0=3"]).ended_with(0).stdout;
    assert!(shown.contains(&order) && shown.contains("IN_FULFILMENT"), "{shown}");
    assert_eq!(made(&up, "order", &["pay", &order, "4500 CNY"])["paid"]["units"], 4500);
    up.run(&["close-out", &order, "--outcome", "processed", "--yes"]).ended_with(0);
}

#[test]
fn whom_nobody_may_contact_is_said_and_taken_back() {
    let up = Up::start();
    let customer = name(&made(&up, "customer", &["new", "customer", "Harbour Freight"]));
    let blocked = up.run(&["set", &customer, "--do-not-contact", "true"]).ended_with(0).stdout;
    assert!(blocked.contains("Harbour Freight, BLOCKED"), "{blocked}");
    let again = made(&up, "customer", &["set", &customer, "--do-not-contact", "false", "--tier", "B"]);
    assert_eq!((&again["lifecycle"], &again["tier"]), (&json!("LIFECYCLE_PROSPECT"), &json!("B")));
    let strange = up.run(&["set", &customer, "--amount", "1 CNY"]).ended_with(2).stderr;
    assert!(strange.contains("--amount"), "{strange}");
    up.run(&["set", "tasks/01900000-0000-7000-8000-000000000009", "--owner", "li.na"]).ended_with(2);
    up.run(&["win", &customer]).ended_with(2);
    let faults = up.run(&["new", "opportunity", "", "--customer", "customers/1"]).ended_with(4).stderr;
    assert!(faults.contains("opportunity.title") && faults.contains("opportunity.customer"), "{faults}");
}
