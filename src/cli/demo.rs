//! `sluis demo`: the whole thing on this machine with nothing to prepare.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Ended;
use super::serve::until_told;
use crate::config::LogSettings;
use crate::demo::evening::{self, Wishes};
use crate::demo::words::Language;
use crate::telemetry;

/// What can be asked of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Stop after the table; exit code 0 only if every scenario ended as it should
    #[arg(long)]
    once: bool,
    /// Keep the data in this folder, and go on with what is there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port of the gateway (default: 8443, or another when that is taken)
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The language of the narration (default: Dutch where the system's language is Dutch, else English)
    #[arg(long, value_enum)]
    language: Option<Language>,
}

pub(super) async fn run(arguments: DemoArguments) -> Ended {
    // The story is on standard output; only what needs attention comes between.
    telemetry::start(&LogSettings { json: false, filter: "warn,sluis::covenant=error".to_owned() });
    let DemoArguments { once, data, port, language } = arguments;
    let language = language.unwrap_or_else(language_of_system);
    let told = async {
        if let Err(error) = until_told().await {
            tracing::error!(error, "the demo cannot be told to stop");
            std::future::pending::<()>().await;
        }
    };
    match evening::give(&Wishes { data, port, once, language }, told).await {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error.to_string()),
    }
}

/// The language that POSIX's variables name.
fn language_of_system() -> Language {
    let named =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
    if named.is_some_and(|name| name.starts_with("nl")) { Language::Nl } else { Language::En }
}
