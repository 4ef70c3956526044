//! What a person can ask for: every command with its examples, and the flags of some; those of the others stand with what they do.

use crate::commands::amend::{self, AmendArgs};
use crate::commands::approvals::{self, ApprovalsArgs};
use crate::commands::cancel_lines::{self, CancelLinesArgs};
use crate::commands::competitors::{self, CompetitorsArgs};
use crate::commands::completion::{self, CompletionArgs};
use crate::commands::hold::{self, ResumeArgs, SnoozeArgs};
use crate::commands::list::ListArgs;
use crate::commands::parked::{ParkedArgs, ResendArgs};
use crate::commands::pipelines::{self, PipelinesArgs};
use crate::commands::preview::{self, PreviewArgs};
use crate::commands::rates::{self, RatesArgs};
use crate::commands::reasons::{self, ReasonsArgs};
use crate::commands::records::{self, ConfirmArgs, FulfilArgs, MoveArgs, NewArgs, PayArgs, SetArgs, WinArgs};
use crate::commands::remarks::RemarksArgs;
use crate::commands::report::{self, ReportArgs};
use crate::commands::roles::{self, RolesArgs};
use crate::commands::search::{self, SearchArgs};
use crate::commands::settings::{self, SettingsArgs};
use crate::commands::stale::{self, StaleArgs};
use crate::commands::sweep::{self, SweepArgs};
use crate::commands::tasks::{self, TasksArgs};
use crate::commands::timeline::{self, TimelineArgs};
use crate::commands::watch::{self, WatchArgs};
use crate::commands::win_back::{self, WinBackArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
use crm_proto::common::WonOpportunityPolicy;
use std::path::PathBuf;
use uuid::Uuid;

/// Tenant for local use, taken when none is given.
pub(crate) const LOCAL_TENANT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// Where the opportunity service is, unless something else is said.
pub(crate) const OPPORTUNITY_URL: &str = "http://127.0.0.1:50051";
/// Where the order service is, unless something else is said.
pub(crate) const ORDER_URL: &str = "http://127.0.0.1:50052";

const AFTER: &str = "\
Exit codes:
  0  done
  1  failed: a service cannot be reached, a file cannot be read, an invariant is violated
  2  the command line is wrong
  3  done, but some of it was refused: rows of the data, opportunities of a sweep (each is reported with its reason)
  4  the service refused it: a rule, a missing field, a wrong state

First steps:
  closeout demo                          see it work, nothing needed
  closeout up                            both services until Ctrl-C, data in ./.closeout
  closeout list opportunities --state open
  closeout close-out opportunities/ID --reason BUDGET_FROZEN";

/// Closes out (消单) opportunities and orders: the record ends with a reason, related tasks are closed and the customer's
/// record is updated on both services.
#[derive(Debug, Parser)]
#[command(name = "closeout", version, after_help = AFTER, propagate_version = true)]
pub(crate) struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Public API of the opportunity service.
    #[arg(long, global = true, value_name = "URL", env = "CLOSEOUT_OPPORTUNITY_URL")]
    #[arg(default_value = OPPORTUNITY_URL)]
    pub(crate) opportunity_url: String,
    /// Public API of the order service.
    #[arg(long, global = true, value_name = "URL", env = "CLOSEOUT_ORDER_URL")]
    #[arg(default_value = ORDER_URL)]
    pub(crate) order_url: String,
    /// Tenant [default: 01900000-0000-7000-8000-000000000001; `demo` on an own database: a new one].
    #[arg(long, global = true, value_name = "UUID", env = "CLOSEOUT_TENANT")]
    pub(crate) tenant: Option<Uuid>,
    /// Who acts [default: $USER, else `demo`].
    #[arg(long, global = true, value_name = "NAME", env = "CLOSEOUT_PRINCIPAL")]
    pub(crate) principal: Option<String>,
    /// Roles of who acts, with commas between them; a gateway in front of the services may replace them.
    #[arg(
        long,
        global = true,
        value_name = "NAMES",
        env = "CLOSEOUT_ROLES",
        value_delimiter = ',',
        default_value = "admin"
    )]
    pub(crate) roles: Vec<String>,
    /// Teams of who acts, with commas between them.
    #[arg(long, global = true, value_name = "NAMES", env = "CLOSEOUT_TEAMS", value_delimiter = ',')]
    pub(crate) teams: Vec<String>,
    /// Print one JSON object on standard output and nothing else.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour; `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which reason for a refusal.
#[derive(Debug, Args)]
pub(crate) struct ErrorsArgs {
    /// Only this reason, such as LIVE_ORDER [default: all].
    #[arg(value_name = "REASON")]
    pub(crate) reason: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts both services embedded, loads data, closes out an opportunity and an order, and shows what changed.
    #[command(after_help = "\
Examples:
  closeout demo
  closeout demo --seed 7 --keep ./demo-data
  closeout demo --data ./crm-sales-opportunities --json | jq .sweep")]
    Demo(DemoArgs),
    /// Keeps both services running until Ctrl-C, at the ports of --opportunity-url and --order-url (0: free ones).
    #[command(after_help = "\
Examples:
  closeout up
  closeout up --folder /var/tmp/crm
  closeout up --opportunity-database-url postgres://crm@localhost/opportunity \\
              --order-database-url postgres://crm@localhost/orders")]
    Up(UpArgs),
    /// Imports customers, opportunities, orders and tasks from four CSV files. Twice the same import makes nothing twice.
    #[command(after_help = "\
The folder holds accounts.csv, products.csv, sales_teams.csv and sales_pipeline.csv. A file or column that is missing, or
a file that is not UTF-8, stops the import before anything is written (exit code 1); a broken row is refused with its
line and reason and the rest is taken (exit code 3).

Examples:
  closeout import --data ./crm-sales-opportunities
  closeout import --data ./crm-sales-opportunities --json | jq .import.refused")]
    Import(ImportArgs),
    /// Makes a customer, an opportunity or an order.
    #[command(after_help = records::NEW_EXAMPLES)]
    New(NewArgs),
    /// Changes what a customer, an opportunity or an order says; what is not named stays.
    #[command(after_help = records::SET_EXAMPLES)]
    Set(Box<SetArgs>),
    /// Moves an opportunity to another stage.
    #[command(after_help = records::OPPORTUNITY_EXAMPLES)]
    Move(MoveArgs),
    /// Marks an opportunity as won.
    #[command(after_help = records::OPPORTUNITY_EXAMPLES)]
    Win(WinArgs),
    /// Confirms an order that is a draft.
    #[command(after_help = records::ORDER_EXAMPLES)]
    Confirm(ConfirmArgs),
    /// Records what was fulfilled of an order.
    #[command(after_help = records::ORDER_EXAMPLES)]
    Fulfil(FulfilArgs),
    /// Records what was paid for an order.
    #[command(after_help = records::ORDER_EXAMPLES)]
    Pay(PayArgs),
    /// Closes out an opportunity or an order with a reason, or every open opportunity of a customer.
    #[command(after_help = "\
Examples:
  closeout close-out opportunities/ID --reason BUDGET_FROZEN
  closeout close-out opportunities/ID --reason COMPETITOR_PRICE --competitor Acme --detail \"10 % cheaper\" --yes
  closeout close-out opportunities/ID --reason NO_INTENT_NOW --also UNRESPONSIVE \\
           --verified call --contact \"Ms Li, purchasing\" --needs yes --intent no \\
           --rating 4 --follow-up \"Ask again\" --follow-up-due 2027-03-01
  closeout close-out orders/ID --reason ORD_CUSTOMER_CANCEL --detail \"ordered twice\"
  closeout close-out orders/ID --outcome processed
  closeout close-out customers/ID --reason CUSTOMER_CLOSED")]
    CloseOut(CloseOutArgs),
    /// Shows what closing an opportunity or order out would do on both sides, and what would refuse it; changes nothing.
    #[command(after_help = preview::EXAMPLES)]
    Preview(PreviewArgs),
    /// What waits for a second person: lists it, approves it, rejects it, takes it back.
    #[command(after_help = approvals::EXAMPLES)]
    Approvals(ApprovalsArgs),
    /// Corrects what a close-out says of its reason; its time stays.
    #[command(after_help = amend::EXAMPLES)]
    Amend(AmendArgs),
    /// Cancels a part of an order, by line and quantity; it goes on with the rest.
    #[command(after_help = cancel_lines::EXAMPLES)]
    CancelLines(CancelLinesArgs),
    /// Takes a close-out back: state and tasks as before it.
    #[command(after_help = "\
Examples:
  closeout reopen opportunities/ID --note \"the budget is back\"
  closeout reopen orders/ID
  closeout reopen customerCloseOuts/ID --note \"it was another company\"")]
    Reopen(ReopenArgs),
    /// Puts an opportunity on hold until a day.
    #[command(after_help = hold::EXAMPLES)]
    Snooze(SnoozeArgs),
    /// Takes an opportunity up again that is on hold.
    #[command(after_help = hold::EXAMPLES)]
    Resume(ResumeArgs),
    /// Shows a customer, opportunity, order, task or close-out with everything related on both sides.
    #[command(after_help = "\
Examples:
  closeout show customers/ID
  closeout show closeOuts/ID --json")]
    Show(ShowArgs),
    /// Lists opportunities, orders, tasks, customers or close-outs.
    #[command(after_help = "\
Examples:
  closeout list opportunities --state open --stage engaging
  closeout list tasks --parent opportunities/ID
  closeout list close-outs --reason STALE_AUTO --limit 20")]
    List(ListArgs),
    /// Finds orders, opportunities and close-outs by number or customer's name, the best match first.
    #[command(after_help = search::EXAMPLES)]
    Search(SearchArgs),
    /// What happened to a customer on both services, as one story.
    #[command(after_help = timeline::EXAMPLES)]
    Timeline(TimelineArgs),
    /// Shows close-outs or tasks as they change, on both services, until Ctrl-C.
    #[command(after_help = watch::EXAMPLES)]
    Watch(WatchArgs),
    /// What there is to do: lists the tasks of both services, makes one, begins, completes or cancels some.
    #[command(after_help = tasks::EXAMPLES)]
    Tasks(TasksArgs),
    /// Closes out every open opportunity on which nobody has worked for too long; shows first what that would be.
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(SweepArgs),
    /// What nobody works on any more: what is stale by the tenant's policy and why, the policy, and acting upon it.
    #[command(after_help = stale::EXAMPLES)]
    Stale(StaleArgs),
    /// Messages between the services that can not be delivered: lists them, has one sent again, gives one up.
    #[command(after_help = "\
A message that the other service refuses for a technical reason is parked, and with it those behind it about the same
record. Nothing else is held up.

Examples:
  closeout parked list
  closeout parked retry opportunities/ID/messages/3
  closeout parked skip orders/ID/messages/2 --because \"written by a version that was taken back\"")]
    Parked(ParkedArgs),
    /// Sends the whole state of a record to the other service, in place of every message about it that has not arrived.
    #[command(after_help = "\
For a record that the other service has lost sight of: after a restored backup, or after a message was given up. The
other service does what is missing and reverses what is over.

Examples:
  closeout resend opportunities/ID --because \"the order service was restored from yesterday's backup\"
  closeout resend orders/ID --because \"we were restored from a backup\" --peer-number 9")]
    Resend(ResendArgs),
    /// Counts what was closed out, by reason, category, class, owner, team, competitor or customer closed out as a whole, and how much of it was verified.
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArgs),
    /// The reasons for close-outs and what each requires: lists them, makes and changes them, takes them out of use.
    #[command(after_help = reasons::EXAMPLES)]
    Reasons(ReasonsArgs),
    /// The stages that opportunities go through: lists pipelines, makes and changes them, takes them into and out of use.
    #[command(after_help = pipelines::EXAMPLES)]
    Pipelines(PipelinesArgs),
    /// What is decided for all close-outs: whether they need a verification of the customer's status, how fresh a one, from which
    /// amount on a second person, and the currency in which they are added up.
    #[command(after_help = settings::EXAMPLES)]
    Settings(SettingsArgs),
    /// What currencies are worth in the tenant's currency, and from when on: lists rates, sets and deletes them.
    #[command(after_help = rates::EXAMPLES)]
    Rates(RatesArgs),
    /// Winning customers back: what is planned and due, contacts and what came of them, whom a campaign may reach.
    #[command(after_help = win_back::EXAMPLES)]
    WinBack(WinBackArgs),
    /// What each role may do: those that every tenant has, and the tenant's own.
    #[command(after_help = roles::EXAMPLES)]
    Roles(RolesArgs),
    /// To whom opportunities are lost: lists competitors, makes and renames them, takes them out of use, merges them.
    #[command(after_help = competitors::EXAMPLES)]
    Competitors(CompetitorsArgs),
    /// Every reason for which a service refuses a call, in English and Chinese: its code, the rule, the way out.
    #[command(after_help = "\
Nothing has to run for it. What stands in braces is filled in by the service.

Examples:
  closeout errors
  closeout errors LIVE_ORDER
  closeout errors --json | jq '.errors[] | select(.code == \"ABORTED\")'")]
    Errors(ErrorsArgs),
    /// Prints the completion of this command line for a shell.
    #[command(after_help = completion::EXAMPLES)]
    Completion(CompletionArgs),
}

/// Databases other than the embedded ones.
#[derive(Debug, Args)]
pub(crate) struct Databases {
    /// Database of the opportunity service, such as `postgres://USER@HOST/DATABASE` [default: SQLite in the folder].
    #[arg(long, value_name = "URL", env = "OPPORTUNITY_DATABASE_URL", value_parser = database_url)]
    pub(crate) opportunity_database_url: Option<String>,
    /// Database of the order service [default: SQLite in the folder].
    #[arg(long, value_name = "URL", env = "ORDER_DATABASE_URL", value_parser = database_url)]
    pub(crate) order_database_url: Option<String>,
}

impl Databases {
    /// True if no data is kept in a folder.
    pub(crate) fn are_both_named(&self) -> bool {
        self.opportunity_database_url.is_some() && self.order_database_url.is_some()
    }

    /// True if the data is kept in a database that the person named.
    pub(crate) fn are_named(&self) -> bool {
        self.opportunity_database_url.is_some() || self.order_database_url.is_some()
    }
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder with the four CSV files; without it a seeded data set is made.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Seed of the data set that is made.
    #[arg(long, default_value_t = 20_260_101)]
    pub(crate) seed: u64,
    /// Keep the two database files in this folder (it must hold none yet).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,
    /// Other databases.
    #[command(flatten)]
    pub(crate) databases: Databases,
    /// Calls under way at the same time.
    #[arg(long, default_value_t = 256, value_parser = in_flight)]
    pub(crate) in_flight: usize,
}

/// Flags of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where the data is kept.
    #[arg(long, default_value = "./.closeout")]
    pub(crate) folder: PathBuf,
    /// Other databases.
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Folder with accounts.csv, products.csv, sales_teams.csv and sales_pipeline.csv.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// Rows under way at the same time.
    #[arg(long, default_value_t = 256, value_parser = in_flight)]
    pub(crate) in_flight: usize,
}

/// Flags of `close-out`.
#[derive(Debug, Args)]
pub(crate) struct CloseOutArgs {
    /// What is to be closed out.
    #[command(flatten)]
    pub(crate) closing: ClosingArgs,
    /// Only if it still comes to the plan with this hash, which `closeout preview` shows.
    #[arg(long, value_name = "HASH")]
    pub(crate) plan: Option<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// What is to be closed out, and why: flags of `close-out` and `preview`.
#[derive(Debug, Args)]
pub(crate) struct ClosingArgs {
    /// `opportunities/ID`, `orders/ID`, or `customers/ID` for each of its open opportunities.
    pub(crate) name: String,
    /// Code of the reason; `closeout reasons` lists them. May be left out for `--outcome processed`.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// What happened, in your words.
    #[arg(long)]
    pub(crate) detail: Option<String>,
    /// Competitor who won, by its name; one that is not known yet is made.
    #[arg(long, value_name = "NAME")]
    pub(crate) competitor: Option<String>,
    /// How an order ends.
    #[arg(long, default_value = "cancelled")]
    pub(crate) outcome: OrderOutcome,
    /// Reference of the refund, for an order that was paid.
    #[arg(long, value_name = "TEXT")]
    pub(crate) refund_reference: Option<String>,
    /// What becomes of the won opportunity when its last order is cancelled [default: what the settings say].
    #[arg(long, value_name = "POLICY")]
    pub(crate) won_opportunity: Option<WonPolicy>,
    /// What it rests on, and what follows.
    #[command(flatten)]
    pub(crate) remarks: RemarksArgs,
}

/// How an order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderOutcome {
    /// Cancelled (已取消).
    Cancelled,
    /// Done (已处理).
    Processed,
}

/// What becomes of the won opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WonPolicy {
    /// Its owner gets a review task.
    Ask,
    /// It stays won.
    Keep,
    /// Its win is taken back.
    Reopen,
    /// It is closed out as lost, for the order's reason.
    Lose,
}

impl WonPolicy {
    /// Its number in both APIs.
    pub(crate) fn of_api(self) -> i32 {
        match self {
            Self::Ask => WonOpportunityPolicy::Ask,
            Self::Keep => WonOpportunityPolicy::Keep,
            Self::Reopen => WonOpportunityPolicy::Reopen,
            Self::Lose => WonOpportunityPolicy::Lose,
        }
        .into()
    }
}

/// Flags of `reopen`.
#[derive(Debug, Args)]
pub(crate) struct ReopenArgs {
    /// `opportunities/ID`, `orders/ID`, or `customerCloseOuts/ID` for all that was closed out with a customer.
    pub(crate) name: String,
    /// Why, in your words.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
}

/// Flags of `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// `customers/ID`, `opportunities/ID`, `orders/ID`, `tasks/ID`, `closeOuts/ID` or `customerCloseOuts/ID`.
    pub(crate) name: String,
}

fn database_url(text: &str) -> Result<String, String> {
    let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| text.starts_with(scheme));
    if known { Ok(text.to_owned()) } else { Err("postgres://USER@HOST/DATABASE or sqlite://FILE, please".to_owned()) }
}

/// How many calls may be under way.
pub(crate) fn in_flight(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1024) => Ok(number),
        Ok(_) | Err(_) => Err("a number from 1 to 1024".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_for_every_command_may_come_after_the_command() {
        let cli = Cli::try_parse_from(["closeout", "demo", "--json", "--color", "never"]).unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.color, ColorWhen::Never);
    }

    #[test]
    fn a_database_of_another_kind_is_refused() {
        let parse = |url| Cli::try_parse_from(["closeout", "up", "--order-database-url", url]);
        assert!(parse("postgres://crm@localhost/orders").is_ok());
        assert!(parse("mysql://crm@localhost/orders").is_err());
    }

    #[test]
    fn no_calls_in_flight_is_refused() {
        assert!(Cli::try_parse_from(["closeout", "demo", "--in-flight", "0"]).is_err());
    }
}
