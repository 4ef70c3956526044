//! What a person does about reasons: make, change, take out of use, and bring a whole list with a file.

use crate::program::{Up, path};
use serde_json::{Value, json};
use std::fs;

const HEADER: &str = "code,scope,zh,en,class,category,min_detail,needs_competitor,win_back_days";

fn codes(up: &Up, args: &[&str]) -> Vec<String> {
    let list = up.run(&[&["reasons"], args, &["--json"]].concat()).ended_with(0).json();
    let name = |reason: &Value| reason["name"].as_str().unwrap().trim_start_matches("closeOutReasons/").to_owned();
    list["reasons"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_reason_is_made_changed_and_taken_out_of_use() {
    let up = Up::start();
    assert_eq!((codes(&up, &[]).len(), codes(&up, &["list", "--scope", "order"]).len()), (30, 6));
    let create =
        ["reasons", "create", "NO_FUNDING", "--scope", "opportunity", "--zh", "资金未到位", "--en", "No funding"];
    let create = [&create[..], &["--class", "no-decision", "--category", "BUDGET", "--json"]].concat();
    let made = up.run(&create).ended_with(0).json();
    assert_eq!((&made["reason"]["version"], &made["propagation"]), (&json!(1), &json!("PROPAGATION_SETTLED")));
    assert_eq!(up.run(&create).ended_with(4).json()["error"]["reason"], "CODE_TAKEN");
    up.run(&["reasons", "update", "NO_FUNDING"]).ended_with(2);
    let changed =
        up.run(&["reasons", "update", "NO_FUNDING", "--min-detail", "5", "--win-back-days", "9"]).ended_with(0);
    assert!(changed.stdout.contains("NO_FUNDING has version 2: SETTLED, the order service has it."), "{changed:?}");
    let shown = up.run(&["reasons", "show", "NO_FUNDING", "--json"]).ended_with(0).json();
    let lengths: Vec<_> = shown["versions"].as_array().unwrap().iter().map(|v| &v["min_detail_length"]).collect();
    assert_eq!(lengths, [&json!(5), &json!(0)]);
    assert!(up.run(&["reasons", "--locale", "zh-CN"]).ended_with(0).stdout.contains("资金未到位"));

    up.run(&["reasons", "deactivate", "NO_FUNDING"]).ended_with(0);
    assert!(!codes(&up, &[]).contains(&"NO_FUNDING".to_owned()));
    assert!(codes(&up, &["list", "--all"]).contains(&"NO_FUNDING".to_owned()));
    up.run(&["reasons", "activate", "NO_FUNDING"]).ended_with(0);
    let mut order = codes(&up, &["list", "--scope", "order"]);
    order.reverse();
    let reorder: Vec<_> =
        ["reasons", "reorder", "--scope", "order"].into_iter().chain(order.iter().map(|c| &**c)).collect();
    up.run(&reorder).ended_with(0);
    assert_eq!(codes(&up, &["list", "--scope", "order"]), order);
    let short = up.run(&reorder[..6]).ended_with(4);
    assert!(short.stderr.contains("missing"), "{short:?}");
}

#[test]
fn a_reason_has_a_rule_about_verifications_and_labels_in_any_language() {
    let up = Up::start();
    let update = ["reasons", "update", "OTHER", "--label", "fr=Autre", "--label", "de=Sonstiges"];
    let rule = ["--verification", "required", "--verification-days", "7", "--json"];
    let changed = up.run(&[&update[..], &rule].concat()).ended_with(0).json()["reason"].clone();
    let said = (&changed["verification"], &changed["verification_days"], &changed["labels"]["fr"]);
    assert_eq!(said, (&json!("VERIFICATION_RULE_REQUIRED"), &json!(7), &json!("Autre")));
    let listed = |locale| up.run(&["reasons", "list", "--locale", locale]).ended_with(0).stdout;
    assert!(listed("fr").contains("Autre") && listed("fr-CA").contains("Autre") && !listed("en").contains("Autre"));
    assert!(listed("en").contains("verification at most 7"), "{}", listed("en"));
    let shown = up.run(&["reasons", "show", "OTHER"]).ended_with(0).stdout;
    assert!(shown.contains("fr: Autre") && shown.contains("de: Sonstiges"), "{shown}");

    let update = ["reasons", "update", "OTHER", "--label", "fr=", "--verification", "settings", "--json"];
    let changed = up.run(&update).ended_with(0).json()["reason"].clone();
    assert_eq!(changed["labels"], json!({ "zh": "其他", "en": "Other", "de": "Sonstiges" }));
    assert_eq!(
        (&changed["verification"], &changed["verification_days"]),
        (&json!("VERIFICATION_RULE_UNSPECIFIED"), &json!(7))
    );
    let create = ["reasons", "create", "NEW", "--scope", "order", "--zh", "新", "--en", "New", "--category", "X"];
    let create = [&create[..], &["--class", "no-decision", "--json", "--label", "fr=Neuf"]].concat();
    let rule = ["--verification", "not-required"];
    let made = up.run(&[&create[..], &rule].concat()).ended_with(0).json()["reason"].clone();
    assert_eq!(
        (&made["labels"]["fr"], &made["verification"]),
        (&json!("Neuf"), &json!("VERIFICATION_RULE_NOT_REQUIRED"))
    );
    up.run(&["reasons", "update", "OTHER", "--label", "fr"]).ended_with(2);
    let refused = up.run(&["reasons", "update", "OTHER", "--label", "pt_BR=Outro"]).ended_with(4).stderr;
    assert!(refused.contains("no language tag"), "{refused}");
}

#[test]
fn merged_reasons_say_into_which_and_are_used_no_more() {
    let up = Up::start();
    let merge = ["reasons", "merge", "LONG_CYCLE", "NO_DECISION_MAKER", "--into", "UNRESPONSIVE"];
    let merged = up.run(&merge).ended_with(0).stdout;
    assert!(merged.contains("2 reasons are merged into UNRESPONSIVE"), "{merged}");
    let again = up.run(&[&merge[..], &["--json"]].concat()).ended_with(0).json();
    assert_eq!(
        (&again["target"], again["reasons"].as_array().unwrap().len()),
        (&json!("closeOutReasons/UNRESPONSIVE"), 2)
    );
    assert!(!codes(&up, &[]).contains(&"LONG_CYCLE".to_owned()));
    assert!(up.run(&["reasons", "--all"]).ended_with(0).stdout.contains("merged into"));
    let shown = up.run(&["reasons", "show", "LONG_CYCLE"]).ended_with(0).stdout;
    assert!(shown.contains("LONG_CYCLE, for opportunity, merged into UNRESPONSIVE"), "{shown}");
    let refused = up.run(&["reasons", "activate", "LONG_CYCLE"]).ended_with(4).stderr;
    assert!(refused.contains("use that one"), "{refused}");
    up.run(&["reasons", "merge", "POOR_FIT", "--into", "ORD_AGED"]).ended_with(4);
    up.run(&["reasons", "merge", "--into", "OTHER"]).ended_with(2);
    let exported = up.run(&["reasons", "export"]).ended_with(0).stdout;
    assert!(exported.lines().any(|row| row.starts_with("LONG_CYCLE,") && row.contains(",false,15,")), "{exported}");
}

#[test]
fn a_file_keeps_rules_and_labels_unless_it_says_otherwise() {
    let (up, folder) = (Up::start(), tempfile::tempdir().unwrap());
    let file = folder.path().join("reasons.csv");
    let update = ["reasons", "update", "OTHER", "--label", "fr=Autre, \"hors liste\"", "--verification", "required"];
    up.run(&[&update[..], &["--verification-days", "7"]].concat()).ended_with(0);
    let exported = up.run(&["reasons", "export"]).ended_with(0).stdout;
    let import = |text: &str| {
        fs::write(&file, text).unwrap();
        up.run(&["reasons", "import", file.to_str().unwrap(), "--json"]).ended_with(0).json()["import"].clone()
    };
    let other = || up.run(&["reasons", "show", "OTHER", "--json"]).ended_with(0).json()["reason"].clone();
    assert_eq!(import(&exported)["unchanged"], 30);
    let row = "OTHER,opportunity,其他,Other,NO_DECISION,OTHER,20,no,90";
    assert_eq!(import(&format!("{HEADER}\n{row}\n"))["unchanged"], 1);
    let optional = "verification,verification_days,labels";
    assert_eq!(import(&format!("{HEADER},{optional}\n{row},,,\n"))["unchanged"], 1);
    import(&format!("{HEADER},{optional}\n{row},settings,0,{{}}\n"));
    assert_eq!(
        (&other()["verification_days"], &other()["labels"]),
        (&json!(0), &json!({ "zh": "其他", "en": "Other" }))
    );
    assert_eq!(import(&exported)["updated"], json!(["OTHER"]));
    assert_eq!(up.run(&["reasons", "export"]).ended_with(0).stdout, exported);
}

#[test]
fn a_file_brings_the_reasons_to_what_it_says_and_twice_changes_nothing() {
    let (up, folder) = (Up::start(), tempfile::tempdir().unwrap());
    let file = folder.path().join("reasons.csv");
    let file = file.to_str().unwrap();
    up.run(&["reasons", "export", file]).ended_with(0);
    let import = || up.run(&["reasons", "import", file, "--json"]);
    let done = import().ended_with(0).json();
    assert_eq!((&done["import"]["unchanged"], &done["import"]["updated"]), (&json!(30), &json!([])));
    assert_eq!(up.run(&["reasons", "export"]).ended_with(0).stdout, fs::read_to_string(file).unwrap());

    let rows = "NO_FUNDING,opportunity,资金未到位,No funding,NO_DECISION,BUDGET,5,no,90,false,1\n\
        OTHER,opportunity,其他原因,Other,NO_DECISION,OTHER,20,no,90,,\n\
        BROKEN,opportunity,坏,Broken,NO_DECISION,BUDGET,5\n\
        ORD_AGED,order,超期,Aged,ADMINISTRATIVE,ORDER,0,yes,0,,\n\
        BAD,opportunity,坏,Bad,SOMETHING,BUDGET,5,no,90,,\n";
    fs::write(file, format!("{HEADER},active,position\n{rows}")).unwrap();
    let done = import().ended_with(3).json();
    let done = &done["import"];
    assert_eq!((&done["created"], &done["updated"]), (&json!(["NO_FUNDING"]), &json!(["OTHER"])));
    assert_eq!((&done["deactivated"], &done["reordered"]), (&json!(["NO_FUNDING"]), &json!(["OPPORTUNITY"])));
    let refused = done["refused_rows"].as_array().unwrap();
    let lines: Vec<_> = refused.iter().map(|row| (row["line"].as_u64().unwrap(), row["column"].as_str())).collect();
    assert_eq!(lines, [(4, None), (5, None), (6, Some("class"))]);
    assert!(refused[1]["reason"].as_str().unwrap().contains("needs_competitor"), "{refused:?}");
    assert_eq!(codes(&up, &["list", "--all"])[0], "NO_FUNDING");
    let exported = up.run(&["reasons", "export"]).ended_with(0).stdout;
    let again = import().ended_with(3).json();
    for what in ["created", "updated", "activated", "deactivated", "reordered"] {
        assert_eq!(again["import"][what], json!([]), "{what}");
    }
    assert_eq!(up.run(&["reasons", "export"]).ended_with(0).stdout, exported);
    let told = up.run(&["reasons", "import", file]).ended_with(3).stdout;
    assert!(told.contains("3 rows refused:") && told.contains("  line 6, column class:"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_as_a_whole_changes_nothing() {
    let (up, folder) = (Up::start(), tempfile::tempdir().unwrap());
    let before = up.run(&["reasons", "export"]).ended_with(0).stdout;
    let cases: [(&[u8], &str); 3] = [
        (b"code,scope,zh\nOTHER,opportunity,x\n", "column `en` is missing"),
        (&[HEADER.as_bytes(), b"\nOTHER,opportunity,\xe9,Changed,NO_DECISION,OTHER,0,no,0\n"].concat(), "is not UTF-8"),
        (b"", "is empty"),
    ];
    for (bytes, message) in cases {
        let file = folder.path().join("reasons.csv");
        fs::write(&file, bytes).unwrap();
        let ran = up.run(&["reasons", "import", file.to_str().unwrap()]).ended_with(1);
        assert!(ran.stderr.contains(message), "{ran:?}");
    }
    up.run(&["reasons", "import", &format!("{}/none.csv", path(&folder))]).ended_with(1);
    assert_eq!(up.run(&["reasons", "export"]).ended_with(0).stdout, before);
}
