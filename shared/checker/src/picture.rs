//! Both databases as the invariants look at them: one shape for both sides, reduced to what is compared. What a service calls an
//! opportunity or an order is a [`Subject`] here.

use crate::{History, read::each};
use crm_closeout::{
    codes::{Record, RecordKind},
    episode::{CloseOut, CloseOutState, Delivery, Outcome, OutcomeClass},
    fact::MirrorState,
    ids::{CloseOutId, CustomerId, TenantId},
    money::Currency,
    records::{AuditEntry, Lane, Received},
    task::Task,
    time::Time,
};
use crm_opportunity::domain as sales;
use crm_order::domain as trade;
use crm_outbox::{
    db::{Db, Error},
    sql::{Args, Sql},
    tables::OutboxRow,
    wire,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// A record of a tenant.
pub(crate) type Key = (TenantId, Record);
/// What names a request: tenant, principal, method, request id.
pub(crate) type Request = (TenantId, String, String, Uuid);
/// Sums for each currency, by counter.
pub(crate) type Amounts = BTreeMap<Currency, Vec<i64>>;

/// Both sides.
pub(crate) struct Picture {
    pub(crate) opportunity: Side,
    pub(crate) order: Side,
    /// What clients saw.
    pub(crate) history: History,
}

/// One side.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) subjects: BTreeMap<Key, Subject>,
    pub(crate) customers: BTreeMap<(TenantId, CustomerId), Customer>,
    /// How many messages each record has sent.
    pub(crate) sent: BTreeMap<Key, i64>,
    pub(crate) lanes: BTreeMap<Key, Lane>,
    /// Messages that were applied, by lane, in order.
    pub(crate) inbox: BTreeMap<Key, Vec<Message>>,
    pub(crate) outbox: BTreeMap<Key, Vec<Message>>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) close_outs: BTreeMap<(TenantId, CloseOutId), Episode>,
    /// What the audit trail says of each subject and customer.
    pub(crate) changes: BTreeMap<Key, Changes>,
    /// Numbers with which the whole state of a record was sent; those before one may never have been.
    pub(crate) snapshots: BTreeMap<Key, BTreeSet<i64>>,
    /// Messages that the audit trail names.
    pub(crate) causes: BTreeSet<(TenantId, Uuid)>,
    /// Audit rows of the requests in the history: resource and version.
    pub(crate) done: HashMap<Request, Vec<(String, i64)>>,
    /// Audit rows of requests.
    pub(crate) effects: u64,
    /// Requests with two effects of one kind.
    pub(crate) doubled: Vec<String>,
    /// Requests with an effect and without an answer row.
    pub(crate) unanswered: Vec<String>,
}

/// An opportunity or an order.
pub(crate) struct Subject {
    pub(crate) customer: Option<CustomerId>,
    /// The opportunity of an order.
    pub(crate) parent: Option<Uuid>,
    pub(crate) owner: String,
    pub(crate) state: MirrorState,
    pub(crate) epoch: i64,
    pub(crate) close_out: Option<CloseOutId>,
    pub(crate) closed_at: Option<Time>,
    pub(crate) updated_at: Time,
    /// Which counter of its customer it is in.
    pub(crate) counter: usize,
    /// What it adds to which sum of its customer.
    pub(crate) amounts: Vec<(usize, Currency, i64)>,
    /// When it was won.
    pub(crate) won_at: Option<Time>,
    /// Less was paid than it costs.
    pub(crate) unpaid: bool,
}

/// A customer's record.
pub(crate) struct Customer {
    pub(crate) display_name: String,
    /// Name and value of each counter; the first ones are those of [`Subject::counter`].
    pub(crate) counters: Vec<(&'static str, i64)>,
    pub(crate) amounts: Amounts,
    /// What only the opportunity side keeps.
    pub(crate) relationship: Option<Relationship>,
}

/// What the opportunity side makes of a customer.
pub(crate) struct Relationship {
    pub(crate) blocked: bool,
    pub(crate) engaged: bool,
    pub(crate) lifecycle: &'static str,
    pub(crate) last_loss_at: Option<Time>,
}

/// A message in an inbox or outbox.
pub(crate) struct Message {
    pub(crate) number: i64,
    pub(crate) id: Uuid,
    pub(crate) hash: Vec<u8>,
}

/// A close-out.
pub(crate) struct Episode {
    pub(crate) subject: Record,
    pub(crate) number: i64,
    pub(crate) outcome: Outcome,
    pub(crate) class: Option<OutcomeClass>,
    pub(crate) closed_at: Time,
    pub(crate) state: CloseOutState,
    pub(crate) delivery: Delivery,
    pub(crate) reversal_delivery: Option<Delivery>,
}

impl Episode {
    /// When the customer was lost with it.
    pub(crate) fn loss_at(&self) -> Option<Time> {
        let ended = matches!(self.outcome, Outcome::Lost | Outcome::Cancelled);
        let class = self.class.filter(|c| !matches!(c, OutcomeClass::Disqualified | OutcomeClass::Administrative));
        class.filter(|_| ended).map(|_| self.closed_at)
    }

    /// When the customer was served with it.
    pub(crate) fn success_at(&self) -> Option<Time> {
        (self.outcome == Outcome::Processed).then_some(self.closed_at)
    }
}

/// What the audit trail says of one record.
#[derive(Clone, Copy, Default)]
pub(crate) struct Changes {
    /// Changes of state that the other side has to hear of.
    pub(crate) transitions: i64,
    /// Edits that it may have to hear of.
    pub(crate) edits: i64,
}

impl Subject {
    /// It is closed out.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, MirrorState::Closed | MirrorState::Processed)
    }
}

impl Picture {
    /// Reads both sides.
    pub(crate) async fn take(opportunity: &Db, order: &Db, history: &History) -> Result<Self, Error> {
        let mut sales = Side::read("opportunity side", opportunity, history).await?;
        let mut trade = Side::read("order side", order, history).await?;
        each(opportunity, |row| sales.opportunity(row)).await?;
        each(opportunity, |row| sales.customer(row)).await?;
        each(order, |row| trade.order(row)).await?;
        each(order, |row| trade.trade_record(row)).await?;
        Ok(Self { opportunity: sales, order: trade, history: history.clone() })
    }

    /// Each side with the other one.
    pub(crate) fn sides(&self) -> [(&Side, &Side); 2] {
        [(&self.opportunity, &self.order), (&self.order, &self.opportunity)]
    }
}

impl Side {
    async fn read(name: &'static str, db: &Db, history: &History) -> Result<Self, Error> {
        let mut side = Self { name, ..Self::default() };
        each(db, |lane: Lane| drop(side.lanes.insert((lane.tenant_id, lane.record), lane))).await?;
        each(db, |row: Received| {
            let message = Message { number: row.number, id: row.message_id, hash: row.hash };
            side.inbox.entry((row.tenant_id, row.record)).or_default().push(message);
        })
        .await?;
        each(db, |row: OutboxRow| {
            let message = Message { number: row.number, id: row.message_id, hash: wire::hash(&row.payload) };
            side.outbox.entry((row.tenant_id, row.record)).or_default().push(message);
        })
        .await?;
        each(db, |task| side.tasks.push(task)).await?;
        each(db, |row: CloseOut| {
            let episode = Episode {
                subject: row.subject,
                number: row.episode,
                outcome: row.outcome,
                class: row.class,
                closed_at: row.closed_at,
                state: row.state,
                delivery: Delivery { effects: Vec::new(), ..row.delivery },
                reversal_delivery: row.reversal_delivery.map(|delivery| Delivery { effects: Vec::new(), ..delivery }),
            };
            side.close_outs.insert((row.tenant_id, row.close_out_id), episode);
        })
        .await?;
        let asked = |answer: &crate::OkAnswer| {
            (answer.tenant, answer.principal.clone(), answer.method.clone(), answer.request_id)
        };
        let asked: HashSet<Request> = history.answers.iter().map(asked).collect();
        each(db, |row| side.audit(row, &asked)).await?;
        side.doubled = texts(db, DOUBLED).await?;
        side.doubled.extend(texts(db, MADE_TWICE).await?);
        side.unanswered = texts(db, UNANSWERED).await?;
        Ok(side)
    }

    fn audit(&mut self, row: AuditEntry, asked: &HashSet<Request>) {
        self.causes.extend(row.message_id.map(|id| (row.tenant_id, id)));
        if let Some(record) = Record::parse(&row.resource) {
            let changes = self.changes.entry((row.tenant_id, record)).or_default();
            let made = row.version_before == 0;
            // The other side makes no difference between the two states of a live order.
            let mirrored = (row.state_before.as_str(), row.state_after.as_str()) != ("CONFIRMED", "IN_FULFILMENT");
            let moved = record.kind != RecordKind::Customer && row.state_before != row.state_after && mirrored;
            changes.transitions += i64::from(made || moved);
            changes.edits += i64::from(row.method.starts_with("Update"));
        }
        if row.method == "ResendLane"
            && let Some((record, _)) = row.resource.split_once("/messages/")
            && let Some(record) = Record::parse(record)
        {
            self.snapshots.entry((row.tenant_id, record)).or_default().insert(row.version_after);
        }
        let Some(id) = row.request_id else { return };
        self.effects += 1;
        let request = (row.tenant_id, row.actor, row.method, id);
        if asked.contains(&request) {
            self.done.entry(request).or_default().push((row.resource, row.version_after));
        }
    }

    fn opportunity(&mut self, row: sales::Opportunity) {
        let key = (row.tenant_id, sales::opportunity_record(row.opportunity_id));
        let (state, counter) = match row.state {
            sales::State::Open => (MirrorState::Live, 0),
            sales::State::Won => (MirrorState::Won, 1),
            sales::State::ClosedOut => (MirrorState::Closed, 2),
        };
        let subject = Subject {
            customer: row.customer_id,
            parent: None,
            owner: row.owner,
            state,
            epoch: row.epoch,
            close_out: row.close_out_id,
            closed_at: row.closed_at,
            updated_at: row.updated_at,
            counter,
            amounts: vec![(counter, row.amount.currency, row.amount.minor)],
            won_at: row.won_at,
            unpaid: false,
        };
        self.sent.insert(key, row.sent);
        self.subjects.insert(key, subject);
    }

    fn order(&mut self, row: trade::Order) {
        let key = (row.tenant_id, trade::order_record(row.order_id));
        let (state, counter) = match row.state {
            trade::State::Draft => (MirrorState::Draft, 0),
            trade::State::Confirmed | trade::State::InFulfilment => (MirrorState::Live, 1),
            trade::State::Processed => (MirrorState::Processed, 2),
            trade::State::Cancelled => (MirrorState::Closed, 3),
        };
        let sum = |count: fn(&trade::Line) -> i64| row.lines.0.iter().map(|line| count(line) * line.unit_minor).sum();
        let (total, cancelled): (i64, i64) = (sum(|line| line.quantity - line.cancelled), sum(|line| line.cancelled));
        let subject = Subject {
            customer: Some(row.customer_id),
            parent: row.opportunity_id.map(|id| id.0),
            owner: row.owner,
            state,
            epoch: row.epoch,
            close_out: row.close_out_id,
            closed_at: row.closed_at,
            updated_at: row.updated_at,
            counter,
            amounts: vec![(counter, row.currency, total), (3, row.currency, cancelled)],
            won_at: None,
            unpaid: row.paid_minor < total,
        };
        self.sent.insert(key, row.sent);
        self.subjects.insert(key, subject);
    }

    fn customer(&mut self, row: sales::Customer) {
        let record = Record::new(RecordKind::Customer, row.customer_id.0);
        let customer = Customer {
            display_name: row.display_name,
            counters: vec![
                ("open_count", row.open_count),
                ("won_count", row.won_count),
                ("lost_count", row.lost_count),
                ("live_order_count", row.live_order_count),
            ],
            amounts: row.amounts.0.into_iter().map(|(currency, sums)| (currency, sums.to_vec())).collect(),
            relationship: Some(Relationship {
                blocked: row.do_not_contact,
                engaged: row.engaged,
                lifecycle: row.lifecycle.word(),
                last_loss_at: row.last_loss_at,
            }),
        };
        self.sent.insert((row.tenant_id, record), row.sent);
        self.customers.insert((row.tenant_id, row.customer_id), customer);
    }

    fn trade_record(&mut self, row: trade::Customer) {
        let customer = Customer {
            display_name: row.display_name,
            counters: vec![
                ("draft_count", row.draft_count),
                ("live_count", row.live_count),
                ("processed_count", row.processed_count),
                ("cancelled_count", row.cancelled_count),
                ("deals_lost", row.deals_lost),
            ],
            amounts: row.amounts.0.into_iter().map(|(currency, sums)| (currency, sums.to_vec())).collect(),
            relationship: None,
        };
        self.customers.insert((row.tenant_id, row.customer_id), customer);
    }
}

const DOUBLED: &str = "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
    WHERE a.request_id IS NOT NULL GROUP BY a.tenant_id, a.actor, a.method, a.request_id, a.resource \
    HAVING count(*) > 1 LIMIT 100";
const MADE_TWICE: &str = "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
    WHERE a.request_id IS NOT NULL AND a.version_before = 0 GROUP BY a.tenant_id, a.actor, a.method, a.request_id \
    HAVING count(*) > 1 AND count(DISTINCT a.resource) > 1 LIMIT 100";
const UNANSWERED: &str = "SELECT a.method, a.request_id, a.actor, min(a.resource), count(*) FROM audit AS a \
    WHERE a.request_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM idempotency AS i WHERE i.tenant_id = a.tenant_id \
    AND i.principal = a.actor AND i.method = a.method AND i.request_id = a.request_id) \
    GROUP BY a.tenant_id, a.actor, a.method, a.request_id LIMIT 100";

async fn texts(db: &Db, query: &str) -> Result<Vec<String>, Error> {
    let rows = db.read(&Sql::plain(query), Args::none()).await?;
    let text = |row: &crm_outbox::db::Row| {
        let (method, id, actor): (String, Uuid, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (resource, count): (String, i64) = (row.get(3)?, row.get(4)?);
        Ok(format!("{method} {id} of {actor}: {count} audit row(s), such as one of {resource}"))
    };
    rows.iter().map(text).collect()
}
