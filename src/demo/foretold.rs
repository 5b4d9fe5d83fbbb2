//! Tests what the scenarios expect of decisions against the policy engine alone, without a gateway: a scenario that expects
//! what the covenant does not say fails here, by name and step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::policies;
use super::scenario::{Action as Deed, Handover, OnWithheld, Record, Scenario, Step, Update};
use super::scenarios;
use super::words::MEMBERS;
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Phase};
use crate::ids::Oin;
use crate::policy::{
    Action, AgeGroup, CaseFacts, ConsentRecord, Decision, Effect, Engine, GivenBy, RecordKind, ReferralTerms,
    RepresentativeKind, Request, Standing, SubjectFacts,
};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// As much of a gateway as decisions depend on.
struct Simulated<'a> {
    engine: &'a Engine,
    scenario: &'a Scenario,
    now: Timestamp,
    signed: BTreeSet<String>,
    next: Option<(Timestamp, BTreeSet<String>)>,
    suspended: BTreeSet<String>,
    records: Vec<(String, String, ConsentRecord)>,
    referrals: BTreeMap<String, (String, Handover)>,
    compared: usize,
}

impl<'a> Simulated<'a> {
    fn new(engine: &'a Engine, scenario: &'a Scenario) -> Self {
        Self {
            engine,
            scenario,
            now: START,
            signed: MEMBERS.iter().map(|slug| (*slug).to_owned()).collect(),
            next: None,
            suspended: BTreeSet::new(),
            records: Vec::new(),
            referrals: BTreeMap::new(),
            compared: 0,
        }
    }

    fn oin(&self, slug: &str) -> Oin {
        self.engine.covenant().parties.iter().find(|party| party.id.as_str() == slug).unwrap().oin.clone()
    }

    fn record(&mut self, by: &str, record: &Record) {
        let days = |days: i64| {
            let span = Duration::from_hours(24 * days.unsigned_abs());
            if days < 0 { self.now.minus(span) } else { self.now.plus(span) }
        };
        let made = ConsentRecord {
            id: Uuid::from_u128(self.records.len() as u128),
            kind: RecordKind::from_word(&record.kind).unwrap(),
            recorded_by: self.oin(by),
            given_by: GivenBy::from_word(&record.given_by).unwrap(),
            representative: record
                .representative_kind
                .as_deref()
                .map(|kind| RepresentativeKind::from_word(kind).unwrap()),
            explicit: record.explicit,
            recipients: record.recipients.iter().map(|slug| self.oin(slug)).collect(),
            purposes: record.purposes.iter().map(|code| code.parse().unwrap()).collect(),
            categories: record.categories.iter().map(|code| code.parse().unwrap()).collect(),
            valid_from: days(record.valid.from_day),
            valid_until: days(record.valid.until_day),
            withdrawn_at: None,
        };
        let bsn = self.scenario.given.residents[&record.resident].bsn.clone();
        self.records.push((record.name.clone().unwrap(), bsn, made));
    }

    fn standing(&self, slug: &str) -> Standing {
        Standing { signed: self.signed.contains(slug), active: !self.suspended.contains(slug) }
    }

    fn decide(
        &self,
        action: Action,
        sender: &str,
        terms: &Handover,
        sections: &BTreeMap<String, serde_json::Value>,
    ) -> Decision {
        let (giver, receiver) =
            if action == Action::Refer { (sender, terms.to.as_str()) } else { (terms.to.as_str(), sender) };
        let resident = &self.scenario.given.residents[&terms.resident];
        let of_resident =
            |(_, bsn, record): &(String, String, ConsentRecord)| (*bsn == resident.bsn).then(|| record.clone());
        let categories: Vec<CategoryCode> = sections.keys().map(|code| code.parse().unwrap()).collect();
        self.engine.decide(&Request {
            action,
            giver: self.oin(giver),
            giver_standing: self.standing(giver),
            receiver: self.oin(receiver),
            receiver_standing: self.standing(receiver),
            referral: ReferralTerms {
                sender: self.oin(sender),
                recipient: self.oin(&terms.to),
                purpose: terms.purpose.parse().unwrap(),
                phase: Phase::from_word(&terms.phase).unwrap(),
                basis: terms.basis.parse().unwrap(),
            },
            subject: SubjectFacts {
                age_group: resident.age_group.as_deref().map(|age| AgeGroup::from_word(age).unwrap()),
                age_group_contradicted: false,
                by_bsn: action == Action::Refer,
            },
            case: CaseFacts::default(),
            break_glass: None,
            sections: categories,
            carried: Vec::new(),
            records: self.records.iter().filter_map(of_resident).collect(),
            now: self.now,
        })
    }

    fn take(&mut self, step: &Step, place: &str) {
        let who = step.who.as_str();
        match &step.when {
            Deed::Check(handover) | Deed::Refer(handover) => {
                let decision = self.decide(Action::Refer, who, handover, &handover.sections);
                self.compare(step, &decision, handover.on_withheld, place);
                if let Some(name) = &handover.name {
                    self.referrals.insert(name.clone(), (who.to_owned(), handover.clone()));
                }
            }
            Deed::Update(update) if !update.sections.is_empty() => self.note(step, update, place),
            Deed::Disclose(of) if of.update.is_none() => self.disclose(step, &of.referral, place),
            Deed::RecordConsent(record) => self.record(who, record),
            Deed::Withdraw(of) => {
                for (name, _, record) in &mut self.records {
                    if *name == of.consent {
                        record.withdrawn_at.get_or_insert(self.now);
                    }
                }
            }
            Deed::Suspend(of) => drop(self.suspended.insert(of.organisation.clone())),
            Deed::Resume(of) => drop(self.suspended.remove(&of.organisation)),
            Deed::PublishCovenant(publication) => {
                let from = self.now.plus(Duration::from_hours(24 * u64::from(publication.in_force_after_days)));
                self.next = Some((from, BTreeSet::new()));
            }
            Deed::SignCovenant(_) => {
                let signed = self.next.as_mut().map_or(&mut self.signed, |(_, signed)| signed);
                signed.insert(who.to_owned());
            }
            Deed::AdvanceClock(passage) => {
                self.now = self.now.plus(Duration::from_hours(u64::from(passage.days) * 24 + u64::from(passage.hours)));
            }
            _ => {}
        }
        if let Some((_, signed)) = self.next.take_if(|(from, _)| *from <= self.now) {
            self.signed = signed;
        }
    }

    fn note(&mut self, step: &Step, update: &Update, place: &str) {
        let (sender, terms) = self.referrals[&update.referral].clone();
        let action = if sender == step.who { Action::Refer } else { Action::Note };
        let decision = self.decide(action, &sender, &terms, &update.sections);
        self.compare(step, &decision, update.on_withheld, place);
    }

    /// Only what decisions say: who asks, and with which credentials, is the gateway's part.
    fn disclose(&mut self, step: &Step, referral: &str, place: &str) {
        let (sender, terms) = self.referrals[referral].clone();
        let decision = self.decide(Action::Refer, &sender, &terms, &terms.sections);
        let permitted = with_effect(&decision, Effect::Permit);
        match (&step.then.content, step.then.problem.as_deref()) {
            (Some(content), _) => assert_eq!(permitted, content.iter().cloned().collect(), "{place}"),
            // Taken back by the sender, whatever the covenant says.
            (None, Some("disclosure-refused")) if !place.starts_with("22") => assert!(permitted.is_empty(), "{place}"),
            _ => return,
        }
        self.compared += 1;
    }

    fn compare(&mut self, step: &Step, decision: &Decision, on_withheld: OnWithheld, place: &str) {
        let choice = match on_withheld {
            OnWithheld::Reject => crate::policy::OnWithheld::Reject,
            OnWithheld::Minimise => crate::policy::OnWithheld::Minimise,
        };
        let then = &step.then;
        if let Some(outcome) = &then.outcome {
            assert_eq!(decision.outcome(choice).as_str(), outcome, "{place}: {decision:#?}");
            self.compared += 1;
        }
        if let Some(permitted) = &then.permitted {
            assert_eq!(with_effect(decision, Effect::Permit), permitted.iter().cloned().collect(), "{place}");
            self.compared += 1;
        }
        let section =
            |category: &str| decision.sections().iter().find(|section| section.category().as_str() == category);
        if let Some(withheld) = &then.withheld {
            assert_eq!(with_effect(decision, Effect::Withhold), withheld.keys().cloned().collect(), "{place}");
            for (category, reason) in withheld {
                let section = section(category).unwrap();
                assert_eq!(
                    section.code().map(crate::policy::Code::as_str),
                    Some(reason.code.as_str()),
                    "{place}: {category}"
                );
                for rule in &reason.rules {
                    assert!(section.rules().contains(rule), "{place}: {category}: {:?}", section.rules());
                }
                if let Some(remedy) = &reason.remedy {
                    assert_eq!(section.remedy().map(|remedy| &remedy.code), Some(remedy), "{place}: {category}");
                }
            }
            self.compared += 1;
        }
        for (category, rules) in then.permitted_by.iter().flatten() {
            assert_eq!(section(category).unwrap().rules(), rules, "{place}: {category}");
        }
    }
}

fn with_effect(decision: &Decision, effect: Effect) -> BTreeSet<String> {
    let with = decision.sections().iter().filter(|section| section.effect() == effect);
    with.map(|section| section.category().to_string()).collect()
}

#[test]
fn what_the_scenarios_expect_of_decisions_is_what_the_covenant_says() {
    let engine = Engine::new(&policies::bundle().unwrap()).unwrap();
    let mut compared = 0;
    for scenario in scenarios::all().unwrap() {
        let mut simulated = Simulated::new(&engine, &scenario);
        for given in &scenario.given.records {
            simulated.record(&given.by, &given.record);
        }
        for (position, step) in scenario.steps.iter().enumerate() {
            simulated.take(step, &format!("{} step {}", scenario.slug, position + 1));
        }
        compared += simulated.compared;
    }
    assert!(compared > 120, "only {compared} expectations were compared");
}
