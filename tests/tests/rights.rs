//! Who may do what: every method asks for a right, roles hold them, and how far a right reaches is decided on the record itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crm_closeout::access::{self, Right, Rights};
use crm_proto::{
    DESCRIPTOR_SET, METHODS,
    common::{ApprovalPolicy, FollowUp, Historical, Propagation, ReportDimension, Role, Settings, Wait},
    opportunity as sales,
    opportunity::opportunity::State,
    order as trade,
    order::{WonOpportunityPolicy as Policy, order::State as OrderState},
};
use crm_runtime::channel::{Identity, PublicChannel, connect_as};
use crm_tests::{
    bulk::{Answers, closing_each, opportunities_call},
    client::{Client, cancelling, closing, cny, reopening},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::{future::join_all, stream};
use prost::Message as _;
use prost_types::{FieldMask, FileDescriptorSet};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};
use tonic::{Code, Request, Status, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

stories!(
    every_method_lets_in_whom_its_rights_let_in_and_nobody_else,
    a_right_reaches_own_records_those_of_a_team_or_all,
    an_order_is_cancelled_by_whoever_may_cancel_what_it_has_become,
    whoever_closed_it_out_may_take_that_back_for_a_while,
    another_person_approves_and_one_within_reach,
    an_order_is_no_way_around_to_anothers_won_opportunity,
    dates_of_the_past_need_a_right_of_their_own,
    a_tenant_has_roles_of_its_own_on_both_sides,
    a_report_tells_of_what_is_within_reach,
    in_bulk_each_item_is_within_reach_or_refused,
    whose_it_is_is_decided_on_the_locked_record,
);

fn why(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map_or(String::new(), |info| info.reason))
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) {
    assert_eq!(why(&answer.unwrap_err()), (Code::PermissionDenied, reason.to_owned()));
}

/// A salesperson of a team.
fn seller(pair: &Pair, principal: &str, team: &str) -> Client {
    pair.client_in(principal, &["sales"], &[team])
}

async fn closes(client: &Client, opportunity: &str) -> Result<State, Status> {
    let reply = client.close_out_opportunity(closing(opportunity)).await?;
    Ok(reply.opportunity.unwrap().state())
}

async fn reopens(client: &Client, opportunity: &str) -> Result<State, Status> {
    let reply = client.reopen_opportunity(reopening(opportunity)).await?;
    Ok(reply.opportunity.unwrap().state())
}

/// Methods whose callers send a stream, or are answered by one; `true`: they send one.
fn streaming() -> BTreeMap<String, bool> {
    let files = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap().file;
    let mut streaming = BTreeMap::new();
    for file in files {
        for service in &file.service {
            for method in service.method.iter().filter(|method| method.server_streaming()) {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                streaming.insert(path, method.client_streaming());
            }
        }
    }
    streaming
}

/// Calls a method with a request that says nothing; of a stream of answers the first is waited for.
async fn call(channel: PublicChannel, path: &'static str, streaming: Option<&bool>) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let (codec, path) = (ProstCodec::<(), ()>::default(), path.parse().unwrap());
    let answers = match streaming {
        None => return client.unary(Request::new(()), path, codec).await.map(drop),
        Some(false) => client.server_streaming(Request::new(()), path, codec).await,
        Some(true) => client.streaming(Request::new(stream::empty()), path, codec).await,
    };
    answers?.into_inner().message().await.map(drop)
}

async fn every_method_lets_in_whom_its_rights_let_in_and_nobody_else(kind: Kind) {
    let pair = Pair::started(kind).await;
    let own = Role { name: "auditor".into(), rights: vec!["record.read".into(), "order.reopen.own".into()] };
    roles(&pair.client(), vec![own.clone()]).await.unwrap();
    let auditor = own.rights.iter().fold(Rights::NONE, |rights, grant| rights.granted(grant).unwrap());
    let built_in = access::ROLES.iter().map(|role| (vec![role.name], role.rights));
    let both = access::built_in("analyst").unwrap().and(access::built_in("operator").unwrap());
    let others = [
        (vec![], Rights::NONE),
        (vec!["ghost"], Rights::NONE),
        (vec!["auditor"], auditor),
        (vec!["operator", "analyst", "ghost"], both),
    ];
    for (path, words) in METHODS {
        let method = path.rsplit('/').next().unwrap();
        let reads = ["Get", "List", "Search", "Watch"].iter().any(|verb| method.starts_with(verb));
        let operates = path.contains("OperatorService");
        assert_eq!(words.contains(&"record.read"), reads && !operates, "{path}: who reads changes nothing");
        assert_eq!(words.contains(&"operator"), operates, "{path}");
    }
    let (streaming, mut let_in, mut kept_out) = (streaming(), 0, 0);
    for (names, rights) in built_in.chain(others) {
        let identity = Identity::new(pair.tenant, "walker").unwrap().with(&names, &[]);
        let channel = |url: String| connect_as(&url, identity.clone()).unwrap();
        let (of_sales, of_trade) = (channel(pair.opportunity.url()), channel(pair.order.url()));
        for (path, words) in METHODS {
            let channel = if path.starts_with("/crm.order.v1.") { &of_trade } else { &of_sales };
            let answer = call(channel.clone(), path, streaming.get(*path)).await;
            let missing = answer.as_ref().is_err_and(|status| why(status).1 == "RIGHT_MISSING");
            let needed = words.iter().map(|word| Right::parse(word).unwrap());
            if needed.into_iter().any(|right| rights.scope(right).is_some()) {
                assert!(!missing, "{names:?} {path}: {answer:?}");
                let_in += 1;
            } else {
                assert!(missing, "{names:?} {path}: {answer:?}");
                assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied, "{names:?} {path}");
                kept_out += 1;
            }
        }
    }
    assert_eq!((let_in + kept_out) % METHODS.len(), 0);
    assert!(let_in > 300 && kept_out > 300, "{let_in} {kept_out}");
    // Of whom no roles are told, without roles for such: nothing.
    let nobody = connect_as(&pair.opportunity.url(), Identity::new(pair.tenant, "walker").unwrap()).unwrap();
    denied(call(nobody, "/crm.opportunity.v1.OpportunityService/ListOpportunities", None).await, "RIGHT_MISSING");
    pair.end().await;
}

/// A won opportunity is reopened or lost with its last order by whoever may do that with it, and not by way of an order.
async fn an_order_is_no_way_around_to_anothers_won_opportunity(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (seller(&pair, "ann", "north"), seller(&pair, "bob", "north"));
    let boss = pair.client_in("nora", &["manager"], &["north"]);
    let customer = bob.customer().await;
    let won = bob.opportunity(&customer).await;
    bob.win_opportunity(sales::WinOpportunityRequest { name: won.clone(), ..Default::default() }).await.unwrap();
    let order = async |client: &Client, confirmed: bool| {
        let order = client.order(&customer, &won).await;
        if confirmed {
            let confirm = trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() };
            client.confirm_order(confirm).await.unwrap();
        }
        order
    };
    let as_policy = |order: &str, policy: Policy| trade::CloseOutOrderRequest {
        won_opportunity_policy: policy.into(),
        ..cancelling(order)
    };
    let hers = order(&ann, true).await;
    denied(ann.close_out_order(as_policy(&hers, Policy::Lose)).await, "OUT_OF_REACH");
    denied(ann.close_out_order(as_policy(&hers, Policy::Reopen)).await, "RIGHT_MISSING");
    // A draft never stood for it: nothing becomes of it, and nobody is asked.
    let draft = order(&ann, false).await;
    ann.close_out_order(as_policy(&draft, Policy::Ask)).await.unwrap();
    // With an order of its own owner whoever may reopen it takes its win back.
    let his = order(&bob, true).await;
    ann.close_out_order(cancelling(&hers)).await.unwrap();
    boss.close_out_order(as_policy(&his, Policy::Reopen)).await.unwrap();
    pair.quiet().await;
    assert_eq!(bob.get_opportunity(&won).await.state(), State::Open);
    let tasks = bob.selling_tasks_of(&won).await;
    assert!(tasks.is_empty(), "{tasks:?}");
    pair.end().await;
}

/// Changes the tenant's own roles, on both sides.
async fn roles(client: &Client, roles: Vec<Role>) -> Result<Settings, Status> {
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings { roles, ..Settings::default() }),
        update_mask: Some(FieldMask { paths: vec!["roles".into()] }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    let reply = client.update_settings(request).await?;
    assert_eq!(reply.propagation(), Propagation::Settled);
    Ok(reply.settings.unwrap())
}

async fn a_right_reaches_own_records_those_of_a_team_or_all(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (seller(&pair, "ann", "north"), seller(&pair, "bob", "华东"));
    let (north, east) =
        (pair.client_in("nora", &["manager"], &["north", "west"]), pair.client_in("eve", &["manager"], &["华东"]));
    let customer = ann.customer().await;
    let (of_ann, of_bob) = (ann.opportunity(&customer).await, bob.opportunity(&customer).await);
    let made = ann.get_opportunity(&of_bob).await;
    assert_eq!((made.owner.as_str(), made.team.as_str()), ("bob", "华东"), "of the caller and its first team");

    // Another's record: read, and nothing else.
    let title = |name: &str| sales::UpdateOpportunityRequest {
        opportunity: Some(sales::Opportunity { name: name.into(), title: "Other".into(), ..Default::default() }),
        ..Default::default()
    };
    let stage = |name: &str| sales::MoveOpportunityStageRequest {
        name: name.into(),
        stage: "pipelines/default/stages/engaging".into(),
        ..Default::default()
    };
    let win = |name: &str| sales::WinOpportunityRequest { name: name.into(), ..Default::default() };
    denied(ann.update_opportunity(title(&of_bob)).await, "OUT_OF_REACH");
    denied(ann.move_opportunity_stage(stage(&of_bob)).await, "OUT_OF_REACH");
    denied(ann.win_opportunity(win(&of_bob)).await, "OUT_OF_REACH");
    denied(ann.close_out_opportunity(closing(&of_bob)).await, "OUT_OF_REACH");
    denied(north.close_out_opportunity(closing(&of_bob)).await, "OUT_OF_REACH");
    let preview = sales::PreviewCloseOutRequest { close_out: Some(closing(&of_bob)) };
    denied(ann.opportunities.clone().preview_close_out(preview).await, "OUT_OF_REACH");
    let status = ann.close_out_opportunity(closing(&of_bob)).await.unwrap_err();
    let told = status.get_details_error_info().unwrap().metadata;
    assert_eq!(
        [&told["right"], &told["scope"], &told["owner"], &told["subject"]],
        ["closeout.create", "own", "bob", &of_bob]
    );
    assert!(status.message().contains("ask them"), "{status}");
    // Nor is one made for somebody else, unless the right reaches that far.
    let for_bob = |team: &str| sales::CreateOpportunityRequest {
        opportunity: Some(sales::Opportunity {
            title: "Cameras".into(),
            owner: "bob".into(),
            team: team.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    denied(ann.create_opportunity(for_bob("north")).await, "OUT_OF_REACH");
    denied(north.create_opportunity(for_bob("")).await, "OUT_OF_REACH");
    let given = north.create_opportunity(for_bob("west")).await.unwrap().opportunity.unwrap();
    assert_eq!((given.owner.as_str(), given.team.as_str()), ("bob", "west"));

    // One's own, the team's, anybody's.
    assert_eq!(closes(&ann, &of_ann).await.unwrap(), State::ClosedOut);
    assert_eq!(closes(&east, &of_bob).await.unwrap(), State::ClosedOut);
    assert_eq!(closes(&pair.client_in("olaf", &["service"], &[]), &given.name).await.unwrap(), State::ClosedOut);
    let note = |close_out: &str| sales::AmendCloseOutRequest {
        name: close_out.into(),
        detail: "they said so".into(),
        update_mask: Some(FieldMask { paths: vec!["detail".into()] }),
        note: "forgotten".into(),
        ..Default::default()
    };
    let close_out = ann.get_opportunity(&of_bob).await.close_out;
    denied(ann.amend_sales_close_out(note(&close_out)).await, "OUT_OF_REACH");
    bob.amend_sales_close_out(note(&close_out)).await.unwrap();
    // What is handed over is the other's, and out of reach for who had it.
    let handed = |name: &str| sales::UpdateOpportunityRequest {
        opportunity: Some(sales::Opportunity {
            name: name.into(),
            owner: "bob".into(),
            team: "华东".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mine = ann.opportunity(&customer).await;
    ann.update_opportunity(handed(&mine)).await.unwrap();
    denied(ann.update_opportunity(title(&mine)).await, "OUT_OF_REACH");
    assert_eq!(closes(&bob, &mine).await.unwrap(), State::ClosedOut);
    pair.end().await;
}

async fn an_order_is_cancelled_by_whoever_may_cancel_what_it_has_become(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, boss) = (seller(&pair, "ann", "north"), pair.client_in("nora", &["manager"], &["north"]));
    let clerk = pair.client_in("carl", &["clerk"], &[]);
    let rights = ["record.read", "order.edit", "closeout.create"].map(str::to_owned).to_vec();
    roles(&pair.client(), vec![Role { name: "clerk".into(), rights }]).await.unwrap();
    let customer = ann.customer().await;
    let (untouched, partly, done) =
        (ann.order(&customer, "").await, ann.order(&customer, "").await, ann.order(&customer, "").await);
    for order in [&untouched, &partly, &done] {
        let confirm = trade::ConfirmOrderRequest { name: order.clone(), ..Default::default() };
        denied(seller(&pair, "bob", "north").confirm_order(confirm.clone()).await, "OUT_OF_REACH");
        ann.confirm_order(confirm).await.unwrap();
    }
    for (order, quantity) in [(&partly, 1), (&done, 3)] {
        let lines = vec![trade::LineFulfilment { line: 0, quantity }];
        let fulfil = trade::RecordFulfilmentRequest { name: order.clone(), lines, ..Default::default() };
        clerk.record_fulfilment(fulfil).await.unwrap();
    }
    // Closing out as processed is no cancelling.
    let processed = trade::CloseOutOrderRequest {
        outcome: crm_proto::common::Outcome::Processed.into(),
        reason: "closeOutReasons/ORD_PROCESSED".into(),
        ..cancelling(&done)
    };
    let reply = clerk.close_out_order(processed).await.unwrap();
    assert_eq!(reply.order.unwrap().state(), OrderState::Processed);
    denied(clerk.close_out_order(cancelling(&untouched)).await, "RIGHT_MISSING");
    // A part of it has gone out: that needs more than to cancel what nobody has begun.
    denied(ann.close_out_order(cancelling(&partly)).await, "RIGHT_MISSING");
    let part = |order: &str| trade::CancelOrderLinesRequest {
        name: order.to_owned(),
        lines: vec![trade::CancelledLine { line: 0, quantity: 1 }],
        reason: "closeOutReasons/ORD_OUT_OF_STOCK".into(),
        ..Default::default()
    };
    denied(ann.cancel_order_lines(part(&partly)).await, "RIGHT_MISSING");
    ann.cancel_order_lines(part(&untouched)).await.unwrap();
    boss.cancel_order_lines(part(&partly)).await.unwrap();
    assert_eq!(
        ann.close_out_order(cancelling(&untouched)).await.unwrap().order.unwrap().state(),
        OrderState::Cancelled
    );
    assert_eq!(boss.close_out_order(cancelling(&partly)).await.unwrap().order.unwrap().state(), OrderState::Processed);
    pair.end().await;
}

async fn whoever_closed_it_out_may_take_that_back_for_a_while(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (seller(&pair, "ann", "north"), seller(&pair, "bob", "north"));
    let boss = pair.client_in("nora", &["manager"], &["north"]);
    let customer = ann.customer().await;
    let (undone, boss_s, won) =
        (ann.opportunity(&customer).await, ann.opportunity(&customer).await, ann.opportunity(&customer).await);
    closes(&ann, &undone).await.unwrap();
    let refused = bob.reopen_opportunity(reopening(&undone)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::PermissionDenied, "RIGHT_MISSING".into()));
    let told = refused.get_details_error_info().unwrap().metadata;
    assert_eq!([&told["right"], &told["actor"], &told["minutes"]], ["opportunity.reopen", "ann", "15"]);
    assert_eq!(reopens(&ann, &undone).await.unwrap(), State::Open);
    // Closed out by another: not by who owns it, but by who has the right.
    closes(&boss, &boss_s).await.unwrap();
    denied(ann.reopen_opportunity(reopening(&boss_s)).await, "RIGHT_MISSING");
    assert_eq!(reopens(&boss, &boss_s).await.unwrap(), State::Open);
    // A win is no close-out: taking it back needs the right.
    ann.win_opportunity(sales::WinOpportunityRequest { name: won.clone(), ..Default::default() }).await.unwrap();
    denied(ann.reopen_opportunity(reopening(&won)).await, "RIGHT_MISSING");
    // The same of an order.
    let order = ann.order(&customer, "").await;
    ann.close_out_order(cancelling(&order)).await.unwrap();
    let back = || trade::ReopenOrderRequest { name: order.clone(), ..Default::default() };
    denied(bob.reopen_order(back()).await, "RIGHT_MISSING");
    assert_eq!(ann.reopen_order(back()).await.unwrap().order.unwrap().state(), OrderState::Draft);
    pair.end().await;
}

async fn another_person_approves_and_one_within_reach(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, bob) = (seller(&pair, "ann", "north"), seller(&pair, "bob", "north"));
    let (south, north) =
        (pair.client_in("sam", &["manager"], &["south"]), pair.client_in("nora", &["manager"], &["north"]));
    let approval = ApprovalPolicy { amounts: cny(50).into_iter().collect(), expire_days: 3 };
    let request = sales::UpdateSettingsRequest {
        settings: Some(Settings { approval: Some(approval), ..Settings::default() }),
        ..Default::default()
    };
    pair.client().update_settings(request).await.unwrap();
    let customer = ann.customer().await;
    let opportunity = ann.opportunity(&customer).await;
    assert_eq!(closes(&ann, &opportunity).await.unwrap(), State::ClosePending);
    let close_out = ann.get_opportunity(&opportunity).await.close_out;
    let approve = || sales::ApproveCloseOutRequest { name: close_out.clone(), ..Default::default() };
    denied(bob.approve_sales_close_out(approve()).await, "RIGHT_MISSING");
    denied(south.approve_sales_close_out(approve()).await, "OUT_OF_REACH");
    let withdraw = || sales::WithdrawCloseOutRequest { name: close_out.clone(), ..Default::default() };
    denied(bob.withdraw_sales_close_out(withdraw()).await, "NOT_REQUESTER");
    // One's own request can be taken back, whatever the roles have become; reopening tells what is in the way.
    let moved = pair.client_in("ann", &["sales"], &["south"]);
    assert_eq!(why(&ann.reopen_opportunity(reopening(&opportunity)).await.unwrap_err()).1, "CLOSE_PENDING");
    moved.withdraw_sales_close_out(withdraw()).await.unwrap();
    assert_eq!(why(&ann.reopen_opportunity(reopening(&opportunity)).await.unwrap_err()).1, "NOT_CLOSED");
    assert_eq!(closes(&ann, &opportunity).await.unwrap(), State::ClosePending);
    let close_out = ann.get_opportunity(&opportunity).await.close_out;
    let approve = || sales::ApproveCloseOutRequest { name: close_out.clone(), ..Default::default() };
    north.approve_sales_close_out(approve()).await.unwrap();
    assert_eq!(ann.get_opportunity(&opportunity).await.state(), State::ClosedOut);
    pair.end().await;
}

async fn dates_of_the_past_need_a_right_of_their_own(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, import) = (seller(&pair, "ann", "north"), pair.client_in("importer", &["service"], &[]));
    let at = |days: u64| Some((SystemTime::now() - Duration::from_secs(days * 86_400)).into());
    let customer = import.customer().await;
    let opportunity = sales::Opportunity { title: "Old".into(), customer: customer.clone(), ..Default::default() };
    let request = sales::CreateOpportunityRequest {
        opportunity: Some(opportunity),
        historical: Some(Historical { create_time: at(9), ..Default::default() }),
        wait: Wait::Peer.into(),
        ..Default::default()
    };
    denied(ann.create_opportunity(request.clone()).await, "RIGHT_MISSING");
    let owned = sales::Opportunity { owner: "ann".into(), ..request.opportunity.clone().unwrap() };
    let request = sales::CreateOpportunityRequest { opportunity: Some(owned), ..request };
    let old = import.create_opportunity(request).await.unwrap().opportunity.unwrap().name;
    let past = Some(Historical { close_time: at(2), ..Default::default() });
    let win = sales::WinOpportunityRequest { name: old.clone(), historical: past, ..Default::default() };
    denied(ann.win_opportunity(win).await, "RIGHT_MISSING");
    let late = sales::CloseOutOpportunityRequest { historical: past, ..closing(&old) };
    denied(ann.close_out_opportunity(late.clone()).await, "RIGHT_MISSING");
    import.close_out_opportunity(late).await.unwrap();
    let line = trade::OrderLine { product: "Camera".into(), quantity: 1, unit_price: cny(10), ..Default::default() };
    let request = trade::CreateOrderRequest {
        order: Some(trade::Order { customer, lines: vec![line], ..Default::default() }),
        historical: Some(Historical { create_time: at(9), ..Default::default() }),
        ..Default::default()
    };
    denied(ann.create_order(request.clone()).await, "RIGHT_MISSING");
    let order = import.create_order(request).await.unwrap().order.unwrap().name;
    let late = trade::CloseOutOrderRequest { historical: past, ..cancelling(&order) };
    denied(pair.client_in("importer", &["manager"], &[]).close_out_order(late.clone()).await, "RIGHT_MISSING");
    import.close_out_order(late).await.unwrap();
    pair.end().await;
}

async fn a_tenant_has_roles_of_its_own_on_both_sides(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (admin, ann) = (pair.client(), seller(&pair, "ann", "north"));
    let lead = pair.client_in("lea", &["team-lead"], &["north"]);
    let (opportunity, order) = {
        let customer = ann.customer().await;
        (ann.opportunity(&customer).await, ann.order(&customer, "").await)
    };
    denied(lead.close_out_opportunity(closing(&opportunity)).await, "RIGHT_MISSING");
    let role = |name: &str, rights: &[&str]| Role {
        name: name.into(),
        rights: rights.iter().map(|right| (*right).to_owned()).collect(),
    };
    let granted = ["record.read", "closeout.create.team", "order.cancel.team"];
    let kept = roles(&admin, vec![role("team-lead", &granted)]).await.unwrap();
    assert_eq!(kept.roles, [role("team-lead", &granted)]);
    assert_eq!(closes(&lead, &opportunity).await.unwrap(), State::ClosedOut);
    assert_eq!(lead.close_out_order(cancelling(&order)).await.unwrap().order.unwrap().state(), OrderState::Cancelled);
    let other = pair.client_in("lou", &["team-lead"], &["north"]);
    denied(other.reopen_opportunity(reopening(&opportunity)).await, "RIGHT_MISSING");
    // A role is what it is in one's own tenant.
    let stranger = pair.client_of(crm_closeout::ids::TenantId(uuid::Uuid::now_v7()), "eve");
    let list = sales::GetSettingsRequest {};
    let theirs = stranger.settings.clone().get_settings(list).await.unwrap().into_inner().settings.unwrap();
    assert!(theirs.roles.is_empty());
    // Nobody makes roles without the right to, and a wrong one is told by its place.
    let boss = pair.client_in("nora", &["manager"], &["north"]);
    denied(roles(&boss, vec![role("team-lead", &["operator"])]).await, "RIGHT_MISSING");
    let wrong =
        vec![role("Lead", &[]), role("sales", &["record.write"]), role("a", &["task.manage.own"]), role("a", &[])];
    let status = roles(&admin, wrong).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let told: Vec<_> = fields.iter().map(|field| (field.field.as_str(), field.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("settings.roles[0].name", "INVALID_NAME"),
            ("settings.roles[1].name", "IMMUTABLE"),
            ("settings.roles[1].rights[0]", "UNKNOWN_RIGHT"),
            ("settings.roles[2].rights[0]", "UNKNOWN_RIGHT"),
            ("settings.roles[3].name", "REPEATED"),
        ]
    );
    // Taken away, it opens nothing any more, on either side.
    roles(&admin, Vec::new()).await.unwrap();
    let look = sales::GetOpportunityRequest { name: opportunity };
    denied(lead.opportunities.clone().get_opportunity(look).await, "RIGHT_MISSING");
    let look = trade::GetOrderRequest { name: order };
    denied(lead.orders.clone().get_order(look).await, "RIGHT_MISSING");
    pair.end().await;
}

async fn lost(client: &Client) -> Vec<(String, i64)> {
    let request = sales::ReportCloseOutsRequest {
        dimension: ReportDimension::Owner.into(),
        closed_from: Some((SystemTime::now() - Duration::from_secs(3_600)).into()),
        ..Default::default()
    };
    let reply = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
    let mut rows: Vec<_> = reply.rows.into_iter().map(|row| (row.value, row.count)).collect();
    rows.sort();
    assert_eq!(rows.iter().map(|(_, count)| count).sum::<i64>(), reply.total.unwrap().count);
    rows
}

async fn a_report_tells_of_what_is_within_reach(kind: Kind) {
    let pair = Pair::started(kind).await;
    let sellers = [("ann", "north"), ("bob", "north"), ("carl", "it's \"south\""), ("dora", "")];
    let admin = pair.client();
    let customer = admin.customer().await;
    for (count, (principal, team)) in sellers.iter().enumerate() {
        for _ in 0..=count {
            let seller = seller(&pair, principal, team);
            let opportunity = seller.opportunity(&customer).await;
            closes(&seller, &opportunity).await.unwrap();
        }
    }
    let row = |owner: &str, count| (owner.to_owned(), count);
    let in_role = |principal, role, teams: &[&str]| pair.client_in(principal, &[role], teams);
    assert_eq!(lost(&in_role("bob", "sales", &["north"])).await, [row("bob", 2)]);
    assert_eq!(lost(&in_role("nora", "manager", &["north"])).await, [row("ann", 1), row("bob", 2)]);
    let both = in_role("dora", "manager", &["it's \"south\"", "north"]);
    assert_eq!(lost(&both).await, [row("ann", 1), row("bob", 2), row("carl", 3), row("dora", 4)]);
    assert_eq!(lost(&in_role("dora", "manager", &[])).await, [row("dora", 4)], "no team is no common team");
    assert_eq!(lost(&in_role("nina", "analyst", &[])).await.len(), 4);
    pair.end().await;
}

async fn in_bulk_each_item_is_within_reach_or_refused(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, carl) = (seller(&pair, "ann", "north"), seller(&pair, "carl", "south"));
    let boss = pair.client_in("nora", &["manager"], &["north"]);
    let customer = ann.customer().await;
    let names = [ann.opportunity(&customer).await, carl.opportunity(&customer).await, ann.opportunity(&customer).await];
    let mut none = Answers::default();
    denied(
        ann.bulk_opportunities_once(&opportunities_call(), &closing_each(&names), 10, &mut none).await,
        "RIGHT_MISSING",
    );
    let answers = boss.bulk_opportunities(&opportunities_call(), &closing_each(&names), 10).await;
    assert_eq!(answers.done().map(|(index, _)| index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(why(answers.refusal(1)), (Code::PermissionDenied, "OUT_OF_REACH".into()));
    assert_eq!(carl.get_opportunity(&names[1]).await.state(), State::Open);
    pair.end().await;
}

async fn whose_it_is_is_decided_on_the_locked_record(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (ann, admin) = (seller(&pair, "ann", "north"), pair.client());
    let customer = ann.customer().await;
    let rounds = (0..20).map(|_| async {
        let opportunity = ann.opportunity(&customer).await;
        let edit = sales::Opportunity { name: opportunity.clone(), owner: "bob".into(), ..Default::default() };
        let handed = sales::UpdateOpportunityRequest { opportunity: Some(edit), ..Default::default() };
        let follow_up = Some(FollowUp { title: "Call".into(), ..Default::default() });
        let close = sales::CloseOutOpportunityRequest { follow_up, ..closing(&opportunity) };
        let (handed, closed) = tokio::join!(admin.update_opportunity(handed), ann.close_out_opportunity(close));
        match (handed, closed) {
            // It was closed out first, while it was hers.
            (Err(late), Ok(closed)) => {
                assert_eq!(why(&late).1, "SUBJECT_CLOSED");
                assert_eq!(closed.close_out.unwrap().snapshot.unwrap().owner, "ann");
            }
            // It was handed over first, and is not hers any more.
            (Ok(_), closed) => denied(closed, "OUT_OF_REACH"),
            (Err(one), Err(other)) => panic!("{one}; {other}"),
        }
    });
    join_all(rounds).await;
    pair.end().await;
}
