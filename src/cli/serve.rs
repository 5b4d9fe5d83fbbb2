//! `sluis serve`: the gateway, until it is told to stop.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArguments, Ended, in_file, print, read_config};
use crate::app::Application;
use crate::clock::Clock;
use crate::telemetry;

pub(super) async fn run(arguments: &ConfigArguments) -> Ended {
    let config = read_config(&arguments.config)?;
    telemetry::start(&config.log);
    let application = Application::build(config, Clock::system())
        .await
        .map_err(|error| in_file(&arguments.config, &error.to_string()))?;
    let address = application.address();
    let running = application.start();
    if let Some(operations) = running.operations() {
        print(&format!("health and metrics on http://{operations}"))?;
    }
    print(&format!("listening on https://{address}"))?;
    until_told().await?;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn until_told() -> Result<(), String> {
    let unusable = |error: std::io::Error| format!("signals cannot be received: {}", error.kind());
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
