//! What would a draft change: past decisions of the log, taken again under it.
//!
//! Invariants: nothing is written; the log is read in pages along its index, from the newest record back, and no more of it than was asked for; each
//! decision is compared only after it came out as recorded under its own version.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::taken::{Taken, is_decision_of_giver};
use super::types::{Impact, LeftOut, Origin};
use crate::app::App;
use crate::audit::{self, AuditReader, Field, Filter, StoredRecord};
use crate::clock::Timestamp;
use crate::policy::Engine;
use crate::problem::{Code, Problem};
use crate::storage::Query;

/// How far back is looked unless something else is asked: thirty days.
pub const PERIOD: Duration = Duration::from_hours(30 * 24);

/// How many records are named of each kind unless something else is asked.
pub const EXAMPLES: usize = 3;

/// How many records are read, and held in memory, at once.
const PAGE: usize = 500;

/// Which decisions to take again.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Those made at this moment or later.
    pub since: Timestamp,
    /// Those older than the record with this identifier.
    pub before: Option<String>,
    /// How many records are looked at, at most, of whatever kind.
    pub records: usize,
    /// How many records are named of each kind.
    pub examples: usize,
}

/// The engines of the versions that decided; none for one that is not published here or does not load.
type Engines = HashMap<String, Option<Arc<Engine>>>;

/// Takes past decisions again under a draft. Answers what it would change, and behind which record to go on where there is more to look at.
///
/// # Errors
/// When the database fails.
pub async fn what_if(app: &App, draft: &Arc<Engine>, asked: Asked) -> Result<(Impact, Option<String>), Problem> {
    let Asked { since, mut before, records: mut left, examples } = asked;
    let mut impact = Impact::none(draft, since, examples);
    let oldest = audit::first_id_at(since);
    let everything = AuditReader { organisation: app.config.gateway.oin.clone(), reads_all: true };
    while left > 0 {
        let page = left.min(PAGE);
        let limit = i64::try_from(page).unwrap_or(i64::MAX);
        let filter = Filter { before: before.clone(), limit, ..Filter::default() };
        let mut records = audit::list(&mut app.db.reader(), &everything, filter).await?.items;
        let read = records.len();
        // Identifiers begin with the time, and records come in their order.
        records.retain(|record| record.value(Field::Id).is_some_and(|id| *id >= *oldest));
        let more = read == page && records.len() == read;
        before = records.last().and_then(|record| record.value(Field::Id)).map(str::to_owned);
        impact = weigh_page(app, draft, impact, records).await?;
        if !more {
            return Ok((impact, None));
        }
        left -= page;
    }
    Ok((impact, before))
}

/// Weighs one page, on a thread for what takes long.
async fn weigh_page(
    app: &App,
    draft: &Arc<Engine>,
    mut impact: Impact,
    records: Vec<StoredRecord>,
) -> Result<Impact, Problem> {
    let engines = engines(app, &mut app.db.reader(), &records).await?;
    let (sealer, draft) = (app.sealer.clone(), Arc::clone(draft));
    let work = move || {
        for record in &records {
            impact.records += 1;
            let (id, kind) =
                (record.value(Field::Id).unwrap_or_default(), record.value(Field::Kind).unwrap_or_default());
            let origin = Origin { record: id, kind };
            if !record.examine(&sealer).is_authentic() {
                // It may have been a decision, and of any time, whatever it looks like now.
                impact.leave_out(LeftOut::Altered, origin);
            } else if is_since(record, impact.since) {
                match Taken::of(record) {
                    Ok(None) => {}
                    Ok(Some(taken)) => weigh(&mut impact, &draft, &engines, &taken, origin),
                    Err(reason) => impact.leave_out(reason, origin),
                }
            }
        }
        impact
    };
    spawn_blocking(work).await.map_err(|_| Problem::internal("the gateway stopped while decisions were taken again"))
}

/// Whether a record was made at this moment or later; its identifier is drawn a little later than that.
fn is_since(record: &StoredRecord, since: Timestamp) -> bool {
    record.value(Field::Time).and_then(|time| time.parse::<Timestamp>().ok()).is_some_and(|time| time >= since)
}

fn weigh(impact: &mut Impact, draft: &Engine, engines: &Engines, taken: &Taken, origin: Origin<'_>) {
    let Some(own) = engines.get(&taken.version).and_then(Option::as_ref) else {
        return impact.leave_out(LeftOut::VersionUnusable, origin);
    };
    let again = match taken.again(own) {
        Ok(again) => again,
        Err(reason) => return impact.leave_out(reason, origin),
    };
    let purpose = &taken.request.referral.purpose;
    if again.refused_anyway {
        impact.leave_out(LeftOut::RefusedAnyway, origin);
    } else if draft.weighs_case(purpose) && !own.weighs_case(purpose) {
        impact.leave_out(LeftOut::CaseNotRecorded, origin);
    } else {
        impact.weigh(draft, &taken.request, taken.on_withheld, &again.decision, origin);
    }
}

async fn engines(app: &App, query: &mut impl Query, records: &[StoredRecord]) -> Result<Engines, Problem> {
    let mut engines = Engines::new();
    let decisions = records.iter().filter(|record| is_decision_of_giver(record));
    for version in decisions.filter_map(|record| record.value(Field::CovenantVersion)) {
        if engines.contains_key(version) {
            continue;
        }
        let engine = match app.covenants.of_version(query, version).await {
            Ok(engine) => Some(engine),
            Err(problem) if matches!(problem.code(), Code::NotFound | Code::Internal) => None,
            Err(problem) => return Err(problem),
        };
        engines.insert(version.to_owned(), engine);
    }
    Ok(engines)
}
