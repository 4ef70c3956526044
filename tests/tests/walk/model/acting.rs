//! Who may do what, and how far that reaches: the roles of the walk's people.

use super::Refused;
use crate::commands::{Etag, Who};

/// Something that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    CloseOut,
    Approve,
    Amend,
    EditOpportunities,
    ReopenOpportunities,
    EditOrders,
    CancelOrders,
    CancelFulfilling,
    ReopenOrders,
    ManageTasks,
    ManageCustomers,
}

use Right::*;

/// How far somebody's right reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Nobody,
    Own,
    Team,
    All,
}

fn reach(who: Who, right: Right) -> Reach {
    match (who.role(), right) {
        ("admin" | "service", _) | ("manager" | "sales", ManageTasks | ManageCustomers) => Reach::All,
        ("manager", _) => Reach::Team,
        ("sales", CloseOut | Amend | EditOpportunities | EditOrders | CancelOrders) => Reach::Own,
        _ => Reach::Nobody,
    }
}

/// Who calls, and whether with an etag that is current.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) who: Who,
    pub(super) etag: Etag,
}

impl Caller {
    /// Whether one of these rights is held at all: nobody else is let in.
    pub(super) fn enters(self, rights: &[Right]) -> Result<(), Refused> {
        let held = rights.iter().any(|right| reach(self.who, *right) != Reach::Nobody);
        if held { Ok(()) } else { Err("RIGHT_MISSING".into()) }
    }

    /// Whether a right reaches a record of this owner and team.
    pub(super) fn may(self, right: Right, owner: Who, team: &str) -> Result<(), Refused> {
        let own = owner == self.who;
        let within = match reach(self.who, right) {
            Reach::Nobody => return Err("RIGHT_MISSING".into()),
            Reach::Own => own,
            Reach::Team => own || (!team.is_empty() && team == self.who.team()),
            Reach::All => true,
        };
        if within { Ok(()) } else { Err("OUT_OF_REACH".into()) }
    }

    /// Whether the record is still the one that is meant.
    pub(super) fn means(self) -> Result<(), Refused> {
        match self.etag {
            Etag::Any | Etag::Current => Ok(()),
            Etag::Old => Err("VERSION_MISMATCH".into()),
        }
    }
}
