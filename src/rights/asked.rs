//! What a decision needs to know of the objections and restrictions about one resident.
//!
//! Invariant: of all that parties recorded only what the named party recorded counts ([`facts`]).

use super::{objections, restrictions};
use crate::covenant::PurposeCode;
use crate::ids::Oin;
use crate::policy::{Objection, RightsFacts};
use crate::storage::{Error, Query};

/// Something that stands, and who recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who recorded it.
    pub organisation: Oin,
    /// What.
    pub what: What,
}

/// What stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An objection against these purposes; against every one where none is named.
    Objection {
        /// The purposes.
        purposes: Option<Vec<PurposeCode>>,
        /// How it was weighed.
        weighed: Objection,
    },
    /// A restriction.
    Restriction,
}

/// Everything that stands about a resident, by whomever it was recorded.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<Asked>, Error> {
    let mut asked = objections::standing(query, subject).await?;
    asked.extend(restrictions::standing(query, subject).await?);
    Ok(asked)
}

/// What of it counts for this organisation and this purpose.
#[must_use]
pub fn facts(asked: &[Asked], organisation: &Oin, purpose: &PurposeCode) -> RightsFacts {
    let mut facts = RightsFacts::default();
    for one in asked.iter().filter(|one| one.organisation == *organisation) {
        match &one.what {
            What::Restriction => facts.restricted = true,
            What::Objection { purposes, weighed } => {
                let names_it = purposes.as_ref().is_none_or(|purposes| purposes.contains(purpose));
                // One that was upheld stays; weighing another changes nothing.
                if names_it && facts.objection != Some(Objection::Upheld) {
                    facts.objection = Some(*weighed);
                }
            }
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oin(digit: u8) -> Oin {
        format!("0000009900000000{digit}000").parse().unwrap()
    }

    fn purpose(code: &str) -> PurposeCode {
        code.parse().unwrap()
    }

    fn objection(by: u8, purposes: Option<&[&str]>, weighed: Objection) -> Asked {
        let purposes = purposes.map(|codes| codes.iter().map(|code| purpose(code)).collect());
        Asked { organisation: oin(by), what: What::Objection { purposes, weighed } }
    }

    #[test]
    fn what_another_recorded_or_for_another_purpose_counts_for_nothing() {
        let asked = [
            objection(2, None, Objection::NotWeighed),
            objection(1, Some(&["social-work"]), Objection::NotWeighed),
            Asked { organisation: oin(3), what: What::Restriction },
        ];
        assert!(facts(&asked, &oin(1), &purpose("debt-counselling")).is_nothing());
        assert!(facts(&asked, &oin(4), &purpose("social-work")).is_nothing());
        assert!(facts(&[], &oin(1), &purpose("social-work")).is_nothing());
        let own = facts(&asked, &oin(1), &purpose("social-work"));
        assert_eq!(own, RightsFacts { objection: Some(Objection::NotWeighed), restricted: false });
    }

    #[test]
    fn an_objection_without_purposes_is_against_all_and_one_that_was_upheld_stays() {
        let mut asked = vec![
            objection(1, None, Objection::Upheld),
            objection(1, Some(&["social-work"]), Objection::NotWeighed),
            Asked { organisation: oin(1), what: What::Restriction },
        ];
        for _ in 0..2 {
            let both = RightsFacts { objection: Some(Objection::Upheld), restricted: true };
            assert_eq!(facts(&asked, &oin(1), &purpose("social-work")), both);
            asked.reverse();
        }
    }
}
