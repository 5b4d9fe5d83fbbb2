//! All that a running gateway depends on, built once and shared: configuration, clock, randomness, database, keys.
//!
//! Invariant: nothing reads the time or random bytes except through here.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Secrets};
use crate::ids::{Entropy, NoEntropy};
use crate::storage::Db;
use crate::storage::seal::Sealer;

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
    /// Seals what is stored.
    pub sealer: Sealer,
    /// Wakes those who wait for new events.
    pub signals: Signals,
}

/// Wake-ups inside this process; other gateways on the same database are noticed by timers.
pub struct Signals {
    events: watch::Sender<u64>,
}

impl Signals {
    /// Tells everyone who waits that events have got their position in the feed.
    pub fn events_sequenced(&self) {
        self.events.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes whenever events have got their position.
    #[must_use]
    pub fn events(&self) -> watch::Receiver<u64> {
        self.events.subscribe()
    }
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(config: Config, secrets: Secrets, clock: Clock, db: Db) -> Self {
        let entropy = Entropy::system();
        let sealer = Sealer::new(secrets.key_encryption_key, secrets.former_key_encryption_keys, entropy.clone());
        let signals = Signals { events: watch::Sender::new(0) };
        Self(Arc::new(Parts { config, clock, entropy, db, sealer, signals }))
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
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
