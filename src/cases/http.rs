//! Reading cases; the handlers that take a step are in `step`.

use serde_json::Value;
use uuid::Uuid;

pub use super::step::{
    accept_coordination, call_meeting, close, decline_coordination, invite, offer_coordination, refuse_step_up, remove,
    revoke_offer, step_down, step_up,
};

use super::accession;
use super::store;
use super::types::{Rules, Seen, Whole};
use super::view::{self, Reader};
use crate::clock::Timestamp;
use crate::covenant::{self, Standings};
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::ids::Oin;
use crate::lifecycle::case::Role;
use crate::problem::{Code, Problem};
use crate::storage::revisions::{self, Revisions};
use crate::storage::window::{self, Found};

/// A case, for somebody who has something to do with it.
pub(super) struct Access {
    pub(super) seen: Seen,
    /// The case's revision, read before it; none where nothing is to rest on it.
    pub(super) revisions: Revisions,
    pub(super) rules: Rules,
    /// What the caller is in it.
    roles: Vec<Role>,
    /// Whether it sees no more than that.
    outside: bool,
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
    Ok(Access { revisions, ..look(call, now).await? })
}

/// The same, to read it.
async fn look(call: &Call, now: Timestamp) -> Result<Access, Problem> {
    let (alias, caller) = (call.path("id")?, &call.caller()?.organisation);
    let rules = rules(call, now).await?;
    let seen = store::see(&mut call.app.db.reader(), alias, caller).await?.ok_or_else(Problem::not_found)?;
    let roles = seen.whole.roles(caller, &rules, now);
    if roles.is_empty() {
        return Err(Problem::not_found());
    }
    let standings = standings(call, &rules, [&seen.whole]).await?;
    let outside = is_outside(&standings, caller, &seen.whole, &roles);
    Ok(Access { seen, revisions: Revisions::default(), rules, roles, outside })
}

/// How the caller stands, with its ties to these cases.
async fn standings(call: &Call, rules: &Rules, cases: impl IntoIterator<Item = &Whole>) -> Result<Standings, Problem> {
    let (caller, query) = (&call.caller()?.organisation, &mut call.app.db.reader());
    let mut standings = covenant::standing(query, &rules.version, [caller, caller]).await?;
    if standings.of(caller).depends_on_cases() {
        accession::tie(query, &mut standings, cases.into_iter().map(|whole| whole.kept.id)).await?;
    }
    Ok(standings)
}

/// Whether an organisation is kept outside of a case in which it is something. Whoever steers it is not.
fn is_outside(standings: &Standings, organisation: &Oin, whole: &Whole, roles: &[Role]) -> bool {
    let steers = roles.contains(&Role::Coordinator) || roles.contains(&Role::ProcessDirector);
    !steers && standings.of(organisation).is_outside(whole.kept.id, roles.contains(&Role::Participant))
}

impl Access {
    pub(super) fn reader<'a>(&self, call: &'a Call) -> Result<Reader<'a>, Problem> {
        let organisation = &call.caller()?.organisation;
        Ok(Reader { organisation, roles: self.roles.clone(), outside: self.outside })
    }

    /// A reader that sees more than that it is invited.
    fn insider<'a>(&self, call: &'a Call) -> Result<Reader<'a>, Problem> {
        if self.outside {
            let detail = "you have not signed the covenant in force, as a whole or for this case under an invitation that stands: so you see no more of it";
            return Err(Problem::new(Code::Refused, detail));
        }
        self.reader(call)
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
    let before = page.after::<Uuid>()?.map_or_else(|| window::AFTER_ALL.to_owned(), |alias| alias.to_string());
    let limit = page.limit;
    let found = store::list(&mut call.app.db.reader(), organisation, &before, limit).await?;
    // What it has nothing to do with any more is passed over: then the page is shorter, and says where the next one goes on.
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
    let resume = found.last().filter(|_| full).map(|seen| seen.alias.to_string());
    let standings = standings(&call, &rules, found.iter().map(|seen| &seen.whole)).await?;
    let mut items: Vec<Value> = Vec::with_capacity(found.len());
    for seen in &found {
        let roles = seen.whole.roles(organisation, &rules, now);
        if !roles.is_empty() {
            let outside = is_outside(&standings, organisation, &seen.whole, &roles);
            items.push(view::case(seen, &Reader { organisation, roles, outside }, &rules, now));
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
    let access = look(&call, now).await?;
    let reader = access.reader(&call)?;
    let view = view::case(&access.seen, &reader, &access.rules, now);
    Ok(Answer::ok(&view)?.etag(view::tag(&view, &access.seen.whole, &reader)))
}

/// `GET /v1/cases/{id}/participants`
///
/// # Errors
/// As [`show`].
pub async fn participants(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = look(&call, now).await?;
    let (reader, whole) = (access.insider(&call)?, &access.seen.whole);
    let shown = view::shown(whole, &reader);
    let query = &mut call.app.db.reader();
    let standings = accession::standings_in(query, &access.rules.version, whole.kept.id, &shown).await?;
    all(&view::participants(whole, &reader, &standings, &access.rules, now))
}

/// `GET /v1/cases/{id}/coordinators`
///
/// # Errors
/// As [`show`].
pub async fn coordinators(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = look(&call, now).await?;
    let reader = access.insider(&call)?;
    let history = store::history(&mut call.app.db.reader(), access.seen.whole.kept.id).await?;
    all(&view::coordinators(&access.seen.whole, &history, &reader))
}

/// `GET /v1/cases/{id}/step-ups`
///
/// # Errors
/// As [`show`].
pub async fn step_ups(call: Call) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = look(&call, now).await?;
    let reader = access.insider(&call)?;
    let history = store::history(&mut call.app.db.reader(), access.seen.whole.kept.id).await?;
    all(&view::step_ups(&access.seen.whole, &history, &reader, &access.rules, now))
}

/// A collection that fits one page: those of one case are few.
fn all(items: &[Value]) -> Result<Answer, Problem> {
    Answer::ok(&serde_json::json!({ "items": items, "next": null }))
}
