//! `closeout errors`: why a service refuses a call, from the catalogue that the services themselves are built with.

use crate::args::ErrorsArgs;
use crate::failure::{Ending, Usage};
use crate::screen::{Paint, Screen};
use crm_closeout::wording::{ALL, Wording};
use serde_json::{Value, json};

/// Shows every wording, or those of one reason.
pub(super) fn run(args: &ErrorsArgs, screen: &Screen) -> anyhow::Result<Ending> {
    let asked = args.reason.as_deref();
    let wordings: Vec<&Wording> =
        ALL.iter().copied().filter(|wording| asked.is_none_or(|reason| wording.reason == reason)).collect();
    if wordings.is_empty() {
        let asked = asked.unwrap_or_default();
        return Err(Usage(format!("no call is refused for {asked:?}; `closeout errors` lists every reason")).into());
    }
    if screen.json() {
        screen.emit(&json!({ "errors": wordings.iter().map(|wording| one(wording)).collect::<Vec<_>>() }))?;
    }
    let mut table = screen.new_table_keeping(&["code", "reason", "in words", "中文"], &[0, 1]);
    for wording in wordings {
        table.add_row([
            wording.class.code().into(),
            screen.cell(Paint::Strong, wording.reason),
            wording.en.into(),
            wording.zh.into(),
        ]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
}

fn one(wording: &Wording) -> Value {
    json!({
        "reason": wording.reason, "code": wording.class.code(), "en": wording.en, "zh": wording.zh,
        "retry_after_ms": (wording.retry > 0).then_some(wording.retry),
    })
}
