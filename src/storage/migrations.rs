//! Forward-only migrations: numbered files, applied once, in order, never changed after they were merged.
//!
//! The files are written once for both databases; `SERIAL_KEY` (a number of its own for every row, never used twice) and
//! `BYTES` are the two words that differ, and what stands behind a line `-- PostgreSQL only` SQLite does not get. Invariant: a database whose recorded migrations differ from the files of
//! this version is not opened.

use super::connection::{Connection, Query as _};
use super::{Error, Tx};
use crate::args;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($name:literal),* $(,)?) => {
        Migrations(&[$(Migration { name: $name, sql: include_str!(concat!($folder, "/", $name, ".sql")) }),*])
    };
}

/// The migrations of one kind of database.
#[derive(Clone, Copy)]
pub(super) struct Migrations(&'static [Migration]);

/// Those of the gateway's own database.
pub(super) const MAIN: Migrations = migrations![
    "migrations":
    "0001_core",
    "0002_organisations",
    "0003_covenants",
    "0004_consents",
    "0005_referrals",
    "0006_relay",
    "0007_audit",
    "0008_flat",
    "0009_chain",
    "0010_handoffs",
    "0011_cases",
    "0012_capacity",
    "0013_corrections",
    "0014_direction",
    "0015_standing",
    "0016_monitor",
    "0017_accession",
    "0018_feeds",
    "0019_case_bounds",
    "0020_proof",
    "0021_statistics",
    "0022_known_residents",
    "0023_withdrawal",
    "0024_emergencies",
    "0025_subject_links",
    "0026_vetoes",
    "0027_erasure",
    "0028_access_reports",
    "0029_rights",
    "0030_incidents",
];

/// Those of the key store.
pub(super) const KEY_STORE: Migrations = migrations!["key_migrations": "0001_key_shares"];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL)";
/// Any constant does; it only has to be the same in every gateway.
const LOCK: &str = "SELECT pg_advisory_xact_lock(730580, hashtext(current_schema()))";

/// Applies what is not applied yet; several gateways that start at the same time do it once.
pub(super) async fn run(connection: Connection, Migrations(migrations): Migrations) -> Result<(), Error> {
    let mut tx = Tx::new(connection);
    let postgres = tx.is_postgres();
    tx.script(if postgres { "BEGIN" } else { "BEGIN IMMEDIATE" }).await?;
    if postgres {
        tx.script(LOCK).await?;
    }
    tx.script(LEDGER).await?;
    let done = applied(&mut tx, migrations).await?;
    for migration in migrations.iter().skip(done) {
        tx.script(&for_database(migration.sql, postgres)).await?;
        tx.execute(
            "INSERT INTO schema_migrations (name, digest) VALUES ($1, $2)",
            args![migration.name, digest(migration.sql)],
        )
        .await?;
        tracing::info!(migration = migration.name, "applied");
    }
    tx.script("COMMIT").await
}

/// How many migrations the database has, after checking that they are the first ones of this version.
async fn applied(tx: &mut Tx, migrations: &[Migration]) -> Result<usize, Error> {
    let rows = tx.rows("SELECT name, digest FROM schema_migrations ORDER BY name", args![]).await?;
    for (index, row) in rows.iter().enumerate() {
        let name = row.text("name")?;
        match migrations.get(index) {
            Some(known) if known.name == name && digest(known.sql) == row.text("digest")? => {}
            Some(known) if known.name == name => {
                return Err(Error::Migration(format!(
                    "migration {name} was changed after it was applied; use the version that made this database"
                )));
            }
            _ => {
                return Err(Error::Migration(format!(
                    "the database has migration {name}, which this version does not know; use a newer version"
                )));
            }
        }
    }
    Ok(rows.len())
}

/// What follows in a file is about PostgreSQL's planner or storage, which SQLite has no word for.
const POSTGRES_ONLY: &str = "\n-- PostgreSQL only\n";

fn for_database(sql: &str, postgres: bool) -> String {
    let sql = if postgres { sql } else { sql.split(POSTGRES_ONLY).next().unwrap_or_default() };
    let (serial, bytes) = if postgres {
        ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA")
    } else {
        ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB")
    };
    sql.replace("SERIAL_KEY", serial).replace("BYTES", bytes)
}

fn digest(sql: &str) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, sql.as_bytes()))
}
