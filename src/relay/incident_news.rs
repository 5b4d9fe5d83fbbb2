//! What can be told of an incident.

use super::EventType;

/// What happened to an incident. Each is told to the systems and to the privacy officers of those whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentNews {
    /// It was opened; to both parties.
    Opened,
    /// A party did not assess it in time; to that party.
    AssessmentOverdue,
    /// A party did not delete in time what it had received; to both parties.
    DeletionOverdue,
    /// A party has deleted what it had received; to the other one.
    DeletionConfirmed,
}

impl IncidentNews {
    /// The kind of event.
    #[must_use]
    pub const fn kind(self) -> EventType {
        match self {
            Self::Opened => EventType::IncidentOpened,
            Self::AssessmentOverdue => EventType::IncidentAssessmentOverdue,
            Self::DeletionOverdue => EventType::IncidentDeletionOverdue,
            Self::DeletionConfirmed => EventType::IncidentDeletionConfirmed,
        }
    }
}
