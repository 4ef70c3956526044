//! Reads the plans that PostgreSQL's auto_explain sends to a service, which logs them, and says which read more than they should.
//!
//! A statement is *asked* for so many rows: those of the set it is given (`unnest`), those it returns, at least one. What is
//! wrong:
//! 1. a sequential scan of a table, however small the table is;
//! 2. a scan that touches more than `8 x asked + 128` rows of a table, counting those that it throws away;
//! 3. a statement that touches more than `64 x asked + 320` pages. This finds an index that is walked by the tenant alone, too,
//!    where no row is thrown away as the rest of the condition is checked in the index.
//!
//! A join over a whole table breaks the second rule, whatever it is called.

use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _};

/// The plan of one run of one statement.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The statement, with single spaces.
    pub(crate) text: String,
    millis: f64,
    root: Value,
}

/// One node's scan of a table.
struct Scan {
    table: String,
    sequential: bool,
    rows: u64,
}

fn count(node: &Value, key: &str) -> u64 {
    node[key].as_f64().unwrap_or_default() as u64
}

impl Plan {
    /// The plan in a line of a service's log.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok().filter(|_| line.contains("sqlx::postgres::notice"))?;
        let (head, plan) = event["message"].as_str()?.split_once("plan:")?;
        let mut plan: Value = serde_json::from_str(plan).ok()?;
        let text = plan["Query Text"].as_str()?.split_whitespace().collect::<Vec<_>>().join(" ");
        let millis = head.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self { text, millis, root: plan["Plan"].take() })
    }

    /// How many rows the set has that it was given; none if it was given none.
    pub(crate) fn set(&self) -> u64 {
        let mut largest = 0;
        walk(&self.root, &mut |node| {
            if node["Node Type"] == "Function Scan" {
                largest = largest.max(count(node, "Actual Rows"));
            }
        });
        largest
    }

    fn asked(&self) -> u64 {
        self.set().max(count(&self.root, "Actual Rows")).max(1)
    }

    fn pages(&self) -> u64 {
        count(&self.root, "Shared Hit Blocks") + count(&self.root, "Shared Read Blocks")
    }

    fn scans(&self) -> Vec<Scan> {
        let mut scans = Vec::new();
        walk(&self.root, &mut |node| {
            let (Some(kind), Some(table)) = (node["Node Type"].as_str(), node["Relation Name"].as_str()) else {
                return;
            };
            if kind == "ModifyTable" || table == "_sqlx_migrations" {
                return;
            }
            let removed = ["Rows Removed by Filter", "Rows Removed by Index Recheck"].map(|key| count(node, key));
            let each = count(node, "Actual Rows") + removed.iter().sum::<u64>();
            let rows = each * count(node, "Actual Loops");
            scans.push(Scan { table: table.to_owned(), sequential: kind == "Seq Scan", rows });
        });
        scans
    }

    /// What is wrong with it.
    fn faults(&self, allowed: u64) -> Vec<String> {
        let mut faults = Vec::new();
        for scan in self.scans() {
            if scan.sequential {
                faults.push(format!("a sequential scan of {}", scan.table));
            }
            if scan.rows > 8 * self.asked() + 128 + allowed {
                faults.push(format!("{} rows of {} for {} asked", scan.rows, scan.table, self.asked()));
            }
        }
        if self.pages() > 64 * self.asked() + 320 + allowed {
            faults.push(format!("{} pages for {} rows asked", self.pages(), self.asked()));
        }
        faults
    }
}

fn walk<'a>(node: &'a Value, look: &mut impl FnMut(&'a Value)) {
    look(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, look);
    }
}

/// What was seen of one statement.
#[derive(Debug, Default)]
struct Seen {
    runs: u64,
    sets: (u64, u64),
    rows: u64,
    pages: u64,
    millis: f64,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Report {
    seen: BTreeMap<String, Seen>,
    faults: BTreeMap<String, String>,
}

impl Report {
    /// Judges what a service has logged. `phase` says when that was; `allowed` is how many rows more a statement may read, by
    /// its text.
    pub(crate) fn add(&mut self, phase: &str, log: &[String], allowed: impl Fn(&str) -> u64) {
        for plan in log.iter().filter_map(|line| Plan::read(line)) {
            let seen = self.seen.entry(plan.text.clone()).or_default();
            let set = plan.set();
            seen.sets = if seen.runs == 0 { (set, set) } else { (seen.sets.0.min(set), seen.sets.1.max(set)) };
            seen.runs += 1;
            seen.rows = seen.rows.max(plan.scans().iter().map(|scan| scan.rows).max().unwrap_or_default());
            seen.pages = seen.pages.max(plan.pages());
            seen.millis = seen.millis.max(plan.millis);
            let faults = plan.faults(allowed(&plan.text));
            if !faults.is_empty() {
                let (text, plan) = (&plan.text, serde_json::to_string_pretty(&plan.root).unwrap_or_default());
                let fault = || format!("{phase}: {}\n{text}\n{plan}", faults.join("; "));
                self.faults.entry(text.clone()).or_insert_with(fault);
            }
        }
    }

    /// Fails if a statement read too much, or if too little was run to say so.
    pub(crate) fn end(&self) {
        let mut text = String::from("   runs         sets    rows   pages      ms  statement (the most of each)\n");
        for (statement, seen) in &self.seen {
            let Seen { runs, sets: (least, most), rows, pages, millis } = seen;
            let sets = format!("{least}..{most}");
            let short: String = statement.chars().take(150).collect();
            let _ = writeln!(text, "{runs:>7} {sets:>12} {rows:>7} {pages:>7} {millis:>7.1}  {short}");
        }
        println!("{text}{} statements", self.seen.len());
        for fault in self.faults.values() {
            println!("\nFAULT {fault}");
        }
        let short = |fault: &String| fault.lines().take(2).collect::<Vec<_>>().join("\n    ");
        let faults: Vec<_> = self.faults.values().map(short).collect();
        assert!(faults.is_empty(), "{} statements read too much:\n{}", faults.len(), faults.join("\n"));
        let sets = |size| self.seen.values().filter(|seen| (seen.sets.0..=seen.sets.1).contains(&size)).count();
        assert!(sets(1) > 40 && sets(16) > 30 && sets(200) > 20, "too few statements ran in batches of 1, 16 and 200");
    }
}
