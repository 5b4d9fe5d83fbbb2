//! JSON Web Signatures (RFC 7515), made and checked with three algorithms and no others: `PS256`, `ES256` and `EdDSA`.
//!
//! Invariant: the algorithm follows from the key, never from the message. A message that names another algorithm than the
//! one its key is for is refused, and so are `none`, every symmetric algorithm, `RS256`, and any `crit` header: there is no
//! way to have a public key taken for a shared secret. The three algorithms are those of FAPI 2.0 section 5.4.
//!
//! Signatures are checked by `jsonwebtoken`. Its judgement of claims is not used, because it reads the machine's clock, and
//! nothing is signed with it, because it keeps copies of private keys that are not wiped.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PSS_SHA256,
    RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::certificate::{self, PublicKeyKind, sha256};

/// The largest JWS that is looked at, in characters; a token or an assertion is far below it.
const MAX_COMPACT: usize = 64 * 1024;

/// A signature algorithm of RFC 7518 or RFC 8037 that the gateway uses and accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 7518 section 3.5).
    Ps256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4).
    Es256,
    /// Ed25519 (RFC 8037 section 3.1).
    EdDsa,
}

impl Algorithm {
    /// The name in the `alg` header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The names of all accepted algorithms, for metadata documents.
    pub const NAMES: [&'static str; 3] = ["PS256", "ES256", "EdDSA"];

    fn parse(name: &str) -> Option<Self> {
        [Self::Ps256, Self::Es256, Self::EdDsa].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Why a signature, or a key for one, is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not a JWS in compact form, or too long.
    #[error("not a JWS in compact form")]
    Malformed,
    /// An algorithm outside `PS256`, `ES256`, `EdDSA`, or another one than the key is for.
    #[error("the algorithm is not accepted: use PS256, ES256 or EdDSA with a key of that kind")]
    Algorithm,
    /// A header that changes the meaning of the message (`crit`, `b64`, `zip`).
    #[error("the header asks for an extension that is not supported")]
    Extension,
    /// The signature does not belong to this message and key.
    #[error("the signature is not valid for this message and key")]
    Signature,
    /// A key that is too weak, of an unsupported kind, or damaged.
    #[error("the key is not accepted: use RSA of 2048 to 8192 bits, P-256 or Ed25519")]
    Key,
    /// Private or symmetric key material where only public keys belong.
    #[error("the key contains private or symmetric key material: send public keys only")]
    PrivateMember,
}

/// The protected header of a JWS, as far as the gateway reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm; already known to be an accepted one.
    pub algorithm: Algorithm,
    /// Which key, by name.
    pub key_id: Option<String>,
    /// The type of the message, in lower case.
    pub kind: Option<String>,
    /// Which key, by the SHA-256 thumbprint of its certificate.
    pub thumbprint: Option<String>,
    /// The thumbprint of the first certificate in `x5c`, if there is one.
    pub chain_thumbprint: Option<String>,
}

/// A JWS in compact form that has been taken apart; its payload is reached only through [`Jws::verify`].
#[derive(Debug, Clone)]
pub struct Jws<'a> {
    header: Header,
    header_text: &'a str,
    payload_text: &'a str,
    signature_text: &'a str,
}

impl<'a> Jws<'a> {
    /// Takes a compact JWS apart (RFC 7515 section 7.1) and checks what can be checked without a key.
    ///
    /// # Errors
    /// [`JoseError`] for anything but three parts with an accepted algorithm and no extensions.
    pub fn parse(compact: &'a str) -> Result<Self, JoseError> {
        if compact.len() > MAX_COMPACT {
            return Err(JoseError::Malformed);
        }
        let mut parts = compact.split('.');
        let (Some(header_text), Some(payload_text), Some(signature_text), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::Malformed);
        };
        let header: Map<String, Value> =
            serde_json::from_slice(&decode(header_text)?).map_err(|_| JoseError::Malformed)?;
        decode(signature_text)?;
        Ok(Self { header: read_header(&header)?, header_text, payload_text, signature_text })
    }

    /// The protected header; not yet vouched for by a signature, so only good for choosing a key.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, if the signature over it was made with this key.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] when the header names another algorithm than the key's, [`JoseError::Signature`] when the
    /// signature does not hold.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Vec<u8>, JoseError> {
        self.check(key, self.payload_text)?;
        decode(self.payload_text)
    }

    fn check(&self, key: &VerifyingKey, payload_text: &str) -> Result<(), JoseError> {
        if key.algorithm() != self.header.algorithm {
            return Err(JoseError::Algorithm);
        }
        key.verify(format!("{}.{payload_text}", self.header_text).as_bytes(), self.signature_text)
    }
}

/// Checks a JWS with detached payload (RFC 7515 appendix F): `header..signature`.
///
/// # Errors
/// [`JoseError`] when it is malformed, carries a payload of its own, or its signature does not hold.
pub fn verify_detached(jws: &str, payload: &[u8], key: &VerifyingKey) -> Result<Header, JoseError> {
    let parsed = Jws::parse(jws)?;
    if !parsed.payload_text.is_empty() {
        return Err(JoseError::Malformed);
    }
    parsed.check(key, &URL_SAFE_NO_PAD.encode(payload))?;
    Ok(parsed.header)
}

fn read_header(header: &Map<String, Value>) -> Result<Header, JoseError> {
    if ["crit", "b64", "zip"].iter().any(|name| header.contains_key(*name)) {
        return Err(JoseError::Extension);
    }
    let text = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(JoseError::Malformed),
    };
    let algorithm = text("alg")?.as_deref().and_then(Algorithm::parse).ok_or(JoseError::Algorithm)?;
    let chain_thumbprint = match header.get("x5c") {
        None => None,
        Some(chain) => {
            let first = chain.get(0).and_then(Value::as_str).ok_or(JoseError::Malformed)?;
            let der = STANDARD.decode(first).map_err(|_| JoseError::Malformed)?;
            Some(URL_SAFE_NO_PAD.encode(sha256(&der)))
        }
    };
    Ok(Header {
        algorithm,
        key_id: text("kid")?,
        kind: text("typ")?.map(|kind| kind.to_ascii_lowercase()),
        thumbprint: text("x5t#S256")?,
        chain_thumbprint,
    })
}

fn decode(text: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseError::Malformed)
}

/// A public key with which signatures are checked; known to be strong enough and well formed.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Public);

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.algorithm().name())
    }
}

impl VerifyingKey {
    /// The key in a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
    ///
    /// # Errors
    /// [`JoseError::Key`] when the key is weak, damaged or of a kind that none of the three algorithms uses.
    pub fn from_spki(der: &[u8]) -> Result<Self, JoseError> {
        match certificate::public_key_kind(der).map_err(|_| JoseError::Key)? {
            PublicKeyKind::Rsa { modulus, exponent } => Self(Public::Rsa { modulus, exponent }).checked(),
            PublicKeyKind::P256 { point } => Self(Public::P256(point)).checked(),
            PublicKeyKind::Ed25519 { key } => Self(Public::Ed25519(key)).checked(),
            PublicKeyKind::P384 { .. } => Err(JoseError::Key),
        }
    }

    /// The key that a DER certificate certifies. The certificate itself is not judged here.
    ///
    /// # Errors
    /// [`JoseError::Key`] as for [`VerifyingKey::from_spki`].
    pub fn from_certificate(der: &[u8]) -> Result<Self, JoseError> {
        let spki = certificate::spki_of_certificate(der).map_err(|_| JoseError::Key)?;
        Self::from_spki(&spki)
    }

    /// The key in a JWK (RFC 7517). Private and symmetric members are refused, as is a key for another algorithm.
    ///
    /// # Errors
    /// [`JoseError::PrivateMember`] or [`JoseError::Key`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, JoseError> {
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.get(name).is_some()) {
            return Err(JoseError::PrivateMember);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(JoseError::Key);
        let bytes = |name: &str| decode(text(name)?).map_err(|_| JoseError::Key);
        let key = match (text("kty")?, jwk.get("crv").and_then(Value::as_str)) {
            ("RSA", None) => {
                let strip = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                let (modulus, exponent) = (strip(bytes("n")?), strip(bytes("e")?));
                certificate::check_rsa(&modulus, &exponent).map_err(|_| JoseError::Key)?;
                Self(Public::Rsa { modulus, exponent })
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(JoseError::Key);
                }
                Self(Public::P256([&[4], x.as_slice(), y.as_slice()].concat()))
            }
            ("OKP", Some("Ed25519")) => Self(Public::Ed25519(bytes("x")?)),
            _ => return Err(JoseError::Key),
        };
        // `Ed25519` is the newer name of the same algorithm (RFC 9864 section 2.2).
        let fits = |alg: &Value| match alg.as_str() {
            Some("Ed25519") => key.algorithm() == Algorithm::EdDsa,
            name => name == Some(key.algorithm().name()),
        };
        if !jwk.get("alg").is_none_or(fits) {
            return Err(JoseError::Key);
        }
        key.checked()
    }

    /// The one algorithm that this key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Public::Rsa { .. } => Algorithm::Ps256,
            Public::P256(_) => Algorithm::Es256,
            Public::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The members that a JWK needs for this key, in the lexical order that RFC 7638 section 3 hashes.
    fn required_members(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.0 {
            Public::Rsa { modulus, exponent } => json!({"e": encode(exponent), "kty": "RSA", "n": encode(modulus)}),
            Public::P256(point) => {
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Public::Ed25519(key) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(key)}),
        }
    }

    /// The JWK thumbprint (RFC 7638) in base64url: a name for the key that follows from the key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // The members are written in lexical order above, which is the order that the thumbprint asks for.
        URL_SAFE_NO_PAD.encode(sha256(self.required_members().to_string().as_bytes()))
    }

    /// The public JWK with `kid`, `use` and `alg`.
    #[must_use]
    pub fn to_jwk(&self, key_id: &str) -> Value {
        let mut jwk = self.required_members();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".into(), key_id.into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), self.algorithm().name().into());
        }
        jwk
    }

    /// The 32 bytes of an Ed25519 key (RFC 8032 section 5.1.5); none for other keys.
    #[must_use]
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Public::Ed25519(key) => key.as_slice().try_into().ok(),
            Public::Rsa { .. } | Public::P256(_) => None,
        }
    }

    /// Refuses a point that is not on its curve, or a key of the wrong length, when the key is registered.
    fn checked(self) -> Result<Self, JoseError> {
        let sound = match &self.0 {
            Public::Rsa { .. } => true,
            Public::P256(point) => {
                point.len() == 65 && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse().is_ok()
            }
            Public::Ed25519(key) => key.len() == 32,
        };
        if sound { Ok(self) } else { Err(JoseError::Key) }
    }

    fn verify(&self, message: &[u8], signature_text: &str) -> Result<(), JoseError> {
        let (key, algorithm) = match &self.0 {
            Public::Rsa { modulus, exponent } => {
                (DecodingKey::from_rsa_raw_components(modulus, exponent), jsonwebtoken::Algorithm::PS256)
            }
            Public::P256(point) => (DecodingKey::from_ec_der(point), jsonwebtoken::Algorithm::ES256),
            Public::Ed25519(key) => (DecodingKey::from_ed_der(key), jsonwebtoken::Algorithm::EdDSA),
        };
        match jsonwebtoken::crypto::verify(signature_text, message, &key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(JoseError::Signature),
        }
    }
}

/// A private key that signs, with the name under which its public half is known. The key is wiped when it is dropped.
pub struct SigningKey {
    key_id: String,
    public: VerifyingKey,
    private: Private,
}

enum Private {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.key_id)
    }
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8, SEC 1 (P-256) or PKCS#1 (RSA). Its name is its JWK thumbprint.
    ///
    /// # Errors
    /// [`JoseError::Key`] when it is none of these, or weak.
    pub fn from_pem(pem: &[u8]) -> Result<Self, JoseError> {
        let private = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| JoseError::Key)? {
            PrivateKeyDer::Pkcs8(der) => return Self::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_sec1_der())
                    .map(|key| Private::P256(Box::new(key)))
            }
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(|key| Private::Rsa(Box::new(key)))
            }
            _ => return Err(JoseError::Key),
        };
        Self::named(private.map_err(|_| JoseError::Key)?)
    }

    /// Reads a private key in PKCS#8 DER: Ed25519, P-256 or RSA. Its name is its JWK thumbprint.
    ///
    /// # Errors
    /// [`JoseError::Key`] when it is none of these, or weak.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, JoseError> {
        let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Private::Ed25519);
        let p256 = || {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
            Some(Private::P256(Box::new(key)))
        };
        let rsa = || Some(Private::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).ok()?)));
        Self::named(ed25519().or_else(p256).or_else(rsa).ok_or(JoseError::Key)?)
    }

    fn named(private: Private) -> Result<Self, JoseError> {
        let public = match &private {
            Private::Rsa(key) => {
                let strip = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                let modulus = strip(key.public_key().modulus().big_endian_without_leading_zero());
                let exponent = strip(key.public_key().exponent().big_endian_without_leading_zero());
                certificate::check_rsa(&modulus, &exponent).map_err(|_| JoseError::Key)?;
                Public::Rsa { modulus, exponent }
            }
            Private::P256(key) => Public::P256(key.public_key().as_ref().to_vec()),
            Private::Ed25519(key) => Public::Ed25519(key.public_key().as_ref().to_vec()),
        };
        let public = VerifyingKey(public).checked()?;
        Ok(Self { key_id: public.thumbprint(), public, private })
    }

    /// The name of the key: its JWK thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs a payload; the result is a JWS in compact form with `alg`, `kid` and `typ` in its header.
    ///
    /// # Errors
    /// [`JoseError::Key`] when the cryptographic library refuses the key.
    pub fn sign(&self, kind: &str, payload: &[u8]) -> Result<String, JoseError> {
        self.sign_with(json!({"typ": kind, "kid": self.key_id}), payload)
    }

    /// Signs a payload that travels apart: `header..signature` (RFC 7515 appendix F), naming the certificate
    /// whose key signed by its thumbprint.
    ///
    /// # Errors
    /// [`JoseError::Key`] when the cryptographic library refuses the key.
    pub fn sign_detached(&self, certificate_thumbprint: &str, payload: &[u8]) -> Result<String, JoseError> {
        let compact = self.sign_with(json!({"x5t#S256": certificate_thumbprint}), payload)?;
        let (header, rest) = compact.split_once('.').ok_or(JoseError::Malformed)?;
        let (_, signature) = rest.split_once('.').ok_or(JoseError::Malformed)?;
        Ok(format!("{header}..{signature}"))
    }

    /// Signs a payload under a header of the caller's making; `alg` is added.
    ///
    /// # Errors
    /// [`JoseError::Key`] when the cryptographic library refuses the key.
    pub fn sign_with(&self, mut header: Value, payload: &[u8]) -> Result<String, JoseError> {
        if let Value::Object(members) = &mut header {
            members.insert("alg".into(), self.public.algorithm().name().into());
        }
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(input.as_bytes()).map_err(|_| JoseError::Key)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Signs bytes as they are, for formats that are no JWS.
    ///
    /// # Errors
    /// [`JoseError::Key`] when the cryptographic library refuses the key.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.signature(message).map_err(|_| JoseError::Key)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        match &self.private {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
            Private::P256(key) => Ok(key.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
            Private::Ed25519(key) => Ok(key.try_sign(message)?.as_ref().to_vec()),
        }
    }
}
