//! Matches over HTTP.

use serde::Deserialize;

use super::find::Unlinking;
use super::{Rights, SubjectReference};
use crate::codes::closed_list;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Problem, until_settled};
use crate::storage::Tx;

closed_list! {
    /// Why a match is to lead elsewhere.
    UnlinkingReason {
        /// It led to the wrong resident.
        WrongResident = "wrong-resident",
        /// Several residents have these data.
        SeveralResidents = "several-residents",
    }
}

/// `POST /v1/subject-matches/_unlink`: the same answer whether or not there was anything to take back.
///
/// # Errors
/// 400 with everything that is wrong with the data.
pub async fn unlink(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        subject: SubjectReference,
        reason_code: UnlinkingReason,
    }
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let Body { subject, reason_code } = call.json()?;
    let engine = call.app.covenants.in_force(&mut call.app.db.reader(), call.app.now()).await?;
    let rights = Rights::of(engine.covenant(), &call.caller()?.organisation);
    let shared = reason_code == UnlinkingReason::SeveralResidents;
    let unlinking = Unlinking::prepare(call, &subject, shared, rights).await?;
    idempotency::once(call, "unlink-match", unlinking.ground(), async move |tx: &mut Tx| {
        unlinking.apply(tx).await?;
        Ok(Answer::no_content())
    })
    .await
}
