//! The catalogue of reasons: made, changed, taken out of use and back, put into an order. Each change is told to the order
//! service, in the reason's own lane. A built-in reason becomes a row of the tenant's own when it is changed.

use super::World;
use crm_closeout::{
    cascade::Resend,
    codes::{Record, RecordKind},
    episode::OutcomeClass,
    fact::{Event, Fact, MirrorState},
    reason::{Catalogue, Listed, MOST, Reason, ReasonScope, VerificationRule, name},
    refusal::{Refusal, Violation, check_etag},
    wording,
    working_set::Cause,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// What a caller can ask for about reasons.
#[derive(Clone, Debug)]
pub enum ReasonCommand {
    /// Make one.
    Create(Reason),
    /// Change one.
    Update {
        /// Its code.
        code: String,
        /// Only this revision.
        etag: String,
        /// What to change.
        edit: ReasonEdit,
    },
    /// Take one out of use, or back into it.
    SetActive {
        /// Its code.
        code: String,
        /// Only this revision.
        etag: String,
        /// Whether new close-outs may use it.
        active: bool,
    },
    /// Put one in the place of others.
    Merge {
        /// Codes of the others.
        sources: Vec<String>,
        /// Code of the one.
        target: String,
    },
    /// Put the reasons of a scope into an order.
    Reorder {
        /// Which scope.
        scope: ReasonScope,
        /// Resource names, in the new order.
        names: Vec<String>,
    },
}

/// What to change of a reason; none: leave it.
#[derive(Clone, Debug, Default)]
pub struct ReasonEdit {
    /// The scope as the caller knows it, which must be right.
    pub scope: Option<ReasonScope>,
    /// Chinese label.
    pub zh: Option<String>,
    /// English label.
    pub en: Option<String>,
    /// Labels in other languages: those named here, an empty one taken away.
    pub labels: BTreeMap<String, String>,
    /// Whether the labels in other languages that are not named are taken away.
    pub replace_labels: bool,
    /// Group for reports.
    pub category: Option<String>,
    /// Class; none in it: no loss.
    pub class: Option<Option<OutcomeClass>>,
    /// Fewest characters of detail.
    pub min_detail: Option<i64>,
    /// A competitor must be named.
    pub needs_competitor: Option<bool>,
    /// Days after which to try to win the customer back.
    pub win_back_days: Option<i32>,
    /// Whether a verification is required; none in it: as the settings say.
    pub verification: Option<Option<VerificationRule>>,
    /// How many days old that may be.
    pub verification_days: Option<i32>,
}

impl ReasonEdit {
    fn apply(&self, before: &Reason) -> Reason {
        let mut labels = if self.replace_labels { BTreeMap::new() } else { before.labels.clone() };
        labels.extend(self.labels.clone());
        labels.retain(|_, label| !label.is_empty());
        let text =
            |edit: &Option<String>, before: &Cow<'static, str>| edit.clone().map_or_else(|| before.clone(), Into::into);
        Reason {
            zh: text(&self.zh, &before.zh),
            en: text(&self.en, &before.en),
            labels,
            category: text(&self.category, &before.category),
            class: self.class.unwrap_or(before.class),
            min_detail: self.min_detail.unwrap_or(before.min_detail),
            needs_competitor: self.needs_competitor.unwrap_or(before.needs_competitor),
            win_back_days: self.win_back_days.unwrap_or(before.win_back_days),
            verification: self.verification.unwrap_or(before.verification),
            verification_days: self.verification_days.unwrap_or(before.verification_days),
            ..before.clone()
        }
    }
}

impl World {
    /// Makes a reason, at the end of its scope.
    pub fn create_reason(&mut self, cause: &Cause, new: &Reason) -> Result<Listed, Refusal> {
        let catalogue = self.catalogue(cause);
        if catalogue.get(&new.code).is_some() {
            return Err(Refusal::new(&wording::CODE_TAKEN, new.name()));
        }
        let others = catalogue.of_scope(new.scope);
        if others.len() >= MOST {
            let refusal = Refusal::new(&wording::TOO_MANY_REASONS, new.name());
            return Err(refusal.with("scope", new.scope.word()).with("limit", MOST));
        }
        let position = others.last().map_or(0, |last| last.position) + 1;
        let listed = Listed { reason: new.clone(), active: true, position, revision: 0, lane: None, merged_into: None };
        Ok(self.put(cause, listed))
    }

    /// Changes labels or meaning of a reason: a new version, unless all of it is so already.
    pub fn update_reason(
        &mut self,
        cause: &Cause,
        code: &str,
        etag: &str,
        edit: &ReasonEdit,
    ) -> Result<Listed, Refusal> {
        let mut listed = self.listed(cause, code, etag)?;
        let scope = listed.reason.scope;
        let mut after = edit.apply(&listed.reason);
        let mut violations = after.violations("reason");
        if edit.scope.is_some_and(|given| given != scope) {
            let violation = Violation::new("reason.scope", &wording::IMMUTABLE_SCOPE);
            violations.push(violation.with("scope", scope.word()));
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        if after == listed.reason {
            return Ok(listed);
        }
        after.version += 1;
        listed.reason = after;
        Ok(self.put(cause, listed))
    }

    /// Takes a reason out of use, or back into it.
    pub fn set_reason_active(
        &mut self,
        cause: &Cause,
        code: &str,
        etag: &str,
        active: bool,
    ) -> Result<Listed, Refusal> {
        let mut listed = self.listed(cause, code, etag)?;
        if let Some(target) = listed.merged_into.as_ref().filter(|_| active) {
            return Err(Refusal::new(&wording::MERGED_FOR_GOOD, name(code)).with("target", name(target)));
        }
        if listed.active == active {
            return Ok(listed);
        }
        let scope = listed.reason.scope;
        let ordinary = |other: &&Listed| other.active && !other.reason.historical_only && other.reason.code != code;
        if !active && !self.catalogue(cause).of_scope(scope).iter().any(ordinary) {
            return Err(Refusal::new(&wording::LAST_REASON, name(code)).with("scope", scope.word()));
        }
        listed.active = active;
        Ok(self.put(cause, listed))
    }

    /// Puts one reason in the place of others of its scope, and of those in whose place they had been put before. Answers all of
    /// these.
    pub fn merge_reasons(&mut self, cause: &Cause, sources: &[String], target: &str) -> Result<Vec<Listed>, Refusal> {
        let into = self.listed(cause, target, "")?;
        if !into.active {
            let refusal = Refusal::new(&wording::TARGET_NOT_ACTIVE, name(target));
            return Err(refusal.with("state", into.state()));
        }
        let mut violations = Vec::new();
        for (index, code) in sources.iter().enumerate() {
            let about = |wording| Violation::new(format!("sources[{index}]"), wording).with("value", name(code));
            let scope = self.listed(cause, code, "")?.reason.scope;
            if code == target || sources.iter().take(index).any(|before| before == code) {
                violations.push(about(&wording::REPEATED));
            } else if scope != into.reason.scope {
                violations.push(about(&wording::REASON_OF_OTHER_SCOPE).with("scope", into.reason.scope.word()));
            }
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        let replaced = |listed: &&Listed| {
            let merged = listed.merged_into.as_ref().is_some_and(|into| sources.contains(into) || into == target);
            merged || sources.iter().any(|code| *code == listed.reason.code)
        };
        let replaced: Vec<_> = self.catalogue(cause).all().into_iter().filter(replaced).cloned().collect();
        let merged = |listed: Listed| {
            let is_so = listed.merged_into.as_deref() == Some(target);
            let after = Listed { active: false, merged_into: Some(target.to_owned()), ..listed.clone() };
            if is_so { listed } else { self.put(cause, after) }
        };
        Ok(replaced.into_iter().map(merged).collect())
    }

    /// Puts the reasons of a scope into an order. Every one of them has to be named.
    pub fn reorder_reasons(
        &mut self,
        cause: &Cause,
        scope: ReasonScope,
        names: &[String],
    ) -> Result<Vec<Listed>, Refusal> {
        let before: Vec<_> = self.catalogue(cause).of_scope(scope).into_iter().cloned().collect();
        let mut violations = Vec::new();
        let mut seen = BTreeSet::new();
        let mut after = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let field = format!("names[{index}]");
            match before.iter().find(|listed| listed.reason.name() == *name) {
                None => {
                    let violation = Violation::new(field, &wording::REASON_OF_OTHER_SCOPE);
                    violations.push(violation.with("scope", scope.word()));
                }
                Some(_) if !seen.insert(name) => violations.push(Violation::new(field, &wording::REASON_REPEATED)),
                Some(listed) => after.push(listed.clone()),
            }
        }
        let missing = before.iter().map(|listed| listed.reason.name()).filter(|name| !seen.contains(name));
        let missing: Vec<_> = missing.collect();
        if !missing.is_empty() {
            let violation = Violation::new("names", &wording::REASONS_MISSING).with("scope", scope.word());
            violations.push(violation.with("missing", missing.join(", ")));
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        let mut place = |(index, listed): (usize, Listed)| {
            let position = index as i64 + 1;
            let moved = listed.position != position;
            if moved { self.put(cause, Listed { position, ..listed }) } else { listed }
        };
        Ok(after.into_iter().enumerate().map(&mut place).collect())
    }

    /// Sends the whole state of a reason again.
    pub fn resend_reason(&mut self, cause: &Cause, resend: &Resend) -> Result<i64, Refusal> {
        let of_lane = |listed: &&Listed| listed.lane == Some(resend.record.id);
        let listed = self.catalogue(cause).all().into_iter().find(of_lane).cloned();
        let listed = listed.ok_or_else(|| Refusal::not_found(resend.record))?;
        let fact = self.fact(cause, Event::Snapshot, listed.clone());
        let row = self.common.reasons.edit(&(cause.tenant_id, listed.reason.code.into_owned()));
        let row = row.ok_or_else(|| Refusal::not_found(resend.record))?;
        row.sent = row.sent.max(resend.peer_number) + 1;
        let number = row.sent;
        self.common.send_snapshot(cause, resend, number, fact, None);
        Ok(number)
    }

    fn catalogue(&self, cause: &Cause) -> Catalogue<'_> {
        Catalogue::of(cause.tenant_id, &self.common.reasons)
    }

    fn listed(&self, cause: &Cause, code: &str, etag: &str) -> Result<Listed, Refusal> {
        let listed = self.catalogue(cause).get(code).cloned().ok_or_else(|| Refusal::not_found(name(code)))?;
        check_etag(etag, listed.revision, name(code))?;
        Ok(listed)
    }

    /// Keeps a changed reason and tells the order service.
    fn put(&mut self, cause: &Cause, mut listed: Listed) -> Listed {
        let key = (cause.tenant_id, listed.reason.code.to_string());
        let sent = self.common.reasons.get(&key).map_or(0, |entry| entry.sent) + 1;
        let id = listed.lane.unwrap_or_else(|| self.common.new_id());
        (listed.lane, listed.revision) = (Some(id), listed.revision + 1);
        let event = if sent == 1 { Event::Opened } else { Event::Changed };
        let fact = self.fact(cause, event, listed.clone());
        self.common.send(cause, Record::new(RecordKind::Reason, id), sent, fact, None);
        self.common.put_reason(cause, listed.clone(), sent);
        listed
    }

    fn fact(&self, cause: &Cause, event: Event, listed: Listed) -> Fact {
        Fact {
            event,
            customer_id: None,
            customer_name: String::new(),
            parent: None,
            state: MirrorState::Live,
            epoch: 0,
            owner: String::new(),
            actor: cause.actor.clone(),
            at: self.common.now,
            close_out: None,
            reason: Some(Box::new(listed)),
            settings: None,
            rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{cause, world};
    use crm_closeout::reason::BUILT_IN;

    fn own(code: &str, scope: ReasonScope) -> Reason {
        let class = (scope != ReasonScope::OrderProcessed).then_some(OutcomeClass::NoDecision);
        Reason { code: code.to_owned().into(), scope, class, min_detail: 0, ..BUILT_IN[0].reason.clone() }
    }

    fn words(refusal: &Refusal) -> Vec<&'static str> {
        refusal.violations.iter().map(Violation::reason).collect()
    }

    fn sent(world: &World) -> Vec<(Event, i64, i64)> {
        let told = |outgoing: &crm_closeout::fact::Outgoing| {
            let version = outgoing.fact.reason.as_ref().unwrap().reason.version;
            (outgoing.fact.event, outgoing.number, version)
        };
        world.common.outgoing.entries().iter().map(|(_, outgoing)| told(outgoing)).collect()
    }

    #[test]
    fn a_change_of_meaning_is_a_new_version_and_what_is_so_already_is_none() {
        let mut world = world();
        let made = world.create_reason(&cause(), &own("NO_FUNDING", ReasonScope::Opportunity)).unwrap();
        assert_eq!((made.reason.version, made.revision, made.position), (1, 1, 24));
        let edit = ReasonEdit { zh: Some("没有资金".into()), ..ReasonEdit::default() };
        let changed = world.update_reason(&cause(), "NO_FUNDING", "\"1\"", &edit).unwrap();
        assert_eq!((changed.reason.version, changed.revision, &*changed.reason.zh), (2, 2, "没有资金"));
        assert_eq!(world.update_reason(&cause(), "NO_FUNDING", "", &edit).unwrap(), changed);
        assert_eq!(
            world.update_reason(&cause(), "NO_FUNDING", "\"1\"", &edit).unwrap_err().reason(),
            "VERSION_MISMATCH"
        );
        let inactive = world.set_reason_active(&cause(), "NO_FUNDING", "", false).unwrap();
        assert_eq!((inactive.reason.version, inactive.revision), (2, 3));
        assert_eq!(sent(&world), [(Event::Opened, 1, 1), (Event::Changed, 2, 2), (Event::Changed, 3, 2)]);
        assert_eq!(world.common.editions.entries().iter().map(|e| e.reason.version).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_built_in_reason_is_overlaid_when_it_changes() {
        let mut world = world();
        assert_eq!(
            world.create_reason(&cause(), &own("OTHER", ReasonScope::Order)).unwrap_err().reason(),
            "CODE_TAKEN"
        );
        let edit = ReasonEdit { min_detail: Some(5), ..ReasonEdit::default() };
        let changed = world.update_reason(&cause(), "OTHER", "", &edit).unwrap();
        assert_eq!((changed.reason.version, changed.reason.min_detail, changed.position), (2, 5, 22));
        assert_eq!(sent(&world), [(Event::Opened, 1, 2)]);
        assert_eq!(BUILT_IN[21].reason.min_detail, 20);
    }

    #[test]
    fn what_a_scope_does_not_allow_is_refused_at_once() {
        let mut world = world();
        let edit = ReasonEdit {
            scope: Some(ReasonScope::Opportunity),
            class: Some(None),
            needs_competitor: Some(true),
            ..ReasonEdit::default()
        };
        let refusal = world.update_reason(&cause(), "ORD_AGED", "", &edit).unwrap_err();
        assert_eq!(words(&refusal), ["REQUIRED", "REASON_SCOPE", "IMMUTABLE"]);
        let class = Some(Some(OutcomeClass::NoDecision));
        let edit = ReasonEdit { class, ..ReasonEdit::default() };
        assert_eq!(words(&world.update_reason(&cause(), "ORD_PROCESSED", "", &edit).unwrap_err()), ["REASON_SCOPE"]);
    }

    #[test]
    fn a_merged_reason_points_to_where_it_went_and_those_merged_into_it_follow() {
        let mut world = world();
        let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        let into = |world: &World, code: &str| world.catalogue(&cause()).get(code).unwrap().merged_into.clone();
        let merged = world.merge_reasons(&cause(), &codes(&["LONG_CYCLE"]), "UNRESPONSIVE").unwrap();
        assert_eq!((merged.len(), merged[0].active, merged[0].reason.version), (1, false, 1));
        world.merge_reasons(&cause(), &codes(&["UNRESPONSIVE", "NO_DECISION_MAKER"]), "NO_INTENT_NOW").unwrap();
        for code in ["LONG_CYCLE", "UNRESPONSIVE", "NO_DECISION_MAKER"] {
            assert_eq!(into(&world, code).as_deref(), Some("NO_INTENT_NOW"), "{code}");
        }
        let messages = sent(&world).len();
        world.merge_reasons(&cause(), &codes(&["LONG_CYCLE"]), "NO_INTENT_NOW").unwrap();
        assert_eq!(sent(&world).len(), messages, "what is so already is not told again");
        let refusal = world.set_reason_active(&cause(), "LONG_CYCLE", "", true).unwrap_err();
        assert_eq!(refusal.reason(), "MERGED");
        let refusal = world.merge_reasons(&cause(), &codes(&["POOR_FIT"]), "LONG_CYCLE").unwrap_err();
        assert_eq!(refusal.reason(), "MERGED");
    }

    #[test]
    fn only_other_reasons_of_the_same_scope_are_merged() {
        let mut world = world();
        let sources = ["POOR_FIT", "ORD_AGED", "OTHER", "POOR_FIT"].map(str::to_owned);
        let refusal = world.merge_reasons(&cause(), &sources, "OTHER").unwrap_err();
        assert_eq!(words(&refusal), ["UNKNOWN_REASON", "REPEATED", "REPEATED"]);
        let refusal = world.merge_reasons(&cause(), &["NO_SUCH".to_owned()], "OTHER").unwrap_err();
        assert_eq!(refusal.reason(), "NOT_FOUND");
    }

    #[test]
    fn labels_in_other_languages_are_added_and_taken_away_one_by_one_or_all_at_once() {
        let mut world = world();
        let labels = |labels: &[(&str, &str)]| labels.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let mut edit = ReasonEdit { labels: labels(&[("fr", "Autre"), ("de", "Sonstiges")]), ..ReasonEdit::default() };
        assert_eq!(world.update_reason(&cause(), "OTHER", "", &edit).unwrap().reason.labels.len(), 2);
        edit.labels = labels(&[("fr", "")]);
        let after = world.update_reason(&cause(), "OTHER", "", &edit).unwrap();
        assert_eq!(
            (after.reason.version, after.reason.label("de-AT"), after.reason.label("fr")),
            (3, "Sonstiges", "Other")
        );
        edit = ReasonEdit { labels: labels(&[("ja", "その他")]), replace_labels: true, ..ReasonEdit::default() };
        assert_eq!(
            world.update_reason(&cause(), "OTHER", "", &edit).unwrap().reason.labels,
            labels(&[("ja", "その他")])
        );
    }

    #[test]
    fn the_last_active_reason_of_a_scope_stays() {
        let mut world = world();
        let refusal = world.set_reason_active(&cause(), "ORD_PROCESSED", "", false).unwrap_err();
        assert_eq!(refusal.reason(), "LAST_REASON");
        world.create_reason(&cause(), &own("ORD_DELIVERED", ReasonScope::OrderProcessed)).unwrap();
        assert!(!world.set_reason_active(&cause(), "ORD_PROCESSED", "", false).unwrap().active);
        let refusal = world.set_reason_active(&cause(), "ORD_DELIVERED", "", false).unwrap_err();
        assert_eq!(refusal.reason(), "LAST_REASON");
    }

    #[test]
    fn an_order_names_every_reason_once_and_only_what_moves_is_told() {
        let mut world = world();
        let mut names: Vec<_> = ["ORD_AGED", "ORD_AGED", "OTHER", "ORD_OUT_OF_STOCK"].map(name).to_vec();
        let refusal = world.reorder_reasons(&cause(), ReasonScope::Order, &names).unwrap_err();
        assert_eq!(words(&refusal), ["REPEATED", "UNKNOWN_REASON", "INCOMPLETE"]);
        let order = world.catalogue(&cause()).of_scope(ReasonScope::Order);
        names = order.iter().map(|listed| listed.reason.name()).collect();
        names.swap(0, 5);
        let after = world.reorder_reasons(&cause(), ReasonScope::Order, &names).unwrap();
        assert_eq!((&*after[0].reason.code, after[0].position, after[0].reason.version), ("ORD_AGED", 1, 1));
        assert_eq!(sent(&world), [(Event::Opened, 1, 1); 2]);
        let listed = world.catalogue(&cause()).of_scope(ReasonScope::Order);
        assert_eq!(listed.into_iter().cloned().collect::<Vec<_>>(), after);
    }
}
