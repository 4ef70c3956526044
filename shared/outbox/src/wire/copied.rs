//! What the order service keeps a copy of, in protobuf and back: reasons, settings and exchange rates.

use super::{Reject, known, optional};
use crm_closeout::{
    approval::ApprovalPolicy,
    codes::Code,
    episode::OutcomeClass,
    exchange::{self, Key, Rate},
    money::{Currency, Money},
    reason::{self, Listed, Reason, VerificationRule},
    settings::{Settings, Told, VerificationPolicy},
    time::Time,
};
use crm_proto::{common, peer};
use uuid::Uuid;

pub(super) fn reason_fact(listed: &Listed) -> peer::ReasonFact {
    let reason = &listed.reason;
    peer::ReasonFact {
        code: reason.code.to_string(),
        version: reason.version,
        scope: reason.scope.code().into(),
        label_zh: reason.zh.to_string(),
        label_en: reason.en.to_string(),
        category: reason.category.to_string(),
        outcome_class: reason.class.map_or(0, |class| class.code().into()),
        min_detail_length: reason.min_detail,
        needs_competitor: reason.needs_competitor,
        win_back_days: reason.win_back_days,
        historical_only: reason.historical_only,
        active: listed.active,
        position: listed.position,
        revision: listed.revision,
        verification: reason.verification.map_or(0, |rule| rule.code().into()),
        verification_days: reason.verification_days,
        labels: reason.labels.clone(),
        merged_into: listed.merged_into.clone().unwrap_or_default(),
    }
}

pub(super) fn settings_fact(told: &Told) -> peer::SettingsFact {
    peer::SettingsFact { settings: Some(settings(&told.settings)), revision: told.revision }
}

/// What a tenant has decided, for the wire.
pub fn settings(settings: &Settings) -> common::Settings {
    let VerificationPolicy { required, fresh_days } = settings.verification;
    let verification = Some(common::VerificationPolicy { required, fresh_days });
    let won_opportunity_policy = settings.won_policy.code().into();
    let limit = |(currency, minor): (&Currency, &i64)| money(Money { minor: *minor, currency: *currency });
    let amounts = settings.approval.over.iter().map(limit).collect();
    let approval = Some(common::ApprovalPolicy { amounts, expire_days: settings.approval.expire_days });
    let role = |(name, rights): (&String, &Vec<String>)| common::Role { name: name.clone(), rights: rights.clone() };
    let roles = settings.roles.iter().map(role).collect();
    let currency = settings.currency.map_or_else(String::new, |currency| currency.to_string());
    common::Settings { verification, won_opportunity_policy, approval, roles, currency, ..common::Settings::default() }
}

fn approval(told: common::ApprovalPolicy) -> Result<ApprovalPolicy, Reject> {
    let limit = |told: &crm_proto::Money| told_money(told).map(|money| (money.currency, money.minor));
    let over = told.amounts.iter().map(limit).collect::<Result<_, _>>()?;
    Ok(ApprovalPolicy { over, expire_days: told.expire_days })
}

/// An amount.
pub fn money(money: Money) -> crm_proto::Money {
    let digits = money.currency.digits();
    let unit = 10_i64.pow(digits);
    crm_proto::Money {
        currency_code: money.currency.to_string(),
        units: money.minor / unit,
        nanos: (money.minor % unit) as i32 * 10_i32.pow(9 - digits),
    }
}

/// What [`money`] tells.
pub(super) fn told_money(told: &crm_proto::Money) -> Result<Money, Reject> {
    let currency = Currency::parse(&told.currency_code);
    let read = currency.and_then(|currency| {
        let units = told.units.checked_mul(10_i64.pow(currency.digits()))?;
        let minor = units.checked_add((told.nanos / 10_i32.pow(9 - currency.digits())).into())?;
        Some(Money { minor, currency })
    });
    read.ok_or_else(|| Reject::Malformed(format!("{told:?} is no amount")))
}

/// What an earlier version does not tell is as it is by default.
pub(super) fn told_settings(fact: peer::SettingsFact) -> Result<Told, Reject> {
    let told = fact.settings.unwrap_or_default();
    let verification = told.verification.map_or(Settings::DEFAULT.verification, |policy| VerificationPolicy {
        required: policy.required,
        fresh_days: policy.fresh_days,
    });
    let won_policy = optional(told.won_opportunity_policy)?.unwrap_or(Settings::DEFAULT.won_policy);
    let approval = told.approval.map_or(Ok(ApprovalPolicy::DEFAULT), approval)?;
    let roles = told.roles.into_iter().map(|role| (role.name, role.rights)).collect();
    let currency = (!told.currency.is_empty()).then(|| currency(&told.currency)).transpose()?;
    let settings = Settings { verification, won_policy, approval, roles, currency };
    Ok(Told { settings, revision: fact.revision })
}

fn currency(code: &str) -> Result<Currency, Reject> {
    Currency::parse(code).ok_or_else(|| Reject::Malformed(format!("{code:?} is no currency")))
}

pub(super) fn rate_fact(told: &exchange::Told) -> peer::ExchangeRateFact {
    let Key { to, currency, effective_at } = told.key;
    peer::ExchangeRateFact {
        currency: currency.to_string(),
        to_currency: to.to_string(),
        effective_at_us: effective_at.0,
        rate: told.rate.map_or(0, Rate::units),
        revision: told.revision,
    }
}

/// Its lane is that of what it says it is about.
pub(super) fn told_rate(lane: Uuid, told: &peer::ExchangeRateFact) -> Result<exchange::Told, Reject> {
    let (to, currency) = (currency(&told.to_currency)?, currency(&told.currency)?);
    let key = Key { to, currency, effective_at: Time(told.effective_at_us) };
    let rate = Rate::of_units(told.rate);
    if key.id() != lane || (rate.is_none() && told.rate != 0) {
        return Err(Reject::Malformed(format!("{told:?} is no rate of this lane")));
    }
    Ok(exchange::Told { key, rate, revision: told.revision })
}

pub(super) fn told_reason(lane: Uuid, told: peer::ReasonFact) -> Result<Listed, Reject> {
    if !reason::is_code(&told.code) {
        return Err(Reject::Malformed(format!("{:?} is no code of a reason", told.code)));
    }
    let reason = Reason {
        code: told.code.into(),
        version: told.version,
        scope: known(told.scope)?,
        zh: told.label_zh.into(),
        en: told.label_en.into(),
        category: told.category.into(),
        class: optional::<OutcomeClass>(told.outcome_class)?,
        min_detail: told.min_detail_length,
        needs_competitor: told.needs_competitor,
        win_back_days: told.win_back_days,
        historical_only: told.historical_only,
        labels: told.labels,
        verification: optional::<VerificationRule>(told.verification)?,
        verification_days: told.verification_days,
    };
    let merged_into = (!told.merged_into.is_empty()).then_some(told.merged_into);
    let (active, position, revision) = (told.active, told.position, told.revision);
    Ok(Listed { reason, active, position, revision, lane: Some(lane), merged_into })
}
