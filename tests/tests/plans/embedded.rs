//! The same on SQLite: every statement that the services log is asked for its plan. SQLite plans by figures that the schema brings
//! with it, so the plan of an empty table is that of a large one.

use crate::{
    lists, searches, watching,
    work::{self, Known},
};
use crm_proto::{common::TaskKind, opportunity as sales, order as trade};
use crm_tests::{
    client::{Client, cancelling, closing, reopening},
    pair::Pair,
    place::Kind,
};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Row, SqlitePool};
use std::collections::BTreeSet;

/// What a service has in its environment so that its log has every statement.
const LOGGED: &[(&str, &str)] =
    &[("RUST_LOG", "info,sqlx::query=debug"), ("OPPORTUNITY_LOG_FORMAT", "json"), ("ORDER_LOG_FORMAT", "json")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_through_a_table_on_sqlite() {
    let mut pair = Pair::new(Kind::Sqlite).await;
    pair.opportunity.start(LOGGED).await;
    pair.order.start(LOGGED).await;
    Box::pin(do_everything(&pair)).await;
    let (opportunity, order) = (pair.place.opportunity.clone(), pair.place.order.clone());
    let mut faults = Vec::new();
    for (service, url) in [(&mut pair.opportunity, opportunity), (&mut pair.order, order)] {
        let statements = statements(&service.killed().await);
        assert!(statements.len() > 40, "only {} statements were run", statements.len());
        let pool = SqlitePool::connect(&url).await.unwrap();
        for text in &statements {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
            let steps = sqlx::query(explain).fetch_all(&pool).await.unwrap();
            let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
            faults.extend(wrong(text, &steps).map(|fault| format!("{fault}\n    {text}\n    {steps:?}")));
        }
        pool.close().await;
        println!("{} statements", statements.len());
    }
    assert!(faults.is_empty(), "{} statements read too much:\n{}", faults.len(), faults.join("\n"));
}

async fn do_everything(pair: &Pair) {
    let client = pair.client();
    let customer = client.customer().await;
    let [lost, won] = [client.opportunity(&customer).await, client.opportunity(&customer).await];
    let [cancelled, confirmed] = [client.order(&customer, &won).await, client.order(&customer, &won).await];
    client.order(&customer, &lost).await;
    let confirm = trade::ConfirmOrderRequest { name: confirmed.clone(), ..Default::default() };
    client.confirm_order(confirm).await.unwrap();
    client.win_opportunity(sales::WinOpportunityRequest { name: won, ..Default::default() }).await.unwrap();
    pair.quiet().await;
    let of_lost = client.close_out_opportunity(closing(&lost)).await.unwrap().close_out.unwrap().name;
    let of_cancelled = client.close_out_order(cancelling(&cancelled)).await.unwrap().close_out.unwrap().name;
    pair.quiet().await;
    let known = Known { customer, lost, confirmed, cancelled, close_outs: [of_lost, of_cancelled] };
    work::a_life(&client, &known, async || pair.quiet().await).await;
    Box::pin(lists::reads(&client, &known, 1_000)).await;
    Box::pin(searches::searches(&client, &known, 1_000)).await;
    watching::watch(&client, &known).await;
    client.reopen_opportunity(reopening(&known.lost)).await.unwrap();
    let reopen = trade::ReopenOrderRequest { name: known.cancelled, ..Default::default() };
    client.reopen_order(reopen).await.unwrap();
    pair.quiet().await;
    several(pair, &client).await;
}

/// The same for a score of customers at once: a set of several rows has a plan of its own.
async fn several(pair: &Pair, client: &Client) {
    let customers = join_all((0..20).map(|_| client.customer())).await;
    let opportunities = join_all(customers.iter().map(|customer| client.opportunity(customer))).await;
    let parents = customers.iter().zip(&opportunities);
    let orders = join_all(parents.map(|(customer, parent)| client.order(customer, parent))).await;
    join_all(opportunities.iter().map(|parent| client.selling_task(parent, TaskKind::Demo))).await;
    join_all(orders.iter().map(|parent| client.order_task(parent, TaskKind::Deliver))).await;
    pair.quiet().await;
    let close = opportunities.iter().map(|name| client.close_out_opportunity(closing(name)));
    join_all(close).await.into_iter().for_each(|reply| drop(reply.unwrap()));
    pair.quiet().await;
    let reopen = opportunities.iter().map(|name| client.reopen_opportunity(reopening(name)));
    join_all(reopen).await.into_iter().for_each(|reply| drop(reply.unwrap()));
    pair.quiet().await;
}

/// The statements in a log that read or write rows.
fn statements(log: &[String]) -> BTreeSet<String> {
    let events = log.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let text = |event: serde_json::Value| {
        let (long, short) = (event["db.statement"].as_str()?.trim(), event["summary"].as_str()?);
        Some(if long.is_empty() { short.to_owned() } else { long.to_owned() })
    };
    let rows = |text: &String| ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|word| text.starts_with(word));
    // Once at the start, by the one process that there is.
    let always =
        |text: &String| !text.contains("_sqlx_migrations") && !text.starts_with("UPDATE outbox SET lease_until = 0");
    events.filter_map(text).filter(rows).filter(always).collect()
}

/// What is wrong with a plan: it goes through a table or a whole index; or a list's filter does not find its rows; or a list
/// sorts more than the few close-outs of a subject or of a cause.
fn wrong(text: &str, steps: &[String]) -> Option<String> {
    let given = ["SCAN r", "SCAN json_each", "SCAN CONSTANT ROW", "SCAN (", "SCAN 1", "SCAN newest", "SCAN part"];
    let is_given =
        |step: &str| given.iter().any(|given| step.starts_with(given)) || step.ends_with("-ROW VALUES CLAUSE");
    let through = |step: &&String| step.starts_with("SCAN ") && !is_given(step);
    if let Some(step) = steps.iter().find(through) {
        return Some(step.clone());
    }
    let (_, conditions) = text.split_once("AS t WHERE t.tenant_id = $1").filter(|_| text.contains("LIMIT"))?;
    let found_by = conditions.split(" AND t.").skip(1).find_map(|condition| condition.split_once(" = "))?.0;
    let known_limit = text.contains("FROM task AS t") && found_by == "state";
    if !known_limit && !steps.iter().any(|step| step.contains(&format!("{found_by}=?"))) {
        return Some(format!("{found_by} is looked at in every row of the tenant"));
    }
    let few = found_by.starts_with("subject") || found_by == "cause";
    (!few && steps.iter().any(|step| step.contains("ORDER BY"))).then(|| "a sort for a page".to_owned())
}
