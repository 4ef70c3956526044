//! CloseOutService, written once: both services have the same methods on packages of their own.
//! [`crate::close_out_service`] makes the implementation for one of them.

use crate::{
    convert, failure,
    page::Page,
    search::{self, Found, Search, criteria::Criteria},
};
use crm_closeout::{
    codes::{Code, Record},
    episode::{CloseOut, CloseOutState, Outcome},
    ids::{CloseOutId, CustomerId, GroupId, TenantId},
    records::TimelineEntry,
};
use crm_outbox::{
    db::Db,
    search::Source,
    select::{Order, Select},
};
use crm_proto::common;
use tonic::Status;

/// Which close-outs to list.
#[derive(Debug)]
pub struct Filter {
    /// Of this subject.
    pub subject: Option<Record>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With the reason of this code; empty: with any.
    pub reason: String,
    /// By this principal; empty: by anybody.
    pub actor: String,
    /// Caused by this one.
    pub cause: Option<CloseOutId>,
    /// Of this close-out of a whole customer.
    pub group: Option<GroupId>,
}

impl Filter {
    /// Whether a close-out passes.
    fn passes(&self, row: &CloseOut) -> bool {
        self.subject.is_none_or(|subject| row.subject == subject)
            && self.customer.is_none_or(|customer| row.customer_id == Some(customer))
            && self.cause.is_none_or(|cause| row.cause == Some(cause))
            && self.group.is_none_or(|group| row.group_id == Some(group))
            && (self.reason.is_empty() || row.reason_code == self.reason)
            && (self.actor.is_empty() || row.actor == self.actor)
    }
}

/// Which close-outs to watch.
#[derive(Debug)]
pub struct WatchFilter {
    /// As a list has it.
    pub listed: Filter,
    /// Of a subject that this principal owned; empty: whoever did.
    pub owner: String,
    /// In one of these states; none: in any.
    pub states: Vec<CloseOutState>,
    /// This one.
    pub close_out: Option<CloseOutId>,
}

impl WatchFilter {
    /// Whether a close-out passes.
    pub fn passes(&self, row: &CloseOut) -> bool {
        self.listed.passes(row)
            && (self.owner.is_empty() || row.snapshot.owner == self.owner)
            && (self.states.is_empty() || self.states.contains(&row.state))
            && self.close_out.is_none_or(|id| row.close_out_id == id)
    }
}

/// Reads one close-out.
pub async fn get(db: &Db, tenant: TenantId, id: CloseOutId) -> Result<common::CloseOut, Status> {
    failure::found(db.get::<CloseOut>(&(tenant, id)).await, id).map(|row| convert::close_out(&row))
}

/// Lists close-outs, newest first.
pub async fn list(
    db: &Db,
    tenant: TenantId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<common::CloseOut>, String), Status> {
    let select = Select::<CloseOut>::of(tenant)
        .equal("subject", filter.subject.as_ref())
        .equal("cause", filter.cause.as_ref())
        .equal("group_id", filter.group.as_ref())
        .equal("customer_id", filter.customer.as_ref())
        .text("actor", &filter.actor)
        .text("reason_code", &filter.reason);
    let rows = select.page(db, "close_out_id", Order::Newest, page.after, page.size).await;
    let rows = rows.map_err(|e| failure::database(&e))?;
    Ok(page.reply(&rows, |row| row.close_out_id.0, convert::close_out))
}

/// How the close-outs ended that are searched for.
#[derive(Debug)]
pub struct Endings {
    /// In one of these states; none: in any.
    pub states: Vec<CloseOutState>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
}

/// Lists close-outs that wait for approval, of subjects in this state, the newest subject first.
pub async fn pending<S: Code>(
    db: &Db,
    tenant: TenantId,
    state: S,
    page: &Page,
) -> Result<(Vec<common::CloseOut>, String), Status> {
    let rows = crm_outbox::state::close_outs(db, tenant, state, page.after, page.size).await;
    let rows = rows.map_err(|e| failure::database(&e))?;
    Ok(page.reply(&rows, |row| row.subject.id, convert::close_out))
}

/// Finds close-outs, the best match first.
pub async fn search<M: prost::Message>(
    db: &Db,
    tenant: TenantId,
    criteria: &Criteria,
    endings: &Endings,
    page: &search::Page,
    convert: impl Fn(common::CloseOut, Found) -> M,
) -> Result<(Vec<M>, String), Status> {
    let search = Search { db, tenant, source: Source::CloseOuts, criteria, page };
    let keep = |row: &CloseOut| {
        criteria.has_reason(&row.reason_code)
            && (endings.states.is_empty() || endings.states.contains(&row.state))
            && endings.outcome.is_none_or(|outcome| row.outcome == outcome)
    };
    search.run(|tenant, id| (tenant, CloseOutId(id)), keep, |row, found| convert(convert::close_out(row), found)).await
}

/// Lists the entries of a customer's timeline, newest first.
pub async fn timeline(
    db: &Db,
    tenant: TenantId,
    customer: CustomerId,
    page: &Page,
) -> Result<Vec<TimelineEntry>, Status> {
    let select = Select::<TimelineEntry>::of(tenant).equal("customer_id", Some(&customer));
    let rows = select.page(db, "timeline_id", Order::Newest, page.after, page.size).await;
    rows.map_err(|e| failure::database(&e))
}

/// Reads the filters that a list of close-outs and a stream of them have.
#[macro_export]
macro_rules! close_out_filter {
    ($fields:ident, $request:ident) => {{
        use crm_closeout::ids::{CloseOutId, CustomerId, GroupId};
        let subject = (!$request.subject.is_empty()).then(|| $fields.record("subject", &$request.subject)).flatten();
        let reason = $request.reason.strip_prefix("closeOutReasons/").unwrap_or(&$request.reason);
        $crate::close_outs::Filter {
            subject,
            customer: $fields.optional_name("customer", &$request.customer, CustomerId::parse),
            reason: $fields.line("reason", reason, 0..=$crate::fields::LABEL),
            actor: $fields.principal("actor", &$request.actor, ""),
            cause: $fields.optional_name("cause", &$request.cause, CloseOutId::parse),
            group: $fields.optional_name("group", &$request.group, GroupId::parse),
        }
    }};
}

/// Implements a method that decides about a close-out that waits.
#[macro_export]
macro_rules! ruling {
    ($self:ident, $request:ident, $verdict:ident, $note:ident $(, $wait:ident)?) => {{
        let $crate::meta::Opened { caller, deadline, request: mut asked } = $crate::meta::open($request)?;
        let mut fields = $crate::fields::Fields::new();
        let meta = $crate::meta!(&mut fields, asked $(, $wait)?);
        let verdict = crm_closeout::approval::Verdict::$verdict;
        let ruling = crm_closeout::approval::Ruling {
            id: fields.name("name", &asked.name, crm_closeout::ids::CloseOutId::parse, crm_closeout::ids::CloseOutId),
            etag: asked.etag,
            verdict,
            note: fields.$note("note", &asked.note),
        };
        fields.done()?;
        $self.0.call::<crm_proto::common::CloseOut>(caller, deadline, verdict.method(), meta, ruling.into()).await?
    }};
}

/// Implements a service's CloseOutService: `pb` is its package, `pending` the state of a subject whose close-out waits, `outcome` how its subjects end when they do not go on,
/// `competitor` which one a correction names, if its close-outs name any, and `competitors` finds those that a report is about.
#[macro_export]
macro_rules! close_out_service {
    ($pb:ident, $domain:ty, $pending:expr, $outcome:ident, $competitor:expr, $competitors:path) => {
        /// The methods about records of close-outs.
        #[derive(Debug)]
        pub(crate) struct CloseOuts(pub(crate) $crate::front::Front<$domain>);

        #[tonic::async_trait]
        impl $pb::close_out_service_server::CloseOutService for CloseOuts {
            async fn get_close_out(
                &self,
                request: tonic::Request<$pb::GetCloseOutRequest>,
            ) -> Result<tonic::Response<$pb::GetCloseOutResponse>, tonic::Status> {
                use crm_closeout::ids::CloseOutId;
                let $crate::meta::Opened { caller, request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let id = fields.name("name", &request.name, CloseOutId::parse, CloseOutId);
                fields.done()?;
                let close_out = $crate::close_outs::get(&self.0.db, caller.tenant, id).await?;
                Ok(tonic::Response::new($pb::GetCloseOutResponse { close_out: Some(close_out) }))
            }

            async fn list_close_outs(
                &self,
                request: tonic::Request<$pb::ListCloseOutsRequest>,
            ) -> Result<tonic::Response<$pb::ListCloseOutsResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let page = $crate::page!(&mut fields, request);
                let filter = $crate::close_out_filter!(fields, request);
                fields.done()?;
                let (close_outs, next_page_token) =
                    $crate::close_outs::list(&self.0.db, caller.tenant, &filter, &page).await?;
                Ok(tonic::Response::new($pb::ListCloseOutsResponse { close_outs, next_page_token }))
            }

            type WatchCloseOutsStream = $crate::watch::Messages<$pb::WatchCloseOutsResponse>;

            async fn watch_close_outs(
                &self,
                request: tonic::Request<$pb::WatchCloseOutsRequest>,
            ) -> Result<tonic::Response<Self::WatchCloseOutsStream>, tonic::Status> {
                let (caller, terms, mut request) = $crate::watch::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let method = [$pb::close_out_service_server::SERVICE_NAME, "WatchCloseOuts"];
                let watcher = $crate::watcher!(&mut fields, (caller, terms), request, method);
                let filter = $crate::close_outs::WatchFilter {
                    listed: $crate::close_out_filter!(fields, request),
                    owner: fields.principal("owner", &request.owner, ""),
                    states: fields.codes("states", &request.states),
                    close_out: fields.optional_name(
                        "close_out",
                        &request.close_out,
                        crm_closeout::ids::CloseOutId::parse,
                    ),
                };
                fields.done()?;
                let sends = $crate::watch::Sends {
                    keep: Box::new(move |row| filter.passes(row)),
                    message: |row: Option<&_>, resume_token| $pb::WatchCloseOutsResponse {
                        close_out: row.map($crate::convert::close_out),
                        resume_token,
                    },
                };
                watcher.answer(&self.0, sends).await
            }

            async fn search_close_outs(
                &self,
                request: tonic::Request<$pb::SearchCloseOutsRequest>,
            ) -> Result<tonic::Response<$pb::SearchCloseOutsResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let page = $crate::search_page!(&mut fields, request);
                let given = $crate::search::criteria::Given {
                    query: &request.query,
                    customer: &request.customer,
                    owner: ("actor", &request.actor),
                    reason: &request.reason,
                    from: ("closed_from", request.closed_from.as_ref()),
                    until: ("closed_until", request.closed_until.as_ref()),
                    amounts: [request.amount_from.as_ref(), request.amount_until.as_ref()],
                };
                let criteria = $crate::search::criteria::Criteria::read(&mut fields, &given);
                let endings = $crate::close_outs::Endings {
                    states: fields.codes("states", &request.states),
                    outcome: fields.optional_code("outcome", request.outcome),
                };
                fields.done()?;
                let convert = |close_out, found: $crate::search::Found| $pb::CloseOutResult {
                    close_out: Some(close_out),
                    r#match: found.reason,
                    customer_display_name: found.customer_display_name,
                };
                let (results, next_page_token) =
                    $crate::close_outs::search(&self.0.db, caller.tenant, &criteria, &endings, &page, convert).await?;
                Ok(tonic::Response::new($pb::SearchCloseOutsResponse { results, next_page_token }))
            }

            async fn amend_close_out(
                &self,
                request: tonic::Request<$pb::AmendCloseOutRequest>,
            ) -> Result<tonic::Response<$pb::AmendCloseOutResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, deadline, mut request } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let meta = $crate::meta!(&mut fields, request, Peer);
                let competitor: for<'a> fn(&'a $pb::AmendCloseOutRequest) -> Option<&'a str> = $competitor;
                let asked = $crate::amend::Asked {
                    name: &request.name,
                    etag: &request.etag,
                    reason: &request.reason,
                    detail: &request.detail,
                    competitor: competitor(&request),
                    secondary: &request.secondary_reasons,
                    note: &request.note,
                    mask: request.update_mask.as_ref(),
                };
                let amending = $crate::amend::read(&mut fields, &asked);
                fields.done()?;
                let outcome = self.0.call(caller, deadline, "AmendCloseOut", meta, amending.into()).await?;
                Ok(tonic::Response::new($pb::AmendCloseOutResponse {
                    close_out: Some(outcome.resource),
                    propagation: outcome.propagation.into(),
                }))
            }

            async fn list_pending_close_outs(
                &self,
                request: tonic::Request<$pb::ListPendingCloseOutsRequest>,
            ) -> Result<tonic::Response<$pb::ListPendingCloseOutsResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, mut request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let page = $crate::page!(&mut fields, request);
                fields.done()?;
                let (close_outs, next_page_token) =
                    $crate::close_outs::pending(&self.0.db, caller.tenant, $pending, &page).await?;
                Ok(tonic::Response::new($pb::ListPendingCloseOutsResponse { close_outs, next_page_token }))
            }

            async fn approve_close_out(
                &self,
                request: tonic::Request<$pb::ApproveCloseOutRequest>,
            ) -> Result<tonic::Response<$pb::ApproveCloseOutResponse>, tonic::Status> {
                let outcome = $crate::ruling!(self, request, Approve, words, Peer);
                Ok(tonic::Response::new($pb::ApproveCloseOutResponse {
                    close_out: outcome.close_out.or(Some(outcome.resource)),
                    propagation: outcome.propagation.into(),
                }))
            }

            async fn reject_close_out(
                &self,
                request: tonic::Request<$pb::RejectCloseOutRequest>,
            ) -> Result<tonic::Response<$pb::RejectCloseOutResponse>, tonic::Status> {
                let outcome = $crate::ruling!(self, request, Reject, explanation);
                Ok(tonic::Response::new($pb::RejectCloseOutResponse { close_out: Some(outcome.resource) }))
            }

            async fn withdraw_close_out(
                &self,
                request: tonic::Request<$pb::WithdrawCloseOutRequest>,
            ) -> Result<tonic::Response<$pb::WithdrawCloseOutResponse>, tonic::Status> {
                let outcome = $crate::ruling!(self, request, Withdraw, words);
                Ok(tonic::Response::new($pb::WithdrawCloseOutResponse { close_out: Some(outcome.resource) }))
            }

            async fn report_close_outs(
                &self,
                request: tonic::Request<$pb::ReportCloseOutsRequest>,
            ) -> Result<tonic::Response<$pb::ReportCloseOutsResponse>, tonic::Status> {
                let $crate::meta::Opened { caller, request, .. } = $crate::meta::open(request)?;
                let mut fields = $crate::fields::Fields::new();
                let (from, until) = (request.closed_from.as_ref(), request.closed_until.as_ref());
                let outcome = crm_closeout::episode::Outcome::$outcome;
                let asked = $crate::report::read(&mut fields, request.dimension, from, until, request.outcome, outcome);
                fields.done()?;
                let made = $crate::report::make(&self.0.db, &caller, asked, &request.locale, $competitors).await;
                let (rows, total) = made?;
                Ok(tonic::Response::new($pb::ReportCloseOutsResponse { rows, total: Some(total) }))
            }
        }
    };
}
