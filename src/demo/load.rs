//! Reads scenario files and refuses what would not be understood when they are played.
//!
//! Invariant: every name that a step uses was given by an earlier step, every expectation belongs to its action, and every
//! resident has a test number; all faults of a file are told at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::scenario::{Action, Credential, Record, Scenario, Stage, Then};
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
            self.demand(is_test_number(&resident.bsn), || {
                format!("resident {name}: the BSN must start with 99999 and pass the eleven-test")
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
            Action::Check(handover) | Action::Refer(handover) => {
                self.known_party(&handover.to);
                self.resident(&handover.resident);
                self.demand(!handover.sections.is_empty(), || "a referral needs sections".to_owned());
                for earlier in [&handover.based_on, &handover.repeats].into_iter().flatten() {
                    self.refers_to(earlier, &[Named::Referral]);
                }
                if matches!(action, Action::Check(_)) {
                    let kept = handover.name.is_some() || handover.repeats.is_some();
                    self.demand(!kept, || "a check creates nothing that could have a name".to_owned());
                }
                self.give(handover.name.as_deref(), Named::Referral);
            }
            Action::ReadReferral(of) | Action::ReadUpdates(of) | Action::Audit(of) => {
                self.refers_to(&of.referral, &[Named::Referral]);
            }
            Action::Disclose(disclosure) => {
                self.refers_to(&disclosure.referral, &[Named::Referral]);
                if let Some(update) = &disclosure.update {
                    self.refers_to(update, &[Named::Update]);
                }
            }
            Action::Update(update) => {
                self.refers_to(&update.referral, &[Named::Referral]);
                if let Some(party) = &update.right_party {
                    self.known_party(party);
                }
                self.give(update.name.as_deref(), Named::Update);
            }
            Action::RecordConsent(record) => self.record(record),
            Action::ReadConsent(of) | Action::Withdraw(of) => self.refers_to(&of.consent, &[Named::Consent]),
            Action::ReceivesEvents(arrival) => self.refers_to(&arrival.about, &[Named::Referral, Named::Consent]),
            Action::Suspend(of) | Action::Resume(of) | Action::RegisterOrganisation(of) => {
                self.own_gateway();
                self.known_party(&of.organisation);
            }
            Action::PublishCovenant(_) | Action::SignCovenant(_) | Action::AdvanceClock(_) => self.own_gateway(),
            Action::PartnerDown | Action::PartnerUp => {}
        }
    }

    fn own_gateway(&mut self) {
        let own = self.scenario.given.gateway == Stage::Own;
        self.demand(own, || "this step changes the gateway for others: it needs a gateway of its own".to_owned());
    }

    fn expectations(&mut self, action: &Action, then: &Then) {
        let understood = understood(action);
        for stated in stated(then) {
            self.demand(understood.contains(&stated), || format!("{stated} means nothing after this action"));
        }
    }
}

/// The expectations that mean something after an action.
fn understood(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Check(_) => &["status", "problem", "outcome", "permitted", "withheld", "permitted-by", "nowhere"],
        Action::Refer(_) => &[
            "status",
            "problem",
            "outcome",
            "permitted",
            "withheld",
            "permitted-by",
            "nowhere",
            "receipt-verifies",
            "same-referral",
            "referral-status",
            "holder",
        ],
        Action::ReadReferral(_) => &["status", "problem", "nowhere", "referral-status", "holder"],
        Action::ReadUpdates(_) => &["status", "problem", "nowhere", "steps", "right-party"],
        Action::Disclose(_) => &["status", "problem", "nowhere", "content"],
        Action::Update(_) => &[
            "status",
            "problem",
            "outcome",
            "permitted",
            "withheld",
            "permitted-by",
            "nowhere",
            "referral-status",
            "holder",
            "allowed-steps",
        ],
        Action::ReceivesEvents(_) => &["events", "nowhere"],
        Action::Audit(_) => &["status", "problem", "records", "nowhere"],
        Action::RecordConsent(_)
        | Action::ReadConsent(_)
        | Action::Withdraw(_)
        | Action::Suspend(_)
        | Action::Resume(_)
        | Action::RegisterOrganisation(_)
        | Action::PublishCovenant(_)
        | Action::SignCovenant(_) => &["status", "problem", "nowhere"],
        Action::AdvanceClock(_) | Action::PartnerDown | Action::PartnerUp => &[],
    }
}

/// The expectations that a step states.
fn stated(then: &Then) -> Vec<&'static str> {
    let Then {
        status,
        problem,
        outcome,
        permitted,
        withheld,
        permitted_by,
        receipt_verifies,
        same_referral,
        referral_status,
        holder,
        right_party,
        steps,
        allowed_steps,
        content,
        nowhere,
        events,
        records,
    } = then;
    [
        ("status", status.is_some()),
        ("problem", problem.is_some()),
        ("outcome", outcome.is_some()),
        ("permitted", permitted.is_some()),
        ("withheld", withheld.is_some()),
        ("permitted-by", permitted_by.is_some()),
        ("receipt-verifies", receipt_verifies.is_some()),
        ("same-referral", same_referral.is_some()),
        ("referral-status", referral_status.is_some()),
        ("holder", holder.is_some()),
        ("right-party", right_party.is_some()),
        ("steps", steps.is_some()),
        ("allowed-steps", allowed_steps.is_some()),
        ("content", content.is_some()),
        ("nowhere", nowhere.is_some()),
        ("events", events.is_some()),
        ("records", records.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_stated)| is_stated.then_some(name))
    .collect()
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
    fn what_changes_the_gateway_for_others_needs_one_of_its_own() {
        let step = "  - who: smow\n    when: { advance-clock: { days: 2 } }\n";
        assert_eq!(with_step(step).len(), 1);
        let own = GOOD.replacen("given:", "given:\n  gateway: own", 1);
        assert_eq!(faults(&format!("{own}{step}")), Vec::<String>::new());
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
