//! What a reason requires of a close-out. This is the one place where that is enforced.

use super::{Catalogue, Listed, Reason, ReasonScope, VerificationRule, code_of, name};
use crate::{
    refusal::{Refusal, Violation},
    remarks::{Cited, Finding, MOST_SECONDARY, Matter, Verification},
    settings::VerificationPolicy,
    time::Time,
    wording,
};

/// What a caller gives as the reason of a close-out.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Resource name of the reason.
    pub reason: &'a str,
    /// The person's words.
    pub detail: &'a str,
    /// A competitor is named.
    pub competitor: bool,
    /// The close-out has a date of the past.
    pub historical: bool,
    /// Resource names of further reasons.
    pub secondary: &'a [String],
    /// How the customer's status was verified.
    pub verification: Option<&'a Verification>,
}

impl<'a> Catalogue<'a> {
    /// Finds the reason and checks everything it requires; every violation at once. Those about the reason itself list the
    /// ones that can be used, so all rows of the tenant have to be at hand where one is expected.
    pub fn check(&self, scope: ReasonScope, given: &Given<'_>) -> Result<&'a Reason, Vec<Violation>> {
        let list = || self.usable(scope);
        if given.reason.is_empty() {
            return Err(vec![Violation::new("reason", &wording::REASON_REQUIRED).with("reasons", list())]);
        }
        let Some(listed) = code_of(given.reason).and_then(|code| self.get(code)) else {
            return Err(vec![Violation::new("reason", &wording::UNKNOWN_REASON).with("reasons", list())]);
        };
        let reason = &listed.reason;
        let about = |field: &str, wording| Violation::new(field, wording).with("code", &reason.code);
        let mut violations = Vec::new();
        if reason.scope != scope {
            let violation = about("reason", &wording::REASON_SCOPE);
            violations.push(violation.with("scope", reason.scope.word()).with("reasons", list()));
        }
        if let Some(target) = &listed.merged_into {
            violations.push(about("reason", &wording::REASON_MERGED).with("target", name(target)));
        } else if !listed.active {
            violations.push(about("reason", &wording::REASON_INACTIVE).with("reasons", list()));
        }
        if reason.historical_only && !given.historical {
            violations.push(about("reason", &wording::REASON_HISTORICAL_ONLY).with("reasons", list()));
        }
        if (given.detail.trim().chars().count() as i64) < reason.min_detail {
            violations.push(match reason.min_detail {
                1 => about("detail", &wording::DETAIL_REQUIRED),
                least => about("detail", &wording::DETAIL_TOO_SHORT).with("least", least),
            });
        }
        if reason.needs_competitor && !given.competitor {
            violations.push(about("competitor", &wording::COMPETITOR_REQUIRED));
        }
        violations.extend(self.secondary_violations(scope, given));
        if violations.is_empty() { Ok(reason) } else { Err(violations) }
    }

    /// As [`Catalogue::check`], and that the verification is there which a tenant's settings or the reason require.
    pub fn judge(
        &self,
        scope: ReasonScope,
        given: &Given<'_>,
        policy: VerificationPolicy,
    ) -> Result<&'a Reason, Vec<Violation>> {
        let named = code_of(given.reason).and_then(|code| self.get(code));
        let unverified = named.map(|listed| listed.reason.unverified(policy, given)).unwrap_or_default();
        match self.check(scope, given) {
            Ok(reason) if unverified.is_empty() => Ok(reason),
            Ok(_) => Err(unverified),
            Err(violations) => Err([violations, unverified].concat()),
        }
    }

    /// These reasons in their current version.
    pub fn cited(&self, names: &[String]) -> Vec<Cited> {
        let listed = names.iter().filter_map(|name| self.get(code_of(name)?));
        listed.map(|listed| Cited { code: listed.reason.code.to_string(), version: listed.reason.version }).collect()
    }

    fn secondary_violations(&self, scope: ReasonScope, given: &Given<'_>) -> Vec<Violation> {
        let mut violations = Vec::new();
        if given.secondary.len() > MOST_SECONDARY {
            let violation = Violation::new("secondary_reasons", &wording::TOO_MANY_SECONDARY);
            violations.push(violation.with("most", MOST_SECONDARY).with("count", given.secondary.len()));
        }
        for (index, named) in given.secondary.iter().take(MOST_SECONDARY).enumerate() {
            let about = |wording| Violation::new(format!("secondary_reasons[{index}]"), wording);
            let before = given.secondary.iter().take(index);
            let usable = |listed: &&Listed| {
                let ordinary = given.historical || !listed.reason.historical_only;
                listed.active && listed.reason.scope == scope && ordinary
            };
            if named == given.reason || before.into_iter().any(|before| before == named) {
                violations.push(about(&wording::REPEATED).with("value", named));
            } else if code_of(named).and_then(|code| self.get(code)).filter(usable).is_none() {
                violations.push(about(&wording::UNKNOWN_REASON).with("reasons", self.usable(scope)));
            }
        }
        violations
    }
}

impl Reason {
    /// What a tenant's settings make of its own rule: whether a verification is required, and how many days old it may be.
    fn rule(&self, policy: VerificationPolicy, given: &Given<'_>) -> Option<i32> {
        let required = match self.verification {
            Some(VerificationRule::Required) => true,
            Some(VerificationRule::NotRequired) => false,
            None => policy.required,
        };
        let days = if self.verification_days > 0 { self.verification_days } else { policy.fresh_days };
        (required && !given.historical).then_some(days)
    }

    /// What is wrong with the verification that a close-out with this reason gives: there is none where one is required, or it has
    /// found the contrary of the reason.
    pub fn unverified(&self, policy: VerificationPolicy, given: &Given<'_>) -> Vec<Violation> {
        let Some(verification) = given.verification else {
            let required = self.rule(policy, given).map(|_| &wording::VERIFICATION_REQUIRED);
            return required
                .map(|wording| Violation::new("verification", wording).with("code", &self.code))
                .into_iter()
                .collect();
        };
        let contrary = |(matter, contrary): &(Matter, Finding)| verification.finding(*matter) == Some(*contrary);
        let about = |(matter, finding): (Matter, Finding)| {
            let violation = Violation::new(format!("verification.{}", matter.field()), &wording::CONTRADICTION);
            violation.with("finding", finding.word()).with("code", &self.code)
        };
        self.contraries().into_iter().filter(contrary).map(about).collect()
    }

    /// Refuses a verification that is too old by the time of the close-out, where one is required.
    pub fn check_fresh(
        &self,
        policy: VerificationPolicy,
        given: &Given<'_>,
        subject: impl ToString,
        now: Time,
    ) -> Result<(), Refusal> {
        let (Some(days), Some(verification)) = (self.rule(policy, given), given.verification) else { return Ok(()) };
        if verification.verified_at.plus_days(days.into()) >= now {
            return Ok(());
        }
        let refusal = Refusal::new(&wording::STALE_VERIFICATION, subject);
        Err(refusal.with("verified", verification.verified_at).with("days", days).with("code", &self.code))
    }

    /// Findings that can not be so if this is the reason.
    fn contraries(&self) -> Vec<(Matter, Finding)> {
        let by_category = match &*self.category {
            "BUDGET" => Some((Matter::Budget, Finding::Confirmed)),
            "NEED" => Some((Matter::Needs, Finding::Confirmed)),
            "TIMING" => Some((Matter::Intent, Finding::Confirmed)),
            _ => None,
        };
        let competitor = self.needs_competitor.then_some((Matter::Competition, Finding::RuledOut));
        by_category.into_iter().chain(competitor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{BUILT_IN, Entry},
        ReasonScope::{Opportunity, Order},
        *,
    };
    use crate::{ids::TenantId, time::Time, working_set::Rows};
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn words(own: &Rows<Entry>, scope: ReasonScope, given: &Given<'_>) -> Vec<&'static str> {
        let refused = Catalogue::of(TENANT, own).check(scope, given).err();
        refused.unwrap_or_default().iter().map(Violation::reason).collect()
    }

    fn given(reason: &str) -> Given<'_> {
        Given { reason, detail: " ", competitor: false, historical: false, secondary: &[], verification: None }
    }

    #[test]
    fn every_violation_of_a_reason_is_reported_at_once() {
        let mut listed = BUILT_IN[1].clone();
        let expected = ["REASON_SCOPE", "DETAIL_TOO_SHORT", "COMPETITOR_REQUIRED"];
        assert_eq!(words(&Rows::default(), Order, &given("closeOutReasons/COMPETITOR_PRICE")), expected);
        listed.active = false;
        let own =
            Rows::loaded([Entry { tenant_id: TENANT, listed, sent: 1, created_at: Time(0), updated_at: Time(0) }]);
        let expected = ["REASON_INACTIVE", "DETAIL_TOO_SHORT", "COMPETITOR_REQUIRED"];
        assert_eq!(words(&own, Opportunity, &given("closeOutReasons/COMPETITOR_PRICE")), expected);
    }

    #[test]
    fn other_needs_twenty_characters_not_bytes() {
        let given = |detail| Given { detail, ..given("closeOutReasons/OTHER") };
        let words = |detail| words(&Rows::default(), Opportunity, &given(detail));
        assert_eq!(words("客户没有给出任何原因"), ["DETAIL_TOO_SHORT"]);
        assert_eq!(words("客户没有给出任何原因，电话邮件均无回复"), ["DETAIL_TOO_SHORT"]);
        assert!(words("客户没有给出任何原因，电话邮件均无人回复。").is_empty());
    }

    #[test]
    fn not_recorded_is_for_history_only() {
        let given = |historical| Given { historical, ..given("closeOutReasons/NOT_RECORDED") };
        assert_eq!(words(&Rows::default(), Opportunity, &given(false)), ["REASON_HISTORICAL_ONLY"]);
        assert!(words(&Rows::default(), Opportunity, &given(true)).is_empty());
    }

    #[test]
    fn a_name_that_is_none_is_an_unknown_reason() {
        for reason in ["OTHER", "closeOutReasons/", "closeOutReasons/other", "closeOutReasons/NO SUCH", "x"] {
            assert_eq!(words(&Rows::default(), Opportunity, &given(reason)), ["UNKNOWN_REASON"], "{reason}");
        }
        assert_eq!(words(&Rows::default(), Opportunity, &given("")), ["REQUIRED"]);
    }

    #[test]
    fn labels_follow_the_language_and_fall_back_to_english() {
        let none = Rows::default();
        let mut reason = Catalogue::of(TENANT, &none).get("OTHER").unwrap().reason.clone();
        assert_eq!([reason.label("zh-CN"), reason.label("fr"), reason.label("")], ["其他", "Other", "Other"]);
        reason.labels =
            [("pt", "Outro"), ("pt-BR", "Outra coisa"), ("zh-TW", "其它")].map(|(a, b)| (a.into(), b.into())).into();
        let labels = ["pt-br", "pt_PT", "zh-TW", "zh", "es-MX"].map(|locale| reason.label(locale));
        assert_eq!(labels, ["Outra coisa", "Outro", "其它", "其他", "Other"]);
    }

    #[test]
    fn further_reasons_are_others_of_the_scope_in_use_and_at_most_two() {
        let named = |names: &[&str]| names.iter().map(|name| format!("closeOutReasons/{name}")).collect::<Vec<_>>();
        let words = |names: &[&str]| {
            let secondary = named(names);
            words(
                &Rows::default(),
                Opportunity,
                &Given { secondary: &secondary, ..given("closeOutReasons/LONG_CYCLE") },
            )
        };
        assert!(words(&["UNRESPONSIVE", "POOR_FIT"]).is_empty());
        assert_eq!(words(&["LONG_CYCLE"]), ["REPEATED"]);
        assert_eq!(words(&["POOR_FIT", "POOR_FIT"]), ["REPEATED"]);
        assert_eq!(words(&["ORD_AGED", "NOT_RECORDED"]), ["UNKNOWN_REASON", "UNKNOWN_REASON"]);
        assert_eq!(words(&["UNRESPONSIVE", "POOR_FIT", "OTHER"]), ["COUNT"]);
    }

    fn verification(verified_at: i64) -> Verification {
        Verification {
            method: crate::remarks::VerificationMethod::Call,
            contact: "Ms Li, purchasing".into(),
            verified_at: Time(verified_at),
            needs: None,
            budget: Some(Finding::Confirmed),
            competition: Some(Finding::RuledOut),
            intent: None,
            note: String::new(),
        }
    }

    fn built_in(code: &str) -> Reason {
        BUILT_IN.iter().find(|listed| listed.reason.code == code).unwrap().reason.clone()
    }

    const POLICY: VerificationPolicy = VerificationPolicy { required: true, fresh_days: 30 };

    #[test]
    fn a_finding_that_contradicts_the_reason_is_named_with_it() {
        let found = verification(0);
        let given = Given { verification: Some(&found), ..given("") };
        let words = |code: &str| {
            let violations = built_in(code).unverified(POLICY, &given);
            violations.iter().map(|violation| (violation.field.clone(), violation.reason())).collect::<Vec<_>>()
        };
        assert_eq!(words("BUDGET_FROZEN"), [("verification.budget".to_owned(), "CONTRADICTION")]);
        assert_eq!(words("COMPETITOR_PRICE"), [("verification.competition".to_owned(), "CONTRADICTION")]);
        assert!(words("BUILT_IN_HOUSE").is_empty() && words("NO_INTENT_NOW").is_empty());
    }

    #[test]
    fn a_verification_is_required_by_the_reason_or_else_by_the_settings_and_never_of_history() {
        let none = VerificationPolicy { required: false, ..POLICY };
        let required = |reason: &Reason, policy, historical| {
            !reason.unverified(policy, &Given { historical, ..given("") }).is_empty()
        };
        let mut reason = built_in("LONG_CYCLE");
        assert_eq!([required(&reason, POLICY, false), required(&reason, none, false)], [true, false]);
        assert!(!required(&reason, POLICY, true));
        reason.verification = Some(VerificationRule::Required);
        assert!(required(&reason, none, false));
        for code in ["DUPLICATE", "STALE_AUTO", "ORD_AGED", "ORD_PROCESSED"] {
            assert!(!required(&built_in(code), POLICY, false), "{code}");
        }
    }

    #[test]
    fn a_required_verification_is_fresh_to_the_day() {
        let found = verification(0);
        let given = Given { verification: Some(&found), ..given("") };
        let mut reason = built_in("LONG_CYCLE");
        let fresh =
            |reason: &Reason, days: i64| reason.check_fresh(POLICY, &given, "x", Time(0).plus_days(days)).is_ok();
        assert_eq!([fresh(&reason, 30), fresh(&reason, 31)], [true, false]);
        reason.verification_days = 7;
        assert_eq!([fresh(&reason, 7), fresh(&reason, 8)], [true, false]);
        reason.verification = Some(VerificationRule::NotRequired);
        assert!(fresh(&reason, 1_000));
    }
}
