//! Makes the figures of every period that has closed, once, for the municipality of the covenant, which reads the monitor.
//!
//! Invariants: a period is counted after it has closed and never again; figures that were kept are never changed, on whichever of several
//! gateways; the figures of a quarter are made after those of its weeks, and beside them; nothing
//! depends on what was handed over but the counts themselves, not even whether there are figures of a period.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::figures::{Figures, Making};
use super::period::Period;
use super::store::{self, Open, Route, Step};
use super::types::{Fact, Happened, Measure, Network, SteppedUpCase};
use crate::app::App;
use crate::clock::Timestamp;
use crate::covenant::{self, BasisCode, BasisKind, CategoryGroup, Covenant, Party};
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::lifecycle::referral::Operation;
use crate::lifecycle::working_days::local_date;
use crate::organisations::{self, Scope};
use crate::policy::Engine;
use crate::problem::{Code, Problem};
use crate::storage::{Error, Query, Tx};

/// How long after its end a period is counted: what was under way is stored by then, and deadlines that passed are noted.
const SETTLED: Duration = Duration::from_mins(5);
/// How many weeks are looked back for figures that are missing.
const LOOK_BACK: usize = 60;

/// What there is to be counted, and for whom.
struct Uncounted {
    engine: Arc<Engine>,
    reader: Oin,
    joined: BTreeMap<Oin, Timestamp>,
    /// Weeks come before quarters.
    missing: Vec<Period>,
}

/// What was not counted of what has closed; none where nobody reads the monitor.
async fn uncounted(app: &App, now: Timestamp) -> Result<Option<Uncounted>, Problem> {
    let engine = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine,
        // Nothing has been agreed on, so nothing was handed over.
        Err(problem) if problem.code() == Code::Refused => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let Some(reader) = engine.covenant().municipality().map(|municipality| municipality.oin.clone()) else {
        return Ok(None);
    };
    // Two readers could put their tables together; the covenant knows one monitor, whoever else was given the scope.
    if !organisations::with_scope(&mut app.db.reader(), Scope::HandoffsRead).await?.contains(&reader) {
        return Ok(None);
    }
    let joined = store::joined(&mut app.db.reader()).await?;
    let made: BTreeSet<Period> = store::periods(&mut app.db.reader(), &reader).await?.into_iter().collect();
    let closed = closed(joined.values().min().copied(), now).into_iter();
    let missing = closed.filter(|period| !made.contains(period)).collect();
    Ok(Some(Uncounted { engine, reader, joined, missing }))
}

/// The first moment of which something may still be counted: the beginning of the quarter that goes on, or of an earlier one that is not counted yet.
///
/// # Errors
/// When the database fails.
pub async fn uncounted_from(app: &App) -> Result<Timestamp, Problem> {
    let now = app.now();
    let missing = uncounted(app, now).await?.map(|uncounted| uncounted.missing).unwrap_or_default();
    let quarters = missing.into_iter().filter_map(Period::quarter).chain([Period::quarter_of(now)]);
    let first = quarters.filter_map(Period::bounds).map(|(from, _)| from).min();
    first.ok_or_else(|| Problem::internal("this moment lies in no quarter"))
}

/// Makes the figures that are missing, for the municipality of the covenant; also those of the time in which no gateway ran.
///
/// # Errors
/// When the database fails; what was made before stays.
pub async fn make(app: &App) -> Result<(), Problem> {
    let now = app.now();
    let Some(Uncounted { engine, reader, joined, missing }) = uncounted(app, now).await? else { return Ok(()) };
    if missing.is_empty() {
        return Ok(());
    }
    let covenant = engine.covenant();
    let standings = covenant::standings(&mut app.db.reader(), &covenant.version).await?;
    let thresholds = thresholds(app, now).await?;
    for period in missing {
        let Some((_, until)) = period.bounds() else { continue };
        // An incidental partner has no line and gives no room for possible cells: counting too few is safe.
        let able = standings.of.iter().filter(|(_, accession)| accession.is_full()).map(|(oin, _)| oin);
        let able = able.filter(|oin| joined.get(oin).is_some_and(|since| *since < until)).cloned().collect();
        let network = network(covenant, able);
        make_one(app, period, &reader, (&network, &joined), &thresholds).await?;
    }
    Ok(())
}

async fn make_one(
    app: &App,
    period: Period,
    reader: &Oin,
    (network, joined): (&Network, &BTreeMap<Oin, Timestamp>),
    thresholds: &[(Timestamp, u32)],
) -> Result<(), Problem> {
    let Some((from, until)) =
        period.quarter().and_then(Period::bounds).zip(period.bounds()).map(|(quarter, own)| (quarter.0, own.1))
    else {
        return Ok(());
    };
    let mut weeks = Vec::new();
    for week in period.quarter().into_iter().flat_map(Period::weeks).take_while(|week| *week != period) {
        match store::figures(&mut app.db.reader(), reader, week).await? {
            Some(figures) => weeks.push(figures),
            // Without all of its weeks nobody can say what would be safe beside them.
            None if period.is_quarter() => return Ok(()),
            // A week before anybody took part has no figures.
            None => {}
        }
    }
    let highest = weeks.iter().map(|week| week.threshold).chain(ruled(thresholds, from, until)).max();
    let Some(threshold) = highest else { return Ok(()) };
    let now = app.now();
    let mut facts = facts(&mut app.db.reader(), (from, until), now, network).await?;
    // That an incidental partner takes part in a case is for that case: what it hands over or gets is counted in nothing.
    facts.retain(|fact| joined.contains_key(&fact.sender) && joined.contains_key(&fact.recipient));
    let happened = Happened { facts, cases: stepped_up(&mut app.db.reader(), (from, until), reader).await? };
    let figures = Making { reader, network, threshold, now }.figures(period, &happened, &weeks);
    keep(app, reader.clone(), period, &figures).await
}

async fn keep(app: &App, reader: Oin, period: Period, figures: &Figures) -> Result<(), Problem> {
    let text = serde_json::to_string(figures)?;
    let keep = async move |tx: &mut Tx| Ok(store::keep(tx, &reader, period, &text).await?);
    app.db.write("keep-handoff-figures", keep).await
}

/// The weeks and quarters that have closed since the first organisation took part. When the first referral was made says nothing here: that
/// there are figures would tell that there was one.
fn closed(first: Option<Timestamp>, now: Timestamp) -> Vec<Period> {
    let Some(first) = first else { return Vec::new() };
    let mut periods = BTreeSet::new();
    let mut week = Period::week_of(now.minus(SETTLED)).before();
    while let Some(closed) = week.filter(|week| week.bounds().is_some_and(|(_, until)| until > first)) {
        if periods.len() >= LOOK_BACK {
            break;
        }
        periods.insert(closed);
        week = closed.before();
    }
    let quarters: BTreeSet<Period> = periods
        .iter()
        .filter_map(|week| week.quarter())
        .filter(|quarter| quarter.bounds().is_some_and(|(_, until)| until <= now.minus(SETTLED)))
        .collect();
    // The weeks of a quarter before anybody took part are counted too, so that it is exactly its weeks.
    periods.extend(quarters.iter().flat_map(|quarter| quarter.weeks()));
    periods.into_iter().chain(quarters).collect()
}

/// From when which threshold ruled, the last first; what rules in the future is left out.
async fn thresholds(app: &App, now: Timestamp) -> Result<Vec<(Timestamp, u32)>, Problem> {
    let mut thresholds = Vec::new();
    for version in covenant::versions(&mut app.db.reader()).await? {
        if version.effective_from <= now {
            let engine = app.covenants.engine(&mut app.db.reader(), &version).await?;
            thresholds.push((version.effective_from, engine.covenant().values.aggregation_threshold));
        }
    }
    Ok(thresholds)
}

/// The thresholds that ruled from one moment until another, and the one of now: whoever agreed on the higher one counted on it.
fn ruled(thresholds: &[(Timestamp, u32)], from: Timestamp, until: Timestamp) -> impl Iterator<Item = u32> {
    let before = thresholds.iter().filter(move |(since, _)| *since <= from).take(1);
    let within = thresholds.iter().filter(move |(since, _)| from < *since && *since < until);
    before.chain(within).chain(thresholds.first()).map(|(_, threshold)| *threshold)
}

/// What everybody knows of who can send what to whom: `able` are those that can hand over.
fn network(covenant: &Covenant, able: Vec<Oin>) -> Network {
    let mut routes: BTreeMap<(Oin, Oin), BTreeSet<String>> = BTreeMap::new();
    for (sender, recipient) in able.iter().flat_map(|sender| able.iter().map(move |recipient| (sender, recipient))) {
        let parties = (covenant.party_by_oin(sender), covenant.party_by_oin(recipient));
        let (Some(from), Some(to)) = parties else { continue };
        let leading = covenant.rows.iter().filter(|row| from.oin != to.oin && leads(covenant, row, from, to));
        let purposes: BTreeSet<String> = leading.map(|row| row.purpose.to_string()).collect();
        if !purposes.is_empty() {
            routes.insert((sender.clone(), recipient.clone()), purposes);
        }
    }
    let domains = covenant.categories.iter().filter(|category| category.is(CategoryGroup::LifeDomain));
    Network {
        organisations: able,
        routes,
        purposes: covenant.purposes.iter().map(|purpose| purpose.id.to_string()).collect(),
        priorities: ["routine", "urgent", "asap", "stat"].map(str::to_owned).to_vec(),
        domains: domains.map(|category| category.id.to_string()).collect(),
    }
}

/// Whether a row can be used from one party to another; on a vital interest only where some role at the first may declare break-glass.
fn leads(covenant: &Covenant, row: &covenant::Row, from: &Party, to: &Party) -> bool {
    let with_municipality = [from, to].iter().any(|party| party.id == covenant.municipality);
    let of_municipality = row.municipality_bases.iter().filter(|_| with_municipality);
    let kind = |basis: &BasisCode| covenant.basis(basis.as_str()).map(|basis| basis.kind);
    let may_declare = covenant.emergency.roles.iter().any(|role| covenant.names(&role.parties, from.id.as_str()));
    let usable = |basis: &BasisCode| kind(basis).is_some_and(|kind| may_declare || kind != BasisKind::VitalInterest);
    covenant.names(&row.from, from.id.as_str())
        && covenant.names(&row.to, to.id.as_str())
        && row.bases.iter().chain(of_municipality).any(usable)
}

fn fact(measure: Measure, at: Timestamp, route: Route, days: Option<u32>) -> Fact {
    let Route { sender, recipient, purpose, priority } = route;
    Fact { measure, at, sender, recipient, purpose, priority, domains: Vec::new(), days }
}

/// Everything that is counted from one moment until another, and how things stood then.
async fn facts(
    query: &mut impl Query,
    (from, until): (Timestamp, Timestamp),
    now: Timestamp,
    network: &Network,
) -> Result<Vec<Fact>, Error> {
    let mut facts = opened(query, from, until, &network.domains).await?;
    let (mut after, before) = (store::before_all_of(from), store::after_all_before(until));
    loop {
        let page = store::steps(query, &after, &before).await?;
        let within = page.items.into_iter().filter(|step| from <= step.taken_at && step.taken_at < until);
        facts.extend(within.flat_map(of_step));
        let Some(next) = page.next else { break };
        after = next;
    }
    for open in standing_at(query, until, now).await? {
        let is_late = open.late_since.is_some_and(|since| since < until) || open.due_at < until || open.missed > 0;
        let measure = match open.missed {
            2.. => Measure::Stuck,
            _ if is_late => Measure::Overdue,
            _ => Measure::InTime,
        };
        facts.push(fact(measure, until, open.route, None));
    }
    Ok(facts)
}

/// The cases that were stepped up from one moment until another; that one goes on to be is no step-up.
async fn stepped_up(
    query: &mut impl Query,
    (from, until): (Timestamp, Timestamp),
    reader: &Oin,
) -> Result<Vec<SteppedUpCase>, Error> {
    let (mut cases, mut after) = (Vec::new(), (from, String::new(), 0, 0));
    loop {
        let page = store::stepped_up(query, after, until, reader).await?;
        cases.extend(page.items);
        let Some(next) = page.next else { return Ok(cases) };
        after = next;
    }
}

async fn opened(
    query: &mut impl Query,
    from: Timestamp,
    until: Timestamp,
    domains: &[String],
) -> Result<Vec<Fact>, Error> {
    let mut facts = Vec::new();
    let (mut after, before) = (store::before_all_of(from), store::after_all_before(until));
    loop {
        let page = store::opened(query, &after, &before).await?;
        let mut categories: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
            for (referral, category) in store::categories(query, &first.id, &last.id).await? {
                if domains.contains(&category) {
                    categories.entry(referral).or_default().push(category);
                }
            }
        }
        for opened in page.items.into_iter().filter(|opened| from <= opened.created_at && opened.created_at < until) {
            let domains = categories.remove(&opened.id).unwrap_or_default();
            facts.push(Fact { domains, ..fact(Measure::Opened, opened.created_at, opened.route, None) });
        }
        let Some(next) = page.next else { return Ok(facts) };
        after = next;
    }
}

/// What a step counts as: a first pick-up, a first decision, a first completion, a step in the chain.
fn of_step(step: Step) -> Vec<Fact> {
    let Step { route, created_at, taken_at, status, operation, reached } = step;
    let days = u32::try_from((local_date(taken_at) - local_date(created_at)).whole_days()).unwrap_or(0);
    let mut measures = Vec::new();
    let picked_up = matches!(status, Status::Received | Status::Accepted | Status::Rejected);
    if picked_up && reached < 1 {
        measures.push(Measure::Received);
    }
    match status {
        Status::Accepted if reached < 2 => measures.push(Measure::Accepted),
        Status::Rejected if reached < 2 => measures.push(Measure::Rejected),
        Status::Completed if reached < 3 => measures.push(Measure::Completed),
        _ => {}
    }
    // Each by its own time, whatever came of it later. Stepped up counts whichever end it followed on.
    if operation == Operation::StepUps {
        measures.push(Measure::SteppedUp);
    }
    match operation {
        Operation::ReReferrals if status == Status::Rejected => measures.push(Measure::RejectedReferredOn),
        Operation::Resolutions if status == Status::Rejected => measures.push(Measure::RejectedResolved),
        Operation::StepUps if status == Status::Rejected => measures.push(Measure::RejectedSteppedUp),
        _ => {}
    }
    measures.into_iter().map(|measure| fact(measure, taken_at, route.clone(), Some(days))).collect()
}

/// What was open at a moment: what is open now, but for the referrals in which something happened since; those as their steps tell.
async fn standing_at(query: &mut impl Query, at: Timestamp, now: Timestamp) -> Result<Vec<Open>, Error> {
    let mut touched = HashSet::new();
    let (mut after, before) = (store::before_all_of(at), store::after_all_before(now));
    loop {
        let page = store::touched(query, &after, &before).await?;
        touched.extend(page.items.into_iter().filter(|(_, taken_at)| *taken_at >= at).map(|(referral, _)| referral));
        let Some(next) = page.next else { break };
        after = next;
    }
    let mut standing = Vec::new();
    let mut after = (Timestamp::from_micros(i64::MIN), String::new());
    loop {
        let page = store::open(query, after).await?;
        standing.extend(page.items.into_iter().filter(|open| open.created_at < at && !touched.contains(&open.id)));
        let Some(next) = page.next else { break };
        after = next;
    }
    for referral in touched {
        standing.extend(store::as_it_stood(query, &referral, at).await?);
    }
    Ok(standing)
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
