//! SQL of organisations, their clients, their certificates and their public keys; nothing is decided here.

use super::types::{CertificateRecord, Contact, Organisation, Registration, Scope, Scopes};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Query, Row, Tx};

fn contact(row: &Row) -> Result<Option<Contact>, Error> {
    row.opt_text("contact")?
        .map(|text| serde_json::from_str(&text).map_err(|_| Error::Malformed { column: "contact" }))
        .transpose()
}

fn contact_text(contact: &Contact) -> String {
    serde_json::to_string(contact).unwrap_or_default()
}

fn organisation(row: &Row) -> Result<Organisation, Error> {
    Ok(Organisation {
        oin: row.parsed("oin")?,
        slug: row.parsed("slug")?,
        name: row.text("name")?,
        contact: contact(row)?,
        status: row.parsed("status")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
    })
}

pub(super) async fn find(query: &mut impl Query, oin: &Oin) -> Result<Option<Organisation>, Error> {
    let sql = "SELECT oin, slug, name, contact, status, created_at, updated_at, version \
               FROM organisations WHERE oin = $1";
    query.row(sql, args![oin]).await?.as_ref().map(organisation).transpose()
}

pub(super) async fn find_by_slug(query: &mut impl Query, slug: &str) -> Result<Option<Organisation>, Error> {
    let sql = "SELECT oin, slug, name, contact, status, created_at, updated_at, version \
               FROM organisations WHERE slug = $1";
    query.row(sql, args![slug]).await?.as_ref().map(organisation).transpose()
}

/// Organisations after `after`, by OIN.
pub(super) async fn page(query: &mut impl Query, after: &str, limit: i64) -> Result<Vec<Organisation>, Error> {
    let sql = "SELECT oin, slug, name, contact, status, created_at, updated_at, version \
               FROM organisations WHERE oin > $1 ORDER BY oin LIMIT $2";
    query.rows(sql, args![after, limit]).await?.iter().map(organisation).collect()
}

/// Whether the organisation was not there yet, by number or by slug.
pub(super) async fn insert(tx: &mut Tx, registration: &Registration, now: Timestamp) -> Result<bool, Error> {
    let sql = "INSERT INTO organisations (oin, slug, name, contact, status, created_at, updated_at, version, \
               keys, keys_version) VALUES ($1, $2, $3, $4, 'active', $5, $6, 1, '{\"keys\":[]}', 1) \
               ON CONFLICT DO NOTHING";
    let contact = registration.contact.as_ref().map(contact_text);
    let name = registration.name.as_str();
    let args = args![&registration.oin, registration.slug.as_str(), name, contact, now, now];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Whether the organisation still had the version that the change was made to.
pub(super) async fn update(tx: &mut Tx, changed: &Organisation, from_version: i64) -> Result<bool, Error> {
    let sql = "UPDATE organisations SET name = $1, contact = $2, status = $3, updated_at = $4, version = $5 \
               WHERE oin = $6 AND version = $7";
    let args = args![
        &changed.name,
        changed.contact.as_ref().map(contact_text),
        changed.status.name(),
        changed.updated_at,
        changed.version,
        &changed.oin,
        from_version
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Whether the client was not there yet.
pub(super) async fn insert_client(
    tx: &mut Tx,
    client_id: &str,
    organisation: &Oin,
    scopes: &Scopes,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "INSERT INTO clients (client_id, organisation, scopes, status, created_at) \
               VALUES ($1, $2, $3, 'active', $4) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, args![client_id, organisation, scopes.to_string(), now]).await? == 1)
}

/// The ids of an organisation's clients.
pub(super) async fn client_ids(query: &mut impl Query, organisation: &Oin) -> Result<Vec<String>, Error> {
    let sql = "SELECT client_id FROM clients WHERE organisation = $1 ORDER BY client_id";
    query.rows(sql, args![organisation]).await?.iter().map(|row| row.text("client_id")).collect()
}

/// The organisation that a client belongs to.
pub(super) async fn organisation_of_client(query: &mut impl Query, client_id: &str) -> Result<Option<Oin>, Error> {
    let sql = "SELECT organisation FROM clients WHERE client_id = $1 AND status = 'active'";
    query.row(sql, args![client_id]).await?.map(|row| row.parsed("organisation")).transpose()
}

fn certificate(row: &Row) -> Result<CertificateRecord, Error> {
    Ok(CertificateRecord {
        thumbprint: row.text("thumbprint")?,
        serial: row.text("serial")?,
        client_id: row.text("client_id")?,
        organisation: row.parsed("organisation")?,
        der: row.bytes("certificate")?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
        issued_at: row.time("issued_at")?,
        server_names: row.text("server_names")?.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        revoked_at: row.opt_time("revoked_at")?,
        revocation_reason: row.opt_text("revocation_reason")?,
    })
}

pub(super) async fn insert_certificate(tx: &mut Tx, record: &CertificateRecord, issued_by: &str) -> Result<(), Error> {
    let sql = "INSERT INTO certificates (thumbprint, serial, issued_by, client_id, certificate, server_names, \
               not_before, not_after, issued_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = args![
        &record.thumbprint,
        &record.serial,
        issued_by,
        &record.client_id,
        record.der.clone(),
        record.server_names.join(" "),
        record.not_before,
        record.not_after,
        record.issued_at
    ];
    tx.execute(sql, args).await.map(drop)
}

/// An organisation's certificates, newest first, after a place in that order.
pub(super) async fn certificates(
    query: &mut impl Query,
    organisation: &Oin,
    before: (Timestamp, &str),
    limit: i64,
) -> Result<Vec<CertificateRecord>, Error> {
    let sql = "SELECT c.thumbprint, c.serial, c.client_id, k.organisation, c.certificate, c.not_before, c.not_after, \
               c.issued_at, c.server_names, c.revoked_at, c.revocation_reason \
               FROM certificates c JOIN clients k ON k.client_id = c.client_id WHERE k.organisation = $1 \
               AND (c.issued_at < $2 OR (c.issued_at = $3 AND c.thumbprint > $4)) \
               ORDER BY c.issued_at DESC, c.thumbprint LIMIT $5";
    let (moment, thumbprint) = before;
    let args = args![organisation, moment, moment, thumbprint, limit];
    query.rows(sql, args).await?.iter().map(certificate).collect()
}

/// The certificate with this serial number that the gateway's authority issued.
pub(super) async fn certificate_by_serial(
    query: &mut impl Query,
    serial: &str,
) -> Result<Option<CertificateRecord>, Error> {
    let sql = "SELECT c.thumbprint, c.serial, c.client_id, k.organisation, c.certificate, c.not_before, c.not_after, \
               c.issued_at, c.server_names, c.revoked_at, c.revocation_reason \
               FROM certificates c JOIN clients k ON k.client_id = c.client_id \
               WHERE c.serial = $1 AND c.issued_by = 'gateway'";
    query.row(sql, args![serial]).await?.as_ref().map(certificate).transpose()
}

/// The certificate with this thumbprint, whoever issued it.
pub(super) async fn certificate_by_thumbprint(
    query: &mut impl Query,
    thumbprint: &str,
) -> Result<Option<CertificateRecord>, Error> {
    let sql = "SELECT c.thumbprint, c.serial, c.client_id, k.organisation, c.certificate, c.not_before, c.not_after, \
               c.issued_at, c.server_names, c.revoked_at, c.revocation_reason \
               FROM certificates c JOIN clients k ON k.client_id = c.client_id WHERE c.thumbprint = $1";
    query.row(sql, args![thumbprint]).await?.as_ref().map(certificate).transpose()
}

/// Whether the certificate was not revoked yet.
pub(super) async fn revoke_certificate(
    tx: &mut Tx,
    thumbprint: &str,
    reason: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE certificates SET revoked_at = $1, revocation_reason = $2 \
               WHERE thumbprint = $3 AND revoked_at IS NULL";
    Ok(tx.execute(sql, args![now, reason, thumbprint]).await? == 1)
}

/// An organisation's JWK set and the version of it.
pub(super) async fn keys(query: &mut impl Query, oin: &Oin) -> Result<Option<(serde_json::Value, i64)>, Error> {
    let row = query.row("SELECT keys, keys_version FROM organisations WHERE oin = $1", args![oin]).await?;
    row.map(|row| Ok((row.json("keys")?, row.int("keys_version")?))).transpose()
}

/// Whether the set still had the version that it replaces.
pub(super) async fn replace_keys(
    tx: &mut Tx,
    oin: &Oin,
    keys: &serde_json::Value,
    from_version: i64,
) -> Result<bool, Error> {
    let sql =
        "UPDATE organisations SET keys = $1, keys_version = keys_version + 1 WHERE oin = $2 AND keys_version = $3";
    Ok(tx.execute(sql, args![keys.to_string(), oin, from_version]).await? == 1)
}

/// Every organisation that is active.
///
/// # Errors
/// When the database fails.
pub async fn active(query: &mut impl Query) -> Result<Vec<Oin>, Error> {
    let rows = query.rows("SELECT oin FROM organisations WHERE status = 'active' ORDER BY oin", args![]).await?;
    rows.iter().map(|row| row.parsed("oin")).collect()
}

/// The organisations with a client to which this scope was granted.
///
/// # Errors
/// When the database fails.
pub async fn with_scope(query: &mut impl Query, scope: Scope) -> Result<Vec<Oin>, Error> {
    let rows = query.rows("SELECT organisation, scopes FROM clients ORDER BY organisation", args![]).await?;
    let mut found: Vec<Oin> = Vec::new();
    for row in rows {
        let scopes: Scopes = row.parsed("scopes")?;
        if scopes.has(scope) {
            found.push(row.parsed("organisation")?);
        }
    }
    found.dedup();
    Ok(found)
}
