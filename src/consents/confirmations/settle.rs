//! What follows from a withdrawal: what waited is destroyed, what the gateway still keeps too, and who received something is asked to confirm.
//!
//! Invariants: it is done once for each withdrawal, on whichever gateway, however often that is cut off: all of it is one transaction, which takes the
//! note that it was to be done away. When it begins, nothing can be given under the record any more, so nothing is missed. One
//! withdrawal that cannot be settled holds up no other.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::store;
use super::types::{Confirmation, Received};
use crate::app::App;
use crate::audit::{self, Effect, Kind, Record, SealedRecord, SectionOutcome};
use crate::clock::Timestamp;
use crate::consents::store as consents;
use crate::consents::types::Consent;
use crate::consents::uses;
use crate::covenant::CONFIRMATION_WORKING_DAYS;
use crate::ids::Oin;
use crate::lifecycle::working_days::after_working_days;
use crate::policy::RecordKind;
use crate::problem::{Code, Problem, until_settled};
use crate::referrals::{self, Resting};
use crate::relay::{self, ConsentNews, Event, Happening};
use crate::storage::Tx;
use crate::subjects::Subject;

/// How many withdrawals are looked at in one go.
const STEP: i64 = 100;

/// Does what follows from every withdrawal for which that is still to be done; answers for how many it failed.
///
/// # Errors
/// When the database fails.
pub async fn settle(app: &App) -> Result<usize, Problem> {
    let (mut failed, mut after) = (0, (Timestamp::from_micros(i64::MIN), Uuid::nil()));
    while !app.signals.is_stopping() {
        let waiting = consents::to_settle(&mut app.db.reader(), after, STEP).await?;
        let Some(last) = waiting.last() else { break };
        after = *last;
        for (_, id) in waiting {
            if let Err(problem) = settle_one(app, id).await {
                failed += 1;
                tracing::error!(consent = %id, %problem, "a withdrawal could not be followed up; it is tried again");
            }
        }
    }
    Ok(failed)
}

/// Does what follows from one withdrawal, unless that was done.
///
/// # Errors
/// When the database fails, or what it rests on does not hold still.
pub(in crate::consents) async fn settle_one(app: &App, id: Uuid) -> Result<(), Problem> {
    until_settled(async || attempt(app, id).await).await
}

async fn attempt(app: &App, id: Uuid) -> Result<(), Problem> {
    let (query, now) = (&mut app.db.reader(), app.now());
    let Some(consent) = consents::find(query, &id.to_string()).await? else { return Ok(()) };
    let uses = uses::of_consent(query, id).await?;
    let (resting, ground) = referrals::resting_on(app, &consent.organisation, &uses, now).await?;
    let settlement = Settlement::prepare(app, &consent, resting, now).await?;
    app.db.write_on(ground, "settle-withdrawal", async move |tx: &mut Tx| settlement.apply(tx).await).await
}

/// Everything that one transaction writes.
struct Settlement {
    consent: Uuid,
    resting: Vec<Resting>,
    asked: Vec<(Confirmation, String)>,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
    now: Timestamp,
}

impl Settlement {
    async fn prepare(app: &App, consent: &Consent, resting: Vec<Resting>, now: Timestamp) -> Result<Self, Problem> {
        let due_at = if resting.is_empty() { now } else { due_at(app, now).await? };
        let (mut asked, mut records, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for one in &resting {
            records.push(seal(app, &destroyed(app, consent, one, now)?)?);
        }
        for (organisation, received) in received(consent, &resting) {
            let confirmation = Confirmation {
                id: app.new_id()?,
                consent: consent.id,
                recorder: consent.organisation.clone(),
                organisation: organisation.clone(),
                subject: consent.subject.clone(),
                received,
                asked_at: now,
                due_at,
                said: None,
            };
            for record in records_of(app, &confirmation, "confirmation-requested", now)? {
                records.push(seal(app, &record)?);
            }
            let news = ConsentNews::ConfirmationRequested { confirmation: confirmation.id, due_at };
            events.push(Event {
                id: app.new_id()?,
                to: organisation.into(),
                happening: Happening::Consent(news),
                time: now,
                // Nothing leads from one organisation that received something to another.
                trace_parent: None,
            });
            let received = serde_json::to_string(&confirmation.received)?;
            asked.push((confirmation, received));
        }
        Ok(Self { consent: consent.id, resting, asked, records, events, now })
    }

    async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !consents::settled(tx, self.consent).await? {
            // Another gateway was faster.
            return Ok(());
        }
        for one in &self.resting {
            referrals::destroy(tx, one, self.now).await?;
        }
        for (confirmation, received) in &self.asked {
            store::insert(tx, confirmation, received.clone());
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

/// What each organisation received under it. Only a consent is what somebody may keep something on (art. 17.1.b AVG): a secrecy release frees who
/// gives, and a care agreement opens no data flow, so nobody has to delete anything because one of them ended.
fn received(consent: &Consent, resting: &[Resting]) -> BTreeMap<Oin, Vec<Received>> {
    let mut all: BTreeMap<Oin, Vec<Received>> = BTreeMap::new();
    if consent.recording.kind != RecordKind::Consent {
        return all;
    }
    for one in resting.iter().filter(|one| !one.handed_over.is_empty()) {
        all.entry(one.receiver.clone()).or_default().push(Received {
            referral: one.part.referral,
            update_id: one.part.update,
            categories: one.handed_over.clone(),
        });
    }
    all
}

/// The end of the term that the covenant in force gives.
async fn due_at(app: &App, now: Timestamp) -> Result<Timestamp, Problem> {
    let days = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine.covenant().deadlines.confirmation_working_days,
        Err(problem) if problem.code() == Code::Refused => CONFIRMATION_WORKING_DAYS,
        Err(problem) => return Err(problem),
    };
    Ok(after_working_days(now, days))
}

fn seal(app: &App, record: &Record) -> Result<SealedRecord, Problem> {
    Ok(SealedRecord::new(record, &app.entropy, &app.sealer)?)
}

/// For who recorded the consent: what is no longer there to be given. For who should have received it, it is as if it had never been.
fn destroyed(app: &App, consent: &Consent, resting: &Resting, now: Timestamp) -> Result<Record, Problem> {
    let recorder = &consent.organisation;
    let subject = Subject::from_stored(consent.subject.clone());
    let mut record = Record::new(app.new_id()?, Kind::Consent, now, recorder.clone());
    record.action = Some("content-destroyed".to_owned());
    record.resource = Some(format!("/v1/consents/{}", consent.id));
    record.consent = Some(consent.id.to_string());
    record.sender = Some(recorder.clone());
    record.recipient = Some(resting.receiver.clone());
    record.referral = Some(resting.part.referral.to_string());
    record.update_id = resting.part.update.map(|update| update.to_string());
    record.subject = Some(app.pseudonyms.for_organisation(&subject, recorder));
    let gone = |category: &str| SectionOutcome {
        category: category.to_owned(),
        effect: Effect::Withhold,
        code: None,
        rules: Vec::new(),
    };
    record.sections = resting.categories.iter().map(|category| gone(category.as_str())).collect();
    Ok(record)
}

/// What happened to a confirmation: for who recorded the consent, and for who received something, each by what it knows.
pub(super) fn records_of(
    app: &App,
    confirmation: &Confirmation,
    action: &str,
    now: Timestamp,
) -> Result<[Record; 2], Problem> {
    let subject = Subject::from_stored(confirmation.subject.clone());
    let of = |organisation: &Oin, consent: Option<Uuid>| {
        let mut record = Record::new(app.new_id()?, Kind::Consent, now, organisation.clone());
        record.action = Some(action.to_owned());
        record.resource = Some(confirmation.path(organisation));
        record.consent = consent.map(|consent| consent.to_string());
        record.sender = Some(confirmation.recorder.clone());
        record.recipient = Some(confirmation.organisation.clone());
        record.subject = Some(app.pseudonyms.for_organisation(&subject, organisation));
        Ok::<_, Problem>(record)
    };
    Ok([of(&confirmation.recorder, Some(confirmation.consent))?, of(&confirmation.organisation, None)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consents::types::Recording;
    use crate::referrals::Part;

    fn resting(referral: u128, receiver: &str, handed_over: bool) -> Resting {
        let categories = vec!["social".parse().unwrap()];
        Resting {
            part: Part { referral: Uuid::from_u128(referral), update: None },
            receiver: receiver.parse().unwrap(),
            handed_over: if handed_over { categories.clone() } else { Vec::new() },
            categories,
        }
    }

    fn consent(kind: &str) -> Consent {
        let recording: Recording = serde_json::from_value(serde_json::json!({
            "kind": kind, "givenBy": "resident", "recipients": [], "purposes": [], "method": "digital",
            "validFrom": "2026-11-01T00:00:00Z", "validUntil": "2027-11-01T00:00:00Z", "obtainedAt": "2026-11-01T00:00:00Z",
        }))
        .unwrap();
        Consent {
            id: Uuid::from_u128(9),
            organisation: "00000099000000004000".parse().unwrap(),
            subject: String::new(),
            recording,
            recorded_at: Timestamp::from_micros(0),
            withdrawal: None,
            version: 1,
        }
    }

    #[test]
    fn who_received_something_is_asked_once_and_who_only_waited_for_it_is_not() {
        let (smow, bank) = ("00000099000000002000", "00000099000000006000");
        let all = [resting(1, smow, true), resting(2, bank, false), resting(3, smow, true)];
        let asked = received(&consent("consent"), &all);
        assert_eq!(asked.keys().map(Oin::as_str).collect::<Vec<_>>(), [smow]);
        assert_eq!(asked.values().next().unwrap().len(), 2);
    }

    #[test]
    fn for_a_release_or_an_agreement_nobody_deletes_anything() {
        let all = [resting(1, "00000099000000002000", true)];
        for kind in ["secrecy-release", "care-agreement"] {
            assert!(received(&consent(kind), &all).is_empty(), "{kind}");
        }
    }
}
