//! Tells a step in plain sentences: who did what, and what the gateway answered, permitted or withheld and why.
//!
//! Invariant: permits, refusals, reasons, rules and remedies are read from the answer, not from the scenario.

use serde_json::Value;

use super::expect::{Seen, count_records, event_type, rule_id, step_name};
use super::narration::{Line, Told};
use super::scenario::{Action, Handover, Record, Step, Update};
use super::vocabulary::{self, business, giver, reason, record_kind, status};
use super::words::{Language, Party, Words};

/// Tells in one language, with the words of one covenant.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The words.
    pub words: &'a Words,
    /// The language.
    pub language: Language,
}

impl Teller<'_> {
    /// The step and what was seen after it.
    #[must_use]
    pub fn step(self, step: &Step, seen: &Seen) -> Told {
        let mut deed = self.deed(&step.who, &step.when);
        deed.push_str(&self.credential(&step.with));
        Told { deed: sentence(&deed), seen: self.seen(&step.when, seen) }
    }

    pub(super) fn actor(self, who: &str) -> String {
        self.words.actor(who, self.language).to_owned()
    }

    pub(super) fn pick(self, nl: String, en: String) -> String {
        match self.language {
            Language::Nl => nl,
            Language::En => en,
        }
    }

    fn deed(self, who: &str, action: &Action) -> String {
        let actor = self.actor(who);
        match action {
            Action::Check(handover) => self.asks(&actor, handover),
            Action::Refer(handover) => self.refers(&actor, handover),
            Action::ReadReferral(_) => {
                self.pick(format!("{actor} leest de verwijzing"), format!("{actor} reads the referral"))
            }
            Action::ReadUpdates(_) => self.pick(
                format!("{actor} leest welke stappen de verwijzing doorliep"),
                format!("{actor} reads which steps the referral went through"),
            ),
            Action::Disclose(of) if of.update.is_some() => {
                self.pick(format!("{actor} vraagt de notitie op"), format!("{actor} asks for the note"))
            }
            Action::Disclose(_) => {
                self.pick(format!("{actor} vraagt de inhoud op"), format!("{actor} asks for the content"))
            }
            Action::Update(update) => self.updates(&actor, update),
            Action::RecordConsent(record) => self.records(&actor, record),
            Action::ReadConsent(_) => {
                self.pick(format!("{actor} leest de vastlegging terug"), format!("{actor} reads the record back"))
            }
            Action::Withdraw(_) => self.pick(
                format!("{actor} trekt op verzoek van de inwoner in wat was vastgelegd"),
                format!("{actor} withdraws the record, as the resident asked"),
            ),
            Action::ReportWithdrawal(_) => self.pick(
                format!("{actor} meldt dat de inwoner toestemming intrekt, zonder te weten wie die vastlegde"),
                format!("{actor} reports that the resident withdraws, without knowing who recorded it"),
            ),
            Action::Erase(_) => self.pick(
                format!("{actor} laat wissen wat zij over deze inwoner heeft gegeven"),
                format!("{actor} has erased what it gave about this resident"),
            ),
            Action::ReadConfirmations(_) => self.pick(
                format!("{actor} kijkt wie heeft bevestigd wat er met het ontvangene gebeurde"),
                format!("{actor} looks who confirmed what became of what was received"),
            ),
            Action::Confirm(saying) => self.confirms(&actor, saying),
            Action::ReceivesEvents(arrival) => self.receives(&actor, arrival.by),
            Action::Audit(of) if of.case.is_some() => self.pick(
                format!("{actor} bekijkt de verantwoording van deze casus"),
                format!("{actor} looks at the audit records of this case"),
            ),
            Action::Audit(_) => self.pick(
                format!("{actor} bekijkt de verantwoording van deze verwijzing"),
                format!("{actor} looks at the audit records of this referral"),
            ),
            Action::PublishKey => self.pick(
                format!("{actor} publiceert een sleutel om onderdelen mee te versleutelen, ondertekend met het eigen certificaat"),
                format!("{actor} publishes a key to encrypt sections with, signed with its own certificate"),
            ),
            Action::AdvanceClock(passage) => self.passes(passage),
            Action::GatewayDown => self.pick("de gateway valt stil".to_owned(), "the gateway stands still".to_owned()),
            Action::GatewayUp => self.pick("de gateway draait weer".to_owned(), "the gateway runs again".to_owned()),
            Action::PartnerDown => {
                self.pick(format!("het systeem van {actor} valt uit"), format!("the system of {actor} goes down"))
            }
            Action::PartnerUp => {
                self.pick(format!("het systeem van {actor} werkt weer"), format!("the system of {actor} works again"))
            }
            governing => self
                .chain(&actor, governing)
                .or_else(|| self.emergency(&actor, governing))
                .or_else(|| self.veto(&actor, governing))
                .or_else(|| self.case(&actor, governing))
                .unwrap_or_else(|| self.governs(&actor, governing)),
        }
    }

    fn asks(self, actor: &str, handover: &Handover) -> String {
        let to = self.words.parties([handover.to.as_str()], self.language);
        let purpose = self.words.purpose(&handover.purpose, self.language);
        let basis = self.words.basis(&handover.basis, self.language);
        self.pick(
            format!("{actor} vraagt vooraf wat naar {to} mag voor {purpose}, op grond van: {basis}"),
            format!("{actor} asks beforehand what may go to {to} for {purpose}, under: {basis}"),
        )
    }

    fn refers(self, actor: &str, handover: &Handover) -> String {
        let to = self.words.parties([handover.to.as_str()], self.language);
        let purpose = self.words.purpose(&handover.purpose, self.language);
        let basis = self.words.basis(&handover.basis, self.language);
        let what = self.words.categories(handover.sections.keys().map(String::as_str), self.language);
        let again = if handover.repeats.is_some() { self.language.pick(" nogmaals", " again") } else { "" };
        let deed = self.pick(
            format!("{actor} verwijst{again} naar {to} voor {purpose}, op grond van: {basis}. Het gaat om {what}"),
            format!("{actor} refers{again} to {to} for {purpose}, under: {basis}. It holds {what}"),
        );
        if handover.encrypted.is_empty() {
            return deed;
        }
        let encrypted = self.words.categories(handover.encrypted.iter().map(String::as_str), self.language);
        deed + &self.pick(format!("; alleen {to} kan lezen: {encrypted}"), format!("; only {to} can read: {encrypted}"))
    }

    fn updates(self, actor: &str, update: &Update) -> String {
        let to = status(&update.to, self.language);
        let mut deed = self
            .pick(format!("{actor} meldt: de verwijzing is {to}"), format!("{actor} reports: the referral is {to}"));
        for why in [&update.reason, &update.outcome].into_iter().flatten() {
            deed = format!("{deed} ({})", reason(why, self.language));
        }
        if let Some(party) = &update.right_party {
            let right = self.words.parties([party.as_str()], self.language);
            deed.push_str(
                &self.pick(format!("; de juiste partij is {right}"), format!("; the right party is {right}")),
            );
        }
        if !update.sections.is_empty() {
            let what = self.words.categories(update.sections.keys().map(String::as_str), self.language);
            deed.push_str(&self.pick(format!(", met een notitie over {what}"), format!(", with a note on {what}")));
        }
        deed
    }

    /// What was recorded, as told before and during the story.
    fn records(self, actor: &str, record: &Record) -> String {
        let kind = record_kind(&record.kind, self.language);
        let by = giver(&record.given_by, self.language);
        let to = self.words.parties(record.recipients.iter().map(String::as_str), self.language);
        let explicit = if record.explicit { self.language.pick("uitdrukkelijke ", "explicit ") } else { "" };
        let mut deed = self.pick(
            format!("{actor} legt vast: {explicit}{kind}, gegeven door {by}, voor {to}"),
            format!("{actor} records: {explicit}{kind}, given by {by}, for {to}"),
        );
        if !record.categories.is_empty() {
            deed.push_str(": ");
            deed.push_str(&self.words.categories(record.categories.iter().map(String::as_str), self.language));
        }
        deed
    }

    fn seen(self, action: &Action, seen: &Seen) -> Vec<Line> {
        if matches!(action, Action::ReceivesEvents(_)) {
            return vec![Line::Seen(self.events(&seen.events))];
        }
        let Some(answer) = &seen.answer else { return Vec::new() };
        let decides = matches!(
            action,
            Action::Check(_)
                | Action::Refer(_)
                | Action::Update(_)
                | Action::Supplement(_)
                | Action::ReferOn(_)
                | Action::Reassign(_)
        );
        let mut lines = if decides { self.decision(answer.body.pointer("/decision/sections")) } else { Vec::new() };
        match action {
            Action::Disclose(_) if answer.status == 200 => lines.push(Line::Seen(self.handed_over(&answer.body))),
            Action::Audit(_) if answer.status == 200 => lines.push(Line::Seen(self.audit(&answer.body, seen))),
            Action::ReadCase(_) if answer.status == 200 => lines.push(Line::Seen(self.case_standing(&answer.body))),
            Action::ReadParticipants(_) if answer.status == 200 => {
                lines.push(Line::Seen(self.participants(&answer.body)));
            }
            Action::ReadConfirmations(_) if answer.status == 200 => {
                lines.push(Line::Seen(self.confirmations(&answer.body)));
            }
            Action::ReadOverdue if answer.status == 200 => lines.extend(self.overdue(&answer.body)),
            Action::ReadFigures if answer.status == 200 => lines.push(self.figures(&answer.body)),
            _ => {}
        }
        if answer.status >= 400 {
            lines.push(Line::Withheld(self.refusal(answer.status, &answer.body)));
        } else if answer.body.get("holder").is_some() {
            lines.push(Line::Seen(self.standing(&answer.body)));
        }
        lines
    }

    /// Where a referral stands, and who must act next.
    fn standing(self, referral: &Value) -> String {
        let mut state = status(text(referral, "status"), self.language).to_owned();
        if let Some(within) = referral.get("businessStatus").and_then(Value::as_str) {
            state = format!("{state}, {}", business(within, self.language));
        }
        match referral.get("holder").and_then(Value::as_str) {
            None => self.pick(
                format!("stand: {state}; niemand hoeft nog iets te doen"),
                format!("status: {state}; nobody has anything left to do"),
            ),
            Some(holder) => {
                let holder = self.words.party_of(holder).map_or(holder, Party::short_name);
                self.pick(
                    format!("stand: {state}; aan zet is {holder}"),
                    format!("status: {state}; next to act: {holder}"),
                )
            }
        }
    }

    /// What is permitted in one line, and each thing that is withheld in a line of its own.
    fn decision(self, sections: Option<&Value>) -> Vec<Line> {
        let sections = sections.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (permitted, withheld): (Vec<&Value>, Vec<&Value>) =
            sections.iter().partition(|section| text(section, "effect") == "permit");
        let mut lines = Vec::new();
        if !permitted.is_empty() {
            let what = self.words.categories(permitted.iter().map(|section| text(section, "category")), self.language);
            lines.push(Line::Permitted(self.pick(format!("mag door: {what}"), format!("may cross: {what}"))));
        }
        for group in groups(&withheld) {
            lines.push(Line::Withheld(self.withheld(&group)));
        }
        lines
    }

    /// Sections that are withheld for the same reason, in one sentence.
    fn withheld(self, group: &[&Value]) -> String {
        let what = self.words.categories(group.iter().map(|section| text(section, "category")), self.language);
        let first = group.first().copied().unwrap_or(&Value::Null);
        let rule = first_rule(first);
        let code = sentence(self.words.reason_withheld(text(first, "code"), self.language));
        // A rule of the covenant explains itself; where no row permits, there is no rule to quote.
        let why = rule.and_then(|rule| self.words.rule(rule, self.language)).unwrap_or(&code);
        let named =
            rule.map(|rule| self.pick(format!(" [regel {rule}]"), format!(" [rule {rule}]"))).unwrap_or_default();
        let mut line = self.pick(format!("onthouden: {what}. {why}{named}"), format!("withheld: {what}. {why}{named}"));
        // A remedy of each section names its own category last; of several, what they have in common is told.
        let own = format!("{}{}", self.language.pick(", categorie ", ", category "), text(first, "category"));
        let remedies: Vec<&str> = remedies(first)
            .map(|remedy| text(remedy, self.language.pick("nl", "en")))
            .map(|remedy| if group.len() > 1 { remedy.trim_end_matches(&own) } else { remedy })
            .collect();
        if !remedies.is_empty() {
            let all = remedies.join(self.language.pick("; en ", "; and "));
            line.push_str(&self.pick(format!(" Wat kan: {all}."), format!(" What can be done: {all}.")));
        }
        line
    }

    fn refusal(self, status_code: u16, problem: &Value) -> String {
        let title = vocabulary::problem(text(problem, "code"), self.language).unwrap_or_else(|| text(problem, "title"));
        let mut line =
            self.pick(format!("geweigerd ({status_code}): {title}"), format!("refused ({status_code}): {title}"));
        let sections = problem.pointer("/decision/sections").and_then(Value::as_array);
        if sections.into_iter().flatten().any(|section| text(section, "effect") == "permit") {
            line.push_str(self.language.pick(
                "; de afzender vroeg om alles of niets, dus gaat er niets door",
                "; the sender asked for all or nothing, so nothing crosses",
            ));
        }
        let mut steps: Vec<&str> = problem
            .get("allowedSteps")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|step| vocabulary::step(step_name(step), self.language))
            .collect();
        steps.dedup();
        if !steps.is_empty() {
            let steps = steps.join(", ");
            line.push_str(&self.pick(format!("; wel mogelijk: {steps}"), format!("; possible now: {steps}")));
        }
        if let Some(open) = problem.get("openReferrals").and_then(Value::as_array) {
            let others = problem.get("otherOpenReferrals").and_then(Value::as_u64).unwrap_or(0);
            let own = open.len();
            line.push_str(&self.pick(
                format!("; open zijn {own} eigen verwijzingen en {others} van anderen"),
                format!("; open are {own} referrals of its own and {others} of others"),
            ));
        }
        line
    }

    fn handed_over(self, body: &Value) -> String {
        let sections = body.get("sections").and_then(Value::as_array).into_iter().flatten();
        let names = sections.filter_map(|section| section.get("category")?.as_str());
        let what = self.words.categories(names, self.language);
        self.pick(format!("verstrekt: {what}"), format!("handed over: {what}"))
    }

    fn events(self, events: &[Value]) -> String {
        let kinds: Vec<String> = events.iter().map(event_type).collect();
        if kinds.is_empty() {
            return self.language.pick("er is geen bericht", "there is no event").to_owned();
        }
        let kinds: Vec<&str> = kinds.iter().map(|kind| vocabulary::event(kind, self.language)).collect();
        let kinds = kinds.join(", ");
        self.pick(
            format!("{kinds} (alleen dat, zonder inhoud of doel)"),
            format!("{kinds} (only that, without content or purpose)"),
        )
    }

    fn audit(self, body: &Value, seen: &Seen) -> String {
        let items = body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let count = count_records(items, seen.resources.as_ref());
        if count.is_empty() {
            return self.language.pick("er is niets over te zien", "there is nothing to see about it").to_owned();
        }
        let count: Vec<String> = count
            .iter()
            .map(|(kind, times)| format!("{times} × {}", vocabulary::audit_kind(kind, self.language)))
            .collect();
        let count = count.join(", ");
        self.pick(format!("vastgelegd, zonder inhoud: {count}"), format!("recorded, without content: {count}"))
    }
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn first_rule(section: &Value) -> Option<&str> {
    section.get("rules").and_then(Value::as_array).and_then(|rules| rules.first()).and_then(rule_id)
}

/// Everything that would mend what is withheld.
fn remedies(section: &Value) -> impl Iterator<Item = &Value> {
    section.get("remedies").and_then(Value::as_array).into_iter().flatten()
}

/// Sections by what is told of them: the reason, the rule and the remedies.
fn groups<'v>(sections: &[&'v Value]) -> Vec<Vec<&'v Value>> {
    let reason = |section: &'v Value| {
        let remedies: Vec<&str> = remedies(section).map(|remedy| text(remedy, "code")).collect();
        (text(section, "code"), first_rule(section), remedies)
    };
    let mut groups: Vec<Vec<&Value>> = Vec::new();
    for section in sections {
        let same = |group: &&mut Vec<&'v Value>| group.first().is_some_and(|first| reason(first) == reason(section));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(section),
            None => groups.push(vec![section]),
        }
    }
    groups
}

/// With a capital in front and a full stop behind.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}
