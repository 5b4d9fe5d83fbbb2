//! Decisions of the audit log, taken again: as they were, in sentences, and under a draft of the covenant.
//!
//! The record of who gave holds the facts of its decision (`crate::policy::KeptFacts`); `taken` makes the question of them again. Invariants: a
//! decision is taken again with the engine of its own version and must come out as recorded, before it is compared with anything; what
//! cannot be taken again is counted with its reason; an explanation says nothing but what its reader's record of the decision says, in sentences.

mod explain;
pub mod http;
mod taken;
mod tell;
#[cfg(test)]
mod tests;
mod types;
mod what_if;

pub use explain::{explain_record, explanation};
pub use taken::{Again, Taken, section_outcome, take_again};
pub use types::{Change, Impact, LeftOut};
pub use what_if::{Asked, EXAMPLES, PERIOD, what_if};
