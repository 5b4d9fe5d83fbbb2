//! The audit log: a record of every decision, disclosure and change, that even the operator cannot rewrite unseen.
//!
//! Standards: RFC 6962 (Merkle tree), C2SP signed-note, tlog-checkpoint and tlog-tiles, Logboek dataverwerkingen 1.0.0.
//! Invariants: a record is written in the transaction of what it is about, or that does not happen; a record holds
//! codes and identifiers, never content, a BSN or an employee; nothing in the log but erasable values and their salts
//! ever changes; the head of the tree lives in the database only, so any number of processes may write.

pub mod checkpoint;
pub mod commitment;
mod expired;
pub mod http;
mod log;
pub mod merkle;
mod record;
mod report;
mod service;
mod store;
#[cfg(test)]
mod tests;
pub mod tiles;
mod types;
mod verify;
mod verify_records;

pub use expired::{Expired, Remains, expire, lock, remains, retention_records};
pub use log::{LogError, Sequenced, sequence};
pub use record::{SealedRecord, Seals, StoredRecord};
pub use report::{Finding, FindingKind, Report};
pub use service::{
    AuditReader, Filter, Opening, Proof, erase, find, first_id_at, last_checkpoint, list, of_subject, prove,
    published_tile, read, write,
};
pub use types::{Effect, Field, Kind, Outcome, Record, SectionOutcome, TraceContext};
pub use verify::{Trust, verify, verify_since_kept};
