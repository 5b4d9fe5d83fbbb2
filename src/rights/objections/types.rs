//! What an objection says, how it stands, and what weighing it needs. Pure.

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{Covenant, PurposeCode};
use crate::ids::Oin;
use crate::problem::InvalidParam;
use crate::rights::told::{Method, Told, outside};

closed_list! {
    /// How an objection stands.
    Status {
        /// Waits for its weighing.
        Open = "open",
        /// Waits for it longer than the law allows.
        Overdue = "overdue",
        /// Upheld: what it stopped stays stopped.
        Upheld = "upheld",
        /// Overridden: what it stopped goes on.
        Overridden = "overridden",
        /// Taken back by the resident: what it stopped goes on.
        TakenBack = "taken-back",
    }
}

closed_list! {
    /// What a weighing concludes.
    Outcome {
        /// The resident is right.
        Upheld = "upheld",
        /// There is a ground that overrides it.
        Overridden = "overridden",
    }
}

closed_list! {
    /// What overrides an objection (art. 21.1 AVG).
    Ground {
        /// Compelling legitimate grounds that override the interests of the resident.
        CompellingLegitimateGrounds = "compelling-legitimate-grounds",
        /// The establishment, exercise or defence of legal claims.
        LegalClaims = "legal-claims",
    }
}

closed_list! {
    /// Why an objection that stands is ended.
    EndingReason {
        /// The resident takes it back.
        TakenBack = "taken-back",
    }
}

closed_list! {
    /// Why the term is extended (art. 12.3 AVG).
    ExtensionReason {
        /// The request is complex.
        Complexity = "complexity",
        /// There are many requests.
        NumberOfRequests = "number-of-requests",
    }
}

/// An objection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) id: Uuid,
    /// To whom it was made, and who recorded it.
    pub(super) organisation: Oin,
    pub(super) subject: String,
    /// Against which purposes; against every one where none is named.
    pub(super) purposes: Option<Vec<PurposeCode>>,
    /// When the resident made it.
    pub(super) obtained_at: Timestamp,
    pub(super) recorded_at: Timestamp,
    /// Until when it is weighed and the resident has heard of it.
    pub(super) due_at: Timestamp,
    pub(super) extension: Option<Extension>,
    pub(super) weighed: Option<Weighed>,
    pub(super) ended: Option<Ended>,
    pub(super) version: i64,
}

/// An objection as an access report (art. 15 AVG) says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Who recorded it.
    pub organisation: Oin,
    /// Against which purposes; against every one where none is named.
    pub purposes: Option<Vec<PurposeCode>>,
    /// When the resident made it.
    pub obtained_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// How it stands.
    pub status: Status,
    /// Since when it stops nothing any more; none while it does.
    pub ended_at: Option<Timestamp>,
}

/// That the term was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) reason: ExtensionReason,
    /// When the resident heard of it.
    pub(super) informed_at: Timestamp,
}

/// A weighing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weighed {
    pub(super) outcome: Outcome,
    /// Exactly where it was overridden.
    pub(super) ground: Option<Ground>,
    /// That the resident heard of it.
    pub(super) told: Told,
    pub(super) at: Timestamp,
}

/// That it was ended, weighed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) reason: EndingReason,
    /// When the resident took it back.
    pub(super) taken_back_at: Timestamp,
    /// How the resident said so.
    pub(super) method: Method,
    pub(super) at: Timestamp,
}

impl Objection {
    /// How it stands.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        if self.ended.is_some() {
            return Status::TakenBack;
        }
        match self.weighed.map(|weighed| weighed.outcome) {
            Some(Outcome::Upheld) => Status::Upheld,
            Some(Outcome::Overridden) => Status::Overridden,
            None if now < self.due_at => Status::Open,
            None => Status::Overdue,
        }
    }

    /// As an access report says it.
    pub(super) fn reported(self, now: Timestamp) -> Reported {
        let over = self.ended.map(|ended| ended.at).or(self.weighed.map(|weighed| weighed.at));
        Reported {
            status: self.status(now),
            ended_at: over.filter(|_| !self.stands()),
            organisation: self.organisation,
            purposes: self.purposes,
            obtained_at: self.obtained_at,
            recorded_at: self.recorded_at,
        }
    }

    /// Whether it still waits for its weighing, in time or late.
    pub(super) const fn is_open(&self) -> bool {
        self.weighed.is_none() && self.ended.is_none()
    }

    /// Whether it stops something: until it is overridden or taken back.
    pub(super) fn stands(&self) -> bool {
        self.ended.is_none() && self.weighed.is_none_or(|weighed| weighed.outcome == Outcome::Upheld)
    }
}

/// An objection as it is recorded.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recording {
    #[serde(default)]
    pub(super) purposes: Option<Vec<PurposeCode>>,
    pub(super) obtained_at: Timestamp,
}

impl Recording {
    /// Everything that is wrong with it.
    pub(super) fn mistakes(&self, covenant: &Covenant, now: Timestamp) -> Vec<InvalidParam> {
        let mut wrong = Vec::new();
        for (place, purpose) in self.purposes.iter().flatten().enumerate() {
            if covenant.purpose(purpose.as_str()).is_none() {
                let expected = "expected a purpose of the covenant in force";
                wrong.push(InvalidParam::new(format!("purposes[{place}]"), "unknown-code", expected));
            }
        }
        if self.obtained_at > now {
            wrong.push(InvalidParam::new("obtainedAt", "range", "expected a moment until now"));
        }
        wrong
    }
}

/// An extension as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExtensionCreation {
    reason: ExtensionReason,
    resident_informed_at: Timestamp,
}

impl ExtensionCreation {
    /// The extension, if the resident heard of it since the objection was made.
    pub(super) fn checked(self, objection: &Objection, now: Timestamp) -> Result<Extension, Vec<InvalidParam>> {
        let Self { reason, resident_informed_at: informed_at } = self;
        match outside("residentInformedAt", informed_at, (objection.obtained_at, now)) {
            Some(wrong) => Err(vec![wrong]),
            None => Ok(Extension { reason, informed_at }),
        }
    }
}

/// A weighing as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WeighingCreation {
    outcome: Outcome,
    #[serde(default)]
    ground: Option<Ground>,
    resident_informed_at: Timestamp,
    method: Method,
}

impl WeighingCreation {
    /// The weighing, if its parts belong together.
    pub(super) fn checked(self, objection: &Objection, now: Timestamp) -> Result<Weighed, Vec<InvalidParam>> {
        let Self { outcome, ground, resident_informed_at, method } = self;
        let mut wrong = Vec::new();
        match (outcome, ground) {
            (Outcome::Overridden, None) => {
                wrong.push(InvalidParam::new("ground", "required", "expected with overridden"));
            }
            (Outcome::Upheld, Some(_)) => {
                wrong.push(InvalidParam::new("ground", "not-expected", "expected only with overridden"));
            }
            _ => {}
        }
        wrong.extend(outside("residentInformedAt", resident_informed_at, (objection.obtained_at, now)));
        if wrong.is_empty() {
            Ok(Weighed { outcome, ground, told: Told { at: resident_informed_at, method }, at: now })
        } else {
            Err(wrong)
        }
    }
}

/// An ending as it is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndingCreation {
    reason: EndingReason,
    taken_back_at: Timestamp,
    method: Method,
}

impl EndingCreation {
    /// The ending, if the resident said so since objecting; of one that was upheld since hearing that, for who does not know of it gives nothing up.
    pub(super) fn checked(self, objection: &Objection, now: Timestamp) -> Result<Ended, Vec<InvalidParam>> {
        let Self { reason, taken_back_at, method } = self;
        let since = objection.weighed.map_or(objection.obtained_at, |weighed| weighed.told.at);
        match outside("takenBackAt", taken_back_at, (since, now)) {
            Some(wrong) => Err(vec![wrong]),
            None => Ok(Ended { reason, taken_back_at, method, at: now }),
        }
    }
}
