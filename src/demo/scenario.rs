//! What a scenario file says: residents, the records that exist beforehand, and steps of *who does what* with *what must
//! be seen then*. The files under `tests/scenarios/` are written for a privacy officer to read.
//!
//! Invariant: a file that loads is understood completely. Unknown keys are refused here, and names, parties, residents
//! and expectations that make no sense are refused by [`super::load`].

use std::collections::BTreeMap;

use serde::Deserialize;

pub use super::deeds::{
    Accounted, Arrival, Asked, Channel, Disclosure, Erasing, Handover, Hearsay, Meeting, OVERDUE_HANDOFFS, OfCase,
    OfConsent, OfCovenant, OfOrganisation, OfReferral, OnWithheld, Onward, PartyInCase, Passage, Publication, Record,
    Resolution, Saying, StepUp, Supplement, Update, Validity,
};
pub use super::emergency::{Concluding, Declaration, Informing, OfEmergency};
pub use super::safety_veto::{OfVeto, Vetoing, VetoingReferral};
pub use super::then::{Due, Late, Reason, SeenCase, Then};

/// A sentence in both languages of the console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Dutch.
    pub nl: String,
    /// English.
    pub en: String,
}

/// One scenario: a story about a resident, played through the API of a running gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file's name without its ending; what a person calls the scenario by.
    #[serde(skip)]
    pub slug: String,
    /// What it is about, in a few words.
    pub title: Text,
    /// What happens and why it matters, in two to five sentences.
    pub story: Text,
    /// The parties around which the story turns.
    pub main: Vec<String>,
    /// How things stand before the first step.
    pub given: Given,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How things stand before the first step. Every party is active and has signed the covenant unless a step changes that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Given {
    /// Which gateway the scenario plays on.
    #[serde(default)]
    pub gateway: Stage,
    /// The parties that take part, by slug.
    pub parties: Vec<String>,
    /// The residents, by the name that the steps use.
    pub residents: BTreeMap<String, Resident>,
    /// Consents, releases and agreements that were recorded earlier.
    #[serde(default)]
    pub records: Vec<GivenRecord>,
}

/// The gateway that a scenario needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The one that all scenarios share and that keeps real time.
    #[default]
    Shared,
    /// One that is started for this scenario alone, because it suspends a party, publishes a covenant or moves the clock.
    Own,
}

/// A resident of the story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Resident {
    /// A test number that passes the eleven-test and starts with 99999; left out where the resident is named without one.
    pub bsn: Option<String>,
    /// What the resident is found by without a BSN, or from now on.
    #[serde(rename = "match")]
    pub matched: Option<Matched>,
    /// `under-12`, `12-15`, `16-17` or `18-plus`; left out where the story is about its absence.
    pub age_group: Option<String>,
}

impl Resident {
    /// What tells residents of one scenario apart, and is the same wherever the resident is.
    #[must_use]
    pub fn identity(&self) -> String {
        let of_match = || self.matched.as_ref().map(|data| format!("{data:?}"));
        self.bsn.clone().or_else(of_match).unwrap_or_default()
    }
}

/// Name, birth date and postcode of somebody who does not exist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Matched {
    /// The given names.
    pub given_name: String,
    /// The family name at birth.
    pub family_name: String,
    /// Such as `1999-03-01`.
    pub birth_date: String,
    /// Such as `2242 AB`.
    pub postal_code: String,
}

/// A record that a party made before the story starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GivenRecord {
    /// The party that recorded it.
    pub by: String,
    /// What was recorded.
    pub record: Record,
}

/// One step: somebody does something, and this must be the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// A party by slug, or one of the municipality's own clients: `privacy-officer`, `monitor`, `administrator`.
    pub who: String,
    /// What they do.
    pub when: Action,
    /// With which credentials; their own unless said otherwise.
    #[serde(default)]
    pub with: Credential,
    /// What must be seen. Left out: that it succeeds.
    #[serde(default)]
    pub then: Then,
}

/// The credentials that a request goes out with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The actor's own certificate and a token bound to it.
    #[default]
    Own,
    /// The actor's own certificate, without a token.
    NoToken,
    /// No client certificate, with the actor's token.
    NoCertificate,
    /// The actor's own certificate with the token of another party, as after a theft.
    TokenOf(String),
    /// The actor's own certificate and a token for this scope alone.
    Scope(String),
}

/// What an actor can do. The first groups go through the API of the gateway, the last works on the world around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Asks what may be sent, without sending it.
    Check(Handover),
    /// Hands a question about a resident to another party.
    Refer(Handover),
    /// Reads a referral, without its content.
    ReadReferral(OfReferral),
    /// Reads which steps a referral went through.
    ReadUpdates(OfReferral),
    /// Reads the content of a referral, or of the note with an update: the disclosure.
    Disclose(Disclosure),
    /// Reports the next step of a referral.
    Update(Update),
    /// Adds to a referral what was asked for, or what turned up.
    Supplement(Supplement),
    /// Takes longer to decide on a referral: it is under examination.
    Extend(OfReferral),
    /// Asks the recipient to call off work that has begun.
    AskCancellation(Asked),
    /// Goes on with the work all the same.
    RefuseCancellation(Asked),
    /// Ends a chain with an outcome, where the referral ended without help.
    Resolve(Resolution),
    /// Hands a referral that ended without help to the municipality.
    StepUpReferral(OfReferral),
    /// Goes on with another party in one call, after an end without help.
    ReferOn(Onward),
    /// Goes on with another party in the place of one that does not act.
    Reassign(Onward),

    /// Records a consent, a secrecy release or a care agreement.
    RecordConsent(Record),
    /// Reads a record back.
    ReadConsent(OfConsent),
    /// Takes a recorded consent back, as the resident asked.
    Withdraw(OfConsent),
    /// Reports that a resident took something back, whoever recorded it.
    ReportWithdrawal(Hearsay),
    /// Has erased what the actor gave about a resident.
    Erase(Erasing),
    /// Reads what became of what was given under a consent that was withdrawn.
    ReadConfirmations(OfConsent),
    /// Says what became of what the actor received under it.
    Confirm(Saying),

    /// Declares break-glass.
    DeclareEmergency(Declaration),
    /// Ends that before its time is over.
    EndEmergency(OfEmergency),
    /// Records that the resident was informed of it.
    InformResident(Informing),
    /// Reads its review.
    ReadReview(OfEmergency),
    /// Concludes its review.
    ConcludeReview(Concluding),

    /// Sets a safety veto before anything is sent.
    SetVeto(Vetoing),
    /// Sets one on a referral: it is called off.
    VetoReferral(VetoingReferral),
    /// Asks for a veto.
    ReadVeto(OfVeto),
    /// Ends it.
    EndVeto(OfVeto),

    /// Reads a case: who coordinates it, whether it is stepped up.
    ReadCase(OfCase),
    /// Reads who takes part in a case.
    ReadParticipants(OfCase),
    /// Asks another party to coordinate a case.
    OfferCoordination(PartyInCase),
    /// Takes the coordination on.
    AcceptCoordination(OfCase),
    /// Does not take the coordination on.
    DeclineCoordination(OfCase),
    /// Takes the question to coordinate back.
    RevokeOffer(OfCase),
    /// Has a party take part in a case.
    Invite(PartyInCase),
    /// Has a party no longer take part by invitation; a party leaves by naming itself.
    RemoveParticipant(PartyInCase),
    /// Asks parties to a multi-disciplinary meeting.
    CallMeeting(Meeting),
    /// Hands the direction of a case to the municipality.
    StepUpCase(StepUp),
    /// Does not follow the gateway's proposal to step up.
    RefuseStepUp(OfCase),
    /// Ends the direction by the municipality.
    StepDownCase(OfCase),
    /// Closes a case.
    CloseCase(OfCase),

    /// Looks at the events that arrived about a referral, a case or a consent.
    ReceivesEvents(Arrival),
    /// Reads the audit records about a referral or a case.
    Audit(Accounted),
    /// Reads the single lines of the monitor: which hand-overs are overdue.
    ReadOverdue,
    /// Reads the monitor's figures of the last period that has closed.
    ReadFigures,

    /// Makes a key with which others encrypt sections for the actor, and publishes it.
    PublishKey,

    /// Stops a party: nothing crosses to or from it.
    Suspend(OfOrganisation),
    /// Lets a suspended party take part again.
    Resume(OfOrganisation),
    /// Adds a party to the directory and issues its certificate.
    RegisterOrganisation(OfOrganisation),
    /// Publishes the next version of the covenant.
    PublishCovenant(Publication),
    /// Signs a version of the covenant with the key of the party's certificate.
    SignCovenant(OfCovenant),

    /// Time passes, and the gateway notes what that did.
    AdvanceClock(Passage),
    /// The gateway stops.
    GatewayDown,
    /// The gateway starts again, on the same data.
    GatewayUp,
    /// The actor's own system stops answering.
    PartnerDown,
    /// The actor's own system answers again.
    PartnerUp,
}
