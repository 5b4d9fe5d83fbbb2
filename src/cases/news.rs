//! Who hears what of a step in a case, and what of it goes into its history.
//!
//! Invariant: what happened is told to those whom it concerns and to nobody who has nothing to do with the case.

use std::collections::BTreeSet;

use super::store::{Event, What};
use super::types::{Rules, Whole};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::case::{Case, Happened, Operation, SteppedUp};
use crate::relay::{CaseNews, OfferEnd};

/// What is to be told, and to whom.
pub(super) type News = Vec<(Oin, CaseNews)>;

/// A step, for telling of it.
pub(super) struct Told<'a> {
    /// Before it.
    pub(super) before: &'a Case<Oin>,
    /// After it.
    pub(super) after: &'a Whole,
    /// Who took it; none for the gateway.
    pub(super) by: Option<&'a Oin>,
    /// The organisation that it names.
    pub(super) named: Option<&'a Oin>,
    pub(super) rules: &'a Rules,
    pub(super) now: Timestamp,
}

impl Told<'_> {
    /// Everyone who coordinates it or takes part, before the step or after it.
    fn circle(&self) -> BTreeSet<Oin> {
        let case = &self.after.kept.case;
        let mut circle: BTreeSet<Oin> = self.after.participants.iter().cloned().collect();
        circle.extend(self.before.invited.iter().chain(&case.invited).cloned());
        circle.extend([self.before.coordinator.clone(), case.coordinator.clone()]);
        circle
    }

    /// The same with the process director.
    fn circle_and_director(&self) -> BTreeSet<Oin> {
        let mut circle = self.circle();
        circle.insert(self.rules.municipality.clone());
        circle
    }

    /// What is to be told of something that happened.
    pub(super) fn news(&self, happened: &Happened<Oin>) -> News {
        let case = &self.after.kept.case;
        let coordinator = || self.before.coordinator.clone();
        let all = |to: BTreeSet<Oin>, news: CaseNews| to.into_iter().map(|to| (to, news.clone())).collect();
        match happened {
            Happened::Step(operation) => self.news_of_step(*operation),
            Happened::OfferLapsed(candidate) => {
                let news = CaseNews::OfferEnded { reason: OfferEnd::Lapsed };
                vec![(coordinator(), news.clone()), (candidate.clone(), news)]
            }
            Happened::OfferWithdrawn(candidate) => {
                vec![(candidate.clone(), CaseNews::OfferEnded { reason: OfferEnd::Revoked })]
            }
            Happened::Coordinator { to, .. } => {
                all(self.circle(), CaseNews::CoordinatorChanged { coordinator: to.clone() })
            }
            // To its privacy officer, beside the record.
            Happened::SteppedUpByDirector | Happened::DirectorOverdue => Vec::new(),
            Happened::SteppedDown => all(self.circle_and_director(), CaseNews::SteppedDown),
            Happened::CoordinatorOverdue => {
                let to = BTreeSet::from([coordinator(), self.rules.municipality.clone()]);
                all(to, CaseNews::CoordinatorOverdue { coordinator: case.coordinator.clone() })
            }
            Happened::Reopened => all(self.circle(), CaseNews::Reopened),
        }
    }

    fn news_of_step(&self, operation: Operation) -> News {
        let case = &self.after.kept.case;
        let named = || self.named.cloned();
        let offered = self.before.hand_over.as_ref().map(|offer| offer.to.clone());
        let one = |to: Option<Oin>, news: CaseNews| to.map(|to| (to, news)).into_iter().collect();
        match operation {
            Operation::OfferCoordination => case
                .hand_over
                .iter()
                .map(|offer| (offer.to.clone(), CaseNews::CoordinationOffered { due_at: offer.due_at }))
                .collect(),
            Operation::DeclineCoordination => {
                let news = CaseNews::OfferEnded { reason: OfferEnd::Declined };
                one(Some(case.coordinator.clone()), news)
            }
            Operation::RevokeOffer => one(offered, CaseNews::OfferEnded { reason: OfferEnd::Revoked }),
            Operation::Invite => one(named(), CaseNews::ParticipantInvited),
            Operation::Remove => {
                let left = named().map(|organisation| CaseNews::ParticipantLeft { organisation });
                named().zip(left).into_iter().collect()
            }
            Operation::Leave => {
                let left = self.by.cloned().map(|organisation| CaseNews::ParticipantLeft { organisation });
                left.map(|left| (case.coordinator.clone(), left)).into_iter().collect()
            }
            Operation::ProposeStepUp => {
                let proposed = case.proposal.map(|proposal| CaseNews::StepUpProposed { due_at: proposal.due_at });
                proposed.map(|proposed| (case.coordinator.clone(), proposed)).into_iter().collect()
            }
            Operation::StepUp => {
                // Why is between those who steer.
                let knows_why = |to: &Oin| *to == case.coordinator || *to == self.rules.municipality;
                let news = |to: Oin, now: SteppedUp| {
                    let reason = Some(now.reason).filter(|_| knows_why(&to));
                    (to, CaseNews::SteppedUp { reason, until: now.until })
                };
                let to = self.circle_and_director().into_iter();
                case.stepped_up.map(|now| to.map(|to| news(to, now)).collect()).unwrap_or_default()
            }
            Operation::Close => {
                let before = self.before.settled(&self.rules.terms, self.now);
                let directs = before.has_director();
                let to = if directs { self.circle_and_director() } else { self.circle() };
                to.into_iter().map(|to| (to, CaseNews::Closed)).collect()
            }
            // The others are told of by what they bring about.
            Operation::AcceptCoordination
            | Operation::RefuseStepUp
            | Operation::StepDown
            | Operation::ReplaceCoordinator
            | Operation::Referrals
            | Operation::Deadline => Vec::new(),
        }
    }

    /// What of it goes into the history.
    pub(super) fn history(&self, happened: &[Happened<Oin>]) -> Vec<Event> {
        let after = &self.after.kept.case;
        let event = |what| Event { what, at: self.now };
        let mut events = Vec::new();
        for happened in happened {
            match happened {
                Happened::Coordinator { from, to } => {
                    events.push(event(What::Coordinator { from: from.clone(), to: to.clone() }));
                }
                Happened::SteppedDown => events.push(event(What::SteppedDown)),
                Happened::Step(Operation::Close) if self.before.stepped_up.is_some() => {
                    events.push(event(What::SteppedDown));
                }
                Happened::Step(Operation::StepUp) => {
                    let by = self.by.unwrap_or(&after.coordinator).clone();
                    let what = after.stepped_up.map(|now| What::SteppedUp { by, reason: now.reason, until: now.until });
                    events.extend(what.map(event));
                }
                _ => {}
            }
        }
        events
    }
}
