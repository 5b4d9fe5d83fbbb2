//! The bodies that the gateway's contract asks for, made from the words of a scenario.
//!
//! Invariant: nothing is sent that the scenario does not say, and nothing it says is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::scenario::{Action, Handover, Hearsay, Matched, OnWithheld, Onward, Record, Resident, Saying, Update};
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

/// How the resident is named.
pub(super) fn subject(resident: &Resident) -> Map<String, Value> {
    let mut subject = Map::new();
    if let Some(bsn) = &resident.bsn {
        subject.insert("bsn".to_owned(), json!(bsn));
    }
    if let Some(Matched { given_name, family_name, birth_date, postal_code }) = &resident.matched {
        let data = json!({
            "givenName": given_name, "familyName": family_name, "birthDate": birth_date, "postalCode": postal_code,
        });
        subject.insert("match".to_owned(), data);
    }
    subject
}

/// The body of a referral, also of the question beforehand.
#[must_use]
pub fn handover(
    handover: &Handover,
    resident: &Resident,
    (based_on, emergency): (Option<&str>, Option<&str>),
    case: Option<&str>,
    words: &Words,
) -> Value {
    let mut subject = subject(resident);
    if let Some(age_group) = &resident.age_group {
        subject.insert("ageGroup".to_owned(), json!(age_group));
    }
    json!({
        "recipient": oin(words, &handover.to),
        "purpose": handover.purpose,
        "phase": handover.phase,
        "legalBasis": handover.basis,
        "subject": subject,
        "priority": handover.priority.as_deref().unwrap_or("routine"),
        "basedOn": based_on,
        "emergencyAccess": emergency,
        "caseId": case,
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

/// The body of a referral that goes on from an earlier one.
#[must_use]
pub fn onward(onward: &Onward, words: &Words) -> Value {
    let mut body = Map::new();
    body.insert("recipient".to_owned(), json!(oin(words, &onward.to)));
    body.insert("onWithheld".to_owned(), json!(on_withheld(onward.on_withheld)));
    let optional = [("purpose", &onward.purpose), ("legalBasis", &onward.basis)];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        body.insert(name.to_owned(), json!(value));
    }
    Value::Object(body)
}

/// A step in a referral that is posted to a sub-resource of its own: the referral's name, the sub-resource, and the body.
#[must_use]
pub fn step_in_referral<'a>(action: &'a Action, words: &Words) -> Option<(&'a str, &'static str, Value)> {
    let reason = |reason: &str| json!({ "statusReason": reason });
    Some(match action {
        Action::Update(step) => (&step.referral, "updates", update(step, words)),
        Action::Supplement(step) => {
            let choice = on_withheld(step.on_withheld);
            (&step.referral, "supplements", json!({ "onWithheld": choice, "sections": sections(&step.sections) }))
        }
        Action::Extend(of) => (&of.referral, "extensions", json!({ "businessStatus": "under-examination" })),
        Action::AskCancellation(asked) => (&asked.referral, "cancellation-requests", reason(&asked.reason)),
        Action::RefuseCancellation(asked) => (&asked.referral, "cancellation-refusals", reason(&asked.reason)),
        Action::Resolve(step) => (&step.referral, "resolutions", json!({ "outcome": step.outcome })),
        Action::StepUpReferral(of) => (&of.referral, "step-ups", json!({ "businessStatus": "stepped-up" })),
        Action::ReferOn(step) => (&step.referral, "re-referrals", onward(step, words)),
        Action::Reassign(step) => (&step.referral, "reassignments", onward(step, words)),
        _ => return None,
    })
}

/// A step in a case: the case's name, the sub-resource that it is posted to, and the body.
#[must_use]
pub fn step_in_case<'a>(action: &'a Action, words: &Words) -> Option<(&'a str, String, Value)> {
    let organisation = |slug: &str| json!({ "organisation": oin(words, slug) });
    let (case, path, body) = match action {
        Action::OfferCoordination(of) => (&of.case, "coordinators", organisation(&of.party)),
        Action::AcceptCoordination(of) => (&of.case, "coordinators/acceptances", json!({})),
        Action::DeclineCoordination(of) => (&of.case, "coordinators/refusals", json!({})),
        Action::RevokeOffer(of) => (&of.case, "coordinators/revocations", json!({})),
        Action::Invite(of) => (&of.case, "participants", organisation(&of.party)),
        Action::RemoveParticipant(of) => {
            return Some((&of.case, format!("participants/{}/removals", oin(words, &of.party)), json!({})));
        }
        Action::CallMeeting(meeting) => {
            let parties: Vec<_> = meeting.parties.iter().map(|slug| oin(words, slug)).collect();
            (&meeting.case, "meetings", json!({ "organisations": parties }))
        }
        Action::StepUpCase(step) => (&step.case, "step-ups", json!({ "reason": step.reason })),
        Action::RefuseStepUp(of) => (&of.case, "step-ups/refusals", json!({})),
        Action::StepDownCase(of) => (&of.case, "step-downs", json!({})),
        Action::CloseCase(of) => (&of.case, "closures", json!({})),
        _ => return None,
    };
    Some((case, path.to_owned(), body))
}

/// The body of a report of a withdrawal.
#[must_use]
pub fn hearsay(heard: &Hearsay, resident: &Resident, words: &Words) -> Value {
    let mut body = Map::new();
    body.insert("subject".to_owned(), subject(resident).into());
    if let Some(recipient) = &heard.recipient {
        body.insert("recipient".to_owned(), json!(oin(words, recipient)));
    }
    if let Some(purpose) = &heard.purpose {
        body.insert("purpose".to_owned(), json!(purpose));
    }
    Value::Object(body)
}

/// The body of a confirmation.
#[must_use]
pub fn saying(saying: &Saying) -> Value {
    let mut body = Map::new();
    body.insert("outcome".to_owned(), json!(saying.outcome));
    let optional = [("legalBasis", &saying.basis), ("retention", &saying.retention)];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        body.insert(name.to_owned(), json!(value));
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
        "subject": subject(resident),
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
