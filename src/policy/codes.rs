//! Why a section was withheld: the closed list of reason codes, with their Dutch and English text.
//!
//! Invariant: a rule whose `@code` is not here does not load, so no other code can reach an answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::registry::{NOTHING_WITHOUT_A_ROW, REFUSED_WHEN_NOT_EVALUABLE};

macro_rules! codes {
    ($($variant:ident, $code:literal, $nl:literal, $en:literal;)+) => {
        /// The reason for which a section was withheld.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $en] #[serde(rename = $code)] $variant),+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What it means, in Dutch.
            #[must_use]
            pub const fn nl(self) -> &'static str {
                match self { $(Self::$variant => $nl),+ }
            }

            /// What it means, in English.
            #[must_use]
            pub const fn en(self) -> &'static str {
                match self { $(Self::$variant => $en),+ }
            }

            /// The code with this text.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    NotEvaluable, "not-evaluable",
        "kan niet worden beoordeeld en gaat daarom niet door", "cannot be evaluated and is therefore refused";
    SenderIsRecipient, "sender-is-recipient",
        "afzender en ontvanger zijn dezelfde partij", "sender and recipient are the same party";
    PurposeCarriesNothingPersonal, "purpose-carries-nothing-personal",
        "voor dit doel gaat niets over een persoon mee", "nothing about a person is given for this purpose";
    CategoryNeverForRecipient, "category-never-for-recipient",
        "deze ontvanger krijgt deze categorie nooit", "this recipient never receives this category";
    CategoryNeverFromGiver, "category-never-from-giver",
        "deze partij geeft deze categorie hier niet", "this party does not give this category here";
    CategoryNeverForPurpose, "category-never-for-purpose",
        "deze categorie gaat voor dit doel nooit mee", "this category is never given for this purpose";
    ClientSupportStaysIndependent, "client-support-stays-independent",
        "cliëntondersteuning geeft de gemeente niets", "client support gives the municipality nothing";
    SubjectNotAChild, "subject-not-a-child",
        "de inwoner is geen kind", "the resident is not a child";
    BsnNotOnThisBasis, "bsn-not-on-this-basis",
        "een BSN gaat op deze grondslag niet mee", "a BSN is not given on this legal basis";
    BsnNotAllowed, "bsn-not-allowed",
        "een van de partijen mag het BSN niet gebruiken", "one of the parties may not use the BSN";
    CovenantNotInForce, "covenant-not-in-force",
        "deze versie van het convenant geldt nog niet", "this covenant version is not yet in force";
    PartyNotInCovenant, "party-not-in-covenant",
        "een van de partijen staat niet in het convenant", "the covenant does not name one of the parties";
    CovenantNotSigned, "covenant-not-signed",
        "een van de partijen heeft de geldende versie niet ondertekend",
        "one of the parties has not signed the version in force";
    PartyNotActive, "party-not-active",
        "een van de partijen is geschorst of uitgetreden", "one of the parties is suspended or retired";
    AgeGroupContradicted, "age-group-contradicted",
        "de leeftijdsgroep spreekt een eerdere tegen", "the age group contradicts an earlier one";
    ConsentNeverBasis, "consent-never-basis",
        "toestemming is hier nooit de grondslag", "consent is never the legal basis here";
    BasisNotForSender, "basis-not-for-sender",
        "deze wet is geen grondslag voor deze partijen", "this law is no basis for these parties";
    PhaseNotAllowed, "phase-not-allowed",
        "dit doel hoort niet bij deze fase", "this purpose does not belong to this phase";
    RouteNotAllowed, "route-not-allowed",
        "geen regel laat dit doel tussen deze partijen toe", "no row allows this purpose between these parties";
    CategoryNotAllowed, "category-not-allowed",
        "geen regel laat deze categorie hier toe", "no row allows this category here";
    BasisNotAllowed, "basis-not-allowed",
        "geen regel laat deze grondslag hier toe", "no row allows this legal basis here";
    MoreThanOneDomain, "more-than-one-domain",
        "triage bevat meer dan één leefgebied", "triage carries more than one life domain";
    CaseRequired, "case-required",
        "dit kan alleen in een casus met een casusregisseur", "this needs a case with a coordinator";
    CaseNotSteppedUp, "case-not-stepped-up",
        "de casus is niet opgeschaald", "the case is not stepped up";
    BreakGlassRequired, "break-glass-required",
        "de noodprocedure is niet ingeroepen", "break-glass has not been declared";
    AgeGroupMissing, "age-group-missing",
        "de leeftijdsgroep van de inwoner ontbreekt", "the age group of the resident is missing";
    CareAgreementMissing, "care-agreement-missing",
        "er is geen geldige instemming met hulp", "there is no valid care agreement";
    ConsentMissing, "consent-missing",
        "er is geen geldige toestemming die dit noemt", "there is no valid consent that names this";
    ExplicitConsentMissing, "explicit-consent-missing",
        "er is geen uitdrukkelijke toestemming voor dit bijzondere gegeven",
        "there is no explicit consent for this special category";
    SecrecyReleaseMissing, "secrecy-release-missing",
        "er is geen geldige ontheffing van het beroepsgeheim", "there is no valid secrecy release";
    ObjectionNotWeighed, "objection-not-weighed",
        "de inwoner heeft bezwaar gemaakt en dat is nog niet gewogen", "the resident objected, which is not weighed yet";
    ObjectionUpheld, "objection-upheld",
        "het bezwaar van de inwoner is gehonoreerd", "the resident's objection was upheld";
    ProcessingRestricted, "processing-restricted",
        "de verwerking over de inwoner is beperkt", "the processing about the resident is restricted";
    EncryptedForAnother, "encrypted-for-another",
        "het is voor een andere ontvanger versleuteld", "it is encrypted for another recipient";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// The rule that gives this reason without being a policy, if there is one.
    #[must_use]
    pub const fn given_without_policy(self) -> Option<&'static str> {
        match self {
            Self::NotEvaluable => Some(REFUSED_WHEN_NOT_EVALUABLE),
            Self::PhaseNotAllowed | Self::RouteNotAllowed | Self::CategoryNotAllowed | Self::BasisNotAllowed => {
                Some(NOTHING_WITHOUT_A_ROW)
            }
            _ => None,
        }
    }
}
