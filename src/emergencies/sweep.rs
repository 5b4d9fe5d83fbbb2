//! Deadlines that pass: of reviews that are not concluded, of residents who are not informed.
//!
//! Invariant: each is told once, by whichever of several gateways finds it: the change asks for the version that it was seen at. One
//! that cannot be told holds up no other.

use std::time::Instant;

use futures_util::future::join_all;
use uuid::Uuid;

use super::types::EmergencyAccess;
use super::{store, trace};
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::referrals::watch::rest;
use crate::relay::{self, EmergencyNews};
use crate::storage::{Ground, Tx, revisions};

/// How many are looked at before the next batch is read.
const BATCH: i64 = 100;

/// Tells what has become overdue; answers for how many that failed.
///
/// # Errors
/// When the database fails.
pub async fn sweep(app: &App) -> Result<usize, Problem> {
    let now = app.now();
    // Without a covenant nothing was agreed on, so nothing was declared.
    let municipality = app.covenants.municipality(&mut app.db.reader(), now).await?;
    let Some(municipality) = municipality else { return Ok(0) };
    let (mut failed, mut after) = (0, (Timestamp::from_micros(i64::MIN), Uuid::nil()));
    while !app.signals.is_stopping() {
        let begun = Instant::now();
        let due = store::due(&mut app.db.reader(), now, after, BATCH).await?;
        let Some(last) = due.last() else { break };
        after = *last;
        for outcome in join_all(due.into_iter().map(|(_, id)| one(app, id, municipality.clone(), now))).await {
            match outcome {
                Err(problem) if !problem.is_stale() => {
                    failed += 1;
                    tracing::error!(%problem, "an overdue review could not be told; it is tried again");
                }
                // Somebody was faster; what is left of it is found the next time.
                _ => {}
            }
        }
        rest(begun).await;
    }
    Ok(failed)
}

async fn one(app: &App, id: Uuid, municipality: crate::ids::Oin, now: Timestamp) -> Result<(), Problem> {
    let gateway = app.clone();
    let tell = async move |tx: &mut Tx| {
        let Some(mut access) = store::find(tx, id).await? else { return Ok(()) };
        let from_version = access.version;
        let mut writes = Vec::new();
        if access.review.concluded.is_none() && !access.review.told && access.review.due_at <= now {
            access.review.told = true;
            let told = [&access.review.reviewer, &municipality];
            let news = EmergencyNews::ReviewOverdue;
            writes.push(("review-overdue", trace::tell_officers(&gateway, &access, news, told, &municipality, now)?));
        }
        if !access.duty.told && access.duty.due_at.is_some_and(|due_at| due_at <= now) {
            access.duty.told = true;
            let told = [&access.organisation, &municipality];
            let news = EmergencyNews::ReviewNotificationOverdue;
            let mut events = trace::tell_officers(&gateway, &access, news, told, &municipality, now)?;
            let own = access.organisation.clone().into();
            events.push(trace::event(&gateway, &access, EmergencyNews::NotificationOverdue, own, now)?);
            writes.push(("informing-overdue", events));
        }
        write(tx, &gateway, access, from_version, writes, now).await
    };
    app.db.write_on(Ground::raising(revisions::emergency(id)), "tell-overdue-review", tell).await
}

async fn write(
    tx: &mut Tx,
    app: &App,
    mut access: EmergencyAccess,
    from_version: i64,
    writes: Vec<(&str, Vec<relay::Event>)>,
    now: Timestamp,
) -> Result<(), Problem> {
    if writes.is_empty() {
        return Ok(());
    }
    access.version += 1;
    if !store::advance(tx, &access, from_version).await? {
        return Err(Problem::stale());
    }
    for (action, events) in writes {
        let record = trace::clock_record(app, &access, &access.organisation, action, now)?;
        audit::write(tx, &trace::sealed(app, &record)?);
        for event in &events {
            relay::enqueue(tx, event);
        }
    }
    Ok(())
}
