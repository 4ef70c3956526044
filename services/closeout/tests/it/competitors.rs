//! Competitors by hand against `closeout up`: made, renamed, merged, taken out of use; and what `close-out` says of them.

use crate::program::{Up, path, sound_folder};
use serde_json::{Value, json};

fn create(up: &Up, name: &str) -> String {
    let made = up.run(&["competitors", "create", name, "--json"]).ended_with(0).json();
    assert_eq!(made["competitor"]["display_name"], name);
    made["competitor"]["name"].as_str().unwrap().to_owned()
}

fn listed(up: &Up, args: &[&str]) -> Vec<String> {
    let list = up.run(&[&["competitors"], args, &["--json"]].concat()).ended_with(0).json();
    let called = |one: &Value| one["display_name"].as_str().unwrap().to_owned();
    list["competitors"].as_array().unwrap().iter().map(called).collect()
}

#[test]
fn a_competitor_is_made_renamed_and_taken_out_of_use() {
    let up = Up::start();
    assert!(listed(&up, &[]).is_empty());
    let acme = create(&up, "Acme");
    create(&up, "Globex");
    let taken = up.run(&["competitors", "create", "Acme", "--json"]).ended_with(4).json();
    assert_eq!(taken["error"]["reason"], "NAME_TAKEN");
    let renamed = up.run(&["competitors", "rename", "acme", "Acme 集团", "--json"]).ended_with(0).json();
    assert_eq!((&renamed["competitor"]["name"], &renamed["competitor"]["etag"]), (&json!(acme), &json!("\"2\"")));
    up.run(&["competitors", "rename", &acme, "Acme"]).ended_with(0);

    let off = up.run(&["competitors", "deactivate", "ACME"]).ended_with(0).stdout;
    assert!(off.contains("not in use") && off.contains(&acme), "{off}");
    up.run(&["competitors", "deactivate", "Acme"]).ended_with(0);
    assert_eq!(
        (listed(&up, &[]), listed(&up, &["list", "--all"])),
        (vec!["Globex".into()], vec!["Acme".to_owned(), "Globex".to_owned()])
    );
    assert!(up.run(&["competitors", "activate", &acme]).ended_with(0).stdout.contains("in use"));

    let unknown = up.run(&["competitors", "rename", "Initech", "X"]).ended_with(4).stderr;
    for told in ["no competitor is called \"Initech\"", "what next: closeout competitors --all"] {
        assert!(unknown.contains(told), "{unknown}");
    }
    let unknown =
        up.run(&["competitors", "activate", "competitors/01900000-0000-7000-8000-000000000009"]).ended_with(4);
    assert!(unknown.stderr.contains("what next: closeout competitors --all"), "{unknown:?}");
    up.run(&["competitors", "merge", "Acme"]).ended_with(2);
    let help = up.run(&["competitors", "--help"]).ended_with(0).stdout;
    assert!(help.contains("closeout competitors merge"), "{help}");
}

#[test]
fn what_was_entered_under_several_names_is_merged() {
    let up = Up::start();
    let (acme, ltd) = (create(&up, "Acme"), create(&up, "Acme Ltd"));
    create(&up, "acme");
    let merged = up.run(&["competitors", "merge", "acme", &ltd, "--into", "Acme", "--json"]).ended_with(0).json();
    let into: Vec<_> = merged["sources"].as_array().unwrap().iter().map(|one| &one["merged_into"]).collect();
    assert_eq!((into, &merged["target"]["name"]), (vec![&json!(acme); 2], &json!(acme)));
    let told = up.run(&["competitors", "merge", "acme", "--into", "Acme"]).ended_with(0).stdout;
    assert!(told.contains("1 competitor is merged into Acme.") && told.contains("merged into Acme "), "{told}");
    assert_eq!(listed(&up, &[]), ["Acme"]);
    let all = up.run(&["competitors", "--all"]).ended_with(0).stdout;
    assert_eq!(all.matches("merged into Acme").count(), 2, "{all}");

    let refused = up.run(&["competitors", "activate", "Acme Ltd"]).ended_with(4).stderr;
    for told in ["it was merged into \"Acme\"", "COMPETITOR_MERGED", "what next: closeout competitors --all"] {
        assert!(refused.contains(told), "{refused}");
    }
    let itself = up.run(&["competitors", "merge", "Acme", "--into", &acme]).ended_with(4).stderr;
    assert!(itself.contains("leave it out of the sources"), "{itself}");
    up.run(&["competitors", "merge", "Initech", "--into", "Acme"]).ended_with(4);
}

#[test]
fn a_close_out_names_a_competitor_and_hears_what_became_of_it() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let list = up.run(&["list", "opportunities", "--state", "open", "--json"]).ended_with(0).json();
    let open = list["opportunities"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let open: Vec<_> = open.collect();
    let lost_to = |name: &str, competitor: &str| {
        let detail = "They were cheaper over all three years";
        let reason = ["--reason", "COMPETITOR_PRICE", "--detail", detail, "--competitor", competitor];
        up.run(&[&["close-out", name, "--yes", "--json"], &reason[..]].concat())
    };
    let closed = lost_to(open[0], "Acme").ended_with(0).json();
    assert_eq!(listed(&up, &[]), ["Acme"], "one that is not known yet is made");
    let named = closed["close_outs"][0]["competitor"].as_str().unwrap();
    create(&up, "Acme Group");
    up.run(&["competitors", "merge", "Acme", "--into", "Acme Group"]).ended_with(0);

    let refused = lost_to(open[1], "acme").ended_with(4).json();
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(refused["error"]["reason"], "COMPETITOR_MERGED");
    assert!(message.contains("it was merged into \"Acme Group\"") && message.contains(named), "{message}");
    up.run(&["competitors", "deactivate", "Acme Group"]).ended_with(0);
    let refused = lost_to(open[1], "Acme Group").ended_with(4).json();
    assert_eq!(refused["error"]["reason"], "COMPETITOR_INACTIVE");
    assert!(refused["error"]["next"].as_str().unwrap().contains("closeout competitors activate"), "{refused}");
    up.run(&["competitors", "activate", "Acme Group"]).ended_with(0);
    lost_to(open[1], "acme group").ended_with(0);
    assert_eq!(listed(&up, &["--all"]), ["Acme", "Acme Group"], "nothing was made beside them");
    let shown = up.run(&["show", closed["close_outs"][0]["name"].as_str().unwrap()]).ended_with(0).stdout;
    assert!(shown.contains(named), "{shown}");
}
