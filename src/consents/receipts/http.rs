//! Receipts over HTTP.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use uuid::Uuid;

use super::document::Source;
use super::page;
use crate::consents::store;
use crate::http::{Answer, Call};
use crate::problem::Problem;
use crate::subjects::Subject;

/// `GET /v1/consents/{id}/receipts`: the receipt of the record as it stands, alone in its collection.
///
/// # Errors
/// 404 for everyone but the recorder, 403 when no covenant is in force.
pub async fn list(call: Call) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let id: Uuid = call.path("id")?;
    let query = &mut app.db.reader();
    let recorder = &call.caller()?.organisation;
    let consent = store::find(query, &id.to_string()).await?.filter(|consent| consent.organisation == *recorder);
    let consent = consent.ok_or_else(Problem::not_found)?;
    let engine = app.covenants.in_force(query, now).await?;
    // One id for one state of one record: who asks again gets the same receipt.
    let state = format!("consent-receipt/{}/{}", consent.version, consent.status(now));
    let subject = Subject::from_stored(consent.subject.clone());
    let source = Source {
        id: app.pseudonyms.alias(&state, consent.id, recorder),
        pseudonym: &app.pseudonyms.for_organisation(&subject, recorder),
        consent: &consent,
        covenant: engine.covenant(),
        issuer: app.issuer(),
        now,
    };
    let document = source.document();
    let receipt = app.sign_receipt(&document).await?;
    if call.accepts_html {
        let fingerprint = hex::encode(digest(&SHA256, receipt.as_bytes()));
        return page::of(&source, &fingerprint);
    }
    Answer::ok(&json!({ "items": [{ "id": source.id, "document": document, "receipt": receipt }], "next": null }))
}
