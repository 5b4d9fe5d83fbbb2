//! What a party sees of an incident.
//!
//! Invariants: the resident is shown by the reader's own pseudonym; how the other party assessed it is not shown; nothing of what was given but categories.

use serde_json::{Value, json};

use super::types::{Assessment, Duty, Incident};
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::subjects::Subject;

/// An incident as it stands in the list of one of its parties.
pub(super) fn listed(app: &App, incident: &Incident, duty: &Duty, now: Timestamp) -> Value {
    let subject = Subject::from_stored(incident.subject.clone());
    json!({
        "id": incident.id,
        "kind": incident.kind,
        "referral": incident.referral,
        "sender": incident.sender,
        "recipient": incident.recipient,
        "subject": { "pseudonym": app.pseudonyms.for_organisation(&subject, &duty.organisation) },
        "reportedBy": incident.reported_by,
        "openedAt": incident.opened_at,
        "assessment": {
            "status": duty.assessment_status(now),
            "awareAt": duty.aware_at,
            "dueAt": duty.assess_due_at,
            "outcome": duty.assessment,
        },
        "deletionStatus": duty.deletion.as_ref().map(|deletion| deletion.status(now)),
    })
}

/// An incident with what both parties have to delete.
pub(super) fn whole(app: &App, incident: &Incident, reader: &Oin, duties: &[Duty], now: Timestamp) -> Value {
    let own = duties.iter().find(|duty| duty.organisation == *reader);
    let mut view = own.map_or(Value::Null, |own| listed(app, incident, own, now));
    if let Value::Object(view) = &mut view {
        let deletions = duties.iter().filter(|duty| duty.deletion.is_some());
        view.insert("deletions".into(), deletions.map(|duty| deletion(duty, now)).collect());
    }
    view
}

/// What a party has to delete, and whether it did.
pub(super) fn deletion(duty: &Duty, now: Timestamp) -> Value {
    let deletion = duty.deletion.as_ref();
    let confirmed = deletion.and_then(|one| one.confirmed);
    json!({
        "organisation": duty.organisation,
        "received": deletion.map(|one| &one.received),
        "status": deletion.map(|one| one.status(now)),
        "dueAt": deletion.map(|one| one.due_at),
        "confirmedAt": confirmed.map(|(at, _)| at),
        "passedOn": confirmed.map(|(_, passed_on)| passed_on),
    })
}

/// An assessment.
pub(super) fn assessment(assessment: &Assessment) -> Value {
    json!({
        "id": assessment.id,
        "outcome": assessment.outcome,
        "notifiedAt": assessment.notified_at,
        "delay": assessment.delay,
        "residents": assessment.residents,
        "recordedAt": assessment.recorded_at,
    })
}
