//! How many calls are not answered in full yet: they wait, are decided, or what they sent is on its way to the peer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The calls of one writer that are not answered in full.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenCalls(Arc<AtomicUsize>);

impl OpenCalls {
    /// One more, until it is dropped.
    pub(super) fn open(&self) -> OpenCall {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenCall(self.clone())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A call that is not answered in full.
#[derive(Debug)]
pub struct OpenCall(OpenCalls);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
