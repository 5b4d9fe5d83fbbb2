//! Referrals: the hand-over of a question about a resident from one organisation to another.
//!
//! [`crate::lifecycle`] has the table of steps; `create`, `update` and `disclose` the three ways to change something; each of them
//! gathers facts and decides (`decide`), then writes everything in one transaction; `corrections` mends what was given. Invariants: what is
//! not permitted is not stored; content leaves only through a fresh decision; that a referral exists learn its parties, and of its status
//! and route who has to get it further; what was found to be wrong is destroyed.

mod access;
mod alternatives;
mod corrections;
mod create;
mod decide;
mod destroyed;
mod disclose;
mod encrypted;
pub mod http;
mod known;
mod misdirected;
mod noted;
mod onward;
mod operations;
mod removed;
mod sealing;
mod store;
mod told;
mod trace;
mod types;
mod update;
mod view;
pub mod watch;
mod withdrawn;

pub use corrections::{CorrectionEffect, CorrectionReason};
pub use destroyed::{
    Erasable, categories as destroy_categories, ended, erase_section, everything as destroy_everything, expire,
    given_by, is_between, require_deletion,
};
pub use known::Known;
pub use misdirected::{Misdirected, ReceivedPart, destroy_all, misdirected, raise, received};
pub use removed::{over, remove};
pub use told::given_in;
pub use types::Part;
pub use withdrawn::{Resting, destroy, resting_on};
