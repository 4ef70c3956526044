//! The rules about pipelines, one test for each, on rows in memory.

use super::*;
use crate::domain::tests::{TENANT, cause, closing, opened, world};
use crm_closeout::{ids::TenantId, refusal::Refusal};
use uuid::Uuid;

const OTHER: TenantId = TenantId(Uuid::from_u128(9));

fn stage(id: &str, active: bool) -> Stage {
    Stage { id: id.into(), labels: Labels::new(id, "阶段"), win_percent: 50, active }
}

fn new(id: &str) -> NewPipeline {
    let stages = Stages(vec![stage("gone", false), stage("first", true), stage("second", true)]);
    NewPipeline { id: id.into(), labels: Labels::new("Partners", "渠道"), stages }
}

fn stages(stages: &[Stage]) -> PipelineEdit {
    PipelineEdit { stages: Some(Stages(stages.to_vec())), ..PipelineEdit::default() }
}

fn ids(world: &World) -> Vec<&str> {
    in_order(&world.pipelines, TENANT).into_iter().map(|pipeline| pipeline.pipeline_id.as_str()).collect()
}

fn words(refusal: &Refusal) -> Vec<(&str, &str)> {
    refusal.violations.iter().map(|violation| (violation.field.as_str(), violation.reason())).collect()
}

fn enter(world: &World, stage: &str) -> Option<&'static str> {
    let name = StageName::new("partners", stage);
    check(&world.pipelines, TENANT, "stage", &name).err().map(|violation| violation.reason())
}

#[test]
fn an_opportunity_enters_active_stages_of_active_pipelines_only() {
    let mut world = world();
    assert_eq!(enter(&world, "first"), Some("UNKNOWN_STAGE"));
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    assert_eq!(
        ["first", "gone", "third"].map(|stage| enter(&world, stage)),
        [None, Some("STAGE_INACTIVE"), Some("UNKNOWN_STAGE")]
    );
    world.set_pipeline_active(&cause(), "partners", "", false).unwrap();
    assert_eq!(enter(&world, "first"), Some("STAGE_INACTIVE"));
    assert!(check(&world.pipelines, OTHER, "stage", &StageName::new("partners", "first")).is_err());
}

#[test]
fn an_opportunity_begins_in_the_first_active_stage_of_the_first_active_pipeline() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    let first = |world: &World| world.first_stage(TENANT, None).unwrap().to_string();
    assert_eq!(first(&world), "pipelines/default/stages/prospecting");
    world.reorder_pipelines(&cause(), &["partners".into(), "default".into()]).unwrap();
    assert_eq!(first(&world), "pipelines/partners/stages/first");
    world.set_pipeline_active(&cause(), "partners", "", false).unwrap();
    assert_eq!(first(&world), "pipelines/default/stages/prospecting");
}

#[test]
fn an_opportunity_may_move_to_another_pipeline() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    let name = StageName::new("partners", "second");
    let moved = world.move_stage(&cause(), opportunity.opportunity_id, "", &name).unwrap();
    assert_eq!((moved.stage, moved.version), (name, 2));
    let gone = StageName::new("partners", "gone");
    let refusal = world.move_stage(&cause(), opportunity.opportunity_id, "", &gone).unwrap_err();
    assert_eq!(words(&refusal), [("stage", "STAGE_INACTIVE")]);
}

#[test]
fn reopening_goes_back_to_a_stage_that_is_not_active_any_more() {
    let mut world = world();
    let opportunity = opened(&mut world);
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    let name = StageName::new("partners", "second");
    world.move_stage(&cause(), opportunity.opportunity_id, "", &name).unwrap();
    world.update_pipeline(&cause(), "partners", "", &stages(&[stage("first", true)])).unwrap();
    world.set_pipeline_active(&cause(), "partners", "", false).unwrap();
    world.close_out(&cause(), &closing(opportunity.opportunity_id)).unwrap();
    let (open, _) = world.reopen(&cause(), opportunity.opportunity_id, "", "").unwrap();
    assert_eq!(open.stage, name);
}

#[test]
fn a_stage_that_is_left_out_stays_and_is_not_active() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    let edit = stages(&[stage("second", true), stage("new", true)]);
    let after = world.update_pipeline(&cause(), "partners", "\"1\"", &edit).unwrap();
    let all: Vec<_> = after.stages.0.iter().map(|stage| (stage.id.as_str(), stage.active)).collect();
    assert_eq!(all, [("second", true), ("new", true), ("gone", false), ("first", false)]);
    assert_eq!((after.version, &*after.labels.zh), (2, "渠道"));
    let stale = world.update_pipeline(&cause(), "partners", "\"1\"", &edit).unwrap_err();
    assert_eq!(stale.reason(), "VERSION_MISMATCH");
}

#[test]
fn stages_that_stay_count() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    let many: Vec<_> = (0..48).map(|n| stage(&format!("s{n}"), true)).collect();
    let refusal = world.update_pipeline(&cause(), "partners", "", &stages(&many)).unwrap_err();
    assert_eq!(words(&refusal), [("pipeline.stages", "COUNT")]);
    world.update_pipeline(&cause(), "partners", "", &stages(&many[1..])).unwrap();
}

#[test]
fn the_last_active_pipeline_stays() {
    let mut world = world();
    let refusal = world.set_pipeline_active(&cause(), "default", "", false).unwrap_err();
    assert_eq!(refusal.reason(), "LAST_PIPELINE");
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    world.set_pipeline_active(&cause(), "default", "", false).unwrap();
    assert_eq!(
        world.set_pipeline_active(&cause(), "partners", "", false).unwrap_err().values[0].1,
        "pipelines/partners"
    );
    world.set_pipeline_active(&cause(), "default", "", true).unwrap();
    world.set_pipeline_active(&cause(), "partners", "", false).unwrap();
}

#[test]
fn an_id_is_taken_once_and_there_is_a_most() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    for taken in ["partners", "default"] {
        assert_eq!(world.create_pipeline(&cause(), &new(taken)).unwrap_err().reason(), "NAME_TAKEN");
    }
    for n in 2..MOST_PIPELINES {
        world.create_pipeline(&cause(), &new(&format!("p{n}"))).unwrap();
    }
    assert_eq!(world.create_pipeline(&cause(), &new("more")).unwrap_err().reason(), "TOO_MANY_PIPELINES");
}

#[test]
fn a_new_order_names_every_pipeline() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    world.create_pipeline(&cause(), &new("renewals")).unwrap();
    let refusal = world.reorder_pipelines(&cause(), &["renewals".into(), "none".into()]).unwrap_err();
    assert_eq!(words(&refusal), [("pipelines[1]", "UNKNOWN_PIPELINE"), ("pipelines", "INCOMPLETE")]);
    world.reorder_pipelines(&cause(), &["default".into(), "renewals".into(), "partners".into()]).unwrap();
    assert_eq!(ids(&world), ["default", "renewals", "partners"]);
    let versions = in_order(&world.pipelines, TENANT).into_iter().map(|pipeline| pipeline.version);
    assert_eq!(versions.collect::<Vec<_>>(), [1, 2, 2], "what stays in its place has not changed");
}

#[test]
fn what_changes_nothing_leaves_no_trace() {
    let mut world = world();
    let made = world.create_pipeline(&cause(), &new("partners")).unwrap();
    assert_eq!(world.set_pipeline_active(&cause(), "partners", "", true).unwrap(), made);
    assert_eq!(world.update_pipeline(&cause(), "partners", "", &PipelineEdit::default()).unwrap(), made);
    assert_eq!(world.common.audit.entries().len(), 1);
}

#[test]
fn each_change_is_in_the_audit_trail() {
    let mut world = world();
    world.create_pipeline(&cause(), &new("partners")).unwrap();
    world.set_pipeline_active(&cause(), "partners", "", false).unwrap();
    let audit = world.common.audit.entries().iter();
    let audit: Vec<_> = audit.map(|e| (&*e.resource, e.version_before, e.version_after, &*e.state_after)).collect();
    assert_eq!(audit, [("pipelines/partners", 0, 1, "ACTIVE"), ("pipelines/partners", 1, 2, "INACTIVE")]);
}
