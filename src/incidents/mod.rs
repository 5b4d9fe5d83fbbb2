//! Incidents: content that reached the wrong organisation, was about the wrong resident, or could not be verified - what may be a personal data breach
//! (art. 4.12 AVG).
//!
//! `open` opens one, at both parties of the referral and with both clocks; `answer` takes what a party says: its assessment, and that what it received is
//! deleted; `sweep` tells what is late. Invariants: an incident exists for the two parties of its referral and, in the resident's access report, for the
//! covenant's privacy officer, and for nobody else; what was received wrongly is destroyed at the gateway in the transaction that opens it, and whoever
//! received it confirms that it deleted it; each party assesses for itself and does not see how the other one did; nothing here is a text that somebody
//! typed.

mod answer;
pub mod http;
mod open;
mod store;
mod sweep;
mod trace;
mod types;
mod view;

pub use open::suspect;
pub use store::about;
pub use sweep::sweep;
pub use types::{Incident, IncidentKind, TO_ASSESS};
