//! What happened to a customer, on both services, as one story: what both tell of the same close-out stands there once.

use super::side_name;
use crate::api::Api;
use crate::format::{cut, or_dash, short_name, time, two_lines};
use crate::screen::Screen;
use crm_proto::common::Side;
use crm_proto::{opportunity as sales, order as trade};
use prost_types::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use tonic::Status;

/// Most events that are read of one service in one call.
const PAGE: usize = 1_000;

/// Something that happened, and who tells it.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    /// The services that tell it, that where it happened first.
    sides: Vec<Side>,
    /// When it happened: what came to the other service later has the time of the first.
    when: Timestamp,
    kind: String,
    resource: String,
    close_out: String,
    actor: String,
    text: String,
}

/// The newest events of a customer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// Newest first.
    all: Vec<Event>,
    /// There are older ones.
    more: bool,
}

impl Events {
    /// Reads the `limit` newest; 0: all.
    pub(crate) async fn read(api: &Api, customer: &str, limit: usize) -> Result<Self, Status> {
        let mut of_each = limit * 2; // most are told by both
        loop {
            let (relationship, trade) = futures::try_join!(
                newest(of_each, async |page_size, page_token| {
                    let request = sales::ListCustomerEventsRequest { customer: customer.into(), page_size, page_token };
                    let reply = api.list_relationship_events(request).await?;
                    Ok((reply.events.into_iter().map(of_relationship).collect(), reply.next_page_token))
                }),
                newest(of_each, async |page_size, page_token| {
                    let request = trade::ListCustomerEventsRequest { customer: customer.into(), page_size, page_token };
                    let reply = api.list_trade_events(request).await?;
                    Ok((reply.events.into_iter().map(of_trade).collect(), reply.next_page_token))
                }),
            )?;
            let events = merged(relationship, trade, limit);
            if !events.more || events.all.len() >= limit {
                return Ok(events);
            }
            of_each *= 2;
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let event = |event: &Event| {
            json!({
                "event_time": event.when.to_string(), "kind": event.kind, "resource": event.resource,
                "close_out": event.close_out, "actor": event.actor, "text": event.text,
                "sides": event.sides.iter().map(|side| side_name(*side)).collect::<Vec<_>>(),
            })
        };
        self.all.iter().map(event).collect()
    }

    /// Shows them, newest first.
    pub(crate) fn show(&self, screen: &Screen) -> anyhow::Result<()> {
        if self.all.is_empty() {
            return screen.note("Nothing has happened yet.");
        }
        let headings = ["when, told by", "what", "record, because of", "by, how"];
        let mut table = screen.new_table_keeping(&headings, &[0, 1, 2]);
        for event in &self.all {
            let sides: Vec<_> = event.sides.iter().map(|side| side_name(*side)).collect();
            table.add_row([
                two_lines(&time(Some(&Timestamp { nanos: 0, ..event.when })), &sides.join(", ")),
                event.kind.clone(),
                two_lines(&short_name(&event.resource), &short_name(&event.close_out)),
                two_lines(or_dash(&event.actor), &cut(&event.text, 60)),
            ]);
        }
        screen.table(&table)?;
        if self.more { screen.note("There are older ones: closeout timeline NAME --limit 0") } else { Ok(()) }
    }
}

/// Events of one service, newest first, and whether there are older ones.
type Told = (Vec<Event>, bool);

async fn newest(
    limit: usize,
    page: impl AsyncFn(i32, String) -> Result<(Vec<Event>, String), Status>,
) -> Result<Told, Status> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let wanted = if limit == 0 { PAGE } else { (limit - all.len()).min(PAGE) };
        let (events, next) = page(i32::try_from(wanted).unwrap_or_default(), token).await?;
        all.extend(events);
        if next.is_empty() || (limit > 0 && all.len() >= limit) {
            return Ok((all, !next.is_empty()));
        }
        token = next;
    }
}

/// One story of what both services tell.
fn merged((relationship, more): Told, (trade, more_trade): Told, limit: usize) -> Events {
    // Where a service has older ones, nothing before its oldest is known to be complete.
    let oldest = |events: &[Event], more: bool| events.last().filter(|_| more).map(|event| order(&event.when));
    let horizon = oldest(&relationship, more).max(oldest(&trade, more_trade));
    let mut all = relationship;
    let key = |event: &Event| (event.kind.clone(), event.resource.clone(), event.close_out.clone());
    let known: HashMap<_, _> = all.iter().enumerate().map(|(at, event)| (key(event), at)).collect();
    for event in trade {
        let at = known.get(&key(&event)).filter(|_| !event.close_out.is_empty());
        match at.and_then(|at| all.get_mut(*at)) {
            Some(other) if order(&event.when) < order(&other.when) => {
                let sides = [event.sides.clone(), other.sides.clone()].concat();
                *other = Event { sides, ..event };
            }
            Some(other) => other.sides.extend(event.sides),
            None => all.push(event),
        }
    }
    all.sort_by_key(|event| std::cmp::Reverse(order(&event.when)));
    let count = all.len();
    all.retain(|event| horizon.is_none_or(|horizon| order(&event.when) >= horizon));
    if limit > 0 {
        all.truncate(limit);
    }
    let more = more || more_trade || all.len() < count;
    Events { all, more }
}

fn order(when: &Timestamp) -> (i64, i32) {
    (when.seconds, when.nanos)
}

fn of_relationship(event: sales::CustomerEvent) -> Event {
    let sales::CustomerEvent { customer: _, event_time, kind, resource, close_out, actor, text } = event;
    let (sides, when) = (vec![Side::Opportunity], event_time.unwrap_or_default());
    Event { sides, when, kind, resource, close_out, actor, text }
}

fn of_trade(event: trade::CustomerEvent) -> Event {
    let trade::CustomerEvent { customer: _, event_time, kind, resource, close_out, actor, text } = event;
    let (sides, when) = (vec![Side::Order], event_time.unwrap_or_default());
    Event { sides, when, kind, resource, close_out, actor, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(side: Side, seconds: i64, kind: &str, close_out: &str) -> Event {
        Event {
            sides: vec![side],
            when: Timestamp { seconds, nanos: 0 },
            kind: kind.into(),
            resource: "opportunities/1".into(),
            close_out: close_out.into(),
            actor: "ana".into(),
            text: format!("told by {}", side_name(side)),
        }
    }

    #[test]
    fn what_both_tell_stands_there_once_with_the_time_at_which_it_happened() {
        let sales = vec![
            event(Side::Opportunity, 12, "lifecycle.changed", "closeOuts/1"),
            event(Side::Opportunity, 12, "order.cancelled", "closeOuts/1"),
            event(Side::Opportunity, 5, "opportunity.won", ""),
        ];
        let orders = vec![event(Side::Order, 10, "order.cancelled", "closeOuts/1")];
        let events = merged((sales, false), (orders, false), 0);
        let told: Vec<_> = events.all.iter().map(|e| (e.when.seconds, e.kind.as_str(), e.sides.len())).collect();
        assert_eq!(told, [(12, "lifecycle.changed", 1), (10, "order.cancelled", 2), (5, "opportunity.won", 1)]);
        assert_eq!(events.all[1].sides, [Side::Order, Side::Opportunity]);
        assert!(!events.more);
    }

    #[test]
    fn a_close_out_and_another_one_of_the_same_record_are_two_events() {
        let sales = vec![event(Side::Opportunity, 3, "opportunity.closed_out", "closeOuts/2")];
        let orders = vec![event(Side::Order, 2, "opportunity.closed_out", "closeOuts/1")];
        assert_eq!(merged((sales, false), (orders, false), 0).all.len(), 2);
    }

    #[test]
    fn nothing_is_shown_of_a_time_of_which_not_everything_is_known() {
        let sales = vec![event(Side::Opportunity, 9, "opportunity.won", "")];
        let orders = vec![event(Side::Order, 8, "order.processed", "closeOuts/1")];
        let events = merged((sales, true), (orders, false), 1);
        assert_eq!((events.all.len(), events.more), (1, true));
    }
}
