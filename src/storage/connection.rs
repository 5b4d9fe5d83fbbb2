//! One connection of either database, and the two ways to read: what is committed, and one frozen picture.
//!
//! Invariant: statements are `&'static str`; a value never becomes part of a statement's text.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query as Statement;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use super::append::{self, Insert};
use super::{Args, Error, Row, Value};

/// What can run statements: a [`Tx`](super::Tx) (inside a change) or a [`Reader`] (outside).
pub trait Query {
    /// All rows of the answer.
    fn rows(&mut self, sql: &'static str, args: Args) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;

    /// The first row of the answer, if there is one.
    fn row(&mut self, sql: &'static str, args: Args) -> impl Future<Output = Result<Option<Row>, Error>> + Send {
        let rows = self.rows(sql, args);
        async move { Ok(rows.await?.into_iter().next()) }
    }
}

fn for_sqlite(sql: &'static str, args: Args) -> Statement<'static, Sqlite, SqliteArguments> {
    args.into_iter().fold(sqlx::query(sql), |statement, value| match value {
        Value::Text(text) => statement.bind(text),
        Value::Integer(number) => statement.bind(number),
        Value::Bytes(bytes) => statement.bind(bytes),
    })
}

fn for_postgres(sql: &'static str, args: Args) -> Statement<'static, Postgres, PgArguments> {
    args.into_iter().fold(sqlx::query(sql), |statement, value| match value {
        Value::Text(text) => statement.bind(text),
        Value::Integer(number) => statement.bind(number),
        Value::Bytes(bytes) => statement.bind(bytes),
    })
}

/// A connection of its own: that of a writer, or of a migration.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(super) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Runs statements that have no parameters; several may be separated by `;`.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Error> {
        // Not from input: migrations, BEGIN, SAVEPOINT and the like.
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop)?,
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop)?,
        }
        Ok(())
    }
}

/// The values of one column of several rows, as an array.
enum Column {
    Text(Vec<Option<String>>),
    Integer(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn like(value: &Value) -> Self {
        match value {
            Value::Text(_) => Self::Text(Vec::new()),
            Value::Integer(_) => Self::Integer(Vec::new()),
            Value::Bytes(_) => Self::Bytes(Vec::new()),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), Error> {
        match (self, value) {
            (Self::Text(column), Value::Text(value)) => column.push(value),
            (Self::Integer(column), Value::Integer(value)) => column.push(value),
            (Self::Bytes(column), Value::Bytes(value)) => column.push(value),
            _ => return Err(Error::Malformed { column: "of an added row" }),
        }
        Ok(())
    }
}

impl Connection {
    /// Adds rows to a table; answers how many were added.
    pub(super) async fn insert(&mut self, insert: &Insert, rows: Vec<Args>) -> Result<u64, Error> {
        match self {
            Self::Sqlite(connection) => {
                let (mut rows, mut added) = (rows.into_iter(), 0);
                while rows.len() > 0 {
                    let taken = append::share(rows.len());
                    let statement = sqlx::query(sqlx::AssertSqlSafe(append::of_rows(insert, taken)));
                    let values = rows.by_ref().take(taken).flatten();
                    let statement = values.fold(statement, |statement, value| match value {
                        Value::Text(text) => statement.bind(text),
                        Value::Integer(number) => statement.bind(number),
                        Value::Bytes(bytes) => statement.bind(bytes),
                    });
                    added += statement.execute(&mut *connection).await?.rows_affected();
                }
                Ok(added)
            }
            Self::Postgres(connection) => {
                let mut added = 0;
                for rows in append::portions(rows) {
                    added += insert_columns(connection, insert, rows).await?;
                }
                Ok(added)
            }
        }
    }

    /// Runs a statement that changes rows; answers how many.
    pub(super) async fn execute(&mut self, sql: &'static str, args: Args) -> Result<u64, Error> {
        Ok(match self {
            Self::Sqlite(connection) => for_sqlite(sql, args).execute(connection).await?.rows_affected(),
            Self::Postgres(connection) => for_postgres(sql, args).execute(connection).await?.rows_affected(),
        })
    }
}

/// Adds rows in one statement, an array for each column.
async fn insert_columns(connection: &mut PgConnection, insert: &Insert, rows: Vec<Args>) -> Result<u64, Error> {
    let Some(first) = rows.first() else { return Ok(0) };
    let statement = sqlx::query(sqlx::AssertSqlSafe(append::of_columns(insert, first)));
    let mut columns: Vec<Column> = first.iter().map(Column::like).collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value)?;
        }
    }
    let statement = columns.into_iter().fold(statement, |statement, column| match column {
        Column::Text(values) => statement.bind(values),
        Column::Integer(values) => statement.bind(values),
        Column::Bytes(values) => statement.bind(values),
    });
    Ok(statement.execute(connection).await?.rows_affected())
}

impl Query for Connection {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        Ok(match self {
            Self::Sqlite(connection) => {
                for_sqlite(sql, args).fetch(connection).map_ok(Row::Sqlite).try_collect().await?
            }
            Self::Postgres(connection) => {
                for_postgres(sql, args).fetch(connection).map_ok(Row::Postgres).try_collect().await?
            }
        })
    }
}

/// The pools for reading.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Reads outside a change; each statement sees what is committed when it runs.
#[derive(Clone)]
pub struct Reader {
    pub(super) pool: Pool,
    /// Counts the statements.
    pub(super) asked: Arc<AtomicU64>,
}

impl Query for Reader {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(match &self.pool {
            Pool::Sqlite(pool) => for_sqlite(sql, args).fetch(pool).map_ok(Row::Sqlite).try_collect().await?,
            Pool::Postgres(pool) => for_postgres(sql, args).fetch(pool).map_ok(Row::Postgres).try_collect().await?,
        })
    }
}

/// Reads one frozen picture of the database, for as long as it lives.
pub struct Snapshot(pub(super) Frozen);

pub(super) enum Frozen {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Query for Snapshot {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        Ok(match &mut self.0 {
            Frozen::Sqlite(connection) => {
                for_sqlite(sql, args).fetch(&mut **connection).map_ok(Row::Sqlite).try_collect().await?
            }
            Frozen::Postgres(connection) => {
                for_postgres(sql, args).fetch(&mut **connection).map_ok(Row::Postgres).try_collect().await?
            }
        })
    }
}

impl Pool {
    pub(super) fn size(&self) -> (usize, usize) {
        let (size, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
        };
        (usize::try_from(size).unwrap_or(usize::MAX), idle)
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(match self {
            Self::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
                // The connection closes with the snapshot instead of going back to the pool with its transaction.
                connection.close_on_drop();
                Frozen::Sqlite(connection)
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *connection).await?;
                connection.close_on_drop();
                Frozen::Postgres(connection)
            }
        }))
    }
}
