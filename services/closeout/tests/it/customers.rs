//! A whole customer by hand: what it would be is shown first, then each open opportunity is closed out, listed as one group, and taken back.

use crate::grounds::imported;

#[test]
fn a_customer_is_closed_out_and_taken_back_as_one() {
    let (up, [one, _]) = imported();
    let shown = up.run(&["show", &one, "--json"]).ended_with(0).json();
    let customer = shown["opportunity"]["customer"].as_str().unwrap().to_owned();
    let open = ["list", "opportunities", "--state", "open", "--customer", &customer, "--json"];
    let open =
        |up: &crate::program::Up| up.run(&open).ended_with(0).json()["opportunities"].as_array().unwrap().len() as u64;
    let count = open(&up);
    let asked = ["--reason", "CUSTOMER_CLOSED"];
    let plan = up.run(&[&["preview", &customer][..], &asked, &["--json"]].concat()).ended_with(0).json();
    assert_eq!(plan["plans"].as_array().unwrap().len() as u64, count);
    let hash = plan["plan_hash"].as_str().unwrap();
    let plan = up.run(&[&["preview", &customer][..], &asked].concat()).ended_with(0).stdout;
    assert!(plan.contains("would be closed out, 0 left open") && plan.contains(&one), "{plan}");
    let unasked = up.run(&[&["close-out", &customer][..], &asked].concat()).ended_with(2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let rated = up.run(&[&["close-out", &customer, "--yes", "--rating", "3"][..], &asked].concat()).ended_with(2);
    assert!(rated.stderr.contains("--rating"), "{}", rated.stderr);

    let closed = up.run(&[&["close-out", &customer, "--plan", hash, "--json"][..], &asked].concat()).ended_with(0);
    let closed = closed.json();
    let group = closed["customer_close_out"]["name"].as_str().unwrap();
    assert_eq!(closed["customer_close_out"]["state"], "STATE_CLOSED");
    assert_eq!((closed["customer_close_out"]["effective_count"].as_u64(), open(&up)), (Some(count), 0));
    let shown = up.run(&["show", group]).ended_with(0).stdout;
    assert!(shown.contains("CLOSED") && shown.contains("CUSTOMER_CLOSED@1"), "{shown}");
    let listed = up.run(&["list", "close-outs", "--group", group, "--json"]).ended_with(0).json();
    assert_eq!(listed["close_outs"]["opportunity"].as_array().unwrap().len() as u64, count);
    assert!(up.run(&["list", "customer-close-outs", "--customer", &customer]).ended_with(0).stdout.contains(group));
    let report = up.run(&["report", "--by", "group"]).ended_with(0).stdout;
    assert!(report.contains(group), "{report}");
    let story = up.run(&["timeline", &customer]).ended_with(0).stdout;
    assert!(story.contains("customer.closed_out"), "{story}");

    let back = up.run(&["reopen", group, "--note", "another company", "--json"]).ended_with(0).json();
    assert_eq!(back["customer_close_out"]["state"], "STATE_REOPENED");
    assert_eq!(open(&up), count);
    let again = up.run(&["reopen", group]).ended_with(4);
    assert!(again.stderr.contains("only one that is CLOSED"), "{}", again.stderr);
}
