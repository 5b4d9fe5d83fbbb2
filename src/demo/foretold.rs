//! Tests what the scenarios expect of decisions against the policy engine alone, without a gateway: a scenario that expects
//! what the covenant does not say fails here, by name and step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::policies;
use super::scenario::{
    Action as Deed, Declaration, Handover, Hearsay, OfCovenant, OnWithheld, Onward, Record, Scenario, Step,
};
use super::scenarios;
use super::words::{MEMBERS, MUNICIPALITY};
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Phase};
use crate::ids::Oin;
use crate::policy::{
    Action, AgeGroup, BreakGlass, CaseFacts, ConsentRecord, Decision, Effect, Engine, GivenBy, RecordKind,
    ReferralTerms, RepresentativeKind, Request, RightsFacts, Standing, SubjectFacts,
};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// As much of a gateway as decisions depend on.
struct Simulated<'a> {
    engine: &'a Engine,
    scenario: &'a Scenario,
    now: Timestamp,
    signed: BTreeSet<String>,
    /// Who has signed for what purpose only.
    for_purposes: BTreeSet<(String, String)>,
    next: Option<(Timestamp, BTreeSet<String>)>,
    suspended: BTreeSet<String>,
    records: Vec<(String, String, ConsentRecord)>,
    referrals: BTreeMap<String, Sent>,
    cases: BTreeMap<String, Case>,
    declared: BTreeMap<String, (String, Declaration, Timestamp)>,
    compared: usize,
}

/// A referral as far as decisions depend on it.
#[derive(Clone)]
struct Sent {
    sender: String,
    terms: Handover,
    case: Option<String>,
    /// By the last update.
    status: String,
}

impl Sent {
    /// Both parties take part in the case by it.
    fn makes_participants(&self) -> bool {
        let resting = ["case-coordination", "process-direction"].contains(&self.terms.purpose.as_str());
        !resting && ["accepted", "in-progress", "completed"].contains(&self.status.as_str())
    }
}

/// A case as far as decisions depend on it.
#[derive(Default)]
struct Case {
    coordinator: String,
    invited: BTreeSet<String>,
    /// Who of them has signed for this case only.
    signed: BTreeSet<String>,
    offered_to: Option<String>,
    stepped_up: bool,
    closed: bool,
}

impl<'a> Simulated<'a> {
    fn new(engine: &'a Engine, scenario: &'a Scenario) -> Self {
        Self {
            engine,
            scenario,
            now: START,
            signed: MEMBERS.iter().map(|slug| (*slug).to_owned()).collect(),
            for_purposes: BTreeSet::new(),
            next: None,
            suspended: BTreeSet::new(),
            records: Vec::new(),
            referrals: BTreeMap::new(),
            cases: BTreeMap::new(),
            declared: BTreeMap::new(),
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
        let resident = self.scenario.given.residents[&record.resident].identity();
        self.records.push((record.name.clone().unwrap(), resident, made));
    }

    fn standing(&self, slug: &str, Sent { terms, case, .. }: &Sent) -> Standing {
        let case = case.as_ref().and_then(|name| self.cases.get(name));
        let signed = self.signed.contains(slug)
            || self.for_purposes.contains(&(slug.to_owned(), terms.purpose.clone()))
            || case.is_some_and(|case| !case.closed && case.signed.contains(slug));
        Standing { signed, active: !self.suspended.contains(slug) }
    }

    /// What a decision on a referral of this case may rest on.
    fn case_facts(&self, case: Option<&String>, [giver, receiver]: [&str; 2], sender: &str) -> CaseFacts {
        let Some((name, case)) = case.and_then(|name| Some((name, self.cases.get(name).filter(|case| !case.closed)?)))
        else {
            return CaseFacts::default();
        };
        let takes_part = |party: &str| {
            let by_referral = self.referrals.values().filter(|sent| sent.case.as_ref() == Some(name));
            case.coordinator == party
                || case.invited.contains(party)
                || by_referral
                    .filter(|sent| sent.makes_participants())
                    .any(|sent| sent.sender == party || sent.terms.to == party)
        };
        let between = |one: &str, other: &str| case.coordinator == one && one != other && takes_part(other);
        CaseFacts {
            participant_and_coordinator: between(giver, receiver) || between(receiver, giver),
            municipality_coordinates: case.coordinator == MUNICIPALITY,
            stepped_up: case.stepped_up && takes_part(sender),
        }
    }

    fn decide(&self, action: Action, sent: &Sent, sections: &BTreeMap<String, serde_json::Value>) -> Decision {
        let Sent { sender, terms, case, .. } = sent;
        let sender = sender.as_str();
        let (giver, receiver) =
            if action == Action::Refer { (sender, terms.to.as_str()) } else { (terms.to.as_str(), sender) };
        let resident = &self.scenario.given.residents[&terms.resident];
        let of_resident =
            |(_, of, record): &(String, String, ConsentRecord)| (*of == resident.identity()).then(|| record.clone());
        let categories: Vec<CategoryCode> = sections.keys().map(|code| code.parse().unwrap()).collect();
        self.engine.decide(&Request {
            action,
            giver: self.oin(giver),
            giver_standing: self.standing(giver, sent),
            receiver: self.oin(receiver),
            receiver_standing: self.standing(receiver, sent),
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
                by_bsn: action == Action::Refer && resident.bsn.is_some(),
            },
            case: self.case_facts(case.as_ref(), [giver, receiver], sender),
            break_glass: self.break_glass(action, sent),
            rights: RightsFacts::default(),
            sections: categories,
            carried: Vec::new(),
            records: self.records.iter().filter_map(of_resident).collect(),
            now: self.now,
        })
    }
    /// What somebody heard withdraws what it names.
    fn report(&mut self, heard: &Hearsay) {
        let resident = self.scenario.given.residents[&heard.resident].identity();
        let recipient = heard.recipient.as_ref().map(|slug| self.oin(slug));
        for (_, of, record) in &mut self.records {
            let names_purpose = |purpose: &String| record.purposes.iter().any(|named| named.as_str() == purpose);
            if *of == resident
                && record.kind == RecordKind::Consent
                && recipient.as_ref().is_none_or(|recipient| record.recipients.contains(recipient))
                && heard.purpose.as_ref().is_none_or(names_purpose)
            {
                record.withdrawn_at.get_or_insert(self.now);
            }
        }
    }

    /// What the declaration that a referral names opens for it.
    fn break_glass(&self, action: Action, sent: &Sent) -> Option<BreakGlass> {
        let (by, declaration, at) = self.declared.get(sent.terms.emergency.as_ref()?)?;
        let identity = |resident: &str| self.scenario.given.residents[resident].identity();
        let fits = action == Action::Refer
            && *by == sent.sender
            && declaration.to == sent.terms.to
            && identity(&declaration.resident) == identity(&sent.terms.resident)
            && self.now < at.plus(Duration::from_hours(24));
        fits.then(|| BreakGlass {
            categories: declaration.categories.iter().map(|code| code.parse().unwrap()).collect(),
            cannot_consent: declaration.cannot_consent.is_some(),
        })
    }

    fn erase(&mut self, who: &str, resident: &str) {
        let theirs = |sent: &&mut Sent| sent.sender == who && sent.terms.resident == *resident;
        self.referrals.values_mut().filter(theirs).for_each(|sent| sent.terms.sections.clear());
    }

    fn take(&mut self, step: &Step, place: &str) {
        let who = step.who.as_str();
        match &step.when {
            Deed::Check(handover) | Deed::Refer(handover) => {
                let earlier = handover.based_on.as_ref().and_then(|name| self.referrals.get(name));
                let case = handover.case.clone().or_else(|| earlier.and_then(|earlier| earlier.case.clone()));
                let sent =
                    Sent { sender: who.to_owned(), terms: handover.clone(), case, status: "requested".to_owned() };
                self.send(step, (sent, &[]), handover.name.as_ref(), handover.on_withheld, place);
            }
            Deed::ReferOn(onward) | Deed::Reassign(onward) => self.go_on(step, onward, place),
            Deed::Update(update) => {
                if !update.sections.is_empty() {
                    self.note(step, &update.referral, &update.sections, update.on_withheld, place);
                }
                if succeeds(step) {
                    self.referrals.get_mut(&update.referral).unwrap().status.clone_from(&update.to);
                }
            }
            Deed::Supplement(supplement) => {
                self.note(step, &supplement.referral, &supplement.sections, supplement.on_withheld, place);
            }
            Deed::Disclose(of) if of.update.is_none() => self.disclose(step, &of.referral, place),
            Deed::RecordConsent(record) => self.record(who, record),
            Deed::DeclareEmergency(declaration) if succeeds(step) => {
                self.declared.insert(declaration.name.clone(), (who.to_owned(), declaration.clone(), self.now));
            }
            Deed::VetoReferral(veto) if succeeds(step) => {
                "cancelled".clone_into(&mut self.referrals.get_mut(&veto.referral).unwrap().status);
            }
            Deed::Erase(erasure) if succeeds(step) => self.erase(who, &erasure.resident),
            Deed::EndEmergency(of) if succeeds(step) => drop(self.declared.remove(&of.emergency)),
            Deed::Withdraw(of) => {
                for (name, _, record) in &mut self.records {
                    if *name == of.consent {
                        record.withdrawn_at.get_or_insert(self.now);
                    }
                }
            }
            Deed::ReportWithdrawal(heard) => self.report(heard),
            Deed::Suspend(of) => drop(self.suspended.insert(of.organisation.clone())),
            Deed::Resume(of) => drop(self.suspended.remove(&of.organisation)),
            Deed::PublishCovenant(publication) => {
                let from = self.now.plus(Duration::from_hours(24 * u64::from(publication.in_force_after_days)));
                self.next = Some((from, BTreeSet::new()));
            }
            Deed::SignCovenant(OfCovenant { purpose: Some(purpose), .. }) if succeeds(step) => {
                self.for_purposes.insert((who.to_owned(), purpose.clone()));
            }
            Deed::SignCovenant(OfCovenant { case: Some(case), .. }) if succeeds(step) => {
                self.cases.get_mut(case).unwrap().signed.insert(who.to_owned());
            }
            Deed::SignCovenant(_) if succeeds(step) => {
                let signed = self.next.as_mut().map_or(&mut self.signed, |(_, signed)| signed);
                signed.insert(who.to_owned());
            }
            Deed::AdvanceClock(passage) => {
                // When a deadline passes depends on the calendar; no decision of a scenario depends on it to the day.
                let deadline = if passage.past_deadline_of.is_some() { 7 } else { 0 };
                let hours = (u64::from(passage.days) + deadline) * 24 + u64::from(passage.hours);
                self.now = self.now.plus(Duration::from_hours(hours));
            }
            deed if succeeds(step) => self.step_in_case(who, deed),
            _ => {}
        }
        if let Some((_, signed)) = self.next.take_if(|(from, _)| *from <= self.now) {
            self.signed = signed;
            self.for_purposes.clear();
            self.cases.values_mut().for_each(|case| case.signed.clear());
        }
    }

    fn send(
        &mut self,
        step: &Step,
        (mut sent, left_out): (Sent, &[CategoryCode]),
        name: Option<&String>,
        on_withheld: OnWithheld,
        place: &str,
    ) {
        let decision = self.decide(Action::Refer, &sent, &sent.terms.sections).leaving_out(left_out);
        self.compare(step, &decision, on_withheld, place);
        if !succeeds(step) || matches!(step.when, Deed::Check(_)) {
            return;
        }
        // What was withheld is not there any more when it goes on.
        let crossed = with_effect(&decision, Effect::Permit);
        sent.terms.sections.retain(|category, _| crossed.contains(category));
        sent.terms.encrypted.retain(|category| crossed.contains(category));
        if let Some(case) = &sent.case {
            let opened = || Case { coordinator: sent.sender.clone(), ..Case::default() };
            self.cases.entry(case.clone()).or_insert_with(opened);
        }
        if let Some(name) = name {
            self.referrals.insert(name.clone(), sent);
        }
    }

    fn go_on(&mut self, step: &Step, onward: &Onward, place: &str) {
        let mut sent = self.referrals[&onward.referral].clone();
        sent.status = "requested".to_owned();
        sent.terms.to.clone_from(&onward.to);
        sent.terms.purpose = onward.purpose.clone().unwrap_or(sent.terms.purpose);
        sent.terms.basis = onward.basis.clone().unwrap_or(sent.terms.basis);
        // What was encrypted for the earlier recipient stays behind.
        let encrypted = std::mem::take(&mut sent.terms.encrypted);
        sent.terms.sections.retain(|category, _| !encrypted.contains(category));
        let left_out: Vec<CategoryCode> = encrypted.iter().map(|code| code.parse().unwrap()).collect();
        self.send(step, (sent, &left_out), onward.name.as_ref(), onward.on_withheld, place);
        if matches!(step.when, Deed::Reassign(_)) && succeeds(step) {
            "cancelled".clone_into(&mut self.referrals.get_mut(&onward.referral).unwrap().status);
        }
    }

    /// What the steps in a case change of what decisions rest on.
    fn step_in_case(&mut self, who: &str, deed: &Deed) {
        let name = match deed {
            Deed::OfferCoordination(of) | Deed::Invite(of) | Deed::RemoveParticipant(of) => &of.case,
            Deed::CallMeeting(meeting) => &meeting.case,
            Deed::StepUpCase(step) => &step.case,
            Deed::AcceptCoordination(of) | Deed::StepDownCase(of) | Deed::CloseCase(of) => &of.case,
            _ => return,
        };
        let case = self.cases.get_mut(name).unwrap();
        match deed {
            Deed::OfferCoordination(of) => case.offered_to = Some(of.party.clone()),
            Deed::AcceptCoordination(_) => {
                assert_eq!(case.offered_to.take().as_deref(), Some(who));
                case.invited.remove(who);
                case.invited.insert(std::mem::replace(&mut case.coordinator, who.to_owned()));
            }
            Deed::Invite(of) => drop(case.invited.insert(of.party.clone())),
            Deed::RemoveParticipant(of) => {
                case.invited.remove(&of.party);
                case.signed.remove(&of.party);
            }
            Deed::CallMeeting(meeting) => case.invited.extend(meeting.parties.iter().cloned()),
            Deed::StepUpCase(_) => case.stepped_up = true,
            Deed::StepDownCase(_) => case.stepped_up = false,
            _ => case.closed = true,
        }
    }

    fn note(
        &mut self,
        step: &Step,
        referral: &str,
        sections: &BTreeMap<String, serde_json::Value>,
        on_withheld: OnWithheld,
        place: &str,
    ) {
        let sent = self.referrals[referral].clone();
        let action = if sent.sender == step.who { Action::Refer } else { Action::Note };
        let decision = self.decide(action, &sent, sections);
        self.compare(step, &decision, on_withheld, place);
    }

    /// Only what decisions say: who asks, and with which credentials, is the gateway's part.
    fn disclose(&mut self, step: &Step, referral: &str, place: &str) {
        let Some(sent) = self.referrals.get(referral).cloned() else { return };
        // Called off, turned down or an error: nothing is handed over any more, whatever the covenant says.
        let ended = ["cancelled", "rejected", "entered-in-error"].contains(&sent.status.as_str());
        let decision = self.decide(Action::Refer, &sent, &sent.terms.sections);
        let permitted = with_effect(&decision, Effect::Permit);
        match (&step.then.content, step.then.problem.as_deref()) {
            (Some(content), _) => assert_eq!(permitted, content.iter().cloned().collect(), "{place}"),
            (None, Some("disclosure-refused")) if !ended => assert!(permitted.is_empty(), "{place}"),
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

fn succeeds(step: &Step) -> bool {
    step.then.status.is_none_or(|status| status < 400)
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
