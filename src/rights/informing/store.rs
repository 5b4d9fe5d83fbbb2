//! The SQL of duties to inform.

use uuid::Uuid;

use super::types::{Duty, Notification, Opening, Outcome, Status};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::rights::told::Method;
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, referral, organisation, subject, given_at, opened_at, due_at, outcome, version FROM informing_duties ",
            $rest
        )
    };
}

/// Opens the duty of whoever reads content of a referral; where it has one already, that stays.
pub fn open(tx: &mut Tx, opening: &Opening) {
    static DUTIES: Insert = Insert {
        rank: 1,
        table: "informing_duties",
        columns: &["id", "referral", "organisation", "subject", "given_at", "opened_at", "due_at", "version"],
        conflict: "ON CONFLICT (referral, organisation) DO NOTHING",
        otherwise: Otherwise::Fine,
    };
    let Opening { id, referral, organisation, subject, given_at, opened_at, due_at } = opening;
    tx.append(&DUTIES, args![*id, *referral, organisation, subject, *given_at, *opened_at, *due_at, 1_i64]);
}

/// Forgets the duties about a referral that is removed, with what was noted of them; the log keeps that they were met.
///
/// # Errors
/// When the database fails.
pub async fn forget(tx: &mut Tx, referral: Uuid) -> Result<(), Error> {
    let sql = "DELETE FROM informing_notifications WHERE duty IN (SELECT id FROM informing_duties WHERE referral = $1)";
    tx.execute(sql, args![referral]).await?;
    tx.execute("DELETE FROM informing_duties WHERE referral = $1", args![referral]).await.map(drop)
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Duty>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

pub(super) async fn of_referral(
    query: &mut impl Query,
    referral: Uuid,
    organisation: &Oin,
) -> Result<Option<Duty>, Error> {
    let sql = select!("WHERE referral = $1 AND organisation = $2");
    query.row(sql, args![referral, organisation]).await?.as_ref().map(read).transpose()
}

/// Records something, unless the duty has changed since it was read; whether it did.
pub(super) async fn note(tx: &mut Tx, duty: &Duty, notification: &Notification) -> Result<bool, Error> {
    let sql = "UPDATE informing_duties SET outcome = $3, version = version + 1 WHERE id = $1 AND version = $2";
    if tx.execute(sql, args![duty.id, duty.version, notification.outcome.as_str()]).await? != 1 {
        return Ok(false);
    }
    let sql = "INSERT INTO informing_notifications (id, duty, version, outcome, informed_at, method, recorded_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Notification { id, outcome, informed_at, method, recorded_at } = notification;
    let method = method.map(Method::as_str);
    let args = args![*id, duty.id, duty.version + 1, outcome.as_str(), *informed_at, method, *recorded_at];
    tx.execute(sql, args).await.map(|_| true)
}

/// What was recorded of it, in its order: an exemption and that the resident was informed at most.
pub(super) async fn notifications(query: &mut impl Query, duty: Uuid) -> Result<Vec<Notification>, Error> {
    let sql = "SELECT id, outcome, informed_at, method, recorded_at FROM informing_notifications WHERE duty = $1 ORDER BY version";
    let read = |row: &Row| {
        Ok(Notification {
            id: row.parsed("id")?,
            outcome: row.parsed::<Outcome>("outcome")?,
            informed_at: row.opt_time("informed_at")?,
            method: row.opt_parsed("method")?,
            recorded_at: row.time("recorded_at")?,
        })
    };
    query.rows(sql, args![duty]).await?.iter().map(read).collect()
}

/// A page of an organisation's own, newest first. One with a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    status: Option<Status>,
    now: Timestamp,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Duty>, Error> {
    const END: &str =
        "SELECT id FROM informing_duties WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let before = before.unwrap_or(window::AFTER_ALL);
    let (rows, end) = match status {
        None => {
            let sql = select!("WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT $2");
            (query.rows(sql, args![before, limit, organisation]).await?, None)
        }
        Some(status) => {
            let end = window::end(query, END, args![before, WINDOW - 1, organisation]).await?;
            let sql = select!(
                "WHERE organisation = $3 AND id < $1 AND id >= $4 AND (($5 = 'open' AND outcome IS NULL AND due_at > $6) \
                 OR ($5 = 'overdue' AND outcome IS NULL AND due_at <= $6) OR ($5 = 'informed' AND outcome = 'informed') \
                 OR ($5 = 'exempt' AND outcome <> 'informed')) ORDER BY id DESC LIMIT $2"
            );
            let from = end.as_deref().unwrap_or_default();
            (query.rows(sql, args![before, limit, organisation, from, status.as_str(), now]).await?, end)
        }
    };
    Ok(Found::new(rows.iter().map(read).collect::<Result<_, _>>()?, limit, end))
}

/// What is overdue and was not yet told, the longest waiting first; `after` is the last one of the page before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Duty>, Error> {
    let sql = select!(
        "WHERE outcome IS NULL AND overdue_at IS NULL AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4"
    );
    query.rows(sql, args![now, after_due, after, limit]).await?.iter().map(read).collect()
}

/// Notes that this was told, unless it has changed since it was read; whether it did.
pub(super) async fn note_overdue(tx: &mut Tx, id: Uuid, version: i64, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE informing_duties SET overdue_at = $3, version = version + 1 WHERE id = $1 AND version = $2";
    Ok(tx.execute(sql, args![id, version, now]).await? == 1)
}

fn read(row: &Row) -> Result<Duty, Error> {
    Ok(Duty {
        id: row.parsed("id")?,
        referral: row.parsed("referral")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        given_at: row.time("given_at")?,
        opened_at: row.time("opened_at")?,
        due_at: row.time("due_at")?,
        outcome: row.opt_parsed("outcome")?,
        version: row.int("version")?,
    })
}
