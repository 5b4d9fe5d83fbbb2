//! A referral's life as one table: who may take which step, with which reason, and who holds the ball afterwards.
//!
//! FHIR R4 Task codes. Pure: no I/O, no clock. Invariant: a step that no line of [`STEPS`] allows is refused with the list of
//! steps that are allowed; only `completed` with outcome `helped` and `entered-in-error` have no holder.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::codes::closed_list;

closed_list! {
    /// The status of a referral.
    Status {
        /// Handed over, not yet picked up.
        Requested = "requested",
        /// Picked up.
        Received = "received",
        /// Taken on.
        Accepted = "accepted",
        /// Not taken on.
        Rejected = "rejected",
        /// Called off by the sender.
        Cancelled = "cancelled",
        /// Waiting.
        OnHold = "on-hold",
        /// Being worked on.
        InProgress = "in-progress",
        /// Done.
        Completed = "completed",
        /// Ended without result.
        Failed = "failed",
        /// Should not have been there.
        EnteredInError = "entered-in-error",
    }
}

closed_list! {
    /// Why a step was taken.
    Reason {
        /// The resident does not qualify.
        NotEligible = "not-eligible",
        /// There is no room.
        NoCapacity = "no-capacity",
        /// Another organisation is the right one.
        WrongOrganisation = "wrong-organisation",
        /// Too little to go on.
        InsufficientInformation = "insufficient-information",
        /// It was there already.
        Duplicate = "duplicate",
        /// The question has gone.
        NoLongerNeeded = "no-longer-needed",
        /// The resident does not want it any more.
        ResidentWithdrew = "resident-withdrew",
        /// It should not have been sent.
        SentInError = "sent-in-error",
        /// The sender is asked for more.
        InformationRequested = "information-requested",
        /// On the waiting list.
        WaitingList = "waiting-list",
        /// The resident cannot be reached for now.
        ResidentUnreachable = "resident-unreachable",
        /// The resident could not be reached.
        CouldNotBeReached = "could-not-be-reached",
        /// The resident declined.
        ResidentDeclined = "resident-declined",
        /// Taken up again.
        Reopened = "reopened",
        /// About another resident.
        WrongResident = "wrong-resident",
        /// Meant for another organisation.
        WrongRecipient = "wrong-recipient",
        /// Something else.
        Other = "other",
    }
}

closed_list! {
    /// What came of it.
    Outcome {
        /// The resident can go on without help.
        Helped = "helped",
        /// In part.
        PartlyHelped = "partly-helped",
        /// Somebody else goes on.
        ReferredOn = "referred-on",
        /// Not.
        NotHelped = "not-helped",
    }
}

/// The two parties of a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who handed over.
    Sender,
    /// To whom.
    Recipient,
}

/// Where a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The status.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// What came of it, once completed.
    pub outcome: Option<Outcome>,
    /// For `on-hold`: the status it came from.
    pub held_from: Option<Status>,
    /// Whether content has been handed over.
    pub disclosed: bool,
    /// Until when a referral that has ended may be reopened.
    pub reopen_until: Option<Timestamp>,
}

impl State {
    /// A referral that was just handed over.
    pub const NEW: Self = Self {
        status: Status::Requested,
        reason: None,
        outcome: None,
        held_from: None,
        disclosed: false,
        reopen_until: None,
    };

    /// Who must act next; nobody only where the chain is closed.
    #[must_use]
    pub const fn holder(&self) -> Option<Role> {
        match (self.status, self.outcome, self.held_from) {
            (Status::Completed, Some(Outcome::Helped), _) | (Status::EnteredInError, _, _) => None,
            (Status::Rejected | Status::Cancelled | Status::Failed | Status::Completed, _, _)
            | (Status::OnHold, _, Some(Status::Received)) => Some(Sender),
            (Status::Requested | Status::Received | Status::Accepted | Status::InProgress | Status::OnHold, _, _) => {
                Some(Recipient)
            }
        }
    }
}

/// A step that somebody wants to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// The status wanted.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// What came of it.
    pub outcome: Option<Outcome>,
}

/// One line of the table.
#[derive(Debug)]
struct Step {
    from: &'static [Status],
    to: Status,
    by: &'static [Role],
    /// The reasons one of which must be given; none may be given where the list is empty.
    reasons: &'static [Reason],
    /// What else must hold.
    only: Only,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Always,
    /// On hold because the recipient asked the sender for more.
    AskedForMore,
    /// On hold during the work.
    HeldAtWork,
    NothingDisclosed,
    WithinReopenTerm,
}

use Only::{Always, AskedForMore, HeldAtWork, NothingDisclosed, WithinReopenTerm};
use Reason as R;
use Role::{Recipient, Sender};
use Status as S;

const REJECTED: &[Reason] =
    &[R::NotEligible, R::NoCapacity, R::WrongOrganisation, R::InsufficientInformation, R::Duplicate, R::Other];
const CANCELLED: &[Reason] = &[R::NoLongerNeeded, R::ResidentWithdrew, R::SentInError];
const HELD: &[Reason] = &[R::InformationRequested, R::WaitingList, R::ResidentUnreachable];
const FAILED: &[Reason] = &[R::CouldNotBeReached, R::ResidentDeclined, R::Other];

/// The whole life of a referral. (Supplements, cancellation after work has started and the steps of the chain after an
/// end without help are resources of their own.)
const STEPS: &[Step] = &[
    Step { from: &[S::Requested], to: S::Received, by: &[Recipient], reasons: &[], only: Always },
    Step { from: &[S::Requested, S::Received], to: S::Accepted, by: &[Recipient], reasons: &[], only: Always },
    Step { from: &[S::Requested, S::Received], to: S::Rejected, by: &[Recipient], reasons: REJECTED, only: Always },
    Step { from: &[S::OnHold], to: S::Rejected, by: &[Recipient], reasons: REJECTED, only: AskedForMore },
    Step {
        from: &[S::Requested, S::Received, S::Accepted],
        to: S::Cancelled,
        by: &[Sender],
        reasons: CANCELLED,
        only: Always,
    },
    Step { from: &[S::OnHold], to: S::Cancelled, by: &[Sender], reasons: CANCELLED, only: AskedForMore },
    Step { from: &[S::Received], to: S::OnHold, by: &[Recipient], reasons: &[R::InformationRequested], only: Always },
    Step { from: &[S::OnHold], to: S::Received, by: &[Sender], reasons: &[], only: AskedForMore },
    Step { from: &[S::Accepted], to: S::InProgress, by: &[Recipient], reasons: &[], only: Always },
    Step { from: &[S::InProgress], to: S::OnHold, by: &[Recipient], reasons: HELD, only: Always },
    Step { from: &[S::OnHold], to: S::InProgress, by: &[Recipient], reasons: &[], only: HeldAtWork },
    Step { from: &[S::InProgress], to: S::Completed, by: &[Recipient], reasons: &[], only: Always },
    Step {
        from: &[S::Accepted, S::InProgress, S::OnHold],
        to: S::Failed,
        by: &[Recipient],
        reasons: FAILED,
        only: Always,
    },
    Step {
        from: &[S::Completed, S::Failed],
        to: S::InProgress,
        by: &[Sender, Recipient],
        reasons: &[R::Reopened],
        only: WithinReopenTerm,
    },
    Step {
        from: &[S::Requested],
        to: S::EnteredInError,
        by: &[Sender],
        reasons: &[R::WrongResident, R::WrongRecipient],
        only: NothingDisclosed,
    },
];

impl Step {
    fn is_open(&self, state: &State, by: Role, now: Timestamp) -> bool {
        let holds = match self.only {
            Always => true,
            AskedForMore => state.held_from == Some(S::Received),
            HeldAtWork => state.held_from == Some(S::InProgress),
            NothingDisclosed => !state.disclosed,
            WithinReopenTerm => state.reopen_until.is_some_and(|until| now <= until),
        };
        holds && self.from.contains(&state.status) && self.by.contains(&by)
    }
}

/// A step that may be taken, with the reasons one of which it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedStep {
    /// The status that may be asked for.
    pub status: Status,
    /// The reasons one of which must be given; empty where none may be given.
    pub status_reasons: Vec<Reason>,
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not this step, not now or not by this party; these are possible.
    NotAllowed(Vec<AllowedStep>),
    /// The reason is missing, superfluous, or not one of these.
    Reason(&'static [Reason]),
    /// The outcome is missing, or superfluous.
    Outcome {
        /// Whether one is needed.
        needed: bool,
    },
}

/// The steps that this party may take now.
#[must_use]
pub fn allowed_steps(state: &State, by: Role, now: Timestamp) -> Vec<AllowedStep> {
    let open = STEPS.iter().filter(|step| step.is_open(state, by, now));
    open.map(|step| AllowedStep { status: step.to, status_reasons: step.reasons.to_vec() }).collect()
}

/// Takes a step: the state afterwards, or why not. `reopen_until` is the end of the covenant's term for reopening, counted
/// from now.
///
/// # Errors
/// [`Refusal`], in the order: step, reason, outcome.
pub fn step(
    state: &State,
    by: Role,
    command: &Command,
    now: Timestamp,
    reopen_until: Timestamp,
) -> Result<State, Refusal> {
    let Some(step) = STEPS.iter().find(|step| step.to == command.status && step.is_open(state, by, now)) else {
        return Err(Refusal::NotAllowed(allowed_steps(state, by, now)));
    };
    match command.reason {
        None if step.reasons.is_empty() => {}
        Some(reason) if step.reasons.contains(&reason) => {}
        _ => return Err(Refusal::Reason(step.reasons)),
    }
    let needed = command.status == S::Completed;
    if command.outcome.is_some() != needed {
        return Err(Refusal::Outcome { needed });
    }
    Ok(State {
        status: command.status,
        reason: command.reason,
        outcome: command.outcome,
        held_from: (command.status == S::OnHold).then_some(state.status),
        disclosed: state.disclosed,
        reopen_until: matches!(command.status, S::Completed | S::Failed).then_some(reopen_until),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);
    const LATER: Timestamp = Timestamp::from_micros(2_000_000);

    fn take(
        state: &State,
        by: Role,
        status: Status,
        reason: Option<Reason>,
        outcome: Option<Outcome>,
    ) -> Result<State, Refusal> {
        step(state, by, &Command { status, reason, outcome }, NOW, LATER)
    }

    fn in_progress() -> State {
        let accepted = take(&State::NEW, Recipient, S::Accepted, None, None).unwrap();
        take(&accepted, Recipient, S::InProgress, None, None).unwrap()
    }

    #[test]
    fn a_referral_that_helps_ends_with_nobody_holding_it() {
        let done = take(&in_progress(), Recipient, S::Completed, None, Some(Outcome::Helped)).unwrap();
        assert_eq!(done.holder(), None);
    }

    #[test]
    fn any_other_end_returns_to_the_sender() {
        for outcome in [Outcome::PartlyHelped, Outcome::ReferredOn, Outcome::NotHelped] {
            let done = take(&in_progress(), Recipient, S::Completed, None, Some(outcome)).unwrap();
            assert_eq!(done.holder(), Some(Sender), "{outcome:?}");
        }
        let rejected = take(&State::NEW, Recipient, S::Rejected, Some(R::WrongOrganisation), None).unwrap();
        assert_eq!(rejected.holder(), Some(Sender));
    }

    #[test]
    fn asking_for_more_makes_the_sender_the_holder_until_it_answers() {
        let received = take(&State::NEW, Recipient, S::Received, None, None).unwrap();
        let held = take(&received, Recipient, S::OnHold, Some(R::InformationRequested), None).unwrap();
        assert_eq!(held.holder(), Some(Sender));
        assert!(take(&held, Recipient, S::Received, None, None).is_err(), "only the sender answers");
        assert!(take(&held, Recipient, S::InProgress, None, None).is_err(), "it was never accepted");
        assert!(take(&held, Recipient, S::Rejected, Some(R::NotEligible), None).is_ok());
        assert!(take(&held, Sender, S::Cancelled, Some(R::NoLongerNeeded), None).is_ok());
        assert_eq!(take(&held, Sender, S::Received, None, None).unwrap().holder(), Some(Recipient));
    }

    #[test]
    fn work_on_hold_goes_on_or_fails_but_is_not_cancelled_by_the_sender() {
        let held = take(&in_progress(), Recipient, S::OnHold, Some(R::WaitingList), None).unwrap();
        assert_eq!(held.holder(), Some(Recipient));
        assert!(take(&held, Sender, S::Cancelled, Some(R::NoLongerNeeded), None).is_err());
        assert!(take(&held, Recipient, S::InProgress, None, None).is_ok());
        assert!(take(&held, Recipient, S::Failed, Some(R::CouldNotBeReached), None).is_ok());
    }

    #[test]
    fn reopening_ends_with_its_term() {
        let failed = take(&in_progress(), Recipient, S::Failed, Some(R::Other), None).unwrap();
        let reopen = Command { status: S::InProgress, reason: Some(R::Reopened), outcome: None };
        assert!(step(&failed, Sender, &reopen, LATER, LATER).is_ok());
        assert!(step(&failed, Sender, &reopen, Timestamp::from_micros(2_000_001), LATER).is_err());
    }

    #[test]
    fn what_was_disclosed_cannot_be_entered_in_error() {
        let disclosed = State { disclosed: true, ..State::NEW };
        assert!(take(&State::NEW, Sender, S::EnteredInError, Some(R::WrongResident), None).is_ok());
        assert!(take(&disclosed, Sender, S::EnteredInError, Some(R::WrongResident), None).is_err());
    }

    #[test]
    fn a_reason_must_belong_to_the_step() {
        assert_eq!(take(&State::NEW, Recipient, S::Rejected, None, None), Err(Refusal::Reason(REJECTED)));
        assert_eq!(
            take(&State::NEW, Recipient, S::Rejected, Some(R::WaitingList), None),
            Err(Refusal::Reason(REJECTED))
        );
        assert_eq!(take(&State::NEW, Recipient, S::Accepted, Some(R::Other), None), Err(Refusal::Reason(&[])));
        assert_eq!(take(&in_progress(), Recipient, S::Completed, None, None), Err(Refusal::Outcome { needed: true }));
    }

    /// Whatever anybody tries in whatever state, the step is in the list of allowed steps exactly when it is not refused
    /// as a step, and the state afterwards has a holder unless the chain is closed.
    #[test]
    fn every_combination_is_decided_and_held() {
        let mut states = vec![State::NEW];
        let mut index = 0;
        while index < states.len() {
            let state = states[index];
            for by in [Sender, Recipient] {
                let allowed = allowed_steps(&state, by, NOW);
                for status in Status::ALL {
                    for reason in std::iter::once(None).chain(Reason::ALL.iter().copied().map(Some)) {
                        for outcome in std::iter::once(None).chain(Outcome::ALL.iter().copied().map(Some)) {
                            match take(&state, by, status, reason, outcome) {
                                Err(Refusal::NotAllowed(list)) => {
                                    assert_eq!(list, allowed);
                                    assert!(!list.iter().any(|step| step.status == status));
                                }
                                Err(_) => assert!(allowed.iter().any(|step| step.status == status)),
                                Ok(next) => {
                                    assert!(allowed.iter().any(|step| step.status == status));
                                    let closed =
                                        next.outcome == Some(Outcome::Helped) || next.status == S::EnteredInError;
                                    assert_eq!(next.holder().is_none(), closed);
                                    if !states.contains(&next) {
                                        states.push(next);
                                    }
                                }
                            }
                        }
                    }
                }
            }
            index += 1;
        }
        assert!(states.len() > 20, "the walk visited {} states", states.len());
    }

    #[test]
    fn a_repeated_status_is_not_a_step() {
        let received = take(&State::NEW, Recipient, S::Received, None, None).unwrap();
        assert!(matches!(take(&received, Recipient, S::Received, None, None), Err(Refusal::NotAllowed(_))));
    }
}
