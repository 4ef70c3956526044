//! One CSV file as rows of cells. A missing file or column is an error; a broken row is a refusal and the rest goes on.

use super::{FileReport, Problem, Refusal};
use crate::format::counted;
use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder};
use std::{fs::File, path::Path};

/// A file: its rows, and what was wrong with the others.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Sound rows.
    pub(crate) rows: Vec<Row>,
    /// Rows that are broken as such.
    pub(crate) refused: Vec<Refusal>,
    /// Rows read and cells trimmed.
    pub(super) report: FileReport,
}

/// A row with the wanted cells, in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its line in the file.
    pub(crate) line: u64,
    /// The wanted cells, without blanks around them.
    pub(crate) cells: Vec<String>,
}

/// The columns of a file: where the wanted ones stand and what all are called.
struct Columns {
    wanted: Vec<(&'static str, Option<usize>)>,
    all: Vec<String>,
}

impl Sheet {
    /// Reads the columns `wanted` of `folder/file`.
    pub(super) fn read(folder: &Path, file: &'static str, wanted: &[&'static str]) -> anyhow::Result<Self> {
        Self::read_at(&folder.join(file), file, wanted, &[])
    }

    /// Reads the columns `wanted` of the file at `path`, which reports call `file`, and after them those `optional` ones that
    /// are there; a cell of one that is not there is empty.
    pub(crate) fn read_at(
        path: &Path,
        file: &'static str,
        wanted: &[&'static str],
        optional: &[&'static str],
    ) -> anyhow::Result<Self> {
        let source = File::open(path).with_context(|| format!("{file}: cannot read {}", path.display()))?;
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).with_context(|| format!("{file}: cannot be read"))? {
            bail!("{file}: is empty; a header line with the columns {} is missing", wanted.join(", "));
        }
        if record.as_slice().contains(&0) {
            bail!("{file}: is UTF-16 or no text at all; save it as UTF-8");
        }
        let columns = Columns::of(file, &record, wanted, optional)?;
        let report = FileReport { file, not_taken: columns.not_taken(), ..FileReport::default() };
        let mut sheet = Self { rows: Vec::new(), refused: Vec::new(), report };
        while reader.read_byte_record(&mut record).with_context(|| format!("{file}: cannot be read"))? {
            let line = record.position().map_or(0, csv::Position::line);
            columns.check_text(file, line, &record)?;
            sheet.take(line, &record, &columns);
        }
        Ok(sheet)
    }

    fn take(&mut self, line: u64, record: &ByteRecord, columns: &Columns) {
        // An open quote swallows the lines after it: each of them is a row that is lost.
        let swallowed = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        self.report.rows += 1 + swallowed;
        match columns.cells(record, swallowed, &mut self.report) {
            Ok(cells) => self.rows.push(Row { line, cells }),
            Err(problem) => {
                for lost in line..=line + swallowed {
                    self.refuse(lost, problem.clone());
                }
            }
        }
    }

    /// Notes that a row cannot be taken.
    pub(super) fn refuse(&mut self, line: u64, problem: Problem) {
        let Problem { column, reason } = problem;
        self.refused.push(Refusal { file: self.report.file, line, column, reason });
    }
}

impl Columns {
    fn of(file: &str, header: &ByteRecord, wanted: &[&'static str], optional: &[&'static str]) -> anyhow::Result<Self> {
        let all: Vec<String> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let mut found = Vec::new();
        for &column in wanted.iter().chain(optional) {
            let mut places = all.iter().enumerate().filter(|(_, name)| *name == column).map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(place), None) => found.push((column, Some(place))),
                (Some(_), Some(_)) => bail!("{file}: column `{column}` is there twice"),
                (None, _) if optional.contains(&column) => found.push((column, None)),
                (None, _) => bail!("{file}: column `{column}` is missing (there are: {})", all.join(", ")),
            }
        }
        Ok(Self { wanted: found, all })
    }

    /// An encoding is one of the whole file: where one cell is not UTF-8, the others cannot be trusted either.
    fn check_text(&self, file: &str, line: u64, record: &ByteRecord) -> anyhow::Result<()> {
        match record.iter().position(|cell| std::str::from_utf8(cell).is_err()) {
            None => Ok(()),
            Some(place) => {
                let column = self.all.get(place).map_or("?", String::as_str);
                bail!("{file}: line {line}, column `{column}` is not UTF-8 text; save the file as UTF-8")
            }
        }
    }

    fn not_taken(&self) -> Vec<String> {
        self.all.iter().filter(|name| !self.wanted.iter().any(|(wanted, _)| wanted == name)).cloned().collect()
    }

    fn cells(&self, record: &ByteRecord, swallowed: u64, report: &mut FileReport) -> Result<Vec<String>, Problem> {
        if swallowed > 0 {
            let lines = counted(swallowed, "more line", "more lines");
            let reason = format!("a quote is left open and swallows {lines}");
            return Err(Problem { column: None, reason });
        }
        if record.len() != self.all.len() {
            let reason = format!("{} cells instead of {}{}", record.len(), self.all.len(), self.first_lost(record));
            return Err(Problem { column: None, reason });
        }
        let mut cells = Vec::with_capacity(self.wanted.len());
        for &(column, place) in &self.wanted {
            let bytes = place.and_then(|place| record.get(place)).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes); // checked before: nothing is lost
            if text.trim() != &*text {
                report.mend(column, "blanks around the value", "none");
            }
            cells.push(text.trim().to_owned());
        }
        Ok(cells)
    }

    fn first_lost(&self, record: &ByteRecord) -> String {
        self.all.get(record.len()).map_or_else(String::new, |column| format!("; nothing in column `{column}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> anyhow::Result<Sheet> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("products.csv"), text).unwrap();
        Sheet::read(folder.path(), "products.csv", &["product", "sales_price"])
    }

    #[test]
    fn a_missing_file_or_column_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Sheet::read(folder.path(), "products.csv", &["product"]).unwrap_err();
        assert!(format!("{error:#}").starts_with("products.csv: cannot read"));
        let error = read(b"product,price\nGTX,1\n").unwrap_err();
        assert_eq!(error.to_string(), "products.csv: column `sales_price` is missing (there are: product, price)");
        let error = read(b"").unwrap_err();
        assert!(error.to_string().contains("products.csv: is empty"));
    }

    #[test]
    fn a_row_with_a_cell_too_few_is_refused_with_its_line() {
        let sheet = read(b"product,series,sales_price\nGTX Basic,GTX,550\nGTX Pro,GTX\nMG,MG,55\n").unwrap();
        assert_eq!(sheet.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(sheet.refused[0].line, 3);
        assert_eq!(sheet.refused[0].reason, "2 cells instead of 3; nothing in column `sales_price`");
        assert_eq!(sheet.report.not_taken, ["series"]);
    }

    #[test]
    fn an_open_quote_costs_every_line_it_swallows() {
        let sheet = read(b"product,sales_price\n\"GTX,550\nMG,55\nGTK,1\n").unwrap();
        assert!(sheet.rows.is_empty());
        assert_eq!(sheet.refused.iter().map(|refusal| refusal.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn a_file_in_another_encoding_is_an_error() {
        let error = read(b"product,sales_price\nMG,1\nGT\xe9,550\n").unwrap_err().to_string();
        assert_eq!(error, "products.csv: line 3, column `product` is not UTF-8 text; save the file as UTF-8");
        let utf_16: Vec<u8> = "\u{feff}product,sales_price\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(read(&utf_16).unwrap_err().to_string().starts_with("products.csv: is UTF-16"));
    }

    #[test]
    fn blanks_around_a_cell_are_mended_and_a_byte_order_mark_is_no_part_of_a_name() {
        let sheet = read("\u{feff}product,sales_price\r\n GTX , 550\r\n".as_bytes()).unwrap();
        assert_eq!(sheet.rows[0].cells, ["GTX", "550"]);
        assert_eq!(sheet.report.mended_cells(), 2);
    }
}
