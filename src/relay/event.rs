//! What the gateway tells an organisation: a closed list of events, written as `CloudEvents` NL GOV 1.1.
//!
//! Invariant: an event carries identifiers, codes and times. There is no field that could hold content, a purpose, a resident
//! or an employee: what happened is fetched at `dataref`, where it is decided again whether it may be seen. Whoever is told of something that it may
//! not fetch is given no `dataref`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Addressee, CaseNews, ConsentNews, EmergencyNews, IncidentNews, RightsNews};
use crate::clock::Timestamp;
use crate::ids::Oin;

pub use super::event_type::EventType;
pub use super::published::{CloudEvent, Published, Speaker, source};

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
    /// What happened to an incident.
    Incident {
        /// The incident.
        incident: Uuid,
        /// What happened.
        news: IncidentNews,
    },
    /// See [`EventType::VetoOverdue`].
    VetoOverdue {
        /// The veto.
        veto: Uuid,
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
    /// What happened to what a resident asked by right.
    Rights(RightsNews),
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
            Self::Incident { news, .. } => news.kind(),
            Self::Case { news, .. } => news.kind(),
            Self::HandoffOverdue { .. } => EventType::HandoffOverdue,
            Self::HandoffOverdueAtMunicipality { .. } => EventType::HandoffOverdueAtMunicipality,
            Self::CaseSteppedUpByDirector { .. } => EventType::CaseSteppedUpByDirector,
            Self::CaseOverdueAtMunicipality { .. } => EventType::CaseOverdueAtMunicipality,
            Self::ConsentWithdrawn { .. } => EventType::ConsentWithdrawn,
            Self::Consent(news) => news.kind(),
            Self::VetoOverdue { .. } => EventType::VetoOverdue,
            Self::Rights(news) => news.kind(),
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
            Self::Incident { incident, .. } => incident.to_string(),
            Self::VetoOverdue { veto } => veto.to_string(),
            Self::Case { case, .. }
            | Self::CaseSteppedUpByDirector { case, .. }
            | Self::CaseOverdueAtMunicipality { case, .. } => case.to_string(),
            Self::HandoffOverdue { handoff, .. } | Self::HandoffOverdueAtMunicipality { handoff, .. } => {
                handoff.to_string()
            }
            Self::ConsentWithdrawn { consent } => consent.to_string(),
            Self::Consent(news) => news.subject().to_string(),
            Self::Rights(news) => news.subject().to_string(),
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
            Self::Incident { .. } => "incidents",
            Self::VetoOverdue { .. } => "vetoes",
            // Who watches over the covenant reads what happened in the log, and nothing else.
            Self::HandoffOverdueAtMunicipality { record, .. }
            | Self::CaseSteppedUpByDirector { record, .. }
            | Self::CaseOverdueAtMunicipality { record, .. } => {
                return Some(format!("/v1/audit/records/{record}"));
            }
            Self::ConsentWithdrawn { .. } => "consents",
            Self::Consent(news) => return Some(news.path()),
            Self::Rights(news) => news.collection(),
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
            Self::Incident { incident, .. } => json!({ "incident": incident }),
            Self::VetoOverdue { veto } => json!({ "veto": veto }),
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
            Self::Rights(news) => news.data(),
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
