//! Reports of close-outs: what they are broken down by, and how what a database counted becomes rows. Reasons that were merged
//! count where they went.

use crate::{
    codes,
    codes::Code,
    episode::{CloseOutState, OutcomeClass},
    ids::{CompetitorId, GroupId},
    money::{Currency, Sums},
    reason::{self, Catalogue},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

codes! {
    /// What a report is broken down by.
    pub enum Dimension {
        /// The reason.
        Reason = 1 "REASON",
        /// Its category as it is now.
        Category = 2 "CATEGORY",
        /// Its class at the close.
        OutcomeClass = 3 "OUTCOME_CLASS",
        /// The owner at the close.
        Owner = 4 "OWNER",
        /// The team at the close.
        Team = 5 "TEAM",
        /// The competitor that was named.
        Competitor = 6 "COMPETITOR",
        /// The close-out of a whole customer that it is a part of.
        Group = 7 "GROUP",
    }
}

/// What a database counted of one value, state and currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The value: a code of a reason or of a class, a principal, a team, the UUID of a competitor or of a group.
    pub value: String,
    /// State of the close-outs.
    pub state: CloseOutState,
    /// Currency of what their subjects were worth.
    pub currency: Currency,
    /// How many.
    pub count: i64,
    /// Those of them with a verification.
    pub verified: i64,
    /// What their subjects were worth together, in minor units.
    pub minor: i64,
    /// Those of them that were worth something in the currency which is the tenant's now, as they are or by the rate they keep.
    pub converted: i64,
    /// What it was in that currency together, in minor units.
    pub tenant_minor: i64,
}

/// A line of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Close-outs in force.
    pub count: i64,
    /// What their subjects were worth.
    pub amounts: Sums<1>,
    /// Those of them with a verification.
    pub verified: i64,
    /// Close-outs that were reversed.
    pub reversed: i64,
    /// What those in force were worth together in the currency that is the tenant's now, in minor units, as they are or by the rates they
    /// keep.
    pub tenant_minor: i64,
    /// Those of them that have an amount which is not in that sum.
    pub unconverted: i64,
}

impl Row {
    fn add(&mut self, counted: &Counted) {
        match counted.state {
            CloseOutState::Reversed => self.reversed += counted.count,
            // They closed nothing out, and are not counted at all.
            CloseOutState::PendingApproval
            | CloseOutState::Rejected
            | CloseOutState::Expired
            | CloseOutState::Withdrawn => {}
            CloseOutState::Effective => {
                self.count += counted.count;
                self.verified += counted.verified;
                let sums = self.amounts.0.entry(counted.currency).or_default();
                sums[0] = sums[0].saturating_add(counted.minor);
                self.tenant_minor = self.tenant_minor.saturating_add(counted.tenant_minor);
                if counted.currency != Currency::NONE {
                    self.unconverted += counted.count - counted.converted;
                }
            }
        }
    }
}

/// A competitor as reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// Where its close-outs count: itself, or what it was merged into.
    pub competitor: CompetitorId,
    /// What that is called.
    pub display_name: String,
}

/// Competitors by the id that close-outs name.
pub type Competitors = BTreeMap<CompetitorId, Counting>;

/// The competitors that close-outs name.
pub fn named(counted: &[Counted]) -> BTreeSet<CompetitorId> {
    counted.iter().filter_map(|one| competitor(&one.value)).collect()
}

/// The close-outs of whole customers that they are a part of.
pub fn groups(counted: &[Counted]) -> BTreeSet<GroupId> {
    counted.iter().filter_map(|one| group(&one.value)).collect()
}

fn group(value: &str) -> Option<GroupId> {
    Uuid::try_parse(value).ok().map(GroupId)
}

fn competitor(value: &str) -> Option<CompetitorId> {
    Uuid::try_parse(value).ok().map(CompetitorId)
}

/// A report: its rows by value, the most close-outs in force first, and their total.
pub fn rows(
    dimension: Dimension,
    counted: &[Counted],
    catalogue: &Catalogue<'_>,
    competitors: &Competitors,
) -> (Vec<(String, Row)>, Row) {
    let (mut rows, mut total) = (BTreeMap::<String, Row>::new(), Row::default());
    for one in counted {
        rows.entry(value(dimension, one, catalogue, competitors)).or_default().add(one);
        total.add(one);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.count));
    (rows, total)
}

fn value(dimension: Dimension, counted: &Counted, catalogue: &Catalogue<'_>, competitors: &Competitors) -> String {
    let listed = |code: &str| {
        let listed = catalogue.get(code)?;
        let into = listed.merged_into.as_deref().and_then(|into| catalogue.get(into));
        Some(into.unwrap_or(listed))
    };
    let value = &counted.value;
    match dimension {
        Dimension::Reason => reason::name(listed(value).map_or(value, |listed| &listed.reason.code)),
        Dimension::Category => listed(value).map_or_else(String::new, |listed| listed.reason.category.to_string()),
        Dimension::OutcomeClass => {
            let class = value.parse().ok().and_then(|code| OutcomeClass::from_code(code).ok());
            class.map_or("", OutcomeClass::word).to_owned()
        }
        Dimension::Owner | Dimension::Team => value.clone(),
        Dimension::Group => group(value).map_or_else(String::new, |id| id.to_string()),
        Dimension::Competitor => competitor(value)
            .map_or_else(String::new, |id| competitors.get(&id).map_or(id, |counting| counting.competitor).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::TenantId,
        reason::{BUILT_IN, Entry},
        time::Time,
        working_set::Rows,
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn counted(value: &str, state: CloseOutState, currency: &str, count: i64) -> Counted {
        let currency = Currency::parse(currency).unwrap();
        let (converted, tenant_minor) = if value == "BUDGET_FROZEN" { (1, 70) } else { (0, 0) };
        Counted {
            value: value.into(),
            state,
            currency,
            count,
            verified: 1,
            minor: 100 * count,
            converted,
            tenant_minor,
        }
    }

    #[test]
    fn a_merged_reason_counts_where_it_went_and_the_total_stays() {
        let mut listed = BUILT_IN.iter().find(|listed| listed.reason.code == "LONG_CYCLE").unwrap().clone();
        (listed.active, listed.merged_into) = (false, Some("UNRESPONSIVE".into()));
        let own =
            Rows::loaded([Entry { tenant_id: TENANT, listed, sent: 1, created_at: Time(0), updated_at: Time(0) }]);
        let all = [
            counted("LONG_CYCLE", CloseOutState::Effective, "CNY", 2),
            counted("UNRESPONSIVE", CloseOutState::Effective, "CNY", 1),
            counted("UNRESPONSIVE", CloseOutState::Effective, "USD", 4),
            counted("LONG_CYCLE", CloseOutState::Reversed, "CNY", 3),
            counted("BUDGET_FROZEN", CloseOutState::Effective, "CNY", 5),
        ];
        let (by_reason, total) = rows(Dimension::Reason, &all, &Catalogue::of(TENANT, &own), &Competitors::new());
        let shown: Vec<_> = by_reason.iter().map(|(value, row)| (value.as_str(), row.count, row.reversed)).collect();
        assert_eq!(shown, [("closeOutReasons/UNRESPONSIVE", 7, 3), ("closeOutReasons/BUDGET_FROZEN", 5, 0)]);
        assert_eq!((total.count, total.verified, total.reversed), (12, 4, 3));
        assert_eq!(total.amounts.0.values().map(|[minor]| *minor).collect::<Vec<_>>(), [800, 400]);
        assert_eq!((total.tenant_minor, total.unconverted), (70, 11));
        let (unmerged, same) =
            rows(Dimension::Reason, &all, &Catalogue::of(TENANT, &Rows::default()), &Competitors::new());
        assert_eq!((unmerged.len(), same), (3, total.clone()));
        let (by_category, same) = rows(Dimension::Category, &all, &Catalogue::of(TENANT, &own), &Competitors::new());
        let shown: Vec<_> = by_category.iter().map(|(value, row)| (value.as_str(), row.count)).collect();
        assert_eq!((shown, same), (vec![("ENGAGEMENT", 7), ("BUDGET", 5)], total));
    }

    #[test]
    fn a_merged_competitor_counts_where_it_went_and_none_by_itself() {
        let (acme, ltd) = (CompetitorId(Uuid::from_u128(1)), CompetitorId(Uuid::from_u128(2)));
        let counting = Counting { competitor: acme, display_name: "Acme".into() };
        let competitors = Competitors::from([(acme, counting.clone()), (ltd, counting)]);
        let one = |id: &str, count| counted(id, CloseOutState::Effective, "CNY", count);
        let all = [one(&acme.0.to_string(), 1), one(&ltd.0.simple().to_string(), 2), one("", 4)];
        assert_eq!(named(&all), BTreeSet::from([acme, ltd]));
        let own = Rows::default();
        let (rows, total) = rows(Dimension::Competitor, &all, &Catalogue::of(TENANT, &own), &competitors);
        let shown: Vec<_> = rows.iter().map(|(value, row)| (value.clone(), row.count)).collect();
        assert_eq!((shown, total.count), (vec![(String::new(), 4), (acme.to_string(), 3)], 7));
    }
}
