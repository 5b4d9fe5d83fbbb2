//! Terms of vetoes that pass: its holder's own system is reminded, and nobody else hears of it.
//!
//! Invariant: each is told once, by whichever of several gateways finds it. Of a term that passes there is no record: nothing was done, and a record that is written
//! at midnight would show what it is about.

use std::time::Instant;

use futures_util::future::join_all;
use uuid::Uuid;

use super::store;
use crate::app::App;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::referrals::watch::rest;
use crate::relay::{self, Event, Happening};
use crate::storage::Tx;

/// How many are looked at before the next batch is read.
const BATCH: i64 = 100;

/// Tells what has become overdue; answers for how many that failed.
///
/// # Errors
/// When the database fails.
pub async fn sweep(app: &App) -> Result<usize, Problem> {
    let now = app.now();
    let (mut failed, mut after) = (0, (Timestamp::from_micros(i64::MIN), Uuid::nil()));
    while !app.signals.is_stopping() {
        let begun = Instant::now();
        let due = store::due(&mut app.db.reader(), now, after, BATCH).await?;
        let Some(last) = due.last() else { break };
        after = *last;
        for outcome in join_all(due.into_iter().map(|(_, id)| one(app, id, now))).await {
            match outcome {
                Err(problem) if !problem.is_stale() => {
                    failed += 1;
                    tracing::error!(%problem, "a deadline could not be told; it is tried again");
                }
                // Somebody was faster; what is left of it is found the next time.
                _ => {}
            }
        }
        rest(begun).await;
    }
    Ok(failed)
}

async fn one(app: &App, id: Uuid, now: Timestamp) -> Result<(), Problem> {
    let event = app.new_id()?;
    let tell = async move |tx: &mut Tx| {
        let Some(mut veto) = store::find(tx, id).await? else { return Ok(()) };
        let from_version = veto.version;
        if !veto.pass(now) {
            return Ok(());
        }
        veto.version += 1;
        if !store::advance(tx, &veto, from_version).await? {
            return Err(Problem::stale());
        }
        let (to, happening) = (veto.organisation.into(), Happening::VetoOverdue { veto: id });
        relay::enqueue(tx, &Event { id: event, to, happening, time: now, trace_parent: None });
        Ok(())
    };
    app.db.write("tell-deadline", tell).await
}
