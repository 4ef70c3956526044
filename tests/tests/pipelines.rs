//! A tenant's own pipelines, from the outside: made and changed, entered by opportunities, taken out of use under them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_proto::opportunity as sales;
use crm_tests::{
    client::{Client, closing, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::FieldMask;
use std::{collections::BTreeMap, fmt::Debug};
use tonic::{
    Code::{Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound},
    Status,
};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    a_pipeline_is_made_changed_and_put_in_order,
    opportunities_stay_where_they_are_when_a_stage_goes_out_of_use,
    every_violation_is_told_at_once,
);

fn labels(en: &str, zh: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("en".to_owned(), en.to_owned()), ("zh".to_owned(), zh.to_owned())])
}

fn stage(id: &str) -> sales::Stage {
    sales::Stage { stage_id: id.into(), labels: labels(id, "阶段"), win_percent: 40, ..Default::default() }
}

/// Asks for a pipeline with the stages `qualify` and `pilot`.
fn making(id: &str) -> sales::CreatePipelineRequest {
    let stages = vec![stage("qualify"), stage("pilot")];
    let pipeline = sales::Pipeline { labels: labels("Key accounts", "大客户"), stages, ..Default::default() };
    let request_id = Uuid::now_v7().to_string();
    sales::CreatePipelineRequest { pipeline: Some(pipeline), pipeline_id: id.into(), request_id, ..Default::default() }
}

async fn made(client: &Client, id: &str) -> sales::Pipeline {
    client.create_pipeline(making(id)).await.unwrap().pipeline.unwrap()
}

/// The tenant's pipelines, each with its stages; those that are not in use in brackets.
async fn listed(client: &Client, show_inactive: bool, locale: &str) -> Vec<String> {
    let request = sales::ListPipelinesRequest { show_inactive, locale: locale.into() };
    let pipelines = client.pipelines.clone().list_pipelines(request).await.unwrap().into_inner().pipelines;
    let word = |active: bool, text: &str| if active { text.to_owned() } else { format!("({text})") };
    let line = |one: &sales::Pipeline| {
        let stages = one.stages.iter().map(|stage| word(stage.active(), &stage.stage_id));
        let stages = stages.collect::<Vec<_>>().join(" ");
        format!("{}: {stages}", word(one.active, &one.display_name))
    };
    pipelines.iter().map(line).collect()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[track_caller]
fn invalid<T: Debug>(answer: Result<T, Status>, expected: &[&str]) {
    let status = answer.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let mut found: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.reason)).collect();
    found.sort();
    assert_eq!((status.code(), found), (InvalidArgument, expected.iter().map(|text| (*text).to_owned()).collect()));
}

async fn open(client: &Client, stage: &str) -> Result<sales::Opportunity, Status> {
    let opportunity = sales::Opportunity { title: "Cameras".into(), stage: stage.into(), ..Default::default() };
    let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    client.create_opportunity(request).await.map(|reply| reply.opportunity.unwrap())
}

async fn move_to(client: &Client, name: &str, stage: &str) -> Result<sales::Opportunity, Status> {
    let request = sales::MoveOpportunityStageRequest { name: name.into(), stage: stage.into(), ..Default::default() };
    client.move_opportunity_stage(request).await.map(|reply| reply.opportunity.unwrap())
}

async fn a_pipeline_is_made_changed_and_put_in_order(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, other) = (pair.client(), pair.client_of(TenantId(Uuid::now_v7()), "ann"));
    let default = "Default: prospecting engaging proposal negotiation";
    assert_eq!(listed(&client, true, "").await, [default]);
    let request = making("key-accounts");
    let first = client.create_pipeline(request.clone()).await.unwrap();
    assert_eq!(client.create_pipeline(request.clone()).await.unwrap(), first, "the same call has the same answer");
    let again = client.create_pipeline(making("key-accounts")).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (AlreadyExists, "NAME_TAKEN"));
    let reused = sales::CreatePipelineRequest { pipeline_id: "renewals".into(), ..request };
    assert_eq!(reason(&client.create_pipeline(reused).await.unwrap_err()), "IDEMPOTENCY_KEY_REUSED");

    let mut pipeline = first.pipeline.unwrap();
    pipeline.stages = vec![stage("pilot"), stage("demo")];
    let update_mask = Some(FieldMask { paths: vec!["stages".into()] });
    let update = sales::UpdatePipelineRequest { pipeline: Some(pipeline.clone()), update_mask, ..Default::default() };
    let judged = sales::UpdatePipelineRequest { validate_only: true, ..update.clone() };
    client.update_pipeline(judged).await.unwrap();
    let updated = client.update_pipeline(update.clone()).await.unwrap().pipeline.unwrap();
    assert_ne!(updated.etag, pipeline.etag);
    let old = client.update_pipeline(update).await.unwrap_err();
    assert_eq!((old.code(), reason(&old).as_str()), (Aborted, "VERSION_MISMATCH"));

    let reorder = |names: &[&str]| {
        let pipelines = names.iter().map(|name| (*name).to_owned()).collect();
        sales::ReorderPipelinesRequest { pipelines, ..Default::default() }
    };
    let order = ["pipelines/key-accounts", "pipelines/default"];
    let judged = sales::ReorderPipelinesRequest { validate_only: true, ..reorder(&order) };
    client.pipelines.clone().reorder_pipelines(judged).await.unwrap();
    assert_eq!(listed(&client, true, "zh-CN").await[1], "大客户: pilot demo (qualify)");
    client.reorder_pipelines(reorder(&order)).await.unwrap();
    assert_eq!(listed(&client, false, "").await, ["Key accounts: pilot demo", default]);
    let begun = open(&client, "").await.unwrap();
    assert_eq!(begun.stage, "pipelines/key-accounts/stages/pilot");
    invalid(
        client.reorder_pipelines(reorder(&["pipelines/default", "pipelines/none"])).await,
        &["pipelines INCOMPLETE", "pipelines[1] UNKNOWN_PIPELINE"],
    );

    assert_eq!(listed(&other, true, "").await, [default]);
    let get = |name: &str| sales::GetPipelineRequest { name: name.into(), ..Default::default() };
    let foreign = other.pipelines.clone().get_pipeline(get("pipelines/key-accounts")).await.unwrap_err();
    assert_eq!(foreign.code(), NotFound);
    invalid(open(&other, "pipelines/key-accounts/stages/pilot").await, &["opportunity.stage UNKNOWN_STAGE"]);
    made(&other, "key-accounts").await;
    pair.end().await;
}

async fn opportunities_stay_where_they_are_when_a_stage_goes_out_of_use(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let pipeline = made(&client, "key-accounts").await;
    let [qualify, pilot] = [0, 1].map(|index| pipeline.stages[index].name.clone());
    let name = open(&client, "").await.unwrap().name;
    let moved = move_to(&client, &name, &pilot).await.unwrap();
    assert_eq!(moved.stage, pilot, "another pipeline may be entered");
    let deactivate = |name: &str| sales::DeactivatePipelineRequest { name: name.into(), ..Default::default() };
    client.deactivate_pipeline(deactivate("pipelines/key-accounts")).await.unwrap();
    let last = client.deactivate_pipeline(deactivate("pipelines/default")).await.unwrap_err();
    assert_eq!((last.code(), reason(&last).as_str()), (FailedPrecondition, "LAST_PIPELINE"));
    invalid(open(&client, &qualify).await, &["opportunity.stage STAGE_INACTIVE"]);
    invalid(move_to(&client, &name, &qualify).await, &["stage STAGE_INACTIVE"]);

    let closed = client.close_out_opportunity(closing(&name)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.snapshot.unwrap().stage, pilot);
    let reopened = client.reopen_opportunity(reopening(&name)).await.unwrap().opportunity.unwrap();
    assert_eq!(reopened.stage, pilot, "the stage of before, although nothing may enter it");
    let listed = |stage: &str| sales::ListOpportunitiesRequest { stage: stage.into(), ..Default::default() };
    let found = client.opportunities.clone().list_opportunities(listed(&pilot)).await.unwrap().into_inner();
    assert_eq!(found.opportunities.iter().map(|one| &one.name).collect::<Vec<_>>(), [&name]);
    let unknown = client.opportunities.clone().list_opportunities(listed("pipelines/default/stages/pilot")).await;
    invalid(unknown, &["stage UNKNOWN_STAGE"]);

    let activate = sales::ActivatePipelineRequest { name: pipeline.name.clone(), ..Default::default() };
    client.activate_pipeline(activate).await.unwrap();
    move_to(&client, &name, &qualify).await.unwrap();
    let only = sales::Pipeline { name: pipeline.name, stages: vec![stage("pilot")], ..Default::default() };
    let request = sales::UpdatePipelineRequest { pipeline: Some(only), ..Default::default() };
    client.update_pipeline(request).await.unwrap();
    invalid(open(&client, &qualify).await, &["opportunity.stage STAGE_INACTIVE"]);
    pair.end().await;
}

async fn every_violation_is_told_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    made(&client, "key-accounts").await;
    let before = pair.audit_rows().await;
    let bad = sales::Stage { win_percent: 101, labels: labels("", "阶段"), ..stage("Pilot") };
    let french = BTreeMap::from([("fr".to_owned(), "Clients".to_owned())]);
    let pipeline = sales::Pipeline { labels: french, stages: vec![stage("a"), bad, stage("a")], ..Default::default() };
    let request = sales::CreatePipelineRequest {
        pipeline: Some(pipeline),
        pipeline_id: "2nd".into(),
        request_id: "x".into(),
        ..Default::default()
    };
    invalid(
        client.create_pipeline(request).await,
        &[
            "pipeline.labels UNKNOWN_FIELD",
            "pipeline.labels.en REQUIRED",
            "pipeline.labels.zh REQUIRED",
            "pipeline.stages[1].labels.en REQUIRED",
            "pipeline.stages[1].stage_id INVALID_NAME",
            "pipeline.stages[1].win_percent OUT_OF_RANGE",
            "pipeline.stages[2].stage_id REPEATED",
            "pipeline_id INVALID_NAME",
            "request_id INVALID_UUID",
        ],
    );
    let off = sales::Stage { active: Some(false), ..stage("a") };
    for (stages, violation) in [
        (Vec::new(), "pipeline.stages COUNT"),
        (vec![off], "pipeline.stages REQUIRED"),
        ((0..51).map(|n| stage(&format!("s{n}"))).collect(), "pipeline.stages COUNT"),
        ((0..49).map(|n| stage(&format!("s{n}"))).collect(), "pipeline.stages COUNT"), // with the two that stay
    ] {
        let pipeline = sales::Pipeline { name: "pipelines/key-accounts".into(), stages, ..Default::default() };
        let update_mask = Some(FieldMask { paths: vec!["stages".into()] });
        let request = sales::UpdatePipelineRequest { pipeline: Some(pipeline), update_mask, ..Default::default() };
        invalid(client.update_pipeline(request).await, &[violation]);
    }
    let opportunity =
        |stage: &str| sales::Opportunity { stage: stage.into(), owner: "长".repeat(50), ..Default::default() };
    for (stage, violation) in [
        ("engaging", "opportunity.stage INVALID_NAME"),
        ("pipelines/key-accounts/stages/engaging", "opportunity.stage UNKNOWN_STAGE"),
        ("pipelines/none/stages/engaging", "opportunity.stage UNKNOWN_STAGE"),
    ] {
        let opportunity = Some(opportunity(stage));
        let request = sales::CreateOpportunityRequest { opportunity, ..Default::default() };
        let expected = ["opportunity.owner TOO_LONG", violation, "opportunity.title REQUIRED"];
        invalid(client.create_opportunity(request).await, &expected);
    }
    let request = sales::MoveOpportunityStageRequest {
        name: "x".into(),
        stage: "pipelines/a/stages/b".into(),
        ..Default::default()
    };
    invalid(client.move_opportunity_stage(request).await, &["name INVALID_NAME", "stage UNKNOWN_STAGE"]);
    assert_eq!(pair.audit_rows().await, before);
    pair.end().await;
}
