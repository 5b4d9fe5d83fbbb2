//! What a scenario file says: residents, the records that exist beforehand, and steps of *who does what* with *what must
//! be seen then*. The files under `tests/scenarios/` are written for a privacy officer to read.
//!
//! Invariant: a file that loads is understood completely. Unknown keys are refused here, and names, parties, residents
//! and expectations that make no sense are refused by [`super::load`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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
    /// A test number that passes the eleven-test and starts with 99999.
    pub bsn: String,
    /// `under-12`, `12-15`, `16-17` or `18-plus`; left out where the story is about its absence.
    pub age_group: Option<String>,
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

/// What an actor can do. The first group goes through the API of the gateway, the last works on the world around it.
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
    /// Records a consent, a secrecy release or a care agreement.
    RecordConsent(Record),
    /// Reads a record back.
    ReadConsent(OfConsent),
    /// Takes a recorded consent back, as the resident asked.
    Withdraw(OfConsent),
    /// Looks at the events that arrived about a referral or a consent.
    ReceivesEvents(Arrival),
    /// Reads the audit records about a referral.
    Audit(OfReferral),
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
    /// Time passes.
    AdvanceClock(Passage),
    /// The actor's own system stops answering.
    PartnerDown,
    /// The actor's own system answers again.
    PartnerUp,
}

/// A referral as it is sent, or asked about beforehand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Handover {
    /// The name by which later steps mean this referral.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// The recipient.
    pub to: String,
    /// The purpose, from the covenant's closed list.
    pub purpose: String,
    /// `triage` or `case`.
    #[serde(default = "case_phase")]
    pub phase: String,
    /// The legal basis.
    pub basis: String,
    /// The resident it is about.
    pub resident: String,
    /// What must happen when a section may not cross.
    #[serde(default)]
    pub on_withheld: OnWithheld,
    /// The earlier referral that this one follows up.
    pub based_on: Option<String>,
    /// Repeats the request of the referral with this name, under the same idempotency key.
    pub repeats: Option<String>,
    /// What is sent, per data category; a text stands for `{"text": …}`.
    pub sections: BTreeMap<String, Value>,
}

fn case_phase() -> String {
    "case".to_owned()
}

/// What the sender wants when a section may not cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnWithheld {
    /// Then nothing at all.
    #[default]
    Reject,
    /// Then only what may.
    Minimise,
}

/// A referral by its name in the scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfReferral {
    /// The name that `as` gave it.
    pub referral: String,
}

/// Whose content is read: that of the referral, or of one of its updates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disclosure {
    /// The referral.
    pub referral: String,
    /// The update whose note is read.
    pub update: Option<String>,
}

/// The next step of a referral.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Update {
    /// The name by which later steps mean this update.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// The referral.
    pub referral: String,
    /// The status it gets.
    pub to: String,
    /// Why, from the closed list of that status.
    pub reason: Option<String>,
    /// How it ended, when it is completed.
    pub outcome: Option<String>,
    /// With a rejection: the party that would be right.
    pub right_party: Option<String>,
    /// What must happen when a section of the note may not cross.
    #[serde(default)]
    pub on_withheld: OnWithheld,
    /// A note for the other party, per data category.
    #[serde(default)]
    pub sections: BTreeMap<String, Value>,
}

/// A consent, secrecy release or care agreement as a party records it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Record {
    /// The name by which later steps mean this record.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// `consent`, `secrecy-release` or `care-agreement`.
    pub kind: String,
    /// The resident.
    pub resident: String,
    /// Who gave it.
    #[serde(default = "the_resident")]
    pub given_by: String,
    /// In which capacity a representative gave it.
    pub representative_kind: Option<String>,
    /// Whether it was given in so many words, which special categories need.
    #[serde(default)]
    pub explicit: bool,
    /// The parties that may receive.
    pub recipients: Vec<String>,
    /// What for.
    pub purposes: Vec<String>,
    /// Which data; a care agreement names none.
    #[serde(default)]
    pub categories: Vec<String>,
    /// From when until when, in days from now.
    #[serde(default)]
    pub valid: Validity,
}

fn the_resident() -> String {
    "resident".to_owned()
}

/// A period in days from the present moment; negative lies in the past.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Validity {
    /// First day.
    pub from_day: i64,
    /// Last day.
    pub until_day: i64,
}

impl Default for Validity {
    fn default() -> Self {
        Self { from_day: 0, until_day: 180 }
    }
}

/// A recorded consent by its name in the scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfConsent {
    /// The name that `as` gave it.
    pub consent: String,
}

/// The events about one thing, by the way on which they arrive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Arrival {
    /// The referral or consent that they are about.
    pub about: String,
    /// How they come.
    pub by: Channel,
}

/// How events reach a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The party asks the gateway for its events.
    Pull,
    /// The gateway sends them to the party's own system.
    Webhook,
}

/// A party as the object of an administrative step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfOrganisation {
    /// The party, by slug.
    pub organisation: String,
}

/// A new version of the covenant: the version in force, published again under the next number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publication {
    /// Its version.
    pub version: String,
    /// After how many days from now it takes force.
    pub in_force_after_days: u32,
}

/// A version of the covenant; left out: the one in force.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfCovenant {
    /// The version.
    pub version: Option<String>,
}

/// How much time passes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Passage {
    /// Whole days.
    #[serde(default)]
    pub days: u32,
    /// Whole hours on top.
    #[serde(default)]
    pub hours: u32,
}

/// What must be seen after a step. What is not stated is not looked at, except that the step succeeds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Then {
    /// The HTTP status code.
    pub status: Option<u16>,
    /// The code of the problem that is answered.
    pub problem: Option<String>,
    /// What the decision comes to: `permitted`, `minimised` or `refused`.
    pub outcome: Option<String>,
    /// The categories that are permitted: these and no others.
    pub permitted: Option<Vec<String>>,
    /// The categories that are withheld, and why: these and no others.
    pub withheld: Option<BTreeMap<String, Reason>>,
    /// The rules that permit a category.
    pub permitted_by: Option<BTreeMap<String, Vec<String>>>,
    /// Whether the signed receipt verifies with the gateway's published keys and says what the answer says.
    pub receipt_verifies: Option<bool>,
    /// Whether the answer names the same referral as the request that it repeats.
    pub same_referral: Option<bool>,
    /// The referral's status code.
    pub referral_status: Option<String>,
    /// The party that must act next, or `nobody`.
    pub holder: Option<String>,
    /// The party that the last update named as the right one.
    pub right_party: Option<String>,
    /// The statuses that the referral went through by updates, in order.
    pub steps: Option<Vec<String>>,
    /// The steps that this actor may take now: these and no others.
    pub allowed_steps: Option<Vec<String>>,
    /// The categories whose content is handed over, word for word as sent: these and no others.
    pub content: Option<Vec<String>>,
    /// Texts that occur nowhere in the answer.
    pub nowhere: Option<Vec<String>>,
    /// The events that arrived, each exactly once, in this order, without their common beginning and end.
    pub events: Option<Vec<String>>,
    /// How many audit records of each kind the actor is shown.
    pub records: Option<BTreeMap<String, usize>>,
}

/// Why a category is withheld.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reason {
    /// The code of the decision.
    pub code: String,
    /// Rules that the decision must name, among others.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The code of the remedy that the sender is told.
    pub remedy: Option<String>,
}
