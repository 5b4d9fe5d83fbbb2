//! What a duty to inform says, how it stands, and what is recorded of it. Pure.

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::problem::InvalidParam;
use crate::rights::told::{Method, outside};

closed_list! {
    /// How a duty stands.
    Status {
        /// The resident is to be informed.
        Open = "open",
        /// The term is over.
        Overdue = "overdue",
        /// The resident was informed.
        Informed = "informed",
        /// It was recorded why the resident need not be informed.
        Exempt = "exempt",
    }
}

closed_list! {
    /// What is recorded of informing the resident.
    Outcome {
        /// The resident, or who represents them, was informed.
        Informed = "informed",
        /// The resident has the information already (art. 14.5.a), such as from the conversation about a consent.
        AlreadyInformed = "already-informed",
        /// It is impossible or would take a disproportionate effort (art. 14.5.b).
        Disproportionate = "disproportionate",
        /// A law lays down that the data are obtained or disclosed (art. 14.5.c).
        LawProvides = "law-provides",
        /// Professional secrecy forbids it (art. 14.5.d).
        Secrecy = "secrecy",
    }
}

/// A duty to inform as it opens, with the first content that a party of a referral reads of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its id.
    pub id: Uuid,
    /// What was read.
    pub referral: Uuid,
    /// Whose it is: who received.
    pub organisation: Oin,
    /// About whom.
    pub subject: String,
    /// When the other party gave it: what the resident heard before was not of it.
    pub given_at: Timestamp,
    /// When it was read.
    pub opened_at: Timestamp,
    /// Until when the resident is informed.
    pub due_at: Timestamp,
}

/// A duty to inform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) id: Uuid,
    pub(super) referral: Uuid,
    /// Whose it is: who received.
    pub(super) organisation: Oin,
    pub(super) subject: String,
    /// When the other party gave what it read first.
    pub(super) given_at: Timestamp,
    /// When it first read something.
    pub(super) opened_at: Timestamp,
    pub(super) due_at: Timestamp,
    /// What was recorded last.
    pub(super) outcome: Option<Outcome>,
    pub(super) version: i64,
}

/// One record of informing the resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) id: Uuid,
    pub(super) outcome: Outcome,
    /// When the resident was informed, and how: exactly with `informed`.
    pub(super) informed_at: Option<Timestamp>,
    pub(super) method: Option<Method>,
    pub(super) recorded_at: Timestamp,
}

impl Duty {
    /// How it stands.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        match self.outcome {
            Some(Outcome::Informed) => Status::Informed,
            Some(_) => Status::Exempt,
            None if now < self.due_at => Status::Open,
            None => Status::Overdue,
        }
    }

    /// Whether this may be recorded: who was informed need not be informed again, and what was no duty may be done all the same.
    pub(super) const fn may_note(&self, outcome: Outcome) -> bool {
        match self.outcome {
            None => true,
            Some(Outcome::Informed) => false,
            Some(_) => matches!(outcome, Outcome::Informed),
        }
    }
}

/// A record of informing the resident, as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationCreation {
    outcome: Outcome,
    #[serde(default)]
    informed_at: Option<Timestamp>,
    #[serde(default)]
    method: Option<Method>,
}

impl NotificationCreation {
    /// The record, if its parts belong together; `since` is when what was received was given.
    pub(super) fn checked(self, id: Uuid, since: Timestamp, now: Timestamp) -> Result<Notification, Vec<InvalidParam>> {
        let Self { outcome, informed_at, method } = self;
        let mut wrong = Vec::new();
        let informed = outcome == Outcome::Informed;
        for (name, given) in [("informedAt", informed_at.is_some()), ("method", method.is_some())] {
            match (given, informed) {
                (false, true) => wrong.push(InvalidParam::new(name, "required", "expected with informed")),
                (true, false) => wrong.push(InvalidParam::new(name, "not-expected", "expected only with informed")),
                _ => {}
            }
        }
        wrong.extend(informed_at.and_then(|at| outside("informedAt", at, (since, now))));
        if wrong.is_empty() {
            Ok(Notification { id, outcome, informed_at, method, recorded_at: now })
        } else {
            Err(wrong)
        }
    }
}
