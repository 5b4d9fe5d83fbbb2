//! What the steps of a scenario say about what is done: which referral, to whom, with what.
//!
//! Invariant: unknown keys are refused, so that nothing that a file says is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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
    /// How fast: `routine` unless said otherwise, `urgent`, `asap` or `stat`.
    pub priority: Option<String>,
    /// The earlier referral that this one follows up.
    pub based_on: Option<String>,
    /// The declaration of break-glass that it is sent under.
    pub emergency: Option<String>,
    /// The name of the case that it belongs to: the first referral that names it opens it, each later one joins it.
    pub case: Option<String>,
    /// Repeats the request of the referral with this name, under the same idempotency key.
    pub repeats: Option<String>,
    /// What is sent, per data category; a text stands for `{"text": …}`.
    pub sections: BTreeMap<String, Value>,
    /// Which of these the sender encrypts for the recipient.
    #[serde(default)]
    pub encrypted: Vec<String>,
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

/// What is added to a referral.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Supplement {
    /// The name by which later steps mean this addition, as that of an update.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// The referral.
    pub referral: String,
    /// What must happen when a section may not cross.
    #[serde(default)]
    pub on_withheld: OnWithheld,
    /// What is added, per data category.
    pub sections: BTreeMap<String, Value>,
}

/// A question to call off, or the refusal of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Asked {
    /// The referral.
    pub referral: String,
    /// Why, from the closed list of the step.
    pub reason: String,
}

/// How a chain ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Resolution {
    /// The referral.
    pub referral: String,
    /// What came of it.
    pub outcome: String,
}

/// Going on with another party. What is left out stays as it was in the earlier referral; its sections go along.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Onward {
    /// The name by which later steps mean the new referral.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// The earlier referral.
    pub referral: String,
    /// The new recipient.
    pub to: String,
    /// The purpose.
    pub purpose: Option<String>,
    /// The legal basis.
    pub basis: Option<String>,
    /// What must happen when a section may not cross.
    #[serde(default)]
    pub on_withheld: OnWithheld,
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

/// A withdrawal that somebody heard of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hearsay {
    /// Who took something back.
    pub resident: String,
    /// The one recipient that was meant; all of them where there is none.
    pub recipient: Option<String>,
    /// The one purpose that was meant; all of them where there is none.
    pub purpose: Option<String>,
}

/// What the actor has erased.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Erasing {
    /// About whom it was.
    pub resident: String,
    /// Why, a code of the contract.
    pub ground: String,
}

/// What became of what the actor received under a consent that was withdrawn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Saying {
    /// The consent, by the name that `as` gave it; the actor knows it by an id of its own.
    pub consent: String,
    /// `deleted` or `kept`.
    pub outcome: String,
    /// The legal basis on which it is kept.
    pub basis: Option<String>,
    /// The law that says how long.
    pub retention: Option<String>,
}

/// A case by its name in the scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfCase {
    /// The name that a referral gave it.
    pub case: String,
}

/// A party and what it is to be in a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PartyInCase {
    /// The case.
    pub case: String,
    /// The party.
    pub party: String,
}

/// A multi-disciplinary meeting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Meeting {
    /// The case.
    pub case: String,
    /// Who is asked to it.
    pub parties: Vec<String>,
}

/// Why a case is stepped up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepUp {
    /// The case.
    pub case: String,
    /// Why, from the closed list.
    pub reason: String,
}

/// What is accounted for: a referral, or a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounted {
    /// The referral.
    pub referral: Option<String>,
    /// The case.
    pub case: Option<String>,
}

/// What events can be about besides what a step gave a name: hand-overs that are overdue, which the municipality knows by ids of its own.
pub const OVERDUE_HANDOFFS: &str = "overdue-handoffs";

/// The events about one thing, by the way on which they arrive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Arrival {
    /// The referral, case, consent or declaration that they are about, or `overdue-handoffs`.
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

/// What of the covenant is signed; by default the whole version that is in force.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfCovenant {
    /// The version.
    pub version: Option<String>,
    /// For referrals of this purpose only.
    pub purpose: Option<String>,
    /// For this case only, to which the actor is invited.
    pub case: Option<String>,
}

/// How much time passes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Passage {
    /// Whole days.
    #[serde(default)]
    pub days: u32,
    /// Whole hours on top.
    #[serde(default)]
    pub hours: u32,
    /// Before these: until the deadline of this referral has just passed, as the actor reads it.
    pub past_deadline_of: Option<String>,
}
