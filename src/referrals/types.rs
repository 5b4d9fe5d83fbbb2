//! A referral as it is asked for, kept and carried. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroize;

use crate::cases::{Aftermath, Rules};
use crate::clock::Timestamp;
use crate::codes::{UnknownCode, closed_list};
use crate::covenant::{BasisCode, CategoryCode, Covenant, Phase, PriorityPercent, PurposeCode, Standings};
use crate::emergencies::UnderEmergency;
use crate::ids::Oin;
use crate::lifecycle::parties::Unable;
use crate::lifecycle::referral::{Command, Operation, Role, State, Taken};
use crate::lifecycle::terms::Terms;
use crate::lifecycle::{Outcome, Reason, Status};
use crate::policy::{AgeGroup, Categorised, OnWithheld, ReferralTerms, Standing};
use crate::subjects::SubjectReference;

/// A request for a referral, or for a check of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    /// To whom.
    pub recipient: Oin,
    /// Why.
    pub purpose: PurposeCode,
    /// How wide.
    pub phase: Phase,
    /// On which basis.
    pub legal_basis: BasisCode,
    /// About whom.
    pub subject: SubjectReference,
    /// How fast.
    #[serde(default = "routine")]
    pub priority: Priority,
    /// The case that it belongs to.
    #[serde(default)]
    pub case_id: Option<Uuid>,
    /// The earlier referral that it follows on.
    #[serde(default)]
    pub based_on: Option<Uuid>,
    /// The declaration of break-glass that it is sent under.
    #[serde(default)]
    pub emergency_access: Option<Uuid>,
    /// What to do when a section may not cross.
    #[serde(default = "reject")]
    pub on_withheld: OnWithheld,
    /// What is given.
    pub sections: Vec<Section>,
}

const fn routine() -> Priority {
    Priority::Routine
}

const fn reject() -> OnWithheld {
    OnWithheld::Reject
}

closed_list! {
    /// How fast the recipient is asked to act (FHIR request priority).
    Priority {
        /// In the ordinary terms.
        Routine = "routine",
        /// Sooner.
        Urgent = "urgent",
        /// As soon as possible.
        Asap = "asap",
        /// At once.
        Stat = "stat",
    }
}

impl Priority {
    /// How long whoever holds a referral for this purpose has, with this priority.
    #[must_use]
    pub fn terms(self, covenant: &Covenant, purpose: &PurposeCode) -> Terms {
        let PriorityPercent { routine, urgent, asap, stat } = covenant.deadlines.priority_percent;
        let percent = match self {
            Self::Routine => routine,
            Self::Urgent => urgent,
            Self::Asap => asap,
            Self::Stat => stat,
        };
        covenant.terms(purpose, percent)
    }
}

/// What is given, of one category: in clear, or encrypted by the sender for the recipient.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Which category.
    pub category: CategoryCode,
    /// The content, which the gateway does not look into.
    #[serde(flatten)]
    pub content: Content,
    /// When its content was replaced after it had been handed over; of a section that is kept.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub corrected_at: Option<Timestamp>,
    /// Where it was first given; none for what comes with this request.
    #[serde(skip)]
    pub origin: Option<Part>,
    /// Whether it was handed over before.
    #[serde(skip)]
    pub disclosed: bool,
}

/// What came together: with a referral itself, or with one of its updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The referral.
    pub referral: Uuid,
    /// The update; none for what came with the referral.
    pub update: Option<Uuid>,
}

impl Part {
    /// How what came with the referral itself is called in the database.
    pub const WITH_REFERRAL: &str = "referral";

    /// Its name within the referral, as the database has it.
    #[must_use]
    pub fn name(&self) -> String {
        self.update.map_or_else(|| Self::WITH_REFERRAL.to_owned(), |update| update.to_string())
    }

    /// The part of a referral with this name.
    #[must_use]
    pub fn named(referral: Uuid, name: &str) -> Option<Self> {
        let update = if name == Self::WITH_REFERRAL { None } else { Some(name.parse().ok()?) };
        Some(Self { referral, update })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.referral, self.name())
    }
}

impl FromStr for Part {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let (referral, name) = text.split_once('/').ok_or(UnknownCode)?;
        Self::named(referral.parse().map_err(|_| UnknownCode)?, name).ok_or(UnknownCode)
    }
}

/// The content of a section.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// In clear.
    Content(Value),
    /// Encrypted by the sender (JWE, RFC 7516, compact).
    Jwe(String),
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Self::Jwe(text) = self {
            text.zeroize();
        }
    }
}

impl Categorised for Section {
    fn category(&self) -> &CategoryCode {
        &self.category
    }
}

/// A wanted step.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCreation {
    /// The status wanted.
    pub status: Status,
    /// Why.
    #[serde(default)]
    pub status_reason: Option<Reason>,
    /// What came of it.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// With a rejection: who would be right.
    #[serde(default)]
    pub right_organisation: Option<Oin>,
    /// What to do when a note may not cross.
    #[serde(default = "reject")]
    pub on_withheld: OnWithheld,
    /// Notes to the other party.
    #[serde(default)]
    pub sections: Vec<Section>,
}

impl UpdateCreation {
    /// The step itself.
    #[must_use]
    pub const fn command(&self) -> Command {
        Command::Update { status: self.status, reason: self.status_reason, outcome: self.outcome }
    }
}

/// The two parties to a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Who handed over.
    Sender,
    /// To whom.
    Recipient,
}

impl Party {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Recipient,
            Self::Recipient => Self::Sender,
        }
    }

    /// As the table of steps calls it.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Sender => Role::Sender,
            Self::Recipient => Role::Recipient,
        }
    }
}

/// A referral as it is kept, without its content.
#[derive(Debug, Clone)]
pub struct Referral {
    /// Its id.
    pub id: Uuid,
    /// Who, to whom, why and on which basis.
    pub terms: ReferralTerms,
    /// The resident, as only the gateway knows them.
    pub subject: String,
    /// The age group stated.
    pub age_group: Option<AgeGroup>,
    /// How fast.
    pub priority: Priority,
    /// What it follows on.
    pub based_on: Option<Uuid>,
    /// The declaration of break-glass that it was sent under.
    pub emergency: Option<UnderEmergency>,
    /// Since when the sender has to delete what it received of the recipient, who had it erased.
    pub sender_deletes_since: Option<Timestamp>,
    /// The same of the recipient.
    pub recipient_deletes_since: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// With a rejection: who would be right.
    pub right_organisation: Option<Oin>,
    /// The case that it belongs to, as only the gateway knows it.
    pub case: Option<Uuid>,
    /// Who must act next.
    pub holder: Option<Oin>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts its changes.
    pub version: i64,
    /// The decision, as its sender sees it.
    pub decision: Value,
    /// The signed receipt.
    pub receipt: String,
}

impl Referral {
    /// Since when this organisation has to delete what it received in it.
    pub(super) fn deletes_since(&self, organisation: &Oin) -> Option<Timestamp> {
        match self.party_of(organisation)? {
            Party::Sender => self.sender_deletes_since,
            Party::Recipient => self.recipient_deletes_since,
        }
    }

    /// What this organisation is in it; nothing when it is no party.
    #[must_use]
    pub fn party_of(&self, organisation: &Oin) -> Option<Party> {
        if *organisation == self.terms.sender {
            Some(Party::Sender)
        } else if *organisation == self.terms.recipient {
            Some(Party::Recipient)
        } else {
            None
        }
    }

    /// Who hands over, or to whom.
    #[must_use]
    pub const fn party(&self, party: Party) -> &Oin {
        match party {
            Party::Sender => &self.terms.sender,
            Party::Recipient => &self.terms.recipient,
        }
    }

    /// Which parties cannot act in it: each may have signed for more than this one, or for less.
    #[must_use]
    pub fn unable(&self, standings: &Standings) -> Unable {
        let cannot = |party: &Oin| standings.of(party).standing(&self.terms.purpose, self.case) != Standing::GOOD;
        Unable { sender: cannot(&self.terms.sender), recipient: cannot(&self.terms.recipient) }
    }

    /// Until when the holder has.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.state.deadline.map(|deadline| deadline.due_at)
    }

    /// The case that it belongs to, where this organisation may know: its sender, and its recipient once it has taken it on.
    #[must_use]
    pub fn case_known_to(&self, organisation: &Oin) -> Option<Uuid> {
        self.case.filter(|_| match self.party_of(organisation) {
            Some(Party::Sender) => true,
            Some(Party::Recipient) => self.state.status.is_taken_on(self.state.held_from),
            None => false,
        })
    }

    /// What a step that was taken in it means for its case.
    #[must_use]
    pub fn aftermath(&self, taken: &Taken, rules: &Rules) -> Option<Aftermath> {
        Aftermath::of(self.case, &self.terms.recipient, &self.state, taken, rules)
    }

    /// Moves on to a state; `municipality` is who holds what neither party can.
    pub fn move_to(&mut self, state: State, municipality: Option<&Oin>, now: Timestamp) {
        self.state = state;
        self.version += 1;
        self.updated_at = now;
        self.holder = state.holder().and_then(|role| match role {
            Role::Sender => Some(self.terms.sender.clone()),
            Role::Recipient => Some(self.terms.recipient.clone()),
            Role::Municipality | Role::Coordinator | Role::Gateway => municipality.cloned(),
        });
    }
}

/// A step that was taken.
#[derive(Debug, Clone)]
pub struct Update {
    /// Its id.
    pub id: Uuid,
    /// The referral.
    pub referral: Uuid,
    /// The referral's version after it.
    pub version: i64,
    /// Who took it.
    pub organisation: Oin,
    /// What it did.
    pub operation: Operation,
    /// The status after it.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// What came of it, with a completion.
    pub outcome: Option<Outcome>,
    /// With a rejection: who would be right.
    pub right_organisation: Option<Oin>,
    /// When.
    pub taken_at: Timestamp,
    /// Who must act after it.
    pub holder: Option<Oin>,
    /// Until when.
    pub due_at: Option<Timestamp>,
    /// The categories of its permitted notes.
    pub categories: Vec<CategoryCode>,
    /// The decision on its notes.
    pub decision: Option<Value>,
}
