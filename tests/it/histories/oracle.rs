//! What must be: the core itself, run beside the gateway on states of its own. It knows no storage, no request and no answer but what a step
//! comes to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use sluis::clock::Timestamp;
use sluis::covenant::Covenant;
use sluis::lifecycle::case::{self, Case, Situation};
use sluis::lifecycle::referral::{
    Command, Happened, Operation, Refusal, Role, State, Taken, Unable, allowed_steps, step,
};
use sluis::lifecycle::terms::Terms;
use sluis::lifecycle::{Outcome, Reason, Status};

use super::cast::{self, Org};
use super::commands::{goes_on, of_line};
use super::moves::Pick;
use super::news::{About, CaseStep, News, Subject};

/// A step that was taken, as the list of steps must show it.
#[derive(Debug, Clone)]
pub struct Step {
    pub operation: Operation,
    pub status: Status,
    pub reason: Option<Reason>,
    pub outcome: Option<Outcome>,
    /// Nobody: the gateway.
    pub by: Option<Org>,
    pub at: Timestamp,
    pub holder: Option<Org>,
    pub due_at: Option<Timestamp>,
    pub version: i64,
}

/// A referral.
#[derive(Debug, Clone)]
pub struct Referral {
    pub id: String,
    pub sender: Org,
    pub recipient: Org,
    pub priority: &'static str,
    pub case: usize,
    pub state: State,
    pub version: i64,
    pub updated_at: Timestamp,
    pub steps: Vec<Step>,
}

impl Referral {
    pub fn holder(&self) -> Option<Org> {
        cast::holder(self.sender, self.recipient, &self.state)
    }

    pub fn roles(&self, org: Org) -> Vec<Role> {
        cast::roles(self.sender, self.recipient, &self.state, org)
    }

    pub fn is_party(&self, org: Org) -> bool {
        org == self.sender || org == self.recipient
    }

    pub fn is_taken_on(&self) -> bool {
        self.state.status.is_taken_on(self.state.held_from)
    }

    /// Whether an organisation may know its case.
    pub fn names_case_to(&self, org: Org) -> bool {
        org == self.sender || (org == self.recipient && self.is_taken_on())
    }

    pub fn due_at(&self) -> Option<Timestamp> {
        self.state.deadline.map(|deadline| deadline.due_at)
    }
}

/// What came of a request for a new referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Opens,
    Joins(usize),
    /// There is no such case, for this sender.
    Unknown,
    Closed,
}

pub struct Oracle {
    pub covenant: Covenant,
    case_terms: case::Terms,
    pub referrals: Vec<Referral>,
    pub cases: Vec<Case<Org>>,
    /// Who is suspended, and since when.
    pub suspended: BTreeMap<Org, Timestamp>,
    /// What the gateway knew of the organisations when it last looked at them.
    noted: BTreeMap<Org, bool>,
    /// What was told, in its order, and not read yet.
    pub told: Vec<News>,
    /// Which referrals and cases have changed since somebody looked.
    pub changed: Vec<About>,
}

impl Oracle {
    pub fn new(covenant: Covenant, case_terms: case::Terms) -> Self {
        let noted = Org::ALL.into_iter().map(|org| (org, true)).collect();
        let (referrals, cases, told, changed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { covenant, case_terms, referrals, cases, suspended: BTreeMap::new(), noted, told, changed }
    }

    pub fn is_able(&self, org: Org) -> bool {
        !self.suspended.contains_key(&org)
    }

    pub fn able(&self) -> impl Iterator<Item = Org> {
        Org::ALL.into_iter().filter(|org| self.is_able(*org))
    }

    fn terms(&self, referral: usize) -> Terms {
        let it = &self.referrals[referral];
        cast::terms(&self.covenant, it.recipient, it.priority)
    }

    // ---- referrals ----

    /// A step of somebody's, or why not; nothing has changed.
    pub fn step(&self, referral: usize, org: Org, command: &Command, now: Timestamp) -> Result<Taken, Refusal> {
        let it = &self.referrals[referral];
        step(&it.state, &it.roles(org), command, &self.terms(referral), now)
    }

    /// The same, as its sender and nothing else: following on a referral by a new one is a step in it only then.
    pub fn step_as_sender(&self, referral: usize, command: &Command, now: Timestamp) -> Result<Taken, Refusal> {
        step(&self.referrals[referral].state, &[Role::Sender], command, &self.terms(referral), now)
    }

    /// The first step on the shortest way to an end, by those who can act, of what needs no other referral.
    pub fn way_out(&self, referral: usize, now: Timestamp) -> Option<(Org, Command)> {
        let terms = self.terms(referral);
        let mut seen = BTreeSet::new();
        let mut waiting = VecDeque::from([(self.referrals[referral].clone(), None)]);
        while let Some((it, first)) = waiting.pop_front() {
            if it.state.is_closed() {
                return first;
            }
            for org in self.able().collect::<Vec<_>>() {
                let lines = allowed_steps(&it.state, &it.roles(org), now);
                // The first reason and the first outcome, which is that the resident was helped.
                for command in lines.iter().filter_map(|line| of_line(line, Pick(0))) {
                    if goes_on(&command) || !self.crosses(&it, org, command == Command::Supplement) {
                        continue;
                    }
                    let taken = step(&it.state, &it.roles(org), &command, &terms, now);
                    let Ok(Taken { state, .. }) = taken else { continue };
                    if seen.insert(state) {
                        waiting.push_back((Referral { state, ..it.clone() }, first.or(Some((org, command)))));
                    }
                }
            }
        }
        None
    }

    /// Whether the covenant lets a bare step, or one with sections, cross now: between parties that can both act, or from one that is
    /// known to stand in for the other, or from who is no party.
    pub fn crosses(&self, it: &Referral, org: Org, with_sections: bool) -> bool {
        let Unable { sender, recipient } = it.state.unable;
        let (other, noted) = if org == it.sender { (it.recipient, recipient) } else { (it.sender, sender) };
        !it.is_party(org) || self.is_able(other) || (noted && !with_sections)
    }

    /// Whether the covenant lets this be handed over now.
    pub fn permits(&self, sender: Org, recipient: Org) -> bool {
        cast::route(sender, recipient).is_some() && self.is_able(sender) && self.is_able(recipient)
    }

    /// Notes a step that was taken, with what it means for its case.
    pub fn take(&mut self, referral: usize, by: Option<Org>, command: &Command, taken: &Taken, now: Timestamp) {
        let proposes = self.note(referral, by, command, taken, now);
        self.follow(referral, proposes, now);
    }

    /// Notes a step in the referral itself: what of it the case has to know.
    pub fn note(
        &mut self,
        referral: usize,
        by: Option<Org>,
        command: &Command,
        taken: &Taken,
        now: Timestamp,
    ) -> Option<bool> {
        let it = &mut self.referrals[referral];
        let was = (it.state.is_closed(), it.is_taken_on());
        it.state = taken.state;
        it.version += 1;
        it.updated_at = now;
        let (reason, outcome) = match *command {
            Command::Update { reason, outcome, .. } => (reason, outcome),
            Command::AskCancellation(reason) | Command::RefuseCancellation(reason) => (Some(reason), None),
            Command::Resolve(outcome) => (None, Some(outcome)),
            _ => (None, None),
        };
        let (operation, status, holder, due_at) = (command.operation(), it.state.status, it.holder(), it.due_at());
        it.steps.push(Step { operation, status, reason, outcome, by, at: now, holder, due_at, version: it.version });
        let is = (it.state.is_closed(), it.is_taken_on());
        self.told.extend(self.subject(referral).told(&taken.happened, by));
        self.changed.push(About::Referral(referral));
        let proposes = taken.happened.contains(&Happened::StepUpProposed);
        (was != is || proposes).then_some(proposes)
    }

    /// What its case makes of a step that opened or closed it, that changed who takes part, or that was too late twice.
    pub fn follow(&mut self, referral: usize, proposes: Option<bool>, now: Timestamp) {
        let (Some(proposes), case) = (proposes, self.referrals[referral].case) else { return };
        self.changed.push(About::Case(case));
        self.by_gateway(case, &case::Command::Referrals { open: self.open(case) }, now);
        if proposes {
            self.by_gateway(case, &case::Command::ProposeStepUp, now);
        }
    }

    pub fn subject(&self, number: usize) -> Subject {
        let it = &self.referrals[number];
        let Referral { sender, recipient, state, version, .. } = *it;
        Subject { number, sender, recipient, holder: it.holder(), state, version }
    }

    /// Where a new referral of `sender` belongs that names a case, or follows on a referral of which it is a party.
    pub fn place(&self, sender: Org, named: Option<usize>, follows: Option<usize>) -> Entry {
        let takes_part = |case: usize| self.takes_part(case, sender);
        match (named, follows.map(|earlier| self.referrals[earlier].case)) {
            (Some(case), _) if !takes_part(case) => Entry::Unknown,
            (Some(case), _) if self.cases[case].closed_at.is_some() => Entry::Closed,
            (Some(case), _) => Entry::Joins(case),
            (None, Some(case)) if takes_part(case) && self.cases[case].closed_at.is_none() => Entry::Joins(case),
            _ => Entry::Opens,
        }
    }

    /// A new referral: its number. A case in which nothing was open hears of it.
    pub fn open_referral(
        &mut self,
        id: String,
        (sender, recipient): (Org, Org),
        priority: &'static str,
        case: Option<usize>,
        now: Timestamp,
    ) -> usize {
        let was_idle = case.map(|case| self.open(case) == 0);
        let case = case.unwrap_or_else(|| {
            self.cases.push(Case::new(sender));
            self.cases.len() - 1
        });
        let state = State::new(&cast::terms(&self.covenant, recipient, priority), now);
        let number = self.referrals.len();
        let steps = Vec::new();
        let it = Referral { id, sender, recipient, priority, case, state, version: 1, updated_at: now, steps };
        self.referrals.push(it);
        self.told.push(self.subject(number).requested());
        self.changed.extend([About::Referral(number), About::Case(case)]);
        if was_idle == Some(true) {
            self.by_gateway(case, &case::Command::Referrals { open: self.open(case) }, now);
        }
        number
    }

    // ---- cases ----

    pub fn open(&self, case: usize) -> usize {
        self.referrals.iter().filter(|it| it.case == case && !it.state.is_closed()).count()
    }

    /// The parties to the referrals of a case that were taken on.
    pub fn participants(&self, case: usize) -> Vec<Org> {
        let taken_on = self.referrals.iter().filter(|it| it.case == case && it.is_taken_on());
        let mut parties: Vec<Org> = taken_on.flat_map(|it| [it.sender, it.recipient]).collect();
        parties.sort_unstable();
        parties.dedup();
        parties
    }

    pub fn takes_part(&self, case: usize, org: Org) -> bool {
        let it = &self.cases[case];
        it.coordinator == org || it.invited.contains(&org) || self.participants(case).contains(&org)
    }

    /// A case at this moment, as whoever reads it sees it.
    pub fn settled(&self, case: usize, now: Timestamp) -> Case<Org> {
        self.cases[case].settled(&self.case_terms, now)
    }

    pub fn case_roles(&self, case: usize, org: Org, now: Timestamp) -> Vec<case::Role> {
        let participants = self.participants(case);
        self.settled(case, now).roles(&org, &self.situation(case, &participants))
    }

    fn situation<'a>(&self, case: usize, participants: &'a [Org]) -> Situation<'a, Org> {
        let coordinator = self.cases[case].coordinator;
        let late =
            |it: &&Referral| it.holder() == Some(coordinator) && it.state.deadline.is_some_and(|it| it.missed >= 2);
        let coordinator_late = self.referrals.iter().filter(|it| it.case == case).any(|it| late(&it));
        Situation { open: self.open(case), participants, coordinator_late, municipality: &Org::Municipality }
    }

    /// A step of somebody's in a case as it stands, or why not; nobody: the gateway's. Nothing has changed.
    pub fn case_step(
        &self,
        (case, state): (usize, &Case<Org>),
        by: Option<Org>,
        command: &case::Command<Org>,
        now: Timestamp,
    ) -> Result<case::Taken<Org>, case::Refusal> {
        let participants = self.participants(case);
        state.step(by.as_ref(), command, &self.situation(case, &participants), &self.case_terms, now)
    }

    /// Notes a step in a case that was taken.
    pub fn take_in_case(
        &mut self,
        number: usize,
        by: Option<Org>,
        command: &case::Command<Org>,
        taken: case::Taken<Org>,
    ) {
        use case::Command::{Invite, OfferCoordination, Remove, ReplaceCoordinator};
        let named = match command {
            OfferCoordination(who) | Invite(who) | Remove(who) | ReplaceCoordinator(who) => Some(*who),
            _ => None,
        };
        let participants = self.participants(number);
        let before = std::mem::replace(&mut self.cases[number], taken.case);
        let after = &self.cases[number];
        let step = CaseStep { number, before: &before, after, participants: &participants, by, named };
        self.told.extend(step.told(&taken.happened));
        self.changed.push(About::Case(number));
    }

    /// A step of the gateway's own; one that is not possible is none.
    fn by_gateway(&mut self, case: usize, command: &case::Command<Org>, now: Timestamp) {
        if let Ok(taken) = self.case_step((case, &self.cases[case]), None, command, now) {
            self.take_in_case(case, None, command, taken);
        }
    }

    /// Everyone who is called to a meeting hears of it, also who takes part already.
    pub fn tell_of_meeting(&mut self, case: usize, with: &BTreeSet<Org>) {
        let (kind, about) = ("case.meeting-called", About::Case(case));
        let news = |to: &Org| News { to: *to, kind, about, data: serde_json::json!({}), version: None };
        self.told.extend(with.iter().map(news));
        self.changed.push(about);
    }

    // ---- the gateway looks ----

    /// After a start it remembers nothing of the organisations.
    pub fn forget(&mut self) {
        self.noted.clear();
    }

    /// Everything that must have been noted after a look.
    pub fn look(&mut self, now: Timestamp) {
        self.look_at_parties(now);
        for referral in 0..self.referrals.len() {
            self.gateway_steps(referral, &Command::DeadlinePassed, now);
        }
        for case in 0..self.cases.len() {
            self.by_gateway(case, &case::Command::DeadlinePassed, now);
        }
        for case in 0..self.cases.len() {
            if !self.is_able(self.cases[case].coordinator) {
                self.by_gateway(case, &case::Command::ReplaceCoordinator(Org::Municipality), now);
            }
        }
    }

    fn look_at_parties(&mut self, now: Timestamp) {
        let differs = |org: &Org| self.noted.get(org) != Some(&self.is_able(*org));
        let new: Vec<Org> = Org::ALL.into_iter().filter(differs).collect();
        let back = new.iter().any(|org| self.is_able(*org));
        for referral in 0..self.referrals.len() {
            let it = &self.referrals[referral];
            let unable = Unable { sender: !self.is_able(it.sender), recipient: !self.is_able(it.recipient) };
            let lost = it.holder().is_some_and(|holder| new.contains(&holder) && !self.is_able(holder));
            let returned = back && it.state.unable != Unable::default();
            if (lost || returned) && unable != it.state.unable {
                self.gateway_steps(referral, &Command::Standing(unable), now);
            }
        }
        self.noted = Org::ALL.into_iter().map(|org| (org, self.is_able(org))).collect();
    }

    fn gateway_steps(&mut self, referral: usize, command: &Command, now: Timestamp) {
        let it = &self.referrals[referral];
        if let Ok(taken) = step(&it.state, &[Role::Gateway], command, &self.terms(referral), now) {
            self.take(referral, None, command, &taken, now);
        }
    }

    // ---- organisations ----

    pub fn set_standing(&mut self, org: Org, active: bool, now: Timestamp) {
        let kind = if active { "organisation.resumed" } else { "organisation.suspended" };
        if active {
            self.suspended.remove(&org);
        } else {
            self.suspended.insert(org, now);
        }
        let about = About::Organisation(org);
        let others: Vec<Org> = self.able().filter(|other| *other != org).collect();
        let data = serde_json::json!({ "organisation": org.oin() });
        let news = |to| News { to, kind, about, data: data.clone(), version: None };
        self.told.extend(others.into_iter().map(news));
    }

    /// What the core lists for whoever may not do what it tried.
    pub fn listed(refusal: &Refusal) -> Option<Value> {
        match refusal {
            Refusal::NotAllowed(steps) => serde_json::to_value(steps).ok(),
            _ => None,
        }
    }
}
