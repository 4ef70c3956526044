//! The tables' contents, made by SQL, and what a test has to know of them.

use crm_tests::{pair::Pair, until};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use std::time::Duration;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);
const SHARED: &str = include_str!("seed_shared.sql");
const OWN: [&str; 2] = [include_str!("seed_opportunity.sql"), include_str!("seed_order.sql")];
const HISTORY: &str = include_str!("seed_history.sql");

/// Makes [`id`], and keeps the statistics as they are.
const STILL: &str = include_str!("still.sql");

/// Kinds of [`id`].
pub(crate) const CUSTOMER: u128 = 1;
pub(crate) const OPPORTUNITY: u128 = 2;
pub(crate) const ORDER: u128 = 3;
pub(crate) const TASK: u128 = 4;
pub(crate) const LOST: u128 = 5;
pub(crate) const CANCELLED: u128 = 6;

/// The n-th id of a kind, as in `seed_shared.sql`.
pub(crate) fn id(kind: u128, n: i64) -> Uuid {
    let n = n as u128;
    Uuid::from_u128((1_700_000_000_000 + n) << 80 | 7 << 76 | kind << 64 | 8 << 60 | n)
}

/// Whether a deal belongs to the big tenant.
pub(crate) fn of_the_big_tenant(n: i64) -> bool {
    (n + 4) / 5 % 10 != 0
}

/// Both databases.
pub(crate) struct Data {
    /// A session of its own for each: what fills the tables is defined in it.
    both: [PgPool; 2],
    tenant: Uuid,
    deals: i64,
}

impl Data {
    /// Empty tables, whose statistics say so. From now on nothing but [`Data::analyze`] changes these, and every other session
    /// explains what it does.
    pub(crate) async fn new(pair: &Pair) -> Self {
        let open = async |url: &str| {
            let options = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
            let pool = options.connect(url).await.unwrap();
            let name = url.rsplit('/').next().unwrap();
            let settings = [
                "session_preload_libraries = 'auto_explain'",
                "auto_explain.log_min_duration = 0",
                "auto_explain.log_analyze = on",
                "auto_explain.log_buffers = on",
                "auto_explain.log_timing = off",
                "auto_explain.log_nested_statements = on",
                "auto_explain.log_format = json",
                "auto_explain.log_level = notice",
            ];
            let settings = settings.map(|setting| format!("ALTER DATABASE {name} SET {setting};")).concat();
            sqlx::raw_sql(AssertSqlSafe(settings + STILL)).execute(&pool).await.unwrap();
            pool
        };
        let both = [open(&pair.place.opportunity).await, open(&pair.place.order).await];
        Self { both, tenant: pair.tenant.0, deals: 0 }
    }

    async fn on_both(&self, text: impl Fn(usize) -> String) {
        let run = async |side: usize| sqlx::raw_sql(AssertSqlSafe(text(side))).execute(&self.both[side]).await.unwrap();
        tokio::join!(run(0), run(1));
    }

    async fn count(&self, side: usize, rows: &str) -> i64 {
        let text = format!("SELECT count(*) FROM {rows}");
        sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&self.both[side]).await.unwrap()
    }

    /// Fills up to so many deals.
    pub(crate) async fn grow(&mut self, deals: i64) {
        let (from, tenant) = (self.deals + 1, self.tenant);
        if from > deals {
            return;
        }
        let fill = |text: &str| {
            let text = text.replace("{from}", &from.to_string()).replace("{to}", &deals.to_string());
            text.replace("{tenant}", &tenant.to_string())
        };
        self.on_both(|side| [SHARED, OWN[side], HISTORY].map(fill).concat()).await;
        self.deals = deals;
    }

    /// Brings the statistics up to date.
    pub(crate) async fn analyze(&self) {
        self.on_both(|_| "ANALYZE".into()).await;
    }

    /// So many messages whose lease is over: half of them alone in their lane, the others in lanes of ten, some behind a parked
    /// one.
    pub(crate) async fn backlog(&self, messages: i64) {
        let lane = "pg_temp.id(20, CASE WHEN n % 2 = 0 THEN n ELSE n / 20 * 20 + 1 END)";
        self.waiting(lane, "n", messages, "n % 1000 = 1").await;
    }

    /// Instead of the backlog some messages that no peer can read.
    pub(crate) async fn poison(&self) {
        self.on_both(|_| "TRUNCATE outbox".into()).await;
        self.waiting("gen_random_uuid()", "1", 40, "false").await;
    }

    async fn waiting(&self, lane: &str, number: &str, messages: i64, parked: &str) {
        let text = format!(
            "INSERT INTO outbox (tenant_id, record_kind, record_id, number, message_id, payload, close_out_id, reversal, \
             created_at, lease_until, attempts, parked, fault) \
             SELECT '{}', 2, {lane}, {number}, gen_random_uuid(), '\\x00', NULL, false, 0, n, 0, {parked}, '' \
             FROM generate_series(1, {messages}) AS n",
            self.tenant
        );
        self.on_both(|_| text.clone()).await;
    }

    /// Waits until the opportunity service (0) or the order service (1) has claimed from the backlog.
    pub(crate) async fn claimed(&self, side: usize) {
        let what = "messages are claimed";
        until(what, LONG, async || (self.count(side, "outbox WHERE attempts > 0").await > 0).then_some(())).await;
    }

    /// Waits until nothing is on its way but what is parked.
    pub(crate) async fn quiet(&self) {
        // A message can cause another on the other side, which may cause one here.
        for _ in 0..4 {
            for side in [0, 1] {
                let waiting = async || (self.count(side, "outbox WHERE NOT parked").await == 0).then_some(());
                until("nothing is on its way", LONG, waiting).await;
            }
        }
    }

    /// Ends its sessions.
    pub(crate) async fn close(self) {
        for pool in self.both {
            pool.close().await;
        }
    }
}
