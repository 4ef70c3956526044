//! What a person does every day against `closeout up`: tasks, the customer's story, the sweep, and completion in the shell.

use crate::program::{Up, path, run, sound_folder};
use serde_json::{Value, json};

fn imported() -> Up {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    up
}

fn listed<'a>(list: &'a Value, key: &str, of: &str) -> Vec<&'a str> {
    list[key].as_array().unwrap().iter().map(|one| one[of].as_str().unwrap()).collect()
}

#[test]
fn tasks_are_made_changed_and_found_on_both_services() {
    let up = imported();
    let orders = up.run(&["list", "orders", "--json"]).ended_with(0).json();
    let order = orders["orders"][0]["name"].as_str().unwrap();
    let add = |kind, title| up.run(&["tasks", "add", order, "--kind", kind, "--title", title, "--json"]);
    let deliver = add("deliver", "Deliver it").ended_with(0).json()["tasks"][0].clone();
    let call = add("follow-up", "Call back").ended_with(0).json()["tasks"][0].clone();
    assert_eq!((&deliver["kind"], &call["kind"]), (&json!("TASK_KIND_DELIVER"), &json!("TASK_KIND_FOLLOW_UP")));
    let (deliver, call) = (deliver["name"].as_str().unwrap(), call["name"].as_str().unwrap());

    let edited = up.run(&["tasks", "edit", deliver, "--due", "2026-12-01", "--assignee", "bo", "--json"]).ended_with(0);
    assert_eq!(edited.json()["tasks"][0]["due_time"], "2026-12-01T00:00:00Z");
    let edited = up.run(&["tasks", "edit", deliver, "--no-due", "--json"]).ended_with(0).json();
    assert_eq!((&edited["tasks"][0]["due_time"], &edited["tasks"][0]["assignee"]), (&Value::Null, &json!("bo")));
    up.run(&["tasks", "edit", deliver]).ended_with(2);
    up.run(&["tasks", "edit", deliver, "--due", "tomorrow"]).ended_with(2);

    up.run(&["tasks", "start", deliver, call]).ended_with(0);
    let mine = |principal| up.run(&["tasks", "--principal", principal, "--json"]).ended_with(0).json()["tasks"].clone();
    assert_eq!(listed(&mine("bo"), "order", "name"), [deliver]);
    up.run(&["tasks", "complete", deliver, call]).ended_with(0);
    assert_eq!(mine("bo")["order"], json!([]));
    let refused = up.run(&["tasks", "cancel", deliver, "--json"]).ended_with(4).json();
    assert_eq!(refused["error"]["reason"], "TASK_STATE");
    let done = up.run(&["tasks", "list", "--parent", order, "--state", "done", "--json"]).ended_with(0).json();
    assert_eq!(listed(&done["tasks"], "opportunity", "name"), [call]);
    up.run(&["tasks", "cancel", "tasks/01900000-0000-7000-8000-000000000009"]).ended_with(4);
    up.run(&["tasks", "list", "--state", "gone"]).ended_with(2);
}

#[test]
fn a_sweep_shows_first_then_closes_out_what_is_stale_and_finds_nothing_the_second_time() {
    let up = imported();
    let open = || {
        let list = up.run(&["list", "opportunities", "--state", "open", "--json"]).ended_with(0).json();
        list["opportunities"].as_array().unwrap().len()
    };
    assert_eq!(open(), 3);
    let sweep = ["sweep", "--idle-days", "120", "--json"];
    let dry = up.run(&sweep).ended_with(0).json();
    assert_eq!((&dry["dry_run"], dry["would_close"].as_array().unwrap().len()), (&json!(true), 2));
    // In the order of their ids: rows are imported at once, so either may be the first.
    let mut numbers = listed(&dry, "would_close", "number");
    numbers.sort_unstable();
    assert_eq!(numbers, ["E1", "E2"]);
    let shown = up.run(&["sweep", "--idle-days", "120", "--dry-run"]).ended_with(0).stdout;
    for told in ["2 open opportunities without activity for 120 days", "STALE_AUTO", "--yes"] {
        assert!(shown.contains(told), "{shown}");
    }
    assert_eq!(open(), 3);

    let owner = up.run(&[&sweep[..], &["--owner", "nobody"]].concat()).ended_with(0).json();
    assert_eq!(owner["would_close"], json!([]));
    let refused = up.run(&[&sweep[..], &["--reason", "COMPETITOR_PRICE", "--yes"]].concat()).ended_with(3).json();
    assert_eq!((&refused["closed"], listed(&refused, "refused", "reason")), (&json!([]), vec!["INVALID_FIELDS"; 2]));

    let one = up.run(&[&sweep[..], &["--limit", "1", "--yes"]].concat()).ended_with(0).json();
    assert_eq!((one["closed"].as_array().unwrap().len(), &one["settled"], open()), (1, &json!(1), 2));
    up.run(&[&sweep[..], &["--yes"]].concat()).ended_with(0);
    assert_eq!(open(), 1);
    let again = up.run(&[&sweep[..], &["--yes"]].concat()).ended_with(0).json();
    assert_eq!((&again["closed"], &again["refused"]), (&json!([]), &json!([])));
    up.run(&["sweep", "--idle-days", "0"]).ended_with(2);
}

#[test]
fn both_services_tell_one_story_of_a_customer() {
    let up = imported();
    let list = up.run(&["list", "opportunities", "--state", "open", "--json"]).ended_with(0).json();
    let all = list["opportunities"].as_array().unwrap();
    let deal = all.iter().find(|one| one["customer"] != "").unwrap();
    let (name, customer) = (deal["name"].as_str().unwrap(), deal["customer"].as_str().unwrap());
    let closed = up.run(&["close-out", name, "--reason", "BUDGET_FROZEN", "--yes", "--json"]).ended_with(0).json();
    let close_out = closed["close_outs"][0]["name"].as_str().unwrap();
    up.run(&["reopen", name]).ended_with(0);

    let story = up.run(&["timeline", customer, "--json"]).ended_with(0).json();
    let because: Vec<_> = story["events"].as_array().unwrap().iter().filter(|e| e["close_out"] == close_out).collect();
    let told = |kind: &str| because.iter().find(|event| event["kind"] == kind).unwrap()["sides"].clone();
    assert_eq!(told("opportunity.closed_out"), json!(["sales", "orders"]));
    assert_eq!(told("opportunity.reopened"), json!(["sales", "orders"]));
    assert_eq!(told("lifecycle.changed"), json!(["sales"]));
    let times = listed(&story, "events", "event_time");
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    let newest = up.run(&["timeline", customer, "--limit", "1", "--json"]).ended_with(0).json();
    assert_eq!(newest["events"].as_array().unwrap(), &story["events"].as_array().unwrap()[..1]);
    let shown = up.run(&["timeline", customer]).ended_with(0).stdout;
    assert!(shown.contains("sales, orders") && shown.contains("opportunity.closed_out"), "{shown}");
    assert!(shown.contains("Betasoloin"), "{shown}");
    up.run(&["timeline", name]).ended_with(2);
    up.run(&["timeline", "customers/01900000-0000-7000-8000-000000000009"]).ended_with(4);
}

#[test]
fn every_shell_gets_a_completion_with_all_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completion", shell]).ended_with(0).stdout;
        for command in ["close-out", "sweep", "timeline", "tasks", "reopen"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    run(&["completion", "nonsense"]).ended_with(2);
}

#[test]
fn a_part_of_an_order_is_cancelled_by_line() {
    let up = imported();
    let orders = up.run(&["list", "orders", "--json"]).ended_with(0).json();
    let order = orders["orders"][0]["name"].as_str().unwrap();
    let cancel = ["cancel-lines", order, "--reason", "ORD_OUT_OF_STOCK", "--line"];
    up.run(&[&cancel[..], &["one"]].concat()).ended_with(2);
    let wrong = up.run(&[&cancel[..], &["5=1", "--line", "0=7"]].concat()).ended_with(4);
    assert!(wrong.stderr.contains("lines[0]") && wrong.stderr.contains("lines[1]"), "{}", wrong.stderr);
    let all = up.run(&[&cancel[..], &["0=1"]].concat()).ended_with(4);
    assert!(all.stderr.contains("NOTHING_LEFT") && all.stderr.contains("closeout close-out"), "{}", all.stderr);
    let shown = up.run(&["show", order, "--json"]).ended_with(0).json();
    assert_eq!(shown["order"]["cancellations"], json!([]));
}
