//! The public keys of an organisation: a JWK set (RFC 7517) for its signatures and for encryption to it.
//!
//! Invariants: a set that is stored holds public keys only, each of a kind that is used here, each with a name of its own; keys for encryption
//! are in it only when the key of the organisation's certificate has signed all of it, so that whoever encrypts need not believe the gateway.

use std::collections::HashSet;

use serde_json::Value;

use super::credentials::jose::{JoseError, VerifyingKey};
use crate::encryption::{KeyError, KeySet, PublicKey};
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
    let fits = |keys: &&Value| keys.to_string().len() <= MAX_SET;
    let keys = set.get("keys").filter(fits).and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| keys.len() <= MAX_KEYS) else {
        return Err(Problem::invalid_param("keys", "too-large", format!("expected a list of at most {MAX_KEYS} keys")));
    };
    let mut names = HashSet::new();
    let mut invalid = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let place = format!("keys[{index}]");
        if let Err((code, reason)) = check_key(key) {
            invalid.push(InvalidParam::new(place.clone(), code, reason));
        }
        if !key.get("kid").and_then(Value::as_str).is_some_and(|kid| !kid.is_empty() && names.insert(kid)) {
            invalid.push(InvalidParam::new(
                format!("{place}.kid"),
                "unique",
                "expected a kid that no other key in the set has",
            ));
        }
    }
    if set.get("signed").is_none() && keys.iter().any(is_for_encryption) {
        let reason =
            "expected the whole set, signed with the key of your certificate: nobody encrypts to a key that is not";
        invalid.push(InvalidParam::new("signed", "required", reason));
    }
    if invalid.is_empty() { Ok(()) } else { Err(Problem::invalid(invalid)) }
}

/// Checks that the signed form, which holds, says the same as the rest of the set.
///
/// # Errors
/// A 400 problem.
pub fn check_same(set: &Value, signed: &KeySet) -> Result<(), Problem> {
    let same = set.get("keys").and_then(Value::as_array).is_some_and(|keys| keys == signed.jwks());
    if same {
        return Ok(());
    }
    Err(Problem::invalid_param("signed", "differs", "expected the same keys in the same order as in keys"))
}

fn is_for_encryption(jwk: &Value) -> bool {
    jwk.get("use").and_then(Value::as_str) == Some("enc")
}

fn check_key(jwk: &Value) -> Result<(), (&'static str, String)> {
    if is_for_encryption(jwk) {
        let code = |error: &KeyError| if *error == KeyError::Private { "private-key" } else { "key" };
        return PublicKey::from_jwk(jwk).map(drop).map_err(|error| (code(&error), error.to_string()));
    }
    let code = |error: &JoseError| if *error == JoseError::PrivateMember { "private-key" } else { "key" };
    let read = match jwk.get("use").and_then(Value::as_str) {
        Some("sig") => VerifyingKey::from_jwk(jwk).map(drop),
        _ => Err(JoseError::Key),
    };
    read.map_err(|error| (code(&error), error.to_string()))
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
