//! What the party that declared sees of a declaration, and privacy officers of its review.
//!
//! Invariants: the resident is shown by the reader's own pseudonym; nothing of what was given but categories and moments.

use serde_json::{Value, json};

use super::store::{Disclosed, Known};
use super::types::{Concluded, EmergencyAccess, Notification};
use crate::app::App;
use crate::audit::{Effect, SectionOutcome};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::subjects::Subject;

/// Shows declarations to who declared them, inside a transaction too.
pub(super) struct Own(App);

impl Own {
    pub(super) fn of(call: &Call) -> Self {
        Self(call.app.clone())
    }

    pub(super) fn show(&self, access: &EmergencyAccess, now: Timestamp) -> Value {
        own(&self.0, access, now)
    }
}

/// A declaration as the party that declared it sees it.
pub(super) fn own(app: &App, access: &EmergencyAccess, now: Timestamp) -> Value {
    let mut view = declared(app, access, &access.organisation, now);
    if let Value::Object(view) = &mut view {
        let review = json!({
            "status": access.review_status(now),
            "reviewer": access.review.reviewer,
            "dueAt": access.review.due_at,
            "conclusion": access.review.concluded.as_ref().map(conclusion),
        });
        view.insert("review".into(), review);
        view.insert("notification".into(), duty(access, now));
    }
    view
}

fn declared(app: &App, access: &EmergencyAccess, reader: &Oin, now: Timestamp) -> Value {
    let subject = Subject::from_stored(access.subject.clone());
    json!({
        "id": access.id,
        "status": access.status(now),
        "declaredBy": access.organisation,
        "recipient": access.recipient,
        "subject": { "pseudonym": app.pseudonyms.for_organisation(&subject, reader) },
        "role": access.role,
        "reason": access.reason,
        "cannotConsent": access.cannot_consent,
        "categories": access.categories,
        "covenantVersion": access.covenant_version,
        "declaredAt": access.declared_at,
        "validUntil": access.valid_until,
        "endedAt": access.ended_at,
    })
}

/// How the duty to inform the resident stands.
fn duty(access: &EmergencyAccess, now: Timestamp) -> Value {
    json!({ "status": access.duty_status(now), "dueAt": access.duty.due_at })
}

/// One record of informing; `due_at` is the deadline after it.
pub(super) fn notification(notification: &Notification, due_at: Option<Timestamp>) -> Value {
    let mut view = noted(notification);
    if let Value::Object(view) = &mut view {
        view.insert("dueAt".into(), json!(due_at));
    }
    view
}

/// One record of informing, among others.
pub(super) fn noted(notification: &Notification) -> Value {
    json!({
        "id": notification.id,
        "outcome": notification.outcome,
        "informedAt": notification.informed_at,
        "method": notification.method,
        "reason": notification.reason,
        "recordedAt": notification.recorded_at,
    })
}

/// A conclusion.
pub(super) fn conclusion(concluded: &Concluded) -> Value {
    json!({
        "conclusion": concluded.conclusion,
        "measures": concluded.measures,
        "notJustified": concluded.deleted,
        "concludedBy": concluded.by,
        "concludedAt": concluded.at,
    })
}

/// A review as it stands in the list of its readers.
pub(super) fn review(app: &App, access: &EmergencyAccess, reader: &Oin, now: Timestamp) -> Value {
    json!({
        "id": access.id,
        "kind": "break-glass",
        "status": access.review_status(now),
        "reviewer": access.review.reviewer,
        "openedAt": access.declared_at,
        "dueAt": access.review.due_at,
        "declaration": declared(app, access, reader, now),
        "notification": duty(access, now),
        "conclusion": access.review.concluded.as_ref().map(conclusion),
    })
}

/// A review with what was given and when, and what was recorded of informing the resident.
pub(super) fn whole_review(
    app: &App,
    access: &EmergencyAccess,
    reader: &Oin,
    given: &[(Known, Vec<Disclosed>)],
    notifications: &[Notification],
    now: Timestamp,
) -> Value {
    let mut view = review(app, access, reader, now);
    if let Value::Object(view) = &mut view {
        let referral = |(known, disclosed): &(Known, Vec<Disclosed>)| {
            // The records are those of who gave.
            let names_records = *reader != access.recipient;
            let disclosures: Vec<Value> = disclosed.iter().map(|one| disclosure(one, names_records)).collect();
            json!({ "referral": known.id, "createdAt": known.created_at, "disclosures": disclosures })
        };
        view.insert("referrals".into(), given.iter().map(referral).collect());
        view.insert("notifications".into(), notifications.iter().map(noted).collect());
    }
    view
}

/// What was handed over at one moment: the categories that the record says were permitted.
fn disclosure(disclosed: &Disclosed, names_record: bool) -> Value {
    let sections: Vec<SectionOutcome> = serde_json::from_str(&disclosed.sections).unwrap_or_default();
    let given = sections.iter().filter(|section| section.effect == Effect::Permit);
    let categories: Vec<&str> = given.map(|section| section.category.as_str()).collect();
    let mut view = json!({ "at": disclosed.at, "categories": categories });
    if let (Value::Object(view), true) = (&mut view, names_record) {
        view.insert("record".into(), json!(disclosed.record));
    }
    view
}
