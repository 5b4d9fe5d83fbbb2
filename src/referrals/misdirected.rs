//! What an incident needs of a referral: whose it is, who received what of it, and that the gateway destroys all of it.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::destroyed;
use super::store;
use super::types::Part;
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::storage::{Error, Query, Tx};

/// A referral of which something went wrong.
#[derive(Debug, Clone)]
pub struct Misdirected {
    /// Its id.
    pub id: Uuid,
    /// Who sent it.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
    /// The resident, as only the gateway knows them.
    pub subject: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether anything of it was ever handed over.
    pub was_disclosed: bool,
}

/// What an organisation received with one part of a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedPart {
    /// Who.
    pub receiver: Oin,
    /// With which part.
    pub part: Part,
    /// What.
    pub categories: Vec<CategoryCode>,
}

/// The referral with this id.
///
/// # Errors
/// When the database fails.
pub async fn misdirected(query: &mut impl Query, id: Uuid) -> Result<Option<Misdirected>, Error> {
    let found = store::find(query, id).await?;
    Ok(found.map(|referral| Misdirected {
        id: referral.id,
        sender: referral.terms.sender.clone(),
        recipient: referral.terms.recipient.clone(),
        subject: referral.subject.clone(),
        sent_at: referral.state.created_at,
        was_disclosed: referral.state.disclosed,
    }))
}

/// Raises the version of a referral, so that whoever read or decided on it as it was does so again; holds it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn raise(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE referrals SET updated_at = $2, version = version + 1 WHERE id = $1";
    tx.execute(sql, args![id, now]).await.map(drop)
}

/// Who received what of a referral, by part.
///
/// # Errors
/// When the database fails.
pub async fn received(tx: &mut Tx, id: Uuid) -> Result<Vec<ReceivedPart>, Error> {
    let sql = "SELECT s.part AS part, s.category AS category, \
               CASE WHEN u.organisation = r.recipient THEN r.sender ELSE r.recipient END AS receiver \
               FROM referral_sections s JOIN referrals r ON r.id = s.referral \
               LEFT JOIN referral_updates u ON u.referral = s.referral AND u.id = s.part \
               WHERE s.referral = $1 AND s.disclosed_at IS NOT NULL ORDER BY s.part, s.place";
    let mut parts: BTreeMap<(Part, Oin), Vec<CategoryCode>> = BTreeMap::new();
    for row in tx.rows(sql, args![id]).await? {
        let part = Part::named(id, &row.text("part")?).ok_or(Error::Malformed { column: "part" })?;
        parts.entry((part, row.parsed("receiver")?)).or_default().push(row.parsed("category")?);
    }
    let received = parts.into_iter();
    Ok(received.map(|((part, receiver), categories)| ReceivedPart { receiver, part, categories }).collect())
}

/// Destroys all content of a referral, with its key.
///
/// # Errors
/// When the database fails.
pub async fn destroy_all(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE referrals SET wrapped_key = NULL WHERE id = $1", args![id]).await?;
    destroyed::everything(tx, id, now).await
}
