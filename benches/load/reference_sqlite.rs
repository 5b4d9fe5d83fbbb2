//! What bare SQLite does with the rows of a referral: one connection, one durable transaction per referral, one statement per
//! table. More connections would wait for each other: SQLite has one writer.

use std::path::Path;
use std::time::Instant;

use sluis::storage::{Db, StorageSettings};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::Outcome;
use crate::database;
use crate::load::Times;
use crate::requests::RESIDENTS;
use crate::statistics::{Measured, micros};
use crate::template::{Cell, Insert, Key};

/// Writes these rows again and again to a file of its own, with the gateway's own tables and indexes.
pub async fn measure(folder: &Path, inserts: &[Insert], times: Times) -> Outcome<Measured> {
    let path = folder.join("reference.db");
    let settings = StorageSettings { url: format!("sqlite:{}", path.display()), readers: 1, writers: 1 };
    // Opening it makes the tables.
    drop(Db::open(&settings).await?);
    let mut connection = SqliteConnection::connect_with(&database::sqlite(&path)).await?;
    let statements: Vec<String> = inserts.iter().map(|insert| insert.sql(|_| "?".to_owned())).collect();
    let begin = Instant::now() + times.warm_up;
    let mut latencies = Vec::new();
    let mut number = 0_u64;
    while begin.elapsed() < times.time {
        let sent = Instant::now();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await?;
        for (insert, statement) in inserts.iter().zip(&statements) {
            let mut query = sqlx::query(AssertSqlSafe(statement.clone()));
            for cell in insert.rows.iter().flatten() {
                query = bind(query, cell, number);
            }
            query.execute(&mut connection).await?;
        }
        sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
        if sent >= begin {
            latencies.push(micros(sent.elapsed()));
        }
        number += 1;
    }
    connection.close().await?;
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("reference.db{ending}")));
    }
    Measured::of(latencies, times.time).ok_or_else(|| "nothing could be written".into())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

fn bind<'q>(query: Query<'q>, cell: &'q Cell, number: u64) -> Query<'q> {
    match cell {
        Cell::Null => query.bind(None::<String>),
        Cell::Integer(number) => query.bind(*number),
        Cell::Bytes(bytes) => query.bind(bytes.as_slice()),
        Cell::Text(text) => query.bind(text.as_str()),
        Cell::Key(key) => query.bind(text_of(*key, number)),
    }
}

/// In the order of time, as the gateway's own identifiers are.
fn text_of(key: Key, number: u64) -> String {
    match key {
        Key::Fresh(which) => format!("{which:02}{number:034x}"),
        Key::Resident | Key::Pseudonym => {
            let residents = u64::try_from(RESIDENTS.len()).unwrap_or(1).max(1);
            format!("{:0length$x}", number % residents, length = key.length())
        }
    }
}
