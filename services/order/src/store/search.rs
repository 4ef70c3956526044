//! What orders and their customers are found by: written with them, and again only when it has changed.

use crate::domain::{Order, World};
use crm_closeout::working_set::Keyed;
use crm_outbox::{
    db::{Error, Tx},
    search::{Entry, Naming, save_names, save_subjects},
};

/// Saves what has changed of it.
pub(super) async fn save(tx: &mut Tx, world: &World) -> Result<(), Error> {
    let namings = world.customers.changes().map(|(before, after)| Naming {
        customer: after.key(),
        before: before.map_or("", |before| &before.display_name),
        after: &after.display_name,
    });
    save_names(tx, namings).await?;
    save_subjects(tx, world.orders.changes().map(|(before, after)| (before.map(entry), entry(after)))).await
}

fn entry(order: &Order) -> Entry {
    Entry {
        tenant_id: order.tenant_id,
        subject_id: order.order_id.0,
        number: order.number.clone(),
        customer_id: Some(order.customer_id),
        owner: order.owner.clone(),
        created_at: order.created_at,
        amount: order.lines.ordered(order.currency),
    }
}
