//! The bodies that the gateway's contract asks for, made from the words of a scenario.
//!
//! Invariant: nothing is sent that the scenario does not say, and nothing it says is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::scenario::{Handover, OnWithheld, Record, Resident, Update};
use super::words::Words;
use crate::clock::{Clock, Timestamp};

/// The OIN of a party, or the slug itself where the covenant does not name it: the gateway then says what is wrong.
#[must_use]
pub fn oin(words: &Words, slug: &str) -> String {
    words.party(slug).map_or(slug, |party| party.oin.as_str()).to_owned()
}

/// The content of a section as it is sent: a text becomes `{"text": …}`.
#[must_use]
pub fn content(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { json!({ "text": value }) }
}

/// The sections of a referral or a note.
#[must_use]
pub fn sections(sections: &BTreeMap<String, Value>) -> Vec<Value> {
    sections.iter().map(|(category, value)| json!({ "category": category, "content": content(value) })).collect()
}

/// The body of a referral, also of the question beforehand.
#[must_use]
pub fn handover(handover: &Handover, resident: &Resident, based_on: Option<&str>, words: &Words) -> Value {
    let mut subject = Map::new();
    subject.insert("bsn".to_owned(), json!(resident.bsn));
    if let Some(age_group) = &resident.age_group {
        subject.insert("ageGroup".to_owned(), json!(age_group));
    }
    json!({
        "recipient": oin(words, &handover.to),
        "purpose": handover.purpose,
        "phase": handover.phase,
        "legalBasis": handover.basis,
        "subject": subject,
        "basedOn": based_on,
        "onWithheld": on_withheld(handover.on_withheld),
        "sections": sections(&handover.sections),
    })
}

/// The body of a status update.
#[must_use]
pub fn update(update: &Update, words: &Words) -> Value {
    let mut body = Map::new();
    body.insert("status".to_owned(), json!(update.to));
    let optional = [("statusReason", &update.reason), ("outcome", &update.outcome)];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        body.insert(name.to_owned(), json!(value));
    }
    if let Some(party) = &update.right_party {
        body.insert("rightOrganisation".to_owned(), json!(oin(words, party)));
    }
    if !update.sections.is_empty() {
        body.insert("sections".to_owned(), json!(sections(&update.sections)));
        body.insert("onWithheld".to_owned(), json!(on_withheld(update.on_withheld)));
    }
    Value::Object(body)
}

/// The body of a recorded consent, release or agreement.
#[must_use]
pub fn record(record: &Record, resident: &Resident, evidence: &str, clock: &Clock, words: &Words) -> Value {
    let now = clock.now();
    let obtained = days_from(now, record.valid.from_day.min(0));
    json!({
        "kind": record.kind,
        "subject": { "bsn": resident.bsn },
        "givenBy": record.given_by,
        "representativeKind": record.representative_kind,
        "explicit": record.explicit,
        "recipients": record.recipients.iter().map(|slug| oin(words, slug)).collect::<Vec<_>>(),
        "purposes": record.purposes,
        "categories": record.categories,
        "validFrom": days_from(now, record.valid.from_day),
        "validUntil": days_from(now, record.valid.until_day),
        "obtainedAt": obtained,
        "method": "signed-form",
        "evidenceRef": evidence,
    })
}

fn on_withheld(choice: OnWithheld) -> &'static str {
    match choice {
        OnWithheld::Reject => "reject",
        OnWithheld::Minimise => "minimise",
    }
}

fn days_from(now: Timestamp, days: i64) -> Timestamp {
    let span = Duration::from_hours(24 * days.unsigned_abs());
    if days < 0 { now.minus(span) } else { now.plus(span) }
}
