//! How a person writes a stage: `qualify:Qualify:资格确认:20`, or `qualify` for one that is there already.

use crate::failure::Usage;
use crm_proto::opportunity::Stage;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A stage on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StageSpec {
    id: String,
    new: Option<(String, String, i32)>,
}

impl FromStr for StageSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split(':').map(str::trim).collect();
        match parts.as_slice() {
            [id] => Ok(Self { id: (*id).to_owned(), new: None }),
            [id, en, zh, percent] => {
                let percent = percent.trim_end_matches('%').trim_end().parse();
                let percent = percent.map_err(|_| "PERCENT is a whole number, such as 20".to_owned())?;
                Ok(Self { id: (*id).to_owned(), new: Some(((*en).to_owned(), (*zh).to_owned(), percent)) })
            }
            _ => Err("ID:ENGLISH:CHINESE:PERCENT, such as qualify:Qualify:资格确认:20".to_owned()),
        }
    }
}

/// The stages as the API takes them; those written by their id alone are as they stand in `known`, and in use.
pub(super) fn stages(specs: &[StageSpec], known: &[Stage]) -> Result<Vec<Stage>, Usage> {
    let stage = |spec: &StageSpec| {
        let Some((en, zh, win_percent)) = spec.new.clone() else {
            let stage = known.iter().find(|stage| stage.stage_id == spec.id).cloned();
            let unknown = || Usage(format!("--stage {0}: it is new, so say {0}:ENGLISH:CHINESE:PERCENT", spec.id));
            return Ok(Stage { active: Some(true), ..stage.ok_or_else(unknown)? });
        };
        let labels = BTreeMap::from([("en".to_owned(), en), ("zh".to_owned(), zh)]);
        Ok(Stage { stage_id: spec.id.clone(), labels, win_percent, active: Some(true), ..Stage::default() })
    };
    specs.iter().map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_written_on_one_line() {
        let spec: StageSpec = "qualify: Qualify :资格确认: 20 %".parse().unwrap();
        let stage = stages(&[spec], &[]).unwrap().remove(0);
        assert_eq!((&*stage.stage_id, stage.win_percent, stage.active()), ("qualify", 20, true));
        assert_eq!((&*stage.labels["en"], &*stage.labels["zh"]), ("Qualify", "资格确认"));
        for wrong in ["qualify:Qualify:20", "qualify:Qualify:资格确认:much", "a:b:c:1:2"] {
            assert!(wrong.parse::<StageSpec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stage_that_is_there_goes_by_its_id() {
        let old = Stage { stage_id: "pilot".into(), win_percent: 60, active: Some(false), ..Stage::default() };
        let specs = ["pilot".parse().unwrap()];
        let stage = stages(&specs, &[old]).unwrap().remove(0);
        assert_eq!((stage.win_percent, stage.active()), (60, true));
        assert!(stages(&specs, &[]).unwrap_err().to_string().contains("pilot:ENGLISH"));
    }
}
