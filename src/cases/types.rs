//! A case as it is kept, with what its referrals mean for it. Pure.
//!
//! Invariant: who takes part follows from the referrals and the invitations and is stored nowhere else. A case may have any number of referrals,
//! so they are never read one by one: what is asked of them is asked of the database's indexes, and what is shown of them has a bound.

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
    /// The version that says so.
    pub version: String,
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
        Some(Self { version: covenant.version.clone(), terms, municipality: covenant.municipality()?.oin.clone() })
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

/// At most so many referrals of a case are shown at once.
pub(super) const SHOWN: usize = 100;

/// Whether referrals for this purpose rest on taking part in a case, so that they make nobody take part, and the case is about nobody by them.
#[must_use]
pub fn rests_on_case(purpose: &str) -> bool {
    RESTING_ON_A_CASE.contains(&purpose)
}

/// A case with what its referrals mean for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The case.
    pub kept: Kept,
    /// The parties to referrals that were taken on and do not rest on the case, in order.
    pub participants: Vec<Oin>,
    /// In how many of its referrals somebody must still act. Beyond a thousand they are not counted.
    pub open: usize,
    /// From when its coordinator holds a referral of it in which it has let two deadlines in a row pass, unless somebody acts before.
    pub coordinator_late_from: Option<Timestamp>,
}

/// What a reader is shown of the referrals of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The newest of those that it may know, in order.
    pub(super) referrals: Vec<Uuid>,
    /// The oldest of those that are stuck, in order; who steers it sees them.
    pub(super) stuck: Vec<Uuid>,
}

/// A case as a reader knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// By which name.
    pub(super) alias: Uuid,
    pub(super) whole: Whole,
    pub(super) shown: Shown,
}

/// What the referrals of a case that do not rest on it say of one resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Resident {
    /// One was taken on.
    pub(super) is_helped: bool,
    /// In one somebody must still act.
    pub(super) is_waited_for: bool,
    /// Who sends what is decided on knows of the resident in this case: it sent a referral about the resident in it, or took one on.
    pub(super) is_known: bool,
}

impl Whole {
    /// What an organisation is in it at this moment.
    #[must_use]
    pub fn roles(&self, organisation: &Oin, rules: &Rules, now: Timestamp) -> Vec<Role> {
        let situation = self.situation(rules, now);
        self.kept.case.settled(&rules.terms, now).roles(organisation, &situation)
    }

    /// What the table of cases asks of the referrals.
    pub(super) fn situation<'a>(&'a self, rules: &'a Rules, now: Timestamp) -> Situation<'a, Oin> {
        Situation {
            open: self.open,
            participants: &self.participants,
            coordinator_late: self.coordinator_late_from.is_some_and(|from| from <= now),
            municipality: &rules.municipality,
        }
    }

    /// Whether an organisation coordinates it or takes part in it. Being asked to coordinate, or directing it, is not enough.
    #[must_use]
    pub fn takes_part(&self, organisation: &Oin) -> bool {
        let case = &self.kept.case;
        case.coordinator == *organisation
            || case.invited.contains(organisation)
            || self.participants.contains(organisation)
    }

    /// What a decision about a resident may rest on: between these two parties, under a referral that `sender` sent. In a closed case
    /// nothing, and nothing about a resident whom the case is not about: taking part in a case opens no way for anybody else.
    ///
    /// Coordination is of help that somebody gives, so a referral about the resident must have been taken on; direction is also needed where
    /// nobody takes one on, so that one about the resident must at least be open.
    ///
    /// Nobody but the coordinator may ask about residents whom it does not know there itself: the answer would tell who else of the household is
    /// helped, and when somebody took that on.
    #[must_use]
    pub(super) fn facts(
        &self,
        parties: [&Oin; 2],
        sender: &Oin,
        resident: Resident,
        rules: &Rules,
        now: Timestamp,
    ) -> CaseFacts {
        let case = &self.kept.case;
        if case.closed_at.is_some() {
            return CaseFacts::default();
        }
        let [giver, receiver] = parties;
        let between = |coordinator: &Oin, other: &Oin| {
            case.coordinator == *coordinator && coordinator != other && self.takes_part(other)
        };
        let may_ask = resident.is_known || case.coordinator == *sender;
        let is_helped = may_ask && resident.is_helped;
        let is_in_it = may_ask && (resident.is_helped || resident.is_waited_for);
        let stepped_up = case.stepped_up.is_some_and(|step_up| now < step_up.until);
        CaseFacts {
            participant_and_coordinator: is_helped && (between(giver, receiver) || between(receiver, giver)),
            municipality_coordinates: case.coordinator == rules.municipality,
            stepped_up: stepped_up && is_in_it && self.takes_part(sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::StepUpReason;
    use crate::lifecycle::case::SteppedUp;

    const HELPED: Resident = Resident { is_helped: true, is_waited_for: false, is_known: true };
    const WAITED_FOR: Resident = Resident { is_helped: false, is_waited_for: true, is_known: true };

    fn oin(number: u8) -> Oin {
        format!("0000009900000000{number}000").parse().unwrap()
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    fn rules() -> Rules {
        Rules { version: "1".into(), terms: Terms { answer: 5, step_up_weeks: 6 }, municipality: oin(1) }
    }

    /// A case that 2 coordinates, with these participants.
    fn whole(participants: &[u8]) -> Whole {
        let kept = Kept { id: Uuid::nil(), case: Case::new(oin(2)), opened_at: at(0), version: 1 };
        let participants = participants.iter().map(|number| oin(*number)).collect();
        Whole { kept, participants, open: 1, coordinator_late_from: None }
    }

    fn facts(whole: &Whole, giver: u8, receiver: u8, resident: Resident) -> CaseFacts {
        whole.facts([&oin(giver), &oin(receiver)], &oin(giver), resident, &rules(), at(1))
    }

    #[test]
    fn what_rests_on_taking_part_is_direction_and_coordination_alone() {
        for purpose in RESTING_ON_A_CASE {
            assert!(rests_on_case(purpose), "{purpose}");
        }
        for purpose in ["social-work", "debt-counselling", "case", "", "case-coordination "] {
            assert!(!rests_on_case(purpose), "{purpose}");
        }
    }

    #[test]
    fn who_takes_part_coordinates_is_invited_or_is_party_to_a_referral_that_was_taken_on() {
        let mut whole = whole(&[3]);
        whole.kept.case.invited.insert(oin(4));
        for (number, expected) in [(1, false), (2, true), (3, true), (4, true), (5, false)] {
            assert_eq!(whole.takes_part(&oin(number)), expected, "{number}");
        }
    }

    #[test]
    fn coordination_runs_between_the_coordinator_and_a_participant_and_nobody_else() {
        let whole = whole(&[2, 3, 4]);
        for (giver, receiver, expected) in
            [(2, 3, true), (3, 2, true), (3, 4, false), (2, 5, false), (5, 2, false), (2, 2, false)]
        {
            let facts = facts(&whole, giver, receiver, HELPED);
            assert_eq!(facts.participant_and_coordinator, expected, "{giver} to {receiver}");
        }
    }

    #[test]
    fn a_step_up_holds_to_its_last_moment_and_only_for_who_takes_part() {
        let mut whole = whole(&[2, 3]);
        whole.kept.case.stepped_up = Some(SteppedUp { reason: StepUpReason::Other, until: at(2), by_director: false });
        assert!(facts(&whole, 3, 1, HELPED).stepped_up);
        assert!(!facts(&whole, 4, 1, HELPED).stepped_up, "takes no part");
        let later = whole.facts([&oin(3), &oin(1)], &oin(3), HELPED, &rules(), at(2));
        assert!(!later.stepped_up, "over, although nobody has noted it");
        whole.kept.case.closed_at = Some(at(1));
        assert_eq!(facts(&whole, 3, 1, HELPED), CaseFacts::default());
    }

    #[test]
    fn a_case_says_nothing_about_residents_whom_it_is_not_about() {
        let mut whole = whole(&[2, 3]);
        whole.kept.case.stepped_up = Some(SteppedUp { reason: StepUpReason::Other, until: at(2), by_director: false });
        let helped = facts(&whole, 3, 2, HELPED);
        assert!(helped.participant_and_coordinator && helped.stepped_up);
        let stranger = facts(&whole, 3, 2, Resident::default());
        assert!(!stranger.participant_and_coordinator && !stranger.stepped_up);
        // About whom others help a participant learns nothing; who coordinates may ask about everybody in the case.
        let unknown = Resident { is_known: false, ..HELPED };
        let asked = facts(&whole, 3, 2, unknown);
        assert!(!asked.participant_and_coordinator && !asked.stepped_up);
        assert_eq!(asked, facts(&whole, 3, 2, Resident::default()));
        assert!(facts(&whole, 2, 3, unknown).participant_and_coordinator);
        // A referral that nobody has taken on is enough to be directed, not to be coordinated.
        let waiting = facts(&whole, 3, 2, WAITED_FOR);
        assert!(!waiting.participant_and_coordinator && waiting.stepped_up);
    }
}
