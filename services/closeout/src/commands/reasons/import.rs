//! `closeout reasons import`: brings the reasons to what a CSV file says. What is so already is left alone, so twice the same
//! import changes nothing.

use super::file::{self, Content, Wanted, other_labels, refusal};
use crate::api::Api;
use crate::data::Refusal;
use crate::failure::{self, Ending};
use crate::format::{count, counted, label};
use crate::request_id;
use crate::retry::PATIENT;
use crate::screen::{Paint, Screen};
use crm_proto::common::{CloseOutReason, ReasonScope};
use crm_proto::opportunity as sales;
use prost_types::FieldMask;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use tonic::Status;

/// What an import did.
#[derive(Debug, Default)]
struct Imported {
    created: Vec<String>,
    updated: Vec<String>,
    activated: Vec<String>,
    deactivated: Vec<String>,
    reordered: Vec<String>,
    unchanged: u64,
    refused: Vec<Refusal>,
}

/// Imports a file.
pub(super) async fn run(path: &Path, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let Content { rows, refused } = file::read(path)?;
    let api = api.clone().with(PATIENT);
    let mut imported = Imported { refused, ..Imported::default() };
    let before = reasons(&api).await?;
    let before: HashMap<_, _> = before.iter().map(|reason| (reason.name.as_str(), reason)).collect();
    let bar = screen.progress(rows.len() as u64, "reasons");
    for row in &rows {
        bar.inc(1);
        if let Err(status) = imported.bring(&api, before.get(row.reason.name.as_str()).copied(), row).await {
            imported.refuse(row.line, status)?;
        }
    }
    bar.finish_and_clear();
    for scope in [ReasonScope::Opportunity, ReasonScope::Order, ReasonScope::OrderProcessed] {
        let placed: Vec<_> = rows.iter().filter(|row| row.reason.scope() == scope && row.position.is_some()).collect();
        if let Err(status) = imported.reorder(&api, scope, &placed).await {
            imported.refuse(placed.first().map_or(1, |row| row.line), status)?;
        }
    }
    imported.refused.sort_by_key(|refused| refused.line);
    imported.show(screen)?;
    Ok(if imported.refused.is_empty() { Ending::Done } else { Ending::SomeRefused })
}

async fn reasons(api: &Api) -> Result<Vec<CloseOutReason>, Status> {
    let request = sales::ListCloseOutReasonsRequest { show_inactive: true, ..Default::default() };
    Ok(api.list_reasons(request).await?.reasons)
}

impl Imported {
    /// Makes or changes one reason.
    async fn bring(&mut self, api: &Api, before: Option<&CloseOutReason>, row: &Wanted) -> Result<(), Status> {
        let code = &row.code;
        let active = if let Some(before) = before {
            let paths = different(before, row);
            if !paths.is_empty() {
                let request = sales::UpdateCloseOutReasonRequest {
                    reason: Some(CloseOutReason { etag: before.etag.clone(), ..row.reason.clone() }),
                    update_mask: Some(FieldMask { paths }),
                    request_id: request_id::new(),
                    ..Default::default()
                };
                api.update_reason(request).await?;
                self.updated.push(code.clone());
            } else if row.active.is_none_or(|active| active == before.active) {
                self.unchanged += 1;
            }
            before.active
        } else {
            let request = sales::CreateCloseOutReasonRequest {
                reason: Some(CloseOutReason { name: String::new(), ..row.reason.clone() }),
                code: code.clone(),
                request_id: request_id::new(),
                ..Default::default()
            };
            api.create_reason(request).await?;
            self.created.push(code.clone());
            true
        };
        match row.active.filter(|wanted| *wanted != active) {
            None => {}
            Some(true) => {
                let (name, request_id) = (row.reason.name.clone(), request_id::new());
                api.activate_reason(sales::ActivateCloseOutReasonRequest { name, request_id, ..Default::default() })
                    .await?;
                self.activated.push(code.clone());
            }
            Some(false) => {
                let (name, request_id) = (row.reason.name.clone(), request_id::new());
                api.deactivate_reason(sales::DeactivateCloseOutReasonRequest {
                    name,
                    request_id,
                    ..Default::default()
                })
                .await?;
                self.deactivated.push(code.clone());
            }
        }
        Ok(())
    }

    /// Puts the reasons that the file gives a place there; the others keep their order around them.
    async fn reorder(&mut self, api: &Api, scope: ReasonScope, placed: &[&Wanted]) -> Result<(), Status> {
        if placed.is_empty() {
            return Ok(());
        }
        let all = reasons(api).await?.into_iter().filter(|reason| reason.scope() == scope);
        let before: Vec<_> = all.map(|reason| reason.name).collect();
        let names = arranged(&before, placed);
        if names != before {
            let request = sales::ReorderCloseOutReasonsRequest {
                scope: scope.into(),
                names,
                request_id: request_id::new(),
                validate_only: false,
            };
            api.reorder_reasons(request).await?;
            self.reordered.push(label(scope.as_str_name(), "REASON_SCOPE_"));
        }
        Ok(())
    }

    /// Notes that a service refused a row; fails if it is no refusal by a rule.
    fn refuse(&mut self, line: u64, status: Status) -> anyhow::Result<()> {
        if !failure::is_refusal(status.code()) {
            return Err(anyhow::Error::from(status).context(format!("line {line}")));
        }
        self.refused.push(refusal(line, None, failure::one_line(&status)));
        Ok(())
    }

    fn show(&self, screen: &Screen) -> anyhow::Result<()> {
        if screen.json() {
            let refused = self
                .refused
                .iter()
                .map(|refused| json!({ "line": refused.line, "column": refused.column, "reason": refused.reason }));
            screen.emit(&json!({ "import": {
                "created": self.created, "updated": self.updated, "activated": self.activated,
                "deactivated": self.deactivated, "reordered": self.reordered, "unchanged": self.unchanged,
                "refused": self.refused.len(), "refused_rows": refused.collect::<Vec<_>>(),
            } }))?;
        }
        if !self.refused.is_empty() {
            let rows = counted(self.refused.len() as u64, "row", "rows");
            screen.line(&screen.paint(Paint::Bad, &format!("{rows} refused:")))?;
        }
        for refused in &self.refused {
            let column = refused.column.map(|column| format!(", column {column}")).unwrap_or_default();
            screen.line(&format!("  line {}{column}: {}", refused.line, refused.reason))?;
        }
        let mut table = screen.new_table_keeping(&["done", "how many", "which"], &[0, 1]);
        let done = [
            ("created", &self.created),
            ("updated", &self.updated),
            ("activated", &self.activated),
            ("deactivated", &self.deactivated),
            ("reordered", &self.reordered),
        ];
        for (what, codes) in done {
            table.add_row([
                what.into(),
                screen.cell(Paint::Strong, count(codes.len() as u64)),
                screen.cell(Paint::Dim, codes.join(", ")),
            ]);
        }
        table.add_row(["unchanged".into(), screen.cell(Paint::Strong, count(self.unchanged)), "".into()]);
        screen.table(&table)
    }
}

/// Paths of what differs, but for what the file leaves as it is. The scope never changes: the service says so where a file wants
/// another.
fn different(before: &CloseOutReason, row: &Wanted) -> Vec<String> {
    let wanted = &row.reason;
    // All labels in one, as one that the file does not have is taken away.
    let all_labels = !row.kept.contains(&"labels") && other_labels(before) != other_labels(wanted);
    let label = |language: &str| !all_labels && before.labels.get(language) != wanted.labels.get(language);
    let all = [
        ("labels", all_labels),
        ("labels.zh", label("zh")),
        ("labels.en", label("en")),
        ("outcome_class", before.outcome_class != wanted.outcome_class),
        ("category", before.category != wanted.category),
        ("min_detail_length", before.min_detail_length != wanted.min_detail_length),
        ("needs_competitor", before.needs_competitor != wanted.needs_competitor),
        ("win_back_days", before.win_back_days != wanted.win_back_days),
        ("verification", before.verification != wanted.verification),
        ("verification_days", before.verification_days != wanted.verification_days),
        ("scope", before.scope != wanted.scope),
    ];
    all.into_iter()
        .filter(|(path, differs)| *differs && !row.kept.contains(path))
        .map(|(path, _)| path.to_owned())
        .collect()
}

/// The names in their new order: each of `placed` at its place, as far as it is there, and the others in the order they have.
fn arranged(before: &[String], placed: &[&Wanted]) -> Vec<String> {
    let mut placed: Vec<_> = placed.iter().filter(|row| before.contains(&row.reason.name)).collect();
    placed.sort_by_key(|row| row.position);
    let is_placed = |name: &&String| placed.iter().any(|row| row.reason.name == **name);
    let mut names: Vec<_> = before.iter().filter(|name| !is_placed(name)).cloned().collect();
    for row in &placed {
        let place = row.position.map_or(names.len(), |position| (position - 1).min(names.len()));
        names.insert(place, row.reason.name.clone());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, position: usize) -> Wanted {
        let reason = CloseOutReason { name: super::super::resource_name(code), ..CloseOutReason::default() };
        Wanted { line: 2, code: code.into(), reason, active: None, position: Some(position), kept: Vec::new() }
    }

    #[test]
    fn a_second_import_finds_the_order_it_wants() {
        let names = |codes: &[&str]| codes.iter().map(|code| super::super::resource_name(code)).collect::<Vec<_>>();
        let rows = [row("D", 2), row("A", 40), row("GONE", 1), row("B", 2)];
        let placed: Vec<_> = rows.iter().collect();
        let once = arranged(&names(&["A", "B", "C", "D", "E"]), &placed);
        assert_eq!(once, names(&["C", "B", "D", "E", "A"]));
        assert_eq!(arranged(&once, &placed), once);
    }
    #[test]
    fn what_a_file_leaves_open_is_not_changed_and_labels_that_it_does_not_have_are_taken_away() {
        let mut before = CloseOutReason { verification_days: 7, ..row("A", 1).reason };
        before.labels = [("zh", "一"), ("en", "One"), ("fr", "Un")].map(|(a, b)| (a.into(), b.into())).into();
        let mut wanted = row("A", 1);
        wanted.reason.labels = [("zh", "壹"), ("en", "One")].map(|(a, b)| (a.into(), b.into())).into();
        assert_eq!(different(&before, &wanted), ["labels", "verification_days"]);
        wanted.kept = vec!["labels", "verification_days"];
        assert_eq!(different(&before, &wanted), ["labels.zh"]);
    }
}
