//! The only way out: HTTPS requests to webhook addresses, guarded against being led to places inside.
//!
//! Invariants: no connection is opened to an address that [`address::check`] has not approved after the name was resolved; no
//! redirect is followed; no proxy of the environment is used; an answer's body is thrown away. Nothing else in the crate
//! makes outgoing requests for a partner.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::address::{self, AddressRefusal, Network};
use crate::config::RelaySettings;

/// The whole exchange, from the look-up of the name to the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the look-up of a name may take when a subscription is made.
const INSPECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// What is read of an answer's body, so that the connection can be used again.
const BODY_LIMIT: usize = 4 * 1024;
/// How long that may take.
const BODY_TIMEOUT: Duration = Duration::from_millis(500);
/// Addresses longer than this are refused.
const LONGEST_SINK: usize = 1_000;

/// What the way out is made of.
#[derive(Default)]
pub struct EgressSettings {
    /// Networks that are open although they are not public; the demonstration opens loopback.
    pub allowed: Vec<Network>,
    /// Certification authorities (PEM, one or more in each) beside those of the system.
    pub trusted_ca: Vec<Vec<u8>>,
    /// The gateway's own client certificate chain and private key (PEM, one after the other).
    pub identity: Option<Zeroizing<Vec<u8>>>,
}

/// A webhook address that may be tried: https, no user information, no refused address literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink(Url);

impl Sink {
    /// The address as it is shown and stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why an address cannot be a webhook's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SinkRefusal {
    /// No absolute URL, or too long.
    #[error("expected an absolute https URL of at most 1000 characters")]
    Malformed,
    /// Another scheme.
    #[error("expected an https URL")]
    NotHttps,
    /// A user name or password in the URL.
    #[error("expected a URL without user name and password: deliveries carry a signature instead")]
    UserInformation,
    /// A fragment, which is never sent.
    #[error("expected a URL without a fragment")]
    Fragment,
    /// The host is, or resolves to, an address that the gateway does not connect to.
    #[error("the gateway does not connect to this host: {0}")]
    Address(#[from] AddressRefusal),
    /// The gateway has no certificate of its own to show.
    #[error("this gateway has no client certificate; leave mutualTls out")]
    NoClientCertificate,
}

impl SinkRefusal {
    /// The code in `invalidParams`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed-url",
            Self::NotHttps => "https-required",
            Self::UserInformation => "user-information-in-url",
            Self::Fragment => "fragment-in-url",
            Self::Address(_) => "refused-address",
            Self::NoClientCertificate => "client-certificate-unavailable",
        }
    }
}

/// Why an exchange brought no answer; a closed list, kept with the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The guard refused the address.
    TargetRefused,
    /// The name has no address.
    NameNotResolved,
    /// Ten seconds were over.
    Timeout,
    /// The server's certificate is not trusted, or the handshake failed.
    TlsFailed,
    /// Nobody listens, or the connection broke.
    ConnectionFailed,
    /// A client certificate is asked for and the gateway has none.
    NoClientCertificate,
}

impl Failure {
    /// The code as a subscriber sees it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TargetRefused => "refused-address",
            Self::NameNotResolved => "name-not-found",
            Self::Timeout => "timed-out",
            Self::TlsFailed => "tls-failed",
            Self::ConnectionFailed => "connection-failed",
            // what a server that insists on a certificate would make of it
            Self::NoClientCertificate => "tls-failed",
        }
    }
}

/// What is asked of a webhook.
#[derive(Debug)]
pub enum Question {
    /// A delivery: the body.
    Post(Vec<u8>),
    /// The handshake.
    Options,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    headers: HeaderMap,
}

impl Reply {
    /// A header that occurs and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// The way out; copies share connections.
#[derive(Clone)]
pub struct Egress {
    anonymous: reqwest::Client,
    identified: Option<reqwest::Client>,
    guard: Guard,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the way out cannot be set up: {0}; check relay.trusted_ca, relay.client_certificate and relay.client_private_key"
)]
pub struct EgressError(&'static str);

impl Egress {
    /// A way out as configured; reads the files that the configuration names.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub fn from_config(relay: &RelaySettings) -> Result<Self, EgressError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|_| EgressError("a configured file cannot be read"));
        let trusted_ca = relay.trusted_ca.iter().map(read).collect::<Result<_, _>>()?;
        let identity = match (&relay.client_certificate, &relay.client_private_key) {
            (Some(certificate), Some(key)) => {
                let mut pem = Zeroizing::new(read(key)?);
                pem.push(b'\n');
                pem.extend(read(certificate)?);
                Some(pem)
            }
            _ => None,
        };
        let loopback = ["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse().ok());
        let allowed = if relay.allow_loopback { loopback.collect() } else { Vec::new() };
        Self::new(EgressSettings { allowed, trusted_ca, identity })
    }

    /// A way out that looks names up as the machine does.
    ///
    /// # Errors
    /// When a certificate or the key cannot be read.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        Self::with_names(settings, Arc::new(|host| Box::pin(system_lookup(host))))
    }

    fn with_names(settings: EgressSettings, names: Names) -> Result<Self, EgressError> {
        let guard = Guard { allowed: settings.allowed.into(), names };
        let mut roots = Vec::new();
        for pem in &settings.trusted_ca {
            let bundle = reqwest::Certificate::from_pem_bundle(pem);
            roots.extend(bundle.map_err(|_| EgressError("a trusted certification authority is not readable PEM"))?);
        }
        let identified = match &settings.identity {
            None => None,
            Some(pem) => {
                let identity = reqwest::Identity::from_pem(pem);
                let identity = identity.map_err(|_| EgressError("the client certificate is not readable PEM"))?;
                Some(client(&guard, &roots, Some(&identity))?)
            }
        };
        Ok(Self { anonymous: client(&guard, &roots, None)?, identified, guard })
    }

    /// Whether the gateway has a client certificate to show.
    #[must_use]
    pub const fn has_identity(&self) -> bool {
        self.identified.is_some()
    }

    /// Reads a webhook address and refuses what is wrong with it as it stands; no name is looked up.
    ///
    /// # Errors
    /// The [`SinkRefusal`].
    pub fn parse(&self, text: &str) -> Result<Sink, SinkRefusal> {
        if text.len() > LONGEST_SINK || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(SinkRefusal::Malformed);
        }
        let url = Url::parse(text).map_err(|_| SinkRefusal::Malformed)?;
        if url.scheme() != "https" {
            return Err(SinkRefusal::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SinkRefusal::UserInformation);
        }
        if url.fragment().is_some() {
            return Err(SinkRefusal::Fragment);
        }
        match url.host() {
            None => return Err(SinkRefusal::Malformed),
            Some(Host::Ipv4(literal)) => address::check(IpAddr::V4(literal), &self.guard.allowed)?,
            Some(Host::Ipv6(literal)) => address::check(IpAddr::V6(literal), &self.guard.allowed)?,
            Some(Host::Domain(_)) => {}
        }
        Ok(Sink(url))
    }

    /// As [`Egress::parse`], and looks the name up once. A name that cannot be resolved now is let through: every later
    /// connection is guarded again, and the handshake will fail for as long as the name is unknown.
    ///
    /// # Errors
    /// The [`SinkRefusal`].
    pub async fn inspect(&self, text: &str, identified: bool) -> Result<Sink, SinkRefusal> {
        let sink = self.parse(text)?;
        if identified && !self.has_identity() {
            return Err(SinkRefusal::NoClientCertificate);
        }
        let Some(Host::Domain(name)) = sink.0.host() else { return Ok(sink) };
        let lookup = tokio::time::timeout(INSPECTION_TIMEOUT, self.guard.approved(name.to_owned())).await;
        match lookup {
            Ok(Err(Refused::Address(refusal))) => Err(refusal.into()),
            _ => Ok(sink),
        }
    }

    /// One exchange with a webhook, ten seconds at most.
    ///
    /// # Errors
    /// The [`Failure`] when there is no answer.
    pub async fn ask(
        &self,
        sink: &Sink,
        question: Question,
        headers: &[(&'static str, String)],
        identified: bool,
    ) -> Result<Reply, Failure> {
        let client = match (identified, &self.identified) {
            (false, _) => &self.anonymous,
            (true, Some(client)) => client,
            (true, None) => return Err(Failure::NoClientCertificate),
        };
        // The client does not ask its resolver about address literals, and configuration may have changed since creation.
        self.parse(sink.as_str()).map_err(|_| Failure::TargetRefused)?;
        let request = match question {
            Question::Post(body) => client.post(sink.0.clone()).body(body),
            Question::Options => client.request(reqwest::Method::OPTIONS, sink.0.clone()),
        };
        let exchange = request.headers(header_map(headers)).send();
        let mut response = match tokio::time::timeout(TIMEOUT, exchange).await {
            Err(_) => return Err(Failure::Timeout),
            Ok(Err(error)) => return Err(classify(&error)),
            Ok(Ok(response)) => response,
        };
        let reply = Reply { status: response.status().as_u16(), headers: response.headers().clone() };
        // Whatever comes of it, the answer's head has decided already.
        let _ = tokio::time::timeout(BODY_TIMEOUT, discard(&mut response)).await;
        Ok(reply)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("has_identity", &self.has_identity()).finish_non_exhaustive()
    }
}

fn client(
    guard: &Guard,
    roots: &[reqwest::Certificate],
    identity: Option<&reqwest::Identity>,
) -> Result<reqwest::Client, EgressError> {
    let build = |only: bool| {
        let builder = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .user_agent(concat!("sluis/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(guard.clone());
        let builder = match identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        };
        if only { builder.tls_certs_only(roots.to_vec()) } else { builder.tls_certs_merge(roots.to_vec()) }.build()
    };
    // A machine without any certification authorities of its own trusts the configured ones only, which may be none.
    build(false)
        .or_else(|_| {
            tracing::warn!("the system has no certification authorities; webhooks trust relay.trusted_ca only");
            build(true)
        })
        .map_err(|_| EgressError("the client certificate and key do not belong together, or cannot be used"))
}

fn header_map(headers: &[(&'static str, String)]) -> HeaderMap {
    // A value that is no header value (a stored trace context, say) is left out; it is never what a delivery hangs on.
    headers
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
        .collect()
}

async fn discard(response: &mut reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > BODY_LIMIT {
            break;
        }
    }
}

fn classify(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut tls = false;
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return match refused {
                Refused::Address(_) => Failure::TargetRefused,
                Refused::NotResolved => Failure::NameNotResolved,
            };
        }
        tls |= is_tls(inner);
        cause = inner.source();
    }
    if error.is_timeout() {
        Failure::Timeout
    } else if tls {
        Failure::TlsFailed
    } else {
        Failure::ConnectionFailed
    }
}

/// TLS errors arrive bare, or packed in I/O errors, whose `source` skips what they hold.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let packed = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || packed.is_some_and(|inner| is_tls(inner))
}

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
type Names = Arc<dyn Fn(String) -> Looking + Send + Sync>;

async fn system_lookup(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

/// Resolves names for the HTTP client, and gives it approved addresses only.
#[derive(Clone)]
struct Guard {
    allowed: Arc<[Network]>,
    names: Names,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("refused: {0}")]
    Address(AddressRefusal),
    #[error("the name has no address")]
    NotResolved,
}

impl Guard {
    /// All addresses of a name. One that is refused spoils the name: whoever mixes them in is not to be trusted with the rest.
    async fn approved(&self, host: String) -> Result<Vec<IpAddr>, Refused> {
        let addresses = (self.names)(host).await.map_err(|_| Refused::NotResolved)?;
        if addresses.is_empty() {
            return Err(Refused::NotResolved);
        }
        for address in &addresses {
            address::check(*address, &self.allowed).map_err(Refused::Address)?;
        }
        Ok(addresses)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.approved(name.as_str().to_owned()).await?;
            // Port 0: the client puts in the one of the URL.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
