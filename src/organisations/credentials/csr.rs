//! Certificate signing requests (PKCS#10, RFC 2986): proof that the requester holds the private key, and nothing else.
//!
//! Invariant: the public key is the only thing that leaves this file. Subject, names, key usage, `CA:TRUE` and whatever else
//! a request asks for never reach the code that signs, so that they cannot be granted by mistake.

use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::FromDer;

use super::certificate::{self, CertificateError};

/// The largest request that is read, in bytes; one with an RSA key of 8192 bits takes about 3 KiB.
pub const MAX_REQUEST: usize = 32 * 1024;

/// Why a signing request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a PKCS#10 request in PEM.
    #[error("expected one PKCS#10 certificate signing request in PEM")]
    Malformed,
    /// The signature in the request was not made with the key in the request.
    #[error("the request is not signed with the private key that belongs to its public key, or with SHA-1")]
    NoProof,
    /// The key is weak or of an unsupported kind.
    #[error(transparent)]
    Key(#[from] CertificateError),
}

/// The public key of a request whose sender has proved to hold the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenKey {
    spki: Vec<u8>,
}

impl ProvenKey {
    /// Reads a request in PEM, checks its signature and its key, and drops the rest.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_pem(pem: &str) -> Result<Self, RequestError> {
        if pem.len() > MAX_REQUEST || pem.matches("-----BEGIN").count() != 1 {
            return Err(RequestError::Malformed);
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| RequestError::Malformed)?;
        Self::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
            return Err(RequestError::Malformed);
        };
        let spki = request.certification_request_info.subject_pki.raw.to_vec();
        certificate::public_key_kind(&spki)?;
        let algorithm = &request.signature_algorithm.algorithm;
        if *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == OID_SHA1_WITH_RSA {
            return Err(RequestError::NoProof);
        }
        request.verify_signature().map_err(|_| RequestError::NoProof)?;
        Ok(Self { spki })
    }

    /// The public key as a DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}
