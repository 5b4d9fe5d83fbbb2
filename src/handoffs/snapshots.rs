//! Makes the figures of every period that has closed, once, for every organisation that may read the monitor.
//!
//! Invariants: a period is counted after it has closed and never again; figures that were kept are never changed, on whichever of several
//! gateways; the figures of a quarter are made after those of its weeks, and beside them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::figures::{Fact, Figures, Making, Measure, Network};
use super::period::Period;
use super::store::{self, Open, Route, Step};
use crate::app::App;
use crate::clock::Timestamp;
use crate::covenant::{CategoryGroup, Covenant};
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::lifecycle::working_days::local_date;
use crate::organisations::{self, Scope};
use crate::problem::{Code, Problem};
use crate::storage::{Error, Query, Tx};

/// How long after its end a period is counted: what was under way is stored by then, and deadlines that passed are noted.
const SETTLED: Duration = Duration::from_mins(5);
/// How many weeks are looked back for figures that are missing.
const LOOK_BACK: usize = 60;

/// Makes the figures that are missing; also those of the time in which no gateway ran.
///
/// # Errors
/// When the database fails; what was made before stays.
pub async fn make(app: &App) -> Result<(), Problem> {
    let now = app.now();
    let covenant = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine,
        // Nothing has been agreed on, so nothing was handed over.
        Err(problem) if problem.code() == Code::Refused => return Ok(()),
        Err(problem) => return Err(problem),
    };
    let readers = organisations::with_scope(&mut app.db.reader(), Scope::HandoffsRead).await?;
    let closed = closed(&mut app.db.reader(), now).await?;
    let mut missing: BTreeMap<Period, Vec<&Oin>> = BTreeMap::new();
    for reader in &readers {
        let made: BTreeSet<Period> = store::periods(&mut app.db.reader(), reader).await?.into_iter().collect();
        for period in closed.iter().filter(|period| !made.contains(period)) {
            missing.entry(*period).or_default().push(reader);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let network = network(&mut app.db.reader(), covenant.covenant()).await?;
    // Weeks come before quarters.
    for (period, readers) in missing {
        let facts = facts(&mut app.db.reader(), period, now, &network).await?;
        for reader in readers {
            make_one(app, period, reader, &facts, &network, covenant.covenant()).await?;
        }
    }
    Ok(())
}

async fn make_one(
    app: &App,
    period: Period,
    reader: &Oin,
    facts: &[Fact],
    network: &Network,
    covenant: &Covenant,
) -> Result<(), Problem> {
    let mut weeks = Vec::new();
    if period.is_quarter() {
        for week in period.weeks() {
            // Without all of its weeks nobody can say what would be safe beside them.
            let Some(figures) = store::figures(&mut app.db.reader(), reader, week).await? else { return Ok(()) };
            weeks.push(figures);
        }
    }
    let threshold = covenant.values.aggregation_threshold;
    let figures = Making { reader, network, threshold, now: app.now() }.figures(period, facts, &weeks);
    keep(app, reader.clone(), period, &figures).await
}

async fn keep(app: &App, reader: Oin, period: Period, figures: &Figures) -> Result<(), Problem> {
    let text = serde_json::to_string(figures)?;
    let keep = async move |tx: &mut Tx| Ok(store::keep(tx, &reader, period, &text).await?);
    app.db.write("keep-handoff-figures", keep).await
}

/// The weeks and quarters that have closed since the first referral.
async fn closed(query: &mut impl Query, now: Timestamp) -> Result<Vec<Period>, Error> {
    let Some(oldest) = store::oldest(query).await? else { return Ok(Vec::new()) };
    let mut periods = BTreeSet::new();
    let mut week = Period::week_of(now.minus(SETTLED)).before();
    while let Some(closed) = week.filter(|week| week.bounds().is_some_and(|(_, until)| until > oldest)) {
        if periods.len() >= LOOK_BACK {
            break;
        }
        periods.insert(closed);
        week = closed.before();
    }
    let quarters: BTreeSet<Period> = periods
        .iter()
        .filter_map(|week| week.bounds().map(|(from, _)| Period::quarter_of(from)))
        .filter(|quarter| quarter.bounds().is_some_and(|(_, until)| until <= now.minus(SETTLED)))
        .collect();
    // The weeks of a quarter before the first referral are counted too, so that it is exactly its weeks.
    periods.extend(quarters.iter().flat_map(|quarter| quarter.weeks()));
    Ok(periods.into_iter().chain(quarters).collect())
}

/// What everybody knows of who can send what to whom.
async fn network(query: &mut impl Query, covenant: &Covenant) -> Result<Network, Error> {
    let organisations = organisations::active(query).await?;
    let leads_to = |recipient: &Oin| {
        let Some(party) = covenant.party_by_oin(recipient) else { return 1 };
        let rows = covenant.rows.iter().filter(|row| covenant.names(&row.to, party.id.as_str()));
        rows.map(|row| &row.purpose).collect::<BTreeSet<_>>().len() as u64
    };
    let domains = covenant.categories.iter().filter(|category| category.is(CategoryGroup::LifeDomain));
    Ok(Network {
        purposes_to: organisations.iter().map(|recipient| (recipient.clone(), leads_to(recipient))).collect(),
        organisations,
        purposes: covenant.purposes.iter().map(|purpose| purpose.id.to_string()).collect(),
        priorities: ["routine", "urgent", "asap", "stat"].map(str::to_owned).to_vec(),
        domains: domains.map(|category| category.id.to_string()).collect(),
    })
}

fn fact(measure: Measure, route: Route, days: Option<u32>) -> Fact {
    let Route { sender, recipient, purpose, priority } = route;
    Fact { measure, sender, recipient, purpose, priority, domains: Vec::new(), days }
}

/// Everything that is counted of a period.
async fn facts(query: &mut impl Query, period: Period, now: Timestamp, network: &Network) -> Result<Vec<Fact>, Error> {
    let Some((from, until)) = period.bounds() else { return Ok(Vec::new()) };
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
        let late = open.late_since.is_some_and(|since| since < until) || open.due_at < until || open.missed > 0;
        let measure = if open.missed >= 2 || open.unable {
            Measure::Stuck
        } else if late {
            Measure::Overdue
        } else {
            Measure::InTime
        };
        facts.push(fact(measure, open.route, None));
    }
    Ok(facts)
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
            facts.push(Fact { domains, ..fact(Measure::Opened, opened.route, None) });
        }
        let Some(next) = page.next else { return Ok(facts) };
        after = next;
    }
}

/// What a step counts as: a first pick-up, a first decision, a first completion, a step-up.
fn of_step(step: Step) -> Vec<Fact> {
    let Step { route, created_at, taken_at, status, operation, chain, reached } = step;
    let days = u32::try_from((local_date(taken_at) - local_date(created_at)).whole_days()).unwrap_or(0);
    let mut measures = Vec::new();
    let picked_up = matches!(status, Status::Received | Status::Accepted | Status::Rejected);
    if picked_up && reached < 1 {
        measures.push(Measure::Received);
    }
    match status {
        Status::Accepted if reached < 2 => measures.push(Measure::Accepted),
        Status::Rejected if reached < 2 => measures.push(match chain.as_deref() {
            Some("referred-on") => Measure::RejectedReferredOn,
            Some("resolved") => Measure::RejectedResolved,
            Some("stepped-up") => Measure::RejectedSteppedUp,
            _ => Measure::RejectedOpen,
        }),
        Status::Completed if reached < 3 => measures.push(Measure::Completed),
        _ => {}
    }
    if operation == "step-ups" && status != Status::Rejected {
        measures.push(Measure::SteppedUp);
    }
    measures.into_iter().map(|measure| fact(measure, route.clone(), Some(days))).collect()
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
