//! `closeout competitors`: to whom opportunities are lost. `change` makes, renames and merges them, `find` tells which one a person
//! means.

mod change;
mod find;

use super::list::pages;
use crate::api::Api;
use crate::failure::Ending;
use crate::format::{counted, last_part};
use crate::json;
use crate::screen::{Paint, Screen};
use clap::{Args, Subcommand};
use crm_proto::opportunity::{Competitor, ListCompetitorsRequest, MergeCompetitorsResponse};
use serde_json::json;

pub(crate) use find::{explained, known, or_made};

/// Examples under `--help`.
pub(crate) const EXAMPLES: &str = "\
Nothing is deleted. What is not to be named any more is taken out of use; one that was entered under several names is
merged. Close-outs go on naming what they named, and reports count them for the one it was merged into. A merge into the
wrong one is put right by merging it into another.

Examples:
  closeout competitors --all
  closeout competitors create \"Stonebridge Systems\"
  closeout competitors rename Stonebridge \"Stonebridge Systems\"
  closeout competitors merge \"Stonebridge Ltd\" stonebridge --into \"Stonebridge Systems\"
  closeout competitors deactivate competitors/ID
  closeout competitors activate competitors/ID";

const COMPETITOR: &str = "crm.opportunity.v1.Competitor";

/// Flags of `competitors`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CompetitorsArgs {
    /// What to do [default: list them].
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

/// What to do with competitors.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them, the oldest first.
    List(ListArgs),
    /// Makes one.
    Create {
        /// What it is called.
        name: String,
    },
    /// Gives one another name.
    Rename {
        /// What it is called, or `competitors/ID`.
        competitor: String,
        /// What it is called from now on.
        name: String,
    },
    /// Takes one out of use: no new close-out may name it.
    Deactivate {
        /// What it is called, or `competitors/ID`.
        competitor: String,
    },
    /// Takes one into use again.
    Activate {
        /// What it is called, or `competitors/ID`.
        competitor: String,
    },
    /// Merges some into another one, which takes their place.
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also those that are not in use, and what was merged into what.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// What they are called, or `competitors/ID`.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// The one that stays: what it is called, or `competitors/ID`.
    #[arg(long, value_name = "TARGET")]
    into: String,
}

/// Does what the command line says.
pub(super) async fn run(args: &CompetitorsArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match args.action.as_ref() {
        None => list(&args.list, api, screen).await,
        Some(Action::List(args)) => list(args, api, screen).await,
        Some(Action::Create { name }) => show(change::create(name, api).await?, screen),
        Some(Action::Rename { competitor, name }) => show(change::rename(competitor, name, api).await?, screen),
        Some(Action::Deactivate { competitor }) => show(change::deactivate(competitor, api).await?, screen),
        Some(Action::Activate { competitor }) => show(change::activate(competitor, api).await?, screen),
        Some(Action::Merge(args)) => show_merged(&change::merge(args, api).await?, screen),
    }
}

/// Reads all of them.
async fn read(active_only: bool, api: &Api) -> anyhow::Result<Vec<Competitor>> {
    let page = async |page_size, page_token| {
        let reply = api.list_competitors(ListCompetitorsRequest { page_size, page_token, active_only }).await?;
        Ok((reply.competitors, reply.next_page_token))
    };
    Ok(pages(0, page).await?)
}

async fn list(args: &ListArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    let competitors = read(!args.all, api).await?;
    if screen.json() {
        screen.emit(&json!({ "competitors": json::list(COMPETITOR, &competitors)? }))?;
    }
    table(&competitors, screen)?;
    Ok(Ending::Done)
}

fn show(competitor: Competitor, screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        screen.emit(&json!({ "competitor": json::message(COMPETITOR, &competitor)? }))?;
    }
    table(&[competitor], screen)?;
    Ok(Ending::Done)
}

fn show_merged(merged: &MergeCompetitorsResponse, screen: &Screen) -> anyhow::Result<Ending> {
    let target = merged.target.clone().unwrap_or_default();
    if screen.json() {
        let sources = json::list(COMPETITOR, &merged.sources)?;
        screen.emit(&json!({ "sources": sources, "target": json::message(COMPETITOR, &target)? }))?;
    }
    let count = counted(merged.sources.len() as u64, "competitor is", "competitors are");
    screen.line(&format!("{count} merged into {}.", target.display_name))?;
    table(&[&merged.sources[..], &[target]].concat(), screen)?;
    Ok(Ending::Done)
}

fn table(competitors: &[Competitor], screen: &Screen) -> anyhow::Result<()> {
    let mut table = screen.new_table_keeping(&["called", "competitor", "state"], &[1]);
    for one in competitors {
        let paint = if one.active { Paint::Strong } else { Paint::Dim };
        table.add_row([
            screen.cell(paint, &one.display_name),
            one.name.as_str().into(),
            state(one, competitors).into(),
        ]);
    }
    screen.table(&table)
}

/// `in use`, `not in use`, `merged into Acme`.
fn state(competitor: &Competitor, among: &[Competitor]) -> String {
    if competitor.active {
        return "in use".to_owned();
    }
    if competitor.merged_into.is_empty() {
        return "not in use".to_owned();
    }
    let target = among.iter().find(|other| other.name == competitor.merged_into);
    let name = target.map_or_else(|| last_part(&competitor.merged_into), |target| &target.display_name);
    format!("merged into {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &[&str]) -> Result<CompetitorsArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["closeout", "competitors"], args].concat())?;
        let Command::Competitors(args) = cli.command else { panic!("not about competitors") };
        Ok(args)
    }

    #[test]
    fn without_a_subcommand_they_are_listed() {
        let args = parse(&["--all"]).unwrap();
        assert!(args.action.is_none() && args.list.all);
        assert!(matches!(parse(&["list"]).unwrap().action, Some(Action::List(ListArgs { all: false }))));
    }

    #[test]
    fn a_merge_names_what_is_merged_and_into_what() {
        assert!(parse(&["merge", "Acme Ltd"]).is_err());
        assert!(parse(&["merge", "--into", "Acme"]).is_err());
        let args = parse(&["merge", "Acme Ltd", "Acme GmbH", "--into", "Acme"]).unwrap();
        assert!(matches!(args.action, Some(Action::Merge(MergeArgs { sources, .. })) if sources.len() == 2));
    }

    #[test]
    fn a_state_names_what_another_was_merged_into() {
        let target = Competitor { name: "competitors/1".into(), display_name: "Acme".into(), ..Competitor::default() };
        let merged = Competitor { merged_into: target.name.clone(), ..Competitor::default() };
        assert_eq!(state(&merged, std::slice::from_ref(&target)), "merged into Acme");
        assert_eq!(state(&merged, &[]), "merged into 1");
        assert_eq!(state(&target, &[]), "not in use");
        assert_eq!(state(&Competitor { active: true, ..target }, &[]), "in use");
    }
}
