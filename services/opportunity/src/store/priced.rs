//! What the close-outs of a batch need to know of currencies: of the opportunities as they are, and as the batch itself makes them.

use super::batch::closing;
use crate::domain::{Command, Opportunity, OpportunityEdit};
use crm_closeout::{
    approval::Verdict,
    episode::CloseOut,
    exchange::Asked,
    fact::{Event, WonPolicy},
    ids::TenantId,
    time::Time,
    working_set::Rows,
};
use crm_outbox::{batch::Item, exchange::Priced};
use std::collections::BTreeSet;

/// Which rates these items may need. A message closes out an opportunity only if it is lost with its last order.
pub(super) fn asked(
    items: &[Item<Command>],
    amended: &Rows<CloseOut>,
    opportunities: &Rows<Opportunity>,
    now: Time,
) -> BTreeSet<Asked> {
    let mut priced = Priced::default();
    for item in items {
        match item {
            Item::Call(call) => command(&mut priced, call.cause.tenant_id, &call.command, amended, now),
            Item::Message(message) => {
                let Some(fact) = message.fact.as_ref().filter(|fact| fact.event == Event::Closed) else { continue };
                let closed = fact.close_out.as_ref().filter(|closed| closed.won_policy == Some(WonPolicy::Lose));
                if let Some((closed, parent)) = closed.zip(fact.parent) {
                    priced.closes((message.tenant_id, parent), closed.closed_at);
                }
            }
            Item::Release(_) => {}
        }
    }
    for row in opportunities.iter() {
        priced.is_worth((row.tenant_id, row.opportunity_id.0), row.amount.currency);
    }
    priced.asked()
}

fn command(priced: &mut Priced, tenant: TenantId, command: &Command, amended: &Rows<CloseOut>, now: Time) {
    if let (Some(closing), _) | (None, Command::Preview(closing)) = (closing(command), command) {
        priced.closes((tenant, closing.id.0), closing.closed_at.unwrap_or(now));
    } else if let Command::Rule(ruling) = command {
        let row = amended.get(&(tenant, ruling.id)).filter(|_| ruling.verdict == Verdict::Approve);
        if let Some(row) = row {
            priced.closes((tenant, row.subject.id), row.counts_from(now));
        }
    } else if let Command::UpdateOpportunity { id, edit: OpportunityEdit { amount: Some(amount), .. }, .. }
    | Command::Win { id, amount: Some(amount), .. } = command
    {
        priced.is_worth((tenant, id.0), amount.currency);
    }
}
