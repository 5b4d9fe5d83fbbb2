//! The trace that incidents leave: audit records of both parties, and events to their systems and their privacy officers.
//!
//! Invariants: a party's record says what it did itself and what both know; an event names the incident and nothing else.

use serde_json::Value;

use super::types::Incident;
use crate::app::App;
use crate::audit::{Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::organisations::Role;
use crate::problem::Problem;
use crate::relay::{Addressee, Event, Happening, IncidentNews};
use crate::subjects::Subject;

/// A party's record of what happened. Who asked, where it was that party's own client, is filled in by [`asked`].
pub(super) fn record(
    app: &App,
    incident: &Incident,
    owner: &Oin,
    (action, facts): (&str, Option<Value>),
    now: Timestamp,
) -> Result<Record, Problem> {
    let mut record = Record::new(app.new_id()?, Kind::Incident, now, owner.clone());
    record.action = Some(action.to_owned());
    record.resource = Some(format!("/v1/incidents/{}", incident.id));
    record.referral = Some(incident.referral.to_string());
    record.sender = Some(incident.sender.clone());
    record.recipient = Some(incident.recipient.clone());
    let subject = Subject::from_stored(incident.subject.clone());
    record.subject = Some(app.pseudonyms.for_organisation(&subject, owner));
    record.facts = facts;
    Ok(record)
}

/// Notes in the caller's own record which client asked, in which request.
pub(super) fn asked(call: &Call, record: &mut Record) -> Result<(), Problem> {
    if call.caller()?.organisation == record.organisation {
        let own = call.record(Kind::Incident, record.organisation.clone(), record.time)?;
        (record.client_id, record.request_id, record.trace) = (own.client_id, own.request_id, own.trace);
    }
    Ok(())
}

pub(super) fn sealed(app: &App, record: &Record) -> Result<SealedRecord, Problem> {
    Ok(SealedRecord::new(record, &app.entropy, &app.sealer)?)
}

/// Tells these organisations: their systems and their privacy officers.
pub(super) fn tell<'a>(
    app: &App,
    incident: &Incident,
    news: IncidentNews,
    organisations: impl IntoIterator<Item = &'a Oin>,
    municipality: Option<&Oin>,
    now: Timestamp,
) -> Result<Vec<Event>, Problem> {
    let mut events = Vec::new();
    for organisation in organisations {
        for to in [organisation.clone().into(), officer(organisation, municipality)] {
            let happening = Happening::Incident { incident: incident.id, news };
            events.push(Event { id: app.new_id()?, to, happening, time: now, trace_parent: None });
        }
    }
    Ok(events)
}

/// The privacy officer of an organisation: of the covenant's municipality the one who watches over the covenant.
fn officer(organisation: &Oin, municipality: Option<&Oin>) -> Addressee {
    let role = if Some(organisation) == municipality { Role::PrivacyOfficer } else { Role::DataProtectionOfficer };
    Addressee::role(organisation.clone(), role)
}
