//! The SQL of confirmations.

use uuid::Uuid;

use super::types::{Confirmation, Outcome, Received, Retention, Said};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::BasisCode;
use crate::ids::Oin;
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, consent, recorder, organisation, subject, received, asked_at, due_at, outcome, legal_basis, retention, ",
            "confirmed_at FROM consent_confirmations ",
            $rest
        )
    };
}

pub(super) fn insert(tx: &mut Tx, confirmation: &Confirmation, received: String) {
    static CONFIRMATIONS: Insert = Insert {
        rank: 2,
        table: "consent_confirmations",
        columns: &["id", "consent", "recorder", "organisation", "subject", "received", "asked_at", "due_at"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    tx.append(
        &CONFIRMATIONS,
        args![
            confirmation.id,
            confirmation.consent,
            &confirmation.recorder,
            &confirmation.organisation,
            &confirmation.subject,
            received,
            confirmation.asked_at,
            confirmation.due_at,
        ],
    );
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Confirmation>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// A page of what the recipients of one consent confirm, in order of the ids.
pub(super) async fn of_consent(
    query: &mut impl Query,
    consent: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Confirmation>, Error> {
    let sql = select!("WHERE consent = $1 AND id > $2 ORDER BY id LIMIT $3");
    query.rows(sql, args![consent, after, limit]).await?.iter().map(read).collect()
}

/// What organisations confirm, or have to, about a resident.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<Confirmation>, Error> {
    let rows = query.rows(select!("WHERE subject = $1"), args![subject]).await?;
    let mut found: Vec<Confirmation> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|confirmation| confirmation.id);
    Ok(found)
}

/// Notes what was said, unless that may not be said any more; whether it did. `Confirmation::may_say` says the same.
pub(super) async fn say(tx: &mut Tx, id: Uuid, said: &Said, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE consent_confirmations SET outcome = $2, legal_basis = $3, retention = $4, confirmed_at = $5 \
               WHERE id = $1 AND (outcome IS NULL OR (outcome = 'kept' AND $2 = 'deleted'))";
    let (basis, retention) =
        (said.legal_basis.as_ref().map(BasisCode::as_str), said.retention_law.map(Retention::as_str));
    Ok(tx.execute(sql, args![id, said.outcome.as_str(), basis, retention, now]).await? == 1)
}

/// What should have been confirmed by now and was not yet noted as overdue, the longest waiting first; `after` is the last one of the page before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Confirmation>, Error> {
    let sql = select!(
        "WHERE confirmed_at IS NULL AND overdue_at IS NULL AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4"
    );
    query.rows(sql, args![now, after_due, after, limit]).await?.iter().map(read).collect()
}

/// Notes that it is overdue, unless that was noted or it was confirmed; whether it did.
pub(super) async fn note_overdue(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE consent_confirmations SET overdue_at = $2 \
               WHERE id = $1 AND confirmed_at IS NULL AND overdue_at IS NULL";
    Ok(tx.execute(sql, args![id, now]).await? == 1)
}

/// Whose confirmations are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// Those that this organisation gives.
    Confirmer(&'a Oin),
    /// Those about consents that this organisation recorded.
    Recorder(&'a Oin),
    /// Everybody's.
    All,
}

/// A page of confirmations, newest first. One with a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    whose: Whose<'_>,
    status: Option<&str>,
    now: Timestamp,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Confirmation>, Error> {
    macro_rules! filtered {
        ($owner:literal) => {
            concat!(
                select!("WHERE "),
                $owner,
                "id < $1 AND id >= $3 AND (($4 = 'open' AND confirmed_at IS NULL AND due_at > $5) \
                 OR ($4 = 'overdue' AND confirmed_at IS NULL AND due_at <= $5) OR outcome = $4) ORDER BY id DESC LIMIT $2"
            )
        };
    }
    let before = before.unwrap_or(window::AFTER_ALL);
    let mut args = args![before, limit];
    let mut end = None;
    if let Some(status) = status {
        end = window_end(query, whose, before).await?;
        args.extend(args![end.as_deref().unwrap_or_default(), status, now]);
    }
    let sql = match (whose, status.is_some()) {
        (Whose::All, false) => select!("WHERE id < $1 ORDER BY id DESC LIMIT $2"),
        (Whose::Confirmer(_), false) => select!("WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT $2"),
        (Whose::Recorder(_), false) => select!("WHERE recorder = $3 AND id < $1 ORDER BY id DESC LIMIT $2"),
        (Whose::All, true) => filtered!(""),
        (Whose::Confirmer(_), true) => filtered!("organisation = $6 AND "),
        (Whose::Recorder(_), true) => filtered!("recorder = $6 AND "),
    };
    match whose {
        Whose::Confirmer(organisation) | Whose::Recorder(organisation) => args.push(organisation.into()),
        Whose::All => {}
    }
    let items = query.rows(sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Found::new(items, limit, end))
}

async fn window_end(query: &mut impl Query, whose: Whose<'_>, before: &str) -> Result<Option<String>, Error> {
    const CONFIRMER: &str =
        "SELECT id FROM consent_confirmations WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    const RECORDER: &str =
        "SELECT id FROM consent_confirmations WHERE recorder = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    const ALL: &str = "SELECT id FROM consent_confirmations WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let mut args = args![before, WINDOW - 1];
    let (sql, owner) = match whose {
        Whose::Confirmer(organisation) => (CONFIRMER, Some(organisation)),
        Whose::Recorder(organisation) => (RECORDER, Some(organisation)),
        Whose::All => (ALL, None),
    };
    args.extend(owner.map(Into::into));
    window::end(query, sql, args).await
}

/// How many confirmations are waited for, and how many of them should have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// All of them.
    pub open: i64,
    /// The overdue ones.
    pub overdue: i64,
}

/// Counts what is outstanding, either number up to `most`.
///
/// # Errors
/// When the database fails.
pub async fn outstanding(query: &mut impl Query, now: Timestamp, most: i64) -> Result<Outstanding, Error> {
    let open = "SELECT COUNT(*) AS number FROM (SELECT id FROM consent_confirmations WHERE confirmed_at IS NULL \
                ORDER BY due_at, id LIMIT $1) AS backlog";
    let overdue = "SELECT COUNT(*) AS number FROM (SELECT id FROM consent_confirmations WHERE confirmed_at IS NULL \
                   AND due_at <= $2 ORDER BY due_at, id LIMIT $1) AS backlog";
    let open = query.row(open, args![most]).await?.map_or(Ok(0), |row| row.int("number"))?;
    let overdue = query.row(overdue, args![most, now]).await?.map_or(Ok(0), |row| row.int("number"))?;
    Ok(Outstanding { open, overdue })
}

fn read(row: &Row) -> Result<Confirmation, Error> {
    let said = match row.opt_parsed::<Outcome>("outcome")? {
        None => None,
        Some(outcome) => {
            let said = Said {
                outcome,
                legal_basis: row.opt_parsed("legal_basis")?,
                retention_law: row.opt_parsed("retention")?,
            };
            Some((said, row.time("confirmed_at")?))
        }
    };
    Ok(Confirmation {
        id: row.parsed("id")?,
        consent: row.parsed("consent")?,
        recorder: row.parsed("recorder")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        received: row.json::<Vec<Received>>("received")?,
        asked_at: row.time("asked_at")?,
        due_at: row.time("due_at")?,
        said,
    })
}
