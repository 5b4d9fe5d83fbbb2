//! Compares what a step should show with what was seen.
//!
//! Invariant: every expectation of [`Then`] is looked at here; whoever adds one must say how it is checked, because the
//! destructuring below does not compile otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Answer;
use super::requests;
use super::scenario::{Due, Late, Reason, Then};
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
            case_status,
            coordinator,
            offered_to,
            roles,
            stepped_up,
            proposal,
            referrals,
            open_referrals,
            participants,
            still_open,
            still_open_elsewhere,
            overdue,
            numbers_shown,
        } = then;
        self.status(*status);
        self.text("problem", problem.as_deref(), "/code");
        self.text("outcome", outcome.as_deref(), "/decision/outcome");
        self.text("referral-status", referral_status.as_deref(), "/status");
        self.party("holder", holder.as_deref(), "/holder");
        let last = format!("/items/{}/rightOrganisation", self.list("/items").len().saturating_sub(1));
        self.party("right-party", right_party.as_deref(), &last);
        if let Some(expected) = steps {
            let statuses =
                self.list("/items").iter().filter_map(|update| Some(update.get("status")?.as_str()?.to_owned()));
            self.equal("steps", expected, &statuses.collect());
        }
        if let Some(expected) = permitted {
            self.set("permitted", expected, &self.sections("permit").keys().cloned().collect());
        }
        if let Some(expected) = withheld {
            self.withheld(expected);
        }
        for (category, rules) in permitted_by.iter().flatten() {
            let section = self.sections("permit").get(category).cloned();
            self.rules(category, rules, section.as_ref());
        }
        if let Some(expected) = receipt_verifies {
            self.equal("receipt-verifies", expected, &self.seen.receipt.unwrap_or(false));
        }
        if let Some(expected) = same_referral {
            let same =
                self.seen.repeats.is_some() && self.at("/id").and_then(Value::as_str) == self.seen.repeats.as_deref();
            self.equal("same-referral", expected, &same);
        }
        if let Some(expected) = allowed_steps {
            let steps = self.list("/allowedSteps").iter().map(|step| step_name(step).to_owned()).collect();
            self.set("allowed-steps", expected, &steps);
        }
        if let Some(expected) = content {
            self.content(expected);
        }
        for text in nowhere.iter().flatten() {
            self.nowhere(text);
        }
        if let Some(expected) = events {
            self.equal("events", expected, &self.seen.events.iter().map(event_type).collect());
        }
        if let Some(expected) = records {
            self.equal("records", expected, &self.records());
        }
        if let Some(expected) = business_status {
            self.equal("business-status", &expected.as_str(), &self.word("/businessStatus"));
        }
        if let Some(expected) = due {
            self.due(*expected);
        }
        self.text("case-status", case_status.as_deref(), "/status");
        self.party("coordinator", coordinator.as_deref(), "/coordinator");
        self.party("offered-to", offered_to.as_deref(), "/offer/organisation");
        if let Some(expected) = roles {
            let roles = self.list("/roles").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            self.set("roles", expected, &roles);
        }
        if let Some(expected) = stepped_up {
            self.equal("stepped-up", &Some(*expected), &self.at("/steppedUp").map(Value::is_object));
        }
        if let Some(expected) = proposal {
            let overdue = self.at("/stepUpProposal/overdue").and_then(Value::as_bool);
            let seen = match (self.at("/stepUpProposal"), overdue) {
                (None, _) => "absent",
                (_, None) => "none",
                (_, Some(false)) => "waiting",
                (_, Some(true)) => "overdue",
            };
            self.equal("proposal", &expected.as_str(), &seen);
        }
        self.named("referrals", referrals.as_deref(), "/referrals");
        self.number("open-referrals", *open_referrals, "/openReferrals");
        if let Some(expected) = participants {
            let parties = self.list("/items").iter().filter_map(|item| item.get("organisation")?.as_str());
            let parties = parties.map(|oin| self.slug(oin)).collect();
            self.set("participants", expected, &parties);
        }
        self.named("still-open", still_open.as_deref(), "/openReferrals");
        self.number("still-open-elsewhere", *still_open_elsewhere, "/otherOpenReferrals");
        if let Some(expected) = overdue {
            let text = |line: &Value, name| line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let route =
                |line: &Value| Late { from: self.slug(&text(line, "sender")), to: self.slug(&text(line, "recipient")) };
            let mut lines: Vec<Late> = self.list("/items").iter().map(route).collect();
            lines.sort();
            let mut expected = expected.clone();
            expected.sort();
            self.equal("overdue", &expected, &lines);
        }
        if let Some(expected) = numbers_shown {
            let shown = self.seen.answer.as_ref().is_some_and(|answer| shows_a_number(&answer.body));
            self.equal("numbers-shown", expected, &shown);
        }
    }

    /// A code in the answer; `none` where it is null.
    fn word(&self, pointer: &str) -> &str {
        match self.at(pointer) {
            None => "absent",
            Some(value) => value.as_str().unwrap_or("none"),
        }
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

    fn text(&mut self, what: &str, expected: Option<&str>, pointer: &str) {
        if let Some(expected) = expected {
            let seen = self.at(pointer).and_then(Value::as_str).unwrap_or("absent").to_owned();
            self.equal(what, &expected, &seen.as_str());
        }
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

    fn withheld(&mut self, expected: &BTreeMap<String, Reason>) {
        let seen = self.sections("withhold");
        self.set("withheld", &expected.keys().cloned().collect::<Vec<_>>(), &seen.keys().cloned().collect());
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

    fn records(&self) -> BTreeMap<String, usize> {
        count_records(self.list("/items"), self.seen.resources.as_ref())
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
fn shows_a_number(value: &Value) -> bool {
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
