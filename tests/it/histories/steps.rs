//! Referrals: new ones, steps in them, what is read of them, and requests that come twice.

use serde_json::json;
use sluis::demo::client::{Answer, Request};
use sluis::lifecycle::Status;
use sluis::lifecycle::parties::Moved;
use sluis::lifecycle::referral::{Command, Refusal, Role};

use super::cast::{Org, RECIPIENTS, Sight, purpose, route};
use super::commands::{body, goes_on, section};
use super::moves::{IfMatch, Pick, Place};
use super::oracle::{Entry, Referral};
use super::play::{Asked, DAY, Expected, Found, Play, demand, tag};
use super::stage::Stage;

/// How long a key counts, in days.
const KEY_DAYS: i64 = 30;

/// A new referral, as it was asked for.
#[derive(Clone, Copy)]
pub struct Fresh {
    pub parties: (Org, Org),
    pub priority: &'static str,
    /// The case that it joins.
    pub case: Option<usize>,
    pub based_on: Option<usize>,
}

impl Play<'_> {
    pub(super) async fn refer(
        &mut self,
        sender: Org,
        recipient: Org,
        priority: &'static str,
        place: Place,
    ) -> Result<(), Found> {
        if sender == recipient {
            return Ok(());
        }
        let some = |index: Pick, many: usize| (many > 0).then(|| index.of(many));
        let (cases, referrals) = (self.oracle.cases.len(), self.oracle.referrals.len());
        let (named, follows) = match place {
            Place::Opens => (None, None),
            Place::Joins(case) => (some(case, cases), None),
            Place::Follows(earlier) | Place::FollowsForAnother(earlier) => (None, some(earlier, referrals)),
            Place::FollowsIn(earlier, case) => (some(case, cases), some(earlier, referrals)),
        };
        let for_another = follows.is_some() && matches!(place, Place::FollowsForAnother(_));
        let bsn = if for_another { Stage::another_resident() } else { self.bsn.clone() };
        let basis = route(sender, recipient).map_or("wmo-2015", |(_, basis)| basis);
        let body = json!({
            "recipient": recipient.oin(), "purpose": purpose(recipient), "phase": "case", "legalBasis": basis,
            "subject": { "bsn": bsn, "ageGroup": "18-plus" }, "priority": priority, "onWithheld": "reject",
            "caseId": named.map(|case| self.name(case, sender)),
            "basedOn": follows.map(|earlier| self.oracle.referrals[earlier].id.clone()),
            "sections": [section("question"), section("contact")],
        });
        let request = self.post("/v1/referrals".into(), Some(body));
        let now = self.stage.now();
        let entry = self.oracle.place(sender, named, follows, now);
        let expected = match entry {
            Entry::Unknown => Expected::status(400),
            Entry::Closed => Expected::problem(409, "conflict"),
            _ if for_another => Expected::status(400),
            _ if !self.oracle.permits(sender, recipient) => Expected::problem(403, "refused"),
            _ => Expected::status(201).with("status", json!("requested")).with("version", json!(1)),
        };
        let what = format!("refers to {}, {place:?}", recipient.slug());
        let answer = self.ask((sender, &what), request, &expected).await?;
        if answer.status != 201 {
            return Ok(());
        }
        let step = follows.and_then(|earlier| self.oracle.goes_on(earlier, sender, now).map(|moved| (earlier, moved)));
        let step = step.map(|(earlier, moved)| (earlier, Command::ReferOn, moved));
        let case = if let Entry::Joins(case) = entry { Some(case) } else { None };
        self.opened(&answer, Fresh { parties: (sender, recipient), priority, case, based_on: follows }, sender, step)
    }

    /// Notes a new referral, and the step in the one that it goes on with.
    pub(super) fn opened(
        &mut self,
        answer: &Answer,
        fresh: Fresh,
        by: Org,
        step: Option<(usize, Command, Moved)>,
    ) -> Result<(), Found> {
        let now = self.stage.now();
        let id = answer.text_at("/id").unwrap_or_default().to_owned();
        demand(answer.headers["location"] == format!("/v1/referrals/{id}"), || "another location".into())?;
        let Fresh { parties, priority, case, based_on } = fresh;
        self.oracle.open_referral(id, parties, priority, (case, based_on), now);
        self.count("referrals");
        if let Some((earlier, command, moved)) = step {
            self.count_step(&command, &moved);
            self.oracle.take(earlier, Some(by), &command, &moved, now);
        }
        Ok(())
    }

    fn count_step(&mut self, command: &Command, moved: &Moved) {
        let role = match moved.taken.by {
            Role::Sender => "sender",
            Role::Recipient => "recipient",
            Role::Coordinator => "coordinator",
            Role::Municipality => "municipality",
            Role::Gateway => "gateway",
        };
        self.count(&format!("{} as {role}", command.operation()));
        if moved.noted.is_some() {
            self.count("noted before a step");
        }
    }

    /// A name of a case that is somebody else's, where an organisation has none.
    pub(super) fn name(&self, case: usize, org: Org) -> String {
        let names = &self.names[case];
        names.get(&org).or_else(|| names.values().next()).cloned().unwrap_or_default()
    }

    pub(super) async fn step(
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
        let moved = self.oracle.moved(&it, by, &command, now);
        let expected = self.expected(&it, by, &command, (if_match, on_to), &moved);
        let what = format!("{command:?} in {referral}");
        let answer = self.ask((by, &what), request, &expected).await?;
        let (201, Ok(moved)) = (answer.status, moved) else { return Ok(()) };
        if goes_on(&command) {
            let parties = (it.sender, on_to);
            let fresh = Fresh { parties, priority: it.priority, case: Some(it.case), based_on: Some(referral) };
            return self.opened(&answer, fresh, by, Some((referral, command, moved)));
        }
        self.count_step(&command, &moved);
        self.oracle.take(referral, Some(by), &command, &moved, now);
        let version = self.oracle.referrals[referral].version;
        self.ids.insert((referral, version), answer.text_at("/id").unwrap_or_default().to_owned());
        let tagged = answer.headers.get("etag") == Some(&format!("\"{version}\""));
        demand(tagged, || format!("version {version}, but {:?}", answer.headers))
    }

    /// What must come of a step: first what is possible as the referral stands, then what it rests on, what may cross, and what is possible
    /// once it was noted who cannot act.
    fn expected(
        &self,
        it: &Referral,
        by: Org,
        command: &Command,
        (if_match, on_to): (IfMatch, Org),
        moved: &Result<Moved, Refusal>,
    ) -> Expected {
        let now = self.stage.now();
        if self.oracle.roles(it, by, now).is_empty() {
            return Expected::problem(404, "not-found");
        }
        if let Err(refusal) = self.oracle.possible(it, by, command, now) {
            return refused(&refusal);
        }
        if if_match == IfMatch::Stale {
            return Expected::problem(412, "precondition-failed");
        }
        let nothing_crosses = !goes_on(command) && !self.oracle.crosses(it, by, *command == Command::Supplement);
        match moved {
            _ if nothing_crosses => Expected::problem(403, "refused"),
            Err(refusal) => refused(refusal),
            Ok(moved) if !goes_on(command) => self.answered(it, by, command, moved),
            Ok(_) if !self.oracle.permits(it.sender, on_to) => Expected::problem(403, "refused"),
            Ok(_) => {
                let name = self.names[it.case].get(&by).filter(|_| by == it.sender);
                Expected::status(201)
                    .with("status", json!("requested"))
                    .with("sender", json!(it.sender.oin()))
                    .with("recipient", json!(on_to.oin()))
                    .with("caseId", json!(name))
                    .with("version", json!(1))
            }
        }
    }

    /// The answer to a step that was taken.
    fn answered(&self, it: &Referral, by: Org, command: &Command, moved: &Moved) -> Expected {
        let after = Referral { state: moved.taken.state, ..it.clone() };
        let sees_deadline = it.sight(by) == Sight::Whole || after.holder() == Some(by);
        Expected::status(201)
            .with("operation", json!(command.operation()))
            .with("status", json!(after.state.status))
            .with("by", json!(by.oin()))
            .with("at", json!(self.stage.now()))
            .with("holder", json!(after.holder().map(Org::oin)))
            .with("dueAt", json!(after.due_at().filter(|_| sees_deadline)))
            .with("version", json!(it.version + 1 + i64::from(moved.noted.is_some())))
    }

    pub(super) async fn malformed(&mut self, referral: usize, by: Org, operation: &str) -> Result<(), Found> {
        let path = format!("/v1/referrals/{}/{operation}", self.oracle.referrals[referral].id);
        let request = self.post(path, Some(json!({ "somethingElse": 1 })));
        self.ask((by, "sends what is no request"), request, &Expected::status(400)).await.map(drop)
    }

    pub(super) async fn pick_up(&mut self, referral: usize, by: Org) -> Result<(), Found> {
        let (it, now) = (self.oracle.referrals[referral].clone(), self.stage.now());
        let ended = matches!(it.state.status, Status::Cancelled | Status::Rejected | Status::EnteredInError);
        let expected = if !it.is_party(by) {
            Expected::problem(404, "not-found")
        } else if by == it.recipient && (ended || !self.oracle.permits(it.sender, it.recipient)) {
            Expected::problem(403, "disclosure-refused")
        } else if it.state.status == Status::EnteredInError {
            // It was erased, also for who gave it.
            Expected::problem(403, "disclosure-refused")
        } else {
            Expected::status(200)
        };
        let request = Request::get(format!("/v1/referrals/{}/sections", it.id));
        let what = format!("reads what came with {referral}");
        let answer = self.ask((by, &what), request, &expected).await?;
        if answer.status != 200 || by != it.recipient {
            return Ok(());
        }
        if it.state.status == Status::Requested {
            let command = Command::Update { status: Status::Received, reason: None, outcome: None };
            let moved = self.oracle.moved(&it, by, &command, now).map_err(|refusal| format!("{refusal:?}"))?;
            self.count("pick-up");
            self.oracle.take(referral, Some(by), &command, &moved, now);
        }
        self.oracle.referrals[referral].state.disclosed = true;
        self.oracle.told.push(self.oracle.subject(referral).disclosed());
        Ok(())
    }

    pub(super) async fn repeat(&mut self, request: Pick, other_body: bool) -> Result<(), Found> {
        let now = self.stage.now();
        self.asked.retain(|asked| now.as_micros() - asked.at.as_micros() < KEY_DAYS * DAY);
        if self.asked.is_empty() {
            return Ok(());
        }
        let Asked { by, request, answer, .. } = &self.asked[request.of(self.asked.len())];
        let (by, mut request, first) = (*by, request.clone(), answer.clone());
        let changeable = request.body.as_mut().and_then(|body| body.get_mut("onWithheld"));
        let changed = other_body && changeable.map(|how| *how = json!("minimise")).is_some();
        // Also where it does not see any more what the first one was about.
        let expected =
            if changed { Expected::problem(409, "idempotency-key-reused") } else { Expected::status(first.status) };
        // It is kept already.
        let key = request.idempotency_key.clone();
        let kept = self.asked.len();
        let again = self.ask((by, "repeats"), request, &expected).await?;
        self.asked.truncate(kept);
        let same = again.text == first.text && again.headers.get("location") == first.headers.get("location");
        let differs = !changed && self.oracle.is_able(by) && !same;
        demand(!differs, || format!("the repeat of {key:?} got {}, the first one {}", again.text, first.text))
    }
}

/// The answer to a step that is not possible.
fn refused(refusal: &Refusal) -> Expected {
    match refusal {
        Refusal::NotAllowed(steps) => Expected::problem(409, "step-not-allowed").with("allowedSteps", json!(steps)),
        Refusal::Reason(_) | Refusal::Outcome { .. } => Expected::status(400),
    }
}
