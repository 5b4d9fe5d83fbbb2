//! `Idempotency-Key`: a creating request that is repeated gets the first answer again, and happens once.
//!
//! The answer is stored in the transaction of the change itself, so that of several concurrent repeats one happens and
//! the others find its answer. It is stored sealed, for an answer may hold a secret (a new webhook secret). Keys are kept for
//! 30 days and belong to one client and route.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Body, Call, IdempotencyTicket};
use crate::app::App;
use crate::args;
use crate::clock::Timestamp;
use crate::problem::{Code, Problem};
use crate::storage::{self, Claim, Ground, Insert, Otherwise, Query, Tx, window};

/// As microseconds it stands in the statement of [`store`], too.
const KEPT: Duration = Duration::from_hours(30 * 24);

#[derive(Serialize, Deserialize)]
struct Stored {
    headers: Vec<(String, String)>,
    body: Value,
}

/// The headers that a stored answer may have; their names come back as constants.
const HEADERS: [&str; 3] = ["Location", "ETag", "Content-Type"];

/// The first answer, if this key was used before; outside a transaction, to save the work.
///
/// # Errors
/// 409 when the key was used with another body.
pub async fn earlier(call: &Call) -> Result<Option<Answer>, Problem> {
    find(&mut call.app.db.reader(), &call.app, call.ticket()?).await
}

/// Forgets answers that were kept long enough, a few at a time so that others are not held up. Answers whether there may be more.
///
/// # Errors
/// When the database fails.
pub async fn throw_away(tx: &mut Tx, now: Timestamp) -> Result<bool, storage::Error> {
    let oldest =
        "SELECT expires_at AS moment FROM idempotency WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
    let (until, more) = window::oldest(tx, oldest, now).await?;
    tx.execute("DELETE FROM idempotency WHERE expires_at BETWEEN $1 AND $2", args![0_i64, until]).await?;
    Ok(more)
}

/// Runs `job` on its ground unless its key was used before, and keeps its answer, both in one transaction.
///
/// # Errors
/// The job's own, [`Problem::stale`] when the ground has moved, and 409 when the key was used with another body.
pub async fn once<F>(call: &Call, name: &'static str, ground: Ground, job: F) -> Result<Answer, Problem>
where
    F: AsyncFn(&mut Tx) -> Result<Answer, Problem> + Send + 'static,
{
    let (app, ticket) = (call.app.clone(), call.ticket()?.clone());
    let claim = Claim { scope: ticket.scope.clone(), key: ticket.key.clone(), at: app.now() };
    let ground = Ground { claim: Some(claim), ..ground };
    let parts = call.app.db.write_on(ground, name, async move |tx: &mut Tx| {
        let answer = to_parts(job(tx).await?)?;
        store(tx, &app, &ticket, &answer)?;
        Ok(answer)
    });
    match parts.await {
        Ok(parts) => Ok(from_parts(parts)),
        Err(problem) => or_first(call, problem).await,
    }
}

/// The first answer instead of a failure, where the request is a repeat: what the first one has changed may be noticed before its
/// key is.
///
/// # Errors
/// The failure, when the request is no repeat; 409 when its key was used with another body.
pub async fn or_first(call: &Call, failure: Problem) -> Result<Answer, Problem> {
    match earlier(call).await {
        Ok(Some(answer)) => Ok(answer),
        Err(problem) if problem.code() == Code::IdempotencyKeyReused => Err(problem),
        Ok(None) | Err(_) => Err(failure),
    }
}

type Parts = (u16, Stored);

fn to_parts(answer: Answer) -> Result<Parts, Problem> {
    let Answer { status, headers, body } = answer;
    let body = match body {
        Body::Json(body) => body,
        Body::Empty => Value::Null,
        Body::Bytes(..) | Body::Stream(..) => return Err(Problem::internal("only JSON answers can be repeated")),
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((status, Stored { headers, body }))
}

fn from_parts((status, stored): Parts) -> Answer {
    let headers = stored
        .headers
        .into_iter()
        .filter_map(|(name, value)| HEADERS.iter().find(|known| **known == name).map(|known| (*known, value)))
        .collect();
    let body = if stored.body.is_null() { Body::Empty } else { Body::Json(stored.body) };
    Answer { status, headers, body }
}

fn place(ticket: &IdempotencyTicket) -> String {
    format!("idempotency/answer/{}/{}", ticket.scope, ticket.key)
}

async fn find(query: &mut impl Query, app: &App, ticket: &IdempotencyTicket) -> Result<Option<Answer>, Problem> {
    let row = query
        .row(
            "SELECT body_digest, status, answer FROM idempotency WHERE scope = $1 AND key = $2 AND expires_at > $3",
            args![&ticket.scope, &ticket.key, app.now()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    // Kept keyed, and also found again after the key-encryption key was rotated.
    if !app.sealer.verify_mac("idempotency", &ticket.body_digest, &row.bytes("body_digest")?) {
        return Err(Problem::new(Code::IdempotencyKeyReused, "use a fresh Idempotency-Key for another request"));
    }
    let plain = app.sealer.open(&place(ticket), &row.bytes("answer")?)?;
    let status =
        u16::try_from(row.int("status")?).map_err(|_| Problem::internal("a stored status is no HTTP status"))?;
    Ok(Some(from_parts((status, serde_json::from_slice(&plain)?))))
}

fn store(tx: &mut Tx, app: &App, ticket: &IdempotencyTicket, (status, answer): &Parts) -> Result<(), Problem> {
    static ANSWERS: Insert = Insert {
        rank: 1,
        table: "idempotency",
        columns: &["scope", "key", "body_digest", "status", "answer", "expires_at"],
        // One that has had its term makes room; one that counts means that another writer was faster with the same key.
        conflict: "ON CONFLICT (scope, key) DO UPDATE SET body_digest = excluded.body_digest, status = excluded.status, \
                   answer = excluded.answer, expires_at = excluded.expires_at \
                   WHERE idempotency.expires_at <= excluded.expires_at - 2592000000000",
        otherwise: Otherwise::Lost,
    };
    let sealed = app.sealer.seal(&place(ticket), &serde_json::to_vec(answer)?)?;
    let now = app.now();
    let digest = app.sealer.mac("idempotency", &ticket.body_digest).to_vec();
    tx.append(&ANSWERS, args![&ticket.scope, &ticket.key, digest, i64::from(*status), sealed, now.plus(KEPT)]);
    Ok(())
}
