//! Whom the public listener lets in: what a method needs stands in its proto, what the caller may do in its roles. Whether a record is
//! within the caller's reach is decided where it is locked.

use crate::failure;
use crm_closeout::{
    access::{self, Access, Right, Rights},
    refusal::Refusal,
    wording,
};
use crm_outbox::{
    db::{Db, Error},
    settings,
};
use crm_proto::METHODS;
use crm_runtime::{
    auth::{Caller, Claims},
    guard::Gate,
};
use http::HeaderMap;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};
use tonic::Status;

/// What lets a caller into each method; any one of them does.
static NEEDED: LazyLock<HashMap<&str, Vec<Right>>> = LazyLock::new(|| {
    let rights = |words: &[&str]| words.iter().filter_map(|word| Right::parse(word)).collect();
    METHODS.iter().map(|(path, words)| (*path, rights(words))).collect()
});

/// The gate of a public listener. Callers of whom no roles are told have these.
pub(crate) fn gate(db: Db, roles: Vec<String>) -> Gate {
    let known = Arc::new((db, roles));
    Arc::new(move |path, headers| {
        let known = known.clone();
        Box::pin(async move { admit(&known.0, &known.1, path, headers).await })
    })
}

/// The caller, if it may call the method at all. Methods that are not of this system (health, reflection) have no rule and no caller.
async fn admit(db: &Db, default: &[String], path: &str, headers: &HeaderMap) -> Result<Option<Caller>, Status> {
    let Some(needed) = NEEDED.get(path) else { return Ok(None) };
    let Claims { tenant, principal, roles, teams } = Claims::read(headers)?;
    let roles = roles.as_deref().unwrap_or(default);
    let mut rights = roles.iter().filter_map(|role| access::built_in(role)).fold(Rights::NONE, Rights::and);
    if roles.iter().any(|role| access::built_in(role).is_none()) {
        let entry = Box::pin(settings::read(db, tenant)).await.map_err(|error: Error| failure::database(&error))?;
        let own = entry.map(|entry| entry.told.settings.roles).unwrap_or_default();
        let own = roles.iter().filter(|role| access::built_in(role).is_none()).filter_map(|role| own.get(role));
        rights = own.fold(rights, |rights, grants| rights.and(&Rights::known(grants)));
    }
    match needed.first() {
        Some(_) if needed.iter().any(|right| rights.scope(*right).is_some()) => {}
        Some(right) => return Err(missing(right.word())),
        None => return Err(missing("")),
    }
    Ok(Some(Caller { tenant, principal, access: Access { rights, teams } }))
}

fn missing(right: &str) -> Status {
    failure::refusal(Refusal::denied(&wording::RIGHT_MISSING).with("right", right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_names_rights_that_there_are() {
        for (path, words) in METHODS {
            assert_eq!(NEEDED[path].len(), words.len(), "{path}: {words:?}");
        }
    }

    #[test]
    fn every_right_opens_a_method_or_is_asked_for_at_a_record() {
        let opened: Vec<_> = NEEDED.values().flatten().copied().collect();
        let at_a_record = [Right::CancelFulfilling, Right::ImportData];
        for right in Right::ALL {
            assert!(opened.contains(right) || at_a_record.contains(right), "{}", right.word());
        }
    }
}
