//! The rules about competitors, one test for each, on rows in memory.

use super::*;
use crate::domain::{
    Closing,
    tests::{TENANT, cause, closing, opened, world},
};
use crm_closeout::{reason, working_set::Rows};
use uuid::Uuid;

const OTHER: TenantId = TenantId(Uuid::from_u128(9));

fn made<const N: usize>(world: &mut World, names: [&str; N]) -> [CompetitorId; N] {
    names.map(|name| world.create_competitor(&cause(), name).unwrap().competitor_id)
}

fn row(world: &World, id: CompetitorId) -> &Competitor {
    world.competitors.get(&(TENANT, id)).unwrap()
}

fn merge(world: &mut World, sources: &[CompetitorId], target: CompetitorId) -> Result<Vec<Competitor>, Refusal> {
    world.merge_competitors(&cause(), sources, target).map(|(sources, _)| sources)
}

fn deactivate(world: &mut World, id: CompetitorId) -> Competitor {
    world.set_competitor_active(&cause(), id, "", false).unwrap()
}

/// Reason and values but `subject`.
fn told(refusal: &Refusal) -> (&'static str, Vec<&str>) {
    (refusal.reason(), refusal.values[1..].iter().map(|(_, value)| value.as_str()).collect())
}

fn lost_to(world: &mut World, competitor: CompetitorId) -> Result<CompetitorId, Refusal> {
    let id = opened(world).opportunity_id;
    let (reason, detail) = (reason::name("COMPETITOR_PRICE"), "They were much cheaper than we are".to_owned());
    let closing = Closing { reason, detail, competitor: Some(competitor), ..closing(id) };
    let (_, close_out) = world.close_out(&cause(), &closing)?;
    Ok(world.common.close_outs.get(&(TENANT, close_out)).unwrap().competitor_id.unwrap())
}

#[test]
fn a_name_is_taken_once_in_a_tenant() {
    let mut world = world();
    let [acme, _] = made(&mut world, ["Acme", "Globex"]);
    assert_eq!(world.create_competitor(&cause(), "Acme").unwrap_err().reason(), "NAME_TAKEN");
    assert_eq!(world.update_competitor(&cause(), acme, "", Some("Globex")).unwrap_err().reason(), "NAME_TAKEN");
    world.names.insert((TENANT, "Initech".into()));
    assert_eq!(world.update_competitor(&cause(), acme, "", Some("Initech")).unwrap_err().reason(), "NAME_TAKEN");
    let theirs = Cause { tenant_id: OTHER, ..cause() };
    world.create_competitor(&theirs, "Acme").unwrap();
}

#[test]
fn a_rename_is_a_new_version_and_an_old_etag_changes_nothing() {
    let mut world = world();
    let [acme] = made(&mut world, ["Acme"]);
    let renamed = world.update_competitor(&cause(), acme, "\"1\"", Some("Acme Group")).unwrap();
    assert_eq!((&*renamed.display_name, renamed.version, renamed.updated_at), ("Acme Group", 2, world.common.now));
    let stale = world.update_competitor(&cause(), acme, "\"1\"", Some("Acme")).unwrap_err();
    assert_eq!(stale.reason(), "VERSION_MISMATCH");
    assert_eq!(world.set_competitor_active(&cause(), acme, "\"1\"", false).unwrap_err().reason(), "VERSION_MISMATCH");
    let nobody = CompetitorId(Uuid::from_u128(404));
    assert_eq!(world.update_competitor(&cause(), nobody, "", Some("X")).unwrap_err(), Refusal::not_found(nobody));
}

#[test]
fn no_new_close_out_names_one_out_of_use_until_it_is_back() {
    let mut world = world();
    let [acme] = made(&mut world, ["Acme"]);
    assert!(!deactivate(&mut world, acme).active);
    assert_eq!(told(&lost_to(&mut world, acme).unwrap_err()), ("COMPETITOR_INACTIVE", vec!["Acme"]));
    world.set_competitor_active(&cause(), acme, "\"2\"", true).unwrap();
    assert_eq!(lost_to(&mut world, acme), Ok(acme));
}

#[test]
fn a_merged_one_is_out_of_use_and_says_what_to_name_instead() {
    let mut world = world();
    let [acme, ltd] = made(&mut world, ["Acme", "Acme Ltd"]);
    assert_eq!(lost_to(&mut world, ltd), Ok(ltd));
    let merged = merge(&mut world, &[ltd], acme).unwrap();
    assert_eq!((merged[0].active, merged[0].merged_into, merged[0].version), (false, Some(acme), 2));
    assert_eq!((row(&world, acme).active, row(&world, acme).version), (true, 1), "the target stays as it is");
    let refusal = lost_to(&mut world, ltd).unwrap_err();
    assert_eq!(told(&refusal), ("COMPETITOR_MERGED", vec!["Acme Ltd", &acme.to_string()]));
    let kept: Vec<_> = world.common.close_outs.iter().map(|close_out| close_out.competitor_id).collect();
    assert_eq!(kept, [Some(ltd)], "what was said stays");
}

#[test]
fn what_was_merged_into_a_source_follows_it() {
    let mut world = world();
    let [acme, ltd, gmbh, group] = made(&mut world, ["Acme", "Acme Ltd", "Acme GmbH", "Acme Group"]);
    merge(&mut world, &[ltd, gmbh], acme).unwrap();
    assert_eq!(merge(&mut world, &[acme], group).unwrap().len(), 1);
    for id in [acme, ltd, gmbh] {
        assert_eq!(row(&world, id).merged_into, Some(group));
    }
    assert_eq!([acme, ltd].map(|id| row(&world, id).version), [2, 3]);
}

#[test]
fn a_source_and_what_follows_it_may_be_named_together() {
    for turned in [false, true] {
        let mut world = world();
        let [acme, ltd, group] = made(&mut world, ["Acme", "Acme Ltd", "Acme Group"]);
        merge(&mut world, &[ltd], acme).unwrap();
        let mut sources = [acme, ltd];
        if turned {
            sources.reverse();
        }
        merge(&mut world, &sources, group).unwrap();
        let after = [acme, ltd].map(|id| (row(&world, id).merged_into, row(&world, id).version));
        assert_eq!(after, [(Some(group), 2), (Some(group), 3)]);
    }
}

#[test]
fn a_wrong_merge_is_put_right_by_another_one() {
    let mut world = world();
    let [acme, ltd, globex] = made(&mut world, ["Acme", "Acme Ltd", "Globex"]);
    merge(&mut world, &[ltd], globex).unwrap();
    merge(&mut world, &[ltd], acme).unwrap();
    assert_eq!(row(&world, ltd).merged_into, Some(acme));
    merge(&mut world, &[globex], acme).unwrap();
    assert_eq!(row(&world, ltd).version, 3, "it does not follow the one that it left");
}

#[test]
fn each_source_is_named_once_and_the_target_is_none() {
    let [a, b, c] = ["competitors/a", "competitors/b", "competitors/c"].map(str::to_owned);
    let words = |sources: &[&String], target: &str| {
        let sources: Vec<_> = sources.iter().map(|source| (*source).clone()).collect();
        let found = check_sources(&sources, target).into_iter();
        found.map(|violation| (violation.field.clone(), violation.reason(), violation.wording)).collect::<Vec<_>>()
    };
    assert!(words(&[&a, &b], &c).is_empty());
    let repeated = |field: &str, wording| (field.to_owned(), "REPEATED", wording);
    let expected = [repeated("sources[1]", &wording::REPEATED), repeated("sources[2]", &wording::MERGED_INTO_ITSELF)];
    assert_eq!(words(&[&a, &a, &b], &b), expected);
}

#[test]
fn what_is_not_there_is_not_merged_and_nothing_else_is() {
    let mut world = world();
    let [acme, ltd] = made(&mut world, ["Acme", "Acme Ltd"]);
    let nobody = CompetitorId(Uuid::from_u128(404));
    world.begin();
    assert_eq!(merge(&mut world, &[ltd, nobody], acme).unwrap_err(), Refusal::not_found(nobody));
    world.rollback();
    assert_eq!(merge(&mut world, &[ltd], nobody).unwrap_err(), Refusal::not_found(nobody));
    assert_eq!(row(&world, ltd).merged_into, None);
}

#[test]
fn a_target_is_in_use_and_not_merged_itself() {
    let mut world = world();
    let [acme, ltd, group] = made(&mut world, ["Acme", "Acme Ltd", "Acme Group"]);
    deactivate(&mut world, acme);
    assert_eq!(told(&merge(&mut world, &[ltd], acme).unwrap_err()), ("COMPETITOR_INACTIVE", vec!["Acme"]));
    merge(&mut world, &[acme], group).unwrap();
    let refusal = merge(&mut world, &[ltd], acme).unwrap_err();
    assert_eq!(told(&refusal), ("COMPETITOR_MERGED", vec!["Acme", &group.to_string()]));
}

#[test]
fn a_merged_one_is_not_taken_into_use_again() {
    let mut world = world();
    let [acme, ltd] = made(&mut world, ["Acme", "Acme Ltd"]);
    merge(&mut world, &[ltd], acme).unwrap();
    let refusal = world.set_competitor_active(&cause(), ltd, "", true).unwrap_err();
    assert_eq!(told(&refusal), ("COMPETITOR_MERGED", vec!["Acme Ltd", &acme.to_string()]));
    let renamed = world.update_competitor(&cause(), ltd, "", Some("Acme Limited")).unwrap();
    assert_eq!((&*renamed.display_name, renamed.merged_into), ("Acme Limited", Some(acme)));
}

#[test]
fn what_is_so_already_leaves_no_trace() {
    let mut world = world();
    let [acme, ltd] = made(&mut world, ["Acme", "Acme Ltd"]);
    let merged = merge(&mut world, &[ltd], acme).unwrap().remove(0);
    let audit = world.common.audit.entries().len();
    assert_eq!(merge(&mut world, &[ltd], acme).unwrap().remove(0), merged);
    assert_eq!(deactivate(&mut world, ltd), merged);
    let acme_row = row(&world, acme).clone();
    assert_eq!(world.set_competitor_active(&cause(), acme, "", true).unwrap(), acme_row);
    for name in [Some("Acme"), None] {
        assert_eq!(world.update_competitor(&cause(), acme, "", name).unwrap(), acme_row);
    }
    assert_eq!(world.common.audit.entries().len(), audit);
}

#[test]
fn each_change_is_in_the_audit_trail() {
    let mut world = world();
    let [acme, ltd, group] = made(&mut world, ["Acme", "Acme Ltd", "Acme Group"]);
    deactivate(&mut world, ltd);
    merge(&mut world, &[ltd], acme).unwrap();
    merge(&mut world, &[acme], group).unwrap();
    let changes = world.common.audit.entries().iter().skip(3);
    let changes = changes.map(|e| (e.resource.clone(), e.version_before, &*e.state_before, &*e.state_after));
    let expected = [
        (ltd.to_string(), 1, "ACTIVE", "INACTIVE"),
        (ltd.to_string(), 2, "INACTIVE", "MERGED"),
        (ltd.to_string(), 3, "MERGED", "MERGED"),
        (acme.to_string(), 1, "ACTIVE", "MERGED"),
    ];
    assert_eq!(changes.collect::<Vec<_>>(), expected);
}

#[test]
fn followers_that_were_loaded_are_found_by_what_they_were_merged_into() {
    let mut world = world();
    let [acme, ltd, group] = made(&mut world, ["Acme", "Acme Ltd", "Acme Group"]);
    merge(&mut world, &[ltd], acme).unwrap();
    world.competitors = Rows::loaded(world.competitors.iter().cloned().collect::<Vec<_>>());
    merge(&mut world, &[acme], group).unwrap();
    assert_eq!(row(&world, ltd).merged_into, Some(group));
}
