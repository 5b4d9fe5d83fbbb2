//! Retention: what has had the term that the covenant in force gives it is removed, and each removal proves what it removed.
//!
//! `sweep` removes, `work` is what one step of it does, `verify` holds the proofs against what is stored, `http` shows them to the covenant's privacy officer. What
//! is over, and how it goes, is said where the thing itself is kept. Invariants: nothing is removed before its term is over, and nothing without a
//! covenant in force; a removal, its proof and its audit record are one transaction; a proof names no resident and no organisation but the
//! covenant's municipality.

pub mod http;
mod store;
mod sweep;
mod types;
mod verify;
mod work;

pub use sweep::sweep;
pub use verify::verify;
