//! What the gateway tells others: the event feeds, and webhooks.
pub mod address;
pub mod backoff;
pub mod cursor;
pub mod egress;
pub mod event;
pub mod signature;
