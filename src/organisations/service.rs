//! The use cases of organisations: register, change, certify, revoke, replace keys.
//!
//! Each runs inside the caller's transaction, so that an answer to a repeated request, an audit record and the change itself
//! are stored together. Invariant: every change ends in [`record_change`], which raises the organisation's revision and
//! writes the audit record.

use super::changes::{ChangeRecord, Part, record_change, tell_others};
use super::credentials::ca::{Profile, Reason};
use super::credentials::csr::ProvenKey;
use super::credentials::{Credentials, PeerCertificate, VouchedBy};
use super::types::{CertificateRecord, Change, Organisation, Registration, Role, Status, partner_scopes};
use super::{Actor, keys, store};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::storage::{Query, Tx};

/// Registers an organisation with its main client.
///
/// # Errors
/// 409 when its number or short name is taken.
pub async fn register(
    tx: &mut Tx,
    registration: &Registration,
    actor: &Actor,
    now: Timestamp,
) -> Result<Organisation, Problem> {
    if !store::insert(tx, registration, now).await? {
        return Err(Problem::new(
            Code::AlreadyExists,
            "an organisation with this OIN or short name is registered already",
        ));
    }
    let oin = &registration.oin;
    store::insert_client(tx, oin.as_str(), oin, &partner_scopes(), now).await?;
    record_change(tx, ChangeRecord { action: "registered", organisation: oin, part: Part::Whole, actor, at: now })
        .await?;
    find(tx, oin).await
}

/// A short name for a registration that brings none: made of the name, or the number when that is taken.
///
/// # Errors
/// When the database fails.
pub async fn free_slug(tx: &mut Tx, name: &str, oin: &Oin) -> Result<super::Slug, Problem> {
    if let Some(slug) = super::Slug::from_name(name)
        && store::find_by_slug(tx, slug.as_str()).await?.is_none()
    {
        return Ok(slug);
    }
    oin.as_str().to_ascii_lowercase().parse().map_err(|_| Problem::internal("an OIN is not usable as short name"))
}

/// Changes name, contact or status.
///
/// # Errors
/// 404; 409 for a change to an organisation that has left, or when another change was faster.
pub async fn change(
    tx: &mut Tx,
    oin: &Oin,
    change: &Change,
    actor: &Actor,
    now: Timestamp,
) -> Result<Organisation, Problem> {
    let present = find(tx, oin).await?;
    let status = change.status.unwrap_or(present.status);
    if present.status == Status::Retired || !present.status.may_become(status) {
        return Err(Problem::new(
            Code::Conflict,
            "the organisation has left for good; nothing about it changes any more",
        ));
    }
    let changed = Organisation {
        name: change.name.as_ref().map_or_else(|| present.name.clone(), |name| name.as_str().to_owned()),
        contact: change.contact.clone().or_else(|| present.contact.clone()),
        status,
        updated_at: now,
        version: present.version + 1,
        ..present.clone()
    };
    let same = Organisation { updated_at: present.updated_at, version: present.version, ..changed.clone() } == present;
    if same {
        return Ok(present);
    }
    if !store::update(tx, &changed, present.version).await? {
        return Err(crate::storage::Error::Conflict.into());
    }
    let action = match (present.status, status) {
        (from, to) if from == to => "changed",
        (_, Status::Suspended) => "suspended",
        (_, Status::Active) => "resumed",
        (_, Status::Retired) => "retired",
    };
    record_change(tx, ChangeRecord { action, organisation: oin, part: Part::Whole, actor, at: now }).await?;
    if status != present.status {
        tell_others(tx, oin, status, actor, now).await?;
    }
    Ok(changed)
}

/// The organisation with this number.
///
/// # Errors
/// 404.
pub async fn find(query: &mut impl Query, oin: &Oin) -> Result<Organisation, Problem> {
    store::find(query, oin).await?.ok_or_else(Problem::not_found)
}

/// The organisation with this number or short name, as people write it in commands.
///
/// # Errors
/// 404.
pub async fn find_by_name(query: &mut impl Query, name: &str) -> Result<Organisation, Problem> {
    let found = match name.parse::<Oin>() {
        Ok(oin) => store::find(query, &oin).await?,
        Err(_) => store::find_by_slug(query, name).await?,
    };
    found.ok_or_else(Problem::not_found)
}

/// Organisations by number, from after `after`.
///
/// # Errors
/// When the database fails.
pub async fn list(query: &mut impl Query, after: &str, limit: i64) -> Result<Vec<Organisation>, Problem> {
    Ok(store::page(query, after, limit).await?)
}

/// The ids of an organisation's clients.
///
/// # Errors
/// When the database fails.
pub async fn clients(query: &mut impl Query, oin: &Oin) -> Result<Vec<String>, Problem> {
    Ok(store::client_ids(query, oin).await?)
}

/// Gives an organisation a client for a role, if it has none yet; answers the client's id.
///
/// # Errors
/// 404.
pub async fn ensure_client(
    tx: &mut Tx,
    oin: &Oin,
    role: Role,
    actor: &Actor,
    now: Timestamp,
) -> Result<String, Problem> {
    find(tx, oin).await?;
    let client_id = role.client_id(oin);
    if store::insert_client(tx, &client_id, oin, &role.scopes(), now).await? {
        record_change(
            tx,
            ChangeRecord { action: "client-added", organisation: oin, part: Part::Client(&client_id), actor, at: now },
        )
        .await?;
    }
    Ok(client_id)
}

/// A wish for a certificate.
#[derive(Debug, Clone)]
pub struct CertificateWish {
    /// The client that it is for.
    pub client_id: String,
    /// The key, with proof that the requester has the private half.
    pub key: ProvenKey,
    /// Whether a server may use it too.
    pub server: bool,
    /// Names of that server beyond those in the signing request.
    pub server_names: Vec<String>,
    /// How long it shall hold, if shorter than what is configured.
    pub lifetime: Option<std::time::Duration>,
}

/// Issues a certificate to a client of an organisation. Earlier certificates go on holding, so that a renewal overlaps.
///
/// # Errors
/// 404 for an organisation or client that the actor may not manage; 403 for another client of the own organisation;
/// 409 when the organisation does not take part.
pub async fn issue_certificate(
    tx: &mut Tx,
    credentials: &Credentials,
    oin: &Oin,
    wish: &CertificateWish,
    actor: &Actor,
    now: Timestamp,
) -> Result<CertificateRecord, Problem> {
    if !actor.may_manage(oin) {
        return Err(Problem::not_found());
    }
    let organisation = find(tx, oin).await?;
    if !actor.administers && actor.client_id != wish.client_id {
        return Err(Problem::new(Code::Forbidden, "a certificate for another client takes scope organisations:write"));
    }
    if store::organisation_of_client(tx, &wish.client_id).await?.as_ref() != Some(oin) {
        return Err(Problem::invalid_param("clientId", "unknown-client", "expected a client of this organisation"));
    }
    if organisation.status != Status::Active {
        return Err(Problem::new(Code::Conflict, "the organisation does not take part at this moment"));
    }
    let authority = credentials.authority.as_ref().ok_or_else(|| {
        Problem::new(Code::Unavailable, "this gateway does not issue certificates; ask your certificate authority")
    })?;
    let profile = Profile {
        oin: oin.clone(),
        organisation: organisation.name.clone(),
        common_name: if wish.client_id == oin.as_str() {
            organisation.slug.to_string()
        } else {
            wish.client_id.clone()
        },
        server: wish.server,
        server_names: if wish.server { server_names(tx, credentials, wish, oin, actor).await? } else { Vec::new() },
        client: true,
        lifetime: wish.lifetime.unwrap_or(credentials.certificate_lifetime()).min(credentials.certificate_lifetime()),
    };
    let issued = authority
        .certify(&wish.key, &profile, credentials.entropy(), now)
        .map_err(|error| Problem::internal(&error.to_string()))?;
    let record = record_of(&issued.facts, issued.der, &wish.client_id, oin, profile.server_names, now);
    store::insert_certificate(tx, &record, "gateway").await?;
    let part = Part::Certificate(&record.serial);
    record_change(tx, ChangeRecord { action: "certificate-issued", organisation: oin, part, actor, at: now }).await?;
    Ok(record)
}

/// Which server names a certificate gets. An administrator grants the wished ones; an organisation by itself keeps those that
/// its certificates have already: a signing request proves a key, not that a name is the requester's. The
/// gateway's own name is never granted.
async fn server_names(
    tx: &mut Tx,
    credentials: &Credentials,
    wish: &CertificateWish,
    oin: &Oin,
    actor: &Actor,
) -> Result<Vec<String>, Problem> {
    let mut wished: Vec<String> = wish.key.wished_names().iter().chain(&wish.server_names).cloned().collect();
    if !actor.administers {
        let mut granted = Vec::new();
        for certificate in store::certificates(tx, oin, (Timestamp::from_micros(i64::MAX), ""), 100).await? {
            if certificate.client_id == wish.client_id && certificate.revoked_at.is_none() {
                granted.extend(certificate.server_names);
            }
        }
        let all = wished.is_empty();
        wished = granted.into_iter().filter(|name| all || wished.contains(name)).collect();
    }
    wished.sort();
    wished.dedup();
    if !actor.is_operator() {
        wished.retain(|name| !name.eq_ignore_ascii_case(credentials.host()));
    }
    wished.retain(|name| super::credentials::ca::is_server_name(name));
    Ok(wished)
}

fn record_of(
    facts: &PeerCertificate,
    der: Vec<u8>,
    client_id: &str,
    organisation: &Oin,
    server_names: Vec<String>,
    now: Timestamp,
) -> CertificateRecord {
    CertificateRecord {
        thumbprint: facts.thumbprint.clone(),
        serial: facts.serial.clone(),
        client_id: client_id.to_owned(),
        organisation: organisation.clone(),
        der,
        not_before: facts.not_before,
        not_after: facts.not_after,
        issued_at: now,
        server_names,
        revoked_at: None,
        revocation_reason: None,
    }
}

/// Registers a certificate of an external anchor for a named client. The main client needs no registration: it is
/// recognised by the OIN in its certificate.
///
/// # Errors
/// 404; 400 when the certificate is not of an anchor that may vouch for the organisation, or names another one.
pub async fn register_certificate(
    tx: &mut Tx,
    credentials: &Credentials,
    oin: &Oin,
    client_id: &str,
    der: Vec<u8>,
    actor: &Actor,
    now: Timestamp,
) -> Result<CertificateRecord, Problem> {
    if !actor.administers || store::organisation_of_client(tx, client_id).await?.as_ref() != Some(oin) {
        return Err(Problem::not_found());
    }
    let refused = |reason: &str| Problem::invalid_param("certificate", "certificate", reason);
    let facts = credentials.anchors.identify(&der).map_err(|_| refused("expected an X.509 certificate"))?;
    let anchor = match &facts.vouched_by {
        Some(VouchedBy::Anchor(anchor)) if credentials.anchors.may_vouch_for(anchor, oin) => anchor.clone(),
        _ => return Err(refused("expected a certificate of an anchor that may vouch for this organisation")),
    };
    if facts.oin.as_ref() != Some(oin) {
        return Err(refused("expected the organisation's OIN in serialNumber of the subject"));
    }
    let record = record_of(&facts, der, client_id, oin, Vec::new(), now);
    if store::certificate_by_thumbprint(tx, &record.thumbprint).await?.is_some() {
        return Err(Problem::new(Code::AlreadyExists, "the certificate is registered already"));
    }
    store::insert_certificate(tx, &record, &anchor).await?;
    let part = Part::Certificate(&record.serial);
    record_change(tx, ChangeRecord { action: "certificate-registered", organisation: oin, part, actor, at: now })
        .await?;
    Ok(record)
}

/// An organisation's certificates, newest first.
///
/// # Errors
/// 404 when the actor may not see them.
pub async fn certificates(
    query: &mut impl Query,
    oin: &Oin,
    before: (Timestamp, &str),
    limit: i64,
    actor: &Actor,
) -> Result<Vec<CertificateRecord>, Problem> {
    if !actor.may_manage(oin) {
        return Err(Problem::not_found());
    }
    find(query, oin).await?;
    Ok(store::certificates(query, oin, before, limit).await?)
}

/// Revokes a certificate of the gateway's authority; `oin` is whose it must be, if the caller named an organisation.
///
/// # Errors
/// 404 when there is none that the actor may revoke; 409 when it is revoked already.
pub async fn revoke_certificate(
    tx: &mut Tx,
    oin: Option<&Oin>,
    serial: &str,
    reason: Reason,
    actor: &Actor,
    now: Timestamp,
) -> Result<CertificateRecord, Problem> {
    let serial = serial.trim_start_matches("00").to_ascii_lowercase();
    let found = store::certificate_by_serial(tx, &serial).await?;
    let record = found
        .filter(|record| actor.may_manage(&record.organisation) && oin.is_none_or(|oin| *oin == record.organisation))
        .ok_or_else(Problem::not_found)?;
    // A named client of the organisation is not the organisation's other clients.
    if !actor.administers && actor.client_id != record.client_id && actor.client_id != record.organisation.as_str() {
        return Err(Problem::not_found());
    }
    if !store::revoke_certificate(tx, &record.thumbprint, reason.name(), now).await? {
        return Err(Problem::new(Code::Conflict, "the certificate is revoked already"));
    }
    record_change(
        tx,
        ChangeRecord {
            action: "certificate-revoked",
            organisation: &record.organisation,
            part: Part::Certificate(&record.serial),
            actor,
            at: now,
        },
    )
    .await?;
    Ok(CertificateRecord { revoked_at: Some(now), revocation_reason: Some(reason.name().to_owned()), ..record })
}

/// An organisation's JWK set and the version of it.
///
/// # Errors
/// 404.
pub async fn keys(query: &mut impl Query, oin: &Oin) -> Result<(serde_json::Value, i64), Problem> {
    store::keys(query, oin).await?.ok_or_else(Problem::not_found)
}

/// Whether these keys speak for the whole organisation: its main client alone decides on them.
fn may_replace_keys(oin: &Oin, actor: &Actor) -> Result<(), Problem> {
    let own = actor.organisation.as_ref() == Some(oin) && actor.client_id == oin.as_str();
    if own { Ok(()) } else { Err(Problem::not_found()) }
}

/// Checks a JWK set, and its signature where it has one, before it is stored.
///
/// # Errors
/// 404 for another organisation's; 400 for keys or a signature that are not accepted.
pub async fn check_keys(
    credentials: &Credentials,
    oin: &Oin,
    set: &serde_json::Value,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), Problem> {
    may_replace_keys(oin, actor)?;
    keys::check(set)?;
    let Some(signed) = set.get("signed").and_then(serde_json::Value::as_str) else { return Ok(()) };
    let signed = credentials.signed_keys_of(oin, signed, now).await?;
    let signed = signed.map_err(|reason| Problem::invalid_param("signed", "signature", reason))?;
    keys::check_same(set, &signed)
}

/// Replaces an organisation's JWK set, which [`check_keys`] has accepted; answers the new version.
///
/// # Errors
/// 404 for another organisation's; 400 for keys that are not accepted; a conflict when another change was faster.
pub async fn replace_keys(
    tx: &mut Tx,
    oin: &Oin,
    set: &serde_json::Value,
    from_version: i64,
    actor: &Actor,
    now: Timestamp,
) -> Result<i64, Problem> {
    may_replace_keys(oin, actor)?;
    keys::check(set)?;
    if !store::replace_keys(tx, oin, set, from_version).await? {
        return Err(crate::storage::Error::Conflict.into());
    }
    record_change(tx, ChangeRecord { action: "keys-replaced", organisation: oin, part: Part::Keys, actor, at: now })
        .await?;
    Ok(from_version + 1)
}
