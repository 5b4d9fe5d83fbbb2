//! The hand-over monitor: how hand-overs go, in figures, for whoever steers on them.
//!
//! `snapshots` makes the figures of each week and quarter once, after it has closed (`period`, `types`, `figures`), showing only what
//! `disclosure` lets through; `view` and `http` show what was kept. Invariant (rule 15): of each figure, whoever has everything that was
//! ever shown of it still has to reckon, for every count of others, with as many numbers as the covenant's threshold says, however it is
//! filtered, repeated, compared or subtracted. `docs/monitor.md` has the guarantee, what it does not cover, and its price.

pub mod disclosure;
pub mod figures;
pub mod http;
pub mod period;
mod snapshots;
mod store;
pub mod types;
pub mod view;

pub use snapshots::{make, uncounted_from};
