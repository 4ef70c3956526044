//! One walk: step by step the same calls on both pairs of services, each answer beside what the model says and beside the other pair's.

use crate::{
    ask::{Declined, Done, Ground, Manner},
    commands::{Call, Etag, Twist},
    compare,
    model::{Judged, Model, Record},
    plan::Entry,
    view::{Shown, etag},
};
use futures::future::join;
use prost_types::Timestamp;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};
use tonic::Code;
use uuid::Uuid;

/// After so many calls all lists are compared.
const OFTEN: usize = 100;
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const WORDS: [&str; 2] = ["let it be", "let it not be"];

/// What was asked for, and what became of that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: usize,
    pub(crate) accepted: BTreeMap<String, usize>,
    pub(crate) refused: BTreeMap<String, usize>,
    /// Judged only, sent twice, or with an id that was used before.
    pub(crate) twisted: usize,
    /// Made again as a connection broke.
    pub(crate) cut_off: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.twisted += other.twisted;
        self.cut_off += other.cut_off;
        for (mine, theirs) in [(&mut self.accepted, &other.accepted), (&mut self.refused, &other.refused)] {
            theirs.iter().for_each(|(word, count)| *mine.entry(word.clone()).or_default() += count);
        }
    }
}

/// Where a walk has gone wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The last step that was made.
    pub(crate) step: usize,
    /// Every call until then.
    pub(crate) calls: Vec<String>,
    pub(crate) why: String,
}

/// A walk under way.
pub(crate) struct Walk<'a, 'g> {
    pub(crate) model: Model,
    pub(crate) grounds: &'a mut [Ground<'g>; 2],
    pub(crate) tally: Tally,
}

impl Walk<'_, '_> {
    /// Goes all the way, unless somebody calls it off.
    pub(crate) async fn go(&mut self, entries: &[Entry], off: &AtomicBool) -> Result<(), Failure> {
        let mut calls = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            if off.load(Ordering::Relaxed) {
                return Ok(());
            }
            calls.push(format!("{entry:?}"));
            let mut gone = Box::pin(self.step(entry)).await;
            if gone.is_ok() && self.tally.calls.is_multiple_of(OFTEN) {
                gone = Box::pin(compare::all(&self.model, self.grounds)).await;
            }
            gone.map_err(|why| Failure { step: place, calls: calls.clone(), why })?;
        }
        let end = Box::pin(compare::all(&self.model, self.grounds)).await;
        end.map_err(|why| Failure { step: entries.len().saturating_sub(1), calls, why })
    }

    async fn step(&mut self, entry: &Entry) -> Result<(), String> {
        let Entry { who, etag, twist, ref call } = *entry;
        for ground in self.grounds.iter_mut() {
            ground.look_up(&self.model, call).await?;
        }
        let dry = twist == Twist::Dry;
        let mut manner = Manner {
            id: Uuid::now_v7(),
            etag: self.etag(etag, call),
            dry,
            words: WORDS[0],
            later: Timestamp::from(SystemTime::now() + MONTH),
        };
        let before = self.model.clone();
        let judged = self.model.judge(who, etag, call);
        self.count(call, &judged, twist);
        let answers = self.ask(&before, entry, &manner).await;
        self.check(&judged, &answers)?;
        self.compare(&answers)?;
        if let Ok(record) = judged {
            if dry {
                self.model = before;
                return Ok(());
            }
            for (ground, answer) in self.grounds.iter_mut().zip(&answers) {
                if let Ok(done) = answer {
                    ground.names.note(&self.model, record, &done.name);
                }
            }
            if call.echoes() {
                let [one, other] = &*self.grounds;
                let (one, other) = join(one.settle(), other.settle()).await;
                one.and(other)?;
            }
        }
        if matches!(twist, Twist::Again | Twist::Reused) {
            let other_words = twist == Twist::Reused && call.has_words();
            manner.words = WORDS[usize::from(other_words)];
            let again = self.ask(&before, entry, &manner).await;
            for (place, (first, second)) in answers.iter().zip(&again).enumerate() {
                repeats(first, second, other_words).map_err(|why| format!("{}: {why}", self.grounds[place].label))?;
            }
        }
        Ok(())
    }

    async fn ask(&self, before: &Model, entry: &Entry, manner: &Manner) -> [Result<Done, Declined>; 2] {
        let ([one, other], Entry { who, call, .. }) = (&*self.grounds, entry);
        let (one, other) = join(one.ask(before, *who, call, manner), other.ask(before, *who, call, manner)).await;
        [one, other]
    }

    fn etag(&self, which: Etag, call: &Call) -> String {
        let version = self.model.version(call);
        match which {
            Etag::Current if version > 0 => etag(version),
            Etag::Any | Etag::Current => String::new(),
            Etag::Old => etag((version - 1).max(0)),
        }
    }

    fn count(&mut self, call: &Call, judged: &Judged, twist: Twist) {
        self.tally.calls += 1;
        self.tally.twisted += usize::from(twist != Twist::None);
        let (list, word) = match judged {
            Ok(_) => {
                let word = format!("{call:?}");
                let end = word.find(' ').unwrap_or(word.len());
                (&mut self.tally.accepted, word[..end].to_owned())
            }
            Err(refused) => (&mut self.tally.refused, refused.reason.to_owned()),
        };
        *list.entry(word).or_default() += 1;
    }

    /// Both pairs say what the model says.
    fn check(&self, judged: &Judged, answers: &[Result<Done, Declined>; 2]) -> Result<(), String> {
        for (ground, answer) in self.grounds.iter().zip(answers) {
            let right = match (judged, answer) {
                (Ok(record), Ok(done)) => done.shown == self.model.shown(*record),
                (Err(refused), Err(declined)) => {
                    declined.reason == refused.reason
                        && declined.fields == refused.fields
                        && declined.code == code(refused.reason)
                }
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
            };
            if !right {
                let expected: Result<(Record, Shown), _> =
                    judged.clone().map(|record| (record, self.model.shown(record)));
                return Err(format!("{}: answer {answer:?}\n  expected {expected:?}", ground.label));
            }
        }
        Ok(())
    }

    /// Both pairs say the same in every field.
    fn compare(&mut self, answers: &[Result<Done, Declined>; 2]) -> Result<(), String> {
        let texts = self.grounds.iter_mut().zip(answers).map(|(ground, answer)| match answer {
            Ok(done) => ground.ordinals.plain(&done.text),
            Err(declined) => format!("{declined:?}"),
        });
        let texts: Vec<_> = texts.collect();
        if texts[0] == texts[1] {
            return Ok(());
        }
        Err(format!("the answers differ:\n  {}\n  {}", texts[0], texts[1]))
    }
}

/// What a copy of a request has to be answered; `other`: it has the same id and says something else.
fn repeats(first: &Result<Done, Declined>, second: &Result<Done, Declined>, other: bool) -> Result<(), String> {
    let right = match (first, second) {
        (Ok(_), Err(declined)) if other => declined.reason == "IDEMPOTENCY_KEY_REUSED",
        (Ok(first), Ok(second)) if !other => (&first.name, &first.shown) == (&second.name, &second.shown),
        (Err(first), Err(second)) => first == second,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    };
    if right { Ok(()) } else { Err(format!("answered {first:?}, and then {second:?}")) }
}

/// The code that goes with a stable word.
fn code(reason: &str) -> Code {
    match reason {
        "INVALID_FIELDS" => Code::InvalidArgument,
        "NOT_FOUND" => Code::NotFound,
        "VERSION_MISMATCH" => Code::Aborted,
        "RIGHT_MISSING" | "OUT_OF_REACH" | "SELF_APPROVAL" | "NOT_REQUESTER" => Code::PermissionDenied,
        _ => Code::FailedPrecondition,
    }
}
