//! The way of an opportunity to won: made, changed, moved, won.

use super::{NewOpportunity, Opportunity, OpportunityEdit, Since, State};
use crate::domain::{World, opportunity_record, pipeline};
use crm_closeout::{
    access::{Owned, Right},
    fact::Event,
    ids::{OpportunityId, TenantId},
    money::Money,
    pipeline::StageName,
    refusal::{Refusal, Violation},
    time::Time,
    wording,
    working_set::Cause,
};

/// What an opportunity is called that there is none of yet.
const NEW: &str = "opportunities/-";

impl World {
    /// Makes an opportunity.
    pub fn create_opportunity(&mut self, cause: &Cause, new: &NewOpportunity) -> Result<Opportunity, Refusal> {
        let tenant = cause.tenant_id;
        cause.may_make(Right::EditOpportunities, NEW, Owned { owner: &new.owner, team: &new.team })?;
        if new.historical.is_some() {
            cause.may_import()?;
        }
        let stage = self.first_stage(tenant, new.stage.as_ref())?;
        if let Some(customer) = new.customer_id {
            self.customers.get(&(tenant, customer)).ok_or_else(|| Refusal::not_found(customer))?;
        }
        self.check_not_closing(tenant, new.customer_id)?;
        self.check_number(tenant, &new.number)?;
        let plan = new.recovered_from.map(|plan| self.recoverable(tenant, plan, new.customer_id)).transpose()?;
        let now = self.common.now;
        let id = OpportunityId(self.common.new_id());
        let since = new.historical.unwrap_or(Since { created_at: now, stage_entered_at: now, activity_at: now });
        let number = if new.number.is_empty() { id.0.simple().to_string() } else { new.number.clone() };
        let opportunity = Opportunity {
            tenant_id: tenant,
            opportunity_id: id,
            number,
            customer_id: new.customer_id,
            title: new.title.clone(),
            owner: new.owner.clone(),
            team: new.team.clone(),
            stage,
            state: State::Open,
            amount: new.amount,
            expected_close_at: new.expected_close_at,
            source: new.source.clone(),
            created_at: since.created_at,
            stage_entered_at: since.stage_entered_at,
            activity_at: since.activity_at,
            won_at: None,
            resume_at: None,
            hold_note: String::new(),
            flag: None,
            taken_back_by: None,
            won_before: None,
            close_out_id: None,
            closed_at: None,
            loss_at: None,
            recovered_from: new.recovered_from,
            historical: new.historical.is_some(),
            updated_at: now,
            version: 1,
            epoch: 0,
            declined: 0,
            sent: 1,
        };
        let fact = opportunity.fact(cause, Event::Opened, now, None);
        self.common.send(cause, opportunity_record(id), 1, fact, None);
        self.audit_opportunity(cause, None, &opportunity, None);
        self.opportunities.insert(opportunity.clone());
        if let Some(plan) = plan {
            self.recover(cause, &plan, id);
        }
        if let Some(customer) = opportunity.customer_id {
            self.touch(cause, customer, None, |customer| {
                customer.engaged = true;
                customer.add(&opportunity);
            });
        }
        Ok(opportunity)
    }

    /// Changes business fields of an opportunity that is open or on hold.
    pub fn update_opportunity(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        edit: &OpportunityEdit,
    ) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, Right::EditOpportunities, id, etag)?;
        before.check_in_work()?;
        let customer_id = before.customer_id.or(edit.customer_id);
        if edit.customer_id.is_some_and(|given| Some(given) != customer_id) {
            return Err(Violation::new("opportunity.customer", &wording::IMMUTABLE_CUSTOMER).into());
        }
        if let Some(customer) = customer_id {
            self.customers.get(&(cause.tenant_id, customer)).ok_or_else(|| Refusal::not_found(customer))?;
        }
        if before.customer_id.is_none() {
            self.check_not_closing(cause.tenant_id, customer_id)?;
        }
        if let Some(number) = edit.number.as_ref().filter(|number| **number != before.number) {
            self.check_number(cause.tenant_id, number)?;
        }
        let edit = edit.clone();
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.number = edit.number.unwrap_or_else(|| opportunity.number.clone());
            opportunity.customer_id = customer_id;
            opportunity.title = edit.title.unwrap_or_else(|| opportunity.title.clone());
            opportunity.owner = edit.owner.unwrap_or_else(|| opportunity.owner.clone());
            opportunity.team = edit.team.unwrap_or_else(|| opportunity.team.clone());
            opportunity.amount = edit.amount.unwrap_or(opportunity.amount);
            opportunity.expected_close_at = edit.expected_close_at.unwrap_or(opportunity.expected_close_at);
            opportunity.source = edit.source.unwrap_or_else(|| opportunity.source.clone());
            opportunity.activity_at = opportunity.updated_at;
        })?;
        if let Some(customer) = customer_id {
            self.touch(cause, customer, None, |customer| {
                if before.customer_id.is_some() {
                    customer.remove(&before);
                }
                customer.engaged = true;
                customer.add(&after);
            });
        }
        if before.owner == after.owner && before.customer_id == after.customer_id {
            return Ok(after);
        }
        self.report(cause, &after, Event::Changed, None)
    }

    /// Moves an open opportunity to another stage, of whichever pipeline.
    pub fn move_stage(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        stage: &StageName,
    ) -> Result<Opportunity, Refusal> {
        pipeline::check(&self.pipelines, cause.tenant_id, "stage", stage)?;
        let before = self.opportunity(cause, Right::EditOpportunities, id, etag)?;
        before.check_open()?;
        let now = self.common.now;
        self.change_opportunity(cause, &before, None, |opportunity| {
            if opportunity.stage != *stage {
                opportunity.stage = stage.clone();
                opportunity.stage_entered_at = now;
            }
            opportunity.activity_at = now;
        })
    }

    /// Marks an open opportunity as won.
    pub fn win(
        &mut self,
        cause: &Cause,
        id: OpportunityId,
        etag: &str,
        amount: Option<Money>,
        won_at: Option<Time>,
    ) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, Right::EditOpportunities, id, etag)?;
        before.check_open()?;
        if won_at.is_some() {
            cause.may_import()?;
        }
        let at = self.when(&before, won_at)?;
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.state = State::Won;
            opportunity.amount = amount.unwrap_or(opportunity.amount);
            opportunity.won_at = Some(at);
            opportunity.won_before = None;
            opportunity.historical |= won_at.is_some();
        })?;
        let after = self.report(cause, &after, Event::Won, None)?;
        if let Some(customer) = after.customer_id {
            self.touch(cause, customer, None, |customer| {
                customer.remove(&before);
                customer.add(&after);
            });
            let record = opportunity_record(id);
            self.common.tell(cause, customer, "opportunity.won", record, None, after.amount.to_string());
        }
        Ok(after)
    }

    fn check_number(&self, tenant: TenantId, number: &str) -> Result<(), Refusal> {
        let mut own = self.opportunities.iter();
        let taken = self.numbers.contains(&(tenant, number.to_owned()))
            || own.any(|o| o.tenant_id == tenant && o.number == number);
        if number.is_empty() || !taken {
            return Ok(());
        }
        Err(Refusal::new(&wording::NUMBER_TAKEN, number))
    }
}
