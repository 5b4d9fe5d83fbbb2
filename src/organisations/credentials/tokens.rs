//! Access tokens: short-lived JWTs (RFC 9068) that are worth something only on a connection with the client certificate they
//! are bound to (RFC 8705 section 3).
//!
//! Invariant: a [`VerifiedToken`] was signed by this gateway for itself, with type, times and required claims checked. Whether
//! it is used over the right certificate, was revoked, or claims scopes that were taken away since, is judged on every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};

use super::certificate::sha256;
use super::jose::Jws;
use super::keys::{KeyRing, LEEWAY, Purpose};
use crate::clock::Timestamp;
use crate::organisations::types::Scopes;
use crate::problem::Problem;

/// The `typ` of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";
/// How many verified tokens are remembered.
const REMEMBERED: usize = 10_000;

/// The claims of an access token (OAuth NL GOV 1.1.0 section 3.2.1; RFC 9068 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The gateway.
    pub iss: String,
    /// The client that the token was issued to.
    pub azp: String,
    /// The same client: there is no user.
    pub sub: String,
    /// The same once more, under the name that RFC 9068 requires.
    pub client_id: String,
    /// The gateway's API.
    pub aud: String,
    /// The end, in seconds since 1970.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// The begin.
    pub nbf: i64,
    /// A name of its own.
    pub jti: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// What it is bound to.
    pub cnf: Confirmation,
}

/// The binding of a token (RFC 8705 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// SHA-256 of the client certificate, in base64url.
    #[serde(rename = "x5t#S256")]
    pub thumbprint: String,
}

/// The token is not one of ours, not for us, or not for now. Which of these is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is malformed, expired, or not issued by and for this gateway")]
pub struct InvalidToken;

/// A token whose signature, type, times and claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The claims.
    pub claims: Claims,
    /// The scopes among them.
    pub scopes: Scopes,
}

impl VerifiedToken {
    /// Whether the token is bound to this certificate; compared in constant time.
    #[must_use]
    pub fn is_bound_to(&self, thumbprint: &str) -> bool {
        verify_slices_are_equal(self.claims.cnf.thumbprint.as_bytes(), thumbprint.as_bytes()).is_ok()
    }

    /// The moment at which it ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_micros(self.claims.exp.saturating_mul(1_000_000))
    }

    fn holds_at(&self, now: Timestamp) -> bool {
        let (now, leeway) = (now.as_seconds(), i64::try_from(LEEWAY.as_secs()).unwrap_or(0));
        let Claims { exp, nbf, iat, .. } = self.claims;
        now < exp.saturating_add(leeway) && nbf <= now.saturating_add(leeway) && iat <= now.saturating_add(leeway)
    }
}

/// Issues and verifies tokens; remembers verified ones, because a client sends the same token many times.
#[derive(Debug)]
pub struct Tokens {
    issuer: String,
    lifetime: Duration,
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

#[derive(Debug, Clone)]
struct Remembered {
    key_id: String,
    token: Arc<VerifiedToken>,
}

impl Tokens {
    /// Tokens of this issuer, who is also their audience.
    #[must_use]
    pub fn new(issuer: String, lifetime: Duration) -> Self {
        Self { issuer, lifetime, remembered: Mutex::default() }
    }

    /// How long a token is valid.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Issues a token to a client, bound to the certificate of its connection.
    ///
    /// # Errors
    /// A problem when there is no signing key.
    pub fn issue(
        &self,
        ring: &KeyRing,
        client_id: &str,
        scopes: &Scopes,
        thumbprint: &str,
        jti: String,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let claims = Claims {
            iss: self.issuer.clone(),
            azp: client_id.to_owned(),
            sub: client_id.to_owned(),
            client_id: client_id.to_owned(),
            aud: self.issuer.clone(),
            exp: now.plus(self.lifetime).as_seconds(),
            iat: now.as_seconds(),
            nbf: now.as_seconds(),
            jti,
            scope: scopes.to_string(),
            cnf: Confirmation { thumbprint: thumbprint.to_owned() },
        };
        ring.sign(Purpose::Token, TYPE, &serde_json::to_vec(&claims)?, now)
    }

    /// Verifies a token, or finds that it was verified before and still holds.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub fn verify(&self, ring: &KeyRing, token: &str, now: Timestamp) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let digest = sha256(token.as_bytes());
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        let found = match known {
            Some(found) => found,
            None => self.verify_new(ring, token, now)?,
        };
        if ring.for_token(&found.key_id, now).is_none() || !found.token.holds_at(now) {
            return Err(InvalidToken);
        }
        let token = Arc::clone(&found.token);
        self.remember(digest, found, now);
        Ok(token)
    }

    fn verify_new(&self, ring: &KeyRing, token: &str, now: Timestamp) -> Result<Remembered, InvalidToken> {
        let jws = Jws::parse(token).map_err(|_| InvalidToken)?;
        let header = jws.header();
        if !matches!(header.kind.as_deref(), Some(TYPE | "application/at+jwt")) {
            return Err(InvalidToken);
        }
        let key_id = header.key_id.clone().ok_or(InvalidToken)?;
        let key = ring.for_token(&key_id, now).ok_or(InvalidToken)?;
        let payload = jws.verify(key.public()).map_err(|_| InvalidToken)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| InvalidToken)?;
        if claims.iss != self.issuer || claims.aud != self.issuer || claims.sub != claims.azp || claims.jti.is_empty() {
            return Err(InvalidToken);
        }
        let scopes = claims.scope.parse().map_err(|_| InvalidToken)?;
        Ok(Remembered { key_id, token: Arc::new(VerifiedToken { claims, scopes }) })
    }

    fn remember(&self, digest: [u8; 32], found: Remembered, now: Timestamp) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.retain(|_, known| known.token.holds_at(now));
        }
        if remembered.len() < REMEMBERED {
            remembered.entry(digest).or_insert(found);
        }
    }
}
