//! Break-glass (noodprocedure): a party declares that a life is at stake, gives for a day at most what the covenant opens for that, and answers for it.
//!
//! `declare` opens it, together with its review; [`crate::referrals`] gives under it; `duties` ends it and tracks that the resident is informed; `conclude`
//! closes the review; `sweep` tells what is overdue. Invariants: a declaration is good for one giver, one recipient, one resident, the
//! categories that it names and a day at most, and for nothing else; whatever changes what it is good for raises its revision, so that the
//! very next request knows; the privacy officers hear of every declaration with its own transaction; a review is concluded once,
//! outside the party that declared; nothing here is a text that somebody typed.

mod conclude;
mod declare;
mod duties;
pub mod http;
mod readers;
mod store;
mod sweep;
mod trace;
mod types;
mod view;

pub use store::{Known, about, find};
pub use sweep::sweep;
pub use types::{CannotConsent, Conclusion, DutyStatus, EmergencyAccess, EmergencyReason, LONGEST, UnderEmergency};
