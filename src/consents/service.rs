//! Recording and withdrawing consents.

use uuid::Uuid;

use super::store;
use super::types::{Consent, Recording, Report, Withdrawal, WithdrawalReason};
use crate::audit::{self, SealedRecord};
use crate::http::Call;
use crate::lifecycle::Day;
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects::{self, Named, Subject, SubjectReference};

/// A checked record that is ready to be stored.
pub(super) struct NewConsent {
    pub(super) consent: Consent,
    named: Named,
    /// The covenant that lets the resident be named so.
    covenant: Revisions,
    sealed_evidence: Option<Vec<u8>>,
    record: SealedRecord,
    pseudonyms: subjects::Pseudonyms,
}

impl NewConsent {
    /// Checks it.
    ///
    /// # Errors
    /// 400 with everything that is wrong; 403 when the organisation may not use a BSN.
    pub(super) async fn prepare(
        call: &Call,
        reference: &SubjectReference,
        recording: Recording,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let mut mistakes = recording.mistakes(app.now());
        mistakes.extend(reference.mistakes(Day::of(app.now())));
        if !mistakes.is_empty() {
            return Err(Problem::invalid(mistakes));
        }
        let recorder = call.caller()?.organisation.clone();
        let (rights, covenant) = subjects::check_rights(call, reference).await?;
        let named = subjects::find(call, reference, rights).await?;
        let subject = &named.subject;
        let (id, now) = (app.new_id()?, app.now());
        let evidence = recording.evidence_ref.as_deref();
        let sealed_evidence = evidence.map(|text| app.sealer.seal(&evidence_place(id), text.as_bytes())).transpose()?;
        let record = record(call, id, "recorded", subject)?;
        let consent = Consent {
            id,
            organisation: recorder,
            subject: subject.as_str().to_owned(),
            recording,
            recorded_at: now,
            withdrawal: None,
            version: 1,
        };
        Ok(Self { consent, named, covenant, sealed_evidence, record, pseudonyms: app.pseudonyms.clone() })
    }

    /// Decisions about the resident are to be taken again.
    pub(super) fn ground(&self) -> Ground {
        let mut ground = Ground::raising(revisions::subject(&self.consent.subject));
        ground.rest_on(&self.covenant);
        self.named.add_to(&mut ground);
        ground
    }

    /// Stores it; whatever is decided from now on knows it.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        self.named.keep(tx, true);
        subjects::remember(tx, &self.pseudonyms, &self.consent.organisation, &self.named.subject);
        store::insert(tx, &self.consent, self.sealed_evidence.clone()).await?;
        revisions::bump(tx, &revisions::subject(&self.consent.subject));
        audit::write(tx, &self.record);
        Ok(())
    }
}

/// The reference to the evidence, for the organisation that recorded it.
pub(super) async fn evidence(call: &Call, id: Uuid) -> Result<Option<String>, Problem> {
    let Some(sealed) = store::evidence(&mut call.app.db.reader(), &id.to_string()).await? else { return Ok(None) };
    let plain = call.app.sealer.open(&evidence_place(id), &sealed)?;
    String::from_utf8(plain.to_vec()).map(Some).map_err(|_| Problem::internal("a stored reference is no text"))
}

fn evidence_place(id: Uuid) -> String {
    format!("consents/evidence_ref/{id}")
}

/// A withdrawal that is ready to be stored.
pub(super) struct NewWithdrawal {
    consent: Consent,
    pub(super) withdrawal: Withdrawal,
    record: SealedRecord,
    event: Event,
}

impl NewWithdrawal {
    pub(super) fn prepare(call: &Call, consent: Consent, reason: WithdrawalReason) -> Result<Self, Problem> {
        let app = &call.app;
        let now = app.now();
        let subject = Subject::from_stored(consent.subject.clone());
        let event = Event {
            id: app.new_id()?,
            to: consent.organisation.clone().into(),
            happening: Happening::ConsentWithdrawn { consent: consent.id },
            time: now,
            trace_parent: Some(call.trace.traceparent()),
        };
        let record = record(call, consent.id, "withdrawn", &subject)?;
        Ok(Self { consent, withdrawal: Withdrawal { at: now, reason, report: None }, record, event })
    }

    /// One that another organisation heard of. Neither the record nor the event leads to its request: the recorder finds in its own record of the
    /// consent who reported it.
    pub(super) fn reported(call: &Call, consent: Consent, report: Report) -> Result<Self, Problem> {
        let (app, now) = (&call.app, call.app.now());
        let subject = Subject::from_stored(consent.subject.clone());
        let recorder = consent.organisation.clone();
        let event = Event {
            id: app.new_id()?,
            to: recorder.clone().into(),
            happening: Happening::ConsentWithdrawn { consent: consent.id },
            time: now,
            trace_parent: None,
        };
        let record = audit::Record::new(app.new_id()?, audit::Kind::Consent, now, recorder);
        let record = about(call, record, consent.id, "withdrawn", &subject)?;
        let withdrawal = Withdrawal { at: now, reason: WithdrawalReason::ResidentAsked, report: Some(report) };
        Ok(Self { consent, withdrawal, record, event })
    }

    /// Decisions about the resident are to be taken again.
    pub(super) fn ground(&self) -> Ground {
        Ground::raising(revisions::subject(&self.consent.subject))
    }

    /// Stores it: at once nothing is handed over under it any more.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !store::withdraw(tx, &self.consent.id.to_string(), &self.withdrawal).await? {
            return Err(Problem::new(Code::Conflict, "it was withdrawn already"));
        }
        revisions::bump(tx, &revisions::subject(&self.consent.subject));
        audit::write(tx, &self.record);
        relay::enqueue(tx, &self.event);
        Ok(())
    }
}

fn record(call: &Call, id: Uuid, action: &str, subject: &Subject) -> Result<SealedRecord, Problem> {
    let record = call.record(audit::Kind::Consent, call.caller()?.organisation.clone(), call.app.now())?;
    about(call, record, id, action, subject)
}

/// The record of its owner about a consent.
fn about(
    call: &Call,
    mut record: audit::Record,
    id: Uuid,
    action: &str,
    subject: &Subject,
) -> Result<SealedRecord, Problem> {
    let app = &call.app;
    record.action = Some(action.to_owned());
    record.resource = Some(format!("/v1/consents/{id}"));
    record.consent = Some(id.to_string());
    record.subject = Some(app.pseudonyms.for_organisation(subject, &record.organisation));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}
