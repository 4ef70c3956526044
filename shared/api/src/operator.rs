//! OperatorService, written once: both services have the same methods on packages of their own. [`crate::operator_service`] makes
//! the implementation for one of them.

use crate::{failure, fields::Fields, page::Page};
use crm_closeout::{
    codes::{Record, RecordKind},
    ids::TenantId,
    wording,
};
use crm_outbox::{
    db::Db,
    operator,
    select::{Order, Select},
    tables::OutboxRow,
};
use crm_proto::common;
use std::ops::RangeInclusive;
use tonic::Status;
use uuid::Uuid;

/// Characters of a justification.
pub const JUSTIFICATION: RangeInclusive<usize> = 10..=crate::fields::DETAIL;

/// Stands in for a record whose name is wrong, until [`Fields::done`] refuses the request.
const NOBODY: Record = Record::new(RecordKind::Customer, Uuid::nil());

/// Lists messages that wait for an operator, oldest first.
pub async fn list(db: &Db, tenant: TenantId, page: &Page) -> Result<(Vec<common::ParkedMessage>, String), Status> {
    let select = Select::<OutboxRow>::of(tenant).holds("parked");
    let rows = select.page(db, "message_id", Order::Oldest, page.after, page.size).await;
    let rows = rows.map_err(|e| failure::database(&e))?;
    Ok(page.reply(&rows, |row| row.message_id, operator::shown))
}

/// The name of a message: its record and its number.
pub fn message(fields: &mut Fields, text: &str) -> (Record, i64) {
    let parsed = text.split_once("/messages/").and_then(|(record, number)| {
        let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
        Some((Record::parse(record)?, number))
    });
    if text.is_empty() {
        fields.refuse("name", &wording::REQUIRED, &[]);
    } else if parsed.is_none() {
        fields.refuse("name", &wording::INVALID_MESSAGE_NAME, &[]);
    }
    parsed.unwrap_or((NOBODY, 0))
}

/// A record of one of these kinds, whose whole state can be sent.
pub fn own_record(fields: &mut Fields, text: &str, kinds: &[RecordKind]) -> Record {
    let copied = Record::parse(text).filter(|record| !record.kind.has_tasks());
    let Some(record) = copied.or_else(|| fields.record("record", text)) else { return NOBODY };
    if !kinds.contains(&record.kind) {
        let own: Vec<_> = kinds.iter().map(|kind| format!("{}/", kind.collection())).collect();
        fields.refuse("record", &wording::INVALID_OWN_RECORD, &[("collections", &own.join(", "))]);
    }
    record
}

/// Implements a service's OperatorService: `pb` is its package, `kinds` the records of which it sends messages.
#[macro_export]
macro_rules! operator_service {
    ($pb:ident, $domain:ty, $kinds:expr) => {
        /// The methods about messages that do not arrive.
        #[derive(Debug)]
        pub(crate) struct Operators(pub(crate) $crate::front::Front<$domain>);

        #[tonic::async_trait]
        impl $pb::operator_service_server::OperatorService for Operators {
            async fn list_parked_messages(
                &self,
                request: tonic::Request<$pb::ListParkedMessagesRequest>,
            ) -> Result<tonic::Response<$pb::ListParkedMessagesResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let page = $crate::page!(&mut fields, request);
                fields.done()?;
                let (parked_messages, next_page_token) =
                    $crate::operator::list(&self.0.db, caller.tenant, &page).await?;
                Ok(tonic::Response::new($pb::ListParkedMessagesResponse { parked_messages, next_page_token }))
            }

            async fn retry_parked_message(
                &self,
                request: tonic::Request<$pb::RetryParkedMessageRequest>,
            ) -> Result<tonic::Response<$pb::RetryParkedMessageResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta_of_release!(&mut fields, request);
                let message = $crate::operator::message(&mut fields, &request.name);
                fields.done()?;
                let parked_message = self.0.release(caller, "RetryParkedMessage", meta, message, None).await?;
                Ok(tonic::Response::new($pb::RetryParkedMessageResponse { parked_message: Some(parked_message) }))
            }

            async fn skip_parked_message(
                &self,
                request: tonic::Request<$pb::SkipParkedMessageRequest>,
            ) -> Result<tonic::Response<$pb::SkipParkedMessageResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta_of_release!(&mut fields, request);
                let message = $crate::operator::message(&mut fields, &request.name);
                let why = fields.line("justification", &request.justification, $crate::operator::JUSTIFICATION);
                fields.done()?;
                let parked_message = self.0.release(caller, "SkipParkedMessage", meta, message, Some(why)).await?;
                Ok(tonic::Response::new($pb::SkipParkedMessageResponse { parked_message: Some(parked_message) }))
            }

            async fn resend_lane(
                &self,
                request: tonic::Request<$pb::ResendLaneRequest>,
            ) -> Result<tonic::Response<$pb::ResendLaneResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, deadline, mut request } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let (wait, max) = (std::mem::take(&mut request.wait), request.max_wait.take());
                let meta = $crate::meta_of_release!(&mut fields, request).waiting(
                    &mut fields,
                    wait,
                    max,
                    crm_proto::common::Wait::Peer,
                );
                let record = $crate::operator::own_record(&mut fields, &request.record, $kinds);
                let justification =
                    fields.line("justification", &request.justification, $crate::operator::JUSTIFICATION);
                if request.peer_number < 0 {
                    fields.refuse("peer_number", &crm_closeout::wording::NEGATIVE, &[]);
                }
                fields.done()?;
                let resend = crm_closeout::cascade::Resend { record, justification, peer_number: request.peer_number };
                let outcome = self
                    .0
                    .call::<$pb::ResendLaneResponse>(caller, deadline, "ResendLane", meta, Command::Resend(resend))
                    .await?;
                let propagation = outcome.propagation.into();
                Ok(tonic::Response::new($pb::ResendLaneResponse { propagation, ..outcome.resource }))
            }
        }
    };
}

/// Takes request_id out of an operator's request; what is left is its fingerprint.
#[macro_export]
macro_rules! meta_of_release {
    ($fields:expr, $request:expr) => {{
        let id = std::mem::take(&mut $request.request_id);
        $crate::meta::Meta::new($fields, &id, false, &$request)
    }};
}
