//! What residents ask a party by right: that it stops (objection, art. 21 AVG), that it merely keeps (restriction, art. 18 AVG), and to hear of what
//! it received about them (art. 14 AVG). Corrections, withdrawals and erasure have folders of their own.
//!
//! `asked` is what a decision needs to know of objections and restrictions; [`crate::referrals`] asks it for the giver with every decision, and for who
//! receives at the moment of disclosure. Invariants: what a party recorded counts for what that party gives and gets, and for nothing of another;
//! whatever changes what counts raises the resident's revision, so that the very next request knows; nobody but the party and its officer learns of
//! an objection, a restriction's ground or a duty to inform, by any answer, event, list or record, but for the covenant's privacy officer, who reads
//! the log and composes the resident's full access report; nothing here is a text that somebody typed.

mod asked;
mod clock;
pub mod informing;
pub mod objections;
mod officer;
pub mod restrictions;
mod told;
mod trace;

pub use asked::{Asked, about, facts};
pub use clock::sweep;
pub use informing::forget as forget_informing;
pub use told::{Method, Told};
