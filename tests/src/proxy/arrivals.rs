//! What arrived somewhere, second by second.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Mutex,
    time::Instant,
};

/// What arrived in one second, or in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Attempts to connect.
    pub connections: u64,
    /// Calls, empty ones among them.
    pub calls: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages that had arrived before.
    pub copies: u64,
}

/// Counts arrivals; shared by all roads to one service.
#[derive(Debug)]
pub struct Arrivals {
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    seconds: BTreeMap<u64, Arrived>,
    seen: HashSet<Vec<u8>>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { began: Instant::now(), noted: Mutex::default() }
    }
}

impl Arrivals {
    /// The second that is now.
    pub fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    pub(super) fn connection(&self) {
        self.noted.lock().unwrap().seconds.entry(self.second()).or_default().connections += 1;
    }

    /// Notes a call with messages of these ids.
    pub(super) fn call<'a>(&self, ids: impl Iterator<Item = &'a Vec<u8>>) {
        let Noted { seconds, seen } = &mut *self.noted.lock().unwrap();
        let now = seconds.entry(self.second()).or_default();
        now.calls += 1;
        for id in ids {
            now.messages += 1;
            now.copies += u64::from(!seen.insert(id.clone()));
        }
    }

    /// The highest of each figure in any one of these seconds.
    pub fn highest(&self, seconds: Range<u64>) -> Arrived {
        self.fold(seconds, u64::max)
    }

    /// The sum of each figure over these seconds.
    pub fn sum(&self, seconds: Range<u64>) -> Arrived {
        self.fold(seconds, |a, b| a + b)
    }

    fn fold(&self, seconds: Range<u64>, join: impl Fn(u64, u64) -> u64) -> Arrived {
        let noted = self.noted.lock().unwrap();
        noted.seconds.range(seconds).fold(Arrived::default(), |all, (_, one)| Arrived {
            connections: join(all.connections, one.connections),
            calls: join(all.calls, one.calls),
            messages: join(all.messages, one.messages),
            copies: join(all.copies, one.copies),
        })
    }
}
