//! Reading corrections; the one that writes is in `correct`.

use uuid::Uuid;

pub use super::correct::add;
use super::{store, view};
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::referrals::access::{self, Sight};
use crate::storage::window::Found;

/// `GET /v1/referrals/{id}/corrections`. A page counts all corrections, so it may be shorter than asked for.
///
/// # Errors
/// 404 for everyone for whom the referral does not exist; 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let referral = access::to_referral(&call).await?.referral;
    let page = Page::of(&call)?;
    let after = page.after_number()?.unwrap_or(0);
    let corrections = store::list(&mut call.app.db.reader(), referral.id, after, page.limit).await?;
    let full = i64::try_from(corrections.len()).is_ok_and(|found| found == page.limit);
    let resume = corrections.last().filter(|_| full).map(|last| last.version.to_string());
    let reader = &call.caller()?.organisation;
    let status_only = access::sight(&call.app, &referral, reader).await? != Sight::Whole;
    let items = corrections.iter().filter_map(|correction| view::correction(correction, reader, status_only)).collect();
    let path = format!("/v1/referrals/{}/corrections", referral.id);
    page.answer_found(&call, &path, Found { items, resume }, |_: &serde_json::Value| String::new())
}

/// `GET /v1/referrals/{id}/corrections/{correctionId}`
///
/// # Errors
/// 404 for everyone for whom it does not exist.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let referral = access::to_referral(&call).await?.referral;
    let id: Uuid = call.path("correctionId")?;
    let reader = &call.caller()?.organisation;
    let status_only = access::sight(&call.app, &referral, reader).await? != Sight::Whole;
    let found = store::find(&mut call.app.db.reader(), referral.id, id).await?;
    let view = found.and_then(|correction| view::correction(&correction, reader, status_only));
    Answer::ok(&view.ok_or_else(Problem::not_found)?)
}
