//! Calls of the opportunity service about customers and opportunities.

use super::{Asking, Done, LONGEST, PEER, only, reason};
use crate::{commands::Call, model::Record};
use crm_proto::opportunity as sales;
use crm_tests::client::cny;
use tonic::Status;

impl Asking<'_> {
    /// About a customer or an opportunity.
    pub(super) async fn of_sales(&self) -> Result<Done, Status> {
        let (client, manner) = (self.client, self.manner);
        let name = |record| self.names.of(record).to_owned();
        let (request_id, etag, validate_only) = (manner.id(), manner.etag.clone(), manner.dry);
        let (wait, max_wait) = (PEER, LONGEST);
        match *self.call {
            Call::CreateCustomer { blocked } => {
                let display_name = manner.words.to_owned();
                let customer = Some(sales::Customer { display_name, do_not_contact: blocked, ..Default::default() });
                let request = sales::CreateCustomerRequest { customer, request_id, validate_only, wait, max_wait };
                let reply = client.create_customer(request).await?;
                Done::of(&reply, reply.customer.as_ref())
            }
            Call::UpdateCustomer { customer, blocked } => {
                let name = name(Record::Customer(customer));
                let customer = sales::Customer { name, etag, do_not_contact: blocked, ..Default::default() };
                let (customer, update_mask) = (Some(customer), only("do_not_contact"));
                let request =
                    sales::UpdateCustomerRequest { customer, update_mask, request_id, validate_only, wait, max_wait };
                let reply = client.update_customer(request).await?;
                Done::of(&reply, reply.customer.as_ref())
            }
            Call::CreateOpportunity { customer, owner, amount, titled } => {
                let opportunity = Some(sales::Opportunity {
                    customer: name(Record::Customer(customer)),
                    title: if titled { manner.words.to_owned() } else { String::new() },
                    owner: owner.map(|owner| owner.name().to_owned()).unwrap_or_default(),
                    amount: cny(amount),
                    ..Default::default()
                });
                let historical = None;
                let request = sales::CreateOpportunityRequest {
                    opportunity,
                    request_id,
                    validate_only,
                    wait,
                    max_wait,
                    historical,
                };
                let reply = client.create_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::OwnOpportunity { opportunity, owner } => {
                let (name, owner) = (name(Record::Opportunity(opportunity)), owner.name().to_owned());
                let opportunity = Some(sales::Opportunity { name, owner, etag, ..Default::default() });
                let update_mask = only("owner");
                let request = sales::UpdateOpportunityRequest { opportunity, update_mask, request_id, validate_only };
                let reply = client.update_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::Move { opportunity, stage } => {
                let (name, stage) = (name(Record::Opportunity(opportunity)), stage.to_owned());
                let request = sales::MoveOpportunityStageRequest { name, stage, etag, request_id, validate_only };
                let reply = client.move_opportunity_stage(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::Win { opportunity, amount } => {
                let (name, amount) = (name(Record::Opportunity(opportunity)), amount.and_then(cny));
                let request = sales::WinOpportunityRequest {
                    name,
                    amount,
                    etag,
                    request_id,
                    validate_only,
                    wait,
                    max_wait,
                    historical: None,
                };
                let reply = client.win_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::Snooze { opportunity } => {
                let (name, note) = (name(Record::Opportunity(opportunity)), manner.words.to_owned());
                let resume_time = Some(manner.later);
                let request =
                    sales::SnoozeOpportunityRequest { name, resume_time, note, etag, request_id, validate_only };
                let reply = client.snooze_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::Resume { opportunity } => {
                let name = name(Record::Opportunity(opportunity));
                let request = sales::ResumeOpportunityRequest { name, etag, request_id, validate_only };
                let reply = client.resume_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::CloseOpportunity { opportunity, reason: code, detail } => {
                let request = sales::CloseOutOpportunityRequest {
                    name: name(Record::Opportunity(opportunity)),
                    reason: reason(code),
                    detail: detail.to_owned(),
                    etag,
                    request_id,
                    validate_only,
                    max_wait,
                    ..Default::default()
                };
                let reply = client.close_out_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::ReopenOpportunity { opportunity } => {
                let (name, note) = (name(Record::Opportunity(opportunity)), manner.words.to_owned());
                let request =
                    sales::ReopenOpportunityRequest { name, note, etag, request_id, validate_only, wait, max_wait };
                let reply = client.reopen_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            Call::Missing { record: Record::Opportunity(_) } => {
                let (name, reason) = (format!("opportunities/{}", manner.id), reason("WALK_LOST"));
                let request =
                    sales::CloseOutOpportunityRequest { name, reason, request_id, validate_only, ..Default::default() };
                let reply = client.close_out_opportunity(request).await?;
                Done::of(&reply, reply.opportunity.as_ref())
            }
            _ => Err(Status::internal(format!("not asked of the opportunity service: {:?}", self.call))),
        }
    }
}
