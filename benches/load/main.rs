//! How fast the whole gateway is: `cargo bench --bench load`.
//!
//! Starts everything itself on this machine (gateway, load client, partner systems, references), measures, prints one table and
//! leaves nothing behind. What is measured against what, and how to read it: `docs/performance.md`. Invariants: no figure is
//! printed that this run did not measure; an answer other than the expected one fails the run; what was started is ended and
//! what was made is removed, also after a failure.

mod accepts;
mod client;
mod database;
mod disclosures;
mod disk;
mod flatness;
mod gateway;
mod load;
mod machine;
mod options;
mod polling;
mod process;
mod receiver;
mod reference_postgres;
mod reference_sqlite;
mod report;
mod requests;
mod run;
mod scripts;
mod seed;
mod seed_rows;
mod startup;
mod static_server;
mod statistics;
mod template;
mod webhooks;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use options::Options;

/// Why a measurement could not be made, in words for whoever reads the table.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result of the benchmark's own.
type Outcome<T> = Result<T, Failure>;

fn main() -> ExitCode {
    let options = Options::parse();
    // What the parts of the gateway that run in this process have to complain about.
    let complaints = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_ansi(false);
    complaints.with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let ended = if let Some(server) = &options.static_server {
        // In this process nothing else runs; it ends with its parent.
        actix_web::rt::System::with_tokio_rt(|| runtime).block_on(static_server::serve(server))
    } else {
        runtime.block_on(run::everything(&options))
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => failed("not everything was as expected; see FAILED in the table"),
        Err(failure) => failed(&failure.to_string()),
    }
}

fn failed(message: &str) -> ExitCode {
    say(&format!("load: {message}"));
    ExitCode::FAILURE
}

/// Tells how far it is, apart from the table, which goes to standard output.
fn say(line: &str) {
    // Nothing can be done when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
