//! Deadlines of residents' rights that pass.
//!
//! Invariant: each is told once, by whichever of several gateways finds it. One that cannot be told holds up no other.

use uuid::Uuid;

use super::{informing, objections};
use crate::app::App;
use crate::clock::Timestamp;
use crate::problem::Problem;

/// How many are looked at in one go.
pub(super) const STEP: i64 = 100;

/// Behind which one to go on.
pub(super) type Place = (Timestamp, Uuid);

const FROM_THE_FIRST: Place = (Timestamp::from_micros(i64::MIN), Uuid::nil());

/// Tells what has become overdue; answers for how many that failed.
///
/// # Errors
/// When the database fails.
pub async fn sweep(app: &App) -> Result<usize, Problem> {
    let (now, mut failed) = (app.now(), 0);
    let mut after = FROM_THE_FIRST;
    while !app.signals.is_stopping()
        && let Some((last, left_behind)) = objections::overdue(app, now, after).await?
    {
        (after, failed) = (last, failed + left_behind);
    }
    after = FROM_THE_FIRST;
    while !app.signals.is_stopping()
        && let Some((last, left_behind)) = informing::overdue(app, now, after).await?
    {
        (after, failed) = (last, failed + left_behind);
    }
    Ok(failed)
}
