//! CloseOutReasonService: this service's copy of the reasons.

use crate::service::Orders as Service;
use crm_api::{
    fields::Fields,
    front::Front,
    meta::{Opened, open},
    reasons,
};
use crm_proto::order::{self as pb, close_out_reason_service_server::CloseOutReasonService};
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
}
