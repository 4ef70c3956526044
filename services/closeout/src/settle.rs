//! Follows a close-out until everything it did is known on both services: itself and every close-out it caused.

use crate::api::Api;
use anyhow::{Context, bail};
use crm_proto::common::{CloseOut, Effect, EffectKind, Propagation, Side};
use crm_proto::{opportunity as sales, order as trade};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long to follow a close-out.
const LONGEST: Duration = Duration::from_secs(60);
/// First pause between two looks; it doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A close-out and the service that made it.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// The service that made it.
    pub(crate) side: Side,
    /// The record, with every effect.
    pub(crate) close_out: CloseOut,
}

/// A close-out with everything it caused, the cause first.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    /// All of them; never empty.
    pub(crate) members: Vec<Settled>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Close,
    Reversal,
}

/// Follows `close_out` alone until it has settled.
pub(crate) async fn own(api: &Api, side: Side, close_out: CloseOut) -> anyhow::Result<CloseOut> {
    settle(api, side, close_out, Of::Close, Instant::now() + LONGEST).await
}

/// Follows `close_out` until it and all it caused have settled.
pub(crate) async fn close(api: &Api, side: Side, close_out: CloseOut) -> anyhow::Result<Cascade> {
    follow(api, side, close_out, Of::Close).await
}

/// Follows the reversal of `close_out` until it and all it caused have settled.
pub(crate) async fn reversal(api: &Api, side: Side, close_out: CloseOut) -> anyhow::Result<Cascade> {
    follow(api, side, close_out, Of::Reversal).await
}

/// Reads a close-out.
pub(crate) async fn read(api: &Api, side: Side, name: &str) -> anyhow::Result<CloseOut> {
    let name = name.to_owned();
    let close_out = if side == Side::Order {
        api.get_trade_close_out(trade::GetCloseOutRequest { name }).await?.close_out
    } else {
        api.get_sales_close_out(sales::GetCloseOutRequest { name }).await?.close_out
    };
    close_out.context("a reply without its close-out")
}

/// The close-outs that `cause` caused, on both services.
pub(crate) async fn caused_by(api: &Api, cause: &str) -> anyhow::Result<Vec<Settled>> {
    let cause = cause.to_owned();
    let sales = sales::ListCloseOutsRequest { cause: cause.clone(), page_size: 1_000, ..Default::default() };
    let trade = trade::ListCloseOutsRequest { cause, page_size: 1_000, ..Default::default() };
    let (sales, trade) = futures::try_join!(api.list_sales_close_outs(sales), api.list_trade_close_outs(trade))?;
    let of = |side, close_outs: Vec<CloseOut>| {
        close_outs.into_iter().map(move |close_out| Settled { side, close_out }).collect::<Vec<_>>()
    };
    let mut all = of(Side::Opportunity, sales.close_outs);
    all.extend(of(Side::Order, trade.close_outs));
    Ok(all)
}

async fn follow(api: &Api, side: Side, close_out: CloseOut, of: Of) -> anyhow::Result<Cascade> {
    let deadline = Instant::now() + LONGEST;
    let mut seen = HashSet::from([(side as i32, close_out.name.clone())]);
    let mut waiting = vec![Settled { side, close_out }];
    let mut members = Vec::new();
    while let Some(next) = waiting.pop() {
        let close_out = settle(api, next.side, next.close_out, of, deadline).await?;
        for caused in caused_by(api, &close_out.name).await? {
            if seen.insert((caused.side as i32, caused.close_out.name.clone())) {
                waiting.push(caused);
            }
        }
        members.push(Settled { side: next.side, close_out });
    }
    Ok(Cascade { members })
}

async fn settle(api: &Api, side: Side, first: CloseOut, of: Of, deadline: Instant) -> anyhow::Result<CloseOut> {
    let name = first.name.clone();
    let mut close_out = first;
    let mut pause = FIRST_PAUSE;
    loop {
        match propagation(&close_out, of) {
            Propagation::Settled | Propagation::NotNeeded => return Ok(close_out),
            Propagation::Parked => bail!("{name}: the other service refused it for a technical reason (PARKED)"),
            Propagation::Pending | Propagation::Unspecified if Instant::now() < deadline => {}
            Propagation::Pending | Propagation::Unspecified => bail!("{name} has not settled within {LONGEST:?}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        close_out = read(api, side, &name).await?;
    }
}

fn propagation(close_out: &CloseOut, of: Of) -> Propagation {
    match of {
        Of::Close => close_out.propagation(),
        // A caused close-out that stays as it is has no reversal: nothing to wait for.
        Of::Reversal => close_out.reversal.as_ref().map_or(Propagation::NotNeeded, |reversal| reversal.propagation()),
    }
}

impl Cascade {
    /// The effects of all close-outs, each once. A service reports what the other one did as well, so the same effect
    /// can stand on two records.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        distinct(self.members.iter().flat_map(|member| &member.close_out.effects))
    }

    /// The effects of all reversals, each once.
    pub(crate) fn reversal_effects(&self) -> Vec<Effect> {
        distinct(self.members.iter().filter_map(|member| member.close_out.reversal.as_ref()).flat_map(|r| &r.effects))
    }

    /// The close-out that a person made.
    pub(crate) fn first(&self) -> Option<&CloseOut> {
        self.members.first().map(|member| &member.close_out)
    }
}

/// How many tasks `effects` cancelled on a side.
pub(crate) fn tasks_cancelled(effects: &[Effect], side: Side) -> usize {
    effects.iter().filter(|effect| effect.side() == side && effect.kind() == EffectKind::TaskCancelled).count()
}

fn distinct<'a>(effects: impl Iterator<Item = &'a Effect>) -> Vec<Effect> {
    let mut seen = HashSet::new();
    let key = |effect: &Effect| {
        let Effect { side, kind, resource, field, before, after } = effect;
        (*side, *kind, resource.clone(), field.clone(), before.clone(), after.clone())
    };
    effects.filter(|effect| seen.insert(key(effect))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(side: Side, kind: EffectKind, resource: &str) -> Effect {
        Effect { side: side.into(), kind: kind.into(), resource: resource.into(), ..Effect::default() }
    }

    #[test]
    fn an_effect_that_both_records_report_counts_once() {
        let cancelled = effect(Side::Order, EffectKind::TaskCancelled, "tasks/1");
        let member = |effects| Settled { side: Side::Order, close_out: CloseOut { effects, ..CloseOut::default() } };
        let cascade = Cascade {
            members: vec![
                member(vec![cancelled.clone(), effect(Side::Opportunity, EffectKind::TaskCancelled, "tasks/2")]),
                member(vec![cancelled]),
            ],
        };
        let effects = cascade.effects();
        assert_eq!(effects.len(), 2);
        assert_eq!(tasks_cancelled(&effects, Side::Order), 1);
        assert_eq!(tasks_cancelled(&effects, Side::Opportunity), 1);
    }

    #[test]
    fn a_caused_close_out_without_a_reversal_is_not_waited_for() {
        assert_eq!(propagation(&CloseOut::default(), Of::Reversal), Propagation::NotNeeded);
        assert_eq!(propagation(&CloseOut::default(), Of::Close), Propagation::Unspecified);
    }
}
