//! The default pipeline. Every tenant has it.

/// A run of stages.
#[derive(Debug)]
pub struct Pipeline {
    /// Id in `pipelines/{id}`.
    pub id: &'static str,
    /// What it is called.
    pub display_name: &'static str,
    /// In order.
    pub stages: &'static [Stage],
}

/// One stage.
#[derive(Debug)]
pub struct Stage {
    /// Id in `pipelines/{id}/stages/{id}`.
    pub id: &'static str,
    /// What it is called.
    pub display_name: &'static str,
    /// Chance to win from here, in percent.
    pub win_percent: i32,
}

/// The pipeline every tenant starts with.
pub static DEFAULT: Pipeline = Pipeline {
    id: "default",
    display_name: "Default",
    stages: &[
        Stage { id: "prospecting", display_name: "Prospecting", win_percent: 10 },
        Stage { id: "engaging", display_name: "Engaging", win_percent: 30 },
        Stage { id: "proposal", display_name: "Proposal", win_percent: 55 },
        Stage { id: "negotiation", display_name: "Negotiation", win_percent: 80 },
    ],
};

/// Resource name of a stage of the default pipeline.
pub fn stage_name(stage: &str) -> String {
    format!("pipelines/{}/stages/{stage}", DEFAULT.id)
}

/// Id of the stage with this resource name.
pub fn parse_stage(name: &str) -> Option<&'static str> {
    DEFAULT.stages.iter().map(|stage| stage.id).find(|id| stage_name(id) == name)
}
