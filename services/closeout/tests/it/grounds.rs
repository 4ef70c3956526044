//! What a close-out rests on, by hand: the settings that require a verification, the flags that give it, what is shown of it, and
//! the report that tells how much was verified.

use crate::program::{Up, path, sound_folder};
use serde_json::{Value, json};

const KNOWN: [&str; 4] = ["--verified", "call", "--contact", "Ms Li"];

/// A pair with the data of a small folder, and the names of its two engaging opportunities.
pub(crate) fn imported() -> (Up, [String; 2]) {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let list = up.run(&["list", "opportunities", "--state", "open", "--stage", "engaging", "--json"]).ended_with(0);
    let list = list.json();
    let named = |number: &str| {
        let one = list["opportunities"].as_array().unwrap().iter().find(|one| one["number"] == number).unwrap();
        one["name"].as_str().unwrap().to_owned()
    };
    let names = ["E1", "E2"].map(named);
    (up, names)
}

fn require(up: &Up) {
    let set = up.run(&["settings", "set", "--verification-required", "--verification-days", "14", "--json"]);
    let set = set.ended_with(0).json();
    assert_eq!(set["settings"]["verification"], json!({ "required": true, "fresh_days": 14 }));
    assert_eq!(set["propagation"], "PROPAGATION_SETTLED");
}

fn close_out(name: &str, flags: &[&str]) -> Vec<String> {
    let begin = ["close-out", name, "--yes", "--json", "--reason"];
    begin.iter().chain(flags).map(|word| (*word).to_owned()).collect()
}

fn run(up: &Up, args: &[String], code: i32) -> Value {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    up.run(&args).ended_with(code).json()
}

#[test]
fn settings_are_shown_and_changed_and_the_order_service_has_them() {
    let up = Up::start();
    let shown = up.run(&["settings", "--json"]).ended_with(0).json();
    assert_eq!((&shown["settings"]["verification"]["required"], &shown["arrived"]), (&json!(false), &json!(true)));
    assert!(up.run(&["settings"]).ended_with(0).stdout.contains("never: these are the defaults"));
    require(&up);
    let shown = up.run(&["settings", "show", "--json"]).ended_with(0).json();
    assert_eq!((&shown["order_service"]["verification"]["fresh_days"], &shown["arrived"]), (&json!(14), &json!(true)));
    let shown = up.run(&["settings"]).ended_with(0).stdout;
    assert!(
        shown.contains("required, at most 14 days old") && shown.contains("The order service has them."),
        "{shown}"
    );

    let set = up.run(&["settings", "set", "--won-opportunity", "lose", "--json"]).ended_with(0).json();
    assert_eq!(set["settings"]["won_opportunity_policy"], "WON_OPPORTUNITY_POLICY_LOSE");
    assert!(up.run(&["settings"]).ended_with(0).stdout.contains("it is closed out as lost"));

    let changed = up.run(&["settings", "set", "--verification-required=false"]).ended_with(0).stdout;
    assert!(changed.contains("SETTLED, the order service has it.") && changed.contains("14 days"), "{changed}");
    let again = up.run(&["settings", "set", "--verification-required=false", "--json"]).ended_with(0).json();
    assert_eq!(again["settings"]["etag"], "\"3\"", "what is so already changes nothing");
    up.run(&["settings", "set"]).ended_with(2);
    let refused = up.run(&["settings", "set", "--verification-days", "0"]).ended_with(4).stderr;
    assert!(refused.contains("settings.verification.fresh_days"), "{refused}");
}

#[test]
fn where_the_settings_require_a_verification_nothing_is_closed_out_without_one() {
    let (up, [name, _]) = imported();
    require(&up);
    let flags = ["close-out", &name, "--reason", "BUDGET_FROZEN", "--yes"];
    let refused = up.run(&flags).ended_with(4).stderr;
    for told in ["BUDGET_FROZEN needs a verification of the customer's status", "what next:", "--verified call|"] {
        assert!(refused.contains(told), "{refused}");
    }
    let refused = up.run_in("zh_CN.UTF-8", &flags).ended_with(4).stderr;
    assert!(refused.contains("BUDGET_FROZEN 需要核实客户状态"), "{refused}");
    let with = |more: &[&str]| close_out(&name, &[&["BUDGET_FROZEN"], &KNOWN[..], more].concat());
    let stale = run(&up, &with(&["--verified-at", "2026-01-31"]), 4);
    assert_eq!(stale["error"]["reason"], "STALE_VERIFICATION");
    let contrary = run(&up, &with(&["--budget", "yes"]), 4);
    assert_eq!(contrary["error"]["violations"][0]["field"], "verification.budget");
    up.run(&["close-out", &name, "--reason", "BUDGET_FROZEN", "--yes", "--verified", "call"]).ended_with(2);
    run(&up, &close_out(&name, &["BUDGET_FROZEN", "--also", "A", "--also", "B", "--also", "C"]), 2);
    run(&up, &close_out(&name, &["DUPLICATE", "--detail", "as W1"]), 0);

    let orders = up.run(&["list", "orders", "--json"]).ended_with(0).json();
    let order = orders["orders"][0]["name"].as_str().unwrap();
    let cancel = ["ORD_CUSTOMER_CANCEL", "--detail", "ordered twice"];
    let refused = run(&up, &close_out(order, &cancel), 4);
    assert_eq!(refused["error"]["violations"][0]["field"], "verification");
    let closed = run(&up, &close_out(order, &[&cancel[..], &KNOWN].concat()), 0);
    assert_eq!(closed["close_outs"][0]["verification"]["method"], "VERIFICATION_METHOD_CALL");
}

#[test]
fn what_a_close_out_rests_on_and_what_follows_is_kept_and_shown() {
    let (up, [name, _]) = imported();
    let said = ["NO_INTENT_NOW", "--also", "unresponsive", "--verified", "meeting", "--contact", "Ms Li, purchasing"];
    let found = ["--verified-at", "2026-11-02", "--needs", "yes", "--intent", "no", "--verification-note", "in spring"];
    let then = ["--rating", "4", "--follow-up", "Ask again", "--follow-up-by", "bo", "--follow-up-due", "2099-03-01"];
    let closed = run(&up, &close_out(&name, &[&said[..], &found, &then].concat()), 0);
    let close_out = closed["close_outs"][0]["name"].as_str().unwrap();

    let shown = up.run(&["show", close_out, "--json"]).ended_with(0).json();
    let shown = &shown["close_out"];
    let further = json!([{ "reason": "closeOutReasons/UNRESPONSIVE", "version": 1 }]);
    assert_eq!((&shown["secondary_reasons"], &shown["reassessment"]["rating"]), (&further, &json!(4)));
    let verification = &shown["verification"];
    assert_eq!(
        (&verification["needs"], &verification["intent"]),
        (&json!("FINDING_CONFIRMED"), &json!("FINDING_RULED_OUT"))
    );
    assert_eq!(
        (&verification["verify_time"], &verification["budget"]),
        (&json!("2026-11-02T00:00:00Z"), &json!("FINDING_UNSPECIFIED"))
    );
    let task = shown["follow_up"]["task"].as_str().unwrap();
    let rows = up.run(&["show", close_out]).ended_with(0).stdout;
    for told in [
        "UNRESPONSIVE (version 1)",
        "meeting, Ms Li, purchasing, 2026-11-02: needs yes, intent no; in spring",
        "4 of 5",
        "Ask again, by bo, due 2099-03-01",
        "task made",
    ] {
        assert!(rows.contains(told), "{told}: {rows}");
    }
    let made = up.run(&["show", task, "--json"]).ended_with(0).json()["task"].clone();
    assert_eq!((&made["kind"], &made["assignee"]), (&json!("TASK_KIND_WIN_BACK"), &json!("bo")));
    up.run(&["reopen", &name]).ended_with(0);
    assert_eq!(up.run(&["show", task, "--json"]).ended_with(0).json()["task"]["state"], "TASK_STATE_CANCELLED");
}

#[test]
fn a_report_tells_by_owner_how_much_was_verified_and_adds_up() {
    let (up, [first, second]) = imported();
    run(&up, &close_out(&first, &[&["LONG_CYCLE"], &KNOWN[..]].concat()), 0);
    run(&up, &close_out(&second, &["UNRESPONSIVE"]), 0);
    let report = |flags: &[&str]| up.run(&[&["report", "--json", "--by"], flags].concat()).ended_with(0).json();
    let by_owner = report(&["owner"]);
    let row = &by_owner["rows"][0];
    assert_eq!((&row["value"], &row["count"], &row["verified_count"]), (&json!("anna.snelling"), &json!(2), &json!(1)));
    let mut total = row.clone();
    total["value"] = json!("");
    assert_eq!((&by_owner["total"], by_owner["rows"].as_array().unwrap().len()), (&total, 1));
    let shown = up.run(&["report", "--by", "owner"]).ended_with(0).stdout;
    for told in ["LOST, closed from ", "anna.snelling", "50.0 %", "total"] {
        assert!(shown.contains(told), "{shown}");
    }

    up.run(&["reasons", "merge", "LONG_CYCLE", "--into", "UNRESPONSIVE"]).ended_with(0);
    let by_reason = report(&["reason", "--locale", "zh-CN"]);
    let row = &by_reason["rows"][0];
    let expected = (&json!("closeOutReasons/UNRESPONSIVE"), &json!("客户失联"), &json!(2));
    assert_eq!((&row["value"], &row["label"], &row["count"]), expected);
    let before = report(&["reason", "--since", "2017-01-01", "--until", "2017-12-31"]);
    assert_eq!(before["rows"][0]["value"], "closeOutReasons/NOT_RECORDED");
    up.run(&["reopen", &second]).ended_with(0);
    let by_class = report(&["class"]);
    assert_eq!((&by_class["total"]["count"], &by_class["total"]["reversed_count"]), (&json!(1), &json!(1)));
    let orders = report(&["team", "--outcome", "processed"]);
    assert_eq!((&orders["side"], &orders["total"]["count"]), (&json!("orders"), &json!(0)));

    up.run(&["report"]).ended_with(2);
    up.run(&["report", "--by", "owner", "--side", "orders", "--outcome", "lost"]).ended_with(2);
    let long = up.run(&["report", "--by", "owner", "--since", "2020-01-01"]).ended_with(4).stderr;
    assert!(long.contains("closed_until: must be at most 366 days"), "{long}");
    let none = ["report", "--by", "owner", "--since", "2026-02-01", "--until", "2026-01-31"];
    assert!(up.run(&none).ended_with(4).stderr.contains("must be later than closed_from"));
}

#[test]
fn a_wrong_reason_is_corrected_and_what_it_was_is_shown() {
    let (up, [first, _]) = imported();
    let closed = run(&up, &close_out(&first, &["NO_INTENT_NOW"]), 0);
    let name = closed["close_outs"][0]["name"].as_str().unwrap();
    let amend = ["amend", name, "--reason", "poor_fit", "--note", "never a chance", "--json"];
    let amended = up.run(&amend).ended_with(0).json();
    let told = &amended["close_out"];
    assert_eq!(
        (&told["reason"], &amended["propagation"]),
        (&json!("closeOutReasons/POOR_FIT"), &json!("PROPAGATION_SETTLED"))
    );
    assert_eq!(told["amendments"][0]["reason"], "closeOutReasons/NO_INTENT_NOW");
    let shown = up.run(&["show", name]).ended_with(0).stdout;
    assert!(shown.contains("it was NO_INTENT_NOW (version 1): never a chance"), "{shown}");
    up.run(&["amend", name, "--note", "nothing"]).ended_with(2);
    up.run(&["amend", &first, "--reason", "OTHER", "--note", "x"]).ended_with(2);
    let refused = up.run(&["amend", name, "--reason", "COMPETITOR_PRICE", "--note", "x"]).ended_with(4).stderr;
    assert!(refused.contains("competitor"), "{refused}");
}
