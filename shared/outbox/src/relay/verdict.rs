//! What an answer of the peer means for a message: confirmed, again, later, or an operator has to look. One place for the
//! whole table; pure.

use super::held::Held;
use crate::{
    settle::{Fault, Later, Settled},
    wire::{Received, Reject},
};
use std::{error::Error as _, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const REFUSALS: i64 = 10;
/// Nine pauses, each twice as long as the one before, make a quarter of an hour.
const FIRST_REFUSED: Duration = Duration::from_millis(1_761);
const UNKNOWN_EVERY: Duration = Duration::from_secs(60);
const UNKNOWN_FOR: i64 = 24 * 3_600 * 1_000_000;
/// What was claimed is asked about from memory so often while there is a gap before it; then the table keeps it.
const GAPS_IN_MEMORY: u32 = 4;
const GAP_EVERY: Duration = Duration::from_secs(1);
const GAP_FOR: i64 = 600 * 1_000_000;
/// Losses that are counted before the one that parks a message. With two calls that count as one this makes seven calls: two with
/// others, one in a half, four alone.
const LOSSES: i64 = 5;
const FIRST_LOST: Duration = Duration::from_millis(200);
const LONGEST_LOST: Duration = Duration::from_secs(60);

/// What is to become of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// This is to be written.
    Settled(Settled),
    /// It is sent again soon, from memory.
    Again,
    /// It is parked if nothing before it is in the outbox, and waits otherwise.
    ParkedUnlessAwaited(Later),
}

/// What the outcome of a message means. `now`: microseconds since 1970.
pub(super) fn of_outcome(held: &Held, received: Received, now: i64) -> Fate {
    let row = &held.row;
    match received {
        Received::Applied(applied) | Received::Duplicate(applied) => Fate::Settled(Settled::Acked(applied)),
        // One that was never claimed is behind others that somebody delivers; its own lease is time enough.
        Received::Gap(_) if row.attempts == 0 || held.tries <= GAPS_IN_MEMORY => Fate::Again,
        Received::Gap(expected) => {
            let text = format!("the peer waits for number {expected} of this lane");
            let later = Later { after: GAP_EVERY, fault: Fault::Gap(expected), text };
            if row.gap_at == expected && now - row.gap_since.0 >= GAP_FOR {
                Fate::ParkedUnlessAwaited(later)
            } else {
                Fate::Settled(Settled::Later(later))
            }
        }
        Received::Rejected(Reject::Malformed(text) | Reject::SequenceReused(text)) => {
            Fate::Settled(Settled::Parked(text))
        }
        Received::Rejected(Reject::UnknownKind(text)) => {
            let early = now - row.created_at.0 < UNKNOWN_FOR;
            let later = Later { after: UNKNOWN_EVERY, fault: Fault::Unknown, text: text.clone() };
            Fate::Settled(if early { Settled::Later(later) } else { Settled::Parked(text) })
        }
        Received::Rejected(Reject::Internal(text)) => Fate::Settled(refused(row.refusals, text)),
    }
}

/// The receiver is at fault itself, for the `before + 1`-th time.
fn refused(before: i64, text: String) -> Settled {
    if before + 1 >= REFUSALS {
        return Settled::Parked(text);
    }
    let after = FIRST_REFUSED.saturating_mul(1 << before.clamp(0, 16));
    Settled::Later(Later { after, fault: Fault::Refused, text })
}

/// What the failure of a whole call means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallFault {
    /// Nobody answered.
    Lost,
    /// Nobody answered in time.
    Late,
    /// The peer answered that it can do nothing now; it may have said when to come back.
    Busy(Option<Duration>),
    /// The peer does not take calls of this service.
    Denied,
    /// Something in the call is not to the peer's liking.
    Content,
}

/// What the status of a whole call means. One that has a cause on this side was not sent by the peer.
pub(super) fn of_call(status: &Status) -> CallFault {
    match status.code() {
        Code::DeadlineExceeded => CallFault::Late,
        _ if status.source().is_some() => CallFault::Lost,
        Code::Cancelled => CallFault::Lost,
        Code::Unavailable | Code::Aborted | Code::ResourceExhausted => {
            CallFault::Busy(status.get_details_retry_info().and_then(|info| info.retry_delay))
        }
        Code::Unauthenticated | Code::PermissionDenied => CallFault::Denied,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => CallFault::Content,
    }
}

/// What a failed call means for a message in it; `single`: nothing else was in the call; `alone`: and no other call to that address
/// was under way. A call with many that comes too late says only that there were too many.
pub(super) fn of_message(held: &Held, fault: &CallFault, single: bool, alone: bool, text: &str) -> Fate {
    let losses = held.row.losses;
    let counted = |after| {
        let text = format!("a call with it failed: {text}");
        Fate::Settled(Settled::Later(Later { after, fault: Fault::Lost, text }))
    };
    match fault {
        CallFault::Busy(_) | CallFault::Denied => Fate::Again,
        CallFault::Late if !single => Fate::Again,
        CallFault::Lost | CallFault::Late if !held.lost && losses == 0 => Fate::Again,
        CallFault::Lost | CallFault::Late if alone && losses >= LOSSES => {
            let text = format!("the peer broke off each call with this message alone; the last time: {text}");
            Fate::Settled(Settled::Parked(text))
        }
        CallFault::Lost | CallFault::Late => {
            counted(super::jitter(FIRST_LOST, LONGEST_LOST, losses.clamp(0, 16) as u32))
        }
        CallFault::Content if alone => Fate::Settled(refused(held.row.refusals, text.to_owned())),
        CallFault::Content => counted(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::held::tests::held, *};
    use crm_closeout::{
        fact::{Applied, PeerOutcome},
        time::Time,
    };

    const MINUTE: i64 = 60 * 1_000_000;

    fn later(fate: Fate) -> Later {
        match fate {
            Fate::Settled(Settled::Later(later)) => later,
            other @ (Fate::Settled(_) | Fate::Again | Fate::ParkedUnlessAwaited(_)) => unreachable!("{other:?}"),
        }
    }

    fn is_parked(fate: &Fate) -> bool {
        matches!(fate, Fate::Settled(Settled::Parked(_)))
    }

    #[test]
    fn what_the_peer_has_done_is_confirmed() {
        let applied = Applied { outcome: PeerOutcome::NeedsReview, effects: Vec::new() };
        let acked = Fate::Settled(Settled::Acked(applied.clone()));
        assert_eq!(of_outcome(&held(1), Received::Applied(applied.clone()), 0), acked);
        assert_eq!(of_outcome(&held(1), Received::Duplicate(applied), 0), acked);
    }

    #[test]
    fn what_can_never_be_taken_is_parked_at_once() {
        for reject in [Reject::Malformed("m".into()), Reject::SequenceReused("s".into())] {
            assert!(is_parked(&of_outcome(&held(1), Received::Rejected(reject), 0)));
        }
    }

    #[test]
    fn an_unknown_kind_is_tried_each_minute_for_a_day() {
        let unknown = || Received::Rejected(Reject::UnknownKind("u".into()));
        let before = later(of_outcome(&held(1), unknown(), UNKNOWN_FOR - 1));
        assert_eq!((before.after, before.fault), (Duration::from_secs(60), Fault::Unknown));
        assert!(is_parked(&of_outcome(&held(1), unknown(), UNKNOWN_FOR)));
    }

    #[test]
    fn a_fault_of_the_peer_is_tried_ten_times_over_a_quarter_of_an_hour() {
        let mut message = held(1);
        let mut all = Duration::ZERO;
        for refusals in 0..9 {
            message.row.refusals = refusals;
            let again = later(of_outcome(&message, Received::Rejected(Reject::Internal("i".into())), 0));
            assert_eq!(again.fault, Fault::Refused);
            all += again.after;
        }
        assert_eq!(all.as_secs(), 899);
        message.row.refusals = 9;
        assert!(is_parked(&of_outcome(&message, Received::Rejected(Reject::Internal("i".into())), 0)));
    }

    #[test]
    fn a_gap_is_no_failure_and_parks_only_what_nothing_comes_before() {
        let mut message = held(5);
        assert_eq!(of_outcome(&message, Received::Gap(3), 0), Fate::Again);
        message.tries = GAPS_IN_MEMORY + 1;
        assert_eq!(of_outcome(&message, Received::Gap(3), 0), Fate::Again, "it was never claimed");
        message.row.attempts = 1;
        (message.row.gap_at, message.row.gap_since) = (3, Time(MINUTE));
        let later = later(of_outcome(&message, Received::Gap(3), 10 * MINUTE));
        assert_eq!(later.fault, Fault::Gap(3));
        assert_eq!(of_outcome(&message, Received::Gap(3), 11 * MINUTE), Fate::ParkedUnlessAwaited(later));
        let moved = of_outcome(&message, Received::Gap(4), 11 * MINUTE);
        assert!(matches!(moved, Fate::Settled(Settled::Later(_))), "what the peer waits for has moved on: {moved:?}");
    }

    #[test]
    fn a_message_that_breaks_every_call_is_found_and_parked_by_the_seventh() {
        let (mut message, mut calls) = (held(1), 0);
        loop {
            calls += 1;
            let alone = message.row.losses > 1;
            match of_message(&message, &CallFault::Lost, alone, alone, "reset") {
                Fate::Again => message.lost = true,
                Fate::Settled(Settled::Later(Later { fault: Fault::Lost, .. })) => {
                    message.row.losses += 1;
                    message.lost = false;
                }
                fate @ (Fate::Settled(_) | Fate::ParkedUnlessAwaited(_)) => {
                    break assert!(is_parked(&fate), "{fate:?}");
                }
            }
        }
        assert_eq!(calls, 7);
    }

    #[test]
    fn a_call_that_is_refused_as_a_whole_is_split_and_its_last_message_counts_as_refused() {
        let in_company = later(of_message(&held(1), &CallFault::Content, false, false, "too large"));
        assert_eq!((in_company.fault, in_company.after), (Fault::Lost, Duration::ZERO));
        assert_eq!(later(of_message(&held(1), &CallFault::Content, true, true, "too large")).fault, Fault::Refused);
    }

    #[test]
    fn a_call_with_many_that_comes_too_late_blames_none_of_them() {
        let mut message = held(1);
        message.lost = true;
        assert_eq!(of_message(&message, &CallFault::Late, false, false, "late"), Fate::Again);
        assert_eq!(later(of_message(&message, &CallFault::Late, true, false, "late")).fault, Fault::Lost);
    }

    #[test]
    fn a_peer_that_is_busy_or_closed_to_us_blames_no_message() {
        for fault in [CallFault::Busy(None), CallFault::Denied] {
            let mut message = held(1);
            message.row.losses = 9;
            assert_eq!(of_message(&message, &fault, true, true, "no"), Fate::Again);
        }
    }

    #[test]
    fn statuses_of_calls_are_told_apart() {
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(of_call(&broken), CallFault::Lost);
        assert_eq!(of_call(&Status::deadline_exceeded("late")), CallFault::Late);
        assert_eq!(of_call(&Status::permission_denied("no")), CallFault::Denied);
        assert_eq!(of_call(&Status::invalid_argument("what")), CallFault::Content);
        assert_eq!(of_call(&Status::unavailable("later")), CallFault::Busy(None));
        let mut details = tonic_types::ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_secs(3)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "full", details);
        assert_eq!(of_call(&busy), CallFault::Busy(Some(Duration::from_secs(3))));
    }
}
