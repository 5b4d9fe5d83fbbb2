//! Checks a receipt as anyone can who has the gateway's published keys, and signs a covenant with a party's own key.
//!
//! Invariant: written after RFC 7515 and 8037 alone, apart from the gateway's code, so that a receipt that verifies here
//! verifies elsewhere.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::client::Identity;

/// The claims of a compact JWS that verifies with the key of the set that its header names.
#[must_use]
pub fn verified(jws: &str, keys: &Value) -> Option<Value> {
    let (signed, signature) = jws.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let kid = header.get("kid")?;
    let key = keys.get("keys")?.as_array()?.iter().find(|key| key.get("kid") == Some(kid))?;
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok();
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let valid = match header.get("alg")?.as_str()? {
        "EdDSA" => UnparsedPublicKey::new(&ED25519, coordinate("x")?).verify(signed.as_bytes(), &signature),
        "ES256" => {
            let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature)
        }
        _ => return None,
    };
    valid.ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A detached JWS (RFC 7515 appendix F) over `payload` with the certificate in its header (`x5c`), made with the P-256 key
/// of that certificate: ES256. Both are PEM.
#[must_use]
pub fn detached(payload: &[u8], identity: &Identity) -> Option<String> {
    let key = PrivateKeyDer::from_pem_slice(&identity.key).ok()?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der()).ok()?;
    let certificate = CertificateDer::from_pem_slice(&identity.certificate).ok()?;
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    let header = json!({ "alg": "ES256", "x5c": [STANDARD.encode(&certificate)], "x5t#S256": thumbprint });
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
    Some(format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A: an Ed25519 key and a JWS made with it.
    #[test]
    fn a_published_signature_verifies_and_a_changed_one_does_not() {
        let keys = json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "kid": "k",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }] });
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_and_public_key(
            &URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap(),
            &URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap(),
        )
        .unwrap();
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"k"}"#),
            URL_SAFE_NO_PAD.encode(r#"{"decision":"d"}"#)
        );
        let jws = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())));
        assert_eq!(verified(&jws, &keys), Some(json!({ "decision": "d" })));
        assert_eq!(verified(&jws.replacen("ZGVj", "ZGVk", 1).replacen("eyJk", "eyJl", 1), &keys), None);
        assert_eq!(verified(&jws, &json!({ "keys": [] })), None);
    }
}
