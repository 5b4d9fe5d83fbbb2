//! One case: every command of each of three organisations and of the gateway, with each of its deadlines passed or not.
//!
//! Its referrals are the environment: they open and close at any moment, propose to step up at any moment, and the coordinator is late in one of
//! them or not. Not bounded otherwise.

use std::collections::BTreeSet;

use super::explorer::{Model, explore};
use super::{CASE_TERMS, EARLY, LATE, ORGS, Org, Rules, is_documented, promise};
use crate::lifecycle::StepUpReason;
use crate::lifecycle::case::tests::every_operation;
use crate::lifecycle::case::{Case, Command, Happened, Operation, Refusal, Role, Situation, Taken};
use crate::lifecycle::working_days::after_days;

/// A case and whether referrals of it are open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    case: Case<Org>,
    open: bool,
}

pub struct OneCase {
    pub rules: Rules,
    /// The parties to its accepted referrals.
    pub participants: &'static [Org],
}

#[derive(Debug)]
#[expect(dead_code, reason = "for whoever reads how a promise is broken")]
pub enum Label {
    Step { by: Option<Org>, command: Command<Org>, passed: Vec<&'static str>, late: bool },
    Referrals { open: bool },
}

/// Every command that an organisation could send.
pub fn commands_of_parties() -> Vec<Command<Org>> {
    let mut all = Vec::new();
    for org in ORGS {
        all.extend([Command::OfferCoordination(org), Command::Invite(org), Command::Remove(org)]);
    }
    all.extend([Command::AcceptCoordination, Command::DeclineCoordination, Command::RevokeOffer, Command::Leave]);
    all.extend([Command::StepUp(StepUpReason::Overdue), Command::RefuseStepUp, Command::StepDown, Command::Close]);
    all
}

fn commands_of_the_gateway() -> Vec<Command<Org>> {
    vec![Command::ProposeStepUp, Command::ReplaceCoordinator(Org::Municipality), Command::DeadlinePassed]
}

/// The case with none, each one, and all of its deadlines passed.
pub fn moments(case: &Case<Org>) -> Vec<(Case<Org>, Vec<&'static str>)> {
    type Pass = fn(&mut Case<Org>) -> bool;
    let passes: [(&str, Pass); 4] = [
        ("offer", |case| case.hand_over.as_mut().map(|offer| offer.due_at = EARLY).is_some()),
        ("proposal", |case| case.proposal.as_mut().map(|proposal| proposal.due_at = EARLY).is_some()),
        ("step-up", |case| case.stepped_up.as_mut().map(|step_up| step_up.until = EARLY).is_some()),
        ("idle", |case| case.idle_until.as_mut().map(|until| *until = EARLY).is_some()),
    ];
    let (mut all, mut moments) = ((case.clone(), Vec::new()), vec![(case.clone(), Vec::new())]);
    for (name, pass) in passes {
        let mut one = case.clone();
        if pass(&mut one) {
            moments.push((one, vec![name]));
            pass(&mut all.0);
            all.1.push(name);
        }
    }
    if all.1.len() > 1 {
        moments.push(all);
    }
    moments
}

/// Deadlines lie ahead, and no line of the table looks at the reason of a step-up.
pub fn abstracted(case: &Case<Org>) -> Case<Org> {
    let mut case = case.clone();
    case.hand_over.iter_mut().for_each(|offer| offer.due_at = LATE);
    case.proposal.iter_mut().for_each(|proposal| proposal.due_at = LATE);
    case.stepped_up.iter_mut().for_each(|step_up| (step_up.reason, step_up.until) = (StepUpReason::Overdue, LATE));
    case.idle_until = case.idle_until.map(|_| LATE);
    case.closed_at = case.closed_at.map(|_| EARLY);
    case
}

/// A step at this moment, with what is promised of it.
pub fn step(
    rules: &Rules,
    case: &Case<Org>,
    by: Option<Org>,
    command: &Command<Org>,
    situation: &Situation<'_, Org>,
) -> Result<Result<Taken<Org>, Refusal>, String> {
    let outcome = (rules.case)(case, by.as_ref(), command, situation, &CASE_TERMS, EARLY);
    if let Ok(taken) = &outcome {
        check_step(case, by, command, situation, taken)
            .map_err(|broken| format!("{by:?} {command:?} on {case:?}: {broken}"))?;
    }
    Ok(outcome)
}

fn check_step(
    from: &Case<Org>,
    by: Option<Org>,
    command: &Command<Org>,
    situation: &Situation<'_, Org>,
    taken: &Taken<Org>,
) -> Result<(), String> {
    let (to, said) = (&taken.case, |happened| taken.happened.contains(&happened));
    promise(may(from, by, command, situation), "taken by somebody whose step it is not")?;
    promise(to.due_at().is_none_or(|due_at| due_at > EARLY), "the deadline that is left lies behind")?;

    let handed_over = (from.coordinator != to.coordinator).then_some((from.coordinator, to.coordinator));
    let told = taken.happened.iter().find_map(|happened| match happened {
        Happened::Coordinator { from, to } => Some((*from, *to)),
        _ => None,
    });
    promise(told == handed_over, "another coordinator is said exactly when there is one")?;
    if let Some((_, new)) = handed_over {
        let accepted = *command == Command::AcceptCoordination && by == Some(new);
        let replaced = *command == Command::ReplaceCoordinator(new) && by.is_none();
        promise(accepted || replaced, "coordination passes only to who accepts it, or by replacement")?;
    }

    let closed = from.closed_at.is_none() && to.closed_at.is_some();
    promise(
        !closed || (*command == Command::Close && situation.open == 0),
        "closed with something open, or in passing",
    )?;
    let reopened = from.closed_at.is_some() && to.closed_at.is_none();
    promise(!reopened || (situation.open > 0 && said(Happened::Reopened)), "reopened without a referral")?;

    let passed = |due_at| due_at <= EARLY;
    let lapsed = from.hand_over.as_ref().filter(|offer| passed(offer.due_at)).map(|offer| offer.to);
    promise(lapsed.is_none_or(|to| said(Happened::OfferLapsed(to))), "an offer lapsed unsaid")?;
    let asked = from.hand_over.as_ref().filter(|offer| !passed(offer.due_at)).map(|offer| offer.to);
    let answered = matches!(command, Command::AcceptCoordination | Command::DeclineCoordination | Command::RevokeOffer);
    let withdrawn = asked.filter(|asked| to.hand_over.is_none() && !answered && *asked != to.coordinator);
    promise(withdrawn.is_none_or(|to| said(Happened::OfferWithdrawn(to))), "an offer was withdrawn unsaid")?;
    promise(
        to.hand_over.as_ref().is_none_or(|offer| may_be_asked(to, offer.to, situation)),
        "somebody is asked who takes no part",
    )?;
    let overdue =
        from.idle_until.is_some_and(passed) || from.proposal.is_some_and(|it| !it.overdue && passed(it.due_at));
    promise(overdue == said(Happened::CoordinatorOverdue), "an overdue coordinator is said exactly when it is")?;
    let director_overdue = from.proposal.is_some_and(|it| it.overdue && passed(it.due_at));
    promise(director_overdue == said(Happened::DirectorOverdue), "an overdue director is said exactly when it is")?;
    promise(to.proposal.is_none_or(|it| !passed(it.due_at)), "a proposal waits for nobody")?;
    let ended = from.stepped_up.is_some_and(|step_up| passed(step_up.until));
    promise(!ended || said(Happened::SteppedDown), "a step-up ended unsaid")?;
    let waits = from.proposal.filter(|proposal| proposal.overdue || passed(proposal.due_at));
    let directed = from.stepped_up.filter(|step_up| step_up.by_director && !passed(step_up.until));
    let by_director = by == Some(*situation.municipality) || *command == Command::Close;
    promise(
        waits.is_none()
            || to.proposal.is_some()
            || to.stepped_up.is_some_and(|step_up| step_up.by_director)
            || by_director,
        "what the coordinator let wait was taken from the process director",
    )?;
    promise(
        directed.is_none() || to.stepped_up.is_some_and(|step_up| step_up.by_director) || by_director,
        "what the process director stepped up was ended by somebody else",
    )?;
    if let (Command::StepUp(_), Some(step_up)) = (command, to.stepped_up) {
        promise(step_up.until == after_days(EARLY, 42), "a step-up lasts six weeks")?;
        let alone = by != Some(from.coordinator) && (from.stepped_up.is_none() || ended);
        promise(
            alone == said(Happened::SteppedUpByDirector),
            "the privacy officer is told when the director steps up alone",
        )?;
    }
    Ok(())
}

/// Whose step it is, said a second time and without the table.
fn may(from: &Case<Org>, by: Option<Org>, command: &Command<Org>, situation: &Situation<'_, Org>) -> bool {
    let Some(party) = by else {
        return matches!(
            command,
            Command::ProposeStepUp
                | Command::ReplaceCoordinator(_)
                | Command::Referrals { .. }
                | Command::DeadlinePassed
        );
    };
    let coordinates = party == from.coordinator;
    let directs = party == *situation.municipality;
    let overdue = from.proposal.is_some_and(|proposal| proposal.overdue || proposal.due_at <= EARLY);
    from.closed_at.is_none()
        && match command {
            Command::OfferCoordination(_) | Command::RevokeOffer | Command::Invite(_) | Command::Remove(_) => {
                coordinates
            }
            Command::Close => coordinates,
            Command::RefuseStepUp => {
                let late = coordinates && situation.coordinator_late;
                !late && if overdue { directs } else { coordinates }
            }
            Command::AcceptCoordination | Command::DeclineCoordination => {
                from.hand_over.as_ref().is_some_and(|offer| offer.to == party && offer.due_at > EARLY)
                    && may_be_asked(from, party, situation)
            }
            Command::Leave => from.invited.contains(&party),
            Command::StepUp(_) => {
                coordinates || (directs && (overdue || from.stepped_up.is_some_and(|step_up| step_up.until > EARLY)))
            }
            Command::StepDown => {
                let lasts = from.stepped_up.filter(|step_up| step_up.until > EARLY);
                lasts.is_some_and(|step_up| {
                    (directs && !(coordinates && situation.coordinator_late))
                        || (coordinates && !step_up.by_director && !situation.coordinator_late)
                })
            }
            _ => false,
        }
}

/// Who may coordinate it, said a second time.
fn may_be_asked(case: &Case<Org>, party: Org, situation: &Situation<'_, Org>) -> bool {
    case.invited.contains(&party) || situation.participants.contains(&party) || party == *situation.municipality
}

impl OneCase {
    const fn situation(&self, open: bool, coordinator_late: bool) -> Situation<'static, Org> {
        let (participants, municipality) = (self.participants, &Org::Municipality);
        Situation { open: open as usize, participants, coordinator_late, municipality }
    }

    fn try_all(&self, from: &State, by: Option<Org>, take: &mut dyn FnMut(Label, bool, State)) -> Result<(), String> {
        let commands = if by.is_some() { commands_of_parties() } else { commands_of_the_gateway() };
        let moments = moments(&from.case).into_iter();
        for ((case, passed), late) in moments.flat_map(|moment| [false, true].map(|late| (moment.clone(), late))) {
            let (mut taken_now, mut lists) = (BTreeSet::new(), Vec::new());
            for command in &commands {
                let operation = format!("{:?}", command.operation());
                match step(&self.rules, &case, by, command, &self.situation(from.open, late))? {
                    Ok(taken) => {
                        taken_now.insert(operation);
                        let label = Label::Step { by, command: command.clone(), passed: passed.clone(), late };
                        take(label, true, State { case: abstracted(&taken.case), open: from.open });
                    }
                    Err(Refusal::Party) => drop(taken_now.insert(operation)),
                    Err(Refusal::NotAllowed(steps)) => lists.push(steps),
                    Err(Refusal::StillOpen(_)) => promise(from.open, "not closed, and nothing is open")?,
                }
            }
            for list in lists.iter().filter(|_| by.is_some()) {
                let listed: BTreeSet<_> = list.iter().map(|operation| format!("{operation:?}")).collect();
                promise(listed == taken_now, "the refusal lists other steps than are allowed")?;
            }
        }
        Ok(())
    }
}

/// What is promised of every case, when so many referrals of it are open.
pub fn check_case(case: &Case<Org>, situation: &Situation<'_, Org>) -> Result<(), String> {
    if case.closed_at.is_some() {
        promise(situation.open == 0, "something is open in a closed case")?;
        return promise(case.due_at().is_none(), "a closed case has a deadline");
    }
    let coordinates = |org: &&Org| case.roles(org, situation).contains(&Role::Coordinator);
    promise(ORGS.iter().filter(coordinates).count() == 1, "an open case has one coordinator")?;
    promise(!case.invited.contains(&case.coordinator), "the coordinator was invited to its own case")?;
    promise(
        case.idle_until.is_some() == (situation.open == 0),
        "the coordinator has a deadline exactly while nothing is open",
    )
}

impl Model for OneCase {
    type State = State;
    type Label = Label;

    fn initial(&self) -> State {
        State { case: Case::new(Org::A), open: true }
    }

    fn steps(&self, from: &State, take: &mut dyn FnMut(Label, bool, State)) -> Result<(), String> {
        for by in [Some(Org::A), Some(Org::B), Some(Org::Municipality), None] {
            self.try_all(from, by, take)?;
        }
        let open = !from.open;
        let command = Command::Referrals { open: usize::from(open) };
        for (case, _) in moments(&from.case) {
            let taken = step(&self.rules, &case, None, &command, &self.situation(open, false))?;
            let taken = taken.map_err(|refusal| format!("the gateway may not say what is open: {refusal:?}"))?;
            take(Label::Referrals { open }, !open, State { case: abstracted(&taken.case), open });
        }
        Ok(())
    }

    fn check(&self, state: &State) -> Result<(), String> {
        check_case(&state.case, &self.situation(state.open, false))
    }

    fn is_end(&self, state: &State) -> bool {
        state.case.closed_at.is_some()
    }
}

fn keeps_the_promises(what: &str, participants: &'static [Org]) {
    let explored = explore(&OneCase { rules: Rules::REAL, participants }, 20_000).unwrap();
    assert!(explored.states > 250, "{explored:?}");
    is_documented(what, explored);
}

#[test]
fn every_state_of_a_case_keeps_the_promises_and_has_a_way_to_be_closed() {
    keeps_the_promises("one case, nobody was accepted", &[]);
}

#[test]
fn every_state_of_a_case_with_participants_keeps_the_promises_and_has_a_way_to_be_closed() {
    keeps_the_promises("one case, both partners were accepted", &[Org::A, Org::B]);
}

#[test]
fn every_command_of_the_table_is_explored() {
    let referrals = Command::Referrals { open: 0 };
    let all = commands_of_parties().into_iter().chain(commands_of_the_gateway()).chain([referrals]);
    let explored: BTreeSet<_> = all.map(|command| format!("{:?}", command.operation())).collect();
    let table: BTreeSet<_> =
        every_operation().into_iter().map(|operation: Operation| format!("{operation:?}")).collect();
    assert_eq!(explored, table);
}
