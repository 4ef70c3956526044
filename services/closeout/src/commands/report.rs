//! `closeout report`: what was closed out in some time, counted by reason, owner or something else; the rows add up to the total.

use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{
    amount, count, counted, label, last_part, money, or_dash, parse_day, time, to_timestamp, two_lines,
};
use crate::screen::{Paint, Screen};
use crate::{json, view};
use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment};
use crm_proto::common::{Outcome, ReportDimension, ReportRow, Side};
use crm_proto::{opportunity as sales, order as trade};
use prost_types::Timestamp;
use serde_json::json;
use std::time::SystemTime;
use time::{Date, Duration, OffsetDateTime};

/// What follows the help of `report`.
pub(crate) const EXAMPLES: &str = "\
Close-outs that were taken back are counted by themselves. Owner, team and class are those at the close; a reason that was
merged into another counts there, and so does a competitor. Where the tenant has a currency (closeout settings), amounts are
added up in it, too, by the rates that close-outs kept (closeout rates). A report is about 366 days at most.

Examples:
  closeout report --by reason --locale zh-CN
  closeout report --by owner                       among other things the share of verified close-outs by owner
  closeout report --by owner --json | \\
    jq '.rows[] | select(.count > 0) | {owner: .value, unverified: (1 - .verified_count / .count)}'
  closeout report --by category --since 2026-01-01 --until 2026-03-31
  closeout report --by competitor
  closeout report --by group                       customers that were closed out as a whole
  closeout report --by team --side orders --outcome processed";

/// Days of a report where none are given.
const DAYS: i64 = 365;

/// Flags of `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// What to count by.
    #[arg(long)]
    by: By,
    /// Closed on this day (UTC) or later [default: 365 days before --until].
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    since: Option<Date>,
    /// Closed up to the end of this day [default: now].
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    until: Option<Date>,
    /// How it ended [default: lost for opportunities, cancelled for orders].
    #[arg(long)]
    outcome: Option<Ended>,
    /// Of which service [default: the one that --outcome belongs to, else sales].
    #[arg(long)]
    side: Option<Of>,
    /// Language of the labels of reasons, such as `en` or `zh-CN`.
    #[arg(long, default_value = "en")]
    locale: String,
}

/// What to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The reason.
    Reason,
    /// The category of the reason, as it is now.
    Category,
    /// The class of the reason, as it was at the close.
    Class,
    /// The owner at the close.
    Owner,
    /// The team at the close.
    Team,
    /// The competitor that was named; opportunities only.
    Competitor,
    /// The close-out of a whole customer that it is a part of.
    Group,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ended {
    /// An opportunity was lost.
    Lost,
    /// An order was cancelled.
    Cancelled,
    /// An order was done.
    Processed,
}

/// Of which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Opportunities.
    Sales,
    /// Orders.
    Orders,
}

/// What a service is asked.
#[derive(Debug, PartialEq)]
struct Asked {
    side: Side,
    outcome: Outcome,
    from: Timestamp,
    until: Timestamp,
}

impl ReportArgs {
    fn asked(&self, now: OffsetDateTime) -> Result<Asked, Usage> {
        let belongs = match self.outcome {
            Some(Ended::Lost) => Some(Of::Sales),
            Some(Ended::Cancelled | Ended::Processed) => Some(Of::Orders),
            None => None,
        };
        if belongs.is_some_and(|of| self.side.is_some_and(|side| side != of)) {
            return Err(Usage("--outcome: opportunities are lost, orders are cancelled or processed".to_owned()));
        }
        let side = match self.side.or(belongs) {
            Some(Of::Orders) => Side::Order,
            Some(Of::Sales) | None => Side::Opportunity,
        };
        let outcome = match self.outcome {
            Some(Ended::Processed) => Outcome::Processed,
            None | Some(Ended::Lost | Ended::Cancelled) if side == Side::Order => Outcome::Cancelled,
            None | Some(Ended::Lost | Ended::Cancelled) => Outcome::Lost,
        };
        let since =
            self.since.unwrap_or_else(|| self.until.unwrap_or_else(|| now.date()).saturating_sub(Duration::days(DAYS)));
        let until = self
            .until
            .map_or_else(|| SystemTime::from(now).into(), |day| to_timestamp(day.saturating_add(Duration::days(1))));
        Ok(Asked { side, outcome, from: to_timestamp(since), until })
    }
}

/// Counts and shows.
pub(super) async fn run(args: &ReportArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let asked = args.asked(OffsetDateTime::now_utc())?;
    let (rows, total) = read(args, &asked, api).await?;
    let outcome = label(asked.outcome.as_str_name(), "OUTCOME_");
    let (from, until) = (time(Some(&asked.from)), time(Some(&Timestamp { nanos: 0, ..asked.until })));
    if screen.json() {
        const ROW: &str = "crm.common.v1.ReportRow";
        screen.emit(&json!({
            "side": view::side_name(asked.side), "outcome": outcome, "by": args.by.word(),
            "closed_from": asked.from.to_string(), "closed_until": asked.until.to_string(),
            "rows": json::list(ROW, &rows)?, "total": json::message(ROW, &total)?,
        }))?;
    }
    screen.note(&format!("{outcome}, closed from {from} until {until} (UTC), by {}", args.by.word()))?;
    table(args.by, &rows, &total, screen)?;
    Ok(Ending::Done)
}

async fn read(args: &ReportArgs, asked: &Asked, api: &Api) -> anyhow::Result<(Vec<ReportRow>, ReportRow)> {
    let (dimension, outcome, locale) =
        (ReportDimension::from(args.by).into(), asked.outcome.into(), args.locale.clone());
    let (closed_from, closed_until) = (Some(asked.from), Some(asked.until));
    let (rows, total) = if asked.side == Side::Order {
        let request = trade::ReportCloseOutsRequest { dimension, closed_from, closed_until, outcome, locale };
        let reply = api.report_trade_close_outs(request).await?;
        (reply.rows, reply.total)
    } else {
        let request = sales::ReportCloseOutsRequest { dimension, closed_from, closed_until, outcome, locale };
        let reply = api.report_sales_close_outs(request).await?;
        (reply.rows, reply.total)
    };
    Ok((rows, total.unwrap_or_default()))
}

fn table(by: By, rows: &[ReportRow], total: &ReportRow, screen: &Screen) -> anyhow::Result<()> {
    // Of a tenant with a currency the sum in it, too.
    let own = total.tenant_amount.as_ref().map(|total| format!("in {}", total.currency_code));
    let headings =
        [Some(by.word()), Some("close-outs"), Some("worth"), own.as_deref(), Some("verified"), Some("reversed")];
    let headings: Vec<_> = headings.into_iter().flatten().collect();
    let mut table = screen.new_table_keeping(&headings, &(1..headings.len()).collect::<Vec<_>>());
    for row in rows {
        // A competitor is known by what it is called, a reason by its code.
        let named = match by {
            By::Competitor if !row.label.is_empty() => row.label.clone(),
            By::Group => two_lines(or_dash(&row.label), &row.value),
            By::Competitor | By::Reason | By::Category | By::Class | By::Owner | By::Team => {
                two_lines(or_dash(last_part(&row.value)), &row.label)
            }
        };
        table.add_row(cells(named.into(), row));
    }
    table.add_row(cells(screen.cell(Paint::Strong, "total"), total));
    screen.table(&table)?;
    match (&total.tenant_amount, total.unconverted_count) {
        (Some(own), left @ 1..) => screen.note(&format!(
            "{} kept no rate to {}: closed out before there was one, or when the tenant had another currency or none.",
            counted(left.unsigned_abs(), "close-out", "close-outs"),
            own.currency_code
        )),
        _ => Ok(()),
    }
}

fn cells(value: Cell, row: &ReportRow) -> Vec<Cell> {
    let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let amounts: Vec<_> = row.amounts.iter().map(money).collect();
    let mut cells =
        vec![value, number(count(row.count.unsigned_abs())), number(or_dash(&amounts.join("\n")).to_owned())];
    if let Some(own) = &row.tenant_amount {
        let left = row.unconverted_count.unsigned_abs();
        let left = if left == 0 { String::new() } else { format!("without {}", count(left)) };
        cells.push(number(two_lines(&amount(own), &left)));
    }
    cells.push(number(share(row.verified_count, row.count)));
    cells.push(number(count(row.reversed_count.unsigned_abs())));
    cells
}

/// `66.7 %`; a dash where there is nothing of which it could be a share.
fn share(part: i64, whole: i64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

impl By {
    fn word(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Category => "category",
            Self::Class => "class",
            Self::Owner => "owner",
            Self::Team => "team",
            Self::Competitor => "competitor",
            Self::Group => "group",
        }
    }
}

impl From<By> for ReportDimension {
    fn from(by: By) -> Self {
        match by {
            By::Reason => Self::Reason,
            By::Category => Self::Category,
            By::Class => Self::OutcomeClass,
            By::Owner => Self::Owner,
            By::Team => Self::Team,
            By::Competitor => Self::Competitor,
            By::Group => Self::Group,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use time::macros::datetime;

    fn asked(flags: &[&str]) -> Result<Asked, Usage> {
        let cli = Cli::try_parse_from([&["closeout", "report", "--by", "owner"], flags].concat()).unwrap();
        let Command::Report(args) = cli.command else { panic!("not a report") };
        args.asked(datetime!(2026-11-27 10:30 UTC))
    }

    #[test]
    fn a_report_is_about_the_last_365_days_of_sales_unless_something_else_is_said() {
        let days = |flags: &[&str]| {
            let asked = asked(flags).unwrap();
            [asked.from, asked.until].map(|at| time(Some(&at)))
        };
        assert_eq!(days(&[]), ["2025-11-27", "2026-11-27 10:30:00"]);
        assert_eq!(days(&["--until", "2026-03-31"]), ["2025-03-31", "2026-04-01"]);
        assert_eq!(days(&["--since", "2026-01-01", "--until", "2026-01-01"]), ["2026-01-01", "2026-01-02"]);
    }

    #[test]
    fn an_outcome_belongs_to_a_side() {
        let of = |flags: &[&str]| asked(flags).map(|asked| (asked.side, asked.outcome));
        assert_eq!(of(&[]).unwrap(), (Side::Opportunity, Outcome::Lost));
        assert_eq!(of(&["--side", "orders"]).unwrap(), (Side::Order, Outcome::Cancelled));
        assert_eq!(of(&["--outcome", "processed"]).unwrap(), (Side::Order, Outcome::Processed));
        assert!(of(&["--outcome", "lost", "--side", "orders"]).is_err());
        assert!(of(&["--outcome", "cancelled", "--side", "sales"]).is_err());
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!([share(2, 3), share(0, 4), share(0, 0)], ["66.7 %", "0.0 %", "-"]);
    }
}
