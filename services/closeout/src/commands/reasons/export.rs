//! `closeout reasons export`: every reason as CSV.

use super::{REASON, file};
use crate::api::Api;
use crate::failure::Ending;
use crate::format::counted;
use crate::json;
use crate::screen::Screen;
use anyhow::Context;
use crm_proto::opportunity::ListCloseOutReasonsRequest;
use serde_json::json;
use std::path::Path;

/// Writes every reason to a file or to standard output.
pub(super) async fn run(path: Option<&Path>, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = ListCloseOutReasonsRequest { show_inactive: true, ..Default::default() };
    let reasons = api.list_reasons(request).await?.reasons;
    if let Some(path) = path {
        let to = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        file::write(&reasons, to)?;
        let written = counted(reasons.len() as u64, "reason", "reasons");
        screen.line(&format!("{written} in {}", path.display()))?;
    } else if !screen.json() {
        file::write(&reasons, std::io::stdout().lock())?;
    }
    if screen.json() {
        screen.emit(&json!({ "reasons": json::list(REASON, &reasons)? }))?;
    }
    Ok(Ending::Done)
}
