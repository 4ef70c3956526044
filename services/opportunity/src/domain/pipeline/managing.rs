//! How a tenant changes its pipelines. The batch holds all of them, locked, so that each rule about their number and order is kept
//! whoever changes another one at the same moment.

use super::{Labels, Pipeline, Stage, Stages, World, in_order};
use crm_closeout::{
    cascade::Change,
    pipeline,
    refusal::{Refusal, Violation, check_etag},
    wording,
    working_set::{Cause, Keyed},
};
use std::collections::BTreeSet;

/// Most pipelines of a tenant.
pub const MOST_PIPELINES: usize = 50;
/// Most stages of a pipeline.
pub const MOST_STAGES: usize = 50;

/// What a caller can ask for.
#[derive(Clone, Debug)]
pub enum PipelineCommand {
    /// Makes one.
    Create(NewPipeline),
    /// Changes one.
    Update {
        /// Which.
        id: String,
        /// Only this version.
        etag: String,
        /// What to change.
        edit: PipelineEdit,
    },
    /// Takes one into use or out of it.
    SetActive {
        /// Which.
        id: String,
        /// Only this version.
        etag: String,
        /// Into use.
        active: bool,
    },
    /// Puts all of them in another order.
    Reorder {
        /// Every id, once.
        ids: Vec<String>,
    },
}

/// A pipeline to be made.
#[derive(Clone, Debug)]
pub struct NewPipeline {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub labels: Labels,
    /// Its stages.
    pub stages: Stages,
}

/// What to change of a pipeline.
#[derive(Clone, Debug, Default)]
pub struct PipelineEdit {
    /// New labels.
    pub labels: Option<Labels>,
    /// New stages, in their order.
    pub stages: Option<Stages>,
}

impl Pipeline {
    const fn word(&self) -> &'static str {
        if self.active { "ACTIVE" } else { "INACTIVE" }
    }
}

impl Stages {
    /// These, and after them, inactive, those of `before` that are left out: opportunities may be in them.
    fn in_place_of(&self, before: &Self) -> Self {
        let left_out = before.0.iter().filter(|stage| self.get(&stage.id).is_none());
        let left_out = left_out.map(|stage| Stage { active: false, ..stage.clone() });
        Self(self.0.iter().cloned().chain(left_out).collect())
    }
}

impl World {
    /// Makes a pipeline; it comes last.
    pub fn create_pipeline(&mut self, cause: &Cause, new: &NewPipeline) -> Result<Pipeline, Refusal> {
        let all = in_order(&self.pipelines, cause.tenant_id);
        if all.iter().any(|pipeline| pipeline.pipeline_id == new.id) {
            return Err(Refusal::new(&wording::PIPELINE_TAKEN, pipeline::name(&new.id)));
        }
        if all.len() >= MOST_PIPELINES {
            return Err(
                Refusal::new(&wording::TOO_MANY_PIPELINES, pipeline::name(&new.id)).with("limit", MOST_PIPELINES)
            );
        }
        let pipeline = Pipeline {
            tenant_id: cause.tenant_id,
            pipeline_id: new.id.clone(),
            labels: new.labels.clone(),
            stages: new.stages.clone(),
            active: true,
            place: all.last().map_or(0, |last| last.place + 1),
            version: 1,
        };
        self.pipelines.insert(pipeline.clone());
        self.audit_pipeline(cause, None, &pipeline);
        Ok(pipeline)
    }

    /// Changes labels and stages.
    pub fn update_pipeline(
        &mut self,
        cause: &Cause,
        id: &str,
        etag: &str,
        edit: &PipelineEdit,
    ) -> Result<Pipeline, Refusal> {
        let before = self.pipeline(cause, id, etag)?;
        let stages = edit.stages.as_ref().map(|stages| stages.in_place_of(&before.stages));
        if let Some(count) = stages.as_ref().map(|stages| stages.0.len()).filter(|count| *count > MOST_STAGES) {
            let violation = Violation::new("pipeline.stages", &wording::TOO_MANY_STAGES);
            return Err(violation.with("most", MOST_STAGES).with("count", count).into());
        }
        self.change_pipeline(cause, &before, |pipeline| {
            pipeline.labels = edit.labels.clone().unwrap_or_else(|| before.labels.clone());
            pipeline.stages = stages.unwrap_or_else(|| before.stages.clone());
        })
    }

    /// Takes a pipeline into use or out of it; the last active one stays.
    pub fn set_pipeline_active(
        &mut self,
        cause: &Cause,
        id: &str,
        etag: &str,
        active: bool,
    ) -> Result<Pipeline, Refusal> {
        let before = self.pipeline(cause, id, etag)?;
        let all = in_order(&self.pipelines, cause.tenant_id);
        if !active && all.iter().all(|pipeline| !pipeline.active || pipeline.pipeline_id == id) {
            return Err(Refusal::new(&wording::LAST_PIPELINE, before.name()));
        }
        self.change_pipeline(cause, &before, |pipeline| pipeline.active = active)
    }

    /// Puts a tenant's pipelines in this order; answers all of them.
    pub fn reorder_pipelines(&mut self, cause: &Cause, ids: &[String]) -> Result<Vec<Pipeline>, Refusal> {
        let tenant = cause.tenant_id;
        let mut missing: BTreeSet<_> = in_order(&self.pipelines, tenant).into_iter().map(Pipeline::name).collect();
        let mut violations = Vec::new();
        for (index, name) in ids.iter().map(|id| pipeline::name(id)).enumerate() {
            if !missing.remove(&name) {
                let violation = Violation::new(format!("pipelines[{index}]"), &wording::UNKNOWN_PIPELINE);
                violations.push(violation.with("pipeline", name));
            }
        }
        if !missing.is_empty() {
            let names: Vec<_> = missing.into_iter().collect();
            let violation = Violation::new("pipelines", &wording::PIPELINES_MISSING);
            violations.push(violation.with("pipelines", names.join(", ")));
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        let mut place = |(place, id): (i64, &String)| {
            let before = self.pipeline(cause, id, "")?;
            self.change_pipeline(cause, &before, |pipeline| pipeline.place = place)
        };
        (0..).zip(ids).map(&mut place).collect()
    }

    fn pipeline(&self, cause: &Cause, id: &str, etag: &str) -> Result<Pipeline, Refusal> {
        let row = self.pipelines.get(&(cause.tenant_id, id.to_owned()));
        let row = row.ok_or_else(|| Refusal::not_found(pipeline::name(id)))?;
        check_etag(etag, row.version, row.name())?;
        Ok(row.clone())
    }

    /// Changes it, unless all of it is so already.
    fn change_pipeline(
        &mut self,
        cause: &Cause,
        before: &Pipeline,
        change: impl FnOnce(&mut Pipeline),
    ) -> Result<Pipeline, Refusal> {
        let mut after = before.clone();
        change(&mut after);
        if after == *before {
            return Ok(after);
        }
        after.version += 1;
        let row = self.pipelines.edit(&before.key()).ok_or_else(|| Refusal::not_found(before.name()))?;
        row.clone_from(&after);
        self.audit_pipeline(cause, Some(before), &after);
        Ok(after)
    }

    fn audit_pipeline(&mut self, cause: &Cause, before: Option<&Pipeline>, after: &Pipeline) {
        let change = Change {
            from: before.map_or(0, |before| before.version),
            to: after.version,
            state_before: before.map_or("", Pipeline::word),
            state_after: after.word(),
            close_out: None,
        };
        self.common.audit(cause, after.name(), change);
    }
}
