//! Pipelines on both databases, through whole batches: who has which, what enters which stage, and what is read for it.

use super::{
    pipelines,
    tests::{OTHER, TENANT, call, close, done, fresh, refused, reopen, run, the_opportunity},
};
use crate::domain::{
    Command, NewOpportunity, Opportunity, Pipeline, PipelineCommand,
    pipeline::{Labels, NewPipeline, PipelineEdit, Stage, Stages, in_order},
};
use crm_closeout::{
    episode::CloseOut,
    ids::{OpportunityId, TenantId},
    money::Money,
    pipeline::StageName,
};
use crm_outbox::{
    batch::{Item, Verdict},
    db::Db,
    select::{Order, Select},
};
use crm_proto::opportunity as pb;
use prost::Message;
use uuid::Uuid;

fresh::on_both!(crate::MIGRATIONS;
    a_tenant_without_pipelines_has_the_built_in_one,
    what_is_changed_is_read_back_in_order,
    pipelines_are_of_one_tenant,
    copies_of_a_request_make_one_pipeline,
    an_opportunity_is_found_in_the_stage_of_its_pipeline,
    a_close_out_keeps_the_stage_and_asks_nothing_about_it,
    statements_do_not_depend_on_how_many_enter_a_stage,
    a_change_that_is_only_judged_leaves_the_built_in_one_as_it_is,
);

fn labels(en: &str, zh: &str) -> Labels {
    Labels { en: en.into(), zh: zh.into() }
}

fn stage(id: &str, active: bool) -> Stage {
    Stage { id: id.into(), labels: labels("Demo \"two\"", "演示"), win_percent: 40, active }
}

fn create(tenant: TenantId, request: u128, id: &str) -> Item<Command> {
    let stages = Stages(vec![stage("demo", true), stage("pilot", true)]);
    let new = NewPipeline { id: id.into(), labels: labels("Key accounts", "大客户"), stages };
    call(tenant, request, "CreatePipeline", Command::Pipeline(PipelineCommand::Create(new)))
}

fn change(request: u128, command: PipelineCommand) -> Item<Command> {
    call(TENANT, request, "ChangePipeline", Command::Pipeline(command))
}

fn open(tenant: TenantId, stage: Option<&str>) -> Item<Command> {
    let new = NewOpportunity {
        number: String::new(),
        customer_id: None,
        title: "Servers".into(),
        owner: "ann".into(),
        team: String::new(),
        stage: stage.map(|stage| StageName::new("key-accounts", stage)),
        amount: Money::NONE,
        expected_close_at: None,
        source: String::new(),
        recovered_from: None,
        historical: None,
    };
    call(tenant, Uuid::now_v7().as_u128(), "CreateOpportunity", Command::CreateOpportunity(new))
}

fn opened(verdict: Verdict) -> OpportunityId {
    OpportunityId::parse(&pb::Opportunity::decode(&*done(verdict).reply).unwrap().name).unwrap()
}

async fn ids(db: &Db, tenant: TenantId) -> Vec<String> {
    let rows = pipelines::of_tenant(db, tenant).await.unwrap();
    in_order(&rows, tenant).into_iter().map(|pipeline| pipeline.pipeline_id.clone()).collect()
}

async fn pipeline(db: &Db, id: &str) -> Option<Pipeline> {
    db.get::<Pipeline>(&(TENANT, id.to_owned())).await.unwrap()
}

async fn a_tenant_without_pipelines_has_the_built_in_one(db: &Db) {
    assert_eq!(ids(db, TENANT).await, ["default"]);
    let id = opened(run(db, &[open(TENANT, None)]).await.remove(0));
    assert_eq!(the_opportunity(db, id).await.stage, StageName::new("default", "prospecting"));
    assert_eq!(pipeline(db, "default").await, None, "it is no row until somebody changes it");
}

async fn what_is_changed_is_read_back_in_order(db: &Db) {
    let order =
        |request, ids: [&str; 2]| change(request, PipelineCommand::Reorder { ids: ids.map(str::to_owned).to_vec() });
    let edit = PipelineEdit { stages: Some(Stages(vec![stage("pilot", true)])), labels: None };
    let update = PipelineCommand::Update { id: "key-accounts".into(), etag: "\"2\"".into(), edit };
    let items = [create(TENANT, 1, "key-accounts"), order(2, ["key-accounts", "default"]), change(3, update)];
    run(db, &items).await.into_iter().for_each(|verdict| drop(done(verdict)));
    assert_eq!(ids(db, TENANT).await, ["key-accounts", "default"]);
    let row = pipeline(db, "key-accounts").await.unwrap();
    assert_eq!((row.labels, row.version, row.active), (labels("Key accounts", "大客户"), 3, true));
    assert_eq!(row.stages, Stages(vec![stage("pilot", true), stage("demo", false)]));
    let id = opened(run(db, &[open(TENANT, None)]).await.remove(0));
    assert_eq!(the_opportunity(db, id).await.stage, StageName::new("key-accounts", "pilot"));
    let off = PipelineCommand::SetActive { id: "default".into(), etag: String::new(), active: false };
    run(db, &[change(4, off)]).await.into_iter().for_each(|verdict| drop(done(verdict)));
    assert!(!pipeline(db, "default").await.unwrap().active);
}

async fn pipelines_are_of_one_tenant(db: &Db) {
    let mut verdicts = run(db, &[create(OTHER, 1, "key-accounts"), open(TENANT, Some("demo"))]).await;
    assert_eq!(refused(verdicts.pop().unwrap()), "INVALID_FIELDS");
    done(verdicts.pop().unwrap());
    assert_eq!((ids(db, TENANT).await, ids(db, OTHER).await.len()), (vec!["default".to_owned()], 2));
    done(run(db, &[create(TENANT, 1, "key-accounts")]).await.remove(0));
}

async fn copies_of_a_request_make_one_pipeline(db: &Db) {
    let copies = [create(TENANT, 1, "key-accounts"), create(TENANT, 1, "key-accounts")];
    let answers: Vec<_> = run(db, &copies).await.into_iter().map(done).collect();
    assert_eq!((answers[0].repeated, answers[1].repeated), (false, true));
    assert_eq!(answers[0].reply, answers[1].reply);
    assert_eq!(refused(run(db, &[create(TENANT, 2, "key-accounts")]).await.remove(0)), "NAME_TAKEN");
}

async fn an_opportunity_is_found_in_the_stage_of_its_pipeline(db: &Db) {
    let items = [create(TENANT, 1, "key-accounts"), open(TENANT, Some("pilot")), open(TENANT, None)];
    let mut verdicts = run(db, &items).await;
    let (default, pilot) = (opened(verdicts.pop().unwrap()), opened(verdicts.pop().unwrap()));
    let listed = async |pipeline: &str, stage: &str| {
        let select = Select::<Opportunity>::of(TENANT).equal("stage", Some(&StageName::new(pipeline, stage)));
        let rows = select.page(db, "opportunity_id", Order::Oldest, None, 10).await.unwrap();
        rows.iter().map(|row| row.opportunity_id).collect::<Vec<_>>()
    };
    assert_eq!(listed("key-accounts", "pilot").await, [pilot]);
    assert_eq!(listed("default", "prospecting").await, [default]);
    assert!(listed("default", "pilot").await.is_empty());
}

async fn a_close_out_keeps_the_stage_and_asks_nothing_about_it(db: &Db) {
    let mut verdicts = run(db, &[create(TENANT, 1, "key-accounts"), open(TENANT, Some("pilot"))]).await;
    let id = opened(verdicts.pop().unwrap());
    let off = |request| {
        let id = "key-accounts".to_owned();
        change(request, PipelineCommand::SetActive { id, etag: String::new(), active: false })
    };
    let mut verdicts = run(db, &[off(2), open(TENANT, Some("pilot")), close(id, 3)]).await;
    let closed = done(verdicts.pop().unwrap()).close_out_id.unwrap();
    assert_eq!(refused(verdicts.pop().unwrap()), "INVALID_FIELDS");
    let stage = StageName::new("key-accounts", "pilot");
    let close_out = db.get::<CloseOut>(&(TENANT, closed)).await.unwrap().unwrap();
    assert_eq!(close_out.snapshot.stage, Some(stage.clone()));
    done(run(db, &[reopen(id, 4)]).await.remove(0));
    assert_eq!(the_opportunity(db, id).await.stage, stage);
}

async fn statements_do_not_depend_on_how_many_enter_a_stage(db: &Db) {
    done(run(db, &[create(TENANT, 1, "key-accounts")]).await.remove(0));
    let mut counts = Vec::new();
    for size in [1_usize, 16, 256] {
        let stages = [None, Some("demo"), Some("pilot")];
        let items = (0..size).map(|n| open([TENANT, OTHER][n % 2], stages[n / 2 % 3].filter(|_| n % 2 == 0)));
        let items: Vec<_> = items.collect();
        let before = db.statement_count();
        run(db, &items).await.into_iter().for_each(|verdict| drop(done(verdict)));
        counts.push(db.statement_count() - before);
    }
    println!("statements in a batch of 1, 16 and 256 new opportunities: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

async fn a_change_that_is_only_judged_leaves_the_built_in_one_as_it_is(db: &Db) {
    let edit = PipelineEdit { labels: Some(labels("Sales", "销售")), stages: None };
    let update = PipelineCommand::Update { id: "default".into(), etag: "\"1\"".into(), edit };
    let Item::Call(mut asked) = change(1, update) else { panic!() };
    asked.validate_only = true;
    let reply = done(run(db, &[Item::Call(asked)]).await.remove(0)).reply;
    assert_eq!(pb::Pipeline::decode(&*reply).unwrap().etag, "\"2\"");
    let rows = pipelines::of_tenant(db, TENANT).await.unwrap();
    assert_eq!(in_order(&rows, TENANT), [&Pipeline::built_in(TENANT)]);
}
