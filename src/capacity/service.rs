//! Announcing a notice, and ending it early.

use super::store;
use super::types::{Announcement, Ending, Notice};
use crate::app::App;
use crate::clock::Timestamp;
use crate::covenant::PurposeCode;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::organisations::changes::{ChangeRecord, Part, record_change};
use crate::organisations::{self, Actor};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::Tx;

/// A notice that is ready to be announced.
pub(super) struct NewNotice {
    pub(super) notice: Notice,
    change: Change,
}

/// Who changes something, and when.
struct Change {
    app: App,
    actor: Actor,
    trace_parent: String,
    now: Timestamp,
}

impl NewNotice {
    /// Checks it.
    ///
    /// # Errors
    /// 400 with everything that is wrong; 403 where the covenant has nobody send to the organisation for the purpose.
    pub(super) async fn prepare(call: &Call, announcement: Announcement) -> Result<Self, Problem> {
        let change = Change::of(call)?;
        let capacity = announcement.capacity(Day::of(change.now)).map_err(Problem::invalid)?;
        let organisation = call.caller()?.organisation.clone();
        check_purpose(call, &organisation, &announcement).await?;
        let notice = Notice {
            id: call.app.new_id()?,
            organisation,
            purpose: announcement.purpose,
            capacity,
            until: announcement.until,
            announced_at: change.now,
            ended: None,
        };
        Ok(Self { notice, change })
    }

    /// Stores it in the place of an earlier one, and tells the others.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        let Self { notice, change } = self;
        // First: raising the revision has another announcement of the same organisation wait for this one.
        change.record(tx, "capacity-announced", notice).await?;
        let mut replaces = None;
        if let Some(mut earlier) = store::last(tx, &notice.organisation, &notice.purpose).await? {
            if earlier.holds(Day::of(change.now)) {
                earlier.ended = Some((Ending::Replaced, change.now));
                replaces = Some(earlier.id);
                change.record(tx, "capacity-replaced", &earlier).await?;
            }
            store::set_aside(tx, &earlier).await?;
        }
        store::put(tx, notice).await?;
        let organisation = notice.organisation.clone();
        change.tell_others(tx, &Happening::CapacityAnnounced { notice: notice.id, organisation, replaces }).await
    }
}

/// Only for a purpose for which the covenant names it as a recipient has an organisation something to announce.
async fn check_purpose(call: &Call, organisation: &Oin, announcement: &Announcement) -> Result<(), Problem> {
    let engine = call.app.covenants.in_force(&mut call.app.db.reader(), call.app.now()).await?;
    let covenant = engine.covenant();
    let party = covenant.party_by_oin(organisation).ok_or_else(|| {
        Problem::new(Code::Forbidden, "the covenant in force does not name your organisation as a party")
    })?;
    let possible = covenant.purposes_to(party);
    if possible.contains(&&announcement.purpose) {
        return Ok(());
    }
    let possible: Vec<&str> = possible.into_iter().map(PurposeCode::as_str).collect();
    let but = if possible.is_empty() { "none" } else { &possible.join(", ") };
    let detail =
        format!("nobody refers to your organisation for this purpose; the covenant has others do so for: {but}");
    Err(Problem::new(Code::Forbidden, detail))
}

/// The end of a notice before its last day is over.
pub(super) struct NewEnding {
    notice: Notice,
    change: Change,
}

impl NewEnding {
    /// Checks who ends it.
    ///
    /// # Errors
    /// 403 for another organisation than the one that announced it.
    pub(super) fn prepare(call: &Call, notice: Notice) -> Result<Self, Problem> {
        if notice.organisation != call.caller()?.organisation {
            return Err(Problem::new(Code::Forbidden, "a notice is ended by the organisation that announced it"));
        }
        Ok(Self { notice, change: Change::of(call)? })
    }

    /// Ends it and tells the others; answers it as it is then.
    ///
    /// # Errors
    /// 409 when it does not hold any more.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<Notice, Problem> {
        let change = &self.change;
        change.record(tx, "capacity-ended", &self.notice).await?;
        let last = store::last(tx, &self.notice.organisation, &self.notice.purpose).await?;
        let mut notice = last
            .filter(|last| last.id == self.notice.id && last.holds(Day::of(change.now)))
            .ok_or_else(|| Problem::new(Code::Conflict, "it does not hold any more"))?;
        notice.ended = Some((Ending::Ended, change.now));
        store::remove(tx, &notice).await?;
        store::set_aside(tx, &notice).await?;
        let organisation = notice.organisation.clone();
        change.tell_others(tx, &Happening::CapacityEnded { notice: notice.id, organisation }).await?;
        Ok(notice)
    }
}

impl Change {
    fn of(call: &Call) -> Result<Self, Problem> {
        Ok(Self {
            app: call.app.clone(),
            actor: Actor::of(call)?,
            trace_parent: call.trace.traceparent(),
            now: call.app.now(),
        })
    }

    /// A notice is a part of what is known of its organisation: whoever decided on what was known before decides again.
    async fn record(&self, tx: &mut Tx, action: &'static str, notice: &Notice) -> Result<(), Problem> {
        let part = Part::CapacityNotice(notice.id);
        let (organisation, actor, at) = (&notice.organisation, &self.actor, self.now);
        record_change(tx, ChangeRecord { action, organisation, part, actor, at }).await
    }

    async fn tell_others(&self, tx: &mut Tx, happening: &Happening) -> Result<(), Problem> {
        let own = self.actor.organisation.as_ref();
        for other in organisations::active(tx).await?.into_iter().filter(|other| Some(other) != own) {
            let event = Event {
                id: self.app.new_id()?,
                to: other.into(),
                happening: happening.clone(),
                time: self.now,
                trace_parent: Some(self.trace_parent.clone()),
            };
            relay::enqueue(tx, &event);
        }
        Ok(())
    }
}
