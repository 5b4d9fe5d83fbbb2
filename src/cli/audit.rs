//! `sluis audit verify`: is the audit log as it was written?
//!
//! Invariant: it only reads, on one frozen picture of the database, so it can run while the gateway does. Exit code 0 means
//! that everything was recomputed and fits; 1 that something does not.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::audit::checkpoint::{VerifierKey, has_form};
use crate::audit::{Report, Trust, verify, verify_since_kept};
use crate::config::{self, Config};
use crate::ids::Entropy;
use crate::problem::Problem;
use crate::retention;
use crate::storage::seal::Sealer;
use crate::storage::{Db, StorageSettings};

/// The commands about the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Recomputes the whole log and names the first record that was changed, removed or inserted
    Verify(VerifyArguments),
}

/// How the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object for programs.
    Json,
}

/// What to verify, and what to trust beforehand.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// The gateway's configuration: it names the database and the key under which records were sealed
    #[arg(long, value_name = "FILE", default_value = "sluis.toml")]
    pub config: PathBuf,
    /// A checkpoint that was kept outside the database (saved from /log/checkpoint): the log must still contain its tree
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Verify only what came after the checkpoint of --checkpoint, up to which the log was verified before
    #[arg(long, requires = "checkpoint")]
    pub since_checkpoint: bool,
    /// Trust this key for checkpoints (name+id+key), and none of those in the database; can be given more than once
    #[arg(long = "trusted-key", value_name = "KEY")]
    pub trusted_keys: Vec<String>,
    /// How to print the outcome
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs a command. `keys` finds the public keys with which this gateway signed or signs checkpoints; it must derive them
/// from private keys that open with the sealer, never take them from a column, which anyone at the database could write.
///
/// # Errors
/// One line with what could not be read, where, and what to do.
pub async fn run(
    command: &AuditCommand,
    keys: impl AsyncFnOnce(&Config, &Db, &Sealer) -> Result<Vec<VerifierKey>, Problem>,
) -> Result<ExitCode, String> {
    let AuditCommand::Verify(arguments) = command;
    let report = examine(arguments, keys).await?;
    let text = match arguments.output {
        Output::Text => report.to_string(),
        Output::Json => serde_json::to_string_pretty(&report).map_err(|_| "the report cannot be written as JSON")?,
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {}", error.kind()))?;
    Ok(if report.intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(
    arguments: &VerifyArguments,
    keys: impl AsyncFnOnce(&Config, &Db, &Sealer) -> Result<Vec<VerifierKey>, Problem>,
) -> Result<Report, String> {
    let config = config::load(&arguments.config, std::env::vars()).map_err(|error| error.to_string())?;
    let secrets = config.keys.read().map_err(|mistakes| {
        let lines: Vec<String> =
            mistakes.iter().map(|mistake| format!("{}: {mistake}", arguments.config.display())).collect();
        lines.join("\n")
    })?;
    let sealer = Sealer::new(secrets.key_encryption_key, secrets.former_key_encryption_keys, Entropy::system());
    // One connection for the frozen picture, one for the keys.
    let settings = StorageSettings { readers: 2, writers: 1, ..config.storage.clone() };
    let db = Db::open(&settings).await.map_err(|error| format!("the database cannot be opened: {error}"))?;
    let trusted = if arguments.trusted_keys.is_empty() {
        keys(&config, &db, &sealer)
            .await
            .map_err(|problem| format!("the keys of checkpoints cannot be read: {}", super::told_of(&problem)))?
    } else {
        arguments.trusted_keys.iter().map(|text| trusted_key(text)).collect::<Result<_, _>>()?
    };
    let kept = arguments.checkpoint.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {}", path.display(), error.kind()))
    });
    let kept = kept.transpose()?;
    // Another file than a checkpoint says nothing about the log.
    if let (Some(path), Some(text)) = (&arguments.checkpoint, &kept)
        && !has_form(text)
    {
        return Err(format!("{}: is no checkpoint; name a file with what /log/checkpoint answered", path.display()));
    }
    let trust = Trust { keys: &trusted, seals: &sealer, kept: kept.as_deref() };
    let mut picture = db.snapshot().await.map_err(|error| format!("the database cannot be read: {error}"))?;
    let report = if arguments.since_checkpoint {
        verify_since_kept(&mut picture, &trust).await
    } else {
        verify(&mut picture, &trust).await
    };
    let unreadable = |error| format!("the database cannot be read: {error}");
    let mut report = report.map_err(unreadable)?;
    retention::verify(&mut picture, &mut report).await.map_err(unreadable)?;
    Ok(report.finish())
}

fn trusted_key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).ok_or_else(|| {
        "--trusted-key: expected name+id+key, as the gateway publishes it for /log/checkpoint".to_owned()
    })
}
