//! The trace that every step leaves: its row, the audit records of those whom it concerns, and their events.
//!
//! Invariant: what reaches the other party names what it received and nothing else; who is no party is told of a hand-over only by
//! an id of its own.

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{self, Sight};
use super::decide::Decided;
use super::types::{Party, Referral, Update};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::referral::{Command, Happened, Operation, Role as Part};
use crate::organisations::Role;
use crate::policy::OnWithheld;
use crate::problem::Problem;
use crate::relay::{Addressee, Event, Happening};
use crate::subjects::Subject;
use crate::vetoes;

/// The row of a step that has moved `referral` to where it stands now.
pub(super) fn update(id: Uuid, referral: &Referral, organisation: Oin, command: Command) -> Update {
    let (reason, outcome) = match command {
        Command::Update { reason, outcome, .. } => (reason, outcome),
        Command::AskCancellation(reason) | Command::RefuseCancellation(reason) => (Some(reason), None),
        Command::Resolve(outcome) => (None, Some(outcome)),
        _ => (None, None),
    };
    Update {
        id,
        referral: referral.id,
        version: referral.version,
        organisation,
        operation: command.operation(),
        status: referral.state.status,
        reason,
        outcome,
        right_organisation: None,
        taken_at: referral.updated_at,
        holder: referral.holder.clone(),
        due_at: referral.due_at(),
        categories: Vec::new(),
        decision: None::<Value>,
    }
}

/// The record of who took the step, and those of the other parties with what reached them.
pub(super) fn records(
    call: &Call,
    referral: &Referral,
    taker: Option<Party>,
    update: &Update,
    decided: &Decided,
    on_withheld: OnWithheld,
    (refused, veto): (bool, Option<Uuid>),
) -> Result<Vec<SealedRecord>, Problem> {
    let app = &call.app;
    let seal = |record: &audit::Record| Ok::<_, Problem>(SealedRecord::new(record, &app.entropy, &app.sealer)?);
    let mut record = match taker {
        Some(_) => decided.record(call, audit::Kind::StatusUpdate, on_withheld)?,
        None => record_of_outsider(call, referral, update)?,
    };
    describe(&mut record, referral, update);
    record.subject = taker.map(|taker| pseudonym(app, referral, referral.party(taker)));
    record.update_id = record.update_id.filter(|_| !refused);
    if let (Some(veto), Some(Value::Object(facts))) = (veto, &mut record.facts) {
        // Where nobody but the sender reads it; every other field is that of anything that is called off.
        facts.insert(vetoes::MARK.to_owned(), json!(veto));
    }
    record.outcome =
        if refused { Some(audit::Outcome::Refused) } else { record.outcome.filter(|_| !record.sections.is_empty()) };
    let mut sealed = vec![seal(&record)?];
    if refused {
        return Ok(sealed);
    }
    for receiver in [Party::Sender, Party::Recipient].into_iter().filter(|party| Some(*party) != taker) {
        let organisation = referral.party(receiver).clone();
        let theirs = Some(pseudonym(app, referral, &organisation));
        let sees_reason = access::sight_of(referral, &organisation, decided.municipality.as_ref()) == Sight::Whole;
        let with_sections = taker
            .map(|_| Ok::<_, Problem>(record.for_recipient(app.new_id()?, organisation.clone(), theirs.clone())))
            .transpose()?
            .flatten();
        let mut received = if let Some(received) = with_sections {
            received
        } else {
            let mut received = call.record(audit::Kind::StatusUpdate, organisation, update.taken_at)?;
            received.client_id = None;
            received.request_id = None;
            received.sender.clone_from(&record.sender);
            received.recipient.clone_from(&record.recipient);
            received.purpose.clone_from(&record.purpose);
            received.phase.clone_from(&record.phase);
            received.legal_basis.clone_from(&record.legal_basis);
            received.processing_activity.clone_from(&record.processing_activity);
            received.covenant_version.clone_from(&record.covenant_version);
            received.policy_digest.clone_from(&record.policy_digest);
            describe(&mut received, referral, update);
            received.subject = theirs;
            received
        };
        received.status_reason = record.status_reason.clone().filter(|_| sees_reason);
        sealed.push(seal(&received)?);
    }
    Ok(sealed)
}

/// The records of what the gateway itself noted, for both parties.
pub(super) fn gateway_records(app: &App, referral: &Referral, update: &Update) -> Result<Vec<SealedRecord>, Problem> {
    let parties = [Party::Sender, Party::Recipient];
    parties.into_iter().map(|party| bare_record(app, referral, update, party, None)).collect()
}

/// The records of a step that follows on with another referral: for both parties, and for who took it where that is neither.
pub(super) fn onward_records(
    call: &Call,
    referral: &Referral,
    taker: Option<Party>,
    update: &Update,
) -> Result<Vec<SealedRecord>, Problem> {
    let app = &call.app;
    let own = |organisation: Oin| call.record(audit::Kind::StatusUpdate, organisation, update.taken_at);
    let mut records = Vec::new();
    for party in [Party::Sender, Party::Recipient] {
        let own = (Some(party) == taker).then(|| own(referral.party(party).clone())).transpose()?;
        records.push(bare_record(app, referral, update, party, own)?);
    }
    if taker.is_none() {
        records.push(SealedRecord::new(&record_of_outsider(call, referral, update)?, &app.entropy, &app.sealer)?);
    }
    Ok(records)
}

/// The record of a step without sections for one party; `own` where it took the step itself.
fn bare_record(
    app: &App,
    referral: &Referral,
    update: &Update,
    party: Party,
    own: Option<audit::Record>,
) -> Result<SealedRecord, Problem> {
    let party = referral.party(party);
    let record = || Ok(audit::Record::new(app.new_id()?, audit::Kind::StatusUpdate, update.taken_at, party.clone()));
    let mut record = own.map_or_else(record, Ok::<_, Problem>)?;
    describe(&mut record, referral, update);
    record.sender = Some(referral.terms.sender.clone());
    record.recipient = Some(referral.terms.recipient.clone());
    record.subject = Some(pseudonym(app, referral, party));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}

/// The record of a step for who took it and is no party: of the referral it has the route and nothing else.
fn record_of_outsider(call: &Call, referral: &Referral, update: &Update) -> Result<audit::Record, Problem> {
    let mut record = call.record(audit::Kind::StatusUpdate, update.organisation.clone(), update.taken_at)?;
    record.sender = Some(referral.terms.sender.clone());
    record.recipient = Some(referral.terms.recipient.clone());
    describe(&mut record, referral, update);
    Ok(record)
}

fn describe(record: &mut audit::Record, referral: &Referral, update: &Update) {
    if update.operation != Operation::Updates {
        record.action = Some(update.operation.as_str().to_owned());
    }
    record.status = Some(update.status.as_str().to_owned());
    record.status_reason = update.reason.map(|reason| reason.as_str().to_owned());
    record.referral = Some(referral.id.to_string());
    record.update_id = Some(update.id.to_string());
}

fn pseudonym(app: &App, referral: &Referral, organisation: &Oin) -> String {
    app.pseudonyms.for_organisation(&Subject::from_stored(referral.subject.clone()), organisation)
}

/// What the parties that did not take the step are told of it, and who held it before or holds it now without being a party.
pub(super) fn events(
    app: &App,
    referral: &Referral,
    former_holder: Option<&Oin>,
    taker: Option<Party>,
    update: &Update,
    trace_parent: Option<&String>,
) -> Result<Vec<Event>, Problem> {
    let others = [Party::Sender, Party::Recipient].into_iter().filter(|party| Some(*party) != taker);
    let mut told: Vec<Oin> = others.map(|party| referral.party(party).clone()).collect();
    let outsiders = referral.holder.iter().chain(former_holder).filter(|holder| referral.party_of(holder).is_none());
    told.extend(outsiders.cloned());
    told.dedup();
    told.retain(|organisation| *organisation != update.organisation);
    let event = |organisation: Oin| {
        // Whoever only held it before has nothing to do with it any more.
        let visible = referral.party_of(&organisation).is_some() || referral.holder.as_ref() == Some(&organisation);
        Ok(Event {
            id: app.new_id()?,
            to: Addressee::from(organisation),
            happening: Happening::ReferralStatusUpdated {
                referral: referral.id,
                update: update.id,
                status: update.status.as_str().to_owned(),
                operation: update.operation.as_str(),
                visible,
            },
            time: update.taken_at,
            trace_parent: trace_parent.cloned(),
        })
    };
    told.into_iter().map(event).collect()
}

/// What both parties and the municipality are told of a deadline that passed, and its privacy officer where it was the municipality's. `records` are
/// those that are written with it.
pub(super) fn clock_events(
    app: &App,
    referral: &Referral,
    happened: &[Happened],
    municipality: Option<&Oin>,
    records: &[SealedRecord],
    now: Timestamp,
) -> Result<Vec<Event>, Problem> {
    let mut events = Vec::new();
    let mut tell = |to: Addressee, happening| {
        events.push(Event { id: app.new_id()?, to, happening, time: now, trace_parent: None });
        Ok::<_, Problem>(())
    };
    for happened in happened {
        match *happened {
            Happened::Overdue { holder, missed } => {
                for party in [&referral.terms.sender, &referral.terms.recipient] {
                    let due_at = referral.due_at();
                    let overdue = Happening::ReferralOverdue { referral: referral.id, missed, due_at };
                    tell(party.clone().into(), overdue)?;
                }
                if let Some(municipality) = municipality {
                    // Another id than in the list of what is overdue, which tells no time: an event has one. And another one for each deadline:
                    // the time between two of them would tell the purpose and the priority, by the terms of the covenant.
                    let place = format!("handoff-event/{}", referral.version);
                    let handoff = app.pseudonyms.alias(&place, referral.id, municipality);
                    tell(municipality.clone().into(), Happening::HandoffOverdue { handoff, missed })?;
                    let late = match holder {
                        Part::Sender => &referral.terms.sender,
                        Part::Recipient => &referral.terms.recipient,
                        Part::Municipality | Part::Coordinator | Part::Gateway => municipality,
                    };
                    if late == municipality {
                        let record = records.first().map(SealedRecord::id);
                        let record = record.ok_or_else(|| Problem::internal("a deadline passed without a record"))?;
                        let officer = Addressee::role(municipality.clone(), Role::PrivacyOfficer);
                        tell(officer, Happening::HandoffOverdueAtMunicipality { handoff, record })?;
                    }
                }
            }
            Happened::MunicipalityOverdue
            | Happened::StepUpProposed
            | Happened::Holder { .. }
            | Happened::Step(_)
            | Happened::Reopened => {}
        }
    }
    Ok(events)
}
