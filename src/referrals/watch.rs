//! Watches the clock and the parties of every open referral, so that nobody has to remember: deadlines that have passed, also while no
//! gateway ran, and holders that can no longer act.
//!
//! Invariants: what is noted here is noted once, on whichever of several gateways: each note is a step of the table, written only
//! while the referral is still at the version that was read. A referral that cannot be noted holds up no other. Between two batches
//! everybody else has their turn, and the gateway can stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use uuid::Uuid;

use super::noted::Noted;
use super::store::{self, Passed};
use super::types::Referral;
use crate::app::App;
use crate::cases::{self, Aftermath, Rules};
use crate::clock::Timestamp;
use crate::covenant::{self, Covenant, Standings};
use crate::ids::Oin;
use crate::lifecycle::referral::{Command, Role, step};
use crate::problem::{Code, Problem};
use crate::storage::{Ground, Tx};

/// How many referrals are looked at in one go; those of one go share a transaction.
const STEP: i64 = 100;
/// How long the watch rests at most between two batches. It rests as long as the batch took: a backlog takes half of the time at most.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Notes every deadline that has passed; answers for how many referrals that failed.
///
/// # Errors
/// When no covenant is in force, or the database fails; what was noted before stays noted.
pub async fn deadlines(app: &App) -> Result<usize, Problem> {
    let (now, mut failed) = (app.now(), 0);
    let mut after = (Timestamp::from_micros(i64::MIN), Uuid::nil());
    while !app.signals.is_stopping() {
        let begun = Instant::now();
        let due = store::due(&mut app.db.reader(), now, after, STEP).await?;
        let Some(last) = due.last() else { break };
        after = (last.due_at, last.id);
        let engine = app.covenants.in_force(&mut app.db.reader(), now).await?;
        failed += note(app, engine.covenant(), due, |_| Some(Command::DeadlinePassed), now).await;
        rest(begun).await;
    }
    Ok(failed)
}

/// Hands on what is held by organisations that can no longer act, and hands it back when they can again; answers for how many referrals
/// that failed.
///
/// # Errors
/// As [`deadlines`].
pub async fn parties(app: &App) -> Result<usize, Problem> {
    let now = app.now();
    let engine = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine,
        // Nothing has been agreed on, so nothing was handed over.
        Err(problem) if problem.code() == Code::Refused => return Ok(0),
        Err(problem) => return Err(problem),
    };
    let covenant = engine.covenant();
    let mut standings = covenant::standings(&mut app.db.reader(), &covenant.version).await?;
    // Each time, and not only when somebody's standing has changed: a step may have noted it, here or at another gateway, and what was not done
    // the last time is found again. Whoever has signed for less than the whole can act in some of what it holds.
    let partly: Vec<Oin> =
        standings.of.iter().filter(|(_, accession)| !accession.is_full()).map(|(party, _)| party.clone()).collect();
    let mut failed = 0;
    for organisation in &partly {
        failed += hand_on(app, covenant, &mut standings, Held::By(organisation), now).await?;
    }
    Ok(failed + hand_on(app, covenant, &mut standings, Held::InTheirPlace, now).await?)
}

/// Which referrals are looked at.
#[derive(Clone, Copy)]
enum Held<'a> {
    /// Those that this organisation holds.
    By(&'a Oin),
    /// Those that somebody holds in the place of a party.
    InTheirPlace,
}

async fn hand_on(
    app: &App,
    covenant: &Covenant,
    standings: &mut Standings,
    held: Held<'_>,
    now: Timestamp,
) -> Result<usize, Problem> {
    let (mut after, mut failed) = (Uuid::nil(), 0);
    while !app.signals.is_stopping() {
        let begun = Instant::now();
        let found = match held {
            Held::By(holder) => store::held_by(&mut app.db.reader(), holder, after, STEP).await?,
            Held::InTheirPlace => store::with_unable(&mut app.db.reader(), after, STEP).await?,
        };
        let Some(last) = found.last() else { break };
        after = last.id;
        let by_case = |party: &Oin| standings.of(party).depends_on_cases();
        let referrals = found.iter().filter_map(|passed| passed.referral.as_ref().ok());
        let referrals = referrals.filter(|one| by_case(&one.terms.sender) || by_case(&one.terms.recipient));
        let cases: Vec<Uuid> = referrals.filter_map(|referral| referral.case).collect();
        cases::tie(&mut app.db.reader(), standings, cases).await?;
        let command = |referral: &Referral| {
            let unable = referral.unable(standings);
            referral.state.is_to_be_noted(unable).then_some(Command::Standing(unable))
        };
        failed += note(app, covenant, found, command, now).await;
        rest(begun).await;
    }
    Ok(failed)
}

/// Rests after a batch that was begun then.
pub(crate) async fn rest(begun: Instant) {
    tokio::time::sleep(begun.elapsed().min(LONGEST_REST)).await;
}

/// Takes the gateway's step in each of these where there is one; answers how many failed. One that is no longer possible is none; one that
/// fails, or before which somebody else took a step, is found again the next time.
async fn note(
    app: &App,
    covenant: &Covenant,
    found: Vec<Passed>,
    command: impl Fn(&Referral) -> Option<Command>,
    now: Timestamp,
) -> usize {
    let (mut together, mut apart, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for Passed { id, referral, .. } in found {
        let change = match referral {
            Ok(referral) => match command(&referral) {
                Some(command) => Change::prepare(app, covenant, referral, command, now),
                None => continue,
            },
            Err(error) => Err(error.into()),
        };
        match change {
            Ok(Some(change)) if change.aftermath.is_none() => together.push(Arc::new(change)),
            Ok(Some(change)) => apart.push(Arc::new(change)),
            Ok(None) => {}
            Err(problem) => failures.push((id, problem)),
        }
    }
    // Every gateway takes the rows in the same order.
    together.sort_by_key(|change| change.referral.id);
    let mut written = write_together(app, together).await;
    written.extend(join_all(apart.into_iter().map(|change| write_alone(app, change))).await);
    let refused = written.into_iter().filter_map(|(id, outcome)| Some((id, outcome.err()?)));
    failures.extend(refused.filter(|(_, problem)| !problem.is_stale()));
    for (id, problem) in &failures {
        tracing::error!(referral = %id, %problem, "a referral could not be noted; it is tried again");
    }
    failures.len()
}

/// What is written of one step.
struct Change {
    referral: Referral,
    from_version: i64,
    noted: Noted,
    /// What it means for the case.
    aftermath: Option<Aftermath>,
}

impl Change {
    /// Takes the step; none where it is not possible.
    fn prepare(
        app: &App,
        covenant: &Covenant,
        mut referral: Referral,
        command: Command,
        now: Timestamp,
    ) -> Result<Option<Self>, Problem> {
        let terms = referral.priority.terms(covenant, &referral.terms.purpose);
        let Ok(taken) = step(&referral.state, &[Role::Gateway], &command, &terms, now) else { return Ok(None) };
        let from_version = referral.version;
        let aftermath = Rules::of(covenant).and_then(|rules| referral.aftermath(&taken, &rules));
        let municipality = covenant.municipality().map(|party| party.oin.clone());
        let noted = Noted::of(app, &mut referral, command, &taken, municipality.as_ref(), now)?;
        Ok(Some(Self { referral, from_version, noted, aftermath }))
    }

    /// Moves the referral on; whether no other step came first.
    async fn advance(&self, tx: &mut Tx) -> Result<bool, Problem> {
        Ok(store::advance(tx, &self.referral, self.from_version).await?)
    }
}

/// Writes steps that mean nothing for their cases, in one transaction; where that fails, each alone. Answers how each went.
async fn write_together(app: &App, changes: Vec<Arc<Change>>) -> Vec<(Uuid, Result<(), Problem>)> {
    if changes.is_empty() {
        return Vec::new();
    }
    let shared = changes.clone();
    let job = async move |tx: &mut Tx| {
        // First all rows that change, then all that are added: those go in together.
        let mut moved = Vec::with_capacity(shared.len());
        for change in &shared {
            moved.push(change.advance(tx).await?);
        }
        for (change, _) in shared.iter().zip(&moved).filter(|(_, moved)| **moved) {
            change.noted.write(tx);
        }
        Ok(moved)
    };
    match app.db.write("watch-referrals", job).await {
        Ok(moved) => {
            let outcome = |moved: bool| if moved { Ok(()) } else { Err(Problem::stale()) };
            changes.iter().zip(moved).map(|(change, moved)| (change.referral.id, outcome(moved))).collect()
        }
        // One of them, or the database: alone, each says so itself.
        Err(_) => join_all(changes.into_iter().map(|change| write_alone(app, change))).await,
    }
}

/// Writes one step, with what it means for its case.
async fn write_alone(app: &App, change: Arc<Change>) -> (Uuid, Result<(), Problem>) {
    let (id, gateway) = (change.referral.id, app.clone());
    let mut ground = Ground::default();
    if let Some(aftermath) = &change.aftermath {
        aftermath.add_to(&mut ground);
    }
    let job = async move |tx: &mut Tx| {
        if !change.advance(tx).await? {
            return Err(Problem::stale());
        }
        change.noted.write(tx);
        match &change.aftermath {
            Some(aftermath) => aftermath.apply(tx, &gateway, change.referral.updated_at).await,
            None => Ok(()),
        }
    };
    (id, app.db.write_on(ground, "watch-referral", job).await)
}
