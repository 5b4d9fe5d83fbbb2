//! Reading referrals and their steps; the handlers that change something are in `create`, `update` and `disclose`.

use uuid::Uuid;

pub use super::corrections::http::{add as correct, list as list_corrections, show as show_correction};
pub use super::create::{check, create};
pub use super::disclose::{of_referral as disclose, of_update as disclose_update};
pub use super::onward::{reassign, refer_on};
pub use super::operations::{
    extend, list_cancellation_requests, list_supplements, refuse_cancellation, request_cancellation, resolve, step_up,
    supplement, veto,
};
pub use super::update::add as add_update;

use super::access::{self, Access};
use super::store::Listed;
use super::told::Told;
use super::{store, view};
use crate::cases;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::Found;

/// `GET /v1/referrals`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let reader = call.caller()?.organisation.clone();
    let role = match call.query_text("role") {
        Some("sender") => Listed::Sent,
        Some("recipient") => Listed::Received,
        Some(_) => Listed::Held,
        None => Listed::SentOrReceived,
    };
    let (status, after) = (call.query_text("status"), page.after::<Uuid>()?.map(|id| id.to_string()));
    let found = store::list(&mut call.app.db.reader(), &reader, role, status, after.as_deref(), page.rows()).await?;
    let known = found.items.iter().filter_map(|referral| referral.case_known_to(&reader));
    let aliases = cases::aliases(&mut call.app.db.reader(), &reader, known).await?;
    let municipality = call.app.covenants.municipality(&mut call.app.db.reader(), call.app.now()).await?;
    let told = Told::of(&mut call.app.db.reader(), &reader, &found.items).await?;
    let mut views = Vec::with_capacity(found.items.len());
    for referral in &found.items {
        let sight = access::sight_of(referral, &reader, municipality.as_ref());
        let mut view = view::referral(&call.app, referral, &reader, sight);
        view::name_case(&mut view, referral.case_known_to(&reader).and_then(|case| aliases.get(&case).copied()));
        view::tell(&mut view, referral.id, &told);
        views.push(view);
    }
    page.answer_found(&call, "/v1/referrals", Found { items: views, resume: found.resume }, |view| {
        view.get("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned()
    })
}

/// `GET /v1/referrals/{id}`
///
/// # Errors
/// 404 for everyone but its parties.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let Access { referral, .. } = access::to_referral(&call).await?;
    let reader = &call.caller()?.organisation;
    let sight = access::sight(&call.app, &referral, reader).await?;
    let mut view = view::referral(&call.app, &referral, reader, sight);
    let known = referral.case_known_to(reader);
    let aliases = cases::aliases(&mut call.app.db.reader(), reader, known).await?;
    view::name_case(&mut view, known.and_then(|case| aliases.get(&case).copied()));
    let told = Told::of(&mut call.app.db.reader(), reader, std::slice::from_ref(&referral)).await?;
    view::tell(&mut view, referral.id, &told);
    Ok(Answer::ok(&view)?.etag(referral.version))
}

/// `GET /v1/referrals/{id}/updates`
///
/// # Errors
/// 404 for everyone but its parties; 400 for a cursor that was not made here.
pub async fn list_updates(call: Call) -> Result<Answer, Problem> {
    let Access { referral, .. } = access::to_referral(&call).await?;
    let page = Page::of(&call)?;
    let after = page.after_number()?.unwrap_or(0);
    let updates = store::updates(&mut call.app.db.reader(), referral.id, after, page.rows()).await?;
    let reader = &call.caller()?.organisation;
    let sight = access::sight(&call.app, &referral, reader).await?;
    let views = updates.iter().map(|update| view::update(update, reader, sight)).collect();
    let path = format!("/v1/referrals/{}/updates", referral.id);
    page.answer(&call, &path, views, |view: &serde_json::Value| {
        view.get("version").map(ToString::to_string).unwrap_or_default()
    })
}

/// `GET /v1/referrals/{id}/updates/{updateId}`
///
/// # Errors
/// 404 for everyone but its parties.
pub async fn show_update(call: Call) -> Result<Answer, Problem> {
    let Access { referral, .. } = access::to_referral(&call).await?;
    let id: Uuid = call.path("updateId")?;
    let update =
        store::find_update(&mut call.app.db.reader(), referral.id, id).await?.ok_or_else(Problem::not_found)?;
    let reader = &call.caller()?.organisation;
    let sight = access::sight(&call.app, &referral, reader).await?;
    Answer::ok(&view::update(&update, reader, sight))
}
