//! How organisations prove who they are: certificates, access tokens, and the keys behind both.
//!
//! Two questions are kept apart. *Who is this?* is answered by the client certificate of the connection, for which the
//! gateway's own authority ([`ca`]) or an external one ([`anchors`]) vouches. *What may it do?* is answered by an access token
//! ([`tokens`]) that is bound to that certificate. Invariant: both answers are checked against the database on every request
//! ([`authenticate`]), so that a suspension or revocation works at the next request, also on a connection that is open.

pub mod anchors;
pub mod assertions;
mod authenticate;
pub mod ca;
pub mod certificate;
mod covenant_signature;
pub mod csr;
pub mod jose;
pub mod key_files;
pub mod keys;
mod log_signer;
pub mod oauth;
pub mod oauth_http;
mod revocation_list;
mod signed_keys;
mod store;
#[cfg(test)]
mod tests;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

pub use anchors::Anchors;
pub use authenticate::{CertifiedClient, challenge};
pub use ca::Authority;
pub use certificate::{PeerCertificate, VouchedBy};
pub use keys::{KeyKeeper, KeyRing, Purpose};
pub use log_signer::LogSigner;
pub use tokens::Tokens;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::ids::Entropy;
use crate::problem::Problem;
use crate::storage::seal::Sealer;
use crate::storage::{Db, Tx};
use assertions::Audience;

/// Why the credentials of a gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The gateway's authority.
    #[error(transparent)]
    Authority(#[from] ca::AuthorityError),
    /// An external anchor.
    #[error(transparent)]
    Anchor(#[from] anchors::AnchorError),
    /// The signing keys in the database.
    #[error("the signing keys cannot be opened: {0}")]
    Keys(#[from] Problem),
}

/// Everything with which a gateway recognises its callers and signs what it says.
pub struct Credentials {
    /// The gateway's own authority; absent where its private key is kept elsewhere.
    pub authority: Option<Authority>,
    /// Who may vouch for a client certificate.
    pub anchors: Arc<Anchors>,
    /// The gateway's signing keys.
    pub keys: KeyKeeper,
    /// Access tokens.
    pub tokens: Tokens,
    ca_pem: String,
    db: Db,
    entropy: Entropy,
    issuer: String,
    host: String,
    audience: Audience,
    certificate_lifetime: Duration,
    crl_lifetime: Duration,
}

impl Credentials {
    /// Loads the authority and the anchors, and opens the signing keys in the database (the first start makes them).
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn open(
        config: &Config,
        db: Db,
        sealer: Sealer,
        entropy: Entropy,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        let issuer = config.gateway.public_url.as_str().trim_end_matches('/').to_owned();
        let crl_url = format!("{issuer}/pki/crl");
        let certificate = &config.pki.ca_certificate;
        let authority = match &config.pki.ca_private_key {
            Some(key) => Some(Authority::load(certificate, key, Some(&crl_url))?),
            None => None,
        };
        let (ca_pem, root) = ca::read_certificate(certificate)?;
        let anchors = Arc::new(Anchors::load(root, &config.pki.anchors, now)?);
        let oauth = &config.oauth;
        let keys = KeyKeeper::open(db.clone(), sealer, oauth.token_lifetime, oauth.signing_key_lifetime, now).await?;
        Ok(Self {
            authority,
            anchors,
            keys,
            tokens: Tokens::new(issuer.clone(), oauth.token_lifetime),
            ca_pem,
            db,
            entropy,
            audience: Audience::new(oauth.assertion_audience, &issuer, &format!("{issuer}/oauth/token")),
            host: config.gateway.public_url.host_str().unwrap_or_default().to_owned(),
            issuer,
            certificate_lifetime: Duration::from_hours(24 * u64::from(config.pki.certificate_days)),
            crl_lifetime: Duration::from_hours(u64::from(config.pki.crl_hours)),
        })
    }

    /// Forgets used assertions and revoked tokens that have ended, in small transactions.
    ///
    /// # Errors
    /// When the database fails; what is left then is forgotten the next time.
    pub async fn throw_away(&self, now: Timestamp) -> Result<(), Problem> {
        let step = async move |tx: &mut Tx| Ok(store::throw_away(tx, now).await?);
        while self.db.write("throw-away-credentials", step).await? {}
        Ok(())
    }

    /// The issuer of tokens: the gateway's public address without a slash at its end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The host in the gateway's public address: a name that nobody else gets a certificate for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The authority's certificates as they are published.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// How long an issued certificate holds.
    #[must_use]
    pub const fn certificate_lifetime(&self) -> Duration {
        self.certificate_lifetime
    }

    /// The source of randomness for serial numbers.
    #[must_use]
    pub const fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}
