//! What the tables make of each referral and each case, computed once: states by small numbers, and every step from each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use super::{Households, MOST_MISSED, Referral};
use crate::lifecycle::case::{self, Case, Situation};
use crate::lifecycle::model::explorer::Quick;
use crate::lifecycle::model::one_case::{self, check_case, commands_of_parties, moments};
use crate::lifecycle::model::one_referral::{check_state, check_step};
use crate::lifecycle::model::{Moment, ORGS, Org, PAST, abstracted};
use crate::lifecycle::parties::{Crossing, Moved, Towards};
use crate::lifecycle::referral::{Command, Happened, Role, State, Taken, Unable};
use crate::lifecycle::{Outcome, Reason, Status};

/// What a step makes of one referral.
#[derive(Clone)]
pub struct Move {
    pub command: Command,
    pub moment: Moment,
    pub next: u16,
    pub proposes: bool,
}

/// What a step makes of one case.
pub struct CaseMove {
    pub by: Option<Org>,
    pub command: case::Command<Org>,
    pub in_time: bool,
    pub next: u16,
}

pub type Moves<K, M> = RefCell<HashMap<K, Rc<Vec<M>>, BuildHasherDefault<Quick>>>;

/// What is asked of a referral again and again.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked by itself")]
pub struct Facts {
    pub closed: bool,
    /// It can never be opened again.
    pub for_good: bool,
    /// Its parties take part in the case.
    pub accepted: bool,
    pub holder: Option<Role>,
    /// Who holds it has let two deadlines in a row pass.
    pub late: bool,
}

/// What is asked of a case again and again.
#[derive(Clone, Copy)]
pub struct CaseFacts {
    pub coordinator: Org,
    pub closed: bool,
    /// The municipality directs it.
    pub directed: bool,
}

impl Facts {
    fn of(state: &State) -> Self {
        let at_work = matches!(state.status, Status::Accepted | Status::InProgress | Status::Completed)
            || (state.status == Status::OnHold && state.held_from == Some(Status::InProgress));
        Self {
            closed: state.is_closed(),
            for_good: state.is_closed() && state.reopen_until.is_none_or(|until| until == PAST),
            accepted: at_work,
            holder: state.holder(),
            late: state.deadline.is_some_and(|deadline| deadline.missed >= MOST_MISSED),
        }
    }
}

fn proposes(taken: &Taken) -> bool {
    taken.happened.contains(&Happened::StepUpProposed)
}

/// One command for each line of the table, and two where it matters which reason is given.
fn commands() -> Vec<Command> {
    let update = |status, reason, outcome| Command::Update { status, reason, outcome };
    let mut all = vec![
        update(Status::Rejected, Some(Reason::Other), None),
        update(Status::OnHold, Some(Reason::InformationRequested), None),
        update(Status::OnHold, Some(Reason::WaitingList), None),
        update(Status::InProgress, Some(Reason::Reopened), None),
        update(Status::Cancelled, Some(Reason::NoLongerNeeded), None),
        update(Status::Cancelled, Some(Reason::PartyCannotAct), None),
        update(Status::EnteredInError, Some(Reason::WrongResident), None),
        update(Status::Failed, Some(Reason::Other), None),
        update(Status::Completed, None, Some(Outcome::Helped)),
        update(Status::Completed, None, Some(Outcome::NotHelped)),
        Command::AskCancellation(Reason::NoLongerNeeded),
        Command::RefuseCancellation(Reason::NearlyDone),
        Command::Resolve(Outcome::NotHelped),
    ];
    all.extend([Status::Received, Status::Accepted, Status::InProgress].map(|status| update(status, None, None)));
    all.extend([Command::Supplement, Command::Extend, Command::ReferOn, Command::StepUp, Command::Reassign]);
    all
}

impl Households {
    pub(super) fn state(&self, referral: &Referral) -> State {
        *self.states.borrow().value(referral.state)
    }

    pub(super) fn facts(&self, referral: &Referral) -> Facts {
        self.facts.borrow()[usize::from(referral.state)]
    }

    pub fn case(&self, number: u16) -> Case<Org> {
        self.cases.borrow().value(number).clone()
    }

    pub fn case_facts(&self, number: u16) -> CaseFacts {
        self.case_facts.borrow()[usize::from(number)]
    }

    pub fn numbered_case(&self, case: &Case<Org>) -> u16 {
        let number = self.cases.borrow_mut().number(one_case::abstracted(case));
        let mut facts = self.case_facts.borrow_mut();
        if usize::from(number) == facts.len() {
            let situation =
                Situation { open: 0, participants: &[], coordinator_late: false, municipality: &Org::Municipality };
            let roles = case.roles(&Org::Municipality, &situation);
            facts.push(CaseFacts {
                coordinator: case.coordinator,
                closed: case.closed_at.is_some(),
                directed: roles.contains(&case::Role::ProcessDirector),
            });
        }
        number
    }

    pub fn numbered(&self, state: &State) -> Result<u16, String> {
        let state = abstracted(state, MOST_MISSED);
        check_state(&state)?;
        let number = self.states.borrow_mut().number(state);
        let mut facts = self.facts.borrow_mut();
        if usize::from(number) == facts.len() {
            facts.push(Facts::of(&state));
        }
        Ok(number)
    }

    /// What an organisation can do with a referral whose parties are able, or are not.
    pub fn moves(&self, number: u16, who: Towards, unable: Unable) -> Result<Rc<Vec<Move>>, String> {
        let key = (number, who, unable);
        if let Some(known) = self.moves.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let (state, mut moves) = (*self.states.borrow().value(number), Vec::new());
        let party = match who {
            Towards { sender: true, .. } => Some(Role::Sender),
            Towards { recipient: true, .. } => Some(Role::Recipient),
            _ => None,
        };
        let crossing = unable.lets(party);
        for (command, moment) in commands().iter().flat_map(|command| Moment::ALL.map(|moment| (command, moment))) {
            let crosses = match crossing {
                Crossing::Everything => true,
                // A supplement without sections is none.
                Crossing::BareSteps => !matches!(command, Command::Supplement),
                Crossing::Nothing => false,
            };
            if !crosses || (moment == Moment::TooLate && state.deadline.is_none()) {
                continue;
            }
            let by = state.roles(who, moment.now());
            let take = |state: &State, by: &[Role], command: &Command| self.rules.referral(state, by, command, moment);
            let Ok(moved) = Moved::over(&state, &by, command, unable, take) else { continue };
            let mut before = state;
            if let Some(noted) = &moved.noted {
                check_step(&before, noted.by, &Command::Standing(unable), noted, moment)?;
                before = noted.state;
            }
            check_step(&before, moved.taken.by, command, &moved.taken, moment)?;
            let next = self.numbered(&moved.taken.state)?;
            moves.push(Move { command: *command, moment, next, proposes: proposes(&moved.as_one()) });
        }
        let moves = Rc::new(moves);
        self.moves.borrow_mut().insert(key, Rc::clone(&moves));
        Ok(moves)
    }

    /// That its deadline has passed.
    pub fn deadline_passes(&self, number: u16) -> Result<Option<Move>, String> {
        let (state, command, moment) = (*self.states.borrow().value(number), Command::DeadlinePassed, Moment::TooLate);
        let Ok(taken) = self.rules.referral(&state, &[Role::Gateway], &command, moment) else { return Ok(None) };
        check_step(&state, taken.by, &command, &taken, moment)?;
        Ok(Some(Move { command, moment, next: self.numbered(&taken.state)?, proposes: proposes(&taken) }))
    }

    /// What anybody can do with a case.
    pub fn case_moves(
        &self,
        number: u16,
        open: usize,
        participants: &[Org],
        coordinator_late: bool,
    ) -> Result<Rc<Vec<CaseMove>>, String> {
        let key = (number, open, ORGS.map(|org| participants.contains(&org)), coordinator_late);
        if let Some(known) = self.case_moves.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let (case, mut moves) = (self.case(number), Vec::new());
        let situation = Situation { open, participants, coordinator_late, municipality: &Org::Municipality };
        check_case(&case, &situation)?;
        let of_parties = commands_of_parties();
        let of_gateway = [case::Command::ReplaceCoordinator(Org::Municipality), case::Command::DeadlinePassed];
        for (at, passed) in moments(&case) {
            let by_parties = ORGS.iter().flat_map(|org| of_parties.iter().map(move |command| (Some(*org), command)));
            for (by, command) in by_parties.chain(of_gateway.iter().map(|command| (None, command))) {
                if let Ok(taken) = one_case::step(&self.rules, &at, by, command, &situation)? {
                    let next = self.numbered_case(&taken.case);
                    moves.push(CaseMove { by, command: command.clone(), in_time: passed.is_empty(), next });
                }
            }
        }
        let moves = Rc::new(moves);
        self.case_moves.borrow_mut().insert(key, Rc::clone(&moves));
        Ok(moves)
    }
}
