//! What a change rests on, checked by the writer before the change runs: once for all changes that share a transaction.
//!
//! Invariant: a change whose ground has moved does not run; its caller is told to decide again ([`Problem::is_stale`]).

use std::collections::{BTreeMap, BTreeSet};

use super::connection::Connection;
use super::revisions::{self, Revisions};
use super::{Error, Query as _};
use crate::args;
use crate::clock::Timestamp;

#[cfg(doc)]
use crate::problem::Problem;

/// What a change rests on.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// Must be as they were when the facts were read.
    pub revisions: Revisions,
    /// The keys of residents and cases that the change raises, or may raise. Named beforehand so that several writers take their locks in one order and never
    /// wait for each other in a circle.
    pub raises: Vec<String>,
    /// The idempotency key that must not have been used.
    pub claim: Option<Claim>,
}

impl Ground {
    /// Nothing but a key that the change raises.
    #[must_use]
    pub fn raising(key: String) -> Self {
        Self { raises: vec![key], ..Self::default() }
    }

    /// Rests on these too, as they were when they were read first.
    pub fn rest_on(&mut self, revisions: &Revisions) {
        for (key, revision) in revisions.iter() {
            self.revisions.note_earliest(key.clone(), revision);
        }
    }
}

/// An idempotency key that must be unused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Organisation and route.
    pub scope: String,
    /// The key.
    pub key: String,
    /// The moment of the request: a key that was used longer ago than it is kept for counts as unused.
    pub at: Timestamp,
}

/// What the writer found for all changes of a transaction.
#[derive(Debug, Default)]
pub(super) struct Survey {
    revisions: BTreeMap<String, i64>,
    /// Scope and key.
    used: BTreeSet<(String, String)>,
    /// Keys that changes of this transaction have raised.
    raised: BTreeSet<String>,
}

impl Survey {
    /// Reads what the changes rest on, and holds it until the transaction ends: outside every savepoint, for undoing one change must
    /// not let go of what its neighbours rest on.
    pub(super) async fn take(connection: &mut Connection, grounds: &[&Ground]) -> Result<Self, Error> {
        let mut survey = Self::default();
        let expected = || grounds.iter().flat_map(|ground| ground.revisions.iter());
        let raises = || grounds.iter().flat_map(|ground| &ground.raises);
        let keys: BTreeSet<&String> = expected().map(|(key, _)| key).chain(raises()).collect();
        if !keys.is_empty() {
            let absent: BTreeSet<&String> =
                expected().filter(|(_, revision)| *revision == 0).map(|(key, _)| key).chain(raises()).collect();
            let rows = hold(connection, &keys, &absent, raises().next().is_some()).await?;
            survey.revisions = rows;
        }
        let claims: Vec<&Claim> = grounds.iter().filter_map(|ground| ground.claim.as_ref()).collect();
        if let Some(at) = claims.iter().map(|claim| claim.at).max() {
            survey.used = used(connection, &claims, at).await?;
        }
        Ok(survey)
    }

    /// Whether nothing that this change rests on has moved. Its claim counts as used from now on.
    pub(super) fn holds(&mut self, ground: &Ground) -> bool {
        let settled = ground.revisions.iter().all(|(key, revision)| {
            !self.raised.contains(key) && self.revisions.get(key).copied().unwrap_or(0) == revision
        });
        settled && ground.claim.as_ref().is_none_or(|claim| self.used.insert((claim.scope.clone(), claim.key.clone())))
    }

    /// Takes note of the keys that a change of this transaction has raised.
    pub(super) fn note_raised(&mut self, keys: BTreeSet<String>) {
        self.raised.extend(keys);
    }

    /// Whether an earlier change of this transaction has raised the key.
    pub(super) fn is_raised(&self, key: &str) -> bool {
        self.raised.contains(key)
    }
}

fn json<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    texts.map(String::as_str).collect::<serde_json::Value>().to_string()
}

/// Reads the revisions of the keys; on `PostgreSQL` nobody can raise one of them before this transaction ends.
async fn hold(
    connection: &mut Connection,
    keys: &BTreeSet<&String>,
    absent: &BTreeSet<&String>,
    raises: bool,
) -> Result<BTreeMap<String, i64>, Error> {
    let mut rows = Vec::new();
    if connection.is_postgres() {
        // A row that is not there cannot be held: without it, two changes that both rest on its absence would not see each other.
        if !absent.is_empty() {
            let sql = "INSERT INTO revisions (key, revision) \
                       SELECT key, 0 FROM json_array_elements_text($1::json) AS listed (key) ORDER BY key \
                       ON CONFLICT (key) DO NOTHING";
            connection.execute(sql, args![json(absent.iter().copied())]).await?;
        }
        let (raised, others): (Vec<&String>, Vec<&String>) =
            keys.iter().copied().partition(|key| revisions::is_raised_by_requests(key));
        // Residents and cases first and in order of their keys, in every transaction; exclusively where one of them is raised.
        let alone = "SELECT key, revision FROM revisions \
                     WHERE key = ANY(ARRAY(SELECT json_array_elements_text($1::json))) ORDER BY key FOR NO KEY UPDATE";
        let shared = "SELECT key, revision FROM revisions \
                      WHERE key = ANY(ARRAY(SELECT json_array_elements_text($1::json))) ORDER BY key FOR SHARE";
        if raises {
            rows.extend(connection.rows(alone, args![json(raised.into_iter())]).await?);
            if !others.is_empty() {
                rows.extend(connection.rows(shared, args![json(others.into_iter())]).await?);
            }
        } else {
            rows.extend(connection.rows(shared, args![json(keys.iter().copied())]).await?);
        }
    } else {
        let sql = "SELECT key, revision FROM revisions WHERE key IN (SELECT value FROM json_each($1))";
        rows = connection.rows(sql, args![json(keys.iter().copied())]).await?;
    }
    rows.iter().map(|row| Ok((row.text("key")?, row.int("revision")?))).collect()
}

/// Which of these idempotency keys were used and are still kept at this moment.
async fn used(
    connection: &mut Connection,
    claims: &[&Claim],
    at: Timestamp,
) -> Result<BTreeSet<(String, String)>, Error> {
    let pairs: Vec<_> = claims.iter().map(|claim| serde_json::json!({ "s": claim.scope, "k": claim.key })).collect();
    let sql = if connection.is_postgres() {
        // One look-up for each claim, whatever the planner makes of their number.
        "SELECT c.s AS scope, c.k AS key FROM json_to_recordset($1::json) AS c (s TEXT, k TEXT) CROSS JOIN LATERAL \
         (SELECT 1 FROM idempotency i WHERE i.scope = c.s AND i.key = c.k AND i.expires_at > $2 LIMIT 1) AS found"
    } else {
        "SELECT i.scope, i.key FROM json_each($1) AS c \
         JOIN idempotency i ON i.scope = json_extract(c.value, '$.s') AND i.key = json_extract(c.value, '$.k') \
         WHERE i.expires_at > $2"
    };
    let rows = connection.rows(sql, args![serde_json::Value::from(pairs).to_string(), at]).await?;
    rows.iter().map(|row| Ok((row.text("scope")?, row.text("key")?))).collect()
}
