//! The trace that a correction leaves: the audit records of both parties, and the event to who had what was wrong.
//!
//! Invariants: a receiver's record and event are there only if it had the section, and do not tell whether something was to replace
//! it; nothing of them leads from one copy to another, not even the trace of the request.

use super::reach::Place;
use super::types::{Correction, CorrectionEffect};
use crate::app::App;
use crate::audit::{self, Effect, Kind, Record, SealedRecord, SectionOutcome, TraceContext};
use crate::http::Call;
use crate::ids::Oin;
use crate::policy::OnWithheld;
use crate::problem::Problem;
use crate::referrals::decide::Decided;
use crate::relay::{Event, Happening};
use crate::subjects::Subject;

/// The records of the giver, and those of the receiver with what it had.
pub(super) fn records(
    call: &Call,
    place: &Place,
    correction: &Correction,
    decided: Option<&Decided>,
    is_here: bool,
) -> Result<Vec<SealedRecord>, Problem> {
    let app = &call.app;
    let mut records = Vec::new();
    if let Some(decided) = decided {
        let mut record = decided.record(call, Kind::Correction, OnWithheld::Minimise)?;
        describe(app, &mut record, place, correction, "corrected");
        records.extend(received(app, &record, place, correction, (true, is_here))?);
        records.push(record);
    }
    let gone = |effect| effect != CorrectionEffect::Replaced;
    let retracted: Vec<SectionOutcome> = correction
        .sections
        .iter()
        .filter(|section| gone(section.effect))
        .map(|s| withheld(s.category.as_str()))
        .collect();
    if !retracted.is_empty() {
        let mut record = call.record(Kind::Correction, place.giver().clone(), correction.corrected_at)?;
        let terms = &place.referral.terms;
        record.sender = Some(place.giver().clone());
        record.recipient = Some(place.receiver().clone());
        record.purpose = Some(terms.purpose.to_string());
        record.phase = Some(terms.phase.to_string());
        record.legal_basis = Some(terms.basis.to_string());
        record.sections = retracted;
        describe(app, &mut record, place, correction, "retracted");
        records.extend(received(app, &record, place, correction, (false, is_here))?);
        records.push(record);
    }
    let seal = |record: &Record| Ok(SealedRecord::new(record, &app.entropy, &app.sealer)?);
    records.iter().map(seal).collect()
}

/// From now on it is not given; that rests on no rule of the covenant.
fn withheld(category: &str) -> SectionOutcome {
    SectionOutcome { category: category.to_owned(), effect: Effect::Withhold, code: None, rules: Vec::new() }
}

fn describe(app: &App, record: &mut Record, place: &Place, correction: &Correction, action: &str) {
    record.action = Some(action.to_owned());
    record.resource = Some(correction.path());
    record.referral = Some(correction.part.referral.to_string());
    record.update_id = correction.part.update.map(|update| update.to_string());
    record.status_reason = Some(correction.reason.as_str().to_owned());
    record.subject = Some(pseudonym(app, place, place.giver()));
}

fn pseudonym(app: &App, place: &Place, organisation: &Oin) -> String {
    app.pseudonyms.for_organisation(&Subject::from_stored(place.referral.subject.clone()), organisation)
}

/// The receiver's record that belongs to the giver's: of the sections that it had, those that were replaced or those that were not.
fn received(
    app: &App,
    record: &Record,
    place: &Place,
    correction: &Correction,
    (replaced, is_here): (bool, bool),
) -> Result<Option<Record>, Problem> {
    let concerns = |outcome: &&SectionOutcome| {
        correction.sections.iter().any(|section| {
            section.told
                && section.category.as_str() == outcome.category
                && (section.effect == CorrectionEffect::Replaced) == replaced
        })
    };
    let sections: Vec<SectionOutcome> = record.sections.iter().filter(concerns).cloned().collect();
    if sections.is_empty() {
        return Ok(None);
    }
    Ok(Some(Record {
        id: app.new_id()?,
        organisation: place.receiver().clone(),
        client_id: None,
        request_id: None,
        trace: TraceContext { trace_id: record.trace.trace_id.clone().filter(|_| is_here), ..TraceContext::default() },
        outcome: replaced.then_some(audit::Outcome::Permitted),
        sections,
        consent_ids: Vec::new(),
        subject: Some(pseudonym(app, place, place.receiver())),
        facts: None,
        ..record.clone()
    }))
}

/// What the receiver is told; nothing where it had nothing of it.
pub(super) fn event(
    call: &Call,
    place: &Place,
    correction: &Correction,
    is_here: bool,
) -> Result<Option<Event>, Problem> {
    if !correction.is_told() {
        return Ok(None);
    }
    Ok(Some(Event {
        id: call.app.new_id()?,
        to: place.receiver().clone().into(),
        happening: Happening::ReferralCorrected { referral: correction.part.referral, correction: correction.id },
        time: correction.corrected_at,
        trace_parent: Some(call.trace.traceparent()).filter(|_| is_here),
    }))
}
