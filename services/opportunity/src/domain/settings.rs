//! What a tenant has decided about close-outs: changed here, and told to the order service in a lane of its own.

use super::World;
use crm_closeout::{
    access::OwnRoles,
    approval::ApprovalPolicy,
    cascade::Resend,
    codes::{Record, RecordKind},
    fact::{Event, Fact, MirrorState, WonPolicy},
    money::Currency,
    refusal::{Refusal, check_etag},
    settings::{self, Entry, Settings, Told},
    working_set::Cause,
};
use std::collections::BTreeMap;

/// What to change of the settings; none: leave it.
#[derive(Clone, Debug, Default)]
pub struct SettingsEdit {
    /// Whether close-outs need a verification of the customer's status.
    pub verification_required: Option<bool>,
    /// How many days old that may be.
    pub verification_fresh_days: Option<i32>,
    /// What becomes of a won opportunity when its last order is cancelled.
    pub won_policy: Option<WonPolicy>,
    /// From which amounts on close-outs need another person's approval, in minor units.
    pub approval_over: Option<BTreeMap<Currency, i64>>,
    /// How many days they wait for it.
    pub approval_expire_days: Option<i32>,
    /// Roles of the tenant's own.
    pub roles: Option<OwnRoles>,
    /// The tenant's currency; none in it: it has none.
    pub currency: Option<Option<Currency>>,
}

impl SettingsEdit {
    fn apply(&self, before: &Settings) -> Settings {
        let mut after = before.clone();
        let verification = &mut after.verification;
        verification.required = self.verification_required.unwrap_or(verification.required);
        verification.fresh_days = self.verification_fresh_days.unwrap_or(verification.fresh_days);
        after.won_policy = self.won_policy.unwrap_or(after.won_policy);
        let ApprovalPolicy { over, expire_days } = &mut after.approval;
        over.clone_from(self.approval_over.as_ref().unwrap_or(&before.approval.over));
        *expire_days = self.approval_expire_days.unwrap_or(*expire_days);
        after.currency = self.currency.unwrap_or(after.currency);
        after.roles.clone_from(self.roles.as_ref().unwrap_or(&before.roles));
        after
    }
}

impl World {
    /// Changes what the tenant has decided. What is so already changes nothing; the first call makes the row.
    pub fn update_settings(&mut self, cause: &Cause, etag: &str, edit: &SettingsEdit) -> Result<Entry, Refusal> {
        let tenant = cause.tenant_id;
        let row = self.common.settings.get(&tenant).cloned();
        let (before, sent) = row.as_ref().map_or((Told::DEFAULT, 0), |row| (row.told.clone(), row.sent));
        check_etag(etag, before.revision, settings::COLLECTION)?;
        let settings = edit.apply(&before.settings);
        if let Some(row) = row.filter(|row| row.told.settings == settings) {
            return Ok(row);
        }
        let told = Told { settings, revision: before.revision + 1 };
        let event = if sent == 0 { Event::Opened } else { Event::Changed };
        let fact = self.settings_fact(cause, event, told.clone());
        self.common.send(cause, Record::new(RecordKind::Settings, settings::lane(tenant)), sent + 1, fact, None);
        self.common.put_settings(cause, told, sent + 1);
        self.common.settings.get(&tenant).cloned().ok_or_else(|| Refusal::not_found(settings::COLLECTION))
    }

    /// Sends all of the settings again; answers the number with which they are sent.
    pub fn resend_settings(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let own = resend.record.id == settings::lane(cause.tenant_id);
        let row = self.common.settings.edit(&cause.tenant_id).filter(|_| own);
        let row = row.ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let (number, told) = (row.sent, row.told.clone());
        let fact = self.settings_fact(cause, Event::Snapshot, told);
        self.common.send_snapshot(cause, resend, number, fact, None);
        Ok(number)
    }

    fn settings_fact(&self, cause: &Cause, event: Event, told: Told) -> Fact {
        Fact {
            event,
            customer_id: None,
            customer_name: String::new(),
            parent: None,
            state: MirrorState::Live,
            epoch: 0,
            owner: String::new(),
            actor: cause.actor.clone(),
            at: self.common.now,
            close_out: None,
            reason: None,
            settings: Some(Box::new(told)),
            rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{cause, world};

    #[test]
    fn a_change_is_told_and_what_is_so_already_is_not() {
        let mut world = world();
        let edit = SettingsEdit { verification_required: Some(true), ..SettingsEdit::default() };
        let changed = world.update_settings(&cause(), "\"0\"", &edit).unwrap();
        assert_eq!((changed.told.revision, changed.sent), (1, 1));
        assert!(changed.told.settings.verification.required);
        assert_eq!(changed.told.settings.verification.fresh_days, 30);
        assert_eq!(world.update_settings(&cause(), "", &edit).unwrap(), changed);
        assert_eq!(world.common.outgoing.entries().len(), 1);
        let refusal = world.update_settings(&cause(), "\"0\"", &edit).unwrap_err();
        assert_eq!(refusal.reason(), "VERSION_MISMATCH");
    }
}
