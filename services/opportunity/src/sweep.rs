//! What is stale now, a part of the open opportunities at a time, and what that comes to. Reads only: what is done about one is a
//! command, which judges it again on the locked record.

use crate::{
    domain::{
        Command, Opportunity, Staling, State,
        stale::{Finding, Level, StalePolicy, Work},
    },
    store::stale as store,
};
use crm_api::fields;
use crm_closeout::{
    access::{Access, SYSTEM},
    codes::Record,
    ids::{OpportunityId, TenantId},
    pipeline::StageName,
    time::Time,
};
use crm_outbox::{
    batch::Steps,
    db::{Db, Error},
    state,
};
use uuid::Uuid;

/// Open opportunities that are looked at together: so long a part takes, however few of them are stale.
pub(crate) const LOOK: usize = 500;

/// Which stale opportunities are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Of this owner; empty: of all.
    pub(crate) owner: String,
    /// In this stage.
    pub(crate) stage: Option<StageName>,
    /// For which at least this is due.
    pub(crate) least: Level,
    /// For which more is due: this.
    pub(crate) most: Level,
}

impl Filter {
    /// All of them.
    pub(crate) const ALL: Self = Self { owner: String::new(), stage: None, least: Level::Warn, most: Level::CloseOut };
}

/// A stale opportunity.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// As it is.
    pub(crate) opportunity: Opportunity,
    /// Why it is stale, and what is due.
    pub(crate) finding: Finding,
    /// An order that is a draft or live, for which it is left alone.
    pub(crate) order: Option<Record>,
    /// When it was found.
    looked_at: Time,
}

impl Found {
    /// It was done before.
    pub(crate) fn is_done(&self) -> bool {
        self.opportunity.flagged(&self.finding).is_some_and(|done| done >= self.finding.level)
    }

    /// What is to be done about it; none: nothing, or it is left alone.
    pub(crate) fn due(&self) -> Option<Staling> {
        let due = self.order.is_none() && !self.is_done();
        due.then(|| Staling::new(&self.opportunity, self.finding.clone(), self.looked_at))
    }
}

/// What is stale among a part of the open opportunities.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Those that are.
    pub(crate) found: Vec<Found>,
    /// How many were looked at.
    pub(crate) looked_at: usize,
    /// Where the next part begins; none: this was the last one.
    pub(crate) next: Option<Uuid>,
}

/// Finds what is stale among the next open opportunities, `size` at most.
pub(crate) async fn part(
    db: &Db,
    tenant: TenantId,
    policy: &StalePolicy,
    filter: &Filter,
    after: Option<Uuid>,
    size: usize,
) -> Result<Part, Error> {
    let now = fields::now();
    let Some(before) = policy.before(now) else { return Ok(Part::default()) };
    let open: Vec<_> =
        state::subjects(db, tenant, State::Open, after, LOOK).await?.into_iter().map(OpportunityId).collect();
    let (looked_at, mut next) = (open.len(), open.last().filter(|_| open.len() == LOOK).copied());
    let mut idle = store::idle(db, tenant, &open, before, &filter.owner).await?;
    idle.retain(|one| filter.stage.as_ref().is_none_or(|stage| one.stage == *stage));
    idle.sort_by_key(|one| one.opportunity_id);
    let mut found = judge(db, tenant, policy, filter, idle, now).await?;
    if found.len() > size {
        found.truncate(size);
        next = found.last().map(|last| last.opportunity.opportunity_id);
    }
    Ok(Part { found, looked_at, next: next.map(|id| id.0) })
}

async fn judge(
    db: &Db,
    tenant: TenantId,
    policy: &StalePolicy,
    filter: &Filter,
    idle: Vec<Opportunity>,
    now: Time,
) -> Result<Vec<Found>, Error> {
    let work = store::work(db, tenant, &idle, now).await?;
    let orders = store::orders(db, tenant, &idle).await?;
    let found = idle.into_iter().filter_map(|opportunity| {
        let id = opportunity.opportunity_id;
        let (work, orders) = (work.get(&id).copied().unwrap_or_default(), orders.get(&id).copied().unwrap_or_default());
        let work = Work { order_at: orders.closed_at, ..work };
        let finding = policy.find(&opportunity.stage, opportunity.activity_at, work, now, filter.most)?;
        (finding.level >= filter.least).then_some(Found { opportunity, finding, order: orders.open, looked_at: now })
    });
    Ok(found.collect())
}

/// The commands of a tenant's daily sweep: a part of them.
pub(crate) async fn steps(db: &Db, tenant: TenantId, after: Option<Uuid>) -> Result<Steps<Command>, Error> {
    let policy = store::policy(db, tenant).await?.policy;
    let Part { found, next, .. } =
        if policy.daily { part(db, tenant, &policy, &Filter::ALL, after, LOOK).await? } else { Part::default() };
    let command = |found: &Found| {
        let staling = found.due()?;
        Some((key(found), Command::Stale(staling)))
    };
    Ok(Steps {
        actor: SYSTEM.to_owned(),
        access: Access::EVERYTHING,
        method: METHOD,
        commands: found.iter().filter_map(command).collect(),
        next,
    })
}

/// The method, as the audit trail calls it.
pub(crate) const METHOD: &str = "SweepStaleOpportunities";

/// What makes what is done about one a thing of its own within a sweep.
pub(crate) fn key(found: &Found) -> String {
    let Finding { level, since, .. } = &found.finding;
    format!("{}@{}@{}", found.opportunity.opportunity_id, level.word(), since.0)
}
