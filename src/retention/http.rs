//! Removals over HTTP, for the covenant's privacy officer.

use serde_json::Value;
use uuid::Uuid;

use super::store;
use super::types::Removal;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::{self, Found};

/// `GET /v1/retention-removals`
///
/// # Errors
/// 400 for a cursor that was not made here; 403 without the scope.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let before = page.after::<Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |id| id.to_string());
    let found = store::list(&mut call.app.db.reader(), &before, page.rows()).await?;
    let items = found.iter().map(Removal::to_json).collect();
    page.answer_found(&call, "/v1/retention-removals", Found { items, resume: None }, |view: &Value| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}
