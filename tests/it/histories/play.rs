//! Plays a history on the gateway and in the core, and compares after every move.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::demo::client::{Answer, Request};
use sluis::lifecycle::Status;
use sluis::lifecycle::case;
use sluis::lifecycle::referral::{Command, Operation, Taken, allowed_steps};

use super::cast::{Org, RECIPIENTS, purpose, route};
use super::commands::{body, case_request, every_case_command, every_command, goes_on, names, of_line, section};
use super::moves::{Edge, History, IfMatch, Move, Pick, Place};
use super::oracle::{Entry, Oracle};
use super::stage::Stage;

/// How long a key counts, in days.
const KEY_DAYS: i64 = 30;
/// How far a history moves the clock: the records of its resident and the certificates last longer.
const LONGEST: i64 = 240;
const DAY: i64 = 86_400_000_000;

/// How a history went otherwise than the core says.
pub type Found = String;

/// What must come of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    status: u16,
    code: Option<&'static str>,
    /// Members of the body.
    body: Vec<(&'static str, Value)>,
}

impl Expected {
    const fn status(status: u16) -> Self {
        Self { status, code: None, body: Vec::new() }
    }

    const fn problem(status: u16, code: &'static str) -> Self {
        Self { status, code: Some(code), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
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
struct Asked {
    by: Org,
    request: Request,
    answer: Answer,
    at: Timestamp,
    /// The referral whose existence a repeat depends on.
    referral: Option<usize>,
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
    /// How often nobody who could act had a way to an end, before those came back who could not.
    pub stuck: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.moves += other.moves;
        self.events += other.events;
        self.views += other.views;
        self.stuck += other.stuck;
        other.taken.iter().for_each(|(what, count)| *self.taken.entry(what.clone()).or_default() += count);
        other.answers.iter().for_each(|(what, count)| *self.answers.entry(*what).or_default() += count);
    }
}

pub struct Play<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) oracle: Oracle,
    bsn: String,
    began: Timestamp,
    asked: Vec<Asked>,
    /// The names of each case.
    pub(super) names: Vec<BTreeMap<Org, String>>,
    pub(super) case_versions: Vec<i64>,
    /// The ids of steps, by referral and version.
    pub(super) ids: BTreeMap<(usize, i64), String>,
    pub(super) cursors: BTreeMap<Org, String>,
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
        let mut cursors = BTreeMap::new();
        for org in Org::ALL {
            cursors.insert(org, stage.feed(org, None).await.1);
        }
        Self {
            oracle: Oracle::new(engine.covenant().clone(), rules.terms),
            bsn,
            began: stage.now(),
            asked: Vec::new(),
            names: Vec::new(),
            case_versions: Vec::new(),
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

    fn say(&mut self, what: String) {
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
                let operations = Operation::ALL.map(|operation| operation.as_str());
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
            Move::ToEdge { deadline, edge } => {
                self.to_edge(deadline, edge);
                Ok(())
            }
            Move::Days(days) => {
                self.to(Timestamp::from_micros(self.stage.now().as_micros() + i64::from(days) * DAY));
                Ok(())
            }
            Move::Look => {
                self.say("the gateway looks".into());
                self.stage.look().await;
                self.oracle.look(self.stage.now());
                Ok(())
            }
            Move::Suspend(org) => {
                if self.oracle.is_able(org) && self.oracle.suspended.len() < 2 {
                    self.set_standing(org, false).await;
                }
                Ok(())
            }
            Move::Resume(index) => {
                let suspended: Vec<Org> = self.oracle.suspended.keys().copied().collect();
                if !suspended.is_empty() {
                    self.set_standing(suspended[index.of(suspended.len())], true).await;
                }
                Ok(())
            }
            Move::Restart => {
                self.restart().await;
                Ok(())
            }
        }
    }

    // ---- time and organisations ----

    fn to(&mut self, moment: Timestamp) {
        let far = moment.as_micros() - self.began.as_micros() > LONGEST * DAY;
        if moment > self.stage.now() && !far {
            self.stage.move_to(moment);
            self.say("that is the time now".into());
            self.oracle.changed.extend((0..self.oracle.cases.len()).map(super::news::About::Case));
        }
    }

    fn to_edge(&mut self, deadline: Pick, edge: Edge) {
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

    async fn set_standing(&mut self, org: Org, active: bool) {
        self.say(format!("{} is {}", org.slug(), if active { "resumed" } else { "suspended" }));
        self.stage.set_standing(org, active).await;
        self.oracle.set_standing(org, active, self.stage.now());
    }

    async fn restart(&mut self) {
        // Nothing that somebody could not read yet may have had its term.
        let old = |since: &Timestamp| self.stage.now().as_micros() - since.as_micros() > 80 * DAY;
        if !self.oracle.suspended.values().any(old) {
            self.say("the gateway starts anew".into());
            self.stage.restart().await;
            self.oracle.forget();
            self.oracle.look(self.stage.now());
        }
    }

    // ---- requests ----

    /// Asks, and judges the answer.
    async fn ask(
        &mut self,
        (by, what): (Org, &str),
        request: Request,
        expected: &Expected,
        referral: Option<usize>,
    ) -> Result<Answer, Found> {
        let expected = if self.oracle.is_able(by) { expected } else { &Expected::status(401) };
        self.say(format!("{}: {what}: {} {} expects {}", by.slug(), request.method, request.path, expected.status));
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
            self.asked.push(Asked { by, request, answer: answer.clone(), at: self.stage.now(), referral });
        }
        Ok(answer)
    }

    fn post(&mut self, path: String, body: Option<Value>) -> Request {
        let key = Some(self.stage.new_key());
        Request { method: reqwest::Method::POST, body, idempotency_key: key, ..Request::get(path) }
    }

    fn count(&mut self, operation: &str) {
        *self.tally.taken.entry(operation.to_owned()).or_default() += 1;
    }

    async fn refer(&mut self, sender: Org, recipient: Org, priority: &'static str, place: Place) -> Result<(), Found> {
        if sender == recipient {
            return Ok(());
        }
        let (mut named, mut follows) = (None, None);
        match place {
            Place::Joins(index) if !self.oracle.cases.is_empty() => {
                named = Some(index.of(self.oracle.cases.len()));
            }
            Place::Follows(index) if !self.oracle.referrals.is_empty() => {
                follows = Some(index.of(self.oracle.referrals.len()));
            }
            _ => {}
        }
        let basis = route(sender, recipient).map_or("wmo-2015", |(_, basis)| basis);
        let body = json!({
            "recipient": recipient.oin(), "purpose": purpose(recipient), "phase": "case", "legalBasis": basis,
            "subject": { "bsn": self.bsn, "ageGroup": "18-plus" }, "priority": priority, "onWithheld": "reject",
            "caseId": named.map(|case| self.name(case, sender)),
            "basedOn": follows.map(|earlier| self.oracle.referrals[earlier].id.clone()),
            "sections": [section("question"), section("contact")],
        });
        let request = self.post("/v1/referrals".into(), Some(body));
        let entry = self.oracle.place(sender, named, follows);
        let foreign = follows.is_some_and(|earlier| !self.oracle.referrals[earlier].is_party(sender));
        let expected = if entry == Entry::Unknown || foreign {
            Expected::status(400)
        } else if !self.oracle.permits(sender, recipient) {
            Expected::problem(403, "refused")
        } else if entry == Entry::Closed {
            Expected::problem(409, "conflict")
        } else {
            Expected::status(201)
        };
        let what = format!("refers to {}", recipient.slug());
        let answer = self.ask((sender, &what), request, &expected, None).await?;
        if answer.status != 201 {
            return Ok(());
        }
        let now = self.stage.now();
        let step = follows.filter(|earlier| self.oracle.referrals[*earlier].sender == sender);
        let step = step.and_then(|earlier| {
            let taken = self.oracle.step_as_sender(earlier, &Command::ReferOn, now).ok()?;
            Some((earlier, Command::ReferOn, taken))
        });
        let case = if let Entry::Joins(case) = entry { Some(case) } else { None };
        self.opened(&answer, (sender, recipient), priority, case, sender, step).await
    }

    /// Notes a new referral, and the step in the one that it goes on with.
    async fn opened(
        &mut self,
        answer: &Answer,
        parties: (Org, Org),
        priority: &'static str,
        case: Option<usize>,
        by: Org,
        step: Option<(usize, Command, Taken)>,
    ) -> Result<(), Found> {
        let now = self.stage.now();
        let id = answer.text_at("/id").unwrap_or_default().to_owned();
        demand(answer.headers["location"] == format!("/v1/referrals/{id}"), || "another location".into())?;
        self.oracle.open_referral(id, parties, priority, case, now);
        self.count("referrals");
        if let Some((earlier, command, taken)) = step {
            self.count(command.operation().as_str());
            self.oracle.take(earlier, Some(by), &command, &taken, now);
        }
        Ok(())
    }

    /// A name of a case that is somebody else's, where an organisation has none.
    fn name(&self, case: usize, org: Org) -> String {
        let names = &self.names[case];
        names.get(&org).or_else(|| names.values().next()).cloned().unwrap_or_default()
    }

    async fn step(
        &mut self,
        referral: usize,
        by: Org,
        command: Command,
        on_to: Org,
        if_match: IfMatch,
    ) -> Result<(), Found> {
        let (it, now) = (self.oracle.referrals[referral].clone(), self.stage.now());
        let others = RECIPIENTS.into_iter().filter(|org| *org != it.sender);
        let on_to = others.clone().find(|org| *org == on_to).or_else(|| others.clone().next()).unwrap_or(on_to);
        let path = format!("/v1/referrals/{}/{}", it.id, command.operation());
        let mut request = self.post(path, Some(body(&command, (it.sender, on_to))));
        request.if_match = tag(if_match, it.version);
        let asked = self.oracle.step(referral, by, &command, now);
        let expected = match &asked {
            _ if it.roles(by).is_empty() => Expected::problem(404, "not-found"),
            Err(refusal) => match Oracle::listed(refusal) {
                Some(steps) => Expected::problem(409, "step-not-allowed").with("allowedSteps", steps),
                None => Expected::status(400),
            },
            Ok(_) if if_match == IfMatch::Stale => Expected::problem(412, "precondition-failed"),
            Ok(_) if goes_on(&command) && self.oracle.permits(it.sender, on_to) => Expected::status(201)
                .with("status", json!("requested"))
                .with("sender", json!(it.sender.oin()))
                .with("recipient", json!(on_to.oin())),
            Ok(taken) if !goes_on(&command) && self.oracle.crosses(&it, by, command == Command::Supplement) => {
                self.answered(&it, by, &command, taken)
            }
            Ok(_) => Expected::problem(403, "refused"),
        };
        let what = format!("{command:?} in {referral}");
        let answer = self.ask((by, &what), request, &expected, Some(referral)).await?;
        let (201, Ok(taken)) = (answer.status, asked) else { return Ok(()) };
        if goes_on(&command) {
            let step = Some((referral, command, taken));
            return self.opened(&answer, (it.sender, on_to), it.priority, Some(it.case), by, step).await;
        }
        self.count(command.operation().as_str());
        self.oracle.take(referral, Some(by), &command, &taken, now);
        self.ids.insert((referral, it.version + 1), answer.text_at("/id").unwrap_or_default().to_owned());
        Ok(())
    }

    /// The answer to a step that was taken.
    fn answered(&self, it: &super::oracle::Referral, by: Org, command: &Command, taken: &Taken) -> Expected {
        let after = super::oracle::Referral { state: taken.state, ..it.clone() };
        Expected::status(201)
            .with("operation", json!(command.operation()))
            .with("status", json!(after.state.status))
            .with("by", json!(by.oin()))
            .with("at", json!(self.stage.now()))
            .with("holder", json!(after.holder().map(Org::oin)))
            .with("dueAt", json!(after.due_at()))
            .with("version", json!(it.version + 1))
    }

    async fn malformed(&mut self, referral: usize, by: Org, operation: &str) -> Result<(), Found> {
        let path = format!("/v1/referrals/{}/{operation}", self.oracle.referrals[referral].id);
        let request = self.post(path, Some(json!({ "somethingElse": 1 })));
        self.ask((by, "sends what is no request"), request, &Expected::status(400), None).await.map(drop)
    }

    async fn pick_up(&mut self, referral: usize, by: Org) -> Result<(), Found> {
        let (it, now) = (self.oracle.referrals[referral].clone(), self.stage.now());
        let ended = matches!(it.state.status, Status::Cancelled | Status::Rejected | Status::EnteredInError);
        let expected = if !it.is_party(by) {
            Expected::problem(404, "not-found")
        } else if by == it.recipient && (ended || !self.oracle.permits(it.sender, it.recipient)) {
            Expected::problem(403, "disclosure-refused")
        } else {
            Expected::status(200)
        };
        let request = Request::get(format!("/v1/referrals/{}/sections", it.id));
        let what = format!("reads what came with {referral}");
        let answer = self.ask((by, &what), request, &expected, None).await?;
        if answer.status != 200 || by != it.recipient {
            return Ok(());
        }
        if it.state.status == Status::Requested {
            let command = Command::Update { status: Status::Received, reason: None, outcome: None };
            let taken = self.oracle.step(referral, by, &command, now).map_err(|refusal| format!("{refusal:?}"))?;
            self.count("pick-up");
            self.oracle.take(referral, Some(by), &command, &taken, now);
        }
        self.oracle.referrals[referral].state.disclosed = true;
        self.oracle.told.push(self.oracle.subject(referral).disclosed());
        Ok(())
    }

    async fn repeat(&mut self, request: Pick, other_body: bool) -> Result<(), Found> {
        let now = self.stage.now();
        self.asked.retain(|asked| now.as_micros() - asked.at.as_micros() < KEY_DAYS * DAY);
        if self.asked.is_empty() {
            return Ok(());
        }
        let Asked { by, request, answer, referral, .. } = &self.asked[request.of(self.asked.len())];
        let (by, mut request, first, referral) = (*by, request.clone(), answer.clone(), *referral);
        let changeable = request.body.as_mut().and_then(|body| body.get_mut("onWithheld"));
        let changed = other_body && changeable.map(|how| *how = json!("minimise")).is_some();
        let gone = referral.is_some_and(|referral| self.oracle.referrals[referral].roles(by).is_empty());
        let expected = match () {
            () if gone => Expected::problem(404, "not-found"),
            () if changed => Expected::problem(409, "idempotency-key-reused"),
            () => Expected::status(first.status),
        };
        // It is kept already.
        let key = request.idempotency_key.clone();
        let kept = self.asked.len();
        let again = self.ask((by, "repeats"), request, &expected, None).await?;
        self.asked.truncate(kept);
        let same = again.text == first.text && again.headers.get("location") == first.headers.get("location");
        let differs = !changed && !gone && self.oracle.is_able(by) && !same;
        demand(!differs, || format!("the repeat of {key:?} got {}, the first one {}", again.text, first.text))
    }

    // ---- cases ----

    async fn case_step(
        &mut self,
        case: usize,
        by: Org,
        commands: &[case::Command<Org>],
        meeting: Option<&BTreeSet<Org>>,
        if_match: IfMatch,
    ) -> Result<(), Found> {
        let now = self.stage.now();
        let (part, body) = match meeting {
            Some(with) => {
                let with: Vec<_> = with.iter().map(|org| org.oin()).collect();
                ("meetings".to_owned(), Some(json!({ "organisations": with })))
            }
            None => case_request(&commands[0], by),
        };
        let mut request = self.post(format!("/v1/cases/{}/{part}", self.name(case, by)), body);
        request.if_match = tag(if_match, self.case_versions[case]);
        let (taken, expected) = self.expected_in_case(case, by, commands, meeting, if_match);
        let what = format!("{commands:?} in case {case}");
        let answer = self.ask((by, &what), request, &expected, None).await?;
        if answer.status != 201 {
            return Ok(());
        }
        for (command, taken) in commands.iter().zip(taken) {
            self.count(command.operation().as_str());
            self.oracle.take_in_case(case, Some(by), command, taken);
        }
        if let Some(with) = meeting {
            self.count("meeting");
            self.oracle.tell_of_meeting(case, with);
        }
        demand(answer.body["at"] == json!(now), || format!("another moment: {}", answer.text))
    }

    /// What must come of steps that are taken together, and the steps as far as they may be taken.
    fn expected_in_case(
        &self,
        case: usize,
        by: Org,
        commands: &[case::Command<Org>],
        meeting: Option<&BTreeSet<Org>>,
        if_match: IfMatch,
    ) -> (Vec<case::Taken<Org>>, Expected) {
        let now = self.stage.now();
        let mut taken: Vec<case::Taken<Org>> = Vec::new();
        if self.oracle.case_roles(case, by, now).is_empty() || !self.names[case].contains_key(&by) {
            return (taken, Expected::problem(404, "not-found"));
        }
        let state = &self.oracle.cases[case];
        if meeting.is_some_and(|with| with.contains(&state.coordinator)) {
            return (taken, Expected::status(400));
        }
        // Where everyone who is called takes part already, the table is asked all the same.
        let asked = match (commands, state.invited.first()) {
            ([], Some(already)) => Some(case::Command::Invite(*already)),
            _ => None,
        };
        for command in commands.iter().chain(&asked) {
            let state = taken.last().map_or(state, |last| &last.case);
            match self.oracle.case_step((case, state), Some(by), command, now) {
                Ok(step) => taken.push(step),
                Err(case::Refusal::Party) if asked.is_some() => {}
                Err(refusal) => return (taken, self.refused_in_case(case, by, command, &refusal)),
            }
        }
        let named = commands.iter().filter_map(names).chain(meeting.into_iter().flatten().copied());
        let expected = if named.into_iter().any(|org| !self.oracle.is_able(org)) {
            Expected::status(400)
        } else if if_match == IfMatch::Stale {
            Expected::problem(412, "precondition-failed")
        } else {
            let operation = commands.first().map_or(case::Operation::Invite, case::Command::operation);
            Expected::status(201).with("operation", json!(operation)).with("case", json!(self.name(case, by)))
        };
        (taken, expected)
    }

    fn refused_in_case(&self, case: usize, by: Org, command: &case::Command<Org>, refusal: &case::Refusal) -> Expected {
        match refusal {
            case::Refusal::NotAllowed(steps) => {
                let step = |operation| json!({ "operation": operation, "status": null, "statusReasons": [] });
                let steps = steps.iter().map(step).collect();
                Expected::problem(409, "step-not-allowed").with("allowedSteps", steps)
            }
            case::Refusal::StillOpen(open) => {
                let of_case = self.oracle.referrals.iter().filter(|it| it.case == case && !it.state.is_closed());
                let own = of_case.filter(|it| it.is_party(by)).count();
                Expected::problem(409, "still-open").with("otherOpenReferrals", json!(open - own))
            }
            case::Refusal::Party if matches!(command, case::Command::Remove(_)) => Expected::problem(404, "not-found"),
            case::Refusal::Party => Expected::status(400),
        }
    }

    async fn meeting(&mut self, case: usize, by: Org, with: BTreeSet<Org>) -> Result<(), Found> {
        let invited = &self.oracle.cases[case].invited;
        let commands: Vec<_> =
            with.iter().filter(|org| !invited.contains(org)).map(|org| case::Command::Invite(*org)).collect();
        self.case_step(case, by, &commands, Some(&with), IfMatch::Absent).await
    }

    // ---- what may be done ----

    /// One of all steps that the core lists for those who can act; steps that lead on are taken more often.
    fn allowed(&self, pick: Pick, detail: Pick) -> Option<(usize, Org, Command)> {
        let now = self.stage.now();
        let mut all = Vec::new();
        for (number, it) in self.oracle.referrals.iter().enumerate() {
            for org in self.oracle.able() {
                for line in allowed_steps(&it.state, &it.roles(org), now) {
                    let Some(command) = of_line(&line, detail) else { continue };
                    let weight = match command {
                        Command::Update { status: Status::Accepted | Status::InProgress | Status::OnHold, .. } => 5,
                        Command::Update { status: Status::Received | Status::Completed | Status::Failed, .. } => 3,
                        Command::Update { status: Status::EnteredInError, .. } | Command::Supplement => 1,
                        _ => 2,
                    };
                    all.extend(std::iter::repeat_n((number, org, command), weight));
                }
            }
        }
        (!all.is_empty()).then(|| all[pick.of(all.len())])
    }

    fn allowed_in_case(&self, pick: Pick) -> Option<(usize, Org, case::Command<Org>)> {
        let now = self.stage.now();
        let mut all: BTreeMap<_, Vec<case::Command<Org>>> = BTreeMap::new();
        for (number, it) in self.oracle.cases.iter().enumerate() {
            for org in self.oracle.able().filter(|org| self.names[number].contains_key(org)) {
                for command in every_case_command() {
                    if self.oracle.case_step((number, it), Some(org), &command, now).is_ok() {
                        all.entry((number, org, command.operation().as_str())).or_default().push(command);
                    }
                }
            }
        }
        let all: Vec<_> = all.into_iter().collect();
        if all.is_empty() {
            return None;
        }
        let ((number, org, _), commands) = &all[pick.of(all.len())];
        Some((*number, *org, commands[pick.of(commands.len())].clone()))
    }

    // ---- the end ----

    /// Brings everything to an end by steps of those who can act: there must be a way.
    async fn end(&mut self, resume: bool) -> Result<(), Found> {
        if resume {
            self.resume_all().await;
        }
        self.look_and_compare().await?;
        while let Some(open) = self.oracle.referrals.iter().position(|it| !it.state.is_closed()) {
            let Some((by, command)) = self.oracle.way_out(open, self.stage.now()) else {
                let it = &self.oracle.referrals[open];
                demand(!self.oracle.suspended.is_empty(), || format!("nobody has a way to an end: {it:?}"))?;
                self.tally.stuck += 1;
                self.resume_all().await;
                self.look_and_compare().await?;
                continue;
            };
            self.step(open, by, command, Org::Smow, IfMatch::Absent).await?;
            self.compare().await?;
        }
        self.look_and_compare().await?;
        for case in 0..self.oracle.cases.len() {
            let it = &self.oracle.cases[case];
            if it.closed_at.is_none() {
                self.case_step(case, it.coordinator, &[case::Command::Close], None, IfMatch::Absent).await?;
                self.compare().await?;
            }
        }
        self.resume_all().await;
        self.look_and_compare().await?;
        self.changed_everything();
        self.compare().await
    }

    async fn resume_all(&mut self) {
        for org in self.oracle.suspended.keys().copied().collect::<Vec<_>>() {
            self.set_standing(org, true).await;
        }
    }

    async fn look_and_compare(&mut self) -> Result<(), Found> {
        self.stage.look().await;
        self.oracle.look(self.stage.now());
        self.compare().await
    }
}

pub fn demand(holds: bool, what: impl FnOnce() -> Found) -> Result<(), Found> {
    if holds { Ok(()) } else { Err(what()) }
}

fn tag(if_match: IfMatch, version: i64) -> Option<String> {
    match if_match {
        IfMatch::Absent => None,
        IfMatch::Present => Some(format!("\"{version}\"")),
        IfMatch::Stale => Some(format!("\"{}\"", version + 1_000)),
    }
}
