//! What `close-out` and `preview` ask for: the request that the flags make, to be looked at first or to be carried out.

use super::remarks::Remarks;
use super::{Kind, competitors, kind_of};
use crate::api::Api;
use crate::args::{ClosingArgs, OrderOutcome, WonPolicy};
use crate::failure::Usage;
use crate::request_id;
use anyhow::Context;
use crm_proto::common::{CloseOut, CloseOutPlan, Outcome, Side, Wait};
use crm_proto::opportunity::{self as sales, CloseOutOpportunityRequest};
use crm_proto::order::{self as trade, CloseOutOrderRequest};

/// A close-out that was asked for.
#[derive(Clone, Debug)]
pub(super) enum Closing {
    /// Of an opportunity.
    Opportunity {
        /// What is sent.
        request: Box<CloseOutOpportunityRequest>,
        /// A competitor that the service does not know yet; it is made before the close-out, and not for a look at it.
        unknown_competitor: Option<String>,
    },
    /// Of an order.
    Order(Box<CloseOutOrderRequest>),
}

impl Closing {
    /// What the flags ask for.
    pub(super) async fn read(args: &ClosingArgs, api: &Api) -> anyhow::Result<Self> {
        match kind_of(&args.name)? {
            Kind::Opportunity => Self::of_opportunity(args, api).await,
            Kind::Order => Ok(Self::Order(Box::new(of_order(args)?))),
            Kind::Customer | Kind::Task | Kind::CloseOut | Kind::Group => {
                Err(Usage("only opportunities/ID, orders/ID and customers/ID can be closed out".to_owned()).into())
            }
        }
    }

    /// The same of an opportunity, or of each opportunity of a customer.
    pub(super) async fn of_opportunity(args: &ClosingArgs, api: &Api) -> anyhow::Result<Self> {
        let reason = args.reason.as_deref().ok_or_else(|| Usage("--reason CODE is needed".to_owned()))?;
        let Remarks { secondary_reasons, verification, reassessment, follow_up } = args.remarks.read()?;
        let known = match &args.competitor {
            Some(name) => competitors::known(name, api).await?,
            None => None,
        };
        let unknown_competitor = args.competitor.clone().filter(|_| known.is_none());
        let request = CloseOutOpportunityRequest {
            name: args.name.clone(),
            reason: reason_name(reason),
            detail: args.detail.clone().unwrap_or_default(),
            competitor: known.unwrap_or_default(),
            request_id: request_id::new(),
            wait: Wait::Peer.into(),
            secondary_reasons,
            verification,
            reassessment,
            follow_up,
            ..CloseOutOpportunityRequest::default()
        };
        Ok(Self::Opportunity { request: Box::new(request), unknown_competitor })
    }

    /// The side that does it.
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Opportunity { .. } => Side::Opportunity,
            Self::Order(_) => Side::Order,
        }
    }

    /// What it would do, and what would refuse it; that the competitor is still to be made is no obstacle.
    pub(super) async fn preview(&self, api: &Api) -> anyhow::Result<CloseOutPlan> {
        let plan = match self {
            Self::Opportunity { request, unknown_competitor } => {
                let close_out = Some((**request).clone());
                let asked = api.preview_opportunity(sales::PreviewCloseOutRequest { close_out }).await?.plan;
                let made = |field: &str| field == "competitor" && unknown_competitor.is_some();
                asked.map(|mut plan| {
                    plan.obstacles.retain(|obstacle| !made(&obstacle.field));
                    plan
                })
            }
            Self::Order(request) => {
                let close_out = Some((**request).clone());
                api.preview_order(trade::PreviewCloseOutRequest { close_out }).await?.plan
            }
        };
        plan.context("a reply without its plan")
    }

    /// Carries it out, if it still comes to this plan; empty: whatever it comes to.
    pub(super) async fn carry_out(self, plan_hash: String, api: &Api) -> anyhow::Result<CloseOut> {
        let close_out = match self {
            Self::Opportunity { mut request, unknown_competitor } => {
                if let Some(name) = unknown_competitor {
                    request.competitor = competitors::or_made(&name, api).await?;
                }
                request.plan_hash = plan_hash;
                match api.close_out_opportunity(*request).await {
                    Ok(reply) => reply.close_out,
                    Err(refused) => return Err(competitors::explained(refused, api).await),
                }
            }
            Self::Order(mut request) => {
                request.plan_hash = plan_hash;
                api.close_out_order(*request).await?.close_out
            }
        };
        close_out.context("a reply without its close-out")
    }
}

fn of_order(args: &ClosingArgs) -> anyhow::Result<CloseOutOrderRequest> {
    let Remarks { secondary_reasons, verification, reassessment, follow_up } = args.remarks.read()?;
    let outcome = match args.outcome {
        OrderOutcome::Cancelled => Outcome::Cancelled,
        OrderOutcome::Processed => Outcome::Processed,
    };
    if outcome == Outcome::Cancelled && args.reason.is_none() {
        return Err(Usage("--reason CODE is needed to cancel an order".to_owned()).into());
    }
    Ok(CloseOutOrderRequest {
        name: args.name.clone(),
        outcome: outcome.into(),
        reason: args.reason.as_deref().map(reason_name).unwrap_or_default(),
        detail: args.detail.clone().unwrap_or_default(),
        refund_reference: args.refund_reference.clone().unwrap_or_default(),
        won_opportunity_policy: args.won_opportunity.map_or(0, WonPolicy::of_api),
        request_id: request_id::new(),
        wait: Wait::Peer.into(),
        secondary_reasons,
        verification,
        reassessment,
        follow_up,
        ..CloseOutOrderRequest::default()
    })
}

/// The resource name of a reason, from its code or from the name itself.
pub(super) fn reason_name(reason: &str) -> String {
    if reason.contains('/') { reason.to_owned() } else { format!("closeOutReasons/{}", reason.to_uppercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_named_by_its_code() {
        assert_eq!(reason_name("budget_frozen"), "closeOutReasons/BUDGET_FROZEN");
        assert_eq!(reason_name("closeOutReasons/OTHER"), "closeOutReasons/OTHER");
    }
}
