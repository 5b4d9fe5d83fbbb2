//! Restrictions of processing (beperking, art. 18 AVG): while one stands its party merely keeps what it has about the resident, and gives and gets
//! nothing but on a basis that art. 18.2 lets go on.
//!
//! Invariants: it counts for its recorder alone; who had received something from the recorder is told that it is restricted and that this ends (art.
//! 19), in its own log and in the referral too, never why; it ends only after the resident has heard of that (art. 18.3).

mod change;
pub mod http;
mod store;
mod types;

pub(super) use store::standing;
pub use store::{Restricted, about, stands, told_to};
pub use types::{Ground, Reported};
