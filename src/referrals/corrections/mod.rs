//! Corrections (rectificatie, AVG art. 16 and 19): whoever gave a section replaces or retracts it, wherever the gateway has copied it to, and
//! everyone who received it is told.
//!
//! It stands beside the table of steps ([`crate::lifecycle::referral`]) and not in it: a mistake does not stop being one, so it is possible in
//! every status; who may is who gave the section and not a role; it changes neither status nor holder nor deadline; and one correction
//! concerns several referrals. In the table it would be among the `allowedSteps` of everyone at any moment, and say nothing there.
//!
//! Invariants: the content that was wrong is destroyed in the transaction that says so, and no disclosure that was decided before can
//! still hand it over; what replaces it is decided anew for each recipient; that something was wrong is told to who received it, whatever
//! the covenant says of new content, and to nobody else; nobody learns of the copies of others.

mod correct;
pub mod http;
mod reach;
mod store;
mod trace;
mod types;
mod view;

pub(super) use reach::is_copied_too_often;
pub use types::{CorrectionEffect, CorrectionReason};
