//! What the table of referrals promises, step by step and over every combination.

use std::fmt::Write as _;

use super::*;
use crate::lifecycle::terms::Terms;

const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

fn terms() -> Terms {
    Terms {
        received: 3,
        decided: 5,
        extension_weeks: 8,
        sender_acts: 5,
        hold: 20,
        cancellation: 5,
        again: 3,
        pausing: vec![R::WaitingList],
        reopen_days: 90,
        percent: 100,
    }
}

fn new() -> State {
    State::new(&terms(), NOW)
}

fn at(days: u64) -> Timestamp {
    NOW.plus(std::time::Duration::from_hours(24 * days))
}

fn take(
    state: &State,
    by: Role,
    status: Status,
    reason: Option<Reason>,
    outcome: Option<Outcome>,
) -> Result<State, Refusal> {
    take_at(state, by, &Command::Update { status, reason, outcome }, NOW)
}

fn take_at(state: &State, by: Role, command: &Command, now: Timestamp) -> Result<State, Refusal> {
    step(state, &[by], command, &terms(), now).map(|taken| taken.state)
}

fn take_on(state: &State, by: Role, status: Status, reason: Option<Reason>, now: Timestamp) -> State {
    take_at(state, by, &Command::Update { status, reason, outcome: None }, now).unwrap()
}

fn received() -> State {
    take(&new(), Recipient, S::Received, None, None).unwrap()
}

fn in_progress() -> State {
    let accepted = take(&new(), Recipient, S::Accepted, None, None).unwrap();
    take(&accepted, Recipient, S::InProgress, None, None).unwrap()
}

fn rejected() -> State {
    take(&new(), Recipient, S::Rejected, Some(R::WrongOrganisation), None).unwrap()
}

fn happened(state: &State, by: Role, command: &Command, now: Timestamp) -> Vec<Happened> {
    step(state, &[by], command, &terms(), now).unwrap().happened
}

#[test]
fn a_referral_that_helps_ends_with_nobody_holding_it() {
    let done = take(&in_progress(), Recipient, S::Completed, None, Some(Outcome::Helped)).unwrap();
    assert_eq!((done.holder(), done.deadline), (None, None));
}

#[test]
fn any_other_end_returns_to_the_sender_with_a_clock() {
    for outcome in [Outcome::PartlyHelped, Outcome::ReferredOn, Outcome::NotHelped] {
        let done = take(&in_progress(), Recipient, S::Completed, None, Some(outcome)).unwrap();
        assert_eq!(done.holder(), Some(Sender), "{outcome:?}");
        assert_eq!(done.deadline.unwrap().duty, Duty::GoOn);
    }
    assert_eq!(rejected().holder(), Some(Sender));
}

#[test]
fn the_sender_ends_the_chain_by_referring_on_by_an_outcome_or_by_stepping_up() {
    for command in [Command::ReferOn, Command::Resolve(Outcome::NotHelped)] {
        let closed = take_at(&rejected(), Sender, &command, NOW).unwrap();
        assert!(closed.is_closed() && closed.deadline.is_none(), "{command:?}");
        assert_eq!(closed.status, S::Rejected, "the status stays");
    }
    let stepped_up = take_at(&rejected(), Sender, &Command::StepUp, NOW).unwrap();
    assert_eq!(stepped_up.holder(), Some(Municipality));
    assert!(take_at(&stepped_up, Sender, &Command::Resolve(Outcome::Helped), NOW).is_err(), "no longer the sender's");
    assert!(take_at(&stepped_up, Municipality, &Command::Resolve(Outcome::Helped), NOW).unwrap().is_closed());
    assert!(take_at(&stepped_up, Sender, &Command::ReferOn, NOW).unwrap().is_closed());
}

#[test]
fn nobody_but_the_holder_ends_the_chain() {
    for by in [Recipient, Coordinator, Municipality, Gateway] {
        assert!(take_at(&rejected(), by, &Command::Resolve(Outcome::NotHelped), NOW).is_err(), "{by:?}");
        assert!(take_at(&rejected(), by, &Command::StepUp, NOW).is_err(), "{by:?}");
    }
    assert!(take_at(&in_progress(), Sender, &Command::Resolve(Outcome::Helped), NOW).is_err(), "it has not ended");
}

/// After so many missed deadlines in a row, and the moment at which the last one was noted.
fn missed(state: &State, times: u32) -> (State, Timestamp) {
    (0..times).fold((*state, NOW), |(state, _), _| {
        let late = state.deadline.unwrap().due_at;
        (take_at(&state, Gateway, &Command::DeadlinePassed, late).unwrap(), late)
    })
}

#[test]
fn a_sender_that_stays_silent_twice_is_passed_over_by_the_coordinator_or_the_municipality() {
    for by in [Coordinator, Municipality] {
        let (once, now) = missed(&rejected(), 1);
        assert!(take_at(&once, by, &Command::StepUp, now).is_err(), "{by:?}: once is no silence");
        let (twice, now) = missed(&rejected(), 2);
        let taken = step(&twice, &[by], &Command::StepUp, &terms(), now).unwrap();
        assert_eq!((taken.state.holder(), taken.state.status), (Some(Municipality), S::Rejected), "{by:?}");
        assert!(taken.happened.contains(&Happened::Holder { holder: Some(Municipality), stands_in: false }));
        assert_eq!(taken.state.deadline.unwrap().missed, 0, "the municipality has a deadline of its own");
        assert!(take_at(&taken.state, Municipality, &Command::Resolve(Outcome::NotHelped), now).unwrap().is_closed());
    }
}

#[test]
fn nobody_else_steps_up_for_a_silent_sender_and_nobody_what_the_municipality_holds() {
    let (silent, now) = missed(&rejected(), 2);
    for by in [Recipient, Gateway] {
        assert!(take_at(&silent, by, &Command::StepUp, now).is_err(), "{by:?}");
    }
    for by in [Coordinator, Municipality] {
        assert!(take_at(&silent, by, &Command::Resolve(Outcome::NotHelped), now).is_err(), "{by:?}: not the holder");
        assert!(take_at(&silent, by, &Command::ReferOn, now).is_err(), "{by:?}: not the sender");
        let (late, now) = missed(&in_progress(), 2);
        assert!(take_at(&late, by, &Command::StepUp, now).is_err(), "{by:?}: it has not ended");
        let stepped_up = take_at(&rejected(), Sender, &Command::StepUp, NOW).unwrap();
        let (late, now) = missed(&stepped_up, 2);
        assert!(take_at(&late, by, &Command::StepUp, now).is_err(), "{by:?}: no time is gained so");
        let standing = Command::Standing(Unable { sender: true, recipient: true });
        let (late, now) = missed(&take_at(&rejected(), Gateway, &standing, NOW).unwrap(), 2);
        assert_eq!(late.holder(), Some(Municipality));
        assert!(take_at(&late, by, &Command::StepUp, now).is_err(), "{by:?}: it stands in already");
    }
}

#[test]
fn every_further_missed_deadline_proposes_again_to_step_up() {
    for times in 1..5 {
        let (state, _) = missed(&new(), times);
        let again = happened(&state, Gateway, &Command::DeadlinePassed, state.deadline.unwrap().due_at);
        assert!(again.contains(&Happened::StepUpProposed), "after {times}");
    }
}

#[test]
fn what_is_stuck_the_municipality_may_give_back_to_its_sender_and_nothing_else() {
    let cancel = Command::Update { status: S::Cancelled, reason: Some(R::PartyCannotAct), outcome: None };
    let (once, now) = missed(&in_progress(), 1);
    assert!(take_at(&once, Municipality, &cancel, now).is_err(), "once is no silence");
    let (twice, now) = missed(&in_progress(), 2);
    for by in [Sender, Coordinator, Recipient] {
        assert!(take_at(&twice, by, &cancel, now).is_err(), "{by:?}");
    }
    let back = take_at(&twice, Municipality, &cancel, now).unwrap();
    assert_eq!((back.holder(), back.deadline.unwrap().missed), (Some(Sender), 0), "its chain is open");
    let other = Command::Update { status: S::Cancelled, reason: Some(R::NoLongerNeeded), outcome: None };
    assert!(take_at(&twice, Municipality, &other, now).is_err(), "that is the parties' to say");
}

#[test]
fn asking_for_more_makes_the_sender_the_holder_until_it_answers() {
    let held = take(&received(), Recipient, S::OnHold, Some(R::InformationRequested), None).unwrap();
    assert_eq!(held.holder(), Some(Sender));
    assert!(take(&held, Recipient, S::Received, None, None).is_err(), "only the sender answers");
    assert!(take(&held, Recipient, S::InProgress, None, None).is_err(), "it was never accepted");
    assert!(take(&held, Recipient, S::Rejected, Some(R::NotEligible), None).is_ok());
    assert!(take(&held, Sender, S::Cancelled, Some(R::NoLongerNeeded), None).is_ok());
    for answered in [take(&held, Sender, S::Received, None, None), take_at(&held, Sender, &Command::Supplement, NOW)] {
        assert_eq!(answered.unwrap().holder(), Some(Recipient));
    }
}

#[test]
fn a_supplement_at_another_time_changes_neither_status_nor_clock() {
    for state in [new(), received(), in_progress()] {
        assert_eq!(take_at(&state, Sender, &Command::Supplement, at(1)), Ok(state));
    }
    assert!(take_at(&rejected(), Sender, &Command::Supplement, NOW).is_err());
    assert!(take_at(&received(), Recipient, &Command::Supplement, NOW).is_err());
}

#[test]
fn work_that_has_begun_is_called_off_only_when_the_recipient_agrees() {
    assert!(take(&in_progress(), Sender, S::Cancelled, Some(R::NoLongerNeeded), None).is_err());
    let asked = take_at(&in_progress(), Sender, &Command::AskCancellation(R::ResidentWithdrew), NOW).unwrap();
    assert_eq!((asked.holder(), asked.status), (Some(Recipient), S::InProgress));
    assert_eq!(asked.deadline.unwrap().duty, Duty::AnswerCancellation);
    assert_eq!(asked.business(), Some(Business::CancellationRequested));
    assert!(take_at(&asked, Sender, &Command::AskCancellation(R::ResidentWithdrew), NOW).is_err(), "asked already");
    let granted = take(&asked, Recipient, S::Cancelled, Some(R::ResidentWithdrew), None).unwrap();
    assert_eq!((granted.holder(), granted.cancellation), (Some(Sender), None));
    let refused = take_at(&asked, Recipient, &Command::RefuseCancellation(R::NearlyDone), at(2)).unwrap();
    assert_eq!(refused.deadline.unwrap().duty, Duty::Work);
    assert!(take(&in_progress(), Recipient, S::Cancelled, Some(R::ResidentWithdrew), None).is_err(), "nobody asked");
}

#[test]
fn a_request_to_call_off_stops_the_clock_of_the_work_and_its_refusal_lets_it_go_on() {
    let asked = take_at(&in_progress(), Sender, &Command::AskCancellation(R::NoLongerNeeded), at(1)).unwrap();
    let refused = take_at(&asked, Recipient, &Command::RefuseCancellation(R::Other), at(3)).unwrap();
    let due_at = in_progress().deadline.unwrap().due_at;
    assert_eq!(refused.deadline.unwrap().due_at, due_at.plus(std::time::Duration::from_hours(48)));
}

#[test]
fn on_hold_pauses_what_the_covenant_says_it_pauses() {
    let work = in_progress().deadline.unwrap();
    let waiting = take_at(&in_progress(), Recipient, &hold(R::WaitingList), at(1)).unwrap();
    assert_eq!(waiting.deadline.unwrap().duty, Duty::Wait);
    let resumed = take_at(&waiting, Recipient, &update(S::InProgress), at(11)).unwrap();
    assert_eq!(resumed.deadline.unwrap().due_at, work.due_at.plus(std::time::Duration::from_hours(240)));
    let unreachable = take_at(&in_progress(), Recipient, &hold(R::ResidentUnreachable), at(1)).unwrap();
    assert_eq!(unreachable.deadline, Some(work), "the covenant does not say that this pauses");
}

#[test]
fn small_steps_gain_no_time() {
    let accepted = take(&new(), Recipient, S::Accepted, None, None).unwrap();
    let begun = take_at(&accepted, Recipient, &update(S::InProgress), at(20)).unwrap();
    assert_eq!(begun.deadline, accepted.deadline);
    let held = take_at(&begun, Recipient, &hold(R::ResidentUnreachable), at(21)).unwrap();
    assert_eq!(take_at(&held, Recipient, &update(S::InProgress), at(22)).unwrap().deadline, accepted.deadline);
}

#[test]
fn the_time_to_decide_is_extended_once() {
    let extended = take_at(&received(), Recipient, &Command::Extend, NOW).unwrap();
    assert_eq!(extended.business(), Some(Business::UnderExamination));
    assert!(extended.deadline.unwrap().due_at > received().deadline.unwrap().due_at);
    assert!(take_at(&extended, Recipient, &Command::Extend, NOW).is_err());
    assert!(take_at(&received(), Recipient, &Command::Extend, at(30)).is_err(), "it is late already");
    assert!(take_at(&received(), Sender, &Command::Extend, NOW).is_err());
}

#[test]
fn a_missed_deadline_is_said_once_and_the_second_proposes_to_step_up() {
    let late = new().deadline.unwrap().due_at;
    assert!(
        take_at(&new(), Gateway, &Command::DeadlinePassed, late.minus(std::time::Duration::from_micros(1))).is_err()
    );
    let first = step(&new(), &[Gateway], &Command::DeadlinePassed, &terms(), late).unwrap();
    assert!(first.happened.contains(&Happened::Overdue { holder: Recipient, missed: 1 }));
    assert!(!first.happened.contains(&Happened::StepUpProposed));
    assert!(take_at(&first.state, Gateway, &Command::DeadlinePassed, late).is_err(), "said once");
    let again = first.state.deadline.unwrap().due_at;
    let second = happened(&first.state, Gateway, &Command::DeadlinePassed, again);
    assert!(second.contains(&Happened::Overdue { holder: Recipient, missed: 2 }));
    assert!(second.contains(&Happened::StepUpProposed));
}

#[test]
fn a_step_that_comes_too_late_is_taken_and_the_missed_deadline_is_said() {
    let late = new().deadline.unwrap().due_at;
    let taken = happened(&new(), Recipient, &update(S::Received), late);
    assert_eq!(taken.first(), Some(&Happened::Overdue { holder: Recipient, missed: 1 }));
    let received = take_at(&new(), Recipient, &update(S::Received), late).unwrap();
    assert_eq!(received.deadline.unwrap().missed, 0, "another duty has begun");
}

#[test]
fn whoever_cannot_act_is_replaced_by_the_other_party_and_else_by_the_municipality() {
    let standing = |state: &State, sender, recipient| {
        take_at(state, Gateway, &Command::Standing(Unable { sender, recipient }), NOW).unwrap()
    };
    assert_eq!(standing(&new(), false, true).holder(), Some(Sender));
    assert_eq!(standing(&new(), true, false).holder(), Some(Recipient), "it is not the holder that cannot act");
    assert_eq!(standing(&rejected(), true, false).holder(), Some(Recipient));
    let nobody = standing(&in_progress(), true, true);
    assert_eq!(nobody.holder(), Some(Municipality));
    let ended = take(&nobody, Municipality, S::Cancelled, Some(R::PartyCannotAct), None).unwrap();
    assert_eq!(ended.holder(), Some(Municipality));
    assert!(take_at(&ended, Municipality, &Command::Resolve(Outcome::NotHelped), NOW).unwrap().is_closed());
    assert!(take(&in_progress(), Municipality, S::Cancelled, Some(R::PartyCannotAct), None).is_err());
}

#[test]
fn work_goes_on_where_it_stopped_when_the_recipient_is_back() {
    let gone = take_at(&in_progress(), Gateway, &standing(true), at(1)).unwrap();
    assert_eq!((gone.holder(), gone.deadline.unwrap().duty), (Some(Sender), Duty::StandIn));
    let back = take_at(&gone, Gateway, &standing(false), at(5)).unwrap();
    let due_at = in_progress().deadline.unwrap().due_at;
    assert_eq!(back.deadline.unwrap().due_at, due_at.plus(std::time::Duration::from_hours(96)));
}

#[test]
fn only_what_is_stuck_is_given_to_somebody_else() {
    for by in [Sender, Coordinator, Municipality] {
        assert!(take_at(&in_progress(), by, &Command::Reassign, NOW).is_err());
        let stuck = take_at(&in_progress(), Gateway, &standing(true), NOW).unwrap();
        let reassigned = take_at(&stuck, by, &Command::Reassign, NOW).unwrap();
        assert!(reassigned.is_closed());
        assert_eq!((reassigned.status, reassigned.reason), (S::Cancelled, Some(R::Reassigned)));
    }
}

#[test]
fn reopening_ends_with_its_term_and_opens_the_chain_again() {
    let failed = take(&in_progress(), Recipient, S::Failed, Some(R::Other), None).unwrap();
    let resolved = take_at(&failed, Sender, &Command::Resolve(Outcome::NotHelped), NOW).unwrap();
    let reopen = Command::Update { status: S::InProgress, reason: Some(R::Reopened), outcome: None };
    let taken = step(&resolved, &[Sender], &reopen, &terms(), at(90)).unwrap();
    assert_eq!((taken.state.holder(), taken.state.chain), (Some(Recipient), None));
    assert!(taken.happened.contains(&Happened::Reopened));
    assert!(take_at(&resolved, Sender, &reopen, at(91)).is_err());
}

#[test]
fn whoever_stops_the_clock_and_starts_it_again_has_missed_no_fewer_deadlines() {
    let park = |state: &State, day| take_on(state, Recipient, S::OnHold, Some(R::WaitingList), at(day));
    let go_on = |state: &State, day| take_on(state, Recipient, S::InProgress, None, at(day));
    let waiting = park(&in_progress(), 1);
    assert_eq!(waiting.deadline.map(|deadline| (deadline.duty, deadline.missed)), Some((Duty::Wait, 0)));
    // A month and more later; it is looked at again, and put away again at once.
    let missed = |state: State| state.deadline.unwrap().missed;
    let looked_at = go_on(&waiting, 45);
    assert_eq!(missed(looked_at), 1);
    let parked = park(&looked_at, 45);
    assert_eq!((missed(parked), parked.business()), (1, Some(Business::Overdue)));
    let late = step(&parked, &[Gateway], &Command::DeadlinePassed, &terms(), at(90)).unwrap();
    assert!(late.happened.contains(&Happened::StepUpProposed), "the second in a row");
    assert_eq!(missed(park(&go_on(&late.state, 91), 91)), 2);
}

#[test]
fn what_failed_while_more_was_asked_was_never_accepted_and_is_not_reopened() {
    let received = take(&new(), Recipient, S::Received, None, None).unwrap();
    let asked = take(&received, Recipient, S::OnHold, Some(R::InformationRequested), None).unwrap();
    let failed = take(&asked, Recipient, S::Failed, Some(R::CouldNotBeReached), None).unwrap();
    assert_eq!((failed.holder(), failed.reopen_until), (Some(Sender), None));
    for by in [Sender, Recipient] {
        assert!(take(&failed, by, S::InProgress, Some(R::Reopened), None).is_err(), "nobody took it on");
    }
    assert!(take_at(&failed, Sender, &Command::ReferOn, NOW).is_ok(), "it goes on with another referral");
    // During the work the same reason is one of work.
    let held = take(&in_progress(), Recipient, S::OnHold, Some(R::InformationRequested), None).unwrap();
    let failed = take(&held, Recipient, S::Failed, Some(R::CouldNotBeReached), None).unwrap();
    assert!(take(&failed, Sender, S::InProgress, Some(R::Reopened), None).is_ok());
}

#[test]
fn what_was_disclosed_cannot_be_entered_in_error() {
    let disclosed = State { disclosed: true, ..new() };
    assert!(take(&new(), Sender, S::EnteredInError, Some(R::WrongResident), None).is_ok());
    assert!(take(&disclosed, Sender, S::EnteredInError, Some(R::WrongResident), None).is_err());
}

#[test]
fn a_reason_must_belong_to_the_step() {
    assert_eq!(take(&new(), Recipient, S::Rejected, None, None), Err(Refusal::Reason(REJECTED)));
    assert_eq!(take(&new(), Recipient, S::Rejected, Some(R::WaitingList), None), Err(Refusal::Reason(REJECTED)));
    assert_eq!(take(&new(), Recipient, S::Accepted, Some(R::Other), None), Err(Refusal::Reason(&[])));
    assert_eq!(take(&in_progress(), Recipient, S::Completed, None, None), Err(Refusal::Outcome { needed: true }));
}

#[test]
fn a_repeated_status_is_not_a_step() {
    assert!(matches!(take(&received(), Recipient, S::Received, None, None), Err(Refusal::NotAllowed(_))));
}

#[test]
fn the_allowed_steps_are_those_of_every_role_that_somebody_has() {
    let stuck = take_at(&in_progress(), Gateway, &standing(true), NOW).unwrap();
    let steps = allowed_steps(&stuck, &[Sender, Coordinator], NOW);
    assert_eq!(steps.iter().filter(|step| step.operation == O::Reassignments).count(), 1);
    assert!(allowed_steps(&new(), &[], NOW).is_empty());
}

fn update(status: Status) -> Command {
    Command::Update { status, reason: None, outcome: None }
}

fn hold(reason: Reason) -> Command {
    Command::Update { status: S::OnHold, reason: Some(reason), outcome: None }
}

const fn standing(recipient: bool) -> Command {
    Command::Standing(Unable { sender: false, recipient })
}

/// Every line of the table, for each status and each role that it has: what, from, to, by whom.
pub(in crate::lifecycle) fn every_line() -> Vec<(Operation, Status, Option<Status>, Role)> {
    let mut all = Vec::new();
    for line in TABLE {
        for from in line.from {
            all.extend(line.by.iter().map(|by| (line.operation, *from, line.to, *by)));
        }
    }
    all
}

#[test]
fn what_is_listed_as_allowed_is_not_refused_because_the_deadline_has_just_passed() {
    let late = received().deadline.unwrap().due_at;
    let listed =
        |state: &State, by, operation| allowed_steps(state, &[by], late).iter().any(|step| step.operation == operation);
    assert!(!listed(&received(), Recipient, O::Extensions), "nobody has noted it yet, but it is too late to extend");
    assert!(take_at(&received(), Recipient, &Command::Extend, late).is_err());
    let once = take_at(&new(), Gateway, &Command::DeadlinePassed, late).unwrap();
    let twice = once.deadline.unwrap().due_at;
    assert!(allowed_steps(&once, &[Sender], twice).iter().any(|step| step.operation == O::Reassignments));
    assert!(take_at(&once, Sender, &Command::Reassign, twice).is_ok(), "it is missed for the second time");
    let Err(Refusal::NotAllowed(steps)) = take_at(&new(), Gateway, &Command::Extend, late) else { panic!() };
    assert!(steps.iter().any(|step| step.operation == O::Deadline), "a refusal leaves the deadline to be noted");
}

#[test]
fn a_municipality_that_sent_it_and_stands_in_for_all_gives_the_reason_of_either() {
    let nobody =
        take_at(&in_progress(), Gateway, &Command::Standing(Unable { sender: true, recipient: true }), NOW).unwrap();
    let cancel = |reason| Command::Update { status: S::Cancelled, reason: Some(reason), outcome: None };
    for (reason, as_what) in [(R::PartyCannotAct, Municipality), (R::NoLongerNeeded, Sender)] {
        let taken = step(&nobody, &[Sender, Municipality], &cancel(reason), &terms(), NOW).unwrap();
        assert_eq!(taken.by, as_what);
    }
    let other = step(&nobody, &[Sender, Municipality], &cancel(R::Duplicate), &terms(), NOW);
    assert_eq!(other, Err(Refusal::Reason(CANCELLED)));
}

/// What else must hold, for people.
const fn in_words(only: Only) -> &'static str {
    match only {
        Always => "",
        AskedForMore => "the recipient has asked for more",
        NobodyAnswers => "the same, and the sender cannot act",
        HeldAtWork => "on hold during the work",
        NotAsked => "during the work; not asked yet",
        CancellationAsked => "the sender has asked to call it off",
        NothingDisclosed => "no content was handed over",
        WithinReopenTerm => "it had been accepted; within the term for reopening",
        NotExtended => "once, before the deadline",
        ChainOpen => "nobody goes on with it yet",
        Holding => "who takes it is the holder",
        HoldingOpenChain => "the same, the municipality has not taken it over, and is not who takes it",
        Silent => "a second deadline in a row was missed, and neither the municipality nor who takes it holds it",
        RecipientUnable => "during the work; the recipient cannot act",
        Stuck => "the recipient cannot act, or a second deadline in a row was missed, and not by who takes it",
        Late => "the deadline has passed",
    }
}

#[test]
fn the_document_has_the_table() {
    let codes = |codes: Vec<&str>| codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(" ");
    let mut table = String::from("| step | from | to | by | reason | only when |\n|---|---|---|---|---|---|\n");
    for line in TABLE {
        let everywhere = line.from.len() == S::ALL.len();
        let from = if everywhere { "any".to_owned() } else { codes(line.from.iter().map(|s| s.as_str()).collect()) };
        let to = line.to.map_or_else(|| "stays".to_owned(), |status| format!("`{status}`"));
        let by: Vec<_> = line.by.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        let reasons = codes(line.reasons.iter().map(|reason| reason.as_str()).collect());
        let only = in_words(line.only);
        writeln!(table, "| {} | {from} | {to} | {} | {reasons} | {only} |", line.operation, by.join(", ")).unwrap();
    }
    let document = include_str!("../../docs/lifecycle.md");
    assert!(document.contains(&table), "docs/lifecycle.md should have:\n{table}");
}

#[test]
fn the_document_has_every_code() {
    let document = include_str!("../../docs/lifecycle.md");
    let codes = Status::ALL.iter().map(|it| it.as_str()).chain(Reason::ALL.iter().map(|it| it.as_str()));
    let codes =
        codes.chain(Outcome::ALL.iter().map(|it| it.as_str())).chain(Business::ALL.iter().map(|it| it.as_str()));
    for code in codes.chain(Duty::ALL.iter().map(|it| it.as_str())) {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
}
