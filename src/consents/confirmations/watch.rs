//! Notes which confirmations should have been given: once each, on whichever gateway, also after none ran for long.

use uuid::Uuid;

use super::settle::records_of;
use super::store;
use super::types::Confirmation;
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::Role;
use crate::problem::{Code, Problem};
use crate::relay::{self, Addressee, ConsentNews, Event, Happening};
use crate::storage::Tx;

/// How many are looked at in one go.
const STEP: i64 = 100;

/// Notes every confirmation that is overdue and tells who received, who recorded and the municipality's privacy officer; answers for how many
/// that failed.
///
/// # Errors
/// When the database fails.
pub async fn watch(app: &App) -> Result<usize, Problem> {
    let (now, mut failed) = (app.now(), 0);
    let mut after = (Timestamp::from_micros(i64::MIN), Uuid::nil());
    while !app.signals.is_stopping() {
        let due = store::due(&mut app.db.reader(), now, after, STEP).await?;
        let Some(last) = due.last() else { break };
        after = (last.due_at, last.id);
        let municipality = municipality(app, now).await?;
        for confirmation in due {
            let id = confirmation.id;
            let noted = async {
                let note = Note::prepare(app, &confirmation, municipality.as_ref(), now)?;
                app.db.write("note-overdue-confirmation", async move |tx: &mut Tx| note.apply(tx).await).await
            };
            if let Err(problem) = noted.await {
                failed += 1;
                tracing::error!(confirmation = %id, %problem, "an overdue confirmation could not be noted; it is tried again");
            }
        }
    }
    Ok(failed)
}

/// Whose privacy officer watches; nobody's without a covenant in force.
async fn municipality(app: &App, now: Timestamp) -> Result<Option<Oin>, Problem> {
    match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => Ok(engine.covenant().municipality().map(|party| party.oin.clone())),
        Err(problem) if problem.code() == Code::Refused => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// What one transaction writes.
struct Note {
    id: Uuid,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
    now: Timestamp,
}

impl Note {
    fn prepare(
        app: &App,
        confirmation: &Confirmation,
        municipality: Option<&Oin>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let [recorders, confirmers] = records_of(app, confirmation, "confirmation-overdue", now)?;
        let id = confirmation.id;
        let overdue = |consent| ConsentNews::ConfirmationOverdue { consent, confirmation: id };
        let mut told = vec![
            (Addressee::from(confirmation.organisation.clone()), overdue(None)),
            (Addressee::from(confirmation.recorder.clone()), overdue(Some(confirmation.consent))),
        ];
        if let Some(municipality) = municipality {
            let news = ConsentNews::ConfirmationUnanswered { confirmation: id, record: recorders.id };
            told.push((Addressee::role(municipality.clone(), Role::PrivacyOfficer), news));
        }
        let event = |(to, news)| {
            let (id, happening) = (app.new_id()?, Happening::Consent(news));
            Ok::<_, Problem>(Event { id, to, happening, time: now, trace_parent: None })
        };
        let events = told.into_iter().map(event).collect::<Result<_, _>>()?;
        let seal = |record| Ok::<_, Problem>(SealedRecord::new(record, &app.entropy, &app.sealer)?);
        Ok(Self { id, records: vec![seal(&recorders)?, seal(&confirmers)?], events, now })
    }

    async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !store::note_overdue(tx, self.id, self.now).await? {
            // It was confirmed, or noted elsewhere, at the last moment.
            return Ok(());
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        Ok(())
    }
}
