//! The SQL of removals, and of whether what they name is there.

use uuid::Uuid;

use super::types::{Removal, RemovalKind};
use crate::args;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, removed_at, covenant_version, days, number, oldest, newest, digest, first_place, last_place, record \
             FROM retention_removals ",
            $rest
        )
    };
}

/// Keeps a removal with the names of what it removed; those of audit records stand at their places in the log.
pub(super) fn insert(tx: &mut Tx, removal: &Removal, names: &[String]) {
    static REMOVALS: Insert = Insert {
        rank: 1,
        table: "retention_removals",
        columns: &[
            "id",
            "kind",
            "removed_at",
            "covenant_version",
            "days",
            "number",
            "oldest",
            "newest",
            "digest",
            "names",
            "first_place",
            "last_place",
            "record",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    let place = |place: u64| i64::try_from(place).unwrap_or(i64::MAX);
    tx.append(
        &REMOVALS,
        args![
            removal.id,
            removal.kind.as_str(),
            removal.removed_at,
            &removal.covenant_version,
            i64::from(removal.days),
            i64::try_from(removal.number).unwrap_or(i64::MAX),
            removal.oldest,
            removal.newest,
            &removal.digest,
            removal.places.is_none().then(|| names.join("\n")),
            removal.places.map(|(first, _)| place(first)),
            removal.places.map(|(_, last)| place(last)),
            removal.record,
        ],
    );
}

/// A page of removals, newest first.
pub(super) async fn list(query: &mut impl Query, before: &str, limit: i64) -> Result<Vec<Removal>, Error> {
    page(query, before, limit).await?.into_iter().map(|(_, removal)| removal).collect()
}

/// The same with their identifiers, also of those that cannot be read.
pub(super) async fn page(
    query: &mut impl Query,
    before: &str,
    limit: i64,
) -> Result<Vec<(String, Result<Removal, Error>)>, Error> {
    let sql = select!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
    let rows = query.rows(sql, args![before, limit]).await?;
    rows.iter().map(|row| Ok((row.text("id")?, read(row)))).collect()
}

/// The names of what a removal took away.
pub(super) async fn names(query: &mut impl Query, removal: Uuid) -> Result<Vec<String>, Error> {
    let row = query.row("SELECT names FROM retention_removals WHERE id = $1", args![removal]).await?;
    let names = row.map(|row| row.opt_text("names")).transpose()?.flatten().unwrap_or_default();
    Ok(names.lines().map(str::to_owned).collect())
}

/// The first place of the log whose record no removal came by.
pub(super) async fn next_place(query: &mut impl Query) -> Result<u64, Error> {
    let sql = "SELECT last_place FROM retention_removals WHERE last_place IS NOT NULL ORDER BY last_place DESC LIMIT 1";
    let Some(row) = query.row(sql, args![]).await? else { return Ok(0) };
    Ok(number(row.int("last_place")?, "last_place")?.saturating_add(1))
}

/// Whether something of this kind and name is there; of a section, whether it holds anything.
pub(super) async fn is_there(query: &mut impl Query, kind: RemovalKind, name: &str) -> Result<bool, Error> {
    let mut parts = name.split('/');
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    let (sql, args) = match (kind, first, second, third) {
        (RemovalKind::Content, Some(referral), Some(part), Some(category)) => (
            "SELECT 1 AS found FROM referral_sections WHERE referral = $1 AND part = $2 AND category = $3 \
             AND (LENGTH(sealed) > 0 OR key_share IS NOT NULL)",
            args![referral, part, category],
        ),
        (RemovalKind::Referral, Some("referrals"), Some(id), None) => {
            ("SELECT 1 AS found FROM referrals WHERE id = $1", args![id])
        }
        (RemovalKind::Referral, Some("cases"), Some(id), None) => {
            ("SELECT 1 AS found FROM cases WHERE id = $1", args![id])
        }
        (RemovalKind::Consent, Some(id), None, None) => ("SELECT 1 AS found FROM consents WHERE id = $1", args![id]),
        (RemovalKind::Event, Some(id), None, None) => ("SELECT 1 AS found FROM events WHERE id = $1", args![id]),
        _ => return Err(Error::Malformed { column: "names" }),
    };
    Ok(query.row(sql, args).await?.is_some())
}

fn number(number: i64, column: &'static str) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Malformed { column })
}

fn read(row: &Row) -> Result<Removal, Error> {
    let place = |column| row.opt_int(column)?.map(|place| number(place, column)).transpose();
    Ok(Removal {
        id: row.parsed("id")?,
        kind: row.parsed("kind")?,
        removed_at: row.time("removed_at")?,
        covenant_version: row.text("covenant_version")?,
        days: u32::try_from(row.int("days")?).map_err(|_| Error::Malformed { column: "days" })?,
        number: number(row.int("number")?, "number")?,
        oldest: row.time("oldest")?,
        newest: row.time("newest")?,
        digest: row.text("digest")?,
        places: place("first_place")?.zip(place("last_place")?),
        record: row.parsed("record")?,
    })
}
