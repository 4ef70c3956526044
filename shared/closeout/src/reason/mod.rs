//! Reasons for close-outs: the built-in ones every tenant has, what a tenant makes of them and adds (`catalogue`), and the one
//! place that says what a reason requires of a close-out (`check`).

mod catalogue;
mod check;
mod defaults;

use crate::{
    codes,
    episode::OutcomeClass,
    refusal::Violation,
    wording::{self, Language},
};
pub use catalogue::{Catalogue, Edition, Entry, Listed, MOST};
pub use check::Given;
pub use defaults::BUILT_IN;
use std::{borrow::Cow, collections::BTreeMap};

codes! {
    /// What a reason may be used for.
    pub enum ReasonScope {
        /// Closing out opportunities.
        Opportunity = 1 "OPPORTUNITY",
        /// Cancelling orders.
        Order = 2 "ORDER",
        /// Ending orders as processed.
        OrderProcessed = 3 "ORDER_PROCESSED",
    }
}

codes! {
    /// Whether a reason needs a verification of the customer's status, where it does not leave that to the settings.
    pub enum VerificationRule {
        /// Always.
        Required = 1 "REQUIRED",
        /// Never: it is not about the customer.
        NotRequired = 2 "NOT_REQUIRED",
    }
}

/// Most labels of a reason beside the Chinese and the English one.
pub const MOST_LABELS: usize = 20;

/// Why something is closed out, in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Code in `closeOutReasons/{code}`.
    pub code: Cow<'static, str>,
    /// Version, from 1; raised when anything below changes.
    pub version: i64,
    /// What it may be used for; never changes.
    pub scope: ReasonScope,
    /// Chinese label.
    pub zh: Cow<'static, str>,
    /// English label.
    pub en: Cow<'static, str>,
    /// Labels in other languages, by their tags.
    pub labels: BTreeMap<String, String>,
    /// Group for reports.
    pub category: Cow<'static, str>,
    /// Class of a close-out with this reason; none: not a loss.
    pub class: Option<OutcomeClass>,
    /// Fewest characters of detail; 0: optional.
    pub min_detail: i64,
    /// A competitor must be named.
    pub needs_competitor: bool,
    /// Days after which to try to win the customer back; 0: never.
    pub win_back_days: i32,
    /// Only historical close-outs may use it.
    pub historical_only: bool,
    /// Whether it needs a verification of the customer's status; none: as the settings say.
    pub verification: Option<VerificationRule>,
    /// How many days old that may be; 0: as the settings say.
    pub verification_days: i32,
}

/// Collection part of the resource name of a reason.
pub const COLLECTION: &str = "closeOutReasons";

/// The reason of a processed order.
pub const PROCESSED: &str = "ORD_PROCESSED";

/// The resource name of the reason with this code.
pub fn name(code: &str) -> String {
    format!("{COLLECTION}/{code}")
}

/// The code in the resource name of a reason.
pub fn code_of(name: &str) -> Option<&str> {
    let code = name.strip_prefix(COLLECTION)?.strip_prefix('/')?;
    is_code(code).then_some(code)
}

/// Whether this can be the code of a reason, or a category: capitals, digits and `_`, a capital first, at most 63.
pub fn is_code(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= 63 && text.bytes().all(rest) && text.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
}

impl Reason {
    /// Its resource name.
    pub fn name(&self) -> String {
        name(&self.code)
    }

    /// Its label in the language of a tag such as `zh-CN`, else in that language without its region; English for every other
    /// language.
    pub fn label(&self, locale: &str) -> &str {
        let written = |tag: &str| {
            let label = self.labels.iter().find(|(known, _)| known.eq_ignore_ascii_case(tag));
            label.map(|(_, label)| label.as_str())
        };
        let tags = std::iter::successors(Some(locale.trim()), |tag| Some(tag.rsplit_once(['-', '_'])?.0));
        if let Some(label) = tags.into_iter().find_map(|tag| written(&tag.replace('_', "-"))) {
            return label;
        }
        match Language::of(locale) {
            Language::Chinese => &self.zh,
            Language::English => &self.en,
        }
    }

    /// What can not be so in its scope, by paths that begin with `field`.
    pub fn violations(&self, field: &str) -> Vec<Violation> {
        let about = |name: &str, wording| Violation::new(format!("{field}.{name}"), wording);
        let mut violations = Vec::new();
        match (self.scope, self.class) {
            (ReasonScope::OrderProcessed, Some(_)) => {
                violations.push(about("outcome_class", &wording::CLASS_OF_PROCESSED))
            }
            (ReasonScope::Opportunity | ReasonScope::Order, None) => {
                violations.push(about("outcome_class", &wording::REQUIRED));
            }
            (ReasonScope::OrderProcessed, None) | (ReasonScope::Opportunity | ReasonScope::Order, Some(_)) => {}
        }
        if self.needs_competitor && self.scope != ReasonScope::Opportunity {
            violations.push(about("needs_competitor", &wording::COMPETITOR_OF_ORDER));
        }
        violations
    }
}
