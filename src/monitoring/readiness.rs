//! Whether this gateway can do its work now, and if not, what is wrong and what to do.
//!
//! Invariant: every check ends within a few seconds, also when the database does not answer; what it says names no person, no organisation
//! and no secret.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::gather::{age_of, days_left, unsequenced};
use super::vitals::{Health, Pulse};
use crate::app::App;
use crate::args;
use crate::problem::{Code, Problem};
use crate::storage::Tx;

/// How long a change, or a look, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a worker may be silent: many times its usual round.
const SILENCE: Duration = Duration::from_secs(30);
/// The same for those that look around every 15 seconds, and every ten minutes.
const WATCH_SILENCE: Duration = Duration::from_mins(5);
const HOUSE_KEEPING_SILENCE: Duration = Duration::from_mins(30);
/// How long something may wait for its place in a feed or in the log.
const BACKLOG: Duration = Duration::from_mins(1);

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    /// What was found.
    pub(super) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<&'static str>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into(), remedy: None }
    }

    fn wrong(name: &'static str, detail: impl Into<String>, remedy: &'static str) -> Self {
        Self { name, ok: false, detail: detail.into(), remedy: Some(remedy) }
    }
}

/// All checks, in a fixed order.
pub(super) async fn checks(app: &App) -> Vec<Check> {
    let (database, key_store, covenant, sequencer, keys) =
        tokio::join!(database(app), key_store(app), covenant(app), sequencer(app), signing_keys(app));
    let watched = [deliverer(app), watch(app), house_keeping(app)];
    let mut checks = vec![running(app), database, key_store, covenant, sequencer];
    checks.extend(watched);
    checks.push(keys);
    checks.extend(certificates(app));
    checks
}

fn running(app: &App) -> Check {
    if app.vitals.is_leaving() {
        return Check::wrong("running", "the gateway was told to stop", "send requests to another gateway");
    }
    Check::ok("running", "the gateway was not told to stop")
}

/// Whether a change gets through to the disk. It changes nothing, but needs all that a change needs.
async fn database(app: &App) -> Check {
    const NAME: &str = "database";
    // While one look waits for a writer, others would only queue behind it.
    if app.vitals.probing.swap(true, Ordering::SeqCst) {
        return Check::wrong(NAME, "an earlier look still waits for the database", STALLED);
    }
    let (db, vitals) = (app.db.clone(), Arc::clone(&app.vitals));
    let (reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        let touch = async |tx: &mut Tx| {
            Ok(tx.execute("UPDATE feeds SET head = head WHERE organisation = ''", args![]).await.map(drop)?)
        };
        let touched = db.write("readiness", touch).await;
        vitals.probing.store(false, Ordering::SeqCst);
        let _ = reply.send(touched);
    });
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(()))) => Check::ok(NAME, "takes changes"),
        Ok(_) => Check::wrong(NAME, "takes no changes", "see the log; check that it runs and that its disk has room"),
        Err(_) => Check::wrong(NAME, "does not answer in time", STALLED),
    }
}

const STALLED: &str = "look for a lock that is held, a slow disk, or a server that is out of reach";

/// Whether the keys of content can be had. Without them nothing is sent, disclosed or destroyed.
async fn key_store(app: &App) -> Check {
    const NAME: &str = "key-store";
    match tokio::time::timeout(PATIENCE, app.keys.answers()).await {
        Ok(Ok(())) => unhurried(NAME, &app.vitals.keys, WATCH_SILENCE, "answers, and keys that must go are destroyed"),
        Ok(Err(_)) => Check::wrong(NAME, "does not answer", "see the log; check the database of storage.keys_url"),
        Err(_) => Check::wrong(NAME, "does not answer in time", STALLED),
    }
}

async fn covenant(app: &App) -> Check {
    const NAME: &str = "covenant";
    let mut reader = app.db.reader();
    let asked = tokio::time::timeout(PATIENCE, app.covenants.in_force(&mut reader, app.now())).await;
    match asked {
        Ok(Ok(engine)) => Check::ok(NAME, format!("version {} is in force", engine.covenant().version)),
        Ok(Err(problem)) if problem.code() == Code::Refused => {
            Check::wrong(NAME, "none is in force", "publish one and have it signed: sluis covenant publish")
        }
        Ok(Err(_)) => Check::wrong(NAME, "the one in force does not load", "see the log"),
        Err(_) => Check::wrong(NAME, "the database does not answer in time", STALLED),
    }
}

async fn sequencer(app: &App) -> Check {
    const NAME: &str = "sequencer";
    let ill = |worker| pulse(NAME, worker, SILENCE);
    if let Some(ill) = ill(&app.vitals.events).or_else(|| ill(&app.vitals.records)) {
        return ill;
    }
    match unsequenced(app).await {
        Ok(backlogs) => {
            let oldest = backlogs.iter().map(|backlog| age_of(backlog, app.now())).max().unwrap_or_default();
            if oldest <= BACKLOG {
                return Check::ok(NAME, "events and records get their place");
            }
            let detail = format!("something has waited for its place for {} s", oldest.as_secs());
            Check::wrong(NAME, detail, "see the log for what holds it up")
        }
        Err(_) => Check::wrong(NAME, "the database does not answer in time", STALLED),
    }
}

fn deliverer(app: &App) -> Check {
    const NAME: &str = "deliverer";
    pulse(NAME, &app.vitals.deliverer, SILENCE).unwrap_or_else(|| Check::ok(NAME, "looks for deliveries"))
}

fn watch(app: &App) -> Check {
    let said = "deadlines and parties are looked at";
    let look = |worker| unhurried("deadlines", worker, WATCH_SILENCE, said);
    let looks = app.vitals.watches().map(|(_, watch)| look(watch));
    if let Some(ill) = looks.into_iter().find(|check| !check.ok) {
        return ill;
    }
    // No other gateway would do better, so this one stays in service.
    let left_behind = app.vitals.watches().iter().map(|(_, watch)| watch.left_behind()).sum::<usize>();
    if left_behind == 0 {
        return Check::ok("deadlines", said);
    }
    Check::ok("deadlines", format!("{said}, but {left_behind} could not be written; see the log"))
}

fn house_keeping(app: &App) -> Check {
    let said = "what has had its term goes, and figures are made";
    unhurried("house-keeping", &app.vitals.house_keeping, HOUSE_KEEPING_SILENCE, said)
}

/// A worker whose first round may be long, after the gateway has stood still: requests need not wait for it.
pub(super) fn unhurried(name: &'static str, worker: &Pulse, patience: Duration, said: &str) -> Check {
    let ill = if worker.is_young(patience) { None } else { pulse(name, worker, patience) };
    ill.unwrap_or_else(|| Check::ok(name, said))
}

fn pulse(name: &'static str, pulse: &Pulse, patience: Duration) -> Option<Check> {
    match pulse.health(patience) {
        Health::Well => None,
        Health::Failing => Some(Check::wrong(name, "its last round failed", "see the log; it is tried again")),
        Health::Silent => {
            Some(Check::wrong(name, "it has not been heard of for a while", "see the log; restart the gateway"))
        }
    }
}

async fn signing_keys(app: &App) -> Check {
    const NAME: &str = "signing-keys";
    match tokio::time::timeout(PATIENCE, app.credentials.keys.ring(app.now())).await {
        Ok(Ok(_)) => Check::ok(NAME, "usable"),
        Ok(Err(problem)) => unusable(NAME, &problem),
        Err(_) => Check::wrong(NAME, "the database does not answer in time", STALLED),
    }
}

fn unusable(name: &'static str, problem: &Problem) -> Check {
    if problem.code() == Code::Unavailable {
        return Check::wrong(name, "they cannot be read from the database", STALLED);
    }
    Check::wrong(name, "they cannot be opened", "check that keys.key_encryption_key_file is the right one")
}

/// The certificates that this gateway was started with.
fn certificates(app: &App) -> impl Iterator<Item = Check> {
    let now = app.now();
    app.vitals.certificates().iter().map(move |(name, ends)| {
        let left = days_left(*ends, now);
        let name = match *name {
            "server" => "server-certificate",
            "authority" => "authority-certificate",
            _ => "webhook-certificate",
        };
        if left > 0.0 {
            return Check::ok(name, format!("{left:.0} days left"));
        }
        Check::wrong(name, "it has ended", "put a new one in its place and restart the gateway")
    })
}
