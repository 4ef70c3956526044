//! `closeout set`: fields of a customer, an opportunity or an order.

use super::{of_customer, of_opportunity, of_order, order_line};
use crate::api::Api;
use crate::commands::{Kind, kind_of};
use crate::failure::{Ending, Usage};
use crate::format::{parse_moment, parse_money};
use crate::request_id;
use crate::screen::Screen;
use clap::{ArgAction, Args};
use crm_proto::Money;
use crm_proto::opportunity::{Customer, Opportunity, UpdateCustomerRequest, UpdateOpportunityRequest};
use crm_proto::order::{Order, OrderLine, UpdateOrderRequest};
use prost_types::{FieldMask, Timestamp};

/// Flags of `set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// `customers/ID`, `opportunities/ID` or `orders/ID`.
    name: String,
    #[command(flatten)]
    fields: Fields,
}

/// What to change; what is not named stays.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Fields {
    /// What a customer is called, or what an opportunity is about.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// How important a customer is, in your words.
    #[arg(long, value_name = "TEXT")]
    tier: Option<String>,
    /// Whether nobody may contact a customer; its open win-back plans are cancelled.
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    do_not_contact: Option<bool>,
    /// The customer of an opportunity that has none (`customers/ID`).
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// What an opportunity is worth, such as '12000 CNY'.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    amount: Option<Money>,
    /// When an opportunity is expected to close.
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    expected: Option<Timestamp>,
    /// Where an opportunity came from.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// What, how many and the price of one: all lines of a draft order anew; may be given for several lines.
    #[arg(long, value_name = "PRODUCT=QUANTITY@PRICE", value_parser = order_line)]
    line: Vec<OrderLine>,
    /// Who owns it.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The team of an opportunity or an order.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Your own number of an opportunity or an order.
    #[arg(long, value_name = "TEXT")]
    number: Option<String>,
}

impl Fields {
    /// Each flag, whether it is given, and which field it sets of a customer, an opportunity and an order.
    fn flags(&self) -> [(&'static str, bool, [&'static str; 3]); 11] {
        [
            ("--title", self.title.is_some(), ["display_name", "title", ""]),
            ("--tier", self.tier.is_some(), ["tier", "", ""]),
            ("--do-not-contact", self.do_not_contact.is_some(), ["do_not_contact", "", ""]),
            ("--customer", self.customer.is_some(), ["", "customer", ""]),
            ("--amount", self.amount.is_some(), ["", "amount", ""]),
            ("--expected", self.expected.is_some(), ["", "expected_close_time", ""]),
            ("--source", self.source.is_some(), ["", "source", ""]),
            ("--line", !self.line.is_empty(), ["", "", "lines"]),
            ("--owner", self.owner.is_some(), ["owner"; 3]),
            ("--team", self.team.is_some(), ["", "team", "team"]),
            ("--number", self.number.is_some(), ["", "number", "number"]),
        ]
    }

    /// The fields that are to be changed of such a record.
    fn mask(&self, name: &str, of: usize) -> Result<Option<FieldMask>, Usage> {
        let mut paths = Vec::new();
        for (flag, given, fields) in self.flags() {
            match fields.get(of) {
                Some(&"") if given => return Err(Usage(format!("{flag}: {name} has nothing like that"))),
                Some(field) if given => paths.push((*field).to_owned()),
                _ => {}
            }
        }
        Ok(Some(FieldMask { paths }))
    }
}

/// Changes what the command line names.
pub(in crate::commands) async fn set(args: &SetArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let SetArgs { name, fields } = args;
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    match kind_of(name)? {
        Kind::Customer => {
            let request = UpdateCustomerRequest {
                customer: Some(Customer {
                    name: name.clone(),
                    display_name: text(&fields.title),
                    tier: text(&fields.tier),
                    owner: text(&fields.owner),
                    do_not_contact: fields.do_not_contact.unwrap_or_default(),
                    ..Customer::default()
                }),
                update_mask: fields.mask(name, 0)?,
                request_id: request_id::new(),
                ..UpdateCustomerRequest::default()
            };
            of_customer(api.update_customer(request).await?.customer, screen)
        }
        Kind::Opportunity => {
            let request = UpdateOpportunityRequest {
                opportunity: Some(Opportunity {
                    name: name.clone(),
                    title: text(&fields.title),
                    customer: text(&fields.customer),
                    amount: fields.amount.clone(),
                    expected_close_time: fields.expected,
                    source: text(&fields.source),
                    owner: text(&fields.owner),
                    team: text(&fields.team),
                    number: text(&fields.number),
                    ..Opportunity::default()
                }),
                update_mask: fields.mask(name, 1)?,
                request_id: request_id::new(),
                ..UpdateOpportunityRequest::default()
            };
            of_opportunity(api.update_opportunity(request).await?.opportunity, screen)
        }
        Kind::Order => {
            let request = UpdateOrderRequest {
                order: Some(Order {
                    name: name.clone(),
                    lines: fields.line.clone(),
                    owner: text(&fields.owner),
                    team: text(&fields.team),
                    number: text(&fields.number),
                    ..Order::default()
                }),
                update_mask: fields.mask(name, 2)?,
                request_id: request_id::new(),
                ..UpdateOrderRequest::default()
            };
            of_order(api.update_order(request).await?.order, screen)
        }
        Kind::Task | Kind::CloseOut | Kind::Group => {
            Err(Usage(format!("`{name}`: customers/ID, opportunities/ID or orders/ID; tasks: closeout tasks")).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &[&str]) -> Result<SetArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "set"], args].concat())?;
        let Command::Set(args) = cli.command else { panic!("sets nothing") };
        Ok(*args)
    }

    #[test]
    fn what_is_named_is_changed_and_only_of_what_has_it() {
        let set = parse(&["customers/1", "--title", "Acme", "--do-not-contact", "false"]).unwrap();
        assert_eq!(set.fields.mask("customers/1", 0).unwrap().unwrap().paths, ["display_name", "do_not_contact"]);
        assert_eq!(set.fields.mask("orders/1", 2).unwrap_err().0, "--title: orders/1 has nothing like that");
        let set =
            parse(&["orders/1", "--line", "Camera=2@9 CNY", "--line", "Cable=1@1 CNY", "--team", "north"]).unwrap();
        assert_eq!(set.fields.mask("orders/1", 2).unwrap().unwrap().paths, ["lines", "team"]);
        assert_eq!(set.fields.line.len(), 2);
        assert!(parse(&["orders/1"]).is_err(), "nothing to change");
    }
}
