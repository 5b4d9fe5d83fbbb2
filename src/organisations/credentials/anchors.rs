//! Who may vouch for a client certificate: the gateway's own authority, and external ones such as those of Dutch government certificates.
//!
//! An external anchor is configured with the certificates of the authorities that sign the organisations' certificates
//! directly, with their revocation lists, and with the OINs it may vouch for. Invariant: revocation that cannot be known
//! (no list for the issuer, a list that is not signed by it, one past its `nextUpdate`) counts as revoked: it fails closed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::{CertificateRevocationList, FromDer, ParsedExtension};

use super::certificate::{self, PeerCertificate, VouchedBy, serial_text};
use super::key_files::{self, FileError};
use crate::clock::Timestamp;
use crate::config::AnchorSettings;
use crate::ids::Oin;

/// How often the files with revocation lists are read again.
const RELOAD_AFTER: Duration = Duration::from_mins(1);

/// Why an anchor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate in the file is not that of an authority, or is weak.
    #[error("{path} is not usable as trust anchor: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What an anchor's revocation lists say about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is on no list, and the list of its issuer is current.
    Good,
    /// It is on a list.
    Revoked,
    /// There is no current list of its issuer.
    Unknown,
}

/// The authorities that may vouch for organisations.
#[derive(Debug)]
pub struct Anchors {
    gateway: Issuing,
    external: Vec<Anchor>,
}

#[derive(Debug)]
struct Anchor {
    name: String,
    issuing: Vec<Issuing>,
    oins: HashSet<Oin>,
    crl: PathBuf,
    lists: RwLock<Lists>,
}

/// An authority's certificate.
#[derive(Debug, Clone)]
struct Issuing {
    der: CertificateDer<'static>,
    subject: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Lists {
    read_at: Option<Timestamp>,
    lists: Arc<Vec<List>>,
}

#[derive(Debug)]
struct List {
    issuer: Vec<u8>,
    next_update: Timestamp,
    serials: HashSet<String>,
}

impl Anchors {
    /// Loads the external anchors and puts them beside the gateway's own authority.
    ///
    /// # Errors
    /// [`AnchorError`] when a certificate cannot be used. A revocation list that cannot be read is no error: it fails closed
    /// on every request until it can.
    pub fn load(
        gateway: CertificateDer<'static>,
        settings: &[AnchorSettings],
        now: Timestamp,
    ) -> Result<Self, AnchorError> {
        let unusable = |reason| AnchorError::Unusable { path: PathBuf::from("the gateway's authority"), reason };
        let gateway = Issuing::read(gateway).map_err(unusable)?;
        let external = settings.iter().map(Anchor::load).collect::<Result<Vec<_>, _>>()?;
        for anchor in &external {
            anchor.current(now);
        }
        Ok(Self { gateway, external })
    }

    /// The certificates that the handshake checks client certificates against.
    pub fn roots(&self) -> impl Iterator<Item = CertificateDer<'static>> + '_ {
        let external = self.external.iter().flat_map(|anchor| &anchor.issuing);
        std::iter::once(&self.gateway).chain(external).map(|issuing| issuing.der.clone())
    }

    /// Reads the certificate of a connection and finds out which authority signed it.
    ///
    /// # Errors
    /// When it is not a certificate.
    pub fn identify(&self, der: &[u8]) -> Result<PeerCertificate, certificate::CertificateError> {
        let mut peer = PeerCertificate::read(der)?;
        peer.vouched_by = if self.gateway.signed(der, &peer) {
            Some(VouchedBy::Gateway)
        } else {
            let signer = |anchor: &&Anchor| anchor.issuing.iter().any(|issuing| issuing.signed(der, &peer));
            self.external.iter().find(signer).map(|anchor| VouchedBy::Anchor(anchor.name.clone()))
        };
        Ok(peer)
    }

    /// Until when the gateway's own authority holds.
    #[must_use]
    pub fn gateway_ends(&self) -> Option<Timestamp> {
        PeerCertificate::read(&self.gateway.der).ok().map(|authority| authority.not_after)
    }

    /// Until when each external anchor's revocation lists hold: the first of them that ends; none without any.
    pub fn revocation_lists_end(&self, now: Timestamp) -> impl Iterator<Item = (&str, Option<Timestamp>)> {
        self.external
            .iter()
            .map(move |anchor| (anchor.name.as_str(), anchor.current(now).iter().map(|list| list.next_update).min()))
    }

    /// Whether the anchor of this name may vouch for this organisation.
    #[must_use]
    pub fn may_vouch_for(&self, anchor: &str, oin: &Oin) -> bool {
        self.external.iter().any(|known| known.name == anchor && known.oins.contains(oin))
    }

    /// What the anchor's current lists say about a certificate that it signed.
    #[must_use]
    pub fn revocation(&self, anchor: &str, peer: &PeerCertificate, now: Timestamp) -> Revocation {
        let Some(anchor) = self.external.iter().find(|known| known.name == anchor) else {
            return Revocation::Unknown;
        };
        let lists = anchor.current(now);
        let mut outcome = Revocation::Unknown;
        for list in lists.iter().filter(|list| list.issuer == peer.issuer) {
            if list.serials.contains(&peer.serial) {
                return Revocation::Revoked;
            }
            if now <= list.next_update {
                outcome = Revocation::Good;
            }
        }
        outcome
    }
}

impl Issuing {
    fn read(der: CertificateDer<'static>) -> Result<Self, &'static str> {
        let parsed = certificate::parse(&der).map_err(|_| "it holds something that is not a certificate")?;
        if !parsed.is_ca() {
            return Err("it holds a certificate that is not an authority's (CA:TRUE)");
        }
        certificate::public_key_kind(parsed.public_key().raw)
            .map_err(|_| "the key of an authority is weak or unknown")?;
        let subject = parsed.subject().as_raw().to_vec();
        Ok(Self { der, subject })
    }

    fn signed(&self, der: &[u8], peer: &PeerCertificate) -> bool {
        if peer.issuer != self.subject {
            return false;
        }
        let (Ok(authority), Ok(leaf)) = (certificate::parse(&self.der), certificate::parse(der)) else {
            return false;
        };
        !is_sha1(&leaf.signature_algorithm.algorithm) && leaf.verify_signature(Some(authority.public_key())).is_ok()
    }
}

fn is_sha1(algorithm: &x509_parser::der_parser::oid::Oid<'_>) -> bool {
    *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == OID_SHA1_WITH_RSA
}

impl Anchor {
    fn load(settings: &AnchorSettings) -> Result<Self, AnchorError> {
        let unusable = |reason| AnchorError::Unusable { path: settings.certificate.clone(), reason };
        let pem = key_files::read_public(&settings.certificate)?;
        let certificates = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| unusable("it is not a list of certificates in PEM"))?;
        if certificates.is_empty() {
            return Err(unusable("it holds no certificate"));
        }
        let issuing = certificates.into_iter().map(Issuing::read).collect::<Result<Vec<_>, _>>().map_err(unusable)?;
        Ok(Self {
            name: settings.name.clone(),
            issuing,
            oins: settings.oins.iter().cloned().collect(),
            crl: settings.crl.clone(),
            lists: RwLock::default(),
        })
    }

    /// The lists, read again when the last reading is a while ago. A file that cannot be read leaves the earlier lists, which
    /// then run past their `nextUpdate` by themselves.
    fn current(&self, now: Timestamp) -> Arc<Vec<List>> {
        let known = self.lists.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.read_at.is_some_and(|read_at| now < read_at.plus(RELOAD_AFTER)) {
            return known.lists;
        }
        let lists = match key_files::read_public(&self.crl) {
            Ok(bytes) => Arc::new(self.read_lists(&bytes)),
            Err(error) => {
                tracing::error!(anchor = self.name, %error, "revocation list cannot be read");
                known.lists
            }
        };
        let current = Lists { read_at: Some(now), lists: Arc::clone(&lists) };
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = current;
        lists
    }

    /// Every list in the file (PEM or DER) that one of the anchor's authorities signed; others are left out and logged.
    fn read_lists(&self, bytes: &[u8]) -> Vec<List> {
        let ders: Vec<Vec<u8>> = if bytes.starts_with(b"-----") {
            CertificateRevocationListDer::pem_slice_iter(bytes).filter_map(Result::ok).map(|der| der.to_vec()).collect()
        } else {
            vec![bytes.to_vec()]
        };
        let read: Vec<List> = ders.iter().filter_map(|der| self.read_list(der)).collect();
        if read.len() != ders.len() || read.is_empty() {
            tracing::error!(
                anchor = self.name,
                "a revocation list is malformed or not signed by the anchor; it is ignored"
            );
        }
        read
    }

    fn read_list(&self, der: &[u8]) -> Option<List> {
        let ([], list) = CertificateRevocationList::from_der(der).ok()? else { return None };
        let issuer = list.issuer().as_raw();
        let signed = self.issuing.iter().filter(|issuing| issuing.subject == issuer).any(|issuing| {
            certificate::parse(&issuing.der)
                .is_ok_and(|authority| list.verify_signature(authority.public_key()).is_ok())
        });
        // A list for a part of the certificates, or of changes since another list, does not say that the rest is good.
        let partial = list.extensions().iter().any(|extension| {
            extension.critical || matches!(extension.parsed_extension(), ParsedExtension::IssuingDistributionPoint(_))
        });
        if !signed || partial || is_sha1(&list.signature_algorithm.algorithm) {
            return None;
        }
        Some(List {
            issuer: issuer.to_vec(),
            next_update: list.next_update()?.to_datetime().into(),
            serials: list.iter_revoked_certificates().map(|entry| serial_text(entry.raw_serial())).collect(),
        })
    }
}
