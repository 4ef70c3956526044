//! Competitors, from the outside: made and renamed, taken out of use and back into it, merged, and what close-outs say of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_proto::{common::ReportDimension, opportunity as sales};
use crm_tests::{
    client::{Client, closing},
    fleet::{Databases, Fleet},
    pair::Pair,
    place::Kind,
    stories,
};
use futures::future::join_all;
use prost_types::{FieldMask, Timestamp};
use std::{
    collections::HashMap,
    fmt::Debug,
    time::{SystemTime, UNIX_EPOCH},
};
use tonic::{
    Code::{Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound},
    Status,
};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    a_competitor_is_renamed_and_taken_out_of_use,
    what_was_entered_under_several_names_is_merged,
    merges_at_once_leave_nobody_two_steps_away,
    a_report_counts_merged_ones_where_they_went,
    every_violation_is_told_at_once,
);

fn making(display_name: &str) -> sales::CreateCompetitorRequest {
    let competitor = sales::Competitor { display_name: display_name.into(), ..Default::default() };
    let request_id = Uuid::now_v7().to_string();
    sales::CreateCompetitorRequest { competitor: Some(competitor), request_id, ..Default::default() }
}

async fn made<const N: usize>(client: &Client, names: [&str; N]) -> [String; N] {
    let mut made = Vec::new();
    for name in names {
        made.push(client.create_competitor(making(name)).await.unwrap().competitor.unwrap().name);
    }
    made.try_into().unwrap()
}

fn renaming(name: &str, etag: &str, display_name: &str) -> sales::UpdateCompetitorRequest {
    let (name, etag, display_name) = (name.into(), etag.into(), display_name.into());
    let competitor = sales::Competitor { name, etag, display_name, ..Default::default() };
    sales::UpdateCompetitorRequest { competitor: Some(competitor), ..Default::default() }
}

fn deactivating(name: &str) -> sales::DeactivateCompetitorRequest {
    sales::DeactivateCompetitorRequest { name: name.into(), ..Default::default() }
}

fn activating(name: &str) -> sales::ActivateCompetitorRequest {
    sales::ActivateCompetitorRequest { name: name.into(), ..Default::default() }
}

fn merging(sources: &[&String], target: &str) -> sales::MergeCompetitorsRequest {
    let sources = sources.iter().map(|source| (*source).clone()).collect();
    let (target, request_id) = (target.to_owned(), Uuid::now_v7().to_string());
    sales::MergeCompetitorsRequest { sources, target, request_id, ..Default::default() }
}

/// What they are called, each that was merged with the one it was merged into, those not in use in brackets.
async fn listed(client: &Client, active_only: bool) -> Vec<String> {
    let mut request = sales::ListCompetitorsRequest { page_size: 2, active_only, ..Default::default() };
    let (mut all, mut competitors) = (Vec::new(), client.competitors.clone());
    loop {
        let reply = competitors.list_competitors(request.clone()).await.unwrap().into_inner();
        all.extend(reply.competitors);
        if reply.next_page_token.is_empty() {
            break;
        }
        request.page_token = reply.next_page_token;
    }
    let called = |name: &str| all.iter().find(|one| one.name == name).map_or("?", |one| &one.display_name);
    let line = |one: &sales::Competitor| match (one.active, one.merged_into.is_empty()) {
        (true, _) => one.display_name.clone(),
        (false, true) => format!("({})", one.display_name),
        (false, false) => format!("({} -> {})", one.display_name, called(&one.merged_into)),
    };
    all.iter().map(line).collect()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[track_caller]
fn refused<T: Debug>(answer: Result<T, Status>, expected: &str) -> Status {
    let status = answer.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (FailedPrecondition, expected), "{status}");
    status
}

#[track_caller]
fn invalid<T: Debug>(answer: Result<T, Status>, expected: &[&str]) {
    let status = answer.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let mut found: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.reason)).collect();
    found.sort();
    assert_eq!((status.code(), found), (InvalidArgument, expected.iter().map(|text| (*text).to_owned()).collect()));
}

fn losing(opportunity: &str, competitor: &str) -> sales::CloseOutOpportunityRequest {
    sales::CloseOutOpportunityRequest {
        reason: "closeOutReasons/COMPETITOR_PRICE".into(),
        detail: "They were cheaper over all three years".into(),
        competitor: competitor.to_owned(),
        ..closing(opportunity)
    }
}

async fn a_competitor_is_renamed_and_taken_out_of_use(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, other) = (pair.client(), pair.client_of(TenantId(Uuid::now_v7()), "ann"));
    let request = making("Acme");
    let first = client.create_competitor(request.clone()).await.unwrap();
    assert_eq!(client.create_competitor(request).await.unwrap(), first, "the same call has the same answer");
    let acme = first.competitor.unwrap();
    assert_eq!((&acme.etag, &acme.update_time, &*acme.merged_into), (&"\"1\"".into(), &acme.create_time, ""));
    let again = client.create_competitor(making("Acme")).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (AlreadyExists, "NAME_TAKEN"));
    let [globex] = made(&client, ["Globex"]).await;

    let request = renaming(&acme.name, &acme.etag, "Acme 集团");
    let judged = sales::UpdateCompetitorRequest { validate_only: true, ..request.clone() };
    let judged = client.update_competitor(judged).await.unwrap().competitor.unwrap();
    assert_eq!((&*judged.display_name, &*judged.etag), ("Acme 集团", "\"2\""));
    assert_eq!(client.get_competitor(&acme.name).await, acme);
    let renamed = client.update_competitor(request.clone()).await.unwrap().competitor.unwrap();
    assert_eq!(client.get_competitor(&acme.name).await, renamed);
    let old = client.update_competitor(request).await.unwrap_err();
    assert_eq!((old.code(), reason(&old).as_str()), (Aborted, "VERSION_MISMATCH"));
    let taken = client.update_competitor(renaming(&globex, "", "Acme 集团")).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (AlreadyExists, "NAME_TAKEN"));

    let name = client.opportunity("").await;
    let off = sales::DeactivateCompetitorRequest { etag: renamed.etag, ..deactivating(&acme.name) };
    client.deactivate_competitor(off.clone()).await.unwrap();
    assert_eq!(reason(&client.deactivate_competitor(off).await.unwrap_err()), "VERSION_MISMATCH");
    assert_eq!(listed(&client, false).await, ["(Acme 集团)", "Globex"]);
    assert_eq!(listed(&client, true).await, ["Globex"]);
    refused(client.close_out_opportunity(losing(&name, &acme.name)).await, "COMPETITOR_INACTIVE");
    // What is so already is answered as it is, and nothing is written.
    let rows = pair.audit_rows().await;
    let same = client.competitors.clone().deactivate_competitor(deactivating(&acme.name)).await.unwrap().into_inner();
    assert_eq!((same.competitor.unwrap().etag, pair.audit_rows().await), ("\"3\"".to_owned(), rows));
    client.activate_competitor(activating(&acme.name)).await.unwrap();
    let closed = client.close_out_opportunity(losing(&name, &acme.name)).await.unwrap().close_out.unwrap();
    assert_eq!(closed.competitor, acme.name);

    assert!(listed(&other, false).await.is_empty());
    assert_eq!(other.look_at_competitor(&acme.name).await.unwrap_err().code(), NotFound);
    assert_eq!(other.update_competitor(renaming(&acme.name, "", "Mine")).await.unwrap_err().code(), NotFound);
    made(&other, ["Acme 集团"]).await;
    pair.end().await;
}

async fn what_was_entered_under_several_names_is_merged(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let [acme, ltd, gmbh, group] = made(&client, ["Acme", "Acme Ltd", "Acme GmbH", "Acme Group"]).await;
    let [early, late] = [client.opportunity("").await, client.opportunity("").await];
    let before = client.close_out_opportunity(losing(&early, &ltd)).await.unwrap().close_out.unwrap();

    let request = merging(&[&ltd, &gmbh], &acme);
    let judged = sales::MergeCompetitorsRequest { validate_only: true, ..request.clone() };
    assert_eq!(client.competitors.clone().merge_competitors(judged).await.unwrap().into_inner().sources.len(), 2);
    assert_eq!(listed(&client, true).await.len(), 4);
    let merged = client.merge_competitors(request.clone()).await.unwrap();
    assert_eq!(merged.sources.iter().map(|source| &source.merged_into).collect::<Vec<_>>(), [&acme, &acme]);
    assert_eq!(client.merge_competitors(request).await.unwrap(), merged, "the same call has the same answer");
    let refusal = refused(client.close_out_opportunity(losing(&late, &ltd)).await, "COMPETITOR_MERGED");
    assert!(refusal.message().contains(&acme), "{refusal}");
    assert_eq!(refusal.get_details_error_info().unwrap().metadata["merged_into"], acme);
    refused(client.activate_competitor(activating(&ltd)).await, "COMPETITOR_MERGED");
    let kept = client.sales_close_out(&before.name).await;
    assert_eq!(kept.competitor, ltd, "a close-out keeps what it said");

    // What was merged before goes along, so that nobody follows more than one step.
    client.merge_competitors(merging(&[&acme], &group)).await.unwrap();
    let expected = ["(Acme -> Acme Group)", "(Acme Ltd -> Acme Group)", "(Acme GmbH -> Acme Group)", "Acme Group"];
    assert_eq!(listed(&client, false).await, expected);
    assert_eq!(listed(&client, true).await, ["Acme Group"]);
    let rows = pair.audit_rows().await;
    client.competitors.clone().merge_competitors(merging(&[&ltd, &acme], &group)).await.unwrap();
    assert_eq!(pair.audit_rows().await, rows, "what is merged already stays as it is");
    let [globex, initech] = made(&client, ["Globex", "Initech"]).await;
    let refusal = refused(client.merge_competitors(merging(&[&globex], &acme)).await, "COMPETITOR_MERGED");
    assert!(refusal.message().contains(&group), "{refusal}");
    client.deactivate_competitor(deactivating(&initech)).await.unwrap();
    refused(client.merge_competitors(merging(&[&globex], &initech)).await, "COMPETITOR_INACTIVE");
    client.merge_competitors(merging(&[&initech], &globex)).await.unwrap();
    // It was merged into another one before: this is how that is put right.
    client.merge_competitors(merging(&[&initech], &group)).await.unwrap();
    assert_eq!(listed(&client, false).await[4..], ["Globex", "(Initech -> Acme Group)"]);
    client.close_out_opportunity(losing(&late, &group)).await.unwrap();
    pair.end().await;
}

/// Each is merged into the next one at the same moment, by two processes on PostgreSQL, so that targets are merged while others are
/// being merged into them.
async fn merges_at_once_leave_nobody_two_steps_away(kind: Kind) {
    const COUNT: usize = 24;
    let processes = if kind == Kind::Postgres { 2 } else { 1 };
    let fleet = Fleet::started(kind, processes, Databases::Direct).await;
    let clients: Vec<_> = (0..8).map(|n| fleet.client(n % processes)).collect();
    let mut moved = 0;
    for round in 0..6 {
        let names: Vec<_> = (0..COUNT).map(|n| format!("{round}-{n}")).collect();
        let requests =
            names.iter().zip(clients.iter().cycle()).map(|(name, client)| client.create_competitor(making(name)));
        let made = join_all(requests).await.into_iter().map(|reply| reply.unwrap().competitor.unwrap().name);
        let made: Vec<_> = made.collect();
        let pairs: Vec<_> = made.iter().zip(&made[1..]).collect();
        let merge = |(n, (source, target)): (usize, &(&String, &String))| {
            let (request, client) = (merging(&[source], target), clients[n % clients.len()].clone());
            async move { client.merge_competitors(request).await }
        };
        let answers = join_all(pairs.iter().enumerate().map(&merge)).await;
        let rows = join_all(made.iter().map(|name| clients[0].get_competitor(name))).await.into_iter();
        let rows: HashMap<_, _> = rows.map(|row| (row.name.clone(), row)).collect();
        for ((source, target), answer) in pairs.into_iter().zip(answers) {
            let (source, target) = (&rows[source], &rows[target]);
            if let Err(status) = answer {
                refused(Err::<(), _>(status), "COMPETITOR_MERGED");
                assert!(source.active && !target.active, "{source:?}, {target:?}");
                continue;
            }
            let into = &rows[&source.merged_into];
            assert!(!source.active && into.active && into.merged_into.is_empty(), "{source:?} into {into:?}");
            moved += usize::from(into.name != target.name);
        }
    }
    println!("{moved} were taken along by a later merge");
    assert!(moved > 0, "no target was merged after something was merged into it");
    fleet.end().await;
}

async fn a_report_counts_merged_ones_where_they_went(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let [acme, ltd, other] = made(&client, ["Acme", "Acme Ltd", "Other"]).await;
    let customer = client.customer().await;
    for competitor in [&acme, &ltd, &ltd, &other, &String::new()] {
        let opportunity = client.opportunity(&customer).await;
        let request = sales::CloseOutOpportunityRequest { competitor: competitor.clone(), ..closing(&opportunity) };
        client.close_out_opportunity(request).await.unwrap();
    }
    let report = || async {
        let request = sales::ReportCloseOutsRequest {
            dimension: ReportDimension::Competitor.into(),
            closed_from: Some(Timestamp {
                seconds: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 - 3_600,
                nanos: 0,
            }),
            ..Default::default()
        };
        let reply = client.sales_close_outs.clone().report_close_outs(request).await.unwrap().into_inner();
        let mut rows: Vec<_> = reply.rows.into_iter().map(|row| (row.label, row.value, row.count)).collect();
        rows.sort_unstable();
        (rows, reply.total.unwrap().count)
    };
    let row = |label: &str, value: &str, count| (label.to_owned(), value.to_owned(), count);
    let none = row("", "", 1);
    let expected = vec![none.clone(), row("Acme", &acme, 1), row("Acme Ltd", &ltd, 2), row("Other", &other, 1)];
    assert_eq!(report().await, (expected, 5));
    client.merge_competitors(merging(&[&ltd], &acme)).await.unwrap();
    assert_eq!(report().await, (vec![none, row("Acme", &acme, 3), row("Other", &other, 1)], 5));
    pair.end().await;
}

async fn every_violation_is_told_at_once(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let [acme, ltd] = made(&client, ["Acme", "Acme Ltd"]).await;
    let before = pair.audit_rows().await;
    let request = sales::CreateCompetitorRequest { request_id: "x".into(), ..Default::default() };
    let expected = ["competitor REQUIRED", "competitor.display_name REQUIRED", "request_id INVALID_UUID"];
    invalid(client.create_competitor(request).await, &expected);
    let update_mask = Some(FieldMask { paths: vec!["display_name".into(), "active".into(), "colour".into()] });
    let request = sales::UpdateCompetitorRequest { update_mask, ..renaming("competitors/1", "", &"长".repeat(201)) };
    let expected = ["competitor.display_name TOO_LONG", "competitor.name INVALID_NAME", "update_mask UNKNOWN_FIELD"];
    invalid(client.update_competitor(request).await, &expected);
    let request = sales::UpdateCompetitorRequest {
        update_mask: Some(FieldMask { paths: vec!["*".into()] }),
        ..renaming(&acme, "", "")
    };
    invalid(client.update_competitor(request).await, &["competitor.display_name REQUIRED"]);
    invalid(client.deactivate_competitor(deactivating("")).await, &["name REQUIRED"]);
    invalid(client.activate_competitor(activating("customers/1")).await, &["name INVALID_NAME"]);
    assert_eq!(client.look_at_competitor("x").await.unwrap_err().code(), InvalidArgument);

    let other = "competitors/1".to_owned();
    let request =
        sales::MergeCompetitorsRequest { request_id: "x".into(), ..merging(&[&ltd, &acme, &ltd, &other], &acme) };
    let expected = ["request_id INVALID_UUID", "sources[1] REPEATED", "sources[2] REPEATED", "sources[3] INVALID_NAME"];
    invalid(client.merge_competitors(request).await, &expected);
    invalid(client.merge_competitors(merging(&[], "")).await, &["sources COUNT", "target REQUIRED"]);
    let many: Vec<_> = (0..101).map(|_| format!("competitors/{}", Uuid::now_v7())).collect();
    invalid(client.merge_competitors(merging(&many.iter().collect::<Vec<_>>(), &acme)).await, &["sources COUNT"]);
    let unknown = client.merge_competitors(merging(&[&ltd, &many[0]], &acme)).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message().contains(&many[0])), (NotFound, true), "{unknown}");
    assert_eq!(pair.audit_rows().await, before);
    assert_eq!(listed(&client, true).await, ["Acme", "Acme Ltd"]);
    pair.end().await;
}
