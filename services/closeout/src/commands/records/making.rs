//! `closeout new`: a customer, an opportunity or an order.

use super::{of_customer, of_opportunity, of_order, order_line};
use crate::api::Api;
use crate::commands::list::stage_name;
use crate::failure::Ending;
use crate::format::{parse_moment, parse_money};
use crate::request_id;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use crm_proto::Money;
use crm_proto::common::Wait;
use crm_proto::opportunity::{CreateCustomerRequest, CreateOpportunityRequest, Customer, Opportunity};
use crm_proto::order::{CreateOrderRequest, Order, OrderLine};
use prost_types::Timestamp;

/// Flags of `new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What to make.
    #[command(subcommand)]
    what: What,
}

/// What to make.
#[derive(Debug, Subcommand)]
enum What {
    /// A customer, known to both services.
    Customer(CustomerArgs),
    /// An opportunity, open.
    Opportunity(Box<OpportunityArgs>),
    /// An order, a draft.
    Order(OrderArgs),
}

/// Who a record is with.
#[derive(Debug, Args)]
struct With {
    /// Who owns it [default: who acts].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    owner: String,
    /// The team it belongs to [default: the first team of who acts].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    team: String,
    /// Your own number [default: made of its name].
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    number: String,
}

#[derive(Debug, Args)]
struct CustomerArgs {
    /// What it is called.
    display_name: String,
    /// How important it is, in your words.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    tier: String,
    /// Who looks after it [default: who acts].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    owner: String,
}

#[derive(Debug, Args)]
struct OpportunityArgs {
    /// What it is about.
    title: String,
    /// `customers/ID` [default: none yet].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    customer: String,
    /// What it is worth, such as '12000 CNY'.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_money)]
    amount: Option<Money>,
    /// `engaging` of the pipeline `default`, `PIPELINE/STAGE` or a full name [default: the first stage].
    #[arg(long)]
    stage: Option<String>,
    /// When it is expected to close.
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    expected: Option<Timestamp>,
    /// Where it came from.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    source: String,
    #[command(flatten)]
    with: With,
}

#[derive(Debug, Args)]
struct OrderArgs {
    /// `customers/ID`.
    #[arg(long, value_name = "NAME")]
    customer: String,
    /// `opportunities/ID` that it comes from.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    opportunity: String,
    /// What, how many and the price of one; may be given for several lines.
    #[arg(long, value_name = "PRODUCT=QUANTITY@PRICE", required = true, value_parser = order_line)]
    line: Vec<OrderLine>,
    #[command(flatten)]
    with: With,
}

/// Makes what the command line names; it is known to the other service when this returns, if that can be reached.
pub(in crate::commands) async fn new(args: &NewArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.what {
        What::Customer(CustomerArgs { display_name, tier, owner }) => {
            let request = CreateCustomerRequest {
                customer: Some(Customer {
                    display_name: display_name.clone(),
                    tier: tier.clone(),
                    owner: owner.clone(),
                    ..Customer::default()
                }),
                request_id: request_id::new(),
                ..CreateCustomerRequest::default()
            };
            of_customer(api.create_customer(request).await?.customer, screen)
        }
        What::Opportunity(args) => {
            let OpportunityArgs { title, customer, amount, stage, expected, source, with } = &**args;
            let request = CreateOpportunityRequest {
                opportunity: Some(Opportunity {
                    title: title.clone(),
                    customer: customer.clone(),
                    amount: amount.clone(),
                    stage: stage.as_deref().map(stage_name).unwrap_or_default(),
                    expected_close_time: *expected,
                    source: source.clone(),
                    owner: with.owner.clone(),
                    team: with.team.clone(),
                    number: with.number.clone(),
                    ..Opportunity::default()
                }),
                request_id: request_id::new(),
                wait: Wait::Peer.into(),
                ..CreateOpportunityRequest::default()
            };
            of_opportunity(api.create_opportunity(request).await?.opportunity, screen)
        }
        What::Order(OrderArgs { customer, opportunity, line, with }) => {
            let request = CreateOrderRequest {
                order: Some(Order {
                    customer: customer.clone(),
                    opportunity: opportunity.clone(),
                    lines: line.clone(),
                    owner: with.owner.clone(),
                    team: with.team.clone(),
                    number: with.number.clone(),
                    ..Order::default()
                }),
                request_id: request_id::new(),
                wait: Wait::Peer.into(),
                ..CreateOrderRequest::default()
            };
            of_order(api.create_order(request).await?.order, screen)
        }
    }
}
