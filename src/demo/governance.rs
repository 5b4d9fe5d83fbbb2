//! The steps by which parties come and go and the covenant changes, each through the API.
//!
//! Invariant: a new version of the covenant is the published text of the one in force with another number and date, so that
//! a scenario cannot smuggle in a rule.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::{Answer, Identity, Request};
use super::jws;
use super::partner::PARTNER_HOST;
use super::requests::oin;
use super::scenario::{Action, OfCovenant, Publication};
use super::world::{PlayError, World, refused};
use crate::covenant::Scope;

/// Takes such a step; the answer, and the status code of success.
///
/// # Errors
/// When no answer comes, or what the step builds on is refused.
pub async fn take(who: &str, action: &Action, world: &mut World) -> Result<(Answer, u16), PlayError> {
    match action {
        Action::Suspend(of) => Ok((set_status(who, &of.organisation, "suspended", world).await?, 200)),
        Action::Resume(of) => Ok((set_status(who, &of.organisation, "active", world).await?, 200)),
        Action::RegisterOrganisation(of) => Ok((register(who, &of.organisation, world).await?, 201)),
        Action::PublishCovenant(publication) => Ok((publish(who, publication, world).await?, 201)),
        Action::SignCovenant(of) => Ok((sign(who, of, world).await?, 201)),
        _ => Err(PlayError::Stranger(who.to_owned())),
    }
}

async fn set_status(who: &str, slug: &str, status: &str, world: &World) -> Result<Answer, PlayError> {
    let path = format!("/v1/organisations/{}", oin(world.words(), slug));
    let request = Request { method: Method::PATCH, ..Request::post(path, json!({ "status": status })) };
    world.ask(who, request).await
}

async fn create(who: &str, path: &str, body: Value, world: &World) -> Result<Answer, PlayError> {
    let mut request = Request::post(path, body);
    request.idempotency_key = Some(world.new_key()?);
    world.ask(who, request).await
}

async fn register(who: &str, slug: &str, world: &mut World) -> Result<Answer, PlayError> {
    let id = oin(world.words(), slug);
    let name = world.words().party(slug).map_or(slug, |party| party.name.as_str()).to_owned();
    let registered = create(who, "/v1/organisations", json!({ "id": id, "name": name }), world).await?;
    if registered.status != 201 {
        return Ok(registered);
    }
    let key = new_key()?;
    let csr = signing_request(&key, &name, &[PARTNER_HOST])?;
    let path = format!("/v1/organisations/{id}/certificates");
    let issued = create(who, &path, json!({ "csr": csr, "serverAuth": true }), world).await?;
    let certificate = issued.text_at("/certificate").filter(|_| issued.status == 201);
    let certificate = certificate.ok_or_else(|| refused("issuing a certificate", &issued))?.as_bytes().to_vec();
    world.admit(slug, Identity { certificate, key })?;
    Ok(registered)
}

/// A fresh P-256 key, PEM.
///
/// # Errors
/// When no key can be made.
pub fn new_key() -> Result<Zeroizing<Vec<u8>>, rcgen::Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    Ok(Zeroizing::new(key.serialize_pem().into_bytes()))
}

/// A signing request (PKCS#10, PEM) for a key. The subject is the CA's to decide; the names are those of the party's own
/// server on this machine.
///
/// # Errors
/// When the key is unusable.
pub fn signing_request(key: &[u8], name: &str, server_names: &[&str]) -> Result<String, rcgen::Error> {
    let key = rcgen::KeyPair::from_pem(&String::from_utf8_lossy(key))?;
    let server_names: Vec<String> = server_names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(server_names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, name);
    params.serialize_request(&key)?.pem()
}

async fn in_force(who: &str, world: &World) -> Result<Value, PlayError> {
    let page = world.ask(who, Request::get("/v1/covenants?limit=1000")).await?;
    let versions = page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("covenants", &page))?;
    let current = versions.iter().find(|item| item.get("status").and_then(Value::as_str) == Some("in-force"));
    let version = current.and_then(|item| item.get("version")?.as_str()).ok_or_else(|| refused("covenant", &page))?;
    covenant(who, version, world).await
}

async fn covenant(who: &str, version: &str, world: &World) -> Result<Value, PlayError> {
    let answer = world.ask(who, Request::get(format!("/v1/covenants/{version}"))).await?;
    if answer.status == 200 { Ok(answer.body) } else { Err(refused("reading the covenant", &answer)) }
}

async fn publish(who: &str, publication: &Publication, world: &World) -> Result<Answer, PlayError> {
    let mut files = in_force(who, world).await?.get("files").cloned().unwrap_or_default();
    let delay = Duration::from_hours(24 * u64::from(publication.in_force_after_days));
    let from = world.clock().now().plus(delay);
    if let Some(text) = files.get_mut("covenant.toml") {
        *text = json!(renewed(text.as_str().unwrap_or_default(), &publication.version, &from.to_string()));
    }
    // It differs in number and date alone, and a scenario is played with or without a solver.
    create(who, "/v1/covenants", json!({ "files": files, "withoutProof": true }), world).await
}

/// The text of a covenant with another version and another effective date; both stand at the start of a line of their own.
fn renewed(toml: &str, version: &str, effective_from: &str) -> String {
    let line = |line: &str| {
        if line.starts_with("version = ") {
            format!("version = \"{version}\"\n")
        } else if line.starts_with("effective-from = ") {
            format!("effective-from = \"{effective_from}\"\n")
        } else {
            format!("{line}\n")
        }
    };
    toml.lines().map(line).collect()
}

/// Signs; a case is named by the id by which the signer knows it.
async fn sign(who: &str, of: &OfCovenant, world: &World) -> Result<Answer, PlayError> {
    let covenant = match &of.version {
        Some(version) => covenant(who, version, world).await?,
        None => in_force(who, world).await?,
    };
    let text = |name: &str| covenant.get(name).and_then(Value::as_str).unwrap_or_default();
    let scope = match (&of.purpose, &of.case) {
        (Some(purpose), _) => purpose.parse().map(Scope::Purpose).ok(),
        (None, Some(case)) => case.parse().map(Scope::Case).ok(),
        (None, None) => Some(Scope::Covenant),
    };
    let signer = oin(world.words(), who).parse().ok();
    let payload = scope.zip(signer).map(|(scope, signer)| scope.payload(text("digest"), &signer)).unwrap_or_default();
    let jws = jws::detached(payload.as_bytes(), world.identity(who)?).unwrap_or_default();
    let body = json!({ "jws": jws, "purpose": of.purpose, "caseId": of.case });
    create(who, &format!("/v1/covenants/{}/signatures", text("version")), body, world).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_covenant_differs_in_version_and_date_alone() {
        let text = "# about\nversion = \"1\"\neffective-from = \"2026-01-01T00:00:00Z\"\n[roles]\nversion-of = 2\n";
        assert_eq!(
            renewed(text, "2", "2026-12-01T00:00:00Z"),
            "# about\nversion = \"2\"\neffective-from = \"2026-12-01T00:00:00Z\"\n[roles]\nversion-of = 2\n"
        );
    }
}
