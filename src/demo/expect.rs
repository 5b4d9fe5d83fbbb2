//! Compares what a step should show with what was seen.
//!
//! Invariant: every expectation of [`Then`] is looked at here; whoever adds one must say how it is checked, because the
//! destructuring below does not compile otherwise.

#![expect(clippy::needless_for_each, reason = "what is not stated is not looked at: one line for each expectation")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Answer;
use super::requests;
use super::scenario::{Due, Late, Reason, SeenCase, Then};
use super::words::Words;
use crate::clock::Timestamp;
use crate::lifecycle::working_days::{after_days, after_working_days};

/// What was seen after a step.
#[derive(Debug, Default)]
pub struct Seen {
    /// The answer of the gateway, for the steps that ask it something.
    pub answer: Option<Answer>,
    /// The status code of success for this step.
    pub success: u16,
    /// The events that arrived.
    pub events: Vec<Value>,
    /// What was sent earlier in the sections that are disclosed now.
    pub sent: BTreeMap<String, Value>,
    /// The referral that a repeated request created the first time.
    pub repeats: Option<String>,
    /// Whether the receipt verified, where that was looked at.
    pub receipt: Option<bool>,
    /// The names that the scenario gave to referrals, by their ids, where an answer names referrals.
    pub names: BTreeMap<String, String>,
    /// What the audit records that count are about, where an answer holds others too.
    pub resources: Option<BTreeSet<String>>,
}

/// What differs from the expectation; empty when all is as it should be.
#[must_use]
pub fn differences(then: &Then, seen: &Seen, words: &Words) -> Vec<String> {
    let mut found = Differences { seen, words, found: Vec::new() };
    found.compare(then);
    found.found
}

struct Differences<'a> {
    seen: &'a Seen,
    words: &'a Words,
    found: Vec<String>,
}

impl Differences<'_> {
    fn compare(&mut self, then: &Then) {
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
            business_status,
            due,
            case,
            participants,
            still_open,
            still_open_elsewhere,
            confirmations,
            overdue,
            numbers_shown,
            review_status,
        } = then;
        self.status(*status);
        self.text("problem", problem.as_deref(), "/code");
        self.text("outcome", outcome.as_deref(), "/decision/outcome");
        self.text("referral-status", referral_status.as_deref(), "/status");
        self.text("review-status", review_status.as_deref(), "/status");
        self.text("business-status", business_status.as_deref(), "/businessStatus");
        self.party("holder", holder.as_deref(), "/holder");
        let last = format!("/items/{}/rightOrganisation", self.list("/items").len().saturating_sub(1));
        self.party("right-party", right_party.as_deref(), &last);
        permitted.iter().for_each(|expected| self.set("permitted", expected, &self.categories("permit")));
        withheld.iter().for_each(|expected| self.withheld(expected));
        for (category, rules) in permitted_by.iter().flatten() {
            let section = self.sections("permit").get(category).cloned();
            self.rules(category, rules, section.as_ref());
        }
        self.created(*receipt_verifies, *same_referral);
        due.iter().for_each(|expected| self.due(*expected));
        steps.iter().for_each(|expected| self.steps(expected));
        let possible = self.list("/allowedSteps").iter().map(|step| step_name(step).to_owned()).collect();
        allowed_steps.iter().for_each(|expected| self.set("allowed-steps", expected, &possible));
        content.iter().for_each(|expected| self.content(expected));
        nowhere.iter().flatten().for_each(|text| self.nowhere(text));
        let arrived = self.seen.events.iter().map(event_type).collect();
        events.iter().for_each(|expected| self.equal("events", expected, &arrived));
        let counted = count_records(self.list("/items"), self.seen.resources.as_ref());
        records.iter().for_each(|expected| self.equal("records", expected, &counted));
        case.iter().for_each(|expected| self.case(expected));
        participants.iter().for_each(|expected| self.participants(expected));
        self.named("still-open", still_open.as_deref(), "/openReferrals");
        self.number("still-open-elsewhere", *still_open_elsewhere, "/otherOpenReferrals");
        confirmations.iter().for_each(|expected| self.confirmations(expected));
        overdue.iter().for_each(|expected| self.overdue(expected));
        let shown = self.seen.answer.as_ref().is_some_and(|answer| shows_a_number(&answer.body));
        numbers_shown.iter().for_each(|expected| self.equal("numbers-shown", expected, &shown));
    }

    /// What only the answer to a new referral shows.
    fn created(&mut self, receipt_verifies: Option<bool>, same_referral: Option<bool>) {
        let verified = self.seen.receipt.unwrap_or(false);
        receipt_verifies.iter().for_each(|expected| self.equal("receipt-verifies", expected, &verified));
        let first = self.seen.repeats.as_deref();
        let same = first.is_some() && self.at("/id").and_then(Value::as_str) == first;
        same_referral.iter().for_each(|expected| self.equal("same-referral", expected, &same));
    }

    fn steps(&mut self, expected: &[String]) {
        let status = |update: &Value| Some(update.get("status")?.as_str()?.to_owned());
        let statuses: Vec<String> = self.list("/items").iter().filter_map(status).collect();
        self.equal("steps", &expected, &statuses.as_slice());
    }

    fn case(&mut self, expected: &SeenCase) {
        let SeenCase { status, coordinator, offered_to, roles, stepped_up, proposal, referrals, open } = expected;
        self.text("case status", status.as_deref(), "/status");
        self.party("coordinator", coordinator.as_deref(), "/coordinator");
        self.party("offered-to", offered_to.as_deref(), "/offer/organisation");
        let seen = self.list("/roles").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        roles.iter().for_each(|expected| self.set("roles", expected, &seen));
        let seen = self.at("/steppedUp").is_some_and(Value::is_object);
        stepped_up.iter().for_each(|expected| self.equal("stepped-up", expected, &seen));
        let overdue = self.at("/stepUpProposal/overdue").and_then(Value::as_bool);
        let seen = match (self.at("/stepUpProposal"), overdue) {
            (None, _) => "absent",
            (_, None) => "none",
            (_, Some(false)) => "waiting",
            (_, Some(true)) => "overdue",
        };
        proposal.iter().for_each(|expected| self.equal("proposal", &expected.as_str(), &seen));
        self.named("referrals", referrals.as_deref(), "/referrals");
        self.number("open", *open, "/openReferrals");
    }

    fn participants(&mut self, expected: &[String]) {
        let parties = self.list("/items").iter().filter_map(|item| item.get("organisation")?.as_str());
        let parties = parties.map(|oin| self.slug(oin)).collect();
        self.set("participants", expected, &parties);
    }

    fn confirmations(&mut self, expected: &BTreeMap<String, String>) {
        let of = |item: &Value| {
            let text = |name| item.get(name).and_then(Value::as_str);
            Some((self.slug(text("organisation")?), text("status")?.to_owned()))
        };
        let seen: BTreeMap<String, String> = self.list("/items").iter().filter_map(of).collect();
        self.equal("confirmations", expected, &seen);
    }

    fn overdue(&mut self, expected: &[Late]) {
        let party = |line: &Value, name| self.slug(line.get(name).and_then(Value::as_str).unwrap_or_default());
        let route = |line: &Value| Late { from: party(line, "sender"), to: party(line, "recipient") };
        let mut lines: Vec<Late> = self.list("/items").iter().map(route).collect();
        lines.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        self.equal("overdue", &expected, &lines);
    }

    fn number(&mut self, what: &str, expected: Option<u64>, pointer: &str) {
        if expected.is_some() {
            self.equal(what, &expected, &self.at(pointer).and_then(Value::as_u64));
        }
    }

    /// Referrals, by the names that the scenario gave them; one without a name by its id.
    fn named(&mut self, what: &str, expected: Option<&[String]>, pointer: &str) {
        let Some(expected) = expected else { return };
        let ids = self.list(pointer).iter().filter_map(Value::as_str);
        let seen = ids.map(|id| self.seen.names.get(id).map_or(id, String::as_str).to_owned()).collect();
        self.set(what, expected, &seen);
    }

    /// The term runs from when the step was taken, or from when the referral was made.
    fn due(&mut self, expected: Due) {
        let moment = |pointer| self.at(pointer).and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
        let from = moment("/at").or_else(|| moment("/createdAt"));
        let expected = from.map(|from| match expected {
            Due::WorkingDays(days) => after_working_days(from, days),
            Due::Weeks(weeks) => after_days(from, weeks.saturating_mul(7)),
        });
        self.equal("due", &expected, &moment("/dueAt"));
    }

    fn slug(&self, oin: &str) -> String {
        self.words.party_of(oin).map_or(oin, |party| &party.slug).to_owned()
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, seen: &T) {
        if expected != seen {
            self.found.push(format!("{what} should be {expected:?}, is {seen:?}"));
        }
    }

    fn set(&mut self, what: &str, expected: &[String], seen: &BTreeSet<String>) {
        self.equal(what, &expected.iter().cloned().collect::<BTreeSet<_>>(), seen);
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.seen.answer.as_ref()?.body.pointer(pointer)
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn status(&mut self, expected: Option<u16>) {
        let Some(answer) = &self.seen.answer else { return };
        let (expected, seen) = (expected.unwrap_or(self.seen.success), answer.status);
        if expected != seen {
            let problem = answer.text_at("/code").unwrap_or("no problem code");
            let detail = answer.text_at("/detail").unwrap_or_default();
            let invalid = answer.body.pointer("/invalidParams").map(Value::to_string).unwrap_or_default();
            self.found.push(format!("status should be {expected}, is {seen} ({problem}: {detail} {invalid})"));
        }
    }

    /// A code in the answer; `none` where it is null.
    fn text(&mut self, what: &str, expected: Option<&str>, pointer: &str) {
        let seen = self.at(pointer).map_or("absent", |value| value.as_str().unwrap_or("none")).to_owned();
        expected.iter().for_each(|expected| self.equal(what, expected, &seen.as_str()));
    }

    fn party(&mut self, what: &str, expected: Option<&str>, pointer: &str) {
        let Some(expected) = expected else { return };
        let oin = self.at(pointer).and_then(Value::as_str);
        let seen = oin.map_or_else(|| "nobody".to_owned(), |oin| self.slug(oin));
        self.equal(what, &expected, &seen.as_str());
    }

    /// The sections of the decision with this effect, by category.
    fn sections(&self, effect: &str) -> BTreeMap<String, Value> {
        let with_effect = |section: &&Value| section.get("effect").and_then(Value::as_str) == Some(effect);
        let named = |section: &Value| Some((section.get("category")?.as_str()?.to_owned(), section.clone()));
        self.list("/decision/sections").iter().filter(with_effect).filter_map(named).collect()
    }

    fn categories(&self, effect: &str) -> BTreeSet<String> {
        self.sections(effect).into_keys().collect()
    }

    fn withheld(&mut self, expected: &BTreeMap<String, Reason>) {
        let seen = self.sections("withhold");
        self.set("withheld", &expected.keys().cloned().collect::<Vec<_>>(), &self.categories("withhold"));
        for (category, reason) in expected {
            let section = seen.get(category);
            let text = |pointer| section.and_then(|section| section.pointer(pointer)).and_then(Value::as_str);
            self.equal(&format!("code of {category}"), &Some(reason.code.as_str()), &text("/code"));
            if let Some(remedy) = &reason.remedy {
                self.equal(&format!("remedy of {category}"), &Some(remedy.as_str()), &text("/remedy/code"));
            }
            self.rules(category, &reason.rules, section);
        }
    }

    fn rules(&mut self, category: &str, expected: &[String], section: Option<&Value>) {
        let named = section.and_then(|section| section.get("rules")).and_then(Value::as_array);
        let named: Vec<&str> = named.into_iter().flatten().filter_map(rule_id).collect();
        for rule in expected.iter().filter(|rule| !named.contains(&rule.as_str())) {
            self.found.push(format!("rules of {category} should name {rule}, are {named:?}"));
        }
    }

    fn content(&mut self, expected: &[String]) {
        let named =
            |section: &Value| Some((section.get("category")?.as_str()?.to_owned(), section.get("content")?.clone()));
        let seen: BTreeMap<String, Value> = self.list("/sections").iter().filter_map(named).collect();
        self.set("content", expected, &seen.keys().cloned().collect());
        let changed = |(category, content): &(&String, &Value)| {
            self.seen.sent.get(*category).map(requests::content).as_ref() != Some(*content)
        };
        let changed: Vec<_> = seen.iter().filter(changed).map(|(category, _)| category.clone()).collect();
        for category in changed {
            self.found.push(format!("content of {category} is not what was sent"));
        }
    }

    fn nowhere(&mut self, text: &str) {
        let in_answer = self.seen.answer.as_ref().is_some_and(|answer| answer.text.contains(text));
        if in_answer || self.seen.events.iter().any(|event| event.to_string().contains(text)) {
            self.found.push(format!("{text:?} should be nowhere in the answer"));
        }
    }
}

/// How many audit records of each kind there are; where only those about some resources count, how many of each step.
#[must_use]
pub fn count_records(items: &[Value], resources: Option<&BTreeSet<String>>) -> BTreeMap<String, usize> {
    let text = |record: &Value, name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    let counts = |record: &&Value| {
        resources.is_none_or(|resources| text(record, "resource").is_some_and(|one| resources.contains(&one)))
    };
    let by = if resources.is_some() { "action" } else { "kind" };
    let mut count = BTreeMap::new();
    for what in items.iter().filter(counts).filter_map(|record| text(record, by)) {
        *count.entry(what).or_insert(0) += 1;
    }
    count
}

/// What a step that is possible is called: an update by the status that it leads to, every other by its own name.
#[must_use]
pub fn step_name(step: &Value) -> &str {
    let text = |name: &str| step.get(name).and_then(Value::as_str);
    match (text("operation"), text("status")) {
        (Some("updates"), Some(status)) => status,
        (operation, _) => operation.unwrap_or_default(),
    }
}

/// Whether any count or percentile is there.
#[must_use]
pub fn shows_a_number(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            let figure = matches!(name.as_str(), "count" | "medianDays" | "p90Days");
            (figure && !value.is_null()) || shows_a_number(value)
        }),
        Value::Array(items) => items.iter().any(shows_a_number),
        _ => false,
    }
}

/// A rule in a decision is its id, or an object that holds it beside its explanation.
#[must_use]
pub fn rule_id(rule: &Value) -> Option<&str> {
    rule.as_str().or_else(|| rule.get("id")?.as_str())
}

/// The type of an event without its common beginning and end: `referral.requested`.
#[must_use]
pub fn event_type(event: &Value) -> String {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.strip_prefix("nl.sluis.").and_then(|kind| kind.strip_suffix(".v1")).unwrap_or(kind).to_owned()
}

#[cfg(test)]
#[path = "expect_tests.rs"]
mod tests;
