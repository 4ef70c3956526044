//! `closeout up`: keeps both services running until Ctrl-C.

use crate::args::{Global, OPPORTUNITY_URL, ORDER_URL, UpArgs};
use crate::embedded::{Embedded, Places};
use crate::failure::Ending;
use crate::identity::Identity;
use crate::screen::{Paint, Screen};
use anyhow::Context;
use serde_json::json;

/// Starts both services and stops them when the person or the system says so.
pub(super) async fn run(args: &UpArgs, global: &Global, screen: &Screen) -> anyhow::Result<Ending> {
    let tenant = Identity::new(global, None)?.tenant();
    let places = Places::on_ports_of(global, &args.folder, &args.databases)?;
    if !args.databases.are_both_named() {
        std::fs::create_dir_all(&args.folder).with_context(|| format!("--folder {}", args.folder.display()))?;
    }
    let mut pair = Embedded::start(&places).await?;
    if screen.json() {
        screen.emit(&json!({
            "opportunity_url": pair.opportunity_url, "order_url": pair.order_url,
            "data": places.data(), "tenant": tenant.to_string(),
        }))?;
    }
    screen.line(&screen.paint(Paint::Good, "Both services are up; Ctrl-C stops them."))?;
    screen.line(&format!("  opportunity service  {}", pair.opportunity_url))?;
    screen.line(&format!("  order service        {}", pair.order_url))?;
    screen.note(&format!("data in {}; tenant {tenant}", places.data()))?;
    screen.line("\nIn another terminal:")?;
    if (pair.opportunity_url.as_str(), pair.order_url.as_str()) != (OPPORTUNITY_URL, ORDER_URL) {
        screen.line(&format!("  export CLOSEOUT_OPPORTUNITY_URL={}", pair.opportunity_url))?;
        screen.line(&format!("  export CLOSEOUT_ORDER_URL={}", pair.order_url))?;
    }
    screen.line("  closeout reasons")?;
    screen.line("  closeout import --data FOLDER")?;
    screen.line("  closeout list opportunities --state open")?;
    let ended = tokio::select! {
        error = pair.failed() => Err(error),
        signal = asked_to_stop() => signal,
    };
    screen.line("Stopping.")?;
    let stopped = pair.stop().await;
    ended?;
    stopped?;
    Ok(Ending::Done)
}

/// Waits for Ctrl-C, or the signal by which a system ends a program.
pub(super) async fn asked_to_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
