//! Reasons for close-outs between protobuf and the domain.

use crate::domain::ReasonEdit;
use crm_api::fields::{self, Fields};
use crm_closeout::{
    reason::{MOST_LABELS, Reason, ReasonScope},
    wording,
};
use crm_proto::{common::CloseOutReason, opportunity as pb};
use prost_types::FieldMask;
use std::{collections::BTreeMap, ops::RangeInclusive};

const MIN_DETAIL: RangeInclusive<i32> = 0..=2_000;
const WIN_BACK_DAYS: RangeInclusive<i32> = 0..=3_650;
const VERIFICATION_DAYS: RangeInclusive<i32> = 0..=365;
/// Longest language tag: RFC 5646, section 4.4.1.
const LANGUAGE: usize = 35;
const MOST_SOURCES: usize = 100;

/// A reason to be made.
pub(crate) fn new_reason(fields: &mut Fields, code: &str, reason: &CloseOutReason) -> Reason {
    let scope = fields.code::<ReasonScope>("reason.scope", reason.scope);
    let mut labels = other_labels(fields, reason);
    labels.retain(|_, label| !label.is_empty());
    let new = Reason {
        code: fields.capitals("code", code).into(),
        version: 1,
        scope: scope.unwrap_or(ReasonScope::Opportunity),
        zh: label(fields, reason, "zh").into(),
        en: label(fields, reason, "en").into(),
        labels,
        category: fields.capitals("reason.category", &reason.category).into(),
        class: fields.optional_code("reason.outcome_class", reason.outcome_class),
        min_detail: fields.number("reason.min_detail_length", reason.min_detail_length, MIN_DETAIL).into(),
        needs_competitor: reason.needs_competitor,
        win_back_days: fields.number("reason.win_back_days", reason.win_back_days, WIN_BACK_DAYS),
        historical_only: false,
        verification: fields.optional_code("reason.verification", reason.verification),
        verification_days: fields.number("reason.verification_days", reason.verification_days, VERIFICATION_DAYS),
    };
    if scope.is_some() {
        fields.extend(new.violations("reason"));
    }
    new
}

/// What to change of a reason.
pub(crate) fn reason_edit(fields: &mut Fields, reason: &CloseOutReason, mask: Option<&FieldMask>) -> ReasonEdit {
    let writable = [
        ("labels", false),
        ("labels.zh", reason.labels.contains_key("zh")),
        ("labels.en", reason.labels.contains_key("en")),
        ("category", !reason.category.is_empty()),
        ("outcome_class", reason.outcome_class != 0),
        ("min_detail_length", reason.min_detail_length != 0),
        ("needs_competitor", reason.needs_competitor),
        ("win_back_days", reason.win_back_days != 0),
        ("verification", reason.verification != 0),
        ("verification_days", reason.verification_days != 0),
    ];
    let output_only =
        ["name", "version", "scope", "label", "active", "historical_only", "etag", "position", "lane", "merged_into"];
    let labels = other_labels(fields, reason);
    let (others, mask) = one_by_one(mask);
    let chosen = fields.mask(mask.as_ref(), &writable, &output_only);
    let has = |field: &str| chosen.contains(field);
    let all = has("labels");
    let named = |language: &String| all || mask.is_none() || others.contains(language);
    ReasonEdit {
        scope: fields.optional_code("reason.scope", reason.scope),
        zh: (all || has("labels.zh")).then(|| label(fields, reason, "zh")),
        en: (all || has("labels.en")).then(|| label(fields, reason, "en")),
        labels: named_labels(labels, &others, named),
        replace_labels: all,
        category: has("category").then(|| fields.capitals("reason.category", &reason.category)),
        class: has("outcome_class").then(|| fields.optional_code("reason.outcome_class", reason.outcome_class)),
        min_detail: has("min_detail_length")
            .then(|| fields.number("reason.min_detail_length", reason.min_detail_length, MIN_DETAIL).into()),
        needs_competitor: has("needs_competitor").then_some(reason.needs_competitor),
        win_back_days: has("win_back_days")
            .then(|| fields.number("reason.win_back_days", reason.win_back_days, WIN_BACK_DAYS)),
        verification: has("verification").then(|| fields.optional_code("reason.verification", reason.verification)),
        verification_days: has("verification_days")
            .then(|| fields.number("reason.verification_days", reason.verification_days, VERIFICATION_DAYS)),
    }
}

/// Takes the labels in other languages out of a mask, such as `labels.fr`.
fn one_by_one(mask: Option<&FieldMask>) -> (Vec<String>, Option<FieldMask>) {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return (Vec::new(), None) };
    let other =
        |path: &String| path.strip_prefix("labels.").filter(|tag| !["zh", "en"].contains(tag)).map(str::to_owned);
    let others = mask.paths.iter().filter_map(other).collect();
    let paths: Vec<_> = mask.paths.iter().filter(|path| other(path).is_none()).cloned().collect();
    // A mask of nothing else still is one.
    let paths = if paths.is_empty() { vec!["name".to_owned()] } else { paths };
    (others, Some(FieldMask { paths }))
}

/// The labels that an update names; one that the mask names and the reason does not have is taken away.
fn named_labels(
    mut labels: BTreeMap<String, String>,
    others: &[String],
    named: impl Fn(&String) -> bool,
) -> BTreeMap<String, String> {
    labels.retain(|language, _| named(language));
    for language in others {
        labels.entry(language.clone()).or_default();
    }
    labels
}

fn label(fields: &mut Fields, reason: &CloseOutReason, language: &str) -> String {
    let text = reason.labels.get(language).map_or("", String::as_str);
    fields.line(&format!("reason.labels.{language}"), text, 1..=fields::TITLE)
}

fn other_labels(fields: &mut Fields, reason: &CloseOutReason) -> BTreeMap<String, String> {
    let others = reason.labels.iter().filter(|(language, _)| !["zh", "en"].contains(&language.as_str()));
    let others: BTreeMap<_, _> = others.map(|(language, text)| (language.clone(), text.clone())).collect();
    if others.len() > MOST_LABELS {
        fields.refuse("reason.labels", &wording::TOO_MANY_LABELS, &[("most", &MOST_LABELS), ("count", &others.len())]);
    }
    for (language, text) in others.iter().take(MOST_LABELS) {
        if !is_language(language) {
            fields.refuse("reason.labels", &wording::INVALID_LANGUAGE, &[("language", &format!("{language:?}"))]);
        }
        fields.line(&format!("reason.labels.{language}"), text, 0..=fields::TITLE);
    }
    others
}

/// Letters and digits in parts of 1 to 8, joined by hyphens, the first of them letters alone (RFC 5646, section 2.1).
fn is_language(tag: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let first = tag.split('-').next().unwrap_or_default();
    tag.len() <= LANGUAGE && tag.split('-').all(part) && first.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Codes of the reasons that are to be merged, and of the one that takes their place.
pub(crate) fn merged_reasons(fields: &mut Fields, request: &pb::MergeCloseOutReasonsRequest) -> (Vec<String>, String) {
    let count = request.sources.len();
    if count == 0 {
        fields.refuse("sources", &wording::REQUIRED, &[]);
    } else if count > MOST_SOURCES {
        fields.refuse("sources", &wording::TOO_MANY_NAMES, &[("most", &MOST_SOURCES), ("count", &count)]);
    }
    let sources = request.sources.iter().take(MOST_SOURCES).enumerate();
    let sources = sources.map(|(index, name)| fields.reason(&format!("sources[{index}]"), name)).collect();
    (sources, fields.reason("target", &request.target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_tag() {
        for good in ["fr", "pt-BR", "zh-Hant-TW", "de-1996"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "f r", "pt_BR", "-fr", "fr-", "9x", "abcdefghi", &"ab-".repeat(12)] {
            assert!(!is_language(bad), "{bad}");
        }
    }

    #[test]
    fn an_update_names_labels_one_by_one_or_all() {
        let labels = [("zh", "其他"), ("en", "Other"), ("fr", "Autre")].map(|(a, b)| (a.into(), b.into())).into();
        let reason = CloseOutReason { labels, ..CloseOutReason::default() };
        let edit = |paths: &[&str]| {
            let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
            reason_edit(&mut Fields::new(), &reason, Some(&mask))
        };
        let named = |edit: &ReasonEdit| edit.labels.iter().map(|(a, b)| format!("{a}={b}")).collect::<Vec<_>>();
        let one = edit(&["labels.fr", "labels.de"]);
        assert_eq!(
            (named(&one), one.zh.clone(), one.replace_labels),
            (vec!["de=".into(), "fr=Autre".into()], None, false)
        );
        let all = edit(&["labels"]);
        assert_eq!((named(&all), all.zh.is_some(), all.replace_labels), (vec!["fr=Autre".into()], true, true));
        let category = edit(&["category"]);
        assert!(category.labels.is_empty() && category.zh.is_none() && category.category.is_some());
    }
}
