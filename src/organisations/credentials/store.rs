//! SQL of signing keys, tokens, assertions and revocation lists, and the one statement that every request asks.

use std::time::Duration;

use super::ca::{Reason, RevokedCertificate};
use super::keys::Purpose;
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::types::{Scopes, Status};
use crate::storage::{Error, Query, Row, Tx, window};

/// What the database knows of a connection and its token, in one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) client_id: String,
    pub(super) client_active: bool,
    pub(super) scopes: Scopes,
    pub(super) organisation: Oin,
    pub(super) status: Status,
    /// `None` when the certificate is not in the table (an external one for the main client).
    pub(super) certificate: Option<CertificateStanding>,
    pub(super) token_revoked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertificateStanding {
    pub(super) issued_by: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) revoked: bool,
}

/// One round trip: whose certificate this is, how its client and organisation stand, whether the token was revoked.
/// `fallback_client` is the client of a certificate that is in no table: the main client of the organisation that an
/// external anchor vouches for, or nothing.
pub(super) async fn standing(
    query: &mut impl Query,
    thumbprint: &str,
    fallback_client: Option<&str>,
    token_id: Option<&str>,
) -> Result<Option<Standing>, Error> {
    let sql = "SELECT k.client_id, k.status AS client_status, k.scopes, o.oin, o.status, c.issued_by, c.not_before, \
               c.not_after, c.revoked_at, (SELECT COUNT(*) FROM revoked_tokens t WHERE t.jti = $1) AS token_revoked \
               FROM clients k JOIN organisations o ON o.oin = k.organisation \
               LEFT JOIN certificates c ON c.thumbprint = $2 \
               WHERE k.client_id = COALESCE((SELECT d.client_id FROM certificates d WHERE d.thumbprint = $3), $4)";
    let row = query.row(sql, args![token_id, thumbprint, thumbprint, fallback_client]).await?;
    row.as_ref().map(read_standing).transpose()
}

fn read_standing(row: &Row) -> Result<Standing, Error> {
    let certificate = match row.opt_text("issued_by")? {
        None => None,
        Some(issued_by) => Some(CertificateStanding {
            issued_by,
            not_before: row.time("not_before")?,
            not_after: row.time("not_after")?,
            revoked: row.opt_time("revoked_at")?.is_some(),
        }),
    };
    Ok(Standing {
        client_id: row.text("client_id")?,
        client_active: row.text("client_status")? == "active",
        scopes: row.parsed("scopes")?,
        organisation: row.parsed("oin")?,
        status: row.parsed("status")?,
        certificate,
        token_revoked: row.int("token_revoked")? > 0,
    })
}

/// Whether the assertion was not used before; from now on it is.
pub(super) async fn use_assertion(
    tx: &mut Tx,
    client_id: &str,
    jti: &str,
    expires_at: Timestamp,
) -> Result<bool, Error> {
    let sql = "INSERT INTO used_assertions (client_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, args![client_id, jti, expires_at]).await? == 1)
}

pub(super) async fn revoke_token(tx: &mut Tx, jti: &str, expires_at: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.execute(sql, args![jti, expires_at]).await.map(drop)
}

/// Forgets used assertions and revoked tokens that have ended: they are refused for that. A few at a time; whether there may be more.
pub(super) async fn throw_away(tx: &mut Tx, now: Timestamp) -> Result<bool, Error> {
    let ended = now.minus(Duration::from_micros(1));
    let oldest =
        "SELECT expires_at AS moment FROM used_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
    let (until, assertions) = window::oldest(tx, oldest, ended).await?;
    tx.execute("DELETE FROM used_assertions WHERE expires_at BETWEEN $1 AND $2", args![0_i64, until]).await?;
    let oldest =
        "SELECT expires_at AS moment FROM revoked_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
    let (until, tokens) = window::oldest(tx, oldest, ended).await?;
    tx.execute("DELETE FROM revoked_tokens WHERE expires_at BETWEEN $1 AND $2", args![0_i64, until]).await?;
    Ok(assertions || tokens)
}

/// A signing key as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub(super) kid: String,
    pub(super) purpose: Purpose,
    pub(super) jwk: serde_json::Value,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Timestamp,
    pub(super) active_from: Timestamp,
    pub(super) retired_at: Option<Timestamp>,
}

pub(super) async fn gateway_keys(query: &mut impl Query) -> Result<Vec<StoredKey>, Error> {
    let sql = "SELECT kid, purpose, jwk, private_key, created_at, active_from, retired_at FROM gateway_keys \
               ORDER BY purpose, active_from, kid";
    let read = |row: &Row| {
        Ok(StoredKey {
            kid: row.text("kid")?,
            purpose: row.parsed("purpose")?,
            jwk: row.json("jwk")?,
            sealed: row.bytes("private_key")?,
            created_at: row.time("created_at")?,
            active_from: row.time("active_from")?,
            retired_at: row.opt_time("retired_at")?,
        })
    };
    query.rows(sql, args![]).await?.iter().map(read).collect()
}

/// Whether there is any key for this purpose.
pub(super) async fn has_key(query: &mut impl Query, purpose: Purpose) -> Result<bool, Error> {
    let sql = "SELECT kid FROM gateway_keys WHERE purpose = $1 LIMIT 1";
    Ok(query.row(sql, args![purpose.name()]).await?.is_some())
}

/// Adds a key that takes over at its `active_from`, unless another one is already about to; whether it did.
pub(super) async fn succeed_key(tx: &mut Tx, key: &StoredKey, now: Timestamp) -> Result<bool, Error> {
    let sql = "INSERT INTO gateway_keys (kid, purpose, jwk, private_key, created_at, active_from) \
               SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS \
               (SELECT 1 FROM gateway_keys WHERE purpose = $7 AND active_from > $8)";
    let purpose = key.purpose.name();
    let args = args![
        &key.kid,
        purpose,
        key.jwk.to_string(),
        key.sealed.clone(),
        key.created_at,
        key.active_from,
        purpose,
        now
    ];
    if tx.execute(sql, args).await? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE gateway_keys SET retired_at = $1 WHERE purpose = $2 AND retired_at IS NULL AND kid <> $3";
    tx.execute(sql, args![key.active_from, purpose, &key.kid]).await?;
    Ok(true)
}

/// A revocation list as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredList {
    pub(super) number: i64,
    pub(super) list: Vec<u8>,
    pub(super) revocations: i64,
    pub(super) next_update: Timestamp,
}

/// The newest list, if there is one.
pub(super) async fn newest_list(query: &mut impl Query) -> Result<Option<StoredList>, Error> {
    let sql = "SELECT number, list, revocations, next_update FROM revocation_lists ORDER BY number DESC LIMIT 1";
    let read = |row: Row| {
        Ok(StoredList {
            number: row.int("number")?,
            list: row.bytes("list")?,
            revocations: row.int("revocations")?,
            next_update: row.time("next_update")?,
        })
    };
    query.row(sql, args![]).await?.map(read).transpose()
}

/// Whether no other list got this number first. Lists that nobody can still hold are dropped.
pub(super) async fn insert_list(tx: &mut Tx, list: &StoredList) -> Result<bool, Error> {
    let sql = "INSERT INTO revocation_lists (number, list, revocations, next_update) VALUES ($1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    let args = args![list.number, list.list.clone(), list.revocations, list.next_update];
    let fresh = tx.execute(sql, args).await? == 1;
    tx.execute("DELETE FROM revocation_lists WHERE number < $1", args![list.number - 10]).await?;
    Ok(fresh)
}

/// Every revoked certificate of the gateway's authority that has not ended.
pub(super) async fn revoked(query: &mut impl Query, now: Timestamp) -> Result<Vec<RevokedCertificate>, Error> {
    let sql = "SELECT serial, revoked_at, revocation_reason FROM certificates \
               WHERE issued_by = 'gateway' AND revoked_at IS NOT NULL AND not_after >= $1 ORDER BY revoked_at, serial";
    let read = |row: &Row| {
        let reason = row.opt_text("revocation_reason")?;
        Ok(RevokedCertificate {
            serial: row.text("serial")?,
            revoked_at: row.time("revoked_at")?,
            reason: reason.as_deref().and_then(Reason::parse).unwrap_or(Reason::Unspecified),
        })
    };
    query.rows(sql, args![now]).await?.iter().map(read).collect()
}

/// How many certificates of the gateway's authority were ever revoked.
pub(super) async fn revocations(query: &mut impl Query) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) AS revocations FROM certificates WHERE issued_by = 'gateway' AND revoked_at IS NOT NULL";
    query.row(sql, args![]).await?.map_or(Ok(0), |row| row.int("revocations"))
}
