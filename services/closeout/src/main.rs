//! `closeout`: the command-line program for close-outs (消单) of opportunities and orders.
//!
//! Reading order: `args` says what a person can ask for, `commands` and `demo` do it, `api` talks to the two services
//! (through their public gRPC API only), `view` shows what came back. `data` reads or makes the rows of an import,
//! `import` sends them. Nothing here knows a table or a domain rule of a service; `demo` alone has the databases it made
//! looked at by `crm-checker` in the end.

mod api;
mod args;
mod bulk;
mod commands;
mod data;
mod demo;
mod embedded;
mod failure;
mod format;
mod identity;
mod import;
mod json;
mod request_id;
mod retry;
mod screen;
mod settle;
mod view;

use args::Cli;
use clap::Parser;
use failure::Ending;
use screen::Screen;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.global.json);
    let screen = Screen::new(cli.global.json, cli.global.color);
    match start(&cli, &screen) {
        Ok(ending) => ending.exit_code(),
        Err(error) => failure::show(&error, &screen),
    }
}

/// Runs the command on a runtime of its own.
fn start(cli: &Cli, screen: &Screen) -> anyhow::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ending = runtime.block_on(commands::run(cli, screen));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ending
}

/// Sends what the embedded services log to standard error: warnings only, unless `RUST_LOG` says otherwise.
fn start_log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,sqlx::query=error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { log.json().init() } else { log.init() }
}
