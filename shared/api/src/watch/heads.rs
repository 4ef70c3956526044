//! How far the log of each tenant can be read that somebody watches here: one task that looks, for all who watch that tenant.

use crm_closeout::ids::TenantId;
use crm_outbox::{
    db::Db,
    watch::{Head, head},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch::{Receiver, Sender},
    time::{Instant, sleep, timeout},
};

/// How often it is looked for what other processes have committed, or what a transaction that was still under way held back.
const LOOK: Duration = Duration::from_millis(500);
/// How long it may not be known how far the log is.
const PATIENCE: Duration = Duration::from_secs(10);
/// Not more often, whatever is committed here.
const PAUSE: Duration = Duration::from_millis(10);

type Known = HashMap<TenantId, Sender<Option<Head>>>;

/// Tenants that are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<Mutex<Known>>);

impl Heads {
    /// Hears how far the log of a tenant can be read, as long as the receiver is there.
    pub(super) fn of(&self, db: &Db, tenant: TenantId) -> Receiver<Option<Head>> {
        let mut known = self.known();
        if let Some(sender) = known.get(&tenant) {
            return sender.subscribe();
        }
        let sender = Sender::new(None);
        let receiver = sender.subscribe();
        known.insert(tenant, sender.clone());
        tokio::spawn(self.clone().look(db.clone(), tenant, sender));
        receiver
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks until nobody watches any more.
    async fn look(self, db: Db, tenant: TenantId, sender: Sender<Option<Head>>) {
        let (mut commits, mut failed) = (db.commits(), None);
        loop {
            commits.mark_unchanged();
            let now = head(&db, tenant).await;
            let since = now.is_err().then(|| failed.unwrap_or_else(Instant::now));
            failed = since;
            let behind = |now: &Head| sender.borrow().is_some_and(|told| now.ended < told.ended);
            if since.is_some_and(|since| since.elapsed() > PATIENCE) || now.as_ref().is_ok_and(behind) {
                // It is away for long, or is not the one that it was: whoever watches asks anew.
                self.known().remove(&tenant);
                return;
            }
            match now {
                Ok(now) => {
                    sender.send_if_modified(|told| {
                        let moved = told.is_none_or(|told| told.last != now.last);
                        *told = Some(now);
                        moved
                    });
                }
                Err(error) => tracing::debug!(%error, "it is not known what has changed; it is looked again soon"),
            }
            sleep(PAUSE).await;
            if timeout(LOOK, commits.changed()).await.is_ok_and(|heard| heard.is_err()) {
                sleep(LOOK).await; // nobody commits here any more
            }
            let mut known = self.known();
            if sender.receiver_count() == 0 {
                known.remove(&tenant);
                return;
            }
        }
    }
}
