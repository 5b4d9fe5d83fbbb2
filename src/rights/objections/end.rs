//! Ending an objection that the resident takes back: what it stopped goes on from the commit on.

use serde_json::json;

use super::types::{EndingCreation, Objection};
use super::{http, store};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem, until_settled};
use crate::relay::{self, RightsNews};
use crate::rights::{officer, trace};
use crate::storage::{Ground, Tx, revisions};

/// `POST /v1/objections/{id}/endings`
///
/// # Errors
/// 400, 404 for every other organisation, 409 when it was overridden, or taken back already.
pub async fn end(call: Call) -> Result<Answer, Problem> {
    until_settled(async || {
        let objection = http::own(&call).await?;
        if let Some(answer) = idempotency::earlier(&call).await? {
            return Ok(answer);
        }
        match attempt(&call, objection).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(&call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt(call: &Call, mut objection: Objection) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let wanted: EndingCreation = call.json()?;
    let ended = wanted.checked(&objection, now).map_err(Problem::invalid)?;
    if !objection.stands() {
        return Err(Problem::new(
            Code::Conflict,
            "it does not stand any more: it was overridden, or taken back already",
        ));
    }
    call.check_if_match(objection.version)?;
    let before = objection.clone();
    (objection.ended, objection.version) = (Some(ended), objection.version + 1);
    let facts = json!({ "reason": ended.reason, "takenBackAt": ended.taken_back_at, "method": ended.method });
    let record = trace::record(call, http::about(&objection, "objection-ended", Some(facts)), now)?;
    // Who weighs it, or found that the resident is right, hears that the party says so.
    let officer = officer::of(app, &mut app.db.reader(), &objection.organisation, now).await?;
    let event = trace::event(app, RightsNews::ObjectionTakenBack { objection: objection.id }, officer, now)?;
    let view = http::view(app, &objection, now);
    let (location, key) = (format!("/v1/objections/{}", objection.id), revisions::subject(&objection.subject));
    idempotency::once(call, "end-objection", Ground::raising(key.clone()), async move |tx: &mut Tx| {
        if !store::end(tx, &before, &ended).await? {
            return Err(Problem::stale());
        }
        // What was refused because of it is decided again.
        revisions::bump(tx, &key);
        audit::write(tx, &record);
        relay::enqueue(tx, &event);
        Ok(Answer::created(location.clone(), &view)?.etag(objection.version))
    })
    .await
}
