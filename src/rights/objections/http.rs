//! Objections over HTTP: for the party that recorded one, its own system and its officer, and for nobody else.

use serde_json::{Value, json};
use uuid::Uuid;

pub use super::end::end;
pub use super::record::record;
pub use super::weigh::{extend, weigh};

use super::store;
use super::types::{Objection, Status};
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::rights::trace::About;
use crate::storage::window::Found;
use crate::subjects::Subject;

/// `GET /v1/objections`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let status = call.query_text("status").and_then(Status::from_word);
    let before = page.after::<Uuid>()?.map(|id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, status, now, before.as_deref(), page.rows()).await?;
    let items: Vec<Value> = found.items.iter().map(|objection| view(&call.app, objection, now)).collect();
    page.answer_found(&call, "/v1/objections", Found { items, resume: found.resume }, |view| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `GET /v1/objections/{id}`
///
/// # Errors
/// 404 for every other organisation.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let objection = own(&call).await?;
    Ok(Answer::ok(&view(&call.app, &objection, call.app.now()))?.etag(objection.version))
}

/// The objection that the path names, for the organisation that recorded it.
pub(super) async fn own(call: &Call) -> Result<Objection, Problem> {
    let id: Uuid = call.path("id")?;
    let objection = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if objection.organisation == call.caller()?.organisation { Ok(objection) } else { Err(Problem::not_found()) }
}

/// What a record of its party says.
pub(super) fn about<'a>(objection: &'a Objection, action: &'static str, facts: Option<Value>) -> About<'a> {
    About {
        owner: &objection.organisation,
        subject: &objection.subject,
        resource: format!("/v1/objections/{}", objection.id),
        action,
        facts,
    }
}

pub(super) fn view(app: &App, objection: &Objection, now: Timestamp) -> Value {
    let subject = Subject::from_stored(objection.subject.clone());
    json!({
        "id": objection.id,
        "status": objection.status(now),
        "subject": { "pseudonym": app.pseudonyms.for_organisation(&subject, &objection.organisation) },
        "purposes": objection.purposes,
        "obtainedAt": objection.obtained_at,
        "recordedAt": objection.recorded_at,
        "dueAt": objection.is_open().then_some(objection.due_at),
        "extension": objection.extension.map(|extension| {
            json!({ "reason": extension.reason, "residentInformedAt": extension.informed_at })
        }),
        "weighing": objection.weighed.map(|weighed| {
            json!({
                "outcome": weighed.outcome,
                "ground": weighed.ground,
                "residentInformedAt": weighed.told.at,
                "method": weighed.told.method,
                "weighedAt": weighed.at,
            })
        }),
        "ending": objection.ended.map(|ended| {
            json!({
                "reason": ended.reason,
                "takenBackAt": ended.taken_back_at,
                "method": ended.method,
                "endedAt": ended.at,
            })
        }),
    })
}
