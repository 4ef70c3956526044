//! What is searched for, and along which indices it is found: the rule is the order below, statistics have no say in it.
//!
//! With a query: numbers, then names from their beginning, then names from within; of one customer, if it is named, its records
//! instead of names. Without one the first of customer, reason, owner, amount, time that is given leads to the records, and the
//! other filters look at them.

use crate::fields::Fields;
use crm_closeout::{
    ids::CustomerId,
    money::{Currency, Money},
    search::{LONGEST, Match, Query},
    time::Time,
    wording,
};
use crm_outbox::search::{
    Entry,
    walk::{Span, Walk},
};
use prost_types::Timestamp;

/// The fields of a search request that all of them have, with the names of those that differ.
#[derive(Debug)]
pub struct Given<'a> {
    /// `query`.
    pub query: &'a str,
    /// `customer`.
    pub customer: &'a str,
    /// `owner` or `actor`.
    pub owner: (&'static str, &'a str),
    /// `reason`, of close-outs.
    pub reason: &'a str,
    /// `created_from` or `closed_from`.
    pub from: (&'static str, Option<&'a Timestamp>),
    /// `created_until` or `closed_until`.
    pub until: (&'static str, Option<&'a Timestamp>),
    /// `amount_from` and `amount_until`.
    pub amounts: [Option<&'a crm_proto::Money>; 2],
}

/// What is searched for.
#[derive(Debug)]
pub struct Criteria {
    /// What was typed; none: nothing.
    pub query: Option<Query>,
    /// Only of these times.
    pub span: Span,
    customer: Option<CustomerId>,
    owner: String,
    reason: String,
    amount: Option<Range>,
}

/// Amounts of one currency, from the least to the most of them.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    currency: Currency,
    least: i64,
    most: i64,
}

impl Range {
    /// Whether an amount is one of them.
    pub fn has(&self, amount: Money) -> bool {
        amount.currency == self.currency && (self.least..=self.most).contains(&amount.minor)
    }
}

/// A walk, and the ranks of what it is walked for; a record that has a better one was found before.
#[derive(Debug)]
pub struct Phase {
    /// Along which index.
    pub walk: Walk,
    /// What is found by it, where there is a query.
    pub ranks: &'static [Match],
}

impl Criteria {
    /// Reads the fields.
    pub fn read(fields: &mut Fields, given: &Given<'_>) -> Self {
        let reason = given.reason.strip_prefix("closeOutReasons/").unwrap_or(given.reason);
        Self {
            query: Query::new(&fields.line("query", given.query, 0..=LONGEST)),
            span: span(fields, given.from, given.until),
            customer: fields.optional_name("customer", given.customer, CustomerId::parse),
            owner: fields.principal(given.owner.0, given.owner.1, ""),
            reason: fields.line("reason", reason, 0..=crate::fields::LABEL),
            amount: range(fields, given.amounts),
        }
    }

    /// Whether an entry passes the filters that it knows.
    pub(super) fn passes(&self, entry: &Entry) -> bool {
        let Entry { customer_id, owner, created_at: Time(at), amount, .. } = entry;
        self.customer.is_none_or(|customer| *customer_id == Some(customer))
            && (self.owner.is_empty() || self.owner == *owner)
            && (self.span.from..self.span.until).contains(at)
            && self.amount.is_none_or(|range| range.has(*amount))
    }

    /// Whether a close-out has the reason.
    pub fn has_reason(&self, code: &str) -> bool {
        self.reason.is_empty() || self.reason == code
    }

    /// How it is found.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let phase = |walk, ranks| Phase { walk, ranks };
        match (self.query.clone(), self.customer) {
            (None, _) => vec![phase(self.walk(), &[])],
            (Some(query), None) => vec![
                phase(Walk::Numbers { query: query.clone(), exact: false }, &[Match::Number, Match::NumberPrefix]),
                phase(Walk::Names { query: query.clone(), inside: false }, &[Match::Name, Match::NamePrefix]),
                phase(Walk::Names { query, inside: true }, &[Match::NameContained]),
            ],
            (Some(query), Some(customer)) => vec![
                phase(Walk::Numbers { query, exact: true }, &[Match::Number]),
                phase(Walk::Customer(customer), &[Match::NumberPrefix]),
                phase(Walk::Customer(customer), &[Match::Name, Match::NamePrefix, Match::NameContained]),
            ],
        }
    }

    fn walk(&self) -> Walk {
        if let Some(customer) = self.customer {
            Walk::Customer(customer)
        } else if !self.reason.is_empty() {
            Walk::Reason(self.reason.clone())
        } else if !self.owner.is_empty() {
            Walk::Owner(self.owner.clone())
        } else if let Some(Range { currency, least, most }) = self.amount {
            Walk::Amount { currency, least, most }
        } else {
            Walk::Time
        }
    }
}

/// Reads two fields that say from when and until when.
pub fn span(fields: &mut Fields, from: (&str, Option<&Timestamp>), until: (&str, Option<&Timestamp>)) -> Span {
    let (names, from) = ((from.0, until.0), fields.time(from.0, from.1));
    let until = fields.time(until.0, until.1);
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        fields.refuse(names.1, &wording::NOT_LATER, &[("field", &names.0)]);
    }
    Span { from: from.map_or(Span::ALL.from, |time| time.0), until: until.map_or(Span::ALL.until, |time| time.0) }
}

/// Reads `amount_from` and `amount_until`; none: neither was given.
pub fn range(fields: &mut Fields, [from, until]: [Option<&crm_proto::Money>; 2]) -> Option<Range> {
    let from = fields.money("amount_from", from);
    let until = fields.money("amount_until", until);
    if let Some((from, until)) = from.zip(until) {
        if from.currency != until.currency {
            let values: [(&str, &dyn std::fmt::Display); 2] = [("currency", &from.currency), ("field", &"amount_from")];
            fields.refuse("amount_until", &wording::MIXED_CURRENCY_RANGE, &values);
        } else if until.minor < from.minor {
            fields.refuse("amount_until", &wording::LESS_THAN, &[("field", &"amount_from")]);
        }
    }
    let currency = from.or(until)?.currency;
    let minor = |amount: Option<Money>, default| amount.map_or(default, |amount| amount.minor);
    Some(Range { currency, least: minor(from, 0), most: minor(until, i64::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walks(change: impl FnOnce(&mut Given<'_>)) -> Vec<Walk> {
        let amount = crm_proto::Money { currency_code: "CNY".into(), units: 5, nanos: 0 };
        let mut given = Given {
            query: "",
            customer: "customers/01890a5d-ac96-774b-bcce-b302099a8057",
            owner: ("owner", "ann"),
            reason: "closeOutReasons/DUPLICATE",
            from: ("created_from", None),
            until: ("created_until", None),
            amounts: [Some(&amount), None],
        };
        change(&mut given);
        let mut fields = Fields::new();
        let criteria = Criteria::read(&mut fields, &given);
        fields.done().unwrap();
        criteria.phases().into_iter().map(|phase| phase.walk).collect()
    }

    #[test]
    fn without_a_query_the_filter_that_leaves_fewest_leads() {
        let (ann, currency) = ("ann".to_owned(), Currency::parse("CNY").unwrap());
        assert!(matches!(walks(|_| {})[..], [Walk::Customer(_)]));
        assert_eq!(walks(|given| given.customer = ""), [Walk::Reason("DUPLICATE".into())]);
        assert_eq!(walks(|given| (given.customer, given.reason) = ("", "")), [Walk::Owner(ann)]);
        let amount = Walk::Amount { currency, least: 500, most: i64::MAX };
        assert_eq!(walks(|given| (given.customer, given.reason, given.owner.1) = ("", "", "")), [amount]);
        let none = |given: &mut Given<'_>| {
            (given.customer, given.reason, given.owner.1, given.amounts) = ("", "", "", [None, None]);
        };
        assert_eq!(walks(none), [Walk::Time]);
    }

    #[test]
    fn a_query_leads_by_numbers_then_names_unless_the_customer_is_known() {
        let query = Query::new("ａ").unwrap();
        let names = |inside| Walk::Names { query: query.clone(), inside };
        let numbers = |exact| Walk::Numbers { query: query.clone(), exact };
        assert_eq!(
            walks(|given| (given.customer, given.query) = ("", "A")),
            [numbers(false), names(false), names(true)]
        );
        let of_customer = walks(|given| given.query = "A");
        assert!(of_customer[0] == numbers(true) && matches!(of_customer[1..], [Walk::Customer(_), Walk::Customer(_)]));
    }
}
