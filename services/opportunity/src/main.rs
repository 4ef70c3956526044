//! The opportunity service as a program: settings in, serve until a signal.

use clap::Parser;
use crm_opportunity::{Action, App, Config};
use crm_runtime::{collector::Source, executor, telemetry};
use mimalloc::MiMalloc;
use std::{error::Error, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    let done = executor::new(config.threads).map_err(Into::into).and_then(|executor| executor.block_on(run(config)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("opportunity-service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let source = Source { service: "opportunity-service", version: env!("CARGO_PKG_VERSION") };
    let telemetry = telemetry::init(config.log_format, "info,sqlx=warn", config.otlp_endpoint.as_ref(), source)?;
    let done = match config.action {
        Some(Action::Migrate) => App::migrate(&config.database_url).await.map_err(Into::into),
        None => serve(config).await,
    };
    telemetry.end().await;
    done
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let peers = config.peer_url.clone();
    let app = App::bind(config).await?;
    let (public, peer, metrics) = (app.public_addr(), app.peer_addr(), app.metrics_addr().map(tracing::field::display));
    tracing::info!(%public, %peer, metrics, "listening");
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    app.serve(&peers, shutdown).await?;
    tracing::info!("ended in order");
    Ok(())
}
