//! The SQL of the covenant: published versions, their bytes, and who signed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accession::{Accession, Standings};
use super::types::PurposeCode;
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};

/// A published version, without its files.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its name.
    pub version: String,
    /// The digest that the parties sign.
    pub digest: String,
    /// From when it rules.
    pub effective_from: Timestamp,
    /// When it was published.
    pub announced_at: Timestamp,
    /// What was proven of it before; none when it was published without proof.
    pub proof: Option<ProofNote>,
}

/// That a version was proven: against which invariants, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofNote {
    /// How many invariants hold.
    pub invariants: usize,
    /// Their digest.
    pub digest: String,
    /// The solver.
    pub solver: String,
}

impl Published {
    /// Whether it is still to rule, rules, or has ruled.
    pub(super) fn status(&self, in_force: Option<&Self>, now: Timestamp) -> &'static str {
        if self.effective_from > now {
            "published"
        } else if in_force.is_none_or(|in_force| in_force.effective_from <= self.effective_from) {
            "in-force"
        } else {
            "superseded"
        }
    }
}

/// A party's signature under a version.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Who signed.
    pub organisation: Oin,
    /// The detached JWS.
    pub jws: String,
    /// The certificate that it verified with (`x5t#S256`).
    pub thumbprint: String,
    /// When the gateway got it.
    pub signed_at: Timestamp,
}

pub(super) async fn insert(tx: &mut Tx, published: &Published, files: &BTreeMap<String, String>) -> Result<(), Error> {
    let files = serde_json::to_string(files).map_err(|_| Error::Malformed { column: "files" })?;
    let proof = published.proof.as_ref().map(serde_json::to_string).transpose();
    let proof = proof.map_err(|_| Error::Malformed { column: "proof" })?;
    let Published { version, digest, effective_from, announced_at, .. } = published;
    tx.execute(
        "INSERT INTO covenants (version, digest, effective_from, published_at, files, proof) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![version, digest, *effective_from, *announced_at, files, proof],
    )
    .await
    .map(drop)
}

/// Stores a signature for one purpose; whether there was none.
pub(super) async fn insert_for_purpose(
    tx: &mut Tx,
    version: &str,
    purpose: &PurposeCode,
    signature: &Signature,
) -> Result<bool, Error> {
    let Signature { organisation, jws, thumbprint, signed_at } = signature;
    let stored = tx
        .execute(
            "INSERT INTO covenant_purpose_signatures (version, organisation, purpose, jws, thumbprint, signed_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (version, organisation, purpose) DO NOTHING",
            args![version, organisation, purpose.as_str(), jws, thumbprint, *signed_at],
        )
        .await?;
    Ok(stored == 1)
}

/// Stores a signature under the whole; whether there was none.
pub(super) async fn insert_signature(tx: &mut Tx, version: &str, signature: &Signature) -> Result<bool, Error> {
    let stored = tx
        .execute(
            "INSERT INTO covenant_signatures (version, organisation, jws, thumbprint, signed_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (version, organisation) DO NOTHING",
            args![version, &signature.organisation, &signature.jws, &signature.thumbprint, signature.signed_at],
        )
        .await?;
    Ok(stored == 1)
}

/// The version that rules at this moment, if any.
///
/// # Errors
/// When the database fails.
pub async fn in_force(query: &mut impl Query, now: Timestamp) -> Result<Option<Published>, Error> {
    let sql = "SELECT version, digest, effective_from, published_at, proof FROM covenants WHERE effective_from <= $1 \
               ORDER BY effective_from DESC LIMIT 1";
    query.row(sql, args![now]).await?.as_ref().map(read).transpose()
}

pub(super) async fn find(query: &mut impl Query, version: &str) -> Result<Option<Published>, Error> {
    let sql = "SELECT version, digest, effective_from, published_at, proof FROM covenants WHERE version = $1";
    query.row(sql, args![version]).await?.as_ref().map(read).transpose()
}

/// All versions, the last to rule first; there are few.
///
/// # Errors
/// When the database fails.
pub async fn list(query: &mut impl Query) -> Result<Vec<Published>, Error> {
    let sql = "SELECT version, digest, effective_from, published_at, proof FROM covenants ORDER BY effective_from DESC";
    query.rows(sql, args![]).await?.iter().map(read).collect()
}

pub(super) async fn files(query: &mut impl Query, version: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
    let row = query.row("SELECT files FROM covenants WHERE version = $1", args![version]).await?;
    row.map(|row| row.json("files")).transpose()
}

/// The signatures under the whole of a version, oldest first.
pub(super) async fn signatures(query: &mut impl Query, version: &str) -> Result<Vec<Signature>, Error> {
    let sql = "SELECT organisation, jws, thumbprint, signed_at FROM covenant_signatures WHERE version = $1 \
               ORDER BY signed_at, organisation";
    query.rows(sql, args![version]).await?.iter().map(read_signature).collect()
}

/// Those for one purpose, oldest first.
pub(super) async fn signatures_for_purposes(
    query: &mut impl Query,
    version: &str,
) -> Result<Vec<(PurposeCode, Signature)>, Error> {
    let sql = "SELECT organisation, purpose, jws, thumbprint, signed_at FROM covenant_purpose_signatures WHERE version = $1 \
               ORDER BY signed_at, organisation, purpose";
    let rows = query.rows(sql, args![version]).await?;
    rows.iter().map(|row| Ok((row.parsed("purpose")?, read_signature(row)?))).collect()
}

/// Reads the signature of a row, whatever it was given for.
///
/// # Errors
/// When the row holds something else.
pub fn read_signature(row: &Row) -> Result<Signature, Error> {
    Ok(Signature {
        organisation: row.parsed("organisation")?,
        jws: row.text("jws")?,
        thumbprint: row.text("thumbprint")?,
        signed_at: row.time("signed_at")?,
    })
}

/// How every organisation stands towards a version, but for cases; they are few.
///
/// # Errors
/// When the database fails.
pub async fn standings(query: &mut impl Query, version: &str) -> Result<Standings, Error> {
    let sql = "SELECT o.oin AS oin, o.status AS status, s.signed_at AS signed_at FROM organisations o \
               LEFT JOIN covenant_signatures s ON s.organisation = o.oin AND s.version = $1 ORDER BY o.oin";
    let parties = query.rows(sql, args![version]).await?;
    let sql = "SELECT organisation, purpose FROM covenant_purpose_signatures WHERE version = $1";
    let purposes = query.rows(sql, args![version]).await?;
    read_standings(version, &parties, &purposes)
}

/// How two parties stand towards a version, but for cases. One that is not registered is a stranger.
///
/// # Errors
/// When the database fails.
pub async fn standing(query: &mut impl Query, version: &str, parties: [&Oin; 2]) -> Result<Standings, Error> {
    let [first, second] = parties;
    let sql = "SELECT o.oin AS oin, o.status AS status, s.signed_at AS signed_at FROM organisations o \
               LEFT JOIN covenant_signatures s ON s.organisation = o.oin AND s.version = $1 WHERE o.oin IN ($2, $3)";
    let parties = query.rows(sql, args![version, first, second]).await?;
    let sql =
        "SELECT organisation, purpose FROM covenant_purpose_signatures WHERE version = $1 AND organisation IN ($2, $3)";
    let purposes = query.rows(sql, args![version, first, second]).await?;
    read_standings(version, &parties, &purposes)
}

fn read_standings(version: &str, parties: &[Row], purposes: &[Row]) -> Result<Standings, Error> {
    let mut standings = Standings { version: version.to_owned(), ..Standings::default() };
    for row in parties {
        let (whole, active) = (row.opt_int("signed_at")?.is_some(), row.text("status")? == "active");
        standings.of.insert(row.parsed("oin")?, Accession { active, whole, ..Accession::default() });
    }
    for row in purposes {
        if let Some(accession) = standings.of.get_mut(&row.parsed("organisation")?) {
            accession.purposes.insert(row.parsed("purpose")?);
        }
    }
    Ok(standings)
}

fn read(row: &Row) -> Result<Published, Error> {
    Ok(Published {
        version: row.text("version")?,
        digest: row.text("digest")?,
        effective_from: row.time("effective_from")?,
        announced_at: row.time("published_at")?,
        proof: row.opt_json("proof")?,
    })
}
