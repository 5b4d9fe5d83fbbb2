//! The closed chain explored: every state that the tables can reach, and what is promised of all of them.
//!
//! Three models over the very functions that the gateway runs. [`one_referral`] has every command with every reason by every role;
//! [`one_case`] every command of every organisation while referrals open and close around it; [`households`] puts two cases, three
//! organisations and their referrals together, with suspensions, late moments, and events that are held up, doubled and overtaken.
//!
//! Time is abstracted: a step is taken before the deadline or after it ([`Moment`]), and every deadline that is left lies ahead again by
//! an unknown stretch. Which of two deadlines comes first is therefore never assumed. What is bounded is said at each model.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash};

use super::case::{self, Case};
use super::referral::{self, Role, State};
use super::terms::Terms;
use super::{Outcome, Reason, Status};
use crate::clock::Timestamp;

mod explorer;
mod households;
mod mutants;
mod one_case;
mod one_referral;
mod post;

/// Before every deadline.
const EARLY: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);
/// A deadline, after a year.
const LATE: Timestamp = Timestamp::from_micros(EARLY.as_micros() + 365 * 86_400_000_000);
/// Later than everything.
const NEVER: Timestamp = Timestamp::from_micros(LATE.as_micros() * 2);
const PAST: Timestamp = Timestamp::from_micros(0);

/// An organisation; the third is the municipality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Org {
    A,
    B,
    Municipality,
}

const ORGS: [Org; 3] = [Org::A, Org::B, Org::Municipality];

/// When a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Moment {
    InTime,
    TooLate,
}

impl Moment {
    const ALL: [Self; 2] = [Self::InTime, Self::TooLate];

    const fn now(self) -> Timestamp {
        match self {
            Self::InTime => EARLY,
            Self::TooLate => LATE,
        }
    }
}

type ReferralStep =
    fn(&State, &[Role], &referral::Command, &Terms, Timestamp) -> Result<referral::Taken, referral::Refusal>;
type CaseStep = fn(
    &Case<Org>,
    Option<&Org>,
    &case::Command<Org>,
    &case::Situation<'_, Org>,
    &case::Terms,
    Timestamp,
) -> Result<case::Taken<Org>, case::Refusal>;

/// What is explored: the real tables, or ones with a fault in them to show that it is found.
#[derive(Clone, Copy)]
struct Rules {
    referral: ReferralStep,
    case: CaseStep,
    post: post::Rules,
}

impl Rules {
    const REAL: Self = Self { referral: referral::step, case: Case::step, post: post::Rules::REAL };

    fn referral(
        &self,
        state: &State,
        by: &[Role],
        command: &referral::Command,
        moment: Moment,
    ) -> Result<referral::Taken, referral::Refusal> {
        (self.referral)(state, by, command, &terms(), moment.now())
    }
}

fn terms() -> Terms {
    Terms {
        received: 3,
        decided: 5,
        extension_weeks: 8,
        sender_acts: 5,
        hold: 20,
        cancellation: 5,
        again: 3,
        pausing: vec![Reason::WaitingList],
        reopen_days: 90,
        percent: 100,
    }
}

const CASE_TERMS: case::Terms = case::Terms { answer: 5, step_up_weeks: 6 };

/// A referral without what no line of the table looks at. Deadlines lie ahead; `most` missed ones stand for any larger number.
fn abstracted(state: &State, most: u32) -> State {
    let deciding = match state.status {
        Status::Requested | Status::Received => true,
        Status::OnHold => state.held_from == Some(Status::Received),
        _ => false,
    };
    let unhelped = |outcome| if outcome == Outcome::Helped { Outcome::Helped } else { Outcome::NotHelped };
    State {
        reason: state.reason.filter(|_| state.status == Status::OnHold).map(|reason| match reason {
            Reason::WaitingList => Reason::WaitingList,
            _ => Reason::ResidentUnreachable,
        }),
        outcome: state.outcome.map(unhelped),
        disclosed: state.disclosed && state.status == Status::Requested,
        reopen_until: state.reopen_until.map(|until| if until == PAST { PAST } else { NEVER }),
        created_at: EARLY,
        extended: state.extended && deciding,
        cancellation: state.cancellation.map(|_| Reason::NoLongerNeeded),
        chain: state.chain.map(|chain| match chain {
            referral::Chain::Resolved(_) => referral::Chain::Resolved(Outcome::NotHelped),
            other => other,
        }),
        deadline: state.deadline.map(|mut deadline| {
            (deadline.due_at, deadline.missed) = (LATE, deadline.missed.min(most));
            deadline
        }),
        paused: state.paused.map(|mut paused| {
            (paused.left, paused.missed) = (1, paused.missed.min(most));
            paused
        }),
        ..*state
    }
}

/// A broken promise unless this holds.
fn promise(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The document says how much was explored.
fn is_documented(what: &str, explored: explorer::Explored) {
    let grouped = |number: usize| {
        let digits = number.to_string();
        let from_the_end = digits.as_bytes().rchunks(3).map(|three| String::from_utf8_lossy(three).into_owned());
        from_the_end.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(",")
    };
    println!("{what}: {explored:?}");
    assert!(explored.ends > 0, "nothing comes to an end");
    let line = format!("| {what} | {} | {} |", grouped(explored.states), grouped(explored.steps));
    assert!(include_str!("../../docs/lifecycle.md").contains(&line), "docs/lifecycle.md should have: {line}");
}

/// Small numbers for large states, so that states of many parts are quick to compare.
struct Numbered<T> {
    values: Vec<T>,
    numbers: HashMap<T, u16, BuildHasherDefault<explorer::Quick>>,
}

impl<T: Clone + Eq + Hash + Debug> Numbered<T> {
    fn new() -> Self {
        Self { values: Vec::new(), numbers: HashMap::default() }
    }

    fn number(&mut self, value: T) -> u16 {
        *self.numbers.entry(value).or_insert_with_key(|value| {
            self.values.push(value.clone());
            u16::try_from(self.values.len() - 1).unwrap()
        })
    }

    fn value(&self, number: u16) -> &T {
        &self.values[usize::from(number)]
    }
}
