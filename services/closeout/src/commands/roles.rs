//! `closeout roles`: what each role of the tenant may do, and the tenant's own ones.

use crate::api::Api;
use crate::failure::{Ending, Usage};
use crate::screen::{Paint, Screen};
use crate::{json, request_id, view};
use anyhow::Context;
use clap::{Args, Subcommand};
use crm_closeout::access::{ROLES, Right, Rights, Scope};
use crm_proto::common::{Role, Settings, Wait};
use crm_proto::opportunity as sales;
use prost_types::FieldMask;
use serde_json::json;

/// Full name of a role in the protos.
const ROLE: &str = "crm.common.v1.Role";

/// What follows the help of `roles`.
pub(crate) const EXAMPLES: &str = "\
Who has which role is told by whoever vouches for the caller (`x-roles`; here: --roles). Rights about records reach .own, .team
(what is of one of the caller's teams: `x-teams`; here: --teams) or .all; those of several roles add up. A role of the
tenant's own is copied to the order service.

Examples:
  closeout roles
  closeout roles rights
  closeout roles set team-lead record.read closeout.create.team closeout.approve.team
  closeout roles remove team-lead
  closeout close-out opportunities/ID --reason BUDGET_FROZEN --principal ann --roles sales";

/// Flags of `roles`.
#[derive(Debug, Args)]
pub(crate) struct RolesArgs {
    /// What to do [default: list them].
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with roles.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists those that every tenant has and the tenant's own, with what they may do.
    List,
    /// Lists the rights that there are.
    Rights,
    /// Makes a role of the tenant's own, or gives it other rights.
    Set(SetArgs),
    /// Removes a role of the tenant's own: no call that begins after that is let in by it.
    Remove {
        /// Which.
        name: String,
    },
}

/// Flags of `roles set`.
#[derive(Debug, Args)]
struct SetArgs {
    /// What it is called: a lower-case letter, then lower-case letters, digits and hyphens.
    name: String,
    /// What it may do, such as `closeout.create.team`; all of it.
    #[arg(required = true, value_name = "RIGHT")]
    rights: Vec<String>,
}

/// Does what the command line says.
pub(super) async fn run(args: &RolesArgs, api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    match &args.action {
        None | Some(Action::List) => list(api, screen).await,
        Some(Action::Rights) => rights(screen),
        Some(Action::Set(SetArgs { name, rights })) => {
            let role = Role { name: name.clone(), rights: rights.clone() };
            let change = |roles: &mut Vec<Role>| {
                roles.retain(|other| other.name != role.name);
                roles.push(role);
                Ok(())
            };
            update(api, change, screen).await
        }
        Some(Action::Remove { name }) => {
            let change = |roles: &mut Vec<Role>| {
                let before = roles.len();
                roles.retain(|role| role.name != *name);
                let gone = Usage(format!("there is no role `{name}` of the tenant's own; closeout roles lists them"));
                if roles.len() < before { Ok(()) } else { Err(gone) }
            };
            update(api, change, screen).await
        }
    }
}

async fn list(api: &Api, screen: &Screen) -> anyhow::Result<Ending> {
    show(&settings(api).await?, screen)
}

fn rights(screen: &Screen) -> anyhow::Result<Ending> {
    if screen.json() {
        let right = |right: &Right| json!({ "right": right.word(), "has_scope": right.has_scope() });
        screen.emit(&json!({ "rights": Right::ALL.iter().map(right).collect::<Vec<_>>() }))?;
    }
    let scopes = Scope::ALL.iter().map(|scope| format!(".{}", scope.word())).collect::<Vec<_>>().join(", ");
    let mut table = screen.new_table(&["right", "reaches"]);
    for right in Right::ALL {
        let reaches = if right.has_scope() { scopes.as_str() } else { "everything" };
        table.add_row([right.word(), reaches]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
}

/// Changes the tenant's own roles, if nobody else has changed the settings meanwhile.
async fn update(
    api: &Api,
    change: impl FnOnce(&mut Vec<Role>) -> Result<(), Usage>,
    screen: &Screen,
) -> anyhow::Result<Ending> {
    let mut settings = settings(api).await?;
    change(&mut settings.roles)?;
    let request = sales::UpdateSettingsRequest {
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: vec!["roles".to_owned()] }),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let reply = api.update_settings(request).await?;
    let propagation = reply.propagation();
    screen.line(&format!("The roles are kept: {}.", view::how_far(propagation, "order service")))?;
    show(&reply.settings.context("a reply without its settings")?, screen)
}

async fn settings(api: &Api) -> anyhow::Result<Settings> {
    let reply = api.get_sales_settings(sales::GetSettingsRequest {}).await?;
    reply.settings.context("a reply without its settings")
}

fn show(settings: &Settings, screen: &Screen) -> anyhow::Result<Ending> {
    let built_in = ROLES.iter().map(|role| Role { name: role.name.to_owned(), rights: role.rights.grants().collect() });
    let built_in: Vec<_> = built_in.collect();
    if screen.json() {
        let all =
            |roles: &[Role]| roles.iter().map(|role| json::message(ROLE, role)).collect::<anyhow::Result<Vec<_>>>();
        screen.emit(&json!({ "roles": all(&built_in)?, "own": all(&settings.roles)? }))?;
    }
    let mut table = screen.new_table(&["role", "", "may"]);
    for (role, whose) in built_in.iter().map(|role| (role, "")).chain(settings.roles.iter().map(|role| (role, "own"))) {
        let everything = Rights::known(&role.rights) == Rights::ALL;
        let rights = if everything { "everything".to_owned() } else { role.rights.join(", ") };
        table.add_row([screen.cell(Paint::Strong, &role.name), whose.into(), rights.into()]);
    }
    screen.table(&table)?;
    Ok(Ending::Done)
}
