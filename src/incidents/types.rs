//! What an incident is, what each party owes, and what it may say. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::problem::InvalidParam;
use crate::relay::IncidentNews;

/// How long a party has, from when it knew, to notify the supervisory authority or to find that it need not (art. 33.1 AVG): hours of the clock.
pub const TO_ASSESS: Duration = Duration::from_hours(72);

closed_list! {
    /// What went wrong.
    IncidentKind {
        /// It is about another resident than was meant.
        WrongResident = "wrong-resident",
        /// It reached an organisation that it was not meant for.
        WrongRecipient = "wrong-recipient",
        /// Content, a signature or a receipt does not verify: it may have been altered.
        FailedVerification = "failed-verification",
    }
}

impl IncidentKind {
    /// Whether what was received is deleted. What does not verify is kept as it is: it is what is looked into.
    #[must_use]
    pub const fn asks_deletion(self) -> bool {
        matches!(self, Self::WrongResident | Self::WrongRecipient)
    }
}

closed_list! {
    /// What a party found.
    AssessmentOutcome {
        /// It was notified to the supervisory authority (art. 33 AVG).
        Notified = "notified",
        /// It is a breach that is unlikely to be a risk to anybody; it is registered and not notified (art. 33.1 and 33.5 AVG).
        RiskUnlikely = "risk-unlikely",
        /// It was no personal data breach.
        NoBreach = "no-breach",
    }
}

closed_list! {
    /// Why the authority was notified after 72 hours (art. 33.1 AVG).
    Delay {
        /// What happened was not clear before.
        ScopeUnclear = "scope-unclear",
        /// Who had to know was told late.
        ToldLate = "told-late",
        /// Something technical stood in the way.
        TechnicalFault = "technical-fault",
        /// The police or the authority asked to wait.
        AskedToWait = "asked-to-wait",
    }
}

closed_list! {
    /// Whether the residents concerned are told (art. 34 AVG).
    ResidentsTold {
        /// They were.
        Informed = "informed",
        /// They will be, without undue delay.
        ToBeInformed = "to-be-informed",
        /// No high risk to them is likely.
        NoHighRisk = "no-high-risk",
        /// What was taken or lost cannot be read, such as content that is encrypted for somebody else (art. 34.3.a AVG).
        Unreadable = "unreadable",
        /// What was done since has taken the high risk away (art. 34.3.b AVG).
        RiskTakenAway = "risk-taken-away",
    }
}

closed_list! {
    /// Who else saw what was received by mistake.
    PassedOn {
        /// Nobody but who opened it.
        Nobody = "nobody",
        /// Others in the organisation.
        Inside = "inside",
        /// Somebody outside the organisation.
        Outside = "outside",
    }
}

closed_list! {
    /// How what a party owes stands.
    DutyStatus {
        /// It is waited for.
        Open = "open",
        /// It should have been done.
        Overdue = "overdue",
        /// It is done.
        Done = "done",
    }
}

/// What was received with one part of a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Received {
    /// The update that it came with; none for what came with the referral.
    pub(super) update_id: Option<Uuid>,
    /// What it was.
    pub(super) categories: Vec<CategoryCode>,
}

/// An incident, as the gateway knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub referral: Uuid,
    /// What went wrong.
    pub kind: IncidentKind,
    /// Who sent the referral.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
    /// The resident, as only the gateway knows them.
    pub(super) subject: String,
    /// Who opened it; none where the gateway found it itself.
    pub reported_by: Option<Oin>,
    /// When.
    pub opened_at: Timestamp,
}

impl Incident {
    /// The other party.
    pub(super) fn other<'a>(&'a self, organisation: &Oin) -> &'a Oin {
        if self.sender == *organisation { &self.recipient } else { &self.sender }
    }
}

/// What one party owes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) organisation: Oin,
    /// When it knew.
    pub(super) aware_at: Timestamp,
    /// Until when it assesses.
    pub(super) assess_due_at: Timestamp,
    /// Whether that it is overdue was told.
    pub(super) assess_told: bool,
    /// What it found last.
    pub(super) assessment: Option<AssessmentOutcome>,
    /// What it has to delete.
    pub(super) deletion: Option<Deletion>,
    /// Counts its changes.
    pub(super) version: i64,
}

/// What a party received by mistake and deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) received: Vec<Received>,
    pub(super) due_at: Timestamp,
    pub(super) told: bool,
    /// When it said that it is deleted, and who else had seen it.
    pub(super) confirmed: Option<(Timestamp, PassedOn)>,
}

impl Deletion {
    /// How it stands.
    pub(super) fn status(&self, now: Timestamp) -> DutyStatus {
        status(self.confirmed.is_some(), self.due_at, now)
    }
}

impl Duty {
    /// How its assessment stands.
    pub(super) fn assessment_status(&self, now: Timestamp) -> DutyStatus {
        status(self.assessment.is_some(), self.assess_due_at, now)
    }

    /// What has passed its deadline and is told now: each once.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<IncidentNews> {
        let mut news = Vec::new();
        if !self.assess_told && self.assessment_status(now) == DutyStatus::Overdue {
            self.assess_told = true;
            news.push(IncidentNews::AssessmentOverdue);
        }
        let late = |one: &&mut Deletion| !one.told && one.status(now) == DutyStatus::Overdue;
        if let Some(deletion) = self.deletion.as_mut().filter(late) {
            deletion.told = true;
            news.push(IncidentNews::DeletionOverdue);
        }
        self.version += i64::from(!news.is_empty());
        news
    }

    /// The first deadline that is still to be told when it passes.
    pub(super) fn alarm_at(&self) -> Option<Timestamp> {
        let assess = (self.assessment.is_none() && !self.assess_told).then_some(self.assess_due_at);
        let delete = self.deletion.as_ref().filter(|one| one.confirmed.is_none() && !one.told).map(|one| one.due_at);
        assess.into_iter().chain(delete).min()
    }

    /// Whether it may be assessed so now: what was notified to the authority cannot be taken back here, only added to.
    pub(super) fn may_be_assessed(&self, outcome: AssessmentOutcome) -> bool {
        self.assessment != Some(AssessmentOutcome::Notified) || outcome == AssessmentOutcome::Notified
    }
}

fn status(done: bool, due_at: Timestamp, now: Timestamp) -> DutyStatus {
    if done {
        DutyStatus::Done
    } else if due_at <= now {
        DutyStatus::Overdue
    } else {
        DutyStatus::Open
    }
}

/// An incident as it is reported.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentCreation {
    pub(super) referral: Uuid,
    pub(super) kind: IncidentKind,
    /// When who reports it first knew; now, where it does not say.
    #[serde(default)]
    pub(super) aware_at: Option<Timestamp>,
}

impl IncidentCreation {
    /// When who reports it first knew.
    ///
    /// # Errors
    /// Before the referral was sent, or not yet.
    pub(super) fn aware_at(&self, sent_at: Timestamp, now: Timestamp) -> Result<Timestamp, InvalidParam> {
        let aware_at = self.aware_at.unwrap_or(now);
        if sent_at <= aware_at && aware_at <= now {
            return Ok(aware_at);
        }
        Err(InvalidParam::new("awareAt", "range", "expected a moment since the referral was sent and until now"))
    }
}

/// An assessment, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) id: Uuid,
    pub(super) outcome: AssessmentOutcome,
    /// With `notified`: when.
    pub(super) notified_at: Option<Timestamp>,
    /// With one after the deadline: why.
    pub(super) delay: Option<Delay>,
    /// With `notified`.
    pub(super) residents: Option<ResidentsTold>,
    pub(super) recorded_at: Timestamp,
}

/// An assessment as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssessmentCreation {
    pub(super) outcome: AssessmentOutcome,
    #[serde(default)]
    notified_at: Option<Timestamp>,
    #[serde(default)]
    delay: Option<Delay>,
    #[serde(default)]
    residents: Option<ResidentsTold>,
}

impl AssessmentCreation {
    /// The record, if its parts belong together.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn checked(&self, id: Uuid, duty: &Duty, now: Timestamp) -> Result<Assessment, Vec<InvalidParam>> {
        let Self { outcome, notified_at, delay, residents } = self.clone();
        let notified = outcome == AssessmentOutcome::Notified;
        let late = notified && notified_at.is_some_and(|at| at > duty.assess_due_at);
        let mut wrong = Vec::new();
        let mut belongs = |name: &str, given: bool, wanted: bool, with: &str| {
            if given != wanted {
                let (code, only) = if wanted { ("required", "") } else { ("not-expected", "only ") };
                wrong.push(InvalidParam::new(name, code, format!("expected {only}with {with}")));
            }
        };
        belongs("notifiedAt", notified_at.is_some(), notified, "notified");
        belongs("residents", residents.is_some(), notified, "notified");
        belongs("delay", delay.is_some(), late, "a notification after the deadline");
        if notified_at.is_some_and(|at| at < duty.aware_at || at > now) {
            let expected = "expected a moment since the organisation knew and until now";
            wrong.push(InvalidParam::new("notifiedAt", "range", expected));
        }
        if wrong.is_empty() {
            Ok(Assessment { id, outcome, notified_at, delay, residents, recorded_at: now })
        } else {
            Err(wrong)
        }
    }
}

/// That what was received is deleted, as it is said.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfirmationCreation {
    pub(super) passed_on: PassedOn,
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
