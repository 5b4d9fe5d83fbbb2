//! The command line: one file per command.
//!
//! Exit codes: 0 fine, 1 the check failed or the command could not be carried out, 2 wrong usage, or something that the command
//! needs is missing. Errors are one line (or one per
//! mistake) with what, where and what to do; never a backtrace, never personal data.

mod audit;
mod config;
mod covenant;
mod db;
mod demo;
mod openapi;
mod organisation;
mod pki;
mod policy;
mod section;
mod serve;
mod token;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::audit::checkpoint::VerifierKey;
use crate::clock::Clock;
use crate::config::Config;
use crate::organisations::credentials::{KeyKeeper, LogSigner};
use crate::problem::Problem;
use crate::storage::Db;
use crate::storage::seal::Sealer;

/// Relays case referrals between organisations under a signed covenant.
#[derive(Debug, Parser)]
#[command(name = "sluis", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole thing on this machine: six organisations, a real gateway, the scenarios played through its API
    Demo(demo::DemoArguments),
    /// Run the gateway
    Serve(ConfigArguments),
    /// Look at a configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// The gateway's own certification authority
    #[command(subcommand)]
    Pki(pki::PkiCommand),
    /// The organisations that take part
    #[command(subcommand)]
    Organisation(organisation::OrganisationCommand),
    /// The covenant: check, write down, publish, sign, see who signed
    #[command(subcommand)]
    Covenant(covenant::CovenantCommand),
    /// The privacy protocol: is it sound, do its examples hold, what holds for all requests, what would a draft change, why was
    /// this decided
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Sections that only their recipient can read: keys, encrypting, decrypting
    #[command(subcommand)]
    Section(section::SectionCommand),
    /// The database
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Get an access token, for scripts
    Token(token::TokenArguments),
    /// Print the contract of the API
    Openapi(openapi::OpenapiArguments),
}

/// The configuration that a command works with.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "sluis.toml")]
    pub(crate) config: PathBuf,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
}

/// What a command ends with: its exit code, or what went wrong.
pub(crate) type Ended = Result<ExitCode, String>;

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    // `parse` ends the process with code 2 on wrong usage.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime cannot be started: {}", error.kind())),
    };
    match actix_web::rt::System::with_tokio_rt(|| runtime).block_on(dispatch(cli.command)) {
        Ok(code) => code,
        Err(message) => failed(&message),
    }
}

async fn dispatch(command: Command) -> Ended {
    match command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Serve(arguments) => serve::run(&arguments).await,
        Command::Config(command) => config::run(&command),
        Command::Pki(command) => pki::run(&command).await,
        Command::Organisation(command) => organisation::run(&command).await,
        Command::Covenant(command) => covenant::run(&command).await,
        Command::Policy(command) => policy::run(&command).await,
        Command::Audit(command) => audit::run(&command, checkpoint_keys).await,
        Command::Section(command) => section::run(&command).await,
        Command::Db(command) => db::run(&command).await,
        Command::Token(arguments) => token::run(&arguments).await,
        Command::Openapi(arguments) => openapi::run(&arguments),
    }
}

/// The public keys with which this gateway signs and signed checkpoints, from the private keys that its sealer opens.
async fn checkpoint_keys(config: &Config, db: &Db, sealer: &Sealer) -> Result<Vec<VerifierKey>, Problem> {
    let (oauth, now) = (&config.oauth, Clock::system().now());
    let lifetimes = (oauth.token_lifetime, oauth.signing_key_lifetime);
    let keeper = KeyKeeper::open(db.clone(), sealer.clone(), lifetimes.0, lifetimes.1, now).await?;
    Ok(LogSigner::new(keeper.ring(now).await?, crate::app::log_origin(config), now).known_keys())
}

fn failed(message: &str) -> ExitCode {
    complain(message);
    ExitCode::FAILURE
}

/// Says on standard error what is wrong.
pub(crate) fn complain(message: &str) {
    for line in message.lines() {
        // Nothing can be done when standard error is closed.
        let _ = writeln!(std::io::stderr(), "sluis: {line}");
    }
}

/// A problem in lines for people: everything that has to be mended, or else what happened.
pub(crate) fn told_of(problem: &Problem) -> String {
    told(&problem.to_json()).unwrap_or_default()
}

/// The same of a problem's body, which another gateway may have sent (RFC 9457); none where it says nothing.
pub(crate) fn told(body: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let line = |param: &Value| Some(format!("{}: {}", text(param, "name")?, text(param, "reason")?));
    let invalid = body.get("invalidParams").and_then(Value::as_array);
    let lines: Vec<String> = invalid.into_iter().flatten().filter_map(line).collect();
    if lines.is_empty() { text(body, "detail") } else { Some(lines.join("\n")) }
}

/// Prints a line; a closed pipe ends the command with an error instead of a panic.
pub(crate) fn print(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {}", error.kind()))
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), String> {
    print(&serde_json::to_string_pretty(value).map_err(|_| "the answer cannot be written as JSON".to_owned())?)
}

/// Reads a configuration with the environment's overrides.
pub(crate) fn read_config(file: &Path) -> Result<Config, String> {
    crate::config::load(file, std::env::vars()).map_err(|error| error.to_string())
}

/// A message of one or more lines, each with the file that it is about.
pub(crate) fn in_file(file: &Path, message: &str) -> String {
    message.lines().map(|line| format!("{}: {line}", file.display())).collect::<Vec<_>>().join("\n")
}

/// Opens what a command works on: the same store that a running gateway uses.
pub(crate) async fn open_app(file: &Path) -> Result<App, String> {
    App::open(read_config(file)?, Clock::system()).await.map_err(|error| in_file(file, &error.to_string()))
}
