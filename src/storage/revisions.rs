//! Revision counters: how a decision made outside a transaction notices that its ground has moved.
//!
//! Invariant: whatever changes an input of a decision raises the revision of its key in the same transaction, and a
//! commit that rests on a decision ([`Ground`](super::Ground)) first finds every revision as it was when the facts were read.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::append::{Insert, Otherwise};
use super::{Error, Query, Row, Tx};
use crate::args;
use crate::ids::Oin;

/// The revisions that a decision rests on, by key; a key that nothing ever raised counts as 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revisions(BTreeMap<String, i64>);

/// The key of an organisation's standing (status, certificates, signatures) and of its capacity notices.
#[must_use]
pub fn organisation(oin: &Oin) -> String {
    format!("organisation:{oin}")
}

/// The key of the covenant in force.
#[must_use]
pub fn covenant() -> String {
    "covenant".into()
}

/// The key of one resident's consents and age group.
#[must_use]
pub fn subject(subject: &str) -> String {
    format!("{SUBJECT}{subject}")
}

/// The key of one case: who coordinates it, who takes part, whether it is stepped up or closed.
#[must_use]
pub fn case(case: Uuid) -> String {
    format!("{CASE}{case}")
}

/// The key of one declaration of break-glass: what it is good for.
#[must_use]
pub fn emergency(access: Uuid) -> String {
    format!("{EMERGENCY}{access}")
}

const SUBJECT: &str = "subject:";
const CASE: &str = "case:";
const EMERGENCY: &str = "emergency:";

/// Whether a key is that of a resident, a case or a declaration: ordinary requests raise those, and name beforehand which.
pub(super) fn is_raised_by_requests(key: &str) -> bool {
    [SUBJECT, CASE, EMERGENCY].iter().any(|kind| key.starts_with(kind))
}

impl Revisions {
    /// Reads the present revisions; call this before reading the facts themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(query: &mut impl Query, keys: &[String; 4]) -> Result<Self, Error> {
        let [first, second, third, fourth] = keys;
        let sql = "SELECT key, revision FROM revisions WHERE key IN ($1, $2, $3, $4)";
        let rows = query.rows(sql, args![first, second, third, fourth]).await?;
        Self::collect(keys.iter(), &rows)
    }

    /// Reads the present revision of one key more, and notes it; call this before reading the facts themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_also(&mut self, query: &mut impl Query, key: String) -> Result<(), Error> {
        let row = query.row("SELECT revision FROM revisions WHERE key = $1", args![&key]).await?;
        let revision = row.map_or(Ok(0), |row| row.int("revision"))?;
        self.note_earliest(key, revision);
        Ok(())
    }

    /// Notes a revision beside one that may be there already: where the two differ the ground has moved, and the earlier one says so.
    pub fn note_earliest(&mut self, key: String, revision: i64) {
        let noted = self.0.entry(key).or_insert(revision);
        *noted = revision.min(*noted);
    }

    pub(super) fn collect<'a>(keys: impl Iterator<Item = &'a String>, rows: &[Row]) -> Result<Self, Error> {
        let mut revisions: BTreeMap<String, i64> = keys.map(|key| (key.clone(), 0)).collect();
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

    /// Notes the revision of a key that was read at another moment.
    pub fn note(&mut self, key: String, revision: i64) {
        self.0.insert(key, revision);
    }

    /// The keys with their revisions.
    pub fn iter(&self) -> impl Iterator<Item = (&String, i64)> {
        self.0.iter().map(|(key, revision)| (key, *revision))
    }
}

/// Raises the revision of `key`: everything decided on the earlier state is decided again.
pub fn bump(tx: &mut Tx, key: &str) {
    static BUMP: Insert = Insert {
        rank: 0,
        table: "revisions",
        columns: &["key", "revision"],
        conflict: "ON CONFLICT (key) DO UPDATE SET revision = revisions.revision + 1",
        otherwise: Otherwise::Fine,
    };
    // Once is enough for all changes of one transaction.
    if tx.raise(key) {
        tx.append(&BUMP, args![key, 1_i64]);
    }
}
