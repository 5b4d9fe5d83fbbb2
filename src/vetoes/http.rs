//! Vetoes over HTTP; what changes something is in `set`, `conclude` and `weigh`.
//!
//! Invariant: a veto exists for the organisation that set it, its system and its privacy officer, and for nobody else.

use uuid::Uuid;

pub use super::conclude::conclude;
pub use super::set::set;
pub use super::weigh::weigh;

use super::types::Veto;
use super::{store, view};
use crate::http::page::Page;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Problem, until_settled};
use crate::storage::window::{self, Found};

/// `GET /v1/vetoes`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now, wanted) = (Page::of(&call)?, call.app.now(), call.query_text("status"));
    let before = page.after::<Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, &before, page.limit).await?;
    // What is not wanted is passed over: then the page is shorter, and says where the next one goes on.
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= page.limit);
    let resume = found.last().filter(|_| full).map(|last| last.id.to_string());
    let items = found.iter().filter(|veto| wanted.is_none_or(|wanted| veto.status(now).as_str() == wanted));
    let items = items.map(|veto| view::veto(&call.app.pseudonyms, veto, now)).collect();
    page.answer_found(&call, "/v1/vetoes", Found { items, resume }, |_: &serde_json::Value| String::new())
}

/// `GET /v1/vetoes/{id}`
///
/// # Errors
/// 404 for everyone but its holder.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let veto = own(&call).await?;
    Ok(Answer::ok(&view::veto(&call.app.pseudonyms, &veto, call.app.now()))?.etag(veto.version))
}

async fn own(call: &Call) -> Result<Veto, Problem> {
    let id: Uuid = call.path("id")?;
    let veto = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if veto.organisation == call.caller()?.organisation { Ok(veto) } else { Err(Problem::not_found()) }
}

/// Runs `attempt` until nobody else has changed the veto meanwhile. A repeat gets the first answer.
pub(super) async fn settle(
    call: &Call,
    attempt: impl AsyncFn(&Call, Veto) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    until_settled(async || {
        let veto = own(call).await?;
        if let Some(answer) = idempotency::earlier(call).await? {
            return Ok(answer);
        }
        match attempt(call, veto).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(call, problem).await,
            answer => answer,
        }
    })
    .await
}
