//! Winning customers back by hand: what is due, contacts, an opportunity that comes of it, and an audience as a table, as JSON and as CSV.

use crate::grounds::imported;
use serde_json::json;

#[test]
fn plans_are_listed_worked_on_and_recovered_and_an_audience_is_exported() {
    let (up, [first, second]) = imported();
    let close = |name: &str| {
        let closed = up.run(&["close-out", name, "--reason", "BUDGET_FROZEN", "--yes", "--json"]).ended_with(0).json();
        let close_out = closed["close_outs"][0]["name"].as_str().unwrap().to_owned();
        let shown = up.run(&["show", &close_out]).ended_with(0).stdout;
        (close_out.replace("closeOuts/", "winBackPlans/"), shown.contains("win back"))
    };
    let (plan, planned) = close(&first);
    assert!(planned && !close(&second).1, "one without a customer wins nobody back");
    let due = up.run(&["win-back"]).ended_with(0).stdout;
    assert!(due.contains("0 plans."), "{due}");
    let listed = up.run(&["win-back", "list", "--until", "2100-01-01"]).ended_with(0).stdout;
    assert!(listed.contains("1 plan.") && listed.contains(&plan) && listed.contains("BUDGET_FROZEN"), "{listed}");

    up.run(&["win-back", "set", &plan]).ended_with(2);
    let set = ["win-back", "set", &plan, "--owner", "li.na", "--due", "2026-01-05", "--offer", "10 % on cameras"];
    let set = up.run(&set).ended_with(0).stdout;
    for told in ["It is changed.", "li.na", "2026-01-05", "10 % on cameras"] {
        assert!(set.contains(told), "{told}: {set}");
    }
    let due = up.run(&["win-back", "--json"]).ended_with(0).json();
    assert_eq!((&due["win_back_plans"][0]["name"], due["win_back_plans"].as_array().unwrap().len()), (&json!(plan), 1));
    let contact = ["win-back", "contact", &plan, "--by", "call", "--result", "later"];
    assert!(up.run(&contact).ended_with(2).stderr.contains("needs --again"));
    let contact = [&contact[..], &["--again", "2026-03-01", "--with", "王经理", "--note", "in March"]].concat();
    let contacted = up.run(&contact).ended_with(0).stdout;
    for told in ["RUNNING", "2026-03-01", "王经理", "LATER", "in March"] {
        assert!(contacted.contains(told), "{told}: {contacted}");
    }
    let shown = up.run(&["win-back", "show", &plan, "--json"]).ended_with(0).json();
    let customer = shown["win_back_plan"]["customer"].as_str().unwrap().to_owned();
    assert!(up.run(&["show", &customer]).ended_with(0).stdout.contains("last contact"));

    let audience = ["win-back", "audience", "--reason", "budget_frozen"];
    let table = up.run(&audience).ended_with(0).stdout;
    assert!(table.contains("BUDGET_FROZEN"), "{table}");
    let csv = up.run(&[&audience[..], &["--csv"]].concat()).ended_with(0).stdout;
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("customer,display_name,tier,owner,lifecycle,loss_count,amounts,reasons,"), "{csv}");
    let told = up.run(&[&audience[..], &["--json"]].concat()).ended_with(0).stdout;
    assert_eq!(told.lines().count(), lines.len() - 1, "a line for each customer: {told}");
    let none = ["win-back", "audience", "--not-contacted-since", "2000-01-01", "--csv"];
    assert!(!up.run(&none).ended_with(0).stdout.contains(&customer));
    let wrong = up.run(&["win-back", "audience", "--reason", "NEVER"]).ended_with(4).stderr;
    assert!(wrong.contains("reasons[0]"), "{wrong}");

    let recover = ["win-back", "recover", &plan, "--title", "Cameras again", "--amount", "5000 CNY", "--json"];
    let made = up.run(&recover).ended_with(0).json();
    assert_eq!(
        (&made["opportunity"]["recovered_from"], &made["opportunity"]["customer"]),
        (&json!(plan), &json!(customer))
    );
    let (other, _) = close(made["opportunity"]["name"].as_str().unwrap());
    let given_up = up.run(&["win-back", "give-up", &other, "--note", "moved abroad"]).ended_with(0).stdout;
    assert!(given_up.contains("GIVEN_UP") && given_up.contains("moved abroad"), "{given_up}");
    let again = up.run(&["win-back", "give-up", &other]).ended_with(4).stderr;
    assert!(again.contains("WIN_BACK_ENDED"), "{again}");
    let recovered = up.run(&["win-back", "list", "--state", "recovered"]).ended_with(0).stdout;
    assert!(recovered.contains(&plan) && !recovered.contains(&other), "{recovered}");
}
