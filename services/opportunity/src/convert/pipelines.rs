//! Pipelines and stages between protobuf and the domain.

use crate::domain::pipeline::{Labels, MOST_STAGES, NewPipeline, Pipeline, PipelineEdit, Stage, Stages};
use crm_api::fields::{self, Fields};
use crm_closeout::{
    ids::is_id,
    pipeline::{self, StageName},
    refusal::etag,
    wording,
};
use crm_proto::opportunity as pb;
use prost_types::FieldMask;
use std::collections::{BTreeMap, BTreeSet};

/// The stage with this name, which must be given.
pub(crate) fn stage(fields: &mut Fields, field: &str, name: &str) -> Option<StageName> {
    let stage = StageName::parse(name);
    if name.is_empty() {
        fields.refuse(field, &wording::REQUIRED, &[]);
    } else if stage.is_none() {
        fields.refuse(field, &wording::INVALID_STAGE_NAME, &[]);
    }
    stage
}

/// The id in the name of a pipeline, which must be given.
pub(crate) fn pipeline_id(fields: &mut Fields, field: &str, name: &str) -> String {
    let id = pipeline::parse(name);
    if name.is_empty() {
        fields.refuse(field, &wording::REQUIRED, &[]);
    } else if id.is_none() {
        fields.refuse(field, &wording::INVALID_PIPELINE_NAME, &[]);
    }
    id.unwrap_or_default().to_owned()
}

/// Pipelines in an order, each of them once.
pub(crate) fn pipeline_ids(fields: &mut Fields, names: &[String]) -> Vec<String> {
    if names.is_empty() {
        fields.refuse("pipelines", &wording::REQUIRED, &[]);
    }
    let (mut seen, mut ids) = (BTreeSet::new(), Vec::with_capacity(names.len()));
    for (index, name) in names.iter().enumerate() {
        let field = format!("pipelines[{index}]");
        if !seen.insert(name) {
            fields.refuse(&field, &wording::REPEATED, &[("value", name)]);
        }
        ids.push(pipeline_id(fields, &field, name));
    }
    ids
}

/// A pipeline to be made.
pub(crate) fn new_pipeline(fields: &mut Fields, id: &str, pipeline: &pb::Pipeline) -> NewPipeline {
    NewPipeline {
        id: new_id(fields, "pipeline_id", id),
        labels: labels(fields, "pipeline.labels", &pipeline.labels),
        stages: stages(fields, &pipeline.stages),
    }
}

/// What to change of a pipeline.
pub(crate) fn pipeline_edit(fields: &mut Fields, pipeline: &pb::Pipeline, mask: Option<&FieldMask>) -> PipelineEdit {
    let writable = [("labels", !pipeline.labels.is_empty()), ("stages", !pipeline.stages.is_empty())];
    let chosen = fields.mask(mask, &writable, &["name", "display_name", "active", "etag"]);
    PipelineEdit {
        labels: chosen.contains("labels").then(|| labels(fields, "pipeline.labels", &pipeline.labels)),
        stages: chosen.contains("stages").then(|| stages(fields, &pipeline.stages)),
    }
}

fn new_id(fields: &mut Fields, field: &str, id: &str) -> String {
    if id.is_empty() {
        fields.refuse(field, &wording::REQUIRED, &[]);
    } else if !is_id(id) {
        fields.refuse(field, &wording::INVALID_ID, &[]);
    }
    id.to_owned()
}

fn labels(fields: &mut Fields, field: &str, labels: &BTreeMap<String, String>) -> Labels {
    for language in labels.keys().filter(|language| !["en", "zh"].contains(&language.as_str())) {
        let path = format!("{language:?}");
        fields.refuse(field, &wording::UNKNOWN_FIELD, &[("path", &path), ("fields", &"en, zh")]);
    }
    let mut label = |language: &str| {
        let text = labels.get(language).map_or("", String::as_str);
        fields.line(&format!("{field}.{language}"), text, 1..=fields::LABEL)
    };
    Labels { en: label("en"), zh: label("zh") }
}

fn stages(fields: &mut Fields, stages: &[pb::Stage]) -> Stages {
    const FIELD: &str = "pipeline.stages";
    if !(1..=MOST_STAGES).contains(&stages.len()) {
        let values: [(&'static str, &dyn std::fmt::Display); 3] =
            [("least", &1), ("most", &MOST_STAGES), ("count", &stages.len())];
        fields.refuse(FIELD, &wording::STAGE_COUNT, &values);
    } else if stages.iter().all(|stage| stage.active == Some(false)) {
        fields.refuse(FIELD, &wording::ACTIVE_STAGE_REQUIRED, &[]);
    }
    let (mut seen, mut all) = (BTreeSet::new(), Vec::with_capacity(stages.len()));
    for (index, stage) in stages.iter().enumerate() {
        let field = |name: &str| format!("{FIELD}[{index}].{name}");
        let id = new_id(fields, &field("stage_id"), &stage.stage_id);
        if !id.is_empty() && !seen.insert(&stage.stage_id) {
            fields.refuse(field("stage_id"), &wording::REPEATED, &[("value", &id)]);
        }
        if !(0..=100).contains(&stage.win_percent) {
            fields.refuse(field("win_percent"), &wording::RANGE, &[("least", &0), ("most", &100)]);
        }
        let labels = labels(fields, &field("labels"), &stage.labels);
        all.push(Stage { id, labels, win_percent: stage.win_percent, active: stage.active.unwrap_or(true) });
    }
    Stages(all)
}

/// A pipeline as the API shows it, its labels also in the language of this tag.
pub(crate) fn pipeline(pipeline: &Pipeline, locale: &str) -> pb::Pipeline {
    let stages = pipeline.stages.0.iter().map(|stage| pb::Stage {
        name: pipeline.stage_name(stage).to_string(),
        display_name: stage.labels.of(locale).to_owned(),
        win_percent: stage.win_percent,
        stage_id: stage.id.clone(),
        labels: by_language(&stage.labels),
        active: Some(stage.active),
    });
    pb::Pipeline {
        name: pipeline.name(),
        display_name: pipeline.labels.of(locale).to_owned(),
        stages: stages.collect(),
        labels: by_language(&pipeline.labels),
        active: pipeline.active,
        etag: etag(pipeline.version),
    }
}

/// The same without the stages that are not active.
pub(crate) fn pipeline_in_use(pipeline: &Pipeline, locale: &str) -> pb::Pipeline {
    let mut shown = self::pipeline(pipeline, locale);
    shown.stages.retain(pb::Stage::active);
    shown
}

fn by_language(labels: &Labels) -> BTreeMap<String, String> {
    BTreeMap::from([("en".to_owned(), labels.en.clone()), ("zh".to_owned(), labels.zh.clone())])
}
