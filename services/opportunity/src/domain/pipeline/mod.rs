//! Pipelines and their stages: what they are, which one every tenant has, and whether an opportunity may enter a stage.
//! `managing` is how a tenant changes them.

mod managing;

use super::World;
use crm_closeout::{
    ids::TenantId,
    pipeline::{self, StageName},
    refusal::Violation,
    wording::{self, Language},
    working_set::{Keyed, Rows},
};

pub use managing::{MOST_PIPELINES, MOST_STAGES, NewPipeline, PipelineCommand, PipelineEdit};

/// What something is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

impl Labels {
    fn new(en: &str, zh: &str) -> Self {
        Self { en: en.to_owned(), zh: zh.to_owned() }
    }

    /// In the language of a tag such as `zh-CN`; English for every other language.
    pub fn of(&self, locale: &str) -> &str {
        match Language::of(locale) {
            Language::Chinese => &self.zh,
            Language::English => &self.en,
        }
    }
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its id, once in a pipeline.
    pub id: String,
    /// What it is called.
    pub labels: Labels,
    /// Chance to win from here, in percent.
    pub win_percent: i32,
    /// Whether an opportunity may enter it.
    pub active: bool,
}

/// The stages of a pipeline, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages(pub Vec<Stage>);

impl Stages {
    /// Those that an opportunity may enter.
    pub fn active(&self) -> impl Iterator<Item = &Stage> {
        self.0.iter().filter(|stage| stage.active)
    }

    /// The stage with this id.
    pub fn get(&self, id: &str) -> Option<&Stage> {
        self.0.iter().find(|stage| stage.id == id)
    }
}

/// A run of stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id, chosen by the tenant.
    pub pipeline_id: String,
    /// What it is called.
    pub labels: Labels,
    /// Its stages.
    pub stages: Stages,
    /// Whether an opportunity may enter it.
    pub active: bool,
    /// Where it stands among the tenant's.
    pub place: i64,
    /// Raised by one at each change.
    pub version: i64,
}

impl Keyed for Pipeline {
    type Key = (TenantId, String);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.pipeline_id.clone())
    }
}

impl Pipeline {
    /// The pipeline `default`, as every tenant has it that has not changed it.
    pub fn built_in(tenant_id: TenantId) -> Self {
        let stage = |id: &str, en, zh, win_percent| Stage {
            id: id.to_owned(),
            labels: Labels::new(en, zh),
            win_percent,
            active: true,
        };
        Self {
            tenant_id,
            pipeline_id: pipeline::DEFAULT.to_owned(),
            labels: Labels::new("Default", "默认"),
            stages: Stages(vec![
                stage("prospecting", "Prospecting", "初步接触", 10),
                stage("engaging", "Engaging", "深入沟通", 30),
                stage("proposal", "Proposal", "方案报价", 55),
                stage("negotiation", "Negotiation", "商务谈判", 80),
            ]),
            active: true,
            place: 0,
            version: 1,
        }
    }

    /// Its resource name.
    pub fn name(&self) -> String {
        pipeline::name(&self.pipeline_id)
    }

    /// The name of one of its stages.
    pub fn stage_name(&self, stage: &Stage) -> StageName {
        StageName::new(&self.pipeline_id, &stage.id)
    }

    /// `pipelines/default/stages/{prospecting, engaging}`: the stages that an opportunity may enter.
    fn choice(&self) -> String {
        let ids: Vec<_> = self.stages.active().map(|stage| stage.id.as_str()).collect();
        format!("{}/stages/{{{}}}", self.name(), ids.join(", "))
    }
}

/// A tenant's pipelines in its order, the built-in one among them. They may be those of several tenants.
pub fn in_order(pipelines: &Rows<Pipeline>, tenant: TenantId) -> Vec<&Pipeline> {
    let mut all: Vec<_> = pipelines.iter().filter(|pipeline| pipeline.tenant_id == tenant).collect();
    all.sort_by_key(|pipeline| pipeline.place);
    all
}

/// The stage with this name, and its pipeline.
pub fn find<'a>(
    pipelines: &'a Rows<Pipeline>,
    tenant: TenantId,
    field: &str,
    name: &StageName,
) -> Result<(&'a Pipeline, &'a Stage), Violation> {
    let Some(pipeline) = pipelines.get(&(tenant, name.pipeline.clone())) else {
        let active = in_order(pipelines, tenant).into_iter().filter(|pipeline| pipeline.active);
        let names: Vec<_> = active.map(Pipeline::name).collect();
        let violation = Violation::new(field, &wording::STAGE_OF_NO_PIPELINE);
        return Err(violation.with("pipeline", pipeline::name(&name.pipeline)).with("pipelines", names.join(", ")));
    };
    let stage = pipeline.stages.get(&name.stage);
    let unknown = || Violation::new(field, &wording::UNKNOWN_STAGE).with("stages", pipeline.choice());
    Ok((pipeline, stage.ok_or_else(unknown)?))
}

/// Whether an opportunity may enter a stage: there is one, it is active, and so is its pipeline.
pub fn check(pipelines: &Rows<Pipeline>, tenant: TenantId, field: &str, name: &StageName) -> Result<(), Violation> {
    let (pipeline, stage) = find(pipelines, tenant, field, name)?;
    if !pipeline.active {
        return Err(Violation::new(field, &wording::PIPELINE_INACTIVE).with("pipeline", pipeline.name()));
    }
    if !stage.active {
        let violation = Violation::new(field, &wording::STAGE_INACTIVE).with("stage", &stage.id);
        return Err(violation.with("stages", pipeline.choice()));
    }
    Ok(())
}

impl World {
    /// The stage in which an opportunity begins: the one that is named, else the first active one of the first active pipeline.
    pub(super) fn first_stage(&self, tenant: TenantId, named: Option<&StageName>) -> Result<StageName, Violation> {
        const FIELD: &str = "opportunity.stage";
        if let Some(name) = named {
            return check(&self.pipelines, tenant, FIELD, name).map(|()| name.clone());
        }
        let mut active = in_order(&self.pipelines, tenant).into_iter().filter(|pipeline| pipeline.active);
        let first = active.find_map(|pipeline| Some(pipeline.stage_name(pipeline.stages.active().next()?)));
        first.ok_or_else(|| Violation::new(FIELD, &wording::REQUIRED))
    }
}

#[cfg(test)]
mod tests;
