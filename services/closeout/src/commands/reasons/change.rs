//! `closeout reasons create`, `update`, `activate`, `deactivate` and `reorder`.

use super::{CreateArgs, REASON, ReorderArgs, UpdateArgs, list, resource_name};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{label, last_part};
use crate::screen::Screen;
use crate::{json, request_id};
use crm_proto::common::{CloseOutReason, OutcomeClass, Propagation, ReasonScope, Wait};
use crm_proto::opportunity as sales;
use prost_types::FieldMask;
use serde_json::json;
use std::collections::BTreeMap;

/// Makes a reason.
pub(super) async fn create(args: &CreateArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let reason = CloseOutReason {
        scope: ReasonScope::from(args.scope).into(),
        category: args.category.clone(),
        labels: BTreeMap::from([("zh".to_owned(), args.zh.clone()), ("en".to_owned(), args.en.clone())]),
        outcome_class: args.class.map_or(0, |class| OutcomeClass::from(class).into()),
        min_detail_length: args.min_detail,
        needs_competitor: args.needs_competitor,
        win_back_days: args.win_back_days,
        ..CloseOutReason::default()
    };
    let request = sales::CreateCloseOutReasonRequest {
        reason: Some(reason),
        code: args.code.clone(),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let reply = api.create_reason(request).await?;
    let propagation = reply.propagation();
    told(reply.reason.unwrap_or_default(), propagation, "is made", screen)
}

/// Changes what the flags name.
pub(super) async fn update(args: &UpdateArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let mut reason = CloseOutReason { name: resource_name(&args.code), ..CloseOutReason::default() };
    let mut paths = Vec::new();
    for (language, text) in [("zh", &args.zh), ("en", &args.en)] {
        if let Some(text) = text {
            reason.labels.insert(language.to_owned(), text.clone());
            paths.push(format!("labels.{language}"));
        }
    }
    let mut set = |path: &str, given: bool| paths.extend(given.then(|| path.to_owned()));
    set("outcome_class", args.class.is_some());
    set("category", args.category.is_some());
    set("min_detail_length", args.min_detail.is_some());
    set("needs_competitor", args.needs_competitor.is_some());
    set("win_back_days", args.win_back_days.is_some());
    if paths.is_empty() {
        let flags = "--zh, --en, --class, --category, --min-detail, --needs-competitor or --win-back-days";
        return Err(Usage(format!("nothing to change: give {flags}")).into());
    }
    reason.outcome_class = args.class.map_or(0, |class| OutcomeClass::from(class).into());
    reason.category = args.category.clone().unwrap_or_default();
    reason.min_detail_length = args.min_detail.unwrap_or_default();
    reason.needs_competitor = args.needs_competitor.unwrap_or_default();
    reason.win_back_days = args.win_back_days.unwrap_or_default();
    let request = sales::UpdateCloseOutReasonRequest {
        reason: Some(reason),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let reply = api.update_reason(request).await?;
    let propagation = reply.propagation();
    let reason = reply.reason.unwrap_or_default();
    let version = format!("has version {}", reason.version);
    told(reason, propagation, &version, screen)
}

/// Takes a reason out of use, or back into it.
pub(super) async fn set_active(code: &str, active: bool, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (name, request_id, wait) = (resource_name(code), request_id::new(), Wait::Peer.into());
    let (reason, propagation) = if active {
        let request = sales::ActivateCloseOutReasonRequest { name, request_id, wait, ..Default::default() };
        let reply = api.activate_reason(request).await?;
        (reply.reason.clone(), reply.propagation())
    } else {
        let request = sales::DeactivateCloseOutReasonRequest { name, request_id, wait, ..Default::default() };
        let reply = api.deactivate_reason(request).await?;
        (reply.reason.clone(), reply.propagation())
    };
    let done = if active { "is in use" } else { "is not in use any more" };
    told(reason.unwrap_or_default(), propagation, done, screen)
}

/// Puts the reasons of a scope into an order.
pub(super) async fn reorder(args: &ReorderArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = sales::ReorderCloseOutReasonsRequest {
        scope: ReasonScope::from(args.scope).into(),
        names: args.codes.iter().map(|code| resource_name(code)).collect(),
        request_id: request_id::new(),
        validate_only: false,
    };
    let reasons = api.reorder_reasons(request).await?.reasons;
    if screen.json() {
        screen.emit(&json!({ "reasons": json::list(REASON, &reasons)? }))?;
    }
    list::table(&reasons, screen)?;
    Ok(Ending::Done)
}

fn told(reason: CloseOutReason, propagation: Propagation, done: &str, screen: &Screen) -> anyhow::Result<Ending> {
    let word = propagation.as_str_name();
    if screen.json() {
        screen.emit(&json!({ "reason": json::message(REASON, &reason)?, "propagation": word }))?;
    }
    let meaning = match propagation {
        Propagation::Settled => "the order service has it",
        Propagation::Pending => "it arrives at the order service without your doing",
        Propagation::Parked => "it can not be delivered: closeout parked list",
        Propagation::NotNeeded | Propagation::Unspecified => "it was so already",
    };
    screen.line(&format!("{} {done}: {}, {meaning}.", last_part(&reason.name), label(word, "PROPAGATION_")))?;
    list::table(&[reason], screen)?;
    Ok(Ending::Done)
}
