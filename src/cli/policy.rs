//! `sluis policy`: is the privacy protocol sound, do its examples hold, what holds for all requests, what would a draft change, why was
//! this decided.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{Ended, Output, complain, open_app, print, print_json, read_config};
use crate::clock::Timestamp;
use crate::covenant::Bundle;
use crate::policy::prove::{Solver, Unproven};
use crate::policy::{Engine, commands};
use crate::problem::Code;
use crate::replays::{Asked, EXAMPLES, PERIOD, what_if};

/// What a command ends with that cannot do its work without something that is missing.
const MISSING: u8 = 2;

/// The commands about the privacy protocol.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Is every rule well-typed, and does it mention only what the covenant knows?
    Check {
        #[command(flatten)]
        place: Place,
        /// Also print the permits that the rows of the covenant stand for, as Cedar
        #[arg(long)]
        show_permits: bool,
    },
    /// Do the example cases come out as they say?
    Test {
        #[command(flatten)]
        place: Place,
    },
    /// Do the invariants hold for all requests? Needs the solver cvc5 (exit code 2 where it is missing)
    Prove {
        #[command(flatten)]
        place: Place,
    },
    /// What would a draft change? Takes the decisions of the audit log again under it
    Impact(ImpactArguments),
    /// Why was this decided?
    #[command(group = clap::ArgGroup::new("what").required(true).args(["record", "case"]))]
    Explain {
        #[command(flatten)]
        place: Place,
        /// A case as in the files of cases, `-` for standard input
        #[arg(long, value_name = "FILE")]
        case: Option<PathBuf>,
        /// The id of a decision's record in the audit log
        #[arg(value_name = "RECORD")]
        record: Option<String>,
    },
}

/// Which draft, and which decisions.
#[derive(Debug, Args)]
pub(super) struct ImpactArguments {
    /// The folder of the draft
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Decisions from this moment (2026-11-01T00:00:00Z), or from the beginning of this day in UTC (2026-11-01); without it, those of the last thirty days
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    since: Option<Timestamp>,
    /// How many records are named of each kind of change
    #[arg(long, value_name = "NUMBER", default_value_t = EXAMPLES)]
    examples: usize,
    /// The configuration file: it names the database, and the keys that say whether a record is as it was written
    #[arg(long, value_name = "FILE", default_value = "sluis.toml")]
    config: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A moment, or a day for its beginning in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let at = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    at.parse().map_err(|_| "expected a moment such as 2026-11-01T00:00:00Z, or a day such as 2026-11-01".to_owned())
}

/// Where the policies are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The folder; without it, the one that the configuration names
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "sluis.toml")]
    config: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Place {
    fn folder(&self) -> Result<PathBuf, String> {
        match &self.policies {
            Some(folder) => Ok(folder.clone()),
            None => Ok(read_config(&self.config)?.policies.folder),
        }
    }
}

pub(super) async fn run(command: &PolicyCommand) -> Ended {
    match command {
        PolicyCommand::Check { place, show_permits } => {
            let folder = place.folder()?;
            let report = commands::check(&folder).map_err(|findings| findings.to_string())?;
            match place.output {
                Output::Json => print_json(&report)?,
                Output::Text => print(&report.to_string())?,
            }
            if *show_permits {
                print(&commands::generated(&folder).map_err(|findings| findings.to_string())?)?;
            }
        }
        PolicyCommand::Test { place } => {
            let report = commands::test(&place.folder()?).map_err(|findings| findings.to_string())?;
            match place.output {
                Output::Json => print_json(&report)?,
                Output::Text => print(&report.to_string())?,
            }
            if !report.ok() {
                return Ok(ExitCode::FAILURE);
            }
        }
        PolicyCommand::Prove { place } => return prove(place).await,
        PolicyCommand::Impact(arguments) => impact(arguments).await?,
        PolicyCommand::Explain { place, case, record } => {
            let explanation = match (case, record) {
                (Some(case), _) => {
                    commands::explain(&place.folder()?, &read(case)?).map_err(|findings| findings.to_string())?
                }
                (None, Some(record)) => explain_record(&place.config, record).await?,
                (None, None) => return Err("name a record, or a case with --case".into()),
            };
            match place.output {
                Output::Json => print_json(&explanation)?,
                Output::Text => print(&format!("{}\n\n{}", explanation.nl(), explanation.en()))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn prove(place: &Place) -> Ended {
    let folder = place.folder()?;
    let proving = tokio::task::spawn_blocking(move || commands::prove(&folder, &Solver::of_environment()));
    let proof = match proving.await.map_err(|error| error.to_string())? {
        Ok(proof) => proof,
        Err(Unproven::NoSolver(missing)) => {
            complain(&missing.to_string());
            return Ok(ExitCode::from(MISSING));
        }
        Err(error) => return Err(error.to_string()),
    };
    match place.output {
        Output::Json => print_json(&proof)?,
        Output::Text => print(&proof.to_string())?,
    }
    Ok(if proof.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn impact(arguments: &ImpactArguments) -> Result<(), String> {
    let bundle = Bundle::from_folder(&arguments.policies).map_err(|findings| findings.to_string())?;
    let draft = Engine::of_draft(&bundle).map_err(|findings| findings.to_string())?;
    let app = open_app(&arguments.config).await?;
    let since = arguments.since.unwrap_or_else(|| app.now().minus(PERIOD));
    // All of them: a command keeps nobody waiting, and reads page by page.
    let asked = Asked { since, before: None, records: usize::MAX, examples: arguments.examples };
    let found = what_if(&app, &Arc::new(draft), asked).await;
    let (impact, _) = found.map_err(|problem| super::told_of(&problem))?;
    match arguments.output {
        Output::Json => print_json(&impact),
        Output::Text => print(&impact.to_string()),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let text =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    text.map_err(|error| format!("{} {}", file.display(), crate::config::unreadable(&error)))
}

async fn explain_record(config: &Path, record: &str) -> Result<crate::policy::explain::Explanation, String> {
    if record.parse::<uuid::Uuid>().is_err() {
        return Err("RECORD: expected the id of a record in the audit log, a UUID".into());
    }
    let app = open_app(config).await?;
    crate::replays::explain_record(&app, record).await.map_err(|problem| match problem.code() {
        Code::NotFound => "RECORD: the audit log of this database has no such record".into(),
        _ => super::told_of(&problem),
    })
}
