//! The transactional outbox: events are written with the change they tell of, and get their place in the feed after it.
//!
//! Invariants: an event exists if and only if its change does. Positions follow the order of commits, so that a cursor never passes
//! an event that appears later: only committed rows get one, and one sequencer at a time gives them out. Each feed counts for itself,
//! from 1 without gaps, so that a partner notices a loss and learns nothing about the traffic of others.

use super::event::{Event, Published};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

/// At most this many events get their position in one transaction.
const BATCH: i64 = 500;

/// Serialises sequencers on `PostgreSQL`, in this and in other gateways on the same database, until the transaction ends. Any constant
/// does; it only has to be the same in every gateway.
const LOCK: &str = "SELECT pg_advisory_xact_lock(730581, hashtext(current_schema()))";

/// What [`sequence`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    /// How many events got their position.
    pub events: u64,
    /// Whether there may be more to do.
    pub more: bool,
}

/// Writes an event in the transaction of the change that it tells of, and asks for the sequencer. When the database does not
/// take it, the transaction is lost.
pub fn enqueue(tx: &mut Tx, event: &Event) {
    static EVENTS: Insert = Insert {
        rank: 0,
        table: "events",
        columns: &["id", "organisation", "type", "subject", "data", "path", "time", "trace_parent"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    tx.append(
        &EVENTS,
        args![
            event.id,
            &event.organisation,
            event.happening.kind().as_str(),
            event.happening.subject(),
            event.happening.data().to_string(),
            event.happening.path(),
            event.time,
            event.trace_parent.clone(),
        ],
    );
    tx.wake_sequencer();
}

/// Gives committed events their position and every subscription that wants them a delivery. Runs as a change of its own; when
/// `more` is set, run it again.
///
/// # Errors
/// When the database fails; nothing has happened then.
pub async fn sequence(tx: &mut Tx, now: Timestamp) -> Result<Sequenced, Error> {
    if tx.is_postgres() {
        tx.execute(LOCK, args![]).await?;
    }
    if tx.row("SELECT entry FROM events WHERE position IS NULL LIMIT 1", args![]).await?.is_none() {
        return Ok(Sequenced { events: 0, more: false });
    }
    tx.execute(
        "INSERT INTO feeds (organisation, head) SELECT DISTINCT organisation, 0 FROM events WHERE position IS NULL \
         ON CONFLICT (organisation) DO NOTHING",
        args![],
    )
    .await?;
    let events = tx
        .execute(
            "UPDATE events SET position = placed.position FROM ( \
                SELECT waiting.entry, feeds.head + ROW_NUMBER() OVER (PARTITION BY waiting.organisation ORDER BY waiting.entry) \
                    AS position \
                FROM (SELECT entry, organisation FROM events WHERE position IS NULL ORDER BY entry LIMIT $1) AS waiting \
                JOIN feeds ON feeds.organisation = waiting.organisation) AS placed \
             WHERE events.entry = placed.entry",
            args![BATCH],
        )
        .await?;
    fan_out(tx, now).await?;
    // After the fan-out, which finds the new events by being past the head.
    tx.execute(
        "UPDATE feeds SET head = (SELECT COALESCE(MAX(events.position), feeds.head) FROM events \
         WHERE events.organisation = feeds.organisation AND events.position > feeds.head) \
         WHERE EXISTS (SELECT 1 FROM events WHERE events.organisation = feeds.organisation AND events.position > feeds.head)",
        args![],
    )
    .await?;
    Ok(Sequenced { events, more: events >= BATCH.unsigned_abs() })
}

/// A delivery for each subscription that wants the type. Also for one that is paused or not confirmed yet: what happened in the
/// meantime is sent when it becomes active.
async fn fan_out(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO deliveries (subscription, position, event, subject, status, attempts, next_attempt_at, created_at) \
         SELECT subscriptions.id, events.position, events.id, events.subject, 'pending', 0, $1, $1 FROM feeds \
         JOIN events ON events.organisation = feeds.organisation AND events.position > feeds.head \
         JOIN subscriptions ON subscriptions.organisation = events.organisation AND subscriptions.status <> 'ended' \
         JOIN subscription_types ON subscription_types.subscription = subscriptions.id \
            AND subscription_types.type = events.type",
        args![now],
    )
    .await?;
    Ok(())
}

/// At most `limit` events of a feed after a position, in order.
///
/// # Errors
/// When the database fails.
pub async fn page(query: &mut impl Query, feed: &Oin, after: i64, limit: i64) -> Result<Vec<Published>, Error> {
    let rows = query
        .rows(
            "SELECT position, id, type, subject, data, path, time, trace_parent FROM events \
             WHERE organisation = $1 AND position > $2 ORDER BY position LIMIT $3",
            args![feed, after, limit],
        )
        .await?;
    rows.iter().map(published).collect()
}

/// The last position of a feed; 0 when nothing ever happened in it.
///
/// # Errors
/// When the database fails.
pub async fn head(query: &mut impl Query, feed: &Oin) -> Result<i64, Error> {
    let row = query.row("SELECT head FROM feeds WHERE organisation = $1", args![feed]).await?;
    row.map_or(Ok(0), |row| row.int("head"))
}

/// Removes events older than `before` with what is left of their deliveries, unless one is still to be made. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM deliveries WHERE status <> 'pending' AND event IN \
         (SELECT id FROM events WHERE time < $1 AND position IS NOT NULL)",
        args![before],
    )
    .await?;
    tx.execute(
        "DELETE FROM events WHERE time < $1 AND position IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = events.id)",
        args![before],
    )
    .await
}

/// Reads the columns of an event.
pub(super) fn published(row: &Row) -> Result<Published, Error> {
    Ok(Published {
        position: row.int("position")?,
        id: row.text("id")?,
        kind: row.text("type")?,
        subject: row.text("subject")?,
        data: row.text("data")?,
        path: row.text("path")?,
        time: row.time("time")?,
        trace_parent: row.opt_text("trace_parent")?,
    })
}
