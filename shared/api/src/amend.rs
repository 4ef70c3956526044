//! What a caller wants to correct of a close-out, read from the requests of both services.

use crate::fields::Fields;
use crm_closeout::{
    amend::Amending,
    ids::{CloseOutId, CompetitorId},
};
use prost_types::FieldMask;

/// The fields of a request.
#[derive(Debug)]
pub struct Asked<'a> {
    /// `name`.
    pub name: &'a str,
    /// `etag`.
    pub etag: &'a str,
    /// `reason`.
    pub reason: &'a str,
    /// `detail`.
    pub detail: &'a str,
    /// `competitor`; none: this service knows none.
    pub competitor: Option<&'a str>,
    /// `secondary_reasons`.
    pub secondary: &'a [String],
    /// `note`.
    pub note: &'a str,
    /// `update_mask`.
    pub mask: Option<&'a FieldMask>,
}

/// Reads what is to be corrected.
pub fn read(fields: &mut Fields, asked: &Asked<'_>) -> Amending {
    let competitor = asked.competitor.unwrap_or_default();
    let writable = [
        ("reason", !asked.reason.is_empty()),
        ("detail", !asked.detail.is_empty()),
        ("secondary_reasons", !asked.secondary.is_empty()),
        ("competitor", !competitor.is_empty()),
    ];
    // The last one only where there are competitors.
    let writable = if asked.competitor.is_some() {
        &writable[..]
    } else {
        writable.split_last().map_or(&[][..], |(_, rest)| rest)
    };
    let chosen = fields.mask(asked.mask, writable, &["name", "etag", "note"]);
    let has = |field: &str| chosen.contains(field);
    Amending {
        id: fields.name("name", asked.name, CloseOutId::parse, CloseOutId),
        etag: asked.etag.to_owned(),
        reason: has("reason").then(|| asked.reason.to_owned()),
        detail: has("detail").then(|| fields.words("detail", asked.detail)),
        competitor: has("competitor").then(|| fields.optional_name("competitor", competitor, CompetitorId::parse)),
        secondary: has("secondary_reasons").then(|| asked.secondary.to_vec()),
        note: fields.explanation("note", asked.note),
    }
}
