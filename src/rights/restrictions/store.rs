//! The SQL of restrictions.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use uuid::Uuid;

use super::types::{Ended, Notice, Reported, Restriction, Status};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::rights::asked::{Asked, What};
use crate::rights::told::Told;
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Args, Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organisation, subject, ground, recorded_at, informed_at, method, ended_at, version FROM restrictions ",
            $rest
        )
    };
}

/// Whether this organisation restricts its processing about a resident: what it has then is kept, and neither erased nor thrown away when its
/// term is over.
///
/// # Errors
/// When the database fails.
pub async fn stands(query: &mut impl Query, organisation: &Oin, subject: &str) -> Result<bool, Error> {
    Ok(standing(query, subject).await?.iter().any(|one| one.organisation == *organisation))
}

/// The restrictions about a resident, by whomever.
pub(in crate::rights) async fn standing(query: &mut impl Query, subject: &str) -> Result<Vec<Asked>, Error> {
    let sql = "SELECT organisation FROM restrictions WHERE subject = $1 AND ended_at IS NULL";
    let rows = query.rows(sql, args![subject]).await?;
    rows.iter().map(|row| Ok(Asked { organisation: row.parsed("organisation")?, what: What::Restriction })).collect()
}

/// What was recorded of one resident, by whomever, ended or not, in the order of recording.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<Reported>, Error> {
    let rows = query.rows(select!("WHERE subject = $1"), args![subject]).await?;
    let mut found: Vec<Restriction> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|restriction| restriction.id);
    let reported = |Restriction { organisation, ground, recorded_at, ended, .. }| Reported {
        organisation,
        ground,
        recorded_at,
        ended_at: ended.map(|ended| ended.at),
    };
    Ok(found.into_iter().map(reported).collect())
}

pub(super) async fn insert(tx: &mut Tx, restriction: &Restriction) -> Result<(), Error> {
    let sql = "INSERT INTO restrictions (id, organisation, subject, ground, recorded_at, version) VALUES ($1, $2, $3, $4, $5, $6)";
    let Restriction { id, organisation, subject, ground, recorded_at, version, .. } = restriction;
    tx.execute(sql, args![*id, organisation, subject, ground.as_str(), *recorded_at, *version]).await.map(drop)
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Restriction>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// Ends it, unless it has changed since it was read; whether it did.
pub(super) async fn end(tx: &mut Tx, restriction: &Restriction, ended: &Ended) -> Result<bool, Error> {
    let sql = "UPDATE restrictions SET informed_at = $3, method = $4, ended_at = $5, version = version + 1 \
               WHERE id = $1 AND version = $2";
    let args = args![restriction.id, restriction.version, ended.told.at, ended.told.method.as_str(), ended.at];
    Ok(tx.execute(sql, args).await? == 1)
}

/// To whom an organisation has given something about a resident that was handed over, with which referral.
pub(super) async fn receivers(query: &mut impl Query, restriction: &Restriction) -> Result<Vec<Notice>, Error> {
    let sql = "SELECT r.id AS referral, CASE WHEN r.sender = $2 THEN r.recipient ELSE r.sender END AS organisation \
               FROM referrals r JOIN referral_sections s ON s.referral = r.id LEFT JOIN referral_updates u ON u.id = s.part \
               WHERE r.subject = $1 AND s.disclosed_at IS NOT NULL \
               AND COALESCE(u.organisation, r.sender) = $2";
    let rows = query.rows(sql, args![&restriction.subject, &restriction.organisation]).await?;
    let mut found = rows.iter().map(notice).collect::<Result<Vec<_>, _>>()?;
    // One for each section that was handed over.
    found.sort_by_key(|notice| notice.referral);
    found.dedup();
    Ok(found)
}

pub(super) async fn insert_notice(tx: &mut Tx, restriction: Uuid, notice: &Notice) -> Result<(), Error> {
    let sql = "INSERT INTO restriction_notices (restriction, referral, organisation) VALUES ($1, $2, $3)";
    tx.execute(sql, args![restriction, notice.referral, &notice.organisation]).await.map(drop)
}

/// Who was told of it, in the order of the referrals.
pub(super) async fn notices(query: &mut impl Query, restriction: Uuid) -> Result<Vec<Notice>, Error> {
    let sql = "SELECT referral, organisation FROM restriction_notices WHERE restriction = $1 ORDER BY referral";
    query.rows(sql, args![restriction]).await?.iter().map(notice).collect()
}

/// That who received something was told that the processing is restricted, while it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restricted {
    /// Since when.
    pub since: Timestamp,
    /// By the party that gave it.
    pub by: Oin,
}

/// In which referrals about these residents an organisation was told that the processing is restricted, as far as it still is. Of what it was not told, and of
/// what it recorded itself, nothing is in here.
///
/// # Errors
/// When the database fails.
pub async fn told_to(
    query: &mut impl Query,
    organisation: &Oin,
    subjects: impl IntoIterator<Item = &str>,
) -> Result<HashMap<Uuid, Restricted>, Error> {
    const AT_ONCE: usize = 10;
    let sql = "SELECT n.referral AS referral, o.organisation AS organisation, o.recorded_at AS recorded_at \
               FROM restrictions o JOIN restriction_notices n ON n.restriction = o.id \
               WHERE o.subject IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AND o.ended_at IS NULL AND n.organisation = $1";
    let subjects: Vec<&str> = subjects.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found: HashMap<Uuid, Restricted> = HashMap::new();
    for some in subjects.chunks(AT_ONCE) {
        let mut args: Args = args![organisation];
        // What is left of the places names the last one again.
        let last = some.last().copied();
        args.extend((0..AT_ONCE).map(|place| some.get(place).copied().or(last).into()));
        for row in query.rows(sql, args).await? {
            let one = Restricted { since: row.time("recorded_at")?, by: row.parsed("organisation")? };
            let earliest = found.entry(row.parsed("referral")?).or_insert_with(|| one.clone());
            // Of several that stand the first is told, as by its event.
            if one.since < earliest.since {
                *earliest = one;
            }
        }
    }
    Ok(found)
}

/// The referrals of which somebody was told by another restriction of the same organisation about the same resident that still stands.
pub(super) async fn told_by_others(query: &mut impl Query, restriction: &Restriction) -> Result<Vec<Uuid>, Error> {
    let sql = "SELECT n.referral FROM restrictions o JOIN restriction_notices n ON n.restriction = o.id \
               WHERE o.subject = $1 AND o.ended_at IS NULL AND o.organisation = $2 AND o.id <> $3";
    let rows = query.rows(sql, args![&restriction.subject, &restriction.organisation, restriction.id]).await?;
    rows.iter().map(|row| row.parsed("referral")).collect()
}

/// A page of an organisation's own, newest first. One with a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    status: Option<Status>,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Restriction>, Error> {
    const END: &str =
        "SELECT id FROM restrictions WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let before = before.unwrap_or(window::AFTER_ALL);
    let (rows, end) = match status {
        None => {
            let sql = select!("WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT $2");
            (query.rows(sql, args![before, limit, organisation]).await?, None)
        }
        Some(status) => {
            let end = window::end(query, END, args![before, WINDOW - 1, organisation]).await?;
            let sql = select!(
                "WHERE organisation = $3 AND id < $1 AND id >= $4 AND (($5 = 'active' AND ended_at IS NULL) \
                 OR ($5 = 'ended' AND ended_at IS NOT NULL)) ORDER BY id DESC LIMIT $2"
            );
            let from = end.as_deref().unwrap_or_default();
            (query.rows(sql, args![before, limit, organisation, from, status.as_str()]).await?, end)
        }
    };
    Ok(Found::new(rows.iter().map(read).collect::<Result<_, _>>()?, limit, end))
}

fn notice(row: &Row) -> Result<Notice, Error> {
    Ok(Notice { referral: row.parsed("referral")?, organisation: row.parsed("organisation")? })
}

fn read(row: &Row) -> Result<Restriction, Error> {
    let ended = match row.opt_time("ended_at")? {
        None => None,
        Some(at) => Some(Ended { told: Told { at: row.time("informed_at")?, method: row.parsed("method")? }, at }),
    };
    Ok(Restriction {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        ground: row.parsed("ground")?,
        recorded_at: row.time("recorded_at")?,
        ended,
        version: row.int("version")?,
    })
}
