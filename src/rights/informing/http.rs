//! Duties to inform over HTTP: for the organisation whose duty it is, its own system and its officer, and for nobody else.

use serde_json::{Value, json};
use uuid::Uuid;

pub use super::note::note;

use super::store;
use super::types::{Duty, Notification, Status};
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::rights::trace::About;
use crate::storage::window::Found;
use crate::subjects::Subject;

/// `GET /v1/informing-duties`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let status = call.query_text("status").and_then(Status::from_word);
    let before = page.after::<Uuid>()?.map(|id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, status, now, before.as_deref(), page.rows()).await?;
    let items: Vec<Value> = found.items.iter().map(|duty| view(&call.app, duty, now)).collect();
    page.answer_found(&call, "/v1/informing-duties", Found { items, resume: found.resume }, |view| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `GET /v1/informing-duties/{id}`
///
/// # Errors
/// 404 for every other organisation.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let id: Uuid = call.path("id")?;
    let duty = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if duty.organisation != call.caller()?.organisation {
        return Err(Problem::not_found());
    }
    Answer::ok(&view(&call.app, &duty, call.app.now()))
}

/// `GET /v1/referrals/{id}/notifications`
///
/// # Errors
/// 404 for everyone but the party of the referral that has read something of the other.
pub async fn notifications(call: Call) -> Result<Answer, Problem> {
    let duty = own_of_referral(&call).await?;
    let noted = store::notifications(&mut call.app.db.reader(), duty.id).await?;
    let items: Vec<Value> = noted.iter().map(notification).collect();
    Answer::ok(&json!({ "items": items, "next": null }))
}

/// The caller's duty about the referral that the path names. Where there is none nothing tells whether there is such a referral.
pub(super) async fn own_of_referral(call: &Call) -> Result<Duty, Problem> {
    let referral: Uuid = call.path("id")?;
    let own = &call.caller()?.organisation;
    store::of_referral(&mut call.app.db.reader(), referral, own).await?.ok_or_else(Problem::not_found)
}

/// What a record of its organisation says.
pub(super) fn about<'a>(duty: &'a Duty, action: &'static str, facts: Option<Value>) -> About<'a> {
    About {
        owner: &duty.organisation,
        subject: &duty.subject,
        resource: format!("/v1/informing-duties/{}", duty.id),
        action,
        facts,
    }
}

fn view(app: &App, duty: &Duty, now: Timestamp) -> Value {
    let subject = Subject::from_stored(duty.subject.clone());
    json!({
        "id": duty.id,
        "status": duty.status(now),
        "referral": duty.referral,
        "subject": { "pseudonym": app.pseudonyms.for_organisation(&subject, &duty.organisation) },
        "openedAt": duty.opened_at,
        "dueAt": duty.outcome.is_none().then_some(duty.due_at),
        "outcome": duty.outcome,
    })
}

pub(super) fn notification(notification: &Notification) -> Value {
    let Notification { id, outcome, informed_at, method, recorded_at } = notification;
    json!({ "id": id, "outcome": outcome, "informedAt": informed_at, "method": method, "recordedAt": recorded_at })
}
