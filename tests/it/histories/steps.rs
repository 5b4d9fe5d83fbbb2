//! Referrals: new ones, steps in them, what is read of them, and requests that come twice.

use serde_json::json;
use sluis::demo::client::{Answer, Request};
use sluis::lifecycle::Status;
use sluis::lifecycle::referral::{Command, Taken};

use super::cast::{Org, RECIPIENTS, purpose, route};
use super::commands::{body, goes_on, section};
use super::moves::{IfMatch, Pick, Place};
use super::oracle::{Entry, Oracle, Referral};
use super::play::{Asked, DAY, Expected, Found, Play, demand, tag};

/// How long a key counts, in days.
const KEY_DAYS: i64 = 30;

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
        self.opened(&answer, (sender, recipient), priority, case, sender, step)
    }

    /// Notes a new referral, and the step in the one that it goes on with.
    pub(super) fn opened(
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
            return self.opened(&answer, (it.sender, on_to), it.priority, Some(it.case), by, step);
        }
        self.count(command.operation().as_str());
        self.oracle.take(referral, Some(by), &command, &taken, now);
        self.ids.insert((referral, it.version + 1), answer.text_at("/id").unwrap_or_default().to_owned());
        Ok(())
    }

    /// The answer to a step that was taken.
    pub(super) fn answered(&self, it: &Referral, by: Org, command: &Command, taken: &Taken) -> Expected {
        let after = Referral { state: taken.state, ..it.clone() };
        Expected::status(201)
            .with("operation", json!(command.operation()))
            .with("status", json!(after.state.status))
            .with("by", json!(by.oin()))
            .with("at", json!(self.stage.now()))
            .with("holder", json!(after.holder().map(Org::oin)))
            .with("dueAt", json!(after.due_at()))
            .with("version", json!(it.version + 1))
    }

    pub(super) async fn malformed(&mut self, referral: usize, by: Org, operation: &str) -> Result<(), Found> {
        let path = format!("/v1/referrals/{}/{operation}", self.oracle.referrals[referral].id);
        let request = self.post(path, Some(json!({ "somethingElse": 1 })));
        self.ask((by, "sends what is no request"), request, &Expected::status(400), None).await.map(drop)
    }

    pub(super) async fn pick_up(&mut self, referral: usize, by: Org) -> Result<(), Found> {
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

    pub(super) async fn repeat(&mut self, request: Pick, other_body: bool) -> Result<(), Found> {
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
}
