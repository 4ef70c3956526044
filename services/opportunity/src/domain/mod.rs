//! The rules of the sales side: opportunities, their pipelines, the relationship with customers, competitors, and what a fact about an order
//! means here. Pure: decides on loaded rows, changes them in memory, refuses without leaving a trace.

mod competitors;
mod customer;
mod group;
mod opportunity;
mod order_facts;
pub mod pipeline;
mod rates;
mod reasons;
mod settings;
pub mod stale;
mod win_back;

pub use competitors::{Competitor, CompetitorCommand, MOST_SOURCES, check_sources};
use crm_closeout::{
    amend::Amending,
    approval::Ruling,
    cascade::{NewTask, Resend, TaskCommand},
    codes::{Record, RecordKind},
    fact::{Applied, Fact},
    ids::{CustomerId, OpportunityId, TenantId},
    pipeline::StageName,
    records::Lane,
    refusal::Refusal,
    task::Task,
    time::Time,
    working_set::{Cause, Common, Rows},
};
pub use customer::{Customer, CustomerEdit, Lifecycle, NewCustomer, Standing};
pub use group::{AskersReach, CustomerClosing, Group, GroupCommand, GroupState, Left, Lefts, MOST_OPEN, Reopening};
pub use opportunity::{Closing, Hold, NewOpportunity, Opportunity, OpportunityEdit, Since, Staling, State};
pub use pipeline::{Pipeline, PipelineCommand};
pub use rates::{RateCommand, rate_record};
pub use reasons::{ReasonCommand, ReasonEdit};
pub use settings::SettingsEdit;
use stale::{Day, PolicyRow, StalePolicyEdit};
use std::collections::{BTreeMap, BTreeSet};
pub use win_back::{
    Contact, ContactMethod, ContactResult, Contacts, MOST_PLANS, NewContact, PlanEnd, PlanState, Tally, WinBackCommand,
    WinBackEdit, WinBackPlan, WinBackWork,
};

/// What a caller can ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a customer.
    CreateCustomer(NewCustomer),
    /// Changes a customer.
    UpdateCustomer {
        /// Which.
        id: CustomerId,
        /// Only this version.
        etag: String,
        /// What to change.
        edit: CustomerEdit,
    },
    /// Makes an opportunity.
    CreateOpportunity(NewOpportunity),
    /// Changes an opportunity.
    UpdateOpportunity {
        /// Which.
        id: OpportunityId,
        /// Only this version.
        etag: String,
        /// What to change.
        edit: OpportunityEdit,
    },
    /// Moves an opportunity to another stage.
    MoveStage {
        /// Which.
        id: OpportunityId,
        /// Only this version.
        etag: String,
        /// The stage.
        stage: StageName,
    },
    /// Marks an opportunity as won.
    Win {
        /// Which.
        id: OpportunityId,
        /// Only this version.
        etag: String,
        /// For how much.
        amount: Option<crm_closeout::money::Money>,
        /// When, if in the past.
        won_at: Option<Time>,
    },
    /// Puts an opportunity on hold.
    Snooze(Hold),
    /// Takes an opportunity up again that is on hold.
    Resume {
        /// Which.
        id: OpportunityId,
        /// Only this version.
        etag: String,
    },
    /// The day has come on which an opportunity is taken up again.
    ResumeInTime {
        /// Which.
        id: OpportunityId,
        /// That day.
        until: Time,
    },
    /// Closes an opportunity out.
    CloseOut(Closing),
    /// Says what closing it out would do and what would refuse that.
    Preview(Closing),
    /// Decides about a close-out that waits for approval.
    Rule(Ruling),
    /// Corrects what a close-out says of its reason.
    Amend(Amending),
    /// Takes a close-out or a win back.
    Reopen {
        /// Which.
        id: OpportunityId,
        /// Only this version.
        etag: String,
        /// The person's words.
        note: String,
    },
    /// Something about tasks.
    Task(TaskCommand),
    /// Sends the whole state of a customer, an opportunity, a reason or the settings again.
    Resend(Resend),
    /// Something about reasons for close-outs.
    Reason(ReasonCommand),
    /// Changes what the tenant has decided about close-outs.
    UpdateSettings {
        /// Only this revision.
        etag: String,
        /// What to change.
        edit: SettingsEdit,
    },
    /// Something about exchange rates.
    Rate(RateCommand),
    /// Something about pipelines.
    Pipeline(PipelineCommand),
    /// Changes what the tenant has decided about stale opportunities.
    UpdateStalePolicy {
        /// Only this version.
        etag: String,
        /// What to change.
        edit: StalePolicyEdit,
    },
    /// Has that acted upon on the tenant's next day after this one.
    ScheduleSweep {
        /// The day that is over.
        day: Day,
    },
    /// Does what is due about a stale opportunity.
    Stale(Staling),
    /// Something about competitors.
    Competitor(CompetitorCommand),
    /// Something about a whole customer.
    Group(GroupCommand),
    /// Something about winning a customer back.
    WinBack(WinBackCommand),
}

impl From<TaskCommand> for Command {
    fn from(command: TaskCommand) -> Self {
        Self::Task(command)
    }
}

impl From<Ruling> for Command {
    fn from(ruling: Ruling) -> Self {
        Self::Rule(ruling)
    }
}

impl From<Amending> for Command {
    fn from(amending: Amending) -> Self {
        Self::Amend(amending)
    }
}

/// The rows of one batch.
#[derive(Debug)]
pub struct World {
    /// What both services have.
    pub common: Common,
    /// Opportunities.
    pub opportunities: Rows<Opportunity>,
    /// Customers.
    pub customers: Rows<Customer>,
    /// Close-outs of whole customers.
    pub groups: Rows<Group>,
    /// Plans to win customers back: those that the batch names, and of customers whose plans it may end every open one.
    pub plans: Rows<WinBackPlan>,
    /// Competitors.
    pub competitors: Rows<Competitor>,
    /// Every pipeline of the tenants whose stages or pipelines the batch names.
    pub pipelines: Rows<Pipeline>,
    /// What the tenants that change it have decided about stale opportunities.
    pub policies: Rows<PolicyRow>,
    /// Opportunities whose tasks somebody has moved since they were found to be stale, of those the batch names.
    pub touched: BTreeSet<(TenantId, OpportunityId)>,
    /// Newest loss and success of each customer among the records that are not loaded.
    pub standing: BTreeMap<(TenantId, CustomerId), Standing>,
    /// The open plans of each customer that are not loaded.
    pub tallies: BTreeMap<(TenantId, CustomerId), Tally>,
    /// Numbers of opportunities that are taken, of those the batch asks for.
    pub numbers: BTreeSet<(TenantId, String)>,
    /// Names of competitors that are taken, of those the batch asks for.
    pub names: BTreeSet<(TenantId, String)>,
}

impl World {
    /// A command begins.
    pub fn begin(&mut self) {
        self.common.begin();
        self.opportunities.begin();
        self.customers.begin();
        self.groups.begin();
        self.plans.begin();
        self.competitors.begin();
        self.pipelines.begin();
        self.policies.begin();
    }

    /// It was refused: back to where it began.
    pub fn rollback(&mut self) {
        self.common.rollback();
        self.opportunities.rollback();
        self.customers.rollback();
        self.groups.rollback();
        self.plans.rollback();
        self.competitors.rollback();
        self.pipelines.rollback();
        self.policies.rollback();
    }

    /// Makes a task for an opportunity, an order or a customer.
    pub fn create_task(&mut self, cause: &Cause, new: &NewTask) -> Result<Task, Refusal> {
        let tenant = cause.tenant_id;
        let closed_by = match new.root.kind {
            RecordKind::Opportunity => {
                let id = OpportunityId(new.root.id);
                let root = self.opportunities.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
                root.closed_by()
            }
            RecordKind::Order => {
                let lane = self.common.mirror(tenant, new.root)?;
                lane.close_out_id.filter(|_| lane.is_closed())
            }
            RecordKind::Customer => {
                let id = CustomerId(new.root.id);
                self.customers.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
                None
            }
            RecordKind::Reason | RecordKind::Settings | RecordKind::ExchangeRate => {
                return Err(Refusal::not_found(new.root));
            }
        };
        self.common.create_task(cause, new, closed_by)
    }

    /// Applies a fact about an order.
    pub fn apply(&mut self, cause: &Cause, before: &Lane, fact: &Fact) -> Applied {
        order_facts::apply(self, cause, before, fact)
    }
}

/// An opportunity as a record.
pub const fn opportunity_record(id: OpportunityId) -> Record {
    Record::new(RecordKind::Opportunity, id.0)
}

#[cfg(test)]
pub(crate) mod tests;
