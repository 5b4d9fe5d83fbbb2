//! The databases that a run makes for itself, and counting in them.
//!
//! Invariant: nothing of anybody else's is touched. On PostgreSQL everything happens in a database of its own, which is dropped
//! at the end, also after a failure.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::Outcome;

/// The variable that names the PostgreSQL server, as for the tests.
const SERVER: &str = "SLUIS_TEST_POSTGRES";
const USUAL_SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// On which database something was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Kind {
    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A PostgreSQL server, and the database made on it.
pub struct Server {
    admin: String,
    name: String,
    /// The address of the database.
    pub url: String,
}

impl Server {
    /// Makes the database on the server that the environment names.
    pub async fn make() -> Outcome<Self> {
        let admin = std::env::var(SERVER).ok().filter(|server| !server.is_empty());
        let admin = admin.unwrap_or_else(|| USUAL_SERVER.to_owned());
        let name = format!("sluis_load_{}", std::process::id());
        let mut url: url::Url =
            admin.parse().map_err(|_| format!("{SERVER}: expected postgres://user@host/database"))?;
        url.set_path(&name);
        let server = Self { admin, name, url: url.to_string() };
        server.run("CREATE DATABASE").await?;
        Ok(server)
    }

    /// Drops the database, whoever is connected to it.
    pub async fn drop(&self) -> Outcome<()> {
        let mut connection = PgConnection::connect(&self.admin).await?;
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(())
    }

    /// Throws away what is in it.
    pub async fn empty(&self) -> Outcome<()> {
        self.drop().await?;
        self.run("CREATE DATABASE").await
    }

    async fn run(&self, what: &str) -> Outcome<()> {
        let mut connection = PgConnection::connect(&self.admin).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("{what} {}", self.name))).execute(&mut connection).await?;
        Ok(())
    }

    /// Lets it count what it holds, as it does by itself some time after a lot was written.
    pub async fn analyze(&self) -> Outcome<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
        Ok(())
    }

    /// Version and settings that durability depends on.
    pub async fn describe(&self) -> Outcome<String> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let mut told = Vec::new();
        for setting in
            ["server_version", "fsync", "synchronous_commit", "wal_sync_method", "shared_buffers", "max_connections"]
        {
            let row =
                sqlx::query("SELECT current_setting($1) AS value").bind(setting).fetch_one(&mut connection).await?;
            told.push(format!("{setting} {}", row.try_get::<String, _>("value")?));
        }
        Ok(told.join(", "))
    }

    /// How many more connections the server takes now, leaving some to others.
    pub async fn free_connections(&self) -> Outcome<usize> {
        let mut connection = PgConnection::connect(&self.admin).await?;
        let sql = "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint \
                   - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS free";
        let free: i64 = sqlx::query(sql).fetch_one(&mut connection).await?.try_get("free")?;
        Ok(usize::try_from(free - 8).unwrap_or(0))
    }

    /// The processes of the server that work for this database, where they run on this machine.
    pub async fn backends(&self) -> Outcome<Vec<u32>> {
        let mut connection = PgConnection::connect(&self.admin).await?;
        let rows = sqlx::query("SELECT pid FROM pg_stat_activity WHERE datname = $1")
            .bind(&self.name)
            .fetch_all(&mut connection)
            .await?;
        let pids = rows.iter().map(|row| row.try_get::<i32, _>("pid")).collect::<Result<Vec<_>, _>>()?;
        let here = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres")
        };
        Ok(pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).filter(here).collect())
    }
}

/// The one value that a statement gives in the database at this address.
macro_rules! one_value {
    ($url:expr, $statement:expr) => {
        if let Some(path) = $url.strip_prefix("sqlite:") {
            let mut connection = SqliteConnection::connect_with(&sqlite(Path::new(path))).await?;
            sqlx::query($statement).fetch_optional(&mut connection).await?.map(|row| row.try_get(0)).transpose()?
        } else {
            let mut connection = PgConnection::connect($url).await?;
            sqlx::query($statement).fetch_optional(&mut connection).await?.map(|row| row.try_get(0)).transpose()?
        }
    };
}

/// A number, such as how many rows there are.
pub async fn count(url: &str, statement: &'static str) -> Outcome<u64> {
    let count: Option<i64> = one_value!(url, statement);
    Ok(u64::try_from(count.ok_or("the database gave no number")?)?)
}

/// A text, if there is one.
pub async fn text(url: &str, statement: &'static str) -> Outcome<Option<String>> {
    Ok(one_value!(url, statement))
}

/// Options as the gateway opens a SQLite file: write-ahead log, every commit on disk.
pub fn sqlite(path: &Path) -> sqlx::sqlite::SqliteConnectOptions {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(std::time::Duration::from_secs(10))
}
