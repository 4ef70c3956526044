//! A message of a bulk call: what it says of the whole call, checked, and its items, turned into commands. In flow the messages of
//! one stream; out come items that can be handed in, and answers to those that are wrong. Nothing is carried out here.

use super::{Bulk, ITEMS, item};
use crate::{
    fields::Fields,
    front::{self, Front},
    meta::{Meta, derived_id},
    reasons::Rules,
};
use crm_closeout::wording;
use crm_outbox::{
    batch::{Call, Domain},
    wire,
};
use crm_proto::common::{BulkResult, Wait};
use crm_runtime::auth::Caller;

use prost_types::Duration as WireDuration;
use std::{collections::VecDeque, time::Duration};
use tonic::Status;
use uuid::Uuid;

/// A message of a caller in words that both services share.
#[derive(Debug)]
pub struct Part<S> {
    /// UUID of the whole call.
    pub request_id: String,
    /// Judge and answer, but change nothing.
    pub validate_only: bool,
    /// What an answer waits for.
    pub wait: i32,
    /// How long.
    pub max_wait: Option<WireDuration>,
    /// By index, as requests of the single call.
    pub items: Vec<(i64, S)>,
}

/// What is true of a whole call.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    request_id: Uuid,
    pub(super) validate_only: bool,
    /// Wait for the other service at most this long; none: do not wait.
    pub(super) wait: Option<Duration>,
    said: (i32, Option<WireDuration>),
}

/// An item that can be handed in, by its index.
pub(super) type Ready<B> = (i64, Call<<<B as Bulk>::Domain as Domain>::Command>);

impl Whole {
    /// Of the first message.
    pub(super) fn first<S>(part: &Part<S>) -> Result<Self, Status> {
        let mut fields = Fields::new();
        if part.request_id.is_empty() {
            fields.refuse("request_id", &wording::REQUIRED, &[]);
        }
        let meta = Meta::new(&mut fields, &part.request_id, part.validate_only, &());
        let meta = meta.waiting(&mut fields, part.wait, part.max_wait, Wait::None);
        count(&mut fields, part);
        fields.done()?;
        let Meta { request_id, validate_only, wait, .. } = meta;
        Ok(Self { request_id, validate_only, wait, said: (part.wait, part.max_wait) })
    }

    /// A later message says the same, or nothing.
    pub(super) fn check<S>(&self, part: &Part<S>) -> Result<(), Status> {
        let mut fields = Fields::new();
        let differs = [
            ("request_id", !part.request_id.is_empty() && Uuid::try_parse(&part.request_id) != Ok(self.request_id)),
            ("validate_only", part.validate_only && !self.validate_only),
            ("wait", part.wait != 0 && part.wait != self.said.0),
            ("max_wait", part.max_wait.is_some() && part.max_wait != self.said.1),
        ];
        for (field, _) in differs.iter().filter(|(_, differs)| *differs) {
            fields.refuse(*field, &wording::AS_IN_FIRST_MESSAGE, &[]);
        }
        count(&mut fields, part);
        fields.done()
    }

    /// Turns items into commands. The answers: to those whose fields are wrong; the tenant's reasons are read at most once for them.
    pub(super) async fn read<B: Bulk>(
        &self,
        front: &Front<B::Domain>,
        caller: &Caller,
        items: Vec<(i64, B::Single)>,
    ) -> Result<(VecDeque<Ready<B>>, Vec<BulkResult>), Status> {
        let (mut ready, mut refused, mut rules) = (VecDeque::with_capacity(items.len()), Vec::new(), None);
        for (index, single) in items {
            let mut fields = Fields::new();
            if index < 0 {
                fields.refuse("index", &wording::NEGATIVE, &[]);
            }
            let closing = B::closing(&mut fields, &single);
            if fields.are_refused() {
                let rules = known(front, caller, &mut rules).await?;
                let (scope, given) = B::given(&single, &closing);
                fields.extend(rules.violations(scope, &given));
            }
            match fields.done() {
                Ok(()) => {
                    let meta = self.meta(index, &single);
                    ready.push_back((index, front::call(caller.clone(), B::METHOD, &meta, B::command(closing))));
                }
                Err(refusal) => refused.push(item::error(index, &refusal)),
            }
        }
        Ok((ready, refused))
    }

    fn meta(&self, index: i64, single: &impl prost::Message) -> Meta {
        Meta {
            request_id: item_id(self.request_id, index),
            fingerprint: wire::hash(&single.encode_to_vec()),
            validate_only: self.validate_only,
            wait: None,
            confirmed: None,
        }
    }
}

async fn known<'a, D: Domain>(
    front: &Front<D>,
    caller: &Caller,
    rules: &'a mut Option<Rules>,
) -> Result<&'a Rules, Status> {
    let known = match rules.take() {
        Some(known) => known,
        None => Rules::of(&front.db, caller.tenant).await?,
    };
    Ok(rules.insert(known))
}

fn count<S>(fields: &mut Fields, part: &Part<S>) {
    if part.items.len() > ITEMS {
        fields.refuse("items", &wording::ITEM_COUNT, &[("most", &ITEMS), ("count", &part.items.len())]);
    }
}

/// The request id of an item, as the API promises it.
fn item_id(call: Uuid, index: i64) -> Uuid {
    derived_id(&[call.as_bytes(), &index.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn part(request_id: &str) -> Part<()> {
        Part { request_id: request_id.into(), validate_only: false, wait: 0, max_wait: None, items: vec![(0, ())] }
    }

    fn fields(refused: Result<impl std::fmt::Debug, Status>) -> Vec<String> {
        let details = refused.unwrap_err().get_details_bad_request().unwrap();
        details.field_violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_id_of_an_item_is_what_the_api_promises() {
        let call = Uuid::parse_str(ID).unwrap();
        assert_eq!(item_id(call, 0).to_string(), "d5f07ce1-8447-8ffb-a735-079136466438");
        assert_eq!(item_id(call, 1).to_string(), "be2c8c25-29c4-88c0-8689-3d8366d0622c");
        assert_eq!(item_id(call, i64::MAX).get_version_num(), 8);
    }

    #[test]
    fn the_first_message_says_whose_call_it_is_and_everything_wrong_is_told_at_once() {
        assert_eq!(fields(Whole::first(&part(""))), ["request_id"]);
        let max_wait = Some(WireDuration { seconds: -1, nanos: 0 });
        let items = vec![(0, ()); ITEMS + 1];
        let wrong = Part { wait: 9, max_wait, items, ..part("no") };
        assert_eq!(fields(Whole::first(&wrong)), ["request_id", "max_wait", "wait", "items"]);
        assert!(Whole::first(&Part { items: Vec::new(), ..part(ID) }).is_ok());
    }

    #[test]
    fn a_later_message_may_repeat_the_first_and_not_differ() {
        let whole = Whole::first(&Part { wait: Wait::Peer.into(), ..part(ID) }).unwrap();
        for request_id in ["", ID] {
            for wait in [0, Wait::Peer.into()] {
                assert!(whole.check(&Part { wait, ..part(request_id) }).is_ok());
            }
        }
        let max_wait = Some(WireDuration::default());
        let other = Part { validate_only: true, wait: Wait::None.into(), max_wait, ..part(&Uuid::nil().to_string()) };
        assert_eq!(fields(whole.check(&other)), ["request_id", "validate_only", "wait", "max_wait"]);
    }
}
