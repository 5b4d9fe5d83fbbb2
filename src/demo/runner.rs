//! Plays a scenario against a running gateway, step by step, and says where it goes otherwise than it should.
//!
//! Invariants: every step goes through the public API with the actor's own credentials; besides what a step expects, no
//! answer and no event may hold a BSN, and every answer carries `API-Version`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Request};
use super::expect::{Seen, differences};
use super::governance;
use super::jws;
use super::narration::{Narrator, Report};
use super::requests;
use super::scenario::{
    Action, Arrival, Channel, Credential, Disclosure, Handover, Passage, Record, Resident, Scenario, Step, Update,
};
use super::tell::Teller;
use super::words::Language;
use super::world::{PlayError, World, refused};

/// How long an event may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing more must arrive before the events are counted.
const QUIET: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(50);

/// Plays one scenario. What differs from it, and what keeps it from being played, is in the report.
pub async fn play(scenario: &Scenario, world: &mut World, narrator: &mut dyn Narrator, language: Language) -> Report {
    narrator.begins(scenario);
    let mut play = Play {
        scenario,
        world,
        referrals: BTreeMap::new(),
        updates: BTreeMap::new(),
        consents: BTreeMap::new(),
        report: Report {
            slug: scenario.slug.clone(),
            title: language.text(&scenario.title).to_owned(),
            referred: Vec::new(),
            permitted: 0,
            withheld: 0,
            failure: None,
        },
    };
    let played = play.all(narrator, language).await;
    let mut report = play.report;
    if let Err(failure) = played {
        report.failure = Some(failure);
    }
    narrator.ends(&report);
    report
}

/// A referral that was created in this play.
struct Sent {
    id: String,
    key: String,
    sections: BTreeMap<String, Value>,
}

/// An update that was posted in this play.
struct Noted {
    id: String,
    sections: BTreeMap<String, Value>,
}

struct Play<'a> {
    scenario: &'a Scenario,
    world: &'a mut World,
    referrals: BTreeMap<String, Sent>,
    updates: BTreeMap<String, Noted>,
    consents: BTreeMap<String, String>,
    report: Report,
}

impl Play<'_> {
    async fn all(&mut self, narrator: &mut dyn Narrator, language: Language) -> Result<(), String> {
        let scenario = self.scenario;
        self.clear_former_records().await.map_err(|error| error.to_string())?;
        let given = scenario.given.records.iter().map(|given| Step {
            who: given.by.clone(),
            when: Action::RecordConsent(given.record.clone()),
            with: Credential::default(),
            then: super::scenario::Then::default(),
        });
        for step in given {
            self.step(&step, "given", narrator, language).await?;
        }
        for (position, step) in scenario.steps.iter().enumerate() {
            self.step(step, &format!("step {}", position + 1), narrator, language).await?;
        }
        Ok(())
    }

    async fn step(
        &mut self,
        step: &Step,
        name: &str,
        narrator: &mut dyn Narrator,
        language: Language,
    ) -> Result<(), String> {
        let seen = self.take(step).await.map_err(|error| format!("{name}: {error}"))?;
        let teller = Teller { words: self.world.words(), language };
        narrator.step(&teller.step(step, &seen));
        self.count(step, &seen, language);
        let mut found = differences(&step.then, &seen, self.world.words());
        found.extend(self.always(step, &seen));
        if found.is_empty() { Ok(()) } else { Err(format!("{name}: {}", found.join("; "))) }
    }

    async fn take(&mut self, step: &Step) -> Result<Seen, PlayError> {
        let who = step.who.as_str();
        match &step.when {
            Action::Check(handover) => self.check(step, handover).await,
            Action::Refer(handover) => self.refer(step, handover).await,
            Action::ReadReferral(of) => self.get(step, format!("/v1/referrals/{}", self.referral(&of.referral))).await,
            Action::ReadUpdates(of) => {
                self.get(step, format!("/v1/referrals/{}/updates?limit=1000", self.referral(&of.referral))).await
            }
            Action::Audit(of) => {
                let path = format!("/v1/audit/records?limit=1000&referral={}", self.referral(&of.referral));
                self.get(step, path).await
            }
            Action::Disclose(of) => self.disclose(step, of).await,
            Action::Update(update) => self.update(step, update).await,
            Action::RecordConsent(record) => self.record(step, record).await,
            Action::ReadConsent(of) => self.get(step, format!("/v1/consents/{}", self.consent(&of.consent))).await,
            Action::Withdraw(of) => {
                let path = format!("/v1/consents/{}/withdrawals", self.consent(&of.consent));
                self.post(step, path, json!({ "reasonCode": "resident-asked" }), None).await
            }
            Action::ReceivesEvents(arrival) => self.arrivals(step, arrival).await,
            Action::AdvanceClock(Passage { days, hours }) => {
                self.world.clock().advance(Duration::from_hours(u64::from(*days) * 24 + u64::from(*hours)));
                Ok(Seen::default())
            }
            Action::PartnerDown => {
                self.world.partner(who)?.down().await;
                Ok(Seen::default())
            }
            Action::PartnerUp => {
                self.world.partner(who)?.up()?;
                Ok(Seen::default())
            }
            governing => {
                let (answer, success) = governance::take(who, governing, self.world).await?;
                Ok(Seen { answer: Some(answer), success, ..Seen::default() })
            }
        }
    }

    /// The id of a referral. One that was refused has none; asking for it then gives the 404 that such a step expects.
    fn referral(&self, name: &str) -> String {
        self.referrals.get(name).map_or(NOWHERE, |sent| sent.id.as_str()).to_owned()
    }

    fn consent(&self, name: &str) -> String {
        self.consents.get(name).map_or(NOWHERE, String::as_str).to_owned()
    }

    fn resident(&self, name: &str) -> Resident {
        let unknown = || Resident { bsn: String::new(), age_group: None };
        self.scenario.given.residents.get(name).cloned().unwrap_or_else(unknown)
    }

    async fn send(&self, step: &Step, mut request: Request) -> Result<Answer, PlayError> {
        let own = self.world.client(&step.who)?;
        let client = if step.with == Credential::NoCertificate { self.world.nobody() } else { own };
        request.token = match &step.with {
            Credential::NoToken => None,
            Credential::Own | Credential::NoCertificate => Some(own.token(None).await?),
            Credential::TokenOf(party) => Some(self.world.client(party)?.token(None).await?),
            Credential::Scope(scope) => Some(own.token(Some(scope)).await?),
        };
        Ok(client.send(&request).await?)
    }

    async fn get(&self, step: &Step, path: String) -> Result<Seen, PlayError> {
        let answer = self.send(step, Request::get(path)).await?;
        Ok(Seen { answer: Some(answer), success: 200, ..Seen::default() })
    }

    async fn post(&self, step: &Step, path: String, body: Value, key: Option<String>) -> Result<Seen, PlayError> {
        let mut request = Request::post(path, body);
        request.idempotency_key = Some(key.map_or_else(|| self.world.new_key(), Ok)?);
        let answer = self.send(step, request).await?;
        Ok(Seen { answer: Some(answer), success: 201, ..Seen::default() })
    }

    async fn check(&self, step: &Step, handover: &Handover) -> Result<Seen, PlayError> {
        let body = self.body(handover);
        let answer = self.send(step, Request::post("/v1/referrals/_check", body)).await?;
        Ok(Seen { answer: Some(answer), success: 200, ..Seen::default() })
    }

    async fn refer(&mut self, step: &Step, handover: &Handover) -> Result<Seen, PlayError> {
        let former = handover.repeats.as_ref().and_then(|name| self.referrals.get(name));
        let key = former.map_or_else(|| self.world.new_key(), |sent| Ok(sent.key.clone()))?;
        let repeats = former.map(|sent| sent.id.clone());
        let mut seen = self.post(step, "/v1/referrals".to_owned(), self.body(handover), Some(key.clone())).await?;
        seen.repeats = repeats;
        if let Some(answer) = seen.answer.as_ref().filter(|answer| answer.status == 201) {
            let id = answer.text_at("/id").unwrap_or(NOWHERE).to_owned();
            if let Some(name) = &handover.name {
                let sections = handover.sections.clone();
                self.referrals.insert(name.clone(), Sent { id, key, sections });
            }
            if step.then.receipt_verifies.is_some() {
                seen.receipt = Some(self.receipt_verifies(answer).await?);
            }
        }
        Ok(seen)
    }

    fn body(&self, handover: &Handover) -> Value {
        let based_on = handover.based_on.as_ref().map(|name| self.referral(name));
        requests::handover(handover, &self.resident(&handover.resident), based_on.as_deref(), self.world.words())
    }

    /// The receipt verifies with the published keys, and is about this decision.
    async fn receipt_verifies(&self, answer: &Answer) -> Result<bool, PlayError> {
        let keys = self.world.nobody().send(&Request::get("/oauth/jwks")).await?;
        let claims = jws::verified(answer.text_at("/receipt").unwrap_or_default(), &keys.body);
        let decision = answer.text_at("/decision/id").unwrap_or(NOWHERE);
        Ok(claims.is_some_and(|claims| claims.to_string().contains(decision)))
    }

    async fn disclose(&self, step: &Step, of: &Disclosure) -> Result<Seen, PlayError> {
        let referral = self.referral(&of.referral);
        let note = of.update.as_ref().and_then(|name| self.updates.get(name));
        let path = note.map_or_else(
            || format!("/v1/referrals/{referral}/sections"),
            |note| format!("/v1/referrals/{referral}/updates/{}/sections", note.id),
        );
        let referred = || self.referrals.get(&of.referral).map(|sent| &sent.sections);
        let sent = note.map(|note| &note.sections).or_else(referred);
        let seen = self.get(step, path).await?;
        Ok(Seen { sent: sent.cloned().unwrap_or_default(), ..seen })
    }

    async fn update(&mut self, step: &Step, update: &Update) -> Result<Seen, PlayError> {
        let path = format!("/v1/referrals/{}/updates", self.referral(&update.referral));
        let seen = self.post(step, path, requests::update(update, self.world.words()), None).await?;
        let id = seen.answer.as_ref().and_then(|answer| answer.text_at("/id"));
        if let (Some(name), Some(id)) = (&update.name, id) {
            let note = Noted { id: id.to_owned(), sections: update.sections.clone() };
            self.updates.insert(name.clone(), note);
        }
        Ok(seen)
    }

    async fn record(&mut self, step: &Step, record: &Record) -> Result<Seen, PlayError> {
        let evidence = self.evidence();
        let resident = self.resident(&record.resident);
        let body = requests::record(record, &resident, &evidence, self.world.clock(), self.world.words());
        let seen = self.post(step, "/v1/consents".to_owned(), body, None).await?;
        let id = seen.answer.as_ref().and_then(|answer| answer.text_at("/id"));
        if let (Some(name), Some(id)) = (&record.name, id) {
            self.consents.insert(name.clone(), id.to_owned());
        }
        Ok(seen)
    }

    /// By this reference the records of this scenario are found again when it is repeated.
    fn evidence(&self) -> String {
        format!("scenario-{}", self.scenario.slug).chars().take(40).collect()
    }

    /// A play that was interrupted, or an earlier one on the same data, left records that would answer the questions of
    /// this one: they are withdrawn first.
    async fn clear_former_records(&self) -> Result<(), PlayError> {
        let evidence = self.evidence();
        for party in &self.scenario.given.parties {
            let mut next = Some("/v1/consents?status=active&limit=1000".to_owned());
            while let Some(path) = next.filter(|_| self.world.client(party).is_ok()) {
                let page = self.world.ask(party, Request::get(path)).await?;
                let items =
                    page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("consents", &page))?;
                let former = |item: &&Value| item.get("evidenceRef").and_then(Value::as_str) == Some(evidence.as_str());
                for id in items.iter().filter(former).filter_map(|item| item.get("id")?.as_str()) {
                    let path = format!("/v1/consents/{id}/withdrawals");
                    let mut request = Request::post(path, json!({ "reasonCode": "other" }));
                    request.idempotency_key = Some(self.world.new_key()?);
                    self.world.ask(party, request).await?;
                }
                next = page.text_at("/next").map(str::to_owned);
            }
        }
        Ok(())
    }

    /// The events about one thing: waits until as many as expected are there, and then until no more come.
    async fn arrivals(&mut self, step: &Step, arrival: &Arrival) -> Result<Seen, PlayError> {
        let name = arrival.about.as_str();
        let id = self.referrals.get(name).map_or_else(|| self.consent(name), |sent| sent.id.clone());
        let expected = step.then.events.as_ref().map_or(0, Vec::len);
        let started = tokio::time::Instant::now();
        let mut events = self.arrived(&step.who, arrival.by, &id).await?;
        while events.len() < expected && started.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
            events = self.arrived(&step.who, arrival.by, &id).await?;
        }
        tokio::time::sleep(QUIET).await;
        let events = self.arrived(&step.who, arrival.by, &id).await?;
        Ok(Seen { events, ..Seen::default() })
    }

    async fn arrived(&mut self, who: &str, by: Channel, id: &str) -> Result<Vec<Value>, PlayError> {
        match by {
            Channel::Webhook => Ok(self.world.partner(who)?.events_about(id)),
            Channel::Pull => {
                self.world.read_feed(who).await?;
                Ok(self.world.events_about(who, id))
            }
        }
    }

    fn count(&mut self, step: &Step, seen: &Seen, language: Language) {
        let Action::Refer(handover) = &step.when else { return };
        let Some(answer) = seen.answer.as_ref().filter(|_| seen.repeats.is_none()) else { return };
        let sections = answer.body.pointer("/decision/sections").and_then(Value::as_array);
        let effect = |section: &&Value, effect| section.get("effect").and_then(Value::as_str) == Some(effect);
        let sections: Vec<&Value> = sections.into_iter().flatten().collect();
        // A hand-over that was refused as a whole gave nothing, also not what would have been permitted.
        let permitted = sections.iter().filter(|section| effect(section, "permit")).count();
        self.report.permitted += if answer.status == 201 { permitted } else { 0 };
        self.report.withheld += sections.len() - if answer.status == 201 { permitted } else { 0 };
        let words = self.world.words();
        let (from, to) = (words.actor(&step.who, language), words.actor(&handover.to, language));
        let mark = if answer.status == 201 { "✓" } else { "✗" };
        let purpose = words.purpose(&handover.purpose, language);
        self.report.referred.push(format!("{mark} {from} → {to}: {purpose}"));
    }

    /// What must hold of every answer, whatever the step expects.
    fn always(&self, step: &Step, seen: &Seen) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(answer) = &seen.answer
            && !answer.headers.contains_key("api-version")
        {
            found.push("the answer lacks API-Version".to_owned());
        }
        let text = seen.answer.as_ref().map_or("", |answer| answer.text.as_str());
        let discloses = matches!(step.when, Action::Disclose(_));
        for (name, resident) in &self.scenario.given.residents {
            let in_events = seen.events.iter().any(|event| event.to_string().contains(&resident.bsn));
            if in_events || (!discloses && text.contains(&resident.bsn)) {
                found.push(format!("the BSN of {name} is in the answer"));
            }
        }
        found
    }
}

/// An id that no resource has.
const NOWHERE: &str = "00000000-0000-7000-8000-000000000000";
