//! Declarations and reviews over HTTP; what changes something is in `declare`, `duties` and `conclude`.

use serde_json::{Value, json};

pub use super::conclude::conclude;
pub use super::declare::declare;
pub use super::duties::{end, notify};

use super::types::EmergencyAccess;
use super::{readers, store, view};
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::{self, Found};

/// `GET /v1/emergency-accesses`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let (own, before) = (&call.caller()?.organisation, before(&page)?);
    let found = store::declared_by(&mut call.app.db.reader(), own, &before, page.limit).await?;
    let wanted = |access: &EmergencyAccess| {
        is(&call, "status", access.status(now).as_str()) && is(&call, "notification", access.duty_status(now).as_str())
    };
    answer(&call, &page, "/v1/emergency-accesses", &found, wanted, |access| view::own(&call.app, access, now))
}

/// `GET /v1/emergency-accesses/{id}`
///
/// # Errors
/// 404 for everyone but the party that declared it.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let access = readers::own(&call).await?;
    Ok(Answer::ok(&view::own(&call.app, &access, call.app.now()))?.etag(access.version))
}

/// `GET /v1/emergency-accesses/{id}/notifications`
///
/// # Errors
/// As [`show`].
pub async fn notifications(call: Call) -> Result<Answer, Problem> {
    let access = readers::own(&call).await?;
    let noted = store::notifications(&mut call.app.db.reader(), access.id).await?;
    all(&noted.iter().map(view::noted).collect::<Vec<_>>())
}

/// `GET /v1/reviews`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list_reviews(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let (reader, before) = (&call.caller()?.organisation, before(&page)?);
    let found = store::read_by(&mut call.app.db.reader(), reader, &before, page.limit).await?;
    let wanted = |access: &EmergencyAccess| {
        is(&call, "status", access.review_status(now).as_str())
            && is(&call, "notification", access.duty_status(now).as_str())
    };
    answer(&call, &page, "/v1/reviews", &found, wanted, |access| view::review(&call.app, access, reader, now))
}

/// `GET /v1/reviews/{id}`
///
/// # Errors
/// 404 for everyone but the privacy officers whom it concerns.
pub async fn show_review(call: Call) -> Result<Answer, Problem> {
    let access = readers::reviewed(&call).await?;
    let (query, mut given) = (&mut call.app.db.reader(), Vec::new());
    for referral in store::referrals(query, access.id).await? {
        let disclosed = store::disclosures(query, referral.id, &access.organisation).await?;
        given.push((referral, disclosed));
    }
    let notifications = store::notifications(query, access.id).await?;
    let reader = &call.caller()?.organisation;
    Answer::ok(&view::whole_review(&call.app, &access, reader, &given, &notifications, call.app.now()))
}

/// `GET /v1/reviews/{id}/conclusions`
///
/// # Errors
/// As [`show_review`].
pub async fn conclusions(call: Call) -> Result<Answer, Problem> {
    let access = readers::reviewed(&call).await?;
    all(&access.review.concluded.iter().map(view::conclusion).collect::<Vec<_>>())
}

fn before(page: &Page) -> Result<String, Problem> {
    Ok(page.after::<uuid::Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |id| id.to_string()))
}

/// Whether a parameter of the query, where it is given, has this value.
fn is(call: &Call, name: &str, value: &str) -> bool {
    call.query_text(name).is_none_or(|wanted| wanted == value)
}

/// A page of those that are wanted. What is not is passed over: then the page is shorter, and says where the next one goes on.
fn answer(
    call: &Call,
    page: &Page,
    path: &str,
    found: &[EmergencyAccess],
    wanted: impl Fn(&EmergencyAccess) -> bool,
    view: impl Fn(&EmergencyAccess) -> Value,
) -> Result<Answer, Problem> {
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= page.limit);
    let resume = found.last().filter(|_| full).map(|last| last.id.to_string());
    let items: Vec<Value> = found.iter().filter(|access| wanted(access)).map(view).collect();
    page.answer_found(call, path, Found { items, resume }, |_| String::new())
}

/// A collection that fits one page.
fn all(items: &[Value]) -> Result<Answer, Problem> {
    Answer::ok(&json!({ "items": items, "next": null }))
}
