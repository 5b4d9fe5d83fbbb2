//! Weighing: whether an access report may show what a veto was set on. By the holder's privacy officer, never by who set it; it can be weighed again, when
//! things are safer or less safe.

use super::types::{Veto, WeighingCreation};
use super::{http, store, trace, view};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::Problem;
use crate::storage::{Ground, Tx};

/// `POST /v1/vetoes/{id}/weighings`
///
/// # Errors
/// 404 for everyone but the privacy officer of its holder, 412.
pub async fn weigh(call: Call) -> Result<Answer, Problem> {
    http::settle(&call, attempt).await
}

async fn attempt(call: &Call, mut veto: Veto) -> Result<Answer, Problem> {
    let now = call.app.now();
    let WeighingCreation { weighing } = call.json()?;
    call.check_if_match(veto.version)?;
    veto.weighed = Some((weighing, now));
    let from_version = veto.version;
    veto.version += 1;
    let record = trace::record(call, &veto, weighing.as_str(), now)?;
    let answer = view::veto(&call.app.pseudonyms, &veto, now);
    idempotency::once(call, "weigh-veto", Ground::default(), async move |tx: &mut Tx| {
        if !store::advance(tx, &veto, from_version).await? {
            return Err(Problem::stale());
        }
        audit::write(tx, &record);
        Ok(Answer::created(format!("/v1/vetoes/{}", veto.id), &answer)?.etag(veto.version))
    })
    .await
}
