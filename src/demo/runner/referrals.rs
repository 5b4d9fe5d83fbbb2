//! Plays what happens to referrals and records: sending, reading content, and keeping what a step gave a name.

use serde_json::{Value, json};

use super::super::client::{Answer, Request};
use super::super::envelopes;
use super::super::expect::Seen;
use super::super::jws;
use super::super::requests;
use super::super::scenario::{
    Action, Disclosure, Erasing, Handover, Hearsay, OfConsent, Record, Saying, Step, Supplement, Update,
};
use super::super::world::PlayError;
use super::cases::Known;
use super::{NOWHERE, Noted, Play, Sent};

impl Play<'_> {
    pub(super) async fn check(&mut self, step: &Step, handover: &Handover) -> Result<Seen, PlayError> {
        let body = self.body(&step.who, handover).await?;
        let answer = self.send(step, Request::post("/v1/referrals/_check", body)).await?;
        Ok(Seen { answer: Some(answer), success: 200, ..Seen::default() })
    }

    pub(super) async fn refer(&mut self, step: &Step, handover: &Handover) -> Result<Seen, PlayError> {
        let former = handover.repeats.as_ref().and_then(|name| self.referrals.get(name));
        let key = former.and_then(|sent| sent.key.clone()).map_or_else(|| self.house.world.new_key(), Ok)?;
        let repeats = former.map(|sent| sent.id.clone());
        let body = self.body(&step.who, handover).await?;
        let mut seen = self.post(step, "/v1/referrals".to_owned(), body, Some(key.clone())).await?;
        seen.repeats = repeats;
        if let Some(answer) = seen.answer.as_ref().filter(|answer| answer.status == 201) {
            let id = answer.text_at("/id").unwrap_or(NOWHERE).to_owned();
            if let Some(case) = &handover.case {
                let known = self.cases.entry(case.clone()).or_default();
                known.referrals.push(id.clone());
            }
            if let Some(name) = &handover.name {
                let sections = handover.sections.clone();
                let way = Some((step.who.clone(), handover.to.clone(), handover.purpose.clone()));
                self.referrals.insert(name.clone(), Sent { id, key: Some(key), way, sections });
            }
            if step.then.receipt_verifies.is_some() {
                seen.receipt = Some(self.receipt_verifies(answer).await?);
            }
        }
        Ok(seen)
    }

    async fn body(&mut self, who: &str, handover: &Handover) -> Result<Value, PlayError> {
        let based_on = handover.based_on.as_ref().map(|name| self.referral(name));
        // Whoever names the case first opens it.
        let case = match handover.case.as_ref().filter(|case| self.cases.contains_key(*case)) {
            Some(case) => Some(self.alias(case, who).await?),
            None => None,
        };
        let resident = self.resident(&handover.resident);
        let words = self.house.world.words();
        let emergency = handover.emergency.as_ref().map(|name| self.emergency(name));
        let earlier = (based_on.as_deref(), emergency.as_deref());
        let mut body = requests::handover(handover, &resident, earlier, case.as_deref(), words);
        envelopes::seal(who, handover, &mut body, &self.house.world).await?;
        Ok(body)
    }

    /// Keeps what a step gave a name: a note, or a referral that goes on from an earlier one.
    pub(super) fn keep_step(&mut self, action: &Action, seen: &Seen) {
        let answer = seen.answer.as_ref().filter(|answer| answer.status == 201);
        let Some(id) = answer.and_then(|answer| answer.text_at("/id")).map(str::to_owned) else { return };
        match action {
            Action::Update(Update { name: Some(name), sections, .. })
            | Action::Supplement(Supplement { name: Some(name), sections, .. }) => {
                self.updates.insert(name.clone(), Noted { id, sections: sections.clone() });
            }
            Action::ReferOn(onward) | Action::Reassign(onward) => {
                let earlier = self.referrals.get(&onward.referral);
                let sections = earlier.map(|earlier| earlier.sections.clone()).unwrap_or_default();
                let earlier = earlier.map(|earlier| earlier.id.clone());
                let of_same_case =
                    |case: &&mut Known| earlier.as_ref().is_some_and(|earlier| case.referrals.contains(earlier));
                if let Some(case) = self.cases.values_mut().find(of_same_case) {
                    case.referrals.push(id.clone());
                }
                if let Some(name) = &onward.name {
                    self.referrals.insert(name.clone(), Sent { id, key: None, way: None, sections });
                }
            }
            _ => {}
        }
    }

    /// The receipt verifies with the published keys, and is about this decision.
    async fn receipt_verifies(&self, answer: &Answer) -> Result<bool, PlayError> {
        let keys = self.house.world.nobody().send(&Request::get("/oauth/jwks")).await?;
        let claims = jws::verified(answer.text_at("/receipt").unwrap_or_default(), &keys.body);
        let decision = answer.text_at("/decision/id").unwrap_or(NOWHERE);
        Ok(claims.is_some_and(|claims| claims.to_string().contains(decision)))
    }

    pub(super) async fn disclose(&self, step: &Step, of: &Disclosure) -> Result<Seen, PlayError> {
        let referral = self.referral(&of.referral);
        let note = of.update.as_ref().and_then(|name| self.updates.get(name));
        let path = note.map_or_else(
            || format!("/v1/referrals/{referral}/sections"),
            |note| format!("/v1/referrals/{referral}/updates/{}/sections", note.id),
        );
        let referred = || self.referrals.get(&of.referral).map(|sent| &sent.sections);
        let sent = note.map(|note| &note.sections).or_else(referred);
        let mut seen = self.get(step, path).await?;
        let way = self.referrals.get(&of.referral).and_then(|sent| sent.way.as_ref()).filter(|_| note.is_none());
        if let (Some(answer), Some((from, to, purpose))) = (&mut seen.answer, way) {
            envelopes::open(&step.who, (from, to, purpose), &mut answer.body, &self.house.world);
        }
        Ok(Seen { sent: sent.cloned().unwrap_or_default(), ..seen })
    }

    pub(super) async fn record(&mut self, step: &Step, record: &Record) -> Result<Seen, PlayError> {
        let evidence = self.evidence();
        let resident = self.resident(&record.resident);
        let body = requests::record(record, &resident, &evidence, self.house.world.clock(), self.house.world.words());
        let seen = self.post(step, "/v1/consents".to_owned(), body, None).await?;
        let id = seen.answer.as_ref().and_then(|answer| answer.text_at("/id"));
        if let (Some(name), Some(id)) = (&record.name, id) {
            self.consents.insert(name.clone(), id.to_owned());
        }
        Ok(seen)
    }

    pub(super) async fn withdraw(&self, step: &Step, of: &OfConsent) -> Result<Seen, PlayError> {
        let path = format!("/v1/consents/{}/withdrawals", self.consent(&of.consent));
        self.post(step, path, json!({ "reasonCode": "resident-asked" }), None).await
    }

    pub(super) async fn confirmations(&self, step: &Step, of: &OfConsent) -> Result<Seen, PlayError> {
        let path = format!("/v1/consents/{}/confirmations", self.consent_of(&of.consent, &step.who).await?);
        self.get(step, path).await
    }

    pub(super) async fn confirm(&self, step: &Step, saying: &Saying) -> Result<Seen, PlayError> {
        let path = format!("/v1/consents/{}/confirmations", self.consent_of(&saying.consent, &step.who).await?);
        self.post(step, path, requests::saying(saying), None).await
    }

    /// Reports a withdrawal; the gateway then does at once what it does by itself a moment later.
    pub(super) async fn report_withdrawal(&self, step: &Step, heard: &Hearsay) -> Result<Seen, PlayError> {
        let body = requests::hearsay(heard, &self.resident(&heard.resident), self.house.world.words());
        let answer = self.send(step, Request::post("/v1/consents/_withdraw", body)).await?;
        self.house.look().await?;
        Ok(Seen { answer: Some(answer), success: 202, ..Seen::default() })
    }

    pub(super) async fn erase(&self, step: &Step, erasing: &Erasing) -> Result<Seen, PlayError> {
        let subject = requests::subject(&self.resident(&erasing.resident));
        let body = serde_json::json!({ "subject": subject, "ground": erasing.ground });
        self.post(step, "/v1/erasures".to_owned(), body, None).await
    }

    /// The id by which this actor knows a consent: its own where it may read that, and else the one by which it was asked to confirm something
    /// that came with a referral of the scenario.
    pub(super) async fn consent_of(&self, name: &str, who: &str) -> Result<String, PlayError> {
        let consent = self.consent(name);
        let world = &self.house.world;
        if world.ask(who, Request::get(format!("/v1/consents/{consent}"))).await?.status == 200 {
            return Ok(consent);
        }
        let page = world.ask(who, Request::get("/v1/consent-confirmations?limit=1000")).await?;
        let items = page.body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let came_with = |item: &&Value| {
            let received = item.get("received").and_then(Value::as_array).into_iter().flatten();
            let mut referrals = received.filter_map(|part| part.get("referral")?.as_str());
            referrals.any(|id| self.referrals.values().any(|sent| sent.id == id))
        };
        let id = items.iter().find(came_with).and_then(|item| item.get("id")?.as_str());
        Ok(id.unwrap_or(NOWHERE).to_owned())
    }

    /// By this reference the records of this scenario are found again when it is repeated.
    pub(super) fn evidence(&self) -> String {
        format!("scenario-{}", self.scenario.slug).chars().take(40).collect()
    }
}
