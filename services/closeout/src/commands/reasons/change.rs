//! `closeout reasons create`, `update`, `activate`, `deactivate`, `merge` and `reorder`.

use super::{CreateArgs, MergeArgs, REASON, ReorderArgs, UpdateArgs, list, resource_name};
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{counted, last_part};
use crate::screen::Screen;
use crate::{json, request_id, view};
use crm_proto::common::{CloseOutReason, OutcomeClass, Propagation, ReasonScope, VerificationRule, Wait};
use crm_proto::opportunity as sales;
use prost_types::FieldMask;
use serde_json::json;

/// Makes a reason.
pub(super) async fn create(args: &CreateArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let own = [("zh".to_owned(), args.zh.clone()), ("en".to_owned(), args.en.clone())];
    let reason = CloseOutReason {
        scope: ReasonScope::from(args.scope).into(),
        category: args.category.clone(),
        labels: args.labels.iter().cloned().chain(own).collect(),
        outcome_class: args.class.map_or(0, |class| OutcomeClass::from(class).into()),
        min_detail_length: args.min_detail,
        needs_competitor: args.needs_competitor,
        win_back_days: args.win_back_days,
        verification: VerificationRule::from(args.verification).into(),
        verification_days: args.verification_days,
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
    let (reason, paths) = edit(args);
    if paths.is_empty() {
        let flags = "--zh, --en, --label, --class, --category, --min-detail, --needs-competitor, --win-back-days, --verification \
                     or --verification-days";
        return Err(Usage(format!("nothing to change: give {flags}")).into());
    }
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

/// What to change, and the paths of that.
fn edit(args: &UpdateArgs) -> (CloseOutReason, Vec<String>) {
    let mut reason = CloseOutReason { name: resource_name(&args.code), ..CloseOutReason::default() };
    let own = [("zh", &args.zh), ("en", &args.en)];
    reason.labels = own.into_iter().filter_map(|(language, text)| Some((language.to_owned(), text.clone()?))).collect();
    reason.labels.extend(args.labels.iter().cloned());
    let mut paths: Vec<_> = reason.labels.keys().map(|language| format!("labels.{language}")).collect();
    let mut set = |path: &str, given: bool| paths.extend(given.then(|| path.to_owned()));
    set("outcome_class", args.class.is_some());
    set("category", args.category.is_some());
    set("min_detail_length", args.min_detail.is_some());
    set("needs_competitor", args.needs_competitor.is_some());
    set("win_back_days", args.win_back_days.is_some());
    set("verification", args.verification.is_some());
    set("verification_days", args.verification_days.is_some());
    reason.outcome_class = args.class.map_or(0, |class| OutcomeClass::from(class).into());
    reason.category = args.category.clone().unwrap_or_default();
    reason.min_detail_length = args.min_detail.unwrap_or_default();
    reason.needs_competitor = args.needs_competitor.unwrap_or_default();
    reason.win_back_days = args.win_back_days.unwrap_or_default();
    reason.verification = args.verification.map_or(0, |rule| VerificationRule::from(rule).into());
    reason.verification_days = args.verification_days.unwrap_or_default();
    (reason, paths)
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

/// Puts one reason in the place of others.
pub(super) async fn merge(args: &MergeArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = sales::MergeCloseOutReasonsRequest {
        sources: args.codes.iter().map(|code| resource_name(code)).collect(),
        target: resource_name(&args.into),
        request_id: request_id::new(),
        validate_only: false,
    };
    let target = request.target.clone();
    let reasons = api.merge_reasons(request).await?.reasons;
    if screen.json() {
        screen.emit(&json!({ "reasons": json::list(REASON, &reasons)?, "target": target }))?;
    }
    let merged = counted(reasons.len() as u64, "reason is", "reasons are");
    screen.line(&format!("{merged} merged into {}; reports count their close-outs there.", last_part(&target)))?;
    list::table(&reasons, screen)?;
    Ok(Ending::Done)
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
    if screen.json() {
        let propagation = propagation.as_str_name();
        screen.emit(&json!({ "reason": json::message(REASON, &reason)?, "propagation": propagation }))?;
    }
    screen.line(&format!("{} {done}: {}.", last_part(&reason.name), view::how_far(propagation, "order service")))?;
    list::table(&[reason], screen)?;
    Ok(Ending::Done)
}
