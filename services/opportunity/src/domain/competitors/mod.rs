//! Competitors: made, renamed, taken out of use and back into it, and merged where one was entered under several names. What a
//! close-out names is never rewritten: who counts follows `merged_into`, which is one step at most.

use super::World;
use crm_closeout::{
    cascade::Change,
    ids::{CompetitorId, TenantId},
    refusal::{Refusal, Violation, check_etag},
    time::Time,
    wording::{self, Wording},
    working_set::{Cause, Keyed, Owner},
};
use std::collections::BTreeSet;

/// Most competitors that one call merges.
pub const MOST_SOURCES: usize = 100;

/// What a caller can ask for about competitors.
#[derive(Clone, Debug)]
pub enum CompetitorCommand {
    /// Makes one.
    Create {
        /// What it is called.
        display_name: String,
    },
    /// Renames one.
    Update {
        /// Which.
        id: CompetitorId,
        /// Only this version.
        etag: String,
        /// What it is called from now on; none: as before.
        display_name: Option<String>,
    },
    /// Takes one into use or out of it.
    SetActive {
        /// Which.
        id: CompetitorId,
        /// Only this version.
        etag: String,
        /// Into use.
        active: bool,
    },
    /// Merges some into another one.
    Merge {
        /// Each once, none of them the target: see [`check_sources`].
        sources: Vec<CompetitorId>,
        /// The one that stays.
        target: CompetitorId,
    },
}

/// A competitor that a close-out can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Competitor {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its id.
    pub competitor_id: CompetitorId,
    /// What it is called.
    pub display_name: String,
    /// Whether a new close-out may name it.
    pub active: bool,
    /// When it was created.
    pub created_at: Time,
    /// Raised by one at each change.
    pub version: i64,
    /// When it last changed; it may be zero where it never did.
    pub updated_at: Time,
    /// The one that it was merged into, which is not merged itself.
    pub merged_into: Option<CompetitorId>,
}

impl Keyed for Competitor {
    type Key = (TenantId, CompetitorId);

    fn key(&self) -> Self::Key {
        (self.tenant_id, self.competitor_id)
    }

    fn belongs_to(&self) -> Option<Owner> {
        self.merged_into.map(|target| (self.tenant_id, target.0))
    }
}

impl Competitor {
    /// Whether a new close-out may name it.
    pub fn check_named(&self) -> Result<(), Refusal> {
        self.check(&wording::COMPETITOR_INACTIVE, &wording::COMPETITOR_MERGED)
    }

    /// Whether others may be merged into it.
    fn check_target(&self) -> Result<(), Refusal> {
        self.check(&wording::TARGET_INACTIVE, &wording::TARGET_MERGED)
    }

    /// A merged one stays out of use.
    fn check_activated(&self) -> Result<(), Refusal> {
        self.merged_into.map_or(Ok(()), |target| Err(self.refusal(&wording::MERGED_STAYS).with("merged_into", target)))
    }

    fn check(&self, inactive: &'static Wording, merged: &'static Wording) -> Result<(), Refusal> {
        match self.merged_into {
            Some(target) => Err(self.refusal(merged).with("merged_into", target)),
            None if self.active => Ok(()),
            None => Err(self.refusal(inactive)),
        }
    }

    fn refusal(&self, wording: &'static Wording) -> Refusal {
        Refusal::new(wording, self.competitor_id).with("display_name", &self.display_name)
    }

    const fn word(&self) -> &'static str {
        match (self.merged_into, self.active) {
            (Some(_), _) => "MERGED",
            (None, true) => "ACTIVE",
            (None, false) => "INACTIVE",
        }
    }
}

/// What is wrong with the names of what is to be merged, and into what: each is given once.
pub fn check_sources(sources: &[String], target: &str) -> Vec<Violation> {
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (index, source) in sources.iter().enumerate() {
        let wording = if source == target {
            &wording::MERGED_INTO_ITSELF
        } else if !seen.insert(source) {
            &wording::REPEATED
        } else {
            continue;
        };
        wrong.push(Violation::new(format!("sources[{index}]"), wording).with("value", source));
    }
    wrong
}

impl World {
    /// Makes a competitor.
    pub fn create_competitor(&mut self, cause: &Cause, display_name: &str) -> Result<Competitor, Refusal> {
        self.check_name(cause.tenant_id, display_name)?;
        let now = self.common.now;
        let competitor = Competitor {
            tenant_id: cause.tenant_id,
            competitor_id: CompetitorId(self.common.new_id()),
            display_name: display_name.to_owned(),
            active: true,
            created_at: now,
            version: 1,
            updated_at: now,
            merged_into: None,
        };
        self.competitors.insert(competitor.clone());
        self.audit_competitor(cause, None, &competitor);
        Ok(competitor)
    }

    /// Renames a competitor, a merged one, too.
    pub fn update_competitor(
        &mut self,
        cause: &Cause,
        id: CompetitorId,
        etag: &str,
        display_name: Option<&str>,
    ) -> Result<Competitor, Refusal> {
        let before = self.competitor(cause, id, etag)?;
        let Some(display_name) = display_name.filter(|name| *name != before.display_name) else { return Ok(before) };
        self.check_name(cause.tenant_id, display_name)?;
        self.change_competitor(cause, id, |competitor| competitor.display_name = display_name.to_owned())
    }

    /// Takes a competitor into use or out of it.
    pub fn set_competitor_active(
        &mut self,
        cause: &Cause,
        id: CompetitorId,
        etag: &str,
        active: bool,
    ) -> Result<Competitor, Refusal> {
        let before = self.competitor(cause, id, etag)?;
        if active {
            before.check_activated()?;
        }
        self.change_competitor(cause, id, |competitor| competitor.active = active)
    }

    /// Merges competitors into another one, and with each of them those that were merged into it before. Answers the sources and the
    /// target.
    pub fn merge_competitors(
        &mut self,
        cause: &Cause,
        sources: &[CompetitorId],
        target: CompetitorId,
    ) -> Result<(Vec<Competitor>, Competitor), Refusal> {
        for source in sources {
            self.competitor(cause, *source, "")?;
        }
        let into = self.competitor(cause, target, "")?;
        into.check_target()?;
        let mut merged = Vec::with_capacity(sources.len());
        for source in sources {
            let earlier = self.competitors.of((cause.tenant_id, source.0)).map(|competitor| competitor.competitor_id);
            for follower in earlier.collect::<Vec<_>>() {
                self.merge_competitor(cause, follower, target)?;
            }
            merged.push(self.merge_competitor(cause, *source, target)?);
        }
        Ok((merged, into))
    }

    fn merge_competitor(
        &mut self,
        cause: &Cause,
        source: CompetitorId,
        target: CompetitorId,
    ) -> Result<Competitor, Refusal> {
        self.change_competitor(cause, source, |competitor| {
            competitor.active = false;
            competitor.merged_into = Some(target);
        })
    }

    fn check_name(&self, tenant: TenantId, display_name: &str) -> Result<(), Refusal> {
        let mut own = self.competitors.iter();
        if self.names.contains(&(tenant, display_name.to_owned()))
            || own.any(|competitor| competitor.tenant_id == tenant && competitor.display_name == display_name)
        {
            return Err(Refusal::new(&wording::NAME_TAKEN, display_name));
        }
        Ok(())
    }

    fn competitor(&self, cause: &Cause, id: CompetitorId, etag: &str) -> Result<Competitor, Refusal> {
        let row = self.competitors.get(&(cause.tenant_id, id)).ok_or_else(|| Refusal::not_found(id))?;
        check_etag(etag, row.version, id)?;
        Ok(row.clone())
    }

    /// Changes it, unless all of it is so already.
    fn change_competitor(
        &mut self,
        cause: &Cause,
        id: CompetitorId,
        change: impl FnOnce(&mut Competitor),
    ) -> Result<Competitor, Refusal> {
        let before = self.competitor(cause, id, "")?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(after);
        }
        (after.version, after.updated_at) = (before.version + 1, self.common.now);
        let key = before.key();
        let row = self.competitors.edit(&key).ok_or_else(|| Refusal::not_found(id))?;
        row.clone_from(&after);
        self.competitors.has_moved(&key);
        self.audit_competitor(cause, Some(&before), &after);
        Ok(after)
    }

    fn audit_competitor(&mut self, cause: &Cause, before: Option<&Competitor>, after: &Competitor) {
        let change = Change {
            from: before.map_or(0, |before| before.version),
            to: after.version,
            state_before: before.map_or("", Competitor::word),
            state_after: after.word(),
            close_out: None,
        };
        self.common.audit(cause, after.competitor_id, change);
    }
}

#[cfg(test)]
mod tests;
