//! What a caller may do: rights, how far each of them reaches, the roles that hold them, and whether a record is within reach. Who has
//! which role is told by whoever vouches for the caller; what a role of a tenant's own may do is part of the tenant's settings.

#[cfg(test)]
mod tests;

use crate::{
    codes,
    ids::CloseOutId,
    refusal::Refusal,
    time::Time,
    wording::{self, Wording},
    working_set::{Cause, Common},
};
use std::collections::BTreeMap;

codes! {
    /// Something that may be done.
    pub enum Right {
        /// Reading the tenant's records and catalogues.
        ReadRecords = 1 "record.read",
        /// Closing out; seeing what that would do; withdrawing one's own request.
        CloseOut = 2 "closeout.create",
        /// Closing out many in one call, each within reach of the right to close out.
        BulkCloseOut = 3 "closeout.bulk",
        /// Approving and rejecting close-outs of others.
        Approve = 4 "closeout.approve",
        /// Correcting what a close-out says.
        Amend = 5 "closeout.amend",
        /// Making, changing, moving, pausing and winning opportunities.
        EditOpportunities = 6 "opportunity.edit",
        /// Taking a close-out or a win of an opportunity back.
        ReopenOpportunities = 7 "opportunity.reopen",
        /// Making, changing, confirming orders; recording what was fulfilled and paid.
        EditOrders = 8 "order.edit",
        /// Cancelling an order, or a part of it, while nothing of it is fulfilled.
        CancelOrders = 9 "order.cancel",
        /// Cancelling what is left of an order that is partly fulfilled.
        CancelFulfilling = 10 "order.cancel.fulfilling",
        /// Taking a close-out of an order back.
        ReopenOrders = 11 "order.reopen",
        /// Making and changing tasks.
        ManageTasks = 12 "task.manage",
        /// Making and changing customers.
        ManageCustomers = 13 "customer.manage",
        /// Making, changing, merging and ordering reasons and competitors.
        ManageReasons = 14 "reason.manage",
        /// Making, changing and ordering pipelines and their stages.
        ManagePipelines = 15 "pipeline.manage",
        /// Changing what the tenant has decided, its own roles included.
        ManageSettings = 16 "settings.manage",
        /// Reports of close-outs.
        ReadAnalytics = 17 "analytics.read",
        /// Entering records with dates of the past.
        ImportData = 18 "data.import",
        /// Deciding about messages between the services that can not be delivered.
        Operate = 19 "operator",
        /// Working on plans to win customers back, and exporting whom a campaign may reach.
        ManageWinBack = 20 "winback.manage",
    }
}

impl Right {
    /// It is about records that somebody owns, so that it may reach some of them only.
    pub const fn has_scope(self) -> bool {
        match self {
            Self::CloseOut
            | Self::Approve
            | Self::Amend
            | Self::EditOpportunities
            | Self::ReopenOpportunities
            | Self::EditOrders
            | Self::CancelOrders
            | Self::CancelFulfilling
            | Self::ReopenOrders
            | Self::ReadAnalytics => true,
            Self::ReadRecords
            | Self::BulkCloseOut
            | Self::ManageTasks
            | Self::ManageCustomers
            | Self::ManageReasons
            | Self::ManagePipelines
            | Self::ManageSettings
            | Self::ImportData
            | Self::Operate
            | Self::ManageWinBack => false,
        }
    }

    const fn place(self) -> usize {
        self as usize - 1
    }

    /// The right with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|right| right.word() == word)
    }
}

codes! {
    /// How far a right reaches; a farther one includes the nearer ones.
    pub enum Scope {
        /// What the caller owns.
        Own = 1 "own",
        /// And what is of one of the caller's teams.
        Team = 2 "team",
        /// Everything of the tenant.
        All = 3 "all",
    }
}

/// Rights, each with its reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights([Option<Scope>; Right::ALL.len()]);

impl Rights {
    /// To nothing.
    pub const NONE: Self = Self([None; Right::ALL.len()]);
    /// To everything.
    pub const ALL: Self = Self::NONE.with(Right::ALL, Scope::All);

    /// These and those, reaching so far; a right without a scope reaches all.
    pub const fn with(mut self, rights: &[Right], scope: Scope) -> Self {
        let mut at = 0;
        while at < rights.len() {
            let scope = if rights[at].has_scope() { scope } else { Scope::All };
            self.0[rights[at].place()] = Some(scope);
            at += 1;
        }
        self
    }

    /// These without those.
    pub const fn without(mut self, rights: &[Right]) -> Self {
        let mut at = 0;
        while at < rights.len() {
            self.0[rights[at].place()] = None;
            at += 1;
        }
        self
    }

    /// How far a right reaches; none: it is not held.
    pub const fn scope(&self, right: Right) -> Option<Scope> {
        self.0[right.place()]
    }

    /// What either of the two holds, as far as it reaches farther.
    pub fn and(self, other: &Self) -> Self {
        let mut both = self;
        both.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
        both
    }

    /// With one more, as it is written: `order.cancel.own`, or without a scope for everything. None: there is no such right.
    pub fn granted(self, grant: &str) -> Option<Self> {
        let (right, scope) = match (Right::parse(grant), grant.rsplit_once('.')) {
            (Some(right), _) => (right, Scope::All),
            (None, Some((word, scope))) => {
                let right = Right::parse(word).filter(|right| right.has_scope())?;
                (right, Scope::ALL.iter().copied().find(|known| known.word() == scope)?)
            }
            (None, None) => return None,
        };
        Some(self.and(&Self::NONE.with(&[right], scope)))
    }

    /// Those that are written so, as far as this version knows them.
    pub fn known(grants: &[String]) -> Self {
        grants.iter().fold(Self::NONE, |rights, grant| rights.granted(grant).unwrap_or(rights))
    }

    /// Each as it is written, in the order of [`Right::ALL`].
    pub fn grants(&self) -> impl Iterator<Item = String> {
        Right::ALL.iter().filter_map(|right| {
            let scope = self.scope(*right)?;
            let word = right.word();
            Some(if right.has_scope() { format!("{word}.{}", scope.word()) } else { word.to_owned() })
        })
    }
}

/// A role that every tenant has.
#[derive(Debug)]
pub struct Role {
    /// What it is called.
    pub name: &'static str,
    /// What it may do.
    pub rights: Rights,
}

use Right::*;

/// What salespeople and their managers do within their reach.
const SELLING: &[Right] = &[CloseOut, Amend, EditOpportunities, EditOrders, CancelOrders, ReadAnalytics];
/// What they share with everybody who sells to the same customers.
const SHARED: &[Right] = &[ReadRecords, ManageTasks, ManageCustomers, ManageWinBack];

/// The roles that every tenant has.
pub static ROLES: &[Role] = &[
    Role { name: "sales", rights: Rights::NONE.with(SHARED, Scope::All).with(SELLING, Scope::Own) },
    Role {
        name: "manager",
        rights: Rights::NONE
            .with(SHARED, Scope::All)
            .with(SELLING, Scope::Team)
            .with(&[BulkCloseOut, Approve, ReopenOpportunities, CancelFulfilling, ReopenOrders], Scope::Team),
    },
    Role { name: "admin", rights: Rights::ALL },
    Role { name: "analyst", rights: Rights::NONE.with(&[ReadRecords, ReadAnalytics], Scope::All) },
    Role { name: "service", rights: Rights::ALL.without(&[ManageReasons, ManagePipelines, ManageSettings, Operate]) },
    Role { name: "operator", rights: Rights::NONE.with(&[ReadRecords, Operate], Scope::All) },
];

/// Who acts where nobody but time has asked for it. No caller may be called that.
pub const SYSTEM: &str = "system";

/// Roles of a tenant's own by name: what each grants, as it is written. What this version does not know of it stays, and is not held.
pub type OwnRoles = BTreeMap<String, Vec<String>>;

/// The role that every tenant has by this name.
pub fn built_in(name: &str) -> Option<&'static Rights> {
    ROLES.iter().find(|role| role.name == name).map(|role| &role.rights)
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The caller's rights.
    pub rights: Rights,
    /// The caller's teams.
    pub teams: Vec<String>,
}

impl Access {
    /// Of the services themselves: what a message or a duty does was decided before.
    pub const EVERYTHING: Self = Self { rights: Rights::ALL, teams: Vec::new() };

    /// Whose records a right reaches; none: nobody's.
    pub fn reach(&self, right: Right, principal: &str) -> Option<Reach> {
        let owner = principal.to_owned();
        Some(match self.rights.scope(right)? {
            Scope::Own => Reach::Of { owner, teams: Vec::new() },
            Scope::Team => Reach::Of { owner, teams: self.teams.clone() },
            Scope::All => Reach::Everybody,
        })
    }
}

/// Whose records are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of one principal and of some teams.
    Of {
        /// The principal.
        owner: String,
        /// The teams.
        teams: Vec<String>,
    },
    /// All of the tenant.
    Everybody,
}

impl Reach {
    /// A record of this owner and team is among them.
    pub fn holds(&self, owned: Owned<'_>) -> bool {
        match self {
            Self::Of { owner, teams } => {
                owned.owner == owner || (!owned.team.is_empty() && teams.iter().any(|team| team == owned.team))
            }
            Self::Everybody => true,
        }
    }
}

/// Whose a record is.
#[derive(Clone, Copy, Debug)]
pub struct Owned<'a> {
    /// The principal.
    pub owner: &'a str,
    /// The team; empty: none.
    pub team: &'a str,
}

impl Cause {
    /// Refuses unless who is behind it holds the right, and it reaches a record of this owner and team.
    pub fn may(&self, right: Right, record: impl ToString, owned: Owned<'_>) -> Result<(), Refusal> {
        self.check(&wording::OUT_OF_REACH, right, record, owned)
    }

    /// The same of a record that is made for this owner and team; `record`: what such records are called.
    pub fn may_make(&self, right: Right, record: &str, owned: Owned<'_>) -> Result<(), Refusal> {
        self.check(&wording::MADE_OUT_OF_REACH, right, record, owned)
    }

    fn check(
        &self,
        wording: &'static Wording,
        right: Right,
        record: impl ToString,
        owned: Owned<'_>,
    ) -> Result<(), Refusal> {
        match (self.access.reach(right, &self.actor), self.access.rights.scope(right)) {
            (Some(reach), _) if reach.holds(owned) => Ok(()),
            (Some(_), Some(scope)) => Err(Refusal::new(wording, record)
                .with("right", right.word())
                .with("scope", scope.word())
                .with("owner", owned.owner)),
            (Some(_), None) | (None, _) => Err(missing(right)),
        }
    }

    /// Refuses unless who is behind it may enter records with dates of the past.
    pub fn may_import(&self) -> Result<(), Refusal> {
        self.access.rights.scope(Right::ImportData).map(drop).ok_or_else(|| missing(Right::ImportData))
    }
}

impl Common {
    /// Refuses unless who is behind the cause may take a close-out back: with the right, or, for some minutes, as the one who asked for
    /// it. What it caused is taken back with it, and not by itself.
    pub fn may_take_back(&self, cause: &Cause, right: Right, id: CloseOutId, owned: Owned<'_>) -> Result<(), Refusal> {
        let close_out = self.close_out(cause.tenant_id, id)?;
        let approved = close_out.approval.as_ref().and_then(|approval| approval.ruling.as_ref()).map(|ruled| ruled.at);
        let done = approved.or(Time::of_id(id.0)).unwrap_or(close_out.closed_at);
        let asked = close_out.actor == cause.actor && close_out.cause.is_none();
        if asked && self.now.0 - done.0 <= UNDO_MINUTES * 60_000_000 {
            return Ok(());
        }
        cause.may(right, close_out.subject, owned).map_err(|refusal| match cause.access.rights.scope(right) {
            Some(_) => refusal,
            None => Refusal::new(&wording::UNDO_OVER, close_out.subject)
                .with("right", right.word())
                .with("actor", &close_out.actor)
                .with("minutes", UNDO_MINUTES),
        })
    }
}

/// How long whoever closed something out may take that back without the right to reopen.
const UNDO_MINUTES: i64 = 15;

fn missing(right: Right) -> Refusal {
    Refusal::denied(&wording::RIGHT_MISSING).with("right", right.word())
}
