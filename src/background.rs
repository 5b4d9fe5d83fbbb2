//! What a running gateway does besides answering: gives events and records their place, delivers, watches deadlines and parties, keeps house.
//!
//! Invariant: a round that fails is tried again and shows in readiness; told to stop, each ends after what it is doing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::{App, Until};
use crate::cases;
use crate::consents;
use crate::emergencies;
use crate::erasures;
use crate::handoffs;
use crate::incidents;
use crate::monitoring::Pulse;
use crate::problem::Problem;
use crate::referrals;
use crate::relay;
use crate::retention;
use crate::rights;
use crate::vetoes;

/// Starts everything but the watch over deadlines and parties.
pub fn start(app: &App, stop: &watch::Receiver<bool>) -> [JoinHandle<()>; 7] {
    let events = async |app: &App| beat(&app.vitals.events, app.sequence_events(Until::Stopping).await);
    let records = async |app: &App| beat(&app.vitals.records, app.sequence_records(Until::Stopping).await);
    [
        tokio::spawn(sequence_forever(app.clone(), EVENTS_REST, events, stop.clone())),
        tokio::spawn(sequence_forever(app.clone(), RECORDS_REST, records, stop.clone())),
        tokio::spawn(settle_withdrawals(app.clone(), stop.clone())),
        tokio::spawn(destroy_keys(app.clone(), stop.clone())),
        tokio::spawn(relay::deliver::run(app.clone())),
        tokio::spawn(keep_house(app.clone(), stop.clone())),
        tokio::spawn(close_quiet_connections(app.clone(), stop.clone())),
    ]
}

/// Starts the watch over deadlines and parties.
pub fn watch(app: &App, stop: &watch::Receiver<bool>) -> [JoinHandle<()>; 7] {
    [
        tokio::spawn(watch_parties(app.clone(), stop.clone())),
        tokio::spawn(watch_deadlines(app.clone(), stop.clone())),
        tokio::spawn(watch_cases(app.clone(), stop.clone())),
        tokio::spawn(watch_confirmations(app.clone(), stop.clone())),
        tokio::spawn(watch_emergencies(app.clone(), stop.clone())),
        tokio::spawn(watch_incidents(app.clone(), stop.clone())),
        tokio::spawn(watch_rights(app.clone(), stop.clone())),
    ]
}

/// How long sequencing rests after each run, so that under load one run serves many changes instead of one. Partners wait for
/// events, so they rest shortly; each run over records signs a checkpoint, so they rest longer.
const EVENTS_REST: Duration = Duration::from_millis(4);
const RECORDS_REST: Duration = Duration::from_millis(100);
/// A withdrawal counts already; what follows may take a moment.
const SETTLING_REST: Duration = Duration::from_millis(100);

/// Does what follows from withdrawals whenever something was committed here, and every second for what other gateways committed.
async fn settle_withdrawals(app: App, mut stop: watch::Receiver<bool>) {
    let mut committed = app.db.committed();
    loop {
        // It decides, as requests do, whose tasks stay on the thread of their connection: so does this one, on a thread of its own.
        let gateway = app.clone();
        let runtime = tokio::runtime::Handle::current();
        let settled = tokio::task::spawn_blocking(move || runtime.block_on(consents::settle(&gateway))).await;
        let settled =
            settled.unwrap_or_else(|_| Err(Problem::internal("the thread that follows up withdrawals has ended")));
        let rest = if matches!(settled, Ok(0)) { SETTLING_REST } else { WATCH_REST };
        looked(&app.vitals.withdrawals, settled, "what follows from withdrawals was not done");
        if stops_within(rest, &mut stop).await {
            return;
        }
        tokio::select! {
            _ = committed.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Destroys the keys of what was taken away whenever something was committed here, and every second for what other gateways committed.
async fn destroy_keys(app: App, mut stop: watch::Receiver<bool>) {
    let mut committed = app.db.committed();
    loop {
        let ended = beat(&app.vitals.keys, erasures::destroy(&app).await);
        let rest = if ended.is_ok() { SETTLING_REST } else { Duration::from_secs(1) };
        if let Err(problem) = ended {
            tracing::error!(%problem, "keys of what was taken away could not be destroyed; it is tried again");
        }
        if stops_within(rest, &mut stop).await {
            return;
        }
        tokio::select! {
            _ = committed.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Lets a worker's pulse show how its round ended.
fn beat(pulse: &Pulse, ended: Result<(), Problem>) -> Result<(), Problem> {
    pulse.beat(ended.is_ok());
    ended
}

/// Does `work` whenever something was committed here, and every second for what other gateways committed.
async fn sequence_forever(
    app: App,
    rest: Duration,
    work: impl AsyncFn(&App) -> Result<(), Problem>,
    mut stop: watch::Receiver<bool>,
) {
    let mut committed = app.db.committed();
    loop {
        tokio::select! {
            _ = committed.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(problem) = work(&app).await {
            tracing::error!(%problem, "sequencing failed; it is tried again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Cuts off who holds a connection and asks nothing. In HTTP/2, where pings show that the other side lives, it may idle longer.
async fn close_quiet_connections(app: App, mut stop: watch::Receiver<bool>) {
    let limits = &app.config.limits;
    let (http1, http2) = (limits.keep_alive + limits.head_time, limits.keep_alive * 10);
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => app.connections.close_quiet(http1, http2),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One round of work of which each part is done whatever becomes of the others.
#[derive(Default)]
struct Round {
    failed: bool,
}

impl Round {
    fn note(&mut self, ended: Result<(), Problem>, failed: &str) {
        if let Err(problem) = ended {
            self.failed = true;
            tracing::error!(%problem, "{failed}; it is tried again");
        }
    }

    const fn is_well(&self) -> bool {
        !self.failed
    }
}

/// How often deadlines and parties are looked at: a missed deadline is to be noticed within a minute.
const WATCH_REST: Duration = Duration::from_secs(15);

/// What is watched has a task of its own each: a backlog of one holds up no other.
async fn watch_parties(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let handed_on = referrals::watch::parties(&app).await;
        looked(&app.vitals.parties, handed_on, "what is held by parties that cannot act was not handed on");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

async fn watch_deadlines(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        looked(&app.vitals.deadlines, deadlines(&app).await, "deadlines were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

/// Those of referrals and of vetoes, as one: that there are vetoes is not to be seen from outside.
async fn deadlines(app: &App) -> Result<usize, Problem> {
    let (of_referrals, of_vetoes) = (referrals::watch::deadlines(app).await, vetoes::sweep(app).await);
    Ok(of_referrals? + of_vetoes?)
}

async fn watch_cases(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let swept = cases::sweep(&app).await.map(|swept| swept.failed);
        looked(&app.vitals.cases, swept, "the deadlines of cases were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

async fn watch_confirmations(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        looked(&app.vitals.confirmations, consents::watch(&app).await, "overdue confirmations were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

async fn watch_emergencies(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        looked(&app.vitals.emergencies, emergencies::sweep(&app).await, "the deadlines of reviews were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

async fn watch_incidents(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        looked(&app.vitals.incidents, incidents::sweep(&app).await, "the deadlines of incidents were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

async fn watch_rights(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        looked(&app.vitals.rights, rights::sweep(&app).await, "the deadlines of residents' rights were not looked at");
        if stops_within(WATCH_REST, &mut stop).await {
            return;
        }
    }
}

/// How a look ended, and for how much of what it came by it could do nothing.
fn looked(pulse: &Pulse, ended: Result<usize, Problem>, failed: &str) {
    pulse.beat(ended.is_ok());
    match ended {
        Ok(left_behind) => pulse.leave_behind(left_behind),
        Err(problem) => tracing::error!(%problem, "{failed}; it is tried again"),
    }
}

/// Rests; whether the gateway stops before the rest is over.
async fn stops_within(rest: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(rest) => false,
        _ = stop.wait_for(|stop| *stop) => true,
    }
}

/// Replaces signing keys in time, throws away what has had its term (answers kept for repeats, events), and makes the monitor's figures of
/// periods that have closed.
async fn keep_house(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let mut round = Round::default();
        // Looking is enough: a key that has reached its age gets a successor.
        round.note(app.credentials.keys.ring(app.now()).await.map(drop), "signing keys could not be checked");
        round.note(app.throw_away().await, "what has had its term could not be thrown away");
        round.note(retention::sweep(&app).await, "what has had its term could not be removed");
        round.note(erasures::sweep(&app).await, "key shares that nothing uses could not be removed");
        round.note(handoffs::make(&app).await, "the monitor's figures could not be made");
        app.vitals.house_keeping.beat(round.is_well());
        if stops_within(Duration::from_mins(10), &mut stop).await {
            return;
        }
    }
}
