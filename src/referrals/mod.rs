//! Referrals: the hand-over of a question about a resident from one organisation to another.
//!
//! `lifecycle` is the table of steps, `create`, `update` and `disclose` the three ways to change something; each of them
//! gathers facts and decides (`decide`), then writes everything in one transaction. Invariants: what is not permitted is
//! not stored; content leaves only through a fresh decision; nobody but its parties learns that a referral exists.

mod access;
mod create;
pub mod deadlines;
mod decide;
mod disclose;
mod explain;
pub mod http;
mod known;
pub mod lifecycle;
mod sealing;
mod store;
mod types;
mod update;
mod view;

pub use explain::explain_record;
pub use known::Known;
