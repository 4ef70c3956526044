//! `closeout win-back audience`: lost customers that a campaign may reach, as a table, as JSON and as CSV.

use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::format::{
    counted, cut, decimal, label, last_part, money_or_none, or_dash, parse_moment, parse_money, time, two_lines,
};
use crate::json;
use crate::screen::Screen;
use clap::Args;
use crm_proto::Money;
use crm_proto::opportunity::{AudienceMember, ExportAudienceRequest};
use futures::TryStreamExt;
use prost_types::Timestamp;
use std::io::{self, Write};

/// Full name of a member in the protos.
const MEMBER: &str = "crm.opportunity.v1.AudienceMember";
/// The columns of an audience as CSV.
const COLUMNS: [&str; 11] = [
    "customer",
    "display_name",
    "tier",
    "owner",
    "lifecycle",
    "loss_count",
    "amounts",
    "reasons",
    "last_loss_time",
    "last_contact_time",
    "win_back_time",
];

/// Flags of `win-back audience`.
#[derive(Debug, Args)]
pub(super) struct AudienceArgs {
    /// Only lost for this reason, or one that was merged into it; may be said again for others.
    #[arg(long = "reason", value_name = "CODE")]
    pub(super) reasons: Vec<String>,
    /// Only lost at this time or later: a day, or RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) since: Option<Timestamp>,
    /// Only lost before this.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) until: Option<Timestamp>,
    /// Only where what was lost was worth at least this: `10000 CNY`.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    pub(super) amount_from: Option<Money>,
    /// And at most this.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    pub(super) amount_until: Option<Money>,
    /// Only customers whom this principal looks after.
    #[arg(long, value_name = "PRINCIPAL", default_value = "")]
    pub(super) owner: String,
    /// Only customers of this tier.
    #[arg(long, default_value = "")]
    pub(super) tier: String,
    /// Only customers of whom no contact is recorded since.
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    pub(super) not_contacted_since: Option<Timestamp>,
    /// Print CSV with a header, a line for each customer.
    #[arg(long)]
    pub(super) csv: bool,
}

/// Does what the command line says.
pub(super) async fn run(args: &AudienceArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    if args.csv && screen.json() {
        return Err(Usage("either --csv or --json".to_owned()).into());
    }
    let name = |code: &String| match code.starts_with("closeOutReasons/") {
        true => code.clone(),
        false => format!("closeOutReasons/{}", code.to_uppercase()),
    };
    let request = ExportAudienceRequest {
        reasons: args.reasons.iter().map(name).collect(),
        closed_from: args.since,
        closed_until: args.until,
        amount_from: args.amount_from.clone(),
        amount_until: args.amount_until.clone(),
        owner: args.owner.clone(),
        tier: args.tier.clone(),
        not_contacted_since: args.not_contacted_since,
    };
    let mut parts = api.export_audience(request).await?;
    let mut csv = csv::Writer::from_writer(io::stdout());
    if args.csv {
        csv.write_record(COLUMNS).map_err(io::Error::from)?;
    }
    let mut table =
        screen.new_table_keeping(&["customer", "tier, owner", "lost", "for", "last loss, contact"], &[0, 4]);
    let mut members = 0;
    let spinner = screen.spinner("reading");
    while let Some(part) = parts.try_next().await? {
        for member in &part.members {
            members += 1;
            spinner.set_message(counted(members, "customer", "customers"));
            if args.csv {
                csv.write_record(line(member)).map_err(io::Error::from)?;
            } else if screen.json() {
                screen.emit_line(&json::message(MEMBER, member)?)?;
            } else {
                table.add_row(cells(member));
            }
        }
    }
    spinner.finish_and_clear();
    csv.flush()?;
    if !args.csv {
        screen.table(&table)?;
        screen.line(&format!("{}.", counted(members, "customer", "customers")))?;
    }
    io::stdout().flush()?;
    Ok(Ending::Done)
}

fn codes(member: &AudienceMember) -> String {
    member.reasons.iter().map(|name| last_part(name)).collect::<Vec<_>>().join(" ")
}

fn cells(member: &AudienceMember) -> [String; 5] {
    let amounts = member.amounts.iter().map(|amount| money_or_none(Some(amount))).collect::<Vec<_>>().join(", ");
    [
        two_lines(&cut(&member.display_name, 46), &member.customer),
        two_lines(or_dash(&member.tier), &member.owner),
        two_lines(&counted(member.loss_count.unsigned_abs().into(), "loss", "losses"), &amounts),
        codes(member),
        two_lines(&time(member.last_loss_time.as_ref()), &time(member.last_contact_time.as_ref())),
    ]
}

/// The line of a customer in CSV, by [`COLUMNS`].
fn line(member: &AudienceMember) -> [String; 11] {
    let time = |at: &Option<Timestamp>| at.as_ref().map_or_else(String::new, ToString::to_string);
    let amounts = member.amounts.iter().map(|amount| format!("{} {}", decimal(amount), amount.currency_code));
    [
        member.customer.clone(),
        no_formula(&member.display_name),
        no_formula(&member.tier),
        no_formula(&member.owner),
        label(member.lifecycle().as_str_name(), "LIFECYCLE_"),
        member.loss_count.to_string(),
        amounts.collect::<Vec<_>>().join(" "),
        codes(member),
        time(&member.last_loss_time),
        time(&member.last_contact_time),
        time(&member.win_back_time),
    ]
}

/// A text that no spreadsheet takes for a formula.
fn no_formula(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_entered_is_no_formula() {
        assert_eq!(no_formula("=1+1"), "'=1+1");
        assert_eq!(no_formula("海康 @ 1"), "海康 @ 1");
    }
}
