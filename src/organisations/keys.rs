//! The public keys of an organisation: a JWK set (RFC 7517) for its signatures and for encryption to it.
//!
//! Invariant: a set that is stored holds public keys only, each of a kind that is used here, each with a name of its own.

use std::collections::HashSet;

use serde_json::Value;

use super::credentials::jose::{JoseError, VerifyingKey};
use crate::problem::{InvalidParam, Problem};

/// The most keys in a set.
const MAX_KEYS: usize = 20;
/// The largest set, in bytes of JSON.
const MAX_SET: usize = 32 * 1024;

/// Checks a whole set.
///
/// # Errors
/// A 400 problem that names every key that is not accepted.
pub fn check(set: &Value) -> Result<(), Problem> {
    let keys = set.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| keys.len() <= MAX_KEYS && set.to_string().len() <= MAX_SET) else {
        return Err(Problem::invalid_param("keys", "too-large", format!("expected a list of at most {MAX_KEYS} keys")));
    };
    let mut names = HashSet::new();
    let mut invalid = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let place = format!("keys[{index}]");
        if let Err(error) = check_key(key) {
            let code = if error == JoseError::PrivateMember { "private-key" } else { "key" };
            invalid.push(InvalidParam::new(place.clone(), code, error.to_string()));
        }
        if !key.get("kid").and_then(Value::as_str).is_some_and(|kid| !kid.is_empty() && names.insert(kid)) {
            invalid.push(InvalidParam::new(
                format!("{place}.kid"),
                "unique",
                "expected a kid that no other key in the set has",
            ));
        }
    }
    if invalid.is_empty() { Ok(()) } else { Err(Problem::invalid(invalid)) }
}

fn check_key(jwk: &Value) -> Result<(), JoseError> {
    match jwk.get("use").and_then(Value::as_str) {
        Some("sig") => VerifyingKey::from_jwk(jwk).map(drop),
        Some("enc") => check_encryption_key(jwk),
        _ => Err(JoseError::Key),
    }
}

/// `ECDH-ES` on P-256 or X25519 (RFC 7518 section 4.6, RFC 8037 section 3.2).
fn check_encryption_key(jwk: &Value) -> Result<(), JoseError> {
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.get(name).is_some()) {
        return Err(JoseError::PrivateMember);
    }
    if jwk.get("alg").is_some_and(|alg| alg != "ECDH-ES") {
        return Err(JoseError::Key);
    }
    match (jwk.get("kty").and_then(Value::as_str), jwk.get("crv").and_then(Value::as_str)) {
        (Some("EC"), Some("P-256")) => {
            // The same point on the same curve as for a signature, under another algorithm name.
            let mut point = jwk.clone();
            if let Value::Object(members) = &mut point {
                members.remove("alg");
            }
            VerifyingKey::from_jwk(&point).map(drop)
        }
        (Some("OKP"), Some("X25519")) => VerifyingKey::check_x25519(jwk),
        _ => Err(JoseError::Key),
    }
}

/// The keys of a set with which an organisation may sign: those for signatures, and of these the one of this name if a name
/// is given.
#[must_use]
pub fn for_signatures(set: &Value, key_id: Option<&str>) -> Vec<VerifyingKey> {
    let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    keys.iter()
        .filter(|key| key.get("use").and_then(Value::as_str) == Some("sig"))
        .filter(|key| key_id.is_none_or(|key_id| key.get("kid").and_then(Value::as_str) == Some(key_id)))
        .filter_map(|key| VerifyingKey::from_jwk(key).ok())
        .collect()
}
