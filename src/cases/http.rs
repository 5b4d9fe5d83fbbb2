//! Reading cases; the handlers that take a step are in `step`.

use serde_json::Value;

pub use super::step::{
    accept_coordination, call_meeting, close, decline_coordination, invite, offer_coordination, refuse_step_up, remove,
    revoke_offer, step_down, step_up,
};

use super::store;
use super::types::{Rules, Seen};
use super::view::{self, Reader};
use crate::clock::Timestamp;
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::storage::revisions::{self, Revisions};
use crate::storage::window::{self, Found};

/// A case, for somebody who has something to do with it.
pub(super) struct Access {
    pub(super) seen: Seen,
    /// The case's revision, read before it.
    pub(super) revisions: Revisions,
    pub(super) rules: Rules,
}

/// The covenant's rules for cases at this moment.
pub(super) async fn rules(call: &Call, now: Timestamp) -> Result<Rules, Problem> {
    let engine = call.app.covenants.in_force(&mut call.app.db.reader(), now).await?;
    Rules::of(engine.covenant()).ok_or_else(|| Problem::internal("the covenant in force has no municipality"))
}

/// The case that the path names by the caller's own alias, to take a step in.
///
/// # Errors
/// 404 for everyone who has nothing to do with it.
pub(super) async fn access(call: &Call, now: Timestamp) -> Result<Access, Problem> {
    let (alias, caller) = (call.path("id")?, &call.caller()?.organisation);
    let query = &mut call.app.db.reader();
    let id = store::of_alias(query, alias, caller).await?.ok_or_else(Problem::not_found)?;
    let mut revisions = Revisions::default();
    revisions.read_also(query, revisions::case(id)).await?;
    let (seen, rules) = look(call, now).await?;
    Ok(Access { seen, revisions, rules })
}

/// The same, to read it.
async fn look(call: &Call, now: Timestamp) -> Result<(Seen, Rules), Problem> {
    let (alias, caller) = (call.path("id")?, &call.caller()?.organisation);
    let rules = rules(call, now).await?;
    let seen = store::see(&mut call.app.db.reader(), alias, caller).await?.ok_or_else(Problem::not_found)?;
    if seen.whole.roles(caller, &rules, now).is_empty() {
        return Err(Problem::not_found());
    }
    Ok((seen, rules))
}

fn reader<'a>(call: &'a Call, seen: &Seen, rules: &Rules, now: Timestamp) -> Result<Reader<'a>, Problem> {
    let organisation = &call.caller()?.organisation;
    Ok(Reader { organisation, roles: seen.whole.roles(organisation, rules, now) })
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
    let resume = found.last().filter(|_| full).map(|seen| seen.alias.to_string());
    let mut items: Vec<Value> = Vec::with_capacity(found.len());
    for seen in &found {
        let reader = reader(&call, seen, &rules, now)?;
        if !reader.roles.is_empty() {
            items.push(view::case(seen, &reader, &rules, now));
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
    let (seen, rules) = look(&call, now).await?;
    let reader = reader(&call, &seen, &rules, now)?;
    let view = view::case(&seen, &reader, &rules, now);
    Ok(Answer::ok(&view)?.etag(view::tag(&view, &seen.whole, &reader)))
}

/// `GET /v1/cases/{id}/participants`
///
/// # Errors
/// As [`show`].
pub async fn participants(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let (seen, rules) = look(&call, now).await?;
    all(&view::participants(&seen.whole, &reader(&call, &seen, &rules, now)?, &rules, now))
}

/// `GET /v1/cases/{id}/coordinators`
///
/// # Errors
/// As [`show`].
pub async fn coordinators(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let (seen, rules) = look(&call, now).await?;
    let history = store::history(&mut call.app.db.reader(), seen.whole.kept.id).await?;
    all(&view::coordinators(&seen.whole, &history, &reader(&call, &seen, &rules, now)?))
}

/// `GET /v1/cases/{id}/step-ups`
///
/// # Errors
/// As [`show`].
pub async fn step_ups(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let (seen, rules) = look(&call, now).await?;
    let history = store::history(&mut call.app.db.reader(), seen.whole.kept.id).await?;
    all(&view::step_ups(&seen.whole, &history, &reader(&call, &seen, &rules, now)?, &rules, now))
}

/// A collection that fits one page: those of one case are few.
fn all(items: &[Value]) -> Result<Answer, Problem> {
    Answer::ok(&serde_json::json!({ "items": items, "next": null }))
}
