//! Erasures over HTTP; erasing itself is in `erase`.

use serde_json::Value;
use uuid::Uuid;

pub use super::erase::erase;

use super::store;
use super::types::Erasure;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::{self, Found};

/// `GET /v1/erasures`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let before = page.after::<Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, &before, page.rows()).await?;
    let items = found.iter().map(Erasure::to_json).collect();
    page.answer_found(&call, "/v1/erasures", Found { items, resume: None }, |view: &Value| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `GET /v1/erasures/{id}`
///
/// # Errors
/// 404 for everyone but who asked for it.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let id: Uuid = call.path("id")?;
    let erasure = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if erasure.organisation != call.caller()?.organisation {
        return Err(Problem::not_found());
    }
    Answer::ok(&erasure.to_json())
}
