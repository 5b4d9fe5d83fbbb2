//! A consent as it is recorded, kept and shown. Pure.

use serde::Deserialize;
use time::Month;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{CategoryCode, PurposeCode};
use crate::ids::Oin;
use crate::policy::{GivenBy, RecordKind, RepresentativeKind};
use crate::problem::InvalidParam;
use crate::subjects::contains_bsn;

closed_list! {
    /// How it was obtained.
    Method {
        /// A form with a signature.
        SignedForm = "signed-form",
        /// Said, and written down by the professional.
        RecordedVerbally = "recorded-verbally",
        /// Given online.
        Digital = "digital",
    }
}

closed_list! {
    /// Why it was withdrawn.
    WithdrawalReason {
        /// The resident asked for it.
        ResidentAsked = "resident-asked",
        /// It should not have been recorded.
        ObtainedWrongly = "obtained-wrongly",
        /// Something else.
        Other = "other",
    }
}

/// What an organisation records; the resident is read apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Which of the three kinds.
    pub kind: RecordKind,
    /// Who gave it.
    pub given_by: GivenBy,
    /// Which representative, exactly when one gave it.
    #[serde(default)]
    pub representative_kind: Option<RepresentativeKind>,
    /// Whether it is explicit (art. 9.2.a AVG).
    #[serde(default)]
    pub explicit: bool,
    /// To whom may be given.
    pub recipients: Vec<Oin>,
    /// For what.
    pub purposes: Vec<PurposeCode>,
    /// What; a care agreement names none.
    #[serde(default)]
    pub categories: Vec<CategoryCode>,
    /// First moment of its validity.
    pub valid_from: Timestamp,
    /// First moment after its validity.
    pub valid_until: Timestamp,
    /// When it was given.
    pub obtained_at: Timestamp,
    /// How.
    pub method: Method,
    /// Reference in the recorder's own file.
    #[serde(default)]
    pub evidence_ref: Option<String>,
}

impl Recording {
    /// What the contract cannot say about a well-formed record; every mistake at once.
    #[must_use]
    pub fn mistakes(&self, now: Timestamp) -> Vec<InvalidParam> {
        let mut mistakes = Vec::new();
        let mut mistake = |name, code, reason: &str| mistakes.push(InvalidParam::new(name, code, reason));
        // Nobody has agreed to anything yet (art. 4.11 AVG).
        if self.obtained_at > now {
            mistake("obtainedAt", "range", "expected a moment until now");
        }
        if self.valid_until <= self.valid_from {
            mistake("validUntil", "range", "expected a moment after validFrom");
        } else if self.valid_until > a_year_after(self.valid_from) {
            mistake("validUntil", "range", "expected at most 12 months after validFrom");
        }
        if (self.given_by == GivenBy::Representative) != self.representative_kind.is_some() {
            mistake("representativeKind", "required", "expected exactly when givenBy is representative");
        }
        if (self.kind == RecordKind::CareAgreement) != self.categories.is_empty() {
            mistake("categories", "range", "expected none for a care-agreement, at least one for the other kinds");
        }
        if self.evidence_ref.as_deref().is_some_and(contains_bsn) {
            mistake("evidenceRef", "personal-data", "must not hold a BSN; use the reference of your own file");
        }
        mistakes
    }
}

/// The same day and time a year later; 29 February becomes 28 February.
fn a_year_after(moment: Timestamp) -> Timestamp {
    let start = moment.to_offset_date_time();
    let leap_day = start.month() == Month::February && start.day() == 29;
    let start = if leap_day { start.replace_day(28).unwrap_or(start) } else { start };
    start.replace_year(start.year() + 1).map_or(moment, |end| {
        // `OffsetDateTime` keeps nanoseconds, the gateway microseconds.
        Timestamp::from(end)
    })
}

/// A record as it is kept.
#[derive(Debug, Clone)]
pub struct Consent {
    /// Its id.
    pub id: Uuid,
    /// Who recorded it.
    pub organisation: Oin,
    /// The resident.
    pub subject: String,
    /// What was recorded.
    pub recording: Recording,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When and why it was withdrawn.
    pub withdrawal: Option<Withdrawal>,
    /// Counts its changes.
    pub version: i64,
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: WithdrawalReason,
    /// What was reported, where another organisation did.
    pub report: Option<Report>,
}

/// A withdrawal that another organisation than the recorder heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who reported it.
    pub by: Oin,
    /// The one recipient that the resident meant; all of them where there is none.
    pub recipient: Option<Oin>,
    /// The one purpose that the resident meant; all of them where there is none.
    pub purpose: Option<PurposeCode>,
}

/// What somebody heard of a withdrawal; the resident is read apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// Which of the three kinds.
    #[serde(default = "consent")]
    pub kind: RecordKind,
    /// Only records that name this recipient.
    #[serde(default)]
    pub recipient: Option<Oin>,
    /// Only records that name this purpose.
    #[serde(default)]
    pub purpose: Option<PurposeCode>,
}

const fn consent() -> RecordKind {
    RecordKind::Consent
}

impl Heard {
    /// Whether a record is withdrawn by it: it is of that kind, and names what was named. One that also names others is withdrawn as a whole:
    /// who recorded it is told what was said, and records what remains.
    #[must_use]
    pub fn concerns(&self, recording: &Recording) -> bool {
        recording.kind == self.kind
            && self.recipient.as_ref().is_none_or(|recipient| recording.recipients.contains(recipient))
            && self.purpose.as_ref().is_none_or(|purpose| recording.purposes.contains(purpose))
    }
}

impl Consent {
    /// What it is worth now, as a word for people; decisions look at the record itself.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.withdrawal.is_some() {
            "withdrawn"
        } else if now < self.recording.valid_from {
            "upcoming"
        } else if now >= self.recording.valid_until {
            "expired"
        } else {
            "active"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        Recording {
            kind: RecordKind::Consent,
            given_by: GivenBy::Resident,
            representative_kind: None,
            explicit: true,
            recipients: vec!["00000099000000006000".parse().unwrap()],
            purposes: vec!["debt-counselling".parse().unwrap()],
            categories: vec!["finance".parse().unwrap()],
            valid_from: "2026-11-01T00:00:00Z".parse().unwrap(),
            valid_until: "2027-11-01T00:00:00Z".parse().unwrap(),
            obtained_at: "2026-10-31T10:00:00Z".parse().unwrap(),
            method: Method::SignedForm,
            evidence_ref: Some("dossier-117".into()),
        }
    }

    fn names(recording: &Recording) -> Vec<String> {
        recording.mistakes("2026-10-31T10:00:00Z".parse().unwrap()).into_iter().map(|mistake| mistake.name).collect()
    }

    #[test]
    fn twelve_months_are_enough_and_a_moment_more_is_not() {
        assert!(recording().mistakes(recording().obtained_at).is_empty());
        let longer = Recording { valid_until: "2027-11-01T00:00:00.000001Z".parse().unwrap(), ..recording() };
        assert_eq!(names(&longer), ["validUntil"]);
        let backwards = Recording { valid_until: recording().valid_from, ..recording() };
        assert_eq!(names(&backwards), ["validUntil"]);
    }

    #[test]
    fn the_kinds_are_not_mixed_up() {
        let agreement = Recording { kind: RecordKind::CareAgreement, ..recording() };
        assert_eq!(names(&agreement), ["categories"]);
        let nothing = Recording { categories: vec![], ..recording() };
        assert_eq!(names(&nothing), ["categories"]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = Recording {
            valid_until: recording().valid_from,
            given_by: GivenBy::Representative,
            categories: vec![],
            evidence_ref: Some("bsn-999990019".into()),
            obtained_at: "2026-10-31T10:00:00.000001Z".parse().unwrap(),
            ..recording()
        };
        assert_eq!(names(&wrong), ["obtainedAt", "validUntil", "representativeKind", "categories", "evidenceRef"]);
    }

    #[test]
    fn what_was_heard_withdraws_what_it_names_and_nothing_of_another_kind() {
        let heard = |body: serde_json::Value| serde_json::from_value::<Heard>(body).unwrap();
        let both =
            Recording { purposes: vec!["debt-counselling".parse().unwrap(), "triage".parse().unwrap()], ..recording() };
        for (body, concerns) in [
            (serde_json::json!({}), true),
            (serde_json::json!({ "recipient": "00000099000000006000" }), true),
            (serde_json::json!({ "purpose": "triage", "recipient": "00000099000000006000" }), true),
            (serde_json::json!({ "recipient": "00000099000000005000" }), false),
            (serde_json::json!({ "purpose": "youth-health" }), false),
            (serde_json::json!({ "purpose": "triage", "recipient": "00000099000000005000" }), false),
            (serde_json::json!({ "kind": "secrecy-release" }), false),
            (serde_json::json!({ "kind": "care-agreement" }), false),
        ] {
            assert_eq!(heard(body.clone()).concerns(&both), concerns, "{body}");
        }
        let release = Recording { kind: RecordKind::SecrecyRelease, ..recording() };
        assert!(!heard(serde_json::json!({})).concerns(&release), "a release is another record");
    }

    #[test]
    fn a_leap_day_has_an_anniversary() {
        let leap = "2028-02-29T12:00:00Z".parse().unwrap();
        assert_eq!(a_year_after(leap).to_string(), "2029-02-28T12:00:00Z");
    }
}
