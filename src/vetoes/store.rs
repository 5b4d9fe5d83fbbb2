//! The SQL of vetoes.

use uuid::Uuid;

use super::types::Veto;
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organisation, subject, referral, set_at, days, due_at, missed, alarm_at, conclusion, concluded_at, ended_at, weighing, ",
            "weighed_at, version FROM vetoes ",
            $rest
        )
    };
}

/// Stores a new veto.
///
/// # Errors
/// When the database fails.
pub async fn insert(tx: &mut Tx, veto: &Veto) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO vetoes (id, organisation, subject, referral, set_at, days, due_at, missed, alarm_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            veto.id,
            &veto.organisation,
            &veto.subject,
            veto.referral,
            veto.set_at,
            i64::from(veto.days),
            veto.due_at,
            i64::from(veto.missed),
            veto.alarm_at(),
            veto.version,
        ],
    )
    .await
    .map(drop)
}

/// Stores what changed, unless another change came first; whether it did.
pub(super) async fn advance(tx: &mut Tx, veto: &Veto, from_version: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE vetoes SET due_at = $3, missed = $4, alarm_at = $5, conclusion = $6, concluded_at = $7, ended_at = $8, \
             weighing = $9, weighed_at = $10, version = $11 WHERE id = $1 AND version = $2",
            args![
                veto.id,
                from_version,
                veto.due_at,
                i64::from(veto.missed),
                veto.alarm_at(),
                veto.concluded.map(|(conclusion, _)| conclusion.as_str()),
                veto.concluded.map(|(_, at)| at),
                veto.ended_at,
                veto.weighed.map(|(weighing, _)| weighing.as_str()),
                veto.weighed.map(|(_, at)| at),
                veto.version,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Whether this organisation has said that using the channel for this resident is not safe. It stands under the revision of the resident, which setting and
/// ending one raise.
///
/// # Errors
/// When the database fails.
pub async fn blocks(query: &mut impl Query, subject: &str, organisation: &Oin) -> Result<bool, Error> {
    let sql = "SELECT 1 AS found FROM vetoes WHERE subject = $1 AND organisation = $2 AND ended_at IS NULL LIMIT 1";
    Ok(query.row(sql, args![subject, organisation]).await?.is_some())
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Veto>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// A page of an organisation's own, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<Veto>, Error> {
    let sql = select!("WHERE organisation = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read).collect()
}

/// All that were ever set about a resident, by whomever.
pub(super) async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<Veto>, Error> {
    let rows = query.rows(select!("WHERE subject = $1"), args![subject]).await?;
    let mut found: Vec<Veto> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|veto| veto.id);
    Ok(found)
}

/// Of which the deadline has passed and was not told, the longest waiting first; `after` is the last one of the step before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<(Timestamp, Uuid)>, Error> {
    let sql = "SELECT alarm_at, id FROM vetoes WHERE alarm_at <= $1 AND (alarm_at, id) > ($2, $3) \
               ORDER BY alarm_at, id LIMIT $4";
    let rows = query.rows(sql, args![now, after_due, after, limit]).await?;
    rows.iter().map(|row| Ok((row.time("alarm_at")?, row.parsed("id")?))).collect()
}

fn read(row: &Row) -> Result<Veto, Error> {
    let number = |column| u32::try_from(row.int(column)?).map_err(|_| Error::Malformed { column });
    let due_at = row.opt_time("due_at")?;
    Ok(Veto {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        referral: row.opt_parsed("referral")?,
        set_at: row.time("set_at")?,
        days: number("days")?,
        due_at,
        told: due_at.is_some() && row.opt_time("alarm_at")?.is_none(),
        missed: number("missed")?,
        concluded: row.opt_parsed("conclusion")?.zip(row.opt_time("concluded_at")?),
        ended_at: row.opt_time("ended_at")?,
        weighed: row.opt_parsed("weighing")?.zip(row.opt_time("weighed_at")?),
        version: row.int("version")?,
    })
}
