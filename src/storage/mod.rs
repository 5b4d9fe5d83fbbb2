//! The one door to the databases, the gateway's own and the key store: `SQLite` (the embedded default) and `PostgreSQL` behind the same few functions.
//!
//! Reads go through a pool ([`Db::reader`]); every change is a job that shares a transaction with its neighbours
//! ([`Db::write`]). Invariants: an accepted change is on disk before anyone is told; SQL is written once for both
//! databases; sqlx is used nowhere else.

mod append;
mod connection;
mod database;
mod ground;
mod keys;
mod meters;
mod migrations;
pub mod revisions;
pub mod seal;
#[cfg(test)]
mod tests;
mod tx;
mod value;
pub mod window;
mod writer;

pub use append::{Insert, Otherwise};
pub use connection::{Query, Reader, Snapshot};
pub use database::{Db, StorageSettings};
pub use ground::{Claim, Ground};
pub use keys::{KeyStore, Share};
pub use meters::{Commit, Meters};
pub use tx::Tx;
pub use value::{Args, Row, Value};

/// What can go wrong between the gateway and its database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver's own words; may hold details of the schema, so they go to the log and never to a caller.
    #[error("database: {0}")]
    Driver(#[from] sqlx::Error),
    /// A stored value has not the form that this version expects.
    #[error("column {column} holds a value of an unexpected form")]
    Malformed {
        /// The column.
        column: &'static str,
    },
    /// Another transaction was faster; the work can be done again.
    #[error("lost to a concurrent change")]
    Conflict,
    /// A row that must be new was written by somebody else first; the change is to be decided again.
    #[error("somebody else was faster")]
    Lost,
    /// The database was made by a newer or an altered version.
    #[error("{0}")]
    Migration(String),
    /// The configured database address is of no known kind.
    #[error("{0}")]
    Address(String),
    /// The writers have stopped; the gateway is shutting down.
    #[error("the writers have stopped")]
    Closed,
}

impl Error {
    /// Whether running the same work again can succeed: a conflict between transactions or a broken connection.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Driver(sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => true,
            // PostgreSQL: serialization failure, deadlock, and the shutdown classes; SQLite: busy, locked.
            Self::Driver(sqlx::Error::Database(error)) => {
                matches!(
                    error.code().as_deref(),
                    Some("40001" | "40P01" | "57P01" | "57P02" | "57P03" | "5" | "6" | "517")
                )
            }
            _ => false,
        }
    }

    /// Whether a unique key was already taken.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Driver(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
