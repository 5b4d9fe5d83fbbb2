//! An erasure as it is asked for and shown. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::subjects::SubjectReference;

closed_list! {
    /// Why it must be erased (art. 17.1 AVG).
    ErasureGround {
        /// It is not needed any more for what it was collected for (17.1.a).
        NoLongerNecessary = "no-longer-necessary",
        /// The consent it rested on was withdrawn, and there is no other basis (17.1.b).
        ConsentWithdrawn = "consent-withdrawn",
        /// The resident's objection was upheld (17.1.c).
        ObjectionUpheld = "objection-upheld",
        /// It was processed unlawfully (17.1.d).
        UnlawfullyProcessed = "unlawfully-processed",
        /// A law demands it (17.1.e).
        LegalObligation = "legal-obligation",
    }
}

closed_list! {
    /// How far an erasure is.
    ErasureStatus {
        /// Nobody can read it any more; its keys are still to be destroyed, so that a backup may open it.
        Pending = "pending",
        /// Its keys are destroyed.
        Destroyed = "destroyed",
    }
}

/// What the caller wants erased.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// About whom.
    pub(super) subject: SubjectReference,
    /// Why.
    pub(super) ground: ErasureGround,
    /// In which referrals alone; in all of them where it is absent.
    #[serde(default)]
    pub(super) referrals: Option<Vec<Uuid>>,
}

/// An erasure. Which resident it was about is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erasure {
    pub(super) id: Uuid,
    /// Who asked for it, and had given what was erased.
    pub(super) organisation: Oin,
    pub(super) ground: ErasureGround,
    pub(super) requested_at: Timestamp,
    pub(super) counts: Counts,
    /// When the last of its keys was destroyed.
    pub(super) destroyed_at: Option<Timestamp>,
}

/// How much was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Referrals from which something was erased.
    pub(super) referrals: i64,
    /// Sections.
    pub(super) sections: i64,
    /// Referrals whose other party had received something, and was told to delete it.
    pub(super) told: i64,
}

impl Erasure {
    /// How far it is.
    pub(super) const fn status(&self) -> ErasureStatus {
        if self.destroyed_at.is_some() { ErasureStatus::Destroyed } else { ErasureStatus::Pending }
    }

    /// As who asked for it sees it.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "ground": self.ground,
            "status": self.status(),
            "referrals": self.counts.referrals,
            "sections": self.counts.sections,
            "told": self.counts.told,
            "requestedAt": self.requested_at,
            "destroyedAt": self.destroyed_at,
        })
    }
}
