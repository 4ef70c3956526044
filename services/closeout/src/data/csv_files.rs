//! The four CSV files of a folder as a data set. Files and columns are checked first, so that nothing is imported from a
//! folder that lacks one.

use super::deal::{COLUMNS, References, deal, mend_spelling, minor_units};
use super::names::Names;
use super::sheet::{Row, Sheet};
use super::{CustomerRow, DataSet, DealRow, FileReport, Problem};
use anyhow::bail;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};
use time::{Date, OffsetDateTime};

/// Reads accounts.csv, products.csv, sales_teams.csv and sales_pipeline.csv of `folder`.
pub(crate) fn read(folder: &Path) -> anyhow::Result<DataSet> {
    let mut accounts = Sheet::read(folder, "accounts.csv", &["account", "sector", "revenue", "office_location"])?;
    // Read for their known misspellings only: a customer of the API has no such fields.
    accounts.report.not_taken.extend(["sector", "office_location"].map(str::to_owned));
    let products = Sheet::read(folder, "products.csv", &["product", "sales_price"])?;
    let teams = Sheet::read(folder, "sales_teams.csv", &["sales_agent", "regional_office"])?;
    let pipeline = Sheet::read(folder, "sales_pipeline.csv", &COLUMNS)?;

    let mut set = DataSet {
        source: "csv".to_owned(),
        currency: "USD",
        customers: Vec::new(),
        deals: Vec::new(),
        files: Vec::new(),
        refused: Vec::new(),
        newest: Date::MIN,
    };
    let mut known = References { products: Names::new(), people: Names::new(), accounts: Names::new() };
    set.customers = set.take(accounts, |row, report| account(row, &mut known.accounts, report));
    set.take(products, |row, _| product(row, &mut known.products));
    set.take(teams, |row, _| person(row, &mut known.people));
    let today = OffsetDateTime::now_utc().date();
    let mut lines = HashMap::new();
    set.deals = set.take(pipeline, |row, report| {
        let deal = deal(row.line, &row.cells, &known, report, today)?;
        once(&mut lines, "opportunity_id", &deal.number, row.line)?;
        Ok(deal)
    });
    let dates = set.deals.iter().flat_map(|deal| [deal.engaged, deal.closed]).flatten();
    let Some(newest) = dates.max() else { bail!("sales_pipeline.csv: no row that can be taken has a date") };
    set.newest = newest;
    give_owners(&mut set.customers, &set.deals);
    Ok(set)
}

impl DataSet {
    /// Judges every row of a sheet: those that can be taken come back, the others are noted.
    fn take<T>(
        &mut self,
        mut sheet: Sheet,
        mut judge: impl FnMut(&Row, &mut FileReport) -> Result<T, Problem>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for row in std::mem::take(&mut sheet.rows) {
            match judge(&row, &mut sheet.report) {
                Ok(value) => taken.push(value),
                Err(problem) => sheet.refuse(row.line, problem),
            }
        }
        sheet.report.taken = taken.len() as u64;
        sheet.refused.sort_by_key(|refusal| refusal.line);
        self.refused.append(&mut sheet.refused);
        self.files.push(sheet.report);
        taken
    }
}

fn account(row: &Row, known: &mut Names<()>, report: &mut FileReport) -> Result<CustomerRow, Problem> {
    let [name, sector, revenue, office] = row.cells.as_slice() else { return Err(short(row)) };
    mend_spelling("sector", sector, report);
    mend_spelling("office_location", office, report);
    let tier = tier(revenue)?;
    name_of("account", name, known.add(name, ()))?;
    Ok(CustomerRow { line: row.line, name: name.clone(), tier, owner: String::new() })
}

fn product(row: &Row, known: &mut Names<i64>) -> Result<(), Problem> {
    let [name, price] = row.cells.as_slice() else { return Err(short(row)) };
    let price = minor_units("sales_price", price)?;
    name_of("product", name, known.add(name, price))
}

fn person(row: &Row, known: &mut Names<String>) -> Result<(), Problem> {
    let [name, office] = row.cells.as_slice() else { return Err(short(row)) };
    name_of("sales_agent", name, known.add(name, office.clone()))
}

fn short(row: &Row) -> Problem {
    Problem { column: None, reason: format!("{} cells are too few", row.cells.len()) }
}

fn name_of(column: &'static str, name: &str, is_new: bool) -> Result<(), Problem> {
    match name.chars().count() {
        0 => Err(Problem::new(column, "is empty")),
        1..=128 if is_new => Ok(()),
        1..=128 => Err(Problem::new(column, format!("`{name}` is there twice"))),
        _ => Err(Problem::new(column, "is longer than 128 characters")),
    }
}

fn once(lines: &mut HashMap<String, u64>, column: &'static str, key: &str, line: u64) -> Result<(), Problem> {
    match lines.insert(key.to_owned(), line) {
        Some(first) => {
            lines.insert(key.to_owned(), first);
            Err(Problem::new(column, format!("`{key}` is in line {first}, too")))
        }
        None => Ok(()),
    }
}

/// Revenue (millions of dollars) as a tier: A from 3,000, B from 1,000, else C.
fn tier(revenue: &str) -> Result<&'static str, Problem> {
    if revenue.is_empty() {
        return Ok("");
    }
    match revenue.parse::<f64>() {
        Ok(millions) if millions.is_finite() && millions >= 0.0 => Ok(if millions >= 3_000.0 {
            "A"
        } else if millions >= 1_000.0 {
            "B"
        } else {
            "C"
        }),
        Ok(_) | Err(_) => Err(Problem::new("revenue", format!("`{revenue}` is no number"))),
    }
}

/// A customer is owned by whoever has the most opportunities with it; the first by name where that is more than one.
fn give_owners(customers: &mut [CustomerRow], deals: &[DealRow]) {
    let mut counts: HashMap<&str, BTreeMap<&str, usize>> = HashMap::new();
    for deal in deals {
        if let Some(customer) = &deal.customer {
            *counts.entry(customer).or_default().entry(&deal.owner).or_default() += 1;
        }
    }
    for customer in customers {
        let owners = counts.get(customer.name.as_str()).into_iter().flatten();
        let most = owners.rev().max_by_key(|(_, count)| **count).map(|(owner, _)| (*owner).to_owned());
        customer.owner = most.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Stage;
    use std::{fs, path::PathBuf};
    use time::macros::date;

    /// The real data set, where it is at hand.
    fn real() -> Option<DataSet> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/crm-sales-opportunities");
        let folder = std::env::var_os("CLOSEOUT_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
        if !folder.join("sales_pipeline.csv").exists() {
            eprintln!("skipped: no data in {} (CLOSEOUT_DATA names another folder)", folder.display());
            return None;
        }
        Some(read(&folder).unwrap())
    }

    fn folder(pipeline: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("accounts.csv", "account,sector,revenue,office_location,employees\nAcme,technolgy,1100.04,Philipines,7\n"),
            ("products.csv", "product,series,sales_price\nGTX Pro,GTX,4821\n"),
            ("sales_teams.csv", "sales_agent,manager,regional_office\nAnna Snelling,Dustin,Central\n"),
            ("sales_pipeline.csv", pipeline),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn the_known_totals_come_out() {
        let Some(set) = real() else { return };
        let count = |stage| set.deals.iter().filter(|deal| deal.stage == stage).count();
        assert_eq!((set.customers.len(), set.deals.len(), set.refused.len()), (85, 8_800, 0));
        assert_eq!(
            [Stage::Won, Stage::Lost, Stage::Engaging, Stage::Prospecting].map(count),
            [4_238, 2_473, 1_589, 500]
        );
        let won: i64 = set.deals.iter().filter(|deal| deal.stage == Stage::Won).map(|deal| deal.amount).sum();
        assert_eq!(won, 1_000_553_400);
        assert_eq!(set.deals.iter().filter(|deal| deal.customer.is_none()).count(), 1_425);
        assert_eq!(set.newest, date!(2017 - 12 - 31));
        let stale = set.newest - time::Duration::days(120);
        let old = |deal: &&DealRow| deal.stage == Stage::Engaging && deal.engaged.is_some_and(|day| day < stale);
        assert_eq!(set.deals.iter().filter(old).count(), 1_376);
    }

    #[test]
    fn the_known_dirt_is_mended_and_counted() {
        let Some(set) = real() else { return };
        let mended: Vec<u64> = set.files.iter().map(FileReport::mended_cells).collect();
        assert_eq!(mended, [13, 0, 0, 1_480]); // 12 technolgy and 1 Philipines; GTXPro
        assert!(set.deals.iter().all(|deal| deal.product != "GTXPro"));
    }

    #[test]
    fn rows_are_refused_by_rule_and_counted() {
        let pipeline = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n\
            1,Anna Snelling,GTX Pro,Acme,Won,2017-01-01,2017-02-01,10\n\
            1,Anna Snelling,GTX Pro,Acme,Won,2017-01-01,2017-02-01,10\n\
            2,Anna Snelling,GTX Pro,Acme,Won,2017-01-01\n\
            3,Anna Snelling,GTX Pro,Acme,Won,yesterday,2017-02-01,10\n";
        let set = read(folder(pipeline).path()).unwrap();
        assert_eq!(set.deals.len(), 1);
        let told: Vec<_> = set.refused.iter().map(|refusal| (refusal.file, refusal.line, refusal.column)).collect();
        let file = "sales_pipeline.csv";
        assert_eq!(told, [(file, 3, Some("opportunity_id")), (file, 4, None), (file, 5, Some("engage_date"))]);
        let report = &set.files[3];
        assert_eq!((report.rows, report.taken), (4, 1));
        assert_eq!(set.customers[0].owner, "anna.snelling");
        assert_eq!(set.files[0].not_taken, ["employees", "sector", "office_location"]);
    }

    #[test]
    fn a_folder_without_a_column_stops_the_import() {
        let error = read(folder("opportunity_id,sales_agent,product\n").path()).unwrap_err();
        assert!(error.to_string().starts_with("sales_pipeline.csv: column `account` is missing"));
    }

    #[test]
    fn revenue_becomes_a_tier() {
        assert_eq!(["4968.91", "1000", "4.54", ""].map(|text| tier(text).unwrap()), ["A", "B", "C", ""]);
        assert_eq!(tier("many").unwrap_err().column, Some("revenue"));
    }
}
