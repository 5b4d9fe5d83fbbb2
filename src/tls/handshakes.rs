//! Handshakes as they are seen from inside: begun, completed, or ended because of the client's certificate.
//!
//! Invariant: everything is passed on to the verifier and the resolver that rustls made; nothing here decides. A client that speaks no TLS,
//! or no version that is allowed, is turned away by rustls before anything of this is asked.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// One thing that happens in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A client said hello, in a version that is allowed.
    Begun,
    /// The connection stands.
    Completed,
    /// The gateway ended it because of the client's certificate; one of [`Handshake::REFUSALS`].
    Refused(&'static str),
}

impl Handshake {
    /// Why a client's certificate ends the handshake.
    pub const REFUSALS: [&'static str; 6] =
        ["expired", "not-yet-valid", "unknown-authority", "wrong-purpose", "bad-signature", "unusable"];
}

/// Who is told of handshakes.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(Handshake) + Send + Sync>);

impl Witness {
    /// Tells this function.
    pub fn new(tell: impl Fn(Handshake) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|_| {})
    }

    pub(super) fn tell(&self, handshake: Handshake) {
        (self.0)(handshake);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// Tells the witness that a client said hello.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) certificates: Arc<dyn ResolvesServerCert>,
    pub(super) witness: Witness,
}

impl ResolvesServerCert for Greeted {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.witness.tell(Handshake::Begun);
        self.certificates.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.certificates.only_raw_public_keys()
    }
}

/// Tells the witness why a client's certificate was not accepted.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) witness: Witness,
}

impl Verified {
    fn told<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome {
            self.witness.tell(Handshake::Refused(kind(error)));
        }
        outcome
    }
}

impl ClientCertVerifier for Verified {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.told(self.verifier.verify_client_cert(end_entity, intermediates, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.told(self.verifier.verify_tls12_signature(message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.told(self.verifier.verify_tls13_signature(message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => "expired",
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "not-yet-valid"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "unknown-authority",
        Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        ) => "wrong-purpose",
        Error::InvalidCertificate(CertificateError::BadSignature) => "bad-signature",
        _ => "unusable",
    }
}
