//! Destroying the shares of keys that are to be destroyed, and finishing the erasures that asked for it.
//!
//! Invariants: that a share is destroyed is noted after its bytes are gone, so that whatever is cut off is done again; destroying one twice changes nothing,
//! so several gateways may do it at once; an erasure is finished once, with a record, when none of its shares is left.

use uuid::Uuid;

use super::store;
use super::types::Erasure;
use crate::app::App;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::storage::Tx;

/// How many are destroyed in one go.
const STEP: i64 = 256;

/// Destroys every share that is to be destroyed, and finishes what waited for that.
///
/// # Errors
/// When the database or the key store does not answer; what is left is done the next time.
pub async fn destroy(app: &App) -> Result<(), Problem> {
    while !app.signals.is_stopping() {
        let shares = store::to_destroy(&mut app.db.reader(), STEP).await?;
        if shares.is_empty() {
            break;
        }
        app.keys.destroy(&shares).await?;
        let now = app.now();
        let note = async move |tx: &mut Tx| {
            for share in &shares {
                store::destroyed(tx, *share, now).await?;
            }
            Ok(())
        };
        app.db.write("note-destruction", note).await?;
    }
    finish(app).await
}

async fn finish(app: &App) -> Result<(), Problem> {
    let mut after = (Timestamp::from_micros(i64::MIN), Uuid::nil());
    loop {
        let pending = store::pending(&mut app.db.reader(), after, STEP).await?;
        let Some(last) = pending.last() else { return Ok(()) };
        after = (last.requested_at, last.id);
        for erasure in pending {
            let (id, now) = (erasure.id, app.now());
            let record = record(app, &erasure, now)?;
            let finish = async move |tx: &mut Tx| {
                if store::finish(tx, id, now).await? {
                    audit::write(tx, &record);
                }
                Ok(())
            };
            app.db.write("finish-erasure", finish).await?;
        }
    }
}

fn record(app: &App, erasure: &Erasure, now: Timestamp) -> Result<SealedRecord, Problem> {
    let mut record = Record::new(app.new_id()?, Kind::Erasure, now, erasure.organisation.clone());
    record.action = Some("keys-destroyed".to_owned());
    record.resource = Some(format!("/v1/erasures/{}", erasure.id));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}

/// Removes shares that were made for sections that never came to be.
///
/// # Errors
/// When the database or the key store does not answer.
pub async fn sweep(app: &App) -> Result<(), Problem> {
    while let Some(old) = app.keys.old(app.now()).await? {
        let used = store::used(&mut app.db.reader(), old.ids()).await?;
        app.keys.swept(old, &used).await?;
    }
    Ok(())
}
