//! A correction as it is asked for and kept, and what becomes of each section. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::problem::InvalidParam;
use crate::referrals::types::{Content, Part, Section};

closed_list! {
    /// Why a section is corrected.
    CorrectionReason {
        /// It is not true.
        Inaccurate = "inaccurate",
        /// It is no longer true.
        Outdated = "outdated",
        /// It is about another resident.
        WrongResident = "wrong-resident",
        /// It was not meant for this recipient; others may have it.
        WrongRecipient = "wrong-recipient",
    }
}

closed_list! {
    /// What became of a section.
    CorrectionEffect {
        /// Its content is another one now.
        Replaced = "replaced",
        /// It is no longer given.
        Retracted = "retracted",
        /// It is no longer given; what should replace it may not cross. For everyone but its giver this is `retracted`.
        Withheld = "withheld",
    }
}

/// A correction that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    pub(super) reason: CorrectionReason,
    /// The update that the sections came with; none for what came with the referral.
    #[serde(default)]
    pub(super) update_id: Option<Uuid>,
    /// What replaces.
    #[serde(default)]
    pub(super) sections: Vec<Section>,
    /// What should never have been given.
    #[serde(default)]
    pub(super) retracted: Vec<CategoryCode>,
}

/// A section that stands somewhere, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) part: Part,
    pub(super) category: CategoryCode,
    /// Where it was first given.
    pub(super) origin: Part,
    pub(super) disclosed_at: Option<Timestamp>,
    pub(super) corrected_at: Option<Timestamp>,
    pub(super) retracted: bool,
}

impl Standing {
    /// Whether the correction goes on to the copies. What was meant for others than this recipient may be right there; and where nothing
    /// stands any more, what is given anew concerns this recipient alone.
    pub(super) fn is_followed(&self, reason: CorrectionReason) -> bool {
        !self.retracted && reason != CorrectionReason::WrongRecipient
    }
}

impl Wanted {
    /// Which categories it names.
    pub(super) fn names(&self, category: &CategoryCode) -> bool {
        self.retracted.contains(category) || self.sections.iter().any(|section| section.category == *category)
    }

    /// What replaces a section of this category, where the correction names it or in a copy: what is encrypted was encrypted for one referral.
    pub(super) fn replacement(&self, category: &CategoryCode, is_here: bool) -> Option<&Section> {
        let fits = |section: &&Section| is_here || matches!(section.content, Content::Content(_));
        self.sections.iter().find(|section| section.category == *category).filter(fits)
    }

    /// Everything that does not fit what stands there.
    pub(super) fn mistakes(&self, standing: &[Standing]) -> Vec<InvalidParam> {
        let mut wrong = Vec::new();
        if self.sections.is_empty() && self.retracted.is_empty() {
            wrong.push(InvalidParam::new("sections", "too-few", "expected a section to replace, or one in retracted"));
        }
        if self.reason == CorrectionReason::WrongRecipient && !self.sections.is_empty() {
            let reason = "expected none with reason wrong-recipient: retract what is not for this recipient";
            wrong.push(InvalidParam::new("sections", "not-expected", reason));
        }
        let stands = |category: &CategoryCode| standing.iter().find(|standing| standing.category == *category);
        let unknown = "expected a category that you gave here";
        for (place, section) in self.sections.iter().enumerate() {
            if stands(&section.category).is_none() {
                wrong.push(InvalidParam::new(format!("sections[{place}].category"), "unknown", unknown));
            }
        }
        for (place, category) in self.retracted.iter().enumerate() {
            let name = format!("retracted[{place}]");
            if self.sections.iter().any(|section| section.category == *category) {
                wrong.push(InvalidParam::new(name, "repeated", "expected either to replace it or to retract it"));
            } else if stands(category).is_none() {
                wrong.push(InvalidParam::new(name, "unknown", unknown));
            } else if stands(category).is_some_and(|standing| standing.retracted) {
                wrong.push(InvalidParam::new(name, "not-expected", "it was retracted before"));
            }
        }
        wrong
    }

    /// What becomes of a section, where what replaces it may cross or not.
    pub(super) fn effect(&self, category: &CategoryCode, is_permitted: bool, is_here: bool) -> CorrectionEffect {
        match self.replacement(category, is_here) {
            Some(_) if is_permitted => CorrectionEffect::Replaced,
            Some(_) => CorrectionEffect::Withheld,
            None => CorrectionEffect::Retracted,
        }
    }
}

/// What became of one section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Corrected {
    pub(super) category: CategoryCode,
    pub(super) effect: CorrectionEffect,
    /// Whether the receiver had it, and so hears of it.
    pub(super) told: bool,
}

/// A correction in one referral.
#[derive(Debug, Clone)]
pub(super) struct Correction {
    pub(super) id: Uuid,
    pub(super) part: Part,
    /// The referral's version after it.
    pub(super) version: i64,
    /// Who corrected.
    pub(super) organisation: Oin,
    pub(super) reason: CorrectionReason,
    pub(super) corrected_at: Timestamp,
    pub(super) sections: Vec<Corrected>,
    /// The decision on what replaces; none where nothing was to.
    pub(super) decision: Option<Value>,
}

impl Correction {
    /// Its path.
    pub(super) fn path(&self) -> String {
        format!("/v1/referrals/{}/corrections/{}", self.part.referral, self.id)
    }

    /// Whether anybody but its giver hears of it.
    pub(super) fn is_told(&self) -> bool {
        self.sections.iter().any(|section| section.told)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REFERRAL: Uuid = Uuid::from_u128(7);

    fn standing(category: &str, retracted: bool) -> Standing {
        let part = Part { referral: REFERRAL, update: None };
        let category = category.parse().unwrap();
        Standing { part, category, origin: part, disclosed_at: None, corrected_at: None, retracted }
    }

    fn wanted(body: serde_json::Value) -> Wanted {
        serde_json::from_value(body).unwrap()
    }

    fn names(wrong: &[InvalidParam]) -> Vec<(&str, &str)> {
        wrong.iter().map(|wrong| (wrong.name.as_str(), wrong.code.as_ref())).collect()
    }

    #[test]
    fn everything_that_does_not_fit_is_said_at_once() {
        let there = [standing("finance", false), standing("housing", true)];
        let body = json!({
            "reason": "wrong-recipient",
            "sections": [{ "category": "finance", "content": {} }, { "category": "social", "content": {} }],
            "retracted": ["finance", "meaning", "housing"],
        });
        assert_eq!(
            names(&wanted(body).mistakes(&there)),
            [
                ("sections", "not-expected"),
                ("sections[1].category", "unknown"),
                ("retracted[0]", "repeated"),
                ("retracted[1]", "unknown"),
                ("retracted[2]", "not-expected"),
            ]
        );
        assert_eq!(names(&wanted(json!({ "reason": "outdated" })).mistakes(&there)), [("sections", "too-few")]);
        let again = json!({ "reason": "inaccurate", "sections": [{ "category": "housing", "content": {} }] });
        assert!(wanted(again).mistakes(&there).is_empty(), "what was retracted can be given anew");
    }

    #[test]
    fn what_is_encrypted_for_one_replaces_nothing_for_another() {
        let category: CategoryCode = "finance".parse().unwrap();
        let body = json!({ "reason": "inaccurate", "sections": [{ "category": "finance", "jwe": "eyJh.b.c.d.e" }] });
        let wanted = wanted(body);
        assert_eq!(wanted.effect(&category, true, true), CorrectionEffect::Replaced);
        assert_eq!(wanted.effect(&category, false, true), CorrectionEffect::Withheld);
        assert_eq!(wanted.effect(&category, true, false), CorrectionEffect::Retracted);
    }

    #[test]
    fn a_correction_goes_on_to_copies_unless_it_concerns_one_recipient_alone() {
        for reason in CorrectionReason::ALL {
            let goes_on = reason != CorrectionReason::WrongRecipient;
            assert_eq!(standing("finance", false).is_followed(reason), goes_on, "{reason}");
            assert!(!standing("finance", true).is_followed(reason), "{reason}");
        }
    }

    #[test]
    fn a_part_is_read_as_it_is_written() {
        for update in [None, Some(Uuid::from_u128(9))] {
            let part = Part { referral: REFERRAL, update };
            assert_eq!(part.to_string().parse::<Part>().unwrap(), part);
        }
        for wrong in
            ["", "x/referral", "00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000007/x"]
        {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
