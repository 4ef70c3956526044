//! What a close-out is going to do, told before it is done, and how that differs from what was done. A plan decides nothing: it is what
//! the rules themselves did in a rehearsal whose rows were thrown away.

use crate::{
    episode::{CloseOut, Effect, EffectKind, Outcome, loss_at},
    ids::{CloseOutId, TenantId},
    reason::Reason,
    refusal::Refusal,
    time::Time,
    working_set::Common,
};

/// Stands in a plan for the moment of the close.
pub const CLOSE_TIME: &str = "close_time";

/// What the other side is going to do, as its caller has confirmed it: a message carries it, and its receiver says what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The effects, in the words of a plan; if there are very many the first of them, and a count of the rest.
    pub effects: Vec<Effect>,
    /// Hash of all of them.
    pub hash: Vec<u8>,
}

/// What is found about a close-out before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// What would refuse it; nothing: it can be done.
    pub against: Vec<Refusal>,
    /// When its reason proposes to try to win the customer back.
    pub win_back_at: Option<Time>,
}

/// What speaks against a close-out, as it is found; the first is what refuses it.
#[derive(Debug, Default)]
pub struct Objections(Vec<Refusal>);

impl Objections {
    /// Keeps a refusal.
    pub fn heed<T>(&mut self, judged: Result<T, Refusal>) -> Option<T> {
        judged.map_err(|refusal| self.0.push(refusal)).ok()
    }

    /// The first refuses.
    pub fn decide(self) -> Result<(), Refusal> {
        self.0.into_iter().next().map_or(Ok(()), Err)
    }

    /// All of them, with when the reason, whose class decides whether that makes sense, proposes to win the customer back.
    pub fn preview(self, reason: Option<&Reason>, outcome: Outcome, closed_at: Time, historical: bool) -> Preview {
        let again = reason.filter(|reason| !historical && reason.win_back_days > 0);
        let days = again.and_then(|reason| Some((loss_at(outcome, reason.class, closed_at)?, reason.win_back_days)));
        Preview { against: self.0, win_back_at: days.map(|(at, days)| at.plus_days(days.into())) }
    }
}

impl Common {
    /// These effects of a close-out as a plan tells them, which is the same words in a rehearsal and in earnest: records that are only
    /// being made have no name, a subject that is closed out stands for that close-out, and [`CLOSE_TIME`] for the moment.
    pub fn planned(&self, tenant: TenantId, effects: &[Effect], closed_at: Time) -> Vec<Effect> {
        let moment = closed_at.to_string();
        let subject = |name: &str| {
            let close_out = self.close_outs.get(&(tenant, CloseOutId::parse(name).ok()?))?;
            Some(close_out.subject.to_string())
        };
        let planned = |effect: &Effect| {
            let mut effect = effect.clone();
            match effect.kind {
                EffectKind::TaskCreated => effect.resource.clear(),
                EffectKind::SubjectClosed => effect.resource = subject(&effect.resource).unwrap_or_default(),
                EffectKind::TaskCancelled
                | EffectKind::TaskRestored
                | EffectKind::SubjectReopened
                | EffectKind::RecordChanged
                | EffectKind::LeftModified
                | EffectKind::LeftLive
                | EffectKind::More
                | EffectKind::Differs => {}
            }
            if effect.after == moment {
                CLOSE_TIME.clone_into(&mut effect.after);
            }
            effect
        };
        effects.iter().map(planned).collect()
    }

    /// The version of its subject that a close-out of the command being decided was judged on.
    pub fn judged_on(&self, close_out: &CloseOut) -> i64 {
        let subject = close_out.subject.to_string();
        let entry = self.audit.recent().iter().find(|entry| entry.resource == subject);
        entry.map_or(0, |entry| entry.version_before)
    }
}

/// What was done otherwise than it was planned, an effect of kind DIFFERS for each thing. Of a plan that counts the rest of its
/// effects only those are compared that it lists.
pub fn differences(planned: &[Effect], done: &[Effect]) -> Vec<Effect> {
    let whole = planned.iter().all(|effect| effect.kind != EffectKind::More);
    let listed = planned.iter().filter(|effect| effect.kind != EffectKind::More);
    let mut unplanned: Vec<_> = done.iter().collect();
    let mut undone = Vec::new();
    for effect in listed {
        match unplanned.iter().position(|done| *done == effect) {
            Some(place) => drop(unplanned.remove(place)),
            None => undone.push(effect),
        }
    }
    let mut differences = Vec::new();
    for effect in undone {
        let otherwise = |done: &&Effect| done.resource == effect.resource && done.field == effect.field;
        let otherwise = unplanned.iter().position(otherwise).map(|place| unplanned.remove(place));
        differences.push(difference(effect, Some(effect), otherwise));
    }
    if whole {
        differences.extend(unplanned.into_iter().map(|done| difference(done, None, Some(done))));
    }
    differences
}

fn difference(of: &Effect, planned: Option<&Effect>, done: Option<&Effect>) -> Effect {
    let text = |effect: Option<&Effect>| effect.map(told).unwrap_or_default();
    Effect {
        field: of.field.clone(),
        ..Effect::new(of.side, EffectKind::Differs, &of.resource, &text(planned), &text(done))
    }
}

fn told(effect: &Effect) -> String {
    format!("{} {} -> {}", effect.kind.word(), effect.before, effect.after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Side;

    fn task(n: u8, after: &str) -> Effect {
        Effect::new(Side::Order, EffectKind::TaskCancelled, format!("tasks/{n}"), "OPEN", after)
    }

    fn count(field: &str, after: &str) -> Effect {
        let effect = Effect::new(Side::Order, EffectKind::RecordChanged, "customers/1", "1", after);
        Effect { field: field.into(), ..effect }
    }

    #[test]
    fn what_was_done_as_planned_does_not_differ_in_whatever_order() {
        let (planned, done) = ([task(1, "CANCELLED"), count("a", "2")], [count("a", "2"), task(1, "CANCELLED")]);
        assert!(differences(&planned, &done).is_empty());
    }

    #[test]
    fn each_thing_that_was_done_otherwise_is_told_once() {
        let planned = [task(1, "CANCELLED"), task(2, "CANCELLED"), count("a", "2")];
        let done = [task(1, "CANCELLED"), count("a", "3"), task(3, "CANCELLED")];
        let told: Vec<_> =
            differences(&planned, &done).into_iter().map(|e| (e.resource, e.field, e.before, e.after)).collect();
        let told: Vec<_> = told.iter().map(|(a, b, c, d)| (a.as_str(), b.as_str(), c.as_str(), d.as_str())).collect();
        assert_eq!(
            told,
            [
                ("tasks/2", "", "TASK_CANCELLED OPEN -> CANCELLED", ""),
                ("customers/1", "a", "RECORD_CHANGED 1 -> 2", "RECORD_CHANGED 1 -> 3"),
                ("tasks/3", "", "", "TASK_CANCELLED OPEN -> CANCELLED"),
            ]
        );
    }

    #[test]
    fn of_a_plan_that_was_cut_only_what_it_lists_is_compared() {
        let planned = [task(1, "CANCELLED"), Effect::new(Side::Order, EffectKind::More, "", "", "7")];
        assert!(differences(&planned, &[task(1, "CANCELLED"), task(9, "CANCELLED")]).is_empty());
        assert_eq!(differences(&planned, &[task(9, "CANCELLED")]).len(), 1);
    }
}
