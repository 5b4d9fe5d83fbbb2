//! All that a running gateway depends on, built once and shared; and the running gateway itself.
//!
//! Invariant: nothing reads the time or random bytes except through [`App`].

use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App as ActixApp, HttpServer};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit;
use crate::background;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Secrets};
use crate::covenant::{self, Covenants};
use crate::http::contract::Contract;
use crate::http::{Limits, dispatch, idempotency};
use crate::ids::{Entropy, NoEntropy};
use crate::monitoring::http::{Listener, Operations};
use crate::monitoring::{Metrics, Vitals};
use crate::organisations::credentials::certificate::PeerCertificate;
use crate::organisations::credentials::{Credentials, LogSigner, ca};
use crate::problem::Problem;
use crate::referrals::Known;
use crate::relay::{self, Egress, EgressError};
use crate::storage::seal::Sealer;
use crate::storage::{Db, KeyStore, Meters, Tx};
use crate::subjects::Pseudonyms;
use crate::tls::{self, Connections};

/// The gateway's parts; copies share them.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What [`App`] holds.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The database.
    pub db: Db,
    /// What the keys of sections are made of, beside the data keys.
    pub keys: KeyStore,
    /// Seals what is stored.
    pub sealer: Sealer,
    /// Makes pseudonyms.
    pub pseudonyms: Pseudonyms,
    /// The contract.
    pub contract: Contract,
    /// The covenant in force.
    pub covenants: Covenants,
    /// Recognises callers, and signs.
    pub credentials: Credentials,
    /// What decisions rest on, kept between requests.
    pub known: Known,
    /// The guarded way out to webhooks.
    pub egress: Egress,
    /// Wakes those who wait for new events.
    pub signals: Signals,
    /// What is taken on at once, and from whom.
    pub limits: Limits,
    /// The API's open connections.
    pub connections: Connections,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Signs of life of the background work.
    pub vitals: Arc<Vitals>,
    /// When this gateway was put together.
    pub started: Timestamp,
}

/// How long sequencing goes on while something is left to do. What is left then is found the next time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    NoneAreLeft,
    /// Or until the gateway stops.
    Stopping,
    /// Or until this moment.
    Moment(Instant),
}

impl Until {
    fn has_come(self, app: &App) -> bool {
        match self {
            Self::NoneAreLeft => false,
            Self::Stopping => app.signals.is_stopping(),
            Self::Moment(moment) => Instant::now() >= moment,
        }
    }
}

/// Wake-ups inside this process; other gateways on the same database are noticed by timers.
pub struct Signals {
    events: watch::Sender<u64>,
    stopping: Arc<AtomicBool>,
}

impl Signals {
    /// Tells everyone who waits that events have got their position in the feed.
    pub fn events_sequenced(&self) {
        self.events.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells everyone who waits that the gateway stops.
    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.events_sequenced();
    }

    /// Whether the gateway stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Whether the gateway stops: then nobody waits any longer.
    #[must_use]
    pub fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }

    /// Changes whenever events have got their position.
    #[must_use]
    pub fn events(&self) -> watch::Receiver<u64> {
        self.events.subscribe()
    }
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The keys cannot be read.
    #[error("{0}")]
    Keys(String),
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Storage(#[from] crate::storage::Error),
    /// The key store cannot be opened.
    #[error("the key store (storage.keys_url) cannot be opened: {0}")]
    KeyStore(crate::storage::Error),
    /// The database's content was sealed with another key store.
    #[error(
        "the key store (storage.keys_url) is not the one that this database's content was sealed with; restore the right one"
    )]
    OtherKeyStore,
    /// The database's pseudonyms were made with another key.
    #[error(
        "the pseudonym key is not the one that this database's pseudonyms were made with; restore the right key file"
    )]
    PseudonymKey,
    /// Certificates or signing keys are unusable.
    #[error(transparent)]
    Credentials(#[from] crate::organisations::credentials::SetupError),
    /// Something in TLS.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// Webhooks cannot be sent with this configuration.
    #[error("webhooks: {0}")]
    Egress(#[from] EgressError),
    /// The contract that is built in is broken.
    #[error("the built-in contract does not load: {0}")]
    Contract(String),
    /// The policy folder is wrong, or differs from what was published.
    #[error("{0}")]
    Policies(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// Something inside.
    #[error("{0}")]
    Inside(#[from] Problem),
}

impl App {
    /// Reads the keys, opens the database and puts the parts together; commands and the gateway start from this.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let secrets = config.keys.read().map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            StartError::Keys(lines.join("\n"))
        })?;
        let Secrets { key_encryption_key, former_key_encryption_keys, pseudonym_key } = secrets;
        let entropy = Entropy::system();
        let sealer = Sealer::new(key_encryption_key, former_key_encryption_keys, entropy.clone());
        let pseudonyms = Pseudonyms::new(&pseudonym_key);
        let metrics = Arc::new(Metrics::default());
        let counted = Arc::clone(&metrics);
        let db = Db::open_with(&config.storage, Meters::new(move |commit| counted.committed(commit))).await?;
        check_pseudonym_key(&db, &pseudonyms).await?;
        let keys = KeyStore::open(&config.key_store, sealer.clone(), entropy.clone()).await;
        let keys = keys.map_err(StartError::KeyStore)?;
        if !keys.belongs_to(&db).await? {
            return Err(StartError::OtherKeyStore);
        }
        let now = clock.now();
        let credentials = Credentials::open(&config, db.clone(), sealer.clone(), entropy.clone(), now).await?;
        let contract = Contract::built_in().map_err(|error| StartError::Contract(error.to_string()))?;
        let signals = Signals { events: watch::Sender::new(0), stopping: Arc::default() };
        let covenants = Covenants::default();
        let egress = Egress::from_config(&config.relay)?;
        let limits = Limits::new(&config.limits, clock.clone());
        Ok(Self(Arc::new(Parts {
            config,
            clock,
            entropy,
            db,
            keys,
            sealer,
            pseudonyms,
            contract,
            covenants,
            credentials,
            known: Known::default(),
            egress,
            signals,
            limits,
            connections: Connections::default(),
            metrics,
            vitals: Arc::default(),
            started: now,
        })))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh identifier for a resource (UUID version 7).
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new_id(&self) -> Result<uuid::Uuid, NoEntropy> {
        self.entropy.uuid(self.now())
    }

    /// The issuer of tokens and receipts: the public address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.credentials.issuer()
    }

    /// Signs a receipt; it verifies offline with the published JWK set.
    ///
    /// # Errors
    /// When the key cannot be had.
    pub async fn sign_receipt(&self, receipt: &Value) -> Result<String, Problem> {
        let now = self.now();
        self.credentials.keys.ring(now).await?.sign_receipt(receipt, now)
    }

    /// Gives committed events their position and committed records their place in the log, until none are left. Any number of
    /// processes may do this at the same time.
    ///
    /// # Errors
    /// When the database fails, or the log was tampered with.
    pub async fn sequence(&self) -> Result<(), Problem> {
        self.sequence_until(Until::NoneAreLeft).await
    }

    async fn sequence_until(&self, until: Until) -> Result<(), Problem> {
        self.sequence_events(until).await?;
        self.sequence_records(until).await
    }

    /// Gives committed events their position, until none are left, or earlier.
    pub(crate) async fn sequence_events(&self, until: Until) -> Result<(), Problem> {
        loop {
            let now = self.now();
            let sequence = async move |tx: &mut Tx| Ok(relay::sequence(tx, now).await?);
            let sequenced = self.db.write("sequence-events", sequence).await?;
            if sequenced.events > 0 {
                self.signals.events_sequenced();
            }
            if !sequenced.more || until.has_come(self) {
                return Ok(());
            }
        }
    }

    /// Gives committed records their place in the log, until none are left, or earlier.
    pub(crate) async fn sequence_records(&self, until: Until) -> Result<(), Problem> {
        loop {
            let (sealer, now) = (self.sealer.clone(), self.now());
            let signer = self.log_signer().await?;
            let sequence =
                async move |tx: &mut Tx| Ok(audit::sequence(tx, now, &signer, &signer.known_keys(), &sealer).await?);
            if !self.db.write("sequence-records", sequence).await?.more || until.has_come(self) {
                return Ok(());
            }
        }
    }

    /// Throws away what only technique kept: answers for repeated requests that came no more, credentials that ran out, what removed subscriptions were owed. What
    /// has a term in the covenant is `crate::retention`'s.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn throw_away(&self) -> Result<(), Problem> {
        let now = self.now();
        // Each step is a transaction of its own: what has piled up while the gateway stood still holds up nobody.
        let answers = async move |tx: &mut Tx| Ok(idempotency::throw_away(tx, now).await?);
        while self.db.write("throw-away-answers", answers).await? {}
        self.credentials.throw_away(now).await?;
        relay::tidy(&self.db, now).await
    }

    /// The key that signs checkpoints of the audit log, under the log's own name.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub async fn log_signer(&self) -> Result<LogSigner, Problem> {
        let now = self.now();
        let ring = self.credentials.keys.ring(now).await?;
        Ok(LogSigner::new(ring, log_origin(&self.config), now))
    }
}

/// The name of the audit log and its key (C2SP tlog-checkpoint, origin): made of the gateway's OIN, which stays when its
/// address changes.
#[must_use]
pub fn log_origin(config: &Config) -> String {
    format!("urn:nld:oin:{}:systeem:sluis:log", config.gateway.oin)
}

/// The first start keeps a check value of the pseudonym key; a later start with another key would know no resident any more.
async fn check_pseudonym_key(db: &Db, pseudonyms: &Pseudonyms) -> Result<(), StartError> {
    let expected = pseudonyms.check_value();
    let stored = db
        .write("pseudonym-key", async move |tx: &mut Tx| {
            crate::subjects::key_mark(tx, &expected).await.map_err(Problem::from)
        })
        .await?;
    if stored { Ok(()) } else { Err(StartError::PseudonymKey) }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// A gateway that listens.
pub struct Application {
    /// Its parts.
    pub app: App,
    address: SocketAddr,
    server: actix_web::dev::Server,
    handle: ServerHandle,
    operations: Option<Listener>,
    workers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Application {
    /// Builds everything and listens; nothing is answered before [`Application::run`].
    ///
    /// # Errors
    /// [`StartError`]: then nothing was started.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, StartError> {
        let app = App::open(config, clock).await?;
        covenant::check_folder(&app).await.map_err(StartError::Policies)?;
        let (api, limits) = (app.config.api.clone(), app.config.limits.clone());
        let identity = tls::ServerIdentity::load(&api.certificate, &api.private_key)?;
        app.vitals.hold_certificates(certificates(&app, &identity));
        let metrics = Arc::clone(&app.metrics);
        let witness = tls::Witness::new(move |handshake| metrics.handshake(handshake));
        let anchors = Arc::clone(&app.credentials.anchors);
        let clients = tls::Clients::Certified(&anchors, witness.clone());
        let tls_config = tls::server_config(identity, clients, api.allow_tls12, &app.clock)?;
        let failed = |address| move |error| StartError::Listen { address, error };
        let operations = match app.config.operations.listen {
            Some(address) => Some(Listener::bind(&app, address).map_err(failed(address))?),
            None => None,
        };
        let failed = failed(api.listen);
        let listener = TcpListener::bind(api.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let workers = match api.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let served = app.clone();
        let server =
            HttpServer::new(move || ActixApp::new().configure(|services| dispatch::configure(&served, services)))
                .workers(workers)
                .on_connect(tls::on_connect(Arc::clone(&anchors), app.connections.clone(), witness))
                .max_connections(limits.connections.div_ceil(workers))
                .max_connection_rate(limits.handshakes)
                .tls_handshake_timeout(limits.handshake_time)
                .client_request_timeout(limits.head_time)
                .client_disconnect_timeout(limits.head_time)
                .keep_alive(limits.keep_alive)
                .shutdown_timeout(api.shutdown.as_secs())
                .disable_signals();
        let server = server.listen_rustls_0_23(listener, tls_config).map_err(failed)?.run();
        let handle = server.handle();
        Ok(Self { app, address, server, handle, operations, workers: Vec::new(), stop: watch::Sender::new(false) })
    }

    /// The address that it listens on; with port 0 configured, the one that was given.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts answering, and the background work; gives the way to stop it.
    #[must_use]
    pub fn start(mut self) -> Running {
        let watching = background::watch(&self.app, &self.stop.subscribe());
        self.workers.extend(watching);
        self.start_unwatched()
    }

    /// The same without the watch over deadlines and parties: for a test that says at which moment the gateway looks.
    #[must_use]
    pub fn start_unwatched(mut self) -> Running {
        let (app, stop) = (self.app.clone(), self.stop.subscribe());
        let operations = self.operations.map(Listener::start);
        self.workers.extend(background::start(&app, &stop));
        let server = tokio::spawn(self.server);
        Running {
            app,
            address: self.address,
            operations,
            server,
            handle: self.handle,
            workers: self.workers,
            stop: self.stop,
        }
    }
}

/// Until when the gateway's certificates hold. One whose end cannot be read is left out; it was of use to TLS nevertheless.
fn certificates(app: &App, identity: &tls::ServerIdentity) -> Vec<(&'static str, Timestamp)> {
    let webhook = app.config.relay.client_certificate.as_ref().and_then(|path| {
        let (_, der) = ca::read_certificate(path).ok()?;
        Some(PeerCertificate::read(&der).ok()?.not_after)
    });
    let ends =
        [("server", identity.ends()), ("authority", app.credentials.anchors.gateway_ends()), ("webhook", webhook)];
    ends.into_iter().filter_map(|(name, ends)| Some((name, ends?))).collect()
}

/// A gateway that answers.
pub struct Running {
    /// Its parts.
    pub app: App,
    /// The address that it listens on.
    pub address: SocketAddr,
    operations: Option<Operations>,
    server: JoinHandle<std::io::Result<()>>,
    handle: ServerHandle,
    workers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// How often idle connections are looked for while the gateway stops.
const LOOK_FOR_IDLE: Duration = Duration::from_millis(50);

impl Running {
    /// Where the operator's listener answers, if there is one.
    #[must_use]
    pub fn operations(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(|operations| operations.address)
    }

    /// Stops: not ready any more; after the configured delay no new connections, requests under way end (within the configured time),
    /// then the background work; the operator's listener last.
    pub async fn stop(self) {
        self.app.vitals.leave();
        tokio::time::sleep(self.app.config.api.drain_delay).await;
        // Long polls and streams end now, and deliveries that have not begun; they would hold it up.
        self.app.signals.stop();
        let mut stopped = std::pin::pin!(self.handle.stop(true));
        loop {
            tokio::select! {
                () = &mut stopped => break,
                () = tokio::time::sleep(LOOK_FOR_IDLE) => self.app.connections.close_idle(),
            }
        }
        // The server task has ended with its handle; the workers hear of it and finish what they are doing.
        let _ = self.server.await;
        self.stop.send_replace(true);
        for worker in self.workers {
            let _ = worker.await;
        }
        let until = Until::Moment(Instant::now() + self.app.config.api.shutdown);
        if let Err(problem) = self.app.sequence_until(until).await {
            tracing::warn!(%problem, "not everything was sequenced before the end; the next start goes on");
        }
        if let Some(operations) = self.operations {
            operations.stop().await;
        }
    }
}
