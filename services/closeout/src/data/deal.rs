//! The rules for one row of the pipeline: what is mended, what is refused, what a value is.

use super::names::{Found, Names, principal, spelling};
use super::{DealRow, FileReport, Problem, Stage};
use time::{Date, macros::format_description};

/// Columns of sales_pipeline.csv, in the order in which `deal` takes their cells.
pub(super) const COLUMNS: [&str; 8] =
    ["opportunity_id", "sales_agent", "product", "account", "deal_stage", "engage_date", "close_date", "close_value"];

/// What the rows of the pipeline refer to.
#[derive(Debug)]
pub(super) struct References {
    /// Products with their list price in minor units.
    pub(super) products: Names<i64>,
    /// Sales people with their office.
    pub(super) people: Names<String>,
    /// Accounts.
    pub(super) accounts: Names<()>,
}

/// Judges one row. Mended cells are noted in `report`, even where the row is refused for another one.
pub(super) fn deal(
    line: u64,
    cells: &[String],
    known: &References,
    report: &mut FileReport,
    today: Date,
) -> Result<DealRow, Problem> {
    let [number, agent, product, account, stage, engaged, closed, value] = cells else {
        return Err(Problem { column: None, reason: format!("{} cells instead of {}", cells.len(), COLUMNS.len()) });
    };
    if number.is_empty() || number.chars().count() > 64 {
        return Err(Problem::new("opportunity_id", "1 to 64 characters are needed"));
    }
    let (agent, team) = look_up(&known.people, "sales_agent", agent, "sales_teams.csv", report)?;
    let (product, list_price) = look_up(&known.products, "product", product, "products.csv", report)?;
    let customer = match account.as_str() {
        "" => None,
        account => Some(look_up(&known.accounts, "account", account, "accounts.csv", report)?.0),
    };
    let stage = parse_stage(stage)?;
    let engaged = parse_date("engage_date", engaged, today)?;
    let closed = parse_date("close_date", closed, today)?;
    check_dates(stage, engaged, closed)?;
    if stage == Stage::Won && customer.is_none() {
        return Err(Problem::new("account", "is empty, but a won row needs one for its order"));
    }
    let (amount, estimated) = worth(stage, value, *list_price)?;
    let (owner, team) = (principal(&agent), team.clone());
    Ok(DealRow {
        line,
        number: number.clone(),
        product,
        customer,
        owner,
        team,
        stage,
        engaged,
        closed,
        amount,
        estimated,
    })
}

fn look_up<'a, T>(
    names: &'a Names<T>,
    column: &'static str,
    name: &str,
    file: &str,
    report: &mut FileReport,
) -> Result<(String, &'a T), Problem> {
    match names.find(name) {
        Found::Exact(value) => Ok((name.to_owned(), value)),
        Found::Mended(right, value) => {
            report.mend(column, name, right);
            Ok((right.to_owned(), value))
        }
        Found::Unknown if name.is_empty() => Err(Problem::new(column, "is empty")),
        Found::Unknown => Err(Problem::new(column, format!("`{name}` is not in {file}"))),
    }
}

fn parse_stage(text: &str) -> Result<Stage, Problem> {
    match text {
        "Prospecting" => Ok(Stage::Prospecting),
        "Engaging" => Ok(Stage::Engaging),
        "Won" => Ok(Stage::Won),
        "Lost" => Ok(Stage::Lost),
        _ => Err(Problem::new("deal_stage", format!("`{text}` is none of Prospecting, Engaging, Won, Lost"))),
    }
}

fn parse_date(column: &'static str, text: &str, today: Date) -> Result<Option<Date>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| Problem::new(column, format!("`{text}` is no date (YYYY-MM-DD)")))?;
    if date > today {
        return Err(Problem::new(column, format!("`{text}` lies in the future")));
    }
    Ok(Some(date))
}

fn check_dates(stage: Stage, engaged: Option<Date>, closed: Option<Date>) -> Result<(), Problem> {
    let ended = matches!(stage, Stage::Won | Stage::Lost);
    match (engaged, closed) {
        (None, _) if stage != Stage::Prospecting => {
            Err(Problem::new("engage_date", format!("is empty, but it is {stage:?}")))
        }
        (_, None) if ended => Err(Problem::new("close_date", format!("is empty, but it is {stage:?}"))),
        (_, Some(_)) if !ended => Err(Problem::new("close_date", format!("is set, but it is {stage:?}"))),
        (Some(engaged), Some(closed)) if closed < engaged => {
            Err(Problem::new("close_date", format!("{closed} is before engage_date {engaged}")))
        }
        _ => Ok(()),
    }
}

/// What an opportunity is worth: its close value; where the row carries none, the product's list price.
fn worth(stage: Stage, value: &str, list_price: i64) -> Result<(i64, bool), Problem> {
    if value.is_empty() && stage == Stage::Won {
        return Err(Problem::new("close_value", "is empty, but it is Won"));
    }
    let value = if value.is_empty() { 0 } else { minor_units("close_value", value)? };
    if value == 0 && stage != Stage::Won { Ok((list_price, true)) } else { Ok((value, false)) }
}

/// An amount such as `4821` or `4821.50` in minor units.
pub(super) fn minor_units(column: &'static str, text: &str) -> Result<i64, Problem> {
    let wrong = || Problem::new(column, format!("`{text}` is no amount"));
    let (units, cents) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(units) || !digits(cents) || cents.len() > 2 {
        return Err(wrong());
    }
    let cents: i64 = format!("{cents:0<2}").parse().map_err(|_| wrong())?;
    let units: i64 = units.parse().map_err(|_| wrong())?;
    units.checked_mul(100).and_then(|minor| minor.checked_add(cents)).ok_or_else(wrong)
}

/// Notes a word of a column that is not taken if it is spelt wrongly.
pub(super) fn mend_spelling(column: &'static str, word: &str, report: &mut FileReport) {
    if let Some(right) = spelling(word) {
        report.mend(column, word, right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    fn judge(row: &str) -> (Result<DealRow, Problem>, u64) {
        let mut known = References { products: Names::new(), people: Names::new(), accounts: Names::new() };
        known.products.add("GTX Pro", 482_100);
        known.people.add("Moses Frase", "Central".to_owned());
        known.accounts.add("Cancity", ());
        let cells: Vec<String> = row.split(',').map(str::to_owned).collect();
        let mut report = FileReport::default();
        let deal = deal(7, &cells, &known, &mut report, date!(2018 - 01 - 01));
        (deal, report.mended_cells())
    }

    fn refused(row: &str) -> (Option<&'static str>, String) {
        let problem = judge(row).0.unwrap_err();
        (problem.column, problem.reason)
    }

    #[test]
    fn a_won_row_keeps_its_value_and_dates_and_its_product_is_mended() {
        let (deal, mended) = judge("Z06,Moses Frase,GTXPro,Cancity,Won,2016-10-25,2017-03-11,4514");
        let deal = deal.unwrap();
        assert_eq!((deal.product.as_str(), deal.amount, deal.estimated, mended), ("GTX Pro", 451_400, false, 1));
        assert_eq!((deal.owner.as_str(), deal.team.as_str()), ("moses.frase", "Central"));
        assert_eq!((deal.engaged, deal.closed), (Some(date!(2016 - 10 - 25)), Some(date!(2017 - 03 - 11))));
        assert_eq!(deal.title(), "GTX Pro for Cancity");
    }

    #[test]
    fn a_row_without_a_value_is_worth_the_list_price() {
        let lost = judge("A,Moses Frase,GTX Pro,Cancity,Lost,2016-10-25,2017-03-11,0").0.unwrap();
        assert_eq!((lost.amount, lost.estimated), (482_100, true));
        let open = judge("A,Moses Frase,GTX Pro,,Prospecting,,,").0.unwrap();
        assert_eq!((open.amount, open.customer, open.engaged), (482_100, None, None));
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_column() {
        assert_eq!(
            refused("A,Nobody,GTX Pro,,Prospecting,,,0"),
            (Some("sales_agent"), "`Nobody` is not in sales_teams.csv".to_owned())
        );
        assert_eq!(refused("A,Moses Frase,Abacus,,Prospecting,,,0").0, Some("product"));
        assert_eq!(refused("A,Moses Frase,GTX Pro,Atlantis,Prospecting,,,0").0, Some("account"));
        assert_eq!(refused("A,Moses Frase,GTX Pro,Cancity,Maybe,,,0").0, Some("deal_stage"));
    }

    #[test]
    fn dates_must_be_dates_of_the_past_and_in_order() {
        for (row, column) in [
            ("A,Moses Frase,GTX Pro,Cancity,Won,2016-13-01,2017-03-11,1", "engage_date"),
            ("A,Moses Frase,GTX Pro,Cancity,Engaging,,,1", "engage_date"),
            ("A,Moses Frase,GTX Pro,Cancity,Won,2016-10-01,,1", "close_date"),
            ("A,Moses Frase,GTX Pro,Cancity,Won,2017-10-01,2017-03-11,1", "close_date"),
            ("A,Moses Frase,GTX Pro,Cancity,Engaging,2016-10-01,2017-03-11,1", "close_date"),
            ("A,Moses Frase,GTX Pro,Cancity,Engaging,2019-10-01,,1", "engage_date"),
        ] {
            assert_eq!(refused(row).0, Some(column), "{row}");
        }
    }

    #[test]
    fn an_amount_is_digits_with_at_most_two_decimals() {
        assert_eq!(minor_units("close_value", "1054").unwrap(), 105_400);
        assert_eq!(minor_units("close_value", "10.5").unwrap(), 1_050);
        for wrong in ["", "-1", "1e3", "1,5", "1.234", ".5", "99999999999999999999"] {
            assert!(minor_units("close_value", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_won_row_needs_an_account_and_a_value() {
        assert_eq!(refused("A,Moses Frase,GTX Pro,,Won,2016-10-25,2017-03-11,5").0, Some("account"));
        assert_eq!(refused("A,Moses Frase,GTX Pro,Cancity,Won,2016-10-25,2017-03-11,").0, Some("close_value"));
        assert_eq!(refused("A,Moses Frase,GTX Pro,Cancity,Won,2016-10-25,2017-03-11,x").0, Some("close_value"));
    }
}
