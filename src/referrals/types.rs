//! A referral as it is asked for, kept and carried. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroize;

use super::lifecycle::{Command, Outcome, Reason, Role, State, Status};
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{BasisCode, CategoryCode, Phase, PurposeCode};
use crate::ids::Oin;
use crate::policy::{AgeGroup, Categorised, OnWithheld, ReferralTerms};
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

/// What is given, of one category: in clear, or encrypted by the sender for the recipient.
#[derive(Clone, Deserialize, Serialize)]
pub struct Section {
    /// Which category.
    pub category: CategoryCode,
    /// The content, which the gateway does not look into.
    #[serde(flatten)]
    pub content: Content,
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
        Command { status: self.status, reason: self.status_reason, outcome: self.outcome }
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
    /// Where it stands.
    pub state: State,
    /// With a rejection: who would be right.
    pub right_organisation: Option<Oin>,
    /// Until when the holder has.
    pub due_at: Option<Timestamp>,
    /// When it was handed over.
    pub created_at: Timestamp,
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
    /// What this organisation is in it; nothing when it is no party.
    #[must_use]
    pub fn role_of(&self, organisation: &Oin) -> Option<Role> {
        if *organisation == self.terms.sender {
            Some(Role::Sender)
        } else if *organisation == self.terms.recipient {
            Some(Role::Recipient)
        } else {
            None
        }
    }

    /// Who has this role.
    #[must_use]
    pub const fn party(&self, role: Role) -> &Oin {
        match role {
            Role::Sender => &self.terms.sender,
            Role::Recipient => &self.terms.recipient,
        }
    }

    /// Who must act next.
    #[must_use]
    pub fn holder(&self) -> Option<&Oin> {
        self.state.holder().map(|role| self.party(role))
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
    /// The step.
    pub command: Command,
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
