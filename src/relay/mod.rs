//! What the gateway tells others: event feeds that are pulled, and webhooks that are pushed to.
//!
//! CloudEvents NL GOV 1.1 in structured JSON, Standard Webhooks signatures, the OPTIONS handshake of CloudEvents webhooks. The way of an
//! event: [`enqueue`] writes it with the change, [`sequence`] gives it a place in the feed and subscriptions a delivery, readers find it
//! by cursor, [`deliver`] sends it. Invariants: no event without its change and no change without its event; a cursor never passes an event
//! that appears later; delivery is at least once, in order per resource; events say nothing about a person; every outgoing connection
//! goes through [`egress`].

pub mod address;
pub mod backoff;
pub mod cursor;
pub mod deliver;
pub mod egress;
pub mod event;
mod feed;
mod handshake;
pub mod http;
pub mod outbox;
mod queue;
mod service;
pub mod signature;
mod store;
#[cfg(test)]
mod tests;
pub mod types;

pub use deliver::{Report, deliver_due};
pub use egress::{Egress, EgressError};
pub use event::{Event, EventType, Happening};
pub use outbox::{Sequenced, enqueue, prune, sequence};

use crate::app::App;

/// The names under which this gateway speaks.
fn speaker(app: &App) -> event::Speaker {
    let gateway = &app.config.gateway;
    event::Speaker {
        source: event::source(&gateway.oin),
        base_url: gateway.public_url.as_str().trim_end_matches('/').to_owned(),
    }
}
