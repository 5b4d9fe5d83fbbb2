//! What the monitor counts: what happened to hand-overs and cases, and what everybody knows of who could hand over.
//!
//! Invariant: nothing here is shown; what may be is made of it in [`super::figures`]. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::lifecycle::StepUpReason;

closed_list! {
    /// What is counted. The last three are as they stand at the end of a period, and of these no referral is two; the others happen in it.
    Measure {
        /// Handed over.
        Opened = "opened",
        /// Picked up, for the first time.
        Received = "received",
        /// Taken on, for the first time.
        Accepted = "accepted",
        /// Not taken on.
        Rejected = "rejected",
        /// Referred on after it was not taken on.
        RejectedReferredOn = "rejected-referred-on",
        /// Resolved after it was not taken on.
        RejectedResolved = "rejected-resolved",
        /// Stepped up after it was not taken on.
        RejectedSteppedUp = "rejected-stepped-up",
        /// Completed, for the first time.
        Completed = "completed",
        /// Stepped up, after whatever end.
        SteppedUp = "stepped-up",
        /// A case was stepped up; of cases, which have no route.
        CasesSteppedUp = "cases-stepped-up",
        /// Open, and in time.
        InTime = "in-time",
        /// Open and late, and not stuck.
        Overdue = "overdue",
        /// Open, with two terms or more missed.
        Stuck = "stuck",
    }
}

closed_list! {
    /// What takes time, counted in days from the hand-over.
    Lead {
        /// Until it was picked up.
        Received = "received",
        /// Until it was decided on.
        Decided = "decided",
        /// Until it was completed.
        Completed = "completed",
    }
}

impl Measure {
    /// Whether it says how things stand instead of what happened.
    #[must_use]
    pub const fn is_stock(self) -> bool {
        matches!(self, Self::InTime | Self::Overdue | Self::Stuck)
    }

    /// Whether it is divided by purpose and priority. Of what is late the single lines tell the exact number, and what is stepped up the
    /// municipality holds itself and may end: beside an exact number rounded parts would say what the others are.
    #[must_use]
    pub const fn has_purposes(self) -> bool {
        matches!(self, Self::Opened | Self::Received | Self::Accepted | Self::Rejected | Self::Completed | Self::InTime)
    }

    /// Whether it counts cases instead of hand-overs.
    #[must_use]
    pub const fn is_of_cases(self) -> bool {
        matches!(self, Self::CasesSteppedUp)
    }

    /// What took time until it happened.
    #[must_use]
    pub const fn lead(self) -> Option<Lead> {
        match self {
            Self::Received => Some(Lead::Received),
            Self::Accepted | Self::Rejected => Some(Lead::Decided),
            Self::Completed => Some(Lead::Completed),
            _ => None,
        }
    }
}

/// One thing that is counted about one referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub measure: Measure,
    /// When it happened; of what stands, the moment at which it does.
    pub at: Timestamp,
    /// Who handed over.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
    /// Why.
    pub purpose: String,
    /// How fast.
    pub priority: String,
    /// The life domains that came with it; of what was handed over.
    pub domains: Vec<String>,
    /// How many days it took, where it took time.
    pub days: Option<u32>,
}

/// A case that was stepped up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteppedUpCase {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: StepUpReason,
    /// Whether the reader coordinated it, or was a party to a referral of it.
    pub own: bool,
}

/// Everything that happened from the beginning of a quarter until the end of a period, and how things stood at its end.
#[derive(Debug, Clone, Default)]
pub struct Happened {
    /// To hand-overs.
    pub facts: Vec<Fact>,
    /// To cases.
    pub cases: Vec<SteppedUpCase>,
}

/// What everybody knows, whatever was handed over: who can send what to whom.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The organisations that take part.
    pub organisations: Vec<Oin>,
    /// For which purposes a sender can hand over to a recipient; pairs that can for none are absent.
    pub routes: BTreeMap<(Oin, Oin), BTreeSet<String>>,
    /// The purposes of the covenant.
    pub purposes: Vec<String>,
    /// The priorities.
    pub priorities: Vec<String>,
    /// The life domains.
    pub domains: Vec<String>,
}
