//! Deadlines that pass: of parties that did not assess an incident, or did not confirm that what they received is deleted.
//!
//! Invariant: each is told once, by whichever of several gateways finds it: the change asks for the version that it was seen at. One
//! that cannot be told holds up no other.

use uuid::Uuid;

use super::{store, trace};
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::problem::Problem;
use crate::relay::{self, IncidentNews};
use crate::storage::Tx;

/// How many are looked at in one go.
const STEP: i64 = 100;

/// Tells what has become overdue; answers for how many that failed.
///
/// # Errors
/// When the database fails.
pub async fn sweep(app: &App) -> Result<usize, Problem> {
    let now = app.now();
    let municipality = app.covenants.municipality(&mut app.db.reader(), now).await?;
    let (mut failed, mut after) = (0, (Timestamp::from_micros(i64::MIN), Uuid::nil(), String::new()));
    while !app.signals.is_stopping() {
        let (due_at, id, party) = &after;
        let due = store::due(&mut app.db.reader(), now, (*due_at, *id, party), STEP).await?;
        let Some((due_at, id, party)) = due.last() else { break };
        after = (*due_at, *id, party.to_string());
        for (_, id, organisation) in due {
            match one(app, id, organisation, municipality.clone(), now).await {
                Err(problem) if !problem.is_stale() => {
                    failed += 1;
                    tracing::error!(incident = %id, %problem, "what is overdue in an incident could not be told; it is tried again");
                }
                // Somebody was faster; what is left of it is found the next time.
                _ => {}
            }
        }
    }
    Ok(failed)
}

async fn one(app: &App, id: Uuid, organisation: Oin, municipality: Option<Oin>, now: Timestamp) -> Result<(), Problem> {
    let gateway = app.clone();
    let tell = async move |tx: &mut Tx| {
        let Some((incident, mut duty)) = store::find(tx, id, &organisation).await? else { return Ok(()) };
        let from_version = duty.version;
        for news in duty.take_due(now) {
            let (action, told) = match news {
                // That something is not deleted concerns whoever gave it too; how a party assesses is its own affair.
                IncidentNews::DeletionOverdue => ("deletion-overdue", vec![&incident.sender, &incident.recipient]),
                _ => ("assessment-overdue", vec![&organisation]),
            };
            let record = trace::record(&gateway, &incident, &organisation, (action, None), now)?;
            audit::write(tx, &trace::sealed(&gateway, &record)?);
            for event in trace::tell(&gateway, &incident, news, told, municipality.as_ref(), now)? {
                relay::enqueue(tx, &event);
            }
        }
        if duty.version == from_version {
            return Ok(());
        }
        if store::advance(tx, id, &duty, from_version).await? { Ok(()) } else { Err(Problem::stale()) }
    };
    app.db.write("tell-overdue-incident", tell).await
}
