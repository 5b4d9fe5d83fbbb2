//! For what an organisation takes part (toetreding): the whole covenant, or incidentally one purpose or one case. Pure.
//!
//! This is the one place that says what a signature is good for. Invariants: what is signed for one scope is other bytes than for any
//! other, so that no signature serves twice; nothing that is signed for less than the whole lets anybody coordinate; a case counts only while
//! the invitation stands that was signed under.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::types::PurposeCode;
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::policy::Standing;

/// For what somebody signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole covenant.
    Covenant,
    /// Referrals for one purpose.
    Purpose(PurposeCode),
    /// One case to which the signer is invited, by the id under which the signer knows it.
    Case(Uuid),
}

impl Scope {
    /// The bytes that are signed: for the whole the digest alone, for less four lines that begin with what they are. docs/policy.md has them.
    #[must_use]
    pub fn payload(&self, digest: &str, signer: &Oin) -> String {
        let incidental =
            |scope: String| format!("sluis-incidental-accession-v1\ndigest {digest}\norganisation {signer}\n{scope}");
        match self {
            Self::Covenant => digest.to_owned(),
            Self::Purpose(purpose) => incidental(format!("purpose {purpose}")),
            Self::Case(alias) => incidental(format!("case {alias}")),
        }
    }
}

/// What an organisation that the coordinator invited has to do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// It is invited, and has not signed this version for the case.
    Invited,
    /// It is invited, and has.
    Signed,
    /// It had signed under an invitation that does not stand any more, whatever it is now by referrals.
    Ended,
}

closed_list!(
    /// What somebody who takes part in a case has signed that covers it.
    Signed {
        /// The whole covenant.
        Covenant = "covenant",
        /// The covenant for this case.
        Case = "case",
        /// The covenant for some purposes.
        Purpose = "purpose",
        /// Nothing: it is only invited.
        Nothing = "nothing",
    }
);

/// What an organisation has signed of one version of the covenant, and whether it takes part at all. The default is a stranger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accession {
    /// It is registered, and neither suspended nor retired.
    pub active: bool,
    /// It has signed the whole.
    pub whole: bool,
    /// For which purposes it has signed.
    pub purposes: BTreeSet<PurposeCode>,
    /// Its ties to cases; of a case that was not asked for, none is known.
    pub cases: BTreeMap<Uuid, Tie>,
}

impl Accession {
    /// How it stands where something is handed over for this purpose and, inside this case, if any.
    #[must_use]
    pub fn standing(&self, purpose: &PurposeCode, case: Option<Uuid>) -> Standing {
        let for_case = || case.is_some_and(|case| self.cases.get(&case) == Some(&Tie::Signed));
        Standing { signed: self.whole || self.purposes.contains(purpose) || for_case(), active: self.active }
    }

    /// Whether it may coordinate and direct, be asked to, and take other steps in cases than to leave.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.active && self.whole
    }

    /// Whether its standing may follow from a case: only then its ties need to be known.
    #[must_use]
    pub const fn depends_on_cases(&self) -> bool {
        !self.whole
    }

    /// What it has signed that covers a case.
    #[must_use]
    pub fn signed_for(&self, case: Uuid) -> Signed {
        if self.whole {
            Signed::Covenant
        } else if self.cases.get(&case) == Some(&Tie::Signed) {
            Signed::Case
        } else if self.purposes.is_empty() {
            Signed::Nothing
        } else {
            Signed::Purpose
        }
    }

    /// Whether it takes part in a case with all that belongs to that, and not only by an invitation.
    #[must_use]
    pub fn belongs_to(&self, case: Uuid) -> bool {
        self.active && matches!(self.signed_for(case), Signed::Covenant | Signed::Case)
    }

    /// Whether it is kept out of a case that it has something to do with: only invited, or no longer. It sees and hears no more than that.
    /// Who takes part by a referral that was taken on sees the case by that, unless it had come by an invitation that has ended.
    #[must_use]
    pub fn is_outside(&self, case: Uuid, by_referral: bool) -> bool {
        let kept_out = match self.cases.get(&case) {
            Some(Tie::Invited) => !by_referral,
            Some(Tie::Ended) => true,
            Some(Tie::Signed) | None => false,
        };
        kept_out && !self.whole
    }
}

/// How organisations stand towards one version.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    /// The version.
    pub version: String,
    /// Those that are registered.
    pub of: BTreeMap<Oin, Accession>,
}

/// One that nobody has registered.
static STRANGER: Accession =
    Accession { active: false, whole: false, purposes: BTreeSet::new(), cases: BTreeMap::new() };

impl Standings {
    /// How one stands.
    #[must_use]
    pub fn of(&self, organisation: &Oin) -> &Accession {
        self.of.get(organisation).unwrap_or(&STRANGER)
    }

    /// With the ties to a case, of those that have some.
    pub fn tie(&mut self, case: Uuid, ties: impl IntoIterator<Item = (Oin, Tie)>) {
        for (organisation, tie) in ties {
            if let Some(accession) = self.of.get_mut(&organisation) {
                accession.cases.insert(case, tie);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha-256:00";

    fn oin() -> Oin {
        "00000099000000007000".parse().unwrap()
    }

    fn purpose(code: &str) -> PurposeCode {
        code.parse().unwrap()
    }

    fn case(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn tied(tie: Tie) -> Accession {
        Accession { active: true, cases: BTreeMap::from([(case(1), tie)]), ..Accession::default() }
    }

    fn signed(accession: &Accession, code: &str, of: Option<u128>) -> bool {
        accession.standing(&purpose(code), of.map(case)).signed
    }

    #[test]
    fn what_is_signed_for_one_scope_is_signed_for_no_other() {
        let (one, other) = ("00000099000000007000".parse().unwrap(), "00000099000000008000".parse().unwrap());
        let scopes = [
            Scope::Covenant,
            Scope::Purpose(purpose("youth-support")),
            Scope::Purpose(purpose("youth-health")),
            Scope::Case(case(1)),
            Scope::Case(case(2)),
        ];
        let mut seen = BTreeSet::new();
        for scope in &scopes {
            for digest in ["sha-256:00", "sha-256:01"] {
                for signer in [&one, &other] {
                    seen.insert(scope.payload(digest, signer));
                }
            }
        }
        // The whole does not name its signer: its key does.
        assert_eq!(seen.len(), 2 + 4 * 2 * 2);
    }

    #[test]
    fn what_is_signed_for_the_whole_is_the_digest_and_for_less_says_for_what() {
        assert_eq!(Scope::Covenant.payload(DIGEST, &oin()), DIGEST);
        assert_eq!(
            Scope::Purpose(purpose("youth-support")).payload(DIGEST, &oin()),
            "sluis-incidental-accession-v1\ndigest sha-256:00\norganisation 00000099000000007000\npurpose youth-support"
        );
        assert_eq!(
            Scope::Case(case(1)).payload(DIGEST, &oin()),
            "sluis-incidental-accession-v1\ndigest sha-256:00\norganisation 00000099000000007000\n\
             case 00000000-0000-0000-0000-000000000001"
        );
    }

    #[test]
    fn the_whole_covers_everything() {
        let whole = Accession { active: true, whole: true, ..Accession::default() };
        assert!(signed(&whole, "youth-support", None) && signed(&whole, "triage", Some(1)));
        assert!(whole.is_full() && whole.belongs_to(case(1)));
        assert!(!Accession { active: false, ..whole }.is_full(), "suspended");
    }

    #[test]
    fn a_purpose_covers_that_purpose_in_every_case_and_nothing_else() {
        let purposes = BTreeSet::from([purpose("youth-support")]);
        let accession = Accession { active: true, purposes, ..Accession::default() };
        assert!(signed(&accession, "youth-support", None) && signed(&accession, "youth-support", Some(1)));
        assert!(!signed(&accession, "youth-health", None) && !signed(&accession, "case-coordination", Some(1)));
        assert!(!accession.is_full() && !accession.belongs_to(case(1)));
    }

    #[test]
    fn a_case_covers_every_purpose_in_that_case_and_nothing_outside_of_it() {
        let accession = tied(Tie::Signed);
        assert!(signed(&accession, "youth-support", Some(1)) && signed(&accession, "case-coordination", Some(1)));
        assert!(!signed(&accession, "youth-support", Some(2)), "another case");
        assert!(!signed(&accession, "information-and-advice", None), "no case");
        assert!(!accession.is_full() && accession.belongs_to(case(1)) && !accession.belongs_to(case(2)));
    }

    #[test]
    fn an_invitation_alone_or_one_that_has_ended_covers_nothing() {
        for tie in [Tie::Invited, Tie::Ended] {
            assert!(!signed(&tied(tie), "youth-support", Some(1)), "{tie:?}");
            assert!(!tied(tie).belongs_to(case(1)) && tied(tie).is_outside(case(1), false), "{tie:?}");
        }
        assert!(!tied(Tie::Signed).is_outside(case(1), false));
        assert!(!tied(Tie::Invited).is_outside(case(1), true), "it takes part by a referral besides");
        assert!(tied(Tie::Ended).is_outside(case(1), true), "it came by an invitation, and was sent away");
    }

    #[test]
    fn a_suspended_partner_stands_nowhere_whatever_it_signed() {
        let accession = Accession { active: false, ..tied(Tie::Signed) };
        assert_ne!(accession.standing(&purpose("youth-support"), Some(case(1))), Standing::GOOD);
        assert!(!accession.belongs_to(case(1)));
    }
}
