//! What the close-outs of a batch need to know of currencies: of the orders as they are, and as the batch itself makes them.

use crate::domain::{Command, Order};
use crm_closeout::{
    approval::Verdict, codes::RecordKind, episode::CloseOut, exchange::Asked, fact::Event, ids::TenantId, time::Time,
    working_set::Rows,
};
use crm_outbox::{batch::Item, exchange::Priced};
use std::collections::BTreeSet;

/// Which rates these items may need. A message closes out the drafts of an opportunity.
pub(super) fn asked(
    items: &[Item<Command>],
    amended: &Rows<CloseOut>,
    orders: &Rows<Order>,
    now: Time,
) -> BTreeSet<Asked> {
    let mut priced = Priced::default();
    for item in items {
        match item {
            Item::Call(call) => command(&mut priced, call.cause.tenant_id, &call.command, (amended, orders), now),
            Item::Message(message) if message.record.kind == RecordKind::Opportunity => {
                let closes = |event| matches!(event, Event::Closed | Event::Snapshot);
                let fact = message.fact.as_ref().filter(|fact| closes(fact.event));
                if let Some(closed) = fact.and_then(|fact| fact.close_out.as_ref()) {
                    priced.closes((message.tenant_id, message.record.id), closed.closed_at);
                }
            }
            Item::Message(_) | Item::Release(_) => {}
        }
    }
    for row in orders.iter() {
        priced.is_worth((row.tenant_id, row.order_id.0), row.currency);
        // Whatever it is now: the batch may make a draft of it again, and then close that out.
        if let Some(opportunity) = row.opportunity_id {
            priced.is_worth((row.tenant_id, opportunity.0), row.currency);
        }
    }
    priced.asked()
}

type Loaded<'a> = (&'a Rows<CloseOut>, &'a Rows<Order>);

fn command(priced: &mut Priced, tenant: TenantId, command: &Command, (amended, orders): Loaded<'_>, now: Time) {
    if let Command::CloseOut(closing) | Command::Preview(closing) = command {
        priced.closes((tenant, closing.id.0), closing.closed_at.unwrap_or(now));
    } else if let Command::Rule(ruling) = command {
        let row = amended.get(&(tenant, ruling.id)).filter(|_| ruling.verdict == Verdict::Approve);
        if let Some(row) = row {
            priced.closes((tenant, row.subject.id), row.counts_from(now));
        }
    } else if let Command::CreateOrder(new) = command {
        if let Some(id) = new.opportunity_id {
            priced.is_worth((tenant, id.0), new.currency);
        }
    } else if let Command::UpdateOrder { id, edit, .. } = command {
        let opportunity = orders.get(&(tenant, *id)).and_then(|row| row.opportunity_id);
        if let Some((currency, _)) = &edit.lines {
            priced.is_worth((tenant, id.0), *currency);
            if let Some(opportunity) = opportunity {
                priced.is_worth((tenant, opportunity.0), *currency);
            }
        }
    }
}
