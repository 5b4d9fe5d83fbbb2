//! What happened after a consent was withdrawn, as its own part of the closed list of events.
//!
//! Invariant: whoever received something under a consent is told by an id of its own and never by that of the consent; who recorded it is
//! told by the consent's. Neither hears of purposes, categories or the resident.

use serde_json::{Value, json};
use uuid::Uuid;

use super::event::EventType;
use crate::clock::Timestamp;

/// What happened after a consent was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentNews {
    /// Something that was received is to be confirmed deleted, or kept on another basis; to who received it.
    ConfirmationRequested {
        /// What it confirms by.
        confirmation: Uuid,
        /// Until when.
        due_at: Timestamp,
    },
    /// It was confirmed; to who recorded the consent.
    Confirmed {
        /// The consent.
        consent: Uuid,
        /// The confirmation.
        confirmation: Uuid,
    },
    /// Nothing was confirmed in time; to who received it (without the consent), and to who recorded it.
    ConfirmationOverdue {
        /// The consent; only to who recorded it.
        consent: Option<Uuid>,
        /// The confirmation.
        confirmation: Uuid,
    },
    /// The same; to the municipality's privacy officer.
    ConfirmationUnanswered {
        /// The confirmation.
        confirmation: Uuid,
        /// The audit record in which it stands.
        record: Uuid,
    },
}

impl ConsentNews {
    /// The kind of this news.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::ConfirmationRequested { .. } => EventType::ConsentConfirmationRequested,
            Self::Confirmed { .. } => EventType::ConsentConfirmed,
            Self::ConfirmationOverdue { .. } => EventType::ConsentConfirmationOverdue,
            Self::ConfirmationUnanswered { .. } => EventType::ConsentConfirmationUnanswered,
        }
    }

    /// What it happened to, as the reader knows it.
    pub(super) const fn subject(&self) -> Uuid {
        match self {
            Self::Confirmed { consent, .. } | Self::ConfirmationOverdue { consent: Some(consent), .. } => *consent,
            Self::ConfirmationRequested { confirmation, .. }
            | Self::ConfirmationOverdue { consent: None, confirmation }
            | Self::ConfirmationUnanswered { confirmation, .. } => *confirmation,
        }
    }

    /// Where the reader fetches more.
    pub(super) fn path(&self) -> String {
        match self {
            // Who watches over the covenant reads what happened in the log.
            Self::ConfirmationUnanswered { record, .. } => format!("/v1/audit/records/{record}"),
            _ => format!("/v1/consents/{}/confirmations", self.subject()),
        }
    }

    pub(super) fn data(&self) -> Value {
        match self {
            Self::ConfirmationRequested { confirmation, due_at } => {
                json!({ "confirmation": confirmation, "dueAt": due_at })
            }
            Self::Confirmed { consent, confirmation }
            | Self::ConfirmationOverdue { consent: Some(consent), confirmation } => {
                json!({ "consent": consent, "confirmation": confirmation })
            }
            Self::ConfirmationOverdue { consent: None, confirmation } => json!({ "confirmation": confirmation }),
            Self::ConfirmationUnanswered { confirmation, record } => {
                json!({ "confirmation": confirmation, "record": record })
            }
        }
    }
}
