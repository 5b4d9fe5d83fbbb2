//! Objections that are not weighed in time.

use super::store;
use super::types::Objection;
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::relay::{self, RightsNews};
use crate::rights::clock::{Place, STEP};
use crate::rights::{officer, trace};
use crate::storage::Tx;

/// Tells the recorders' systems and officers of the next ones that are overdue; where to go on and how many failed, nothing when there are none.
pub(in crate::rights) async fn overdue(
    app: &App,
    now: Timestamp,
    after: Place,
) -> Result<Option<(Place, usize)>, Problem> {
    let due = store::due(&mut app.db.reader(), now, after, STEP).await?;
    let Some(last) = due.last().map(|last| (last.due_at, last.id)) else { return Ok(None) };
    let mut failed = 0;
    for objection in due {
        let id = objection.id;
        if let Err(problem) = tell(app, objection, now).await {
            failed += 1;
            tracing::error!(objection = %id, %problem, "an overdue objection could not be told; it is tried again");
        }
    }
    Ok(Some((last, failed)))
}

async fn tell(app: &App, objection: Objection, now: Timestamp) -> Result<(), Problem> {
    let (id, version, organisation) = (objection.id, objection.version, objection.organisation.clone());
    let officer = officer::of(app, &mut app.db.reader(), &organisation, now).await?;
    let record = trace::clock_record(app, super::http::about(&objection, "objection-overdue", None), now)?;
    let events = [
        trace::event(app, RightsNews::ObjectionOverdue { objection: id }, organisation, now)?,
        trace::event(app, RightsNews::ObjectionWeighingOverdue { objection: id }, officer, now)?,
    ];
    let write = async move |tx: &mut Tx| {
        // It may have been weighed, or told by another gateway, at the last moment.
        if store::note_overdue(tx, id, version, now).await? {
            audit::write(tx, &record);
            for event in &events {
                relay::enqueue(tx, event);
            }
        }
        Ok(())
    };
    app.db.write("tell-overdue-objection", write).await
}
