//! Watches the clock and the parties of every open referral, so that nobody has to remember: deadlines that have passed, also while no
//! gateway ran, and holders that can no longer act.
//!
//! Invariant: what is noted here is noted once, on whichever of several gateways: each note is a step of the table, written only
//! while the referral is still at the version that was read.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use uuid::Uuid;

use super::types::{Priority, Referral};
use super::{store, trace};
use crate::app::App;
use crate::audit;
use crate::cases;
use crate::clock::Timestamp;
use crate::covenant::{self, Covenant};
use crate::ids::Oin;
use crate::lifecycle::referral::{Command, Role, Unable, step};
use crate::policy::Standing;
use crate::problem::{Code, Problem};
use crate::relay;
use crate::storage::{Ground, Tx};

/// How many referrals are looked at in one go; those of one go share commits.
const STEP: i64 = 100;

/// Notes every deadline that has passed.
///
/// # Errors
/// When no covenant is in force, or the database fails; what was noted before stays noted.
pub async fn deadlines(app: &App) -> Result<(), Problem> {
    let now = app.now();
    let mut after = (Timestamp::from_micros(i64::MIN), Uuid::nil());
    loop {
        let due = store::due(&mut app.db.reader(), now, after, STEP).await?;
        let Some(last) = due.last() else { return Ok(()) };
        after = *last;
        let engine = app.covenants.in_force(&mut app.db.reader(), now).await?;
        let noted = join_all(due.iter().map(|(_, id)| note(app, engine.covenant(), *id, now))).await;
        noted.into_iter().collect::<Result<(), _>>()?;
    }
}

async fn note(app: &App, covenant: &Covenant, id: Uuid, now: Timestamp) -> Result<(), Problem> {
    let Some(referral) = store::find(&mut app.db.reader(), id).await? else { return Ok(()) };
    by_gateway(app, covenant, referral, &Command::DeadlinePassed, now).await
}

/// What was last known of each organisation; nothing at the start, so that everything is looked at once.
#[derive(Debug, Default)]
pub struct Parties(BTreeMap<Oin, bool>);

/// Hands on what is held by organisations that can no longer act, and hands it back when they can again.
///
/// # Errors
/// As [`deadlines`].
pub async fn parties(app: &App, known: &mut Parties) -> Result<(), Problem> {
    let now = app.now();
    let engine = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine,
        // Nothing has been agreed on, so nothing was handed over.
        Err(problem) if problem.code() == Code::Refused => return Ok(()),
        Err(problem) => return Err(problem),
    };
    let covenant = engine.covenant();
    let standings = covenant::standings(&mut app.db.reader(), &covenant.version).await?;
    let able: BTreeMap<_, _> =
        standings.into_iter().map(|(party, standing)| (party, standing == Standing::GOOD)).collect();
    let mut back = false;
    for (organisation, is_able) in &able {
        if known.0.get(organisation) == Some(is_able) {
            continue;
        }
        if *is_able {
            back = true;
        } else {
            hand_on(app, covenant, &able, Held::By(organisation), now).await?;
        }
    }
    if back {
        hand_on(app, covenant, &able, Held::InTheirPlace, now).await?;
    }
    known.0 = able;
    Ok(())
}

/// Which referrals are looked at.
enum Held<'a> {
    /// Those that this organisation holds.
    By(&'a Oin),
    /// Those that somebody holds in the place of a party.
    InTheirPlace,
}

async fn hand_on(
    app: &App,
    covenant: &Covenant,
    able: &BTreeMap<Oin, bool>,
    held: Held<'_>,
    now: Timestamp,
) -> Result<(), Problem> {
    let mut after = Uuid::nil();
    loop {
        let ids = match held {
            Held::By(holder) => store::held_by(&mut app.db.reader(), holder, after, STEP).await?,
            Held::InTheirPlace => store::with_unable(&mut app.db.reader(), after, STEP).await?,
        };
        let Some(last) = ids.last() else { return Ok(()) };
        after = *last;
        let moved = join_all(ids.iter().map(|id| stand_in(app, covenant, able, *id, now))).await;
        moved.into_iter().collect::<Result<(), _>>()?;
    }
}

async fn stand_in(
    app: &App,
    covenant: &Covenant,
    able: &BTreeMap<Oin, bool>,
    id: Uuid,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(referral) = store::find(&mut app.db.reader(), id).await? else { return Ok(()) };
    let is_able = |party| able.get(party).copied().unwrap_or(false);
    let unable = Unable { sender: !is_able(&referral.terms.sender), recipient: !is_able(&referral.terms.recipient) };
    if unable == referral.state.unable {
        return Ok(());
    }
    by_gateway(app, covenant, referral, &Command::Standing(unable), now).await
}

/// Takes a step of the gateway's own. One that is no longer possible, or that somebody else took first, is none.
async fn by_gateway(
    app: &App,
    covenant: &Covenant,
    mut referral: Referral,
    command: &Command,
    now: Timestamp,
) -> Result<(), Problem> {
    let terms = covenant.terms(referral.priority.percent(&covenant.deadlines));
    let Ok(taken) = step(&referral.state, &[Role::Gateway], command, &terms, now) else { return Ok(()) };
    let municipality = covenant.municipality().map(|party| party.oin.clone());
    let from_version = referral.version;
    let aftermath = cases::Rules::of(covenant).and_then(|rules| referral.aftermath(&taken, &rules, None));
    referral.move_to(taken.state, municipality.as_ref(), now);
    let update = trace::update(app.new_id()?, &referral, app.config.gateway.oin.clone(), *command);
    let records = trace::gateway_records(app, &referral, &update)?;
    let mut events = trace::clock_events(app, &referral, &taken.happened, municipality.as_ref(), now)?;
    if matches!(command, Command::Standing(_)) {
        events.extend(trace::events(app, &referral, None, &update, None)?);
    }
    let mut ground = Ground::default();
    if let Some(aftermath) = &aftermath {
        aftermath.add_to(&mut ground);
    }
    let gateway = app.clone();
    let write = async move |tx: &mut Tx| {
        if !store::advance(tx, &referral, from_version).await? {
            return Err(Problem::stale());
        }
        store::insert_update(tx, &update);
        for record in &records {
            audit::write(tx, record);
        }
        for event in &events {
            relay::enqueue(tx, event);
        }
        if let Some(aftermath) = &aftermath {
            aftermath.apply(tx, &gateway, now).await?;
        }
        Ok(())
    };
    match app.db.write_on(ground, "watch-referral", write).await {
        Err(problem) if problem.is_stale() => Ok(()),
        written => written,
    }
}

impl Priority {
    /// What it leaves of a term, in percent.
    pub(super) const fn percent(self, deadlines: &covenant::Deadlines) -> u32 {
        match self {
            Self::Routine => deadlines.priority_percent.routine,
            Self::Urgent => deadlines.priority_percent.urgent,
            Self::Asap => deadlines.priority_percent.asap,
            Self::Stat => deadlines.priority_percent.stat,
        }
    }
}
