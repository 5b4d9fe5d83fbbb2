//! Reading certificates: who a certificate is for, how long it holds, which key it certifies.
//!
//! Invariant: what is read here is only read. Whether a certificate may be believed is decided by the chain check of the
//! handshake, by [`super::anchors`] and, on every request, by [`super::authenticate`].

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    OID_X509_SERIALNUMBER,
};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::clock::Timestamp;
use crate::ids::Oin;

/// The smallest and largest RSA modulus, in bits, that is accepted anywhere.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a certificate or a public key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 certificate in DER, or with bytes after its end.
    #[error("not an X.509 certificate")]
    Malformed,
    /// Without an OIN in `serialNumber` of the subject.
    #[error("the certificate names no organisation: its subject has no OIN in serialNumber")]
    NoOin,
    /// Smaller than 2048 bits, larger than 8192, or with an exponent below 65537.
    #[error("the RSA key is not accepted: use 2048 to 8192 bits and exponent 65537")]
    WeakRsa,
    /// Another kind of key.
    #[error("the kind of key is not accepted: use P-256, P-384, Ed25519 or RSA")]
    UnsupportedKey,
}

/// The public keys that a certificate may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// RSA, big endian without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
    /// ECDSA on P-256: the uncompressed point.
    P256 {
        /// 65 bytes, the first of them 4.
        point: Vec<u8>,
    },
    /// ECDSA on P-384: the uncompressed point.
    P384 {
        /// 97 bytes, the first of them 4.
        point: Vec<u8>,
    },
    /// Ed25519.
    Ed25519 {
        /// 32 bytes.
        key: Vec<u8>,
    },
}

/// What the gateway knows of the certificate at the other end of a connection, read once when the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 over the DER, in base64url: `x5t#S256` of RFC 8705 section 3.1.
    pub thumbprint: String,
    /// The serial number in lower-case hexadecimal, without leading zeros.
    pub serial: String,
    /// The issuer's distinguished name in DER.
    pub issuer: Vec<u8>,
    /// The OIN in the subject's `serialNumber`, if that holds one.
    pub oin: Option<Oin>,
    /// From when the certificate holds.
    pub not_before: Timestamp,
    /// Until when it holds, to the second, that second included.
    pub not_after: Timestamp,
    /// The `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// Which of the gateway's authorities signed it; `None` when no authority that is known did.
    pub vouched_by: Option<VouchedBy>,
}

/// The authority whose signature on a certificate has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VouchedBy {
    /// The gateway's own certificate authority.
    Gateway,
    /// The external trust anchor of this name in the configuration.
    Anchor(String),
}

impl PeerCertificate {
    /// Reads a DER certificate; says nothing yet about who vouches for it.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`] when it cannot be read.
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = parse(der)?;
        let validity = certificate.validity();
        Ok(Self {
            thumbprint: thumbprint(der),
            serial: serial_text(certificate.raw_serial()),
            issuer: certificate.issuer().as_raw().to_vec(),
            oin: oin_of(certificate.subject()),
            not_before: validity.not_before.to_datetime().into(),
            not_after: validity.not_after.to_datetime().into(),
            public_key: certificate.public_key().raw.to_vec(),
            vouched_by: None,
        })
    }

    /// Whether the certificate holds at this moment (RFC 5280 section 4.1.2.5: both ends included).
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now.as_seconds() <= self.not_after.as_seconds()
    }
}

/// A certificate of an organisation in a file: what is needed to sign or connect with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// SHA-256 over the DER, in base64url.
    pub thumbprint: String,
    /// The organisation that it names.
    pub oin: Oin,
    /// The subject's common name: the short name of the organisation, or the id of a named client.
    pub common_name: String,
}

impl Certificate {
    /// Reads the first certificate in a PEM file.
    ///
    /// # Errors
    /// [`CertificateError`] when there is none, or it names no organisation.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|_| CertificateError::Malformed)?.to_vec();
        let facts = PeerCertificate::read(&der)?;
        let parsed = parse(&der)?;
        let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let common_name = common_name.unwrap_or_default().to_owned();
        let oin = facts.oin.ok_or(CertificateError::NoOin)?;
        Ok(Self { thumbprint: facts.thumbprint, oin, common_name, der })
    }

    /// The client that the gateway knows this certificate by: a named client's id is its common name.
    #[must_use]
    pub fn client_id(&self) -> String {
        if self.common_name.starts_with(&format!("{}-", self.oin)) {
            self.common_name.clone()
        } else {
            self.oin.to_string()
        }
    }
}

/// Reads one DER certificate and nothing after it.
///
/// # Errors
/// [`CertificateError::Malformed`].
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Malformed),
    }
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// The thumbprint of a DER certificate: SHA-256 in base64url without padding (RFC 8705 section 3.1).
#[must_use]
pub fn thumbprint(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(der))
}

/// A serial number as the gateway writes it: lower-case hexadecimal without leading zero bytes.
#[must_use]
pub fn serial_text(bytes: &[u8]) -> String {
    hex::encode(bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
}

/// The OIN in `serialNumber` of a subject, if there is exactly one such attribute and it holds an OIN.
fn oin_of(subject: &X509Name<'_>) -> Option<Oin> {
    let mut numbers = subject.iter_by_oid(&OID_X509_SERIALNUMBER);
    match (numbers.next(), numbers.next()) {
        (Some(number), None) => number.as_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// The `SubjectPublicKeyInfo` of a DER certificate.
///
/// # Errors
/// [`CertificateError::Malformed`].
pub fn spki_of_certificate(der: &[u8]) -> Result<Vec<u8>, CertificateError> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

/// Which kind of key a DER `SubjectPublicKeyInfo` holds, refusing what is weak or unknown.
///
/// # Errors
/// [`CertificateError`].
pub fn public_key_kind(spki: &[u8]) -> Result<PublicKeyKind, CertificateError> {
    let Ok(([], info)) = SubjectPublicKeyInfo::from_der(spki) else {
        return Err(CertificateError::Malformed);
    };
    let algorithm = &info.algorithm.algorithm;
    let bits = info.subject_public_key.data.to_vec();
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(rsa)) = info.parsed() else {
            return Err(CertificateError::Malformed);
        };
        let strip = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
        let (modulus, exponent) = (strip(rsa.modulus), strip(rsa.exponent));
        check_rsa(&modulus, &exponent)?;
        return Ok(PublicKeyKind::Rsa { modulus, exponent });
    }
    if *algorithm == OID_SIG_ED25519 && bits.len() == 32 {
        return Ok(PublicKeyKind::Ed25519 { key: bits });
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && bits.first() == Some(&4) {
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 && bits.len() == 65 => Ok(PublicKeyKind::P256 { point: bits }),
            Some(curve) if curve == OID_NIST_EC_P384 && bits.len() == 97 => Ok(PublicKeyKind::P384 { point: bits }),
            _ => Err(CertificateError::UnsupportedKey),
        };
    }
    Err(CertificateError::UnsupportedKey)
}

/// Refuses an RSA key whose size or exponent is outside what is accepted; both without leading zeros.
///
/// # Errors
/// [`CertificateError::WeakRsa`].
pub(super) fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), CertificateError> {
    let leading = modulus.first().map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(leading);
    let exponent_fits = match exponent {
        [_, _, last] | [_, _, _, last] => last & 1 == 1,
        _ => false,
    };
    if RSA_BITS.contains(&bits) && exponent_fits { Ok(()) } else { Err(CertificateError::WeakRsa) }
}

/// The subject key identifier (RFC 5280 section 4.2.1.2), if the certificate has one.
pub(super) fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}
