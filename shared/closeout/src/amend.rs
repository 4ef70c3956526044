//! Amendments: what a close-out in force says of its reason is corrected. It keeps its time and its effects, and what it had said
//! before.

use crate::{
    episode::{CloseOut, CloseOutState, OutcomeClass},
    fact::ClosedFact,
    ids::{CloseOutId, CompetitorId, TenantId},
    reason::{Catalogue, Given, ReasonScope, code_of, name},
    refusal::Refusal,
    remarks::Cited,
    settings::Settings,
    time::Time,
    wording,
    working_set::{Cause, Common},
};

/// What a close-out says of its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Code of the reason.
    pub reason_code: String,
    /// Its version.
    pub reason_version: i64,
    /// Its class.
    pub class: Option<OutcomeClass>,
    /// Days after which it proposes to try to win the customer back; 0: it does not.
    pub win_back_days: i32,
    /// The person's words.
    pub detail: String,
    /// The competitor named.
    pub competitor_id: Option<CompetitorId>,
    /// Further reasons.
    pub secondary: Vec<Cited>,
}

/// A correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// Why, in the person's words.
    pub note: String,
    /// What it had said.
    pub before: Stated,
}

/// What a caller wants to correct; none: leave it.
#[derive(Clone, Debug)]
pub struct Amending {
    /// Which close-out.
    pub id: CloseOutId,
    /// Only this version of its subject.
    pub etag: String,
    /// Resource name of the right reason.
    pub reason: Option<String>,
    /// The right detail.
    pub detail: Option<String>,
    /// The right competitor, or none.
    pub competitor: Option<Option<CompetitorId>>,
    /// Resource names of the right further reasons.
    pub secondary: Option<Vec<String>>,
    /// Why.
    pub note: String,
}

impl Amending {
    /// Codes of the reasons that it and the close-out name.
    pub fn codes(&self, close_out: &CloseOut) -> Vec<String> {
        let named = self.reason.iter().chain(self.secondary.iter().flatten()).filter_map(|name| code_of(name));
        let said = close_out.remarks.secondary.iter().map(|cited| cited.code.as_str());
        named.chain(said).chain([close_out.reason_code.as_str()]).map(str::to_owned).collect()
    }
}

impl CloseOut {
    /// What it says of its reason.
    pub fn stated(&self) -> Stated {
        Stated {
            reason_code: self.reason_code.clone(),
            reason_version: self.reason_version,
            class: self.class,
            win_back_days: self.win_back_days,
            detail: self.detail.clone(),
            competitor_id: self.competitor_id,
            secondary: self.remarks.secondary.clone(),
        }
    }
}

impl Common {
    /// Close-outs that the one of this fact caused and that do not say what it says, with what they are to say.
    pub fn to_follow(&self, tenant: TenantId, closed: &ClosedFact) -> Vec<(CloseOut, Stated)> {
        let caused = self.close_outs.of((tenant, closed.close_out_id.0));
        let followed = caused.map(|close_out| (close_out.clone(), follows(close_out, closed)));
        followed.filter(|(close_out, stated)| *stated != close_out.stated()).collect()
    }

    /// The close-out that is to be corrected, if it is in force and no other one caused it.
    pub fn amendable(&self, tenant: TenantId, id: CloseOutId) -> Result<CloseOut, Refusal> {
        let close_out = self.close_outs.get(&(tenant, id)).ok_or_else(|| Refusal::not_found(id))?;
        if close_out.state != CloseOutState::Effective {
            return Err(Refusal::new(&wording::NOT_IN_FORCE, id).with("state", close_out.state.word()));
        }
        match close_out.cause {
            Some(cause) => Err(Refusal::new(&wording::CAUSED, id).with("cause", cause)),
            None => Ok(close_out.clone()),
        }
    }

    /// What a close-out says once it is corrected, if everything is there that its reason requires. One whose reason stays keeps
    /// its version, whether it may still be used or not.
    pub fn restated(&self, scope: ReasonScope, close_out: &CloseOut, amending: &Amending) -> Result<Stated, Refusal> {
        let tenant = close_out.tenant_id;
        let (catalogue, settings) = (Catalogue::of(tenant, &self.reasons), Settings::of(tenant, &self.settings));
        let before = close_out.stated();
        let own = name(&before.reason_code);
        let said = || before.secondary.iter().map(|cited| name(&cited.code)).collect::<Vec<_>>();
        let reason = amending.reason.as_deref().unwrap_or(&own);
        let secondary = amending.secondary.clone().unwrap_or_else(said);
        let detail = amending.detail.clone().unwrap_or_else(|| before.detail.clone());
        let competitor_id = amending.competitor.unwrap_or(before.competitor_id);
        let given = Given {
            reason,
            detail: &detail,
            competitor: competitor_id.is_some(),
            historical: close_out.historical,
            secondary: if amending.secondary.is_some() { &secondary } else { &[] },
            verification: close_out.remarks.verification.as_ref(),
        };
        let (judged, stays) = (catalogue.judge(scope, &given, settings.verification), reason == own);
        // What was not verified then can not be verified now, and a reason that stays need not be in use.
        let counts = |field: &str| field != "verification" && !(stays && field == "reason");
        let violations: Vec<_> = judged.err().into_iter().flatten().filter(|wrong| counts(&wrong.field)).collect();
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        let new = code_of(reason).and_then(|code| catalogue.get(code)).filter(|_| !stays).map(|listed| &listed.reason);
        let (reason_code, reason_version, class, win_back_days) = match new {
            Some(new) => (new.code.to_string(), new.version, new.class, new.win_back_days),
            None => (before.reason_code, before.reason_version, before.class, before.win_back_days),
        };
        let secondary = if amending.secondary.is_some() { catalogue.cited(&secondary) } else { before.secondary };
        if secondary.iter().any(|cited| cited.code == reason_code) {
            let repeated = crate::refusal::Violation::new("reason", &wording::REPEATED);
            return Err(repeated.with("value", name(&reason_code)).into());
        }
        Ok(Stated { reason_code, reason_version, class, win_back_days, detail, competitor_id, secondary })
    }

    /// Corrects what a close-out says; answers it as it is then.
    pub fn amend(&mut self, cause: &Cause, id: CloseOutId, stated: Stated, note: &str) -> Option<CloseOut> {
        let at = self.now;
        let close_out = self.close_outs.edit(&(cause.tenant_id, id))?;
        let before = close_out.stated();
        close_out.amendments.push(Amendment { at, actor: cause.actor.clone(), note: note.to_owned(), before });
        let Stated { reason_code, reason_version, class, win_back_days, detail, competitor_id, secondary } = stated;
        close_out.reason_code = reason_code;
        close_out.reason_version = reason_version;
        close_out.class = class;
        close_out.win_back_days = win_back_days;
        close_out.detail = detail;
        close_out.competitor_id = competitor_id;
        close_out.remarks.secondary = secondary;
        Some(close_out.clone())
    }
}

/// What a correction tells in a customer's timeline: from which reason to which.
pub fn told(before: &Stated, after: &Stated) -> String {
    let reason = |stated: &Stated| format!("{}@{}", stated.reason_code, stated.reason_version);
    format!("{} -> {}", reason(before), reason(after))
}

/// What a caused close-out says after the one that caused it was corrected.
fn follows(before: &CloseOut, fact: &ClosedFact) -> Stated {
    Stated {
        reason_code: fact.reason_code.clone(),
        reason_version: fact.reason_version,
        class: fact.class,
        detail: fact.detail.clone(),
        ..before.stated()
    }
}
