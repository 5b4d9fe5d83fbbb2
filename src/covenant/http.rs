//! The covenant over HTTP: its versions, their text, and who signed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::publishing::{Publication, Wanted};
use super::service::{Actor, Signing};
use super::store::{self, Published, Signature};
use super::{Bundle, Finding, PurposeCode, Scope};
use crate::audit;
use crate::cases;
use crate::http::page::{Page, not_made_here};
use crate::http::{Answer, Call, idempotency};
use crate::problem::{InvalidParam, Problem, until_settled};
use crate::storage::{Ground, Query, Tx};

/// `GET /v1/covenants`
///
/// # Errors
/// 400 for a cursor that was not made here; when the database fails.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let mut reader = call.app.db.reader();
    let in_force = store::in_force(&mut reader, call.app.now()).await?;
    let page = Page::of(&call)?;
    let all = store::list(&mut reader).await?;
    let from = match page.after::<String>()? {
        None => 0,
        Some(last) => 1 + all.iter().position(|one| one.version == last).ok_or_else(not_made_here)?,
    };
    let items = all.iter().skip(from).map(|published| summary(&call, published, in_force.as_ref())).collect();
    page.answer(&call, "/v1/covenants", items, |item: &Value| {
        item.get("version").and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// `POST /v1/covenants`
///
/// # Errors
/// 400 with every finding, 409.
pub async fn publish(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        files: BTreeMap<String, String>,
        #[serde(default)]
        without_proof: bool,
    }
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let Body { files, without_proof } = call.json()?;
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    let bundle = Bundle::from_files(files).map_err(|findings| {
        let invalid = findings
            .0
            .iter()
            .map(|Finding { place, message }| InvalidParam::new(format!("files.{place}"), "covenant", message.clone()));
        Problem::invalid(invalid.collect())
    })?;
    // The invariants are those of this gateway: who publishes does not choose what is proven.
    let wanted = if without_proof { Wanted::Nothing } else { Wanted::Proof(call.app.config.policies.folder.clone()) };
    let publication = Publication::prepare(&call.app, &bundle, &wanted, actor(&call)?).await?;
    let mut view = summary(&call, &publication.published, None);
    if let Value::Object(view) = &mut view {
        view.insert("files".into(), json!(publication.files));
        view.insert("signatures".into(), json!([]));
    }
    let location = format!("/v1/covenants/{}", publication.published.version);
    idempotency::once(&call, "publish-covenant", Ground::default(), async move |tx: &mut Tx| {
        publication.apply(tx).await?;
        Answer::created(location.clone(), &view)
    })
    .await
}

/// `GET /v1/covenants/{version}`
///
/// # Errors
/// 404.
pub async fn show(call: Call) -> Result<Answer, Problem> {
    let version: String = call.path("version")?;
    let published = store::find(&mut call.app.db.reader(), &version).await?.ok_or_else(Problem::not_found)?;
    Answer::ok(&full(&call, &published).await?)
}

/// `GET /v1/covenants/{version}/signatures`: what everybody may know, and then what the caller itself signed for single cases.
///
/// # Errors
/// 400 for a cursor that was not made here, 404.
pub async fn list_signatures(call: Call) -> Result<Answer, Problem> {
    let version: String = call.path("version")?;
    let mut reader = call.app.db.reader();
    store::find(&mut reader, &version).await?.ok_or_else(Problem::not_found)?;
    let page = Page::of(&call)?;
    // The parties are few: theirs are all on the first page.
    let after = page.after::<Uuid>()?.map(|id| id.to_string());
    let mut items = if after.is_none() { signatures(&mut reader, &version).await? } else { Vec::new() };
    let (caller, after) = (&call.caller()?.organisation, after.unwrap_or_default());
    let own = cases::signatures(&mut reader, &version, caller, &after, page.limit).await?;
    let full = i64::try_from(own.len()).is_ok_and(|found| found >= page.limit);
    let resume = own.last().filter(|_| full).map(|last| last.id.clone());
    items.extend(own.iter().map(|own| signature_view(&own.signature, &Scope::Case(own.alias), own.stands)));
    let path = format!("/v1/covenants/{version}/signatures");
    let next = resume.map(|resume| page.address(&call, &path, &resume));
    Answer::ok(&json!({ "items": items, "next": next }))
}

/// `POST /v1/covenants/{version}/signatures`
///
/// # Errors
/// 400, 403, 404, 409.
pub async fn sign(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    // Where the case has changed meanwhile, whether the invitation still stands is looked at anew.
    until_settled(async || attempt_to_sign(&call).await).await
}

async fn attempt_to_sign(call: &Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        jws: String,
        purpose: Option<PurposeCode>,
        case_id: Option<Uuid>,
    }
    let version: String = call.path("version")?;
    let Body { jws, purpose, case_id } = call.json()?;
    let scope = match (purpose, case_id) {
        (None, None) => Scope::Covenant,
        (Some(purpose), None) => Scope::Purpose(purpose),
        (None, Some(alias)) => Scope::Case(alias),
        (Some(_), Some(_)) => {
            let reason = "expected either a purpose or a case: one signature is for one of them";
            return Err(Problem::invalid_param("caseId", "not-expected", reason));
        }
    };
    let signer = call.caller()?.organisation.clone();
    let signing = Signing::prepare(&call.app, &version, &signer, scope, &jws, actor(call)?).await?;
    let view = signature_view(&signing.signature, &signing.scope, true);
    let location = format!("/v1/covenants/{version}/signatures");
    idempotency::once(call, "sign-covenant", signing.ground(), async move |tx: &mut Tx| {
        signing.apply(tx).await?;
        Answer::created(location.clone(), &view)
    })
    .await
}

fn actor(call: &Call) -> Result<Actor, Problem> {
    let organisation = call.caller()?.organisation.clone();
    Ok(Actor { record: call.record(audit::Kind::Covenant, organisation, call.app.now())?, peer: call.peer.clone() })
}

fn summary(call: &Call, published: &Published, in_force: Option<&Published>) -> Value {
    json!({
        "version": published.version,
        "digest": published.digest,
        "status": published.status(in_force, call.app.now()),
        "effectiveFrom": published.effective_from,
        "publishedAt": published.announced_at,
        "proof": published.proof,
    })
}

async fn full(call: &Call, published: &Published) -> Result<Value, Problem> {
    let mut reader = call.app.db.reader();
    let in_force = store::in_force(&mut reader, call.app.now()).await?;
    let mut view = summary(call, published, in_force.as_ref());
    if let Value::Object(view) = &mut view {
        view.insert("files".into(), json!(store::files(&mut reader, &published.version).await?));
        view.insert("signatures".into(), json!(signatures(&mut reader, &published.version).await?));
    }
    Ok(view)
}

/// Those under the whole and those for one purpose: everybody may know of them.
async fn signatures(query: &mut impl Query, version: &str) -> Result<Vec<Value>, Problem> {
    let whole = store::signatures(query, version).await?;
    let mut items: Vec<_> = whole.iter().map(|one| signature_view(one, &Scope::Covenant, true)).collect();
    let for_purposes = store::signatures_for_purposes(query, version).await?;
    items.extend(for_purposes.into_iter().map(|(purpose, one)| signature_view(&one, &Scope::Purpose(purpose), true)));
    Ok(items)
}

/// `counts`: a signature for a case does until its invitation ends.
fn signature_view(signature: &Signature, scope: &Scope, counts: bool) -> Value {
    let (purpose, case) = match scope {
        Scope::Covenant => (None, None),
        Scope::Purpose(purpose) => (Some(purpose), None),
        Scope::Case(alias) => (None, Some(alias)),
    };
    json!({
        "organisation": signature.organisation,
        "purpose": purpose,
        "caseId": case,
        "jws": signature.jws,
        "signedAt": signature.signed_at,
        "counts": counts,
    })
}
