//! What a party says of an incident: how it assesses it, and that what it received is deleted.

use serde_json::json;
use uuid::Uuid;

use super::types::{AssessmentCreation, ConfirmationCreation, Duty, Incident};
use super::{store, trace, view};
use crate::audit::{self, SealedRecord};
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem, until_settled};
use crate::relay::{self, Event, IncidentNews};
use crate::storage::{Ground, Tx};

/// `POST /v1/incidents/{id}/assessments`
///
/// # Errors
/// 400 with everything that is wrong, 404 for everyone but its parties, 409 for what would take back a notification.
pub async fn assess(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_assess).await
}

/// `POST /v1/incidents/{id}/confirmations`
///
/// # Errors
/// 404 for everyone but its parties, 409 for who has nothing to delete, or said so already.
pub async fn confirm(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_confirm).await
}

/// The incident that the path names, for its parties.
///
/// # Errors
/// 404 for everybody else.
pub(super) async fn own(call: &Call) -> Result<(Incident, Duty), Problem> {
    let (id, caller) = (call.path::<Uuid>("id")?, &call.caller()?.organisation);
    store::find(&mut call.app.db.reader(), id, caller).await?.ok_or_else(Problem::not_found)
}

/// Runs `attempt` until nobody else has changed it meanwhile. A repeat gets the first answer.
async fn settle(
    call: &Call,
    attempt: impl AsyncFn(&Call, Incident, Duty) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    until_settled(async || {
        let (incident, duty) = own(call).await?;
        if let Some(answer) = idempotency::earlier(call).await? {
            return Ok(answer);
        }
        match attempt(call, incident, duty).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt_assess(call: &Call, incident: Incident, mut duty: Duty) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let wanted: AssessmentCreation = call.json()?;
    let assessment = wanted.checked(app.new_id()?, &duty, now).map_err(Problem::invalid)?;
    if !duty.may_be_assessed(assessment.outcome) {
        let detail = "it was notified to the supervisory authority: what is known since is another notified assessment";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let from_version = duty.version;
    duty.version += 1;
    duty.assessment = Some(assessment.outcome);
    let body = view::assessment(&assessment);
    let mut record = trace::record(app, &incident, &duty.organisation, ("assessed", Some(body.clone())), now)?;
    trace::asked(call, &mut record)?;
    let record = trace::sealed(app, &record)?;
    idempotency::once(call, "assess-incident", Ground::default(), async move |tx: &mut Tx| {
        if !store::advance(tx, incident.id, &duty, from_version).await? {
            return Err(Problem::stale());
        }
        store::insert_assessment(tx, incident.id, &duty, &assessment).await?;
        audit::write(tx, &record);
        Ok(Answer::created(format!("/v1/incidents/{}/assessments", incident.id), &body)?.etag(duty.version))
    })
    .await
}

async fn attempt_confirm(call: &Call, incident: Incident, mut duty: Duty) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let ConfirmationCreation { passed_on } = call.json()?;
    let refused = |detail| Err(Problem::new(Code::Conflict, detail));
    let Some(deletion) = duty.deletion.as_mut() else { return refused("your organisation has nothing to delete here") };
    if deletion.confirmed.is_some() {
        return refused("that it is deleted was confirmed already");
    }
    deletion.confirmed = Some((now, passed_on));
    let from_version = duty.version;
    duty.version += 1;
    let other = incident.other(&duty.organisation).clone();
    let facts = json!({ "organisation": duty.organisation, "passedOn": passed_on });
    let mut records: Vec<SealedRecord> = Vec::new();
    for owner in [&duty.organisation, &other] {
        let mut record = trace::record(app, &incident, owner, ("confirmed-deleted", Some(facts.clone())), now)?;
        trace::asked(call, &mut record)?;
        records.push(trace::sealed(app, &record)?);
    }
    let municipality = app.covenants.municipality(&mut app.db.reader(), now).await?;
    let news = IncidentNews::DeletionConfirmed;
    let events: Vec<Event> = trace::tell(app, &incident, news, [&other], municipality.as_ref(), now)?;
    let body = view::deletion(&duty, now);
    idempotency::once(call, "confirm-incident", Ground::default(), async move |tx: &mut Tx| {
        if !store::advance(tx, incident.id, &duty, from_version).await? {
            return Err(Problem::stale());
        }
        for record in &records {
            audit::write(tx, record);
        }
        for event in &events {
            relay::enqueue(tx, event);
        }
        Ok(Answer::created(format!("/v1/incidents/{}/confirmations", incident.id), &body)?.etag(duty.version))
    })
    .await
}
