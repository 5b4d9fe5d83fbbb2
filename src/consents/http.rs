//! Consents over HTTP.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::confirmations::settle_one;
use super::heard;
use super::service::{self, NewConsent, NewWithdrawal};
use super::store;
use super::types::{Consent, Heard, Recording, Report, Withdrawal, WithdrawalReason};
use crate::http::page::Page;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{Problem, until_settled};
use crate::storage::Tx;
use crate::storage::window::Found;
use crate::subjects::{Subject, SubjectReference};

/// `GET /v1/consents`
///
/// # Errors
/// 400 for a cursor that was not made here.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let page = Page::of(&call)?;
    let caller = call.caller()?;
    let organisation = (!sees_all(&call)?).then(|| caller.organisation.clone());
    let filter = store::Filter {
        organisation: organisation.as_ref(),
        kind: call.query_text("kind"),
        status: call.query_text("status"),
        now: call.app.now(),
    };
    let after = page.after::<Uuid>()?.map(|id| id.to_string());
    let found = store::list(&mut call.app.db.reader(), &filter, after.as_deref(), page.rows()).await?;
    let mut views = Vec::with_capacity(found.items.len());
    for consent in &found.items {
        views.push(view(&call, consent).await?);
    }
    page.answer_found(&call, "/v1/consents", Found { items: views, resume: found.resume }, |view| {
        view.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `POST /v1/consents`
///
/// # Errors
/// 400 with everything that is wrong, 403, 409.
pub async fn record(call: Call) -> Result<Answer, Problem> {
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        subject: SubjectReference,
        #[serde(flatten)]
        recording: Recording,
    }
    if let Some(answer) = idempotency::earlier(call).await? {
        return Ok(answer);
    }
    let Body { subject, recording } = call.json()?;
    let evidence = recording.evidence_ref.clone();
    let new = NewConsent::prepare(call, &subject, recording).await?;
    let view = shape(call, &new.consent, evidence.as_deref())?;
    let location = format!("/v1/consents/{}", new.consent.id);
    idempotency::once(call, "record-consent", new.ground(), async move |tx: &mut Tx| {
        new.apply(tx).await?;
        Ok(Answer::created(location.clone(), &view)?.etag(1))
    })
    .await
}

/// `GET /v1/consents/{id}`
///
/// # Errors
/// 404 for everyone but the recorder and the covenant's privacy officer.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let consent = find(&call).await?;
    Ok(Answer::ok(&view(&call, &consent).await?)?.etag(consent.version))
}

/// `POST /v1/consents/{id}/withdrawals`
///
/// # Errors
/// 404 for everyone but the recorder; 409 when it was withdrawn already.
pub async fn withdraw(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        reason_code: WithdrawalReason,
    }
    let consent = find(&call).await?;
    if consent.organisation != call.caller()?.organisation {
        return Err(Problem::not_found());
    }
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let Body { reason_code } = call.json()?;
    let id = consent.id;
    let new = NewWithdrawal::prepare(&call, consent, reason_code)?;
    let answer = idempotency::once(&call, "withdraw-consent", new.ground(), async move |tx: &mut Tx| {
        new.apply(tx).await?;
        let view = withdrawal(id, &new.withdrawal);
        Answer::created(format!("/v1/consents/{id}/withdrawals"), &view)
    })
    .await?;
    // Nothing crosses under it any more. What follows is done now, so that its recorder finds the overview; where that fails it is done by itself.
    if let Err(problem) = settle_one(&call.app, id).await {
        tracing::warn!(consent = %id, %problem, "what follows from a withdrawal is left to the background work");
    }
    Ok(answer)
}

/// `POST /v1/consents/_withdraw`: always 202, and always the same.
///
/// # Errors
/// 400, 403 and 429, for reasons that lie with the caller.
pub async fn withdraw_heard(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        subject: SubjectReference,
        #[serde(flatten)]
        heard: Heard,
    }
    let Body { subject, heard } = call.json()?;
    heard::report(&call, &subject, &heard).await?;
    Ok(Answer::ok(&json!({ "status": "received" }))?.status(202))
}

/// Whether the caller is the covenant's privacy officer.
fn sees_all(call: &Call) -> Result<bool, Problem> {
    Ok(call.caller()?.has_scope("audit:read"))
}

async fn find(call: &Call) -> Result<Consent, Problem> {
    let id: uuid::Uuid = call.path("id")?;
    let consent = store::find(&mut call.app.db.reader(), &id.to_string()).await?.ok_or_else(Problem::not_found)?;
    if consent.organisation == call.caller()?.organisation || sees_all(call)? {
        Ok(consent)
    } else {
        Err(Problem::not_found())
    }
}

async fn view(call: &Call, consent: &Consent) -> Result<Value, Problem> {
    let own = consent.organisation == call.caller()?.organisation;
    let evidence = if own { service::evidence(call, consent.id).await? } else { None };
    shape(call, consent, evidence.as_deref())
}

/// A withdrawal as who recorded the consent sees it, with what another organisation reported.
fn withdrawal(consent: Uuid, withdrawal: &Withdrawal) -> Value {
    let mut view = json!({ "consent": consent, "reasonCode": withdrawal.reason, "withdrawnAt": withdrawal.at });
    if let (Value::Object(view), Some(report)) = (&mut view, &withdrawal.report) {
        let Report { by, recipient, purpose } = report;
        view.insert("reported".into(), json!({ "by": by, "recipient": recipient, "purpose": purpose }));
    }
    view
}

/// The record as the caller sees it: the resident by the caller's own pseudonym.
fn shape(call: &Call, consent: &Consent, evidence: Option<&str>) -> Result<Value, Problem> {
    let Recording { kind, given_by, representative_kind, explicit, recipients, purposes, categories, .. } =
        &consent.recording;
    let Recording { valid_from, valid_until, obtained_at, method, .. } = &consent.recording;
    let reader = &call.caller()?.organisation;
    let subject = Subject::from_stored(consent.subject.clone());
    let mut view = json!({
        "id": consent.id,
        "kind": kind,
        "status": consent.status(call.app.now()),
        "recordedBy": consent.organisation,
        "subject": { "pseudonym": call.app.pseudonyms.for_organisation(&subject, reader) },
        "givenBy": given_by,
        "representativeKind": representative_kind,
        "explicit": explicit,
        "recipients": recipients,
        "purposes": purposes,
        "categories": categories,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "obtainedAt": obtained_at,
        "method": method,
        "recordedAt": consent.recorded_at,
    });
    let mut more = Map::new();
    if consent.organisation == *reader {
        more.insert("evidenceRef".into(), json!(evidence));
    }
    if let Some(withdrawn) = &consent.withdrawal {
        more.insert("withdrawal".into(), withdrawal(consent.id, withdrawn));
    }
    if let Value::Object(view) = &mut view {
        view.append(&mut more);
    }
    Ok(view)
}
