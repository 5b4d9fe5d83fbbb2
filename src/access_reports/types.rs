//! An access report as it is asked for and as it is answered. Pure.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::consents::{ConfirmationStatus, Method, Retention, WithdrawalReason};
use crate::covenant::{BasisCode, Label};
use crate::emergencies::{CannotConsent, Conclusion, DutyStatus, EmergencyReason};
use crate::ids::Oin;
use crate::incidents::IncidentKind;
use crate::policy::{GivenBy, RecordKind, RepresentativeKind};
use crate::problem::InvalidParam;
use crate::referrals::{CorrectionEffect, CorrectionReason};
use crate::rights::{objections, restrictions};

closed_list! {
    /// Whose flows are in the report.
    ReportScope {
        /// Those that the organisation gave and got itself.
        Own = "own",
        /// Those of all parties.
        Full = "full",
    }
}

closed_list! {
    /// How it was made sure who asks (art. 12.6 AVG).
    Identification {
        /// A document of identity was seen.
        IdentityDocument = "identity-document",
        /// A means of electronic identification at the level substantial or high, such as `DigiD`.
        Electronic = "electronic-identification",
        /// A professional who knows them.
        KnownInPerson = "known-in-person",
        /// Questions about the own file.
        ControlQuestions = "control-questions",
    }
}

closed_list! {
    /// Who asks for the report.
    Requester {
        /// The resident.
        Resident = "resident",
        /// A parent with authority.
        Parent = "parent",
        /// A legal representative, whose kind is stated.
        Representative = "representative",
    }
}

/// From when until when: `from` belongs to it, `until` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct Period {
    /// Its first moment; from the beginning where there is none.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// The first moment after it; until now where there is none.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
    }
}

/// What is asked for; the resident is read apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    pub(super) scope: ReportScope,
    pub(super) identification: Identification,
    pub(super) requested_by: Requester,
    #[serde(default)]
    pub(super) representative_kind: Option<RepresentativeKind>,
    #[serde(default)]
    pub(super) period: Period,
}

impl Wanted {
    /// What the contract cannot say; every mistake at once.
    #[must_use]
    pub(super) fn mistakes(&self) -> Vec<InvalidParam> {
        let mut mistakes = Vec::new();
        if (self.requested_by == Requester::Representative) != self.representative_kind.is_some() {
            let expected = "expected exactly when requestedBy is representative";
            mistakes.push(InvalidParam::new("representativeKind", "required", expected));
        }
        if let Period { from: Some(from), until: Some(until) } = self.period
            && until <= from
        {
            mistakes.push(InvalidParam::new("period.until", "range", "expected a moment after period.from"));
        }
        mistakes
    }
}

/// A code with what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Named {
    /// The code.
    pub code: String,
    /// Its name.
    pub label: Words,
}

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Words {
    /// Dutch.
    pub nl: String,
    /// English.
    pub en: String,
}

impl From<&Label> for Words {
    fn from(Label { nl, en }: &Label) -> Self {
        Self { nl: nl.clone(), en: en.clone() }
    }
}

impl Words {
    /// A text that is said.
    pub(super) fn of(nl: &str, en: &str) -> Self {
        Self { nl: nl.to_owned(), en: en.to_owned() }
    }
}

/// A legal basis with its articles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// Its code.
    pub code: String,
    /// Its name.
    pub label: Words,
    /// The articles; none where its version of the covenant is not known here.
    pub source: Option<String>,
}

/// What one party gave another under one referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// The referral; none where the log no longer says which.
    pub referral: Option<Uuid>,
    /// Where it stands; none where it is kept in the log alone.
    pub status: Option<String>,
    /// Who gave.
    pub giver: Oin,
    /// Who received.
    pub receiver: Oin,
    /// Why.
    pub purpose: Option<Named>,
    /// Whether to weigh a question or to help.
    pub phase: Option<String>,
    /// On which basis.
    pub legal_basis: Option<Basis>,
    /// The entry of the register of processing activities.
    pub processing_activity: Option<String>,
    /// What was really received.
    pub received: Vec<Received>,
    /// What was permitted and not picked up yet; empty in the report of who is to receive it.
    pub waiting: Vec<Named>,
    /// What was withheld: in the own report of who gave, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Vec<Withheld>>,
    /// What was found to be wrong later.
    pub corrections: Vec<Corrected>,
    /// What whoever gave it had erased later.
    pub erased: Vec<Erased>,
    /// Under which break-glass.
    pub break_glass: Option<UnderBreakGlass>,
    /// The earlier referral that it follows on; not in the report of who received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub based_on: Option<Uuid>,
}

/// The same categories, by the same rules, handed over once or several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// When first.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// How often.
    pub times: usize,
    /// What.
    pub categories: Vec<Named>,
    /// By which version of the covenant.
    pub covenant_version: Option<String>,
    /// The rules that let it pass.
    pub rules: Vec<Rule>,
}

/// A rule with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: Words,
}

/// What did not cross.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Withheld {
    /// The category.
    pub category: Named,
    /// Why.
    pub reason: Option<Named>,
}

/// What was found to be wrong in what was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Corrected {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<CorrectionReason>,
    /// What became of it.
    pub effect: CorrectionEffect,
    /// Of what.
    pub categories: Vec<Named>,
}

/// What whoever gave it had erased (art. 17 AVG), also where it was never picked up; of what was received its receiver was told to delete it (art. 19 AVG).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// What.
    pub categories: Vec<Named>,
}

/// That it was given under break-glass, as both parties know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnderBreakGlass {
    /// Why.
    pub reason: EmergencyReason,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// From when on its recipient deletes it.
    pub delete_since: Option<Timestamp>,
}

/// A consent, release or agreement that somebody recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingLine {
    /// Which of the three.
    pub kind: RecordKind,
    /// How it stands.
    pub status: String,
    /// By whom.
    pub recorded_by: Oin,
    /// When.
    pub recorded_at: Timestamp,
    /// Who gave it.
    pub given_by: GivenBy,
    /// Which representative.
    pub representative_kind: Option<RepresentativeKind>,
    /// Whether explicit.
    pub explicit: bool,
    /// To whom may be given.
    pub recipients: Vec<Oin>,
    /// For what.
    pub purposes: Vec<Named>,
    /// What.
    pub categories: Vec<Named>,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when.
    pub valid_until: Timestamp,
    /// When it was given.
    pub obtained_at: Timestamp,
    /// How.
    pub method: Method,
    /// That it was withdrawn.
    pub withdrawal: Option<Withdrawn>,
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawn {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: WithdrawalReason,
    /// Who heard of it, where that was another organisation.
    pub reported_by: Option<Oin>,
}

/// What an organisation said about deleting what it had received under a consent that was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmationLine {
    /// Who gave.
    pub giver: Oin,
    /// Who received and says it.
    pub organisation: Oin,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// How it stands.
    pub status: ConfirmationStatus,
    /// When it was said.
    pub confirmed_at: Option<Timestamp>,
    /// With `kept`: on which other basis.
    pub legal_basis: Option<BasisCode>,
    /// With `kept`: which law says how long.
    pub retention: Option<Retention>,
}

/// A declaration of break-glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmergencyLine {
    /// Who declared it.
    pub declared_by: Oin,
    /// To whom something could be given.
    pub recipient: Oin,
    /// Why.
    pub reason: EmergencyReason,
    /// Why the resident could not consent.
    pub cannot_consent: Option<CannotConsent>,
    /// What could be given.
    pub categories: Vec<Named>,
    /// When.
    pub declared_at: Timestamp,
    /// Until when at most.
    pub valid_until: Timestamp,
    /// Whether the resident was informed.
    pub notification: DutyStatus,
    /// What the review concluded.
    pub conclusion: Option<Conclusion>,
}

/// An objection (art. 21 AVG) that a party recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectionLine {
    /// By whom.
    pub recorded_by: Oin,
    /// When the resident objected.
    pub obtained_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Against which purposes; none for all.
    pub purposes: Option<Vec<Named>>,
    /// How it stands.
    pub status: objections::Status,
    /// Since when it stops nothing any more.
    pub ended_at: Option<Timestamp>,
}

/// A restriction (art. 18 AVG) that a party recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestrictionLine {
    /// By whom.
    pub recorded_by: Oin,
    /// Why.
    pub ground: restrictions::Ground,
    /// When.
    pub recorded_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// An incident of a referral about the resident, as both of its parties know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentLine {
    /// The referral.
    pub referral: Uuid,
    /// What went wrong.
    pub kind: IncidentKind,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// By which party; none where the gateway found it.
    pub opened_by: Option<Oin>,
    /// Who sent the referral.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
}

/// A party that the report names, and where a resident turns to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Involved {
    /// Its number.
    pub organisation: Oin,
    /// Its name.
    pub name: String,
    /// Where one complains about it; none only where no covenant that is known here ever named it.
    pub complaints: Option<String>,
    /// How to reach it.
    pub contact: Option<String>,
    /// How to reach its data protection officer.
    pub data_protection_officer: Option<String>,
}

/// A right of the resident, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Right {
    /// The article of the AVG.
    pub article: &'static str,
    /// What it is and what to do.
    pub text: Words,
}

/// How long what is kept, in days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Content, after the referral ended, where its category has no days of its own.
    pub content: u32,
    /// Content of single categories.
    pub categories: Vec<KeptCategory>,
    /// The referral without its content.
    pub referral: u32,
    /// Records of consent, release and agreement.
    pub consent: u32,
    /// Events.
    pub event: u32,
    /// Records of the log.
    pub audit: u32,
}

/// How long content of one category is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptCategory {
    /// Which.
    pub category: Named,
    /// Days after the referral ended.
    pub days: u32,
}

/// What is true of every report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statements {
    /// Where the data comes from (art. 15.1.g AVG).
    pub source: Words,
    /// What is decided by rules and what is not (art. 15.1.h AVG).
    pub decisions: Words,
    /// What is not in the report.
    pub limits: Words,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whose flows.
    pub scope: ReportScope,
    /// By whom.
    pub composed_by: Oin,
    /// When.
    pub composed_at: Timestamp,
    /// About whom, as who composed it knows them.
    pub subject: Known,
    /// How it was made sure who asks.
    pub identification: Identification,
    /// Who asks.
    pub requested_by: Requester,
    /// Which representative.
    pub representative_kind: Option<RepresentativeKind>,
    /// Of which time.
    pub period: Period,
    /// Who gave what to whom.
    pub flows: Vec<Flow>,
    /// What was recorded of consent, release and agreement.
    pub recordings: Vec<RecordingLine>,
    /// What was said of deleting after a withdrawal.
    pub confirmations: Vec<ConfirmationLine>,
    /// Break-glass.
    pub emergency_accesses: Vec<EmergencyLine>,
    /// Objections.
    pub objections: Vec<ObjectionLine>,
    /// Restrictions.
    pub restrictions: Vec<RestrictionLine>,
    /// Incidents.
    pub incidents: Vec<IncidentLine>,
    /// Every party that is named in it.
    pub parties: Vec<Involved>,
    /// Where a resident turns to, whoever of them it is about.
    pub contact_point: Option<String>,
    /// How long what is kept.
    pub retention_days: Kept,
    /// What is true of every report.
    pub statements: Statements,
    /// What the resident may do.
    pub rights: Vec<Right>,
    /// The version of the covenant in force.
    pub covenant_version: String,
}

/// The resident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The reader's own pseudonym.
    pub pseudonym: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(body: serde_json::Value) -> Wanted {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let body = |by: &str| json!({ "scope": "own", "identification": "identity-document", "requestedBy": by });
        assert!(wanted(body("resident")).mistakes().is_empty());
        assert_eq!(wanted(body("representative")).mistakes().len(), 1);
        let mut both = body("resident");
        both["representativeKind"] = json!("curator");
        both["period"] = json!({ "from": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z" });
        let names: Vec<String> = wanted(both).mistakes().into_iter().map(|mistake| mistake.name).collect();
        assert_eq!(names, ["representativeKind", "period.until"]);
    }

    #[test]
    fn a_period_holds_its_first_moment_and_not_its_last() {
        let at = Timestamp::from_micros;
        let period = Period { from: Some(at(10)), until: Some(at(20)) };
        assert_eq!([9, 10, 19, 20].map(|micros| period.holds(at(micros))), [false, true, true, false]);
        assert!(Period::default().holds(at(0)));
    }
}
