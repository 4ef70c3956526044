//! Names of pipelines and of their stages. What a tenant's pipelines are, only the opportunity service knows; a close-out keeps
//! the name of the stage in which its opportunity was.

use crate::ids::is_id;
use std::fmt;

/// Collection part of the resource name of a pipeline.
pub const COLLECTION: &str = "pipelines";

/// Id of the pipeline that every tenant has.
pub const DEFAULT: &str = "default";

/// Resource name of a pipeline.
pub fn name(id: &str) -> String {
    format!("{COLLECTION}/{id}")
}

/// Id of the pipeline with this resource name.
pub fn parse(name: &str) -> Option<&str> {
    name.strip_prefix(COLLECTION)?.strip_prefix('/').filter(|id| is_id(id))
}

/// A stage by the ids of its pipeline and its own; shown as its resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageName {
    /// Id of the pipeline.
    pub pipeline: String,
    /// Id of the stage in it.
    pub stage: String,
}

impl StageName {
    /// The stage of this pipeline with this id.
    pub fn new(pipeline: impl Into<String>, stage: impl Into<String>) -> Self {
        Self { pipeline: pipeline.into(), stage: stage.into() }
    }

    /// Reads a resource name.
    pub fn parse(name: &str) -> Option<Self> {
        let (pipeline, stage) = name.split_once("/stages/")?;
        let pipeline = parse(pipeline)?;
        is_id(stage).then(|| Self::new(pipeline, stage))
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COLLECTION}/{}/stages/{}", self.pipeline, self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_reads_back_from_its_name() {
        let stage = StageName::new("key-accounts", "demo-2");
        assert_eq!(stage.to_string(), "pipelines/key-accounts/stages/demo-2");
        assert_eq!(StageName::parse(&stage.to_string()), Some(stage));
    }

    #[test]
    fn other_spellings_of_a_stage_are_refused() {
        for name in [
            "",
            "engaging",
            "pipelines/default",
            "pipelines/default/stages/",
            "pipelines//stages/engaging",
            "pipelines/default/stages/Engaging",
            "pipelines/default/stages/engaging/",
            "pipelines/default/stages/2nd",
            "pipelines/默认/stages/engaging",
            "/pipelines/default/stages/engaging",
        ] {
            assert_eq!(StageName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn an_id_has_at_most_sixty_three_characters() {
        assert!(is_id(&"a".repeat(63)));
        assert!(!is_id(&"a".repeat(64)));
        assert!(!is_id("-a") && !is_id(""));
    }
}
