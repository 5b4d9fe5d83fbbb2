//! The directory, certificates and keys over HTTP: wire structs and thin handlers.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Actor;
use super::credentials::ca::Reason;
use super::credentials::csr::ProvenKey;
use super::service::{self, CertificateWish};
use super::types::{CertificateRecord, Change, Contact, Expected, Organisation, Registration, Status};
use crate::clock::Timestamp;
use crate::http::page::{Page, Pair};
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::storage::Ground;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrganisationBody {
    id: Oin,
    name: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Organisation> for OrganisationBody {
    fn from(organisation: Organisation) -> Self {
        let Organisation { oin, name, status, contact, created_at, updated_at, .. } = organisation;
        Self { id: oin, name, status, contact, created_at, updated_at }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateBody {
    serial: String,
    client_id: String,
    status: &'static str,
    not_before: Timestamp,
    not_after: Timestamp,
    thumbprint: String,
    certificate: String,
    chain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<String>,
    #[serde(skip)]
    cursor: String,
}

impl CertificateBody {
    fn new(record: CertificateRecord, chain: &str, now: Timestamp) -> Self {
        let status = match &record {
            record if record.revoked_at.is_some() => "revoked",
            record if now < record.not_before => "upcoming",
            record if now.as_seconds() > record.not_after.as_seconds() => "expired",
            _ => "valid",
        };
        Self {
            status,
            certificate: pem(&record.der),
            chain: chain.to_owned(),
            cursor: format!("{}/{}", record.issued_at.as_micros(), record.thumbprint),
            serial: record.serial,
            client_id: record.client_id,
            not_before: record.not_before,
            not_after: record.not_after,
            thumbprint: record.thumbprint,
            revoked_at: record.revoked_at,
            reason_code: record.revocation_reason,
        }
    }
}

/// A certificate in PEM (RFC 7468 section 5).
#[must_use]
pub fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// `GET /v1/organisations`
///
/// # Errors
/// As the service.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let after = page.after::<Oin>()?.map(|oin| oin.to_string()).unwrap_or_default();
    let found = service::list(&mut call.app.db.reader(), &after, page.rows()).await?;
    let items: Vec<OrganisationBody> = found.into_iter().map(OrganisationBody::from).collect();
    page.answer(&call, "/v1/organisations", items, |item| item.id.to_string())
}

#[derive(Deserialize)]
struct RegistrationBody {
    id: Oin,
    name: String,
    contact: Option<Contact>,
}

/// `POST /v1/organisations`
///
/// # Errors
/// As the service.
pub async fn register(call: Call) -> Result<Answer, Problem> {
    let body: RegistrationBody = call.json()?;
    let name = body
        .name
        .parse()
        .map_err(|Expected(what)| Problem::invalid_param("name", "format", format!("expected {what}")))?;
    let (actor, now) = (Actor::of(&call)?, call.app.now());
    let (oin, contact) = (body.id, body.contact);
    idempotency::once(&call, "register-organisation", Ground::default(), async move |tx| {
        let slug = service::free_slug(tx, super::Name::as_str(&name), &oin).await?;
        let registration = Registration { oin: oin.clone(), slug, name: name.clone(), contact: contact.clone() };
        let organisation = service::register(tx, &registration, &actor, now).await?;
        let version = organisation.version;
        Ok(Answer::created(format!("/v1/organisations/{oin}"), &OrganisationBody::from(organisation))?.etag(version))
    })
    .await
}

/// `GET /v1/organisations/{id}`
///
/// # Errors
/// As the service.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let organisation = service::find(&mut call.app.db.reader(), &oin).await?;
    let version = organisation.version;
    Ok(Answer::ok(&OrganisationBody::from(organisation))?.etag(version))
}

#[derive(Deserialize)]
struct ChangeBody {
    name: Option<String>,
    contact: Option<Contact>,
    status: Option<Status>,
}

/// `PATCH /v1/organisations/{id}`
///
/// # Errors
/// As the service, and 412 when `If-Match` names an earlier version.
pub async fn change(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let body: ChangeBody = call.json()?;
    let name = body.name.map(|name| name.parse()).transpose();
    let name = name.map_err(|Expected(what)| Problem::invalid_param("name", "format", format!("expected {what}")))?;
    let wish = Change { name, contact: body.contact, status: body.status };
    let (actor, now) = (Actor::of(&call)?, call.app.now());
    let db = call.app.db.clone();
    let organisation = db
        .write("change-organisation", async move |tx| {
            call.check_if_match(service::find(tx, &oin).await?.version)?;
            service::change(tx, &oin, &wish, &actor, now).await
        })
        .await?;
    let version = organisation.version;
    Ok(Answer::ok(&OrganisationBody::from(organisation))?.etag(version))
}

/// `GET /v1/organisations/{id}/certificates`
///
/// # Errors
/// As the service.
pub async fn certificates(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let page = Page::of(&call)?;
    let before = page.after::<Pair<i64, Thumbprint>>()?;
    let before = before.map_or_else(
        || (Timestamp::from_micros(i64::MAX), String::new()),
        |Pair(issued_at, Thumbprint(thumbprint))| (Timestamp::from_micros(issued_at), thumbprint),
    );
    let before = (before.0, before.1.as_str());
    let found = service::certificates(&mut call.app.db.reader(), &oin, before, page.rows(), &Actor::of(&call)?).await?;
    let (chain, now) = (call.app.credentials.ca_pem(), call.app.now());
    let items: Vec<_> = found.into_iter().map(|record| CertificateBody::new(record, chain, now)).collect();
    page.answer(&call, &format!("/v1/organisations/{oin}/certificates"), items, |item| item.cursor.clone())
}

/// The thumbprint in a cursor: 32 bytes in base64url.
struct Thumbprint(String);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Thumbprint {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let is_one = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        if is_one { Ok(Self(text.to_owned())) } else { Err(Expected("a thumbprint")) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateRequestBody {
    csr: String,
    #[serde(default)]
    server_auth: bool,
    client_id: Option<String>,
}

/// `POST /v1/organisations/{id}/certificates`
///
/// # Errors
/// As the service, and 400 for a signing request that is not accepted.
pub async fn issue_certificate(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let body: CertificateRequestBody = call.json()?;
    let key = ProvenKey::from_pem(body.csr.trim())
        .map_err(|error| Problem::invalid_param("csr", "signing-request", error.to_string()))?;
    let actor = Actor::of(&call)?;
    // Without a client id: the caller's own when it is this organisation's, else the organisation's main client.
    let own = (actor.organisation.as_ref() == Some(&oin) && !actor.administers).then(|| actor.client_id.clone());
    let client_id = body.client_id.or(own).unwrap_or_else(|| oin.to_string());
    let wish = CertificateWish { client_id, key, server: body.server_auth, server_names: Vec::new(), lifetime: None };
    let (app, now) = (call.app.clone(), call.app.now());
    idempotency::once(&call, "issue-certificate", Ground::default(), async move |tx| {
        let record = service::issue_certificate(tx, &app.credentials, &oin, &wish, &actor, now).await?;
        let body = CertificateBody::new(record, app.credentials.ca_pem(), now);
        Ok(Answer::ok(&body)?.status(201))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevocationBody {
    reason_code: Reason,
}

/// `POST /v1/organisations/{id}/certificates/{serial}/revocations`
///
/// # Errors
/// As the service.
pub async fn revoke_certificate(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let serial: String = call.path("serial")?;
    let body: RevocationBody = call.json()?;
    let (actor, now) = (Actor::of(&call)?, call.app.now());
    idempotency::once(&call, "revoke-certificate", Ground::default(), async move |tx| {
        let record = service::revoke_certificate(tx, Some(&oin), &serial, body.reason_code, &actor, now).await?;
        let body = json!({"serial": record.serial, "reasonCode": body.reason_code.name(), "revokedAt": now});
        Ok(Answer::ok(&body)?.status(201))
    })
    .await
}

/// `GET /v1/organisations/{id}/keys`
///
/// # Errors
/// As the service.
pub async fn keys(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let (set, version) = service::keys(&mut call.app.db.reader(), &oin).await?;
    Ok(Answer::ok(&set)?.etag(version))
}

/// `PUT /v1/organisations/{id}/keys`. What is not the caller's gives 404 before anything is said of what it sent.
///
/// # Errors
/// As the service, and 412 when `If-Match` names an earlier version.
pub async fn replace_keys(call: Call) -> Result<Answer, Problem> {
    let oin: Oin = call.path("id")?;
    let set: Value = call.body.clone();
    let (actor, now) = (Actor::of(&call)?, call.app.now());
    if actor.organisation.as_ref() == Some(&oin) && actor.client_id != oin.as_str() {
        return Err(Problem::new(Code::Forbidden, "the main client of the organisation alone replaces its keys"));
    }
    service::check_keys(&call.app.credentials, &oin, &set, &actor, now).await?;
    let db = call.app.db.clone();
    let (set, version) = db
        .write("replace-organisation-keys", async move |tx| {
            let (_, present) = service::keys(tx, &oin).await?;
            call.check_if_match(present)?;
            let version = service::replace_keys(tx, &oin, &set, present, &actor, now).await?;
            Ok((set.clone(), version))
        })
        .await?;
    Ok(Answer::ok(&set)?.etag(version))
}
