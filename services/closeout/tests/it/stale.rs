//! Stale opportunities by hand: the policy, what is stale and why, and a sweep that is shown first and does nothing twice.

use crate::grounds::imported;
use serde_json::Value;

fn actions(value: &Value) -> Vec<String> {
    let results = value["results"].as_array().unwrap();
    let mut actions: Vec<_> = results.iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect();
    actions.sort();
    actions
}

#[test]
fn what_is_stale_is_shown_with_its_reason_and_swept_once() {
    let (up, [one, other]) = imported();
    assert!(up.run(&["stale"]).ended_with(0).stdout.contains("Nothing is stale."));
    let set = ["stale", "set", "--warn", "30", "--close", "3600", "--business-days", "--utc-offset", "+08:00"];
    let policy = up.run(&[&set[..], &["--holiday", "2026-10-01"]].concat()).ended_with(0).stdout;
    for word in ["everywhere else", "3600", "business days", "UTC+08:00", "holidays: 2026-10-01", "only when somebody"]
    {
        assert!(policy.contains(word), "{word}: {policy}");
    }
    let place = ["stale", "set", "--in", "default/prospecting", "--warn", "0", "--close", "0", "--daily"];
    let policy = up.run(&place).ended_with(0).stdout;
    assert!(policy.contains("pipelines/default/stages/prospecting") && policy.contains("once a day"), "{policy}");
    let listed = up.run(&["stale"]).ended_with(0).stdout;
    for word in [one.as_str(), &other, "of 30 days", "warn", "Engaging"] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let dry = up.run(&["stale", "sweep", "--dry-run"]).ended_with(0).stdout;
    assert!(dry.contains("2 would be warned of.") && dry.contains("The same with --yes does it."), "{dry}");
    let done = up.run(&["stale", "sweep", "--yes", "--json"]).ended_with(0).json();
    assert_eq!(actions(&done), ["ACTION_WARNED", "ACTION_WARNED"]);
    let again = up.run(&["stale", "sweep", "--yes"]).ended_with(0).stdout;
    assert!(again.contains("2 were done before."), "{again}");
    up.run(&["stale", "set", "--close", "60"]).ended_with(0);
    let closed = up.run(&["stale", "sweep", "--yes", "--json"]).ended_with(0).json();
    assert_eq!(actions(&closed), ["ACTION_CLOSED_OUT", "ACTION_CLOSED_OUT"]);
    let record = closed["results"][0]["close_out"].as_str().unwrap();
    assert!(up.run(&["show", record]).ended_with(0).stdout.contains("STALE_AUTO"));
    let wrong = up.run(&["stale", "set", "--warn", "90", "--propose", "30"]).ended_with(4);
    assert!(wrong.stderr.contains("more days the more is done"), "{}", wrong.stderr);
    let wrong = up.run(&["stale", "set"]).ended_with(2);
    assert!(wrong.stderr.contains("--warn"), "{}", wrong.stderr);
}
