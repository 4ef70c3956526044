//! Exchange rates: set and deleted here, each told to the order service in a lane of its own. No close-out that there is changes.

use super::World;
use crm_closeout::{
    cascade::Resend,
    codes::{Record, RecordKind},
    exchange::{Entry, Key, Rate, Told},
    fact::{Event, Fact, MirrorState},
    refusal::{Refusal, check_etag},
    working_set::Cause,
};

/// What a caller can ask for about exchange rates.
#[derive(Clone, Debug)]
pub enum RateCommand {
    /// Says what a currency is worth from a time on.
    Set {
        /// Which rate.
        key: Key,
        /// Only this revision.
        etag: String,
        /// What a unit is worth.
        rate: Rate,
    },
    /// Deletes one.
    Delete {
        /// Which rate.
        key: Key,
        /// Only this revision.
        etag: String,
    },
}

impl RateCommand {
    /// Which rate it is about.
    pub const fn key(&self) -> Key {
        match self {
            Self::Set { key, .. } | Self::Delete { key, .. } => *key,
        }
    }
}

/// A rate as a record.
pub fn rate_record(key: Key) -> Record {
    Record::new(RecordKind::ExchangeRate, key.id())
}

impl World {
    /// Sets or deletes a rate. What is so already changes nothing; what is not there can not be deleted.
    pub fn change_rate(&mut self, cause: &Cause, command: &RateCommand) -> Result<Entry, Refusal> {
        let key = command.key();
        let before = self.common.rates.get(&(cause.tenant_id, key.id())).copied();
        let (etag, rate) = match command {
            RateCommand::Set { etag, rate, .. } => (etag, Some(*rate)),
            RateCommand::Delete { etag, .. } => (etag, None),
        };
        let known = before.filter(|before| before.told.rate.is_some());
        if rate.is_none() && known.is_none() {
            return Err(Refusal::not_found(rate_record(key)));
        }
        let (revision, sent) = before.map_or((0, 0), |before| (before.told.revision, before.sent));
        check_etag(etag, revision, rate_record(key))?;
        if let Some(known) = known.filter(|known| known.told.rate == rate) {
            return Ok(known);
        }
        let told = Told { key, rate, revision: revision + 1 };
        let event = if sent == 0 { Event::Opened } else { Event::Changed };
        let fact = self.rate_fact(cause, event, told);
        self.common.send(cause, rate_record(key), sent + 1, fact, None);
        Ok(self.common.put_rate(cause, told, sent + 1))
    }

    /// Sends a rate again, a deleted one, too; answers the number with which it is sent.
    pub fn resend_rate(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let row = self.common.rates.edit(&(cause.tenant_id, resend.record.id));
        let row = row.ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let (number, told) = (row.sent, row.told);
        let fact = self.rate_fact(cause, Event::Snapshot, told);
        self.common.send_snapshot(cause, resend, number, fact, None);
        Ok(number)
    }

    fn rate_fact(&self, cause: &Cause, event: Event, told: Told) -> Fact {
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
            settings: None,
            rate: Some(Box::new(told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{cause, world};
    use crm_closeout::{money::Currency, time::Time};

    fn key() -> Key {
        let [to, currency] = ["CNY", "USD"].map(|code| Currency::parse(code).unwrap());
        Key { to, currency, effective_at: Time(7) }
    }

    fn set(rate: &str, etag: &str) -> RateCommand {
        RateCommand::Set { key: key(), etag: etag.into(), rate: Rate::parse(rate).unwrap() }
    }

    #[test]
    fn a_rate_is_told_when_it_changes_and_is_numbered_on_after_it_was_deleted() {
        let mut world = world();
        let delete = RateCommand::Delete { key: key(), etag: String::new() };
        assert_eq!(world.change_rate(&cause(), &delete).unwrap_err().reason(), "NOT_FOUND");
        let first = world.change_rate(&cause(), &set("7.1", "\"0\"")).unwrap();
        assert_eq!((first.told.revision, first.sent), (1, 1));
        assert_eq!(world.change_rate(&cause(), &set("7.10", "\"1\"")).unwrap(), first, "it is so already");
        assert_eq!(world.change_rate(&cause(), &set("7.2", "\"0\"")).unwrap_err().reason(), "VERSION_MISMATCH");
        let deleted = world.change_rate(&cause(), &delete).unwrap();
        assert_eq!((deleted.told.rate, deleted.told.revision, deleted.sent), (None, 2, 2));
        assert_eq!(world.change_rate(&cause(), &delete).unwrap_err().reason(), "NOT_FOUND");
        assert_eq!(world.change_rate(&cause(), &set("7.1", "")).unwrap().sent, 3);
        let told = world.common.outgoing.entries();
        let told: Vec<_> = told.iter().map(|(_, it)| (it.fact.event, it.number, it.fact.rate.is_some())).collect();
        assert_eq!(told, [(Event::Opened, 1, true), (Event::Changed, 2, true), (Event::Changed, 3, true)]);
        let states: Vec<_> = world.common.audit.entries().iter().map(|entry| entry.state_after.as_str()).collect();
        assert_eq!(states, ["SET", "DELETED", "SET"]);
    }
}
