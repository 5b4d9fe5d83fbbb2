//! Tables with a fault in them. Each is explored like the real ones, and must be found out by a short way to a broken promise.

use super::explorer::{Broken, Model, explore};
use super::households::{Bounds, Households};
use super::one_case::OneCase;
use super::one_referral::OneReferral;
use super::{Org, Rules, post};
use crate::clock::Timestamp;
use crate::lifecycle::Status;
use crate::lifecycle::case::{self, Case, Situation};
use crate::lifecycle::referral::{Chain, Command, Happened, Refusal, Role, State, Taken, allowed_steps, step};
use crate::lifecycle::terms::Terms;

type Step = Result<Taken, Refusal>;
type CaseStep = Result<case::Taken<Org>, case::Refusal>;

/// The fault is found, as this broken promise, within so many steps.
fn is_found<M: Model>(model: &M, promise: &str, within: usize) {
    let broken: Broken = explore(model, 300_000).expect_err("the fault was not found");
    println!("{broken:?}");
    assert!(broken.promise.contains(promise), "found otherwise: {}", broken.promise);
    // The last entry is the state in which it shows.
    assert!(broken.path.len() <= within + 1, "by {} steps", broken.path.len());
}

fn referral(referral: super::ReferralStep) -> OneReferral {
    OneReferral::new(Rules { referral, ..Rules::REAL })
}

fn case(case: super::CaseStep) -> OneCase {
    OneCase { rules: Rules { case, ..Rules::REAL }, participants: &[Org::A, Org::B] }
}

fn households(rules: Rules) -> Households {
    Households::new(rules, Bounds { referrals: 1, detours: 1, only_suspensions: false })
}

#[test]
fn a_deadline_that_is_forgotten_on_hold() {
    fn forgets(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let mut taken = step(state, by, command, terms, now)?;
        taken.state.deadline = taken.state.deadline.filter(|_| taken.state.status != Status::OnHold);
        Ok(taken)
    }
    is_found(&referral(forgets), "a holder has a deadline", 2);
}

#[test]
fn a_deadline_that_passes_in_silence() {
    fn is_silent(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let mut taken = step(state, by, command, terms, now)?;
        taken
            .happened
            .retain(|happened| !matches!(happened, Happened::Overdue { .. }) || *command == Command::DeadlinePassed);
        Ok(taken)
    }
    is_found(&referral(is_silent), "a deadline passed unsaid", 0);
}

#[test]
fn a_deadline_that_begins_anew_with_every_supplement() {
    fn is_generous(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let mut taken = step(state, by, command, terms, now)?;
        if let (Command::Supplement, Some(deadline)) = (command, &mut taken.state.deadline) {
            deadline.due_at = terms.due_at(deadline.duty, now, now);
        }
        Ok(taken)
    }
    is_found(&referral(is_generous), "time was gained", 0);
}

#[test]
fn a_sender_that_resolves_what_the_municipality_holds() {
    fn lets_the_sender(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let resolves = matches!(command, Command::Resolve(_)) && state.chain == Some(Chain::SteppedUp);
        let by = if resolves && by == [Role::Sender] { &[Role::Municipality][..] } else { by };
        step(state, by, command, terms, now)
    }
    is_found(&referral(lets_the_sender), "not on the list of allowed steps", 2);
}

#[test]
fn a_holder_that_changes_unsaid_so_that_two_believe_they_hold() {
    fn is_unsaid(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let mut taken = step(state, by, command, terms, now)?;
        taken.happened.retain(|happened| !matches!(happened, Happened::Holder { stands_in: true, .. }));
        Ok(taken)
    }
    is_found(&referral(is_unsaid), "another holder is said", 0);
}

#[test]
fn a_step_that_is_refused_although_it_is_listed() {
    fn refuses(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        if *command == Command::ReferOn {
            return Err(Refusal::NotAllowed(allowed_steps(state, by, now)));
        }
        step(state, by, command, terms, now)
    }
    is_found(&referral(refuses), "on the list of allowed steps is not allowed", 1);
}

#[test]
fn a_dead_end_at_the_municipality() {
    fn is_stuck(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        if state.chain == Some(Chain::SteppedUp) && matches!(command, Command::Resolve(_) | Command::ReferOn) {
            return Err(Refusal::NotAllowed(Vec::new()));
        }
        step(state, by, command, terms, now)
    }
    let rules = Rules { referral: is_stuck, ..Rules::REAL };
    is_found(&households(rules), "nothing leads to an end", 3);
}

#[test]
fn a_silent_sender_that_nobody_passes_over() {
    fn forgets_how_often(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let mut taken = step(state, by, command, terms, now)?;
        let has_ended =
            matches!(taken.state.status, Status::Rejected | Status::Cancelled | Status::Failed | Status::Completed);
        let forgotten = has_ended && *command == Command::DeadlinePassed;
        if let Some(deadline) = taken.state.deadline.as_mut().filter(|_| forgotten) {
            deadline.missed = 0;
        }
        Ok(taken)
    }
    let rules = Rules { referral: forgets_how_often, ..Rules::REAL };
    is_found(&OneReferral::with_silent_parties(rules), "nothing leads to an end", 1);
}

#[test]
fn a_municipality_that_steps_up_after_one_missed_deadline() {
    fn is_hasty(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        let is_late = state.deadline.is_some_and(|deadline| deadline.missed > 0);
        let steps_up = *command == Command::StepUp && by == [Role::Municipality];
        match step(state, &[Role::Sender], command, terms, now) {
            Ok(taken) if is_late && steps_up => Ok(taken),
            _ => step(state, by, command, terms, now),
        }
    }
    is_found(&referral(is_hasty), "not on the list of allowed steps", 2);
}

#[test]
fn a_suspension_that_is_not_noted() {
    fn does_not_note(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Step {
        match command {
            Command::Standing(_) => step(state, by, &Command::Standing(state.unable), terms, now),
            _ => step(state, by, command, terms, now),
        }
    }
    let rules = Rules { referral: does_not_note, ..Rules::REAL };
    is_found(&households(rules), "nothing leads to an end", 5);
}

#[test]
fn coordination_that_passes_with_the_question() {
    fn passes(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let mut taken = case.step(party, command, situation, terms, now)?;
        if let case::Command::OfferCoordination(to) = command {
            taken.happened.push(case::Happened::Coordinator { from: case.coordinator, to: *to });
            taken.case.coordinator = *to;
        }
        Ok(taken)
    }
    is_found(&case(passes), "coordination passes only to who accepts it", 0);
}

#[test]
fn a_new_coordinator_unsaid_so_that_two_believe_they_coordinate() {
    fn is_unsaid(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let mut taken = case.step(party, command, situation, terms, now)?;
        taken.happened.retain(|happened| !matches!(happened, case::Happened::Coordinator { .. }));
        Ok(taken)
    }
    is_found(&case(is_unsaid), "another coordinator is said", 1);
}

#[test]
fn a_case_that_closes_with_something_open() {
    fn closes(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let open = if *command == case::Command::Close { 0 } else { situation.open };
        case.step(party, command, &Situation { open, ..*situation }, terms, now)
    }
    is_found(&case(closes), "closed with something open", 0);
}

#[test]
fn a_process_director_that_steps_up_whenever_it_likes() {
    fn steps_up(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let steps_up = matches!(command, case::Command::StepUp(_)) && party == Some(&Org::Municipality);
        case.step(if steps_up { Some(&case.coordinator) } else { party }, command, situation, terms, now)
    }
    is_found(&case(steps_up), "taken by somebody whose step it is not", 0);
}

#[test]
fn a_new_coordinator_that_takes_from_the_director_what_the_former_let_wait() {
    fn starts_afresh(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let mut taken = case.step(party, command, situation, terms, now)?;
        taken.case.proposal = taken.case.proposal.filter(|_| taken.case.coordinator == case.coordinator);
        Ok(taken)
    }
    is_found(&self::case(starts_afresh), "was taken from the process director", 1);
}

#[test]
fn a_step_up_of_the_director_that_becomes_the_coordinators_by_being_renewed() {
    fn forgets(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let mut taken = case.step(party, command, situation, terms, now)?;
        if let (case::Command::StepUp(_), Some(_), Some(step_up)) =
            (command, case.stepped_up, &mut taken.case.stepped_up)
        {
            step_up.by_director &= party != Some(&case.coordinator);
        }
        Ok(taken)
    }
    is_found(&self::case(forgets), "ended by somebody else", 2);
}

#[test]
fn an_offer_to_somebody_who_was_removed() {
    fn keeps(
        case: &Case<Org>,
        party: Option<&Org>,
        command: &case::Command<Org>,
        situation: &Situation<'_, Org>,
        terms: &case::Terms,
        now: Timestamp,
    ) -> CaseStep {
        let mut taken = case.step(party, command, situation, terms, now)?;
        if matches!(command, case::Command::Remove(_)) {
            taken.case.hand_over = case.hand_over.clone().filter(|offer| offer.due_at > now);
        }
        Ok(taken)
    }
    let model = OneCase { rules: Rules { case: keeps, ..Rules::REAL }, participants: &[] };
    is_found(&model, "somebody is asked who takes no part", 2);
}

#[test]
fn an_event_that_a_crash_loses() {
    let post = post::Rules { outbox_survives: false, ..post::Rules::REAL };
    is_found(&households(Rules { post, ..Rules::REAL }), "will never be seen", 1);
}

#[test]
fn an_older_event_that_is_taken_for_news() {
    let post = post::Rules { older_is_dropped: false, ..post::Rules::REAL };
    is_found(&households(Rules { post, ..Rules::REAL }), "will never be seen", 3);
}
