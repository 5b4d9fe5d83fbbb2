//! A case's life as one table: who coordinates it, who takes part, when the municipality directs it, and when it may be closed.
//!
//! Pure. A case groups the referrals of one household's plan. Invariants: an open case has exactly one coordinator; an open case in which
//! nothing is open has a deadline for whoever coordinates it; a case is closed only when every chain in it has ended.

use std::collections::BTreeSet;

use super::StepUpReason;
use super::working_days::{after_days, after_working_days};
use crate::clock::Timestamp;
use crate::codes::closed_list;

/// What somebody is towards a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Coordinates it (casusregisseur).
    Coordinator,
    /// Was asked to coordinate it.
    Candidate,
    /// Takes part by invitation of the coordinator.
    Invited,
    /// Takes part as a party to an accepted referral.
    Participant,
    /// The municipality, as process director (procesregisseur).
    ProcessDirector,
    /// The gateway.
    Gateway,
}

/// The coordinator has asked somebody to take over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HandOver<P> {
    /// Who was asked.
    pub to: P,
    /// Until when the answer is awaited.
    pub due_at: Timestamp,
}

/// The gateway proposes to step up; the coordinator must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// Until when by the coordinator; once that has passed, by the process director.
    pub due_at: Timestamp,
    /// Whether the coordinator let it pass; then the process director may step up by itself.
    pub overdue: bool,
}

/// The case is stepped up: the municipality directs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SteppedUp {
    /// Why.
    pub reason: StepUpReason,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
    /// Whether it is the process director's alone to end: the coordinator had let the gateway's proposal wait too long, whoever stepped up then.
    pub by_director: bool,
}

/// Where a case stands. `P` names a party.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Case<P: Ord> {
    /// Who coordinates it; the last one, once it is closed.
    pub coordinator: P,
    /// Who takes part by invitation.
    pub invited: BTreeSet<P>,
    /// A pending hand-over of the coordination.
    pub hand_over: Option<HandOver<P>>,
    /// A pending proposal to step up.
    pub proposal: Option<Proposal>,
    /// The step-up, while it lasts.
    pub stepped_up: Option<SteppedUp>,
    /// Until when the coordinator must go on or close, where nothing is open.
    pub idle_until: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// A step that somebody wants to take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command<P> {
    /// Ask somebody to coordinate it.
    OfferCoordination(P),
    /// Take that on.
    AcceptCoordination,
    /// Or not.
    DeclineCoordination,
    /// Take the question back.
    RevokeOffer,
    /// Have somebody take part.
    Invite(P),
    /// Have somebody no longer take part by invitation.
    Remove(P),
    /// No longer take part by invitation.
    Leave,
    /// Hand the direction to the municipality, or renew that.
    StepUp(StepUpReason),
    /// Not follow the gateway's proposal.
    RefuseStepUp,
    /// End the direction by the municipality.
    StepDown,
    /// Close it.
    Close,
    /// By the gateway: somebody let two deadlines in a row pass.
    ProposeStepUp,
    /// By the gateway: the coordinator can no longer act; this is the municipality.
    ReplaceCoordinator(P),
    /// By the gateway: a referral of the case was opened, reopened or closed; so many are open now.
    Referrals {
        /// How many are open.
        open: usize,
    },
    /// By the gateway: a deadline has passed.
    DeadlinePassed,
}

closed_list! {
    /// What a step is called in the table and in the list of allowed steps; each is the command of the same name.
    Operation {
        /// See [`Command::OfferCoordination`].
        OfferCoordination = "offer-coordination",
        /// See [`Command::AcceptCoordination`].
        AcceptCoordination = "accept-coordination",
        /// See [`Command::DeclineCoordination`].
        DeclineCoordination = "decline-coordination",
        /// See [`Command::RevokeOffer`].
        RevokeOffer = "revoke-offer",
        /// See [`Command::Invite`].
        Invite = "invite",
        /// See [`Command::Remove`].
        Remove = "remove",
        /// See [`Command::Leave`].
        Leave = "leave",
        /// See [`Command::StepUp`].
        StepUp = "step-up",
        /// See [`Command::RefuseStepUp`].
        RefuseStepUp = "refuse-step-up",
        /// See [`Command::StepDown`].
        StepDown = "step-down",
        /// See [`Command::Close`].
        Close = "close",
        /// See [`Command::ProposeStepUp`].
        ProposeStepUp = "propose-step-up",
        /// See [`Command::ReplaceCoordinator`].
        ReplaceCoordinator = "replace-coordinator",
        /// See [`Command::Referrals`].
        Referrals = "referrals",
        /// See [`Command::DeadlinePassed`].
        Deadline = "deadline",
    }
}

/// What else must hold for a line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    Always,
    /// Nobody was asked to take over.
    NoOffer,
    /// Somebody was.
    Offered,
    /// The gateway's proposal waits for an answer, in time, by a coordinator that is not late itself.
    Refusable,
    /// The coordinator has let the gateway's proposal wait too long.
    CoordinatorOverdue,
    /// The same, and the director does not coordinate it itself while it is late.
    RefusableByDirector,
    /// The municipality directs it already.
    SteppedUp,
    /// The same, and it does not coordinate it itself while it is late.
    SteppedUpByOthers,
    /// The same, and it is the coordinator's to end, who is not late itself.
    SteppedUpByCoordinator,
    /// It does not, and there is no proposal.
    Ordinary,
    /// Every chain has ended.
    NothingOpen,
    /// A deadline has passed.
    Late,
}

struct Line {
    operation: Operation,
    by: &'static [Role],
    /// Whether it is a step in a closed case too.
    closed: bool,
    only: Only,
}

use Operation as O;
use Role::{Candidate, Coordinator, Gateway, Invited, ProcessDirector};

const fn line(operation: Operation, by: &'static [Role], only: Only) -> Line {
    Line { operation, by, closed: false, only }
}

/// The whole life of a case: what, by whom, and what else must hold. Only the gateway opens a closed case again, when a referral is reopened.
const TABLE: &[Line] = &[
    line(O::OfferCoordination, &[Coordinator], Only::NoOffer),
    line(O::AcceptCoordination, &[Candidate], Only::Offered),
    line(O::DeclineCoordination, &[Candidate], Only::Offered),
    line(O::RevokeOffer, &[Coordinator], Only::Offered),
    line(O::Invite, &[Coordinator], Only::Always),
    line(O::Remove, &[Coordinator], Only::Always),
    line(O::Leave, &[Invited], Only::Always),
    line(O::StepUp, &[Coordinator], Only::Always),
    line(O::StepUp, &[ProcessDirector], Only::SteppedUp),
    line(O::StepUp, &[ProcessDirector], Only::CoordinatorOverdue),
    line(O::RefuseStepUp, &[Coordinator], Only::Refusable),
    line(O::RefuseStepUp, &[ProcessDirector], Only::RefusableByDirector),
    line(O::StepDown, &[Coordinator], Only::SteppedUpByCoordinator),
    line(O::StepDown, &[ProcessDirector], Only::SteppedUpByOthers),
    line(O::Close, &[Coordinator], Only::NothingOpen),
    line(O::ProposeStepUp, &[Gateway], Only::Ordinary),
    line(O::ReplaceCoordinator, &[Gateway], Only::Always),
    Line { operation: O::Referrals, by: &[Gateway], closed: true, only: Only::Always },
    line(O::Deadline, &[Gateway], Only::Late),
];

/// How long there is for what, in the covenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Working days in which the coordinator, or a candidate, answers; also to go on or close where nothing is open.
    pub answer: u32,
    /// Weeks that a step-up lasts.
    pub step_up_weeks: u32,
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not this step, not now or not by this party; these are possible.
    NotAllowed(Vec<Operation>),
    /// So many referrals are open.
    StillOpen(usize),
    /// The party named is the coordinator, or does not take part.
    Party,
}

/// What happened, for those who must know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Happened<P> {
    /// The step itself.
    Step(Operation),
    /// Nobody answered the offer; the coordinator stays.
    OfferLapsed(P),
    /// The offer does not stand any more: who was asked takes no part now, or the case is closed or coordinated by somebody else.
    OfferWithdrawn(P),
    /// Another party coordinates now.
    Coordinator {
        /// Who did.
        from: P,
        /// Who does.
        to: P,
    },
    /// The process director stepped up without the coordinator; to the privacy officer.
    SteppedUpByDirector,
    /// The step-up has come to its end.
    SteppedDown,
    /// The coordinator let a deadline pass.
    CoordinatorOverdue,
    /// The process director let the proposal wait that the coordinator had let wait; to its privacy officer.
    DirectorOverdue,
    /// Open again, because a referral was reopened.
    Reopened,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken<P: Ord> {
    /// Where the case stands now.
    pub case: Case<P>,
    /// As what it was taken.
    pub by: Role,
    /// What happened, in this order.
    pub happened: Vec<Happened<P>>,
}

/// The facts about a case that it does not hold itself.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a, P> {
    /// How many of its referrals have a holder.
    pub open: usize,
    /// The parties to its accepted referrals.
    pub participants: &'a [P],
    /// Whether the coordinator has let two deadlines in a row pass itself, in a referral of the case that it holds.
    pub coordinator_late: bool,
    /// The municipality.
    pub municipality: &'a P,
}

impl<P: Ord + Clone> Case<P> {
    /// A case that opens with a referral; its sender coordinates.
    #[must_use]
    pub const fn new(coordinator: P) -> Self {
        Self {
            coordinator,
            invited: BTreeSet::new(),
            hand_over: None,
            proposal: None,
            stepped_up: None,
            idle_until: None,
            closed_at: None,
        }
    }

    /// What a party is in it; none where it has nothing to do with it.
    #[must_use]
    pub fn roles(&self, party: &P, situation: &Situation<'_, P>) -> Vec<Role> {
        let is = [
            (Role::Coordinator, *party == self.coordinator),
            (
                Role::Candidate,
                self.hand_over.as_ref().is_some_and(|offer| offer.to == *party) && self.may_be_asked(party, situation),
            ),
            (Role::Invited, self.invited.contains(party)),
            (Role::Participant, situation.participants.contains(party)),
            (Role::ProcessDirector, party == situation.municipality && self.has_director()),
        ];
        is.into_iter().filter_map(|(role, holds)| holds.then_some(role)).collect()
    }

    /// Whether the municipality directs it, or may.
    #[must_use]
    pub fn has_director(&self) -> bool {
        self.stepped_up.is_some() || self.proposal.is_some_and(|proposal| proposal.overdue)
    }

    /// Whether a party may be asked to coordinate it.
    fn may_be_asked(&self, party: &P, situation: &Situation<'_, P>) -> bool {
        self.invited.contains(party) || situation.participants.contains(party) || party == situation.municipality
    }

    /// The next deadline; the gateway looks at the case then.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        [
            self.hand_over.as_ref().map(|offer| offer.due_at),
            self.proposal.map(|proposal| proposal.due_at),
            self.stepped_up.map(|step_up| step_up.until),
            self.idle_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn allows(&self, line: &Line, by: Role, situation: &Situation<'_, P>, now: Timestamp) -> bool {
        let overdue = self.proposal.is_some_and(|proposal| proposal.overdue);
        // Nobody gets out of being stepped up for its own delay by directing the case too.
        let own_delay = situation.coordinator_late && self.coordinator == *situation.municipality;
        let holds = match line.only {
            Only::Always => true,
            Only::NoOffer => self.hand_over.is_none(),
            Only::Offered => self.hand_over.is_some(),
            Only::Refusable => self.proposal.is_some_and(|proposal| !proposal.overdue) && !situation.coordinator_late,
            Only::CoordinatorOverdue => overdue,
            Only::RefusableByDirector => overdue && !own_delay,
            Only::SteppedUp => self.stepped_up.is_some(),
            Only::SteppedUpByOthers => self.stepped_up.is_some() && !own_delay,
            Only::SteppedUpByCoordinator => {
                self.stepped_up.is_some_and(|step_up| !step_up.by_director) && !situation.coordinator_late
            }
            Only::Ordinary => self.stepped_up.is_none() && self.proposal.is_none(),
            Only::NothingOpen => situation.open == 0,
            Only::Late => self.due_at().is_some_and(|due_at| due_at <= now),
        };
        holds && line.by.contains(&by) && (line.closed || self.closed_at.is_none())
    }

    /// Where it stands at this moment, also when nobody has noted yet that a deadline passed.
    #[must_use]
    pub fn settled(&self, terms: &Terms, now: Timestamp) -> Self {
        let mut settled = self.clone();
        settled.settle(terms, now, &mut Vec::new());
        settled
    }

    /// Notes the deadlines that have passed.
    fn settle(&mut self, terms: &Terms, now: Timestamp, happened: &mut Vec<Happened<P>>) {
        if let Some(offer) = self.hand_over.take_if(|offer| offer.due_at <= now) {
            happened.push(Happened::OfferLapsed(offer.to));
        }
        if let Some(proposal) = self.proposal.as_mut().filter(|proposal| proposal.due_at <= now) {
            happened.push(if proposal.overdue { Happened::DirectorOverdue } else { Happened::CoordinatorOverdue });
            *proposal = Proposal { due_at: after_working_days(now, terms.answer), overdue: true };
        }
        if self.stepped_up.take_if(|step_up| step_up.until <= now).is_some() {
            happened.push(Happened::SteppedDown);
        }
        if self.idle_until.is_some_and(|until| until <= now) {
            self.idle_until = Some(after_working_days(now, terms.answer));
            happened.push(Happened::CoordinatorOverdue);
        }
    }

    /// Whether the command names a party that it can be about.
    fn check_party(&self, command: &Command<P>, situation: &Situation<'_, P>) -> Result<(), Refusal> {
        let fine = match command {
            Command::OfferCoordination(to) => *to != self.coordinator && self.may_be_asked(to, situation),
            Command::Invite(who) => *who != self.coordinator && !self.invited.contains(who),
            Command::Remove(who) => self.invited.contains(who),
            _ => true,
        };
        if fine { Ok(()) } else { Err(Refusal::Party) }
    }

    fn coordinate(&mut self, to: P, happened: &mut Vec<Happened<P>>) {
        let from = std::mem::replace(&mut self.coordinator, to.clone());
        self.hand_over = None;
        // The former coordinator goes on taking part, so that what it needs does not stop in the middle.
        self.invited.insert(from.clone());
        self.invited.remove(&to);
        happened.push(Happened::Coordinator { from, to });
    }

    fn carry_out(
        &mut self,
        by: Role,
        command: &Command<P>,
        terms: &Terms,
        now: Timestamp,
        happened: &mut Vec<Happened<P>>,
    ) {
        let answer_by = || after_working_days(now, terms.answer);
        match command {
            Command::OfferCoordination(to) => {
                self.hand_over = Some(HandOver { to: to.clone(), due_at: answer_by() });
            }
            Command::AcceptCoordination => {
                if let Some(offer) = self.hand_over.take() {
                    self.coordinate(offer.to, happened);
                }
            }
            Command::DeclineCoordination | Command::RevokeOffer => self.hand_over = None,
            Command::Invite(who) => drop(self.invited.insert(who.clone())),
            Command::Remove(who) => drop(self.invited.remove(who)),
            Command::Leave | Command::DeadlinePassed => {}
            Command::StepUp(reason) => {
                if by == Role::ProcessDirector && self.stepped_up.is_none() {
                    happened.push(Happened::SteppedUpByDirector);
                }
                let until = after_days(now, terms.step_up_weeks.saturating_mul(7));
                // A renewal leaves it to whom it is to end it.
                let waited = self.proposal.is_some_and(|proposal| proposal.overdue);
                let by_director = self.stepped_up.map_or(waited, |now| now.by_director);
                self.stepped_up = Some(SteppedUp { reason: *reason, until, by_director });
                self.proposal = None;
            }
            Command::RefuseStepUp => self.proposal = None,
            Command::StepDown => {
                self.stepped_up = None;
                happened.push(Happened::SteppedDown);
            }
            Command::Close => {
                *self = Self { closed_at: Some(now), ..Self::new(self.coordinator.clone()) };
            }
            Command::ProposeStepUp => self.proposal = Some(Proposal { due_at: answer_by(), overdue: false }),
            Command::ReplaceCoordinator(municipality) => {
                if *municipality != self.coordinator {
                    self.coordinate(municipality.clone(), happened);
                }
            }
            Command::Referrals { open: 0 } => {
                if self.closed_at.is_none() {
                    self.idle_until = self.idle_until.or_else(|| Some(answer_by()));
                }
            }
            Command::Referrals { .. } => {
                self.idle_until = None;
                if self.closed_at.take().is_some() {
                    happened.push(Happened::Reopened);
                }
            }
        }
    }

    /// Takes a step for `party`, which for the gateway's own commands is none.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn step(
        &self,
        party: Option<&P>,
        command: &Command<P>,
        situation: &Situation<'_, P>,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Taken<P>, Refusal> {
        let mut happened = Vec::new();
        let mut next = self.clone();
        next.settle(terms, now, &mut happened);
        let roles = party.map_or_else(|| vec![Role::Gateway], |party| next.roles(party, situation));
        let operation = command.operation();
        let asked = if operation == O::Deadline { self } else { &next };
        let allowed = |asked: &Self, line: &Line, role: Role| asked.allows(line, role, situation, now);
        let line = TABLE.iter().filter(|line| line.operation == operation);
        let Some(by) = line
            .flat_map(|line| roles.iter().map(move |role| (line, *role)))
            .find_map(|(line, role)| allowed(asked, line, role).then_some(role))
        else {
            if operation == O::Close && roles.contains(&Role::Coordinator) && next.closed_at.is_none() {
                return Err(Refusal::StillOpen(situation.open));
            }
            let lines = TABLE.iter().filter(|line| roles.iter().any(|role| allowed(&next, line, *role)));
            let mut steps: Vec<_> = lines.map(|line| line.operation).collect();
            steps.dedup();
            return Err(Refusal::NotAllowed(steps));
        };
        next.check_party(command, situation)?;
        if let (Command::Leave, Some(party)) = (command, party) {
            next.invited.remove(party);
        }
        let asked = next.hand_over.as_ref().map(|offer| offer.to.clone());
        next.carry_out(by, command, terms, now, &mut happened);
        let no_longer = next.hand_over.as_ref().is_some_and(|offer| !next.may_be_asked(&offer.to, situation));
        next.hand_over.take_if(|_| no_longer);
        let answered = matches!(operation, O::AcceptCoordination | O::DeclineCoordination | O::RevokeOffer);
        let withdrawn = asked.filter(|_| next.hand_over.is_none() && !answered);
        happened.extend(withdrawn.filter(|asked| *asked != next.coordinator).map(Happened::OfferWithdrawn));
        happened.push(Happened::Step(operation));
        Ok(Taken { case: next, by, happened })
    }
}

impl<P> Command<P> {
    /// What the step is called.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::OfferCoordination(_) => O::OfferCoordination,
            Self::AcceptCoordination => O::AcceptCoordination,
            Self::DeclineCoordination => O::DeclineCoordination,
            Self::RevokeOffer => O::RevokeOffer,
            Self::Invite(_) => O::Invite,
            Self::Remove(_) => O::Remove,
            Self::Leave => O::Leave,
            Self::StepUp(_) => O::StepUp,
            Self::RefuseStepUp => O::RefuseStepUp,
            Self::StepDown => O::StepDown,
            Self::Close => O::Close,
            Self::ProposeStepUp => O::ProposeStepUp,
            Self::ReplaceCoordinator(_) => O::ReplaceCoordinator,
            Self::Referrals { .. } => O::Referrals,
            Self::DeadlinePassed => O::Deadline,
        }
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
pub(super) mod tests;
