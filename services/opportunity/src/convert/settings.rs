//! What a tenant decides between protobuf and the domain.

use crate::domain::SettingsEdit;
use crm_api::fields::Fields;
use crm_closeout::{
    access::{self, OwnRoles, Right, Rights},
    ids::is_id,
    money::{Currency, Money},
    wording,
};
use crm_proto::common::{Role, Settings};
use prost_types::FieldMask;
use std::{collections::BTreeMap, ops::RangeInclusive};

const FRESH_DAYS: RangeInclusive<i32> = 1..=365;
const EXPIRE_DAYS: RangeInclusive<i32> = 1..=365;
const MOST_LIMITS: usize = 100;
const MOST_ROLES: usize = 50;

/// What to change of the settings.
pub(crate) fn settings_edit(fields: &mut Fields, settings: &Settings, mask: Option<&FieldMask>) -> SettingsEdit {
    let verification = settings.verification.unwrap_or_default();
    let approval = settings.approval.clone().unwrap_or_default();
    let writable = [
        ("verification.required", verification.required),
        ("verification.fresh_days", verification.fresh_days != 0),
        ("won_opportunity_policy", settings.won_opportunity_policy != 0),
        ("approval.amounts", !approval.amounts.is_empty()),
        ("approval.expire_days", approval.expire_days != 0),
        ("roles", !settings.roles.is_empty()),
        ("currency", !settings.currency.is_empty()),
    ];
    let both = |path: &String| match path.as_str() {
        "verification" | "approval" => {
            writable.iter().map(|(path, _)| (*path).to_owned()).filter(|p| p.starts_with(path.as_str())).collect()
        }
        path => vec![path.to_owned()],
    };
    let mask = mask.map(|mask| FieldMask { paths: mask.paths.iter().flat_map(both).collect() });
    let chosen = fields.mask(mask.as_ref(), &writable, &["name", "update_time", "etag", "lane"]);
    SettingsEdit {
        verification_required: chosen.contains("verification.required").then_some(verification.required),
        verification_fresh_days: chosen
            .contains("verification.fresh_days")
            .then(|| fields.number("settings.verification.fresh_days", verification.fresh_days, FRESH_DAYS)),
        won_policy: chosen
            .contains("won_opportunity_policy")
            .then(|| fields.code("settings.won_opportunity_policy", settings.won_opportunity_policy))
            .flatten(),
        approval_over: chosen.contains("approval.amounts").then(|| limits(fields, &approval.amounts)),
        approval_expire_days: chosen
            .contains("approval.expire_days")
            .then(|| fields.number("settings.approval.expire_days", approval.expire_days, EXPIRE_DAYS)),
        roles: chosen.contains("roles").then(|| roles(fields, &settings.roles)),
        currency: chosen.contains("currency").then(|| fields.currency("settings.currency", &settings.currency)),
    }
}

/// Roles of the tenant's own by name, each name once.
fn roles(fields: &mut Fields, given: &[Role]) -> OwnRoles {
    const FIELD: &str = "settings.roles";
    if given.len() > MOST_ROLES {
        fields.refuse(FIELD, &wording::TOO_MANY_ROLES, &[("most", &MOST_ROLES), ("count", &given.len())]);
    }
    let mut roles = OwnRoles::new();
    for (place, role) in given.iter().take(MOST_ROLES).enumerate() {
        let (field, name) = (format!("{FIELD}[{place}].name"), &role.name);
        if !is_id(name) {
            fields.refuse(&field, &wording::INVALID_ID, &[]);
        } else if access::built_in(name).is_some() {
            fields.refuse(&field, &wording::BUILT_IN_ROLE, &[("role", name)]);
        }
        let mut rights = Rights::NONE;
        for (nth, grant) in role.rights.iter().enumerate() {
            match rights.granted(grant) {
                Some(more) => rights = more,
                None => {
                    let known = Right::ALL.iter().map(|right| right.word()).collect::<Vec<_>>().join(", ");
                    let field = format!("{FIELD}[{place}].rights[{nth}]");
                    fields.refuse(&field, &wording::UNKNOWN_RIGHT, &[("right", grant), ("rights", &known)]);
                }
            }
        }
        if roles.insert(name.clone(), rights.grants().collect()).is_some() {
            fields.refuse(&field, &wording::REPEATED, &[("value", name)]);
        }
    }
    roles
}

/// Amounts by currency, each currency once.
fn limits(fields: &mut Fields, amounts: &[crm_proto::Money]) -> BTreeMap<Currency, i64> {
    const FIELD: &str = "settings.approval.amounts";
    if amounts.len() > MOST_LIMITS {
        fields.refuse(FIELD, &wording::TOO_MANY_LIMITS, &[("most", &MOST_LIMITS), ("count", &amounts.len())]);
    }
    let mut limits = BTreeMap::new();
    for (place, amount) in amounts.iter().take(MOST_LIMITS).enumerate() {
        let field = format!("{FIELD}[{place}]");
        let Some(Money { minor, currency }) = fields.money(&field, Some(amount)) else { continue };
        if limits.insert(currency, minor).is_some() {
            fields.refuse(&field, &wording::REPEATED, &[("value", &currency)]);
        }
    }
    limits
}
