//! The floor: the same close-outs as three plain transactions each, by pgbench on the same server. In flow a fresh copy of the
//! seed and a number of clients, out come close-outs a second and their latencies.

use crate::{deals::Deals, latency::Latencies, server::Server};
use anyhow::{Context, bail};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

/// What a run of the floor came to.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    /// Clients at once.
    pub(crate) clients: u64,
    /// Close-outs in all.
    pub(crate) count: u64,
    /// Close-outs a second.
    pub(crate) per_s: f64,
    /// Of one close-out, its three transactions together.
    pub(crate) latencies: Latencies,
    /// What PostgreSQL used for one close-out.
    pub(crate) cpu_us: Option<f64>,
    /// Bytes of the log for one close-out.
    pub(crate) wal: f64,
    /// Versions of rows written for one close-out.
    pub(crate) rows: f64,
}

/// Runs it for a time.
pub(crate) async fn run(
    server: &Server,
    deals: &Deals,
    clients: u64,
    time: Duration,
    folder: &Path,
) -> anyhow::Result<Floor> {
    server.fresh_copy().await?;
    let script = folder.join("floor.sql");
    fs::write(&script, include_str!("floor.sql"))?;
    let log = folder.join(format!("floor-{clients}"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
    let before = server.used().await?;
    let mut command = Command::new(Server::programs()?.join("pgbench"));
    command.args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix"]).arg(&log);
    command.arg("--file").arg(&script).args(["--jobs", "1", "--client", &clients.to_string()]);
    command.args(["--time", &time.as_secs().to_string()]);
    let (opportunities, customers) = (deals.opportunities, deals.customers());
    let defined = [
        ("i", 0),
        ("clients", clients),
        ("step", deals.step()),
        ("opportunities", opportunities),
        ("customers", customers),
    ];
    for (name, value) in defined {
        command.args(["--define", &format!("{name}={value}")]);
    }
    command.args(["--define", &format!("now={now}"), &server.copy()]);
    let output = command.stdin(Stdio::null()).output().context("pgbench")?;
    if !output.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let per_s = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    let per_s = per_s.with_context(|| format!("pgbench said nothing of its speed: {said}"))?;
    let latencies = read_log(folder, &format!("floor-{clients}."))?;
    let count = latencies.count() as u64;
    if count > opportunities {
        bail!(
            "the floor closed out {count} of {opportunities} opportunities, so some twice: give --scale a greater number"
        );
    }
    let used = server.used().await?;
    let each = |value: f64| value / count as f64;
    let cpu = used.cpu.zip(before.cpu).map(|(after, before)| each((after - before).time().as_secs_f64() * 1e6));
    let (wal, rows) = (each((used.wal - before.wal) as f64), each(server.rows_written().await? as f64));
    Ok(Floor { clients, count, per_s, latencies, cpu_us: cpu, wal, rows })
}

/// The third column of pgbench's log is how long a run of the script took, in microseconds.
fn read_log(folder: &Path, prefix: &str) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        for line in fs::read_to_string(entry.path())?.lines() {
            let micros = line.split(' ').nth(2).and_then(|column| column.parse().ok());
            latencies.add(Duration::from_micros(micros.with_context(|| format!("no line of pgbench's log: {line}"))?));
        }
    }
    Ok(latencies)
}
