//! What an import made of the data, for people and for programs: rows taken, cells mended, rows refused with their line
//! and reason, columns that have no place in the API.

use super::Imported;
use crate::data::{DataSet, FileReport, Refusal};
use crate::format::{count, counted, money, seconds, to_money};
use crate::screen::{Paint, Screen};
use serde_json::{Value, json};

/// Refused rows that are shown to people one by one; a program gets them all.
const SHOWN: usize = 20;

/// The import as JSON.
pub(crate) fn json(data: &DataSet, imported: &Imported) -> Value {
    let counts = &imported.counts;
    let refused: Vec<Value> = imported.all_refused(data).map(refusal_json).collect();
    json!({
        "customers": counts.customers,
        "opportunities": counts.opportunities,
        "without_customer": counts.without_customer,
        "won": counts.won,
        "lost": counts.lost,
        "engaging": counts.engaging,
        "prospecting": counts.prospecting,
        "won_amount": amount_json(counts.won_amount),
        "currency": data.currency,
        "amounts_from_list_price": counts.estimated,
        "orders": counts.orders,
        "tasks": counts.tasks,
        "refused": refused.len(),
        "mended": data.files.iter().map(FileReport::mended_cells).sum::<u64>(),
        "seconds": seconds(imported.elapsed),
        "files": data.files.iter().map(file_json).collect::<Vec<_>>(),
        "refused_rows": refused,
    })
}

/// Whole units as an integer, else with its decimals.
fn amount_json(minor: i64) -> Value {
    if minor % 100 == 0 { json!(minor / 100) } else { json!(minor as f64 / 100.0) }
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "file": refusal.file, "line": refusal.line, "column": refusal.column, "reason": refusal.reason,
    })
}

fn file_json(report: &FileReport) -> Value {
    let mended: Vec<Value> = report
        .mended
        .iter()
        .map(|((column, from, to), cells)| json!({ "column": column, "from": from, "to": to, "cells": cells }))
        .collect();
    json!({
        "file": report.file, "rows": report.rows, "taken": report.taken, "mended": mended,
        "columns_not_taken": report.not_taken,
    })
}

/// The import for people.
pub(crate) fn show(data: &DataSet, imported: &Imported, screen: &Screen) -> anyhow::Result<()> {
    if !data.files.is_empty() {
        show_files(data, screen)?;
    }
    show_refused(data, imported, screen)?;
    show_counts(data, imported, screen)
}

fn show_files(data: &DataSet, screen: &Screen) -> anyhow::Result<()> {
    let mut table = screen.new_table(&["file", "rows", "taken", "cells mended", "columns not taken"]);
    for report in &data.files {
        let mended: Vec<String> = report
            .mended
            .iter()
            .map(|((column, from, to), cells)| format!("{} x {column}: {from} → {to}", count(*cells)))
            .collect();
        table.add_row([
            screen.cell(Paint::Strong, report.file),
            count(report.rows).into(),
            count(report.taken).into(),
            if mended.is_empty() { "-".into() } else { screen.cell(Paint::Changed, mended.join("\n")) },
            screen.cell(Paint::Dim, if report.not_taken.is_empty() { "-".into() } else { report.not_taken.join(", ") }),
        ]);
    }
    screen.table(&table)
}

fn show_refused(data: &DataSet, imported: &Imported, screen: &Screen) -> anyhow::Result<()> {
    let refused: Vec<&Refusal> = imported.all_refused(data).collect();
    if refused.is_empty() {
        return Ok(());
    }
    screen.line(&screen.paint(Paint::Bad, &format!("{} refused:", counted(refused.len() as u64, "row", "rows"))))?;
    for refusal in refused.iter().take(SHOWN) {
        screen.line(&format!("  {}", told(refusal)))?;
    }
    if refused.len() > SHOWN {
        screen.line(&format!("  and {} more (--json lists them all)", count((refused.len() - SHOWN) as u64)))?;
    }
    Ok(())
}

fn told(refusal: &Refusal) -> String {
    let column = refusal.column.map(|column| format!(", column {column}")).unwrap_or_default();
    format!("{} line {}{column}: {}", refusal.file, refusal.line, refusal.reason)
}

fn show_counts(data: &DataSet, imported: &Imported, screen: &Screen) -> anyhow::Result<()> {
    let counts = &imported.counts;
    let mut table = screen.new_table(&["made", "how many", ""]);
    let won = format!("worth {}, with their real dates", money(&to_money(counts.won_amount, data.currency)));
    let rows = [
        ("customers", counts.customers, "on both services".to_owned()),
        ("opportunities", counts.opportunities, format!("{} without a customer yet", count(counts.without_customer))),
        ("  won", counts.won, won),
        ("  lost", counts.lost, "closed out as NOT_RECORDED, with their real dates".to_owned()),
        ("  engaging", counts.engaging, "open".to_owned()),
        ("  prospecting", counts.prospecting, "open".to_owned()),
        ("orders", counts.orders, "confirmed, one for each won opportunity".to_owned()),
        ("tasks", counts.tasks, "two for each open opportunity".to_owned()),
    ];
    for (what, number, more) in rows {
        table.add_row([what.into(), screen.cell(Paint::Strong, count(number)), screen.cell(Paint::Dim, more)]);
    }
    screen.table(&table)?;
    if counts.estimated > 0 {
        screen.note(&format!(
            "{} without a value: such an opportunity is worth the list price of its product.",
            counted(counts.estimated, "lost or open row is", "lost or open rows are")
        ))?;
    }
    let seconds = imported.elapsed.as_secs_f64();
    let rate = counts.opportunities as f64 / seconds.max(0.001);
    screen.line(&format!("Done in {seconds:.1} s: {rate:.0} opportunities per second."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;
    use crate::import::Counts;

    #[test]
    fn the_json_holds_what_a_program_expects() {
        let set = data::make(1);
        let counts = Counts { customers: 40, won: 3, won_amount: 1_000_553_400, ..Counts::default() };
        let imported = Imported { counts, ..Imported::default() };
        let json = json(&set, &imported);
        for key in ["customers", "opportunities", "won", "lost", "engaging", "prospecting", "orders", "tasks"] {
            assert!(json[key].is_u64(), "{key}");
        }
        assert_eq!((json["won_amount"].as_i64(), json["refused"].as_u64()), (Some(10_005_534), Some(0)));
        assert_eq!(json["mended"], 0);
    }

    #[test]
    fn a_refusal_names_file_line_and_column() {
        let refusal = Refusal { file: "a.csv", line: 3, column: Some("price"), reason: "`x` is no amount".into() };
        assert_eq!(told(&refusal), "a.csv line 3, column price: `x` is no amount");
    }
}
