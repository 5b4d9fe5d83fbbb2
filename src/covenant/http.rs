//! The covenant over HTTP: its versions, their text, and who signed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::publishing::{Publication, Wanted};
use super::service::{Actor, Signing};
use super::store::{self, Published, Signature};
use super::{Bundle, Finding};
use crate::audit;
use crate::http::{Answer, Call, idempotency};
use crate::problem::{InvalidParam, Problem};
use crate::storage::{Ground, Query, Tx};

/// `GET /v1/covenants`
///
/// # Errors
/// When the database fails.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let mut reader = call.app.db.reader();
    let in_force = store::in_force(&mut reader, call.app.now()).await?;
    let mut items = Vec::new();
    for published in store::list(&mut reader).await? {
        items.push(summary(&call, &published, in_force.as_ref()));
    }
    Answer::ok(&json!({ "items": items, "next": null }))
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

/// `GET /v1/covenants/{version}/signatures`
///
/// # Errors
/// 404.
pub async fn list_signatures(call: Call) -> Result<Answer, Problem> {
    let version: String = call.path("version")?;
    let mut reader = call.app.db.reader();
    store::find(&mut reader, &version).await?.ok_or_else(Problem::not_found)?;
    Answer::ok(&json!({ "items": signatures(&mut reader, &version).await?, "next": null }))
}

/// `POST /v1/covenants/{version}/signatures`
///
/// # Errors
/// 400, 403, 404, 409.
pub async fn sign(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        jws: String,
    }
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    let version: String = call.path("version")?;
    let Body { jws } = call.json()?;
    let signer = call.caller()?.organisation.clone();
    let signing = Signing::prepare(&call.app, &version, &signer, &jws, actor(&call)?).await?;
    let view = signature_view(&signing.signature);
    let location = format!("/v1/covenants/{version}/signatures");
    idempotency::once(&call, "sign-covenant", Ground::default(), async move |tx: &mut Tx| {
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

async fn signatures(query: &mut impl Query, version: &str) -> Result<Vec<Value>, Problem> {
    Ok(store::signatures(query, version).await?.iter().map(signature_view).collect())
}

fn signature_view(signature: &Signature) -> Value {
    json!({ "organisation": signature.organisation, "jws": signature.jws, "signedAt": signature.signed_at })
}
