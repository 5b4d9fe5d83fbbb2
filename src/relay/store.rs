//! SQL of subscriptions: what a subscriber makes, changes and sees.
//!
//! Invariant: every statement that serves a subscriber names its feed, so that one never reaches another's, nor a role its organisation's.

use uuid::Uuid;

use super::Addressee;
use super::types::{Delivery, DeliveryStatus, Subscription, SubscriptionStatus};
use crate::args;
use crate::clock::Timestamp;
use crate::storage::window::{self, Found, STEP, WINDOW};
use crate::storage::{Error, Query, Row, Tx};

/// At most this many deliveries are replayed by one request.
pub(super) const REPLAY_MOST: i64 = 10_000;

/// Stores a new subscription with its sealed secret; its handshake is due at once.
pub(super) async fn insert(tx: &mut Tx, subscription: &Subscription, sealed_secret: Vec<u8>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO subscriptions (id, organisation, sink, use_client_certificate, status, confirmed, secret, window_started_at, \
            window_sent, handshakes, handshake_next_at, created_at, updated_at, version) \
         VALUES ($1, $2, $3, $4, $5, 0, $6, $7, 0, 0, $7, $7, $7, $8)",
        args![
            subscription.id,
            &subscription.reader,
            &subscription.sink,
            subscription.mutual_tls,
            subscription.status.as_str(),
            sealed_secret,
            subscription.created_at,
            subscription.version,
        ],
    )
    .await?;
    replace_types(tx, subscription.id, &subscription.types).await
}

async fn replace_types(tx: &mut Tx, id: Uuid, types: &[String]) -> Result<(), Error> {
    tx.execute("DELETE FROM subscription_types WHERE subscription = $1", args![id]).await?;
    for name in types {
        tx.execute("INSERT INTO subscription_types (subscription, type) VALUES ($1, $2)", args![id, name]).await?;
    }
    Ok(())
}

/// One subscription of a reader.
pub(super) async fn find(query: &mut impl Query, reader: &Addressee, id: Uuid) -> Result<Option<Subscription>, Error> {
    let row = query
        .row(
            "SELECT id, organisation, sink, use_client_certificate, status, confirmed, created_at, updated_at, version \
             FROM subscriptions WHERE organisation = $1 AND id = $2 AND removed_at IS NULL",
            args![reader, id],
        )
        .await?;
    match row {
        None => Ok(None),
        Some(row) => subscription(query, &row).await.map(Some),
    }
}

/// A page of a reader's subscriptions, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    reader: &Addressee,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Subscription>, Error> {
    // Ids are version 7 UUIDs: their order is that of creation.
    let before = before.unwrap_or(window::AFTER_ALL);
    let rows = query
        .rows(
            "SELECT id, organisation, sink, use_client_certificate, status, confirmed, created_at, updated_at, version \
             FROM subscriptions WHERE organisation = $1 AND id < $2 AND removed_at IS NULL ORDER BY id DESC LIMIT $3",
            args![reader, before, limit],
        )
        .await?;
    let mut subscriptions = Vec::with_capacity(rows.len());
    for row in &rows {
        subscriptions.push(subscription(query, row).await?);
    }
    Ok(subscriptions)
}

async fn subscription(query: &mut impl Query, row: &Row) -> Result<Subscription, Error> {
    let id: Uuid = row.parsed("id")?;
    let types = query
        .rows("SELECT type FROM subscription_types WHERE subscription = $1 ORDER BY type", args![id])
        .await?
        .iter()
        .map(|row| row.text("type"))
        .collect::<Result<_, _>>()?;
    Ok(Subscription {
        id,
        reader: row.parsed("organisation")?,
        sink: row.text("sink")?,
        types,
        mutual_tls: row.flag("use_client_certificate")?,
        status: row.parsed("status")?,
        confirmed: row.flag("confirmed")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}

/// Takes the row of a subscription for the rest of the transaction, so that two changes of it come one after the other.
pub(super) async fn lock(tx: &mut Tx, reader: &Addressee, id: Uuid) -> Result<(), Error> {
    if tx.is_postgres() {
        tx.rows("SELECT id FROM subscriptions WHERE organisation = $1 AND id = $2 FOR UPDATE", args![reader, id])
            .await?;
    }
    Ok(())
}

/// Writes what a subscriber can change.
pub(super) async fn update(tx: &mut Tx, subscription: &Subscription) -> Result<(), Error> {
    tx.execute(
        "UPDATE subscriptions SET sink = $1, use_client_certificate = $2, status = $3, confirmed = $4, updated_at = $5, \
            version = $6 WHERE id = $7",
        args![
            &subscription.sink,
            subscription.mutual_tls,
            subscription.status.as_str(),
            subscription.confirmed,
            subscription.updated_at,
            subscription.version,
            subscription.id,
        ],
    )
    .await?;
    replace_types(tx, subscription.id, &subscription.types).await
}

/// Begins the handshake anew, without the limits that another sink may have set.
pub(super) async fn restart_handshake(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE subscriptions SET handshakes = 0, handshake_first_at = NULL, handshake_next_at = $1, \
            handshake_claimed_until = NULL, handshake_claim = NULL, allowed_rate = NULL WHERE id = $2",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// Puts a new secret beside the present one, which signs too until `former_until`.
pub(super) async fn rotate_secret(
    tx: &mut Tx,
    id: Uuid,
    sealed_secret: Vec<u8>,
    sealed_former: Vec<u8>,
    former_until: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE subscriptions SET secret = $1, former_secret = $2, former_secret_until = $3 WHERE id = $4",
        args![sealed_secret, sealed_former, former_until, id],
    )
    .await?;
    Ok(())
}

/// The sealed present secret of a subscription.
pub(super) async fn sealed_secret(query: &mut impl Query, id: Uuid) -> Result<Option<Vec<u8>>, Error> {
    let row = query.row("SELECT secret FROM subscriptions WHERE id = $1", args![id]).await?;
    row.map(|row| row.bytes("secret")).transpose()
}

/// Removes a subscription: nobody sees it and nothing is sent any more. What it was owed goes with it, the first of it at once and the rest when
/// house is kept, for there may be much of it.
pub(super) async fn remove(tx: &mut Tx, reader: &Addressee, id: Uuid, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE subscriptions SET removed_at = $1, status = 'ended', confirmed = 0 WHERE organisation = $2 AND id = $3",
        args![now, reader, id],
    )
    .await?;
    take_away(tx, id).await.map(drop)
}

/// Subscriptions that were removed or have ended, and of which deliveries are left to be taken away or given up; whether it was removed.
pub(super) async fn left_over(query: &mut impl Query) -> Result<Vec<(Uuid, bool)>, Error> {
    let sql = "SELECT s.id, CAST(CASE WHEN s.removed_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS removed FROM subscriptions s WHERE s.status = 'ended' \
               AND (s.removed_at IS NOT NULL \
               OR (SELECT d.position FROM deliveries d WHERE d.subscription = s.id AND d.status = 'pending' \
               ORDER BY d.next_attempt_at LIMIT 1) IS NOT NULL)";
    query.rows(sql, args![]).await?.iter().map(|row| Ok((row.parsed("id")?, row.flag("removed")?))).collect()
}

/// One step in taking away what is left of a removed subscription; whether there is more to do.
pub(super) async fn take_away(tx: &mut Tx, subscription: Uuid) -> Result<bool, Error> {
    let last = tx
        .row(
            "SELECT position FROM deliveries WHERE subscription = $1 ORDER BY position LIMIT 1 OFFSET $2",
            args![subscription, STEP - 1],
        )
        .await?;
    let until = last.as_ref().map_or(Ok(i64::MAX), |row| row.int("position"))?;
    tx.execute(
        "DELETE FROM deliveries WHERE subscription = $1 AND position BETWEEN $2 AND $3",
        args![subscription, 0_i64, until],
    )
    .await?;
    if last.is_none() {
        tx.execute("DELETE FROM subscriptions WHERE id = $1 AND removed_at IS NOT NULL", args![subscription]).await?;
    }
    Ok(last.is_some())
}

/// A page of a subscription's deliveries, newest first; the key of an item is its position. One with a status looks at a window of them.
pub(super) async fn deliveries(
    query: &mut impl Query,
    subscription: Uuid,
    status: Option<DeliveryStatus>,
    before: Option<i64>,
    limit: i64,
) -> Result<Found<Delivery>, Error> {
    macro_rules! select {
        ($conditions:literal) => {
            concat!(
                "SELECT d.position, d.event, e.type, d.status, d.attempts, d.created_at, d.last_attempt_at, d.next_attempt_at, \
                 d.last_status, d.last_error FROM deliveries d JOIN events e ON e.id = d.event \
                 WHERE d.subscription = $1 AND d.position < $2 ",
                $conditions,
                " ORDER BY d.position DESC LIMIT $3"
            )
        };
    }
    let before = before.unwrap_or(i64::MAX);
    let mut args = args![subscription, before, limit];
    let (sql, end) = match status {
        None => (select!(""), None),
        // These have an index of their own.
        Some(DeliveryStatus::Dead) => (select!("AND d.status = 'dead'"), None),
        Some(status) => {
            let end = "SELECT CAST(position AS TEXT) AS id FROM deliveries WHERE subscription = $1 AND position < $2 \
                       ORDER BY deliveries.position DESC LIMIT 1 OFFSET $3";
            let end = window::end(query, end, args![subscription, before, WINDOW - 1]).await?;
            let from: i64 = end.as_deref().and_then(|end| end.parse().ok()).unwrap_or(0);
            args.extend(args![from, status.as_str()]);
            (select!("AND d.position >= $4 AND d.status = $5"), end)
        }
    };
    let items = query.rows(sql, args).await?.iter().map(delivery).collect::<Result<_, _>>()?;
    Ok(Found::new(items, limit, end))
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let status: DeliveryStatus = row.parsed("status")?;
    let waits = status == DeliveryStatus::Pending;
    Ok(Delivery {
        position: row.int("position")?,
        event: row.parsed("event")?,
        kind: row.text("type")?,
        status,
        attempts: row.int("attempts")?,
        created_at: row.time("created_at")?,
        last_attempt_at: row.opt_time("last_attempt_at")?,
        next_attempt_at: if waits { Some(row.time("next_attempt_at")?) } else { None },
        last_status: row.opt_int("last_status")?,
        last_error: row.opt_text("last_error")?,
    })
}

/// Puts one delivery back in the queue with a fresh schedule, unless it waits there already. Answers whether it exists.
pub(super) async fn replay_one(tx: &mut Tx, subscription: Uuid, event: Uuid, now: Timestamp) -> Result<bool, Error> {
    let known = tx
        .row("SELECT position FROM deliveries WHERE subscription = $1 AND event = $2", args![subscription, event])
        .await?;
    let Some(row) = known else { return Ok(false) };
    // What waits behind it is due with it, not before.
    tx.execute(
        "UPDATE deliveries SET next_attempt_at = $1 WHERE subscription = $2 AND status = 'pending' AND position > $3 AND next_attempt_at + 0 < $1 \
         AND subject = (SELECT replayed.subject FROM deliveries replayed WHERE replayed.subscription = $2 AND replayed.position = $3)",
        args![now, subscription, row.int("position")?],
    )
    .await?;
    tx.execute(
        "UPDATE deliveries SET status = 'pending', attempts = 0, first_attempt_at = NULL, next_attempt_at = $1, \
            finished_at = NULL WHERE subscription = $2 AND position = $3 AND status <> 'pending'",
        args![now, subscription, row.int("position")?],
    )
    .await?;
    Ok(true)
}

/// Puts everything back in the queue that was made since a moment, unless it is more than [`REPLAY_MOST`]. Answers how many deliveries
/// are queued by it.
pub(super) async fn replay_since(
    tx: &mut Tx,
    subscription: Uuid,
    since: Timestamp,
    now: Timestamp,
) -> Result<Option<u64>, Error> {
    let beyond = tx
        .row(
            "SELECT position, created_at FROM deliveries WHERE subscription = $1 ORDER BY position DESC LIMIT 1 OFFSET $2",
            args![subscription, REPLAY_MOST],
        )
        .await?;
    let from = match beyond {
        Some(row) if row.time("created_at")? >= since => return Ok(None),
        Some(row) => row.int("position")?,
        None => 0,
    };
    // What waits behind is due with what is replayed, not before. The window serves, not the index of what is pending.
    tx.execute(
        "UPDATE deliveries SET next_attempt_at = $1 WHERE subscription = $2 AND position BETWEEN $3 AND $4 \
         AND COALESCE(status, '') = 'pending' AND next_attempt_at < $1",
        args![now, subscription, from, i64::MAX],
    )
    .await?;
    let queued = tx
        .execute(
            "UPDATE deliveries SET status = 'pending', attempts = 0, first_attempt_at = NULL, next_attempt_at = $1, \
                finished_at = NULL WHERE subscription = $2 AND position BETWEEN $3 AND $4 AND created_at >= $5 \
                AND status <> 'pending'",
            args![now, subscription, from, i64::MAX, since],
        )
        .await?;
    Ok(Some(queued))
}

/// Gives up what still waits, because the subscription has ended: what waits longest, in a step. Answers whether there may be more.
pub(super) async fn bury(tx: &mut Tx, subscription: Uuid, now: Timestamp) -> Result<bool, Error> {
    let last = tx
        .row(
            "SELECT next_attempt_at FROM deliveries WHERE subscription = $1 AND status = 'pending' \
             ORDER BY next_attempt_at LIMIT 1 OFFSET $2",
            args![subscription, STEP - 1],
        )
        .await?;
    let until = last.as_ref().map_or(Ok(i64::MAX), |row| row.int("next_attempt_at"))?;
    tx.execute(
        "UPDATE deliveries SET status = 'dead', last_error = 'ended', finished_at = $1, claim = NULL, claimed_until = NULL \
         WHERE subscription = $2 AND status = 'pending' AND next_attempt_at BETWEEN $3 AND $4",
        args![now, subscription, 0_i64, until],
    )
    .await?;
    Ok(last.is_some())
}

/// Ends a subscription and gives up what waits: the first of it at once, the rest when house is kept.
pub(super) async fn end(tx: &mut Tx, subscription: Uuid, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE subscriptions SET status = $1, confirmed = 0, updated_at = $2, version = version + 1 \
         WHERE id = $3 AND status <> $1",
        args![SubscriptionStatus::Ended.as_str(), now, subscription],
    )
    .await?;
    bury(tx, subscription, now).await?;
    Ok(())
}
