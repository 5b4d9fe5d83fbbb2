//! Referrals: the hand-over of a question about a resident from one organisation to another.
//!
//! [`crate::lifecycle`] has the table of steps; `create`, `update` and `disclose` the three ways to change something; each of them
//! gathers facts and decides (`decide`), then writes everything in one transaction. Invariants: what is not permitted is
//! not stored; content leaves only through a fresh decision; nobody but its parties learns that a referral exists.

mod access;
mod alternatives;
mod create;
mod decide;
mod disclose;
mod explain;
pub mod http;
mod known;
mod onward;
mod operations;
mod sealing;
mod store;
mod trace;
mod types;
mod update;
mod view;
pub mod watch;

pub use explain::explain_record;
pub use known::Known;
