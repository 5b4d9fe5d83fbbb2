//! One referral: every command, with every reason and outcome, by every role, in time and too late.
//!
//! Bounded only in that three missed deadlines in a row stand for more (the table tells none, one, and two or more apart), and that reasons
//! and outcomes which no line looks at are forgotten once they were given. A party becomes unable, or able again, at any moment.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::explorer::{Model, explore};
use super::{EARLY, Moment, PAST, Rules, abstracted, is_documented, promise, terms};
use crate::lifecycle::referral::tests::every_line;
use crate::lifecycle::referral::{
    AllowedStep, Command, Happened, Operation, Refusal, Role, State, Taken, Unable, allowed_steps,
};
use crate::lifecycle::terms::Duty;
use crate::lifecycle::{Outcome, Reason, Status};

const MOST_MISSED: u32 = 3;
const ROLES: [Role; 5] = [Role::Sender, Role::Recipient, Role::Coordinator, Role::Municipality, Role::Gateway];

/// What, from, to, by whom.
type Line = (Operation, Status, Option<Status>, Role);

pub struct OneReferral {
    rules: Rules,
    commands: Vec<Command>,
    /// Which lines of the table were used.
    used: RefCell<BTreeSet<Line>>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "for whoever reads how a promise is broken")]
pub enum Label {
    Step(Role, Command, Moment),
    ContentIsPickedUp,
    ReopeningIsNoLongerPossible,
}

/// Every command that anybody could send.
fn commands() -> Vec<Command> {
    let reasons = || std::iter::once(None).chain(Reason::ALL.map(Some));
    let mut all = Vec::new();
    for status in Status::ALL {
        all.extend(reasons().map(|reason| Command::Update { status, reason, outcome: None }));
        all.extend(Outcome::ALL.map(|outcome| Command::Update { status, reason: None, outcome: Some(outcome) }));
    }
    all.extend(Reason::ALL.map(Command::AskCancellation));
    all.extend(Reason::ALL.map(Command::RefuseCancellation));
    all.extend(Outcome::ALL.map(Command::Resolve));
    all.extend([Command::Supplement, Command::Extend, Command::ReferOn, Command::StepUp, Command::Reassign]);
    for (sender, recipient) in [(false, false), (true, false), (false, true), (true, true)] {
        all.push(Command::Standing(Unable { sender, recipient }));
    }
    all.push(Command::DeadlinePassed);
    all
}

impl OneReferral {
    pub fn new(rules: Rules) -> Self {
        Self { rules, commands: commands(), used: RefCell::default() }
    }

    fn try_all(
        &self,
        from: &State,
        by: Role,
        moment: Moment,
        take: &mut dyn FnMut(Label, bool, State),
    ) -> Result<(), String> {
        let allowed = allowed_steps(from, &[by], moment.now());
        for command in &self.commands {
            let is_listed = allowed.iter().any(|step| is_of(command, step));
            match self.rules.referral(from, &[by], command, moment) {
                Ok(taken) => {
                    let named = |what: String| format!("{by:?} {command:?} {moment:?}: {what}");
                    promise(is_listed, "a step that is not on the list of allowed steps was taken").map_err(named)?;
                    check_step(from, by, command, &taken, moment).map_err(named)?;
                    self.used.borrow_mut().insert((
                        command.operation(),
                        from.status,
                        (taken.state.status != from.status).then_some(taken.state.status),
                        by,
                    ));
                    let helpful = can_act(by, from.unable) && !matches!(command, Command::Standing(_));
                    take(Label::Step(by, *command, moment), helpful, abstracted(&taken.state, MOST_MISSED));
                }
                Err(Refusal::NotAllowed(steps)) => {
                    promise(!is_listed, "a step on the list of allowed steps is not allowed")?;
                    promise(steps == allowed, "the refusal lists other steps than are allowed")?;
                }
                Err(Refusal::Reason(_) | Refusal::Outcome { .. }) => {
                    promise(is_listed, "a refusal for its reason only, of a step that is not on the list")?;
                }
            }
        }
        Ok(())
    }
}

fn is_of(command: &Command, step: &AllowedStep) -> bool {
    let to_the_same = match command {
        Command::Update { status, .. } => step.status == Some(*status),
        _ => true,
    };
    command.operation() == step.operation && to_the_same
}

const fn can_act(by: Role, unable: Unable) -> bool {
    match by {
        Role::Sender => !unable.sender,
        Role::Recipient => !unable.recipient,
        Role::Coordinator | Role::Municipality | Role::Gateway => true,
    }
}

/// What is promised of every step that is taken.
pub fn check_step(from: &State, by: Role, command: &Command, taken: &Taken, moment: Moment) -> Result<(), String> {
    let (to, now) = (&taken.state, moment.now());
    promise(may(from, by, command), "taken by somebody whose step it is not")?;
    promise(to.deadline.is_none_or(|deadline| deadline.due_at > now), "the deadline that is left lies behind")?;
    promise(to.paused.is_none_or(|paused| paused.left > 0), "a clock stands still that had run out")?;
    let is_step = |happened: &&Happened| matches!(happened, Happened::Step(_));
    promise(taken.happened.iter().filter(is_step).count() == 1, "the step itself is not said once")?;

    let overdue = taken.happened.iter().find_map(|happened| match happened {
        Happened::Overdue { holder, missed } => Some((*holder, *missed)),
        _ => None,
    });
    let passed = from.deadline.filter(|deadline| deadline.due_at <= now);
    promise(
        overdue == passed.and_then(|deadline| Some((from.holder()?, deadline.missed + 1))),
        "a deadline passed unsaid, or was said that did not pass",
    )?;
    let second = overdue.is_some_and(|(_, missed)| missed >= 2);
    promise(
        second == taken.happened.contains(&Happened::StepUpProposed),
        "the second missed deadline, and each after it, proposes to step up",
    )?;
    let municipality = overdue.is_some_and(|(holder, _)| holder == Role::Municipality);
    promise(
        municipality == taken.happened.contains(&Happened::MunicipalityOverdue),
        "an overdue municipality is reported",
    )?;

    let told = taken.happened.iter().find_map(|happened| match happened {
        Happened::Holder { holder, .. } => Some(*holder),
        _ => None,
    });
    let changed = (from.holder() != to.holder()).then(|| to.holder());
    promise(told == changed, "another holder is said exactly when there is one")?;
    let reopened = taken.happened.contains(&Happened::Reopened);
    let same_duty = from.duty() == to.duty() && passed.is_none() && !reopened;
    promise(!same_duty || from.deadline == to.deadline, "time was gained without another duty")
}

/// Whose step it is, said a second time and without the table.
fn may(state: &State, by: Role, command: &Command) -> bool {
    let asked_for_more = state.status == Status::OnHold && state.held_from == Some(Status::Received);
    match *command {
        Command::Standing(_) | Command::DeadlinePassed => by == Role::Gateway,
        Command::Resolve(_) | Command::StepUp => Some(by) == state.holder(),
        Command::ReferOn | Command::Supplement | Command::AskCancellation(_) => by == Role::Sender,
        Command::Extend | Command::RefuseCancellation(_) => by == Role::Recipient,
        Command::Reassign => matches!(by, Role::Sender | Role::Coordinator | Role::Municipality),
        Command::Update { status: Status::Cancelled, .. } => match by {
            Role::Sender => {
                state.unable.recipient || asked_for_more || !matches!(state.status, Status::InProgress | Status::OnHold)
            }
            Role::Recipient => state.cancellation.is_some(),
            Role::Municipality => state.holder() == Some(by),
            Role::Coordinator | Role::Gateway => false,
        },
        Command::Update { status: Status::EnteredInError, .. } => by == Role::Sender && !state.disclosed,
        Command::Update { reason: Some(Reason::Reopened), .. } => matches!(by, Role::Sender | Role::Recipient),
        Command::Update { status: Status::Received, .. } if asked_for_more => {
            by == Role::Sender || (by == Role::Recipient && state.unable.sender)
        }
        Command::Update { .. } => by == Role::Recipient,
    }
}

/// What is promised of every state.
pub fn check_state(state: &State) -> Result<(), String> {
    promise(state.holder().is_some() == state.deadline.is_some(), "a holder has a deadline, and nobody else has")?;
    promise(state.holder().is_none() == state.is_closed(), "somebody holds what is not closed, and nobody what is")?;
    let holds_for = state.duty().map(|(_, duty)| duty);
    promise(state.deadline.map(|deadline| deadline.duty) == holds_for, "the deadline runs for another duty")?;
    let at_work = matches!(state.status, Status::Accepted | Status::InProgress | Status::OnHold);
    promise(state.paused.is_none() || at_work, "a clock stands still where there is no work")?;
    promise(state.paused.is_none() || holds_for != Some(Duty::Work), "the clock of the work runs and stands still")?;
    match state.holder() {
        Some(Role::Gateway | Role::Coordinator) => Err("the gateway and the coordinator never hold".to_owned()),
        Some(Role::Sender) => promise(!state.unable.sender, "the sender holds and cannot act"),
        Some(Role::Recipient) => promise(!state.unable.recipient, "the recipient holds and cannot act"),
        Some(Role::Municipality) | None => Ok(()),
    }
}

impl Model for OneReferral {
    type State = State;
    type Label = Label;

    fn initial(&self) -> State {
        abstracted(&State::new(&terms(), EARLY), MOST_MISSED)
    }

    fn steps(&self, from: &State, take: &mut dyn FnMut(Label, bool, State)) -> Result<(), String> {
        if from.status == Status::Requested {
            take(Label::ContentIsPickedUp, false, State { disclosed: true, ..*from });
        }
        if from.reopen_until.is_some_and(|until| until != PAST) {
            take(Label::ReopeningIsNoLongerPossible, true, State { reopen_until: Some(PAST), ..*from });
        }
        for by in ROLES {
            Moment::ALL.iter().try_for_each(|moment| self.try_all(from, by, *moment, take))?;
        }
        Ok(())
    }

    fn check(&self, state: &State) -> Result<(), String> {
        check_state(state)
    }

    fn is_end(&self, state: &State) -> bool {
        state.is_closed()
    }
}

#[test]
fn every_state_of_a_referral_keeps_the_promises_and_has_a_way_to_an_end() {
    let model = OneReferral::new(Rules::REAL);
    let explored = explore(&model, 20_000).unwrap();
    assert!(explored.states > 500, "{explored:?}");
    is_documented("one referral", explored);
    let used = model.used.into_inner();
    for (operation, from, to, by) in every_line() {
        let reached = operation != Operation::Deadline || from != Status::EnteredInError;
        assert_eq!(used.contains(&(operation, from, to, by)), reached, "{operation:?} {from} {to:?} {by:?}");
    }
}

#[test]
fn whoever_is_several_things_may_take_the_steps_of_each_and_no_others() {
    let states = every_state();
    let several = [
        &[Role::Sender, Role::Coordinator][..],
        &[Role::Sender, Role::Municipality],
        &[Role::Recipient, Role::Coordinator],
        &[Role::Recipient, Role::Municipality],
        &[Role::Municipality, Role::Coordinator, Role::Sender],
    ];
    let may_be = |command: &Command| command.operation() != Operation::Standing;
    let commands: Vec<_> = commands().into_iter().filter(may_be).collect();
    for state in states.iter().step_by(17) {
        for (by, command) in several.iter().flat_map(|by| commands.iter().map(move |command| (by, command))) {
            let together = Rules::REAL.referral(state, by, command, Moment::InTime);
            let alone =
                || by.iter().filter_map(|role| Rules::REAL.referral(state, &[*role], command, Moment::InTime).ok());
            match together {
                Ok(taken) => assert!(alone().any(|one| one.state == taken.state), "{by:?} {command:?} {state:?}"),
                Err(_) => assert_eq!(alone().count(), 0, "{by:?} {command:?} {state:?}"),
            }
        }
    }
}

/// Every state that one referral can reach.
fn every_state() -> Vec<State> {
    let model = OneReferral::new(Rules::REAL);
    let mut seen = std::collections::HashSet::from([model.initial()]);
    let mut waiting = vec![model.initial()];
    while let Some(state) = waiting.pop() {
        model
            .steps(&state, &mut |_, _, next| {
                if seen.insert(next) {
                    waiting.push(next);
                }
            })
            .unwrap();
    }
    seen.into_iter().collect()
}
