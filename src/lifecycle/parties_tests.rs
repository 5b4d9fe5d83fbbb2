//! Who may do what while a party cannot act.

use super::*;
use crate::lifecycle::referral::allowed_steps;
use crate::lifecycle::{Outcome, Reason, Status};

const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);
const NOBODY: Unable = Unable { sender: false, recipient: false };
const THE_SENDER: Unable = Unable { sender: true, recipient: false };
const THE_RECIPIENT: Unable = Unable { sender: false, recipient: true };
const BOTH: Unable = Unable { sender: true, recipient: true };

fn terms() -> Terms {
    Terms { received: 3, decided: 5, extension_weeks: 8, sender_acts: 5, again: 3, percent: 100, ..Terms::default() }
}

fn update(status: Status, reason: Option<Reason>) -> Command {
    Command::Update { status, reason, outcome: None }
}

fn take(state: State, by: Role, command: Command) -> State {
    step(&state, &[by], &command, &terms(), NOW).unwrap().state
}

fn requested() -> State {
    State::new(&terms(), NOW)
}

fn in_progress() -> State {
    let accepted = take(requested(), Role::Recipient, update(Status::Accepted, None));
    take(accepted, Role::Recipient, update(Status::InProgress, None))
}

fn rejected() -> State {
    take(requested(), Role::Recipient, update(Status::Rejected, Some(Reason::Other)))
}

fn asked_for_more() -> State {
    let received = take(requested(), Role::Recipient, update(Status::Received, None));
    take(received, Role::Recipient, update(Status::OnHold, Some(Reason::InformationRequested)))
}

fn late_twice(mut state: State) -> (State, Timestamp) {
    let mut now = NOW;
    for _ in 0..2 {
        now = state.deadline.unwrap().due_at;
        state = step(&state, &[Role::Gateway], &Command::DeadlinePassed, &terms(), now).unwrap().state;
    }
    (state, now)
}

fn moved(state: &State, by: &[Role], command: Command, unable: Unable) -> Result<Moved, Refusal> {
    Moved::of(state, by, &command, unable, &terms(), NOW)
}

const SENDER: Towards =
    Towards { sender: true, recipient: false, municipality: false, coordinator: true, director: false };
const MUNICIPALITY_AS_SENDER: Towards = Towards { municipality: true, ..SENDER };

#[test]
fn whoever_can_act_takes_bare_steps_next_to_one_that_cannot_and_whoever_cannot_takes_none() {
    let (sender, recipient) = (Some(Role::Sender), Some(Role::Recipient));
    for (unable, of_sender, of_recipient) in [
        (NOBODY, Crossing::Everything, Crossing::Everything),
        (THE_SENDER, Crossing::Nothing, Crossing::BareSteps),
        (THE_RECIPIENT, Crossing::BareSteps, Crossing::Nothing),
        (BOTH, Crossing::Nothing, Crossing::Nothing),
    ] {
        assert_eq!((unable.lets(sender), unable.lets(recipient)), (of_sender, of_recipient), "{unable:?}");
        assert_eq!(unable.lets(None), Crossing::BareSteps, "who is no party gives nothing");
    }
}

#[test]
fn what_a_recipient_ends_is_not_given_to_a_sender_that_cannot_act() {
    let failed = update(Status::Failed, Some(Reason::Other));
    let ended = moved(&in_progress(), &[Role::Recipient], failed, THE_SENDER).unwrap();
    assert_eq!(ended.noted.as_ref().unwrap().state.unable, THE_SENDER);
    assert_eq!(ended.taken.state.holder(), Some(Role::Recipient), "it stands in, and can end it");
    let resolved = moved(&ended.taken.state, &[Role::Recipient], Command::Resolve(Outcome::NotHelped), THE_SENDER);
    assert!(resolved.unwrap().taken.state.is_closed());
}

#[test]
fn what_is_no_longer_possible_once_it_is_noted_who_can_act_is_refused() {
    let stood_in = take(in_progress(), Role::Gateway, Command::Standing(THE_RECIPIENT));
    let call_off = update(Status::Cancelled, Some(Reason::NoLongerNeeded));
    assert!(moved(&stood_in, &[Role::Sender], call_off, THE_RECIPIENT).is_ok());
    assert!(matches!(moved(&stood_in, &[Role::Sender], call_off, NOBODY), Err(Refusal::NotAllowed(_))));
    let noted = moved(&in_progress(), &[Role::Sender], call_off, THE_RECIPIENT);
    assert!(matches!(noted, Err(Refusal::NotAllowed(_))), "nor on what was not noted yet");
}

#[test]
fn noting_who_can_act_gains_nobody_time() {
    for unable in [NOBODY, THE_SENDER] {
        let started = moved(&in_progress(), &[Role::Sender], Command::Supplement, unable).unwrap();
        assert_eq!(started.taken.state.deadline, in_progress().deadline, "{unable:?}");
    }
}

#[test]
fn a_deadline_that_had_passed_is_said_once_with_a_step_that_notes_something_as_well() {
    let (state, due_at) = (in_progress(), in_progress().deadline.unwrap().due_at);
    let failed = update(Status::Failed, Some(Reason::Other));
    let moved = Moved::of(&state, &[Role::Recipient], &failed, THE_SENDER, &terms(), due_at).unwrap();
    let overdue = |happened: &&Happened| matches!(happened, Happened::Overdue { .. });
    assert_eq!(moved.as_one().happened.iter().filter(overdue).count(), 1);
    assert_eq!(moved.as_one().state, moved.taken.state);
}

#[test]
fn the_gateway_notes_by_itself_what_is_held_by_one_that_cannot_act_or_given_back() {
    assert!(in_progress().is_to_be_noted(THE_RECIPIENT));
    assert!(!in_progress().is_to_be_noted(THE_SENDER), "the recipient works on; it is noted with its next step");
    assert!(rejected().is_to_be_noted(THE_SENDER));
    assert!(!rejected().is_to_be_noted(THE_RECIPIENT));
    assert!(!in_progress().is_to_be_noted(NOBODY));
    let stood_in = take(in_progress(), Role::Gateway, Command::Standing(THE_RECIPIENT));
    assert!(!stood_in.is_to_be_noted(THE_RECIPIENT), "it was");
    assert!(stood_in.is_to_be_noted(NOBODY) && stood_in.is_to_be_noted(BOTH));
    let closed = take(rejected(), Role::Sender, Command::Resolve(Outcome::NotHelped));
    for unable in [NOBODY, THE_SENDER, THE_RECIPIENT, BOTH] {
        assert!(!closed.is_to_be_noted(unable), "nobody holds it: {unable:?}");
    }
}

#[test]
fn what_is_opened_again_is_held_by_whoever_can_act_now() {
    let completed = Command::Update { status: Status::Completed, reason: None, outcome: Some(Outcome::Helped) };
    let completed = take(in_progress(), Role::Recipient, completed);
    let reopening = update(Status::InProgress, Some(Reason::Reopened));
    let reopened = moved(&completed, &[Role::Sender], reopening, THE_RECIPIENT).unwrap();
    assert_eq!(reopened.taken.state.holder(), Some(Role::Sender));
}

#[test]
fn nobody_takes_away_what_it_let_lie_itself_whatever_else_it_is() {
    let (state, now) = late_twice(asked_for_more());
    assert_eq!(state.holder(), Some(Role::Sender));
    for who in [SENDER, MUNICIPALITY_AS_SENDER] {
        let by = state.roles(who, now);
        assert!(by.contains(&Role::Coordinator));
        assert!(step(&state, &by, &Command::Reassign, &terms(), now).is_err(), "{by:?}");
    }
    let coordinator = Towards { sender: false, ..SENDER };
    assert!(step(&state, &state.roles(coordinator, now), &Command::Reassign, &terms(), now).is_ok());
    let (state, now) = late_twice(in_progress());
    assert!(step(&state, &state.roles(SENDER, now), &Command::Reassign, &terms(), now).is_ok(), "the recipient's");
    let stood_in = take(in_progress(), Role::Gateway, Command::Standing(THE_RECIPIENT));
    let by = stood_in.roles(SENDER, NOW);
    assert!(step(&stood_in, &by, &Command::Reassign, &terms(), NOW).is_ok(), "in the place of one that cannot act");
}

#[test]
fn the_municipality_gives_itself_no_time_by_stepping_up_to_itself() {
    let (late, later) = late_twice(rejected());
    for (state, now) in [(rejected(), NOW), (late, later)] {
        let by = state.roles(MUNICIPALITY_AS_SENDER, now);
        assert!(step(&state, &by, &Command::StepUp, &terms(), now).is_err(), "{by:?}");
        assert!(allowed_steps(&state, &by, now).iter().all(|step| step.operation != Command::StepUp.operation()));
        assert!(step(&state, &by, &Command::Resolve(Outcome::NotHelped), &terms(), now).is_ok());
        assert!(step(&state, &state.roles(SENDER, now), &Command::StepUp, &terms(), now).is_ok(), "another may");
    }
}

#[test]
fn who_is_no_party_has_no_role_but_where_it_holds_or_the_referral_is_stuck() {
    let case = Towards { coordinator: true, director: true, ..Towards::default() };
    let municipality = Towards { municipality: true, ..Towards::default() };
    for state in [requested(), in_progress(), rejected(), asked_for_more()] {
        for who in [case, municipality, Towards::default()] {
            assert!(state.roles(who, NOW).is_empty(), "{state:?} {who:?}");
        }
        let (stuck, now) = late_twice(state);
        assert_eq!(stuck.roles(case, now), [Role::Coordinator, Role::Municipality]);
        assert!(stuck.roles(municipality, now).is_empty(), "not because it is the municipality");
        let held = take(stuck, Role::Gateway, Command::Standing(BOTH));
        assert_eq!(held.roles(municipality, NOW), [Role::Municipality]);
    }
}
