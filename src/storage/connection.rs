//! One connection of either database, and the three ways to use it: read, read one frozen picture, change.
//!
//! Invariant: statements are `&'static str`; a value never becomes part of a statement's text.

use std::future::Future;

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query as Statement;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use super::{Args, Error, Row, Value};

/// What can run statements: a [`Tx`] (inside a change) or a [`Reader`] (outside).
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

/// A change under way: statements inside the transaction that this job shares with its neighbours.
pub struct Tx {
    pub(super) connection: Connection,
    /// Set by what other workers wait for (events, audit records): wakes them after the commit.
    pub(super) wakes_sequencer: bool,
    /// Set when a statement of the running job failed: then the job fails, whatever it answers. PostgreSQL takes no
    /// further statement, and SQLite shall not behave otherwise.
    pub(super) failed: bool,
}

impl Tx {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection, wakes_sequencer: false, failed: false }
    }

    /// Runs a statement that changes rows; answers how many.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn execute(&mut self, sql: &'static str, args: Args) -> Result<u64, Error> {
        let changed = match &mut self.connection {
            Connection::Sqlite(connection) => {
                for_sqlite(sql, args).execute(connection).await.map(|done| done.rows_affected())
            }
            Connection::Postgres(connection) => {
                for_postgres(sql, args).execute(connection).await.map(|done| done.rows_affected())
            }
        };
        self.failed |= changed.is_err();
        Ok(changed?)
    }

    /// Whether this is `PostgreSQL`, where jobs of several writers and gateways run at the same time and rows or
    /// advisory locks must be taken; on `SQLite` there is one writer.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// Asks that committed events and audit records be sequenced as soon as this change is durable.
    pub fn wake_sequencer(&mut self) {
        self.wakes_sequencer = true;
    }
}

impl Query for Tx {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        let rows = self.connection.rows(sql, args).await;
        self.failed |= rows.is_err();
        rows
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
pub struct Reader(pub(super) Pool);

impl Query for Reader {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        Ok(match &self.0 {
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
