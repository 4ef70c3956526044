//! Callers that close out and reopen without a pause, each its own opportunities and orders, so that it knows what every call has
//! to be answered; and how a caller behaves that knows several processes.

use crate::{
    client::{Client, cancelling, closing, reopening},
    fleet::Fleet,
    until,
};
use crm_proto::{
    common::{TaskKind, Wait},
    opportunity as sales, order as trade,
};
use fastrand::Rng;
use futures::future::join_all;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Status};
use uuid::Uuid;

const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Calls that go to one process before it is the next one's turn.
const ROUND: usize = 32;
/// A caller waits so long for an answer; a process that stands still gives none.
const DEADLINE: Duration = Duration::from_secs(5);
/// So long a call may be in vain while faults come and go.
const PATIENCE: Duration = Duration::from_secs(120);

/// A caller that is given several processes of each service, and goes on to the next when one does not answer.
#[derive(Clone, Debug)]
pub struct Caller {
    clients: Arc<Vec<Client>>,
    turn: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Caller {
    /// One client for each process; it begins with the first, and goes round, so that one that was away is asked again.
    pub fn new(clients: Vec<Client>) -> Self {
        Self { clients: Arc::new(clients), turn: Arc::default(), calls: Arc::default() }
    }

    /// The client of the process whose turn it is.
    pub fn client(&self) -> Client {
        self.clients[self.turn.load(Ordering::Relaxed) % self.clients.len()].clone()
    }

    /// Makes a call; where nobody answers (UNAVAILABLE) the same again elsewhere: at most 4 tries, after 100 ms and twice as long
    /// each time, give or take a fifth. A call without an answer in time is not repeated here.
    pub async fn call<T, F: Future<Output = Result<T, Status>>>(
        &self,
        make: impl Fn(Client) -> F,
    ) -> Result<T, Status> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % ROUND == ROUND - 1 {
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.once(&make).await {
                Err(status) if status.code() == Code::Unavailable => {}
                answer => return answer,
            }
            tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
            pause *= 2;
        }
        self.once(&make).await
    }

    async fn once<T, F: Future<Output = Result<T, Status>>>(&self, make: impl Fn(Client) -> F) -> Result<T, Status> {
        let turn = self.turn.load(Ordering::Relaxed);
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        let answer = timeout(DEADLINE, make(self.client())).await.unwrap_or_else(late);
        if answer.as_ref().is_err_and(is_unknown) {
            // Several calls of one caller may find out at the same time.
            let _ = self.turn.compare_exchange(turn, turn + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        answer
    }

    /// Makes the same call until it is known what became of it; counts in `repeats` how often it was made again.
    pub async fn insist<T, F>(&self, repeats: &AtomicU64, make: impl Fn(Client) -> F) -> T
    where
        F: Future<Output = Result<T, Status>>,
    {
        let make = &make;
        until("the call is answered", PATIENCE, || async move {
            match self.call(make).await {
                Ok(answer) => return Some(answer),
                Err(status) if is_unknown(&status) || is_busy(&status) => println!("a call was in vain: {status:?}"),
                Err(status) => panic!("{status}"),
            }
            repeats.fetch_add(1, Ordering::Relaxed);
            None
        })
        .await
    }
}

/// Nobody has said what became of the call. A status with a source was made by the client itself, when the connection broke.
fn is_unknown(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown)
        || std::error::Error::source(status).is_some()
}

/// It was not done, and may be tried again.
fn is_busy(status: &Status) -> bool {
    matches!(status.code(), Code::Aborted | Code::ResourceExhausted)
}

#[derive(Clone, Debug)]
enum Subject {
    Opportunity(String),
    Order(String),
}

/// What is asked about a subject.
#[derive(Clone, Debug)]
enum Call {
    Close(sales::CloseOutOpportunityRequest),
    Reopen(sales::ReopenOpportunityRequest),
    CloseOrder(trade::CloseOutOrderRequest),
    ReopenOrder(trade::ReopenOrderRequest),
}

impl Subject {
    fn close_out(&self, wait: Wait) -> Call {
        let wait = wait.into();
        match self {
            Self::Opportunity(name) => Call::Close(sales::CloseOutOpportunityRequest { wait, ..closing(name) }),
            Self::Order(name) => Call::CloseOrder(trade::CloseOutOrderRequest { wait, ..cancelling(name) }),
        }
    }

    fn reopen(&self, wait: Wait) -> Call {
        let wait = wait.into();
        match self {
            Self::Opportunity(name) => Call::Reopen(sales::ReopenOpportunityRequest { wait, ..reopening(name) }),
            Self::Order(name) => {
                let (name, request_id) = (name.clone(), Uuid::now_v7().to_string());
                Call::ReopenOrder(trade::ReopenOrderRequest { name, request_id, wait, ..Default::default() })
            }
        }
    }
}

impl Call {
    async fn make(self, client: Client) -> Result<(), Status> {
        match self {
            Self::Close(request) => client.close_out_opportunity(request).await.map(drop),
            Self::Reopen(request) => client.reopen_opportunity(request).await.map(drop),
            Self::CloseOrder(request) => client.close_out_order(request).await.map(drop),
            Self::ReopenOrder(request) => client.reopen_order(request).await.map(drop),
        }
    }
}

/// How many callers there are, and how hard they work.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Callers, each with connections of its own.
    pub callers: usize,
    /// Calls of one caller at once.
    pub at_once: usize,
}

/// What the callers did.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// Close-outs and reopenings that were answered with OK.
    pub done: u64,
    /// Times that a call was made again, four tries having been in vain.
    pub repeats: u64,
    /// How long it took.
    pub took: Duration,
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    began: Instant,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    repeats: Arc<AtomicU64>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Makes what the callers work on, an opportunity with a draft order and tasks and an order by itself for each call at once;
    /// then they begin. `seed` decides who waits for the other service.
    pub async fn start(fleet: &Fleet, size: Size, seed: u64) -> Self {
        Self::of((0..size.callers).map(|nth| fleet.caller(nth % fleet.opportunity.len())).collect(), size.at_once, seed)
            .await
    }

    /// The same by callers that know only the n-th process of each service.
    pub async fn start_at(fleet: &Fleet, nth: usize, size: Size, seed: u64) -> Self {
        Self::of((0..size.callers).map(|_| Caller::new(vec![fleet.client(nth)])).collect(), size.at_once, seed).await
    }

    async fn of(callers: Vec<Caller>, at_once: usize, seed: u64) -> Self {
        let prepared = callers.into_iter().map(|caller| async move {
            let client = caller.client();
            let customer = client.customer().await;
            let subjects = join_all((0..at_once).map(|_| subjects(&client, &customer))).await;
            (caller, subjects)
        });
        let prepared = join_all(prepared).await;
        let (stop, done, repeats) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::default());
        let mut rng = Rng::with_seed(seed);
        let mut working = Vec::new();
        for (caller, lines) in prepared {
            for subjects in lines {
                let (caller, stop, done, repeats) = (caller.clone(), stop.clone(), done.clone(), Arc::clone(&repeats));
                let rng = rng.fork();
                working.push(tokio::spawn(work(caller, subjects, rng, stop, done, repeats)));
            }
        }
        Self { began: Instant::now(), stop, done, repeats, callers: working }
    }

    /// Close-outs and reopenings so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until so many more are done.
    pub async fn does(&self, more: u64) {
        let enough = self.done() + more;
        until("the callers get on", PATIENCE, || async { (self.done() >= enough).then_some(()) }).await;
    }

    /// The callers finish the calls that they have begun; every one of them has to be answered with OK.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let tally = Tally {
            done: self.done.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
            took: self.began.elapsed(),
        };
        let (done, took) = (tally.done, tally.took);
        println!(
            "{done} close-outs and reopenings in {took:.1?}, {:.0} a second; {} times a call was in vain",
            done as f64 / took.as_secs_f64(),
            tally.repeats
        );
        tally
    }
}

async fn subjects(client: &Client, customer: &str) -> Vec<Subject> {
    let opportunity = client.opportunity(customer).await;
    client.order(customer, &opportunity).await;
    client.selling_task(&opportunity, TaskKind::FollowUp).await;
    let order = client.order(customer, "").await;
    client.order_task(&order, TaskKind::Deliver).await;
    vec![Subject::Opportunity(opportunity), Subject::Order(order)]
}

async fn work(
    caller: Caller,
    subjects: Vec<Subject>,
    mut rng: Rng,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    repeats: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::Relaxed) {
        for subject in &subjects {
            let wait = if rng.u8(..8) == 0 { Wait::Peer } else { Wait::None };
            for call in [subject.close_out(wait), subject.reopen(Wait::None)] {
                caller.insist(&repeats, |client| call.clone().make(client)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
