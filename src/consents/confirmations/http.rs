//! Confirmations over HTTP.

use serde_json::Value;
use uuid::Uuid;

use super::answer::Saying;
use super::store::{self, Whose};
use super::types::{Confirmation, Said};
use crate::consents::store as consents;
use crate::http::page::Page;
use crate::http::{Answer, Call, idempotency};
use crate::problem::Problem;
use crate::storage::window::Found;
use crate::storage::{Ground, Tx};
use crate::subjects::Subject;

/// `GET /v1/consent-confirmations`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list_all(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let own = &call.caller()?.organisation;
    let whose = match call.query_text("role") {
        _ if sees_all(&call)? => Whose::All,
        Some("recorder") => Whose::Recorder(own),
        _ => Whose::Confirmer(own),
    };
    let after = page.after::<Uuid>()?.map(|id| id.to_string());
    let (query, now, status) = (&mut call.app.db.reader(), call.app.now(), call.query_text("status"));
    let found = store::list(query, whose, status, now, after.as_deref(), page.rows()).await?;
    let items = found.items.iter().map(|one| view(&call, one)).collect::<Result<_, _>>()?;
    page.answer_found(&call, "/v1/consent-confirmations", Found { items, resume: found.resume }, id_of)
}

/// `GET /v1/consents/{id}/confirmations`: all of a consent for who recorded it and the covenant's privacy officer, one's own for who received something.
///
/// # Errors
/// 404 for everyone else; 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let id: Uuid = call.path("id")?;
    let page = Page::of(&call)?;
    let query = &mut call.app.db.reader();
    let own = &call.caller()?.organisation;
    let consent = consents::find(query, &id.to_string()).await?;
    let items = if let Some(consent) = consent {
        if consent.organisation != *own && !sees_all(&call)? {
            return Err(Problem::not_found());
        }
        let after = page.after::<Uuid>()?.unwrap_or(Uuid::nil());
        store::of_consent(query, id, after, page.rows()).await?
    } else {
        let one = store::find(query, id).await?.filter(|one| one.organisation == *own);
        vec![one.ok_or_else(Problem::not_found)?]
    };
    let items: Vec<Value> = items.iter().map(|one| view(&call, one)).collect::<Result<_, _>>()?;
    page.answer(&call, &format!("/v1/consents/{id}/confirmations"), items, id_of)
}

/// `POST /v1/consents/{id}/confirmations`
///
/// # Errors
/// 404 for everyone but who received something and was asked; 400, 409.
pub async fn confirm(call: Call) -> Result<Answer, Problem> {
    let id: Uuid = call.path("id")?;
    let own = &call.caller()?.organisation;
    let confirmation = store::find(&mut call.app.db.reader(), id).await?.filter(|one| one.organisation == *own);
    let confirmation = confirmation.ok_or_else(Problem::not_found)?;
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let said: Said = call.json()?;
    let saying = match Saying::prepare(&call, confirmation, said).await {
        Ok(saying) => saying,
        // Of two repeats at once the second finds it said.
        Err(problem) => return idempotency::or_first(&call, problem).await,
    };
    idempotency::once(&call, "confirm-withdrawal", Ground::default(), async move |tx: &mut Tx| {
        saying.apply(tx).await?;
        Answer::created(saying.path(), &saying.view)
    })
    .await
}

/// Whether the caller is the covenant's privacy officer.
fn sees_all(call: &Call) -> Result<bool, Problem> {
    Ok(call.caller()?.has_scope("audit:read"))
}

fn view(call: &Call, confirmation: &Confirmation) -> Result<Value, Problem> {
    let reader = &call.caller()?.organisation;
    let subject = Subject::from_stored(confirmation.subject.clone());
    let pseudonym = call.app.pseudonyms.for_organisation(&subject, reader);
    let knows_consent = *reader == confirmation.recorder || sees_all(call)?;
    Ok(confirmation.to_json(&pseudonym, knows_consent, call.app.now()))
}

fn id_of(view: &Value) -> String {
    view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}
