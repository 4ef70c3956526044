//! The built-in reasons. What one of them means never changes: a close-out keeps its code and version for good.

use super::{
    Listed, PROCESSED, Reason,
    ReasonScope::{Opportunity, Order, OrderProcessed},
    VerificationRule,
};
use crate::episode::OutcomeClass::{
    self, Administrative, CompetitiveLoss, CustomerCancelled, Disqualified, NoDecision,
};
use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

fn reason(
    code: &'static str,
    zh: &'static str,
    en: &'static str,
    category: &'static str,
    class: OutcomeClass,
    min_detail: i64,
    win_back_days: i32,
) -> Reason {
    Reason {
        code: Cow::Borrowed(code),
        version: 1,
        scope: Opportunity,
        zh: Cow::Borrowed(zh),
        en: Cow::Borrowed(en),
        labels: BTreeMap::new(),
        category: Cow::Borrowed(category),
        class: Some(class),
        min_detail,
        needs_competitor: false,
        win_back_days,
        historical_only: false,
        verification: (class == Administrative).then_some(VerificationRule::NotRequired),
        verification_days: 0,
    }
}

/// Nobody is asked.
fn unverified(reason: Reason) -> Reason {
    Reason { verification: Some(VerificationRule::NotRequired), ..reason }
}

fn with_competitor(reason: Reason) -> Reason {
    Reason { needs_competitor: true, ..reason }
}

fn of_order(reason: Reason) -> Reason {
    Reason { scope: Order, ..reason }
}

/// The reasons every tenant starts with, in the order in which people should see them.
pub static BUILT_IN: LazyLock<Vec<Listed>> = LazyLock::new(|| {
    let mut listed: Vec<Listed> = Vec::new();
    for reason in reasons() {
        let position = 1 + listed.iter().filter(|other| other.reason.scope == reason.scope).count() as i64;
        listed.push(Listed { reason, active: true, position, revision: 1, lane: None, merged_into: None });
    }
    listed
});

fn reasons() -> Vec<Reason> {
    vec![
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
        unverified(reason("STALE_AUTO", "长期停滞自动消单", "Stale, closed automatically", "ADMIN", NoDecision, 0, 60)),
        reason("OTHER", "其他", "Other", "OTHER", NoDecision, 20, 90),
        Reason {
            historical_only: true, ..reason("NOT_RECORDED", "未记录", "Not recorded", "OTHER", NoDecision, 0, 0)
        },
        of_order(reason(
            "ORD_CUSTOMER_CANCEL",
            "客户取消订单",
            "Customer cancelled",
            "ORDER",
            CustomerCancelled,
            1,
            60,
        )),
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
    ]
}
