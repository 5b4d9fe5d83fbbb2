//! The SQL of removals.

use uuid::Uuid;

use super::types::Removal;
use crate::args;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, removed_at, covenant_version, days, number, oldest, newest, digest, record FROM retention_removals ",
            $rest
        )
    };
}

pub(super) fn insert(tx: &mut Tx, removal: &Removal) {
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
            "record",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
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
            removal.record,
        ],
    );
}

/// A page of removals, newest first.
pub(super) async fn list(query: &mut impl Query, before: &str, limit: i64) -> Result<Vec<Removal>, Error> {
    let sql = select!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
    query.rows(sql, args![before, limit]).await?.iter().map(read).collect()
}

/// What is left of the sections that a removal took away: their names, and of how many of them something is there.
pub(super) async fn left(query: &mut impl Query, removal: Uuid) -> Result<(Vec<String>, usize), Error> {
    let sql = "SELECT referral, part, category, sealed, key_share FROM referral_sections WHERE removal = $1 \
               ORDER BY referral, part, category";
    let (mut names, mut there) = (Vec::new(), 0);
    for row in query.rows(sql, args![removal]).await? {
        names.push(format!("{}/{}/{}", row.text("referral")?, row.text("part")?, row.text("category")?));
        there += usize::from(!row.bytes("sealed")?.is_empty() || row.opt_text("key_share")?.is_some());
    }
    Ok((names, there))
}

fn read(row: &Row) -> Result<Removal, Error> {
    Ok(Removal {
        id: row.parsed("id")?,
        kind: row.parsed("kind")?,
        removed_at: row.time("removed_at")?,
        covenant_version: row.text("covenant_version")?,
        days: u32::try_from(row.int("days")?).map_err(|_| Error::Malformed { column: "days" })?,
        number: u64::try_from(row.int("number")?).map_err(|_| Error::Malformed { column: "number" })?,
        oldest: row.time("oldest")?,
        newest: row.time("newest")?,
        digest: row.text("digest")?,
        record: row.parsed("record")?,
    })
}
