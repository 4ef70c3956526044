//! The course of one stream, by a task of its own: waits until the log goes on, reads a part of it, and hands over what passes the
//! filters, until the reader is gone or too slow, its deadline has come, or the service ends.

use super::{
    BOOKMARK, PATIENCE, Sends, expired,
    token::{Place, Tag},
};
use crate::failure;
use crm_closeout::{
    ids::TenantId,
    wording::{self, Wording},
};
use crm_outbox::{
    db::{Db, Error},
    watch::{self, Commit, Head, Mark, Watched},
};
use crm_runtime::{Terms, answer};
use std::{collections::BTreeMap, convert::Infallible, future::pending, time::Duration};
use tokio::{
    sync::{mpsc, watch::Receiver},
    time::{Instant, sleep, sleep_until},
};
use tonic::Status;
use uuid::Uuid;

/// Commits that are read at once, the one among them where the stream stands.
const COMMITS: i64 = 64;
/// Records that are read at once.
const RECORDS: usize = 256;
/// After a part of the log; who reads it leaves room for others.
const REST: Duration = Duration::from_millis(20);

/// A stream and how far it has come.
pub(super) struct Course<R, M> {
    pub(super) db: Db,
    pub(super) tenant: TenantId,
    pub(super) tag: Tag,
    pub(super) at: Place,
    pub(super) sends: Sends<R, M>,
    pub(super) to: mpsc::Sender<M>,
    pub(super) terms: Terms,
}

/// Why a stream ends.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody reads it.
    Gone,
    /// For this, and with the token to go on with.
    With(&'static Wording),
    /// What comes next is not kept any more.
    Expired,
    /// It can not go on here.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        if error.is_passing() { Self::With(&wording::WATCH_STORAGE_UNAVAILABLE) } else { Self::Failed(error) }
    }
}

impl End {
    /// The status that says so, in the language of the call; none: nobody is there to hear it.
    pub(super) fn status(self, resume_token: String) -> Option<Status> {
        match self {
            Self::Gone => None,
            Self::Expired => Some(expired()),
            Self::Failed(error) => Some(failure::database(&error)),
            Self::With(wording) => {
                let values = [("resume_token", resume_token), ("seconds", PATIENCE.as_secs().to_string())];
                Some(answer::refusal(wording, &values))
            }
        }
    }
}

/// What a stream waited for.
enum Next {
    /// The log can be read up to here.
    Changes(Mark),
    /// Nothing has happened for a while.
    Bookmark,
}

/// An entry of the log that this stream may be about.
struct Due {
    mark: Mark,
    entry: usize,
    id: Uuid,
}

impl<R: Watched, M: Send> Course<R, M> {
    /// Goes on until there is a reason to end; answers with which, and where that was.
    pub(super) async fn run(mut self, mut heads: Receiver<Option<Head>>) -> (End, String) {
        let end = match self.follow(&mut heads).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        (end, self.tag.token(self.at))
    }

    async fn follow(&mut self, heads: &mut Receiver<Option<Head>>) -> Result<Infallible, End> {
        // So that it is known from where on nothing is missed.
        self.send(None).await?;
        let mut sent = Instant::now();
        loop {
            match self.next(heads, sent + BOOKMARK).await? {
                Next::Changes(until) => {
                    if self.deal_with(until).await? {
                        sent = Instant::now();
                    }
                    // The more is committed, the more is read at once.
                    sleep(REST).await;
                }
                Next::Bookmark => {
                    self.send(None).await?;
                    sent = Instant::now();
                }
            }
        }
    }

    async fn next(&mut self, heads: &mut Receiver<Option<Head>>, bookmark: Instant) -> Result<Next, End> {
        let from = self.at;
        let goes_on = |head: &Option<Head>| head.is_some_and(|head| head.last.tx != 0 && from.is_before(head.last));
        let next = tokio::select! {
            biased;
            end = ended(&self.terms, &self.to) => return Err(end),
            // First, as one that sends nothing of all that changes gets on, too.
            () = sleep_until(bookmark) => Next::Bookmark,
            head = heads.wait_for(goes_on) => {
                let head = *head.map_err(|_| End::With(&wording::WATCH_STORAGE_UNAVAILABLE))?;
                head.map_or(Next::Bookmark, |head| Next::Changes(head.last))
            }
        };
        // Where there is no log yet, the place where it will begin gets older otherwise.
        if let (Next::Bookmark, Some(head)) = (&next, *heads.borrow())
            && head.last.tx == 0
            && from.mark.tx == 0
        {
            self.at = Place::after(head.last);
        }
        Ok(next)
    }

    /// Deals with the next commits up to a place; answers whether anything was sent.
    async fn deal_with(&mut self, until: Mark) -> Result<bool, End> {
        let commits = watch::page(&self.db, self.tenant, self.at.mark, until, COMMITS).await?;
        // As long as the commit where it stands is there, so is whatever comes after it.
        if self.at.mark.tx != 0 && commits.first().is_none_or(|commit| commit.mark != self.at.mark) {
            return Err(End::Expired);
        }
        let last = commits.last().map_or(until, |commit| commit.mark);
        let (due, mut sent) = (self.due(&commits), false);
        for part in due.chunks(RECORDS) {
            sent |= self.deal_with_part(part).await?;
        }
        self.at = Place::after(last);
        Ok(sent)
    }

    fn due(&self, commits: &[Commit]) -> Vec<Due> {
        let of_commit = |Commit { mark, entries }: &Commit| {
            let mark = *mark;
            let own =
                entries.iter().enumerate().filter(|(entry, (of, _))| *of == R::OF && !self.at.is_behind(mark, *entry));
            own.map(|(entry, (_, id))| Due { mark, entry, id: *id }).collect::<Vec<_>>()
        };
        commits.iter().flat_map(of_commit).collect()
    }

    async fn deal_with_part(&mut self, part: &[Due]) -> Result<bool, End> {
        let mut ids: Vec<_> = part.iter().map(|due| due.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let records = watch::records::<R>(&self.db, self.tenant, &ids).await?;
        let is = |(record, changed_in): (R, i64)| (record.key(), (record, changed_in));
        let records: BTreeMap<_, _> = records.into_iter().map(is).collect();
        let mut sent = false;
        for Due { mark, entry, id } in part {
            let record = records.get(&R::key_of(self.tenant, *id));
            // Changed again since: there is a later entry for it.
            let record = record.filter(|(_, changed_in)| *changed_in == mark.tx).map(|(record, _)| record);
            if let Some(record) = record.filter(|record| (self.sends.keep)(record)) {
                let before = std::mem::replace(&mut self.at, Place::within(*mark, entry + 1));
                if let Err(end) = self.send(Some(record)).await {
                    self.at = before;
                    return Err(end);
                }
                sent = true;
            }
        }
        Ok(sent)
    }

    /// Hands over a message with the token of where the stream is.
    async fn send(&self, record: Option<&R>) -> Result<(), End> {
        let message = (self.sends.message)(record, self.tag.token(self.at));
        tokio::select! {
            biased;
            sent = self.to.send(message) => sent.map_err(|_| End::Gone),
            end = ended(&self.terms, &self.to) => Err(end),
            () = sleep_until(Instant::now() + PATIENCE) => {
                tracing::info!(seconds = PATIENCE.as_secs(), "a reader of changes is too slow; it is cut off");
                Err(End::With(&wording::WATCH_TOO_SLOW))
            }
        }
    }
}

/// Waits until a stream has to end whatever is to be sent.
async fn ended<M>(terms: &Terms, to: &mpsc::Sender<M>) -> End {
    let deadline = async {
        match terms.until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = to.closed() => End::Gone,
        () = terms.stopping.cancelled() => End::With(&wording::WATCH_SHUTTING_DOWN),
        () = deadline => End::With(&wording::WATCH_DEADLINE_EXCEEDED),
    }
}
