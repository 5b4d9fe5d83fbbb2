//! Restrictions over HTTP, for the party that recorded one and for nobody else.

use serde_json::{Value, json};
use uuid::Uuid;

pub use super::change::{end, record};

use super::store;
use super::types::{Notice, Restriction, Status};
use crate::app::App;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::rights::trace::About;
use crate::storage::window::Found;
use crate::subjects::Subject;

/// `GET /v1/restrictions`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let status = call.query_text("status").and_then(Status::from_word);
    let before = page.after::<Uuid>()?.map(|id| id.to_string());
    let own = &call.caller()?.organisation;
    let found = store::list(&mut call.app.db.reader(), own, status, before.as_deref(), page.rows()).await?;
    let items: Vec<Value> = found.items.iter().map(|restriction| view(&call.app, restriction)).collect();
    page.answer_found(&call, "/v1/restrictions", Found { items, resume: found.resume }, |view| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `GET /v1/restrictions/{id}`
///
/// # Errors
/// 404 for every other organisation.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let restriction = own(&call).await?;
    let notices = store::notices(&mut call.app.db.reader(), restriction.id).await?;
    Ok(Answer::ok(&whole(&call.app, &restriction, &notices))?.etag(restriction.version))
}

/// The restriction that the path names, for the organisation that recorded it.
pub(super) async fn own(call: &Call) -> Result<Restriction, Problem> {
    let id: Uuid = call.path("id")?;
    let restriction = store::find(&mut call.app.db.reader(), id).await?.ok_or_else(Problem::not_found)?;
    if restriction.organisation == call.caller()?.organisation { Ok(restriction) } else { Err(Problem::not_found()) }
}

/// What a record of its party says.
pub(super) fn about<'a>(restriction: &'a Restriction, action: &'static str, facts: Option<Value>) -> About<'a> {
    About {
        owner: &restriction.organisation,
        subject: &restriction.subject,
        resource: format!("/v1/restrictions/{}", restriction.id),
        action,
        facts,
    }
}

fn view(app: &App, restriction: &Restriction) -> Value {
    let subject = Subject::from_stored(restriction.subject.clone());
    json!({
        "id": restriction.id,
        "status": restriction.status(),
        "subject": { "pseudonym": app.pseudonyms.for_organisation(&subject, &restriction.organisation) },
        "ground": restriction.ground,
        "recordedAt": restriction.recorded_at,
        "ending": restriction.ended.map(|ended| {
            json!({ "residentInformedAt": ended.told.at, "method": ended.told.method, "endedAt": ended.at })
        }),
    })
}

/// With who was told, about which the resident may ask (art. 19 AVG).
pub(super) fn whole(app: &App, restriction: &Restriction, notices: &[Notice]) -> Value {
    let mut view = view(app, restriction);
    if let Value::Object(view) = &mut view {
        let notice = |notice: &Notice| json!({ "referral": notice.referral, "organisation": notice.organisation });
        view.insert("notices".into(), notices.iter().map(notice).collect());
    }
    view
}
