//! Incidents over HTTP; what changes something is in `open` and `answer`.

use serde_json::{Value, json};
use uuid::Uuid;

pub use super::answer::{assess, confirm};
pub use super::open::report;

use super::types::{Duty, Incident};
use super::{answer, store, view};
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::window::{self, Found};

/// `GET /v1/incidents`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let before = page.after::<Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, &before, page.limit).await?;
    let is = |name: &str, value: Option<&str>| call.query_text(name).is_none_or(|wanted| Some(wanted) == value);
    // What is not wanted is passed over: then the page is shorter, and says where the next one goes on.
    let wanted = |(incident, duty): &&(Incident, Duty)| {
        let deletion = duty.deletion.as_ref().map(|one| one.status(now).as_str());
        is("referral", Some(&incident.referral.to_string()))
            && is("assessment", Some(duty.assessment_status(now).as_str()))
            && is("deletion", deletion)
    };
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= page.limit);
    let resume = found.last().filter(|_| full).map(|(last, _)| last.id.to_string());
    let items: Vec<Value> =
        found.iter().filter(wanted).map(|(incident, duty)| view::listed(&call.app, incident, duty, now)).collect();
    page.answer_found(&call, "/v1/incidents", Found { items, resume }, |_| String::new())
}

/// `GET /v1/incidents/{id}`
///
/// # Errors
/// 404 for everyone but its parties.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let (incident, duty) = answer::own(&call).await?;
    let duties = store::duties(&mut call.app.db.reader(), incident.id).await?;
    let body = view::whole(&call.app, &incident, &duty.organisation, &duties, call.app.now());
    Ok(Answer::ok(&body)?.etag(duty.version))
}

/// `GET /v1/incidents/{id}/assessments`
///
/// # Errors
/// As [`show`].
pub async fn assessments(call: Call) -> Result<Answer, Problem> {
    let (incident, duty) = answer::own(&call).await?;
    let found = store::assessments(&mut call.app.db.reader(), incident.id, &duty.organisation).await?;
    all(&found.iter().map(view::assessment).collect::<Vec<_>>())
}

/// `GET /v1/incidents/{id}/confirmations`
///
/// # Errors
/// As [`show`].
pub async fn confirmations(call: Call) -> Result<Answer, Problem> {
    let (incident, _) = answer::own(&call).await?;
    let (duties, now) = (store::duties(&mut call.app.db.reader(), incident.id).await?, call.app.now());
    let deletes = duties.iter().filter(|duty| duty.deletion.is_some());
    all(&deletes.map(|duty| view::deletion(duty, now)).collect::<Vec<_>>())
}

/// A collection that fits one page.
fn all(items: &[Value]) -> Result<Answer, Problem> {
    Answer::ok(&json!({ "items": items, "next": null }))
}
