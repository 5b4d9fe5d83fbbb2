//! What becomes of what was given under a consent that is withdrawn: what waited is destroyed, and each organisation that received something says that it
//! has deleted it, or on which other legal basis it keeps it.
//!
//! The withdrawal itself only marks the record and raises the resident's revision, so that the very next request is refused, and notes that the rest is
//! still to be done. That is done right after (`settle`), from what stands in the database, by whichever gateway comes first; who asks for a
//! withdrawal learns nothing from how much there was to do. Invariants: nobody is asked but who received something that rested on that consent
//! and on nothing else; who is asked knows the withdrawal by an id of its own, and never the consent; each answers for itself alone, once,
//! and later only that what was kept is deleted now.

mod answer;
pub mod http;
mod settle;
mod store;
mod types;
mod watch;

pub use settle::settle;
pub(super) use settle::settle_one;
pub use store::{Outstanding, about as confirmations_about, outstanding};
pub use types::{Confirmation, Outcome as ConfirmationOutcome, Retention, Status as ConfirmationStatus};
pub use watch::watch;
