//! Plays a history on the gateway and in the core, and compares after every move.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluis::clock::Timestamp;
use sluis::demo::client::{Answer, Request};
use sluis::lifecycle::case;
use sluis::lifecycle::referral::Operation;

use super::cast::{Org, PARTNERS};
use super::commands::{every_case_command, every_command};
use super::moves::{Edge, History, IfMatch, Move, Pick};
use super::news::About;
use super::oracle::{Oracle, Referral};
use super::stage::Stage;

/// How far the moves of a history move the clock: the records of its resident and the certificates last longer, also while it ends.
const LONGEST: i64 = 120;
pub const DAY: i64 = 86_400_000_000;

/// How a history went otherwise than the core says.
pub type Found = String;

/// What must come of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub status: u16,
    code: Option<&'static str>,
    /// Members of the body.
    body: Vec<(&'static str, Value)>,
}

impl Expected {
    pub const fn status(status: u16) -> Self {
        Self { status, code: None, body: Vec::new() }
    }

    pub const fn problem(status: u16, code: &'static str) -> Self {
        Self { status, code: Some(code), body: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.body.push((name, value));
        self
    }

    fn holds(&self, answer: &Answer) -> bool {
        answer.status == self.status
            && self.code.is_none_or(|code| answer.text_at("/code") == Some(code))
            && self.body.iter().all(|(name, value)| answer.body.get(name) == Some(value))
    }
}

/// A request that was answered for good: a repeat gets the same.
pub struct Asked {
    pub by: Org,
    pub request: Request,
    pub answer: Answer,
    pub at: Timestamp,
}

/// What a reader saw last of a case.
pub struct Seen {
    pub tag: String,
    pub body: Value,
    /// The tag that it saw before.
    pub former: Option<String>,
}

/// How much was played.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub moves: usize,
    /// How often each operation of a referral or a case was taken.
    pub taken: BTreeMap<String, usize>,
    /// How often each status code was answered, and rightly.
    pub answers: BTreeMap<u16, usize>,
    pub events: usize,
    pub views: usize,
    /// How often nobody who could act had a way to an end before the clock brought one.
    pub waited: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.moves += other.moves;
        self.events += other.events;
        self.views += other.views;
        self.waited += other.waited;
        other.taken.iter().for_each(|(what, count)| *self.taken.entry(what.clone()).or_default() += count);
        other.answers.iter().for_each(|(what, count)| *self.answers.entry(*what).or_default() += count);
    }
}

pub struct Play<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) oracle: Oracle,
    pub(super) bsn: String,
    began: Timestamp,
    pub(super) asked: Vec<Asked>,
    /// The names of each case.
    pub(super) names: Vec<BTreeMap<Org, String>>,
    /// What readers of cases saw last.
    pub(super) seen: BTreeMap<(usize, Org), Seen>,
    /// The ids of steps, by referral and version.
    pub(super) ids: BTreeMap<(usize, i64), String>,
    pub(super) cursors: BTreeMap<Org, String>,
    /// The number of the last event that each was told, where one is still kept.
    pub(super) sequences: BTreeMap<Org, u64>,
    /// How often everything was compared since the feeds were.
    pub(super) unread: usize,
    pub tally: Tally,
    /// What was done so far, for people.
    pub log: Vec<String>,
}

impl<'a> Play<'a> {
    pub async fn begin(stage: &'a mut Stage) -> Self {
        stage.move_to_monday();
        stage.look().await;
        let bsn = stage.new_resident().await;
        let engine = stage.app().covenants.in_force(&mut stage.app().db.reader(), stage.now()).await.unwrap();
        let rules = sluis::cases::Rules::of(engine.covenant()).unwrap();
        stage.app().sequence().await.unwrap();
        let (mut cursors, mut sequences) = (BTreeMap::new(), BTreeMap::new());
        for org in Org::ALL {
            let (events, cursor) = stage.feed(org, None).await;
            cursors.insert(org, cursor);
            sequences.extend(events.last().map(|last| (org, sequence(last))));
        }
        Self {
            oracle: Oracle::new(engine.covenant().clone(), rules.terms),
            bsn,
            began: stage.now(),
            asked: Vec::new(),
            names: Vec::new(),
            seen: BTreeMap::new(),
            sequences,
            unread: 0,
            ids: BTreeMap::new(),
            cursors,
            tally: Tally::default(),
            log: Vec::new(),
            stage,
        }
    }

    /// Plays it to the end of everything that it has begun.
    pub async fn whole(&mut self, history: &History) -> Result<(), Found> {
        for step in &history.moves {
            self.make(*step).await?;
            self.tally.moves += 1;
            self.compare().await?;
        }
        self.end(history.resume).await?;
        self.stage.log_holds().await;
        let faults = self.stage.faults();
        demand(faults.is_empty(), || format!("answers that do not fit the contract: {faults:?}"))
    }

    pub(super) fn say(&mut self, what: &str) {
        let now = self.stage.now();
        self.log.push(format!("{now} {what}"));
    }

    async fn make(&mut self, step: Move) -> Result<(), Found> {
        let referrals = self.oracle.referrals.len();
        let some = |index: Pick| (referrals > 0).then(|| index.of(referrals));
        let cases = self.oracle.cases.len();
        let some_case = |index: Pick| (cases > 0).then(|| index.of(cases));
        match step {
            Move::Refer { sender, recipient, priority, place } => self.refer(sender, recipient, priority, place).await,
            Move::Allowed { pick, detail, on_to, if_match } => match self.allowed(pick, detail) {
                Some((referral, by, command)) => self.step(referral, by, command, on_to, if_match).await,
                None => Ok(()),
            },
            Move::AllowedInCase { pick, if_match } => match self.allowed_in_case(pick) {
                Some((case, by, command)) => self.case_step(case, by, &[command], None, if_match).await,
                None => Ok(()),
            },
            Move::Try { referral, by, command, on_to, if_match } => {
                let all = every_command();
                let Some(referral) = some(referral) else { return Ok(()) };
                self.step(referral, by, all[command.of(all.len())], on_to, if_match).await
            }
            Move::TryInCase { case, by, command, if_match } => {
                let all = every_case_command();
                let Some(case) = some_case(case) else { return Ok(()) };
                let command = match all[command.of(all.len())].clone() {
                    // It is asked for in the same way.
                    case::Command::Remove(who) if who == by => case::Command::Leave,
                    command => command,
                };
                self.case_step(case, by, &[command], None, if_match).await
            }
            Move::Malformed { referral, by, operation } => {
                let operations = Operation::ALL.map(Operation::as_str);
                let operations = &operations[..operations.len() - 2];
                let Some(referral) = some(referral) else { return Ok(()) };
                self.malformed(referral, by, operations[operation.of(operations.len())]).await
            }
            Move::Meeting { case, by, with } => {
                let Some(case) = some_case(case) else { return Ok(()) };
                self.meeting(case, by, BTreeSet::from(with)).await
            }
            Move::PickUp { referral, by } => {
                let Some(referral) = some(referral) else { return Ok(()) };
                let by = by.unwrap_or(self.oracle.referrals[referral].recipient);
                self.pick_up(referral, by).await
            }
            Move::Repeat { request, other_body } => self.repeat(request, other_body).await,
            Move::Neglect(referral) => match some(referral) {
                Some(referral) => self.neglect(referral).await,
                None => Ok(()),
            },
            Move::Lists => self.compare_lists().await,
            around => {
                self.around(around).await;
                Ok(())
            }
        }
    }

    // ---- time and organisations ----

    /// What happens around the requests.
    async fn around(&mut self, step: Move) {
        match step {
            Move::ToEdge { deadline, edge } => self.move_to_edge(deadline, edge),
            Move::Days(days) => {
                self.to(Timestamp::from_micros(self.stage.now().as_micros() + i64::from(days) * DAY));
            }
            Move::Look => {
                self.say("the gateway looks");
                self.stage.look().await;
                self.oracle.look(self.stage.now());
            }
            Move::Suspend(org) if self.oracle.is_able(org) && self.oracle.suspended.len() < 2 => {
                self.set_standing(org, false).await;
            }
            Move::SuspendHolder(index) if self.oracle.suspended.len() < 2 => {
                let holders = self.oracle.referrals.iter().filter_map(Referral::holder);
                let holders: Vec<Org> =
                    holders.filter(|org| PARTNERS.contains(org) && self.oracle.is_able(*org)).collect();
                if !holders.is_empty() {
                    self.set_standing(holders[index.of(holders.len())], false).await;
                }
            }
            Move::Resume(index) if !self.oracle.suspended.is_empty() => {
                let suspended: Vec<Org> = self.oracle.suspended.keys().copied().collect();
                self.set_standing(suspended[index.of(suspended.len())], true).await;
            }
            Move::Restart => self.restart().await,
            _ => {}
        }
    }

    fn to(&mut self, moment: Timestamp) {
        let far = moment.as_micros() - self.began.as_micros() > LONGEST * DAY;
        if moment > self.stage.now() && !far {
            self.stage.move_to(moment);
            self.say("that is the time now");
            self.changed_by_clock();
        }
    }

    /// Cases are read with the deadlines that have passed; whether a referral is stuck depends on one that has.
    pub(super) fn changed_by_clock(&mut self) {
        let now = self.stage.now();
        let late = |it: &Referral| it.due_at().is_some_and(|due| due <= now);
        let referrals = self.oracle.referrals.iter().enumerate().filter(|(_, it)| late(it));
        let referrals: Vec<About> = referrals.map(|(number, _)| About::Referral(number)).collect();
        self.oracle.changed.extend(referrals);
        let late = |it: &case::Case<Org>| it.due_at().is_some_and(|due| due <= now);
        let cases = self.oracle.cases.iter().enumerate().filter(|(_, it)| late(it));
        let cases: Vec<About> = cases.map(|(number, _)| About::Case(number)).collect();
        self.oracle.changed.extend(cases);
    }

    async fn neglect(&mut self, referral: usize) -> Result<(), Found> {
        for _ in 0..2 {
            let Some(due) = self.oracle.referrals[referral].due_at() else { return Ok(()) };
            self.to(due);
            self.compare().await?;
            self.look_and_compare().await?;
        }
        Ok(())
    }

    fn move_to_edge(&mut self, deadline: Pick, edge: Edge) {
        let referrals = self.oracle.referrals.iter();
        let mut ends: Vec<Timestamp> =
            referrals.flat_map(|it| [it.due_at(), it.state.reopen_until]).flatten().collect();
        ends.extend(self.oracle.cases.iter().filter_map(case::Case::due_at));
        ends.retain(|end| *end > self.stage.now());
        ends.sort_unstable();
        if ends.is_empty() {
            return;
        }
        let end = ends[deadline.of(ends.len())].as_micros();
        self.to(Timestamp::from_micros(match edge {
            Edge::Before => end - 1,
            Edge::At => end,
            Edge::After => end + 1,
        }));
    }

    pub(super) async fn set_standing(&mut self, org: Org, active: bool) {
        self.say(&format!("{} is {}", org.slug(), if active { "resumed" } else { "suspended" }));
        self.stage.set_standing(org, active).await;
        self.oracle.set_standing(org, active, self.stage.now());
        if active {
            // It has not seen what changed while it was away.
            self.changed_everything();
        }
    }

    async fn restart(&mut self) {
        // Nothing that somebody could not read yet may have had its term.
        let old = |since: &Timestamp| self.stage.now().as_micros() - since.as_micros() > 80 * DAY;
        if !self.oracle.suspended.values().any(old) {
            self.say("the gateway starts anew");
            self.stage.restart().await;
            self.oracle.look(self.stage.now());
        }
    }

    /// Asks, and judges the answer.
    pub(super) async fn ask(
        &mut self,
        (by, what): (Org, &str),
        request: Request,
        expected: &Expected,
    ) -> Result<Answer, Found> {
        let expected = if self.oracle.is_able(by) { expected } else { &Expected::status(401) };
        self.say(&format!("{}: {what}: {} {} expects {}", by.slug(), request.method, request.path, expected.status));
        let answer = self.stage.ask(by, request.clone()).await;
        demand(expected.holds(&answer), || {
            let sent = request.body.as_ref().map(Value::to_string).unwrap_or_default();
            format!(
                "{} {what} {} {sent}: expected {expected:?}, got {} {}",
                by.slug(),
                request.path,
                answer.status,
                answer.text
            )
        })?;
        *self.tally.answers.entry(answer.status).or_default() += 1;
        // What was written is kept under its key; so is that the covenant refused it.
        if request.idempotency_key.is_some() && matches!(answer.status, 201 | 403) {
            self.asked.push(Asked { by, request, answer: answer.clone(), at: self.stage.now() });
        }
        Ok(answer)
    }

    pub(super) fn post(&mut self, path: String, body: Option<Value>) -> Request {
        let key = Some(self.stage.new_key());
        Request { method: reqwest::Method::POST, body, idempotency_key: key, ..Request::get(path) }
    }

    pub(super) fn count(&mut self, operation: &str) {
        *self.tally.taken.entry(operation.to_owned()).or_default() += 1;
    }
}

pub fn demand(holds: bool, what: impl FnOnce() -> Found) -> Result<(), Found> {
    if holds { Ok(()) } else { Err(what()) }
}

/// The number of an event in its feed.
pub fn sequence(event: &Value) -> u64 {
    event["sequence"].as_str().and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub fn tag(if_match: IfMatch, version: i64) -> Option<String> {
    match if_match {
        IfMatch::Absent => None,
        IfMatch::Present => Some(format!("\"{version}\"")),
        // That of before, where there was one.
        IfMatch::Stale if version > 1 => Some(format!("\"{}\"", version - 1)),
        IfMatch::Stale => Some("\"2\"".into()),
    }
}
