//! Capacity notices over HTTP.

use serde_json::Value;

use super::service::{NewEnding, NewNotice};
use super::store;
use super::types::{Announcement, Notice};
use crate::covenant::PurposeCode;
use crate::http::page::{Page, Pair};
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::problem::Problem;
use crate::storage::{Ground, Tx};

/// `GET /v1/capacity-notices`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let today = Day::of(call.app.now());
    let filter =
        store::Filter { organisation: call.query_text("organisation"), purpose: call.query_text("purpose"), today };
    let after = page.after::<Pair<Oin, PurposeCode>>()?;
    let after = after.map(|Pair(organisation, purpose)| (organisation.to_string(), purpose.to_string()));
    let after = after.unwrap_or_default();
    let found = store::list(&mut call.app.db.reader(), &filter, (&after.0, &after.1), page.rows()).await?;
    let views = found.iter().map(|notice| notice.to_json(today)).collect();
    page.answer(&call, "/v1/capacity-notices", views, |view: &Value| {
        let text = |name: &str| view.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", text("organisation"), text("purpose"))
    })
}

/// `POST /v1/capacity-notices`
///
/// # Errors
/// 400 with everything that is wrong, 403 for a purpose for which nobody sends to the caller, 409.
pub async fn announce(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let announcement: Announcement = call.json()?;
    let new = NewNotice::prepare(&call, announcement).await?;
    let view = new.notice.to_json(Day::of(call.app.now()));
    let location = format!("/v1/capacity-notices/{}", new.notice.id);
    idempotency::once(&call, "announce-capacity", Ground::default(), async move |tx: &mut Tx| {
        new.apply(tx).await?;
        Answer::created(location.clone(), &view)
    })
    .await
}

/// `GET /v1/capacity-notices/{id}`
///
/// # Errors
/// 404.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    Answer::ok(&find(&call).await?.to_json(Day::of(call.app.now())))
}

/// `POST /v1/capacity-notices/{id}/endings`
///
/// # Errors
/// 403 for everyone but the organisation that announced it, 404, 409 when it does not hold any more.
pub async fn end(call: Call) -> Result<Answer, Problem> {
    let new = NewEnding::prepare(&call, find(&call).await?)?;
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let today = Day::of(call.app.now());
    idempotency::once(&call, "end-capacity", Ground::default(), async move |tx: &mut Tx| {
        let ended = new.apply(tx).await?;
        Answer::created(format!("/v1/capacity-notices/{}", ended.id), &ended.to_json(today))
    })
    .await
}

async fn find(call: &Call) -> Result<Notice, Problem> {
    let id: uuid::Uuid = call.path("id")?;
    store::find(&mut call.app.db.reader(), &id.to_string()).await?.ok_or_else(Problem::not_found)
}
