//! `closeout-bench`: how many close-outs a second, with every effect durable on both sides, beside the same rows written one
//! close-out at a time on the same server in the same run.
//!
//! Reading order: `deals` (what there is to close out), `seed` (how it gets into a database), `server` (PostgreSQL), `pair` (both
//! services), `floor` (the plain way), `load` (callers), `measure` (one measurement and its verification); `reads`, `embedded`,
//! `growth`; `results`, `plot`, `screen`.

mod deals;
mod embedded;
mod floor;
mod growth;
mod latency;
mod load;
mod measure;
mod pair;
mod plot;
mod process;
mod reads;
mod results;
mod screen;
mod seed;
mod server;

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};
use deals::Deals;
use measure::{Bench, Database};
use pair::Programs;
use results::{FLOOR_CLIENTS, Open, Results, Unary};
use screen::Screen;
use server::Server;
use std::{path::PathBuf, process::ExitCode, time::Duration};

const EXAMPLES: &str = "\
Examples:
  tests/bench/run                                   everything, with up to a million opportunities
  tests/bench/run --short                           about ten minutes
  tests/bench/run --short --json | jq .unary
  tests/bench/run --only unary --in-flight 64,256   only this, and the floor it is compared with
  tests/bench/run --svg load.svg                    with a drawing of latency over load
  tests/bench/run --only growth --scale 10000000    up to ten million opportunities; needs about 40 GB of disk

What counts are ratios within one run: figures of different runs on a shared machine differ by a factor of two.

Exit codes: 0 measured, and every close-out was found in effect on both sides; 1 it could not be measured, or something was
            not in effect; 2 the command line is wrong";

/// Measures close-outs with every effect durable on both sides, beside the same rows written one close-out at a time.
#[derive(Debug, Parser)]
#[command(name = "closeout-bench", version, after_help = EXAMPLES)]
struct Args {
    /// Fewer seconds for each measurement, fewer of them, growth up to 100,000 opportunities only.
    #[arg(long)]
    short: bool,
    /// The result as one JSON object on one line.
    #[arg(long)]
    json: bool,
    /// Draw latency over load into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only these parts; the floor comes with what is compared with it.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Callers at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1_024], value_name = "NUMBERS",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_024))]
    in_flight: Vec<usize>,
    /// Opportunities of the largest size of growth.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=10_000_000))]
    scale: u64,
    /// Seconds of each measurement; default 10, with --short 4.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
    /// A superuser's URL of a PostgreSQL that runs already; it is left as it was. Default: one is started.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Folder of the services' programs; default: where this program is.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Callers that call again when they have their answer.
    Unary,
    /// One bulk call with all there are; in the long form another one with up to a million.
    Bulk,
    /// Calls at a fixed rate.
    Open,
    /// Reads.
    Reads,
    /// The same on SQLite; also the start, and memory without load.
    Sqlite,
    /// Ever more opportunities and tenants.
    Growth,
}

/// Opportunities that most parts begin with.
const OPPORTUNITIES: u64 = 100_000;
/// Most items of one bulk call.
const LARGEST_BULK: u64 = 1_000_000;
/// Rates of the open loop, as shares of the fastest closed loop.
const RATES: [f64; 5] = [0.25, 0.5, 0.7, 0.8, 0.9];
/// Callers at once on one connection.
const ON_A_CONNECTION: usize = 128;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen { json: args.json };
    match Box::pin(run(&args, &screen)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.say(&format!("closeout-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, screen: &Screen) -> anyhow::Result<()> {
    let programs = Programs::find(args.programs.as_deref())?;
    let folder = tempfile::tempdir()?;
    // The server of a machine's root runs as another user.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let server = Server::new(args.database_url.as_deref(), &folder.path().join("postgres"))?;
    let deals = Deals { opportunities: OPPORTUNITIES, tenants: 1, history: true };
    let mut results = Results {
        machine: process::machine(),
        postgres: server.version().await?,
        opportunities: deals.opportunities,
        program_bytes: programs.sizes()?,
        ..Results::default()
    };
    let bench = Bench { deals: &deals, programs: &programs, folder: folder.path() };
    let done = Box::pin(parts(args, screen, &bench, &server, &mut results)).await;
    server.drop_all().await?;
    done?;
    if let Some(file) = &args.svg {
        plot::draw(&results, file)?;
    }
    let shown = if screen.json { results.json().to_string() } else { results.text() };
    Ok(screen.show(&shown)?)
}

async fn parts(
    args: &Args,
    screen: &Screen,
    bench: &Bench<'_>,
    server: &Server,
    results: &mut Results,
) -> anyhow::Result<()> {
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let time = Duration::from_secs(args.seconds.unwrap_or(if args.short { 4 } else { 10 }));
    if [Part::Unary, Part::Bulk, Part::Open].into_iter().any(wanted) {
        screen.say(&format!("Seed: {OPPORTUNITIES} opportunities"));
        seed::postgres(server, bench.deals, screen).await?;
        for clients in [1, FLOOR_CLIENTS] {
            screen.say(&format!("Floor: {clients} client(s)"));
            results.floors.insert(clients, floor::run(server, bench.deals, clients, time, bench.folder).await?);
        }
    }
    if wanted(Part::Unary) || wanted(Part::Open) {
        unary(args, screen, bench, server, time, results).await?;
    }
    if wanted(Part::Bulk) {
        screen.say("Bulk: all in one stream");
        let load = async |channels: &[_], turns: &load::Turns<'_>| load::bulk(channels, turns).await;
        results.bulk.push(bench.measure(Database::Postgres(server), 1, true, load).await?);
    }
    if wanted(Part::Open) {
        open(args, screen, bench, server, time, results).await?;
    }
    if wanted(Part::Reads) {
        screen.say("Reads");
        if results.floors.is_empty() {
            seed::postgres(server, bench.deals, screen).await?;
        }
        results.reads = reads::run(bench, server, time / 2).await?;
    }
    if wanted(Part::Sqlite) {
        screen.say("SQLite");
        results.sqlite = Some(embedded::run(bench, time, screen).await?);
    }
    if wanted(Part::Bulk) && !args.short && args.scale > OPPORTUNITIES {
        let deals = Deals { opportunities: args.scale.min(LARGEST_BULK), tenants: 1, history: false };
        screen.say(&format!("Bulk: {} opportunities in one stream", deals.opportunities));
        seed::postgres(server, &deals, screen).await?;
        let load = async |channels: &[_], turns: &load::Turns<'_>| load::bulk(channels, turns).await;
        let bench = Bench { deals: &deals, ..*bench };
        results.bulk.push(bench.measure(Database::Postgres(server), 1, false, load).await?);
    }
    if wanted(Part::Growth) {
        results.growth = growth::run(bench, server, &sizes(args), time, screen).await?;
    }
    Ok(())
}

/// Sizes of growth: opportunities, then tenants.
fn sizes(args: &Args) -> Vec<(u64, u64)> {
    let largest = if args.short { OPPORTUNITIES } else { args.scale };
    let counts = [10_000, 100_000, 1_000_000, 10_000_000].into_iter().take_while(|count| *count < largest);
    let mut sizes: Vec<_> = counts.chain([largest]).map(|count| (count, 1)).collect();
    let tenants: &[u64] = if args.short { &[10_000] } else { &[100, 10_000] };
    sizes.extend(tenants.iter().map(|tenants| (OPPORTUNITIES, *tenants)));
    sizes
}

async fn unary(
    args: &Args,
    screen: &Screen,
    bench: &Bench<'_>,
    server: &Server,
    time: Duration,
    results: &mut Results,
) -> anyhow::Result<()> {
    for &in_flight in &args.in_flight {
        screen.say(&format!("Unary: {in_flight} in flight"));
        let connections = in_flight.div_ceil(ON_A_CONNECTION);
        // Checked in full where most was done; in the short form the bulk call and SQLite are.
        let checked = in_flight == 256 && !args.short;
        let load = async |channels: &[_], turns: &load::Turns<'_>| load::closed(channels, turns, in_flight, time).await;
        let measured = bench.measure(Database::Postgres(server), connections, checked, load).await?;
        results.unary.push(Unary { in_flight, measured });
    }
    Ok(())
}

async fn open(
    args: &Args,
    screen: &Screen,
    bench: &Bench<'_>,
    server: &Server,
    time: Duration,
    results: &mut Results,
) -> anyhow::Result<()> {
    let peak = results.unary.iter().map(|one| one.measured.per_s).fold(0.0, f64::max);
    let rates = if args.short { &RATES[1..2] } else { &RATES[..] };
    for share in rates {
        let offered = peak * share;
        screen.say(&format!("Open loop: {offered:.0} calls/s"));
        let load = async |channels: &[_], turns: &load::Turns<'_>| load::open(channels, turns, offered, time).await;
        let measured = bench.measure(Database::Postgres(server), 4, false, load).await?;
        results.open.push(Open { offered, measured });
    }
    Ok(())
}
