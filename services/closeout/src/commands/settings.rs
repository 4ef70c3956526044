//! `closeout settings`: what a tenant has decided about all close-outs, and whether the order service knows it.

use crate::api::Api;
use crate::args::WonPolicy;
use crate::failure::{Ending, Usage};
use crate::format::{counted, money, parse_money, time};
use crate::screen::{Paint, Screen};
use crate::{json, request_id, view};
use anyhow::Context;
use clap::{Args, Subcommand};
use crm_proto::Money;
use crm_proto::common::{ApprovalPolicy, Settings, VerificationPolicy, Wait, WonOpportunityPolicy};
use crm_proto::{opportunity as sales, order as trade};
use prost_types::FieldMask;
use serde_json::json;

/// Full name of the settings in the protos.
const SETTINGS: &str = "crm.common.v1.Settings";

/// What follows the help of `settings`.
pub(crate) const EXAMPLES: &str = "\
They hold for every close-out from now on, of opportunities and of orders, unless its reason says otherwise (closeout
reasons update CODE --verification ...). Close-outs with dates of the past, such as those of an import, need no
verification. What is decided here is copied to the order service.

Examples:
  closeout settings
  closeout settings set --verification-required --verification-days 14
  closeout settings set --verification-required=false
  closeout settings set --won-opportunity lose
  closeout settings set --approval-over \"100000 CNY\" --approval-over \"15000 USD\" --approval-days 7
  closeout settings set --approval-over none
  closeout settings set --currency CNY            the rates of the others: closeout rates";

/// Flags of `settings`.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// What to do [default: show them].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them, and whether the order service has them.
    Show,
    /// Changes what the flags name; the rest stays.
    Set(SetArgs),
}

/// Flags of `settings set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct SetArgs {
    /// Whether a close-out needs a verification of the customer's status, where its reason does not say so itself.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    verification_required: Option<bool>,
    /// How many days old that may be, where the reason does not say so itself: 1 to 365.
    #[arg(long, value_name = "N")]
    verification_days: Option<i32>,
    /// What becomes of a won opportunity when its last order is cancelled, where the close-out does not say so itself.
    #[arg(long, value_name = "POLICY")]
    won_opportunity: Option<WonPolicy>,
    /// A second person has to approve what is worth more than this, such as "100000 CNY"; may be given once for each currency,
    /// and takes the place of all before. `none`: no amount needs one.
    #[arg(long, value_name = "AMOUNT", value_parser = limit)]
    approval_over: Vec<Limit>,
    /// After how many days without a decision it expires: 1 to 365.
    #[arg(long, value_name = "N")]
    approval_days: Option<i32>,
    /// The tenant's currency (ISO 4217): what close-outs are worth in it is kept with them and added up in reports. `none`: it has
    /// none.
    #[arg(long, value_name = "CURRENCY")]
    currency: Option<String>,
}

/// From which amount on a second person is needed.
#[derive(Clone, Debug, PartialEq)]
enum Limit {
    None,
    Of(Money),
}

fn limit(text: &str) -> Result<Limit, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Limit::None);
    }
    parse_money(text).map(Limit::Of).map_err(|expected| format!("{expected}, or `none`"))
}

/// What `--currency` says to the API.
fn currency(text: &str) -> String {
    if text.eq_ignore_ascii_case("none") { String::new() } else { text.to_uppercase() }
}

impl Limit {
    fn amount(&self) -> Option<Money> {
        match self {
            Self::None => None,
            Self::Of(amount) => Some(amount.clone()),
        }
    }
}

/// Does what the command line says.
pub(super) async fn run(args: &SettingsArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None | Some(Action::Show) => show(api, screen).await,
        Some(Action::Set(args)) => set(args, api, screen).await,
    }
}

async fn show(api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (own, copy) =
        (api.get_sales_settings(sales::GetSettingsRequest {}), api.get_trade_settings(trade::GetSettingsRequest {}));
    let (own, copy) = futures::try_join!(own, copy)?;
    let (own, copy) = (there(own.settings)?, there(copy.settings)?);
    let arrived = own.etag == copy.etag && own.roles == copy.roles && decided(&own) == decided(&copy);
    if screen.json() {
        let (settings, order) = (json::message(SETTINGS, &own)?, json::message(SETTINGS, &copy)?);
        screen.emit(&json!({ "settings": settings, "order_service": order, "arrived": arrived }))?;
    }
    table(&own, screen)?;
    if arrived {
        screen.line("The order service has them.")?;
    } else {
        let old = decided(&copy).join("; ");
        screen.line(&screen.paint(Paint::Changed, &format!("The order service still has: {old}.")))?;
        screen.note(&if own.etag == copy.etag {
            format!("An earlier version of it has taken them: closeout resend {} --because \"it is new now\"", own.lane)
        } else {
            "They arrive there without your doing; closeout parked list shows what can not.".to_owned()
        })?;
    }
    Ok(Ending::Done)
}

async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if args.approval_over.len() > 1 && args.approval_over.contains(&Limit::None) {
        return Err(Usage("--approval-over: either amounts or `none`".to_owned()).into());
    }
    let paths = [
        ("verification.required", args.verification_required.is_some()),
        ("verification.fresh_days", args.verification_days.is_some()),
        ("won_opportunity_policy", args.won_opportunity.is_some()),
        ("approval.amounts", !args.approval_over.is_empty()),
        ("approval.expire_days", args.approval_days.is_some()),
        ("currency", args.currency.is_some()),
    ];
    let paths = paths.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect();
    let verification = VerificationPolicy {
        required: args.verification_required.unwrap_or_default(),
        fresh_days: args.verification_days.unwrap_or_default(),
    };
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings {
            verification: Some(verification),
            approval: Some(ApprovalPolicy {
                amounts: args.approval_over.iter().filter_map(Limit::amount).collect(),
                expire_days: args.approval_days.unwrap_or_default(),
            }),
            currency: args.currency.as_deref().map_or_else(String::new, currency),
            won_opportunity_policy: args.won_opportunity.map_or(0, WonPolicy::of_api),
            ..Settings::default()
        }),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let reply = api.update_settings(request).await?;
    let propagation = reply.propagation();
    let settings = there(reply.settings)?;
    if screen.json() {
        let (settings, propagation) = (json::message(SETTINGS, &settings)?, propagation.as_str_name());
        screen.emit(&json!({ "settings": settings, "propagation": propagation }))?;
    }
    screen.line(&format!("The rule is kept: {}.", view::how_far(propagation, "order service")))?;
    table(&settings, screen)?;
    Ok(Ending::Done)
}

fn there(settings: Option<Settings>) -> anyhow::Result<Settings> {
    settings.context("a reply without its settings")
}

fn table(settings: &Settings, screen: &Screen) -> anyhow::Result<()> {
    let changed =
        settings.update_time.as_ref().map_or_else(|| "never: these are the defaults".to_owned(), |at| time(Some(at)));
    let mut table = screen.new_table(&["setting", "value"]);
    let [verification, won, approval, currency] = decided(settings);
    let rows = [
        ("verification", verification),
        ("won, last order cancelled", won),
        ("a second person", approval),
        ("currency", currency),
        ("changed", changed),
    ];
    for (setting, value) in rows {
        table.add_row([screen.cell(Paint::Dim, setting), value.into()]);
    }
    screen.table(&table)
}

/// What was decided, in words.
fn decided(settings: &Settings) -> [String; 4] {
    let won = match settings.won_opportunity_policy() {
        WonOpportunityPolicy::Keep => "it stays won",
        WonOpportunityPolicy::Ask | WonOpportunityPolicy::Unspecified => "its owner is asked",
        WonOpportunityPolicy::Reopen => "its win is taken back",
        WonOpportunityPolicy::Lose => "it is closed out as lost",
    };
    let approval = settings.approval.as_ref().map_or_else(|| "not known there".to_owned(), approval);
    let currency = if settings.currency.is_empty() { "none: nothing is converted" } else { &settings.currency };
    [required(settings.verification.unwrap_or_default()), won.to_owned(), approval, currency.to_owned()]
}

/// `above 100,000.00 CNY; won opportunities; paid orders without a refund; expires after 14 days`.
fn approval(policy: &ApprovalPolicy) -> String {
    let amounts: Vec<_> = policy.amounts.iter().map(money).collect();
    let above = if amounts.is_empty() { String::new() } else { format!("above {}; ", amounts.join(", ")) };
    let days = counted(policy.expire_days.unsigned_abs().into(), "day", "days");
    format!("{above}for won opportunities, and paid orders without a refund; expires after {days}")
}

/// `required, at most 14 days old`.
fn required(policy: VerificationPolicy) -> String {
    let days = counted(policy.fresh_days.unsigned_abs().into(), "day", "days");
    if policy.required {
        format!("required, at most {days} old")
    } else {
        format!("not required; where a reason requires one, at most {days} old")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &[&str]) -> Result<SettingsArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "settings"], args].concat())?;
        let Command::Settings(args) = cli.command else { panic!("not about settings") };
        Ok(args)
    }

    fn required_by(flags: &[&str]) -> Option<bool> {
        match parse(&[&["set"], flags].concat()).unwrap().action {
            Some(Action::Set(args)) => args.verification_required,
            Some(Action::Show) | None => panic!("sets nothing"),
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        assert!(parse(&[]).unwrap().action.is_none());
        assert!(parse(&["set"]).is_err());
        assert_eq!(required_by(&["--verification-required"]), Some(true));
        assert_eq!(required_by(&["--verification-required=false"]), Some(false));
        assert_eq!(required_by(&["--verification-days", "7"]), None);
    }

    #[test]
    fn a_limit_is_an_amount_with_its_currency_or_none() {
        let money = |units, nanos, currency: &str| Money { currency_code: currency.into(), units, nanos };
        assert_eq!(limit("none"), Ok(Limit::None));
        assert_eq!(limit("99.5 cny"), Ok(Limit::Of(money(99, 500_000_000, "CNY"))));
        assert!(["100", "CNY", "-5 CNY", ""].iter().all(|text| limit(text).is_err()));
    }

    #[test]
    fn a_rule_reads_as_words() {
        assert_eq!(required(VerificationPolicy { required: true, fresh_days: 1 }), "required, at most 1 day old");
        let told = required(VerificationPolicy { required: false, fresh_days: 30 });
        assert_eq!(told, "not required; where a reason requires one, at most 30 days old");
    }
}
