//! What the gateway tells an organisation: a closed list of events, written as `CloudEvents` NL GOV 1.1.
//!
//! Invariant: an event carries identifiers, codes and times. There is no field that could hold content, a purpose, a resident
//! or an employee: what happened is fetched at `dataref`, where it is decided again whether it may be seen. Whoever is told of something that it may
//! not fetch is given no `dataref`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Addressee, CaseNews, ConsentNews, EmergencyNews};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::Role;

pub use super::published::{CloudEvent, Published, Speaker, source};

/// The kinds of events; the only place that knows their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A referral has arrived; to its recipient.
    ReferralRequested,
    /// A referral has another status; to the other party.
    ReferralStatusUpdated,
    /// A referral's holder let a deadline pass; to both parties.
    ReferralOverdue,
    /// A referral's sections were handed over; to its sender.
    ReferralDisclosed,
    /// Something that was handed over was wrong; to who received it.
    ReferralCorrected,
    /// A referral that arrived was sent under break-glass; to its recipient, beside that it arrived.
    ReferralUnderBreakGlass,
    /// What was received under break-glass must be deleted; to who received it.
    ReferralDeletionRequired,
    /// The reader is asked to coordinate a case; to that organisation.
    CaseCoordinationOffered,
    /// Nobody has to answer an offer to coordinate any more; to who was to hear of it.
    CaseOfferEnded,
    /// Somebody else coordinates a case; to everyone who takes part.
    CaseCoordinatorChanged,
    /// A coordinator let a deadline pass; to it and to the municipality.
    CaseCoordinatorOverdue,
    /// An organisation is invited to take part in a case; to it.
    CaseParticipantInvited,
    /// An organisation that was invited has signed the covenant for the case; to it and the coordinator.
    CaseParticipantSigned,
    /// An organisation takes no part by invitation any more; to it, or to the coordinator where it left by itself.
    CaseParticipantLeft,
    /// The coordinator calls a meeting; to everyone who is asked to it.
    CaseMeetingCalled,
    /// The gateway proposes to step up; to the coordinator.
    CaseStepUpProposed,
    /// The municipality directs a case; to everyone who takes part, and to the municipality.
    CaseSteppedUp,
    /// The process director stepped up without the coordinator; to the municipality's privacy officer.
    CaseSteppedUpByDirector,
    /// The municipality let a deadline of a case pass, as its coordinator or as process director; to its privacy officer.
    CaseOverdueAtMunicipality,
    /// The municipality does not direct a case any more; to everyone who takes part, and to the municipality.
    CaseSteppedDown,
    /// A case was closed; to everyone who takes part.
    CaseClosed,
    /// A case is open again; to everyone who takes part.
    CaseReopened,
    /// A holder let a deadline pass; to the municipality, which need not be a party.
    HandoffOverdue,
    /// The municipality itself let a deadline pass; to its privacy officer.
    HandoffOverdueAtMunicipality,
    /// A consent no longer counts; to the organisation that recorded it.
    ConsentWithdrawn,
    /// What was received under a consent that was withdrawn is to be confirmed; to who received it.
    ConsentConfirmationRequested,
    /// An organisation confirmed it; to who recorded the consent.
    ConsentConfirmed,
    /// An organisation did not confirm in time; to it and to who recorded the consent.
    ConsentConfirmationOverdue,
    /// The same; to the municipality's privacy officer.
    ConsentConfirmationUnanswered,
    /// A review of break-glass was concluded; to who declared it.
    EmergencyConcluded,
    /// The resident was not informed of break-glass in time; to who declared it.
    EmergencyNotificationOverdue,
    /// Break-glass was declared; to the privacy officers of both parties and of the covenant.
    EmergencyDeclared,
    /// A review was concluded; to these privacy officers.
    ReviewConcluded,
    /// A review was not concluded in time; to the reviewer's privacy officer and the covenant's.
    ReviewOverdue,
    /// The resident was not informed in time; to the declaring party's privacy officer and the covenant's.
    ReviewNotificationOverdue,
    /// A covenant version was published; to its parties.
    CovenantPublished,
    /// A party signed a covenant version; to its parties.
    CovenantSigned,
    /// A party signed a covenant version for one purpose; to its parties.
    CovenantSignedForPurpose,
    /// An organisation takes nobody in for a purpose, or lets people wait; to the other parties.
    CapacityAnnounced,
    /// An organisation ended that before its last day was over; to the other parties.
    CapacityEnded,
    /// An organisation may no longer exchange; to the other parties.
    OrganisationSuspended,
    /// An organisation may exchange again; to the other parties.
    OrganisationResumed,
    /// An organisation has left for good; to the other parties.
    OrganisationRetired,
}

impl EventType {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 43] = [
        Self::ReferralRequested,
        Self::ReferralStatusUpdated,
        Self::ReferralOverdue,
        Self::ReferralDisclosed,
        Self::ReferralCorrected,
        Self::ReferralUnderBreakGlass,
        Self::ReferralDeletionRequired,
        Self::CaseCoordinationOffered,
        Self::CaseOfferEnded,
        Self::CaseCoordinatorChanged,
        Self::CaseCoordinatorOverdue,
        Self::CaseParticipantInvited,
        Self::CaseParticipantSigned,
        Self::CaseParticipantLeft,
        Self::CaseMeetingCalled,
        Self::CaseStepUpProposed,
        Self::CaseSteppedUp,
        Self::CaseSteppedUpByDirector,
        Self::CaseOverdueAtMunicipality,
        Self::CaseSteppedDown,
        Self::CaseClosed,
        Self::CaseReopened,
        Self::HandoffOverdue,
        Self::HandoffOverdueAtMunicipality,
        Self::ConsentWithdrawn,
        Self::ConsentConfirmationRequested,
        Self::ConsentConfirmed,
        Self::ConsentConfirmationOverdue,
        Self::ConsentConfirmationUnanswered,
        Self::EmergencyConcluded,
        Self::EmergencyNotificationOverdue,
        Self::EmergencyDeclared,
        Self::ReviewConcluded,
        Self::ReviewOverdue,
        Self::ReviewNotificationOverdue,
        Self::CovenantPublished,
        Self::CovenantSigned,
        Self::CovenantSignedForPurpose,
        Self::CapacityAnnounced,
        Self::CapacityEnded,
        Self::OrganisationSuspended,
        Self::OrganisationResumed,
        Self::OrganisationRetired,
    ];

    /// The `CloudEvents` `type`: reverse domain name and one version number.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReferralRequested => "nl.sluis.referral.requested.v1",
            Self::ReferralStatusUpdated => "nl.sluis.referral.status-updated.v1",
            Self::ReferralOverdue => "nl.sluis.referral.overdue.v1",
            Self::ReferralDisclosed => "nl.sluis.referral.disclosed.v1",
            Self::ReferralCorrected => "nl.sluis.referral.corrected.v1",
            Self::ReferralUnderBreakGlass => "nl.sluis.referral.under-break-glass.v1",
            Self::ReferralDeletionRequired => "nl.sluis.referral.deletion-required.v1",
            Self::CaseCoordinationOffered => "nl.sluis.case.coordination-offered.v1",
            Self::CaseOfferEnded => "nl.sluis.case.offer-ended.v1",
            Self::CaseCoordinatorChanged => "nl.sluis.case.coordinator-changed.v1",
            Self::CaseCoordinatorOverdue => "nl.sluis.case.coordinator-overdue.v1",
            Self::CaseParticipantInvited => "nl.sluis.case.participant-invited.v1",
            Self::CaseParticipantSigned => "nl.sluis.case.participant-signed.v1",
            Self::CaseParticipantLeft => "nl.sluis.case.participant-left.v1",
            Self::CaseMeetingCalled => "nl.sluis.case.meeting-called.v1",
            Self::CaseStepUpProposed => "nl.sluis.case.step-up-proposed.v1",
            Self::CaseSteppedUp => "nl.sluis.case.stepped-up.v1",
            Self::CaseSteppedUpByDirector => "nl.sluis.case.stepped-up-by-director.v1",
            Self::CaseOverdueAtMunicipality => "nl.sluis.case.overdue-at-municipality.v1",
            Self::CaseSteppedDown => "nl.sluis.case.stepped-down.v1",
            Self::CaseClosed => "nl.sluis.case.closed.v1",
            Self::CaseReopened => "nl.sluis.case.reopened.v1",
            Self::HandoffOverdue => "nl.sluis.handoff.overdue.v1",
            Self::HandoffOverdueAtMunicipality => "nl.sluis.handoff.overdue-at-municipality.v1",
            Self::ConsentWithdrawn => "nl.sluis.consent.withdrawn.v1",
            Self::ConsentConfirmationRequested => "nl.sluis.consent.confirmation-requested.v1",
            Self::ConsentConfirmed => "nl.sluis.consent.confirmed.v1",
            Self::ConsentConfirmationOverdue => "nl.sluis.consent.confirmation-overdue.v1",
            Self::ConsentConfirmationUnanswered => "nl.sluis.consent.confirmation-unanswered.v1",
            Self::EmergencyConcluded => "nl.sluis.emergency.concluded.v1",
            Self::EmergencyNotificationOverdue => "nl.sluis.emergency.notification-overdue.v1",
            Self::EmergencyDeclared => "nl.sluis.emergency.declared.v1",
            Self::ReviewConcluded => "nl.sluis.review.concluded.v1",
            Self::ReviewOverdue => "nl.sluis.review.overdue.v1",
            Self::ReviewNotificationOverdue => "nl.sluis.review.notification-overdue.v1",
            Self::CovenantPublished => "nl.sluis.covenant.published.v1",
            Self::CovenantSigned => "nl.sluis.covenant.signed.v1",
            Self::CovenantSignedForPurpose => "nl.sluis.covenant.signed-for-purpose.v1",
            Self::CapacityAnnounced => "nl.sluis.capacity.announced.v1",
            Self::CapacityEnded => "nl.sluis.capacity.ended.v1",
            Self::OrganisationSuspended => "nl.sluis.organisation.suspended.v1",
            Self::OrganisationResumed => "nl.sluis.organisation.resumed.v1",
            Self::OrganisationRetired => "nl.sluis.organisation.retired.v1",
        }
    }

    /// Whether it can be told to an organisation's own system (no role), or to its client for a role: a closed list for each role, so that nothing
    /// strays into the feed of another. What a role is told it may see anyway; what it is not told it learns of in no other way here.
    #[must_use]
    pub const fn is_for(self, role: Option<Role>) -> bool {
        match self {
            Self::CaseSteppedUpByDirector
            | Self::CaseOverdueAtMunicipality
            | Self::HandoffOverdueAtMunicipality
            | Self::ConsentConfirmationUnanswered => matches!(role, Some(Role::PrivacyOfficer)),
            Self::EmergencyDeclared | Self::ReviewConcluded | Self::ReviewOverdue | Self::ReviewNotificationOverdue => {
                matches!(role, Some(Role::PrivacyOfficer | Role::DataProtectionOfficer))
            }
            _ => role.is_none(),
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What happened, with all that an event may say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// See [`EventType::ReferralRequested`].
    ReferralRequested {
        /// The new referral.
        referral: Uuid,
        /// When an answer is due, if the covenant sets a term.
        due_at: Option<Timestamp>,
    },
    /// See [`EventType::ReferralStatusUpdated`].
    ReferralStatusUpdated {
        /// The referral.
        referral: Uuid,
        /// The update that changed it.
        update: Uuid,
        /// The status it has now (FHIR R4 Task code).
        status: String,
        /// What the step did, a code.
        operation: &'static str,
        /// Whether the reader has anything to do with it after the step.
        visible: bool,
    },
    /// See [`EventType::ReferralOverdue`].
    ReferralOverdue {
        /// The referral.
        referral: Uuid,
        /// How many deadlines in a row were missed.
        missed: u32,
        /// When the next one passes.
        due_at: Option<Timestamp>,
    },
    /// See [`EventType::HandoffOverdue`].
    HandoffOverdue {
        /// The hand-over, as only this reader knows it.
        handoff: Uuid,
        /// How many deadlines in a row were missed.
        missed: u32,
    },
    /// See [`EventType::HandoffOverdueAtMunicipality`].
    HandoffOverdueAtMunicipality {
        /// The hand-over, under the name by which the organisation was told of it.
        handoff: Uuid,
        /// The audit record in which it stands.
        record: Uuid,
    },
    /// See [`EventType::CaseSteppedUpByDirector`].
    CaseSteppedUpByDirector {
        /// The case, as the organisation knows it.
        case: Uuid,
        /// The audit record of the step.
        record: Uuid,
    },
    /// See [`EventType::CaseOverdueAtMunicipality`].
    CaseOverdueAtMunicipality {
        /// The case, as the organisation knows it.
        case: Uuid,
        /// The audit record of the deadline.
        record: Uuid,
    },
    /// See [`EventType::ReferralDisclosed`].
    ReferralDisclosed {
        /// The referral.
        referral: Uuid,
    },
    /// See [`EventType::ReferralCorrected`].
    ReferralCorrected {
        /// The referral.
        referral: Uuid,
        /// The correction in it.
        correction: Uuid,
    },
    /// See [`EventType::ReferralUnderBreakGlass`].
    ReferralUnderBreakGlass {
        /// The referral.
        referral: Uuid,
    },
    /// See [`EventType::ReferralDeletionRequired`].
    ReferralDeletionRequired {
        /// The referral.
        referral: Uuid,
    },
    /// What happened to a declaration of break-glass, or to its review.
    Emergency {
        /// The declaration, and its review.
        access: Uuid,
        /// What happened.
        news: EmergencyNews,
    },
    /// What happened in a case.
    Case {
        /// The case, as the reader knows it.
        case: Uuid,
        /// What happened.
        news: CaseNews,
        /// Whether the reader has anything to do with it after that.
        visible: bool,
    },
    /// See [`EventType::ConsentWithdrawn`].
    ConsentWithdrawn {
        /// The consent.
        consent: Uuid,
    },
    /// What happened after that.
    Consent(ConsentNews),
    /// See [`EventType::CovenantPublished`].
    CovenantPublished {
        /// The version's name.
        version: String,
        /// From when it rules.
        effective_from: Timestamp,
    },
    /// See [`EventType::CovenantSigned`].
    CovenantSigned {
        /// The version's name.
        version: String,
        /// Who signed.
        party: Oin,
    },
    /// See [`EventType::CovenantSignedForPurpose`]. Which purpose is fetched.
    CovenantSignedForPurpose {
        /// The version's name.
        version: String,
        /// Who signed.
        party: Oin,
    },
    /// See [`EventType::CapacityAnnounced`].
    CapacityAnnounced {
        /// The notice.
        notice: Uuid,
        /// Who announced it.
        organisation: Oin,
        /// The one that held until now for the same purpose.
        replaces: Option<Uuid>,
    },
    /// See [`EventType::CapacityEnded`].
    CapacityEnded {
        /// The notice.
        notice: Uuid,
        /// Who ended it.
        organisation: Oin,
    },
    /// See [`EventType::OrganisationSuspended`].
    OrganisationSuspended {
        /// Who was suspended.
        party: Oin,
    },
    /// See [`EventType::OrganisationResumed`].
    OrganisationResumed {
        /// Who was resumed.
        party: Oin,
    },
    /// See [`EventType::OrganisationRetired`].
    OrganisationRetired {
        /// Who left.
        party: Oin,
    },
}

impl Happening {
    /// The kind of this happening.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::ReferralRequested { .. } => EventType::ReferralRequested,
            Self::ReferralStatusUpdated { .. } => EventType::ReferralStatusUpdated,
            Self::ReferralOverdue { .. } => EventType::ReferralOverdue,
            Self::ReferralDisclosed { .. } => EventType::ReferralDisclosed,
            Self::ReferralCorrected { .. } => EventType::ReferralCorrected,
            Self::ReferralUnderBreakGlass { .. } => EventType::ReferralUnderBreakGlass,
            Self::ReferralDeletionRequired { .. } => EventType::ReferralDeletionRequired,
            Self::Emergency { news, .. } => news.kind(),
            Self::Case { news, .. } => news.kind(),
            Self::HandoffOverdue { .. } => EventType::HandoffOverdue,
            Self::HandoffOverdueAtMunicipality { .. } => EventType::HandoffOverdueAtMunicipality,
            Self::CaseSteppedUpByDirector { .. } => EventType::CaseSteppedUpByDirector,
            Self::CaseOverdueAtMunicipality { .. } => EventType::CaseOverdueAtMunicipality,
            Self::ConsentWithdrawn { .. } => EventType::ConsentWithdrawn,
            Self::Consent(news) => news.kind(),
            Self::CovenantPublished { .. } => EventType::CovenantPublished,
            Self::CovenantSigned { .. } => EventType::CovenantSigned,
            Self::CovenantSignedForPurpose { .. } => EventType::CovenantSignedForPurpose,
            Self::CapacityAnnounced { .. } => EventType::CapacityAnnounced,
            Self::CapacityEnded { .. } => EventType::CapacityEnded,
            Self::OrganisationSuspended { .. } => EventType::OrganisationSuspended,
            Self::OrganisationResumed { .. } => EventType::OrganisationResumed,
            Self::OrganisationRetired { .. } => EventType::OrganisationRetired,
        }
    }

    /// The identifier of the resource that it happened to; events of one subject are delivered in order.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::ReferralRequested { referral, .. }
            | Self::ReferralStatusUpdated { referral, .. }
            | Self::ReferralOverdue { referral, .. }
            | Self::ReferralDisclosed { referral }
            | Self::ReferralUnderBreakGlass { referral }
            | Self::ReferralDeletionRequired { referral }
            | Self::ReferralCorrected { referral, .. } => referral.to_string(),
            Self::Emergency { access, .. } => access.to_string(),
            Self::Case { case, .. }
            | Self::CaseSteppedUpByDirector { case, .. }
            | Self::CaseOverdueAtMunicipality { case, .. } => case.to_string(),
            Self::HandoffOverdue { handoff, .. } | Self::HandoffOverdueAtMunicipality { handoff, .. } => {
                handoff.to_string()
            }
            Self::ConsentWithdrawn { consent } => consent.to_string(),
            Self::Consent(news) => news.subject().to_string(),
            Self::CovenantPublished { version, .. }
            | Self::CovenantSigned { version, .. }
            | Self::CovenantSignedForPurpose { version, .. } => version.clone(),
            Self::CapacityAnnounced { notice, .. } | Self::CapacityEnded { notice, .. } => notice.to_string(),
            Self::OrganisationSuspended { party }
            | Self::OrganisationResumed { party }
            | Self::OrganisationRetired { party } => party.to_string(),
        }
    }

    /// The path, below the gateway's base address, where the resource is fetched; none where there is nothing that the reader may fetch.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let collection = match self {
            // The reader is told that it has nothing to do with it any more, or of something that it is no part of.
            Self::Case { visible: false, .. } | Self::ReferralStatusUpdated { visible: false, .. } => return None,
            // The line in the list of what is overdue has another id, so that nothing leads from the event, which has a time, to it.
            Self::HandoffOverdue { .. } => return None,
            Self::Case { .. } => "cases",
            Self::ReferralRequested { .. }
            | Self::ReferralStatusUpdated { .. }
            | Self::ReferralOverdue { .. }
            | Self::ReferralDisclosed { .. }
            | Self::ReferralUnderBreakGlass { .. }
            | Self::ReferralDeletionRequired { .. }
            | Self::ReferralCorrected { .. } => "referrals",
            Self::Emergency { news, .. } => news.collection(),
            // Who watches over the covenant reads what happened in the log, and nothing else.
            Self::HandoffOverdueAtMunicipality { record, .. }
            | Self::CaseSteppedUpByDirector { record, .. }
            | Self::CaseOverdueAtMunicipality { record, .. } => {
                return Some(format!("/v1/audit/records/{record}"));
            }
            Self::ConsentWithdrawn { .. } => "consents",
            Self::Consent(news) => return Some(news.path()),
            Self::CovenantPublished { .. } | Self::CovenantSigned { .. } | Self::CovenantSignedForPurpose { .. } => {
                "covenants"
            }
            Self::CapacityAnnounced { .. } | Self::CapacityEnded { .. } => "capacity-notices",
            Self::OrganisationSuspended { .. }
            | Self::OrganisationResumed { .. }
            | Self::OrganisationRetired { .. } => "organisations",
        };
        Some(format!("/v1/{collection}/{}", self.subject()))
    }

    /// The event's `data`.
    #[must_use]
    pub fn data(&self) -> Value {
        match self {
            Self::ReferralRequested { referral, due_at } => {
                json!({ "referral": referral, "status": "requested", "dueAt": due_at })
            }
            Self::ReferralStatusUpdated { referral, update, status, operation, .. } => {
                json!({ "referral": referral, "update": update, "status": status, "operation": operation })
            }
            Self::ReferralOverdue { referral, missed, due_at } => {
                json!({ "referral": referral, "missedDeadlines": missed, "dueAt": due_at })
            }
            Self::HandoffOverdue { handoff, missed } => json!({ "handoff": handoff, "missedDeadlines": missed }),
            Self::HandoffOverdueAtMunicipality { handoff, record } => json!({ "handoff": handoff, "record": record }),
            Self::CaseSteppedUpByDirector { case, record } | Self::CaseOverdueAtMunicipality { case, record } => {
                json!({ "case": case, "record": record })
            }
            Self::ReferralDisclosed { referral }
            | Self::ReferralUnderBreakGlass { referral }
            | Self::ReferralDeletionRequired { referral } => json!({ "referral": referral }),
            Self::Emergency { access, news } => json!({ news.name(): access }),
            Self::ReferralCorrected { referral, correction } => {
                json!({ "referral": referral, "correction": correction })
            }
            Self::Case { case, news, .. } => {
                let mut data = news.data();
                data.insert("case".into(), json!(case));
                Value::Object(data)
            }
            Self::ConsentWithdrawn { consent } => json!({ "consent": consent }),
            Self::Consent(news) => news.data(),
            Self::CovenantPublished { version, effective_from } => {
                json!({ "covenantVersion": version, "effectiveFrom": effective_from })
            }
            Self::CovenantSigned { version, party } | Self::CovenantSignedForPurpose { version, party } => {
                json!({ "covenantVersion": version, "organisation": party })
            }
            Self::CapacityAnnounced { notice, organisation, replaces } => {
                json!({ "notice": notice, "organisation": organisation, "replaces": replaces })
            }
            Self::CapacityEnded { notice, organisation } => json!({ "notice": notice, "organisation": organisation }),
            Self::OrganisationSuspended { party }
            | Self::OrganisationResumed { party }
            | Self::OrganisationRetired { party } => json!({ "organisation": party }),
        }
    }
}

/// An event to be written in the transaction of the change that it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identifier, a version 7 UUID.
    pub id: Uuid,
    /// In whose feed it appears.
    pub to: Addressee,
    /// What happened.
    pub happening: Happening,
    /// When the gateway registered it.
    pub time: Timestamp,
    /// The W3C trace context (`traceparent`) of the request that caused it.
    pub trace_parent: Option<String>,
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
