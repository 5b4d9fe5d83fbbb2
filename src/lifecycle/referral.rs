//! A referral's life as one table: who may take which step, with which reason, and who holds the ball afterwards.
//!
//! FHIR R4 Task codes. Pure: no I/O, no clock. Invariants: a step that no line of [`TABLE`] allows is refused with the list of steps
//! that are allowed; a referral that is not closed has exactly one holder and one running deadline; a deadline that has passed is
//! noted before anything else happens.

use serde::Serialize;

pub use super::codes::Operation;
pub use super::parties::{Unable, is_stuck};
use super::terms::{Deadline, Duty, Paused, Terms};
use super::{Business, Outcome, Reason, Status};
use crate::clock::Timestamp;

/// What somebody is towards a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Who handed over.
    Sender,
    /// To whom.
    Recipient,
    /// Who coordinates its case.
    Coordinator,
    /// The municipality: holds what nobody else can, or what was stepped up to it.
    Municipality,
    /// The gateway, which watches the clock and the register of organisations.
    Gateway,
}

/// How the chain goes on after an end without help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// With another referral.
    ReferredOn,
    /// It does not: its holder ended it with this outcome.
    Resolved(Outcome),
    /// The municipality holds it.
    SteppedUp,
}

/// Where a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// When it was handed over.
    pub created_at: Timestamp,
    /// Whether the time to decide was extended ("under examination"); that is possible once.
    pub extended: bool,
    /// Why the sender has asked to call it off, until the recipient answers.
    pub cancellation: Option<Reason>,
    /// How the chain goes on after an end without help.
    pub chain: Option<Chain>,
    /// Which parties cannot act.
    pub unable: Unable,
    /// The running deadline; none exactly where there is no holder.
    pub deadline: Option<Deadline>,
    /// The deadline of the work, while its clock stands still.
    pub paused: Option<Paused>,
}

/// A step that somebody wants to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// To another status.
    Update {
        /// The status wanted.
        status: Status,
        /// Why.
        reason: Option<Reason>,
        /// What came of it.
        outcome: Option<Outcome>,
    },
    /// The sender adds something.
    Supplement,
    /// The recipient takes longer to decide.
    Extend,
    /// The sender asks to call off work that has begun.
    AskCancellation(Reason),
    /// The recipient goes on with the work.
    RefuseCancellation(Reason),
    /// The holder ends the chain with an outcome.
    Resolve(Outcome),
    /// The sender goes on with another referral, after an end without help.
    ReferOn,
    /// The chain is handed to the municipality: by its holder, or because that stays silent.
    StepUp,
    /// Another organisation goes on, in the place of a recipient that does not act.
    Reassign,
    /// Whether the parties can act has changed.
    Standing(Unable),
    /// The deadline has passed.
    DeadlinePassed,
}

/// What else must hold for a line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Always,
    /// On hold because the recipient asked the sender for more.
    AskedForMore,
    /// The same, and the sender cannot answer.
    NobodyAnswers,
    /// On hold during the work.
    HeldAtWork,
    /// Work that has begun, or waits, without a request to call it off.
    NotAsked,
    /// The sender has asked to call it off.
    CancellationAsked,
    NothingDisclosed,
    WithinReopenTerm,
    /// The time to decide was not extended before, and has not passed.
    NotExtended,
    /// Ended without help, and nobody goes on with it yet.
    ChainOpen,
    /// Whoever takes the step is the holder.
    Holding,
    /// The same, the municipality has not taken it over yet, and is not who takes it: it would only give itself time.
    HoldingOpenChain,
    /// Ended without help, and another holder than the municipality, and than who takes the step, let two deadlines in a row pass.
    Silent,
    /// The recipient cannot act.
    RecipientUnable,
    /// The recipient cannot act, or two deadlines in a row were missed, and not by who takes the step.
    Stuck,
    /// The deadline has passed.
    Late,
}

/// One line of the table.
#[derive(Debug)]
struct Line {
    operation: Operation,
    from: &'static [Status],
    /// The status afterwards; none where it stays.
    to: Option<Status>,
    by: &'static [Role],
    /// The reasons one of which must be given; none may be given where the list is empty.
    reasons: &'static [Reason],
    only: Only,
}

use Only::{
    Always, AskedForMore, CancellationAsked, ChainOpen, HeldAtWork, Holding, HoldingOpenChain, Late, NobodyAnswers,
    NotAsked, NotExtended, NothingDisclosed, RecipientUnable, Silent, Stuck, WithinReopenTerm,
};
use Operation as O;
use Reason as R;
use Role::{Coordinator, Gateway, Municipality, Recipient, Sender};
use Status as S;

const REJECTED: &[Reason] =
    &[R::NotEligible, R::NoCapacity, R::WrongOrganisation, R::InsufficientInformation, R::Duplicate, R::Other];
const CANCELLED: &[Reason] = &[R::NoLongerNeeded, R::ResidentWithdrew, R::SentInError];
const HELD: &[Reason] = &[R::InformationRequested, R::WaitingList, R::ResidentUnreachable];
const FAILED: &[Reason] = &[R::CouldNotBeReached, R::ResidentDeclined, R::Other];
const GOES_ON: &[Reason] = &[R::NearlyDone, R::ResidentWantsToGoOn, R::Other];

/// Not ended.
pub(super) const RUNNING: &[Status] = &[S::Requested, S::Received, S::Accepted, S::InProgress, S::OnHold];
pub(super) const ENDED: &[Status] = &[S::Rejected, S::Cancelled, S::Failed, S::Completed];

/// One line of the table, in the order in which people read it.
const fn line(
    operation: Operation,
    from: &'static [Status],
    to: Option<Status>,
    by: &'static [Role],
    reasons: &'static [Reason],
    only: Only,
) -> Line {
    Line { operation, from, to, by, reasons, only }
}

/// The whole life of a referral: what, from, to, by whom, with one of which reasons, and what else must hold.
#[rustfmt::skip]
const TABLE: &[Line] = &[
    line(O::Updates, &[S::Requested], Some(S::Received), &[Recipient], &[], Always),
    line(O::Updates, &[S::Requested, S::Received], Some(S::Accepted), &[Recipient], &[], Always),
    line(O::Updates, &[S::Requested, S::Received], Some(S::Rejected), &[Recipient], REJECTED, Always),
    line(O::Updates, &[S::Received], Some(S::OnHold), &[Recipient], &[R::InformationRequested], Always),
    line(O::Updates, &[S::OnHold], Some(S::Received), &[Sender], &[], AskedForMore),
    line(O::Updates, &[S::OnHold], Some(S::Received), &[Recipient], &[], NobodyAnswers),
    line(O::Updates, &[S::OnHold], Some(S::Rejected), &[Recipient], REJECTED, AskedForMore),
    line(O::Updates, &[S::Accepted], Some(S::InProgress), &[Recipient], &[], Always),
    line(O::Updates, &[S::InProgress], Some(S::OnHold), &[Recipient], HELD, Always),
    line(O::Updates, &[S::OnHold], Some(S::InProgress), &[Recipient], &[], HeldAtWork),
    line(O::Updates, &[S::InProgress], Some(S::Completed), &[Recipient], &[], Always),
    line(O::Updates, &[S::Accepted, S::InProgress, S::OnHold], Some(S::Failed), &[Recipient], FAILED, Always),
    line(O::Updates, &[S::Completed, S::Failed], Some(S::InProgress), &[Sender, Recipient], &[R::Reopened], WithinReopenTerm),

    line(O::Updates, &[S::Requested, S::Received, S::Accepted], Some(S::Cancelled), &[Sender], CANCELLED, Always),
    line(O::Updates, &[S::OnHold], Some(S::Cancelled), &[Sender], CANCELLED, AskedForMore),
    line(O::Updates, &[S::InProgress, S::OnHold], Some(S::Cancelled), &[Recipient], CANCELLED, CancellationAsked),
    line(O::Updates, &[S::InProgress, S::OnHold], Some(S::Cancelled), &[Sender], CANCELLED, RecipientUnable),
    line(O::Updates, RUNNING, Some(S::Cancelled), &[Municipality], &[R::PartyCannotAct], Stuck),
    line(O::Updates, &[S::Requested], Some(S::EnteredInError), &[Sender], &[R::WrongResident, R::WrongRecipient], NothingDisclosed),

    line(O::Supplements, &[S::OnHold], Some(S::Received), &[Sender], &[], AskedForMore),
    line(O::Supplements, &[S::Requested, S::Received, S::Accepted, S::InProgress], None, &[Sender], &[], Always),
    line(O::Supplements, &[S::OnHold], None, &[Sender], &[], HeldAtWork),
    line(O::Extensions, &[S::Received], None, &[Recipient], &[], NotExtended),
    line(O::CancellationRequests, &[S::InProgress, S::OnHold], None, &[Sender], CANCELLED, NotAsked),
    line(O::CancellationRefusals, &[S::InProgress, S::OnHold], None, &[Recipient], GOES_ON, CancellationAsked),

    line(O::ReReferrals, ENDED, None, &[Sender], &[], ChainOpen),
    line(O::Resolutions, ENDED, None, &[Sender, Recipient, Municipality], &[], Holding),
    line(O::StepUps, ENDED, None, &[Sender, Recipient], &[], HoldingOpenChain),
    line(O::StepUps, ENDED, None, &[Coordinator, Municipality], &[], Silent),
    line(O::Reassignments, RUNNING, Some(S::Cancelled), &[Sender, Coordinator, Municipality], &[], Stuck),

    line(O::Standing, &S::ALL, None, &[Gateway], &[], Always),
    line(O::Deadline, &S::ALL, None, &[Gateway], &[], Late),
];

/// A step that may be taken, with the reasons one of which it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedStep {
    /// What is to be posted to.
    pub operation: Operation,
    /// The status afterwards, where the step changes it.
    pub status: Option<Status>,
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

/// What happened, for those who must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happened {
    /// The step itself.
    Step(Operation),
    /// A deadline passed; to both parties and the monitor.
    Overdue {
        /// Who let it pass.
        holder: Role,
        /// How many in a row.
        missed: u32,
    },
    /// Two deadlines in a row passed, or more; to whoever coordinates the case.
    StepUpProposed,
    /// The municipality let a deadline pass; to its privacy officer and the covenant's board.
    MunicipalityOverdue,
    /// Somebody else has to act now.
    Holder {
        /// Who; nobody when it is closed.
        holder: Option<Role>,
        /// Whether in the place of a party that cannot act.
        stands_in: bool,
    },
    /// Taken up again after it had ended.
    Reopened,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Where the referral stands now.
    pub state: State,
    /// As what it was taken.
    pub by: Role,
    /// What happened, in this order.
    pub happened: Vec<Happened>,
}

impl State {
    /// A referral that was just handed over.
    #[must_use]
    pub fn new(terms: &Terms, now: Timestamp) -> Self {
        let due_at = terms.due_at(Duty::Receive, now, now);
        Self {
            status: S::Requested,
            reason: None,
            outcome: None,
            held_from: None,
            disclosed: false,
            reopen_until: None,
            created_at: now,
            extended: false,
            cancellation: None,
            chain: None,
            unable: Unable::default(),
            deadline: Some(Deadline { duty: Duty::Receive, due_at, missed: 0 }),
            paused: None,
        }
    }

    /// Who must act next; nobody only where the chain is closed. Never the gateway or the coordinator.
    #[must_use]
    pub fn holder(&self) -> Option<Role> {
        self.duty().map(|(holder, _)| holder)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.duty().is_none()
    }

    /// What is going on within the status (FHIR `Task.businessStatus`).
    #[must_use]
    pub fn business(&self) -> Option<Business> {
        match self.chain {
            Some(Chain::ReferredOn) => return Some(Business::ReferredOn),
            Some(Chain::Resolved(_)) => return Some(Business::Resolved),
            Some(Chain::SteppedUp) => return Some(Business::SteppedUp),
            None => {}
        }
        if self.deadline.is_some_and(|deadline| deadline.missed > 0) {
            return Some(Business::Overdue);
        }
        if self.cancellation.is_some() {
            return Some(Business::CancellationRequested);
        }
        (self.extended && self.status == S::Received).then_some(Business::UnderExamination)
    }

    /// Who must act, and what is to be done.
    pub(super) fn duty(&self) -> Option<(Role, Duty)> {
        let (holder, duty) = self.duty_by_table()?;
        let Unable { sender, recipient } = self.unable;
        Some(match holder {
            Sender if sender => (if recipient { Municipality } else { Recipient }, Duty::StandIn),
            Recipient if recipient => (if sender { Municipality } else { Sender }, Duty::StandIn),
            able => (able, duty),
        })
    }

    /// The same, as if everyone could act.
    fn duty_by_table(&self) -> Option<(Role, Duty)> {
        match self.status {
            S::Requested => Some((Recipient, Duty::Receive)),
            S::Received => Some((Recipient, if self.extended { Duty::Examine } else { Duty::Decide })),
            S::OnHold if self.held_from == Some(S::Received) => Some((Sender, Duty::Supplement)),
            S::Accepted | S::InProgress | S::OnHold if self.cancellation.is_some() => {
                Some((Recipient, Duty::AnswerCancellation))
            }
            S::OnHold if self.paused.is_some() => Some((Recipient, Duty::Wait)),
            S::Accepted | S::InProgress | S::OnHold => Some((Recipient, Duty::Work)),
            S::EnteredInError => None,
            S::Completed if self.outcome == Some(Outcome::Helped) => None,
            S::Rejected | S::Cancelled | S::Failed | S::Completed => match self.chain {
                None => Some((Sender, Duty::GoOn)),
                Some(Chain::SteppedUp) => Some((Municipality, Duty::GoOn)),
                Some(Chain::ReferredOn | Chain::Resolved(_)) => None,
            },
        }
    }

    /// How many deadlines in a row were missed. One that passes at this moment counts, whether it was noted yet or not.
    fn missed(&self, now: Timestamp) -> u32 {
        self.deadline.map_or(0, |deadline| deadline.missed.saturating_add(u32::from(deadline.due_at <= now)))
    }

    /// Whether it is stuck at this moment; see [`is_stuck`].
    #[must_use]
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        is_stuck(self.status, self.unable, self.chain.is_none(), self.missed(now))
    }

    /// Whether it has ended without help and its holder may hand the chain to the municipality.
    #[must_use]
    pub fn may_be_stepped_up(&self) -> bool {
        ENDED.contains(&self.status) && self.chain.is_none() && !self.is_closed()
    }

    /// Whether the line allows its step to this role of somebody who has all of these.
    fn allows(&self, line: &Line, by: Role, all: &[Role], now: Timestamp) -> bool {
        let holds = || self.holder().is_some_and(|holder| all.contains(&holder));
        let fulfilled = match line.only {
            Always => true,
            AskedForMore => self.held_from == Some(S::Received),
            NobodyAnswers => self.held_from == Some(S::Received) && self.unable.sender,
            HeldAtWork => self.held_from == Some(S::InProgress),
            NotAsked => self.held_from != Some(S::Received) && self.cancellation.is_none(),
            CancellationAsked => self.cancellation.is_some(),
            NothingDisclosed => !self.disclosed,
            WithinReopenTerm => self.reopen_until.is_some_and(|until| now < until),
            NotExtended => !self.extended && self.missed(now) == 0,
            ChainOpen => !self.is_closed(),
            Holding => self.holder() == Some(by),
            HoldingOpenChain => self.holder() == Some(by) && self.chain.is_none() && !all.contains(&Municipality),
            RecipientUnable => self.held_from != Some(S::Received) && self.unable.recipient,
            Silent => self.is_stuck(now) && !holds(),
            Stuck => self.is_stuck(now) && (self.unable.recipient || !holds()),
            Late => self.deadline.is_some_and(|deadline| deadline.due_at <= now),
        };
        fulfilled && line.from.contains(&self.status) && line.by.contains(&by)
    }

    /// Notes that the deadline has passed, if it has.
    fn settle(&mut self, terms: &Terms, now: Timestamp, happened: &mut Vec<Happened>) {
        let (Some(deadline), Some(holder)) = (self.deadline, self.holder()) else { return };
        if now < deadline.due_at {
            return;
        }
        let missed = deadline.missed.saturating_add(1);
        self.deadline = Some(Deadline { due_at: terms.due_again_at(now), missed, ..deadline });
        happened.push(Happened::Overdue { holder, missed });
        if missed >= 2 {
            happened.push(Happened::StepUpProposed);
        }
        if holder == Municipality {
            happened.push(Happened::MunicipalityOverdue);
        }
    }

    fn carry_out(&mut self, line: &Line, command: &Command, terms: &Terms, now: Timestamp) {
        let before = self.status;
        let was_accepted = self.held_from != Some(S::Received);
        if let Some(status) = line.to {
            self.status = status;
            self.reason = None;
            self.held_from = (status == S::OnHold).then_some(before);
            if ENDED.contains(&status) || status == S::EnteredInError {
                self.cancellation = None;
            }
            if ENDED.contains(&before) {
                // Reopened: the chain is open again, and the work has its whole term.
                (self.chain, self.outcome, self.reopen_until, self.deadline) = (None, None, None, None);
            }
        }
        match *command {
            Command::Update { status, reason, outcome } => {
                (self.reason, self.outcome) = (reason, outcome);
                // What failed while more was asked was never accepted: there is no work to take up again.
                if matches!(status, S::Completed | S::Failed) && was_accepted {
                    self.reopen_until = Some(terms.reopen_until(now));
                }
            }
            Command::Supplement | Command::DeadlinePassed => {}
            Command::Extend => self.extended = true,
            Command::AskCancellation(reason) => self.cancellation = Some(reason),
            Command::RefuseCancellation(_) => self.cancellation = None,
            Command::Resolve(outcome) => self.chain = Some(Chain::Resolved(outcome)),
            Command::ReferOn => self.chain = Some(Chain::ReferredOn),
            Command::StepUp => self.chain = Some(Chain::SteppedUp),
            Command::Reassign => (self.reason, self.chain) = (Some(R::Reassigned), Some(Chain::ReferredOn)),
            Command::Standing(unable) => self.unable = unable,
        }
    }

    /// Gives the duty that there is now its deadline; one that was there before keeps the one that it has.
    fn wind(&mut self, before: Option<(Role, Duty)>, terms: &Terms, now: Timestamp) {
        let at_work = matches!(self.status, S::Accepted | S::InProgress | S::OnHold);
        if !at_work || self.held_from == Some(S::Received) {
            self.paused = None;
        } else if let (Some((_, Duty::Work)), Some(deadline)) = (before, self.deadline) {
            let stands_still = self.cancellation.is_some()
                || terms.pauses(self.status, self.reason)
                || self.duty().is_some_and(|(_, duty)| duty == Duty::StandIn);
            self.paused = stands_still.then(|| deadline.pause(now)).or(self.paused);
        }
        // Work and waiting are one stretch: whoever stops its clock and starts it again has missed no fewer deadlines.
        if let (Some((_, Duty::Wait)), Some(deadline), Some(paused)) = (before, self.deadline, &mut self.paused) {
            paused.missed = paused.missed.max(deadline.missed);
        }
        let missed_at_work = self.paused.map_or(0, |paused| paused.missed);
        let waits = self.cancellation.is_some() || terms.pauses(self.status, self.reason);
        let resumed = if self.unable.recipient || waits { None } else { self.paused.take() };
        let after = self.duty();
        self.deadline = match (after, self.deadline, resumed) {
            (None, ..) => None,
            (Some((_, Duty::Work)), _, Some(paused)) => Some(paused.resume(now)),
            (Some(_), Some(deadline), _) if before == after => Some(deadline),
            (Some((_, duty)), ..) => {
                let missed = if duty == Duty::Wait { missed_at_work } else { 0 };
                Some(Deadline { duty, due_at: terms.due_at(duty, self.created_at, now), missed })
            }
        };
    }
}

impl Command {
    /// What the step does.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Update { .. } => O::Updates,
            Self::Supplement => O::Supplements,
            Self::Extend => O::Extensions,
            Self::AskCancellation(_) => O::CancellationRequests,
            Self::RefuseCancellation(_) => O::CancellationRefusals,
            Self::Resolve(_) => O::Resolutions,
            Self::ReferOn => O::ReReferrals,
            Self::StepUp => O::StepUps,
            Self::Reassign => O::Reassignments,
            Self::Standing(_) => O::Standing,
            Self::DeadlinePassed => O::Deadline,
        }
    }

    fn is_of(&self, line: &Line) -> bool {
        let to_the_same = match self {
            Self::Update { status, .. } => line.to == Some(*status),
            _ => true,
        };
        self.operation() == line.operation && to_the_same
    }

    fn has_reason_of(&self, line: &Line) -> bool {
        self.reason().map_or(line.reasons.is_empty(), |reason| line.reasons.contains(&reason))
    }

    const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Update { reason, .. } => *reason,
            Self::AskCancellation(reason) | Self::RefuseCancellation(reason) => Some(*reason),
            _ => None,
        }
    }
}

/// The steps that somebody who is all of this may take now.
#[must_use]
pub fn allowed_steps(state: &State, by: &[Role], now: Timestamp) -> Vec<AllowedStep> {
    let mut steps = Vec::new();
    for line in TABLE.iter().filter(|line| by.iter().any(|role| state.allows(line, *role, by, now))) {
        let step = AllowedStep { operation: line.operation, status: line.to, status_reasons: line.reasons.to_vec() };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// Takes a step: where the referral stands afterwards and what happened, or why not. Whoever takes it may be several things at once: a
/// sender often coordinates the case too. It has the steps of each, except that nobody gains by its own lateness.
///
/// # Errors
/// [`Refusal`], in the order: step, reason, outcome.
pub fn step(state: &State, by: &[Role], command: &Command, terms: &Terms, now: Timestamp) -> Result<Taken, Refusal> {
    let mut happened = Vec::new();
    let mut next = *state;
    next.settle(terms, now, &mut happened);
    let lines = || by.iter().flat_map(|role| TABLE.iter().map(move |line| (*role, line)));
    // Whether a deadline has passed is asked of the state before that was noted.
    let asked = if matches!(command, Command::DeadlinePassed) { state } else { &next };
    let mut possible =
        lines().filter(|(role, line)| command.is_of(line) && asked.allows(line, *role, by, now)).peekable();
    let Some((_, first)) = possible.peek().copied() else {
        return Err(Refusal::NotAllowed(allowed_steps(state, by, now)));
    };
    // Who is several things at once may take the step as any of them, each with reasons of its own.
    let Some((role, line)) = possible.find(|(_, line)| command.has_reason_of(line)) else {
        return Err(Refusal::Reason(first.reasons));
    };
    if let Command::Update { status, outcome, .. } = command {
        let needed = *status == S::Completed;
        if outcome.is_some() != needed {
            return Err(Refusal::Outcome { needed });
        }
    }
    let (before, reopened) = (next.duty(), ENDED.contains(&state.status) && line.to == Some(S::InProgress));
    next.carry_out(line, command, terms, now);
    next.wind(before, terms, now);
    happened.push(Happened::Step(line.operation));
    if reopened {
        happened.push(Happened::Reopened);
    }
    let after = next.duty();
    if before.map(|(holder, _)| holder) != after.map(|(holder, _)| holder) {
        let stands_in = after.is_some_and(|(_, duty)| duty == Duty::StandIn);
        happened.push(Happened::Holder { holder: next.holder(), stands_in });
    }
    Ok(Taken { state: next, by: role, happened })
}

#[cfg(test)]
#[path = "referral_tests.rs"]
pub(super) mod tests;
