//! What the gateway says about itself while it runs: `tracing` events, for people or as JSON lines.
//!
//! Invariant: no personal data; spans and events carry identifiers, codes, counts and times.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogSettings;

/// Starts logging to standard error; a second start in the same process changes nothing.
pub fn start(settings: &LogSettings) {
    // The filter was checked with the configuration.
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // Fails only when something in this process logs already, such as another gateway of a demonstration.
    let _ = if settings.json {
        // One object per line: the event's own fields beside the time, and the request that it belongs to in `span`.
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).with_ansi(false).try_init()
    } else {
        builder.with_target(false).try_init()
    };
}
