//! Revision counters: how a decision made outside a transaction notices that its ground has moved.
//!
//! Invariant: whatever changes an input of a decision raises the revision of its key in the same transaction, and a
//! commit that rests on a decision first finds every revision as it was when the facts were read.

use std::collections::BTreeMap;

use super::{Error, Query, Tx};
use crate::args;
use crate::ids::Oin;

/// The revisions that a decision rests on, by key; a key that nothing ever raised counts as 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revisions(BTreeMap<String, i64>);

/// The key of an organisation's standing (status, certificates, signatures).
#[must_use]
pub fn organisation(oin: &Oin) -> String {
    format!("organisation:{oin}")
}

/// The key of the covenant in force.
#[must_use]
pub fn covenant() -> String {
    "covenant".into()
}

/// The key of one resident's consents.
#[must_use]
pub fn subject(subject: &str) -> String {
    format!("subject:{subject}")
}

impl Revisions {
    /// Reads the present revisions; call this before reading the facts themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(query: &mut impl Query, keys: [String; 4]) -> Result<Self, Error> {
        let [first, second, third, fourth] = &keys;
        let rows = query
            .rows(
                "SELECT key, revision FROM revisions WHERE key IN ($1, $2, $3, $4)",
                args![first, second, third, fourth],
            )
            .await?;
        Self::collect(&keys, &rows)
    }

    /// Whether all revisions are still what they were; holds them so until the transaction ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn still_hold(&self, tx: &mut Tx) -> Result<bool, Error> {
        let mut keys = self.0.keys();
        let mut next = || keys.next().cloned().unwrap_or_default();
        let keys = [next(), next(), next(), next()];
        if tx.is_postgres() {
            // A row that is not there cannot be held: without it, two changes that both rest on its absence would not
            // see each other.
            for key in self.0.iter().filter(|(_, revision)| **revision == 0).map(|(key, _)| key) {
                tx.execute(
                    "INSERT INTO revisions (key, revision) VALUES ($1, 0) ON CONFLICT (key) DO NOTHING",
                    args![key],
                )
                .await?;
            }
        }
        let [first, second, third, fourth] = &keys;
        let sql = if tx.is_postgres() {
            "SELECT key, revision FROM revisions WHERE key IN ($1, $2, $3, $4) ORDER BY key FOR SHARE"
        } else {
            "SELECT key, revision FROM revisions WHERE key IN ($1, $2, $3, $4)"
        };
        let rows = tx.rows(sql, args![first, second, third, fourth]).await?;
        Ok(Self::collect(&keys, &rows)? == *self)
    }

    fn collect(keys: &[String], rows: &[super::Row]) -> Result<Self, Error> {
        let mut revisions: BTreeMap<String, i64> =
            keys.iter().filter(|key| !key.is_empty()).map(|key| (key.clone(), 0)).collect();
        for row in rows {
            revisions.insert(row.text("key")?, row.int("revision")?);
        }
        Ok(Self(revisions))
    }

    /// The revision of one key, as it was read.
    #[must_use]
    pub fn of(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(0)
    }
}

/// Raises the revision of `key`: everything decided on the earlier state is decided again.
///
/// # Errors
/// When the database fails.
pub async fn bump(tx: &mut Tx, key: &str) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO revisions (key, revision) VALUES ($1, 1) \
         ON CONFLICT (key) DO UPDATE SET revision = revisions.revision + 1",
        args![key],
    )
    .await
    .map(drop)
}
