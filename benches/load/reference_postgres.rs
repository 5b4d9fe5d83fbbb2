//! What bare PostgreSQL does with the rows of a referral, driven by its own `pgbench`: one durable transaction per referral, one
//! prepared statement per table, as many connections as the gateway has clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use sluis::storage::{Db, StorageSettings};
use sqlx::{Connection as _, PgConnection};

use crate::Outcome;
use crate::database::Server;
use crate::load::Times;
use crate::requests::RESIDENTS;
use crate::statistics::Measured;
use crate::template::{Cell, Insert, Key};

/// The schema with the copy of the gateway's tables and indexes.
const SCHEMA: &str = "reference";

/// A `pgbench` with its script.
pub struct Pgbench {
    program: PathBuf,
    folder: PathBuf,
    url: String,
}

/// How `pgbench` sends the statements of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Each after the answer to the one before.
    OneByOne,
    /// All at once, as a pipeline.
    Pipeline,
}

impl Style {
    const fn file(self) -> &'static str {
        match self {
            Self::OneByOne => "one-by-one.sql",
            Self::Pipeline => "pipeline.sql",
        }
    }
}

impl Pgbench {
    /// Makes the tables and writes the scripts.
    pub async fn prepare(server: &Server, folder: &Path, inserts: &[Insert]) -> Outcome<Self> {
        let program = find().ok_or("pgbench is neither on the PATH nor below /usr/lib/postgresql")?;
        let mut connection = PgConnection::connect(&server.url).await?;
        sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS reference").execute(&mut connection).await?;
        let url = format!("{}?options=-csearch_path%3D{SCHEMA}%20-csynchronous_commit%3Don", server.url);
        // Opening it makes the tables.
        drop(Db::open(&StorageSettings { url: url.clone(), readers: 1, writers: 1 }).await?);
        let folder = folder.join("pgbench");
        std::fs::create_dir_all(&folder)?;
        for style in [Style::OneByOne, Style::Pipeline] {
            std::fs::write(folder.join(style.file()), script(inserts, style))?;
        }
        Ok(Self { program, folder, url })
    }

    /// Runs it with so many connections.
    pub async fn measure(&self, connections: usize, style: Style, times: Times) -> Outcome<Measured> {
        self.run(connections, style, times.warm_up.as_secs().max(1)).await?;
        for log in self.logs()? {
            std::fs::remove_file(log)?;
        }
        self.run(connections, style, times.time.as_secs()).await?;
        let mut latencies = Vec::new();
        for log in self.logs()? {
            // client, transaction, microseconds, script, and when it ended.
            let text = std::fs::read_to_string(&log)?;
            latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
            std::fs::remove_file(log)?;
        }
        Measured::of(latencies, times.time).ok_or_else(|| "pgbench logged no transaction".into())
    }

    async fn run(&self, connections: usize, style: Style, seconds: u64) -> Outcome<()> {
        let mut command = Command::new(&self.program);
        let threads = connections.min(2);
        command
            .current_dir(&self.folder)
            .args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=transactions", "--file", style.file()])
            .args(["--client", &connections.to_string(), "--jobs", &threads.to_string()])
            .args(["--time", &seconds.to_string()])
            // Keys of an earlier run are not used again.
            .args(["--define", &format!("first={}", (uuid::Uuid::now_v7().as_u128() >> 80) * 100)])
            .arg(&self.url);
        let told = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = [told.stdout, told.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        if told.status.success() && !text.contains("aborted") {
            return Ok(());
        }
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("error") || line.contains("aborted")).collect();
        Err(format!("pgbench: {}", lines.first().unwrap_or(&"it failed without a word")).into())
    }

    fn logs(&self) -> Outcome<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("transactions.") {
                logs.push(entry.path());
            }
        }
        Ok(logs)
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.filter_map(|version| Some(version.ok()?.path().join("bin"))));
    }
    folders.into_iter().map(|folder| folder.join("pgbench")).find(|program| program.is_file())
}

fn script(inserts: &[Insert], style: Style) -> String {
    // Each client counts for itself; its number keeps it apart from the others.
    let residents = RESIDENTS.len();
    let mut script = format!(
        "\\set first :first + 1\n\\set number :first * 1000 + :client_id\n\
         \\set resident (:client_id * 7 + :first % 7) % {residents}\n"
    );
    if style == Style::Pipeline {
        script.push_str("\\startpipeline\n");
    }
    script.push_str("BEGIN;\n");
    for insert in inserts {
        script.push_str(&insert.sql(literal));
        script.push_str(";\n");
    }
    script.push_str("COMMIT;\n");
    if style == Style::Pipeline {
        script.push_str("\\endpipeline\n");
    }
    script
}

fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Bytes(bytes) => format!("'\\x{}'::bytea", hex::encode(bytes)),
        // A colon would begin a variable of pgbench.
        Cell::Text(text) => {
            let text = text.replace('\\', "\\\\").replace('\'', "''").replace(':', "\\003A");
            format!("U&'{text}'")
        }
        Cell::Key(Key::Fresh(which)) => format!("'{which:02}' || lpad(to_hex(:number::bigint), 34, '0')"),
        Cell::Key(key) => format!("lpad(to_hex(:resident::bigint), {}, '0')", key.length()),
    }
}
