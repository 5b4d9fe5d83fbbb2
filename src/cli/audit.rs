//! `sluis audit verify`: is the audit log as it was written?
//!
//! Invariant: it only reads, on one frozen picture of the database, so it can run while the gateway does. Exit code 0 means
//! that everything was recomputed and fits; 1 that something does not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Ended, Output, open_app, print, print_json};
use crate::app::App;
use crate::audit::checkpoint::VerifierKey;
use crate::audit::{Report, Trust, verify};

/// The commands about the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Recomputes the whole log and names the first record that was changed, removed or inserted
    Verify(VerifyArguments),
}

/// What to verify, and what to trust beforehand.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The gateway's configuration: it names the database and the key under which records were sealed
    #[arg(long, value_name = "FILE", default_value = "sluis.toml")]
    pub(crate) config: PathBuf,
    /// A checkpoint that was kept outside the database (saved from /log/checkpoint): the log must still contain its tree
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Trust this key for checkpoints (name+id+key), and none of those in the database; can be given more than once
    #[arg(long = "trusted-key", value_name = "KEY")]
    pub(crate) trusted_keys: Vec<String>,
    /// How to print the outcome
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Runs a command.
pub(crate) async fn run(command: &AuditCommand) -> Ended {
    let AuditCommand::Verify(arguments) = command;
    let app = open_app(&arguments.config).await?;
    let report = examine(&app, arguments).await?;
    match arguments.output {
        Output::Text => print(&report.to_string())?,
        Output::Json => print_json(&report)?,
    }
    Ok(if report.intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(app: &App, arguments: &VerifyArguments) -> Result<Report, String> {
    let trusted = if arguments.trusted_keys.is_empty() {
        // They follow from private keys that open under the key-encryption key; one that somebody put into the database
        // is not among them.
        let signer = app.log_signer().await;
        signer.map_err(|problem| format!("the keys of checkpoints cannot be read: {problem}"))?.known_keys()
    } else {
        arguments.trusted_keys.iter().map(|text| trusted_key(text)).collect::<Result<_, _>>()?
    };
    let kept = arguments.checkpoint.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {}", path.display(), error.kind()))
    });
    let kept = kept.transpose()?;
    let trust = Trust { keys: &trusted, seals: &app.sealer, kept: kept.as_deref() };
    let unreadable = |error| format!("the database cannot be read: {error}");
    let mut picture = app.db.snapshot().await.map_err(unreadable)?;
    verify(&mut picture, &trust).await.map_err(unreadable)
}

fn trusted_key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).ok_or_else(|| {
        "--trusted-key: expected name+id+key, as the gateway publishes it for /log/checkpoint".to_owned()
    })
}
