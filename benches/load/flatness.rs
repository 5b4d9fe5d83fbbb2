//! The same operations with more and more stored: what grows with the number of referrals does not last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use sluis::app::App;
use sluis::http::page;
use sluis::ids::Oin;
use sluis::relay;
use sluis::relay::cursor::Cursor;

use crate::client::{self, Connection, Target};
use crate::database::{self, Kind};
use crate::gateway::{Bearer, Gateway, Stage};
use crate::load::{Script as _, Times, closed};
use crate::report::{Found, Line};
use crate::requests::Case;
use crate::run::Context;
use crate::scripts::{Asking, Getting, Referring};
use crate::seed::Seeder;
use crate::statistics::{Measured, micros};
use crate::{Outcome, accepts, disclosures, process, say, startup};

const PART: &str = "The same with more and more referrals stored";
const CONNECTIONS: usize = 32;
/// So many single steps are looked at one by one.
const STEPS: usize = 30;
/// Up to here the whole log is verified after it was filled.
const VERIFIED: u64 = 100_000;

/// The end of the feed of the recipient of all referrals.
const RECIPIENTS_HEAD: &str = "SELECT head FROM feeds WHERE organisation = '00000099000000006000'";

/// What was found with the fewest stored, by operation; the rest is compared with it.
type First = BTreeMap<String, (String, Found)>;

/// Measures the part, on a database of its own.
pub async fn measure(context: &mut Context<'_>) -> Outcome<()> {
    let mut levels = context.options.stored.clone();
    levels.sort_unstable();
    fresh(context).await?;
    // The example for all that is made.
    let gateway = context.stage.serve()?;
    let world = context.stage.world(&gateway)?;
    let bearer = Bearer::of(&world, Case::ByLaw.sender()).await?;
    let target = context.stage.target(Case::ByLaw.sender(), gateway.port)?;
    accept_one(&mut target.connect().await?, &bearer).await?;
    gateway.stop().await?;
    let mut seeder = Seeder::new(context.stage.app().await?, &context.stage.storage).await?;
    let mut first = First::new();
    for level in levels {
        let stored = database::count(&context.stage.storage, accepts::STORED).await?;
        if level > stored {
            say(&format!("load: making {level} stored referrals"));
            seeder.make(level - stored).await?;
            if let Some(server) = context.server() {
                server.analyze().await?;
            }
        }
        say(&format!("load: measuring with {level}"));
        if (1..=VERIFIED).contains(&level) {
            let found = Found::value(context.stage.verify().map(|took| took.as_secs_f64()), "s");
            add(context, &mut first, level, "sluis audit verify finds nothing", found);
        }
        let found = Found::value(startup::middle_of_starts(&context.stage).await, "ms");
        add(context, &mut first, level, "from start to first answer", found);
        at(context, &mut first, level).await?;
    }
    Ok(())
}

/// Throws away what was stored before and founds the gateway anew.
async fn fresh(context: &mut Context<'_>) -> Outcome<()> {
    let folder = context.stage.folder.join("stored");
    std::fs::create_dir_all(&folder)?;
    let storage = if let Some(server) = context.server() {
        server.empty().await?;
        server.url.clone()
    } else {
        format!("sqlite:{}", folder.join("sluis.db").display())
    };
    let kind: Kind = context.stage.kind;
    context.stage = Stage::found(kind, folder, storage).await?;
    Ok(())
}

fn add(context: &mut Context<'_>, first: &mut First, level: u64, what: &str, found: Found) {
    let mut line = Line::new(PART, format!("{what}, {level} stored"), Some(context.stage.kind), found.clone());
    match first.get(what) {
        Some((name, reference)) => line = line.against(name.clone(), reference.clone()),
        None => {
            first.insert(what.to_owned(), (format!("that with {level}"), found));
        }
    }
    context.report.add_beside(line, what);
}

/// One level.
async fn at(context: &mut Context<'_>, first: &mut First, level: u64) -> Outcome<()> {
    let gateway = context.stage.serve()?;
    let world = context.stage.world(&gateway)?;
    let case = Case::ByLaw;
    let sender = context.stage.target(case.sender(), gateway.port)?;
    let sending = Bearer::of(&world, case.sender()).await?;
    let recipient = context.stage.target(case.recipient(), gateway.port)?;
    let receiving = Bearer::of(&world, case.recipient()).await?;
    let oin: Oin = world.words().party(case.recipient()).ok_or("the recipient is no party")?.oin.parse()?;

    let scripts = Referring::scripts(case, CONNECTIONS, &sending, None);
    let load = closed(&sender, StatusCode::CREATED, context.times, scripts).await;
    add(context, first, level, "accepting, 32 connections", load.measured().into());
    let scripts = Referring::scripts(case, 1, &sending, None);
    let load = closed(&sender, StatusCode::CREATED, context.times, scripts).await;
    add(context, first, level, "accepting, 1 connection", load.measured().into());
    let paths = disclosures::accept(&sender, &sending, Times { time: Duration::from_secs(1), ..context.times }).await?;
    let scripts = Getting::scripts(paths, CONNECTIONS, &receiving.shared());
    let load = closed(&recipient, StatusCode::OK, context.times, scripts).await;
    add(context, first, level, "sections handed over, 32 connections", load.measured().into());
    for (what, path) in pages(context, &oin).await? {
        let scripts = Getting::scripts(vec![path], 1, &receiving.shared());
        let load = closed(&recipient, StatusCode::OK, context.times, scripts).await;
        add(context, first, level, what, load.measured().into());
    }
    let pseudonym = pseudonym(&mut sender.connect().await?, &sending).await?;
    let load = closed(&sender, StatusCode::OK, context.times, Asking::scripts(&pseudonym, &sending)).await;
    add(context, first, level, "asking beforehand, resident by pseudonym", load.measured().into());
    let found = in_log(&sender, &sending).await;
    add(context, first, level, "from 201 to the proof of its record", found.into());
    resources(context, first, level, &gateway);
    gateway.stop().await?;
    let app = context.stage.app().await?;
    for (what, found) in background(&app).await {
        add(context, first, level, what, found.into());
    }
    Ok(())
}

/// The pages that are read, by one connection each.
async fn pages(context: &Context<'_>, feed: &Oin) -> Outcome<Vec<(&'static str, String)>> {
    let url = &context.stage.storage;
    // A page that begins behind nearly all others: its cursor is the id of one of the oldest.
    let oldest = "SELECT id FROM referrals ORDER BY id LIMIT 1 OFFSET 100";
    let oldest = database::text(url, oldest).await?.ok_or("too few referrals are stored")?;
    let head = database::count(url, RECIPIENTS_HEAD).await?;
    let last = Cursor::after(i64::try_from(head.saturating_sub(100))?).encode(&feed.clone().into());
    Ok(vec![
        ("referrals, first page of 100", "/v1/referrals?limit=100".to_owned()),
        ("referrals, last page of 100", format!("/v1/referrals?limit=100&cursor={}", page::encode(&oldest))),
        ("events, first page of 100", "/v1/events?limit=100".to_owned()),
        ("events, last page of 100", format!("/v1/events?limit=100&cursor={last}")),
        ("audit records, first page of 100", "/v1/audit/records?limit=100".to_owned()),
        ("checkpoint of the log", "/log/checkpoint".to_owned()),
    ])
}

/// Has one referral accepted; its answer.
async fn accept_one(connection: &mut Connection, bearer: &Bearer) -> Outcome<serde_json::Value> {
    let mut scripts = Referring::scripts(Case::ByLaw, 1, bearer, None);
    let script = scripts.first_mut().ok_or("no script")?;
    let answer = connection.send(script.next()?).await?;
    if answer.status == StatusCode::CREATED {
        return Ok(serde_json::from_slice(&answer.body)?);
    }
    Err(format!("a referral was not accepted: {} {}", answer.status, String::from_utf8_lossy(&answer.body)).into())
}

/// The pseudonym under which the sender knows a resident.
async fn pseudonym(connection: &mut Connection, bearer: &Bearer) -> Outcome<String> {
    let answer = accept_one(connection, bearer).await?;
    let pseudonym = answer.pointer("/subject/pseudonym").and_then(serde_json::Value::as_str);
    Ok(pseudonym.ok_or("an answer without pseudonym")?.to_owned())
}

/// From the answer 201 until the record of the decision can be proven to be in the signed log.
async fn in_log(target: &Target, bearer: &Bearer) -> Outcome<Measured> {
    let mut connection = target.connect().await?;
    let mut latencies = Vec::new();
    for _ in 0..STEPS {
        let answer = accept_one(&mut connection, bearer).await?;
        let accepted = Instant::now();
        let record = answer.pointer("/decision/id").and_then(serde_json::Value::as_str).ok_or("no decision")?;
        let path = format!("/v1/audit/records/{record}/proof");
        loop {
            let proof = connection.send(client::get(&path, &bearer.shared().now())?).await?;
            match proof.status {
                StatusCode::OK => break,
                // It has no place in the log yet.
                StatusCode::CONFLICT => tokio::time::sleep(Duration::from_millis(1)).await,
                other => return Err(format!("a proof was refused: {other}").into()),
            }
            if accepted.elapsed() > Duration::from_mins(1) {
                return Err("a record did not get its place in the log within a minute".into());
            }
        }
        latencies.push(micros(accepted.elapsed()));
    }
    Measured::at_given_rate(latencies).ok_or_else(|| "nothing was accepted".into())
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB, far below 2^52")]
fn resources(context: &mut Context<'_>, first: &mut First, level: u64, gateway: &Gateway) {
    let peak = process::usage(gateway.pid()).map(|usage| usage.peak as f64 / 1024.0);
    add(context, first, level, "resident memory of the gateway, most ever", Found::value(peak, "MiB"));
}

/// What the gateway does by itself again and again, when there is nothing to do.
async fn background(app: &App) -> Vec<(&'static str, Outcome<Measured>)> {
    let mut found = Vec::new();
    let housekeeping = timed(async || Ok(app.throw_away().await?)).await;
    found.push(("house-keeping, nothing has had its term", housekeeping));
    let sequencing = timed(async || Ok(app.sequence().await?)).await;
    found.push(("sequencing, nothing is new", sequencing));
    let delivering = timed(async || Ok(relay::deliver_due(app).await.map(drop)?)).await;
    found.push(("delivering, nothing is due", delivering));
    found
}

async fn timed(work: impl AsyncFn() -> Outcome<()>) -> Outcome<Measured> {
    let mut latencies = Vec::new();
    for _ in 0..STEPS {
        let begin = Instant::now();
        work().await?;
        latencies.push(micros(begin.elapsed()));
    }
    Measured::at_given_rate(latencies).ok_or_else(|| "nothing was done".into())
}
