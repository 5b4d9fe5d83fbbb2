//! The question to the policy engine: everything that a decision depends on, gathered beforehand.
//!
//! Invariant: the engine reads nothing else, so equal requests get equal decisions.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{BasisCode, CategoryCode, Phase, PurposeCode};
use crate::ids::Oin;

closed_list!(
    /// In which way a section goes.
    Action {
        /// A section of a referral, from its sender to its recipient; at creation and again at disclosure.
        Refer = "refer",
        /// A section that goes back with a status update, from the referral's recipient to its sender.
        Note = "note",
    }
);
closed_list!(
    /// The age group of a resident; it decides who can give a consent.
    AgeGroup {
        /// Younger than 12.
        Under12 = "under-12",
        /// 12 to 15.
        From12To15 = "12-15",
        /// 16 or 17.
        From16To17 = "16-17",
        /// 18 or older.
        Adult = "18-plus",
    }
);
closed_list!(
    /// The three kinds of record; none stands in for another.
    RecordKind {
        /// Consent under the AVG (toestemming).
        Consent = "consent",
        /// Release from professional secrecy (ontheffing beroepsgeheim).
        SecrecyRelease = "secrecy-release",
        /// Agreement to be helped (instemming met hulp).
        CareAgreement = "care-agreement",
    }
);
closed_list!(
    /// Who gave a consent, release or agreement.
    GivenBy {
        /// The resident.
        Resident = "resident",
        /// A parent with authority: the only one, or both.
        Parent = "parent",
        /// Parent and child together.
        ParentAndChild = "parent-and-child",
        /// A legal representative, whose kind is stated.
        Representative = "representative",
    }
);
closed_list!(
    /// What kind of legal representative.
    RepresentativeKind {
        /// Guardian (voogd).
        Guardian = "guardian",
        /// Curator (curator).
        Curator = "curator",
        /// Mentor (mentor).
        Mentor = "mentor",
    }
);

closed_list!(
    /// How an objection of the resident (art. 21 AVG) that stands was weighed.
    Objection {
        /// Not yet.
        NotWeighed = "not-weighed",
        /// It was upheld.
        Upheld = "upheld",
    }
);

/// A recorded consent, secrecy release or care agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRecord {
    /// Its id.
    pub id: Uuid,
    /// Which of the three kinds.
    pub kind: RecordKind,
    /// The organisation that recorded it; it counts only for what this organisation gives.
    pub recorded_by: Oin,
    /// Who gave it.
    pub given_by: GivenBy,
    /// Which representative, exactly when one gave it.
    pub representative: Option<RepresentativeKind>,
    /// Whether it is explicit (art. 9.2.a AVG).
    pub explicit: bool,
    /// The organisations that it names as recipients.
    pub recipients: Vec<Oin>,
    /// The purposes that it names.
    pub purposes: Vec<PurposeCode>,
    /// The data categories that it names; a care agreement names none.
    pub categories: Vec<CategoryCode>,
    /// First moment of its validity.
    pub valid_from: Timestamp,
    /// First moment after its validity.
    pub valid_until: Timestamp,
    /// When it was withdrawn; from then on, whatever the clock says, it counts for nothing.
    pub withdrawn_at: Option<Timestamp>,
}

/// How a party stands towards the covenant version that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// It has signed this version.
    pub signed: bool,
    /// It is registered, and neither suspended nor retired.
    pub active: bool,
}

impl Standing {
    /// Signed and active.
    pub const GOOD: Self = Self { signed: true, active: true };
}

/// What a referral says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralTerms {
    /// Who sent it.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
    /// Why.
    pub purpose: PurposeCode,
    /// How wide.
    pub phase: Phase,
    /// On which legal basis.
    pub basis: BasisCode,
}

/// What is known of the resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubjectFacts {
    /// The age group stated.
    pub age_group: Option<AgeGroup>,
    /// The age group contradicts an earlier one by more than the passing of time.
    pub age_group_contradicted: bool,
    /// The resident was referred to by BSN, not by pseudonym.
    pub by_bsn: bool,
}

/// What is known of the case; nothing, where there is none, it was closed, or it is not about this resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseFacts {
    /// One of giver and receiver coordinates the case, and the other takes part in it.
    pub participant_and_coordinator: bool,
    /// The municipality coordinates the case.
    pub municipality_coordinates: bool,
    /// The case is stepped up, and the referral's sender takes part in it.
    pub stepped_up: bool,
}

/// What the resident asked of the giver by right, as the giver recorded it; of what others recorded nothing is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RightsFacts {
    /// An objection that names the purpose, or all, and was not overridden.
    pub objection: Option<Objection>,
    /// The processing is restricted (art. 18 AVG).
    pub restricted: bool,
}

impl RightsFacts {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A declared break-glass (noodprocedure) for this resident and receiver that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// The data categories that it names.
    pub categories: Vec<CategoryCode>,
    /// Its record says that the resident cannot consent, and why.
    pub cannot_consent: bool,
}

/// One question: which of these sections may `giver` give to `receiver`?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In which way.
    pub action: Action,
    /// Who gives: the referral's sender, or for a note its recipient.
    pub giver: Oin,
    /// How the giver stands.
    pub giver_standing: Standing,
    /// Who receives.
    pub receiver: Oin,
    /// How the receiver stands.
    pub receiver_standing: Standing,
    /// The referral's own terms, also when a note is weighed.
    pub referral: ReferralTerms,
    /// The resident.
    pub subject: SubjectFacts,
    /// The case.
    pub case: CaseFacts,
    /// Break-glass, where declared.
    pub break_glass: Option<BreakGlass>,
    /// What the resident asked of the giver by right.
    pub rights: RightsFacts,
    /// The categories of the sections, each once.
    pub sections: Vec<CategoryCode>,
    /// Categories that this referral already carried in the same direction; they count as life domains (rule 6).
    pub carried: Vec<CategoryCode>,
    /// Records about this resident, by whomever recorded; those that do not fit are ignored. For a note, those of the
    /// giver and those of the referral's sender.
    pub records: Vec<ConsentRecord>,
    /// The moment of the decision.
    pub now: Timestamp,
}
