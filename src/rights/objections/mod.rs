//! Objections (bezwaar, art. 21 AVG): from the moment that one is recorded what its party gives and gets on a public task stops, until its officer has
//! weighed it, or until the resident takes it back.
//!
//! Invariants: it counts for its recorder alone; it is weighed once, by the recorder's officer, and counts as overridden only after the
//! resident has heard of it; nobody but the resident gives up one that stands, and its officer hears of that.

mod end;
pub mod http;
mod record;
mod store;
mod types;
mod watch;
mod weigh;

pub use store::about;
pub(super) use store::standing;
pub use types::{Reported, Status};
pub(super) use watch::overdue;
