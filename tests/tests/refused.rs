//! Bad input, case by case: the documented status and reason, every violation at once, and no trace in either audit trail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_proto::{
    Money,
    common::{Historical, Outcome, Task, TaskKind},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use prost_types::{FieldMask, Timestamp};
use sales::opportunity_service_client::OpportunityServiceClient;
use std::fmt::Debug;
use tonic::{
    Code,
    Code::{Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unauthenticated},
    Request, Status,
    transport::Channel,
};
use tonic_types::{FieldViolation, StatusExt};
use uuid::Uuid;

stories!(every_refusal_says_why_and_leaves_no_trace);

/// What did not answer as it should.
#[derive(Default)]
struct Table {
    rows: usize,
    wrong: Vec<String>,
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map_or_else(String::new, |info| info.reason)
}

/// A value of the wording was not given: its name still stands there in braces.
fn is_unfilled(text: &str) -> bool {
    let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    names.into_iter().any(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// The caller asks for Chinese: the refusal is told in it as well, and each wrong field by itself.
fn in_chinese(status: &Status) -> Result<(), String> {
    let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) && !is_unfilled(text);
    let told = status.get_details_localized_message().ok_or("is not told in any language")?;
    if told.locale != "zh" || !chinese(&told.message) {
        return Err(format!("is not told in Chinese: {told:?}"));
    }
    let fields = status.get_details_bad_request().map_or_else(Vec::new, |bad| bad.field_violations);
    let silent = |field: &FieldViolation| field.localized_message.as_ref().is_none_or(|told| !chinese(&told.message));
    match fields.iter().find(|field| silent(field)) {
        None if is_unfilled(status.message()) => Err(format!("a value is missing: {}", status.message())),
        None => Ok(()),
        Some(field) => Err(format!("a field is not told in Chinese: {field:?}")),
    }
}

impl Table {
    fn refused<T: Debug>(&mut self, what: &str, answer: Result<T, Status>, code: Code, expected: &str) {
        self.rows += 1;
        match answer {
            Ok(answer) => self.wrong.push(format!("{what}: was done: {answer:?}")),
            Err(status) if (status.code(), reason(&status).as_str()) == (code, expected) => {
                self.wrong.extend(in_chinese(&status).err().map(|why| format!("{what}: {why}")));
            }
            Err(status) => {
                self.wrong.push(format!("{what}: expected {code:?}/{expected}, got {status} {}", reason(&status)))
            }
        }
    }

    /// INVALID_FIELDS with exactly these violations, as `field REASON`.
    fn invalid<T: Debug>(&mut self, what: &str, answer: Result<T, Status>, expected: &[&str]) {
        if let Err(status) = &answer {
            let violations = status.get_details_bad_request().map_or_else(Vec::new, |bad| bad.field_violations);
            let mut found: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.reason)).collect();
            found.sort();
            if found != expected {
                self.wrong.push(format!("{what}: expected {expected:?}, got {found:?}"));
            }
        }
        self.refused(what, answer, InvalidArgument, "INVALID_FIELDS");
    }
}

/// What the cases are about.
struct World {
    client: Client,
    customer: String,
    open: String,
    closed: String,
    pending: String,
    with_live_order: String,
    draft: String,
    live: String,
    cancelled: String,
}

async fn world(client: Client) -> World {
    let customer = client.customer().await;
    let (open, closed) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    let (pending, with_live_order) = (client.opportunity(&customer).await, client.opportunity(&customer).await);
    let draft = client.order(&customer, &open).await;
    let live = client.order(&customer, &with_live_order).await;
    let wait = crm_proto::common::Wait::Peer.into();
    client.confirm_order(trade::ConfirmOrderRequest { name: live.clone(), wait, ..Default::default() }).await.unwrap();
    let cancelled = client.order(&customer, "").await;
    client.close_out_order(cancelling(&cancelled)).await.unwrap();
    client.close_out_opportunity(closing(&closed)).await.unwrap();
    client.win_opportunity(sales::WinOpportunityRequest { name: pending.clone(), ..Default::default() }).await.unwrap();
    client.close_out_opportunity(closing(&pending)).await.unwrap();
    World { client, customer, open, closed, pending, with_live_order, draft, live, cancelled }
}

async fn every_refusal_says_why_and_leaves_no_trace(kind: Kind) {
    let pair = Pair::started(kind).await;
    let world = world(pair.client()).await;
    pair.quiet().await;
    let before = pair.audit_rows().await;
    let mut table = Table::default();
    Box::pin(names(&world, &mut table)).await;
    Box::pin(reasons(&world, &mut table)).await;
    Box::pin(states(&world, &mut table)).await;
    Box::pin(texts_and_amounts(&world, &mut table)).await;
    Box::pin(dates_and_enums(&world, &mut table)).await;
    Box::pin(lists_and_sizes(&world, &mut table)).await;
    Box::pin(not_utf8(&pair.opportunity.url(), &world.open, &mut table)).await;
    Box::pin(callers(&pair.opportunity.url(), &world.open, &mut table)).await;
    println!("{} refusals", table.rows);
    assert!(table.wrong.is_empty(), "{}", table.wrong.join("\n"));
    pair.quiet().await;
    assert_eq!(pair.audit_rows().await, before);
    pair.end().await;
}

async fn names(world: &World, table: &mut Table) {
    let client = &world.client;
    let unknown = |collection: &str| format!("{collection}/{}", Uuid::now_v7());
    table.refused(
        "unknown",
        client.close_out_opportunity(closing(&unknown("opportunities"))).await,
        NotFound,
        "NOT_FOUND",
    );
    table.refused(
        "unknown",
        client.reopen_opportunity(reopening(&unknown("opportunities"))).await,
        NotFound,
        "NOT_FOUND",
    );
    table.refused("unknown", client.close_out_order(cancelling(&unknown("orders"))).await, NotFound, "NOT_FOUND");
    let id = world.open.trim_start_matches("opportunities/");
    for name in [
        "opportunities/x".to_owned(),
        format!("opportunities/{}", id.to_uppercase()),
        format!("opportunities/{}", id.replace('-', "")),
        format!("orders/{id}"),
        format!("{} ", world.open),
        format!("{}\0", world.open),
    ] {
        table.invalid(&name, client.close_out_opportunity(closing(&name)).await, &["name INVALID_NAME"]);
    }
    table.invalid("no name", client.close_out_opportunity(closing("")).await, &["name REQUIRED"]);
    table.invalid("an opportunity", client.close_out_order(cancelling(&world.open)).await, &["name INVALID_NAME"]);
    let request = sales::CloseOutOpportunityRequest { request_id: "7".into(), ..closing(&world.open) };
    table.invalid("request id", client.close_out_opportunity(request).await, &["request_id INVALID_UUID"]);
    let opportunity = sales::Opportunity { name: world.open.clone(), ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["tenant".into()] });
    let request = sales::UpdateOpportunityRequest { opportunity: Some(opportunity), update_mask, ..Default::default() };
    table.invalid("mask", client.update_opportunity(request).await, &["update_mask UNKNOWN_FIELD"]);
}

async fn reasons(world: &World, table: &mut Table) {
    let client = &world.client;
    let with = |reason: &str, detail: &str| sales::CloseOutOpportunityRequest {
        reason: reason.into(),
        detail: detail.into(),
        ..closing(&world.open)
    };
    let cases: [(sales::CloseOutOpportunityRequest, &[&str]); 8] = [
        (with("", ""), &["reason REQUIRED"]),
        (with("closeOutReasons/PRICE_TOO_HIGH", ""), &["detail DETAIL_TOO_SHORT"]),
        (with("closeOutReasons/NO_SUCH", ""), &["reason UNKNOWN_REASON"]),
        (with("closeOutReasons/COMPETITOR_PRICE", " "), &["competitor COMPETITOR_REQUIRED", "detail DETAIL_TOO_SHORT"]),
        (with("closeOutReasons/OTHER", "客户没有给出任何原因"), &["detail DETAIL_TOO_SHORT"]),
        (with("closeOutReasons/ORD_CUSTOMER_CANCEL", ""), &["detail DETAIL_TOO_SHORT", "reason REASON_SCOPE"]),
        (with("closeOutReasons/NOT_RECORDED", ""), &["reason REASON_HISTORICAL_ONLY"]),
        (
            sales::CloseOutOpportunityRequest {
                name: "x".into(),
                competitor: "y".into(),
                request_id: "z".into(),
                wait: 9,
                ..with("closeOutReasons/PRICE_TOO_HIGH", "")
            },
            &[
                "competitor INVALID_NAME",
                "detail DETAIL_TOO_SHORT",
                "name INVALID_NAME",
                "request_id INVALID_UUID",
                "wait UNKNOWN_ENUM",
            ],
        ),
    ];
    for (request, violations) in cases {
        table.invalid(&request.reason.clone(), client.close_out_opportunity(request).await, violations);
    }
    let competitor = format!("competitors/{}", Uuid::now_v7());
    let request =
        sales::CloseOutOpportunityRequest { competitor, ..with("closeOutReasons/COMPETITOR_PRICE", "cheaper") };
    table.refused("competitor", client.close_out_opportunity(request).await, NotFound, "NOT_FOUND");
}

async fn states(world: &World, table: &mut Table) {
    let World { client, customer, open, closed, pending, with_live_order, draft, live, cancelled } = world;
    let close = async |name: &str, etag: &str| {
        client.close_out_opportunity(sales::CloseOutOpportunityRequest { etag: etag.into(), ..closing(name) }).await
    };
    table.refused("old etag", close(open, "\"0\"").await, Aborted, "VERSION_MISMATCH");
    table.refused("no etag at all", close(open, "x").await, Aborted, "VERSION_MISMATCH");
    table.refused("closed", close(closed, "").await, FailedPrecondition, "ALREADY_CLOSED");
    table.refused("pending", close(pending, "").await, FailedPrecondition, "CLOSE_PENDING");
    table.refused("live order", close(with_live_order, "").await, FailedPrecondition, "LIVE_ORDER");
    table.refused("open", client.reopen_opportunity(reopening(open)).await, FailedPrecondition, "NOT_CLOSED");
    let opportunity = sales::Opportunity { name: closed.clone(), title: "x".into(), ..Default::default() };
    let request = sales::UpdateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    table.refused("closed", client.update_opportunity(request).await, FailedPrecondition, "SUBJECT_CLOSED");
    let task = |parent: &str, kind: TaskKind| {
        Some(Task { parent: parent.into(), kind: kind.into(), title: "x".into(), ..Default::default() })
    };
    for parent in [closed, cancelled] {
        let request = sales::CreateTaskRequest { task: task(parent, TaskKind::Demo), ..Default::default() };
        table.refused("task", client.create_selling_task(request).await, FailedPrecondition, "SUBJECT_CLOSED");
        let request = trade::CreateTaskRequest { task: task(parent, TaskKind::Deliver), ..Default::default() };
        table.refused("task", client.create_order_task(request).await, FailedPrecondition, "SUBJECT_CLOSED");
    }
    let request = trade::CreateTaskRequest { task: task(open, TaskKind::Demo), ..Default::default() };
    table.invalid("kind", client.create_order_task(request).await, &["task.kind KIND_OF_OTHER_SIDE"]);
    let cancel = async |name: &str| client.close_out_order(cancelling(name)).await;
    table.refused("cancelled", cancel(cancelled).await, FailedPrecondition, "ALREADY_CLOSED");
    let processed =
        trade::CloseOutOrderRequest { outcome: Outcome::Processed.into(), reason: String::new(), ..cancelling(live) };
    table.refused("unfulfilled", client.close_out_order(processed.clone()).await, FailedPrecondition, "NOT_FULFILLED");
    let processed = trade::CloseOutOrderRequest { name: draft.clone(), ..processed };
    table.refused("draft", client.close_out_order(processed).await, FailedPrecondition, "WRONG_STATE");
    let order = |opportunity: &str| {
        let lines = vec![line(1, cny(1))];
        let order =
            trade::Order { customer: customer.clone(), opportunity: opportunity.into(), lines, ..Default::default() };
        trade::CreateOrderRequest { order: Some(order), ..Default::default() }
    };
    table.refused("closed parent", client.create_order(order(closed)).await, FailedPrecondition, "PARENT_CLOSED");
    let unknown = format!("opportunities/{}", Uuid::now_v7());
    table.refused("unknown parent", client.create_order(order(&unknown)).await, FailedPrecondition, "PARENT_UNKNOWN");
    let number = client.get_opportunity(open).await.number;
    let opportunity = sales::Opportunity { title: "x".into(), number, ..Default::default() };
    let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
    table.refused("number", client.create_opportunity(request).await, AlreadyExists, "NUMBER_TAKEN");
}

fn line(quantity: i64, unit_price: Option<Money>) -> trade::OrderLine {
    trade::OrderLine { product: "Camera".into(), quantity, unit_price, ..Default::default() }
}

fn money(currency_code: &str, units: i64, nanos: i32) -> Option<Money> {
    Some(Money { currency_code: currency_code.into(), units, nanos })
}

async fn texts_and_amounts(world: &World, table: &mut Table) {
    let client = &world.client;
    for (detail, violation) in [
        ("长".repeat(10_000), "detail TOO_LONG"),
        ("a\0b".to_owned(), "detail CONTROL_CHARACTER"),
        ("\u{1b}[31mred".to_owned(), "detail CONTROL_CHARACTER"),
    ] {
        let request = sales::CloseOutOpportunityRequest { detail: detail.clone(), ..closing(&world.open) };
        table.invalid("detail", client.close_out_opportunity(request).await, &[violation]);
        let request = trade::CloseOutOrderRequest { detail, ..cancelling(&world.draft) };
        table.invalid("detail", client.close_out_order(request).await, &[violation]);
    }
    for amount in [
        money("CNY", -1, 0),
        money("CNY", 0, -10_000_000),
        money("CNY", 0, 1),
        money("JPY", 1, 500_000_000),
        money("cny", 1, 0),
        money("", 1, 0),
        money("CNY", i64::MAX, 0),
        money("CNY", 1, i32::MAX),
    ] {
        let opportunity = sales::Opportunity { title: "x".into(), amount, ..Default::default() };
        let request = sales::CreateOpportunityRequest { opportunity: Some(opportunity), ..Default::default() };
        table.invalid("amount", client.create_opportunity(request).await, &["opportunity.amount INVALID_MONEY"]);
    }
    let cases: [(Vec<trade::OrderLine>, &[&str]); 5] = [
        (vec![line(1, cny(1)), line(1, money("USD", 1, 0))], &["order.lines[1].unit_price MIXED_CURRENCY"]),
        (
            vec![line(0, cny(1)), line(-1, cny(1))],
            &["order.lines[0].quantity OUT_OF_RANGE", "order.lines[1].quantity OUT_OF_RANGE"],
        ),
        (vec![line(1, None)], &["order.lines[0].unit_price REQUIRED"]),
        (vec![line(1, cny(-1))], &["order.lines[0].unit_price INVALID_MONEY"]),
        (Vec::new(), &["order.lines COUNT"]),
    ];
    for (lines, violations) in cases {
        let order = trade::Order { customer: world.customer.clone(), lines, ..Default::default() };
        let request = trade::CreateOrderRequest { order: Some(order), ..Default::default() };
        table.invalid("lines", client.create_order(request).await, violations);
    }
    let payment = |amount| trade::RecordPaymentRequest { name: world.live.clone(), amount, ..Default::default() };
    table.invalid("payment", client.record_payment(payment(money("USD", 1, 0))).await, &["amount CURRENCY"]);
    table.invalid("payment", client.record_payment(payment(cny(-5))).await, &["amount INVALID_MONEY"]);
}

async fn dates_and_enums(world: &World, table: &mut Table) {
    let client = &world.client;
    let at = |seconds| Some(Historical { close_time: Some(Timestamp { seconds, nanos: 0 }), ..Default::default() });
    let cases: [(Option<Historical>, &[&str]); 4] = [
        (at(32_503_680_000), &["historical.close_time IN_THE_FUTURE"]),
        (at(i64::MAX), &["historical.close_time INVALID_TIME"]),
        (at(946_684_800), &["historical.close_time OUT_OF_RANGE"]), // before it was created
        (Some(Historical::default()), &["historical.close_time REQUIRED"]),
    ];
    for (historical, violations) in cases {
        let request = sales::CloseOutOpportunityRequest { historical, ..closing(&world.open) };
        table.invalid("historical", client.close_out_opportunity(request).await, violations);
        let request = trade::CloseOutOrderRequest { historical, ..cancelling(&world.draft) };
        table.invalid("historical", client.close_out_order(request).await, violations);
    }
    let cases: [(trade::CloseOutOrderRequest, &[&str]); 5] = [
        (trade::CloseOutOrderRequest { outcome: 99, ..cancelling(&world.draft) }, &["outcome UNKNOWN_ENUM"]),
        (trade::CloseOutOrderRequest { outcome: 0, ..cancelling(&world.draft) }, &["outcome REQUIRED"]),
        (trade::CloseOutOrderRequest { outcome: 1, ..cancelling(&world.draft) }, &["outcome OUT_OF_RANGE"]),
        (trade::CloseOutOrderRequest { wait: -1, ..cancelling(&world.draft) }, &["wait UNKNOWN_ENUM"]),
        (
            trade::CloseOutOrderRequest { won_opportunity_policy: 77, ..cancelling(&world.draft) },
            &["won_opportunity_policy UNKNOWN_ENUM"],
        ),
    ];
    for (request, violations) in cases {
        table.invalid("enum", client.close_out_order(request).await, violations);
    }
}

async fn lists_and_sizes(world: &World, table: &mut Table) {
    let (mut sales_client, mut trade_client) = (world.client.opportunities.clone(), world.client.orders.clone());
    let first = sales::ListOpportunitiesRequest { page_size: 1, ..Default::default() };
    let token = sales_client.list_opportunities(first).await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    for page_token in ["x".to_owned(), "0".repeat(48), format!("{token}0"), "页".repeat(16), token[1..].to_owned()] {
        let request = sales::ListOpportunitiesRequest { page_token, ..Default::default() };
        table.invalid("token", sales_client.list_opportunities(request).await, &["page_token INVALID_PAGE_TOKEN"]);
    }
    let other =
        sales::ListOpportunitiesRequest { page_token: token.clone(), owner: "ann".into(), ..Default::default() };
    table.invalid("other filters", sales_client.list_opportunities(other).await, &["page_token INVALID_PAGE_TOKEN"]);
    let request = trade::ListOrdersRequest { page_size: -1, state: 99, ..Default::default() };
    let violations = ["page_size OUT_OF_RANGE", "state UNKNOWN_ENUM"];
    table.invalid("list", trade_client.list_orders(request).await, &violations);
    for size in [300 * 1024, 10 * 1024 * 1024] {
        let huge = sales::CloseOutOpportunityRequest { detail: "x".repeat(size), ..closing(&world.open) };
        let answer = world.client.close_out_opportunity(huge).await;
        table.refused(&format!("{size} bytes"), answer, ResourceExhausted, "MESSAGE_TOO_LARGE");
    }
}

/// CloseOutOpportunityRequest as a client writes it that does not check its text.
#[derive(Clone, PartialEq, prost::Message)]
struct Unchecked {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(bytes = "vec", tag = "3")]
    detail: Vec<u8>,
}

async fn not_utf8(url: &str, opportunity: &str, table: &mut Table) {
    let (name, reason) = (opportunity.to_owned(), "closeOutReasons/BUDGET_FROZEN".to_owned());
    for detail in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"ok \xf0\x9f\x98"] {
        let unchecked = Unchecked { name: name.clone(), reason: reason.clone(), detail: detail.to_vec() };
        let mut request = Request::new(unchecked);
        for (key, value) in [
            ("x-tenant-id", Uuid::now_v7().to_string()),
            ("x-principal", "ann".into()),
            ("x-roles", "sales".into()),
            ("accept-language", "zh".into()),
        ] {
            request.metadata_mut().insert(key, value.parse().unwrap());
        }
        let mut client = tonic::client::Grpc::new(Channel::from_shared(url.to_owned()).unwrap().connect_lazy());
        client.ready().await.unwrap();
        let path = "/crm.opportunity.v1.OpportunityService/CloseOutOpportunity".parse().unwrap();
        let codec = tonic_prost::ProstCodec::<Unchecked, sales::CloseOutOpportunityResponse>::default();
        let answer = client.unary(request, path, codec).await;
        table.refused(&format!("{detail:?}"), answer, InvalidArgument, "MALFORMED_MESSAGE");
    }
}

async fn callers(url: &str, opportunity: &str, table: &mut Table) {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect_lazy();
    let tenant = Uuid::now_v7().to_string();
    let cases: [(&[(&'static str, &str)], &str); 8] = [
        (&[], "TENANT_MISSING"),
        (&[("x-principal", "ann")], "TENANT_MISSING"),
        (&[("x-tenant-id", "acme"), ("x-principal", "ann")], "TENANT_INVALID"),
        (&[("x-tenant-id", &tenant)], "PRINCIPAL_MISSING"),
        (&[("x-tenant-id", &tenant), ("x-principal", "a b")], "PRINCIPAL_INVALID"),
        (&[("x-tenant-id", &tenant), ("x-principal", "system")], "PRINCIPAL_INVALID"),
        (&[("x-tenant-id", &tenant), ("x-principal", "ann"), ("x-roles", "Sales")], "ROLES_INVALID"),
        (&[("x-tenant-id", &tenant), ("x-principal", "ann"), ("x-teams", "%ff")], "TEAMS_INVALID"),
    ];
    for (metadata, expected) in cases {
        let mut request = Request::new(closing(opportunity));
        for (key, value) in metadata.iter().chain(&[("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")]) {
            request.metadata_mut().insert(*key, value.parse().unwrap());
        }
        let answer = OpportunityServiceClient::new(channel.clone()).close_out_opportunity(request).await;
        table.refused(expected, answer, Unauthenticated, expected);
    }
}
