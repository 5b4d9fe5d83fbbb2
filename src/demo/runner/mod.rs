//! Plays a scenario against a running gateway, step by step, and says where it goes otherwise than it should.
//!
//! Invariants: every step goes through the public API with the actor's own credentials; besides what a step expects, no
//! answer and no event may hold a BSN, and every answer carries `API-Version`.

mod arrivals;
mod cases;
mod referrals;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Request};
use super::emergency;
use super::envelopes;
use super::expect::{Seen, differences};
use super::governance;
use super::house::House;
use super::narration::{Narrator, Report};
use super::requests;
use super::safety_veto;
use super::scenario::{Action, Credential, Declaration, OfCovenant, Passage, Resident, Scenario, Step};
use super::tell::Teller;
use super::words::Language;
use super::world::{PlayError, refused};
use crate::clock::Timestamp;

/// Plays one scenario. What differs from it, and what keeps it from being played, is in the report.
pub async fn play(scenario: &Scenario, house: &mut House, narrator: &mut dyn Narrator, language: Language) -> Report {
    narrator.begins(scenario);
    let mut play = Play {
        scenario,
        began: house.world.clock().now(),
        house,
        referrals: BTreeMap::new(),
        updates: BTreeMap::new(),
        consents: BTreeMap::new(),
        emergencies: BTreeMap::new(),
        vetoes: BTreeMap::new(),
        cases: BTreeMap::new(),
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
    /// The idempotency key, where it was sent as a referral of its own.
    key: Option<String>,
    /// From whom to whom and why, as the recipient's system knows it; of what was sent as a referral of its own.
    way: Option<(String, String, String)>,
    sections: BTreeMap<String, Value>,
}

/// An update that was posted in this play.
struct Noted {
    id: String,
    sections: BTreeMap<String, Value>,
}

struct Play<'a> {
    scenario: &'a Scenario,
    /// When the play began; what happened earlier is none of its business.
    began: Timestamp,
    house: &'a mut House,
    referrals: BTreeMap<String, Sent>,
    updates: BTreeMap<String, Noted>,
    consents: BTreeMap<String, String>,
    emergencies: BTreeMap<String, String>,
    vetoes: BTreeMap<String, String>,
    cases: BTreeMap<String, cases::Known>,
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
        let teller = Teller { words: self.house.world.words(), language };
        narrator.step(&teller.step(step, &seen));
        self.count(step, &seen, language);
        let mut found = differences(&step.then, &seen, self.house.world.words());
        found.extend(self.always(step, &seen));
        if found.is_empty() { Ok(()) } else { Err(format!("{name}: {}", found.join("; "))) }
    }

    async fn take(&mut self, step: &Step) -> Result<Seen, PlayError> {
        if let Action::Erase(erasing) = &step.when {
            return self.erase(step, erasing).await;
        }
        if let Action::DeclareEmergency(declaration) = &step.when {
            return self.declare(step, declaration).await;
        }
        if let Some(seen) = self.take_veto(step).await? {
            return Ok(seen);
        }
        let Some(name) = emergency::named(&step.when) else { return self.take_other(step).await };
        let id = self.emergency(name);
        match emergency::step(&step.when, &id, self.house.world.clock().now()) {
            Some((path, body)) => self.post(step, path, body, None).await,
            None => self.get(step, format!("/v1/reviews/{id}")).await,
        }
    }

    /// A step that has nothing to do with break-glass.
    async fn take_other(&mut self, step: &Step) -> Result<Seen, PlayError> {
        let who = step.who.as_str();
        if let Some((referral, resource, body)) = requests::step_in_referral(&step.when, self.house.world.words()) {
            let path = format!("/v1/referrals/{}/{resource}", self.referral(referral));
            let seen = self.post(step, path, body, None).await?;
            self.keep_step(&step.when, &seen);
            return Ok(seen);
        }
        if let Some((case, resource, body)) = requests::step_in_case(&step.when, self.house.world.words()) {
            let path = format!("/v1/cases/{}/{resource}", self.alias(case, who).await?);
            let seen = self.post(step, path, body, None).await?;
            return Ok(Seen { names: self.names(), ..seen });
        }
        match &step.when {
            Action::Check(handover) => self.check(step, handover).await,
            Action::Refer(handover) => self.refer(step, handover).await,
            Action::ReadReferral(of) => self.get(step, format!("/v1/referrals/{}", self.referral(&of.referral))).await,
            Action::ReadUpdates(of) => {
                self.get(step, format!("/v1/referrals/{}/updates?limit=1000", self.referral(&of.referral))).await
            }
            Action::ReadCase(of) => {
                let path = format!("/v1/cases/{}", self.alias(&of.case, who).await?);
                Ok(Seen { names: self.names(), ..self.get(step, path).await? })
            }
            Action::ReadParticipants(of) => {
                let path = format!("/v1/cases/{}/participants", self.alias(&of.case, who).await?);
                self.get(step, path).await
            }
            Action::Audit(of) => self.audit(step, of).await,
            Action::ReadOverdue => self.get(step, "/v1/handoffs?limit=1000".to_owned()).await,
            Action::ReadFigures => self.get(step, "/v1/handoffs/summary".to_owned()).await,
            Action::Disclose(of) => self.disclose(step, of).await,
            Action::RecordConsent(record) => self.record(step, record).await,
            Action::ReadConsent(of) => self.get(step, format!("/v1/consents/{}", self.consent(&of.consent))).await,
            Action::Withdraw(of) => self.withdraw(step, of).await,
            Action::ReportWithdrawal(heard) => self.report_withdrawal(step, heard).await,
            Action::ReadConfirmations(of) => self.confirmations(step, of).await,
            Action::Confirm(saying) => self.confirm(step, saying).await,
            Action::ReceivesEvents(arrival) => self.arrivals(step, arrival).await,
            Action::AdvanceClock(passage) => self.pass(who, passage).await,
            Action::PublishKey => {
                let answer = envelopes::publish(who, &mut self.house.world).await?;
                Ok(Seen { answer: Some(answer), success: 200, ..Seen::default() })
            }
            Action::GatewayDown => {
                self.house.stand_still().await;
                Ok(Seen::default())
            }
            Action::GatewayUp => {
                self.house.go_on().await?;
                Ok(Seen::default())
            }
            Action::PartnerDown => {
                self.house.world.partner(who)?.down().await;
                Ok(Seen::default())
            }
            Action::PartnerUp => {
                self.house.world.partner(who)?.up()?;
                Ok(Seen::default())
            }
            governing => {
                let governing = &self.as_known_to(who, governing).await?;
                let (answer, success) = governance::take(who, governing, &mut self.house.world).await?;
                if matches!(governing, Action::Suspend(_) | Action::Resume(_)) {
                    self.house.look().await?;
                }
                Ok(Seen { answer: Some(answer), success, ..Seen::default() })
            }
        }
    }

    /// A signature for a case names it by the id by which the signer knows it.
    async fn as_known_to(&mut self, who: &str, governing: &Action) -> Result<Action, PlayError> {
        let mut governing = governing.clone();
        if let Action::SignCovenant(OfCovenant { case: Some(case), .. }) = &mut governing {
            *case = self.alias(case, who).await?;
        }
        Ok(governing)
    }

    /// Lets time pass. The gateway looks at the clock several times a minute; here it looks at once, so that nobody waits for it.
    async fn pass(&self, who: &str, passage: &Passage) -> Result<Seen, PlayError> {
        let Passage { days, hours, past_deadline_of } = passage;
        let clock = self.house.world.clock();
        if let Some(referral) = past_deadline_of {
            let path = format!("/v1/referrals/{}", self.referral(referral));
            let answer = self.house.world.ask(who, Request::get(path)).await?;
            let due: Option<Timestamp> = answer.text_at("/dueAt").and_then(|due| due.parse().ok());
            let due = due.ok_or_else(|| refused("the deadline to let pass", &answer))?;
            let left = due.as_micros().saturating_sub(clock.now().as_micros());
            clock.advance(Duration::from_micros(u64::try_from(left).unwrap_or(0)));
        }
        clock.advance(Duration::from_hours(u64::from(*days) * 24 + u64::from(*hours)));
        self.house.look().await?;
        Ok(Seen::default())
    }

    /// The id of a referral. One that was refused has none; asking for it then gives the 404 that such a step expects.
    fn referral(&self, name: &str) -> String {
        self.referrals.get(name).map_or(NOWHERE, |sent| sent.id.as_str()).to_owned()
    }

    async fn declare(&mut self, step: &Step, declaration: &Declaration) -> Result<Seen, PlayError> {
        let resident = self.resident(&declaration.resident);
        let body = emergency::declaration(declaration, &resident, self.house.world.words());
        let seen = self.post(step, "/v1/emergency-accesses".to_owned(), body, None).await?;
        if let Some(id) = seen.answer.as_ref().and_then(|answer| answer.text_at("/id")) {
            self.emergencies.insert(declaration.name.clone(), id.to_owned());
        }
        Ok(seen)
    }

    /// A step that has to do with a safety veto, if it is one.
    async fn take_veto(&mut self, step: &Step) -> Result<Option<Seen>, PlayError> {
        let (path, body, name) = match &step.when {
            Action::SetVeto(veto) => {
                let body = safety_veto::setting(&self.resident(&veto.resident));
                ("/v1/vetoes".to_owned(), body, Some(&veto.name))
            }
            Action::VetoReferral(veto) => {
                (format!("/v1/referrals/{}/vetoes", self.referral(&veto.referral)), Value::Null, Some(&veto.name))
            }
            Action::EndVeto(of) => {
                (format!("/v1/vetoes/{}/conclusions", self.veto(&of.veto)), safety_veto::ending(), None)
            }
            Action::ReadVeto(of) => {
                return self.get(step, format!("/v1/vetoes/{}", self.veto(&of.veto))).await.map(Some);
            }
            _ => return Ok(None),
        };
        let seen = self.post(step, path, body, None).await?;
        let id = seen.answer.as_ref().and_then(|answer| answer.text_at("/id"));
        if let (Some(name), Some(id)) = (name, id) {
            self.vetoes.insert(name.clone(), id.to_owned());
        }
        Ok(Some(seen))
    }

    fn veto(&self, name: &str) -> &str {
        self.vetoes.get(name).map_or(NOWHERE, String::as_str)
    }

    /// The id of a declaration, and of its review.
    fn emergency(&self, name: &str) -> String {
        self.emergencies.get(name).map_or(NOWHERE, String::as_str).to_owned()
    }

    fn consent(&self, name: &str) -> String {
        self.consents.get(name).map_or(NOWHERE, String::as_str).to_owned()
    }

    fn resident(&self, name: &str) -> Resident {
        let unknown = || Resident { bsn: Some(String::new()), matched: None, age_group: None };
        self.scenario.given.residents.get(name).cloned().unwrap_or_else(unknown)
    }

    async fn send(&self, step: &Step, mut request: Request) -> Result<Answer, PlayError> {
        let own = self.house.world.client(&step.who)?;
        let client = if step.with == Credential::NoCertificate { self.house.world.nobody() } else { own };
        request.token = match &step.with {
            Credential::NoToken => None,
            Credential::Own | Credential::NoCertificate => Some(own.token(None).await?),
            Credential::TokenOf(party) => Some(self.house.world.client(party)?.token(None).await?),
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
        request.idempotency_key = Some(key.map_or_else(|| self.house.world.new_key(), Ok)?);
        let answer = self.send(step, request).await?;
        Ok(Seen { answer: Some(answer), success: 201, ..Seen::default() })
    }

    /// A play that was interrupted, or an earlier one on the same data, left records that would answer the questions of
    /// this one: they are withdrawn first.
    async fn clear_former_records(&self) -> Result<(), PlayError> {
        let evidence = self.evidence();
        for party in &self.scenario.given.parties {
            let mut next = Some("/v1/consents?status=active&limit=1000".to_owned());
            while let Some(path) = next.filter(|_| self.house.world.client(party).is_ok()) {
                let page = self.house.world.ask(party, Request::get(path)).await?;
                let items =
                    page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("consents", &page))?;
                let former = |item: &&Value| item.get("evidenceRef").and_then(Value::as_str) == Some(evidence.as_str());
                for id in items.iter().filter(former).filter_map(|item| item.get("id")?.as_str()) {
                    let path = format!("/v1/consents/{id}/withdrawals");
                    let mut request = Request::post(path, json!({ "reasonCode": "other" }));
                    request.idempotency_key = Some(self.house.world.new_key()?);
                    self.house.world.ask(party, request).await?;
                }
                next = page.text_at("/next").map(str::to_owned);
            }
        }
        Ok(())
    }

    fn count(&mut self, step: &Step, seen: &Seen, language: Language) {
        let (to, purpose) = match &step.when {
            Action::Refer(handover) => (&handover.to, Some(handover.purpose.as_str())),
            Action::ReferOn(onward) | Action::Reassign(onward) => (&onward.to, onward.purpose.as_deref()),
            _ => return,
        };
        let Some(answer) = seen.answer.as_ref().filter(|_| seen.repeats.is_none()) else { return };
        let sections = answer.body.pointer("/decision/sections").and_then(Value::as_array);
        let effect = |section: &&Value, effect| section.get("effect").and_then(Value::as_str) == Some(effect);
        let sections: Vec<&Value> = sections.into_iter().flatten().collect();
        // A hand-over that was refused as a whole gave nothing, also not what would have been permitted.
        let permitted = sections.iter().filter(|section| effect(section, "permit")).count();
        self.report.permitted += if answer.status == 201 { permitted } else { 0 };
        self.report.withheld += sections.len() - if answer.status == 201 { permitted } else { 0 };
        let words = self.house.world.words();
        let (from, to) = (words.actor(&step.who, language), words.actor(to, language));
        let mark = if answer.status == 201 { "✓" } else { "✗" };
        let purpose = purpose.or_else(|| answer.text_at("/purpose")).unwrap_or_default();
        let purpose = words.purpose(purpose, language);
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
            let data = resident.matched.iter().flat_map(|data| [&data.family_name, &data.birth_date]);
            for personal in resident.bsn.iter().chain(data) {
                let in_events = seen.events.iter().any(|event| event.to_string().contains(personal));
                if in_events || (!discloses && text.contains(personal)) {
                    found.push(format!("what {name} is named by is in the answer"));
                }
            }
        }
        // The monitor knows no hand-over by the id that its parties know it by.
        let monitors = matches!(step.when, Action::ReadOverdue | Action::ReadFigures);
        for (name, sent) in self.referrals.iter().filter(|(_, sent)| monitors && text.contains(&sent.id)) {
            found.push(format!("the monitor is shown the id of {name} ({})", sent.id));
        }
        found
    }
}

/// An id that no resource has.
const NOWHERE: &str = "00000000-0000-7000-8000-000000000000";
