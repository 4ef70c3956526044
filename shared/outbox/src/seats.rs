//! How many calls of each tenant wait in the callers' input, so that no tenant fills it alone.

use crate::writer::CALLS_WAITING;
use crm_closeout::ids::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Calls of one tenant that may wait: three quarters of the input, so that others always find room.
pub const CALLS_OF_TENANT: usize = CALLS_WAITING / 4 * 3;

/// How many calls of each tenant wait.
pub(crate) type Seats = Arc<Mutex<HashMap<TenantId, usize>>>;

/// A place in the callers' input.
pub(crate) struct Seat {
    seats: Seats,
    tenant: TenantId,
}

impl Seat {
    /// None: the tenant has its share.
    pub(crate) fn take(seats: &Seats, tenant: TenantId) -> Option<Self> {
        let mut taken = seats.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(tenant).or_default();
        if *count >= CALLS_OF_TENANT {
            return None;
        }
        *count += 1;
        Some(Self { seats: seats.clone(), tenant })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}
