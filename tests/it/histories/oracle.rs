//! What must be: the core itself, run beside the gateway on states of its own. It knows no storage, no request and no answer but what a step
//! comes to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::json;
use sluis::clock::Timestamp;
use sluis::covenant::Covenant;
use sluis::lifecycle::case::{self, Case, Situation};
use sluis::lifecycle::parties::{Crossing, Moved};
use sluis::lifecycle::referral::{
    Command, Happened, Operation, Refusal, Role, State, Taken, Unable, allowed_steps, is_stuck, step,
};
use sluis::lifecycle::terms::Terms;
use sluis::lifecycle::{Outcome, Reason, Status};

use super::cast::{self, Org, Sight};
use super::chronicle::Chronicle;
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
    /// The referral that it follows on.
    pub based_on: Option<usize>,
    pub state: State,
    pub version: i64,
    pub updated_at: Timestamp,
    pub steps: Vec<Step>,
}

impl Referral {
    pub fn holder(&self) -> Option<Org> {
        cast::holder(self.sender, self.recipient, &self.state)
    }

    pub fn is_party(&self, org: Org) -> bool {
        org == self.sender || org == self.recipient
    }

    pub fn sight(&self, org: Org) -> Sight {
        cast::sight(self.sender, self.recipient, org)
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

    /// Whether its parties do not get it further, as far as that was noted.
    pub fn is_noted_as_stuck(&self) -> bool {
        let missed = self.state.deadline.map_or(0, |deadline| deadline.missed);
        is_stuck(self.state.status, self.state.unable, self.state.chain.is_none(), missed)
    }

    /// As which party an organisation takes a step.
    fn party(&self, org: Org) -> Option<Role> {
        match org {
            _ if org == self.sender => Some(Role::Sender),
            _ if org == self.recipient => Some(Role::Recipient),
            _ => None,
        }
    }
}

/// What came of a request for a new referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Opens,
    Joins(usize),
    /// There is no such case, or no such referral, for this sender; or they do not go together.
    Unknown,
    Closed,
}

pub struct Oracle {
    pub covenant: Covenant,
    case_terms: case::Terms,
    pub referrals: Vec<Referral>,
    pub cases: Vec<Case<Org>>,
    /// What is remembered of each case.
    pub chronicles: Vec<Chronicle>,
    /// Who is suspended, and since when.
    pub suspended: BTreeMap<Org, Timestamp>,
    /// What was told, in its order, and not read yet.
    pub told: Vec<News>,
    /// Which referrals and cases have changed since somebody looked.
    pub changed: Vec<About>,
}

impl Oracle {
    pub fn new(covenant: Covenant, case_terms: case::Terms) -> Self {
        let (referrals, cases, chronicles) = (Vec::new(), Vec::new(), Vec::new());
        let (suspended, told, changed) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { covenant, case_terms, referrals, cases, chronicles, suspended, told, changed }
    }

    pub fn is_able(&self, org: Org) -> bool {
        !self.suspended.contains_key(&org)
    }

    pub fn able(&self) -> impl Iterator<Item = Org> {
        Org::ALL.into_iter().filter(|org| self.is_able(*org))
    }

    fn terms(&self, it: &Referral) -> Terms {
        cast::terms(&self.covenant, it.recipient, it.priority)
    }

    // ---- referrals ----

    /// As what an organisation may take steps in a referral; nothing where that does not exist for it.
    pub fn roles(&self, it: &Referral, org: Org, now: Timestamp) -> Vec<Role> {
        let in_case = self.case_roles(it.case, org, now);
        it.state.roles(cast::towards(it.sender, it.recipient, org).in_case(&in_case), now)
    }

    /// Which of its parties cannot act, whether that was noted or not.
    fn unable(&self, it: &Referral) -> Unable {
        Unable { sender: !self.is_able(it.sender), recipient: !self.is_able(it.recipient) }
    }

    /// A step of somebody's in a referral as it stands, or why not. Nothing has changed.
    pub fn possible(&self, it: &Referral, org: Org, command: &Command, now: Timestamp) -> Result<Taken, Refusal> {
        step(&it.state, &self.roles(it, org, now), command, &self.terms(it), now)
    }

    /// The same, with what the gateway notes before it.
    pub fn moved(&self, it: &Referral, org: Org, command: &Command, now: Timestamp) -> Result<Moved, Refusal> {
        Moved::of(&it.state, &self.roles(it, org, now), command, self.unable(it), &self.terms(it), now)
    }

    /// Whether a new referral by this party takes over the chain of the one that it is based on, and the step that it is in it.
    pub fn goes_on(&self, earlier: usize, org: Org, now: Timestamp) -> Option<Moved> {
        let it = &self.referrals[earlier];
        let party: Vec<Role> = it.party(org).into_iter().collect();
        Moved::of(&it.state, &party, &Command::ReferOn, self.unable(it), &self.terms(it), now).ok()
    }

    /// Whether the covenant lets a bare step, or one with sections, cross now.
    pub fn crosses(&self, it: &Referral, org: Org, with_sections: bool) -> bool {
        match self.unable(it).lets(it.party(org)) {
            Crossing::Everything => true,
            Crossing::BareSteps => !with_sections,
            Crossing::Nothing => false,
        }
    }

    /// The first step on the shortest way to an end, by those who can act, of what needs no other referral.
    pub fn way_out(&self, referral: usize, now: Timestamp) -> Option<(Org, Command)> {
        let mut seen = BTreeSet::new();
        let mut waiting = VecDeque::from([(self.referrals[referral].clone(), None)]);
        while let Some((it, first)) = waiting.pop_front() {
            if it.state.is_closed() {
                return first;
            }
            for org in self.able().collect::<Vec<_>>() {
                let lines = allowed_steps(&it.state, &self.roles(&it, org, now), now);
                // The first reason and the first outcome, which is that the resident was helped.
                for command in lines.iter().filter_map(|line| of_line(line, Pick(0))) {
                    if goes_on(&command) || !self.crosses(&it, org, command == Command::Supplement) {
                        continue;
                    }
                    let Ok(Moved { taken: Taken { state, .. }, .. }) = self.moved(&it, org, &command, now) else {
                        continue;
                    };
                    if seen.insert(state) {
                        waiting.push_back((Referral { state, ..it.clone() }, first.or(Some((org, command)))));
                    }
                }
            }
        }
        None
    }

    /// Whether the covenant lets this be handed over now.
    pub fn permits(&self, sender: Org, recipient: Org) -> bool {
        cast::route(sender, recipient).is_some() && self.is_able(sender) && self.is_able(recipient)
    }

    /// Notes a step that was taken, what the gateway noted before it, and what it all means for its case.
    pub fn take(&mut self, referral: usize, by: Option<Org>, command: &Command, moved: &Moved, now: Timestamp) {
        let facts = |it: &Referral| (it.state.is_closed(), it.is_taken_on());
        let before = facts(&self.referrals[referral]);
        if let Some(noted) = &moved.noted {
            self.note(referral, None, &Command::Standing(noted.state.unable), noted, now);
        }
        self.note(referral, by, command, &moved.taken, now);
        let proposes = moved.as_one().happened.contains(&Happened::StepUpProposed);
        if before == facts(&self.referrals[referral]) && !proposes {
            return;
        }
        // It was opened or closed, or who takes part has changed, or it was too late twice.
        let case = self.referrals[referral].case;
        self.by_gateway(case, &case::Command::Referrals { open: self.open(case) }, now);
        if proposes {
            self.by_gateway(case, &case::Command::ProposeStepUp, now);
        }
    }

    /// Notes a step in the referral itself.
    fn note(&mut self, referral: usize, by: Option<Org>, command: &Command, taken: &Taken, now: Timestamp) {
        let it = &mut self.referrals[referral];
        let former = it.holder();
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
        let told = self.subject(referral).told(&taken.happened, by, former);
        self.tell(told, now);
        self.changed.push(About::Referral(referral));
    }

    pub fn subject(&self, number: usize) -> Subject {
        let it = &self.referrals[number];
        let Referral { sender, recipient, state, version, .. } = *it;
        Subject { number, sender, recipient, holder: it.holder(), state, version }
    }

    /// Where a new referral of `sender` belongs that names a case, or is based on another, or both.
    pub fn place(&self, sender: Org, named: Option<usize>, follows: Option<usize>, now: Timestamp) -> Entry {
        let is_closed = |case: usize| self.cases[case].closed_at.is_some();
        let join = |case: usize| if is_closed(case) { Entry::Closed } else { Entry::Joins(case) };
        let follows = match follows.map(|earlier| (earlier, &self.referrals[earlier])) {
            Some((_, it)) if !it.is_party(sender) => return Entry::Unknown,
            // A chain goes on in its own case.
            Some((earlier, it)) if self.goes_on(earlier, sender, now).is_some() => {
                return if named.is_some_and(|case| case != it.case) { Entry::Unknown } else { join(it.case) };
            }
            other => other.map(|(_, it)| it),
        };
        match (named, follows) {
            (Some(case), _) if !self.takes_part(case, sender) => Entry::Unknown,
            (Some(case), _) => join(case),
            (None, Some(it)) => {
                let may = self.takes_part(it.case, sender) && it.names_case_to(sender) && !is_closed(it.case);
                if may { Entry::Joins(it.case) } else { Entry::Opens }
            }
            (None, None) => Entry::Opens,
        }
    }

    /// A new referral: its number. A case in which nothing was open hears of it.
    pub fn open_referral(
        &mut self,
        id: String,
        (sender, recipient): (Org, Org),
        priority: &'static str,
        (case, based_on): (Option<usize>, Option<usize>),
        now: Timestamp,
    ) -> usize {
        let was_idle = case.map(|case| self.open(case) == 0);
        let case = case.unwrap_or_else(|| {
            self.cases.push(Case::new(sender));
            self.chronicles.push(Chronicle::of(sender, now));
            self.cases.len() - 1
        });
        let state = State::new(&cast::terms(&self.covenant, recipient, priority), now);
        let number = self.referrals.len();
        let steps = Vec::new();
        let it =
            Referral { id, sender, recipient, priority, case, based_on, state, version: 1, updated_at: now, steps };
        self.referrals.push(it);
        self.told.push(self.subject(number).requested());
        self.changed.extend([About::Referral(number), About::Case(case)]);
        if was_idle == Some(true) {
            self.by_gateway(case, &case::Command::Referrals { open: self.open(case) }, now);
        }
        number
    }

    // ---- cases ----

    /// The referrals of a case.
    pub fn of_case(&self, case: usize) -> impl Iterator<Item = &Referral> {
        self.referrals.iter().filter(move |it| it.case == case)
    }

    pub fn open(&self, case: usize) -> usize {
        self.of_case(case).filter(|it| !it.state.is_closed()).count()
    }

    /// The parties to the referrals of a case that were taken on.
    pub fn participants(&self, case: usize) -> Vec<Org> {
        let taken_on = self.of_case(case).filter(|it| it.is_taken_on());
        let parties: BTreeSet<Org> = taken_on.flat_map(|it| [it.sender, it.recipient]).collect();
        parties.into_iter().collect()
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
        self.settled(case, now).roles(&org, &self.situation(case, &participants, now))
    }

    fn situation<'a>(&self, case: usize, participants: &'a [Org], now: Timestamp) -> Situation<'a, Org> {
        let coordinator = self.cases[case].coordinator;
        let late = |it: &Referral| {
            let missed = it.state.deadline.map_or(0, |it| it.missed + u32::from(it.due_at <= now));
            it.holder() == Some(coordinator) && missed >= 2
        };
        let coordinator_late = self.of_case(case).any(late);
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
        state.step(by.as_ref(), command, &self.situation(case, &participants, now), &self.case_terms, now)
    }

    /// Notes a step in a case that was taken.
    pub fn take_in_case(
        &mut self,
        number: usize,
        by: Option<Org>,
        command: &case::Command<Org>,
        taken: case::Taken<Org>,
        now: Timestamp,
    ) {
        use case::Command::{Invite, OfferCoordination, Remove, ReplaceCoordinator};
        let named = match command {
            OfferCoordination(who) | Invite(who) | Remove(who) | ReplaceCoordinator(who) => Some(*who),
            _ => None,
        };
        let participants = self.participants(number);
        let directed = self.settled(number, now).has_director();
        let before = std::mem::replace(&mut self.cases[number], taken.case);
        let after = &self.cases[number];
        let step = CaseStep { number, before: &before, after, directed, participants: &participants, by, named };
        let told = step.told(&taken.happened);
        self.chronicles[number].write(&before, after, by, &taken.happened, now);
        self.tell(told, now);
        self.changed.push(About::Case(number));
    }

    /// Tells of a step that was noted: whoever is nothing in it any more is told so, and not where to look.
    fn tell(&mut self, told: Vec<News>, now: Timestamp) {
        for mut news in told {
            news.leads &= match news.about {
                About::Referral(number) => {
                    let it = &self.referrals[number];
                    it.is_party(news.to) || it.holder() == Some(news.to)
                }
                About::Case(number) => !self.case_roles(number, news.to, now).is_empty(),
                About::Handoff(_) | About::Organisation(_) => true,
            };
            self.told.push(news);
        }
    }

    /// A step of the gateway's own; one that is not possible is none.
    fn by_gateway(&mut self, case: usize, command: &case::Command<Org>, now: Timestamp) {
        if let Ok(taken) = self.case_step((case, &self.cases[case]), None, command, now) {
            self.take_in_case(case, None, command, taken, now);
        }
    }

    /// Everyone who is called to a meeting hears of it, also who takes part already.
    pub fn tell_of_meeting(&mut self, case: usize, with: &BTreeSet<Org>) {
        let (kind, about) = ("case.meeting-called", About::Case(case));
        let news = |to: &Org| News { to: *to, kind, about, data: json!({}), version: None, leads: true };
        self.told.extend(with.iter().map(news));
        self.changed.push(about);
    }

    // ---- the gateway looks ----

    /// Everything that must have been noted after a look, whatever was noted before and by whom.
    pub fn look(&mut self, now: Timestamp) {
        for referral in 0..self.referrals.len() {
            let it = &self.referrals[referral];
            let unable = self.unable(it);
            if it.state.is_to_be_noted(unable) {
                self.gateway_steps(referral, &Command::Standing(unable), now);
            }
        }
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

    fn gateway_steps(&mut self, referral: usize, command: &Command, now: Timestamp) {
        let it = &self.referrals[referral];
        if let Ok(taken) = step(&it.state, &[Role::Gateway], command, &self.terms(it), now) {
            self.take(referral, None, command, &Moved { noted: None, taken }, now);
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
        let data = json!({ "organisation": org.oin() });
        let news = |to| News { to, kind, about, data: data.clone(), version: None, leads: true };
        self.told.extend(others.into_iter().map(news));
    }
}
