//! What a restriction says, and what ending it needs. Pure.

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::problem::InvalidParam;
use crate::rights::told::{Method, Told, outside};

closed_list! {
    /// Why processing is restricted (art. 18.1 AVG).
    Ground {
        /// The resident contests the accuracy of the data, which is being verified (a).
        AccuracyContested = "accuracy-contested",
        /// The processing is unlawful and the resident wants the data kept (b).
        UnlawfulProcessing = "unlawful-processing",
        /// The resident needs the data for a legal claim (c).
        NeededForLegalClaims = "needed-for-legal-claims",
        /// The resident objected, which is being weighed (d).
        ObjectionPending = "objection-pending",
    }
}

closed_list! {
    /// How a restriction stands.
    Status {
        /// It holds.
        Active = "active",
        /// It was ended.
        Ended = "ended",
    }
}

/// A restriction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Restriction {
    pub(super) id: Uuid,
    /// Who recorded it, and restricts.
    pub(super) organisation: Oin,
    pub(super) subject: String,
    pub(super) ground: Ground,
    pub(super) recorded_at: Timestamp,
    pub(super) ended: Option<Ended>,
    pub(super) version: i64,
}

/// A restriction as an access report (art. 15 AVG) says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Who recorded it, and restricts.
    pub organisation: Oin,
    /// Why.
    pub ground: Ground,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When it was ended; none while it holds.
    pub ended_at: Option<Timestamp>,
}

/// That it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// That the resident heard of it before.
    pub(super) told: Told,
    pub(super) at: Timestamp,
}

/// Who was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// The referral with which it had received something.
    pub(super) referral: Uuid,
    pub(super) organisation: Oin,
}

impl Restriction {
    /// How it stands.
    pub(super) const fn status(&self) -> Status {
        if self.ended.is_some() { Status::Ended } else { Status::Active }
    }
}

/// An ending as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndingCreation {
    resident_informed_at: Timestamp,
    method: Method,
}

impl EndingCreation {
    /// The ending, if the resident heard of it since the restriction was recorded.
    pub(super) fn checked(self, restriction: &Restriction, now: Timestamp) -> Result<Ended, Vec<InvalidParam>> {
        let Self { resident_informed_at, method } = self;
        match outside("residentInformedAt", resident_informed_at, (restriction.recorded_at, now)) {
            Some(wrong) => Err(vec![wrong]),
            None => Ok(Ended { told: Told { at: resident_informed_at, method }, at: now }),
        }
    }
}
