//! `closeout reasons`: the reasons for close-outs, listed, made, changed, taken out of use, merged, put into an order, and written
//! to and read from a CSV file (`file`).

mod change;
mod export;
mod file;
mod import;
mod list;

use crate::api::Api;
use crate::failure::Ending;
use crate::format::label;
use crate::screen::Screen;
use clap::{Args, Subcommand, ValueEnum};
use crm_proto::common::{OutcomeClass, ReasonScope, VerificationRule};
use std::path::PathBuf;

/// Full name of a reason in the protos.
const REASON: &str = "crm.common.v1.CloseOutReason";

/// What follows the help of `reasons`.
pub(crate) const EXAMPLES: &str = "\
A change of labels or meaning makes a new version; close-outs keep the one they were made with. What is changed here is
copied to the order service.

Examples:
  closeout reasons
  closeout reasons --scope order --locale zh-CN
  closeout reasons create NO_FUNDING --scope opportunity --zh 资金未到位 --en \"No funding\" --class no-decision \\
                          --category BUDGET --min-detail 10
  closeout reasons update NO_FUNDING --win-back-days 120 --verification required --verification-days 14
  closeout reasons update NO_FUNDING --label \"fr=Pas de fonds\" --label de=
  closeout reasons deactivate LONG_CYCLE
  closeout reasons merge LONG_CYCLE NO_DECISION_MAKER --into UNRESPONSIVE
  closeout reasons show NO_FUNDING
  closeout reasons export reasons.csv && closeout reasons import reasons.csv";

/// Flags of `reasons`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReasonsArgs {
    /// What to do [default: list].
    #[command(subcommand)]
    action: Option<Action>,
    /// Flags of the list.
    #[command(flatten)]
    list: ListArgs,
}

/// What to do about reasons.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them, in order.
    List(ListArgs),
    /// Shows one with its versions.
    #[command(disable_version_flag = true)]
    Show(ShowArgs),
    /// Makes one, at the end of its scope.
    Create(CreateArgs),
    /// Changes labels or meaning of one; what is not given stays.
    Update(UpdateArgs),
    /// Takes one out of use: no new close-out may name it.
    Deactivate {
        /// Its code.
        code: String,
    },
    /// Takes one back into use.
    Activate {
        /// Its code.
        code: String,
    },
    /// Puts one in the place of others of its scope: those are used no more, reports count their close-outs with it. It can not
    /// be undone.
    Merge(MergeArgs),
    /// Puts the reasons of a scope into an order.
    Reorder(ReorderArgs),
    /// Writes all of them as CSV.
    Export {
        /// Where to [default: standard output].
        file: Option<PathBuf>,
    },
    /// Makes and changes what a CSV file says; the rest stays. Twice the same import changes nothing.
    #[command(after_help = "\
The columns code, scope, zh, en, class, category, min_detail, needs_competitor and win_back_days must be there; active,
position, verification (REQUIRED, NOT_REQUIRED or SETTINGS), verification_days and labels (those in other languages, as in
{\"fr\": \"Pas de fonds\"}; the others are taken away) may, and an empty cell of them leaves what is there. A column that is
missing or a file that is not UTF-8 stops the import before anything is written (exit code 1); a broken row is refused
with its line and reason and the rest is taken (exit code 3). What was merged is exported as not active.

Examples:
  closeout reasons export | sed s/DELIVERY/LOGISTICS/ > mine.csv; closeout reasons import mine.csv
  closeout reasons import mine.csv --json | jq .import.refused_rows")]
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// Flags of `reasons list`.
#[derive(Debug, Args)]
struct ListArgs {
    /// What the reason is for.
    #[arg(long)]
    scope: Option<Scope>,
    /// Language of the labels, such as `en`, `zh-CN` or `fr`; in English where a reason has none in it.
    #[arg(long, default_value = "en")]
    locale: String,
    /// Those that are not in use, too.
    #[arg(long)]
    all: bool,
}

/// Flags of `reasons show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Its code.
    code: String,
    /// Only this version.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    version: Option<i64>,
}

/// Flags of `reasons create`.
#[derive(Debug, Args)]
struct CreateArgs {
    /// Its code, in capitals; it never changes.
    code: String,
    /// What it is for; it never changes.
    #[arg(long)]
    scope: Scope,
    /// Chinese label.
    #[arg(long, value_name = "TEXT")]
    zh: String,
    /// English label.
    #[arg(long, value_name = "TEXT")]
    en: String,
    /// Class of a close-out with it; none for the scope order-processed.
    #[arg(long)]
    class: Option<Class>,
    /// Group for reports, in capitals.
    #[arg(long)]
    category: String,
    /// Fewest characters of detail; 0: optional.
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_detail: i32,
    /// A competitor must be named.
    #[arg(long)]
    needs_competitor: bool,
    /// Days after which to try to win the customer back; 0: never.
    #[arg(long, value_name = "N", default_value_t = 0)]
    win_back_days: i32,
    /// Whether a close-out with it needs a verification of the customer's status.
    #[arg(long, value_name = "RULE", default_value = "settings")]
    verification: Rule,
    /// How many days old that may be; 0: as the settings say.
    #[arg(long, value_name = "N", default_value_t = 0)]
    verification_days: i32,
    /// Label in another language, such as `fr=Pas de fonds`; once for each.
    #[arg(long = "label", value_name = "LANG=TEXT", value_parser = label_in)]
    labels: Vec<(String, String)>,
}

/// Flags of `reasons update`.
#[derive(Debug, Args)]
struct UpdateArgs {
    /// Its code.
    code: String,
    /// Chinese label.
    #[arg(long, value_name = "TEXT")]
    zh: Option<String>,
    /// English label.
    #[arg(long, value_name = "TEXT")]
    en: Option<String>,
    /// Class of a close-out with it.
    #[arg(long)]
    class: Option<Class>,
    /// Group for reports, in capitals.
    #[arg(long)]
    category: Option<String>,
    /// Fewest characters of detail; 0: optional.
    #[arg(long, value_name = "N")]
    min_detail: Option<i32>,
    /// Whether a competitor must be named.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    needs_competitor: Option<bool>,
    /// Days after which to try to win the customer back; 0: never.
    #[arg(long, value_name = "N")]
    win_back_days: Option<i32>,
    /// Whether a close-out with it needs a verification of the customer's status.
    #[arg(long, value_name = "RULE")]
    verification: Option<Rule>,
    /// How many days old that may be; 0: as the settings say.
    #[arg(long, value_name = "N")]
    verification_days: Option<i32>,
    /// Label in another language, such as `fr=Pas de fonds`; once for each. Without a text, `fr=`, it is taken away.
    #[arg(long = "label", value_name = "LANG=TEXT", value_parser = label_in)]
    labels: Vec<(String, String)>,
}

/// Flags of `reasons merge`.
#[derive(Debug, Args)]
struct MergeArgs {
    /// The codes of those whose place is taken.
    #[arg(required = true, value_name = "CODE")]
    codes: Vec<String>,
    /// The code of the one that takes it; of the same scope, in use.
    #[arg(long, value_name = "CODE")]
    into: String,
}

/// Flags of `reasons reorder`.
#[derive(Debug, Args)]
struct ReorderArgs {
    /// Which scope.
    #[arg(long)]
    scope: Scope,
    /// The codes of all its reasons, those not in use, too, in the new order.
    #[arg(required = true, value_name = "CODE")]
    codes: Vec<String>,
}

/// What a reason is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Closing out opportunities.
    Opportunity,
    /// Cancelling orders.
    Order,
    /// Ending orders as processed.
    OrderProcessed,
}

/// Class of a close-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Class {
    /// Lost to a competitor.
    CompetitiveLoss,
    /// The customer has not decided.
    NoDecision,
    /// The customer has called it off.
    CustomerCancelled,
    /// It was never a real chance.
    Disqualified,
    /// A matter of bookkeeping.
    Administrative,
}

/// Whether a close-out needs a verification of the customer's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Always.
    Required,
    /// Never: it is not about the customer.
    NotRequired,
    /// As `closeout settings` says.
    Settings,
}

impl From<Rule> for VerificationRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Required => Self::Required,
            Rule::NotRequired => Self::NotRequired,
            Rule::Settings => Self::Unspecified,
        }
    }
}

impl From<Scope> for ReasonScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Opportunity => Self::Opportunity,
            Scope::Order => Self::Order,
            Scope::OrderProcessed => Self::OrderProcessed,
        }
    }
}

impl From<Class> for OutcomeClass {
    fn from(class: Class) -> Self {
        match class {
            Class::CompetitiveLoss => Self::CompetitiveLoss,
            Class::NoDecision => Self::NoDecision,
            Class::CustomerCancelled => Self::CustomerCancelled,
            Class::Disqualified => Self::Disqualified,
            Class::Administrative => Self::Administrative,
        }
    }
}

/// Does what the command line says.
pub(super) async fn run(args: &ReasonsArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None => list::run(&args.list, api, screen).await,
        Some(Action::List(args)) => list::run(args, api, screen).await,
        Some(Action::Show(args)) => list::show(args, api, screen).await,
        Some(Action::Create(args)) => change::create(args, api, screen).await,
        Some(Action::Update(args)) => change::update(args, api, screen).await,
        Some(Action::Deactivate { code }) => change::set_active(code, false, api, screen).await,
        Some(Action::Activate { code }) => change::set_active(code, true, api, screen).await,
        Some(Action::Merge(args)) => change::merge(args, api, screen).await,
        Some(Action::Reorder(args)) => change::reorder(args, api, screen).await,
        Some(Action::Export { file }) => export::run(file.as_deref(), api, screen).await,
        Some(Action::Import { file }) => import::run(file, api, screen).await,
    }
}

fn class_name(class: OutcomeClass) -> String {
    label(class.as_str_name(), "OUTCOME_CLASS_")
}

fn resource_name(code: &str) -> String {
    format!("closeOutReasons/{}", code.strip_prefix("closeOutReasons/").unwrap_or(code))
}

/// Languages whose labels have flags and columns of their own.
const OWN: [&str; 2] = ["zh", "en"];

/// A language and the label in it.
fn label_in(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((language, _)) if OWN.contains(&language) => Err(format!("--{language} TEXT is for that language")),
        Some((language, label)) if !language.is_empty() => Ok((language.to_owned(), label.to_owned())),
        Some(_) | None => Err("a language and the label in it, such as fr=\"Pas de fonds\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_given_with_its_language() {
        let read = |text| label_in(text).ok();
        assert_eq!(read("fr=a = b"), Some(("fr".into(), "a = b".into())));
        assert_eq!(read("pt-BR="), Some(("pt-BR".into(), String::new())));
        assert_eq!([read("fr"), read("=x"), read("zh=x")], [None, None, None]);
    }
}
