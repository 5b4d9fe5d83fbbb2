//! The transactional outbox: events are written with the change they tell of, and get their place in the feed after it.
//!
//! Invariants: an event exists if and only if its change does. Positions follow the order of commits, so that a cursor never passes
//! an event that appears later: only committed rows get one, and one sequencer at a time gives them out. Each feed counts for itself,
//! from 1 without gaps, so that a partner notices a loss and learns nothing about the traffic of others. The column `organisation`, here and of
//! subscriptions, holds the name of the feed ([`Addressee`]), which is the OIN for an organisation's own system.

use super::Addressee;
use super::event::{Event, Published};
use crate::args;
use crate::clock::Timestamp;
use crate::storage::window::STEP;
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
        rank: 1,
        table: "events",
        columns: &["id", "organisation", "type", "subject", "data", "path", "time", "trace_parent"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    debug_assert!(event.happening.kind().is_for(event.to.role), "{:?} is told to another", event.happening.kind());
    tx.append(
        &EVENTS,
        args![
            event.id,
            &event.to,
            event.happening.kind().as_str(),
            event.happening.subject(),
            event.happening.data().to_string(),
            event.happening.path().unwrap_or_default(),
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
    let Some((first, last)) = waiting(tx).await? else { return Ok(Sequenced { events: 0, more: false }) };
    tx.execute(
        "INSERT INTO feeds (organisation, head) SELECT DISTINCT organisation, 0 FROM events \
         WHERE entry BETWEEN $1 AND $2 AND position IS NULL ON CONFLICT (organisation) DO NOTHING",
        args![first, last],
    )
    .await?;
    let events = tx
        .execute(
            "UPDATE events SET position = placed.position FROM ( \
                SELECT waiting.entry, feeds.head + ROW_NUMBER() OVER (PARTITION BY waiting.organisation ORDER BY waiting.entry) \
                    AS position \
                FROM (SELECT entry, organisation FROM events WHERE entry BETWEEN $1 AND $2 AND position IS NULL) AS waiting \
                JOIN feeds ON feeds.organisation = waiting.organisation) AS placed \
             WHERE events.entry = placed.entry",
            args![first, last],
        )
        .await?;
    fan_out(tx, (first, last), now).await?;
    // After the fan-out, which finds the new events by being past the head.
    tx.execute(
        "UPDATE feeds SET head = placed.head FROM ( \
            SELECT organisation, MAX(position) AS head FROM events WHERE entry BETWEEN $1 AND $2 AND position IS NOT NULL \
            GROUP BY organisation) AS placed \
         WHERE feeds.organisation = placed.organisation AND feeds.head < placed.head",
        args![first, last],
    )
    .await?;
    Ok(Sequenced { events, more: events >= BATCH.unsigned_abs() })
}

/// The first and the last row of a batch of events that have no position yet. Everything that is done with them names these two, so that it
/// costs what the batch costs, however many events there are. What another gateway commits in between is taken along or left to the next run.
async fn waiting(tx: &mut Tx) -> Result<Option<(i64, i64)>, Error> {
    let sql = "SELECT MIN(entry) AS first, MAX(entry) AS last \
               FROM (SELECT entry FROM events WHERE position IS NULL ORDER BY entry LIMIT $1) AS waiting";
    let Some(row) = tx.row(sql, args![BATCH]).await? else { return Ok(None) };
    Ok(row.opt_int("first")?.zip(row.opt_int("last")?))
}

/// A delivery for each subscription that wants the type. Also for one that is paused or not confirmed yet: what happened in the
/// meantime is sent when it becomes active. It is due with what waits before it about the same resource (`+ 0`: the index of the resource serves, not
/// the one by time).
async fn fan_out(tx: &mut Tx, (first, last): (i64, i64), now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO deliveries (subscription, position, event, subject, status, attempts, next_attempt_at, created_at) \
         SELECT subscriptions.id, events.position, events.id, events.subject, 'pending', 0, \
            COALESCE((SELECT MAX(waiting.next_attempt_at + 0) FROM deliveries waiting WHERE waiting.subscription = subscriptions.id \
                AND waiting.subject = events.subject AND waiting.status = 'pending'), $1), $1 \
         FROM events JOIN feeds ON feeds.organisation = events.organisation AND feeds.head < events.position \
         JOIN subscriptions ON subscriptions.organisation = events.organisation AND subscriptions.status <> 'ended' \
         JOIN subscription_types ON subscription_types.subscription = subscriptions.id \
            AND subscription_types.type = events.type \
         WHERE events.entry BETWEEN $2 AND $3",
        args![now, first, last],
    )
    .await?;
    Ok(())
}

/// At most `limit` events of a feed after a position, in order.
///
/// # Errors
/// When the database fails.
pub async fn page(query: &mut impl Query, feed: &Addressee, after: i64, limit: i64) -> Result<Vec<Published>, Error> {
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
pub async fn head(query: &mut impl Query, feed: &Addressee) -> Result<i64, Error> {
    let row = query.row("SELECT head FROM feeds WHERE organisation = $1", args![feed]).await?;
    row.map_or(Ok(0), |row| row.int("head"))
}

/// What a step of [`prune`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The events that are gone, with when they happened.
    pub events: Vec<(String, Timestamp)>,
    /// Where the next step begins; none when there is nothing older left.
    pub next: Option<i64>,
}

/// Removes events older than `before` with what is left of their deliveries, unless one is still to be made: one step of it, which begins
/// behind the row `after` and looks at so few events that others are not held up. Events are written in the order of their time, so the first that is
/// young enough ends it.
///
/// # Errors
/// When the database fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, after: i64) -> Result<Pruned, Error> {
    let rows =
        tx.rows("SELECT entry, time FROM events WHERE entry > $1 ORDER BY entry LIMIT $2", args![after, STEP]).await?;
    let mut old = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.time("time")? >= before {
            break;
        }
        old.push(row.int("entry")?);
    }
    let (Some(first), Some(last)) = (old.first(), old.last()) else {
        return Ok(Pruned { events: Vec::new(), next: None });
    };
    tx.execute(
        "DELETE FROM deliveries WHERE status <> 'pending' AND event IN \
         (SELECT id FROM events WHERE entry BETWEEN $1 AND $2 AND time < $3 AND position IS NOT NULL)",
        args![*first, *last, before],
    )
    .await?;
    let rows = tx
        .rows(
            "DELETE FROM events WHERE entry BETWEEN $1 AND $2 AND time < $3 AND position IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = events.id) RETURNING id, time",
            args![*first, *last, before],
        )
        .await?;
    let events = rows.iter().map(|row| Ok((row.text("id")?, row.time("time")?))).collect::<Result<_, Error>>()?;
    let whole = i64::try_from(old.len()).is_ok_and(|looked_at| looked_at >= STEP);
    Ok(Pruned { events, next: Some(*last).filter(|_| whole) })
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
