//! Residents who were not informed in time.

use super::types::Duty;
use super::{http, store};
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::relay::{self, RightsNews};
use crate::rights::clock::{Place, STEP};
use crate::rights::{officer, trace};
use crate::storage::Tx;

/// Tells the systems and officers of those whose duty the next overdue ones are; where to go on and how many failed, nothing when there are none.
pub(in crate::rights) async fn overdue(
    app: &App,
    now: Timestamp,
    after: Place,
) -> Result<Option<(Place, usize)>, Problem> {
    let due = store::due(&mut app.db.reader(), now, after, STEP).await?;
    let Some(last) = due.last().map(|last| (last.due_at, last.id)) else { return Ok(None) };
    let mut failed = 0;
    for duty in due {
        let id = duty.id;
        if let Err(problem) = tell(app, duty, now).await {
            failed += 1;
            tracing::error!(duty = %id, %problem, "an overdue duty to inform could not be told; it is tried again");
        }
    }
    Ok(Some((last, failed)))
}

async fn tell(app: &App, duty: Duty, now: Timestamp) -> Result<(), Problem> {
    let (id, version) = (duty.id, duty.version);
    let officer = officer::of(app, &mut app.db.reader(), &duty.organisation, now).await?;
    let record = trace::clock_record(app, http::about(&duty, "informing-overdue", None), now)?;
    let news = RightsNews::InformingOverdue { duty: id, referral: duty.referral };
    let events = [
        trace::event(app, news, duty.organisation, now)?,
        trace::event(app, RightsNews::InformingNeglected { duty: id }, officer, now)?,
    ];
    let write = async move |tx: &mut Tx| {
        // It may have been recorded, or told by another gateway, at the last moment.
        if store::note_overdue(tx, id, version, now).await? {
            audit::write(tx, &record);
            for event in &events {
                relay::enqueue(tx, event);
            }
        }
        Ok(())
    };
    app.db.write("tell-overdue-informing", write).await
}
