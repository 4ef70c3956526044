//! The catalogue of refusals: as the program prints it, and as the README lists it.

use crate::program::run;
use crm_closeout::wording::{ALL, Class};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

fn reasons_by_code() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for wording in ALL {
        let row = if wording.class == Class::Field { "of a field" } else { wording.class.code() };
        all.entry(row.to_owned()).or_default().insert(wording.reason.to_owned());
    }
    all
}

#[test]
fn the_program_prints_every_wording_and_those_of_one_reason() {
    let all = run(&["errors", "--json"]).ended_with(0).json();
    assert_eq!(all["errors"].as_array().unwrap().len(), ALL.len());
    let one = run(&["errors", "LIVE_ORDER", "--json"]).ended_with(0).json();
    assert_eq!(
        (&one["errors"][0]["code"], one["errors"].as_array().unwrap().len()),
        (&"FAILED_PRECONDITION".into(), 1)
    );
    let shown = run(&["errors", "TOO_MANY_OPEN"]).ended_with(0).stdout;
    assert!(shown.contains("RESOURCE_EXHAUSTED") && shown.contains("草稿订单"), "{shown}");
    run(&["errors", "NO_SUCH_REASON"]).ended_with(2);
}

#[test]
fn the_readme_lists_every_reason_under_its_code() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let table = text.split_once("| code | reasons |").unwrap().1.split_once("\n\n").unwrap().0;
    let mut listed = BTreeMap::new();
    for row in table.lines().skip(2) {
        let (code, reasons) = row.trim_matches('|').split_once('|').unwrap();
        let quoted = reasons.split('`').skip(1).step_by(2);
        let reasons = quoted.filter(|word| word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        listed.insert(code.trim().to_owned(), reasons.map(str::to_owned).collect::<BTreeSet<_>>());
    }
    assert_eq!(listed, reasons_by_code());
}
