//! What happened in a case, as its own part of the closed list of events.
//!
//! Invariant: codes, times and organisations only. Whom it concerns is not in it, nor what the case is about.

use serde_json::{Map, Value, json};

use super::event::EventType;
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::lifecycle::StepUpReason;

closed_list! {
    /// Why nobody has to answer an offer any more.
    OfferEnd {
        /// Whoever was asked does not want to.
        Declined = "declined",
        /// The coordinator took it back.
        Revoked = "revoked",
        /// Nobody answered in time.
        Lapsed = "lapsed",
    }
}

/// What happened in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseNews {
    /// The reader is asked to coordinate it.
    CoordinationOffered {
        /// Until when it answers.
        due_at: Timestamp,
    },
    /// The offer does not stand any more, and the coordinator stays.
    OfferEnded {
        /// Why.
        reason: OfferEnd,
    },
    /// Somebody else coordinates it.
    CoordinatorChanged {
        /// Who.
        coordinator: Oin,
    },
    /// The coordinator let a deadline pass.
    CoordinatorOverdue {
        /// Who it is.
        coordinator: Oin,
    },
    /// The reader is invited to take part.
    ParticipantInvited,
    /// Somebody who was invited has signed the covenant for this case.
    ParticipantSigned {
        /// Who.
        organisation: Oin,
    },
    /// Somebody takes no part by invitation any more.
    ParticipantLeft {
        /// Who.
        organisation: Oin,
    },
    /// The coordinator calls a multi-disciplinary meeting, and the reader is asked to it.
    MeetingCalled,
    /// The gateway proposes to the coordinator to step up.
    StepUpProposed {
        /// Until when it answers.
        due_at: Timestamp,
    },
    /// The municipality directs it from now on, or goes on to.
    SteppedUp {
        /// Why; only for the coordinator and the municipality.
        reason: Option<StepUpReason>,
        /// Until when.
        until: Timestamp,
    },
    /// The municipality does not direct it any more.
    SteppedDown,
    /// It was closed.
    Closed,
    /// It is open again.
    Reopened,
}

impl CaseNews {
    /// The kind of event.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::CoordinationOffered { .. } => EventType::CaseCoordinationOffered,
            Self::OfferEnded { .. } => EventType::CaseOfferEnded,
            Self::CoordinatorChanged { .. } => EventType::CaseCoordinatorChanged,
            Self::CoordinatorOverdue { .. } => EventType::CaseCoordinatorOverdue,
            Self::ParticipantInvited => EventType::CaseParticipantInvited,
            Self::ParticipantSigned { .. } => EventType::CaseParticipantSigned,
            Self::ParticipantLeft { .. } => EventType::CaseParticipantLeft,
            Self::MeetingCalled => EventType::CaseMeetingCalled,
            Self::StepUpProposed { .. } => EventType::CaseStepUpProposed,
            Self::SteppedUp { .. } => EventType::CaseSteppedUp,
            Self::SteppedDown => EventType::CaseSteppedDown,
            Self::Closed => EventType::CaseClosed,
            Self::Reopened => EventType::CaseReopened,
        }
    }

    /// What of it is told to a reader who is only invited, or no longer: that, and nothing else.
    #[must_use]
    pub fn for_outsider(self, reader: &Oin) -> Option<Self> {
        match self {
            Self::ParticipantInvited | Self::ParticipantLeft { .. } => Some(self),
            // That its invitation has ended; what became of the case is no affair of its.
            Self::Closed => Some(Self::ParticipantLeft { organisation: reader.clone() }),
            _ => None,
        }
    }

    /// What the event says beside the case.
    #[must_use]
    pub fn data(&self) -> Map<String, Value> {
        let data = match self {
            Self::CoordinationOffered { due_at } | Self::StepUpProposed { due_at } => json!({ "dueAt": due_at }),
            Self::OfferEnded { reason } => json!({ "reason": reason }),
            Self::CoordinatorChanged { coordinator } | Self::CoordinatorOverdue { coordinator } => {
                json!({ "coordinator": coordinator })
            }
            Self::ParticipantSigned { organisation } | Self::ParticipantLeft { organisation } => {
                json!({ "organisation": organisation })
            }
            Self::SteppedUp { reason: Some(reason), until } => json!({ "reason": reason, "until": until }),
            Self::SteppedUp { reason: None, until } => json!({ "until": until }),
            Self::ParticipantInvited | Self::MeetingCalled | Self::SteppedDown | Self::Closed | Self::Reopened => {
                json!({})
            }
        };
        if let Value::Object(data) = data { data } else { Map::new() }
    }
}
