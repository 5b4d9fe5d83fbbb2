//! The parsed covenant, as the rest of the gateway reads it.
//!
//! Invariant: only [`Covenant::parse`] makes one, after all checks have passed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::deadlines::Deadlines;
use super::emergency::Emergency;
use super::register::{Activity, Register, TextStatus};
use super::retention::Retention;
use super::rights::Rights;
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::lifecycle::terms::Terms;

/// A text that is not a code of the covenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a code: 1 to 60 lower-case letters, digits and single hyphens")]
pub struct InvalidCode;

/// Whether a text has the form of a code (kebab-case).
fn is_code(text: &str) -> bool {
    let words_are_fine = text
        .split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    (1..=60).contains(&text.len()) && words_are_fine
}

macro_rules! code_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The code as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidCode;

            fn from_str(text: &str) -> Result<Self, InvalidCode> {
                if is_code(text) { Ok(Self(text.into())) } else { Err(InvalidCode) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

code_type!(
    /// The short name of a party, such as `kredietbank`.
    PartySlug
);
code_type!(
    /// A purpose (doel), such as `debt-counselling`.
    PurposeCode
);
code_type!(
    /// A data category (gegevenscategorie), such as `finance`.
    CategoryCode
);
code_type!(
    /// A legal basis (grondslag), such as `wgs`.
    BasisCode
);

closed_list!(
    /// How wide the exchange is: weighing a question, or helping.
    Phase {
        /// Narrow: the question is weighed.
        Triage = "triage",
        /// Wider: someone helps.
        Case = "case",
    }
);
closed_list!(
    /// What kind of organisation a party is. Not the role of "the municipality", which one party has.
    PartyKind {
        /// A municipality.
        Municipality = "municipality",
        /// Any other organisation.
        Partner = "partner",
    }
);
closed_list!(
    /// What carries a legal basis.
    BasisKind {
        /// The resident's consent (art. 6.1.a AVG).
        Consent = "consent",
        /// A law for the municipality.
        MunicipalLaw = "municipal-law",
        /// A law that other parties may use too.
        Law = "law",
        /// A vital interest (art. 6.1.d AVG).
        VitalInterest = "vital-interest",
    }
);
closed_list!(
    /// What a data category belongs to.
    CategoryGroup {
        /// Identity, contact, household and question.
        Core = "core",
        /// Special categories (art. 9 AVG).
        Special = "special",
        /// The life domains of the integral intake.
        LifeDomain = "life-domain",
        /// May concern criminal matters (art. 10 AVG).
        Criminal = "criminal",
    }
);

/// A text in the two languages of the covenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Dutch.
    pub nl: String,
    /// English.
    pub en: String,
}

/// A party that the covenant names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    /// Its short name.
    pub id: PartySlug,
    /// Its OIN.
    pub oin: Oin,
    /// Its name as people know it.
    pub name: String,
    /// What kind of organisation it is.
    pub kind: PartyKind,
    /// The source of its professional secrecy (beroepsgeheim); without one it is not bound.
    pub secrecy_source: Option<String>,
    /// The law by which it may use the BSN; without one it may not.
    pub bsn_law: Option<String>,
    /// The purposes that it carries out for the municipality (mandaat, gemeenschappelijke regeling); of another municipality. It says in whose name
    /// it helps and gives no right: that is in the rows.
    pub acts_for: Vec<PurposeCode>,
    /// Where a resident complains.
    pub complaints: String,
    /// How to reach it (art. 30 AVG).
    pub contact: Option<String>,
    /// How to reach its data protection officer (functionaris gegevensbescherming).
    pub data_protection_officer: Option<String>,
}

/// A legal basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// Its code.
    pub id: BasisCode,
    /// What carries it.
    pub kind: BasisKind,
    /// A public task or a legitimate interest (art. 6.1.e or f AVG): the resident may object to what rests on it (art. 21 AVG). So is every basis of
    /// which the covenant does not say `no-right-to-object`.
    pub public_task: bool,
    /// Goes on while the processing is restricted (art. 18.2 AVG): consent, a legal claim, the rights of another person.
    pub despite_restriction: bool,
    /// The articles.
    pub source: String,
    /// Its name.
    pub label: Label,
}

/// A data category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    /// Its code.
    pub id: CategoryCode,
    /// What it belongs to.
    pub groups: Vec<CategoryGroup>,
    /// Its name.
    pub label: Label,
}

impl Category {
    /// Whether it belongs to the group.
    #[must_use]
    pub fn is(&self, group: CategoryGroup) -> bool {
        self.groups.contains(&group)
    }
}

/// A purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    /// Its code.
    pub id: PurposeCode,
    /// The only phase in which it is used.
    pub phase: Phase,
    /// The legal bases that its rows use.
    pub bases: Vec<BasisCode>,
    /// Whether the municipality decides on access, so that consent is never the basis.
    pub access_decision: bool,
    /// Whether it needs the resident's agreement to be helped.
    pub needs_care_agreement: bool,
    /// The entry in the register of processing activities (art. 30 AVG).
    pub processing_activity: String,
    /// What it is for, in Dutch and in more words than its name.
    pub description: Option<String>,
    /// What that entry says of this purpose alone.
    #[serde(flatten)]
    pub activity: Activity,
    /// Its name.
    pub label: Label,
}

/// Whom a row means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowParty {
    /// Every party of the covenant.
    AnyParty,
    /// Every party but the municipality.
    AnyPartner,
    /// The party with the role of municipality.
    Municipality,
    /// One named party.
    Named(PartySlug),
}

/// One row of the privacy protocol: who may give what to whom, for which purpose, on which bases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its stable id; the permits made of it are named after it.
    pub id: String,
    /// For which purpose.
    pub purpose: PurposeCode,
    /// Who gives.
    pub from: Vec<RowParty>,
    /// Who receives.
    pub to: Vec<RowParty>,
    /// Bases for any sender; not for the municipality where it has a law of its own.
    pub bases: Vec<BasisCode>,
    /// Laws for the municipality, as sender or as recipient.
    pub municipality_bases: Vec<BasisCode>,
    /// Whether the core categories are in it, as one.
    pub core: bool,
    /// The other categories, in the order of the covenant.
    pub categories: Vec<CategoryCode>,
    /// What it says, in one sentence.
    pub label: Label,
}

/// Single numbers that the parties agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Values {
    /// No aggregate shows fewer.
    pub aggregation_threshold: u32,
    /// Longest validity of a record, in months.
    pub consent_max_months: u32,
    /// Days within which a referral may be reopened.
    pub reopen_days: u32,
}

/// A checked covenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Covenant {
    /// Its version, such as `2026.1`.
    pub version: String,
    /// From when it rules.
    pub effective_from: Timestamp,
    /// Whether anybody has agreed on it; none where it does not say.
    pub status: Option<TextStatus>,
    /// Its title.
    pub title: Label,
    /// The party that rows and rules call the municipality.
    pub municipality: PartySlug,
    /// Everyone named.
    pub parties: Vec<Party>,
    /// Every legal basis.
    pub bases: Vec<Basis>,
    /// Every data category.
    pub categories: Vec<Category>,
    /// Every purpose.
    pub purposes: Vec<Purpose>,
    /// The privacy protocol.
    pub rows: Vec<Row>,
    /// Terms.
    pub deadlines: Deadlines,
    /// Retention.
    pub retention: Retention,
    /// Numbers.
    pub values: Values,
    /// Break-glass: who may declare it, and the terms of the duties afterwards.
    pub emergency: Emergency,
    /// How long what residents ask by right may take.
    pub rights: Rights,
    /// What the register of processing activities needs besides.
    pub register: Register,
}

impl Covenant {
    /// The terms of a referral for this purpose, whose priority leaves so many percent of each.
    #[must_use]
    pub fn terms(&self, purpose: &PurposeCode, percent: u32) -> Terms {
        self.deadlines.terms(purpose, percent, self.values.reopen_days)
    }

    /// The party with this OIN.
    #[must_use]
    pub fn party_by_oin(&self, oin: &Oin) -> Option<&Party> {
        self.parties.iter().find(|party| party.oin == *oin)
    }

    /// The party with this short name.
    #[must_use]
    pub fn party(&self, id: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.id.as_str() == id)
    }

    /// The purpose with this code.
    #[must_use]
    pub fn purpose(&self, code: &str) -> Option<&Purpose> {
        self.purposes.iter().find(|purpose| purpose.id.as_str() == code)
    }

    /// The data category with this code.
    #[must_use]
    pub fn category(&self, code: &str) -> Option<&Category> {
        self.categories.iter().find(|category| category.id.as_str() == code)
    }

    /// The legal basis with this code.
    #[must_use]
    pub fn basis(&self, code: &str) -> Option<&Basis> {
        self.bases.iter().find(|basis| basis.id.as_str() == code)
    }

    /// The party with the role of municipality.
    #[must_use]
    pub fn municipality(&self) -> Option<&Party> {
        self.party(self.municipality.as_str())
    }

    /// Whether a row means the party with this short name by one of these.
    #[must_use]
    pub fn names(&self, parties: &[RowParty], party: &str) -> bool {
        let municipality = party == self.municipality.as_str();
        parties.iter().any(|named| match named {
            RowParty::AnyParty => true,
            RowParty::AnyPartner => !municipality,
            RowParty::Municipality => municipality,
            RowParty::Named(slug) => slug.as_str() == party,
        })
    }

    /// The purposes for which some row has another party send to this one, in the order of the covenant. What is sent because a life is
    /// at stake is left aside: that reaches anybody at any time.
    #[must_use]
    pub fn purposes_to(&self, party: &Party) -> Vec<&PurposeCode> {
        let in_ordinary_times = |row: &Row| {
            let kinds = row.bases.iter().chain(&row.municipality_bases).filter_map(|basis| self.basis(basis.as_str()));
            kinds.map(|basis| basis.kind).any(|kind| kind != BasisKind::VitalInterest)
        };
        let others = || self.parties.iter().filter(|other| other.id != party.id);
        let leads = |row: &Row| {
            self.names(&row.to, party.id.as_str())
                && others().any(|other| self.names(&row.from, other.id.as_str()))
                && in_ordinary_times(row)
        };
        let purposes = self.purposes.iter().map(|purpose| &purpose.id);
        purposes.filter(|purpose| self.rows.iter().any(|row| row.purpose == **purpose && leads(row))).collect()
    }

    /// Whether some row of the purpose names a law for the municipality.
    #[must_use]
    pub fn municipality_has_law(&self, purpose: &PurposeCode) -> bool {
        self.rows.iter().any(|row| row.purpose == *purpose && !row.municipality_bases.is_empty())
    }
}
