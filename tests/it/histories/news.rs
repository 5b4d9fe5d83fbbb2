//! Who is told what: `docs/events.md` once more, from what the core says has happened.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::lifecycle::case::{self, Case};
use sluis::lifecycle::referral::{Happened, Operation, State};

use super::cast::Org;

/// What an event is about; each reader has names of its own for some of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    Referral(usize),
    /// A referral as the monitor knows it.
    Handoff(usize),
    Case(usize),
    Organisation(Org),
}

/// An event that somebody must get, without the ids in its data.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    pub to: Org,
    /// The type, without what all have in common.
    pub kind: &'static str,
    pub about: About,
    pub data: Value,
    /// The version of the referral after the step that it tells of.
    pub version: Option<i64>,
    /// Whether it says where to fetch what it is about: there is something for the reader.
    pub leads: bool,
}

impl News {
    /// Whether it names the trace of the request that caused it: not where the clock or the register did, and never in a case, whose readers
    /// must not find that they hear of the same.
    pub fn is_traced(&self) -> bool {
        match self.kind {
            "referral.requested" | "referral.disclosed" => true,
            "referral.status-updated" => self.data["operation"] != json!(Operation::Standing),
            _ => false,
        }
    }
}

/// A referral, for telling of it.
pub struct Subject {
    pub number: usize,
    pub sender: Org,
    pub recipient: Org,
    pub holder: Option<Org>,
    pub state: State,
    pub version: i64,
}

impl Subject {
    fn parties(&self) -> [Org; 2] {
        [self.sender, self.recipient]
    }

    fn news(&self, to: Org, kind: &'static str, data: Value) -> News {
        News { to, kind, about: About::Referral(self.number), data, version: None, leads: true }
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.state.deadline.map(|deadline| deadline.due_at)
    }

    pub fn requested(&self) -> News {
        let data = json!({ "status": "requested", "dueAt": self.due_at() });
        self.news(self.recipient, "referral.requested", data)
    }

    pub fn disclosed(&self) -> News {
        self.news(self.sender, "referral.disclosed", json!({}))
    }

    /// The other party, and who holds it now or did before.
    fn of_step(&self, operation: Operation, by: Option<Org>, former: Option<Org>) -> Vec<News> {
        let mut told: BTreeSet<Org> = self.parties().into_iter().chain(self.holder).chain(former).collect();
        told.retain(|org| Some(*org) != by);
        let data = json!({ "status": self.state.status, "operation": operation });
        let version = Some(self.version);
        told.into_iter().map(|to| News { version, ..self.news(to, "referral.status-updated", data.clone()) }).collect()
    }

    /// Both parties and the monitor. What the municipality's privacy officer is told has a feed of its own, which these histories do not read.
    fn of_deadline(&self, missed: u32) -> Vec<News> {
        let data = json!({ "missedDeadlines": missed, "dueAt": self.due_at() });
        let mut told: Vec<News> =
            self.parties().into_iter().map(|to| self.news(to, "referral.overdue", data.clone())).collect();
        let (about, version) = (About::Handoff(self.number), Some(self.version));
        let monitor = |kind, data| News { about, version, leads: false, ..self.news(Org::Municipality, kind, data) };
        told.push(monitor("handoff.overdue", json!({ "missedDeadlines": missed })));
        told
    }

    /// Every organisation's own system that is told of what happened; `former` is who held it before.
    pub fn told(&self, happened: &[Happened], by: Option<Org>, former: Option<Org>) -> Vec<News> {
        let mut told = Vec::new();
        for happened in happened {
            match *happened {
                Happened::Overdue { missed, .. } => told.extend(self.of_deadline(missed)),
                // That the gateway noted it is said by what it brings about.
                Happened::Step(Operation::Deadline) => {}
                Happened::Step(operation) => told.extend(self.of_step(operation, by, former)),
                // These are said by the others, or by what happens in the case.
                _ => {}
            }
        }
        told
    }
}

/// A step in a case, for telling of it.
pub struct CaseStep<'a> {
    pub number: usize,
    pub before: &'a Case<Org>,
    pub after: &'a Case<Org>,
    /// Whether the municipality directed it before, or might have.
    pub directed: bool,
    /// Parties to what was taken on.
    pub participants: &'a [Org],
    pub by: Option<Org>,
    /// The organisation that the step names.
    pub named: Option<Org>,
}

impl CaseStep<'_> {
    /// Everyone who coordinates it or takes part, before or after.
    fn everyone(&self) -> BTreeSet<Org> {
        let Self { before, after, .. } = self;
        let invited = before.invited.iter().chain(&after.invited);
        invited.chain(self.participants).chain([&before.coordinator, &after.coordinator]).copied().collect()
    }

    fn with_municipality(&self) -> BTreeSet<Org> {
        self.everyone().into_iter().chain([Org::Municipality]).collect()
    }

    pub fn told(&self, happened: &[case::Happened<Org>]) -> Vec<News> {
        happened.iter().flat_map(|happened| self.told_of(happened)).collect()
    }

    fn told_of(&self, happened: &case::Happened<Org>) -> Vec<News> {
        use case::Happened as H;
        let (coordinator, candidate) = (self.before.coordinator, self.before.hand_over.as_ref().map(|offer| offer.to));
        let tell = |to: &mut dyn Iterator<Item = Org>, kind: &'static str, data: Value| -> Vec<News> {
            let about = About::Case(self.number);
            to.map(|to| News { to, kind, about, data: data.clone(), version: None, leads: true }).collect()
        };
        match happened {
            H::OfferLapsed(candidate) => {
                let both = [coordinator, *candidate];
                tell(&mut both.into_iter(), "case.offer-ended", json!({ "reason": "lapsed" }))
            }
            H::OfferWithdrawn(candidate) => {
                tell(&mut [*candidate].into_iter(), "case.offer-ended", json!({ "reason": "revoked" }))
            }
            H::Coordinator { to, .. } => {
                let data = json!({ "coordinator": to.oin() });
                tell(&mut self.everyone().into_iter(), "case.coordinator-changed", data)
            }
            // To the privacy officer alone.
            H::SteppedUpByDirector | H::DirectorOverdue => Vec::new(),
            H::SteppedDown => tell(&mut self.with_municipality().into_iter(), "case.stepped-down", json!({})),
            H::CoordinatorOverdue => {
                let both = BTreeSet::from([coordinator, Org::Municipality]);
                let data = json!({ "coordinator": coordinator.oin() });
                tell(&mut both.into_iter(), "case.coordinator-overdue", data)
            }
            H::Reopened => tell(&mut self.everyone().into_iter(), "case.reopened", json!({})),
            H::Step(operation) => {
                use case::Operation as O;
                let left = |who: Option<Org>| json!({ "organisation": who.map(Org::oin) });
                let (to, kind, data) = match operation {
                    O::OfferCoordination => {
                        let due_at = self.after.hand_over.as_ref().map(|offer| offer.due_at);
                        (self.named, "case.coordination-offered", json!({ "dueAt": due_at }))
                    }
                    O::DeclineCoordination => (Some(coordinator), "case.offer-ended", json!({ "reason": "declined" })),
                    O::RevokeOffer => (candidate, "case.offer-ended", json!({ "reason": "revoked" })),
                    O::Invite => (self.named, "case.participant-invited", json!({})),
                    O::Remove => (self.named, "case.participant-left", left(self.named)),
                    O::Leave => (Some(coordinator), "case.participant-left", left(self.by)),
                    O::ProposeStepUp => {
                        let due_at = self.after.proposal.map(|proposal| proposal.due_at);
                        (Some(coordinator), "case.step-up-proposed", json!({ "dueAt": due_at }))
                    }
                    O::StepUp => {
                        let now = self.after.stepped_up;
                        let until = json!({ "until": now.map(|now| now.until) });
                        let mut why = until.clone();
                        why["reason"] = json!(now.map(|now| now.reason));
                        // Why is between who coordinates and who directs.
                        let knows_why = |org: &Org| *org == self.after.coordinator || *org == Org::Municipality;
                        let (steering, others): (Vec<Org>, Vec<Org>) =
                            self.with_municipality().into_iter().partition(knows_why);
                        let mut told = tell(&mut steering.into_iter(), "case.stepped-up", why);
                        told.extend(tell(&mut others.into_iter(), "case.stepped-up", until));
                        return told;
                    }
                    O::Close => {
                        let told = if self.directed { self.with_municipality() } else { self.everyone() };
                        return tell(&mut told.into_iter(), "case.closed", json!({}));
                    }
                    // Said by what they bring about.
                    _ => return Vec::new(),
                };
                tell(&mut to.into_iter(), kind, data)
            }
        }
    }
}
