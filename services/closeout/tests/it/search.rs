//! `closeout search` against `closeout up`: what is found, how it is shown, and what is said when nothing is.

use crate::program::{Up, path, sound_folder};
use serde_json::{Value, json};

/// What a search found of one kind, as numbers and why.
fn found(json: &Value, kind: &str, record: &str) -> Vec<(String, String)> {
    let all = json[kind].as_array().unwrap_or_else(|| panic!("{json}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter().map(|one| (text(&one[record]["number"]), text(&one["match"]))).collect()
}

#[test]
fn records_are_found_by_number_and_by_any_part_of_a_name() {
    let (up, folder) = (Up::start(), sound_folder());
    up.run(&["import", "--data", path(&folder)]).ended_with(0);
    let search = |args: &[&str]| up.run(&[&["search", "--json"], args].concat()).ended_with(0).json();

    let by_name = search(&["ＡＣＭＥ　corp"]);
    let opportunities = found(&by_name, "opportunities", "opportunity");
    let prefix = |number: &str| (number.to_owned(), "MATCH_NAME_PREFIX".to_owned());
    assert!(opportunities.len() == 2 && opportunities.contains(&prefix("L1")), "{by_name}");
    assert_eq!(by_name["opportunities"][0]["customer_display_name"], "Acme Corporation");
    assert_eq!(found(&by_name, "orders", "order").len(), 1);
    assert_eq!(by_name["close_outs"]["opportunity"][0]["match"], "MATCH_NAME_PREFIX");
    let by_number = search(&["e", "--what", "opportunities"]);
    let first = found(&by_number, "opportunities", "opportunity");
    assert_eq!(
        first[..2],
        [("E1", "MATCH_NUMBER_PREFIX"), ("E2", "MATCH_NUMBER_PREFIX")].map(|(a, b)| (a.into(), b.into()))
    );
    let open = search(&["--what", "opportunities", "--state", "open,won", "--until", "2017-01-01", "--limit", "0"]);
    assert!(open["orders"].is_null() && found(&open, "opportunities", "opportunity").len() >= 3, "{open}");
    let dear = search(&["--what", "opportunities", "--amount-from", "4000", "--currency", "USD"]);
    assert!(!found(&dear, "opportunities", "opportunity").is_empty(), "{dear}");

    let shown = up.run(&["search", "betas", "--color", "always"]).ended_with(0).stdout;
    assert!(shown.contains("Opportunities") && shown.contains("Betasoloin") && shown.contains("\u{1b}["), "{shown}");
    let nothing = up.run(&["search", "nobody at all"]).ended_with(0).stdout;
    assert!(
        nothing.contains("Nothing was found for `nobody at all`") && nothing.contains("fewer letters"),
        "{nothing}"
    );
    let nothing = search(&["nobody at all"]);
    let none = json!({ "orders": [], "opportunities": [], "close_outs": { "opportunity": [], "order": [] } });
    assert_eq!(nothing, none);
    up.run(&["search", "acme", "--state", "gone"]).ended_with(2);
    up.run(&["search", "acme", "--from", "yesterday"]).ended_with(2);
    let refused = up.run(&["search", "acme", "--from", "2026-02-01", "--until", "2026-01-01"]).ended_with(4);
    assert!(refused.stderr.contains("must be later than"), "{refused:?}");
}
