//! How many referrals are accepted a second, durably; beside a static answer over the same network and beside the same rows
//! on the bare database. With it: memory, threads and processor time.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::client::{self, Connection};
use crate::database::{self, Kind};
use crate::gateway::{Authorization, Bearer, Gateway};
use crate::load::{Load, closed};
use crate::process::{self, Usage};
use crate::reference_postgres::{Pgbench, Style};
use crate::report::{Found, Line, Reference};
use crate::requests::{self, Case, RESIDENTS};
use crate::run::Context;
use crate::scripts::Referring;
use crate::statistics::Measured;
use crate::{Outcome, reference_sqlite, static_server, template};

const PART: &str = "Referrals accepted (201, on disk), body of 2 KiB, three sections";
/// On so many connections.
const CONNECTIONS: [usize; 3] = [1, 32, 128];
/// As many as where consents count.
const WITH_CONSENT: usize = 32;
/// How many referrals are stored.
pub const STORED: &str = "SELECT count(*) FROM referrals";

/// Processor time of the gateway and of its database so far.
#[derive(Clone, Copy)]
struct Busy {
    gateway: Duration,
    database: Option<Duration>,
}

async fn busy(context: &Context<'_>, gateway: &Gateway) -> Outcome<Busy> {
    let mut database = None;
    if let Some(server) = context.server() {
        let pids = server.backends().await?;
        let all: Vec<Duration> = pids.into_iter().filter_map(|pid| process::busy(pid).ok()).collect();
        database = (!all.is_empty()).then(|| all.iter().sum());
    }
    Ok(Busy { gateway: process::busy(gateway.pid())?, database })
}

/// One rate of accepting, with the processor time that it took.
struct Accepting {
    connections: usize,
    measured: Outcome<Measured>,
    /// Microseconds of processor time per referral, of the gateway and of the database.
    cost: Option<(f64, Option<f64>)>,
}

/// Measures the part.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let gateway = context.stage.serve()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = process::usage(gateway.pid())?;
    let before = database::count(&context.stage.storage, STORED).await?;
    let world = context.stage.world(&gateway)?;
    let target = context.stage.target(Case::ByLaw.sender(), gateway.port)?;
    let bearer = Bearer::of(&world, Case::ByLaw.sender()).await?;
    let (mut accepted, mut size, mut all) = (0, 0, Vec::new());
    for connections in CONNECTIONS {
        let scripts = Referring::scripts(Case::ByLaw, connections, &bearer, None);
        let last_size = scripts.first().map(|script| script.size.clone());
        let start = busy(context, &gateway).await?;
        let load = closed(&target, StatusCode::CREATED, context.times, scripts).await;
        let end = busy(context, &gateway).await?;
        size = last_size.map_or(0, |size| size.get());
        accepted += load.answered;
        all.push(Accepting { connections, measured: load.measured(), cost: cost(&load, start, end) });
    }
    let with_consent = consented(context, &gateway, &world).await;
    accepted += with_consent.as_ref().map_or(0, |load| load.answered);
    let loaded = process::usage(gateway.pid())?;
    gateway.stop().await?;
    let references = references(context, size).await;
    for accepting in &all {
        report(context, accepting, &references);
    }
    let consent_line = format!("{WITH_CONSENT} connections, on recorded consents");
    let found: Outcome<Measured> = with_consent.and_then(|load| load.measured());
    let mut line = Line::new(PART, consent_line, Some(context.stage.kind), found);
    line.references
        .extend(references.iter().filter(|(connections, _)| *connections == WITH_CONSENT).map(|(_, r)| r.clone()));
    context.report.add(line);
    report_resources(context, &all, idle, loaded);
    check(context, before + accepted).await;
    Ok(())
}

async fn consented(context: &Context<'_>, gateway: &Gateway, world: &Arc<sluis::demo::world::World>) -> Outcome<Load> {
    let target = context.stage.target(Case::ByConsent.sender(), gateway.port)?;
    let bearer = Bearer::of(world, Case::ByConsent.sender()).await?;
    let mut connections = Vec::new();
    for _ in 0..16 {
        connections.push(target.connect().await?);
    }
    let count = connections.len();
    let recording = connections.into_iter().enumerate().map(|(first, connection)| {
        let residents = RESIDENTS.iter().skip(first).step_by(count).map(String::as_str);
        record_consents(connection, residents, bearer.shared().now(), world.clock().now())
    });
    futures_util::future::try_join_all(recording).await?;
    let scripts = Referring::scripts(Case::ByConsent, WITH_CONSENT, &bearer, None);
    Ok(closed(&target, StatusCode::CREATED, context.times, scripts).await)
}

async fn record_consents(
    mut connection: Connection,
    residents: impl Iterator<Item = &str>,
    authorization: HeaderValue,
    now: sluis::clock::Timestamp,
) -> Outcome<()> {
    for resident in residents {
        let request = client::post("/v1/consents", &authorization, requests::consent(resident, now))?;
        let answer = connection.send(request).await?;
        if answer.status != StatusCode::CREATED {
            return Err(
                format!("recording a consent: {} {}", answer.status, String::from_utf8_lossy(&answer.body)).into()
            );
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn cost(load: &Load, start: Busy, end: Busy) -> Option<(f64, Option<f64>)> {
    let each = |start: Duration, end: Duration| (end.saturating_sub(start)).as_micros() as f64 / load.answered as f64;
    let database = start.database.zip(end.database).map(|(start, end)| each(start, end));
    (load.answered > 0).then(|| (each(start.gateway, end.gateway), database))
}

/// What the same number of connections gets elsewhere.
async fn references(context: &mut Context<'_>, size: usize) -> Vec<(usize, Reference)> {
    let mut references = Vec::new();
    let inserts = template::of_referral(&context.stage.storage).await.map(|example| {
        // A resident's age group is only written when it is new; nearly all residents of the load are known.
        example.inserts.into_iter().filter(|insert| insert.table != "subject_ages").collect::<Vec<_>>()
    });
    if let Ok(inserts) = &inserts {
        let (rows, bytes) = template::size(inserts);
        context
            .report
            .machine
            .note("one referral", format!("{rows} rows, {bytes} bytes of values ({})", context.stage.kind.name()));
    }
    let failed = inserts.as_ref().err().map(|failure| Found::Failed(failure.to_string()));
    match (context.stage.kind, &inserts) {
        (_, Err(_)) => {
            let found = failed.unwrap_or_else(|| Found::Skipped("no example".to_owned()));
            references.extend(CONNECTIONS.map(|count| (count, Reference::new("the same rows, bare", found.clone()))));
        }
        (Kind::Sqlite, Ok(inserts)) => {
            let found = Found::from(reference_sqlite::measure(&context.stage.folder, inserts, context.times).await);
            let name = "bare SQLite, a transaction each";
            references.extend(CONNECTIONS.map(|count| (count, Reference::new(name, found.clone()))));
        }
        (Kind::Postgres, Ok(inserts)) => references.extend(pgbench(context, inserts).await),
    }
    for connections in CONNECTIONS {
        let found = static_answers(context, connections, size).await;
        references.push((connections, Reference::new("a static answer", found)));
    }
    references
}

async fn pgbench(context: &Context<'_>, inserts: &[template::Insert]) -> Vec<(usize, Reference)> {
    let failed = |failure: &crate::Failure| {
        let found = Found::Failed(failure.to_string());
        CONNECTIONS.map(|count| (count, Reference::new("pgbench", found.clone()))).to_vec()
    };
    let Some(server) = context.server() else { return Vec::new() };
    let pgbench = match Pgbench::prepare(server, &context.stage.folder, inserts).await {
        Ok(pgbench) => pgbench,
        Err(failure) => return failed(&failure),
    };
    let mut references = Vec::new();
    for connections in CONNECTIONS {
        for (style, name) in [(Style::OneByOne, "pgbench"), (Style::Pipeline, "pgbench in a pipeline")] {
            // A server that takes fewer is asked for what it takes, and the table says so.
            let possible = server.free_connections().await.map_or(connections, |free| connections.min(free)).max(1);
            let name = if possible < connections { format!("{name} -c {possible}") } else { name.to_owned() };
            references.push((connections, Reference::new(name, pgbench.measure(possible, style, context.times).await)));
        }
    }
    references
}

/// The same requests to the static server, which answers with as many bytes.
async fn static_answers(context: &mut Context<'_>, connections: usize, size: usize) -> Found {
    let name = format!("accept {connections}");
    if let Some(known) = context.known(&name) {
        return known;
    }
    let found = async {
        let server = static_server::StaticServer::start(&context.stage.folder)?;
        let target = context.stage.target(Case::ByLaw.sender(), server.port)?;
        let authorization = Authorization::fixed(HeaderValue::from_static("Bearer none"));
        let scripts = Referring::to(&static_server::path(size), Case::ByLaw, connections, &authorization, None);
        closed(&target, StatusCode::CREATED, context.times, scripts).await.measured()
    };
    let found = Found::from(found.await);
    context.remember(name, &found);
    found
}

fn report(context: &mut Context<'_>, accepting: &Accepting, references: &[(usize, Reference)]) {
    let what = match accepting.connections {
        1 => "1 connection".to_owned(),
        connections => format!("{connections} connections"),
    };
    let found = match &accepting.measured {
        Ok(measured) => Found::Measured(measured.clone()),
        Err(failure) => Found::Failed(failure.to_string()),
    };
    let mut line = Line::new(PART, what, Some(context.stage.kind), found);
    let same = references.iter().filter(|(connections, _)| *connections == accepting.connections);
    line.references.extend(same.map(|(_, reference)| reference.clone()));
    context.report.add(line);
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB, far below 2^52")]
fn report_resources(context: &mut Context<'_>, all: &[Accepting], idle: Usage, loaded: Usage) {
    const RESOURCES: &str = "Memory and processor time of the gateway while it accepts";
    let kind = Some(context.stage.kind);
    let mib = |kib: u64| Found::Value(kib as f64 / 1024.0, "MiB");
    for (what, value) in [
        ("resident memory, idle", mib(idle.resident)),
        ("resident memory, after the load", mib(loaded.resident)),
        ("resident memory, most ever", mib(loaded.peak)),
        ("threads", Found::Value(loaded.threads as f64, "threads")),
    ] {
        context.report.add(Line::new(RESOURCES, what, kind, value));
    }
    for accepting in all {
        let Some((gateway, database)) = accepting.cost else { continue };
        let what = format!("processor time per referral, {} connections", accepting.connections);
        context.report.add(Line::new(RESOURCES, what, kind, Found::Value(gateway, "µs")));
        let what = format!("that of the database beside it, {} connections", accepting.connections);
        let found = match (database, context.stage.kind) {
            (Some(database), _) => Found::Value(database, "µs"),
            (None, Kind::Sqlite) => continue,
            (None, Kind::Postgres) => Found::Skipped("the server does not run on this machine".to_owned()),
        };
        context.report.add(Line::new(RESOURCES, what, kind, found));
    }
}

/// As many referrals are stored as were accepted, and the audit log is whole.
async fn check(context: &mut Context<'_>, expected: u64) {
    const CHECKS: &str = "Checks";
    let kind = Some(context.stage.kind);
    let stored = database::count(&context.stage.storage, STORED).await;
    let found = match stored {
        Ok(stored) if stored == expected => {
            Found::value(Ok(figure(stored)), "referrals, as many as were answered with 201")
        }
        Ok(stored) => Found::Failed(format!("{stored} referrals are stored, {expected} were answered with 201")),
        Err(failure) => Found::Failed(failure.to_string()),
    };
    context.report.add(Line::new(CHECKS, "what was accepted is stored", kind, found));
    let took = context.stage.verify().map(|took| took.as_secs_f64());
    context.report.add(Line::new(CHECKS, "sluis audit verify finds nothing", kind, Found::value(took, "s")));
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
const fn figure(count: u64) -> f64 {
    count as f64
}
