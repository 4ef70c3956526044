//! Competitors between protobuf and the domain.

use crate::domain::{Competitor, MOST_SOURCES, check_sources};
use crm_api::{
    convert::time,
    fields::{self, Fields},
};
use crm_closeout::{ids::CompetitorId, refusal::etag, wording};
use crm_proto::opportunity as pb;
use prost_types::FieldMask;
use std::fmt::Display;

/// The id in the name of a competitor, which must be given.
pub(crate) fn competitor_id(fields: &mut Fields, field: &str, name: &str) -> CompetitorId {
    fields.name(field, name, CompetitorId::parse, CompetitorId)
}

/// What a competitor is called.
pub(crate) fn competitor_name(fields: &mut Fields, competitor: &pb::Competitor) -> String {
    fields.line("competitor.display_name", &competitor.display_name, 1..=fields::TITLE)
}

/// What it is called from now on; none: as before.
pub(crate) fn competitor_edit(
    fields: &mut Fields,
    competitor: &pb::Competitor,
    mask: Option<&FieldMask>,
) -> Option<String> {
    let writable = [("display_name", !competitor.display_name.is_empty())];
    let output_only = ["name", "active", "create_time", "etag", "update_time", "merged_into"];
    let chosen = fields.mask(mask, &writable, &output_only);
    chosen.contains("display_name").then(|| competitor_name(fields, competitor))
}

/// What is to be merged, and into what.
pub(crate) fn merger(fields: &mut Fields, request: &pb::MergeCompetitorsRequest) -> (Vec<CompetitorId>, CompetitorId) {
    let (count, target) = (request.sources.len(), competitor_id(fields, "target", &request.target));
    if !(1..=MOST_SOURCES).contains(&count) {
        let values: [(&'static str, &dyn Display); 3] = [("least", &1), ("most", &MOST_SOURCES), ("count", &count)];
        fields.refuse("sources", &wording::SOURCE_COUNT, &values);
    }
    let mut id = |(index, name): (usize, &String)| competitor_id(fields, &format!("sources[{index}]"), name);
    let sources = request.sources.iter().enumerate().map(&mut id).collect();
    fields.extend(check_sources(&request.sources, &request.target));
    (sources, target)
}

/// A competitor as the API shows it.
pub(crate) fn competitor(competitor: &Competitor) -> pb::Competitor {
    pb::Competitor {
        name: competitor.competitor_id.to_string(),
        display_name: competitor.display_name.clone(),
        active: competitor.active,
        create_time: Some(time(competitor.created_at)),
        etag: etag(competitor.version),
        update_time: Some(time(competitor.updated_at.max(competitor.created_at))),
        merged_into: competitor.merged_into.map_or_else(String::new, |target| target.to_string()),
    }
}
