//! The hand-over monitor: how hand-overs go, in figures, for whoever steers on them.
//!
//! `snapshots` makes the figures of each week and quarter once, after it has closed (`period`, `figures`), showing only what
//! `disclosure` lets through; `view` and `http` show what was kept. Invariant (rule 15): no figure here says anything about fewer
//! hand-overs of others than the covenant's threshold, however figures are filtered, repeated, compared or subtracted;
//! `docs/monitor.md` has the guarantee and its price.

pub mod disclosure;
pub mod figures;
pub mod http;
pub mod period;
mod snapshots;
mod store;
pub mod view;

pub use snapshots::make;
