//! Everything that a lane has made, as the lists of a pair of services show it, beside the model and beside the other pair.

use crate::{
    ask::Ground,
    model::{Model, Record, Side},
    view::Shown,
};
use crm_proto::{
    common::{CloseOut, Task},
    opportunity as sales, order as trade,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

/// Most of a list; a lane makes fewer.
pub(crate) const PAGE: i32 = 1000;

/// What there is, each with what it says and with the close-out that it names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Picture {
    records: BTreeMap<String, Shown>,
    links: BTreeMap<String, String>,
}

impl Picture {
    fn put(&mut self, key: String, shown: Shown, link: Option<String>) {
        if let Some(link) = link {
            self.links.insert(key.clone(), link);
        }
        self.records.insert(key, shown);
    }

    /// The first thing in which a service differs from the model.
    fn differs_from(&self, model: &Self) -> Option<String> {
        first(&self.records, &model.records).or_else(|| first(&self.links, &model.links))
    }
}

fn first<T: Debug + PartialEq>(found: &BTreeMap<String, T>, expected: &BTreeMap<String, T>) -> Option<String> {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let key = keys.into_iter().find(|key| found.get(*key) != expected.get(*key))?;
    Some(format!("{key}: lists show {:?}, expected is {:?}", found.get(key), expected.get(key)))
}

fn close_out_key(subject: Record, episode: i64) -> String {
    format!("close-out {episode} of {subject:?}")
}

impl Model {
    /// Records with tasks, by side.
    fn with_tasks(&self) -> BTreeSet<(Side, Record)> {
        self.tasks.iter().map(|task| (task.side, task.parent)).collect()
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        let key = |id: usize| close_out_key(self.close_outs[id].subject, self.close_outs[id].episode as i64);
        for place in 0..self.customers.len() {
            let customer = Record::Customer(place);
            picture.put(format!("{customer:?}"), self.shown(customer), None);
            picture.put(format!("trade record of {customer:?}"), self.trade_record(place), None);
        }
        for (place, it) in self.opportunities.iter().enumerate() {
            let opportunity = Record::Opportunity(place);
            picture.put(format!("{opportunity:?}"), self.shown(opportunity), it.close_out.map(key));
        }
        for (place, it) in self.orders.iter().enumerate() {
            let order = Record::Order(place);
            picture.put(format!("{order:?}"), self.shown(order), it.close_out.map(key));
        }
        for (side, parent) in self.with_tasks() {
            for (place, task) in self.tasks_of(side, parent).into_iter().enumerate() {
                let shown = self.shown(Record::Task(task));
                picture.put(task_key(side, parent, place), shown, self.tasks[task].closed_by.map(key));
            }
        }
        for (place, it) in self.close_outs.iter().enumerate() {
            picture.put(key(place), self.shown(Record::CloseOut(place)), it.cause.map(key));
        }
        picture
    }
}

fn task_key(side: Side, parent: Record, place: usize) -> String {
    format!("task {place} of {parent:?} at {side:?}")
}

/// What the lists of one pair of services show.
#[derive(Default)]
struct Lists {
    customers: Vec<(sales::Customer, trade::Customer)>,
    opportunities: Vec<sales::Opportunity>,
    orders: Vec<trade::Order>,
    tasks: Vec<((Side, Record), Vec<Task>)>,
    close_outs: Vec<CloseOut>,
}

impl Ground<'_> {
    async fn lists(&self, model: &Model) -> Result<Lists, String> {
        let mut lists = Lists::default();
        for customer in self.names.customers.iter().cloned() {
            self.list_customer(customer, &mut lists).await.map_err(|status| format!("{}: {status}", self.label))?;
        }
        for (side, parent) in model.with_tasks() {
            lists.tasks.push(((side, parent), self.tasks_of(side, parent).await?));
        }
        Ok(lists)
    }

    /// Everything about one customer, but tasks.
    async fn list_customer(&self, customer: String, lists: &mut Lists) -> Result<(), tonic::Status> {
        let (client, page_size) = (self.reader(), PAGE);
        let both = (client.look_at_relationship(&customer).await?, client.look_at_trade_record(&customer).await?);
        lists.customers.push(both);
        let request = sales::ListOpportunitiesRequest { page_size, customer: customer.clone(), ..Default::default() };
        let found = client.opportunities.clone().list_opportunities(request).await?.into_inner();
        lists.opportunities.extend(found.opportunities);
        let request = trade::ListOrdersRequest { page_size, customer: customer.clone(), ..Default::default() };
        lists.orders.extend(client.orders.clone().list_orders(request).await?.into_inner().orders);
        let request = sales::ListCloseOutsRequest { page_size, customer: customer.clone(), ..Default::default() };
        lists
            .close_outs
            .extend(client.sales_close_outs.clone().list_close_outs(request).await?.into_inner().close_outs);
        let request = trade::ListCloseOutsRequest { page_size, customer, ..Default::default() };
        lists
            .close_outs
            .extend(client.trade_close_outs.clone().list_close_outs(request).await?.into_inner().close_outs);
        Ok(())
    }

    /// What they show, in the form of the model.
    fn picture(&self, lists: &Lists) -> Picture {
        let mut picture = Picture::default();
        let key = |name: &str, place: Option<Record>| {
            place.map_or_else(|| format!("{name}, which nobody has made"), |place| format!("{place:?}"))
        };
        let subject = |name: &str| self.names.subject(name);
        let close_out = |it: &CloseOut| match subject(&it.subject) {
            Some(subject) => close_out_key(subject, it.episode),
            None => format!("close-out {} of {}", it.episode, it.subject),
        };
        let keys: BTreeMap<&str, String> =
            lists.close_outs.iter().map(|it| (it.name.as_str(), close_out(it))).collect();
        let named = |name: &str| {
            let known = || keys.get(name).cloned().unwrap_or_else(|| format!("{name}, which is in no list"));
            (!name.is_empty()).then(known)
        };
        for (place, (relationship, record)) in lists.customers.iter().enumerate() {
            let customer = Record::Customer(place);
            picture.put(format!("{customer:?}"), relationship.into(), None);
            picture.put(format!("trade record of {customer:?}"), record.into(), None);
        }
        for it in &lists.opportunities {
            picture.put(key(&it.name, subject(&it.name)), it.into(), named(&it.close_out));
        }
        for it in &lists.orders {
            picture.put(key(&it.name, subject(&it.name)), it.into(), named(&it.close_out));
        }
        for ((side, parent), tasks) in &lists.tasks {
            for (place, task) in tasks.iter().enumerate() {
                picture.put(task_key(*side, *parent, place), task.into(), named(&task.closed_by));
            }
        }
        for it in &lists.close_outs {
            picture.put(close_out(it), it.into(), named(&it.cause));
        }
        picture
    }
}

impl Lists {
    /// All of it in words, a line for each record.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.customers.iter().map(|it| format!("{it:?}")).collect();
        lines.extend(self.opportunities.iter().map(|it| format!("{it:?}")));
        lines.extend(self.orders.iter().map(|it| format!("{it:?}")));
        lines.extend(self.tasks.iter().flat_map(|(_, tasks)| tasks).map(|it| format!("{it:?}")));
        lines.extend(self.close_outs.iter().map(|it| format!("{it:?}")));
        lines
    }
}

/// Compares all that a lane has made: both pairs with the model, and with each other in every field but ids and times.
pub(crate) async fn all(model: &Model, grounds: &mut [Ground<'_>; 2]) -> Result<(), String> {
    let expected = model.picture();
    let mut lines = Vec::new();
    for ground in grounds.iter_mut() {
        // Once more where a connection breaks.
        let lists = match ground.lists(model).await {
            Ok(lists) => lists,
            Err(why) => {
                println!("listed again: {why}");
                ground.lists(model).await?
            }
        };
        if let Some(difference) = ground.picture(&lists).differs_from(&expected) {
            return Err(format!("{}: {difference}", ground.label));
        }
        lines.push(lists.lines().iter().map(|line| ground.ordinals.plain(line)).collect::<Vec<_>>());
    }
    match lines[0].iter().zip(&lines[1]).find(|(one, other)| one != other) {
        Some((one, other)) => Err(format!("{} lists\n  {one}\n{}\n  {other}", grounds[0].label, grounds[1].label)),
        None => Ok(()),
    }
}
