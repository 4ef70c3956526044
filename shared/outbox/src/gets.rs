//! Reads by key: those that wait at the same moment are answered by one query. Nobody waits for company: a read goes with the next
//! query, which begins at once or, with [`AT_ONCE`] of its table under way, as soon as one of them has ended. No query begins
//! before the reads that it answers, so each sees what was committed when it came.

use crate::{
    db::{Error, Reader},
    table::Table,
};
use crm_closeout::seeded_bug;
use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{
    Mutex as Turn,
    mpsc::{self, error::TrySendError},
    oneshot,
};

/// Queries of one table under way at once.
const AT_ONCE: usize = 2;
/// Keys of one query; more than that only if one read alone has more.
const KEYS: usize = 256;
/// Reads of one table that may wait; more are refused.
const WAITING: usize = 1_024;

type Rows<R> = Result<Vec<R>, Error>;

/// A read: which keys, and who is to hear.
struct Waiting<R: Table> {
    keys: Vec<R::Key>,
    to: oneshot::Sender<Rows<R>>,
}

/// Where reads by key wait, for each type of row.
#[derive(Clone, Default)]
pub(crate) struct Gets(Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>);

impl fmt::Debug for Gets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gets").finish_non_exhaustive()
    }
}

impl Gets {
    /// The rows with these keys, in the order of the keys.
    pub(crate) async fn read<R: Table>(&self, reader: &Reader, keys: Vec<R::Key>) -> Rows<R> {
        let (to, answer) = oneshot::channel();
        self.input::<R>(reader).try_send(Waiting { keys, to }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Closed(_) => broken_off(),
        })?;
        answer.await.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Where those for rows of this type wait. Who comes first begins the work, which ends with the last handle of the database.
    fn input<R: Table>(&self, reader: &Reader) -> mpsc::Sender<Waiting<R>> {
        let mut inputs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = inputs.get(&TypeId::of::<R>()).and_then(|input| input.downcast_ref::<mpsc::Sender<Waiting<R>>>());
        if let Some(input) = known.filter(|input| !input.is_closed()) {
            return input.clone();
        }
        let (input, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Turn::new(waiting));
        for _ in 0..AT_ONCE {
            tokio::spawn(work::<R>(reader.clone(), waiting.clone()));
        }
        inputs.insert(TypeId::of::<R>(), Box::new(input.clone()));
        input
    }
}

async fn work<R: Table>(reader: Reader, waiting: Arc<Turn<mpsc::Receiver<Waiting<R>>>>) {
    while let Some(mut gathered) = gather(&waiting).await {
        gathered.retain(|one| !one.to.is_closed());
        answer(&reader, gathered).await;
    }
}

/// What waits; none: nobody will ask any more.
async fn gather<R: Table>(waiting: &Turn<mpsc::Receiver<Waiting<R>>>) -> Option<Vec<Waiting<R>>> {
    let mut waiting = waiting.lock().await;
    let first = waiting.recv().await?;
    let (mut keys, mut gathered) = (first.keys.len(), vec![first]);
    while keys < KEYS
        && let Ok(next) = waiting.try_recv()
    {
        keys += next.keys.len();
        gathered.push(next);
    }
    Some(gathered)
}

/// One query for all of them. Where a row can not be read one for each, so that it fails only who asked for it.
async fn answer<R: Table>(reader: &Reader, gathered: Vec<Waiting<R>>) {
    let keys: BTreeSet<_> = gathered.iter().flat_map(|one| &one.keys).collect();
    let answer = reader.by_key::<R>(keys).await;
    if seeded_bug!("tenant-off", 1) || (matches!(answer, Err(Error::Corrupt(_))) && gathered.len() > 1) {
        for Waiting { keys, to } in gathered {
            tell(to, reader.by_key(&keys).await);
        }
        return;
    }
    let found = answer.map(|rows| rows.into_iter().map(|row| (row.key(), row)).collect::<BTreeMap<_, _>>());
    for Waiting { keys, to } in gathered {
        let own = |found: &BTreeMap<_, R>| keys.iter().filter_map(|key| found.get(key).cloned()).collect();
        tell(to, found.as_ref().map(own).map_err(Clone::clone));
    }
}

/// Who has gone away is not told.
fn tell<R>(to: oneshot::Sender<Rows<R>>, rows: Rows<R>) {
    let _ = to.send(rows);
}

fn broken_off() -> Error {
    Error::Unavailable("reads by key broke off".into())
}
