//! The service as the writer sees it: what a batch loads, how each command is decided and answered, what is saved.

use crate::{
    convert,
    domain::{Command, Order, World},
    store,
};
use crm_api::duties;
use crm_closeout::{
    cascade::TaskCommand,
    codes::RecordKind,
    fact::{Applied, Fact},
    ids::CloseOutId,
    job::{Job, JobKind},
    records::Lane,
    refusal::Refusal,
    working_set::{Cause, Common},
};
use crm_outbox::{
    batch::{Decided, Domain, Duty, Item},
    db::{Error, Tx},
};
use crm_proto::order::ResendLaneResponse;
use prost::Message;

/// The order service.
#[derive(Debug)]
pub(crate) struct Orders;

impl Domain for Orders {
    type Command = Command;
    type World = World;

    fn mirrors(kind: RecordKind) -> bool {
        kind != RecordKind::Order
    }

    async fn load(tx: &mut Tx, common: Common, items: &[Item<Command>]) -> Result<World, Error> {
        store::load(tx, common, items).await
    }

    fn common(world: &mut World) -> &mut Common {
        &mut world.common
    }

    fn begin(world: &mut World) {
        world.begin();
    }

    fn rollback(world: &mut World) {
        world.rollback();
    }

    fn decide(world: &mut World, cause: &Cause, command: &Command) -> Result<Decided, Refusal> {
        Ok(match command {
            Command::CreateOrder(new) => order(&world.create_order(cause, new)?, None),
            Command::UpdateOrder { id, etag, edit } => order(&world.update_order(cause, *id, etag, edit)?, None),
            Command::Confirm { id, etag } => order(&world.confirm(cause, *id, etag)?, None),
            Command::Fulfil { id, etag, lines } => order(&world.fulfil(cause, *id, etag, lines)?, None),
            Command::Pay { id, etag, amount } => order(&world.pay(cause, *id, etag, *amount)?, None),
            Command::CancelLines(cancelling) => order(&world.cancel_lines(cause, cancelling)?, None),
            Command::CloseOut(closing) => {
                let (closed, close_out) = world.close_out(cause, closing)?;
                order(&closed, Some(close_out))
            }
            Command::Preview(closing) => {
                let (closed, close_out, preview) = world.preview(cause, closing)?;
                Decided { preview: Some(Box::new(preview)), ..order(&closed, close_out) }
            }
            Command::Rule(ruling) => {
                let ruled = world.rule(cause, ruling)?;
                reply(&crm_api::convert::close_out(&ruled), Some(ruled.close_out_id))
            }
            Command::Amend(amending) => reply(&crm_api::convert::close_out(&world.amend(cause, amending)?), None),
            Command::Reopen { id, etag, note } => {
                let (reopened, close_out) = world.reopen(cause, *id, etag, note)?;
                order(&reopened, Some(close_out))
            }
            Command::Resend(resend) => {
                let number = world.resend(cause, resend)?;
                reply(&ResendLaneResponse { record: resend.record.to_string(), number, ..Default::default() }, None)
            }
            Command::Task(TaskCommand::Create(new)) => {
                reply(&crm_api::convert::task(&world.create_task(cause, new)?), None)
            }
            Command::Task(TaskCommand::Change { id, etag, change }) => {
                reply(&crm_api::convert::task(&world.common.change_task(cause, *id, etag, change)?), None)
            }
        })
    }

    fn apply(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
        world.apply(cause, before, fact)
    }

    fn duty(job: &Job) -> Duty<Command> {
        match job.kind {
            JobKind::Expiry => duties::expiry(job),
            JobKind::Resumption | JobKind::Retention | JobKind::Sweep | JobKind::Group => Duty::Unknown,
        }
    }

    async fn save(tx: &mut Tx, world: &World) -> Result<(), Error> {
        store::save(tx, world).await
    }
}

fn order(order: &Order, close_out_id: Option<CloseOutId>) -> Decided {
    reply(&convert::order(order), close_out_id)
}

fn reply(resource: &impl Message, close_out_id: Option<CloseOutId>) -> Decided {
    Decided { reply: resource.encode_to_vec(), close_out_id, preview: None }
}
