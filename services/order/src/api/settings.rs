//! SettingsService: this service's copy of what a tenant has decided.

use crate::service::Orders as Service;
use crm_api::{
    front::Front,
    meta::{Opened, open},
    settings,
};
use crm_proto::order::{self as pb, settings_service_server::SettingsService};
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
}
