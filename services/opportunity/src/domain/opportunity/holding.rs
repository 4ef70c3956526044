//! A planned pause of an opportunity: put on hold until a day, and taken up again by a person or when that day has come.

use super::{Opportunity, State};
use crate::domain::{World, opportunity_record};
use crm_closeout::{
    access::Right,
    ids::OpportunityId,
    job::Job,
    refusal::{Refusal, Violation},
    time::Time,
    wording,
    working_set::Cause,
};

/// Longest pause, in days.
const LONGEST_HOLD: i64 = 180;

/// A pause that a caller asks for.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which.
    pub id: OpportunityId,
    /// Only this version.
    pub etag: String,
    /// Until when.
    pub until: Time,
    /// Why, in the person's words.
    pub note: String,
}

impl World {
    /// Puts an open opportunity on hold; one that is on hold already gets another day.
    pub fn snooze(&mut self, cause: &Cause, hold: &Hold) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, Right::EditOpportunities, hold.id, &hold.etag)?;
        before.check_in_work()?;
        let now = self.common.now;
        if hold.until <= now || hold.until > now.plus_days(LONGEST_HOLD) {
            return Err(Violation::new("resume_time", &wording::HOLD_TIME).with("days", LONGEST_HOLD).into());
        }
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.state = State::OnHold;
            opportunity.resume_at = Some(hold.until);
            opportunity.hold_note.clone_from(&hold.note);
            // Whoever had taken its win back does not give that back any more.
            opportunity.won_before = None;
        })?;
        self.hold_on(&after);
        self.tell_hold(cause, &after, "opportunity.snoozed", format!("{}: {}", hold.until, hold.note));
        Ok(after)
    }

    /// Takes an opportunity up again that is on hold.
    pub fn resume(&mut self, cause: &Cause, id: OpportunityId, etag: &str) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, Right::EditOpportunities, id, etag)?;
        if before.state != State::OnHold {
            return Err(Refusal::new(&wording::NOT_ON_HOLD, id).with("state", before.state.word()));
        }
        let now = self.common.now;
        let after = self.change_opportunity(cause, &before, None, |opportunity| {
            opportunity.state = State::Open;
            opportunity.resume_at = None;
            opportunity.hold_note.clear();
            // The pause was planned: whoever takes it up again has as long as after any other work.
            opportunity.activity_at = now;
        })?;
        self.tell_hold(cause, &after, "opportunity.resumed", String::new());
        Ok(after)
    }

    /// Its day has come. Refused where another one was chosen since, or it is not on hold: then there is nothing to do.
    pub fn resume_in_time(&mut self, cause: &Cause, id: OpportunityId, until: Time) -> Result<Opportunity, Refusal> {
        let before = self.opportunity(cause, Right::EditOpportunities, id, "")?;
        if before.state != State::OnHold || before.resume_at != Some(until) {
            return Err(Refusal::new(&wording::NOT_ON_HOLD, id).with("state", before.state.word()));
        }
        self.resume(cause, id, "")
    }

    /// It is on hold, or again: its day has to come.
    pub(super) fn hold_on(&mut self, opportunity: &Opportunity) {
        if let Some(until) = opportunity.resume_at.filter(|_| opportunity.state == State::OnHold) {
            let Opportunity { tenant_id, opportunity_id, version, .. } = *opportunity;
            self.common.jobs.push(Job::resumption(tenant_id, opportunity_id, version, until));
        }
    }

    fn tell_hold(&mut self, cause: &Cause, opportunity: &Opportunity, kind: &str, text: String) {
        if let Some(customer) = opportunity.customer_id {
            self.common.tell(cause, customer, kind, opportunity_record(opportunity.opportunity_id), None, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{TENANT, cause, closing, opened, the_customer, world};

    fn hold(id: OpportunityId, until: Time) -> Hold {
        Hold { id, etag: String::new(), until, note: "their budget round".into() }
    }

    #[test]
    fn a_pause_has_an_end_and_a_reason_and_counts_as_open() {
        let mut world = world();
        let opportunity = opened(&mut world);
        let (id, now, record) = (opportunity.opportunity_id, world.common.now, the_customer(&world));
        for until in [now, now.plus_days(181)] {
            let refusal = world.snooze(&cause(), &hold(id, until)).unwrap_err();
            assert_eq!((refusal.reason(), refusal.violations[0].reason()), ("INVALID_FIELDS", "OUT_OF_RANGE"));
        }
        let until = now.plus_days(30);
        let held = world.snooze(&cause(), &hold(id, until)).unwrap();
        assert_eq!((held.state, held.resume_at, the_customer(&world)), (State::OnHold, Some(until), record));
        assert_eq!(world.common.jobs.entries(), [Job::resumption(TENANT, id, held.version, until)]);
        assert_eq!(world.win(&cause(), id, "", None, None).unwrap_err().reason(), "ON_HOLD");
        let open = world.resume(&cause(), id, "").unwrap();
        assert_eq!((open.state, open.resume_at, open.hold_note.as_str()), (State::Open, None, ""));
        assert_eq!(world.resume(&cause(), id, "").unwrap_err().reason(), "NOT_ON_HOLD");
    }

    #[test]
    fn it_goes_on_when_its_day_has_come_and_not_before() {
        let mut world = world();
        let id = opened(&mut world).opportunity_id;
        let (first, later) = (world.common.now.plus_days(1), world.common.now.plus_days(9));
        world.snooze(&cause(), &hold(id, first)).unwrap();
        world.snooze(&cause(), &hold(id, later)).unwrap();
        assert_eq!(world.resume_in_time(&cause(), id, first).unwrap_err().reason(), "NOT_ON_HOLD");
        world.common.now = later;
        let open = world.resume_in_time(&cause(), id, later).unwrap();
        assert_eq!((open.state, open.activity_at), (State::Open, later));
        assert_eq!(world.resume_in_time(&cause(), id, later).unwrap_err().reason(), "NOT_ON_HOLD");
    }

    #[test]
    fn closed_out_on_hold_it_is_on_hold_again_when_it_is_reopened() {
        let mut world = world();
        let id = opened(&mut world).opportunity_id;
        let until = world.common.now.plus_days(3);
        world.snooze(&cause(), &hold(id, until)).unwrap();
        let (closed, _) = world.close_out(&cause(), &closing(id)).unwrap();
        assert_eq!((closed.state, the_customer(&world).open_count), (State::ClosedOut, 0));
        let (back, _) = world.reopen(&cause(), id, "", "").unwrap();
        assert_eq!((back.state, back.resume_at), (State::OnHold, Some(until)));
        assert_eq!((world.common.jobs.entries().len(), the_customer(&world).open_count), (2, 1));
    }
}
