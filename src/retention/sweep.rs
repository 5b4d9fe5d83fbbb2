//! Removing what has had its term, in steps that hold up nobody.

use std::time::Duration;

use super::store;
use super::types::{Removal, digest_of};
use super::work::{Due, Look, Taken, Work};
use crate::app::App;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::covenant::Retention;
use crate::handoffs;
use crate::ids::Oin;
use crate::problem::{Code, Problem};
use crate::storage::Tx;

/// Removes everything that is older than the covenant in force lets it become. Without a covenant in force nothing is removed.
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
    let retention = &covenant.retention;
    let sweep = Sweep { app, now, covenant_version: covenant.version.clone(), municipality: municipality.oin.clone() };
    // Each field of the covenant is kept to here: one more does not compile before it is.
    let Retention { content: _, categories: _, referral, consent, event, audit } = retention;
    for (days, content) in retention.content_terms() {
        sweep.all(days, Look::Content(content)).await?;
    }
    let uncounted = handoffs::uncounted_from(app).await?;
    sweep.all(*referral, Look::Referrals(uncounted)).await?;
    sweep.all(*referral, Look::Cases(uncounted)).await?;
    sweep.all(*consent, Look::Consents).await?;
    sweep.along(*event, Work::Events(0)).await?;
    sweep.along(*audit, Work::Audit(0)).await
}

/// One round.
struct Sweep<'a> {
    app: &'a App,
    now: Timestamp,
    covenant_version: String,
    municipality: Oin,
}

impl Sweep<'_> {
    fn until(&self, days: u32) -> Timestamp {
        self.now.minus(Duration::from_hours(24 * u64::from(days)))
    }

    /// Removes what is due until nothing is.
    async fn all(&self, days: u32, look: Look) -> Result<(), Problem> {
        let mut before = Due::new();
        while !self.app.signals.is_stopping() {
            let found = look.due(&mut self.app.db.reader(), self.until(days)).await?;
            // What cannot be removed although it is due is looked at again in the next round.
            if found.is_empty() || found == before {
                break;
            }
            before.clone_from(&found);
            self.step(days, look.work(found)).await?;
        }
        Ok(())
    }

    /// Removes along the order in which things were written.
    async fn along(&self, days: u32, first: Work) -> Result<(), Problem> {
        let mut next = Some(first);
        while let Some(work) = next.filter(|_| !self.app.signals.is_stopping()) {
            next = self.step(days, work).await?;
        }
        Ok(())
    }

    async fn step(&self, days: u32, work: Work) -> Result<Option<Work>, Problem> {
        let ids = (self.app.new_id()?, self.app.new_id()?);
        let (until, now) = (self.until(days), self.now);
        let (covenant_version, municipality) = (self.covenant_version.clone(), self.municipality.clone());
        let gateway = self.app.clone();
        let job = async move |tx: &mut Tx| {
            let Taken { names, began, places, next } = work.step(tx, until, now).await?;
            let Some((oldest, newest)) = began.iter().min().zip(began.iter().max()) else { return Ok(next) };
            let removal = Removal {
                id: ids.0,
                kind: work.kind(),
                removed_at: now,
                covenant_version: covenant_version.clone(),
                days,
                number: names.len() as u64,
                oldest: *oldest,
                newest: *newest,
                digest: digest_of(names.clone()),
                places,
                record: ids.1,
            };
            store::insert(tx, &removal, &names);
            let mut record = Record::new(removal.record, Kind::Retention, now, municipality.clone());
            record.action = Some("removed".to_owned());
            record.resource = Some("/v1/retention-removals".to_owned());
            record.covenant_version = Some(removal.covenant_version.clone());
            record.facts = Some(removal.facts());
            audit::write(tx, &SealedRecord::new(&record, &gateway.entropy, &gateway.sealer)?);
            Ok(next)
        };
        self.app.db.write("remove-what-is-over", job).await
    }
}
