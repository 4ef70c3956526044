//! Bugs that a build with `--cfg seeded_bugs` has and no other: they show that the checker finds such bugs. The environment
//! variable CLOSEOUT_SEEDED_BUG switches one of them on. Knows nothing of where they are.

/// Whether the bug of this name shows now, which it does each so-manieth time. In an ordinary build it is `false`.
#[cfg(not(seeded_bugs))]
#[macro_export]
macro_rules! seeded_bug {
    ($name:literal, $every:literal) => {
        false
    };
}

/// Whether the bug of this name is switched on and shows now, which it does each so-manieth time.
#[cfg(seeded_bugs)]
#[macro_export]
macro_rules! seeded_bug {
    ($name:literal, $every:literal) => {
        $crate::seeded::shows($name, $every)
    };
}

/// Whether this bug is switched on and shows now, which it does each `every`-th time.
#[cfg(seeded_bugs)]
pub fn shows(name: &str, every: u64) -> bool {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static SWITCHED_ON: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CLOSEOUT_SEEDED_BUG").ok());
    static TIMES: AtomicU64 = AtomicU64::new(0);
    SWITCHED_ON.as_deref() == Some(name) && TIMES.fetch_add(1, Ordering::Relaxed) % every == every - 1
}
