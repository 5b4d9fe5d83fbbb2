//! The gateway's certificate authority: it certifies organisations that have no certificate of an external authority.
//!
//! Invariant: everything in a certificate except the public key is decided here and by the caller's [`Profile`], nothing by
//! the request. No certificate is a CA, none lives longer than twelve months or than the authority itself, and every serial
//! number is random (RFC 5280 section 4.1.2.2; CA/Browser Forum baseline: at least 64 random bits).

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::certificate::{self, PeerCertificate};
use super::csr::ProvenKey;
use super::key_files::{self, FileError};
use crate::clock::Timestamp;
use crate::ids::{Entropy, NoEntropy, Oin};

/// The longest life of a certificate for an organisation or a server.
pub const MAX_LIFETIME: Duration = Duration::from_hours(24 * 366);
/// The life of the authority's own certificate.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(24 * 3653);
/// How far back a certificate starts, for parties whose clock is behind.
const BACKDATE: Duration = Duration::from_mins(5);
/// RFC 5280 appendix A.1, `ub-organization-name` and `ub-common-name`, in characters.
const MAX_NAME: usize = 64;

/// Why the authority cannot be made, loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate is not that of an authority, or does not belong to the key.
    #[error("{path} is not usable as certificate authority: {reason}")]
    Unusable {
        /// The certificate's file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name in a server certificate is neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The authority's certificate has ended or has not begun.
    #[error("the certificate of the authority does not hold at this moment: renew it")]
    Expired,
    /// The cryptographic library refused.
    #[error("the certificate could not be made: {0}")]
    Library(#[from] rcgen::Error),
}

/// What a certificate says, apart from the key.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The OIN in the subject's `serialNumber`.
    pub oin: Oin,
    /// The organisation's name in `O`.
    pub organisation: String,
    /// The common name: the organisation's slug or the client id.
    pub common_name: String,
    /// Whether a server may use it too.
    pub server: bool,
    /// The DNS names and IP addresses of that server.
    pub server_names: Vec<String>,
    /// Whether a client may use it. Only the gateway's own server certificate has `false`.
    pub client: bool,
    /// How long it holds; shortened to twelve months and to the life of the authority.
    pub lifetime: Duration,
}

/// A certificate that was just made.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// The certificate in PEM.
    pub pem: String,
    /// What it says.
    pub facts: PeerCertificate,
}

/// One certificate on a revocation list.
#[derive(Debug, Clone)]
pub struct RevokedCertificate {
    /// The serial number in hexadecimal.
    pub serial: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate was revoked (RFC 5280 section 5.3.1); those that can befall a client certificate here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No reason is given.
    Unspecified,
    /// The private key is, or may be, in other hands.
    KeyCompromise,
    /// The subject's name or number changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The organisation or its client stopped.
    CessationOfOperation,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// The reason of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    const fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}

/// The authority, with its private key in memory.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    facts: PeerCertificate,
    issuer: Issuer<'static, KeyPair>,
    key_identifier: KeyIdMethod,
    crl_url: Option<String>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.facts.thumbprint)
    }
}

/// Makes a new authority: first its key, then its certificate. When a key is there but no certificate, because an earlier
/// attempt was cut off, that key is used.
///
/// # Errors
/// [`AuthorityError::File`] with [`FileError::Exists`] when the certificate is there already.
pub fn create(
    certificate: &Path,
    key: &Path,
    name: &str,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    if certificate.exists() {
        return Err(FileError::Exists(certificate.to_path_buf()).into());
    }
    if !key.exists() {
        let pair = KeyPair::generate()?;
        key_files::write_private(key, Zeroizing::new(pair.serialize_pem()).as_bytes())?;
    }
    let pair = read_key(key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, shortened(name));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(random_serial(entropy)?);
    params.not_before = now.minus(BACKDATE).to_offset_date_time();
    params.not_after = now.plus(AUTHORITY_LIFETIME).to_offset_date_time();
    let made = params.self_signed(&pair)?;
    key_files::write_public(certificate, made.pem().as_bytes())?;
    Ok(())
}

impl Authority {
    /// Loads an authority: one that [`create`] made, or one that the operator supplies.
    ///
    /// # Errors
    /// [`AuthorityError`] when a file cannot be read, the certificate is not a CA's, or the key is another's.
    pub fn load(certificate: &Path, key: &Path, crl_url: Option<&str>) -> Result<Self, AuthorityError> {
        let unusable = |reason| AuthorityError::Unusable { path: certificate.display().to_string(), reason };
        let (certificate_pem, der) = read_certificate(certificate)?;
        let pair = read_key(key)?;
        let parsed = certificate::parse(&der).map_err(|_| unusable("it is not an X.509 certificate"))?;
        if !parsed.is_ca() {
            return Err(unusable("it is not the certificate of an authority (CA:TRUE)"));
        }
        if let Ok(Some(usage)) = parsed.key_usage()
            && !(usage.value.key_cert_sign() && usage.value.crl_sign())
        {
            return Err(unusable("its key usage lacks keyCertSign or cRLSign"));
        }
        let facts = PeerCertificate::read(&der).map_err(|_| unusable("it is not an X.509 certificate"))?;
        certificate::public_key_kind(&facts.public_key)
            .map_err(|_| unusable("its key is weak or of an unknown kind"))?;
        if rcgen::PublicKeyData::subject_public_key_info(&pair) != facts.public_key {
            return Err(unusable("it does not belong to the private key"));
        }
        let issuer = Issuer::from_ca_cert_der(&der, pair)?;
        let key_identifier =
            certificate::subject_key_identifier(&parsed).map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified);
        let crl_url = crl_url.map(str::to_owned);
        Ok(Self { certificate: der, certificate_pem, facts, issuer, key_identifier, crl_url })
    }

    /// The authority's own certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The file with the authority's certificate and what the operator put behind it, as it is published.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What the authority's certificate says.
    #[must_use]
    pub const fn facts(&self) -> &PeerCertificate {
        &self.facts
    }

    /// Certifies the key of a signing request.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn certify(
        &self,
        key: &ProvenKey,
        profile: &Profile,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<IssuedCertificate, AuthorityError> {
        self.certify_key(&SubjectPublicKeyInfo::from_der(key.spki())?, profile, entropy, now)
    }

    /// Makes a key pair and certifies it: for the gateway's own server and client certificates. The private key is in PEM.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn certify_new_key(
        &self,
        profile: &Profile,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<(IssuedCertificate, Zeroizing<String>), AuthorityError> {
        let pair = KeyPair::generate()?;
        let private = Zeroizing::new(pair.serialize_pem());
        Ok((self.certify_key(&pair, profile, entropy, now)?, private))
    }

    fn certify_key(
        &self,
        key: &impl rcgen::PublicKeyData,
        profile: &Profile,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<IssuedCertificate, AuthorityError> {
        if !self.facts.holds_at(now) {
            return Err(AuthorityError::Expired);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(profile);
        params.subject_alt_names =
            profile.server_names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if profile.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if profile.server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.serial_number = Some(random_serial(entropy)?);
        params.not_before = now.minus(BACKDATE).max(self.facts.not_before).to_offset_date_time();
        let end = now.plus(profile.lifetime.min(MAX_LIFETIME)).min(self.facts.not_after);
        params.not_after = end.to_offset_date_time();
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points =
            self.crl_url.iter().map(|url| CrlDistributionPoint { uris: vec![url.clone()] }).collect();
        let made = params.signed_by(key, &self.issuer)?;
        let der = made.der().to_vec();
        let mut facts = PeerCertificate::read(&der).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        facts.vouched_by = Some(certificate::VouchedBy::Gateway);
        Ok(IssuedCertificate { pem: made.pem(), der, facts })
    }

    /// Signs a revocation list (RFC 5280 section 5) in DER.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[RevokedCertificate],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Vec<u8>, AuthorityError> {
        let revoked_certs = revoked
            .iter()
            .map(|entry| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&hex::decode(&entry.serial).unwrap_or_default()),
                revocation_time: entry.revoked_at.to_offset_date_time(),
                // RFC 5280 section 5.3.1: the code for "unspecified" should be left out.
                reason_code: (entry.reason != Reason::Unspecified).then(|| entry.reason.code()),
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: now.to_offset_date_time(),
            next_update: now.plus(lifetime).to_offset_date_time(),
            crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: self.key_identifier.clone(),
        };
        Ok(list.signed_by(&self.issuer)?.der().to_vec())
    }
}

/// Makes a certificate for the gateway itself with a new key, and writes both: the key first. What exists is not overwritten;
/// a key without its certificate, left by an earlier attempt that was cut off, is used.
///
/// # Errors
/// [`AuthorityError`].
pub fn write_own(
    authority: &Authority,
    profile: &Profile,
    certificate: &Path,
    private_key: &Path,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    if certificate.exists() {
        return Err(FileError::Exists(certificate.to_path_buf()).into());
    }
    if !private_key.exists() {
        let pair = KeyPair::generate()?;
        key_files::write_private(private_key, Zeroizing::new(pair.serialize_pem()).as_bytes())?;
    }
    let issued = authority.certify_key(&read_key(private_key)?, profile, entropy, now)?;
    key_files::write_public(certificate, issued.pem.as_bytes())?;
    Ok(())
}

/// Reads the authority's certificate: the file as it is published, and the first certificate in it.
///
/// # Errors
/// [`AuthorityError`].
pub fn read_certificate(path: &Path) -> Result<(String, CertificateDer<'static>), AuthorityError> {
    let unusable = |reason| AuthorityError::Unusable { path: path.display().to_string(), reason };
    let pem = key_files::read_public(path)?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| unusable("it is not a certificate in PEM"))?;
    let pem = String::from_utf8(pem).map_err(|_| unusable("it is not a certificate in PEM"))?;
    // Whoever keeps key and certificate in one file must not publish the key.
    if pem.contains("PRIVATE KEY") {
        return Err(unusable("it holds a private key: keep that in a file of its own"));
    }
    Ok((pem, der))
}

fn read_key(path: &Path) -> Result<KeyPair, AuthorityError> {
    let pem = key_files::read_private(path)?;
    let text = std::str::from_utf8(&pem).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(KeyPair::from_pem(text)?)
}

fn subject(profile: &Profile) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, shortened(&profile.organisation));
    name.push(DnType::CommonName, shortened(&profile.common_name));
    // OID 2.5.4.5, where Dutch government certificates carry the OIN (Digikoppeling security 3.0.1, PKI001).
    if let Ok(number) = PrintableString::try_from(profile.oin.as_str()) {
        name.push(DnType::from_oid(&[2, 5, 4, 5]), rcgen::DnValue::PrintableString(number));
    }
    name
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

/// Whether this can stand in a server certificate: a DNS name without wildcard, or an IP address.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    server_name(name).is_ok()
}

fn server_name(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || AuthorityError::ServerName(name.to_owned());
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(refused());
    }
    Ok(SanType::DnsName(Ia5String::try_from(name.to_ascii_lowercase()).map_err(|_| refused())?))
}

/// Sixteen random bytes, positive and of fixed length.
fn random_serial(entropy: &Entropy) -> Result<SerialNumber, NoEntropy> {
    let mut bytes: [u8; 16] = entropy.bytes()?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}
