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
    /// The resident, as the gateway keeps them.
    pub subject: String,
    /// Whether its recipient has taken it on.
    pub taken_on: bool,
    /// Whether its parties do not get it further, as far as that was noted.
    pub stuck: bool,
    /// Who must still act in it, and by when; none where it is closed.
    pub held: Option<Held>,
}

/// Who holds a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who; none where the covenant has no municipality that could stand in.
    pub holder: Option<Oin>,
    /// Until when.
    pub due_at: Timestamp,
    /// How many deadlines in a row were missed, as far as that was noted.
    pub missed: u32,
}

impl Held {
    /// Whether this organisation holds it and has let two deadlines in a row pass.
    fn is_late(&self, organisation: &Oin, now: Timestamp) -> bool {
        self.holder.as_ref() == Some(organisation) && self.missed.saturating_add(u32::from(self.due_at <= now)) >= 2
    }
}

impl Member {
    fn rests_on_the_case(&self) -> bool {
        RESTING_ON_A_CASE.contains(&self.purpose.as_str())
    }

    fn makes_participants(&self) -> bool {
        self.taken_on && !self.rests_on_the_case()
    }

    /// Whether somebody must still act in it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.held.is_some()
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
        self.members.iter().filter(|member| member.is_open()).count()
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
        let situation = self.situation(&participants, rules, now);
        self.kept.case.settled(&rules.terms, now).roles(organisation, &situation)
    }

    /// What the table of cases asks of the referrals.
    pub(super) fn situation<'a>(
        &self,
        participants: &'a [Oin],
        rules: &'a Rules,
        now: Timestamp,
    ) -> Situation<'a, Oin> {
        let coordinator = &self.kept.case.coordinator;
        let held = self.members.iter().filter_map(|member| member.held.as_ref());
        let coordinator_late = held.clone().any(|held| held.is_late(coordinator, now));
        Situation { open: held.count(), participants, coordinator_late, municipality: &rules.municipality }
    }

    /// Whether an organisation coordinates it or takes part in it. Being asked to coordinate, or directing it, is not enough.
    #[must_use]
    pub fn takes_part(&self, organisation: &Oin) -> bool {
        let case = &self.kept.case;
        case.coordinator == *organisation
            || case.invited.contains(organisation)
            || self.members.iter().any(|member| member.makes_participants() && member.is_of(organisation))
    }

    /// Whether an organisation may know that this referral belongs to it.
    #[must_use]
    pub fn is_known_to_hold(&self, referral: Uuid, organisation: &Oin) -> bool {
        self.members.iter().any(|member| member.id == referral && member.is_known_to(organisation))
    }

    /// What a decision about a resident may rest on: between these two parties, under a referral that `sender` sent. In a closed case
    /// nothing, and nothing about a resident whom the case is not about: taking part in a case opens no way for anybody else.
    ///
    /// Coordination is of help that somebody gives, so a referral about the resident must have been taken on; direction is also needed where
    /// nobody takes one on, so that one about the resident must at least be open.
    #[must_use]
    pub fn facts(&self, parties: [&Oin; 2], sender: &Oin, subject: &str, rules: &Rules, now: Timestamp) -> CaseFacts {
        let case = &self.kept.case;
        if case.closed_at.is_some() {
            return CaseFacts::default();
        }
        let [giver, receiver] = parties;
        let between = |coordinator: &Oin, other: &Oin| {
            case.coordinator == *coordinator && coordinator != other && self.takes_part(other)
        };
        let about = |member: &&Member| member.subject == subject && !member.rests_on_the_case();
        let mut about = self.members.iter().filter(about);
        let is_helped = about.clone().any(|member| member.taken_on);
        let is_in_it = is_helped || about.any(Member::is_open);
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

    const RESIDENT: &str = "resident";

    fn oin(number: u8) -> Oin {
        format!("0000009900000000{number}000").parse().unwrap()
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    fn rules() -> Rules {
        Rules { version: "1".into(), terms: Terms { answer: 5, step_up_weeks: 6 }, municipality: oin(1) }
    }

    fn member(sender: u8, recipient: u8, purpose: &str, taken_on: bool) -> Member {
        Member {
            id: Uuid::nil(),
            sender: oin(sender),
            recipient: oin(recipient),
            purpose: purpose.into(),
            subject: RESIDENT.into(),
            taken_on,
            stuck: false,
            held: Some(Held { holder: Some(oin(recipient)), due_at: at(5), missed: 0 }),
        }
    }

    fn whole(members: Vec<Member>) -> Whole {
        let kept = Kept { id: Uuid::nil(), case: Case::new(oin(2)), opened_at: at(0), version: 1 };
        Whole { kept, members }
    }

    fn facts(whole: &Whole, giver: u8, receiver: u8) -> CaseFacts {
        whole.facts([&oin(giver), &oin(receiver)], &oin(giver), RESIDENT, &rules(), at(1))
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
        whole.kept.case.stepped_up = Some(SteppedUp { reason: StepUpReason::Other, until: at(2), by_director: false });
        assert!(facts(&whole, 3, 1).stepped_up);
        assert!(!facts(&whole, 4, 1).stepped_up, "takes no part");
        let later = whole.facts([&oin(3), &oin(1)], &oin(3), RESIDENT, &rules(), at(2));
        assert!(!later.stepped_up, "over, although nobody has noted it");
        whole.kept.case.closed_at = Some(at(1));
        assert_eq!(facts(&whole, 3, 1), CaseFacts::default());
    }

    #[test]
    fn a_case_says_nothing_about_residents_whom_it_is_not_about() {
        let mut whole = whole(vec![member(2, 3, "social-work", true), member(2, 1, "case-coordination", true)]);
        whole.kept.case.stepped_up = Some(SteppedUp { reason: StepUpReason::Other, until: at(2), by_director: false });
        whole.members.push(Member { subject: "another".into(), ..member(2, 3, "process-direction", true) });
        let about = |whole: &Whole, subject: &str| whole.facts([&oin(3), &oin(2)], &oin(3), subject, &rules(), at(1));
        assert!(about(&whole, RESIDENT).participant_and_coordinator && about(&whole, RESIDENT).stepped_up);
        for stranger in ["another", "stranger"] {
            let facts = about(&whole, stranger);
            assert!(!facts.participant_and_coordinator && !facts.stepped_up, "{stranger}");
        }
        // A referral that nobody has taken on is enough to be directed, not to be coordinated; one that came to nothing is enough for neither.
        whole.members.push(Member { subject: "another".into(), ..member(2, 4, "client-support", false) });
        let waiting = about(&whole, "another");
        assert!(!waiting.participant_and_coordinator && waiting.stepped_up);
        whole.members.last_mut().unwrap().held = None;
        assert!(!about(&whole, "another").stepped_up);
    }

    #[test]
    fn only_who_holds_can_be_late_and_only_with_two_deadlines_in_a_row() {
        let whole = |missed, holder| {
            let mut whole = whole(vec![member(2, 3, "social-work", true)]);
            whole.members[0].held = Some(Held { holder: Some(oin(holder)), due_at: at(2), missed });
            whole
        };
        let late = |whole: &Whole, hours| whole.situation(&[], &rules(), at(hours)).coordinator_late;
        assert!(late(&whole(2, 2), 1), "two were noted");
        assert!(!late(&whole(1, 2), 1) && late(&whole(1, 2), 2), "the second passes at this moment");
        assert!(!late(&whole(0, 2), 2) && !late(&whole(5, 3), 2), "once, or somebody else");
    }
}
