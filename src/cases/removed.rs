//! Removes cases that were closed long enough ago, after the last of their referrals.
//!
//! A case has no term of its own: it is kept as long as a referral in it. Invariant: none is removed while a referral is in it, nor from a time that the
//! monitor has not counted yet.

use uuid::Uuid;

use crate::args;
use crate::clock::Timestamp;
use crate::storage::{Error, Query, Tx};

// `$1` is the latest close, `$2` the first moment that the monitor has not counted. Whoever sends in a case has an alias of it.
macro_rules! over {
    () => {
        " closed_at IS NOT NULL AND closed_at <= $1 AND closed_at < $2 AND NOT EXISTS (SELECT 1 FROM case_aliases a \
         JOIN referrals r ON r.sender = a.organisation AND r.case_id = a.case_id WHERE a.case_id = cases.id LIMIT 1)"
    };
}

/// Closed cases without referrals, with when they were closed; the longest closed first.
///
/// # Errors
/// When the database fails.
pub async fn over(
    query: &mut impl Query,
    (until, uncounted): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<(Uuid, Timestamp)>, Error> {
    let sql = concat!("SELECT id, closed_at FROM cases WHERE", over!(), " ORDER BY closed_at, id LIMIT $3");
    let rows = query.rows(sql, args![until, uncounted, limit]).await?;
    rows.iter().map(|row| Ok((row.parsed("id")?, row.time("closed_at")?))).collect()
}

/// Removes a case with everything that is kept of it; whether it did.
///
/// # Errors
/// When the database fails.
pub async fn remove(tx: &mut Tx, id: Uuid, (until, uncounted): (Timestamp, Timestamp)) -> Result<bool, Error> {
    let sql = concat!("UPDATE cases SET version = version + 1 WHERE id = $3 AND", over!());
    if tx.execute(sql, args![until, uncounted, id]).await? == 0 {
        return Ok(false);
    }
    // What was signed for this case alone ends with it; the log keeps that it was signed.
    for sql in [
        "DELETE FROM covenant_case_signatures WHERE case_id = $1",
        "DELETE FROM case_history WHERE case_id = $1",
        "DELETE FROM case_invitations WHERE case_id = $1",
        "DELETE FROM case_aliases WHERE case_id = $1",
        "DELETE FROM cases WHERE id = $1",
    ] {
        tx.execute(sql, args![id]).await?;
    }
    Ok(true)
}
