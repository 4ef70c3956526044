//! The rows of an import, clean: read from CSV files (`csv_files`) or made from a seed (`seed`).
//!
//! A `DataSet` also tells what was done to get there: cells mended, rows refused with their line and reason, columns
//! that have no place in the API. Nothing is dropped in silence.

mod csv_files;
mod deal;
mod names;
mod seed;
pub(crate) mod sheet;

use std::collections::BTreeMap;
use time::Date;

pub(crate) use csv_files::read;
pub(crate) use seed::make;

/// Everything to import.
#[derive(Debug)]
pub(crate) struct DataSet {
    /// Where it comes from; part of every request_id.
    pub(crate) source: String,
    /// Currency of every amount.
    pub(crate) currency: &'static str,
    /// Customers.
    pub(crate) customers: Vec<CustomerRow>,
    /// Opportunities, each with what became of it.
    pub(crate) deals: Vec<DealRow>,
    /// What was done to each file; empty for made rows.
    pub(crate) files: Vec<FileReport>,
    /// Rows that could not be taken.
    pub(crate) refused: Vec<Refusal>,
    /// The newest date in the data: its "today".
    pub(crate) newest: Date,
}

/// A customer to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CustomerRow {
    /// Line in accounts.csv.
    pub(crate) line: u64,
    /// What it is called; unique.
    pub(crate) name: String,
    /// `A`, `B` or `C` by revenue; empty where that is not known.
    pub(crate) tier: &'static str,
    /// Principal with the most opportunities with it; empty if there is none: then the caller.
    pub(crate) owner: String,
}

/// An opportunity to make, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DealRow {
    /// Line in sales_pipeline.csv.
    pub(crate) line: u64,
    /// Its number; unique.
    pub(crate) number: String,
    /// What is sold.
    pub(crate) product: String,
    /// Name of the customer, if it has one yet.
    pub(crate) customer: Option<String>,
    /// Principal who owns it.
    pub(crate) owner: String,
    /// Team of the owner.
    pub(crate) team: String,
    /// What became of it.
    pub(crate) stage: Stage,
    /// Since when it is pursued; none for a mere prospect.
    pub(crate) engaged: Option<Date>,
    /// When it was won or lost.
    pub(crate) closed: Option<Date>,
    /// What it is worth, in minor units.
    pub(crate) amount: i64,
    /// True if the row carries no value, so that `amount` is the product's list price.
    pub(crate) estimated: bool,
}

impl DealRow {
    /// What the opportunity is about.
    pub(crate) fn title(&self) -> String {
        let title = match &self.customer {
            Some(customer) => format!("{} for {customer}", self.product),
            None => self.product.clone(),
        };
        title.chars().take(200).collect()
    }
}

/// What became of an opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not pursued yet.
    Prospecting,
    /// Being pursued.
    Engaging,
    /// Won.
    Won,
    /// Lost, without a recorded reason.
    Lost,
}

/// What was done to one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileReport {
    /// Its name.
    pub(crate) file: &'static str,
    /// Rows in it.
    pub(crate) rows: u64,
    /// Rows taken.
    pub(crate) taken: u64,
    /// Mended cells: how many, by column, what stood there and what it means.
    pub(crate) mended: BTreeMap<(&'static str, String, String), u64>,
    /// Columns that have no place in the API.
    pub(crate) not_taken: Vec<String>,
}

impl FileReport {
    /// Number of mended cells.
    pub(crate) fn mended_cells(&self) -> u64 {
        self.mended.values().sum()
    }

    /// Counts a mended cell.
    fn mend(&mut self, column: &'static str, from: &str, to: &str) {
        *self.mended.entry((column, from.to_owned(), to.to_owned())).or_default() += 1;
    }
}

/// A row that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The file.
    pub(crate) file: &'static str,
    /// Its line in the file, from 1; the header is line 1.
    pub(crate) line: u64,
    /// The column that is wrong, if it is one.
    pub(crate) column: Option<&'static str>,
    /// What is wrong.
    pub(crate) reason: String,
}

/// What is wrong with a row: the column, if it is one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    column: Option<&'static str>,
    reason: String,
}

impl Problem {
    fn new(column: &'static str, reason: impl Into<String>) -> Self {
        Self { column: Some(column), reason: reason.into() }
    }
}
