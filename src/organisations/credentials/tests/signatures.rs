//! JWS: what is refused, and that another implementation agrees with ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::json;

use crate::organisations::credentials::jose::{Algorithm, JoseError, Jws, SigningKey, VerifyingKey, verify_detached};
use crate::organisations::keys;
use crate::problem::Code;

fn keys_of_each_kind() -> Vec<SigningKey> {
    [&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256]
        .into_iter()
        .map(|algorithm| {
            SigningKey::from_pem(KeyPair::generate_for(algorithm).unwrap().serialize_pem().as_bytes()).unwrap()
        })
        .collect()
}

fn compact(header: &serde_json::Value, signature: &[u8]) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", encode(header.to_string().as_bytes()), encode(b"{}"), encode(signature))
}

#[test]
fn what_is_signed_verifies_and_nothing_else_does() {
    for key in keys_of_each_kind() {
        let token = key.sign("JWT", b"payload").unwrap();
        let jws = Jws::parse(&token).unwrap();
        assert_eq!(jws.verify(key.public()).unwrap(), b"payload");
        for other in keys_of_each_kind() {
            assert!(jws.verify(other.public()).is_err());
        }
        let (head, signature) = token.rsplit_once('.').unwrap();
        let altered = format!("{head}x.{signature}");
        assert!(Jws::parse(&altered).and_then(|jws| jws.verify(key.public())).is_err());
        let detached = key.sign_detached("thumbprint", b"payload").unwrap();
        assert!(verify_detached(&detached, b"payload", key.public()).is_ok());
        assert_eq!(verify_detached(&detached, b"payloae", key.public()), Err(JoseError::Signature));
        assert_eq!(
            verify_detached(&token, b"payload", key.public()),
            Err(JoseError::Malformed),
            "it has a payload of its own"
        );
    }
}

#[test]
fn every_other_algorithm_is_refused_before_any_key_is_looked_at() {
    for name in
        ["none", "None", "", "HS256", "HS384", "HS512", "RS256", "RS512", "PS384", "PS512", "ES384", "ES256K", "eddsa"]
    {
        let token = compact(&json!({"alg": name}), b"x");
        assert_eq!(Jws::parse(&token).unwrap_err(), JoseError::Algorithm, "{name}");
    }
    for header in [json!({}), json!({"alg": null}), json!([1])] {
        assert!(Jws::parse(&compact(&header, b"x")).is_err(), "{header}");
    }
}

#[test]
fn a_key_verifies_its_own_algorithm_only() {
    let keys = keys_of_each_kind();
    for key in &keys {
        for name in Algorithm::NAMES.iter().filter(|name| **name != key.public().algorithm().name()) {
            let token = compact(&json!({"alg": name}), b"x");
            assert_eq!(Jws::parse(&token).unwrap().verify(key.public()), Err(JoseError::Algorithm));
        }
    }
}

#[test]
fn headers_that_change_the_meaning_are_refused() {
    for header in [
        json!({"alg": "EdDSA", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "b64": false}),
        json!({"alg": "EdDSA", "zip": "DEF"}),
    ] {
        assert_eq!(Jws::parse(&compact(&header, b"x")).unwrap_err(), JoseError::Extension, "{header}");
    }
    for text in ["", "a", "a.b", "a.b.c.d", "..", "e30.e30.", "!.!.!"] {
        assert!(Jws::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(Jws::parse(&"x".repeat(100_000)).unwrap_err(), JoseError::Malformed);
}

#[test]
fn another_implementation_verifies_our_signatures_and_we_verify_its() {
    use jsonwebtoken::{Algorithm as Other, DecodingKey, EncodingKey, Header, Validation, decode, encode};
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let mut validation = Validation::new(Other::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    for (algorithm, other) in
        [(&PKCS_ED25519, Other::EdDSA), (&PKCS_ECDSA_P256_SHA256, Other::ES256), (&PKCS_RSA_SHA256, Other::PS256)]
    {
        let pem = KeyPair::generate_for(algorithm).unwrap().serialize_pem();
        let ours = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let jwk = serde_json::from_value(ours.public().to_jwk(ours.key_id())).unwrap();
        validation.algorithms = vec![other];
        let token = ours.sign("JWT", b"{\"a\":1}").unwrap();
        let read = decode::<serde_json::Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(read.claims, json!({"a": 1}));
        let theirs = match other {
            Other::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            Other::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let token = encode(&Header::new(other), &json!({"b": 2}), &theirs.unwrap()).unwrap();
        assert_eq!(Jws::parse(&token).unwrap().verify(ours.public()).unwrap(), b"{\"b\":2}");
    }
}

#[test]
fn the_thumbprint_of_a_key_is_that_of_rfc_7638() {
    // RFC 8037 appendix A.3.
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let key = VerifyingKey::from_jwk(&jwk).unwrap();
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn key_sets_with_private_weak_or_nameless_keys_are_refused() {
    let public = |key: &SigningKey, kid: &str| key.public().to_jwk(kid);
    let [ed25519, p256, rsa] = <[SigningKey; 3]>::try_from(keys_of_each_kind()).unwrap();
    let good = json!({"keys": [public(&ed25519, "a"), public(&p256, "b"), public(&rsa, "c")]});
    assert!(keys::check(&good).is_ok());
    let encryption = json!({"kty": "EC", "use": "enc", "kid": "d", "alg": "ECDH-ES", "crv": "P-256",
        "x": public(&p256, "")["x"], "y": public(&p256, "")["y"]});
    assert!(keys::check(&json!({"keys": [encryption], "signed": "whether it holds is judged elsewhere"})).is_ok());
    let unsigned = keys::check(&json!({"keys": [encryption]})).unwrap_err().to_json();
    assert_eq!(unsigned["invalidParams"][0]["name"], "signed", "{unsigned}");
    let with = |name: &str, value: serde_json::Value| {
        let mut key = public(&ed25519, "a");
        key[name] = value;
        key
    };
    for wrong in [
        with("d", json!("AAAA")),
        with("use", json!("both")),
        with("alg", json!("ES256")),
        with("alg", json!("HS256")),
        with("kid", json!("")),
        with("x", json!("AAAA")),
        json!({"kty": "oct", "use": "sig", "kid": "k", "k": "AAAA"}),
        json!({"kty": "RSA", "use": "sig", "kid": "k", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"}),
        json!({"kty": "RSA", "use": "sig", "kid": "k", "n": URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "Aw"}),
        json!({"kty": "EC", "use": "sig", "kid": "k", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode([1; 32]),
            "y": URL_SAFE_NO_PAD.encode([1; 32])}),
        json!({"kty": "EC", "use": "enc", "kid": "k", "crv": "P-384", "x": "AAAA", "y": "AAAA"}),
    ] {
        let problem = keys::check(&json!({"keys": [wrong.clone()], "signed": "s"})).unwrap_err();
        assert_eq!(problem.code(), Code::InvalidInput, "{wrong}");
    }
    assert!(keys::check(&json!({"keys": [public(&ed25519, "a"), public(&p256, "a")]})).is_err(), "one name twice");
    let many: Vec<_> = (0..21).map(|index| public(&ed25519, &index.to_string())).collect();
    assert!(keys::check(&json!({"keys": many})).is_err(), "too many");
}
