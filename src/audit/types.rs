//! One record of the audit log: what was asked, decided, handed over or changed, in codes and identifiers.
//!
//! Invariant: a record holds no content of a referral, no BSN and no employee. It belongs to exactly one organisation
//! and names the resident only by that organisation's own pseudonym; what one organisation may know and another may
//! not is in two records. Every column that says something is a [`Field`], and so has a commitment in the leaf.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;

closed_list! {
    /// What a record is about.
    Kind {
        /// A decision on a referral that was sent: permitted, minimised or refused.
        Decision = "decision",
        /// A decision that was only asked for, with nothing sent.
        Check = "check",
        /// Sections handed to an organisation, or refused to it at that moment.
        Disclosure = "disclosure",
        /// A step in the life of a referral.
        StatusUpdate = "status-update",
        /// Sections replaced or retracted because they were wrong.
        Correction = "correction",
        /// A step in the life of a case.
        Case = "case",
        /// A consent, secrecy release or care agreement recorded or withdrawn.
        Consent = "consent",
        /// What an organisation notes about a resident of its own: to whom a match leads, said together with BSN or pseudonym, or taken back; that using the
        /// channel for somebody is not safe.
        Subject = "subject",
        /// Break-glass declared or ended, its review, and whether the resident was informed.
        Emergency = "emergency",
        /// Something that may be a personal data breach: opened, assessed, deleted.
        Incident = "incident",
        /// An access report was composed for a resident.
        AccessReport = "access-report",
        /// An objection, a restriction, or how the resident was informed of what was received (art. 14, 18 and 21 AVG).
        Rights = "rights",
        /// What an organisation gave was erased at its own request, or must be deleted by who received it.
        Erasure = "erasure",
        /// What had had its term was removed.
        Retention = "retention",
        /// A covenant version published or signed.
        Covenant = "covenant",
        /// An organisation, certificate or key registered, suspended, revoked and so on.
        Administration = "administration",
    }
}

impl Kind {
    /// Whether records of this kind may lead to a person; the others are about the covenant, organisations and the gateway itself.
    #[must_use]
    pub const fn may_lead_to_a_person(self) -> bool {
        !matches!(self, Self::Covenant | Self::Administration | Self::Retention)
    }
}

closed_list! {
    /// How a decision ended.
    Outcome {
        /// All of it was permitted.
        Permitted = "permitted",
        /// Part of it was permitted, the rest withheld.
        Minimised = "minimised",
        /// None of it was permitted.
        Refused = "refused",
    }
}

closed_list! {
    /// What was decided on one section.
    Effect {
        /// It may be handed over.
        Permit = "permit",
        /// It is withheld.
        Withhold = "withhold",
    }
}

closed_list! {
    /// The fields of a record, in the order in which their commitments stand in the leaf. The texts are the names of
    /// the columns. The list of leaf version 1 is fixed; a field more is a new version.
    Field {
        /// The identifier of the record, a version 7 UUID.
        Id = "id",
        /// What it is about: [`Kind`].
        Kind = "kind",
        /// When, RFC 3339 in UTC with up to six decimals.
        Time = "time",
        /// Whose record it is.
        Organisation = "organisation",
        /// The client (system) that asked; never an employee.
        ClientId = "client_id",
        /// The identifier of the request.
        RequestId = "request_id",
        /// The trace that the processing belongs to (W3C Trace Context).
        TraceId = "trace_id",
        /// The action within the trace.
        SpanId = "span_id",
        /// The action that called for it, also in another organisation's system.
        ParentSpanId = "parent_span_id",
        /// What was done, as a code, such as `suspended`.
        Action = "action",
        /// What it was done to, as a path of the API.
        Resource = "resource",
        /// The organisation that gives.
        Sender = "sender",
        /// The organisation that receives.
        Recipient = "recipient",
        /// The purpose, a code of the covenant.
        Purpose = "purpose",
        /// The phase.
        Phase = "phase",
        /// The legal basis.
        LegalBasis = "legal_basis",
        /// The entry in the register of processing activities, a URI (`dpl.core.processing_activity_id`).
        ProcessingActivity = "processing_activity",
        /// The covenant version that ruled.
        CovenantVersion = "covenant_version",
        /// The digest of the policies that decided.
        PolicyDigest = "policy_digest",
        /// How the decision ended: [`Outcome`].
        Outcome = "outcome",
        /// The decision per section: JSON array of [`SectionOutcome`].
        Sections = "sections",
        /// The consents, releases and agreements that counted: JSON array of identifiers.
        ConsentIds = "consent_ids",
        /// The resident, as the owning organisation's own pseudonym (`dpl.core.data_subject_id`).
        Subject = "subject",
        /// The referral.
        Referral = "referral",
        /// The status update.
        UpdateId = "update_id",
        /// The earlier record of the decision that this one carries out or repeats.
        Decision = "decision",
        /// The consent, release or agreement that was recorded or withdrawn.
        Consent = "consent",
        /// The status that was set.
        Status = "status",
        /// Why it was set, as a code.
        StatusReason = "status_reason",
        /// The facts that the decision was taken on, enough to take it again: a JSON object.
        Facts = "facts",
    }
}

impl Field {
    /// Whether the value may ever be erased. Only what can lead to a person: whoever could erase the rest could hide
    /// what happened.
    #[must_use]
    pub const fn may_be_erased(self) -> bool {
        matches!(self, Self::Subject | Self::ConsentIds | Self::Referral | Self::UpdateId | Self::Consent | Self::Facts)
    }
}

/// What was decided on one section: its category and rules, never its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionOutcome {
    /// The data category.
    pub category: String,
    /// Permitted or withheld.
    pub effect: Effect,
    /// Why it was withheld, from the closed list of reason codes.
    pub code: Option<String>,
    /// The identifiers of the rules that decided.
    pub rules: Vec<String>,
}

/// Where a request stands in a distributed trace (W3C Trace Context), all lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// 32 characters; taken over from the caller.
    pub trace_id: Option<String>,
    /// 16 characters; made by the gateway for this action.
    pub span_id: Option<String>,
    /// 16 characters; the caller's own action.
    pub parent_span_id: Option<String>,
}

/// One record, before it is sealed. Made with [`Record::new`] and filled by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The identifier, a version 7 UUID.
    pub id: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// When.
    pub time: Timestamp,
    /// Whose record it is: the one organisation that sees it without being given more.
    pub organisation: Oin,
    /// The client (system) that asked; never an employee.
    pub client_id: Option<String>,
    /// The identifier of the request.
    pub request_id: Option<String>,
    /// The trace.
    pub trace: TraceContext,
    /// What was done, as a code.
    pub action: Option<String>,
    /// What it was done to, as a path of the API.
    pub resource: Option<String>,
    /// The organisation that gives.
    pub sender: Option<Oin>,
    /// The organisation that receives.
    pub recipient: Option<Oin>,
    /// The purpose.
    pub purpose: Option<String>,
    /// The phase.
    pub phase: Option<String>,
    /// The legal basis.
    pub legal_basis: Option<String>,
    /// The processing activity, a URI.
    pub processing_activity: Option<String>,
    /// The covenant version that ruled.
    pub covenant_version: Option<String>,
    /// The digest of the policies that decided.
    pub policy_digest: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The decision per section.
    pub sections: Vec<SectionOutcome>,
    /// The consents, releases and agreements that counted.
    pub consent_ids: Vec<String>,
    /// The resident, as the owning organisation's own pseudonym; never a BSN.
    pub subject: Option<String>,
    /// The referral.
    pub referral: Option<String>,
    /// The status update.
    pub update_id: Option<String>,
    /// The earlier record of the decision that this one carries out or repeats.
    pub decision: Option<String>,
    /// The consent, release or agreement that was recorded or withdrawn.
    pub consent: Option<String>,
    /// The status that was set.
    pub status: Option<String>,
    /// Why it was set, as a code.
    pub status_reason: Option<String>,
    /// The small vector of facts that the decision was taken on, as a JSON object without content.
    pub facts: Option<serde_json::Value>,
}

impl Record {
    /// A record of this kind that says nothing else yet.
    #[must_use]
    pub fn new(id: Uuid, kind: Kind, time: Timestamp, organisation: Oin) -> Self {
        Self {
            id,
            kind,
            time,
            organisation,
            client_id: None,
            request_id: None,
            trace: TraceContext::default(),
            action: None,
            resource: None,
            sender: None,
            recipient: None,
            purpose: None,
            phase: None,
            legal_basis: None,
            processing_activity: None,
            covenant_version: None,
            policy_digest: None,
            outcome: None,
            sections: Vec::new(),
            consent_ids: Vec::new(),
            subject: None,
            referral: None,
            update_id: None,
            decision: None,
            consent: None,
            status: None,
            status_reason: None,
            facts: None,
        }
    }

    /// The record of the recipient that belongs to this one of the sender: it names only what the recipient received,
    /// exactly as if nothing else had ever been sent. None if nothing was permitted.
    /// `subject` is the recipient's own pseudonym. The sender's client, request, consents, earlier decision
    /// and facts stay with it.
    #[must_use]
    pub fn for_recipient(&self, id: Uuid, recipient: Oin, subject: Option<String>) -> Option<Self> {
        let received: Vec<SectionOutcome> =
            self.sections.iter().filter(|section| section.effect == Effect::Permit).cloned().collect();
        (!received.is_empty()).then(|| Self {
            id,
            organisation: recipient,
            client_id: None,
            request_id: None,
            trace: TraceContext { trace_id: self.trace.trace_id.clone(), ..TraceContext::default() },
            outcome: Some(Outcome::Permitted),
            sections: received,
            consent_ids: Vec::new(),
            subject,
            decision: None,
            consent: None,
            facts: None,
            ..self.clone()
        })
    }

    /// The value of a field as the text that is committed to; none when the record does not have it.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<String> {
        match field {
            Field::Id => Some(self.id.to_string()),
            Field::Kind => Some(self.kind.as_str().to_owned()),
            Field::Time => Some(self.time.to_string()),
            Field::Organisation => Some(self.organisation.to_string()),
            Field::ClientId => self.client_id.clone(),
            Field::RequestId => self.request_id.clone(),
            Field::TraceId => self.trace.trace_id.clone(),
            Field::SpanId => self.trace.span_id.clone(),
            Field::ParentSpanId => self.trace.parent_span_id.clone(),
            Field::Action => self.action.clone(),
            Field::Resource => self.resource.clone(),
            Field::Sender => self.sender.as_ref().map(Oin::to_string),
            Field::Recipient => self.recipient.as_ref().map(Oin::to_string),
            Field::Purpose => self.purpose.clone(),
            Field::Phase => self.phase.clone(),
            Field::LegalBasis => self.legal_basis.clone(),
            Field::ProcessingActivity => self.processing_activity.clone(),
            Field::CovenantVersion => self.covenant_version.clone(),
            Field::PolicyDigest => self.policy_digest.clone(),
            Field::Outcome => self.outcome.map(|outcome| outcome.as_str().to_owned()),
            Field::Sections => json_unless_empty(&self.sections),
            Field::ConsentIds => json_unless_empty(&self.consent_ids),
            Field::Subject => self.subject.clone(),
            Field::Referral => self.referral.clone(),
            Field::UpdateId => self.update_id.clone(),
            Field::Decision => self.decision.clone(),
            Field::Consent => self.consent.clone(),
            Field::Status => self.status.clone(),
            Field::StatusReason => self.status_reason.clone(),
            Field::Facts => self.facts.as_ref().map(serde_json::Value::to_string),
        }
    }
}

/// The compact JSON of a list. These lists hold only texts and codes, which can always be written.
fn json_unless_empty<T: Serialize>(items: &[T]) -> Option<String> {
    if items.is_empty() { None } else { serde_json::to_string(items).ok() }
}
