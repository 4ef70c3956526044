//! Exchange rates between protobuf and the domain.

use crate::domain::rate_record;
use crm_api::{convert::time, fields::Fields};
use crm_closeout::{
    exchange::{COLLECTION, Entry, Key, Rate},
    ids::{NameError, parse_name},
    money::Currency,
    refusal::etag,
    time::Time,
    wording,
};
use crm_proto::opportunity as pb;
use uuid::Uuid;

/// The id in the name of a rate, which must be given.
pub(crate) fn rate_id(fields: &mut Fields, field: &str, name: &str) -> Uuid {
    let parse: fn(&str) -> Result<Uuid, NameError> = |name| parse_name(COLLECTION, name);
    fields.name(field, name, parse, |id| id)
}

/// Which rate is to be set, and to what; where nothing else is said, it leads to the tenant's currency.
pub(crate) fn new_rate(fields: &mut Fields, own: Option<Currency>, given: &pb::ExchangeRate) -> (Key, Rate) {
    let of = |name: &str| format!("exchange_rate.{name}");
    let currency = fields.currency(&of("currency"), &given.currency);
    if given.currency.is_empty() {
        fields.refuse(of("currency"), &wording::REQUIRED, &[]);
    }
    let to = fields.currency(&of("to_currency"), &given.to_currency);
    if given.to_currency.is_empty() && own.is_none() {
        fields.refuse(of("to_currency"), &wording::NO_TENANT_CURRENCY, &[]);
    }
    let to = if given.to_currency.is_empty() { own } else { to };
    if to.is_some() && to == currency {
        fields.refuse(of("currency"), &wording::RATE_OF_ITSELF, &[("field", &"to_currency")]);
    }
    let effective_at = fields.time(&of("effective_time"), given.effective_time.as_ref());
    if given.effective_time.is_none() {
        fields.refuse(of("effective_time"), &wording::REQUIRED, &[]);
    }
    let rate = Rate::parse(&given.rate);
    if given.rate.is_empty() {
        fields.refuse(of("rate"), &wording::REQUIRED, &[]);
    } else if rate.is_none() {
        fields.refuse(of("rate"), &wording::INVALID_RATE, &[]);
    }
    let or_none = |currency: Option<Currency>| currency.unwrap_or(Currency::NONE);
    let key = Key { to: or_none(to), currency: or_none(currency), effective_at: effective_at.unwrap_or(Time(0)) };
    (key, rate.unwrap_or(Rate::ONE))
}

/// A rate as the API shows it.
pub(crate) fn rate(entry: &Entry) -> pb::ExchangeRate {
    let Key { to, currency, effective_at } = entry.told.key;
    pb::ExchangeRate {
        name: rate_record(entry.told.key).to_string(),
        currency: currency.to_string(),
        to_currency: to.to_string(),
        effective_time: Some(time(effective_at)),
        rate: entry.told.rate.map_or_else(String::new, |rate| rate.to_string()),
        update_time: Some(time(entry.updated_at)),
        etag: etag(entry.told.revision),
    }
}
