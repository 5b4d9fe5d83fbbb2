//! Setting a veto before anything was sent: a row of the sender, its record, and nothing anywhere else.

use super::types::{Veto, VetoCreation};
use super::{store, trace, view};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::lifecycle::Day;
use crate::problem::{Code, Problem, until_settled};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects;

/// `POST /v1/vetoes`
///
/// # Errors
/// 400 with everything that is wrong, 403 for a BSN without the right to use it, 409 where one of the caller blocks the resident already.
pub async fn set(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    until_settled(async || match attempt(&call).await {
        Err(problem) if !problem.is_stale() => idempotency::or_first(&call, problem).await,
        answer => answer,
    })
    .await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    let VetoCreation { subject } = call.json()?;
    let (app, now) = (&call.app, call.app.now());
    let organisation = call.caller()?.organisation.clone();
    let mistakes = subject.mistakes(Day::of(now));
    if !mistakes.is_empty() {
        return Err(Problem::invalid(mistakes));
    }
    let (rights, lets) = subjects::check_rights(call, &subject).await?;
    let named = subjects::find(call, &subject, rights).await?;
    let query = &mut app.db.reader();
    let key = revisions::subject(named.subject.as_str());
    // Before what they are about is read.
    let mut found = Revisions::default();
    found.read_also(query, revisions::covenant()).await?;
    found.read_also(query, key.clone()).await?;
    if store::blocks(query, named.subject.as_str(), &organisation).await? {
        return Err(Problem::new(
            Code::AlreadyExists,
            "a safety veto of your organisation blocks this resident already",
        ));
    }
    let engine = app.covenants.in_force(query, now).await?;
    let days = engine.covenant().deadlines.general.sender_acts_working_days;
    let veto = Veto::new(app.new_id()?, organisation, named.subject.as_str().to_owned(), None, days, now);
    let record = trace::record(call, &veto, "set", now)?;
    let (location, answer) = (format!("/v1/vetoes/{}", veto.id), view::veto(&app.pseudonyms, &veto, now));
    let mut ground = Ground { revisions: found, raises: vec![key.clone()], ..Ground::default() };
    ground.rest_on(&lets);
    named.add_to(&mut ground);
    idempotency::once(call, "set-veto", ground, async move |tx: &mut Tx| {
        // What the sender decided on without it, at this or another gateway, is decided again.
        revisions::bump(tx, &key);
        store::insert(tx, &veto).await?;
        // As a check does: what was said of a match counts only with something that is sent.
        named.keep(tx, false);
        audit::write(tx, &record);
        Ok(Answer::created(location.clone(), &answer)?.etag(veto.version))
    })
    .await
}
