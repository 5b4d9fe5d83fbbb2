//! What the gateway itself notes in a referral: a deadline that has passed, parties that cannot act or can again.

use super::types::{Referral, Update};
use super::{store, trace};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::referral::{Command, Taken};
use crate::problem::Problem;
use crate::relay::{self, Event};
use crate::storage::Tx;

/// A step of the gateway's own, ready to be written once the referral has moved on.
pub(super) struct Noted {
    update: Update,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
}

impl Noted {
    /// Moves the referral on by the step that was taken.
    pub(super) fn of(
        app: &App,
        referral: &mut Referral,
        command: Command,
        taken: &Taken,
        municipality: Option<&Oin>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let former_holder = referral.holder.clone();
        referral.move_to(taken.state, municipality, now);
        let update = trace::update(app.new_id()?, referral, app.config.gateway.oin.clone(), command);
        let records = trace::gateway_records(app, referral, &update)?;
        let mut events = trace::clock_events(app, referral, &taken.happened, municipality, &records, now)?;
        // Of a deadline that passed nothing more is said than that.
        if matches!(command, Command::Standing(_)) {
            events.extend(trace::events(app, referral, former_holder.as_ref(), None, &update, None)?);
        }
        Ok(Self { update, records, events })
    }

    /// Writes its row, its records and its events.
    pub(super) fn write(&self, tx: &mut Tx) {
        store::insert_update(tx, &self.update);
        for record in &self.records {
            audit::write(tx, record);
        }
        for event in &self.events {
            relay::enqueue(tx, event);
        }
    }
}
