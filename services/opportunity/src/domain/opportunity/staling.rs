//! What is done about an opportunity that is stale: its owner is told, gets a task, or it is closed out. Each is done once for one
//! activity: whoever works on it again begins anew.

use super::{Closing, Opportunity};
use crate::domain::{
    World, opportunity_record,
    stale::{Finding, Flag, Level},
};
use crm_closeout::{
    access::Right,
    cascade::NewTask,
    ids::CloseOutId,
    reason,
    refusal::{Refusal, etag},
    remarks::Remarks,
    task::TaskKind,
    wording,
    working_set::Cause,
};

/// Code of the reason for which stale ones are closed out.
const REASON: &str = "STALE_AUTO";

/// An opportunity that was found to be stale.
#[derive(Clone, Debug)]
pub struct Staling {
    /// What was found.
    pub finding: Finding,
    /// The close-out that it comes to, of the very version in which it was found.
    pub closing: Closing,
}

impl Staling {
    /// What was found of an opportunity.
    pub fn new(opportunity: &Opportunity, finding: Finding) -> Self {
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
        };
        Self { finding, closing }
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
        let Staling { finding, closing } = staling;
        let id = closing.id;
        let before = self.opportunity(cause, Right::CloseOut, id, &closing.etag)?;
        before.check_open()?;
        let now = self.common.now;
        let planned = |at| at > now;
        let mut tasks = self.common.tasks.of((cause.tenant_id, id.0));
        let waits =
            tasks.any(|task| task.state.is_open() && task.kind != TaskKind::Review && task.due_at.is_some_and(planned));
        drop(tasks);
        if waits {
            return Err(Refusal::new(&wording::NOT_STALE, id));
        }
        if finding.level == Level::CloseOut {
            return self.close_out(cause, closing).map(|(after, close_out)| (after, Some(close_out)));
        }
        if before.flagged(finding).is_some_and(|done| done >= finding.level) {
            return Ok((before, None));
        }
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.flag = Some(Flag { level: finding.level, since: finding.since });
        })?;
        let text = closing.detail.clone();
        if finding.level == Level::Propose {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        OpportunityEdit, State,
        tests::{cause, opened, world},
    };
    use crm_closeout::task::TaskChange;

    fn found(opportunity: &Opportunity, level: Level) -> Staling {
        let finding =
            Finding { level, idle_days: 95, limit_days: 90, rule: String::new(), since: opportunity.activity_at };
        Staling::new(opportunity, finding)
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
        let (closed, close_out) = world.stale(&cause(), &found(&opportunity, Level::CloseOut)).unwrap();
        let record = world.common.close_outs.get(&(closed.tenant_id, close_out.unwrap())).unwrap();
        assert_eq!((closed.state, record.reason_code.as_str()), (State::ClosedOut, REASON));
        assert_eq!(record.detail, "No activity for 95 days, the limit is 90");
    }
}
