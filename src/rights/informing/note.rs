//! Recording how the resident was informed, or why that is not owed.

use serde_json::json;

use super::types::NotificationCreation;
use super::{http, store};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Code, Problem, until_settled};
use crate::rights::trace;
use crate::storage::{Ground, Tx};

/// `POST /v1/referrals/{id}/notifications`
///
/// # Errors
/// 400 with everything that is wrong; 404 for everyone but the party of the referral that has read something of the other; 409 when something was recorded already.
pub async fn note(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    let duty = http::own_of_referral(call).await?;
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let now = call.app.now();
    let wanted: NotificationCreation = call.json()?;
    let notification = wanted.checked(call.app.new_id()?, duty.given_at, now).map_err(Problem::invalid)?;
    if !duty.may_note(notification.outcome) {
        let conflict = Problem::new(Code::Conflict, "that the resident was informed, or why not, is on record already");
        return idempotency::or_first(call, conflict).await;
    }
    let facts = json!({
        "outcome": notification.outcome, "informedAt": notification.informed_at, "method": notification.method,
    });
    let record = trace::record(call, http::about(&duty, "informing-recorded", Some(facts)), now)?;
    let view = http::notification(&notification);
    let location = format!("/v1/referrals/{}/notifications", duty.referral);
    idempotency::once(call, "record-informing", Ground::default(), async move |tx: &mut Tx| {
        if !store::note(tx, &duty, &notification).await? {
            return Err(Problem::stale());
        }
        audit::write(tx, &record);
        Answer::created(location.clone(), &view)
    })
    .await
}
