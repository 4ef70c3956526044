//! Pipelines by hand against `closeout up`: made, changed, taken out of use, put in order; and how stages read elsewhere.

use crate::program::{Up, path, sound_folder};
use serde_json::{Value, json};

const STAGES: [&str; 4] = ["--stage", "qualify:Qualify:资格确认:20", "--stage", "pilot:Pilot:试点:60"];

fn create(up: &Up, id: &str) -> Value {
    let args = ["pipelines", "create", id, "--en", "Key accounts", "--zh", "大客户", "--json"];
    up.run(&[&args[..], &STAGES].concat()).ended_with(0).json()["pipeline"].clone()
}

fn ids(pipelines: &Value) -> Vec<&str> {
    pipelines["pipelines"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_pipeline_is_made_changed_and_put_in_order() {
    let up = Up::start();
    let listed = up.run(&["pipelines", "--json"]).ended_with(0).json();
    assert_eq!(ids(&listed), ["pipelines/default"]);
    let made = create(&up, "key-accounts");
    assert_eq!(
        (&made["stages"][1]["name"], &made["stages"][0]["labels"]["zh"], &made["active"]),
        (&json!("pipelines/key-accounts/stages/pilot"), &json!("资格确认"), &json!(true))
    );
    let update = ["pipelines", "update", "key-accounts", "--zh", "重点客户", "--json"];
    let stages = ["--stage", "pilot", "--stage", "demo:Demo:演示:40"];
    let updated = up.run(&[&update[..], &stages].concat()).ended_with(0).json()["pipeline"].clone();
    let stage =
        |index: usize| (updated["stages"][index]["stage_id"].clone(), updated["stages"][index]["active"].clone());
    let expected = [("pilot", true), ("demo", true), ("qualify", false)].map(|(id, active)| (json!(id), json!(active)));
    assert_eq!([0, 1, 2].map(stage), expected);
    assert_eq!(updated["labels"], json!({ "en": "Key accounts", "zh": "重点客户" }));

    let reordered = up.run(&["pipelines", "reorder", "key-accounts", "--json"]).ended_with(0).json();
    assert_eq!(ids(&reordered), ["pipelines/key-accounts", "pipelines/default"]);
    up.run(&["pipelines", "deactivate", "default"]).ended_with(0);
    let last = up.run(&["pipelines", "deactivate", "key-accounts", "--json"]).ended_with(4).json();
    assert_eq!(last["error"]["reason"], "LAST_PIPELINE");
    let shown = up.run(&["pipelines", "list", "--locale", "zh-CN"]).ended_with(0).stdout;
    assert!(shown.contains("重点客户") && shown.contains("demo: 演示, 40 %") && !shown.contains("qualify"), "{shown}");
    let all = up.run(&["pipelines", "--all"]).ended_with(0).stdout;
    assert!(all.contains("(not in use)") && all.contains("qualify: Qualify, 20 %, not in use"), "{all}");
    let one = up.run(&["pipelines", "show", "pipelines/default"]).ended_with(0).stdout;
    assert!(one.contains("Negotiation") && one.contains("商务谈判") && one.contains("(not in use)"), "{one}");
    up.run(&["pipelines", "activate", "default"]).ended_with(0);
}

#[test]
fn what_is_wrong_with_a_pipeline_is_told_in_full() {
    let up = Up::start();
    create(&up, "key-accounts");
    let args = ["pipelines", "create", "key-accounts", "--en", "A", "--zh", "甲", "--stage", "a:A:甲:1", "--json"];
    assert_eq!(up.run(&args).ended_with(4).json()["error"]["reason"], "NAME_TAKEN");
    let args = ["pipelines", "create", "Key", "--en", "", "--zh", "甲", "--stage", "a:A:甲:120", "--stage", "a:A:甲:1"];
    let told = up.run(&args).ended_with(4).stderr;
    for field in ["pipeline_id", "labels.en", "stages[0].win_percent", "stages[1].stage_id"] {
        assert!(told.contains(field), "{field}: {told}");
    }
    up.run(&["pipelines", "update", "key-accounts", "--stage", "new"]).ended_with(2);
    up.run(&["pipelines", "update", "key-accounts", "--stage", "a:A:1"]).ended_with(2);
    up.run(&["pipelines", "show", "none"]).ended_with(4);
    let told = up.run(&["pipelines", "reorder", "none"]).ended_with(4).stderr;
    assert!(told.contains("there is no pipelines/none"), "{told}");
}

#[test]
fn stages_are_found_by_their_pipeline_and_shown_by_their_label() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let list = |stage: &str| up.run(&["list", "opportunities", "--stage", stage, "--json"]).ended_with(0).json();
    let engaging = list("engaging");
    assert_eq!(engaging["opportunities"].as_array().unwrap().len(), 4, "won and lost ones were engaging, too");
    assert_eq!(engaging, list("default/engaging"));
    assert_eq!(engaging, list("pipelines/default/stages/engaging"));
    let unknown = up.run(&["list", "opportunities", "--stage", "default/closing"]).ended_with(4).stderr;
    for told in ["pipelines/default/stages/{prospecting, engaging", "what next: closeout pipelines --all"] {
        assert!(unknown.contains(told), "{unknown}");
    }
    let shown = up.run(&["list", "opportunities", "--state", "open"]).ended_with(0).stdout;
    assert!(shown.contains("Engaging") && shown.contains("Prospecting"), "{shown}");
    create(&up, "key-accounts");
    assert_eq!(list("key-accounts/pilot")["opportunities"], json!([]));
    let name = engaging["opportunities"][0]["name"].as_str().unwrap();
    let shown = up.run_in("zh_CN.UTF-8", &["show", name]).ended_with(0).stdout;
    assert!(shown.contains("默认: 深入沟通  (pipelines/default/stages/engaging)"), "{shown}");
}
