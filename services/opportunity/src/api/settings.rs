//! SettingsService.

use crate::{convert, domain::Command, service::Opportunities as Service};
use crm_api::{
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    settings,
};
use crm_closeout::wording;
use crm_proto::opportunity::{self as pb, settings_service_server::SettingsService};
use tonic::{Request, Response, Status};

/// The methods about what a tenant has decided.
#[derive(Debug)]
pub(crate) struct Settings(pub(crate) Front<Service>);

#[tonic::async_trait]
impl SettingsService for Settings {
    async fn get_settings(
        &self,
        request: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::GetSettingsResponse>, Status> {
        let Opened { caller, .. } = open(request)?;
        let settings = settings::get(&self.0.db, caller.tenant).await?;
        Ok(Response::new(pb::GetSettingsResponse { settings: Some(settings) }))
    }

    async fn update_settings(
        &self,
        request: Request<pb::UpdateSettingsRequest>,
    ) -> Result<Response<pb::UpdateSettingsResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.settings.is_none() {
            fields.refuse("settings", &wording::REQUIRED, &[]);
        }
        let settings = request.settings.unwrap_or_default();
        let edit = convert::settings_edit(&mut fields, &settings, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::UpdateSettings { etag: settings.etag, edit };
        let outcome = self.0.call(caller, deadline, "UpdateSettings", meta, command).await?;
        Ok(Response::new(pb::UpdateSettingsResponse {
            settings: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }
}
