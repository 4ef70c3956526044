//! Pages of a list. A token says where the next page begins and which request it belongs to; it gives no right to anything.

use crate::fields::Fields;
use crm_closeout::wording::{self, Wording};
use crm_outbox::wire;
use uuid::Uuid;

const DEFAULT: i32 = 50;
const MOST: i32 = 1_000;
const TAG: usize = 8;
/// Bytes of rows in a page; a reply has at most 4 MiB.
pub(crate) const BYTES: usize = 3 * 1_024 * 1_024;
/// Bytes that a row adds to its own in a reply.
pub(crate) const FRAME: usize = 8;

/// The request that page tokens belong to.
#[derive(Clone, Debug)]
pub struct Tag(Vec<u8>);

impl Tag {
    /// Of a request without page_size and page_token.
    pub fn of(filters: &impl prost::Message) -> Self {
        Self::of_hash(wire::hash(&filters.encode_to_vec()))
    }

    /// Of what has this hash.
    pub(crate) fn of_hash(mut hash: Vec<u8>) -> Self {
        hash.truncate(TAG);
        Self(hash)
    }

    /// Reads the place in a page token of this request; none for an empty one. Another one is refused.
    pub fn read<P>(&self, fields: &mut Fields, token: &str, place: impl FnOnce(&[u8]) -> Option<P>) -> Option<P> {
        self.read_as(fields, ("page_token", &wording::INVALID_PAGE_TOKEN), token, place)
    }

    /// The same for a field of another name, refused in other words.
    pub(crate) fn read_as<P>(
        &self,
        fields: &mut Fields,
        (field, refused): (&str, &'static Wording),
        token: &str,
        place: impl FnOnce(&[u8]) -> Option<P>,
    ) -> Option<P> {
        if token.is_empty() {
            return None;
        }
        let bytes = unhex(token);
        let place = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(self.0.as_slice())).and_then(place);
        if place.is_none() {
            fields.refuse(field, refused, &[]);
        }
        place
    }

    /// The page of what was read (one row more than it holds), and where the next one begins, by the place of a row. A page whose rows
    /// are large holds fewer of them, so that it always fits in a reply.
    pub fn reply<R, M: prost::Message>(
        &self,
        size: usize,
        rows: &[R],
        place: impl Fn(&R) -> Vec<u8>,
        convert: impl Fn(&R) -> M,
    ) -> (Vec<M>, String) {
        let mut page = Vec::with_capacity(rows.len().min(size));
        let (mut bytes, mut last) = (0, None);
        for row in rows {
            let message = convert(row);
            bytes += message.encoded_len() + FRAME;
            if let Some(last) = last.filter(|_| page.len() == size || bytes > BYTES) {
                return (page, self.token(&place(last)));
            }
            last = Some(row);
            page.push(message);
        }
        (page, String::new())
    }

    /// The token of a place.
    pub fn token(&self, place: &[u8]) -> String {
        self.0.iter().chain(place).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !text.len().is_multiple_of(2) || !text.as_bytes().iter().all(lower) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Reads `page_size`.
pub fn size(fields: &mut Fields, size: i32) -> usize {
    if size < 0 {
        fields.refuse("page_size", &wording::NEGATIVE, &[]);
    }
    let size = if size <= 0 { DEFAULT } else { size.min(MOST) };
    size as usize
}

/// Which part of a list is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// At most so many.
    pub size: usize,
    /// Those beyond this id.
    pub after: Option<Uuid>,
    tag: Tag,
}

impl Page {
    /// Reads `page_size` and `page_token`; `filters` is the request without them.
    pub fn read(fields: &mut Fields, size: i32, token: &str, filters: &impl prost::Message) -> Self {
        let tag = Tag::of(filters);
        let size = self::size(fields, size);
        let after = tag.read(fields, token, |place| Uuid::from_slice(place).ok());
        Self { size, after, tag }
    }

    /// The page of what was read, as [`Tag::reply`] says, by the ids of the rows.
    pub fn reply<R, M: prost::Message>(
        &self,
        rows: &[R],
        id: impl Fn(&R) -> Uuid,
        convert: impl Fn(&R) -> M,
    ) -> (Vec<M>, String) {
        self.tag.reply(self.size, rows, |row| id(row).into_bytes().to_vec(), convert)
    }

    /// A part of what there is, which may be shorter than a page, and where the next one begins. Its rows are small enough for a reply.
    pub fn reply_part<R, M>(&self, rows: &[R], next: Option<Uuid>, convert: impl Fn(&R) -> M) -> (Vec<M>, String) {
        (rows.iter().map(convert).collect(), self.token(next))
    }

    /// Where the next page begins; empty: this was the last.
    pub fn token(&self, next: Option<Uuid>) -> String {
        next.map_or_else(String::new, |next| self.tag.token(next.as_bytes()))
    }
}

/// Takes page_size and page_token out of a list request; what is left are its filters.
#[macro_export]
macro_rules! page {
    ($fields:expr, $request:expr) => {{
        let (size, token) = (std::mem::take(&mut $request.page_size), std::mem::take(&mut $request.page_token));
        $crate::page::Page::read($fields, size, &token, &$request)
    }};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::order::ListTasksRequest;

    fn tasks(rows: &[Uuid], page: &Page, title: &str) -> (usize, String) {
        let task = |_: &Uuid| crm_proto::common::Task { title: title.into(), ..Default::default() };
        let (tasks, next) = page.reply(rows, |id| *id, task);
        (tasks.len(), next)
    }

    #[test]
    fn a_token_belongs_to_its_filters() {
        let mut filters = ListTasksRequest { assignee: "ann".into(), ..ListTasksRequest::default() };
        let page = Page::read(&mut Fields::new(), 2, "", &filters);
        let rows: Vec<_> = (1..=3).map(Uuid::from_u128).collect();
        let (count, token) = tasks(&rows, &page, "x");
        assert_eq!(count, 2);
        assert_eq!(Page::read(&mut Fields::new(), 2, &token, &filters).after, Some(Uuid::from_u128(2)));
        filters.assignee = "bob".into();
        let mut fields = Fields::new();
        Page::read(&mut fields, 2, &token, &filters);
        assert!(fields.done().is_err());
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page::read(&mut Fields::new(), 3, "", &ListTasksRequest::default());
        let rows: Vec<_> = (1..=3).map(Uuid::from_u128).collect();
        assert_eq!(tasks(&rows, &page, "x"), (3, String::new()));
    }

    #[test]
    fn a_page_of_large_rows_holds_fewer() {
        let filters = ListTasksRequest::default();
        let page = Page::read(&mut Fields::new(), 1_000, "", &filters);
        let rows: Vec<_> = (1..=10).map(Uuid::from_u128).collect();
        let (count, next) = tasks(&rows, &page, &"x".repeat(1_000_000));
        assert_eq!(count, 3);
        assert_eq!(Page::read(&mut Fields::new(), 1_000, &next, &filters).after, Some(Uuid::from_u128(3)));
    }
}
