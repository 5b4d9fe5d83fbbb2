//! What the operator sees of a gateway: metrics, readiness, and the listener that shows both.
//!
//! Invariants: there is no global state, each gateway of a process counts for itself; labels come from closed lists, from the
//! configuration or from the register of organisations, never from input, so that their number is bounded; nothing here is about a
//! person.

mod gather;
pub mod http;
pub mod metrics;
mod process;
mod readiness;
mod store;
#[cfg(test)]
mod tests;
mod vitals;

pub use metrics::{Limit, Metrics};
pub use vitals::{Pulse, Vitals};
