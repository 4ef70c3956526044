//! What must hold after close-outs, checked through the public API only: each subject is closed, its close-out is in
//! force and settled, and nobody has anything left to do for it on either service.

use crate::api::Api;
use crate::settle::{self, Settled};
use crm_proto::common::{CloseOutState, Propagation, Side, Task, TaskKind, TaskState};
use crm_proto::{opportunity as sales, order as trade};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashSet;

/// Something that was closed out and shall be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The service that closed it out.
    pub(crate) side: Side,
    /// The opportunity or order.
    pub(crate) subject: String,
    /// The close-out.
    pub(crate) close_out: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// How many things were checked.
    pub(crate) checked: u64,
    /// A sentence for each that does not hold.
    pub(crate) violated: Vec<String>,
}

impl Claim {
    /// Of a close-out that has settled.
    pub(crate) fn from_settled(settled: &Settled) -> Self {
        let close_out = &settled.close_out;
        Self { side: settled.side, subject: close_out.subject.clone(), close_out: close_out.name.clone() }
    }
}

impl Verdict {
    /// Counts one check; `sentence` says what is wrong if it does not hold.
    pub(crate) fn expect(&mut self, holds: bool, sentence: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.violated.push(sentence());
        }
    }
}

/// Checks every claim.
pub(crate) async fn check(api: &Api, claims: &[Claim], in_flight: usize) -> anyhow::Result<Verdict> {
    let busy = busy_parents(api).await?;
    let mut states = stream::iter(claims)
        .map(|claim| Box::pin(async move { anyhow::Ok((claim, read(api, claim).await?)) }))
        .buffer_unordered(in_flight);
    let mut verdict = Verdict::default();
    while let Some((claim, state)) = states.try_next().await? {
        judge(claim, &state, &busy, &mut verdict);
    }
    Ok(verdict)
}

/// What stands in the services about one claim.
struct State {
    /// The close-out that the subject names as the one in force; empty unless it is closed.
    in_force: String,
    close_out: CloseOutState,
    propagation: Propagation,
}

async fn read(api: &Api, claim: &Claim) -> anyhow::Result<State> {
    let name = claim.subject.clone();
    let in_force = if claim.side == Side::Order {
        let order = api.get_order(trade::GetOrderRequest { name }).await?.order.unwrap_or_default();
        let is_closed = matches!(order.state(), trade::order::State::Cancelled | trade::order::State::Processed);
        if is_closed { order.close_out } else { String::new() }
    } else {
        let request = sales::GetOpportunityRequest { name };
        let opportunity = api.get_opportunity(request).await?.opportunity.unwrap_or_default();
        let is_closed = opportunity.state() == sales::opportunity::State::ClosedOut;
        if is_closed { opportunity.close_out } else { String::new() }
    };
    let close_out = settle::read(api, claim.side, &claim.close_out).await?;
    Ok(State { in_force, close_out: close_out.state(), propagation: close_out.propagation() })
}

fn judge(claim: &Claim, state: &State, busy: &HashSet<String>, verdict: &mut Verdict) {
    let Claim { subject, close_out, .. } = claim;
    verdict.expect(state.in_force == *close_out, || format!("{subject} is not closed by {close_out}"));
    verdict.expect(state.close_out == CloseOutState::Effective, || format!("{close_out} is not in force"));
    let settled = matches!(state.propagation, Propagation::Settled | Propagation::NotNeeded);
    verdict.expect(settled, || format!("{close_out} has not settled"));
    verdict.expect(!busy.contains(subject), || format!("{subject} is closed but has an open task"));
}

/// Every record that somebody still has to do something for, on either service.
async fn busy_parents(api: &Api) -> anyhow::Result<HashSet<String>> {
    let mut busy = HashSet::new();
    for state in [TaskState::Open, TaskState::InProgress] {
        let (mut sales_page, mut trade_page) = (Some(String::new()), Some(String::new()));
        while let Some(page_token) = sales_page.take() {
            let (page_size, state) = (1_000, state.into());
            let request = sales::ListTasksRequest { page_size, page_token, state, ..Default::default() };
            let reply = api.list_selling_tasks(request).await?;
            busy.extend(reply.tasks.into_iter().filter(counts).map(|task| task.parent));
            sales_page = Some(reply.next_page_token).filter(|token| !token.is_empty());
        }
        while let Some(page_token) = trade_page.take() {
            let (page_size, state) = (1_000, state.into());
            let request = trade::ListTasksRequest { page_size, page_token, state, ..Default::default() };
            let reply = api.list_order_tasks(request).await?;
            busy.extend(reply.tasks.into_iter().filter(counts).map(|task| task.parent));
            trade_page = Some(reply.next_page_token).filter(|token| !token.is_empty());
        }
    }
    Ok(busy)
}

/// Win-back tasks may be open on a closed subject; no other may.
fn counts(task: &Task) -> bool {
    task.kind() != TaskKind::WinBack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_subject_with_an_open_task_is_a_violation() {
        let claim = Claim { side: Side::Order, subject: "orders/1".into(), close_out: "closeOuts/1".into() };
        let state = State {
            in_force: "closeOuts/1".into(),
            close_out: CloseOutState::Effective,
            propagation: Propagation::Settled,
        };
        let mut verdict = Verdict::default();
        judge(&claim, &state, &HashSet::new(), &mut verdict);
        assert_eq!((verdict.checked, verdict.violated.len()), (4, 0));
        judge(&claim, &state, &HashSet::from(["orders/1".to_owned()]), &mut verdict);
        assert_eq!(verdict.violated, ["orders/1 is closed but has an open task"]);
    }

    #[test]
    fn a_subject_that_is_closed_by_another_one_is_a_violation() {
        let claim = Claim { side: Side::Order, subject: "orders/1".into(), close_out: "closeOuts/1".into() };
        let state =
            State { in_force: String::new(), close_out: CloseOutState::Reversed, propagation: Propagation::Pending };
        let mut verdict = Verdict::default();
        judge(&claim, &state, &HashSet::new(), &mut verdict);
        assert_eq!(verdict.violated.len(), 3);
    }
}
