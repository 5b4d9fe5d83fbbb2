//! Removing what has had its term, in steps that hold up nobody.

use std::time::Duration;

use uuid::Uuid;

use super::store;
use super::types::{Removal, RemovalKind, digest_of};
use crate::app::App;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::referrals;
use crate::storage::Tx;

/// The content of how many referrals is removed in one transaction.
const STEP: i64 = 100;

/// Removes the content of every referral that ended longer ago than the covenant in force lets it be kept. Without a covenant in force nothing is.
///
/// # Errors
/// When the database fails; what was removed before stays removed.
pub async fn sweep(app: &App) -> Result<(), Problem> {
    let now = app.now();
    let engine = match app.covenants.in_force(&mut app.db.reader(), now).await {
        Ok(engine) => engine,
        Err(problem) if problem.code() == Code::Refused => return Ok(()),
        Err(problem) => return Err(problem),
    };
    let covenant = engine.covenant();
    let Some(municipality) = covenant.municipality() else { return Ok(()) };
    let days = covenant.retention.content;
    let until = now.minus(Duration::from_hours(24 * u64::from(days)));
    while !app.signals.is_stopping() {
        let due = referrals::ended(&mut app.db.reader(), until, STEP).await?;
        if due.is_empty() {
            break;
        }
        let step = Step {
            id: app.new_id()?,
            record: app.new_id()?,
            due,
            until,
            now,
            days,
            covenant_version: covenant.version.clone(),
            municipality: municipality.oin.clone(),
        };
        let gateway = app.clone();
        app.db.write("remove-content", async move |tx: &mut Tx| step.apply(tx, &gateway).await).await?;
    }
    Ok(())
}

/// What one transaction removes.
struct Step {
    id: Uuid,
    record: Uuid,
    due: Vec<(Uuid, Timestamp)>,
    until: Timestamp,
    now: Timestamp,
    days: u32,
    covenant_version: String,
    municipality: Oin,
}

impl Step {
    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        let (mut names, mut ends) = (Vec::new(), Vec::new());
        for (referral, ended_at) in &self.due {
            let removed = referrals::expire(tx, *referral, (self.until, self.now), self.id).await?;
            if !removed.is_empty() {
                ends.push(*ended_at);
            }
            names.extend(removed);
        }
        let (Some(oldest), Some(newest)) = (ends.iter().min().copied(), ends.iter().max().copied()) else {
            return Ok(());
        };
        let removal = Removal {
            id: self.id,
            kind: RemovalKind::Content,
            removed_at: self.now,
            covenant_version: self.covenant_version.clone(),
            days: self.days,
            number: names.len() as u64,
            oldest,
            newest,
            digest: digest_of(names),
            record: self.record,
        };
        store::insert(tx, &removal);
        let mut record = Record::new(self.record, Kind::Retention, self.now, self.municipality.clone());
        record.action = Some("removed".to_owned());
        record.resource = Some("/v1/retention-removals".to_owned());
        record.covenant_version = Some(self.covenant_version.clone());
        record.facts = Some(removal.facts());
        audit::write(tx, &SealedRecord::new(&record, &app.entropy, &app.sealer)?);
        Ok(())
    }
}
