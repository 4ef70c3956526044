//! PipelineService, and what other services ask about stages.

use crate::{
    convert,
    domain::{Command, PipelineCommand, pipeline},
    service::Opportunities as Service,
    store::pipelines,
};
use crm_api::{
    failure,
    fields::Fields,
    front::Front,
    meta,
    meta::{Opened, open},
};
use crm_closeout::{
    ids::TenantId,
    pipeline::{StageName, name, parse},
    refusal::Refusal,
    wording,
    working_set::Rows,
};
use crm_proto::opportunity::{self as pb, pipeline_service_server::PipelineService};
use tonic::{Request, Response, Status};

/// The methods about pipelines.
#[derive(Debug)]
pub(crate) struct Pipelines(pub(crate) Front<Service>);

#[tonic::async_trait]
impl PipelineService for Pipelines {
    async fn list_pipelines(
        &self,
        request: Request<pb::ListPipelinesRequest>,
    ) -> Result<Response<pb::ListPipelinesResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let rows = read(&self.0, caller.tenant).await?;
        let all = pipeline::in_order(&rows, caller.tenant).into_iter();
        let pipelines = if request.show_inactive {
            all.map(|row| convert::pipeline(row, &request.locale)).collect()
        } else {
            all.filter(|row| row.active).map(|row| convert::pipeline_in_use(row, &request.locale)).collect()
        };
        Ok(Response::new(pb::ListPipelinesResponse { pipelines }))
    }

    async fn get_pipeline(
        &self,
        request: Request<pb::GetPipelineRequest>,
    ) -> Result<Response<pb::GetPipelineResponse>, Status> {
        let Opened { caller, request, .. } = open(request)?;
        let mut fields = Fields::new();
        let id = convert::pipeline_id(&mut fields, "name", &request.name);
        fields.done()?;
        let rows = read(&self.0, caller.tenant).await?;
        let row = rows.get(&(caller.tenant, id.clone()));
        let row = row.ok_or_else(|| failure::refusal(Refusal::not_found(name(&id))))?;
        Ok(Response::new(pb::GetPipelineResponse { pipeline: Some(convert::pipeline(row, &request.locale)) }))
    }

    async fn create_pipeline(
        &self,
        request: Request<pb::CreatePipelineRequest>,
    ) -> Result<Response<pb::CreatePipelineResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.pipeline.is_none() {
            fields.refuse("pipeline", &wording::REQUIRED, &[]);
        }
        let pipeline = request.pipeline.unwrap_or_default();
        let new = convert::new_pipeline(&mut fields, &request.pipeline_id, &pipeline);
        fields.done()?;
        let command = Command::Pipeline(PipelineCommand::Create(new));
        let outcome = self.0.call(caller, deadline, "CreatePipeline", meta, command).await?;
        Ok(Response::new(pb::CreatePipelineResponse { pipeline: Some(outcome.resource) }))
    }

    async fn update_pipeline(
        &self,
        request: Request<pb::UpdatePipelineRequest>,
    ) -> Result<Response<pb::UpdatePipelineResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        if request.pipeline.is_none() {
            fields.refuse("pipeline", &wording::REQUIRED, &[]);
        }
        let pipeline = request.pipeline.unwrap_or_default();
        let id = convert::pipeline_id(&mut fields, "pipeline.name", &pipeline.name);
        let edit = convert::pipeline_edit(&mut fields, &pipeline, request.update_mask.as_ref());
        fields.done()?;
        let command = Command::Pipeline(PipelineCommand::Update { id, etag: pipeline.etag, edit });
        let outcome = self.0.call(caller, deadline, "UpdatePipeline", meta, command).await?;
        Ok(Response::new(pb::UpdatePipelineResponse { pipeline: Some(outcome.resource) }))
    }

    async fn deactivate_pipeline(
        &self,
        request: Request<pb::DeactivatePipelineRequest>,
    ) -> Result<Response<pb::DeactivatePipelineResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = convert::pipeline_id(&mut fields, "name", &request.name);
        fields.done()?;
        let command = Command::Pipeline(PipelineCommand::SetActive { id, etag: request.etag, active: false });
        let outcome = self.0.call(caller, deadline, "DeactivatePipeline", meta, command).await?;
        Ok(Response::new(pb::DeactivatePipelineResponse { pipeline: Some(outcome.resource) }))
    }

    async fn activate_pipeline(
        &self,
        request: Request<pb::ActivatePipelineRequest>,
    ) -> Result<Response<pb::ActivatePipelineResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let id = convert::pipeline_id(&mut fields, "name", &request.name);
        fields.done()?;
        let command = Command::Pipeline(PipelineCommand::SetActive { id, etag: request.etag, active: true });
        let outcome = self.0.call(caller, deadline, "ActivatePipeline", meta, command).await?;
        Ok(Response::new(pb::ActivatePipelineResponse { pipeline: Some(outcome.resource) }))
    }

    async fn reorder_pipelines(
        &self,
        request: Request<pb::ReorderPipelinesRequest>,
    ) -> Result<Response<pb::ReorderPipelinesResponse>, Status> {
        let Opened { caller, deadline, mut request } = open(request)?;
        let mut fields = Fields::new();
        let meta = meta!(&mut fields, request);
        let ids = convert::pipeline_ids(&mut fields, &request.pipelines);
        fields.done()?;
        let command = Command::Pipeline(PipelineCommand::Reorder { ids });
        let outcome = self.0.call(caller, deadline, "ReorderPipelines", meta, command).await?;
        Ok(Response::new(outcome.resource))
    }
}

/// Adds what is wrong with a stage to be entered where other fields are wrong: the batch that would say it is not run then.
pub(super) async fn judge_stage(
    front: &Front<Service>,
    tenant: TenantId,
    fields: &mut Fields,
    field: &str,
    stage: Option<&StageName>,
) -> Result<(), Status> {
    let Some(stage) = stage.filter(|_| fields.are_refused()) else { return Ok(()) };
    let pipelines = read(front, tenant).await?;
    pipeline::check(&pipelines, tenant, field, stage).unwrap_or_else(|violation| fields.extend(vec![violation]));
    Ok(())
}

/// Adds that there is no such stage to look for.
pub(super) async fn find_stage(
    front: &Front<Service>,
    tenant: TenantId,
    fields: &mut Fields,
    stage: Option<&StageName>,
) -> Result<(), Status> {
    let Some(stage) = stage else { return Ok(()) };
    let pipelines = read(front, tenant).await?;
    pipeline::find(&pipelines, tenant, "stage", stage).map_or_else(|violation| fields.extend(vec![violation]), drop);
    Ok(())
}

/// Adds which of these places, pipelines and stages by their resource names, there are not; `field`: the list that they are in.
pub(super) async fn find_places(
    front: &Front<Service>,
    tenant: TenantId,
    fields: &mut Fields,
    field: &str,
    places: impl Iterator<Item = &str>,
) -> Result<(), Status> {
    let pipelines = read(front, tenant).await?;
    for (nth, place) in places.enumerate() {
        let field = format!("{field}[{nth}].place");
        if let Some(stage) = StageName::parse(place) {
            pipeline::find(&pipelines, tenant, &field, &stage)
                .map_or_else(|violation| fields.extend(vec![violation]), drop);
        } else if let Some(id) = parse(place)
            && pipelines.get(&(tenant, id.to_owned())).is_none()
        {
            fields.refuse(field, &wording::UNKNOWN_PIPELINE, &[("pipeline", &place)]);
        }
    }
    Ok(())
}

async fn read(front: &Front<Service>, tenant: TenantId) -> Result<Rows<pipeline::Pipeline>, Status> {
    pipelines::of_tenant(&front.db, tenant).await.map_err(|error| failure::database(&error))
}
