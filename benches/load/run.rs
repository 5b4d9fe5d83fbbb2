//! A whole run: looks around, makes databases and folders, has every part measured, prints the table, and removes what it made.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use sluis::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::database::{Kind, Server};
use crate::gateway::Stage;
use crate::load::Times;
use crate::machine::{self, Machine};
use crate::options::{Databases, Options, Part};
use crate::report::{Found, Line, Report};
use crate::{Failure, Outcome, accepts, disclosures, disk, flatness, polling, say, startup, webhooks};

/// What every part works with.
pub struct Context<'a> {
    /// What is asked.
    pub options: &'a Options,
    /// What was found so far.
    pub report: &'a mut Report,
    /// The gateway's data.
    pub stage: Stage,
    /// For how long.
    pub times: Times,
    server: Option<&'a Server>,
    known: &'a mut BTreeMap<String, Found>,
}

impl Context<'_> {
    /// The PostgreSQL server, when this is measured on PostgreSQL.
    pub const fn server(&self) -> Option<&Server> {
        self.server
    }

    /// A reference that does not depend on the database, when it was measured before in this run.
    pub fn known(&self, name: &str) -> Option<Found> {
        self.known.get(name).cloned()
    }

    /// Keeps such a reference.
    pub fn remember(&mut self, name: String, found: &Found) {
        self.known.insert(name, found.clone());
    }
}

/// A folder that is gone when this is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs everything that is asked for; whether nothing failed.
pub async fn everything(options: &Options) -> Outcome<bool> {
    let folder = Temporary(options.folder.join(format!("sluis-load-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let mut report = Report { machine: Machine::look(options, &Clock::system().now().to_string()), lines: Vec::new() };
    if machine::is_in_memory(&folder.0) {
        return Err(format!("{} is in memory only; name a folder on a disk with --folder", folder.0.display()).into());
    }
    let server = if options.database == Databases::Sqlite { None } else { Some(Server::make().await) };
    let measured = AssertUnwindSafe(databases(options, &mut report, &folder.0, server.as_ref())).catch_unwind();
    let ended = tokio::select! {
        ended = measured => ended.unwrap_or_else(|_| Err("the benchmark panicked".into())),
        () = told_to_stop() => Err("interrupted".into()),
    };
    if let Some(Ok(server)) = &server
        && let Err(error) = server.drop().await
    {
        say(&format!("load: the database could not be dropped: {error}"));
    }
    if !report.lines.is_empty() {
        writeln!(std::io::stdout(), "\n{}", report.markdown())?;
        for file in &options.output {
            report.write(file)?;
        }
    }
    ended?;
    Ok(report.is_fine())
}

/// Waits for SIGINT or SIGTERM; for ever where they cannot be received.
async fn told_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn databases(
    options: &Options,
    report: &mut Report,
    folder: &Path,
    server: Option<&Outcome<Server>>,
) -> Outcome<()> {
    let floor = disk::durable_appends(folder, options.time());
    report.add(Line::new("The disk", "8 KiB appended and on disk (fdatasync), one after the other", None, floor));
    let mut known = BTreeMap::new();
    if options.database != Databases::Postgres {
        let folder = folder.join("sqlite");
        one(options, report, (Kind::Sqlite, &folder), None, &mut known).await?;
    }
    match server {
        None => {}
        Some(Ok(server)) => {
            report.machine.note("PostgreSQL", server.describe().await?);
            one(options, report, (Kind::Postgres, &folder.join("postgres")), Some(server), &mut known).await?;
        }
        Some(Err(error)) => {
            let why =
                Found::Skipped(format!("no PostgreSQL server can be used ({error}); name one in SLUIS_TEST_POSTGRES"));
            report.add(Line::new("PostgreSQL", "everything on PostgreSQL", Some(Kind::Postgres), why));
        }
    }
    Ok(())
}

async fn one(
    options: &Options,
    report: &mut Report,
    (kind, folder): (Kind, &Path),
    server: Option<&Server>,
    known: &mut BTreeMap<String, Found>,
) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let storage = match server {
        Some(server) => server.url.clone(),
        None => format!("sqlite:{}", folder.join("sluis.db").display()),
    };
    let stage = Stage::found(kind, folder.to_owned(), storage).await?;
    let times = Times { warm_up: options.warm_up(), time: options.time() };
    let mut context = Context { options, report, stage, times, server, known };
    for part in [Part::Startup, Part::Accepts, Part::Webhooks, Part::Disclosures, Part::Polling, Part::Stored] {
        if !options.wants(part) {
            continue;
        }
        let ended = match part {
            Part::Accepts => accepts::measure(&mut context).await,
            Part::Webhooks => webhooks::measure(&mut context).await,
            Part::Disclosures => disclosures::measure(&mut context).await,
            Part::Polling => polling::measure(&mut context).await,
            Part::Startup => startup::measure(&mut context).await,
            Part::Stored => flatness::measure(&mut context).await,
        };
        if let Err(failure) = ended {
            let name = format!("{part:?}").to_lowercase();
            context.report.add(Line::new("Parts that failed", name, Some(kind), failed(&failure)));
        }
    }
    Ok(())
}

fn failed(failure: &Failure) -> Found {
    Found::Failed(failure.to_string())
}
