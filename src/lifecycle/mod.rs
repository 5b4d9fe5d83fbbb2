//! The closed chain (sluitende keten): the whole life of a referral and of a case, as two tables.
//!
//! Pure: no I/O, no clock, no database. `(state, who, command, now) → new state + what happened`, or a refusal with the list of what
//! is allowed. [`referral`] has the table of referrals, [`case`] that of cases, [`parties`] says who may do what while a party cannot act, [`terms`] how long
//! the holder has, and [`working_days`] counts days in the Netherlands.
//!
//! Invariants, explored by the model in `model.rs` over all sequences of steps: an open referral has exactly one holder with exactly
//! one running deadline; an open case has exactly one coordinator; no deadline passes without something being said; nobody takes a
//! step that is not theirs; from every state there is a way to an end.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "states, commands and terms are handed over alike, whatever their size"
)]

pub mod case;
mod codes;
mod day;
#[cfg(test)]
mod model;
pub mod parties;
pub mod referral;
pub mod terms;
pub mod working_days;

pub use codes::{Business, Outcome, Reason, Status, StepUpReason};
pub use day::Day;
