//! Ending a declaration early, and tracking that the resident is informed.

use serde_json::json;
use uuid::Uuid;

use super::types::{EmergencyAccess, Notification, NotificationCreation, Notified, Status};
use super::{readers, store, trace, view};
use crate::audit::{self, SealedRecord};
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem, until_settled};
use crate::storage::{Ground, Tx, revisions};

/// `POST /v1/emergency-accesses/{id}/endings`
///
/// # Errors
/// 404 for everyone but the party that declared it, 409 when it is over.
pub async fn end(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_end).await
}

/// `POST /v1/emergency-accesses/{id}/notifications`
///
/// # Errors
/// 400 with everything that is wrong, 404 for everyone but the party that declared it, 409 when the resident was informed already.
pub async fn notify(call: Call) -> Result<Answer, Problem> {
    settle(&call, attempt_notify).await
}

/// Runs `attempt` until nobody else has changed the declaration meanwhile. A repeat gets the first answer, as long as it is the caller's own.
async fn settle(
    call: &Call,
    attempt: impl AsyncFn(&Call, EmergencyAccess) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    until_settled(async || {
        let access = readers::own(call).await?;
        if let Some(answer) = idempotency::earlier(call).await? {
            return Ok(answer);
        }
        match attempt(call, access).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt_end(call: &Call, mut access: EmergencyAccess) -> Result<Answer, Problem> {
    let now = call.app.now();
    if access.status(now) != Status::Active {
        return Err(Problem::new(Code::Conflict, "it is over already"));
    }
    call.check_if_match(access.version)?;
    access.ended_at = Some(now);
    let record = trace::sealed(&call.app, &trace::record(call, &access, &access.organisation, "ended", now)?)?;
    let id = access.id;
    let (change, answer) = (Change::of(access, record, None), view::Own::of(call));
    idempotency::once(call, "end-emergency", change.ground(), async move |tx: &mut Tx| {
        // Whoever decided on it as it was decides again.
        revisions::bump(tx, &revisions::emergency(id));
        let access = change.apply(tx).await?;
        Answer::created(format!("/v1/emergency-accesses/{id}"), &answer.show(&access, now))
            .map(|answer| answer.etag(access.version))
    })
    .await
}

async fn attempt_notify(call: &Call, mut access: EmergencyAccess) -> Result<Answer, Problem> {
    let now = call.app.now();
    let wanted: NotificationCreation = call.json()?;
    let notification = wanted.checked(call.app.new_id()?, access.declared_at, now).map_err(Problem::invalid)?;
    if !access.notify(&notification) {
        return Err(Problem::new(Code::Conflict, "that the resident was informed, or why not, is on record already"));
    }
    let action = match notification.outcome {
        Notified::Informed => "resident-informed",
        Notified::Postponed => "informing-postponed",
        Notified::NotPossible => "informing-not-possible",
    };
    let mut record = trace::record(call, &access, &access.organisation, action, now)?;
    let Notification { informed_at, method, reason, .. } = &notification;
    record.facts = Some(json!({ "informedAt": informed_at, "method": method, "reason": reason }));
    let record = trace::sealed(&call.app, &record)?;
    let (id, body) = (access.id, view::notification(&notification, access.duty.due_at));
    let change = Change::of(access, record, Some(notification));
    idempotency::once(call, "notify-emergency", change.ground(), async move |tx: &mut Tx| {
        let access = change.apply(tx).await?;
        Ok(Answer::created(format!("/v1/emergency-accesses/{id}/notifications"), &body)?.etag(access.version))
    })
    .await
}

/// What one transaction writes.
struct Change {
    access: EmergencyAccess,
    from_version: i64,
    record: SealedRecord,
    notification: Option<Notification>,
}

impl Change {
    fn of(mut access: EmergencyAccess, record: SealedRecord, notification: Option<Notification>) -> Self {
        let from_version = access.version;
        access.version += 1;
        Self { access, from_version, record, notification }
    }

    fn ground(&self) -> Ground {
        Ground::raising(revisions::emergency(self.id()))
    }

    const fn id(&self) -> Uuid {
        self.access.id
    }

    async fn apply(&self, tx: &mut Tx) -> Result<EmergencyAccess, Problem> {
        if !store::advance(tx, &self.access, self.from_version).await? {
            return Err(Problem::stale());
        }
        if let Some(notification) = &self.notification {
            store::insert_notification(tx, &self.access, notification).await?;
        }
        audit::write(tx, &self.record);
        Ok(self.access.clone())
    }
}
