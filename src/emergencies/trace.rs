//! The trace that break-glass leaves: audit records and events.
//!
//! Invariants: the declaring party's records say what was declared, in codes; the recipient's say nothing of what it was not given; an event
//! names a declaration or its review and nothing else, and belongs to no trace.

use serde_json::json;

use super::readers;
use super::types::EmergencyAccess;
use crate::app::App;
use crate::audit::{Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::problem::Problem;
use crate::relay::{Addressee, EmergencyNews, Event, Happening};
use crate::subjects::Subject;

/// A record of the declaring party or of the reviewer, of what somebody did. Codes of break-glass are in its facts: the fields for a status and its reason
/// are those of a referral.
pub(super) fn record(
    call: &Call,
    access: &EmergencyAccess,
    owner: &Oin,
    action: &str,
    now: Timestamp,
) -> Result<Record, Problem> {
    let mut record = call.record(Kind::Emergency, owner.clone(), now)?;
    if call.caller()?.organisation != *owner {
        // The record does not say which system of another organisation asked.
        (record.client_id, record.request_id) = (None, None);
    }
    describe(&call.app, &mut record, access, action);
    Ok(record)
}

/// The declaring party's record of what the clock did.
pub(super) fn clock_record(
    app: &App,
    access: &EmergencyAccess,
    owner: &Oin,
    action: &str,
    now: Timestamp,
) -> Result<Record, Problem> {
    let mut record = Record::new(app.new_id()?, Kind::Emergency, now, owner.clone());
    describe(app, &mut record, access, action);
    Ok(record)
}

fn describe(app: &App, record: &mut Record, access: &EmergencyAccess, action: &str) {
    let own = record.organisation == access.organisation;
    let collection = if own { "emergency-accesses" } else { "reviews" };
    record.action = Some(action.to_owned());
    record.resource = Some(format!("/v1/{collection}/{}", access.id));
    record.sender = Some(access.organisation.clone());
    record.recipient = Some(access.recipient.clone());
    record.covenant_version = Some(access.covenant_version.clone());
    let subject = Subject::from_stored(access.subject.clone());
    record.subject = Some(app.pseudonyms.for_organisation(&subject, &record.organisation));
}

/// What was declared, in codes, as the declaring party's record keeps it.
pub(super) fn scope(access: &EmergencyAccess) -> serde_json::Value {
    json!({
        "role": access.role,
        "reason": access.reason,
        "cannotConsent": access.cannot_consent,
        "categories": access.categories,
        "validUntil": access.valid_until,
        "reviewer": access.review.reviewer,
        "reviewDueAt": access.review.due_at,
        "informDueAt": access.duty.due_at,
    })
}

pub(super) fn sealed(app: &App, record: &Record) -> Result<SealedRecord, Problem> {
    Ok(SealedRecord::new(record, &app.entropy, &app.sealer)?)
}

/// Tells the privacy officers of these organisations, each once.
pub(super) fn tell_officers<'a>(
    app: &App,
    access: &EmergencyAccess,
    news: EmergencyNews,
    organisations: impl IntoIterator<Item = &'a Oin>,
    municipality: &Oin,
    now: Timestamp,
) -> Result<Vec<Event>, Problem> {
    let mut told: Vec<&Oin> = organisations.into_iter().collect();
    told.sort_unstable();
    told.dedup();
    told.into_iter().map(|one| event(app, access, news, readers::officer(one, municipality), now)).collect()
}

/// One event.
pub(super) fn event(
    app: &App,
    access: &EmergencyAccess,
    news: EmergencyNews,
    to: Addressee,
    now: Timestamp,
) -> Result<Event, Problem> {
    let happening = Happening::Emergency { access: access.id, news };
    Ok(Event { id: app.new_id()?, to, happening, time: now, trace_parent: None })
}
