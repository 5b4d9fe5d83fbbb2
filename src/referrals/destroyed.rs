//! The one place where content is destroyed: what takes sections away asks, in its own transaction, for the shares of their keys to be destroyed.
//!
//! The sealed bytes go from this database at once. From its backups they do not, so the shares of their keys go from the key store, right after
//! the commit (`crate::erasures`), and no backup opens any more. Invariant: no section is overwritten or deleted but by a function of this file, or by
//! a correction, which calls `of_section`; so none goes without its share.

use uuid::Uuid;

use super::types::Part;
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Content};
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};
use crate::subjects::Subject;

/// Destroys everything that was given in a referral; its data key is the caller's to take away.
///
/// # Errors
/// When the database fails.
pub async fn everything(tx: &mut Tx, referral: Uuid, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO key_destructions (share, requested_at) SELECT key_share, CAST($2 AS BIGINT) FROM referral_sections \
               WHERE referral = $1 AND key_share IS NOT NULL ON CONFLICT (share) DO NOTHING";
    tx.execute(sql, args![referral, now]).await?;
    tx.execute("DELETE FROM referral_sections WHERE referral = $1", args![referral]).await.map(drop)
}

/// Destroys these categories in all parts of a referral; whether one of them stood there.
///
/// # Errors
/// When the database fails.
pub async fn categories(tx: &mut Tx, referral: Uuid, some: &[CategoryCode], now: Timestamp) -> Result<bool, Error> {
    // A category in quotation marks is no part of another one.
    let some = some.iter().map(CategoryCode::as_str).collect::<serde_json::Value>().to_string();
    let sql = "INSERT INTO key_destructions (share, requested_at) SELECT key_share, CAST($2 AS BIGINT) FROM referral_sections \
               WHERE referral = $1 AND key_share IS NOT NULL AND $3 LIKE '%\"' || category || '\"%' \
               ON CONFLICT (share) DO NOTHING";
    tx.execute(sql, args![referral, now, &some]).await?;
    let sql = "UPDATE referral_sections SET sealed = $4, key_share = NULL, retracted_at = $3 \
               WHERE referral = $1 AND retracted_at IS NULL AND $2 LIKE '%\"' || category || '\"%'";
    Ok(tx.execute(sql, args![referral, some, now, Vec::<u8>::new()]).await? > 0)
}

/// Asks for the share of one section to be destroyed. The caller overwrites the section in the same transaction.
///
/// # Errors
/// When the database fails.
pub(super) async fn of_section(
    tx: &mut Tx,
    part: Part,
    category: &CategoryCode,
    erasure: Option<Uuid>,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO key_destructions (share, requested_at, erasure) SELECT key_share, CAST($4 AS BIGINT), $5 \
               FROM referral_sections WHERE referral = $1 AND part = $2 AND category = $3 AND key_share IS NOT NULL \
               ON CONFLICT (share) DO NOTHING";
    tx.execute(sql, args![part.referral, part.name(), category.as_str(), now, erasure]).await.map(drop)
}

/// Overwrites a section with nothing, because a record that it rested on was withdrawn or whoever gave it erases it; whether it stood there. To who never
/// picked it up nothing shows.
///
/// # Errors
/// When the database fails.
pub(super) async fn section(
    tx: &mut Tx,
    part: Part,
    category: &CategoryCode,
    erasure: Option<Uuid>,
    now: Timestamp,
) -> Result<bool, Error> {
    of_section(tx, part, category, erasure, now).await?;
    let sql = "UPDATE referral_sections SET sealed = $5, key_share = NULL, retracted_at = $4, withdrawn_at = $4 \
               WHERE referral = $1 AND part = $2 AND category = $3 AND retracted_at IS NULL";
    let nothing: Vec<u8> = Vec::new();
    Ok(tx.execute(sql, args![part.referral, part.name(), category.as_str(), now, nothing]).await? > 0)
}

/// How a term of the covenant selects categories, for the statements below: none for all of them, else whether a category of the JSON list counts or counts not.
fn selected(content: &Content) -> (i64, String) {
    let list =
        |codes: &[CategoryCode]| codes.iter().map(CategoryCode::as_str).collect::<serde_json::Value>().to_string();
    match content {
        Content::All => (0, "[]".to_owned()),
        Content::Of(codes) => (1, list(codes)),
        Content::AllBut(codes) => (2, list(codes)),
    }
}

// Whether a section is one that `$3` and `$4` select; a category in quotation marks is no part of another one.
macro_rules! selected {
    ($rest:literal) => {
        concat!(
            $rest,
            " AND retracted_at IS NULL AND (CAST($3 AS BIGINT) = 0 ",
            "OR (CAST($3 AS BIGINT) = 1 AND $4 LIKE '%\"' || category || '\"%') ",
            "OR (CAST($3 AS BIGINT) = 2 AND $4 NOT LIKE '%\"' || category || '\"%'))"
        )
    };
}

/// Removes content of a referral whose term for it is over, and names what it removed: nothing where somebody takes the referral up again at this moment.
///
/// # Errors
/// When the database fails.
pub async fn expire(
    tx: &mut Tx,
    referral: Uuid,
    content: &Content,
    (until, now): (Timestamp, Timestamp),
) -> Result<Vec<String>, Error> {
    let (how, codes) = selected(content);
    // The version: whoever decided on the content as it was finds that it is gone.
    let sql = "UPDATE referrals SET content_removed_at = CASE WHEN CAST($4 AS BIGINT) = 0 THEN CAST($3 AS BIGINT) END, \
               version = version + 1 WHERE id = $1 AND ended_at <= $2 AND content_removed_at IS NULL \
               AND NOT EXISTS (SELECT 1 FROM restrictions x WHERE x.subject = referrals.subject AND x.ended_at IS NULL \
               AND x.organisation IN (referrals.sender, referrals.recipient))";
    if tx.execute(sql, args![referral, until, now, how]).await? == 0 {
        return Ok(Vec::new());
    }
    let sql = concat!(
        selected!(
            "INSERT INTO key_destructions (share, requested_at) SELECT key_share, CAST($2 AS BIGINT) FROM referral_sections \
             WHERE referral = $1 AND key_share IS NOT NULL"
        ),
        " ON CONFLICT (share) DO NOTHING"
    );
    tx.execute(sql, args![referral, now, how, &codes]).await?;
    let sql = concat!(
        selected!(
            "UPDATE referral_sections SET sealed = $5, key_share = NULL, retracted_at = $2, withdrawn_at = $2 WHERE referral = $1"
        ),
        " RETURNING part, category"
    );
    let rows = tx.rows(sql, args![referral, now, how, codes, Vec::<u8>::new()]).await?;
    rows.iter().map(|row| Ok(format!("{referral}/{}/{}", row.text("part")?, row.text("category")?))).collect()
}

/// Referrals in which nothing was left to do from this moment or earlier on and that still have such content, with when that was; the longest ended
/// first. While a party restricts the processing about the resident, what it keeps stays (art. 18 AVG).
///
/// # Errors
/// When the database fails.
pub async fn ended(
    query: &mut impl Query,
    until: Timestamp,
    content: &Content,
    limit: i64,
) -> Result<Vec<(Uuid, Timestamp)>, Error> {
    let (how, codes) = selected(content);
    // The last term takes a referral off the list, also where there is nothing left to remove.
    let sql = concat!(
        "SELECT id, ended_at FROM referrals WHERE ended_at IS NOT NULL AND content_removed_at IS NULL AND ended_at <= $1 \
         AND NOT EXISTS (SELECT 1 FROM restrictions x WHERE x.subject = referrals.subject AND x.ended_at IS NULL \
         AND x.organisation IN (referrals.sender, referrals.recipient)) AND (CAST($3 AS BIGINT) = 0 OR EXISTS (",
        selected!("SELECT 1 FROM referral_sections s WHERE s.referral = referrals.id"),
        ")) ORDER BY ended_at, id LIMIT $2"
    );
    let rows = query.rows(sql, args![until, limit, how, codes]).await?;
    rows.iter().map(|row| Ok((row.parsed("id")?, row.time("ended_at")?))).collect()
}

/// A section that an organisation gave and that still stands.
#[derive(Debug, Clone)]
pub struct Erasable {
    /// What it came with.
    pub part: Part,
    /// Its category.
    pub category: CategoryCode,
    /// Who received it, or would have.
    pub receiver: Oin,
    /// Whether it was handed over.
    pub handed_over: bool,
}

/// Everything that an organisation gave about a resident and that still stands.
///
/// # Errors
/// When the database fails.
pub async fn given_by(query: &mut impl Query, subject: &Subject, giver: &Oin) -> Result<Vec<Erasable>, Error> {
    let sql = "SELECT s.referral AS referral, s.part AS part, s.category AS category, s.disclosed_at AS disclosed_at, \
               CASE WHEN COALESCE(u.organisation, r.sender) = r.sender THEN r.recipient ELSE r.sender END AS receiver \
               FROM referrals r JOIN referral_sections s ON s.referral = r.id LEFT JOIN referral_updates u ON u.id = s.part \
               WHERE r.subject = $1 AND COALESCE(u.organisation, r.sender) = $2 AND s.retracted_at IS NULL \
               ORDER BY s.referral, s.part, s.place";
    let read = |row: &Row| {
        let part = Part::named(row.parsed("referral")?, &row.text("part")?);
        Ok(Erasable {
            part: part.ok_or(Error::Malformed { column: "part" })?,
            category: row.parsed("category")?,
            receiver: row.parsed("receiver")?,
            handed_over: row.opt_int("disclosed_at")?.is_some(),
        })
    };
    query.rows(sql, args![subject.as_str(), giver]).await?.iter().map(read).collect()
}

/// Whether a referral is about this resident, and this organisation is a party to it.
///
/// # Errors
/// When the database fails.
pub async fn is_between(query: &mut impl Query, id: Uuid, subject: &Subject, party: &Oin) -> Result<bool, Error> {
    let sql = "SELECT id FROM referrals WHERE id = $1 AND subject = $2 AND (sender = $3 OR recipient = $3)";
    Ok(query.row(sql, args![id, subject.as_str(), party]).await?.is_some())
}

/// Erases one section for an erasure.
///
/// # Errors
/// When the database fails.
pub async fn erase_section(tx: &mut Tx, section: &Erasable, erasure: Uuid, now: Timestamp) -> Result<(), Error> {
    self::section(tx, section.part, &section.category, Some(erasure), now).await.map(drop)
}

/// Says in a referral that this party deletes what it received in it. Whoever decided on the referral as it was finds another version.
///
/// # Errors
/// When the database fails.
pub async fn require_deletion(tx: &mut Tx, referral: Uuid, receiver: &Oin, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE referrals SET updated_at = $3, version = version + 1, \
               sender_deletes_since = CASE WHEN sender = $2 THEN $3 ELSE sender_deletes_since END, \
               recipient_deletes_since = CASE WHEN sender = $2 THEN recipient_deletes_since ELSE $3 END WHERE id = $1";
    tx.execute(sql, args![referral, receiver, now]).await.map(drop)
}
