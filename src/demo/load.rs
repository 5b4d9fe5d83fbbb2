//! Reads scenario files and refuses what would not be understood when they are played.
//!
//! Invariant: every name that a step uses was given by an earlier step, every expectation belongs to its action, and every
//! resident has a test number; all faults of a file are told at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::emergency;
use super::scenario::{
    Accounted, Action, Arrival, Channel, Credential, Handover, Hearsay, OVERDUE_HANDOFFS, OfConsent, OfCovenant,
    Onward, Record, Saying, Scenario, Stage, Then, Update,
};
use super::sense::{stated, understood};
use super::words::{MUNICIPALITY, ROLES};

/// A scenario file that cannot be played, with everything that is wrong in it.
#[derive(Debug, thiserror::Error)]
#[error("scenario {slug}: {}", faults.join("; "))]
pub struct Unplayable {
    /// The file's name without its ending.
    pub slug: String,
    /// What is wrong.
    pub faults: Vec<String>,
}

/// Reads one scenario file.
///
/// # Errors
/// [`Unplayable`] with everything that is wrong.
pub fn scenario(slug: &str, yaml: &str) -> Result<Scenario, Unplayable> {
    let unplayable = |faults| Unplayable { slug: slug.to_owned(), faults };
    let mut scenario: Scenario = serde_saphyr::from_str(yaml).map_err(|error| unplayable(vec![error.to_string()]))?;
    slug.clone_into(&mut scenario.slug);
    let mut check = Check { scenario: &scenario, names: BTreeMap::new(), faults: Vec::new() };
    check.all();
    let faults = check.faults;
    if faults.is_empty() { Ok(scenario) } else { Err(unplayable(faults)) }
}

/// What a name in a scenario stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Referral,
    Update,
    Consent,
    Case,
    Emergency,
    Veto,
}

struct Check<'a> {
    scenario: &'a Scenario,
    names: BTreeMap<&'a str, Named>,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn all(&mut self) {
        let scenario = self.scenario;
        for (text, what) in [(&scenario.title, "title"), (&scenario.story, "story")] {
            self.demand(!text.nl.trim().is_empty() && !text.en.trim().is_empty(), || format!("{what} is empty"));
        }
        self.demand(!scenario.steps.is_empty(), || "no steps".to_owned());
        for (name, resident) in &scenario.given.residents {
            self.demand(resident.bsn.as_deref().is_none_or(is_test_number), || {
                format!("resident {name}: the BSN must start with 99999 and pass the eleven-test")
            });
            self.demand(resident.bsn.is_some() || resident.matched.is_some(), || {
                format!("resident {name}: needs a bsn, a match or both")
            });
        }
        for party in &scenario.main {
            self.known_party(party);
        }
        for given in &scenario.given.records {
            self.known_party(&given.by);
            self.record(&given.record);
        }
        for (position, step) in scenario.steps.iter().enumerate() {
            let before = self.faults.len();
            self.actor(&step.who);
            if let Credential::TokenOf(party) = &step.with {
                self.known_party(party);
            }
            self.action(&step.when);
            self.expectations(&step.when, &step.then);
            for fault in self.faults.iter_mut().skip(before) {
                *fault = format!("step {}: {fault}", position + 1);
            }
        }
    }

    fn demand(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    fn known_party(&mut self, slug: &str) {
        let known = self.scenario.given.parties.iter().any(|party| party == slug);
        self.demand(known, || format!("{slug} is not among the parties of the scenario"));
    }

    fn actor(&mut self, who: &str) {
        let party = if ROLES.iter().any(|(role, ..)| *role == who) { MUNICIPALITY } else { who };
        self.known_party(party);
    }

    fn resident(&mut self, name: &str) {
        let known = self.scenario.given.residents.contains_key(name);
        self.demand(known, || format!("{name} is not among the residents of the scenario"));
    }

    fn give(&mut self, name: Option<&'a str>, kind: Named) {
        let Some(name) = name else { return };
        self.demand(name != OVERDUE_HANDOFFS, || format!("the name {name} has a meaning of its own"));
        match self.names.entry(name) {
            Entry::Vacant(free) => {
                free.insert(kind);
            }
            Entry::Occupied(_) => self.faults.push(format!("the name {name} is given twice")),
        }
    }

    fn refers_to(&mut self, name: &str, kinds: &[Named]) {
        let known = self.names.get(name).is_some_and(|kind| kinds.contains(kind));
        self.demand(known, || format!("no earlier step gave the name {name} to such a thing"));
    }

    fn record(&mut self, record: &'a Record) {
        self.resident(&record.resident);
        for recipient in &record.recipients {
            self.known_party(recipient);
        }
        self.demand(record.name.is_some(), || "a record needs a name (as)".to_owned());
        self.give(record.name.as_deref(), Named::Consent);
    }

    fn action(&mut self, action: &'a Action) {
        match action {
            Action::Check(handover) | Action::Refer(handover) => self.handover(action, handover),
            Action::ReadReferral(of) | Action::ReadUpdates(of) | Action::Extend(of) | Action::StepUpReferral(of) => {
                self.referral(&of.referral);
            }
            Action::AskCancellation(asked) | Action::RefuseCancellation(asked) => self.referral(&asked.referral),
            Action::Resolve(resolution) => self.referral(&resolution.referral),
            Action::ReferOn(onward) | Action::Reassign(onward) => self.onward(onward),
            Action::Disclose(disclosure) => {
                self.referral(&disclosure.referral);
                if let Some(update) = &disclosure.update {
                    self.refers_to(update, &[Named::Update]);
                }
            }
            Action::Update(update) => self.update(update),
            Action::Supplement(supplement) => {
                self.referral(&supplement.referral);
                self.demand(!supplement.sections.is_empty(), || "a supplement needs sections".to_owned());
                self.give(supplement.name.as_deref(), Named::Update);
            }
            Action::RecordConsent(record) => self.record(record),
            Action::ReadConsent(OfConsent { consent })
            | Action::Withdraw(OfConsent { consent })
            | Action::ReadConfirmations(OfConsent { consent })
            | Action::Confirm(Saying { consent, .. }) => self.refers_to(consent, &[Named::Consent]),
            Action::ReportWithdrawal(heard) => self.hearsay(heard),
            Action::Erase(erasing) => self.resident(&erasing.resident),
            Action::DeclareEmergency(_)
            | Action::EndEmergency(_)
            | Action::InformResident(_)
            | Action::ReadReview(_)
            | Action::ConcludeReview(_) => self.emergency(action),
            Action::SetVeto(_) | Action::VetoReferral(_) => self.veto(action),
            Action::ReadVeto(of) | Action::EndVeto(of) => self.refers_to(&of.veto, &[Named::Veto]),
            Action::OfferCoordination(of) | Action::Invite(of) | Action::RemoveParticipant(of) => {
                self.case(&of.case);
                self.known_party(&of.party);
            }
            Action::CallMeeting(meeting) => {
                self.case(&meeting.case);
                self.demand(!meeting.parties.is_empty(), || "a meeting needs parties".to_owned());
                meeting.parties.iter().for_each(|party| self.known_party(party));
            }
            Action::StepUpCase(step) => self.case(&step.case),
            Action::ReadCase(of)
            | Action::ReadParticipants(of)
            | Action::AcceptCoordination(of)
            | Action::DeclineCoordination(of)
            | Action::RevokeOffer(of)
            | Action::RefuseStepUp(of)
            | Action::StepDownCase(of)
            | Action::CloseCase(of) => self.case(&of.case),
            Action::ReceivesEvents(arrival) => self.arrival(arrival),
            Action::Audit(of) => self.audit(of),
            Action::Suspend(of) | Action::Resume(of) | Action::RegisterOrganisation(of) => {
                self.own_gateway();
                self.known_party(&of.organisation);
            }
            Action::AdvanceClock(passage) => {
                self.own_gateway();
                passage.past_deadline_of.iter().for_each(|name| self.referral(name));
            }
            Action::SignCovenant(of) => self.signature(of),
            Action::PublishCovenant(_) | Action::GatewayDown | Action::GatewayUp => self.own_gateway(),
            Action::PartnerDown
            | Action::PartnerUp
            | Action::ReadOverdue
            | Action::ReadFigures
            | Action::PublishKey => {}
        }
    }

    fn audit(&mut self, of: &Accounted) {
        let named = of.referral.iter().chain(&of.case).count();
        self.demand(named == 1, || "an audit is of one referral, or of one case".to_owned());
        of.referral.iter().for_each(|name| self.referral(name));
        of.case.iter().for_each(|name| self.case(name));
    }

    fn hearsay(&mut self, heard: &Hearsay) {
        self.resident(&heard.resident);
        heard.recipient.iter().for_each(|party| self.known_party(party));
    }

    fn update(&mut self, update: &'a Update) {
        self.referral(&update.referral);
        if let Some(party) = &update.right_party {
            self.known_party(party);
        }
        self.give(update.name.as_deref(), Named::Update);
    }

    fn emergency(&mut self, action: &'a Action) {
        if let Action::DeclareEmergency(declaration) = action {
            self.known_party(&declaration.to);
            self.resident(&declaration.resident);
            self.give(Some(&declaration.name), Named::Emergency);
        }
        if let Some(name) = emergency::named(action) {
            self.refers_to(name, &[Named::Emergency]);
        }
    }

    fn veto(&mut self, action: &'a Action) {
        match action {
            Action::SetVeto(veto) => {
                self.resident(&veto.resident);
                self.give(Some(&veto.name), Named::Veto);
            }
            Action::VetoReferral(veto) => {
                self.referral(&veto.referral);
                self.give(Some(&veto.name), Named::Veto);
            }
            _ => {}
        }
    }

    fn signature(&mut self, of: &OfCovenant) {
        self.own_gateway();
        self.demand(of.purpose.is_none() || of.case.is_none(), || {
            "a signature is for a purpose or for a case, not for both".to_owned()
        });
        of.case.iter().for_each(|name| self.case(name));
    }

    fn referral(&mut self, name: &str) {
        self.refers_to(name, &[Named::Referral]);
    }

    fn case(&mut self, name: &str) {
        self.refers_to(name, &[Named::Case]);
    }

    fn handover(&mut self, action: &Action, handover: &'a Handover) {
        self.known_party(&handover.to);
        self.resident(&handover.resident);
        self.demand(!handover.sections.is_empty(), || "a referral needs sections".to_owned());
        for category in handover.encrypted.iter().filter(|category| !handover.sections.contains_key(*category)) {
            self.demand(false, || format!("{category} is encrypted and not sent"));
        }
        let again = handover.repeats.is_some() && !handover.encrypted.is_empty();
        self.demand(!again, || "what is encrypted anew is no repeat".to_owned());
        for earlier in [&handover.based_on, &handover.repeats].into_iter().flatten() {
            self.referral(earlier);
        }
        handover.emergency.iter().for_each(|name| self.refers_to(name, &[Named::Emergency]));
        if matches!(action, Action::Check(_)) {
            let kept = handover.name.is_some() || handover.repeats.is_some();
            self.demand(!kept, || "a check creates nothing that could have a name".to_owned());
        }
        if let Some(case) = &handover.case {
            // The first referral that names a case opens it; a check opens nothing.
            if self.names.contains_key(case.as_str()) || matches!(action, Action::Check(_)) {
                self.case(case);
            } else {
                self.give(Some(case), Named::Case);
            }
        }
        self.give(handover.name.as_deref(), Named::Referral);
    }

    fn onward(&mut self, onward: &'a Onward) {
        self.referral(&onward.referral);
        self.known_party(&onward.to);
        self.give(onward.name.as_deref(), Named::Referral);
    }

    fn arrival(&mut self, arrival: &Arrival) {
        if arrival.about == OVERDUE_HANDOFFS {
            self.demand(arrival.by == Channel::Pull, || format!("{OVERDUE_HANDOFFS} are asked for by pull"));
        } else {
            self.refers_to(&arrival.about, &[Named::Referral, Named::Consent, Named::Case, Named::Emergency]);
        }
    }

    fn own_gateway(&mut self) {
        let own = self.scenario.given.gateway == Stage::Own;
        self.demand(own, || "this step changes the gateway for others: it needs a gateway of its own".to_owned());
    }

    fn expectations(&mut self, action: &Action, then: &Then) {
        let understood = understood(action);
        for stated in stated(then) {
            self.demand(understood.iter().any(|group| group.contains(&stated)), || {
                format!("{stated} means nothing after this action")
            });
        }
    }
}

/// Whether this is a BSN of the test range: starts with 99999 and passes the eleven-test (Logisch Ontwerp BSN).
#[must_use]
pub fn is_test_number(bsn: &str) -> bool {
    let digits: Vec<i32> =
        bsn.chars().filter_map(|digit| digit.to_digit(10)).filter_map(|d| d.try_into().ok()).collect();
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
    let sum: i32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
    bsn.len() == 9 && digits.len() == 9 && bsn.starts_with("99999") && sum % 11 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
title: { nl: Titel, en: Title }
story: { nl: Verhaal., en: Story. }
main: [smow]
given:
  parties: [smow, mee]
  residents:
    iemand: { bsn: "999990019", age-group: 18-plus }
steps:
  - who: smow
    when:
      refer: { as: r, to: mee, purpose: client-support, basis: consent, resident: iemand, sections: { question: hulp } }
    then: { status: 403, outcome: refused }
"#;

    fn faults(yaml: &str) -> Vec<String> {
        scenario("x", yaml).map_or_else(|error| error.faults, |_| Vec::new())
    }

    fn with_step(step: &str) -> Vec<String> {
        faults(&format!("{GOOD}{step}"))
    }

    #[test]
    fn a_good_file_loads() {
        assert_eq!(faults(GOOD), Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_refused_at_every_level() {
        for (known, unknown) in [
            ("main:", "mian: [smow]\nmain:"),
            ("parties:", "partys: [smow]\n  parties:"),
            ("age-group: 18-plus", "age-group: 18-plus, age: 44"),
            ("to: mee,", "to: mee, urgent: true,"),
            ("status: 403", "status: 403, colour: red"),
        ] {
            assert!(GOOD.contains(known));
            assert_eq!(faults(&GOOD.replacen(known, unknown, 1)).len(), 1, "{unknown}");
        }
    }

    #[test]
    fn an_expectation_that_the_action_cannot_show_is_refused() {
        let faults = with_step("  - who: mee\n    when: { disclose: { referral: r } }\n    then: { events: [] }\n");
        assert_eq!(faults, ["step 2: events means nothing after this action"]);
    }

    #[test]
    fn a_name_that_nothing_was_given_is_refused() {
        let faults = with_step("  - who: mee\n    when: { disclose: { referral: other } }\n");
        assert_eq!(faults, ["step 2: no earlier step gave the name other to such a thing"]);
    }

    #[test]
    fn a_case_has_the_name_that_a_referral_gave_it_and_no_other() {
        let opens = GOOD.replacen("to: mee,", "to: mee, case: gezin,", 1);
        let close = |name: &str| format!("  - who: smow\n    when: {{ close-case: {{ case: {name} }} }}\n");
        assert_eq!(faults(&format!("{opens}{}", close("gezin"))), Vec::<String>::new());
        for (file, name) in [(opens.as_str(), "ander"), (opens.as_str(), "r"), (GOOD, "gezin")] {
            assert_eq!(faults(&format!("{file}{}", close(name))).len(), 1, "{name}");
        }
        assert_eq!(faults(&GOOD.replacen("to: mee,", "to: mee, case: r,", 1)).len(), 1, "one name for two things");
        assert_eq!(faults(&GOOD.replacen("as: r,", "as: overdue-handoffs,", 1)).len(), 1);
    }

    #[test]
    fn an_audit_is_of_one_thing() {
        let audit = |of: &str| with_step(&format!("  - who: smow\n    when: {{ audit: {of} }}\n"));
        assert_eq!(audit("{ referral: r }"), Vec::<String>::new());
        assert_eq!(audit("{}").len(), 1);
        assert_eq!(audit("{ referral: r, case: r }").len(), 2);
    }

    #[test]
    fn what_changes_the_gateway_for_others_needs_one_of_its_own() {
        let own = GOOD.replacen("given:", "given:\n  gateway: own", 1);
        for deed in ["{ advance-clock: { days: 2 } }", "{ advance-clock: { past-deadline-of: r } }", "gateway-down"] {
            let step = format!("  - who: smow\n    when: {deed}\n");
            assert_eq!(with_step(&step).len(), 1, "{deed}");
            assert_eq!(faults(&format!("{own}{step}")), Vec::<String>::new(), "{deed}");
        }
    }

    #[test]
    fn strangers_and_real_numbers_are_refused() {
        assert_eq!(faults(&GOOD.replacen("to: mee", "to: jgz", 1)).len(), 1);
        assert_eq!(faults(&GOOD.replacen("999990019", "123456782", 1)).len(), 1);
    }

    #[test]
    fn test_numbers_pass_the_eleven_test() {
        assert!(is_test_number("999990019"));
        for wrong in ["999990018", "99999001", "9999900190", "99999001x", ""] {
            assert!(!is_test_number(wrong), "{wrong:?}");
        }
    }
}
