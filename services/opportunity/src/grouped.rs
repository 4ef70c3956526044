//! What a group still has to do, a part of it at a time: close the open opportunities of its customer out, or take its close-outs back.
//! Reads only: each is a command, which judges it again on the locked record.

use crate::{
    domain::{Command, Group, GroupCommand, GroupState},
    store::groups as store,
};
use crm_closeout::{access::Access, job::Job};
use crm_outbox::{
    batch::Steps,
    db::{Db, Error},
};
use uuid::Uuid;

/// The methods, as the audit trail calls them: nobody calls them, so that no caller's request ids are theirs.
const CLOSING: &str = "CloseOutOfCustomer";
const REOPENING: &str = "ReopenOfCustomer";
/// Records that are looked at together.
const LOOK: usize = 500;

/// The commands of a group's duty: a part of them, and when none is left the one that ends it. None: there is nothing to be done.
pub(crate) async fn steps(db: &Db, job: &Job, after: Option<Uuid>) -> Result<Option<Steps<Command>>, Error> {
    let tenant = job.tenant_id;
    let Some((id, version)) = job.grouped() else { return Ok(None) };
    // Of another version is what a process had begun that was killed: the group has gone on since.
    let group = db.get::<Group>(&(tenant, id)).await?.filter(|group| group.version == version);
    let Some(group) = group else { return Ok(None) };
    match (group.state, &group.reopening) {
        (GroupState::Closing, _) => closing(db, &group, after).await.map(Some),
        (GroupState::Reopening, Some(reopening)) => {
            reopening_of(db, &group, reopening.actor.clone(), after).await.map(Some)
        }
        (GroupState::Closed | GroupState::Reopened | GroupState::Reopening, _) => Ok(None),
    }
}

async fn closing(db: &Db, group: &Group, after: Option<Uuid>) -> Result<Steps<Command>, Error> {
    let open = store::open(db, group.tenant_id, group.customer_id, after, LOOK).await?;
    let next = open.last().map(|last| last.opportunity_id.0);
    let left = |id| group.lefts.has(id);
    let rest = open.iter().map(|one| one.opportunity_id).filter(|id| !left(*id));
    let mut commands: Vec<_> = rest.map(|id| (id.to_string(), GroupCommand::Close(group.closing(id)))).collect();
    if next.is_none() {
        let finish = GroupCommand::Finish { id: group.group_id, customer_id: group.customer_id };
        commands.push(("finish".to_owned(), finish));
    }
    Ok(steps_of(group.actor.clone(), group.access(), CLOSING, commands, next))
}

async fn reopening_of(db: &Db, group: &Group, actor: String, after: Option<Uuid>) -> Result<Steps<Command>, Error> {
    let id = group.group_id;
    let in_force = store::to_take_back(db, group.tenant_id, id, after, LOOK).await?;
    let next = in_force.last().map(|last| last.close_out_id.0);
    let close_outs = in_force.iter().map(|one| one.close_out_id);
    let reverse = |close_out_id| GroupCommand::Reverse { id, close_out_id };
    let mut commands: Vec<_> = close_outs.map(|one| (one.to_string(), reverse(one))).collect();
    if next.is_none() {
        commands.push(("finish".to_owned(), GroupCommand::FinishReopening { id, customer_id: group.customer_id }));
    }
    // Closed out as they are, they are whose they were when that was asked for.
    Ok(steps_of(actor, Access::EVERYTHING, REOPENING, commands, next))
}

fn steps_of(
    actor: String,
    access: Access,
    method: &'static str,
    commands: Vec<(String, GroupCommand)>,
    next: Option<Uuid>,
) -> Steps<Command> {
    let commands = commands.into_iter().map(|(key, command)| (key, Command::Group(command))).collect();
    Steps { actor, access, method, commands, next }
}
