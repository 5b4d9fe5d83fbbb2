//! What can be told of residents' rights, as its own part of the closed list of events.
//!
//! Invariant: who received something hears that it is restricted by the referral that it knows, and neither why nor by which id; of objections and
//! duties to inform nobody hears but the party itself and its officer.

use serde_json::{Value, json};
use uuid::Uuid;

use super::event::EventType;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsNews {
    /// What was received is restricted at who gave it; to who received it.
    ReferralRestricted {
        /// The referral.
        referral: Uuid,
    },
    /// It is not restricted any more; to the same.
    ReferralRestrictionEnded {
        /// The referral.
        referral: Uuid,
    },
    /// An objection was recorded; to the officer who weighs it.
    ObjectionRecorded {
        /// The objection.
        objection: Uuid,
    },
    /// It was weighed; to who recorded it.
    ObjectionWeighed {
        /// The objection.
        objection: Uuid,
    },
    /// The resident took it back; to the officer.
    ObjectionTakenBack {
        /// The objection.
        objection: Uuid,
    },
    /// It was not weighed in time; to who recorded it.
    ObjectionOverdue {
        /// The objection.
        objection: Uuid,
    },
    /// The same; to the officer.
    ObjectionWeighingOverdue {
        /// The objection.
        objection: Uuid,
    },
    /// The resident was not informed in time of what was received; to who received it.
    InformingOverdue {
        /// The duty.
        duty: Uuid,
        /// With which referral it was received.
        referral: Uuid,
    },
    /// The same; to the officer.
    InformingNeglected {
        /// The duty.
        duty: Uuid,
    },
}

impl RightsNews {
    /// The kind of this news.
    #[must_use]
    pub const fn kind(self) -> EventType {
        match self {
            Self::ReferralRestricted { .. } => EventType::ReferralRestricted,
            Self::ReferralRestrictionEnded { .. } => EventType::ReferralRestrictionEnded,
            Self::ObjectionRecorded { .. } => EventType::ObjectionRecorded,
            Self::ObjectionWeighed { .. } => EventType::ObjectionWeighed,
            Self::ObjectionTakenBack { .. } => EventType::ObjectionTakenBack,
            Self::ObjectionOverdue { .. } => EventType::ObjectionOverdue,
            Self::ObjectionWeighingOverdue { .. } => EventType::ObjectionWeighingOverdue,
            Self::InformingOverdue { .. } => EventType::InformingOverdue,
            Self::InformingNeglected { .. } => EventType::InformingNeglected,
        }
    }

    /// What it happened to.
    pub(super) const fn subject(self) -> Uuid {
        match self {
            Self::ReferralRestricted { referral } | Self::ReferralRestrictionEnded { referral } => referral,
            Self::ObjectionRecorded { objection }
            | Self::ObjectionWeighed { objection }
            | Self::ObjectionTakenBack { objection }
            | Self::ObjectionOverdue { objection }
            | Self::ObjectionWeighingOverdue { objection } => objection,
            Self::InformingOverdue { duty, .. } | Self::InformingNeglected { duty } => duty,
        }
    }

    /// The collection in which its reader finds it.
    pub(super) const fn collection(self) -> &'static str {
        match self {
            Self::ReferralRestricted { .. } | Self::ReferralRestrictionEnded { .. } => "referrals",
            Self::ObjectionRecorded { .. }
            | Self::ObjectionWeighed { .. }
            | Self::ObjectionTakenBack { .. }
            | Self::ObjectionOverdue { .. }
            | Self::ObjectionWeighingOverdue { .. } => "objections",
            Self::InformingOverdue { .. } | Self::InformingNeglected { .. } => "informing-duties",
        }
    }

    pub(super) fn data(self) -> Value {
        match self {
            Self::ReferralRestricted { referral } | Self::ReferralRestrictionEnded { referral } => {
                json!({ "referral": referral })
            }
            Self::ObjectionRecorded { objection }
            | Self::ObjectionWeighed { objection }
            | Self::ObjectionTakenBack { objection }
            | Self::ObjectionOverdue { objection }
            | Self::ObjectionWeighingOverdue { objection } => json!({ "objection": objection }),
            Self::InformingOverdue { duty, referral } => json!({ "informingDuty": duty, "referral": referral }),
            Self::InformingNeglected { duty } => json!({ "informingDuty": duty }),
        }
    }
}
