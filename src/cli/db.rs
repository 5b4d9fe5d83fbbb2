//! `sluis db migrate`: bring a database up to date.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigArguments, Ended, print, read_config};
use crate::storage::{Db, KeyStore};

/// The commands about the database.
#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Make or update the tables; a gateway does the same at its start
    Migrate(ConfigArguments),
}

pub(super) async fn run(command: &DbCommand) -> Ended {
    let DbCommand::Migrate(ConfigArguments { config: file }) = command;
    let config = read_config(file)?;
    Db::open(&config.storage).await.map_err(|error| format!("{}: storage.url: {error}", file.display()))?;
    KeyStore::migrate(&config.key_store)
        .await
        .map_err(|error| format!("{}: storage.keys_url: {error}", file.display()))?;
    print("the database is up to date")?;
    Ok(ExitCode::SUCCESS)
}
