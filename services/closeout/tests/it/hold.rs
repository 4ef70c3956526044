//! A planned pause by hand: what is said of it, that no sweep takes it, and its end.

use crate::grounds::imported;
use serde_json::json;

#[test]
fn a_pause_is_planned_and_no_sweep_takes_it() {
    let (up, [name, _]) = imported();
    let sweep = ["sweep", "--idle-days", "30", "--stage", "engaging", "--dry-run", "--json"];
    assert!(up.run(&sweep).ended_with(0).json().to_string().contains(&name));
    let day = |days: i64| (time::OffsetDateTime::now_utc().date() + time::Duration::days(days)).to_string();
    up.run(&["snooze", &name, "--until", &day(10)]).ended_with(2); // without a word
    let held = up.run(&["snooze", &name, "--until", &day(10), "--note", "their budget round"]).ended_with(0).stdout;
    assert!(held.contains("ON_HOLD") && held.contains(&day(10)), "{held}");
    let shown = up.run(&["show", &name]).ended_with(0).stdout;
    assert!(shown.contains("on hold until") && shown.contains("their budget round"), "{shown}");
    let would = up.run(&sweep).ended_with(0).json();
    assert!(!would.to_string().contains(&name), "{would}");
    let far = up.run(&["snooze", &name, "--until", &day(400), "--note", "x"]).ended_with(4);
    assert!(far.stderr.contains("resume_time") && far.stderr.contains("180 days"), "{}", far.stderr);
    let open = up.run(&["resume", &name, "--json"]).ended_with(0).json();
    assert_eq!(
        (&open["opportunity"]["state"], &open["opportunity"]["resume_time"]),
        (&json!("STATE_OPEN"), &json!(null))
    );
    let late = up.run(&["resume", &name]).ended_with(4);
    assert!(late.stderr.contains("NOT_ON_HOLD"), "{}", late.stderr);
}
