//! The steps that have a resource of their own: each reads its body and takes the road of [`super::update`].

use serde::Deserialize;

use super::access;
use super::types::Section;
use super::update::{self, Wanted};
use super::{store, view};
use crate::http::page::Page;
use crate::http::{Answer, Call};
use crate::lifecycle::referral::{Command, Operation};
use crate::lifecycle::{Outcome, Reason, Status};
use crate::policy::OnWithheld;
use crate::problem::Problem;
use crate::storage::window::Found;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Supplement {
    #[serde(default = "reject")]
    on_withheld: OnWithheld,
    sections: Vec<Section>,
}

const fn reject() -> OnWithheld {
    OnWithheld::Reject
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithReason {
    status_reason: Reason,
}

#[derive(Deserialize)]
struct WithOutcome {
    outcome: Outcome,
}

/// `POST /v1/referrals/{id}/supplements`
///
/// # Errors
/// As [`update::add`].
pub async fn supplement(call: Call) -> Result<Answer, Problem> {
    update::take(call, |call| {
        let Supplement { on_withheld, sections } = call.json()?;
        Ok(Wanted { on_withheld, sections, ..Command::Supplement.into() })
    })
    .await
}

/// `POST /v1/referrals/{id}/extensions`
///
/// # Errors
/// As [`update::add`].
pub async fn extend(call: Call) -> Result<Answer, Problem> {
    update::take(call, |_| Ok(Command::Extend.into())).await
}

/// `POST /v1/referrals/{id}/cancellation-requests`
///
/// # Errors
/// As [`update::add`].
pub async fn request_cancellation(call: Call) -> Result<Answer, Problem> {
    update::take(call, |call| Ok(Command::AskCancellation(call.json::<WithReason>()?.status_reason).into())).await
}

/// `POST /v1/referrals/{id}/cancellation-refusals`
///
/// # Errors
/// As [`update::add`].
pub async fn refuse_cancellation(call: Call) -> Result<Answer, Problem> {
    update::take(call, |call| Ok(Command::RefuseCancellation(call.json::<WithReason>()?.status_reason).into())).await
}

/// `POST /v1/referrals/{id}/resolutions`
///
/// # Errors
/// As [`update::add`].
pub async fn resolve(call: Call) -> Result<Answer, Problem> {
    update::take(call, |call| Ok(Command::Resolve(call.json::<WithOutcome>()?.outcome).into())).await
}

/// `POST /v1/referrals/{id}/step-ups`
///
/// # Errors
/// As [`update::add`].
pub async fn step_up(call: Call) -> Result<Answer, Problem> {
    update::take(call, |_| Ok(Command::StepUp.into())).await
}

/// `POST /v1/referrals/{id}/vetoes`
///
/// # Errors
/// As [`update::add`]; 409 wherever its sender could not call it off by itself.
pub async fn veto(call: Call) -> Result<Answer, Problem> {
    // To everybody else it is called off as anything that is not needed any more.
    const CALLED_OFF: Command =
        Command::Update { status: Status::Cancelled, reason: Some(Reason::NoLongerNeeded), outcome: None };
    update::take(call, |_| Ok(Wanted { veto: true, ..CALLED_OFF.into() })).await
}

/// `GET /v1/referrals/{id}/supplements`
///
/// # Errors
/// 404 for everyone for whom the referral does not exist.
pub async fn list_supplements(call: Call) -> Result<Answer, Problem> {
    list(call, Operation::Supplements).await
}

/// `GET /v1/referrals/{id}/cancellation-requests`
///
/// # Errors
/// 404 for everyone for whom the referral does not exist.
pub async fn list_cancellation_requests(call: Call) -> Result<Answer, Problem> {
    list(call, Operation::CancellationRequests).await
}

/// Of the steps of a referral those that did this. A page counts all steps, so it may be shorter than asked for.
async fn list(call: Call, operation: Operation) -> Result<Answer, Problem> {
    let referral = access::to_referral(&call).await?.referral;
    let page = Page::of(&call)?;
    let after = page.after_number()?.unwrap_or(0);
    let updates = store::updates(&mut call.app.db.reader(), referral.id, after, page.limit).await?;
    let full = i64::try_from(updates.len()).is_ok_and(|found| found == page.limit);
    let resume = updates.last().filter(|_| full).map(|last| last.version.to_string());
    let reader = &call.caller()?.organisation;
    let sight = access::sight(&call.app, &referral, reader).await?;
    let wanted = updates.iter().filter(|update| update.operation == operation);
    let items = wanted.map(|update| view::update(update, reader, sight)).collect();
    let path = format!("/v1/referrals/{}/{operation}", referral.id);
    page.answer_found(&call, &path, Found { items, resume }, |_: &serde_json::Value| String::new())
}
