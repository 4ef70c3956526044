//! Whom a campaign may reach: customers that are lost, with what they were lost on, a part of them at a time. Reads only.

use crate::{
    domain::Customer,
    store::win_back::{self as store, Loss},
};
use crm_api::{
    convert::{money, time},
    failure,
    fields::Fields,
    search::criteria::{self, Range},
};
use crm_closeout::{
    codes::Code,
    ids::{CustomerId, TenantId},
    money::{Currency, Money},
    reason::{self, Catalogue},
    time::Time,
    wording,
};
use crm_outbox::{
    db::{Db, Error},
    search::walk::Span,
};
use crm_proto::opportunity as pb;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use uuid::Uuid;

/// Customers that are looked at together, and so the most of a message.
const LOOK: usize = 200;
/// Losses that are read together, but for a customer that has more.
const LOSSES: i64 = 5_000;

/// Which losses of which customers count.
#[derive(Debug)]
pub(crate) struct Criteria {
    /// Codes of the reasons; none: whatever the reason.
    reasons: Option<BTreeSet<String>>,
    closed: Span,
    amount: Option<Range>,
    owner: String,
    tier: String,
    not_contacted_since: Option<Time>,
}

impl Criteria {
    /// Reads the fields but for the reasons, so that any counts.
    pub(crate) fn read(fields: &mut Fields, request: &pb::ExportAudienceRequest) -> Self {
        Self {
            reasons: None,
            closed: criteria::span(
                fields,
                ("closed_from", request.closed_from.as_ref()),
                ("closed_until", request.closed_until.as_ref()),
            ),
            amount: criteria::range(fields, [request.amount_from.as_ref(), request.amount_until.as_ref()]),
            owner: fields.principal("owner", &request.owner, ""),
            tier: fields.line("tier", &request.tier, 0..=crm_api::fields::LABEL),
            not_contacted_since: fields.time("not_contacted_since", request.not_contacted_since.as_ref()),
        }
    }

    /// Only these reasons, with what was merged into them.
    pub(crate) fn of_reasons(self, fields: &mut Fields, names: &[String], catalogue: &Catalogue<'_>) -> Self {
        if names.is_empty() {
            return self;
        }
        let mut codes = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            match reason::code_of(name).and_then(|code| catalogue.get(code)) {
                Some(listed) => drop(codes.insert(listed.reason.code.to_string())),
                None => {
                    let all: Vec<_> = catalogue.all().iter().map(|listed| listed.reason.name()).collect();
                    fields.refuse(
                        format!("reasons[{index}]"),
                        &wording::UNKNOWN_REASON,
                        &[("reasons", &all.join(", "))],
                    );
                }
            }
        }
        // One may have been merged into another that was merged itself.
        let merged = |codes: &BTreeSet<String>| {
            let into = |target: &Option<String>| target.as_ref().is_some_and(|target| codes.contains(target));
            let all = catalogue.all().into_iter().filter(|listed| into(&listed.merged_into));
            all.map(|listed| listed.reason.code.to_string()).collect::<BTreeSet<_>>()
        };
        loop {
            let more = merged(&codes);
            if more.is_subset(&codes) {
                return Self { reasons: Some(codes), ..self };
            }
            codes.extend(more);
        }
    }

    fn has(&self, customer: &Customer) -> bool {
        let contacted = customer.contacted_at.zip(self.not_contacted_since);
        !customer.do_not_contact
            && (self.owner.is_empty() || self.owner == customer.owner)
            && (self.tier.is_empty() || self.tier == customer.tier)
            && contacted.is_none_or(|(at, since)| at < since)
    }

    fn counts(&self, loss: &Loss) -> bool {
        let reason = loss.reason.as_ref();
        self.reasons.as_ref().is_none_or(|codes| reason.is_some_and(|code| codes.contains(code)))
            && (self.closed.from..self.closed.until).contains(&loss.lost_at.0)
            && self.amount.is_none_or(|range| loss.amount.is_some_and(|amount| range.has(amount)))
    }
}

/// An audience that a caller has asked for.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) db: Db,
    pub(crate) tenant: TenantId,
    pub(crate) criteria: Criteria,
    pub(crate) _place: OwnedSemaphorePermit,
}

impl Audience {
    /// Its members by customer, a part at a time; the next part is looked at when this one is read, whether it has members or not.
    pub(crate) fn run(self) -> BoxStream<'static, Result<pb::ExportAudienceResponse, Status>> {
        let parts = stream::try_unfold((self, Some(None)), async |(audience, place)| {
            let Some(after) = place else { return Ok(None) };
            let (members, next) = audience.part(after).await.map_err(|e| failure::database(&e))?;
            Ok(Some((pb::ExportAudienceResponse { members }, (audience, next.map(Some)))))
        });
        parts.boxed()
    }

    /// Those behind a customer, and behind whom the next part begins.
    async fn part(&self, after: Option<Uuid>) -> Result<(Vec<pb::AudienceMember>, Option<Uuid>), Error> {
        let looked_at = store::lost(&self.db, self.tenant, after, LOOK).await?;
        let next = looked_at.last().filter(|_| looked_at.len() == LOOK).map(|last| last.customer_id.0);
        let customers: Vec<_> = looked_at.into_iter().filter(|customer| self.criteria.has(customer)).collect();
        let mut members = Vec::new();
        for some in in_parts(&customers) {
            let mut of = BTreeMap::<CustomerId, Vec<Loss>>::new();
            for loss in store::losses(&self.db, self.tenant, some).await? {
                if self.criteria.counts(&loss) {
                    of.entry(loss.customer).or_default().push(loss);
                }
            }
            members.extend(some.iter().filter_map(|one| Some(member(one, of.get(&one.customer_id)?))));
        }
        Ok((members, next))
    }
}

/// Customers whose losses are read together, by how many they have.
fn in_parts(mut customers: &[Customer]) -> impl Iterator<Item = &[Customer]> {
    std::iter::from_fn(move || {
        let mut losses = 0;
        let fit = customers.iter().take_while(|customer| {
            losses += customer.lost_count;
            losses <= LOSSES
        });
        let (some, rest) = customers.split_at(fit.count().max(1).min(customers.len()));
        customers = rest;
        (!some.is_empty()).then_some(some)
    })
}

fn member(customer: &Customer, losses: &[Loss]) -> pb::AudienceMember {
    let mut amounts = BTreeMap::<Currency, i64>::new();
    for amount in losses.iter().filter_map(|loss| loss.amount) {
        let sum = amounts.entry(amount.currency).or_default();
        *sum = sum.saturating_add(amount.minor);
    }
    let reasons: BTreeSet<_> = losses.iter().filter_map(|loss| loss.reason.as_deref()).collect();
    pb::AudienceMember {
        customer: customer.customer_id.to_string(),
        display_name: customer.display_name.clone(),
        tier: customer.tier.clone(),
        owner: customer.owner.clone(),
        lifecycle: customer.lifecycle.code().into(),
        loss_count: losses.len().try_into().unwrap_or(i32::MAX),
        amounts: amounts.into_iter().map(|(currency, minor)| money(Money { minor, currency })).collect(),
        reasons: reasons.into_iter().map(reason::name).collect(),
        last_loss_time: losses.iter().map(|loss| loss.lost_at).max().map(time),
        last_contact_time: customer.contacted_at.map(time),
        win_back_time: customer.win_back_at.map(time),
    }
}
