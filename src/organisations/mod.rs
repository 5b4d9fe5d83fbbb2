//! Organisations: who takes part, with which clients, certificates and keys.
//!
//! An organisation is known by its OIN. It connects with clients: the main one, whose id is the OIN, and named ones for
//! roles with scopes of their own. Invariants: `retired` is final; every change raises the revision of the organisation, so that
//! decisions that rested on its former state are taken again, and is recorded in the same transaction.

pub mod changes;
pub mod credentials;
pub mod http;
pub mod keys;
pub mod service;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub mod types;

pub use changes::Actor;
pub use store::{active, with_scope};
pub use types::{
    CertificateRecord, Change, Contact, Name, Organisation, Registration, Role, Scope, Scopes, Slug, Status,
};
