//! CloseOutReasonService.

use crate::{
    convert,
    domain::{Command, ReasonCommand},
    service::Opportunities as Service,
};
use crm_api::{
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    reasons,
};
use crm_closeout::{reason::ReasonScope, wording};
use crm_proto::opportunity::{self as pb, close_out_reason_service_server::CloseOutReasonService};
use tonic::{Request, Response, Status};

/// The methods about reasons.
#[derive(Debug)]
pub(crate) struct Reasons(pub(crate) Front<Service>);

#[tonic::async_trait]
impl CloseOutReasonService for Reasons {
    async fn get_close_out_reason(
        &self,
        request: Request<pb::GetCloseOutReasonRequest>,
    ) -> Result<Response<pb::GetCloseOutReasonResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let code = fields.reason("name", &request.name);
        let version = reasons::version(&mut fields, request.version);
        fields.done()?;
        let reason = reasons::get(&self.0.db, caller.tenant, &code, version, &request.locale).await?;
        Ok(Response::new(pb::GetCloseOutReasonResponse { reason: Some(reason) }))
    }

    async fn list_close_out_reasons(
        &self,
        request: Request<pb::ListCloseOutReasonsRequest>,
    ) -> Result<Response<pb::ListCloseOutReasonsResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let scope = fields.optional_code("scope", request.scope);
        fields.done()?;
        let (inactive, locale) = (request.show_inactive, &request.locale);
        let reasons = reasons::list(&self.0.db, caller.tenant, scope, inactive, locale).await?;
        Ok(Response::new(pb::ListCloseOutReasonsResponse { reasons }))
    }

    async fn create_close_out_reason(
        &self,
        request: Request<pb::CreateCloseOutReasonRequest>,
    ) -> Result<Response<pb::CreateCloseOutReasonResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.reason.is_none() {
            fields.refuse("reason", &wording::REQUIRED, &[]);
        }
        let new = convert::new_reason(&mut fields, &request.code, &request.reason.unwrap_or_default());
        fields.done()?;
        let command = Command::Reason(ReasonCommand::Create(new));
        let outcome = self.0.call(caller, deadline, "CreateCloseOutReason", meta, command).await?;
        Ok(Response::new(pb::CreateCloseOutReasonResponse {
            reason: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn update_close_out_reason(
        &self,
        request: Request<pb::UpdateCloseOutReasonRequest>,
    ) -> Result<Response<pb::UpdateCloseOutReasonResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.reason.is_none() {
            fields.refuse("reason", &wording::REQUIRED, &[]);
        }
        let reason = request.reason.unwrap_or_default();
        let code = fields.reason("reason.name", &reason.name);
        let edit = convert::reason_edit(&mut fields, &reason, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::Reason(ReasonCommand::Update { code, etag: reason.etag, edit });
        let outcome = self.0.call(caller, deadline, "UpdateCloseOutReason", meta, command).await?;
        Ok(Response::new(pb::UpdateCloseOutReasonResponse {
            reason: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn deactivate_close_out_reason(
        &self,
        request: Request<pb::DeactivateCloseOutReasonRequest>,
    ) -> Result<Response<pb::DeactivateCloseOutReasonResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        let code = fields.reason("name", &request.name);
        fields.done()?;
        let command = Command::Reason(ReasonCommand::SetActive { code, etag: request.etag, active: false });
        let outcome = self.0.call(caller, deadline, "DeactivateCloseOutReason", meta, command).await?;
        Ok(Response::new(pb::DeactivateCloseOutReasonResponse {
            reason: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn activate_close_out_reason(
        &self,
        request: Request<pb::ActivateCloseOutReasonRequest>,
    ) -> Result<Response<pb::ActivateCloseOutReasonResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        let code = fields.reason("name", &request.name);
        fields.done()?;
        let command = Command::Reason(ReasonCommand::SetActive { code, etag: request.etag, active: true });
        let outcome = self.0.call(caller, deadline, "ActivateCloseOutReason", meta, command).await?;
        Ok(Response::new(pb::ActivateCloseOutReasonResponse {
            reason: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn merge_close_out_reasons(
        &self,
        request: Request<pb::MergeCloseOutReasonsRequest>,
    ) -> Result<Response<pb::MergeCloseOutReasonsResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let (sources, target) = convert::merged_reasons(&mut fields, &request);
        fields.done()?;
        let command = Command::Reason(ReasonCommand::Merge { sources, target });
        let outcome = self.0.call(caller, deadline, "MergeCloseOutReasons", meta, command).await?;
        Ok(Response::new(outcome.resource))
    }

    async fn reorder_close_out_reasons(
        &self,
        request: Request<pb::ReorderCloseOutReasonsRequest>,
    ) -> Result<Response<pb::ReorderCloseOutReasonsResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let scope = fields.code("scope", request.scope).unwrap_or(ReasonScope::Opportunity);
        fields.done()?;
        let command = Command::Reason(ReasonCommand::Reorder { scope, names: request.names });
        let outcome = self.0.call(caller, deadline, "ReorderCloseOutReasons", meta, command).await?;
        Ok(Response::new(outcome.resource))
    }
}
