//! The configuration: one small struct per concern, documented defaults, every mistake reported at once.
//!
//! A TOML file, in which `SLUIS_SECTION__KEY` from the environment overrides `key` of `[section]`. `sluis.example.toml` shows every
//! key with its default. Invariants: unknown keys are errors; secrets come from files or the environment and are never
//! printed.

mod keys;
mod limits;
mod load;
mod secrets;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use keys::Mistake;
pub use limits::{LimitSettings, Rate};
pub use load::{ConfigError, check, load};
pub use secrets::{KeySettings, Secrets, create_key_file, unreadable};

use crate::ids::Oin;
use crate::storage::StorageSettings;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who this gateway is.
    pub gateway: GatewaySettings,
    /// The API's listener.
    pub api: ApiSettings,
    /// What one caller, and all of them together, may ask of this process.
    pub limits: LimitSettings,
    /// The listener for the operator.
    pub operations: OperationsSettings,
    /// The database.
    pub storage: StorageSettings,
    /// The database of key shares, which is another one.
    pub key_store: StorageSettings,
    /// Where the keys are.
    pub keys: KeySettings,
    /// The gateway's own certification authority and the foreign ones it trusts.
    pub pki: PkiSettings,
    /// Access tokens.
    pub oauth: OauthSettings,
    /// Covenant and policies.
    pub policies: PolicySettings,
    /// Webhooks.
    pub relay: RelaySettings,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// `[gateway]`
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// The gateway's own OIN; stands in the `source` of its events.
    pub oin: Oin,
    /// The address under which partners reach the API, without a path; also the issuer of its tokens.
    pub public_url: Url,
}

/// `[api]`
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The server certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM, PKCS#8).
    pub private_key: PathBuf,
    /// Whether TLS 1.2 with forward secrecy is allowed beside TLS 1.3.
    pub allow_tls12: bool,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Threads that serve requests; 0 means one per processor.
    pub workers: usize,
    /// How long after SIGTERM new connections are still taken, so that a load balancer sees in time that this gateway leaves.
    pub drain_delay: Duration,
    /// How long requests under way may take to end after that.
    pub shutdown: Duration,
}

/// `[operations]`
#[derive(Debug, Clone, Copy)]
pub struct OperationsSettings {
    /// Address and port for health, readiness and metrics, in plain HTTP and without authentication; none where it is off.
    pub listen: Option<SocketAddr>,
}

/// `[pki]`
#[derive(Debug, Clone)]
pub struct PkiSettings {
    /// The certification authority's certificate (PEM).
    pub ca_certificate: PathBuf,
    /// Its private key (PEM, PKCS#8, mode 0600); absent where certificates are issued elsewhere.
    pub ca_private_key: Option<PathBuf>,
    /// Longest validity of a certificate that it issues; at most 366 days.
    pub certificate_days: u32,
    /// Validity of a revocation list.
    pub crl_hours: u32,
    /// Foreign certification authorities, such as `PKIoverheid`'s.
    pub anchors: Vec<AnchorSettings>,
}

/// `[[pki.anchors]]`
#[derive(Debug, Clone)]
pub struct AnchorSettings {
    /// A name for messages.
    pub name: String,
    /// Its certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its current revocation list (DER or PEM), kept fresh by the operator.
    pub crl: PathBuf,
    /// For which organisations it may vouch.
    pub oins: Vec<Oin>,
}

/// Which `aud` a client assertion must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The token endpoint or the issuer.
    Both,
    /// The token endpoint's address (OAuth NL GOV 1.1.0 section 2.3.3).
    TokenEndpoint,
    /// The issuer (FAPI 2.0 Security Profile section 5.3.2.1).
    Issuer,
}

/// `[oauth]`
#[derive(Debug, Clone)]
pub struct OauthSettings {
    /// How long an access token is valid.
    pub token_lifetime: Duration,
    /// Which `aud` a client assertion must carry.
    pub assertion_audience: AssertionAudience,
    /// After how long a signing key is replaced.
    pub signing_key_lifetime: Duration,
}

/// `[policies]`
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// The folder with `covenant.toml`, the schema and the policies.
    pub folder: PathBuf,
}

/// `[relay]`
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Whether webhooks may go to loopback addresses; for demonstrations on one machine only.
    pub allow_loopback: bool,
    /// Certification authorities (PEM) that webhook servers may have their certificate from, beside the system's.
    pub trusted_ca: Vec<PathBuf>,
    /// The certificate (PEM) that the gateway shows to webhook servers that ask for one.
    pub client_certificate: Option<PathBuf>,
    /// Its private key.
    pub client_private_key: Option<PathBuf>,
    /// How long a delivery is tried before it becomes a dead letter.
    pub give_up_after: Duration,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// JSON lines instead of text for people.
    pub json: bool,
    /// Which events, as `tracing` filter directives.
    pub filter: String,
}
