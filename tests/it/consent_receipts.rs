//! Receipts of what was recorded: signed, for who recorded it alone, and never of a consent where it is none.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::demo::jws;

use crate::app::{BSN, KREDIETBANK, MEE, SMOW, TestApp, consent};
use crate::consistency::finish;
use crate::wire::Wire;
use crate::withdrawal::{put_on_record, withdraw};

async fn receipt(app: &TestApp, who: &str, id: &str) -> Value {
    let page = app.get(who, format!("/v1/consents/{id}/receipts")).await;
    assert_eq!((page.status, &page.body["next"]), (200, &Value::Null), "{}", page.text);
    let items = page.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    items[0].clone()
}

fn record(app: &TestApp) -> Value {
    consent(app, SMOW, "welfare-support", &["question", "social", "mental-health"])
}

/// The states of a record, by their first term.
fn states(receipt: &Value) -> Vec<&str> {
    let history = receipt["document"]["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"].as_array().unwrap();
    history.iter().map(|state| state["@type"][0].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_verifies_with_the_published_keys_and_not_when_a_byte_is_changed() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", record(&app)).await;
    let one = receipt(&app, "mee", &id).await;
    let keys = Wire::nobody(&app).get("/oauth/jwks", None).await.body;
    let signed = one["receipt"].as_str().unwrap();
    assert_eq!(jws::verified(signed, &keys), Some(one["document"].clone()), "what was signed is the document");
    let (head, payload) = signed.split_once('.').unwrap();
    let (payload, signature) = payload.split_once('.').unwrap();
    for at in [0, payload.len() / 2, payload.len() - 2] {
        let other = if payload.as_bytes()[at] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &payload[..at], &payload[at + 1..]);
        assert_eq!(jws::verified(&format!("{head}.{changed}.{signature}"), &keys), None, "{at}");
    }
    assert_eq!(receipt(&app, "mee", &id).await, one, "the same state, the same receipt");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_says_who_may_give_what_to_whom_and_where_one_turns_to() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", record(&app)).await;
    let one = receipt(&app, "mee", &id).await;
    let document = &one["document"];
    assert_eq!(document["@type"], "dpv:ConsentReceipt");
    let consent = &document["dpv:hasRecordOfActivity"];
    assert_eq!(consent["dct:identifier"], json!(id));
    assert_eq!(consent["dpv:hasLegalBasis"], "eu-gdpr:A6-1-a-explicit-consent");
    let own = app.get("mee", format!("/v1/consents/{id}")).await;
    assert_eq!(consent["dpv:hasDataSubject"]["dct:identifier"], own.body["subject"]["pseudonym"]);
    let parties = consent["dpv:hasDataController"].as_array().unwrap();
    let complaints: Vec<_> = parties.iter().map(|party| party["sluis:hasComplaintContact"].as_str().unwrap()).collect();
    assert_eq!(complaints, ["klachten@mee.example", "klachten@smow.example"]);
    let data = consent["dpv:hasProcess"][0]["dpv:hasPersonalData"].as_array().unwrap();
    let health = data.iter().find(|one| one["skos:broader"] == json!(["pd:MentalHealth"])).unwrap();
    assert_eq!(health["@type"], "dpv:SpecialCategoryPersonalData");
    let plain = data.iter().find(|one| one["@id"].as_str().unwrap().ends_with("/question")).unwrap();
    assert!(plain.get("skos:broader").is_none(), "no term is made up: {plain}");
    assert_eq!(states(&one), ["dpv:ConsentGiven"]);
    for hidden in [BSN, "DOSSIER-1"] {
        assert!(!one.to_string().contains(hidden), "{hidden} in {one}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_it_is_in_the_next_receipt() {
    let app = TestApp::start().await;
    let withdrawn = put_on_record(&app, "mee", record(&app)).await;
    let expires = put_on_record(&app, "mee", record(&app)).await;
    let before = receipt(&app, "mee", &withdrawn).await;
    withdraw(&app, "mee", &withdrawn).await;
    let after = receipt(&app, "mee", &withdrawn).await;
    assert_eq!(states(&after), ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]);
    assert_ne!(after["id"], before["id"]);
    app.app().clock.advance(Duration::from_hours(24 * 31));
    assert_eq!(states(&receipt(&app, "mee", &expires).await), ["dpv:ConsentGiven", "dpv:ConsentExpired"]);
    assert_eq!(receipt(&app, "mee", &withdrawn).await["document"], after["document"]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_and_an_agreement_are_never_called_a_consent() {
    let app = TestApp::start().await;
    for (kind, term) in [("secrecy-release", "sluis:SecrecyRelease"), ("care-agreement", "sluis:CareAgreement")] {
        let mut other = record(&app);
        other["kind"] = json!(kind);
        if kind == "care-agreement" {
            other["categories"] = json!([]);
        }
        let id = put_on_record(&app, "kwadraad", other).await;
        let one = receipt(&app, "kwadraad", &id).await;
        assert_eq!(one["document"]["@type"], term);
        let text = one["document"].to_string();
        assert!(!text.to_lowercase().contains("consent") && !text.contains("oestemming"), "{text}");
        let html = page(&app, "kwadraad", &id).await;
        assert!(html.contains("Dit is geen toestemming volgens de AVG"), "{html}");
        assert!(!html.contains("U heeft toestemming gegeven"), "{html}");
    }
    finish(app).await;
}

async fn page(app: &TestApp, who: &str, id: &str) -> String {
    let token = app.world().client(who).unwrap().token(None).await.unwrap();
    let wire = Wire::of(app, who);
    let request = wire.request("GET", &format!("/v1/consents/{id}/receipts")).bearer_auth(token);
    let reply = wire.send(request.header("accept", "text/html")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"), "{}", reply.text);
    reply.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_who_recorded_it_gets_a_receipt() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", record(&app)).await;
    let unknown = app.get("smow", "/v1/consents/01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001/receipts").await;
    for who in ["smow", "kredietbank", "gemeente-wassenaar"] {
        let refused = app.get(who, format!("/v1/consents/{id}/receipts")).await;
        assert_eq!((refused.status, &refused.body["code"]), (404, &unknown.body["code"]), "{who} {}", refused.text);
    }
    let html = page(&app, "mee", &id).await;
    for shown in ["klachten@mee.example", "klachten@smow.example", "Autoriteit Persoonsgegevens", "Intrekken"] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    for banned in ["<script", "https://", "http://", BSN, KREDIETBANK, MEE] {
        assert!(!html.contains(banned), "{banned}");
    }
    finish(app).await;
}
