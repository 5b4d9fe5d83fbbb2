//! SQL of the deliverer: who may be sent what now, leases, and how an attempt ended.
//!
//! Invariants: at most one gateway holds the lease of a delivery, and only its holder can settle it; a delivery is offered only when
//! no earlier one about the same resource waits in the same subscription; nothing is offered for an organisation that is not active, nor
//! for a role in it (the name of a feed begins with the OIN, 20 characters).

use std::time::Duration;

use uuid::Uuid;

use super::event::Published;
use super::types::RateWindow;
use super::{outbox, store};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};

/// How long a claimed delivery belongs to its gateway: longer than an exchange can take.
pub(super) const LEASE: Duration = Duration::from_mins(1);
/// At most this many deliveries of a subscription are under way at once.
const BATCH: i64 = 32;
/// At most this many deliveries of a subscription are looked at to find those that can be sent. What waits behind another of its resource is never due
/// before it, so that among these there is always one that can be sent, or is being sent.
const LOOKED_AT: i64 = 256;
/// At most this many subscriptions are served in one pass.
const SUBSCRIPTIONS: i64 = 256;

/// A delivery that this gateway has to send now.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub event: Published,
    pub attempts: i64,
    pub first_attempt_at: Timestamp,
}

/// Where and how a subscription's deliveries are sent.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub id: Uuid,
    pub organisation: Oin,
    pub sink: String,
    pub mutual_tls: bool,
    pub secret: Vec<u8>,
    pub former_secret: Option<Vec<u8>>,
    pub former_secret_until: Option<Timestamp>,
    pub window: RateWindow,
    pub allowed_rate: Option<i64>,
    pub handshakes: i64,
    pub handshake_first_at: Option<Timestamp>,
}

/// The subscriptions for which something can be sent now, the longest waiting first. Looks at what each of them has waiting longest, not at all
/// that it is owed.
pub(super) async fn due(query: &mut impl Query, now: Timestamp) -> Result<Vec<Uuid>, Error> {
    let rows = query
        .rows(
            "SELECT subscription FROM (SELECT s.id AS subscription, \
                (SELECT d.next_attempt_at FROM (SELECT w.position, w.subject, w.next_attempt_at, w.claimed_until FROM deliveries w \
                    WHERE w.subscription = s.id AND w.status = 'pending' AND w.next_attempt_at <= $1 \
                    ORDER BY w.next_attempt_at, w.position LIMIT $3) AS d \
                 WHERE (d.claimed_until IS NULL OR d.claimed_until <= $1) \
                 AND d.position = (SELECT MIN(f.position) FROM deliveries f WHERE f.subscription = s.id \
                    AND f.subject = d.subject AND f.status = 'pending') \
                 ORDER BY d.next_attempt_at LIMIT 1) AS waits_since \
             FROM subscriptions s JOIN organisations o ON o.oin = SUBSTR(s.organisation, 1, 20) AND o.status = 'active' \
             WHERE s.status = 'active' \
             AND (s.allowed_rate IS NULL OR s.window_sent < s.allowed_rate OR s.window_started_at <= $2)) AS served \
             WHERE waits_since IS NOT NULL ORDER BY waits_since LIMIT $4",
            args![now, now.minus(Duration::from_mins(1)), LOOKED_AT, SUBSCRIPTIONS],
        )
        .await?;
    rows.iter().map(|row| row.parsed("subscription")).collect()
}

const TARGET: &str = "SELECT s.id, o.oin, s.sink, s.use_client_certificate, s.secret, s.former_secret, \
        s.former_secret_until, s.window_started_at, s.window_sent, s.allowed_rate, s.handshakes, s.handshake_first_at \
     FROM subscriptions s JOIN organisations o ON o.oin = SUBSTR(s.organisation, 1, 20) AND o.status = 'active' \
     WHERE s.id = $1 AND s.status = $2";

async fn target(tx: &mut Tx, id: Uuid, status: &str) -> Result<Option<Target>, Error> {
    if tx.is_postgres() {
        // Two gateways that claim for the same subscription do it one after the other: the rate is counted in its row.
        tx.rows("SELECT id FROM subscriptions WHERE id = $1 FOR UPDATE", args![id]).await?;
    }
    let row = tx.row(TARGET, args![id, status]).await?;
    row.map(|row| read_target(&row)).transpose()
}

fn read_target(row: &Row) -> Result<Target, Error> {
    Ok(Target {
        id: row.parsed("id")?,
        organisation: row.parsed("oin")?,
        sink: row.text("sink")?,
        mutual_tls: row.flag("use_client_certificate")?,
        secret: row.bytes("secret")?,
        former_secret: row.opt_bytes("former_secret")?,
        former_secret_until: row.opt_time("former_secret_until")?,
        window: RateWindow { started_at: row.time("window_started_at")?, sent: row.int("window_sent")? },
        allowed_rate: row.opt_int("allowed_rate")?,
        handshakes: row.int("handshakes")?,
        handshake_first_at: row.opt_time("handshake_first_at")?,
    })
}

/// Takes what can be sent of one subscription now, with a lease under the name `claim`. Counts the attempt, so that one that
/// was lost with its gateway counts too.
pub(super) async fn claim(
    tx: &mut Tx,
    subscription: Uuid,
    claim: Uuid,
    now: Timestamp,
) -> Result<Option<(Target, Vec<Job>)>, Error> {
    let Some(target) = target(tx, subscription, "active").await? else { return Ok(None) };
    let (room, _) = target.window.grant(target.allowed_rate, BATCH, now);
    let rows = tx
        .rows(
            "SELECT d.position, e.id, e.type, e.subject, e.data, e.path, e.time, e.trace_parent, d.attempts, d.first_attempt_at \
             FROM (SELECT w.position, w.event, w.subject, w.attempts, w.first_attempt_at, w.next_attempt_at, w.claimed_until \
                FROM deliveries w WHERE w.subscription = $1 AND w.status = 'pending' AND w.next_attempt_at <= $2 \
                ORDER BY w.next_attempt_at, w.position LIMIT $3) AS d \
             JOIN events e ON e.id = d.event \
             WHERE (d.claimed_until IS NULL OR d.claimed_until <= $2) \
             AND d.position = (SELECT MIN(f.position) FROM deliveries f WHERE f.subscription = $1 \
                AND f.subject = d.subject AND f.status = 'pending') \
             ORDER BY d.next_attempt_at, d.position LIMIT $4",
            args![subscription, now, LOOKED_AT, room],
        )
        .await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        let job = Job {
            event: outbox::published(row)?,
            attempts: row.int("attempts")? + 1,
            first_attempt_at: row.opt_time("first_attempt_at")?.unwrap_or(now),
        };
        if lease(tx, subscription, &job, claim, now).await? {
            jobs.push(job);
        }
    }
    let taken = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
    let (_, window) = target.window.grant(target.allowed_rate, taken, now);
    tx.execute(
        "UPDATE subscriptions SET window_started_at = $1, window_sent = $2 WHERE id = $3",
        args![window.started_at, window.sent, subscription],
    )
    .await?;
    Ok(Some((target, jobs)))
}

async fn lease(tx: &mut Tx, subscription: Uuid, job: &Job, claim: Uuid, now: Timestamp) -> Result<bool, Error> {
    let taken = tx
        .execute(
            "UPDATE deliveries SET claim = $1, claimed_until = $2, attempts = $3, first_attempt_at = $4, last_attempt_at = $5 \
             WHERE subscription = $6 AND position = $7 AND status = 'pending' \
             AND (claimed_until IS NULL OR claimed_until <= $5)",
            args![
                claim,
                now.plus(LEASE),
                job.attempts,
                job.first_attempt_at,
                now,
                subscription,
                job.event.position,
            ],
        )
        .await?;
    Ok(taken == 1)
}

/// Gives back those of these deliveries that are still held under this claim, so were not tried: the gateway stops. Whoever looks next
/// takes them, without waiting for the lease to end.
pub(super) async fn give_back(tx: &mut Tx, subscription: Uuid, positions: &[i64], claim: Uuid) -> Result<(), Error> {
    for position in positions {
        tx.execute(
            "UPDATE deliveries SET claim = NULL, claimed_until = NULL, attempts = attempts - 1 \
             WHERE subscription = $1 AND position = $2 AND claim = $3 AND status = 'pending'",
            args![subscription, *position, claim],
        )
        .await?;
    }
    Ok(())
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Delivered,
    /// To be tried again then.
    Again(Timestamp),
    /// Given up.
    Dead,
    /// 410: the subscription ends.
    Gone,
}

/// What an attempt brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settlement {
    pub subscription: Uuid,
    pub position: i64,
    pub claim: Uuid,
    /// How often it was tried, this time included.
    pub attempts: i64,
    pub outcome: Outcome,
    pub status: Option<i64>,
    pub error: Option<&'static str>,
}

/// Writes how an attempt ended, unless its lease has passed to someone else. Answers whether it was still ours.
pub(super) async fn settle(tx: &mut Tx, settlement: &Settlement, now: Timestamp) -> Result<bool, Error> {
    let (status, next, finished) = match settlement.outcome {
        Outcome::Delivered => ("delivered", None, Some(now)),
        Outcome::Again(next) => ("pending", Some(next), None),
        Outcome::Dead | Outcome::Gone => ("dead", None, Some(now)),
    };
    let settled = tx
        .execute(
            "UPDATE deliveries SET status = $1, next_attempt_at = COALESCE($2, next_attempt_at), finished_at = $3, \
                last_status = $4, last_error = $5, claim = NULL, claimed_until = NULL \
             WHERE subscription = $6 AND position = $7 AND claim = $8",
            args![
                status,
                next,
                finished,
                settlement.status,
                settlement.error,
                settlement.subscription,
                settlement.position,
                settlement.claim,
            ],
        )
        .await?;
    if settled == 1 {
        match settlement.outcome {
            Outcome::Gone => store::end(tx, settlement.subscription, now).await?,
            Outcome::Again(next) => move_those_behind(tx, settlement, next).await?,
            // Only those behind one that was tried in vain were moved.
            Outcome::Delivered | Outcome::Dead if settlement.attempts > 1 => {
                move_those_behind(tx, settlement, now).await?;
            }
            Outcome::Delivered | Outcome::Dead => {}
        }
    }
    Ok(settled == 1)
}

/// What waits behind a delivery of the same resource is due when that is, or at once when that is done: so what is due can be sent, and the
/// search for it need not pass over what cannot.
async fn move_those_behind(tx: &mut Tx, settlement: &Settlement, due: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE deliveries SET next_attempt_at = $1 WHERE subscription = $2 AND status = 'pending' AND position > $3 AND subject = \
         (SELECT settled.subject FROM deliveries settled WHERE settled.subscription = $2 AND settled.position = $3)",
        args![due, settlement.subscription, settlement.position],
    )
    .await
    .map(drop)
}

/// The subscriptions whose handshake is due.
pub(super) async fn handshakes_due(query: &mut impl Query, now: Timestamp) -> Result<Vec<Uuid>, Error> {
    let rows = query
        .rows(
            "SELECT s.id FROM subscriptions s JOIN organisations o ON o.oin = SUBSTR(s.organisation, 1, 20) AND o.status = 'active' \
             WHERE s.status = 'pending' AND s.handshake_next_at <= $1 \
             AND (s.handshake_claimed_until IS NULL OR s.handshake_claimed_until <= $1) \
             ORDER BY s.handshake_next_at LIMIT $2",
            args![now, SUBSCRIPTIONS],
        )
        .await?;
    rows.iter().map(|row| row.parsed("id")).collect()
}

/// Takes a handshake, with a lease; counts it.
pub(super) async fn claim_handshake(
    tx: &mut Tx,
    subscription: Uuid,
    claim: Uuid,
    now: Timestamp,
) -> Result<Option<Target>, Error> {
    let Some(mut target) = target(tx, subscription, "pending").await? else { return Ok(None) };
    target.handshakes += 1;
    target.handshake_first_at.get_or_insert(now);
    let taken = tx
        .execute(
            "UPDATE subscriptions SET handshakes = $1, handshake_first_at = $2, handshake_claimed_until = $3, handshake_claim = $4 \
             WHERE id = $5 AND (handshake_claimed_until IS NULL OR handshake_claimed_until <= $6)",
            args![target.handshakes, target.handshake_first_at, now.plus(LEASE), claim, subscription, now],
        )
        .await?;
    Ok((taken == 1).then_some(target))
}

/// The sink agreed: from now on deliveries are sent, also those that waited for it.
pub(super) async fn confirm(
    tx: &mut Tx,
    subscription: Uuid,
    claim: Uuid,
    rate: Option<i64>,
    now: Timestamp,
) -> Result<bool, Error> {
    let confirmed = tx
        .execute(
            "UPDATE subscriptions SET status = 'active', confirmed = 1, allowed_rate = $1, handshake_claim = NULL, \
                handshake_claimed_until = NULL, updated_at = $2, version = version + 1 \
             WHERE id = $3 AND status = 'pending' AND handshake_claim = $4",
            args![rate, now, subscription, claim],
        )
        .await?;
    Ok(confirmed == 1)
}

/// The sink did not agree: ask again then, or end the subscription.
pub(super) async fn postpone(
    tx: &mut Tx,
    subscription: Uuid,
    claim: Uuid,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let ours = tx
        .execute(
            "UPDATE subscriptions SET handshake_next_at = COALESCE($1, handshake_next_at), handshake_claim = NULL, \
                handshake_claimed_until = NULL WHERE id = $2 AND status = 'pending' AND handshake_claim = $3",
            args![next, subscription, claim],
        )
        .await?;
    if ours == 1 && next.is_none() {
        store::end(tx, subscription, now).await?;
    }
    Ok(())
}
