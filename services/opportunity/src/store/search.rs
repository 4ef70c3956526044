//! What opportunities and their customers are found by: written with them, and again only when it has changed.

use crate::domain::{Opportunity, World};
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
    save_subjects(tx, world.opportunities.changes().map(|(before, after)| (before.map(entry), entry(after)))).await
}

fn entry(opportunity: &Opportunity) -> Entry {
    Entry {
        tenant_id: opportunity.tenant_id,
        subject_id: opportunity.opportunity_id.0,
        number: opportunity.number.clone(),
        customer_id: opportunity.customer_id,
        owner: opportunity.owner.clone(),
        created_at: opportunity.created_at,
        amount: opportunity.amount,
    }
}
