//! What a declaration says, what it is good for, and what is still owed after it. Pure.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::lifecycle::working_days::after_working_days;
use crate::policy::BreakGlass;
use crate::problem::InvalidParam;
use crate::rights::Method;

/// How long a declaration opens something at most.
pub const LONGEST: Duration = Duration::from_hours(24);

closed_list! {
    /// Why break-glass is declared: the vital interest (art. 6.1.d AVG).
    EmergencyReason {
        /// A life is in danger.
        DangerToLife = "danger-to-life",
        /// Somebody is in danger of serious harm to body or mind.
        DangerOfSeriousHarm = "danger-of-serious-harm",
        /// There is violence now.
        AcuteViolence = "acute-violence",
        /// A child is in danger now.
        ChildInAcuteDanger = "child-in-acute-danger",
        /// The resident is missing and at risk.
        MissingAndAtRisk = "missing-and-at-risk",
    }
}

closed_list! {
    /// Why the resident cannot consent, physically or legally (art. 9.2.c AVG).
    CannotConsent {
        /// Unconscious.
        Unconscious = "unconscious",
        /// Otherwise physically unable.
        PhysicallyUnable = "physically-unable",
        /// Does not oversee what is asked.
        MentallyIncapable = "mentally-incapable",
        /// May not decide by law, and who may cannot be asked in time.
        LegallyIncapable = "legally-incapable",
        /// Cannot be asked, because nobody knows where the resident is.
        Missing = "missing",
    }
}

closed_list! {
    /// How a declaration stands.
    Status {
        /// Something can be given under it.
        Active = "active",
        /// Its party, or a review, has ended it.
        Ended = "ended",
        /// Its time is over.
        Expired = "expired",
    }
}

closed_list! {
    /// How a review stands.
    ReviewStatus {
        /// Waits for its conclusion.
        Open = "open",
        /// Waits for it longer than the covenant allows.
        Overdue = "overdue",
        /// Concluded.
        Concluded = "concluded",
    }
}

closed_list! {
    /// What a review concludes.
    Conclusion {
        /// All that was given was rightly given.
        Justified = "justified",
        /// Some categories were not.
        PartlyJustified = "partly-justified",
        /// It should not have been declared.
        NotJustified = "not-justified",
    }
}

closed_list! {
    /// What follows from a review.
    Measure {
        /// Those who may declare were instructed.
        StaffInstructed = "staff-instructed",
        /// A way of working was changed.
        ProcedureChanged = "procedure-changed",
        /// The mandate of a role was limited or withdrawn.
        MandateWithdrawn = "mandate-withdrawn",
        /// It was reported as a personal data breach (art. 33 AVG).
        BreachReported = "breach-reported",
        /// The covenant is put up for change.
        CovenantReviewed = "covenant-reviewed",
    }
}

closed_list! {
    /// How the duty to inform the resident stands.
    DutyStatus {
        /// The resident is to be informed.
        Open = "open",
        /// Informing was put off, with a reason and until another deadline.
        Postponed = "postponed",
        /// The deadline has passed.
        Overdue = "overdue",
        /// The resident was informed.
        Informed = "informed",
        /// It was recorded why that is not possible.
        NotPossible = "not-possible",
    }
}

closed_list! {
    /// What is recorded of informing the resident.
    Notified {
        /// The resident, or who represents them, was informed.
        Informed = "informed",
        /// Not yet.
        Postponed = "postponed",
        /// Not at all.
        NotPossible = "not-possible",
    }
}

closed_list! {
    /// Why the resident was not informed (yet).
    NotInformed {
        /// It would endanger the resident now.
        EndangersResident = "endangers-resident",
        /// It would endanger others now.
        EndangersOthers = "endangers-others",
        /// It would hinder an investigation now.
        HindersInvestigation = "hinders-investigation",
        /// The resident was not reached yet.
        NotReachedYet = "not-reached-yet",
        /// The resident has died.
        Deceased = "deceased",
        /// The resident cannot be found.
        Untraceable = "untraceable",
    }
}

impl NotInformed {
    /// Whether it is a reason not to inform at all, and not only to put it off.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Deceased | Self::Untraceable)
    }
}

/// A declaration with its review and the duty to inform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyAccess {
    /// Its id, and that of its review.
    pub id: Uuid,
    /// Who declared it, and gives under it.
    pub organisation: Oin,
    /// To whom.
    pub recipient: Oin,
    /// About whom, as only the gateway knows them.
    pub subject: String,
    /// The role that declared it, a code of the covenant.
    pub role: String,
    /// Why.
    pub reason: EmergencyReason,
    /// Why the resident cannot consent, where that is so.
    pub cannot_consent: Option<CannotConsent>,
    /// What may be given.
    pub categories: Vec<CategoryCode>,
    /// The version of the covenant that was in force.
    pub covenant_version: String,
    /// When it was declared, by the gateway's clock.
    pub declared_at: Timestamp,
    /// Until when something can be given.
    pub valid_until: Timestamp,
    /// When it was ended before that.
    pub ended_at: Option<Timestamp>,
    /// Its review.
    pub review: Review,
    /// The duty to inform the resident.
    pub duty: Duty,
    /// Counts its changes.
    pub version: i64,
}

/// The review of a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whose privacy officer concludes it.
    pub reviewer: Oin,
    /// Until when.
    pub due_at: Timestamp,
    /// Whether that it is overdue was told.
    pub told: bool,
    /// What it concluded.
    pub concluded: Option<Concluded>,
}

/// A conclusion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concluded {
    /// What.
    pub conclusion: Conclusion,
    /// What follows from it.
    pub measures: Vec<Measure>,
    /// What was not rightly given, and is deleted.
    pub deleted: Vec<CategoryCode>,
    /// By which organisation.
    pub by: Oin,
    /// When.
    pub at: Timestamp,
}

/// The duty to inform the resident (art. 13 and 14 AVG).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Until when; none once it is fulfilled or it was recorded that it cannot be.
    pub due_at: Option<Timestamp>,
    /// Whether that it is overdue was told.
    pub told: bool,
    /// Working days that a postponement lasts.
    pub days: u32,
    /// What was recorded last.
    pub last: Option<Notified>,
}

/// One record of informing the resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// What is recorded.
    pub outcome: Notified,
    /// When the resident was informed.
    pub informed_at: Option<Timestamp>,
    /// How.
    pub method: Option<Method>,
    /// Why not (yet).
    pub reason: Option<NotInformed>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// What a referral carries of the declaration that it was sent under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderEmergency {
    /// The declaration.
    pub access: Uuid,
    /// Why.
    pub reason: EmergencyReason,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// Until when its recipient can read what was given.
    pub valid_until: Timestamp,
    /// From when on its recipient deletes what it has.
    pub delete_at: Option<Timestamp>,
}

impl EmergencyAccess {
    /// Which categories a review found not to be justified, where that were some of them; none where it was all, or nothing.
    #[must_use]
    pub fn partly_deleted(&self) -> Option<&[CategoryCode]> {
        let concluded = self.review.concluded.as_ref()?;
        (concluded.conclusion == Conclusion::PartlyJustified).then_some(concluded.deleted.as_slice())
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.ended_at.is_some() {
            Status::Ended
        } else if now < self.end() {
            Status::Active
        } else {
            Status::Expired
        }
    }

    /// The moment from which on nothing is given under it, whatever is stored.
    fn end(&self) -> Timestamp {
        self.valid_until.min(self.declared_at.plus(LONGEST))
    }

    /// What it opens now for what this giver gives to this receiver about this resident; nothing where it is not about that, or over.
    #[must_use]
    pub fn opens(&self, giver: &Oin, receiver: &Oin, subject: &str, now: Timestamp) -> Option<BreakGlass> {
        let fits = self.organisation == *giver && self.recipient == *receiver && self.subject == subject;
        let open = self.declared_at <= now && self.status(now) == Status::Active;
        (fits && open)
            .then(|| BreakGlass { categories: self.categories.clone(), cannot_consent: self.cannot_consent.is_some() })
    }

    /// What a referral that is sent under it carries of it.
    #[must_use]
    pub fn mark(&self) -> UnderEmergency {
        UnderEmergency {
            access: self.id,
            reason: self.reason,
            declared_at: self.declared_at,
            valid_until: self.end(),
            delete_at: None,
        }
    }

    /// How its review stands.
    #[must_use]
    pub fn review_status(&self, now: Timestamp) -> ReviewStatus {
        if self.review.concluded.is_some() {
            ReviewStatus::Concluded
        } else if now < self.review.due_at {
            ReviewStatus::Open
        } else {
            ReviewStatus::Overdue
        }
    }

    /// How the duty to inform stands.
    #[must_use]
    pub fn duty_status(&self, now: Timestamp) -> DutyStatus {
        match (self.duty.last, self.duty.due_at) {
            (Some(Notified::Informed), _) => DutyStatus::Informed,
            (Some(Notified::NotPossible), _) => DutyStatus::NotPossible,
            (_, Some(due_at)) if due_at <= now => DutyStatus::Overdue,
            (Some(Notified::Postponed), _) => DutyStatus::Postponed,
            (None, _) => DutyStatus::Open,
        }
    }

    /// The first deadline that is still to be told when it passes.
    #[must_use]
    pub fn alarm_at(&self) -> Option<Timestamp> {
        let review = (self.review.concluded.is_none() && !self.review.told).then_some(self.review.due_at);
        let duty = self.duty.due_at.filter(|_| !self.duty.told);
        review.into_iter().chain(duty).min()
    }

    /// Takes note of what was done to inform the resident; whether it could be noted. Who was informed needs not be informed again.
    #[must_use]
    pub fn notify(&mut self, notification: &Notification) -> bool {
        let may = match (self.duty.last, notification.outcome) {
            (Some(Notified::Informed), _) => false,
            // Who was thought to be lost may turn up.
            (Some(Notified::NotPossible), outcome) => outcome == Notified::Informed,
            _ => true,
        };
        if may {
            let days = self.duty.days;
            self.duty.last = Some(notification.outcome);
            (self.duty.due_at, self.duty.told) = match notification.outcome {
                Notified::Postponed => (Some(after_working_days(notification.recorded_at, days)), false),
                Notified::Informed | Notified::NotPossible => (None, self.duty.told),
            };
        }
        may
    }
}

/// A record of informing the resident, as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationCreation {
    outcome: Notified,
    #[serde(default)]
    informed_at: Option<Timestamp>,
    #[serde(default)]
    method: Option<Method>,
    #[serde(default)]
    reason: Option<NotInformed>,
}

impl NotificationCreation {
    /// The record, if its parts belong together.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn checked(&self, id: Uuid, declared_at: Timestamp, now: Timestamp) -> Result<Notification, Vec<InvalidParam>> {
        let Self { outcome, informed_at, method, reason } = self.clone();
        let mut wrong = Vec::new();
        let informed = outcome == Notified::Informed;
        let mut belongs = |name: &str, given: bool, wanted: bool, with: &str| {
            let expected = if wanted { format!("expected with {with}") } else { format!("expected only with {with}") };
            if given != wanted {
                wrong.push(InvalidParam::new(name, if wanted { "required" } else { "not-expected" }, expected));
            }
        };
        belongs("informedAt", informed_at.is_some(), informed, "informed");
        belongs("method", method.is_some(), informed, "informed");
        belongs("reason", reason.is_some(), !informed, "postponed and not-possible");
        if informed_at.is_some_and(|at| at < declared_at || at > now) {
            wrong.push(InvalidParam::new(
                "informedAt",
                "range",
                "expected a moment since the declaration and until now",
            ));
        }
        if reason.is_some_and(|reason| !informed && reason.is_final() != (outcome == Notified::NotPossible)) {
            let expected = "expected deceased or untraceable with not-possible, another reason with postponed";
            wrong.push(InvalidParam::new("reason", "unknown-code", expected));
        }
        if wrong.is_empty() {
            Ok(Notification { id, outcome, informed_at, method, reason, recorded_at: now })
        } else {
            Err(wrong)
        }
    }
}

/// A conclusion as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConclusionCreation {
    pub conclusion: Conclusion,
    #[serde(default)]
    pub measures: Vec<Measure>,
    /// With a partly justified one: what was not rightly given.
    #[serde(default)]
    pub not_justified: Vec<CategoryCode>,
}

impl ConclusionCreation {
    /// What is to be deleted: the categories that it names, or all.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn deleted(&self, declared: &[CategoryCode]) -> Result<Vec<CategoryCode>, Vec<InvalidParam>> {
        const PLACE: &str = "notJustified";
        let named = &self.not_justified;
        let wrong = |code, expected: &str| Err(vec![InvalidParam::new(PLACE, code, expected)]);
        match self.conclusion {
            Conclusion::PartlyJustified if named.is_empty() => wrong("required", "expected with partly-justified"),
            Conclusion::PartlyJustified if named.iter().any(|one| !declared.contains(one)) => {
                wrong("invalid", "expected categories of the declaration")
            }
            Conclusion::PartlyJustified if declared.iter().all(|one| named.contains(one)) => {
                wrong("invalid", "expected not all categories of the declaration; conclude not-justified instead")
            }
            Conclusion::PartlyJustified => Ok(named.clone()),
            _ if !named.is_empty() => wrong("not-expected", "expected only with partly-justified"),
            Conclusion::NotJustified => Ok(declared.to_vec()),
            Conclusion::Justified => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
