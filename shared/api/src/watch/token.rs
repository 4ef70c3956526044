//! Resume tokens: where a stream of changes goes on, and which stream it is. A token gives no right to anything.

use crate::{fields::Fields, page};
use crm_closeout::{ids::TenantId, time::Time, wording};
use crm_outbox::{watch::Mark, wire};

/// The form of what follows the tag.
const FORM: u8 = 1;
/// All entries of a commit.
const ALL: u32 = u32::MAX;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In this commit.
    pub(super) mark: Mark,
    /// Behind so many of its entries.
    pub(super) entries: u32,
}

impl Place {
    /// Behind a whole commit.
    pub(super) fn after(mark: Mark) -> Self {
        Self { mark, entries: ALL }
    }

    /// Behind so many entries of a commit.
    pub(super) fn within(mark: Mark, entries: usize) -> Self {
        Self { mark, entries: u32::try_from(entries).unwrap_or(ALL) }
    }

    /// Whether there is something to be dealt with up to the end of this commit.
    pub(super) fn is_before(self, mark: Mark) -> bool {
        self.mark < mark || (self.mark == mark && self.entries != ALL)
    }

    /// Whether an entry is dealt with.
    pub(super) fn is_behind(self, mark: Mark, entry: usize) -> bool {
        self.mark == mark && entry < self.entries as usize
    }

    fn bytes(self) -> Vec<u8> {
        let Mark { place, written_at: Time(written_at), tx } = self.mark;
        let numbers = [place, written_at, tx].map(i64::to_be_bytes).concat();
        [&[FORM], &*numbers, &self.entries.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (numbers, entries) = bytes.strip_prefix(&[FORM])?.split_last_chunk()?;
        let (numbers, []) = numbers.as_chunks() else { return None };
        let &[place, written_at, tx] = numbers else { return None };
        let [place, written_at, tx] = [place, written_at, tx].map(i64::from_be_bytes);
        let mark = Mark { place, written_at: Time(written_at), tx };
        Some(Self { mark, entries: u32::from_be_bytes(*entries) })
    }
}

/// The stream that tokens belong to: a method with its filters, in a tenant.
#[derive(Clone, Debug)]
pub(super) struct Tag(page::Tag);

impl Tag {
    pub(super) fn of(tenant: TenantId, [service, method]: [&str; 2], filters: &impl prost::Message) -> Self {
        let method = format!("{service}/{method} ");
        let names = [tenant.0.as_bytes(), method.as_bytes(), &filters.encode_to_vec()].concat();
        Self(page::Tag::of_hash(wire::hash(&names)))
    }

    pub(super) fn token(&self, place: Place) -> String {
        self.0.token(&place.bytes())
    }

    /// Reads a token; none for an empty one. One of another stream is refused.
    pub(super) fn read(&self, fields: &mut Fields, token: &str) -> Option<Place> {
        self.0.read_as(fields, ("resume_token", &wording::INVALID_RESUME_TOKEN), token, Place::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_proto::order::WatchTasksRequest;
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const PLACE: Place = Place { mark: Mark { place: 7, written_at: Time(1 << 50), tx: 5 }, entries: 3 };

    fn tag(tenant: TenantId, method: &str, assignee: &str) -> Tag {
        Tag::of(tenant, ["TaskService", method], &WatchTasksRequest { assignee: assignee.into(), ..Default::default() })
    }

    #[test]
    fn a_token_is_of_one_stream_of_one_tenant() {
        let own = tag(TENANT, "WatchTasks", "ann");
        let token = own.token(PLACE);
        let mut fields = Fields::new();
        assert_eq!((own.read(&mut fields, &token), own.read(&mut fields, "")), (Some(PLACE), None));
        fields.done().unwrap();
        let other = TenantId(Uuid::from_u128(2));
        let strange = [tag(TENANT, "WatchTasks", "bob"), tag(TENANT, "Watch", "ann"), tag(other, "WatchTasks", "ann")];
        let longer = format!("{token}00");
        let broken = [&token[..token.len() - 2], "x", &longer].map(|token| (own.clone(), token.to_owned()));
        for (tag, token) in strange.map(|tag| (tag, token.clone())).into_iter().chain(broken) {
            let mut fields = Fields::new();
            assert_eq!(tag.read(&mut fields, &token), None);
            assert!(fields.done().is_err(), "{token}");
        }
    }

    #[test]
    fn a_commit_of_which_a_part_is_dealt_with_is_gone_on_with() {
        assert!(PLACE.is_behind(PLACE.mark, 2) && !PLACE.is_behind(PLACE.mark, 3));
        let (whole, earlier) = (Place::after(PLACE.mark), Mark { tx: 4, ..PLACE.mark });
        assert!(whole.is_behind(PLACE.mark, 3));
        assert!(PLACE.is_before(PLACE.mark) && !whole.is_before(PLACE.mark) && !whole.is_before(earlier));
    }
}
