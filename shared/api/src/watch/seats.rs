//! How many streams a process has at once, and of those one caller.

use crm_closeout::{
    ids::TenantId,
    wording::{self, Wording},
};
use crm_runtime::auth::Caller;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Streams of changes that a process has at once; more are refused.
const STREAMS: usize = 512;
/// Those of one caller, so that one who loses count leaves room for others.
const STREAMS_OF_ONE: usize = 32;

/// Whose streams.
type Who = (TenantId, String);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Who, usize>,
}

/// The places of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    who: Who,
}

/// Why there is no place, and how many there are.
pub(super) type Full = (&'static Wording, usize);

impl Seats {
    /// Takes a place.
    pub(super) fn take(&self, caller: &Caller) -> Result<Seat, Full> {
        let who = (caller.tenant, caller.principal.clone());
        let mut guard = self.taken();
        let taken = &mut *guard;
        if taken.all >= STREAMS {
            return Err((&wording::TOO_MANY_WATCHES, STREAMS));
        }
        let own = taken.of.entry(who.clone()).or_default();
        if *own >= STREAMS_OF_ONE {
            return Err((&wording::TOO_MANY_OWN_WATCHES, STREAMS_OF_ONE));
        }
        *own += 1;
        taken.all += 1;
        drop(guard);
        Ok(Seat { seats: self.clone(), who })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        if let Some(own) = taken.of.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(&self.who);
            }
        }
    }
}
