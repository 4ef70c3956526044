//! The CSV file of `closeout reasons export` and `import`: its columns, a reason as a row, and a row as a reason.

use crate::data::Refusal;
use crate::data::sheet::{Row, Sheet};
use crate::format::label;
use crm_proto::common::{CloseOutReason, OutcomeClass, ReasonScope, VerificationRule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What refusals call the file.
const FILE: &str = "the file";
/// Columns that must be there.
const COLUMNS: [&str; 9] =
    ["code", "scope", "zh", "en", "class", "category", "min_detail", "needs_competitor", "win_back_days"];
/// Columns that may be there.
const OPTIONAL: [&str; 5] = ["active", "position", "verification", "verification_days", "labels"];

/// A row of the file.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its line.
    pub(super) line: u64,
    /// Code of the reason.
    pub(super) code: String,
    /// What it shall be; `active` and `position` are not set in it.
    pub(super) reason: CloseOutReason,
    /// Whether it shall be in use; none: as it is.
    pub(super) active: Option<bool>,
    /// Its place in its scope, from 1; none: wherever it is.
    pub(super) position: Option<usize>,
    /// Fields that stay as they are, as their cells are empty.
    pub(super) kept: Vec<&'static str>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    /// Sound rows.
    pub(super) rows: Vec<Wanted>,
    /// The others.
    pub(super) refused: Vec<Refusal>,
}

/// Reads a file. One that is not to be trusted as a whole is an error.
pub(super) fn read(path: &Path) -> anyhow::Result<Content> {
    let sheet = Sheet::read_at(path, FILE, &COLUMNS, &OPTIONAL)?;
    let mut content = Content { rows: Vec::new(), refused: sheet.refused };
    let mut codes = BTreeSet::new();
    for row in &sheet.rows {
        let wanted = wanted(row).and_then(|wanted| {
            let first = codes.insert(wanted.code.clone());
            if first { Ok(wanted) } else { Err(("code", format!("{} is there twice", wanted.code))) }
        });
        match wanted {
            Ok(wanted) => content.rows.push(wanted),
            Err((column, reason)) => content.refused.push(refusal(row.line, Some(column), reason)),
        }
    }
    Ok(content)
}

/// A row that is not taken.
pub(super) const fn refusal(line: u64, column: Option<&'static str>, reason: String) -> Refusal {
    Refusal { file: FILE, line, column, reason }
}

/// Writes reasons as CSV.
pub(super) fn write(reasons: &[CloseOutReason], to: impl std::io::Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(COLUMNS.iter().chain(&OPTIONAL))?;
    for reason in reasons {
        let label_of = |language: &str| reason.labels.get(language).cloned().unwrap_or_default();
        let class = reason.outcome_class();
        writer.write_record([
            reason.name.strip_prefix("closeOutReasons/").unwrap_or(&reason.name).to_owned(),
            label(reason.scope().as_str_name(), "REASON_SCOPE_"),
            label_of("zh"),
            label_of("en"),
            if class == OutcomeClass::Unspecified { String::new() } else { super::class_name(class) },
            reason.category.clone(),
            reason.min_detail_length.to_string(),
            reason.needs_competitor.to_string(),
            reason.win_back_days.to_string(),
            reason.active.to_string(),
            reason.position.to_string(),
            rule_word(reason.verification()),
            reason.verification_days.to_string(),
            serde_json::to_string(&other_labels(reason))?,
        ])?;
    }
    Ok(writer.flush()?)
}

type Cell<T> = Result<T, (&'static str, String)>;

fn wanted(row: &Row) -> Cell<Wanted> {
    let cell = |column: usize| row.cells.get(column).map_or("", String::as_str);
    let code = cell(0).to_owned();
    if code.is_empty() {
        return Err(("code", "is empty".to_owned()));
    }
    let mut labels = labels(cell(13))?;
    labels.extend([("zh", 2), ("en", 3)].map(|(language, column)| (language.to_owned(), cell(column).to_owned())));
    let reason = CloseOutReason {
        name: super::resource_name(&code),
        scope: scope(cell(1))?.into(),
        labels,
        outcome_class: class(cell(4))?.into(),
        category: cell(5).to_owned(),
        min_detail_length: number("min_detail", cell(6))?,
        needs_competitor: flag("needs_competitor", cell(7))?.unwrap_or_default(),
        win_back_days: number("win_back_days", cell(8))?,
        verification: rule(cell(11))?.into(),
        verification_days: number("verification_days", cell(12))?,
        ..CloseOutReason::default()
    };
    let position = match cell(10) {
        "" => None,
        text => {
            Some(text.parse().ok().filter(|place| *place > 0).ok_or_else(|| not("position", text, "a place, from 1"))?)
        }
    };
    let kept = [("verification", 11), ("verification_days", 12), ("labels", 13)];
    let kept = kept.into_iter().filter(|(_, column)| cell(*column).is_empty()).map(|(field, _)| field).collect();
    Ok(Wanted { line: row.line, code, reason, active: flag("active", cell(9))?, position, kept })
}

/// The labels of a reason that have no column of their own.
pub(super) fn other_labels(reason: &CloseOutReason) -> BTreeMap<&str, &str> {
    let others = reason.labels.iter().map(|(language, label)| (language.as_str(), label.as_str()));
    others.filter(|(language, _)| !super::OWN.contains(language)).collect()
}

fn not(column: &'static str, text: &str, what: &str) -> (&'static str, String) {
    (column, format!("{text:?} is not {what}"))
}

fn scope(text: &str) -> Cell<ReasonScope> {
    let word = text.to_uppercase().replace('-', "_");
    let scope = ReasonScope::from_str_name(&format!("REASON_SCOPE_{word}"));
    let known = scope.filter(|scope| *scope != ReasonScope::Unspecified);
    known.ok_or_else(|| not("scope", text, "OPPORTUNITY, ORDER or ORDER_PROCESSED"))
}

fn class(text: &str) -> Cell<OutcomeClass> {
    if text.is_empty() {
        return Ok(OutcomeClass::Unspecified);
    }
    let word = text.to_uppercase().replace('-', "_");
    OutcomeClass::from_str_name(&format!("OUTCOME_CLASS_{word}")).ok_or_else(|| {
        not("class", text, "COMPETITIVE_LOSS, NO_DECISION, CUSTOMER_CANCELLED, DISQUALIFIED, ADMINISTRATIVE or empty")
    })
}

const BY_SETTINGS: &str = "SETTINGS";

fn rule_word(rule: VerificationRule) -> String {
    match rule {
        VerificationRule::Unspecified => BY_SETTINGS.to_owned(),
        VerificationRule::Required | VerificationRule::NotRequired => label(rule.as_str_name(), "VERIFICATION_RULE_"),
    }
}

fn rule(text: &str) -> Cell<VerificationRule> {
    let word = text.to_uppercase().replace('-', "_");
    let all = [VerificationRule::Unspecified, VerificationRule::Required, VerificationRule::NotRequired];
    let known = all.into_iter().find(|rule| rule_word(*rule) == word);
    let known = known.or_else(|| word.is_empty().then_some(VerificationRule::Unspecified));
    known.ok_or_else(|| not("verification", text, "REQUIRED, NOT_REQUIRED, SETTINGS or empty"))
}

/// Labels in other languages.
fn labels(text: &str) -> Cell<BTreeMap<String, String>> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read: Result<BTreeMap<String, String>, _> = serde_json::from_str(text);
    let others = read.ok().filter(|labels| !super::OWN.iter().any(|language| labels.contains_key(*language)));
    others.ok_or_else(|| not("labels", text, r#"a JSON object of labels in other languages, such as {"fr": "Autre"}"#))
}

fn number(column: &'static str, text: &str) -> Cell<i32> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| not(column, text, "a whole number")) }
}

fn flag(column: &'static str, text: &str) -> Cell<Option<bool>> {
    match text.to_lowercase().as_str() {
        "" => Ok(None),
        "true" | "yes" | "1" | "是" => Ok(Some(true)),
        "false" | "no" | "0" | "否" => Ok(Some(false)),
        _ => Err(not(column, text, "true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> anyhow::Result<Content> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reasons.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut reason = CloseOutReason {
            name: "closeOutReasons/OWN".into(),
            category: "PRICE".into(),
            labels: BTreeMap::from([("zh".into(), "价格，太高".into()), ("en".into(), "Too \"high\"".into())]),
            min_detail_length: 3,
            verification_days: 14,
            ..CloseOutReason::default()
        };
        reason.labels.extend([("fr".into(), "Prix \"élevé\", hélas".into()), ("pt-BR".into(), "Preço".into())]);
        reason.set_scope(ReasonScope::OrderProcessed);
        reason.set_verification(VerificationRule::NotRequired);
        let mut bytes = Vec::new();
        write(&[CloseOutReason { active: true, position: 4, ..reason.clone() }], &mut bytes).unwrap();
        let content = read_text(std::str::from_utf8(&bytes).unwrap()).unwrap();
        let row = &content.rows[0];
        assert_eq!((&*row.code, row.active, row.position, row.line), ("OWN", Some(true), Some(4), 2));
        assert_eq!(row.reason, reason);
        assert!(row.kept.is_empty());
    }

    #[test]
    fn an_empty_cell_keeps_what_is_there_and_a_wrong_one_is_refused() {
        let header = "code,scope,zh,en,class,category,min_detail,needs_competitor,win_back_days,labels,verification,verification_days";
        let row = |code: &str, rest: &str| format!("{code},ORDER,一,One,NO_DECISION,X,0,no,0,{rest}");
        let rows = [
            row("A", ",,"),
            row("B", "{},settings,0"),
            row("C", "fr=Un,,"),
            row("D", r#""{""en"": ""One""}",,"#),
            row("E", ",sometimes,"),
            row("F", ",not-required,soon"),
        ];
        let content = read_text(&format!("{header}\n{}\n", rows.join("\n"))).unwrap();
        let kept: Vec<_> = content.rows.iter().map(|row| row.kept.clone()).collect();
        assert_eq!(kept, [vec!["verification", "verification_days", "labels"], vec![]]);
        let told: Vec<_> = content.refused.iter().map(|refused| (refused.line, refused.column.unwrap())).collect();
        assert_eq!(told, [(4, "labels"), (5, "labels"), (6, "verification"), (7, "verification_days")]);
    }

    #[test]
    fn a_broken_row_is_refused_and_the_rest_is_taken() {
        let header = "code,scope,zh,en,class,category,min_detail,needs_competitor,win_back_days";
        let rows = "A,ORDER,一,One,NO_DECISION,X,0,no,\nB,shop,二,Two,,X,0,,\nA,ORDER,三,Three,,X,0,,\nC,order,四,Four,,X,many,,";
        let content = read_text(&format!("{header}\n{rows}\n")).unwrap();
        assert_eq!(content.rows.iter().map(|row| &*row.code).collect::<Vec<_>>(), ["A"]);
        let told: Vec<_> = content.refused.iter().map(|refused| (refused.line, refused.column.unwrap())).collect();
        assert_eq!(told, [(3, "scope"), (4, "code"), (5, "min_detail")]);
        let error = read_text("code,scope,zh\n").unwrap_err().to_string();
        assert!(error.contains("column `en` is missing"), "{error}");
    }
}
