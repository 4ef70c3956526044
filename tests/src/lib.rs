//! The harness of the stories in `tests/tests/`: both services as real processes on free ports, on SQLite or PostgreSQL, that can
//! be killed and started again; clients that note what they were answered; and at the end of each story the checker. For stories about
//! faults: several processes of each service with proxies between them and in front of their databases.
//!
//! Reading order: [`pair`], [`process`], [`client`], [`mod@bulk`], [`place`]; [`fleet`], [`load`], [`proxy`], [`collector`]. Nothing here sleeps for a fixed time: see [`until`].
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

pub mod bulk;
pub mod client;
pub mod collector;
pub mod fleet;
pub mod load;
pub mod pair;
pub mod place;
pub mod process;
pub mod proxy;

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Asks again and again, with growing pauses, until there is an answer; after `timeout` it panics with `what`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, timeout: Duration, mut ask: impl FnMut() -> F) -> T {
    let (over, mut pause) = (Instant::now() + timeout, Duration::from_millis(2));
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < over, "not within {timeout:?}: {what}");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Whether the long form of the tests is asked for.
pub fn long() -> bool {
    std::env::var_os("CLOSEOUT_TESTS_LONG").is_some()
}

/// Makes two tests of each story: on SQLite, and on PostgreSQL if `DATABASE_URL` names a server.
#[macro_export]
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name($crate::place::Kind::Sqlite)).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs DATABASE_URL"]
            async fn $name() {
                Box::pin(super::$name($crate::place::Kind::Postgres)).await;
            })+
        }
    };
}
