//! Transport security: how the gateway's listeners meet the parties that connect.
//!
//! Invariants: TLS 1.3, or 1.2 with forward secrecy and AEAD when the configuration allows it (NCSC guidelines 2025); a client
//! certificate is asked for, and one whose chain does not hold ends the handshake; no session is ever resumed, because a
//! resumed session would skip the certificate check. A connection without a certificate gets through the handshake: public
//! routes need none, and all others refuse it with an answer that says so.

mod connections;
mod handshakes;
mod peer;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;

use handshakes::{Greeted, Verified};

pub use connections::{Connections, OpenConnection, UnderWay};
pub use handshakes::{Handshake, Witness};
pub use peer::{PeerCertificate, on_connect};

use crate::clock::{Clock, Timestamp};
use crate::organisations::credentials::{Anchors, key_files};

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] key_files::FileError),
    /// A file does not hold what it should.
    #[error("{path}: expected {expected}")]
    Content {
        /// The file.
        path: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The TLS library refuses the combination.
    #[error("the TLS configuration cannot be used: {0}")]
    Library(String),
}

/// The certificate chain and private key with which a server shows who it is.
#[derive(Debug)]
pub struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ServerIdentity {
    /// Reads a certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be read or holds something else.
    pub fn load(certificate: &Path, private_key: &Path) -> Result<Self, TlsError> {
        let content = |path: &Path, expected| TlsError::Content { path: path.display().to_string(), expected };
        let pem = key_files::read_public(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| content(certificate, "a certificate chain in PEM"))?;
        let pem = key_files::read_private(private_key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| content(private_key, "a private key in PEM"))?;
        Ok(Self { chain, key })
    }

    /// Until when the server's own certificate holds; none when it cannot be read.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.chain.first().and_then(|leaf| PeerCertificate::read(leaf).ok()).map(|leaf| leaf.not_after)
    }
}

/// Which clients a listener asks for a certificate.
#[derive(Debug, Clone)]
pub enum Clients<'a> {
    /// Ask for a certificate of one of these authorities, and tell of each handshake.
    Certified(&'a Anchors, Witness),
    /// Do not ask.
    Anyone,
}

/// The configuration of a listener.
///
/// # Errors
/// [`TlsError::Library`] when the certificate and key do not belong together, or an anchor cannot be used.
pub fn server_config(
    identity: ServerIdentity,
    clients: Clients<'_>,
    allow_tls12: bool,
    clock: &Clock,
) -> Result<ServerConfig, TlsError> {
    let library = |error: &dyn std::fmt::Display| TlsError::Library(error.to_string());
    let provider = Arc::new(provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if allow_tls12 { &[&rustls::version::TLS13, &rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(InjectedTime(clock.clone())))
        .with_protocol_versions(versions)
        .map_err(|error| library(&error))?;
    let mut witness = None;
    let builder = match clients {
        Clients::Anyone => builder.with_no_client_auth(),
        Clients::Certified(anchors, told) => {
            let mut roots = RootCertStore::empty();
            for root in anchors.roots() {
                roots.add(root).map_err(|error| library(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| library(&error))?;
            witness = Some(told.clone());
            builder.with_client_cert_verifier(Arc::new(Verified { verifier, witness: told }))
        }
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key).map_err(|error| library(&error))?;
    if let Some(witness) = witness {
        config.cert_resolver = Arc::new(Greeted { certificates: Arc::clone(&config.cert_resolver), witness });
    }
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// The cryptography of every connection: AWS-LC, with AEAD cipher suites and ephemeral keys only. rustls knows no others, but
/// the list is written out by property so that an upgrade cannot widen it.
#[must_use]
pub fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| {
        let name = format!("{:?}", suite.suite());
        name.starts_with("TLS13_") || (name.starts_with("TLS_ECDHE_") && !name.contains("_CBC_"))
    });
    provider
}

/// Lets the handshake read the gateway's clock.
#[derive(Debug)]
struct InjectedTime(Clock);

impl TimeProvider for InjectedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
