//! Removes referrals whose own term is over, after their content.
//!
//! Invariants: a referral goes after its content and not before its case was closed as long ago; not while a party restricts the processing about the
//! resident (art. 18 AVG), or one of the parties still has something to do because of it: to inform the resident, to assess or delete after an
//! incident, to review break-glass; and not from a time that the monitor has not counted yet.

use uuid::Uuid;

use super::destroyed;
use crate::args;
use crate::clock::Timestamp;
use crate::rights;
use crate::storage::{Error, Query, Tx};

// `$1` is the latest end, `$2` the first moment that the monitor has not counted.
macro_rules! over {
    () => {
        " ended_at IS NOT NULL AND content_removed_at IS NOT NULL AND ended_at <= $1 AND updated_at < $2 \
         AND (case_id IS NULL OR EXISTS (SELECT 1 FROM cases c WHERE c.id = referrals.case_id AND c.closed_at <= $1)) \
         AND NOT EXISTS (SELECT 1 FROM restrictions x WHERE x.subject = referrals.subject AND x.ended_at IS NULL \
         AND x.organisation IN (referrals.sender, referrals.recipient)) \
         AND NOT EXISTS (SELECT 1 FROM informing_duties d WHERE d.referral = referrals.id AND d.outcome IS NULL) \
         AND NOT EXISTS (SELECT 1 FROM incidents i JOIN incident_duties m ON m.incident = i.id WHERE i.referral = referrals.id \
         AND (m.assessment IS NULL OR (m.delete_due_at IS NOT NULL AND m.deleted_at IS NULL))) \
         AND NOT EXISTS (SELECT 1 FROM emergency_accesses e WHERE e.id = referrals.emergency_access \
         AND (e.concluded_at IS NULL OR e.inform_due_at IS NOT NULL))"
    };
}

/// Referrals whose term is over, with when it began; the longest ended first. `uncounted` is the first moment that the monitor has not counted.
///
/// # Errors
/// When the database fails.
pub async fn over(
    query: &mut impl Query,
    (until, uncounted): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<(Uuid, Timestamp)>, Error> {
    let sql = concat!("SELECT id, ended_at FROM referrals WHERE", over!(), " ORDER BY ended_at, id LIMIT $3");
    let rows = query.rows(sql, args![until, uncounted, limit]).await?;
    rows.iter().map(|row| Ok((row.parsed("id")?, row.time("ended_at")?))).collect()
}

/// Removes a referral with its updates, corrections and what is left of its sections, unless its term is not over any more; whether it did.
///
/// # Errors
/// When the database fails.
pub async fn remove(
    tx: &mut Tx,
    id: Uuid,
    (until, uncounted): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<bool, Error> {
    // The version takes the row: a step that comes at this moment finds another one, and then none.
    let sql = concat!("UPDATE referrals SET version = version + 1 WHERE id = $3 AND", over!());
    if tx.execute(sql, args![until, uncounted, id]).await? == 0 {
        return Ok(false);
    }
    rights::forget_informing(tx, id).await?;
    destroyed::everything(tx, id, now).await?;
    for sql in [
        "DELETE FROM referral_corrections WHERE referral = $1",
        "DELETE FROM referral_updates WHERE referral = $1",
        "DELETE FROM referrals WHERE id = $1",
    ] {
        tx.execute(sql, args![id]).await?;
    }
    Ok(true)
}
