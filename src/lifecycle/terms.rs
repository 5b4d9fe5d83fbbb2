//! How long the holder has: the terms of the covenant, and the deadline of one referral.
//!
//! A deadline runs for one *duty* ([`Duty`]). A step that leaves the duty as it was leaves the deadline as it was, so that nobody gains time by
//! small steps. A deadline that passes is counted, and a shorter term begins: an open referral never stands without a deadline.

use super::working_days::{after_days, after_working_days};
use super::{Reason, Status};
use crate::clock::Timestamp;
use crate::codes::closed_list;

/// What the covenant says of time, for one purpose and one priority.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Working days until a referral must be picked up.
    pub received: u32,
    /// Working days until it must be decided on.
    pub decided: u32,
    /// Weeks from the referral until it must be decided on, where that was extended; and weeks that the work may take.
    pub extension_weeks: u32,
    /// Working days in which the sender answers a question, or acts after an end without help; also for whoever stands in.
    pub sender_acts: u32,
    /// Working days after which work that waits must be looked at again.
    pub hold: u32,
    /// Working days in which a request to call off is answered.
    pub cancellation: u32,
    /// Working days after a missed deadline until it counts as missed again.
    pub again: u32,
    /// Reasons of `on-hold` for which the term of the work stands still.
    pub pausing: Vec<Reason>,
    /// Days within which what has ended may be reopened.
    pub reopen_days: u32,
    /// What the priority leaves of each term, in percent.
    pub percent: u32,
}

closed_list! {
    /// What the holder has to do; each has a term of its own.
    Duty {
        /// Pick it up.
        Receive = "receive",
        /// Decide whether to take it on.
        Decide = "decide",
        /// Decide, with the extension.
        Examine = "examine",
        /// Help.
        Work = "work",
        /// Look again at work that waits.
        Wait = "wait",
        /// Answer the request to call it off.
        AnswerCancellation = "answer-cancellation",
        /// Answer the recipient's question.
        Supplement = "supplement",
        /// See to it that somebody goes on after an end without help.
        GoOn = "go-on",
        /// Act for a party that cannot.
        StandIn = "stand-in",
    }
}

/// The running deadline of a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Deadline {
    /// For what it runs.
    pub duty: Duty,
    /// The first moment at which it is late.
    pub due_at: Timestamp,
    /// How many deadlines in a row were missed.
    pub missed: u32,
}

/// Work whose clock stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Paused {
    /// What is left of the term, in microseconds; less than zero when it had passed.
    pub left: i64,
    /// How many deadlines in a row were missed.
    pub missed: u32,
}

impl Terms {
    /// The deadline of a duty that begins now; `created_at` is when the referral was handed over.
    #[must_use]
    pub fn due_at(&self, duty: Duty, created_at: Timestamp, now: Timestamp) -> Timestamp {
        let working_days = |days| after_working_days(now, self.shortened(days));
        match duty {
            Duty::Receive => working_days(self.received),
            Duty::Decide => working_days(self.decided),
            // Questions to the sender may have taken longer than the extension reaches; a day is left all the same.
            Duty::Examine => {
                after_days(created_at, self.shortened(self.extension_weeks.saturating_mul(7))).max(working_days(1))
            }
            Duty::Work => after_days(now, self.shortened(self.extension_weeks.saturating_mul(7))),
            Duty::Wait => working_days(self.hold),
            Duty::AnswerCancellation => working_days(self.cancellation),
            Duty::Supplement | Duty::GoOn | Duty::StandIn => working_days(self.sender_acts),
        }
    }

    /// The deadline after a missed one.
    #[must_use]
    pub fn due_again_at(&self, now: Timestamp) -> Timestamp {
        after_working_days(now, self.shortened(self.again))
    }

    /// The first moment at which what ends now may not be reopened any more: like every term this one ends with its last day.
    #[must_use]
    pub fn reopen_until(&self, now: Timestamp) -> Timestamp {
        after_days(now, self.reopen_days)
    }

    /// Whether the term of the work stands still in this state of waiting.
    #[must_use]
    pub fn pauses(&self, status: Status, reason: Option<Reason>) -> bool {
        status == Status::OnHold && reason.is_some_and(|reason| self.pausing.contains(&reason))
    }

    /// At least a day is left, whatever the priority.
    fn shortened(&self, days: u32) -> u32 {
        days.saturating_mul(self.percent).div_ceil(100).max(1)
    }
}

impl Deadline {
    /// Stops the clock of work.
    #[must_use]
    pub const fn pause(&self, now: Timestamp) -> Paused {
        Paused { left: self.due_at.as_micros().saturating_sub(now.as_micros()), missed: self.missed }
    }
}

impl Paused {
    /// Lets the clock of work run on.
    #[must_use]
    pub const fn resume(&self, now: Timestamp) -> Deadline {
        let due_at = Timestamp::from_micros(now.as_micros().saturating_add(self.left));
        Deadline { duty: Duty::Work, due_at, missed: self.missed }
    }
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
