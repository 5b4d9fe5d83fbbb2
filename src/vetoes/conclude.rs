//! What becomes of a veto: its holder helps the resident otherwise, goes on with it, or ends it.

use super::types::{ConclusionCreation, Veto};
use super::{http, store, trace, view};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem};
use crate::storage::{Ground, Tx, revisions};

/// `POST /v1/vetoes/{id}/conclusions`
///
/// # Errors
/// 404 for everyone but its holder, 409 where it has ended or that was said already, 412.
pub async fn conclude(call: Call) -> Result<Answer, Problem> {
    http::settle(&call, attempt).await
}

async fn attempt(call: &Call, mut veto: Veto) -> Result<Answer, Problem> {
    let now = call.app.now();
    let ConclusionCreation { conclusion } = call.json()?;
    call.check_if_match(veto.version)?;
    if !veto.conclude(conclusion, now) {
        return Err(Problem::new(Code::Conflict, "it has ended, or that was concluded already"));
    }
    let from_version = veto.version;
    veto.version += 1;
    let record = trace::record(call, &veto, conclusion.as_str(), now)?;
    let answer = view::veto(&call.app.pseudonyms, &veto, now);
    let key = revisions::subject(&veto.subject);
    idempotency::once(call, "conclude-veto", Ground::raising(key.clone()), async move |tx: &mut Tx| {
        revisions::bump(tx, &key);
        if !store::advance(tx, &veto, from_version).await? {
            return Err(Problem::stale());
        }
        audit::write(tx, &record);
        Ok(Answer::created(format!("/v1/vetoes/{}", veto.id), &answer)?.etag(veto.version))
    })
    .await
}
