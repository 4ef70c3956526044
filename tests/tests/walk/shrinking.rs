//! A walk that goes wrong is made as short and as plain as it can be while it still goes wrong: without a record and all that was done
//! with it, without calls in a row, without single ones. Each try is made by people of a tenant of their own.

use crate::{
    commands::{Call, Etag, Twist, Who},
    model::Model,
    plan::{Entry, without},
    walking::Failure,
};
use futures::future::join_all;
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// So long shorter walks are tried.
const PATIENCE: Duration = Duration::from_secs(240);
/// So many at a time, so that the services decide them together.
const AT_ONCE: usize = 8;

/// A walk that goes wrong.
struct Wrong<G> {
    entries: Vec<Entry>,
    failure: Failure,
    go: G,
    until: Instant,
}

/// The shortest walk found that still goes wrong, in place of one that did: what was said about it.
pub(crate) async fn shrunk<G, F>(entries: Vec<Entry>, failure: Failure, go: G) -> Failure
where
    G: Fn(Vec<Entry>) -> F,
    F: Future<Output = Option<Failure>>,
{
    let mut wrong = Wrong { entries, failure, go, until: Instant::now() + PATIENCE };
    wrong.entries.truncate(wrong.failure.step + 1);
    wrong.leave_out_records().await;
    wrong.leave_out_calls().await;
    wrong.say_plainly().await;
    wrong.failure
}

impl<G, F> Wrong<G>
where
    G: Fn(Vec<Entry>) -> F,
    F: Future<Output = Option<Failure>>,
{
    /// Goes on with the shortest of these that goes wrong; false if none does.
    async fn any(&mut self, candidates: Vec<Vec<Entry>>) -> bool {
        for group in candidates.chunks(AT_ONCE) {
            if Instant::now() > self.until {
                return false;
            }
            let tries = join_all(group.iter().map(|candidate| (self.go)(candidate.clone()))).await;
            let failed = tries.into_iter().zip(group).filter_map(|(failure, candidate)| Some((failure?, candidate)));
            if let Some((failure, candidate)) = failed.min_by_key(|(failure, _)| failure.step) {
                self.entries = candidate[..=failure.step].to_vec();
                self.failure = failure;
                println!("{} calls go wrong", self.entries.len());
                return true;
            }
        }
        false
    }

    async fn leave_out_records(&mut self) {
        let makes: [fn(&Call) -> bool; 3] = [
            |call| matches!(call, Call::CreateCustomer { .. }),
            |call| matches!(call, Call::CreateOpportunity { .. }),
            |call| matches!(call, Call::CreateOrder { .. }),
        ];
        for makes in makes {
            loop {
                let places = (0..self.entries.len()).filter(|place| makes(&self.entries[*place].call));
                let candidates = places.map(|place| without(&self.entries, place..place + 1)).collect();
                if !self.any(candidates).await {
                    break;
                }
            }
        }
    }

    async fn leave_out_calls(&mut self) {
        let mut part = self.entries.len().div_ceil(4);
        while part > 0 {
            let places = (0..self.entries.len()).step_by(part);
            let candidates = places.map(|from| without(&self.entries, from..from + part)).collect();
            if !self.any(candidates).await {
                part = if part == 1 { 0 } else { part.div_ceil(2) };
            }
        }
    }

    /// Each call by who may do everything, of any version, and once.
    async fn say_plainly(&mut self) {
        for place in 0..self.entries.len() {
            let plainer: [fn(&mut Entry); 3] =
                [|it| it.who = Who::Ann, |it| it.etag = Etag::Any, |it| it.twist = Twist::None];
            for plainer in plainer {
                let mut entries = self.entries.clone();
                let Some(entry) = entries.get_mut(place) else { return };
                let before = format!("{entry:?}");
                plainer(entry);
                if format!("{entry:?}") != before {
                    self.any(vec![entries]).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    /// Goes wrong where an order is confirmed that is the second one of its opportunity.
    async fn go(entries: Vec<Entry>) -> Option<Failure> {
        let mut model = Model::default();
        for (step, entry) in entries.iter().enumerate() {
            let confirmed = entry.judge(&mut model).is_ok().then_some(&entry.call);
            if let Some(Call::Confirm { order }) = confirmed {
                let (parent, earlier) = (model.orders[*order].opportunity, &model.orders[..*order]);
                if parent.is_some() && earlier.iter().any(|other| other.opportunity == parent) {
                    return Some(Failure { step, calls: vec![format!("{entries:?}")], why: "a second one".into() });
                }
            }
        }
        None
    }

    #[tokio::test]
    async fn what_is_left_of_a_walk_is_what_it_takes() {
        let entries = plan::random(5, 0, 0, 250);
        let failure = go(entries.clone()).await.unwrap();
        assert!(failure.step > 5, "{failure:?}");
        let short = shrunk(entries, failure, go).await;
        // A customer, an opportunity, two orders, and the second one confirmed.
        assert_eq!(short.step, 4, "{short:?}");
    }
}
