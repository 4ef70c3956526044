//! What is found on the sales side, on both databases: by which rank, page by page, and what a search finds of changes.

use super::tests::{TENANT, call, done, fresh, run};
use crate::domain::{Closing, Command, CustomerEdit, NewCustomer, NewOpportunity, Opportunity, State};
use crm_api::{
    fields::Fields,
    search::{
        Found, Page, Search,
        criteria::{Criteria, Given},
    },
};
use crm_closeout::{
    episode::CloseOut,
    ids::{CloseOutId, CustomerId, OpportunityId, TenantId},
    money::{Currency, Money},
    reason,
    remarks::Remarks,
};
use crm_outbox::{
    db::{Db, Row},
    search::Source,
    sql::{Args, Sql},
};
use crm_proto::opportunity as pb;
use prost::Message;
use prost_types::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

fresh::on_both!(crate::MIGRATIONS;
    the_best_match_comes_first_and_each_record_once,
    pages_of_any_size_hold_the_same_while_records_are_added,
    a_renamed_customer_is_found_by_its_new_name_alone,
    filters_alone_find_by_customer_owner_amount_and_time,
    close_outs_are_found_like_their_opportunities,
    closing_out_and_reopening_change_nothing_of_what_is_searched,
    a_customer_with_many_and_many_customers_with_none_are_walked_through,
    what_was_there_before_is_found,
);

async fn customer(db: &Db, name: &str) -> CustomerId {
    let new = NewCustomer { display_name: name.into(), tier: "A".into(), owner: "ann".into(), do_not_contact: false };
    let reply = done(run(db, &[create("CreateCustomer", Command::CreateCustomer(new))]).await.remove(0)).reply;
    CustomerId::parse(&pb::Customer::decode(&*reply).unwrap().name).unwrap()
}

fn create(method: &'static str, command: Command) -> crm_outbox::batch::Item<Command> {
    call(TENANT, Uuid::now_v7().as_u128(), method, command)
}

fn opportunity(number: &str, customer: Option<CustomerId>, owner: &str, minor: i64) -> Command {
    Command::CreateOpportunity(NewOpportunity {
        number: number.into(),
        customer_id: customer,
        title: "Servers".into(),
        owner: owner.into(),
        team: String::new(),
        stage: None,
        amount: Money { minor, currency: Currency::parse("USD").unwrap() },
        expected_close_at: None,
        source: String::new(),
        recovered_from: None,
        historical: None,
    })
}

async fn make(db: &Db, command: Command) -> OpportunityId {
    let reply = done(run(db, &[create("CreateOpportunity", command)]).await.remove(0)).reply;
    OpportunityId::parse(&pb::Opportunity::decode(&*reply).unwrap().name).unwrap()
}

/// What is asked for, without a page.
fn asked(query: &str) -> pb::SearchOpportunitiesRequest {
    pb::SearchOpportunitiesRequest { query: query.into(), ..Default::default() }
}

fn usd(units: i64) -> Option<crm_proto::Money> {
    Some(crm_proto::Money { currency_code: "USD".into(), units, nanos: 0 })
}

async fn page(
    db: &Db,
    tenant: TenantId,
    asked: &pb::SearchOpportunitiesRequest,
    size: i32,
    token: &str,
) -> (Vec<(String, i32)>, String) {
    let mut fields = Fields::new();
    let page = Page::read(&mut fields, size, token, asked);
    let given = Given {
        query: &asked.query,
        customer: &asked.customer,
        owner: ("owner", &asked.owner),
        reason: "",
        from: ("created_from", asked.created_from.as_ref()),
        until: ("created_until", asked.created_until.as_ref()),
        amounts: [asked.amount_from.as_ref(), asked.amount_until.as_ref()],
    };
    let criteria = Criteria::read(&mut fields, &given);
    fields.done().unwrap();
    let search = Search { db, tenant, source: Source::Subjects, criteria: &criteria, page: &page };
    let keep = |row: &Opportunity| asked.states.is_empty() || asked.states.contains(&(row.state as i32));
    let convert = |row: &Opportunity, found: Found| pb::OpportunityResult {
        opportunity: Some(pb::Opportunity { number: row.number.clone(), ..Default::default() }),
        r#match: found.reason,
        ..Default::default()
    };
    let (results, next) = search.run(|tenant, id| (tenant, OpportunityId(id)), keep, convert).await.unwrap();
    (results.into_iter().map(|result| (result.opportunity.unwrap().number, result.r#match)).collect(), next)
}

/// Every page, one after the other.
async fn pages(db: &Db, asked: &pb::SearchOpportunitiesRequest, size: i32) -> Vec<(String, i32)> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (found, next) = page(db, TENANT, asked, size, &token).await;
        assert!(found.len() <= size as usize);
        all.extend(found);
        token = next;
        if token.is_empty() {
            return all;
        }
    }
}

async fn numbers(db: &Db, asked: &pb::SearchOpportunitiesRequest) -> Vec<String> {
    pages(db, asked, 50).await.into_iter().map(|(number, _)| number).collect()
}

/// Records that the query `acme` finds by each rank, and some that it does not.
async fn acme(db: &Db) -> Vec<(String, i32)> {
    let whole = customer(db, "ＡＣＭＥ").await;
    let begins = customer(db, "Acme Corporation").await;
    let within = customer(db, "The new acme of acme").await;
    let other = customer(db, "Betasoloin 海康威视").await;
    for (number, customer) in [
        ("B-1", Some(within)),
        ("B-2", Some(within)),
        ("B-3", Some(begins)),
        ("B-4", Some(whole)),
        ("B-5", Some(whole)),
        ("B-6", Some(other)),
        ("ACME-2", Some(whole)),
        ("acme-1", None),
        ("Acme", Some(other)),
    ] {
        make(db, opportunity(number, customer, "ann", 100)).await;
    }
    let found = [("Acme", 1), ("acme-1", 2), ("ACME-2", 2), ("B-5", 3), ("B-4", 3), ("B-3", 4), ("B-2", 5), ("B-1", 5)];
    found.map(|(number, reason)| (number.to_owned(), reason)).to_vec()
}

async fn the_best_match_comes_first_and_each_record_once(db: &Db) {
    let expected = acme(db).await;
    for query in ["acme", " Ａcme ", "ACME"] {
        assert_eq!(pages(db, &asked(query), 50).await, expected, "{query}");
    }
    assert_eq!(pages(db, &asked("威"), 50).await, [("Acme".into(), 5), ("B-6".into(), 5)]);
    assert_eq!(pages(db, &asked("new acme of acme"), 50).await, [("B-2".into(), 5), ("B-1".into(), 5)]);
    assert_eq!(pages(db, &asked("corporations"), 50).await, []);
    let everything = numbers(db, &asked("")).await;
    assert_eq!((everything.len(), &*everything[0], &*everything[8]), (9, "Acme", "B-1"));
    let (theirs, _) = page(db, TenantId(Uuid::from_u128(2)), &asked("acme"), 50, "").await;
    assert_eq!(theirs, []);
}

async fn pages_of_any_size_hold_the_same_while_records_are_added(db: &Db) {
    let expected = acme(db).await;
    for size in 1..=9 {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let (found, next) = page(db, TENANT, &asked("acme"), size, &token).await;
            all.extend(found);
            token = next;
            if token.is_empty() {
                break;
            }
            make(db, opportunity(&format!("Z-{}", Uuid::now_v7()), None, "ann", 100)).await;
        }
        assert_eq!(all, expected, "{size}");
    }
}

async fn a_renamed_customer_is_found_by_its_new_name_alone(db: &Db) {
    let id = customer(db, "Acme Corporation").await;
    make(db, opportunity("B-1", Some(id), "ann", 100)).await;
    let edit = CustomerEdit { display_name: Some("Corporate 海康".into()), ..Default::default() };
    let rename = Command::UpdateCustomer { id, etag: String::new(), edit };
    done(run(db, &[create("UpdateCustomer", rename)]).await.remove(0));
    for (query, found) in [("acme", 0), ("corporation", 0), ("corpor", 1), ("海", 1), ("康", 1)] {
        assert_eq!(numbers(db, &asked(query)).await.len(), found, "{query}");
    }
    let parts = rows(db, "search_name").await.len();
    assert_eq!(parts, "Corporate海康".chars().count());
}

async fn filters_alone_find_by_customer_owner_amount_and_time(db: &Db) {
    let [first, second] = [customer(db, "Acme").await, customer(db, "Globex").await];
    for (number, customer, owner, minor) in [
        ("B-1", first, "ann", 100),
        ("B-2", second, "bob", 300),
        ("B-3", first, "bob", 200),
        ("B-4", second, "ann", 200),
    ] {
        make(db, opportunity(number, Some(customer), owner, minor)).await;
    }
    let base = || asked("");
    let of_first = || pb::SearchOpportunitiesRequest { customer: first.to_string(), ..base() };
    assert_eq!(numbers(db, &of_first()).await, ["B-3", "B-1"]);
    assert_eq!(numbers(db, &pb::SearchOpportunitiesRequest { owner: "bob".into(), ..of_first() }).await, ["B-3"]);
    assert_eq!(numbers(db, &pb::SearchOpportunitiesRequest { query: "b-".into(), ..of_first() }).await, ["B-3", "B-1"]);
    assert_eq!(numbers(db, &pb::SearchOpportunitiesRequest { query: "cm".into(), ..of_first() }).await, ["B-3", "B-1"]);
    assert_eq!(numbers(db, &pb::SearchOpportunitiesRequest { owner: "ann".into(), ..base() }).await, ["B-4", "B-1"]);
    let amounts = |from, until| pb::SearchOpportunitiesRequest { amount_from: from, amount_until: until, ..base() };
    assert_eq!(numbers(db, &amounts(usd(2), None)).await, ["B-2", "B-4", "B-3"]);
    assert_eq!(numbers(db, &amounts(usd(1), usd(2))).await, ["B-4", "B-3", "B-1"]);
    let open = || pb::SearchOpportunitiesRequest { states: vec![State::Open as i32], ..base() };
    assert_eq!(pages(db, &open(), 3).await.len(), 4);
    assert!(
        numbers(db, &pb::SearchOpportunitiesRequest { states: vec![State::Won as i32], ..base() }).await.is_empty()
    );
    let long_ago = Some(Timestamp { seconds: 1, nanos: 0 });
    let until = pb::SearchOpportunitiesRequest { created_until: long_ago, ..base() };
    let from = pb::SearchOpportunitiesRequest { created_from: long_ago, query: "globex".into(), ..base() };
    assert_eq!((numbers(db, &until).await.len(), numbers(db, &from).await), (0, vec!["B-4".into(), "B-2".into()]));
}

fn closing(id: OpportunityId) -> Command {
    let reason = reason::name("UNRESPONSIVE");
    Command::CloseOut(Closing {
        id,
        etag: String::new(),
        reason,
        detail: String::new(),
        competitor: None,
        closed_at: None,
        remarks: Remarks::default(),
        group_id: None,
    })
}

async fn close_outs_are_found_like_their_opportunities(db: &Db) {
    acme(db).await;
    let all: BTreeSet<_> =
        rows(db, "opportunity").await.into_iter().map(|row| row.get::<OpportunityId>(1).unwrap()).collect();
    for id in &all {
        done(run(db, &[create("CloseOutOpportunity", closing(*id))]).await.remove(0));
    }
    let mut found = Vec::new();
    let asked = pb::SearchCloseOutsRequest { query: "acme".into(), amount_from: usd(1), ..Default::default() };
    let mut token = String::new();
    loop {
        let mut fields = Fields::new();
        let page = Page::read(&mut fields, 2, &token, &asked);
        let given = Given {
            query: &asked.query,
            customer: "",
            owner: ("actor", "ann"),
            reason: "UNRESPONSIVE",
            from: ("closed_from", None),
            until: ("closed_until", None),
            amounts: [asked.amount_from.as_ref(), None],
        };
        let criteria = Criteria::read(&mut fields, &given);
        fields.done().unwrap();
        let search = Search { db, tenant: TENANT, source: Source::CloseOuts, criteria: &criteria, page: &page };
        let keep = |row: &CloseOut| criteria.has_reason(&row.reason_code);
        let convert = |row: &CloseOut, found: Found| pb::CloseOutResult {
            close_out: Some(crm_proto::common::CloseOut { subject: row.subject.to_string(), ..Default::default() }),
            r#match: found.reason,
            ..Default::default()
        };
        let (results, next) = search.run(|tenant, id| (tenant, CloseOutId(id)), keep, convert).await.unwrap();
        found.extend(results.into_iter().map(|result| (result.close_out.unwrap().subject, result.r#match)));
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let subjects: BTreeSet<_> = found.iter().map(|(subject, _)| subject.clone()).collect();
    let reasons: Vec<_> = found.iter().map(|(_, reason)| *reason).collect();
    assert_eq!((subjects.len(), reasons), (8, vec![1, 2, 2, 3, 3, 4, 5, 5]));
}

/// Every row of a table, in the order of its key.
async fn rows(db: &Db, table: &str) -> Vec<Row> {
    db.read(&Sql::plain(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5")), Args::none()).await.unwrap()
}

/// Every cell of what is searched.
async fn searched(db: &Db) -> Vec<String> {
    let mut all = Vec::new();
    for row in rows(db, "search_name").await {
        all.push(format!(
            "{:?}",
            (
                row.get::<bool>(1).unwrap(),
                row.get::<String>(2).unwrap(),
                row.get::<CustomerId>(3).unwrap(),
                row.get::<i64>(4).unwrap()
            )
        ));
    }
    for row in rows(db, "search_subject").await {
        let customer: Option<CustomerId> = row.get(3).unwrap();
        let number = (row.get::<OpportunityId>(1).unwrap(), row.get::<String>(2).unwrap(), customer);
        all.push(format!(
            "{:?}",
            (number, row.get::<String>(4).unwrap(), row.get::<i64>(5).unwrap(), row.get::<i64>(6).unwrap())
        ));
    }
    all
}

async fn closing_out_and_reopening_change_nothing_of_what_is_searched(db: &Db) {
    let customer = customer(db, "Acme").await;
    let id = make(db, opportunity("B-1", Some(customer), "ann", 100)).await;
    let before = searched(db).await;
    assert_eq!(before.len(), 5);
    done(run(db, &[create("CloseOutOpportunity", closing(id))]).await.remove(0));
    assert_eq!(searched(db).await, before);
    let reopen = Command::Reopen { id, etag: String::new(), note: String::new() };
    done(run(db, &[create("ReopenOpportunity", reopen)]).await.remove(0));
    assert_eq!(searched(db).await, before);
}

async fn a_customer_with_many_and_many_customers_with_none_are_walked_through(db: &Db) {
    let names = (0..200).map(|n| format!("Acme {n:03}"));
    let named =
        |display_name| NewCustomer { display_name, tier: String::new(), owner: "ann".into(), do_not_contact: false };
    let customers: Vec<_> = names.map(|name| create("CreateCustomer", Command::CreateCustomer(named(name)))).collect();
    run(db, &customers).await.into_iter().for_each(|verdict| drop(done(verdict)));
    let last = customer(db, "Acme last").await;
    let all: Vec<_> =
        (0..250).map(|n| create("CreateOpportunity", opportunity(&format!("B-{n}"), Some(last), "ann", n))).collect();
    run(db, &all).await.into_iter().for_each(|verdict| drop(done(verdict)));
    for size in [20, 1_000] {
        let found: BTreeSet<_> = numbers(db, &asked("acme")).await.into_iter().collect();
        assert_eq!((found.len(), pages(db, &asked("acme"), size).await.len()), (250, 250));
    }
    let rare = pb::SearchOpportunitiesRequest { amount_from: usd(2), amount_until: usd(2), ..asked("last") };
    assert_eq!(numbers(db, &rare).await, ["B-200"]);
}

async fn what_was_there_before_is_found(db: &Db) {
    for name in ["Acme Corporation", "Betasoloin 海康威视 International Limited"] {
        let customer = customer(db, name).await;
        make(db, opportunity("", Some(customer), "ann", 100)).await;
    }
    let before = searched(db).await;
    let mut tx = db.begin().await.unwrap();
    for table in ["search_name", "search_subject", "_sqlx_migrations WHERE version = 1003"] {
        tx.execute(&Sql::plain(&format!("DELETE FROM {table}")), Args::none()).await.unwrap();
    }
    tx.commit().await.unwrap();
    db.migrate(crate::MIGRATIONS).await.unwrap();
    assert!(before.len() > 40);
    assert_eq!(searched(db).await, before);
}
