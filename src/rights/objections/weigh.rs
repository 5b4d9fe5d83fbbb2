//! Weighing an objection, and extending the term for it: by the officer of the party that recorded it, once each.

use serde_json::json;

use super::record::DAY;
use super::types::{ExtensionCreation, Objection, WeighingCreation};
use super::{http, store};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem, until_settled};
use crate::relay::{self, RightsNews};
use crate::rights::{officer, trace};
use crate::storage::{Ground, Tx, revisions};

/// `POST /v1/objections/{id}/extensions`
///
/// # Errors
/// 400, 403 for who does not weigh it, 404 for every other organisation, 409 when it was extended, weighed or taken back, or its term is over.
pub async fn extend(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_extend).await
}

/// `POST /v1/objections/{id}/weighings`
///
/// # Errors
/// 400 with everything that is wrong, 403 for who does not weigh it, 404 for every other organisation, 409 when it was weighed or taken
/// back.
pub async fn weigh(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_weigh).await
}

/// Runs `attempt` until nobody else has changed the objection meanwhile. A repeat gets the first answer, as long as it is the caller's to give.
async fn settle(
    call: &Call,
    attempt: impl AsyncFn(&Call, Objection) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    until_settled(async || {
        let objection = http::own(call).await?;
        officer::check(call).await?;
        if let Some(answer) = idempotency::earlier(call).await? {
            return Ok(answer);
        }
        match attempt(call, objection).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt_extend(call: &Call, mut objection: Objection) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let wanted: ExtensionCreation = call.json()?;
    let extension = wanted.checked(&objection, now).map_err(Problem::invalid)?;
    if !objection.is_open() || objection.extension.is_some() || objection.due_at <= now {
        let detail = "a term is extended once, before it is over and before the objection is weighed or taken back";
        return Err(Problem::new(Code::Conflict, detail));
    }
    call.check_if_match(objection.version)?;
    let engine = app.covenants.in_force(&mut app.db.reader(), now).await?;
    let before = objection.clone();
    objection.due_at = objection.due_at.plus(DAY * engine.covenant().rights.extension_days);
    (objection.extension, objection.version) = (Some(extension), objection.version + 1);
    let facts = json!({ "reason": extension.reason, "informedAt": extension.informed_at, "dueAt": objection.due_at });
    let record = trace::record(call, http::about(&objection, "objection-extended", Some(facts)), now)?;
    let view = http::view(app, &objection, now);
    let location = format!("/v1/objections/{}", objection.id);
    idempotency::once(call, "extend-objection", Ground::default(), async move |tx: &mut Tx| {
        if !store::extend(tx, &before, &extension, objection.due_at).await? {
            return Err(Problem::stale());
        }
        audit::write(tx, &record);
        Ok(Answer::created(location.clone(), &view)?.etag(objection.version))
    })
    .await
}

async fn attempt_weigh(call: &Call, mut objection: Objection) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let wanted: WeighingCreation = call.json()?;
    let weighed = wanted.checked(&objection, now).map_err(Problem::invalid)?;
    if !objection.is_open() {
        return Err(Problem::new(Code::Conflict, "it was weighed already, or the resident took it back"));
    }
    call.check_if_match(objection.version)?;
    let before = objection.clone();
    (objection.weighed, objection.version) = (Some(weighed), objection.version + 1);
    let facts = json!({
        "outcome": weighed.outcome, "ground": weighed.ground, "informedAt": weighed.told.at, "method": weighed.told.method,
    });
    let record = trace::record(call, http::about(&objection, "objection-weighed", Some(facts)), now)?;
    let news = RightsNews::ObjectionWeighed { objection: objection.id };
    let event = trace::event(app, news, objection.organisation.clone(), now)?;
    let view = http::view(app, &objection, now);
    let (location, key) = (format!("/v1/objections/{}", objection.id), revisions::subject(&objection.subject));
    idempotency::once(call, "weigh-objection", Ground::raising(key.clone()), async move |tx: &mut Tx| {
        if !store::weigh(tx, &before, &weighed).await? {
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
