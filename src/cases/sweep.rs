//! What the clock and the register of organisations do to cases: deadlines that pass, coordinators that can no longer act.
//!
//! Invariants: any number of gateways may do this at the same time, also after none did for long: each deadline is noted once, because the
//! change asks for the version that it was seen at. A case that cannot be moved on holds up no other. Between two batches everybody else has
//! their turn, and the gateway can stop.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join_all;
use uuid::Uuid;

use super::change::{Change, Origin, raising};
use super::store;
use super::types::Rules;
use crate::app::App;
use crate::clock::Timestamp;
use crate::covenant;
use crate::ids::Oin;
use crate::lifecycle::case::Command;
use crate::problem::{Code, Problem};
use crate::referrals::watch::rest;
use crate::storage::Tx;

/// How many cases are looked at before the next batch is read.
const BATCH: i64 = 100;

/// What [`sweep`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Cases of which a deadline had passed.
    pub late: usize,
    /// Cases that the municipality coordinates from now on.
    pub replaced: usize,
    /// Cases in which neither could be written, although it was to be.
    pub failed: usize,
}

/// Notes the deadlines that have passed, and has the municipality coordinate where nobody else can.
///
/// # Errors
/// When the database fails.
pub async fn sweep(app: &App) -> Result<Swept, Problem> {
    let now = app.now();
    let (rules, version) = match rules(app, now).await {
        Ok(found) => found,
        // Without a covenant there are no terms; the deadlines are found when there is one.
        Err(problem) if problem.code() == Code::Refused => return Ok(Swept::default()),
        Err(problem) => return Err(problem),
    };
    let mut failed = 0;
    let late = deadlines(app, &rules, &mut failed, now).await?;
    let replaced = coordinators(app, &rules, &version, &mut failed, now).await?;
    Ok(Swept { late, replaced, failed })
}

async fn rules(app: &App, now: Timestamp) -> Result<(Rules, String), Problem> {
    let query = &mut app.db.reader();
    let versions = covenant::versions(query).await?;
    let published = covenant::in_force_of(&versions, now).cloned().ok_or_else(covenant::none_in_force)?;
    let engine = app.covenants.engine(query, &published).await?;
    let rules = Rules::of(engine.covenant());
    let rules = rules.ok_or_else(|| Problem::internal("the covenant in force has no municipality"))?;
    Ok((rules, published.version))
}

async fn deadlines(app: &App, rules: &Rules, failed: &mut usize, now: Timestamp) -> Result<usize, Problem> {
    let (mut noted, mut after) = (0, (Timestamp::from_micros(i64::MIN), Uuid::nil()));
    while !app.signals.is_stopping() {
        let due = store::due(&mut app.db.reader(), now, after, BATCH).await?;
        let Some(last) = due.last() else { break };
        after = *last;
        noted += move_on(app, rules, due.into_iter().map(|(_, id)| id), None, failed, now).await;
    }
    Ok(noted)
}

async fn coordinators(
    app: &App,
    rules: &Rules,
    version: &str,
    failed: &mut usize,
    now: Timestamp,
) -> Result<usize, Problem> {
    let unable: BTreeSet<Oin> = store::unable(&mut app.db.reader(), version).await?;
    if unable.contains(&rules.municipality) {
        // Nothing is gained: it could do as little.
        return Ok(0);
    }
    let mut replaced = 0;
    for organisation in unable {
        let mut after = Uuid::nil();
        while !app.signals.is_stopping() {
            let theirs = store::coordinated_by(&mut app.db.reader(), &organisation, after, BATCH).await?;
            let Some(last) = theirs.last() else { break };
            after = *last;
            replaced += move_on(app, rules, theirs, Some(&organisation), failed, now).await;
        }
    }
    Ok(replaced)
}

/// Takes the gateway's step in each of these cases where it is still to be taken, and then lets others have their turn; answers in how many.
/// The step: to replace this coordinator, or else to note the deadline. Those of one batch share commits. `failed` counts on.
async fn move_on(
    app: &App,
    rules: &Rules,
    cases: impl IntoIterator<Item = Uuid>,
    unable: Option<&Oin>,
    failed: &mut usize,
    now: Timestamp,
) -> usize {
    let begun = Instant::now();
    let steps = cases.into_iter().map(|id| one(app, rules, id, unable.cloned(), now));
    let mut moved = 0;
    for outcome in join_all(steps).await {
        match outcome {
            Ok(done) => moved += usize::from(done),
            // Another gateway, or somebody's step, was faster; what is left of it is found the next time.
            Err(problem) if problem.is_stale() => {}
            Err(problem) => {
                *failed += 1;
                tracing::error!(%problem, "a case could not be moved on; it is tried again");
            }
        }
    }
    rest(begun).await;
    moved
}

async fn one(app: &App, rules: &Rules, id: Uuid, unable: Option<Oin>, now: Timestamp) -> Result<bool, Problem> {
    let (gateway, rules) = (app.clone(), rules.clone());
    let step = async move |tx: &mut Tx| {
        let Some(whole) = store::load(tx, id).await? else { return Ok(false) };
        if unable.as_ref().is_some_and(|unable| *unable != whole.kept.case.coordinator) {
            return Ok(false);
        }
        let command = match unable {
            Some(_) => Command::ReplaceCoordinator(rules.municipality.clone()),
            None => Command::DeadlinePassed,
        };
        let mut change = Change::of(&gateway, &rules, Origin::gateway(), whole, now);
        if change.take(&command).is_err() {
            return Ok(false);
        }
        change.write(tx).await.map(|_| true)
    };
    app.db.write_on(raising(id), "move-case-on", step).await
}
