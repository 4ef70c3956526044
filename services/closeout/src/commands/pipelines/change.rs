//! Makes pipelines and changes them.

use super::{CreateArgs, UpdateArgs, name, read, stage::stages};
use crate::api::Api;
use crate::request_id;
use anyhow::Context;
use crm_proto::opportunity::{
    ActivatePipelineRequest, CreatePipelineRequest, DeactivatePipelineRequest, ListPipelinesRequest, Pipeline,
    ReorderPipelinesRequest, UpdatePipelineRequest,
};
use prost_types::FieldMask;
use std::collections::BTreeMap;

/// Makes one.
pub(super) async fn create(args: &CreateArgs, api: &Api) -> anyhow::Result<Pipeline> {
    let labels = BTreeMap::from([("en".to_owned(), args.en.clone()), ("zh".to_owned(), args.zh.clone())]);
    let request = CreatePipelineRequest {
        pipeline: Some(Pipeline { labels, stages: stages(&args.stages, &[])?, ..Pipeline::default() }),
        pipeline_id: args.id.clone(),
        request_id: request_id::new(),
        validate_only: false,
    };
    there(api.create_pipeline(request).await?.pipeline)
}

/// Changes labels and stages. The etag makes sure that what is not named stays as it was read.
pub(super) async fn update(args: &UpdateArgs, api: &Api) -> anyhow::Result<Pipeline> {
    let mut pipeline = read(&args.pipeline, api).await?;
    let mut paths = Vec::new();
    for (language, label) in [("en", &args.en), ("zh", &args.zh)] {
        if let Some(label) = label {
            pipeline.labels.insert(language.to_owned(), label.clone());
            paths = vec!["labels".to_owned()];
        }
    }
    if !args.stages.is_empty() {
        pipeline.stages = stages(&args.stages, &pipeline.stages)?;
        paths.push("stages".to_owned());
    }
    let request = UpdatePipelineRequest {
        pipeline: Some(pipeline),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id::new(),
        validate_only: false,
    };
    there(api.update_pipeline(request).await?.pipeline)
}

/// Takes one out of use.
pub(super) async fn deactivate(pipeline: &str, api: &Api) -> anyhow::Result<Pipeline> {
    let (name, request_id) = (name(pipeline), request_id::new());
    let request = DeactivatePipelineRequest { name, request_id, ..DeactivatePipelineRequest::default() };
    there(api.deactivate_pipeline(request).await?.pipeline)
}

/// Takes one into use again.
pub(super) async fn activate(pipeline: &str, api: &Api) -> anyhow::Result<Pipeline> {
    let (name, request_id) = (name(pipeline), request_id::new());
    let request = ActivatePipelineRequest { name, request_id, ..ActivatePipelineRequest::default() };
    there(api.activate_pipeline(request).await?.pipeline)
}

/// Puts these first, the others behind them.
pub(super) async fn reorder(first: &[String], api: &Api) -> anyhow::Result<Vec<Pipeline>> {
    let request = ListPipelinesRequest { show_inactive: true, ..ListPipelinesRequest::default() };
    let known = api.list_pipelines(request).await?.pipelines.into_iter().map(|pipeline| pipeline.name);
    let mut pipelines: Vec<_> = first.iter().map(|pipeline| name(pipeline)).collect();
    let others: Vec<_> = known.filter(|name| !pipelines.contains(name)).collect();
    pipelines.extend(others);
    let request = ReorderPipelinesRequest { pipelines, request_id: request_id::new(), validate_only: false };
    Ok(api.reorder_pipelines(request).await?.pipelines)
}

fn there(pipeline: Option<Pipeline>) -> anyhow::Result<Pipeline> {
    pipeline.context("a reply without its pipeline")
}
