//! That the resident was told something: when and how. Pure.

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::problem::InvalidParam;

closed_list! {
    /// How the resident, or who represents them, was told something, or said it.
    Method {
        /// In a conversation.
        InPerson = "in-person",
        /// By telephone.
        ByTelephone = "by-telephone",
        /// By letter.
        ByLetter = "by-letter",
        /// By a message over a safe channel.
        Digital = "digital",
        /// Through who represents the resident.
        ThroughRepresentative = "through-representative",
    }
}

/// When and how the resident was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// How.
    pub method: Method,
}

/// What is wrong with a moment that lies between two others; nothing where it does.
pub(super) fn outside(name: &str, at: Timestamp, (from, until): (Timestamp, Timestamp)) -> Option<InvalidParam> {
    (at < from || at > until)
        .then(|| InvalidParam::new(name, "range", format!("expected a moment since {from} and until now")))
}
