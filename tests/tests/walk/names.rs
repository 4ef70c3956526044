//! What the records of the model are called at one pair of services, and how answers of two pairs are made comparable: ids become
//! numbers in the order in which they are seen, times become a word.

use crate::model::{Model, Record};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Resource names, each in the place of its record in the model. Empty: a service has made it, and nobody has looked yet.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) customers: Vec<String>,
    pub(crate) opportunities: Vec<String>,
    pub(crate) orders: Vec<String>,
    pub(crate) tasks: Vec<String>,
    pub(crate) close_outs: Vec<String>,
    ids: HashSet<Uuid>,
}

impl Names {
    fn list(&mut self, record: Record) -> (&mut Vec<String>, usize) {
        match record {
            Record::Customer(place) => (&mut self.customers, place),
            Record::Opportunity(place) => (&mut self.opportunities, place),
            Record::Order(place) => (&mut self.orders, place),
            Record::Task(place) => (&mut self.tasks, place),
            Record::CloseOut(place) => (&mut self.close_outs, place),
        }
    }

    /// A record that an answer has shown, and room for what the services have made with it.
    pub(crate) fn note(&mut self, model: &Model, record: Record, name: &str) {
        self.customers.resize(model.customers.len(), String::new());
        self.opportunities.resize(model.opportunities.len(), String::new());
        self.orders.resize(model.orders.len(), String::new());
        self.tasks.resize(model.tasks.len(), String::new());
        self.close_outs.resize(model.close_outs.len(), String::new());
        let (list, place) = self.list(record);
        name.clone_into(&mut list[place]);
        self.ids.extend(name.split_once('/').and_then(|(_, id)| id.parse::<Uuid>().ok()));
    }

    /// What a record is called.
    pub(crate) fn of(&self, record: Record) -> &str {
        match record {
            Record::Customer(place) => &self.customers[place],
            Record::Opportunity(place) => &self.opportunities[place],
            Record::Order(place) => &self.orders[place],
            Record::Task(place) => &self.tasks[place],
            Record::CloseOut(place) => &self.close_outs[place],
        }
    }

    /// The subject with this name.
    pub(crate) fn subject(&self, name: &str) -> Option<Record> {
        let place = |list: &[String]| list.iter().position(|known| known == name);
        place(&self.opportunities).map(Record::Opportunity).or_else(|| place(&self.orders).map(Record::Order))
    }

    /// Whether a record with this id was made here.
    pub(crate) fn made(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }
}

/// Ids by the order in which they were seen.
#[derive(Debug, Default)]
pub(crate) struct Ordinals(HashMap<Uuid, usize>);

impl Ordinals {
    /// The text without anything that may differ between two pairs of services which did the same.
    pub(crate) fn plain(&mut self, text: &str) -> String {
        let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
        while !rest.is_empty() {
            let word = rest.find(|char: char| !is_of_word(char)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(word);
            let bare = word.trim_end_matches([':', '.']);
            match self.stand_in(bare) {
                Some(put) => plain.push_str(&put),
                None => plain.push_str(bare),
            }
            plain.push_str(&word[bare.len()..]);
            let next = after.find(is_of_word).unwrap_or(after.len());
            let (between, after) = after.split_at(next);
            plain.push_str(between);
            // A timestamp: both of its numbers go.
            rest = if word == "seconds:" { after.find('}').map_or("", |end| &after[end..]) } else { after };
        }
        plain
    }

    /// What stands instead of an id or a time.
    fn stand_in(&mut self, word: &str) -> Option<String> {
        let id = matches!(word.len(), 32 | 36).then(|| word.parse::<Uuid>().ok()).flatten();
        if let Some(id) = id {
            let next = self.0.len();
            return Some(format!("id {}", self.0.entry(id).or_insert(next)));
        }
        let is_time = word.len() >= 20 && word.as_bytes()[10] == b'T' && word.ends_with('Z') && word.starts_with("20");
        is_time.then(|| "time".to_owned())
    }
}

const fn is_of_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | ':' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbered_as_they_are_seen_and_times_are_left_out() {
        let (one, other) = (Uuid::from_u128(7), Uuid::from_u128(1 << 90));
        let text = format!(
            "tasks/{one}, number: \"{}\" {other} {one}. at: Some(Timestamp {{ seconds: 5, nanos: 6 }}) 2026-11-30T08:00:00.5Z OPEN",
            one.simple()
        );
        let plain = "tasks/id 0, number: \"id 0\" id 1 id 0. at: Some(Timestamp { seconds: }) time OPEN";
        assert_eq!(Ordinals::default().plain(&text), plain);
    }
}
