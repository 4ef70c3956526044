//! Search, written once for orders, opportunities and close-outs: what is asked for ([`criteria`]) becomes walks along indices, one
//! for each rank; a page is what they come to, each record by its best rank.
//!
//! A page never costs more than its size and [`LOOKED`] rows: where much is looked at that a filter leaves out, it ends early, with
//! the token to go on.

pub mod criteria;

use crate::{
    failure,
    fields::Fields,
    page::{self, Tag},
};
use criteria::{Criteria, Phase};
use crm_closeout::{
    ids::TenantId,
    search::{Match, fold},
};
use crm_outbox::{
    db::{Db, Error},
    search::{
        Entry, Names, Source, learn_names,
        walk::{Place, Walker},
    },
    table::Table,
};
use prost::Message;
use std::collections::BTreeMap;
use tonic::Status;
use uuid::Uuid;

/// After so many rows a page ends, however little was found.
pub const LOOKED: usize = 2_000;
/// Rows of a step when the first one has not filled the page.
const STEP: usize = 512;

/// Which page of a search is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    size: usize,
    after: Position,
    tag: Tag,
}

/// Where a search has come to, as it stands in a token. An empty place: where the walk begins.
#[derive(Clone, PartialEq, prost::Message)]
struct Position {
    #[prost(uint32, tag = "1")]
    phase: u32,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(bytes = "vec", tag = "3")]
    whose: Vec<u8>,
    #[prost(int64, tag = "4")]
    letters: i64,
    #[prost(int64, tag = "5")]
    at: i64,
    #[prost(bytes = "vec", tag = "6")]
    id: Vec<u8>,
}

impl Position {
    fn of(phase: usize, place: &Place) -> Self {
        Self {
            phase: u32::try_from(phase).unwrap_or(u32::MAX),
            text: place.text.clone(),
            whose: place.whose.as_bytes().to_vec(),
            letters: place.letters,
            at: place.at,
            id: place.id.as_bytes().to_vec(),
        }
    }

    /// In a token; none: not written by this program.
    fn read(bytes: &[u8]) -> Option<Self> {
        let read = Self::decode(bytes).ok()?;
        (read.place().is_some() && !read.text.chars().any(char::is_control)).then_some(read)
    }

    fn place(&self) -> Option<Place> {
        let (whose, id) = (Uuid::from_slice(&self.whose).ok()?, Uuid::from_slice(&self.id).ok()?);
        Some(Place { text: self.text.clone(), whose, letters: self.letters, at: self.at, id })
    }
}

impl Page {
    /// Reads `page_size` and `page_token`; `asked` is the request without them.
    pub fn read(fields: &mut Fields, size: i32, token: &str, asked: &impl Message) -> Self {
        let tag = Tag::of(asked);
        let size = page::size(fields, size);
        let after = tag.read(fields, token, Position::read).unwrap_or_default();
        Self { size, after, tag }
    }
}

/// Takes page_size and page_token out of a search request; what is left is what is searched for.
#[macro_export]
macro_rules! search_page {
    ($fields:expr, $request:expr) => {{
        let (size, token) = (std::mem::take(&mut $request.page_size), std::mem::take(&mut $request.page_token));
        $crate::search::Page::read($fields, size, &token, &$request)
    }};
}

/// Why a record was found, and what its customer is called.
#[derive(Debug)]
pub struct Found {
    /// The number of the API's `Match`.
    pub reason: i32,
    /// Empty: it has no customer.
    pub customer_display_name: String,
}

/// One search.
#[derive(Debug)]
pub struct Search<'a> {
    /// The database.
    pub db: &'a Db,
    /// Whose.
    pub tenant: TenantId,
    /// What is searched.
    pub source: Source,
    /// What is asked for.
    pub criteria: &'a Criteria,
    /// Which page of it.
    pub page: &'a Page,
}

/// A record that passed what its entry tells.
struct Hit {
    entry: Entry,
    behind: Place,
    reason: Option<Match>,
    name: String,
}

impl Search<'_> {
    /// Reads the page and answers it with the token of the next. Rows are read by `key`; those that `keep` leaves out are passed.
    pub async fn run<R: Table, M: Message>(
        &self,
        key: impl Fn(TenantId, Uuid) -> R::Key,
        keep: impl Fn(&R) -> bool,
        convert: impl Fn(&R, Found) -> M,
    ) -> Result<(Vec<M>, String), Status> {
        let read = self.read(key, keep, convert).await;
        let (messages, next) = read.map_err(|error| failure::database(&error))?;
        let token = next.map_or_else(String::new, |next| self.page.tag.token(&next.encode_to_vec()));
        Ok((messages, token))
    }

    async fn read<R: Table, M: Message>(
        &self,
        key: impl Fn(TenantId, Uuid) -> R::Key,
        keep: impl Fn(&R) -> bool,
        convert: impl Fn(&R, Found) -> M,
    ) -> Result<(Vec<M>, Option<Position>), Error> {
        let walker = Walker { db: self.db, tenant: self.tenant, source: self.source, span: self.criteria.span };
        let (mut messages, mut bytes, mut last) = (Vec::new(), 0, None);
        let (mut looked, mut size) = (0, self.page.size + 1);
        let mut begun = self.page.after.place();
        let first = usize::try_from(self.page.after.phase).unwrap_or(usize::MAX);
        for (number, phase) in self.criteria.phases().into_iter().enumerate().skip(first) {
            let mut next = Some(begun.take().unwrap_or_else(|| phase.walk.begin(walker.span)));
            while let Some(place) = next {
                let step = walker.step(&phase.walk, place, size).await?;
                let hits = self.hits(&phase, step.entries, step.names).await?;
                let keys: Vec<_> = hits.iter().map(|hit| key(self.tenant, hit.entry.subject_id)).collect();
                let rows = self.db.by_key::<R>(keys.clone()).await?;
                let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.key(), row)).collect();
                for (hit, key) in hits.into_iter().zip(keys) {
                    let Some(row) = rows.get(&key).filter(|row| keep(row)) else { continue };
                    let reason = hit.reason.map_or(0, |reason| reason as i32);
                    let message = convert(row, Found { reason, customer_display_name: hit.name });
                    bytes += message.encoded_len() + page::FRAME;
                    if last.is_some() && (messages.len() == self.page.size || bytes > page::BYTES) {
                        return Ok((messages, last));
                    }
                    messages.push(message);
                    last = Some(Position::of(number, &hit.behind));
                }
                looked += step.looked;
                if let Some(place) = step.next.as_ref().filter(|_| looked >= LOOKED) {
                    return Ok((messages, Some(Position::of(number, place))));
                }
                (next, size) = (step.next, STEP);
            }
        }
        Ok((messages, None))
    }

    /// Those that pass the filters that an entry knows, and belong to this phase.
    async fn hits(&self, phase: &Phase, entries: Vec<(Entry, Place)>, mut names: Names) -> Result<Vec<Hit>, Error> {
        let entries: Vec<_> = entries.into_iter().filter(|(entry, _)| self.criteria.passes(entry)).collect();
        let customers = entries.iter().filter_map(|(entry, _)| entry.customer_id);
        learn_names(self.db, self.tenant, customers, &mut names).await?;
        let hit = |(entry, behind): (Entry, Place)| {
            let name = entry.customer_id.and_then(|id| names.get(&id)).cloned().unwrap_or_default();
            let reason = match &self.criteria.query {
                None => None,
                Some(query) => {
                    let number = query.number(&entry.number);
                    let reason = number.or_else(|| query.name(&fold(&name)).map(|(reason, _)| reason))?;
                    Some(phase.ranks.contains(&reason).then_some(reason)?)
                }
            };
            Some(Hit { entry, behind, reason, name })
        };
        Ok(entries.into_iter().filter_map(hit).collect())
    }
}
