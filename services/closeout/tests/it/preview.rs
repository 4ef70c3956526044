//! A preview by hand: what it shows, the hash that binds a close-out to it, and what is said when the two differ.

use crate::{grounds::imported, program::Up};
use serde_json::Value;

fn plan(up: &Up, args: &[&str], code: i32) -> Value {
    up.run(&[&["preview"], args, &["--json"]].concat()).ended_with(code).json()["plan"].clone()
}

#[test]
fn a_close_out_is_bound_to_the_plan_that_a_preview_shows() {
    let (up, [name, _]) = imported();
    let asked = [name.as_str(), "--reason", "NO_INTENT_NOW"];
    let first = plan(&up, &asked, 0);
    let cancelled = |plan: &Value| {
        let effects = plan["effects"].as_array().unwrap();
        effects.iter().filter(|effect| effect["kind"] == "EFFECT_KIND_TASK_CANCELLED").count()
    };
    assert!(cancelled(&first) > 0, "{first}");
    up.run(&["tasks", "add", &name, "--kind", "follow-up", "--title", "Call them once more"]).ended_with(0);
    let hash = first["plan_hash"].as_str().unwrap();
    let stale = up.run(&[&["close-out"], &asked[..], &["--plan", hash]].concat()).ended_with(4);
    assert!(stale.stderr.contains("PLAN_CHANGED") && stale.stderr.contains("closeout preview"), "{}", stale.stderr);

    let fresh = plan(&up, &asked, 0);
    assert_eq!(cancelled(&fresh), cancelled(&first) + 1);
    let shown = up.run(&[&["preview"], &asked[..]].concat()).ended_with(0).stdout;
    for word in ["Call them once more", "open count", "The reason proposes to try again on", "--plan"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let hash = fresh["plan_hash"].as_str().unwrap();
    let closed = up.run(&[&["close-out"], &asked[..], &["--plan", hash, "--json"]].concat()).ended_with(0).json();
    assert_eq!(closed["close_outs"][0]["peer_outcome"], "PEER_OUTCOME_APPLIED");
    up.run(&["close-out", &name, "--reason", "NO_INTENT_NOW"]).ended_with(2);
}

#[test]
fn what_would_refuse_is_shown_with_the_way_out() {
    let (up, [name, _]) = imported();
    let asked = [name.as_str(), "--reason", "COMPETITOR_PRICE"];
    let wanting = plan(&up, &asked, 3);
    assert_eq!(wanting["plan_hash"], "");
    let shown = up.run(&[&["preview"], &asked[..]].concat()).ended_with(3).stdout;
    assert!(shown.contains("It would be refused:") && shown.contains("COMPETITOR_REQUIRED"), "{shown}");
    // One that is not known yet would be made, so that it is no obstacle.
    let unknown = [&asked[..], &["--detail", "ten per cent less", "--competitor", "Acme"]].concat();
    assert_eq!(plan(&up, &unknown, 0)["obstacles"].as_array().map(Vec::len), Some(0));
}
