//! Who may do what: the table in the README, and `closeout roles` against running services.

use crate::{grounds::imported, program::run};
use crm_closeout::access::{ROLES, Right};
use std::fmt::Write;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_has_what_each_role_may_do() {
    let names: Vec<_> = ROLES.iter().map(|role| role.name).collect();
    let mut table = format!("| right | {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len() + 1));
    for right in Right::ALL {
        write!(table, "| `{}` |", right.word()).unwrap();
        for role in ROLES {
            match role.rights.scope(*right) {
                Some(scope) if right.has_scope() => write!(table, " {} |", scope.word()).unwrap(),
                Some(_) => table.push_str(" yes |"),
                None => table.push_str(" |"),
            }
        }
        table.push('\n');
    }
    assert!(README.contains(&table), "the README's table of rights should be:\n\n{table}");
}

#[test]
fn a_salesperson_closes_out_what_is_their_own_and_may_take_that_back_at_once() {
    let (up, [name, _]) = imported();
    let close = ["close-out", &name, "--reason", "NO_INTENT_NOW", "--yes"];
    let (owner, other) = (["--principal", "anna.snelling"], ["--principal", "bob"]);
    let sales = ["--roles", "sales"];
    let shown = up.run(&["show", &name, "--json"]).ended_with(0).json();
    assert_eq!(shown["opportunity"]["owner"], owner[1]);
    let refused = up.run(&[&close[..], &other, &sales].concat()).ended_with(4);
    assert!(refused.stderr.contains("OUT_OF_REACH") && refused.stderr.contains(owner[1]), "{}", refused.stderr);
    up.run(&[&close[..], &owner, &sales].concat()).ended_with(0);
    let refused = up.run(&[&["reopen", &name][..], &other, &sales].concat()).ended_with(4);
    assert!(refused.stderr.contains("RIGHT_MISSING") && refused.stderr.contains("15 minutes"), "{}", refused.stderr);
    up.run(&[&["reopen", &name][..], &owner, &sales].concat()).ended_with(0);
    let refused = up.run(&["list", "opportunities", "--roles", "nobody"]).ended_with(4);
    assert!(refused.stderr.contains("record.read"), "{}", refused.stderr);
}

#[test]
fn a_tenant_keeps_roles_of_its_own() {
    let (up, [name, _]) = imported();
    let all = up.run(&["roles", "rights"]).ended_with(0).stdout;
    assert!(Right::ALL.iter().all(|right| all.contains(right.word())), "{all}");
    let set = ["roles", "set", "team-lead", "record.read", "closeout.create.team"];
    let kept = up.run(&set).ended_with(0).stdout;
    assert!(kept.contains("the order service has it") && kept.contains("team-lead"), "{kept}");
    up.run(&["roles", "set", "reader", "record.read"]).ended_with(0);
    up.run(&["list", "orders", "--roles", "reader"]).ended_with(0);
    let listed = up.run(&["roles", "--json"]).ended_with(0).json();
    let names = |list: &str| -> Vec<_> {
        listed[list].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names("roles").len(), names("own")), (ROLES.len(), vec!["reader".to_owned(), "team-lead".to_owned()]));
    let wrong = up.run(&["roles", "set", "lead", "closeout.delete"]).ended_with(4);
    assert!(wrong.stderr.contains("UNKNOWN_RIGHT") || wrong.stderr.contains("is no right"), "{}", wrong.stderr);
    let close = ["close-out", &name, "--reason", "NO_INTENT_NOW", "--yes", "--roles", "team-lead"];
    let reach = up.run(&close).ended_with(4);
    assert!(reach.stderr.contains("OUT_OF_REACH"), "{}", reach.stderr);
    up.run(&["roles", "remove", "team-lead"]).ended_with(0);
    let gone = up.run(&close).ended_with(4);
    assert!(gone.stderr.contains("RIGHT_MISSING"), "{}", gone.stderr);
    let nothing = up.run(&["roles", "remove", "team-lead"]).ended_with(2);
    assert!(nothing.stderr.contains("closeout roles"), "{}", nothing.stderr);
    let unknown = run(&["roles", "--roles"]).ended_with(2);
    assert!(unknown.stderr.contains("--roles"), "{}", unknown.stderr);
}
