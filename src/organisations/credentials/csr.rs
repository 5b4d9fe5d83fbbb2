//! Certificate signing requests (PKCS#10, RFC 2986): proof that the requester holds the private key, and little else.
//!
//! Invariant: subject, key usage, `CA:TRUE` and whatever else a request asks for never reach the code that signs, so that they
//! cannot be granted by mistake. The public key leaves this file, and the names of servers as a wish, which is granted
//! only by who may grant it.

use std::net::IpAddr;

use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension};

use super::certificate::{self, CertificateError};

/// The largest request that is read, in bytes; one with an RSA key of 8192 bits takes about 3 KiB.
pub const MAX_REQUEST: usize = 32 * 1024;

/// The most names that are read from a request.
const MAX_NAMES: usize = 20;

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
    wished_names: Vec<String>,
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
        Ok(Self { spki, wished_names: wished_names(&request) })
    }

    /// The DNS names and IP addresses that the request would like to have; not checked, and not granted by reading them.
    #[must_use]
    pub fn wished_names(&self) -> &[String] {
        &self.wished_names
    }

    /// The same key, with the wishes dropped.
    #[must_use]
    pub fn without_names(&self) -> Self {
        Self { spki: self.spki.clone(), wished_names: Vec::new() }
    }

    /// The public key as a DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

fn wished_names(request: &X509CertificationRequest<'_>) -> Vec<String> {
    let names = request.requested_extensions().into_iter().flatten().filter_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.flatten().filter_map(text).take(MAX_NAMES).collect()
}
