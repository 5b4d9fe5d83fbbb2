//! The authorization server: hands out, judges and revokes access tokens (RFC 6749, 7009, 7523, 7662, 8414, 8705).
//!
//! One grant (client credentials, for systems), two ways for a client to prove itself, and in both the token is bound to the
//! client certificate of the connection. Invariant: a token is only handed out over a certificate of the very client that it
//! names, whichever way the client proved itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::assertions::{self, ASSERTION_TYPE};
use super::authenticate::CertifiedClient;
use super::certificate::PeerCertificate;
use super::jose::{Algorithm, Jws, VerifyingKey};
use super::{Credentials, store};
use crate::clock::Timestamp;
use crate::organisations::keys::for_signatures;
use crate::organisations::store as directory;
use crate::organisations::types::{Scope, Scopes, Status};
use crate::problem::{Code, Problem};

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The largest form that is read, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// An error of the token endpoint (RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct OauthError {
    /// The code of the RFC.
    pub error: &'static str,
    /// What to do, in words.
    pub description: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The gateway's own code where there is one, such as `certificate-revoked`.
    pub code: Option<&'static str>,
}

impl OauthError {
    fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let status = if error == "invalid_client" { 401 } else { 400 };
        Self { error, description: description.into(), status, code: None }
    }

    fn client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_client", description)
    }
}

impl From<Problem> for OauthError {
    fn from(problem: Problem) -> Self {
        let code = problem.code();
        let description = problem.to_json().get("detail").and_then(Value::as_str).unwrap_or_default().to_owned();
        match code.status() {
            401 => Self { code: Some(code.as_str()), ..Self::client(description) },
            503 => Self { status: 503, code: Some(code.as_str()), ..Self::new("temporarily_unavailable", description) },
            _ => Self { status: 500, code: Some(Code::Internal.as_str()), ..Self::new("server_error", description) },
        }
    }
}

impl From<crate::storage::Error> for OauthError {
    fn from(error: crate::storage::Error) -> Self {
        Problem::from(error).into()
    }
}

/// A token that was handed out (RFC 6749 section 5.1).
#[derive(Debug, Clone, Serialize)]
pub struct Grant {
    /// The token.
    pub access_token: String,
    /// Always `Bearer`; that it is bound to a certificate is said in the token and in the metadata.
    pub token_type: &'static str,
    /// Seconds until its end.
    pub expires_in: u64,
    /// What it is for.
    pub scope: String,
}

/// The fields of a form, each at most once (RFC 6749 section 3.2).
#[derive(Debug, Clone, Default)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the body of a request if it is said to be `application/x-www-form-urlencoded` (RFC 6749 sections 4.4.2 and 5.2).
    ///
    /// # Errors
    /// `invalid_request` for another media type, and as [`Form::parse`].
    pub fn read(media_type: Option<&str>, bytes: &[u8]) -> Result<Self, OauthError> {
        let given = media_type.and_then(|given| given.split(';').next()).map(str::trim);
        if !given.is_some_and(|given| given.eq_ignore_ascii_case(FORM)) {
            return Err(OauthError::new("invalid_request", format!("send the fields as {FORM}")));
        }
        Self::parse(bytes)
    }

    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `invalid_request` when a field comes twice, or the form is too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, OauthError> {
        if bytes.len() > MAX_FORM {
            return Err(OauthError::new("invalid_request", "the form is too large"));
        }
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            // RFC 6749 section 3.1: a field without a value is treated as if it were left out.
            if !value.is_empty() && fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OauthError::new("invalid_request", "a field of the form comes more than once"));
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required(&self, name: &'static str) -> Result<&str, OauthError> {
        self.get(name).ok_or_else(|| OauthError::new("invalid_request", format!("the field {name} is missing")))
    }
}

impl Credentials {
    /// The token endpoint.
    ///
    /// # Errors
    /// [`OauthError`].
    pub async fn grant(
        &self,
        peer: Option<&PeerCertificate>,
        form: &Form,
        now: Timestamp,
    ) -> Result<Grant, OauthError> {
        let client = self.authenticate_certificate(peer, now).await?;
        let grant_type = form.required("grant_type")?;
        self.authenticate_client(&client, peer, form, now).await?;
        if grant_type != "client_credentials" {
            return Err(OauthError::new("unsupported_grant_type", "grant_type must be client_credentials"));
        }
        let scopes = granted(form.get("scope"), &client.scopes)?;
        let ring = self.keys.ring(now).await?;
        let jti = self.entropy.uuid(now).map_err(Problem::from)?.to_string();
        let access_token = self.tokens.issue(&ring, &client.client_id, &scopes, &client.thumbprint, jti, now)?;
        let expires_in = self.tokens.lifetime().as_secs();
        Ok(Grant { access_token, token_type: "Bearer", expires_in, scope: scopes.to_string() })
    }

    /// Proves the client beyond its certificate, where the form does so; refuses every method with a shared secret.
    async fn authenticate_client(
        &self,
        client: &CertifiedClient,
        peer: Option<&PeerCertificate>,
        form: &Form,
        now: Timestamp,
    ) -> Result<(), OauthError> {
        if form.get("client_secret").is_some() {
            return Err(OauthError::client("secrets are not accepted: use the client certificate, or private_key_jwt"));
        }
        let other =
            || OauthError::client("client_id is not the client that the certificate of the connection belongs to");
        if form.get("client_id").is_some_and(|client_id| client_id != client.client_id) {
            return Err(other());
        }
        match (form.get("client_assertion_type"), form.get("client_assertion")) {
            // tls_client_auth: RFC 8705 section 2 requires the client_id.
            (None, None) => form.required("client_id").map(drop),
            (Some(ASSERTION_TYPE), Some(assertion)) => self.check_assertion(client, peer, assertion, now).await,
            _ => Err(OauthError::new(
                "invalid_request",
                "client_assertion goes with client_assertion_type jwt-bearer (RFC 7523 section 2.2)",
            )),
        }
    }

    async fn check_assertion(
        &self,
        client: &CertifiedClient,
        peer: Option<&PeerCertificate>,
        assertion: &str,
        now: Timestamp,
    ) -> Result<(), OauthError> {
        let jws = Jws::parse(assertion).map_err(|error| OauthError::client(error.to_string()))?;
        let keys = self.assertion_keys(client, peer, &jws, now).await?;
        let accepted = assertions::accept(&jws, &keys, &client.client_id, &self.audience, now)
            .map_err(|error| OauthError::client(error.to_string()))?;
        let client_id = client.client_id.clone();
        let first_use = self.db.write("use-assertion", async move |tx| {
            Ok(store::use_assertion(tx, &client_id, &accepted.jti, accepted.expires_at).await?)
        });
        if first_use.await? {
            Ok(())
        } else {
            Err(OauthError::client(
                "the assertion was used before: sign a fresh one with another jti for every request",
            ))
        }
    }

    /// The keys with which this client may have signed. A header that names a certificate leaves only that one, if it is the
    /// connection's or a valid one of the same client; otherwise the registered keys count, and the connection's.
    async fn assertion_keys(
        &self,
        client: &CertifiedClient,
        peer: Option<&PeerCertificate>,
        jws: &Jws<'_>,
        now: Timestamp,
    ) -> Result<Vec<VerifyingKey>, Problem> {
        let header = jws.header();
        let own = peer.and_then(|peer| VerifyingKey::from_spki(&peer.public_key).ok());
        if let Some(thumbprint) = header.thumbprint.as_ref().or(header.chain_thumbprint.as_ref()) {
            if *thumbprint == client.thumbprint {
                return Ok(own.into_iter().collect());
            }
            let found = self.known_certificate(thumbprint).await?;
            let usable = found.filter(|found| found.client_id == client.client_id && self.counts(found, now));
            return Ok(usable.and_then(|found| VerifyingKey::from_certificate(&found.der).ok()).into_iter().collect());
        }
        let set =
            directory::keys(&mut self.db.reader(), &client.organisation).await?.map(|(set, _)| set).unwrap_or_default();
        let registered = for_signatures(&set, header.key_id.as_deref());
        Ok(registered.into_iter().chain(own).collect())
    }

    /// Introspection (RFC 7662): the claims of a token that would be accepted now, and of an organisation's own tokens only.
    ///
    /// # Errors
    /// [`OauthError`] when the caller's certificate is not accepted.
    pub async fn introspect(
        &self,
        peer: Option<&PeerCertificate>,
        form: &Form,
        now: Timestamp,
    ) -> Result<Value, OauthError> {
        let caller = self.authenticate_certificate(peer, now).await?;
        let token = form.required("token")?;
        let inactive = json!({"active": false});
        let ring = self.keys.ring(now).await?;
        let Ok(token) = self.tokens.verify(&ring, token, now) else {
            return Ok(inactive);
        };
        let claims = &token.claims;
        let mut reader = self.db.reader();
        let client = Some(claims.azp.as_str());
        let standing = store::standing(&mut reader, &claims.cnf.thumbprint, client, Some(&claims.jti)).await?;
        let active = standing.is_some_and(|standing| {
            standing.organisation == caller.organisation
                && standing.client_id == claims.azp
                && standing.client_active
                && standing.status == Status::Active
                && !standing.token_revoked
                && standing.certificate.is_none_or(|certificate| !certificate.revoked && now <= certificate.not_after)
        });
        if !active {
            return Ok(inactive);
        }
        let mut answer = serde_json::to_value(claims).map_err(Problem::from)?;
        if let Value::Object(members) = &mut answer {
            members.insert("active".into(), true.into());
            members.insert("token_type".into(), "Bearer".into());
        }
        Ok(answer)
    }

    /// Revocation (RFC 7009). A token that is not valid anyway is not an error.
    ///
    /// # Errors
    /// [`OauthError`] when the caller's certificate is not accepted, or the token is another organisation's.
    pub async fn revoke(&self, peer: Option<&PeerCertificate>, form: &Form, now: Timestamp) -> Result<(), OauthError> {
        let caller = self.authenticate_certificate(peer, now).await?;
        let token = form.required("token")?;
        let ring = self.keys.ring(now).await?;
        let Ok(token) = self.tokens.verify(&ring, token, now) else {
            return Ok(());
        };
        let owner = directory::organisation_of_client(&mut self.db.reader(), &token.claims.azp).await?;
        if owner.as_ref() != Some(&caller.organisation) {
            return Err(OauthError::new("unauthorized_client", "the token was not issued to your organisation"));
        }
        let (jti, expires_at) = (token.claims.jti.clone(), token.expires_at().plus(super::keys::LEEWAY));
        self.db
            .write("revoke-token", async move |tx| Ok(store::revoke_token(tx, &jti, expires_at).await?))
            .await
            .map_err(OauthError::from)
    }

    /// The metadata document (RFC 8414; RFC 8705 sections 3.3 and 5).
    #[must_use]
    pub fn metadata(&self) -> Value {
        let issuer = self.issuer();
        let endpoint = |path: &str| format!("{issuer}/oauth/{path}");
        let scopes: Vec<&str> = Scope::ALL.into_iter().map(Scope::name).collect();
        json!({
            "issuer": issuer,
            "token_endpoint": endpoint("token"),
            "jwks_uri": endpoint("jwks"),
            "introspection_endpoint": endpoint("introspect"),
            "revocation_endpoint": endpoint("revoke"),
            "scopes_supported": scopes,
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["tls_client_auth", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
            "introspection_endpoint_auth_methods_supported": ["tls_client_auth"],
            "revocation_endpoint_auth_methods_supported": ["tls_client_auth"],
            "tls_client_certificate_bound_access_tokens": true,
            "mtls_endpoint_aliases": {
                "token_endpoint": endpoint("token"),
                "introspection_endpoint": endpoint("introspect"),
                "revocation_endpoint": endpoint("revoke"),
            },
        })
    }
}

/// The scopes of a new token: all that the client has, or what it asks for if it has all of that.
fn granted(asked: Option<&str>, allowed: &Scopes) -> Result<Scopes, OauthError> {
    let Some(asked) = asked else {
        return Ok(allowed.clone());
    };
    let scopes: Option<Scopes> = asked.parse().ok();
    scopes
        .filter(|scopes| scopes.is_within(allowed) && *scopes != Scopes::default())
        .ok_or_else(|| OauthError::new("invalid_scope", format!("this client may ask for: {allowed}")))
}
