//! The covenant: the versioned agreement of parties, purposes, data categories and the rows of the privacy protocol.
//!
//! `covenant.toml` is the only place of the protocol matrix. It travels with the Cedar schema and rules in one
//! [`Bundle`], whose digest every party signs.
//!
//! Invariant: a [`Covenant`] has been checked whole; every code in it is unique and every reference resolves.

mod accession;
mod bundle;
mod check;
mod deadlines;
mod digest;
mod emergency;
mod engines;
mod findings;
pub mod http;
mod parse;
mod publishing;
mod reader;
mod register;
pub mod render;
mod retention;
mod rights;
mod service;
mod store;
pub mod types;

#[cfg(test)]
mod malformed_tests;
#[cfg(test)]
mod tests;

pub use accession::{Accession, Scope, Signed, Standings, Tie};
pub use bundle::{Bundle, COVENANT_FILE, SCHEMA_FILE};
pub use deadlines::{CONFIRMATION_WORKING_DAYS, Deadlines, HolderTerms, PriorityPercent};
pub use digest::PolicyDigest;
pub use emergency::{Emergency, Mandate, MandateCode};
pub use engines::Covenants;
pub use findings::{Finding, Findings};
pub use publishing::{Publication, Wanted};
pub use register::{Activity, Controllers, Processor, Register, TextStatus};
pub use retention::{Content, Retention};
pub use rights::Rights;
pub(crate) use service::signed_already;
pub use service::{Actor, PartyStatus, Signing, check_folder, digest_of, in_force_of, none_in_force, status};
pub use store::{ProofNote, Published, Signature, list as versions, read_signature, standing, standings};
pub use types::{
    Basis, BasisCode, BasisKind, Category, CategoryCode, CategoryGroup, Covenant, Label, Party, PartyKind, PartySlug,
    Phase, Purpose, PurposeCode, Row, RowParty, Values,
};
