//! Removes records of consent, release and agreement that ended long enough ago.
//!
//! Invariants: none that holds, none whose withdrawal is not followed up or confirmed by everybody (art. 7.1 AVG: whoever relied on it must be able
//! to show it), and none while its recorder restricts the processing about the resident (art. 18 AVG).

use uuid::Uuid;

use crate::args;
use crate::clock::Timestamp;
use crate::storage::{Error, Query, Tx, revisions};

// `$1` is the latest end: the withdrawal, or else the end of its validity.
macro_rules! over {
    () => {
        " COALESCE(withdrawn_at, valid_until) <= $1 AND to_settle IS NULL \
         AND NOT EXISTS (SELECT 1 FROM consent_confirmations f WHERE f.consent = consents.id AND f.confirmed_at IS NULL) \
         AND NOT EXISTS (SELECT 1 FROM restrictions x WHERE x.subject = consents.subject AND x.ended_at IS NULL \
         AND x.organisation = consents.organisation)"
    };
}

/// Records whose term is over, with when it began; the longest ended first.
///
/// # Errors
/// When the database fails.
pub async fn over(query: &mut impl Query, until: Timestamp, limit: i64) -> Result<Vec<(Uuid, Timestamp)>, Error> {
    let sql = concat!(
        "SELECT id, COALESCE(withdrawn_at, valid_until) AS over_since FROM consents WHERE",
        over!(),
        " ORDER BY COALESCE(withdrawn_at, valid_until), id LIMIT $2"
    );
    let rows = query.rows(sql, args![until, limit]).await?;
    rows.iter().map(|row| Ok((row.parsed("id")?, row.time("over_since")?))).collect()
}

/// Removes a record with what was given under it and what was confirmed of that; whether it did.
///
/// # Errors
/// When the database fails.
pub async fn remove(tx: &mut Tx, id: Uuid, until: Timestamp) -> Result<bool, Error> {
    let sql = concat!("UPDATE consents SET version = version + 1 WHERE id = $2 AND", over!(), " RETURNING subject");
    let Some(row) = tx.row(sql, args![until, id]).await? else { return Ok(false) };
    revisions::bump(tx, &revisions::subject(&row.text("subject")?));
    for sql in [
        "DELETE FROM consent_confirmations WHERE consent = $1",
        "DELETE FROM consent_uses WHERE consent = $1",
        "DELETE FROM consents WHERE id = $1",
    ] {
        tx.execute(sql, args![id]).await?;
    }
    Ok(true)
}
