//! Flags of `closeout win-back`, but for those of an audience.

use crate::format::{parse_moment, parse_money};
use clap::{Args, ValueEnum};
use crm_proto::Money;
use crm_proto::opportunity::win_back_contact::{Method, Result as Answer};
use crm_proto::opportunity::win_back_plan::State;
use prost_types::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stands {
    /// Nobody has contacted the customer yet.
    Planned,
    /// Somebody has.
    Running,
    /// An opportunity was made of it.
    Recovered,
    /// Given up, or the customer declined.
    GivenUp,
    /// The loss was taken back, or nobody may contact the customer.
    Cancelled,
}

impl From<Stands> for State {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Planned => Self::Planned,
            Stands::Running => Self::Running,
            Stands::Recovered => Self::Recovered,
            Stands::GivenUp => Self::GivenUp,
            Stands::Cancelled => Self::Cancelled,
        }
    }
}

/// Flags of `win-back list`.
#[derive(Debug, Default, Args)]
pub(super) struct ListArgs {
    /// Only in this state [default: those that are open].
    #[arg(long)]
    pub(super) state: Option<Stands>,
    /// Only of this owner.
    #[arg(long, value_name = "PRINCIPAL")]
    pub(super) owner: Option<String>,
    /// Only of this customer.
    #[arg(long, value_name = "customers/ID")]
    pub(super) customer: Option<String>,
    /// Only what is due before this: a day, which begins at midnight (UTC), or RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) until: Option<Timestamp>,
    /// At most this many; 0: all.
    #[arg(long, default_value_t = 50)]
    pub(super) limit: usize,
}

/// Flags of `win-back show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// `winBackPlans/ID`.
    pub(super) plan: String,
}

/// Flags of `win-back set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "changes")]
pub(super) struct SetFields {
    /// Who is to do it.
    #[arg(long, value_name = "PRINCIPAL")]
    pub(super) owner: Option<String>,
    /// When: a day, or RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) due: Option<Timestamp>,
    /// What to offer; empty: nothing.
    #[arg(long, value_name = "TEXT")]
    pub(super) offer: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// `winBackPlans/ID`.
    pub(super) plan: String,
    #[command(flatten)]
    pub(super) fields: SetFields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// By telephone.
    Call,
    /// They met.
    Meeting,
    /// In writing.
    Message,
}

impl From<By> for Method {
    fn from(by: By) -> Self {
        match by {
            By::Call => Self::Call,
            By::Meeting => Self::Meeting,
            By::Message => Self::Message,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CameOfIt {
    /// Nobody was reached.
    NoAnswer,
    /// Not now; say --again.
    Later,
    /// The customer wants to hear more.
    Interested,
    /// The customer does not want to come back; ends the plan.
    Declined,
    /// The customer does not want to be contacted about anything; ends every plan of it.
    DoNotContact,
}

impl From<CameOfIt> for Answer {
    fn from(came_of_it: CameOfIt) -> Self {
        match came_of_it {
            CameOfIt::NoAnswer => Self::NoAnswer,
            CameOfIt::Later => Self::Later,
            CameOfIt::Interested => Self::Interested,
            CameOfIt::Declined => Self::Declined,
            CameOfIt::DoNotContact => Self::DoNotContact,
        }
    }
}

/// Flags of `win-back contact`.
#[derive(Debug, Args)]
pub(super) struct ContactArgs {
    /// `winBackPlans/ID`.
    pub(super) plan: String,
    /// How.
    #[arg(long)]
    pub(super) by: By,
    /// What came of it.
    #[arg(long)]
    pub(super) result: CameOfIt,
    /// Whom.
    #[arg(long, value_name = "PERSON", default_value = "")]
    pub(super) with: String,
    /// When to contact the customer again: a day, or RFC 3339 [default: as before].
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) again: Option<Timestamp>,
    /// When it was, in the same way [default: now].
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) at: Option<Timestamp>,
    /// What was said.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) note: String,
}

/// Flags of `win-back give-up`.
#[derive(Debug, Args)]
pub(super) struct GiveUpArgs {
    /// `winBackPlans/ID`.
    pub(super) plan: String,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) note: String,
}

/// Flags of `win-back recover`.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// `winBackPlans/ID`.
    pub(super) plan: String,
    /// What the opportunity is about.
    #[arg(long, value_name = "TEXT")]
    pub(super) title: String,
    /// What it is worth: `5000 CNY` [default: nothing yet].
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    pub(super) amount: Option<Money>,
    /// Who owns it [default: you].
    #[arg(long, value_name = "PRINCIPAL", default_value = "")]
    pub(super) owner: String,
}
