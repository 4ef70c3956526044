//! Hands a command to the writer, waits for the other service if the caller wants to, and gives back what to reply. Holds no
//! connection while it waits; a caller that goes away cancels nothing.

use crate::{convert, failure, meta::Meta, peer::Peer, trace, watch::Watches};
use crm_closeout::{
    codes::Record,
    episode::{CloseOut, Delivery, Propagation},
    fact::Applied,
    ids::{CloseOutId, TenantId},
    working_set::Cause,
};
use crm_outbox::{
    batch::{Call, Domain},
    db::{Db, Error},
    operator::Release,
    settle::{self, MessageKey},
    writer::{Answer, Failure, Writer},
};
use crm_proto::common;
use crm_runtime::auth::Caller;
use prost::Message as _;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tonic::Status;

/// First pause between two looks at a message that this process does not hold.
pub(crate) const FIRST_POLL: Duration = Duration::from_millis(50);
/// Longest pause between two looks.
pub(crate) const LONGEST_POLL: Duration = Duration::from_millis(800);

/// While the relay can not follow, it is looked so often whether it can.
pub(crate) const RELAY: Duration = Duration::from_millis(20);

/// What a handler needs.
#[derive(Debug)]
pub struct Front<D: Domain> {
    /// Where commands go.
    pub writer: Writer<D>,
    /// Where reads come from.
    pub db: Db,
    /// The other service.
    pub peer: Peer,
    /// Places of bulk calls.
    pub bulk: Arc<Semaphore>,
    /// Streams of changes.
    pub watches: Watches,
}

impl<D: Domain> Clone for Front<D> {
    fn clone(&self) -> Self {
        let (writer, db, peer) = (self.writer.clone(), self.db.clone(), self.peer.clone());
        Self { writer, db, peer, bulk: self.bulk.clone(), watches: self.watches.clone() }
    }
}

/// What to reply.
#[derive(Debug)]
pub struct Outcome<M> {
    /// The resource as it was committed.
    pub resource: M,
    /// The close-out it made or reversed, with the effects known so far.
    pub close_out: Option<common::CloseOut>,
    /// How far the news has come.
    pub propagation: common::Propagation,
}

impl<D: Domain> Front<D> {
    /// Carries out a command.
    pub async fn call<M: prost::Message + Default>(
        &self,
        caller: Caller,
        deadline: Option<Instant>,
        method: &'static str,
        meta: Meta,
        command: D::Command,
    ) -> Result<Outcome<M>, Status> {
        let (tenant, until) = (caller.tenant, self.wait_until(&meta, deadline));
        let committed = self.submit(caller, method, &meta, until, command).await;
        self.reply(tenant, until, committed.map_err(failure::failure)?).await
    }

    /// Until when to wait for the other service, if at all.
    pub(crate) fn wait_until(&self, meta: &Meta, deadline: Option<Instant>) -> Option<Instant> {
        meta.wait_until(deadline).filter(|_| !self.peer.is_down())
    }

    /// Lets the relay catch up: of many calls at once.
    pub async fn rest(&self) {
        rest(&self.writer, &self.peer).await;
    }

    /// Hands a command to the writer and waits until it is committed or refused.
    pub(crate) async fn submit(
        &self,
        caller: Caller,
        method: &'static str,
        meta: &Meta,
        until: Option<Instant>,
        command: D::Command,
    ) -> Result<Answer, Failure> {
        let call = call(caller, method, meta, command);
        trace::commit(call, |call| self.writer.call(call, until.is_some())).await
    }

    /// What to reply, once the other service has heard of it or it is `until`.
    pub(crate) async fn reply<M: prost::Message + Default>(
        &self,
        tenant: TenantId,
        until: Option<Instant>,
        answer: Answer,
    ) -> Result<Outcome<M>, Status> {
        let Answer { mut done, delivery, open: _open } = answer;
        let resource = M::decode(&*done.reply).map_err(|e| failure::database(&Error::Corrupt(e.to_string())))?;
        let Some(message) = done.message else {
            // Nothing is on its way where it waits for another person; a copy of such a call reads where it stands.
            let close_out = match (done.close_out.take(), done.close_out_id) {
                (None, Some(id)) => Box::pin(self.close_out(tenant, id)).await?,
                (close_out, _) => close_out,
            };
            let close_out = close_out.as_ref().map(convert::close_out);
            return Ok(Outcome { resource, close_out, propagation: common::Propagation::NotNeeded });
        };
        let mut applied = None;
        if let (Some(until), Some(delivery)) = (until, delivery) {
            applied = timeout_at(until, delivery).await.ok().and_then(Result::ok);
        }
        let propagation = if applied.is_some() {
            Propagation::Settled
        } else if done.repeated || until.is_some() {
            Box::pin(self.poll(message, until)).await.map_err(|e| failure::database(&e))?
        } else {
            Propagation::Pending
        };
        // What was decided here is shown at once; what happened since, or elsewhere, is read.
        let close_out = match (done.close_out.take(), applied, done.close_out_id) {
            (Some(close_out), Some(applied), _) => Some(settled(close_out, applied)),
            (Some(close_out), None, _) if propagation == Propagation::Pending => Some(close_out),
            (_, _, Some(id)) => Box::pin(self.close_out(tenant, id)).await?,
            (_, _, None) => None,
        };
        let close_out = close_out.as_ref().map(convert::close_out);
        Ok(Outcome { resource, close_out, propagation: convert::propagation(propagation) })
    }

    /// Carries out what an operator decides about a parked message; `withdraw`: why it is given up.
    pub async fn release(
        &self,
        caller: Caller,
        method: &'static str,
        meta: Meta,
        (record, number): (Record, i64),
        withdraw: Option<String>,
    ) -> Result<common::ParkedMessage, Status> {
        let release = Release { record, number, withdraw };
        let committed = trace::commit(call(caller, method, &meta, release), |call| self.writer.release(call)).await;
        let answer = committed.map_err(failure::failure)?;
        common::ParkedMessage::decode(&*answer.done.reply)
            .map_err(|e| failure::database(&Error::Corrupt(e.to_string())))
    }

    async fn poll(&self, message: MessageKey, until: Option<Instant>) -> Result<Propagation, Error> {
        let mut pause = FIRST_POLL;
        loop {
            let propagation = settle::propagation(&self.db, message).await?;
            let next = Instant::now() + pause;
            let over = until.is_none_or(|until| next > until) || self.peer.is_down();
            if propagation != Propagation::Pending || over {
                return Ok(propagation);
            }
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_POLL);
        }
    }

    async fn close_out(&self, tenant: TenantId, id: CloseOutId) -> Result<Option<CloseOut>, Status> {
        self.db.get::<CloseOut>(&(tenant, id)).await.map_err(|e| failure::database(&e))
    }
}

/// Waits while there is more to deliver than the relay can take up, which would arrive much later; unless the other service is away
/// anyway.
pub(crate) async fn rest<D: Domain>(writer: &Writer<D>, peer: &Peer) {
    while writer.is_ahead_of_relay() && !peer.is_down() {
        sleep(RELAY).await;
    }
}

/// A call of this caller.
pub(crate) fn call<C>(caller: Caller, method: &'static str, meta: &Meta, command: C) -> Call<C> {
    let cause = Cause {
        tenant_id: caller.tenant,
        actor: caller.principal,
        access: caller.access,
        method,
        request_id: Some(meta.request_id),
        message_id: None,
    };
    let (request_id, fingerprint) = (meta.request_id, meta.fingerprint.clone());
    let (validate_only, trace_parent, confirmed) = (meta.validate_only, String::new(), meta.confirmed.clone());
    Call { cause, request_id, fingerprint, validate_only, trace_parent, confirmed, command }
}

fn settled(mut close_out: CloseOut, applied: Applied) -> CloseOut {
    let delivery =
        Delivery { propagation: Propagation::Settled, outcome: Some(applied.outcome), effects: applied.effects };
    if close_out.reversal.is_some() {
        close_out.reversal_delivery = Some(delivery);
    } else {
        close_out.delivery = delivery;
    }
    close_out
}
