//! Reading cases; the handlers that take a step are in `step`.

use serde_json::Value;
use uuid::Uuid;

pub use super::step::{
    accept_coordination, call_meeting, close, decline_coordination, invite, offer_coordination, refuse_step_up, remove,
    revoke_offer, step_down, step_up,
};

use super::store;
use super::types::{Rules, Whole};
use super::view::{self, Reader};
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::revisions::{self, Revisions};
use crate::storage::window::{self, Found};

/// A case, for somebody who has something to do with it.
pub(super) struct Access {
    pub(super) alias: Uuid,
    pub(super) whole: Whole,
    /// The case's revision, read before it.
    pub(super) revisions: Revisions,
    pub(super) rules: Rules,
}

/// The covenant's rules for cases at this moment.
pub(super) async fn rules(call: &Call, now: Timestamp) -> Result<Rules, Problem> {
    let engine = call.app.covenants.in_force(&mut call.app.db.reader(), now).await?;
    Rules::of(engine.covenant()).ok_or_else(|| Problem::internal("the covenant in force has no municipality"))
}

/// The case that the path names by the caller's own alias.
///
/// # Errors
/// 404 for everyone who has nothing to do with it.
pub(super) async fn access(call: &Call, now: Timestamp) -> Result<Access, Problem> {
    let (alias, caller) = (call.path("id")?, &call.caller()?.organisation);
    let query = &mut call.app.db.reader();
    let id = store::of_alias(query, alias, caller).await?.ok_or_else(Problem::not_found)?;
    let rules = rules(call, now).await?;
    let mut revisions = Revisions::default();
    revisions.read_also(query, revisions::case(id)).await?;
    let whole = store::load(query, id).await?.ok_or_else(Problem::not_found)?;
    if whole.roles(caller, &rules, now).is_empty() {
        return Err(Problem::not_found());
    }
    Ok(Access { alias, whole, revisions, rules })
}

impl Access {
    fn reader<'a>(&self, call: &'a Call, now: Timestamp) -> Result<Reader<'a>, Problem> {
        let organisation = &call.caller()?.organisation;
        Ok(Reader { organisation, roles: self.whole.roles(organisation, &self.rules, now) })
    }
}

/// `GET /v1/cases`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, now) = (Page::of(&call)?, call.app.now());
    let organisation = &call.caller()?.organisation;
    let rules = rules(&call, now).await?;
    let before = page.after.as_deref().unwrap_or(window::AFTER_ALL);
    let limit = page.limit;
    let found = store::list(&mut call.app.db.reader(), organisation, before, limit).await?;
    // What it has nothing to do with any more is passed over: then the page is shorter, and says where the next one goes on.
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
    let resume = found.last().filter(|_| full).map(|(alias, _)| alias.to_string());
    let mut items: Vec<Value> = Vec::with_capacity(found.len());
    for (alias, whole) in &found {
        let roles = whole.roles(organisation, &rules, now);
        if !roles.is_empty() {
            items.push(view::case(*alias, whole, &Reader { organisation, roles }, &rules, now));
        }
    }
    page.answer_found(&call, "/v1/cases", Found { items, resume }, |_| String::new())
}

/// `GET /v1/cases/{id}`
///
/// # Errors
/// 404 for everyone who has nothing to do with it.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = access(&call, now).await?;
    let reader = access.reader(&call, now)?;
    let view = view::case(access.alias, &access.whole, &reader, &access.rules, now);
    Ok(Answer::ok(&view)?.etag(view::tag(&view, &access.whole, &reader)))
}

/// `GET /v1/cases/{id}/participants`
///
/// # Errors
/// As [`show`].
pub async fn participants(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = access(&call, now).await?;
    all(&view::participants(&access.whole, &access.reader(&call, now)?, &access.rules, now))
}

/// `GET /v1/cases/{id}/coordinators`
///
/// # Errors
/// As [`show`].
pub async fn coordinators(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = access(&call, now).await?;
    let history = store::history(&mut call.app.db.reader(), access.whole.kept.id).await?;
    all(&view::coordinators(&access.whole, &history, &access.reader(&call, now)?))
}

/// `GET /v1/cases/{id}/step-ups`
///
/// # Errors
/// As [`show`].
pub async fn step_ups(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = access(&call, now).await?;
    let history = store::history(&mut call.app.db.reader(), access.whole.kept.id).await?;
    all(&view::step_ups(&access.whole, &history, &access.reader(&call, now)?, &access.rules, now))
}

/// A collection that fits one page: those of one case are few.
fn all(items: &[Value]) -> Result<Answer, Problem> {
    Answer::ok(&serde_json::json!({ "items": items, "next": null }))
}
