//! Ids as types of their own, and their resource names. An id is a UUID; the name is `collection/uuid` in lower case.
//! Nothing here knows where an id is stored or sent.

use std::fmt;
use uuid::Uuid;

/// Why a resource name was not understood. The texts are meant for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `{collection}/` and a lower-case UUID, such as {collection}/01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct NameError {
    /// Collection that was expected.
    pub collection: &'static str,
}

/// Reads `collection/uuid` bytewise: no other case, width or form of the same UUID is taken.
pub fn parse_name(collection: &'static str, name: &str) -> Result<Uuid, NameError> {
    let error = NameError { collection };
    let text = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')).ok_or(error.clone())?;
    let uuid = Uuid::try_parse(text).map_err(|_| error.clone())?;
    let canonical = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
    if canonical { Ok(uuid) } else { Err(error) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $collection:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Collection part of the resource name.
            pub const COLLECTION: &'static str = $collection;

            /// Reads a resource name.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                parse_name($collection, name).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", $collection, self.0)
            }
        }
    };
}

id!(
    /// A customer of a tenant; the same id on both services.
    CustomerId, "customers");
id!(
    /// An opportunity.
    OpportunityId, "opportunities");
id!(
    /// An order.
    OrderId, "orders");
id!(
    /// A task of one service.
    TaskId, "tasks");
id!(
    /// The record of a close-out of one service.
    CloseOutId, "closeOuts");
id!(
    /// A competitor.
    CompetitorId, "competitors");

id!(
    /// The close-out of a whole customer, a group of those of its opportunities.
    GroupId, "customerCloseOuts");

id!(
    /// The plan to win a customer back after a loss; the uuid of its close-out.
    WinBackPlanId, "winBackPlans");

/// A tenant: whose data it is. Leads every key; no row is reached without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Most characters of an id that people choose.
const CHOSEN: usize = 63;

/// Whether this can be an id that people choose, such as that of a pipeline or a role: a lower-case letter, then such letters, digits and
/// hyphens.
pub fn is_id(text: &str) -> bool {
    text.len() <= CHOSEN
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_id() {
        let id = OrderId(Uuid::from_u128(7));
        assert_eq!(OrderId::parse(&id.to_string()), Ok(id));
    }

    #[test]
    fn other_spellings_of_a_name_are_refused() {
        let id = Uuid::from_u128(0xabcdef);
        for name in [
            String::new(),
            "orders/".into(),
            format!("order/{id}"),
            format!("customers/{id}"),
            format!("orders/{id}").to_uppercase(),
            format!("orders/{}", id.to_string().to_uppercase()),
            format!("orders/{}", id.simple()),
            format!("orders/{{{id}}}"),
            format!("orders/{id} "),
            format!("orders/{id}/x"),
            format!("orders/\u{ff10}{}", &id.to_string()[1..]),
        ] {
            assert!(OrderId::parse(&name).is_err(), "{name}");
        }
    }
}
