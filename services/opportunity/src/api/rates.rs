//! ExchangeRateService.

use crate::{
    convert,
    domain::{Command, RateCommand},
    service::Opportunities as Service,
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
    page,
};
use crm_closeout::{exchange::Key, ids::TenantId, money::Currency, refusal::Refusal, wording};
use crm_outbox::{exchange as table, settings};
use crm_proto::opportunity::{self as pb, exchange_rate_service_server::ExchangeRateService};
use tonic::{Request, Response, Status};

/// The methods about exchange rates.
#[derive(Debug)]
pub(crate) struct ExchangeRates(pub(crate) Front<Service>);

impl ExchangeRates {
    /// The currency of a tenant.
    async fn currency(&self, tenant: TenantId) -> Result<Option<Currency>, Status> {
        let entry = settings::read(&self.0.db, tenant).await.map_err(|e| failure::database(&e))?;
        Ok(entry.and_then(|entry| entry.told.settings.currency))
    }
}

#[tonic::async_trait]
impl ExchangeRateService for ExchangeRates {
    async fn set_exchange_rate(
        &self,
        request: Request<pb::SetExchangeRateRequest>,
    ) -> Result<Response<pb::SetExchangeRateResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        if request.exchange_rate.is_none() {
            fields.refuse("exchange_rate", &wording::REQUIRED, &[]);
        }
        let given = request.exchange_rate.unwrap_or_default();
        let own = if given.to_currency.is_empty() { self.currency(caller.tenant).await? } else { None };
        let (key, rate) = convert::new_rate(&mut fields, own, &given);
        fields.done()?;
        let command = Command::Rate(RateCommand::Set { key, etag: given.etag, rate });
        let outcome = self.0.call(caller, deadline, "SetExchangeRate", meta, command).await?;
        Ok(Response::new(pb::SetExchangeRateResponse {
            exchange_rate: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn delete_exchange_rate(
        &self,
        request: Request<pb::DeleteExchangeRateRequest>,
    ) -> Result<Response<pb::DeleteExchangeRateResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request, None);
        let id = convert::rate_id(&mut fields, "name", &request.name);
        fields.done()?;
        let key = Key::of_id(id).ok_or_else(|| failure::refusal(Refusal::not_found(&request.name)))?;
        let command = Command::Rate(RateCommand::Delete { key, etag: request.etag });
        let outcome = self.0.call(caller, deadline, "DeleteExchangeRate", meta, command).await?;
        Ok(Response::new(pb::DeleteExchangeRateResponse {
            exchange_rate: Some(outcome.resource),
            propagation: outcome.propagation.into(),
        }))
    }

    async fn list_exchange_rates(
        &self,
        request: Request<pb::ListExchangeRatesRequest>,
    ) -> Result<Response<pb::ListExchangeRatesResponse>, Status> {
        let Opened { caller, mut request, .. } = open(request)?;
        let mut fields = Fields::new();
        let page = page!(&mut fields, request);
        let currency = fields.currency("currency", &request.currency);
        fields.done()?;
        let rows = table::list(&self.0.db, caller.tenant, currency, page.after, page.size).await;
        let rows = rows.map_err(|e| failure::database(&e))?;
        let (exchange_rates, next_page_token) = page.reply(&rows, |row| row.told.key.id(), convert::rate);
        Ok(Response::new(pb::ListExchangeRatesResponse { exchange_rates, next_page_token }))
    }
}
