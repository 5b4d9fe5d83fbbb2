//! A case as it is kept, with the referrals in it. Pure.
//!
//! Invariant: who takes part follows from the referrals and the invitations and is stored nowhere else.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::covenant::Covenant;
use crate::ids::Oin;
use crate::lifecycle::case::{Case, Role, Situation, Terms};
use crate::policy::CaseFacts;

/// Purposes that rest on taking part in a case; a referral for one of them makes nobody a participant.
const RESTING_ON_A_CASE: [&str; 2] = ["case-coordination", "process-direction"];

/// What the covenant says of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The terms.
    pub terms: Terms,
    /// Who directs what is stepped up, and coordinates what nobody else can.
    pub municipality: Oin,
}

impl Rules {
    /// Those of a covenant; none where it has no municipality, which a checked one has.
    #[must_use]
    pub fn of(covenant: &Covenant) -> Option<Self> {
        let terms = Terms {
            answer: covenant.deadlines.coordinator_working_days,
            step_up_weeks: covenant.deadlines.step_up_weeks,
        };
        Some(Self { terms, municipality: covenant.municipality()?.oin.clone() })
    }
}

/// A case as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id, which no reader gets to see.
    pub id: Uuid,
    /// Where it stands.
    pub case: Case<Oin>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// A referral of a case, as far as the case goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The referral.
    pub id: Uuid,
    /// Its sender.
    pub sender: Oin,
    /// Its recipient.
    pub recipient: Oin,
    /// Why.
    pub purpose: String,
    /// Whether its recipient has taken it on.
    pub taken_on: bool,
    /// Whether somebody must still act in it.
    pub open: bool,
    /// Whether its parties do not get it further, as far as that was noted.
    pub stuck: bool,
}

impl Member {
    fn makes_participants(&self) -> bool {
        self.taken_on && !RESTING_ON_A_CASE.contains(&self.purpose.as_str())
    }

    /// Whether an organisation is a party to it.
    #[must_use]
    pub fn is_of(&self, organisation: &Oin) -> bool {
        self.sender == *organisation || self.recipient == *organisation
    }

    /// Whether an organisation may know that it belongs to the case.
    #[must_use]
    pub fn is_known_to(&self, organisation: &Oin) -> bool {
        self.sender == *organisation || (self.taken_on && self.recipient == *organisation)
    }
}

/// A case with its referrals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The case.
    pub kept: Kept,
    /// Its referrals.
    pub members: Vec<Member>,
}

impl Whole {
    /// How many referrals are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.members.iter().filter(|member| member.open).count()
    }

    /// The parties to referrals that were taken on.
    #[must_use]
    pub fn participants(&self) -> Vec<Oin> {
        let taken_on = self.members.iter().filter(|member| member.makes_participants());
        let parties: BTreeSet<&Oin> = taken_on.flat_map(|member| [&member.sender, &member.recipient]).collect();
        parties.into_iter().cloned().collect()
    }

    /// What an organisation is in it at this moment.
    #[must_use]
    pub fn roles(&self, organisation: &Oin, rules: &Rules, now: Timestamp) -> Vec<Role> {
        let participants = self.participants();
        let situation = Situation { open: self.open(), participants: &participants, municipality: &rules.municipality };
        self.kept.case.settled(&rules.terms, now).roles(organisation, &situation)
    }

    /// Whether an organisation coordinates it or takes part in it. Being asked to coordinate, or directing it, is not enough.
    #[must_use]
    pub fn takes_part(&self, organisation: &Oin) -> bool {
        let case = &self.kept.case;
        case.coordinator == *organisation
            || case.invited.contains(organisation)
            || self.members.iter().any(|member| member.makes_participants() && member.is_of(organisation))
    }

    /// What a decision may rest on: between these two parties, under a referral that `sender` sent. In a closed case nothing.
    #[must_use]
    pub fn facts(&self, parties: [&Oin; 2], sender: &Oin, rules: &Rules, now: Timestamp) -> CaseFacts {
        let case = &self.kept.case;
        if case.closed_at.is_some() {
            return CaseFacts::default();
        }
        let [giver, receiver] = parties;
        let between = |coordinator: &Oin, other: &Oin| {
            case.coordinator == *coordinator && coordinator != other && self.takes_part(other)
        };
        let stepped_up = case.stepped_up.is_some_and(|step_up| now < step_up.until);
        CaseFacts {
            participant_and_coordinator: between(giver, receiver) || between(receiver, giver),
            municipality_coordinates: case.coordinator == rules.municipality,
            stepped_up: stepped_up && self.takes_part(sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::StepUpReason;
    use crate::lifecycle::case::SteppedUp;

    fn oin(number: u8) -> Oin {
        format!("0000009900000000{number}000").parse().unwrap()
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    fn rules() -> Rules {
        Rules { terms: Terms { answer: 5, step_up_weeks: 6 }, municipality: oin(1) }
    }

    fn member(sender: u8, recipient: u8, purpose: &str, taken_on: bool) -> Member {
        let id = Uuid::nil();
        Member {
            id,
            sender: oin(sender),
            recipient: oin(recipient),
            purpose: purpose.into(),
            taken_on,
            open: true,
            stuck: false,
        }
    }

    fn whole(members: Vec<Member>) -> Whole {
        let kept = Kept { id: Uuid::nil(), case: Case::new(oin(2)), opened_at: at(0), version: 1 };
        Whole { kept, members }
    }

    fn facts(whole: &Whole, giver: u8, receiver: u8) -> CaseFacts {
        whole.facts([&oin(giver), &oin(receiver)], &oin(giver), &rules(), at(1))
    }

    #[test]
    fn a_recipient_takes_part_only_once_it_has_taken_a_referral_on() {
        assert!(!whole(vec![member(2, 3, "social-work", false)]).takes_part(&oin(3)));
        assert!(whole(vec![member(2, 3, "social-work", true)]).takes_part(&oin(3)));
        assert!(!whole(vec![member(2, 3, "social-work", true)]).takes_part(&oin(4)));
    }

    #[test]
    fn what_rests_on_taking_part_makes_nobody_take_part() {
        for purpose in RESTING_ON_A_CASE {
            let whole = whole(vec![member(2, 3, purpose, true)]);
            assert!(!whole.takes_part(&oin(3)), "{purpose}");
            assert_eq!(facts(&whole, 2, 3), CaseFacts::default());
        }
    }

    #[test]
    fn coordination_runs_between_the_coordinator_and_a_participant_and_nobody_else() {
        let whole = whole(vec![member(2, 3, "social-work", true), member(2, 4, "client-support", true)]);
        for (giver, receiver, expected) in
            [(2, 3, true), (3, 2, true), (3, 4, false), (2, 5, false), (5, 2, false), (2, 2, false)]
        {
            let facts = facts(&whole, giver, receiver);
            assert_eq!(facts.participant_and_coordinator, expected, "{giver} to {receiver}");
        }
    }

    #[test]
    fn a_step_up_holds_to_its_last_moment_and_only_for_who_takes_part() {
        let mut whole = whole(vec![member(2, 3, "social-work", true)]);
        whole.kept.case.stepped_up = Some(SteppedUp { reason: StepUpReason::Other, until: at(2) });
        assert!(facts(&whole, 3, 1).stepped_up);
        assert!(!facts(&whole, 4, 1).stepped_up, "takes no part");
        let later = whole.facts([&oin(3), &oin(1)], &oin(3), &rules(), at(2));
        assert!(!later.stepped_up, "over, although nobody has noted it");
        whole.kept.case.closed_at = Some(at(1));
        assert_eq!(facts(&whole, 3, 1), CaseFacts::default());
    }
}
