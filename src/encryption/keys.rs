//! The keys with which a section is encrypted and decrypted: P-256 and X25519.
//!
//! Invariants: a public key lies on its curve and leads to a shared secret, or it is none; a private key is never printed, and is wiped when
//! it is dropped (the library wipes its own copies).

use std::fmt;

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, UnparsedPublicKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::envelope::decode;

/// Why a key for encryption cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Private key material where only public keys belong.
    #[error("the key contains private or symmetric key material: send public keys only")]
    Private,
    /// Of another kind, or damaged.
    #[error("the key is not accepted for encryption: use P-256 (kty EC) or X25519 (kty OKP) with alg ECDH-ES")]
    Key,
    /// A name that cannot be one.
    #[error("expected a kid of 1 to 100 visible ASCII characters")]
    Name,
    /// The cryptographic library failed.
    #[error("no key could be made")]
    Failed,
}

/// A curve on which keys are agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256: every library of JOSE has it.
    P256,
    /// Curve25519 (RFC 7748).
    X25519,
}

impl Curve {
    /// Its name in a JWK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::X25519 => "X25519",
        }
    }

    /// The type of its keys in a JWK.
    const fn kind(self) -> &'static str {
        match self {
            Self::P256 => "EC",
            Self::X25519 => "OKP",
        }
    }

    pub(super) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::X25519 => &X25519,
        }
    }
}

/// Whether a text can name a key.
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A public key to which can be encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    /// The uncompressed point, or the 32 bytes of X25519.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// The key in a JWK (RFC 7517); other members than those of the key itself are passed over.
    ///
    /// # Errors
    /// [`KeyError::Private`] or [`KeyError::Key`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.get(name).is_some()) {
            return Err(KeyError::Private);
        }
        if jwk.get("alg").is_some_and(|alg| alg != "ECDH-ES") {
            return Err(KeyError::Key);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Key);
        let coordinate = |name: &str| decode(text(name)?).filter(|bytes| bytes.len() == 32).ok_or(KeyError::Key);
        let key = match (text("kty")?, text("crv")?) {
            ("EC", "P-256") => Self {
                curve: Curve::P256,
                bytes: [&[4], coordinate("x")?.as_slice(), coordinate("y")?.as_slice()].concat(),
            },
            ("OKP", "X25519") if jwk.get("y").is_none() => Self { curve: Curve::X25519, bytes: coordinate("x")? },
            _ => return Err(KeyError::Key),
        };
        key.checked()
    }

    /// The same, of an object that holds nothing else.
    pub(super) fn from_bare_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let bare = jwk
            .as_object()
            .is_some_and(|members| members.keys().all(|name| ["kty", "crv", "x", "y"].contains(&name.as_str())));
        if bare { Self::from_jwk(jwk) } else { Err(KeyError::Key) }
    }

    pub(super) fn of(key: &agreement::PrivateKey, curve: Curve) -> Result<Self, KeyError> {
        let public = key.compute_public_key().map_err(|_| KeyError::Failed)?;
        Ok(Self { curve, bytes: public.as_ref().to_vec() })
    }

    /// Its curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    pub(super) fn unparsed(&self) -> UnparsedPublicKey<&[u8]> {
        UnparsedPublicKey::new(self.curve.algorithm(), self.bytes.as_slice())
    }

    /// The members of a JWK that are the key: all that stands in `epk`.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (kty, crv) = (self.curve.kind(), self.curve.name());
        match self.curve {
            Curve::P256 => {
                let (x, y) = self.bytes.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({ "kty": kty, "crv": crv, "x": encode(x), "y": encode(y) })
            }
            Curve::X25519 => json!({ "kty": kty, "crv": crv, "x": encode(&self.bytes) }),
        }
    }

    /// Refuses what is not on the curve, and a point that leads to no secret (RFC 7748 section 6.1): by trying.
    fn checked(self) -> Result<Self, KeyError> {
        let any = agreement::PrivateKey::generate(self.curve.algorithm()).map_err(|_| KeyError::Failed)?;
        agreement::agree(&any, self.unparsed(), KeyError::Key, |_| Ok(()))?;
        Ok(self)
    }
}

/// A private key with which its owner decrypts, with the name under which its public half is published.
pub struct PrivateKey {
    key_id: String,
    private: agreement::PrivateKey,
    public: PublicKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.key_id)
    }
}

/// A private JWK as it is read.
#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    d: String,
    kid: String,
}

impl Drop for PrivateJwk {
    fn drop(&mut self) {
        self.d.zeroize();
    }
}

impl PrivateKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`KeyError::Name`] for a name that cannot be one, [`KeyError::Failed`] when the library makes none.
    pub fn generate(key_id: &str, curve: Curve) -> Result<Self, KeyError> {
        let private = agreement::PrivateKey::generate(curve.algorithm()).map_err(|_| KeyError::Failed)?;
        Self::named(key_id, private, curve)
    }

    /// The key in a private JWK (RFC 7518 section 6.2.2, RFC 8037 section 2).
    ///
    /// # Errors
    /// [`KeyError::Key`] when it is none, or its public and its private half do not belong together.
    pub fn from_jwk(text: &[u8]) -> Result<Self, KeyError> {
        let jwk: PrivateJwk = serde_json::from_slice(text).map_err(|_| KeyError::Key)?;
        let curve = match (jwk.kty.as_str(), jwk.crv.as_str()) {
            ("EC", "P-256") => Curve::P256,
            ("OKP", "X25519") => Curve::X25519,
            _ => return Err(KeyError::Key),
        };
        let bytes = Zeroizing::new(decode(&jwk.d).ok_or(KeyError::Key)?);
        let private = agreement::PrivateKey::from_private_key(curve.algorithm(), &bytes).map_err(|_| KeyError::Key)?;
        let key = Self::named(&jwk.kid, private, curve)?;
        let own = key.public.to_jwk();
        let said = |name: &str, value: Option<&str>| own.get(name).and_then(Value::as_str) == value;
        if said("x", Some(&jwk.x)) && said("y", jwk.y.as_deref()) { Ok(key) } else { Err(KeyError::Key) }
    }

    fn named(key_id: &str, private: agreement::PrivateKey, curve: Curve) -> Result<Self, KeyError> {
        if !is_key_id(key_id) {
            return Err(KeyError::Name);
        }
        let public = PublicKey::of(&private, curve)?;
        Ok(Self { key_id: key_id.to_owned(), private, public })
    }

    /// Its name.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) const fn private(&self) -> &agreement::PrivateKey {
        &self.private
    }

    /// The public half as it stands in a key set.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.to_jwk();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".into(), self.key_id.as_str().into());
            members.insert("use".into(), "enc".into());
            members.insert("alg".into(), "ECDH-ES".into());
        }
        jwk
    }

    /// The private JWK, to be kept in a file that nobody else can read.
    ///
    /// # Errors
    /// [`KeyError::Failed`] when the library does not give the key.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, KeyError> {
        let mut d = Zeroizing::new(String::with_capacity(64));
        match self.public.curve {
            Curve::P256 => {
                let bytes: EcPrivateKeyBin<'_> = self.private.as_be_bytes().map_err(|_| KeyError::Failed)?;
                URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut d);
            }
            Curve::X25519 => {
                let bytes: Curve25519SeedBin<'_> = self.private.as_be_bytes().map_err(|_| KeyError::Failed)?;
                URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut d);
            }
        }
        // Written so that no copy of the private half is left behind by a value that grows.
        let public = self.public_jwk().to_string();
        let mut text = Zeroizing::new(String::with_capacity(public.len() + 64));
        text.push_str(public.trim_end_matches('}'));
        text.push_str(",\"d\":\"");
        text.push_str(&d);
        text.push_str("\"}");
        Ok(text)
    }
}
