//! What is done about an opportunity that is stale: its owner is told, gets a task, or it is closed out. Each is done once for one
//! activity: whoever works on it again begins anew.

use super::{Closing, Opportunity, State};
use crate::domain::{
    World, opportunity_record,
    stale::{Finding, Flag, Level},
};
use crm_closeout::{
    access::Right,
    cascade::NewTask,
    fact::MirrorState,
    ids::{CloseOutId, OpportunityId},
    reason,
    refusal::{Refusal, etag},
    remarks::Remarks,
    task::{Task, TaskKind},
    time::Time,
    wording,
    working_set::{Cause, Keyed as _},
};

/// Code of the reason for which stale ones are closed out.
const REASON: &str = "STALE_AUTO";

/// An opportunity that was found to be stale.
#[derive(Clone, Debug)]
pub struct Staling {
    /// What was found.
    pub finding: Finding,
    /// When that was looked at.
    pub looked_at: Time,
    /// The close-out that it comes to, of the very version in which it was found.
    pub closing: Closing,
}

impl Staling {
    /// What was found of an opportunity.
    pub fn new(opportunity: &Opportunity, finding: Finding, looked_at: Time) -> Self {
        let Finding { idle_days, limit_days, rule, .. } = &finding;
        let place = if rule.is_empty() { String::new() } else { format!(" ({rule})") };
        let closing = Closing {
            id: opportunity.opportunity_id,
            etag: etag(opportunity.version),
            reason: reason::name(REASON),
            detail: format!("No activity for {idle_days} days, the limit is {limit_days}{place}"),
            competitor: None,
            closed_at: None,
            remarks: Remarks::default(),
            group_id: None,
        };
        Self { finding, looked_at, closing }
    }
}

impl Opportunity {
    /// What was done already about its being stale since then.
    pub fn flagged(&self, finding: &Finding) -> Option<Level> {
        self.flag.filter(|flag| flag.since == finding.since).map(|flag| flag.level)
    }
}

impl World {
    /// Does what is due about an opportunity that was found to be stale.
    pub fn stale(&mut self, cause: &Cause, staling: &Staling) -> Result<(Opportunity, Option<CloseOutId>), Refusal> {
        let Staling { finding, closing, .. } = staling;
        let id = closing.id;
        let before = self.opportunity(cause, Right::CloseOut, id, &closing.etag)?;
        before.check_open()?;
        self.check_still_stale(cause, id)?;
        let flag = Some(Flag { level: finding.level, since: finding.since });
        if finding.level == Level::CloseOut {
            let (after, close_out) = self.close_out(cause, closing)?;
            // Whatever is decided about one that waits, it is not asked for again before somebody has worked on it.
            if let Some(row) = self.opportunities.edit(&after.key()).filter(|row| row.state == State::ClosePending) {
                row.flag = flag;
            }
            return Ok((after, Some(close_out)));
        }
        if before.flagged(finding).is_some_and(|done| done >= finding.level) {
            return Ok((before, None));
        }
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.flag = flag;
        })?;
        let text = closing.detail.clone();
        let mut tasks = self.common.tasks.of((cause.tenant_id, id.0));
        let asked = tasks.any(|task| task.kind == TaskKind::Review && task.state.is_open());
        drop(tasks);
        if finding.level == Level::Propose && !asked {
            let review = NewTask {
                root: opportunity_record(id),
                kind: TaskKind::Review,
                title: format!("{text}: go on with it, or close it out"),
                assignee: after.owner.clone(),
                due_at: None,
            };
            self.common.add_task(cause, &review);
        }
        if let Some(customer) = after.customer_id {
            self.common.tell(cause, customer, "opportunity.stale", opportunity_record(id), None, text);
        }
        Ok((after, None))
    }

    /// Refuses where somebody has worked on it since it was found, or it waits for what is planned or ordered.
    fn check_still_stale(&self, cause: &Cause, id: OpportunityId) -> Result<(), Refusal> {
        let (tenant, now) = (cause.tenant_id, self.common.now);
        let later = |task: &Task| task.kind != TaskKind::Review && task.due_at.is_some_and(|at| at > now);
        if self.common.tasks.of((tenant, id.0)).any(|task| task.state.is_open() && later(task)) {
            return Err(Refusal::new(&wording::NOT_STALE, id));
        }
        if self.touched.contains(&(tenant, id)) {
            return Err(Refusal::new(&wording::WORKED_ON, id));
        }
        let mut orders = self.common.children(tenant, opportunity_record(id));
        match orders.find(|order| matches!(order.state, Some(MirrorState::Draft | MirrorState::Live))) {
            Some(order) => Err(Refusal::new(&wording::HAS_ORDER, id).with("order", order.record)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        OpportunityEdit,
        tests::{cause, opened, world},
    };
    use crm_closeout::{
        approval::{ApprovalPolicy, Ruling, Verdict},
        settings::{Settings, Told},
        task::TaskChange,
    };

    fn found(opportunity: &Opportunity, level: Level) -> Staling {
        let finding =
            Finding { level, idle_days: 95, limit_days: 90, rule: String::new(), since: opportunity.activity_at };
        Staling::new(opportunity, finding, Time(0))
    }

    #[test]
    fn each_level_is_done_once_until_somebody_works_on_it() {
        let mut world = world();
        let opportunity = opened(&mut world);
        let (warned, none) = world.stale(&cause(), &found(&opportunity, Level::Warn)).unwrap();
        assert_eq!(
            (warned.flag.unwrap().level, none, warned.activity_at),
            (Level::Warn, None, opportunity.activity_at)
        );
        assert_eq!(world.stale(&cause(), &found(&warned, Level::Warn)).unwrap().0, warned, "not twice");
        let (proposed, _) = world.stale(&cause(), &found(&warned, Level::Propose)).unwrap();
        let review: Vec<_> = world.common.tasks.inserted().into_iter().cloned().collect();
        assert_eq!((review.len(), review[0].kind, &review[0].assignee), (1, TaskKind::Review, &proposed.owner));
        assert_eq!(world.stale(&cause(), &found(&proposed, Level::Warn)).unwrap().0, proposed, "more was done");
        let edit = OpportunityEdit { title: Some("Other".into()), ..OpportunityEdit::default() };
        world.common.now = world.common.now.plus_days(1);
        let touched = world.update_opportunity(&cause(), opportunity.opportunity_id, "", &edit).unwrap();
        assert_eq!(touched.flag, None);
        // One review task is enough, as long as nobody has answered it.
        world.stale(&cause(), &found(&touched, Level::Propose)).unwrap();
        assert_eq!(world.common.tasks.inserted().len(), 1);
        let touched = world.update_opportunity(&cause(), opportunity.opportunity_id, "", &edit).unwrap();
        let again = world.stale(&cause(), &found(&proposed, Level::Warn)).unwrap_err();
        assert_eq!(again.reason(), "VERSION_MISMATCH", "it is not what was found any more");
        let (warned, _) = world.stale(&cause(), &found(&touched, Level::Warn)).unwrap();
        assert_eq!(warned.flag.unwrap().since, touched.activity_at);
    }

    #[test]
    fn what_is_planned_or_on_hold_is_left_alone_and_the_rest_closed_out_with_the_days() {
        let mut world = world();
        let opportunity = opened(&mut world);
        let later = NewTask {
            root: opportunity_record(opportunity.opportunity_id),
            kind: TaskKind::FollowUp,
            title: "Call".into(),
            assignee: "ann".into(),
            due_at: Some(world.common.now.plus_days(3)),
        };
        let task = world.create_task(&cause(), &later).unwrap();
        assert_eq!(world.stale(&cause(), &found(&opportunity, Level::CloseOut)).unwrap_err().reason(), "NOT_STALE");
        world.common.change_task(&cause(), task.task_id, "", &TaskChange::Complete).unwrap();
        let key = opportunity.key();
        world.touched.insert(key);
        assert_eq!(world.stale(&cause(), &found(&opportunity, Level::Warn)).unwrap_err().reason(), "NOT_STALE");
        world.touched.clear();
        let (closed, close_out) = world.stale(&cause(), &found(&opportunity, Level::CloseOut)).unwrap();
        let record = world.common.close_outs.get(&(closed.tenant_id, close_out.unwrap())).unwrap();
        assert_eq!((closed.state, record.reason_code.as_str()), (State::ClosedOut, REASON));
        assert_eq!(record.detail, "No activity for 95 days, the limit is 90");
    }

    #[test]
    fn a_close_out_that_came_to_nothing_is_not_asked_for_again() {
        let mut world = world();
        let opportunity = opened(&mut world);
        let currency = opportunity.amount.currency;
        let approval = ApprovalPolicy { over: [(currency, 1)].into(), ..ApprovalPolicy::DEFAULT };
        let settings = Settings { approval, ..Settings::DEFAULT };
        world.common.put_settings(&cause(), Told { settings, revision: 1 }, 0);
        world.begin();
        let finding = found(&opportunity, Level::CloseOut);
        let (pending, close_out) = world.stale(&cause(), &finding).unwrap();
        assert_eq!(pending.state, State::ClosePending);
        let (id, note) = (close_out.unwrap(), "they will call".to_owned());
        let reject = Ruling { id, etag: String::new(), verdict: Verdict::Reject, note };
        world.rule(&Cause { actor: "eve".into(), ..cause() }, &reject).unwrap();
        let open = world.opportunities.get(&opportunity.key()).unwrap();
        assert_eq!((open.state, open.flagged(&finding.finding)), (State::Open, Some(Level::CloseOut)));
    }
}
