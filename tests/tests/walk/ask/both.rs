//! Calls that both services have: about tasks and close-outs.

use super::{Asking, Done, LONGEST, PEER, reason};
use crate::{
    commands::{Change, Verdict},
    model::{Record, Side},
};
use crm_proto::{
    common::{Task, TaskKind},
    opportunity as sales, order as trade,
};
use tonic::Status;

impl Asking<'_> {
    pub(super) async fn create_task(&self, side: Side, parent: Record, kind: TaskKind) -> Result<Done, Status> {
        let (parent, title) = (self.names.of(parent).to_owned(), self.manner.words.to_owned());
        let task = Some(Task { parent, kind: kind.into(), title, ..Default::default() });
        let (request_id, validate_only) = (self.manner.id(), self.manner.dry);
        let made = match side {
            Side::Sales => {
                let request = sales::CreateTaskRequest { task, request_id, validate_only };
                self.client.create_selling_task(request).await?.task
            }
            Side::Trade => {
                let request = trade::CreateTaskRequest { task, request_id, validate_only };
                self.client.create_order_task(request).await?.task
            }
        };
        Done::of(&made, made.as_ref())
    }

    pub(super) async fn change_task(&self, side: Side, name: String, change: Change) -> Result<Done, Status> {
        let (request_id, etag, validate_only) = (self.manner.id(), self.manner.etag.clone(), self.manner.dry);
        let client = self.client;
        let changed = match (side, change) {
            (Side::Sales, Change::Start) => {
                let request = sales::StartTaskRequest { name, etag, request_id, validate_only };
                client.start_selling_task(request).await?.task
            }
            (Side::Sales, Change::Complete) => {
                let request = sales::CompleteTaskRequest { name, etag, request_id, validate_only };
                client.complete_selling_task(request).await?.task
            }
            (Side::Sales, Change::Cancel) => {
                let request = sales::CancelTaskRequest { name, etag, request_id, validate_only };
                client.cancel_selling_task(request).await?.task
            }
            (Side::Trade, Change::Start) => {
                let request = trade::StartTaskRequest { name, etag, request_id, validate_only };
                client.start_order_task(request).await?.task
            }
            (Side::Trade, Change::Complete) => {
                let request = trade::CompleteTaskRequest { name, etag, request_id, validate_only };
                client.complete_order_task(request).await?.task
            }
            (Side::Trade, Change::Cancel) => {
                let request = trade::CancelTaskRequest { name, etag, request_id, validate_only };
                client.cancel_order_task(request).await?.task
            }
        };
        Done::of(&changed, changed.as_ref())
    }

    fn is_of_order(&self, close_out: usize) -> bool {
        matches!(self.model.close_outs[close_out].subject, Record::Order(_))
    }

    pub(super) async fn rule(&self, close_out: usize, verdict: Verdict) -> Result<Done, Status> {
        let (name, note) = (self.names.of(Record::CloseOut(close_out)).to_owned(), self.manner.words.to_owned());
        let (request_id, etag, validate_only) = (self.manner.id(), self.manner.etag.clone(), false);
        let (wait, max_wait, client) = (PEER, LONGEST, self.client);
        let ruled = match (self.is_of_order(close_out), verdict) {
            (false, Verdict::Approve) => {
                let request =
                    sales::ApproveCloseOutRequest { name, note, etag, request_id, validate_only, wait, max_wait };
                client.approve_sales_close_out(request).await?.close_out
            }
            (false, Verdict::Reject) => {
                let request = sales::RejectCloseOutRequest { name, note, etag, request_id, validate_only };
                client.reject_sales_close_out(request).await?.close_out
            }
            (false, Verdict::Withdraw) => {
                let request = sales::WithdrawCloseOutRequest { name, note, etag, request_id, validate_only };
                client.withdraw_sales_close_out(request).await?.close_out
            }
            (true, Verdict::Approve) => {
                let request =
                    trade::ApproveCloseOutRequest { name, note, etag, request_id, validate_only, wait, max_wait };
                client.approve_trade_close_out(request).await?.close_out
            }
            (true, Verdict::Reject) => {
                let request = trade::RejectCloseOutRequest { name, note, etag, request_id, validate_only };
                client.reject_trade_close_out(request).await?.close_out
            }
            (true, Verdict::Withdraw) => {
                let request = trade::WithdrawCloseOutRequest { name, note, etag, request_id, validate_only };
                client.withdraw_trade_close_out(request).await?.close_out
            }
        };
        Done::of(&ruled, ruled.as_ref())
    }

    pub(super) async fn amend(
        &self,
        close_out: usize,
        code: Option<&str>,
        detail: Option<&str>,
    ) -> Result<Done, Status> {
        let (name, note) = (self.names.of(Record::CloseOut(close_out)).to_owned(), self.manner.words.to_owned());
        let (reason, detail) = (code.map(reason).unwrap_or_default(), detail.unwrap_or_default().to_owned());
        let (request_id, etag, max_wait) = (self.manner.id(), self.manner.etag.clone(), LONGEST);
        let amended = if self.is_of_order(close_out) {
            let rest = trade::AmendCloseOutRequest { request_id, etag, max_wait, ..Default::default() };
            let request = trade::AmendCloseOutRequest { name, reason, detail, note, ..rest };
            self.client.amend_trade_close_out(request).await?.close_out
        } else {
            let rest = sales::AmendCloseOutRequest { request_id, etag, max_wait, ..Default::default() };
            let request = sales::AmendCloseOutRequest { name, reason, detail, note, ..rest };
            self.client.amend_sales_close_out(request).await?.close_out
        };
        Done::of(&amended, amended.as_ref())
    }
}
