//! The edge: one dispatcher, driven by the contract, between actix-web and the features' handlers.
//!
//! Before a handler runs, the caller is authenticated, its scopes are those that the contract names, and path, query,
//! headers and body fit the contract. Invariants: authentication comes before the body is read; every answer carries
//! `API-Version`; a failure is a problem detail.

mod admission;
pub mod answer;
pub mod call;
pub mod contract;
pub mod dispatch;
mod document;
pub mod idempotency;
mod json;
pub mod limits;
pub mod page;
pub mod routes;
pub mod trace;

pub use answer::{Answer, Body};
pub use call::{Call, Caller, IdempotencyTicket};
pub use limits::Limits;
