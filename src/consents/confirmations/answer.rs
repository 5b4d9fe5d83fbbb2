//! Confirming: what an organisation says became of what it had received.

use serde_json::Value;

use super::settle::records_of;
use super::store;
use super::types::{Confirmation, Outcome, Said};
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::problem::{Code, Problem};
use crate::relay::{self, ConsentNews, Event, Happening};
use crate::storage::Tx;
use crate::subjects::Subject;

/// What is said, ready to be written.
pub(super) struct Saying {
    confirmation: Confirmation,
    said: Said,
    records: Vec<SealedRecord>,
    event: Event,
    pub(super) view: Value,
    now: Timestamp,
}

impl Saying {
    /// Checks it.
    ///
    /// # Errors
    /// 400 with everything that is wrong; 409 when it was said already.
    pub(super) async fn prepare(call: &Call, mut confirmation: Confirmation, said: Said) -> Result<Self, Problem> {
        let (app, now) = (&call.app, call.app.now());
        let engine = app.covenants.in_force(&mut app.db.reader(), now).await?;
        let mistakes = said.mistakes(engine.covenant());
        if !mistakes.is_empty() {
            return Err(Problem::invalid(mistakes));
        }
        if !confirmation.may_say(said.outcome) {
            return Err(said_already());
        }
        let action = match said.outcome {
            Outcome::Deleted => "confirmed-deleted",
            Outcome::Kept => "confirmed-kept",
        };
        let [mut recorders, mut own] = records_of(app, &confirmation, action, now)?;
        let asked = call.record(audit::Kind::Consent, confirmation.organisation.clone(), now)?;
        (own.client_id, own.request_id, own.trace) = (asked.client_id, asked.request_id, asked.trace);
        for record in [&mut recorders, &mut own] {
            record.legal_basis = said.legal_basis.as_ref().map(ToString::to_string);
        }
        let seal = |record| Ok::<_, Problem>(SealedRecord::new(record, &app.entropy, &app.sealer)?);
        let records = vec![seal(&recorders)?, seal(&own)?];
        let event = Event {
            id: app.new_id()?,
            to: confirmation.recorder.clone().into(),
            happening: Happening::Consent(ConsentNews::Confirmed {
                consent: confirmation.consent,
                confirmation: confirmation.id,
            }),
            time: now,
            trace_parent: None,
        };
        confirmation.said = Some((said.clone(), now));
        let subject = Subject::from_stored(confirmation.subject.clone());
        let pseudonym = app.pseudonyms.for_organisation(&subject, &confirmation.organisation);
        let view = confirmation.to_json(&pseudonym, false, now);
        Ok(Self { confirmation, said, records, event, view, now })
    }

    /// Where it is found.
    pub(super) fn path(&self) -> String {
        self.confirmation.path(&self.confirmation.organisation)
    }

    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !store::say(tx, self.confirmation.id, &self.said, self.now).await? {
            return Err(said_already());
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        relay::enqueue(tx, &self.event);
        Ok(())
    }
}

fn said_already() -> Problem {
    Problem::new(Code::Conflict, "it was confirmed already; only that what was kept is deleted now can be said later")
}
