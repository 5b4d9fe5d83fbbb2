//! `sluis config check`: everything that is wrong with a configuration, in one go.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{check, unreadable};

use super::{ConfigArguments, Ended, print};

/// The commands about a configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say what is wrong with it, naming file, key and reason
    Check(ConfigArguments),
}

pub(super) fn run(command: &ConfigCommand) -> Ended {
    let ConfigCommand::Check(ConfigArguments { config: file }) = command;
    let config = check(file, std::env::vars()).map_err(|error| error.to_string())?;
    let mut wrong = Vec::new();
    if let Err(mistakes) = config.keys.read() {
        wrong.extend(mistakes.iter().map(ToString::to_string));
    }
    let mut readable = vec![
        ("api.certificate", &config.api.certificate),
        ("api.private_key", &config.api.private_key),
        ("pki.ca_certificate", &config.pki.ca_certificate),
        ("policies.folder", &config.policies.folder),
    ];
    readable.extend(config.pki.ca_private_key.iter().map(|path| ("pki.ca_private_key", path)));
    for anchor in &config.pki.anchors {
        readable.extend([("pki.anchors.certificate", &anchor.certificate), ("pki.anchors.crl", &anchor.crl)]);
    }
    readable.extend(config.relay.trusted_ca.iter().map(|path| ("relay.trusted_ca", path)));
    for (key, path) in readable {
        if let Err(error) = std::fs::metadata(path) {
            wrong.push(format!("{key}: {} {}", path.display(), unreadable(&error)));
        }
    }
    if let Err(findings) = crate::policy::commands::check(&config.policies.folder) {
        wrong.extend(findings.0.iter().map(|finding| format!("policies.folder: {finding}")));
    }
    if wrong.is_empty() {
        print(&format!("{}: fine", file.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(wrong.iter().map(|line| format!("{}: {line}", file.display())).collect::<Vec<_>>().join("\n"))
}
