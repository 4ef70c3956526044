//! `closeout search`: orders, opportunities and close-outs by what a person types (a number, a customer's name, a part of either)
//! and by filters; a table for each kind, the best match first.

use super::list::pages;
use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{cut, last_part, money_or_none, or_dash, parse_amount, parse_day, time, to_timestamp, two_lines};
use crate::json;
use crate::screen::{Paint, Screen};
use crate::view;
use clap::{Args, ValueEnum};
use comfy_table::{Cell, Table};
use crm_proto::Money;
use crm_proto::common::{CloseOut, CloseOutState, Match};
use crm_proto::opportunity::{self as sales, opportunity::State as OpportunityState};
use crm_proto::order::{self as trade, order::State as OrderState};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};
use time::Date;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
First come exact numbers, then those that begin so, then customers who are called so, whose name begins so, and whose name
contains it. What matched stands out.

Examples:
  closeout search acme
  closeout search 海康 --what orders --state draft,confirmed
  closeout search SO-2026 --from 2026-01-01 --until 2026-03-31
  closeout search --what opportunities --amount-from 50000 --currency CNY --json | jq .opportunities";

/// Flags of `search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// A number or its beginning, or any part of a customer's name; case and width (ＡＣＭＥ) make no difference. Without it
    /// everything that passes the filters, the newest first.
    #[arg(default_value = "", hide_default_value = true)]
    text: String,
    /// What to search.
    #[arg(long, value_name = "KIND", default_value = "all")]
    what: Kind,
    /// Only in this state, or one of several with commas: draft, confirmed, in-fulfilment, processed, cancelled (orders) /
    /// open, on-hold, won, closed-out (opportunities) / effective, reversed, rejected, expired, withdrawn (close-outs) / close-pending, or
    /// pending-approval for close-outs: waits for a second person.
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only from this day on (UTC): created, or closed for close-outs.
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    from: Option<Date>,
    /// Only up to the end of this day.
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    until: Option<Date>,
    /// Only worth at least this much.
    #[arg(long, value_name = "NUMBER", requires = "currency", value_parser = parse_amount)]
    amount_from: Option<(i64, i32)>,
    /// Only worth at most this much.
    #[arg(long, value_name = "NUMBER", requires = "currency", value_parser = parse_amount)]
    amount_until: Option<(i64, i32)>,
    /// Currency of the amounts, such as CNY.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Only of this customer: `customers/ID`.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only of this owner, or by this actor (close-outs).
    #[arg(long, value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// At most this many of each kind; 0: all.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
}

/// What to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Everything.
    All,
    /// Orders.
    Orders,
    /// Opportunities.
    Opportunities,
    /// Close-outs of both services.
    CloseOuts,
}

/// Searches.
pub(super) async fn run(args: &SearchArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let (mut all, mut count) = (Map::new(), 0);
    for kind in args.kinds()? {
        let found = match kind {
            Kind::Orders => orders(args, api, screen).await?,
            Kind::Opportunities => opportunities(args, api, screen).await?,
            Kind::CloseOuts | Kind::All => close_outs(args, api, screen).await?,
        };
        count += found.count;
        all.insert(found.key.to_owned(), found.json);
    }
    if count == 0 {
        screen.text(&nothing(args))?;
    }
    if screen.json() {
        screen.emit(&Value::Object(all))?;
    }
    Ok(Ending::Done)
}

/// What to say when nothing was found.
fn nothing(args: &SearchArgs) -> String {
    let text = args.text.trim();
    if text.is_empty() {
        return "Nothing passes these filters. Take one of them away, or widen it.".to_owned();
    }
    format!(
        "Nothing was found for `{text}`. It is compared with the beginning of a number and with any part of a customer's name: \
         try fewer letters, or fewer filters. `closeout list customers` lists the names."
    )
}

/// What a search of one kind came to.
struct Found {
    key: &'static str,
    count: usize,
    json: Value,
}

impl SearchArgs {
    /// What to search: what was named, but nothing that is never in the state asked for.
    fn kinds(&self) -> Result<Vec<Kind>, Usage> {
        let mut kinds = vec![Kind::Orders, Kind::Opportunities, Kind::CloseOuts];
        kinds.retain(|kind| (self.what == Kind::All || self.what == *kind) && self.states(*kind).is_some());
        if kinds.is_empty() {
            return Err(Usage(format!("--state {}: see closeout search --help", self.state.join(","))));
        }
        Ok(kinds)
    }

    /// The states asked for, by the words that a person uses; none if the kind does not know one of them.
    fn states(&self, kind: Kind) -> Option<Vec<i32>> {
        let state = |word: &String| {
            let word = word.to_uppercase().replace('-', "_");
            match kind {
                Kind::Orders => OrderState::from_str_name(&format!("STATE_{word}")).map(Into::into),
                Kind::Opportunities => OpportunityState::from_str_name(&format!("STATE_{word}")).map(Into::into),
                Kind::CloseOuts | Kind::All => {
                    CloseOutState::from_str_name(&format!("CLOSE_OUT_STATE_{word}")).map(Into::into)
                }
            }
        };
        self.state.iter().map(state).collect()
    }

    fn from(&self) -> Option<Timestamp> {
        self.from.map(to_timestamp)
    }

    fn until(&self) -> Option<Timestamp> {
        self.until.map(|day| to_timestamp(day.next_day().unwrap_or(day)))
    }

    fn amount(&self, amount: Option<(i64, i32)>) -> Option<Money> {
        let (units, nanos) = amount?;
        Some(Money { currency_code: self.currency.clone().unwrap_or_default(), units, nanos })
    }
}

async fn orders(args: &SearchArgs, api: &Api, screen: &Screen) -> anyhow::Result<Found> {
    let base = trade::SearchOrdersRequest {
        query: args.text.clone(),
        states: args.states(Kind::Orders).unwrap_or_default(),
        customer: args.customer.clone().unwrap_or_default(),
        owner: args.owner.clone().unwrap_or_default(),
        created_from: args.from(),
        created_until: args.until(),
        amount_from: args.amount(args.amount_from),
        amount_until: args.amount(args.amount_until),
        ..Default::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let reply = api.search_orders(trade::SearchOrdersRequest { page_size, page_token, ..base.clone() }).await?;
        Ok((reply.results, reply.next_page_token))
    })
    .await?;
    let mut table = screen.new_table_keeping(&["order", "customer", "state", "total", "owner, created"], &[0, 2, 3]);
    for result in &found {
        let one = result.order.clone().unwrap_or_default();
        let [called, customer] =
            matched(screen, result.r#match(), two_lines(&one.number, &one.name), &result.customer_display_name);
        table.add_row([
            called,
            customer,
            view::order_state(&one).into(),
            money_or_none(one.total.as_ref()).into(),
            two_lines(or_dash(&one.owner), &time(one.create_time.as_ref())).into(),
        ]);
    }
    show("Orders", &table, screen)?;
    Ok(Found { key: "orders", count: found.len(), json: json::list("crm.order.v1.OrderResult", &found)? })
}

async fn opportunities(args: &SearchArgs, api: &Api, screen: &Screen) -> anyhow::Result<Found> {
    let base = sales::SearchOpportunitiesRequest {
        query: args.text.clone(),
        states: args.states(Kind::Opportunities).unwrap_or_default(),
        customer: args.customer.clone().unwrap_or_default(),
        owner: args.owner.clone().unwrap_or_default(),
        created_from: args.from(),
        created_until: args.until(),
        amount_from: args.amount(args.amount_from),
        amount_until: args.amount(args.amount_until),
        ..Default::default()
    };
    let found = pages(args.limit, async |page_size, page_token| {
        let request = sales::SearchOpportunitiesRequest { page_size, page_token, ..base.clone() };
        let reply = api.search_opportunities(request).await?;
        Ok((reply.results, reply.next_page_token))
    })
    .await?;
    let stages = view::Stages::read(api, screen).await?;
    let headings = ["opportunity", "customer", "state, stage", "amount", "owner, created"];
    let mut table = screen.new_table_keeping(&headings, &[0, 2, 3]);
    for result in &found {
        let one = result.opportunity.clone().unwrap_or_default();
        let [called, customer] =
            matched(screen, result.r#match(), two_lines(&one.number, &one.name), &result.customer_display_name);
        table.add_row([
            called,
            customer,
            two_lines(&view::opportunity_state(&one), &stages.called(&one.stage)).into(),
            money_or_none(one.amount.as_ref()).into(),
            two_lines(or_dash(&one.owner), &time(one.create_time.as_ref())).into(),
        ]);
    }
    show("Opportunities", &table, screen)?;
    let json = json::list("crm.opportunity.v1.OpportunityResult", &found)?;
    Ok(Found { key: "opportunities", count: found.len(), json })
}

async fn close_outs(args: &SearchArgs, api: &Api, screen: &Screen) -> anyhow::Result<Found> {
    let sales = sales::SearchCloseOutsRequest {
        query: args.text.clone(),
        states: args.states(Kind::CloseOuts).unwrap_or_default(),
        customer: args.customer.clone().unwrap_or_default(),
        actor: args.owner.clone().unwrap_or_default(),
        closed_from: args.from(),
        closed_until: args.until(),
        amount_from: args.amount(args.amount_from),
        amount_until: args.amount(args.amount_until),
        ..Default::default()
    };
    let trade = trade::SearchCloseOutsRequest {
        query: sales.query.clone(),
        states: sales.states.clone(),
        customer: sales.customer.clone(),
        actor: sales.actor.clone(),
        closed_from: sales.closed_from,
        closed_until: sales.closed_until,
        amount_from: sales.amount_from.clone(),
        amount_until: sales.amount_until.clone(),
        ..Default::default()
    };
    let opportunity = pages(args.limit, async |page_size, page_token| {
        let request = sales::SearchCloseOutsRequest { page_size, page_token, ..sales.clone() };
        let reply = api.search_sales_close_outs(request).await?;
        Ok((reply.results, reply.next_page_token))
    })
    .await?;
    let order = pages(args.limit, async |page_size, page_token| {
        let request = trade::SearchCloseOutsRequest { page_size, page_token, ..trade.clone() };
        let reply = api.search_trade_close_outs(request).await?;
        Ok((reply.results, reply.next_page_token))
    })
    .await?;
    let mut table = screen.new_table_keeping(&["close-out, of", "customer", "outcome, reason", "when, by"], &[0]);
    for result in &opportunity {
        table.add_row(close_out(screen, result.r#match(), &result.customer_display_name, result.close_out.as_ref()));
    }
    for result in &order {
        table.add_row(close_out(screen, result.r#match(), &result.customer_display_name, result.close_out.as_ref()));
    }
    show("Close-outs", &table, screen)?;
    let json = json!({
        "opportunity": json::list("crm.opportunity.v1.CloseOutResult", &opportunity)?,
        "order": json::list("crm.order.v1.CloseOutResult", &order)?,
    });
    Ok(Found { key: "close_outs", count: opportunity.len() + order.len(), json })
}

fn close_out(screen: &Screen, found: Match, customer: &str, close_out: Option<&CloseOut>) -> [Cell; 4] {
    let one = close_out.cloned().unwrap_or_default();
    let [called, customer] = matched(screen, found, two_lines(&one.name, &one.subject), customer);
    [
        called,
        customer,
        two_lines(&view::outcome(&one), last_part(&one.reason)).into(),
        two_lines(&time(one.close_time.as_ref()), &one.actor).into(),
    ]
}

/// What a record is called and its customer; the one that matched stands out.
fn matched(screen: &Screen, found: Match, called: String, customer: &str) -> [Cell; 2] {
    let customer = cut(or_dash(customer), 30);
    match found {
        Match::Number | Match::NumberPrefix => [screen.cell(Paint::Changed, called), customer.into()],
        Match::Name | Match::NamePrefix | Match::NameContained => {
            [called.into(), screen.cell(Paint::Changed, customer)]
        }
        Match::Unspecified => [called.into(), customer.into()],
    }
}

fn show(heading: &str, table: &Table, screen: &Screen) -> anyhow::Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    screen.heading(heading)?;
    screen.table(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &[&str]) -> SearchArgs {
        let cli = Cli::try_parse_from([&["closeout", "search"], line].concat()).unwrap();
        let Command::Search(args) = cli.command else { panic!("not a search") };
        args
    }

    #[test]
    fn a_state_leaves_only_the_kinds_that_know_it() {
        assert_eq!(args(&["acme"]).kinds().unwrap().len(), 3);
        assert_eq!(args(&["acme", "--state", "draft,confirmed"]).kinds().unwrap(), [Kind::Orders]);
        assert_eq!(args(&["--state", "closed-out"]).kinds().unwrap(), [Kind::Opportunities]);
        assert!(args(&["acme", "--state", "gone"]).kinds().is_err());
    }

    #[test]
    fn amounts_are_exact_and_days_are_whole() {
        assert_eq!(
            ["1200", "99.50", "0.000000001"].map(parse_amount),
            [Ok((1_200, 0)), Ok((99, 500_000_000)), Ok((0, 1))]
        );
        assert!(["", "1,5", "-1", "1e3", "1.0000000001"].iter().all(|text| parse_amount(text).is_err()));
        let args = args(&["--from", "2026-01-31", "--until", "2026-01-31"]);
        assert_eq!(args.until().unwrap().seconds - args.from().unwrap().seconds, 86_400);
        assert!(Cli::try_parse_from(["closeout", "search", "--amount-from", "5"]).is_err());
    }
}
