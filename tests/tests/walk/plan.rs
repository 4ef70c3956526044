//! What a walk is going to do: its steps as calls about records of the model, and what is left of it without some of them.

use crate::{
    commands::{Call, Etag, Twist, Who},
    model::{Judged, Model, Record},
    steps::step,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{collections::HashMap, ops::Range};

/// One call of a walk, and how it is made.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) who: Who,
    pub(crate) etag: Etag,
    pub(crate) twist: Twist,
    pub(crate) call: Call,
}

impl Entry {
    /// What the model says to it; what is only to be judged changes nothing.
    pub(crate) fn judge(&self, model: &mut Model) -> Judged {
        if self.twist == Twist::Dry {
            return model.clone().judge(self.who, self.etag, &self.call);
        }
        model.judge(self.who, self.etag, &self.call)
    }
}

/// The walk that belongs to a seed, a lane and a number of that lane.
pub(crate) fn random(seed: u64, lane: usize, walk: usize, count: usize) -> Vec<Entry> {
    let mut bytes = [0; 32];
    for (part, number) in bytes.chunks_mut(8).zip([seed, lane as u64, walk as u64]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let (steps, mut model, mut entries) = (step(), Model::default(), Vec::with_capacity(count));
    for _ in 0..count {
        let step = steps.new_tree(&mut runner).unwrap().current();
        let call = step.call(&model);
        let twist = if step.twist == Twist::Dry && !call.can_be_dry() { Twist::None } else { step.twist };
        let entry = Entry { who: step.who, etag: step.etag, twist, call };
        // Refused or not: the next step knows what there is then.
        drop(entry.judge(&mut model));
        entries.push(entry);
    }
    entries
}

/// The walk without these calls, and without those about what they had made.
pub(crate) fn without(entries: &[Entry], left_out: Range<usize>) -> Vec<Entry> {
    let (mut before, mut after) = (Model::default(), Model::default());
    let (mut places, mut rest) = (HashMap::new(), Vec::new());
    for (place, entry) in entries.iter().enumerate() {
        let had = before.extent();
        drop(entry.judge(&mut before));
        let call = entry.call.moved(|record| places.get(&record).copied());
        let Some(call) = call.filter(|call| !left_out.contains(&place) && !says_so(&after, call)) else { continue };
        let kept = Entry { call, ..entry.clone() };
        let has = after.extent();
        drop(kept.judge(&mut after));
        let made = before.extent().into_iter().zip(had).zip(after.extent().into_iter().zip(has));
        for (kind, ((old_end, old), (new_end, new))) in made.enumerate() {
            let pairs = (old..old_end).zip(new..new_end);
            places.extend(pairs.map(|(old, new)| (Record::of(kind, old), Record::of(kind, new))));
        }
        rest.push(kept);
    }
    rest
}

/// It is a correction that corrects nothing any more.
fn says_so(model: &Model, call: &Call) -> bool {
    matches!(*call, Call::Amend { close_out, reason, detail } if model.says_so(close_out, reason, detail))
}

impl Call {
    /// The same about records in other places; none: one of them is not there.
    fn moved(&self, to: impl Fn(Record) -> Option<Record>) -> Option<Self> {
        let mut call = self.clone();
        let set = |at: &mut usize, kind: fn(usize) -> Record| to(kind(*at)).map(|record| *at = record.place());
        match &mut call {
            Self::CreateCustomer { .. } | Self::Missing { .. } => {}
            Self::UpdateCustomer { customer, .. } | Self::CreateOpportunity { customer, .. } => {
                set(customer, Record::Customer)?;
            }
            Self::OwnOpportunity { opportunity, .. }
            | Self::Move { opportunity, .. }
            | Self::Win { opportunity, .. }
            | Self::Snooze { opportunity }
            | Self::Resume { opportunity }
            | Self::CloseOpportunity { opportunity, .. }
            | Self::ReopenOpportunity { opportunity } => set(opportunity, Record::Opportunity)?,
            Self::CreateOrder { customer, opportunity, .. } => {
                set(customer, Record::Customer)?;
                opportunity.as_mut().map_or(Some(()), |opportunity| set(opportunity, Record::Opportunity))?;
            }
            Self::OwnOrder { order, .. }
            | Self::Confirm { order }
            | Self::Fulfil { order, .. }
            | Self::Pay { order, .. }
            | Self::CancelLine { order, .. }
            | Self::CloseOrder { order, .. }
            | Self::ReopenOrder { order } => set(order, Record::Order)?,
            Self::CreateTask { parent, .. } => *parent = to(*parent)?,
            Self::ChangeTask { task, .. } => set(task, Record::Task)?,
            Self::Rule { close_out, .. } | Self::Amend { close_out, .. } => set(close_out, Record::CloseOut)?,
        }
        Some(call)
    }
}

impl Record {
    /// In the order of [`Model::extent`].
    fn of(kind: usize, place: usize) -> Self {
        [Self::Customer, Self::Opportunity, Self::Order, Self::Task, Self::CloseOut][kind](place)
    }

    const fn place(self) -> usize {
        match self {
            Self::Customer(place)
            | Self::Opportunity(place)
            | Self::Order(place)
            | Self::Task(place)
            | Self::CloseOut(place) => place,
        }
    }
}
