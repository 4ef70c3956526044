//! Enumerations with codes that never change: the number stands in the database and is the number of the same word in the
//! protobuf definitions. A number that has no word is an error of whoever sent or stored it.

use std::fmt;
use uuid::Uuid;

/// A number without a word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} is no {what}")]
pub struct UnknownCode {
    /// Which enumeration.
    pub what: &'static str,
    /// The number.
    pub code: i32,
}

/// An enumeration with stable codes.
pub trait Code: Copy + Sized {
    /// The number of this word.
    fn code(self) -> i16;

    /// The word of a number.
    fn from_code(code: i32) -> Result<Self, UnknownCode>;
}

/// Declares an enumeration with its codes and its words in capitals.
#[macro_export]
macro_rules! codes {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$word_doc:meta])* $word:ident = $code:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum $name { $($(#[$word_doc])* $word = $code,)+ }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word in capitals, as the API shows it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }

        impl $crate::codes::Code for $name {
            fn code(self) -> i16 {
                self as i16
            }

            fn from_code(code: i32) -> Result<Self, $crate::codes::UnknownCode> {
                match code {
                    $($code => Ok(Self::$word),)+
                    _ => Err($crate::codes::UnknownCode { what: stringify!($name), code }),
                }
            }
        }
    };
}

codes! {
    /// Kind of record that has a lane of messages, tasks or events.
    pub enum RecordKind {
        /// A customer.
        Customer = 1 "CUSTOMER",
        /// An opportunity.
        Opportunity = 2 "OPPORTUNITY",
        /// An order.
        Order = 3 "ORDER",
        /// A reason for close-outs.
        Reason = 4 "REASON",
        /// What a tenant has decided about close-outs.
        Settings = 5 "SETTINGS",
        /// What a currency is worth from a time on.
        ExchangeRate = 6 "EXCHANGE_RATE",
    }
}

codes! {
    /// One of the two services.
    pub enum Side {
        /// The opportunity service.
        Opportunity = 1 "OPPORTUNITY",
        /// The order service.
        Order = 2 "ORDER",
    }
}

/// A record by kind and id; shown as its resource name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// Its id.
    pub id: Uuid,
}

impl Record {
    /// A record of this kind and id.
    pub const fn new(kind: RecordKind, id: Uuid) -> Self {
        Self { kind, id }
    }

    /// Reads a name of any of the kinds. A reason is named by its id here, as is its lane, elsewhere by its code; settings by the
    /// tenant's id.
    pub fn parse(name: &str) -> Option<Self> {
        RecordKind::ALL
            .iter()
            .find_map(|kind| crate::ids::parse_name(kind.collection(), name).ok().map(|id| Self { kind: *kind, id }))
    }
}

impl RecordKind {
    /// Tasks and entries of timelines can be about it: it is a customer, an opportunity or an order.
    pub const fn has_tasks(self) -> bool {
        match self {
            Self::Customer | Self::Opportunity | Self::Order => true,
            Self::Reason | Self::Settings | Self::ExchangeRate => false,
        }
    }

    /// Collection part of the resource names of this kind.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Customer => crate::ids::CustomerId::COLLECTION,
            Self::Opportunity => crate::ids::OpportunityId::COLLECTION,
            Self::Order => crate::ids::OrderId::COLLECTION,
            Self::Reason => crate::reason::COLLECTION,
            Self::Settings => crate::settings::COLLECTION,
            Self::ExchangeRate => crate::exchange::COLLECTION,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.collection(), self.id)
    }
}
