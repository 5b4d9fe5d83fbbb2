//! What the table of cases promises, line by line, and above all what must not happen.

use std::fmt::Write as _;

use super::*;

type Party = &'static str;

const A: Party = "a";
const B: Party = "b";
const M: Party = "municipality";
const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);
const TERMS: Terms = Terms { answer: 5, step_up_weeks: 6 };
const WHY: StepUpReason = StepUpReason::Disagreement;

/// Every operation of the table.
pub(in crate::lifecycle) fn every_operation() -> Vec<Operation> {
    TABLE.iter().map(|line| line.operation).collect()
}

fn at(days: u64) -> Timestamp {
    NOW.plus(std::time::Duration::from_hours(24 * days))
}

#[expect(clippy::needless_pass_by_value, reason = "a command is written where it is given")]
/// By a party, or by the gateway; with so many referrals open, of which `B` takes part in one that was accepted.
fn try_at(
    case: &Case<Party>,
    party: Option<Party>,
    command: Command<Party>,
    open: usize,
    now: Timestamp,
) -> Result<Taken<Party>, Refusal> {
    let situation = Situation { open, participants: &[B], coordinator_late: false, municipality: &M };
    case.step(party.as_ref(), &command, &situation, &TERMS, now)
}

fn take(case: &Case<Party>, party: Party, command: Command<Party>) -> Case<Party> {
    try_at(case, Some(party), command, 1, NOW).unwrap().case
}

fn refused(case: &Case<Party>, party: Party, command: Command<Party>) -> bool {
    try_at(case, Some(party), command, 1, NOW).is_err()
}

fn gateway(case: &Case<Party>, command: Command<Party>, now: Timestamp) -> Taken<Party> {
    try_at(case, None, command, 1, now).unwrap()
}

fn new() -> Case<Party> {
    Case::new(A)
}

fn offered() -> Case<Party> {
    take(&new(), A, Command::OfferCoordination(B))
}

fn proposed() -> Case<Party> {
    gateway(&new(), Command::ProposeStepUp, NOW).case
}

/// The coordinator has let the proposal wait.
fn overdue() -> Case<Party> {
    gateway(&proposed(), Command::DeadlinePassed, at(30)).case
}

fn stepped_up() -> Case<Party> {
    take(&new(), A, Command::StepUp(WHY))
}

fn closed() -> Case<Party> {
    try_at(&new(), Some(A), Command::Close, 0, NOW).unwrap().case
}

#[test]
fn its_sender_coordinates_a_new_case_and_nobody_else() {
    let situation = Situation { open: 1, participants: &[B], coordinator_late: false, municipality: &M };
    assert_eq!(new().roles(&A, &situation), [Role::Coordinator]);
    assert_eq!(new().roles(&B, &situation), [Role::Participant]);
    assert!(
        new().roles(&M, &situation).is_empty(),
        "the municipality has nothing to do with a case that is not stepped up"
    );
    assert!(new().roles(&"stranger", &situation).is_empty());
}

#[test]
fn only_the_party_that_was_asked_takes_coordination_over() {
    for party in [A, M, "stranger"] {
        assert!(refused(&offered(), party, Command::AcceptCoordination), "{party}");
        assert!(refused(&offered(), party, Command::DeclineCoordination), "{party}");
    }
    assert!(refused(&new(), B, Command::AcceptCoordination), "nobody asked");
    assert_eq!(offered().coordinator, A, "an offer changes nothing yet");
    let taken = try_at(&offered(), Some(B), Command::AcceptCoordination, 1, NOW).unwrap();
    assert_eq!((taken.case.coordinator, taken.case.hand_over), (B, None));
    assert!(taken.happened.contains(&Happened::Coordinator { from: A, to: B }));
    assert!(taken.case.invited.contains(A), "the former coordinator goes on taking part");
    assert!(!taken.case.invited.contains(B), "and the coordinator is not its own guest");
}

#[test]
fn coordination_is_offered_once_at_a_time_and_only_to_who_takes_part() {
    assert!(refused(&offered(), A, Command::OfferCoordination(M)), "one offer waits");
    assert_eq!(try_at(&new(), Some(A), Command::OfferCoordination(A), 1, NOW), Err(Refusal::Party));
    assert_eq!(try_at(&new(), Some(A), Command::OfferCoordination("stranger"), 1, NOW), Err(Refusal::Party));
    for party in [B, M] {
        assert!(refused(&new(), party, Command::OfferCoordination(M)), "{party} does not coordinate");
        assert!(refused(&offered(), party, Command::RevokeOffer), "{party}");
    }
    assert!(refused(&new(), A, Command::RevokeOffer), "there is nothing to take back");
    let invited = take(&new(), A, Command::Invite("guest"));
    assert!(take(&invited, A, Command::OfferCoordination("guest")).hand_over.is_some());
    assert!(take(&new(), A, Command::OfferCoordination(M)).hand_over.is_some(), "the municipality can always be asked");
}

#[test]
fn an_offer_that_is_declined_taken_back_or_left_unanswered_leaves_the_coordinator() {
    for ended in [take(&offered(), B, Command::DeclineCoordination), take(&offered(), A, Command::RevokeOffer)] {
        assert_eq!((ended.coordinator, ended.hand_over), (A, None));
    }
    let due_at = offered().due_at().unwrap();
    let lapsed = gateway(&offered(), Command::DeadlinePassed, due_at);
    assert!(lapsed.happened.contains(&Happened::OfferLapsed(B)));
    assert_eq!((lapsed.case.coordinator, lapsed.case.hand_over), (A, None));
    assert!(try_at(&offered(), Some(B), Command::AcceptCoordination, 1, due_at).is_err(), "too late to accept");
    let said = try_at(&offered(), Some(A), Command::OfferCoordination(M), 1, due_at).unwrap();
    assert!(said.happened.contains(&Happened::OfferLapsed(B)), "whoever comes first says it");
}

#[test]
fn no_deadline_passes_before_its_time() {
    let just_before = offered().due_at().unwrap().minus(std::time::Duration::from_micros(1));
    assert!(try_at(&offered(), None, Command::DeadlinePassed, 1, just_before).is_err());
    assert!(try_at(&new(), None, Command::DeadlinePassed, 1, at(4_000)).is_err(), "its referrals have the deadlines");
    assert!(try_at(&closed(), None, Command::DeadlinePassed, 0, at(4_000)).is_err());
}

#[test]
fn the_coordinator_alone_decides_who_takes_part_by_invitation() {
    let invited = take(&new(), A, Command::Invite("guest"));
    for party in [B, M, "guest", "stranger"] {
        assert!(refused(&new(), party, Command::Invite("friend")), "{party}");
        assert!(refused(&invited, party, Command::Remove("guest")), "{party}");
    }
    for (case, command) in [
        (&invited, Command::Invite("guest")),
        (&new(), Command::Invite(A)),
        (&new(), Command::Remove("guest")),
        (&new(), Command::Remove(B)),
    ] {
        assert_eq!(try_at(case, Some(A), command.clone(), 1, NOW), Err(Refusal::Party), "{command:?}");
    }
    assert!(take(&invited, A, Command::Remove("guest")).invited.is_empty());
    assert!(take(&invited, "guest", Command::Leave).invited.is_empty());
    for party in [A, B, M, "stranger"] {
        assert!(refused(&invited, party, Command::Leave), "{party} is not there by invitation");
    }
}

#[test]
fn nobody_but_the_coordinator_steps_up_while_it_is_not_overdue() {
    for case in [new(), proposed(), offered()] {
        for party in [B, M, "stranger"] {
            assert!(refused(&case, party, Command::StepUp(WHY)), "{party}");
        }
    }
    let taken = try_at(&new(), Some(A), Command::StepUp(WHY), 1, NOW).unwrap();
    assert_eq!(taken.by, Role::Coordinator);
    assert!(!taken.happened.contains(&Happened::SteppedUpByDirector));
    let confirmed = take(&proposed(), A, Command::StepUp(WHY));
    assert!(confirmed.stepped_up.is_some() && confirmed.proposal.is_none(), "the proposal was answered");
}

#[test]
fn the_process_director_steps_up_only_when_the_coordinator_let_the_proposal_wait() {
    let due_at = proposed().due_at().unwrap();
    let said = gateway(&proposed(), Command::DeadlinePassed, due_at).happened;
    assert!(said.contains(&Happened::CoordinatorOverdue));
    let taken = try_at(&overdue(), Some(M), Command::StepUp(WHY), 1, at(31)).unwrap();
    assert_eq!(taken.by, Role::ProcessDirector);
    assert!(taken.happened.contains(&Happened::SteppedUpByDirector), "the privacy officer is told");
    for party in [B, "stranger"] {
        assert!(refused(&overdue(), party, Command::StepUp(WHY)), "{party}");
    }
    let late = take(&overdue(), A, Command::StepUp(WHY));
    assert!(late.stepped_up.is_some(), "the coordinator may still do it itself");
}

#[test]
fn a_proposal_is_refused_in_time_and_by_a_coordinator_that_is_not_late_itself() {
    let refusal = take(&proposed(), A, Command::RefuseStepUp);
    assert_eq!(refusal.proposal, None);
    assert!(refused(&refusal, M, Command::StepUp(WHY)), "a refusal in time gives the process director nothing");
    assert!(gateway(&refusal, Command::ProposeStepUp, NOW).case.proposal.is_some(), "it is proposed again");
    for party in [B, M] {
        assert!(refused(&proposed(), party, Command::RefuseStepUp), "{party}");
    }
    let late = Situation { open: 1, participants: &[B], coordinator_late: true, municipality: &M };
    let judges_itself = proposed().step(Some(&A), &Command::RefuseStepUp, &late, &TERMS, NOW);
    assert_eq!(judges_itself, Err(Refusal::NotAllowed(vec![O::OfferCoordination, O::Invite, O::Remove, O::StepUp])));
    assert!(refused(&new(), A, Command::RefuseStepUp), "nothing was proposed");
}

#[test]
fn what_the_coordinator_let_wait_is_the_process_directors_to_refuse() {
    for party in [A, B, "stranger"] {
        assert!(refused(&overdue(), party, Command::RefuseStepUp), "{party}");
    }
    let let_be = take(&overdue(), M, Command::RefuseStepUp);
    assert_eq!(let_be.proposal, None);
    assert!(refused(&let_be, M, Command::StepUp(WHY)), "it has let it be");
}

#[test]
fn what_the_process_director_stepped_up_it_steps_down_and_nobody_else() {
    let directed = try_at(&overdue(), Some(M), Command::StepUp(WHY), 1, at(31)).unwrap().case;
    let renewed = take(&directed, A, Command::StepUp(WHY));
    for case in [&directed, &renewed] {
        for party in [A, B, "stranger"] {
            assert!(refused(case, party, Command::StepDown), "{party}");
        }
        assert_eq!(take(case, M, Command::StepDown).stepped_up, None);
    }
    // Who confirms what it let wait does not take it back the next moment; nor does who is late itself.
    assert!(refused(&take(&overdue(), A, Command::StepUp(WHY)), A, Command::StepDown));
    let late = Situation { open: 1, participants: &[B], coordinator_late: true, municipality: &M };
    assert!(stepped_up().step(Some(&A), &Command::StepDown, &late, &TERMS, NOW).is_err());
    assert!(stepped_up().step(Some(&M), &Command::StepDown, &late, &TERMS, NOW).is_ok());
    let until = directed.stepped_up.unwrap().until;
    assert_eq!(gateway(&directed, Command::DeadlinePassed, until).case.stepped_up, None, "and it ends by itself");
}

#[test]
fn an_offer_stands_no_longer_than_who_was_asked_takes_part() {
    let invited = take(&new(), A, Command::Invite("guest"));
    let asked = take(&invited, A, Command::OfferCoordination("guest"));
    let withdrawn = Happened::OfferWithdrawn("guest");
    for (party, command) in [(A, Command::Remove("guest")), ("guest", Command::Leave)] {
        let taken = try_at(&asked, Some(party), command, 1, NOW).unwrap();
        assert!(taken.case.hand_over.is_none() && taken.happened.contains(&withdrawn), "{party}");
        assert!(refused(&taken.case, "guest", Command::AcceptCoordination));
    }
    // The referral that made B take part came to nothing.
    let nobody = Situation { open: 1, participants: &[], coordinator_late: false, municipality: &M };
    assert!(offered().step(Some(&B), &Command::AcceptCoordination, &nobody, &TERMS, NOW).is_err());
    let counted = offered().step(None, &Command::Referrals { open: 1 }, &nobody, &TERMS, NOW).unwrap();
    assert!(counted.case.hand_over.is_none() && counted.happened.contains(&Happened::OfferWithdrawn(B)));
    let kept = gateway(&offered(), Command::Referrals { open: 1 }, NOW);
    assert!(kept.case.hand_over.is_some(), "B still takes part");
    for (command, open) in [(Command::Close, 0), (Command::ReplaceCoordinator(M), 1)] {
        let by = if command == Command::Close { Some(A) } else { None };
        let taken = try_at(&offered(), by, command, open, NOW).unwrap();
        assert!(taken.case.hand_over.is_none() && taken.happened.contains(&Happened::OfferWithdrawn(B)));
    }
    for (party, command) in
        [(B, Command::AcceptCoordination), (B, Command::DeclineCoordination), (A, Command::RevokeOffer)]
    {
        let taken = try_at(&offered(), Some(party), command, 1, NOW).unwrap();
        assert!(!taken.happened.contains(&Happened::OfferWithdrawn(B)), "{party}: that is said already");
    }
}

#[test]
fn a_step_up_lasts_six_weeks_can_be_renewed_and_ends_by_itself() {
    let until = stepped_up().stepped_up.unwrap().until;
    assert_eq!(until, after_days(NOW, 42));
    let renewed = try_at(&stepped_up(), Some(M), Command::StepUp(WHY), 1, at(20)).unwrap();
    assert_eq!(renewed.case.stepped_up.unwrap().until, after_days(at(20), 42));
    assert!(!renewed.happened.contains(&Happened::SteppedUpByDirector), "a renewal is not a step-up");
    assert!(try_at(&stepped_up(), Some(B), Command::StepUp(WHY), 1, at(20)).is_err());
    let ended = gateway(&stepped_up(), Command::DeadlinePassed, until);
    assert_eq!(ended.case.stepped_up, None);
    assert!(ended.happened.contains(&Happened::SteppedDown));
    assert!(try_at(&stepped_up(), Some(M), Command::StepUp(WHY), 1, until).is_err(), "there is nothing left to renew");
}

#[test]
fn the_coordinator_or_the_process_director_steps_down_and_nobody_else() {
    for party in [A, M] {
        assert_eq!(take(&stepped_up(), party, Command::StepDown).stepped_up, None, "{party}");
        assert!(refused(&new(), party, Command::StepDown), "{party}: it is not stepped up");
    }
    assert!(refused(&stepped_up(), B, Command::StepDown));
    let down = take(&stepped_up(), M, Command::StepDown);
    assert!(refused(&down, M, Command::StepUp(WHY)), "the municipality does not step up again by itself");
}

#[test]
fn the_gateway_proposes_once_and_not_while_the_case_is_stepped_up() {
    for case in [proposed(), overdue(), stepped_up()] {
        assert!(try_at(&case, None, Command::ProposeStepUp, 1, NOW).is_err());
    }
    assert!(refused(&new(), A, Command::ProposeStepUp), "only the gateway proposes");
}

#[test]
fn a_case_with_something_open_is_not_closed_and_the_refusal_says_how_much() {
    assert_eq!(try_at(&new(), Some(A), Command::Close, 3, NOW), Err(Refusal::StillOpen(3)));
    assert_eq!(try_at(&stepped_up(), Some(A), Command::Close, 1, NOW), Err(Refusal::StillOpen(1)));
    for party in [B, M, "stranger"] {
        let refusal = try_at(&new(), Some(party), Command::Close, 3, NOW).unwrap_err();
        assert!(matches!(refusal, Refusal::NotAllowed(_)), "{party} does not learn what is open");
        assert!(try_at(&new(), Some(party), Command::Close, 0, NOW).is_err(), "{party}");
    }
}

#[test]
fn nothing_waits_in_a_closed_case_and_nobody_does_anything_in_it() {
    let everything = Case { proposal: proposed().proposal, ..offered() };
    let closed = try_at(&everything, Some(A), Command::Close, 0, NOW).unwrap().case;
    assert_eq!((closed.due_at(), closed.closed_at, closed.coordinator), (None, Some(NOW), A));
    let commands = || {
        [
            Command::OfferCoordination(B),
            Command::Invite(B),
            Command::StepUp(WHY),
            Command::StepDown,
            Command::RefuseStepUp,
            Command::Close,
            Command::AcceptCoordination,
            Command::Leave,
        ]
    };
    for party in [A, B, M] {
        for command in commands() {
            let refusal = try_at(&closed, Some(party), command.clone(), 0, NOW);
            assert_eq!(refusal, Err(Refusal::NotAllowed(Vec::new())), "{party} {command:?}");
        }
    }
    for command in [Command::ProposeStepUp, Command::ReplaceCoordinator(M)] {
        assert!(try_at(&closed, None, command, 0, NOW).is_err());
    }
}

#[test]
fn only_a_referral_opens_a_closed_case_again() {
    let still = try_at(&closed(), None, Command::Referrals { open: 0 }, 0, NOW).unwrap();
    assert!(still.case.closed_at.is_some() && still.case.due_at().is_none());
    let reopened = gateway(&closed(), Command::Referrals { open: 1 }, NOW);
    assert_eq!((reopened.case.closed_at, reopened.case.coordinator), (None, A));
    assert!(reopened.happened.contains(&Happened::Reopened));
    assert!(refused(&closed(), A, Command::Referrals { open: 1 }), "it is the gateway that counts");
}

#[test]
fn a_case_in_which_nothing_is_open_keeps_asking_its_coordinator() {
    let idle = try_at(&new(), None, Command::Referrals { open: 0 }, 0, NOW).unwrap().case;
    let due_at = idle.due_at().unwrap();
    let again = try_at(&idle, None, Command::Referrals { open: 0 }, 0, at(2)).unwrap().case;
    assert_eq!(again.due_at(), Some(due_at), "counting again gains no time");
    let passed = try_at(&idle, None, Command::DeadlinePassed, 0, due_at).unwrap();
    assert!(passed.happened.contains(&Happened::CoordinatorOverdue));
    assert!(passed.case.due_at().unwrap() > due_at, "and it is asked again");
    let busy = try_at(&idle, None, Command::Referrals { open: 1 }, 1, NOW).unwrap().case;
    assert_eq!(busy.due_at(), None);
}

#[test]
fn a_coordinator_that_cannot_act_is_replaced_by_the_municipality_and_only_by_the_gateway() {
    for party in [A, B, M] {
        assert!(refused(&new(), party, Command::ReplaceCoordinator(M)), "{party}");
    }
    let replaced = gateway(&offered(), Command::ReplaceCoordinator(M), NOW);
    assert_eq!((replaced.case.coordinator, replaced.case.hand_over.as_ref()), (M, None));
    assert!(replaced.happened.contains(&Happened::Coordinator { from: A, to: M }));
    assert!(refused(&replaced.case, B, Command::AcceptCoordination), "the offer was the former coordinator's");
    assert!(refused(&replaced.case, A, Command::Close), "it coordinates no longer");
    assert!(replaced.case.invited.contains(A), "and takes part, for when it is back");
}

#[test]
fn replacing_the_municipality_by_itself_changes_nothing() {
    let case = Case::new(M);
    let taken = gateway(&case, Command::ReplaceCoordinator(M), NOW);
    assert_eq!(taken.case, case);
    assert!(!taken.happened.iter().any(|happened| matches!(happened, Happened::Coordinator { .. })));
}

#[test]
fn a_refusal_names_what_the_party_could_do_instead() {
    let steps = |case: &Case<Party>, party| match try_at(case, Some(party), Command::DeadlinePassed, 1, NOW) {
        Err(Refusal::NotAllowed(steps)) => steps,
        other => panic!("{other:?}"),
    };
    assert_eq!(steps(&new(), A), [O::OfferCoordination, O::Invite, O::Remove, O::StepUp]);
    assert_eq!(steps(&offered(), B), [O::AcceptCoordination, O::DeclineCoordination]);
    assert_eq!(steps(&overdue(), M), [O::StepUp, O::RefuseStepUp]);
    assert_eq!(steps(&stepped_up(), M), [O::StepUp, O::StepDown]);
    assert!(steps(&new(), B).is_empty() && steps(&new(), "stranger").is_empty());
}

/// What else must hold, for people.
const fn in_words(only: Only) -> &'static str {
    match only {
        Only::Always => "",
        Only::NoOffer => "nobody was asked yet",
        Only::Offered => "somebody was asked, and the term to answer has not passed",
        Only::Refusable => {
            "the gateway has proposed to step up, the term to answer has not passed, and the coordinator is not late itself"
        }
        Only::CoordinatorOverdue => "the coordinator has let that proposal wait too long",
        Only::RefusableByDirector => {
            "the coordinator has let that proposal wait too long, and is not the director itself while it is late"
        }
        Only::SteppedUpByOthers => "it is stepped up, and the coordinator is not the director itself while it is late",
        Only::SteppedUp => "it is stepped up",
        Only::SteppedUpByCoordinator => {
            "it is stepped up, no proposal had waited too long before, and the coordinator is not late itself"
        }
        Only::Ordinary => "it is not stepped up, and nothing was proposed",
        Only::NothingOpen => "no referral of it has a holder",
        Only::Late => "a deadline has passed",
    }
}

#[test]
fn the_document_has_the_table() {
    let spaced = |text: String| {
        let split = |c: char| if c.is_uppercase() { format!(" {}", c.to_lowercase()) } else { c.to_string() };
        text.chars().map(split).collect::<String>().trim_start().to_owned()
    };
    let mut table = String::from("| step | by | only when |\n|---|---|---|\n");
    for line in TABLE {
        let by: Vec<_> = line.by.iter().map(|role| spaced(format!("{role:?}"))).collect();
        let closed = if line.closed { "; also when it is closed" } else { "" };
        let only = format!("{}{closed}", in_words(line.only));
        let operation = spaced(format!("{:?}", line.operation));
        writeln!(table, "| {operation} | {} | {} |", by.join(", "), only.trim_start_matches("; ")).unwrap();
    }
    let document = include_str!("../../docs/lifecycle.md");
    assert!(document.contains(&table), "docs/lifecycle.md should have:\n{table}");
}
