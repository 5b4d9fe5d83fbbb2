//! What can be told of a declared break-glass, and where its reader finds more. A declaration and its review have one id.

use super::EventType;

/// What happened to a declaration or its review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmergencyNews {
    /// It was declared; to the privacy officers.
    Declared,
    /// Its review was concluded; to who declared it.
    Concluded,
    /// The resident was not informed in time; to who declared it.
    NotificationOverdue,
    /// Its review was concluded; to the privacy officers.
    ReviewConcluded,
    /// Its review was not concluded in time; to the reviewer's privacy officer and the covenant's.
    ReviewOverdue,
    /// The resident was not informed in time; to the declaring party's privacy officer and the covenant's.
    ReviewNotificationOverdue,
}

impl EmergencyNews {
    /// The kind of event.
    #[must_use]
    pub const fn kind(self) -> EventType {
        match self {
            Self::Declared => EventType::EmergencyDeclared,
            Self::Concluded => EventType::EmergencyConcluded,
            Self::NotificationOverdue => EventType::EmergencyNotificationOverdue,
            Self::ReviewConcluded => EventType::ReviewConcluded,
            Self::ReviewOverdue => EventType::ReviewOverdue,
            Self::ReviewNotificationOverdue => EventType::ReviewNotificationOverdue,
        }
    }

    /// Whether it goes to privacy officers, who find it among the reviews; the declaring party finds it among its declarations.
    #[must_use]
    pub const fn is_for_officers(self) -> bool {
        !matches!(self, Self::Concluded | Self::NotificationOverdue)
    }

    /// The collection in which its reader finds it.
    #[must_use]
    pub const fn collection(self) -> &'static str {
        if self.is_for_officers() { "reviews" } else { "emergency-accesses" }
    }

    /// The name of its id in the event's data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        if self.is_for_officers() { "review" } else { "emergencyAccess" }
    }
}
