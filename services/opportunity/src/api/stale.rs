//! StaleService.

use super::pipelines::find_places;
use crate::{
    convert,
    domain::{
        Command,
        stale::{Level, StalePolicy},
    },
    service::Opportunities as Service,
    store::stale as store,
    sweep::{self, Filter, Found, LOOK},
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Meta, Opened, open},
    page,
};
use crm_closeout::wording;
use crm_proto::{
    common::CloseOutState,
    opportunity::{self as pb, stale_result::Action, stale_service_server::StaleService},
};
use crm_runtime::{answer, auth::Caller};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Commands of one sweep at once.
const AT_ONCE: usize = 32;

/// The methods about stale opportunities.
#[derive(Debug)]
pub(crate) struct Stale(pub(crate) Front<Service>);

impl Stale {
    async fn policy(&self, caller: &Caller) -> Result<StalePolicy, Status> {
        let row = store::policy(&self.0.db, caller.tenant).await.map_err(|e| failure::database(&e))?;
        Ok(row.policy)
    }
}

fn filter(fields: &mut Fields, owner: &str, stage: &str) -> Filter {
    let stage = (!stage.is_empty()).then(|| convert::stage(fields, "stage", stage)).flatten();
    Filter { owner: fields.principal("owner", owner, ""), stage, ..Filter::ALL }
}

#[tonic::async_trait]
impl StaleService for Stale {
    async fn get_stale_policy(
        &self,
        request: Request<pb::GetStalePolicyRequest>,
    ) -> Result<Response<pb::GetStalePolicyResponse>, Status> {
        let Opened { caller, .. } = open(request)?;
        let row = store::policy(&self.0.db, caller.tenant).await.map_err(|e| failure::database(&e))?;
        Ok(Response::new(pb::GetStalePolicyResponse { stale_policy: Some(convert::stale_policy(&row)) }))
    }

    async fn update_stale_policy(
        &self,
        request: Request<pb::UpdateStalePolicyRequest>,
    ) -> Result<Response<pb::UpdateStalePolicyResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.stale_policy.is_none() {
            fields.refuse("stale_policy", &wording::REQUIRED, &[]);
        }
        let policy = request.stale_policy.unwrap_or_default();
        let edit = convert::stale_policy_edit(&mut fields, &policy, request.update_mask.as_ref());
        if edit.rules.is_some() {
            let places = policy.rules.iter().map(|rule| rule.place.as_str());
            find_places(&self.0, caller.tenant, &mut fields, "stale_policy.rules", places).await?;
        }
        fields.done()?;
        let command = Command::UpdateStalePolicy { etag: policy.etag, edit };
        let outcome = self.0.call(caller, deadline, "UpdateStalePolicy", meta, command).await?;
        Ok(Response::new(pb::UpdateStalePolicyResponse { stale_policy: Some(outcome.resource) }))
    }

    async fn list_stale_opportunities(
        &self,
        request: Request<pb::ListStaleOpportunitiesRequest>,
    ) -> Result<Response<pb::ListStaleOpportunitiesResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let least = fields.optional_code("level", request.level).unwrap_or(Level::Warn);
        let filter = Filter { least, ..filter(&mut fields, &request.owner, &request.stage) };
        fields.done()?;
        let policy = self.policy(&caller).await?;
        let part = sweep::part(&self.0.db, caller.tenant, &policy, &filter, page.after, page.size).await;
        let part = part.map_err(|e| failure::database(&e))?;
        let (stale_opportunities, next_page_token) = page.reply_part(&part.found, part.next, convert::stale);
        Ok(Response::new(pb::ListStaleOpportunitiesResponse { stale_opportunities, next_page_token }))
    }

    type SweepStaleOpportunitiesStream = BoxStream<'static, Result<pb::SweepStaleOpportunitiesResponse, Status>>;

    async fn sweep_stale_opportunities(
        &self,
        request: Request<pb::SweepStaleOpportunitiesRequest>,
    ) -> Result<Response<Self::SweepStaleOpportunitiesStream>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let Meta { request_id, validate_only, .. } = meta!(&mut fields, request);
        let most = fields.optional_code("level", request.level).unwrap_or(Level::CloseOut);
        let filter = Filter { most, ..filter(&mut fields, &request.owner, &request.stage) };
        fields.done()?;
        let policy = self.policy(&caller).await?;
        let front = self.0.clone();
        let place = front.bulk.clone().try_acquire_owned().map_err(|_| answer::refusal(&wording::PROCESS_FULL, &[]))?;
        let sweep = Sweep { front, caller, policy, filter, call: request_id, validate_only, _place: place };
        Ok(Response::new(sweep.run()))
    }
}

/// A sweep that a caller has asked for.
struct Sweep {
    front: Front<Service>,
    caller: Caller,
    policy: StalePolicy,
    filter: Filter,
    call: Uuid,
    validate_only: bool,
    _place: OwnedSemaphorePermit,
}

impl Sweep {
    /// What becomes of each, a part at a time; the next part is looked at when this one is read.
    fn run(self) -> BoxStream<'static, Result<pb::SweepStaleOpportunitiesResponse, Status>> {
        let sweep = Arc::new(self);
        let parts = stream::try_unfold(Some((None, 0)), move |place| {
            let sweep = sweep.clone();
            async move {
                let Some((after, before)) = place else { return Ok(None) };
                sweep.front.rest().await;
                let (db, tenant) = (&sweep.front.db, sweep.caller.tenant);
                let part = sweep::part(db, tenant, &sweep.policy, &sweep.filter, after, LOOK).await;
                let part = part.map_err(|e| failure::database(&e))?;
                let looked_at = before + part.looked_at as i64;
                let results = stream::iter(part.found).map(|found| sweep.act(found)).buffered(AT_ONCE).collect().await;
                let next = part.next.map(|next| (Some(next), looked_at));
                Ok(Some((pb::SweepStaleOpportunitiesResponse { results, looked_at }, next)))
            }
        });
        parts.boxed()
    }

    async fn act(&self, found: Found) -> pb::StaleResult {
        let told = |action: Action| pb::StaleResult {
            stale: Some(convert::stale(&found)),
            action: action.into(),
            ..pb::StaleResult::default()
        };
        let Some(staling) = found.due() else {
            return told(if found.order.is_some() { Action::LeftForOrder } else { Action::None });
        };
        let meta = Meta::of_part(self.call, &sweep::key(&found), self.validate_only);
        let done = self
            .front
            .call::<pb::Opportunity>(self.caller.clone(), None, sweep::METHOD, meta, Command::Stale(staling))
            .await;
        match (done, found.finding.level) {
            (Err(status), _) => pb::StaleResult { error: Some(failure::message(&status)), ..told(Action::Refused) },
            (Ok(_), Level::Warn) => told(Action::Warned),
            (Ok(_), Level::Propose) => told(Action::Proposed),
            (Ok(outcome), Level::CloseOut) => {
                let close_out = outcome.close_out.unwrap_or_default();
                // A copy of the call tells what has become of it since.
                let action = match close_out.state() {
                    CloseOutState::Effective => Action::ClosedOut,
                    CloseOutState::PendingApproval => Action::ApprovalAsked,
                    CloseOutState::Unspecified
                    | CloseOutState::Reversed
                    | CloseOutState::Rejected
                    | CloseOutState::Expired
                    | CloseOutState::Withdrawn => Action::None,
                };
                let close_out = if self.validate_only { String::new() } else { close_out.name };
                pb::StaleResult { close_out, ..told(action) }
            }
        }
    }
}
