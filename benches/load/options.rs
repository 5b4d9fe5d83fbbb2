//! What is asked of a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures a whole gateway on this machine.
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
pub struct Options {
    /// On which database
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    pub database: Databases,
    /// Seconds per measurement; a fifth of it, at least one second, goes before it as warm-up
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How many referrals are stored when the same operations are measured again; several are separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [0, 10_000])]
    pub stored: Vec<u64>,
    /// Two seconds per measurement: to see that it runs, not to judge by
    #[arg(long)]
    pub quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
    /// Also writes the table to this file: JSON when its name ends in .json, else Markdown; can be given more than once
    #[arg(long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Where databases and keys are kept while it runs; a folder on the disk that is meant
    #[arg(long, value_name = "FOLDER", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub folder: PathBuf,
    /// Given by `cargo bench`; means nothing here
    #[arg(long, hide = true)]
    pub bench: bool,
    /// For the copy of this program that answers without doing anything: the folder with its certificate
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub static_server: Option<PathBuf>,
}

/// Which databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Databases {
    /// A file.
    Sqlite,
    /// The server that `SLUIS_TEST_POSTGRES` names.
    Postgres,
    /// One after the other.
    Both,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Referrals accepted a second, memory, processor time.
    Accepts,
    /// From accepting to the webhook.
    Webhooks,
    /// Sections read by their recipient.
    Disclosures,
    /// Feeds read by a hundred organisations.
    Polling,
    /// From start to the first answer.
    Startup,
    /// The same operations with more and more stored.
    Stored,
}

impl Options {
    /// How long a measurement takes.
    pub fn time(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.seconds.max(1) })
    }

    /// How long the load runs before it is measured.
    pub fn warm_up(&self) -> Duration {
        (self.time() / 5).max(Duration::from_secs(1))
    }

    /// Whether this part is wanted.
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
