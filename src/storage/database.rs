//! Opening a database, and the two ways in: readers and writers.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::connection::Query as _;
use super::connection::{Connection, Pool};
use super::ground::Ground;
use super::migrations::Migrations;
use super::writer::{self, Named, QUEUE, Queue, Submission};
use super::{Args, Error, Meters, Reader, Snapshot, Tx, migrations};
use crate::problem::{Code, Problem};

/// Which database to open.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// `sqlite:PATH` or `postgres://USER@HOST:PORT/DATABASE`.
    pub url: String,
    /// Connections for reading.
    pub readers: u32,
    /// Writers; `SQLite` always has one.
    pub writers: usize,
}

/// A database that is open; copies share it.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    asked: Arc<AtomicU64>,
    queue: mpsc::Sender<Submission>,
    committed: watch::Sender<u64>,
    address: Address,
}

/// What every connection to PostgreSQL is set to, whatever the server's own defaults. What is accepted is on disk. Every statement is planned
/// once: planning anew for each list of rows would cost more than the rows. A plan that is made once knows no values, and so takes a page
/// for a tenth of its table: it would sort the table. Every statement here has a way along an index, and these settings make the planner take it.
/// They do so by pricing the other ways beyond measure, and a statement that cannot do without a small sort bears that price too: the server
/// would take it for a heavy one and compile it, for 300 ms on each connection.
const POSTGRES_SETTINGS: [(&str, &str); 5] = [
    ("synchronous_commit", "on"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

#[derive(Clone)]
enum Address {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Address {
    fn parse(url: &str) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(
                SqliteConnectOptions::new()
                    .filename(PathBuf::from(path))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    // What is deleted or replaced leaves no bytes behind in its page.
                    .pragma("secure_delete", "ON")
                    .busy_timeout(Duration::from_secs(10))
                    .disable_statement_logging(),
            ));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options: PgConnectOptions = url.parse().map_err(|_| {
                Error::Address("the database address is not of the form postgres://user@host/database".into())
            })?;
            return Ok(Self::Postgres(
                options.options(POSTGRES_SETTINGS).application_name("sluis").disable_statement_logging(),
            ));
        }
        Err(Error::Address("the database address must start with sqlite: or postgres://".into()))
    }

    async fn connect(&self) -> Result<Connection, Error> {
        Ok(match self {
            Self::Sqlite(options) => Connection::Sqlite(options.connect().await?),
            Self::Postgres(options) => Connection::Postgres(options.connect().await?),
        })
    }

    async fn pool(&self, readers: u32) -> Result<Pool, Error> {
        Ok(match self {
            Self::Sqlite(options) => Pool::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(readers)
                    .test_before_acquire(false)
                    .connect_with(options.clone())
                    .await?,
            ),
            Self::Postgres(options) => Pool::Postgres(
                PgPoolOptions::new()
                    .max_connections(readers)
                    .acquire_timeout(Duration::from_secs(10))
                    // A broken connection shows at the statement itself; asking first would double the round trips.
                    .test_before_acquire(false)
                    .connect_with(options.clone())
                    .await?,
            ),
        })
    }
}

impl Db {
    /// Opens the database, brings its tables up to date and starts its writers.
    ///
    /// # Errors
    /// When the address is malformed, the database cannot be reached, or it was made by a newer version.
    pub async fn open(settings: &StorageSettings) -> Result<Self, Error> {
        Self::open_with(settings, Meters::default()).await
    }

    /// As [`Db::open`], and tells of what it does.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_with(settings: &StorageSettings, meters: Meters) -> Result<Self, Error> {
        Self::open_as(settings, migrations::MAIN, meters).await
    }

    /// Opens a database of this kind.
    pub(super) async fn open_as(
        settings: &StorageSettings,
        migrations: Migrations,
        meters: Meters,
    ) -> Result<Self, Error> {
        let address = Address::parse(&settings.url)?;
        migrations::run(address.connect().await?, migrations).await?;
        let pool = address.pool(settings.readers).await?;
        let committed = watch::Sender::new(0);
        let count = if matches!(address, Address::Sqlite(_)) { 1 } else { settings.writers.max(1) };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for index in 0..count {
            start_writer(index, &waiting, &address, &committed, meters.clone())?;
        }
        Ok(Self { pool, asked: Arc::default(), queue, committed, address })
    }

    /// Sees to it that of what was deleted no bytes are left behind in this database's own files: SQLite's journal is emptied into the file,
    /// where `secure_delete` has overwritten them; PostgreSQL gives the rows up.
    ///
    /// # Errors
    /// When the database fails, or somebody reads for so long that it cannot be done now.
    pub(super) async fn leave_no_traces(&self, vacuum: &'static str) -> Result<(), Error> {
        let mut connection = self.address.connect().await?;
        if connection.is_postgres() {
            return connection.script(vacuum).await;
        }
        for _ in 0..CHECKPOINT_ATTEMPTS {
            match connection.rows("PRAGMA wal_checkpoint(TRUNCATE)", Args::new()).await {
                Ok(rows) if rows.first().map_or(Ok(false), |row| row.flag("busy"))? => {}
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error),
            }
            // Another gateway, or another task of this one, does the same at this moment.
            tokio::time::sleep(CHECKPOINT_REST).await;
        }
        Err(Error::Conflict)
    }

    /// How many changes wait for a writer.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// The connections for reading: how many there are, and how many of them are free.
    #[must_use]
    pub fn pool_size(&self) -> (usize, usize) {
        self.pool.size()
    }

    /// Reads what is committed.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { pool: self.pool.clone(), asked: Arc::clone(&self.asked) }
    }

    /// How many statements its readers have run since it was opened: what an answer costs must not grow with what it tells of.
    #[must_use]
    pub fn statements_read(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Reads one frozen picture of the whole database.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.pool.snapshot().await
    }

    /// Changes whenever this process has committed something that must be sequenced.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Runs `job` inside a transaction that it shares with its neighbours, and answers after the commit. An `Err`
    /// undoes this job only. The job may run more than once (after a conflict on `PostgreSQL`), so it must do nothing
    /// but read and write through the [`Tx`] it gets.
    ///
    /// # Errors
    /// The job's own, or the storage's when the change could not be made durable; 503 when the disk is so slow that no room
    /// for another change came free in time.
    pub async fn write<T, F>(&self, name: &'static str, job: F) -> Result<T, Problem>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Problem> + Send + 'static,
        T: Send + 'static,
    {
        self.write_on(Ground::default(), name, job).await
    }

    /// As [`Db::write`], but only if what the change rests on still holds.
    ///
    /// # Errors
    /// As [`Db::write`]; [`Problem::stale`] when the ground has moved.
    pub async fn write_on<T, F>(&self, ground: Ground, name: &'static str, job: F) -> Result<T, Problem>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Problem> + Send + 'static,
        T: Send + 'static,
    {
        let place = tokio::time::timeout(PATIENCE, self.queue.reserve()).await;
        let place = place.map_err(|_| full())?.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        place.send(Submission { job: Box::new(Named { name, job }), ground, reply });
        let result: Box<dyn Any + Send> = answer.await.map_err(|_| Error::Closed)??;
        result
            .downcast::<T>()
            .map(|result| *result)
            .map_err(|_| Problem::internal("a change answered with another type"))
    }
}

/// How often emptying the journal is tried while others do the same or read, and how long it rests in between.
const CHECKPOINT_ATTEMPTS: u32 = 40;
const CHECKPOINT_REST: Duration = Duration::from_millis(25);

/// How long a change may wait for room in the queue; the queue is full only while the disk cannot keep up.
const PATIENCE: Duration = Duration::from_secs(2);

fn full() -> Problem {
    Problem::new(Code::Unavailable, "the storage cannot keep up; nothing was stored, try again after a moment")
}

fn start_writer(
    index: usize,
    queue: &Queue,
    address: &Address,
    committed: &watch::Sender<u64>,
    meters: Meters,
) -> Result<(), Error> {
    let (queue, address, committed) = (Arc::clone(queue), address.clone(), committed.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Driver(sqlx::Error::Io(error)))?;
    // A thread with its own small runtime: jobs are futures that never move between threads, so they may borrow.
    std::thread::Builder::new()
        .name(format!("sluis-writer-{index}"))
        .spawn(move || runtime.block_on(writer::run(queue, || address.connect(), committed, meters)))
        .map(drop)
        .map_err(|error| Error::Driver(sqlx::Error::Io(error)))
}
