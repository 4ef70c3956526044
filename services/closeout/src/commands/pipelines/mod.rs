//! `closeout pipelines`: the stages that opportunities go through. `change` makes and changes them, `stage` reads how a person
//! writes a stage.

mod change;
mod stage;

use crate::api::Api;
use crate::failure::Ending;
use crate::format::last_part;
use crate::json;
use crate::screen::{Paint, Screen};
use anyhow::Context;
use clap::{Args, Subcommand};
use comfy_table::Cell;
use crm_proto::opportunity::{GetPipelineRequest, ListPipelinesRequest, Pipeline, Stage};
use serde_json::json;
use stage::StageSpec;

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
Every tenant has the pipeline `default`. Nothing is deleted: what is not to be used any more is taken out of use, and the
opportunities that are in it stay where they are.

Examples:
  closeout pipelines --all --locale zh-CN
  closeout pipelines create key-accounts --en \"Key accounts\" --zh 大客户 \\
           --stage qualify:Qualify:资格确认:20 --stage pilot:Pilot:试点:60
  closeout pipelines update key-accounts --stage qualify --stage demo:Demo:演示:40 --stage pilot
  closeout pipelines deactivate default
  closeout pipelines reorder key-accounts default
  closeout list opportunities --stage key-accounts/pilot";

const PIPELINE: &str = "crm.opportunity.v1.Pipeline";

/// Flags of `pipelines`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PipelinesArgs {
    /// What to do [default: list them].
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

/// What to do with pipelines.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them in their order.
    List(ListArgs),
    /// Shows one with everything about its stages.
    Show {
        /// `ID` or `pipelines/ID`.
        pipeline: String,
    },
    /// Makes one; it comes last.
    Create(CreateArgs),
    /// Changes what one is called, or its stages.
    Update(UpdateArgs),
    /// Takes one out of use: no opportunity enters it any more.
    Deactivate {
        /// `ID` or `pipelines/ID`.
        pipeline: String,
    },
    /// Takes one into use again.
    Activate {
        /// `ID` or `pipelines/ID`.
        pipeline: String,
    },
    /// Puts them in another order. Those that are not named follow in the order they have.
    Reorder {
        /// `ID` or `pipelines/ID`, the first one first.
        #[arg(required = true)]
        pipelines: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also pipelines and stages that are not in use.
    #[arg(long)]
    all: bool,
    /// Language of what they are called, such as `en` or `zh-CN`.
    #[arg(long, default_value = "en")]
    locale: String,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its id: lower-case letters, digits, hyphens. It never changes.
    id: String,
    /// What it is called in English.
    #[arg(long)]
    en: String,
    /// What it is called in Chinese.
    #[arg(long)]
    zh: String,
    /// A stage as ID:ENGLISH:CHINESE:PERCENT, such as `qualify:Qualify:资格确认:20`; once for each, in order.
    #[arg(long = "stage", value_name = "STAGE", required = true)]
    stages: Vec<StageSpec>,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    /// `ID` or `pipelines/ID`.
    pipeline: String,
    /// What it is called in English.
    #[arg(long, required_unless_present_any = ["zh", "stages"])]
    en: Option<String>,
    /// What it is called in Chinese.
    #[arg(long)]
    zh: Option<String>,
    /// All stages in order, each as ID:ENGLISH:CHINESE:PERCENT, or as ID where it is there already. One that is left out is
    /// taken out of use.
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<StageSpec>,
}

/// Does what the command line says.
pub(super) async fn run(args: &PipelinesArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match args.action.as_ref() {
        None => list(&args.list, api, screen).await,
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Show { pipeline }) => show(&read(pipeline, api).await?, screen),
        Some(Action::Create(args)) => show(&change::create(args, api).await?, screen),
        Some(Action::Update(args)) => show(&change::update(args, api).await?, screen),
        Some(Action::Deactivate { pipeline }) => show(&change::deactivate(pipeline, api).await?, screen),
        Some(Action::Activate { pipeline }) => show(&change::activate(pipeline, api).await?, screen),
        Some(Action::Reorder { pipelines }) => show_all(&change::reorder(pipelines, api).await?, screen),
    }
}

async fn list(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let request = ListPipelinesRequest { show_inactive: args.all, locale: args.locale.clone() };
    show_all(&api.list_pipelines(request).await?.pipelines, screen)
}

/// Reads one with all of its stages.
async fn read(pipeline: &str, api: &Api) -> anyhow::Result<Pipeline> {
    let request = GetPipelineRequest { name: name(pipeline), ..GetPipelineRequest::default() };
    api.get_pipeline(request).await?.pipeline.context("a reply without its pipeline")
}

/// The resource name of a pipeline, from that or from its id.
fn name(pipeline: &str) -> String {
    if pipeline.starts_with("pipelines/") { pipeline.to_owned() } else { format!("pipelines/{pipeline}") }
}

fn show_all(pipelines: &[Pipeline], screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        screen.emit(&json!({ "pipelines": json::list(PIPELINE, pipelines)? }))?;
    }
    let mut table = screen.new_table_keeping(&["pipeline", "called", "stages, chance to win"], &[0]);
    for one in pipelines {
        let stages: Vec<_> = one.stages.iter().map(stage_line).collect();
        table.add_row([
            named(last_part(&one.name), one.active, screen),
            Cell::new(&one.display_name),
            Cell::new(stages.join("\n")),
        ]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
}

/// `engaging: Engaging, 30 %`.
fn stage_line(stage: &Stage) -> String {
    let unused = if stage.active() { "" } else { ", not in use" };
    format!("{}: {}, {} %{unused}", stage.stage_id, stage.display_name, stage.win_percent)
}

fn show(pipeline: &Pipeline, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        screen.emit(&json!({ "pipeline": json::message(PIPELINE, pipeline)? }))?;
    }
    let label = |labels: &std::collections::BTreeMap<String, String>, language: &str| {
        labels.get(language).cloned().unwrap_or_default()
    };
    let unused = if pipeline.active { "" } else { "  (not in use)" };
    let called = format!("{}, {}", label(&pipeline.labels, "en"), label(&pipeline.labels, "zh"));
    screen.heading(&format!("{called}  {}{unused}", pipeline.name))?;
    let mut table = screen.new_table_keeping(&["stage", "in English", "in Chinese", "chance to win"], &[0, 3]);
    for stage in &pipeline.stages {
        table.add_row([
            named(&stage.stage_id, stage.active(), screen),
            Cell::new(label(&stage.labels, "en")),
            Cell::new(label(&stage.labels, "zh")),
            Cell::new(format!("{} %", stage.win_percent)),
        ]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
}

/// The cell of an id; what is not in use says so without colour, too.
fn named(id: &str, active: bool, screen: &Screen) -> Cell {
    if active { screen.cell(Paint::Strong, id) } else { screen.cell(Paint::Dim, format!("{id}\n(not in use)")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &[&str]) -> Result<PipelinesArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "pipelines"], args].concat())?;
        let Command::Pipelines(args) = cli.command else { panic!("not about pipelines") };
        Ok(args)
    }

    #[test]
    fn without_a_subcommand_they_are_listed() {
        let args = parse(&["--all", "--locale", "zh"]).unwrap();
        assert!(args.action.is_none() && args.list.all && args.list.locale == "zh");
        assert!(matches!(parse(&["list", "--all"]).unwrap().action, Some(Action::List(ListArgs { all: true, .. }))));
    }

    #[test]
    fn an_update_says_what_to_change() {
        assert!(parse(&["update", "default"]).is_err());
        assert!(parse(&["update", "default", "--zh", "销售"]).is_ok());
        assert!(parse(&["create", "a", "--en", "A", "--zh", "甲"]).is_err(), "a pipeline has stages");
    }

    #[test]
    fn a_pipeline_goes_by_its_id_or_its_name() {
        assert_eq!([name("default"), name("pipelines/default")], ["pipelines/default", "pipelines/default"]);
    }
}
