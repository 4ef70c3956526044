//! What the stages of a tenant's pipelines are called, in the language of the terminal: read once for a whole view.

use crate::api::Api;
use crate::format::stage_id;
use crate::identity;
use crate::screen::Screen;
use crm_proto::opportunity::{ListPipelinesRequest, Pipeline};
use std::collections::BTreeMap;

/// Labels by the resource names of the stages.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    labels: BTreeMap<String, String>,
}

impl Stages {
    /// Reads them, unless no person will see them.
    pub(crate) async fn read(api: &Api, screen: &Screen) -> anyhow::Result<Self> {
        if screen.json() {
            return Ok(Self::default());
        }
        let request = ListPipelinesRequest { show_inactive: true, locale: identity::language().tag().to_owned() };
        Ok(Self::of(api.list_pipelines(request).await?.pipelines))
    }

    /// The stages of these pipelines. Where there are several, a stage says in which it is.
    fn of(pipelines: Vec<Pipeline>) -> Self {
        let alone = pipelines.len() == 1;
        let mut labels = BTreeMap::new();
        for pipeline in pipelines {
            for stage in pipeline.stages {
                let (of, label) = (&pipeline.display_name, stage.display_name);
                labels.insert(stage.name, if alone { label } else { format!("{of}: {label}") });
            }
        }
        Self { labels }
    }

    /// What a stage is called; its id if it has come since.
    pub(crate) fn called(&self, name: &str) -> String {
        self.labels.get(name).cloned().unwrap_or_else(|| stage_id(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::opportunity::Stage;

    fn pipeline(id: &str, called: &str) -> Pipeline {
        let name = format!("pipelines/{id}/stages/demo");
        let stages = vec![Stage { name, display_name: "Demo".into(), ..Stage::default() }];
        Pipeline { display_name: called.into(), stages, ..Pipeline::default() }
    }

    #[test]
    fn a_stage_says_its_pipeline_where_there_are_several() {
        let name = "pipelines/default/stages/demo";
        assert_eq!(Stages::of(vec![pipeline("default", "Default")]).called(name), "Demo");
        let several = Stages::of(vec![pipeline("default", "Default"), pipeline("partners", "Partners")]);
        assert_eq!(several.called(name), "Default: Demo");
        assert_eq!(several.called("pipelines/partners/stages/new"), "partners/new");
    }
}
