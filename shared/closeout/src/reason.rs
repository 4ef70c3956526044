//! Reasons for close-outs: the default ones every tenant has, and the one place that says what a reason requires.

use crate::{
    codes,
    episode::OutcomeClass,
    refusal::Violation,
    wording::{self, Language},
};

codes! {
    /// What a reason may be used for.
    pub enum ReasonScope {
        /// Closing out opportunities.
        Opportunity = 1 "OPPORTUNITY",
        /// Cancelling orders.
        Order = 2 "ORDER",
        /// Ending orders as processed.
        OrderProcessed = 3 "ORDER_PROCESSED",
    }
}

/// Why something is closed out.
#[derive(Debug)]
pub struct Reason {
    /// Code in `closeOutReasons/{code}`.
    pub code: &'static str,
    /// Version, from 1.
    pub version: i64,
    /// What it may be used for.
    pub scope: ReasonScope,
    /// Chinese label.
    pub zh: &'static str,
    /// English label.
    pub en: &'static str,
    /// Group for reports.
    pub category: &'static str,
    /// Class of a close-out with this reason; none: not a loss.
    pub class: Option<OutcomeClass>,
    /// Fewest characters of detail; 0: optional.
    pub min_detail: usize,
    /// A competitor must be named.
    pub needs_competitor: bool,
    /// Days after which to try to win the customer back; 0: never.
    pub win_back_days: i32,
    /// Only historical close-outs may use it.
    pub historical_only: bool,
}

/// Collection part of the resource name of a reason.
pub const COLLECTION: &str = "closeOutReasons";

/// The reason of a processed order.
pub const PROCESSED: &str = "ORD_PROCESSED";

impl Reason {
    /// The reason with this resource name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        name.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/')).and_then(Self::by_code)
    }

    /// The reason with this code.
    pub fn by_code(code: &str) -> Option<&'static Self> {
        DEFAULT_REASONS.iter().find(|reason| reason.code == code)
    }

    /// Its resource name.
    pub fn name(&self) -> String {
        format!("{COLLECTION}/{}", self.code)
    }

    /// Its label in the language of a tag such as `zh-CN`; English for every other language.
    pub fn label(&self, locale: &str) -> &'static str {
        match Language::of(locale) {
            Language::Chinese => self.zh,
            Language::English => self.en,
        }
    }
}

/// What a caller gives as the reason of a close-out.
#[derive(Debug)]
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

/// Finds the reason and checks everything it requires; every violation at once. This is the one place where the
/// requirements of reasons are enforced.
pub fn check(scope: ReasonScope, given: &Given<'_>) -> Result<&'static Reason, Vec<Violation>> {
    let list = || {
        let codes: Vec<_> =
            DEFAULT_REASONS.iter().filter(|r| r.scope == scope && !r.historical_only).map(|r| r.code).collect();
        format!("{COLLECTION}/{{{}}}", codes.join(", "))
    };
    if given.reason.is_empty() {
        return Err(vec![Violation::new("reason", &wording::REASON_REQUIRED).with("reasons", list())]);
    }
    let Some(reason) = Reason::by_name(given.reason) else {
        return Err(vec![Violation::new("reason", &wording::UNKNOWN_REASON).with("reasons", list())]);
    };
    let about = |field: &str, wording| Violation::new(field, wording).with("code", reason.code);
    let mut violations = Vec::new();
    if reason.scope != scope {
        let violation = about("reason", &wording::REASON_SCOPE);
        violations.push(violation.with("scope", reason.scope.word()).with("reasons", list()));
    }
    if reason.historical_only && !given.historical {
        violations.push(about("reason", &wording::REASON_HISTORICAL_ONLY).with("reasons", list()));
    }
    if given.detail.trim().chars().count() < reason.min_detail {
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

use OutcomeClass::{Administrative, CompetitiveLoss, CustomerCancelled, Disqualified, NoDecision};
use ReasonScope::{Opportunity, Order, OrderProcessed};

const fn reason(
    code: &'static str,
    zh: &'static str,
    en: &'static str,
    category: &'static str,
    class: OutcomeClass,
    min_detail: usize,
    win_back_days: i32,
) -> Reason {
    Reason {
        code,
        version: 1,
        scope: Opportunity,
        zh,
        en,
        category,
        class: Some(class),
        min_detail,
        needs_competitor: false,
        win_back_days,
        historical_only: false,
    }
}

const fn with_competitor(reason: Reason) -> Reason {
    Reason { needs_competitor: true, ..reason }
}

const fn of_order(reason: Reason) -> Reason {
    Reason { scope: Order, ..reason }
}

/// The reasons every tenant starts with, in the order in which people should see them.
pub static DEFAULT_REASONS: &[Reason] = &[
    reason("PRICE_TOO_HIGH", "价格过高", "Price too high", "PRICE", NoDecision, 1, 90),
    with_competitor(reason(
        "COMPETITOR_PRICE",
        "竞争对手报价更具吸引力",
        "Competitor's offer more attractive",
        "COMPETITION",
        CompetitiveLoss,
        1,
        180,
    )),
    with_competitor(reason(
        "COMPETITOR_PRODUCT",
        "竞品方案更优",
        "Competitor's product better",
        "COMPETITION",
        CompetitiveLoss,
        1,
        270,
    )),
    with_competitor(reason(
        "INCUMBENT_RENEWED",
        "现有供应商续约",
        "Incumbent renewed",
        "COMPETITION",
        CompetitiveLoss,
        0,
        300,
    )),
    reason("BUILT_IN_HOUSE", "客户内部自建", "Built in-house", "COMPETITION", CompetitiveLoss, 1, 365),
    reason("BUDGET_INSUFFICIENT", "客户预算不足", "Insufficient budget", "BUDGET", NoDecision, 0, 90),
    reason("BUDGET_FROZEN", "预算冻结或取消", "Budget frozen or cut", "BUDGET", CustomerCancelled, 0, 180),
    reason("NEED_CHANGED", "客户需求变化", "Needs changed", "NEED", CustomerCancelled, 1, 120),
    reason("NO_INTENT_NOW", "客户暂时无意向", "No intent for now", "TIMING", NoDecision, 0, 60),
    reason(
        "PROJECT_CANCELLED",
        "项目取消或推迟",
        "Project cancelled or postponed",
        "TIMING",
        CustomerCancelled,
        0,
        180,
    ),
    reason("FEATURE_GAP", "功能缺失", "Missing features", "PRODUCT", NoDecision, 1, 180),
    reason("DELIVERY_TIME", "交付周期不满足", "Delivery time not met", "PRODUCT", NoDecision, 1, 120),
    reason("POOR_FIT", "不匹配（非目标客户）", "Poor fit", "QUALIFICATION", Disqualified, 0, 0),
    reason("NO_DECISION_MAKER", "未触达决策人", "Decision maker not reached", "PROCESS", NoDecision, 0, 60),
    reason("LONG_CYCLE", "跟进周期过长", "Cycle too long", "PROCESS", NoDecision, 0, 90),
    reason("UNRESPONSIVE", "客户失联", "Customer unresponsive", "ENGAGEMENT", NoDecision, 0, 45),
    reason("TERMS_NOT_AGREED", "合同条款未谈拢", "Terms not agreed", "PRICE", NoDecision, 1, 90),
    reason("SERVICE_ISSUE", "服务或质量问题", "Service or quality issue", "PRODUCT", CustomerCancelled, 1, 30),
    reason("CUSTOMER_CLOSED", "客户停业或被并购", "Customer closed or acquired", "CUSTOMER", Disqualified, 0, 0),
    reason("DUPLICATE", "重复录入", "Duplicate", "ADMIN", Administrative, 1, 0),
    reason("STALE_AUTO", "长期停滞自动消单", "Stale, closed automatically", "ADMIN", NoDecision, 0, 60),
    reason("OTHER", "其他", "Other", "OTHER", NoDecision, 20, 90),
    Reason { historical_only: true, ..reason("NOT_RECORDED", "未记录", "Not recorded", "OTHER", NoDecision, 0, 0) },
    of_order(reason("ORD_CUSTOMER_CANCEL", "客户取消订单", "Customer cancelled", "ORDER", CustomerCancelled, 1, 60)),
    of_order(reason("ORD_OUT_OF_STOCK", "缺货或无法供货", "Cannot supply", "ORDER", NoDecision, 0, 30)),
    of_order(reason("ORD_ENTRY_ERROR", "订单录入错误", "Entry error", "ORDER", Administrative, 1, 0)),
    of_order(reason(
        "ORD_PAYMENT_FAILED",
        "未付款或信用不足",
        "Not paid, credit refused",
        "ORDER",
        Disqualified,
        0,
        90,
    )),
    of_order(reason(
        "ORD_SCOPE_CHANGED",
        "范围变更或中止",
        "Scope changed or halted",
        "ORDER",
        CustomerCancelled,
        1,
        120,
    )),
    of_order(reason("ORD_AGED", "超期未履行清理", "Aged, closed administratively", "ORDER", Administrative, 0, 0)),
    Reason {
        scope: OrderProcessed,
        class: None,
        ..reason(PROCESSED, "已处理（正常完成）", "Processed", "ORDER", Administrative, 0, 0)
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scope: ReasonScope, given: &Given<'_>) -> Vec<&'static str> {
        check(scope, given).err().unwrap_or_default().iter().map(Violation::reason).collect()
    }

    #[test]
    fn every_violation_of_a_reason_is_reported_at_once() {
        let given =
            Given { reason: "closeOutReasons/COMPETITOR_PRICE", detail: " ", competitor: false, historical: false };
        assert_eq!(words(Order, &given), ["REASON_SCOPE", "DETAIL_TOO_SHORT", "COMPETITOR_REQUIRED"]);
    }

    #[test]
    fn other_needs_twenty_characters_not_bytes() {
        let given = |detail| Given { reason: "closeOutReasons/OTHER", detail, competitor: false, historical: false };
        assert_eq!(words(Opportunity, &given("客户没有给出任何原因")), ["DETAIL_TOO_SHORT"]);
        assert!(check(Opportunity, &given("客户没有给出任何原因，电话邮件均无回复")).is_err());
        assert!(check(Opportunity, &given("客户没有给出任何原因，电话邮件均无人回复。")).is_ok());
    }

    #[test]
    fn not_recorded_is_for_history_only() {
        let given =
            |historical| Given { reason: "closeOutReasons/NOT_RECORDED", detail: "", competitor: false, historical };
        assert_eq!(words(Opportunity, &given(false)), ["REASON_HISTORICAL_ONLY"]);
        assert!(check(Opportunity, &given(true)).is_ok());
    }

    #[test]
    fn labels_follow_the_language_and_fall_back_to_english() {
        let reason = Reason::by_code("OTHER").unwrap();
        assert_eq!(reason.label("zh-CN"), "其他");
        assert_eq!(reason.label("fr"), "Other");
        assert_eq!(reason.label(""), "Other");
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = DEFAULT_REASONS.iter().map(|r| r.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), DEFAULT_REASONS.len());
    }
}
