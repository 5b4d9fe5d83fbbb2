//! Consents (toestemming), secrecy releases (ontheffing beroepsgeheim) and care agreements (instemming met hulp).
//!
//! Three kinds in one resource; none stands in for another. A record is kept as given; whether it justifies anything is decided
//! when it is used. Invariants: only the organisation that recorded it and the covenant's privacy officer see it; the evidence
//! itself is never stored; every change raises the revision of the resident, so that no decision rests on a stale record.

pub mod http;
mod service;
mod store;
mod types;

pub use service::check_bsn_right;
pub use store::for_decision;
pub use types::{Consent, Recording, Withdrawal};
