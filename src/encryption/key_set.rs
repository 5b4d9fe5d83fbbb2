//! The keys to which can be encrypted for an organisation: a JWK set that the key of its certificate has signed.
//!
//! The signed form is that of `OpenID` Federation 1.0, section 5.2.1.1 (`signed_jwks_uri`): a JWS of type `jwk-set+jwt` whose claims are `iss`, `sub`,
//! `iat`, `exp` and `keys`; the certificate, with those of its issuers, is in `x5c`. Invariants: nobody encrypts to a key whose signature was not verified
//! with a certificate of its owner; a key that has ended, or whose set has, is not encrypted to any more, and still decrypts for its owner.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::envelope::{decode, seconds};
use super::keys::{self, PublicKey};
use super::strict;
use super::trust::{Trust, TrustError};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::credentials::certificate::{PeerCertificate, thumbprint};
use crate::organisations::credentials::jose::{JoseError, Jws, SigningKey, VerifyingKey};

/// The `typ` of a signed set.
const KIND: &str = "jwk-set+jwt";
/// How long a signed set holds at most: 400 days. An old set that has not ended can be shown again by who kept it.
pub const LONGEST_SET: Duration = Duration::from_hours(24 * 400);
/// How far the clock of who signed, or of who encrypts to a key that begins, may be ahead.
const LEEWAY: Duration = Duration::from_mins(5);
/// The largest signed set, in characters.
const LARGEST_SET: usize = 64 * 1024;
/// The most certificates in `x5c`.
const MOST_CERTIFICATES: usize = 5;

/// Why a key set is not believed, or offers no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// No signature where one is needed.
    #[error("the key set is not signed: its owner must publish it with `signed`")]
    Unsigned,
    /// Not in the documented form.
    #[error("the signed key set has not the expected form: {0}")]
    Malformed(&'static str),
    /// The signature does not hold.
    #[error("the signature of the key set does not hold: {0}")]
    Signature(#[from] JoseError),
    /// The certificate is not believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Signed by, or for, another organisation.
    #[error("the key set is another organisation's")]
    OtherOrganisation,
    /// It has ended, or lies in the future.
    #[error("the signed key set has ended or lies in the future: its owner must publish a new one")]
    Ended,
    /// No key in it can be encrypted to now.
    #[error("the key set has no key that can be encrypted to now")]
    NoKey,
    /// The certificate and the private key that shall sign do not belong together.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
}

/// From when until when a key is encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Current,
    /// Not yet (`nbf`).
    Upcoming,
    /// No longer (`exp`).
    Retired,
}

/// A key to which can be encrypted for its owner; its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    key_id: String,
    public: PublicKey,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl EncryptionKey {
    /// Its name.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it is encrypted to at this moment.
    #[must_use]
    pub fn validity(&self, now: Timestamp) -> Validity {
        if self.expires_at.is_some_and(|end| end <= now) {
            Validity::Retired
        } else if self.not_before.is_some_and(|start| now.plus(LEEWAY) < start) {
            Validity::Upcoming
        } else {
            Validity::Current
        }
    }

    fn read(jwk: &Value) -> Option<Self> {
        let moment = |name: &str| jwk.get(name).map(seconds);
        Some(Self {
            key_id: jwk.get("kid")?.as_str().filter(|kid| keys::is_key_id(kid))?.to_owned(),
            public: PublicKey::from_jwk(jwk).ok()?,
            not_before: moment("nbf").map_or(Some(None), |found| found.map(Some))?,
            expires_at: moment("exp").map_or(Some(None), |found| found.map(Some))?,
        })
    }
}

/// A key set whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    issued_at: Timestamp,
    expires_at: Timestamp,
    jwks: Vec<Value>,
    keys: Vec<EncryptionKey>,
}

impl KeySet {
    /// Signs a set with the key of its owner's certificate (PEM, with the certificates of its issuers where there are some), for this long.
    /// Gives the body for `PUT /v1/organisations/{id}/keys`.
    ///
    /// # Errors
    /// [`KeySetError`] when certificate and key do not belong together or to the owner, or the set would not be believed.
    pub fn sign(
        owner: &Oin,
        jwks: &[Value],
        key: &SigningKey,
        certificates: &[u8],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Value, KeySetError> {
        let chain: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().unwrap_or_default();
        let own = chain.first().ok_or(KeySetError::Trust(TrustError::Unreadable))?;
        if VerifyingKey::from_certificate(own)? != *key.public() {
            return Err(KeySetError::OtherKey);
        }
        let names = PeerCertificate::read(own).map_err(|_| KeySetError::Trust(TrustError::Certificate))?.oin;
        if names.as_ref() != Some(owner) {
            return Err(KeySetError::OtherOrganisation);
        }
        let header = json!({
            "typ": KIND,
            "x5t#S256": thumbprint(own),
            "x5c": chain.iter().take(MOST_CERTIFICATES).map(|der| STANDARD.encode(der)).collect::<Vec<_>>(),
        });
        let claims = json!({
            "iss": owner,
            "sub": owner,
            "iat": now.as_seconds(),
            "exp": now.plus(lifetime).as_seconds(),
            "keys": jwks,
        });
        let signed = key.sign_with(header, claims.to_string().as_bytes())?;
        SignedSet::read(&signed)?.verified(key.public(), owner, now)?;
        Ok(json!({ "keys": jwks, "signed": signed }))
    }

    /// The set in an answer of `GET /v1/organisations/{id}/keys`, if it was signed with a certificate that the sender believes to be the owner's.
    /// Of the answer only what is signed counts.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn verified(answer: &Value, owner: &Oin, trust: &Trust, now: Timestamp) -> Result<Self, KeySetError> {
        let signed = answer.get("signed").and_then(Value::as_str).ok_or(KeySetError::Unsigned)?;
        let words = SignedSet::read(signed)?;
        let key = trust.key_of(words.certificates(), owner, now)?;
        words.verified(&key, owner, now)
    }

    /// All keys of the set, also those for signatures, as they were signed.
    #[must_use]
    pub fn jwks(&self) -> &[Value] {
        &self.jwks
    }

    /// The key of this name, whether or not it is encrypted to now.
    #[must_use]
    pub fn key(&self, key_id: &str) -> Option<&EncryptionKey> {
        self.keys.iter().find(|key| key.key_id == key_id)
    }

    /// The key to encrypt to now: of those that hold the one that began last, and of several such the first.
    ///
    /// # Errors
    /// [`KeySetError::NoKey`].
    pub fn current(&self, now: Timestamp) -> Result<&EncryptionKey, KeySetError> {
        let held = self.keys.iter().filter(|key| key.validity(now) == Validity::Current);
        held.reduce(|best, key| if key.not_before > best.not_before { key } else { best }).ok_or(KeySetError::NoKey)
    }

    /// When it was signed, as it says.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

/// A signed set that has been taken apart; what it says counts only once it is [`SignedSet::verified`].
#[derive(Debug, Clone)]
pub struct SignedSet<'a> {
    jws: Jws<'a>,
    certificate: Vec<u8>,
    issuers: Vec<Vec<u8>>,
}

impl<'a> SignedSet<'a> {
    /// Takes a signed set apart.
    ///
    /// # Errors
    /// [`KeySetError::Malformed`] or [`KeySetError::Signature`].
    pub fn read(signed: &'a str) -> Result<Self, KeySetError> {
        if signed.len() > LARGEST_SET {
            return Err(KeySetError::Malformed("it is larger than 64 KiB"));
        }
        let jws = Jws::parse(signed)?;
        if jws.header().kind.as_deref() != Some(KIND) {
            return Err(KeySetError::Malformed("expected typ jwk-set+jwt in its header"));
        }
        let header = signed.split('.').next().and_then(decode).and_then(|text| strict::object(&text));
        let header = header.ok_or(KeySetError::Malformed("its header is no JSON object, or names something twice"))?;
        let chain =
            KeySetError::Malformed("expected x5c in its header: 1 to 5 certificates in base64, the owner's first");
        let mut certificates = certificates(&header).ok_or(chain)?.into_iter();
        let certificate = certificates.next().unwrap_or_default();
        Ok(Self { jws, certificate, issuers: certificates.collect() })
    }

    /// The certificate (DER) whose key is said to have signed, and those of its issuers.
    #[must_use]
    pub fn certificates(&self) -> (&[u8], &[Vec<u8>]) {
        (&self.certificate, &self.issuers)
    }

    /// What it says, if it was signed with this key, by and for this organisation, and holds now.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn verified(&self, key: &VerifyingKey, owner: &Oin, now: Timestamp) -> Result<KeySet, KeySetError> {
        let claims = strict::object(&self.jws.verify(key)?);
        let claims = claims.ok_or(KeySetError::Malformed("its claims are no JSON object, or name something twice"))?;
        let is_owner = |name: &str| claims.get(name).and_then(Value::as_str) == Some(owner.as_str());
        if !is_owner("iss") || !is_owner("sub") {
            return Err(KeySetError::OtherOrganisation);
        }
        let moment = |name: &str| claims.get(name).and_then(seconds);
        let times = moment("iat").zip(moment("exp"));
        let (issued_at, expires_at) = times.ok_or(KeySetError::Malformed("expected iat and exp, in whole seconds"))?;
        if expires_at > issued_at.plus(LONGEST_SET) {
            return Err(KeySetError::Malformed("expected an exp of at most 400 days after iat"));
        }
        if issued_at > now.plus(LEEWAY) || expires_at <= now {
            return Err(KeySetError::Ended);
        }
        let jwks = claims.get("keys").and_then(Value::as_array).cloned();
        let jwks = jwks.ok_or(KeySetError::Malformed("expected a list of keys"))?;
        let for_encryption = jwks.iter().filter(|jwk| jwk.get("use").and_then(Value::as_str) == Some("enc"));
        let keys: Option<Vec<EncryptionKey>> = for_encryption.map(EncryptionKey::read).collect();
        let keys = keys.ok_or(KeySetError::Malformed("one of its keys for encryption is not accepted"))?;
        let repeated =
            keys.iter().enumerate().any(|(at, key)| keys.iter().skip(at + 1).any(|next| next.key_id == key.key_id));
        if repeated {
            return Err(KeySetError::Malformed("two of its keys have the same kid"));
        }
        Ok(KeySet { issued_at, expires_at, jwks, keys })
    }
}

fn certificates(header: &Map<String, Value>) -> Option<Vec<Vec<u8>>> {
    let list = header.get("x5c")?.as_array().filter(|list| (1..=MOST_CERTIFICATES).contains(&list.len()))?;
    list.iter().map(|text| STANDARD.decode(text.as_str()?).ok()).collect()
}
