//! What the gateway tells others: event feeds that are pulled, and webhooks that are pushed to.
//!
//! `CloudEvents` NL GOV 1.1 in structured JSON, Standard Webhooks signatures, the OPTIONS handshake of `CloudEvents` webhooks. The way of an
//! event: [`enqueue`] writes it with the change, [`sequence`] gives it a place in the feed and subscriptions a delivery, readers find it
//! by cursor, [`deliver`] sends it. Each feed belongs to one [`Addressee`]: an organisation, or a role in it. Invariants: no event without its change and no change without its event; a cursor never passes an event
//! that appears later; delivery is at least once, in order per resource; events say nothing about a person; every outgoing connection
//! goes through [`egress`].

pub mod address;
mod addressee;
pub mod backoff;
mod case_news;
mod consent_news;
pub mod cursor;
pub mod deliver;
pub mod egress;
mod emergency_news;
pub mod event;
mod event_type;
mod feed;
mod handshake;
pub mod http;
mod incident_news;
pub mod outbox;
mod published;
mod queue;
mod rights_news;
mod service;
pub mod signature;
mod store;
#[cfg(test)]
mod tests;
pub mod types;

pub use addressee::Addressee;
pub use case_news::{CaseNews, OfferEnd};
pub use consent_news::ConsentNews;
pub use deliver::{Report, deliver_due};
pub use egress::{Egress, EgressError};
pub use emergency_news::EmergencyNews;
pub use event::{Event, EventType, Happening};
pub use incident_news::IncidentNews;
pub use outbox::{Pruned, Sequenced, enqueue, prune, sequence};
pub use rights_news::RightsNews;
pub use service::tidy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::ids::{Entropy, NoEntropy};
use crate::monitoring::{Metrics, Vitals};
use crate::storage::Db;
use crate::storage::seal::Sealer;

/// The part of the gateway that the relay depends on; copies share it.
#[derive(Clone)]
struct Relay {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    sealer: Sealer,
    egress: Egress,
    /// The names under which the gateway speaks in events.
    speaker: event::Speaker,
    /// The host that asks sinks for their consent (`WebHook-Request-Origin`).
    origin: String,
    /// How long a delivery is tried before it becomes a dead letter.
    give_up_after: Duration,
    /// Changes whenever events have got their position.
    sequenced: watch::Receiver<u64>,
    /// Set when the gateway stops.
    stopping: Arc<AtomicBool>,
    /// What is counted.
    metrics: Arc<Metrics>,
    /// Where the deliverer shows that it lives.
    vitals: Arc<Vitals>,
}

impl Relay {
    fn of(app: &App) -> Self {
        let gateway = &app.config.gateway;
        Self {
            db: app.db.clone(),
            clock: app.clock.clone(),
            entropy: app.entropy.clone(),
            sealer: app.sealer.clone(),
            egress: app.egress.clone(),
            speaker: event::Speaker {
                source: event::source(&gateway.oin),
                base_url: gateway.public_url.as_str().trim_end_matches('/').to_owned(),
            },
            origin: gateway.public_url.host_str().unwrap_or_default().to_owned(),
            give_up_after: app.config.relay.give_up_after,
            sequenced: app.signals.events(),
            stopping: app.signals.stopping(),
            metrics: Arc::clone(&app.metrics),
            vitals: Arc::clone(&app.vitals),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_id(&self) -> Result<Uuid, NoEntropy> {
        self.entropy.uuid(self.now())
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn events(&self) -> watch::Receiver<u64> {
        self.sequenced.clone()
    }
}
