//! Consents (toestemming), secrecy releases (ontheffing beroepsgeheim) and care agreements (instemming met hulp).
//!
//! Three kinds in one resource; none stands in for another. A record is kept as given; whether it justifies anything is decided
//! when it is used. Invariants: only the organisation that recorded it and the covenant's privacy officer see it; the evidence
//! itself is never stored; every change raises the revision of the resident, so that no decision rests on a stale record. What a withdrawal brings about
//! is in `confirmations`; who only heard of one reports it (`heard`) and learns nothing.

mod confirmations;
mod ended;
mod heard;
pub mod http;
pub mod receipts;
mod service;
mod store;
mod types;
mod uses;

pub use confirmations::http as confirmations_http;
pub use confirmations::{
    Confirmation, ConfirmationOutcome, ConfirmationStatus, Outstanding, Retention, confirmations_about, outstanding,
    settle, watch,
};
pub use ended::{over, remove};
pub use store::{about, for_decision};
pub use types::{Consent, Method, Recording, Report, Withdrawal, WithdrawalReason};
pub use uses::{Use, about as uses_about, note as note_uses};
