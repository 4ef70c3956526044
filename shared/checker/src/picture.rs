//! Both databases as the invariants look at them: one shape for both sides, reduced to what is compared. What a service calls an
//! opportunity or an order is a [`Subject`] here.

use crate::{
    history::Told,
    queries,
    read::each,
    trail::{Asked, Thing, Trails},
};
use crm_closeout::{
    codes::{Record, RecordKind, Side as Service},
    episode::{CloseOut, CloseOutState, Delivery, Outcome, OutcomeClass},
    exchange,
    fact::MirrorState,
    ids::{CloseOutId, CustomerId, TenantId},
    money::{Currency, Money},
    reason::Entry,
    records::{Lane, Received, TimelineEntry},
    settings,
    task::Task,
    time::Time,
    working_set::Keyed,
};
use crm_opportunity::domain as sales;
use crm_order::domain as trade;
use crm_outbox::{
    db::{Db, Error, Tx},
    tables::OutboxRow,
    wire,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A record of a tenant.
pub(crate) type Key = (TenantId, Record);
/// Sums for each currency, by counter.
pub(crate) type Amounts = BTreeMap<Currency, Vec<i64>>;

/// Both sides.
pub(crate) struct Picture {
    pub(crate) opportunity: Side,
    pub(crate) order: Side,
    /// What clients did and saw.
    pub(crate) told: Told,
}

/// One side.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    /// A customer may be there before it was heard of.
    pub(crate) has_stubs: bool,
    pub(crate) subjects: BTreeMap<Key, Subject>,
    pub(crate) customers: BTreeMap<(TenantId, CustomerId), Customer>,
    /// The tenants' own reasons, by code.
    pub(crate) reasons: BTreeMap<(TenantId, String), Entry>,
    /// What the tenants have decided.
    pub(crate) settings: BTreeMap<TenantId, settings::Entry>,
    /// Plans to win customers back.
    pub(crate) plans: Vec<sales::WinBackPlan>,
    /// Exchange rates, deleted ones, too.
    pub(crate) rates: BTreeMap<(TenantId, Uuid), exchange::Entry>,
    /// How many messages each record has sent.
    pub(crate) sent: BTreeMap<Key, i64>,
    pub(crate) lanes: BTreeMap<Key, Lane>,
    /// Messages that were applied, by lane, in order.
    pub(crate) inbox: BTreeMap<Key, Vec<Message>>,
    pub(crate) outbox: BTreeMap<Key, Vec<Message>>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) close_outs: BTreeMap<(TenantId, CloseOutId), Episode>,
    /// The audit trails.
    pub(crate) trails: Trails,
    /// Version of each thing, and the state of each subject in a word.
    pub(crate) versions: BTreeMap<(TenantId, Thing), (i64, &'static str)>,
    /// Ids that rows of a tenant name, and what they name with it.
    pub(crate) names: Vec<(TenantId, Uuid, &'static str)>,
    /// Subjects that are listed in another state than theirs.
    pub(crate) misplaced: Vec<String>,
    /// Requests with two effects of one kind.
    pub(crate) doubled: Vec<String>,
    /// Requests with an effect and without an answer row.
    pub(crate) unanswered: Vec<String>,
    /// Duties that should be done.
    pub(crate) unfinished: Vec<String>,
    /// Sessions of the database that should not be as they are.
    pub(crate) sessions: Vec<String>,
}

/// An opportunity or an order.
pub(crate) struct Subject {
    pub(crate) customer: Option<CustomerId>,
    /// The opportunity of an order.
    pub(crate) parent: Option<Uuid>,
    pub(crate) owner: String,
    pub(crate) state: MirrorState,
    pub(crate) epoch: i64,
    /// How many close-outs it has, with those that came to nothing or wait for approval.
    pub(crate) episodes: i64,
    /// The close-out in force.
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
    pub(crate) plans: sales::Tally,
    pub(crate) last_loss_at: Option<Time>,
}

/// A message in an inbox or outbox.
pub(crate) struct Message {
    pub(crate) number: i64,
    pub(crate) id: Uuid,
    pub(crate) hash: Vec<u8>,
    /// Refused; an operator has to look.
    pub(crate) parked: bool,
}

/// A close-out.
pub(crate) struct Episode {
    pub(crate) subject: Record,
    pub(crate) number: i64,
    pub(crate) outcome: Outcome,
    pub(crate) class: Option<OutcomeClass>,
    pub(crate) reason: String,
    pub(crate) amount: Money,
    pub(crate) closed_at: Time,
    pub(crate) state: CloseOutState,
    pub(crate) delivery: Delivery,
    pub(crate) reversal_delivery: Option<Delivery>,
    pub(crate) cause: Option<CloseOutId>,
    pub(crate) hop: i32,
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

impl Subject {
    /// It is closed out.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, MirrorState::Closed | MirrorState::Processed)
    }
}

impl Picture {
    /// Reads both sides, each at one moment; the inbox of the first one last. So each message that a sender has no more, or never
    /// had, was read before the inbox in which it must be, and a picture taken under load is good for what holds at any instant.
    pub(crate) async fn take(opportunity: &Db, order: &Db, told: Told) -> Result<Self, Error> {
        let mut tx = opportunity.moment().await?;
        let mut sales = Side { name: "opportunity side", ..Side::default() };
        sales.read(&mut tx, &Asked::of(Service::Opportunity, &told)).await?;
        each(&mut tx, |row| sales.opportunity(row)).await?;
        sales.misplaced = queries::misplaced::<sales::Opportunity>(&mut tx).await?;
        each(&mut tx, |row| sales.customer(row)).await?;
        each(&mut tx, |row| sales.plan(row)).await?;
        each(&mut tx, |row| sales.reason(row)).await?;
        each(&mut tx, |row| sales.settings(row)).await?;
        each(&mut tx, |row| sales.rate(row)).await?;
        tx.rollback().await?;

        let mut tx = order.moment().await?;
        let mut trade = Side { name: "order side", has_stubs: true, ..Side::default() };
        trade.read(&mut tx, &Asked::of(Service::Order, &told)).await?;
        each(&mut tx, |row| trade.order(row)).await?;
        trade.misplaced = queries::misplaced::<trade::Order>(&mut tx).await?;
        each(&mut tx, |row| trade.trade_record(row)).await?;
        each(&mut tx, |row| trade.reason(row)).await?;
        each(&mut tx, |row| trade.settings(row)).await?;
        each(&mut tx, |row| trade.rate(row)).await?;
        each(&mut tx, |row| trade.received(row)).await?;
        tx.rollback().await?;

        let mut tx = opportunity.moment().await?;
        each(&mut tx, |row| sales.received(row)).await?;
        tx.rollback().await?;
        sales.sessions = queries::sessions(opportunity).await?;
        trade.sessions = queries::sessions(order).await?;
        Ok(Self { opportunity: sales, order: trade, told })
    }

    /// Each side with the other one.
    pub(crate) fn sides(&self) -> [(&Side, &Side); 2] {
        [(&self.opportunity, &self.order), (&self.order, &self.opportunity)]
    }

    /// The side of a service.
    pub(crate) fn side(&self, service: Service) -> &Side {
        match service {
            Service::Opportunity => &self.opportunity,
            Service::Order => &self.order,
        }
    }
}

impl Side {
    /// Reads what both services have alike, apart from the inbox.
    async fn read(&mut self, tx: &mut Tx, asked: &Asked<'_>) -> Result<(), Error> {
        each(tx, |row| self.lane(row)).await?;
        each(tx, |row: OutboxRow| {
            let (number, id, hash) = (row.number, row.message_id, wire::hash(&row.payload));
            self.names.push((row.tenant_id, row.record.id, "a message to be sent"));
            let message = Message { number, id, hash, parked: row.parked };
            self.outbox.entry((row.tenant_id, row.record)).or_default().push(message);
        })
        .await?;
        each(tx, |row| self.task(row)).await?;
        each(tx, |row| self.close_out(row)).await?;
        each(tx, |row: TimelineEntry| {
            self.names.push((row.tenant_id, row.customer_id.0, "a timeline"));
            self.names.push((row.tenant_id, row.record.id, "an entry of a timeline"));
        })
        .await?;
        each(tx, |row| self.trails.add(row, asked)).await?;
        self.trails.sort();
        self.doubled = queries::done_twice(tx).await?;
        self.unanswered = queries::unanswered(tx).await?;
        self.unfinished = queries::unfinished(tx).await?;
        Ok(())
    }

    /// A message of this lane is parked, so neither it nor those behind it arrive.
    pub(crate) fn is_stuck(&self, lane: &Key) -> bool {
        self.outbox.get(lane).is_some_and(|messages| messages.iter().any(|message| message.parked))
    }

    fn lane(&mut self, lane: Lane) {
        let named = [Some(lane.record.id), lane.customer_id.map(|id| id.0), lane.parent_id];
        let named = named.into_iter().chain([lane.close_out_id.map(|id| id.0)]).flatten();
        self.names.extend(named.map(|id| (lane.tenant_id, id, "a mirror")));
        self.lanes.insert((lane.tenant_id, lane.record), lane);
    }

    fn received(&mut self, row: Received) {
        let message = Message { number: row.number, id: row.message_id, hash: row.hash, parked: false };
        self.names.push((row.tenant_id, row.record.id, "a message that was applied"));
        self.inbox.entry((row.tenant_id, row.record)).or_default().push(message);
    }

    fn task(&mut self, task: Task) {
        self.names.push((task.tenant_id, task.root.id, "a task"));
        self.names.extend(task.closed_by.map(|id| (task.tenant_id, id.0, "a cancelled task")));
        self.versions.insert((task.tenant_id, Thing::Task(task.task_id)), (task.version, ""));
        self.tasks.push(task);
    }

    fn close_out(&mut self, row: CloseOut) {
        let named = [Some(row.subject.id), row.customer_id.map(|id| id.0), row.cause.map(|id| id.0)];
        self.names.extend(named.into_iter().flatten().map(|id| (row.tenant_id, id, "a close-out")));
        let bare = |delivery: Delivery| Delivery { effects: Vec::new(), ..delivery };
        let episode = Episode {
            subject: row.subject,
            number: row.episode,
            outcome: row.outcome,
            class: row.class,
            reason: row.reason_code,
            amount: row.snapshot.amount,
            closed_at: row.closed_at,
            state: row.state,
            delivery: bare(row.delivery),
            reversal_delivery: row.reversal_delivery.map(bare),
            cause: row.cause,
            hop: row.hop,
        };
        self.close_outs.insert((row.tenant_id, row.close_out_id), episode);
    }

    fn subject(&mut self, key: Key, sent: i64, version: i64, state: &'static str, subject: Subject) {
        let named = [subject.customer.map(|id| id.0), subject.parent, subject.close_out.map(|id| id.0)];
        self.names.extend(named.into_iter().flatten().map(|id| (key.0, id, "a subject")));
        self.versions.insert((key.0, Thing::Record(key.1)), (version, state));
        self.sent.insert(key, sent);
        self.subjects.insert(key, subject);
    }

    fn opportunity(&mut self, row: sales::Opportunity) {
        let key = (row.tenant_id, sales::opportunity_record(row.opportunity_id));
        let (state, counter) = match (row.state, row.won_at) {
            (sales::State::Open | sales::State::OnHold, _) | (sales::State::ClosePending, None) => {
                (MirrorState::Live, 0)
            }
            (sales::State::Won, _) | (sales::State::ClosePending, Some(_)) => (MirrorState::Won, 1),
            (sales::State::ClosedOut, _) => (MirrorState::Closed, 2),
        };
        let waits = row.state == sales::State::ClosePending;
        let subject = Subject {
            customer: row.customer_id,
            parent: None,
            owner: row.owner,
            state,
            epoch: row.epoch,
            episodes: row.epoch + row.declined + i64::from(waits),
            close_out: row.close_out_id.filter(|_| !waits),
            closed_at: row.closed_at,
            updated_at: row.updated_at,
            counter,
            amounts: vec![(counter, row.amount.currency, row.amount.minor)],
            won_at: row.won_at,
            unpaid: false,
        };
        self.subject(key, row.sent, row.version, row.state.word(), subject);
    }

    fn order(&mut self, row: trade::Order) {
        let key = (row.tenant_id, trade::order_record(row.order_id));
        let (state, counter) = match row.state {
            trade::State::Draft => (MirrorState::Draft, 0),
            trade::State::Confirmed | trade::State::InFulfilment | trade::State::ClosePending => (MirrorState::Live, 1),
            trade::State::Processed => (MirrorState::Processed, 2),
            trade::State::Cancelled => (MirrorState::Closed, 3),
        };
        let waits = row.state == trade::State::ClosePending;
        let sum = |count: fn(&trade::Line) -> i64| row.lines.0.iter().map(|line| count(line) * line.unit_minor).sum();
        let (total, cancelled): (i64, i64) = (sum(|line| line.quantity - line.cancelled), sum(|line| line.cancelled));
        let subject = Subject {
            customer: Some(row.customer_id),
            parent: row.opportunity_id.map(|id| id.0),
            owner: row.owner,
            state,
            epoch: row.epoch,
            episodes: row.epoch + row.declined + i64::from(waits),
            close_out: row.close_out_id.filter(|_| !waits),
            closed_at: row.closed_at,
            updated_at: row.updated_at,
            counter,
            amounts: vec![(counter, row.currency, total), (3, row.currency, cancelled)],
            won_at: None,
            unpaid: row.paid_minor < total,
        };
        self.subject(key, row.sent, row.version, row.state.word(), subject);
    }

    fn customer(&mut self, row: sales::Customer) {
        let (record, plans) = (Record::new(RecordKind::Customer, row.customer_id.0), row.tally());
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
                plans,
                last_loss_at: row.last_loss_at,
            }),
        };
        self.sent.insert((row.tenant_id, record), row.sent);
        self.versions.insert((row.tenant_id, Thing::Record(record)), (row.version, ""));
        self.customers.insert((row.tenant_id, row.customer_id), customer);
    }

    fn plan(&mut self, row: sales::WinBackPlan) {
        let named = [row.plan_id.0, row.subject.id, row.customer_id.0];
        let named = named.into_iter().chain(row.recovered_by.map(|id| id.0));
        self.names.extend(named.map(|id| (row.tenant_id, id, "a win-back plan")));
        self.plans.push(row);
    }

    fn reason(&mut self, row: Entry) {
        let lane = row.listed.lane.map(|id| (row.tenant_id, Record::new(RecordKind::Reason, id)));
        if !self.has_stubs {
            self.sent.extend(lane.map(|lane| (lane, row.sent)));
        }
        self.names.extend(lane.map(|(tenant, record)| (tenant, record.id, "a reason")));
        self.reasons.insert(row.key(), row);
    }

    fn settings(&mut self, row: settings::Entry) {
        if !self.has_stubs {
            self.sent.insert((row.tenant_id, settings_lane(row.tenant_id)), row.sent);
        }
        self.settings.insert(row.tenant_id, row);
    }

    fn rate(&mut self, row: exchange::Entry) {
        let key = row.key();
        if !self.has_stubs {
            self.sent.insert((key.0, rate_lane(key.1)), row.sent);
        }
        self.rates.insert(key, row);
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
        let record = Record::new(RecordKind::Customer, row.customer_id.0);
        self.versions.insert((row.tenant_id, Thing::Record(record)), (row.version, ""));
        self.customers.insert((row.tenant_id, row.customer_id), customer);
    }
}

/// The lane of an exchange rate.
pub(crate) const fn rate_lane(id: Uuid) -> Record {
    Record::new(RecordKind::ExchangeRate, id)
}

/// The lane of a tenant's settings.
pub(crate) const fn settings_lane(tenant: TenantId) -> Record {
    Record::new(RecordKind::Settings, settings::lane(tenant))
}
