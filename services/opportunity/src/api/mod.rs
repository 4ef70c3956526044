//! The public methods, a file for each service. Each one: take the request apart, check its fields, hand a command to the
//! writer or read, reply.

mod bulk;
mod catalogue;
mod customers;
mod groups;
mod opportunities;
mod pipelines;
mod rates;
mod reasons;
mod settings;
mod stale;
mod win_back;

use crate::{domain::Command, service::Opportunities as Service, store};
use crm_api::front::Front;
use crm_closeout::{codes::RecordKind, task::TaskKind};
use crm_proto::opportunity as pb;
use crm_runtime::server::Limits;
use pb::{
    close_out_reason_service_server as reason, close_out_service_server as close_outs,
    competitor_service_server as competitors, customer_close_out_service_server as grouped,
    customer_service_server as customer, exchange_rate_service_server as exchange,
    operator_service_server as operators, opportunity_service_server as opportunity,
    pipeline_service_server as pipeline, settings_service_server as decided, stale_service_server as stale_service,
    task_service_server as task, win_back_service_server as win_backs,
};
use tonic::service::Routes;

/// Kinds of task that sales has.
const KINDS: &[TaskKind] = &[TaskKind::FollowUp, TaskKind::Demo, TaskKind::Quote, TaskKind::WinBack, TaskKind::Review];

/// Records whose messages this service sends.
const OWN: &[RecordKind] = &[
    RecordKind::Opportunity,
    RecordKind::Customer,
    RecordKind::Reason,
    RecordKind::Settings,
    RecordKind::ExchangeRate,
];

crm_api::task_service!(pb, Service, KINDS);
crm_api::close_out_service!(
    pb,
    Service,
    crate::domain::State::ClosePending,
    Lost,
    |request| Some(&request.competitor),
    store::competitors::counting
);
crm_api::operator_service!(pb, Service, OWN);

/// Names of the public services, for health.
pub(crate) const SERVICES: &[&str] = &[
    opportunity::SERVICE_NAME,
    customer::SERVICE_NAME,
    grouped::SERVICE_NAME,
    task::SERVICE_NAME,
    competitors::SERVICE_NAME,
    pipeline::SERVICE_NAME,
    reason::SERVICE_NAME,
    close_outs::SERVICE_NAME,
    decided::SERVICE_NAME,
    exchange::SERVICE_NAME,
    stale_service::SERVICE_NAME,
    win_backs::SERVICE_NAME,
    operators::SERVICE_NAME,
];

macro_rules! limited {
    ($server:expr) => {
        $server.max_decoding_message_size(Limits::PUBLIC.decode).max_encoding_message_size(Limits::PUBLIC.encode)
    };
}

/// Every public service.
pub(crate) fn routes(front: &Front<Service>) -> Routes {
    let front = || front.clone();
    Routes::new(limited!(opportunity::OpportunityServiceServer::new(opportunities::Opportunities(front()))))
        .add_service(limited!(customer::CustomerServiceServer::new(customers::Customers(front()))))
        .add_service(limited!(grouped::CustomerCloseOutServiceServer::new(groups::Groups(front()))))
        .add_service(limited!(task::TaskServiceServer::new(Tasks(front()))))
        .add_service(limited!(competitors::CompetitorServiceServer::new(catalogue::Competitors(front()))))
        .add_service(limited!(pipeline::PipelineServiceServer::new(pipelines::Pipelines(front()))))
        .add_service(limited!(reason::CloseOutReasonServiceServer::new(reasons::Reasons(front()))))
        .add_service(limited!(close_outs::CloseOutServiceServer::new(CloseOuts(front()))))
        .add_service(limited!(decided::SettingsServiceServer::new(settings::Settings(front()))))
        .add_service(limited!(exchange::ExchangeRateServiceServer::new(rates::ExchangeRates(front()))))
        .add_service(limited!(stale_service::StaleServiceServer::new(stale::Stale(front()))))
        .add_service(limited!(win_backs::WinBackServiceServer::new(win_back::WinBacks(front()))))
        .add_service(limited!(operators::OperatorServiceServer::new(Operators(front()))))
}
