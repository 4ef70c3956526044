//! Streams of changes: what a watcher is sent is everything that changed, once, each record's states in their order, however often the
//! stream is broken off and taken up again, at whichever process; and every way in which a stream ends says where to go on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crm_closeout::ids::TenantId;
use crm_outbox::{
    db::Db,
    sql::{Args, Sql},
};
use crm_proto::{
    common::{CloseOut, CloseOutState, Propagation, Task, TaskKind, TaskState},
    opportunity as sales, order as trade,
};
use crm_tests::{
    client::{Client, closing, reopening},
    fleet::{Databases, Fleet},
    load::{Load, Size},
    pair::Pair,
    place::Kind,
    stories, until,
};
use futures::{
    StreamExt, TryStreamExt,
    future::{join_all, try_join_all},
    stream::BoxStream,
};
use prost::Message;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

stories!(
    each_change_is_sent_once_and_a_restart_is_no_gap,
    what_passes_no_filter_is_not_sent_and_the_token_goes_on,
    who_reads_too_slowly_is_cut_off_and_goes_on_where_it_was,
    a_token_that_can_not_be_honoured_is_refused,
    a_stream_outlasts_other_calls_and_ends_with_its_service,
    a_process_has_room_for_so_many_and_gets_it_back,
);

const PATIENCE: Duration = Duration::from_secs(60);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    SalesCloseOuts,
    TradeCloseOuts,
    SellingTasks,
    OrderTasks,
}

const ALL: [Which; 4] = [Which::SalesCloseOuts, Which::TradeCloseOuts, Which::SellingTasks, Which::OrderTasks];

/// A record that was sent.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    CloseOut(Box<CloseOut>),
    Task(Box<Task>),
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Self::CloseOut(one) => &one.name,
            Self::Task(one) => &one.name,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::CloseOut(one) => one.encode_to_vec(),
            Self::Task(one) => one.encode_to_vec(),
        }
    }

    /// Grows with each change that these stories make.
    fn progress(&self) -> i64 {
        let settled = |propagation: Propagation| i64::from(propagation == Propagation::Settled);
        match self {
            Self::Task(one) => one.etag.trim_matches('"').parse().unwrap(),
            Self::CloseOut(one) => {
                let reversed = one.reversal.as_ref().map_or(0, |reversal| 1 + settled(reversal.propagation()));
                settled(one.propagation()) + reversed
            }
        }
    }
}

type Messages = BoxStream<'static, Result<(Option<Item>, String), Status>>;

fn close_outs(one: Option<CloseOut>) -> Option<Item> {
    one.map(|one| Item::CloseOut(Box::new(one)))
}

fn tasks(one: Option<Task>) -> Option<Item> {
    one.map(|one| Item::Task(Box::new(one)))
}

async fn sales_close_outs(client: &Client, request: sales::WatchCloseOutsRequest) -> Result<Messages, Status> {
    let stream = client.sales_close_outs.clone().watch_close_outs(request).await?.into_inner();
    Ok(stream.map_ok(|m| (close_outs(m.close_out), m.resume_token)).boxed())
}

async fn selling_tasks(client: &Client, request: sales::WatchTasksRequest) -> Result<Messages, Status> {
    let stream = client.selling_tasks.clone().watch_tasks(request).await?.into_inner();
    Ok(stream.map_ok(|m| (tasks(m.task), m.resume_token)).boxed())
}

impl Which {
    async fn open(self, client: &Client, token: &str) -> Result<Messages, Status> {
        let resume_token = token.to_owned();
        match self {
            Self::SalesCloseOuts => {
                let request = sales::WatchCloseOutsRequest { resume_token, ..Default::default() };
                sales_close_outs(client, request).await
            }
            Self::SellingTasks => {
                selling_tasks(client, sales::WatchTasksRequest { resume_token, ..Default::default() }).await
            }
            Self::TradeCloseOuts => {
                let request = trade::WatchCloseOutsRequest { resume_token, ..Default::default() };
                let stream = client.trade_close_outs.clone().watch_close_outs(request).await?.into_inner();
                Ok(stream.map_ok(|m| (close_outs(m.close_out), m.resume_token)).boxed())
            }
            Self::OrderTasks => {
                let request = trade::WatchTasksRequest { resume_token, ..Default::default() };
                let stream = client.order_tasks.clone().watch_tasks(request).await?.into_inner();
                Ok(stream.map_ok(|m| (tasks(m.task), m.resume_token)).boxed())
            }
        }
    }

    /// Every record as it stands.
    async fn listed(self, client: &Client) -> Vec<Item> {
        macro_rules! pages {
            ($client:expr, $method:ident, $pb:ident::$request:ident, $items:ident, $item:ident) => {{
                let (mut all, mut page_token) = (Vec::new(), String::new());
                loop {
                    let request = $pb::$request { page_token, ..Default::default() };
                    let reply = $client.clone().$method(request).await.unwrap().into_inner();
                    all.extend(reply.$items.into_iter().map(|one| Item::$item(Box::new(one))));
                    page_token = reply.next_page_token;
                    if page_token.is_empty() {
                        return all;
                    }
                }
            }};
        }
        match self {
            Self::SalesCloseOuts => {
                pages!(client.sales_close_outs, list_close_outs, sales::ListCloseOutsRequest, close_outs, CloseOut)
            }
            Self::TradeCloseOuts => {
                pages!(client.trade_close_outs, list_close_outs, trade::ListCloseOutsRequest, close_outs, CloseOut)
            }
            Self::SellingTasks => pages!(client.selling_tasks, list_tasks, sales::ListTasksRequest, tasks, Task),
            Self::OrderTasks => pages!(client.order_tasks, list_tasks, trade::ListTasksRequest, tasks, Task),
        }
    }
}

/// What a watcher has been sent in all its streams, each checked against what came before.
#[derive(Debug, Default)]
struct Watcher {
    token: String,
    last: BTreeMap<String, Item>,
    sent: HashSet<Vec<u8>>,
    /// Of each subject the last episode that was seen.
    episodes: BTreeMap<String, i64>,
    messages: usize,
}

impl Watcher {
    /// Takes a message; answers whether it had a record.
    fn take(&mut self, (item, token): (Option<Item>, String)) -> bool {
        assert!(!token.is_empty());
        self.token = token;
        let Some(item) = item else { return false };
        self.messages += 1;
        assert!(self.sent.insert(item.bytes()), "twice: {item:?}");
        let before = self.last.get(item.name());
        assert!(before.is_none_or(|before| before.progress() < item.progress()), "back from {before:?} to {item:?}");
        if let Item::CloseOut(one) = &item {
            let seen = self.episodes.entry(one.subject.clone()).or_default();
            // Seen for the first time after a later one: only where it has changed again since that was made.
            let late = before.is_none() && one.episode < *seen;
            assert!(!late || item.progress() > 1, "{} after episode {seen}", one.episode);
            *seen = one.episode.max(*seen);
        }
        self.last.insert(item.name().to_owned(), item);
        true
    }

    /// Reads on until this holds.
    async fn reads(&mut self, stream: &mut Messages, what: &str, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                let message = stream.try_next().await.unwrap().unwrap_or_else(|| panic!("it ended before: {what}"));
                self.take(message);
            }
        };
        assert!(timeout(PATIENCE, reading).await.is_ok(), "not in time: {what}");
    }

    /// Has everything as it stands.
    fn has(&self, all: &[Item]) -> bool {
        all.iter().all(|one| self.last.get(one.name()) == Some(one))
    }
}

/// A stream that has begun.
async fn begun(watcher: &mut Watcher, opened: Result<Messages, Status>) -> Messages {
    let mut stream = opened.unwrap();
    let first = stream.try_next().await.unwrap().unwrap();
    assert_eq!(first.0, None, "the first message says from where on");
    watcher.take(first);
    stream
}

/// Whether it is a close-out of this subject.
fn is_of(item: &Item, subject: &str) -> bool {
    matches!(item, Item::CloseOut(one) if one.subject == subject)
}

/// How a stream ends, and the token that it says to go on with.
fn ended(status: &Status, code: Code, reason: &str) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status:?}");
    info.metadata["resume_token"].clone()
}

async fn each_change_is_sent_once_and_a_restart_is_no_gap(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let customer = client.customer().await;
    let early = client.opportunity(&customer).await;
    client.close_out_opportunity(closing(&early)).await.unwrap();
    pair.quiet().await;
    let mut watcher = Watcher::default();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, "").await).await;
    let names = join_all((0..3).map(|_| client.opportunity(&customer))).await;
    try_join_all(names.iter().map(|name| client.close_out_opportunity(closing(name)))).await.unwrap();
    watcher
        .reads(&mut stream, "three are settled", |w| {
            let settled: Vec<_> = w.last.values().filter(|one| one.progress() == 1 && !is_of(one, &early)).collect();
            settled.len() == 3 && settled.len() + 1 >= w.last.len()
        })
        .await;
    // What was there before may come where a transaction was still under way, on whichever database of the server.
    assert!(kind == Kind::Postgres || !watcher.last.values().any(|one| is_of(one, &early)));
    // Nobody watches while one is reopened and closed out again, and the service is killed and started.
    drop(stream);
    client.reopen_opportunity(reopening(&names[0])).await.unwrap();
    client.close_out_opportunity(closing(&names[0])).await.unwrap();
    pair.opportunity.kill();
    pair.opportunity.start(&[]).await;
    pair.quiet().await;
    let client = pair.client();
    let token = watcher.token.clone();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, &token).await).await;
    let all: Vec<_> = Which::SalesCloseOuts.listed(&client).await;
    let since: Vec<_> = all.into_iter().filter(|one| !is_of(one, &early)).collect();
    assert_eq!(since.len(), 4);
    watcher.reads(&mut stream, "it is all there", |w| w.has(&since)).await;
    let of_first = watcher.last.values().filter(|one| is_of(one, &names[0]));
    assert_eq!(of_first.map(Item::progress).collect::<Vec<_>>(), [3, 1], "both episodes");
    // The same from the first token again: the same records, each as it is now, and nothing else.
    let mut again = Watcher::default();
    let mut stream = Which::SalesCloseOuts.open(&client, &token).await.unwrap();
    again.reads(&mut stream, "the rest is there", |w| w.last.len() == 2).await;
    pair.end().await;
}

async fn what_passes_no_filter_is_not_sent_and_the_token_goes_on(kind: Kind) {
    let pair = Pair::started(kind).await;
    let (client, bob) = (pair.client(), pair.client_of(pair.tenant, "bob"));
    let [one, other] = [client.customer().await, client.customer().await];
    let [mine, theirs] = [client.opportunity(&one).await, bob.opportunity(&other).await];
    let reversed = vec![CloseOutState::Reversed.into()];
    type Filter = sales::WatchCloseOutsRequest;
    let filters = [
        Filter { customer: one.clone(), ..Default::default() },
        Filter { subject: mine.clone(), ..Default::default() },
        Filter { actor: "ann".into(), ..Default::default() },
        Filter { owner: "ann".into(), ..Default::default() },
        Filter { reason: "closeOutReasons/NO_INTENT_NOW".into(), ..Default::default() },
        Filter { states: reversed, ..Default::default() },
        Filter { cause: format!("closeOuts/{}", Uuid::now_v7()), ..Default::default() },
    ];
    let mut watchers: Vec<_> = Vec::new();
    for filter in &filters {
        let mut watcher = Watcher::default();
        let stream = begun(&mut watcher, sales_close_outs(&client, filter.clone()).await).await;
        watchers.push((watcher, stream));
    }
    let task = client.selling_task(&mine, TaskKind::Demo).await;
    let mut of_bob = Watcher::default();
    let request = sales::WatchTasksRequest {
        assignee: "ann".into(),
        states: vec![TaskState::Cancelled.into()],
        ..Default::default()
    };
    let mut cancelled = begun(&mut of_bob, selling_tasks(&client, request).await).await;
    let close = sales::CloseOutOpportunityRequest { reason: "closeOutReasons/UNRESPONSIVE".into(), ..closing(&theirs) };
    bob.close_out_opportunity(close).await.unwrap();
    let close = sales::CloseOutOpportunityRequest { reason: "closeOutReasons/NO_INTENT_NOW".into(), ..closing(&mine) };
    let closed = client.close_out_opportunity(close).await.unwrap().close_out.unwrap().name;
    bob.reopen_opportunity(reopening(&theirs)).await.unwrap();
    pair.quiet().await;
    let (mine_as_it_is, theirs_as_it_is) = {
        let all = Which::SalesCloseOuts.listed(&client).await;
        let of = |subject: &str| {
            all.iter().find(|one| matches!(one, Item::CloseOut(one) if one.subject == subject)).unwrap().clone()
        };
        (of(&mine), of(&theirs))
    };
    let last = filters.len() - 1;
    for (nth, (watcher, stream)) in watchers.iter_mut().enumerate() {
        let sent = match nth {
            _ if nth == last => Vec::new(),
            _ if nth == last - 1 => vec![theirs_as_it_is.clone()],
            _ => vec![mine_as_it_is.clone()],
        };
        let (before, what) = (watcher.token.clone(), format!("{:?}", filters[nth]));
        watcher.reads(stream, &what, |w| w.has(&sent) && w.token != before).await;
        assert_eq!(watcher.last.len(), sent.len(), "{what}");
    }
    of_bob.reads(&mut cancelled, "the task is cancelled", |w| w.last.contains_key(&task)).await;
    assert!(matches!(&of_bob.last[&task], Item::Task(one) if one.closed_by == closed));
    pair.end().await;
}

/// As many characters as a detail may have, three bytes each.
fn long_detail() -> String {
    "长".repeat(2_000)
}

async fn who_reads_too_slowly_is_cut_off_and_goes_on_where_it_was(kind: Kind) {
    const MANY: usize = 200;
    let pair = Pair::started(kind).await;
    let (client, reader) = (pair.client(), pair.client());
    let customer = client.customer().await;
    let mut watcher = Watcher::default();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&reader, "").await).await;
    for _ in 0..MANY / 20 {
        let names = join_all((0..20).map(|_| client.opportunity(&customer))).await;
        let closing = |name: &String| sales::CloseOutOpportunityRequest { detail: long_detail(), ..closing(name) };
        try_join_all(names.iter().map(|name| client.close_out_opportunity(closing(name)))).await.unwrap();
    }
    until("the reader is cut off", PATIENCE * 2, || async {
        pair.opportunity.log().iter().any(|line| line.contains("too slow")).then_some(())
    })
    .await;
    let status = loop {
        match stream.try_next().await {
            Ok(message) => watcher.take(message.unwrap()),
            Err(status) => break status,
        };
    };
    let token = ended(&status, Code::Aborted, "WATCH_TOO_SLOW");
    let all = Which::SalesCloseOuts.listed(&client).await;
    assert!(all.len() == MANY && watcher.last.len() < MANY, "{} were sent", watcher.last.len());
    let mut stream = Which::SalesCloseOuts.open(&reader, &token).await.unwrap();
    watcher.reads(&mut stream, "the rest", |w| w.has(&all)).await;
    pair.end().await;
}

async fn execute(db: &Db, text: &str) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(&Sql::plain(text), Args::none()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_token_that_can_not_be_honoured_is_refused(kind: Kind) {
    let pair = Pair::started(kind).await;
    let client = pair.client();
    let mut watcher = Watcher::default();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, "").await).await;
    let empty = watcher.token.clone();
    let customer = client.customer().await;
    let [first, second] = [client.opportunity(&customer).await, client.opportunity(&customer).await];
    client.close_out_opportunity(closing(&first)).await.unwrap();
    watcher.reads(&mut stream, "the first", |w| w.last.len() == 1).await;
    let early = watcher.token.clone();
    client.close_out_opportunity(closing(&second)).await.unwrap();
    pair.quiet().await;
    let all = Which::SalesCloseOuts.listed(&client).await;
    watcher.reads(&mut stream, "the second", |w| w.has(&all)).await;
    let late = watcher.token.clone();

    let refused = |opened: Result<Messages, Status>, code: Code, reason: &str| {
        let status = opened.err().unwrap();
        let field = status.get_details_bad_request().map(|bad| bad.field_violations[0].reason.clone());
        let told = field.unwrap_or_else(|| status.get_details_error_info().unwrap().reason);
        assert_eq!((status.code(), told.as_str()), (code, reason), "{status:?}");
    };
    let strange = |opened| refused(opened, Code::InvalidArgument, "INVALID_RESUME_TOKEN");
    for token in ["x", &late[1..], &late.to_uppercase().replace('1', "A")] {
        strange(Which::SalesCloseOuts.open(&client, token).await);
    }
    strange(Which::TradeCloseOuts.open(&client, &late).await);
    strange(Which::SellingTasks.open(&client, &late).await);
    let request =
        sales::WatchCloseOutsRequest { resume_token: late.clone(), actor: "ann".into(), ..Default::default() };
    strange(sales_close_outs(&client, request).await);
    strange(Which::SalesCloseOuts.open(&pair.client_of(TenantId(Uuid::now_v7()), "ann"), &late).await);

    // After a restored backup the database has not come as far as the token has: its first number is that of a commit to come.
    let gone = |opened| refused(opened, Code::FailedPrecondition, "RESUME_TOKEN_EXPIRED");
    let (tag, place) = late.split_at(18);
    gone(Which::SalesCloseOuts.open(&client, &format!("{tag}7f{}", &place[2..])).await);
    // Or the commit is another one.
    let other = if late.as_bytes()[40] == b'0' { "1" } else { "0" };
    gone(Which::SalesCloseOuts.open(&client, &format!("{}{other}{}", &late[..40], &late[41..])).await);
    // What is old is not kept, but for the last commit: who has come so far has missed nothing.
    let (db, _) = pair.databases().await;
    execute(&db, "DELETE FROM watch_log WHERE tx < (SELECT max(tx) FROM watch_log)").await;
    db.close().await;
    gone(Which::SalesCloseOuts.open(&client, &early).await);
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, &late).await).await;
    // Nor does a stream pass over what is gone from under it.
    let (db, _) = pair.databases().await;
    execute(&db, "DELETE FROM watch_log").await;
    db.close().await;
    client.reopen_opportunity(reopening(&first)).await.unwrap();
    let status = loop {
        match timeout(PATIENCE, stream.try_next()).await.unwrap() {
            Ok(message) => assert!(!watcher.take(message.unwrap())),
            Err(status) => break status,
        }
    };
    gone(Err(status));
    // There was nothing yet when this one was given, less than seven days ago.
    drop(Which::SalesCloseOuts.open(&client, &empty).await.unwrap());
    pair.end().await;
}

async fn a_stream_outlasts_other_calls_and_ends_with_its_service(kind: Kind) {
    let mut pair = Pair::started(kind).await;
    let client = pair.client();
    let mut watcher = Watcher::default();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, "").await).await;
    // The caller's own deadline counts.
    let mut request = Request::new(sales::WatchTasksRequest::default());
    request.set_timeout(Duration::from_secs(1));
    let mut short = client.selling_tasks.clone().watch_tasks(request).await.unwrap().into_inner();
    let first = short.message().await.unwrap().unwrap();
    let status = short.message().await.unwrap_err();
    assert_eq!(ended(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), first.resume_token);
    // Any other call is answered within ten seconds; here that is the time of two more messages without anything.
    for _ in 0..3 {
        let message = timeout(PATIENCE, stream.try_next()).await.unwrap().unwrap().unwrap();
        assert!(!watcher.take(message));
    }
    let customer = client.customer().await;
    let opportunity = client.opportunity(&customer).await;
    client.close_out_opportunity(closing(&opportunity)).await.unwrap();
    watcher.reads(&mut stream, "it is sent", |w| w.last.values().any(|one| one.progress() == 1)).await;
    let (exit, took) = pair.opportunity.terminated().await;
    assert!(exit.success() && took < Duration::from_secs(10), "{exit} after {took:?}");
    let status = loop {
        match stream.try_next().await {
            Ok(message) => assert!(!watcher.take(message.unwrap())),
            Err(status) => break status,
        }
    };
    let token = ended(&status, Code::Unavailable, "SHUTTING_DOWN");
    pair.opportunity.start(&[]).await;
    let client = pair.client();
    client.reopen_opportunity(reopening(&opportunity)).await.unwrap();
    pair.quiet().await;
    let all = Which::SalesCloseOuts.listed(&client).await;
    let mut stream = Which::SalesCloseOuts.open(&client, &token).await.unwrap();
    watcher.reads(&mut stream, "it goes on", |w| w.has(&all)).await;
    pair.end().await;
}

async fn a_process_has_room_for_so_many_and_gets_it_back(kind: Kind) {
    const ROOM: usize = 512;
    const OF_ONE: usize = 32;
    let pair = Pair::started(kind).await;
    pair.client().customer().await;
    let open = async |client: &Client| Which::OrderTasks.open(client, "").await;
    let full = async |client: &Client, most: usize| {
        let status = open(client).await.err().unwrap();
        let info = status.get_details_error_info().unwrap();
        let told = (status.code(), info.reason.as_str(), info.metadata["most"].as_str());
        assert_eq!(told, (Code::ResourceExhausted, "TOO_MANY_WATCHES", most.to_string().as_str()));
    };
    let mut streams = Vec::new();
    for nth in 0..ROOM / OF_ONE {
        let client = pair.client_of(pair.tenant, &format!("rep{nth}"));
        for _ in 0..OF_ONE {
            streams.push(until("a stream is open", PATIENCE, || async { open(&client).await.ok() }).await);
        }
        full(&client, if streams.len() < ROOM { OF_ONE } else { ROOM }).await;
    }
    let client = pair.client();
    full(&client, ROOM).await;
    drop(streams);
    drop(until("there is room again", PATIENCE, || async { open(&client).await.ok() }).await);
    pair.end().await;
}

/// Watches at one process after the other, a few messages at each, until all is done and it has everything as it stands.
async fn watches(clients: [Client; 2], which: Which, done: watch::Receiver<bool>, token: String) -> Watcher {
    let mut watcher = Watcher { token, ..Watcher::default() };
    for round in 0.. {
        let client = &clients[round % clients.len()];
        if let Ok(mut stream) = which.open(client, &watcher.token).await {
            let most = 2 + round * 7 % 40;
            for nth in 0..most {
                // Where it breaks off, as the process is killed, it goes on at the other one.
                let Ok(Some(message)) = timeout(PATIENCE, stream.try_next()).await.unwrap() else { break };
                if !watcher.take(message) && nth > 0 {
                    break;
                }
            }
        }
        if *done.borrow() && watcher.has(&which.listed(client).await) {
            break;
        }
    }
    watcher
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn of_many_writers_at_two_replicas_nothing_is_missed_and_nothing_sent_twice() {
    let mut fleet = Fleet::started(Kind::Postgres, 2, Databases::Direct).await;
    let clients = [fleet.client(0), fleet.client(1)];
    let (all_is_done, done) = watch::channel(false);
    let mut watching = Vec::new();
    for which in ALL {
        let mut watcher = Watcher::default();
        drop(begun(&mut watcher, which.open(&clients[0], "").await).await);
        watching.push(tokio::spawn(watches(clients.clone(), which, done.clone(), watcher.token)));
    }
    let size = Size { callers: 4, at_once: 4 };
    let load = Load::start(&fleet, size, 0).await;
    load.does(200).await;
    for nth in [1, 0] {
        fleet.opportunity[nth].service.kill();
        fleet.order[nth].service.kill();
        load.does(100).await;
        fleet.opportunity[nth].service.start(&[]).await;
        fleet.order[nth].service.start(&[]).await;
        load.does(100).await;
    }
    load.stop().await;
    all_is_done.send_replace(true);
    for (which, watcher) in ALL.iter().zip(join_all(watching).await) {
        let watcher = watcher.unwrap();
        println!("{which:?}: {} messages about {} records", watcher.messages, watcher.last.len());
        // A record that changes often may be sent only as it is in the end, but each opportunity and order has one of each kind.
        assert!(watcher.last.len() >= size.callers * size.at_once, "{which:?}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn a_transaction_that_commits_late_holds_back_what_comes_after_it() {
    let pair = Pair::started(Kind::Postgres).await;
    let client = pair.client();
    let customer = client.customer().await;
    let [first, second] = [client.opportunity(&customer).await, client.opportunity(&customer).await];
    let first = client.close_out_opportunity(closing(&first)).await.unwrap().close_out.unwrap().name;
    pair.quiet().await;
    let mut watcher = Watcher::default();
    let mut stream = begun(&mut watcher, Which::SalesCloseOuts.open(&client, "").await).await;
    // As another process would: what changes stands in the log with the number of its transaction.
    let mut late = PgConnection::connect(&pair.place.opportunity).await.unwrap();
    let (tenant, id) = (pair.tenant.0, first.trim_start_matches("closeOuts/"));
    let tx = "pg_current_xact_id()::text::bigint";
    late.execute("BEGIN").await.unwrap();
    let change =
        format!("UPDATE close_out SET changed_in = {tx} WHERE tenant_id = '{tenant}' AND close_out_id = '{id}'");
    late.execute(AssertSqlSafe(change)).await.unwrap();
    let log = format!(
        "INSERT INTO watch_log (tenant_id, place, written_at, tx, entries) \
         VALUES ('{tenant}', {tx}, 0, {tx}, '\\x01{}')",
        id.replace('-', "")
    );
    late.execute(AssertSqlSafe(log)).await.unwrap();
    let second = client.close_out_opportunity(closing(&second)).await.unwrap().close_out.unwrap().name;
    pair.quiet().await;
    let next = timeout(PATIENCE, stream.try_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.0, None, "what comes after it is held back");
    watcher.take(next);
    late.execute("COMMIT").await.unwrap();
    let mut order = Vec::new();
    while order.len() < 2 {
        let (item, token) = timeout(PATIENCE, stream.try_next()).await.unwrap().unwrap().unwrap();
        order.extend(item.iter().map(|item| item.name().to_owned()));
        watcher.take((item, token));
    }
    assert_eq!(order, [first, second]);
    late.close().await.unwrap();
    pair.end().await;
}
