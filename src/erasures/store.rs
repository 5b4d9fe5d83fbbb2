//! The SQL of erasures and of the destruction of keys.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::types::{Counts, Erasure};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organisation, ground, requested_at, referrals, sections, told, destroyed_at FROM erasures ",
            $rest
        )
    };
}

pub(super) fn insert(tx: &mut Tx, erasure: &Erasure) {
    static ERASURES: Insert = Insert {
        rank: 1,
        table: "erasures",
        columns: &["id", "organisation", "ground", "requested_at", "referrals", "sections", "told"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    let Counts { referrals, sections, told } = erasure.counts;
    let Erasure { id, organisation, ground, requested_at, .. } = erasure;
    tx.append(&ERASURES, args![*id, organisation, ground.as_str(), *requested_at, referrals, sections, told]);
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Erasure>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// A page of what an organisation had erased, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<Erasure>, Error> {
    let sql = select!("WHERE organisation = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read).collect()
}

/// Erasures that are not finished, the oldest first; `after` is the last one of the page before.
pub(super) async fn pending(
    query: &mut impl Query,
    (after_at, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Erasure>, Error> {
    let sql =
        select!("WHERE destroyed_at IS NULL AND (requested_at, id) > ($1, $2) ORDER BY requested_at, id LIMIT $3");
    query.rows(sql, args![after_at, after, limit]).await?.iter().map(read).collect()
}

/// Notes that all of its keys are destroyed, unless one is left or that was noted; whether it did.
pub(super) async fn finish(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE erasures SET destroyed_at = $2 WHERE id = $1 AND destroyed_at IS NULL AND NOT EXISTS \
               (SELECT 1 FROM key_destructions WHERE key_destructions.erasure = $1 AND key_destructions.destroyed_at IS NULL)";
    Ok(tx.execute(sql, args![id, now]).await? == 1)
}

fn read(row: &Row) -> Result<Erasure, Error> {
    let counts = Counts { referrals: row.int("referrals")?, sections: row.int("sections")?, told: row.int("told")? };
    Ok(Erasure {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        ground: row.parsed("ground")?,
        requested_at: row.time("requested_at")?,
        counts,
        destroyed_at: row.opt_time("destroyed_at")?,
    })
}

/// Shares that are to be destroyed, those that were asked for first.
pub(super) async fn to_destroy(query: &mut impl Query, limit: i64) -> Result<Vec<Uuid>, Error> {
    let sql = "SELECT share FROM key_destructions WHERE destroyed_at IS NULL ORDER BY requested_at, share LIMIT $1";
    query.rows(sql, args![limit]).await?.iter().map(|row| row.parsed("share")).collect()
}

/// Notes that a share is destroyed.
pub(super) async fn destroyed(tx: &mut Tx, share: Uuid, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE key_destructions SET destroyed_at = $2 WHERE share = $1 AND destroyed_at IS NULL";
    tx.execute(sql, args![share, now]).await.map(drop)
}

/// Which of these shares a section uses.
pub(super) async fn used(query: &mut impl Query, shares: &[Uuid]) -> Result<BTreeSet<Uuid>, Error> {
    let (mut used, sql) = (BTreeSet::new(), "SELECT key_share FROM referral_sections WHERE key_share = $1");
    for share in shares {
        if query.row(sql, args![*share]).await?.is_some() {
            used.insert(*share);
        }
    }
    Ok(used)
}

/// Takes away where the evidence of records is that hold no longer; of one that holds its recorder must be able to show it (art. 7.1 AVG).
pub(super) async fn forget_evidence(
    tx: &mut Tx,
    organisation: &Oin,
    subject: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE consents SET evidence_ref = NULL WHERE subject = $1 AND organisation = $2 \
               AND (withdrawn_at IS NOT NULL OR valid_until <= $3)";
    tx.execute(sql, args![subject, organisation, now]).await.map(drop)
}
