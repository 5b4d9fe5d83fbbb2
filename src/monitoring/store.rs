//! SQL of the numbers that are looked up when somebody asks. Each counts along a partial index of what is still to be done, and stops
//! counting at [`MOST`], so that a long backlog makes no question slow.

use crate::args;
use crate::clock::Timestamp;
use crate::storage::{Error, Query};

/// A backlog is counted up to this number.
pub(super) const MOST: i64 = 100_000;

/// How much waits, and since when the oldest of it does, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) waiting: i64,
    pub(super) since: Option<i64>,
}

/// Committed events without a position.
pub(super) async fn events(query: &mut impl Query) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(time) AS since FROM \
               (SELECT time FROM events WHERE position IS NULL ORDER BY entry LIMIT $1) AS backlog";
    backlog(query, sql).await
}

/// Deliveries that are owed.
pub(super) async fn deliveries(query: &mut impl Query) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(created_at) AS since FROM \
               (SELECT created_at FROM deliveries WHERE status = 'pending' \
               ORDER BY subscription, next_attempt_at, position LIMIT $1) AS backlog";
    backlog(query, sql).await
}

/// Records that are not in the log yet; one that was refused never will be.
pub(super) async fn records(query: &mut impl Query) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(time) AS since FROM \
               (SELECT time FROM audit_records WHERE leaf_index IS NULL AND refused = 0 ORDER BY entry LIMIT $1) AS backlog";
    backlog(query, sql).await
}

/// Reviews of break-glass that should have been concluded by now.
pub(super) async fn reviews(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(review_due_at) AS since FROM \
               (SELECT review_due_at FROM emergency_accesses WHERE concluded_at IS NULL AND review_due_at <= $2 \
               ORDER BY review_due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// Residents who should have been informed of break-glass by now.
pub(super) async fn informing(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(inform_due_at) AS since FROM \
               (SELECT inform_due_at FROM emergency_accesses WHERE inform_due_at <= $2 \
               ORDER BY inform_due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// Incidents that a party should have assessed by now.
pub(super) async fn assessments(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(assess_due_at) AS since FROM \
               (SELECT assess_due_at FROM incident_duties WHERE assessment IS NULL AND assess_due_at <= $2 \
               ORDER BY assess_due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// What should have been deleted after incidents by now.
pub(super) async fn deletions(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(delete_due_at) AS since FROM \
               (SELECT delete_due_at FROM incident_duties \
               WHERE delete_due_at IS NOT NULL AND deleted_at IS NULL AND delete_due_at <= $2 \
               ORDER BY delete_due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// Objections that should have been weighed by now.
pub(super) async fn objections(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(due_at) AS since FROM \
               (SELECT due_at FROM objections WHERE weighed_at IS NULL AND ended_at IS NULL AND due_at <= $2 \
               ORDER BY due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// Residents who should have heard by now what a party received about them.
pub(super) async fn duties(query: &mut impl Query, now: Timestamp) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(due_at) AS since FROM \
               (SELECT due_at FROM informing_duties WHERE outcome IS NULL AND due_at <= $2 \
               ORDER BY due_at LIMIT $1) AS backlog";
    overdue(query, sql, now).await
}

/// Keys of what was taken away that are still to be destroyed.
pub(super) async fn key_destructions(query: &mut impl Query) -> Result<Backlog, Error> {
    let sql = "SELECT COUNT(*) AS waiting, MIN(requested_at) AS since FROM \
               (SELECT requested_at FROM key_destructions WHERE destroyed_at IS NULL \
               ORDER BY requested_at, share LIMIT $1) AS backlog";
    backlog(query, sql).await
}

async fn overdue(query: &mut impl Query, sql: &'static str, now: Timestamp) -> Result<Backlog, Error> {
    let row = query.row(sql, args![MOST, now]).await?;
    let Some(row) = row else { return Ok(Backlog { waiting: 0, since: None }) };
    Ok(Backlog { waiting: row.int("waiting")?, since: row.opt_int("since")? })
}

async fn backlog(query: &mut impl Query, sql: &'static str) -> Result<Backlog, Error> {
    let row = query.row(sql, args![MOST]).await?;
    let Some(row) = row else { return Ok(Backlog { waiting: 0, since: None }) };
    Ok(Backlog { waiting: row.int("waiting")?, since: row.opt_int("since")? })
}
