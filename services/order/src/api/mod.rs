//! The public methods, a file for each service. Each one: take the request apart, check its fields, hand a command to the
//! writer or read, reply.

mod bulk;
mod customers;
mod orders;
mod reasons;
mod settings;

use crate::{domain::Command, service::Orders as Service};
use crm_api::front::Front;
use crm_closeout::{codes::RecordKind, task::TaskKind};
use crm_proto::order as pb;
use crm_runtime::server::Limits;
use pb::{
    close_out_reason_service_server as reason, close_out_service_server as close_outs,
    customer_service_server as customer, operator_service_server as operators, order_service_server as order,
    settings_service_server as decided, task_service_server as task,
};
use tonic::service::Routes;

/// Kinds of task that the trade side has.
const KINDS: &[TaskKind] =
    &[TaskKind::Deliver, TaskKind::Procure, TaskKind::Collect, TaskKind::Invoice, TaskKind::Review];

crm_api::task_service!(pb, Service, KINDS);
crm_api::close_out_service!(
    pb,
    Service,
    crate::domain::State::ClosePending,
    Cancelled,
    |_| None,
    crm_api::report::no_competitors
);
crm_api::operator_service!(pb, Service, &[RecordKind::Order]);

/// Names of the public services, for health.
pub(crate) const SERVICES: &[&str] = &[
    order::SERVICE_NAME,
    customer::SERVICE_NAME,
    task::SERVICE_NAME,
    reason::SERVICE_NAME,
    close_outs::SERVICE_NAME,
    decided::SERVICE_NAME,
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
    Routes::new(limited!(order::OrderServiceServer::new(orders::Orders(front()))))
        .add_service(limited!(customer::CustomerServiceServer::new(customers::Customers(front()))))
        .add_service(limited!(task::TaskServiceServer::new(Tasks(front()))))
        .add_service(limited!(reason::CloseOutReasonServiceServer::new(reasons::Reasons(front()))))
        .add_service(limited!(close_outs::CloseOutServiceServer::new(CloseOuts(front()))))
        .add_service(limited!(decided::SettingsServiceServer::new(settings::Settings(front()))))
        .add_service(limited!(operators::OperatorServiceServer::new(Operators(front()))))
}
