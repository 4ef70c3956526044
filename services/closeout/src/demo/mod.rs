//! `closeout demo`: both services in this process, data in, close-outs on either side, and what changed on both.

mod end;
mod opportunity;
mod order;
mod outcome;
mod reopening;
mod sweep;

use crate::api::Api;
use crate::args::{DemoArgs, Global};
use crate::data::{self, DataSet, DealRow};
use crate::embedded::{Embedded, Places};
use crate::failure::{Ending, Usage};
use crate::identity::Identity;
use crate::import::{self, Imported};
use crate::request_id;
use crate::retry::PATIENT;
use crate::screen::{Paint, Screen};
use anyhow::{Context, anyhow, bail};
use crm_checker::History;
use end::End;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// From this age on (in days) an opportunity that is still engaging is stale.
const STALE_DAYS: i64 = 120;

/// What every part of the demo needs.
struct Story<'a> {
    api: &'a Api,
    data: &'a DataSet,
    imported: &'a Imported,
    in_flight: usize,
    screen: &'a Screen,
}

impl Story<'_> {
    /// The id of a step of the demo: the same at each retry.
    fn request_id(&self, subject: &str, step: &str) -> String {
        request_id::derived(self.api.tenant(), "demo", subject, step)
    }

    /// The resource name of an imported opportunity.
    fn opportunity(&self, row: &DealRow) -> Option<String> {
        self.imported.opportunities.get(&row.number).cloned()
    }
}

/// Runs the demo from start to end.
pub(crate) async fn run(args: &DemoArgs, global: &Global, screen: &Screen) -> anyhow::Result<Ending> {
    // A wrong file or column shall be told before anything is started.
    let data = match &args.data {
        Some(folder) => data::read(folder)?,
        None => data::make(args.seed),
    };
    let home = Home::open(args.keep.as_deref())?;
    let own_database = args.databases.are_named();
    // A database that outlives the demo may hold an earlier one: a new tenant starts from nothing.
    let identity = Identity::new(global, own_database.then(Uuid::now_v7))?;
    let started = Instant::now();
    let places = Places::on_free_ports(&home.folder, &args.databases);
    let mut pair = Embedded::start(&places).await?;
    let history = History::default();
    let end = End { opportunity: pair.opportunity_db.clone(), order: pair.order_db.clone(), history: history.clone() };
    if own_database {
        end.check_pair().await?;
    }
    let api = Api::new(&pair.opportunity_url, &pair.order_url, identity, PATIENT)?.recorded_in(history);
    api.ready().await?;
    greet(&pair, &places, &api, started.elapsed(), screen)?;
    let result = tokio::select! {
        result = Box::pin(tell(&api, &data, &end, args.in_flight, screen)) => result,
        error = pair.failed() => Err(error),
        interrupt = tokio::signal::ctrl_c() => Err(interrupt.map_or_else(Into::into, |()| anyhow!("interrupted"))),
    };
    drop(end);
    drop(api); // its connections would keep the services from draining
    let stopped = pair.stop().await;
    let ending = result?;
    stopped?;
    Ok(ending)
}

fn greet(pair: &Embedded, places: &Places, api: &Api, elapsed: Duration, screen: &Screen) -> anyhow::Result<()> {
    screen.line(&screen.paint(Paint::Strong, "Close-out (消单) demo"))?;
    screen.line(&format!("Both services answer after {} ms:", elapsed.as_millis()))?;
    screen.line(&format!("  opportunity service  {}", pair.opportunity_url))?;
    screen.line(&format!("  order service        {}", pair.order_url))?;
    screen.note(&format!("data in {}; tenant {}", places.data(), api.tenant()))
}

async fn tell(api: &Api, data: &DataSet, end: &End, in_flight: usize, screen: &Screen) -> anyhow::Result<Ending> {
    screen.heading("1  Data in")?;
    let imported = import::run(api, data, in_flight, screen).await?;
    import::show(data, &imported, screen)?;
    let story = Story { api, data, imported: &imported, in_flight, screen };

    let closed = Box::pin(opportunity::run(&story)).await?;
    let ordered = Box::pin(order::run(&story, &closed)).await?;
    let reopened = Box::pin(reopening::run(&story, &closed)).await?;
    let sweep = Box::pin(sweep::run(&story)).await?;
    let report = Box::pin(end.check(screen)).await?;

    if screen.json() {
        screen.emit(&json!({
            "tenant": api.tenant().to_string(),
            "import": import::json(data, &imported),
            "close_out": closed.json()?,
            "order_close_out": ordered.json()?,
            "sweep": sweep.json(),
            "reopen": reopened,
            "invariants": {
                "checked": report.checked,
                "violated": report.violations.len(),
                "violations": report.violations.iter().take(end::SHOWN).map(end::told).collect::<Vec<_>>(),
            },
        }))?;
    }
    if !report.violations.is_empty() {
        bail!("{} of {} checks found something that must not be", report.violations.len(), report.checked);
    }
    let refused = imported.all_refused(data).next().is_some();
    Ok(if refused { Ending::SomeRefused } else { Ending::Done })
}

/// Where the databases of a demo live.
struct Home {
    folder: PathBuf,
    /// Removed with everything in it when the demo ends.
    _temporary: Option<TempDir>,
}

impl Home {
    fn open(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(folder) = keep else {
            let temporary = tempfile::Builder::new().prefix("closeout-demo-").tempdir()?;
            return Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        std::fs::create_dir_all(folder).with_context(|| format!("--keep {}", folder.display()))?;
        for file in ["opportunity.db", "order.db"] {
            if folder.join(file).exists() {
                let text = format!("--keep {}: there is a {file} in it already", folder.display());
                return Err(Usage(text).into());
            }
        }
        Ok(Self { folder: folder.to_owned(), _temporary: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_data_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let keep = folder.path().join("kept");
        assert!(Home::open(Some(&keep)).is_ok());
        std::fs::write(keep.join("order.db"), "").unwrap();
        assert!(Home::open(Some(&keep)).is_err());
    }

    #[test]
    fn a_temporary_folder_is_gone_afterwards() {
        let home = Home::open(None).unwrap();
        let folder = home.folder.clone();
        assert!(folder.exists());
        drop(home);
        assert!(!folder.exists());
    }
}
