//! The answer of the policy engine, and the permit that alone lets content pass.
//!
//! Invariant: a [`Permit`] is made in one place, [`Decision::permit`], and names only categories that were permitted.

use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::codes::Code;
use crate::codes::closed_list;
use crate::covenant::{CategoryCode, PolicyDigest};
use crate::ids::Oin;

closed_list!(
    /// What happens to a section.
    Effect {
        /// It may cross.
        Permit = "permit",
        /// It stays with the sender.
        Withhold = "withhold",
    }
);
closed_list!(
    /// What the sender wants when not every section may cross.
    OnWithheld {
        /// Relay nothing.
        Reject = "reject",
        /// Relay what may cross.
        Minimise = "minimise",
    }
);
closed_list!(
    /// What becomes of the whole hand-over.
    Outcome {
        /// Every section crosses.
        Permitted = "permitted",
        /// Some sections cross.
        Minimised = "minimised",
        /// Nothing crosses.
        Refused = "refused",
    }
);

/// What a sender can do about a section that is encrypted for another recipient: the one remedy that no rule names.
pub const ENCRYPT_AGAIN: &str = "encrypt-again";

/// One thing that the giver has to do, or to ask for, so that a withheld section may cross.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// Its code, such as `record-secrecy-release`.
    pub code: String,
    /// What to do, in Dutch.
    pub nl: String,
    /// What to do, in English.
    pub en: String,
}

/// What follows from the facts about one section, whatever request they came from. Shared between decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) effect: Effect,
    pub(super) code: Option<Code>,
    pub(super) rules: Vec<String>,
    /// Everything that the giver has to do so that it may cross, the most fundamental first; empty where nothing helps.
    pub(super) remedies: Vec<Remedy>,
}

/// The decision on one section, as it is shown to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionDecision {
    pub(super) category: CategoryCode,
    pub(super) answer: Arc<Answer>,
    /// Of this request and never of the shared answer.
    pub(super) consents: Vec<Uuid>,
}

impl Serialize for SectionDecision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Answer { effect, code, rules, remedies } = self.answer.as_ref();
        let mut section = serializer.serialize_struct("SectionDecision", 6)?;
        section.serialize_field("category", &self.category)?;
        section.serialize_field("effect", effect)?;
        section.serialize_field("code", code)?;
        section.serialize_field("rules", rules)?;
        section.serialize_field("remedy", &remedies.first())?;
        section.serialize_field("remedies", remedies)?;
        section.end()
    }
}

impl SectionDecision {
    /// The category of the section.
    #[must_use]
    pub fn category(&self) -> &CategoryCode {
        &self.category
    }

    /// Whether it may cross.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.answer.effect
    }

    /// Why it is withheld; none when it is permitted.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.answer.code
    }

    /// The permits that allow it, or the rules that withhold it, the first to be named first.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.answer.rules
    }

    /// What the giver has to do first so that it may cross; none when nothing can be done.
    #[must_use]
    pub fn remedy(&self) -> Option<&Remedy> {
        self.remedies().first()
    }

    /// Everything that the giver has to do so that it may cross, the most fundamental first; empty when nothing can be done.
    #[must_use]
    pub fn remedies(&self) -> &[Remedy] {
        &self.answer.remedies
    }

    /// The records of consent, release or agreement that this section rests on.
    #[must_use]
    pub fn consents(&self) -> &[Uuid] {
        &self.consents
    }
}

/// The decision on a hand-over, section by section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub(super) covenant_version: String,
    pub(super) policy_digest: PolicyDigest,
    pub(super) sections: Vec<SectionDecision>,
    #[serde(skip)]
    pub(super) giver: Oin,
    #[serde(skip)]
    pub(super) receiver: Oin,
}

impl Decision {
    /// The version of the covenant that decided.
    #[must_use]
    pub fn covenant_version(&self) -> &str {
        &self.covenant_version
    }

    /// The digest of the covenant and rules that decided.
    #[must_use]
    pub fn policy_digest(&self) -> &PolicyDigest {
        &self.policy_digest
    }

    /// The sections, in the order of the request.
    #[must_use]
    pub fn sections(&self) -> &[SectionDecision] {
        &self.sections
    }

    /// The records that the permitted sections rest on, each once, sorted.
    #[must_use]
    pub fn consents(&self) -> Vec<Uuid> {
        let mut ids: Vec<_> = self.sections.iter().flat_map(|section| section.consents.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What becomes of the hand-over. Without a permitted section it is refused, whatever the sender wants.
    #[must_use]
    pub fn outcome(&self, on_withheld: OnWithheld) -> Outcome {
        let permitted = self.permitted().count();
        if permitted == 0 {
            Outcome::Refused
        } else if permitted == self.sections.len() {
            Outcome::Permitted
        } else {
            match on_withheld {
                OnWithheld::Reject => Outcome::Refused,
                OnWithheld::Minimise => Outcome::Minimised,
            }
        }
    }

    /// The permit for what may cross; none when the outcome is refused.
    #[must_use]
    pub fn permit(&self, on_withheld: OnWithheld) -> Option<Permit> {
        if self.outcome(on_withheld) == Outcome::Refused {
            return None;
        }
        Some(Permit {
            giver: self.giver.clone(),
            receiver: self.receiver.clone(),
            categories: self.permitted().map(|section| section.category.clone()).collect(),
        })
    }

    /// The same decision with sections that go to nobody else whatever the rules say: the sender encrypted them for an earlier recipient, and the
    /// gateway can only pass them on unread.
    #[must_use]
    pub fn leaving_out(mut self, encrypted: &[CategoryCode]) -> Self {
        let answer = Arc::new(Answer {
            effect: Effect::Withhold,
            code: Some(Code::EncryptedForAnother),
            rules: Vec::new(),
            remedies: vec![Remedy {
                code: ENCRYPT_AGAIN.to_owned(),
                nl: "Versleutel het onderdeel voor deze ontvanger en verstuur een nieuwe verwijzing met basedOn"
                    .to_owned(),
                en: "Encrypt the section for this recipient and send a new referral with basedOn".to_owned(),
            }],
        });
        let left_out = |category: &CategoryCode| SectionDecision {
            category: category.clone(),
            answer: Arc::clone(&answer),
            consents: Vec::new(),
        };
        self.sections.extend(encrypted.iter().map(left_out));
        self
    }

    fn permitted(&self) -> impl Iterator<Item = &SectionDecision> {
        self.sections.iter().filter(|section| section.effect() == Effect::Permit)
    }
}

/// Proof that the policy engine allowed these categories from giver to receiver.
///
/// Code that stores content for an organisation, or hands it out, asks for one; there is no other way to get one than
/// a decision. It is good for the hand-over that was decided, at that moment, and is therefore never stored.
#[derive(Debug)]
pub struct Permit {
    giver: Oin,
    receiver: Oin,
    categories: Vec<CategoryCode>,
}

impl Permit {
    /// Who gives.
    #[must_use]
    pub fn giver(&self) -> &Oin {
        &self.giver
    }

    /// Who receives.
    #[must_use]
    pub fn receiver(&self) -> &Oin {
        &self.receiver
    }

    /// The categories that may cross.
    #[must_use]
    pub fn categories(&self) -> &[CategoryCode] {
        &self.categories
    }
}
