//! The SQL of objections.

use uuid::Uuid;

use super::types::{Ended, Extension, Objection, Outcome, Reported, Status, Weighed};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::PurposeCode;
use crate::ids::Oin;
use crate::policy;
use crate::rights::asked::{Asked, What};
use crate::rights::told::Told;
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organisation, subject, purposes, obtained_at, recorded_at, due_at, extension, ",
            "extension_informed_at, outcome, ground, informed_at, method, weighed_at, ending, taken_back_at, ",
            "taken_back_method, ended_at, version FROM objections ",
            $rest
        )
    };
}

pub(super) async fn insert(tx: &mut Tx, objection: &Objection) -> Result<(), Error> {
    let sql = "INSERT INTO objections (id, organisation, subject, purposes, obtained_at, recorded_at, due_at, stands, version) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)";
    let purposes = objection
        .purposes
        .as_ref()
        .map(|purposes| purposes.iter().map(PurposeCode::as_str).collect::<serde_json::Value>().to_string());
    let Objection { id, organisation, subject, obtained_at, recorded_at, due_at, version, .. } = objection;
    let args = args![*id, organisation, subject, purposes, *obtained_at, *recorded_at, *due_at, *version];
    tx.execute(sql, args).await.map(drop)
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Objection>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// Notes the extension, unless the objection has changed since it was read; whether it did.
pub(super) async fn extend(
    tx: &mut Tx,
    objection: &Objection,
    extension: &Extension,
    due_at: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE objections SET extension = $3, extension_informed_at = $4, due_at = $5, version = version + 1 \
               WHERE id = $1 AND version = $2";
    let args = args![objection.id, objection.version, extension.reason.as_str(), extension.informed_at, due_at];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Notes the weighing, unless the objection has changed since it was read; whether it did.
pub(super) async fn weigh(tx: &mut Tx, objection: &Objection, weighed: &Weighed) -> Result<bool, Error> {
    let sql = "UPDATE objections SET outcome = $3, ground = $4, informed_at = $5, method = $6, weighed_at = $7, stands = $8, \
               version = version + 1 WHERE id = $1 AND version = $2";
    let Weighed { outcome, ground, told, at } = weighed;
    let args = args![
        objection.id,
        objection.version,
        outcome.as_str(),
        ground.map(super::types::Ground::as_str),
        told.at,
        told.method.as_str(),
        *at,
        *outcome == Outcome::Upheld,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Notes that it was ended, from when on it stops nothing, unless the objection has changed since it was read; whether it did.
pub(super) async fn end(tx: &mut Tx, objection: &Objection, ended: &Ended) -> Result<bool, Error> {
    let sql = "UPDATE objections SET ending = $3, taken_back_at = $4, taken_back_method = $5, ended_at = $6, stands = 0, \
               version = version + 1 WHERE id = $1 AND version = $2";
    let Ended { reason, taken_back_at, method, at } = ended;
    let args = args![objection.id, objection.version, reason.as_str(), *taken_back_at, method.as_str(), *at];
    Ok(tx.execute(sql, args).await? == 1)
}

/// What stands about a resident, by whomever it was recorded.
pub(in crate::rights) async fn standing(query: &mut impl Query, subject: &str) -> Result<Vec<Asked>, Error> {
    let sql = select!("WHERE subject = $1 AND stands = 1");
    let found: Vec<Objection> = query.rows(sql, args![subject]).await?.iter().map(read).collect::<Result<_, _>>()?;
    let asked = |objection: Objection| {
        let weighed = match objection.weighed {
            None => policy::Objection::NotWeighed,
            Some(_) => policy::Objection::Upheld,
        };
        let what = What::Objection { purposes: objection.purposes, weighed };
        Asked { organisation: objection.organisation, what }
    };
    Ok(found.into_iter().map(asked).collect())
}

/// What was recorded of one resident, by whomever and however it stands, in the order of recording.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str, now: Timestamp) -> Result<Vec<Reported>, Error> {
    let rows = query.rows(select!("WHERE subject = $1"), args![subject]).await?;
    let mut found: Vec<Objection> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|objection| objection.id);
    Ok(found.into_iter().map(|objection| objection.reported(now)).collect())
}

/// A page of an organisation's own, newest first. One with a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    status: Option<Status>,
    now: Timestamp,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Objection>, Error> {
    const END: &str =
        "SELECT id FROM objections WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let before = before.unwrap_or(window::AFTER_ALL);
    let (rows, end) = match status {
        None => {
            let sql = select!("WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT $2");
            (query.rows(sql, args![before, limit, organisation]).await?, None)
        }
        Some(status) => {
            let end = window::end(query, END, args![before, WINDOW - 1, organisation]).await?;
            let sql = select!(
                "WHERE organisation = $3 AND id < $1 AND id >= $4 AND ((ended_at IS NULL AND (($5 = 'open' AND weighed_at IS NULL \
                 AND due_at > $6) OR ($5 = 'overdue' AND weighed_at IS NULL AND due_at <= $6) OR outcome = $5)) OR ending = $5) \
                 ORDER BY id DESC LIMIT $2"
            );
            let from = end.as_deref().unwrap_or_default();
            (query.rows(sql, args![before, limit, organisation, from, status.as_str(), now]).await?, end)
        }
    };
    Ok(Found::new(rows.iter().map(read).collect::<Result<_, _>>()?, limit, end))
}

/// What should have been weighed by now and was not yet told, the longest waiting first; `after` is the last one of the page before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Objection>, Error> {
    let sql = select!(
        "WHERE weighed_at IS NULL AND ended_at IS NULL AND overdue_at IS NULL AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4"
    );
    query.rows(sql, args![now, after_due, after, limit]).await?.iter().map(read).collect()
}

/// Notes that this was told, unless it has changed since it was read; whether it did.
pub(super) async fn note_overdue(tx: &mut Tx, id: Uuid, version: i64, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE objections SET overdue_at = $3, version = version + 1 WHERE id = $1 AND version = $2";
    Ok(tx.execute(sql, args![id, version, now]).await? == 1)
}

fn read(row: &Row) -> Result<Objection, Error> {
    let weighed = match row.opt_parsed::<Outcome>("outcome")? {
        None => None,
        Some(outcome) => Some(Weighed {
            outcome,
            ground: row.opt_parsed("ground")?,
            told: Told { at: row.time("informed_at")?, method: row.parsed("method")? },
            at: row.time("weighed_at")?,
        }),
    };
    let extension = match row.opt_parsed("extension")? {
        None => None,
        Some(reason) => Some(Extension { reason, informed_at: row.time("extension_informed_at")? }),
    };
    let ended = match row.opt_parsed("ending")? {
        None => None,
        Some(reason) => Some(Ended {
            reason,
            taken_back_at: row.time("taken_back_at")?,
            method: row.parsed("taken_back_method")?,
            at: row.time("ended_at")?,
        }),
    };
    let purposes = row.opt_text("purposes")?.is_some().then(|| row.json("purposes")).transpose()?;
    Ok(Objection {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        purposes,
        obtained_at: row.time("obtained_at")?,
        recorded_at: row.time("recorded_at")?,
        due_at: row.time("due_at")?,
        extension,
        weighed,
        ended,
        version: row.int("version")?,
    })
}
