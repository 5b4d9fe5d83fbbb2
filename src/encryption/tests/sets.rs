//! Whose keys are believed: signed sets, pinned certificates and authorities, and a gateway that would like to read along.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::{Value, json};

use super::super::*;
use super::{BANK, NOW, SMOW};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::credentials::certificate::thumbprint;
use crate::organisations::credentials::jose::{JoseError, SigningKey};

const MONTH: Duration = Duration::from_hours(24 * 30);

fn oin(text: &str) -> Oin {
    text.parse().unwrap()
}

/// A certificate with its key.
struct Certified {
    certificate: Certificate,
    key: SigningKey,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "An authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn intermediate(root: &CertifiedIssuer<'static, KeyPair>) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "One below it");
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), root).unwrap()
}

fn certified(number: &str, by: &CertifiedIssuer<'static, KeyPair>) -> Certified {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), number);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = SigningKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
    Certified { certificate: params.signed_by(&pair, by).unwrap(), key }
}

impl Certified {
    fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn signed(&self, owner: &str, jwks: &[Value]) -> Value {
        KeySet::sign(&oin(owner), jwks, &self.key, self.pem().as_bytes(), NOW, MONTH).unwrap()
    }

    /// A set that says anything, under a good signature.
    fn claims(&self, claims: &Value) -> Value {
        let der = base64::engine::general_purpose::STANDARD.encode(self.certificate.der());
        let header = json!({ "typ": "jwk-set+jwt", "x5c": [der] });
        let signed = self.key.sign_with(header, claims.to_string().as_bytes()).unwrap();
        json!({ "keys": claims["keys"], "signed": signed })
    }
}

fn key(name: &str) -> PrivateKey {
    PrivateKey::generate(name, Curve::P256).unwrap()
}

/// A set of the bank as a sender has it that knows the bank's certificate.
pub(super) fn verified(jwks: &[Value]) -> KeySet {
    let bank = certified(BANK, &authority());
    let trust = Trust::pinned(bank.pem().as_bytes()).unwrap();
    KeySet::verified(&bank.signed(BANK, jwks), &oin(BANK), &trust, NOW).unwrap()
}

#[test]
fn a_set_is_believed_by_the_pinned_certificate_its_thumbprint_or_a_trusted_authority() {
    let root = authority();
    let below = intermediate(&root);
    let bank = certified(BANK, &below);
    let chain = format!("{}{}", bank.pem(), below.pem());
    let jwks = vec![key("k").public_jwk()];
    let set = KeySet::sign(&oin(BANK), &jwks, &bank.key, chain.as_bytes(), NOW, MONTH).unwrap();
    assert_eq!(set["keys"], json!(jwks));
    for trust in [
        Trust::pinned(bank.pem().as_bytes()),
        Trust::thumbprint(&thumbprint(bank.certificate.der())),
        Trust::authorities(root.pem().as_bytes()),
        Trust::authorities(below.pem().as_bytes()),
        Trust::authorities(format!("{}{}", authority().pem(), root.pem()).as_bytes()),
    ] {
        let trust = trust.unwrap();
        let keys = KeySet::verified(&set, &oin(BANK), &trust, NOW).unwrap_or_else(|error| panic!("{trust:?}: {error}"));
        assert_eq!(keys.current(NOW).unwrap().key_id(), "k");
    }
    for trust in [Trust::pinned(b"no certificate"), Trust::thumbprint("AAAA"), Trust::authorities(b"")] {
        assert_eq!(trust.unwrap_err(), TrustError::Unreadable);
    }
}

#[test]
fn a_key_that_the_gateway_puts_in_is_found_out() {
    let (root, gateways_own) = (authority(), authority());
    let bank = certified(BANK, &root);
    let honest = bank.signed(BANK, &[key("sections-2026").public_jwk()]);
    let own = key("sections-2026").public_jwk();
    let pinned = Trust::pinned(bank.pem().as_bytes()).unwrap();
    let anchored = Trust::authorities(root.pem().as_bytes()).unwrap();
    let judged = |answer: &Value, trust: &Trust| KeySet::verified(answer, &oin(BANK), trust, NOW);

    // It changes what it shows beside the signed form: nobody looks at that.
    let mut shown = honest.clone();
    shown["keys"] = json!([own]);
    assert_eq!(judged(&shown, &pinned).unwrap().jwks(), honest["keys"].as_array().unwrap());
    // It leaves the signature out.
    assert_eq!(judged(&json!({ "keys": [own] }), &pinned).unwrap_err(), KeySetError::Unsigned);
    // It changes what is signed.
    let signed = honest["signed"].as_str().unwrap();
    let parts: Vec<&str> = signed.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let mut claims: Value = serde_json::from_str(&claims).unwrap();
    claims["keys"] = json!([own]);
    let changed = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    let changed = json!({ "keys": [own], "signed": changed });
    for trust in [&pinned, &anchored] {
        assert_eq!(judged(&changed, trust).unwrap_err(), KeySetError::Signature(JoseError::Signature));
    }
    // It signs with a certificate that its own authority gave out in the bank's name.
    let forged = certified(BANK, &gateways_own).signed(BANK, std::slice::from_ref(&own));
    assert_eq!(judged(&forged, &pinned).unwrap_err(), KeySetError::Trust(TrustError::NotPinned));
    assert_eq!(judged(&forged, &anchored).unwrap_err(), KeySetError::Trust(TrustError::NotVouchedFor));
    // It gives the set of another organisation that the same authority vouches for.
    let smow = certified(SMOW, &root);
    let of_another = smow.signed(SMOW, std::slice::from_ref(&own));
    assert_eq!(judged(&of_another, &anchored).unwrap_err(), KeySetError::Trust(TrustError::OtherOrganisation));
    let in_its_name = smow.claims(
        &json!({ "iss": BANK, "sub": BANK, "iat": NOW.as_seconds(), "exp": NOW.as_seconds() + 60, "keys": [own] }),
    );
    assert_eq!(judged(&in_its_name, &anchored).unwrap_err(), KeySetError::Trust(TrustError::OtherOrganisation));
    // Who trusts the gateway's own authority trusts the gateway: that is not found out, and is why nobody should.
    let of_the_gateway = Trust::authorities(gateways_own.pem().as_bytes()).unwrap();
    assert!(judged(&forged, &of_the_gateway).is_ok());
}

#[test]
fn a_set_that_has_ended_lies_ahead_or_says_too_much_is_not_believed() {
    let bank = certified(BANK, &authority());
    let trust = Trust::pinned(bank.pem().as_bytes()).unwrap();
    let jwk = key("k").public_jwk();
    let good =
        json!({ "iss": BANK, "sub": BANK, "iat": NOW.as_seconds(), "exp": NOW.as_seconds() + 60, "keys": [jwk] });
    let judged = |claims: &Value| KeySet::verified(&bank.claims(claims), &oin(BANK), &trust, NOW);
    assert!(judged(&good).is_ok());
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        judged(&claims).unwrap_err()
    };
    assert_eq!(with("exp", json!(NOW.as_seconds())), KeySetError::Ended);
    assert_eq!(with("iat", json!(NOW.as_seconds() + 301)), KeySetError::Ended);
    for (name, value) in [("iss", json!(SMOW)), ("sub", json!(SMOW)), ("iss", Value::Null)] {
        assert_eq!(with(name, value), KeySetError::OtherOrganisation, "{name}");
    }
    let mut private = jwk.clone();
    private["d"] = json!("AAAA");
    let mut nameless = jwk.clone();
    nameless["kid"] = json!("");
    let mut timeless = jwk.clone();
    timeless["exp"] = json!("tomorrow");
    for (name, value) in [
        ("exp", json!(NOW.as_seconds() + 401 * 86_400)),
        ("exp", Value::Null),
        ("iat", json!("now")),
        ("keys", json!({})),
        ("keys", json!([private])),
        ("keys", json!([nameless])),
        ("keys", json!([timeless])),
        ("keys", json!([jwk, jwk])),
    ] {
        assert!(matches!(with(name, value.clone()), KeySetError::Malformed(_)), "{name} {value}");
    }
    // Another kind of message under a good signature is no key set.
    let other = bank.key.sign("JWT", good.to_string().as_bytes()).unwrap();
    let judged = KeySet::verified(&json!({ "signed": other }), &oin(BANK), &trust, NOW);
    assert!(matches!(judged.unwrap_err(), KeySetError::Malformed(_)));
}

#[test]
fn nobody_signs_with_a_key_or_for_an_organisation_that_is_not_that_of_the_certificate() {
    let (bank, smow) = (certified(BANK, &authority()), certified(SMOW, &authority()));
    let jwks = || vec![key("k").public_jwk()];
    let signed = |owner, with: &Certified, certificate: &Certified| {
        KeySet::sign(&oin(owner), &jwks(), &with.key, certificate.pem().as_bytes(), NOW, MONTH).unwrap_err()
    };
    assert_eq!(signed(BANK, &smow, &bank), KeySetError::OtherKey);
    assert_eq!(signed(BANK, &smow, &smow), KeySetError::OtherOrganisation);
    let too_long = KeySet::sign(&oin(BANK), &jwks(), &bank.key, bank.pem().as_bytes(), NOW, LONGEST_SET + MONTH);
    assert!(matches!(too_long.unwrap_err(), KeySetError::Malformed(_)));
    let no_certificate = KeySet::sign(&oin(BANK), &jwks(), &bank.key, b"", NOW, MONTH);
    assert_eq!(no_certificate.unwrap_err(), KeySetError::Trust(TrustError::Unreadable));
}

#[test]
fn the_newest_key_that_holds_is_encrypted_to() {
    let at = |days: i64| NOW.as_seconds() + days * 86_400;
    let jwk = |name: &str, from: Option<i64>, until: Option<i64>| {
        let mut jwk = key(name).public_jwk();
        for (member, moment) in [("nbf", from), ("exp", until)] {
            if let Some(moment) = moment {
                jwk[member] = json!(moment);
            }
        }
        jwk
    };
    let set = verified(&[
        jwk("old", None, Some(at(7))),
        jwk("new", Some(at(-1)), None),
        jwk("retired", None, Some(at(0))),
        jwk("next", Some(at(10)), None),
    ]);
    assert_eq!(set.current(NOW).unwrap().key_id(), "new");
    let validity = |name: &str, now: Timestamp| set.key(name).unwrap().validity(now);
    assert_eq!(validity("old", NOW), Validity::Current, "still accepted while others find out");
    assert_eq!(validity("retired", NOW), Validity::Retired);
    assert_eq!(validity("next", NOW), Validity::Upcoming);
    let later = NOW.plus(Duration::from_hours(24 * 11));
    assert_eq!((validity("old", later), validity("next", later)), (Validity::Retired, Validity::Current));
    assert_eq!(set.current(later).unwrap().key_id(), "next");
    assert!(set.key("unknown").is_none());
    assert_eq!(verified(&[jwk("retired", None, Some(at(0)))]).current(NOW).unwrap_err(), KeySetError::NoKey);
    assert_eq!(verified(&[]).current(NOW).unwrap_err(), KeySetError::NoKey);
}
