//! Client assertions: a client proves who it is with a JWT that it signed itself (RFC 7523; OAuth NL GOV 1.1.0 section 2.3.3).
//!
//! Invariant: the claims are looked at only after the signature was checked with a key that is registered for the client.
//! Replay is refused by the caller, with a unique key in the database.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::jose::{Jws, VerifyingKey};
use crate::clock::Timestamp;
use crate::config::AssertionAudience;

/// The value of `client_assertion_type` (RFC 7523 section 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The furthest end of an assertion that is accepted.
const LONGEST: Duration = Duration::from_mins(5);
/// How far the other party's clock may be ahead or behind (FAPI 2.0 section 5.3.2.1 accepts 10 s, refuses 60 s).
const LEEWAY: Duration = Duration::from_secs(10);
/// The longest `jti`.
const MAX_JTI: usize = 256;

/// Why an assertion is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The signature, its algorithm or its key is not accepted.
    #[error("the assertion must be signed with PS256, ES256 or EdDSA by a key that is registered for this client")]
    Signature,
    /// A claim is missing or of another kind.
    #[error("the assertion needs the claims iss, sub, aud, exp, iat and jti")]
    Claims,
    /// Issuer or subject is another client.
    #[error("iss and sub of the assertion must both be the client_id")]
    Client,
    /// Made for somebody else.
    #[error("aud of the assertion is not this authorization server")]
    Audience,
    /// Ended, not begun, issued in the future, or valid for too long.
    #[error("the assertion is expired, not valid yet, or valid for more than five minutes")]
    Time,
}

/// What is left of an assertion that holds: what is needed to refuse it a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedAssertion {
    /// Its name.
    pub jti: String,
    /// Until when it could be sent again.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    jti: String,
}

/// The addresses that an assertion may be made for.
#[derive(Debug, Clone)]
pub struct Audience {
    accepted: Vec<String>,
}

impl Audience {
    /// As configured.
    #[must_use]
    pub fn new(setting: AssertionAudience, issuer: &str, token_endpoint: &str) -> Self {
        let accepted = match setting {
            AssertionAudience::Both => vec![issuer, token_endpoint],
            AssertionAudience::Issuer => vec![issuer],
            AssertionAudience::TokenEndpoint => vec![token_endpoint],
        };
        Self { accepted: accepted.into_iter().map(str::to_owned).collect() }
    }

    /// A list is accepted only if every entry would be alone: an assertion that is also meant for somebody else is one that
    /// somebody else can send here.
    fn fits(&self, aud: &Value) -> bool {
        let one = |aud: &Value| aud.as_str().is_some_and(|aud| self.accepted.iter().any(|accepted| accepted == aud));
        match aud {
            Value::Array(list) => !list.is_empty() && list.iter().all(one),
            single => one(single),
        }
    }
}

/// Checks an assertion of this client with the first of the keys that fits.
///
/// # Errors
/// [`AssertionError`].
pub fn accept(
    assertion: &Jws<'_>,
    keys: &[VerifyingKey],
    client_id: &str,
    audience: &Audience,
    now: Timestamp,
) -> Result<AcceptedAssertion, AssertionError> {
    let payload = keys.iter().find_map(|key| assertion.verify(key).ok()).ok_or(AssertionError::Signature)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| AssertionError::Claims)?;
    if claims.iss != client_id || claims.sub != client_id {
        return Err(AssertionError::Client);
    }
    if !audience.fits(&claims.aud) {
        return Err(AssertionError::Audience);
    }
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
        return Err(AssertionError::Claims);
    }
    let (exp, iat) = (moment(claims.exp), moment(claims.iat));
    let nbf = claims.nbf.map_or(iat, moment);
    let ahead = now.plus(LEEWAY);
    let ended = exp.plus(LEEWAY) <= now;
    let too_long = exp > ahead.plus(LONGEST) || iat < now.minus(LONGEST).minus(LEEWAY);
    if ended || too_long || iat > ahead || nbf > ahead || exp <= iat {
        return Err(AssertionError::Time);
    }
    Ok(AcceptedAssertion { jti: claims.jti, expires_at: exp.plus(LEEWAY) })
}

/// A `NumericDate` (RFC 7519 section 2) may have a fraction.
fn moment(seconds: f64) -> Timestamp {
    // The conversion saturates, and what lies outside representable time is refused as too far away.
    #[expect(clippy::cast_possible_truncation, reason = "saturating is what is wanted for absurd times")]
    Timestamp::from_micros((seconds * 1_000_000.0) as i64)
}
