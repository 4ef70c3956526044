//! What a whole run came to, and how it is shown: tables for people, one JSON object on one line for machines.

use crate::{
    embedded::Embedded,
    floor::Floor,
    growth::Size,
    measure::{Cpu, Measured},
    reads::Read,
};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// Close-outs with so many callers.
#[derive(Clone, Debug)]
pub(crate) struct Unary {
    /// Callers at once.
    pub(crate) in_flight: usize,
    /// What it came to.
    pub(crate) measured: Measured,
}

/// So many calls a second, whatever becomes of them.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Calls a second that were due.
    pub(crate) offered: f64,
    /// What it came to.
    pub(crate) measured: Measured,
}

/// Everything that was measured; what was left out is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// Where it was measured.
    pub(crate) machine: String,
    /// Version of PostgreSQL.
    pub(crate) postgres: String,
    /// Opportunities of the seed.
    pub(crate) opportunities: u64,
    /// By the number of clients.
    pub(crate) floors: BTreeMap<u64, Floor>,
    /// By the number of callers.
    pub(crate) unary: Vec<Unary>,
    /// By the rate.
    pub(crate) open: Vec<Open>,
    /// Bulk calls, the larger one last.
    pub(crate) bulk: Vec<Measured>,
    /// By kind.
    pub(crate) reads: Vec<Read>,
    /// The same on SQLite.
    pub(crate) sqlite: Option<Embedded>,
    /// By size.
    pub(crate) growth: Vec<Size>,
    /// Of the programs of both services, in bytes.
    pub(crate) program_bytes: [u64; 2],
}

/// Clients of the floor that ratios are taken to.
pub(crate) const FLOOR_CLIENTS: u64 = 16;
const SHARES: [f64; 3] = [0.5, 0.99, 0.999];
const MIB: f64 = 1_048_576.0;

impl Results {
    /// Close-outs a second of the floor.
    fn floor_per_s(&self) -> Option<f64> {
        self.floors.get(&FLOOR_CLIENTS).map(|floor| floor.per_s)
    }

    fn ratio(&self, per_s: f64) -> Option<f64> {
        self.floor_per_s().map(|floor| per_s / floor)
    }

    /// One object on one line.
    pub(crate) fn json(&self) -> Value {
        let floor = self.floors.get(&FLOOR_CLIENTS).map(|floor| {
            let [p50, p99, _] = floor.latencies.within(SHARES);
            json!({ "per_s": round(floor.per_s), "p50_ms": round(p50), "p99_ms": round(p99), "close_outs": floor.count })
        });
        let busiest = self.unary.iter().find(|one| one.in_flight == 256).or(self.unary.last());
        let most = self.unary.iter().map(|one| one.measured.memory.iter().max().copied().unwrap_or_default()).max();
        let idle = self.sqlite.as_ref().map(|sqlite| sqlite.idle.iter().max().copied().unwrap_or_default());
        let bytes = |bytes: u64| round(bytes as f64 / MIB);
        json!({
            "machine": self.machine, "postgres": self.postgres, "opportunities": self.opportunities,
            "floor": floor,
            "floor_one_client": self.floors.get(&1).map(|floor| json!({
                "per_s": round(floor.per_s), "p50_ms": round(floor.latencies.within([0.5])[0]),
            })),
            "unary": self.unary.iter().map(|one| self.unary_json(one)).collect::<Vec<_>>(),
            "open_loop": self.open.iter().map(|one| self.open_json(one)).collect::<Vec<_>>(),
            "bulk": self.bulk.last().map(|bulk| json!({
                "items": bulk.count, "per_s": round(bulk.per_s), "ratio": self.ratio(bulk.per_s).map(round),
                "cpu_us": cpu_json(&bulk.cpu),
            })),
            "reads": self.reads.iter().map(|read| {
                let [p50, p99, _] = read.latencies.within(SHARES);
                let entry = json!({
                    "per_s": round(read.per_s), "p50_ms": round(p50), "p99_ms": round(p99), "cpu_us": cpu_json(&read.cpu),
                    "statements": round(read.statements),
                });
                (read.what.replace(' ', "_"), entry)
            }).collect::<serde_json::Map<_, _>>(),
            "sqlite": self.sqlite.as_ref().map(|sqlite| json!({
                "floor_per_s": round(sqlite.floor_per_s), "per_s": round(sqlite.measured.per_s),
                "ratio": round(sqlite.measured.per_s / sqlite.floor_per_s),
            })),
            "growth": self.growth.iter().map(|size| json!({
                "opportunities": size.opportunities, "tenants": size.tenants, "us_per_close_out": round(size.us_per_close_out),
                "per_s": round(size.per_s),
            })).collect::<Vec<_>>(),
            "cpu_us": busiest.map(|one| cpu_json(&one.measured.cpu)),
            "memory_mib": { "idle": idle.map(bytes), "most": most.map(bytes) },
            "start_ms": self.sqlite.as_ref().map(|sqlite| round(sqlite.start.as_secs_f64() * 1e3)),
            "program_mib": self.program_bytes.map(bytes),
            "checked": self.checked(),
        })
    }

    fn unary_json(&self, one: &Unary) -> Value {
        let [p50, p99, p999] = one.measured.latencies.within(SHARES);
        json!({
            "in_flight": one.in_flight, "per_s": round(one.measured.per_s), "p50_ms": round(p50), "p99_ms": round(p99),
            "p999_ms": round(p999), "ratio": self.ratio(one.measured.per_s).map(round), "cpu_us": cpu_json(&one.measured.cpu),
            "wal_bytes": one.measured.wal.round(), "rows": one.measured.rows.map(round), "statements": round(one.measured.statements),
        })
    }

    fn open_json(&self, one: &Open) -> Value {
        let [p50, p99, p999] = one.measured.latencies.within(SHARES);
        json!({ "per_s": round(one.offered), "p50_ms": round(p50), "p99_ms": round(p99), "p999_ms": round(p999) })
    }

    fn checked(&self) -> Value {
        let measured = self.unary.iter().map(|one| &one.measured);
        let open = self.open.iter().map(|one| &one.measured);
        let all = measured.chain(open).chain(&self.bulk).chain(self.sqlite.as_ref().map(|sqlite| &sqlite.measured));
        let (mut close_outs, mut violated) = (0, 0);
        for one in all {
            close_outs += one.count;
            violated += one.checked.map_or(0, |(_, violated)| violated);
        }
        json!({ "close_outs": close_outs, "violated": violated })
    }

    /// Tables.
    pub(crate) fn text(&self) -> String {
        let mut text =
            format!("{}\nPostgreSQL {}, {} opportunities\n", self.machine, self.postgres, self.opportunities);
        self.write_close_outs(&mut text);
        self.write_reads(&mut text);
        self.write_sqlite(&mut text);
        self.write_growth(&mut text);
        let checked = self.checked();
        let [sales, trade] = self.program_bytes.map(|bytes| bytes as f64 / MIB);
        let _ = writeln!(
            text,
            "\nPrograms: {sales:.1} and {trade:.1} MiB. Every one of {} close-outs was found in effect on both sides; {} \
             invariant(s) violated.",
            checked["close_outs"], checked["violated"],
        );
        text
    }

    fn write_close_outs(&self, text: &mut String) {
        let mut table = table(&[
            "",
            "per s",
            "ratio",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "PostgreSQL µs",
            "services µs",
            "load µs",
            "statements",
            "rows",
            "WAL bytes",
            "memory MiB",
        ]);
        for floor in self.floors.values() {
            let [p50, p99, p999] = floor.latencies.within(SHARES);
            table.add_row([
                format!("floor, {} client(s)", floor.clients),
                number(floor.per_s, 0),
                ratio(self.ratio(floor.per_s)),
                number(p50, 1),
                number(p99, 1),
                number(p999, 1),
                or_dash(floor.cpu_us),
                String::new(),
                String::new(),
                String::new(),
                number(floor.rows, 1),
                number(floor.wal, 0),
                String::new(),
            ]);
        }
        let unary = self.unary.iter().map(|one| (format!("{} in flight", one.in_flight), &one.measured));
        let open =
            self.open.iter().map(|one| (format!("{} calls/s, open loop", number(one.offered, 0)), &one.measured));
        let bulk = self.bulk.iter().map(|one| (format!("bulk, {} in one stream", one.count), one));
        for (what, one) in unary.chain(bulk).chain(open) {
            let [p50, p99, p999] = one.latencies.within(SHARES);
            let most = one.memory.iter().max().copied().unwrap_or_default();
            table.add_row([
                what,
                number(one.per_s, 0),
                ratio(self.ratio(one.per_s)),
                number(p50, 1),
                number(p99, 1),
                number(p999, 1),
                or_dash(one.cpu.postgres),
                number(one.cpu.services, 0),
                number(one.cpu.load, 0),
                number(one.statements, 2),
                one.rows.map(|rows| number(rows, 1)).unwrap_or_default(),
                number(one.wal, 0),
                number(most as f64 / MIB, 1),
            ]);
        }
        section(
            text,
            "Close-outs, every effect durable on both sides (processor time of one close-out by process)",
            &table,
        );
    }

    fn write_reads(&self, text: &mut String) {
        let mut table = table(&[
            "",
            "per s",
            "of an empty call",
            "p50 ms",
            "p99 ms",
            "PostgreSQL µs",
            "services µs",
            "load µs",
            "statements",
        ]);
        let empty = self.reads.first().map_or(1.0, |read| read.per_s);
        for read in &self.reads {
            let [p50, p99, _] = read.latencies.within(SHARES);
            let share = format!("{:.0} %", 100.0 * read.per_s / empty);
            table.add_row([
                read.what.to_owned(),
                number(read.per_s, 0),
                share,
                number(p50, 1),
                number(p99, 1),
                or_dash(read.cpu.postgres),
                number(read.cpu.services, 0),
                number(read.cpu.load, 0),
                number(read.statements, 2),
            ]);
        }
        section(text, "Reads, 64 in flight (processor time of one read by process)", &table);
    }

    fn write_sqlite(&self, text: &mut String) {
        let Some(sqlite) = &self.sqlite else { return };
        let [p50, p99, p999] = sqlite.measured.latencies.within(SHARES);
        let mut table = table(&["", "per s", "ratio", "p50 ms", "p99 ms", "p99.9 ms", "services µs"]);
        let empty = String::new;
        table.add_row([
            "three plain transactions".into(),
            number(sqlite.floor_per_s, 0),
            ratio(Some(1.0)),
            empty(),
            empty(),
            empty(),
            empty(),
        ]);
        table.add_row([
            "64 in flight".to_owned(),
            number(sqlite.measured.per_s, 0),
            ratio(Some(sqlite.measured.per_s / sqlite.floor_per_s)),
            number(p50, 1),
            number(p99, 1),
            number(p999, 1),
            number(sqlite.measured.cpu.services, 0),
        ]);
        section(text, "SQLite, synchronous=FULL", &table);
        let [sales, trade] = sqlite.idle.map(|bytes| bytes as f64 / MIB);
        let _ = writeln!(
            text,
            "Both serve after {:.0} ms, then holding {sales:.1} and {trade:.1} MiB.",
            sqlite.start.as_secs_f64() * 1e3
        );
    }

    fn write_growth(&self, text: &mut String) {
        let mut table = table(&["opportunities", "tenants", "µs per close-out", "of the first", "per s"]);
        let first = self.growth.first().map_or(1.0, |size| size.us_per_close_out);
        for size in &self.growth {
            let of_first = format!("{:.2}", size.us_per_close_out / first);
            table.add_row([
                size.opportunities.to_string(),
                size.tenants.to_string(),
                number(size.us_per_close_out, 0),
                of_first,
                number(size.per_s, 0),
            ]);
        }
        section(text, "Growth, 256 in flight (processor time of PostgreSQL and both services)", &table);
    }
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(headings);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn section(text: &mut String, heading: &str, table: &Table) {
    if table.row_count() > 0 {
        let _ = writeln!(text, "\n{heading}\n{table}");
    }
}

fn cpu_json(cpu: &Cpu) -> Value {
    json!({ "postgres": cpu.postgres.map(round), "services": round(cpu.services), "load": round(cpu.load) })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn number(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| number(value, 0))
}
