//! What changes, as it changes: close-outs and tasks, for people and for programs, and going on where another run had ended.

use crate::grounds::imported;
use crate::program::Following;
use serde_json::Value;

fn next(watch: &mut Following) -> Value {
    serde_json::from_str(&watch.line().unwrap()).unwrap()
}

#[test]
fn what_changes_is_shown_as_it_changes_and_a_token_goes_on() {
    let (up, [one, other]) = imported();
    let mut watch = up.follow(&["watch", "--json", "--side", "sales", "--limit", "2"]);
    let first = next(&mut watch);
    assert!(first["close_out"].is_null() && first["side"] == "sales", "{first}");
    let token = first["resume_token"].as_str().unwrap();
    let mut closed = Vec::new();
    for name in [&one, &other] {
        let close = ["close-out", name, "--reason", "NO_INTENT_NOW", "--yes", "--json"];
        let told = up.run(&close).ended_with(0).json();
        closed.push(told["close_outs"][0]["name"].as_str().unwrap().to_owned());
    }
    let mut shown = 0;
    while let Some(line) = watch.line() {
        let change: Value = serde_json::from_str(&line).unwrap();
        if let Some(name) = change["close_out"]["name"].as_str() {
            assert!(closed.iter().any(|closed| closed == name), "{line}");
            shown += 1;
        }
    }
    assert_eq!((shown, watch.ended()), (2, Some(0)));
    // From the first line on, the same again: each close-out as it is now.
    let again = ["watch", "close-outs", "--side", "sales", "--limit", "2", "--resume-token", token];
    let again = up.run(&again).ended_with(0).stdout;
    for word in [closed[0].as_str(), &closed[1], "EFFECTIVE, SETTLED", "NO_INTENT_NOW", "To go on here: --side sales"] {
        assert!(again.contains(word), "{word}: {again}");
    }
    let other_filter = ["watch", "--side", "sales", "--actor", "nobody", "--resume-token", token];
    let refused = up.run(&other_filter).ended_with(4).stderr;
    assert!(refused.contains("with the same filters"), "{refused}");
    up.run(&["watch", "--resume-token", token]).ended_with(2);
}

#[test]
fn a_task_is_shown_when_it_passes_the_filters() {
    let (up, [one, other]) = imported();
    let mut watch = up.follow(&["watch", "tasks", "--json", "--parent", &one, "--state", "done", "--limit", "1"]);
    let begun = [next(&mut watch), next(&mut watch)];
    let mut sides = begun.each_ref().map(|line| line["side"].as_str().unwrap());
    sides.sort_unstable();
    assert_eq!(sides, ["orders", "sales"]);
    for parent in [&one, &other] {
        let add = ["tasks", "add", parent, "--kind", "demo", "--title", "Show it", "--json"];
        let added = up.run(&add).ended_with(0).json();
        let name = added["tasks"][0]["name"].as_str().unwrap();
        up.run(&["tasks", "complete", name]).ended_with(0);
    }
    let mut changes = std::iter::from_fn(|| watch.line().map(|line| serde_json::from_str::<Value>(&line).unwrap()));
    let change = changes.find(|change| !change["task"].is_null()).unwrap();
    let told = ["parent", "state", "title"].map(|field| change["task"][field].as_str().unwrap());
    assert_eq!(told, [one.as_str(), "TASK_STATE_DONE", "Show it"]);
    let wrong = up.run(&["watch", "tasks", "--state", "reversed"]).ended_with(2).stderr;
    assert!(wrong.contains("closeout watch --help"), "{wrong}");
}
