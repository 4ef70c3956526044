//! How hard the peer may be asked: a breaker for each of its addresses, and a budget for what is sent again. In go the answers of
//! calls, out comes whether another one may be made. Knows no messages.

use super::held::BATCH;
use std::time::Duration;
use tokio::time::Instant;

/// Calls at once to one address: while one is worked on, the next is on its way. More full ones would wait longer than a call is given.
pub(super) const CALLS: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const FAILURES_TO_DOWN: u32 = 3;

/// Whether one address of the peer is asked. Closed: it is. Open: only an empty call asks now and then whether it is back.
/// Trying: it answered such a call, and one real call shows whether it works, too.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
    resume: Instant,
    in_flight: usize,
    window: usize,
    /// The call under way must be the only one.
    alone: bool,
    /// Most messages of a call: less for a peer that is slow.
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open,
    Trying,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed,
            failures: 0,
            resume: Instant::now(),
            in_flight: 0,
            window: CALLS,
            alone: false,
            most: BATCH,
        }
    }

    /// A call with messages may be made.
    pub(super) fn may_send(&self) -> bool {
        match self.state {
            State::Closed => self.in_flight < self.window && !self.alone,
            State::Trying => self.in_flight == 0,
            State::Open => false,
        }
    }

    /// Only empty calls are made.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// An empty call is due.
    pub(super) fn may_probe(&self, now: Instant) -> bool {
        self.state == State::Open && self.in_flight == 0 && now >= self.resume
    }

    /// When the next empty call is due, if one is to be made at all.
    pub(super) fn probes_at(&self) -> Option<Instant> {
        (self.state == State::Open && self.in_flight == 0).then_some(self.resume)
    }

    /// Nobody should wait for this address.
    pub(super) fn is_down(&self) -> bool {
        self.state == State::Open && self.failures >= FAILURES_TO_DOWN
    }

    /// Most messages that the next call may have.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A call came too late: the next ones are smaller.
    pub(super) fn shrink(&mut self) {
        self.most = (self.most / 2).max(1);
    }

    /// Calls under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A call is made; `alone`: no other one may be made beside it.
    pub(super) fn called(&mut self, alone: bool) {
        self.in_flight += 1;
        self.alone = alone;
    }

    fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.alone = false;
    }

    /// A call was answered; `probe`: an empty one. After an outage the calls at once grow from one again. Answers whether an
    /// outage has ended by this.
    pub(super) fn works(&mut self, probe: bool) -> bool {
        self.answered();
        match self.state {
            State::Closed => {
                self.window = (self.window + 1).min(CALLS);
                self.most = (self.most + self.most / 4 + 1).min(BATCH);
            }
            State::Trying if !probe => {
                let failures = std::mem::take(&mut self.failures);
                self.state = State::Closed;
                return failures >= FAILURES_TO_DOWN;
            }
            State::Open | State::Trying => (self.state, self.window) = (State::Trying, 1),
        }
        false
    }

    /// A call failed; `wait`: the time the peer asked for. Of calls that fail together only the first one counts. Answers whether
    /// an outage has begun by this.
    pub(super) fn fails(&mut self, probe: bool, wait: Option<Duration>) -> bool {
        self.answered();
        if self.state == State::Open && !probe {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.open(wait);
        self.failures == FAILURES_TO_DOWN
    }

    /// The peer does not know this service: down at once. Answers whether an outage has begun by this.
    pub(super) fn denied(&mut self) -> bool {
        self.answered();
        let begins = self.failures < FAILURES_TO_DOWN;
        self.failures = self.failures.saturating_add(1).max(FAILURES_TO_DOWN);
        self.open(Some(LONGEST_PAUSE));
        begins
    }

    fn open(&mut self, wait: Option<Duration>) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.state = State::Open;
        self.resume = Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0).max(wait.unwrap_or_default());
    }
}

/// What may be sent again: a tenth of what arrived, and ten calls a second.
#[derive(Debug)]
pub(super) struct Budget {
    calls: f64,
    filled: Instant,
}

const PER_SECOND: f64 = 10.0;
const PER_SUCCESS: f64 = 0.1;
const MOST: f64 = 20.0;

impl Budget {
    pub(super) fn new() -> Self {
        Self { calls: MOST, filled: Instant::now() }
    }

    /// A call arrived.
    pub(super) fn earn(&mut self) {
        self.calls = (self.calls + PER_SUCCESS).min(MOST);
    }

    /// There is something left for a call that repeats.
    pub(super) fn allows(&mut self) -> bool {
        let now = Instant::now();
        self.calls = (self.calls + PER_SECOND * (now - self.filled).as_secs_f64()).min(MOST);
        self.filled = now;
        self.calls >= 1.0
    }

    /// A call that repeats is made.
    pub(super) fn spend(&mut self) {
        self.calls -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_failures(count: u32) -> Breaker {
        let mut breaker = Breaker::new();
        for failure in 0..count {
            breaker.called(false);
            breaker.fails(failure > 0, None);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_lets_only_a_probe_through_when_its_time_comes() {
        let mut breaker = after_failures(1);
        assert!(!breaker.may_send() && !breaker.is_down());
        assert!(!breaker.may_probe(Instant::now()));
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(breaker.may_probe(Instant::now()));
        breaker.called(false);
        assert!(!breaker.may_probe(Instant::now()), "one at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_are_an_outage() {
        assert!(!after_failures(2).is_down());
        let mut breaker = after_failures(3);
        assert!(breaker.is_down());
        breaker.called(false);
        assert!(!breaker.works(true), "it may still be unable to do anything");
        assert!(!breaker.is_down(), "but who wants to may wait for it");
        breaker.called(false);
        assert!(breaker.works(false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_back_gets_one_call_then_more() {
        let mut breaker = after_failures(5);
        breaker.called(false);
        breaker.works(true);
        let mut at_once = Vec::new();
        for _ in 0..6 {
            let mut calls = 0;
            while breaker.may_send() {
                breaker.called(false);
                calls += 1;
            }
            at_once.push(calls);
            for _ in 0..calls {
                breaker.works(false);
            }
        }
        assert_eq!((at_once[0], at_once[1], at_once[5]), (1, 1, CALLS), "{at_once:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_but_can_do_nothing_is_asked_ever_less() {
        let mut breaker = Breaker::new();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker.called(false);
            breaker.fails(false, None);
            pauses.push(breaker.resume - Instant::now());
            breaker.called(false);
            breaker.works(true);
        }
        assert!(pauses[7] >= LONGEST_PAUSE / 2, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_fail_together_count_once() {
        let mut breaker = Breaker::new();
        (0..CALLS).for_each(|_| breaker.called(false));
        for _ in 0..CALLS {
            breaker.fails(false, None);
        }
        assert!(!breaker.is_down());
        assert_eq!((breaker.in_flight, breaker.failures), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn beside_a_call_that_must_be_alone_there_is_no_other() {
        let mut breaker = Breaker::new();
        breaker.called(true);
        assert!(!breaker.may_send());
        breaker.works(false);
        assert!(breaker.may_send());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_names_a_time_is_left_alone_until_then() {
        let mut breaker = Breaker::new();
        breaker.called(false);
        breaker.fails(false, Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!breaker.may_probe(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.may_probe(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_are_a_tenth_of_what_arrives_and_ten_a_second() {
        let mut budget = Budget::new();
        let mut spend = || {
            let mut calls = 0;
            while budget.allows() {
                budget.spend();
                calls += 1;
            }
            calls
        };
        assert_eq!((spend(), spend()), (20, 0));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(spend(), 5);
        (0..100).for_each(|_| budget.earn());
        let mut repeats = 0;
        while budget.allows() {
            budget.spend();
            repeats += 1;
        }
        assert!((9..=10).contains(&repeats), "{repeats}");
    }
}
