//! The table of settings in the README is what the two programs say of themselves.

use clap::{Arg, Command, CommandFactory};
use std::fmt::Write;

const README: &str = include_str!("../../../../README.md");

fn settings(command: &Command) -> Vec<&Arg> {
    command.get_arguments().filter(|arg| arg.get_env().is_some()).collect()
}

fn variable(arg: &Arg) -> &str {
    arg.get_env().and_then(|name| name.to_str()).unwrap()
}

fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
    match values.as_slice() {
        [] => "none".to_owned(),
        ["false"] => "off".to_owned(),
        values => format!("`{}`", values.join(",")),
    }
}

/// Its sentences on one line.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end_matches('.').to_owned()
}

#[test]
fn the_readme_has_every_setting_with_its_default() {
    let (sales, trade) = (crm_opportunity::Config::command(), crm_order::Config::command());
    let (sales, trade) = (settings(&sales), settings(&trade));
    let mut table = "| flag | variable: `OPPORTUNITY_` or `ORDER_` and | opportunity | order | what it is |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    assert_eq!(sales.len(), trade.len(), "the services have different settings");
    for (of_sales, of_trade) in sales.iter().zip(&trade) {
        let name = variable(of_sales).strip_prefix("OPPORTUNITY_").unwrap();
        assert_eq!(variable(of_trade).strip_prefix("ORDER_"), Some(name));
        assert_eq!(of_sales.get_long(), of_trade.get_long());
        assert_eq!(meaning(of_sales), meaning(of_trade));
        let (flag, what) = (of_sales.get_long().unwrap(), meaning(of_sales));
        let (opportunity, order) = (default(of_sales), default(of_trade));
        writeln!(table, "| `--{flag}` | `{name}` | {opportunity} | {order} | {what} |").unwrap();
    }
    assert!(README.contains(&table), "the README's table of settings should be:\n\n{table}");
}
