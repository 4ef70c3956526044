//! `closeout rates`: what currencies are worth, and from when on.

use super::list::pages;
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{parse_moment, time};
use crate::screen::{Paint, Screen};
use crate::{json, request_id, view};
use anyhow::Context;
use clap::{Args, Subcommand};
use crm_proto::common::{Propagation, Wait};
use crm_proto::opportunity::{
    DeleteExchangeRateRequest, ExchangeRate, GetSettingsRequest, ListExchangeRatesRequest, SetExchangeRateRequest,
};
use prost_types::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Full name of a rate in the protos.
const RATE: &str = "crm.opportunity.v1.ExchangeRate";

/// What follows the help of `rates`.
pub(crate) const EXAMPLES: &str = "\
A rate says what a unit of a currency is worth in the tenant's currency (closeout settings set --currency CNY), from a time on
until the next one. A close-out keeps the rate of the day when it was closed out, which may lie in the past; no later change of
rates changes it. Without a rate it is closed out all the same, and reports count it apart. The order service gets a copy.

Examples:
  closeout rates
  closeout rates set USD 7.1234 --from 2026-01-01
  closeout rates set USD 7.0912 --from 2026-04-01T00:00:00+08:00
  closeout rates set JPY 0.0481                    from today (UTC) on
  closeout rates set USD 0.92 --to EUR --from 2026-01-01
  closeout rates --currency USD
  closeout rates delete USD --from 2026-01-01";

/// Flags of `rates`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RatesArgs {
    /// What to do [default: list them].
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

/// What to do with rates.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them by currency and time; what counts now stands out.
    List(ListArgs),
    /// Says what a unit of a currency is worth from a time on; takes the place of a rate of that very time.
    Set(SetArgs),
    /// Deletes a rate, so that the one before it goes on.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this currency.
    #[arg(long, value_name = "CURRENCY", value_parser = code)]
    currency: Option<String>,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The currency, such as USD.
    #[arg(value_parser = code)]
    currency: String,
    /// What a unit of it is worth, such as 7.1234: at most 6 digits before the point and 12 after it.
    rate: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// The currency, or `exchangeRates/ID`.
    rate: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
struct Of {
    /// From when on: a day, which begins at midnight (UTC), or RFC 3339 [default: today].
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    from: Option<Timestamp>,
    /// In which currency [default: the tenant's].
    #[arg(long, value_name = "CURRENCY", value_parser = code)]
    to: Option<String>,
}

impl Of {
    fn from(&self) -> Timestamp {
        self.from.unwrap_or_else(|| {
            let now = Timestamp::from(SystemTime::now()).seconds;
            Timestamp { seconds: now - now.rem_euclid(86_400), nanos: 0 }
        })
    }
}

/// Three letters, in capitals.
fn code(text: &str) -> Result<String, String> {
    let letters = text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    if letters { Ok(text.to_uppercase()) } else { Err("a currency, such as USD".to_owned()) }
}

/// Does what the command line says.
pub(super) async fn run(args: &RatesArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match args.action.as_ref() {
        None => list(&args.list, api, screen).await,
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Set(args)) => set(args, api, screen).await,
        Some(Action::Delete(args)) => delete(args, api, screen).await,
    }
}

async fn read(currency: &str, api: &Api) -> anyhow::Result<Vec<ExchangeRate>> {
    let page = async |page_size, page_token| {
        let request = ListExchangeRatesRequest { page_size, page_token, currency: currency.to_owned() };
        let reply = api.list_exchange_rates(request).await?;
        Ok((reply.exchange_rates, reply.next_page_token))
    };
    Ok(pages(0, page).await?)
}

async fn list(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let rates = read(args.currency.as_deref().unwrap_or_default(), api).await?;
    if screen.json() {
        screen.emit(&json!({ "exchange_rates": json::list(RATE, &rates)? }))?;
    }
    table(&rates, screen)?;
    Ok(Ending::Done)
}

async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let exchange_rate = ExchangeRate {
        currency: args.currency.clone(),
        to_currency: args.of.to.clone().unwrap_or_default(),
        effective_time: Some(args.of.from()),
        rate: args.rate.clone(),
        ..ExchangeRate::default()
    };
    let request = SetExchangeRateRequest {
        exchange_rate: Some(exchange_rate),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..SetExchangeRateRequest::default()
    };
    let reply = api.set_exchange_rate(request).await?;
    let propagation = reply.propagation();
    show("The rate is kept", &there(reply.exchange_rate)?, propagation, screen)
}

async fn delete(args: &DeleteArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let name = if args.rate.starts_with("exchangeRates/") { args.rate.clone() } else { find(args, api).await? };
    let request = DeleteExchangeRateRequest {
        name,
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..DeleteExchangeRateRequest::default()
    };
    let reply = api.delete_exchange_rate(request).await?;
    let propagation = reply.propagation();
    show("The rate is deleted", &there(reply.exchange_rate)?, propagation, screen)
}

/// The name of the rate that is meant by its currencies and time.
async fn find(args: &DeleteArgs, api: &Api) -> anyhow::Result<String> {
    let currency = code(&args.rate).map_err(|_| Usage("a currency, such as USD, or `exchangeRates/ID`".to_owned()))?;
    let from = args.of.from();
    let to = match &args.of.to {
        Some(to) => to.clone(),
        None => api.get_sales_settings(GetSettingsRequest {}).await?.settings.unwrap_or_default().currency,
    };
    if to.is_empty() {
        return Err(Usage("the tenant has no currency of its own: say --to".to_owned()).into());
    }
    let all = read(&currency, api).await?;
    let meant = |rate: &&ExchangeRate| rate.effective_time == Some(from) && rate.to_currency == to;
    let none = || Usage(format!("{currency} has no rate in {to} from {} on: closeout rates", time(Some(&from))));
    Ok(all.iter().find(meant).ok_or_else(none)?.name.clone())
}

fn there(rate: Option<ExchangeRate>) -> anyhow::Result<ExchangeRate> {
    rate.context("a reply without its rate")
}

fn show(done: &str, rate: &ExchangeRate, propagation: Propagation, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        let (rate, propagation) = (json::message(RATE, rate)?, propagation.as_str_name());
        screen.emit(&json!({ "exchange_rate": rate, "propagation": propagation }))?;
    }
    screen.line(&format!("{done}: {}.", view::how_far(propagation, "order service")))?;
    if !rate.rate.is_empty() {
        table(std::slice::from_ref(rate), screen)?;
    }
    Ok(Ending::Done)
}

fn table(rates: &[ExchangeRate], screen: &Screen) -> anyhow::Result<()> {
    let now = in_force(rates, Timestamp::from(SystemTime::now()).seconds);
    let mut table = screen.new_table_keeping(&["a unit of", "is worth", "from", "rate"], &[0, 1, 3]);
    for rate in rates {
        let counts = now.contains(&rate.name.as_str());
        table.add_row([
            screen.cell(if counts { Paint::Strong } else { Paint::Dim }, &rate.currency),
            format!("{} {}", rate.rate, rate.to_currency).into(),
            time(rate.effective_time.as_ref()).into(),
            rate.name.as_str().into(),
        ]);
    }
    screen.table(&table)
}

/// Names of the rates that count now, of each pair of currencies one; they are listed in the order of their times.
fn in_force(rates: &[ExchangeRate], now: i64) -> Vec<&str> {
    let begun = rates.iter().filter(|rate| rate.effective_time.is_some_and(|from| from.seconds <= now));
    let newest: BTreeMap<_, _> = begun.map(|rate| ((&rate.to_currency, &rate.currency), rate.name.as_str())).collect();
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &[&str]) -> Result<RatesArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "rates"], args].concat())?;
        let Command::Rates(args) = cli.command else { panic!("not about rates") };
        Ok(args)
    }

    #[test]
    fn without_a_subcommand_they_are_listed_and_a_currency_is_three_letters() {
        let args = parse(&["--currency", "usd"]).unwrap();
        assert_eq!((args.action.is_none(), args.list.currency.as_deref()), (true, Some("USD")));
        assert!(parse(&["--currency", "US"]).is_err());
        assert!(parse(&["set", "USD"]).is_err());
        let set = parse(&["set", "usd", "7.1", "--from", "2026-01-01"]).unwrap();
        let Some(Action::Set(set)) = set.action else { panic!("sets nothing") };
        assert_eq!((&*set.currency, &*set.rate, set.of.from().seconds), ("USD", "7.1", 1_767_225_600));
        let today = parse(&["delete", "USD"]).unwrap();
        let Some(Action::Delete(today)) = today.action else { panic!("deletes nothing") };
        assert_eq!(today.of.from().seconds % 86_400, 0);
    }

    #[test]
    fn the_newest_that_has_begun_counts() {
        let rate = |name: &str, currency: &str, seconds| ExchangeRate {
            name: name.into(),
            currency: currency.into(),
            to_currency: "CNY".into(),
            effective_time: Some(Timestamp { seconds, nanos: 0 }),
            ..ExchangeRate::default()
        };
        let rates = [rate("a", "EUR", 9), rate("b", "USD", 1), rate("c", "USD", 5), rate("d", "USD", 9)];
        assert_eq!(in_force(&rates, 8), ["c"]);
        assert_eq!(in_force(&rates, 9), ["a", "d"]);
    }
}
