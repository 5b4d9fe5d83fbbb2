//! Informing the resident (art. 14 AVG): who received content about a resident from somebody else tells the resident within a month, or says why
//! that is not owed.
//!
//! A duty opens with the first content that a party of a referral reads of the other, in the transaction of its disclosure: the recipient of what was
//! sent, the sender of what a note brought back. Break-glass gives the party that declares a duty of its own (`src/emergencies/duties.rs`); that one
//! gives and does not receive. Invariants: one duty for each referral and party, none where nothing was picked up; nobody but that party and its
//! officer learns of it, nor that it is overdue.

pub mod http;
mod note;
mod store;
mod types;
mod watch;

pub use store::{forget, open};
pub use types::Opening;
pub(super) use watch::overdue;
