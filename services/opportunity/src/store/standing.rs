//! What the lifecycle of a customer weighs beside the rows that a batch has loaded: its newest loss and success among the others.

use super::batch::{Named, closing};
use crate::domain::{Command, Customer, Opportunity, Standing, State, WinBackPlan};
use crm_closeout::{
    episode::CloseOut,
    ids::{CustomerId, OpportunityId, TenantId},
    working_set::{Common, Keyed, Rows},
};
use crm_outbox::{
    batch::{Call, Item},
    cell::{Column, Kind},
    cells,
    db::{Error, Tx},
    sql::{Args, Sql, columns},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

static STANDING_COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    columns([
        ("tenant_id", Kind::Uuid),
        ("customer_id", Kind::Uuid),
        ("opportunities", Kind::Text),
        ("orders", Kind::Text),
    ])
});

/// The newest loss and success of each customer among the records that are not loaded. The losses of opportunities have no index, as a
/// close-out would have to write it each time: those of the customer are gone through.
static STANDING: LazyLock<Sql> = LazyLock::new(|| {
    let newest = |table: &str, id: &str, time: &str, not_in: &str| {
        format!(
            "(SELECT t.{time} FROM {table} AS t WHERE t.tenant_id = r.tenant_id AND t.customer_id = r.customer_id \
             AND t.{time} IS NOT NULL AND t.{id} {not_in} ORDER BY t.{time} DESC LIMIT 1)"
        )
    };
    let text = |opportunities: &str, orders: &str| {
        format!(
            "SELECT r.tenant_id, r.customer_id, {}, {}, {}, {} FROM {{rows}}",
            newest("opportunity", "opportunity_id", "loss_at", opportunities),
            newest("opportunity", "opportunity_id", "won_at", opportunities),
            newest("lane", "record_id", "loss_at", orders),
            newest("lane", "record_id", "success_at", orders),
        )
    };
    let postgres = |column: &str| format!("<> ALL (string_to_array(r.{column}, ',')::uuid[])");
    let sqlite = |column: &str| {
        format!("NOT IN (SELECT unhex(value) FROM json_each('[\"' || replace(r.{column}, ',', '\",\"') || '\"]'))")
    };
    Sql::each(
        &text(&postgres("opportunities"), &postgres("orders")),
        &text(&sqlite("opportunities"), &sqlite("orders")),
        &STANDING_COLUMNS,
    )
});

/// Customers whose newest loss and success the batch may need, which then have to be looked for: not those of whom it only closes
/// out open opportunities, and not the last one. Such a customer stays ACTIVE, and its losses only become newer.
pub(super) fn weighed(
    items: &[Item<Command>],
    amended: &Rows<CloseOut>,
    opportunities: &Rows<Opportunity>,
    plans: &Rows<WinBackPlan>,
    customers: &Rows<Customer>,
) -> BTreeSet<(TenantId, CustomerId)> {
    let (mut others, mut closing) = (Named::default(), BTreeMap::<_, BTreeSet<_>>::new());
    for item in items {
        match item {
            Item::Call(Call { cause, command, .. }) if self::closing(command).is_some() => {
                let row = self::closing(command).and_then(|closing| opportunities.get(&(cause.tenant_id, closing.id)));
                if let Some(row) = row.filter(|row| matches!(row.state, State::Open | State::OnHold)) {
                    closing.entry((row.tenant_id, row.customer_id)).or_default().insert(row.opportunity_id);
                } else {
                    others.item(item);
                }
            }
            // A pause changes nothing of the customer's record.
            Item::Call(Call {
                command: Command::Snooze(_) | Command::Resume { .. } | Command::ResumeInTime { .. },
                ..
            }) => {}
            Item::Call(_) | Item::Message(_) | Item::Release(_) => others.item(item),
        }
    }
    others.customers.extend(plans.iter().map(|plan| (plan.tenant_id, plan.customer_id)));
    others.opportunities.extend(amended.iter().map(|row| (row.tenant_id, OpportunityId(row.subject.id))));
    let moved = others.opportunities.iter().filter_map(|key| opportunities.get(key));
    others.customers.extend(moved.filter_map(|row| row.customer_id.map(|customer| (row.tenant_id, customer))));
    let weighs = |customer: &&Customer| {
        let (key, left) = (customer.key(), customer.open_count + customer.live_order_count);
        others.customers.contains(&key)
            || closing.get(&(key.0, Some(key.1))).is_some_and(|closed| closed.len() as i64 >= left)
    };
    customers.iter().filter(weighs).map(Keyed::key).collect()
}

/// The newest loss and success of each customer of the batch among the records that are not loaded, as far as they are weighed.
pub(super) async fn standing(
    tx: &mut Tx,
    weighed: &BTreeSet<(TenantId, CustomerId)>,
    customers: &Rows<Customer>,
    opportunities: &Rows<Opportunity>,
    common: &Common,
) -> Result<BTreeMap<(TenantId, CustomerId), Standing>, Error> {
    // Nothing can take its newest loss from the others, so it is known by that alone.
    let kept = customers.iter().filter(|customer| !weighed.contains(&customer.key()));
    let kept = kept.map(|customer| (customer.key(), Standing { loss_at: customer.last_loss_at, success_at: None }));
    let mut standing: BTreeMap<_, _> = kept.collect();
    let mut loaded: BTreeMap<_, (Vec<Uuid>, Vec<Uuid>)> =
        weighed.iter().map(|customer| (*customer, (Vec::new(), Vec::new()))).collect();
    if loaded.is_empty() {
        return Ok(standing);
    }
    for opportunity in opportunities.iter() {
        let key = opportunity.customer_id.map(|customer| (opportunity.tenant_id, customer));
        if let Some((ids, _)) = key.and_then(|key| loaded.get_mut(&key)) {
            ids.push(opportunity.opportunity_id.0);
        }
    }
    for lane in common.lanes.iter() {
        let key = lane.customer_id.map(|customer| (lane.tenant_id, customer));
        if let Some((_, ids)) = key.and_then(|key| loaded.get_mut(&key)) {
            ids.push(lane.record.id);
        }
    }
    let list = |ids: &[Uuid]| ids.iter().map(|id| id.simple().to_string()).collect::<Vec<_>>().join(",");
    let mut sets = Vec::with_capacity(loaded.len());
    for ((tenant, customer), (own, orders)) in &loaded {
        sets.push(cells![*tenant, *customer, list(own), list(orders)]);
    }
    let args = Args::rows(&STANDING_COLUMNS, sets);
    let rows = tx.rows(&STANDING, args).await?;
    for row in &rows {
        let opportunities = Standing { loss_at: row.get(2)?, success_at: row.get(3)? };
        let newest = opportunities.join(row.get(4)?, row.get(5)?);
        standing.insert((row.get(0)?, row.get(1)?), newest);
    }
    Ok(standing)
}
