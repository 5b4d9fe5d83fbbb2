//! Composing a report: who may, its record, and everything in its place.
//!
//! Invariant: the record that it was composed is on disk before anybody sees it.

use std::collections::BTreeSet;

use serde_json::json;

use super::flows;
use super::gather::{self, Ask, Found, MOST_LINES};
use super::hidden::Stated;
use super::types::{
    ConfirmationLine, EmergencyLine, Flow, IncidentLine, Involved, Kept, KeptCategory, Known, ObjectionLine,
    RecordingLine, Report, ReportScope, RestrictionLine, Wanted, Withdrawn,
};
use super::words;
use crate::audit::{self, Kind, SealedRecord};
use crate::clock::Timestamp;
use crate::consents::{Confirmation, Consent};
use crate::covenant;
use crate::emergencies::EmergencyAccess;
use crate::http::Call;
use crate::ids::Oin;
use crate::incidents::Incident;
use crate::lifecycle::Day;
use crate::organisations::Role;
use crate::problem::{Code, Problem};
use crate::rights::{objections, restrictions};
use crate::storage::{Ground, Tx};
use crate::subjects::{self, Subject, SubjectReference};

/// The report that the caller asks for.
///
/// # Errors
/// 400 with everything that is wrong, and when there is more than one report holds; 403 for who may not compose it or name the resident so.
pub(super) async fn compose(call: &Call, reference: &SubjectReference, wanted: &Wanted) -> Result<Report, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let reader = call.caller()?.organisation.clone();
    let mut mistakes = wanted.mistakes();
    mistakes.extend(reference.mistakes(Day::of(now)));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    if wanted.scope == ReportScope::Full {
        check_officer(call, now).await?;
    }
    let (rights, covenant) = subjects::check_rights(call, reference).await?;
    // To whom a match leads is not kept: nothing is recorded of anybody here.
    let named = subjects::find(call, reference, rights).await?;
    let ask = Ask { reader: &reader, subject: &named.subject, scope: wanted.scope, period: wanted.period };
    let found = gather::gather(app, &ask, now).await?;
    let version = found.texts.in_force.covenant().version.clone();
    let record = record(call, wanted, &named.subject, version, now)?;
    let report = put_together(call, &reader, wanted, &named.subject, found, now)?;
    let mut ground = Ground::default();
    ground.rest_on(&covenant);
    named.add_to(&mut ground);
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &record);
        Ok::<_, Problem>(())
    };
    app.db.write_on(ground, "access-report", write).await?;
    Ok(report)
}

/// Only the privacy officer of the covenant's municipality sees what all parties gave.
async fn check_officer(call: &Call, now: Timestamp) -> Result<(), Problem> {
    let municipality = call.app.covenants.municipality(&mut call.app.db.reader(), now).await?;
    let officer = municipality.map(|municipality| Role::PrivacyOfficer.client_id(&municipality));
    if officer.as_ref() == Some(&call.caller()?.client_id) {
        return Ok(());
    }
    let detail = "the full report is composed by the privacy officer of the covenant's municipality; scope own gives your organisation's flows";
    Err(Problem::new(Code::Forbidden, detail))
}

/// The record of who composed it: about whom, for whom, of what; not what is in it.
fn record(
    call: &Call,
    wanted: &Wanted,
    subject: &Subject,
    version: String,
    now: Timestamp,
) -> Result<SealedRecord, Problem> {
    let (app, reader) = (&call.app, &call.caller()?.organisation);
    let mut record = call.record(Kind::AccessReport, reader.clone(), now)?;
    let action = match wanted.scope {
        ReportScope::Own => "composed-own",
        ReportScope::Full => "composed-full",
    };
    record.action = Some(action.to_owned());
    record.resource = Some("/v1/access-reports".to_owned());
    record.covenant_version = Some(version);
    record.subject = Some(app.pseudonyms.for_organisation(subject, reader));
    record.facts = Some(json!({
        "identification": wanted.identification,
        "requestedBy": wanted.requested_by,
        "representativeKind": wanted.representative_kind,
        "period": wanted.period,
    }));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}

fn put_together(
    call: &Call,
    reader: &Oin,
    wanted: &Wanted,
    subject: &Subject,
    found: Found,
    now: Timestamp,
) -> Result<Report, Problem> {
    let Found { entries, erasures, standings, mut stated, uses, hidden, asked, incidents, names, texts } = found;
    let mut flows = flows::flows(wanted.scope, reader, entries, erasures, &standings, &texts);
    hidden.take_out(&mut stated, &mut flows, &uses, &standings);
    let Stated { recordings, confirmations, declarations } = stated;
    let lines = [flows.len(), recordings.len(), confirmations.len(), declarations.len(), incidents.len()];
    if lines.into_iter().any(|lines| lines > MOST_LINES) {
        return Err(gather::too_much());
    }
    let covenant = texts.in_force.covenant();
    let mut report = Report {
        scope: wanted.scope,
        composed_by: reader.clone(),
        composed_at: now,
        subject: Known { pseudonym: call.app.pseudonyms.for_organisation(subject, reader) },
        identification: wanted.identification,
        requested_by: wanted.requested_by,
        representative_kind: wanted.representative_kind,
        period: wanted.period,
        flows,
        recordings: recordings.iter().map(|consent| recorded(consent, &texts, now)).collect(),
        confirmations: confirmations.iter().map(|one| confirmed(one, now)).collect(),
        emergency_accesses: declarations.iter().map(|one| declared(one, &texts, now)).collect(),
        objections: asked.objections.into_iter().map(|one| objected(one, &texts)).collect(),
        restrictions: asked.restrictions.into_iter().map(restricted).collect(),
        incidents: incidents.into_iter().map(opened).collect(),
        parties: Vec::new(),
        contact_point: covenant.register.contact_point.clone(),
        retention_days: kept(&texts),
        statements: words::statements(wanted.scope),
        rights: words::rights(),
        covenant_version: covenant.version.clone(),
    };
    report.parties = report.involved().into_iter().map(|oin| party(oin, &texts, names.get(oin))).collect();
    Ok(report)
}

fn objected(one: objections::Reported, texts: &flows::Texts) -> ObjectionLine {
    let objections::Reported { organisation, purposes, obtained_at, recorded_at, status, ended_at } = one;
    let purposes = purposes.map(|purposes| purposes.iter().map(|code| texts.purpose(None, code.as_str())).collect());
    ObjectionLine { recorded_by: organisation, obtained_at, recorded_at, purposes, status, ended_at }
}

fn restricted(one: restrictions::Reported) -> RestrictionLine {
    let restrictions::Reported { organisation, ground, recorded_at, ended_at } = one;
    RestrictionLine { recorded_by: organisation, ground, recorded_at, ended_at }
}

fn opened(incident: Incident) -> IncidentLine {
    let Incident { referral, kind, opened_at, reported_by, sender, recipient, .. } = incident;
    IncidentLine { referral, kind, opened_at, opened_by: reported_by, sender, recipient }
}

fn kept(texts: &flows::Texts) -> Kept {
    let covenant::Retention { content, categories, referral, consent, event, audit } =
        &texts.in_force.covenant().retention;
    let own = categories
        .iter()
        .map(|(category, days)| KeptCategory { category: texts.category(None, category.as_str()), days: *days });
    Kept {
        content: *content,
        categories: own.collect(),
        referral: *referral,
        consent: *consent,
        event: *event,
        audit: *audit,
    }
}

fn recorded(consent: &Consent, texts: &flows::Texts, now: Timestamp) -> RecordingLine {
    let recording = &consent.recording;
    RecordingLine {
        kind: recording.kind,
        status: consent.status(now).to_owned(),
        recorded_by: consent.organisation.clone(),
        recorded_at: consent.recorded_at,
        given_by: recording.given_by,
        representative_kind: recording.representative_kind,
        explicit: recording.explicit,
        recipients: recording.recipients.clone(),
        purposes: recording.purposes.iter().map(|code| texts.purpose(None, code.as_str())).collect(),
        categories: recording.categories.iter().map(|code| texts.category(None, code.as_str())).collect(),
        valid_from: recording.valid_from,
        valid_until: recording.valid_until,
        obtained_at: recording.obtained_at,
        method: recording.method,
        withdrawal: consent.withdrawal.as_ref().map(|withdrawal| Withdrawn {
            at: withdrawal.at,
            reason: withdrawal.reason,
            reported_by: withdrawal.report.as_ref().map(|report| report.by.clone()),
        }),
    }
}

fn confirmed(one: &Confirmation, now: Timestamp) -> ConfirmationLine {
    let said = one.said.as_ref();
    ConfirmationLine {
        giver: one.recorder.clone(),
        organisation: one.organisation.clone(),
        asked_at: one.asked_at,
        status: one.status(now),
        confirmed_at: said.map(|(_, at)| *at),
        legal_basis: said.and_then(|(said, _)| said.legal_basis.clone()),
        retention: said.and_then(|(said, _)| said.retention_law),
    }
}

fn declared(access: &EmergencyAccess, texts: &flows::Texts, now: Timestamp) -> EmergencyLine {
    let version = Some(access.covenant_version.as_str());
    EmergencyLine {
        declared_by: access.organisation.clone(),
        recipient: access.recipient.clone(),
        reason: access.reason,
        cannot_consent: access.cannot_consent,
        categories: access.categories.iter().map(|code| texts.category(version, code.as_str())).collect(),
        declared_at: access.declared_at,
        valid_until: access.valid_until,
        notification: access.duty_status(now),
        conclusion: access.review.concluded.as_ref().map(|concluded| concluded.conclusion),
    }
}

/// Who it is and where one turns to: as the covenant in force says, or an earlier one that the party was in, or the directory.
fn party(oin: &Oin, texts: &flows::Texts, name: Option<&String>) -> Involved {
    let engines = [&texts.in_force].into_iter().chain(texts.versions.values().rev());
    let party = engines.into_iter().find_map(|engine| engine.covenant().party_by_oin(oin));
    Involved {
        organisation: oin.clone(),
        name: party.map(|party| party.name.clone()).or_else(|| name.cloned()).unwrap_or_else(|| oin.to_string()),
        complaints: party.map(|party| party.complaints.clone()),
        contact: party.and_then(|party| party.contact.clone()),
        data_protection_officer: party.and_then(|party| party.data_protection_officer.clone()),
    }
}

impl Report {
    /// Everybody whom it names.
    fn involved(&self) -> BTreeSet<&Oin> {
        let mut involved = BTreeSet::from([&self.composed_by]);
        involved.extend(self.flows.iter().flat_map(|Flow { giver, receiver, .. }| [giver, receiver]));
        for recorded in &self.recordings {
            involved.insert(&recorded.recorded_by);
            involved.extend(&recorded.recipients);
            involved.extend(recorded.withdrawal.as_ref().and_then(|withdrawal| withdrawal.reported_by.as_ref()));
        }
        involved.extend(self.confirmations.iter().flat_map(|one| [&one.giver, &one.organisation]));
        involved.extend(self.emergency_accesses.iter().flat_map(|one| [&one.declared_by, &one.recipient]));
        involved.extend(self.objections.iter().map(|one| &one.recorded_by));
        involved.extend(self.restrictions.iter().map(|one| &one.recorded_by));
        involved.extend(self.incidents.iter().flat_map(|one| [&one.sender, &one.recipient]));
        involved
    }

    /// The name of a party that it names.
    #[must_use]
    pub(super) fn name<'a>(&'a self, oin: &'a Oin) -> &'a str {
        let party = self.parties.iter().find(|party| party.organisation == *oin);
        party.map_or(oin.as_str(), |party| party.name.as_str())
    }

    /// How long content is kept, and so on, as lines.
    #[must_use]
    pub(super) fn kept(&self) -> Vec<(String, u32)> {
        let Kept { content, categories, referral, consent, event: _, audit } = &self.retention_days;
        let own = categories.iter().map(|KeptCategory { category, days }| {
            (format!("De inhoud van een verwijzing, {}, nadat zij is geëindigd", category.label.nl), *days)
        });
        let general = if categories.is_empty() { "De inhoud" } else { "De overige inhoud" };
        let rest = [
            (format!("{general} van een verwijzing, nadat zij is geëindigd"), *content),
            ("De verwijzing zonder inhoud, nadat zij en haar casus zijn geëindigd".to_owned(), *referral),
            ("Een toestemming, ontheffing of instemming, nadat die is geëindigd".to_owned(), *consent),
            ("Wat in het logboek naar een persoon kan leiden, nadat het is vastgelegd".to_owned(), *audit),
        ];
        own.chain(rest).collect()
    }
}
