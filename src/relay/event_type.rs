//! The kinds of events: a closed list, their names, and whom each is for.

use crate::organisations::Role;

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
    /// An incident was opened; to both parties and their privacy officers.
    IncidentOpened,
    /// A party did not assess an incident within 72 hours; to it and its privacy officer.
    IncidentAssessmentOverdue,
    /// What was received by mistake was not deleted in time; to both parties and their privacy officers.
    IncidentDeletionOverdue,
    /// What was received by mistake is deleted; to the other party and its privacy officer.
    IncidentDeletionConfirmed,
    /// A sender did not look at its safety veto again in time; to that sender.
    VetoOverdue,
    /// What was received is restricted at who gave it (art. 18 and 19 AVG); to who received it.
    ReferralRestricted,
    /// It is not restricted any more; to who received it.
    ReferralRestrictionEnded,
    /// An objection was recorded; to the officer of the party that recorded it, who weighs it.
    ObjectionRecorded,
    /// An objection was weighed; to who recorded it.
    ObjectionWeighed,
    /// The resident took an objection back; to the officer of the party that recorded it.
    ObjectionTakenBack,
    /// An objection was not weighed in time; to who recorded it.
    ObjectionOverdue,
    /// The same; to the officer.
    ObjectionWeighingOverdue,
    /// The resident was not informed in time of what was received (art. 14 AVG); to who received it.
    InformingOverdue,
    /// The same; to its officer.
    InformingNeglected,
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
    pub const ALL: [Self; 57] = [
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
        Self::IncidentOpened,
        Self::IncidentAssessmentOverdue,
        Self::IncidentDeletionOverdue,
        Self::IncidentDeletionConfirmed,
        Self::VetoOverdue,
        Self::ReferralRestricted,
        Self::ReferralRestrictionEnded,
        Self::ObjectionRecorded,
        Self::ObjectionWeighed,
        Self::ObjectionTakenBack,
        Self::ObjectionOverdue,
        Self::ObjectionWeighingOverdue,
        Self::InformingOverdue,
        Self::InformingNeglected,
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
            Self::IncidentOpened => "nl.sluis.incident.opened.v1",
            Self::IncidentAssessmentOverdue => "nl.sluis.incident.assessment-overdue.v1",
            Self::IncidentDeletionOverdue => "nl.sluis.incident.deletion-overdue.v1",
            Self::IncidentDeletionConfirmed => "nl.sluis.incident.deletion-confirmed.v1",
            Self::VetoOverdue => "nl.sluis.veto.overdue.v1",
            Self::ReferralRestricted => "nl.sluis.referral.restricted.v1",
            Self::ReferralRestrictionEnded => "nl.sluis.referral.restriction-ended.v1",
            Self::ObjectionRecorded => "nl.sluis.objection.recorded.v1",
            Self::ObjectionWeighed => "nl.sluis.objection.weighed.v1",
            Self::ObjectionTakenBack => "nl.sluis.objection.taken-back.v1",
            Self::ObjectionOverdue => "nl.sluis.objection.overdue.v1",
            Self::ObjectionWeighingOverdue => "nl.sluis.objection.weighing-overdue.v1",
            Self::InformingOverdue => "nl.sluis.informing-duty.overdue.v1",
            Self::InformingNeglected => "nl.sluis.informing-duty.neglected.v1",
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
            Self::EmergencyDeclared
            | Self::ReviewConcluded
            | Self::ReviewOverdue
            | Self::ReviewNotificationOverdue
            | Self::ObjectionRecorded
            | Self::ObjectionTakenBack
            | Self::ObjectionWeighingOverdue
            | Self::InformingNeglected => {
                matches!(role, Some(Role::PrivacyOfficer | Role::DataProtectionOfficer))
            }
            Self::IncidentOpened
            | Self::IncidentAssessmentOverdue
            | Self::IncidentDeletionOverdue
            | Self::IncidentDeletionConfirmed => {
                matches!(role, None | Some(Role::PrivacyOfficer | Role::DataProtectionOfficer))
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
