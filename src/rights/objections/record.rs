//! Recording an objection: from its commit on what its party gives and gets on a public task stops.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::types::{Objection, Recording};
use super::{http, store};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::lifecycle::Day;
use crate::problem::{Problem, until_settled};
use crate::relay::{self, RightsNews};
use crate::rights::{officer, trace};
use crate::storage::{Ground, Tx, revisions};
use crate::subjects::{self, SubjectReference};

/// One day.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// `POST /v1/objections`
///
/// # Errors
/// 400 with everything that is wrong, 403, 409.
pub async fn record(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        subject: SubjectReference,
        #[serde(flatten)]
        recording: Recording,
    }
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let Body { subject: reference, recording } = call.json()?;
    let (app, now, caller) = (&call.app, call.app.now(), call.caller()?.organisation.clone());
    let query = &mut app.db.reader();
    let mut ground = Ground::default();
    ground.revisions.read_also(query, revisions::covenant()).await?;
    let engine = app.covenants.in_force(query, now).await?;
    let mut mistakes = reference.mistakes(Day::of(now));
    mistakes.extend(recording.mistakes(engine.covenant(), now));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let (rights, lets) = subjects::check_rights(call, &reference).await?;
    let named = subjects::find(call, &reference, rights).await?;
    let Recording { purposes, obtained_at } = recording;
    let objection = Objection {
        id: app.new_id()?,
        organisation: caller.clone(),
        subject: named.subject.as_str().to_owned(),
        purposes,
        obtained_at,
        recorded_at: now,
        due_at: obtained_at.plus(DAY * engine.covenant().rights.objection_days),
        extension: None,
        weighed: None,
        ended: None,
        version: 1,
    };
    let facts = json!({ "purposes": objection.purposes, "obtainedAt": obtained_at, "dueAt": objection.due_at });
    let record = trace::record(call, http::about(&objection, "objection-recorded", Some(facts)), now)?;
    let news = RightsNews::ObjectionRecorded { objection: objection.id };
    let event = trace::event(app, news, officer::of(app, query, &caller, now).await?, now)?;
    ground.rest_on(&lets);
    named.add_to(&mut ground);
    ground.raises.push(revisions::subject(&objection.subject));
    let (view, app) = (http::view(app, &objection, now), app.clone());
    let location = format!("/v1/objections/{}", objection.id);
    idempotency::once(call, "record-objection", ground, async move |tx: &mut Tx| {
        named.keep(tx, true);
        subjects::remember(tx, &app.pseudonyms, &objection.organisation, &named.subject);
        store::insert(tx, &objection).await?;
        // Whatever is decided from now on knows it.
        revisions::bump(tx, &revisions::subject(&objection.subject));
        audit::write(tx, &record);
        relay::enqueue(tx, &event);
        Ok(Answer::created(location.clone(), &view)?.etag(objection.version))
    })
    .await
}
