//! Which certificate a sender believes to be its recipient's.
//!
//! The gateway hands out the key sets, so who believes them because the gateway says so has no secrets from it. A sender therefore brings
//! its own knowledge: the certificate itself, which it got from the recipient, or an authority that it trusts to certify organisations.
//! Invariant: an authority whose private key the gateway holds protects against everybody but the gateway; this file cannot know
//! which ones those are, and `docs/encryption.md` says so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::credentials::certificate::{PeerCertificate, thumbprint};
use crate::organisations::credentials::jose::VerifyingKey;

/// Why a certificate is not believed, or nothing can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// What is to be trusted cannot be read.
    #[error("expected certificates in PEM, or a thumbprint (SHA-256, base64url)")]
    Unreadable,
    /// The certificate is damaged, or its key is none that signs.
    #[error("the certificate of the key set cannot be read")]
    Certificate,
    /// Another certificate than the pinned one.
    #[error(
        "the key set is not signed with the recipient's certificate that you know: ask the recipient whether it has a new one, by another way than this gateway"
    )]
    NotPinned,
    /// No trusted authority vouches for it, or it has ended.
    #[error("no authority that you trust vouches for the certificate of the key set, or it has ended")]
    NotVouchedFor,
    /// It names another organisation.
    #[error("the certificate of the key set is not the recipient's: it names another OIN, or none")]
    OtherOrganisation,
    /// Not in its time.
    #[error("the certificate of the key set has ended or has not begun")]
    Ended,
}

/// What a sender knows of its recipient's certificate.
#[derive(Clone)]
pub struct Trust(Known);

#[derive(Clone)]
enum Known {
    Thumbprint(String),
    Authorities(Arc<dyn ClientCertVerifier>),
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Known::Thumbprint(_) => "Trust(pinned)",
            Known::Authorities(_) => "Trust(authorities)",
        })
    }
}

impl Trust {
    /// This certificate (PEM) and no other, got from the recipient.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`].
    pub fn pinned(certificate: &[u8]) -> Result<Self, TrustError> {
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| TrustError::Unreadable)?;
        Ok(Self(Known::Thumbprint(thumbprint(&der))))
    }

    /// The certificate with this thumbprint (SHA-256, base64url) and no other: short enough to be read out on the telephone.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`].
    pub fn thumbprint(text: &str) -> Result<Self, TrustError> {
        let is_digest = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        if is_digest { Ok(Self(Known::Thumbprint(text.to_owned()))) } else { Err(TrustError::Unreadable) }
    }

    /// Every certificate for clients that these authorities (PEM) vouch for, directly or through others, and that names the recipient's OIN. Revocation is not
    /// looked up here.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`].
    pub fn authorities(certificates: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificates) {
            let certificate = certificate.map_err(|_| TrustError::Unreadable)?;
            roots.add(certificate).map_err(|_| TrustError::Unreadable)?;
        }
        let provider = Arc::new(crate::tls::provider());
        // Without any root the builder refuses.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self(Known::Authorities(verifier.map_err(|_| TrustError::Unreadable)?)))
    }

    /// The key of a certificate (DER), if it is believed to be this organisation's now.
    pub(super) fn key_of(
        &self,
        (certificate, issuers): (&[u8], &[Vec<u8>]),
        owner: &Oin,
        now: Timestamp,
    ) -> Result<VerifyingKey, TrustError> {
        let facts = PeerCertificate::read(certificate).map_err(|_| TrustError::Certificate)?;
        match &self.0 {
            Known::Thumbprint(known) if *known == facts.thumbprint => {}
            Known::Thumbprint(_) => return Err(TrustError::NotPinned),
            Known::Authorities(verifier) => {
                let issuers: Vec<CertificateDer<'_>> =
                    issuers.iter().map(|issuer| CertificateDer::from(issuer.as_slice())).collect();
                let seconds = u64::try_from(now.as_seconds()).map_err(|_| TrustError::NotVouchedFor)?;
                let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
                verifier
                    .verify_client_cert(&CertificateDer::from(certificate), &issuers, now)
                    .map_err(|_| TrustError::NotVouchedFor)?;
            }
        }
        if facts.oin.as_ref() != Some(owner) {
            return Err(TrustError::OtherOrganisation);
        }
        if !facts.holds_at(now) {
            return Err(TrustError::Ended);
        }
        VerifyingKey::from_spki(&facts.public_key).map_err(|_| TrustError::Certificate)
    }
}
