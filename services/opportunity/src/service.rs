//! The service as the writer sees it: what a batch loads, how each command is decided and answered, what is saved.

use crate::{
    convert,
    domain::{Command, CompetitorCommand, GroupCommand, PipelineCommand, ReasonCommand, World},
    grouped,
    store::{self, groups::Counts},
    sweep,
};
use crm_api::duties;
use crm_closeout::{
    cascade::TaskCommand,
    codes::RecordKind,
    fact::{Applied, Fact},
    ids::CloseOutId,
    job::{Job, JobKind},
    reason::Listed,
    records::Lane,
    refusal::Refusal,
    wording,
    working_set::{Cause, Common},
};
use crm_outbox::{
    batch::{Decided, Domain, Duty, Item, Steps},
    db::{Db, Error, Tx},
};
use crm_proto::opportunity::{
    MergeCloseOutReasonsResponse, MergeCompetitorsResponse, ReorderCloseOutReasonsResponse, ReorderPipelinesResponse,
    ResendLaneResponse,
};
use prost::Message;
use uuid::Uuid;

/// The opportunity service.
#[derive(Debug)]
pub(crate) struct Opportunities;

impl Domain for Opportunities {
    type Command = Command;
    type World = World;

    fn mirrors(kind: RecordKind) -> bool {
        kind == RecordKind::Order
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
            Command::CreateCustomer(new) => reply(&convert::customer(&world.create_customer(cause, new)), None),
            Command::UpdateCustomer { id, etag, edit } => {
                reply(&convert::customer(&world.update_customer(cause, *id, etag, edit)?), None)
            }
            Command::CreateOpportunity(new) => {
                reply(&convert::opportunity(&world.create_opportunity(cause, new)?), None)
            }
            Command::UpdateOpportunity { id, etag, edit } => {
                reply(&convert::opportunity(&world.update_opportunity(cause, *id, etag, edit)?), None)
            }
            Command::MoveStage { id, etag, stage } => {
                reply(&convert::opportunity(&world.move_stage(cause, *id, etag, stage)?), None)
            }
            Command::Win { id, etag, amount, won_at } => {
                reply(&convert::opportunity(&world.win(cause, *id, etag, *amount, *won_at)?), None)
            }
            Command::Snooze(hold) => reply(&convert::opportunity(&world.snooze(cause, hold)?), None),
            Command::Resume { id, etag } => reply(&convert::opportunity(&world.resume(cause, *id, etag)?), None),
            Command::ResumeInTime { id, until } => {
                reply(&convert::opportunity(&world.resume_in_time(cause, *id, *until)?), None)
            }
            Command::CloseOut(closing) => {
                let (opportunity, close_out) = world.close_out(cause, closing)?;
                reply(&convert::opportunity(&opportunity), Some(close_out))
            }
            Command::Preview(closing) => {
                let (opportunity, close_out, preview) = world.preview(cause, closing)?;
                Decided { preview: Some(Box::new(preview)), ..reply(&convert::opportunity(&opportunity), close_out) }
            }
            Command::Rule(ruling) => {
                let ruled = world.rule(cause, ruling)?;
                reply(&crm_api::convert::close_out(&ruled), Some(ruled.close_out_id))
            }
            Command::Amend(amending) => reply(&crm_api::convert::close_out(&world.amend(cause, amending)?), None),
            Command::Reopen { id, etag, note } => {
                let (opportunity, close_out) = world.reopen(cause, *id, etag, note)?;
                reply(&convert::opportunity(&opportunity), close_out)
            }
            Command::Task(TaskCommand::Create(new)) => {
                reply(&crm_api::convert::task(&world.create_task(cause, new)?), None)
            }
            Command::Task(TaskCommand::Change { id, etag, change }) => {
                reply(&crm_api::convert::task(&world.common.change_task(cause, *id, etag, change)?), None)
            }
            Command::Resend(resend) => {
                let number = match resend.record.kind {
                    RecordKind::Customer => world.resend_customer(cause, resend)?,
                    RecordKind::Reason => world.resend_reason(cause, resend)?,
                    RecordKind::Settings => world.resend_settings(cause, resend)?,
                    RecordKind::ExchangeRate => world.resend_rate(cause, resend)?,
                    RecordKind::Opportunity | RecordKind::Order => world.resend_opportunity(cause, resend)?,
                };
                reply(&ResendLaneResponse { record: resend.record.to_string(), number, ..Default::default() }, None)
            }
            Command::Reason(command) => reply_about_reasons(world, cause, command)?,
            Command::UpdateSettings { etag, edit } => {
                reply(&crm_api::settings::shown(&world.update_settings(cause, etag, edit)?), None)
            }
            Command::Rate(command) => reply(&convert::rate(&world.change_rate(cause, command)?), None),
            Command::Stale(staling) => {
                let (opportunity, close_out) = world.stale(cause, staling)?;
                reply(&convert::opportunity(&opportunity), close_out)
            }
            Command::UpdateStalePolicy { etag, edit } => {
                reply(&convert::stale_policy(&world.update_stale_policy(cause, etag, edit)?), None)
            }
            Command::ScheduleSweep { day } => {
                world.schedule_sweep(cause, *day);
                Decided::default()
            }
            Command::Pipeline(command) => reply_about_pipelines(world, cause, command)?,
            Command::Competitor(command) => reply_about_competitors(world, cause, command)?,
            Command::Group(command) => reply_about_groups(world, cause, command)?,
            Command::WinBack(command) => {
                reply(&convert::win_back_plan(&world.work_on_win_back(cause, command)?, ""), None)
            }
        })
    }

    fn apply(world: &mut World, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
        world.apply(cause, before, fact)
    }

    fn duty(job: &Job) -> Duty<Command> {
        match job.kind {
            JobKind::Expiry => duties::expiry(job),
            JobKind::Resumption => job.paused().map_or(Duty::Unknown, |(id, until)| {
                Duty::Command("ResumeOpportunity", Command::ResumeInTime { id, until })
            }),
            JobKind::Sweep => {
                job.day().map_or(Duty::Unknown, |day| Duty::Command("ScheduleSweep", Command::ScheduleSweep { day }))
            }
            JobKind::Group => Duty::Steps,
            JobKind::Retention => Duty::Unknown,
        }
    }

    async fn steps(db: &Db, job: &Job, after: Option<Uuid>) -> Result<Option<Steps<Command>>, Error> {
        match job.kind {
            JobKind::Sweep => sweep::steps(db, job.tenant_id, after).await.map(Some),
            JobKind::Group => grouped::steps(db, job, after).await,
            JobKind::Retention | JobKind::Expiry | JobKind::Resumption => Ok(None),
        }
    }

    async fn save(tx: &mut Tx, world: &World) -> Result<(), Error> {
        store::save(tx, world).await
    }
}

fn reply_about_reasons(world: &mut World, cause: &Cause, command: &ReasonCommand) -> Result<Decided, Refusal> {
    let shown = |listed: &Listed| crm_api::convert::reason(listed, "");
    let listed = match command {
        ReasonCommand::Create(new) => world.create_reason(cause, new)?,
        ReasonCommand::Update { code, etag, edit } => world.update_reason(cause, code, etag, edit)?,
        ReasonCommand::SetActive { code, etag, active } => world.set_reason_active(cause, code, etag, *active)?,
        ReasonCommand::Merge { sources, target } => {
            let reasons = world.merge_reasons(cause, sources, target)?.iter().map(shown).collect();
            return Ok(reply(&MergeCloseOutReasonsResponse { reasons }, None));
        }
        ReasonCommand::Reorder { scope, names } => {
            let reasons = world.reorder_reasons(cause, *scope, names)?.iter().map(shown).collect();
            return Ok(reply(&ReorderCloseOutReasonsResponse { reasons }, None));
        }
    };
    Ok(reply(&shown(&listed), None))
}

fn reply_about_pipelines(world: &mut World, cause: &Cause, command: &PipelineCommand) -> Result<Decided, Refusal> {
    let changed = match command {
        PipelineCommand::Create(new) => world.create_pipeline(cause, new)?,
        PipelineCommand::Update { id, etag, edit } => world.update_pipeline(cause, id, etag, edit)?,
        PipelineCommand::SetActive { id, etag, active } => world.set_pipeline_active(cause, id, etag, *active)?,
        PipelineCommand::Reorder { ids } => {
            let pipelines = world.reorder_pipelines(cause, ids)?;
            let pipelines = pipelines.iter().map(|one| convert::pipeline(one, "en")).collect();
            return Ok(reply(&ReorderPipelinesResponse { pipelines }, None));
        }
    };
    Ok(reply(&convert::pipeline(&changed, "en"), None))
}

fn reply_about_competitors(world: &mut World, cause: &Cause, command: &CompetitorCommand) -> Result<Decided, Refusal> {
    let changed = match command {
        CompetitorCommand::Create { display_name } => world.create_competitor(cause, display_name)?,
        CompetitorCommand::Update { id, etag, display_name } => {
            world.update_competitor(cause, *id, etag, display_name.as_deref())?
        }
        CompetitorCommand::SetActive { id, etag, active } => world.set_competitor_active(cause, *id, etag, *active)?,
        CompetitorCommand::Merge { sources, target } => {
            let (sources, target) = world.merge_competitors(cause, sources, *target)?;
            let sources = sources.iter().map(convert::competitor).collect();
            let target = Some(convert::competitor(&target));
            return Ok(reply(&MergeCompetitorsResponse { sources, target }, None));
        }
    };
    Ok(reply(&convert::competitor(&changed), None))
}

fn reply_about_groups(world: &mut World, cause: &Cause, command: &GroupCommand) -> Result<Decided, Refusal> {
    Ok(match command {
        GroupCommand::CloseOut { closing, plan } => {
            let group = world.close_out_customer(cause, closing)?;
            let now = store::groups::plan(world.open_of(cause.tenant_id, closing.customer_id));
            if !plan.is_empty() && *plan != now {
                return Err(Refusal::new(&wording::PLAN_CHANGED, closing.customer_id));
            }
            reply(&convert::group(&group, &Counts::new()), None)
        }
        GroupCommand::Close(closing) => {
            let (opportunity, close_out) = world.close_of_group(cause, closing)?;
            reply(&convert::opportunity(&opportunity), close_out)
        }
        GroupCommand::Finish { id, .. } => {
            world.finish_group(cause, *id)?;
            Decided::default()
        }
        GroupCommand::Reopen { id, etag, note, .. } => {
            reply(&convert::group(&world.reopen_customer(cause, *id, etag, note)?, &Counts::new()), None)
        }
        GroupCommand::Reverse { id, close_out_id } => {
            let opportunity = world.reverse_of_group(cause, *id, *close_out_id)?;
            reply(&convert::opportunity(&opportunity), None)
        }
        GroupCommand::FinishReopening { id, .. } => {
            world.finish_reopening(cause, *id)?;
            Decided::default()
        }
    })
}

fn reply(resource: &impl Message, close_out_id: Option<CloseOutId>) -> Decided {
    Decided { reply: resource.encode_to_vec(), close_out_id, preview: None }
}
