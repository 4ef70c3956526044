//! What a reason requires of a close-out. This is the one place where that is enforced.

use super::{Catalogue, Reason, ReasonScope, code_of};
use crate::{refusal::Violation, wording};

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
        if !listed.active {
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
        if violations.is_empty() { Ok(reason) } else { Err(violations) }
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
        Given { reason, detail: " ", competitor: false, historical: false }
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
        let reason = &Catalogue::of(TENANT, &none).get("OTHER").unwrap().reason;
        assert_eq!([reason.label("zh-CN"), reason.label("fr"), reason.label("")], ["其他", "Other", "Other"]);
    }
}
