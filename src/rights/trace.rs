//! The trace that residents' rights leave: audit records of the party, and of who is told something about what it received; and events.
//!
//! Invariants: a record is that of the party that recorded the right or that has the duty, or of who is told by an event, and of nobody else; an event names what it is about and
//! nothing else, and belongs to no trace.

use serde_json::Value;

use crate::app::App;
use crate::audit::{Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::problem::Problem;
use crate::relay::{Addressee, Event, Happening, RightsNews};
use crate::subjects::Subject;

/// What a record is about.
pub(super) struct About<'a> {
    pub(super) owner: &'a Oin,
    pub(super) subject: &'a str,
    pub(super) resource: String,
    pub(super) action: &'static str,
    pub(super) facts: Option<Value>,
}

/// The record of what the caller did.
pub(super) fn record(call: &Call, about: About<'_>, now: Timestamp) -> Result<SealedRecord, Problem> {
    let record = call.record(Kind::Rights, about.owner.clone(), now)?;
    sealed(&call.app, record, about)
}

/// The record of what the clock did.
pub(super) fn clock_record(app: &App, about: About<'_>, now: Timestamp) -> Result<SealedRecord, Problem> {
    let record = Record::new(app.new_id()?, Kind::Rights, now, about.owner.clone());
    sealed(app, record, about)
}

pub(super) fn sealed(app: &App, mut record: Record, about: About<'_>) -> Result<SealedRecord, Problem> {
    let subject = Subject::from_stored(about.subject.to_owned());
    record.action = Some(about.action.to_owned());
    record.resource = Some(about.resource);
    record.subject = Some(app.pseudonyms.for_organisation(&subject, &record.organisation));
    record.facts = about.facts;
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}

/// One event.
pub(super) fn event(app: &App, news: RightsNews, to: impl Into<Addressee>, now: Timestamp) -> Result<Event, Problem> {
    let (id, to) = (app.new_id()?, to.into());
    Ok(Event { id, to, happening: Happening::Rights(news), time: now, trace_parent: None })
}
